"""What goes out: segments with data, SYN and FIN, acknowledgments, probes and resets.

``fill`` is asked whenever packets are taken.  First what was lost goes out again, then new octets as far as the peer's
window, the congestion window, the Nagle algorithm and silly-window avoidance allow (RFC 9293 3.7.4, 3.8.6.2.1), then an
acknowledgment if none went with them.  Receive windows never shrink and grow by worthwhile steps (3.8.6.2.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from synfin.spec.tcp_segments import MASK
from synfin.spec.tcp_states import Cause, State
from synfin.tcp import options, pathmtu
from synfin.tcp.config import MILLISECOND, SECOND
from synfin.tcp.names import NEVER, Kind, Timer
from synfin.tcp.packet import Packet
from synfin.tcp.scoreboard import Flight
from synfin.wire.codec import Buffer
from synfin.wire.tcpflags import ACK, CWR, ECE, FIN, PSH, RST, SYN, URG

if TYPE_CHECKING:
    from synfin.tcp.connection import Connection

_OPENING = (State.SYN_SENT, State.SYN_RECEIVED)
_SENDING = frozenset((
    State.ESTABLISHED, State.CLOSE_WAIT, State.FIN_WAIT_1, State.CLOSING, State.LAST_ACK,
))  # fmt: skip
_ECT0 = 2
#: Octets of payload a super-segment may have: an IPv4 packet of 65,535 with the longest headers.
LONGEST = 65535 - 120


def fill(c: Connection, now: int) -> None:
    """Put into ``c.out`` what may go out now."""
    state = c.state
    if state in _OPENING:
        _opening(c, now)
    elif state in _SENDING or state == State.FIN_WAIT_2:
        if c.ack_now and (c.received or c.dsack is not None):
            acknowledge(c, now)  # SACK blocks do not share a segment with data
        if len(c.board) or len(c.queue) or c.fin_wanted:
            _again(c, now)
            _new(c, now)
            _timers(c, now)
    if c.ack_now and state not in (State.CLOSED, State.LISTEN, State.SYN_SENT):
        acknowledge(c, now)


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
        _syn(c, now, again)
    else:
        _syn_ack(c, now, again)
    if c.timers[Timer.RETRANSMIT] == NEVER:
        c.timers[Timer.RETRANSMIT] = now + c.rtt.rto


def _syn(c: Connection, now: int, again: bool) -> None:
    config = c.config
    # A SYN that gets no answer may be one whose extras a middlebox dislikes (RFC 3168 6.1.1.1).
    flags = SYN | (ECE | CWR if config.ecn == "ask" and c.retries < 2 else 0)
    stamps = (c.clock(now), 0) if config.timestamps else None
    raw = options.opening(c.own_mss(), config.scale, config.sack, stamps)
    _put(c, flags, c.iss, 0, min(config.receive_buffer, 65535), raw, b"", again=again)


def _syn_ack(c: Connection, now: int, again: bool) -> None:
    stamps = (c.clock(now), c.ts_recent) if c.ts_on else None
    raw = options.opening(c.own_mss(), c.rcv_wscale if c.wscale_on else None, c.sack_on, stamps)
    window = min(c.config.receive_buffer, 65535)
    c.rcv_adv = max(c.rcv_adv, c.rcv_nxt + window)
    flags = SYN | ACK | (ECE if c.ecn_on else 0)
    _put(c, flags, c.iss, c.rcv_nxt & MASK, window, raw, b"", again=again)
    c.ack_now = False
    c.last_ack_sent = c.rcv_nxt


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
    c.timers[Timer.RETRANSMIT] = now + c.rtt.rto if c.timers[Timer.RETRANSMIT] == NEVER else c.timers[Timer.RETRANSMIT]
    _data(c, flight.start, flight.end, now, again=True)


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
            idle = not len(board)
            if not size or not (
                (whole and (idle or c.config.nodelay or fin or c.snd_up > c.snd_nxt)) or 2 * size >= c.max_snd_wnd
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
            _fin_goes(c, now)
        _data(c, start, end, now)
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


def _fin_goes(c: Connection, now: int) -> None:
    """ESTABLISHED was left when the user closed; the other states are left with the FIN (3.10.4)."""
    if c.state in (State.ESTABLISHED, State.CLOSE_WAIT):
        c.move(Cause.CLOSE, now)


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
    if c.sack_on and c.config.rack and not c.recovering and c.tlp_end is None and c.state in _SENDING:
        arm_probe(c, now)


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
        _data(c, start, start + queued, now)
        return False
    flight = c.board.last
    if flight.end - flight.start > c.mss:
        c.board.split(flight, flight.end - c.mss)
        flight = c.board.last
    c.board.resent(flight, now)
    _data(c, flight.start, flight.end, now, again=True)
    return True


def persist_timeout(c: Connection, now: int) -> None:
    """The peer's window is closed (3.8.6.1) or too small for long (3.8.6.2.1): send what fits, or one octet."""
    queue = c.queue
    if c.state not in _SENDING:
        return
    c.persists += 1
    room = c.snd_una + c.snd_wnd - c.snd_nxt
    if len(c.board):
        flight = c.board.first
        c.board.resent(flight, now)
        _data(c, flight.start, flight.end, now, again=True)
    elif queue.end > c.snd_nxt:
        size = min(max(room, 1), queue.end - c.snd_nxt, c.mss)
        start = c.snd_nxt
        c.board.sent(start, start + size, now)
        c.snd_nxt = start + size
        _data(c, start, start + size, now)
    elif c.fin_wanted and not c.fin_sent:
        start = c.snd_nxt
        c.board.sent(start, start + 1, now)
        c.snd_nxt = start + 1
        _fin_goes(c, now)
        _data(c, start, start + 1, now)
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
    if idle is None or c.state in (State.CLOSED, State.TIME_WAIT, *_OPENING):
        return
    if now - c.heard_at < idle:
        c.probes = 0
        c.timers[Timer.KEEPALIVE] = c.heard_at + idle
    elif len(c.board):
        c.timers[Timer.KEEPALIVE] = now + c.config.keepalive_interval  # retransmissions ask already
    elif c.probes >= c.config.keepalive_probes:
        reset(c, now)
        c.fail(Cause.USER_TIMEOUT, Kind.TIMED_OUT, now, "keep-alive probes were not answered")
    else:
        c.probes += 1
        _header(c, ACK, c.snd_nxt - 1, b"", now)
        c.timers[Timer.KEEPALIVE] = now + c.config.keepalive_interval


