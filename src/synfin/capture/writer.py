"""Writing captures: pcapng with secrets and comments, and plain pcap in all its dialects.

Follows draft-ietf-opsawg-pcapng and draft-ietf-opsawg-pcap.  Writers take times in nanoseconds since 1970 and say
nothing they were not told: no operating system, no application name, so that the same packets always make the same
octets.
"""

from __future__ import annotations

import struct
from typing import IO, Literal

_TLS_KEY_LOG = 0x544C534B
_COMMENT, _TSRESOL = 1, 9


class PcapngWriter:
    """Writes one section with one interface.  ``nanoseconds`` False writes microseconds, as most readers expect."""

    def __init__(self, file: IO[bytes], link_type: int = 1, snaplen: int = 0, nanoseconds: bool = True) -> None:
        self._file = file
        self._tick = 1 if nanoseconds else 1000
        file.write(_block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)))
        options = _options([(_TSRESOL, b"\x09" if nanoseconds else b"\x06")])
        file.write(_block(1, struct.pack("<HHI", link_type, 0, snaplen) + options))

    def packet(self, time_ns: int, frame: bytes, comment: str = "", wirelen: int = 0) -> None:
        """One frame at its time; ``wirelen`` is what it had on the wire where it was cut."""
        ticks = time_ns // self._tick
        octets = len(frame)
        options = _options([(_COMMENT, comment.encode())]) if comment else b""
        size = 32 + octets + -octets % 4 + len(options)
        high, low = ticks >> 32 & 0xFFFF_FFFF, ticks & 0xFFFF_FFFF
        head = struct.pack("<IIIIIII", 6, size, 0, high, low, octets, max(wirelen, octets))
        self._file.write(b"".join((head, frame, bytes(-octets % 4), options, struct.pack("<I", size))))

    def secrets(self, keylog_text: bytes) -> None:
        """A TLS key log; it must stand before the packets that need it."""
        self._file.write(_block(10, struct.pack("<II", _TLS_KEY_LOG, len(keylog_text)) + _padded(keylog_text)))


class PcapWriter:
    """Writes a pcap file, in either byte order, in micro- or nanoseconds."""

    def __init__(
        self,
        file: IO[bytes],
        link_type: int = 1,
        snaplen: int = 0,
        nanoseconds: bool = True,
        byteorder: Literal["little", "big"] = "little",
    ) -> None:
        self._file = file
        self._tick = 1 if nanoseconds else 1000
        self._order = "<" if byteorder == "little" else ">"
        magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
        file.write(struct.pack(f"{self._order}IHHiIII", magic, 2, 4, 0, 0, snaplen or 262_144, link_type))

    def packet(self, time_ns: int, frame: bytes, wirelen: int = 0) -> None:
        """One frame at its time; ``wirelen`` is what it had on the wire where it was cut."""
        seconds, rest = divmod(time_ns, 1_000_000_000)
        head = struct.pack(f"{self._order}IIII", seconds, rest // self._tick, len(frame), max(wirelen, len(frame)))
        self._file.write(head + frame)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _options(options: list[tuple[int, bytes]]) -> bytes:
    out = b"".join(struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options)
    return out + bytes(4)


def _block(kind: int, body: bytes) -> bytes:
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size
