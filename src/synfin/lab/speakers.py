"""Who speaks in a scene: one end of one connection in the simulated network, with TCP, TLS if there is one, and HTTP.

``Speaker`` carries octets between the TCP of its host and its TLS engine, and what that opens to its HTTP.
It behaves as programs do: a client closes when it has its answer, a server closes after the client, and who meets a
fault says so by an alert and leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import h11
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived, StreamEnded
from h2.exceptions import ProtocolError

from synfin import tls
from synfin.errors import PeerError
from synfin.http.client import Body, Done, Exchange
from synfin.sim import HostNode, Network, Talk
from synfin.tcp import Connection
from synfin.tcp.config import MILLISECOND
from synfin.wire.codec import Buffer

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Page:
    """What a server answers."""

    headers: Pairs
    body: bytes


class Http(Protocol):
    """One end's HTTP over a stream of octets.  ``complete``: it heard all it waits for."""

    complete: bool

    def begin(self) -> bytes:
        """What is said as soon as one may speak."""

    def take(self, data: bytes) -> bytes:
        """Octets of the peer; what is to be said at once because of them."""

    def leave(self) -> bytes:
        """What is said before closing."""


class Asker:
    """A client, as ``synfin trace`` is one."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.body = bytearray()
        self.complete = False

    def begin(self) -> bytes:
        """The request."""
        return self._exchange.output()

    def take(self, data: bytes) -> bytes:
        """Octets of the answer.  PeerError for what they must not be."""
        for event in self._exchange.receive(data):
            if isinstance(event, Body):
                self.body += event.data
            self.complete = self.complete or isinstance(event, Done)
        return self._exchange.output()

    def leave(self) -> bytes:
        """GOAWAY, in HTTP/2."""
        return self._exchange.goodbye()


class Answerer:
    """A server's HTTP/1.1: the same page whatever is asked."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._http = h11.Connection(h11.SERVER)
        self.target = ""
        self.complete = False

    def begin(self) -> bytes:
        """A server waits."""
        return b""

    def take(self, data: bytes) -> bytes:
        """Octets of the request."""
        self._http.receive_data(data)
        while not self.complete:
            event = self._http.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED:
                break
            if isinstance(event, h11.Request):
                self.target = event.target.decode()
            self.complete = isinstance(event, h11.EndOfMessage)
        return b""

    def answer(self) -> bytes:
        """The answer."""
        page = self._page
        head = h11.Response(status_code=200, reason=b"OK", headers=list(page.headers))
        pieces = (self._http.send(event) for event in (head, h11.Data(data=page.body), h11.EndOfMessage()))
        return b"".join(piece for piece in pieces if piece)

    def leave(self) -> bytes:
        """HTTP/1.1 has no farewell."""
        return b""


class Answerer2:
    """A server's HTTP/2: the same page whatever is asked."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._http = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self.target = ""
        self.complete = False

    def begin(self) -> bytes:
        """Its SETTINGS."""
        self._http.initiate_connection()
        return self._http.data_to_send()

    def take(self, data: bytes) -> bytes:
        """Octets of the request."""
        for event in self._http.receive_data(data):
            if isinstance(event, RequestReceived):
                self.target = next((value.decode() for name, value in event.headers if name == b":path"), "")
            self.complete = self.complete or isinstance(event, StreamEnded)
        return self._http.data_to_send()

    def answer(self) -> bytes:
        """The answer, on stream 1."""
        self._http.send_headers(1, [(":status", "200"), *_lower(self._page.headers)])
        self._http.send_data(1, self._page.body, end_stream=True)
        return self._http.data_to_send()

    def leave(self) -> bytes:
        """The client has said farewell."""
        return b""


def _lower(headers: Pairs) -> list[tuple[str, str]]:
    """As HTTP/2 writes field names."""
    return [(name.lower(), value) for name, value in headers]


class Speaker(Talk):
    """One end of one connection.  ``clock`` turns the network's time into seconds since 1970.

    ``events`` keeps what the TLS engine told, in order; ``garbled`` says why the peer's HTTP could not be read.
    """

    #: How long a server thinks, and how long it takes to close after its client did.
    THINKS, LINGERS = 5 * MILLISECOND, 1 * MILLISECOND

    def __init__(
        self,
        network: Network,
        node: HostNode,
        http: Http,
        engine: tls.Client | tls.Server | None,
        clock: Callable[[int], float],
    ) -> None:
        super().__init__()
        self.network = network
        self.node = node
        self.http = http
        self.engine = engine
        self.events: list[tls.Event] = []
        self.garbled = ""
        self._clock = clock
        self._begun = self._told_end = self._leaving = False

    def go(self, node: HostNode, connection: Connection) -> None:
        """Read, think, write, and close as far as that goes now."""
        self.connection = connection
        data = node.host.recv(connection, self.network.now)
        if not self.connected or self.error is not None:
            return
        if self.engine is None:
            self._plain(data)
        else:
            self._sealed(data, self.engine)
        self._flush()
        if self._leaving and not self.closed and not self.data:
            self.closed = True
            node.host.shutdown(connection, self.network.now)

    def _plain(self, data: bytes) -> None:
        self._begin()
        if data:
            self._hear(data)
        if self.heard_end and not self._told_end:
            self._told_end = True
            self._later(self.LINGERS, self._leave)

    def _sealed(self, data: bytes, engine: tls.Client | tls.Server) -> None:
        now = self._clock(self.network.now)
        if data:
            engine.receive(data, now)
        if self.heard_end and not self._told_end:
            self._told_end = True
            engine.receive_eof(now)
        while (event := engine.next_event()) is not None:
            self.events.append(event)
            if isinstance(event, tls.HandshakeDone):
                self._begin()
            elif isinstance(event, tls.Data):
                self._hear(bytes(event.data))
            elif isinstance(event, tls.Closed):
                if event.clean and not self._leaving:
                    self._later(self.LINGERS, self._leave)
                else:
                    self._leaving = True

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._say(self.http.begin())

    def _hear(self, data: bytes) -> None:
        before = self.http.complete
        if self.garbled:
            return
        try:
            self._say(self.http.take(data))
        except (PeerError, h11.RemoteProtocolError, ProtocolError) as error:
            self.garbled = str(error)
            self._hang_up()
            return
        if self.http.complete and not before:
            if isinstance(self.http, Answerer | Answerer2):
                self._later(self.THINKS, self._answer)
            else:
                self._leave()

    def _answer(self) -> None:
        if isinstance(self.http, Answerer | Answerer2) and not self._leaving:
            self._say(self.http.answer())

    def _leave(self) -> None:
        if not self.garbled:
            self._say(self.http.leave())
        self._hang_up()

    def _hang_up(self) -> None:
        if self.engine is not None:
            self.engine.close()
        self._leaving = True

    def _later(self, wait: int, what: Callable[[], None]) -> None:
        """Do something after a while, then send what came of it."""

        def do() -> None:
            what()
            if self.connection is not None:
                self.go(self.node, self.connection)
                self.node.pump()

        self.network.after(wait, do)

    def _say(self, data: bytes) -> None:
        if self.engine is None:
            self._queue(data)
        elif data and self.engine.ready:
            self.engine.send(data)

    def _queue(self, data: Buffer) -> None:
        self.data = memoryview(bytes(self.data) + data)

    def _flush(self) -> None:
        if self.engine is not None:
            self._queue(self.engine.take_output(self._clock(self.network.now)))
        if self.data and self.connection is not None:
            taken = self.node.host.send(self.connection, self.data, self.network.now)
            self.data = self.data[taken:]
