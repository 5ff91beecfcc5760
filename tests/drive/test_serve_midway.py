"""What reaches a server while it sends: ends of every kind, HTTP/2 frames (RFC 5246 7.2.1, 8446 6.1, 9113 5.2.2)."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest

from synfin.drive import clock
from synfin.drive.blocking import BlockingTls
from synfin.drive.server import Patience
from synfin.http.app import Answer, Request
from synfin.http.app_echo import echo
from tests.drive.serving import Site, site

#: More than the kernel's buffers of a connection take.
SIZE = 24 << 20
GET = b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Large:
    """A body that tells when it is let go."""

    size = SIZE

    def __init__(self) -> None:
        self.sent = 0
        self.closed = False

    def read(self, at: int, count: int) -> bytes:
        self.sent = max(self.sent, at + count)
        return bytes(count)

    def close(self) -> None:
        self.closed = True


class App:
    def __init__(self) -> None:
        self.bodies: list[Large] = []

    def __call__(self, request: Request) -> Answer:
        if request.path != "/large":
            return echo(request)
        self.bodies.append(Large())
        return Answer(200, (), self.bodies[-1])


def until(true: Callable[[], bool], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    return true()


def stalled(app: App) -> Large:
    """The body on its way, when the server waits for the client."""
    assert until(lambda: bool(app.bodies) and app.bodies[-1].sent > 1 << 17)
    body, before = app.bodies[-1], -1
    while before != body.sent:
        before = body.sent
        time.sleep(0.1)
    assert body.sent < SIZE and not body.closed
    return body


def say(stream: BlockingTls, kind: str) -> None:
    if kind == "close_notify":
        stream.endpoint.close()
    else:
        stream.endpoint.abort(80)
    stream.sock.sendall(stream.endpoint.take_output(clock.now()))


def meet(folder: Path, talk: Callable[[Site, App], None], patience: Patience | None = None) -> None:
    async def run() -> None:
        app = App()
        async with site(folder, app, patience=patience or Patience(drain=0.5)) as place:
            await asyncio.to_thread(talk, place, app)
            await place.alive()
            assert all(body.closed for body in app.bodies)

    asyncio.run(run())


def stops_at_close_notify(version: int) -> Callable[[Site, App], None]:
    def talk(place: Site, app: App) -> None:
        stream = place.client(min_version=version, max_version=version, groups=(29, 23))
        stream.send(GET)
        body = stalled(app)
        say(stream, "close_notify")
        got = 0
        while data := stream.recv():  # a clean end: close_notify, not a cut
            got += len(data)
        if version == 0x0304:
            assert got > SIZE == body.sent
        else:
            assert got < body.sent + 4096 < SIZE
            assert "the peer closed before everything was sent" in place.log
        stream.sock.close()

    return talk


def stops_at_an_alert(version: int, reading: bool) -> Callable[[Site, App], None]:
    def talk(place: Site, app: App) -> None:
        stream = place.client(min_version=version, max_version=version, groups=(29, 23))
        stream.send(GET)
        body = stalled(app)
        say(stream, "internal_error")
        if reading:
            got = 0
            while data := stream.sock.recv(1 << 16):
                got += len(data)
            assert got < SIZE
        assert until(lambda: body.closed and not place.server.connections), "long before the patience with writes"
        assert body.sent < SIZE and "internal_error" in place.log
        stream.sock.close()

    return talk


def stops_when_reset(place: Site, app: App) -> None:
    stream = place.client()
    stream.send(GET)
    body = stalled(app)
    stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.sock.close()
    assert until(lambda: body.closed and not place.server.connections)
    assert body.sent < SIZE


@pytest.mark.parametrize("version", [0x0303, 0x0304])
def test_close_notify_ends_what_is_written_in_tls12_only(tmp_path: Path, version: int) -> None:
    meet(tmp_path, stops_at_close_notify(version))


@pytest.mark.parametrize("version", [0x0303, 0x0304])
@pytest.mark.parametrize("reading", [True, False], ids=["reads", "stalls"])
def test_a_fatal_alert_ends_what_is_written(tmp_path: Path, version: int, reading: bool) -> None:
    meet(tmp_path, stops_at_an_alert(version, reading))


@pytest.mark.parametrize("how", ["reset", "gone", "clear", "clear gone"])
def test_a_client_that_goes_away_holds_nothing(tmp_path: Path, how: str) -> None:
    def gone(place: Site, app: App) -> None:
        stream = None if "clear" in how else place.client()
        sock = stream.sock if stream else place.plain(clear=True)
        if stream:
            stream.send(GET)
        else:
            sock.sendall(GET)
        body = stalled(app)
        if how == "clear":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        assert until(lambda: body.closed and not place.server.connections)
        assert body.sent < SIZE

    meet(tmp_path, stops_when_reset if how == "reset" else gone)


def test_our_alert_reaches_who_goes_on_sending(tmp_path: Path) -> None:
    def talk(place: Site, app: App) -> None:
        with place.plain() as sock:
            sock.sendall(b"\x16\3\1\0\4\2\0\0\0")  # a ServerHello
            for _ in range(24):
                sock.sendall(bytes(1 << 20))
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(100) == b"\x15\3\3\0\2\2\x0a" and sock.recv(1) == b""

    meet(tmp_path, talk, Patience(drain=20))


def test_the_answer_to_a_request_that_came_with_close_notify_is_sent(tmp_path: Path) -> None:
    def talk(place: Site, app: App) -> None:
        for version in (0x0303, 0x0304):
            stream = place.client(min_version=version, max_version=version, groups=(29, 23))
            stream.endpoint.send(b"GET /json HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
            say(stream, "close_notify")
            assert stream.recv_all().count(b"HTTP/1.1 200") == 2
            stream.sock.close()

    meet(tmp_path, talk)


# ---------------------------------------------------------------- HTTP/2

HEADERS = [(":method", "GET"), (":scheme", "https"), (":authority", "x"), (":path", "/large")]
POST = [(":method", "POST"), *HEADERS[1:3], (":path", "/up")]


class Peer:
    """h2's client over our TLS, or in clear."""

    def __init__(self, place: Site, clear: bool = False, window: int = (1 << 31) - 1) -> None:
        self.conn = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        codes = h2.settings.SettingCodes
        values = {codes.INITIAL_WINDOW_SIZE: window}
        self.conn.local_settings = h2.settings.Settings(client=True, initial_values=values)
        self.conn.initiate_connection()
        self.conn.increment_flow_control_window((1 << 31) - 1 - 65535)
        self.stream = None if clear else place.client(alpn=(b"h2",))
        self.sock = self.stream.sock if self.stream else place.plain(clear=True)
        self.events: list[h2.events.Event] = []

    def flush(self) -> None:
        data = self.conn.data_to_send()
        if self.stream is not None:
            self.stream.send(data)
        else:
            self.sock.sendall(data)

    def read(self) -> bool:
        """Take what comes; False at the end."""
        data = self.stream.recv() if self.stream is not None else self.sock.recv(1 << 16)
        if data:
            self.events += self.conn.receive_data(data)
        return bool(data)

    def has(self, kind: type[h2.events.Event], stream: int | None = None) -> bool:
        return any(isinstance(e, kind) and stream in (None, getattr(e, "stream_id", None)) for e in self.events)


