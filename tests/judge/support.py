"""Run the whole path, capture to judgement, over scenarios."""

from __future__ import annotations

from pathlib import Path

from synfin.capture.keylog import KeyLog
from synfin.judge.engine import Context, Judged, judge_all
from synfin.judge.model import Finding, Severity
from synfin.observe import observe
from tests.scenarios.catalogue import Make
from tests.scenarios.script import Script, write


def judged(make: Make, folder: Path, *, keys: bool = False, snaplen: int | None = None) -> list[Judged]:
    """Everything the judge says of a scenario."""
    made = make()
    scripts = [made] if isinstance(made, Script) else made
    path = write(scripts, folder / "scenario.pcap", snaplen)
    log = KeyLog.parse(b"".join(script.keylog for script in scripts)) if keys else None
    return list(judge_all(observe(path, keylog=log), Context()))


def findings(make: Make, folder: Path, *, keys: bool = False, snaplen: int | None = None) -> list[Finding]:
    """Roots and notes, without their symptoms."""
    return [found for item in judged(make, folder, keys=keys, snaplen=snaplen) for found in item.judgement.findings]


def told(found: list[Finding]) -> str:
    """Findings for a failing test's message."""
    return "; ".join(f"{item.code} {item.severity.name} {item.title}" for item in found) or "nothing"


def bad(found: list[Finding]) -> list[Finding]:
    """Those of warning or above."""
    return [item for item in found if item.severity >= Severity.WARNING]
