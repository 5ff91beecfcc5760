"""Handshake signatures: who may make one, by which schemes, making one, and checking one (RFC 8446 4.2.3, 4.4.3).

In TLS 1.3 an ECDSA scheme names its curve and PKCS#1 v1.5 is gone; in TLS 1.2 the curve is free and PKCS#1 is usual
(RFC 5246 7.4.1.4.1, RFC 8422 5.1.3).  SHA-1 and MD5 are never used.  ECDSA and PSS take their chance from OpenSSL.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa

from synfin.errors import PeerError
from synfin.spec.certificates import certificate_facts
from synfin.spec.signatures import SMALL, load_public_key

TLS13 = 0x0304

#: What a certificate's key usage must allow: for static RSA, and for all else (RFC 5246 7.4.2, RFC 8446 4.4.2.2).
ENCRYPTING, SIGNING = "keyEncipherment", "digitalSignature"


class Scheme(NamedTuple):
    """What a scheme needs: the kind of key, the curve it names in TLS 1.3, the arguments of sign and verify."""

    kind: str
    curve: str
    arguments: tuple[Any, ...]
    in_13: bool
    in_12: bool


def _pss(digest: hashes.HashAlgorithm) -> tuple[Any, ...]:
    return padding.PSS(padding.MGF1(digest), digest.digest_size), digest


_256, _384, _512 = hashes.SHA256(), hashes.SHA384(), hashes.SHA512()

SCHEMES: dict[int, Scheme] = {
    0x0403: Scheme("ec", "secp256r1", (ec.ECDSA(_256),), True, True),
    0x0503: Scheme("ec", "secp384r1", (ec.ECDSA(_384),), True, True),
    0x0603: Scheme("ec", "secp521r1", (ec.ECDSA(_512),), True, True),
    0x0807: Scheme("ed25519", "", (), True, True),
    0x0808: Scheme("ed448", "", (), True, True),
    0x0804: Scheme("rsa", "", _pss(_256), True, True),
    0x0805: Scheme("rsa", "", _pss(_384), True, True),
    0x0806: Scheme("rsa", "", _pss(_512), True, True),
    0x0809: Scheme("rsa-pss", "", _pss(_256), True, True),
    0x080A: Scheme("rsa-pss", "", _pss(_384), True, True),
    0x080B: Scheme("rsa-pss", "", _pss(_512), True, True),
    0x0904: Scheme("mldsa44", "", (), True, False),
    0x0905: Scheme("mldsa65", "", (), True, False),
    0x0906: Scheme("mldsa87", "", (), True, False),
    0x0401: Scheme("rsa", "", (padding.PKCS1v15(), _256), False, True),
    0x0501: Scheme("rsa", "", (padding.PKCS1v15(), _384), False, True),
    0x0601: Scheme("rsa", "", (padding.PKCS1v15(), _512), False, True),
}

#: What is offered by default, best first; ML-DSA, with the longest chains, last.
DEFAULT = (
    0x0403,
    0x0503,
    0x0603,
    0x0807,
    0x0808,
    0x0804,
    0x0805,
    0x0806,
    0x0809,
    0x080A,
    0x080B,
    0x0401,
    0x0501,
    0x0601,
    0x0905,
    0x0904,
    0x0906,
)

_KINDS: tuple[tuple[Any, str], ...] = (
    (ed25519.Ed25519PublicKey, "ed25519"),
    (ed448.Ed448PublicKey, "ed448"),
    (mldsa.MLDSA44PublicKey, "mldsa44"),
    (mldsa.MLDSA65PublicKey, "mldsa65"),
    (mldsa.MLDSA87PublicKey, "mldsa87"),
)


class PeerKey(NamedTuple):
    """A public key and what it is: kind as in ``Scheme``, and its curve, bits and the hash it is bound to, if any."""

    public: Any
    kind: str
    curve: str
    bits: int
    digest: str = ""


def _describe(public: Any, spki: bytes) -> PeerKey:
    if isinstance(public, ec.EllipticCurvePublicKey):
        return PeerKey(public, "ec", public.curve.name, public.key_size)
    if isinstance(public, rsa.RSAPublicKey):
        if _PSS_OID in spki[:40]:
            return PeerKey(public, "rsa-pss", "", public.key_size, _bound_to(spki))
        return PeerKey(public, "rsa", "", public.key_size)
    for cls, kind in _KINDS:
        if isinstance(public, cls):
            return PeerKey(public, kind, "", 0)
    raise PeerError("certificate_unsupported_key", "a key that signs in TLS", type(public).__name__)


_PSS_OID = bytes.fromhex("06092a864886f70d01010a")
#: The identifiers of SHA-256, SHA-384 and SHA-512 (RFC 4055 2.1).
_SHA2_OID = re.compile(bytes.fromhex("0609608648016503") + b"\x04\x02([\x01-\x03])")
_SHA2 = {b"\1": "sha256", b"\2": "sha384", b"\3": "sha512"}


def _bound_to(spki: bytes) -> str:
    """The hash in an RSA-PSS key's parameters, which its signatures must have too (RFC 8446 4.2.3); "" without any.

    What TLS has no scheme for, such as the default of SHA-1, is "another".
    """
    rest = spki[spki.index(_PSS_OID) + len(_PSS_OID) :]
    if not rest.startswith(b"\x30"):
        return ""
    named = _SHA2_OID.findall(rest[: 2 + rest[1]])  # of the hash and of the mask
    return _SHA2[named[0]] if len(named) == 2 and named[0] == named[1] else "another"


def peer_key(der: bytes) -> PeerKey:
    """The key of a certificate.  Raises PeerError certificate_unparsable or certificate_unsupported_key."""
    return _peer_key(der) if len(der) <= SMALL else _peer_key.__wrapped__(der)


@lru_cache(maxsize=1024)
def _peer_key(der: bytes) -> PeerKey:
    facts = certificate_facts(der)
    public = load_public_key(facts.spki) if facts.parsed else None
    if public is None:
        raise PeerError("certificate_unparsable", "a certificate", facts.why)
    if facts.trailing:
        raise PeerError("certificate_unparsable", "the end", f"{facts.trailing} octets after the certificate")
    return _describe(public, facts.spki)


def allows(leaf: bytes, wanted: str) -> bool:
    """Whether a certificate's key usage, where it has one, has ``wanted`` in it."""
    usage = certificate_facts(leaf).key_usage
    return usage is None or wanted in usage


