"""CRT201: a certificate of the chain has expired.

What it sees.  A certificate that the server sent was past its end when the capture was made, and the client turned it
down: by an alert (OpenSSL sends certificate_expired, in clear even in TLS 1.3), or by leaving without a request.
Without TLS secrets in TLS 1.3 the alert alone says it.  If the client accepted it, this is only a note.

Why it matters.  "certificate has expired", CERT_HAS_EXPIRED, ERR_CERT_DATE_INVALID, SEC_ERROR_EXPIRED_CERTIFICATE.

How to fix.  Renew the certificate that is named here: the leaf is renewed by the server's operator, an expired
intermediate is replaced in the server's chain file by the current one from the CA, an expired cross-signed root is
simply left out.  Then reload the server.

Confused with.  A client whose clock is wrong sees valid certificates as expired: if nothing in the chain was expired at
the capture's time, the finding says so and points to the client.

References.  RFC 5280 4.1.2.5, RFC 8446 6.2 (alert 45).
"""

from __future__ import annotations

from synfin.judge.chains import blame, days, expired, role
from synfin.judge.engine import Context
from synfin.judge.facts import end, finding, server_name
from synfin.judge.model import Actor, Confidence, Finding, Severity
from synfin.observe.story import Connection

CODE = "CRT201"


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire when the client turned down an expired chain; note one it accepted."""
    told = blame(connection)
    tls = connection.tls
    if tls is None:
        return None
    if told.form is None or told.chain is None:
        return _unseen(connection, told.verdict.text, told.verdict.packet) if told.fault == "expired" else None
    late = expired(told.form, told.chain.time)
    if not late:
        return _clock(connection, told.verdict.text, told.verdict.packet) if told.fault == "expired" else None
    place = late[0]
    certificate = told.form.path[place]
    ago = told.chain.time - (certificate.not_after or 0)
    rejected = told.fault == "expired"
    return finding(
        CODE,
        f"the {role(told.form, place)} {certificate.label} of {server_name(connection)} expired {days(ago)} before",
        f"The server's Certificate message (packet {told.chain.packets[0] if told.chain.packets else '?'}) holds the "
        f"{role(told.form, place)} {certificate.subject_text}, valid until {certificate.not_after_text}, {days(ago)} "
        f"before this connection. {told.verdict.text[:1].upper()}{told.verdict.text[1:]}.",
        (
            f"Server's operator: renew the certificate of {certificate.label} and reload the server."
            if place == 0
            else f"Server's operator: replace the expired {role(told.form, place)} {certificate.label} in the chain "
            "file "
            "by the current one from the CA."
        ),
        [*told.chain.packets[:1], told.verdict.packet],
        severity=None if rejected else Severity.NOTICE,
        sure=Confidence.CERTAIN if rejected and told.verdict.alert == 45 else Confidence.LIKELY,
        reason="the date is in the certificate and the client's alert says the same"
        if told.verdict.alert == 45
        else "the date is in the certificate; the client did not say in clear what it disliked"
        if rejected
        else "the date is in the certificate, and the client went on all the same or its verdict was not seen",
        disproof="a capture clock that is wrong by more than this",
        field="certificate.validity.not_after",
    )


def _unseen(connection: Connection, text: str, packet: int | None) -> Finding:
    return finding(
        CODE,
        f"a certificate of {server_name(connection)} has expired, says the client",
        f"{text[:1].upper()}{text[1:]}. The certificates themselves are encrypted here, so which of them expired, leaf "
        "or intermediate, cannot be read.",
        f"Server's operator: look at the chain (`openssl s_client -connect {connection.b} -servername "
        f"{connection.name or 'NAME'} -showcerts`) and renew what has expired. Client: make sure that the clock is "
        "right.",
        [packet],
        sure=Confidence.LIKELY,
        reason="the alert names the reason; a client whose clock is wrong would say the same",
        disproof="a chain that was valid at this time, read with the TLS secrets",
        next_capture="with the client's TLS secrets (SSLKEYLOGFILE), to see which certificate it is",
    )


def _clock(connection: Connection, text: str, packet: int | None) -> Finding:
    who = end(connection, connection.tls.client if connection.tls else 0)
    return finding(
        CODE,
        f"{who} takes a valid certificate for expired: look at its clock",
        f"{text[:1].upper()}{text[1:]}, yet every certificate the server sent was valid at the capture's time.",
        "Client's user: set the clock right; if it is right, an expired root in the client's own trust store is used "
        "to build the chain: update the store.",
        [packet],
        actor=Actor.CLIENT,
        sure=Confidence.LIKELY,
        reason="the dates of all certificates sent were read and none was past",
        disproof="a capture clock that is wrong",
    )
