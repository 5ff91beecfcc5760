"""Closing by the letter: every order of FIN, data, RST and ACK both ways; aborts; TIME_WAIT and its reuse."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tcp.letter import BARE, NUMBERS, WAY, Mismatch, play, scripts

SCRIPTS = """
-- we close first (figure 12)
    @ESTABLISHED
    ! connected
    shutdown
    > FIN,ACK 1 1
    < ACK 1 2
    < FIN,ACK 1 2
    > ACK 2 2
    = TIME_WAIT
    ! peer closed
    +240
    = CLOSED
    ! closed

-- FIN and its ACK in one
    @FIN_WAIT_1
    < FIN,ACK 1 2
    > ACK 2 2
    = TIME_WAIT

-- both close at once (figure 13)
    @FIN_WAIT_1
    < FIN,ACK 1 1
    > ACK 2 2
    = CLOSING
    < ACK 2 2
    = TIME_WAIT

-- both close at once, our ACK is lost: the peer's FIN comes again
    @CLOSING
    < FIN,ACK 1 1
    > ACK 2 2
    < FIN,ACK 1 2
    > ACK 2 2
    < ACK 2 2
    = TIME_WAIT

-- CLOSING repeats its FIN
    @CLOSING
    > in=1 FIN,ACK 1 2
    > in=2 FIN,ACK 1 2
    < ACK 2 2
    = TIME_WAIT

-- the peer closes first
    @ESTABLISHED
    ! connected
    < FIN,ACK 1 1
    > ACK 1 2
    ! peer closed
    recv 0
    shutdown
    > FIN,ACK 1 2
    = LAST_ACK
    < ACK 2 2
    = CLOSED
    ! closed

-- LAST_ACK repeats its FIN; the ACK of it may come late
    @LAST_ACK
    > in=1 FIN,ACK 1 2
    > in=2 FIN,ACK 1 2
    < ACK 2 2
    = CLOSED

-- LAST_ACK: the peer has gone and says RST
    @LAST_ACK
    < RST 2
    = CLOSED

-- half close: we sent FIN, data still comes (3.6)
    @FIN_WAIT_2
    < ACK 1 2 len=1000
    > ACK 2 1001
    < ACK 1001 2 len=1000
    > ACK 2 2001
    recv 2000
    > ACK 2 2001 win=4000
    < FIN,ACK 2001 2 len=10
    > ACK 2 2012
    recv 10
    = TIME_WAIT

-- half close: the peer sent FIN, our data still goes
    @CLOSE_WAIT
    send 5
    > ACK 1 2 len=5
    < ACK 2 6
    send 5
    > ACK 6 2 len=5
    shutdown
    > FIN,ACK 11 2
    < ACK 2 11
    = LAST_ACK
    > in=1 FIN,ACK 11 2
    < ACK 2 12
    = CLOSED

-- FIN after data that waits for a window: data first
    @ESTABLISHED
    < ACK 1 1 win=5
    send 8
    shutdown
    > in=1 ACK 1 1 len=5
    < ACK 1 6 win=100
    > FIN,ACK 6 1 len=3
    < ACK 1 10
    = FIN_WAIT_2

-- FIN lost, data arrived: the FIN alone comes again
    @ESTABLISHED
    send 5
    > ACK 1 1 len=5
    shutdown
    > FIN,ACK 6 1
    < ACK 1 6
    = FIN_WAIT_1
    > in=1 FIN,ACK 6 1
    < ACK 1 7
    = FIN_WAIT_2

-- the peer's data and FIN out of order
    @ESTABLISHED
    < FIN,ACK 11 1 len=5
    > ACK 1 1
    = ESTABLISHED
    < ACK 1 1 len=5
    > ACK 1 6
    < ACK 6 1 len=5
    > ACK 1 17
    = CLOSE_WAIT
    recv 15

-- the peer's FIN ahead of all its data
    @FIN_WAIT_2
    < FIN,ACK 11 2
    > ACK 2 1
    < ACK 1 2 len=10
    > ACK 2 12
    = TIME_WAIT

-- a FIN that lies before one that came: the first counts; data beyond a FIN is nothing
    @ESTABLISHED
    < FIN,ACK 1 1 len=5
    > ACK 1 7
    < ACK 7 1 len=5  # "this should not occur ... ignore the segment text"
    recv 5
    = CLOSE_WAIT

-- text that runs over a FIN that is ahead: "processing is done in SEG.SEQ order", so the text goes first
    @ESTABLISHED
    < FIN,ACK 6 1
    > ACK 1 1
    < ACK 1 1 len=20
    > ACK 1 21
    recv 20
    = ESTABLISHED
    < FIN,ACK 21 1
    > ACK 1 22
    = CLOSE_WAIT

-- the FIN comes again with another ACK
    @CLOSE_WAIT
    send 5
    > ACK 1 2 len=5
    < FIN,ACK 1 6
    > ACK 6 2
    = CLOSE_WAIT

-- close with unread data: RST (3.6.1, SHLD-3)
    @ESTABLISHED
    < ACK 1 1 len=5
    > ACK 1 6
    close
    > RST,ACK 1 6
    = CLOSED
    < ACK 6 1 len=5
    > RST 1

