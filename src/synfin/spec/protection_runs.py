"""Runs of AEAD records, sealed and opened in one call (RFC 8446 5.2, RFC 5246 6.2.3.3): the path that bulk data takes.

A record is header, explicit nonce, content, content type, tag.  Of these TLS 1.3 has no explicit nonce, TLS 1.2 no
content type, and with ChaCha20 no explicit nonce either.  Runs number records and judge nothing: what is not an
ordinary record is left to whoever called.

All of it exists twice.  ``_runs.c`` is compiled where the package is installed with a C compiler at hand, and takes a
tenth to a fifth of the time off a record; elsewhere the classes of this file do the same, octet for octet.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib import import_module
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from synfin.spec.protection_base import mac_header, read_header, record_header, write_header, write_numbered
from synfin.wire.codec import Buffer

Aead = AESGCM | AESCCM | ChaCha20Poly1305

#: Records opened into one buffer.
RUN = 64
APPLICATION_DATA, TLS12 = 23, 0x0303
_LAST = 2**64 - 1
_TYPES = [bytes([number]) for number in range(256)]

#: Half a page, put before a record and cut off again.  Two buffers of one size tend to lie alike within their pages,
#: and then a processor that copies from one to the other waits for its own stores: 16 KiB take twice the time.
_APART = bytes(2048)
# glibc asks the kernel for each block of 128 KiB and more, whose pages come singly, until it has freed a larger one.
bytearray(4 << 20)


class PlainRuns(ABC):
    """The records of one direction under one key; ``sequence`` numbers the next.

    ``iv`` is 12 octets, or the 4 before an explicit nonce, ``tag`` in octets; ``inner`` is 1 for TLS 1.3, else 0.
    """

    __slots__ = ("_aead", "_explicit", "_head", "_held", "_salt", "_tag", "_xor", "sequence")

    def __init__(self, aead: Aead, iv: bytes, tag: int, inner: int) -> None:
        self._aead, self._salt, self._tag = aead, iv, tag
        self._explicit, self._xor = 12 - len(iv), int.from_bytes(iv, "big")
        self._head, self._held = b"-", 0  # the header that was seen last, and how much content its record has
        self.sequence = 0

    @abstractmethod
    def seal_run(self, content_type: int, plaintext: Buffer, limit: int) -> bytes | bytearray:
        """Records of at most ``limit`` octets of content each, one for an empty ``plaintext``.

        OverflowError where sequence numbers are used up.
        """

    @abstractmethod
    def open_run(self, data: Buffer, pos: int, limit: int) -> tuple[int, bytes | bytearray]:
        """Ordinary records of application data from ``pos`` on: where they end, and what they hold together.

        They end before a record that is anything else, is not all there, is empty, is padded, holds more than ``limit``
        octets or does not open, and after ``RUN`` records of that size.
        """

    def _number(self, records: int) -> int:
        """The first sequence number of as many records, which nobody else gets: ciphers let other threads run."""
        first = self.sequence
        if records > _LAST - first:
            raise OverflowError("sequence numbers never start again")
        self.sequence = first + records
        return first

    def _ordinary(self, header: Buffer, extra: int, limit: int) -> int:
        """How much content the record of this header has, where it may be an ordinary one; else 0."""
        if len(header) < 5:
            return 0
        if header == self._head:  # most are like the one before
            return self._held if self._held <= limit else 0
        kind, version, length = read_header(header)
        if kind != APPLICATION_DATA or version != TLS12 or not extra < length <= limit + extra:
            return 0
        self._head, self._held = bytes(header), length - extra
        return self._held


class PlainRuns13(PlainRuns):
    """TLS 1.3: content is copied once, to stand before its type, and sealed in place."""

    __slots__ = ()

    def seal_run(self, content_type: int, plaintext: Buffer, limit: int) -> bytes | bytearray:
        """See ``PlainRuns``."""
        size, tag, xor = len(plaintext), self._tag, self._xor
        if size <= limit:
            sequence = self._number(1)
            header = record_header(APPLICATION_DATA, TLS12, size + 1 + tag)
            inner = b"".join((plaintext, _TYPES[content_type]))
            return header + self._aead.encrypt((xor ^ sequence).to_bytes(12, "big"), inner, header)
        sequence = self._number(-(-size // limit))
        encrypt, content, tail = self._aead.encrypt_into, memoryview(plaintext), _TYPES[content_type] + bytes(tag)
        header = record_header(APPLICATION_DATA, TLS12, limit + 1 + tag)
        last = record_header(APPLICATION_DATA, TLS12, (size - 1) % limit + 2 + tag)
        parts: list[Buffer] = [_APART]
        for at in range(0, size, limit):
            parts += header if size - at > limit else last, content[at : at + limit], tail
        sealed = bytearray().join(parts)
        del sealed[: len(_APART)]
        view, at, whole = memoryview(sealed), 5, len(sealed)
        while at < whole:
            end = at + limit + 1
            if end >= whole - tag:
                end, header = whole - tag, last
            encrypt((xor ^ sequence).to_bytes(12, "big"), view[at:end], header, view[at : end + tag])
            sequence += 1
            at = end + tag + 5
        return sealed

    def open_run(self, data: Buffer, pos: int, limit: int) -> tuple[int, bytes | bytearray]:
        """See ``PlainRuns``; each content is opened over the type of the one before."""
        tag, xor, sequence, end = self._tag, self._xor, self.sequence, len(data)
        header = data[pos : pos + 5]
        size = self._ordinary(header, 1 + tag, limit)
        stop = pos + 6 + tag + size
        if not size or stop > end or sequence == _LAST:
            return pos, b""
        if stop == end:
            try:  # one record, the usual case of small data
                inner = self._aead.decrypt((xor ^ sequence).to_bytes(12, "big"), memoryview(data)[pos + 5 :], header)
            except InvalidTag:
                return pos, b""
            if inner[-1] != APPLICATION_DATA:
                return pos, b""
            self.sequence = sequence + 1
            return stop, inner[:-1]
        decrypt, view, out = self._aead.decrypt_into, memoryview(data), bytearray(min(end - pos, RUN * limit + 1))
        into, room, filled = memoryview(out), len(out), 0
        while size and stop <= end and (upto := filled + size) < room and sequence != _LAST:
            try:
                decrypt((xor ^ sequence).to_bytes(12, "big"), view[pos + 5 : stop], header, into[filled : upto + 1])
            except InvalidTag:
                break  # what was opened before holds
            if into[upto] != APPLICATION_DATA:
                break
            sequence += 1
            filled, pos = upto, stop
            if data[pos : pos + 5] != header:
                header = data[pos : pos + 5]
                size = self._ordinary(header, 1 + tag, limit)
            stop = pos + 6 + tag + size
        self.sequence = sequence
        into.release()
        del out[filled:]
        return pos, out


class PlainRuns12(PlainRuns):
    """TLS 1.2: content is sealed to where it goes out."""

    __slots__ = ()

    def seal_run(self, content_type: int, plaintext: Buffer, limit: int) -> bytes | bytearray:
        """See ``PlainRuns``."""
        explicit, tag, salt, total = self._explicit, self._tag, self._salt, len(plaintext)
        if total <= limit:
            sequence = self._number(1)
            covered = mac_header(sequence, content_type, TLS12, total)
            header = record_header(content_type, TLS12, explicit + total + tag)
            if explicit:
                return b"".join((header, covered[:8], self._aead.encrypt(salt + covered[:8], plaintext, covered)))
            return header + self._aead.encrypt((self._xor ^ sequence).to_bytes(12, "big"), plaintext, covered)
        records = -(-total // limit)
        sequence = self._number(records)
        sealed, encrypt = bytearray(total + records * (5 + explicit + tag)), self._aead.encrypt_into
        content, view, to = memoryview(plaintext), memoryview(sealed), 5 + explicit
        for at in range(0, total, limit):
            part = content[at : at + limit]
            size = len(part)
            covered = mac_header(sequence, content_type, TLS12, size)
            if explicit:
                write_numbered(sealed, to - 13, content_type, TLS12, 8 + size + tag, sequence)
                nonce = salt + covered[:8]
            else:
                write_header(sealed, to - 5, content_type, TLS12, size + tag)
                nonce = (self._xor ^ sequence).to_bytes(12, "big")
            encrypt(nonce, part, covered, view[to : to + size + tag])
            sequence += 1
            to += size + tag + 5 + explicit
        return sealed

    def open_run(self, data: Buffer, pos: int, limit: int) -> tuple[int, bytes | bytearray]:
        """See ``PlainRuns``."""
        explicit, tag, salt, sequence, end = self._explicit, self._tag, self._salt, self.sequence, len(data)
        extra, header, view = explicit + tag, data[pos : pos + 5], memoryview(data)
        size = self._ordinary(header, extra, limit)
        start, stop = pos + 5 + explicit, pos + 5 + extra + size
        if not size or stop > end or sequence == _LAST:
            return pos, b""
        if stop == end:
            nonce = salt + view[pos + 5 : start] if explicit else (self._xor ^ sequence).to_bytes(12, "big")
            covered = mac_header(sequence, APPLICATION_DATA, TLS12, size)
            try:  # one record, the usual case of small data
                content = self._aead.decrypt(nonce, view[start:], covered)
            except InvalidTag:
                return pos, b""
            self.sequence = sequence + 1
            return stop, content
        decrypt, out = self._aead.decrypt_into, bytearray(min(end - pos, RUN * limit))
        into, room, filled = memoryview(out), len(out), 0
        while size and stop <= end and (upto := filled + size) <= room and sequence != _LAST:
            nonce = salt + view[pos + 5 : start] if explicit else (self._xor ^ sequence).to_bytes(12, "big")
            covered = mac_header(sequence, APPLICATION_DATA, TLS12, size)
            try:
                decrypt(nonce, view[start:stop], covered, into[filled:upto])
            except InvalidTag:
                break  # what was opened before holds
            filled, pos = upto, stop
            sequence += 1
            if data[pos : pos + 5] != header:
                header = data[pos : pos + 5]
                size = self._ordinary(header, extra, limit)
            start, stop = pos + 5 + explicit, pos + 5 + extra + size
        self.sequence = sequence
        into.release()
        del out[filled:]
        return pos, out


Runs12 = PlainRuns12
Runs13 = PlainRuns13
COMPILED = False  #: whether they are those of _runs.c
if not TYPE_CHECKING:
    try:
        Runs12 = Runs13 = import_module("synfin.spec._runs").Runs
        COMPILED = True
    except ImportError:
        pass
