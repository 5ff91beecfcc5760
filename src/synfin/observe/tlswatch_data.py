"""The application data of one side, decrypted: where each part lies, and what opens its record once more.

A record has to be opened to be told as decrypted, but hardly anybody looks at what was in it: of a transfer, heads and
frame headers.  So what was opened first is kept, ``KEPT`` octets of a side, and of everything after that only where
its record stands, its sequence number and its keys, and its first octets, where a frame's header most often is; who
reads more has it opened again.  Memory then grows by the record and not by the octet, and every octet of a stream can
still be had.

That needs a cipher whose records open without those before them: all of TLS 1.3 and 1.2's AEADs, and CBC with explicit
IVs.  What RC4, or CBC up to TLS 1.0, protected is kept whole.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right

from synfin.observe.stream import SPAN, TOUCH, ByteStream, Hole, LaidStream, Piece
from synfin.observe.tlswatch_records import Record
from synfin.spec.protection import Protection, read_header
from synfin.wire.tls.records import HEADER

#: Octets of one side's decrypted data that stay in memory, from its beginning.
KEPT = 1 << 20
#: What a piece that is kept costs beside its octets.
_COST = 128
#: Octets kept of the beginning of every record: a header of HTTP/2 (RFC 9113 4.1).
_HEAD = 9
#: Records opened again that stay at hand: a reader goes on where it was, sometimes one back.
_NEAR = 4


class OpenedStream(LaidStream):
    """What one side said inside TLS; ``add`` and ``lose`` build it while its records are walked."""

    __slots__ = (
        "_epochs", "_from", "_heads", "_held", "_kept", "_lost", "_near", "_number", "_packet", "_reached", "_record",
        "_spent", "_time",
    )  # fmt: skip

    def __init__(self, stream: ByteStream) -> None:
        super().__init__([], [])
        self._from = stream
        self._spent = 0  # octets read of it since it was told to forget
        self.clear()

    def clear(self) -> None:
        """Forget everything: nobody took it."""
        self._starts.clear()
        self._length.clear()
        self._lost: list[Hole] = []
        self._reached = 0  # octets so far, those that did not open too
        self._kept: dict[int, bytes] = {}
        self._held = 0  # octets that they cost
        self._near: dict[int, bytes] = {}
        self._heads = bytearray()  # ``_HEAD`` octets of each piece, one after the other
        self._epochs: list[tuple[int, Protection]] = []  # first piece, and what opens it and those after it
        self._packet = array("q")
        self._time = array("q")
        self._record = array("q")  # where its header is in ``_from``
        self._number = array("q")  # its sequence number

    def add(self, content: bytes, record: Record, opener: Protection) -> None:
        """``content`` was in ``record``, which ``opener`` has just opened."""
        at = len(self._starts)
        self._starts.append(self._reached)
        self._length.append(len(content))
        self._reached += len(content)
        self._packet.append(record.packet)
        self._time.append(record.time)
        if not self._epochs or self._epochs[-1][1] is not opener:
            self._epochs.append((at, opener))
        self._record.append(record.offset)
        self._number.append(opener.sequence - 1)
        self._heads += content[:_HEAD].ljust(_HEAD, b"\0")
        self._spend(len(content))
        if self._held < KEPT or not opener.independent or record.header != HEADER:
            self._kept[at] = content
            self._held += len(content) + _COST

    def lose(self, length: int) -> None:
        """A record of ``length`` octets did not open: a hole about as long."""
        lost = self._lost
        if lost and lost[-1].offset + lost[-1].length == self._reached:
            lost[-1] = lost[-1]._replace(length=lost[-1].length + length)
        else:
            lost.append(Hole(self._reached, length, True))
        self._reached += length

    def done(self) -> ByteStream:
        """The stream, when all records were walked."""
        self.holes = tuple(self._lost)
        return self

    def octets(self, at: int) -> bytes:
        """The octets of piece ``at``: kept, or opened again.  WireError where the capture's file changed meanwhile."""
        found = self._kept.get(at)
        if found is None:
            found = self._near.get(at)
        if found is None:
            if len(self._near) >= _NEAR:
                del self._near[next(iter(self._near))]
            found = self._near[at] = self._open(at)
        return found

    def read(self, offset: int, size: int) -> bytes:
        """The octets from ``offset`` up to ``size`` of them, stopping at the first hole or the end."""
        if 0 < size <= _HEAD:
            at = bisect_right(self._starts, offset) - 1
            if at >= 0 and self._starts[at] == offset and self._length[at] >= size:
                return bytes(self._heads[at * _HEAD : at * _HEAD + size])
        return super().read(offset, size)

    def _open(self, at: int) -> bytes:
        offset = self._record[at]
        kind, version, length = read_header(self._from.read(offset, HEADER))
        opener = self._epochs[bisect_right(self._epochs, at, key=_first) - 1][1]
        self._spend(length + TOUCH)
        now = opener.sequence
        opener.sequence = self._number[at]
        try:
            return opener.open_record(kind, version, self._from.read(offset + HEADER, length))[1]
        finally:
            opener.sequence = now

    def _spend(self, octets: int) -> None:
        self._spent += octets
        if self._spent > SPAN:
            self._spent = 0
            self._from.forget()

    def piece(self, at: int) -> Piece:
        """Piece ``at``, with its octets."""
        time = self._time[at]
        return Piece(self._starts[at], self.octets(at), self._packet[at], time, time)

    def origin(self, at: int) -> tuple[int, int]:
        """The packet that brought the end of piece ``at``'s record, and when, ns."""
        return self._packet[at], self._time[at]


def _first(epoch: tuple[int, Protection]) -> int:
    return epoch[0]
