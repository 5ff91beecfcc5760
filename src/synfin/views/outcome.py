"""How a connection ended, in a word to filter by and in a phrase to read.

Decided from the TCP story and, where a TLS handshake was begun, from how far that came.  A reset after both sides had
said goodbye is a close (RFC 9293 3.10.7.4; browsers and load balancers do it all day), and so it is called.  Whether an
ending is somebody's fault is the judge's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from synfin.observe.story import Connection
from synfin.observe.story_tls import TlsStory
from synfin.wire.tls.registry import alert_name

if TYPE_CHECKING:
    from synfin.observe.listing import Summary

SIDES = ("client", "server")

#: The words ``--outcome`` understands.
KINDS = ("closed", "half-closed", "open", "refused", "unanswered", "reset", "failed")


class Outcome(NamedTuple):
    """``kind`` is one of KINDS but "failed"; ``failed`` says no conversation came about (or TLS was broken off)."""

    kind: str
    words: str
    failed: bool


def _ordinary(fin: int | None, rst: int | None) -> Outcome:
    if fin is None:
        return Outcome("open", "open at end of capture", False) if rst is None else _goodbye(SIDES[rst])
    tail = "first" if rst is None else f"first, then RST by {SIDES[rst]}"
    return Outcome("closed", f"closed by both ({SIDES[fin]} {tail})", False)


def _goodbye(who: str) -> Outcome:
    return Outcome("closed", f"TLS closed by both, then RST by {who}", False)


#: (who sent the first FIN, who the first RST) of an ordinary connection -> how it ended.
_SUMMARY = {(fin, rst): _ordinary(fin, rst) for fin in (None, 0, 1) for rst in (None, 0, 1)}


def outcome(connection: Connection) -> Outcome:
    """How ``connection`` ended as far as the capture shows."""
    tcp = connection.tcp
    broken = _tls_broken(connection.tls)
    kind, words = _tcp_end(connection)
    unmade = kind in ("refused", "unanswered") or (tcp.handshake == "syn_synack" and not _any_payload(connection))
    if broken:
        words = f"{broken}; {words if kind != 'closed' else 'closed'}"
    elif connection.tls is not None and kind == "reset" and _in_handshake(connection.tls):
        words = f"{words} in TLS handshake"
        broken = words
    return Outcome(kind, words, unmade or bool(broken))


def summary_outcome(summary: Summary) -> Outcome:
    """How a connection of the quick listing ended: those are closed by both, or open."""
    return _SUMMARY[summary.fin_first_by, summary.rst_first_by]


def matches(ended: Outcome, wanted: str) -> bool:
    """Whether an outcome answers to the word ``wanted`` of KINDS."""
    return ended.failed if wanted == "failed" else ended.kind == wanted


def _tcp_end(connection: Connection) -> tuple[str, str]:
    tcp = connection.tcp
    if tcp.source == "pdu":
        return "open", "bytes only, no packets"
    if tcp.handshake == "refused":
        return "refused", f"{SIDES[1 if tcp.rst_first_by is None else tcp.rst_first_by]} refused (RST)"
    if tcp.handshake == "syn_only" and tcp.close != "rst" and not tcp.sides[1].packets:
        tries = tcp.sides[0].syns
        icmp = next((error for error in tcp.icmp if error.quoted_sender == 0), None)
        if icmp is not None:
            return "unanswered", f"no answer to SYN but ICMP {icmp.name.replace('_', ' ')}"
        return "unanswered", "no answer to SYN" + (f" ({tries} tries)" if tries > 1 else "")
    if tcp.close == "rst":
        return _reset(connection)
    if tcp.close == "fin":
        if "simultaneous_close" in tcp.shape:
            return "closed", "closed by both at once"
        if tcp.fin_first_by is None:
            return "closed", "closed by both"
        return "closed", f"closed by both ({SIDES[tcp.fin_first_by]} first)"
    if tcp.close in ("half_a", "half_b"):
        one = 0 if tcp.close == "half_a" else 1
        if not tcp.sides[1 - one].packets:
            return "half-closed", f"closed by {SIDES[one]} (other side not captured)"
        return "half-closed", f"{SIDES[one]} closed, {SIDES[1 - one]} did not"
    if tcp.handshake == "syn_synack":
        return "open", "SYN-ACK never answered"
    return "open", "open at end of capture"


def _reset(connection: Connection) -> tuple[str, str]:
    tcp = connection.tcp
    who = SIDES[0 if tcp.rst_first_by is None else tcp.rst_first_by]
    if tcp.rst_after_fin:
        first = f"{SIDES[tcp.fin_first_by]} first, " if tcp.fin_first_by is not None else ""
        return "closed", f"closed by both ({first}then RST by {who})"
    notify = connection.tls.close_notify if connection.tls is not None else (None, None)
    if notify[0] is not None and notify[1] is not None:
        return "closed", f"TLS closed by both, then RST by {who}"
    if tcp.handshake == "syn_synack":
        return "reset", f"reset by {who} in TCP handshake"
    if tcp.fin_first_by is not None:
        return "reset", f"reset by {who} after FIN of {SIDES[tcp.fin_first_by]}"
    return "reset", f"reset by {who}"


def _any_payload(connection: Connection) -> bool:
    return any(side.payload for side in connection.tcp.sides)


def _in_handshake(tls: TlsStory) -> bool:
    return not tls.handshake_done and tls.client_hello is not None


def _tls_broken(tls: TlsStory | None) -> str:
    """The first fatal alert that can be read, said as who refused whom; empty without one."""
    if tls is None:
        return ""
    for alert in tls.alerts:
        if alert.level == 2 and alert.description:
            return f"alert {alert_name(alert.description)} by {SIDES[alert.sender]}"
    return ""
