"""One verdict: what ``synfin trace`` says at its end, what its JSON says, what ``synfin check`` says of its file."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from synfin.cli.main import main
from synfin.drive.capture import may_capture
from synfin.pki.faultkit import Bench
from synfin.pki.keys import key_pem
from synfin.tls.signing import parse_certificate

Handler = Callable[[socket.socket], None]
#: Seconds of silence after which the judge speaks of one (rules HTP104, TLS112, HTP102).
SILENCE = "2.2"
NGINX = b"The plain HTTP request was sent to HTTPS port"


@dataclass
class Servers:
    """Raw servers on loopback, each for a few connections; their certificate, and the root that signs it."""

    folder: Path
    context: ssl.SSLContext
    listening: list[socket.socket] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def root(self) -> str:
        return str(self.folder / "root.pem")

    def plain(self, handle: Handler) -> int:
        """The port of a server that gives every connection to ``handle``."""
        server = socket.create_server(("127.0.0.1", 0))
        self.listening.append(server)

        def serve() -> None:
            while True:
                try:
                    connection = server.accept()[0]
                except OSError:
                    return
                threading.Thread(target=one, args=(connection,), daemon=True).start()

        def one(connection: socket.socket) -> None:
            with connection:
                connection.settimeout(20)
                try:
                    handle(connection)
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        return int(server.getsockname()[1])

    def secure(self, handle: Handler) -> int:
        """The same behind TLS."""

        def shaken(connection: socket.socket) -> None:
            with self.context.wrap_socket(connection, server_side=True) as stream:
                handle(stream)

        return self.plain(shaken)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("verdict")
    bench = Bench(datetime.now(UTC).replace(microsecond=0))
    leaf = bench.leaf(bench.order("localhost"))
    for name, ders in {"root": (bench.root.der,), "chain": (leaf.der, bench.middle.der)}.items():
        data = b"".join(parse_certificate(der).public_bytes(Encoding.PEM) for der in ders)
        (folder / f"{name}.pem").write_bytes(data)
    (folder / "key.pem").write_bytes(key_pem(leaf.key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "chain.pem", folder / "key.pem")
    found = Servers(folder, context)
    yield found
    found.over.set()
    for one in found.listening:
        one.shutdown(socket.SHUT_RDWR)
        one.close()


def asked(stream: socket.socket) -> None:
    """Read a request's head."""
    got = b""
    while b"\r\n\r\n" not in got:
        part = stream.recv(4096)
        if not part:
            raise ConnectionAbortedError
        got += part


def reset(stream: socket.socket) -> None:
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def answers(data: bytes, then: float = 0.0) -> Handler:
    """Answer a request with ``data``, and wait ``then`` seconds before the close."""

    def handle(stream: socket.socket) -> None:
        asked(stream)
        stream.sendall(data)
        time.sleep(then)

    return handle


def half_a_hello(stream: socket.socket) -> None:
    stream.recv(1 << 14)
    stream.sendall(bytes.fromhex("160303007a0200007603030102"))
    time.sleep(4)


def resets_long_hellos(context: ssl.SSLContext) -> Handler:
    def handle(stream: socket.socket) -> None:
        time.sleep(0.05)
        if len(stream.recv(1 << 16, socket.MSG_PEEK)) > 1000:
            stream.recv(1 << 16)
            reset(stream)
            return
        with context.wrap_socket(stream, server_side=True) as secure:
            asked(secure)

    return handle


@dataclass(frozen=True)
class Case:
    """A server, how it is asked, and the root that must be named."""

    code: str
    scheme: str
    handle: Handler
    tls: bool = True  # whether the server speaks it
    arguments: tuple[str, ...] = ()


