"""0-RTT data (RFC 8446 2.3, RFC 8470): who is answered before the handshake is done, and nobody twice."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest

from synfin import tls
from synfin.drive.server import Patience
from synfin.http.app import Answer, App, Request
from synfin.http.app_echo import echo
from tests.drive.serving import PATIENCE, Site, site

LAST = b"Host: x\r\nConnection: close\r\n\r\n"
GET = b"GET /connection HTTP/1.1\r\n" + LAST
POST = b"POST /x HTTP/1.1\r\nContent-Length: 3\r\n" + LAST + b"abc"


class Early:
    """A connection whose client has 0-RTT data to say, and sends no more than it is told to."""

    def __init__(self, port: int, session: tls.Session, words: bytes, alpn: bytes = b"http/1.1") -> None:
        names = (alpn,) if alpn else ()
        config = tls.ClientConfig(verify=tls.accept_any_certificate, groups=(29,), early_data=True, alpn=names)
        self.end = tls.Client(config, "localhost", now=time.time(), entropy=os.urandom, session=session)
        self.end.send_early(words)
        self.flight = self.end.take_output(time.time())
        self.sock = socket.create_connection(("127.0.0.1", port), 10)
        self.sock.sendall(self.flight)
        self.data = b""
        self.tickets: list[tls.Session] = []
        self.over = False

    def hear(self, until: Callable[[bytes], bool], wait: float = 10.0) -> bytes:
        """What the server says, until that is enough, or it ends, or ``wait`` seconds without a word are over."""
        self.sock.settimeout(wait)
        while not self.over and not until(self.data):
            try:
                got = self.sock.recv(1 << 16)
            except TimeoutError:
                break
            self.over = not got
            if got:
                self.end.receive(got, time.time())
            else:
                self.end.receive_eof(time.time())
            while (event := self.end.next_event()) is not None:
                if isinstance(event, tls.Data):
                    self.data += event.data
                elif isinstance(event, tls.Ticket):
                    self.tickets.append(event.session)
        return self.data

    def greeted(self) -> None:
        """Wait for the server's flight."""
        self.hear(lambda _: self.end.facts is not None)

    def finish(self) -> None:
        """EndOfEarlyData and Finished."""
        self.sock.sendall(self.end.take_output(time.time()))

    def rest(self) -> bytes:
        found = self.hear(lambda _: False)
        self.sock.close()
        return found


def whole(data: bytes) -> bool:
    head, _, body = data.partition(b"\r\n\r\n")
    return b"Content-Length: " in head and len(body) == int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])


def session(place: Site, alpn: bytes = b"http/1.1") -> tls.Session:
    with place.client(alpn=(alpn,)) as stream:
        while not stream.tickets:
            stream.send(b"GET /json HTTP/1.1\r\nHost: x\r\n\r\n" if alpn != b"h2" else b"")
            stream.recv()
        return stream.tickets[0]


def played(tmp_path: Path, talk: Callable[[Site], None], app: App | None = echo, patience: Patience = PATIENCE) -> str:
    """Run ``talk`` beside a server that takes early data; its log."""

    async def run() -> str:
        async with site(tmp_path, app, patience=patience, max_early_data=4096, replay_guard=tls.ReplayGuard()) as place:
            await asyncio.to_thread(talk, place)
            return place.log

    return asyncio.run(run())


def test_safe_requests_are_answered_before_the_handshake_is_done(tmp_path: Path) -> None:
    def talk(place: Site) -> None:
        one = Early(place.port, session(place), GET)
        told = json.loads(one.hear(whole).partition(b"\r\n\r\n")[2])
        assert one.end.facts is not None and one.end.facts.early_data
        assert told["tls"]["early_data"] and told["tls"]["answered_early"] and told["handshake_seconds"] is None
        assert not one.tickets
        one.finish()
        one.rest()
        assert one.over and len(one.tickets) == 1, "its ticket for the next time, and a clean end"

        two = Early(place.port, one.tickets[0], GET.replace(b"Connection: close\r\n", b""))
        two.hear(whole)
        two.finish()
        two.data = b""
        two.end.send(GET)
        two.finish()
        told = json.loads(two.hear(whole).partition(b"\r\n\r\n")[2])
        assert told["tls"]["early_data"] and not told["tls"]["answered_early"] and told["handshake_seconds"] > 0
        assert told["requests"] == 2
        two.rest()

    log = played(tmp_path, talk)
    assert log.count("TLS 1.3 0-RTT\n") == 2 and "failed" not in log


@pytest.mark.parametrize("cut", [len(POST), len(POST) - 1, 20])
def test_others_wait_for_the_handshake(tmp_path: Path, cut: int) -> None:
    def talk(place: Site) -> None:
        one = Early(place.port, session(place), POST[:cut])
        one.hear(bool, 0.3)
        assert one.data == b"" and one.end.facts is not None, "its flight is here, and no answer"
        one.finish()
        if cut < len(POST):
            one.end.send(POST[cut:])
            one.finish()
        assert one.rest().endswith(b"\r\n\r\nabc")

    log = played(tmp_path, talk)
    assert "failed" not in log and "0-RTT" not in log


