"""What RFC 9293 and its friends say where a reader of their text, line by line, found that we did otherwise.

Each script is named by the sentence it holds.
"""

from __future__ import annotations

from typing import Any

import pytest

from synfin.spec.tcp_states import State
from tests.tcp.dialogue import in_state
from tests.tcp.letter import play, scripts

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
