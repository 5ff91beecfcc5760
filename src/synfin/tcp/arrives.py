"""SEGMENT ARRIVES (RFC 9293 3.10.7), one function for each step, in the RFC's order.

``segment`` chooses by state: CLOSED (3.10.7.1), LISTEN (3.10.7.2), SYN_SENT (3.10.7.3), and for all others the eight
steps of 3.10.7.4, each of which says whether the next is to be taken.  RFC 5961's checks are on; PAWS (RFC 7323 5) is
part of the first step.  What an acknowledgment means for sending is ``recovery``'s.

Octets that come with a SYN are queued (3.10.7.2), neither acknowledged nor shown to the user before the connection
stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from synfin.spec.tcp_segments import MASK, acceptable, distance, unwrap
from synfin.spec.tcp_states import Cause, State
from synfin.tcp import options, patience, prediction, recovery, segments
from synfin.tcp.config import SECOND
from synfin.tcp.congestion import controller
from synfin.tcp.names import NEVER, Kind, Timer, default_mss
from synfin.tcp.packet import Packet
from synfin.tcp.queues import ReceiveQueue
from synfin.wire.codec import Buffer
from synfin.wire.tcpflags import ACK, CWR, ECE, FIN, RST, SYN, URG

if TYPE_CHECKING:
    from synfin.tcp.connection import Connection

#: RFC 7323 5.5: after 24 days without a segment TS.Recent says nothing.
_TS_STALE = 24 * 86_400 * SECOND
#: RFC 7323 5.2: s < t means 0 < t - s < 2^31, so at exactly half the circle a stamp is not old.
_HALF = 1 << 31
#: No peer makes our segments shorter than its announcing this would.
_LEAST_MSS = 48
_CE = 3


class Arrival:
    """A segment on its way through the steps; numbers are unwrapped, the payload is trimmed to the window."""

    __slots__ = ("ack", "cut", "first", "flags", "opts", "packet", "payload", "seq", "window")

    def __init__(self, c: Connection, packet: Packet) -> None:
        self.packet = packet
        self.seq = self.first = unwrap(packet.seq, c.rcv_nxt)
        self.ack = unwrap(packet.ack, c.snd_una)
        self.flags = packet.flags
        self.window = packet.window << c.snd_wscale
        self.payload: Buffer = packet.payload
        self.opts = options.read(packet.options)
        self.cut = False  # the tail was outside of the window


def segment(c: Connection, packet: Packet, now: int) -> None:
    """A segment for this connection."""
    if prediction.in_order(c, packet, now):
        return
    state = c.state
    if state is State.SYN_SENT:
        syn_sent(c, packet, now)
    elif state is State.LISTEN:
        listen(c, packet, now)
    elif state is State.CLOSED:
        answer = refusal(packet)
        if answer is not None:
            c.out.append(answer)
    else:
        seg = Arrival(c, packet)
        for step in _STEPS:
            if not step(c, seg, now):
                return


def refusal(packet: Packet) -> Packet | None:
    """3.10.7.1: the RST that answers a segment for nobody; None for a RST."""
    p = packet
    if p.flags & RST:
        return None
    if p.flags & ACK:
        return Packet(p.dst, p.src, p.dport, p.sport, p.ack, 0, RST, 0)
    return Packet(p.dst, p.src, p.dport, p.sport, 0, p.seq + p.length & MASK, RST | ACK, 0)


def listen(c: Connection, packet: Packet, now: int) -> None:
    """3.10.7.2: RST is ignored, ACK is refused, SYN begins a connection, anything else is dropped."""
    if packet.flags & RST:
        return
    if packet.flags & ACK:
        answer = refusal(packet)
        if answer is not None:
            c.out.append(answer)
        return
    if not packet.flags & SYN:
        return
    c.remote = c.remote._replace(address=packet.src, port=packet.sport)
    c.local = c.local._replace(address=packet.dst)
    learn(c, packet, options.read(packet.options), now)
    _keep_text(c, packet)
    c.move(Cause.SYN, now)
    c.due_syn = True
    c.progress_at = now
    c.timers[Timer.USER] = now + c.patience


def _keep_text(c: Connection, packet: Packet) -> None:
    """What a SYN brings besides itself waits until the connection stands, a segment of it at most."""
    if packet.payload or packet.flags & (FIN | URG):
        room = min(c.config.announced_mss(c.local.address), c.config.receive_buffer)
        flags = packet.flags if len(packet.payload) <= room else packet.flags & ~FIN
        c.with_syn = packet._replace(flags=flags & ~SYN, payload=bytes(packet.payload[:room]))


def _text_of_syn(c: Connection, packet: Packet, now: int) -> bool:
    c.with_syn = None
    seg = Arrival(c, packet)
    seg.seq = c.irs + 1
    _trim(c, seg, len(seg.payload), c.rcv_wnd)
    c.ack_now = True
    return all(step(c, seg, now) for step in _STEPS[4:])


def learn(c: Connection, packet: Packet, opts: options.Options, now: int) -> None:
    """Take what a SYN says: IRS, window and options.  What was not offered by both is off."""
    config = c.config
    c.irs = unwrap(packet.seq, 0)
    c.rcv_nxt = c.irs + 1
    c.rcv_up = c.rcv_nxt
    # The window our SYN announced was counted from a number not known yet.
    c.rcv_adv = c.rcv_nxt + (min(config.receive_buffer, 65535) if c.active else 0)
    c.received = ReceiveQueue(c.rcv_nxt)
    c.last_ack_sent = c.rcv_nxt
    c.heard_at = now
    c.snd_wnd = c.max_snd_wnd = packet.window
    c.snd_wl1, c.snd_wl2 = c.irs, c.snd_una
    # A tiny MSS would make us keep a record for every few octets.
    c.peer_mss = max(opts.mss, _LEAST_MSS) if opts.mss else default_mss(c.local.address)
    scale = config.scale
    if opts.wscale is not None and scale is not None:
        c.wscale_on = True
        c.snd_wscale, c.rcv_wscale = opts.wscale, scale
    c.sack_on = opts.sack_permitted and config.sack
    c.ts_on = opts.ts is not None and config.timestamps
    if opts.ts is not None:
        c.ts_recent, c.ts_recent_at = opts.ts[0], now
    asked, granted = packet.flags & (ECE | CWR) == ECE | CWR, packet.flags & (ECE | CWR) == ECE
    if packet.flags & ACK:
        c.ecn_on = granted and config.ecn == "ask"
    else:
        c.ecn_on = asked and config.ecn != "off"
    if opts.user_timeout is not None:
        c.adopt_timeout(opts.user_timeout)
    c.size_segments()
    c.congestion = controller(config, c.mss)


def syn_sent(c: Connection, packet: Packet, now: int) -> None:
    """3.10.7.3: first the ACK, second the RST, fourth the SYN, fifth the rest."""
    flags = packet.flags
    acked = False
    if flags & ACK:
        ack = unwrap(packet.ack, c.snd_una)
        if ack <= c.iss or ack > c.snd_nxt:
            answer = refusal(packet)
            if answer is not None:
                c.out.append(answer)
            return
        acked = True
    if flags & RST:
        if acked:
            c.fail(Cause.RST, Kind.REFUSED, now)
        return
    if not flags & SYN:
        return
    opts = options.read(packet.options)
    learn(c, packet, opts, now)
    if not acked:
        # Simultaneous open: our SYN goes out again, as SYN-ACK.
        _keep_text(c, packet)
        c.move(Cause.SYN, now)
        c.due_syn = True
        if len(c.board):
            c.board.mark_all_lost()
        return
    recovery.opened(c, unwrap(packet.ack, c.snd_una), opts, now)
    c.move(Cause.SYN_ACK, now)
    c.ack_now = True
    established(c, now)
    seg = Arrival(c, packet)
    seg.window = packet.window
    seg.seq += 1
    seg.flags &= ~SYN
    _trim(c, seg, len(seg.payload), c.rcv_wnd)
    for step in _STEPS[4:]:
        if not step(c, seg, now):
            return


def established(c: Connection, now: int) -> None:
    """Tell the user, and start what runs in a standing connection."""
    c.tell(Kind.CONNECTED)
    c.timers[Timer.USER] = now + c.user_timeout if len(c.queue) or c.fin_wanted else NEVER
    c.progress_at = now
    patience.restart_keepalive(c, now)


# ---------------------------------------------------------------- 3.10.7.4


def sequence_number(c: Connection, seg: Arrival, now: int) -> bool:
    """First: is the segment in the window?  What is outside is cut off; what has nothing inside is answered."""
    flags = seg.flags
    ts = seg.opts.ts if c.ts_on else None
    if c.ts_on and not flags & RST:
        if ts is None and flags & (SYN | ACK) != SYN:
            return False  # RFC 7323 3.2; a SYN may be of a peer that began anew, and finds out by our answer
        if ts is not None and -_HALF < distance(c.ts_recent, ts[0]) < 0 and now - c.ts_recent_at <= _TS_STALE:
            _answer_invalid(c, seg, now)  # PAWS, RFC 7323 5.3 R1
            return False
    if c.active and c.state == State.SYN_RECEIVED and flags & (SYN | ACK | RST) == SYN | ACK and seg.seq == c.irs:
        # Figure 7: in a simultaneous open the SYN-ACK brings the SYN a second time, and the ACK counts.
        seg.seq += 1
        flags = seg.flags = flags & ~SYN
        seg.window = seg.packet.window  # never scaled beside a SYN (RFC 7323 2.2)
    if flags & RST:
        seg.payload = (
            b""  # SHLD-2: it may say why, in words we do not need; it counts though no window is open (MUST-66)
        )
    size = len(seg.payload)
    length = 0 if flags & RST else size + (flags & FIN) + (flags >> 1 & 1)
    window = c.rcv_wnd
    if not acceptable(seg.seq & MASK, length, c.rcv_nxt & MASK, window):
        if window == 0 and seg.seq == c.rcv_nxt and not flags & (RST | SYN):
            # "special allowance should be made to accept valid ACKs" (3.4): all but the text.
            seg.payload = b""
            seg.flags &= ~FIN
            c.ack_now = True
            return True
        if not flags & RST:
            _answer_invalid(c, seg, now)
        return False
    c.heard_at = now
    c.probes = 0
    if seg.opts.user_timeout is not None:
        c.adopt_timeout(seg.opts.user_timeout)
    if length:
        if flags & SYN and c.state == State.SYN_RECEIVED and seg.seq == c.irs:
            # The SYN we have, once more and with something in the window: the SYN itself is cut off.
            seg.seq += 1
            seg.flags &= ~SYN
            seg.window = seg.packet.window
        _trim(c, seg, size, window)
    return True


def _trim(c: Connection, seg: Arrival, size: int, window: int) -> None:
    """Cut off the tail beyond the window.  What was received before is the receive queue's to see."""
    over = seg.seq + size - (c.rcv_nxt + window)
    if over > 0:
        seg.payload = memoryview(seg.payload)[: size - over]
        seg.cut = True
        seg.flags &= ~FIN
    elif over == 0 and seg.flags & FIN and window:
        seg.flags &= ~FIN  # the FIN itself is beyond the edge
        seg.cut = True


