"""Time by the letter: retransmission, backoff, giving up, zero windows, keep-alive, TIME_WAIT; and idle timer calls."""

from __future__ import annotations

from typing import Any

import pytest

from synfin.tcp import Host, Packet
from tests.tcp.letter import BARE, NUMBERS, V4, WAY, play, scripts

SCRIPTS = """
-- retransmission doubles its wait up to a minute (RFC 6298 5.5, 2.5); R1 tells, R2 ends after five minutes (3.8.3)
    @ESTABLISHED
    ! connected
    send 5
    > ACK 1 1 len=5
    > in=1 ACK 1 1 len=5
    > in=2 ACK 1 1 len=5
    > in=4 ACK 1 1 len=5
    ! soft error
    > in=8 ACK 1 1 len=5
    > in=16 ACK 1 1 len=5
    > in=32 ACK 1 1 len=5
    > in=60 ACK 1 1 len=5
    > in=60 ACK 1 1 len=5
    > in=60 ACK 1 1 len=5
    +57.1
    = CLOSED
    ! timed out

-- Karn (RFC 6298 3, 5.7): the backed-off timeout stays until an ACK of something sent once
    @ESTABLISHED
    send 5
    > ACK 1 1 len=5
    > in=1 ACK 1 1 len=5
    > in=2 ACK 1 1 len=5
    < ACK 1 6
    send 5
    > ACK 6 1 len=5
    > in=4 ACK 6 1 len=5
    < ACK 1 11
    send 5
    > ACK 11 1 len=5
    < ACK 1 16
    send 5
    > ACK 16 1 len=5
    > in=1 ACK 16 1 len=5

-- the timer is restarted by an ACK of new data (5.3), not by a duplicate | rack=False
    connect
    > SYN 0
    < SYN,ACK 0 1 opt=mss:1000
    > ACK 1 1
    send 3000
    > ACK 1 1 len=1000
    > ACK 1001 1 len=1000
    > ACK 2001 1 len=1000
    +0.5
    < ACK 1 1001
    +0.4
    < ACK 1 1001
    > in=0.6 ACK 1001 1 len=1000

-- a slow path: RTO = SRTT + 4 RTTVAR = R + 4 R/2 (RFC 6298 2.2) | frto=False
    connect
    > SYN 0
    +0.8
    < SYN,ACK 0 1
    > ACK 1 1
    send 5
    > ACK 1 1 len=5
    > in=2.4 ACK 1 1 len=5

-- FIN is repeated like data
    @ESTABLISHED
    shutdown
    > FIN,ACK 1 1
    > in=1 FIN,ACK 1 1
    > in=2 FIN,ACK 1 1
    < ACK 1 2
    = FIN_WAIT_2

-- the user timeout can be chosen late (MUST-21); it sends no RST | user_timeout=300000000000
    @ESTABLISHED
    ! connected
    set user_timeout=2000000000
    send 5
    > ACK 1 1 len=5
    > in=1 ACK 1 1 len=5
    +1.01
    = CLOSED
    ! timed out
    < ACK 1 6
    > RST 6

-- the user timeout is "for any state" (3.10.8), SYN_SENT too | user_timeout=5000000000
    connect
    > SYN 0
    > in=1 SYN 0
    > in=2 SYN 0
    +2.01
    = CLOSED
    ! timed out

-- the user timeout is made shorter while something is outstanding
    @ESTABLISHED
    ! connected
    send 5
    > ACK 1 1 len=5
    > in=1 ACK 1 1 len=5
    set user_timeout=2000000000
    +1.01
    = CLOSED
    ! timed out

-- the user timeout is made longer while something is outstanding | user_timeout=2000000000
    @ESTABLISHED
    send 5
    > ACK 1 1 len=5
    set user_timeout=5000000000
    > in=1 ACK 1 1 len=5
    > in=2 ACK 1 1 len=5
    = ESTABLISHED
    +2.01
    = CLOSED

-- zero window: probes after RTO, then ever later (3.8.6.1, MUST-36, SHLD-29, SHLD-30); acknowledged, for ever (MUST-37)
    @ESTABLISHED
    ! connected
    < ACK 1 1 win=0
    send 5
    > in=1 ACK 1 1 len=1
    < ACK 1 1 win=0
    > in=2 ACK 1 1 len=1
    < ACK 1 1 win=0
    > in=4 ACK 1 1 len=1
    < ACK 1 1 win=0
    > in=8 ACK 1 1 len=1
    < ACK 1 1 win=0
    > in=16 ACK 1 1 len=1
    < ACK 1 1 win=0
    > in=32 ACK 1 1 len=1
    < ACK 1 1 win=0
    > in=60 ACK 1 1 len=1
    < ACK 1 1 win=0
    > in=60 ACK 1 1 len=1
    < ACK 1 1 win=0
    > in=60 ACK 1 1 len=1
    < ACK 1 1 win=0
    > in=60 ACK 1 1 len=1
    < ACK 1 1 win=0
    > in=60 ACK 1 1 len=1
    < ACK 1 1 win=0
    = ESTABLISHED
    < ACK 1 1 win=100
    > ACK 1 1 len=1
    < ACK 1 2 win=100
    > ACK 2 1 len=4

-- zero window: the probe's octet may be taken
    @ESTABLISHED
    < ACK 1 1 win=0
    send 5
    > in=1 ACK 1 1 len=1
    < ACK 1 2 win=0
    > in=1 ACK 2 1 len=1
    < ACK 1 3 win=10
    > ACK 3 1 len=3

-- zero window without answers: given up after the user timeout
    @ESTABLISHED
    ! connected
    < ACK 1 1 win=0
    send 5
    > in=1 ACK 1 1 len=1
    > in=2 ACK 1 1 len=1
    > in=4 ACK 1 1 len=1
    > in=8 ACK 1 1 len=1
    > in=16 ACK 1 1 len=1
    > in=32 ACK 1 1 len=1
    > in=60 ACK 1 1 len=1
    > in=60 ACK 1 1 len=1
    > in=60 ACK 1 1 len=1
    +57.1
    = CLOSED
    ! timed out

-- zero window and FIN: the FIN needs room too; it is the probe
    @ESTABLISHED
    < ACK 1 1 win=0
    shutdown
    > in=1 FIN,ACK 1 1
    < ACK 1 2 win=0
    = FIN_WAIT_2

-- a window that shrank (MUST-34): what is beyond waits, the connection stands | rack=False frto=False
    connect
    > SYN 0
    < SYN,ACK 0 1 opt=mss:1000
    > ACK 1 1
    send 4000
    > ACK 1 1 len=1000
    > ACK 1001 1 len=1000
    > ACK 2001 1 len=1000
    > ACK 3001 1 len=1000
    < ACK 1 1 win=500
    < ACK 1 1001 win=0
    = ESTABLISHED
    > in=1 ACK 1001 1 len=1000
    < ACK 1 4001 win=4000
    send 5
    > ACK 4001 1 len=5

-- keep-alive is off unless asked for (MUST-25)
    @ESTABLISHED
    +1000000
    = ESTABLISHED

-- keep-alive: an old number without data; any answer will do; none ends it (3.8.4) | keepalive=7200000000000
    @ESTABLISHED
    ! connected
    > in=7200 ACK 0 1
    < ACK 1 1
    > in=7200 ACK 0 1
    > in=75 ACK 0 1
    > in=75 ACK 0 1
    < ACK 1 1 len=5
    > ACK 1 6
    ! readable
    > in=7200 ACK 0 6
    > in=75 ACK 0 6
    > in=75 ACK 0 6
    > in=75 ACK 0 6
    > in=75 ACK 0 6
    > in=75 ACK 0 6
    > in=75 ACK 0 6
    > in=75 ACK 0 6
    > in=75 ACK 0 6
    > in=75 RST,ACK 1 6
    = CLOSED
    ! timed out

-- keep-alive can be asked for late, and refused
    @ESTABLISHED
    +100
    set keepalive=7200000000000
    > in=7100 ACK 0 1
    < ACK 1 1
    > in=7200 ACK 0 1
    < ACK 1 1

-- a peer that answers a keep-alive with RST: reset | keepalive=7200000000000
    @ESTABLISHED
    ! connected
    > in=7200 ACK 0 1
    < RST 1
    = CLOSED
    ! reset

-- TIME_WAIT lasts 2 MSL (3.6, MUST-13), restarted by the peer's FIN (eighth step)
    @TIME_WAIT
    +200
    < FIN,ACK 1 2
    > ACK 2 2
    +239
    = TIME_WAIT
    +2
    = CLOSED
    < FIN,ACK 1 2
    > RST 2

-- TIME_WAIT is not prolonged by other segments
    @TIME_WAIT
    +200
    < ACK 1 2 len=0
    > ACK 2 2
    < ACK 2 2
    < SYN -5
    > ACK 2 2
    +41
    = CLOSED

-- FIN_WAIT_2 after shutdown waits as long as the peer likes
    @FIN_WAIT_2
    +100000
    = FIN_WAIT_2
    < FIN,ACK 1 2 len=5
    > ACK 2 7
    = TIME_WAIT

-- challenges have a limit (RFC 5961 7, ACK throttling): ten in five seconds
    @ESTABLISHED
    < SYN 1
    > ACK 1 1
    < RST 2
    > ACK 1 1
    < ACK 1 2
    > ACK 1 1
    < SYN 9
    > ACK 1 1
    < SYN 9
    > ACK 1 1
    < SYN 9
    > ACK 1 1
    < SYN 9
    > ACK 1 1
    < SYN 9
    > ACK 1 1
    < RST 9
    > ACK 1 1
    < SYN 9
    > ACK 1 1
    < SYN 9
    < RST 9
    < ACK 1 2
    +5.1
    < RST 9
    > ACK 1 1
"""


