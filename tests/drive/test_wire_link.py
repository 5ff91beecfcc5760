"""The link of ``synfin wire``: fates, times and forged packets, without a device."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synfin.drive.wire_link import Aimed, Link, tcp_facts, too_big
from synfin.sim import Conditions
from synfin.tcp import Icmp, Packet
from synfin.wire.tcpflags import ACK, RST, SYN

MS = 1_000_000
FREE = Conditions(delay=0)
PAIRS = {4: (bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])), 6: (bytes(15) + b"\1", bytes(15) + b"\2")}


def segment(upward: bool, seq: int, payload: bytes = b"", flags: int = ACK, version: int = 4, ack: int = 9) -> bytes:
    client, server = PAIRS[version]
    ends = (client, server, 4000, 80) if upward else (server, client, 80, 4000)
    return Packet(*ends, seq, ack, flags, 500, b"", payload).write()


def everything(link: Link) -> list[tuple[int, bool, bytes]]:
    return [(arrival.time, arrival.upward, arrival.data) for arrival in link.due(1 << 62)]


def test_the_same_seed_gives_the_same_fates_and_another_gives_others() -> None:
    bad = Conditions(delay=5 * MS, jitter=MS, loss=0.2, reorder=0.2, duplicate=0.2, corrupt=0.2)

    def run(seed: int) -> list[tuple[int, bool, bytes]]:
        link = Link(bad, bad, seed)
        for number in range(200):
            link.send(number % 3 > 0, segment(number % 3 > 0, number, b"x" * 50), number * MS)
        return everything(link)

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_delay_and_rate_are_kept_and_a_full_queue_drops() -> None:
    link = Link(Conditions(delay=7 * MS, rate=8_000_000, queue=3000), FREE, 1)
    sizes = [link.send(True, segment(True, 0, bytes(960)), 0) for _ in range(10)]  # 1000 octets: a millisecond each
    assert [time for time, _, _ in everything(link)] == [(8 + number) * MS for number in range(4)]
    assert sizes.count("") == 4 and link.up.counts["queue full"] == 6


@pytest.mark.parametrize("version", [4, 6])
def test_a_long_packet_is_answered_as_by_a_router(version: int) -> None:
    data = segment(True, 77, bytes(1400), version=version)
    answer = too_big(data, 1300)
    assert answer is not None
    told = Icmp.read(answer)
    assert (told.mtu, told.seq, told.sport, told.dport, told.receiver) == (1300, 77, 4000, 80, PAIRS[version][0])
    assert too_big(answer, 10) is None, "no error about an error"
    link = Link(Conditions(delay=0, mtu=1300, black_hole=True), FREE, 1)
    assert link.send(True, data, 0)
    assert not everything(link)


@pytest.mark.parametrize("version", [4, 6])
def test_a_forged_reset_has_the_numbers_both_ends_expect(version: int) -> None:
    link = Link(FREE, FREE, 1, Aimed(reset_at=(False, 10)))
    link.send(True, segment(True, 99, flags=SYN, version=version, ack=0), 0)
    link.send(False, segment(False, 0xFFFFFFFA, flags=SYN | ACK, version=version, ack=100), 0)
    link.send(False, segment(False, 0xFFFFFFFB, b"0123456789", version=version, ack=100), 0)
    assert not link.forged and len(everything(link)) == 3
    assert link.send(False, segment(False, 5, b"a", version=version, ack=100), 0)
    forged = {upward: Packet.read(data) for _, upward, data in everything(link)}
    assert all(packet.flags & RST for packet in forged.values())
    assert (forged[False].seq, forged[True].seq) == (5, 100), "octet 10 has number 5: numbers wrap"


def test_silence_begins_at_an_octet_or_a_time_of_one_connection_only() -> None:
    link = Link(FREE, FREE, 1, Aimed(cut_at=(True, 5), cut_after=50 * MS))
    link.send(True, segment(True, 0, flags=SYN), 0)
    assert not link.send(True, segment(True, 1, b"01234"), 0)
    assert link.send(True, segment(True, 6, b"5"), 0)
    assert link.send(False, segment(False, 1), 0)
    client, server = PAIRS[4]
    other = Packet(client, server, 4001, 80, 1, 1, ACK, 500).write()
    assert not link.send(True, other, 0)
    assert not link.send(True, other, 49 * MS)
    assert link.send(True, other, 50 * MS)


@given(st.binary(min_size=1, max_size=90), st.sampled_from((b"", b"\x45", b"\x60")), st.booleans())
def test_any_octets_pass_or_are_dropped(data: bytes, start: bytes, upward: bool) -> None:
    bad = Conditions(delay=MS, loss=0.1, corrupt=0.5, duplicate=0.5, mtu=70)
    link = Link(bad, bad, 3, Aimed(reset_at=(True, 3), cut_at=(False, 9), drop_syns=1))
    for number in range(4):
        link.send(upward, start + data, number)
    assert all(len(octets) > 0 for _, _, octets in everything(link))


def test_mutated_packets_never_break_the_link() -> None:
    chance = random.Random(1)
    link = Link(Conditions(delay=0, mtu=400), FREE, 3, Aimed(reset_at=(True, 3), cut_after=5, drop_syns=1))
    for number in range(3000):
        data = bytearray(segment(True, number, bytes(chance.randrange(500)), version=chance.choice((4, 6))))
        for _ in range(3):
            data[chance.randrange(min(len(data), 80))] = chance.randrange(256)
        data = data[: chance.randrange(1, len(data) + 1)]
        tcp_facts(bytes(data))
        link.send(True, bytes(data), number)
        link.due(number)
    assert link.up.packets == 3000
