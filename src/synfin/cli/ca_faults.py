"""``synfin ca faults``: the catalogue of wrong certificates, and any of them fresh in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synfin.cli.ca_common import Json
from synfin.cli.options import Color
from synfin.errors import UsageError

if TYPE_CHECKING:
    from synfin.pki.examine import Presented
    from synfin.pki.faultkit import Fault


def faults(
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="With --make: where to write it.")] = None,
    make: Annotated[str, typer.Option("--make", metavar="NAME", help="Make this one in DIR, or 'all' of them.")] = "",
    json: Json = False,
    no_color: Color = False,
) -> None:
    """List the wrong certificates, or make one.

    Each with the violation it causes; --make NAME DIR mints one to serve.
    DIR gets chain.pem and key.pem for the server, and root.pem for the client that shall stumble.
    """
    from synfin.cli import ca_common, ca_words, terminal
    from synfin.pki.faultkit import Bench
    from synfin.pki.faults import FAULTS
    from synfin.views.paint import Paint
    from synfin.views.words import wrap

    if make and folder is None:
        raise UsageError(f"--make {make} needs a folder: synfin ca faults --make {make} DIR")
    if folder is not None and not make:
        raise UsageError(f"{folder}: say which with --make NAME, or 'all'")
    if make and make != "all" and make not in FAULTS:
        from difflib import get_close_matches

        near = [name for name, one in FAULTS.items() if one.problem == make] or get_close_matches(make, FAULTS, 3, 0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise UsageError(f"--make {make}: no such fault; synfin ca faults lists them{hint}")
    paint = Paint(terminal.colour(no_color))
    if folder is None:
        if json:
            ca_common.write_json({"faults": [_row(one) for one in FAULTS.values()]})
            return
        room = terminal.columns(None)
        lines: list[str] = []
        for one in FAULTS.values():
            lines.append(f"{paint('title', one.name)}: {one.violation or paint('dim', 'most clients carry on')}")
            lines += wrap(f"  {one.why}", room, 0) if room else [f"  {one.why}"]
        terminal.write_lines([*lines, "", f"{len(FAULTS)} faults; synfin ca faults --make NAME DIR makes one"])
        return
    now = ca_common.now()
    bench = Bench(now)
    for name in FAULTS if make == "all" else [make]:
        place = folder / name if make == "all" else folder
        shown = FAULTS[name].make(bench)
        _write(place, shown)
        if json:
            ca_common.write_json({**_row(FAULTS[name]), "folder": str(place)})
        elif make == "all":
            terminal.write_lines([f"{place}: {FAULTS[name].violation or 'most clients carry on'}"])
    if not json and make != "all":
        fault = FAULTS[make]
        asked = f" --name {shown.name}" if shown.name else " --client"
        lines = [fault.why, ca_words.line("files", f"chain.pem, key.pem, root.pem in {folder}", paint)]
        lines.append(ca_words.line("must cause", fault.violation or "nothing: most clients carry on", paint))
        if shown.name:
            lines.append(ca_words.line("ask for", shown.name, paint))
        extra = [f" --{kind} {folder}/{file}" for kind, file in _extra(shown)]
        lines.append(
            ca_words.line(
                "see why",
                f"synfin ca verify {folder}/chain.pem --trust {folder}/root.pem{asked}{''.join(extra)}",
                paint,
            )
        )
        terminal.write_lines(lines)


def _row(fault: Fault) -> dict[str, object]:
    return {"name": fault.name, "problem": fault.problem, "violation": fault.violation or None, "why": fault.why}


def _extra(shown: Presented) -> list[tuple[str, str]]:
    return [("ocsp", "staple.der")] * (shown.stapled is not None) + [("crl", "crl.pem")] * bool(shown.crls)


def _write(folder: Path, shown: Presented) -> None:
    import os

    from synfin.cli.files import write
    from synfin.pki.keys import key_pem
    from synfin.pki.mint import pem

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: {os.strerror(error.errno or 0)}") from error
    write(folder / "chain.pem", pem(*shown.chain))
    if shown.key is not None:
        write(folder / "key.pem", key_pem(shown.key), secret=True)
    write(folder / "root.pem", pem(*shown.roots))
    if shown.stapled is not None:
        write(folder / "staple.der", shown.stapled)
    if shown.crls:
        write(folder / "crl.pem", pem(*shown.crls, label="X509 CRL"))