# ---------------------------------------------------------------- packets


def window_opened(c: Connection) -> None:
    """The user has read: tell the peer when the window grows by a worthwhile step (3.8.6.2.2)."""
    if c.state not in (State.ESTABLISHED, State.FIN_WAIT_1, State.FIN_WAIT_2):
        return
    buffer = c.config.receive_buffer
    left = c.rcv_wnd
    gain = buffer - c.received.ready - left
    if gain >= buffer // 2 or (left < 2 * c.mss and gain >= min(c.mss, buffer // 2)):
        c.ack_now = True


def acknowledge(c: Connection, now: int) -> None:
    """A segment without text: <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>."""
    _header(c, ACK, c.snd_nxt, b"", now, sack=True)


def may_answer(c: Connection, now: int, limit: int) -> bool:
    """Count answers, so that neither a guesser nor an echo makes us talk without end (RFC 5961 7)."""
    if now - c.challenges_at >= c.config.challenge_window:
        c.challenges_at, c.challenges = now, 0
    c.challenges += 1
    return c.challenges <= limit


def challenge(c: Connection, now: int) -> None:
    """RFC 5961: <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK> to make the peer show itself."""
    if may_answer(c, now, c.config.challenge_limit):
        acknowledge(c, now)


def reset(c: Connection, now: int) -> None:
    """A RST at SND.NXT; ACK is set as in every segment of a standing connection (RFC 9293 3.1)."""
    raw = options.timestamps(c.clock(now), c.ts_recent) if c.ts_on else b""
    _put(c, RST | ACK, c.snd_nxt, c.rcv_nxt & MASK, 0, raw, b"")


