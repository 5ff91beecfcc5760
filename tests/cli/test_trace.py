"""``synfin trace`` as its user meets it: against Python's HTTPS server and OpenSSL, with tshark reading after it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from synfin.cli.main import main
from synfin.drive.capture import may_capture
from synfin.pki.faultkit import DAY, Bench, dated
from synfin.pki.keys import key_pem, load_key
from synfin.pki.mint import Credential
from synfin.tls.signing import parse_certificate


def pem(*ders: bytes) -> bytes:
    return b"".join(parse_certificate(der).public_bytes(Encoding.PEM) for der in ders)


class Answers(BaseHTTPRequestHandler):
    """A few pages."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or the judge rightly tells of delayed acknowledgments
    wbufsize = -1

    def do_GET(self) -> None:
        body = b"<!doctype html>\n<p>A page of the test.\n"
        status, fields = 200, {"Content-Type": "text/html", "X-Odd": "caf\xe9 \x1b[31m"}
        if self.path == "/gone":
            status = 404
        elif self.path == "/moved":
            status, fields["Location"] = 302, "/"
        elif self.path == "/moved/nowhere":
            status = 302
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        told = json.dumps([self.headers.get("Content-Type"), self.headers.get("Authorization"), body.decode()]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, format: str, *args: object) -> None:
        return


@dataclass(frozen=True)
class Site:
    """A server on loopback: its URLs, and the root that signs it."""

    http: str
    https: str
    expired: str
    root: str
    folder: Path


