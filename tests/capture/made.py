"""Captures made in memory, for tests: any blocks in any byte order, and reading them back in one call."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synfin.capture import ReadNotes, open_capture
from synfin.capture.table import ROW, Batch
from tests.wire.net_made import eth, ip4

FRAME = eth(0x800, ip4())


@dataclass(slots=True)
class Told:
    """Everything a capture said."""

    rows: NDArray[np.void]
    notes: ReadNotes
    secrets: list[bytes]
    batches: list[Batch]


def read(path: Path, data: bytes | None = None, batch: int = 131072) -> Told:
    """Read ``data`` by way of a file at ``path``, or the file that is there."""
    if data is not None:
        path.write_bytes(data)
    with open_capture(path, batch_packets=batch) as capture:
        batches = list(capture.batches())
        rows = np.concatenate([batch.rows for batch in batches]) if batches else np.zeros(0, ROW)
        return Told(rows, capture.notes, capture.secrets, batches)


@dataclass(slots=True)
class Section:
    """Blocks of a pcapng section in one byte order."""

    order: str = "<"

    def block(self, kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        size = struct.pack(f"{self.order}I", len(body) + 12)
        return struct.pack(f"{self.order}I", kind) + size + body + size

    def options(self, *options: tuple[int, bytes]) -> bytes:
        out = b"".join(
            struct.pack(f"{self.order}HH", code, len(value)) + value + bytes(-len(value) % 4) for code, value in options
        )
        return out + bytes(4) if options else b""

    def header(self, *options: tuple[int, bytes]) -> bytes:
        return self.block(0x0A0D0D0A, struct.pack(f"{self.order}IHHq", 0x1A2B3C4D, 1, 0, -1) + self.options(*options))

    def interface(self, link_type: int = 1, snaplen: int = 0, *options: tuple[int, bytes]) -> bytes:
        return self.block(1, struct.pack(f"{self.order}HHI", link_type, 0, snaplen) + self.options(*options))

    def packet(self, ticks: int, frame: bytes = FRAME, interface: int = 0, *options: tuple[int, bytes]) -> bytes:
        head = struct.pack(f"{self.order}IIIII", interface, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
        return self.block(6, head + frame + bytes(-len(frame) % 4) + self.options(*options))

    def simple(self, frame: bytes = FRAME, wirelen: int = 0) -> bytes:
        return self.block(3, struct.pack(f"{self.order}I", wirelen or len(frame)) + frame)

    def obsolete(self, ticks: int, frame: bytes = FRAME, interface: int = 0) -> bytes:
        head = struct.pack(f"{self.order}HHIIII", interface, 0, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
        return self.block(2, head + frame)

    def secrets(self, text: bytes, kind: int = 0x544C534B) -> bytes:
        return self.block(10, struct.pack(f"{self.order}II", kind, len(text)) + text)


def pcap(
    *frames: bytes, order: str = "<", magic: int = 0xA1B2C3D4, link: int = 1, minor: int = 4, part: int = 5
) -> bytes:
    """A pcap file of frames one second apart."""
    out = struct.pack(f"{order}IHHiIII", magic, 2, minor, 0, 0, 65535, link)
    for i, frame in enumerate(frames):
        out += struct.pack(f"{order}IIII", 1_700_000_000 + i, part, len(frame), len(frame))
        out += bytes(8) if magic == 0xA1B2CD34 else b""
        out += frame
    return out
