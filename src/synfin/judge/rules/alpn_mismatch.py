"""TLS206: client and server share no application protocol.

What it sees.  The alert no_application_protocol (120) from the server.

Why it matters.  "tlsv1 alert no application protocol", ERR_ALPN_NEGOTIATION_FAILED: the client offered only protocols
(h2, http/1.1, others) that the server does not speak.

How to fix.  Offer a protocol that the server speaks, or switch the missing one on at the server (often h2).

Confused with.  A server that ignores ALPN and speaks HTTP/1.1 works and is not reported.

References.  RFC 7301 3.2.
"""

from __future__ import annotations

from synfin.judge.alerts import alert_name
from synfin.judge.engine import Context
from synfin.judge.facts import deciding_alert
from synfin.judge.model import Confidence, Finding
from synfin.judge.offers import hello_of
from synfin.judge.telling import at, end, finding
from synfin.observe.story import Connection

CODE = "TLS206"


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire on alert 120 of the server."""
    tls = connection.tls
    alert = deciding_alert(connection)
    if tls is None or alert is None or alert.sender == tls.client or alert.description != 120:
        return None
    hello = hello_of(tls)
    offered = ", ".join(hello.alpn) if hello is not None and hello.alpn else "none that could be read"
    return finding(
        CODE,
        f"{end(connection, 1 - tls.client)} speaks none of the offered application protocols ({offered})",
        f"{end(connection, tls.client)} offered ALPN {offered}; {at(connection, alert.time)} the server sent the alert "
        f"{alert_name(alert.description)} (packet {alert.packet}).",
        "Client's operator: offer a protocol the server speaks (usually http/1.1). Server's operator: enable the one "
        "that is meant.",
        [*(tls.client_hello.packets if tls.client_hello else ()), alert.packet],
        sure=Confidence.CERTAIN,
        reason="the alert says exactly this",
        disproof="a ServerHello to the same offer",
    )
