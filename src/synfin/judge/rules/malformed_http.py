"""HTP202: the HTTP framing is broken.

What it sees.  A chunk size or a length that is no number, a first line or a header that cannot be read, two lengths
that disagree, other octets where a message should begin, or HTTP/1 where HTTP/2 is spoken.  In HTTP/2 a frame that
breaks its rules and a client that leaves then, a response without a status, or with more DATA than its content-length.

Why it matters.  "Illegal or missing hexadecimal sequence in chunked-encoding" (curl 56), HPE_INVALID_CHUNK_SIZE,
ERR_INVALID_CHUNKED_ENCODING.  What two programs read differently is also a way in for request smuggling.

How to fix.  Repair the program that writes the message: usually a hand-made response, or a proxy that changes
bodies without changing their framing.

Confused with.  Octets that the capture missed: nothing is said when the stream has holes.  Other protocols on an
HTTP port are not judged.

References.  RFC 9112 6.3 and 7.1, RFC 9110 8.6, RFC 9113 5.4 and 8.1.1.
"""

from __future__ import annotations

from synfin.judge.engine import Context
from synfin.judge.facts import client_side, ended_by, first_close, missed
from synfin.judge.model import Confidence, Finding, Severity
from synfin.judge.rules.answer_stops import CUT_HEAD
from synfin.judge.rules.short_body import TOO_LITTLE, ended_early
from synfin.judge.telling import at, end, finding
from synfin.observe.story import Connection
from synfin.observe.story_http import HttpMessage, HttpStory

CODE = "HTP202"

#: What the observer says of a server that answers HTTP/2 in HTTP/1.
OLD_ANSWER = "HTTP/1 answer to an HTTP/2 preface"
#: Lengths that contradict each other are an unrecoverable error (RFC 9112 6.3), although some clients take one of them.
CONTRADICTION = "different lengths"
#: So is a length that is none (RFC 9112 6.3).
NO_LENGTH = "Content-Length is not a number"
#: What the observer says of octets where the next message should begin.
EXTRA = "octets that are no HTTP message"
#: A line that is no field at all: some clients pass over it, others refuse the whole answer (RFC 9112 5).
NO_FIELD = "field line without a colon"
#: A first line that is no status line (RFC 9112 4): some clients take the answer, others refuse it.
BAD_START = ("bad status line", "bad version")
CONTRADICTIONS = (CONTRADICTION, NO_LENGTH, NO_FIELD, *BAD_START)
#: What the observer says of frames that it did not read, which says nothing about them.
UNREAD = ("octets missing", "frame not captured", "header table unknown", "header list larger", "header block too long")
#: What the observer says of a body whose end was not captured.
UNFINISHED = ("the capture ends", "were not captured")


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire on a response whose framing cannot be read."""
    http = connection.http
    if http is None or missed(connection):
        return None
    for evidence, problem in http.problems:
        if problem == OLD_ANSWER:
            return _old_answer(connection, evidence.packets[0])
    if http.protocol == "h2":
        return _broken_2(connection, http)
    for message in http.messages:
        if message.kind != "response" or not message.problem:
            continue
        faults = _faults(http, message) if message.complete else [message.problem]
        problem = next((fault for fault in faults if fault.startswith(CONTRADICTIONS)), message.problem)
        contradicts = message.complete and problem.startswith(CONTRADICTIONS)
        if problem.startswith(CUT_HEAD) and not _closed_by(connection, message.sender):
            continue  # it had not finished yet
        if problem.endswith(UNFINISHED):
            continue
        if contradicts or not (message.complete or ended_early(message)):
            return finding(
                CODE,
                f"{end(connection, message.sender)} sends broken HTTP: {problem}",
                f"In the response {message.status or 'without a status'} that begins {at(connection, message.start)} "
                f"(packet {message.packets[0]}) the framing cannot be read: {problem}, after {message.body} "
                "octets of body.",
                "Server's operator: repair the program or proxy that writes this response.",
                list(message.packets),
                severity=Severity.WARNING if contradicts else None,
                sure=Confidence.CERTAIN,
                reason="the octets are here and break RFC 9112",
                disproof="missing octets in the capture",
            )
    return _not_http(connection) or _too_much(connection, http)


def _faults(http: HttpStory, message: HttpMessage) -> list[str]:
    """Everything that is wrong in one message, the observer's first word for it first."""
    first, last = message.packets
    told = [why for place, why in http.problems if place.sender == message.sender and first <= place.packets[0] <= last]
    return [message.problem, *told]


