"""Link layers that carry an EtherType or a PPP protocol number: Ethernet and its tags, LLC, SLL, PPP, HDLC, loopback.

Each reader takes one header off the frame and says what follows.  Sources: IEEE 802.3, 802.1Q and 802.2; the link type
registry of the pcap formats for LINUX_SLL, LINUX_SLL2, NULL and NFLOG; RFC 1661, 1662 (PPP), 2516 (PPPoE), 1547 (HDLC).
``Frame`` writes Ethernet headers for those who make packets.
"""

from __future__ import annotations

from dataclasses import dataclass

from synfin.wire.codec import Reader, Writer
from synfin.wire.layer import Next, Walk

#: EtherTypes of VLAN tags: 802.1Q, 802.1ad, and the one used for QinQ before there was a standard.
VLAN_TYPES = (0x8100, 0x88A8, 0x9100)

#: Address families that capturing systems write in front of IPv6: Linux, NetBSD and OpenBSD, FreeBSD, macOS.
_FAMILIES_IP6 = (10, 24, 28, 30)
_IP4, _IP6 = ("ethertype", 0x0800), ("ethertype", 0x86DD)


@dataclass(frozen=True, slots=True)
class Frame:
    """An Ethernet frame with its VLAN tags (EtherType of the tag, tag control information), outermost first."""

    dst: bytes
    src: bytes
    ethertype: int
    payload: bytes
    tags: tuple[tuple[int, int], ...] = ()

    @classmethod
    def read(cls, r: Reader) -> Frame:
        """Read a whole frame; WireError when a header is cut."""
        dst, src = r.take(6, "dst"), r.take(6, "src")
        tags = []
        ethertype = r.u16("type")
        while ethertype in VLAN_TYPES:
            tags.append((ethertype, r.u16("tci")))
            ethertype = r.u16("type")
        return cls(dst, src, ethertype, r.rest("payload"), tuple(tags))

    def write(self) -> bytes:
        """The octets of the frame."""
        w = Writer()
        w.raw(self.dst)
        w.raw(self.src)
        for kind, tci in self.tags:
            w.u16(kind)
            w.u16(tci)
        w.u16(self.ethertype)
        w.raw(self.payload)
        return w.bytes()


def ethernet(walk: Walk) -> Next:
    """IEEE 802.3: destination, source, and a type, or a length with LLC behind it."""
    r = walk.enter("Ethernet", "ethernet", "IEEE 802.3 3.1")
    r.take(6, "dst")
    r.take(6, "src")
    return _type_or_length(walk, r.u16("type"))


def _type_or_length(walk: Walk, number: int) -> Next:
    """Up to 1500 it is a length, and LLC follows (IEEE 802.3 3.2.6)."""
    if number > 1500:
        return "ethertype", number
    walk.limit(number)
    return "llc", 0


def vlan(walk: Walk) -> Next:
    """A tag of 802.1Q or 802.1ad: priority, drop eligible, VLAN id, and the type of what follows."""
    r = walk.enter("VLAN", "vlan", "IEEE 802.1Q 9.6")
    start = r.pos
    tci = r.u16("tci")
    walk.bits(start, r.pos, "priority", tci >> 13)
    walk.bits(start, r.pos, "id", tci & 0xFFF)
    walk.found.vlans.append(tci & 0xFFF)
    return _type_or_length(walk, r.u16("type"))


def backbone(walk: Walk) -> Next:
    """The service tag of provider backbone bridging; a whole customer frame follows."""
    r = walk.enter("802.1ah", "pbb", "IEEE 802.1Q 9.7")
    r.u8("flags")
    r.u24("isid")
    walk.found.tunnels.append("802.1ah")
    return "link", 1


def llc(walk: Walk) -> Next:
    """Logical link control, with SNAP where it is there."""
    r = walk.enter("LLC", "llc", "IEEE 802.2 5.4")
    dsap = r.u8("dsap")
    ssap = r.u8("ssap")
    control = r.u8("control")
    if (dsap, ssap) == (0xAA, 0xAA):
        r.path, r.ref = "snap", "RFC 1042"
        oui = r.u24("oui")
        number = r.u16("type")
        if oui in (0, 0x0000F8):
            return "ethertype", number
        return "snap", oui << 16 | number
    if control & 3 != 3:
        r.u8("control2")
    return "sap", dsap & 0xFE


def sll(walk: Walk) -> Next:
    """Linux cooked capture."""
    r = walk.enter("Linux cooked capture", "sll", "LINKTYPE_LINUX_SLL")
    r.u16("packet_type")
    r.u16("arphrd_type")
    r.u16("address_length")
    r.take(8, "address")
    return _cooked(r.u16("protocol"))


