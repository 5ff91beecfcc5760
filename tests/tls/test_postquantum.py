"""ML-KEM and ML-DSA before a foreign judge: Node.js with an OpenSSL that has both (3.5 and later)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from functools import lru_cache
from pathlib import Path

import pytest

from synfin.tls import Client, HandshakeDone, Server, accept_any_certificate
from tests.tls.ends import NAME, client_config, leaf, server_config

HYBRID = 0x11EC
SCHEMES = {"ml-dsa-44": 0x0904, "ml-dsa-65": 0x0905, "ml-dsa-87": 0x0906}
NODE = shutil.which("node")


@lru_cache(maxsize=1)
def _openssl() -> tuple[int, ...]:
    if NODE is None:
        return (0,)
    told = subprocess.run([NODE, "-p", "process.versions.openssl"], capture_output=True, text=True, check=False).stdout
    return tuple(int(part) for part in told.split("+")[0].split(".")[:2] if part.strip().isdigit()) or (0,)


pytestmark = pytest.mark.skipif(_openssl() < (3, 5), reason="needs node with OpenSSL 3.5 or later")

SERVER = """
const tls = require('tls'), fs = require('fs');
const server = tls.createServer({key: fs.readFileSync(process.argv[1]), cert: fs.readFileSync(process.argv[2]),
  ecdhCurve: 'X25519MLKEM768', minVersion: 'TLSv1.3'}, socket => { socket.end('from node'); });
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
"""
CLIENT = """
const tls = require('tls');
const socket = tls.connect({host: '127.0.0.1', port: +process.argv[1], servername: 'test.example',
  ecdhCurve: 'X25519MLKEM768', rejectUnauthorized: false, ca: process.argv[2]}, () => { socket.end('from node'); });
socket.resume();
"""


def _drive(end: Client | Server, sock: socket.socket) -> tuple[HandshakeDone | None, bytes, list[object]]:
    sock.settimeout(20)
    told: list[object] = []
    while not end.closed:
        if out := end.take_output(time.time()):
            sock.sendall(out)
        data = sock.recv(1 << 16)
        if data:
            end.receive(data, time.time())
        else:
            end.receive_eof(time.time())
        told += iter(end.next_event, None)
    done = next((event for event in told if isinstance(event, HandshakeDone)), None)
    return done, b"".join(getattr(event, "data", b"") for event in told), told


@pytest.mark.parametrize("kind", ["p256", *SCHEMES])
def test_our_client(kind: str, tmp_path: Path) -> None:
    made = leaf(kind)
    (tmp_path / "key.pem").write_bytes(made.key_pem)
    (tmp_path / "cert.pem").write_bytes(made.pem)
    with subprocess.Popen(
        [str(NODE), "-e", SERVER, str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as node:
        try:
            assert node.stdout is not None
            line = node.stdout.readline()
            assert line.strip().isdigit(), line + node.stdout.read1()  # type: ignore[attr-defined]
            schemes = (SCHEMES.get(kind, 0x0403),)
            config = client_config(verify=accept_any_certificate, groups=(HYBRID,), shares=1, schemes=schemes)
            with socket.create_connection(("127.0.0.1", int(line)), timeout=20) as sock:
                done, data, told = _drive(Client(config, NAME, now=time.time(), entropy=os.urandom), sock)
        finally:
            node.kill()
    assert done is not None, told
    assert (done.facts.group, done.facts.signature) == (HYBRID, schemes[0])
    assert data == b"from node"


@pytest.mark.parametrize("kind", ["p256", *SCHEMES])
def test_our_server(kind: str) -> None:
    schemes = (SCHEMES.get(kind, 0x0403),)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        command = [str(NODE), "-e", CLIENT, str(listener.getsockname()[1])]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as node:
            try:
                sock, _ = listener.accept()
                with sock:
                    config = server_config(kind, schemes=schemes, groups=(HYBRID,))
                    done, data, told = _drive(Server(config, now=time.time(), entropy=os.urandom), sock)
            finally:
                node.kill()
    assert done is not None, told
    assert (done.facts.group, done.facts.own_signature) == (HYBRID, schemes[0])
    assert data == b"from node"
