"""HTP101: a request met a connection that the server was just closing.

What it sees.  After at least one answered exchange and an idle time, the client sends a request and the server's
close_notify, FIN or RST crosses it: it left before the request can have arrived, and the request is answered by RST or
not at all.

Why it matters.  "Remote end closed connection without response", "socket hang up", ECONNRESET, 502 of a load balancer:
rare, and never the application's fault.

How to fix.  Client: close idle connections before the server does (idle timeout shorter than the server's keep-alive
timeout), and repeat idempotent requests on a new connection (RFC 9110 9.2.2).

Confused with.  A server that crashes on a request (HTP103, TCP501): there the FIN or RST comes after the request has
arrived.

References.  RFC 9112 9.3.1 and 9.5 (retrying, closing).
"""

from __future__ import annotations

from synfin.judge.engine import Context
from synfin.judge.facts import client_side, payload_indices, round_trip
from synfin.judge.model import Confidence, Finding
from synfin.judge.telling import SECOND, at, end, finding, span
from synfin.observe.story import Connection
from synfin.wire.tcpflags import FIN, RST

CODE = "HTP101"

#: An idle time this long before the request makes a keep-alive timeout plausible.
IDLE = SECOND

#: A request has at least a line: `GET / HTTP/1.0` and its end.
SHORTEST = 18


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire when the last request and the server's close crossed after an idle time."""
    tcp = connection.tcp
    if tcp.handshake != "complete" or tcp.source != "packets" or (connection.tls is None and connection.http is None):
        return None
    client = client_side(connection)
    server = 1 - client
    rows = connection.rows
    closes = [i for i in range(len(rows)) if rows.sender[i] == server and rows.flags[i] & (FIN | RST)]
    if not closes:
        return None
    goodbye = connection.tls.close_notify[server] if connection.tls is not None else None
    first = next((i for i in payload_indices(connection, server) if rows.number[i] == goodbye), closes[0])
    first = min(first, closes[0])
    data = payload_indices(connection, client)
    answers = [i for i in payload_indices(connection, server) if i < first]
    if not answers or (connection.tls is not None and not connection.tls.handshake_done):
        return None
    # The request: client payload that the server's close does not acknowledge, or that came right after it.
    late = [i for i in data if i > answers[-1] and _crossed(connection, i, first)]
    if not late:
        return None
    request = late[0]
    if rows.load_len[request] < SHORTEST or (connection.tls and _only_alert(connection, rows.number[request])):
        return None
    idle = min(rows.time[request], rows.time[first]) - rows.time[max(answers[-1], *(i for i in data if i < request), 0)]
    resets = [i for i in closes if rows.flags[i] & RST and i > request]
    answered = any(i > request and rows.number[i] != goodbye for i in payload_indices(connection, server))
    if idle < IDLE or answered:
        return None
    kind = "RST" if rows.flags[first] & RST else "FIN" if rows.flags[first] & FIN else "close_notify"
    return finding(
        CODE,
        f"{end(connection, client)} sent a request into a connection that {end(connection, server)} was closing",
        f"The connection had been idle for {span(idle)}; {at(connection, rows.time[request])} the client sent a "
        "request "
        f"(packet {rows.number[request]}), while the server's {kind} (packet {rows.number[first]}, "
        f"{at(connection, rows.time[first])}) was on its way: it does not acknowledge the request"
        + (f". The server answered with RST (packet {rows.number[resets[0]]})." if resets and kind != "RST" else "."),
        "Client's operator: let the client drop idle connections earlier than the server does (here after "
        f"{span(idle)}), "
        "and repeat the request on a new connection when it is idempotent. Server's operator: a longer keep-alive "
        "timeout "
        "than the client's pool.",
        [rows.number[i] for i in (answers[-1], first, request, *resets[:1])],
        sure=Confidence.LIKELY,
        reason="idle time before, and the close does not acknowledge the request: they crossed",
        disproof="a server log that shows the request as received",
    )


def _crossed(connection: Connection, request: int, close: int) -> bool:
    """Whether the close left the server before the request can have reached it."""
    rows = connection.rows
    if request > close:
        return rows.time[request] - rows.time[close] <= max(round_trip(connection), 5_000_000)
    unseen = (rows.seq[request] + rows.load_len[request] - rows.ack[close]) & 0xFFFFFFFF
    return 0 < unseen < 0x80000000 and rows.time[close] - rows.time[request] < max(round_trip(connection), 1_000_000)


def _only_alert(connection: Connection, packet: int) -> bool:
    tls = connection.tls
    return tls is not None and all(r.length <= 32 for r in tls.records if r.packet == packet)
