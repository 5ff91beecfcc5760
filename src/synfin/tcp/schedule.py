"""When connections want to be called: the soonest first, each noted once.

Times that grew later are not moved at once: what is noted for an earlier time stays, and is looked at when it is the
first of all.  So an acknowledgment, which moves a retransmission timer, costs no more than a look.
"""

from __future__ import annotations

import heapq

from synfin.tcp.listeners import Key


class Schedule:
    """Keys by the time they were noted for."""

    __slots__ = ("_heap", "_serial", "_soonest")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Key]] = []
        self._soonest: dict[Key, int] = {}
        self._serial = 0

    def note(self, key: Key, when: int) -> None:
        """``key`` wants to be called at ``when``, or earlier where that was noted before."""
        known = self._soonest.get(key)
        if known is None or when < known:
            self._soonest[key] = when
            self._serial += 1
            heapq.heappush(self._heap, (when, self._serial, key))
            self._tidy()

    def drop(self, key: Key) -> None:
        """``key`` wants nothing any more."""
        if self._soonest.pop(key, None) is not None:
            self._tidy()

    def later(self, key: Key, when: int | None) -> None:
        """What was noted for ``key`` is too early: it wants to be called at ``when``, or (None) not at all."""
        self.drop(key)
        if when is not None:
            self.note(key, when)

    def first(self) -> tuple[int, Key] | None:
        """The soonest time and whose it is; None where nothing is noted."""
        heap = self._heap
        while heap:
            when, _, key = heap[0]
            if self._soonest.get(key) == when:
                return when, key
            heapq.heappop(heap)
        return None

    def due(self, now: int) -> Key | None:
        """The key whose time came first, no longer noted; None where nothing is due."""
        found = self.first()
        if found is None or found[0] > now:
            return None
        _, _, key = heapq.heappop(self._heap)
        del self._soonest[key]
        return key

    def _tidy(self) -> None:
        """Drop noted times that mean nothing any more, when they are most of all."""
        if len(self._heap) > 2 * len(self._soonest) + 64:
            self._heap = [entry for entry in self._heap if self._soonest.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)
