"""TLS201: client and server have no TLS version in common.

What it sees.  The server answers the ClientHello with protocol_version (70), or answers with a version that the
client did not offer or will not use, and the client sends an alert.

Why it matters.  "tlsv1 alert protocol version", "unsupported protocol", "legacy sigalg disallowed or unsupported",
ERR_SSL_VERSION_OR_CIPHER_MISMATCH, SSL_ERROR_UNSUPPORTED_VERSION.

How to fix.  Update the older side.  Usually one of them knows only TLS 1.0 or 1.1 (deprecated by RFC 8996), or was
configured to TLS 1.3 only.

Confused with.  No common cipher (TLS202).  inappropriate_fallback (86) means that a client tried again with an older
version after a failure that had another reason.

References.  RFC 8446 4.2.1, 6.2 and D, RFC 8996, RFC 7507.
"""

from __future__ import annotations

from synfin.judge.alerts import alert_name
from synfin.judge.engine import Context
from synfin.judge.facts import deciding_alert
from synfin.judge.model import Actor, Confidence, Finding
from synfin.judge.offers import hello_of, versions, versions_text
from synfin.judge.telling import at, end, finding
from synfin.observe.story import Connection
from synfin.wire.tls.registry import version_name

CODE = "TLS201"


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire on alert 70 (or 86), and on a client that turns down an old version the server chose."""
    tls = connection.tls
    alert = deciding_alert(connection)
    if tls is None or alert is None or tls.handshake_done:
        return None
    hello = hello_of(tls)
    chosen = tls.version if tls.server_hello is not None else None
    offered = versions_text(hello) if hello is not None else "versions that could not be read"
    client, server = tls.client, 1 - tls.client
    packets = [*(tls.client_hello.packets if tls.client_hello else ()), alert.packet]
    sender = end(connection, alert.sender)
    said = (
        f"{at(connection, alert.time)} {sender} sent the alert {alert_name(alert.description)} (packet {alert.packet})"
    )
    if alert.sender == server and alert.description in (70, 86):
        newest = versions(hello)[0] if hello is not None else 0
        oldest = versions(hello)[-1] if hello is not None and hello.supported_versions else None
        if newest and newest < 0x0303:
            who, actor = "The client is the old side", Actor.CLIENT
        elif oldest is not None and oldest >= 0x0304:
            who, actor = "The server does not speak TLS 1.3, and the client accepts nothing older", Actor.OPERATOR
        elif newest == 0x0303:
            who, actor = "The server wants TLS 1.3, or speaks only older versions", Actor.OPERATOR
        else:
            who, actor = "The server has none of these enabled", Actor.SERVER
        return finding(
            CODE,
            f"{end(connection, server)} speaks none of the TLS versions offered ({offered})",
            f"{end(connection, client)} offered {offered}; {said}. {who}.",
            "Operator of the older side: update it to TLS 1.2 or 1.3 or enable these. Both sides: compare the minimum "
            "and maximum versions configured.",
            packets,
            actor=actor,
            sure=Confidence.CERTAIN,
            reason="the alert says exactly this",
            disproof="a ServerHello to the same offer",
        )
    old = chosen is not None and chosen < 0x0303
    if (
        alert.sender == client
        and chosen is not None
        and (alert.description == 70 or (old and alert.description in (40, 47, 71, 80)))
    ):
        packets += list(tls.server_hello.packets) if tls.server_hello is not None else []
        return finding(
            CODE,
            f"{end(connection, server)} chose {version_name(chosen)}, which the client does not accept",
            f"{end(connection, client)} offered {offered}; the server answered with {version_name(chosen)} (packet "
            f"{tls.server_hello.packets[0] if tls.server_hello and tls.server_hello.packets else '?'}); {said}.",
            f"Server's operator: enable TLS 1.2 or 1.3; {version_name(chosen)} is what it has at best."
            if old
            else "Client's operator: allow the server's version, or update the server.",
            packets,
            actor=Actor.SERVER if old else Actor.OPERATOR,
            sure=Confidence.CERTAIN if alert.description == 70 else Confidence.LIKELY,
            reason="the alert is about the version"
            if alert.description == 70
            else "clients of today refuse the signatures of this old version with this alert",
            disproof="the same client finishing a handshake of this version elsewhere",
        )
    return None
