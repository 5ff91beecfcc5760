"""CRT102: the client does not trust the authority behind the server's certificate.

What it sees.  The client sent unknown_ca (or certificate_unknown with no other fault in the chain), or left, and
the chain is self-signed, ends in a root of its own, or ends in an issuer that the client does not know.  Without TLS
secrets in TLS 1.3 the alert alone says it.

Why it matters.  "self-signed certificate", "self-signed certificate in certificate chain", "unable to get local issuer
certificate", DEPTH_ZERO_SELF_SIGNED_CERT, ERR_CERT_AUTHORITY_INVALID, SEC_ERROR_UNKNOWN_ISSUER.

How to fix.  For a private CA: give the client its root (never switch verification off).  For a public site: a
certificate of a public CA.  If the issuer is a proxy that opens TLS (company, antivirus), install its root in the
store that this program uses: many programs do not use the system's.

Confused with.  A missing intermediate (CRT101) gives the same alert; with TLS 1.3 and no secrets the two cannot be
told apart.  A chain whose root is not sent is normal and not reported by itself.  A connection that was not needed any
more, when the same program had just gone on with the same server on another one, is only a note.

References.  RFC 8446 6.2 (alerts 46, 48) and 4.4.2, RFC 5280 6.
"""

from __future__ import annotations

from synfin.judge.alerts import alert_name
from synfin.judge.chains import Blame, Shape, blame
from synfin.judge.engine import Context
from synfin.judge.facts import client_side
from synfin.judge.model import Actor, Confidence, Finding, Severity
from synfin.judge.telling import end, finding, server_name
from synfin.observe.story import Connection

CODE = "CRT102"


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire when the client turned down the chain because of who issued it."""
    told = blame(connection)
    if told.fault != "untrusted":
        return None
    form = told.form
    if form is None:
        return _unseen(connection, told)
    product = form.checked.interception
    alert = told.verdict.alert
    certain = alert == 48 and form.root_sent
    severity = told.severity
    if told.verdict.kind == "left" and not form.root_sent:
        severity = Severity.WARNING
    return finding(
        CODE,
        f"{server_name(connection)} {_title(form)}",
        f"In the server's Certificate message (packet {form.packet}, {len(form.sent.der)} certificates) {_what(form)}. "
        f"{told.verdict.sentence}"
        + (f" The issuer's name is that of a product which opens TLS: {product}." if product else ""),
        "Client's operator: a proxy or antivirus opens this connection; install its root in the store that this "
        "program uses, or exempt the site."
        if product
        else "Server's operator: use a certificate of an authority the clients trust. For a private CA: give the "
        "client "
        "its root certificate (for example curl --cacert, SSL_CERT_FILE, NODE_EXTRA_CA_CERTS).",
        [form.packet, told.verdict.packet],
        actor=Actor.CLIENT if product else Actor.OPERATOR,
        severity=severity,
        sure=Confidence.CERTAIN if certain else Confidence.LIKELY,
        reason="the chain shows its own root, and the client says that it does not know it"
        if certain
        else f"the client said {alert_name(alert)}, and nothing else is wrong with the chain"
        if alert is not None
        else "the client left without a word, and this is what is wrong with the chain",
        disproof="the same client accepting the same chain",
        field="certificate.issuer",
    )


def _title(form: Shape) -> str:
    if form.self_signed_leaf:
        return "shows a self-signed certificate"
    if form.root_sent:
        return f"sends a chain that ends at {form.top.label}, a root that the client does not trust"
    return f"sends a chain that ends at {form.missing}, which the client does not trust"


def _what(form: Shape) -> str:
    if form.self_signed_leaf:
        return f"its certificate {form.leaf.label} is self-signed"
    if form.root_sent:
        return f"its chain ends in the self-signed root {form.top.label}, which the client does not know"
    return (
        f"its chain ends at {form.missing}, which was not sent: the client does not know it, or that certificate sets "
        "limits that the chain breaks, which cannot be read here"
    )


def _unseen(connection: Connection, told: Blame) -> Finding:
    return finding(
        CODE,
        f"{end(connection, client_side(connection))} cannot trace the certificate of {server_name(connection)} to an "
        "authority it trusts",
        f"{told.verdict.sentence} Behind it is a self-signed certificate, a private or intercepting CA, or a missing "
        "intermediate. The certificates are encrypted here, so which of these it is cannot be read.",
        f"Server's operator: look at what is sent (`openssl s_client -connect {connection.b} -servername "
        f"{connection.name or 'NAME'} -showcerts`): send the full chain, or let the client trust the private root.",
        [told.verdict.packet],
        sure=Confidence.CERTAIN,
        reason="the alert says so; which fault of the chain is behind it stays open",
        disproof="a chain, read with the TLS secrets, that shows another fault",
        next_capture="with the client's TLS secrets (SSLKEYLOGFILE), to see the chain",
    )