def _answer_invalid(c: Connection, seg: Arrival, now: int) -> None:
    """An acknowledgment for a segment that is not acceptable; repeated data is named in a D-SACK (RFC 2883)."""
    size = len(seg.payload)
    if size and c.irs < seg.seq < c.rcv_nxt and c.sack_on:  # what is older is of another connection
        c.dsack = (seg.seq, min(seg.seq + size, c.rcv_nxt))
    if c.state == State.TIME_WAIT and seg.flags & FIN and seg.seq + size + 1 == c.rcv_nxt:
        c.timers[Timer.TIME_WAIT] = now + 2 * c.config.msl  # eighth step, TIME-WAIT
    if seg.flags & SYN:
        segments.challenge(c, now)
    elif size or seg.flags & FIN or segments.may_answer(c, now):
        c.ack_now = True


def rst_bit(c: Connection, seg: Arrival, now: int) -> bool:
    """Second: a RST counts at exactly RCV.NXT; elsewhere in the window it is challenged (RFC 5961 3)."""
    if not seg.flags & RST:
        return True
    if seg.first != c.rcv_nxt:
        segments.challenge(c, now)
        return False
    if c.state == State.SYN_RECEIVED:
        c.fail(Cause.RST, Kind.REFUSED, now)
    elif c.state in (State.CLOSING, State.LAST_ACK, State.TIME_WAIT) and c.snd_una >= c.fin_seq:
        # All that the user sent has arrived; only our FIN was not acknowledged, or was.
        c.move(Cause.RST, now)
        c.finish()
    else:
        c.fail(Cause.RST, Kind.RESET, now)
    return False


