"""The same packets to our TCP and to the kernel's: what is written here, both do.

The kernel sits in a network namespace of its own behind a TUN device without offload, and every script is played to it
in real time; where it thinks otherwise than RFC 9293 lets us think (``docs/decisions.md``) there is no script.  What it
sends without being asked (retransmissions, probes) comes later than a script lasts, so nothing here waits for it.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from synfin.drive import namespace
from synfin.drive.namespace import Namespace
from synfin.drive.tun import Tun
from synfin.errors import WireError
from synfin.spec.tcp_states import State
from synfin.tcp import Packet
from synfin.wire.codec import Buffer
from synfin.wire.tcpflags import ACK, SYN
from tests.tcp.letter import BARE, MASK, PEER_PORT, PORT, V4, V6, Player, play, scripts

needs_tun = pytest.mark.skipif(
    not (Path("/dev/net/tun").exists() and namespace.may_make_networks()),
    reason="needs /dev/net/tun, CAP_NET_ADMIN and CAP_SYS_ADMIN",
)
#: TCP_INFO's first octet (include/net/tcp_states.h of the kernel's user interface).
STATES = {
    1: State.ESTABLISHED, 2: State.SYN_SENT, 3: State.SYN_RECEIVED, 4: State.FIN_WAIT_1, 5: State.FIN_WAIT_2,
    6: State.TIME_WAIT, 7: State.CLOSED, 8: State.CLOSE_WAIT, 9: State.LAST_ACK, 10: State.LISTEN, 11: State.CLOSING,
}  # fmt: skip

SCRIPTS = """
-- a connection that the peer opens and ends
    listen
    < SYN 0 opt=mss:1000
    > SYN,ACK 0 1
    < ACK 1 1
    accept
    = ESTABLISHED
    < ACK 1 1 len=5
    > ACK 1 6
    recv 5
    send 7
    > ACK 1 6 len=7
    < ACK 6 8
    < FIN,ACK 6 8
    > ACK 8 7
    = CLOSE_WAIT
    send 3
    > ACK 8 7 len=3
    < ACK 7 11
    shutdown
    > FIN,ACK 11 7
    = LAST_ACK
    < ACK 7 12
    = CLOSED

-- a connection that we open and end
    connect
    > SYN 0
    = SYN_SENT
    < SYN,ACK 0 1 opt=mss:1000
    > ACK 1 1
    = ESTABLISHED
    shutdown
    > FIN,ACK 1 1
    = FIN_WAIT_1
    < ACK 1 2
    = FIN_WAIT_2
    < ACK 1 2 len=5
    > ACK 2 6
    recv 5
    < FIN,ACK 6 2
    > ACK 2 7
    < FIN,ACK 6 2    # TIME_WAIT acknowledges it again
    > ACK 2 7

-- both open at once
    connect
    > SYN 0
    < SYN 0
    > SYN,ACK 0 1
    = SYN_RECEIVED
    < ACK 1 1
    = ESTABLISHED

-- both end at once
    connect
    > SYN 0
    < SYN,ACK 0 1
    > ACK 1 1
    shutdown
    > FIN,ACK 1 1
    < FIN,ACK 1 1
    > ACK 2 2
    = CLOSING
    < ACK 2 2
    < FIN,ACK 1 2
    > ACK 2 2

-- nobody listens
    < SYN 5
    > RST,ACK 0 6
    < SYN,ACK 5 77
    > RST 77
    < ACK 5 77 len=9
    > RST 77
    < RST 5
    < RST,ACK 5 77

-- LISTEN
    listen
    < RST 5
    < ACK 5 77
    > RST 77
    < - 5
    < FIN 5

-- refused
    connect
    > SYN 0
    < RST 0
    = SYN_SENT
    < RST,ACK 0 1
    = CLOSED

-- an ACK alone opens nothing
    connect
    > SYN 0
    < ACK 1 1
    = SYN_SENT
    < SYN,ACK 0 1
    > ACK 1 1
    = ESTABLISHED

-- a RST counts at its number
    @ESTABLISHED
    < RST 1
    = CLOSED

-- and is challenged beside it
    @ESTABLISHED
    < RST 2
    > ACK 1 1
    = ESTABLISHED

