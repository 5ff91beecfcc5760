"""One direction of a byte stream, put back in order, each byte still knowing its packet.

The stream is a list of pieces in stream order, each with the packet that first brought its bytes.  Offsets count
from the first octet after the SYN (or from the first octet seen when the start is missing).  Holes are octets that
were never captured: known to be missing from the sequence numbers, reported by ``holes``, never papered over.
Bytes that arrived twice with different content are kept as ``Overlap`` facts; the first copy is used.
Decrypted application data is a stream of the same shape, so HTTP is watched the same way over either.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple


class Piece(NamedTuple):
    """Octets ``offset .. offset + len(data)`` brought by packet ``packet`` and readable in order at ``ready``."""

    offset: int
    data: bytes
    packet: int  # the packet that carried them
    time: int  # when that packet was seen, ns
    ready: int  # when everything before was there too, ns (= time unless a hole was filled later)


class Overlap(NamedTuple):
    """The same octets were sent twice with different content (RFC 9293 3.10.7.4: the first copy counts)."""

    offset: int
    length: int
    first_packet: int
    second_packet: int


class Hole(NamedTuple):
    """Octets ``offset .. offset + length`` that no captured packet carries."""

    offset: int
    length: int
    acknowledged: bool  # the receiver acknowledged them: they existed, the capture missed them


class ByteStream:
    """The bytes one side sent, in order.  ``pieces`` are sorted by offset and never overlap."""

    __slots__ = ("_pieces", "_starts", "holes", "overlaps")

    def __init__(self, pieces: list[Piece], holes: tuple[Hole, ...] = (), overlaps: tuple[Overlap, ...] = ()) -> None:
        self._pieces = pieces
        self.holes = holes
        self.overlaps = overlaps
        self._starts: list[int] | None = None

    @property
    def pieces(self) -> list[Piece]:
        """The pieces with their bytes (``observe.reassemble`` makes them only when asked)."""
        return self._pieces

    @property
    def end(self) -> int:
        """The offset after the last captured octet."""
        if not self.pieces:
            return 0
        last = self.pieces[-1]
        return last.offset + len(last.data)

    def layout(self) -> tuple[list[int], list[int]]:
        """Where each piece starts and how many octets it has, without touching the octets."""
        pieces = self.pieces
        if self._starts is None:
            self._starts = [piece.offset for piece in pieces]
        return self._starts, [len(piece.data) for piece in pieces]

    def octets(self, at: int) -> bytes:
        """The octets of piece ``at``."""
        return self.pieces[at].data

    def origin(self, at: int) -> tuple[int, int]:
        """The packet that brought piece ``at``, and when the piece could be read in order, ns."""
        piece = self.pieces[at]
        return piece.packet, piece.ready

    def index(self, offset: int) -> int:
        """Index of the piece that holds ``offset``, or of the last piece before it (-1: none)."""
        if self._starts is None:
            self._starts = [piece.offset for piece in self.pieces]
        return bisect_right(self._starts, offset) - 1

    def read(self, offset: int, size: int) -> bytes:
        """The octets from ``offset`` up to ``size`` of them, stopping at the first hole or the end."""
        at = self.index(offset)
        if at < 0:
            return b""
        first = self.pieces[at]
        begin = offset - first.offset
        if begin >= len(first.data):
            return b""
        if begin + size <= len(first.data):
            return first.data[begin : begin + size]
        parts = [first.data[begin:]]
        got = len(parts[0])
        reached = first.offset + len(first.data)
        for k in range(at + 1, len(self.pieces)):
            piece = self.pieces[k]
            if got >= size or piece.offset != reached:
                break
            parts.append(piece.data[: size - got])
            got += len(parts[-1])
            reached += len(piece.data)
        return b"".join(parts)

    def contiguous(self, offset: int) -> int:
        """How many octets can be read from ``offset`` before a hole or the end."""
        at = self.index(offset)
        if at < 0:
            return 0
        piece = self.pieces[at]
        reached = piece.offset + len(piece.data)
        if reached <= offset:
            return 0
        for k in range(at + 1, len(self.pieces)):
            piece = self.pieces[k]
            if piece.offset != reached:
                break
            reached += len(piece.data)
        return reached - offset

    def packets(self, offset: int, size: int) -> tuple[int, ...]:
        """The packets that carried the octets ``offset .. offset + size``, in stream order, each once."""
        at = max(self.index(offset), 0)
        seen: dict[int, None] = {}
        for k in range(at, len(self.pieces)):
            piece = self.pieces[k]
            if piece.offset >= offset + size:
                break
            if piece.offset + len(piece.data) > offset:
                seen[piece.packet] = None
        return tuple(seen)

    def ready(self, offset: int, size: int) -> int:
        """When the last octet of ``offset .. offset + size`` could be read in order, ns (0: never captured)."""
        at = self.index(offset + size - 1)
        return self.pieces[at].ready if at >= 0 else 0