def syn_bit(c: Connection, seg: Arrival, now: int) -> bool:
    """Fourth: a SYN in the window sends a passive opener back to LISTEN, all others challenge it (RFC 5961 4)."""
    if not seg.flags & SYN:
        return True
    if c.state == State.SYN_RECEIVED and not c.active:
        c.fail(Cause.RST, Kind.REFUSED, now)
    else:
        segments.challenge(c, now)
    return False


def ack_field(c: Connection, seg: Arrival, now: int) -> bool:
    """Fifth: without ACK the segment is dropped; otherwise it may open, move SND.UNA, and end our closing."""
    if not seg.flags & ACK:
        return False
    if c.state is State.SYN_RECEIVED:
        if not c.snd_una < seg.ack <= c.snd_nxt:
            answer = refusal(seg.packet)
            if answer is not None:
                c.out.append(answer)
            return False
        recovery.opened(c, c.iss + 1, seg.opts, now)
        c.move(Cause.ACK_OF_SYN, now)
        if c.due_syn:  # crossed with the SYN-ACK we were about to send
            c.due_syn, c.ack_now = False, True
        c.snd_wnd = seg.window
        c.max_snd_wnd = max(c.max_snd_wnd, seg.window)
        c.snd_wl1, c.snd_wl2 = seg.seq, seg.ack
        established(c, now)
    if not recovery.acknowledged(c, seg, now):
        return False
    if c.ts_on and seg.opts.ts is not None and seg.seq <= c.last_ack_sent:
        # RFC 7323 5.3 R3, but not for what is thrown away: the stamp of a forger would shut the peer out.
        c.ts_recent, c.ts_recent_at = seg.opts.ts[0], now
    if c.with_syn is not None and c.snd_una > c.iss and not _text_of_syn(c, c.with_syn, now):
        return False
    if c.fin_wanted and c.snd_una > c.fin_seq:
        return _fin_acknowledged(c, now)
    return c.state is not State.CLOSING  # "otherwise, ignore the segment"


