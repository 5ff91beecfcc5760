"""CRT202: a certificate of the chain is not valid yet.

What it sees.  A certificate whose validity begins after the time of the capture, and a client that turned it down.

Why it matters.  "certificate is not yet valid", ERR_CERT_DATE_INVALID.  OpenSSL sends bad_certificate (42) for it.

How to fix.  If the certificate was issued for a later date, use the old one until then; if the machine that issued it
has a clock ahead of time, set that clock and issue again.

Confused with.  A client (or capture) clock that is behind: a certificate that begins only hours or days ahead was
usually just issued, and then the clock is to blame.

References.  RFC 5280 4.1.2.5.
"""

from __future__ import annotations

from synfin.judge.chains import blame, days, early, role
from synfin.judge.engine import Context
from synfin.judge.facts import finding, server_name
from synfin.judge.model import Confidence, Finding, Severity
from synfin.observe.story import Connection

CODE = "CRT202"


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire when the client turned down a chain that begins in the future; note one it accepted."""
    told = blame(connection)
    if told.form is None or told.chain is None:
        return None
    places = early(told.form, told.chain.time)
    if not places:
        return None
    place = places[0]
    certificate = told.form.path[place]
    ahead = (certificate.not_before or 0) - told.chain.time
    rejected = told.fault == "early"
    return finding(
        CODE,
        f"the {role(told.form, place)} {certificate.label} of {server_name(connection)} is not valid before "
        f"{certificate.not_before_text}",
        f"The server's Certificate message (packet {told.chain.packets[0] if told.chain.packets else '?'}) holds the "
        f"{role(told.form, place)} {certificate.subject_text}, valid from {certificate.not_before_text}, {days(ahead)} "
        f"after this connection. {told.verdict.text[:1].upper()}{told.verdict.text[1:]}.",
        "Server's operator: serve a certificate that is valid now, and check the clock of the machine that issued "
        "this one. If the certificate was just issued, the clock of this network's machines is behind.",
        [*told.chain.packets[:1], told.verdict.packet],
        severity=None if rejected else Severity.NOTICE,
        sure=Confidence.CERTAIN if rejected and told.verdict.alert is not None else Confidence.LIKELY,
        reason="the date is in the certificate" + (", and the client turned it down" if rejected else ""),
        disproof="a capture clock that is behind by this much",
        field="certificate.validity.not_before",
    )
