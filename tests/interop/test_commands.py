"""The commands themselves in two cells each: ``synfin trace`` and nginx, ``synfin serve`` and curl, capture and all."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from synfin.drive.capture import may_capture
from tests.interop import agree, chains
from tests.interop.cells import CELLS, HOST, NAME, Cell, bulk, version_in
from tests.interop.proxies import Nginx

CHOSEN = [cell for cell in CELLS if cell.id in ("1.2 h2", "1.3 full")]
SYNFIN = [sys.executable, "-m", "synfin.cli.main"]


def _read_alike(capture: Path, port: int) -> None:
    if not agree.missing():
        assert agree.differences(capture, {port}, agree.by_synfin(capture)) == []
        assert agree.findings(capture) == []


@pytest.mark.skipif(bool(Nginx().missing()), reason=Nginx().missing())
@pytest.mark.parametrize("cell", CHOSEN, ids=[cell.id for cell in CHOSEN])
def test_trace_tells_what_nginx_says(cell: Cell, tmp_path: Path) -> None:
    body, capture = tmp_path / "body", tmp_path / "trace.pcapng"
    with Nginx().serving({cell.id: cell}, tmp_path) as ports:
        port = ports[cell.id]
        command = [*SYNFIN, "trace", f"https://{NAME}:{port}/", "--cacert", chains.root_file(), "--json"]
        command += ["--resolve", f"{NAME}:{port}:{HOST}", "-o", str(body), "-w", str(capture)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[0])
    theirs = json.loads(body.read_text())
    assert version_in(told["tls"]["version"]["name"]) == version_in(theirs["version"]) == cell.version
    assert bulk(told["tls"]["cipher"]["name"]) == bulk(theirs["suite"])
    assert told["tls"]["alpn"] == theirs["alpn"] == cell.alpn
    assert told["trace"]["status"] == 200
    _read_alike(capture, port)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_what_serve_captured_is_read_alike(tmp_path: Path) -> None:
    capture = tmp_path / "serve.pcapng"
    command = [*SYNFIN, "serve", "--echo", "--port", "0", "--json", "-w", str(capture)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        port = int(said["listening"][0].rpartition(":")[2])
        assert said["capture"] == ("pdu" if may_capture() else "packets")
        try:
            for options in (("--http1.1",), ("--http2",), ("--http2", "--tls-max", "1.2")):
                url = f"https://{HOST}:{port}/connection"
                asked = ["curl", "-sS", "--noproxy", "*", "--cacert", said["root"], *options, url]
                seen = json.loads(subprocess.run(asked, capture_output=True, timeout=30, check=True).stdout)
                assert seen["tls"]["version"] == ("TLS 1.2" if "1.2" in options else "TLS 1.3")
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
    assert process.returncode == 0
    assert len(agree.by_synfin(capture)) == 3
    _read_alike(capture, port)