CASES = {
    "stalled_body": Case(
        "HTP104", "https", answers(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", 4), arguments=("-m", SILENCE)
    ),
    "stalled_head": Case(
        "HTP104", "http", answers(b"HTTP/1.1 200 OK\r\nContent-Le", 4), tls=False, arguments=("-m", SILENCE)
    ),
    "head_cut_by_the_server": Case("HTP202", "http", answers(b"HTTP/1.1 200 OK\r\nContent-Le"), tls=False),
    "no_status_line": Case("HTP202", "http", answers(b"HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n"), tls=False),
    "silent": Case("HTP102", "http", answers(b"", 4), tls=False, arguments=("-m", SILENCE)),
    "stalled_handshake": Case("TLS112", "https", half_a_hello, tls=False, arguments=("--connect-timeout", SILENCE)),
    "plain_to_tls": Case("TLS102", "http", asked),
    "tls_to_plain": Case("TLS101", "https", lambda stream: stream.sendall(b"HTTP/1.1 400 No\r\n\r\n"), tls=False),
    "short_body": Case("HTP201", "https", answers(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")),
    "answered_in_tls": Case("TLS102", "http", answers(b"\x15\x03\x01\x00\x02\x02\x0a"), tls=False),
    "no_answer": Case("HTP103", "http", answers(b""), tls=False),
    "said_by_nginx": Case(
        "TLS102",
        "http",
        answers(b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%s" % (len(NGINX), NGINX)),
        tls=False,
    ),
}


@pytest.mark.parametrize("name", ["tls_to_plain", "said_by_nginx", "answered_in_tls"])
def test_one_verdict_without_packets(
    name: str,
    servers: Servers,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("synfin.cli.trace_run.may_capture", lambda: "needs CAP_NET_RAW")
    case = CASES[name]
    port = servers.secure(case.handle) if case.tls else servers.plain(case.handle)
    _same(case.code, f"{case.scheme}://localhost:{port}/", case.arguments, servers, capsys, tmp_path)


@pytest.mark.parametrize("name", CASES)
def test_one_verdict(name: str, servers: Servers, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    if may_capture():
        pytest.skip(f"cannot capture packets: {may_capture()}")
    case = CASES[name]
    port = servers.secure(case.handle) if case.tls else servers.plain(case.handle)
    _same(case.code, f"{case.scheme}://localhost:{port}/", case.arguments, servers, capsys, tmp_path)


def test_the_length_of_a_hello_is_named_where_a_second_try_shows_it(
    servers: Servers, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    if may_capture():
        pytest.skip(f"cannot capture packets: {may_capture()}")
    port = servers.plain(resets_long_hellos(servers.context))
    _same("TLS204", f"https://localhost:{port}/", (), servers, capsys, tmp_path)


def _same(
    code: str, url: str, more: tuple[str, ...], servers: Servers, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Text, JSON and ``check`` of the kept file name ``code`` in the same words, and say what to do."""
    kept = str(tmp_path / "kept.pcapng")
    arguments = ["trace", "-4", "--cacert", servers.root, "-w", kept, *more, url]
    assert main([*arguments, "--width", "300"]) == 1
    text = capsys.readouterr().out
    assert main(["check", "--json", kept]) == 1
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    heavy = [one["finding"] for one in found if one.get("finding", {}).get("severity") in ("warning", "error")]
    assert [one["code"] for one in heavy] == [code]
    verdict = text[text.index(f"{heavy[0]['severity']} {code}: {heavy[0]['title']}") :]
    assert "To do (" in verdict and "Proof: packet" in verdict
    assert f"[{code}]" not in text
    assert main([*arguments, "--json"]) == 1
    live = json.loads(capsys.readouterr().out.splitlines()[0])
    if live["trace"]["failed"] is not None:
        assert live["trace"]["failed"]["rule"] == live["findings"][0]["code"] == code
        assert live["trace"]["failed"]["words"] == live["findings"][0]["title"]


def _redirects(location: bytes) -> Handler:
    return answers(
        b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nConnection: close\r\nLocation: " + location + b"\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("location", "words"),
    [(b"/", "in a circle: http://localhost:"), (b"ftp://x/", "leads nowhere"), (b"http://a..b/", "leads nowhere")],
    ids=["circle", "scheme", "host"],
)
def test_redirects_without_end(
    location: bytes, words: str, servers: Servers, capsys: pytest.CaptureFixture[str]
) -> None:
    port = servers.plain(_redirects(location))
    assert main(["trace", "-4", "-L", "--width", "300", f"http://localhost:{port}/"]) == 1
    last = capsys.readouterr().out.splitlines()[-2:]
    assert last[0].startswith("error: ") and words in last[0] and last[1].startswith("    To do: ")


def test_out_of_tls_is_told(servers: Servers, capsys: pytest.CaptureFixture[str]) -> None:
    clear = servers.plain(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
    port = servers.secure(_redirects(b"http://localhost:%d/" % clear))
    assert main(["trace", "-4", "-L", "--cacert", servers.root, f"https://localhost:{port}/"]) == 0
    assert "out of TLS" in " ".join(capsys.readouterr().out.split())


def test_a_status_is_a_failure_for_those_who_want_that(servers: Servers, capsys: pytest.CaptureFixture[str]) -> None:
    port = servers.plain(answers(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
    assert main(["trace", "-4", f"http://localhost:{port}/"]) == 0
    assert main(["trace", "-4", "-f", f"http://localhost:{port}/"]) == 1
    assert "status 503" in capsys.readouterr().out.splitlines()[-1]
