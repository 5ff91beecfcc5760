"""HTP103: the server closed without answering the request.

 What it sees.  A complete request that can be read, and then the server's close (FIN, close_notify) with no octet
of an answer.

Why it matters.  "Empty reply from server" (curl 52), "Remote end closed connection without response",
ERR_EMPTY_RESPONSE.

How to fix.  Look in the server's log at this moment: a worker that died, a backend that closed, a filter that drops
the request.

Confused with.  A request that crossed the server's close after an idle time (HTP101); an RST instead of a close
(TCP501).

References.  RFC 9112 9.5 and 9.6.
"""

from __future__ import annotations

from synfin.judge.engine import Context
from synfin.judge.facts import at, end, finding, first_close, missed
from synfin.judge.model import Confidence, Finding
from synfin.observe.story import Connection

CODE = "HTP103"


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire on a readable request whose only answer is the server's close."""
    http, tls = connection.http, connection.tls
    if http is None or http.protocol == "h2" or http.switched or connection.tcp.handshake == "none":
        return None
    if missed(connection):
        return None
    requests = [m for m in http.messages if m.kind == "request"]
    answers = [m for m in http.messages if m.kind == "response" and (m.status is None or m.status >= 200)]
    if not requests or len(answers) >= len(requests) or not requests[len(answers)].complete or not requests[0].method:
        return None
    request = requests[len(answers)]
    server = 1 - request.sender
    streams = tls.data if tls is not None and tls.data is not None else connection.streams
    last = answers[-1] if answers else None
    if last is not None and (not last.complete or last.framing in ("close", "tunnel")):
        return None
    if last is None and streams[server].pieces:
        return None
    close = first_close(connection)
    notify = tls.close_notify[server] if tls is not None else None
    if close is None or close.reset or (close.side != server and notify is None) or close.time < request.end:
        return None
    packet = notify or close.packet
    told = "close_notify and FIN" if notify is not None else "FIN"
    return finding(
        CODE,
        f"{end(connection, server)} closed without answering {request.method} {request.target}",
        f"{end(connection, request.sender)} sent {request.method} {request.target} (packet {request.packets[0]}); "
        f"{at(connection, close.time)} the server closed with {told} (packet {packet}) and not one octet of a "
        "response.",
        "Server's operator: look in the log at this moment: dead worker, backend that closed, a filter that drops it.",
        [*request.packets, packet],
        sure=Confidence.CERTAIN,
        reason="the request is complete and the server's close is here",
        disproof="response octets that the capture missed",
    )
