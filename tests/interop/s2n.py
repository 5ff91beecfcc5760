"""s2n-tls, that of AWS, as a client: the package awscrt.  It tells its programs nothing of TLS but ALPN's outcome."""

from __future__ import annotations

import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.interop.cells import Cell, Told
from tests.interop.lines import LineClient
from tests.interop.runtimes import HERE


class S2n(LineClient):
    name = "s2n"
    #: That both Finished hold is all that is known of what it thinks.
    silent = True

    def missing(self) -> str:
        return "" if find_spec("awscrt") else "awscrt is not installed"

    def version(self) -> str:
        return f"s2n in awscrt {metadata.version('awscrt')}"

    def cannot(self, cell: Cell) -> str:
        if cell.resumed:
            return "keeps no TLS sessions"
        if cell.hybrid and cell.retry:
            return "sends a share of it at once"
        if cell.kind.startswith("ed") or cell.client.startswith("ed"):
            return "has no EdDSA certificates"
        if cell.kind == "p521" and cell.version == "1.2":
            return "has P-521 in TLS 1.3 only"
        return "has no ML-DSA by its usual policies" if cell.ml_dsa else ""

    def command(self, folder: Path, role: str) -> list[str]:
        return [sys.executable, str(HERE / "s2n_peer.py")]

    def words(self, said: dict[str, Any]) -> Told:
        return Told(**said)
