"""Botan's command line as a client; that of Botan 2 speaks TLS 1.2."""

from __future__ import annotations

import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

from tests.interop import chains
from tests.interop.cells import NAME, Cell, Told
from tests.interop.peer import EachCell, between, complaint, get, tls_of


class Botan(EachCell):
    name = "Botan"

    def missing(self) -> str:
        return "" if shutil.which("botan") else "botan is not installed"

    def version(self) -> str:
        return f"Botan {chains.version_of('botan', '--version')}"

    def cannot(self, cell: Cell) -> str:
        if cell.version == "1.3" and self.version() < "Botan 3":
            return "has TLS 1.3 from Botan 3 on"
        if cell.client:
            return "its program takes no client certificates"
        if cell.kind.startswith("ed"):
            return "has no EdDSA certificates in TLS"
        return "keeps sessions where built with SQLite only" if cell.resumed else ""

    def ask(self, cell: Cell, port: int, folder: Path) -> tuple[Any, Told]:
        command = ["botan", "tls_client", NAME, f"--port={port}", f"--tls{cell.version}", "--skip-system-cert-store"]
        command += [f"--trusted-cas={chains.root_file()}", f"--next-protocols={cell.alpn}"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            assert process.stdin is not None and process.stdout is not None
            end = threading.Timer(20, process.kill)
            end.start()
            process.stdin.write(get(port, cell.alpn))
            process.stdin.flush()  # and left open: at its end the program hangs up
            out = process.stdout.read()
            end.cancel()
        text = out.decode("latin-1")
        found = between(text, r"(Handshake complete, .*)")
        try:
            seen = tls_of(out)
        except ValueError:
            raise ValueError(complaint(text, r"(Error: .*)", r"(Alert: .*)")) from None
        return seen, Told(
            version=between(found or "", r"complete, (TLS v\S+)"),
            suite=between(found or "", r"using (\S+)"),
            alpn=between(text, r"Server choose protocol: (\S+)"),
        )
