"""CRT202: a certificate of the chain is not valid yet.

What it sees.  A certificate whose validity begins after the time of the capture, and a client that turned it down.  Or
OpenSSL's bad_certificate (42) about a chain that was valid then and in which nothing else is wrong.

Why it matters.  "certificate is not yet valid", ERR_CERT_DATE_INVALID.  OpenSSL sends bad_certificate (42) for it.

How to fix.  If the certificate was issued for a later date, use the old one until then; if the machine that issued it
has a clock ahead of time, set that clock and issue again.

Confused with.  A client (or capture) clock that is behind: a certificate that begins only hours or days ahead was
usually just issued, and then the clock is to blame.

References.  RFC 5280 4.1.2.5.
"""

from __future__ import annotations

from synfin.judge.chains import Blame, blame
from synfin.judge.engine import Context
from synfin.judge.facts import client_side
from synfin.judge.model import Actor, Confidence, Finding, Severity
from synfin.judge.telling import end, finding, server_name
from synfin.observe.story import Connection

CODE = "CRT202"


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire when the client turned down a chain that begins in the future; note one it accepted."""
    told = blame(connection)
    form = told.form
    early = form.first("not_yet_valid") if form is not None else None
    if form is not None and early is None and told.fault == "early":
        return _clock(connection, told)
    if form is None or early is None:
        return None
    rejected = told.fault == "early"
    return finding(
        CODE,
        f"{early.data['who']} of {server_name(connection)} is not valid before {early.data['not_before']}",
        f"{early.sentence} (Certificate message in packet {form.packet}). {told.verdict.sentence}",
        "Server's operator: serve a certificate that is valid now, and check the clock of the machine that issued "
        "this one. If it was issued just now, the clock of these machines is behind.",
        [form.packet, told.verdict.packet],
        severity=None if rejected else Severity.NOTICE,
        sure=Confidence.CERTAIN if rejected and told.verdict.alert is not None else Confidence.LIKELY,
        reason="the date is in the certificate" + (", and the client turned it down" if rejected else ""),
        disproof="a capture clock that is behind by this much",
        field="certificate.validity.not_before",
    )


def _clock(connection: Connection, told: Blame) -> Finding:
    """OpenSSL's alert for dates in the future, about certificates that were valid when the capture was made."""
    return finding(
        CODE,
        f"{end(connection, client_side(connection))} does not accept a certificate in which nothing is wrong: "
        "perhaps its clock is behind",
        f"{told.verdict.sentence} By its ClientHello (compressed points offered) the client is OpenSSL, which says "
        "this of a certificate that is not valid yet, has a weak key or is for another name. Yet names and keys of the "
        "chain are in order, and all of it was valid at the capture's time.",
        "Client's user: look at the client's clock, and at its own message.",
        [told.form.packet if told.form is not None else None, told.verdict.packet],
        actor=Actor.CLIENT,
        sure=Confidence.POSSIBLE,
        reason="the alert names the kind of fault only; of the faults it may mean a clock that is behind is left",
        disproof="the client's own message naming another reason, or a capture clock that is ahead",
    )
