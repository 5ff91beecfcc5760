"""Single features before NSS, GnuTLS and pyOpenSSL: exporters, early data, staples, certificates asked for late."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from synfin import tls
from synfin.drive.blocking import BlockingTls, connect_tls
from tests.interop import chains, nss, ours
from tests.interop.cells import HOST, NAME, Cell
from tests.interop.peer import get
from tests.interop.proxies import GnuTlsServer
from tests.interop.pyopenssl import PyOpenSsl, PyOpenSslServer
from tests.interop.test_features import FULL12, FULL13, authenticated, client_of, staple, write

LABEL, CONTEXT = "interop label", b"words"
NSS = nss.Nss()
needs_nss = pytest.mark.skipif(bool(NSS.missing()), reason=NSS.missing())
needs_pyopenssl = pytest.mark.skipif(bool(PyOpenSsl().missing()), reason=PyOpenSsl().missing())
needs_gnutls = pytest.mark.skipif(
    not (shutil.which("gnutls-cli") and shutil.which("gnutls-serv")), reason="gnutls-bin is not installed"
)
both_versions = pytest.mark.parametrize("cell", [FULL12, FULL13], ids=["1.2", "1.3"])


def tstclnt(port: str, *options: str, kind: str = "") -> tuple[str, ...]:
    database = nss.database(kind, of_client=True)
    return ("tstclnt", "-h", HOST, "-a", NAME, "-p", port, "-d", database, "-V", "tls1.2:", "-v", *options)


# ---------------------------------------------------------------- exporters (RFC 5705, RFC 8446 7.5)


def _exported(stream: BlockingTls, context: bytes | None = CONTEXT) -> bytes:
    endpoint = stream.endpoint
    assert isinstance(endpoint, tls.Client | tls.Server)
    return endpoint.export(LABEL, context, 40)


@needs_nss
@both_versions
def test_nss_exports_the_same(cell: Cell) -> None:
    command = tstclnt("PORT", "-Q", "-x", f"{LABEL}:40:{CONTEXT.decode()}")
    with client_of(ours.server_config(cell, alpn=()), *command) as (stream, process):
        mine = _exported(stream)
        text = process.communicate(timeout=20)[0].decode("latin-1").partition("Keying Material:")[2]
    octets = re.findall(r"\b[0-9a-f]{2}\b", text.partition("Keying Material:")[2].partition("tstclnt")[0])
    assert bytes.fromhex("".join(octets[:40])) == mine


@needs_pyopenssl
@both_versions
def test_openssl_exports_the_same_as_our_server(cell: Cell, tmp_path: Path) -> None:
    """Whether there is a context, or an empty one, makes a difference in TLS 1.2 only (RFC 5705 4)."""
    context = PyOpenSsl.context(cell)
    with socket.create_server((HOST, 0)) as listener:
        theirs = _pyopenssl(context, socket.create_connection(listener.getsockname()))
        theirs.set_connect_state()
        end = tls.Server(ours.server_config(cell, alpn=()), now=time.time(), entropy=os.urandom)
        with listener.accept()[0] as sock:
            _shake(end, sock, theirs)
        for own in (CONTEXT, b"", None):
            assert theirs.export_keying_material(LABEL.encode(), 40, own) == end.export(LABEL, own, 40)
        assert (end.export(LABEL, b"", 40) == end.export(LABEL, None, 40)) == (cell is FULL13)


def _pyopenssl(context: Any, sock: socket.socket) -> Any:
    from OpenSSL import SSL

    return SSL.Connection(context, sock)


def _shake(end: tls.Server, sock: socket.socket, theirs: Any) -> None:
    """Both ends in one thread: theirs does not block."""
    from OpenSSL import SSL

    sock.settimeout(20)
    theirs.setblocking(False)
    done = False
    while end.facts is None or not done:
        try:
            theirs.do_handshake()
            done = True
        except SSL.WantReadError:
            pass
        if end.facts is None:
            end.receive(sock.recv(1 << 16), time.time())
        if out := end.take_output(time.time()):
            sock.sendall(out)


@needs_pyopenssl
@both_versions
def test_openssl_exports_the_same_as_our_client(cell: Cell, tmp_path: Path) -> None:
    server = PyOpenSslServer()
    server.exporting = (LABEL, 40, CONTEXT)
    with server.serving({cell.id: cell}, tmp_path) as ports:
        config = ours.client_config(cell)
        with connect_tls(HOST, ports[cell.id], config, name=NAME, timeout=20) as stream:
            mine = _exported(stream)
            stream.send(get(ports[cell.id], cell.alpn))
            answer = b""
            while part := stream.recv():
                answer += part
    assert f'"exported": "{mine.hex()}"'.encode() in answer


# ---------------------------------------------------------------- NSS


@needs_nss
def test_nss_sends_early_data_and_sees_the_staple(tmp_path: Path) -> None:
    leaf = chains.server("p256")
    credential = tls.Credential((leaf.der,), leaf.key, ocsp=staple(leaf))
    more: dict[str, Any] = {"max_early_data": 1000, "replay_guard": tls.ReplayGuard()}
    config = ours.server_config(FULL13, credentials=(credential,), **more)
    with ours.serving(tmp_path / "c.pcapng", {"it": config}) as place:
        text = NSS.twice(place.ports["it"], tmp_path, "-T", "-Z")
    first, second = re.findall(r'"early_data": (\w+)', text)
    assert (first, second) == ("false", "true")
    assert "Received 1 Cert Status items" in text


@needs_nss
def test_what_nss_refuses_as_early_data_goes_again(tmp_path: Path) -> None:
    """``selfserv -Z`` gives such tickets and refuses early data for its first ten seconds (RFC 8446 8.2)."""
    server = nss.NssServer("-Z")
    with server.serving({FULL13.id: FULL13}, tmp_path) as ports:
        facts, answer = _early(ports[FULL13.id])
    assert facts.resumed and not facts.early_data
    assert b"200 OK" in answer
    assert b"GET /early" in answer  # it echoes


class _GnuTlsEarly(GnuTlsServer):
    def command(self, cell: Cell, port: int) -> list[str]:
        return [*super().command(cell, port), "--earlydata", "--maxearlydata=1000"]


@needs_gnutls
def test_gnutls_takes_our_early_data(tmp_path: Path) -> None:
    """It does not look for a request in it."""
    with _GnuTlsEarly().serving({FULL13.id: FULL13}, tmp_path) as ports:
        facts, answer = _early(ports[FULL13.id], always_again=True)
    assert facts.resumed and facts.early_data
    assert b"200 OK" in answer


@needs_gnutls
def test_gnutls_sends_early_data(tmp_path: Path) -> None:
    early = tmp_path / "early"
    config = ours.server_config(FULL13, max_early_data=1000, replay_guard=tls.ReplayGuard())
    with ours.serving(tmp_path / "c.pcapng", {"it": config}) as place:
        port = place.ports["it"]
        early.write_bytes(get(port, "http/1.1"))
        command = ["gnutls-cli", "--x509cafile", chains.root_file(), "--alpn", "http/1.1", "--resume", "-p", str(port)]
        command += ["--waitresumption", "--earlydata", str(early), NAME]
        done = subprocess.run(command, input=early.read_bytes(), capture_output=True, timeout=30, check=False)
    assert b"*** This is a resumed session" in done.stdout
    assert b'"early_data": true' in done.stdout


def _early(port: int, *, always_again: bool = False) -> tuple[tls.Facts, bytes]:
    """A request in early data, and once more after the handshake if it was refused, or in any case."""
    config = ours.client_config(FULL13, early_data=True)
    session = ours.ask(port, config).tickets[-1]
    request, answer = b"GET /early HTTP/1.0\r\n\r\n", b""
    with socket.create_connection((HOST, port), 20) as sock:
        end = tls.Client(config, NAME, now=time.time(), entropy=os.urandom, session=session)
        assert end.early_room > 0
        end.send_early(request)
        while not end.closed:
            if out := end.take_output(time.time()):
                sock.sendall(out)
            if not (data := sock.recv(1 << 16)):
                break
            end.receive(data, time.time())
            for event in iter(end.next_event, None):
                if isinstance(event, tls.Data):
                    answer += event.data
                elif isinstance(event, tls.HandshakeDone) and (always_again or not event.facts.early_data):
                    end.send(request)
    assert end.facts is not None
    return end.facts, answer


@needs_nss
def test_nss_proves_itself_after_the_handshake() -> None:
    config = ours.server_config(FULL13, verify=tls.PathVerifier([chains.root().der]), alpn=())
    with client_of(config, *tstclnt("PORT", "-E", "-n", "it", kind="p256")) as (stream, process):
        write(process, b"hello\n")
        assert stream.recv() == b"hello\n"
        (event,) = authenticated(stream)
        assert isinstance(event, tls.PeerAuthenticated)
        assert event.chain == (chains.client("p256").der,)
