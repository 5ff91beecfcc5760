"""From a frame to its innermost TCP, UDP or ICMP, one header after the other: the tables, and the walk along them.

``dissect`` is total: whatever the octets are, it returns what could be read, and ``unread`` names what could not.
With a list for ``spans`` every field leaves its place, value and specification there; the byte-by-byte view is
drawn from that.
"""

from __future__ import annotations

from synfin.errors import WireError
from synfin.wire import ethernet, icmp, ip, pdu, tunnel, wlan
from synfin.wire.codec import Buffer, Span
from synfin.wire.layer import Dissection, Fragment, Layer, Next, Walk
from synfin.wire.tcp import tcp
from synfin.wire.udp import udp

__all__ = ["Dissection", "Fragment", "dissect", "dissect_datagram", "link_name"]

#: Headers followed in one frame; deeper nesting is made to harm.
_MOST_LAYERS = 64

_LINKS: dict[int, Layer] = {
    0: ethernet.loopback,
    1: ethernet.ethernet,
    9: ethernet.ppp,
    12: ethernet.raw_ip,
    14: ethernet.raw_ip,
    50: ethernet.ppp,
    51: ethernet.pppoe,
    100: ethernet.llc,
    101: ethernet.raw_ip,
    104: ethernet.cisco_hdlc,
    105: wlan.wlan,
    108: ethernet.loopback,
    109: ethernet.enc,
    113: ethernet.sll,
    117: ethernet.pflog,
    119: wlan.prism,
    127: wlan.radiotap,
    163: wlan.avs,
    166: ethernet.ppp_with_direction,
    192: wlan.ppi,
    204: ethernet.ppp_with_direction,
    228: ethernet.raw_ip,
    229: ethernet.raw_ip,
    239: ethernet.nflog,
    252: pdu.exported_pdu,
    276: ethernet.sll2,
}

_ETHERTYPES: dict[int, Layer] = {
    0x0800: ip.ip4,
    0x86DD: ip.ip6,
    0x880B: ethernet.ppp,
    0x8847: tunnel.mpls,
    0x8848: tunnel.mpls,
    0x8864: ethernet.pppoe,
    0x8870: ethernet.llc,
    0x88BE: tunnel.erspan2,
    0x22EB: tunnel.erspan3,
    0x88E7: ethernet.backbone,
    0x6558: ethernet.ethernet,
    0x8909: tunnel.metadata,
    0x894F: tunnel.service_header,
    0x8100: ethernet.vlan,
    0x88A8: ethernet.vlan,
    0x9100: ethernet.vlan,
}

_PPP: dict[int, Layer] = {0x21: ip.ip4, 0x57: ip.ip6, 0x281: tunnel.mpls, 0x283: tunnel.mpls}

_PROTOCOLS: dict[int, Layer] = {
    0: ip.options6,
    1: icmp.icmp,
    4: ip.ip4_inside,
    6: tcp,
    17: udp,
    41: ip.ip6_inside,
    43: ip.options6,
    44: ip.fragment6,
    47: tunnel.gre,
    51: ip.authentication,
    58: icmp.icmp6,
    60: ip.options6,
    97: tunnel.ether_ip,
    135: ip.options6,
    137: tunnel.mpls,
    139: ip.options6,
    140: ip.options6,
}

_TABLES: dict[str, dict[int, Layer]] = {
    "link": _LINKS,
    "ethertype": _ETHERTYPES,
    "ppp": _PPP,
    "ip": _PROTOCOLS,
    "llc": {0: ethernet.llc},
    "sap": {0x06: ip.ip4},
}

