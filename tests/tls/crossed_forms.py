"""The syntax of a server's messages, from the RFCs: where lengths stand, and whether octets have the form at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


class MalformedError(Exception):
    """Not of the form."""


@dataclass
class Form:
    """A reader that notes where each length is: offset from the start of the body, and its octets."""

    data: bytes
    base: int = 0
    at: int = 0
    lengths: list[tuple[int, int]] = field(default_factory=list)

    def take(self, size: int) -> bytes:
        if self.at + size > len(self.data):
            raise MalformedError
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def inner(self, size: int, least: int = 0) -> Form:
        """A vector with a length of ``size`` octets."""
        self.lengths.append((self.base + self.at, size))
        length = self.number(size)
        start = self.base + self.at
        data = self.take(length)
        if length < least:
            raise MalformedError
        return Form(data, start, 0, self.lengths)

    def each(self, size: int, least: int) -> Iterator[Form]:
        """Such vectors to the end."""
        while self.at < len(self.data):
            yield self.inner(size, least)

    def end(self) -> None:
        if self.at != len(self.data):
            raise MalformedError


def _extensions(form: Form, place: str) -> None:
    block = form.inner(2)
    while block.at < len(block.data):
        number = block.number(2)
        body = block.inner(2)
        _body(place, number, body)


def _body(place: str, number: int, form: Form) -> None:
    """One extension's body, where it is known in ``place``."""
    match place, number:
        case ("sh" | "hrr", 43) | ("sh", 41) | ("hrr", 51) | ("ee" | "old", 28):
            form.take(2)
        case ("sh", 51):
            form.take(2)
            form.inner(2, 1)
        case ("hrr", 44):
            form.inner(2, 1)
        case ("ee" | "old", 10) | ("cr", 13 | 50):
            if len(form.inner(2, 2).data) % 2:
                raise MalformedError
        case ("ee" | "old", 16):
            names = form.inner(2, 2)
            names.inner(1, 1)
            names.end()
        case ("cert", 5):
            if form.number(1) != 1:
                raise MalformedError
            form.inner(3, 1)
        case ("cert" | "old", 18):
            list(form.inner(2, 1).each(2, 1))
        case ("cr", 47):
            list(form.inner(2, 3).each(2, 1))
        case ("cr", 48):
            filters = form.inner(2)
            while filters.at < len(filters.data):
                filters.inner(1, 1)
                filters.inner(2)
        case ("cr", 27):
            if len(form.inner(1, 2).data) % 2:
                raise MalformedError
        case ("nst", 42):
            form.take(4)
        case ("old", 11):
            form.inner(1, 1)
        case ("old", 0xFF01):
            form.inner(1)
        case ("ee", 0 | 42) | ("old", 0 | 5 | 22 | 23 | 35) | ("cr", 5 | 18):
            pass
        case _:
            return
    form.end()


def read(label: str, body: bytes, new: bool, exchange: str = "") -> list[tuple[int, int]]:
    """Where the lengths are in a message of TLS 1.3 (``new``) or 1.2; MalformedError for what is not of its form."""
    form = Form(body)
    match label, new:
        case (("sh" | "hrr"), _):
            form.take(34)
            if len(form.inner(1).data) > 32:
                raise MalformedError
            form.take(3)
            _extensions(form, label if new else "old")
        case "ee", _:
            _extensions(form, "ee")
        case (("cr" | "late"), True):
            form.inner(1)
            _extensions(form, "cr")
        case "cr", False:
            form.inner(1, 1)
            if len(form.inner(2, 2).data) % 2:
                raise MalformedError
            list(form.inner(2).each(2, 1))
        case "cert", True:
            form.inner(1)
            entries = form.inner(3)
            while entries.at < len(entries.data):
                entries.inner(3, 1)
                _extensions(entries, "cert")
        case "cert", False:
            list(form.inner(3).each(3, 1))
        case "cc", _:
            form.take(5)
            form.inner(3, 1)
        case "cv", _:
            form.take(2)
            form.inner(2)
        case "nst", True:
            form.take(8)
            form.inner(1)
            form.inner(2, 1)
            _extensions(form, "nst")
        case "nst", False:
            form.take(4)
            form.inner(2)
        case "status", _:
            form.take(1)
            form.inner(3, 1)
        case "ske", _:
            if exchange == "ecdhe":
                form.take(3)
                form.inner(1, 1)
            else:
                for _ in "pgy":
                    form.inner(2, 1)
            form.take(2)
            form.inner(2)
        case "ku", _:
            form.take(1)
        case "fin", _:
            form.take(len(body))
    form.end()
    return form.lengths
