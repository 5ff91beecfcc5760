"""Keys, chance and certificates of a scene as functions of its seed: the same seed, the same octets.

Private P-256 keys are derived from the seed and sign as RFC 6979 says, without chance.  ``cryptography`` mints the
certificates with chance in their signatures, so each is signed once more here.  RSA keys cannot be derived from a
seed: there are two for everybody, printed below and thereby worthless, and RSA's encryption gets its padding from the
scene (``SceneClient``).  None of this is for anything but scenes.  Where OpenSSL is older than 3.2 it cannot sign
without chance; then runs differ in their signatures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import shake_256
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from synfin import tls
from synfin.pki import mint
from synfin.pki.forge import assemble
from synfin.spec.certificates import certificate_facts

Entropy = Callable[[int], bytes]

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
#: AlgorithmIdentifier ecdsa-with-SHA256 (RFC 5758 3.2).
_ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")

#: Primes of the RSA keys: Bob's and Mallory's.
_PRIMES = (
    (
        int(
            "fa5f6bc79557774660c8dc23728ceb207b6c5c73b008d01393c47d621e7087da463296033b28b2778b496c5dd001e62f"
            "20d59a6371b21135d867fd2a26fc38b07bf7eee1e67a84ebef36e25263cebf285f890668b4adcc2cfd365b4a0e061aa4"
            "47265307f19dac7d3ae8f9f3dece0c6428533b97b55975218372c954d5661103",
            16,
        ),
        int(
            "ee8367102a1b87893641784a739c7a426fc3270f9475932c509bdea40afc01ba9313deea4d3038817be5e809003a41e8"
            "7284235621766cf7687e4cb661b9d07bf363b36e3921b675f82da6a070fc11f9f80e6259325369e3ef51facb96bf5f3c"
            "2141c619506d134a0d5bb57c2fa6d98f7f166e902c27a23cef796e7b0abbd017",
            16,
        ),
    ),
    (
        int(
            "e88b316a735156d90a83f8a4f40360762b9eb0871f6e8c32dc8d2776657330ec75fad637e3d296cbd5c853ead96d262f"
            "86e0008e8a8d41524a631a3a4cd4651b44eb88062a97b2bbfe515583916225bc1f571747c50c311e94279a1b19def36a"
            "029a5cbadceb992748a22c35b329d99a6833da24d19c4eb6b4df4f281bb0e8a1",
            16,
        ),
        int(
            "ba64007d6c31be449d4a1a068831bce14500d6dd5a7919d1430f66a978126b4a5ee03a9bdcb2242ef1294a6a823e3050"
            "1921b5f2b05ae88e10ff6de286ceaa140d8fa73d7056dd6f04d15eb14c94dfc17cfce865402d6e6fe9b56bb809abf47d"
            "5563060b3ea3d35ba38d1933b6097a961eac829274bbfcfaa51e67bb51dce915",
            16,
        ),
    ),
)


def entropy(seed: int, name: str) -> Entropy:
    """A source of octets that is a function of seed and name."""
    drawn = 0

    def draw(size: int) -> bytes:
        nonlocal drawn
        drawn += 1
        return shake_256(f"{seed} {name} {drawn}".encode()).digest(size)

    return draw


class SceneKey:
    """A P-256 private key of a scene; signs as ``ec.EllipticCurvePrivateKey`` does, but without chance."""

    def __init__(self, draw: Entropy) -> None:
        self.real = ec.derive_private_key(int.from_bytes(draw(40), "big") % (_ORDER - 1) + 1, ec.SECP256R1())

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public half."""
        return self.real.public_key()

    def sign(self, data: bytes, algorithm: ec.ECDSA) -> bytes:
        """An ECDSA signature, DER."""
        try:
            algorithm = ec.ECDSA(algorithm.algorithm, deterministic_signing=True)
        except UnsupportedAlgorithm:
            pass
        return self.real.sign(data, algorithm)


def scene_rsa_key(which: int) -> rsa.RSAPrivateKey:
    """An RSA key of all scenes, 2048 bits: 0 is the server's, 1 an attacker's."""
    (p, q), e = _PRIMES[which], 65537
    d = pow(e, -1, (p - 1) * (q - 1))
    crt = (rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q))
    return rsa.RSAPrivateNumbers(p, q, d, *crt, rsa.RSAPublicNumbers(e, p * q)).private_key()


class SceneClient(tls.Client):
    """A client whose RSA encryption takes its padding from the scene's entropy (RFC 8017 7.2.1)."""

    def seal_premaster(self, public: rsa.RSAPublicKey, premaster: bytes) -> bytes:
        """RSAES-PKCS1-v1_5."""
        numbers = public.public_numbers()
        size = (public.key_size + 7) // 8
        padding = bytes(octet or 1 for octet in self.entropy(size - 3 - len(premaster)))
        block = b"\0\2" + padding + b"\0" + premaster
        return pow(int.from_bytes(block, "big"), numbers.e, numbers.n).to_bytes(size, "big")


@dataclass(frozen=True, slots=True)
class Authority:
    """A root and an issuing CA below it; ``root`` and ``issuer`` are certificates in DER."""

    root: bytes
    issuer: bytes
    issuer_key: SceneKey


def authority(name: str, now: datetime, draw: Entropy) -> Authority:
    """A CA of two levels, some years old."""
    root_key, issuer_key = SceneKey(draw), SceneKey(draw)
    root_order = mint.root_order(f"{name} Root CA", now - timedelta(days=900), organisation=name)
    root = _signed(root_order, root_key.real, root_key, b"", draw)
    order = mint.intermediate_order(f"{name} Issuing CA", now - timedelta(days=300), organisation=name)
    return Authority(root, _signed(order, issuer_key.real, root_key, root, draw), issuer_key)


def server_credential(
    ca: Authority, name: str, now: datetime, draw: Entropy, *, rsa_key: int | None = None
) -> tls.Credential:
    """Key and chain (leaf, issuing CA) of the server ``name``; an RSA key for handshakes that encrypt to it."""
    order = mint.leaf_order((name,), now - timedelta(days=10))
    key: Any
    if rsa_key is not None:
        key = real = scene_rsa_key(rsa_key)
    else:
        key = SceneKey(draw)
        real = key.real
    return tls.Credential((_signed(order, real, ca.issuer_key, ca.issuer, draw), ca.issuer), key)


def _signed(order: mint.Order, key: Any, signer: SceneKey, issuer: bytes, draw: Entropy) -> bytes:
    """What ``mint`` makes of the order, with a serial number and a signature that are functions of the seed."""
    order = replace(order, serial=int.from_bytes(b"\1" + draw(15), "big"))
    made = mint.mint(order, key.public_key(), signer.real, issuer or None)
    tbs = certificate_facts(made).tbs
    return assemble(tbs, _ECDSA_SHA256, signer.sign(tbs, ec.ECDSA(hashes.SHA256())))
