"""HTP202: the HTTP framing is broken.

What it sees.  A chunk size that is no number, a first line or a header that cannot be read, two lengths that disagree,
other octets where a message should begin, or HTTP/1 where HTTP/2 is spoken.

Why it matters.  "Illegal or missing hexadecimal sequence in chunked-encoding" (curl 56), HPE_INVALID_CHUNK_SIZE,
ERR_INVALID_CHUNKED_ENCODING.  What two programs read differently is also a way in for request smuggling.

How to fix.  Repair the program that writes the message: usually a hand-made response, or a proxy that changes
bodies without changing their framing.

Confused with.  Octets that the capture missed: nothing is said when the stream has holes.  Other protocols on an
HTTP port are not judged.

References.  RFC 9112 6.3 and 7.1, RFC 9110 8.6.
"""

from __future__ import annotations

from synfin.judge.engine import Context
from synfin.judge.facts import client_side, first_close, missed
from synfin.judge.model import Confidence, Finding, Severity
from synfin.judge.rules.answer_stops import CUT_HEAD
from synfin.judge.rules.short_body import ended_early
from synfin.judge.telling import at, end, finding
from synfin.observe.story import Connection

CODE = "HTP202"

#: What the observer says of a server that answers HTTP/2 in HTTP/1.
OLD_ANSWER = "HTTP/1 answer to an HTTP/2 preface"
#: Lengths that contradict each other are an unrecoverable error (RFC 9112 6.3), although some clients take one of them.
CONTRADICTION = "different lengths"
#: A line that is no field at all: some clients pass over it, others refuse the whole answer (RFC 9112 5).
NO_FIELD = "field line without a colon"
#: A first line that is no status line (RFC 9112 4): some clients take the answer, others refuse it.
BAD_START = ("bad status line", "bad version")
#: What the observer says of a body whose end was not captured.
UNFINISHED = ("the capture ends", "octets were not captured")


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire on a response whose framing cannot be read."""
    http = connection.http
    if http is None or missed(connection):
        return None
    for evidence, problem in http.problems:
        if problem == OLD_ANSWER:
            return _old_answer(connection, evidence.packets[0])
    if http.protocol == "h2":
        return None
    for message in http.messages:
        contradicts = message.complete and message.problem.startswith((CONTRADICTION, NO_FIELD, *BAD_START))
        if message.kind != "response" or not message.problem:
            continue
        if message.problem.startswith(CUT_HEAD) and not _closed_by(connection, message.sender):
            continue  # it had not finished yet
        if message.problem in UNFINISHED:
            continue
        if contradicts or not (message.complete or ended_early(message)):
            return finding(
                CODE,
                f"{end(connection, message.sender)} sends broken HTTP: {message.problem}",
                f"In the response {message.status or 'without a status'} that begins {at(connection, message.start)} "
                f"(packet {message.packets[0]}) the framing cannot be read: {message.problem}, after {message.body} "
                "octets of body.",
                "Server's operator: repair the program or proxy that writes this response.",
                list(message.packets),
                severity=Severity.WARNING if contradicts else None,
                sure=Confidence.CERTAIN,
                reason="the octets are here and break RFC 9112",
                disproof="missing octets in the capture",
            )
    return _not_http(connection)


def _closed_by(connection: Connection, side: int) -> bool:
    """Whether ``side`` closed first; true also where closes are not seen."""
    close = first_close(connection)
    return connection.tcp.source != "packets" or (close is not None and close.side == side)


def _old_answer(connection: Connection, packet: int) -> Finding:
    """A server that lets ALPN agree on HTTP/2, or is asked in it, and answers in HTTP/1."""
    tls = connection.tls
    agreed = tls is not None and tls.alpn == "h2"
    return finding(
        CODE,
        f"{end(connection, 1 - client_side(connection))} answers in HTTP/1 where HTTP/2 is spoken",
        ("ALPN agreed on h2" if agreed else "The client spoke HTTP/2 from its first octet")
        + f", and the server's answer (packet {packet}) begins with an HTTP/1 status line.",
        "Server's operator: let the program behind TLS speak HTTP/2, or take h2 out of the ALPN list of what "
        "terminates TLS in front of it.",
        [packet],
        sure=Confidence.CERTAIN,
        reason="both can be read",
        disproof="",
    )


def _not_http(connection: Connection) -> Finding | None:
    """A request whose answer is something else than HTTP/1, such as an HTTP/2 frame."""
    http, tls = connection.http, connection.tls
    if http is None or http.switched or any(m.kind == "response" for m in http.messages):
        return None
    request = next((m for m in http.messages if m.kind == "request" and m.complete and m.version[:2] == "1."), None)
    if request is None or request.method == "CONNECT":
        return None
    server = 1 - request.sender
    stream = tls.data[server] if tls is not None and tls.data is not None else connection.streams[server]
    head = stream.read(0, 16)
    if len(head) < 9 or not stream.pieces or head.startswith((b"HTTP", b"ICY ")):
        return None
    packets = stream.packets(0, len(head))
    settings = head[3:5] in (b"\x04\x00", b"\x04\x01") and head[5:9] == bytes(4)
    what = "an HTTP/2 SETTINGS frame" if settings else f"the octets {head[:9].hex(' ')}"
    return finding(
        CODE,
        f"{end(connection, server)} answers an HTTP/{request.version} request with something else",
        f"{end(connection, request.sender)} sent {request.method} {request.target} in HTTP/{request.version} (packet "
        f"{request.packets[0]}); the server's answer (packet {packets[0] if packets else '?'}) begins with {what} and "
        "not with an HTTP/1 status line.",
        "Server's operator: let this port speak the protocol that the client asks for, and that ALPN agreed on.",
        [request.packets[0], *packets[:1]],
        sure=Confidence.CERTAIN if settings else Confidence.LIKELY,
        reason="request and answer were read",
        disproof="octets of an HTTP answer before these, missed by the capture",
    )
