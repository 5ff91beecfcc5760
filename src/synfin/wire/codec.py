"""Reading and writing bytes without over-reading, every read with a name.

A ``Reader`` walks one immutable buffer between two limits.  Each read names its field, so that a failure says
``client_hello.extensions[3].length at byte 87: says 9, has 4``.  When a list is given as ``spans`` every read
also leaves a ``Span`` there: the byte-by-byte view is drawn from those, so what is shown is what was parsed.
A ``Writer`` back-patches length prefixes through context managers.  Neither judges what it carries.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from synfin.errors import WireError

Buffer = bytes | bytearray | memoryview


class Span(NamedTuple):
    """One field as it stood in the bytes: half-open byte range, path of names, value read, and its source."""

    start: int
    end: int
    path: str
    value: object
    ref: str


class Reader:
    """Reads big-endian fields from ``data[pos:end]``; offsets in errors and spans add ``base``.

    Raises WireError when a read would pass ``end``; nothing is consumed then.
    """

    __slots__ = ("base", "data", "end", "path", "pos", "ref", "spans")

    def __init__(
        self,
        data: Buffer,
        path: str = "",
        *,
        pos: int = 0,
        end: int | None = None,
        base: int = 0,
        spans: list[Span] | None = None,
        ref: str = "",
    ) -> None:
        self.data = data
        self.path = path
        self.pos = pos
        self.end = len(data) if end is None else end
        self.base = base
        self.spans = spans
        self.ref = ref

    @property
    def left(self) -> int:
        """Octets not read yet."""
        return self.end - self.pos

    def fail(self, name: str, why: str) -> WireError:
        """A WireError about field ``name`` at the current place, for the caller to raise."""
        return WireError(self.base + self.pos, self._name(name), why)

    def _name(self, name: str) -> str:
        if not self.path or not name:
            return self.path or name
        return f"{self.path}{name}" if name[0] == "[" else f"{self.path}.{name}"

    def _span(self, start: int, name: str, value: object) -> None:
        if self.spans is not None:
            self.spans.append(Span(self.base + start, self.base + self.pos, self._name(name), value, self.ref))

    def uint(self, size: int, name: str) -> int:
        """An unsigned integer of ``size`` octets."""
        start = self.pos
        stop = start + size
        if stop > self.end:
            raise self.fail(name, f"needs {size} octets, has {self.end - start}")
        self.pos = stop
        value = int.from_bytes(self.data[start:stop], "big")
        if self.spans is not None:
            self._span(start, name, value)
        return value

    def u8(self, name: str) -> int:
        """One octet."""
        return self.uint(1, name)

    def u16(self, name: str) -> int:
        """Two octets."""
        return self.uint(2, name)

    def u24(self, name: str) -> int:
        """Three octets."""
        return self.uint(3, name)

    def u32(self, name: str) -> int:
        """Four octets."""
        return self.uint(4, name)

    def u64(self, name: str) -> int:
        """Eight octets."""
        return self.uint(8, name)

    def take(self, size: int, name: str) -> bytes:
        """Exactly ``size`` octets."""
        start = self.pos
        stop = start + size
        if stop > self.end:
            raise self.fail(name, f"says {size}, has {self.end - start}")
        self.pos = stop
        value = bytes(self.data[start:stop])
        if self.spans is not None and size:
            self._span(start, name, value)
        return value

    def rest(self, name: str) -> bytes:
        """All that is left."""
        return self.take(self.end - self.pos, name)

    def _length(self, prefix: int, name: str) -> int:
        """A length of ``prefix`` octets that what is left must cover."""
        mark = self.pos
        size = self.uint(prefix, f"{name}.length")
        if size > self.end - self.pos:
            has = self.end - self.pos
            self.pos = mark
            raise self.fail(f"{name}.length", f"says {size}, has {has}")
        return size

    def vec(self, prefix: int, name: str) -> bytes:
        """A vector of octets behind a length of ``prefix`` octets."""
        return self.take(self._length(prefix, name), name)

    def sub(self, prefix: int, name: str) -> Reader:
        """A reader over a vector behind a length of ``prefix`` octets; this reader moves past it."""
        return self.window(self._length(prefix, name), name)

    def window(self, size: int, name: str) -> Reader:
        """A reader over the next ``size`` octets; this reader moves past them."""
        start = self.pos
        if start + size > self.end:
            raise self.fail(name, f"says {size}, has {self.end - start}")
        self.pos = start + size
        return Reader(
            self.data,
            self._name(name),
            pos=start,
            end=start + size,
            base=self.base,
            spans=self.spans,
            ref=self.ref,
        )

    def finish(self) -> None:
        """Raise WireError unless everything was read."""
        if self.pos != self.end:
            raise self.fail("", f"{self.end - self.pos} octets left over")


class Writer:
    """Builds big-endian bytes; ``with w.block(2): ...`` writes a two-octet length before what is inside."""

    __slots__ = ("data",)

    def __init__(self) -> None:
        self.data = bytearray()

    def uint(self, size: int, value: int) -> None:
        """An unsigned integer of ``size`` octets; ValueError when it does not fit."""
        try:
            self.data += value.to_bytes(size, "big")
        except OverflowError as error:
            raise ValueError(f"{value} does not fit in {size} octets") from error

    def u8(self, value: int) -> None:
        """One octet."""
        self.uint(1, value)

    def u16(self, value: int) -> None:
        """Two octets."""
        self.uint(2, value)

    def u24(self, value: int) -> None:
        """Three octets."""
        self.uint(3, value)

    def u32(self, value: int) -> None:
        """Four octets."""
        self.uint(4, value)

    def raw(self, data: Buffer) -> None:
        """Octets as they are."""
        self.data += data

    def vec(self, prefix: int, data: Buffer) -> None:
        """``data`` behind its length in ``prefix`` octets."""
        self.uint(prefix, len(data))
        self.data += data

    @contextmanager
    def block(self, prefix: int) -> Iterator[None]:
        """What is written inside goes behind its length in ``prefix`` octets."""
        at = len(self.data)
        self.data += bytes(prefix)
        yield
        size = len(self.data) - at - prefix
        if size >> (8 * prefix):
            raise ValueError(f"{size} octets do not fit behind a length of {prefix} octets")
        self.data[at : at + prefix] = size.to_bytes(prefix, "big")

    def bytes(self) -> bytes:
        """What has been written."""
        return bytes(self.data)
