"""Fragments become datagrams, in whatever order they come, in bounded memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.capture.fragments import Reassembly
from synfin.capture.table import Kind, load
from synfin.wire.ip import IPv4, IPv6
from synfin.wire.layer import Fragment
from synfin.wire.tcp import Segment
from tests.capture.made import pcap, read
from tests.wire.net_made import A4, A6, B4, B6, eth

LOAD = bytes(range(256)) * 5
SEGMENT = Segment(40001, 443, 1, 2, 0x18, 9, options=b"\1" * 4, payload=LOAD).write()


def pieces4(size: int, ident: int = 9) -> list[bytes]:
    out = []
    for at in range(0, len(SEGMENT), size):
        more = 0x2000 if at + size < len(SEGMENT) else 0
        part = SEGMENT[at : at + size]
        head = IPv4(A4, B4, 6, 20 + len(part), ident=ident, flags_offset=more | at // 8).sealed().write()
        out.append(eth(0x800, head + part))
    return out


def pieces6(size: int) -> list[bytes]:
    out = []
    for at in range(0, len(SEGMENT), size):
        word = at | (at + size < len(SEGMENT))
        part = b"\6\0" + word.to_bytes(2, "big") + b"\0\0\0\7" + SEGMENT[at : at + size]
        out.append(eth(0x86DD, IPv6(A6, B6, 44, len(part)).write() + part))
    return out


@pytest.mark.parametrize("pieces", [pieces4, pieces6])
@pytest.mark.parametrize("turn", [0, 1, -1])
def test_the_last_piece_to_come_carries_the_datagram(tmp_path: Path, pieces: object, turn: int) -> None:
    assert callable(pieces)
    frames = pieces(400)
    frames = frames[turn:] + frames[:turn] if turn >= 0 else frames[::-1]
    told = read(tmp_path / "f", pcap(*frames), batch=2)
    assert told.rows["kind"].tolist() == [Kind.OTHER] * 3 + [Kind.TCP]
    last = told.rows[-1]
    assert (last["sport"], last["load_len"], last["load_cap"], last["wirelen"]) == (40001, 1280, 1280, len(frames[-1]))
    batch = told.batches[-1]
    assert batch.payload(-1) == LOAD
    assert load(batch.data, batch.extra, int(last["opt_at"]), int(last["opt_len"])) == b"\1" * 4
    assert not told.notes.unread  # every fragment was read in the end
    assert batch.problems[told.rows["problem"][0]] == "IP fragment"


def test_datagrams_do_not_mix(tmp_path: Path) -> None:
    first, second = pieces4(656, 1), pieces4(656, 2)
    mixed = [first[0], second[0], second[1], first[1]]
    assert read(tmp_path / "f", pcap(*mixed)).rows["kind"].tolist() == [0, 0, 1, 1]


def test_a_first_piece_that_was_cut_still_shows_its_header(tmp_path: Path) -> None:
    frame = pieces4(648)[0]
    data = pcap(frame)
    told = read(tmp_path / "f", data[:32] + (60).to_bytes(4, "little") + len(frame).to_bytes(4, "little") + frame[:60])
    assert told.rows["kind"].tolist() == [Kind.TCP]


def piece(offset: int, octets: bytes, more: bool, key: int = 1) -> tuple[Fragment, bytes]:
    return Fragment((key,), offset, more, 0, len(octets), 6, True), octets


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 19), st.integers(1, 12)), max_size=12))
def test_overlaps_keep_what_came_first(ranges: list[tuple[int, int]]) -> None:
    """Equal to a naive map from offset to octet, whatever the ranges."""
    reassembly = Reassembly()
    naive: dict[int, int] = {}
    parts = [piece(at * 8, bytes([i + 1]) * (size * 8), True) for i, (at, size) in enumerate(ranges)]
    parts.append(piece(200 * 8, b"\xee" * 8, True))
    whole = None
    for fragment, octets in parts:
        assert reassembly.add(fragment, octets) is None
        for i, octet in enumerate(octets):
            naive.setdefault(fragment.offset + i, octet)
    for at in range(0, 201 * 8, 8):
        last = at == 200 * 8
        whole = reassembly.add(*piece(at, b"\xff" * 8, not last))
        for i in range(8):
            naive.setdefault(at + i, 0xFF)
        assert (whole is None) == (not last)
    assert whole == (6, bytes(naive[i] for i in range(201 * 8)))


def test_memory_is_bounded() -> None:
    reassembly = Reassembly()
    for key in range(10_000):
        assert reassembly.add(*piece(0, bytes(1400), True, key)) is None
    assert reassembly.waiting <= 4096
    assert reassembly.add(*piece(1400, bytes(8), False, 9_999)) == (6, bytes(1408))
    assert reassembly.add(*piece(1400, bytes(8), False, 0)) is None, "the oldest were forgotten"
    assert reassembly.add(*piece(65_528, bytes(16), False, 5)) is None, "longer than a datagram can be"
