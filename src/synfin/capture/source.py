"""Where the bytes of a capture come from, as one mapped file whatever they were.

A plain file is mapped as it lies.  Standard input, pipes and compressed files (gzip, zstd; several members too) are
spooled to an unlinked temporary file and that is mapped, so everything behind this module sees one kind of thing:
a read-only ``memoryview`` over a mapping whose used pages can be dropped again.  A damaged compressed stream
yields what could be unpacked, and says so in ``damage``.  Everything a person can get wrong here is a
``UsageError`` of one line: what, where, what to do.
"""

from __future__ import annotations

import mmap
import os
import stat
import sys
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import zstandard

from synfin.errors import UsageError

_CHUNK = 1 << 16  # octets read from a stream at a time
_BURST = 1 << 20  # octets unpacked at a time: a small stream cannot fill memory

_HEAD = 512  # octets looked at to say what a file is

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"

#: How files begin that people give by mistake, and what to do about it.
_MISTAKES = (
    (b"BZh", "bzip2 data", "unpack it with bunzip2 first"),
    (b"\xfd7zXZ", "xz data", "unpack it with unxz first"),
    (b"\x04\x22\x4d\x18", "lz4 data", "unpack it with lz4 -d first"),
    (b"PK\x03\x04", "a zip archive", "unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it first"),
    (b"snoop\0\0\0", "a snoop capture", "convert it with editcap -F pcapng"),
    (b"GMBU", "a Network Monitor capture", "convert it with editcap -F pcapng"),
    (b"RTSS", "a Network Monitor capture", "convert it with editcap -F pcapng"),
    (b"XCP\0", "a NetXRay capture", "convert it with editcap -F pcapng"),
    (b"\x7fELF", "a program", "give a capture file"),
    (b"%PDF", "a PDF document", "give a capture file"),
    (b"-----BEGIN", "PEM text (a certificate or key)", "give the capture here and the key by its own option"),
    (b"CLIENT_RANDOM ", "a TLS key log", "give the capture here and the key log by its own option"),
    (b"CLIENT_HANDSHAKE_TRAFFIC_SECRET ", "a TLS key log", "give the capture here and the key log by its own option"),
    (b"SERVER_HANDSHAKE_TRAFFIC_SECRET ", "a TLS key log", "give the capture here and the key log by its own option"),
)


@dataclass(slots=True)
class Source:
    """The bytes of one capture.  ``damage`` says what is wrong with the compressed stream they came from."""

    name: str
    data: memoryview
    packing: str = ""
    damage: str = ""
    mapping: mmap.mmap | None = None

    def drop(self, start: int, end: int) -> None:
        """Let the pages of ``data[start:end]`` go from memory; they come back from the file when touched again."""
        if self.mapping is None or not hasattr(self.mapping, "madvise"):
            return
        start = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
        end = end // mmap.PAGESIZE * mmap.PAGESIZE
        if end > start:
            self.mapping.madvise(mmap.MADV_DONTNEED, start, end - start)

    def close(self) -> None:
        """Let go of the mapping; it ends when the last batch that looks into it does."""
        self.data = memoryview(b"")
        self.mapping = None


def open_source(source: str | Path) -> Source:
    """Open a path, or standard input for ``"-"``.  Raises UsageError when there is nothing to read."""
    if str(source) == "-":
        stdin = getattr(sys.stdin, "buffer", None)
        if stdin is None or stdin.closed or stdin.isatty():
            raise UsageError("standard input: there is no capture in it; pipe one into it or give a file")
        return _spool(stdin, "standard input")
    path = Path(source)
    name = str(path)
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise UsageError(f"{name}: no such file") from None
    except IsADirectoryError:
        raise UsageError(f"{name}: is a directory; give the capture files in it") from None
    except PermissionError:
        raise UsageError(f"{name}: cannot be read (permission denied)") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{name}: cannot be opened ({_reason(error)})") from None
    with file:
        try:
            info = os.fstat(file.fileno())
            if stat.S_ISREG(info.st_mode) and info.st_size:
                if not _packing(file.read(4)):
                    return _mapped(file, name)
                file.seek(0)
            return _spool(file, name)
        except OSError as error:
            raise UsageError(f"{name}: cannot be read ({_reason(error)})") from None


