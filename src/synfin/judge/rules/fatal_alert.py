"""TLS210: one side ended TLS with a fatal alert.

What it sees.  Any alert that ends a connection and that no more special rule explains, with who sent it and what it
means in plain words.

Why it matters.  An alert is the sender's own word for why it stops; the other side has to act, or its own
implementation is at fault.

How to fix.  By the alert's meaning, which the finding gives; the sender's log usually says more.

Confused with.  close_notify, user_canceled and warnings are no failures.  In TLS 1.3 alerts are encrypted, except
that OpenSSL's client sends early ones in clear.

References.  RFC 8446 6.2, RFC 5246 7.2.2, IANA TLS Alerts registry.
"""

from __future__ import annotations

from synfin.judge.alerts import ALERTS, Alert, alert_name, usual_actor
from synfin.judge.engine import Context
from synfin.judge.facts import deciding_alert
from synfin.judge.model import Confidence, Finding, Severity
from synfin.judge.telling import at, end, finding
from synfin.observe.story import Connection
from synfin.observe.story_tls import AlertFact, TlsStory
from synfin.wire.tls.registry import is_tls13

CODE = "TLS210"

_UNKNOWN = Alert("unknown", "something this list does not know", "look the number up in IANA's registry")

#: The alert for a signature or Finished that does not verify (RFC 8446 6.2).
_DECRYPT_ERROR = 51


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire on an alert that ends the connection."""
    tls = connection.tls
    alert = deciding_alert(connection)
    if tls is None or alert is None or alert.description is None:
        return None
    known = _proof(tls, alert) or ALERTS.get(alert.description, _UNKNOWN)
    rejecting, other = end(connection, alert.sender), end(connection, 1 - alert.sender)
    late = tls.handshake_done and not any(r.time > alert.time and r.sender != alert.sender for r in tls.records)
    stage = "after the handshake" if tls.handshake_done else "during the handshake"
    return finding(
        CODE,
        f"{rejecting} ended TLS with {alert_name(alert.description)}: {known.says}",
        f"{at(connection, alert.time).capitalize()}, {stage}, {rejecting} sent the alert "
        f"{alert_name(alert.description)} "
        f"(packet {alert.packet}) to {other}: {known.says}.",
        f"{known.do[:1].upper()}{known.do[1:]}; the log of {rejecting} says more.",
        [alert.packet],
        actor=usual_actor(alert.description, alert.sender == tls.client),
        severity=Severity.WARNING if late else None,
        sure=Confidence.CERTAIN,
        reason="the alert can be read; what led to it may need the sender's log",
        disproof="",
    )


def _proof(tls: TlsStory, alert: AlertFact) -> Alert | None:
    """What decrypt_error means from a client that was shown a certificate and did not finish the handshake."""
    shown = any(chain.sender != tls.client for chain in tls.chains)
    if alert.description != _DECRYPT_ERROR or alert.sender != tls.client or tls.handshake_done or not shown:
        return None
    says = "the server's handshake signature does not fit its certificate"
    if is_tls13(tls.version):
        says += ", or its Finished does not fit the handshake"
    elif any(message.sender == tls.client and message.name == "client_key_exchange" for message in tls.messages):
        return None  # the signature had been accepted
    return Alert(
        "decrypt_error",
        says,
        "compare the public keys of the server's certificate and private key (openssl x509 -noout -pubkey, openssl "
        "pkey -pubout); where they are the same, something on the way changes the handshake",
    )
