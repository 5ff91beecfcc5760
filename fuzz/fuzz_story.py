"""Fuzz target: any octets through every command, as a user would.  Run: python -m fuzz.fuzz_story [corpus directory]

Needs atheris (pip install atheris).  A good corpus to start from is ``examples/``.  The commands may find the file
wanting (exit code 2) or the connections (1); an exception that reaches here is a find.
"""

from __future__ import annotations

import io
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from synfin.cli.main import main as synfin

COMMANDS = (
    ("read", "{}"),
    ("read", "--quick", "{}"),
    ("read", "--json", "{}"),
    ("read", "-c", "0", "{}"),
    ("read", "-c", "0", "--brief", "{}"),
    ("read", "--bytes", "6", "{}"),
    ("follow", "-c", "0", "{}"),
    ("check", "--json", "{}"),
    ("check", "--sarif", "{}"),
    ("check", "--github", "{}"),
)


def one_input(data: bytes) -> list[int]:
    """Run every command on a file of ``data``; the exit codes."""
    codes = []
    with tempfile.NamedTemporaryFile(prefix="synfin-fuzz-") as file:
        file.write(data)
        file.flush()
        for command in COMMANDS:
            argv = [part.replace("{}", str(Path(file.name))) for part in command]
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as told:
                code = synfin(argv)
            if code not in (0, 1, 2):
                raise AssertionError(f"{command}: exit code {code}")
            if code == 2 and len(told.getvalue().splitlines()) != 1:
                raise AssertionError(f"{command}: not one line: {told.getvalue()!r}")
            codes.append(code)
    return codes


def main() -> None:
    """Hand the target to atheris."""
    import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]

    for sample in sorted((Path(__file__).resolve().parent.parent / "examples").glob("*.pcapng")):
        one_input(sample.read_bytes())  # so that everything is imported before it is instrumented
    atheris.instrument_all()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