_NAMES: dict[str, dict[int, str]] = {
    "link": {
        3: "AX.25",
        6: "Token Ring",
        7: "ARCNET",
        8: "SLIP",
        10: "FDDI",
        107: "Frame Relay",
        143: "DOCSIS",
        147: "user link type 0",
        177: "LAPD (Linux)",
        187: "Bluetooth HCI",
        189: "USB (Linux)",
        195: "IEEE 802.15.4",
        201: "Bluetooth HCI",
        220: "USB (Linux)",
        227: "CAN",
        231: "D-Bus",
        249: "USB (Windows)",
        251: "Bluetooth Low Energy",
        253: "netlink",
        256: "Bluetooth Low Energy",
        272: "nRF sniffer",
    },
    "ethertype": {
        0x0806: "ARP",
        0x0842: "Wake on LAN",
        0x2000: "CDP",
        0x2004: "DTP",
        0x8035: "RARP or SLARP",
        0x809B: "AppleTalk",
        0x80F3: "AARP",
        0x8137: "IPX",
        0x8808: "Ethernet flow control",
        0x8809: "LACP",
        0x8863: "PPPoE discovery",
        0x886D: "Intel teaming",
        0x888E: "EAPOL",
        0x8892: "PROFINET",
        0x88A4: "EtherCAT",
        0x88CC: "LLDP",
        0x88E5: "MACsec",
        0x88F7: "PTP",
        0x8902: "CFM",
        0x8906: "FCoE",
        0x9000: "Ethernet loopback",
    },
    "ppp": {
        0x8021: "PPP IPCP",
        0x8057: "PPP IPV6CP",
        0x80FD: "PPP CCP",
        0xC021: "PPP LCP",
        0xC023: "PPP PAP",
        0xC025: "PPP LQR",
        0xC223: "PPP CHAP",
        0x00FD: "PPP compressed data",
        0x002D: "PPP compressed TCP",
        0x002F: "PPP compressed TCP",
    },
    "ip": {
        2: "IGMP",
        8: "EGP",
        33: "DCCP",
        46: "RSVP",
        50: "ESP",
        59: "IPv6 without next header",
        88: "EIGRP",
        89: "OSPF",
        103: "PIM",
        108: "IPComp",
        112: "VRRP",
        115: "L2TPv3",
        132: "SCTP",
        136: "UDP-Lite",
        253: "IP protocol for experiments",
    },
    "snap": {0x00000C2000: "CDP", 0x00000C2004: "DTP", 0x00000C010B: "spanning tree (PVST)"},
    "sap": {0x42: "spanning tree", 0xE0: "IPX", 0xF0: "NetBIOS", 0xFE: "OSI network layer"},
}

_FORMS = {
    "link": "link type {0}",
    "ethertype": "EtherType 0x{0:04x}",
    "ppp": "PPP protocol 0x{0:04x}",
    "ip": "IP protocol {0}",
    "snap": "SNAP protocol 0x{0:010x}",
    "sap": "LLC service 0x{0:02x}",
    "raw": "raw IP of version {0}",
    "family": "address family {0}",
    "nsh": "NSH protocol {0}",
    "nflog": "NFLOG without a packet",
    "vxlan-gpe": "VXLAN-GPE protocol {0}",
}


def link_name(link_type: int) -> str:
    """What frames of ``link_type`` are called where synfin does not read them."""
    return _name("link", link_type)


def dissect(link_type: int, frame: Buffer, spans: list[Span] | None = None, *, wirelen: int = 0) -> Dissection:
    """Read the headers of ``frame``, which had ``wirelen`` octets on the wire when that is more than was captured."""
    found = Dissection()
    _run(Walk(frame, wirelen, found, spans), ("link", link_type))
    return found


def dissect_datagram(before: Dissection, proto: int, payload: Buffer, spans: list[Span] | None = None) -> Dissection:
    """Read on in the reassembled ``payload`` of a datagram whose last fragment was ``before``; offsets count in it."""
    found = Dissection(
        list(before.layers),
        list(before.vlans),
        list(before.tunnels),
        version=before.version,
        proto=proto,
        ttl=before.ttl,
        ip_id=before.ip_id,
        ecn=before.ecn,
        src=before.src,
        dst=before.dst,
    )
    _run(Walk(payload, len(payload), found, spans), ("ip", proto))
    return found


def _name(table: str, number: int) -> str:
    return _NAMES.get(table, {}).get(number) or _FORMS[table].format(number)


def _run(walk: Walk, following: Next) -> None:
    for _ in range(_MOST_LAYERS):
        if following is None:
            return
        table, number = following
        layer = _TABLES.get(table, {}).get(number)
        if layer is None:
            walk.found.unread = _name(table, number)
            return
        try:
            following = layer(walk)
        except WireError:
            how = "cut" if walk.r.end < walk.wire_end else "malformed"
            walk.found.unread = f"{how} {walk.found.layers[-1] if walk.found.layers else 'frame'} header"
            return
    walk.found.unread = "too many headers"
