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
from synfin.judge.chains import blame, usage_faults, weaknesses
from synfin.judge.engine import Context
from synfin.judge.facts import end, finding, server_name
from synfin.judge.model import Confidence, Finding
from synfin.observe.story import Connection

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


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire when the client turned down a certificate for what it is."""
    told = blame(connection)
    if told.fault != "unusable":
        return None
    faults = usage_faults(told.form) + weaknesses(told.form) if told.form is not None else []
    alert = told.verdict.alert
    may_be = _MAY_BE.get(alert or 0, "")
    who = end(connection, connection.tls.client if connection.tls else 0)
    packets = told.chain.packets[:1] if told.chain is not None else ()
    if faults:
        why = f"{faults[0]}" + (f" ({'; '.join(faults[1:])})" if faults[1:] else "")
    elif told.seen:
        why = f"nothing in the chain as it was sent explains it; with this alert {may_be}"
    else:
        why = f"the certificates are encrypted here; with this alert {may_be}"
    return finding(
        CODE,
        f"{who} does not accept the certificate of {server_name(connection)}"
        + (f": {faults[0]}" if faults else f", {alert_name(alert)}: {may_be}" if may_be else ""),
        f"{told.verdict.text[:1].upper()}{told.verdict.text[1:]}; {why}.",
        "Server's operator: issue a certificate that current clients accept: valid now, RSA 2,048 bits or ECDSA, "
        "SHA-256, "
        "for serverAuth, with this name, within the CA's constraints. The client's own message names the check.",
        [*packets, told.verdict.packet],
        sure=Confidence.LIKELY if faults or not told.seen else Confidence.POSSIBLE,
        reason="the client's alert and a fault that can be read in the certificate"
        if faults
        else "the client's alert names the kind of fault only",
        disproof="another client of the same kind that accepts it",
        next_capture="" if told.seen else "with the client's TLS secrets (SSLKEYLOGFILE), to see the chain",
    )
