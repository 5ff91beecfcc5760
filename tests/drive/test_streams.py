"""TLS streams over kernel sockets: the ends, back-pressure, cancellation, and Python's ssl as the other side."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from synfin import tls
from synfin.drive.blocking import connect_tls, serve_tls
from synfin.drive.listening import listen
from synfin.drive.sockets import READ_AHEAD, SocketPipe, connect
from synfin.drive.streams import AlertError, TlsStream, TruncatedError
from synfin.errors import PeerError
from tests.tls import ends


def now() -> float:
    return ends.NOW


def stream(pipe: SocketPipe, endpoint: tls.Client | tls.Server) -> TlsStream:
    return TlsStream(pipe, endpoint, clock=now)


@asynccontextmanager
async def pair(**server_options: Any) -> AsyncIterator[tuple[TlsStream, TlsStream]]:
    """A client and a server stream that have shaken hands over loopback."""
    listener = await listen("127.0.0.1", 0)
    pipe = await connect(*listener.addresses[0])
    other = await listener.accept()
    listener.close()
    client = stream(pipe, ends.client())
    server = stream(other, ends.server(ends.server_config(**server_options)))
    await asyncio.gather(client.handshake(), server.handshake())
    try:
        yield client, server
    finally:
        client.abort()
        server.abort()


def test_data_goes_both_ways_and_a_clean_end_is_told_from_a_cut() -> None:
    async def run() -> None:
        async with pair() as (client, server):
            await client.write(b"ping")
            assert await server.read() == b"ping"
            await server.write(b"pong")
            assert await client.read() == b"pong"
            assert client.facts is not None and client.facts.version == tls.config.TLS13
            closing = asyncio.create_task(server.close())
            assert await client.read() == b""
            assert await client.read() == b"", "the end stays the end"
            await client.close()
            await closing
        async with pair() as (client, server):
            await server.write(b"half")
            await server.pipe.send_eof()
            assert await client.read() == b"half"
            with pytest.raises(TruncatedError, match="truncated"):
                await client.read()

    asyncio.run(run())


def test_a_half_closed_client_still_gets_its_answer() -> None:
    async def run() -> None:
        async with pair() as (client, server):
            await client.write(b"question")
            await client.close_write()
            await client.pipe.send_eof()
            assert await server.read() == b"question"
            assert await server.read() == b""
            await server.write(b"answer" * 1000)
            closing = asyncio.create_task(server.close())
            got = b""
            while part := await client.read():
                got += part
            assert got == b"answer" * 1000
            await closing

    asyncio.run(run())


def test_a_reset_is_an_oserror() -> None:
    async def run() -> None:
        async with pair() as (client, server):
            server.abort()
            with pytest.raises(OSError):
                await client.read()

    asyncio.run(run())


def test_a_slow_reader_holds_the_writer_back() -> None:
    async def run() -> None:
        async with pair() as (client, server):
            pipe = server.pipe
            assert isinstance(pipe, SocketPipe)
            for end in (pipe, client.pipe):
                assert isinstance(end, SocketPipe)
                end.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
                end.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            sent = 0
            block = bytes(1 << 18)

            async def flood() -> None:
                nonlocal sent
                for _ in range(256):
                    await server.write(block)
                    sent += len(block)
                await server.close()

            task = asyncio.create_task(flood())
            for _ in range(200):
                await asyncio.sleep(0)
            await asyncio.sleep(0.1)
            held = client.pipe
            assert isinstance(held, SocketPipe)
            assert not task.done() and sent < 1 << 24
            assert pipe._queued < 1 << 19 and held._held < READ_AHEAD + (1 << 17)
            got = 0
            while part := await client.read():
                got += len(part)
            assert got == 256 << 18
            await client.close()
            await task

    asyncio.run(run())


def test_cancelled_readers_and_writers_lose_nothing() -> None:
    async def run() -> None:
        async with pair() as (client, server):
            for number in range(20):
                reader = asyncio.create_task(client.read())
                await asyncio.sleep(0)
                if number % 2:
                    await server.write(b"x%02d" % number)
                    await asyncio.sleep(0.001)
                if not reader.done():
                    reader.cancel()
                    assert isinstance((await asyncio.gather(reader, return_exceptions=True))[0], asyncio.CancelledError)
                else:
                    assert await reader == b"x%02d" % number
            whole = os.urandom(1 << 23)
            writer = asyncio.create_task(server.write(whole))
            await asyncio.sleep(0.02)
            assert not writer.done(), "nobody reads"
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            closing = asyncio.create_task(server.close(drain=10.0))
            got = bytearray()
            while part := await client.read():
                got += part
            assert got and got == whole[: len(got)], "whole records in order, then a clean end"
            await client.close()
            await closing

    asyncio.run(run())


def test_the_handshake_keeps_its_deadline() -> None:
    async def run() -> None:
        listener = await listen("127.0.0.1", 0)
        pipe = await connect(*listener.addresses[0])
        other = await listener.accept()
        server = TlsStream(other, ends.server(ends.server_config(handshake_seconds=0.05)), clock=now)
        with pytest.raises(PeerError, match="handshake_stalled"):
            await server.handshake()
        await server.close(drain=0.01)
        pipe.abort()
        listener.close()

    asyncio.run(run())


def test_alerts_of_the_peer_and_our_own_are_named() -> None:
    async def run() -> None:
        listener = await listen("127.0.0.1", 0)
        pipe = await connect(*listener.addresses[0])
        server = stream(await listener.accept(), ends.server(ends.server_config(alpn=(b"a",))))
        client = stream(pipe, ends.client(ends.client_config(alpn=(b"b",))))
        told = await asyncio.gather(client.handshake(), server.handshake(), return_exceptions=True)
        assert isinstance(told[0], AlertError) and told[0].name == "no_application_protocol"
        assert isinstance(told[1], PeerError) and told[1].violation == "no_common_protocol"
        await asyncio.gather(client.close(), server.close())
        listener.close()

    asyncio.run(run())


def test_the_last_alert_is_not_lost_to_a_reset() -> None:
    """A peer that goes on sending reads the alert though we have not read all of what it sent."""

    async def run() -> bytes:
        listener = await listen("127.0.0.1", 0)
        pipe = await connect(*listener.addresses[0])
        server = stream(await listener.accept(), ends.server())
        await pipe.send(b"\x16\x03\x01\x00\x05hello" + bytes(300_000))
        with pytest.raises(PeerError):
            await server.handshake()
        closing = asyncio.create_task(server.close())
        got = b""
        while part := await pipe.receive():
            got += part
        await pipe.close()
        await closing
        listener.close()
        return got

    assert asyncio.run(run())[:1] == b"\x15"


def test_a_pipe_is_overheard_only_while_somebody_waits_to_send() -> None:
    async def run() -> None:
        one, other = socket.socketpair()
        pipe = SocketPipe(one, ("", 0))
        heard: list[bytes | None] = []

        def told() -> bool:
            heard.append(pipe.take())
            return False

        pipe.overhear(told)
        with other:
            async with asyncio.timeout(5):
                other.send(b"nobody waits")
                while (came := pipe.take()) is None:
                    await asyncio.sleep(0.001)
                assert came == b"nobody waits" and heard == []
                sending = asyncio.create_task(pipe.send(bytes(1 << 22)))
                await asyncio.sleep(0)
                other.send(b"somebody waits")
                while not heard:
                    await asyncio.sleep(0.001)
            assert heard == [b"somebody waits"]
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            pipe.abort()

    asyncio.run(run())


def test_tcp_info_of_the_kernel() -> None:
    async def run() -> None:
        async with pair() as (client, _):
            info = client.pipe.info()
            if info is None:
                pytest.skip("the kernel gives no TCP_INFO")
            assert info.state == "ESTABLISHED" and info.mss > 500 and 0 < info.rtt < 5
            assert info.retransmits == 0 and info.bytes_received

    asyncio.run(run())


def test_blocking_both_roles_and_python_ssl() -> None:
    """connect_tls against Python's ssl, with a ticket taken along to a second connection."""
    context = ends.ssl_context(True, (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()

        def serve() -> None:
            for _ in range(2):
                with context.wrap_socket(listening.accept()[0], server_side=True) as tunnel:
                    tunnel.sendall(tunnel.recv(100)[::-1])
                    tunnel.unwrap()

        thread = threading.Thread(target=serve)
        thread.start()
        config = tls.ClientConfig(verify=tls.accept_any_certificate)
        with connect_tls(address[0], address[1], config, name=ends.NAME) as one:
            one.send(b"abc")
            assert one.recv_all() == b"cba"
            assert one.tickets
        with connect_tls(address[0], address[1], config, name=ends.NAME, session=one.tickets[0]) as two:
            two.send(b"def")
            assert two.recv_all() == b"fed"
            assert two.facts is not None and two.facts.resumed
        thread.join()


def test_blocking_server_refuses_garbage() -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(b"GET / HTTP/1.0\r\n\r\n")
    with pytest.raises(PeerError, match="plain_http_sent"):
        serve_tls(ours, ends.server_config())
    theirs.close()


def test_blocking_handshake_has_a_deadline() -> None:
    """A peer that sends an octet now and then is not waited for beyond ``handshake_seconds``."""
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    over = threading.Event()

    def drip() -> None:
        for octet in b"\x16\x03\x01\x02\x00" + bytes(500):
            if over.wait(0.02):
                return
            theirs.sendall(bytes((octet,)))

    thread = threading.Thread(target=drip)
    thread.start()
    with pytest.raises(PeerError, match="handshake_stalled"):
        serve_tls(ours, replace(ends.server_config(), handshake_seconds=0.2))
    over.set()
    thread.join()
    theirs.close()
