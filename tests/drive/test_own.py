"""Our own TCP behind a TUN device against the Linux kernel's: both roles, both versions of IP, faults, and programs."""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
import shutil
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from synfin.drive.own_pipe import OwnPipe
from synfin.drive.streams import TlsStream
from synfin.drive.tcpinfo import tcp_info
from synfin.drive.wire_link import Link
from synfin.errors import UsageError
from synfin.sim import Conditions
from synfin.tcp import Packet
from synfin.wire.tcpflags import SYN
from tests.drive.tunbox import KERNEL4, OURS4, OURS6, PLACES, Box, box, needs_tun
from tests.tls import ends

pytestmark = needs_tun

SIZE = 20_000_000
MS = 1_000_000
BAD = Conditions(delay=2 * MS, loss=0.02, reorder=0.02, reorder_by=3 * MS, duplicate=0.02, corrupt=0.01)


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


async def opened(at: Box, version: int, active: bool) -> tuple[OwnPipe, socket.socket]:
    """A connection to the kernel (active), or from it."""
    loop = asyncio.get_running_loop()
    kernel, ours = PLACES[version]
    sock = at.socket(version)
    if active:
        with sock:
            sock.bind((kernel, 0))
            sock.listen()
            pipe, (found, _) = await asyncio.gather(
                at.stack.connect(kernel, sock.getsockname()[1]), loop.sock_accept(sock)
            )
        found.setblocking(False)
        return pipe, found
    listener = at.stack.listen(80, ours)
    await loop.sock_connect(sock, (ours, 80))
    pipe = await listener.accept()
    listener.close()
    return pipe, sock


async def drained(sock: socket.socket) -> bytes:
    """All the kernel gets, as a digest, to the peer's FIN."""
    digest, loop = hashlib.sha256(), asyncio.get_running_loop()
    while data := await loop.sock_recv(sock, 1 << 18):
        digest.update(data)
    return digest.digest()


async def swallowed(pipe: OwnPipe) -> bytes:
    """The same of ours."""
    digest = hashlib.sha256()
    while found := await pipe.receive_buffers():
        for piece in found:
            digest.update(piece)
    return digest.digest()


async def both_ways(pipe: OwnPipe, sock: socket.socket, size: int) -> None:
    """Send up and down at once, each to its FIN, and compare."""
    data, loop = noise(size), asyncio.get_running_loop()

    async def ours() -> None:
        await pipe.send(data)
        await pipe.send_eof()

    async def theirs() -> None:
        await loop.sock_sendall(sock, data)
        sock.shutdown(socket.SHUT_WR)

    _, _, up, down = await asyncio.wait_for(asyncio.gather(ours(), theirs(), drained(sock), swallowed(pipe)), 60)
    assert up == down == hashlib.sha256(data).digest()


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("active", [True, False], ids=["connect", "listen"])
def test_bulk_both_ways_at_once_arrives_whole(version: int, active: bool) -> None:
    async def run() -> None:
        async with box() as at:
            pipe, sock = await opened(at, version, active)
            with sock:
                await both_ways(pipe, sock, SIZE)
            info = pipe.info()
            assert info is not None and info.bytes_received == SIZE
            assert SIZE / at.stack.packets_in > 5000, "the kernel's super-segments come uncut"
            await pipe.close()

    asyncio.run(run())


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("active", [True, False], ids=["connect", "listen"])
def test_loss_reordering_duplication_and_damage_are_repaired(version: int, active: bool) -> None:
    async def run() -> None:
        link = Link(BAD, BAD, seed=version)
        async with box(link) as at:
            pipe, sock = await opened(at, version, active)
            with sock:
                await both_ways(pipe, sock, 1_500_000)
            for way in (link.up, link.down):
                assert way.counts["lost"] and way.counts["reordered"] and way.counts["duplicated"]
            info = pipe.info()
            assert info is not None and info.retransmits >= 5
            await pipe.close()

    asyncio.run(run())


