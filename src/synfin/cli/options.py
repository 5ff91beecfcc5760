"""Options that several commands take, said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
