"""TLS301: the server demands a client certificate and the client has none.

 What it sees.  A CertificateRequest, the client's empty Certificate, and then the server's close, or its alert:
certificate_required (116) in TLS 1.3, handshake_failure (40) or bad_certificate (42) in TLS 1.2.  In TLS 1.3
without secrets the same is told from record sizes: an empty Certificate is a record of 25 octets, an alert one of
19.  A web server may also let the handshake pass and answer 400 "No required SSL certificate was sent".

Why it matters.  "tlsv13 alert certificate required", "sslv3 alert handshake failure" (the very text of a missing
common cipher), ERR_BAD_SSL_CLIENT_AUTH_CERT.

How to fix.  Give the client a certificate and key that the server's CA list accepts (curl --cert, --key), or make
it optional at the server.

Confused with.  Alert 40 right after the ClientHello is about ciphers (TLS202).  An empty Certificate that the
server accepts is normal.

References.  RFC 8446 4.3.2, 4.4.2.4 and 6.2 (alert 116), RFC 5246 7.4.6.
"""

from __future__ import annotations

from synfin.judge.alerts import alert_name
from synfin.judge.certs_client import admitted, client_certificate, refusal, refusing_page
from synfin.judge.engine import Context
from synfin.judge.model import Confidence, Finding
from synfin.judge.telling import at, end, finding, server_name
from synfin.observe.story import Connection

CODE = "TLS301"


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire on the server's alert after an empty client Certificate."""
    tls = connection.tls
    if tls is None:
        return None
    answer = client_certificate(connection)
    last = refusal(connection)
    page = refusing_page(connection)
    if last is None and page is None:
        return None
    told = last is not None and last.description == 116
    if not told and answer.sent != "empty":
        return None
    if page is not None and last is None:
        how, packet = f"the server answered HTTP {page[0]} without serving the request (packet {page[1]})", page[1]
    elif last is not None:
        how = f"{at(connection, last.time)} the server " + (
            f"sent the alert {alert_name(last.description)} (packet {last.packet})"
            if last.description is not None
            else last.told
        )
        packet = last.packet
    asked = (
        "The server asked for a client certificate"
        if answer.seen
        else "The server asked for a certificate (by the client's answer)"
    )
    sent = (
        "the client's Certificate message is empty"
        if answer.seen and answer.sent == "empty"
        else "the client's first encrypted record has the size of an empty Certificate"
        if answer.sent == "empty"
        else "the client showed none"
    )
    certain = told or (answer.seen and answer.sent == "empty" and (last is None or not last.wordless))
    takes = admitted(connection)
    only = f" It admits certificates of {'; '.join(takes[:5])}{' ...' if takes[5:] else ''} only." if takes else ""
    return finding(
        CODE,
        f"{server_name(connection)} demands a client certificate, and {end(connection, tls.client)} shows none",
        f"{asked}; {sent}; {how}.{only}",
        "Client's operator: configure a certificate and key for this server (curl --cert FILE --key FILE) from a CA it "
        "accepts. Server's operator: make the client certificate optional if it is not meant to be needed.",
        [*answer.packets, packet],
        sure=Confidence.CERTAIN if certain else Confidence.LIKELY,
        reason="request, empty answer and refusal were read"
        if certain
        else "the server hung up as soon as it had the empty answer"
        if answer.seen
        else "TLS 1.3 without secrets: record sizes fit only an empty Certificate followed by an alert",
        disproof="a client certificate in the client's flight",
        next_capture="" if answer.seen else "with TLS secrets (SSLKEYLOGFILE), to read the alert",
    )
