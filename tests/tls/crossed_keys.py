"""Keys, suites, groups and signatures of TLS 1.2 and 1.3 for ``crossed_peer``, made from the RFCs.

They share no code with the engine but the primes of RFC 7919, so that what both agree on is what the RFCs say.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, padding, x448, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from synfin.tls.ffdhe import PRIMES
from tests.support.minted import key as minted_key


def vec(data: bytes, size: int = 2) -> bytes:
    return len(data).to_bytes(size, "big") + data


def u16(*values: int) -> bytes:
    return b"".join(value.to_bytes(2, "big") for value in values)


def message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + vec(body, 3)


def block(extensions: Iterable[tuple[int, bytes]]) -> bytes:
    return vec(b"".join(u16(number) + vec(body) for number, body in extensions))


# ---------------------------------------------------------------- secrets


def hkdf_extract(name: str, salt: bytes, key: bytes) -> bytes:
    return hmac.digest(salt or bytes(hashlib.new(name).digest_size), key, name)


def hkdf_expand(name: str, key: bytes, info: bytes, size: int) -> bytes:
    out = part = b""
    count = 1
    while len(out) < size:
        part = hmac.digest(key, part + info + bytes([count]), name)
        out += part
        count += 1
    return out[:size]


def expand_label(name: str, secret: bytes, label: str, context: bytes, size: int) -> bytes:
    info = size.to_bytes(2, "big") + vec(b"tls13 " + label.encode(), 1) + vec(context, 1)
    return hkdf_expand(name, secret, info, size)


def hashed(name: str, data: bytes) -> bytes:
    return hashlib.new(name, data).digest()


def derive(name: str, secret: bytes, label: str, said: bytes) -> bytes:
    return expand_label(name, secret, label, hashed(name, said), hashlib.new(name).digest_size)


def prf(name: str, secret: bytes, label: bytes, seed: bytes, size: int) -> bytes:
    """RFC 5246 5."""
    seed = label + seed
    out, a = b"", seed
    while len(out) < size:
        a = hmac.digest(secret, a, name)
        out += hmac.digest(secret, a + seed, name)
    return out[:size]


# ---------------------------------------------------------------- suites

#: TLS 1.3: cipher, octets of key, hash.
SUITES_13 = {
    0x1301: ("gcm", 16, "sha256"), 0x1302: ("gcm", 32, "sha384"), 0x1303: ("chacha", 32, "sha256"),
    0x1304: ("ccm", 16, "sha256"), 0x1305: ("ccm8", 16, "sha256"),
}  # fmt: skip
#: TLS 1.2: key exchange, who signs, cipher or the MAC of CBC, octets of key, hash of the PRF.
SUITES_12 = {
    0xC02B: ("ecdhe", "ecdsa", "gcm", 16, "sha256"), 0xC02C: ("ecdhe", "ecdsa", "gcm", 32, "sha384"),
    0xC02F: ("ecdhe", "rsa", "gcm", 16, "sha256"), 0xC030: ("ecdhe", "rsa", "gcm", 32, "sha384"),
    0xCCA9: ("ecdhe", "ecdsa", "chacha", 32, "sha256"), 0xCCA8: ("ecdhe", "rsa", "chacha", 32, "sha256"),
    0x009E: ("dhe", "rsa", "gcm", 16, "sha256"), 0x009F: ("dhe", "rsa", "gcm", 32, "sha384"),
    0xCCAA: ("dhe", "rsa", "chacha", 32, "sha256"),
    0xC0AC: ("ecdhe", "ecdsa", "ccm", 16, "sha256"), 0xC0AD: ("ecdhe", "ecdsa", "ccm", 32, "sha256"),
    0xC0AE: ("ecdhe", "ecdsa", "ccm8", 16, "sha256"), 0xC0AF: ("ecdhe", "ecdsa", "ccm8", 32, "sha256"),
    0xC09E: ("dhe", "rsa", "ccm", 16, "sha256"), 0xC09F: ("dhe", "rsa", "ccm", 32, "sha256"),
    0xC0A2: ("dhe", "rsa", "ccm8", 16, "sha256"), 0xC0A3: ("dhe", "rsa", "ccm8", 32, "sha256"),
    0xC023: ("ecdhe", "ecdsa", "cbc-sha256", 16, "sha256"), 0xC024: ("ecdhe", "ecdsa", "cbc-sha384", 32, "sha384"),
    0xC027: ("ecdhe", "rsa", "cbc-sha256", 16, "sha256"), 0xC028: ("ecdhe", "rsa", "cbc-sha384", 32, "sha384"),
    0xC009: ("ecdhe", "ecdsa", "cbc-sha1", 16, "sha256"), 0xC00A: ("ecdhe", "ecdsa", "cbc-sha1", 32, "sha256"),
    0xC013: ("ecdhe", "rsa", "cbc-sha1", 16, "sha256"), 0xC014: ("ecdhe", "rsa", "cbc-sha1", 32, "sha256"),
    0x0067: ("dhe", "rsa", "cbc-sha256", 16, "sha256"), 0x006B: ("dhe", "rsa", "cbc-sha256", 32, "sha256"),
    0x0033: ("dhe", "rsa", "cbc-sha1", 16, "sha256"), 0x0039: ("dhe", "rsa", "cbc-sha1", 32, "sha256"),
    0x009C: ("rsa", "rsa", "gcm", 16, "sha256"), 0x009D: ("rsa", "rsa", "gcm", 32, "sha384"),
    0xC09C: ("rsa", "rsa", "ccm", 16, "sha256"), 0xC09D: ("rsa", "rsa", "ccm", 32, "sha256"),
    0xC0A0: ("rsa", "rsa", "ccm8", 16, "sha256"), 0xC0A1: ("rsa", "rsa", "ccm8", 32, "sha256"),
    0x003C: ("rsa", "rsa", "cbc-sha256", 16, "sha256"), 0x003D: ("rsa", "rsa", "cbc-sha256", 32, "sha256"),
    0x002F: ("rsa", "rsa", "cbc-sha1", 16, "sha256"), 0x0035: ("rsa", "rsa", "cbc-sha1", 32, "sha256"),
}  # fmt: skip


def aead(cipher: str, key: bytes) -> tuple[Any, int]:
    """An AEAD and the octets of its tag."""
    if cipher == "gcm":
        return AESGCM(key), 16
    if cipher == "chacha":
        return ChaCha20Poly1305(key), 16
    tag = 8 if cipher == "ccm8" else 16
    return AESCCM(key, tag), tag


class Keys(Protocol):
    """One direction of a connection."""

    sequence: int

    def seal(self, kind: int, content: bytes, pad: int = 0) -> bytes: ...

    def open(self, record: bytes) -> tuple[int, bytes, int]:
        """Type, content, octets of padding."""
        ...


class Keys13:
    """One direction of TLS 1.3 (RFC 8446 5.2, 7.3)."""

    def __init__(self, suite: int, secret: bytes) -> None:
        cipher, size, self.name = SUITES_13[suite]
        self.suite, self.secret, self.sequence = suite, secret, 0
        self.aead, self.tag = aead(cipher, expand_label(self.name, secret, "key", b"", size))
        self.iv = expand_label(self.name, secret, "iv", b"", 12)

    def nonce(self) -> bytes:
        self.sequence += 1
        return bytes(a ^ b for a, b in zip(self.iv, (self.sequence - 1).to_bytes(12, "big"), strict=True))

    def seal(self, kind: int, content: bytes, pad: int = 0) -> bytes:
        inner = content + bytes([kind]) + bytes(pad)
        head = b"\x17\3\3" + (len(inner) + self.tag).to_bytes(2, "big")
        return head + bytes(self.aead.encrypt(self.nonce(), inner, head))

    def open(self, record: bytes) -> tuple[int, bytes, int]:
        """See ``Keys``."""
        assert record[:3] == b"\x17\3\3", record[:5]
        inner = self.aead.decrypt(self.nonce(), record[5:], record[:5])
        content = inner.rstrip(b"\0")
        return content[-1], content[:-1], len(inner) - len(content)

    def next(self) -> Keys13:
        return Keys13(
            self.suite, expand_label(self.name, self.secret, "traffic upd", b"", hashlib.new(self.name).digest_size)
        )


class Keys12:
    """One direction of TLS 1.2 (RFC 5246 6.2.3, 6.3; RFC 7366; RFC 7905)."""

    def __init__(self, suite: int, block: bytes, client: bool, etm: bool) -> None:
        _, _, cipher, size, _ = SUITES_12[suite]
        self.sequence, self.etm, self.cipher = 0, etm, cipher
        self.cbc = cipher.startswith("cbc")
        self.mac = cipher[4:] if self.cbc else ""
        mac = hashlib.new(self.mac).digest_size if self.cbc else 0
        fixed = 0 if self.cbc else 12 if cipher == "chacha" else 4
        at = 0 if client else 1
        self.mac_key = block[at * mac : (at + 1) * mac]
        self.key = block[2 * mac + at * size : 2 * mac + (at + 1) * size]
        self.iv = block[2 * (mac + size) + at * fixed : 2 * (mac + size) + (at + 1) * fixed]
        self.explicit = 0 if self.cbc or cipher == "chacha" else 8
        self.tag = mac
        if not self.cbc:
            self.aead, self.tag = aead(cipher, self.key)

    def seal(self, kind: int, content: bytes, pad: int = 0) -> bytes:
        number = self.sequence.to_bytes(8, "big")
        self.sequence += 1
        head = bytes([kind]) + b"\3\3"
        if not self.cbc:
            if self.explicit:
                explicit = os.urandom(8)
                nonce = self.iv + explicit
            else:
                explicit = b""
                nonce = bytes(a ^ b for a, b in zip(self.iv, bytes(4) + number, strict=True))
            sealed = self.aead.encrypt(nonce, content, number + head + len(content).to_bytes(2, "big"))
            return head + vec(explicit + sealed)
        iv = os.urandom(16)

        def mac(data: bytes) -> bytes:
            return hmac.digest(self.mac_key, number + head + len(data).to_bytes(2, "big") + data, self.mac)

        plain = content if self.etm else content + mac(content)
        fill = 15 - len(plain) % 16 + 16 * (pad // 16)
        plain += bytes([fill]) * (fill + 1)
        maker = Cipher(algorithms.AES(self.key), modes.CBC(iv)).encryptor()
        sealed = iv + maker.update(plain) + maker.finalize()
        if self.etm:
            sealed += mac(sealed)
        return head + vec(sealed)

    def open(self, record: bytes) -> tuple[int, bytes, int]:
        assert record[1:3] == b"\3\3", record[:5]
        number = self.sequence.to_bytes(8, "big")
        self.sequence += 1
        kind, sealed = record[0], record[5:]
        if not self.cbc:
            if self.explicit:
                nonce, sealed = self.iv + sealed[:8], sealed[8:]
            else:
                nonce = bytes(a ^ b for a, b in zip(self.iv, bytes(4) + number, strict=True))
            covered = number + record[:3] + (len(sealed) - self.tag).to_bytes(2, "big")
            return kind, self.aead.decrypt(nonce, sealed, covered), 0

        def mac(data: bytes) -> bytes:
            return hmac.digest(self.mac_key, number + record[:3] + len(data).to_bytes(2, "big") + data, self.mac)

        if self.etm:
            sealed, told = sealed[: -self.tag], sealed[-self.tag :]
            assert told == mac(sealed)
        maker = Cipher(algorithms.AES(self.key), modes.CBC(sealed[:16])).decryptor()
        plain = maker.update(sealed[16:]) + maker.finalize()
        fill = plain[-1]
        assert plain[-fill - 1 :] == bytes([fill]) * (fill + 1)
        plain = plain[: -fill - 1]
        if not self.etm:
            plain, told = plain[: -self.tag], plain[-self.tag :]
            assert told == mac(plain)
        return kind, plain, fill


# ---------------------------------------------------------------- groups and signatures

CURVES: dict[int, ec.EllipticCurve] = {23: ec.SECP256R1(), 24: ec.SECP384R1(), 25: ec.SECP521R1()}
MLKEM = 0x11EC


def agree(group: int, share: bytes) -> tuple[bytes, bytes]:
    """Our share for the client's, and the secret.  Each share must have the form that RFC 8446 4.2.8 gives it."""
    if group == 29:
        assert len(share) == 32
        key = x25519.X25519PrivateKey.generate()
        return key.public_key().public_bytes_raw(), key.exchange(x25519.X25519PublicKey.from_public_bytes(share))
    if group == 30:
        assert len(share) == 56
        other = x448.X448PrivateKey.generate()
        return other.public_key().public_bytes_raw(), other.exchange(x448.X448PublicKey.from_public_bytes(share))
    if group in CURVES:
        curve = CURVES[group]
        assert share[0] == 4
        theirs = ec.EllipticCurvePublicKey.from_encoded_point(curve, share)
        mine = ec.generate_private_key(curve)
        public = mine.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return public, mine.exchange(ec.ECDH(), theirs)
    if group == MLKEM:
        assert len(share) == 1184 + 32
        secret, sealed = mlkem.MLKEM768PublicKey.from_public_bytes(share[:1184]).encapsulate()
        public, second = agree(29, share[1184:])
        return sealed + public, secret + second
    p = PRIMES[group]
    size = (p.bit_length() + 7) // 8
    assert len(share) == size
    y = int.from_bytes(share, "big")
    assert 1 < y < p - 1
    x = int.from_bytes(os.urandom(8), "big")  # no secret is at stake
    return pow(2, x, p).to_bytes(size, "big"), pow(y, x, p).to_bytes(size, "big")


