"""Packets as the engine takes and gives them: one TCP segment with the few facts of its IP header that TCP needs.

``Packet`` is a flat record, because one is made for every segment.  Its payload is any buffer: a view of what the
user gave or of what the network brought, so bulk data is not copied.  ``read`` and ``write`` are the octets of a whole
IP packet (RFC 791, RFC 8200, RFC 9293 3.1); tests hold them equal to the codecs of ``wire``, which are written to be
shown rather than fast.  IPv6 extension headers are passed over; ``fragments`` joins fragments, ``read`` refuses them.
"""

from __future__ import annotations

from ipaddress import ip_address
from struct import Struct
from typing import NamedTuple

from synfin.errors import WireError
from synfin.tcp.names import headers
from synfin.wire.checksum import checksum, pseudo_header
from synfin.wire.codec import Buffer, Reader
from synfin.wire.icmp import Message
from synfin.wire.ip import IPv4, IPv6
from synfin.wire.tcp import Segment
from synfin.wire.tcpflags import CWR, FIN, PSH

_TCP = Struct("!HHIIHHHH")
_IP4 = Struct("!BBHHHBBH4s4s")
_IP6 = Struct("!IHBB16s16s")
_TCP_PROTO, _ICMP, _ICMP6 = 6, 1, 58
_ROUTING, _FRAGMENT6 = 43, 44
_EXTENSIONS = (0, _ROUTING, _FRAGMENT6, 60)  # 0 hop by hop, 60 destination options
_DF, _FRAGMENT = 0x4000, 0x3FFF


class Packet(NamedTuple):
    """A TCP segment between two addresses of 4 or 16 octets.

    ``gso`` not 0: the payload is longer than a packet on the wire may be, and is to be cut into pieces of that size.
    ``again`` says that the sender knows it sent these octets before; it is not on the wire.  ``dscp`` and ``ecn`` are
    the halves of the IP header's traffic class.
    """

    src: bytes
    dst: bytes
    sport: int
    dport: int
    seq: int
    ack: int
    flags: int
    window: int
    options: bytes = b""
    payload: Buffer = b""
    urgent: int = 0
    ecn: int = 0
    ttl: int = 64
    df: bool = True
    gso: int = 0
    again: bool = False
    dscp: int = 0

    @property
    def length(self) -> int:
        """Octets of sequence space: payload, SYN and FIN."""
        flags = self.flags
        return len(self.payload) + (flags & FIN) + (flags >> 1 & 1)

    @property
    def size(self) -> int:
        """Octets of the whole IP packet."""
        return headers(self.src) + (len(self.options) + 3 & ~3) + len(self.payload)

    @property
    def segment(self) -> Segment:
        """The TCP part as a record of ``wire``, checksum included."""
        return Segment(
            self.sport, self.dport, self.seq, self.ack, self.flags, self.window,
            urgent=self.urgent, options=self.options, payload=bytes(self.payload),
        ).sealed(self.src, self.dst)  # fmt: skip

    @classmethod
    def of(cls, segment: Segment, src: bytes, dst: bytes, *, ecn: int = 0, ttl: int = 64) -> Packet:
        """A packet from a segment of ``wire`` and two addresses."""
        s = segment
        return cls(
            src, dst, s.sport, s.dport, s.seq, s.ack, s.flags, s.window, s.options, s.payload, s.urgent, ecn, ttl
        )

    @classmethod
    def read(cls, data: Buffer, *, verify: bool = True) -> Packet:
        """Read a whole IP packet; WireError when it is no sound TCP packet (``verify``: wrong checksums count)."""
        view = memoryview(data)
        if not view:
            raise WireError(0, "ip", "is empty")
        src, dst, start, end, proto, tos, ttl, df = _ip(view, verify)
        if proto != _TCP_PROTO:
            raise WireError(start, "ip.protocol", f"says {proto}, not TCP")
        if end - start < 20:
            raise WireError(start, "tcp", f"needs 20 octets, has {end - start}")
        sport, dport, seq, ack, word, window, _, urgent = _TCP.unpack_from(view, start)
        body = start + (word >> 12) * 4
        if body < start + 20 or body > end:
            raise WireError(start + 12, "tcp.data_offset", f"says {word >> 12} words")
        if verify and checksum(pseudo_header(src, dst, _TCP_PROTO, end - start) + bytes(view[start:end])):
            raise WireError(start + 16, "tcp.checksum", "is wrong")
        return cls(
            src, dst, sport, dport, seq, ack, word & 0xFFF, window,
            bytes(view[start + 20 : body]), view[body:end], urgent, tos & 3, ttl, df,
            0, False, tos >> 2,
        )  # fmt: skip

    def write(self, ident: int = 0) -> bytes:
        """The octets of the whole IP packet; ``ident`` is the IPv4 identification."""
        options, payload = self.options, self.payload
        if len(options) & 3:
            options += bytes(-len(options) & 3)
        size = 20 + len(options)
        length = size + len(payload)
        fields = (self.sport, self.dport, self.seq, self.ack, size << 10 | self.flags, self.window)
        pseudo = pseudo_header(self.src, self.dst, _TCP_PROTO, length)
        total = checksum(b"".join((pseudo, _TCP.pack(*fields, 0, self.urgent), options, payload)))
        head = _ip_header(self, length, _TCP_PROTO, ident) + _TCP.pack(*fields, total, self.urgent)
        return b"".join((head, options, payload))

    def pieces(self) -> list[Packet]:
        """A super-segment as the packets a network card cuts it into; itself where it is none."""
        if not self.gso or len(self.payload) <= self.gso:
            return [self._replace(gso=0)]
        view, size = memoryview(self.payload), self.gso
        out: list[Packet] = []
        for at in range(0, len(view), size):
            last = at + size >= len(view)
            flags = self.flags if last else self.flags & ~(FIN | PSH)
            out.append(
                self._replace(
                    seq=self.seq + at & 0xFFFFFFFF,
                    flags=flags if not at else flags & ~CWR,
                    payload=view[at : at + size],
                    gso=0,
                )
            )
        return out

    def __str__(self) -> str:
        names = [
            n for bit, n in enumerate(("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")) if self.flags >> bit & 1
        ]
        return (
            f"{_place(self.src, self.sport)} > {_place(self.dst, self.dport)} {','.join(names) or '-'} "
            f"seq={self.seq} ack={self.ack} win={self.window} len={len(self.payload)}"
        )


