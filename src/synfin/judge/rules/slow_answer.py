"""HTP102: the application is slow to answer.

What it sees.  The request was acknowledged at once, no packet was lost, the window was open, and the first octet of
the response came only after a second or more, or had not come when the client gave up (closed, or cancelled the
HTTP/2 stream).

Why it matters.  "Operation timed out ... 0 bytes received", 504, a page that loads slowly: the time is spent inside the
server's program, not in the network.

How to fix.  Server side: trace this request (database, backend, locks, cold start).

Confused with.  Long polling and server-sent events wait on purpose: with an answer in the end this is only a note.  A
browser that cancels an HTTP/2 stream at once has changed its mind.

References.  RFC 9110 15.6.5 (504), RFC 9293 3.8.
"""

from __future__ import annotations

from synfin.judge.engine import Context
from synfin.judge.facts import acknowledged, first_close, missed, round_trip
from synfin.judge.model import Confidence, Finding, Severity
from synfin.judge.records import cancelled_2, protected, speaks_http, unanswered
from synfin.judge.rules.empty_reply import SHORTEST
from synfin.judge.telling import SECOND, at, end, finding, span
from synfin.observe.story import Connection
from synfin.observe.story_tls import TlsStory

CODE = "HTP102"

#: A wait for the first octet that people notice.
SLOW = SECOND


def check(connection: Connection, context: Context) -> Finding | None:
    """Note a slow first octet; fire when the client gave up waiting."""
    http, tls = connection.http, connection.tls
    if tls is not None and tls.data is None:
        return _unreadable(connection, tls)
    if http is None or http.switched or connection.tcp.source != "packets" or missed(connection):
        return None
    worst: tuple[int, int, int] | None = None
    for number, request in enumerate(http.messages):
        if request.kind != "request" or not request.complete:
            continue
        answer = next(
            (m for m in http.messages[number + 1 :] if m.kind == "response" and m.stream == request.stream), None
        )
        if answer is not None:
            wait = answer.start - request.end
            if wait > max(SLOW, 10 * round_trip(connection)) and (worst is None or wait > worst[0]):
                worst = (wait, number, answer.packets[0])
            continue
        if (given_up := _gave_up(connection, number)) is not None:
            return given_up
    if worst is None:
        return None
    wait, number, packet = worst
    request = http.messages[number]
    server = 1 - request.sender
    return finding(
        CODE,
        f"{end(connection, server)} took {span(wait)} to begin its answer to {request.method} {request.target}",
        f"The request was complete {at(connection, request.end)} (packet {request.packets[1]}); the first octet of the "
        f"answer came {span(wait)} later (packet {packet}), and a round trip takes {span(round_trip(connection))}.",
        "Server's operator: trace this request inside the application.",
        [request.packets[1], packet],
        sure=Confidence.LIKELY,
        reason="the wait is many round trips long; an answer may be held back on purpose (long polling)",
        disproof="a capture at the server in which the answer leaves early",
    )


def _gave_up(connection: Connection, number: int) -> Finding | None:
    """The client's close, or its RST_STREAM, is the first thing after its request, after a noticeable wait."""
    http = connection.http
    close = first_close(connection)
    if http is None:
        return None
    request = http.messages[number]
    resets = [e for e in http.h2 if e.what == "rst_stream" and e.stream == request.stream]
    if resets:
        how, left, packet, side = "cancelled", resets[0].time, resets[0].packet, resets[0].sender
    elif close is not None:
        how, left, packet, side = "closed", close.time, close.packet, close.side
    else:
        return None
    wait = left - request.end
    tls = connection.tls
    if side != request.sender or wait < SLOW:
        return None
    streams = tls.data if tls is not None and tls.data is not None else connection.streams
    server = 1 - request.sender
    if http.protocol != "h2" and any(p.time > request.end for p in streams[server].pieces):
        return None
    if acknowledged(connection, request.sender) < connection.streams[request.sender].end - 64:
        return None  # the request never arrived in full
    return finding(
        CODE,
        f"{end(connection, server)} did not answer {request.method} {request.target} in {span(wait)}; the client gave "
        "up",
        f"The request was complete {at(connection, request.end)} (packet {request.packets[1]}) and acknowledged by the "
        f"server's TCP; no octet of an answer came until {end(connection, request.sender)} {how} "
        f"{at(connection, left)} (packet {packet}).",
        "Server's operator: trace this request inside the application. Client: its timeout is shorter than the answer "
        "takes.",
        [request.packets[1], packet],
        severity=Severity.ERROR,
        sure=Confidence.LIKELY,
        reason="the request arrived, nothing was lost, and the wait is the server's",
        disproof="a capture at the server in which the answer leaves",
    )


def _unreadable(connection: Connection, tls: TlsStory) -> Finding | None:
    """TLS without secrets: the time between the first request and the first record that can be its answer."""
    asked = unanswered(tls) if tls.handshake_done and speaks_http(connection) else None
    if asked is None or missed(connection) or connection.tcp.source != "packets":
        return None
    request, answer = asked
    if request.length < SHORTEST:
        return None
    server = 1 - tls.client
    if answer is not None:
        wait = answer.time - request.time
        if wait < max(SLOW, 10 * round_trip(connection)):
            return None
        return finding(
            CODE,
            f"{end(connection, server)} took {span(wait)} to begin its answer",
            f"The request was sent {at(connection, request.time)} (packet {request.packet}); the first record that can "
            f"be its answer came {span(wait)} later (packet {answer.packet}), and a round trip takes "
            f"{span(round_trip(connection))}.",
            "Server's operator: trace this request inside the application.",
            [request.packet, answer.packet],
            sure=Confidence.POSSIBLE,
            reason="the records cannot be read; an answer may be held back on purpose (long polling)",
            disproof="a capture at the server in which the answer leaves early",
        )
    close = first_close(connection)
    bye = next((p for p in protected(tls) if p.sender == tls.client and p.what == "alert"), None)
    bye = cancelled_2(tls, request, SLOW) or bye
    left = bye.time if bye is not None else close.time if close is not None and close.side == tls.client else None
    if left is None or (close is not None and close.time < left) or left - request.time < SLOW:
        return None
    if acknowledged(connection, tls.client) < connection.streams[tls.client].end - 64:
        return None  # the request never arrived in full
    return finding(
        CODE,
        f"{end(connection, server)} did not answer in {span(left - request.time)}; the client gave up",
        f"The request was sent {at(connection, request.time)} (packet {request.packet}) and acknowledged by the "
        "server's "
        f"TCP; nothing that can be an answer came until {end(connection, tls.client)} left {at(connection, left)}.",
        "Server's operator: trace this request inside the application. Client: its timeout is shorter than the answer "
        "takes.",
        [request.packet, bye.packet if bye is not None else close.packet if close is not None else None],
        severity=Severity.WARNING,
        sure=Confidence.LIKELY,
        reason="the request arrived and nothing was lost; the records cannot be read",
        disproof="an answer among the decrypted records",
        next_capture="with TLS secrets (SSLKEYLOGFILE)",
    )
