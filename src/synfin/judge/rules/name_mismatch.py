"""CRT301: the certificate is for another name than the client asked for.

What it sees.  The name the client asked for (SNI, or the target it gave a proxy; without SNI the address) is not among
the names of the server's certificate, and the client turned it down: by an alert, or, as curl does, by closing
right after the handshake without a request and without any certificate alert.

Why it matters.  "no alternative certificate subject name matches target host name", "Hostname mismatch",
ERR_TLS_CERT_ALTNAME_INVALID, ERR_CERT_COMMON_NAME_INVALID, SSL_ERROR_BAD_CERT_DOMAIN.

How to fix.  Issue a certificate with the name in its subjectAltName (a wildcard covers one label only; an address
needs an iPAddress entry; the common name alone is not enough for most clients), or ask for a name it has.

Confused with.  A server that shows its default site's certificate because it does not know the name, or because the
client sent no SNI.  Without SNI a client of HTTP (ALPN) went to the address, for which there is no SNI to send; any
other one that only completes the handshake is left alone.  A client that asks nothing after a handshake may be a health
check: without a mismatch that can be read nothing is reported here.

References.  RFC 9525 6, RFC 6066 3, RFC 9110 4.3.4.
"""

from __future__ import annotations

from synfin.judge.chains import NAME_PROBLEMS, blame, wanted
from synfin.judge.engine import Context
from synfin.judge.model import Confidence, Finding, Severity
from synfin.judge.telling import end, finding, server_name
from synfin.observe.story import Connection
from synfin.spec.certcheck import names_text

CODE = "CRT301"


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire when the client went because of the name; note a mismatch that it accepted or may have gone for."""
    told = blame(connection)
    tls, form = connection.tls, told.form
    wrong = form.first(*NAME_PROBLEMS) if form is not None else None
    if tls is None or form is None or wrong is None:
        return None
    rejected = told.fault == "name"
    bare = wrong.name == "common_name_only"
    if not rejected and (bare or not (tls.sni or told.verdict.kind == "quit")):
        return None
    name = wanted(connection)
    hello = tls.client_hello.packets[0] if tls.client_hello is not None and tls.client_hello.packets else None
    asked = f"asked for {name}" if tls.sni else f"sent no server name (it went to {name})"
    default = "" if tls.sni else " To a client without server name a server shows its default certificate."
    return finding(
        CODE,
        f"{server_name(connection)} names {name} in the common name of its certificate only"
        if bare
        else f"{server_name(connection)} shows a certificate for {names_text(form.leaf, 2)}, not for {name}",
        f"{end(connection, tls.client)} {asked} (packet {hello}). {wrong.sentence} (Certificate message in packet "
        f"{form.packet}). {told.verdict.sentence}{default}",
        f"Server's operator: serve a certificate with {name} in its subjectAltName, or add this name to the right "
        "virtual host. Client: use a name that the certificate has, and send it (SNI).",
        [hello, form.packet, told.verdict.packet],
        severity=None if rejected else Severity.NOTICE,
        sure=Confidence.LIKELY if rejected else Confidence.POSSIBLE,
        reason="the name asked for and the names in the certificate were both read, and the client went no further"
        if rejected
        else "both names were read, but nothing shows that the client minded",
        disproof="the client sending a request on this connection" if rejected else "none: it is only a note",
        field="certificate.subject_alt_name",
    )
