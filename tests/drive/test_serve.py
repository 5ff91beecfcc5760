"""``WebServer`` against hostile, slow and odd clients, in one process."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest

from synfin.drive.server import Bounds, Patience
from synfin.drive.server_files import Files
from synfin.drive.streams import TruncatedError
from tests.drive.serving import Site, drained, site

GET = b"GET /json HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def answers(raw: bytes) -> int:
    return raw.count(b"HTTP/1.1 200 OK\r\n")


def test_requests_in_any_pieces_are_answered(tmp_path: Path) -> None:
    def talk(place: Site) -> None:
        with place.client() as stream:  # octet by octet
            for octet in b"GET /json HTTP/1.0\nHost: x\n\n":
                stream.send(bytes([octet]))
            got = stream.recv_all()
            assert got.startswith(b"HTTP/1.1 200 OK") and b"Connection: close" in got
        with place.client() as stream:  # several in one record, with empty records between
            for piece in (GET + GET, LAST[:20], LAST[20:]):
                stream.send(piece)
                stream.endpoint.seal(23, b"")
            assert answers(stream.recv_all()) == 3
        with place.client() as stream:  # keys change in between
            stream.send(GET)
            assert answers(stream.recv()) == 1
            stream.endpoint.update_keys(True)
            stream.send(LAST)
            assert answers(stream.recv_all()) == 1

    async def run() -> None:
        async with site(tmp_path) as place:
            await asyncio.to_thread(talk, place)
            assert "failed" not in place.log

    asyncio.run(run())


def test_half_closed_clients_get_their_answers(tmp_path: Path) -> None:
    def talk(place: Site) -> None:
        for notify in (True, False):
            stream = place.client()
            stream.send(GET)
            if notify:
                stream.endpoint.close()
                stream.sock.sendall(stream.endpoint.take_output(0.0))
            stream.sock.shutdown(socket.SHUT_WR)
            assert answers(stream.recv_all()) == 1, "answered, then close_notify"
            stream.sock.close()

    async def run() -> None:
        async with site(tmp_path) as place:
            await asyncio.to_thread(talk, place)

    asyncio.run(run())


def test_garbage_is_refused_by_name_and_the_next_is_served(tmp_path: Path) -> None:
    def refused(place: Site, octets: bytes) -> bytes:
        with place.plain() as sock:
            sock.sendall(octets)
            return drained(sock)

    async def run() -> None:
        async with site(tmp_path) as place:
            for octets in (b"GET / HTTP/1.0\r\n\r\n", os.urandom(40) + bytes(100_000), b"\x16\3\1\0\5\1\0\0\1\0"):
                alert = await asyncio.to_thread(refused, place, octets)
                assert alert[:3] == b"\x15\3\3" and alert[5] == 2, "a fatal alert, not lost to a reset"
                await place.alive()
            assert "plain_http_sent" in place.log and "alert unexpected_message sent" in place.log
            assert place.log.count("failed in the handshake") == 3

    asyncio.run(run())


def test_bad_requests_get_their_status_and_a_clean_end(tmp_path: Path) -> None:
    cases = {
        b"nonsense\r\n\r\n": 400,
        b"GET / HTTP/1.1\r\n\r\n": 400,
        b"GET / HTTP/3.0\r\nHost: x\r\n\r\n": 505,
        b"BREW / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n": 501,
        b"PUT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n": 405,
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" + bytes(200_000): 405,
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2000000\r\n" + bytes(200_000): 413,
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 40_000: 431,
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n": 501,
    }

    def talk(place: Site) -> None:
        for octets, status in cases.items():
            with place.client() as stream:
                stream.send(octets)
                got = stream.recv_all()
                assert got.startswith(b"HTTP/1.1 %d " % status), octets[:40]
                assert (status != 405) or b"Allow: GET, HEAD, OPTIONS" in got

    async def run() -> None:
        async with site(tmp_path, Files(tmp_path)) as place:
            await asyncio.to_thread(talk, place)

    asyncio.run(run())


def test_slow_clients_are_told_and_left(tmp_path: Path) -> None:
    patience = Patience(handshake=0.2, head=0.2, idle=0.3, body=0.2, drain=0.2)

    def talk(place: Site) -> None:
        with place.plain() as sock:  # never says hello
            assert drained(sock) == b""
        with place.client() as stream:  # drips its head
            with pytest.raises(OSError):
                for octet in GET * 20:
                    stream.send(bytes([octet]))
                    time.sleep(0.03)
            assert stream.recv_all().startswith(b"HTTP/1.1 408 ")
        with place.client() as stream:  # never sends its body
            stream.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
            assert stream.recv_all().startswith(b"HTTP/1.1 408 ")
        with place.client() as stream:  # idle
            stream.send(GET)
            assert answers(stream.recv_all()) == 1
        with place.client(alpn=(b"h2",)) as stream:
            assert stream.recv_all()[:4] != b""

    async def run() -> None:
        async with site(tmp_path, patience=patience) as place:
            await asyncio.to_thread(talk, place)
            assert "handshake_stalled" in place.log

    asyncio.run(run())


def test_hundreds_at_a_time_within_the_bound(tmp_path: Path) -> None:
    """More connections than the bound: idle ones make room, and everybody is served."""

    async def run() -> None:
        async with site(tmp_path, bounds=Bounds(connections=50)) as place:
            idle = [await asyncio.open_connection("127.0.0.1", place.clear) for _ in range(40)]

            async def one(number: int) -> None:
                reader, writer = await asyncio.open_connection("127.0.0.1", place.clear)
                writer.write(b"GET /json?%d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % number)
                got = await reader.read()
                assert json.loads(got.partition(b"\r\n\r\n")[2])["query"] == str(number)
                writer.close()

            await asyncio.gather(*(one(number) for number in range(300)))
            assert place.server.connections <= 50
            for _, writer in idle:
                writer.close()

    asyncio.run(run())


def test_a_client_that_does_not_read_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(64 << 20))

    async def run() -> None:
        async with site(tmp_path, Files(tmp_path), patience=Patience(write=0.4, drain=0.2)) as place:
            sock = place.plain(clear=True)
            sock.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.sleep(0.05)
            assert len(await place.curl("/big")) == 64 << 20
            for _ in range(100):
                if "did not take" in place.log:
                    break
                await asyncio.sleep(0.05)
            assert "the client did not take what was sent" in place.log
            sock.close()

    asyncio.run(run())


def test_raw_echo_and_its_ends(tmp_path: Path) -> None:
    def talk(place: Site) -> None:
        with place.client() as stream:
            stream.send(b"\0any\xff octets")
            assert stream.recv() == b"\0any\xff octets"
            stream.endpoint.close()
            stream.sock.sendall(stream.endpoint.take_output(0.0))
            assert stream.recv_all() == b""
        stream = place.client()
        stream.send(b"x")
        stream.recv()
        stream.sock.shutdown(socket.SHUT_WR)  # truncation is answered with our own clean end
        assert stream.recv() == b""

    async def run() -> None:
        async with site(tmp_path, None) as place:
            await asyncio.to_thread(talk, place)
            await asyncio.sleep(0.05)
            assert "echoed TLS 1.3 12 B" in place.log

    asyncio.run(run())


def test_stopping_lets_requests_finish_and_ends_the_idle_cleanly(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(30 << 20))

    async def run() -> None:
        async with site(tmp_path, Files(tmp_path)) as place:
            idle = await asyncio.to_thread(place.client)
            busy = await asyncio.to_thread(place.client)
            busy.send(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.sleep(0.1)
            stopping = asyncio.create_task(place.server.stop())
            assert await asyncio.to_thread(idle.recv_all) == b""
            got = await asyncio.to_thread(busy.recv_all, 1 << 26)
            assert len(got.partition(b"\r\n\r\n")[2]) == 30 << 20
            for stream in (idle, busy):
                await asyncio.to_thread(stream.close)
            await stopping
            with pytest.raises(OSError):
                place.plain()

    asyncio.run(run())


def test_a_file_that_shrinks_is_not_passed_off_as_whole(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(bytes(64 << 20))

    def talk(place: Site) -> None:
        stream = place.client()
        stream.send(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        stream.recv()
        os.truncate(path, 1 << 20)
        with pytest.raises((OSError, TruncatedError)):
            stream.recv_all(1 << 27)
        stream.sock.close()

    async def run() -> None:
        async with site(tmp_path, Files(tmp_path)) as place:
            await asyncio.to_thread(talk, place)
            assert "became shorter" in place.log

    asyncio.run(run())


def test_http2_peers_that_err_or_idle_hear_goaway(tmp_path: Path) -> None:
    def broken(place: Site) -> None:
        stream = place.client(alpn=(b"h2",))
        stream.send(GET)  # where the preface should be
        got = stream.recv_all()
        assert b"\0\0\x08\7\0\0\0\0\0" in got and got[-4:] == b"\0\0\0\1", "GOAWAY, PROTOCOL_ERROR"
        stream.close()

    async def run() -> None:
        async with site(tmp_path) as place:
            await asyncio.to_thread(broken, place)
            assert "[h2_bad_preface]" in place.log
            await place.alive()
            peer = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
            peer.initiate_connection()
            peer.send_headers(1, [(":method", "GET"), (":scheme", "https"), (":authority", "x"), (":path", "/json")])
            peer.end_stream(1)
            stream = await asyncio.to_thread(place.client, alpn=(b"h2",))
            stream.send(peer.data_to_send())
            events: list[h2.events.Event] = []
            while not any(isinstance(event, h2.events.StreamEnded) for event in events):
                events += peer.receive_data(await asyncio.to_thread(stream.recv))
            stopping = asyncio.create_task(place.server.stop())
            events = peer.receive_data(await asyncio.to_thread(stream.recv_all))
            assert any(isinstance(event, h2.events.ConnectionTerminated) and not event.error_code for event in events)
            await asyncio.to_thread(stream.close)
            await stopping

    asyncio.run(run())
