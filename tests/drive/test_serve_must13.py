"""The tables of RFC 8446 over a real socket: the alert comes, then FIN and no RST, and the next client is served."""

from __future__ import annotations

import asyncio
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.drive.serving import site
from tests.tls import test_must13_server_flights as flights
from tests.tls import test_must13_server_hello as hello
from tests.tls.raw13 import ALERT, DATA, AlertError, OldError, Raw13, Row

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


def played(port: int, row: Row) -> str:
    """What is not as it should be, or ""."""
    way = Wire(port)
    c = Raw13(way, entropy=os.urandom)
    found: int | str | None
    try:
        row.act(c)
        if row.want == "ok":
            echoed(c)
            found = "ok"
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
    after = row.want != "ok" and rest
    return "" if found == row.want and way.end == "FIN" and not after else f"{row}: {found} {way.end} {rest[:40].hex()}"


def test_alerts_and_ends(tmp_path: Path) -> None:
    async def run() -> list[str]:
        async with site(tmp_path, None) as at:

            def all_of_them() -> list[str]:
                with ThreadPoolExecutor(8) as pool:
                    return [wrong for wrong in pool.map(lambda row: played(at.port, row), ROWS) if wrong]

            wrong = await asyncio.to_thread(all_of_them)
            assert "Traceback" not in at.log
            return wrong

    assert len(ROWS) > 250
    assert asyncio.run(run()) == []
