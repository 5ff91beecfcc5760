"""From a byte stream to TLS records: header by header, never over content.

``walk`` hops from one record header to the next and hands out where each record lies; a record of 16 kB that nobody
opens costs one hop and no copy.  It never raises.  What is not a record is a fault with its place, and the walk goes
on at the next packet that starts like a record; a hole inside a record is stepped over, since its header said where it
ends.  Records are walked as RFC 8446 5.1 frames them, whatever is in them, and lengths up to TLS 1.2's limit
pass; an SSL 2.0 stream has its own header (RFC 6101 E, the SSL 2.0 draft 4.1) and its own walk, which turns to
records when the peer moved on to SSL 3.0 or later.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from synfin.observe.stream import ByteStream
from synfin.wire.tls.records import HEADER, MAX_FRAGMENT, looks_like_record

#: ``version`` of records in SSL 2.0's own framing.
SSLV2 = 0x0002

_new = tuple.__new__  # makes a NamedTuple without a call to its Python constructor
_HEADER = Struct(">BHH").unpack_from


class Record(NamedTuple):
    """One record as it lies in its sender's stream; ``packet`` and ``time`` are those of its last octet."""

    time: int
    packet: int
    offset: int
    type: int
    version: int
    length: int  # of the fragment
    header: int  # octets before the fragment
    complete: bool
    piece: int  # index of the piece that holds its first octet


class Fault(NamedTuple):
    """Octets that are not records, or that end too early."""

    offset: int
    length: int
    packet: int
    why: str


def fragment(stream: ByteStream, record: Record) -> bytes:
    """The octets of ``record`` after its header, as far as they were captured without a hole."""
    piece = stream.pieces[record.piece]
    start = record.offset + record.header - piece.offset
    stop = start + record.length
    if stop <= len(piece.data):
        return piece.data[start:stop]
    return stream.read(record.offset + record.header, record.length)


def walk(stream: ByteStream, start: int, faults: list[Fault], index: int | None = None) -> Iterator[Record]:
    """The records of ``stream`` from offset ``start`` on; what is none is added to ``faults``."""
    pieces = stream.pieces
    count = len(pieces)
    i = max(stream.index(start), 0) if index is None else index
    pos = start
    while i < count:
        piece = pieces[i]
        base, data, packet, ready = piece.offset, piece.data, piece.packet, piece.ready
        size = len(data)
        at = pos - base
        if at < 0:  # a hole where a header should be
            i, pos = _resume(stream, i)
            continue
        while at + 5 <= size:
            kind, version, length = _HEADER(data, at)
            if not 20 <= kind <= 25 or version >> 8 not in (3, 0x7F) or length > MAX_FRAGMENT:
                faults.append(Fault(base + at, size - at, packet, f"not a TLS record: {data[at : at + 5].hex(' ')}"))
                i, pos = _resume(stream, i + 1)
                break
            stop = at + HEADER + length
            if stop > size:
                pos = base + at
                i, pos, record = _across(stream, i, pos, kind, version, length)
                yield record
                break
            yield _new(Record, (ready, packet, base + at, kind, version, length, HEADER, True, i))
            at = stop
        else:
            pos = base + at
            if at >= size:
                i += 1
                continue
            head = stream.read(pos, HEADER)
            if len(head) == HEADER:
                kind, version, length = _HEADER(head)
                if 20 <= kind <= 25 and version >> 8 in (3, 0x7F) and length <= MAX_FRAGMENT:
                    i, pos, record = _across(stream, i, pos, kind, version, length)
                    yield record
                else:
                    faults.append(Fault(pos, size - at, packet, f"not a TLS record: {head.hex(' ')}"))
                    i, pos = _resume(stream, i + 1)
            else:
                faults.append(Fault(pos, len(head), packet, "the captured octets end inside a record header"))
                i, pos = _resume(stream, stream.index(pos + len(head) - 1) + 1)


def _across(stream: ByteStream, i: int, pos: int, kind: int, version: int, length: int) -> tuple[int, int, Record]:
    """A record that passes the end of piece ``i``: where to go on (piece, offset), and the record."""
    pieces = stream.pieces
    count = len(pieces)
    stop = pos + HEADER + length
    first = i
    piece = pieces[i]
    reached = piece.offset + len(piece.data)
    while reached < stop and i + 1 < count and pieces[i + 1].offset == reached:
        i += 1
        piece = pieces[i]
        reached += len(piece.data)
    complete = reached >= stop
    record = Record(piece.ready, piece.packet, pos, kind, version, length, HEADER, complete, first)
    if not complete:  # a hole inside, or the end: go on where the header said this record ends
        while i + 1 < count and pieces[i].offset + len(pieces[i].data) <= stop:
            i += 1
        if pieces[i].offset > stop:  # that place was not captured either
            i, stop = _resume(stream, i)
        elif pieces[i].offset + len(pieces[i].data) <= stop:
            i = count
    return i, stop, record


def _resume(stream: ByteStream, i: int) -> tuple[int, int]:
    """The first piece from ``i`` on that starts like a record, and its offset; past the last piece: there is none."""
    pieces = stream.pieces
    for k in range(i, len(pieces)):
        piece = pieces[k]
        if 20 <= piece.data[0] <= 24:
            head = piece.data[:HEADER] if len(piece.data) >= HEADER else stream.read(piece.offset, HEADER)
            if looks_like_record(head):
                return k, piece.offset
    return len(pieces), 0


def walk_sslv2(stream: ByteStream, start: int, faults: list[Fault]) -> Iterator[Record]:
    """Records of a stream that starts in SSL 2.0's framing; the rest is walked as TLS once it looks like TLS.

    ``type`` is the first octet of a record's content: the message type while it is in clear.
    """
    pos = start
    while True:
        head = stream.read(pos, 6)
        if len(head) >= HEADER and looks_like_record(head):
            yield from walk(stream, pos, faults)
            return
        if len(head) < 3:
            return
        header = 2 if head[0] & 0x80 else 3
        length = (head[0] & 0x7F if header == 2 else head[0] & 0x3F) << 8 | head[1]
        index = stream.index(pos)
        if not length or len(head) <= header:
            faults.append(Fault(pos, len(head), stream.pieces[index].packet, "not an SSL 2.0 record"))
            return
        have = len(stream.read(pos, header + length))
        last = stream.pieces[stream.index(pos + have - 1)]
        complete = have == header + length
        yield Record(last.ready, last.packet, pos, head[header], SSLV2, length, header, complete, index)
        if not complete:
            return
        pos += header + length
