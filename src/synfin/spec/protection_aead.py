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
    write_numbered,
)
from synfin.wire.codec import Buffer
from synfin.wire.tls.suites import Suite

APPLICATION_DATA = 23
TLS12 = keys.TLS12
_TYPES = [bytes([number]) for number in range(256)]
_TAILS = {tag: [kind + bytes(tag) for kind in _TYPES] for tag in (8, 16)}

#: Half a page, put before a record and cut off again.  Two buffers of one size tend to lie alike within their pages,
#: and then a processor that copies from one to the other waits for its own stores: 16 KiB take twice the time.
_APART = bytes(2048)
_HALF_PAGE = len(_APART)

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
        "_decrypt", "_decrypt_into", "_encrypt", "_encrypt_into", "_header", "_iv", "_sealed", "_secret", "_size",
        "_suite", "_tails", "_whole", "expansion",
    )  # fmt: skip

    def __init__(self, chosen: Suite, traffic_secret: bytes) -> None:
        super().__init__()
        self._suite = chosen
        self._header, self._whole = b"-", 0  # of the record that open_run saw last, and its octets in all
        self._sealed, self._size = b"", 0  # the header sealed last, and what it says of its content
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

    def seal_record(self, content_type: int, plaintext: Buffer, padding: int = 0) -> bytes:
        """See ``Protection``."""
        inner = b"".join((plaintext, _TYPES[content_type]))
        if padding:
            inner += bytes(padding)
        size, sequence = len(inner), self.sequence
        if size != self._size:
            self._size, self._sealed = size, record_header(APPLICATION_DATA, TLS12, size + self.expansion)
        header = self._sealed
        self.sequence = sequence + 1
        return header + self._encrypt((self._iv ^ sequence).to_bytes(12, "big"), inner, header)

    def seal_run(self, content_type: int, plaintext: Buffer, limit: int, out: list[bytes | bytearray]) -> None:
        """See ``Protection``; the content is copied once, to where it is sealed in place."""
        sequence, iv, encrypt = self.sequence, self._iv, self._encrypt_into
        tag, tail = self.expansion, self._tails[content_type]
        content, step = memoryview(plaintext), limit + 6 + tag
        header = record_header(APPLICATION_DATA, TLS12, limit + 1 + tag)
        size = len(content)
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
        if whole < size or not size:
            out.append(self.seal_record(content_type, content[whole:]))

    def open_run(self, data: Buffer, pos: int, limit: int) -> tuple[int, bytes | bytearray]:
        """See ``Protection``; each content is opened over the type of the one before."""
        start, end = pos + 5, len(data)
        header = data[pos:start]
        if header != self._header:  # most are like the one before
            whole = self._ordinary(header, limit)
            if not whole:
                return pos, b""
            self._header, self._whole = bytes(header), whole
        whole, sequence, iv = self._whole, self.sequence, self._iv
        stop = pos + whole
        if stop >= end:
            if stop > end:
                return pos, b""
            try:  # one record, the usual case of small data
                inner = self._decrypt((iv ^ sequence).to_bytes(12, "big"), memoryview(data)[start:], header)
            except InvalidTag:
                return pos, b""
            if inner[-1] != APPLICATION_DATA:
                return pos, b""
            self.sequence = sequence + 1
            return stop, inner[:-1]
        tag, decrypt, view = self.expansion, self._decrypt_into, memoryview(data)
        out = bytearray(min(end - pos, RUN * (tag + 1 + limit)))
        into, room, filled, size = memoryview(out), len(out), 0, whole - 5 - tag
        try:
            while stop <= end and (upto := filled + size) <= room:
                decrypt((iv ^ sequence).to_bytes(12, "big"), view[start:stop], header, into[filled:upto])
                if into[upto - 1] != APPLICATION_DATA:
                    break
                filled = upto - 1
                sequence += 1
                pos, start = stop, stop + 5
                if data[pos:start] != header:
                    header = data[pos:start]
                    whole = self._ordinary(header, limit)
                    if not whole:
                        break
                    size = whole - 5 - tag
                stop = pos + whole
        except InvalidTag:
            pass  # what was opened before holds
        self.sequence = sequence
        into.release()
        del out[filled:]
        return pos, out

    def _ordinary(self, header: Buffer, limit: int) -> int:
        """How long the record of this header is in all, where it may be one that ``open_run`` opens; else 0."""
        if len(header) < 5:
            return 0
        kind, version, length = read_header(header)
        fits = kind == APPLICATION_DATA and version == TLS12 and 2 <= length - self.expansion <= limit + 1
        return 5 + length if fits else 0

    @property
    def secret(self) -> bytes:
        """The traffic secret these keys come from."""
        return self._secret

    def updated(self) -> Aead13:
        """The keys after a KeyUpdate (RFC 8446 7.2)."""
        return Aead13(self._suite, keys.next_traffic_secret(prf_hash(self._suite), self._secret))