def _https(folder: Path, name: str, leaf: Credential, *above: bytes) -> ThreadingHTTPServer:
    chain, key = folder / f"{name}.pem", folder / f"{name}.key"
    chain.write_bytes(pem(leaf.der, *above))
    key.write_bytes(key_pem(leaf.key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return server


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    now = datetime.now(UTC).replace(microsecond=0)
    bench = Bench(now)
    root = folder / "root.pem"
    root.write_bytes(pem(bench.root.der))
    good = bench.leaf(bench.order("localhost"))
    old = bench.leaf(dated(bench.order("localhost"), now - 30 * DAY, now - 3 * DAY))
    servers = [
        ThreadingHTTPServer(("127.0.0.1", 0), Answers),
        _https(folder, "good", good, bench.middle.der),
        _https(folder, "old", old, bench.middle.der),
    ]
    threads = [threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True) for server in servers]
    for thread in threads:
        thread.start()
    urls = [
        f"{scheme}://localhost:{server.server_address[1]}"
        for scheme, server in zip(("http", "https", "https"), servers, strict=True)
    ]
    yield Site(urls[0], urls[1], urls[2], str(root), folder)
    for server in servers:
        server.shutdown()
        server.server_close()


def trace(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of ``synfin trace -4``."""
    code = main(["trace", "-4", "--width", "120", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_story_of_a_good_site(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = trace(capsys, "--cacert", site.root, f"{site.https}/")
    assert (code, err) == (0, "")
    labels = [line[2:10].strip() for line in out.splitlines() if line.startswith("  ") and line[2] != " "]
    told = ["DNS", "TCP", "TLS", "Cert", "HTTP", "Body", "Close", "Time", "Capture", "Judged"]
    assert list(dict.fromkeys(labels)) == told  # messages of TLS come between others too
    spoken = [line for line in out.splitlines() if " ← " in line or " → " in line]
    assert any(" → close_notify " in line for line in spoken)
    for name in ("ClientHello", "ServerHello", "EncryptedExtensions", "Certificate", "CertificateVerify"):
        assert sum(f" {name} " in line for line in spoken) == 1, name
    assert sum(" Finished " in line for line in spoken) == 2
    for words in (
        "TLS 1.3, TLS_",
        "localhost: trusted, 34 days left",
        "localhost ← Fault Intermediate ← Fault Root (in ",
        "> GET / HTTP/1.1",
        "< HTTP/1.1 200 OK",
        "39 octets of text/html",
        "| <p>A page of the test.",
        "no finding",
    ):
        assert words in out
    assert "\x1b" not in out and "\\x1b[31m" in out


def test_an_expired_site_is_not_asked(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = trace(capsys, "--cacert", site.root, f"{site.expired}/")
    assert code == 1 and "> GET" not in out
    for words in ("NOT TRUSTED", "NET::ERR_CERT_DATE_INVALID", "expired since", "error CRT201"):
        assert words in out
    code, out, _ = trace(capsys, "-k", "--cacert", site.root, f"{site.expired}/")
    assert code == 0 and "went on because of -k" in out and "< HTTP/1.1 200 OK" in out


def test_a_stranger_is_not_trusted(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    other = site.folder / "other.pem"
    other.write_bytes(pem(Bench(datetime.now(UTC)).root.der))
    code, out, _ = trace(capsys, "--cacert", str(other), f"{site.https}/")
    assert code == 1 and "ERR_CERT_AUTHORITY_INVALID" in out and "CRT10" in out


def test_an_international_name_is_told_as_people_read_it(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = trace(capsys, "--resolve", "bücher.example:1:127.0.0.1", "http://bücher.example:1/")
    assert out.startswith("GET http://xn--bcher-kva.example:1/ (bücher.example)\n")


def test_another_name_is_told(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = trace(capsys, "--cacert", site.root, "--sni", "other.example", f"{site.https}/")
    assert code == 1 and "ERR_CERT_COMMON_NAME_INVALID" in out and "error CRT301" in out


@pytest.mark.parametrize("form", ["packets", "records"])
def test_tshark_and_synfin_read_the_capture(
    form: str, site: Site, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if form == "packets" and may_capture():
        pytest.skip(f"cannot capture packets: {may_capture()}")
    if form == "records":
        monkeypatch.setattr("synfin.cli.trace_run.may_capture", lambda: "needs CAP_NET_RAW")
    path = tmp_path / "kept.pcapng"
    code, out, _ = trace(capsys, "--cacert", site.root, "-w", str(path), f"{site.https}/")
    assert code == 0 and f"kept in {path} with the TLS secrets" in " ".join(out.split())
    assert ("needs CAP_NET_RAW" in out) == (form == "records")
    assert path.stat().st_mode & 0o777 == 0o600
    assert main(["read", str(path), "-c", "0"]) == 0
    story = capsys.readouterr().out
    assert "HTTP/1.1 request GET /" in story and "response 200" in story and "close_notify" in story
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed: only synfin read the capture")
    told = subprocess.run(
        [
            tshark,
            "-r",
            str(path),
            "-Y",
            "http",
            "-T",
            "fields",
            "-e",
            "http.request.method",
            "-e",
            "http.response.code",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert told.stdout.split() == ["GET", "200"]


def test_json_has_what_only_a_live_run_knows(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = trace(capsys, "--json", "-L", "--cacert", site.root, f"{site.https}/moved")
    assert code == 0
    first, second = map(json.loads, out.splitlines())
    assert [one["trace"]["hop"] for one in (first, second)] == [0, 1]
    assert first["trace"]["location"] == "/" and first["trace"]["followed"] is True
    assert (first["trace"]["status"], second["trace"]["status"]) == (302, 200)
    live = second["trace"]
    assert live["certificate"]["trusted"] is True and live["certificate"]["days_left"] == 34
    assert live["body"] == {
        "octets": 39,
        "duration_ns": live["body"]["duration_ns"],
        "complete": True,
        "stopped": False,
    }
    assert live["attempts"][0]["fate"] == "connected" and live["failed"] is None
    assert second["http"] is not None and second["synfin"]["schema"] == 1


def test_json_of_a_host_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = trace(capsys, "--json", "http://nosuch.invalid/")
    said = json.loads(out)
    assert code == 2 and said["id"] is None and said["trace"]["failed"]["step"] == "dns"
    assert err.count("\n") == 1 and "nosuch.invalid" in err


def test_bodies_go_where_they_are_sent(site: Site, capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path) -> None:
    kept = tmp_path / "body"
    assert main(["trace", "-4", "-o", str(kept), f"{site.http}/"]) == 0
    assert kept.read_bytes().startswith(b"<!doctype html>")
    capfdbinary.readouterr()
    assert main(["trace", "-4", "-o", "-", f"{site.http}/"]) == 0
    sys.stdout.flush()
    said = capfdbinary.readouterr()
    assert said.out.endswith(b"<p>A page of the test.\n") and b"DNS" not in said.out and b"DNS" in said.err
    assert main(["trace", "-4", "-L", "-o", "-", f"{site.http}/moved"]) == 0
    sys.stdout.flush()
    said = capfdbinary.readouterr()
    assert said.out.count(b"A page") == 1 and said.err.count(b"to stdout") == 1  # the first body was not wanted
    assert main(["trace", "-4", "-L", "-o", str(kept), f"{site.http}/moved/nowhere"]) == 0
    assert kept.read_bytes().startswith(b"<!doctype html>")  # a redirect without a place is an answer


def test_requests_as_curl_makes_them(site: Site, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_bytes(b"a=1\n&b=2\n")
    kept = tmp_path / "answer"
    arguments = ["-d", f"@{data}", "-d", "c=3", "-u", "me:secret", "-o", str(kept), f"{site.http}/"]
    code, out, _ = trace(capsys, *arguments)
    assert code == 0 and "secret" not in out
    form, login, body = json.loads(kept.read_bytes())
    assert (form, body) == ("application/x-www-form-urlencoded", "a=1&b=2&c=3") and login.startswith("Basic ")
    curl = shutil.which("curl")
    if curl is not None:
        told = subprocess.run(
            [curl, "-s", *arguments[:-3], f"{site.http}/"], capture_output=True, timeout=30, check=True
        )
        assert json.loads(told.stdout) == [form, login, body]
    raw = ["--data-raw", "@a", "-b", "a=1", "-b", "b=2", "--compressed", "-o", str(kept), f"{site.http}/"]
    code, out, _ = trace(capsys, *raw)
    assert code == 0 and "Accept-Encoding: gzip" in out and "Cookie: …" in out
    assert json.loads(kept.read_bytes())[2] == "@a"
    code, out, _ = trace(capsys, "-I", f"{site.http}/gone")
    assert code == 0 and "> HEAD /gone" in out and "< HTTP/1.1 404" in out
    assert trace(capsys, "-f", f"{site.http}/gone")[0] == 1


def test_http_and_https_side_by_side(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--compare", "--cacert", site.root, f"{site.https}/", "--http-url", f"{site.http}/"]
    code, out, _ = trace(capsys, *arguments)
    assert code == 0
    plain, secure = out.split("What a sniffer reads of ")[1:]
    assert "A page of the test" in plain and "A page of the test" not in secure and "not seen" in secure
    assert "round trips to the first octet" in out and "octets" in out
    code, out, _ = trace(capsys, "--json", *arguments)
    costs = {one: json.loads(out)["compare"][one]["costs"] for one in ("http", "https")}
    assert costs["https"]["stream_octets"] > costs["http"]["stream_octets"]
    assert costs["https"]["round_trips"] == costs["http"]["round_trips"] + 1
    parts = [costs["https"][f"{part}_octets"] for part in ("http", "handshake", "sealing")]
    assert sum(parts) == costs["https"]["stream_octets"] and min(parts) > 0
    assert costs["http"]["http_octets"] == costs["http"]["stream_octets"]


LENGTHS = ("ip.len", "tcp.len", "tls.handshake.length")


def test_tshark_counts_the_same_octets(site: Site, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tshark = shutil.which("tshark")
    if tshark is None or may_capture():
        pytest.skip(f"needs tshark, and packets: {may_capture() or 'tshark is not installed'}")
    urls = [f"{site.https}/", "--http-url", f"{site.http}/"]
    code, out, _ = trace(capsys, "--compare", "-w", str(tmp_path / "both.pcapng"), "--cacert", site.root, *urls)
    rows = {line[:32].strip(): line[32:].split() for line in out.splitlines()}
    assert code == 0
    for place, scheme in enumerate(("http", "https")):
        fields = [word for name in (*LENGTHS, "tcp.analysis.retransmission") for word in ("-e", name)]
        command = [tshark, "-r", str(tmp_path / f"both-{scheme}.pcapng"), "-Y", "tcp", "-T", "fields", *fields]
        told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
        packets = [line.split("\t") for line in told]
        assert rows["packets"][place] == f"{len(packets):,}"
        assert rows["octets with IP and TCP headers"][place] == f"{sum(int(one[0]) for one in packets):,}"
        assert rows["octets of the streams"][place] == f"{sum(int(one[1]) for one in packets if not one[3]):,}"
        lengths = [int(size) + 4 for one in packets for size in one[2].split(",") if size]
        assert rows["TLS handshake messages"][place] == (f"{sum(lengths):,}" if lengths else "-")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--tls-max", "1.1", "https://localhost/"],
        ["--ciphers", "RC4-MD5", "https://localhost/"],
        ["--curves", "curve", "https://localhost/"],
        ["-6", "-4", "https://localhost/"],
        ["-H", "nothing", "https://localhost/"],
        ["--resolve", "x", "https://localhost/"],
        ["--cacert", "nowhere/file", "https://localhost/"],
        ["-w", "nowhere/file", "http://localhost/"],
        ["-o", "nowhere/file", "http://localhost/"],
        ["--key", "nowhere/file", "https://localhost/"],
        ["-X", "A B", "http://localhost/"],
        ["ftp://localhost/"],
        ["--compare", "https://localhost:1/"],
        ["--compare", "http://localhost:1/"],
        ["--http-url", "http://localhost/", "https://localhost/"],
        ["--compare", "-L", "https://localhost/"],
        ["--pass", "secret", "https://localhost/"],
        ["--http1.1", "--http2", "https://localhost/"],
        ["--http2", "--http2-prior-knowledge", "https://localhost/"],
        ["--ciphers", "", "https://localhost/"],
        ["--groups", " ", "https://localhost/"],
        ["--sni", "a b", "https://localhost/"],
        ["--connect-to", "::localhost:99999", "https://localhost/"],
        ["--connect-to", "::a b:1", "https://localhost/"],
        ["--resolve", "localhost:0:127.0.0.1", "https://localhost/"],
        ["-o", ".", "http://localhost/"],
        ["-w", "-", "http://localhost/"],
        ["-I", "-d", "x", "http://localhost/"],
        ["-I", "--data-raw", "x", "http://localhost/"],
        ["-b", "cookies.txt", "http://localhost/"],
        ["--ciphers", "HIGH:!aNULL", "https://localhost/"],
        ["http://localhost:0/"],
    ],
    ids=lambda arguments: " ".join(arguments[:-1]) or arguments[0],
)
def test_mistakes_are_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = trace(capsys, *arguments)
    assert (code, out) == (2, "") and err.count("\n") == 1 and err.startswith("synfin: ")


@pytest.mark.parametrize(
    ("option", "word", "meant"),
    [
        ("--ciphers", "TLS_AES_128_GCM_SHA25", "TLS_AES_128_GCM_SHA256"),
        ("--ciphers", "ECDHE-RSA-AES128-GCM-SHA265", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
        ("--curves", "X2551", "x25519"),
        ("--groups", "prime256v2", "secp256r1"),
    ],
)
def test_near_misses_are_asked_back(option: str, word: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = trace(capsys, option, word, "https://localhost/")
    assert code == 2 and f"did you mean {meant}" in err


def test_http2_is_offered_or_known_beforehand(site: Site, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """As curl means them: --http2 offers it, --http2-prior-knowledge takes nothing else."""
    code, out, _ = trace(capsys, "--http2", "--cacert", site.root, f"{site.https}/")
    assert code == 0 and "ALPN h2 or http/1.1" in out and "> GET / HTTP/1.1" in out
    code, out, err = trace(capsys, "--http2", f"{site.http}/")
    assert code == 0 and "> GET / HTTP/1.1" in out and "--http2-prior-knowledge" in err
    known = "--http2-prior-knowledge"
    code, out, _ = trace(capsys, known, "--cacert", site.root, f"{site.https}/")
    assert code == 1 and "chose no h2" in out.splitlines()[-2] and "leave out" in out.splitlines()[-1]
    code, out, _ = trace(capsys, known, f"{site.http}/")
    assert code == 1 and "> GET / HTTP/2" in out


def test_an_answer_that_is_a_failure_leaves_no_file(
    site: Site, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    assert trace(capsys, "-o", str(kept), f"{site.expired}/")[0] == 1 and not kept.exists()
    assert trace(capsys, "-f", "-o", str(kept), f"{site.http}/gone")[0] == 1 and not kept.exists()
    assert trace(capsys, "-o", str(kept), f"{site.http}/gone")[0] == 0 and kept.stat().st_size == 39


def test_openssls_server_tells_the_same(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    chain, key = site.folder / "good.pem", site.folder / "good.key"
    server = subprocess.Popen(
        [openssl, "s_server", "-accept", "127.0.0.1:0", "-cert", chain, "-cert_chain", chain, "-key", key, "-www"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert server.stdout is not None
        line = next(line for line in server.stdout if line.startswith("ACCEPT"))
        port = line.rsplit(":", 1)[1].strip()
        code, out, _ = trace(capsys, "--tls-max", "1.2", "--cacert", site.root, "-o", "-", f"https://localhost:{port}/")
    finally:
        server.kill()
        server.wait()
    assert code == 0 and "TLSv1.2" in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda one: one.name)
def test_a_signal_ends_it_at_once_and_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        kept = tmp_path / "kept.pcapng"
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        running = subprocess.Popen(
            [sys.executable, "-m", "synfin.cli.main", "trace", url, "-w", str(kept)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "TMPDIR": str(tmp_path)},
        )
        silent.settimeout(30)
        one, _ = silent.accept()
        one.recv(1000)
        running.send_signal(number)
        out, err = running.communicate(timeout=20)
        one.close()
    assert running.returncode == 128 + number and b"Traceback" not in out + err
    assert kept.read_bytes()[:4] == b"\n\r\r\n"
    assert list(tmp_path.iterdir()) == [kept]


def test_a_reader_that_has_seen_enough_leaves_no_secrets_behind(site: Site, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "synfin.cli.main", "trace", "--cacert", site.root, f"{site.https}/"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as running:
        assert running.stdout is not None and running.stderr is not None
        assert running.stdout.readline().startswith(b"GET ")
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode in (-signal.SIGPIPE, 0)  # 0: all was said before the pipe was closed
    assert not list(tmp_path.iterdir())


def keys(value: object, path: str = "") -> Iterator[str]:
    """The keys of nested JSON, as the reference writes them."""
    if isinstance(value, dict) and path != "tcp_info":
        for name, inner in value.items():
            yield from keys(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield from keys(value[0], f"{path}[]")
    else:
        yield path


def test_the_reference_has_every_key(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "json-trace.md").read_text()
    documented = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    found: set[str] = set()
    for url in (f"{site.expired}/", f"{site.https}/"):
        _, out, _ = trace(capsys, "--json", "--cacert", site.root, url)
        found |= set(keys(json.loads(out)["trace"]))
    assert found - {"certificate", "body", "failed", "certificate.problems"} == documented


def test_keys_are_opened_as_curl_opens_them(site: Site, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    closed = tmp_path / "closed.key"
    closed.write_bytes(key_pem(load_key((site.folder / "good.key").read_bytes()), b"open sesame"))
    cert, rest = str(site.folder / "good.pem"), ["--key", str(closed), "--cacert", site.root, f"{site.https}/"]
    code, _, err = trace(capsys, "--cert", cert, *rest)
    assert code == 2 and "--pass" in err and err.count("\n") == 1
    code, _, err = trace(capsys, "--cert", f"{cert}:open barley", *rest)
    assert code == 2 and "wrong password" in err
    assert trace(capsys, "--cert", f"{cert}:open sesame", *rest)[0] == 0


def test_a_key_log_that_cannot_be_kept_is_told(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    code, out, err = trace(capsys, "-s", "--keylog", "/dev/full", "--cacert", site.root, f"{site.https}/")
    said = [line for line in err.splitlines() if line.startswith("synfin: ")]  # the server complains of the reset
    assert (code, out, said) == (2, "", ["synfin: --keylog /dev/full: No space left on device"])


def test_whether_our_certificate_was_shown_is_told(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    ours = ["--cert", str(site.folder / "good.pem"), "--key", str(site.folder / "good.key")]
    code, out, _ = trace(capsys, "--cacert", site.root, *ours, f"{site.https}/")
    assert code == 0 and "our certificate was not shown" in out
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed: nobody asks for a certificate")
    chain, key = str(site.folder / "good.pem"), str(site.folder / "good.key")
    command = [openssl, "s_server", "-accept", "127.0.0.1:0", "-cert", chain, "-cert_chain", chain, "-key", key, "-www"]
    server = subprocess.Popen([*command, "-Verify", "5"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert server.stdout is not None
        line = next(line for line in server.stdout if line.startswith("ACCEPT"))
        port = line.rsplit(":", 1)[1].strip()
        _, out, _ = trace(capsys, "--cacert", site.root, *ours, f"https://localhost:{port}/")
    finally:
        server.kill()
        server.wait()
    assert "our certificate was asked for and shown" in out
