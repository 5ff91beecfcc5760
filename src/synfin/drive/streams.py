"""TLS streams for asyncio over anything that carries octets: the kernel's connections or our own TCP.

``TlsStream`` puts an endpoint of ``synfin.tls``, either role, between a ``Pipe`` and a program: it moves octets, keeps
the handshake's deadline, and turns what the endpoint says into data, the end, or an error.  It decides nothing about
TLS.

Back-pressure: ``read`` takes from the pipe only when nothing is left to hand out, ``write`` waits for the pipe.
Cancelling any of them leaves the stream usable: what the endpoint sealed is with the pipe before anything waits.  One
task reads and any number may write.

Who writes much hears the peer too: when a write waits, and between the portions after the first, what has come is taken
(up to ``UNREAD`` octets).  A fatal alert ends the write; in TLS 1.2 close_notify does so too, and what was not sealed
yet is discarded (RFC 5246 7.2.1), while in TLS 1.3 it closes the peer's direction only (RFC 8446 6.1).

The end (RFC 8446 6.1): close_notify gives b"", a FIN without one raises ``TruncatedError``.  ``close`` says
close_notify, closes our direction and then reads on for a moment, because a socket closed over unread data answers with
a RST, which takes our last record away from a peer that has not read it yet.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from synfin import tls
from synfin.drive import clock as real
from synfin.drive.listening import SocketListener, listen
from synfin.drive.pipe import Pipe
from synfin.drive.plain import DRAIN_OCTETS, DRAIN_SECONDS, UNREAD, PlainStream, Stream
from synfin.drive.sockets import SocketPipe, connect
from synfin.drive.tcpinfo import TcpInfo
from synfin.errors import PeerError, UsageError
from synfin.tls.config import TLS12
from synfin.wire.codec import Buffer
from synfin.wire.tls.registry import ALERTS

__all__ = [
    "DRAIN_OCTETS",
    "DRAIN_SECONDS",
    "AlertError",
    "PlainStream",
    "SocketListener",
    "SocketPipe",
    "Stream",
    "TcpInfo",
    "TlsStream",
    "TruncatedError",
    "connect",
    "listen",
]

#: Octets sealed in one go by ``write``: a few whole records, which stand in one buffer (``spec.protection_aead.RUN``).
PORTION = 7 << 14
#: Octets of a peer's beginning that are kept.
OPENING = 1 << 14


class AlertError(ConnectionError):
    """The peer ended the connection with a fatal alert; ``description`` is its number, ``name`` the RFC's word."""

    def __init__(self, description: int) -> None:
        self.description = description
        self.name = ALERTS.get(description, str(description))
        super().__init__(f"the peer sent the alert {self.name}")


class TruncatedError(PeerError):
    """The peer closed without close_notify: data may be missing at the end (RFC 8446 6.1)."""

    def __init__(self) -> None:
        super().__init__("closed_without_close_notify", "close_notify before the end", "a truncated stream")


