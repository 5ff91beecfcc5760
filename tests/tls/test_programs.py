"""Our ends with ``openssl`` and ``gnutls`` over loopback sockets: what neither Python's ``ssl`` nor the matrix does."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from synfin.tls import Client, HandshakeDone, KeyUpdated, ReplayGuard, Server, Ticket
from tests.tls.ends import NOW, client, client_config, events, leaf, of, said, server, server_config, ticket_keys

OPENSSL = shutil.which("openssl")
GNUTLS_CLI = shutil.which("gnutls-cli")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="the program openssl is not installed")
needs_gnutls = pytest.mark.skipif(GNUTLS_CLI is None, reason="gnutls-cli is not installed")


def run(end: Client | Server, peer: socket.socket, until: Any, seconds: float = 10) -> list[Any]:
    """Drive ``end`` over ``peer`` until ``until(events so far)`` holds or the peer closes."""
    found: list[Any] = []
    peer.settimeout(seconds)
    while True:
        data = end.take_output(NOW)
        if data:
            try:
                peer.sendall(data)
            except OSError:
                return found
        found += events(end)
        if until(found):
            return found
        try:
            data = peer.recv(1 << 16)
        except OSError:
            return found
        if not data:
            end.receive_eof(NOW)
            return found + events(end)
        end.receive(data, NOW)


def done(found: list[Any]) -> bool:
    return bool(of(found, HandshakeDone)) or bool(found and found[-1].__class__.__name__ == "Closed")


def pem(folder: Path, kind: str) -> str:
    path = folder / f"{kind}.pem"
    if not path.exists():
        path.write_bytes(leaf(kind).key_pem + leaf(kind).pem)
    return str(path)


@contextmanager
def program(*command: str | None, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [part for part in command if part],
        stdin=subprocess.PIPE,
        stdout=more.get("stdout", subprocess.DEVNULL),
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def openssl_server(*options: str) -> Iterator[tuple[str, int]]:
    """The address of an ``s_server``, which chooses its port and says so once it listens."""
    command = ["s_server", "-accept", "127.0.0.1:0", *options]
    with program(OPENSSL, *command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        told = next((line for line in process.stdout if line.startswith(b"ACCEPT")), None)
        assert told is not None, "s_server does not listen"
        yield "127.0.0.1", int(told.rsplit(b":", 1)[1])


SERVERS: list[tuple[str, str, list[str], dict[str, Any], dict[str, Any]]] = [
    ("CCM", "p256", ["-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_SHA256"], {"suites": (0x1304,)}, {"suite": 0x1304}),
    ("CCM_8", "p256", ["-ciphersuites", "TLS_AES_128_CCM_8_SHA256"], {"suites": (0x1305,)}, {"suite": 0x1305}),
    ("retry", "p256", ["-groups", "P-384"], {"groups": (29, 24), "shares": 1}, {"group": 24, "retried": True}),
    ("ffdhe", "p256", ["-tls1_3", "-groups", "ffdhe3072"], {}, {"group": 257}),
    ("DHE", "rsa2048", ["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"], {}, {"suite": 0x009E}),
    ("CBC", "rsa2048", ["-cipher", "ECDHE-RSA-AES128-SHA"], {"suites": (0xC013,)}, {"encrypt_then_mac": True}),
    ("RSA", "rsa2048", ["-tls1_2", "-cipher", "AES128-GCM-SHA256"], {"suites": (0x009C,)}, {"suite": 0x009C}),
    ("no tickets", "p256", ["-tls1_2", "-no_ticket"], {}, {"version": 0x0303}),
    ("no compatibility", "p256", ["-tls1_3", "-no_middlebox"], {"middlebox_compatibility": False}, {"version": 0x0304}),
    ("ed25519", "ed25519", [], {}, {"signature": 0x0807}),
]  # fmt: skip


@needs_openssl
@pytest.mark.parametrize(("what", "kind", "options", "config", "facts"), SERVERS, ids=[row[0] for row in SERVERS])
def test_client_with_openssl(
    what: str, kind: str, options: list[str], config: dict[str, Any], facts: dict[str, Any], tmp_path: Path
) -> None:
    command = ["-cert", pem(tmp_path, kind), "-rev", *options]
    with openssl_server(*command) as address, socket.create_connection(address, timeout=10) as peer:
        end = client(client_config(**config))
        found = run(end, peer, done)
        assert of(found, HandshakeDone), found
        told = found[0].facts
        assert {name: getattr(told, name) for name in facts} == facts
        end.send(b"synfin\n")
        found = run(end, peer, lambda found: said(found) == b"nifnys\n")
        assert said(found) == b"nifnys\n"
        if told.version == 0x0304:
            end.update_keys(request=True)
            end.send(b"keys\n")
            found = run(end, peer, lambda found: said(found) == b"syek\n")
            assert of(found, KeyUpdated)
            assert said(found) == b"syek\n"


@needs_openssl
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_client_resumes_with_openssl(version: str, tmp_path: Path) -> None:
    early = ["-early_data", "-max_early_data", "1000", "-no_anti_replay"] if version == "-tls1_3" else ["-rev"]
    with openssl_server("-cert", pem(tmp_path, "p256"), version, *early) as address:
        with socket.create_connection(address, timeout=10) as peer:
            end = client()
            found = run(end, peer, lambda found: bool(of(found, Ticket)))
            session = of(found, Ticket)[0].session
            end.close()
            peer.sendall(end.take_output(NOW))
        with socket.create_connection(address, timeout=10) as peer:
            end = client(client_config(early_data=True), session)
            if version == "-tls1_3":
                assert end.early_room == 1000
                end.send_early(b"early\n")
            found = run(end, peer, done)
            assert of(found, HandshakeDone)[0].facts.resumed
            assert of(found, HandshakeDone)[0].facts.early_data == (version == "-tls1_3")
            if version == "-tls1_3":
                return  # with early data s_server does not answer
            end.send(b"again\n")
            assert said(run(end, peer, lambda found: said(found).endswith(b"niaga\n"))).endswith(b"niaga\n")


CLIENTS: list[tuple[str, str, list[str], dict[str, Any], dict[str, Any]]] = [
    ("CCM", "p256", ["-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_SHA256"], {"suites": (0x1304,)}, {"suite": 0x1304}),
    ("retry", "p256", ["-groups", "X25519:P-384"], {"groups": (24,), "cookie": True}, {"group": 24, "retried": True}),
    ("DHE", "rsa2048", ["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"], {}, {"suite": 0x009E}),
    ("RSA", "rsa2048", ["-tls1_2", "-cipher", "AES128-SHA"], {"suites": (0x002F,)}, {"suite": 0x002F}),
    ("MTE", "rsa2048", ["-tls1_2", "-no_etm", "-cipher", "AES128-SHA"], {"suites": (0x2F,)}, {"suite": 0x2F}),
    ("no EMS", "p256", ["-tls1_2", "-no_ems"], {}, {"extended_master_secret": False}),
    ("ALPN", "p256", ["-alpn", "h2,http/1.1"], {"alpn": (b"http/1.1",)}, {"alpn": b"http/1.1"}),
    ("small records", "p256", ["-max_send_frag", "512"], {}, {"version": 0x0304}),
]  # fmt: skip


@needs_openssl
@pytest.mark.parametrize(("what", "kind", "options", "config", "facts"), CLIENTS, ids=[row[0] for row in CLIENTS])
def test_server_with_openssl(
    what: str, kind: str, options: list[str], config: dict[str, Any], facts: dict[str, Any]
) -> None:
    if what in ("MTE", "no EMS"):
        helped = subprocess.run([OPENSSL or "", "s_client", "-help"], capture_output=True, check=False).stderr
        missing = next((o for o in options if o.startswith("-no_e") and o.encode() not in helped), None)
        if missing:
            pytest.skip(f"this openssl has no {missing}")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = ["s_client", "-connect", f"127.0.0.1:{port}", "-servername", "test.example", *options]
        with program(OPENSSL, *command) as process:
            listener.settimeout(10)
            peer, _ = listener.accept()
            with peer:
                end = server(server_config(kind, ticket_keys=ticket_keys(), **config))
                found = run(end, peer, done)
                assert of(found, HandshakeDone), found
                told = found[0].facts
                assert {name: getattr(told, name) for name in facts} == facts
                assert process.stdin is not None
                process.stdin.write(b"hello from openssl\n")
                process.stdin.flush()
                found = run(end, peer, lambda found: said(found).endswith(b"\n"))
                assert said(found) == b"hello from openssl\n"
                if told.version == 0x0304:
                    process.stdin.write(b"K\n")
                    process.stdin.flush()
                    assert of(run(end, peer, lambda found: bool(of(found, KeyUpdated))), KeyUpdated)


@needs_openssl
def test_early_data_from_openssl(tmp_path: Path) -> None:
    config = server_config(ticket_keys=ticket_keys(), max_early_data=1000, replay_guard=ReplayGuard())
    early = tmp_path / "early"
    early.write_bytes(b"early words")
    session = tmp_path / "session"
    for turn in range(2):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            command = ["s_client", "-connect", f"127.0.0.1:{port}", "-servername", "test.example", "-tls1_3"]
            more = ["-sess_in", str(session), "-early_data", str(early)] if turn else ["-sess_out", str(session)]
            with program(OPENSSL, *command, *more) as process:
                listener.settimeout(10)
                peer, _ = listener.accept()
                with peer:
                    end = Server(config, now=NOW, entropy=os.urandom)
                    found = run(end, peer, done)
                    assert of(found, HandshakeDone), found
                    if not turn:
                        end.send(b"take your ticket\n")
                        end.close()
                        peer.sendall(end.take_output(NOW))
                        process.wait(10)
                    else:
                        assert found[-1].facts.early_data
                        assert said(found) == b"early words"


@needs_gnutls
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_server_with_gnutls(version: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        priority = f"NORMAL:-VERS-ALL:+VERS-TLS{version}"
        with program(GNUTLS_CLI, "--insecure", "--priority", priority, "-p", str(port), "127.0.0.1") as process:
            listener.settimeout(10)
            peer, _ = listener.accept()
            with peer:
                end = server(server_config(ticket_keys=ticket_keys(), record_size_limit=2048))
                found = run(end, peer, done)
                assert of(found, HandshakeDone), found
                assert process.stdin is not None
                process.stdin.write(b"hello\n")
                process.stdin.flush()
                assert said(run(end, peer, lambda found: said(found).endswith(b"\n"))) == b"hello\n"
