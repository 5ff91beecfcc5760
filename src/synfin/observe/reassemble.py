"""Payload of one direction put back in order (RFC 9293 3.4, 3.10.7.4), each octet still knowing its packet.

The first copy of an octet wins; a later copy that differs leaves an ``Overlap``.  What no captured packet carries is a
``Hole``, also where the snap length cut a payload.  Octets are placed by unwrapped sequence number, so transfers over
4 GiB stay right.  Left out, because they are not part of the stream: payload of RST segments (RFC 9293 3.5.3 allows a
text there), octets at or before the SYN's number and after the FIN's, the garbage octet of a keep-alive (RFC 9293
3.8.4), and numbers more than ``REACH`` away from what was seen, which no window can cover.

Payload stays in the file: a ``RowStream`` knows where its octets lie and copies them when they are read.  In-order
traffic, the usual case, is placed without sorting; anything else costs O(n log n).
"""

from __future__ import annotations

from bisect import bisect_right
from heapq import heappop, heappush
from itertools import accumulate

from synfin.capture.table import load
from synfin.observe.rows import Rows
from synfin.observe.stream import Hole, LaidStream, Overlap, Piece
from synfin.wire.tcpflags import ACK, FIN, RST, SYN

REACH = 1 << 30  # the largest window there is (RFC 7323 2.3)
_M = 0xFFFFFFFF
_HALF = 1 << 31
_BUDGET = 1 << 22  # steps spent on comparing repeated octets of one stream


class RowStream(LaidStream):
    """A byte stream over captured packets: bytes are copied from the file when read, not before, and not kept."""

    __slots__ = ("_at", "_ready", "_row", "_rows")

    def __init__(
        self,
        rows: Rows,
        starts: list[int],
        length: list[int],
        row: list[int],
        at: list[int],
        holes: tuple[Hole, ...] = (),
        overlaps: tuple[Overlap, ...] = (),
    ) -> None:
        super().__init__(starts, length, holes, overlaps)
        self._rows = rows
        self._row = row  # the packet (its index in ``rows``) that brought each piece
        self._at = at  # where its octets lie, by the address rule of ``capture.table.ROW``
        self._ready: list[int] | None = None  # when each piece could be read in order

    def piece(self, at: int) -> Piece:
        """Piece ``at``, with its octets."""
        packet, ready = self.origin(at)
        return Piece(self._starts[at], self.octets(at), packet, self._rows.time[self._row[at]], ready)

    def octets(self, at: int) -> bytes:
        """The octets of piece ``at``."""
        return load(self._rows.data, self._rows.extra, self._at[at], self._length[at])

    def origin(self, at: int) -> tuple[int, int]:
        """The packet that brought piece ``at``, and when the piece could be read in order, ns."""
        if self._ready is None:
            times = self._rows.time
            self._ready = list(accumulate((times[row] for row in self._row), max))
        return self._rows.number[self._row[at]], self._ready[at]

    def read(self, offset: int, size: int) -> bytes:
        """The octets from ``offset`` up to ``size`` of them, stopping at the first hole or the end."""
        starts = self._starts
        if not starts or size <= 0:
            return b""
        i = bisect_right(starts, offset) - 1
        if i < 0:
            return b""
        skip = offset - starts[i]
        if skip >= self._length[i]:
            return b""
        data, extra = self._rows.data, self._rows.extra
        parts = []
        reached, stop = offset, offset + size
        for i in range(i, len(starts)):  # noqa: B020 - goes on from the piece found
            if starts[i] > reached or reached >= stop:
                break
            take = min(starts[i] + self._length[i], stop) - reached
            at = self._at[i]
            parts.append(load(data, extra, at + skip if at >= 0 else at - skip, take))
            reached += take
            skip = 0
        return parts[0] if len(parts) == 1 else b"".join(parts)


def in_order(rows: Rows, side: int) -> RowStream:
    """The stream of ``side`` where its packets carry it in order, completely and once (the caller has checked that).

    Exported PDUs are such a stream too: what a side sent, in the order it stands in the file.
    """
    sizes, places = rows.load_cap, rows.load_at
    chosen = [i for i, who in enumerate(rows.sender) if who == side and sizes[i] > 0]
    length = [sizes[i] for i in chosen]
    return RowStream(rows, [0, *accumulate(length[:-1])] if length else [], length, chosen, [places[i] for i in chosen])


def reassemble(
    rows: Rows, side: int, start: int | None, garbage: frozenset[int] = frozenset()
) -> tuple[RowStream, int]:
    """The stream that ``side`` sent, and how many octets of sequence space its payload covers.

    ``start`` is the number of the first octet (after the SYN), None where the start was not captured; ``garbage`` holds
    the packets (indexes) whose octet is a keep-alive's.
    """
    arrivals, fin, acked = _place(rows, side, start)
    base = 0 if start is not None else min((offset for offset, _, _ in arrivals), default=0)
    space = sorted((offset - base, offset - base + rows.load_len[i]) for offset, _, i in arrivals)
    covered = _covered(space)
    usable = []
    for offset, captured, i in arrivals:
        if i in garbage:
            continue
        skip = max(0, base - offset)
        end = offset + captured if fin is None else min(offset + captured, fin)
        if end > offset + skip:
            usable.append((offset + skip - base, end - base, i, skip))
    starts, length, row, at, overlaps = _first_wins(rows, usable)
    told = max((end for _, end in space), default=0)
    if fin is not None:
        told = min(told, fin - base)
    elif acked is not None and acked - base > told + 1:  # one may be a FIN that was not captured
        told = acked - base
    holes = _holes(starts, length, max(told, 0), None if acked is None else acked - base)
    return RowStream(rows, starts, length, row, at, holes, overlaps), covered


