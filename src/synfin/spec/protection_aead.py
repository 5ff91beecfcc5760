"""AEAD protection of TLS 1.3 (RFC 8446 5.2) and TLS 1.2 (RFC 5246 6.2.3.3): GCM, CCM and ChaCha20-Poly1305."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from synfin.spec import keys
from synfin.spec.protection_base import (
    BadRecord,
    Protection,
    Unsupported,
    mac_header,
    record_header,
)
from synfin.spec.protection_runs import Aead, Runs12, Runs13
from synfin.wire.codec import Buffer
from synfin.wire.tls.suites import Suite

APPLICATION_DATA = 23
TLS12 = keys.TLS12
_TYPES = [bytes([number]) for number in range(256)]


def prf_hash(chosen: Suite) -> str:
    """The hash of the suite's key schedule: SHA-384 where the suite says so, else SHA-256 (RFC 5246 5)."""
    return "sha384" if chosen.hash == "SHA384" else "sha256"


@lru_cache(maxsize=64)
def _recipe(chosen: Suite) -> tuple[str, Callable[[bytes], Aead], int]:
    """The hash of a suite's key schedule, what makes its AEAD of a key, and its tag's octets."""
    cipher = chosen.cipher
    if cipher.startswith("AES_") and cipher.endswith("_GCM"):
        return prf_hash(chosen), AESGCM, 16
    if cipher.startswith("AES_") and "_CCM" in cipher:
        tag = 8 if cipher.endswith("_8") else 16
        return prf_hash(chosen), partial(AESCCM, tag_length=tag), tag
    if cipher.startswith("CHACHA20"):
        return prf_hash(chosen), ChaCha20Poly1305, 16
    raise Unsupported(chosen.name)


class Aead13(Runs13, Protection):
    """TLS 1.3 (RFC 8446 5.2): content type inside, padding of zeros, nonce = IV xor sequence number."""

    __slots__ = ("_decrypt", "_encrypt", "_mask", "_secret", "_suite", "tag")

    def __init__(self, chosen: Suite, traffic_secret: bytes) -> None:
        hash_name, make, tag = _recipe(chosen)
        key, iv = keys.traffic_keys(hash_name, chosen.key_length, traffic_secret)
        aead = make(key)
        super().__init__(aead, iv, tag, 1)
        self._decrypt, self._encrypt = aead.decrypt, aead.encrypt
        self._mask = int.from_bytes(iv, "big")
        self._suite, self._secret = chosen, traffic_secret
        #: Octets of the tag.
        self.tag = tag

    def open_record(self, content_type: int, version: int, fragment: Buffer) -> tuple[int, bytes]:
        """See ``Protection``; the header counts as additional data, so all of it must be right."""
        sequence = self.sequence
        try:
            inner = self._decrypt(
                (self._mask ^ sequence).to_bytes(12, "big"),
                fragment,
                record_header(content_type, version, len(fragment)),
            )
        except InvalidTag:
            raise BadRecord("tag does not verify") from None
        kind = inner[-1] if inner else 0
        if not kind:
            inner = inner.rstrip(b"\0")
            if not inner:
                raise BadRecord("no content type, only padding (RFC 8446 5.4)")
            kind = inner[-1]
        self.sequence = sequence + 1
        return kind, inner[:-1]

    def seal_record(self, content_type: int, plaintext: Buffer, padding: int = 0) -> bytes:
        """See ``Protection``."""
        inner = b"".join((plaintext, _TYPES[content_type]))
        if padding:
            inner += bytes(padding)
        sequence = self.sequence
        header = record_header(APPLICATION_DATA, TLS12, len(inner) + self.tag)
        self.sequence = sequence + 1
        return header + self._encrypt((self._mask ^ sequence).to_bytes(12, "big"), inner, header)

    @property
    def secret(self) -> bytes:
        """The traffic secret these keys come from."""
        return self._secret

    def updated(self) -> Aead13:
        """The keys after a KeyUpdate (RFC 8446 7.2)."""
        return Aead13(self._suite, keys.next_traffic_secret(prf_hash(self._suite), self._secret))


class Aead12(Runs12, Protection):
    """TLS 1.2 AEAD (RFC 5246 6.2.3.3): GCM (RFC 5288) and CCM (RFC 6655) send part of the nonce."""

    __slots__ = ("_before", "_decrypt", "_encrypt", "_iv", "_mask", "tag")

    def __init__(self, chosen: Suite, key: bytes, iv: bytes) -> None:
        _, make, tag = _recipe(chosen)
        aead = make(key)
        super().__init__(aead, iv, tag, 0)
        self._decrypt, self._encrypt = aead.decrypt, aead.encrypt
        self._before = 12 - len(iv)  # octets of explicit nonce
        self._iv, self._mask = iv, int.from_bytes(iv, "big")
        self.tag = tag

    def open_record(self, content_type: int, version: int, fragment: Buffer) -> tuple[int, bytes]:
        """See ``Protection``."""
        sequence = self.sequence
        explicit = self._before
        size = len(fragment) - explicit - self.tag
        if size < 0:
            raise BadRecord("too short for its tag")
        if explicit:
            nonce = b"".join((self._iv, fragment[:explicit]))
            fragment = fragment[explicit:]
        else:
            nonce = (self._mask ^ sequence).to_bytes(12, "big")
        try:
            plaintext = self._decrypt(nonce, fragment, mac_header(sequence, content_type, version, size))
        except InvalidTag:
            raise BadRecord("tag does not verify") from None
        self.sequence = sequence + 1
        return content_type, plaintext

    def seal_record(self, content_type: int, plaintext: Buffer, padding: int = 0) -> bytes:
        """See ``Protection``; the explicit nonce is the sequence number."""
        explicit, sequence, size = self._before, self.sequence, len(plaintext)
        covered = mac_header(sequence, content_type, TLS12, size)
        self.sequence = sequence + 1
        if explicit:
            number = covered[:8]
            header = record_header(content_type, TLS12, 8 + size + self.tag) + number
            return header + self._encrypt(self._iv + number, plaintext, covered)
        header = record_header(content_type, TLS12, size + self.tag)
        return header + self._encrypt((self._mask ^ sequence).to_bytes(12, "big"), plaintext, covered)