def check_usage(leaf: bytes, wanted: str) -> None:
    """PeerError certificate_wrong_usage where the peer's certificate does not allow ``wanted``."""
    if not allows(leaf, wanted):
        raise PeerError("certificate_wrong_usage", wanted, "a key usage without it")


def own_key(private: Any) -> PeerKey:
    """What our own private key is; ValueError for one that TLS cannot use."""
    public = private.public_key()
    try:
        return _describe(public, b"")
    except PeerError as error:
        raise ValueError(f"{type(private).__name__} cannot sign TLS handshakes") from error


def fits(key: PeerKey, code: int, version: int) -> bool:
    """Whether ``key`` can make scheme ``code`` in ``version``."""
    scheme = SCHEMES.get(code)
    if scheme is None or scheme.kind != key.kind or not (scheme.in_13 if version == TLS13 else scheme.in_12):
        return False
    if scheme.kind == "ec" and version == TLS13:
        return scheme.curve == key.curve
    if key.digest and key.digest != scheme.arguments[1].name:
        return False
    if scheme.kind.startswith("rsa") and scheme.arguments:
        digest: int = scheme.arguments[1].digest_size
        return key.bits >= 8 * (2 * digest + 2) if scheme.in_13 else key.bits >= 8 * (digest + 62)
    return True


def choose(key: PeerKey, offered: tuple[int, ...], version: int, allowed: tuple[int, ...]) -> int | None:
    """The first scheme of ``allowed`` (ours, by preference) that the peer offered and the key can make."""
    choice = _choose if len(offered) <= 64 else _choose.__wrapped__
    return choice(key[1:], offered, version, allowed)


@lru_cache(maxsize=256)
def _choose(
    described: tuple[str, str, int, str], offered: tuple[int, ...], version: int, allowed: tuple[int, ...]
) -> int | None:
    key = PeerKey(None, *described)
    return next((code for code in allowed if code in offered and fits(key, code, version)), None)


def sign(private: Any, code: int, data: bytes) -> bytes:
    """The signature of ``data`` by scheme ``code``, which must fit the key."""
    signature: bytes = private.sign(data, *SCHEMES[code].arguments)
    return signature


def verify(key: PeerKey, code: int, signature: bytes, data: bytes, *, version: int, offered: tuple[int, ...]) -> None:
    """Check a peer's signature.

    Raises PeerError signature_not_offered, signature_of_other_key or wrong_signature, in this order.
    """
    if code not in offered or code not in SCHEMES or (version == TLS13 and not SCHEMES[code].in_13):
        raise PeerError("signature_not_offered", "a scheme we offered", f"0x{code:04x}")
    if not fits(key, code, version):
        raise PeerError("signature_of_other_key", f"a scheme for {key.kind} {key.curve}".strip(), f"0x{code:04x}")
    try:
        if key.kind.startswith("rsa") and len(signature) != (key.bits + 7) // 8:
            raise InvalidSignature  # RFC 8017 8.1.2 and 8.2.2; the library takes one without its leading zeros
        key.public.verify(signature, data, *SCHEMES[code].arguments)
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        raise PeerError("wrong_signature", "a signature that verifies", f"scheme 0x{code:04x}") from None


_SPACES = b" " * 64


def context_13(side: str, digest: bytes) -> bytes:
    """What CertificateVerify of TLS 1.3 signs (RFC 8446 4.4.3); ``side`` is "server" or "client"."""
    return _SPACES + f"TLS 1.3, {side} CertificateVerify".encode() + b"\0" + digest


#: What ``cryptography`` raises, sooner or later, for a certificate it cannot read.
UNREADABLE = (
    ValueError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


def parse_certificate(der: bytes) -> x509.Certificate:
    """The certificate for ``cryptography``.  Raises PeerError certificate_unparsable."""
    try:
        return _parse_certificate(der) if len(der) <= SMALL else _parse_certificate.__wrapped__(der)
    except UNREADABLE as error:
        raise PeerError("certificate_unparsable", "a certificate", str(error)) from None


@lru_cache(maxsize=1024)
def _parse_certificate(der: bytes) -> x509.Certificate:
    return x509.load_der_x509_certificate(der)