def _place(rows: Rows, side: int, start: int | None) -> tuple[list[tuple[int, int, int]], int | None, int | None]:
    """Payloads as (offset, captured octets, index) by unwrapped number; the FIN's offset; the highest acknowledged."""
    arrivals: list[tuple[int, int, int]] = []
    origin = start
    high = 0
    fin: int | None = None
    acked: int | None = None
    for i, (who, flags, seq, ack, size, captured) in enumerate(
        zip(rows.sender, rows.flags, rows.seq, rows.ack, rows.load_len, rows.load_cap, strict=True)
    ):
        if who != side:
            if flags & ACK and origin is not None:
                offset = high + ((ack - origin - high + _HALF) & _M) - _HALF
                if -REACH < offset - high < REACH and (acked is None or offset > acked):
                    acked = offset
            continue
        if origin is None:
            origin = seq
        offset = high + ((seq - origin - high + _HALF) & _M) - _HALF
        if flags & SYN:
            offset += 1
        if not -REACH < offset - high < REACH or flags & RST:
            continue
        if size > 0:
            arrivals.append((offset, captured, i))
        if offset + size > high:
            high = offset + size
        if flags & FIN and fin is None:
            fin = offset + size
    return arrivals, fin, acked


def _covered(space: list[tuple[int, int]]) -> int:
    total = 0
    reached = -REACH
    for begin, end in space:
        if begin >= reached:
            total += end - begin
            reached = end
        elif end > reached:
            total += end - reached
            reached = end
    return total


def _first_wins(
    rows: Rows, usable: list[tuple[int, int, int, int]]
) -> tuple[list[int], list[int], list[int], list[int], tuple[Overlap, ...]]:
    """Cut arrivals (begin, end, index, octets skipped) into disjoint pieces, the earliest arrival winning."""
    starts: list[int] = []
    length: list[int] = []
    row: list[int] = []
    at: list[int] = []

    def emit(begin: int, end: int, arrival: tuple[int, int, int, int]) -> None:
        i = arrival[2]
        if row and row[-1] == i and starts[-1] + length[-1] == begin:
            length[-1] += end - begin
            return
        place = rows.load_at[i]
        skip = begin - arrival[0] + arrival[3]
        starts.append(begin)
        length.append(end - begin)
        row.append(i)
        at.append(place + skip if place >= 0 else place - skip)

    ordered = sorted(usable)
    waiting: list[tuple[int, tuple[int, int, int, int]]] = []  # by arrival, those that cover the place reached
    reached = 0
    repeated = False
    doubtful: list[tuple[int, int, int, int]] = []  # those whose octets others bring too
    places = rows.load_at
    for k, arrival in enumerate(ordered):
        if not waiting and arrival[0] >= reached and (k + 1 == len(ordered) or ordered[k + 1][0] >= arrival[1]):
            begin, reached, i, skip = arrival
            starts.append(begin)
            length.append(reached - begin)
            row.append(i)
            place = places[i]
            at.append(place + skip if place >= 0 else place - skip)
            continue
        doubtful.append(arrival)
        heappush(waiting, (arrival[2], arrival))
        reached = max(reached, arrival[0]) if len(waiting) == 1 else reached
        limit = ordered[k + 1][0] if k + 1 < len(ordered) else None
        while waiting:
            best = waiting[0][1]
            if best[1] <= reached:
                heappop(waiting)
                repeated = True
                continue
            if limit is not None and limit <= reached:
                break
            begin = max(reached, best[0])
            end = best[1] if limit is None else min(best[1], limit)
            emit(begin, end, best)
            reached = end
            if end == best[1]:
                heappop(waiting)
        if waiting:
            repeated = True
    overlaps = _disagreements(rows, doubtful, starts, length, row, at) if repeated else ()
    return starts, length, row, at, overlaps


def _disagreements(
    rows: Rows,
    arrivals: list[tuple[int, int, int, int]],
    starts: list[int],
    length: list[int],
    row: list[int],
    at: list[int],
) -> tuple[Overlap, ...]:
    """Where a later copy of octets differs from the copy that won."""
    out: list[Overlap] = []
    budget = _BUDGET
    data, extra = rows.data, rows.extra
    for begin, end, i, skip in arrivals:
        k = max(bisect_right(starts, begin) - 1, 0)
        while k < len(starts) and starts[k] < end and budget > 0:
            low, high = max(starts[k], begin), min(starts[k] + length[k], end)
            if row[k] != i and low < high:
                place = rows.load_at[i]
                mine = skip + low - begin
                theirs = low - starts[k]
                one = load(data, extra, place + mine if place >= 0 else place - mine, high - low)
                two = load(data, extra, at[k] + theirs if at[k] >= 0 else at[k] - theirs, high - low)
                if one != two:
                    out.append(Overlap(low, high - low, rows.number[row[k]], rows.number[i]))
            budget -= 1 + ((high - low) >> 8 if high > low else 0)
            k += 1
    return tuple(sorted(out))


def _holes(starts: list[int], length: list[int], told: int, acked: int | None) -> tuple[Hole, ...]:
    """What is missing up to ``told``, the highest octet a packet claimed, and up to what the peer acknowledged."""
    out = []
    reached = 0
    for begin, size in zip(starts, length, strict=True):
        if begin > reached:
            out.append((reached, begin))
        reached = begin + size
    if told > reached:
        out.append((reached, told))
    return tuple([Hole(begin, end - begin, acked is not None and acked >= end) for begin, end in out])
