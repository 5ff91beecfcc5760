"""The segments themselves: SYN, data, acknowledgments, challenges and resets as they go onto the wire.

When something is sent is decided in ``output`` and ``patience``; here is what it says: numbers, flags, the window
(which never shrinks and grows by worthwhile steps, RFC 9293 3.8.6.2.2), options, SACK blocks, ECN marks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from synfin.spec.tcp_segments import MASK
from synfin.spec.tcp_states import Cause, State
from synfin.tcp import options
from synfin.tcp.names import NEVER, Timer
from synfin.tcp.packet import Packet
from synfin.wire.codec import Buffer
from synfin.wire.tcpflags import ACK, CWR, ECE, FIN, PSH, RST, SYN, URG

if TYPE_CHECKING:
    from synfin.tcp.connection import Connection

OPENING = (State.SYN_SENT, State.SYN_RECEIVED)
SENDING = frozenset((
    State.ESTABLISHED, State.CLOSE_WAIT, State.FIN_WAIT_1, State.CLOSING, State.LAST_ACK,
))  # fmt: skip
_ECT0 = 2


def syn(c: Connection, now: int, again: bool) -> None:
    """The SYN of an active open, with all that is offered."""
    config = c.config
    # A SYN that gets no answer may be one whose extras a middlebox dislikes (RFC 3168 6.1.1.1).
    flags = SYN | (ECE | CWR if config.ecn == "ask" and c.retries < 2 else 0)
    stamps = (c.clock(now), 0) if config.timestamps else None
    raw = options.opening(config.announced_mss(c.local.address), config.scale, config.sack, stamps)
    if config.timeout_option:
        raw += options.user_timeout(c.user_timeout)
        c.timeout_due = True  # and once more behind the SYN: a cookie forgets it (RFC 5482 3.1)
    _put(c, flags, c.iss, 0, min(config.receive_buffer, 65535), raw, b"", again=again)


def syn_ack(c: Connection, now: int, again: bool) -> None:
    """The answer to a SYN: what both offered, and the window as it is."""
    config = c.config
    stamps = (c.clock(now), c.ts_recent) if c.ts_on else None
    scale = c.rcv_wscale if c.wscale_on else None
    raw = options.opening(config.announced_mss(c.local.address), scale, c.sack_on, stamps)
    if config.timeout_option:
        raw += options.user_timeout(c.user_timeout)
        c.timeout_due = True
    window = min(config.receive_buffer, 65535)
    c.rcv_adv = max(c.rcv_adv, c.rcv_nxt + window)
    flags = SYN | ACK | (ECE if c.ecn_on else 0)
    _put(c, flags, c.iss, c.rcv_nxt & MASK, window, raw, b"", again=again)
    c.ack_now = False
    c.last_ack_sent = c.rcv_nxt


def fin_goes(c: Connection, now: int) -> None:
    """ESTABLISHED was left when the user closed; the other states are left with the FIN (3.10.4)."""
    if c.state in (State.ESTABLISHED, State.CLOSE_WAIT):
        c.move(Cause.CLOSE, now)


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
    header(c, ACK, c.snd_nxt, b"", now, sack=True)


def challenge(c: Connection, now: int) -> None:
    """RFC 5961: <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK> to make the peer show itself, not without end (its section 7)."""
    _count(c, now)
    c.challenges += 1
    if c.challenges <= c.config.challenge_limit:
        acknowledge(c, now)


def may_answer(c: Connection, now: int) -> bool:
    """Count answers to what is empty and outside of the window, so that no echo makes us talk without end."""
    _count(c, now)
    c.invalids += 1
    return c.invalids <= c.config.invalid_limit


def _count(c: Connection, now: int) -> None:
    if now - c.challenges_at >= c.config.challenge_window:
        c.challenges_at, c.challenges, c.invalids = now, 0, 0


def reset(c: Connection, now: int) -> None:
    """A RST at SND.NXT; ACK is set as in every segment of a standing connection (RFC 9293 3.1)."""
    raw = options.timestamps(c.clock(now), c.ts_recent) if c.ts_on else b""
    _put(c, RST | ACK, c.snd_nxt, c.rcv_nxt & MASK, 0, raw, b"")


def data(c: Connection, start: int, end: int, now: int, *, again: bool = False, probe: bool = False) -> None:
    """The segment of a flight: its octets, and FIN where the flight ends behind them; ``probe``: of a closed window."""
    if start == c.iss:  # closed before the SYN-ACK was answered
        syn_ack(c, now, again)
        return
    last = c.queue.end
    c.prr_out += end - start
    stop = min(end, last)
    payload = c.queue.slice(start, stop - start) if stop > start else b""
    flags = ACK | (PSH if stop == last and stop > start else 0) | (FIN if end > last and c.fin_wanted else 0)
    ecn = 0
    if c.ecn_on and not again and not probe and len(payload):  # RFC 3168 6.1.5, 6.1.6
        ecn = _ECT0
        if c.cwr_due:
            flags |= CWR
            c.cwr_due = False
    header(c, flags, start, payload, now, ecn=ecn, again=again)


def header(
    c: Connection,
    flags: int,
    seq: int,
    payload: Buffer,
    now: int,
    *,
    ecn: int = 0,
    again: bool = False,
    sack: bool = False,
) -> None:
    """A segment of a standing connection: acknowledgment, urgent pointer, window and options as they are now."""
    if c.ece_due:
        flags |= ECE
    urgent = 0
    if c.snd_up > seq and c.snd_up > c.snd_una:
        flags |= URG
        urgent = min(c.snd_up - seq, 65535)
    raw = options.timestamps(c.clock(now), c.ts_recent) if c.ts_on else b""
    if c.timeout_due and len(payload) + 4 <= c.mss:
        c.timeout_due = False
        raw += options.user_timeout(c.user_timeout)
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
            config.dscp,
        )
    )
