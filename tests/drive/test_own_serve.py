"""``WebServer`` over our own TCP: the same deviations and ends as over the kernel's, and curl."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from synfin.drive.server import Patience
from tests.drive.serving import Site, site
from tests.drive.test_serve_letter import CLEAR, VERSIONS, _played, both, of_12, of_13
from tests.drive.test_serve_midway import (
    App,
    hears_frames,
    stops_at_an_alert,
    stops_at_close_notify,
    stops_when_reset,
)
from tests.drive.tunbox import OURS4, Box, box, needs_tun
from tests.support.tlsoctets import NEW, OLD

pytestmark = needs_tun
PATIENCE = Patience(handshake=3, head=2, idle=2, body=2, drain=0.5)


@asynccontextmanager
async def own_site(
    folder: Path, monkeypatch: pytest.MonkeyPatch, app: App, patience: Patience = PATIENCE
) -> AsyncIterator[tuple[Site, Box]]:
    """A site of our own TCP; what this process connects to is at its address, in the namespace."""
    async with box() as found:

        def connect(address: tuple[str, int], timeout: float | None = None, *rest: Any, **more: Any) -> socket.socket:
            with found.space.inside():
                made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            made.settimeout(timeout)
            made.connect((OURS4, address[1]))
            return made

        monkeypatch.setattr(socket, "create_connection", connect)
        async with site(folder, app, patience=patience, own=found.stack.listen(8443)) as place:
            yield place, found


@VERSIONS
def test_deviations_get_their_alert_and_a_fin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    async def run() -> None:
        async with own_site(tmp_path, monkeypatch, App()) as (place, _):
            rows = [*both(version), *(of_13() if version == NEW else of_12())]
            assert await _played(place, rows[::3] + (CLEAR[::2] if version == OLD else [])) == []

    asyncio.run(run())


@pytest.mark.parametrize(
    "talk",
    [
        stops_at_close_notify(OLD),
        stops_at_close_notify(NEW),
        stops_at_an_alert(OLD, True),
        stops_at_an_alert(NEW, False),
        stops_when_reset,
        lambda place, app: hears_frames(place, app, False),
    ],
    ids=["close_notify 1.2", "close_notify 1.3", "alert", "alert, stalled", "reset", "frames"],
)
def test_the_server_hears_while_it_sends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, talk: Callable[[Site, App], None]
) -> None:
    async def run() -> None:
        app = App()
        async with own_site(tmp_path, monkeypatch, app, Patience(drain=0.5)) as (place, _):
            await asyncio.to_thread(talk, place, app)
            await place.alive()
            assert all(body.closed for body in app.bodies)

    asyncio.run(run())


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl_speaks_every_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with own_site(tmp_path, monkeypatch, App()) as (place, found):
            where = f"https://localhost:{place.port}"
            for words, version in (("--http1.0", "1.1"), ("--http1.1", "1.1"), ("--http2", "2")):
                done = await found.run(
                    "curl", "-sS", words, "--cacert", str(place.root), "--connect-to", f"localhost::{OURS4}:",
                    "-o", str(tmp_path / "got"), "-w", "%{http_version} %{size_download}", f"{where}/large",
                )  # fmt: skip
                assert done.stdout.decode() == f"{version} {24 << 20}", done.stderr

    asyncio.run(run())


def test_half_closed_clients_get_their_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def talk(place: Site) -> None:
        for version in (OLD, NEW):
            stream = place.client(min_version=version, max_version=version, groups=(29, 23))
            stream.send(b"GET /json HTTP/1.0\r\n\r\n")
            stream.sock.shutdown(socket.SHUT_WR)
            assert stream.recv_all().startswith(b"HTTP/1.1 200"), "then close_notify"
            assert stream.sock.recv(1) == b"", "then FIN"
            stream.sock.close()

    async def run() -> None:
        async with own_site(tmp_path, monkeypatch, App()) as (place, _):
            await asyncio.to_thread(talk, place)

    asyncio.run(run())
