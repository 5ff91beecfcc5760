"""TLS203: the server does not know the name that the client asks for.

What it sees.  The alert unrecognized_name (112), fatal, from the server.

Why it matters.  "tlsv1 unrecognized name", ERR_SSL_UNRECOGNIZED_NAME_ALERT: the server has no site of this name, or
the client sent none.

How to fix.  Add the name to the server's (or ingress's) list, or ask for the right name; DNS may point to the wrong
server.

Confused with.  A warning of the same number is ignored by clients and not reported.  Servers that show a default
certificate instead end in CRT301; some answer handshake_failure (TLS202).

References.  RFC 6066 3, RFC 8446 6.2.
"""

from __future__ import annotations

from synfin.judge.alerts import alert_name
from synfin.judge.engine import Context
from synfin.judge.facts import deciding_alert
from synfin.judge.model import Confidence, Finding
from synfin.judge.telling import at, end, finding
from synfin.observe.story import Connection

CODE = "TLS203"


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire on a fatal alert 112 of the server."""
    tls = connection.tls
    alert = deciding_alert(connection)
    if tls is None or alert is None or alert.sender == tls.client or alert.description != 112:
        return None
    name = tls.sni
    return finding(
        CODE,
        f"{end(connection, 1 - tls.client)} serves no host named {name}"
        if name
        else f"{end(connection, 1 - tls.client)} wants a server name and the client sent none",
        f"{end(connection, tls.client)} asked for {name or 'no name at all'} in its ClientHello; "
        f"{at(connection, alert.time)} the server sent the alert {alert_name(alert.description)} (packet "
        f"{alert.packet}).",
        f"Server's operator: add {name} to this server, or let DNS point to the server that has it. Client: check the "
        "name."
        if name
        else "Client: connect by name and send it (SNI), not by address.",
        [*(tls.client_hello.packets if tls.client_hello else ()), alert.packet],
        sure=Confidence.CERTAIN,
        reason="the alert says exactly this",
        disproof="a ServerHello for the same name from the same server",
    )
