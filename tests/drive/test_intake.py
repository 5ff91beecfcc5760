"""Merging at the device: what comes out says the same as what went in, in order, with nothing added or lost.

A pair of datagram sockets stands for the device: one write, one read.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.drive import vnet
from synfin.drive.own_intake import BATCH, PIECES, Intake, Taken
from synfin.spec.tcp_segments import MASK
from synfin.tcp import Packet
from synfin.wire.tcpflags import ACK, FIN, PSH

A4, B4 = b"\xc0\0\2\1", b"\xc0\0\2\2"
A6, B6 = b"\xfd" + bytes(14) + b"\1", b"\xfd" + bytes(14) + b"\2"
LONG = 20_000


def stamps(value: int, echo: int = 7) -> bytes:
    return b"\1\1\10\12" + value.to_bytes(4, "big") + echo.to_bytes(4, "big")


def segment(seq: int, size: int = LONG, *, six: bool = False, ack: int = 50, flags: int = ACK, stamp: int | None = 100,
            window: int = 500, port: int = 4000, ecn: int = 0) -> Packet:  # fmt: skip
    src, dst = (A6, B6) if six else (A4, B4)
    options = b"" if stamp is None else stamps(stamp)
    payload = (seq & MASK).to_bytes(4, "big") * (size // 4)
    return Packet(src, dst, port, 80, seq & MASK, ack, flags, window, options, payload, 0, ecn)


@contextmanager
def device() -> Iterator[tuple[socket.socket, Intake]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        ours.setblocking(False)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        yield theirs, Intake(ours.fileno())


def through(packets: list[Packet | bytes]) -> list[Taken]:
    """What comes of packets, as many at a time as a local socket holds."""
    found: list[Taken] = []
    with device() as (theirs, intake):
        for at in range(0, len(packets), 8):
            for packet in packets[at : at + 8]:
                theirs.send(packet if isinstance(packet, bytes) else vnet.head(packet) + bytes(packet.payload))
            more = True
            while more:
                some, more = intake.take()
                found += some
        assert intake.packets == len(packets)
    return found


def texts(found: list[Taken]) -> list[tuple[int, int]]:
    """(number, octets) of each packet."""
    return [(one.seq, len(one.payload)) for one in found if isinstance(one, Packet)]


@pytest.mark.parametrize("six", [False, True])
@pytest.mark.parametrize("stamp", [None, 100])
def test_segments_that_continue_each_other_become_one(six: bool, stamp: int | None) -> None:
    start = MASK - LONG - 5  # across the end of the circle
    first = segment(start - 7, six=six, stamp=stamp)  # tells how long headers are here
    whole = [segment(start + LONG * n, six=six, stamp=stamp, flags=ACK | (n % 2 and PSH)) for n in range(5)]
    _, one = through([first, *whole])
    assert isinstance(one, Packet)
    assert bytes(one.payload) == b"".join(bytes(p.payload) for p in whole)
    assert one._replace(payload=b"", flags=ACK) == whole[0]._replace(payload=b"", flags=ACK)


@pytest.mark.parametrize(
    "other",
    [
        segment(LONG, ack=51),
        segment(LONG, window=501),
        segment(LONG, stamp=99),
        segment(LONG, stamp=None),
        segment(LONG, port=4001),
        segment(LONG, ecn=3),
        segment(LONG, flags=ACK | FIN),
        segment(LONG, six=True),
        segment(LONG + 1),
        segment(LONG - 1),
        segment(LONG, 100),
    ],
    ids=["ack", "window", "older", "no stamp", "port", "congestion", "fin", "six", "hole", "overlap", "short"],
)
def test_segments_that_say_something_else_stay_apart(other: Packet) -> None:
    assert texts(through([segment(0), other])) == [(0, LONG), (other.seq, len(other.payload))]


def test_a_later_timestamp_is_no_hindrance_and_the_first_one_counts() -> None:
    (one,) = through([segment(0), segment(LONG, stamp=101)])
    assert isinstance(one, Packet)
    assert len(one.payload) == 2 * LONG and one.options == stamps(100)


def test_as_many_as_are_acknowledged_together() -> None:
    with device() as (theirs, intake):
        for n in range(PIECES + 1):
            packet = segment(LONG * n)
            theirs.send(vnet.head(packet) + bytes(packet.payload))
        assert texts(intake.take()[0]) == [(0, PIECES * LONG)]
        assert texts(intake.take()[0]) == [(PIECES * LONG, LONG)]
        assert intake.take() == ([], False)


def test_the_last_of_empty_acknowledgments_stands_for_all_but_duplicates_are_kept() -> None:
    acks = [segment(0, 0, ack=ack) for ack in (10, 20, 30, 30, 30, 40)]
    assert [one.ack for one in through([*acks]) if isinstance(one, Packet)] == [30, 30, 40]
    sacked = segment(0, 0, ack=10)._replace(options=stamps(1) + b"\1\1\5\12" + bytes(8))
    assert len(through([sacked, segment(0, 0, ack=20)])) == 2
    assert len(through([segment(0, 0, ack=20), segment(0, 0, ack=10)])) == 2
    assert len(through([segment(0, 0, ack=20), segment(0, 0, ack=30, port=4001)])) == 2
    assert len(through([segment(0, 0, ack=20), segment(0, 0, ack=30, flags=ACK | FIN)])) == 2
    assert BATCH > PIECES


def test_what_is_no_tcp_comes_as_octets() -> None:
    wrong = b"\0" * vnet.VNET_SIZE + segment(0, 40).write()[:-1] + b"!"
    cut = b"\1" * vnet.VNET_SIZE + segment(0).write()[:-1]
    assert through([wrong, segment(0), cut, segment(LONG)])[::2] == [wrong, cut]


CHANGES = st.lists(st.tuples(st.integers(0, 90), st.integers(0, 255)))


@given(st.lists(st.tuples(st.sampled_from([9, 10, 30, 62, 20_000, 20_062]), CHANGES), max_size=6))
@settings(max_examples=100, deadline=None)
def test_any_octets_come_through(plan: list[tuple[int, list[tuple[int, int]]]]) -> None:
    many: list[Packet | bytes] = []
    for number, (size, changes) in enumerate(plan):
        packet = segment(number * LONG)
        data = bytearray(vnet.head(packet) + bytes(packet.payload))[:size]
        for at, value in changes:
            if at < len(data):
                data[at] = value
        many.append(bytes(data))
    assert len(through(many)) <= len(many)


STREAM = st.lists(
    st.tuples(
        st.sampled_from([LONG, LONG, LONG, 17_000, 400, 0]),
        st.sampled_from([0, 0, 0, 0, 4, -4]),  # a hole or an overlap before it
        st.sampled_from([100, 100, 100, 101, 99, None]),
        st.sampled_from([50, 50, 50, 54]),
        st.booleans(),
        st.sampled_from([ACK, ACK, ACK | PSH, ACK | FIN]),
    ),
    max_size=24,
)


@given(STREAM)
@settings(max_examples=60, deadline=None)
def test_the_octets_and_numbers_are_those_that_were_sent(
    plan: list[tuple[int, int, int | None, int, bool, int]],
) -> None:
    numbers = {False: 1 << 31, True: MASK - 50_000}
    sent: list[Packet] = []
    for size, skip, stamp, ack, six, flags in plan:
        numbers[six] += skip
        sent.append(segment(numbers[six], size, six=six, stamp=stamp, ack=ack, flags=flags))
        numbers[six] += size
    found = through([*sent])
    for src in (A4, A6):
        left = [p for p in sent if p.src == src]
        for one in found:
            assert isinstance(one, Packet)
            if one.src == src:
                left = left[spoken_for(one, left) :]
        assert not left


def spoken_for(one: Packet, left: list[Packet]) -> int:
    """How many of the packets sent, the oldest first, ``one`` stands for."""
    if not one.payload:
        count = next(n for n, p in enumerate(left, 1) if p == one._replace(payload=b""))
        assert all(not p.payload and p.flags == ACK for p in left[: count - 1])
        return count
    count = size = 0
    while size < len(one.payload):
        p = left[count]
        assert (p.seq, p.ack, p.flags | PSH) == (one.seq + size & MASK, one.ack, one.flags | PSH)
        assert bytes(one.payload[size : size + len(p.payload)]) == p.payload
        size += len(p.payload)
        count += 1
    return count
