"""What RFC 9293 and its friends say where a reader of their text, line by line, found that we did otherwise.

Each script is named by the sentence it holds.  Below them every state, with text in flight, held or not read, meets
every kind of segment in conversation with ``oracle``, which is the text once more; and so do random conversations.
"""

from __future__ import annotations

from itertools import product
from random import Random
from typing import Any

import pytest

from synfin.spec.tcp_states import State
from synfin.tcp import Host, Packet, Socket
from synfin.tcp.chance import Chance
from synfin.tcp.names import Place
from tests.tcp.dialogue import in_state
from tests.tcp.letter import BARE, PEER_PORT, PORT, V4, V6, play, scripts
from tests.tcp.oracle import ACK, FIN, MASK, PSH, RST, SYN, URG, Said, Text, way

SCRIPTS = """
-- 3.10.7.2: "any other control or text should be queued for processing later"
    listen
    < SYN 0 len=5
    > SYN,ACK 0 1
    ! -
    < ACK 6 1
    > ACK 1 6
    = ESTABLISHED
    ! connected, readable
    accept
    recv 5

-- what was queued is not taken twice
    listen
    < SYN 0 len=5
    > SYN,ACK 0 1
    < ACK 1 1 len=8
    > ACK 1 9
    accept
    recv 8

-- and is not told of a handshake that fails
    listen
    < SYN 0 len=5
    > SYN,ACK 0 1
    < RST 1
    = LISTEN
    ! -

-- a control that was queued: FIN
    listen
    < SYN,FIN 0 len=5
    > SYN,ACK 0 1
    = SYN_RECEIVED
    < ACK 7 1
    > ACK 1 7
    = CLOSE_WAIT
    ! connected, readable, peer closed
    accept
    recv 5

-- more than a segment is cut, FIN and all
    listen
    < SYN,FIN 0 len=1200
    > SYN,ACK 0 1
    < ACK 1 1
    > ACK 1 1001
    = ESTABLISHED
    accept
    recv 1000

-- a FIN behind what is cut off a SYN-ACK is cut off too
    connect
    > SYN 0
    < SYN,FIN,ACK 0 1 len=4001
    > ACK 1 4001 win=0
    = ESTABLISHED
    recv 4000
    > ACK 1 4001 win=4000

-- 3.10.7.3: "queue them for processing after the ESTABLISHED state has been reached"
    connect
    > SYN 0
    < SYN 0 len=5
    > SYN,ACK 0 1
    ! -
    < SYN,ACK 0 1
    > ACK 1 6
    = ESTABLISHED
    ! connected, readable
    recv 5

-- MUST-66: a RST counts at a closed window, whatever else its segment has
    @ESTABLISHED
    < ACK 1 1 len=4000
    > ACK 1 4001 win=0
    < RST,FIN 4001 len=3
    = CLOSED
    ! connected, readable, reset

-- RFC 5961 3.2: "outside the current receive window, silently drop", measured by the RST's own number
    @ESTABLISHED
    < SYN,FIN,RST 0
    = ESTABLISHED

-- sixth: "if the urgent pointer is in advance of the data consumed"
    @ESTABLISHED
    < ACK 1 1 len=5
    > ACK 1 6
    ! connected, readable
    < URG,ACK 6 1 urg=0
    ! urgent

-- fifth, CLOSING: "otherwise, ignore the segment"
    @CLOSING
    < FIN,ACK 2 1
    = CLOSING

-- fifth: (SND.UNA - MAX.SND.WND) =< SEG.ACK, and no window was ever open
    connect
    > SYN 0
    < SYN,ACK 0 1 win=0
    > ACK 1 1
    < ACK 1 0 win=0
    > ACK 1 1

-- a FIN in order counts, though another was said to be ahead
    @ESTABLISHED
    < FIN,ACK 900 1
    > ACK 1 1
    < FIN,ACK 1 1 len=5
    > ACK 1 7
    = CLOSE_WAIT

-- text beyond the peer's FIN is no text, but is answered | sack=True
    connect
    > SYN 0
    < SYN,ACK 0 1 opt=sackok
    > ACK 1 1
    < FIN,ACK 11 1
    > ACK 1 1
    < ACK 12 1 len=5
    > ACK 1 1 opt=sack:12:17
    < ACK 1 1 len=10
    > ACK 1 12
    = CLOSE_WAIT
    < ACK 1 1 len=5    # what was held beyond is forgotten
    > ACK 1 12 opt=sack:1:6

-- fourth: "irrespective of the sequence number", and of the timestamp it lacks | timestamps=True
    connect
    > SYN 0
    < SYN,ACK 0 1 opt=ts:5:0
    > ACK 1 1
    < SYN 77777
    > ACK 1 1
    < SYN 3
    > ACK 1 1
    < ACK 1 1 len=3    # RFC 7323 3.2
    = ESTABLISHED

-- a segment that is not taken says nothing of time (RFC 7323 5.3 R3, RFC 5961 5) | timestamps=True
    connect
    > SYN 0
    < SYN,ACK 0 1 opt=ts:5:0
    > ACK 1 1
    < SYN 1 opt=ts:99999:0
    > ACK 1 1 opt=ts:5
    < ACK 1 1 len=5 opt=ts:6:0
    > ACK 1 6 opt=ts:6

-- the same with an ACK of what was not sent | timestamps=True
    connect
    > SYN 0
    < SYN,ACK 0 1 opt=ts:5:0
    > ACK 1 1
    < ACK 1 7 len=5 opt=ts:99999:0
    > ACK 1 1 opt=ts:5
    < ACK 1 1 len=5 opt=ts:6:0
    > ACK 1 6 opt=ts:6

-- but one that comes to a closed window does | timestamps=True
    connect
    > SYN 0
    < SYN,ACK 0 1 opt=ts:5:0
    > ACK 1 1
    < ACK 1 1 len=4000 opt=ts:6:0
    > ACK 1 4001 opt=ts:6 win=0
    < ACK 4001 1 len=1 opt=ts:9:0
    > ACK 1 4001 opt=ts:9 win=0

-- 3.8.6.2.1: "[SND.NXT = SND.UNA and] min(D,U) >= Fs * Max(SND.WND)", the brackets for the Nagle algorithm
    connect
    > SYN 0
    < SYN,ACK 0 1 opt=mss:1460 win=1000
    > ACK 1 1
    send 100
    > ACK 1 1 len=100
    send 950
    < ACK 1 101 win=1000
    > ACK 101 1 len=950
    send 60

-- and without them, without it | nodelay=True
    connect
    > SYN 0
    < SYN,ACK 0 1 opt=mss:1460 win=1000
    > ACK 1 1
    send 100
    > ACK 1 1 len=100
    send 950
    > ACK 101 1 len=900

-- SHLD-19: 2*RMSS, "the MSS specified by the TCP endpoint receiving the segments" | delayed_ack=40_000_000 mss=500
    connect
    > SYN 0 opt=mss:500
    < SYN,ACK 0 1 opt=mss:1460
    > ACK 1 1
    < ACK 1 1 len=500
    < ACK 501 1 len=500
    > ACK 1 1001

-- RFC 3168 6.1.6: "MUST NOT set either an ECT codepoint or the CWR bit on window probe packets" | ecn="ask"
    connect
    > SYN,ECE,CWR 0
    < SYN,ACK,ECE 0 1 win=0
    > ACK 1 1
    send 9
    > in=1 ACK 1 1 len=1 ecn=0
    < ACK 1 2 win=1000
    > ACK 2 1 len=8 ecn=2
"""


