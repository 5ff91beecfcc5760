"""What a connection of a server needs whatever is spoken on it: waits that end, the handshake's end, answers, the log.

Every wait has an end (``Patience`` in ``server``), which is looked at from outside (``expire``).

Requests in 0-RTT data (RFC 8470): safe methods are answered before the handshake is done, others wait until it is,
which it never is after a replayed hello.  What a proxy took as 0-RTT data and marked so (``Early-Data``) cannot
wait for that: such a request is answered 425 unless its method is safe.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from synfin import tls
from synfin.drive import clock, server_late
from synfin.drive.pipe import Pipe
from synfin.drive.server_seen import connection_seen
from synfin.drive.streams import PlainStream, TlsStream, TruncatedError
from synfin.http.app import Answer, Request, json_answer, told

if TYPE_CHECKING:
    from synfin.drive.server import WebServer

_NEVER = float("inf")
#: Methods that do nothing (RFC 9110 9.2.1).
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class Talk:
    """One connection of a server, without the protocols inside."""

    __slots__ = (
        "_asks", "_due", "_ending", "_handshake", "_late", "_loop", "_requests", "_server", "_shake_due", "_spoken",
        "_started", "idle", "pipe", "stream", "task",
    )  # fmt: skip

    def __init__(self, server: WebServer, pipe: Pipe, config: tls.ServerConfig | None) -> None:
        self._server = server
        self.pipe = pipe
        self.stream: TlsStream | PlainStream
        if config is None:
            self.stream = PlainStream(pipe)
        else:
            self.stream = TlsStream(pipe, tls.Server(config, now=clock.now(), entropy=clock.entropy))
        #: Whether clients are asked for certificates when they want ``/client-certificate``.
        self._asks = config is not None and config.client_auth is None and config.verify is not None
        self.task: asyncio.Task[None] | None = None
        self._due = _NEVER  # when the wait under way has lasted too long, by the loop's clock
        self._shake_due = _NEVER  # when a handshake has lasted too long whose 0-RTT data is being answered
        self._late = False
        self.idle = False
        self._ending = False
        self._loop = asyncio.get_running_loop()
        self._started = clock.now()
        self._handshake: float | None = None
        self._requests = 0
        self._spoken = ""

    def end_if_idle(self) -> bool:
        """End the connection where it waits for a request; whether it does."""
        if self.idle and not self._ending and self.task is not None:
            self._ending = True
            self.task.cancel()
            return True
        return False

    # ------------------------------------------------------------ waits that end

    async def _read(self, seconds: float) -> bytes | None:
        """What comes within ``seconds``; None when nothing does; b"" at the end, clean or not."""
        self._due = self._loop.time() + seconds
        try:
            return await self.stream.read()
        except asyncio.CancelledError:
            self._check_late()
            return None
        except TruncatedError:
            if self.idle:
                return b""
            raise
        finally:
            self._due = _NEVER

    async def _write(self, data: bytes, *, last: bool = False) -> None:
        self._due = self._loop.time() + self._server.patience.write
        try:
            await self.stream.write(data, last=last)
        except asyncio.CancelledError:
            self._check_late()
            raise TimeoutError from None
        finally:
            self._due = _NEVER

    def expire(self, now: float) -> None:
        """End the wait under way where its time is over."""
        if self._due != _NEVER and min(self._due, self._shake_due) < now and self.task is not None and not self._ending:
            self._due = _NEVER
            self._late = True
            self.task.cancel()

    def _check_late(self) -> None:
        """A wait was cancelled: by ``expire``, or by somebody who means all of us (CancelledError)."""
        if not self._late or self.task is None:
            raise asyncio.CancelledError
        self._late = False
        self.task.uncancel()

    # ------------------------------------------------------------ the handshake's end

    @property
    def _early(self) -> bool:
        """Whether the handshake is not done yet: what comes is 0-RTT data."""
        return isinstance(self.stream, TlsStream) and self.stream.endpoint.facts is None

    async def _finish_handshake(self) -> None:
        if isinstance(self.stream, TlsStream) and self._early:
            await self.stream.handshake()

    def _on_event(self, event: tls.Event) -> None:
        if isinstance(event, tls.HandshakeDone):
            self._handshake = clock.now() - self._started
            self._shake_due = _NEVER
            if isinstance(self.stream, TlsStream):
                self.stream.on_event = None

    async def _ask_certificate(self, stream: TlsStream) -> Answer:
        self._requests += 1
        await self._finish_handshake()
        self._due = self._loop.time() + self._server.patience.idle  # somebody may have to choose one
        try:
            return await server_late.ask(stream)
        except asyncio.CancelledError:
            self._check_late()
            return told(403, "The client did not answer in time.", close=True)
        finally:
            self._due = _NEVER

    # ------------------------------------------------------------ answers

    def _decide(self, request: Request, protocol: str) -> Answer:
        self._requests += 1
        app = self._server.app
        if request.method not in SAFE and request.header("early-data"):
            return told(425, "It was passed on from early data: send it again after the handshake (RFC 8470 5.2).")
        if self._asks and request.path == server_late.PATH:
            return server_late.not_by_http2()
        if request.path == "/connection" and request.method in ("GET", "HEAD"):
            seen = connection_seen(
                self.stream,
                protocol=protocol,
                started=self._started,
                handshake=self._handshake,
                early=self._early,
                requests=self._requests,
            )
            return json_answer(seen)
        return app(request) if app is not None else told(404)

    def _said(self, http: str) -> str:
        return f"{http}{self._spoken} 0-RTT" if self._early else http + self._spoken

    def _told(self, method: str, target: str, spoken: str, status: int, octets: int, started: float) -> None:
        self._server.log.request(self.pipe.remote, method, target, spoken, status, octets, self._loop.time() - started)
