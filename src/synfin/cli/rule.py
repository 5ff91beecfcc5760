"""``synfin rule``: the page of one rule, or the list of all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Annotated

import typer

from synfin.errors import UsageError

#: Where a rule's title begins in the list.
_TITLE = len("TLS110  warning  ")
#: Lines longer than this are hard to read, however wide the terminal.
_WIDEST = 120


def rule(
    code: Annotated[str, typer.Argument(metavar="[CODE]", help="A code such as TLS110; without it, all.")] = "",
    markdown: Annotated[bool, typer.Option("--markdown", help="The whole reference document.")] = False,
) -> int:
    """Explain a rule.

    What it sees, why it matters, how to fix it, and what it can be confused with.
    """
    from synfin.cli import terminal
    from synfin.judge.codes import CODES, TABLE
    from synfin.judge.reference import overview, page, reference

    if markdown:
        terminal.write_lines(reference(TABLE).splitlines())
        return 0
    room = terminal.columns(None)
    if not code:
        terminal.write_lines(_fitted(overview(TABLE), room, rows=True))
        return 0
    row = CODES.get(code.upper())
    if row is None:
        near = [known for known in CODES if known.startswith(code.upper()[:3])]
        raise UsageError(f"there is no rule {code}; there are {', '.join(near or CODES)}")
    terminal.write_lines(_fitted(page(row), room))
    return 0


def _fitted(lines: Iterable[str], width: int | None, *, rows: bool = False) -> Iterator[str]:
    """The paragraphs of ``lines``, or each of them (``rows``), broken for a terminal; None: lines as they are."""
    from synfin.views.words import wrap

    if width is None:
        yield from lines
        return
    for blank, paragraph in groupby(lines, key=lambda line: not line):
        for text in [""] if blank else paragraph if rows else [" ".join(" ".join(paragraph).split())]:
            hanging = _TITLE if text[6:8] == "  " else 0  # a row of the list: code, severity, title
            yield from (line.rstrip() for line in wrap(text, min(width, _WIDEST), hanging))