-- before it, and far away, it is nothing
    @ESTABLISHED
    < RST 0
    < RST -9999
    < RST 999999
    = ESTABLISHED

-- a SYN on a standing connection
    @ESTABLISHED
    < SYN 1
    > ACK 1 1
    = ESTABLISHED

-- an old SYN on a standing connection
    @ESTABLISHED
    < SYN 0
    > ACK 1 1
    = ESTABLISHED

-- an ACK of what was not sent, and its text
    @ESTABLISHED
    < ACK 1 2 len=5
    > ACK 1 1
    recv 0

-- no ACK, no text
    @ESTABLISHED
    < - 1 len=5
    < FIN 1
    = ESTABLISHED

-- out of order, overlapping, twice
    @ESTABLISHED
    < ACK 11 1 len=10
    > ACK 1 1
    < ACK 6 1 len=10
    > ACK 1 1
    < ACK 1 1 len=7
    > ACK 1 21
    < ACK 1 1 len=20
    > ACK 1 21
    < ACK 15 1 len=10
    > ACK 1 25
    recv 24

-- far outside of the window
    @ESTABLISHED
    < ACK 999999 1 len=5
    > ACK 1 1
    recv 0

-- a FIN out of order
    @ESTABLISHED
    < FIN,ACK 6 1
    > ACK 1 1
    < ACK 1 1 len=5
    > ACK 1 7
    = CLOSE_WAIT
    recv 5

-- text that runs over a FIN that is ahead
    @ESTABLISHED
    < FIN,ACK 6 1
    > ACK 1 1
    < ACK 1 1 len=20
    > ACK 1 21
    = ESTABLISHED
    recv 20

-- SACK: the latest first, and what came twice before all
    connect
    > SYN 0
    < SYN,ACK 0 1 opt=sackok
    > ACK 1 1
    < ACK 11 1 len=10
    > ACK 1 1 opt=sack:11:21
    < ACK 31 1 len=10
    > ACK 1 1 opt=sack:31:41:11:21
    < ACK 11 1 len=10
    > ACK 1 1 opt=sack:11:21:11:21:31:41
    < ACK 1 1 len=10
    > ACK 1 21 opt=sack:31:41
    < ACK 1 1 len=10
    > ACK 1 21 opt=sack:1:11:31:41

-- an old timestamp (PAWS), and what is echoed
    connect
    > SYN 0
    < SYN,ACK 0 1 opt=ts:1000:0
    > ACK 1 1 opt=ts:1000
    < ACK 1 1 len=5 opt=ts:1001:0
    > ACK 1 6 opt=ts:1001
    < ACK 6 1 len=5 opt=ts:900:0
    > ACK 1 6 opt=ts:1001
    < ACK 11 1 len=5 opt=ts:1002:0    # behind a hole: not this one
    > ACK 1 6 opt=ts:1001
    recv 5

-- a stamp beside an ACK of what was not sent says nothing
    connect
    > SYN 0
    < SYN,ACK 0 1 opt=ts:1000:0
    > ACK 1 1
    < ACK 1 99 len=5 opt=ts:90000:0
    > ACK 1 1 opt=ts:1000
    < ACK 1 1 len=5 opt=ts:1001:0
    > ACK 1 6 opt=ts:1001

-- what was not agreed upon is passed over
    connect
    > SYN 0
    < SYN,ACK 0 1 opt=mss:1000
    > ACK 1 1
    < ACK 1 1 len=5 opt=ts:7:7
    > ACK 1 6 opt=
    < ACK 11 1 len=5 opt=sack:1:2
    > ACK 1 6 opt=

-- options that lie
    connect
    > SYN 0
    < SYN,ACK 0 1 opt=x02000000
    > ACK 1 1
    < ACK 1 1 len=5 opt=xfdff0000
    > ACK 1 6
    < ACK 6 1 len=5 opt=x0101fe04aaaa0101
    > ACK 1 11

-- a closed window holds, an open one lets go
    connect
    > SYN 0
    < SYN,ACK 0 1 win=0
    > ACK 1 1
    send 5
    < ACK 1 1 win=900
    > ACK 1 1 len=5