def not_a_capture(source: Source) -> UsageError:
    """The error for bytes that are no capture, saying what they look like."""
    head = bytes(source.data[:_HEAD])
    inside = f"{source.packing} of " if source.packing else ""
    for magic, what, todo in _MISTAKES:
        if head.startswith(magic):
            return UsageError(f"{source.name}: not a capture but {inside}{what}; {todo}")
    what = "text" if _is_text(head) else f"unknown data (begins with {head[:4].hex(' ')})"
    return UsageError(f"{source.name}: not a capture but {inside}{what}; give a pcap or pcapng file")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if len(head) < _HEAD or error.start < _HEAD - 3:  # a letter cut in two is no reason
            return False
        text = head[: error.start].decode()
    return all(letter.isprintable() or letter in "\r\n\t" for letter in text)


def _packing(head: bytes) -> str:
    if head.startswith(_GZIP):
        return "gzip"
    skippable = len(head) == 4 and head[0] & 0xF0 == 0x50 and head[1:] == b"\x2a\x4d\x18"
    return "zstd" if head.startswith(_ZSTD) or skippable else ""


def _mapped(file: IO[bytes], name: str, packing: str = "", damage: str = "") -> Source:
    mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return Source(name, memoryview(mapping), packing, damage, mapping)


def _spool(stream: IO[bytes], name: str) -> Source:
    head = _read(stream, 4, name)
    packing = _packing(head)
    damage = ""
    with tempfile.TemporaryFile(prefix="synfin-") as spool:
        try:
            if packing:
                damage = _unpack(_chunks(stream, head, name), spool, packing)
            else:
                for chunk in _chunks(stream, head, name):
                    spool.write(chunk)
            spool.flush()
        except OSError as error:
            raise UsageError(
                f"{name}: cannot be kept in {tempfile.gettempdir()} while it is read ({_reason(error)}); "
                "set TMPDIR to a place with more room"
            ) from None
        if not spool.tell():
            if packing:
                raise UsageError(f"{name}: holds nothing that can be unpacked ({damage or f'empty {packing} stream'})")
            raise UsageError(f"{name}: is empty; there is no capture in it")
        return _mapped(spool, name, packing, damage)


def _chunks(stream: IO[bytes], head: bytes, name: str) -> Iterator[bytes]:
    chunk = head
    while chunk:
        yield chunk
        chunk = _read(stream, _CHUNK, name)


def _read(stream: IO[bytes], size: int, name: str) -> bytes:
    try:
        return stream.read(size)
    except (OSError, ValueError) as error:
        raise UsageError(f"{name}: cannot be read ({_reason(error)})") from None


class _Unpacker(Protocol):
    def feed(self, data: bytes) -> Iterator[bytes]: ...

    done: bool
    rest: bytes


class _Gzip:
    """One gzip member (RFC 1952)."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(31)
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        piece = b""
        while not self.done and (data or len(piece) == _BURST):
            piece = self._inflate.decompress(data, _BURST)
            yield piece
            data = self._inflate.unconsumed_tail
            self.done = self._inflate.eof
        self.rest = self._inflate.unused_data if self.done else b""


class _Zstd:
    """One Zstandard frame (RFC 8878)."""

    def __init__(self) -> None:
        self._inflate = zstandard.ZstdDecompressor().decompressobj()
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield self._inflate.decompress(data)
        self.done = self._inflate.eof
        self.rest = self._inflate.unused_data if self.done else b""


def _unpack(chunks: Iterator[bytes], spool: IO[bytes], packing: str) -> str:
    """Unpack into ``spool`` what can be unpacked; returns what was wrong, if anything."""
    new: type[_Gzip] | type[_Zstd] = _Gzip if packing == "gzip" else _Zstd
    # A zstd block can grow a thousandfold, so it is fed in small pieces.
    size = _CHUNK if packing == "gzip" else 1 << 12
    unpacker: _Unpacker | None = None
    for chunk in chunks:
        pieces = [chunk[at : at + size] for at in range(0, len(chunk), size)]
        while pieces:
            piece = pieces.pop(0)
            if unpacker is None:
                if not piece.strip(b"\0"):
                    continue  # padding behind the last member, as tape archives leave it
                unpacker = new()
            try:
                for out in unpacker.feed(piece):
                    spool.write(out)
            except (zlib.error, zstandard.ZstdError) as error:
                return f"damaged {packing} stream: {error}"
            if unpacker.done:
                if unpacker.rest:
                    pieces.insert(0, unpacker.rest)
                unpacker = None
    return f"the {packing} stream ends too early" if unpacker is not None else ""
