"""SLO202: a full TLS 1.2 handshake took two round trips where TLS 1.3 takes one.

What it sees.  A full (not resumed) TLS 1.2 handshake on a path with a round trip of 40 ms or more.

Why it matters.  Every new connection costs one round trip more than it has to.

How to fix.  Enable TLS 1.3 on the older side; let TLS 1.2 resume sessions meanwhile.

Confused with.  Nothing: it is a statement of cost, not a fault.

References.  RFC 8446 2, RFC 5246 7.3.
"""

from __future__ import annotations

from synfin.judge.engine import Context
from synfin.judge.facts import round_trip
from synfin.judge.model import Confidence, Finding
from synfin.judge.telling import finding, server_name, span
from synfin.observe.story import Connection

CODE = "SLO202"


def check(connection: Connection, context: Context) -> Finding | None:
    """State the cost."""
    tls = connection.tls
    if tls is None or tls.client_hello is None or tls.handshake_done_time is None:
        return None
    took = tls.handshake_done_time - tls.client_hello.time
    return finding(
        CODE,
        f"TLS 1.2 with {server_name(connection)} took {span(took)}, one round trip more than TLS 1.3",
        f"From ClientHello (packet {tls.client_hello.packets[0] if tls.client_hello.packets else '?'}) to Finished it "
        f"took {span(took)}; a round trip here takes {span(round_trip(connection))}.",
        "Server's operator: enable TLS 1.3 (the client has to offer it, too).",
        list(tls.client_hello.packets),
        sure=Confidence.CERTAIN,
        reason="times and version were read",
        disproof="",
    )