def _place(address: bytes, port: int) -> str:
    return f"{ip_address(address)}:{port}" if len(address) == 4 else f"[{ip_address(address)}]:{port}"


def _ip_header(packet: Packet, length: int, proto: int, ident: int) -> bytes:
    if len(packet.src) == 4:
        flags = _DF if packet.df else 0
        size = length + 20
        fields = (
            0x45,
            packet.dscp << 2 | packet.ecn,
            size if size < 65536 else 0,
            ident & 0xFFFF,
            flags,
            packet.ttl,
            proto,
        )
        head = _IP4.pack(*fields, 0, packet.src, packet.dst)
        return head[:10] + checksum(head).to_bytes(2, "big") + head[12:]
    return _IP6.pack(
        6 << 28 | packet.dscp << 22 | packet.ecn << 20,
        length if length < 65536 else 0,
        proto,
        packet.ttl,
        packet.src,
        packet.dst,
    )


def _ip(view: memoryview, verify: bool) -> tuple[bytes, bytes, int, int, int, int, int, bool]:
    """(src, dst, start and end of the payload, protocol, type of service, TTL, DF)."""
    version = view[0] >> 4
    if version == 4:
        if len(view) < 20:
            raise WireError(0, "ipv4", f"needs 20 octets, has {len(view)}")
        first, tos, total, _, fragment, ttl, proto, _, src, dst = _IP4.unpack_from(view)
        start = (first & 15) * 4
        if start < 20 or not start <= total <= len(view):
            raise WireError(0, "ipv4.total_length", f"says {total} with a header of {start}, has {len(view)}")
        if fragment & _FRAGMENT:
            raise WireError(6, "ipv4.flags_offset", "is a fragment")
        if verify and checksum(bytes(view[:start])):
            raise WireError(10, "ipv4.checksum", "is wrong")
        return src, dst, start, total, proto, tos, ttl, bool(fragment & _DF)
    if version != 6:
        raise WireError(0, "ip.version", f"says {version}")
    if len(view) < 40:
        raise WireError(0, "ipv6", f"needs 40 octets, has {len(view)}")
    word, length, proto, ttl, src, dst = _IP6.unpack_from(view)
    if length > len(view) - 40:
        raise WireError(4, "ipv6.payload_length", f"says {length}, has {len(view) - 40}")
    start, end = 40, 40 + length
    while proto in _EXTENSIONS:
        if start + 8 > end:
            raise WireError(start, "ipv6.extension", f"needs 8 octets, has {end - start}")
        if proto == _FRAGMENT6 and (view[start + 2] << 8 | view[start + 3]) & 0xFFF9:
            raise WireError(start + 2, "ipv6.fragment", "is a fragment")
        if proto == _ROUTING and view[start + 3]:
            raise WireError(start + 3, "ipv6.routing.segments_left", "is not for this host alone")
        size = 8 if proto == _FRAGMENT6 else (view[start + 1] + 1) * 8
        proto, start = view[start], start + size
    return src, dst, start, max(start, end), proto, word >> 20 & 0xFF, ttl, True


