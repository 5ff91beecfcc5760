"""``synfin follow``: the two byte streams of one connection, as a conversation or as the exact octets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from synfin.cli.options import Color, Keylog, RsaKey, Width
from synfin.errors import UsageError

if TYPE_CHECKING:
    from synfin.observe.story import Connection

_SIDES = {"a": (0,), "client": (0,), "b": (1,), "server": (1,), "both": (0, 1)}
#: Octets of a turn that are written at a time.
_PORTION = 1 << 20


def follow(
    file: Annotated[str, typer.Argument(metavar="FILE", help="pcap or pcapng; - is standard input.")],
    connection: Annotated[
        int | None,
        typer.Option("-c", "--connection", metavar="ID", help="Which connection; not needed for the only one."),
    ] = None,
    side: Annotated[str, typer.Option("--side", metavar="SIDE", help="a (client), b (server) or both.")] = "both",
    raw: Annotated[bool, typer.Option("--raw", help="The exact octets, nothing else: for a file or a pipe.")] = False,
    hex_: Annotated[bool, typer.Option("--hex", help="Octets in hexadecimal.")] = False,
    text: Annotated[
        bool, typer.Option("--text", help="As text, whatever it is; control characters are escaped.")
    ] = False,
    decrypted: Annotated[
        bool | None,
        typer.Option("--decrypted/--clear", help="Decrypted (the default where possible) or as on the wire."),
    ] = None,
    keylog: Keylog = [],  # noqa: B006  typer copies defaults
    rsa_key: RsaKey = [],  # noqa: B006
    width: Width = None,
    no_color: Color = False,
) -> int:
    """Print what both sides sent.

    The two byte streams of a connection, decrypted where the secrets are known.
    """
    import sys

    from synfin.cli import inputs, terminal
    from synfin.views.follow import conversation, turns
    from synfin.views.paint import Paint

    if side not in _SIDES:
        raise UsageError(f"--side {side}: choose a (client), b (server) or both")
    if raw + hex_ + text > 1:
        raise UsageError("--raw, --hex and --text exclude each other")
    if raw and sys.stdout.isatty():
        raise UsageError("--raw does not write to a terminal: send it to a file or a pipe")
    with inputs.secrets(keylog, rsa_key).observe(file) as seen:
        found, number = None, 0
        for item in seen:
            number += 1
            if item.id == (connection or 0):
                found = item
            if found is not None and (connection is not None or number > 1):
                break
        if connection is None and number > 1:
            raise UsageError(f"{inputs.shown(file)}: has several connections; say which one with -c ID")
        if found is None:
            raise UsageError(f"{inputs.shown(file)}: no connection {connection or 0}; {inputs.range_of(number)}")
        if decrypted:
            _must_be_open(found, inputs.shown(file))
        opened = decrypted is not False
        if raw:
            missing = 0
            for turn in turns(found, _SIDES[side], decrypted=opened, most=_PORTION):
                sys.stdout.buffer.write(turn.data)
                missing += turn.missing
            if missing:
                sys.stderr.write(f"synfin: {missing:,} octets are missing in the capture and were left out\n")
            return 0
        style = "hex" if hex_ else "text" if text else "auto"
        room = terminal.columns(width)
        paint = Paint(terminal.colour(no_color))
        terminal.write_lines(
            conversation(found, _SIDES[side], style, room if room is not None else 1 << 30, paint, decrypted=opened)
        )
    return 0


def _must_be_open(connection: Connection, file: str) -> None:
    """UsageError when ``connection`` has nothing decrypted to show."""
    tls = connection.tls
    if tls is None:
        raise UsageError(f"{file}: connection {connection.id} is not TLS; leave --decrypted out")
    if tls.data is None:
        why = next((side.why for side in tls.decryption if side.why), "no secret")
        raise UsageError(f"{file}: connection {connection.id} was not decrypted ({why}); give --keylog, or use --clear")
