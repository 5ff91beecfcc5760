"""TCP201: packets are lost on the path, and waiting for them costs time.

What it sees.  Retransmissions that had to wait for a timer: together half a second or more; or one segment of twenty
sent again, ten at least.

Why it matters.  Each timeout stops the connection for 200 ms or more, and TCP slows down after each loss.

How to fix.  Find where packets are lost, per direction: wireless link, full queue, duplex mismatch, rate limit, a
failing cable.  Compare with a capture at the other end.

Confused with.  A retransmission or two are normal on any path.  A receiver that shut its window (TCP220) does not lose
packets.  Losses that go by size are TCP301.

References.  RFC 6298, RFC 5681, RFC 2018.
"""

from __future__ import annotations

from bisect import bisect_left

from synfin.judge.engine import Context
from synfin.judge.facts import client_side, first_close, is_cut, payload_indices, round_trip
from synfin.judge.model import Confidence, Finding, Severity
from synfin.judge.telling import MILLI, SECOND, end, finding, span
from synfin.observe.story import Connection

CODE = "TCP201"

#: Timer waits that together are worth a word.
WAITED = SECOND // 2

#: Retransmissions that are worth a word without: this many, and one of twenty segments.
MANY, SHARE = 10, 20


def repaired(connection: Connection, side: int) -> int:
    """How many segments of a side came a round trip or more after later octets: copies, or what fills a hole.

    Marks of the usual tools call many of these out of order; packets that overtake each other do so sooner.
    """
    rows = connection.rows
    late = max(round_trip(connection) * 4 // 5, 3 * MILLI)
    tops: list[int] = []
    times: list[int] = []
    again = 0
    base: int | None = None
    for i in payload_indices(connection, side):
        size = rows.load_len[i]
        if size == 1:
            continue  # a keep-alive or a window probe
        if base is None:
            base = rows.seq[i]
        top = tops[-1] if tops else 0
        end_ = top + ((rows.seq[i] + size - base - top + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        if not tops or end_ > tops[-1]:
            tops.append(end_)
            times.append(rows.time[i])
        elif rows.time[i] - times[bisect_left(tops, end_)] >= late:
            again += 1
    return again


def check(connection: Connection, context: Context) -> Finding | None:
    """Note loss that cost time."""
    tcp = connection.tcp
    if tcp.handshake != "complete":
        return None
    stalls = [stall for stall in tcp.stalls if stall.kind == "retransmission_timeout"]
    waited = sum(stall.end - stall.start for stall in stalls)
    counts = [repaired(connection, side) for side in (0, 1)]
    sender = 0 if counts[0] >= counts[1] else 1
    again, packets = counts[sender], tcp.sides[sender].packets
    if waited < WAITED and not (again >= MANY and again * SHARE >= packets):
        return None
    close = first_close(connection)
    holes = any(not hole.acknowledged for stream in connection.streams for hole in stream.holes)
    failed = holes and not is_cut(connection) and close is not None and close.side == client_side(connection)
    places = [packet for stall in stalls for packet in stall.packets] or [connection.first_packet]
    often = "once" if len(stalls) == 1 else f"{len(stalls)} times"
    return finding(
        CODE,
        f"packets of {end(connection, sender)} are lost on the path: {again} sent again"
        + (f", {span(waited)} of waiting" if waited else ""),
        f"{end(connection, sender)} sent {again} of its {packets} packets again"
        + (f", and waited for its timer {often}: {span(waited)}." if stalls else ".")
        + (" The client gave up before everything had arrived." if failed else ""),
        "Network's operator: find where packets are lost in this direction: wireless link, full queue, rate limit, "
        "faulty line.",
        places[:12],
        severity=Severity.WARNING if failed else None,
        sure=Confidence.LIKELY,
        reason="retransmissions that wait for a timer follow a loss; what was lost where cannot be seen from one place",
        disproof="a capture at the other end that shows the first copies arriving",
        next_capture="at the other end, to see in which direction packets are lost",
    )
