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
from synfin.judge.facts import ended_by, first_close, missed
from synfin.judge.model import Confidence, Finding, Severity
from synfin.judge.records import protected, speaks_http, unanswered
from synfin.judge.signs import PADDED_ALERT
from synfin.judge.telling import SECOND, at, end, finding, server_name
from synfin.observe.story import Connection

CODE = "HTP103"

#: An encrypted record shorter than this holds no HTTP request.
SHORTEST = 45


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire on a readable request whose only answer is the server's close."""
    http, tls = connection.http, connection.tls
    if http is None and tls is not None:
        return _unreadable(connection)
    if http is None or http.switched or connection.tcp.handshake == "none":
        return None
    if missed(connection):
        return None
    requests = [m for m in http.messages if m.kind == "request"]
    answers = [m for m in http.messages if m.kind == "response" and (m.status is None or m.status >= 200)]
    if http.protocol == "h2":
        if any(event.what in ("rst_stream", "goaway") for event in http.h2):
            return None
        known = {m.stream for m in http.messages if m.kind == "response"}
        requests, answers = [m for m in requests if m.stream not in known], []
    if not requests or len(answers) >= len(requests) or not requests[len(answers)].complete or not requests[0].method:
        return None
    request = requests[len(answers)]
    server = 1 - request.sender
    streams = tls.data if tls is not None and tls.data is not None else connection.streams
    last = answers[-1] if answers else None
    if last is not None and (not last.complete or last.framing in ("close", "tunnel")):
        return None
    if last is None and streams[server].pieces and http.protocol != "h2":
        return None
    close = first_close(connection)
    packet = ended_by(connection, server)
    if close is None or packet is None or close.reset or close.time < request.end:
        return None
    told = "close_notify and FIN" if packet != close.packet else "FIN"
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


def _unreadable(connection: Connection) -> Finding | None:
    """TLS without secrets: the server's close is the first thing after the client's request."""
    tls = connection.tls
    asked = unanswered(tls) if tls is not None and tls.handshake_done else None
    if tls is None or asked is None or asked[1] is not None or missed(connection):
        return None
    request = asked[0]
    close = first_close(connection)
    if not speaks_http(connection) or (close is not None and close.reset) or request.length < SHORTEST:
        return None
    goodbyes = [p for p in protected(tls) if p.what == "alert" and p.time >= request.time]
    if close is None:  # a record of a padded alert's size may be two SETTINGS frames (RFC 9113 6.5), and no end
        goodbyes = [p for p in goodbyes if not (p.guess and p.length == PADDED_ALERT)]
    if goodbyes and (close is None or goodbyes[0].time <= close.time):
        side, time, packet = goodbyes[0].sender, goodbyes[0].time, goodbyes[0].packet
    elif close is not None:
        side, time, packet = close.side, close.time, close.packet
    else:
        return None
    if side == tls.client or not 0 <= time - request.time <= 60 * SECOND:
        return None
    return finding(
        CODE,
        f"{server_name(connection)} closed without answering the request",
        f"{end(connection, tls.client)} sent a request (packet {request.packet}, {request.length} octets encrypted); "
        f"{at(connection, time)} the server closed (packet {packet}) and sent nothing that can be a "
        "response, only what has the look of session tickets.",
        "Server's operator: look in the log at this moment: dead worker, backend that closed, a filter that drops it.",
        [request.packet, packet],
        severity=Severity.WARNING,
        sure=Confidence.LIKELY,
        reason="the records cannot be read, but none of them comes after the request and has a length of its own",
        disproof="a response among the decrypted records",
        next_capture="with TLS secrets (SSLKEYLOGFILE)",
    )
