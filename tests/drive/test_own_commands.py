"""``synfin serve --stack own`` and ``synfin trace --stack own``: curl, a browser and our own server as peers."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from synfin.drive.namespace import Namespace
from tests.drive.tunbox import needs_tun

pytestmark = needs_tun
SYNFIN = [sys.executable, "-m", "synfin.cli.main"]


@pytest.fixture
def space() -> Iterator[Namespace]:
    made = Namespace.make()
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "page").write_bytes(bytes(range(256)) * 8000)
    script = "<script>document.title = 'run'; document.write('<p>' + 6 * 7 + '</p>')</script>"
    (tmp_path / "site" / "index.html").write_text(f"<!doctype html><title>own</title>{script}")
    return tmp_path


@contextmanager
def serving(space: Namespace, folder: Path, *words: str) -> Iterator[dict[str, Any]]:
    """``synfin serve`` in the namespace; what it said of itself."""
    process = subprocess.Popen(
        [*SYNFIN, "serve", "--json", *words, str(folder / "site")],
        preexec_fn=space.enter, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()
    try:
        assert line, process.stderr.read() if process.stderr else ""
        yield json.loads(line)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
        assert process.returncode == 0


def run(space: Namespace, *words: str, timeout: float = 40) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, preexec_fn=space.enter, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
    )


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl_fetches_from_our_stack_and_the_capture_is_healthy(space: Namespace, folder: Path) -> None:
    capture = folder / "x.pcapng"
    with serving(space, folder, "--stack", "own", "-w", str(capture)) as said:
        assert said["listening"] == ["198.51.100.2:8443", "[fd73:796e:6669:6e::2]:8443"]
        for host in ("198.51.100.2", "[fd73:796e:6669:6e::2]"):
            got = folder / "got"
            done = run(space, "curl", "-sSg", "--cacert", said["root"], "-o", str(got), f"https://{host}:8443/page")
            assert done.returncode == 0, done.stderr
            assert got.read_bytes() == (folder / "site" / "page").read_bytes()
    checked = subprocess.run([*SYNFIN, "check", str(capture)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    assert "2 connections" in checked.stdout


def test_our_client_asks_the_kernels_server_and_another_of_ours(space: Namespace, folder: Path) -> None:
    with serving(space, folder, "--bind", "0.0.0.0", "--bind", "::") as said:
        done = run(space, *SYNFIN, "trace", "--stack", "own", "--cacert", said["root"], "https://localhost:8443/page")
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(r"TCP +198\.51\.100\.1:8443 connected", done.stdout) or "fd73:" in done.stdout
        assert "no retransmission" in done.stdout
        refused = run(space, *SYNFIN, "trace", "--stack", "own", "http://127.0.0.1:9/")
        assert refused.returncode == 1
        assert "refused the connection" in refused.stdout
        beyond = run(space, *SYNFIN, "trace", "--stack", "own", "http://203.0.113.9/")
        assert beyond.returncode == 2
        assert "203.0.113.9 is not of this machine" in beyond.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--stack", "mine"], "choose kernel or own"),
        (["--address", "10.0.0.2/24"], "are for --stack own"),
        (["--stack", "own", "--bind", "0.0.0.0"], "choose our address with --address"),
        (["--stack", "own", "--address", "10.0.0.2"], "--address 10.0.0.2"),
        (["--stack", "own", "--tun-name", "a b"], "no name for a device"),
    ],
    ids=["stack", "address", "bind", "network", "name"],
)
def test_mistakes_are_one_line_and_exit_code_2(space: Namespace, folder: Path, words: list[str], says: str) -> None:
    done = run(space, *SYNFIN, "serve", *words, str(folder / "site"))
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_a_browser_loads_a_page_through_our_stack(space: Namespace, folder: Path) -> None:
    with serving(space, folder, "--stack", "own") as said:
        done = run(
            space, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors",
            f"--user-data-dir={folder / 'profile'}", "--dump-dom", said["url"],
        )  # fmt: skip
        assert "<p>42</p>" in done.stdout, done.stderr[-2000:]
