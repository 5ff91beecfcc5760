"""Data by the letter: overlap and order, windows, silly windows, Nagle, delayed ACK, urgent, ECN, stamps, SACK."""

from __future__ import annotations

from typing import Any

import pytest

from synfin.tcp import Config
from tests.tcp.letter import BARE, play, scripts

#: Pieces (first octet, size) of a stream of 40 as they arrive, and what each is answered with: the number acknowledged.
#: RFC 9293 3.10.7.4: segments may be trimmed and held; RFC 5681 4.2: an ACK at once for each that fills or makes a gap.
ORDERS = {
    "in order": ((1, 20, 21), (21, 20, 41)),
    "swapped": ((21, 20, 1), (1, 20, 41)),
    "three backwards": ((31, 10, 1), (11, 20, 1), (1, 10, 41)),
    "twice": ((1, 20, 21), (1, 20, 21), (21, 20, 41)),
    "overlap left": ((1, 20, 21), (11, 30, 41)),
    "covers what came": ((1, 20, 21), (1, 40, 41)),
    "inside what came": ((1, 40, 41), (11, 10, 41)),
    "hole filled exactly": ((1, 10, 11), (21, 20, 11), (11, 10, 41)),
    "hole filled, left too long": ((1, 10, 11), (21, 20, 11), (6, 15, 41)),
    "hole filled, right too long": ((1, 10, 11), (21, 20, 11), (11, 25, 41)),
    "hole filled by all": ((1, 10, 11), (21, 20, 11), (1, 40, 41)),
    "hole filled in two": ((21, 20, 1), (11, 10, 1), (1, 10, 41)),
    "hole filled in part": ((21, 20, 1), (1, 10, 11), (11, 5, 16), (16, 5, 41)),
    "held twice": ((21, 20, 1), (21, 20, 1), (1, 20, 41)),
    "held, overlap left": ((21, 10, 1), (16, 10, 1), (1, 15, 31), (31, 10, 41)),
    "held, overlap right": ((21, 10, 1), (26, 15, 1), (1, 20, 41)),
    "held, around": ((21, 5, 1), (16, 25, 1), (1, 15, 41)),
    "held, inside": ((11, 30, 1), (21, 5, 1), (1, 10, 41)),
    "held, bridge": ((11, 5, 1), (31, 10, 1), (16, 15, 1), (1, 10, 41)),
    "held, bridge with overlap": ((11, 5, 1), (31, 10, 1), (13, 20, 1), (1, 10, 41)),
    "octet by octet": tuple((i, 1, i + 1) for i in range(1, 41)),
    "octets backwards": (*((i, 1, 1) for i in range(40, 1, -1)), (1, 1, 41)),
    "every second, then the others": (
        *((i, 1, 1) for i in range(2, 41, 2)), *((i, 1, i + 2) for i in range(1, 41, 2)),
    ),
    "before the first": ((-9, 20, 11), (11, 30, 41)),
    "seven holes": (*((i, 3, 1) for i in range(6, 41, 5)), (1, 40, 41)),
}  # fmt: skip


@pytest.mark.parametrize("fin", [False, True], ids=["", "fin"])
@pytest.mark.parametrize("way", ["ESTABLISHED", "FIN_WAIT_2", "SYN_RECEIVED"])
@pytest.mark.parametrize("order", ORDERS)
def test_orders(order: str, way: str, fin: bool) -> None:
    """With a FIN on each piece that ends with the last octet the stream ends once, whatever the order."""
    end = 2 if way == "FIN_WAIT_2" else 1
    lines = [f"@{way}"]
    for first, size, ack in ORDERS[order]:
        last = fin and first + size == 41
        done = fin and ack == 41
        lines.append(f"< {'FIN,' if last else ''}ACK {first} {end} len={size}")
        lines.append(f"> ACK {end} {42 if done else ack}")
    if way == "SYN_RECEIVED":
        lines.append("accept")
    lines += ["recv 40", "recv 0"]
    after = {"ESTABLISHED": "CLOSE_WAIT", "FIN_WAIT_2": "TIME_WAIT", "SYN_RECEIVED": "CLOSE_WAIT"}[way]
    lines.append("= " + (after if fin else way.replace("SYN_RECEIVED", "ESTABLISHED")))
    play("\n".join(lines), BARE)