class Aead12(Protection):
    """TLS 1.2 AEAD (RFC 5246 6.2.3.3): GCM (RFC 5288) and CCM (RFC 6655) send part of the nonce."""

    __slots__ = (
        "_decrypt", "_decrypt_into", "_encrypt", "_encrypt_into", "_explicit", "_header", "_iv", "_salt", "_size",
        "_tag",
    )  # fmt: skip

    def __init__(self, chosen: Suite, key: bytes, iv: bytes) -> None:
        super().__init__()
        _, make, self._tag = _recipe(chosen)
        aead = make(key)
        self._decrypt, self._encrypt = aead.decrypt, aead.encrypt
        self._decrypt_into, self._encrypt_into = aead.decrypt_into, aead.encrypt_into
        self._explicit = 8 if len(iv) == 4 else 0
        self._header, self._size = b"-", 0  # of the record that open_run saw last, and what it holds
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

    def seal_record(self, content_type: int, plaintext: Buffer, padding: int = 0) -> bytes:
        """See ``Protection``; the explicit nonce is the sequence number."""
        explicit, sequence, size = self._explicit, self.sequence, len(plaintext)
        covered = mac_header(sequence, content_type, TLS12, size)
        self.sequence = sequence + 1
        if explicit:
            number = covered[:8]
            header = record_header(content_type, TLS12, 8 + size + self._tag) + number
            return header + self._encrypt(self._salt + number, plaintext, covered)
        header = record_header(content_type, TLS12, size + self._tag)
        return header + self._encrypt((self._iv ^ sequence).to_bytes(12, "big"), plaintext, covered)

    def seal_run(self, content_type: int, plaintext: Buffer, limit: int, out: list[bytes | bytearray]) -> None:
        """See ``Protection``; content is sealed to where it goes out."""
        total = len(plaintext)
        if total <= limit:
            out.append(self.seal_record(content_type, plaintext))
            return
        explicit, tag, encrypt, salt, iv = self._explicit, self._tag, self._encrypt_into, self._salt, self._iv
        before = 5 + explicit
        content = memoryview(plaintext)
        for start in range(0, total, RUN * limit):
            stop = min(start + RUN * limit, total)
            sealed = bytearray(stop - start + (1 + (stop - start - 1) // limit) * (before + tag))
            view, sequence, to = memoryview(sealed), self.sequence, before
            for at in range(start, stop, limit):
                part = content[at : at + limit]
                size = len(part)
                covered = mac_header(sequence, content_type, TLS12, size)
                if explicit:
                    write_numbered(sealed, to - 13, content_type, TLS12, 8 + size + tag, sequence)
                    nonce = salt + covered[:8]
                else:
                    write_header(sealed, to - 5, content_type, TLS12, size + tag)
                    nonce = (iv ^ sequence).to_bytes(12, "big")
                encrypt(nonce, part, covered, view[to : to + size + tag])
                sequence += 1
                to += size + tag + before
            self.sequence = sequence
            out.append(sealed)

    def open_run(self, data: Buffer, pos: int, limit: int) -> tuple[int, bytes | bytearray]:
        """See ``Protection``."""
        end, header = len(data), data[pos : pos + 5]
        if header != self._header:  # most are like the one before
            size = self._ordinary(header, limit)
            if not size:
                return pos, b""
            self._header, self._size = bytes(header), size
        size = self._size
        explicit, tag, salt, iv, sequence = self._explicit, self._tag, self._salt, self._iv, self.sequence
        head, whole = 5 + explicit, 5 + explicit + size + tag
        start, stop = pos + head, pos + whole
        if stop >= end:
            if stop > end:
                return pos, b""
            nonce = salt + data[pos + 5 : start] if explicit else (iv ^ sequence).to_bytes(12, "big")
            covered = mac_header(sequence, APPLICATION_DATA, TLS12, size)
            try:  # one record, the usual case of small data
                content = self._decrypt(nonce, memoryview(data)[start:], covered)
            except InvalidTag:
                return pos, b""
            self.sequence = sequence + 1
            return stop, content
        decrypt, view = self._decrypt_into, memoryview(data)
        out = bytearray(min(end - pos, RUN * limit))
        into, room, filled = memoryview(out), len(out), 0
        try:
            while stop <= end and (upto := filled + size) <= room:
                nonce = salt + data[pos + 5 : start] if explicit else (iv ^ sequence).to_bytes(12, "big")
                covered = mac_header(sequence, APPLICATION_DATA, TLS12, size)
                decrypt(nonce, view[start:stop], covered, into[filled:upto])
                filled = upto
                sequence += 1
                pos = stop
                if data[pos : pos + 5] != header:
                    header = data[pos : pos + 5]
                    size = self._ordinary(header, limit)
                    if not size:
                        break
                    whole = head + size + tag
                start, stop = pos + head, pos + whole
        except InvalidTag:
            pass  # what was opened before holds
        self.sequence = sequence
        into.release()
        del out[filled:]
        return pos, out

    def _ordinary(self, header: Buffer, limit: int) -> int:
        """How much the record of this header holds, where it may be one that ``open_run`` opens; else 0."""
        if len(header) < 5:
            return 0
        kind, version, length = read_header(header)
        size = length - self._explicit - self._tag
        return size if kind == APPLICATION_DATA and version == TLS12 and 0 < size <= limit else 0
