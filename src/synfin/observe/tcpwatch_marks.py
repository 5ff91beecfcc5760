"""What each segment is beside its plain meaning: repeats, gaps, duplicate acknowledgments, window trouble.

The marks carry the names and the meaning of Wireshark's ``tcp.analysis.*`` (User's Guide, "TCP Analysis"); where the
guide is silent the rule was found by experiment with generated flows.  They are judgements from one vantage point: a
segment below what was seen is a retransmission if it comes late, out of order if it comes within a round trip.
``docs/differences.md`` says where the rest of synfin reads the packets otherwise.

Numbers are compared modulo 2**32 (RFC 9293 3.4).  One pass, constant memory per connection.
"""

from __future__ import annotations

from synfin.observe.rows import Rows
from synfin.observe.story_tcp import Mark
from synfin.observe.tcpwatch_options import options
from synfin.wire.tcpflags import ACK, FIN, RST, SYN

M = 0xFFFFFFFF
H = 1 << 31

CONTROL = FIN | SYN | RST

FAST_WITHIN = 20_000_000  # ns after the last duplicate ACK
REORDER_WITHIN = 3_000_000  # ns, where no handshake round trip is known
FOREVER = 1 << 63

_RETRANSMISSION = int(Mark.RETRANSMISSION)
_FAST = int(Mark.FAST_RETRANSMISSION)
_SPURIOUS = int(Mark.SPURIOUS_RETRANSMISSION)
_OUT_OF_ORDER = int(Mark.OUT_OF_ORDER)
_REUSED = int(Mark.REUSED_PORTS)
_LOST = int(Mark.LOST_SEGMENT)
_ACK_LOST = int(Mark.ACK_LOST_SEGMENT)
_UPDATE = int(Mark.WINDOW_UPDATE)
_FULL = int(Mark.WINDOW_FULL)
_KEEP_ALIVE = int(Mark.KEEP_ALIVE)
_KEEP_ALIVE_ACK = int(Mark.KEEP_ALIVE_ACK)
_DUPLICATE = int(Mark.DUPLICATE_ACK)
_PROBE = int(Mark.ZERO_WINDOW_PROBE)
_ZERO = int(Mark.ZERO_WINDOW)
_PROBE_ACK = int(Mark.ZERO_WINDOW_PROBE_ACK)
_TFO_SYN = int(Mark.TFO_SYN)
_TFO_ACK = int(Mark.TFO_ACK)
_TFO_IGNORED = int(Mark.TFO_IGNORED)


class _Side:
    """What is remembered of one sender."""

    __slots__ = (
        "base",
        "data",
        "dup",
        "flags",
        "lastack",
        "lastack_time",
        "maxack",
        "next",
        "next_time",
        "room",
        "scale",
        "window",
    )

    def __init__(self) -> None:
        self.base: int | None = None
        self.next = 0  # 0: none yet, as for the others
        self.next_time = 0
        self.maxack = 0  # the highest number of this sender that its peer may acknowledge
        self.lastack = 0  # 0: none seen
        self.lastack_time = 0
        self.window = -1
        self.scale = -1
        self.room = 0
        self.dup = 0
        self.data = False
        self.flags = 0


