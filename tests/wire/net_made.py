"""Frames of every shape that carry one TCP segment, made by the codecs, for tests of reading them."""

from __future__ import annotations

import struct

from synfin.wire.ethernet import Frame
from synfin.wire.ip import IPv4, IPv6
from synfin.wire.tcp import Segment
from synfin.wire.udp import Datagram

A4, B4 = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))
A6, B6 = bytes.fromhex("20010db8000000000000000000000001"), bytes.fromhex("20010db8000000000000000000000002")
MAC_A, MAC_B = b"\2" * 6, b"\4" * 6
SNAP_IP = b"\xaa\xaa\3\0\0\0\x08\0"
WLAN = b"\x08\x01\0\0" + bytes(18) + b"\0\0"


def segment(port: int = 40001, payload: bytes = b"hello") -> bytes:
    return Segment(port, 443, 1000, 2000, 0x18, 502, payload=payload).sealed(A4, B4).write()


def ip4(proto: int = 6, body: bytes | None = None, options: bytes = b"", flags_offset: int = 0x4000) -> bytes:
    body = segment() if body is None else body
    length = 20 + len(options) + len(body)
    head = IPv4(A4, B4, proto, length, ident=7, flags_offset=flags_offset, options=options)
    return head.sealed().write() + body


def ip6(proto: int = 6, body: bytes | None = None) -> bytes:
    body = segment() if body is None else body
    return IPv6(A6, B6, proto, len(body)).write() + body


def eth(kind: int, body: bytes, *tags: tuple[int, int]) -> bytes:
    return Frame(MAC_B, MAC_A, kind, body, tags).write()


def udp(port: int, body: bytes, sport: int = 50000) -> bytes:
    return ip4(17, Datagram(sport, port, body).sealed(A4, B4).write())


def extension(following: int, body: bytes, words: int = 0) -> bytes:
    return bytes((following, words)) + bytes(6 + 8 * words) + body


def _sized(form: str, *fields: int, body: bytes, more: int = 0) -> bytes:
    return struct.pack(form, *fields, len(body) + more) + body


def _vxlan() -> bytes:
    return b"\x08\0\0\0\0\0\1\0" + eth(0x800, ip4())


def _pdu() -> bytes:
    tags = (
        (12, b"tls\0"),
        (20, A4),
        (21, B4),
        (24, b"\0\0\0\2"),
        (25, (40001).to_bytes(4, "big")),
        (26, b"\0\0\1\xbb"),
    )
    return b"".join(struct.pack(">HH", tag, len(value)) + value for tag, value in tags) + bytes(4) + b"hello"


