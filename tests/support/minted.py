"""Keys and certificates made for a test run with ``cryptography``: short, in memory, never stored in the repository."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 1_000_000_000


@dataclass(frozen=True)
class Minted:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: Any

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        pem: bytes = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return pem


@cache
def key(kind: str, number: int = 0) -> Any:
    """A private key of ``kind``: rsa2048, rsa1024, p256, p521, ed25519, ml-dsa-44 ...; ``number`` tells keys apart."""
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65537, int(kind[3:]))
    curves: dict[str, ec.EllipticCurve] = {
        "p192": ec.SECP192R1(),
        "p256": ec.SECP256R1(),
        "p384": ec.SECP384R1(),
        "p521": ec.SECP521R1(),
    }
    if kind in curves:
        return ec.generate_private_key(curves[kind])
    makers: dict[str, Any] = {
        "ed25519": ed25519.Ed25519PrivateKey,
        "ed448": ed448.Ed448PrivateKey,
        "ml-dsa-44": mldsa.MLDSA44PrivateKey,
        "ml-dsa-65": mldsa.MLDSA65PrivateKey,
        "ml-dsa-87": mldsa.MLDSA87PrivateKey,
    }
    return makers[kind].generate()


def name(common: str | None) -> x509.Name:
    """A subject with an organisation and a common name, or empty."""
    if common is None:
        return x509.Name([])
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test"), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )


def mint(
    common: str | None,
    issuer: Minted | None = None,
    *,
    kind: str = "p256",
    number: int = 0,
    sans: list[x509.GeneralName] | None = None,
    ca: bool | None = None,
    path_length: int | None = None,
    days: tuple[int, int] = (-10, 80),
    digest: Any = "default",
    extensions: list[tuple[x509.ExtensionType, bool]] | None = None,
    serial: int | None = None,
    now: datetime = NOW,
) -> Minted:
    """A certificate for ``common``, signed by ``issuer`` or by itself; ``days`` are validity relative to ``now``."""
    private = key(kind, number)
    signer = issuer.key if issuer else private
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(common))
        .issuer_name(issuer.certificate.subject if issuer else name(common))
        .public_key(private.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
    )
    if sans is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName(sans), critical=common is None)
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, path_length), critical=True)
    for extension, critical in extensions or []:
        builder = builder.add_extension(extension, critical)
    if digest == "default":
        plain = isinstance(signer, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
        digest = hashes.SHA256() if plain else None
    return Minted(builder.sign(signer, digest), private)
