"""What acknowledgments, timers and ICMP mean for what was sent: RTT, windows, losses, recovery.

One arithmetic for all kinds of recovery: a loss found (by RACK, RFC 8985; by counting, RFC 6675; by three duplicate
acknowledgments, RFC 6582) marks flights lost, the congestion controller lowers its window once a round trip, and
``output`` sends what is lost and what is new as far as window less pipe allows.  A timeout marks everything lost
(RFC 5681 3.1) unless it turns out to have been spurious (``spurious``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from synfin.spec.tcp_segments import unwrap
from synfin.spec.tcp_states import Cause, State
from synfin.tcp import pathmtu, patience, segments, spurious
from synfin.tcp.config import MILLISECOND
from synfin.tcp.names import NEVER, Kind, Timer
from synfin.tcp.options import Options
from synfin.tcp.packet import Icmp
from synfin.wire.tcpflags import ECE, FIN

if TYPE_CHECKING:
    from synfin.tcp.arrives import Arrival
    from synfin.tcp.connection import Connection

#: Duplicate acknowledgments that make a loss (RFC 5681 3.2); early retransmit (RFC 5827) is not done.
_DUP_THRESH = 3


def opened(c: Connection, ack: int, opts: Options, now: int) -> None:
    """Our SYN is acknowledged: first RTT sample, and the initial window if it had to be sent again (RFC 6928 2)."""
    if not len(c.board):
        return
    _, sample, once = c.board.ack(c.iss + 1, now)
    c.snd_una = max(c.snd_una, c.iss + 1)
    if once:
        c.rtt.sample(sample)
    else:
        c.rtt.after_lost_syn()
        if c.retries > 1:
            c.congestion.cwnd = min(c.congestion.cwnd, c.mss)
    c.retries = 0
    c.timers[Timer.RETRANSMIT] = NEVER
    c.recovering = ""


def acknowledged(c: Connection, seg: Arrival, now: int) -> bool:
    """ESTABLISHED's part of the fifth step of 3.10.7.4; False when the segment is to be dropped."""
    ack = seg.ack
    if ack > c.snd_nxt or ack < c.snd_una - c.max_snd_wnd:
        segments.challenge(c, now)  # RFC 5961 5
        return False
    progress = ack > c.snd_una
    board = c.board
    outstanding = c.snd_nxt - c.snd_una
    window_same = seg.window == c.snd_wnd
    delivered = fresh = sample = 0
    repeat: tuple[int, int] | None = None
    if progress:
        delivered, sample, once = board.ack(ack, now)
        c.snd_una = ack
        c.queue.drop(ack)
        if not sample and not once and c.ts_on and seg.opts.ts is not None:
            # RFC 7323 4: the echo tells which transmission it was, in milliseconds.
            sample = (c.clock(now) - seg.opts.ts[1] & 0xFFFFFFFF) * MILLISECOND
            if sample > 60_000 * MILLISECOND:
                sample = 0
    if seg.opts.sack and c.sack_on:
        blocks = [(unwrap(left, c.snd_una), unwrap(right, c.snd_una)) for left, right in seg.opts.sack]
        left, right = blocks[0]
        if left < right and (right <= c.snd_una or any(b0 <= left and right <= b1 for b0, b1 in blocks[1:])):
            repeat = blocks[0]  # RFC 2883 4
            blocks = blocks[1:]
        fresh, sacked_sample = board.sack(blocks, c.snd_una, c.snd_nxt, now)
        sample = sample or sacked_sample
        if repeat is not None:
            board.widen(c.snd_una, c.snd_nxt)
    if sample:
        c.rtt.sample(sample)
        board.min_rtt = c.rtt.least
    _take_window(c, seg, now)
    if seg.flags & ECE and c.ecn_on and not c.recovering and c.snd_una > c.ecn_recover:
        # RFC 3168 6.1.2: as for a loss, once a round trip, whichever of the two told of it.
        c.congestion.on_loss(max(outstanding, c.mss), now)
        _reduced(c)
    duplicate = (
        not progress and ack == c.snd_una and outstanding > 0 and not len(seg.payload) and not seg.flags & FIN
        and (window_same or fresh > 0) and c.timers[Timer.PERSIST] == NEVER
    )  # fmt: skip
    spurious.detect(c, seg, progress, repeat)
    if progress:
        _progress(c, delivered, outstanding, now)
    if c.tlp_end is not None:
        _probe_answered(c, ack, repeat is not None, duplicate, now)
    if duplicate and not c.sack_on:
        _departed(c)
    if c.frto:
        spurious.forward(c, progress, duplicate)
    if len(board):
        lost = _losses(c, now)
        if c.recovering == "fast" and c.sack_on:
            _proportional(c, delivered + fresh, progress and not lost)
    if progress:
        _restart(c, now)
    return True


