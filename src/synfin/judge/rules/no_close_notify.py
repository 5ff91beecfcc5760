"""TLS401: a response without a length ended with the connection, and without close_notify.

What it sees.  With TLS secrets: a response that says neither Content-Length nor chunks, so that only the end of the
connection ends it, and a server that sent FIN or RST without close_notify.  Without secrets: FIN right after data; how
long the response said it is cannot be read, so it is only mentioned.

Why it matters.  Nobody can tell whether all of it came: whoever can forge a FIN can cut it, and the usual clients
(curl, Python, Node, Java) take the cut body for the whole.

How to fix.  Server side: send close_notify before FIN, and a Content-Length or chunks.

Confused with.  With a length or chunks the end is proved by them, and a missing close_notify is harmless.  A FIN of the
client first ends the reading, too.

References.  RFC 8446 6.1, RFC 9112 8 and 9.8.
"""

from __future__ import annotations

from synfin.judge.engine import Context
from synfin.judge.facts import Close, first_close, missed
from synfin.judge.model import Confidence, Finding, Severity
from synfin.judge.records import protected, unanswered
from synfin.judge.telling import at, end, finding
from synfin.observe.story import Connection
from synfin.observe.story_tls import TlsStory

CODE = "TLS401"


def check(connection: Connection, context: Context) -> Finding | None:
    """Note a body that ends with the connection and without close_notify."""
    tls, http = connection.tls, connection.http
    close = first_close(connection)
    if tls is None or close is None or close.side == tls.client or missed(connection):
        return None
    if tls.close_notify[1 - tls.client] is not None:
        return None
    if http is None:
        return _sealed(connection, tls, close) if tls.data is None else None
    for message in http.messages:
        if message.kind == "response" and message.framing == "close" and message.tls:
            return finding(
                CODE,
                f"{end(connection, message.sender)} ended a response of unknown length without close_notify",
                f"The response {message.status} (packet {message.packets[0]}) has neither length nor chunks; "
                f"{at(connection, close.time)}, after {message.body} octets of body, the server closed (packet "
                f"{close.packet}) without close_notify: that the body is whole is not proved.",
                "Server's operator: send close_notify before closing, and a Content-Length or chunks.",
                [*message.packets, close.packet],
                sure=Confidence.CERTAIN,
                reason="headers and close were read, and no alert of the server is there",
                disproof="a close_notify that the capture missed",
            )
    return None


def _sealed(connection: Connection, tls: TlsStory, close: Close) -> Finding | None:
    """Without secrets: the server's last record is data, and then comes its FIN."""
    server = 1 - tls.client
    said = [p for p in protected(tls) if p.sender == server and p.time <= close.time]
    asked = unanswered(tls)
    if close.reset or asked is None or asked[1] is None or not said or said[-1].what != "data":
        return None
    return finding(
        CODE,
        f"{end(connection, server)} closed without close_notify",
        f"{at(connection, close.time).capitalize()} the server sent FIN (packet {close.packet}) after a record of data "
        f"(packet {said[-1].packet}) and no record of an alert's size. If its response had neither length nor chunks, "
        "that the body is whole is not proved.",
        "Server's operator: send close_notify before closing.",
        [said[-1].packet, close.packet],
        severity=Severity.INFO,
        sure=Confidence.LIKELY,
        reason="close_notify has a size of its own, and no record has it; how long the response is, is sealed",
        disproof="a decrypted response with a length",
        next_capture="with TLS secrets (SSLKEYLOGFILE)",
    )
