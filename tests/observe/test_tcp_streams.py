"""Reassembly: any order of arrival gives the same bytes, and what is missing or disagrees is told."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.observe.flows import Flows
from synfin.observe.story_tcp import TcpStory
from synfin.observe.stream import ByteStream, Hole
from synfin.observe.tcpwatch import watch_tcp
from tests.support.packets import MASK, START, Packet, batch, make, tabulate

OPEN = """
    0.0 a > b SYN
    0.1 b > a SYN,ACK
    0.2 a > b ACK
"""


def watched(made: list[Packet] | str) -> tuple[TcpStory, tuple[ByteStream, ByteStream]]:
    flows = Flows()
    assert not list(flows.add(batch(made) if isinstance(made, str) else tabulate(made)))
    (flow,) = flows.finish()
    return watch_tcp(flow)


def segment(time: int, seq: int, payload: bytes, flags: int = 24) -> Packet:
    return make(
        time=START + time, src=("10.0.0.1", 1), dst=("10.0.0.2", 2), flags=flags, seq=seq & MASK, ack=1, payload=payload
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 30), st.binary(min_size=1, max_size=200), st.integers(0, MASK))
def test_any_order_of_any_cuts_gives_the_same_bytes(seed: int, data: bytes, isn: int) -> None:
    chance = random.Random(seed)
    cuts = sorted({0, len(data), *(chance.randrange(len(data)) for _ in range(5))})
    parts = list(pairwise(cuts))
    for _ in range(4):  # repeats that straddle
        begin = chance.randrange(len(data))
        parts.append((begin, min(len(data), begin + chance.randrange(1, 60))))
    chance.shuffle(parts)
    made = [segment(0, isn, b"", flags=2)]
    made += [segment(1000 * i, isn + 1 + a, data[a:b]) for i, (a, b) in enumerate(parts, 1)]
    story, (stream, other) = watched(made)
    assert stream.read(0, 1000) == data
    assert stream.holes == () and stream.overlaps == () and story.overlaps == ()
    assert story.sides[0].unique_payload == len(data)
    assert stream.end == len(data)
    reached = 0
    for piece in stream.pieces:  # ready when all before it was there
        reached = max(reached, piece.time)
        assert piece.ready == reached == stream.ready(piece.offset, 1)
        source = made[piece.packet - 1]
        assert piece.data in source.payload
    assert other.pieces == []


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 30), st.binary(min_size=20, max_size=120))
def test_the_first_copy_wins_as_a_naive_reassembly_says(seed: int, data: bytes) -> None:
    chance = random.Random(seed)
    made = [segment(0, 99, b"", flags=2)]
    octets: dict[int, int] = {}
    for i in range(8):
        begin = chance.randrange(len(data))
        part = bytearray(data[begin : begin + chance.randrange(1, 40)])
        if chance.random() < 0.3:
            part[-1] ^= 1
        made.append(segment(1000 * (i + 1), 100 + begin, bytes(part)))
        for k, octet in enumerate(part):
            octets.setdefault(begin + k, octet)
    story, (stream, _) = watched(made)
    got = {piece.offset + k: octet for piece in stream.pieces for k, octet in enumerate(piece.data)}
    assert got == octets
    missing = set(range(max(octets) + 1)) - set(octets)
    assert {k for hole in stream.holes for k in range(hole.offset, hole.offset + hole.length)} == missing
    same = ByteStream(stream.pieces, stream.holes)
    for offset in range(max(octets) + 2):
        assert stream.read(offset, 30) == same.read(offset, 30)
        assert stream.packets(offset, 30) == same.packets(offset, 30)
    for overlap in story.overlaps:
        first, second = (made[number - 1] for number in (overlap.first_packet, overlap.second_packet))
        one, two = (
            p.payload[overlap.offset + 100 - p.seq : overlap.offset + 100 - p.seq + overlap.length]
            for p in (first, second)
        )
        assert overlap.first_packet < overlap.second_packet and one != two


def test_copies_that_disagree_are_told() -> None:
    story, (stream, _) = watched(OPEN + '1 a > b ACK data="abcdef"\n2 a > b ACK data="cDEf" seq=1003')
    assert stream.read(0, 9) == b"abcdef"
    assert [(o.offset, o.length, o.first_packet, o.second_packet) for o in story.overlaps] == [(2, 4, 4, 5)]


def test_holes_know_whether_they_were_acknowledged() -> None:
    _, (stream, _) = watched(OPEN + "1 a > b ACK len=10\n2 a > b ACK len=10 seq=+5\n3 b > a ACK ack=1011")
    assert stream.holes == (Hole(10, 5, False),)
    _, (stream, _) = watched(OPEN + "1 a > b ACK len=10\n2 a > b ACK len=10 seq=+5\n3 b > a ACK")
    assert stream.holes == (Hole(10, 5, True),)
    assert stream.read(0, 99) == b"x" * 10 and stream.read(15, 99) == b"x" * 10
    _, (stream, _) = watched(OPEN + "1 a > b ACK len=10\n3 b > a ACK ack=1500")
    assert stream.holes == (Hole(10, 489, True),)


def test_data_that_was_acknowledged_but_never_seen_is_one_hole() -> None:
    _, (stream, other) = watched(OPEN + "1 b > a ACK ack=1501")
    assert stream.holes == (Hole(0, 500, True),) and stream.pieces == [] and other.holes == ()


def test_what_the_snap_length_cut_is_a_hole_until_a_repeat_fills_it() -> None:
    text = OPEN + '1 a > b ACK data="abcdefgh" cut=58\n1.1 a > b ACK data="ijkl"\n1.2 b > a ACK'
    _, (stream, _) = watched(text)
    assert stream.read(0, 99) == b"abcd" and stream.holes == (Hole(4, 4, True),)
    _, (stream, _) = watched(text + '\n2 a > b ACK data="abcdefgh" seq=1001')
    assert stream.read(0, 99) == b"abcdefghijkl" and stream.holes == () and stream.packets(0, 12) == (4, 7, 5)


@pytest.mark.parametrize("what", ["ACK hex=00 seq=-1", 'RST data="why"', "PSH,ACK len=9 seq=2000000000"])
def test_what_is_not_the_stream_stays_out(what: str) -> None:
    _, (stream, _) = watched(OPEN + f'1 a > b ACK data="abc"\n5 a > b {what}')
    assert stream.read(0, 99) == b"abc" and stream.overlaps == ()


def test_octets_after_the_fin_stay_out() -> None:
    _, (stream, _) = watched(OPEN + '1 a > b FIN,ACK data="abc"\n2 a > b ACK data="more" seq=1004')
    assert stream.read(0, 99) == b"abc" and stream.holes == ()


def test_a_start_in_the_middle_counts_from_the_first_octet_seen() -> None:
    _, (stream, _) = watched('0 a > b ACK data="def" seq=4294967294 ack=1\n1 a > b ACK data="abc" seq=4294967291 ack=1')
    assert stream.read(0, 99) == b"abcdef"


def test_transfers_beyond_4_gib_keep_their_place() -> None:
    made = [segment(0, 0, b"", flags=2)]
    step = 1 << 29
    for i in range(1, 20):
        made.append(segment(i, 1 + i * step, b"%03d" % i))
    _, (stream, _) = watched(made)
    assert [(piece.offset, piece.data) for piece in stream.pieces] == [(i * step, b"%03d" % i) for i in range(1, 20)]
    assert len(stream.holes) == 19


def test_many_small_pieces_backwards_are_not_slow() -> None:
    made = [segment(0, 0, b"", flags=2)]
    made += [segment(i, 1 + 2 * (20000 - i), b"ab") for i in range(20000)]
    _, (stream, _) = watched(made)
    assert len(stream.pieces) == 20000 and len(stream.read(2, 50000)) == 40000
