"""What passes between a TUN device and us: a virtio-net header, then an IP packet (virtio 1.2, 5.1.6).

The header lets super-segments of up to 64 KiB cross uncut and leaves the TCP checksum to the kernel: it says where the
checksum goes, and into which size a packet is to be cut if it ever meets a wire.  ``read`` makes the endpoint's record
of what came, with the payload as a view of the buffer; ``head`` makes the octets that go before a payload, which is not
copied either.
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from struct import Struct

from synfin.errors import WireError
from synfin.tcp import Icmp, Packet, parse
from synfin.wire.checksum import ones_sum

#: flags, type of cutting, length of headers, size of the pieces, where checksumming starts, where the sum goes
VNET = Struct("=BBHHHH")
VNET_SIZE = VNET.size
#: The longest a read can be: the header and the longest IP packet (IPv6: 40 octets more than its length field says).
LONGEST = VNET_SIZE + 65535 + 40
#: Octets of buffers kept; those beyond are used once.
_MOST = 1 << 25
_NEEDS_CSUM, _DATA_VALID = 1, 2
#: Either flag: the checksum is not to be looked at.
TRUSTED = _NEEDS_CSUM | _DATA_VALID
_GSO_NONE, _GSO_TCP4, _GSO_TCP6 = 0, 1, 4
_IP4 = Struct("!BBHHHBBH4s4s")
_IP6 = Struct("!IHBB16s16s")
_TCP = Struct("!HHIIHHHH")
#: The headers of nearly all packets in one go: IPv4 without options, or IPv6, and TCP.
_USUAL4 = Struct("!xBHxxHBxxx4s4sHHIIHHxxH")
_USUAL6 = Struct("!IHxB16s16sHHIIHHxxH")
_DF, _FRAGMENT = 0x4000, 0x3FFF
_TCP_PROTO = 6


class Buffers:
    """Buffers of ``size`` octets, used again when nobody looks at what was read into them.

    Fresh memory for each packet would cost more than all the rest: the kernel has to clear it.  An object that
    anybody has a view of cannot be made longer, so that is how a free one is told.
    """

    __slots__ = ("_ring", "size")

    def __init__(self, size: int = LONGEST) -> None:
        self.size = size
        self._ring: deque[bytearray] = deque()

    def take(self) -> bytearray:
        """A free buffer; it comes back by itself."""
        ring = self._ring
        for _ in range(min(len(ring), 2)):
            buffer = ring.popleft()
            ring.append(buffer)
            try:
                buffer.append(0)
            except BufferError:
                continue
            buffer.pop()
            return buffer
        buffer = bytearray(self.size)
        if len(ring) < _MOST // self.size:
            ring.append(buffer)
        return buffer


def read(data: memoryview) -> Packet | Icmp:
    """The packet in what a read of the device gave; WireError when it is none that TCP can use.

    A packet whose checksum the kernel vouches for, or has yet to fill in, is not checked.
    """
    if len(data) <= VNET_SIZE:
        raise WireError(0, "vnet", f"needs {VNET_SIZE} octets and a packet, has {len(data)}")
    if not data[0] & TRUSTED:
        return parse(data[VNET_SIZE:])
    first, size = data[VNET_SIZE], len(data)
    if size >= 50 and first == 0x45 and data[19] == _TCP_PROTO:
        tos, total, cut, ttl, src, dst, sport, dport, seq, ack, word, window, urgent = _USUAL4.unpack_from(data, 10)
        body, end = 30 + (word >> 10 & 60), 10 + total
        if not cut & _FRAGMENT and 50 <= body <= end <= size:
            return Packet(
                src, dst, sport, dport, seq, ack, word & 0xFFF, window,
                bytes(data[50:body]), data[body:end], urgent, tos & 3, ttl, bool(cut & _DF), 0, False, tos >> 2,
            )  # fmt: skip
    elif size >= 70 and first >> 4 == 6 and data[16] == _TCP_PROTO:
        head, total, ttl, src, dst, sport, dport, seq, ack, word, window, urgent = _USUAL6.unpack_from(data, 10)
        body, end = 50 + (word >> 10 & 60), 50 + total
        if 70 <= body <= end <= size:
            return Packet(
                src, dst, sport, dport, seq, ack, word & 0xFFF, window,
                bytes(data[70:body]), data[body:end], urgent, head >> 20 & 3, ttl, True, 0, False, head >> 22 & 63,
            )  # fmt: skip
    return parse(data[VNET_SIZE:], verify=False)


def joined(head: bytes, payload: memoryview) -> Packet:
    """A packet with the headers of ``head``, which are usual ones, and the text of as many as continued it."""
    if head[VNET_SIZE] == 0x45:
        tos, _, cut, ttl, src, dst, sport, dport, seq, ack, word, window, urgent = _USUAL4.unpack_from(head, VNET_SIZE)
        return Packet(
            src, dst, sport, dport, seq, ack, word & 0xFFF, window,
            head[50:], payload, urgent, tos & 3, ttl, bool(cut & _DF), 0, False, tos >> 2,
        )  # fmt: skip
    word6, _, ttl, src, dst, sport, dport, seq, ack, word, window, urgent = _USUAL6.unpack_from(head, VNET_SIZE)
    return Packet(
        src, dst, sport, dport, seq, ack, word & 0xFFF, window,
        head[70:], payload, urgent, word6 >> 20 & 3, ttl, True, 0, False, word6 >> 22 & 63,
    )  # fmt: skip


def read_plain(data: memoryview) -> Packet | Icmp:
    """The packet in what a device without such headers gave; its checksums count."""
    return parse(data)


def head(packet: Packet, ident: int = 0) -> bytes:
    """What goes before the payload of ``packet``: virtio-net, IP and TCP headers; the kernel sums up the rest."""
    src, dst = packet.src, packet.dst
    options = packet.options
    if len(options) & 3:
        options += bytes(-len(options) & 3)
    tcp_head = 20 + len(options)
    length = tcp_head + len(packet.payload)
    four = len(src) == 4
    ip_head = 20 if four else 40
    gso = packet.gso
    cut = (_GSO_TCP4 if four else _GSO_TCP6) if gso else _GSO_NONE
    tos = packet.dscp << 2 | packet.ecn
    partial = (_addresses(src, dst) + length) % 0xFFFF
    vnet = VNET.pack(_NEEDS_CSUM, cut, ip_head + tcp_head, gso, ip_head, 16)
    tcp = _TCP.pack(
        packet.sport, packet.dport, packet.seq, packet.ack, tcp_head << 10 | packet.flags, packet.window,
        partial, packet.urgent,
    )  # fmt: skip
    if four:
        flags = _DF if packet.df else 0
        total = length + 20
        known = _start(src, dst, tos, packet.ttl) + total + ident + flags
        check = ~(known % 0xFFFF or 0xFFFF) & 0xFFFF
        ip = _IP4.pack(0x45, tos, total, ident, flags, packet.ttl, _TCP_PROTO, check, src, dst)
    else:
        ip = _IP6.pack(6 << 28 | tos << 20, length, _TCP_PROTO, packet.ttl, src, dst)
    return b"".join((vnet, ip, tcp, options))


@lru_cache(maxsize=4096)
def _addresses(src: bytes, dst: bytes) -> int:
    """What the addresses and the protocol add to the pseudo-header's sum."""
    return ones_sum(src + dst) + _TCP_PROTO


@lru_cache(maxsize=4096)
def _start(src: bytes, dst: bytes, tos: int, ttl: int) -> int:
    """What never changes between IPv4 headers adds to their sum."""
    return (0x45 << 8 | tos) + (ttl << 8 | _TCP_PROTO) + ones_sum(src + dst)
