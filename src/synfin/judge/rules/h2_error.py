"""HTP301: HTTP/2 ended a stream or the connection with an error.

 What it sees.  RST_STREAM or GOAWAY with a code other than NO_ERROR and CANCEL, or a server that cancels a stream
it has not answered to the end.

Why it matters.  "HTTP/2 stream 1 was not closed cleanly: INTERNAL_ERROR (err 2)" (curl 92), "Error in the HTTP2
framing layer" (curl 16), ERR_HTTP2_PROTOCOL_ERROR.

How to fix.  By the code: REFUSED_STREAM is safe to repeat; ENHANCE_YOUR_CALM asks the client to slow down;
PROTOCOL_ERROR and FLOW_CONTROL_ERROR point to a broken implementation; INTERNAL_ERROR to the sender's log.  Streams
above GOAWAY's last id were not processed and are safe to repeat.

Confused with.  CANCEL of a client that no longer wants a response, and GOAWAY NO_ERROR of a server that shuts down
in order, are normal.

References.  RFC 9113 5.4, 6.4, 6.8 and 7.
"""

from __future__ import annotations

from synfin.judge.engine import Context
from synfin.judge.facts import client_side, first_close, missed
from synfin.judge.model import Actor, Confidence, Finding, Severity
from synfin.judge.telling import at, end, finding
from synfin.observe.story import Connection

CODE = "HTP301"

_NAMES = (
    "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
    "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
)  # fmt: skip


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire on RST_STREAM or GOAWAY with an error code; note GOAWAY that leaves requests without an answer."""
    http = connection.http
    if http is None or http.protocol != "h2":
        return None
    done = {m.stream for m in http.messages if m.kind == "response" and m.complete}
    asked = {m.stream for m in http.messages if m.kind == "request"}
    begun = {m.stream for m in http.messages if m.kind == "response"}
    close = first_close(connection)
    for event in http.h2:
        if event.what not in ("rst_stream", "goaway") or event.code is None:
            continue
        if event.code == 0:
            if event.what != "goaway" or event.sender == client_side(connection) or asked <= done:
                continue
            if missed(connection):
                continue  # the answers may be among what was not captured
            if close is not None and close.side == client_side(connection) and close.time <= event.time:
                continue  # the client had left
        elif event.what == "rst_stream" and event.stream in done:
            continue
        if event.code == 5 and event.sender == client_side(connection) and event.stream not in begun:
            continue  # nothing came on this stream that could be too late: so curl gives up waiting
        if event.code == 8 and (event.sender == client_side(connection) or event.stream not in asked):
            continue
        name = _NAMES[event.code] if event.code < len(_NAMES) else f"code {event.code}"
        what = f"RST_STREAM of stream {event.stream}" if event.what == "rst_stream" else "GOAWAY"
        from_client = event.sender == client_side(connection)
        blamed = event.code in (1, 3, 5, 6, 9, 11)  # these accuse the other side
        return finding(
            CODE,
            f"{end(connection, event.sender)} sent {what} with {name}",
            f"{at(connection, event.time).capitalize()} {end(connection, event.sender)} sent {what}, {name} (packet "
            f"{event.packet}){f': {event.detail}' if event.detail else ''}. Requests without a complete response: "
            f"{len(asked - done)}.",
            f"Operator of the {'server' if from_client else 'client'}: look at what it sent just before."
            if blamed
            else f"Operator of {end(connection, event.sender)}: its log says why. The client may repeat requests that "
            "were "
            "not processed (REFUSED_STREAM, streams above GOAWAY's last id).",
            [event.packet],
            actor=Actor.SERVER if from_client == blamed else Actor.CLIENT,
            severity=Severity.WARNING if event.code in (0, 7) else None,
            sure=Confidence.CERTAIN,
            reason="the frame was read",
            disproof="",
        )
    return None
