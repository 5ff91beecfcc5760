"""What the commands of ``synfin ca`` share: where the CA is, how its keys are opened, times as people say them.

A password never stands on the command line, where every process of the machine can read it: it is typed, or read from a
file, or handed over in the environment.
"""

from __future__ import annotations

import os
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synfin.cli import files
from synfin.errors import UsageError

if TYPE_CHECKING:
    from synfin.pki.store import Store

CaFolder = Annotated[
    Path, typer.Option("--ca", metavar="DIR", help="The folder of the CA.", envvar="SYNFIN_CA", show_envvar=True)
]
AskPassword = Annotated[
    bool, typer.Option("--password", help="Ask for the password of the CA's keys (or set SYNFIN_CA_PASSWORD).")
]
PasswordFile = Annotated[
    Path | None, typer.Option("--password-file", metavar="FILE", help="Read that password from the first line of FILE.")
]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]
_KINDS = "p256, p384, p521, rsa2048, rsa3072, rsa4096, ed25519, ed448, ml-dsa-44, ml-dsa-65 or ml-dsa-87"
KeyKind = Annotated[str, typer.Option("--key-kind", metavar="KIND", help=f"The key: {_KINDS}.")]
DEFAULT = Path("ca")
ENVIRONMENT = "SYNFIN_CA_PASSWORD"


def now() -> datetime:
    """The time, by this machine's clock."""
    return datetime.now(UTC).replace(microsecond=0)


def when(text: str) -> datetime:
    """``--at``: an ISO 8601 date or time (UTC unless it says otherwise), or seconds since 1970; "" is now."""
    if not text:
        return now()
    try:
        if text.isdecimal() and len(text) != 8:
            return datetime.fromtimestamp(int(text), UTC)
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(f"--at {text}: neither a time like 2027-03-01T12:00 nor seconds since 1970") from error
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def life(**spans: float | None) -> timedelta | None:
    """How long: from the one of ``years``, ``days``, ``hours`` that is given; None for none of them."""
    given = {name: value for name, value in spans.items() if value is not None}
    if len(given) > 1:
        raise UsageError(f"choose one of {' and '.join(f'--{name}' for name in given)}")
    for name, value in given.items():
        hours = value * {"years": 365 * 24, "days": 24, "hours": 1}[name]
        if not 0 < hours <= 1000 * 365 * 24:
            raise UsageError(f"--{name} {value:g}: more than nothing, and at most a thousand years")
        return timedelta(hours=hours)
    return None


def password(ask: bool, file: Path | None, what: str = "password of the CA", twice: bool = False) -> bytes | None:
    """The password of the CA's keys; None where none was given."""
    if ask and file is not None:
        raise UsageError("choose one of --password and --password-file")
    if file is not None:
        return password_file(file, "--password-file")
    if ask:
        return prompt(what, twice)
    found = os.environ.get(ENVIRONMENT, "")
    return found.encode() or None


def prompt(what: str, twice: bool, instead: str = f"--password-file or {ENVIRONMENT}") -> bytes:
    """Type it; a new one twice.  ``instead`` is what helps where nobody can type."""
    import sys
    from getpass import getpass

    if not sys.stdin.isatty():
        raise UsageError(f"nobody is there to type the {what}: use {instead}")
    try:
        typed = getpass(f"{what}: ")
        if not typed:
            raise UsageError(f"the {what} cannot be empty")
        if twice and getpass(f"{what}, again: ") != typed:
            raise UsageError("the two are not the same")
    except EOFError as error:
        raise UsageError(f"no {what} was typed") from error
    return typed.encode()


def password_file(path: Path, option: str) -> bytes:
    """The first line of a file."""
    found = files.read(path, option).split(b"\n", 1)[0].rstrip(b"\r")
    if not found:
        raise UsageError(f"{option} {path}: its first line is empty")
    return found


def opened(folder: Path, ask: bool = False, file: Path | None = None) -> Store:
    """The CA in ``folder``; where its keys are closed, somebody must say the password.  UsageError where nobody can."""
    import sys

    from synfin.pki.store import Store

    store = Store(folder, password(ask, file))
    if store.password is None and store.locked():
        if not sys.stdin.isatty():
            raise UsageError(f"{folder}: its keys want a password: --password, --password-file or {ENVIRONMENT}")
        store.password = prompt("password of the CA", False)
    elif store.password is not None and not store.locked():
        store.password = None  # it may be meant for another CA; these keys need none
    return store


def unopened(folder: Path) -> Store:
    """The CA in ``folder``, its keys left alone."""
    from synfin.pki.store import Store

    return Store(folder)


def write_json(fields: dict[str, object]) -> None:
    """Print ``fields`` as one line of JSON, with the number of its schema."""
    from synfin.cli import terminal
    from synfin.views.json import SCHEMA, dumps

    terminal.write_lines([dumps({"synfin": {"schema": SCHEMA}, **fields})])


def option(folder: Path) -> str:
    """The option that names the CA in a command we propose; "" where it is the one meant anyway."""
    return "" if folder == DEFAULT else f"--ca {shlex.quote(str(folder))} "


def issuing(store: Store, by: str) -> str:
    """The authority that issues: as asked, else the only intermediate, else the root."""
    if by:
        return by
    lower = [name for name in store.authorities() if name != "root"]
    if len(lower) > 1:
        raise UsageError(f"say which authority issues: {', '.join(f'--by {name}' for name in lower)}, or --by root")
    return lower[0] if lower else "root"
