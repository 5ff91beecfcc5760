"""What wraps packets in packets: MPLS, GRE and ERSPAN, VXLAN, GENEVE, GTP-U, Teredo, L2TP, EtherIP.

A tunnel over UDP is believed only when its header makes sense; otherwise the datagram stays a datagram.  Sources:
RFC 3032 (MPLS), 4385 and 4448 (pseudo-wires), 2784, 2890 and 2637 (GRE), 7348 (VXLAN), 8926 (GENEVE), 3GPP TS
29.281 (GTP-U), RFC 4380 (Teredo), 2661 (L2TP), 3378 (EtherIP), draft-foschiano-erspan-03.
"""

from __future__ import annotations

from synfin.wire.layer import Layer, Next, Walk

_ETHERNET = ("link", 1)


def mpls(walk: Walk) -> Next:
    """A stack of labels; what follows is guessed by its first nibble (RFC 4928)."""
    r = walk.enter("MPLS", "mpls", "RFC 3032 2.1")
    walk.found.tunnels.append("MPLS")
    while not r.u32("label") & 0x100:
        pass
    nibble = r.data[r.pos] >> 4 if r.left else 0
    if nibble == 4:
        return "ethertype", 0x0800
    if nibble == 6:
        return "ethertype", 0x86DD
    if nibble == 0:
        r.u32("control_word")
    return _ETHERNET


def gre(walk: Walk) -> Next:
    """GRE with checksum, key and sequence number, and the enhanced GRE of PPTP."""
    r = walk.enter("GRE", "gre", "RFC 2784 2")
    flags, proto = r.u16("flags_version"), r.u16("protocol")
    walk.found.tunnels.append("GRE")
    if flags & 7 == 1:
        r.ref = "RFC 2637 4.1"
        size = r.u16("payload_length")
        r.u16("call_id")
        if flags & 0x1000:
            r.u32("sequence")
        if flags & 0x0080:
            r.u32("acknowledgment")
        if not flags & 0x1000 or not size:
            walk.found.unread = "PPTP acknowledgment"
            return None
        return "link", 9
    if flags & 0xC000:
        r.u16("checksum")
        r.u16("reserved")
    if flags & 0x2000:
        r.u32("key")
    if flags & 0x1000:
        r.u32("sequence")
    if flags & 0x4000:
        while True:
            r.u16("route.family")
            r.u8("route.offset")
            size = r.u8("route.length")
            if not size:
                break
            r.take(size, "route.data")
    if proto == 0x88BE and not flags & 0x1000:  # ERSPAN type I has no header of its own
        walk.found.tunnels[-1] = "ERSPAN"
        return _ETHERNET
    return "ethertype", proto


def erspan2(walk: Walk) -> Next:
    """ERSPAN type II: a mirrored Ethernet frame."""
    r = walk.enter("ERSPAN", "erspan", "draft-foschiano-erspan-03 4.2")
    walk.found.tunnels[-1:] = ["ERSPAN"]
    r.take(8, "header")
    return _ETHERNET


def erspan3(walk: Walk) -> Next:
    """ERSPAN type III, with its optional platform header."""
    r = walk.enter("ERSPAN", "erspan", "draft-foschiano-erspan-03 4.3")
    walk.found.tunnels[-1:] = ["ERSPAN"]
    head = r.take(12, "header")
    if head[11] & 1:
        r.take(8, "platform")
    return _ETHERNET


def ether_ip(walk: Walk) -> Next:
    """Ethernet in IP."""
    r = walk.enter("EtherIP", "etherip", "RFC 3378 2")
    walk.found.tunnels.append("EtherIP")
    r.u16("version")
    return _ETHERNET


def metadata(walk: Walk) -> Next:
    """Cisco metadata (security group tags) in front of the EtherType."""
    r = walk.enter("Cisco metadata", "cmd", "draft-smith-kandula-sxp")
    r.u8("version")
    size = r.u8("length")
    r.take(size * 4, "options")
    return "ethertype", r.u16("type")


def service_header(walk: Walk) -> Next:
    """A network service header."""
    r = walk.enter("NSH", "nsh", "RFC 8300 2.2")
    walk.found.tunnels.append("NSH")
    size = (r.u16("version_length") & 0x3F) * 4
    r.u8("md_type")
    following = r.u8("next_protocol")
    r.take(size - 4 if size > 4 else 0, "context")
    nexts: dict[int, Next] = {
        1: ("ethertype", 0x0800),
        2: ("ethertype", 0x86DD),
        3: _ETHERNET,
        5: ("ethertype", 0x8847),
    }
    return nexts.get(following, ("nsh", following))


