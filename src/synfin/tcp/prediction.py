"""The usual segment, taken quickly: the next octets in order on a standing connection that is at peace.

``in_order`` does what ``arrives`` and ``recovery`` would, for segments that can mean nothing else: ESTABLISHED, no flag
but ACK and PSH, text that begins at RCV.NXT and fits the window, nothing new acknowledged, the window as it was, no
option but a timestamp that is not old, no hole, no recovery (after Van Jacobson's header prediction, RFC 7323
appendix F names its place).  Tests hold both ways equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from synfin.spec.tcp_segments import HALF, MASK
from synfin.spec.tcp_states import State
from synfin.tcp.names import NEVER, Kind, Timer
from synfin.tcp.options import TS_HEAD, TS_SIZE
from synfin.tcp.packet import Packet
from synfin.wire.tcpflags import ACK, PSH

if TYPE_CHECKING:
    from synfin.tcp.connection import Connection

_CE = 3
_ESTABLISHED = State.ESTABLISHED
_PERSIST, _DELAYED_ACK = Timer.PERSIST, Timer.DELAYED_ACK


def in_order(c: Connection, packet: Packet, now: int) -> bool:
    """Take the segment if it is a usual one; False leaves everything as it was."""
    nxt = c.rcv_nxt
    payload = packet.payload
    size = len(payload)
    if (
        c.state is not _ESTABLISHED
        or packet.flags | PSH != ACK | PSH
        or packet.seq != nxt & MASK
        or not 0 < size <= c.rcv_adv - nxt
        or packet.ack != c.snd_una & MASK
        or packet.window << c.snd_wscale != c.snd_wnd
        or c.snd_wl1 > nxt
        or c.received
        or c.fin_at is not None
        or c.recovering
        or c.board.sacked
        or c.frto
        or c.orphan
        or c.tlp_end is not None
        or c.timers[_PERSIST] != NEVER
        or (packet.ecn == _CE and c.ecn_on)
    ):
        return False
    raw = packet.options
    if c.ts_on:
        if len(raw) != TS_SIZE or raw[:4] != TS_HEAD:
            return False
        value = int.from_bytes(raw[4:8], "big")
        if value - c.ts_recent & MASK >= HALF:
            return False
        if nxt <= c.last_ack_sent:
            c.ts_recent, c.ts_recent_at = value, now
    elif raw:
        return False
    c.heard_at = now
    c.probes = 0
    c.snd_wl1, c.snd_wl2 = nxt, c.snd_una
    c.received.append(payload, size)
    c.rcv_nxt = nxt + size
    c.tell(Kind.READABLE)
    c.ack_pending += size
    if c.ack_pending >= c.ack_after or not c.config.delayed_ack:
        c.ack_now = True
    elif c.timers[_DELAYED_ACK] == NEVER:
        c.timers[_DELAYED_ACK] = now + c.config.delayed_ack
    return True
