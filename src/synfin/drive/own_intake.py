"""What a device with offload gives, taken in large bites: packets that continue each other become one.

A card that merges (LRO) hands its host one packet for several that came one behind the other; so does ``Intake``, or
our endpoint would spend its time on packets instead of octets.  Merged are segments of one connection that say the same
but for their text, each beginning where the last ended (acknowledgment, window, options and IP header alike), up to
``PIECES`` super-segments.  Of timestamps that do not run backwards the first counts, the one an acknowledgment of all
has to echo (RFC 7323 4.3).  Their text is read to where it belongs, so that nothing is copied: headers into one buffer,
octets behind those of the segment before.  Of empty acknowledgments the last stands for those before it, as it would
had they been lost; duplicates, and those that say more than a timestamp, are all kept.
"""

from __future__ import annotations

import os
from struct import Struct
from typing import NamedTuple

from synfin.drive import vnet
from synfin.errors import WireError
from synfin.spec.tcp_segments import HALF, MASK, before
from synfin.tcp import Icmp, Packet
from synfin.tcp.options import TS_HEAD, TS_SIZE
from synfin.wire.tcpflags import ACK, PSH

#: Super-segments merged into one packet, and packets read before what they cause is sent.
PIECES, BATCH = 8, 16
#: Text up to this size is copied out of the buffer it was read into, which is many times as long.
_SHORT = 1 << 14
_IP = {4: 20, 6: 40}

Taken = Packet | Icmp | bytes


class _Shape(NamedTuple):
    """How headers of one length are compared: all octets but those that ``apart`` is zero for must be alike.

    ``numbers`` are the length IP tells, the sequence number and the timestamp (or what is alike in any case), ``more``
    is what the device counts and that length does not.
    """

    apart: int
    numbers: Struct
    more: int


def _shape(version: int, options: int) -> _Shape:
    ip = _IP[version]
    tcp = vnet.VNET_SIZE + ip
    differ = {tcp + at for at in (4, 5, 6, 7, 16, 17)}  # sequence number, checksum
    length = 12 if version == 4 else 14
    differ |= {length, length + 1} | ({14, 15, 20, 21} if version == 4 else set())  # identification, checksum
    differ |= set(range(tcp + 24, tcp + 32)) if options else set()
    octets = bytearray(0 if at in differ else 0xFF for at in range(tcp + 20 + options))
    octets[tcp + 13] ^= PSH
    numbers = Struct(f"!{length}xH{tcp + 2 - length}xI{16 if options else 0}xI")
    return _Shape(int.from_bytes(octets, "little"), numbers, vnet.VNET_SIZE + (0 if version == 4 else ip))


_SHAPES = {(version, options): _shape(version, options) for version in _IP for options in (0, TS_SIZE)}


class Intake:
    """Reads packets of ``fd``; ``packets`` counts them as the device gave them."""

    __slots__ = ("_at", "_buffers", "_head", "_room", "fd", "packets")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.packets = 0
        self._buffers = vnet.Buffers(PIECES * vnet.LONGEST)
        self._room = memoryview(self._buffers.take())
        self._at = 0  # below that, the buffer is lent out
        self._head = bytearray(vnet.VNET_SIZE + 20 + 20 + TS_SIZE)  # as long as headers of long segments were

    def take(self) -> tuple[list[Taken], bool]:
        """(what waits at the device, whether there may be more); what is no sound TCP packet comes as octets.

        OSError when the device was taken away.
        """
        found: list[Taken] = []
        fd, readv, head, room, at = self.fd, os.readv, self._head, self._room, self._at
        whole, usual = len(room), len(head)
        shape: _Shape | None = None  # of the segment that others may continue
        octets, apart, longer, numbers = int.from_bytes, 0, 0, _SHAPES[4, 0].numbers.unpack_from
        begin = pieces = alike = following = stamp = count = 0
        first = b""
        last: Packet | None = None
        more = True
        while count < BATCH and pieces < PIECES:
            if whole - at < vnet.LONGEST:
                if shape is not None:
                    break
                room = self._room = memoryview(self._buffers.take())
                at = 0
            try:
                size = readv(fd, (head, room[at:]))
            except (BlockingIOError, InterruptedError):
                more = False
                break
            count += 1
            text = size - usual
            if text > _SHORT:
                said = octets(head, "little")
                if pieces and said & apart == alike:
                    length, number, told = numbers(head)
                    if number == following and length + longer == size and told - stamp & MASK < HALF:
                        pieces += 1
                        at += text
                        following = number + text & MASK
                        continue
                if shape is not None:
                    found.append(vnet.joined(first, room[begin:at]))
                shape = _usual(head, size)
                if shape is not None:
                    apart, longer, numbers = shape.apart, shape.more, shape.numbers.unpack_from
                    _, number, stamp = numbers(head)
                    begin, pieces, first, alike, last = at, 1, bytes(head), said & apart, None
                    at += text
                    following = number + text & MASK
                    continue
            elif shape is not None:
                found.append(vnet.joined(first, room[begin:at]))
                shape, pieces = None, 0
            data = b"".join((head[:size], room[at : at + max(text, 0)]))
            if text > _SHORT:
                pieces = 0
                head = self._head = bytearray(_header_size(data))
                usual = len(head)
            one = _parsed(data)
            if last is not None and isinstance(one, Packet) and _supersedes(one, last):
                found[-1] = one
            else:
                found.append(one)
            last = one if isinstance(one, Packet) else None
        if shape is not None:
            found.append(vnet.joined(first, room[begin:at]))
        self._at = at
        self.packets += count
        return found, more


def _usual(head: bytearray, size: int) -> _Shape | None:
    """How to compare what continues this segment; None for any but a usual one.

    Usual is one whose headers end with ``head``, whose checksum need not be looked at, that has no flag but ACK and
    PSH, no option but timestamps, and the length it tells.
    """
    version = head[10] >> 4
    if not head[0] & vnet.TRUSTED or version not in _IP:
        return None
    tcp = vnet.VNET_SIZE + _IP[version]
    options = len(head) - tcp - 20
    shape = _SHAPES.get((version, options))
    if shape is None or head[tcp + 12] != 20 + options << 2 or head[tcp + 13] & ~PSH != ACK:
        return None
    if options and head[tcp + 20 : tcp + 24] != TS_HEAD:
        return None
    plain = head[16] == 6
    if version == 4:
        plain = head[10] == 0x45 and head[19] == 6 and not (head[16] & 0x3F or head[17])
    return shape if plain and shape.numbers.unpack_from(head)[0] + shape.more == size else None


def _header_size(data: bytes) -> int:
    """Octets before the text of a long segment, as the next one most likely has them."""
    start = 50 if data[10] >> 4 == 6 else 30
    return start + max(data[start + 12] >> 2 & 60, 20)


def _parsed(data: bytes) -> Taken:
    try:
        return vnet.read(memoryview(data))
    except WireError:
        return data


def _supersedes(new: Packet, old: Packet) -> bool:
    """Whether an empty acknowledgment says all that the one before it said."""
    return (
        new.flags == old.flags == ACK
        and not len(new.payload) + len(old.payload)
        and before(old.ack, new.ack)
        and new.sport == old.sport
        and new.dport == old.dport
        and new.seq == old.seq
        and new.src == old.src
        and new.dst == old.dst
        and new.ecn == old.ecn
        and len(new.options) == len(old.options)
        and len(new.options) in (0, TS_SIZE)
        and new.options[:4] == old.options[:4] == TS_HEAD[: len(new.options)]
    )
