"""What really happened in a run, beside what a capture of it shows.  Only tests and benchmarks read it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from synfin.tcp.packet import Icmp, Packet

if TYPE_CHECKING:
    from synfin.sim.link import Fate, Pipe


class Passage(NamedTuple):
    """One packet on one link."""

    time: int
    pipe: str
    packet: Packet | Icmp
    fate: Fate


class Truth:
    """Every packet on every link, unless ``keep`` is off: then only the counts, for runs of many connections."""

    def __init__(self, *, keep: bool = True) -> None:
        self.keep = keep
        self.passages: list[Passage] = []
        self.counts: Counter[Fate] = Counter()

    def fate(self, time: int, pipe: Pipe, packet: Packet | Icmp, fate: Fate) -> None:
        """Note what became of a packet."""
        self.counts[fate] += 1
        if self.keep:
            self.passages.append(Passage(time, pipe.name, packet, fate))

    def retransmissions(self, pipe: str = "") -> int:
        """Segments whose sender knew that it sent octets again (on links whose name begins with ``pipe``)."""
        return sum(
            passage.pipe.startswith(pipe) and isinstance(passage.packet, Packet) and passage.packet.again
            for passage in self.passages
        )
