"""The ``synfin`` command: which commands there are, and how every one of them fails.

One file per command, imported only when it is asked for, so that ``synfin --help`` stays quick; what a command needs to
do its work it imports inside its function.  Whatever goes wrong at the keyboard ends as one line on stderr that says
what, where and what to do, and exit code 2; Ctrl-C is 130; a reader that closed the pipe gets silence.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import signal
import sys
import warnings
from collections.abc import Callable
from importlib import import_module

import typer

from synfin import __version__
from synfin.cli.terminal import complain, one_line
from synfin.errors import UsageError

#: Command -> its module; the function, or the group of commands, has the command's name.
COMMANDS = {
    "read": "synfin.cli.read",
    "check": "synfin.cli.check",
    "follow": "synfin.cli.follow",
    "rule": "synfin.cli.rule",
    "trace": "synfin.cli.trace",
    "wire": "synfin.cli.wire",
    "ca": "synfin.cli.ca",
    "serve": "synfin.cli.serve",
    "demo": "synfin.cli.demo",
}

#: What printing meets where nothing can be written any more; files that we name tell it by their name.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
#: The base of everything typer says about a command line, whichever click it brings along.
_Complaint: type[Exception] = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"synfin {__version__}")
        raise typer.Exit


def _top(
    version: bool = typer.Option(
        False, "--version", help="Print the version and stop.", callback=_version, is_eager=True
    ),
) -> None:
    """See, make and judge HTTP and HTTPS connections, from the first SYN to the last FIN."""


def build(names: list[str], *, outline: bool = False) -> typer.Typer:
    """The application with the commands ``names``, their modules imported.

    An ``outline`` has their names and first words only, as the help of the whole wants: to look at each option of each
    command takes longer than everything else.
    """
    app = typer.Typer(
        name="synfin",
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_top)
    for name in names:
        found = getattr(import_module(COMMANDS[name]), name)
        if outline:
            app.command(name)(_outlined(found))
        elif isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name)(found)
    return app


def _outlined(found: Callable[..., object] | typer.Typer) -> Callable[[], None]:
    """A command without options that has the words of ``found``."""

    def command() -> None:
        raise RuntimeError("an outline cannot be run")

    command.__doc__ = str(found.info.help) if isinstance(found, typer.Typer) else found.__doc__
    return command


def main(arguments: list[str]) -> int:
    """Run the command line ``arguments`` (without the program's name); the exit code."""
    asked = next((word for word in arguments if not word.startswith("-")), "")
    if asked and asked not in COMMANDS:
        return complain(f"no command {asked!r}; there are {', '.join(COMMANDS)}")
    try:
        app = build([asked]) if asked else build(list(COMMANDS), outline=True)
        return int(app(arguments, standalone_mode=False, prog_name="synfin") or 0)
    except UsageError as error:
        return complain(str(error))
    except _Complaint as error:
        said = getattr(error, "format_message", error.__str__)()
        if type(error).__name__ == "NoArgsIsHelpError":
            typer.echo(said)
            return 2
        path = getattr(getattr(error, "ctx", None), "command_path", "")
        where = f"{path or f'synfin {asked}'.strip()} --help"
        return complain(f"{one_line(said)} (see {where})")
    except typer.Abort:
        return 130


def _open_streams() -> None:
    """Give a process that was started without standard streams (``>&-``) some that lead nowhere."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            with contextlib.suppress(OSError):
                os.fstat(number)
                continue
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8"))


def _ended(number: int, _frame: object) -> None:
    """A signal that ends us, unlike its default, leaves time to clean up; it counts once."""
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit(128 + number)


def run() -> None:
    """Entry point: runs the command line and leaves the process with its exit code."""
    _open_streams()
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # a reader that has seen enough ends us, in silence
    for number in ("SIGTERM", "SIGHUP"):
        if getattr(signal, number, None) and signal.getsignal(getattr(signal, number)) is signal.SIG_DFL:
            signal.signal(getattr(signal, number), _ended)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy would start threads for algebra that nobody does here
    if not sys.warnoptions:  # a library grumbles about what odd peers do; that is judged here, in words of ours
        warnings.simplefilter("ignore")
    gc.freeze()  # what is imported stays
    gc.set_threshold(100_000)  # stories and rows hold no cycles: looking for some again and again found nothing
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = 130
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except OSError as error:
        if error.errno not in _FULL or error.filename is not None:
            raise
        code = 2
        with contextlib.suppress(OSError):
            sys.stderr.write(f"synfin: standard output: {os.strerror(error.errno)}\n")
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    os._exit(code)  # all is written: do not free a large story object by object


if __name__ == "__main__":
    run()
