"""The classic lessons about TCP, each a scene of one connection: Alice, Bob, and a network that does one odd thing.

Why three segments open a connection and not two, why four close it and not three, what sequence numbers, windows and
TIME_WAIT are for.  Each is played by our TCP in the simulated network and captured at one of the two hosts; the states
their engines went through and the octets their programs read stand beside the capture as its truth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

from synfin.errors import UsageError
from synfin.lab.visits import ALICE, BOB, DAY
from synfin.sim import Conditions, HostNode, Network, Talk, Talks, Tamperer
from synfin.sim.chance import entropy
from synfin.sim.tap import Reel, Tap
from synfin.tcp import Connection, Host, Packet
from synfin.tcp.config import MILLISECOND, MINUTE, SECOND, Config
from synfin.wire.tcpflags import ACK, FIN, RST, SYN

_HALF = 20 * MILLISECOND  # from one host to the other; the network is in the middle of that
_ALICE_PORT, _BOB_PORT = 50_000, 80
_QUESTION, _ANSWER = b"what time is it?", b"half past nine"
_EARLIER, _EARLIER_ANSWER = b"what day is it?", b"Monday"


@dataclass(frozen=True, slots=True)
class Lesson:
    """A scene that was played.  ``at`` says whose host captured it: "Alice" or "Bob".

    ``states`` are those each engine's connection went through, ``got`` what Alice's and Bob's programs read.
    """

    name: str
    seed: int
    at: str
    capture: bytes
    states: tuple[tuple[str, ...], tuple[str, ...]]
    got: tuple[bytes, bytes]


class _Chat(Talk):
    """Says its part once it heard ``after`` octets, and closes at the peer's FIN, or when it heard ``enough``.

    Until ``reads`` (network time) it does not read.
    """

    def __init__(self, says: bytes = b"", *, after: int = 0, enough: int | None = None, reads: int = 0) -> None:
        super().__init__(says)
        self.after, self.enough, self.reads = after, enough, reads

    def go(self, node: HostNode, connection: Connection) -> None:
        """Read, write and close as far as that goes now."""
        host, now = node.host, node.network.now
        if now >= self.reads:
            self.received += host.recv(connection, now)
        if not self.connected or self.error is not None:
            return
        if self.data and len(self.received) >= self.after:
            self.data = self.data[host.send(connection, self.data, now) :]
        wants = self.heard_end if self.enough is None else len(self.received) >= self.enough
        if wants and not self.data and not self.closed:
            self.closed = True
            host.shutdown(connection, now)


class _Stage:
    """Alice, the network, Bob.  ``change`` is what the network does with a packet."""

    def __init__(self, seed: int, at: str, config: Config | None = None) -> None:
        self.seed, self.at = seed, at
        self.network = Network(seed)
        self.alice = self.network.host("Alice", ALICE, config=config)
        self.bob = self.network.host("Bob", BOB)
        self.reel = Reel()
        ear = Tap(BytesIO(), writer=self.reel, epoch=int(DAY.timestamp()) * SECOND)
        self.network.nodes[at].tap(ear)
        self.path = Tamperer(self.network, "network", "203.0.113.1", lambda packet: packet)
        for node, own in ((self.alice, ALICE), (self.bob, BOB)):
            self.network.link(node, self.path, Conditions(delay=_HALF // 2))
            self.path.route(own, node)
        self.hers, self.his = Talk(), Talk()

    def serve(self, talk: Talk) -> None:
        """Let Bob listen with this talk for whoever comes."""
        self.his = talk
        Talks(self.bob).listen(_BOB_PORT, lambda: talk)

    def ask(self, talk: Talk) -> None:
        """Let Alice connect."""
        self.hers = talk
        _connect(self.alice, BOB, _BOB_PORT, _ALICE_PORT, talk)

    def later(self, packet: Packet, wait: int) -> None:
        """Let the network deliver a packet after a while."""
        self.network.after(wait, self.path.send, packet)

    def twice(self, wait: int) -> Callable[[Packet], Packet]:
        """A change: the packet passes, and once more after a while."""

        def change(packet: Packet) -> Packet:
            self.later(packet, wait)
            return packet

        return change

    def lesson(self, name: str, until: int) -> Lesson:
        """Let it happen, and take it all down."""
        self.network.run(until=until)
        capture = BytesIO()
        self.reel.develop(capture)
        states = _states(self.hers.connection), _states(self.his.connection)
        got = bytes(self.hers.received), bytes(self.his.received)
        return Lesson(name, self.seed, self.at, capture.getvalue(), states, got)


def _connect(node: HostNode, remote: str, port: int, own: int, talk: Talk) -> None:
    connection = node.host.connect(remote, port, node.network.now, local_port=own)
    talk.connection = connection
    Talks(node).talks[connection] = talk
    node.pump()


def _states(connection: Connection | None) -> tuple[str, ...]:
    if connection is None:
        return ()
    return (str(connection.history[0].state), *(str(step.next) for step in connection.history))


def _first(matches: Callable[[Packet], bool], then: Callable[[Packet], Packet | None]) -> Callable[..., Packet | None]:
    """A change for the first packet that matches; all others pass."""
    done = False

    def change(packet: Packet) -> Packet | None:
        nonlocal done
        if done or not matches(packet):
            return packet
        done = True
        return then(packet)

    return change


def _is(packet: Packet, source: str, flags: int) -> bool:
    sender = "Alice" if packet.dport == _BOB_PORT else "Bob"
    return sender == source and packet.flags & (SYN | FIN | RST | ACK) == flags


def _asks(packet: Packet) -> bool:
    return packet.dport == _BOB_PORT and bool(packet.payload)


# ---------------------------------------------------------------- the lessons


def stale_syn(seed: int) -> Lesson:
    """An old SYN arrives before the one Alice means (RFC 9293 3.5, figure 8)."""
    stage = _Stage(seed, "Bob")
    stage.serve(_Chat(_ANSWER, after=len(_QUESTION)))

    def hold(syn: Packet) -> None:
        stage.later(syn._replace(seq=syn.seq - 70_000 & 0xFFFFFFFF), 0)
        stage.later(syn, 100 * MILLISECOND)

    stage.path.change = _first(lambda packet: _is(packet, "Alice", SYN), hold)
    stage.ask(_Chat(_QUESTION, enough=len(_ANSWER)))
    return stage.lesson("stale-syn", 5 * MINUTE)


def duplicate_syn_ack(seed: int) -> Lesson:
    """Bob's SYN-ACK arrives twice."""
    stage = _Stage(seed, "Alice")
    stage.serve(_Chat(_ANSWER, after=len(_QUESTION)))

    stage.path.change = _first(lambda packet: _is(packet, "Bob", SYN | ACK), stage.twice(15 * MILLISECOND))
    stage.ask(_Chat(_QUESTION, enough=len(_ANSWER)))
    return stage.lesson("duplicate-syn-ack", 5 * MINUTE)


