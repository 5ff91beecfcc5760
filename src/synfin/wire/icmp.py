"""ICMP (RFC 792) and ICMPv6 (RFC 4443): type, code, checksum, and a rest that others interpret."""

from __future__ import annotations

from dataclasses import dataclass, replace

from synfin.wire.checksum import checksum, pseudo_header, transport_checksum
from synfin.wire.codec import Reader, Writer
from synfin.wire.layer import Next, Walk


@dataclass(frozen=True, slots=True)
class Message:
    """An ICMP or ICMPv6 message; ``body`` begins with the four octets that differ from type to type."""

    type: int
    code: int
    body: bytes
    checksum: int = 0

    @classmethod
    def read(cls, r: Reader) -> Message:
        """Read a message that fills ``r``; WireError when it is shorter than four octets."""
        kind, code, check = r.u8("type"), r.u8("code"), r.u16("checksum")
        return cls(kind, code, r.rest("body"), check)

    def write(self) -> bytes:
        """The octets of the message."""
        w = Writer()
        w.u8(self.type)
        w.u8(self.code)
        w.u16(self.checksum)
        w.raw(self.body)
        return w.bytes()

    def sealed(self, src: bytes = b"", dst: bytes = b"") -> Message:
        """The same message with the right checksum: ICMP without addresses, ICMPv6 with them."""
        data = replace(self, checksum=0).write()
        if len(src) == 16:
            return replace(self, checksum=transport_checksum(pseudo_header(src, dst, 58, len(data)), data))
        return replace(self, checksum=checksum(data))


def icmp(walk: Walk) -> Next:
    """ICMP for IPv4."""
    return _message(walk, "ICMP", "icmp", "RFC 792")


def icmp6(walk: Walk) -> Next:
    """ICMP for IPv6."""
    return _message(walk, "ICMPv6", "icmpv6", "RFC 4443 2.1")


def _message(walk: Walk, name: str, path: str, ref: str) -> Next:
    r = walk.enter(name, path, ref)
    found = walk.found
    found.kind = "icmp"
    found.load_at, found.load_len, found.load_cap = r.pos, walk.wire_left, r.left
    if r.spans is not None:
        r.u8("type")
        r.u8("code")
        r.u16("checksum")
        r.rest("body")
    return None
