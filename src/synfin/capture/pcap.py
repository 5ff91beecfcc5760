"""The pcap file format: a header, then records of time, two lengths and a frame.

Follows draft-ietf-opsawg-pcap.  Both byte orders, micro- and nanoseconds, and the format of Kuznetzov's patched
libpcap (24-octet record headers) are read.  A record that says it is longer than anything believed ends the
reading, because nothing behind it can be found again; so does a record cut off by the end of the file.  As
Wireshark does, a fraction of a second that is a second or more is held below it, and lengths written in the wrong
order by old versions of the format are swapped.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from synfin.capture.gather import Octets, gather
from synfin.capture.hops import Records, walk
from synfin.capture.index import MOST_FRAME, Index, most_frame
from synfin.capture.notes import ReadNotes
from synfin.capture.table import Link

#: Magic number in the writer's order -> (nanoseconds per tick, octets of record header).
_MAGIC = {0xA1B2C3D4: (1000, 16), 0xA1B23C4D: (1, 16), 0xA1B2CD34: (1000, 24)}
_HEADER = 24
#: Octets whose records are looked for together.
_TOGETHER = 1 << 26


def is_pcap(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is a pcap file."""
    return int.from_bytes(head[:4], "big") in _MAGIC or int.from_bytes(head[:4], "little") in _MAGIC


def scan(data: memoryview, octets: Octets, notes: ReadNotes, batch: int, batch_octets: int) -> Iterator[Index]:
    """The packets of the pcap file ``data`` in runs of at most ``batch`` packets and about ``batch_octets`` octets."""
    order = "<" if int.from_bytes(data[:4], "little") in _MAGIC else ">"
    tick, head = _MAGIC[struct.unpack_from(f"{order}I", data)[0]]
    size = len(data)
    notes.format = {(1000, 16): "pcap", (1, 16): "nanosecond pcap", (1000, 24): "modified pcap"}[tick, head]
    notes.resolution = tick
    if size < _HEADER:
        notes.problem(0, size, f"the file header is cut off after {size} of {_HEADER} octets")
        return
    major, minor, _zone, _figures, snaplen, network = struct.unpack_from(f"{order}HHiIII", data, 4)
    link = Link(network & 0xFFFF, "", snaplen)
    notes.links.append(link)
    swapped = 2 if major == 2 and minor < 3 else 1 if (major, minor) == (2, 3) else 0
    most = most_frame(link.link_type)
    lengths_at = 12 if swapped == 2 else 8
    length = struct.Struct(f"{order}I").unpack_from
    records = Records(head, lengths_at, order, most)
    at = _HEADER
    last = size - head
    damaged = False
    while at <= last and not damaged:
        stop = min(last, at + min(batch_octets, _TOGETHER))
        found, after = walk(data, octets, at, stop, records)
        damaged = after <= stop
        cut = int(found[-1]) if found.size and after > size else 0
        found = found[:-1] if cut else found
        for first in range(0, found.size, batch):
            places = found[first : first + batch]
            end = int(found[first + batch]) if first + batch < found.size else cut or after
            fields = gather(octets, places, 16).view(f"{order}u4").astype(np.int64)
            parts = np.minimum(fields[:, 1], 1_000_000_000 // tick - 1)
            captured, wire = fields[:, 2], fields[:, 3]
            if swapped == 2:
                captured, wire = wire, captured
            elif swapped:
                captured, wire = np.minimum(captured, wire), np.maximum(captured, wire)
            time = fields[:, 0] * 1_000_000_000 + parts * tick
            wire = np.minimum(wire, MOST_FRAME) if most == MOST_FRAME else wire
            yield Index(places + head, captured, wire, time, np.zeros(places.size, np.uint16), at, end)
            at = end
        at = after
        packet = notes.packets + 1
        if cut:
            (caplen,) = length(data, cut + lengths_at)
            has = size - cut - head
            notes.problem(packet, cut, f"the file ends inside packet {packet}: {caplen} octets promised, {has} there")
            return
        if damaged:
            (caplen,) = length(data, at + lengths_at)
            text = f"packet {packet} says it is {caplen} octets long; the file is damaged here and not read further"
            notes.problem(packet, at, text)
            return
    if at < size:
        packet = notes.packets + 1
        notes.problem(packet, at, f"the file ends inside the record header of packet {packet}")
