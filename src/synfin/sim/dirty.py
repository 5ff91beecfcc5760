"""A sniffer as they are in life: it misses packets, sees them twice, cuts them, and its clock steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO

from synfin.capture.writer import PcapngWriter
from synfin.sim.chance import Stream
from synfin.sim.tap import RAW, Tap
from synfin.tcp.packet import Icmp, Packet


@dataclass(frozen=True, slots=True)
class Dirt:
    """What is wrong with a capture.  Probabilities are from 0 to 1, times in nanoseconds.

    ``checksums_by``: the address whose segments are seen before its network card has filled in their checksums.
    ``only_from``: the one address whose packets are seen.  ``step``: at that time the clock moves by so much.
    """

    snaplen: int = 0
    missed: float = 0.0
    doubled: float = 0.0
    offload: bool = False
    checksums_by: bytes = b""
    only_from: bytes = b""
    step: tuple[int, int] = (0, 0)


class DirtyTap(Tap):
    """Writes packets to ``file`` with the defects of ``dirt``; ``missed`` and ``doubled`` count them."""

    def __init__(self, file: IO[bytes], dirt: Dirt, seed: int = 0) -> None:
        super().__init__(file, offload=dirt.offload, writer=PcapngWriter(file, RAW, dirt.snaplen))
        self.dirt = dirt
        self.missed = self.doubled = 0
        self._miss = Stream(seed, "tap misses")
        self._double = Stream(seed, "tap doubles")

    def see(self, now: int, packet: Packet | Icmp) -> None:
        """A packet passes; perhaps it is noticed."""
        source = packet.src if isinstance(packet, Packet) else packet.sender
        if not self.dirt.only_from or source == self.dirt.only_from:
            super().see(now, packet)

    def write(self, now: int, data: bytes) -> None:
        """One packet as this sniffer has it."""
        dirt = self.dirt
        if self._miss.happens(dirt.missed):
            self.missed += 1
            return
        if dirt.checksums_by and data[9] == 6 and data[12:16] == dirt.checksums_by:
            data = data[:36] + b"\x12\x34" + data[38:]  # the sum of the pseudo-header, say
        when, by = dirt.step
        time = self.epoch + now + (by if when and now >= when else 0)
        times = 2 if self._double.happens(dirt.doubled) else 1
        self.doubled += times - 1
        for _ in range(times):
            self.packets += 1
            self.writer.packet(time, data[: dirt.snaplen or None], wirelen=len(data))
