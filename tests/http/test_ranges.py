"""Ranges of RFC 9110 14, and bodies of several parts as a reader of MIME takes them apart."""

from __future__ import annotations

from email.parser import BytesParser
from email.policy import HTTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synfin.http.app import Request, Validators
from synfin.http.ranges import MOST, Multipart, Part, wanted_ranges

NOW = Validators('"tag"', 1_700_000_000)  # Tue, 14 Nov 2023 22:13:20 GMT
THEN, THAT = "Tue, 14 Nov 2023 22:13:19 GMT", "Tue, 14 Nov 2023 22:13:20 GMT"


class Octets:
    """A body in memory that counts who closes it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.closed = 0

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self, at: int, count: int) -> bytes:
        return self.data[at : at + count]

    def close(self) -> None:
        self.closed += 1


def asked(field: str, if_range: str = "", method: str = "GET") -> Request:
    fields = [("range", field), *([("if-range", if_range)] if if_range else [])]
    return Request(method, "/", "/", "", "1.1", tuple(fields))


@pytest.mark.parametrize(
    ("field", "parts"),
    [
        ("bytes=0-9", ((0, 10),)),
        ("bytes=90-", ((90, 100),)),
        ("bytes=90-999", ((90, 100),)),
        ("bytes=-10", ((90, 100),)),
        ("bytes=-999", ((0, 100),)),
        ("Bytes = 1-1", ((1, 2),)),
        ("bytes=0-1,5-6", ((0, 2), (5, 7))),
        ("bytes=5-6 ,\t0-1,, -1,", ((5, 7), (0, 2), (99, 100))),
        ("bytes=0-9,5-14", ((0, 10), (5, 15))),
        ("bytes=0-1,100-,-0", ((0, 2),)),
        ("bytes=0-" + "9" * 30, ((0, 100),)),
        ("bytes=100-", ()),
        ("bytes=-0", ()),
        ("bytes=100-,200-", ()),
        ("bytes=" + "9" * 30 + "-", ()),
        ("bytes=0-99,0-0", None),
        ("bytes=0-49,25-74,50-99", None),
        ("bytes=" + ",".join(f"{n}-{n}" for n in range(MOST)), tuple((n, n + 1) for n in range(MOST))),
        ("bytes=" + ",".join(f"{n}-{n}" for n in range(MOST + 1)), None),
        ("bytes=" + ",".join(["100-"] * (MOST + 1)), None),
        ("bytes=9-1", None),
        ("bytes=0-1,9-1", None),
        ("bytes=0-1,a", None),
        ("bytes=a-b", None),
        ("bytes=1 -2", None),
        ("bytes=\u0661-", None),
        ("bytes=-", None),
        ("bytes=", None),
        ("bytes=,", None),
        ("bytes", None),
        ("bytes=" + "9" * 5000 + "-", None),
        ("lines=0-1", None),
        ("", None),
    ],
    ids=lambda value: value[:20] or "empty" if isinstance(value, str) else "",
)
def test_which_parts(field: str, parts: tuple[Part, ...] | None) -> None:
    assert wanted_ranges(asked(field), NOW, 100) == parts


@pytest.mark.parametrize(
    ("validator", "holds"),
    [('"tag"', True), (THAT, True), ('"old"', False), ('W/"tag"', False), (THEN, False), ("yesterday", False)],
)
def test_if_range_asks_for_the_whole_when_it_changed(validator: str, holds: bool) -> None:
    assert wanted_ranges(asked("bytes=0-1", validator), NOW, 100) == (((0, 2),) if holds else None)
    assert wanted_ranges(asked("bytes=100-", validator), NOW, 100) == (() if holds else None)


def test_no_ranges_for_other_methods_nor_of_nothing() -> None:
    assert wanted_ranges(asked("bytes=0-1", method="HEAD"), NOW, 100) is None
    assert wanted_ranges(asked("bytes=0-1"), NOW, 0) == ()
    assert wanted_ranges(asked("bytes=-1"), NOW, 0) is None


parts_of_300 = st.lists(st.tuples(st.integers(0, 299), st.integers(1, 300)), min_size=2, max_size=6).map(
    lambda found: [(first, min(300, first + size)) for first, size in found]
)


@given(parts_of_300, st.integers(1, 700), st.binary(min_size=300, max_size=300))
def test_a_reader_of_mime_finds_the_parts(parts: list[Part], step: int, data: bytes) -> None:
    whole = Octets(data)
    body = Multipart(whole, parts, "text/x-any", "bound-1234567890")
    raw = b"".join(body.read(at, step) for at in range(0, body.size, step))
    assert len(raw) == body.size and raw == body.read(0, body.size + 9) and body.read(body.size, 1) == b""
    if b"bound-1234567890" in data:
        return
    assert raw.count(b"--bound-1234567890") == len(parts) + 1
    places = []
    for part in raw.split(b"--bound-1234567890")[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").removesuffix(b"\r\n").partition(b"\r\n\r\n")
        fields = BytesParser(policy=HTTP).parsebytes(head + b"\r\n\r\n", headersonly=True)
        assert fields["content-type"] == "text/x-any"
        unit, _, said = fields["content-range"].partition(" ")
        place, _, size = said.partition("/")
        first, last = map(int, place.split("-"))
        assert (unit, size) == ("bytes", "300") and content == data[first : last + 1]
        places.append((first, last + 1))
    assert places == parts
    body.close()
    assert whole.closed == 1


def test_a_whole_that_became_shorter_ends_the_parts_early() -> None:
    whole = Octets(bytes(100))
    body = Multipart(whole, [(0, 10), (90, 100)], "text/plain", "x")
    whole.data = bytes(95)
    raw = body.read(0, body.size)
    assert len(raw) < body.size and raw.endswith(b"/100\r\n\r\n" + bytes(5)) and body.read(len(raw), 9) == b""
