"""Loss by the letter: RFC 6675, 8985, 5682, 6582 in packets, with SACK blocks of every kind; sizes, PSH, windows."""

from __future__ import annotations

from typing import Any

import pytest

from synfin.tcp import Config
from tests.tcp.letter import NUMBERS, Mismatch, Player, play, scripts

PLAIN = Config(delayed_ack=0, timestamps=False, window_scale=None, rack=False, frto=False)


def segments(first: int, count: int, size: int = 1000, ack: int = 1) -> str:
    return "".join(f"> ACK {first + size * i} {ack} len={size}\n" for i in range(count))


OPEN = "connect\n> SYN 0\n< SYN,ACK 0 1 opt=mss:1000,sackok\n> ACK 1 1\n"
TEN = OPEN + "send 20000\n" + segments(1, 10)

RUNS: dict[str, tuple[dict[str, Any], str]] = {
    # RFC 6675 5: the first two reports let one new segment out each, the third makes the first octets lost
    "one lost": ({}, TEN + """
        < ACK 1 1 opt=sack:1001:2001
        > ACK 10001 1 len=1000
        < ACK 1 1 opt=sack:1001:3001
        > ACK 11001 1 len=1000
        < ACK 1 1 opt=sack:1001:4001
        > ACK 1 1 len=1000
    """),
    # IsLost: (DupThresh - 1) * SMSS octets above are enough, in however few reports
    "one report of three": ({}, TEN + """
        < ACK 1 1 opt=sack:1001:4001
        > ACK 1 1 len=1000
    """),
    "two holes": ({}, TEN + """
        < ACK 1 1 opt=sack:3001:6001,x01
        > ACK 1 1 len=1000
        > ACK 1001 1 len=1000
        > ACK 2001 1 len=1000
        < ACK 1 6001
    """ + segments(10001, 3) + """
    """),
    # RFC 2018 3, 8: a report may be taken back; only the cumulative ACK frees
    "blocks say nothing below SND.UNA": ({}, TEN + """
        < ACK 1 2001 opt=
    """ + segments(10001, 4) + """
        < ACK 1 2001 opt=sack:1:1001
        < ACK 1 2001 opt=sack:1:1001
        < ACK 1 2001 opt=sack:1:1001
        = ESTABLISHED
    """),
    # a timeout sends the first octets, whatever was reported
    "timeout": ({}, TEN + """
        > in=1 ACK 1 1 len=1000
        > in=2 ACK 1 1 len=1000
        < ACK 1 10001
    """ + segments(10001, 2)),
    # RFC 5681 3.1: after a timeout slow start from one segment
    "slow start after a timeout": ({}, OPEN + "send 4000\n" + segments(1, 4) + """
        > in=1 ACK 1 1 len=1000
        < ACK 1 1001
        > ACK 1001 1 len=1000
        > ACK 2001 1 len=1000
        < ACK 1 2001
        > ACK 3001 1 len=1000
        < ACK 1 4001
    """),
    # RFC 8985 7.2: PTO = 2 SRTT, and 200 ms more for a peer that may delay its only ACK; the last segment is sent
    "tail loss probe": ({"rack": True}, "connect\n> SYN 0\n+0.1\n< SYN,ACK 0 1 opt=mss:1000,sackok\n> ACK 1 1\n" + """
        send 500
        > ACK 1 1 len=500
        > in=0.4 ACK 1 1 len=500
        < ACK 1 501
    """),
    "tail loss probe of several": (
        {"rack": True}, "connect\n> SYN 0\n+0.1\n< SYN,ACK 0 1 opt=mss:1000,sackok\n> ACK 1 1\nsend 3000\n"
        + segments(1, 3) + """
        > in=0.202 ACK 2001 1 len=1000
        < ACK 1 3001
    """),
    # RFC 8985 6.2: what was sent before the newest delivered is lost after a quarter of the round trip
    "reordering window": (
        {"rack": True}, "connect\n> SYN 0\n+0.1\n< SYN,ACK 0 1 opt=mss:1000,sackok\n> ACK 1 1\nsend 2000\n"
        + segments(1, 2) + """
        +0.1
        < ACK 1 1 opt=sack:1001:2001
        > in=0.025 ACK 1 1 len=1000
        < ACK 1 2001
    """),
    # RFC 6582 without SACK: a partial ACK means the next hole
    "NewReno": ({"sack": False, "congestion": "newreno"}, TEN + """
        < ACK 1 1001
        > ACK 10001 1 len=1000
        > ACK 11001 1 len=1000
        < ACK 1 1001
        > ACK 12001 1 len=1000
        < ACK 1 1001
        > ACK 13001 1 len=1000
        < ACK 1 1001
        > ACK 1001 1 len=1000
    """),
    # MUST-16: the options count against the MSS, SHLD: 12 octets for a stamp
    "stamps take twelve octets": ({"timestamps": True}, """
        connect
        > SYN 0
        < SYN,ACK 0 1 opt=mss:1000,ts:5:0
        > ACK 1 1
        send 1976
        > ACK 1 1 len=988
        > ACK 989 1 len=988
    """),
    # RFC 3168 6.1.5: a SYN that is sent again may not ask for ECN any more; it may: both are allowed, data is not ECT
    "retransmitted data is not ECT": ({"ecn": "ask"}, """
        connect
        > SYN,ECE,CWR 0
        < SYN,ACK,ECE 0 1 opt=mss:1000
        > ACK 1 1
        send 1000
        > ACK 1 1 len=1000 ecn=2
        > in=1 ACK 1 1 len=1000 ecn=0
        > in=2 ACK 1 1 len=1000 ecn=0
    """),
    # 3.8.6.2.1 and a window in the midst of a segment: what fits half the window goes, the rest waits
    "window updates": ({}, """
        connect
        > SYN 0
        < SYN,ACK 0 1 opt=mss:1000 win=2500
        > ACK 1 1
        send 5000
        > ACK 1 1 len=1000
        > ACK 1001 1 len=1000
        < ACK 1 1001 win=2500
        > ACK 2001 1 len=1000
        < ACK 1 1001 win=3500
        > ACK 3001 1 len=1000
        < ACK 1 4001 win=0
        > in=1 ACK 4001 1 len=1
    """),
}  # fmt: skip