def test_half_close_either_way() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with box() as at:
            pipe, sock = await opened(at, 4, True)
            with sock:
                await pipe.send_eof()
                assert await loop.sock_recv(sock, 10) == b""
                await loop.sock_sendall(sock, b"still talking")
                assert await pipe.receive() == b"still talking"
            assert await pipe.receive() == b""
            assert pipe.connection.state == "TIME_WAIT"
            pipe, sock = await opened(at, 4, False)
            with sock:
                sock.shutdown(socket.SHUT_WR)
                assert await pipe.receive() == b""
                await pipe.send(b"so are we")
                await pipe.send_eof()
                assert await loop.sock_recv(sock, 100) == b"so are we"
                assert await loop.sock_recv(sock, 100) == b""

    asyncio.run(run())


def test_resets_are_told_on_both_sides() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with box() as at:
            with pytest.raises(ConnectionRefusedError):
                await at.stack.connect(KERNEL4, 9)
            with at.socket() as nobody, pytest.raises(ConnectionRefusedError):
                await loop.sock_connect(nobody, (OURS4, 9))
            pipe, sock = await opened(at, 4, True)
            with sock:
                pipe.abort()
                with pytest.raises(ConnectionResetError):
                    await loop.sock_recv(sock, 10)
            pipe, sock = await opened(at, 4, False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
            with pytest.raises(ConnectionResetError):
                await pipe.receive()

    asyncio.run(run())


def test_a_zero_window_stops_the_sender_and_opens_again() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with box() as at:
            data = noise(12_000_000)
            pipe, sock = await opened(at, 4, False)
            with sock:
                sending = asyncio.create_task(loop.sock_sendall(sock, data))
                while pipe.connection.rcv_wnd > 65536:
                    await asyncio.sleep(0.01)
                assert not sending.done(), "what nobody reads stays with the sender"
                reading = asyncio.create_task(swallowed(pipe))
                await sending
                sock.shutdown(socket.SHUT_WR)
                assert await reading == hashlib.sha256(data).digest()
            pipe, sock = await opened(at, 4, True)
            with sock:
                ours = asyncio.create_task(pipe.send(data))
                while pipe.connection.snd_wnd > 4096:
                    await asyncio.sleep(0.01)
                assert not ours.done()
                theirs = asyncio.create_task(drained(sock))
                await ours
                await pipe.send_eof()
                assert await asyncio.wait_for(theirs, 30) == hashlib.sha256(data).digest()

    asyncio.run(run())


@pytest.mark.skipif(shutil.which("ss") is None, reason="needs ss (iproute2)")
def test_the_kernel_sees_the_connection_as_we_do() -> None:
    async def run() -> None:
        async with box() as at:
            pipe, sock = await opened(at, 4, True)
            with sock:
                loop = asyncio.get_running_loop()
                await pipe.send(noise(500_000))
                await loop.sock_sendall(sock, noise(100_000))
                got, taken = 0, 0
                while got < 100_000:
                    got += len(await pipe.receive())
                while taken < 500_000:
                    taken += len(await loop.sock_recv(sock, 100_000))
                await pipe.flush()
                said = (await at.run("ss", "-tniH", "src", KERNEL4)).stdout.decode()
                info = pipe.info()
                assert info is not None and info.window_scales is not None
                scales = re.search(r"wscale:(\d+),(\d+)", said)
                assert scales is not None
                assert (int(scales[2]), int(scales[1])) == info.window_scales
                assert re.search(r"\bmss:1448\b", said) and info.mss == 1448
                assert re.search(r"\badvmss:1448\b", said)
                assert re.search(r"\bbytes_received:500000\b", said) and info.bytes_acknowledged == 500_000
                assert re.search(r"\bbytes_acked:100000\b", said) and info.bytes_received == 100_000
                theirs = tcp_info(sock)
                assert theirs is not None and theirs.timestamps and theirs.sack and info.timestamps and info.sack
                assert "retrans" not in said and info.retransmits == 0
                assert said.startswith("ESTAB") and info.state == "ESTABLISHED"

    asyncio.run(run())


async def serve_page(at: Box, body: bytes, count: int) -> None:
    """``count`` HTTPS exchanges on our TCP and our TLS."""
    listener = at.stack.listen(443)
    for _ in range(count):
        stream = TlsStream(await listener.accept(), ends.server(ends.server_config()), clock=lambda: ends.NOW)
        await stream.handshake()
        asked = b""
        while b"\r\n\r\n" not in asked:
            asked += await stream.read()
        await stream.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
        await stream.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl_fetches_over_our_tcp_and_our_tls() -> None:
    async def run() -> None:
        body = noise(3_000_000)
        async with box() as at:
            serving = asyncio.create_task(serve_page(at, body, 2))
            for host in (OURS4, f"[{OURS6}]"):
                done = await at.run("curl", "-skg", f"https://{host}/")
                assert done.returncode == 0, done.stderr
                assert done.stdout == body
            await serving

    asyncio.run(run())


@pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")
def test_nginx_serves_our_tcp(tmp_path: Path) -> None:
    body = noise(2_000_000)
    (tmp_path / "page").write_bytes(body)
    config = tmp_path / "nginx.conf"
    config.write_text(
        f"daemon off; error_log stderr; pid {tmp_path}/pid; user root; events {{}}\n"
        f"http {{ access_log off; server {{ listen {KERNEL4}:80; root {tmp_path}; }} }}\n"
    )

    async def run() -> None:
        async with box() as at:
            nginx = await at.start("nginx", "-p", str(tmp_path), "-c", str(config))
            try:
                for _ in range(200):
                    try:
                        pipe = await at.stack.connect(KERNEL4, 80)
                        break
                    except ConnectionRefusedError:
                        await asyncio.sleep(0.02)
                await pipe.send(b"GET /page HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                got = b"".join([piece async for piece in pieces(pipe)])
                assert got.partition(b"\r\n\r\n")[2] == body
            finally:
                nginx.terminate()
                await nginx.communicate()

    asyncio.run(run())


async def pieces(pipe: OwnPipe) -> AsyncIterator[bytes]:
    while data := await pipe.receive():
        yield data


def test_many_connections_at_once_and_what_is_left_of_them() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with box() as at:
            listener = at.stack.listen(80)

            async def echo() -> None:
                while True:
                    pipe = await listener.accept()
                    await pipe.send(await pipe.receive())
                    await pipe.close()

            serving = asyncio.create_task(echo())

            async def ask(number: int) -> None:
                with at.socket() as sock:
                    await loop.sock_connect(sock, (OURS4, 80))
                    await loop.sock_sendall(sock, b"%d" % number)
                    assert await loop.sock_recv(sock, 100) == b"%d" % number
                    assert await loop.sock_recv(sock, 100) == b""

            await asyncio.gather(*(ask(number) for number in range(200)))
            serving.cancel()
            with pytest.raises(UsageError, match="listened on already"):
                at.stack.listen(80)
            listener.close()
            at.stack.listen(80)

    asyncio.run(run())


def test_fragments_of_a_segment_are_joined() -> None:
    """A SYN in two fragments, as the kernel passes them on, is answered."""

    async def run() -> None:
        async with box() as at:
            at.stack.listen(80)
            here, there = (socket.inet_aton(text) for text in (KERNEL4, OURS4))
            body = Packet(here, there, 4000, 80, 1, 0, SYN, 1000, bytes((1,)) * 20).write()[20:]
            with at.space.inside():
                sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
            with sock:
                for start, stop, more in ((0, 16, 0x2000), (16, len(body), 0)):
                    part = body[start:stop]
                    head = struct.pack(
                        "!BBHHHBBH4s4s", 0x45, 0, 20 + len(part), 77, more | start // 8, 64, 6, 0, here, there
                    )
                    sock.sendto(head + part, (OURS4, 0))
                    assert not at.stack.packets_out
                    await asyncio.sleep(0.02)
            for _ in range(100):
                if at.stack.packets_out:
                    break
                await asyncio.sleep(0.02)
            assert at.stack.packets_out, "a SYN-ACK, which the kernel knows nothing of and refuses"

    asyncio.run(run())


@pytest.mark.skipif(shutil.which("ping") is None, reason="needs ping")
def test_ping_is_answered() -> None:
    async def run() -> None:
        async with box() as at:
            for host in (OURS4, OURS6):
                assert (await at.run("ping", "-c", "2", "-i", "0.1", "-W", "2", host)).returncode == 0

    asyncio.run(run())
