"""Applications for simulated hosts: each connection has a ``Talk`` that is told what happens and says its part."""

from __future__ import annotations

from collections.abc import Callable

from synfin.sim.network import HostNode
from synfin.tcp.connection import Connection, Event
from synfin.tcp.listeners import Listener
from synfin.tcp.names import Kind
from synfin.wire.codec import Buffer

_ENDS = frozenset((Kind.REFUSED, Kind.RESET, Kind.TIMED_OUT, Kind.UNREACHABLE))


class Talk:
    """Sends ``data``, reads all that comes, and closes when its own is sent (or, ``patient``, after the peer's FIN).

    ``received`` is what came; ``heard_end`` says that the peer's FIN did; ``error`` how the connection failed.
    """

    def __init__(self, data: Buffer = b"", *, patient: bool = False, keep: bool = True) -> None:
        self.data = memoryview(data)
        self.patient = patient
        self.keep = keep
        self.received = bytearray()
        self.octets = 0
        self.connected = self.heard_end = self.closed = self.done = False
        self.error: Kind | None = None
        self.connection: Connection | None = None

    def event(self, node: HostNode, event: Event) -> None:
        """Something happened to the connection."""
        kind = event.kind
        if kind == Kind.CONNECTED:
            self.connected = True
        elif kind == Kind.PEER_CLOSED:
            self.heard_end = True
        elif kind == Kind.CLOSED:
            self.done = True
        elif kind in _ENDS:
            self.error = kind
        self.go(node, event.connection)

    def go(self, node: HostNode, connection: Connection) -> None:
        """Read, write and close as far as that goes now."""
        host, now = node.host, node.network.now
        for piece in host.recv_buffers(connection, now):
            self.octets += len(piece)
            if self.keep:
                self.received += piece
        if not self.connected or self.error is not None:
            return
        while self.data:
            taken = host.send(connection, self.data, now)
            if not taken:
                return
            self.data = self.data[taken:]
        if not self.closed and (self.heard_end or not self.patient):
            self.closed = True
            host.shutdown(connection, now)


class Talks:
    """The applications of one host."""

    def __init__(self, node: HostNode) -> None:
        self.node = node
        self.talks: dict[Connection, Talk] = {}
        self._listeners: list[tuple[Listener, Callable[[], Talk]]] = []
        node.on_event = self._event

    def listen(self, port: int, make: Callable[[], Talk], *, backlog: int = 128) -> Listener:
        """Accept connections to a port; each gets a new talk."""
        listener = self.node.host.listen(port, backlog=backlog)
        self._listeners.append((listener, make))
        return listener

    def connect(self, remote: str, port: int, talk: Talk) -> Talk:
        """Open a connection for a talk."""
        node = self.node
        connection = node.host.connect(remote, port, node.network.now)
        talk.connection = connection
        self.talks[connection] = talk
        node.pump()
        return talk

    def _event(self, event: Event) -> None:
        connection = event.connection
        talk = self.talks.get(connection)
        if talk is None:
            for listener, make in self._listeners:
                while (found := listener.accept()) is not None:
                    self.talks[found] = made = make()
                    made.connection = found
                    made.connected = True
            talk = self.talks.get(connection)
            if talk is None:
                return
        talk.event(self.node, event)
        if connection.state == "TIME_WAIT":
            talk.done = True  # both directions are closed; what is left is the host's
        if talk.done or talk.error is not None:
            del self.talks[connection]