#: A window of 8 segments of 500 octets, ECN granted, and the first of them lost.
LOST = """
    connect
    > SYN,ECE,CWR 0
    < SYN,ACK,ECE 0 1 opt=mss:500,sackok
    > ACK 1 1
    send 2000
    > ACK 1 1 len=500 ecn=2
    > ACK 501 1 len=500 ecn=2
    > ACK 1001 1 len=500 ecn=2
    > ACK 1501 1 len=500 ecn=2
    < ACK 1 1 opt=sack:501:2001
    > ACK 1 1 len=500 ecn=0
"""
MORE = f"""
-- RFC 3168 6.1.2: CWR on the first new data after the window was reduced "for any reason" | ecn="ask" sack=True
{LOST}
    < ACK 1 2001
    send 500
    > ACK,CWR 2001 1 len=500 ecn=2
    send 500
    > ACK 2501 1 len=500 ecn=2

-- 3.10.2: "set the urgent pointer in the outgoing segments", those without text too
    connect
    > SYN 0
    < SYN,ACK 0 1 win=0
    > ACK 1 1
    urgent 9
    < ACK 1 1 len=5 win=0
    > ACK,URG 1 6 urg=9
    > in=1 ACK,URG 1 6 len=1 urg=9
    < ACK 6 2 win=900
    > ACK,URG 2 6 len=8 urg=8
    < ACK 6 10
    < ACK 6 10 len=5
    > ACK 10 11

-- RFC 5961 7: what is counted are challenges, not answers to old segments | challenge_limit=1
    @ESTABLISHED
    < ACK 0 1
    > ACK 1 1
    < ACK 0 1
    > ACK 1 1
    < SYN 0
    > ACK 1 1
    < SYN 0
    < ACK 0 1
    > ACK 1 1
"""
SCRIPTS += MORE


