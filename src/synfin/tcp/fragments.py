"""Fragments of IP packets, put together again as RFC 791 3.2 and RFC 8200 4.5 say, within narrow bounds.

TCP avoids being fragmented, but a router may cut an IPv4 packet without DF, and a host must take the pieces (RFC 1122
3.3.2).  What overlaps is thrown away with all its packet (RFC 5722; for IPv4 too), an exact repeat is passed over.  At
most ``MOST`` packets wait at a time, the oldest makes room; none waits longer than half a minute or has more than
``PIECES`` pieces.
"""

from __future__ import annotations

from typing import NamedTuple

from synfin.tcp.config import SECOND
from synfin.wire.checksum import checksum
from synfin.wire.codec import Buffer

MOST, PIECES = 64, 64
_LIFETIME = 30 * SECOND
_FRAGMENT = 44
_EXTENSIONS = (0, 43, 60)  # hop by hop, routing, destination options

_Name = tuple[bytes, bytes, int, int]


class _Piece(NamedTuple):
    name: _Name
    start: int
    more: bool
    head: bytes  # what stands before the data in the whole packet, its lengths not yet right
    data: bytes


class _Waiting:
    __slots__ = ("end", "head", "pieces", "since")

    def __init__(self, now: int) -> None:
        self.since = now
        self.head = b""
        self.end = -1
        self.pieces: dict[int, bytes] = {}


class Fragments:
    """The packets of a host that have come in part."""

    __slots__ = ("_waiting", "refused")

    def __init__(self) -> None:
        self._waiting: dict[_Name, _Waiting] = {}
        self.refused = 0  # packets given up: overlaps, too many pieces, too late

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self, data: Buffer, now: int) -> Buffer | None:
        """A packet that is no fragment comes back as it is; of a fragment the whole packet, or None while it waits."""
        piece = _piece(data)
        if piece is None:
            return data
        waiting = self._waiting
        for name in [name for name, known in waiting.items() if now - known.since > _LIFETIME]:
            self._give_up(name)
        found = waiting.get(piece.name)
        if found is None:
            if len(waiting) >= MOST:
                self._give_up(next(iter(waiting)))
            found = waiting[piece.name] = _Waiting(now)
        if not self._fits(found, piece):
            self._give_up(piece.name)
            return None
        return self._whole(piece.name, found)

    def _fits(self, found: _Waiting, piece: _Piece) -> bool:
        start, end = piece.start, piece.start + len(piece.data)
        if (piece.more and len(piece.data) & 7) or end > 65535 or not piece.data:
            return False
        if found.pieces.get(start) == piece.data:
            return True
        if any(start < at + len(data) and at < end for at, data in found.pieces.items()):
            return False
        if len(found.pieces) >= PIECES or (found.end >= 0 and (end > found.end or not piece.more)):
            return False
        if not piece.more:
            if any(at + len(data) > end for at, data in found.pieces.items()):
                return False
            found.end = end
        if not start:
            found.head = piece.head
        found.pieces[start] = piece.data
        return True

    def _whole(self, name: _Name, found: _Waiting) -> bytes | None:
        if sum(map(len, found.pieces.values())) != found.end:
            return None
        del self._waiting[name]
        body = b"".join(data for _, data in sorted(found.pieces.items()))
        head = bytearray(found.head)
        if head[0] >> 4 == 4:
            if len(head) + len(body) > 65535:
                return None
            head[2:4] = (len(head) + len(body)).to_bytes(2, "big")
            head[6:8] = head[10:12] = bytes(2)
            head[10:12] = checksum(bytes(head)).to_bytes(2, "big")
        else:
            if len(head) - 40 + len(body) > 65535:
                return None
            head[4:6] = (len(head) - 40 + len(body)).to_bytes(2, "big")
        return bytes(head) + body

    def _give_up(self, name: _Name) -> None:
        del self._waiting[name]
        self.refused += 1


def _piece(data: Buffer) -> _Piece | None:
    """A fragment taken apart; None for what is none (and for what is too damaged to tell)."""
    view = memoryview(data)
    if len(view) < 20:
        return None
    if view[0] >> 4 == 4:
        word = view[6] << 8 | view[7]
        start, total = (view[0] & 15) * 4, view[2] << 8 | view[3]
        if not word & 0x3FFF or not 20 <= start <= total <= len(view) or checksum(bytes(view[:start])):
            return None
        name = (bytes(view[12:16]), bytes(view[16:20]), view[9], view[4] << 8 | view[5])
        return _Piece(name, (word & 0x1FFF) * 8, bool(word & 0x2000), bytes(view[:start]), bytes(view[start:total]))
    if view[0] >> 4 != 6 or len(view) < 48:
        return None
    end = min(40 + (view[4] << 8 | view[5]), len(view))
    kind, at, where = view[6], 40, 6  # ``where`` the number of the next header stands
    while kind in _EXTENSIONS and at + 8 <= end:
        kind, where, at = view[at], at, at + (view[at + 1] + 1) * 8
    if kind != _FRAGMENT or at + 8 > end:
        return None
    word = view[at + 2] << 8 | view[at + 3]
    if not word & 0xFFF9:
        return None  # an atomic fragment is a whole packet (RFC 6946)
    head = bytearray(view[:at])
    head[where] = view[at]
    name = (bytes(view[8:24]), bytes(view[24:40]), 6, int.from_bytes(view[at + 4 : at + 8], "big"))
    return _Piece(name, word & 0xFFF8, bool(word & 1), bytes(head), bytes(view[at + 8 : end]))
