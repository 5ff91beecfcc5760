"""A sniffer: writes what a node sends and receives, at the times it does, as pcapng of raw IP packets.

``Reel`` keeps the packets until the end of the run: TLS secrets are known then, and must stand before them.
"""

from __future__ import annotations

from typing import IO, Protocol

from synfin.capture.writer import PcapngWriter
from synfin.tcp.packet import Icmp, Packet

#: Link type of packets that begin with their IP header.
RAW = 101
#: Second 0 of a run, in nanoseconds since 1970 (2023-11-14 22:13:20 UTC).
EPOCH = 1_700_000_000 * 1_000_000_000


class Writer(Protocol):
    """What takes the packets; see ``PcapngWriter``."""

    def packet(self, time_ns: int, frame: bytes, comment: str = "", wirelen: int = 0) -> None:
        """One packet at its time."""

    def secrets(self, keylog_text: bytes) -> None:
        """A TLS key log."""


class Tap:
    """Writes packets to ``file``; with ``offload`` super-segments are seen uncut, as before a card that cuts them.

    ``epoch`` is second 0 of the run, in nanoseconds since 1970.
    """

    def __init__(
        self, file: IO[bytes], *, offload: bool = False, writer: Writer | None = None, epoch: int = EPOCH
    ) -> None:
        self.packets = 0
        self.epoch = epoch
        self.writer: Writer = writer or PcapngWriter(file, RAW)
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
        self.writer.packet(self.epoch + now, data)


class Reel:
    """Keeps packets and secrets, to be handed to a ``Tap`` as its writer and developed when the run is over."""

    def __init__(self) -> None:
        self.packets: list[tuple[int, bytes, str, int]] = []
        self.keylog = b""

    def packet(self, time_ns: int, frame: bytes, comment: str = "", wirelen: int = 0) -> None:
        """One packet at its time."""
        self.packets.append((time_ns, frame, comment, wirelen))

    def secrets(self, keylog_text: bytes) -> None:
        """More lines of a TLS key log, at any time."""
        self.keylog += keylog_text

    def develop(self, file: IO[bytes], *, secrets: bool = True) -> None:
        """Write it all as pcapng of raw IP packets, the secrets first unless they stay with us."""
        writer = PcapngWriter(file, RAW)
        if self.keylog and secrets:
            writer.secrets(self.keylog)
        for packet in self.packets:
            writer.packet(*packet)
