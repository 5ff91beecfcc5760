"""Temporary folders that a whole run of tests shares; removed when it ends."""

import shutil
from pathlib import Path
from tempfile import mkdtemp

_MADE: list[Path] = []


def folder() -> Path:
    """A new one."""
    _MADE.append(Path(mkdtemp(prefix="synfin-tests-")))
    return _MADE[-1]


def remove_all() -> None:
    """At the end of the run."""
    while _MADE:
        shutil.rmtree(_MADE.pop(), ignore_errors=True)
