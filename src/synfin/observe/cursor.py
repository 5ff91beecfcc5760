"""A place in one side's byte stream: lines are read there, bodies are stepped over without being touched.

Used by the HTTP readers.  Offsets count missing octets too, so stepping over a known length is exact across holes;
reading stops before one.
"""

from __future__ import annotations

from collections.abc import Callable

from synfin.observe.stream import SPAN, TOUCH, ByteStream


class Side:
    """One side's stream and a place in it; ``at`` is the first piece that ends after ``pos``."""

    __slots__ = (
        "_octets",
        "_octets_at",
        "at",
        "count",
        "end",
        "ended",
        "gaps",
        "lengths",
        "pos",
        "sender",
        "spent",
        "starts",
        "stream",
    )

    def __init__(self, stream: ByteStream, sender: int, start: int, ended: bool) -> None:
        self.stream = stream
        self.starts, self.lengths = stream.layout()
        self.count = len(self.starts)
        self.sender = sender
        self.ended = ended
        self.end = stream.end
        first = self.starts[0] if self.starts else 0
        self.gaps = sum(self.lengths) != self.end - first
        self.spent = 0  # octets stepped over since the stream was told to forget
        self._octets_at = -1
        self._octets = b""
        self.at = 0
        self.pos = start
        self.seek(max(start, first))

    def seek(self, pos: int) -> None:
        """Move to ``pos``; past the last octet nothing is left (``more`` is false)."""
        self.pos = pos
        starts, lengths, at, count = self.starts, self.lengths, self.at, self.count
        for _ in range(4):
            if at >= count or pos < starts[at] + lengths[at]:
                self.at = at
                return
            at += 1
        at = max(self.stream.index(pos), 0)
        while at < count and pos >= starts[at] + lengths[at]:
            at += 1
        self.at = at

    def octets(self, at: int) -> bytes:
        """The octets of piece ``at``; the last one asked for is kept, since lines are read from it one by one."""
        if at != self._octets_at:
            self._octets_at, self._octets = at, self.stream.octets(at)
        return self._octets

    @property
    def more(self) -> bool:
        """Whether captured octets are left."""
        return self.at < self.count

    @property
    def in_hole(self) -> bool:
        """Whether the octet at ``pos`` was not captured, though later ones were."""
        return self.at < self.count and self.starts[self.at] > self.pos

    def until(self, stop: bytes, limit: int) -> tuple[bytes, bool]:
        """The octets from here through ``stop`` (an end of line; ``b""``: the blank line of a head).

        Where it does not come within ``limit`` octets, a hole or the end: what there is, and False.
        """
        if not self.more or self.in_hole:
            return b"", False
        starts = self.starts
        data = self.octets(self.at)
        begin = self.pos - starts[self.at]
        end = _find(data, stop, begin)
        if end >= 0:
            return data[begin:end], True
        parts = bytearray(data[begin:])
        reached = starts[self.at] + len(data)
        for later in range(self.at + 1, self.count):
            if starts[later] != reached or len(parts) > limit:
                break
            seen = max(len(parts) - 3, 0)
            parts += self.stream.octets(later)
            reached += self.lengths[later]
            end = _find(parts, stop, seen)
            if end >= 0:
                return bytes(parts[:end]), True
        return bytes(parts[: limit + 1]), False

    def peek(self, size: int) -> bytes:
        """The next ``size`` octets, fewer where a hole or the end comes first."""
        if not self.more or self.in_hole:
            return b""
        return self.stream.read(self.pos, size)

    def skip(self, size: int) -> int:
        """Step over ``size`` octets, captured or not; returns how many of them were captured."""
        start, stop = self.pos, self.pos + size
        self.spent += size + TOUCH
        if self.spent > SPAN:
            self.spent = 0
            self.stream.forget()
        if not self.gaps:
            self.seek(stop)
            return max(min(stop, self.end) - start, 0)
        seen = 0
        for later in range(self.at, self.count):
            begin = self.starts[later]
            if begin >= stop:
                break
            seen += min(stop, begin + self.lengths[later]) - max(start, begin)
        self.seek(stop)
        return seen

    def last(self) -> int:
        """Index of the piece that holds the octet before ``pos``, or the last captured one before it."""
        at = self.at
        if at == self.count or self.starts[at] >= self.pos:
            at -= 1
        return max(at, 0)

    def resume(self, begins: Callable[[bytes], bool]) -> int | None:
        """Move to the next piece whose octets ``begins`` accepts; octets passed over, None when none comes."""
        start = self.pos
        later = self.at
        if self.more and self.starts[later] < start:
            later += 1
        for at in range(later, self.count):
            if begins(self.octets(at)):
                self.at, self.pos = at, self.starts[at]
                return self.pos - start
        self.at, self.pos = self.count, self.end
        return None


def _find(data: bytes | bytearray, stop: bytes, begin: int) -> int:
    """Where ``stop`` (or for ``b""`` the blank line) ends in ``data``; -1 when it is not there."""
    if stop:
        at = data.find(stop, begin)
        return at + len(stop) if at >= 0 else -1
    at = data.find(b"\n\r\n", begin)
    short = data.find(b"\n\n", begin, at if at >= 0 else len(data))
    if short >= 0:
        return short + 2
    return at + 3 if at >= 0 else -1