def _fin_acknowledged(c: Connection, now: int) -> bool:
    closing = c.state in (State.CLOSING, State.LAST_ACK)
    if c.state is State.FIN_WAIT_1 or closing:
        c.move(Cause.ACK_OF_FIN, now)
    if c.state is State.CLOSED:
        c.finish()
        return False
    return True


def urg_bit(c: Connection, seg: Arrival, now: int) -> bool:
    """Sixth: move RCV.UP, and tell the user when there is urgent data ahead (RFC 6093: it stays in line)."""
    if seg.flags & URG and c.state in _TEXT_STATES:
        up = seg.seq + seg.packet.urgent
        if up > c.rcv_up:
            c.rcv_up = up
            if c.urgent:
                c.tell(Kind.URGENT)
    return True


def segment_text(c: Connection, seg: Arrival, now: int) -> bool:
    """Seventh: text goes to the receive queue; how it is acknowledged is RFC 5681 4.2 and RFC 9293 3.8.6.3."""
    if seg.packet.ecn == _CE and c.ecn_on:
        c.ece_due = c.ack_now = True
    if seg.flags & CWR and c.ecn_on and seg.packet.ecn != _CE:
        c.ece_due = False
    payload = seg.payload
    if seg.cut:
        c.ack_now = True
    if not len(payload) or c.state not in _TEXT_STATES:
        return True
    if c.orphan and seg.seq + len(payload) > c.rcv_nxt:
        segments.reset(c, now)  # SHLD-3: nobody is left to read it
        c.fail(Cause.ABORT, Kind.RESET, now, "data came after close")
        return False
    queue = c.received
    held = bool(queue)
    before = queue.nxt
    again = queue.add(seg.seq, payload)
    c.rcv_nxt = queue.nxt
    if again is not None and c.sack_on:
        c.dsack = again
    if c.rcv_nxt > before:
        c.tell(Kind.READABLE)
    c.ack_pending += c.rcv_nxt - before
    if held or queue or again is not None or c.ack_pending >= c.ack_after or not c.config.delayed_ack:
        c.ack_now = True
    elif c.timers[Timer.DELAYED_ACK] == NEVER:
        c.timers[Timer.DELAYED_ACK] = now + c.config.delayed_ack
    return True


def fin_bit(c: Connection, seg: Arrival, now: int) -> bool:
    """Eighth: a FIN counts once all before it has come, and no text that runs over its number."""
    standing = c.state in _TEXT_STATES
    if seg.flags & FIN:
        c.ack_now = True
        at = seg.seq + len(seg.payload)
        if standing and at >= c.rcv_nxt:
            c.fin_at = at if c.fin_at is None else min(at, c.fin_at)
        elif c.state is State.TIME_WAIT:
            c.timers[Timer.TIME_WAIT] = now + 2 * c.config.msl
    if c.fin_at is not None and standing:
        if c.rcv_nxt == c.fin_at:
            c.received.forget_beyond()
            c.rcv_nxt += 1
            c.ack_now = True
            c.move(Cause.FIN, now)
            c.tell(Kind.PEER_CLOSED)
        elif c.rcv_nxt > c.fin_at:
            c.fin_at = None  # whoever sent it, text went on
    return True


_TEXT_STATES = frozenset((State.ESTABLISHED, State.FIN_WAIT_1, State.FIN_WAIT_2))
#: Third is security, which IP has given up (RFC 9293 A.1).
_STEPS = (sequence_number, rst_bit, syn_bit, ack_field, urg_bit, segment_text, fin_bit)
