"""Headers are written as they were read, bit by bit, and their checksums are right."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synfin.errors import WireError
from synfin.wire.checksum import checksum, pseudo_header, transport_checksum
from synfin.wire.codec import Reader
from synfin.wire.ethernet import Frame
from synfin.wire.icmp import Message
from synfin.wire.ip import IPv4, IPv6
from synfin.wire.tcp import Option, Segment, options, write_options
from synfin.wire.udp import Datagram
from tests.wire.net_made import A4, A6, B4, B6

READERS: dict[str, Callable[[Reader], Segment | Datagram | Message | IPv4 | IPv6 | Frame]] = {
    "Segment": Segment.read,
    "Datagram": Datagram.read,
    "Message": Message.read,
    "IPv4": IPv4.read,
    "IPv6": IPv6.read,
    "Frame": Frame.read,
}
#: Header octets that random ones are put behind, so that some of them are believed.
LEADS = {"Segment": bytes(12) + b"\x60", "IPv4": b"\x46", "IPv6": b"\x60", "Frame": bytes(12) + b"\x81\x00"}


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
def test_what_was_read_is_written(name: str, data: st.DataObject) -> None:
    octets = data.draw(st.one_of(st.binary(max_size=80), st.binary(max_size=80).map(LEADS.get(name, b"").__add__)))
    r = Reader(octets, name)
    try:
        found = READERS[name](r)
    except WireError:
        return
    assert found.write() == octets[: r.pos]


@pytest.mark.parametrize("name", READERS)
def test_every_truncation_of_a_header_fails_cleanly(name: str) -> None:
    whole = {
        "Segment": Segment(1, 2, 3, 4, 5, 6, options=b"\1" * 8).write(),
        "Datagram": Datagram(1, 2, b"").write(),
        "Message": Message(8, 0, b"").write(),
        "IPv4": IPv4(A4, B4, 6, 28, options=b"\1" * 8).write(),
        "IPv6": IPv6(A6, B6, 6, 0).write(),
        "Frame": Frame(b"1" * 6, b"2" * 6, 0x800, b"", ((0x8100, 1),)).write(),
    }[name]
    READERS[name](Reader(whole))
    for size in range(len(whole)):
        with pytest.raises(WireError):
            READERS[name](Reader(whole[:size]))


@given(st.binary(max_size=40))
def test_options_come_back(raw: bytes) -> None:
    assert write_options(options(raw)) == raw


def test_options_are_taken_apart() -> None:
    raw = bytes.fromhex("020405b4 01 030307 0000")
    assert options(raw) == [Option(2, b"\5\xb4"), Option(1), Option(3, b"\7"), Option(0), Option(-1, b"\0")]
    assert options(b"\x05\x01zz") == [Option(-1, b"\x05\x01zz")]
    assert options(b"\x08") == [Option(-1, b"\x08")]


@given(st.binary(min_size=1, max_size=200))
def test_the_checksum_is_the_sum_of_words_with_carry(data: bytes) -> None:
    padded = data + b"\0" if len(data) % 2 else data
    total = 0
    for at in range(0, len(padded), 2):
        total += int.from_bytes(padded[at : at + 2], "big")
        total = (total & 0xFFFF) + (total >> 16)
    assert checksum(data) == total ^ 0xFFFF


def test_checksums_of_known_packets() -> None:
    # RFC 1071 section 3: the sum of 00 01 f2 03 f4 f5 f6 f7 is ddf2.
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xDDF2 ^ 0xFFFF
    head = IPv4(A4, B4, 6, 40).sealed().write()
    assert checksum(head) == 0


@pytest.mark.parametrize(("src", "dst"), [(A4, B4), (A6, B6)])
@given(payload=st.binary(max_size=60))
def test_sealed_transports_sum_to_nothing(src: bytes, dst: bytes, payload: bytes) -> None:
    for proto, data in (
        (6, Segment(1, 2, 3, 4, 2, 9, options=b"\2\4\5\xb4", payload=payload).sealed(src, dst).write()),
        (17, Datagram(1, 2, payload).sealed(src, dst).write()),
    ):
        assert transport_checksum(pseudo_header(src, dst, proto, len(data)), data) == 0


def test_wrong_headers_can_be_written() -> None:
    assert Segment(1, 2, 3, 4, 2, 9, data_offset=15).write()[12] == 0xF0
    assert Datagram(1, 2, b"xyz", length=4).write()[4:6] == b"\0\4"
    with pytest.raises(ValueError, match="does not fit"):
        Segment(70000, 2, 3, 4, 2, 9).write()
