"""UDP (RFC 768)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from synfin.wire.checksum import pseudo_header, transport_checksum
from synfin.wire.codec import Reader, Writer
from synfin.wire.layer import Next, Walk
from synfin.wire.tunnel import UDP_TUNNELS


@dataclass(frozen=True, slots=True)
class Datagram:
    """A UDP datagram; ``length`` None on writing means the right one."""

    sport: int
    dport: int
    payload: bytes
    checksum: int = 0
    length: int | None = None

    @classmethod
    def read(cls, r: Reader) -> Datagram:
        """Read a datagram that fills ``r``; WireError when the header is cut."""
        sport, dport, length, checksum = r.u16("sport"), r.u16("dport"), r.u16("length"), r.u16("checksum")
        payload = r.rest("payload")
        return cls(sport, dport, payload, checksum, None if length == 8 + len(payload) else length)

    def write(self) -> bytes:
        """The octets of the datagram."""
        w = Writer()
        w.u16(self.sport)
        w.u16(self.dport)
        w.u16(8 + len(self.payload) if self.length is None else self.length)
        w.u16(self.checksum)
        w.raw(self.payload)
        return w.bytes()

    def sealed(self, src: bytes, dst: bytes) -> Datagram:
        """The same datagram with the right checksum between two addresses (4 or 16 octets each)."""
        blank = replace(self, checksum=0)
        data = blank.write()
        return replace(self, checksum=transport_checksum(pseudo_header(src, dst, 17, len(data)), data) or 0xFFFF)


def udp(walk: Walk) -> Next:
    """A datagram: ports and payload, or what a tunnel on its port carries."""
    r = walk.enter("UDP", "udp", "RFC 768")
    found = walk.found
    sport, dport = r.u16("sport"), r.u16("dport")
    length = r.u16("length")
    r.u16("checksum")
    found.sport, found.dport, found.kind = sport, dport, "udp"
    if length >= 8:
        walk.limit(length - 8)
    elif length:  # 0 is a jumbogram (RFC 2675 4) or an offloaded datagram
        found.unread = "malformed UDP length"
        walk.limit(0)
    walk.load()
    tunnel = UDP_TUNNELS.get(dport) or UDP_TUNNELS.get(sport)
    if tunnel is None or not r.left:
        return None
    return tunnel(walk)
