"""``synfin check``: what is wrong in a capture, who has to act, and the proof.

Exit code 0: no finding of warning or above (notes may have been printed); 1: there is one; 2: it could not be done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synfin.cli.options import Color, Files, Keylog, RsaKey, Width
from synfin.errors import UsageError

if TYPE_CHECKING:
    from synfin.judge.engine import Context
    from synfin.judge.model import Finding, Severity
    from synfin.observe.observer import Observation
    from synfin.observe.story import Connection
    from synfin.views.paint import Paint
    from synfin.views.sarif import Placed


def check(
    files: Files,
    keylog: Keylog = [],  # noqa: B006  typer copies defaults
    rsa_key: RsaKey = [],  # noqa: B006
    json: Annotated[bool, typer.Option("--json", help="JSON Lines: one object per finding.")] = False,
    sarif: Annotated[bool, typer.Option("--sarif", help="SARIF 2.1.0, for code-scanning services.")] = False,
    github: Annotated[bool, typer.Option("--github", help="GitHub annotations, one line per finding.")] = False,
    select: Annotated[
        str, typer.Option("--select", metavar="CODES", help="Only these codes or their beginnings: TLS,CRT2,TCP101.")
    ] = "",
    ignore: Annotated[str, typer.Option("--ignore", metavar="CODES", help="All but these codes.")] = "",
    min_severity: Annotated[
        str, typer.Option("--min-severity", metavar="LEVEL", help="Show from: info, notice, warning, error.")
    ] = "info",
    baseline: Annotated[
        Path | None, typer.Option("--baseline", metavar="FILE", help="Hide what this baseline knows already.")
    ] = None,
    write_baseline: Annotated[
        Path | None, typer.Option("--write-baseline", metavar="FILE", help="Write what was found as a baseline.")
    ] = None,
    width: Width = None,
    no_color: Color = False,
) -> int:
    """Say what is wrong in a capture, who has to act, and the proof.

    Exit code 0: no finding of warning or above; 1: there is one; 2: the command or the input is wrong.
    """
    from synfin.cli import inputs, terminal
    from synfin.cli.files import write
    from synfin.judge import baseline as known
    from synfin.judge.engine import Context
    from synfin.judge.model import Severity as Level
    from synfin.views.json import dumps
    from synfin.views.paint import Paint

    if sum((json, sarif, github)) > 1:
        raise UsageError("choose one of --json, --sarif and --github")
    least = _severity(min_severity)
    context = Context(select=_codes(select, "--select"), ignore=_codes(ignore, "--ignore"))
    hidden = _read_baseline(baseline)
    secrets = inputs.secrets(keylog, rsa_key)
    paint = Paint(terminal.colour(no_color))
    style = "json" if json else "sarif" if sarif else "github" if github else "text"
    report = Report(context, hidden, least, style, terminal.columns(width) or 120, paint)
    report.marks = None if write_baseline is None else {}
    failed = 0
    for place, file in enumerate(files):
        title = f"== {inputs.shown(file)} ==" if len(files) > 1 and style == "text" else ""
        try:
            with secrets.observe(file) as seen:
                if title:
                    terminal.write_lines([*([""] if place else []), paint("title", title)])
                report.file(file, seen)
        except UsageError as error:
            failed = inputs.passed_over(error, files)
    if style == "sarif":
        from synfin import __version__
        from synfin.views.sarif import sarif as log

        terminal.write_lines([dumps(log(report.collected, __version__))])
    if write_baseline is not None and report.marks is not None:
        write(write_baseline, known.write_baseline(report.marks.items()).encode(), "--write-baseline")
    return failed or (1 if report.worst >= Level.WARNING else 0)


@dataclass(slots=True)
class Report:
    """Where findings go, connection by connection as they are found, and what has to be remembered of them."""

    context: Context
    hidden: frozenset[str]
    least: Severity
    style: str  # text, json, github or sarif
    room: int
    paint: Paint
    worst: int = -1
    marks: dict[str, str] | None = None  # fingerprint -> title, where a baseline is to be written
    collected: list[Placed] = field(default_factory=list)  # for SARIF, which is one document

    def file(self, name: str, seen: Observation) -> None:
        """Print what is wrong in one capture: connection by connection, then what limits it as a whole."""
        from synfin.cli import terminal
        from synfin.judge.engine import judge_all, judge_capture
        from synfin.views.findings import connection_findings, finding_lines, summary

        text = self.style == "text"
        total = [0]
        shown: Counter[Severity] = Counter()
        for judged in judge_all(terminal.progress(seen, "judging"), self.context, total):
            connection = judged.connection
            found = self._take(name, connection, judged.judgement.findings)
            shown.update(finding.severity for finding in found)
            if text and found:
                silent = judged.judgement.not_judged
                terminal.write_lines(connection_findings(connection, found, silent, self.room, self.paint))
        notes = [finding for finding in judge_capture(seen.quality) if self.context.wants(finding.code)]
        for finding in self._take(name, None, notes):
            shown[finding.severity] += 1
            if text:
                terminal.write_lines(finding_lines(finding, self.room, self.paint))
        if text:
            terminal.write_lines([summary(total[0], shown)])

    def _take(self, file: str, connection: Connection | None, findings: Iterable[Finding]) -> list[Finding]:
        """The findings that are to be shown; written at once where a line stands for one."""
        from synfin.cli import terminal
        from synfin.judge.baseline import fingerprint
        from synfin.views.json import dumps
        from synfin.views.sarif import Placed

        taken = []
        for finding in findings:
            if self.marks is not None or self.hidden:
                mark = fingerprint(connection, finding)
                if self.marks is not None:
                    self.marks[mark] = finding.title
                if mark in self.hidden:
                    continue
            self.worst = max(self.worst, finding.severity)
            if finding.severity >= self.least:
                taken.append(finding)
        placed = [Placed(file, connection, finding) for finding in taken]
        if self.style == "json":
            terminal.write_lines(dumps(_finding_object(item)) for item in placed)
        elif self.style == "github":
            from synfin.views.github import annotation

            terminal.write_lines(annotation(*item) for item in placed)
        elif self.style == "sarif":
            self.collected += placed
        return taken


def _finding_object(item: Placed) -> dict[str, object]:
    """One line of ``--json``: the finding and the connection it is about."""
    from synfin.views.json import SCHEMA, finding_json

    connection = item.connection
    return {
        "synfin": {"schema": SCHEMA},
        "file": item.file,
        "connection": connection.id if connection is not None else None,
        "client": {"ip": connection.a.ip, "port": connection.a.port} if connection is not None else None,
        "server": {"ip": connection.b.ip, "port": connection.b.port} if connection is not None else None,
        "name": connection.name if connection is not None else "",
        "finding": finding_json(item.finding),
    }


def _severity(word: str) -> Severity:
    from synfin.judge.model import Severity

    try:
        return Severity[word.upper()]
    except KeyError:
        raise UsageError(f"--min-severity {word}: choose info, notice, warning or error") from None


def _codes(text: str, option: str) -> tuple[str, ...]:
    """Prefixes of codes; UsageError for one that begins no code."""
    from synfin.judge.codes import CODES

    wanted = tuple(part.strip().upper() for part in text.split(",") if part.strip())
    for prefix in wanted:
        if not any(code.startswith(prefix) for code in CODES):
            raise UsageError(f"{option} {prefix}: no code begins so; `synfin rule` lists them")
    return wanted


def _read_baseline(path: Path | None) -> frozenset[str]:
    from synfin.cli.files import read
    from synfin.judge.baseline import read_baseline

    if path is None:
        return frozenset()
    content = read(path, "--baseline")
    try:
        return read_baseline(content.decode())
    except UnicodeDecodeError as error:
        raise UsageError(f"--baseline {path}: not text") from error
    except UsageError as error:
        raise UsageError(f"--baseline {path}: {error}") from error
