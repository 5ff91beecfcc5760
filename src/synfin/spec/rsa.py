"""Opening the premaster secret of a static RSA key exchange (RFC 5246 7.4.7.1) with the server's private key.

An observer that owns the key reads the connection afterwards; an endpoint must never tell a wrong padding from a
wrong key (Bleichenbacher), so it passes the secret to go on with in that case.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from synfin.errors import WireError


def premaster_from_rsa(private_key: RSAPrivateKey, encrypted: bytes, instead: bytes | None = None) -> bytes:
    """The 48 octets in EncryptedPreMasterSecret, without its length prefix (SSL 3.0 sends none).

    What does not decrypt to 48 octets gives ``instead`` (RFC 5246 7.4.7.1), or WireError where that is None: the
    private key is not the server's, or the octets are damaged.  The version inside is the caller's to compare.
    """
    try:
        premaster = private_key.decrypt(encrypted, PKCS1v15())
    except ValueError:
        premaster = b""
    if len(premaster) == 48:
        return premaster
    if instead is not None:
        return instead
    raise WireError(0, "encrypted_pre_master_secret", "does not open with this private key")
