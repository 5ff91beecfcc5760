"""Our side of the matrix: a server with a listener for every cell, and a client; both leave a capture of it all."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from synfin import tls
from synfin.drive.blocking import connect_tls
from synfin.drive.capture import LiveCapture, PduCapture, may_capture
from synfin.drive.capture_file import private_file
from synfin.drive.capture_pipe import TappedPipe
from synfin.drive.listening import listen
from synfin.drive.pipe import Pipe
from synfin.drive.server import Patience, WebServer
from synfin.drive.server_log import AccessLog
from synfin.http.app import Answer
from synfin.http.app import Request as AppRequest
from synfin.http.app_echo import echo
from synfin.http.client import Body, Done, Exchange, Head, Request
from synfin.http.client1 import Http1
from synfin.http.client2 import Http2
from synfin.wire.tls import registry
from tests.interop import chains
from tests.interop.cells import HOST, NAME, Cell

VERSIONS = {"1.2": 0x0303, "1.3": 0x0304}
P384, P521, X25519, X25519MLKEM768 = 24, 25, 29, 0x11EC


def seen(facts: tls.Facts) -> dict[str, Any]:
    """The facts of our client in the words of /connection."""
    return {
        "version": registry.version_name(facts.version),
        "cipher_suite": registry.cipher_name(facts.suite),
        "group": None if facts.group is None else registry.group_name(facts.group),
        "resumed": facts.resumed,
        "hello_retry_request": facts.retried,
        "alpn": None if facts.alpn is None else facts.alpn.decode(),
        "client_certificate": facts.own_signature is not None,
    }


# ---------------------------------------------------------------- our server


def server_config(cell: Cell, **more: Any) -> tls.ServerConfig:
    """A server for one cell: its version, key, groups and wish for a certificate; everything else is the default."""
    code = VERSIONS[cell.version]
    options: dict[str, Any] = {
        "credentials": (chains.credential(chains.server(cell.kind)),),
        "min_version": code,
        "max_version": code,
        "alpn": (cell.alpn.encode(),),
        "ticket_keys": tls.TicketKeys(os.urandom(32)),
        "session_cache": tls.SessionCache(),
    }
    if cell.retry or cell.hybrid:
        options["groups"] = (X25519MLKEM768 if cell.hybrid else P384,)
    if cell.client:
        options |= {
            "client_auth": "required",
            "verify": tls.PathVerifier([chains.root().der]),
            "client_authorities": (chains.root().facts.subject_der,),
        }
    return tls.ServerConfig(**{**options, **more})


@dataclass
class Serving:
    """Our server while it runs: a port for each cell, the capture, and the lines of its log."""

    capture: Path
    ports: dict[str, int] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)


def _app(request: AppRequest) -> Answer:
    """An echo that closes after /close, for clients that cannot ask for that themselves."""
    answer = echo(request)
    return replace(answer, close=True) if request.path == "/close" else answer


@contextmanager
def serving(path: Path, configs: dict[str, tls.ServerConfig], *, pdu: bool = False) -> Iterator[Serving]:
    """Serve echo and /connection with each configuration on a port of its own, from a thread."""
    found = Serving(path)
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    broken: list[BaseException] = []

    async def run() -> None:
        file = private_file(path)
        capture: LiveCapture | PduCapture = PduCapture(file) if pdu or may_capture() else LiveCapture(file)

        def tapped(pipe: Pipe, secure: bool) -> Pipe:
            assert isinstance(capture, PduCapture)
            return TappedPipe(pipe, capture.tap(pipe.local, pipe.remote, tls=secure))

        tap = tapped if isinstance(capture, PduCapture) else None
        server = WebServer(_app, AccessLog(found.lines.append), on_pipe=tap, patience=Patience(idle=0.5))
        for name, config in configs.items():
            source = await listen(HOST, 0)
            port = source.addresses[0][1]
            if isinstance(capture, LiveCapture):
                capture.watch(HOST, port)
            server.serve(source, tls.ServerConfig(**{**config.__dict__, "key_log": capture.key_log}))
            found.ports[name] = port
        capture.start()
        ready.set()
        await stop.wait()
        await server.stop()
        await asyncio.to_thread(capture.close, 0.1)
        server.log.flush()

    def thread() -> None:
        try:
            loop.run_until_complete(run())
        except BaseException as error:
            broken.append(error)
            raise
        finally:
            loop.close()
            ready.set()

    worker = threading.Thread(target=thread, daemon=True)
    worker.start()
    ready.wait(30)
    if broken:
        raise broken[0]
    try:
        yield found
    finally:
        loop.call_soon_threadsafe(stop.set)
        worker.join(30)


# ---------------------------------------------------------------- our client


def client_config(cell: Cell, **more: Any) -> tls.ClientConfig:
    """A client for one cell; a foreign server of a retry cell takes one group only, for which no share is sent."""
    code = VERSIONS[cell.version]
    options: dict[str, Any] = {
        "verify": tls.PathVerifier([chains.root().der]),
        "min_version": code,
        "max_version": code,
        "alpn": (cell.alpn.encode(),),
    }
    if cell.hybrid:
        options["groups"] = (X25519, X25519MLKEM768) if cell.retry else (X25519MLKEM768,)
        options["shares"] = 1
    if cell.client:
        options["credentials"] = (chains.credential(chains.client(cell.client)),)
    return tls.ClientConfig(**{**options, **more})


@dataclass(frozen=True, slots=True)
class Asked:
    """One exchange of our client: facts, status, body, and the port it came from."""

    facts: tls.Facts
    status: int
    body: bytes
    port: int
    tickets: tuple[tls.Session, ...]


def ask(port: int, config: tls.ClientConfig, *, session: tls.Session | None = None, http: bool = True) -> Asked:
    """GET / from a foreign server on loopback, by what ALPN chose."""
    with connect_tls(HOST, port, config, name=NAME, session=session, timeout=20) as stream:
        facts = stream.facts
        assert facts is not None
        request = Request(
            "GET", "https", f"{NAME}:{port}", "/", (("Connection", "close"),) if facts.alpn != b"h2" else ()
        )
        exchange: Exchange = Http2(request) if facts.alpn == b"h2" else Http1(request)
        stream.send(exchange.output())
        status, body, done = 0, b"", not http
        while not done:
            data = stream.recv()
            for item in exchange.receive(data) if data else exchange.receive_eof():
                if isinstance(item, Head):
                    status = item.status
                elif isinstance(item, Body):
                    body += item.data
                done = done or isinstance(item, Done)
            if out := exchange.output():
                stream.send(out)
        if out := exchange.goodbye():
            stream.send(out)
        return Asked(facts, status, body, stream.sock.getsockname()[1], tuple(stream.tickets))


@contextmanager
def capturing(path: Path, ports: list[int]) -> Iterator[LiveCapture | None]:
    """Capture what our client does with servers at ``ports``; None where packets cannot be captured."""
    if may_capture():
        yield None
        return
    capture = LiveCapture(private_file(path))
    for port in ports:
        capture.watch(HOST, port)
    capture.start()
    try:
        yield capture
    finally:
        capture.close(0.1)


def free_ports(count: int) -> list[int]:
    """Ports for programs that cannot be told to take any, away from those the kernel gives out."""
    found: list[int] = []
    at = 11_000 + os.getpid() * 131 % 18_000
    while len(found) < count:
        at = 11_000 + (at + 1 - 11_000) % 20_000
        with socket.socket() as probe:
            try:
                probe.bind((HOST, at))
            except OSError:
                continue
        found.append(at)
    return found


def body_json(body: bytes) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(body)
    return told
