"""Fragments are joined within bounds, extension headers passed over, and a user timeout travels in an option."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.errors import WireError
from synfin.tcp import Host, Icmp, Packet, Socket, parse
from synfin.tcp.config import MINUTE, SECOND
from synfin.tcp.fragments import MOST, PIECES, Fragments
from synfin.wire.checksum import checksum
from tests.tcp.dialogue import HERE, PLAIN, THERE, Dialogue

SIX, OTHER = bytes(15) + b"\1", bytes(15) + b"\2"


def fragment4(data: bytes, start: int, end: int, ident: int = 7) -> bytes:
    """Octets [start, end) of an IPv4 packet's payload as a fragment."""
    body = data[20:]
    more = end < len(body)
    head = bytearray(data[:20])
    piece = body[start:end]
    head[2:4] = (20 + len(piece)).to_bytes(2, "big")
    head[4:6] = ident.to_bytes(2, "big")
    head[6:8] = (start >> 3 | (0x2000 if more else 0)).to_bytes(2, "big")
    head[10:12] = b"\0\0"
    head[10:12] = checksum(bytes(head)).to_bytes(2, "big")
    return bytes(head) + piece


def fragment6(data: bytes, start: int, end: int, ident: int = 7) -> bytes:
    """The same for IPv6, with a hop-by-hop header before the fragment header."""
    body = data[40:]
    more = end < len(body)
    piece = body[start:end]
    hop = bytes((44, 0, 1, 4, 0, 0, 0, 0))
    shell = bytes((6, 0)) + (start | more).to_bytes(2, "big") + ident.to_bytes(4, "big")
    return data[:4] + (len(piece) + 16).to_bytes(2, "big") + bytes((0,)) + data[7:40] + hop + shell + piece


@settings(max_examples=60)
@given(st.booleans(), st.lists(st.integers(1, 30), max_size=6), st.randoms(use_true_random=False))
def test_pieces_in_any_order_make_the_packet(six: bool, cuts: list[int], random: object) -> None:
    src, dst = (SIX, OTHER) if six else (THERE, HERE)
    packet = Packet(src, dst, 1, 80, 5, 6, 24, 7, b"", bytes(range(250)), df=six)
    data = packet.write(3)
    size = len(data) - (40 if six else 20)
    edges = sorted({0, size, *(cut * 8 for cut in cuts if cut * 8 < size)})
    make = fragment6 if six else fragment4
    pieces = [make(data, *pair) for pair in pairwise(edges)]
    random.shuffle(pieces)  # type: ignore[attr-defined]
    fragments = Fragments()
    whole = [found for piece in pieces if (found := fragments.take(piece, 0)) is not None]
    assert len(whole) == 1
    read = Packet.read(whole[0])
    assert read._replace(payload=bytes(read.payload)) == packet
    assert len(fragments) == 0


def test_a_host_takes_them() -> None:
    d = Dialogue().established()
    data = d.packet("ACK", 1, 1, payload=b"in two pieces, out of order").write()
    d.host.receive(fragment4(data, 24, len(data) - 20), d.now)
    assert d.said() == []
    d.host.receive(fragment4(data, 0, 24), d.now)
    assert d.said() == ["ACK 1 28"]


def test_overlaps_are_thrown_away_and_repeats_passed_over() -> None:
    data = Packet(THERE, HERE, 1, 80, 5, 6, 24, 7, b"", bytes(100), df=False).write()
    fragments = Fragments()
    assert fragments.take(fragment4(data, 0, 48), 0) is None
    assert fragments.take(fragment4(data, 0, 48), 0) is None
    assert fragments.take(fragment4(data, 40, 120), 0) is None
    assert (len(fragments), fragments.refused) == (0, 1)


def test_what_waits_is_bounded() -> None:
    data = Packet(THERE, HERE, 1, 80, 5, 6, 24, 7, b"", bytes(4000), df=False).write()
    fragments = Fragments()
    for ident in range(1000):
        fragments.take(fragment4(data, 8, 16, ident), ident)
    assert len(fragments) == MOST
    for start in range(0, 8 * 100, 8):
        fragments.take(fragment4(data, 16 + start, 24 + start, 999), 1000)
    assert fragments.refused >= 1000 - MOST
    assert all(len(known.pieces) <= PIECES for known in fragments._waiting.values())
    fragments.take(fragment4(data, 8, 16, 5000), 40 * SECOND)
    assert len(fragments) == 1


