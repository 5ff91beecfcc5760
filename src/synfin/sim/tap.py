"""A sniffer: writes what a node sends and receives, at the times it does, as pcapng of raw IP packets."""

from __future__ import annotations

from typing import IO

from synfin.capture.writer import PcapngWriter
from synfin.tcp.packet import Icmp, Packet

#: Link type of packets that begin with their IP header.
RAW = 101
#: Second 0 of a run, in nanoseconds since 1970 (2023-11-14 22:13:20 UTC).
EPOCH = 1_700_000_000 * 1_000_000_000


class Tap:
    """Writes packets to ``file``; with ``offload`` super-segments are seen uncut, as before a card that cuts them."""

    def __init__(self, file: IO[bytes], *, offload: bool = False, writer: PcapngWriter | None = None) -> None:
        self.packets = 0
        self.writer = writer or PcapngWriter(file, RAW)
        self._offload = offload
        self._ident = 0

    def secrets(self, keylog: bytes) -> None:
        """A TLS key log, to stand before the packets that need it."""
        self.writer.secrets(keylog)

    def see(self, now: int, packet: Packet | Icmp) -> None:
        """A packet passes."""
        if isinstance(packet, Icmp):
            self.write(now, packet.write())
        elif packet.gso and not self._offload:
            for piece in packet.pieces():
                self._packet(now, piece)
        else:
            self._packet(now, packet)

    def _packet(self, now: int, packet: Packet) -> None:
        self._ident += 1
        self.write(now, packet.write(self._ident))

    def write(self, now: int, data: bytes) -> None:
        """One packet, at a time of the run."""
        self.packets += 1
        self.writer.packet(EPOCH + now, data)
