"""A server of ours in this process, foreign programs and raw clients against it."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from synfin import tls
from synfin.drive.blocking import BlockingTls, connect_tls
from synfin.drive.listening import listen
from synfin.drive.pipe import Source
from synfin.drive.server import Bounds, Patience, WebServer
from synfin.drive.server_log import AccessLog
from synfin.http.app import App
from synfin.http.app_echo import echo
from synfin.pki import mint
from synfin.pki.keys import make_key

#: What libraries take certificates from, which is not ours to have here.
ENVIRONMENT = {
    k: v for k, v in os.environ.items() if k not in ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
}


PATIENCE, BOUNDS = Patience(), Bounds()


@dataclass
class Site:
    """A running server."""

    server: WebServer
    port: int
    clear: int
    root: Path
    lines: list[str] = field(default_factory=list)

    @property
    def log(self) -> str:
        self.server.log.flush()
        return "".join(self.lines)

    def url(self, path: str = "/") -> str:
        return f"https://localhost:{self.port}{path}"

    async def run(self, program: str, *arguments: str, give: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """A foreign program, or a skip where it is not installed."""
        found = shutil.which(program)
        if found is None:
            pytest.skip(f"{program} is not installed")
        command = [found, *arguments]
        return await asyncio.to_thread(
            subprocess.run, command, input=give, capture_output=True, timeout=30, env=ENVIRONMENT, check=False
        )

    async def curl(self, path: str, *arguments: str, give: bytes = b"") -> bytes:
        done = await self.run("curl", "-sS", "--cacert", str(self.root), *arguments, self.url(path), give=give)
        return done.stdout + done.stderr

    async def alive(self) -> None:
        """The next connection is served."""
        assert await asyncio.to_thread(self._ask) == 200

    def _ask(self) -> int:
        with self.client() as stream:
            stream.send(b"GET /json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return int(stream.recv_all().split(b" ", 2)[1])

    def client(self, **more: Any) -> BlockingTls:
        config = tls.ClientConfig(**{"verify": tls.accept_any_certificate, "groups": (29,), **more})
        return connect_tls("127.0.0.1", self.port, config, name="localhost", timeout=10)

    def plain(self, clear: bool = False) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.clear if clear else self.port), 10)


@asynccontextmanager
async def site(
    folder: Path,
    app: App | None = echo,
    *,
    patience: Patience = PATIENCE,
    bounds: Bounds = BOUNDS,
    own: Source | None = None,
    **config: Any,
) -> AsyncIterator[Site]:
    now = datetime.now(UTC).replace(microsecond=0)
    root = mint.self_signed(mint.root_order("Test root", now), make_key("p256"))
    leaf = mint.signed(mint.leaf_order(("localhost", "127.0.0.1"), now), make_key("p256"), root)
    path = folder / "root.pem"
    path.write_bytes(root.pem)
    lines: list[str] = []
    server = WebServer(app, AccessLog(lines.append), patience=patience, bounds=bounds)
    options = {
        "credentials": (tls.Credential((leaf.der,), leaf.key),),
        "alpn": (b"h2", b"http/1.1", b"http/1.0"),
        "ticket_keys": tls.TicketKeys(os.urandom(32)),
        "handshake_seconds": patience.handshake,
        **config,
    }
    source, clear = own or await listen("127.0.0.1", 0), await listen("127.0.0.1", 0)
    server.serve(source, tls.ServerConfig(**options))
    server.serve(clear, None)
    found = Site(server, source.addresses[0][1], clear.addresses[0][1], path, lines)
    try:
        yield found
    finally:
        await server.stop()
        assert server.connections == 0 and server.budget.left == bounds.bodies


def drained(sock: socket.socket) -> bytes:
    """All that comes, to the end; a reset is an error."""
    got = b""
    while part := sock.recv(1 << 16):
        got += part
    return got
