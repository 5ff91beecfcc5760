"""Options that several commands take, said once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synfin.errors import UsageError

if TYPE_CHECKING:
    from synfin.drive.own_setup import OwnPlace

Files = Annotated[
    list[str], typer.Argument(metavar="FILE...", help="pcap or pcapng, plain, gzip or zstd; - is standard input.")
]
Keylog = Annotated[
    list[Path], typer.Option("--keylog", metavar="FILE", help="TLS secrets (SSLKEYLOGFILE); repeatable.")
]
RsaKey = Annotated[
    list[Path],
    typer.Option("--rsa-key", metavar="PEM", help="The server's RSA key, for static RSA handshakes; repeatable."),
]
Width = Annotated[int | None, typer.Option("--width", metavar="N", help="Columns to use instead of the terminal's.")]
Color = Annotated[bool, typer.Option("--no-color", help="No colour, whatever the terminal takes.")]

KeylogTo = Annotated[
    Path | None, typer.Option("--keylog", metavar="FILE", help="Append the TLS secrets to FILE (SSLKEYLOGFILE).")
]
Stack = Annotated[
    str, typer.Option("--stack", metavar="kernel|own", help="Whose TCP: own is ours, behind a TUN device (root).")
]
TunName = Annotated[
    str, typer.Option("--tun-name", metavar="NAME", help="With --stack own: the device; the kernel chooses.")
]
OwnAddress = Annotated[
    list[str],
    typer.Option("--address", metavar="ADDRESS/N", help="With --stack own: ours; 198.51.100.2/24 by default."),
]


def own_stack(stack: str, addresses: list[str], tun_name: str) -> OwnPlace | None:
    """What ``--stack``, ``--address`` and ``--tun-name`` say; None: the kernel's TCP."""
    if stack not in ("kernel", "own"):
        raise UsageError(f"--stack {stack}: choose kernel or own")
    if stack == "kernel":
        if addresses or tun_name:
            raise UsageError("--address and --tun-name are for --stack own")
        return None
    from synfin.drive.own_setup import own_place

    return own_place(addresses, tun_name)
