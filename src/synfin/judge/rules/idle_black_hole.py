"""TCP401: a device on the path forgot an idle connection.

What it sees.  The connection worked, was idle for two seconds or more (usually much more), and then everything the
client sends is repeated and never acknowledged, with no answer of any kind.

Why it matters.  "Read timed out", and a retry on a new connection works at once: NAT, firewall or load balancer dropped
the connection from its table after its idle timeout.

How to fix.  Send TCP keep-alives or application pings more often than the device's timeout, or raise that timeout.

Confused with.  A server that went away or a path that broke: then a new connection fails as well.  Repetitions that
are acknowledged in the end are loss.

References.  RFC 5382 5 (NATs should keep idle TCP connections for 2 h 4 min), RFC 9293 3.8.4.
"""

from __future__ import annotations

from collections import Counter

from synfin.judge.engine import Context
from synfin.judge.facts import payload_indices
from synfin.judge.model import Confidence, Finding
from synfin.judge.telling import SECOND, at, end, finding, numbers, span
from synfin.observe.story import A, Connection
from synfin.wire.tcpflags import RST

CODE = "TCP401"

#: The shortest idle time that is taken for a cause; the shortest timeouts in the field are 30 s or more, labs use less.
IDLE = 2 * SECOND


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire on data after an idle time that is repeated and never answered."""
    tcp = connection.tcp
    if tcp.handshake != "complete" or tcp.source != "packets":
        return None
    rows = connection.rows
    for sender in (A, 1 - A):
        sent = payload_indices(connection, sender)
        heard = [i for i in range(len(rows)) if rows.sender[i] != sender]
        if not sent or not heard or not tcp.sides[1 - sender].payload:
            continue
        silent = [i for i in sent if i > heard[-1]]
        if len(silent) < 3 or rows.flags[heard[-1]] & (RST | 1):
            continue
        before = max(heard[-1], *(i for i in sent if i < silent[0])) if len(sent) > len(silent) else heard[-1]
        idle = rows.time[silent[0]] - rows.time[before]
        seqs = [rows.seq[i] for i in silent]
        repeats = max(Counter(seqs).values())
        trying = rows.time[silent[-1]] - rows.time[silent[0]]
        if repeats < 3 or trying < SECOND or idle < IDLE or rows.load_len[silent[0]] <= 1:
            continue
        return finding(
            CODE,
            f"the connection to {connection.b} was forgotten on the path after {span(idle)} without traffic",
            f"The connection worked, then was idle for {span(idle)}; {at(connection, rows.time[silent[0]])} "
            f"{end(connection, sender)} sent data {repeats} times in {span(trying)} "
            f"({numbers([rows.number[i] for i in silent])}) "
            "and nothing at all came back, neither acknowledgment nor reset.",
            "Operator of the NAT, firewall or load balancer: raise its idle timeout. Both ends meanwhile: TCP "
            "keep-alive "
            f"or pings more often than every {span(idle)}.",
            [rows.number[before], *(rows.number[i] for i in silent)],
            sure=Confidence.LIKELY,
            reason="it worked before the idle time, and after it nothing passes",
            disproof="a new connection to the same server that fails in the same way: then the server or path is down",
            next_capture="at the server: do these packets arrive?",
        )
    return None
