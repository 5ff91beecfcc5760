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

-- text beyond the peer's FIN is no text, but is answered
    @ESTABLISHED
    < FIN,ACK 11 1
    > ACK 1 1
    < ACK 12 1 len=5
    > ACK 1 1
    < ACK 1 1 len=10
    > ACK 1 12
    = CLOSE_WAIT

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


@pytest.mark.parametrize("v6", [False, True], ids=["v4", "v6"])
@pytest.mark.parametrize(("name", "choices", "script"), scripts(SCRIPTS), ids=[s[0] for s in scripts(SCRIPTS)])
def test_scripts(name: str, choices: dict[str, Any], script: str, v6: bool) -> None:
    play(script, v6=v6, **choices)


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
