"""HTP201: the response is shorter than it said.

What it sees.  A response announces a length (Content-Length) or chunks, and the server closes, or ends the HTTP/2
stream, before all of it was sent.  Or, readable or not, its FIN stands in the middle of a TLS record.

Why it matters.  "transfer closed with N bytes remaining to read" (curl 18), ERR_CONTENT_LENGTH_MISMATCH,
ERR_INCOMPLETE_CHUNKED_ENCODING, IncompleteRead; some clients accept the cut body as if it were whole.

How to fix.  Server side: the program computed the length wrong (after compression, of another character set), died in
the middle, or a proxy cut it at its timeout.

Confused with.  An RST in the middle is TCP501.  A client that stops reading closes first, and that is not reported.

References.  RFC 9112 6.3 and 8.
"""

from __future__ import annotations

from synfin.judge.engine import Context
from synfin.judge.facts import ended_by, first_close, missed
from synfin.judge.model import Confidence, Finding
from synfin.judge.records import protected
from synfin.judge.telling import at, end, finding
from synfin.observe.story import Connection
from synfin.observe.story_http import HttpMessage

CODE = "HTP201"


#: What the observer says of an HTTP/2 response whose DATA do not make up its content-length.
TOO_LITTLE = "content-length says"


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire when the server ends the connection inside a body of announced length."""
    http, tls = connection.http, connection.tls
    if missed(connection):
        return None
    if http is None:
        return _cut_record(connection)
    for message in http.messages:
        short = message.declared is not None and message.body < message.declared
        if message.kind == "response" and message.complete and short and message.problem.startswith(TOO_LITTLE):
            return _stream_ended(connection, message)
    close = first_close(connection)
    if close is None or close.reset:
        return None
    for message in http.messages:
        if message.kind != "response" or message.complete or not ended_early(message):
            continue
        ended = ended_by(connection, message.sender)
        if ended is None:
            return None
        unclean = tls is not None and tls.close_notify[message.sender] is None
        missing = (
            f"{message.body} of {message.declared} octets came"
            if message.declared is not None
            else f"{message.body} octets came, but not {'END_STREAM' if message.framing == 'h2' else 'the last chunk'}"
        )
        return finding(
            CODE,
            f"{end(connection, message.sender)} ended its response too early: {missing}",
            f"The response {message.status} (packet {message.packets[0]}) "
            + (
                f"announces {message.declared} octets"
                if message.declared is not None
                else "is not ended"
                if message.framing == "h2"
                else "is chunked"
            )
            + f"; {at(connection, close.time)} the server closed (packet {ended}) when {missing}."
            + (" It did so without close_notify: an attacker could have cut it as well." if unclean else ""),
            "Server's operator: compare the announced length with what the program sends; look for a crash or a "
            "timeout "
            "of a proxy in the middle of the body.",
            [*message.packets, ended],
            sure=Confidence.CERTAIN,
            reason="the response says how long it is, and the server's close came before that",
            disproof="the missing octets in packets that the capture missed",
        )
    return None


def _cut_record(connection: Connection) -> Finding | None:
    """Without secrets: the server's FIN stands in the middle of a TLS record."""
    tls, close = connection.tls, first_close(connection)
    if tls is None or not tls.handshake_done or close is None or close.reset or close.side == tls.client:
        return None
    server = close.side
    said = [p for p in protected(tls) if p.sender == tls.client and p.packet < close.packet]
    if said and said[-1].what == "alert":
        return None  # it had said good-bye in the middle of the answer
    record = next((r for r in reversed(tls.records) if r.sender == server), None)
    if record is None or record.type != 23 or record.complete:
        return None
    came = connection.streams[server].end - record.offset - 5
    if not 0 <= came < record.length:
        return None
    return finding(
        CODE,
        f"{end(connection, server)} closed in the middle of a TLS record",
        f"{at(connection, close.time).capitalize()} the server sent FIN (packet {close.packet}); its last TLS record "
        f"(packet {record.packet}) says {record.length} octets, and {came} of them came. Nobody can read a part of a "
        "record: what it held is lost.",
        "Server's operator: look for a crash or a timeout (of writing, of a proxy) in the middle of the answer.",
        [record.packet, close.packet],
        sure=Confidence.CERTAIN,
        reason="a record is sealed as a whole, so a cut one proves that more was meant to come",
        disproof="the missing octets in packets that the capture missed",
    )


def _stream_ended(connection: Connection, message: HttpMessage) -> Finding:
    """HTTP/2: END_STREAM came before as many octets as content-length says (RFC 9113 8.1.1)."""
    missing = f"{message.body} of {message.declared} octets came"
    return finding(
        CODE,
        f"{end(connection, message.sender)} ended its response too early: {missing}",
        f"The response {message.status} of stream {message.stream} (packet {message.packets[0]}) announces "
        f"{message.declared} octets; {at(connection, message.end)} END_STREAM ended it (packet "
        f"{message.packets[-1]}) when {missing}.",
        "Server's operator: compare the announced length with what the program sends; behind a proxy, look for a "
        "backend that closed in the middle of the body.",
        list(message.packets),
        sure=Confidence.CERTAIN,
        reason="the response says how long it is, and its stream was ended before that",
        disproof="",
    )


def ended_early(message: HttpMessage) -> bool:
    """Whether a body stopped before its announced end, its framing being sound so far."""
    if message.framing == "length":
        return message.declared is not None and message.body < message.declared
    if message.framing == "h2":
        return "closed" in message.problem
    return message.framing == "chunked" and (not message.problem or "closed" in message.problem)
