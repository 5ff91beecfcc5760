"""``synfin serve`` as a person runs it: the first lines, a page, the capture, the end, and what cannot be done."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from synfin import tls
from synfin.cli.main import main
from synfin.cli.tls_names import suites
from synfin.drive.blocking import connect_tls
from synfin.drive.server_log import explain
from synfin.errors import PeerError
from synfin.pki import mint
from synfin.pki.keys import key_pem, make_key
from synfin.spec.certroots import pem_certificates

SERVE = [sys.executable, "-m", "synfin.cli.main", "serve", "--port", "0"]


@contextmanager
def running(*options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """The command with ``--json``, once it listens: the process and its first line."""
    with subprocess.Popen(
        [*SERVE, "--json", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as one:
        try:
            assert one.stdout is not None
            line = one.stdout.readline()
            assert line, one.stderr and one.stderr.read()
            yield one, json.loads(line)
        finally:
            if one.poll() is None:
                one.terminate()
                one.communicate(timeout=20)


def fetch(port: int, root: bytes, path: str = "/", name: str = "localhost") -> bytes:
    config = tls.ClientConfig(verify=tls.PathVerifier([root]))
    with connect_tls("127.0.0.1", port, config, name=name, timeout=10) as stream:
        stream.send(f"GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        return stream.recv_all()


def port_of(told: dict[str, str]) -> int:
    return int(told["url"].rsplit(":", 1)[1].rstrip("/"))


def test_a_page_a_capture_and_a_graceful_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "page.txt").write_text("a page")
    capture, keys = tmp_path / "c.pcapng", tmp_path / "keys"
    with running(str(tmp_path), "-w", str(capture), "--keylog", str(keys), "--http-port", "0") as (process, told):
        root = Path(told["root"])
        assert stat.S_IMODE(root.parent.stat().st_mode) == 0o700
        (anchor,) = pem_certificates(root.read_bytes())
        got = fetch(port_of(told), anchor, "/page.txt")
        assert got.startswith(b"HTTP/1.1 200 OK") and got.endswith(b"a page")
        with socket.create_connection(("127.0.0.1", int(told["http_url"].rsplit(":", 1)[1].rstrip("/")))) as plain:
            plain.sendall(b"GET /page.txt HTTP/1.0\r\n\r\n")
            assert plain.recv(1 << 16).startswith(b"HTTP/1.1 200 OK")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0 and err == ""
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["event"] for line in lines] == ["request", "request", "stopped"]
    assert lines[0]["target"] == "/page.txt" and lines[0]["status"] == 200
    assert lines[2]["packets"] > 3 and lines[2]["lost"] == 0 and lines[2]["broken"] is None
    assert not root.exists() and not root.parent.exists()
    for path in (capture, keys):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "CLIENT_TRAFFIC_SECRET_0" in keys.read_text()
    assert main(["read", str(capture)]) == 0
    assert "TLS 1.3" in capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["INT", "TERM"])
def test_a_second_signal_ends_at_once_and_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    with (tmp_path / "large").open("wb") as large:
        large.truncate(64 << 20)
    capture = tmp_path / "c.pcapng"
    with running(str(tmp_path), "-w", str(capture)) as (process, told):
        root = Path(told["root"])
        config = tls.ClientConfig(verify=tls.accept_any_certificate)
        stream = connect_tls("127.0.0.1", port_of(told), config, name="localhost", timeout=10)
        stream.send(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert stream.recv().startswith(b"HTTP/1.1 200")
        process.send_signal(number)
        while True:  # until it no longer listens
            try:
                socket.create_connection(("127.0.0.1", port_of(told)), 10).close()
            except ConnectionError:
                break
        while process.poll() is None:
            process.send_signal(number)
            time.sleep(0.05)
        stream.sock.close()
    assert process.returncode == 130, "not at the end of its patience"
    assert not root.parent.exists() and capture.stat().st_size > 1000


def test_own_certificates_by_name_and_key_kind(tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    root = mint.self_signed(mint.root_order("Root", now), make_key("p256"))
    options: list[str] = []
    for name, kind in (("one.test", "p256"), ("one.test", "rsa2048"), ("two.test", "ed25519")):
        made = mint.signed(mint.leaf_order((name,), now), make_key(kind), root)
        pem = tmp_path / f"{name}-{kind}.pem"
        pem.write_bytes(made.pem + key_pem(made.key))
        options += ["--cert", str(pem)]
    with running("--echo", "--strict-sni", *options) as (_, told):
        port = port_of(told)
        assert told["root"] is None and "--resolve one.test" in told["try"]

        def seen(name: str, schemes: tuple[int, ...]) -> int | None:
            config = tls.ClientConfig(verify=tls.PathVerifier([root.der]), schemes=schemes)
            with connect_tls("127.0.0.1", port, config, name=name, timeout=10) as stream:
                return stream.facts.signature if stream.facts else None

        everything = tls.config.signing.DEFAULT
        assert seen("one.test", everything) == 0x0403
        assert seen("one.test", (0x0804, 0x0403)) == 0x0403, "the server's order"
        assert seen("two.test", everything) == 0x0807
        with pytest.raises(ConnectionError, match="unrecognized_name"):
            seen("three.test", everything)


def test_what_cannot_be_done_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    key = make_key("p256")
    root = mint.self_signed(mint.root_order("Root", now), key)
    good, closed, other = tmp_path / "good.pem", tmp_path / "closed.pem", tmp_path / "other.pem"
    good.write_bytes(root.pem + key_pem(key))
    closed.write_bytes(root.pem + key_pem(key, b"right"))
    other.write_bytes(key_pem(make_key("p256")))
    (tmp_path / "password").write_text("wrong\n")
    (tmp_path / "cut").write_bytes(mint.pem(root.der[:-20]) + key_pem(key))
    (tmp_path / "rubbish").write_bytes(b"\xff\0")
    password = str(tmp_path / "password")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        cases = {
            ("--port", str(taken.getsockname()[1])): "Address already in use",
            ("--port", "70000"): "ports are 0 to 65535",
            ("--bind", "192.0.2.1"): "--bind 192.0.2.1: Cannot assign requested address",
            ("-w", "-"): "a capture goes to a file",
            (str(tmp_path / "no"),): "no such folder",
            (str(tmp_path), "--echo"): "choose one of",
            ("--cert", str(tmp_path / "no")): "No such file",
            ("--cert", str(tmp_path / "rubbish")): "no certificate in PEM",
            ("--cert", str(good), "--key", str(other)): "does not belong",
            ("--cert", str(closed)): "--password-file",
            ("--cert", str(closed), "--password-file", password): "wrong password",
            ("--key", str(good)): "needs its certificate",
            ("--client-ca", str(tmp_path / "rubbish")): "no root certificates",
            ("--client-cert", "optional"): "--client-ca",
            ("--tls-min", "1.3", "--tls-max", "1.2"): "above",
            ("--tls-min", "1.1"): "choose 1.2 or 1.3",
            ("--ciphers", "RC4-MD5"): "no such cipher suite",
            ("--groups", "sect163k1"): "no such group",
            ("--key-kind", "dsa"): "choose from",
            ("--keylog", str(tmp_path)): "Is a directory",
            ("-w", str(tmp_path / "no" / "file")): "No such file",
            ("--idle-timeout", "0"): "more than 0",
            (str(good),): "a file, not a folder",
            ("--cert", str(tmp_path / "cut")): "a damaged certificate",
            ("--cert", str(good), "--name", "x.test"): "--name is for",
            ("--cert", str(good), "--key-kind", "p384"): "--key-kind is for",
            ("--ocsp", str(good)): "--ocsp without --cert",
            ("--alpn", " "): "names, separated by commas",
            ("--ciphers", ","): "names, separated by commas",
            ("--client-ca", str(good), "--client-cert", "later"): "on-request",
            ("--early-data", "9999999"): "0 to 1048576",
            ("--early-data", "1", "--tickets", "0"): "--early-data needs tickets",
            ("--early-data", "1", "--tls-max", "1.2"): "--early-data needs tickets",
        }
        for options, told in cases.items():
            words = ["serve", *(() if "--port" in options else ("--port", "0")), *options]
            assert main(words) == 2, options
            err = capsys.readouterr().err
            assert told in err and err.count("\n") == 1, (options, err)


def test_an_expired_certificate_is_warned_of(tmp_path: Path) -> None:
    then = datetime.now(UTC).replace(microsecond=0) - timedelta(days=30)
    root = mint.self_signed(mint.root_order("Root", then), make_key("p256"))
    old = mint.signed(mint.leaf_order(("localhost",), then, life=timedelta(days=3)), make_key("p256"), root)
    pem = tmp_path / "old.pem"
    pem.write_bytes(old.pem + key_pem(old.key))
    with running("--echo", "--cert", str(pem)) as (process, _):
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 0
        assert "warning" in err and "expired on" in err and err.count("\n") == 1


def test_a_certificate_that_cannot_sign_is_warned_of(tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    root = mint.self_signed(mint.root_order("Root", now), make_key("p256"))
    order = replace(mint.leaf_order(("localhost",), now), key_usage=("keyEncipherment",))
    made = mint.signed(order, make_key("rsa2048"), root)
    pem = tmp_path / "encrypts.pem"
    pem.write_bytes(made.pem + key_pem(made.key))
    with running("--echo", "--cert", str(pem), "--tls-max", "1.2", "--ciphers", "AES128-GCM-SHA256") as (process, _):
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 0
        assert "warning" in err and "only static RSA" in err and err.count("\n") == 1


@pytest.mark.parametrize("place", ["127.0.0.5", "::1", "::"])
def test_the_line_that_is_printed_reaches_the_server(place: str) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    try:
        with socket.socket(socket.AF_INET6 if ":" in place else socket.AF_INET) as probe:
            probe.bind((place, 0))
    except OSError:
        pytest.skip(f"this machine has no {place}")
    with running("--echo", "--bind", place) as (_, told):
        words = [*shlex.split(told["try"]), "-sS"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0 and '"method": "GET"' in done.stdout, done.stderr


def test_a_full_disk_for_secrets_is_told_once_and_stops_nobody() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with running("--echo", "--keylog", "/dev/full") as (process, told):
        root = pem_certificates(Path(told["root"]).read_bytes())[0]
        assert all(b"200 OK" in fetch(port_of(told), root) for _ in range(2))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert "No space left" in err and err.count("\n") == 1


def test_the_environment_gets_no_secrets(tmp_path: Path) -> None:
    """SSLKEYLOGFILE is for clients: the server logs keys only where --keylog says so."""
    keys = tmp_path / "keys"
    os.environ["SSLKEYLOGFILE"] = str(keys)
    try:
        with running("--echo") as (_, told):
            assert b"200 OK" in fetch(port_of(told), pem_certificates(Path(told["root"]).read_bytes())[0])
    finally:
        del os.environ["SSLKEYLOGFILE"]
    assert not keys.exists()


@pytest.mark.parametrize(
    "written, codes",
    [
        ("TLS_AES_128_GCM_SHA256", (0x1301,)),  # not static RSA, which OpenSSL calls AES128-GCM-SHA256
        ("tls_aes_256_gcm_sha384,TLS_CHACHA20_POLY1305_SHA256", (0x1302, 0x1303)),
        ("AES128-GCM-SHA256", (0x009C,)),
        ("TLS_RSA_WITH_AES_128_GCM_SHA256", (0x009C,)),
        ("ECDHE-ECDSA-AES128-GCM-SHA256", (0xC02B,)),
    ],
)
def test_suites_by_the_names_of_iana_and_of_openssl(written: str, codes: tuple[int, ...]) -> None:
    assert suites(written, "--ciphers") == codes


def test_a_clients_certificate_is_refused_in_one_sentence() -> None:
    why = PeerError("certificate_wrong_usage", "a certificate that holds", "The client certificate x is for serverAuth")
    told, name = explain(why)
    assert told.startswith("the client certificate x is for serverAuth [certificate_wrong_usage; alert ")
    assert name == "certificate_wrong_usage"
    told, _ = explain(PeerError("certificate_wrong_usage"))
    assert told.startswith("the client's certificate is for another use [")
