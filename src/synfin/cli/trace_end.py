"""The end of a trace: its time, its capture and the verdict, out of the judgement of its own capture.

There is one verdict.  Where the judge found a root for the connection that failed, that finding is it, the same that
``synfin check`` gives for the file of ``-w``; the lines told live say what was seen and name no code.  Only what no
capture shows (time that was up, redirects, a name without address) is told from the run's own cause.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synfin.cli.trace_json import hop_json
from synfin.cli.trace_tell import Page
from synfin.drive import trace_steps as t
from synfin.judge.engine import Judgement
from synfin.judge.model import Finding, Severity
from synfin.observe.story import Connection
from synfin.views import trace as say
from synfin.views.budget import budget_line
from synfin.views.findings import finding_lines
from synfin.views.words import count

Told = list[tuple[Connection, Judgement, t.Hop | None]]


@dataclass(slots=True)
class Done:
    """What came of a run: its hops, the judged connections of its capture, and how it was captured."""

    hops: list[t.Hop]
    told: Told
    kind: str  # packets or pdu
    why: str  # why not packets
    packets: int
    dropped: int
    broken: str


def probe_ports(hops: list[t.Hop]) -> set[int]:
    """Our ports of the second tries."""
    return {step.port for hop in hops for step in hop.steps if isinstance(step, t.Probed)}


def root_of(done: Done, hop: t.Hop) -> Finding | None:
    """The finding that is the verdict on a hop that failed; None where its own cause is.

    Of several connections the one that was used counts, or the first where none came about.
    """
    if hop.cause is None or hop.cause.ours:
        return None
    mine = [(c, judgement) for c, judgement, owner in done.told if owner is hop and hop.port in (None, c.a.port)]
    found = [one for _, judgement in mine for one in judgement.findings if one.severity >= Severity.WARNING]
    return found[0] if found else None


# ---------------------------------------------------------------- for people


def judged_lines(done: Done, page: Page, write: Path | None) -> Iterator[str]:
    """Time, story and verdict."""
    if not page.silent:
        yield from _budgets(done, page)
        yield from say.labelled("Capture", [_captured(done, write)], page.room, page.paint)
    if page.verbose:
        yield from _stories(done, page)
    found = [finding for _, judgement, _ in done.told for finding in judgement.findings]
    causes = [hop.cause for hop in done.hops if hop.cause is not None and root_of(done, hop) is None]
    causes = [cause for cause in causes if cause.step != "dns"]
    if found or causes:
        yield from [] if page.silent else [""]
        yield from _findings(found, page)
        for cause in causes:
            first, *rest = say.failed_lines(cause.words, _rule(cause), cause.remedy, cause.expected, cause.got)
            yield from say.hanging(first, page.room, page.paint, "bad")
            for line in rest:
                yield from say.hanging(f"    {line}", page.room, page.paint)
    elif not page.silent and done.told:
        yield from say.labelled("Judged", ["no finding"], page.room, page.paint)


def _rule(cause: t.Cause) -> str:
    """The code of a cause that the judge did not find: only what the kernel said of TCP has one."""
    return cause.rule if cause.step == "tcp" else ""


def _budgets(done: Done, page: Page) -> Iterator[str]:
    probes = probe_ports(done.hops)
    several = len({id(hop) for _, _, hop in done.told if hop is not None}) > 1
    for connection, _, hop in done.told:
        if connection.a.port not in probes and (time := budget_line(connection)):
            which = f"{hop.number + 1}. " if several and hop is not None else ""
            yield from say.labelled("Time", [f"{which}{time}"], page.room, page.paint)


def _stories(done: Done, page: Page) -> Iterator[str]:
    from synfin.views.connection import story

    for connection, judgement, _ in done.told:
        yield ""
        yield from story(connection, (), judgement.not_judged, page.room, page.paint)


def _findings(found: list[Finding], page: Page) -> Iterator[str]:
    """Blocks; a note that several connections have is told once."""
    again: dict[str, int] = {}
    for one in found:
        again[one.code] = again.get(one.code, 0) + 1
    told: set[str] = set()
    for one in found:
        if one.severity >= Severity.WARNING:
            yield from finding_lines(one, page.room, page.paint)
        elif one.code not in told:
            told.add(one.code)
            yield from finding_lines(one, page.room, page.paint)
            if more := again[one.code] - 1:
                yield f"    and {more:,} more like it in this trace (-w FILE, then synfin check FILE, has all)"


def refused_lines(status: int, page: Page) -> Iterator[str]:
    """What ``--fail`` makes of the status of an answer."""
    words = f"the server answered with status {status}, and --fail makes that a failure"
    yield from say.hanging(f"error: {words}", page.room, page.paint, "bad")


def _filtered(hop: t.Hop) -> bool:
    """Whether an attempt went as it does where our own packets are dropped: in silence, or not permitted."""
    attempts = [step.attempt for step in hop.steps if isinstance(step, t.Attempted)]
    return any(one.fate == "timed out" or one.number == errno.EPERM for one in attempts)


def _captured(done: Done, write: Path | None) -> str:
    sealed = any(isinstance(step, t.Shook) for hop in done.hops for step in hop.steps)
    secrets = " with the TLS secrets" if sealed else ""
    kept = f", kept in {write}{secrets}" if write is not None else ""
    lost = f", {count(done.dropped, 'packet')} lost by the kernel" if done.dropped else ""
    broken = f"; it is not complete ({done.broken})" if done.broken else ""
    if done.kind == "packets":
        if not done.packets and any(hop.tried for hop in done.hops):
            why = ": a packet filter of its own drops them" if any(map(_filtered, done.hops)) else ""
            return f"no packet left this machine{why}{kept}{broken}"
        return f"{count(done.packets, 'packet')}{lost}{kept}{broken}"
    return (
        f"{count(done.packets, 'record')} of the streams, no packets, so TCP is not judged: capturing packets here "
        f"{done.why}{kept}{broken}"
    )


# ---------------------------------------------------------------- for programs


def said_as_json(done: Done, file: str) -> Iterator[str]:
    """An object per connection; one without a connection for a hop that had none."""
    from synfin.views.json import SCHEMA, connection_json, dumps

    how: dict[str, Any] = {"kind": done.kind, "packets": done.packets, "dropped": done.dropped, "why": done.why}
    shown: set[int] = set()
    for hop in done.hops:
        mine = [one for one in done.told if one[2] is hop]
        live = hop_json(hop, how)
        if (root := root_of(done, hop)) is not None:
            live["failed"] |= {"rule": root.code, "words": root.title}
        elif hop.cause is not None:
            live["failed"]["rule"] = _rule(hop.cause) or None
        for connection, judgement, _ in mine:
            shown.add(connection.id)
            said = connection_json(connection, judgement.findings, judgement.not_judged, file)
            yield dumps({**said, "trace": live})
        if not mine:
            yield dumps({"synfin": {"schema": SCHEMA}, "file": file, "id": None, "trace": live})
    for connection, judgement, _ in done.told:
        if connection.id not in shown:
            said = connection_json(connection, judgement.findings, judgement.not_judged, file)
            yield dumps({**said, "trace": None})
