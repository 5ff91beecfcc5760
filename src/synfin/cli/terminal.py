"""Where output goes: how wide it is, whether it takes colour, which characters it knows."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from synfin.errors import UsageError

T = TypeVar("T")

#: What a terminal without Unicode gets instead.
_ASCII = str.maketrans(
    {
        "─": "-", "▶": ">", "◀": "<", "│": "|", "●": "*", "…": "~", "×": "x", "“": '"', "”": '"', "–": "-", "·": ".",
        "µ": "u", "█": "#", "▉": "#", "▊": "#", "▋": "#", "▌": "#", "▍": "#", "▎": "#", "▏": "|", "→": ">", "━": "-",
        "←": "<", "└": "+",
    }
)  # fmt: skip
#: Lines are written in blocks of this many.
_BLOCK = 512
_SPINNER_EVERY = 0.2


def colour(no_color: bool) -> bool:
    """Whether to paint: a terminal, nobody said no (https://no-color.org), and it is not a dumb one."""
    if no_color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stdout.isatty() or bool(os.environ.get("FORCE_COLOR"))


def columns(width: int | None) -> int | None:
    """The room in cells: as asked, else the terminal's, else None (a pipe or a file: as wide as it takes)."""
    if width is not None:
        if width < 20:
            raise UsageError(f"--width {width} is too narrow; 20 is the least")
        return width
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def write_lines(lines: Iterable[str]) -> None:
    """Print ``lines``, in blocks; characters the output does not know become ASCII."""
    out = sys.stdout
    plain = not (out.encoding or "").lower().replace("-", "").startswith("utf")
    block: list[str] = []
    live = out.isatty()
    for line in lines:
        block.append(line)
        if len(block) >= _BLOCK or live:
            _flush(block, plain)
            block = []
    _flush(block, plain)


def _flush(block: list[str], plain: bool) -> None:
    if not block:
        return
    text = "\n".join(block) + "\n"
    if plain:
        encoding = sys.stdout.encoding or "ascii"
        text = text.translate(_ASCII).encode(encoding, "backslashreplace").decode(encoding)
    sys.stdout.write(text)


def progress(items: Iterable[T], what: str) -> Iterator[T]:
    """``items`` as they are, counted on stderr while a person is watching and reading takes long."""
    err: Any = sys.stderr
    if not err.isatty():
        yield from items
        return
    shown = False
    due = time.monotonic() + 2 * _SPINNER_EVERY
    try:
        for number, item in enumerate(items, 1):
            if not number & 0x3F and time.monotonic() > due:
                err.write(f"\r{what}: {number:,} connections ...")
                err.flush()
                shown, due = True, time.monotonic() + _SPINNER_EVERY
            yield item
    finally:
        if shown:
            err.write("\r\x1b[K")
            err.flush()


def complain(text: str) -> int:
    """One line on stderr; the exit code of a mistake at the keyboard."""
    sys.stdout.flush()  # what was said before stands before
    sys.stderr.write(f"synfin: {one_line(text)}\n")
    return 2


def one_line(text: str) -> str:
    """``text`` in one line that a terminal can be trusted with."""
    from synfin.views.words import clean

    return clean(" ".join(text.split())).rstrip(".")
