"""Findings as text: one block each, plain and short, and a line that sums up.

A block says how bad and who did what, then cause, remedy with the one who acts, proof with packet numbers, how sure
and why, what would disprove it, and where to capture next.  Symptoms stand below their root in one line each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from synfin.judge.model import Finding, NotJudged, Severity
from synfin.observe.story import Connection
from synfin.views.paint import SEVERITY, Paint
from synfin.views.words import clean, count, listing, packets, wrap


def finding_lines(finding: Finding, width: int, paint: Paint, indent: str = "") -> Iterator[str]:
    """One finding as a block of lines of at most ``width`` cells."""
    head = f"{indent}{finding.severity.name.lower()} {finding.code}: {clean(finding.title)}"
    first, *rest = wrap(head, width, 4)
    yield paint(SEVERITY[finding.severity], first)
    yield from rest
    inner = f"{indent}    "
    yield from wrap(f"{inner}{clean(finding.cause)}", width, 0)
    first, *rest = wrap(f"{inner}To do ({finding.actor}): {clean(finding.remedy)}", width)
    yield first.replace("To do", paint("bold", "To do"), 1)
    yield from rest
    proof = {packet for item in finding.evidence for packet in item.packets}
    if proof:
        yield from wrap(f"{inner}Proof: {packets(proof)}; {finding.confidence}: {_sentence(finding.reason)}", width)
    if finding.disproof:
        yield from wrap(f"{inner}Wrong if: {_sentence(finding.disproof)}", width)
    if finding.next_capture:
        yield from wrap(f"{inner}Capture next: {_sentence(finding.next_capture)}", width)
    for symptom in finding.symptoms:
        yield from wrap(f"{inner}explains {symptom.code}: {clean(symptom.title)}", width)


def _sentence(text: str) -> str:
    """``text`` with one mark at its end."""
    text = clean(text)
    return text if text.endswith((".", "?", "!")) else f"{text}."


def heading(connection: Connection) -> str:
    """The connection a block is about: number, ends, name, packets."""
    name = f" ({clean(connection.name)})" if connection.name not in ("", connection.b.ip) else ""
    return (
        f"connection {connection.id}: {connection.a} > {connection.b}{name}, packets {connection.first_packet} to "
        f"{connection.last_packet}"
    )


def connection_findings(
    connection: Connection, findings: Sequence[Finding], not_judged: Sequence[NotJudged], width: int, paint: Paint
) -> Iterator[str]:
    """A connection's heading and its findings."""
    yield from (paint("title", line) for line in wrap(heading(connection), width))
    for finding in findings:
        yield from finding_lines(finding, width, paint, "  ")
    if not_judged:
        items = listing(f"{item.code} ({item.why})" for item in not_judged)
        yield from wrap(f"  not judged: {clean(items)}", width, 4)


def summary(connections: int, found: Mapping[Severity, int]) -> str:
    """The last line: how many connections, and how many findings of each severity."""
    seen = count(connections, "connection")
    bad = [
        count(number, severity.name.lower())
        for severity in sorted(Severity, reverse=True)
        if (number := found.get(severity, 0))
    ]
    return f"{seen}: {', '.join(bad)}" if bad else f"{seen}: no finding"
