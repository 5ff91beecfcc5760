"""Streams over real sockets with a server made from the RFCs: however segments are cut, data and every end arrive."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from synfin.drive.sockets import connect
from synfin.drive.streams import AlertError, TlsStream, TruncatedError
from synfin.errors import PeerError
from synfin.tls import Client
from tests.tls import crossed_12, crossed_13, crossed_peer
from tests.tls.crossed_12 import Crossed12
from tests.tls.crossed_13 import Crossed13
from tests.tls.crossed_both import Case, table
from tests.tls.crossed_keys import vec
from tests.tls.crossed_peer import ALERT, DATA
from tests.tls.ends import NAME, NOW

Run = Crossed13 | Crossed12
ROWS: list[tuple[type[Run], Case]] = [
    (Crossed13, row) for row in table(crossed_13.DIMENSIONS, 30, crossed_13.lawful) if row["early"] == "no"
]
ROWS += [(Crossed12, row) for row in table(crossed_12.DIMENSIONS, 12, crossed_12.lawful)]


class Wire:
    """A client at the other end of a socket."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        end.settimeout(30)
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def receive(self, data: bytes, now: float) -> None:
        self.end.sendall(data)

    def take_output(self, now: float) -> bytes:
        return self.end.recv(1 << 16)


def meet(run: Run, serve: Callable[[Run], None], use: Callable[[TlsStream], Awaitable[None]]) -> None:
    """``serve`` at one end of a connection, in a thread, and ``use`` at the other."""
    run.pause = 0.0

    def there(listener: socket.socket) -> None:
        end, _ = listener.accept()
        with end:
            run.meet(Wire(end))
            serve(run)

    async def here() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            server = asyncio.create_task(asyncio.to_thread(there, listener))
            client = Client(run.config, NAME, now=NOW, entropy=os.urandom, session=run.session)
            stream = TlsStream(await connect(*listener.getsockname()[:2]), client, clock=lambda: NOW)
            await use(stream)
            await stream.close()
            await server

    asyncio.run(here())


def echo(run: Run, size: int) -> None:
    """So much data back, and the facts kept."""
    run.wanted = run.shake()
    got = b""
    while len(got) < size:
        kind, content = run.peer.next_record() or (ALERT, b"")
        if kind == DATA:
            got += content
    run.peer.pour(DATA, got)
    run.peer.flush()


def close_notify(run: Run) -> None:
    echo(run, 3000)
    run.peer.put(ALERT, b"\1\0")
    run.peer.drain()
    assert run.peer.closed


def cut(run: Run) -> None:
    echo(run, 3000)


def fatal(run: Run) -> None:
    echo(run, 3000)
    run.peer.put(ALERT, b"\2\x50")
    run.peer.flush()


@pytest.mark.parametrize(("kind", "case"), ROWS, ids=[f"{row['seed']} {kind.__name__}" for kind, row in ROWS])
def test_facts_data_and_ends(kind: type[Run], case: Case) -> None:
    """Over loopback all is as it is in memory."""
    ends: tuple[tuple[Callable[[Run], None], type[Exception] | None], ...]
    ends = (close_notify, None), (cut, TruncatedError), (fatal, AlertError)
    serve, error = ends[case["seed"] % 3]
    run = kind({**case, "step": {1: 7}.get(case["step"], case["step"])})
    data = os.urandom(3000)

    async def use(stream: TlsStream) -> None:
        facts = await stream.handshake()
        await stream.write(data)
        got = b""
        while len(got) < len(data):
            got += await stream.read()
        half = getattr(run, "half", b"")
        while len(got) < len(half + data):
            got += await stream.read()
        assert got == half + data
        assert {name: getattr(facts, name) for name in run.wanted} == run.wanted
        if error is None:
            assert await stream.read() == b""
        else:
            with pytest.raises(error):
                await stream.read()

    meet(run, serve, use)


@pytest.mark.parametrize("label", ["sh", "ee", "cert", "fin"])
@pytest.mark.parametrize("number", range(3))
def test_the_alert_arrives(label: str, number: int) -> None:
    """Whatever the server still says, it reads why the client ended."""
    case = dict(ROWS[number][1]) | {"psk": None, "compress": 0, "ccs": (), "step": (-1, 0, 7)[number]}
    run = Crossed13(case, lambda run, name, raw: raw[:1] + vec(b"", 3) if name == label else raw)

    def serve(run: Any) -> None:
        with pytest.raises(crossed_peer.AlertError) as found:
            run.shake()
        assert (found.value.level, found.value.description) == (2, 50)

    async def use(stream: TlsStream) -> None:
        with pytest.raises(PeerError, match="decode_error"):
            await stream.handshake()

    meet(run, serve, use)
