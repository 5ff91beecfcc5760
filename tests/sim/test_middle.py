"""Middleboxes do to connections what they do in life, and a dirty capture is told for what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from synfin.observe import observe
from synfin.sim import (
    Action,
    Dirt,
    DirtyTap,
    Firewall,
    HostNode,
    Nat,
    Network,
    Router,
    Rule,
    Talk,
    Talks,
    Tamperer,
    middle,
)  # fmt: skip
from synfin.tcp import Config, Packet
from synfin.tcp.config import MINUTE, SECOND
from synfin.tcp.names import address

ANSWER = b"the page as it was written" * 200


def serve(b: HostNode) -> list[Talk]:
    made: list[Talk] = []

    def make() -> Talk:
        made.append(Talk(ANSWER, patient=True))
        return made[-1]

    Talks(b).listen(80, make)
    return made


def around(network: Network, middle: Router, config: Config | None = None) -> tuple[HostNode, HostNode]:
    """a - the box - b."""
    a = network.host("a", "10.0.0.1", config=config)
    b = network.host("b", "192.0.2.1", config=config)
    network.link(a, middle)
    network.link(middle, b)
    middle.route("10.0.0.1", a)
    middle.route("192.0.2.1", b)
    return a, b


def test_nat_hides_and_forgets() -> None:
    network = Network()
    nat = Nat(network, "nat", "198.51.100.1", idle=5 * MINUTE)
    a, b = around(network, nat)
    made = serve(b)
    talks = Talks(a)
    first = talks.connect("192.0.2.1", 80, Talk(b"question"))
    network.run(until=MINUTE)
    assert bytes(first.received) == ANSWER
    assert made[0].connection is not None
    assert made[0].connection.remote.address == bytes((198, 51, 100, 1))

    # A connection that idles longer than the mapping lives: the next word goes out by another port, and is refused.
    listener = b.host.listen(81)
    idle = a.host.connect("192.0.2.1", 81, network.now)
    a.pump()
    network.run(until=2 * MINUTE)
    peer = listener.accept()
    assert peer is not None
    network.run(until=10 * MINUTE)
    b.host.send(peer, b"are you there", network.now)
    b.pump()
    network.run(until=11 * MINUTE)
    assert idle.readable == 0  # nobody told either end
    a.host.send(idle, b"still here?", network.now)
    a.pump()
    network.run(until=12 * MINUTE)
    assert idle.error == "reset"
    assert nat.forgotten >= 1


def test_a_keepalive_keeps_the_mapping() -> None:
    network = Network()
    nat = Nat(network, "nat", "198.51.100.1", idle=5 * MINUTE)
    a, b = around(network, nat, Config(keepalive=MINUTE))
    listener = b.host.listen(81)
    idle = a.host.connect("192.0.2.1", 81, 0)
    a.pump()
    network.run(until=30 * MINUTE)
    peer = listener.accept()
    assert peer is not None
    b.host.send(peer, b"are you there", network.now)
    b.pump()
    network.run(until=31 * MINUTE)
    assert idle.recv() == b"are you there"
    assert nat.forgotten == 0


@pytest.mark.parametrize(
    ("action", "error"), [(Action.DROP, "timed out"), (Action.REJECT, "timed out"), (Action.REFUSE, "refused")]
)
def test_firewalls_at_the_door(action: Action, error: str) -> None:
    network = Network()
    wall = Firewall(network, "wall", "10.0.0.254", [Rule(lambda p: p.dport == 80, action)])
    a, b = around(network, wall)
    made = serve(b)
    talk = Talks(a).connect("192.0.2.1", 80, Talk(b"question"))
    network.run()
    assert talk.error == error
    assert not made
    assert wall.hits[0] > 0
    assert talk.connection is not None
    assert ("code 13" in talk.connection.icmp_error) == (action == Action.REJECT)


def test_a_forged_reset_ends_both() -> None:
    network = Network()
    wall = Firewall(network, "wall", "10.0.0.254", [Rule(lambda p: b"question" in bytes(p.payload), Action.RESET)])
    a, b = around(network, wall)
    made = serve(b)
    talk = Talks(a).connect("192.0.2.1", 80, Talk(b"a question that is not liked"))
    network.run()
    assert talk.error == "reset"
    assert made[0].error == "reset"
    assert wall.hits == [1]


def test_a_tamperer_changes_what_is_not_sealed() -> None:
    def change(packet: Packet) -> Packet:
        return packet._replace(payload=bytes(packet.payload).replace(b"page", b"PAGE")) if packet.payload else packet

    network = Network()
    box = Tamperer(network, "box", "10.0.0.254", change)
    a, b = around(network, box)
    serve(b)
    talk = Talks(a).connect("192.0.2.1", 80, Talk(b"question"))
    network.run()
    assert b"the PAGE as it was written" in talk.received
    assert box.changed > 0


def dirty(path: Path, dirt: Dirt) -> DirtyTap:
    network = Network(3)
    router = network.router("r", "10.0.0.254")
    a, b = around(network, router, Config(super_segment=65160 if dirt.offload else 0))
    serve(b)
    with path.open("wb") as file:
        tap = DirtyTap(file, dirt, 9)
        a.tap(tap)
        talk = Talks(a).connect("192.0.2.1", 80, Talk(bytes(20_000)))
        network.run(until=10 * SECOND)
    assert bytes(talk.received) == ANSWER
    return tap


def test_a_clean_tap_and_a_dirty_one(tmp_path: Path) -> None:
    path = tmp_path / "run.pcapng"
    clean = dirty(path, Dirt())
    with observe(path) as story:
        (connection,) = story
    assert story.quality.packets == clean.packets
    assert connection.tcp.sides[0].unique_payload == 20_000

    missing = dirty(path, Dirt(missed=0.2))
    with observe(path) as story:
        list(story)
    assert missing.missed > 0
    assert story.quality.packets == clean.packets - missing.missed

    double = dirty(path, Dirt(doubled=0.5))
    with observe(path) as story:
        list(story)
    assert story.quality.packets == clean.packets + double.doubled
    assert double.doubled > 0

    dirty(path, Dirt(snaplen=60))
    with observe(path) as story:
        list(story)
    assert story.quality.snaplen_cut > 0

    dirty(path, Dirt(only_from=bytes((10, 0, 0, 1))))
    with observe(path) as story:
        list(story)
    assert story.quality.one_sided == 1

    dirty(path, Dirt(step=(SECOND // 50, -3600 * SECOND)))
    with observe(path) as story:
        list(story)
    assert story.quality.time_backwards == 1

    dirty(path, Dirt(offload=True, checksums_by=bytes((10, 0, 0, 1))))
    with observe(path) as story:
        (connection,) = story
    assert connection.tcp.sides[0].over_mss > 0
    assert connection.tcp.sides[0].unique_payload == 20_000


def test_a_nat_out_of_ports_forgets_the_idlest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middle, "_PORTS", 3)
    network = Network(1)
    nat = Nat(network, "nat", "198.51.100.1")
    for port in range(10):
        inside = (address("10.0.0.2"), 1000 + port)
        changed = nat._outward(Packet(inside[0], address("192.0.2.1"), inside[1], 80, 0, 0, 2, 1024))
        assert isinstance(changed, Packet)
        assert 40_000 <= changed.sport < 40_003
    assert nat.forgotten == 7