-- what is given is cut by the peer's MSS
    connect
    > SYN 0
    < SYN,ACK 0 1 opt=mss:600
    > ACK 1 1
    send 1200
    > ACK 1 1 len=600
    > ACK 601 1 len=600

-- three duplicate acknowledgments
    connect
    > SYN 0
    < SYN,ACK 0 1 opt=mss:500
    > ACK 1 1
    send 2500
    > ACK 1 1 len=500
    > ACK 501 1 len=500
    > ACK 1001 1 len=500
    > ACK 1501 1 len=500
    > ACK 2001 1 len=500
    < ACK 1 1
    < ACK 1 1
    < ACK 1 1
    > ACK 1 1 len=500
    < ACK 1 2501
    send 5
    > ACK 2501 1 len=5

-- close with text that nobody read
    @ESTABLISHED
    < ACK 1 1 len=5
    > ACK 1 6
    close
    > RST,ACK 1 6

-- abort
    @ESTABLISHED
    abort
    > RST,ACK 1 1

-- a new SYN in TIME_WAIT
    listen
    < SYN 0
    > SYN,ACK 0 1
    < ACK 1 1
    accept
    shutdown
    > FIN,ACK 1 1
    < FIN,ACK 1 2
    > ACK 2 2
    < SYN 700000
    > SYN,ACK 0 700001

-- ECN when asked for: congestion is told until CWR
    listen
    < SYN,ECE,CWR 0
    > SYN,ACK,ECE 0 1
    < ACK 1 1
    accept
    < ACK 1 1 len=5 ecn=3
    > ACK,ECE 1 6
    < ACK 6 1 len=5 ecn=2
    > ACK,ECE 1 11
    < ACK,CWR 11 1 len=5 ecn=2
    > ACK 1 16

-- text and FIN with the last ACK of the handshake
    listen
    < SYN 0
    > SYN,ACK 0 1
    < FIN,ACK 1 1 len=5
    > ACK 1 7
    accept
    = CLOSE_WAIT
    recv 5