def elliptic(group: int) -> tuple[Any, bytes]:
    """A private key for TLS 1.2's ECDHE and its public value."""
    private: Any
    if group in CURVES:
        private = ec.generate_private_key(CURVES[group])
        return private, private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    private = x25519.X25519PrivateKey.generate() if group == 29 else x448.X448PrivateKey.generate()
    return private, private.public_key().public_bytes_raw()


def meet(group: int, private: Any, share: bytes) -> bytes:
    """The secret of our key and the client's public value."""
    if group in CURVES:
        assert share[0] == 4
        return bytes(private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(CURVES[group], share)))
    kind = x25519.X25519PublicKey if group == 29 else x448.X448PublicKey
    return bytes(private.exchange(kind.from_public_bytes(share)))


HASHES = {4: hashes.SHA256(), 5: hashes.SHA384(), 6: hashes.SHA512()}


def arguments(scheme: int) -> tuple[Any, ...]:
    """What ``cryptography`` wants to know of a scheme."""
    if scheme in (0x0804, 0x0805, 0x0806, 0x0809, 0x080A, 0x080B):
        chosen = {4: 4, 5: 5, 6: 6, 9: 4, 10: 5, 11: 6}[scheme & 15]
        digest = HASHES[chosen]
        return padding.PSS(padding.MGF1(digest), digest.digest_size), digest
    if scheme in (0x0807, 0x0808) or scheme >> 8 == 9:
        return ()
    digest = HASHES[scheme >> 8]
    return (padding.PKCS1v15(), digest) if scheme & 255 == 1 else (ec.ECDSA(digest),)


