"""Client certificates that are asked for after the handshake (RFC 8446 4.6.2), as foreign clients show them."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from synfin import tls
from synfin.drive.server import Patience
from synfin.pki import mint
from synfin.pki.keys import key_pem, make_key
from tests.drive.serving import PATIENCE, Site, site

WANT = b"GET /client-certificate HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = WANT.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
SEEN = b"GET /connection HTTP/1.1\r\nHost: x\r\n\r\n"


class Clients:
    """A CA of clients, one client of it, and one of another."""

    def __init__(self, folder: Path) -> None:
        now = datetime.now(UTC).replace(microsecond=0)
        root, other = (mint.self_signed(mint.root_order(name, now), make_key("p256")) for name in ("Clients", "Others"))
        self.verify = tls.PathVerifier([root.der])
        self.pems: list[Path] = []
        self.credentials: list[tls.Credential] = []
        for name, by in (("alice", root), ("mallory", other)):
            person = mint.signed(mint.client_order(f"{name}@example.com", now), make_key("p256"), by)
            path = folder / f"{name}.pem"
            path.write_bytes(person.pem + key_pem(person.key))
            self.credentials.append(tls.Credential((person.der,), person.key))
            self.pems.append(path)


def answer(sock: ssl.SSLSocket, request: bytes) -> tuple[int, bytes]:
    sock.sendall(request)
    got = b""
    while b"\r\n\r\n" not in got or len(got.partition(b"\r\n\r\n")[2]) < length(got):
        part = sock.recv(1 << 16)
        if not part:
            break
        got += part
    return int(got.split(b" ", 2)[1]), got.partition(b"\r\n\r\n")[2]


def length(got: bytes) -> int:
    return int(got.split(b"Content-Length: ")[1].split(b"\r\n")[0])


def opened(place: Site, pem: Path | None, *, offer: bool = True, tls12: bool = False) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(place.root))
    context.post_handshake_auth = offer
    if tls12:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    if pem is not None:
        context.load_cert_chain(pem)
    return context.wrap_socket(socket.create_connection(("127.0.0.1", place.port), 10), server_hostname="localhost")


def test_python_shows_its_certificate_when_asked(tmp_path: Path) -> None:
    people = Clients(tmp_path)

    def talk(place: Site) -> None:
        with opened(place, people.pems[0]) as sock:
            assert json.loads(answer(sock, SEEN)[1])["tls"]["client_certificate"] is None
            for _ in range(2):  # asked once, known from then on
                status, body = answer(sock, WANT)
                told = json.loads(body)
                assert status == 200 and "alice@example.com" in told["certificate"]["subject"]
                assert told["signature"] == "ecdsa_secp256r1_sha256"
            seen = json.loads(answer(sock, SEEN)[1])["tls"]
            assert "alice@example.com" in seen["client_certificate"]["subject"]
            assert seen["client_signature"] == "ecdsa_secp256r1_sha256"
        with opened(place, None) as sock:
            status, body = answer(sock, WANT)
            assert status == 403 and b"no certificate to show" in body
            assert answer(sock, SEEN)[0] == 200, "the connection goes on"
        with opened(place, people.pems[0], offer=False) as sock:
            status, body = answer(sock, WANT)
            assert status == 403 and b"post_handshake_auth" in body
        with opened(place, people.pems[0], tls12=True) as sock:
            status, body = answer(sock, WANT)
            assert status == 403 and b"TLS 1.2" in body
        with (
            opened(place, people.pems[1]) as sock,
            pytest.raises((ssl.SSLError, ConnectionError), match=r"(?i)unknown.ca"),
        ):
            answer(sock, WANT)

    async def run() -> None:
        async with site(tmp_path, verify=people.verify) as place:
            await asyncio.to_thread(talk, place)
            await place.alive()
            assert place.log.count("failed") == 1 and "alert unknown_ca sent" in place.log

    asyncio.run(run())


def test_openssl_and_curl(tmp_path: Path) -> None:
    people = Clients(tmp_path)

    async def run() -> None:
        async with site(tmp_path, verify=people.verify) as place:
            address = ["-connect", f"127.0.0.1:{place.port}", "-servername", "localhost", "-ign_eof", "-quiet"]
            mine = ["-cert", str(people.pems[0]), "-key", str(people.pems[0])]
            done = await place.run("openssl", "s_client", *address, *mine, "-enable_pha", give=LAST)
            assert b"200 OK" in done.stdout and b"alice@example.com" in done.stdout
            done = await place.run("openssl", "s_client", *address, *mine, give=LAST)
            assert b"403 Forbidden" in done.stdout and b"-enable_pha" in done.stdout
            words = ["--cert", str(people.pems[0]), "-w", " %{http_code}"]
            got = await place.curl("/client-certificate", "--http2", *words)
            assert b"RFC 8740" in got and got.endswith(b" 403")
            got = await place.curl("/client-certificate", "--http1.1", *words)
            assert got.endswith((b" 403", b" 200"))  # some builds of curl offer it
            assert "failed" not in place.log

    asyncio.run(run())


@pytest.mark.parametrize("how", ["silent", "talks", "leaves"])
def test_who_does_not_answer_is_left(tmp_path: Path, how: str) -> None:
    people = Clients(tmp_path)
    patience = Patience(idle=0.4) if how == "silent" else PATIENCE

    def talk(place: Site) -> None:
        stream = place.client(post_handshake_auth=True, credentials=tuple(people.credentials[:1]), alpn=(b"http/1.1",))
        stream.send(WANT)
        if how == "leaves":
            stream.close()
            return
        if how == "talks":
            for _ in range(9):
                stream.send(bytes(60_000))
        got = b""
        stream.sock.settimeout(10)
        while part := stream.sock.recv(1 << 16):  # read, and not answered
            stream.endpoint.receive(part, 0.0)
            while (event := stream.endpoint.next_event()) is not None:
                if isinstance(event, tls.Data):
                    got += event.data
        assert got.startswith(b"HTTP/1.1 403 ") and b"Connection: close" in got
        stream.sock.close()

    async def run() -> None:
        async with site(tmp_path, verify=people.verify, patience=patience) as place:
            await asyncio.to_thread(talk, place)
            await place.alive()

    asyncio.run(run())


def test_without_the_option_it_is_a_path_like_any_other(tmp_path: Path) -> None:
    async def run() -> None:
        async with site(tmp_path) as place:
            told = json.loads(await place.curl("/client-certificate"))
            assert told["path"] == "/client-certificate"

    asyncio.run(run())