@pytest.mark.parametrize("v6", [False, True], ids=["v4", "v6"])
@pytest.mark.parametrize(("name", "choices", "script"), scripts(SCRIPTS), ids=[s[0] for s in scripts(SCRIPTS)])
def test_scripts(name: str, choices: dict[str, Any], script: str, v6: bool) -> None:
    play(script, v6=v6, **choices)


def test_one_reduction_a_round_trip_whoever_tells_of_the_loss() -> None:
    """RFC 3168 6.1.2: ECE in a recovery says nothing new."""
    player = play(LOST, ecn="ask", sack=True)
    connection = player.socket.connection
    assert connection is not None
    before = connection.congestion.ssthresh
    player.play("< ACK,ECE 1 1 opt=sack:501:2001")
    assert connection.congestion.ssthresh == before


def test_time_wait_goes_on_when_a_syn_turns_out_to_be_an_old_duplicate() -> None:
    """3.6.1, MAY-2: "... (2) returns to TIME-WAIT state if the SYN turns out to be an old duplicate."."""
    d = in_state("TIME_WAIT")
    old, wait = d.connection, 240
    assert old is not None
    d.listen()
    d.wait(100)
    (answer,) = d.hear("SYN", 700_000)
    new = d.packets[0].seq
    assert answer.startswith("SYN,ACK")
    assert old.state == State.CLOSED
    assert d.events()[-1:] == ["closed"]
    assert d.hear("RST", 700_001) == []  # who is said to have sent the SYN knows nothing of it
    d.connection = old
    assert d.hear("FIN,ACK", 1, 2) == ["ACK 2 2"]
    assert new != old.iss
    d.wait(wait)
    assert d.hear("FIN,ACK", 1, 2) == ["RST 2 -"]
    assert d.events() == []


class _Chosen(Chance):
    """The initial number is the test's choice."""

    __slots__ = ("number",)
    number: int

    def isn(self, local: Place, remote: Place, now: int) -> int:
        return self.number


class Pair:
    """Our TCP and the text, told the same; ``different`` is what they do otherwise."""

    def __init__(self, iss: int, irs: int, v6: bool) -> None:
        self.here, self.there = V6 if v6 else V4
        self.key = (self.here, PORT, self.there, PEER_PORT)
        self.irs, self.now = irs, 10**12
        self.text = Text(iss, BARE.receive_buffer, 1220 if v6 else 536)
        self.host = Host([self.here], b"letters in packets", BARE)
        chosen = _Chosen(b"letters in packets")
        chosen.number = iss
        self.host.chance = chosen
        self.socket = Socket(self.host)
        self.socket.bind(PORT)
        self.listener: Socket | None = None

    def call(self, verb: str, size: int = 0) -> list[str]:
        if verb == "listen":
            self.text.listen()
            self.listener = self.socket
            self.listener.listen()
        elif verb == "connect":
            self.text.connect()
            self.socket.connect(self.there, PEER_PORT, self.now)
        elif verb == "send":
            self.text.send(size)
            self.socket.send(bytes(size), self.now)
        else:
            self.text.shutdown()
            self.socket.shutdown(self.now)
        return self.different()

    def arrives(self, flags: int, seq: int, ack: int, wnd: int = 1000, size: int = 0, urg: int = 0) -> list[str]:
        seq, ack = seq & MASK, ack & MASK if flags & ACK else 0
        packet = Packet(self.there, self.here, PEER_PORT, PORT, seq, ack, flags, wnd, b"", bytes(size), urg)
        self.text.arrives(flags, seq, ack, wnd, size, urg)
        self.host.receive(packet, self.now)
        return self.different()

    @property
    def state(self) -> State:
        if self.listener is not None and self.socket is self.listener:
            found = self.host.connections.get(self.key)
            return self.listener.state if found is None else found.state
        return self.socket.state

    def different(self) -> list[str]:
        said: list[Said] = [
            (p.flags & ~PSH, p.seq, p.ack if p.flags & ACK else None, len(p.payload))
            for p in self.host.take_output(self.now)
            if not p.again or p.flags & SYN
        ]
        told = {str(event.kind) for event in iter(self.host.next_event, None)}
        text = self.text
        if len(said) == len(text.out) + 1 and said[0][0] == ACK and not said[0][3]:
            del said[0]  # what came out of order is answered before text goes out
        out = []
        if said != text.out:
            out.append(f"said {said}, not {text.out}")
        if self.state != text.state:
            out.append(f"{self.state}, not {text.state}")
        if told != set(text.told) - {"2 MSL"}:
            out.append(f"told {told}, not {text.told}")
        found = self.host.connections.get(self.key)
        if found is not None and text.state not in (State.CLOSED, State.LISTEN, State.TIME_WAIT):
            ours = (found.snd_una & MASK, found.snd_nxt & MASK, found.snd_wnd, found.rcv_nxt & MASK, found.readable)
            theirs = (text.una, text.nxt, text.wnd, text.rcv, text.unread)
            if ours != theirs:
                out.append(f"UNA, NXT, WND, RCV.NXT, unread {ours}, not {theirs}")
            if way(text.edge, found.rcv_adv & MASK) > 0:
                text.edge = found.rcv_adv & MASK  # how the window grows is the receiver's choice
        text.out.clear()
        text.told.clear()
        opening = text.state in (State.LISTEN, State.SYN_RECEIVED, State.CLOSED)
        if self.listener is not None and self.socket is self.listener and not opening:
            self.socket = self.listener.accept() or self.socket
        return out