-- close with all data read: FIN; data that comes then: RST (3.6.1, SHLD-3)
    @ESTABLISHED
    < ACK 1 1 len=5
    > ACK 1 6
    recv 5
    close
    > FIN,ACK 1 6
    = FIN_WAIT_1
    < ACK 6 1 len=5
    > RST,ACK 2 6
    = CLOSED

-- close, then the peer's FIN without data: in order
    @ESTABLISHED
    close
    > FIN,ACK 1 1
    < ACK 1 2
    = FIN_WAIT_2
    < FIN,ACK 1 2
    > ACK 2 2
    = TIME_WAIT

-- close, then silence: FIN_WAIT_2 ends after a minute
    @ESTABLISHED
    close
    > FIN,ACK 1 1
    < ACK 1 2
    +59
    = FIN_WAIT_2
    +2
    = CLOSED

-- close with data still to send: the data goes first
    connect
    > SYN 0
    < SYN,ACK 0 1 opt=mss:1000
    > ACK 1 1
    send 5
    > ACK 1 1 len=5
    send 7
    close
    > FIN,ACK 6 1 len=7
    < ACK 1 14
    = FIN_WAIT_2

-- close in CLOSE_WAIT with unread data
    @ESTABLISHED
    < FIN,ACK 1 1 len=5
    > ACK 1 7
    close
    > RST,ACK 1 7
    = CLOSED

-- close twice, shutdown twice
    @FIN_WAIT_1
    shutdown
    close
    = FIN_WAIT_1
    < ACK 1 2
    = FIN_WAIT_2
    shutdown
    close
    = FIN_WAIT_2
    send 5 takes 0

-- shutdown in SYN_SENT deletes (3.10.4)
    connect
    > SYN 0
    shutdown
    = CLOSED
    +10

-- shutdown in SYN_RECEIVED: FIN at once (3.10.4)
    connect
    > SYN 0
    < SYN 0
    > SYN,ACK 0 1
    shutdown
    > FIN,ACK 1 1
    = FIN_WAIT_1
    < ACK 1 1
    = FIN_WAIT_1
    < ACK 1 2
    = FIN_WAIT_2

-- shutdown in SYN_RECEIVED with data waiting: after the data (3.10.4)
    connect
    > SYN 0
    send 5
    < SYN 0
    > SYN,ACK 0 1
    shutdown
    = SYN_RECEIVED
    < SYN,ACK 0 1
    > FIN,ACK 1 1 len=5
    = FIN_WAIT_1

-- RST in every half-closed state tells the user, whose data may be lost
    @FIN_WAIT_1
    ! connected
    < RST 1
    = CLOSED
    ! reset

-- RST in FIN_WAIT_2
    @FIN_WAIT_2
    ! connected
    < RST 1
    = CLOSED
    ! reset

-- RST in CLOSE_WAIT
    @CLOSE_WAIT
    ! connected, peer closed
    < RST 2
    = CLOSED
    ! reset

-- a reset drops what was not sent (3.10.7.4, second)
    @ESTABLISHED
    ! connected
    < ACK 1 1 len=5
    > ACK 1 6
    send 5
    > ACK 1 6 len=5
    send 50
    < RST 6
    ! readable, reset
    = CLOSED
    send 5 takes 0
    +10

-- an old FIN after the connection is forgotten: RST by its ACK
    @LAST_ACK
    < ACK 2 2
    = CLOSED
    < FIN,ACK 1 2
    > RST 2

-- TIME_WAIT: a SYN that is surely new begins anew where somebody listens (3.6.1, MAY-2; RFC 6191)
    listen
    < SYN 0
    > SYN,ACK 0 1
    < ACK 1 1
    accept
    shutdown
    > FIN,ACK 1 1
    < FIN,ACK 1 2
    > ACK 2 2
    = TIME_WAIT
    +10
    < SYN 2
    > SYN,ACK 0 3
    < ACK 3 1
    accept
    = ESTABLISHED

-- TIME_WAIT: a SYN with an old number is answered by an ACK; the peer's RST ends it
    listen
    < SYN 0
    > SYN,ACK 0 1
    < ACK 1 1
    accept
    shutdown
    > FIN,ACK 1 1
    < FIN,ACK 1 2
    > ACK 2 2
    < SYN 1
    > ACK 2 2
    < SYN -1000
    > ACK 2 2
    = TIME_WAIT
    < RST 2
    < SYN 1
    > SYN,ACK 0 2

-- TIME_WAIT where nobody listens: the SYN is challenged
    @TIME_WAIT
    < SYN 5000
    > ACK 2 2
    = TIME_WAIT

-- TIME_WAIT and stamps: a newer stamp makes the SYN new, whatever its number (RFC 6191 2) | timestamps=True
    listen
    < SYN 0 opt=ts:100:0
    > SYN,ACK 0 1
    < ACK 1 1 opt=ts:100:0
    accept
    shutdown
    > FIN,ACK 1 1
    < FIN,ACK 1 2 opt=ts:100:0
    > ACK 2 2
    < SYN -1000 opt=ts:99:0
    > ACK 2 2
    < SYN -1000 opt=ts:101:0
    > SYN,ACK 0 -999

