"""Random and adversarial segments in every state: no exception, no storm of answers, no growth, and time goes on."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.tcp import Config, Host, Icmp, Packet
from synfin.tcp.queues import MAX_CHUNKS
from tests.tcp.dialogue import HERE, PEER_PORT, PLAIN, PORT, THERE, Dialogue, in_state
from tests.tcp.test_matrix import NUMBERS
from tests.tcp.test_scenarios import between

near = st.one_of(st.integers(-5, 30), st.sampled_from([-100_000, 65534, 65535, 65536, 1 << 31, -(1 << 31), 100_000]))


@st.composite
def moves(draw: st.DrawFn) -> tuple[Any, ...]:
    if draw(st.integers(0, 9)) == 0:
        return ("wait", draw(st.sampled_from([0.05, 1.5, 70.0, 400.0])))
    if draw(st.integers(0, 9)) == 0:
        return (draw(st.sampled_from(["send", "recv", "shutdown", "close", "abort"])),)
    return (
        "hear", draw(st.integers(0, 255)), draw(near), draw(near), draw(st.sampled_from([0, 0, 1, 10, 1460])),
        draw(st.sampled_from([0, 1, 500, 65535])), draw(st.binary(max_size=24)), draw(st.integers(0, 65535)),
    )  # fmt: skip


@pytest.mark.parametrize("state", NUMBERS)
@settings(max_examples=25, deadline=None)
@given(st.lists(moves(), max_size=30))
def test_anything_in_every_state(state: str, script: list[tuple[Any, ...]]) -> None:
    d = in_state(state, PLAIN if len(script) % 2 else Config(delayed_ack=0, timestamps=False))
    for kind, *arguments in script:
        c = d.connection
        if kind == "wait":
            said = d.wait(arguments[0])
            assert len(said) < 200
        elif kind == "hear":
            flags, seq, ack, size, window, raw, urgent = arguments
            packet = d.packet("-", 0)._replace(
                flags=flags, seq=seq + 5001 & 0xFFFFFFFF, ack=ack + d.iss + 1 & 0xFFFFFFFF,
                payload=b"x" * size, window=window, options=raw + bytes(-len(raw) % 4), urgent=urgent,
            )  # fmt: skip
            d.host.receive(packet.write(), d.now)
            assert len(d.said()) <= 40  # what a window of data allows
        elif c is not None and kind == "send":
            d.host.send(c, b"y" * 2000, d.now)
            d.said()
        elif c is not None and kind == "recv":
            d.host.recv(c, d.now)
        elif c is not None:
            getattr(d.host, str(kind))(c, d.now)
            d.said()
    assert len(d.host.connections) <= 2
    d.wait(3600)
    assert all(c.state in ("ESTABLISHED", "CLOSE_WAIT", "FIN_WAIT_2") for c in d.host.connections.values())


@given(st.lists(st.binary(max_size=100), max_size=20))
def test_any_octets_are_dropped(many: list[bytes]) -> None:
    d = Dialogue().listen()
    for data in many:
        d.host.receive(data, d.now)
    assert d.host.dropped == len(many)
    assert d.said() == []


def test_holes_do_not_grow_without_bound() -> None:
    d = Dialogue(Config(delayed_ack=0, timestamps=False, receive_buffer=1 << 20)).established()
    for n in range(40_000):
        d.host.receive(d.packet("ACK", 3 + 2 * n, 1, payload=b"x"), d.now)
    assert d.connection is not None
    assert d.connection.received._waiting <= MAX_CHUNKS


def test_a_scan_of_ports_leaves_nothing() -> None:
    d = Dialogue().listen()
    for port in range(2000):
        d.host.receive(d.packet("SYN", port)._replace(dport=port + 1000), d.now)
        d.host.receive(d.packet("ACK", port, 7)._replace(sport=port + 1), d.now)
    assert not d.host.connections
    assert len(d.said()) <= 200


def test_packets_for_others_are_not_ours() -> None:
    d = Dialogue().listen()
    d.host.receive(d.packet("SYN", 0)._replace(dst=bytes((10, 0, 0, 77))), d.now)
    d.host.receive(d.packet("SYN", 0)._replace(src=bytes(4)), d.now)
    assert d.said() == []
    assert HERE in d.host.addresses


def test_octets_one_by_one_cost_little_more_than_octets() -> None:
    """Nobody reads, and the peer fills the window with the smallest segments there are, in order or backwards."""
    for order in (range(6000), range(5999, -1, -1)):
        d = Dialogue(Config(delayed_ack=0, timestamps=False, receive_buffer=1 << 18)).established()
        packets = [d.packet("ACK", 1 + n, 1, payload=b"x").write() for n in order]
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for packet in packets:
            d.host.receive(packet, d.now)
            d.said()
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert grown < 1_500_000
        assert d.connection is not None
        if order[0] == 0:
            assert d.connection.readable == 6000
            assert grown < 50_000


def test_events_that_a_peer_makes_do_not_pile_up() -> None:
    d = Dialogue().established()
    d.send(b"x")
    for n in range(1000):
        d.host.receive(d.packet("URG,ACK", 1 + n, 1, size=1, urgent=500), d.now)
        d.host.receive(Icmp(THERE, HERE, 3, 1, 0, THERE, PORT, PEER_PORT, d.iss + 1 & 0xFFFFFFFF), d.now)
        d.said()
    assert sorted(d.events()) == ["connected", "readable", "soft error", "urgent"]


def test_a_tiny_mss_does_not_make_many_records() -> None:
    d = Dialogue(Config(send_buffer=1 << 18, delayed_ack=0)).established(
        active=False, options=bytes.fromhex("02040001")
    )
    assert d.connection is not None
    d.connection.congestion.cwnd = 1 << 20
    d.send(bytes(1 << 18))
    assert len(d.connection.board) <= 65535 // 48 + 1


def test_a_flood_of_syns_leaves_nothing_and_the_honest_are_served() -> None:
    host, client = Host([HERE], b"0123456789abcdef"), Host(["10.0.0.9"], b"fedcba9876543210")
    listener = host.listen(PORT, backlog=64)
    tracemalloc.start()
    before = 0
    for number in range(12_000):
        if number == 2000:
            before = tracemalloc.get_traced_memory()[0]
        source = (0xC0000000 + number).to_bytes(4, "big")
        host.receive(Packet(source, HERE, 1024 + number, PORT, number, 0, 2, 1000), number * 1000)
        assert len(host.take_output(number * 1000)) == 1
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 50_000
    assert len(host.connections) == 64
    connection = client.connect(HERE, PORT, 0)
    between(client, host, 12_000_000)
    assert listener.accept() is not None
    assert str(connection.state) == "ESTABLISHED"
