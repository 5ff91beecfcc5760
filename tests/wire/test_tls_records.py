"""Record headers and what the first octets of a stream look like."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synfin.errors import WireError
from synfin.wire.codec import Reader, Writer
from synfin.wire.tls import sslv2
from synfin.wire.tls.records import (
    Alert,
    RecordHeader,
    looks_like_client_hello,
    looks_like_record,
    looks_like_sslv2_hello,
    read_header,
    write_header,
)

HELLO = bytes.fromhex("160301 0200 01 0001fc 0303")
V2_HELLO = bytes.fromhex("802e 01 0002 0015 0000 0010") + bytes(37)


@given(st.binary(min_size=5, max_size=9))
def test_any_five_octets_are_a_header(data: bytes) -> None:
    header = read_header(data)
    assert header is not None
    assert write_header(header) == data[:5]


def test_fewer_are_none() -> None:
    assert [read_header(HELLO[:size]) for size in range(5)] == [None] * 5
    assert read_header(HELLO, 7) is None
    assert read_header(b"??" + HELLO, 2) == RecordHeader(22, 0x0301, 0x0200)


@given(st.binary(min_size=3, max_size=6))
def test_sslv2_headers_read_back(data: bytes) -> None:
    header = sslv2.read_header(data)
    assert header is not None
    assert sslv2.write_header(header) == data[: header.size]


def test_short_sslv2_headers_are_none() -> None:
    assert sslv2.read_header(b"\x80") is None
    assert sslv2.read_header(b"\x40\x01") is None
    assert sslv2.read_header(b"\x40\x01\x02") == (3, 1, 2, True)


@pytest.mark.parametrize(
    ("head", "looks"),
    [
        (HELLO, True),
        (bytes.fromhex("1703030013"), True),
        (bytes.fromhex("18030100ff"), True),
        (bytes.fromhex("157f120002"), True),
        (bytes.fromhex("1603044800"), True),
        (bytes.fromhex("1603044801"), False),
        (bytes.fromhex("1603050010"), False),
        (bytes.fromhex("1903030010"), False),
        (bytes.fromhex("1304030010"), False),
        (b"HTTP/1.1", False),
        (HELLO[:4], False),
    ],
)
def test_records(head: bytes, looks: bool) -> None:
    assert looks_like_record(head) is looks
    assert looks_like_record(memoryview(head)) is looks


@pytest.mark.parametrize(
    ("head", "looks"),
    [
        (HELLO, True),
        (HELLO[:6], True),
        (HELLO[:5], False),
        (HELLO[:5] + b"\x02" + HELLO[6:], False),
        (HELLO[:6] + b"\xff" + HELLO[7:], False),
        (HELLO[:9] + b"\x47", False),
        (bytes.fromhex("170301 0200 01 0001fc 0303"), False),
    ],
)
def test_client_hellos(head: bytes, looks: bool) -> None:
    assert looks_like_client_hello(head) is looks


@pytest.mark.parametrize(
    ("head", "looks"),
    [
        (V2_HELLO, True),
        (V2_HELLO[:11], True),
        (V2_HELLO[:10], False),
        (V2_HELLO.replace(b"\x01\x00\x02", b"\x01\x03\x01", 1), True),
        (V2_HELLO.replace(b"\x01\x00\x02", b"\x01\x04\x01", 1), False),
        (V2_HELLO.replace(b"\x00\x15", b"\x00\x16", 1), False),
        (V2_HELLO.replace(b"\x80\x2e", b"\x80\x2d", 1), False),
        (V2_HELLO.replace(b"\x80\x2e\x01", b"\x80\x2e\x04", 1), False),
        (b"\x00" + V2_HELLO[1:], False),
    ],
)
def test_sslv2_hellos(head: bytes, looks: bool) -> None:
    assert looks_like_sslv2_hello(head) is looks


@given(st.binary(max_size=12))
def test_looks_answer_for_all_octets(head: bytes) -> None:
    if looks_like_client_hello(head):
        assert looks_like_record(head)
    assert not (looks_like_sslv2_hello(head) and looks_like_record(head))


def test_alerts() -> None:
    alert = Alert.read(Reader(b"\x02\x28"))
    writer = Writer()
    alert.write(writer)
    assert (alert, writer.bytes()) == (Alert(2, 40), b"\x02\x28")
    with pytest.raises(WireError, match="description"):
        Alert.read(Reader(b"\x02"))
