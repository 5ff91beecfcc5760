"""Random TCP connections: two crude ends over a bad line, from well behaved to hostile.

``random_flow`` is a function of its ``random.Random``: new data, losses before the capture point, reordering, repeats,
duplicate ACKs, SACK blocks, closing and opening windows, probes, keep-alives, FIN, RST, SYNs in the middle, Fast Open,
captures of one side or from the middle.  ``polite`` leaves out all that is unusual.
"""

from __future__ import annotations

import random
import struct
from typing import Any

from tests.support.packets import MASK, START, Packet, make

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def connections(seed: int, count: int, polite: float = 0.0) -> list[Packet]:
    """The packets of ``count`` connections in time order; ``polite`` is the share of well behaved ones."""
    chance = random.Random(seed)
    sent: list[dict[str, Any]] = []
    for i in range(count):
        ends = ((f"10.{i >> 8}.{i & 255}.1", 2000 + i % 50000), ("10.200.0.2", 9999))
        flow = Flow(chance, ends, START + i * 1_000_000)
        sent += flow.polite() if chance.random() < polite else flow.rough()
    sent.sort(key=lambda fields: fields["time"])
    return [make(**fields) for fields in sent]


class Flow:
    """One connection's packets in the making."""

    def __init__(self, chance: random.Random, ends: tuple[Any, Any], start: int) -> None:
        self.chance = chance
        self.ends = ends
        self.now = start
        self.out: list[dict[str, Any]] = []
        self.trip = chance.choice([100_000, 1_000_000, 5_000_000, 20_000_000, 100_000_000])
        self.isn = [chance.choice([chance.randrange(1 << 32), (1 << 32) - chance.randrange(1, 5000)]) for _ in "ab"]
        self.window = [chance.choice([64240, 5000, 502, 29200]) for _ in "ab"]
        self.scale = [chance.choice([None, 0, 2, 7]) for _ in "ab"]
        self.mss = chance.choice([1460, 536, 100])
        self.next = [self.isn[0] + 1, self.isn[1] + 1]
        self.acked = list(self.next)  # by the other end

    def emit(
        self, end: int, flags: int, seq: int, ack: int, size: int = 0, window: int | None = None, options: bytes = b""
    ) -> None:
        """Send one packet now."""
        self.out.append(
            {
                "time": self.now,
                "src": self.ends[end],
                "dst": self.ends[1 - end],
                "flags": flags,
                "seq": seq & MASK,
                "ack": ack & MASK if flags & ACK else 0,
                "window": (self.window[end] if window is None else window) & 0xFFFF,
                "options": options + b"\x01" * (-len(options) % 4),
                "payload": self.chance.randbytes(size),
            }
        )

    def wait(self, about: float) -> None:
        """Let time pass."""
        self.now += int(about * self.chance.uniform(0.3, 1.5)) + self.chance.randrange(1, 2000)

    def options(self, end: int) -> bytes:
        """What an end offers in its SYN."""
        scale = self.scale[end]
        return struct.pack(">BBH", 2, 4, self.mss) + (b"" if scale is None else bytes([3, 3, scale]))

    def handshake(self) -> None:
        """Three segments."""
        self.emit(0, SYN, self.isn[0], 0, options=self.options(0))
        self.wait(self.trip)
        self.emit(1, SYN | ACK, self.isn[1], self.next[0], options=self.options(1))
        self.wait(self.trip / 10)
        self.emit(0, ACK, self.next[0], self.next[1])

    def polite(self) -> list[dict[str, Any]]:
        """A connection on which nothing goes wrong."""
        self.window = [64240, 64240]
        self.handshake()
        chance = self.chance
        for _ in range(chance.randrange(0, 12)):
            end = chance.randrange(2)
            for _ in range(chance.randrange(1, 4)):
                self.wait(1e4)
                size = chance.randrange(1, self.mss + 1)
                self.emit(end, PSH | ACK, self.next[end], self.next[1 - end], size)
                self.next[end] += size
            self.wait(self.trip)
            self.emit(1 - end, ACK, self.next[1 - end], self.next[end])
        self.close()
        return self.out

    def close(self) -> None:
        """FIN, FIN-ACK, ACK."""
        self.wait(self.trip)
        self.emit(0, FIN | ACK, self.next[0], self.next[1])
        self.wait(self.trip)
        self.emit(1, FIN | ACK, self.next[1], self.next[0] + 1)
        self.wait(self.trip)
        self.emit(0, ACK, self.next[0] + 1, self.next[1] + 1)

    def rough(self) -> list[dict[str, Any]]:
        """A connection on which anything may go wrong."""
        chance = self.chance
        if chance.random() < 0.85:
            self.rough_opening()
        for _ in range(chance.randrange(0, 40)):
            self.rough_step(chance.randrange(2))
        if chance.random() < 0.5:
            self.close()
        kind = chance.random()
        if kind < 0.05:
            return [fields for fields in self.out if fields["src"] == self.ends[0]]
        if kind < 0.08:
            return [fields for fields in self.out if fields["src"] == self.ends[1]]
        if kind < 0.12:
            return self.out[chance.randrange(0, 5) :]
        if kind < 0.2:
            return [fields for fields in self.out if chance.random() < 0.9]
        return self.out

    def rough_opening(self) -> None:
        chance = self.chance
        fast = chance.random() < 0.05
        data = 50 if fast and chance.random() < 0.5 else 0
        cookie = b"\x22\x0a12345678" if fast else b""
        for i in range(chance.choice([1, 1, 1, 1, 2, 3])):
            if i:
                self.wait(1e9)
            self.emit(0, SYN, self.isn[0], 0, data, options=self.options(0) + cookie)
        if data and chance.random() < 0.5:
            self.next[0] += data
        for _ in range(chance.choice([1, 1, 1, 1, 2])):
            self.wait(self.trip)
            self.emit(1, SYN | ACK, self.isn[1], self.next[0], options=self.options(1))
        self.wait(self.trip / 10)
        if chance.random() < 0.95:
            self.emit(0, ACK, self.next[0], self.next[1])
        self.acked = list(self.next)

    def rough_step(self, end: int) -> None:
        chance, far, kind = self.chance, 1 - end, self.chance.random()
        own, its = self.next[end], self.acked[far]
        self.wait(chance.choice([1e4, 1e5, 1e6, self.trip, self.trip, 3e6, 25e6, self.trip * 2]))
        if kind < 0.45:
            size = chance.choice([1, 10, self.mss, self.mss, self.mss * 2, chance.randrange(1, self.mss)])
            way = chance.random()
            if way < 0.8:
                self.emit(end, PSH | ACK, own, its, size)
            elif way < 0.9:  # this one and the next change places
                self.emit(end, ACK, own + size, its, size)
                self.wait(chance.choice([1e3, 1e6, self.trip]))
                self.emit(end, ACK, own, its, size)
                size *= 2
            self.next[end] += size  # else: lost before the capture point
        elif kind < 0.75:
            top = self.next[far]
            if chance.random() < 0.7:
                self.acked[far] = top
            elif top - its > 1:
                self.acked[far] += chance.randrange(1, top - its + 1) if chance.random() < 0.5 else 0
            block = self.acked[far] + chance.randrange(1, 3000)
            sack = (
                struct.pack(">BBII", 5, 10, block & MASK, (block + self.mss) & MASK) if chance.random() < 0.2 else b""
            )
            if chance.random() < 0.1:
                self.window[end] = chance.choice([0, self.window[end] - 1, self.window[end] + 10, 1000]) & 0xFFFF
            for i in range(chance.choice([1, 1, 1, 2, 3, 4])):
                if i:
                    self.wait(1e5)
                self.emit(end, ACK, own, self.acked[far], options=sack)
        elif kind < 0.83:
            back = chance.randrange(1, 3 * self.mss)
            size = chance.choice([self.mss, back, 1, chance.randrange(1, self.mss)])
            start = chance.choice([self.acked[end], own - back])
            self.emit(end, PSH | ACK, start, its, size)
            self.next[end] = max(own, start + size)
        elif kind < 0.86:
            self.emit(end, ACK, own - 1, its, chance.choice([0, 0, 1]))
            self.wait(self.trip)
            if chance.random() < 0.8:
                self.emit(far, ACK, self.next[far], own)
        elif kind < 0.89:
            self.closed_window(end)
        elif kind < 0.92:
            shift = 0 if None in self.scale else self.scale[far] or 0
            size = self.acked[end] + (self.window[far] << shift) - own
            if 0 < size < 20000:
                self.emit(end, PSH | ACK, own, its, size)
                self.next[end] += size
        elif kind < 0.94:
            if self.out:
                self.out.append(dict(self.out[-1], time=self.now))
        elif kind < 0.965:
            self.emit(end, FIN | ACK, own, its)
            self.next[end] += 1
        elif kind < 0.98:
            self.emit(end, chance.choice([RST, RST | ACK]), chance.choice([own, self.acked[end], own + 100]), its)
        elif kind < 0.99:
            again = chance.choice([self.isn[end], self.isn[end] + 100000, own])
            self.emit(end, SYN, again, 0, options=self.options(end))
        else:
            self.emit(end, ACK, own, self.next[far] + chance.randrange(1, 5000), chance.choice([0, 10]))

    def closed_window(self, end: int) -> None:
        chance, far = self.chance, 1 - end
        self.emit(end, ACK, self.next[end], self.next[far], window=0)
        self.acked[far] = self.next[far]
        for _ in range(chance.randrange(0, 3)):
            self.wait(2e8)
            self.emit(far, ACK, self.next[far] - chance.choice([0, 1]), self.acked[end], chance.choice([0, 1, 1]))
            self.wait(self.trip)
            if chance.random() < 0.8:
                opened = chance.choice([0, 0, 0, 500])
                self.emit(end, ACK, self.next[end], self.next[far] + chance.choice([0, 0, 0, 1]), window=opened)
        self.wait(1e8)
        if chance.random() < 0.7:
            self.emit(end, ACK, self.next[end], self.next[far])
