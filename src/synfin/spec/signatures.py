"""Whether a public key verifies a certificate's signature (RFC 5280 4.1.1.3), by ``cryptography``'s primitives.

Three answers: it holds, it does not, or nobody here can say (an algorithm or key that ``cryptography`` does not know,
such as MD2, SM2 or explicit curve parameters).  Answers are cached: the same chains recur in thousands of connections.
"""

from __future__ import annotations

from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_public_key

from synfin.spec import oids

#: Octets above which a certificate is not worth remembering: caches stay bounded in memory, not only in entries.
SMALL = 10_000

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "md5": hashes.MD5(),
    "sha1": hashes.SHA1(),
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


def load_public_key(spki: bytes) -> PublicKeyTypes | None:
    """The public key in a SubjectPublicKeyInfo, or None where ``cryptography`` cannot use it."""
    try:
        return load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm):
        return None


def signature_holds(spki: bytes, sig_alg: str, hash_name: str, signature: bytes, signed: bytes) -> bool | None:
    """Whether the key in ``spki`` made ``signature`` over ``signed`` with algorithm ``sig_alg`` (dotted)."""
    judge = _judge if len(signed) + len(spki) + len(signature) <= SMALL else _judge.__wrapped__
    return judge(spki, sig_alg, hash_name, signature, signed)


@lru_cache(maxsize=2048)
def _judge(spki: bytes, sig_alg: str, hash_name: str, signature: bytes, signed: bytes) -> bool | None:
    known = oids.SIGNATURES.get(sig_alg)
    key = load_public_key(spki)
    if known is None or key is None:
        return None
    family, digest = known.family, _HASHES.get(hash_name)
    try:
        if isinstance(key, rsa.RSAPublicKey) and family in ("rsa", "rsa-pss"):
            if digest is None:
                return None
            if family == "rsa":
                key.verify(signature, signed, padding.PKCS1v15(), digest)
            else:
                key.verify(signature, signed, padding.PSS(padding.MGF1(digest), padding.PSS.AUTO), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey) and family == "ecdsa":
            if digest is None:
                return None
            key.verify(signature, signed, ec.ECDSA(digest))
        elif isinstance(key, dsa.DSAPublicKey) and family == "dsa":
            if digest is None:
                return None
            key.verify(signature, signed, digest)
        elif (
            (isinstance(key, ed25519.Ed25519PublicKey) and family == "ed25519")
            or (isinstance(key, ed448.Ed448PublicKey) and family == "ed448")
            or (
                isinstance(key, mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey)
                and family == "ml-dsa"
            )
        ):
            key.verify(signature, signed)
        else:
            return False  # a key of another family cannot have made it
    except InvalidSignature:
        return False
    except (ValueError, UnsupportedAlgorithm):
        return None
    return True
