"""The network itself: routers, MTUs, rates, queues and their effects on connections that cross them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from synfin.errors import UsageError
from synfin.sim import Conditions, Fate, HostNode, Network, Router, Talk, Talks
from synfin.sim.chance import Stream
from synfin.tcp import Config, Packet
from synfin.tcp.config import MILLISECOND, SECOND

DATA = bytes(range(256)) * 800


def path(
    narrow: Conditions, config: Config | None = None, *, seed: int = 0
) -> tuple[Network, HostNode, HostNode, Router]:
    """a - router - b, where the second link has the conditions."""
    network = Network(seed)
    a = network.host("a", "10.0.0.1", "2001:db8::1", config=config)
    b = network.host("b", "10.0.1.1", "2001:db8:1::1", config=config)
    router = network.router("r", "10.0.0.254", "2001:db8::fe")
    network.link(a, router)
    network.link(router, b, narrow)
    for target, node in (("10.0.0.1", a), ("2001:db8::1", a), ("10.0.1.1", b), ("2001:db8:1::1", b)):
        router.route(target, node)
    return network, a, b, router


def transfer(network: Network, a: HostNode, b: HostNode, target: str, data: bytes = DATA) -> tuple[Talk, Talk]:
    made: list[Talk] = []

    def make() -> Talk:
        made.append(Talk(patient=True))
        return made[-1]

    Talks(b).listen(80, make)
    talk = Talks(a).connect(target, 80, Talk(data))
    network.run()
    return talk, made[0]


@pytest.mark.parametrize("target", ["10.0.1.1", "2001:db8:1::1"])
@pytest.mark.parametrize("black_hole", [False, True])
def test_a_smaller_mtu_on_the_path(target: str, black_hole: bool) -> None:
    """With ICMP the first packet tells; without, the fourth timeout does (RFC 1191, 8201, 2923)."""
    network, a, b, _ = path(Conditions(mtu=1280, black_hole=black_hole))
    talk, peer = transfer(network, a, b, target)
    assert bytes(peer.received) == DATA
    assert talk.done
    assert talk.connection is not None
    if ":" in target or not black_hole:
        assert talk.connection.mtu == 1280
    else:
        assert 1264 <= talk.connection.mtu <= 1280  # found by probes (RFC 4821)
    big = network.truth.counts[Fate.TOO_BIG]
    assert 0 < big < 30
    arrived = [p for p in network.truth.passages if p.pipe.startswith("r>b") and p.fate == Fate.DELIVERED]
    done = max(p.time for p in arrived if isinstance(p.packet, Packet) and p.packet.payload)
    assert (done < 2 * SECOND) == (not black_hole)


def test_the_hosts_own_link_is_smaller_than_it_believes() -> None:
    network = Network()
    a = network.host("a", "10.0.0.1", config=Config(mtu=9000))
    b = network.host("b", "10.0.0.2", config=Config(mtu=9000))
    network.link(a, b, Conditions(mtu=1400))
    talk, peer = transfer(network, a, b, "10.0.0.2")
    assert talk.done
    assert bytes(peer.received) == DATA


@pytest.mark.parametrize("congestion", ["cubic", "newreno"])
def test_a_bottleneck_is_filled(congestion: str) -> None:
    config = Config(congestion=congestion, receive_buffer=1 << 20, send_buffer=1 << 20)  # type: ignore[arg-type]
    data = bytes(4_000_000)
    network, a, b, _ = path(Conditions(rate=20_000_000, queue=60_000), config)
    talk, peer = transfer(network, a, b, "10.0.1.1", data)
    assert peer.octets == len(data)
    arrived = [p for p in network.truth.passages if p.pipe.startswith("r>b") and p.fate == Fate.DELIVERED]
    last = max(p.time for p in arrived if isinstance(p.packet, Packet) and p.packet.payload)
    assert len(data) * 8 / 20_000_000 <= last / SECOND <= 1.35 * len(data) * 8 / 20_000_000
    assert network.truth.counts[Fate.QUEUE_FULL] > 0  # congestion was met, and survived
    assert network.truth.retransmissions("a>r") < len(data) // 1448 // 10
    assert talk.done


def test_hops_are_counted_and_answered() -> None:
    network, a, b, _ = path(Conditions(), Config(ttl=1))
    b.host.listen(80)
    connection = a.host.connect("10.0.1.1", 80, 0)
    a.pump()
    network.run(until=SECOND // 2)
    assert connection.state == "SYN_SENT"
    assert "type 11" in connection.icmp_error


def test_nobody_listens() -> None:
    network, a, _, _ = path(Conditions())
    talk = Talks(a).connect("10.0.1.1", 81, Talk())
    network.run()
    assert talk.error == "refused"


def test_chosen_packets_are_lost() -> None:
    """A lost third segment: the data that follows opens the connection."""
    network = Network()
    a, b = network.host("a", "10.0.0.1"), network.host("b", "10.0.0.2")
    network.link(a, b, Conditions(drop=lambda number, packet: number == 1), Conditions())
    talk, peer = transfer(network, a, b, "10.0.0.2", b"hello")
    assert talk.done
    assert bytes(peer.received) == b"hello"
    assert network.truth.counts[Fate.LOST] == 1


def test_streams_of_chance_are_independent_and_even() -> None:
    one = [Stream(1, "loss").below(1000) for _ in range(3)]
    assert len(set(one)) == 1
    stream, other = Stream(1, "loss"), Stream(1, "delay")
    assert [stream.bits() for _ in range(4)] != [other.bits() for _ in range(4)]
    assert 2700 < sum(stream.happens(0.3) for _ in range(10_000)) < 3300
    before = Stream(2, "x")
    after = Stream(2, "x")
    before.happens(0.0)  # certain things draw nothing
    assert before.bits() == after.bits()


def test_more_loss_leaves_the_other_faults_as_they_were() -> None:
    """Each fault draws from its own stream: the same packets are damaged with and without loss."""

    def damaged(conditions: Conditions) -> set[int]:
        network = Network(5)
        a, b = network.host("a", "10.0.0.1"), network.host("b", "10.0.0.2")
        network.link(a, b, conditions)
        for number in range(200):
            a.send(Packet(a.host.addresses[0], b.host.addresses[0], 1, 2, number, 0, 4, 0))
        return {p.packet.seq for p in network.truth.passages if p.fate == Fate.CORRUPTED}

    plain = damaged(Conditions(corrupt=0.1))
    assert plain
    assert damaged(Conditions(corrupt=0.1, duplicate=0.5, reorder=0.5, jitter=MILLISECOND)) == plain


def test_ten_connections_at_once_are_told_apart() -> None:
    network, a, b, _ = path(Conditions(loss=0.02))
    made: list[Talk] = []

    def make() -> Talk:
        made.append(Talk(patient=True))
        return made[-1]

    Talks(b).listen(80, make)
    talks = Talks(a)
    many = [talks.connect("10.0.1.1", 80, Talk(bytes([number]) * 5000)) for number in range(10)]
    network.run()
    assert all(talk.done for talk in many)
    assert sorted(bytes(peer.received) for peer in made) == [bytes([number]) * 5000 for number in range(10)]


def test_two_nodes_of_one_name_are_a_mistake() -> None:
    network = Network()
    network.host("a", "10.0.0.1")
    with pytest.raises(UsageError, match="two nodes called a"):
        network.host("a", "10.0.0.2")
    assert replace(Conditions(), loss=0.1).loss == 0.1
