"""Parts of a file (RFC 9110 14, 13.1.5): which are asked for, and several of them in one body (multipart/byteranges).

Several parts come in the order they were asked for, as asked: neither sorted nor joined.  A request for more than
``MOST`` parts, or for more octets in all than there are (so parts that overlap again and again), gets the whole file,
which costs less: RFC 9110 14.2 and 17.15 leave that to servers.  So does what is no list of ranges, and a Range with
another method than GET, for which RFC 9110 14.2 does not define it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from synfin.http.app import Body, Request, Validators, seconds_of

#: Parts in one answer at most.
MOST = 64
Part = tuple[int, int]
#: An int-range or a suffix-range (RFC 9110 14.1.2).
_SPEC = re.compile(r"([0-9]{1,99})-([0-9]{0,99})|-([0-9]{1,99})")


def wanted_ranges(request: Request, now: Validators, size: int) -> tuple[Part, ...] | None:
    """The parts asked for as (first, after last); None for the whole; () where none can be satisfied (416)."""
    field = request.header("range")
    if not field or request.method != "GET" or not _unchanged(request.header("if-range").strip(), now):
        return None
    unit, found, listed = field.partition("=")
    words = [word for text in listed.split(",") if (word := text.strip(" \t"))]
    if unit.strip().lower() != "bytes" or not found or not words or len(words) > MOST:
        return None
    parts = []
    for word in words:
        spec = _SPEC.fullmatch(word)
        if spec is None:
            return None
        begin, end, suffix = (int(text) if text else None for text in spec.groups())
        first, after = max(0, size - (suffix or 0)), size
        if begin is not None:
            first, after = begin, size if end is None else min(end + 1, size)
            if end is not None and end < begin:
                return None
        if first < size:
            parts.append((first, after))
        elif suffix and not size:  # it can be satisfied (RFC 9110 14.1.2), but no Content-Range says so
            return None
    if len(parts) > 1 and sum(after - first for first, after in parts) > size:
        return None
    return tuple(parts)


def _unchanged(validator: str, now: Validators) -> bool:
    """Whether If-Range holds, or is not there: by strong comparison, dates by equality (RFC 9110 13.1.5)."""
    if not validator or validator == now.etag:
        return True
    return validator[-1:] != '"' and seconds_of(validator) == now.modified


class Multipart:
    """Parts of ``whole``, with a head before each (RFC 9110 14.6, RFC 2046 5.1); ``boundary`` is in none of them."""

    def __init__(self, whole: Body, parts: Sequence[Part], content_type: str, boundary: str) -> None:
        self._whole = whole
        self._pieces: list[bytes | Part] = []
        for number, (first, after) in enumerate(parts):
            head = f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\n"
            head += f"Content-Range: bytes {first}-{after - 1}/{whole.size}\r\n\r\n"
            self._pieces += head[0 if number else 2 :].encode(), (first, after)
        self._pieces.append(f"\r\n--{boundary}--\r\n".encode())
        sizes = [len(piece) if isinstance(piece, bytes) else piece[1] - piece[0] for piece in self._pieces]
        self._starts = [0, *accumulate(sizes)]
        self.size = self._starts.pop()

    def read(self, at: int, count: int) -> bytes:
        """See ``Body``."""
        out = bytearray()
        while len(out) < count and at < self.size:
            index = bisect_right(self._starts, at) - 1
            piece, skip = self._pieces[index], at - self._starts[index]
            if isinstance(piece, bytes):
                got = piece[skip : skip + count - len(out)]
            else:
                first, after = piece
                got = self._whole.read(first + skip, min(count - len(out), after - first - skip))
            if not got:
                break
            out += got
            at += len(got)
        return bytes(out)

    def close(self) -> None:
        """Let go of the whole."""
        self._whole.close()
