"""How the lists of requirements are held to the tests they name.

A row has a section, words, and tests: ``file::function``, with ``[row]`` where one row of its table holds it, several
of them with " + " between; or the reason why there is none, behind ``LEFT``.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from functools import reduce

LEFT = "left out: "
Row = tuple[str, str, str]
#: Short names of files.
FILES = {
    "hello": "must12_server",
    "flight": "must12_server_flight",
    "records": "must12_server_records",
    "cbc": "must12_cbc",
    "sessions": "must12_sessions",
    "client": "must12_client",
    "letter": "letter_client12",
    "plain": "letter",
    "wrong_records": "letter_client_records",
}


def missing(rows: Sequence[Row]) -> list[str]:
    """What is wrong with rows: names of tests or rows that do not exist, and reasons that are none."""
    wrong = []
    for section, words, tests in rows:
        where = f"{section} {words}"
        if not re.match(r"[A-F0-9]", section) or not words:
            wrong.append(f"{where}: no section or no words")
        if tests.startswith(LEFT):
            wrong += [] if len(tests) > len(LEFT) + 20 else [f"{where}: no reason"]
            continue
        wrong += [f"{where}: {name}" for name in re.split(r" \+ (?=\w+::)", tests) if not _exists(name)]
    return wrong


def _exists(name: str) -> bool:
    """Whether ``file::function[row]`` is there."""
    found = re.fullmatch(r"(\w+)::([\w.]+)(?:\[(.+)\])?", name)
    if found is None:
        return False
    file, function, row = found.groups()
    try:
        module = importlib.import_module(f"tests.tls.test_{FILES.get(file, file)}")
        test = reduce(getattr, function.split("."), module)
    except (ImportError, AttributeError):
        return False
    if row is None:
        return callable(test)
    marks = [mark.kwargs.get("ids") or () for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize"]
    return any(row in ids for ids in marks)