def old_duplicate(seed: int) -> Lesson:
    """A copy of Alice's question wanders about and arrives after it was answered."""
    stage = _Stage(seed, "Bob")
    stage.serve(_Chat(_ANSWER, after=len(_QUESTION)))

    stage.path.change = _first(_asks, stage.twice(15 * MILLISECOND))
    stage.ask(_Chat(_QUESTION, enough=len(_ANSWER)))
    return stage.lesson("old-duplicate", 5 * MINUTE)


def past_connection(seed: int) -> Lesson:
    """A segment of an earlier connection between the same two ports arrives in the next one."""
    stage = _Stage(seed, "Bob")
    earlier = _Chat(_EARLIER_ANSWER, after=len(_EARLIER), enough=len(_EARLIER))  # so TIME_WAIT is Bob's
    talks = [earlier, _Chat(_ANSWER, after=len(_QUESTION))]
    stage.his = talks[-1]
    Talks(stage.bob).listen(_BOB_PORT, lambda: talks.pop(0))

    stage.path.change = _first(_asks, stage.twice(205 * MILLISECOND))
    stage.ask(_Chat(_EARLIER))
    stage.network.after(200 * MILLISECOND, stage.ask, _Chat(_QUESTION, enough=len(_ANSWER)))
    return stage.lesson("past-connection", 5 * MINUTE)


def simultaneous_open(seed: int) -> Lesson:
    """Both connect to each other at once; nobody listens (figure 7)."""
    stage = _Stage(seed, "Alice")
    stage.hers, stage.his = _Chat(_QUESTION, enough=len(_ANSWER)), _Chat(_ANSWER, after=len(_QUESTION))
    _connect(stage.alice, BOB, _BOB_PORT, _ALICE_PORT, stage.hers)
    _connect(stage.bob, ALICE, _ALICE_PORT, _BOB_PORT, stage.his)
    return stage.lesson("simultaneous-open", 5 * MINUTE)


def half_close(seed: int) -> Lesson:
    """Alice has nothing more to say, Bob has."""
    stage = _Stage(seed, "Alice")
    stage.serve(_Chat(_ANSWER, after=len(_QUESTION)))
    stage.ask(_Chat(_QUESTION, enough=0))
    return stage.lesson("half-close", 5 * MINUTE)


