"""The OCSP responder over real sockets: OpenSSL asks, hostile clients ask, and it stops when it is told to."""

from __future__ import annotations

import base64
import http.client
import shutil
import socket
import subprocess
import threading
import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.x509 import load_der_x509_crl, ocsp

from synfin.drive.ocsp_responder import MOST, Responder
from synfin.errors import UsageError
from synfin.pki import mint, revocation
from synfin.pki.revocation import Standing
from synfin.pki.store import Store
from synfin.spec.certificates import certificate_facts


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    now = datetime.now(UTC)
    made = Store.create(tmp_path_factory.mktemp("ocsp") / "ca", mint.root_order("Root", now))
    for name in ("good.example", "lost.example"):
        made.issue(mint.leaf_order((name,), now), now)
    made.revoke(made.find("lost.example")[1].serial, now, "keyCompromise")
    return made


@pytest.fixture(scope="module")
def responder(store: Store) -> Iterator[Responder]:
    with Responder(store, "127.0.0.1", 0, life=timedelta(hours=3)) as served:
        thread = threading.Thread(target=served.serve)
        thread.start()
        yield served
        served.stop()
        thread.join()


def ask(responder: Responder, method: str, path: str, body: bytes | None = None) -> tuple[int, dict[str, str], bytes]:
    address = urllib.parse.urlsplit(responder.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    connection.request(method, path, body)
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return found


def leaf(store: Store, name: str) -> bytes:
    from synfin.spec.certroots import pem_certificates

    return pem_certificates((store.folder / store.find(name)[1].folder / "certificate.pem").read_bytes())[0]


@pytest.mark.parametrize(("name", "standing"), [("good.example", Standing.GOOD), ("lost.example", Standing.REVOKED)])
@pytest.mark.parametrize("how", ["GET", "POST", "GET unescaped"])
def test_a_request_is_answered(responder: Responder, store: Store, name: str, standing: Standing, how: str) -> None:
    request = revocation.make_request(leaf(store, name), store.certificate())
    if how == "POST":
        status, headers, body = ask(responder, "POST", "/", request)
        assert headers["cache-control"] == "no-store"
    else:
        text = base64.b64encode(request).decode()
        path = f"/{text if 'unescaped' in how else urllib.parse.quote(text, safe='')}"
        status, headers, body = ask(responder, "GET", path)
        assert "max-age=10" in headers["cache-control"]  # three hours, less what has passed
        assert headers["etag"]
        assert headers["expires"]
    assert (status, headers["content-type"]) == (200, "application/ocsp-response")
    now = datetime.now(UTC)
    assert revocation.status(leaf(store, name), store.certificate(), now, stapled=body).standing is standing


def test_a_nonce_comes_back_and_is_not_cached(responder: Responder, store: Store) -> None:
    request = revocation.make_request(leaf(store, "good.example"), store.certificate(), nonce=b"0123456789abcdef")
    _, headers, body = ask(responder, "GET", "/" + urllib.parse.quote(base64.b64encode(request), safe=""))
    (extension,) = ocsp.load_der_ocsp_response(body).extensions
    assert extension.value.nonce == b"0123456789abcdef"
    assert headers["cache-control"] == "no-store"


def test_crl_and_certificate_are_handed_out(responder: Responder, store: Store) -> None:
    status, headers, body = ask(responder, "GET", "/root.crl")
    assert (status, headers["content-type"]) == (200, "application/pkix-crl")
    assert [one.serial_number for one in load_der_x509_crl(body)] == [
        certificate_facts(leaf(store, "lost.example")).serial
    ]
    assert ask(responder, "GET", "/root.cer")[2] == store.certificate()
    assert ask(responder, "HEAD", "/root.crl")[2] == b""


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/", None, 404),
        ("GET", "/../../etc/passwd", None, 404),
        ("GET", "/nobody.crl", None, 404),
        ("GET", "/root.key", None, 404),
        ("GET", "/" + "A" * (MOST + 1), None, 414),
        ("POST", "/", b"\0" * (MOST + 1), 413),
        ("POST", "/", b"", 200),
        ("POST", "/", b"\x30\x82\xff\xff", 200),
        ("GET", "/AAAA", None, 200),
        ("PUT", "/", b"x", 501),
    ],
)
def test_strange_requests(responder: Responder, method: str, path: str, body: bytes | None, status: int) -> None:
    got, _, answer = ask(responder, method, path, body)
    assert got == status
    if got == 200:
        found = ocsp.load_der_ocsp_response(answer).response_status
        assert found is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


def test_others_are_answered_while_one_says_nothing(responder: Responder, store: Store) -> None:
    address = urllib.parse.urlsplit(responder.url)
    slow = [socket.create_connection((address.hostname or "", address.port or 0)) for _ in range(8)]
    slow[0].sendall(b"POST / HTTP/1.1\r\nContent-Length: 50\r\n\r\nhalf")
    assert ask(responder, "GET", "/root.cer")[0] == 200
    for one in slow:
        one.close()
    assert ask(responder, "GET", "/root.cer")[0] == 200


def test_a_taken_port_is_told_in_one_line(responder: Responder, store: Store) -> None:
    port = urllib.parse.urlsplit(responder.url).port or 0
    with pytest.raises(UsageError, match="in use"):
        Responder(store, "127.0.0.1", port)
    with pytest.raises(UsageError, match="cannot listen"):
        Responder(store, "no.such.host.invalid", 0)


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl as foreign judge")
@pytest.mark.parametrize(("name", "said"), [("good.example", ": good"), ("lost.example", ": revoked")])
def test_openssl_asks(responder: Responder, store: Store, name: str, said: str) -> None:
    root = str(store.folder / "root" / "certificate.pem")
    file = str(store.folder / store.find(name)[1].folder / "certificate.pem")
    command = ["openssl", "ocsp", "-issuer", root, "-cert", file, "-CAfile", root, "-url", responder.url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"})
    assert "Response verify OK" in done.stderr, done.stderr
    assert "nonce" not in done.stderr.lower(), done.stderr
    assert said in done.stdout


def test_a_signal_stops_the_command(store: Store, tmp_path: Path) -> None:
    import signal
    import sys

    command = [sys.executable, "-m", "synfin.cli.main", "ca", "ocsp", "--ca", str(store.folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert "Ctrl-C stops it" in first
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "stopped after 0 answers\n", "")
