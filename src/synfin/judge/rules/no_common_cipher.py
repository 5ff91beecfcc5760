"""TLS202: client and server have no cipher, group or signature algorithm in common.

What it sees.  handshake_failure (40) or insufficient_security (71) from the server right after the ClientHello,
before any ServerHello or certificate request.

Why it matters.  "sslv3 alert handshake failure", SSL_ERROR_NO_CYPHER_OVERLAP, ERR_SSL_VERSION_OR_CIPHER_MISMATCH.

How to fix.  Compare what the ClientHello offers with the server's configuration: ciphers, groups (curves), signature
algorithms, and whether the server's key (RSA or ECDSA) fits any of them.

Confused with.  The same alert after a CertificateRequest is about the client's certificate (TLS301).  Some servers
also use 40 for an unknown or missing server name.

References.  RFC 8446 4.1.1 and 6.2, RFC 5246 7.4.1.3.
"""

from __future__ import annotations

from synfin.judge.alerts import alert_name
from synfin.judge.engine import Context
from synfin.judge.facts import deciding_alert
from synfin.judge.model import Actor, Confidence, Finding
from synfin.judge.offers import ciphers_text, groups_text, hello_of, real, signatures_text, versions_text
from synfin.judge.telling import at, end, finding
from synfin.observe.story import Connection

CODE = "TLS202"


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire on the server's alert 40 or 71 in place of a ServerHello."""
    tls = connection.tls
    if tls is None or tls.client_hello is None or tls.server_hello is not None:
        return None
    alert = deciding_alert(connection, 1 - tls.client)
    if alert is None or alert.description not in (40, 71):
        return None
    hello = hello_of(tls)
    few = hello is not None and len(real(hello.cipher_suites)) <= 5
    offer = (
        f"versions {versions_text(hello)}; ciphers {ciphers_text(hello)}; groups {groups_text(hello)}; signatures "
        f"{signatures_text(hello)}"
        if hello is not None
        else "an offer that could not be read"
    )
    retried = f" after a HelloRetryRequest (packet {tls.hello_retry.packets[0]})" if tls.hello_retry is not None else ""
    return finding(
        CODE,
        f"{end(connection, 1 - tls.client)} accepts nothing of what the client offers (cipher, group or signature)",
        f"{end(connection, tls.client)} offered {offer}. {at(connection, alert.time).capitalize()} the server answered "
        f"with the alert {alert_name(alert.description)} (packet {alert.packet}){retried} and no ServerHello: no "
        "combination of cipher, group and signature is left that both accept."
        + (" The client's list is unusually short." if few else "")
        + ("" if tls.sni else " The client sent no server name; some servers refuse that with this alert."),
        (
            "Client's operator: offer more ciphers; this list is restricted."
            if few
            else "Operators of both: compare the lists above with the server's configuration (ciphers, curves, and "
            "whether its key is RSA or ECDSA)."
        ),
        [*tls.client_hello.packets, alert.packet],
        actor=Actor.CLIENT if few else Actor.OPERATOR,
        sure=Confidence.LIKELY,
        reason="this alert in place of a ServerHello means that the offer has no match; some servers use it for an "
        "unknown name too",
        disproof="a ServerHello to the same offer under another server name",
    )
