"""The timers of a connection in one table (RFC 9293 3.10.8), and what those do that end it or only note something.

What retransmission timers mean is ``recovery``'s; what probes say is ``patience``'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from synfin.spec.tcp_states import Cause, State
from synfin.tcp import patience, recovery
from synfin.tcp.names import NEVER, Kind, Timer
from synfin.tcp.segments import OPENING

if TYPE_CHECKING:
    from synfin.tcp.connection import Connection


def fire(c: Connection, now: int) -> None:
    """Do what is due."""
    for timer, act in _TIMERS:
        if c.timers[timer] <= now:
            c.timers[timer] = NEVER
            act(c, now)


def _delayed_ack(c: Connection, now: int) -> None:
    c.ack_now = True


def _time_wait_over(c: Connection, now: int) -> None:
    c.move(Cause.TIMEOUT_2MSL, now)
    c.finish()


def _user_timeout(c: Connection, now: int) -> None:
    limit = c.patience
    if c.state not in OPENING and not len(c.board) and not len(c.queue) and not (c.fin_wanted and not c.fin_sent):
        return
    if now - c.progress_at < limit:
        c.timers[Timer.USER] = c.progress_at + limit
        return
    c.fail(Cause.USER_TIMEOUT, Kind.TIMED_OUT, now)


def _orphan(c: Connection, now: int) -> None:
    if c.state == State.FIN_WAIT_2:
        c.fail(Cause.USER_TIMEOUT, Kind.TIMED_OUT, now, "the peer did not close")


#: In the order of ``Timer``.
_TIMERS = (
    (Timer.RETRANSMIT, recovery.retransmission_timeout),
    (Timer.PROBE, recovery.tail_probe),
    (Timer.REORDER, recovery.reorder_timeout),
    (Timer.PERSIST, patience.persist_timeout),
    (Timer.DELAYED_ACK, _delayed_ack),
    (Timer.KEEPALIVE, patience.keepalive_timeout),
    (Timer.TIME_WAIT, _time_wait_over),
    (Timer.USER, _user_timeout),
    (Timer.ORPHAN, _orphan),
)
