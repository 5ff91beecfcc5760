"""wolfSSL, a TLS of small devices, in both roles."""

from __future__ import annotations

import sys
from ctypes.util import find_library
from dataclasses import replace
from pathlib import Path

from tests.interop import chains
from tests.interop.cells import CLIENT_NAME, Cell, Told
from tests.interop.lines import LineClient, LineServer
from tests.interop.ours import Asked
from tests.interop.runtimes import HERE


class Wolf(LineClient):
    """As a client."""

    name = "wolfSSL"

    def missing(self) -> str:
        return "" if find_library("wolfssl") else "libwolfssl is not installed"

    def version(self) -> str:
        return chains.version_of(*self.command(Path(), "version"))

    def cannot(self, cell: Cell) -> str:
        return "no ML-KEM and ML-DSA before wolfSSL 5.7.4" if cell.postquantum else ""

    def command(self, folder: Path, role: str) -> list[str]:
        return [sys.executable, str(HERE / "wolf_peer.py"), role]


class WolfServer(LineServer, Wolf):
    """As a server."""

    def cannot(self, cell: Cell) -> str:
        if cell.alpn == "h2":
            return "speaks no HTTP/2"
        if cell.version == "1.2" and cell.client == "rsa2048":
            return "asks only for certificates like its own in TLS 1.2"
        return super().cannot(cell)

    def told(self, cell: Cell, asked: Asked) -> Told:
        """It required a certificate; what it had it can say but of EdDSA."""
        said = super().told(cell, asked)
        shown = None if cell.client.startswith("ed") else CLIENT_NAME if said.client else ""
        return replace(said, client=shown)
