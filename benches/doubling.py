"""A capture twice as long: its packets, then the same packets later and from another client address.

Only for files of our own making (little-endian pcap, Ethernet, IPv4): the copy's addresses change in the network's
last octet, so that every connection of the copy is a new one.  Checksums are left as they are.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np


def double(path: Path) -> Path:
    """The doubled file beside ``path``; made unless it is there and newer."""
    target = path.with_name(f"{path.stem}-twice{path.suffix}")
    if target.exists() and target.stat().st_mtime > path.stat().st_mtime:
        return target
    data = bytearray(path.read_bytes())
    with target.open("wb") as out:
        out.write(data)
        at, first, last = 24, 0, 0
        places: list[int] = []
        while at + 16 <= len(data):
            seconds, _, size = struct.unpack_from("<III", data, at)
            first = first or seconds
            last = seconds
            places.append(at)
            at += 16 + size
        octets = np.frombuffer(data, np.uint8)
        starts = np.array(places)
        later = last - first + 60
        for base in starts.tolist():
            struct.pack_into("<I", data, base, struct.unpack_from("<I", data, base)[0] + later)
        for address in (16 + 26, 16 + 30):
            octets[starts + address + 2] ^= 0x55
        out.write(memoryview(data)[24:at])
    return target
