"""CRT301: the certificate is for another name than the client asked for.

What it sees.  The name the client asked for (SNI, or the target it gave a proxy; without SNI the address) is not among
the names of the server's certificate, and the client turned it down: by an alert, or, as curl does, by closing
right after the handshake without a request and without any certificate alert.

Why it matters.  "no alternative certificate subject name matches target host name", "Hostname mismatch",
ERR_TLS_CERT_ALTNAME_INVALID, ERR_CERT_COMMON_NAME_INVALID, SSL_ERROR_BAD_CERT_DOMAIN.

How to fix.  Issue a certificate with the name in its subjectAltName (a wildcard covers one label only; an address
needs an iPAddress entry; the common name alone is not enough for most clients), or ask for a name it has.

Confused with.  A server that shows its default site's certificate because it does not know the name, or because
the client sent no SNI.  A client that asks nothing after a handshake may be a health check: without a mismatch that
can be read nothing is reported here.

References.  RFC 9525 6, RFC 6066 3, RFC 9110 4.3.4.
"""

from __future__ import annotations

from synfin.judge.chains import blame, covers, names_of, wanted
from synfin.judge.engine import Context
from synfin.judge.facts import end, finding, server_name
from synfin.judge.model import Confidence, Finding, Severity
from synfin.observe.story import Connection

CODE = "CRT301"


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire when the client went because of the name; note a mismatch that it accepted."""
    told = blame(connection)
    tls = connection.tls
    if told.form is None or told.chain is None or tls is None:
        return None
    name = wanted(connection)
    leaf = told.form.leaf
    rejected = told.fault == "name"
    if not rejected and (not tls.sni or covers(leaf, name)):
        return None
    bare = covers(leaf, name)
    asked = f"asked for {name}" if tls.sni else f"sent no server name (it went to {name})"
    problem = f"names {name} in its common name only, without subjectAltName" if bare else f"is for {names_of(leaf)}"
    default = "" if bare or tls.sni else " Without a server name the server shows its default certificate."
    return finding(
        CODE,
        f"{server_name(connection)} shows a certificate for {names_of(leaf, 2)}, not for {name}"
        if not bare
        else f"{server_name(connection)} names {name} in the common name only",
        f"{end(connection, tls.client)} {asked} (packet {tls.client_hello.packets[0] if tls.client_hello else '?'}); "
        "the "
        f"server's certificate (packet {told.chain.packets[0] if told.chain.packets else '?'}) {problem}. "
        f"{told.verdict.text[:1].upper()}{told.verdict.text[1:]}.{default}",
        f"Server's operator: serve a certificate with {name} in its subjectAltName, or add this name to the right "
        "virtual host. Client: use a name that the certificate has, and send it (SNI).",
        [*(tls.client_hello.packets[:1] if tls.client_hello else ()), *told.chain.packets[:1], told.verdict.packet],
        severity=None if rejected else Severity.NOTICE,
        sure=(Confidence.LIKELY if tls.sni or told.verdict.alert is not None else Confidence.POSSIBLE),
        reason="the name asked for and the names in the certificate were both read, and the client went on no further"
        if rejected
        else "both names were read, but the client did not leave because of it",
        disproof="the client sending a request on this connection" if rejected else "none: it is only a note",
        field="certificate.subject_alt_name",
    )
