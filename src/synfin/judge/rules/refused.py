"""TCP101: connection refused: a SYN was answered with RST.

What it sees.  The client's SYN got RST,ACK instead of SYN,ACK, and no handshake ever followed.

Why it matters.  Nobody listens on that address and port, so no client can connect.  Users see "Connection refused",
ECONNREFUSED, curl exit 7, ERR_CONNECTION_REFUSED.

How to fix.  On the server: start the service, or let it listen on this address (not only on 127.0.0.1 or only on
IPv4) and this port; look with `ss -ltn`.  On the client: check name, address and port.

Confused with.  A firewall that rejects with a TCP reset looks the same from one place: compare the TTL and IP
identification of the RST with packets that surely come from the server, or capture at the server: if the SYN never
arrives there, a device in between refused it.  When the same port answers over the other address family right after
(RFC 8305), port 443 is refused and port 80 of the same host answers (browsers try https first), or many ports were
tried in turn, this is only a note.

References.  RFC 9293 3.10.7.1 (CLOSED answers with RST) and 3.10.7.3 (SYN-SENT, RST: connection refused).
"""

from __future__ import annotations

from synfin.judge.engine import Context
from synfin.judge.facts import first_rst, syns
from synfin.judge.model import Confidence, Finding, Severity
from synfin.judge.telling import at, end, finding, span
from synfin.observe.story import A, B, Connection

CODE = "TCP101"

HTTP, HTTPS = 80, 443

#: Initial TTLs in use (Unix 64, Windows 128, network devices 255).
_INITIAL = (64, 128, 255)


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire on SYN answered by RST only."""
    if connection.tcp.handshake != "refused" or "stale_syn" in connection.tcp.shape:
        return None
    reset = first_rst(connection, B)
    asked = syns(connection, A)
    if reset is None or not asked:
        return None
    rows = connection.rows
    severity, aside = None, ""
    near = context.neighbours
    if near is not None and near.fell_back(connection):
        severity, aside = Severity.NOTICE, " The client then reached the same port over the other address family."
    elif near is not None and connection.b.port == HTTPS and near.answered.get((connection.b.ip, HTTP)):
        severity, aside = Severity.NOTICE, " Port 80 of the same host answered: browsers try https:// first."
    elif near is not None and near.scanned(connection):
        severity, aside = Severity.NOTICE, " The client tried many ports of this host: a scan."
    answered = near is not None and connection.b.ip in near.open_hosts
    ttl = rows.ttl[reset]
    hops = min(start - ttl for start in _INITIAL if start >= ttl)
    wait = rows.time[reset] - rows.time[asked[-1]]
    return finding(
        CODE,
        f"{end(connection, B)} refused the connection",
        f"{end(connection, A)} sent SYN (packet {rows.number[asked[0]]}); {at(connection, rows.time[reset])}, "
        f"{span(max(wait, 0))} after the SYN, the answer was RST (packet {rows.number[reset]}, TTL {ttl}: about {hops} "
        f"hops away): no program listens on port {connection.b.port} there.{aside}"
        + (" The same host accepts connections on another port." if answered else ""),
        f"Server's operator: start the service on port {connection.b.port} of {connection.b.ip} or let it listen on "
        "this address. Client: check the address and port.",
        [rows.number[i] for i in (*asked, reset)],
        severity=severity,
        sure=Confidence.LIKELY,
        reason="an unused port answers exactly so (RFC 9293 3.10.7.1); a device that rejects with a reset can "
        "imitate it",
        disproof="a capture at the server in which this SYN does not arrive: then a device in between sent the RST",
        next_capture="at the server, if the service is known to listen",
    )
