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
    write_header,
)
from synfin.wire.codec import Buffer
from synfin.wire.tls.suites import Suite

APPLICATION_DATA = 23
TLS12 = keys.TLS12
_TYPES = [bytes([number]) for number in range(256)]
_ROOM = {tag: bytes(tag) for tag in (8, 16)}
_TAILS = {tag: [kind + bytes(tag) for kind in _TYPES] for tag in (8, 16)}

#: Half a page, put before a record and cut off again.  Two buffers of one size tend to lie alike within their pages,
#: and then a processor that copies from one to the other waits for its own stores: 16 KiB take twice the time.
_APART = bytes(2048)
_HALF_PAGE = len(_APART)
#: Octets of content from where on that is worth while.
_MANY = 4 * _HALF_PAGE

#: Records sealed or opened in one buffer.
RUN = 64
# glibc asks the kernel for each block of 128 KiB and more, whose pages come singly, until it has freed a larger one.
bytearray(4 << 20)

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

    __slots__ = (
        "_decrypt", "_decrypt_into", "_encrypt", "_encrypt_into", "_iv", "_secret", "_suite", "_tails", "expansion"
    )  # fmt: skip

    def __init__(self, chosen: Suite, traffic_secret: bytes) -> None:
        super().__init__()
        self._suite = chosen
        self._secret = traffic_secret
        hash_name, make, tag = _recipe(chosen)
        key, iv = keys.traffic_keys(hash_name, chosen.key_length, traffic_secret)
        self._iv = int.from_bytes(iv, "big")
        aead = make(key)
        self._decrypt, self._encrypt = aead.decrypt, aead.encrypt
        self._decrypt_into, self._encrypt_into = aead.decrypt_into, aead.encrypt_into
        self._tails = _TAILS[tag]  # content type, and room for the tag
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

    def seal_run(self, content_type: int, plaintext: Buffer, limit: int, out: list[bytes | bytearray]) -> None:
        """See ``Protection``; the content is copied once, to where it is sealed in place."""
        sequence, iv, encrypt = self.sequence, self._iv, self._encrypt_into
        tag = self.expansion
        tail = self._tails[content_type]
        size = len(plaintext)
        if size <= limit:
            header = record_header(APPLICATION_DATA, TLS12, size + 1 + tag)
            self.sequence = sequence + 1
            if size < _MANY:
                sealed = bytearray().join((header, plaintext, tail))
            else:
                sealed = bytearray().join((_APART, header, plaintext, tail))
                del sealed[:_HALF_PAGE]
            view = memoryview(sealed)
            encrypt((iv ^ sequence).to_bytes(12, "big"), view[5:-tag], header, view[5:])
            out.append(sealed)
            return
        content, step = memoryview(plaintext), limit + 6 + tag
        header = record_header(APPLICATION_DATA, TLS12, limit + 1 + tag)
        whole = size - size % limit
        for start in range(0, whole, RUN * limit):
            stop = min(start + RUN * limit, whole)
            parts: list[Buffer] = [_APART]
            for at in range(start, stop, limit):
                parts += header, content[at : at + limit], tail
            sealed = bytearray().join(parts)
            del sealed[:_HALF_PAGE]
            view = memoryview(sealed)
            for at in range(5, len(sealed), step):
                end = at + limit + 1
                encrypt((iv ^ sequence).to_bytes(12, "big"), view[at:end], header, view[at : end + tag])
                sequence += 1
            self.sequence = sequence
            out.append(sealed)
        if whole < size:
            self.seal_run(content_type, content[whole:], limit, out)

    def open_run(self, data: Buffer, pos: int, limit: int) -> tuple[int, bytes | bytearray]:
        """See ``Protection``; each content is opened over the type of the one before."""
        start, end = pos + 5, len(data)
        header = data[pos:start]
        tag = self.expansion
        kind, version, length = read_header(header)
        if kind != APPLICATION_DATA or version != TLS12 or not tag + 2 <= length <= tag + 1 + limit:
            return pos, b""
        sequence, iv, decrypt = self.sequence, self._iv, self._decrypt_into
        view, size, stop = memoryview(data), length - tag, start + length
        if stop >= end:
            if stop > end:
                return pos, b""
            out = bytearray(size)  # one record, the usual case of small data
            try:
                decrypt((iv ^ sequence).to_bytes(12, "big"), view[start:], header, out)
            except InvalidTag:
                return pos, b""
            if out[-1] != APPLICATION_DATA:
                return pos, b""
            self.sequence = sequence + 1
            del out[-1]
            return stop, out
        out = bytearray(min(end - pos, RUN * (tag + 1 + limit)))
        into, room, filled = memoryview(out), len(out), 0
        try:
            while stop <= end and (upto := filled + size) <= room:
                decrypt((iv ^ sequence).to_bytes(12, "big"), view[start:stop], header, into[filled:upto])
                if into[upto - 1] != APPLICATION_DATA:
                    break
                filled = upto - 1
                sequence += 1
                pos, start = stop, stop + 5
                if data[pos:start] != header:
                    if end - pos < 5:
                        break
                    header = data[pos:start]
                    kind, version, length = read_header(header)
                    if kind != APPLICATION_DATA or version != TLS12 or not tag + 2 <= length <= tag + 1 + limit:
                        break
                    size = length - tag
                stop = start + length
        except InvalidTag:
            pass  # what was opened before holds
        self.sequence = sequence
        into.release()
        del out[filled:]
        return pos, out

    @property
    def secret(self) -> bytes:
        """The traffic secret these keys come from."""
        return self._secret

    def updated(self) -> Aead13:
        """The keys after a KeyUpdate (RFC 8446 7.2)."""
        return Aead13(self._suite, keys.next_traffic_secret(prf_hash(self._suite), self._secret))