#: A state and what is there besides: text in flight, text held out of order, a FIN too, text not read, no room here, or
#: none there.
PLACES = [
    "LISTEN", "SYN_SENT", "SYN_RECEIVED", "SYN_RECEIVED+active", "ESTABLISHED", "ESTABLISHED+flight",
    "ESTABLISHED+held", "ESTABLISHED+fin", "ESTABLISHED+unread", "ESTABLISHED+full", "ESTABLISHED+flight+full",
    "ESTABLISHED+closed", "CLOSE_WAIT", "CLOSE_WAIT+flight", "LAST_ACK", "LAST_ACK+flight", "FIN_WAIT_1",
    "FIN_WAIT_1+flight", "FIN_WAIT_1+held", "FIN_WAIT_1+full", "FIN_WAIT_2", "FIN_WAIT_2+fin", "FIN_WAIT_2+full",
    "CLOSING", "CLOSING+flight", "TIME_WAIT",
]  # fmt: skip
FULL = BARE.receive_buffer
NUMBERS = [(1_000_000, 2_000_000), (MASK, MASK - 1), (MASK - 3, 0x7FFFFFFC), (0x7FFFFFFE, MASK - 2)]


def at(place: str, iss: int, irs: int, v6: bool) -> Pair:
    """A pair that has come to a place."""
    state, *more = place.split("+")
    pair = Pair(iss, irs, v6)
    wnd = 0 if "closed" in more else 1000
    received = 1
    steps: list[list[str]] = []

    def hear(flags: int, seq: int, ack: int, size: int = 0) -> None:
        steps.append(pair.arrives(flags, irs + seq, iss + ack, wnd, size))

    if state in ("LISTEN", "SYN_RECEIVED") and "active" not in more:
        steps.append(pair.call("listen"))
    else:
        steps.append(pair.call("connect"))
    if state in ("LISTEN", "SYN_SENT"):
        return pair
    if state == "SYN_RECEIVED":
        hear(SYN, 0, 0)
        return pair
    hear(SYN | ACK, 0, 1)
    if "flight" in more or "closed" in more:
        steps.append(pair.call("send", 5))
    sent = 6 if "flight" in more else 1
    if "held" in more or "fin" in more:
        hear(ACK | (FIN if "fin" in more else 0), 11, 1, 5)
    if "unread" in more or "full" in more:
        hear(ACK, 1, 1, FULL if "full" in more else 5)
        received += FULL if "full" in more else 5
    if state in ("CLOSE_WAIT", "LAST_ACK"):
        hear(ACK | FIN, received, 1)
    if state not in ("ESTABLISHED", "CLOSE_WAIT"):
        steps.append(pair.call("shutdown"))
    if state == "CLOSING":
        hear(ACK | FIN, received, 1)
    if state in ("FIN_WAIT_2", "TIME_WAIT"):
        hear(ACK, received, sent + 1)
    if state == "TIME_WAIT":
        hear(ACK | FIN, received, sent + 1)
    assert not any(steps), (place, steps)
    assert pair.state == state
    return pair