def lost_last_ack(seed: int) -> Lesson:
    """The last of the four closing segments is lost (figure 12, and what TIME_WAIT is for)."""
    stage = _Stage(seed, "Alice")
    stage.serve(_Chat(_ANSWER, after=len(_QUESTION)))
    finished: list[bool] = []

    def last(packet: Packet) -> bool:
        if packet.dport != _BOB_PORT and packet.flags & FIN:
            finished.append(True)
        return bool(finished) and _is(packet, "Alice", ACK)

    stage.path.change = _first(last, lambda _: None)
    stage.ask(_Chat(_QUESTION, enough=len(_ANSWER)))
    return stage.lesson("lost-last-ack", 6 * MINUTE)


def simultaneous_close(seed: int) -> Lesson:
    """Both close at once; the FINs cross (figure 13)."""
    stage = _Stage(seed, "Alice")
    stage.serve(_Chat(_ANSWER, after=len(_QUESTION)))
    stage.ask(_Chat(_QUESTION))

    def close(node: HostNode, talk: Talk) -> None:
        talk.closed = True
        if talk.connection is not None:
            node.host.shutdown(talk.connection, stage.network.now)
            node.pump()

    for node, talk in ((stage.alice, stage.hers), (stage.bob, stage.his)):
        stage.network.at(200 * MILLISECOND, close, node, talk)
    return stage.lesson("simultaneous-close", 5 * MINUTE)


def half_open(seed: int) -> Lesson:
    """Bob's host crashes and forgets; Alice does not know and goes on (figure 10)."""
    stage = _Stage(seed, "Alice")
    stage.serve(_Chat(_ANSWER, after=len(_QUESTION)))
    stage.ask(_Chat(_QUESTION))

    def crash() -> None:
        stage.bob.host = Host([BOB], entropy(seed, "Bob after the crash"))

    def more() -> None:
        if stage.hers.connection is not None:
            stage.alice.host.send(stage.hers.connection, b"and now?", stage.network.now)
            stage.alice.pump()

    stage.network.at(200 * MILLISECOND, crash)
    stage.network.at(400 * MILLISECOND, more)
    return stage.lesson("half-open", 5 * MINUTE)


def lost_segment(seed: int) -> Lesson:
    """The second of ten data segments is lost."""
    stage = _Stage(seed, "Bob")
    stage.serve(_Chat(bytes(14_000), after=len(_QUESTION)))
    sent: list[int] = []

    def second(packet: Packet) -> bool:
        if packet.dport != _BOB_PORT and packet.payload:
            sent.append(packet.seq)
        return len(sent) == 2

    stage.path.change = _first(second, lambda _: None)
    stage.ask(_Chat(_QUESTION, enough=14_000))
    return stage.lesson("lost-segment", 5 * MINUTE)


def zero_window(seed: int) -> Lesson:
    """Alice's program does not read for three seconds; her window closes."""
    stage = _Stage(seed, "Alice", Config(receive_buffer=4096, window_scale=None))
    stage.serve(_Chat(bytes(12_000), after=len(_QUESTION)))
    talk = _Chat(_QUESTION, enough=12_000, reads=3 * SECOND)
    stage.ask(talk)

    def read() -> None:
        if talk.connection is not None:
            talk.go(stage.alice, talk.connection)
            stage.alice.pump()

    stage.network.at(3 * SECOND, read)
    return stage.lesson("zero-window", 5 * MINUTE)


#: Every lesson by its name, in the order they teach best.
LESSONS: dict[str, Callable[[int], Lesson]] = {
    "stale-syn": stale_syn,
    "duplicate-syn-ack": duplicate_syn_ack,
    "simultaneous-open": simultaneous_open,
    "old-duplicate": old_duplicate,
    "past-connection": past_connection,
    "lost-segment": lost_segment,
    "zero-window": zero_window,
    "half-close": half_close,
    "lost-last-ack": lost_last_ack,
    "simultaneous-close": simultaneous_close,
    "half-open": half_open,
}


def lesson(name: str, seed: int = 1) -> Lesson:
    """Play a lesson: a function of its arguments.  UsageError for a name there is not, or a seed below 0."""
    if name not in LESSONS:
        raise UsageError(f"there is no scene {name!r}; there are {', '.join(LESSONS)}")
    if seed < 0:
        raise UsageError(f"seed {seed}: give a number from 0 on")
    return LESSONS[name](seed)
