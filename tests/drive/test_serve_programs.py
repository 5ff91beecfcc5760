"""``WebServer`` judged by foreign programs: curl, openssl, gnutls-cli, requests."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from synfin import tls
from synfin.drive.server_files import Files
from synfin.pki import mint
from synfin.pki.keys import key_pem, make_key
from tests.drive.serving import site

GET = b"GET /json HTTP/1.1\r\nHost: x\r\n\r\n"

curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@curl
@pytest.mark.parametrize(
    "way", ["--http1.0", "--http1.1", "--http2", "--tlsv1.3", "--tls-max 1.2", "--tls-max 1.2 --http1.1"]
)
def test_curl_in_every_version(tmp_path: Path, way: str) -> None:
    big = os.urandom(3 << 20)
    (tmp_path / "big.bin").write_bytes(big)
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "index.html").write_text("<p>index")

    async def run() -> None:
        async with site(tmp_path, Files(tmp_path)) as place:
            options = way.split()
            assert await place.curl("/big.bin", *options) == big
            assert await place.curl("/big.bin", *options, "-r", "100-199") == big[100:200]
            assert await place.curl("/big.bin", *options, "-r", "-5") == big[-5:]
            assert await place.curl("/a%20b", *options, "-L") == b"<p>index"
            head = (await place.curl("/big.bin", *options, "-I")).decode().lower()
            assert f"content-length: {len(big)}" in head
            etag = next(line.split(": ")[1].strip() for line in head.splitlines() if line.startswith("etag"))
            status = ["-o", os.devnull, "-w", "%{http_code} %{size_download}"]
            assert await place.curl("/big.bin", *options, *status, "-H", f"If-None-Match: {etag}") == b"304 0"
            assert (await place.curl("/big.bin", *options, *status, "-r", "9999999-")).startswith(b"416")
            assert (await place.curl("/nothing", *options, *status)).startswith(b"404")
            assert (await place.curl("/big.bin", *options, *status, "-X", "DELETE")).startswith(b"405")
            seen = json.loads(await place.curl("/connection", *options))
            assert seen["tls"]["version"] == ("TLS 1.2" if "1.2" in way else "TLS 1.3")
            assert seen["tls"]["server_name"] == "localhost"
            assert seen["tls"]["client_hello"]["ja4"].startswith("t13d" if "1.2" not in way else "t12d")
            assert place.log.count("failed") == 0

    asyncio.run(run())


@curl
@pytest.mark.parametrize("way", ["--http1.1", "--http2"])
def test_curl_sends_large_bodies_and_gets_them_back(tmp_path: Path, way: str) -> None:
    body = os.urandom(6 << 20)

    async def run() -> None:
        async with site(tmp_path) as place:
            for more in ([], ["-H", "Transfer-Encoding: chunked"] if way == "--http1.1" else [], ["-H", "Expect:"]):
                assert await place.curl("/x", way, "--data-binary", "@-", *more, give=body) == body
            told = json.loads(await place.curl("/json?a=1", way, "-d", "grüße", "-X", "PATCH"))
            assert (told["method"], told["query"], told["body"]) == ("PATCH", "a=1", "grüße")
            too_much = ["-o", os.devnull, "-w", "%{http_code}", "--data-binary", "@-"]
            assert (await place.curl("/x", way, *too_much, give=bytes(17 << 20))).startswith(b"413")
            await place.alive()

    asyncio.run(run())


@curl
def test_many_streams_of_one_connection(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number}").write_bytes(bytes([number]) * (number * 10_000))

    async def run() -> None:
        async with site(tmp_path, Files(tmp_path)) as place:
            got = await place.curl("/[0-29]", "--http2", "-Z", "--no-progress-meter", "-o", str(tmp_path / "got#1"))
            assert got == b""
            for number in range(30):
                assert (tmp_path / f"got{number}").read_bytes() == bytes([number]) * (number * 10_000)
            assert len({line.split()[1] for line in place.log.splitlines()}) < 30, "connections were shared"

    asyncio.run(run())


@curl
def test_nothing_outside_of_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "www"
    folder.mkdir()
    (tmp_path / "secret").write_text("secret")
    (folder / ".env").write_text("secret")
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to(tmp_path)
    (folder / "inside").symlink_to("real.txt")
    (folder / "real.txt").write_text("fine")
    os.mkfifo(folder / "pipe")

    async def run() -> None:
        async with site(tmp_path, Files(folder)) as place:
            for path in (
                "/../secret", "/%2e%2e/secret", "/..%2fsecret", "/out", "/up/secret", "/.env", "/real.txt/", "/pipe",
                "/real.txt%00", "//../secret", "/./%2e%2e/secret", "/" + "a" * 5000,
            ):  # fmt: skip
                got = await place.curl(path, "--path-as-is", "-w", " %{http_code}")
                assert got.endswith((b" 404", b" 431")) and b"secret" not in got, path
            assert await place.curl("/inside") == b"fine"
            page = await place.curl("/")
            assert b"real.txt" in page and b"inside" in page
            assert not any(name in page for name in (b".env", b'"./out"', b'"./up', b"pipe"))

    asyncio.run(run())


@curl
def test_client_certificates(tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    root = mint.self_signed(mint.root_order("Clients", now), make_key("p256"))
    person = mint.signed(mint.client_order("alice@example.com", now), make_key("ed25519"), root)
    pem = tmp_path / "alice.pem"
    pem.write_bytes(person.pem + key_pem(person.key))

    async def run() -> None:
        async with site(tmp_path, client_auth="required", verify=tls.PathVerifier([root.der])) as place:
            for way in ("--tlsv1.3", "--tls-max=1.2"):
                words = way.split("=")
                seen = json.loads(await place.curl("/connection", *words, "--cert", str(pem)))
                assert "alice@example.com" in seen["tls"]["client_certificate"]["subject"]
                assert seen["tls"]["client_signature"] == "ed25519"
                refused = await place.curl("/connection", *words)
                assert b"curl:" in refused
            assert "certificate_required" in place.log and "client_certificate_missing" in place.log

    asyncio.run(run())


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_resumes_and_is_refused_early_data(tmp_path: Path, version: str) -> None:
    async def run() -> None:
        async with site(tmp_path) as place:
            address = ["-connect", f"127.0.0.1:{place.port}", "-servername", "localhost", "-CAfile", str(place.root)]
            sheet, early = tmp_path / "session", tmp_path / "early"
            early.write_bytes(GET)
            close = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
            await place.run("openssl", "s_client", *address, version, "-ign_eof", "-sess_out", str(sheet), give=close)
            again = ["-sess_in", str(sheet), "-ign_eof"]
            if version == "-tls1_3":
                again += ["-early_data", str(early)]
            done = await place.run("openssl", "s_client", *address, version, *again, give=close)
            assert b"Reused, TLSv1" in done.stdout and b"200 OK" in done.stdout
            assert b"Early data was accepted" not in done.stdout
            await place.alive()

    asyncio.run(run())


def test_gnutls_reads_an_answer(tmp_path: Path) -> None:
    async def run() -> None:
        async with site(tmp_path) as place:
            give = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
            options = ["--x509cafile", str(place.root), "-p", str(place.port), "localhost"]
            done = await place.run("gnutls-cli", *options, give=give)
            assert b"The certificate is trusted" in done.stdout

    asyncio.run(run())


def test_requests_keeps_its_connection(tmp_path: Path) -> None:
    async def run() -> None:
        async with site(tmp_path) as place:

            def ask() -> list[int]:
                more: dict[str, Any] = {"verify": str(place.root), "timeout": 10}
                with requests.Session() as session:
                    session.trust_env = False
                    found = []
                    for _ in range(3):
                        assert session.post(place.url("/x"), data=b"abc", **more).text == "abc"
                        found.append(session.get(place.url("/connection"), **more).json())
                    return [one["requests"] for one in found]

            assert await asyncio.to_thread(ask) == [2, 4, 6]

    asyncio.run(run())
