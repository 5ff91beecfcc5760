"""rustls as a server: granian, an HTTP server with wheels.  It tells its programs nothing of TLS but HTTP's version."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.interop import chains
from tests.interop.cells import HOST, Cell, Told
from tests.interop.ours import P521, X25519, Asked, free_ports
from tests.interop.proxies import wait_for

_APP = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        body = scope["http_version"].encode()
        head = [(b"content-length", b"%d" % len(body)), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": head[: 2 - (body == b"2")]})
        await send({"type": "http.response.body", "body": body})
"""


class Rustls:
    """One process serves all cells that share a key and a wish for certificates; our client chooses the version."""

    name = "rustls"
    #: That both Finished hold is all that is known of what it thinks.
    silent = True

    def missing(self) -> str:
        return "" if find_spec("granian") else "granian is not installed"

    def version(self) -> str:
        return f"rustls in granian {metadata.version('granian')}"

    def cannot(self, cell: Cell) -> str:
        if cell.kind in ("p521", "ed448") or cell.client == "ed448":
            return "has no P-521 and no Ed448"
        return "no ML-KEM and ML-DSA with ring" if cell.postquantum else ""

    def wants(self, cell: Cell) -> dict[str, Any]:
        """No list of groups can be given to it; it has no P-521."""
        return {"groups": (P521, X25519), "shares": 1} if cell.retry else {}

    @contextmanager
    def serving(self, cells: dict[str, Cell], folder: Path) -> Iterator[dict[str, int]]:
        (folder / "granian_app.py").write_text(_APP)
        kinds = sorted({(cell.kind, bool(cell.client)) for cell in cells.values()})
        ports = dict(zip(kinds, free_ports(len(kinds)), strict=True))
        with ExitStack() as stack:
            started = [(port, stack.enter_context(self._one(*kind, port, folder))) for kind, port in ports.items()]
            for port, process in started:
                wait_for(port, process, folder / f"{port}.log")
            yield {name: ports[cell.kind, bool(cell.client)] for name, cell in cells.items()}

    @contextmanager
    def _one(self, kind: str, asking: bool, port: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
        certificate, key, _ = chains.files(kind)
        command = [sys.executable, "-m", "granian", "--interface", "asgi", "--host", HOST, "--port", str(port)]
        command += ["--ssl-certificate", certificate, "--ssl-keyfile", key, "--ssl-protocol-min", "tls1.2"]
        command += ["--ssl-ca", chains.root_file(), "--ssl-client-verify"] if asking else []
        with (folder / f"{port}.log").open("wb") as log:
            process = subprocess.Popen([*command, "granian_app:app"], cwd=folder, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def told(self, cell: Cell, asked: Asked) -> Told:
        return Told(alpn="h2" if asked.body == b"2" else None, status=asked.status)