def hears_frames(place: Site, app: App, clear: bool) -> None:
    peer = Peer(place, clear)
    peer.conn.send_headers(1, HEADERS, end_stream=True)
    peer.conn.send_headers(3, HEADERS, end_stream=True)
    peer.flush()
    assert until(lambda: len(app.bodies) == 2)
    stalled(app)
    first, second = app.bodies
    peer.conn.reset_stream(1, 8)
    peer.conn.ping(b"12345678")
    peer.conn.send_headers(5, POST, end_stream=True)
    peer.flush()
    assert until(lambda: first.closed), "RST_STREAM is heard while the write waits"
    assert not second.closed
    while not (peer.has(h2.events.PingAckReceived) and peer.has(h2.events.StreamEnded, 3)):
        assert peer.read()
    assert peer.has(h2.events.ResponseReceived, 5)
    peer.sock.close()


@pytest.mark.parametrize("clear", [False, True], ids=["tls", "clear"])
def test_frames_are_read_while_the_client_does_not_read(tmp_path: Path, clear: bool) -> None:
    meet(tmp_path, lambda place, app: hears_frames(place, app, clear))


def test_a_fault_that_is_heard_while_writing_is_told(tmp_path: Path) -> None:
    def talk(place: Site, app: App) -> None:
        peer = Peer(place)
        peer.conn.send_headers(1, HEADERS, end_stream=True)
        peer.flush()
        stalled(app)
        assert peer.stream is not None
        peer.stream.send(b"\0\0\7\6\0\0\0\0\0" + bytes(7))  # PING of 7 octets: FRAME_SIZE_ERROR
        while peer.read():
            pass
        (last,) = [e for e in peer.events if isinstance(e, h2.events.ConnectionTerminated)]
        assert last.error_code == 6 and app.bodies[0].sent < SIZE
        peer.sock.close()

    meet(tmp_path, talk)