-- TIME_WAIT and stamps: an equal stamp needs a higher number | timestamps=True
    listen
    < SYN 0 opt=ts:100:0
    > SYN,ACK 0 1
    < ACK 1 1 opt=ts:100:0
    accept
    shutdown
    > FIN,ACK 1 1
    < FIN,ACK 1 2 opt=ts:100:0
    > ACK 2 2
    < SYN -1000 opt=ts:100:0
    > ACK 2 2
    < SYN 1000 opt=ts:100:0
    > SYN,ACK 0 1001

-- TIME_WAIT and stamps: a SYN without one (RFC 6191 2: then the number decides) | timestamps=True
    listen
    < SYN 0 opt=ts:100:0
    > SYN,ACK 0 1
    < ACK 1 1 opt=ts:100:0
    accept
    shutdown
    > FIN,ACK 1 1
    < FIN,ACK 1 2 opt=ts:100:0
    > ACK 2 2
    < SYN 1000
    > SYN,ACK 0 1001

-- the user timeout runs while a FIN is not acknowledged
    @FIN_WAIT_1
    > in=1 FIN,ACK 1 1
    > in=2 FIN,ACK 1 1
    > in=4 FIN,ACK 1 1
    > in=8 FIN,ACK 1 1
    > in=16 FIN,ACK 1 1
    > in=32 FIN,ACK 1 1
    > in=60 FIN,ACK 1 1
    > in=60 FIN,ACK 1 1
    > in=60 FIN,ACK 1 1
    +57.1
    = CLOSED
"""


@pytest.mark.parametrize(("choices", "script"), [pytest.param(c, s, id=n) for n, c, s in scripts(SCRIPTS)])
def test_scripts(choices: dict[str, Any], script: str) -> None:
    play(script, BARE, **choices)


#: 3.10.5: ABORT.  A RST <SEQ=SND.NXT> where there is a peer to tell; nothing in the others.
ABORTS = {
    "SYN_SENT": "", "SYN_RECEIVED active": "RST,ACK 1 1", "ESTABLISHED": "RST,ACK 1 1", "FIN_WAIT_1": "RST,ACK 2 1",
    "FIN_WAIT_2": "RST,ACK 2 1", "CLOSE_WAIT": "RST,ACK 1 2", "CLOSING": "", "LAST_ACK": "", "TIME_WAIT": "",
}  # fmt: skip


@pytest.mark.parametrize("state", ABORTS)
def test_abort(state: str) -> None:
    said = f"> {ABORTS[state]}" if ABORTS[state] else ""
    play(f"@{state}\nabort\n{said}\n= CLOSED\nabort\nclose\nshutdown\nsend 5 takes 0\nrecv 0\n+500", BARE)


@pytest.mark.parametrize("state", ["ESTABLISHED", "CLOSE_WAIT"])
def test_abort_with_data_waiting(state: str) -> None:
    """All queued SENDs and RECEIVEs are dropped; the RST is at SND.NXT, not after what was not sent."""
    ack = 1 if state == "ESTABLISHED" else 2
    play(f"@{state}\n< ACK {ack} 1 win=5\nsend 9\n+0.1\nabort\n> RST,ACK 1 {ack}\n= CLOSED", BARE, numbers=NUMBERS)


#: What can happen next on an established connection, as (line, answer): ours first, then the peer's in any order.
def moves() -> list[tuple[str, ...]]:
    from itertools import permutations

    return sorted(set(permutations(("shutdown", "fin", "data", "ack", "datafin"), 4)))


@pytest.mark.parametrize("order", [",".join(order) for order in moves()])
def test_any_order_of_closing_ends(order: str) -> None:
    """However FIN, data and ACK follow each other, the bytes arrive once and the end is one that the RFC knows."""
    player = play(WAY["ESTABLISHED"], BARE, numbers=NUMBERS[1:2])
    seq, fin, ours = 1, False, 1

    def feed(text: str) -> None:
        player.step(f"< {text}")
        player.queue.clear()

    for move in order.split(","):
        if move == "shutdown":
            player.step("shutdown")
            player.queue.clear()
            ours = 2
        elif fin or move == "ack":
            feed(f"ACK {seq} {ours}" if not fin else f"FIN,ACK {seq - 1} {ours}")
        else:
            size = 0 if move == "fin" else 7
            fin = "fin" in move
            feed(f"{'FIN,' if fin else ''}ACK {seq} {ours} len={size}")
            seq += size + fin
    if not fin:
        feed(f"FIN,ACK {seq} {ours}")
        seq += 1
    if ours == 1:
        player.step("shutdown")
        player.queue.clear()
    feed(f"ACK {seq} 2")
    if str(player.state) not in ("TIME_WAIT", "CLOSED"):
        raise Mismatch(f"{order}: {player.state}")
    data = player.socket.recv(player.now)
    assert len(data) == seq - 2
    kinds = player.events()
    assert "peer closed" in kinds
    assert "reset" not in kinds