SCRIPTS = """
-- the window is what is free; beyond it is cut (MUST-30...)
    @ESTABLISHED
    < ACK 1 1 len=3000
    > ACK 1 3001 win=1000
    < ACK 3001 1 len=1500
    > ACK 1 4001 win=0
    < ACK 4001 1 len=10
    > ACK 1 4001 win=0
    < ACK 4001 1
    < ACK 4000 1 len=1
    > ACK 1 4001 win=0
    recv 4000
    > ACK 1 4001 win=4000

-- a closed window still takes RST, and valid ACKs (3.10.7.4, MUST-66)
    @ESTABLISHED
    < ACK 1 1 len=4000
    > ACK 1 4001 win=0
    send 10
    > ACK 1 4001 len=10
    < ACK 4001 11
    < ACK 4002 11
    > ACK 11 4001 win=0
    < RST 4002
    < RST 4001
    = CLOSED

-- in a closed window the ACK of a segment with data counts, its data does not (MUST-66)
    @ESTABLISHED
    < ACK 1 1 len=4000
    > ACK 1 4001 win=0
    send 500
    > ACK 1 4001 len=500
    < ACK 4001 501 len=1
    > ACK 501 4001 win=0
    +30

-- the receiver's silly window: no step below min(half the buffer, MSS) (3.8.6.2.2, MUST-39)
    @ESTABLISHED
    < ACK 1 1 len=4000
    > ACK 1 4001 win=0
    take 535  # the peer announced no MSS: 536
    < ACK 4001 1 len=1
    > ACK 1 4001 win=0
    take 1
    > ACK 1 4001 win=536
    take 10
    < ACK 4001 1 len=1000
    > ACK 1 4537 win=0

-- the window's right edge never moves left (SHLD-14)
    @ESTABLISHED
    < ACK 1 1 len=100
    > ACK 1 101 win=3900
    < ACK 201 1 len=100
    > ACK 1 101 win=3900
    < ACK 101 1 len=100
    > ACK 1 301 win=3700
    take 100
    < ACK 301 1 len=100
    > ACK 1 401 win=3600

-- the sender's silly window: neither a full segment nor half the window: wait, then send (3.8.6.2.1, MUST-38)
    listen
    < SYN 0 win=1500 opt=mss:1000
    > SYN,ACK 0 1
    < ACK 1 1 win=1500
    accept
    send 3000
    > ACK 1 1 len=1000
    < ACK 1 1001 win=400
    +0.09
    > in=0.91 ACK 1001 1 len=400
    < ACK 1 1401 win=1500
    > ACK 1401 1 len=1000

-- half of the largest window is worth a segment (3.8.6.2.1)
    listen
    < SYN 0 win=800 opt=mss:1000
    > SYN,ACK 0 1
    < ACK 1 1 win=800
    accept
    send 3000
    > ACK 1 1 len=800
    < ACK 1 801 win=400
    > ACK 801 1 len=400

-- Nagle: one small segment outstanding, others wait (3.7.4)
    @ESTABLISHED
    send 5
    > ACK 1 1 len=5
    send 5
    send 6
    < ACK 1 6
    > ACK 6 1 len=11
    < ACK 1 17
    send 5
    > ACK 17 1 len=5

-- Nagle: full segments go, the rest waits
    connect
    > SYN 0
    < SYN,ACK 0 1 opt=mss:1000
    > ACK 1 1
    send 5
    > ACK 1 1 len=5
    send 1005
    > ACK 6 1 len=1000
    < ACK 1 1006
    > ACK 1006 1 len=5

-- Nagle off (MUST-17) | nodelay=True
    @ESTABLISHED
    send 5
    > ACK 1 1 len=5
    send 5
    > ACK 6 1 len=5

-- Nagle off on a standing connection sends what waits
    @ESTABLISHED
    send 5
    > ACK 1 1 len=5
    send 5
    set nodelay=1
    > ACK 6 1 len=5

-- Nagle does not keep back what a FIN ends
    @ESTABLISHED
    send 5
    > ACK 1 1 len=5
    send 5
    shutdown
    > FIN,ACK 6 1 len=5
    = FIN_WAIT_1

-- PSH ends what the user sent (MUST-60)
    @ESTABLISHED
    send 5
    > ACK 1 1 len=5

-- delayed ACK: below half a second (MUST-40) | delayed_ack=200000000
    @ESTABLISHED
    < ACK 1 1 len=5
    > in=0.2 ACK 1 6
    < ACK 6 1 len=5
    < ACK 11 1 len=5
    > in=0.2 ACK 1 16

-- delayed ACK: at least every second full segment (SHLD-19) | delayed_ack=200000000 receive_buffer=20000
    @ESTABLISHED
    < ACK 1 1 len=1000
    < ACK 1001 1 len=1000
    > ACK 1 2001
    < ACK 2001 1 len=1000
    > in=0.2 ACK 1 3001

-- delayed ACK: rides on data | delayed_ack=200000000
    @ESTABLISHED
    < ACK 1 1 len=5
    send 5
    > ACK 1 6 len=5
    +0.3

-- delayed ACK: none for gaps, their filling, duplicates, FIN (RFC 5681 4.2) | delayed_ack=200000000
    @ESTABLISHED
    < ACK 11 1 len=5
    > ACK 1 1
    < ACK 1 1 len=10
    > ACK 1 16
    < ACK 1 1 len=10
    > ACK 1 16
    < FIN,ACK 16 1
    > ACK 1 17

-- delayed ACK: partial filling of a gap at once | delayed_ack=200000000
    @ESTABLISHED
    < ACK 11 1 len=5
    > ACK 1 1
    < ACK 1 1 len=5
    > ACK 1 6

-- urgent data out: the pointer is past its last octet (3.1, RFC 6093)
    @ESTABLISHED
    urgent 5
    > ACK,URG 1 1 len=5 urg=5
    < ACK 1 6
    send 5
    > ACK 6 1 len=5

-- urgent data of more than a segment: the pointer says how far, from the first (3.1); no Nagle for it
    connect
    > SYN 0
    < SYN,ACK 0 1 opt=mss:1000
    > ACK 1 1
    urgent 1500
    > ACK,URG 1 1 len=1000 urg=1500
    > ACK,URG 1001 1 len=500 urg=500

-- urgent into a closed window: told at once, without data (3.8.6.1...)
    @ESTABLISHED
    ! connected
    < URG,ACK 1 1 len=5 urg=5
    > ACK 1 6
    ! urgent, readable
    recv 5
    < URG,ACK 6 1 urg=3
    ! urgent
    < ACK 6 1 len=5
    > ACK 1 11
    ! readable
    recv 5
    < URG,ACK 11 1 len=1 urg=65535
    > ACK 1 12

-- a pointer without URG is nobody's business; URG with nothing more counts while "in advance of the data consumed"
    @ESTABLISHED
    ! connected
    < ACK 1 1 len=5 urg=4
    > ACK 1 6
    ! readable
    < URG,ACK 6 1 urg=0
    ! urgent
    recv 5
    < URG,ACK 6 1 urg=0
    ! -

-- ECN asked for (RFC 3168 6.1): codes on new data only; ECE until CWR; CWR once | ecn="ask"
    connect
    > SYN,ECE,CWR 0 ecn=0
    < SYN,ACK,ECE 0 1
    > ACK 1 1 ecn=0
    send 5
    > ACK 1 1 len=5 ecn=2
    > in=1 ACK 1 1 len=5 ecn=0
    < ACK 1 6
    < ACK 1 6 len=5 ecn=3
    > ACK,ECE 6 6 ecn=0
    < ACK 6 6 len=5 ecn=2
    > ACK,ECE 6 11
    < ACK,CWR 11 6 len=5 ecn=2
    > ACK 6 16
    < ACK,CWR 16 6 len=5 ecn=3
    > ACK,ECE 6 21

-- ECE answered by CWR with the next new data | ecn="ask"
    connect
    > SYN,ECE,CWR 0
    < SYN,ACK,ECE 0 1
    > ACK 1 1
    send 5
    > ACK 1 1 len=5
    < ACK,ECE 1 6
    send 5
    > ACK,CWR 6 1 len=5
    < ACK 1 11
    send 5
    > ACK 11 1 len=5

-- ECN granted when asked for
    listen
    < SYN,ECE,CWR 0
    > SYN,ACK,ECE 0 1 ecn=0
    < ACK 1 1
    accept
    send 5
    > ACK 1 1 len=5 ecn=2

-- ECN: a SYN with ECE alone asks for nothing
    listen
    < SYN,ECE 0
    > SYN,ACK 0 1
    < ACK 1 1
    accept
    send 5
    > ACK 1 1 len=5 ecn=0

-- ECN: a peer that gives our flags back is broken: off (RFC 3168 6.1.1) | ecn="ask"
    connect
    > SYN,ECE,CWR 0
    < SYN,ACK,ECE,CWR 0 1
    > ACK 1 1
    send 5
    > ACK 1 1 len=5 ecn=0

-- ECN off | ecn="off"
    listen
    < SYN,ECE,CWR 0
    > SYN,ACK 0 1
    < ACK 1 1
    accept
    < ACK 1 1 len=5 ecn=3
    > ACK 1 6

-- stamps (RFC 7323 4.3): TS.Recent moves only by segments that begin at or before the last ACK | timestamps=True
    listen
    < SYN 0 opt=ts:100:0
    > SYN,ACK 0 1 opt=mss:1000,ts:100
    < ACK 1 1 opt=ts:101:0
    < ACK 1 1 len=5 opt=ts:102:0
    > ACK 1 6 opt=ts:102
    < ACK 11 1 len=5 opt=ts:104:0
    > ACK 1 6 opt=ts:102
    < ACK 6 1 len=5 opt=ts:103:0
    > ACK 1 16 opt=ts:103

-- PAWS (RFC 7323 5.3 R1): an old stamp: ACK and drop; RST is not judged by it | timestamps=True
    listen
    < SYN 0 opt=ts:100:0
    > SYN,ACK 0 1
    < ACK 1 1 opt=ts:100:0
    < ACK 1 1 len=5 opt=ts:99:0
    > ACK 1 1 opt=ts:100
    < ACK 1 1 len=5 opt=ts:100:0
    > ACK 1 6 opt=ts:100
    accept
    < RST 6 opt=ts:1:0
    = CLOSED

-- PAWS round the circle | timestamps=True
    listen
    < SYN 0 opt=ts:4294967290:0
    > SYN,ACK 0 1 opt=mss:1000,ts:4294967290
    < ACK 1 1 opt=ts:4294967295:0
    < ACK 1 1 len=5 opt=ts:0:0
    > ACK 1 6 opt=ts:0
    < ACK 6 1 len=5 opt=ts:4294967295:0
    > ACK 1 6 opt=ts:0

-- PAWS: half the circle back is old, half forward is new | timestamps=True
    listen
    < SYN 0 opt=ts:0:0
    > SYN,ACK 0 1
    < ACK 1 1 opt=ts:0:0
    < ACK 1 1 len=5 opt=ts:2147483647:0
    > ACK 1 6 opt=ts:2147483647
    < ACK 6 1 len=5 opt=ts:4294967294:0
    > ACK 1 11 opt=ts:4294967294
    < ACK 11 1 len=5 opt=ts:2147483647:0
    > ACK 1 11 opt=ts:4294967294
    < ACK 11 1 len=5 opt=ts:2147483646:0  # exactly half: 0 < t - s < 2^31 is not so
    > ACK 1 16 opt=ts:2147483646

-- PAWS: after 24 days of silence every stamp is taken (RFC 7323 5.5) | timestamps=True
    listen
    < SYN 0 opt=ts:100:0
    > SYN,ACK 0 1
    < ACK 1 1 opt=ts:100:0
    +2160000
    < ACK 1 1 len=5 opt=ts:50:0
    > ACK 1 6 opt=ts:50
    < ACK 6 1 len=5 opt=ts:51:0
    > ACK 1 11 opt=ts:51

-- PAWS: after 20 days it is old | timestamps=True
    listen
    < SYN 0 opt=ts:100:0
    > SYN,ACK 0 1
    < ACK 1 1 opt=ts:100:0
    +1728000
    < ACK 1 1 len=5 opt=ts:50:0
    > ACK 1 1 opt=ts:100

-- no stamp on a connection with stamps: dropped, never aborted (RFC 7323 3.2); RST counts | timestamps=True
    listen
    < SYN 0 opt=ts:100:0
    > SYN,ACK 0 1
    < ACK 1 1 opt=ts:100:0
    < ACK 1 1 len=5
    < FIN,ACK 1 1
    = ESTABLISHED
    accept
    < RST 1
    = CLOSED

-- a malformed stamp is no stamp | timestamps=True
    listen
    < SYN 0 opt=ts:100:0
    > SYN,ACK 0 1
    < ACK 1 1 opt=ts:100:0
    < ACK 1 1 len=5 opt=x0809000000650000000000
    = ESTABLISHED

-- stamps in every segment, the RST too | timestamps=True
    connect
    > SYN 0 opt=mss:1000,ts:0
    < SYN,ACK 0 1 opt=ts:7:0
    > ACK 1 1 opt=ts:7
    send 5
    > ACK 1 1 len=5 opt=ts:7
    abort
    > RST,ACK 6 1 opt=ts:7

-- SACK out (RFC 2018 4): the newest block first, the others by how new; four at most | sack=True
    listen
    < SYN 0 opt=sackok
    > SYN,ACK 0 1 opt=mss:1000,sackok
    < ACK 1 1
    < ACK 11 1 len=5
    > ACK 1 1 opt=sack:11:16
    < ACK 21 1 len=5
    > ACK 1 1 opt=sack:21:26:11:16
    < ACK 31 1 len=5
    > ACK 1 1 opt=sack:31:36:21:26:11:16
    < ACK 41 1 len=5
    > ACK 1 1 opt=sack:41:46:31:36:21:26:11:16
    < ACK 51 1 len=5
    > ACK 1 1 opt=sack:51:56:41:46:31:36:21:26
    < ACK 16 1 len=5
    > ACK 1 1 opt=sack:11:26:51:56:41:46:31:36
    < ACK 1 1 len=10
    > ACK 1 26 opt=sack:51:56:41:46:31:36
    < ACK 26 1 len=25
    > ACK 1 56 opt=sack:31:36  # came twice

-- D-SACK (RFC 2883 4) first: below the ACK, or within the block that follows | sack=True
    listen
    < SYN 0 opt=sackok
    > SYN,ACK 0 1
    < ACK 1 1
    < ACK 1 1 len=10
    > ACK 1 11 opt=
    < ACK 1 1 len=10
    > ACK 1 11 opt=sack:1:11
    < ACK 21 1 len=10
    > ACK 1 11 opt=sack:21:31
    < ACK 21 1 len=5
    > ACK 1 11 opt=sack:21:26:21:31
    < ACK 6 1 len=10
    > ACK 1 16 opt=sack:6:11:21:31

-- three duplicates of an ACK: fast retransmit; before: limited transmit (RFC 5681, 3042) | rack=False initial_window=4
    connect
    > SYN 0
    < SYN,ACK 0 1 opt=mss:1000
    > ACK 1 1
    send 10000
    > ACK 1 1 len=1000
    > ACK 1001 1 len=1000
    > ACK 2001 1 len=1000
    > ACK 3001 1 len=1000
    < ACK 1 1
    > ACK 4001 1 len=1000
    < ACK 1 1
    > ACK 5001 1 len=1000
    < ACK 1 1
    > ACK 1 1 len=1000

-- what is no duplicate ACK: data, a new window, FIN, or nothing outstanding (RFC 5681 2) | rack=False initial_window=2
    connect
    > SYN 0
    < SYN,ACK 0 1 opt=mss:1000
    > ACK 1 1
    < ACK 1 1
    < ACK 1 1
    < ACK 1 1
    < ACK 1 1
    send 10000
    > ACK 1 1 len=1000
    > ACK 1001 1 len=1000
    < ACK 1 1 len=1
    > ACK 2001 2
    < ACK 2 1 win=60000
    < ACK 2 1 win=60001
    < ACK 2 1 win=60002
    < ACK 2 1 win=60003

-- an ACK in order after duplicates | initial_window=1
    connect
    > SYN 0
    < SYN,ACK 0 1 opt=mss:1000
    > ACK 1 1
    send 3000
    > ACK 1 1 len=1000
    < ACK 1 1001
    > ACK 1001 1 len=1000
    > ACK 2001 1 len=1000

-- SND.WL1/WL2: an old segment does not move the window (3.10.7.4)
    connect
    > SYN 0
    < SYN,ACK 0 1 opt=mss:1000 win=2000
    > ACK 1 1
    < ACK 11 1 len=5 win=3000
    > ACK 1 1
    < ACK 1 1 len=5 win=1000
    > ACK 1 6
    send 5000
    > ACK 1 6 len=1000
    > ACK 1001 6 len=1000
    > ACK 2001 6 len=1000
"""


@pytest.mark.parametrize(("choices", "script"), [pytest.param(c, s, id=n) for n, c, s in scripts(SCRIPTS)])
def test_scripts(choices: dict[str, Any], script: str) -> None:
    play(script, BARE, **choices)


def test_defaults_are_the_profile() -> None:
    assert Config().initial_rto == Config().min_rto == 10**9
