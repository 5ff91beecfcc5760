"""What was given to be sent, and what has arrived: chunks of octets by sequence number, never copied in the bulk path.

Sequence numbers here are unwrapped: plain integers that only grow (``spec.tcp_segments.unwrap``).

``SendQueue`` holds the user's buffers until they are acknowledged and lends views of them to segments.
``ReceiveQueue`` puts segments in order; of octets that came twice the first ones count, and the repeated range is told
for a D-SACK (RFC 2883).  Its blocks come in the order RFC 2018 4 asks for: the one that holds the latest segment first.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque

from synfin.wire.codec import Buffer

#: Buffers below this size are joined, so that a user who writes octet by octet does not cost an object each.
_SMALL = 2048
_TINY = 256
#: Ranges out of order that are kept; a peer that makes more has the others thrown away (it must send them again).
MAX_RANGES = 1024
MAX_CHUNKS = 16384


class SendQueue:
    """Octets from ``base`` (the first not acknowledged) to ``end``."""

    __slots__ = ("_chunks", "_head", "_starts", "base", "end")

    def __init__(self, base: int) -> None:
        self.base = base
        self.end = base
        self._chunks: list[memoryview] = []
        self._starts: list[int] = []
        self._head = 0

    def __len__(self) -> int:
        return self.end - self.base

    def append(self, data: Buffer) -> None:
        """Take ``data``; bytes and read-only views are kept as they are, others are copied."""
        size = len(data)
        if not size:
            return
        if size < _SMALL and len(self._chunks) > self._head and len(self._chunks[-1]) + size <= 2 * _SMALL:
            self._chunks[-1] = memoryview(b"".join((self._chunks[-1], data)))
        else:
            view = memoryview(data)
            self._chunks.append(view if view.readonly else memoryview(bytes(view)))
            self._starts.append(self.end)
        self.end += size

    def slice(self, start: int, size: int) -> Buffer:
        """``size`` octets from ``start``: a view where they lie in one buffer."""
        at = bisect_right(self._starts, start, self._head) - 1
        skip = start - self._starts[at]
        chunk = self._chunks[at]
        if len(chunk) - skip >= size:
            return chunk[skip : skip + size]
        parts = [chunk[skip:]]
        size -= len(chunk) - skip
        while size:
            at += 1
            part = self._chunks[at][:size]
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def drop(self, upto: int) -> None:
        """Forget the octets before ``upto``."""
        upto = min(upto, self.end)
        if upto <= self.base:
            return
        self.base = upto
        head, chunks = self._head, self._chunks
        while head < len(chunks) and self._starts[head] + len(chunks[head]) <= upto:
            chunks[head] = _EMPTY
            head += 1
        self._head = head
        if head == len(chunks) or (head > 64 and head * 2 > len(chunks)):
            del chunks[:head]
            del self._starts[:head]
            self._head = 0


_EMPTY = memoryview(b"")


class _Range:
    __slots__ = ("chunks", "end", "start")

    def __init__(self, start: int, end: int, chunks: deque[Buffer]) -> None:
        self.start, self.end, self.chunks = start, end, chunks


class ReceiveQueue:
    """Octets in order up to ``nxt`` and ranges beyond it; ``ready`` of them wait to be read."""

    __slots__ = ("_ranges", "_recent", "_waiting", "chunks", "nxt", "ready")

    def __init__(self, nxt: int) -> None:
        self.nxt = nxt
        self.ready = 0
        self.chunks: list[Buffer] = []
        self._ranges: list[_Range] = []
        self._recent: list[int] = []  # starts of ranges, the latest first
        self._waiting = 0  # chunks out of order

    def __bool__(self) -> bool:
        """Whether something out of order is held."""
        return bool(self._ranges)

    def add(self, start: int, data: Buffer) -> tuple[int, int] | None:
        """Take a segment's octets; the range that had come before, if any.

        What lies beyond the window must have been cut off.  ``nxt`` moves over what is now in order.
        """
        end = start + len(data)
        again: tuple[int, int] | None = None
        if start < self.nxt:
            again = (start, min(end, self.nxt))
            if end <= self.nxt:
                return again
            data = memoryview(data)[self.nxt - start :]
            start = self.nxt
        if start == self.nxt and not self._ranges:
            self.append(data, end - start)
            return again
        dup = self._insert(start, end, data)
        if self._ranges[0].start == self.nxt:
            first = self._ranges.pop(0)
            self.chunks.extend(first.chunks)
            self._waiting -= len(first.chunks)
            self.ready += first.end - first.start
            self.nxt = first.end
            if first.start in self._recent:
                self._recent.remove(first.start)
        return again or dup

    def append(self, data: Buffer, size: int) -> None:
        """The next octets in order.  Small ones are joined, or a peer that sends octet by octet would cost a lot."""
        chunks = self.chunks
        if size >= _TINY:
            chunks.append(data)
        elif chunks and type(last := chunks[-1]) is bytearray and len(last) < _SMALL:
            last += data
        else:
            chunks.append(bytearray(data))
        self.ready += size
        self.nxt += size

    def _insert(self, start: int, end: int, data: Buffer) -> tuple[int, int] | None:
        dup: tuple[int, int] | None = None
        view = memoryview(data)
        ranges = self._ranges
        at, base = start, start
        while at < end:
            i = bisect_right(ranges, at, key=_end_of)
            if i < len(ranges) and ranges[i].start <= at:
                stop = min(end, ranges[i].end)
                dup = dup or (at, stop)
                self._touch(ranges[i].start)
                at = stop
                continue
            stop = min(end, ranges[i].start) if i < len(ranges) else end
            if at > self.nxt and (len(ranges) >= MAX_RANGES or self._waiting >= MAX_CHUNKS):
                return dup
            self._put(i, at, stop, view[at - base : stop - base])
            at = stop
        return dup

    def _put(self, i: int, start: int, end: int, piece: Buffer) -> None:
        """Add a piece that touches no range but its neighbours."""
        if end - start < _TINY:
            piece = bytes(piece)  # not the whole packet for a few octets
        ranges = self._ranges
        self._waiting += 1
        left = ranges[i - 1] if i and ranges[i - 1].end == start else None
        right = ranges[i] if i < len(ranges) and ranges[i].start == end else None
        if left is not None:
            left.chunks.append(piece)
            left.end = end
            if right is not None:
                left.chunks.extend(right.chunks)
                left.end = right.end
                self._forget(right.start)
                del ranges[i]
            self._touch(left.start)
        elif right is not None:
            self._forget(right.start)
            right.chunks.appendleft(piece)
            right.start = start
            self._touch(start)
        else:
            ranges.insert(i, _Range(start, end, deque((piece,))))
            self._touch(start)

    def _forget(self, start: int) -> None:
        if start in self._recent:
            self._recent.remove(start)

    def _touch(self, start: int) -> None:
        if not self._recent or self._recent[0] != start:
            self._forget(start)
            self._recent.insert(0, start)
            del self._recent[8:]

    def forget_beyond(self) -> None:
        """What came out of order is not waited for any more."""
        self._ranges.clear()
        self._recent.clear()
        self._waiting = 0

    def blocks(self) -> list[tuple[int, int]]:
        """The ranges held beyond ``nxt``, the one touched last first (at most 8)."""
        found = []
        for start in self._recent:
            i = bisect_left(self._ranges, start, key=_start_of)
            if i < len(self._ranges) and self._ranges[i].start == start:
                found.append((start, self._ranges[i].end))
        return found

    def take(self, size: int | None = None) -> list[Buffer]:
        """Up to ``size`` octets in order (all without it), as the buffers they came in."""
        if size is None or size >= self.ready:
            out = list(self.chunks)
            self.chunks.clear()
            self.ready = 0
            return out
        self.ready -= size
        chunks, whole = self.chunks, 0
        while size >= len(chunks[whole]):
            size -= len(chunks[whole])
            whole += 1
        out = chunks[:whole]
        if size:
            view = memoryview(chunks[whole])
            out.append(view[:size])
            chunks[whole] = view[size:]
        del chunks[:whole]
        return out


def _start_of(found: _Range) -> int:
    return found.start


def _end_of(found: _Range) -> int:
    return found.end
