"""``synfin check``: what is wrong in a capture, who has to act, and the proof.

Exit code 0: no finding of warning or above (notes may have been printed); 1: there is one; 2: it could not be done.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synfin.cli.options import Color, Files, Keylog, RsaKey, Width

if TYPE_CHECKING:
    from synfin.judge.model import Severity
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
    from synfin.errors import UsageError
    from synfin.judge import baseline as known
    from synfin.judge.engine import Context, judge_all, judge_capture
    from synfin.judge.model import NotJudged
    from synfin.judge.model import Severity as Level
    from synfin.views.findings import connection_findings, finding_lines, summary
    from synfin.views.json import dumps
    from synfin.views.paint import Paint
    from synfin.views.sarif import Placed

    if sum((json, sarif, github)) > 1:
        raise UsageError("choose one of --json, --sarif and --github")
    plain = not (json or sarif or github)
    least = _severity(min_severity)
    context = Context(select=_codes(select, "--select"), ignore=_codes(ignore, "--ignore"))
    hidden = _read_baseline(baseline)
    secrets = inputs.secrets(keylog, rsa_key)
    paint = Paint(terminal.colour(no_color))
    room = terminal.columns(width) or 120
    marks: dict[str, str] = {}
    collected: list[Placed] = []
    worst = -1
    for place, file in enumerate(files):
        total = [0]
        shown: list[Placed] = []
        silent: dict[int, tuple[NotJudged, ...]] = {}
        with secrets.observe(file) as seen:
            for judged in judge_all(terminal.progress(seen, "judging"), context, total):
                shown += [Placed(file, judged.connection, finding) for finding in judged.judgement.findings]
                silent[judged.connection.id] = judged.judgement.not_judged
            notes = [finding for finding in judge_capture(seen.quality) if context.wants(finding.code)]
        shown = [Placed(file, None, finding) for finding in notes] + shown
        for item in shown:
            marks[known.fingerprint(item.connection, item.finding)] = item.finding.title
        shown = [item for item in shown if known.fingerprint(item.connection, item.finding) not in hidden]
        worst = max([worst, *(item.finding.severity for item in shown)])
        shown = [item for item in shown if item.finding.severity >= least]
        collected += shown
        if not plain:
            continue
        if len(files) > 1:
            terminal.write_lines([*([""] if place else []), paint("title", f"== {inputs.shown(file)} ==")])
        for item in shown:
            if item.connection is None:
                terminal.write_lines(finding_lines(item.finding, room, paint))
            elif item.connection.id in silent:
                mine = [p.finding for p in shown if p.connection is item.connection]
                terminal.write_lines(
                    connection_findings(item.connection, mine, silent.pop(item.connection.id), room, paint)
                )
        terminal.write_lines([summary(total[0], [item.finding for item in shown])])
    if json:
        terminal.write_lines(dumps(_finding_object(item)) for item in collected)
    elif sarif:
        from synfin import __version__
        from synfin.views.sarif import sarif as log

        terminal.write_lines([dumps(log(collected, __version__))])
    elif github:
        from synfin.views.github import annotation

        terminal.write_lines(annotation(item.file, item.connection, item.finding) for item in collected)
    if write_baseline is not None:
        _write(write_baseline, known.write_baseline(marks.items()))
    return 1 if worst >= Level.WARNING else 0


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
    from synfin.errors import UsageError
    from synfin.judge.model import Severity

    try:
        return Severity[word.upper()]
    except KeyError:
        raise UsageError(f"--min-severity {word}: choose info, notice, warning or error") from None


def _codes(text: str, option: str) -> tuple[str, ...]:
    """Prefixes of codes; UsageError for one that begins no code."""
    from synfin.errors import UsageError
    from synfin.judge.codes import CODES

    wanted = tuple(part.strip().upper() for part in text.split(",") if part.strip())
    for prefix in wanted:
        if not any(code.startswith(prefix) for code in CODES):
            raise UsageError(f"{option} {prefix}: no code begins so; `synfin rule` lists them")
    return wanted


def _read_baseline(path: Path | None) -> frozenset[str]:
    import os

    from synfin.errors import UsageError
    from synfin.judge.baseline import read_baseline

    if path is None:
        return frozenset()
    try:
        return read_baseline(path.read_text("utf-8"))
    except UnicodeDecodeError as error:
        raise UsageError(f"--baseline {path}: not text") from error
    except OSError as error:
        raise UsageError(f"--baseline {path}: {os.strerror(error.errno or 0)}") from error
    except UsageError as error:
        raise UsageError(f"--baseline {path}: {error}") from error


def _write(path: Path, text: str) -> None:
    import os

    from synfin.errors import UsageError

    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(f"--write-baseline {path}: {os.strerror(error.errno or 0)}") from error