def test_too_many_streams_are_refused_and_may_be_asked_again(tmp_path: Path) -> None:
    def talk(place: Site, app: App) -> None:
        peer = Peer(place)
        while not peer.has(h2.events.RemoteSettingsChanged):
            assert peer.read()
        peer.conn.remote_settings = h2.settings.Settings(client=False)  # a client that does not heed the limit
        streams = range(1, 2 * 130, 2)
        for stream in streams:
            peer.conn.send_headers(stream, POST, end_stream=False)
        peer.flush()
        while sum(isinstance(e, h2.events.StreamReset) for e in peer.events) < 2:
            assert peer.read()
        refused = [e for e in peer.events if isinstance(e, h2.events.StreamReset)]
        assert [(e.stream_id, e.error_code) for e in refused] == [(257, 7), (259, 7)], "REFUSED_STREAM"
        peer.conn.end_stream(1)
        peer.flush()
        while not peer.has(h2.events.StreamEnded, 1):
            assert peer.read()
        peer.conn.send_headers(261, POST, end_stream=True)
        peer.flush()
        while not peer.has(h2.events.StreamEnded, 261):
            assert peer.read()
        assert not peer.has(h2.events.ConnectionTerminated)
        peer.sock.close()

    meet(tmp_path, talk)


@pytest.mark.parametrize("what", ["idle", "sending", "coming"])
def test_a_drip_of_frames_keeps_nothing_alive(tmp_path: Path, what: str) -> None:
    def talk(place: Site, app: App) -> None:
        peer = Peer(place, window=0 if what == "sending" else 65535)
        if what == "sending":
            peer.conn.send_headers(1, HEADERS, end_stream=True)
        elif what == "coming":
            peer.conn.send_headers(1, POST)
        for drops in range(200):
            peer.conn.ping(b"12345678")
            if what == "sending":
                peer.conn.increment_flow_control_window(1, 1)
            try:
                peer.flush()
            except OSError:
                break
            assert drops < 199
            time.sleep(0.1)
            if not place.server.connections:
                break
        peer.sock.close()

    meet(tmp_path, talk, Patience(idle=0.6, body=0.6, write=0.6, drain=0.2))


def test_a_client_that_sends_all_before_it_reads_is_served(tmp_path: Path) -> None:
    """Both would wait for each other if the server did not read while it writes."""
    part = bytes(1 << 14)

    def talk(place: Site, app: App) -> None:
        peer = Peer(place)
        peer.conn.send_headers(1, HEADERS, end_stream=True)
        peer.flush()
        stalled(app)
        for stream in (3, 5, 7, 9):
            peer.conn.send_headers(stream, POST)
            for _ in range(16):
                window = peer.conn.local_flow_control_window(stream)
                peer.conn.send_data(stream, part[:window])
            peer.flush()
        for stream in (3, 5, 7, 9):
            peer.conn.end_stream(stream)
        peer.flush()
        while not all(peer.has(h2.events.StreamEnded, stream) for stream in (1, 3, 5, 7, 9)):
            assert peer.read()
        peer.sock.close()

    meet(tmp_path, talk)
