"""Opening by the letter: options of a SYN with every lie, retries, backlog, cookies, reuse, half-open peers."""

from __future__ import annotations

from typing import Any

import pytest

from synfin.tcp import Config
from tests.tcp.letter import NUMBERS, play, scripts

FULL = Config(delayed_ack=0, receive_buffer=65535, rack=False)

#: What a passive opener answers to these options of a SYN: RFC 9293 3.7.1 and 3.2, RFC 7323 2.2, 3.2, RFC 2018 2.
OFFERS = {
    "": "mss:1460",  # an option not received in the SYN is not sent in the SYN-ACK; MSS SHOULD be sent (SHLD-5)
    "mss:1460,sackok,ts:5:0,ws:7": "mss:1460,sackok,ts:5,ws:7",
    "ws:7,ts:5:0,sackok,mss:1460": "mss:1460,sackok,ts:5,ws:7",  # the order does not matter
    "x01,ws:7,x01,x01,sackok,x01": "mss:1460,sackok,ws:7",
    "ws:0": "mss:1460,ws:7",
    "ws:14": "mss:1460,ws:7",
    "ws:15": "mss:1460,ws:7",
    "ws:255": "mss:1460,ws:7",
    "sackok": "mss:1460,sackok",
    "ts:5:0": "mss:1460,ts:5",
    "ts:5:99": "mss:1460,ts:5",  # TSecr without ACK says nothing
    "ts:0:0": "mss:1460,ts:0",
    "ts:4294967295:0": "mss:1460,ts:4294967295",
    "mss:0": "mss:1460",
    "mss:1": "mss:1460",
    "mss:65535": "mss:1460",
    "mss:536,mss:1000": "mss:1460",
    "ws:3,ws:9": "mss:1460,ws:7",
    "sackok,sackok": "mss:1460,sackok",
    "ts:5:0,ts:5:0": "mss:1460,ts:5",
    "xfd04abcd": "mss:1460",  # MUST-6: ignore unknown options without error
    "xfe02,sackok": "mss:1460,sackok",
    "x0303": "mss:1460",  # the value is missing
    "x0304,x0007": "mss:1460",  # MUST-7: survive any length
    "x030207,sackok": "mss:1460",
    "x0302": "mss:1460",
    "x0203": "mss:1460",
    "x020305": "mss:1460",
    "x0200": "mss:1460",
    "x0201": "mss:1460",
    "x02": "mss:1460",
    "xfd": "mss:1460",
    "xfd00": "mss:1460",
    "xfdff": "mss:1460",
    "x02ff05b4": "mss:1460",
    "x0403,x00": "mss:1460",
    "x0401": "mss:1460",
    "x080900000000000000": "mss:1460",
    "x080b000000050000000000": "mss:1460",
    "x080200": "mss:1460",
    "x00,sackok": "mss:1460",  # after End of Option List nothing counts
    "x01010101": "mss:1460",
    "sack:1:2": "mss:1460",  # a SACK is no permission
    "x2212000102030405060708090a0b0c0d0e0f": "mss:1460",  # Fast Open is not known here
    "x13120001020304050607080910111213141516": "mss:1460",  # nor MD5 signatures
}


@pytest.mark.parametrize(("offer", "answer"), OFFERS.items(), ids=range(len(OFFERS)))
def test_options_of_a_syn(offer: str, answer: str) -> None:
    line = f"listen\n< SYN 0 opt={offer}\n> SYN,ACK 0 1 win=65535 opt={answer}\n= SYN_RECEIVED"
    play(line, FULL, numbers=NUMBERS[:1])


#: How long the segments are that go to a peer whose SYN said this (RFC 9293 3.7.1; MUST-15: 536 without MSS).
SIZES = {
    "": 536, "mss:536": 536, "mss:1000": 1000, "mss:1460": 1460, "mss:1461": 1460, "mss:65535": 1460,
    "x02": 536, "x0200": 536, "x020305": 536, "x02ff05b4": 536, "x00,mss:1000": 536,
    "mss:700,mss:1000": 700,
}  # fmt: skip


OPENINGS = {
    "passive": "listen\n< SYN 0 opt={0}\n> SYN,ACK 0 1\n< ACK 1 1\naccept",
    "active": "connect\n> SYN 0\n< SYN,ACK 0 1 opt={0}\n> ACK 1 1",
}