@pytest.mark.parametrize(("choices", "script"), [pytest.param(c, s, id=n) for n, c, s in scripts(SCRIPTS)])
def test_scripts(choices: dict[str, Any], script: str) -> None:
    play(script, BARE, numbers=NUMBERS[1:], **choices)


@pytest.mark.parametrize("state", WAY)
def test_a_timer_called_for_nothing_does_nothing(state: str) -> None:
    player = play(WAY[state], BARE, numbers=NUMBERS[:1])
    host, now = player.host, player.now
    before = host.next_timer()
    for _ in range(3):
        host.timer_fired(now)
        assert host.take_output(now) == []
    assert host.next_timer() == before
    assert str(player.state) == state.split()[0]
    player.events()
    host.timer_fired(now - 1_000_000)  # a clock that stepped back
    assert host.take_output(now) == []


@pytest.mark.parametrize("state", WAY)
def test_next_timer_leads_to_an_end(state: str) -> None:
    """Called whenever it asks, each state comes to rest, and never asks for the same moment twice."""
    player = play(WAY[state], BARE, numbers=NUMBERS[:1])
    host, now, calls = player.host, player.now, 0
    while (when := host.next_timer()) is not None:
        assert when > now
        now = when
        host.timer_fired(now)
        host.take_output(now)
        calls += 1
        assert calls < 100


def test_octets_and_records_are_the_same() -> None:
    """What is given as octets of an IP packet is answered as the record would be."""
    answers = []
    for octets in (False, True):
        host = Host([V4[0]], b"letters in packets", BARE)
        host.listen(80)
        syn = Packet(V4[1], V4[0], 4000, 80, 1, 0, 2, 5000, b"\x02\x04\x03\xe8")
        host.receive(syn.write() if octets else syn, 0)
        answers.append(host.take_output(0))
    assert answers[0] == answers[1] != []