def test_a_replayed_flight_is_not_answered(tmp_path: Path) -> None:
    asked: list[str] = []

    def app(request: Request) -> Answer:
        asked.append(request.method)
        return echo(request)

    def talk(place: Site) -> None:
        for words in (GET.replace(b"/connection", b"/json"), POST):
            held = session(place)
            asked.clear()
            one = Early(place.port, held, words)
            one.greeted()
            one.finish()
            one.rest()
            with socket.create_connection(("127.0.0.1", place.port), 10) as again:
                again.sendall(one.flight)
                got = b""
                while part := again.recv(1 << 16):  # until the server's patience is over
                    got += part
            assert got[:1] == b"\x16", "it was greeted all the same"
            assert asked == [words[:4].decode().strip()]

    log = played(tmp_path, talk, app, Patience(handshake=1.0))
    assert log.count("handshake_stalled") == 2


def test_who_never_finishes_is_left(tmp_path: Path) -> None:
    def talk(place: Site) -> None:
        for words in (GET, GET.replace(b"Connection: close\r\n", b""), POST, POST[:30]):
            one = Early(place.port, session(place), words)
            one.rest()
            assert one.over and (b" 200 OK" in one.data) == words.startswith(b"GET")

    log = played(tmp_path, talk, patience=Patience(handshake=0.6))
    assert log.count("handshake_stalled") == 4


def test_early_data_of_somebody_before_is_425_where_it_may_do_something(tmp_path: Path) -> None:
    def talk(place: Site) -> None:
        for line, status in ((b"Early-Data: 1\r\n", 425), (b"Early-Data: 1\r\nEarly-Data: x\r\n", 425), (b"", 200)):
            with place.client() as stream:
                stream.send(POST.replace(b"Host", line + b"Host"))
                assert stream.recv_all().startswith(b"HTTP/1.1 %d " % status)
            with place.client() as stream:
                stream.send(GET.replace(b"Host", line + b"Host"))
                assert stream.recv_all().startswith(b"HTTP/1.1 200 ")

    played(tmp_path, talk)


def test_http2_requests_are_told_apart_stream_by_stream(tmp_path: Path) -> None:
    def talk(place: Site) -> None:
        conn = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        conn.initiate_connection()
        for stream, method in ((1, "POST"), (3, "GET")):
            head = [(":method", method), (":path", "/x"), (":scheme", "https"), (":authority", "x")]
            conn.send_headers(stream, head, end_stream=method == "GET")
        conn.send_data(1, b"abc", end_stream=True)
        one = Early(place.port, session(place, b"h2"), conn.data_to_send(), b"h2")
        bodies = {1: b"", 3: b""}
        ended: list[int] = []

        def heard(_: bytes) -> bool:
            data, one.data = one.data, b""
            for event in conn.receive_data(data):
                if isinstance(event, h2.events.DataReceived):
                    bodies[event.stream_id] += event.data
                elif isinstance(event, h2.events.StreamEnded):
                    ended.append(event.stream_id)
            return len(ended) == 2

        one.hear(heard, 0.5)
        assert ended == [3] and json.loads(bodies[3])["method"] == "GET"
        one.finish()
        one.hear(heard)
        assert ended == [3, 1] and bodies[1] == b"abc"
        one.sock.close()

    log = played(tmp_path, talk)
    assert "HTTP/2 TLS 1.3 0-RTT" in log and "POST /x 200 3 B" in log and "failed" not in log


def test_octets_are_echoed_when_the_handshake_is_done(tmp_path: Path) -> None:
    def talk(place: Site) -> None:
        with place.client(alpn=()) as stream:
            stream.send(b"x")
            assert stream.recv() == b"x"
            held = stream.tickets[0]
        one = Early(place.port, held, b"early", b"")
        one.hear(bool, 0.3)
        assert one.data == b""
        one.finish()
        assert one.hear(lambda data: len(data) == 5) == b"early"
        one.sock.close()

    played(tmp_path, talk, None)


def test_openssl_is_answered_early_once(tmp_path: Path) -> None:
    async def run() -> None:
        async with site(tmp_path, max_early_data=4096, replay_guard=tls.ReplayGuard()) as place:
            address = ["-connect", f"127.0.0.1:{place.port}", "-servername", "localhost", "-tls1_3", "-ign_eof"]
            sheet, get, post = tmp_path / "session", tmp_path / "get", tmp_path / "post"
            get.write_bytes(GET)
            post.write_bytes(POST)
            await place.run("openssl", "s_client", *address, "-sess_out", str(sheet), give=GET)
            for words, early in ((get, True), (post, False)):
                again = ["-sess_in", str(sheet), "-sess_out", str(sheet), "-early_data", str(words)]
                done = await place.run("openssl", "s_client", *address, *again)
                assert b"Reused, TLSv1.3" in done.stdout and b"Early data was accepted" in done.stdout
                assert b"HTTP/1.1 200 OK" in done.stdout
                assert (b'"answered_early": true' in done.stdout) == early
            assert place.log.count("0-RTT") == 1 and "failed" not in place.log

    asyncio.run(run())
