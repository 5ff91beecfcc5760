"""Foreign opinions on simulated captures: the observer, who shares no decisions with the engine, and tshark."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from synfin.observe import observe
from synfin.observe.story_tcp import Mark
from synfin.sim import Conditions, Fate, Network, Talk, Talks, Tap
from synfin.spec.tcp_states import State
from synfin.tcp import Config, Connection, Packet
from synfin.wire.tcpflags import RST

UP, DOWN = bytes(range(256)) * 300, bytes(range(255, -1, -1)) * 100
RUNS = {
    "quiet": Conditions(),
    "loss": Conditions(loss=0.05),
    "reorder": Conditions(reorder=0.05),
    "duplicate": Conditions(duplicate=0.1),
    "jitter and rate": Conditions(jitter=5_000_000, rate=5_000_000),
    "everything": Conditions(loss=0.03, reorder=0.03, duplicate=0.03, corrupt=0.02),
}


def record(
    path: Path, conditions: Conditions, seed: int, config: Config | None = None
) -> tuple[Network, list[Connection]]:
    """A connection captured at its client, until both have closed (TIME_WAIT not waited for)."""
    network = Network(seed)
    a = network.host("a", "10.0.0.1", "2001:db8::1", config=config)
    b = network.host("b", "10.0.0.2", "2001:db8::2", config=config)
    network.link(a, b, conditions)
    with path.open("wb") as file:
        a.tap(Tap(file))
        talks = Talks(b)
        made: list[Talk] = []

        def make() -> Talk:
            made.append(Talk(DOWN, patient=True))
            return made[-1]

        talks.listen(443, make)
        talk = Talks(a).connect("10.0.0.2" if seed % 2 else "2001:db8::2", 443, Talk(UP))
        network.run(until=100 * 10**9)
    assert talk.connection is not None
    assert made[0].connection is not None
    assert bytes(made[0].received) == UP
    return network, [talk.connection, made[0].connection]


def sent_by_a(network: Network) -> list[Packet]:
    """What the client's link saw of its packets, in order."""
    return [p.packet for p in network.truth.passages if p.pipe.startswith("a>") and isinstance(p.packet, Packet)]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", RUNS)
def test_the_observer_agrees_with_the_truth(tmp_path: Path, name: str, seed: int) -> None:
    path = tmp_path / "run.pcapng"
    network, (a, b) = record(path, RUNS[name], seed)
    (connection,) = observe(path)
    story = connection.tcp
    assert story.handshake == "complete"
    # A late duplicate that finds b gone is answered by a RST (RFC 9293 3.10.7.1); whether that ends a's TIME_WAIT is
    # for its number to say, and the observer only assumes it.
    reset = any(
        isinstance(p.packet, Packet) and p.packet.flags & RST and p.fate == Fate.DELIVERED
        for p in network.truth.passages
    )
    assert story.close == ("rst" if reset else "fin")
    assert b.state == State.CLOSED == story.final[1].state
    if not reset:
        assert a.state == State.TIME_WAIT == story.final[0].state
    up, down = story.sides
    assert (up.unique_payload, down.unique_payload) == (len(UP), len(DOWN))
    assert up.fin_packet is not None
    assert up.syn is not None
    assert up.syn.seq == a.iss & 0xFFFFFFFF
    sent = sent_by_a(network)
    assert up.packets == len(sent)
    assert up.payload == sum(len(packet.payload) for packet in sent)
    # What the engine sent again is what the observer names so; a repeat right behind a duplicate acknowledgment is
    # "out of order" to it, as to Wireshark.
    bits = Mark.RETRANSMISSION | Mark.OUT_OF_ORDER
    ours = [mark for mark, sender in zip(story.marks, connection.rows.sender, strict=True) if not sender]
    named = [bool(mark & bits) for mark in ours]
    assert named == [packet.again for packet in sent]
    if name in ("quiet", "jitter and rate"):
        assert not any(named)


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", RUNS)
def test_tshark_reads_it(tmp_path: Path, name: str, seed: int) -> None:
    path = tmp_path / "run.pcapng"
    network, _ = record(path, RUNS[name], seed)
    sent = sent_by_a(network)
    run = subprocess.run(
        ["tshark", "-n", "-r", path, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-T", "fields",
         "-e", "_ws.malformed", "-e", "tcp.checksum.status", "-e", "ip.checksum.status", "-e", "tcp.srcport",
         "-e", "tcp.analysis.retransmission", "-e", "tcp.analysis.out_of_order"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = [line.split("\t") for line in run.stdout.splitlines()]
    assert all(not line[0] and line[1] == "1" and line[2] == ("1" if seed % 2 else "") for line in lines)
    mine = [line for line in lines if line[3] != "443"]
    assert len(mine) == len(sent)
    named = [bool(line[4] or line[5]) for line in mine]
    assert named == [packet.again for packet in sent]
    # And `synfin read`'s marks are tshark's.
    (connection,) = observe(path)
    marks = [mark for mark, sender in zip(connection.tcp.marks, connection.rows.sender, strict=True) if not sender]
    assert [bool(mark & (Mark.RETRANSMISSION | Mark.OUT_OF_ORDER)) for mark in marks] == named


def test_the_same_seed_writes_the_same_octets(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    record(one, RUNS["everything"], 3)
    record(two, RUNS["everything"], 3)
    assert one.read_bytes() == two.read_bytes()


def test_super_segments_are_seen_before_the_card_cuts_them(tmp_path: Path) -> None:
    network = Network(1)
    config = Config(super_segment=65160)
    a = network.host("a", "10.0.0.1", config=config)
    b = network.host("b", "10.0.0.2", config=config)
    network.link(a, b)
    before, after = tmp_path / "before.pcapng", tmp_path / "after.pcapng"
    with before.open("wb") as one, after.open("wb") as two:
        a.tap(Tap(one, offload=True))
        b.tap(Tap(two))
        Talks(b).listen(80, lambda: Talk(patient=True))
        Talks(a).connect("10.0.0.2", 80, Talk(bytes(200_000)))
        network.run()
    (seen,) = observe(before)
    (cut,) = observe(after)
    assert seen.tcp.sides[0].max_segment > 1460 >= cut.tcp.sides[0].max_segment
    assert seen.tcp.sides[0].unique_payload == cut.tcp.sides[0].unique_payload == 200_000
