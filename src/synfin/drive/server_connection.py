"""One connection of a server: the handshake, then HTTP/1, HTTP/2 or raw octets, and an end that loses nothing.

A peer that is slow or silent is told so where the protocol has words for it (408, GOAWAY, close_notify) and left
(``server_talk``).  What went wrong is one line of the log; nothing is raised.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from synfin import tls
from synfin.drive import clock, server_late
from synfin.drive.pipe import Pipe
from synfin.drive.server_talk import SAFE, Talk
from synfin.drive.streams import PORTION, AlertError, TlsStream
from synfin.errors import PeerError
from synfin.http.app import Answer, Refusal, Request, told
from synfin.http.server1 import Http1, answer_head, bodiless, pieces
from synfin.http.server2 import Http2
from synfin.wire.http2 import PREFACE
from synfin.wire.tls.registry import version_name

if TYPE_CHECKING:
    from synfin.drive.server import WebServer

#: Requests answered in a row before other connections have their turn.
_BURST = 16
#: Octets of HTTP/2 that are read while one write waits: more than the windows let a lawful client send.
_MOST_HEARD = 4 << 20
_HTTP = ("HTTP/1.0", "HTTP/1.1", "HTTP/2")


class Connection(Talk):
    """One connection of a server."""

    __slots__ = ("_answering", "_heard", "_octets", "_waiting", "_wrong")

    def __init__(self, server: WebServer, pipe: Pipe, config: tls.ServerConfig | None) -> None:
        super().__init__(server, pipe, config)
        self._octets = 0
        self._answering: dict[int, tuple[str, str, str, int, float]] = {}  # HTTP/2: what was asked, status, since when
        self._heard = 0  # HTTP/2: octets read while the write under way waits
        self._wrong: PeerError | None = None  # what was wrong with them
        self._waiting: list[tuple[int, Request, float]] = []  # HTTP/2: what waits for the end of the handshake

    async def run(self) -> None:
        """From the handshake to the end."""
        stream, server = self.stream, self._server
        shaken = False
        try:
            try:
                if isinstance(stream, TlsStream):
                    facts = await stream.handshake(early=server.app is not None)
                    self._spoken = " " + version_name(facts.version)
                    if self._early:
                        self._shake_due = self._loop.time() + server.patience.handshake
                        stream.on_event = self._on_event
                    else:
                        self._handshake = clock.now() - self._started
                shaken = True
                self.idle = True
                await self._talk()
                await self._finish_handshake()  # so that it has its tickets
            except asyncio.CancelledError:
                if not self._ending or self.task is None:
                    raise
                self.task.uncancel()
            except (PeerError, AlertError, OSError) as error:
                if not isinstance(error, OSError) or isinstance(error, AlertError) or not (shaken and self.idle):
                    where = "while serving" if shaken and not self._early else "in the handshake"
                    server.log.failure(self.pipe.remote, where, error)
            await stream.close(drain=0.2 if server.stopping else server.patience.drain)
        except asyncio.CancelledError:
            stream.abort()

    async def _talk(self) -> None:
        if self._server.app is None:
            await self._raw_echo()
            return
        stream = self.stream
        if isinstance(stream, TlsStream) and stream.facts is not None and stream.facts.alpn == b"h2":
            await self._http2(b"")
        else:
            await self._http1()

    # ------------------------------------------------------------ octets

    async def _raw_echo(self) -> None:
        server = self._server
        while not server.stopping:
            self.idle = True
            data = await self._read(server.patience.idle)
            if not data:
                break
            self.idle = False
            self._octets += len(data)
            await self._write(data)
        self._server.log.connection(
            self.pipe.remote, f"echoed{self._spoken}", self._octets, clock.now() - self._started
        )

    # ------------------------------------------------------------ HTTP/1

    async def _http1(self) -> None:
        server, patience = self._server, self._server.patience
        talk = Http1(server.bounds.head, server.bounds.body, server.budget, bodies=server.bodies)
        ended, burst = False, 0
        until = self._loop.time() + patience.idle  # of the wait for a head or a body
        in_head = in_body = False
        try:
            while True:
                found = None
                if self._requests or not _preface(talk.begins):
                    found = talk.next()
                elif talk.begins == PREFACE:
                    await self._http2(talk.take_rest())
                    return
                if isinstance(found, bytes):
                    await self._write(found)
                elif isinstance(found, Refusal):
                    await self._refuse1(found)
                    return
                elif found is not None:
                    in_head = in_body = False
                    keep = await self._answer1(found)
                    if not keep or server.stopping:
                        return
                    until = self._loop.time() + patience.idle
                    burst += 1
                    if not burst % _BURST:
                        await asyncio.sleep(0)
                    if talk.in_head or found.body:
                        continue
                if ended:
                    return
                if talk.in_body:
                    if not in_body:
                        in_body, until = True, self._loop.time() + patience.body
                elif talk.in_head and not in_head:
                    in_head, until = True, self._loop.time() + patience.head
                self.idle = not (talk.in_head or talk.in_body)
                slow = talk.received / patience.slowest if in_body else 0.0
                data = await self._read(max(0.0, until + slow - self._loop.time()))
                if data is None:
                    if not self.idle:
                        what = "body" if in_body else "head"
                        await self._refuse1(Refusal(408, "", f"the request's {what} did not come in time"))
                    return
                self.idle = False
                if data:
                    talk.receive(data)
                else:
                    ended = True
                    talk.receive_eof()
        finally:
            talk.forget()

    async def _answer1(self, request: Request) -> bool:
        """Answer; whether the connection goes on."""
        server = self._server
        started = self._loop.time()
        if request.method not in SAFE:
            await self._finish_handshake()
        if self._asks and request.path == server_late.PATH and isinstance(self.stream, TlsStream):
            answer = await self._ask_certificate(self.stream)
        else:
            answer = self._decide(request, f"HTTP/{request.version}")
        keep = request.keep and not answer.close and not server.stopping
        head = answer_head(answer, request, server.date(), keep)
        last = not keep and not self._early
        spoken = self._said(_HTTP[request.version != "1.0"])
        sent = 0
        try:
            if bodiless(answer, request):
                await self._write(head, last=last)
            elif isinstance(answer.body, bytes) and len(answer.body) < PORTION:
                sent = len(answer.body)
                await self._write(head + answer.body, last=last)
            else:
                for part in pieces(answer, PORTION):
                    sent += len(part)
                    await self._write(head + part if head else part)
                    head = b""
                    await asyncio.sleep(0)
        finally:
            if not isinstance(answer.body, bytes):
                answer.body.close()
            self._told(request.method, request.target, spoken, answer.status, sent, started)
        if head == b"" and sent != answer.size:
            server.log.failure(self.pipe.remote, "while serving", "the file became shorter while it was sent")
            self.stream.abort()
            return False
        return keep

    async def _refuse1(self, refusal: Refusal) -> None:
        started = self._loop.time()
        answer = told(refusal.status, refusal.why)
        self.idle = False
        if refusal.violation:
            self._server.log.failure(self.pipe.remote, "while serving", PeerError(refusal.violation, "", refusal.why))
        await self._write(
            answer_head(answer, None, self._server.date(), False) + _body_of(answer), last=not self._early
        )
        self._told(*refusal.asked, self._said("HTTP/1.1"), answer.status, answer.size, started)

    # ------------------------------------------------------------ HTTP/2

    async def _http2(self, first: bytes) -> None:
        server, patience = self._server, self._server.patience
        talk = Http2(server.bounds.body, server.budget, bodies=server.bodies)
        until = self._loop.time()
        stage: tuple[bool, bool, int] | None = None
        sent = came = 0
        self.stream.on_unread = lambda: self._hear2(talk)
        self.idle = True
        try:
            await self._flush2(talk)
            data: bytes | None = first
            while True:
                if data:
                    self.idle = False
                    try:
                        self._take2(talk, data)
                    except PeerError:
                        await self._flush2(talk)
                        raise
                if server.stopping:
                    talk.close()
                await self._flush2(talk)
                if self._waiting:
                    await self._finish_handshake()
                    waiting, self._waiting = self._waiting, []
                    for stream, request, started in waiting:
                        self._answer2(talk, stream, request, started)
                    await self._flush2(talk)
                if talk.closed and talk.idle:
                    return
                now = self._loop.time()
                # Only what was waited for buys time: not PING, nor a window that opens by an octet.
                before, stage = stage, (talk.idle, talk.sending, self._requests if talk.idle else 0)
                if stage != before or talk.sent - sent >= patience.slowest * patience.write:
                    wait = patience.idle if talk.idle else patience.write if talk.sending else patience.body
                    until, sent, came = now + wait, talk.sent, talk.came
                elif not talk.sending:
                    until += (talk.came - came) / patience.slowest
                    came = talk.came
                self.idle = talk.idle
                data = await self._read(until - now)
                if data == b"":
                    return
                if data is None:
                    if not talk.idle:
                        server.log.failure(self.pipe.remote, "while serving", "the client took too long")
                    talk.close()
                    await self._flush2(talk)
                    return
        except asyncio.CancelledError:
            if self._ending and not talk.closed:  # idle, and the server stops
                talk.close()
                await self._flush2(talk)
            raise
        finally:
            self.stream.on_unread = None
            talk.forget()
            self._finished2(talk)

    def _take2(self, talk: Http2, data: bytes) -> None:
        started = self._loop.time()
        for stream, item in talk.receive(data):
            self._answer2(talk, stream, item, started)

    def _hear2(self, talk: Http2) -> None:
        """Frames came while we write: they are read promptly (RFC 9113 5.2.2), though not without end."""
        if self._wrong is None and self._heard < _MOST_HEARD:
            data = self.stream.unread()
            self._heard += len(data)
            try:
                self._take2(talk, data)
            except PeerError as error:
                self._wrong = error

    async def _flush2(self, talk: Http2) -> None:
        while out := talk.output(PORTION):
            await self._write(out)
            self._heard = 0
            if talk.finished:
                self._finished2(talk)
            if len(out) >= PORTION:
                await asyncio.sleep(0)
        if self._wrong is not None:
            wrong, self._wrong = self._wrong, None
            raise wrong

    def _finished2(self, talk: Http2) -> None:
        """Tell of the answers that are out."""
        for stream, octets in talk.finished:
            method, target, spoken, status, started = self._answering.pop(stream, ("-", "-", "", 0, 0.0))
            self._told(method, target, spoken, status, octets, started)
        talk.finished.clear()

    def _answer2(self, talk: Http2, stream: int, item: Request | Refusal, started: float) -> None:
        head = isinstance(item, Request) and item.method == "HEAD"
        if isinstance(item, Request):
            if item.method not in SAFE and self._early:
                self._waiting.append((stream, item, started))
                return
            answer = self._decide(item, "HTTP/2")
            method, target = item.method, item.target
        else:
            answer = told(item.status, item.why)
            method, target = item.asked
        self._answering[stream] = method, target, self._said("HTTP/2"), answer.status, started
        talk.answer(stream, answer, head, self._server.date())


def _body_of(answer: Answer) -> bytes:
    """A short answer's body."""
    return answer.body if isinstance(answer.body, bytes) else b""


def _preface(begins: bytes) -> bool:
    """Whether a connection's first octets may be the beginning of HTTP/2."""
    return len(begins) >= 3 and PREFACE.startswith(begins)
