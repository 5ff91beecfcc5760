"""CRT401: the certificate is not fit for this use.

What it sees.  The client turned the certificate down as bad, unsupported, revoked or unknown (alerts 42, 43, 44, 46,
49, 113), or left, and what can be read of the chain shows a weak key, an old signature hash, a purpose other than TLS
server, an issuer that is no CA, or nothing that explains it.

Why it matters.  "EE certificate key too weak", "CA signature digest algorithm too weak", "unsuitable certificate
purpose", "permitted subtree violation", ERR_CERT_WEAK_SIGNATURE_ALGORITHM.

How to fix.  Issue a new certificate: RSA of 2,048 bits or more or ECDSA, SHA-256 or better, extended key usage
serverAuth, names within the CA's name constraints.

Confused with.  With TLS 1.3 and no secrets the alert alone is known: OpenSSL sends 42 also for a certificate that is
not valid yet and, when it checks the name itself, for a wrong name; 46 for a name constraint; Java sends 46 for nearly
everything.

References.  RFC 8446 6.2, RFC 5280 4.2.1.3, 4.2.1.10 and 4.2.1.12.
"""

from __future__ import annotations

from synfin.judge.alerts import alert_name
from synfin.judge.chains import LONGEST_JAVA, USE_PROBLEMS, WEAK_PROBLEMS, Shape, blame
from synfin.judge.engine import Context
from synfin.judge.facts import client_side, server_chain
from synfin.judge.model import Confidence, Finding
from synfin.judge.telling import end, finding, server_name
from synfin.observe.story import Connection
from synfin.spec.certificates import certificate_facts

CODE = "CRT401"

#: What an alert can mean when the chain cannot be read.
_MAY_BE = {
    42: "it is not valid yet, has a weak key or signature, or is for another name",
    43: "it is not meant for a TLS server (extended key usage)",
    44: "it has been revoked",
    46: "its issuer is not trusted, a name constraint is broken, or another check failed",
    49: "it is valid but not allowed in",
    113: "its stapled OCSP answer is not valid",
}

#: Alerts about what no chain shows.
_NOT_IN_CHAIN = (44, 49, 113)


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire when the client turned down a certificate for what it is."""
    told = blame(connection)
    if told.fault != "unusable":
        return None
    form = told.form
    alert = told.verdict.alert
    wrong = _wrong(form, alert) if form is not None else []
    sent = server_chain(connection.tls) if connection.tls is not None else None
    broken = "" if form is not None or sent is None or not sent.der else certificate_facts(sent.der[0]).why
    if broken:
        wrong = [f"The server's certificate cannot be read: {broken}"]
    may_be = _MAY_BE.get(alert or 0, "")
    if wrong:
        why, tail = f"{'. '.join(wrong)}.", f": {wrong[0][:1].lower()}{wrong[0][1:]}"
    elif form is not None:
        may_be = may_be if alert in _NOT_IN_CHAIN else "the chain as it was sent does not show why"
        why = f"Dates, names, keys and signatures of the chain are in order; {may_be}."
        tail = f", {alert_name(alert)}: {may_be}"
    else:
        why = f"The certificates are encrypted here; with this alert {may_be}."
        tail = f", {alert_name(alert)}: {may_be}"
    return finding(
        CODE,
        f"{end(connection, client_side(connection))} does not accept the certificate of "
        f"{server_name(connection)}{tail}",
        f"{told.verdict.sentence} {why}",
        "Server's operator: issue a certificate that current clients accept: valid now, RSA 2,048 bits or ECDSA, "
        "SHA-256, for serverAuth, with this name, within the CA's constraints. The client's own message names the "
        "check.",
        [sent.packets[0] if sent is not None and sent.packets else None, told.verdict.packet],
        severity=told.severity,
        sure=Confidence.LIKELY if wrong or form is None else Confidence.POSSIBLE,
        reason=f"the client's {'alert' if alert is not None else 'departure'}, and a fault that can be read in the "
        "certificate"
        if wrong
        else "the client's alert names the kind of fault only",
        disproof="another client of the same kind that accepts it",
        next_capture="" if sent is not None else "with the client's TLS secrets (SSLKEYLOGFILE), to see the chain",
    )


def _wrong(form: Shape, alert: int | None) -> list[str]:
    """What can be read in the chain and makes clients refuse it, the alert's own matter first."""
    problems = form.checked.problems
    wrong = [p.sentence for p in problems if p.name in USE_PROBLEMS + WEAK_PROBLEMS]
    if alert == 113 and form.leaf.must_staple:
        wrong.insert(0, f"The server certificate {form.leaf.label} demands a stapled OCSP response, and none was right")
    if len(form.checked.path) > LONGEST_JAVA:
        wrong.append(f"The chain has {len(form.checked.path)} certificates, and Java takes {LONGEST_JAVA} at most")
    return wrong or [p.sentence for p in problems if p.name == "irregular" and alert in (42, 43, 46)]
