"""Headless Chromium judges our server: its hybrid key share, X25519MLKEM768, must be agreed on (RFC 8446 4.2.8)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from synfin.tls import Facts, Server
from tests.tls.ends import server_config

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PAGE = b"<!doctype html><title>synfin</title><p>agreed"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (
    len(PAGE),
    PAGE,
)


def _serve(listener: socket.socket, facts: list[Facts]) -> None:
    """Answer each connection with the page until the listener closes."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(connection, facts), daemon=True).start()


def _answer(connection: socket.socket, facts: list[Facts]) -> None:
    with connection:
        connection.settimeout(20)
        end = Server(server_config(max_version=0x0304), now=time.time(), entropy=os.urandom)
        try:
            while not end.closed and (data := connection.recv(1 << 16)):
                end.receive(data, time.time())
                told = list(iter(end.next_event, None))
                if any(b"\r\n\r\n" in getattr(event, "data", b"") for event in told) and end.facts is not None:
                    facts.append(end.facts)
                    end.send(ANSWER)
                    end.close()
                if out := end.take_output(time.time()):
                    connection.sendall(out)
        except OSError:
            return


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_chromium_agrees_on_the_hybrid_group(tmp_path: Path) -> None:
    facts: list[Facts] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_serve, args=(listener, facts), daemon=True).start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--ignore-certificate-errors",
            "--dump-dom",
        ]
        done = subprocess.run(
            [str(CHROMIUM), *flags, f"--user-data-dir={tmp_path}", url], capture_output=True, timeout=90, check=False
        )
    assert b"agreed" in done.stdout, done.stderr[-400:]
    assert 0x11EC in {found.group for found in facts}, facts
    assert {found.version for found in facts} == {0x0304}
