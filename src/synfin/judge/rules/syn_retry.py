"""SLO101: a SYN or its answer was lost once: the connection began a second late.

What it sees.  A SYN sent again after about one second (three, seven ...), then answered.

Why it matters.  "Sometimes takes one second": the retransmission timer of a new connection starts at 1 s, so one lost
packet costs a whole second, whatever the path's round trip.

How to fix.  Look for loss (wireless link, overload, rate limit for SYNs) or a server whose accept queue overflows now
and then.

Confused with.  A SYN that is never answered is TCP102.

References.  RFC 6298 2 (initial RTO 1 s).
"""

from __future__ import annotations

from synfin.judge.engine import Context
from synfin.judge.facts import syns
from synfin.judge.model import Confidence, Finding
from synfin.judge.telling import SECOND, end, finding, numbers, span
from synfin.observe.story import A, B, Connection

CODE = "SLO101"


def check(connection: Connection, context: Context) -> Finding | None:
    """Note repeated SYNs before an answer."""
    if connection.tcp.handshake != "complete":
        return None
    tries, answers = syns(connection, A), syns(connection, B)
    rows = connection.rows
    if len(tries) < 2 or not answers:
        return _late(connection)
    lost = rows.time[tries[-1]] - rows.time[tries[0]]
    if lost < SECOND // 2:
        return None
    late = answers[0] > tries[-1]
    return finding(
        CODE,
        f"the connection to {connection.b} began {span(lost)} late: {'its SYN' if late else 'the SYN,ACK'} was lost",
        f"{end(connection, A)} sent SYN {len(tries)} times ({numbers([rows.number[i] for i in tries])}) before "
        f"{'an answer came' if late else 'it took the answer'}: {span(lost)} went by.",
        "Network's operator: look for loss on the path; server's operator: for an accept queue that overflows at "
        "times.",
        [rows.number[i] for i in (*tries, answers[0])],
        sure=Confidence.CERTAIN,
        reason="the repetitions are here",
        disproof="",
    )


def _late(connection: Connection) -> Finding | None:
    """One SYN, and an answer about a second later on a path that is quick afterwards: the first SYN,ACK was lost."""
    tcp = connection.tcp
    answer, asked = tcp.sides[B].syn, tcp.sides[A].syn
    later = tcp.sides[B].rtt
    wait = tcp.syn_to_synack
    if (
        wait is None
        or answer is None
        or asked is None
        or later is None
        or wait < SECOND * 9 // 10
        or wait < 10 * later[1]
    ):
        return None
    return finding(
        CODE,
        f"the connection to {connection.b} began {span(wait)} late: its SYN or the SYN,ACK was lost",
        f"The SYN (packet {asked.packet}) was answered after {span(wait)} (packet {answer.packet}), and later answers "
        f"take {span(later[1])}: the wait is the retransmission timer of the server's SYN,ACK.",
        "Network's operator: look for loss on the path; server's operator: for an accept queue that overflows at "
        "times.",
        [asked.packet, answer.packet],
        sure=Confidence.LIKELY,
        reason="the wait is that of a retransmission timer and not of the path",
        disproof="a capture at the server in which its SYN,ACK leaves only once",
        next_capture="at the server",
    )