SEGMENTS = list(
    product(
        (0, FIN, SYN, RST, URG, SYN | FIN, SYN | RST, FIN | RST, SYN | FIN | RST, URG | FIN, URG | SYN),
        (-2000, -6, -5, -1, 0, 1, 5, 10, FULL - 1, FULL, FULL + 1, (1 << 31) - 1),
        (None, *range(8)),  # no ACK, or one of ``_acks``
        (0, 1, 5, FULL, FULL + 1),
        (0, 777),
    )
)


def _acks(text: Text) -> list[int]:
    una, nxt = text.una, text.nxt
    return [una - text.max_wnd - 1, una - text.max_wnd, una - 1, una, una + 1, nxt, nxt + 1, una + (1 << 31)]


@pytest.mark.parametrize("place", PLACES)
def test_every_place_meets_the_text_with_every_segment(place: str) -> None:
    """One in 61 of all (a prime, so that every value meets every other), with each pair of initial numbers."""
    start = PLACES.index(place)
    for count, (flags, seq, ack, size, wnd) in enumerate(SEGMENTS[start::61]):
        iss, irs = NUMBERS[count % 4]
        pair = at(place, iss, irs, count % 5 == 0)
        text = pair.text
        number = _acks(text)[ack] if ack is not None else 0
        base = irs if text.state in (State.LISTEN, State.SYN_SENT) else text.rcv
        bits = flags | (ACK if ack is not None else 0)
        urg = (0, 3, 9000)[count % 3] if flags & URG else 0
        found = pair.arrives(bits, base + seq, number, wnd, size, urg)
        assert not found, (place, bits, seq, ack, size, wnd, urg, iss, irs, found)


@pytest.mark.parametrize("seed", range(8))
def test_random_conversations_go_as_the_text_does(seed: int) -> None:
    for number in range(seed * 100, seed * 100 + 100):
        _conversation(Random(number))


def _conversation(r: Random) -> None:
    iss, irs = r.choice([5, MASK, MASK - 3, 0x7FFFFFFE]), r.choice([9, MASK - 1, MASK - FULL, 0x7FFFFFFD])
    pair = at(r.choice(PLACES), iss, irs, r.random() < 0.3)
    text = pair.text
    log: list[str] = []
    for _ in range(8):
        pair.now += 6 * 10**9  # more than the time in which challenges are counted
        if text.state in (State.CLOSED, State.LISTEN) and log:
            return
        kind = r.random()
        if kind < 0.2 and text.state in (State.ESTABLISHED, State.CLOSE_WAIT) and not text.queued and text.wnd > 600:
            verb = r.choice(["send", "shutdown"]) if text.una == text.nxt else "shutdown"
            log.append(verb)
            found = pair.call(verb, r.choice([1, 5, 300]))
        else:
            base = irs if text.state in (State.LISTEN, State.SYN_SENT) else text.rcv
            edge = way(text.rcv, text.edge)
            flags = r.choice([0, 0, 0, 0, FIN, FIN, SYN, RST, URG, SYN | FIN, RST | FIN])
            flags |= ACK if r.random() < 0.85 else 0
            seq = r.choice([0, 0, 0, 0, 1, 5, 10, -1, -5, -6, edge - 1, edge, edge + 1, r.randrange(-50, 50)])
            size = r.choice([0, 0, 1, 5, 5, 10, r.randrange(40), edge, edge + 1])
            ack = r.choice([text.nxt, text.nxt, text.nxt, text.una, text.una - 1, text.nxt + 1, text.una + 1])
            wnd, urg = r.choice([0, 1000, 777, 5000]), r.choice([0, 3, 9000]) if flags & URG else 0
            if text.state == State.LISTEN:
                size = min(size, 5)
            if text.state == State.TIME_WAIT and flags & (SYN | ACK | RST) == SYN:
                return  # MAY-2: a new connection
            log.append(f"{text.state}: {flags:#x} {seq} {ack - iss & MASK} size={size} wnd={wnd} urg={urg}")
            found = pair.arrives(flags, base + seq, ack, wnd, size, urg)
        assert not found, (iss, irs, log, found)


def test_what_the_host_waits_for_is_what_the_timers_say() -> None:
    """RFC 6298 5.2: "turn off the retransmission timer"; 5.3: "restart the retransmission timer"."""
    d = in_state("ESTABLISHED")
    assert d.host.next_timer() is None
    connection, begin = d.connection, d.now
    assert connection is not None
    d.send(b"x" * 1072)
    assert d.host.next_timer() == begin + connection.rtt.rto
    d.now += 300_000_000
    d.hear("ACK", 1, 537)
    assert d.host.next_timer() == min(d.now + connection.rtt.rto, begin + connection.user_timeout)
    d.hear("ACK", 1, 1073)
    assert d.host.next_timer() is None