class TlsStream:
    """TLS over ``pipe``; ``endpoint`` is a fresh Client or Server.  ``clock`` gives seconds since 1970.

    ``tickets`` gathers the sessions a server hands out; ``on_event`` sees every event of the endpoint; ``opening``
    holds the first octets that came, up to the peer's hello; ``on_unread`` is called when data comes to a writer;
    ``authenticated`` is a client's last answer to ``authenticate``.
    """

    def __init__(
        self,
        pipe: Pipe,
        endpoint: tls.Client | tls.Server,
        *,
        clock: Callable[[], float] = real.now,
        on_event: Callable[[tls.Event], None] | None = None,
    ) -> None:
        self.pipe = pipe
        self.endpoint = endpoint
        self.clock = clock
        self.on_event = on_event
        self.tickets: list[tls.Session] = []
        self.opening = b""
        self.authenticated: tls.PeerAuthenticated | None = None
        self.on_unread: Callable[[], None] | None = None
        self._written = 0  # octets since the last read
        self._heard = False  # something was taken while writing
        self._cut = False  # it was the close_notify of TLS 1.2
        pipe.overhear(self._overheard)
        self._data: deque[bytes | bytearray] = deque()
        self._end: Exception | None = None
        self._clean = False
        self._closing = False

    @property
    def facts(self) -> tls.Facts | None:
        """What was negotiated; None before the handshake is done, or 0-RTT data is taken."""
        return self.endpoint.facts or self.endpoint.early_facts

    @property
    def ended(self) -> bool:
        """Whether the peer's direction is over, cleanly or not."""
        return self._clean or self._end is not None

    # ------------------------------------------------------------ between pipe and endpoint

    def _take(self, data: bytes) -> None:
        """Octets from the pipe, b"" for its end, into the endpoint; its events into our fields."""
        endpoint = self.endpoint
        if data:
            endpoint.receive(data, self.clock())
        else:
            endpoint.receive_eof(self.clock())
        self._events()

    def _events(self) -> None:
        endpoint = self.endpoint
        while (event := endpoint.next_event()) is not None:
            if self.on_event is not None:
                self.on_event(event)
            if type(event) is tls.Data:
                self._data.append(event.data)
            elif type(event) is tls.Ticket:
                self.tickets.append(event.session)
            elif type(event) is tls.Failed:
                self._end = PeerError(event.violation, event.expected, event.got)
            elif type(event) is tls.PeerAlert:
                if event.fatal:
                    self._end = AlertError(event.description)
            elif type(event) is tls.PeerAuthenticated:
                self.authenticated = event
            elif type(event) is tls.Closed:
                if event.clean:
                    self._clean = True
                elif self._end is None:
                    self._end = TruncatedError()

    async def _flush(self) -> None:
        out = self.endpoint.take_output(self.clock())
        if out:
            await self.pipe.send(out)

    def _overheard(self) -> bool:
        """Something came while a writer waits; whether it need not wait any more."""
        if self.endpoint.facts is None and not self.endpoint.ready:
            return False
        self._look()
        return self._refused is not None

    def _look(self) -> None:
        """Take what has come without waiting for more."""
        while not self.ended and sum(map(len, self._data)) < UNREAD and (data := self.pipe.take()) is not None:
            self._heard = True
            self._take(data)
            self._cut = self._clean and self.endpoint.version == TLS12
        if self._data and self.on_unread is not None:
            self.on_unread()

    @property
    def _refused(self) -> Exception | None:
        """Why nothing may be written any more."""
        if self._cut:
            return ConnectionAbortedError("the peer closed before everything was sent")
        if self.endpoint.ready:
            return None
        return self._end or ConnectionAbortedError("the stream is closed or has not shaken hands")

    async def _last_words(self) -> None:
        """Send what the endpoint had to say about a failure, as far as the pipe still works."""
        try:
            await self._flush()
        except OSError:
            return

    # ------------------------------------------------------------ what a program does

    async def handshake(self, *, early: bool = False) -> tls.Facts:
        """Shake hands.  PeerError for what the peer did wrong, AlertError for what it refused, OSError.

        With ``early`` it returns too when 0-RTT data was taken, which may be read and answered; what is left of the
        handshake happens while reading, or in another ``handshake``.
        """
        endpoint = self.endpoint
        timer = endpoint.next_timer()
        try:
            async with asyncio.timeout(None if timer is None else max(0.0, timer - self.clock())) as limit:
                await self._shake(early)
        except TimeoutError:
            if timer is None or not limit.expired():  # the kernel's ETIMEDOUT
                raise
            endpoint.timer_fired(max(timer, self.clock()))
            self._events()
        if endpoint.facts is not None:
            if not self._data or endpoint.ROLE == "client":  # else tickets go with the answer
                await self._flush()
            return endpoint.facts
        await self._last_words()
        if self._end is None and endpoint.early_facts is not None:
            return endpoint.early_facts
        raise self._end or ConnectionAbortedError("the stream is closed")

    async def _shake(self, early: bool) -> None:
        """Until the handshake is done or has failed, or ``early`` data is here."""
        endpoint = self.endpoint
        while endpoint.facts is None and self._end is None and not (early and self._data):
            await self._flush()
            data = await self.pipe.receive()
            if not endpoint.version and len(self.opening) < OPENING:
                self.opening += data
            self._take(data)

    async def read(self) -> bytes:
        """The next data; b"" after close_notify.  TruncatedError, PeerError or AlertError for another end, OSError."""
        while not self._data:
            if self._clean:
                return b""
            if self._end is not None:
                await self._last_words()
                raise self._end
            self._take(await self.pipe.receive())
            if self._end is None:
                out = self.endpoint.take_output(self.clock())
                if out:
                    await self.pipe.send(out)
        self._written = 0
        return bytes(self._data.popleft())

    async def authenticate(self) -> None:
        """Ask the client for its certificate now (RFC 8446 4.6.2): its answer is in ``authenticated`` afterwards.

        None is there where the client ends, or sends more than ``UNREAD`` octets of data before it answers.  UsageError
        where it did not offer that, the errors of ``read``.
        """
        endpoint = self.endpoint
        if not isinstance(endpoint, tls.Server):
            raise UsageError("servers ask for certificates")
        self.authenticated = None
        endpoint.request_certificate()
        while self.authenticated is None and not self._clean and sum(map(len, self._data)) < UNREAD:
            if self._end is not None:
                await self._last_words()
                raise self._end
            await self._flush()
            self._take(await self.pipe.receive())

    def unread(self) -> bytes:
        """All that ``read`` would give at once."""
        found = b"".join(self._data)
        self._data.clear()
        return found

    async def write(self, data: Buffer, *, last: bool = False) -> None:
        """Send ``data``; waits while the peer is slow.  The errors of ``read`` when the connection is over.

        ``last`` sends close_notify with it, in the same segment where there is room: ``close`` has to follow.
        """
        size = len(data)
        if size <= PORTION:
            await self._portion(data, size, last)
            return
        view = memoryview(data)
        for at in range(0, size, PORTION):
            await self._portion(view[at : at + PORTION], min(PORTION, size - at), last and size - at <= PORTION)

    async def _portion(self, data: Buffer, size: int, last: bool) -> None:
        endpoint = self.endpoint
        self._written += size
        if self._written > PORTION:
            self._look()
        if (refused := self._refused) is not None:
            raise refused
        endpoint.send(data)
        if last:
            endpoint.close()
        await self.pipe.send(endpoint.take_output(self.clock()))
        if self._heard:
            self._heard = False
            await self._flush()  # what the endpoint answers to what it heard

    # ------------------------------------------------------------ the end

    async def close_write(self) -> None:
        """Say close_notify; the peer's data may still be read.  Harmless when repeated or broken."""
        self.endpoint.close()
        await self._last_words()

    async def close(self, *, drain: float = DRAIN_SECONDS) -> None:
        """End the connection so that nothing we sent is lost: see the module.  ``drain`` in seconds.  Repeatable.

        Cancelled, it resets the connection.
        """
        if self._closing:
            return
        self._closing = True
        try:
            async with asyncio.timeout(drain):
                await self.close_write()
                await self.pipe.send_eof()
                await self._drain()
        except TimeoutError:
            pass
        except BaseException:
            self.pipe.abort()
            raise
        await self.pipe.close()

    async def _drain(self) -> None:
        """Read what still comes, to its end."""
        left = DRAIN_OCTETS
        self._data.clear()
        while left > 0:
            try:
                data = await self.pipe.receive()
            except OSError:
                return
            if not data:
                return
            left -= len(data)
            self._take(data)
            self._data.clear()

    def abort(self) -> None:
        """Reset the connection at once."""
        self._closing = True
        self.pipe.abort()
