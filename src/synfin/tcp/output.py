"""What goes out: segments with data, SYN and FIN, acknowledgments, probes and resets.

``fill`` is asked whenever packets are taken.  First what was lost goes out again, then new octets as far as the peer's
window, the congestion window, the Nagle algorithm and silly-window avoidance allow (RFC 9293 3.7.4, 3.8.6.2.1), then an
acknowledgment if none went with them.  Receive windows never shrink and grow by worthwhile steps (3.8.6.2.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from synfin.spec.tcp_states import State
from synfin.tcp import pathmtu, patience, segments, spurious
from synfin.tcp.names import NEVER, Timer
from synfin.tcp.scoreboard import Flight
from synfin.tcp.segments import OPENING, SENDING

if TYPE_CHECKING:
    from synfin.tcp.connection import Connection

#: Octets of payload a super-segment may have: an IPv4 packet of 65,535 with the longest headers.
LONGEST = 65535 - 120


def fill(c: Connection, now: int) -> None:
    """Put into ``c.out`` what may go out now."""
    state = c.state
    if state in OPENING:
        _opening(c, now)
    elif state in SENDING or state is State.FIN_WAIT_2:
        if c.ack_now and (c.received or c.dsack is not None):
            segments.acknowledge(c, now)  # SACK blocks do not share a segment with data
        if len(c.board) or len(c.queue) or c.fin_wanted:
            _again(c, now)
            _new(c, now)
            _timers(c, now)
    if c.ack_now and state not in (State.CLOSED, State.LISTEN, State.SYN_SENT):
        segments.acknowledge(c, now)


def _opening(c: Connection, now: int) -> None:
    """The SYN of SYN_SENT, the SYN-ACK of SYN_RECEIVED."""
    if not c.due_syn:
        return
    c.due_syn = False
    again = bool(len(c.board))
    if again:
        c.board.resent(c.board.first, now)
    else:
        c.board.sent(c.iss, c.iss + 1, now)
        c.snd_nxt = c.iss + 1
    if c.state == State.SYN_SENT:
        segments.syn(c, now, again)
    else:
        segments.syn_ack(c, now, again)
    if c.timers[Timer.RETRANSMIT] == NEVER:
        c.timers[Timer.RETRANSMIT] = now + c.rtt.rto


def _again(c: Connection, now: int) -> None:
    """Lost flights, lowest first, as the congestion window allows (RFC 6675 5)."""
    board, window = c.board, c.congestion
    if c.frto == 2:
        return
    while (flight := board.next_lost()) is not None:
        pipe = board.pipe - board.departed
        room = window.cwnd - pipe
        first = flight.start == c.snd_una
        if room < min(c.mss, flight.end - flight.start) and not (first and pipe <= 0) and not c.must_resend:
            c.limited = True
            return
        c.must_resend = False
        limit = c.mss
        if c.config.super_segment:
            limit = max(min(room, c.config.super_segment, LONGEST) // c.mss, 1) * c.mss
        if flight.end - flight.start > limit:
            flight = board.split(flight, flight.start + limit)
        resend(c, flight, now)


def resend(c: Connection, flight: Flight, now: int) -> None:
    """One flight once more."""
    c.board.resent(flight, now)
    spurious.resent(c, flight.start, flight.end, now)
    c.timers[Timer.RETRANSMIT] = now + c.rtt.rto if c.timers[Timer.RETRANSMIT] == NEVER else c.timers[Timer.RETRANSMIT]
    segments.data(c, flight.start, flight.end, now, again=True)


def _new(c: Connection, now: int) -> None:
    """Octets, and a FIN, that were not sent before."""
    board, window, queue, mss = c.board, c.congestion, c.queue, c.mss
    extra = 2 * mss if c.frto == 2 else 0  # RFC 5682 2.1 step 2b: two new segments whatever the window
    if c.retries == 0 and not len(board) and c.sent_at and now - c.sent_at > c.rtt.rto:
        window.on_idle(c.config.initial_window * mss)
    c.limited = False
    held = False
    sent = False
    longest = min(c.config.super_segment, LONGEST) // mss * mss
    while True:
        queued = queue.end - c.snd_nxt
        fin = c.fin_wanted and queued >= 0
        if queued <= 0 and not fin:
            break
        room = c.snd_una + c.snd_wnd - c.snd_nxt
        size = min(queued, max(room, 0), mss)
        allowed = window.cwnd + extra - (board.pipe - board.departed)
        if longest > mss and size == mss and c.snd_up <= c.snd_nxt:
            if queued > longest <= allowed and room >= longest:
                size = longest
            elif not (size := _super(c, queued, room, allowed, longest, fin)):
                c.limited = True
                break
        longer = pathmtu.probe(c, now) if c.mtu_range is not None else 0
        if longer and longer <= min(queued, room, allowed):
            size = longer
            pathmtu.sent(c, c.snd_nxt + size, size)
        if queued and allowed < min(size, mss):
            c.limited = True
            break
        whole = size == queued
        fin = fin and whole and room > size
        if size < mss and not (fin and not queued):
            free = not len(board) or c.config.nodelay  # Nagle
            if not size or not (
                (whole and (free or fin or c.snd_up > c.snd_nxt)) or (free and 2 * size >= c.max_snd_wnd)
            ):
                held = room < min(queued, mss) or bool(c.fin_wanted and not queued)
                break
        if not size and not fin:
            held = True
            break
        start = c.snd_nxt
        end = start + size + (1 if fin else 0)
        board.sent(start, end, now)
        c.snd_nxt = end
        if fin:
            segments.fin_goes(c, now)
        segments.data(c, start, end, now)
        sent = True
        c.sent_at = now
        extra = max(extra - size, 0)
    if c.frto == 2:
        c.frto = 3 if sent else 0
        if not sent:
            _again(c, now)
    if sent:
        _arm_probe(c, now)
    if held and not len(board) and c.timers[Timer.PERSIST] == NEVER:
        c.timers[Timer.PERSIST] = now + min(c.rtt.base << min(c.persists, 16), c.config.max_rto)


def _super(c: Connection, queued: int, room: int, allowed: int, longest: int, fin: bool) -> int:
    """Octets of the next super-segment; 0: worth waiting for more room.

    While acknowledgments are on their way, a third of the window is waited for, or acknowledgments of two segments
    would make super-segments of two.  A short tail is for the Nagle algorithm to judge by itself.
    """
    mss = c.mss
    wish = min(queued, longest)
    if allowed < wish and len(c.board) and not c.recovering and 3 * allowed < c.congestion.cwnd and c.frto != 2:
        return 0
    size = min(wish, room, max(allowed // mss, 1) * mss)
    tail = size % mss
    if tail and not (size == queued and (fin or c.config.nodelay)):
        size -= tail
    return size


def _timers(c: Connection, now: int) -> None:
    """The retransmission timer runs while something is outstanding (RFC 6298 5.1), except while probing a window."""
    timers = c.timers
    if len(c.board):
        if timers[Timer.RETRANSMIT] == NEVER and timers[Timer.PERSIST] == NEVER:
            timers[Timer.RETRANSMIT] = now + c.rtt.rto
    else:
        timers[Timer.RETRANSMIT] = timers[Timer.PROBE] = timers[Timer.REORDER] = NEVER


def _arm_probe(c: Connection, now: int) -> None:
    """RFC 8985 7.2: schedule a tail loss probe when new data went out in good times."""
    if c.sack_on and c.config.rack and not c.recovering and c.tlp_end is None and c.state in SENDING:
        patience.arm_probe(c, now)