@pytest.mark.parametrize(("offer", "size"), SIZES.items(), ids=range(len(SIZES)))
@pytest.mark.parametrize("way", OPENINGS)
def test_segments_are_as_long_as_the_peer_allows(offer: str, size: int, way: str) -> None:
    play(OPENINGS[way].format(offer) + f"\nsend {size}\n> ACK 1 1 len={size}\nsend 3000\n> ACK {1 + size} 1 len={size}"
         + "".join(f"\n> ACK {1 + size * i} 1 len={size}" for i in range(2, 1 + 3000 // size)),
         FULL, numbers=NUMBERS[:2])  # fmt: skip


@pytest.mark.parametrize("offer", ["mss:0", "mss:1", "mss:0,ts:5:0", "mss:12,ts:5:0", "mss:8,sackok,ws:0"])
def test_a_silly_mss_does_not_stop_the_stream(offer: str) -> None:
    stamp = "ts:6:0" if "ts" in offer else ""
    script = f"listen\n< SYN 0 opt={offer}\n> SYN,ACK 0 1\n< ACK 1 1 opt={stamp}\naccept\nsend 1\n> ACK 1 1 len=1"
    play(script, FULL, numbers=NUMBERS[:1])


SCRIPTS = """
-- a scale above 14 is taken as 14 (RFC 7323 2.3) | window_scale=0 initial_window=30
    connect
    > SYN 0 win=65535 opt=mss:1460,sackok,ts:0,ws:0
    < SYN,ACK 0 1 win=65535 opt=ws:99,mss:1460
    > ACK 1 1
    < ACK 1 1 win=1
    send 40000
    > ACK 1 1 len=1460
    > ACK 1461 1 len=1460
    > ACK 2921 1 len=1460
    > ACK 4381 1 len=1460
    > ACK 5841 1 len=1460
    > ACK 7301 1 len=1460
    > ACK 8761 1 len=1460
    > ACK 10221 1 len=1460
    > ACK 11681 1 len=1460
    > ACK 13141 1 len=1460
    > ACK 14601 1 len=1460

-- the window of a SYN is never scaled (RFC 7323 2.2)
    listen
    < SYN 0 win=1000 opt=ws:7,mss:1460
    > SYN,ACK 0 1 win=65535 opt=ws:7,mss:1460
    < ACK 1 1 win=5 len=128
    > ACK 1 129 win=510
    accept
    send 700
    > ACK 1 129 len=640

-- no scaling when the peer did not offer it
    connect
    > SYN 0 win=65535 opt=mss:1460,sackok,ts:0,ws:7
    < SYN,ACK 0 1 win=1000
    > ACK 1 1 win=65535 opt=
    < ACK 1 1 len=5
    > ACK 1 6 win=65530 opt=

-- no scaling, stamps or SACK when we did not offer them | window_scale=None timestamps=False sack=False
    connect
    > SYN 0 win=65535 opt=mss:1460
    < SYN,ACK 0 1 win=1000 opt=mss:1000,ws:7,sackok,ts:9:0
    > ACK 1 1 win=65535 opt=
    < ACK 1 1 win=1000 len=5 opt=ts:9:0
    > ACK 1 6 win=65530 opt=
    < ACK 10 1 len=5
    > ACK 1 6 win=65530 opt=

-- SACK-permitted, MSS, scale in a segment without SYN are ignored
    connect
    > SYN 0
    < SYN,ACK 0 1 opt=mss:1000
    > ACK 1 1 opt=
    < ACK 1 1 win=1000 opt=mss:10,ws:7,sackok
    < ACK 10 1 len=5
    > ACK 1 1 opt=
    send 1500
    > ACK 1 1 len=1000 opt=

-- a SYN is repeated after 1, 2, 4 ... seconds; the user learns after three minutes (RFC 9293 3.8.3, MUST-23)
    connect
    > SYN 0 opt=mss:1460,sackok,ts:0,ws:7
    > in=1 SYN 0 opt=mss:1460,sackok,ts:0,ws:7
    > in=2 SYN 0
    > in=4 SYN 0
    ! soft error
    > in=8 SYN 0
    > in=16 SYN 0
    > in=32 SYN 0
    > in=60 SYN 0
    = SYN_SENT
    +60
    = CLOSED
    ! timed out

-- a bad ACK in SYN_SENT: a reset at once, the SYN by its timer (3.10.7.3, figure 9)
    connect
    > SYN 0
    +0.5
    < ACK 300 91
    > RST 91
    = SYN_SENT
    > in=0.5 SYN 0
    < SYN,ACK 0 1
    > ACK 1 1
    ! connected

-- the timeout is 3 s after a SYN that was sent again (RFC 6298 5.7)
    connect
    > SYN 0
    > in=1 SYN 0
    < SYN,ACK 0 1
    > ACK 1 1
    send 5
    > ACK 1 1 len=5
    > in=3 ACK 1 1 len=5
    > in=6 ACK 1 1 len=5

-- a SYN-ACK is repeated, and the half-open connection forgotten
    listen
    < SYN 0
    > SYN,ACK 0 1
    > in=1 SYN,ACK 0 1
    > in=2 SYN,ACK 0 1
    > in=4 SYN,ACK 0 1
    > in=8 SYN,ACK 0 1
    > in=16 SYN,ACK 0 1
    > in=32 SYN,ACK 0 1
    > in=60 SYN,ACK 0 1
    +60
    = LISTEN
    < ACK 1 1
    > RST 1

-- a stale SYN (figure 8): reset, LISTEN, and the new SYN
    listen
    < SYN -1000
    > SYN,ACK 0 -999
    < RST -999
    = LISTEN
    < SYN 0
    > SYN,ACK 0 1

-- simultaneous open (figure 7)
    connect
    > SYN 0
    < SYN 0
    > SYN,ACK 0 1
    < SYN,ACK 0 1
    = ESTABLISHED
    ! connected

-- simultaneous open, both first segments lost once
    connect
    > SYN 0
    < SYN 0
    > SYN,ACK 0 1
    > in=1 SYN,ACK 0 1
    < ACK 1 1
    = ESTABLISHED

-- half-open: we are new, the peer sends data (figure 10): a reset
    listen
    < ACK 300 100 len=5
    > RST 100
    = LISTEN

-- half-open: the peer is new, its SYN is challenged, its RST ends us (figure 9)
    @ESTABLISHED
    ! connected
    < SYN 900
    > ACK 1 1
    < RST 1
    = CLOSED
    ! reset

-- a RST for the SYN: refused
    connect
    > SYN 0
    < RST,ACK 0 1
    = CLOSED
    ! refused
    send 5 takes 0
    recv 0

-- data queued in SYN_SENT goes when the connection stands (3.10.2), after the ACK of the SYN-ACK or with it
    connect
    > SYN 0
    send 5
    < SYN,ACK 0 1
    > ACK 1 1 len=5
    = ESTABLISHED

-- data that comes with SYN and is sent again, without SYN
    listen
    < SYN 0 len=5
    > SYN,ACK 0 1
    < ACK 1 1 len=5
    > ACK 1 6
    accept
    recv 5

-- a SYN with data whose SYN-ACK was lost comes again: it does not end what it began
    listen
    < SYN 0 len=5
    > SYN,ACK 0 1
    +0.9
    < SYN 0 len=5
    > in=0.1 SYN,ACK 0 1
    < ACK 1 1 len=5
    > ACK 1 6
    accept
    recv 5

-- a lost last ACK of the handshake: data opens
    listen
    < SYN 0
    > SYN,ACK 0 1
    < ACK 1 1 len=5
    > ACK 1 6
    = ESTABLISHED
    accept
    recv 5

-- the SYN-ACK comes again: it is acknowledged again
    @ESTABLISHED
    < SYN,ACK 0 1
    > ACK 1 1
    = ESTABLISHED

-- a SYN comes again after the connection stands: challenged
    @ESTABLISHED passive
    < SYN 0
    > ACK 1 1
    = ESTABLISHED

-- CLOSE in LISTEN, then nobody listens (3.10.4)
    listen
    unlisten
    < SYN 0
    > RST,ACK 0 1

-- CLOSE in SYN_SENT deletes: no segment
    connect
    > SYN 0
    close
    = CLOSED
    < SYN,ACK 0 1
    > RST 1

-- an MSS of 536 without the option, both ways | timestamps=False
    connect
    > SYN 0 opt=mss:1460,sackok,ws:7
    < SYN,ACK 0 1
    > ACK 1 1
    send 600
    > ACK 1 1 len=536
    < ACK 1 537
    > ACK 537 1 len=64
"""


@pytest.mark.parametrize(("choices", "script"), [pytest.param(c, s, id=n) for n, c, s in scripts(SCRIPTS)])
def test_scripts(choices: dict[str, Any], script: str) -> None:
    play(script, FULL, **choices)
