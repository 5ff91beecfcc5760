"""Putting IP datagrams together again from their fragments (RFC 791 3.2, RFC 8200 4.5), in bounded memory.

Octets that were seen first win where fragments overlap (RFC 5722 would drop such a datagram; here someone wants to
know what was in it), exact repeats are ignored.  A datagram that is incomplete is forgotten when too many others
came after it.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

from synfin.wire.layer import Fragment

_MOST_DATAGRAMS = 4096
_MOST_OCTETS = 64 << 20
_LONGEST = 65_535  # octets of a datagram's payload


@dataclass(slots=True)
class _Datagram:
    starts: list[int] = field(default_factory=list)  # sorted, never overlapping
    pieces: dict[int, bytes] = field(default_factory=dict)
    held: int = 0
    length: int = -1  # known when the last fragment was seen
    proto: int = 0
    count: int = 0  # fragments so far


class Reassembly:
    """Fragments that wait for the rest of their datagrams."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[object, ...], _Datagram] = {}
        self._octets = 0
        self.joined = 0  # fragments before the one that completed the last whole datagram

    @property
    def waiting(self) -> int:
        """Datagrams that are not complete."""
        return len(self._waiting)

    def add(self, fragment: Fragment, octets: bytes) -> tuple[int, bytes] | None:
        """Keep a fragment; the protocol and payload of the whole datagram when this was the last one missing."""
        end = fragment.offset + len(octets)
        if not fragment.whole or end > _LONGEST:
            return None
        datagram = self._waiting.get(fragment.key)
        if datagram is None:
            datagram = self._waiting[fragment.key] = _Datagram()
        self._keep(datagram, fragment.offset, octets)
        if not fragment.offset:
            datagram.proto = fragment.proto
        if not fragment.more and datagram.length < 0:
            datagram.length = end
        datagram.count += 1
        if 0 <= datagram.length <= datagram.held:
            self.joined = datagram.count - 1
            del self._waiting[fragment.key]
            self._octets -= datagram.held
            whole = b"".join(datagram.pieces[start] for start in datagram.starts)[: datagram.length]
            return datagram.proto, whole
        while self._waiting and (len(self._waiting) > _MOST_DATAGRAMS or self._octets > _MOST_OCTETS):
            oldest = self._waiting.pop(next(iter(self._waiting)))
            self._octets -= oldest.held
        return None

    def _keep(self, datagram: _Datagram, start: int, octets: bytes) -> None:
        """Keep what of ``octets`` fills holes."""
        starts, pieces = datagram.starts, datagram.pieces
        end = start + len(octets)
        at = start
        i = bisect_left(starts, start)
        if i and starts[i - 1] + len(pieces[starts[i - 1]]) > at:
            at = starts[i - 1] + len(pieces[starts[i - 1]])
        while at < end:
            stop = min(end, starts[i]) if i < len(starts) else end
            if stop > at:
                starts.insert(i, at)
                pieces[at] = octets[at - start : stop - start]
                datagram.held += stop - at
                self._octets += stop - at
                i += 1
            if i >= len(starts):
                break
            at = max(at, starts[i] + len(pieces[starts[i]]))
            i += 1