def sign(key: Any, scheme: int, data: bytes) -> bytes:
    signature: bytes = key.sign(data, *arguments(scheme))
    return signature


# ---------------------------------------------------------------- certificates

#: A kind of key -> the schemes it signs with, in TLS 1.3 and in TLS 1.2.
SCHEMES_13 = {
    "p256": (0x0403,), "p384": (0x0503,), "p521": (0x0603,), "ed25519": (0x0807,), "ed448": (0x0808,),
    "rsa2048": (0x0804, 0x0805, 0x0806), "pss2048": (0x0809, 0x080A, 0x080B),
    "ml-dsa-44": (0x0904,), "ml-dsa-65": (0x0905,), "ml-dsa-87": (0x0906,),
}  # fmt: skip
_ECDSA = (0x0403, 0x0503, 0x0603)
SCHEMES_12 = {
    "p256": _ECDSA, "p384": _ECDSA, "p521": _ECDSA, "ed25519": (0x0807,), "ed448": (0x0808,),
    "rsa2048": (0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601), "pss2048": (0x0809, 0x080A, 0x080B),
}  # fmt: skip
SIGNERS = {"ecdsa": ("p256", "p384", "p521", "ed25519", "ed448"), "rsa": ("rsa2048", "pss2048")}
#: The issuer's name in certificates of ``bare``, in DER.
ISSUER = bytes.fromhex("3011310f300d06035504030c06697373756572")


