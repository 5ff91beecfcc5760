"""The tables of RFC 8446 over a real socket: the alert comes, then FIN and no RST, and the next client is served."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from synfin.tls import ReplayGuard
from tests.drive.serving import site
from tests.tls import test_must13_server_flights as flights
from tests.tls import test_must13_server_hello as hello
from tests.tls import test_must13_server_keys as keys
from tests.tls.raw13 import ALERT, DATA, AlertError, OldError, Raw13, split

PATIENT = 10.0
ROWS = [
    row
    for row in (
        *hello.FIELDS, *hello.VERSIONS, *hello.NAMES, *hello.PARAMETERS, *hello.RETRIES,
        *flights.FIRST, *flights.SECOND, *flights.LATER,
    )
    if not row.more and row.want != "old" and row.words not in ("no protocols here", "close_notify")
]  # fmt: skip


class Wire:
    """A socket as ``Raw13`` takes it; ``end`` says how the server ended the connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.end = ""

    def send(self, data: bytes) -> None:
        try:
            self.socket.sendall(data)
        except OSError as error:
            self.end = self.end or type(error).__name__

    def recv(self) -> bytes:
        if self.end:
            return b""
        try:
            data = self.socket.recv(1 << 16)
        except OSError as error:
            self.end = type(error).__name__
            return b""
        if not data:
            self.end = "FIN"
        return data


def echoed(c: Raw13) -> None:
    """The connection works: what is said comes back, and close_notify is answered."""
    c.put(DATA, b"is anybody there?")
    while not c.data.endswith(b"is anybody there?"):
        found = c.next_record()
        if found is None:
            raise AlertError(None, "no echo")
        if found[0] == ALERT:
            raise AlertError(found[1][1])
        c.data += found[1] if found[0] == DATA else b""
    c.put(ALERT, b"\1\0")
    if c.next_record() != (ALERT, b"\1\0"):
        raise AlertError(None, "no close_notify")


def played(port: int, name: str, want: int | str | None, act: Callable[[Raw13], Any]) -> str:
    """What is not as it should be, or ""."""
    way = Wire(port)
    c = Raw13(way, entropy=os.urandom)
    found: int | str | None
    try:
        act(c)
        if isinstance(want, str):
            echoed(c)
            found = "ok" if want == "ok" else _how(c)
        else:
            c.late()
            found = None
    except AlertError as error:
        found = error.alert
    except OldError:
        found = "old"
    rest = c.held
    while data := way.recv():
        rest += data
    way.socket.close()
    after = not isinstance(want, str) and rest
    return "" if found == want and way.end == "FIN" and not after else f"{name}: {found} {way.end} {rest[:40].hex()}"


def _how(c: Raw13) -> str:
    """How the handshake was made, as the rows of ``test_must13_server_keys`` have it."""
    answer, more = [raw for raw in c.messages if raw[0] == 2][-1], next(raw for raw in c.messages if raw[0] == 8)
    if 42 in split(more[6:]):
        return "early"
    return "resumed" if 41 in split(answer[44 + answer[38] :]) else "full"


async def _all(port: int, plays: Iterable[tuple[str, int | str | None, Callable[[Raw13], Any]]]) -> list[str]:
    def work() -> list[str]:
        with ThreadPoolExecutor(8) as pool:
            return [wrong for wrong in pool.map(lambda one: played(port, *one), plays) if wrong]

    return await asyncio.to_thread(work)


def test_alerts_and_ends(tmp_path: Path) -> None:
    async def run() -> list[str]:
        async with site(tmp_path, None) as at:
            wrong = await _all(at.port, [(str(row), row.want, row.act) for row in ROWS])
            assert "Traceback" not in at.log
            return wrong

    assert len(ROWS) > 250
    assert asyncio.run(run()) == []


@pytest.mark.parametrize("early", [False, True], ids=["keys", "early data"])
def test_keys(tmp_path: Path, early: bool) -> None:
    more: dict[str, Any] = {"shared_keys": ((keys.SHARED.identity, keys.SHARED.key),)}
    rows = [*keys.KEYS, *[row for row in keys.NOT_TAKEN if not row.more]]
    if early:
        more |= {"max_early_data": keys.ROOM, "replay_guard": ReplayGuard()}
        rows = [*keys.TAKEN, *[row for row in keys.NOT_TAKEN if row.more.keys() >= keys.E.keys()]]

    def after_another(port: int, play: keys.Play) -> Callable[[Raw13], Any]:
        """A connection that brings tickets, and then the row's own."""

        def act(c: Raw13) -> None:
            first = Raw13(Wire(port), entropy=os.urandom)
            with suppress(AlertError):  # the answer to close_notify
                first.shake().put(ALERT, b"\1\0").late()
            play(c, first.tickets)

        return act

    async def run() -> list[str]:
        async with site(tmp_path, None, **more) as at:
            wrong = await _all(at.port, [(str(row), row.want, after_another(at.port, row.act)) for row in rows])
            assert "Traceback" not in at.log
            return wrong

    assert asyncio.run(run()) == []
