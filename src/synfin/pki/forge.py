"""Certificates that ``cryptography`` rightly refuses to write: its honest one is taken apart and signed again by hand.

``forge`` mints as ``mint`` does, lets the caller change the octets of tbsCertificate, and signs what is left with any
hash, MD5 included (RFC 5280 4.1.1.3).  Only the catalogue of faults uses it.
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from synfin.errors import UsageError
from synfin.pki.keys import PrivateKey
from synfin.pki.mint import Credential, Order, mint, public_of
from synfin.spec import der as d
from synfin.spec.certificates import certificate_facts

Hash = hashes.MD5 | hashes.SHA1 | hashes.SHA256

#: (key family, hash) -> content of AlgorithmIdentifier (RFC 3279 2.2, RFC 4055, RFC 5758).
_ALGORITHMS = {
    ("rsa", "md5"): bytes.fromhex("06092a864886f70d0101040500"),
    ("rsa", "sha1"): bytes.fromhex("06092a864886f70d0101050500"),
    ("rsa", "sha256"): bytes.fromhex("06092a864886f70d01010b0500"),
    ("ecdsa", "sha1"): bytes.fromhex("06072a8648ce3d0401"),
    ("ecdsa", "sha256"): bytes.fromhex("06082a8648ce3d040302"),
}


def element(tag: int, *contents: bytes) -> bytes:
    """One DER element with minimal length (X.690 10.1)."""
    content = b"".join(contents)
    if len(content) < 0x80:
        return bytes((tag, len(content))) + content
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + content


def integer(value: int) -> bytes:
    """An INTEGER, negative ones too."""
    size = (value if value >= 0 else ~value).bit_length() // 8 + 1
    return element(d.INTEGER, value.to_bytes(size, "big", signed=True))


def forge(
    order: Order,
    key: PrivateKey,
    issuer: Credential,
    *,
    digest: Hash | None = None,
    change: Callable[[list[bytes]], None] | None = None,
    outer: Hash | None = None,
) -> Credential:
    """A certificate signed by hand with ``digest`` (SHA-256 unless told).

    ``change`` may alter the list of tbsCertificate's elements: version, serialNumber, signature, issuer, validity,
    subject, subjectPublicKeyInfo, extensions.  With ``outer`` the certificate is signed with that, and ``digest``
    stands inside only.
    """
    digest = digest or hashes.SHA256()
    fields = tbs_fields(mint(order, public_of(key), issuer.key, issuer.der))
    family = "rsa" if isinstance(issuer.key, rsa.RSAPrivateKey) else "ecdsa"
    fields[2] = element(d.SEQUENCE, _ALGORITHMS[family, digest.name])
    if change is not None:
        change(fields)
    tbs = element(d.SEQUENCE, *fields)
    named = element(d.SEQUENCE, _ALGORITHMS[family, (outer or digest).name])
    return Credential(assemble(tbs, named, sign_raw(issuer.key, tbs, outer or digest)), key)


def tbs_fields(der: bytes) -> list[bytes]:
    """The elements of a certificate's tbsCertificate, each with tag and length."""
    tbs = certificate_facts(der).tbs
    at, stop = d.expect(tbs, 0, len(tbs), d.SEQUENCE, "tbsCertificate")
    found = []
    for _, _, end in d.children(tbs, at, stop):
        found.append(tbs[at:end])
        at = end
    return found


def assemble(tbs: bytes, algorithm: bytes, signature: bytes) -> bytes:
    """Certificate from its three parts (RFC 5280 4.1)."""
    return element(d.SEQUENCE, tbs, algorithm, element(d.BIT_STRING, b"\0", signature))


def sign_raw(key: PrivateKey, data: bytes, digest: Hash) -> bytes:
    """RSA PKCS#1 v1.5 or ECDSA over ``data``.  Raises UsageError for other keys."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), digest)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(digest))
    raise UsageError("only RSA and ECDSA keys sign with a hash of one's choice")


def spoil_signature(der: bytes) -> bytes:
    """``der`` with the last bit of its signature turned."""
    return der[:-1] + bytes([der[-1] ^ 1])
