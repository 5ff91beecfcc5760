"""A connection written step by step: real TLS octets and packets as text, joined into one capture.

``Script`` keeps the clock and the notation of ``tests.support.packets``; flights come from ``tests.support.tlsbytes``.
The client is ``a`` (10.0.0.1) and the server ``b`` (10.0.0.2:443); the capture stands at the client, so an answer
takes one round trip.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tests.support import packets
from tests.support.tlsbytes import NOW_NS, Flights

SIDES = "ab"


@dataclass
class Script:
    """Lines of packet text in the making; ``now`` is the time of the next one, in seconds."""

    rtt: float = 0.02
    mss: int = 1400
    port: int = 443
    client_port: int = 40001
    now: float = 0.0
    keylog: bytes = b""
    lines: list[str] = field(default_factory=list)

    def line(self, text: str, wait: float = 0.0001) -> Script:
        """One packet, ``wait`` seconds after the one before."""
        self.now += wait
        self.lines.append(f"{self.now:.6f}  {text}")
        return self

    def pause(self, seconds: float) -> Script:
        """Nothing happens."""
        self.now += seconds
        return self

    def connect(self, *, server_ttl: int = 64) -> Script:
        """The TCP handshake."""
        self.line("a > b SYN <mss 1460, sackOK, wscale 7>", 0)
        self.line(f"b > a SYN,ACK <mss 1460, sackOK, wscale 7> ttl={server_ttl}", self.rtt)
        return self.line("a > b ACK")

    def send(self, side: int, data: bytes, *, ack: bool = True, extra: str = "") -> Script:
        """``data`` of a side in segments, acknowledged by the other side."""
        one, two = SIDES[side], SIDES[1 - side]
        self.now += self.rtt / 2
        for at in range(0, len(data), self.mss):
            part = data[at : at + self.mss]
            self.line(f"{one} > {two} PSH,ACK hex={part.hex()} {extra}")
        if ack:
            self.line(f"{two} > {one} ACK {extra}", self.rtt / 2)
        return self

    def play(self, talk: Flights, first: int = 0, stop: int | None = None) -> Script:
        """Chunks of a TLS conversation."""
        self.keylog = talk.keylog
        for side, data in talk.chunks[first:stop]:
            self.send(side, data)
        return self

    def close(self, side: int = 0) -> Script:
        """FIN of both, begun by ``side``."""
        one, two = SIDES[side], SIDES[1 - side]
        self.line(f"{one} > {two} FIN,ACK")
        self.line(f"{two} > {one} FIN,ACK", self.rtt)
        return self.line(f"{one} > {two} ACK")

    def reset(self, side: int = 1, extra: str = "", wait: float | None = None) -> Script:
        """RST,ACK of ``side``."""
        one, two = SIDES[side], SIDES[1 - side]
        return self.line(f"{one} > {two} RST,ACK win=0 {extra}", self.rtt if wait is None else wait)

    @property
    def text(self) -> str:
        """The packets as text."""
        ends = f"a = 10.0.0.1:{self.client_port}\nb = 10.0.0.2:{self.port}\n"
        return ends + "\n".join(self.lines) + "\n"


def write(scripts: list[Script], path: Path, snaplen: int | None = None) -> Path:
    """One capture of several connections, in time order, at the time the certificates were made for."""
    many = [packet for script in scripts for packet in packets.packets(script.text)]
    for packet in many:
        packet.time += NOW_NS - packets.START
        packet.cut = snaplen if snaplen is not None else packet.cut
    many.sort(key=lambda packet: packet.time)
    return packets.write_pcap(many, path)
