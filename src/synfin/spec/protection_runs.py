"""Runs of AEAD records, sealed and opened in one call (RFC 8446 5.2, RFC 5246 6.2.3.3): the path that bulk data takes.

``Runs`` knows one layout: header, explicit nonce, content, content type, tag.  Of these TLS 1.3 has no explicit nonce,
TLS 1.2 no content type (``inner`` is 0), and with ChaCha20 no explicit nonce either.  It numbers records and judges
nothing: what is not an ordinary record is left to whoever called.

It exists twice.  ``_runs.c`` is compiled where the package is installed with a C compiler at hand, and takes a tenth to
a sixth of the time off a record; elsewhere ``PlainRuns`` does the same, octet for octet.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag

from synfin.spec.protection_base import mac_header, read_header, record_header
from synfin.wire.codec import Buffer

#: Records opened into one buffer.
RUN = 64
APPLICATION_DATA, TLS12 = 23, 0x0303
_LAST = 2**64 - 1

#: Half a page, put before a record and cut off again.  Two buffers of one size tend to lie alike within their pages,
#: and then a processor that copies from one to the other waits for its own stores: 16 KiB take twice the time.
_APART = bytes(2048)
# glibc asks the kernel for each block of 128 KiB and more, whose pages come singly, until it has freed a larger one.
bytearray(4 << 20)

Into = Callable[[bytes, Any, bytes, Any], int]


class PlainRuns:
    """The records of one direction under one key; ``sequence`` numbers the next.

    ``encrypt_into`` and ``decrypt_into`` are those of an AEAD of ``cryptography``, ``iv`` is 12 octets, or the 4 before
    an explicit nonce, ``tag`` in octets; ``inner`` is 1 for TLS 1.3, else 0.
    """

    __slots__ = ("_decrypt_into", "_encrypt_into", "_explicit", "_inner", "_iv", "_mask", "_tag", "sequence")

    def __init__(self, encrypt_into: Into, decrypt_into: Into, iv: bytes, tag: int, inner: int) -> None:
        self._encrypt_into, self._decrypt_into = encrypt_into, decrypt_into
        self._iv, self._tag, self._inner = iv, tag, inner
        self._explicit, self._mask = 12 - len(iv), int.from_bytes(iv, "big")
        self.sequence = 0

    def seal_run(self, content_type: int, plaintext: Buffer, limit: int) -> bytes | bytearray:
        """Records of at most ``limit`` octets of content each, one for an empty ``plaintext``.

        OverflowError where sequence numbers are used up.
        """
        tag, inner, explicit, sequence, total = self._tag, self._inner, self._explicit, self.sequence, len(plaintext)
        before = 5 + explicit
        if max(1, -(-total // limit)) > _LAST - sequence:
            raise OverflowError("sequence numbers never start again")
        parts: list[Buffer] = [_APART]
        tail = bytes([content_type] * inner) + bytes(tag)
        source = memoryview(plaintext)
        for at in range(0, total or 1, limit):  # content is copied once, to where it is sealed in place
            part = source[at : at + limit]
            header = record_header(
                APPLICATION_DATA if inner else content_type, TLS12, explicit + len(part) + inner + tag
            )
            parts += header, bytes(explicit), part, tail
        sealed = bytearray().join(parts)
        del sealed[: len(_APART)]
        to = before
        with memoryview(sealed) as view:
            for at in range(0, total or 1, limit):
                size = min(limit, total - at)
                nonce = (self._mask ^ sequence).to_bytes(12, "big")
                if explicit:
                    view[to - 8 : to] = number = sequence.to_bytes(8, "big")
                    nonce = self._iv + number
                covered = bytes(view[to - 5 : to]) if inner else mac_header(sequence, content_type, TLS12, size)
                end = to + size + inner
                self._encrypt_into(nonce, view[to:end], covered, view[to : end + tag])
                sequence += 1
                to = end + tag + before
        self.sequence = sequence
        return sealed

    def open_run(self, data: Buffer, pos: int, limit: int) -> tuple[int, bytes | bytearray]:
        """Ordinary records of application data from ``pos`` on: where they end, and what they hold together.

        They end before a record that is anything else, is not all there, is empty, is padded, holds more than ``limit``
        octets or does not open, and after ``RUN`` records of that size.
        """
        tag, inner, explicit, sequence = self._tag, self._inner, self._explicit, self.sequence
        end, before = len(data), 5 + explicit
        view = memoryview(data)
        out = bytearray(max(0, min(end - pos, RUN * limit + inner)))
        filled, room = 0, len(out)
        with memoryview(out) as into:
            while end - pos >= 5 and sequence != _LAST:
                kind, version, length = read_header(data, pos)
                size = length - explicit - tag
                start, stop, upto = pos + before, pos + 5 + length, filled + size
                if kind != APPLICATION_DATA or version != TLS12 or not inner < size <= limit + inner:
                    break
                if stop > end or upto > room:
                    break
                nonce = self._iv + view[start - 8 : start] if explicit else (self._mask ^ sequence).to_bytes(12, "big")
                covered = bytes(view[pos : pos + 5]) if inner else mac_header(sequence, kind, TLS12, size)
                try:
                    self._decrypt_into(nonce, view[start:stop], covered, into[filled:upto])
                except InvalidTag:
                    break
                if inner and out[upto - 1] != APPLICATION_DATA:
                    break
                filled = upto - inner  # the next content goes over this one's type
                pos = stop
                sequence += 1
        del out[filled:]
        self.sequence = sequence
        return pos, out


Runs = PlainRuns
COMPILED = False  #: whether it is the one of _runs.c
if not TYPE_CHECKING:
    try:
        Runs, COMPILED = import_module("synfin.spec._runs").Runs, True
    except ImportError:
        pass
