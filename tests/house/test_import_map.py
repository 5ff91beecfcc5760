"""The map of docs/architecture.md, enforced: who may import whom, and which packages stay pure."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "synfin"
PURE = {"wire", "spec", "tcp", "tls", "observe", "judge", "views", "sim"}
#: Modules a pure package may not import: sockets, clocks, chance, threads, logging, files, processes.
IMPURE = {
    "asyncio", "fcntl", "io", "logging", "mmap", "multiprocessing", "os", "pathlib", "random", "secrets", "select",
    "signal", "socket", "ssl", "subprocess", "sys", "tempfile", "threading", "time",
}  # fmt: skip
#: ``pathlib`` in a pure package is a type of an argument only where the name is handed straight on.
ALLOWED = {("observe/__init__.py", "pathlib")}


def import_map() -> dict[str, set[str]]:
    """Package -> packages it may import, read from the table in docs/architecture.md."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \|", text, re.MULTILINE)
    return {name: set(re.findall(r"`(\w+)`", allowed)) for name, allowed in rows}


def imports(path: Path) -> set[tuple[str, str]]:
    """(top module, synfin package or "") of every import in a file, wherever it stands."""
    found: set[tuple[str, str]] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            found.add((parts[0], parts[1] if parts[0] == "synfin" and len(parts) > 1 else ""))
    return found


FILES = sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_follow_the_map(path: Path) -> None:
    allowed = import_map()
    parts = path.relative_to(SOURCE).parts
    if len(parts) == 1:
        return
    package = parts[0]
    assert package in allowed, f"{package} is not in the map of docs/architecture.md"
    used = {inner for top, inner in imports(path) if top == "synfin" and (SOURCE / inner).is_dir()}
    assert used <= allowed[package] | {package}, f"{package} may import {sorted(allowed[package])}"
    if package in PURE:
        name = "/".join(parts)
        impure = {top for top, _ in imports(path)} & IMPURE
        assert not {top for top in impure if (name, top) not in ALLOWED}


def test_the_map_names_only_packages_that_exist_or_are_planned() -> None:
    rows = import_map()
    assert {path.name for path in SOURCE.iterdir() if path.is_dir() and path.name != "__pycache__"} <= set(rows)
    for name, allowed in rows.items():
        assert allowed <= set(rows) | {"anything"}, name
