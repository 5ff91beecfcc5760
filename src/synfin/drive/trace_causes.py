"""Why a trace could not go on: from attempts, look-ups and the exceptions of streams to a ``Cause``."""

from __future__ import annotations

import errno
import os

from synfin.drive.eyeballs import Attempt
from synfin.drive.lookup import Lookup
from synfin.drive.streams import AlertError
from synfin.drive.trace_steps import Cause
from synfin.errors import PeerError
from synfin.spec.violations import VIOLATIONS


def no_address(answers: list[Lookup]) -> str:
    """Why there is no address, of all families."""
    reasons = dict.fromkeys(answer.error for answer in answers if answer.error)
    if "no such host" in reasons:  # the other family's answer says no more
        return "no such host"
    return "; ".join(reasons) or "no address"


def unreached(attempts: list[Attempt]) -> Cause:
    """The cause where no address answered: the first that was not simply missing from this machine's network."""
    told = next((one for one in attempts if one.fate != "unreachable"), attempts[0])
    where = f"[{told.address}]:{told.port}" if ":" in told.address else f"{told.address}:{told.port}"
    if told.fate == "refused":
        return Cause("tcp", f"{where} refused the connection", "connection_refused")
    if told.fate == "timed out":
        return Cause("tcp", f"{where} never answered", "syn_unanswered")
    if told.number in (errno.EADDRINUSE, errno.EADDRNOTAVAIL) and told.fate != "unreachable":
        return Cause("tcp", f"{where}: no port of this machine is free for it ({told.why.lower()})")
    return Cause("tcp", f"{where}: {told.why.lower() or told.fate}")


#: What is wrong with the message that carries certificates or with its place, before any certificate is judged.
UNREAD = frozenset(
    {
        "certificate_missing",
        "certificate_bad_compression",
        "certificate_unparsable",
        "certificate_unsupported_key",
        "certificate_wrong_key_type",
    }
)


def broken(step: str, error: PeerError | OSError) -> Cause:
    """The cause behind an exception of a stream."""
    if isinstance(error, AlertError):
        return Cause(step, f"the server sent the alert {error.name}")
    if isinstance(error, PeerError):
        row = VIOLATIONS.get(error.violation)
        words = f"the server: {row.sentence}" if row is not None else error.violation
        part = step
        if error.violation.startswith("certificate_") and step == "tls" and error.violation not in UNREAD:
            part = "certificate"
        if error.violation == "certificate_refused":
            words = "the server's certificate is not fit for use"
        return Cause(part, words, error.violation, error.expected, error.got)
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        where = "in the TLS handshake" if step == "tls" else "before the answer was complete"
        name = "reset_in_handshake" if step == "tls" else "reset"
        return Cause(step, f"the server reset the connection {where}", name)
    return Cause(step, (os.strerror(error.errno) if error.errno else str(error)).lower())


def late(step: str, seconds: float | None, option: str) -> Cause:
    """The cause where the time of ``option`` was up in ``step``."""
    told = f"after {seconds:g} s ({option})"
    if step == "dns":
        return Cause("dns", f"timed out {told}: the name was not looked up")
    if step == "tcp":
        return Cause("tcp", f"timed out {told}: no address answered", "syn_unanswered")
    if step == "tls":
        return Cause("tls", f"timed out {told}: the TLS handshake was not finished", "no_answer")
    return Cause("http", f"timed out {told}: the answer was not complete")
