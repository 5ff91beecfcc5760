"""The sessions shown in README.md and docs/ are run: commands as printed, output as printed.

A block marked ``console`` is a session.  ``$ command`` is run in a folder of its own, beside ``examples``, and must
print the lines below it.  A line ``...`` stands for any lines.  Only synfin's own commands are run, and `echo $?` for
the exit code before it.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from synfin.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def sessions() -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """(page, [(command, expected lines)]) of every console block."""
    found = []
    for page in PAGES:
        for number, block in enumerate(re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL), 1):
            steps: list[tuple[str, list[str]]] = []
            for line in block.splitlines():
                if line.startswith("$ "):
                    steps.append((line[2:], []))
                elif steps:
                    steps[-1][1].append(line.rstrip())
            found.append((f"{page.relative_to(ROOT)}#{number}", steps))
    return found


def matches(expected: list[str], got: list[str]) -> bool:
    """Whether the lines are as expected, where ``...`` stands for any number of lines."""
    if not expected:
        return not got
    if expected[0] == "...":
        return any(matches(expected[1:], got[start:]) for start in range(len(got) + 1))
    return bool(got) and got[0] == expected[0] and matches(expected[1:], got[1:])


@pytest.mark.parametrize(("page", "steps"), sessions(), ids=[page for page, _ in sessions()])
def test_sessions_are_true(page: str, steps: list[tuple[str, list[str]]], tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    code = 0
    for command, expected in steps:
        if command == "echo $?":
            got = [str(code)]
        else:
            words = shlex.split(command, comments=True)
            assert words[0] == "synfin", f"{page}: only synfin's own commands can be shown here"
            run = subprocess.run(
                [sys.executable, "-m", "synfin.cli.main", *words[1:]],
                capture_output=True,
                text=True,
                cwd=tmp_path,
                check=False,
                env={"PATH": "", "COLUMNS": "120", "PYTHONPATH": str(ROOT / "src")},
            )
            code = run.returncode
            got = [line.rstrip() for line in (run.stdout + run.stderr).splitlines()]
        while expected and not expected[-1]:
            expected = expected[:-1]
        assert matches(expected, got), f"$ {command}\n" + "\n".join(got)


def test_the_readme_shows_a_session() -> None:
    assert any(page.startswith("README.md") for page, _ in sessions())


def test_the_readme_names_every_command() -> None:
    text = (ROOT / "README.md").read_text()
    table = text[text.index("## What it does") :]
    assert set(re.findall(r"^\| `synfin (\w+)", table, re.MULTILINE)) == set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert link.startswith("https://") or (page.parent / link).exists(), link
