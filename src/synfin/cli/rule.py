"""``synfin rule``: the page of one rule, or the list of all."""

from __future__ import annotations

from typing import Annotated

import typer


def rule(
    code: Annotated[str, typer.Argument(metavar="[CODE]", help="A code such as TLS110; without it, all.")] = "",
    markdown: Annotated[bool, typer.Option("--markdown", help="The whole reference document.")] = False,
) -> int:
    """Explain a rule.

    What it sees, why it matters, how to fix it, and what it can be confused with.
    """
    from synfin.cli import terminal
    from synfin.errors import UsageError
    from synfin.judge.codes import CODES, TABLE
    from synfin.judge.reference import overview, page, reference

    if markdown:
        terminal.write_lines(reference(TABLE).splitlines())
        return 0
    if not code:
        terminal.write_lines(overview(TABLE))
        return 0
    row = CODES.get(code.upper())
    if row is None:
        near = [known for known in CODES if known.startswith(code.upper()[:3])]
        raise UsageError(f"there is no rule {code}; there are {', '.join(near or CODES)}")
    terminal.write_lines(page(row))
    return 0
