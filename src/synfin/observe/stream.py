"""One direction of a byte stream, put back in order, each byte still knowing its packet.

The stream is a list of pieces in stream order, each with the packet that first brought its bytes.  Offsets count
from the first octet after the SYN (or from the first octet seen when the start is missing).  Holes are octets that
were never captured: known to be missing from the sequence numbers, reported by ``holes``, never papered over.
Bytes that arrived twice with different content are kept as ``Overlap`` facts; the first copy is used.
Decrypted application data is a stream of the same shape, so HTTP is watched the same way over either.

Streams as long as a transfer are never held: a ``LaidStream`` knows where its pieces lie and fetches their octets when
they are read, from the capture (``reassemble``) or by opening a record once more (``tlswatch_data``).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, overload

#: Octets after which a reader calls ``ByteStream.forget``.
SPAN = 1 << 24
#: What a look at one place of the capture costs of that: the pages around it come with it.
TOUCH = 1 << 14


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
    """The bytes one side sent, in order.  ``pieces`` are sorted by offset and never overlap.

    Who reads through a long stream calls ``forget`` each ``SPAN`` octets: the capture's pages read so far are let go.
    """

    __slots__ = ("_pieces", "_starts", "forget", "holes", "overlaps")

    def __init__(
        self, pieces: Sequence[Piece], holes: tuple[Hole, ...] = (), overlaps: tuple[Overlap, ...] = ()
    ) -> None:
        self._pieces = pieces
        self.holes = holes
        self.overlaps = overlaps
        self._starts: list[int] | None = None
        self.forget: Callable[[], None] = _keep

    @property
    def pieces(self) -> Sequence[Piece]:
        """The pieces with their bytes."""
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

    def piece(self, at: int) -> Piece:
        """Piece ``at``, with its octets."""
        return self.pieces[at]

    def brought_by(self, packet: int) -> Iterator[Piece]:
        """The pieces that packet number ``packet`` brought; the octets of others are not touched."""
        for at in range(len(self.layout()[0])):
            if self.origin(at)[0] == packet:
                yield self.piece(at)

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


class LaidStream(ByteStream):
    """A stream that holds no octets: where its pieces start and how long they are, and how to fetch one (``octets``).

    A subclass says ``octets``, ``origin`` and ``piece``.
    """

    __slots__ = ("_length",)
    _starts: list[int]

    def __init__(
        self,
        starts: list[int],
        length: list[int],
        holes: tuple[Hole, ...] = (),
        overlaps: tuple[Overlap, ...] = (),
    ) -> None:
        self._starts = starts
        self._length = length
        self.holes = holes
        self.overlaps = overlaps
        self.forget = _keep

    @property
    def pieces(self) -> Sequence[Piece]:
        """The pieces; each is made when it is asked for, and not kept."""
        return _Pieces(self)

    @property
    def end(self) -> int:
        """The offset after the last captured octet."""
        return self._starts[-1] + self._length[-1] if self._starts else 0

    def layout(self) -> tuple[list[int], list[int]]:
        """Where each piece starts and how many octets it has, without touching the octets."""
        return self._starts, self._length

    def octets(self, at: int) -> bytes:
        """The octets of piece ``at``."""
        raise NotImplementedError

    def origin(self, at: int) -> tuple[int, int]:
        """The packet that brought piece ``at``, and when the piece could be read in order, ns."""
        raise NotImplementedError

    def piece(self, at: int) -> Piece:
        """Piece ``at``, with its octets."""
        raise NotImplementedError

    def index(self, offset: int) -> int:
        """Index of the piece that holds ``offset``, or of the last piece before it (-1: none)."""
        return bisect_right(self._starts, offset) - 1

    def read(self, offset: int, size: int) -> bytes:
        """The octets from ``offset`` up to ``size`` of them, stopping at the first hole or the end."""
        starts, length = self._starts, self._length
        first = bisect_right(starts, offset) - 1
        if first < 0 or size <= 0 or offset >= starts[first] + length[first]:
            return b""
        parts: list[bytes] = []
        reached, stop = offset, offset + size
        for at in range(first, len(starts)):
            if starts[at] > reached or reached >= stop:
                break
            skip = reached - starts[at]
            part = self.octets(at)[skip : skip + stop - reached]
            parts.append(part)
            reached += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def packets(self, offset: int, size: int) -> tuple[int, ...]:
        """The packets that carried the octets ``offset .. offset + size``, in stream order, each once."""
        starts, length = self._starts, self._length
        seen: dict[int, None] = {}
        for at in range(max(self.index(offset), 0), len(starts)):
            if starts[at] >= offset + size:
                break
            if starts[at] + length[at] > offset:
                seen[self.origin(at)[0]] = None
        return tuple(seen)

    def ready(self, offset: int, size: int) -> int:
        """When the last octet of ``offset .. offset + size`` could be read in order, ns (0: never captured)."""
        at = self.index(offset + size - 1)
        return self.origin(at)[1] if at >= 0 else 0


class _Pieces(Sequence[Piece]):
    """The pieces of a stream that holds no octets."""

    __slots__ = ("_stream",)

    def __init__(self, stream: LaidStream) -> None:
        self._stream = stream

    def __len__(self) -> int:
        return len(self._stream.layout()[0])

    @overload
    def __getitem__(self, at: int) -> Piece: ...
    @overload
    def __getitem__(self, at: slice) -> list[Piece]: ...
    def __getitem__(self, at: int | slice) -> Piece | list[Piece]:
        places = range(len(self))[at]
        return self._stream.piece(places) if isinstance(places, int) else [self._stream.piece(k) for k in places]

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Sequence)
            and len(self) == len(other)
            and all(a == b for a, b in zip(self, other, strict=True))
        )

    __hash__ = None  # type: ignore[assignment]


def _keep() -> None:
    """Nothing is to be let go."""
