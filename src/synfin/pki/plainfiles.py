"""How a CA keeps files: each written beside and moved into place, secrets for their owner alone, all or nothing.

What the file system refuses is a UsageError of one line that names the file.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from synfin.errors import UsageError


def read(path: Path) -> bytes:
    """All octets of a file."""
    with told():
        return path.read_bytes()


def write(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Beside and then into place; a secret never stands readable for others, not even for a moment."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextmanager
def whole(*made: Path) -> Iterator[None]:
    """All or nothing: where the file system fails half-way, what was ``made`` goes again."""
    try:
        yield
    except (OSError, UsageError):
        for path in made:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with suppress(OSError):
                    path.unlink(missing_ok=True)
        raise


@contextmanager
def told() -> Iterator[None]:
    """Failures of the file system as one line."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"{error.filename or 'the folder of the CA'}: {error.strerror or error}") from error
