"""CRT101: the server does not send its intermediate certificate.

What it sees.  The server sent its own certificate and no certificate of the issuer, and the client turned it down
(unknown_ca, or it left).  A server that sends leaf and intermediate but not the root is normal and not reported.

Why it matters.  "Works in the browser": browsers fetch or remember intermediates; curl, Python, Java, Go and Node do
not: "unable to get local issuer certificate", UNABLE_TO_VERIFY_LEAF_SIGNATURE, "PKIX path building failed".

How to fix.  Give the server the full chain file (leaf, then intermediates): `fullchain.pem` instead of `cert.pem`.

Confused with.  A certificate issued directly by a private root that the client does not know looks the same in
shape: CRT102 when the issuer calls itself a root.  If the certificate names a place to fetch its issuer from (AIA),
the issuer is an intermediate.

References.  RFC 8446 4.4.2 (the sender provides the chain), RFC 5280 4.2.2.1 (AIA), RFC 8446 6.2 (alert 48).
"""

from __future__ import annotations

from synfin.judge.chains import blame
from synfin.judge.engine import Context
from synfin.judge.model import Confidence, Finding
from synfin.judge.telling import finding, server_name
from synfin.observe.story import Connection

CODE = "CRT101"


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire when the client turned down a chain of one certificate that is not its own issuer."""
    told = blame(connection)
    form = told.form
    if told.fault != "missing" or form is None:
        return None
    leaf = form.leaf
    shown = form.issuer_is_root is False
    extra = len(form.sent.der) - 1
    return finding(
        CODE,
        f"{server_name(connection)} sends its certificate without the intermediate {form.missing}",
        f"The server's Certificate message (packet {form.packet}) holds {leaf.subject_text} only"
        + (f" (and {extra} that do not belong to its chain)" if extra else "")
        + f"; its issuer, {form.missing}, was not sent"
        + (f", though it can be fetched from {leaf.ca_issuers[0]}" if leaf.ca_issuers else "")
        + f". {told.verdict.sentence}",
        "Server's operator: configure the full chain, the certificate followed by its intermediates "
        "(fullchain.pem). If the issuer is a private root, the client has to trust it instead.",
        [form.packet, told.verdict.packet],
        severity=told.severity,
        sure=Confidence.LIKELY if shown else Confidence.POSSIBLE,
        reason="the issuer is an intermediate: the certificate says where to fetch it, or its name says so"
        if shown
        else "the issuer was not sent; whether it is an intermediate or a private root cannot be seen",
        disproof="a client with only the root in its store that accepts this chain",
        field="certificate.issuer",
    )
