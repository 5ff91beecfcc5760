"""SLO201: the server asked for another ClientHello: one round trip more than needed.

What it sees.  A HelloRetryRequest.

Why it matters.  The client guessed a group for its key share that the server does not take, so the handshake takes two
round trips instead of one.

How to fix.  Let the server accept the group that its clients send (usually X25519), or the client send the one the
server wants.

Confused with.  Some servers ask for it on purpose (cookie, policy).  Nothing is wrong: it only costs time.

References.  RFC 8446 4.1.4.
"""

from __future__ import annotations

from synfin.judge.engine import Context
from synfin.judge.facts import round_trip
from synfin.judge.model import Confidence, Finding
from synfin.judge.offers import groups_text
from synfin.judge.telling import finding, server_name, span
from synfin.observe.story import Connection
from synfin.wire.tls.hello import ClientHello
from synfin.wire.tls.registry import group_name, is_grease

CODE = "SLO201"


def check(connection: Connection, context: Context) -> Finding | None:
    """State a HelloRetryRequest."""
    tls = connection.tls
    if tls is None or tls.hello_retry is None:
        return None
    hello = tls.client_hello.body if tls.client_hello is not None else None
    shares = "?"
    if isinstance(hello, ClientHello):  # a GREASE share stands for no group (RFC 8701)
        shares = ", ".join(group_name(g) for g in hello.key_share_groups if not is_grease(g)) or "no group"
    offered = groups_text(hello) if isinstance(hello, ClientHello) else "?"
    return finding(
        CODE,
        f"{server_name(connection)} asked for another key share: one round trip more"
        + (f" ({span(round_trip(connection))})" if round_trip(connection) else ""),
        f"The client sent key shares for {shares} (and offers {offered}); the server answered with HelloRetryRequest "
        f"(packet {tls.hello_retry.packets[0] if tls.hello_retry.packets else '?'})"
        + (f" and took {group_name(tls.group)} in the end." if tls.group is not None else "."),
        "Server's operator: accept the group that clients send first, if policy allows.",
        list(tls.hello_retry.packets),
        sure=Confidence.CERTAIN,
        reason="the HelloRetryRequest was read",
        disproof="",
    )
