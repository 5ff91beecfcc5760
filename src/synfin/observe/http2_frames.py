"""HTTP/2 frames as they lie in one side's stream (RFC 9113 4 and 6), with what is missing between them.

Decides where frames begin and end, nothing more.  Payload of DATA is stepped over, not read.  Where the framing was
lost in a hole, the next packet that begins with a plausible frame is where reading goes on.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from synfin.observe.cursor import Side
from synfin.wire.http2 import PREFACE

LOST = -1  # the type of a mark that stands where octets are missing or are no frames
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8

#: Octets of one header block that are looked at.
MAX_BLOCK = 64 * 1024

#: The flags each frame type defines (RFC 9113 6), to tell frames from other octets after a hole.
_FLAGS = (0x09, 0x2D, 0, 0, 0x01, 0x0C, 0x01, 0, 0, 0x04)

#: Payload lengths that are fixed (RFC 9113 6.3, 6.4, 6.7, 6.9).
_LENGTHS = {PRIORITY: 5, RST_STREAM: 4, PING: 8, WINDOW_UPDATE: 4}

_HEADER = struct.Struct(">BHBBI")


class Framed(NamedTuple):
    """One frame: ``body`` is empty for DATA (its padding length apart) and short where octets are missing."""

    ready: int  # when its last octet and all octets before it were there, ns
    packet: int  # the packet that brought the last of these
    sender: int
    offset: int
    type: int  # ``LOST``: no frame, ``length`` octets that could not be read
    flags: int
    stream: int
    length: int  # octets of payload
    seen: int  # of them captured
    body: bytes
    header: bytes
    first_time: int
    first_packet: int


def frames(side: Side, known: bool) -> list[Framed]:
    """All frames from here to the end; ``known`` tells that one begins here, else the first must look like one.

    A packet that was lost and repeated comes after later ones: what is behind it in the stream waits for it.
    """
    found: list[Framed] = []
    ready = packet = 0
    if side.peek(len(PREFACE)) == PREFACE:
        side.seek(side.pos + len(PREFACE))
    while side.more:
        header = side.peek(9)
        if len(header) == 9 and (known or _plausible(side, header)):
            one = _frame(side, header)
            known = not side.in_hole
        else:
            one = _lost(side, len(header))
            known = False
        if (one.ready, one.packet) < (ready, packet):
            one = one._replace(ready=ready, packet=packet)
        ready, packet = one.ready, one.packet
        found.append(one)
    return found


def _frame(side: Side, header: bytes) -> Framed:
    high, low, kind, flags, stream = _HEADER.unpack(header)
    length = high << 16 | low
    first, start = side.at, side.pos
    body = b""
    side.seek(start + 9)
    if kind != DATA:
        body = side.peek(min(length, MAX_BLOCK))
    elif flags & PADDED and length:
        body = side.peek(1)
    seen = side.skip(length)
    first_packet, first_time = side.stream.origin(first)
    packet, ready = side.stream.origin(side.last())
    stream &= 0x7FFFFFFF
    return Framed(
        ready, packet, side.sender, start, kind, flags, stream, length, seen, body, header, first_time, first_packet
    )


def _lost(side: Side, cut: int) -> Framed:
    """Nothing that can be a frame is here: go to the next piece that begins with one, and leave a mark."""
    start = side.pos
    later = side.at
    if side.starts[later] < start or (cut == 9 and side.starts[later] == start):
        later += 1
    for at in range(later, side.count):
        side.at, side.pos = at, side.starts[at]
        if _plausible(side, side.peek(9)):
            break
    else:
        side.at, side.pos = side.count, side.end
    packet, ready = side.stream.origin(min(later, side.count - 1))
    return Framed(ready, packet, side.sender, start, LOST, 0, 0, side.pos - start, 0, b"", b"", ready, packet)


def _plausible(side: Side, header: bytes) -> bool:
    """Whether ``header`` can be a frame header; where the next one was captured it must be plausible too."""
    if not _may_be_frame(header):
        return False
    mark = side.at, side.pos
    side.skip(9 + (header[0] << 16 | header[1] << 8 | header[2]))
    following = side.peek(9)
    side.at, side.pos = mark
    return len(following) < 9 or _may_be_frame(following)


def _may_be_frame(header: bytes) -> bool:
    """Whether nine octets can head a frame of a type RFC 9113 defines."""
    if len(header) < 9:
        return False
    high, low, kind, flags, stream = _HEADER.unpack(header)
    length = high << 16 | low
    return (
        kind <= CONTINUATION
        and not flags & ~_FLAGS[kind]
        and length <= 1 << 20
        and not stream >> 31
        and ((stream == 0) == (kind in (SETTINGS, PING, GOAWAY)) or kind == WINDOW_UPDATE)
        and _LENGTHS.get(kind, length) == length
    )