def _too_much(connection: Connection, http: HttpStory) -> Finding | None:
    """Octets behind a complete response that begin no other one: a body longer than it said."""
    client = client_side(connection)
    answers = [m for m in http.messages if m.kind == "response" and m.sender != client]
    if http.switched or not answers or not answers[-1].complete or answers[-1].framing == "tunnel":
        return None
    last = answers[-1]
    for evidence, problem in http.problems:
        if (
            problem != EXTRA
            or evidence.sender == client
            or not evidence.length
            or (evidence.offset or 0) <= last.offset
        ):
            continue
        said = f"says {last.declared} octets" if last.framing == "length" else "has come to its end"
        return finding(
            CODE,
            f"{end(connection, last.sender)} sends {evidence.length} octets more than its response holds",
            f"The response {last.status} that begins {at(connection, last.start)} (packet {last.packets[0]}) {said}; "
            f"{evidence.length} octets behind it (packet {evidence.packets[0]}) begin no other response.",
            "Server's operator: compare the announced length with what the program sends (length in characters instead "
            "of octets, or counted before a change of the body).",
            [last.packets[0], *evidence.packets],
            severity=Severity.WARNING,
            sure=Confidence.LIKELY,
            reason="some clients pass over such octets, others take them for the next answer and fail",
            disproof="a change of protocol that was agreed on elsewhere",
        )
    return None


def _broken_2(connection: Connection, http: HttpStory) -> Finding | None:
    """HTTP/2: a frame or message of the server that breaks RFC 9113, and a client that gave up at it."""
    client = client_side(connection)
    answered = {m.stream for m in http.messages if m.kind == "response" and m.complete}
    if not any(m.kind == "request" and m.stream not in answered for m in http.messages):
        return _malformed_2(connection, http)
    for evidence, problem in http.problems:
        if evidence.sender != client and not problem.startswith(UNREAD):
            break
    else:
        return _malformed_2(connection, http)
    packet = evidence.packets[0]
    said = next((e.packet for e in http.h2 if e.sender == client and e.what == "goaway" and e.packet > packet), None)
    close = first_close(connection)
    left = close.packet if close is not None and close.side == client and close.packet > packet else None
    if said is None and left is None:
        return None
    gone = said if said is not None else left
    return finding(
        CODE,
        f"{end(connection, 1 - client)} sends broken HTTP/2: {problem}",
        f"In packet {packet} the server's HTTP/2 breaks its rules: {problem}. {end(connection, client)} "
        f"{'said GOAWAY' if said is not None else 'closed'} (packet {gone}) and left with requests unanswered.",
        "Server's operator: repair or update the program or proxy that writes this HTTP/2.",
        [packet, gone],
        sure=Confidence.LIKELY,
        reason="the frame was read, and the client ended the connection after it",
        disproof="octets that the capture missed",
    )


def _malformed_2(connection: Connection, http: HttpStory) -> Finding | None:
    """HTTP/2: a response without a status, or with more DATA than its content-length (RFC 9113 8.1.1, 8.3.2)."""
    client = client_side(connection)
    for message in http.messages:
        if message.kind != "response" or message.sender == client:
            continue
        asked = any(m.kind == "request" and m.stream == message.stream for m in http.messages)
        turned = [e for e in http.h2 if e.sender == client and e.stream == message.stream and e.what == "rst_stream"]
        if any(e.time < message.start for e in turned):
            continue  # what comes on a stream that was given up is not looked at
        if message.problem.startswith(TOO_LITTLE) and message.declared is not None and message.body > message.declared:
            what = f"content-length says {message.declared}, and {message.body} octets of DATA came"
        elif message.status is None and message.headers and asked and (turned or not message.problem):
            what = "a response without :status"
        else:
            continue
        refused = next((e.packet for e in turned if e.code == 1), None)
        return finding(
            CODE,
            f"{end(connection, message.sender)} sends a malformed HTTP/2 response: {what}",
            f"The response of stream {message.stream} (packet {message.packets[0]}) is malformed: {what}."
            + (f" The client refused it with PROTOCOL_ERROR (packet {refused})." if refused is not None else ""),
            "Server's operator: repair the program or proxy that writes this response.",
            [*message.packets, refused],
            severity=None if refused is not None else Severity.WARNING,
            sure=Confidence.CERTAIN,
            reason="the frames were read",
            disproof="",
        )
    return None


def _closed_by(connection: Connection, side: int) -> bool:
    """Whether ``side`` ended first; true also where closes are not seen."""
    close = first_close(connection)
    first = close is not None and close.side == side
    return connection.tcp.source != "packets" or first or ended_by(connection, side) is not None


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