@pytest.mark.parametrize("name", RUNS)
def test_runs(name: str) -> None:
    choices, script = RUNS[name]
    play(script, PLAIN, **choices)


NONSENSE = [
    "sack:5:5", "sack:2001:1001", "sack:1:99999", "sack:20001:21001", "sack:-5000:-4000", "sack:-5000:20001",
    "sack:0:1", "sack:1001:2001:1001:2001", "x050a", "x0502", "x050600000001", "x0508", "sack:1001:2001,sack:1:1",
    "sack:2147483648:2147483649", "sack:1:10002", "x0522" + "00" * 32,
]  # fmt: skip


@pytest.mark.parametrize("rack", [False, True])
@pytest.mark.parametrize("blocks", NONSENSE)
def test_sack_blocks_without_sense(blocks: str, rack: bool) -> None:
    """Whatever a peer reports, the stream goes on, and nothing is taken for received that was not acknowledged."""
    for iss, irs in NUMBERS:
        player = Player(Config(delayed_ack=0, timestamps=False, window_scale=None, rack=rack), iss, irs)
        player.play(TEN)
        player.step(f"< ACK 1 1 opt={blocks}")
        player.step_quietly(4)
        player.step("< ACK 1 1")
        player.step_quietly(4)
        reached = {seq for seq, size in player.sent_again if seq == 1 and size}
        if not reached:
            raise Mismatch(f"{blocks}: the first octets were never sent again")
        player.step("< ACK 1 10001")
        player.step_quietly(1)
        assert str(player.state) == "ESTABLISHED"


def test_push_ends_what_the_user_sent() -> None:
    """MUST-60: PSH on the last segment of a SEND without more to come; not on those before."""
    player = Player(PLAIN, *NUMBERS[0])
    player.play(OPEN)
    player.socket.send(b"x" * 2500, player.now)
    player.socket.shutdown(player.now)
    flags = [packet.flags & 8 for packet in player.host.take_output(player.now)]
    assert flags == [0, 0, 8]


def test_the_ip_header() -> None:
    """MUST-48, MUST-49: the TTL and the Differentiated Services field are the user's."""
    player = Player(Config(ttl=7, dscp=46), *NUMBERS[0])
    player.socket.connect(player.there, 4000, player.now)
    (syn,) = player.host.take_output(player.now)
    assert (syn.ttl, syn.dscp, syn.df) == (7, 46, True)
    assert syn.write()[1] >> 2 == 46
    assert syn.write()[8] == 7


def test_scaled_windows_never_shrink_by_rounding() -> None:
    """RFC 7323 2.4: with a shift of 7 the right edge stays, however few octets come."""
    player = Player(Config(delayed_ack=0, receive_buffer=1 << 20, timestamps=False), *NUMBERS[1])
    player.play("connect\n> SYN 0\n< SYN,ACK 0 1 opt=mss:1000,ws:3\n> ACK 1 1")
    edge, at = 0, 1
    for size in (1, 2, 3, 5, 127, 128, 129, 1000, 1):
        player.step(f"< ACK {at} 1 len={size}")
        at += size
        _, packet = player.queue.pop()
        found = packet.ack - player.irs - 1 + (packet.window << 7) & 0xFFFFFFFF
        assert found >= edge - 127
        edge = max(edge, found)


SCRIPTS = """
-- FIN needs window, RST does not; a FIN in a closed window is not taken
    connect
    > SYN 0
    < SYN,ACK 0 1
    > ACK 1 1 win=65535
    < ACK 1 1 len=65535
    > ACK 1 65536 win=0
    < FIN,ACK 65536 1
    > ACK 1 65536 win=0
    = ESTABLISHED
    recv 65535
    > ACK 1 65536 win=65535
    < FIN,ACK 65536 1
    > ACK 1 65537
    = CLOSE_WAIT

-- a simultaneous open with options: the window of the SYN-ACK is not scaled, the next is | window_scale=7
    connect
    > SYN 0 opt=mss:1460,sackok,ws:7
    < SYN 0 opt=mss:1000,sackok,ws:2
    > SYN,ACK 0 1 opt=mss:1460,sackok,ws:7
    < SYN,ACK 0 1 win=1000 opt=mss:1000,sackok,ws:2
    send 3000
    > ACK 1 1 len=1000
    < ACK 1 1001 win=1000
    > ACK 1001 1 len=1000
    > ACK 2001 1 len=1000
"""


@pytest.mark.parametrize(("choices", "script"), [pytest.param(c, s, id=n) for n, c, s in scripts(SCRIPTS)])
def test_scripts(choices: dict[str, Any], script: str) -> None:
    play(script, PLAIN, **{"receive_buffer": 65535, **choices})
