"""However a client ends, or does not: nothing it was owed is lost, nothing is raised, and the next one is served."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from synfin import tls
from synfin.drive.server import Patience
from synfin.drive.server_files import Files
from tests.drive.serving import Site, drained, site

ASK = b"GET /t.txt HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = ASK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
BIG = ASK.replace(b"t.txt", b"big")
MANY = 100_000 // len(ASK)
VERSIONS = pytest.mark.parametrize("version", [0x0303, 0x0304], ids=["1.2", "1.3"])


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def played(tmp_path: Path, talk: Callable[[Site], None], patience: Patience | None = None) -> str:
    """Run ``talk`` beside a server of files; its log, when all are gone."""
    files = tmp_path / "files"
    files.mkdir()
    (files / "t.txt").write_bytes(b"0123456789" * 10)
    (files / "big").write_bytes(bytes(8 << 20))
    raised: list[object] = []

    async def run() -> str:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
        async with site(tmp_path, Files(files), patience=patience or Patience()) as place:
            await asyncio.to_thread(talk, place)
            for _ in range(200):
                if not place.server.connections:
                    break
                await asyncio.sleep(0.05)
            assert await place.curl("/t.txt") == b"0123456789" * 10
        return place.log

    log = asyncio.run(run())
    assert raised == []
    return log


@VERSIONS
def test_pipelines_of_100_kilobytes(tmp_path: Path, version: int) -> None:
    def talk(place: Site) -> None:
        for words, count in ((ASK * MANY + LAST, MANY + 1), (LAST + ASK * MANY, 1)):
            with place.client(max_version=version, groups=(29, 23), alpn=()) as stream:
                stream.send(words)
                assert stream.recv_all().count(b"HTTP/1.1 200 OK\r\n") == count

    assert "failed" not in played(tmp_path, talk)


@VERSIONS
def test_resets_and_ends_at_any_place(tmp_path: Path, version: int) -> None:
    def talk(place: Site) -> None:
        config = tls.ClientConfig(verify=tls.accept_any_certificate, groups=(29, 23), max_version=version)

        def hello() -> tls.Client:
            return tls.Client(config, "localhost", now=time.time(), entropy=os.urandom)

        size = len(hello().take_output(0.0))
        for cut in (0, 1, 5, size // 2, size - 1, size):
            for end in (reset, lambda sock: sock.shutdown(socket.SHUT_WR)):
                sock = place.plain()
                sock.sendall(hello().take_output(0.0)[:cut])
                if cut == size:
                    assert sock.recv(1 << 16)
                end(sock)
                if end is not reset:
                    drained(sock)
                    sock.close()
        for words in (b"", ASK[:9], ASK, BIG):
            for end in (reset, lambda sock: sock.shutdown(socket.SHUT_WR)):
                stream = place.client(max_version=version, groups=(29, 23), alpn=())
                if words:
                    stream.send(words)
                if words in (ASK, BIG):
                    assert stream.recv().startswith(b"HTTP/1.1 200 OK")
                end(stream.sock)
                if end is not reset:
                    drained(stream.sock)
                    stream.sock.close()

    log = played(tmp_path, talk)
    assert "the client reset the connection" in log and "[silent_end]" in log


@VERSIONS
def test_silence_is_ended_at_every_step(tmp_path: Path, version: int) -> None:
    def talk(place: Site) -> None:
        with place.plain() as sock:
            assert drained(sock) == b""
        with place.client(max_version=version, groups=(29, 23), alpn=()) as stream:
            assert stream.recv_all() == b"", "close_notify, for nobody asked"
        with place.client(max_version=version, groups=(29, 23), alpn=()) as stream:
            stream.send(ASK[:9])
            assert stream.recv_all().startswith(b"HTTP/1.1 408 ")
        with place.client(max_version=version, groups=(29, 23), alpn=()) as stream:
            stream.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
            assert stream.recv_all().startswith(b"HTTP/1.1 408 ")

    log = played(tmp_path, talk, Patience(handshake=0.3, head=0.3, idle=0.3, body=0.3))
    assert log.count("[handshake_stalled]") == 1 and log.count(" 408 ") == 2


@VERSIONS
def test_our_alert_is_read_by_who_sent_much_that_is_wrong(tmp_path: Path, version: int) -> None:
    def talk(place: Site) -> None:
        stream = place.client(max_version=version, groups=(29, 23), alpn=())
        stream.sock.sendall(b"\x17\x03\x03\x00\x30" + os.urandom(0x30) + os.urandom(300_000))
        with pytest.raises(ConnectionError, match="bad_record_mac"):
            stream.recv_all()
        assert drained(stream.sock) == b"", "FIN, and no reset"
        stream.sock.close()

    assert "bad_record_mac" in played(tmp_path, talk)