def _tlv(tag: int, body: bytes) -> bytes:
    size = len(body)
    head = bytes([size]) if size < 128 else b"\x81" + bytes([size]) if size < 256 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + head + body


@lru_cache(maxsize=64)
def bare(kind: str, number: int = 1, serial: int = 1) -> tuple[bytes, Any]:
    """A certificate (DER) and its key; nobody looks at its signature.  ``pss2048`` is an RSA key bound to PSS."""
    private = minted_key("rsa2048" if kind == "pss2048" else kind, number)
    spki = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if kind == "pss2048":
        plain = bytes.fromhex("300d06092a864886f70d0101010500")
        at = spki.index(plain) + len(plain)
        spki = _tlv(0x30, _tlv(0x30, bytes.fromhex("06092a864886f70d01010a")) + spki[at:])
    algorithm = _tlv(0x30, bytes.fromhex("06082a8648ce3d040302"))
    validity = _tlv(0x30, _tlv(0x17, b"200101000000Z") + _tlv(0x17, b"491231235959Z"))
    tbs = b"\xa0\3\2\1\2" + _tlv(2, bytes([serial])) + algorithm + ISSUER + validity + ISSUER + spki
    return _tlv(0x30, _tlv(0x30, tbs) + algorithm + _tlv(3, b"\0\x30\6\2\1\1\2\1\1")), private
