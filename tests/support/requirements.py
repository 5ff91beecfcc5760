"""Lists of requirements, held to the tests that they name.

A row has a section, the requirement in short words, and what holds it: tests as ``file::function``, with ``[row]``
where one row of its table does, several of them with " + " between; or, behind ``LEFT``, the reason why there is none.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any

LEFT = "left out: "
Row = tuple[str, str, str]
_SECTION = re.compile(r"((RFC )?\d{4} |ecdhe-mlkem )?[0-9A-F](\.\d+)*|MUST-\d+|SHLD-\d+")


def faults(rows: Iterable[Row], room: str, files: Mapping[str, str] | None = None) -> list[str]:
    """What is wrong with rows: no section or words, tests or rows that do not exist, reasons that are none.

    A file is ``tests/ROOM/test_FILE.py``, or one of another room as ``room.file``; ``files`` has short names for some.
    """
    wrong = []
    for section, words, tests in rows:
        where = f"{section} {words}"
        if not _SECTION.fullmatch(section) or not words:
            wrong.append(f"{where}: no section or no words")
        if tests.startswith(LEFT):
            wrong += [] if len(tests) > len(LEFT) + 20 else [f"{where}: no reason"]
            continue
        wrong += [
            f"{where}: {name}" for name in re.split(r" \+ (?=[\w.]+::)", tests) if not _exists(name, room, files or {})
        ]
    return wrong


def _exists(name: str, room: str, files: Mapping[str, str]) -> bool:
    """Whether ``file::function[row]`` is there."""
    found = re.fullmatch(r"(?:(\w+)\.)?(\w+)::([\w.]+)(?:\[(.+)\])?", name)
    if found is None:
        return False
    other, file, function, row = found.groups()
    try:
        module = importlib.import_module(f"tests.{other or room}.test_{files.get(file, file)}")
        test = reduce(getattr, function.split("."), module)
    except (ImportError, AttributeError):
        return False
    return callable(test) and (row is None or row in _rows(test))


def _rows(test: Any) -> set[str]:
    """The ids of a test's tables."""
    found = set()
    for mark in getattr(test, "pytestmark", ()):
        ids = mark.kwargs.get("ids") if mark.name == "parametrize" else None
        found |= {ids(value) for value in mark.args[1]} if callable(ids) else set(ids or ())
    return found
