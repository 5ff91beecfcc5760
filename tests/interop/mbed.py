"""Mbed TLS, a TLS of small devices, in both roles; version 2 speaks TLS 1.2."""

from __future__ import annotations

import sys
from ctypes.util import find_library
from pathlib import Path
from typing import Any

from tests.interop import chains
from tests.interop.cells import CLIENT_NAME, Cell, Told
from tests.interop.lines import LineClient, LineServer
from tests.interop.runtimes import HERE


class Mbed(LineClient):
    """As a client."""

    name = "Mbed TLS"

    def missing(self) -> str:
        if not find_library("mbedtls"):
            return "libmbedtls is not installed"
        return (
            "" if self.version().startswith(("mbed TLS 2.", "Mbed TLS 2.")) else "its structures are known of version 2"
        )

    def version(self) -> str:
        return chains.version_of(*self.command(Path(), "version"))

    def cannot(self, cell: Cell) -> str:
        if cell.version == "1.3":
            return "has TLS 1.3 from Mbed TLS 3 on"
        return "has no EdDSA" if cell.kind.startswith("ed") or cell.client.startswith("ed") else ""

    def command(self, folder: Path, role: str) -> list[str]:
        return [sys.executable, str(HERE / "mbed_peer.py"), role]

    def words(self, said: dict[str, Any]) -> Told:
        """Whether it resumed it does not say."""
        client = said["client"]
        return super().words({**said, "client": CLIENT_NAME if client else client})


class MbedServer(LineServer, Mbed):
    """As a server."""

    def cannot(self, cell: Cell) -> str:
        return "speaks no HTTP/2" if cell.alpn == "h2" else super().cannot(cell)
