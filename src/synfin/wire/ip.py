"""IPv4 (RFC 791) and IPv6 (RFC 8200) headers, read and written without loss, and the IPv6 extension headers.

The length fields decide where a packet ends, so that Ethernet's padding never counts as payload; an IPv4 total
length of zero is what a capture on a machine with segmentation offload shows, and means "to the end of the frame"
(as it does in Wireshark). Fragments are reported, not put together: that needs memory, which is the capture
reader's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from synfin.wire.checksum import checksum
from synfin.wire.codec import Reader, Writer
from synfin.wire.layer import Fragment, Next, Walk

_REF4, _REF6 = "RFC 791 3.1", "RFC 8200 3"


@dataclass(frozen=True, slots=True)
class IPv4:
    """An IPv4 header.  ``length`` is the total length field; ``flags_offset`` holds three flag bits and the offset.

    ``options`` are octets; on writing they are padded with zeros to a multiple of four.
    """

    src: bytes
    dst: bytes
    proto: int
    length: int
    ttl: int = 64
    ident: int = 0
    flags_offset: int = 0x4000
    tos: int = 0
    checksum: int = 0
    options: bytes = b""

    @classmethod
    def read(cls, r: Reader) -> IPv4:
        """Read a header with its options; WireError when it is cut or says it is shorter than 20 octets."""
        start = r.pos
        first = r.u8("version_length")
        words = first & 15
        if first >> 4 != 4:
            raise r.fail("version", f"says {first >> 4}")
        if words < 5:
            raise r.fail("header_length", f"says {words} words, a header has 5")
        tos, length, ident = r.u8("tos"), r.u16("total_length"), r.u16("identification")
        flags_offset, ttl, proto = r.u16("flags_offset"), r.u8("ttl"), r.u8("protocol")
        check, src, dst = r.u16("checksum"), r.take(4, "src"), r.take(4, "dst")
        options = r.take(start + words * 4 - r.pos, "options")
        return cls(src, dst, proto, length, ttl, ident, flags_offset, tos, check, options)

    def write(self) -> bytes:
        """The octets of the header."""
        w = Writer()
        w.u8(0x40 | 5 + (len(self.options) + 3) // 4)
        w.u8(self.tos)
        w.u16(self.length)
        w.u16(self.ident)
        w.u16(self.flags_offset)
        w.u8(self.ttl)
        w.u8(self.proto)
        w.u16(self.checksum)
        w.raw(self.src)
        w.raw(self.dst)
        w.raw(self.options + bytes(-len(self.options) % 4))
        return w.bytes()

    def sealed(self) -> IPv4:
        """The same header with the right checksum."""
        return replace(self, checksum=checksum(replace(self, checksum=0).write()))


@dataclass(frozen=True, slots=True)
class IPv6:
    """An IPv6 header without extensions; ``length`` is the payload length field."""

    src: bytes
    dst: bytes
    next_header: int
    length: int
    hop_limit: int = 64
    traffic_class: int = 0
    flow_label: int = 0

    @classmethod
    def read(cls, r: Reader) -> IPv6:
        """Read a header; WireError when it is cut or of another version."""
        word = r.u32("version_class_flow")
        if word >> 28 != 6:
            raise r.fail("version", f"says {word >> 28}")
        length, following, hops = r.u16("payload_length"), r.u8("next_header"), r.u8("hop_limit")
        src, dst = r.take(16, "src"), r.take(16, "dst")
        return cls(src, dst, following, length, hops, word >> 20 & 0xFF, word & 0xFFFFF)

    def write(self) -> bytes:
        """The octets of the header."""
        w = Writer()
        w.u32(6 << 28 | self.traffic_class << 20 | self.flow_label)
        w.u16(self.length)
        w.u8(self.next_header)
        w.u8(self.hop_limit)
        w.raw(self.src)
        w.raw(self.dst)
        return w.bytes()


def ip4(walk: Walk) -> Next:
    """An IPv4 header and what it says of its payload."""
    return _ip4(walk, "")


def ip4_inside(walk: Walk) -> Next:
    """An IPv4 header right behind another IP header."""
    return _ip4(walk, "4in6" if walk.found.version == 6 else "IP in IP")


def ip6(walk: Walk) -> Next:
    """An IPv6 header and what it says of its payload."""
    return _ip6(walk, "")


def ip6_inside(walk: Walk) -> Next:
    """An IPv6 header right behind another IP header."""
    return _ip6(walk, "6in4" if walk.found.version == 4 else "IPv6 in IPv6")


def _ip4(walk: Walk, tunnel: str) -> Next:
    r = walk.r
    if r.left and r.data[r.pos] >> 4 == 6:  # some systems write the wrong EtherType or family
        return _ip6(walk, tunnel)
    walk.enter("IPv4", "ipv4", _REF4)
    found = walk.found
    start = r.pos
    head = IPv4.read(r)
    size = r.pos - start
    if tunnel:
        found.tunnels.append(tunnel)
    found.version, found.proto, found.ttl, found.ip_id, found.ecn = 4, head.proto, head.ttl, head.ident, head.tos & 3
    found.src, found.dst = head.src, head.dst
    if head.length:
        if head.length < size:
            found.unread = "malformed IPv4 total length"
            return None
        walk.limit(head.length - size)
    if head.flags_offset & 0x3FFF:
        key = (4, head.src, head.dst, head.proto, head.ident)
        if not head.flags_offset & 0x1FFF and r.left < walk.wire_left:
            return "ip", head.proto  # the first of them, not all captured: nothing to wait for, headers to read
        _fragment(walk, key, (head.flags_offset & 0x1FFF) * 8, bool(head.flags_offset & 0x2000), head.proto)
        return None
    return "ip", head.proto


def _ip6(walk: Walk, tunnel: str) -> Next:
    r = walk.r
    if r.left and r.data[r.pos] >> 4 == 4:
        return _ip4(walk, tunnel)
    walk.enter("IPv6", "ipv6", _REF6)
    found = walk.found
    head = IPv6.read(r)
    if tunnel:
        found.tunnels.append(tunnel)
    found.version, found.proto, found.ttl, found.ip_id = 6, head.next_header, head.hop_limit, 0
    found.ecn = head.traffic_class & 3
    found.src, found.dst = head.src, head.dst
    if head.length:  # zero: a jumbogram (RFC 2675), or segmentation offload
        walk.limit(head.length)
    return "ip", head.next_header


def _fragment(walk: Walk, key: tuple[object, ...], offset: int, more: bool, proto: int) -> None:
    found, r = walk.found, walk.r
    found.unread = "IP fragment"
    found.fragment = Fragment(key, offset, more, r.pos, r.left, proto, r.left == walk.wire_left)
    walk.bits(r.pos, r.end, "fragment", r.left)


def options6(walk: Walk) -> Next:
    """Hop-by-hop, routing, destination, mobility, HIP and Shim6 headers: a next header and a length in 8 octets."""
    r = walk.enter("IPv6 extension", "ipv6_extension", "RFC 8200 4")
    following = r.u8("next_header")
    size = r.u8("length")
    r.take(6 + size * 8, "data")
    walk.found.proto = following
    return "ip", following


def authentication(walk: Walk) -> Next:
    """The authentication header: its length counts in 4 octets, less two."""
    r = walk.enter("AH", "ah", "RFC 4302 2")
    following = r.u8("next_header")
    size = r.u8("length")
    r.take((size + 2) * 4 - 2, "data")
    walk.found.proto = following
    return "ip", following


def fragment6(walk: Walk) -> Next:
    """The fragment header; an atomic fragment (RFC 6946) is a whole datagram."""
    r = walk.enter("IPv6 fragment", "ipv6_fragment", "RFC 8200 4.5")
    following = r.u8("next_header")
    r.u8("reserved")
    word = r.u16("offset_more")
    ident = r.u32("identification")
    found = walk.found
    found.proto = following
    if not word & 0xFFF9:
        return "ip", following
    if not word & 0xFFF8 and r.left < walk.wire_left:
        return "ip", following
    _fragment(walk, (6, found.src, found.dst, ident), word & 0xFFF8, bool(word & 1), following)
    return None
