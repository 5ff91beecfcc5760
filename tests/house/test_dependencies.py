"""pyproject.toml, docs/dependencies.md and the imports name the same packages."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
#: The page's name of an extra ("" is what everybody gets) -> its packages.
WANTED: dict[str, list[str]] = {"": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}


def named(requirements: list[str]) -> set[str]:
    """The packages without their versions."""
    return {re.split(r"[<>=!~;\[ ]", requirement)[0] for requirement in requirements}


def test_the_page_lists_what_the_project_asks_for() -> None:
    listed: dict[str, set[str]] = {}
    for extra, packages in re.findall(
        r"^\| (?:\*(\w+)\*: )?([\w, -]+?) \| [^|]+ \|$", (ROOT / "docs" / "dependencies.md").read_text(), re.MULTILINE
    ):
        if packages != "package":
            listed.setdefault(extra, set()).update(packages.split(", "))
    assert listed == {extra: named(packages) for extra, packages in WANTED.items()}


def test_the_tool_imports_what_it_depends_on() -> None:
    imported: set[str] = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.partition(".")[0])
    assert named(WANTED[""]) <= imported, "a dependency that nothing imports"