@settings(max_examples=200)
@given(st.binary(max_size=100), st.sampled_from([0x45, 0x60]))
def test_any_octets_do_no_harm(data: bytes, first: int) -> None:
    Fragments().take(bytes((first,)) + data, 0)
    Host([HERE, SIX], b"0123456789abcdef").receive(bytes((first,)) + data, 0)


@pytest.mark.parametrize("kinds", [(0,), (60,), (43,), (44,), (0, 60, 43, 60, 44)])
def test_extension_headers_are_passed_over(kinds: tuple[int, ...]) -> None:
    packet = Packet(SIX, OTHER, 1, 80, 5, 6, 24, 7, b"", b"text")
    data = packet.write()
    chain = b"".join(bytes((following, 0)) + bytes(6) for following in (*kinds[1:], 6))
    long = data[:4] + (len(data) - 40 + len(chain)).to_bytes(2, "big") + bytes((kinds[0],)) + data[7:40]
    read = parse(long + chain + data[40:])
    assert isinstance(read, Packet)
    assert bytes(read.payload) == b"text"
    for size in range(40, 40 + len(chain)):
        with pytest.raises(WireError):
            parse((long + chain + data[40:])[:size])


def test_icmp_behind_an_extension_header() -> None:
    message = Icmp.about(Packet(SIX, OTHER, 1, 2, 3, 4, 16, 5), OTHER, 2, 0, 1280)
    data = message.write()
    long = data[:4] + (len(data) - 40 + 8).to_bytes(2, "big") + bytes((60,)) + data[7:40]
    assert parse(long + bytes((58, 0)) + bytes(6) + data[40:]) == message


def test_a_route_that_goes_on_is_not_for_us() -> None:
    data = Packet(SIX, OTHER, 1, 80, 5, 6, 24, 7).write()
    long = data[:4] + (len(data) - 40 + 8).to_bytes(2, "big") + bytes((43,)) + data[7:40]
    with pytest.raises(WireError, match="segments_left"):
        parse(long + bytes((6, 0, 0, 1, 0, 0, 0, 0)) + data[40:])


# ---------------------------------------------------------------- RFC 5482

TIMED = replace(PLAIN, timeout_option=True, user_timeout=200 * SECOND)


def uto(word: int) -> bytes:
    return bytes((28, 4)) + word.to_bytes(2, "big")


def test_the_timeout_is_told_in_the_syn_and_once_behind_it() -> None:
    d = Dialogue(TIMED).connect()
    (syn,) = d.packets
    assert syn.options.endswith(uto(200))
    d.hear("SYN,ACK", 0, 1)
    assert d.packets[0].options == uto(200)
    d.send(b"x")
    assert d.packets[0].options == b""


@pytest.mark.parametrize(
    ("word", "seconds"),
    [(0, 200), (30, 200), (300, 300), (0x8000 | 10, 600), (0x8000 | 600, 3600), (0x7FFF, 3600)],
)
def test_the_longer_one_counts_within_limits(word: int, seconds: int) -> None:
    d = Dialogue(TIMED).established(active=False, options=uto(word))
    assert d.connection is not None
    assert d.connection.user_timeout == seconds * SECOND


def test_who_did_not_ask_for_it_is_not_changed_and_the_users_word_counts() -> None:
    d = Dialogue(PLAIN).established(active=False, options=uto(900))
    assert d.connection is not None
    assert d.connection.user_timeout == 5 * MINUTE
    assert not any(28 in packet.options for packet in d.packets)
    d = Dialogue(TIMED).established()
    assert d.connection is not None
    socket = Socket(d.host)
    socket.config, socket.connection = d.connection.config, d.connection
    socket.set(user_timeout=20 * SECOND)
    d.send(b"x")
    assert d.packets[0].options == uto(20)
    d.hear("ACK", 1, 2, options=uto(900))
    assert d.connection.user_timeout == 20 * SECOND