def _take_window(c: Connection, seg: Arrival, now: int) -> None:
    """SND.WND from segments that are not older than the last that set it."""
    if seg.ack < c.snd_una:
        return
    if c.snd_wl1 < seg.seq or (c.snd_wl1 == seg.seq and c.snd_wl2 <= seg.ack):
        opened_now = seg.window > c.snd_wnd
        c.snd_wnd = seg.window
        c.max_snd_wnd = max(c.max_snd_wnd, seg.window)
        c.snd_wl1, c.snd_wl2 = seg.seq, seg.ack
        if not seg.window:
            c.progress_at = now
        if c.timers[Timer.PERSIST] != NEVER:
            c.progress_at = now  # a closed window is no failure while its owner answers (3.8.6.1)
            if opened_now:
                c.timers[Timer.PERSIST] = NEVER
                c.persists = 0
                c.board.mark_all_lost()
                c.must_resend = True


def _progress(c: Connection, delivered: int, outstanding: int, now: int) -> None:
    """SND.UNA moved."""
    window, board = c.congestion, c.board
    if c.mtu_probe is not None and c.snd_una >= c.mtu_probe[0]:
        pathmtu.succeeded(c)
    c.progress_at = now
    c.retries = 0
    c.persists = 0
    if c.timers[Timer.PERSIST] != NEVER and not len(board):
        c.timers[Timer.PERSIST] = NEVER
    if c.recovering == "fast":
        if c.snd_una >= c.recover:
            window.cwnd = min(window.ssthresh, max(board.pipe, c.mss) + c.mss) if not c.sack_on else window.ssthresh
            _over(c)
        elif not c.sack_on:
            # RFC 6582 3.2 step 3, partial acknowledgment: the next hole is lost too.
            board.departed = max(board.departed - max(delivered - c.mss, 0), 0)
            if len(board):
                _lose_first(c)
                c.must_resend = True
    else:
        grown = delivered
        if c.recovering == "timeout":
            if window.cwnd < window.ssthresh and not c.config.super_segment:
                grown = min(delivered, c.mss)  # RFC 3465 2.3: L = 1 in the slow start after a timeout
            if c.snd_una >= c.recover:
                _over(c)
        if not c.sack_on:
            board.departed = 0
        if c.limited or outstanding + c.mss >= window.cwnd:
            window.on_ack(grown, now, c.rtt.smoothed)
    if c.wait_room and len(c.queue) * 4 <= c.config.send_buffer * 3:
        c.wait_room = False
        c.tell(Kind.WRITABLE)


def _over(c: Connection) -> None:
    c.recovering = ""
    c.frto = 0
    c.board.departed = 0
    c.board.calm()


