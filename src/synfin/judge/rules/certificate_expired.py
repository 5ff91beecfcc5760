"""CRT201: a certificate of the chain has expired.

What it sees.  A certificate that the server sent was past its end when the capture was made, and the client turned it
down: by an alert (OpenSSL sends certificate_expired, in clear even in TLS 1.3), or by leaving without a request.
Without TLS secrets in TLS 1.3 the alert alone says it.  If the client accepted it, this is only a note.

Why it matters.  "certificate has expired", CERT_HAS_EXPIRED, ERR_CERT_DATE_INVALID, SEC_ERROR_EXPIRED_CERTIFICATE.

How to fix.  Renew the certificate that is named here: the leaf is renewed by the server's operator, an expired
intermediate is replaced in the server's chain file by the current one from the CA, an expired cross-signed root is
simply left out.  Then reload the server.

Confused with.  A client whose clock is wrong, or whose own root has expired, calls valid certificates expired: if
nothing in the chain was expired at the capture's time, the finding says so and points to the client.

References.  RFC 5280 4.1.2.5, RFC 8446 6.2 (alert 45).
"""

from __future__ import annotations

from synfin.judge.chains import Blame, blame
from synfin.judge.engine import Context
from synfin.judge.facts import client_side
from synfin.judge.model import Actor, Confidence, Finding, Severity
from synfin.judge.telling import end, finding, server_name
from synfin.observe.story import Connection

CODE = "CRT201"


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire when the client turned down an expired chain; note one it accepted."""
    told = blame(connection)
    rejected = told.fault == "expired"
    form = told.form
    if form is None:
        return _unseen(connection, told) if rejected else None
    late = form.first("expired")
    if late is None:
        return _clock(connection, told) if rejected else None
    said_so = rejected and told.verdict.alert == 45
    return finding(
        CODE,
        f"{late.data['who']} expired {late.data['ago']} before this connection",
        f"{late.sentence} (Certificate message in packet {form.packet}). {told.verdict.sentence}",
        f"Server's operator: renew the certificate of {late.subject} and reload the server."
        if late.index == 0
        else f"Server's operator: replace {late.data['who']} in the chain file by the current one from the CA.",
        [form.packet, told.verdict.packet],
        severity=None if rejected else Severity.NOTICE,
        sure=Confidence.CERTAIN if said_so else Confidence.LIKELY,
        reason="the date is in the certificate, and the client's alert says the same"
        if said_so
        else "the date is in the certificate; the client did not say in clear what it disliked"
        if rejected
        else "the date is in the certificate, and the client went on all the same or its verdict was not seen",
        disproof="a capture clock that is wrong by more than this",
        field="certificate.validity.not_after",
    )


def _unseen(connection: Connection, told: Blame) -> Finding:
    return finding(
        CODE,
        f"a certificate of {server_name(connection)} has expired, says the client",
        f"{told.verdict.sentence} The certificates themselves are encrypted here, so which of them expired, the "
        "server's own or an intermediate, cannot be read.",
        f"Server's operator: look at the chain (`openssl s_client -connect {connection.b} -servername "
        f"{connection.name or 'NAME'} -showcerts`) and renew what has expired. Client: make sure that the clock is "
        "right.",
        [told.verdict.packet],
        sure=Confidence.LIKELY,
        reason="the alert names the reason; a client whose clock is wrong would say the same",
        disproof="a chain that was valid at this time, read with the TLS secrets",
        next_capture="with the client's TLS secrets (SSLKEYLOGFILE), to see which certificate it is",
    )


def _clock(connection: Connection, told: Blame) -> Finding:
    return finding(
        CODE,
        f"{end(connection, client_side(connection))} calls a chain expired in which no certificate is: its own "
        "root has expired, or its clock is wrong",
        f"{told.verdict.sentence} Yet every certificate the server sent was valid at the capture's time. The root "
        "was not sent: it is in the client's own trust store.",
        "Client's user: look whether the root of this chain in the client's trust store has expired, and update the "
        "store; else set the clock right.",
        [told.verdict.packet],
        actor=Actor.CLIENT,
        sure=Confidence.LIKELY,
        reason="the dates of all certificates sent were read and none was past",
        disproof="a capture clock that is wrong",
    )
