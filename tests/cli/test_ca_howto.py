"""The sessions of docs/howto/run-a-ca.md are run from top to bottom in one folder; … stands for anything in a line."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "run-a-ca.md"


def steps() -> list[tuple[str, list[str]]]:
    """(command, expected lines) of every block."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```shell-session\n(.*?)```", PAGE.read_text(), re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def pattern(lines: list[str]) -> str:
    """The expected lines as one expression; a serial number may be an octet shorter, and what holds it too."""
    parts = []
    for line in lines:
        told = re.sub(r"\d+(?=\\ octets)", r"\\d+", re.escape(line).replace("…", ".*"))
        parts.append("(?:.*\n)*?" if line == "..." else told + "\n")
    return "".join(parts)


def test_the_page_is_true(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("SYNFIN_")}
    code = 0
    assert len(steps()) >= 10
    for command, expected in steps():
        if command == "echo $?":
            assert expected == [str(code)]
            continue
        words = shlex.split(command)
        assert words[0] == "synfin"
        done = subprocess.run(
            [sys.executable, "-m", "synfin.cli.main", *words[1:]],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={**env, "PYTHONIOENCODING": "utf-8"},
        )
        code = done.returncode
        assert done.stderr == "", command
        assert re.fullmatch(pattern(expected), done.stdout), f"$ {command}\n{done.stdout}"