def _over_udp(walk: Walk, name: str, path: str, ref: str) -> None:
    """The datagram is a tunnel after all: forget that it was a datagram."""
    walk.enter(name, path, ref)
    found = walk.found
    found.tunnels.append(name)
    found.kind = "other"
    found.sport = found.dport = found.load_at = found.load_len = found.load_cap = 0
    r = walk.r
    if r.spans and r.spans[-1].path.endswith(".payload"):
        r.spans.pop()


def _vxlan(walk: Walk) -> Next:
    r = walk.r
    if r.left < 8 or r.data[r.pos] & 0x08 == 0:
        return None
    _over_udp(walk, "VXLAN", "vxlan", "RFC 7348 5")
    r.u8("flags")
    r.u24("reserved")
    r.u24("vni")
    r.u8("reserved2")
    return _ETHERNET


def _vxlan_gpe(walk: Walk) -> Next:
    r = walk.r
    if r.left < 8 or r.data[r.pos] & 0x0C != 0x0C:
        return None
    _over_udp(walk, "VXLAN-GPE", "vxlan", "draft-ietf-nvo3-vxlan-gpe 3")
    r.u8("flags")
    r.u16("reserved")
    following = r.u8("next_protocol")
    r.u24("vni")
    r.u8("reserved2")
    return {1: ("ethertype", 0x0800), 2: ("ethertype", 0x86DD), 3: _ETHERNET}.get(following, ("vxlan-gpe", following))


def _geneve(walk: Walk) -> Next:
    r = walk.r
    if r.left < 8 or r.data[r.pos] >> 6:
        return None
    _over_udp(walk, "GENEVE", "geneve", "RFC 8926 3.4")
    size = (r.u8("version_length") & 0x3F) * 4
    r.u8("flags")
    proto = r.u16("protocol")
    r.u24("vni")
    r.u8("reserved")
    r.take(size, "options")
    return "ethertype", proto


def _gtp(walk: Walk) -> Next:
    r = walk.r
    if r.left < 8 or r.data[r.pos] & 0xF0 != 0x30 or r.data[r.pos + 1] != 0xFF:
        return None
    _over_udp(walk, "GTP-U", "gtp", "3GPP TS 29.281 5.1")
    flags = r.u8("flags")
    r.u8("type")
    walk.limit(r.u16("length") + 4)
    r.u32("teid")
    if flags & 7:
        r.u16("sequence")
        r.u8("n_pdu")
        following = r.u8("next_extension")
        while flags & 4 and following:
            size = r.u8("extension.length") * 4
            if not size:
                raise r.fail("extension.length", "says 0")
            r.take(size - 2, "extension.data")
            following = r.u8("next_extension")
    return "link", 101


def _teredo(walk: Walk) -> Next:
    r = walk.r
    data, at = r.data, r.pos
    if r.left < 40:
        return None
    skip = 0
    if data[at] == 0 and data[at + 1] == 1:
        skip = 13 + data[at + 2] + data[at + 3]
    if r.left >= skip + 48 and data[at + skip] == 0 and data[at + skip + 1] == 0:
        skip += 8
    if r.left < skip + 40 or data[at + skip] >> 4 != 6:
        return None
    _over_udp(walk, "Teredo", "teredo", "RFC 4380 5.1.1")
    r.take(skip, "indications")
    return "ethertype", 0x86DD


def _l2tp(walk: Walk) -> Next:
    r = walk.r
    flags = int.from_bytes(r.data[r.pos : r.pos + 2], "big")
    if r.left < 8 or flags & 0x800F != 2:
        return None
    _over_udp(walk, "L2TP", "l2tp", "RFC 2661 3.1")
    start = r.pos
    r.u16("flags_version")
    if flags & 0x4000:
        size = r.u16("length")
        walk.limit(max(0, size - (r.pos - start)))
    r.u16("tunnel_id")
    r.u16("session_id")
    if flags & 0x0800:
        r.u16("ns")
        r.u16("nr")
    if flags & 0x0200:
        r.take(r.u16("offset_size"), "offset")
    return "link", 9


#: UDP port -> reader of the tunnel that uses it; the reader returns None, having read nothing, when it is none.
UDP_TUNNELS: dict[int, Layer] = {
    1701: _l2tp,
    2152: _gtp,
    3544: _teredo,
    4789: _vxlan,
    4790: _vxlan_gpe,
    6081: _geneve,
    8472: _vxlan,
}
