"""From a byte stream to TLS records: header by header, never over content.

``walk`` hops from one record header to the next and hands out where each record lies; a record of 16 kB that nobody
opens costs one hop and no copy.  It never raises.  What is not a record is a fault with its place, and the walk goes
on at the next packet that starts like a record; a hole inside a record is stepped over, since its header said where it
ends.  Records are walked as RFC 8446 5.1 frames them, whatever is in them and however long they say they are (a
record over the limit is a fact for others to judge); an SSL 2.0 stream has its own header (RFC 6101 E, the SSL 2.0
draft 4.1) and its own walk, which turns to records when the peer moved on to SSL 3.0 or later.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from synfin.observe.stream import ByteStream
from synfin.wire.tls.records import HEADER, looks_like_record
from synfin.wire.tls.sslv2 import read_header

#: ``version`` of records in SSL 2.0's own framing.
SSLV2 = 0x0002

#: Where pieces start, and their sizes.
Layout = tuple[list[int], list[int]]
_new = tuple.__new__  # makes a NamedTuple without a call to its Python constructor
#: Major versions of record headers: SSL 3.0 to TLS 1.3, and the drafts of TLS 1.3.
_MAJOR = frozenset({3, 0x7F})
_HEADER = Struct(">BHH").unpack_from


class Record(NamedTuple):
    """One record as it lies in its sender's stream; ``packet`` and ``time`` are those of its last octet.

    ``octets`` are those of the packet that holds all of the record, which begins at ``at`` in them; empty where the
    record is spread over packets.
    """

    time: int
    packet: int
    offset: int
    type: int
    version: int
    length: int  # of the fragment
    header: int  # octets before the fragment
    complete: bool
    octets: bytes
    at: int


class Fault(NamedTuple):
    """Octets that are not records, or that end too early."""

    offset: int
    length: int
    packet: int
    why: str


def fragment(stream: ByteStream, record: Record) -> bytes:
    """The octets of ``record`` after its header, as far as they were captured without a hole."""
    if record.octets:
        start = record.at + record.header
        return record.octets[start : start + record.length]
    return stream.read(record.offset + record.header, record.length)


def walk(stream: ByteStream, start: int, faults: list[Fault]) -> Iterator[Record]:
    """The records of ``stream`` from offset ``start`` on; what is none is added to ``faults``."""
    layout = starts, sizes = stream.layout()
    count = len(starts)
    i = max(stream.index(start), 0)
    pos = start
    while i < count:
        base = starts[i]
        size = sizes[i]
        at = pos - base
        if at >= size:
            i += 1
            continue
        if at < 0:  # a hole where a header should be
            i, pos = _resume(stream, layout, i)
            continue
        data = stream.octets(i)
        packet, ready = stream.origin(i)
        while at + HEADER <= size:
            kind, version, length = _HEADER(data, at)
            if not 20 <= kind <= 25 or version >> 8 not in _MAJOR:
                faults.append(Fault(base + at, size - at, packet, f"not a TLS record: {data[at : at + 5].hex(' ')}"))
                i, pos = _resume(stream, layout, i + 1)
                break
            stop = at + HEADER + length
            if stop > size:
                i, pos, record = _across(stream, layout, i, base + at, kind, version, length)
                yield record
                break
            yield _new(Record, (ready, packet, base + at, kind, version, length, HEADER, True, data, at))
            at = stop
        else:
            pos = base + at
            if at < size:  # a header that goes on in the next packet
                head = stream.read(pos, HEADER)
                kind, version, length = _HEADER(head.ljust(HEADER, b"\0"))
                if len(head) < HEADER:
                    faults.append(Fault(pos, len(head), packet, "the captured octets end inside a record header"))
                    i, pos = _resume(stream, layout, stream.index(pos + len(head) - 1) + 1)
                elif 20 <= kind <= 25 and version >> 8 in _MAJOR:
                    i, pos, record = _across(stream, layout, i, pos, kind, version, length)
                    yield record
                else:
                    faults.append(Fault(pos, size - at, packet, f"not a TLS record: {head.hex(' ')}"))
                    i, pos = _resume(stream, layout, i + 1)


def _across(
    stream: ByteStream, layout: Layout, i: int, pos: int, kind: int, version: int, length: int
) -> tuple[int, int, Record]:
    """A record that passes the end of piece ``i``: where to go on (piece, offset), and the record."""
    starts, sizes = layout
    count = len(starts)
    stop = pos + HEADER + length
    if stream.holes:
        while starts[i] + sizes[i] < stop and i + 1 < count and starts[i + 1] == starts[i] + sizes[i]:
            i += 1
    else:
        i = bisect_right(starts, stop - 1, i) - 1
    complete = starts[i] + sizes[i] >= stop
    packet, ready = stream.origin(i)
    record = Record(ready, packet, pos, kind, version, length, HEADER, complete, b"", 0)
    if not complete:  # a hole inside, or the end: go on where the header said this record ends
        i = max(bisect_right(starts, stop) - 1, i)
        if starts[i] + sizes[i] <= stop:  # that place was not captured either
            i, stop = _resume(stream, layout, i + 1)
    return i, stop, record


def _resume(stream: ByteStream, layout: Layout, i: int) -> tuple[int, int]:
    """The first piece from ``i`` on that starts like a record, and its offset; past the last piece: there is none."""
    starts, sizes = layout
    for k in range(i, len(starts)):
        data = stream.octets(k)
        if 20 <= data[0] <= 24 and looks_like_record(data if sizes[k] >= HEADER else stream.read(starts[k], HEADER)):
            return k, starts[k]
    return len(starts), 0


def walk_sslv2(stream: ByteStream, start: int, faults: list[Fault]) -> Iterator[Record]:
    """Records of a stream that starts in SSL 2.0's framing; the rest is walked as TLS once it looks like TLS.

    ``type`` is the first octet of a record's content: the message type while it is in clear.
    """
    pos = start
    while True:
        head = stream.read(pos, 6)
        if looks_like_record(head):
            yield from walk(stream, pos, faults)
            return
        found = read_header(head)
        if found is None or len(head) <= found.size:
            return
        if not found.length:
            faults.append(Fault(pos, len(head), stream.origin(stream.index(pos))[0], "not an SSL 2.0 record"))
            return
        have = len(stream.read(pos, found.size + found.length))
        packet, ready = stream.origin(stream.index(pos + have - 1))
        complete = have == found.size + found.length
        yield Record(ready, packet, pos, head[found.size], SSLV2, found.length, found.size, complete, b"", 0)
        if not complete:
            return
        pos += have
