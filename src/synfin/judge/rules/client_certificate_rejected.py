"""TLS302: the server does not accept the client's certificate.

 What it sees.  The client sent a certificate, and then the server sent an alert (42 to 49, or 51) or hung up.  In
TLS 1.3 without secrets: a large encrypted flight of the client before its Finished, and the server's last record has an
alert's size, or it closes at once without a record.

Why it matters.  "tlsv1 alert unknown ca", "sslv3 alert bad certificate", "alert certificate expired": the text does
not say that it is the client's certificate which is meant.

How to fix.  By the alert: unknown_ca: use a certificate from the CA the server accepts, and send its intermediates;
certificate_expired: renew it; unsupported_certificate: extended key usage clientAuth is missing.

Confused with.  The same alerts sent by the client are about the server's certificate (CRT rules).

References.  RFC 8446 4.4.2 and 6.2, RFC 5246 7.4.6.
"""

from __future__ import annotations

from synfin.judge.alerts import ALERTS, CERTIFICATE_ALERTS, alert_name
from synfin.judge.certs_client import Refusal, client_certificate, refusal, refusing_page
from synfin.judge.engine import Context
from synfin.judge.model import Confidence, Finding
from synfin.judge.telling import at, end, finding
from synfin.observe.story import Connection
from synfin.spec.certificates import certificate_facts

CODE = "TLS302"


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire on the server's certificate alert after a client certificate."""
    tls = connection.tls
    if tls is None:
        return None
    answer = client_certificate(connection)
    last = refusal(connection)
    if answer.sent != "some":
        return None
    page = refusing_page(connection)
    if last is None and page is not None:
        last = Refusal(None, page[1], page[2])
    if last is None:
        return None
    if last.description is not None and last.description not in CERTIFICATE_ALERTS | {40, 51, 80}:
        return None
    chain = next((c for c in tls.chains if c.sender == tls.client and c.der), None)
    leaf = certificate_facts(chain.der[0]) if chain is not None else None
    whose = (
        f" {leaf.label} (issuer {leaf.issuer_text}, until {leaf.not_after_text})"
        if leaf is not None and leaf.parsed
        else ""
    )
    says = ALERTS[last.description].says if last.description in ALERTS else "which cannot be read"
    return finding(
        CODE,
        f"{end(connection, 1 - tls.client)} rejects the client's "
        f"certificate{f', {alert_name(last.description)}' if last.description else ''}",
        f"{end(connection, tls.client)} sent its certificate{whose} "
        + ("" if answer.seen else "(a large encrypted flight before its Finished) ")
        + f"in packet {answer.packets[-1] if answer.packets else '?'}; {at(connection, last.time)} the server "
        + (
            f"answered with the alert {alert_name(last.description)} (packet {last.packet}): {says}."
            if last.description is not None
            else f"answered with HTTP {page[0]} and the word that the certificate is in error (packet {last.packet})."
            if page is not None
            else f"{last.told}."
        ),
        "Client's operator: use a certificate that this server accepts: from its CA, with its intermediates, valid "
        "now, "
        "for client authentication. Server's operator: check the list of accepted CAs; the server's log names the "
        "check.",
        [*answer.packets, last.packet],
        sure=Confidence.CERTAIN if page or last.description in CERTIFICATE_ALERTS else Confidence.LIKELY,
        reason="the server's alert is about a certificate and only the client's can be meant"
        if last.description in CERTIFICATE_ALERTS
        else "the server's page says so"
        if page is not None
        else "the server hung up as soon as it had the certificate"
        if last.wordless
        else "TLS 1.3 without secrets: the record sizes fit a client certificate followed by an alert",
        disproof="the server's log accepting the certificate",
        next_capture="" if answer.seen else "with TLS secrets (SSLKEYLOGFILE), to read the alert",
    )