def marks(rows: Rows, reused: bool) -> list[int]:
    """The ``Mark`` bits of each packet; ``reused``: the same endpoints had a connection before."""
    sides = (_Side(), _Side())
    out: list[int] = []
    first_rtt = 0
    reorder = REORDER_WITHIN
    syn_time = -1
    cookie = [False, False]
    for i, (sender, time, seq, ack, flags, window, size) in enumerate(
        zip(rows.sender, rows.time, rows.seq, rows.ack, rows.flags, rows.window, rows.load_len, strict=True)
    ):
        fwd = sides[sender]
        rev = sides[1 - sender]
        if (
            first_rtt
            and flags & (CONTROL | ACK) == ACK
            and seq == fwd.next
            and seq
            and window
            and rev.maxack
            and (rev.maxack - ack) & M < H
            and fwd.scale >= 0
            and (_follows(fwd, rev, seq, size, time) if size else ack != fwd.lastack)
        ):  # what nearly all segments of a long transfer are: next in sequence, or a new acknowledgment
            if ack != fwd.lastack:
                fwd.dup = 0
                fwd.lastack = ack
            if not fwd.maxack or seq == fwd.maxack:
                fwd.maxack = fwd.next
            fwd.lastack_time = time
            fwd.window = window
            fwd.room = window << fwd.scale
            fwd.flags = 0
            out.append(0)
            continue
        mark = 0
        length = size
        if flags & (SYN | FIN):
            length += 1
        if flags & (SYN | ACK) == SYN and fwd.maxack != fwd.next:
            fwd.next = (seq + length) & M  # a SYN that comes back while octets are missing starts over
        nxt = fwd.next
        control = flags & CONTROL
        if fwd.base is None:
            fwd.base = seq if flags & SYN else (seq - 1) & M
        if flags & ACK and rev.base is None:
            rev.base = (ack - 1) & M
        if size == 1 and nxt == seq and rev.window == 0:
            mark = _PROBE
        else:
            if window == 0 and not control:
                mark |= _ZERO
            if nxt and seq != nxt and (seq - nxt) & M < H and not flags & RST:
                mark |= _LOST
            if length <= 1 and seq == (nxt - 1) & M and not control:
                mark |= _KEEP_ALIVE
            if length == 0 and not control and seq == nxt and ack == fwd.lastack:
                if window != fwd.window and (window or fwd.window >= 0):
                    if window:
                        mark |= _UPDATE
                elif window:
                    if rev.flags & _KEEP_ALIVE:
                        mark |= _KEEP_ALIVE_ACK
                    else:
                        fwd.dup += 1
                        mark |= _DUPLICATE
                elif rev.flags & _PROBE:
                    mark |= _PROBE_ACK
        if length and not control and not mark & _PROBE and rev.lastack and rev.scale >= 0:
            edge = (rev.lastack + rev.room) & M
            if (seq + length) & M == edge:
                mark |= _FULL
        if flags & ACK and rev.maxack and ack != rev.maxack and (ack - rev.maxack) & M < H:
            if rev.maxack != rev.next:
                mark |= _ACK_LOST
                rev.maxack = rev.next
            else:
                if not rev.dup:
                    mark |= _ACK_LOST
                rev.dup = max(rev.dup, 2)
        after = (seq + length) & M
        if length and not mark & _KEEP_ALIVE:
            if size and rev.lastack and (rev.lastack - seq - size) & M < H:  # its FIN may be new
                mark |= _SPURIOUS | _RETRANSMISSION
            elif (
                nxt and seq != nxt and (nxt - seq) & M < H and not mark & _PROBE and (size <= 1 or seq != (nxt - 1) & M)
            ):
                if rev.dup >= 2 and rev.lastack == seq and 0 <= time - rev.lastack_time < FAST_WITHIN:
                    mark |= _FAST | _RETRANSMISSION
                elif nxt != after and 0 <= time - fwd.next_time < reorder:
                    mark |= _OUT_OF_ORDER
                else:
                    mark |= _RETRANSMISSION
        ahead = not nxt or (after != nxt and (after - nxt) & M < H)
        if ahead and not mark & _PROBE:
            fwd.next = after
            fwd.next_time = time
        top = fwd.maxack
        if not top or seq == top:
            fwd.maxack = fwd.next
        if ack != fwd.lastack:
            fwd.dup = 0
            fwd.lastack = ack
        fwd.lastack_time = time
        if flags & SYN:
            said = options(rows.options(i))
            _offer(sides, sender, said.wscale)
            if not flags & ACK:
                syn_time = time
                cookie[sender] = bool(said.fast_open)
                if cookie[sender]:
                    mark |= _TFO_SYN
            else:
                if seq != fwd.base:
                    mark |= _REUSED
                    fwd.base = seq
                if rev.base is not None and ack != (rev.base + 1) & M:
                    mark |= _TFO_ACK
                elif cookie[1 - sender] and rev.data:
                    mark |= _TFO_IGNORED
            fwd.data = size > 0
        elif flags & ACK and syn_time >= 0 and not first_rtt:
            first_rtt = time - syn_time
            if first_rtt:
                reorder = first_rtt if first_rtt > 0 else FOREVER  # negative: the clock was set back
        fwd.window = window
        fwd.room = window if flags & SYN or fwd.scale < 0 else window << fwd.scale
        fwd.flags = mark
        out.append(mark)
    if reused and rows.flags[0] & (SYN | ACK) == SYN:
        out[0] |= _REUSED
    return out


def _follows(fwd: _Side, rev: _Side, seq: int, size: int, time: int) -> bool:
    """Move on by a segment that is next in sequence, unless it fills or probes a window or was acknowledged before."""
    after = (seq + size) & M
    known = rev.lastack
    if not known or not rev.window or rev.scale < 0 or (known - after) & M < H or after == (known + rev.room) & M:
        return False
    if after:
        fwd.next = after
        fwd.next_time = time
    return after != 0


def _offer(sides: tuple[_Side, _Side], sender: int, shift: int | None) -> None:
    """A SYN offered a window scale, or none: then neither side scales (RFC 7323 2.2)."""
    if shift is None:
        sides[0].scale = sides[1].scale = 0
    elif sides[sender].scale < 0:
        sides[sender].scale = shift
