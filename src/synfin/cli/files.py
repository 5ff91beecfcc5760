"""Files that people name on the command line: read and written whole, and what goes wrong with them as one line."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from synfin.errors import UsageError


def read(path: Path, option: str = "") -> bytes:
    """The octets of a file (``-`` is standard input); UsageError, with the option, where that fails."""
    try:
        return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise UsageError(f"{option} {path}: {os.strerror(error.errno or 0)}".lstrip()) from error


def write(path: Path, content: bytes, option: str = "", *, secret: bool = False, replace: bool = True) -> None:
    """Write a file; a secret one is never readable for others.  UsageError, with the option, where that fails."""
    try:
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if replace else os.O_EXCL)
        if secret and replace:
            path.unlink(missing_ok=True)
        handle = os.open(path, flags, 0o600 if secret else 0o666)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
    except FileExistsError as error:
        raise UsageError(f"{path} exists already; --force replaces it") from error
    except OSError as error:
        raise UsageError(f"{option} {path}: {os.strerror(error.errno or 0)}".lstrip()) from error
