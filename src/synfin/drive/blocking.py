"""TLS for scripts that wait: one object, bytes in and out, no event loop.

``connect_tls`` opens a connection and shakes hands; ``serve_tls`` is the other role on a socket somebody accepted.
What the endpoint says ends as a return value or as one of the errors of ``streams``.
"""

from __future__ import annotations

import socket
import time
from types import TracebackType

from synfin import tls
from synfin.drive import clock
from synfin.drive.sockets import NO_SIGNAL
from synfin.drive.streams import DRAIN_OCTETS, DRAIN_SECONDS, AlertError, TruncatedError
from synfin.errors import PeerError
from synfin.wire.codec import Buffer

_CHUNK = 1 << 16


class BlockingTls:
    """TLS over a connected, blocking socket, which becomes ours.  ``tickets`` are the sessions that came.

    The socket's own timeout holds for every wait, and the endpoint's deadline for the whole handshake; TimeoutError
    (an OSError) when the first passes, PeerError for the second.
    """

    def __init__(self, sock: socket.socket, endpoint: tls.Client | tls.Server) -> None:
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.endpoint = endpoint
        self.tickets: list[tls.Session] = []
        self._data: list[bytes | bytearray] = []
        self._end: Exception | None = None
        self._clean = False

    @property
    def facts(self) -> tls.Facts | None:
        """What was negotiated; None before the handshake is done."""
        return self.endpoint.facts

    def handshake(self) -> tls.Facts:
        """Shake hands.  PeerError, AlertError or OSError when it fails."""
        while self.endpoint.facts is None:
            self._flush()
            if self._end is not None:
                raise self._end
            due = self.endpoint.next_timer()
            if due is None:
                self._receive()
            else:
                self._receive_by(due)
        self._flush()
        return self.endpoint.facts

    def recv(self) -> bytes:
        """The next data; b"" after close_notify.  TruncatedError, PeerError, AlertError or OSError for another end."""
        while not self._data:
            if self._clean:
                return b""
            if self._end is not None:
                raise self._end
            self._receive()
            self._flush()
        return bytes(self._data.pop(0))

    def recv_all(self, most: int = 1 << 24) -> bytes:
        """All up to close_notify; PeerError message_too_long beyond ``most`` octets, and the errors of ``recv``."""
        parts: list[bytes] = []
        size = 0
        while data := self.recv():
            size += len(data)
            if size > most:
                raise PeerError("message_too_long", f"at most {most} octets", str(size))
            parts.append(data)
        return b"".join(parts)

    def send(self, data: Buffer) -> None:
        """Send all of ``data``."""
        self.endpoint.send(data)
        self._flush()

    def close(self, *, drain: float = DRAIN_SECONDS) -> None:
        """close_notify, FIN, and a short wait for the peer's end (``drain`` seconds), so that nothing is lost."""
        self.endpoint.close()
        try:
            self._flush()
            self.sock.shutdown(socket.SHUT_WR)
            until, left = time.monotonic() + drain, DRAIN_OCTETS
            while left > 0 and (wait := until - time.monotonic()) > 0:
                self.sock.settimeout(wait)
                data = self.sock.recv(_CHUNK)
                if not data:
                    break
                left -= len(data)
        except OSError:
            pass
        self.sock.close()

    def __enter__(self) -> BlockingTls:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _receive_by(self, due: float) -> None:
        """As ``_receive``, but no longer than to ``due``; then the endpoint's timer fires."""
        patience, left = self.sock.gettimeout(), due - clock.now()
        if left > 0:
            mine = patience is None or left < patience
            self.sock.settimeout(left if mine else patience)
            try:
                self._receive()
                return
            except TimeoutError:
                if not mine:
                    raise
            finally:
                self.sock.settimeout(patience)
        self.endpoint.timer_fired(max(due, clock.now()))
        self._events()

    def _receive(self) -> None:
        data = self.sock.recv(_CHUNK)
        endpoint = self.endpoint
        if data:
            endpoint.receive(data, clock.now())
        else:
            endpoint.receive_eof(clock.now())
        self._events()

    def _events(self) -> None:
        endpoint = self.endpoint
        while (event := endpoint.next_event()) is not None:
            if isinstance(event, tls.Data):
                self._data.append(event.data)
            elif isinstance(event, tls.Ticket):
                self.tickets.append(event.session)
            elif isinstance(event, tls.Failed):
                self._end = PeerError(event.violation, event.expected, event.got)
            elif isinstance(event, tls.PeerAlert) and event.fatal:
                self._end = AlertError(event.description)
            elif isinstance(event, tls.Closed):
                self._clean = event.clean
                if not event.clean and self._end is None:
                    self._end = TruncatedError()

    def _flush(self) -> None:
        out = self.endpoint.take_output(clock.now())
        if not out:
            return
        try:
            self.sock.sendall(out, NO_SIGNAL)
        except OSError:
            if self._end is None:  # else why it ended is known already
                raise


def connect_tls(
    host: str,
    port: int,
    config: tls.ClientConfig,
    *,
    name: str | None = None,
    session: tls.Session | None = None,
    timeout: float | None = 30.0,
) -> BlockingTls:
    """Connect and shake hands with ``name`` (default: ``host``) at ``host``.

    ``timeout`` (seconds) bounds every wait.  PeerError, AlertError or OSError when it fails.
    """
    sock = socket.create_connection((host, port), timeout)
    try:
        client = tls.Client(
            config, host if name is None else name, now=clock.now(), entropy=clock.entropy, session=session
        )
        stream = BlockingTls(sock, client)
        stream.handshake()
    except BaseException:
        sock.close()
        raise
    return stream


def serve_tls(sock: socket.socket, config: tls.ServerConfig) -> BlockingTls:
    """Shake hands as a server on ``sock``, which was accepted.  The errors of ``connect_tls``; the socket is closed."""
    stream = BlockingTls(sock, tls.Server(config, now=clock.now(), entropy=clock.entropy))
    try:
        stream.handshake()
    except BaseException:
        sock.close()
        raise
    return stream
