"""TCP102: the SYN got no answer at all.

What it sees.  One or more SYNs, no SYN,ACK, no RST, no ICMP error.  As the server sees it: the SYN comes again and
again although SYN,ACK answered it.

Why it matters.  The client waits for its connect timeout: "Connection timed out", ETIMEDOUT, curl exit 28,
ERR_CONNECTION_TIMED_OUT.

How to fix.  From the client's place several causes look alike: a packet filter or security group that drops
silently, a wrong address or missing route, an answer lost on its way back, or a server whose accept queue is full
(the kernel then drops SYNs).  Capture at the server: SYN does not arrive = path or filter before it; SYN arrives and
is not answered = the host's own filter or a full accept queue (`nstat -az TcpExtListenOverflows`); SYN,ACK leaves =
the way back is broken.

Confused with.  A full accept queue (likely when the same server answered other connections in this capture).  One
lost SYN that is answered after a second is slow, not broken (SLO101).  A single SYN without repetition is a scan, or a
client that went on elsewhere (RFC 8305), or the end of the capture: at most a note.

References.  RFC 9293 3.8.1 and RFC 6298 (retransmission after 1 s, doubling), RFC 8305.
"""

from __future__ import annotations

import itertools

from synfin.judge.engine import Context
from synfin.judge.facts import syns
from synfin.judge.model import Actor, Confidence, Finding, Severity
from synfin.judge.rules.unreachable import is_unreachable
from synfin.judge.telling import SECOND, end, finding, numbers, span
from synfin.observe.story import A, B, Connection

CODE = "TCP102"

#: A lone SYN is mentioned only when the capture listened this long after it: three times the first timeout.
LISTENED = 3 * SECOND


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire on repeated SYNs without any answer; note a lone one that was listened for."""
    tcp = connection.tcp
    if tcp.handshake == "syn_synack":
        return _answer_lost(connection, context)
    if tcp.handshake != "syn_only" or tcp.sides[B].packets or tcp.sides[A].rsts:
        return None
    if any(is_unreachable(error) for error in tcp.icmp):
        return None
    tries = syns(connection, A)
    rows = connection.rows
    if not tries:
        return None
    first, last = rows.time[tries[0]], rows.time[tries[-1]]
    rest = context.waited(connection, last)
    listened = rest >= SECOND
    repeated = last - first > SECOND // 2 and (len(tries) > 2 or (len(tries) > 1 and listened))
    near = context.neighbours
    alone = not repeated and len(tries) < 2 and context.waited(connection, last) < LISTENED
    if alone and (near is None or ":" not in connection.b.ip or not near.fell_back(connection)):
        return None
    severity, aside = None if repeated else Severity.NOTICE, ""
    answered = near.answered.get((connection.b.ip, connection.b.port), 0) if near is not None else 0
    open_host = near is not None and connection.b.ip in near.open_hosts
    if near is not None and near.fell_back(connection):
        severity, aside = Severity.NOTICE, " The client reached the same port over the other address family."
    elif near is not None and near.scanned(connection):
        severity, aside = Severity.NOTICE, " The client tried many ports of this host in vain: a scan."
    gaps = ", ".join(span(rows.time[b] - rows.time[a]) for a, b in itertools.pairwise(tries))
    if answered:
        guess = (
            f"The same server answered {answered} other connection{'s' if answered > 1 else ''} in this capture, so "
            "the path works: its accept queue is most probably full (the program does not call accept fast enough)."
        )
        actor = Actor.SERVER
    elif open_host:
        guess = (
            f"The host answers on another port, so the path works: a packet filter drops port {connection.b.port}, or "
            "its accept queue is full."
        )
        actor = Actor.UNDECIDABLE
    else:
        guess = (
            "From here it cannot be told whether a packet filter drops the SYN, the address is wrong or has no route, "
            "the answer is lost on its way back, or the server's accept queue is full."
        )
        actor = Actor.UNDECIDABLE
    return finding(
        CODE,
        f"nobody answered the SYN to {connection.b}"
        + (f" ({len(tries)} times in {span(last - first)})" if repeated else ""),
        f"{end(connection, A)} sent SYN ({numbers([rows.number[i] for i in tries])}"
        + (f", repeated after {gaps}" if gaps else "")
        + "); no SYN,ACK, no RST and no ICMP error came"
        + (f" until {span(rest)} after the last" if rest else "")
        + f". {guess}{aside}",
        (
            f"Server's operator: look at the accept queue of port {connection.b.port} (`ss -ltn`, "
            "TcpExtListenOverflows) and at why the program does not accept."
            if answered
            else f"Capture at {connection.b.ip} to see whether the SYN arrives, then act there: filter or security "
            "group, route, or the server's accept queue."
        ),
        [rows.number[i] for i in tries],
        actor=actor,
        severity=severity,
        sure=Confidence.LIKELY if answered else Confidence.POSSIBLE if not repeated else Confidence.CERTAIN,
        reason=(
            "a path that works for other connections and a SYN that is dropped fit a full accept queue"
            if answered
            else "that no answer passed here is certain; the reason cannot be seen from this place"
            if repeated
            else "one SYN may be lost, or its sender may have gone on elsewhere"
        ),
        disproof="a SYN,ACK, RST or ICMP error for this SYN that the capture missed",
        next_capture=f"at the server {connection.b.ip}: does the SYN arrive, and does a SYN,ACK leave?",
    )


def _answer_lost(connection: Connection, context: Context) -> Finding | None:
    """As the server sees it: the SYN comes again although it was answered, and nobody acknowledges the answer."""
    rows = connection.rows
    answers, tries = syns(connection, B), syns(connection, A)
    again = [i for i in tries if answers and i > answers[0]]
    if len(again) < 2 or len(answers) < 2 or any(side.rsts for side in connection.tcp.sides):
        return None
    if context.waited(connection, rows.time[answers[0]]) < 2 * SECOND:
        return None
    return finding(
        CODE,
        f"the SYN,ACK of {connection.b} does not reach {connection.a.ip}",
        f"{end(connection, A)} sent SYN {len(tries)} times ({numbers([rows.number[i] for i in tries])}) although "
        f"{end(connection, B)} answered with SYN,ACK ({numbers([rows.number[i] for i in answers])}); no ACK came. The "
        "way there works, the way back does not: a packet filter or a wrong route drops the answers.",
        f"Capture at {connection.a.ip} to see whether the SYN,ACK arrives; then look at the route back and at the "
        "packet filters on it (asymmetric routing past a stateful filter is usual).",
        [rows.number[i] for i in (*tries, *answers)],
        actor=Actor.NETWORK,
        sure=Confidence.LIKELY,
        reason="a client that had the SYN,ACK would not repeat its SYN",
        disproof="a capture at the client in which the SYN,ACK arrives",
        next_capture=f"at the client {connection.a.ip}: does the SYN,ACK arrive?",
    )
