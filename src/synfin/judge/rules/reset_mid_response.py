"""TCP501: the connection was reset before the response was complete.

What it sees.  The server's side sent RST while a response was under way: its length is known and not all of it came
(HTTP readable), or the last TLS record is cut, or no answer came to a request, or the RST follows the server's data
at once without close_notify (TLS that cannot be read).

Why it matters.  "Recv failure: Connection reset by peer" after part of the body, IncompleteRead, "fixed
content-length: N, bytes received: M".

How to fix.  Server side: crash, out-of-memory kill, restart, a load balancer's timeout; a program that closes while the
client's octets are unread makes its kernel send RST (read the request to its end first).

Confused with.  RST after close_notify, after both FINs or after a complete response is healthy, and so is a client
that resets when it has what it wanted.  A reset of an idle connection is not reported.  A client that resets in the
middle stopped by itself: a note.

References.  RFC 9293 3.6.1 and 3.10.4, RFC 9112 8 (incomplete messages), RFC 8446 6.1.
"""

from __future__ import annotations

from synfin.judge.engine import Context
from synfin.judge.facts import client_side, first_close, missed, payload_indices
from synfin.judge.forged import forger_signs
from synfin.judge.model import Actor, Confidence, Finding, NotJudged, Severity
from synfin.judge.records import protected
from synfin.judge.telling import SECOND, at, end, finding
from synfin.observe.story import Connection
from synfin.observe.story_http import HttpMessage

CODE = "TCP501"

#: An RST this soon after the server's data belongs to it; later the connection was idle.
AT_ONCE = SECOND * 3 // 10


def check(connection: Connection, context: Context) -> Finding | NotJudged | None:
    """Fire on the server's RST inside a response; note the client's."""
    tcp = connection.tcp
    close = first_close(connection)
    if close is None or not close.reset or tcp.handshake != "complete" or tcp.source != "packets":
        return None
    client = client_side(connection)
    tls = connection.tls
    if tls is not None and (not tls.handshake_done or any(p is not None for p in tls.close_notify)):
        return None
    if missed(connection) or "one_sided" in tcp.shape:
        return NotJudged(CODE, "packets are missing before the RST")
    rows = connection.rows
    server = 1 - client
    asked = [i for i in payload_indices(connection, client) if i < close.place]
    got = [i for i in payload_indices(connection, server) if i < close.place]
    if not asked:
        return None
    state, sure, reason = _response(connection, client)
    if state is None:
        return None
    if state == "unknown":
        if close.side == client:
            return None
        if not got or got[-1] < asked[-1]:
            state = "no answer came to the client's last octets"
            if rows.time[close.place] - rows.time[asked[-1]] > 300 * SECOND:
                return None
        elif rows.time[close.place] - rows.time[got[-1]] > AT_ONCE:
            return None
        else:
            state = "its data had just been coming, and it sent no close_notify"
        sure, reason = Confidence.LIKELY, "the records cannot be read; a server that is done says close_notify first"
        if tls is None:
            return None
    strong, weak = forger_signs(connection, close.place)
    if close.side == client and not strong:
        return finding(
            CODE,
            f"{end(connection, client)} broke off before the response was complete",
            f"{at(connection, close.time).capitalize()} {end(connection, client)} sent RST (packet {close.packet}); "
            f"{state}.",
            "Client's user: nothing, if it was stopped on purpose; else the client's own message says why.",
            [close.packet],
            actor=Actor.CLIENT,
            severity=Severity.NOTICE,
            sure=sure,
            reason=reason,
            disproof="the rest of the response in packets that the capture missed",
        )
    severity = Severity.WARNING if sure is not Confidence.CERTAIN and got and got[-1] > asked[-1] else None
    forged = f" The RST may not be its own: {'; '.join(strong + weak)}." if strong else ""
    return finding(
        CODE,
        f"{end(connection, server)} reset the connection before the response was complete"
        if not strong
        else f"a device on the path reset the connection to {connection.b} before the response was complete",
        f"{at(connection, close.time).capitalize()} an RST came from {end(connection, close.side)} (packet "
        f"{close.packet}, "
        "TTL "
        f"{rows.ttl[close.place]}); {state}.{forged}",
        "Server's operator: look in the log at this moment: crash, kill for memory, restart, timeout of a load "
        "balancer, "
        "or a program that closes with the request unread."
        if not strong
        else "Find the device between the two that resets connections.",
        [rows.number[i] for i in (asked[-1], *got[-1:], close.place)],
        actor=Actor.MIDDLEBOX if strong else Actor.SERVER,
        severity=severity,
        sure=sure,
        reason=reason,
        disproof="the rest of the response in packets that the capture missed",
        next_capture="at the server: does this RST leave it?" if strong else "",
    )


def _response(connection: Connection, client: int) -> tuple[str | None, Confidence, str]:
    """What was left of the response: a sentence, "unknown" where it cannot be read, None where nothing was missing."""
    tls, http = connection.tls, connection.http
    readable = http is not None and (tls is None or tls.data is not None)
    if readable and http is not None and http.messages and http.protocol != "h2":
        return _readable(http.messages, client)
    if readable and http is not None and http.protocol == "h2":
        open_streams = {m.stream for m in http.messages if m.kind == "request"} - {
            m.stream for m in http.messages if m.kind == "response" and m.complete
        }
        said_why = [e for e in http.h2 if e.sender != client and e.what in ("goaway", "rst_stream") and e.code]
        open_streams -= {event.stream for event in said_why}
        if not open_streams or any(event.what == "goaway" for event in said_why):
            return None, Confidence.CERTAIN, ""  # its own word for it is HTP301
        return (
            f"{len(open_streams)} HTTP/2 requests had no complete response",
            Confidence.CERTAIN,
            "streams were open when the RST came",
        )
    if tls is None:
        return None, Confidence.POSSIBLE, ""
    records = [r for r in tls.records if r.sender != client]
    if records and not records[-1].complete:
        return (
            f"the server's last TLS record is cut: it says {records[-1].length} octets and not all came",
            Confidence.CERTAIN,
            "a record is sealed as a whole, so a cut one proves that more was meant to come",
        )
    shown = protected(tls)
    if not any(p.sender == client and p.what == "data" for p in shown):
        return None, Confidence.POSSIBLE, ""
    if shown and shown[-1].what == "alert":
        return None, Confidence.POSSIBLE, ""
    return "unknown", Confidence.POSSIBLE, ""


def _readable(messages: list[HttpMessage], client: int) -> tuple[str | None, Confidence, str]:
    requests = [m for m in messages if m.kind == "request"]
    answers = [m for m in messages if m.kind == "response" and (m.status is None or m.status >= 200 or m.status == 101)]
    if answers and not answers[-1].complete and answers[-1].framing != "tunnel":
        last = answers[-1]
        known = last.declared is not None
        return (
            f"of the {last.declared} octets announced {last.body} had come"
            if known
            else f"{last.body} octets of a body of unknown length ({last.framing}) had come",
            Confidence.CERTAIN if known or last.framing == "chunked" else Confidence.LIKELY,
            "the response says how long it is" if known else "the body did not end properly",
        )
    if len(requests) > len(answers) and (not answers or answers[-1].framing != "tunnel"):
        return (
            f"the request {requests[-1].method} {requests[-1].target} had no answer",
            Confidence.CERTAIN,
            "the request can be read and nothing came back",
        )
    return None, Confidence.CERTAIN, ""
