"""Names in many hellos at once: ClientHello and ServerHello read in lock step by array operations.

All hellos advance together, one field at a time; the only loop is over extensions, as many turns as the longest hello
has.  A hello that is not whole in its first segment, not alone in its record or not well formed is not ``known`` and
left to the careful reader.  RFC 8446 4.1.2, 4.1.3; RFC 6066 3; RFC 7301 3.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from synfin.capture.gather import gather, u16

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Octets = NDArray[np.uint8]

_TURNS = 64  # extensions looked at


class ClientNames(NamedTuple):
    """Per hello: whether it was read, and where its server name stands (size 0: none)."""

    known: Bools
    at: Ints
    size: Ints


class ServerChoices(NamedTuple):
    """Per hello: whether it was read, version and suite chosen, and where the ALPN choice stands (size 0: none)."""

    known: Bools
    version: Ints
    cipher: Ints
    alpn_at: Ints
    alpn_size: Ints


class _Hellos:
    """Where all hellos stand: ``pos`` of the next field, ``end`` of the message; ``good`` while well formed."""

    def __init__(self, octets: Octets, at: Ints, size: Ints, message: int, *, alone: bool) -> None:
        self.octets = octets
        self.last = octets.size - 1
        self.good = (at >= 0) & (size >= 5 + 4 + 2 + 32 + 1)
        self.pos = np.where(self.good, at, 0)
        record = self.u16(3)
        length = self.u8(6) << 16 | self.u16(7)
        self.good &= (self.u8(0) == 22) & (self.u8(1) == 3) & (self.u8(5) == message)
        self.good &= (length + 4 == record) if alone else (length + 4 <= record)
        self.good &= length + 9 <= size
        self.end = self.pos + 9 + length
        self.legacy = self.u16(9)
        self.random = self.u16(11) << 16 | self.u16(13)
        self.pos = self.pos + 43

    def u8(self, ahead: int = 0) -> Ints:
        """The octet ``ahead`` of each place."""
        octets: Ints = self.octets[np.minimum(self.pos + ahead, self.last)].astype(np.int64)
        return octets

    def u16(self, ahead: int = 0) -> Ints:
        """The two octets ``ahead`` of each place as a number."""
        return self.u8(ahead) << 8 | self.u8(ahead + 1)

    def skip(self, prefix: int) -> None:
        """Pass a vector with a length of ``prefix`` octets."""
        size = self.u8() if prefix == 1 else self.u16()
        self.pos = self.pos + prefix + size
        self.good &= self.pos <= self.end

    def extensions(self) -> Iterator[tuple[Ints, Ints, Ints, Ints]]:
        """All extensions in lock step: which hellos have one at this turn, its type, where its data is and how long.

        A hello that ends before the extensions block has none; one whose extensions do not fill it is not ``good``.
        """
        none = self.pos == self.end
        self.good &= none | (self.pos + 2 + self.u16() == self.end)
        which = np.flatnonzero(self.good & ~none)
        pos, end = self.pos[which] + 2, self.end[which]
        for _ in range(_TURNS):
            going = pos < end
            which, pos, end = which[going], pos[going], end[going]
            if not which.size:
                return
            head = gather(self.octets, pos, 4)
            kind, size = u16(head, 0).astype(np.int64), u16(head, 2).astype(np.int64)
            pos = pos + 4
            yield which, kind, pos, size
            pos = pos + size
            self.good[which] &= pos <= end
        self.good[which] &= pos == end


def client_names(octets: Octets, at: Ints, size: Ints) -> ClientNames:
    """The server names of ClientHellos whose records start at ``at`` with ``size`` octets there."""
    hello = _Hellos(octets, at, size, 1, alone=True)
    hello.skip(1)
    hello.skip(2)
    hello.skip(1)
    name_at = np.zeros_like(at)
    name_size = np.zeros_like(at)
    for which, kind, place, length in hello.extensions():
        named = np.flatnonzero(kind == 0)
        who, place, length = which[named], place[named], length[named]
        head = gather(octets, np.minimum(place, octets.size), 5)
        chars = u16(head, 3).astype(np.int64)
        plain = (u16(head, 0) == length - 2) & (head[:, 2] == 0) & (chars == length - 5) & (chars > 0)
        hello.good[who] &= plain & (name_size[who] == 0)
        name_at[who], name_size[who] = place + 5, chars
    return ClientNames(hello.good, name_at, name_size)


def server_choices(octets: Octets, at: Ints, size: Ints) -> ServerChoices:
    """Version and ALPN of ServerHellos; a HelloRetryRequest (RFC 8446 4.1.3) is not ``known``."""
    hello = _Hellos(octets, at, size, 2, alone=False)
    hello.good &= hello.random != 0xCF21AD74
    hello.skip(1)
    cipher = hello.u16()
    hello.pos = hello.pos + 3
    hello.good &= hello.pos <= hello.end
    version = hello.legacy.copy()
    alpn_at = np.zeros_like(at)
    alpn_size = np.zeros_like(at)
    for which, kind, place, length in hello.extensions():
        head = gather(octets, np.minimum(place, octets.size), 3)
        chosen = (kind == 43) & (length == 2)
        version[which[chosen]] = u16(head, 0)[chosen]
        alpn = np.flatnonzero(kind == 16)
        who, chars = which[alpn], head[alpn, 2].astype(np.int64)
        hello.good[who] &= (u16(head, 0)[alpn] == length[alpn] - 2) & (chars == length[alpn] - 3)
        alpn_at[who], alpn_size[who] = place[alpn] + 3, chars
    return ServerChoices(hello.good, version, cipher, alpn_at, alpn_size)