class Aead12(Protection):
    """TLS 1.2 AEAD (RFC 5246 6.2.3.3): GCM (RFC 5288) and CCM (RFC 6655) send part of the nonce."""

    __slots__ = ("_decrypt", "_decrypt_into", "_encrypt_into", "_explicit", "_iv", "_salt", "_tag")

    def __init__(self, chosen: Suite, key: bytes, iv: bytes) -> None:
        super().__init__()
        _, make, self._tag = _recipe(chosen)
        aead = make(key)
        self._decrypt, self._decrypt_into, self._encrypt_into = aead.decrypt, aead.decrypt_into, aead.encrypt_into
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
        parts: list[bytes | bytearray] = []
        self.seal_run(content_type, plaintext, len(plaintext) or 1, parts)
        return b"".join(parts)

    def seal_run(self, content_type: int, plaintext: Buffer, limit: int, out: list[bytes | bytearray]) -> None:
        """See ``Protection``; the explicit nonce is the sequence number, and content is sealed to where it goes out."""
        explicit, tag, encrypt = self._explicit, self._tag, self._encrypt_into
        total, before = len(plaintext), 5 + explicit
        if total <= limit:
            sequence = self.sequence
            covered = mac_header(sequence, content_type, TLS12, total)
            number = covered[:explicit]
            header = record_header(content_type, TLS12, explicit + total + tag)
            if total < _MANY:
                sealed = bytearray().join((header, number, plaintext, _ROOM[tag]))
            else:
                sealed = bytearray().join((_APART, header, number, plaintext, _ROOM[tag]))
                del sealed[:_HALF_PAGE]
            view = memoryview(sealed)
            nonce = self._salt + number if explicit else (self._iv ^ sequence).to_bytes(12, "big")
            encrypt(nonce, view[before:-tag], covered, view[before:])
            self.sequence = sequence + 1
            out.append(sealed)
            return
        content = memoryview(plaintext)
        for start in range(0, total, RUN * limit):
            stop = min(start + RUN * limit, total)
            sealed = bytearray(stop - start + (1 + (stop - start - 1) // limit) * (before + tag))
            view, sequence, to = memoryview(sealed), self.sequence, before
            for at in range(start, stop, limit):
                part = content[at : at + limit]
                size = len(part)
                covered = mac_header(sequence, content_type, TLS12, size)
                write_header(sealed, to - before, content_type, TLS12, explicit + size + tag)
                if explicit:
                    view[to - explicit : to] = number = covered[:8]
                    nonce = self._salt + number
                else:
                    nonce = (self._iv ^ sequence).to_bytes(12, "big")
                encrypt(nonce, part, covered, view[to : to + size + tag])
                sequence += 1
                to += size + tag + before
            self.sequence = sequence
            out.append(sealed)

    def open_run(self, data: Buffer, pos: int, limit: int) -> tuple[int, bytes | bytearray]:
        """See ``Protection``."""
        explicit, extra = self._explicit, self._explicit + self._tag
        start, end = pos + 5 + explicit, len(data)
        kind, version, length = read_header(data, pos)
        size = length - extra
        if kind != APPLICATION_DATA or version != TLS12 or not 0 < size <= limit:
            return pos, b""
        sequence, salt, iv, view = self.sequence, self._salt, self._iv, memoryview(data)
        stop = pos + 5 + length
        if stop >= end:
            if stop > end:
                return pos, b""
            nonce = salt + data[pos + 5 : start] if explicit else (iv ^ sequence).to_bytes(12, "big")
            try:  # one record, the usual case of small data
                found = self._decrypt(nonce, view[start:], mac_header(sequence, kind, version, size))
            except InvalidTag:
                return pos, b""
            self.sequence = sequence + 1
            return stop, found
        decrypt = self._decrypt_into
        out = bytearray(min(end - pos, RUN * limit))
        into, room, filled = memoryview(out), len(out), 0
        try:
            while stop <= end and (upto := filled + size) <= room:
                nonce = salt + data[start - 8 : start] if explicit else (iv ^ sequence).to_bytes(12, "big")
                decrypt(nonce, view[start:stop], mac_header(sequence, kind, version, size), into[filled:upto])
                filled = upto
                sequence += 1
                pos = stop
                if end - pos < 5:
                    break
                kind, version, length = read_header(data, pos)
                size = length - extra
                if kind != APPLICATION_DATA or version != TLS12 or not 0 < size <= limit:
                    break
                start, stop = pos + 5 + explicit, pos + 5 + length
        except InvalidTag:
            pass  # what was opened before holds
        self.sequence = sequence
        into.release()
        del out[filled:]
        return pos, out
