"""TCP210: a small write waited for a delayed acknowledgment (Nagle's algorithm against delayed ACK).

What it sees.  A side sends a small segment, then nothing until the other side's acknowledgment comes after 40 ms
(Linux) or 200 ms (Windows), and at once the next small segment follows.

Why it matters.  "localhost takes 44 ms": the sender holds back its second small write until the first is
acknowledged (Nagle), and the receiver holds back the acknowledgment in the hope of data to send (delayed ACK).

How to fix.  Sender: write the message in one call, or set TCP_NODELAY.

Confused with.  An application that thinks for 40 ms: then the segment does not follow the acknowledgment so closely.

References.  RFC 9293 3.7.4 (Nagle), RFC 1122 4.2.3.2 (delayed ACK).
"""

from __future__ import annotations

from synfin.judge.engine import Context
from synfin.judge.facts import client_side
from synfin.judge.model import Actor, Confidence, Finding
from synfin.judge.telling import MILLI, at, end, finding, span
from synfin.observe.story import Connection

CODE = "TCP210"

#: Delayed acknowledgments of today's systems, ns from and to.
_DELAYS = ((38 * MILLI, 52 * MILLI), (180 * MILLI, 230 * MILLI))


def check(connection: Connection, context: Context) -> Finding | None:
    """Note small segment, delayed ACK, small segment at once."""
    tcp, rows = connection.tcp, connection.rows
    rtt = tcp.initial_rtt or 0
    if tcp.handshake != "complete" or tcp.source != "packets":
        return None
    for i in range(1, len(rows) - 1):
        first, sender = i - 1, rows.sender[i - 1]
        if rows.load_len[i] or rows.sender[i] == sender or not rows.load_len[first] or rows.flags[i] & 7:
            continue
        delay = rows.time[i] - rows.time[first]
        if not any(low <= delay <= high for low, high in _DELAYS) or rows.ack[i] != _after(connection, first):
            continue
        far = tcp.sides[1 - sender].syn
        if rows.load_len[first] >= (far.mss if far is not None and far.mss is not None else 536) - 60:
            continue
        then = next((n for n in range(i + 1, len(rows)) if rows.load_len[n]), None)
        if then is None or rows.sender[then] != sender or rows.flags[then] & 7:
            continue
        if rows.time[then] - rows.time[i] > rtt + 2 * MILLI:
            continue
        return finding(
            CODE,
            f"{end(connection, sender)} held a small write back for {span(delay)} until an acknowledgment came",
            f"{at(connection, rows.time[first]).capitalize()} {end(connection, sender)} sent {rows.load_len[first]} "
            "octets "
            f"(packet {rows.number[first]}); the acknowledgment came {span(delay)} later (packet {rows.number[i]}), "
            "and at "
            f"once the next {rows.load_len[then]} octets followed (packet {rows.number[then]}).",
            f"Operator of {end(connection, sender)}: write a message in one call, or set TCP_NODELAY.",
            [rows.number[n] for n in (first, i, then)],
            actor=Actor.CLIENT if sender == client_side(connection) else Actor.SERVER,
            sure=Confidence.LIKELY,
            reason="the delay is that of a delayed acknowledgment, and the data follows it at once",
            disproof="TCP_NODELAY set at the sender",
        )
    return None


def _after(connection: Connection, place: int) -> int:
    return (connection.rows.seq[place] + connection.rows.load_len[place]) & 0xFFFFFFFF
