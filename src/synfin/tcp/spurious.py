"""Was a loss none?  Three ways to learn it after the fact, and to take back what it cost.

F-RTO (RFC 5682): after a timeout new data is sent, and acknowledgments of what was sent once only tell.  Eifel
(RFC 3522): the echoed timestamp is older than the first retransmission, so the original arrived.  D-SACK (RFC 3708):
the peer reports each octet that was sent again as a repeat.  The answer is RFC 4015's: window and threshold as they
were, and what was marked lost counts as in flight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from synfin.spec.tcp_segments import distance

if TYPE_CHECKING:
    from synfin.tcp.arrives import Arrival
    from synfin.tcp.connection import Connection


def begin(c: Connection) -> None:
    """A recovery begins: remember what it takes away."""
    c.saved = c.congestion.save()
    c.again_ts = None
    c.again_start = c.again_end = c.snd_una
    c.again_left = 0


def resent(c: Connection, start: int, end: int, now: int) -> None:
    """Octets went out again in a recovery."""
    if c.saved is not None:
        if c.again_ts is None:
            c.again_ts = c.clock(now)
        c.again_end = max(c.again_end, end)
        c.again_left += end - start


def detect(c: Connection, seg: Arrival, progress: bool, repeat: tuple[int, int] | None) -> None:
    """An acknowledgment arrived; ``repeat`` is the range its D-SACK names."""
    if c.saved is None or c.again_ts is None:
        return
    if repeat is not None and c.again_start <= repeat[0] and repeat[1] <= c.again_end:
        c.again_left -= repeat[1] - repeat[0]
        if c.again_left <= 0:
            undo(c)
            return
    if (
        progress
        and c.recovering
        and c.ts_on
        and seg.opts.ts is not None
        and distance(c.again_ts, seg.opts.ts[1]) < 0
        and (c.recovering == "timeout" or c.snd_una >= c.again_end)
    ):
        undo(c)


def undo(c: Connection) -> None:
    """RFC 4015 3: the windows of before, and nothing is lost that was not sent again."""
    if c.saved is not None:
        c.congestion.undo(c.saved)
    c.saved = None
    if c.recovering:
        c.board.spared()
    c.recovering = ""
    c.frto = 0
    c.board.departed = 0


def forward(c: Connection, progress: bool, duplicate: bool) -> None:
    """F-RTO (RFC 5682 2.1), the steps after the timeout."""
    if duplicate or (c.frto == 1 and c.snd_una >= c.recover):
        c.frto = 0
    elif progress and c.frto == 1:
        c.frto = 2
    elif progress and c.frto == 3:
        undo(c)  # octets that were sent once only are acknowledged