class Icmp(NamedTuple):
    """An ICMP or ICMPv6 error from ``sender`` to ``receiver`` about a TCP segment ``receiver`` had sent.

    ``mtu`` is 0 where the message says none.  ``local`` and ``remote`` are the quoted source and destination.
    """

    sender: bytes
    receiver: bytes
    type: int
    code: int
    mtu: int
    remote: bytes
    sport: int
    dport: int
    seq: int

    @classmethod
    def about(cls, packet: Packet, sender: bytes, type: int, code: int, mtu: int = 0) -> Icmp:
        """The error that a router or host at ``sender`` answers ``packet`` with."""
        p = packet
        return cls(sender, p.src, type, code, mtu, p.dst, p.sport, p.dport, p.seq)

    @classmethod
    def read(cls, data: Buffer) -> Icmp:
        """Read a whole IP packet; WireError when it is no ICMP error that quotes a TCP segment."""
        view = memoryview(data)
        if not view:
            raise WireError(0, "ip", "is empty")
        src, dst, start, end, proto, _, _, _ = _ip(view, True)
        four = len(src) == 4
        if proto != (_ICMP if four else _ICMP6):
            raise WireError(start, "ip.protocol", f"says {proto}, not ICMP")
        body = bytes(view[start:end])
        if checksum(body if four else pseudo_header(src, dst, _ICMP6, len(body)) + body):
            raise WireError(start + 2, "icmp.checksum", "is wrong")
        message = Message.read(Reader(body, "icmp"))
        if not (message.type in (3, 4, 5, 11, 12) if four else message.type < 128):
            raise WireError(start, "icmp.type", f"says {message.type}, which quotes no packet")
        r = Reader(message.body, "icmp.quoted")
        word = r.u32("rest")
        mtu = (word & 0xFFFF if four else word) if message.type == (3 if four else 2) else 0
        head: IPv4 | IPv6 = IPv4.read(r) if four else IPv6.read(r)
        if (head.proto if isinstance(head, IPv4) else head.next_header) != _TCP_PROTO:
            raise r.fail("protocol", "is not TCP")
        if head.src != dst:
            raise r.fail("src", "is not the address this was sent to")
        sport, dport, seq = r.u16("sport"), r.u16("dport"), r.u32("seq")
        return cls(src, dst, message.type, message.code, mtu, head.dst, sport, dport, seq)

    def write(self, quoted: bytes = b"") -> bytes:
        """The octets of the whole IP packet; ``quoted`` is the packet it answers (its start is made up without)."""
        four = len(self.sender) == 4
        if not quoted:
            quoted = Packet(self.receiver, self.remote, self.sport, self.dport, self.seq, 0, 0, 0).write()
        rest = self.mtu.to_bytes(4, "big")
        quote = quoted[: 28 if four else 1232]
        message = Message(self.type, self.code, rest + quote).sealed(self.sender, self.receiver).write()
        shell = Packet(self.sender, self.receiver, 0, 0, 0, 0, 0, 0, df=False)
        return _ip_header(shell, len(message), _ICMP if four else _ICMP6, 0) + message


def parse(data: Buffer, *, verify: bool = True) -> Packet | Icmp:
    """A whole IP packet as ``Packet`` or ``Icmp``; WireError when it is neither."""
    view = memoryview(data)
    at = 9 if view and view[0] >> 4 == 4 else 6
    proto = view[at] if len(view) > at else 0
    if at == 6 and len(view) >= 40 and proto in _EXTENSIONS:
        proto = _ip(view, False)[4]
    if proto in (_ICMP, _ICMP6):
        return Icmp.read(view)
    return Packet.read(view, verify=verify)
