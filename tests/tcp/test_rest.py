"""TIME_WAIT without the connection: the record answers as the connection would, and costs little."""

from __future__ import annotations

import gc
import tracemalloc
import weakref

import pytest

from synfin.spec.tcp_states import State
from synfin.tcp import Host, Packet
from tests.tcp.dialogue import HERE, PEER_PORT, PORT, THERE, Dialogue, in_state
from tests.tcp.test_scenarios import between, pair

KEY = (HERE, PORT, THERE, PEER_PORT)


def forgotten(d: Dialogue) -> Dialogue:
    """The user lets go of the connection; its numbers are kept here, as we need them to write segments."""
    assert d.connection is not None
    iss, watch = d.connection.iss, weakref.ref(d.connection)
    d.events()
    d.connection = None
    gc.collect()
    assert watch() is None
    assert list(d.host.resting.records) == [KEY]
    type(d).iss = property(lambda _: iss)  # type: ignore[assignment]
    return d


@pytest.fixture(autouse=True)
def restore() -> object:
    kept = Dialogue.iss
    yield None
    Dialogue.iss = kept  # type: ignore[method-assign]


#: A segment -> the answer of the connection, which is that of its record.
SEGMENTS = [
    ("FIN,ACK", 1, 2, 0), ("ACK", 2, 2, 0), ("ACK", 2, 102, 0), ("SYN", 0, 0, 0), ("SYN", 12, 0, 0), ("RST", 12, 0, 0),
    ("ACK", 2, 2, 10), ("ACK", -8, 2, 10), ("SYN,ACK", 0, 2, 0), ("ACK", 70_000, 2, 10), ("RST", 2, 0, 0),
]  # fmt: skip


@pytest.mark.parametrize("segment", SEGMENTS, ids=[f"{flags} {seq} {size}" for flags, seq, _, size in SEGMENTS])
def test_the_record_answers_as_the_connection(segment: tuple[str, int, int, int]) -> None:
    flags, seq, ack, size = segment
    whole = in_state("TIME_WAIT")
    expected = whole.hear(flags, seq, ack, size=size)
    lasts = len(whole.host.resting.records)
    d = forgotten(in_state("TIME_WAIT"))
    assert d.hear(flags, seq, ack, size=size) == expected
    assert len(d.host.resting.records) == lasts
    assert d.events() == []
    assert d.host.next_timer() == whole.host.next_timer()


def test_it_ends_after_two_msl_and_a_fin_begins_them_anew() -> None:
    d = forgotten(in_state("TIME_WAIT"))
    d.wait(200)
    assert d.hear("FIN,ACK", 1, 2) == ["ACK 2 2"]
    d.wait(239)
    assert d.host.resting.records
    d.wait(2)
    assert not d.host.resting.records
    assert d.hear("FIN,ACK", 1, 2) == ["RST 2 -"]


def test_its_challenges_are_limited() -> None:
    d = forgotten(in_state("TIME_WAIT"))
    assert sum(len(d.hear("SYN", 100 + number)) for number in range(100)) == 10


def test_who_holds_it_sees_it_close() -> None:
    d = in_state("TIME_WAIT")
    d.events()
    d.wait(241)
    assert d.state == State.CLOSED
    assert d.events() == ["closed"]
    assert not d.host.resting.records


def test_abort_ends_it() -> None:
    d = in_state("TIME_WAIT")
    assert d.connection is not None
    d.host.abort(d.connection, d.now)
    assert d.said() == []
    assert not d.host.resting.records


def test_its_port_is_not_given_again() -> None:
    one, two = pair()
    two.listen(80)
    a = one.connect("10.0.0.2", 80, 0, local_port=7)
    between(one, two)
    one.shutdown(a, 0)
    between(one, two)
    for b in list(two.connections.values()):
        two.shutdown(b, 0)
    between(one, two)
    assert str(a.state) == "TIME_WAIT"
    with pytest.raises(Exception, match="already"):
        one.connect("10.0.0.2", 80, 0, local_port=7)


def test_it_costs_about_a_kilobyte() -> None:
    host = Host([HERE], b"a secret for rest")
    host.listen(PORT, backlog=10)
    tracemalloc.start()
    before = 0
    for number in range(700):
        if number == 200:
            before = tracemalloc.get_traced_memory()[0]
        packet = Packet(THERE, HERE, 1000 + number, PORT, 5, 0, 2, 65535)
        host.receive(packet, 0)
        (answer,) = host.take_output(0)
        host.receive(packet._replace(seq=6, ack=answer.seq + 1 & 0xFFFFFFFF, flags=16), 0)
        found = host._listeners[b"", PORT].accept()
        assert found is not None
        host.close(found, 0)
        host.take_output(0)
        host.receive(packet._replace(seq=6, ack=answer.seq + 2 & 0xFFFFFFFF, flags=17), 0)
        host.take_output(0)
        while host.next_event() is not None:
            pass
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(host.resting.records) == 700
    assert grown / 500 < 1200  # of 4 KiB
