"""Timers that make an endpoint speak though nothing new happened: tail loss probes, window probes, keep-alives.

RFC 8985 7 (tail loss probe), RFC 9293 3.8.6.1 (zero window), 3.8.6.2.1 (a window that stays too small), 3.8.4
(keep-alive).  What timed out for good is ``recovery``'s and ``connection``'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from synfin.spec.tcp_states import Cause, State
from synfin.tcp import segments
from synfin.tcp.config import MILLISECOND, SECOND
from synfin.tcp.names import NEVER, Kind, Timer
from synfin.tcp.segments import OPENING, SENDING
from synfin.wire.tcpflags import ACK

if TYPE_CHECKING:
    from synfin.tcp.connection import Connection


def arm_probe(c: Connection, now: int) -> None:
    """The probe timeout: two round trips, more where one delayed acknowledgment is to be expected."""
    wait = SECOND
    if c.rtt.smoothed:
        wait = 2 * c.rtt.smoothed
        wait += 200 * MILLISECOND if c.board.pipe <= c.mss else 2 * MILLISECOND
    c.timers[Timer.PROBE] = min(now + wait, now + c.rtt.rto)


def probe(c: Connection, now: int) -> bool:
    """A tail loss probe (RFC 8985 7.3): new data if there is any, the last flight otherwise; whether it was old."""
    queued = min(c.queue.end - c.snd_nxt, c.mss, c.snd_una + c.snd_wnd - c.snd_nxt)
    if queued > 0:
        start = c.snd_nxt
        c.board.sent(start, start + queued, now)
        c.snd_nxt = start + queued
        segments.data(c, start, start + queued, now)
        return False
    flight = c.board.last
    if flight.end - flight.start > c.mss:
        c.board.split(flight, flight.end - c.mss)
        flight = c.board.last
    c.board.resent(flight, now)
    segments.data(c, flight.start, flight.end, now, again=True)
    return True


def persist_timeout(c: Connection, now: int) -> None:
    """The peer's window is closed (3.8.6.1) or too small for long (3.8.6.2.1): send what fits, or one octet."""
    queue = c.queue
    if c.state not in SENDING:
        return
    c.persists += 1
    room = c.snd_una + c.snd_wnd - c.snd_nxt
    if len(c.board):
        flight = c.board.first
        c.board.resent(flight, now)
        segments.data(c, flight.start, flight.end, now, again=True)
    elif queue.end > c.snd_nxt:
        size = min(max(room, 1), queue.end - c.snd_nxt, c.mss)
        start = c.snd_nxt
        c.board.sent(start, start + size, now)
        c.snd_nxt = start + size
        segments.data(c, start, start + size, now, probe=room <= 0)
    elif c.fin_wanted and not c.fin_sent:
        start = c.snd_nxt
        c.board.sent(start, start + 1, now)
        c.snd_nxt = start + 1
        segments.fin_goes(c, now)
        segments.data(c, start, start + 1, now)
    else:
        return
    c.timers[Timer.RETRANSMIT] = NEVER
    c.timers[Timer.PERSIST] = now + min(c.rtt.base << min(c.persists, 16), c.config.max_rto)


def restart_keepalive(c: Connection, now: int) -> None:
    """The idle time begins anew."""
    c.probes = 0
    if c.config.keepalive is not None:
        c.timers[Timer.KEEPALIVE] = now + c.config.keepalive


def keepalive_timeout(c: Connection, now: int) -> None:
    """RFC 9293 3.8.4: after the idle time, probes with an old number, which the peer must answer."""
    idle = c.config.keepalive
    if idle is None or c.state in (State.CLOSED, State.TIME_WAIT, *OPENING):
        return
    if now - c.heard_at < idle:
        c.probes = 0
        c.timers[Timer.KEEPALIVE] = c.heard_at + idle
    elif len(c.board):
        c.timers[Timer.KEEPALIVE] = now + c.config.keepalive_interval  # retransmissions ask already
    elif c.probes >= c.config.keepalive_probes:
        segments.reset(c, now)
        c.fail(Cause.USER_TIMEOUT, Kind.TIMED_OUT, now, "keep-alive probes were not answered")
    else:
        c.probes += 1
        segments.header(c, ACK, c.snd_nxt - 1, b"", now)
        c.timers[Timer.KEEPALIVE] = now + c.config.keepalive_interval