def _data(c: Connection, start: int, end: int, now: int, *, again: bool = False) -> None:
    """The segment of a flight: its octets, and FIN where the flight ends behind them."""
    if start == c.iss:  # closed before the SYN-ACK was answered
        _syn_ack(c, now, again)
        return
    last = c.queue.end
    stop = min(end, last)
    payload = c.queue.slice(start, stop - start) if stop > start else b""
    flags = ACK | (PSH if stop == last and stop > start else 0) | (FIN if end > last and c.fin_wanted else 0)
    urgent = 0
    if c.snd_up > start:
        flags |= URG
        urgent = min(c.snd_up - start, 65535)
    ecn = 0
    if c.ecn_on and not again and len(payload):
        ecn = _ECT0
        if c.cwr_due:
            flags |= CWR
            c.cwr_due = False
    _header(c, flags, start, payload, now, urgent=urgent, ecn=ecn, again=again)


def _header(
    c: Connection,
    flags: int,
    seq: int,
    payload: Buffer,
    now: int,
    *,
    urgent: int = 0,
    ecn: int = 0,
    again: bool = False,
    sack: bool = False,
) -> None:
    """A segment of a standing connection: acknowledgment, window and options as they are now."""
    if c.ece_due:
        flags |= ECE
    raw = options.timestamps(c.clock(now), c.ts_recent) if c.ts_on else b""
    if sack and c.sack_on and (c.received or c.dsack is not None):
        found = c.received.blocks()
        if c.dsack is not None:
            found.insert(0, c.dsack)
            c.dsack = None
        raw += options.blocks(found, 40 - len(raw))
    _put(c, flags, seq, c.rcv_nxt & MASK, _window(c), raw, payload, urgent=urgent, ecn=ecn, again=again)
    c.ack_now = False
    c.ack_pending = 0
    c.last_ack_sent = c.rcv_nxt
    c.timers[Timer.DELAYED_ACK] = NEVER


def _window(c: Connection) -> int:
    """The window field: move the right edge where it pays, never back."""
    buffer = c.config.receive_buffer
    shift = c.rcv_wscale
    free = buffer - c.received.ready
    edge = c.rcv_nxt + min(free, 65535 << shift)
    if edge == c.rcv_adv and not (edge - c.rcv_nxt) & (1 << shift) - 1:
        return edge - c.rcv_nxt >> shift
    if edge - c.rcv_adv >= min(buffer // 2, c.mss):
        c.rcv_adv = edge
    window = max(c.rcv_adv - c.rcv_nxt, 0)
    field = window + (1 << shift) - 1 >> shift
    if field << shift > max(free, 0):
        field = window >> shift
    field = min(field, 65535)
    c.rcv_adv = max(c.rcv_adv, c.rcv_nxt + (field << shift))
    return field


def _put(
    c: Connection,
    flags: int,
    seq: int,
    ack: int,
    window: int,
    raw: bytes,
    payload: Buffer,
    *,
    urgent: int = 0,
    ecn: int = 0,
    again: bool = False,
) -> None:
    config = c.config
    probing = c.mtu_probe is not None and c.mtu_probe[0] == seq + len(payload)
    c.out.append(
        Packet(
            c.local.address,
            c.remote.address,
            c.local.port,
            c.remote.port,
            seq & MASK,
            ack,
            flags,
            window,
            raw,
            payload,
            urgent,
            ecn,
            config.ttl,
            config.discover_mtu,
            c.mss if len(payload) > c.mss and not probing else 0,
            again,
        )
    )