def sll2(walk: Walk) -> Next:
    """Linux cooked capture, version 2."""
    r = walk.enter("Linux cooked capture v2", "sll2", "LINKTYPE_LINUX_SLL2")
    number = r.u16("protocol")
    r.u16("reserved")
    r.u32("interface_index")
    r.u16("arphrd_type")
    r.u8("packet_type")
    r.u8("address_length")
    r.take(8, "address")
    return _cooked(number)


def _cooked(number: int) -> Next:
    return ("llc", 0) if number == 4 else ("ethertype", number)


def loopback(walk: Walk) -> Next:
    """BSD loopback: the address family in four octets, in whichever order the capturing machine had."""
    r = walk.enter("BSD loopback", "null", "LINKTYPE_NULL")
    raw = r.take(4, "family")
    family = int.from_bytes(raw, "big")
    if family > 0xFFFF:
        family = int.from_bytes(raw, "little")
    return _family(family)


def _family(family: int) -> Next:
    if family == 2:
        return _IP4
    if family in _FAMILIES_IP6:
        return _IP6
    return "family", family


def raw_ip(walk: Walk) -> Next:
    """No link layer at all: the version nibble says which IP it is."""
    r = walk.r
    version = r.data[r.pos] >> 4 if r.left else 0
    if version == 4:
        return _IP4
    if version == 6:
        return _IP6
    return "raw", version


def ppp(walk: Walk) -> Next:
    """PPP, with or without the address and control octets of HDLC framing; Cisco HDLC is told by its address."""
    r = walk.enter("PPP", "ppp", "RFC 1661 2")
    head = bytes(r.data[r.pos : min(r.pos + 2, r.end)])
    if head == b"\xff\x03":
        r.u16("address_control")
    elif head in (b"\x0f\x00", b"\x8f\x00"):
        walk.found.layers.pop()
        return "link", 104
    return _ppp_protocol(r)


def ppp_with_direction(walk: Walk) -> Next:
    """PPP behind one octet that says whether it was sent or received."""
    walk.r.path, walk.r.ref = "ppp", "LINKTYPE_PPP_WITH_DIR"
    walk.r.u8("direction")
    return "link", 9


def _ppp_protocol(r: Reader) -> Next:
    number = r.u8("protocol")
    if not number & 1:  # RFC 1661 6.5: one octet where the field is compressed
        r.pos -= 1
        if r.spans:
            r.spans.pop()
        number = r.u16("protocol")
    return "ppp", number


def pppoe(walk: Walk) -> Next:
    """A PPPoE session packet."""
    r = walk.enter("PPPoE", "pppoe", "RFC 2516 4")
    r.u8("version_type")
    code = r.u8("code")
    r.u16("session_id")
    walk.limit(r.u16("length"))
    if code:
        return "ethertype", 0x8863
    r.path, r.ref = "ppp", "RFC 1661 2"
    walk.found.layers.append("PPP")
    return _ppp_protocol(r)


def cisco_hdlc(walk: Walk) -> Next:
    """Cisco HDLC: address, control, EtherType."""
    r = walk.enter("Cisco HDLC", "chdlc", "RFC 1547 4.3.1")
    r.u8("address")
    r.u8("control")
    return "ethertype", r.u16("protocol")


def nflog(walk: Walk) -> Next:
    """Linux netfilter log: a family, then attributes in host order, one of which (9) is the packet."""
    r = walk.enter("NFLOG", "nflog", "LINKTYPE_NFLOG")
    family = r.u8("family")
    r.u8("version")
    r.u16("resource_id")
    order = "little"
    while r.left >= 4:
        start = r.pos
        raw = bytes(r.data[start : start + 4])
        size, kind = int.from_bytes(raw[:2], order), int.from_bytes(raw[2:], order) & 0x7FFF  # type: ignore[arg-type]
        if order == "little" and not 4 <= size <= walk.wire_left:
            order = "big"
            continue
        if size < 4:
            raise r.fail("attribute.length", f"says {size}, less than its own header")
        r.take(4, "attribute")
        if kind == 9:
            walk.limit(size - 4)
            return _family(family) if family else ("link", 101)
        r.take(min((size + 3) & ~3, walk.wire_left + 4) - 4, f"attribute[{kind}]")
    return "nflog", 0


def pflog(walk: Walk) -> Next:
    """OpenBSD's packet filter log: a length, an address family, and what the filter did."""
    r = walk.enter("PFLOG", "pflog", "LINKTYPE_PFLOG")
    size = r.u8("length")
    family = r.u8("family")
    r.take(((max(size, 2) + 3) & ~3) - 2, "rest")
    return _family(family)


def enc(walk: Walk) -> Next:
    """OpenBSD's IPsec interface: family, SPI, flags."""
    walk.found.tunnels.append("IPsec")
    r = walk.enter("ENC", "enc", "LINKTYPE_ENC")
    raw = r.take(4, "family")
    r.u32("spi")
    r.u32("flags")
    family = int.from_bytes(raw, "little")
    return _family(family if family <= 0xFFFF else int.from_bytes(raw, "big"))
