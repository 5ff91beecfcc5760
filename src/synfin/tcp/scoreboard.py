"""What was sent and is not acknowledged, and what is known of each piece of it.

A ``Flight`` is a range sent in one go (a segment, a super-segment, a SYN, a FIN).  It is in flight, sacked, or lost;
``pipe`` is the octets in flight (RFC 6675 2), kept up to date rather than counted.  Losses are found by RACK
(RFC 8985 6), which asks for the time a piece was last sent, or by counting what was sacked above it (RFC 6675 4,
``IsLost``).  Without SACK each duplicate acknowledgment stands for one segment that has left the network (RFC 6582);
``departed`` counts those, so that one arithmetic serves both.

Work is bounded by what changed: the list is searched by halving, a sacked range that grew is walked only where it grew,
and the list in order of sending is read from its old end.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right


class Flight:
    """Octets [start, end) in sequence space; ``sent_at`` is when they were sent last, ``times`` how often.

    ``serial`` counts what was sent, so it tells the order of what was sent at the same time.
    """

    __slots__ = ("end", "lost", "sacked", "sent_at", "serial", "start", "times")

    def __init__(self, start: int, end: int, now: int, serial: int) -> None:
        self.start, self.end = start, end
        self.sent_at = now
        self.serial = serial
        self.times = 1
        self.sacked = self.lost = False


def _start_of(flight: Flight) -> int:
    return flight.start


class Scoreboard:
    """All flights between SND.UNA and SND.NXT, in order."""

    __slots__ = (
        "_counted", "_grown", "_head", "_list", "_lost", "_oldest", "_order", "_serial", "departed", "highest_sacked",
        "min_rtt", "pipe", "rack_end", "rack_rtt", "rack_serial", "reordered", "round_end", "sacked", "window_mult",
        "window_persist",
    )  # fmt: skip

    def __init__(self) -> None:
        self._list: list[Flight] = []
        self._head = 0
        self._lost: list[tuple[int, int, Flight]] = []
        self._order: list[tuple[Flight, int]] = []  # (flight, times when it was put here), oldest first
        self._oldest = 0
        self._grown: dict[int, int] = {}  # left edge of a SACK block -> how far it was marked
        self._counted = 0  # below this number detect_by_count has looked
        self.pipe = 0
        self.sacked = 0  # octets
        self.departed = 0  # octets that duplicate ACKs say have left the network (no SACK)
        self.highest_sacked = 0
        self.min_rtt = 0
        self.rack_serial = self.rack_end = self.rack_rtt = self._serial = 0
        self.reordered = False
        self.window_mult = 1
        self.window_persist = 0  # recoveries for which a wider window is kept
        self.round_end: int | None = None  # until SND.UNA is there, D-SACKs belong to one round trip

    def __len__(self) -> int:
        return len(self._list) - self._head

    @property
    def first(self) -> Flight:
        """The oldest octets not acknowledged."""
        return self._list[self._head]

    @property
    def last(self) -> Flight:
        """The newest octets sent."""
        return self._list[-1]

    def sent(self, start: int, end: int, now: int) -> Flight:
        """New octets went out."""
        self._serial += 1
        flight = Flight(start, end, now, self._serial)
        self._list.append(flight)
        self._order.append((flight, 1))
        self.pipe += end - start
        return flight

    def resent(self, flight: Flight, now: int) -> None:
        """Octets went out again."""
        if flight.lost:
            flight.lost = False
            self.pipe += flight.end - flight.start
        flight.times += 1
        flight.sent_at = now
        self._serial += 1
        flight.serial = self._serial
        self._order.append((flight, flight.times))

    def ack(self, una: int, now: int) -> tuple[int, int, bool]:
        """Octets before ``una`` are acknowledged: (octets newly delivered, RTT sample or 0, all sent only once)."""
        delivered, sample, once = 0, 0, True
        at, flights = self._head, self._list
        while at < len(flights):
            flight = flights[at]
            if flight.start >= una:
                break
            end = min(flight.end, una)
            size = end - flight.start
            if flight.sacked:
                self.sacked -= size
            else:
                delivered += size
                if not flight.lost:
                    self.pipe -= size
                if flight.times > 1:
                    once = False
                else:
                    sample = max(now - flight.sent_at, 1)
                self._rack(flight, end, now)
            if flight.end > una:
                flight.start = una
                break
            flight.sacked, flight.lost = True, False  # nobody is to look at it again
            at += 1
        self._head = at
        if at == len(flights) or (at > 64 and at * 2 > len(flights)):
            del flights[:at]
            self._head = 0
        order, at = self._order, self._oldest
        while at < len(order) and (order[at][0].sacked or order[at][1] != order[at][0].times):
            at += 1
        self._past(at)
        if not flights:
            self._lost.clear()
            self._grown.clear()
        return delivered, sample, once

    def _cut(self, at: int, middle: int) -> Flight:
        """Split the flight at index ``at``; the left part."""
        right = self._list[at]
        left = Flight(right.start, middle, right.sent_at, right.serial)
        left.times, left.sacked, left.lost = right.times, right.sacked, right.lost
        right.start = middle
        self._list.insert(at, left)
        if left.lost:
            heapq.heappush(self._lost, (left.start, id(left), left))
        elif not left.sacked:
            # Its place in the order of sending is that of the other half; a search keeps the order right.
            order = self._order
            for place in range(self._oldest, len(order)):
                if order[place][0] is right and order[place][1] == right.times:
                    order.insert(place, (left, left.times))
                    break
        return left

    def split(self, flight: Flight, middle: int) -> Flight:
        """Split a flight in two; the left part."""
        return self._cut(bisect_right(self._list, flight.start, self._head, key=_start_of) - 1, middle)

    def sack(self, blocks: list[tuple[int, int]], una: int, nxt: int, now: int) -> tuple[int, int]:
        """Mark what the peer holds; (octets newly sacked, RTT sample or 0)."""
        fresh, sample = 0, 0
        for left, right in blocks:
            if not una < left < right <= nxt:
                continue
            done = self._grown.get(left, left)
            if right <= done:
                continue
            if len(self._grown) > 4096:
                self._grown.clear()
            self._grown[left] = right
            at = bisect_right(self._list, done, self._head, key=_start_of) - 1
            at = max(at, self._head)
            while at < len(self._list):
                flight = self._list[at]
                if flight.start >= right:
                    break
                if flight.end <= done or flight.sacked:
                    at += 1
                    continue
                if flight.start < done:
                    self._cut(at, done)
                    at += 1
                    flight = self._list[at]
                if flight.end > right:
                    flight = self._cut(at, right)
                size = flight.end - flight.start
                fresh += size
                self.sacked += size
                if not flight.lost:
                    self.pipe -= size
                flight.sacked, flight.lost = True, False
                if flight.times == 1:
                    sample = max(now - flight.sent_at, 1)
                    # RFC 8985 6.2 step 3: below what was delivered before, and never sent again: it was overtaken.
                    if flight.end < self.highest_sacked:
                        self.reordered = True
                self._rack(flight, flight.end, now)
                self.highest_sacked = max(self.highest_sacked, flight.end)
                at += 1
        return fresh, sample

    def _rack(self, flight: Flight, end: int, now: int) -> None:
        """RFC 8985 6.2 step 2: the most recently sent flight that was delivered, up to ``end``."""
        rtt = now - flight.sent_at
        if flight.times > 1 and rtt < self.min_rtt:
            return  # most likely the answer to an earlier transmission
        serial = flight.serial
        if serial > self.rack_serial or (serial == self.rack_serial and end > self.rack_end):
            self.rack_serial, self.rack_end, self.rack_rtt = serial, end, rtt

    def detect(self, now: int, reorder_window: int) -> tuple[int, int]:
        """RFC 8985 6.2 step 5: (octets newly marked lost, when to look again or 0)."""
        lost, again = 0, 0
        order, at = self._order, self._oldest
        while at < len(order):
            flight, times = order[at]
            if times == flight.times and not flight.sacked and not flight.lost:
                if (flight.serial, flight.end) >= (self.rack_serial, self.rack_end):
                    break
                deadline = flight.sent_at + self.rack_rtt + reorder_window
                if deadline > now:
                    again = deadline
                    break
                self.mark_lost(flight)
                lost += flight.end - flight.start
            at += 1
        self._past(at)
        return lost, again

    def widen(self, una: int, nxt: int) -> None:
        """A D-SACK: something was sent again in vain, so wait longer for the reordered (RFC 8985 6.2 step 4)."""
        if self.round_end is None or una >= self.round_end:
            self.round_end = nxt
            self.window_mult += 1
            self.window_persist = 16

    def calm(self) -> None:
        """A recovery is over: after sixteen without D-SACK the reordering window is as it was."""
        self.window_persist = max(self.window_persist - 1, 0)
        if not self.window_persist:
            self.window_mult = 1

    def _past(self, at: int) -> None:
        """The order of sending was looked at up to this index."""
        if at == len(self._order) or (at > 64 and at * 2 > len(self._order)):
            del self._order[:at]
            at = 0
        self._oldest = at

    def detect_by_count(self, mss: int) -> int:
        """RFC 6675 4, ``IsLost``: octets never resent with more than two segments sacked above them."""
        above = 0
        top = bisect_right(self._list, self.highest_sacked, self._head, key=_start_of) - 1
        while top >= self._head and above <= 2 * mss:
            flight = self._list[top]
            if flight.sacked:
                above += flight.end - flight.start
            top -= 1
        if above <= 2 * mss or top < self._head:
            return 0
        edge = self._list[top].end
        lost = 0
        at = max(bisect_right(self._list, self._counted, self._head, key=_start_of) - 1, self._head)
        while at <= top:
            flight = self._list[at]
            if not flight.sacked and not flight.lost and flight.times == 1:
                self.mark_lost(flight)
                lost += flight.end - flight.start
            at += 1
        self._counted = max(self._counted, edge)
        return lost

    def mark_lost(self, flight: Flight) -> None:
        """Take a flight out of the pipe."""
        if flight.lost or flight.sacked:
            return
        flight.lost = True
        self.pipe -= flight.end - flight.start
        heapq.heappush(self._lost, (flight.start, id(flight), flight))

    def mark_all_lost(self, *, larger: int = 0) -> None:
        """Everything not sacked is lost (only flights of more than ``larger`` octets)."""
        for flight in self._list[self._head :]:
            if flight.end - flight.start > larger:
                self.mark_lost(flight)
        self.departed = 0

    def forget_sacks(self) -> None:
        """The peer may have thrown away what it reported (RFC 2018 8): after a timeout nothing counts as sacked."""
        for flight in self._list[self._head :]:
            if flight.sacked:
                flight.sacked = False
                flight.lost = True
                heapq.heappush(self._lost, (flight.start, id(flight), flight))
        self.sacked = 0
        self._grown.clear()

    def spared(self) -> None:
        """The losses were none: what is marked lost and was not sent again is in flight (RFC 5682)."""
        alive = [flight for flight in self._list[self._head :] if not flight.sacked]
        for flight in alive:
            if flight.lost:
                flight.lost = False
                self.pipe += flight.end - flight.start
        self._lost.clear()
        self._order = [(flight, flight.times) for flight in sorted(alive, key=lambda f: (f.serial, f.end))]
        self._oldest = 0

    def next_lost(self) -> Flight | None:
        """The lost flight with the lowest number."""
        lost = self._lost
        while lost:
            start, _, flight = lost[0]
            if flight.lost and flight.start == start:
                return flight
            heapq.heappop(lost)
            if flight.lost:  # its left part was split off
                heapq.heappush(lost, (flight.start, id(flight), flight))
        return None