"""
ALL = scripts(SCRIPTS)


class Wire:
    """The device, as the host that a player talks to."""

    def __init__(self, space: Namespace, tun: Tun) -> None:
        self.space, self.tun = space, tun
        self.connections: dict[object, object] = {}
        self.talking: list[KernelSocket] = []

    def receive(self, packet: Packet | Buffer, now: int) -> None:
        os.write(self.tun.fd, packet.write() if isinstance(packet, Packet) else packet)

    def take_output(self, now: int, patience: float = 0) -> list[Packet]:
        for one in self.talking:
            one.acknowledge_at_once()
        found: list[Packet] = []
        while select.select([self.tun.fd], [], [], 0 if found else patience)[0]:
            try:
                packet = Packet.read(os.read(self.tun.fd, 65536))
            except WireError:
                continue  # neighbours and routers of IPv6
            found.append(packet)
        return found

    def wait_for(self, here: bytes, there: bytes) -> None:
        """Until the kernel answers for its address: one of IPv6 takes a moment."""
        for _ in range(100):
            self.receive(Packet(there, here, PEER_PORT, 9, 1, 1, ACK, 1), 0)
            if self.take_output(0, 0.02):
                return
        raise AssertionError("the kernel does not answer")

    def next_timer(self) -> None:
        return None

    def next_event(self) -> None:
        return None


class KernelSocket:
    """A socket of the kernel, with the calls of ours."""

    def __init__(self, wire: Wire, there: bytes, made: socket.socket | None = None) -> None:
        self.wire, self.there = wire, there
        self.connection: KernelSocket | None = self
        family = socket.AF_INET if len(there) == 4 else socket.AF_INET6
        if made is None:
            with wire.space.inside():
                made = socket.socket(family)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(("", PORT))
        made.setblocking(False)
        self.socket = made
        wire.talking.append(self)

    def acknowledge_at_once(self) -> None:
        if self.socket.fileno() >= 0 and self.state is not State.LISTEN:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    @property
    def state(self) -> State:
        return STATES[self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]]

    def listen(self, backlog: int) -> None:
        self.socket.listen(backlog)

    def accept(self) -> KernelSocket:
        return KernelSocket(self.wire, self.there, self.socket.accept()[0])

    def connect(self, there: bytes, port: int, now: int) -> None:
        self.socket.connect_ex((socket.inet_ntop(self.socket.family, there), port))

    def send(self, data: bytes, now: int, *, urgent: bool = False) -> int:
        return self.socket.send(data)

    def recv(self, now: int, size: int | None = None) -> bytes:
        try:
            return self.socket.recv(size or 1 << 20)
        except BlockingIOError:
            return b""

    def shutdown(self, now: int) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def close(self, now: int) -> None:
        self.socket.close()

    def abort(self, now: int) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Beside(Player):
    """A player whose host is the kernel; the initial number is what its SYN says."""

    def __init__(self, wire: Wire, irs: int, places: tuple[bytes, bytes]) -> None:
        super().__init__(BARE, 0, irs, places)
        self.wire = wire
        self.host = cast(Any, wire)
        self.socket = cast(Any, KernelSocket(wire, self.there))

    def _collect(self) -> None:
        self._keep(self.wire.take_output(0))

    def _keep(self, packets: list[Packet]) -> None:
        for packet in packets:
            if packet.flags & SYN and (packet.seq - self.iss & MASK or not self.known):
                self.iss, self.known = packet.seq, True
            self.queue.append((self.now, packet))

    def _expect(self, text: str) -> None:
        if not self.queue:
            self._keep(self.wire.take_output(0, 1))  # an acknowledgment may be delayed
        super()._expect(text)


@pytest.fixture
def wire() -> Iterator[Wire]:
    space = Namespace.make()
    try:
        with space.inside():
            tun = Tun.open(["192.0.2.1/24", "2001:db8::1/64"], offload=False)
        made = Wire(space, tun)
        try:
            for places in (V4, V6):
                made.wait_for(*places)
            yield made
        finally:
            for one in made.talking:
                one.socket.close()
            tun.close()
    finally:
        space.close()


@pytest.mark.parametrize("v6", [False, True], ids=["v4", "v6"])
@pytest.mark.parametrize(("name", "script"), [(name, script) for name, _, script in ALL], ids=[s[0] for s in ALL])
def test_ours_does_what_is_written(name: str, script: str, v6: bool) -> None:
    play(script, v6=v6, timestamps=True, sack=True, window_scale=7)


@needs_tun
@pytest.mark.parametrize("v6", [False, True], ids=["v4", "v6"])
@pytest.mark.parametrize(("name", "script"), [(name, script) for name, _, script in ALL], ids=[s[0] for s in ALL])
def test_the_kernel_does_what_is_written(name: str, script: str, v6: bool, wire: Wire) -> None:
    Beside(wire, 2_000_000 if v6 else MASK - 5, V6 if v6 else V4).play(script)


def _damaged(good: bytes) -> list[bytes]:
    """The packet with each of its parts wrong in turn."""
    ip = 20 if good[0] >> 4 == 4 else 40
    out = []
    for at, octet in ((ip + 16, good[ip + 16] ^ 1), (ip + 12, 0x40), (ip + 12, 0xF0), (len(good) - 1, good[-1] ^ 1)):
        out.append(good[:at] + bytes((octet,)) + good[at + 1 :])
    return [*out, good[:-1], good[: ip + 13], good[:ip]]


@needs_tun
@pytest.mark.parametrize("v6", [False, True], ids=["v4", "v6"])
def test_nobody_answers_what_is_damaged_and_both_pass_over_reserved_bits(v6: bool, wire: Wire) -> None:
    here, there = V6 if v6 else V4
    for player in (Player(BARE, 7, 9, (here, there)), Beside(wire, 9, (here, there))):
        packet = Packet(there, here, PEER_PORT, PORT, 500, 77, ACK, 100, b"\x02\x04\x05\xb4", b"text")
        for data in _damaged(packet.write()):
            player.host.receive(data, player.now)
        assert player.host.take_output(player.now) == []
        player.host.receive(packet._replace(flags=ACK | 0xF00).write(), player.now)
        (answer,) = player.host.take_output(player.now)
        assert player.show(answer).split()[0] == "RST"
        assert answer.seq == 77
