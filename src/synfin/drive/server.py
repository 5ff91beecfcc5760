"""A server: connections from a source of pipes, TLS on them or not, and HTTP/1, HTTP/2 or raw octets inside.

One task a connection, and nothing of it outlives the connection.  Every wait has an end (``Patience``): a peer that is
slow or silent is told so where the protocol has words for it (408, GOAWAY, close_notify) and left.  Whatever a peer
sends, the others are served; what went wrong is one line of the log.  After our last record we close our direction and
read on for a moment (``streams``).

``stop`` takes no new connections, ends the idle ones, lets requests be finished for a moment and resets the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate

from synfin import tls
from synfin.drive import clock
from synfin.drive.pipe import Pipe, Source
from synfin.drive.server_connection import Connection
from synfin.drive.server_log import AccessLog
from synfin.http.app import App, Budget

#: How often waits are looked at, in seconds: one look at all of them costs less than a timer for each.
_LOOK = 0.5


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a peer may take, in seconds; a body ``body`` and one more for each ``slowest`` octets of it."""

    handshake: float = 10.0
    head: float = 15.0
    idle: float = 60.0
    body: float = 30.0
    write: float = 60.0
    drain: float = 2.0
    stop: float = 5.0
    slowest: int = 1024


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much peers may ask for: connections at a time, octets of a head, of a body, of all bodies at a time."""

    connections: int = 10_000
    head: int = 32_768
    body: int = 16 << 20
    bodies: int = 256 << 20


class WebServer:
    """Serves ``app``; None echoes octets instead.  ``on_pipe`` may put something between, such as a capture's tap."""

    def __init__(
        self,
        app: App | None,
        log: AccessLog,
        *,
        patience: Patience = Patience(),
        bounds: Bounds = Bounds(),
        on_pipe: Callable[[Pipe, bool], Pipe] | None = None,
    ) -> None:
        self.app = app
        self.bodies: bool = getattr(app, "bodies", True)
        self.log = log
        self.patience = patience
        self.bounds = bounds
        self.budget = Budget(bounds.bodies)
        self.stopping = False
        self._on_pipe = on_pipe
        self._sources: list[Source] = []
        self._acceptors: list[asyncio.Task[None]] = []
        self._open: dict[asyncio.Task[None], Connection] = {}
        self._room = asyncio.Event()
        self._date = (0, "")
        self._looker: asyncio.TimerHandle | None = None

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._open)

    def date(self) -> str:
        """The Date header's value now."""
        second = int(clock.now())
        if self._date[0] != second:
            self._date = second, formatdate(second, usegmt=True)
        return self._date[1]

    def serve(self, source: Source, config: tls.ServerConfig | None) -> None:
        """Serve what comes from ``source``, over TLS where there is a ``config``."""
        self._sources.append(source)
        if self._looker is None:
            self._look()
        self._acceptors.append(asyncio.create_task(self._accept(source, config)))

    async def _accept(self, source: Source, config: tls.ServerConfig | None) -> None:
        while True:
            try:
                pipe = await source.accept()
            except ConnectionAbortedError:
                return
            if self._on_pipe is not None:
                pipe = self._on_pipe(pipe, config is not None)
            connection = Connection(self, pipe, config)
            task = asyncio.create_task(connection.run())
            connection.task = task
            self._open[task] = connection
            task.add_done_callback(self._ended)
            while len(self._open) >= self.bounds.connections:
                self._end_idle(1)
                self._room.clear()
                await self._room.wait()

    def _look(self) -> None:
        """End the waits that have lasted too long, now and again and again."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in list(self._open.values()):
            connection.expire(now)
        wait = self.patience
        self._looker = loop.call_later(min(_LOOK, min(wait.head, wait.idle, wait.body, wait.write) / 4), self._look)

    def _ended(self, task: asyncio.Task[None]) -> None:
        connection = self._open.pop(task)
        self._room.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            connection.pipe.abort()
            raise error  # a mistake of ours: asyncio's handler tells it, and the others go on

    def _end_idle(self, most: int) -> int:
        """End connections that wait for a request, the oldest first."""
        count = 0
        for connection in self._open.values():
            if count >= most:
                break
            count += connection.end_if_idle()
        return count

    async def stop(self) -> None:
        """See the module.  Returns when every connection is gone."""
        self.stopping = True
        for source in self._sources:
            source.close()
        for acceptor in self._acceptors:
            acceptor.cancel()
        self._end_idle(len(self._open))
        if self._open:
            await asyncio.wait(list(self._open), timeout=self.patience.stop)
        for task in list(self._open):
            task.cancel()
        if self._open:
            await asyncio.wait(list(self._open), timeout=self.patience.drain + 1)
        if self._looker is not None:
            self._looker.cancel()
        self.log.flush()