#: Name -> (link type, frame).  Every frame holds the segment of ``segment()`` (kind "tcp"), but for "exported PDU".
SHAPES: dict[str, tuple[int, bytes]] = {
    "Ethernet": (1, eth(0x800, ip4())),
    "padding": (1, eth(0x800, ip4()) + bytes(9)),
    "IPv4 options": (1, eth(0x800, ip4(options=b"\1" * 8))),
    "IPv6": (1, eth(0x86DD, ip6())),
    "VLAN": (1, eth(0x800, ip4(), (0x8100, 5))),
    "QinQ": (1, eth(0x86DD, ip6(), (0x88A8, 5), (0x8100, 7))),
    "three tags": (1, eth(0x800, ip4(), (0x9100, 5), (0x8100, 6), (0x8100, 7))),
    "SNAP": (1, eth(8 + len(ip4()), SNAP_IP + ip4())),
    "SNAP in VLAN": (1, eth(8 + len(ip4()), SNAP_IP + ip4(), (0x8100, 3))),
    "IP over LLC": (1, eth(3 + len(ip4()), b"\6\6\3" + ip4())),
    "hop by hop": (1, eth(0x86DD, ip6(0, extension(6, segment())))),
    "routing and destination": (1, eth(0x86DD, ip6(43, extension(60, extension(6, segment(), 1))))),
    "atomic fragment": (1, eth(0x86DD, ip6(44, b"\6\0\0\0\0\0\0\1" + segment()))),
    "AH in IPv6": (1, eth(0x86DD, ip6(51, b"\6\1" + bytes(10) + segment()))),
    "AH in IPv4": (1, eth(0x800, ip4(51, b"\6\4" + bytes(22) + segment()))),
    "6in4": (1, eth(0x800, ip4(41, ip6()))),
    "4in6": (1, eth(0x86DD, ip6(4, ip4()))),
    "IP in IP": (1, eth(0x800, ip4(4, ip4()))),
    "GRE": (1, eth(0x800, ip4(47, b"\0\0\x08\0" + ip4()))),
    "GRE with all fields": (1, eth(0x800, ip4(47, b"\xb0\0\x08\0" + bytes(12) + ip4()))),
    "Ethernet in GRE": (1, eth(0x800, ip4(47, b"\0\0\x65\x58" + eth(0x800, ip4())))),
    "ERSPAN I": (1, eth(0x800, ip4(47, b"\0\0\x88\xbe" + eth(0x800, ip4())))),
    "ERSPAN II": (1, eth(0x800, ip4(47, b"\x10\0\x88\xbe" + bytes(4) + b"\x10\5\0\1" + bytes(4) + eth(0x800, ip4())))),
    "ERSPAN III": (1, eth(0x800, ip4(47, b"\x10\0\x22\xeb" + bytes(4) + b"\x20\5\0\1" + bytes(8) + eth(0x800, ip4())))),
    "PPTP": (1, eth(0x800, ip4(47, b"\x30\x81\x88\x0b\0\x46\0\1" + bytes(8) + b"\xff\3\0\x21" + ip4()))),
    "VXLAN": (1, eth(0x800, udp(4789, _vxlan()))),
    "VXLAN-GPE": (1, eth(0x800, udp(4790, b"\x0c\0\0\1\0\0\1\0" + ip4()))),
    "GENEVE": (1, eth(0x800, udp(6081, b"\2\0\x65\x58\0\0\1\0" + bytes(8) + eth(0x800, ip4())))),
    "GTP-U": (1, eth(0x800, udp(2152, b"\x30\xff" + _sized(">H", body=ip4())[:2] + bytes(4) + ip4()))),
    "Teredo": (1, eth(0x800, udp(3544, bytes(8) + ip6()))),
    "L2TP": (1, eth(0x800, udp(1701, b"\0\2\0\1\0\1\xff\3\0\x21" + ip4()))),
    "EtherIP": (1, eth(0x800, ip4(97, b"\x30\0" + eth(0x800, ip4())))),
    "MPLS": (1, eth(0x8847, b"\0\1\0\x40\0\1\1\x40" + ip4())),
    "MPLS pseudo-wire": (1, eth(0x8847, b"\0\1\1\x40" + bytes(4) + eth(0x800, ip4()))),
    "MPLS in IP": (1, eth(0x800, ip4(137, b"\0\1\1\x40" + ip6()))),
    "PPPoE": (1, eth(0x8864, b"\x11\0\0\1" + _sized(">H", body=b"\0\x21" + ip4()) + bytes(6))),
    "802.1ah": (1, eth(0x88E7, b"\0\0\0\1" + eth(0x800, ip4()))),
    "Cisco metadata": (1, eth(0x8909, b"\1\1\0\1\0\5\x08\0" + ip4())),
    "NSH": (1, eth(0x894F, b"\x0f\xc6\1\3" + bytes(20) + eth(0x800, ip4()))),
    "SLL": (113, bytes(14) + b"\x08\0" + ip4()),
    "VLAN in SLL": (113, bytes(14) + b"\x81\0\0\5\x08\0" + ip4()),
    "SLL2": (276, b"\x86\xdd" + bytes(18) + ip6()),
    "raw 12": (12, ip4()),
    "raw 14": (14, ip6()),
    "raw 101": (101, ip4()),
    "IPV4": (228, ip4()),
    "IPV6": (229, ip6()),
    "null, little-endian": (0, struct.pack("<I", 2) + ip4()),
    "null, big-endian": (0, struct.pack(">I", 2) + ip4()),
    "null, macOS IPv6": (0, struct.pack("<I", 30) + ip6()),
    "null, FreeBSD IPv6": (0, struct.pack("<I", 28) + ip6()),
    "loop": (108, struct.pack(">I", 24) + ip6()),
    "PPP": (9, b"\xff\3\0\x21" + ip4()),
    "PPP, bare": (9, b"\0\x57" + ip6()),
    "PPP, compressed protocol": (9, b"\x21" + ip4()),
    "PPP in HDLC": (50, b"\xff\3\0\x21" + ip4()),
    "Cisco in HDLC": (50, b"\x0f\0\x08\0" + ip4()),
    "PPPoE link": (51, b"\x11\0\0\1" + _sized(">H", body=b"\0\x21" + ip4())),
    "PPP with direction": (204, b"\0\xff\3\0\x21" + ip4()),
    "Cisco HDLC": (104, b"\x0f\0\x86\xdd" + ip6()),
    "NFLOG": (239, b"\2\0\0\0" + struct.pack("<HHI", 8, 1, 8) + struct.pack("<HH", 4 + len(ip4()), 9) + ip4()),
    "PFLOG": (117, b"\x3d\2" + bytes(62) + ip4()),
    "ENC": (109, struct.pack("<III", 2, 1, 0) + ip4()),
    "802.11": (105, WLAN + SNAP_IP + ip4()),
    "802.11 QoS": (105, b"\x88" + WLAN[1:] + b"\0\0" + SNAP_IP + ip4()),
    "A-MSDU": (105, b"\x88" + WLAN[1:] + b"\x80\0" + bytes(12) + _sized(">H", body=SNAP_IP + ip4())),
    "radiotap": (127, b"\0\0\x08\0\0\0\0\0" + WLAN + SNAP_IP + ip4()),
    "radiotap with FCS": (127, b"\0\0\x09\0\2\0\0\0\x10" + WLAN + SNAP_IP + ip4() + bytes(4)),
    "AVS": (163, b"\x80\x21\x10\1\0\0\0\x40" + bytes(56) + WLAN + SNAP_IP + ip4()),
    "PPI": (192, b"\0\0\x08\0\x69\0\0\0" + WLAN + SNAP_IP + ip4()),
    "RFC 2684": (100, SNAP_IP + ip4()),
    "wrong EtherType": (1, eth(0x800, ip6())),
    "exported PDU": (252, _pdu()),
}

#: Frames that hold nothing to be read, and what they are called.
NAMED: dict[str, tuple[int, bytes]] = {
    "ARP": (1, eth(0x806, bytes(28))),
    "LLDP": (1, eth(0x88CC, bytes(28))),
    "spanning tree": (1, eth(38, b"\x42\x42\3" + bytes(35))),
    "EtherType 0x4242": (1, eth(0x4242, bytes(28))),
    "ESP": (1, eth(0x800, ip4(50, bytes(28)))),
    "PPPoE discovery": (1, eth(0x8863, bytes(28))),
    "link type 999": (999, bytes(40)),
    "USB (Linux)": (220, bytes(64)),
    "802.11 management": (105, b"\x80\0" + bytes(40)),
    "802.11 encrypted data": (105, b"\x08\x41" + bytes(22) + bytes(40)),
    "malformed IPv4 header": (101, b"\x41" + bytes(39)),
    "malformed IPv4 total length": (101, ip4()[:2] + b"\0\5" + ip4()[4:]),
    "too many headers": (1, eth(0x8100, b"\0\1\x81\0" * 100)),
    "IP fragment": (101, ip4(flags_offset=0x2000)),
}
