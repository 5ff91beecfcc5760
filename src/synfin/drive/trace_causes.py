"""Why a trace could not go on: from attempts, look-ups and the exceptions of streams to a ``Cause``."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

from synfin.drive.eyeballs import Attempt
from synfin.drive.lookup import Lookup
from synfin.drive.streams import AlertError
from synfin.drive.trace_steps import Answered, Cause, Received, Sent, Spoke, Step
from synfin.errors import PeerError
from synfin.spec.violations import VIOLATIONS
from synfin.wire.tls.registry import handshake_name


def no_address(answers: list[Lookup]) -> str:
    """Why there is no address, of all families."""
    reasons = dict.fromkeys(answer.error for answer in answers if answer.error)
    if len(answers) == 1 and "no such host" in reasons:
        return f"no such host, or no IPv{answers[0].family} address of it"
    if "no such host" in reasons:  # the other family's answer says no more
        return "no such host"
    return "; ".join(reasons) or "no address"


#: Seconds after which "no route to host" is no route that is missing but a neighbour that does not answer.
_ASKED_ARP = 0.9
_SILENT = "see whether a firewall drops the SYN, and whether address and port are right"


def unreached(attempts: list[Attempt]) -> Cause:
    """The cause where no address answered: the first that was not simply missing from this machine's network."""
    told = next((one for one in attempts if one.fate != "unreachable"), attempts[0])
    where = f"[{told.address}]:{told.port}" if ":" in told.address else f"{told.address}:{told.port}"
    if told.fate == "refused":
        remedy = "start the server, or ask at the port where it listens"
        return Cause("tcp", f"{where} refused the connection", "connection_refused", remedy=remedy)
    if told.fate == "timed out":
        return Cause("tcp", f"{where} never answered", "syn_unanswered", remedy=_SILENT)
    if told.number in (errno.EADDRINUSE, errno.EADDRNOTAVAIL) and told.fate != "unreachable":
        remedy = "wait until connections in TIME_WAIT are gone, or widen net.ipv4.ip_local_port_range"
        return Cause("tcp", f"{where}: no port of this machine is free for it ({told.why.lower()})", remedy=remedy)
    remedy = "see the routes of this machine (ip route get ADDRESS); -4 and -6 choose the family"
    if told.number == errno.EHOSTUNREACH and told.seconds > _ASKED_ARP:
        remedy = (
            "see whether that machine is up: nobody on the link answered ARP or neighbour discovery for it, or for "
            "the router to it (ip neigh)"
        )
    return Cause(
        "tcp", f"{where}: {told.why.lower() or told.fate}", remedy=remedy if told.fate == "unreachable" else ""
    )


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


def late(seconds: float | None, option: str, step: str, steps: Sequence[Step]) -> Cause:
    """The cause where the time of ``option`` was up in ``step``, by the steps told until then."""
    told = f"timed out after {seconds:g} s ({option})"
    if step == "dns":
        remedy = "see whether the name servers in /etc/resolv.conf answer; --resolve goes without them"
        return Cause("dns", f"{told}: the name was not looked up", remedy=remedy)
    if step == "tcp":
        return Cause("tcp", f"{told}: no address answered", "syn_unanswered", remedy=_SILENT)
    remedy = f"see what the server waited for, by its log at this time; give it more with {option}"
    if step == "tls":
        heard = [one for one in steps if isinstance(one, Spoke) and not one.sent and one.kind == "handshake"]
        if not heard:
            return Cause("tls", f"{told}: no ServerHello came", "no_answer", remedy=remedy)
        last = handshake_name(heard[-1].raw[0]).replace("_", " ")
        return Cause("tls", f"{told}: nothing after the server's {last}", "handshake_stalled", remedy=remedy)
    return Cause("http", f"{told}: {_missing(steps)}", remedy=remedy)


def _missing(steps: Sequence[Step]) -> str:
    """What had come of the answer, and what not."""
    head = next((one.head for one in steps if isinstance(one, Answered) and not one.head.informational), None)
    if not any(isinstance(one, Sent) for one in steps):
        return "the request was not sent"
    if head is None:
        return "no answer came"
    body = next((one for one in steps if isinstance(one, Received)), None)
    came = body.octets if body is not None else 0
    length = next((value for name, value in head.fields if name.lower() == "content-length"), "")
    of = f" of {int(length):,}" if length.isascii() and length.isdigit() else ""
    return f"{came:,}{of} octets of the body had come"


def endless(asked: Sequence[str], most: int) -> Cause:
    """The cause where redirects did not end; ``asked`` are the URLs in order."""
    last = asked[-1]
    before = [place for place, one in enumerate(asked[:-1]) if one == last]
    words = f"more than {most} redirects"
    if before:
        size = len(asked) - 1 - before[-1]
        words += f", in a circle: {last} leads back to itself" + (f" over {size} hops" if size > 1 else "")
    return Cause(
        "redirect",
        words,
        remedy="Server's operator: one of these URLs has to answer; a proxy that speaks http to a server which "
        "demands https makes such circles, and so does a server that waits for a cookie.",
        ours=True,
    )
