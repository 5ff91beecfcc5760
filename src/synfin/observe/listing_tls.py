"""Names in many hellos at once: ClientHello and ServerHello read in lock step by array operations.

All hellos advance together, one field at a time; the only loop is over extensions, as many turns as the longest hello
has.  A hello that is not whole in its first segment, not alone in its record or not well formed is not ``known`` and
left to the careful reader.  RFC 8446 4.1.2, 4.1.3; RFC 6066 3; RFC 7301 3.1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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
        return self.octets[np.minimum(self.pos + ahead, self.last)].astype(np.int64)

    def u16(self, ahead: int = 0) -> Ints:
        """The two octets ``ahead`` of each place as a number."""
        return self.u8(ahead) << 8 | self.u8(ahead + 1)

    def skip(self, prefix: int) -> None:
        """Pass a vector with a length of ``prefix`` octets."""
        size = self.u8() if prefix == 1 else self.u16()
        self.pos = self.pos + prefix + size
        self.good &= self.pos <= self.end

    def extensions(self) -> None:
        """Enter the extensions block; a hello that ends before it has none."""
        none = self.pos == self.end
        self.good &= none | (self.pos + 2 + self.u16() == self.end)
        self.pos = np.where(none, self.pos, self.pos + 2)


def client_names(octets: Octets, at: Ints, size: Ints) -> ClientNames:
    """The server names of ClientHellos whose records start at ``at`` with ``size`` octets there."""
    hello = _Hellos(octets, at, size, 1, alone=True)
    hello.skip(1)
    hello.skip(2)
    hello.skip(1)
    hello.extensions()
    name_at = np.zeros_like(at)
    name_size = np.zeros_like(at)
    open_ = hello.good & (hello.pos < hello.end)
    for _ in range(_TURNS):
        if not open_.any():
            break
        kind, length = hello.u16(), hello.u16(2)
        stop = hello.pos + 4 + length
        hello.good &= ~open_ | (stop <= hello.end)
        named = open_ & hello.good & (kind == 0)
        chars = hello.u16(7)
        plain = (hello.u16(4) == length - 2) & (hello.u8(6) == 0) & (chars == length - 5) & (chars > 0)
        hello.good &= ~named | (plain & (name_size == 0))
        named &= plain
        name_at = np.where(named, hello.pos + 9, name_at)
        name_size = np.where(named, chars, name_size)
        hello.pos = np.where(open_, stop, hello.pos)
        open_ &= hello.good & (hello.pos < hello.end)
    return ClientNames(hello.good & (hello.pos == hello.end), name_at, name_size)


def server_choices(octets: Octets, at: Ints, size: Ints) -> ServerChoices:
    """Version and ALPN of ServerHellos; a HelloRetryRequest (RFC 8446 4.1.3) is not ``known``."""
    hello = _Hellos(octets, at, size, 2, alone=False)
    hello.good &= hello.random != 0xCF21AD74
    hello.skip(1)
    cipher = hello.u16()
    hello.pos = hello.pos + 3
    hello.good &= hello.pos <= hello.end
    hello.extensions()
    version = hello.legacy.copy()
    alpn_at = np.zeros_like(at)
    alpn_size = np.zeros_like(at)
    open_ = hello.good & (hello.pos < hello.end)
    for _ in range(_TURNS):
        if not open_.any():
            break
        kind, length = hello.u16(), hello.u16(2)
        stop = hello.pos + 4 + length
        hello.good &= ~open_ | (stop <= hello.end)
        open_ &= hello.good
        version = np.where(open_ & (kind == 43) & (length == 2), hello.u16(4), version)
        chose = open_ & (kind == 16)
        chars = hello.u8(6)
        hello.good &= ~chose | ((hello.u16(4) == length - 2) & (chars == length - 3))
        alpn_at = np.where(chose, hello.pos + 7, alpn_at)
        alpn_size = np.where(chose, chars, alpn_size)
        hello.pos = np.where(open_, stop, hello.pos)
        open_ &= hello.good & (hello.pos < hello.end)
    return ServerChoices(hello.good & (hello.pos == hello.end), version, cipher, alpn_at, alpn_size)
