"""A conversation with one host, in packet text: we are the peer and write every segment by hand.

Numbers are relative: ``seq`` and ``ack`` count from the two initial sequence numbers, so a SYN has number 0 and the
first octet of data 1.  What the host answers reads ``SYN,ACK 0 1``: flags, seq, ack, and ``len=`` where there is data.
"""

from __future__ import annotations

from synfin.spec.tcp_states import State
from synfin.tcp import Config, Connection, Host, Packet
from synfin.tcp.listeners import Listener

HERE, THERE = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))
PORT, PEER_PORT = 80, 5555
PEER_ISN = 5000
MASK = 0xFFFFFFFF
FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "ECE": 64, "CWR": 128}
PLAIN = Config(delayed_ack=0, timestamps=False, sack=False, window_scale=None)


class Dialogue:
    """A host under test.  ``listen`` or ``connect`` first; then ``hear`` lines and look at the answers."""

    def __init__(self, config: Config = PLAIN) -> None:
        self.host = Host([HERE], b"dialogue secret!", config)
        self.now = 1_000_000_000
        self.listener: Listener | None = None
        self.connection: Connection | None = None
        self.packets: list[Packet] = []

    def listen(self, backlog: int = 128) -> Dialogue:
        self.listener = self.host.listen(PORT, backlog=backlog)
        return self

    def connect(self) -> Dialogue:
        self.connection = self.host.connect(THERE, PEER_PORT, self.now, local_port=PORT)
        assert self.said() == ["SYN 0 -"]
        return self

    @property
    def iss(self) -> int:
        return self.connection.iss if self.connection is not None else 0

    def said(self) -> list[str]:
        """What the host sends now, as text."""
        self.packets = self.host.take_output(self.now)
        found = self.host.connections.get((HERE, PORT, THERE, PEER_PORT))
        if found is not None:
            self.connection = found
        return [self.text(packet) for packet in self.packets]

    def text(self, packet: Packet) -> str:
        flags = ",".join(name for name, bit in FLAGS.items() if packet.flags & bit and name != "PSH") or "-"
        ack = str(packet.ack - PEER_ISN & MASK) if packet.flags & 16 else "-"
        size = f" len={len(packet.payload)}" if packet.payload else ""
        return f"{flags} {relative(packet.seq, self.iss)} {ack}{size}"

    def packet(
        self, flags: str, seq: int, ack: int = 0, *, size: int = 0, window: int = 65535, options: bytes = b"",
        payload: bytes = b"", urgent: int = 0,
    ) -> Packet:  # fmt: skip
        bits = sum(FLAGS[name] for name in flags.split(",") if name != "-")
        number = ack + self.iss & MASK if bits & 16 else 0
        return Packet(
            THERE, HERE, PEER_PORT, PORT, seq + PEER_ISN & MASK, number, bits, window, options,
            payload or b"x" * size, urgent,
        )  # fmt: skip

    def hear(self, flags: str, seq: int, ack: int = 0, **fields: object) -> list[str]:
        """The peer's segment arrives; what the host answers."""
        self.host.receive(self.packet(flags, seq, ack, **fields), self.now)  # type: ignore[arg-type]
        return self.said()

    def wait(self, seconds: float) -> list[str]:
        """Time passes; what the host sends meanwhile."""
        end = self.now + int(seconds * 1e9)
        out: list[str] = []
        while (when := self.host.next_timer()) is not None and when <= end:
            self.now = max(self.now, when)
            self.host.timer_fired(self.now)
            out += self.said()
        self.now = end
        return out + self.said()

    @property
    def state(self) -> str:
        assert self.connection is not None
        return self.connection.state

    def established(self, *, active: bool = True, window: int = 65535, options: bytes = b"") -> Dialogue:
        """A standing connection, opened by us or by the peer."""
        if active:
            self.connect()
            assert self.hear("SYN,ACK", 0, 1, options=options, window=window) == ["ACK 1 1"]
        else:
            self.listen()
            assert self.hear("SYN", 0, options=options, window=window) == ["SYN,ACK 0 1"]
            assert self.hear("ACK", 1, 1, window=window, options=options) == []
        assert self.state == State.ESTABLISHED
        return self

    def shutdown(self) -> list[str]:
        assert self.connection is not None
        self.host.shutdown(self.connection, self.now)
        return self.said()

    def send(self, data: bytes) -> list[str]:
        assert self.connection is not None
        self.host.send(self.connection, data, self.now)
        return self.said()

    def events(self) -> list[str]:
        out = []
        while (event := self.host.next_event()) is not None:
            out.append(str(event.kind))
        return out


def relative(seq: int, isn: int) -> int:
    """A number counted from an initial one; negative where it is before it."""
    away = seq - isn & MASK
    return away - (1 << 32) if away >> 31 else away


def in_state(name: str, config: Config = PLAIN) -> Dialogue:
    """A dialogue whose host is in a state; SYN_RECEIVED may be had by a passive or (simultaneous) an active open."""
    d = Dialogue(config)
    if name == "CLOSED":
        return d
    if name == "LISTEN":
        return d.listen()
    if name == "SYN_SENT":
        return d.connect()
    if name == "SYN_RECEIVED":
        d.listen()
        assert d.hear("SYN", 0) == ["SYN,ACK 0 1"]
        return d
    if name == "SYN_RECEIVED active":
        d.connect()
        assert d.hear("SYN", 0) == ["SYN,ACK 0 1"]
        return d
    d.established()
    if name in ("FIN_WAIT_1", "FIN_WAIT_2", "CLOSING", "TIME_WAIT"):
        assert d.shutdown() == ["FIN,ACK 1 1"]
        if name in ("FIN_WAIT_2", "TIME_WAIT"):
            assert d.hear("ACK", 1, 2) == []
        if name == "CLOSING":
            assert d.hear("FIN,ACK", 1, 1) == ["ACK 2 2"]
        if name == "TIME_WAIT":
            assert d.hear("FIN,ACK", 1, 2) == ["ACK 2 2"]
    elif name in ("CLOSE_WAIT", "LAST_ACK"):
        assert d.hear("FIN,ACK", 1, 1) == ["ACK 1 2"]
        if name == "LAST_ACK":
            assert d.shutdown() == ["FIN,ACK 1 2"]
    assert d.state == name
    return d
