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
    read_header,
    record_header,
)
from synfin.wire.codec import Buffer
from synfin.wire.tls.suites import Suite

APPLICATION_DATA = 23
TLS12 = keys.TLS12
_TYPES = [bytes([number]) for number in range(256)]

Aead = AESGCM | AESCCM | ChaCha20Poly1305


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


class Aead13(Protection):
    """TLS 1.3 (RFC 8446 5.2): content type inside, padding of zeros, nonce = IV xor sequence number."""

    __slots__ = ("_decrypt", "_encrypt", "_iv", "_secret", "_suite", "expansion")

    def __init__(self, chosen: Suite, traffic_secret: bytes) -> None:
        super().__init__()
        self._suite = chosen
        self._secret = traffic_secret
        hash_name, make, tag = _recipe(chosen)
        key, iv = keys.traffic_keys(hash_name, chosen.key_length, traffic_secret)
        self._iv = int.from_bytes(iv, "big")
        aead = make(key)
        self._decrypt, self._encrypt = aead.decrypt, aead.encrypt
        #: Octets by which a record's fragment is longer than content, content type and padding.
        self.expansion = tag

    def open_record(self, content_type: int, version: int, fragment: Buffer) -> tuple[int, bytes]:
        """See ``Protection``; the header counts as additional data, so all of it must be right."""
        sequence = self.sequence
        try:
            inner = self._decrypt(
                (self._iv ^ sequence).to_bytes(12, "big"), fragment, record_header(content_type, version, len(fragment))
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

    def seal_record(self, content_type: int, plaintext: bytes, padding: int = 0) -> bytes:
        """See ``Protection``."""
        inner = b"".join((plaintext, _TYPES[content_type], bytes(padding)))
        header = record_header(APPLICATION_DATA, TLS12, len(inner) + self.expansion)
        nonce = (self._iv ^ self.sequence).to_bytes(12, "big")
        self.sequence += 1
        return header + self._encrypt(nonce, inner, header)

    def seal_run(self, content_type: int, plaintext: Buffer, limit: int, out: list[bytes]) -> None:
        """See ``Protection``; the content is copied once, to stand before its type."""
        sequence, iv, encrypt = self.sequence, self._iv, self._encrypt
        tail = _TYPES[content_type]
        size = len(plaintext)
        extra = 1 + self.expansion
        if size <= limit:
            header = record_header(APPLICATION_DATA, TLS12, size + extra)
            self.sequence = sequence + 1
            out += header, encrypt((iv ^ sequence).to_bytes(12, "big"), b"".join((plaintext, tail)), header)
            return
        view = memoryview(plaintext)
        header = record_header(APPLICATION_DATA, TLS12, limit + extra)
        for at in range(0, size, limit):
            if size - at < limit:
                header = record_header(APPLICATION_DATA, TLS12, size - at + extra)
            inner = b"".join((view[at : at + limit], tail))
            out += header, encrypt((iv ^ sequence).to_bytes(12, "big"), inner, header)
            sequence += 1
            self.sequence = sequence

    def open_run(self, data: Buffer, pos: int, limit: int) -> tuple[int, bytes]:
        """See ``Protection``."""
        sequence, iv, decrypt = self.sequence, self._iv, self._decrypt
        view, end = memoryview(data), len(data)
        least = self.expansion + 2
        most = least - 1 + limit
        found: list[bytes] = []
        known, header = -1, b""
        while end - pos > 5:
            kind, version, length = read_header(data, pos)
            start = pos + 5
            stop = start + length
            if kind != APPLICATION_DATA or version != TLS12 or not least <= length <= most or stop > end:
                break
            if length != known:
                known, header = length, record_header(kind, version, length)
            try:
                inner = decrypt((iv ^ sequence).to_bytes(12, "big"), view[start:stop], header)
            except InvalidTag:
                break
            if inner[-1] != APPLICATION_DATA:
                break
            sequence += 1
            found.append(inner)
            pos = stop
        self.sequence = sequence
        if len(found) == 1:
            return pos, found[0][:-1]
        return pos, b"".join([memoryview(inner)[:-1] for inner in found])

    @property
    def secret(self) -> bytes:
        """The traffic secret these keys come from."""
        return self._secret

    def updated(self) -> Aead13:
        """The keys after a KeyUpdate (RFC 8446 7.2)."""
        return Aead13(self._suite, keys.next_traffic_secret(prf_hash(self._suite), self._secret))


class Aead12(Protection):
    """TLS 1.2 AEAD (RFC 5246 6.2.3.3): GCM (RFC 5288) and CCM (RFC 6655) send part of the nonce."""

    __slots__ = ("_decrypt", "_encrypt", "_explicit", "_iv", "_salt", "_tag")

    def __init__(self, chosen: Suite, key: bytes, iv: bytes) -> None:
        super().__init__()
        _, make, self._tag = _recipe(chosen)
        aead = make(key)
        self._decrypt, self._encrypt = aead.decrypt, aead.encrypt
        self._explicit = 8 if len(iv) == 4 else 0
        self._salt = iv
        self._iv = int.from_bytes(iv, "big")

    def open_record(self, content_type: int, version: int, fragment: Buffer) -> tuple[int, bytes]:
        """See ``Protection``."""
        sequence = self.sequence
        explicit = self._explicit
        size = len(fragment) - explicit - self._tag
        if size < 0:
            raise BadRecord("too short for its tag")
        if explicit:
            nonce = b"".join((self._salt, fragment[:explicit]))
            fragment = fragment[explicit:]
        else:
            nonce = (self._iv ^ sequence).to_bytes(12, "big")
        try:
            plaintext = self._decrypt(nonce, fragment, mac_header(sequence, content_type, version, size))
        except InvalidTag:
            raise BadRecord("tag does not verify") from None
        self.sequence = sequence + 1
        return content_type, plaintext

    def seal_record(self, content_type: int, plaintext: bytes, padding: int = 0) -> bytes:
        """See ``Protection``."""
        parts: list[bytes] = []
        self.seal_run(content_type, plaintext, len(plaintext) or 1, parts)
        return b"".join(parts)

    def seal_run(self, content_type: int, plaintext: Buffer, limit: int, out: list[bytes]) -> None:
        """See ``Protection``; the explicit nonce is the sequence number."""
        total = len(plaintext)
        explicit, tag, encrypt = self._explicit, self._tag, self._encrypt
        part: Buffer = plaintext
        size = total
        view = memoryview(plaintext) if total > limit else None
        for at in range(0, total or 1, limit):
            if view is not None:
                part = view[at : at + limit]
                size = len(part)
            sequence = self.sequence
            self.sequence = sequence + 1
            covered = mac_header(sequence, content_type, TLS12, size)
            head = record_header(content_type, TLS12, explicit + size + tag)
            if explicit:
                number = covered[:8]
                out += head, number, encrypt(self._salt + number, part, covered)
            else:
                out += head, encrypt((self._iv ^ sequence).to_bytes(12, "big"), part, covered)

    def open_run(self, data: Buffer, pos: int, limit: int) -> tuple[int, bytes]:
        """See ``Protection``."""
        sequence, explicit, decrypt, salt = self.sequence, self._explicit, self._decrypt, self._salt
        view, end = memoryview(data), len(data)
        extra = explicit + self._tag
        found: list[bytes] = []
        while end - pos > 5:
            kind, version, length = read_header(data, pos)
            start = pos + 5
            stop = start + length
            size = length - extra
            if kind != APPLICATION_DATA or version != TLS12 or not 0 < size <= limit or stop > end:
                break
            if explicit:
                nonce = b"".join((salt, view[start : start + 8]))
                start += 8
            else:
                nonce = (self._iv ^ sequence).to_bytes(12, "big")
            try:
                found.append(decrypt(nonce, view[start:stop], mac_header(sequence, kind, version, size)))
            except InvalidTag:
                break
            sequence += 1
            pos = stop
        self.sequence = sequence
        return pos, found[0] if len(found) == 1 else b"".join(found)