def _proportional(c: Connection, delivered: int, safe: bool) -> None:
    """Proportional rate reduction (RFC 9937): in recovery send as much less as the window is to be less at its end.

    ``delivered`` octets were acknowledged or sacked by this acknowledgment; ``safe``: it moved SND.UNA and no more
    was found lost.
    """
    window, mss = c.congestion, c.mss
    pipe = c.board.pipe
    c.prr_delivered += delivered
    if pipe > window.ssthresh:
        room = -(-c.prr_delivered * window.ssthresh // c.prr_base) - c.prr_out
    else:
        room = max(c.prr_delivered - c.prr_out, delivered) + (mss if safe else 0)
        room = min(window.ssthresh - pipe, room)
    if not c.prr_out:
        room = max(room, mss)
    window.cwnd = max(pipe + max(room, 0), mss)


def _departed(c: Connection) -> None:
    """A duplicate acknowledgment without SACK: a segment has left the network (RFC 5681 3.2, RFC 3042)."""
    board = c.board
    board.departed = min(board.departed + c.mss, max(board.pipe - c.mss, 0) if board.pipe else 0)


def _losses(c: Connection, now: int) -> int:
    """Look for losses after an acknowledgment; begin recovery when there are any.  The octets found."""
    board = c.board
    lost = 0
    if c.sack_on:
        if not board.sacked and not c.recovering:
            return 0
        if c.config.rack:
            lost, again = board.detect(now, _reorder_window(c))
            c.timers[Timer.REORDER] = again or NEVER
        else:
            lost = board.detect_by_count(c.mss)
    elif not c.recovering and board.departed >= _DUP_THRESH * c.mss and c.snd_una > c.recover - 1:
        lost = _lose_first(c)
    _lost(c, lost, now)
    return lost


def _lose_first(c: Connection) -> int:
    """The first segment outstanding is lost, of a super-segment no more than that; its octets."""
    board = c.board
    flight = board.first
    if flight.end - flight.start > c.mss:
        flight = board.split(flight, flight.start + c.mss)
    board.mark_lost(flight)
    return flight.end - flight.start


def _lost(c: Connection, lost: int, now: int) -> None:
    """So many octets were found lost: recovery begins, unless they were nothing but a probe of the path's MTU."""
    if not lost:
        return
    if c.mtu_probe is not None and pathmtu.was_all(c, lost):
        pathmtu.failed(c)
        c.must_resend = True
    elif not c.recovering:
        _enter(c, now)


def _enter(c: Connection, now: int) -> None:
    """Fast recovery (RFC 6675 5 step 4)."""
    c.recovering = "fast"
    c.recover = c.snd_nxt
    spurious.begin(c)
    c.prr_base = max(c.snd_nxt - c.snd_una, 1)
    c.prr_delivered = c.prr_out = 0
    c.congestion.on_loss(_flight(c), now)
    _reduced(c)
    c.must_resend = True
    c.timers[Timer.PROBE] = NEVER
    c.tlp_end = None


def _reduced(c: Connection) -> None:
    """The window was reduced "for any reason": the next new data says so (RFC 3168 6.1.2)."""
    c.ecn_recover = c.snd_nxt
    c.cwr_due = c.ecn_on


def _flight(c: Connection) -> int:
    """FlightSize of RFC 5681, not above the window: what was sacked before a first loss is no measure of the path."""
    return min(c.snd_nxt - c.snd_una, c.congestion.cwnd)


def _reorder_window(c: Connection) -> int:
    """RFC 8985 6.2 step 4."""
    board = c.board
    if not board.reordered and (c.recovering or board.sacked >= _DUP_THRESH * c.mss):
        return 0
    return min(board.window_mult * c.rtt.least // 4, c.rtt.smoothed)


def _restart(c: Connection, now: int) -> None:
    """RFC 6298 5.2, 5.3: new octets are acknowledged."""
    timers = c.timers
    if len(c.board):
        if timers[Timer.PERSIST] == NEVER:
            timers[Timer.RETRANSMIT] = now + c.rtt.rto
        if c.sack_on and c.config.rack and not c.recovering and not c.board.sacked and c.tlp_end is None:
            patience.arm_probe(c, now)
        else:
            timers[Timer.PROBE] = NEVER
    else:
        timers[Timer.RETRANSMIT] = timers[Timer.PROBE] = timers[Timer.REORDER] = NEVER
    if not len(c.queue) and not len(c.board):
        timers[Timer.USER] = NEVER


def _probe_answered(c: Connection, ack: int, dsack: bool, duplicate: bool, now: int) -> None:
    """RFC 8985 7.4.2: did the tail loss probe repair a loss, so that the window must pay?"""
    end = c.tlp_end
    if end is None or ack < end:
        return
    if not c.tlp_again or dsack:
        c.tlp_end = None
    elif ack > end:
        c.tlp_end = None
        if not c.recovering:
            c.congestion.on_loss(max(end - c.snd_una, c.mss), now)
    elif duplicate:
        c.tlp_end = None


# ---------------------------------------------------------------- timers


def retransmission_timeout(c: Connection, now: int) -> None:
    """RFC 6298 5.4 to 5.7."""
    board = c.board
    if not len(board):
        return
    if c.retries + 1 == c.config.r1:
        c.tell(Kind.SOFT_ERROR, f"sent {c.retries + 1} times and not acknowledged")  # 3.8.3: R1
    if c.state in (State.SYN_SENT, State.SYN_RECEIVED):
        c.retries += 1
        c.rtt.expired()
        c.due_syn = True
        c.timers[Timer.RETRANSMIT] = now + c.rtt.rto
        return
    first = c.retries == 0
    if first and c.recovering != "timeout":
        spurious.begin(c)
    c.retries += 1
    c.rtt.expired()
    if board.first.sacked:
        board.forget_sacks()  # the peer took back what it had reported (RFC 2018 8)
    c.congestion.on_timeout(_flight(c), now, first and c.recovering != "timeout")
    _reduced(c)
    board.mark_all_lost()
    c.frto = 1 if c.config.frto and first and c.recovering != "timeout" and c.snd_nxt - c.snd_una > c.mss else 0
    c.recovering = "timeout"
    c.recover = c.snd_nxt
    c.tlp_end = None
    c.timers[Timer.PROBE] = c.timers[Timer.REORDER] = NEVER
    c.must_resend = True
    if c.mtu_probe is not None:
        pathmtu.failed(c)
    if c.config.black_hole is not None and c.retries > c.config.black_hole:
        pathmtu.black_hole(c)
    c.timers[Timer.RETRANSMIT] = now + c.rtt.rto


def tail_probe(c: Connection, now: int) -> None:
    """The probe timer: send something that makes the peer tell what it has."""
    if not len(c.board) or c.recovering or c.state in (State.SYN_SENT, State.SYN_RECEIVED):
        return
    c.tlp_again = patience.probe(c, now)
    c.tlp_end = c.snd_nxt
    c.timers[Timer.RETRANSMIT] = now + c.rtt.rto


def reorder_timeout(c: Connection, now: int) -> None:
    """RACK's timer (RFC 8985 6.3)."""
    lost, again = c.board.detect(now, _reorder_window(c))
    c.timers[Timer.REORDER] = again or NEVER
    _lost(c, lost, now)


# ---------------------------------------------------------------- ICMP


def icmp(c: Connection, message: Icmp, now: int) -> None:
    """An error message (RFC 9293 3.9.2.2, RFC 5461, RFC 5927): only about octets that are in flight."""
    seq = unwrap(message.seq, c.snd_una)
    if not c.snd_una <= seq < c.snd_nxt:
        return
    four = len(message.sender) == 4
    kind, code = message.type, message.code
    if (kind, code) == ((3, 4) if four else (2, 0)):
        pathmtu.too_big(c, message.mtu, now)
        return
    if four and kind in (4, 5):
        return  # source quench: ignored (RFC 6633); a redirect is for IP
    hard = kind == 3 and code in (2, 3) if four else kind == 1 and code in (1, 4)
    detail = f"ICMP{'' if four else 'v6'} type {kind} code {code}"
    if hard and c.state in (State.SYN_SENT, State.SYN_RECEIVED):
        c.fail(Cause.USER_TIMEOUT, Kind.UNREACHABLE, now, detail)
    else:
        c.icmp_error = detail
        c.tell(Kind.SOFT_ERROR, detail)
