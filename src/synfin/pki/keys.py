"""Private keys by a short name: made, written as PKCS#8 (RFC 5958), read back, and what they sign with.

A kind is what ``spec.certificates`` and people call it, in one word: ``p256``, ``rsa2048``, ``ed25519``, ``ml-dsa-65``.
``cryptography`` signs certificates, requests, CRLs and OCSP responses with all of them, ML-DSA (RFC 9881) included, so
no signature of an honest certificate is built here.  RSA signs with PKCS#1 v1.5 and SHA-256, as public CAs do.
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    pkcs12,
)

from synfin.errors import UsageError

MlDsaKey = mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey
PrivateKey = (
    ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey | MlDsaKey
)
PublicKey = (
    ec.EllipticCurvePublicKey
    | rsa.RSAPublicKey
    | ed25519.Ed25519PublicKey
    | ed448.Ed448PublicKey
    | mldsa.MLDSA44PublicKey
    | mldsa.MLDSA65PublicKey
    | mldsa.MLDSA87PublicKey
)

SigningHash = hashes.SHA256 | hashes.SHA384 | hashes.SHA512

_CURVES: dict[str, ec.EllipticCurve] = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
_RSA = {"rsa2048": 2048, "rsa3072": 3072, "rsa4096": 4096}
_OTHERS: dict[str, Callable[[], PrivateKey]] = {
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ed448": ed448.Ed448PrivateKey.generate,
    "ml-dsa-44": mldsa.MLDSA44PrivateKey.generate,
    "ml-dsa-65": mldsa.MLDSA65PrivateKey.generate,
    "ml-dsa-87": mldsa.MLDSA87PrivateKey.generate,
}

#: What people may ask for.
KINDS = (*_CURVES, *_RSA, *_OTHERS)


def make_key(kind: str) -> PrivateKey:
    """A fresh private key of ``kind`` (one of ``KINDS``).  Raises UsageError for another, or one the library lacks."""
    try:
        if kind in _CURVES:
            return ec.generate_private_key(_CURVES[kind])
        if kind in _RSA:
            return rsa.generate_private_key(65537, _RSA[kind])
        if kind in _OTHERS:
            return _OTHERS[kind]()
    except UnsupportedAlgorithm as error:
        raise UsageError(f"the installed cryptography cannot make a key of kind {kind}: {error}") from error
    raise UsageError(f"no key of kind {kind!r}; there are {', '.join(KINDS)}")


def signing_hash(key: PrivateKey) -> SigningHash | None:
    """The hash ``key`` signs with: as strong as its curve; None where the scheme has its own (RFC 8410, RFC 9881)."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return hashes.SHA256() if key.key_size <= 256 else hashes.SHA384() if key.key_size <= 384 else hashes.SHA512()
    return hashes.SHA256() if isinstance(key, rsa.RSAPrivateKey) else None


def spki(key: PublicKey) -> bytes:
    """SubjectPublicKeyInfo, DER."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def key_pem(key: PrivateKey, password: bytes | None = None) -> bytes:
    """PKCS#8 in PEM, encrypted where a password is given."""
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def load_key(pem: bytes, password: bytes | None = None, *, where: str = "the key") -> PrivateKey:
    """The private key in ``pem``.  Raises UsageError, with ``where``, for a wrong password or what is no usable key."""
    try:
        key = load_pem_private_key(pem, password)
    except TypeError as error:  # cryptography says so both for a missing and for a needless password
        told = "is encrypted: a password is needed" if password is None else "is not encrypted: no password is needed"
        raise UsageError(f"{where} {told}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        told = "cannot be opened: wrong password or damaged file" if password else "is no private key in PEM"
        raise UsageError(f"{where} {told}") from error
    if not isinstance(key, PrivateKey):
        raise UsageError(f"{where} is of a kind that signs no certificates here")
    return key


def pkcs12_bundle(chain: bytes, key: bytes, name: str, password: bytes) -> bytes:
    """A chain and its key (PEM, closed with ``password``) as PKCS#12 (RFC 7292), as browsers take them.

    UsageError for keys that PKCS#12 cannot hold here.
    """
    leaf, *above = x509.load_pem_x509_certificates(chain)
    private = load_key(key, password)
    if isinstance(private, MlDsaKey):
        raise UsageError("PKCS#12 has no ML-DSA keys yet")
    closed = BestAvailableEncryption(password)
    return pkcs12.serialize_key_and_certificates(name.encode(), private, leaf, above, closed)
