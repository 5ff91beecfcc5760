"""The calls everybody knows, without waiting: bind, listen, accept, connect, send, recv, shutdown, close, abort.

A ``Socket`` is a thin hand on a ``Host`` for scripts and drivers; it keeps nothing that host and connection do not.  A
call that would have to wait returns at once (None, 0 or b""), and ``host.next_event`` tells when to ask again.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from synfin.errors import UsageError
from synfin.spec.tcp_states import State
from synfin.tcp.config import Config
from synfin.tcp.connection import Connection
from synfin.tcp.host import Host
from synfin.tcp.listeners import Listener
from synfin.tcp.names import Kind
from synfin.wire.codec import Buffer


class Socket:
    """A socket of ``host``; ``choices`` are fields of ``Config``."""

    def __init__(self, host: Host, **choices: Any) -> None:
        self.host = host
        self.config = _chosen(host.config, choices)
        self.address: str | bytes | None = None
        self.port = 0
        self.listener: Listener | None = None
        self.connection: Connection | None = None

    @property
    def state(self) -> State:
        """The state of RFC 9293 3.3.2."""
        if self.connection is not None:
            return self.connection.state
        return State.LISTEN if self.listener is not None else State.CLOSED

    @property
    def error(self) -> Kind | None:
        """How the connection failed; None when it did not."""
        return self.connection.error if self.connection is not None else None

    @property
    def ended(self) -> bool:
        """The peer closed its direction: after what is readable nothing comes."""
        return self.connection is not None and self.connection.ended

    def set(self, **choices: Any) -> None:
        """Change options (fields of ``Config``); those spoken of in the SYN no longer once it is sent."""
        self.config = _chosen(self.config, choices)
        if self.connection is not None:
            if "user_timeout" in choices:
                self.connection.choose_timeout(self.config.user_timeout)
            self.host.choose(self.connection, self.config)

    def bind(self, port: int, address: str | bytes | None = None) -> None:
        """Choose the local port (0: any, RFC 6056) and address (None: any); UsageError when they cannot be."""
        if self.state is not State.CLOSED:
            raise UsageError("this socket has its place: bind before listen or connect")
        self.host.check_place(port, address)
        self.port, self.address = port, address

    def listen(self, backlog: int = 128) -> None:
        """Passive OPEN; UsageError when the port is taken or none was chosen."""
        if self.state is not State.CLOSED:
            raise UsageError("connection already exists: close or abort it first (RFC 9293 3.10.1)")
        self.connection = None
        if not self.port:
            raise UsageError("listen needs a port: bind one first")
        self.listener = self.host.listen(self.port, self.address, backlog=backlog, config=self.config)

    def accept(self) -> Socket | None:
        """A socket for the connection that waits longest; None when none does."""
        found = self.listener.accept() if self.listener is not None else None
        if found is None:
            return None
        made = Socket(self.host)
        made.config, made.connection = found.config, found
        made.address, made.port = found.local
        return made

    def connect(self, address: str | bytes, port: int, now: int) -> None:
        """Active OPEN; UsageError when it cannot be.  A listening socket ceases to listen (RFC 9293 3.10.1)."""
        if self.connection is not None and self.state is not State.CLOSED:
            raise UsageError("connection already exists: close or abort it first (RFC 9293 3.10.1)")
        if self.listener is not None:
            self.close(now)
        self.connection = self.host.connect(
            address, port, now, local=self.address, local_port=self.port, config=self.config
        )
        self.address, self.port = self.connection.local

    def send(self, data: Buffer, now: int, *, urgent: bool = False) -> int:
        """Add octets to the stream; how many were taken."""
        return self.host.send(self._open(), data, now, urgent=urgent)

    def recv(self, now: int, size: int | None = None) -> bytes:
        """Up to ``size`` octets that have come in order (all, without it)."""
        return self.host.recv(self._open(), now, size)

    def shutdown(self, now: int) -> None:
        """No more to send: a FIN follows what was sent.  The other direction stays open."""
        self.host.shutdown(self._open(), now)

    def close(self, now: int) -> None:
        """Close a listener, or both directions of a connection."""
        if self.listener is not None:
            self.host.unlisten(self.listener, now)
            self.listener = None
        elif self.connection is not None:
            self.host.close(self.connection, now)

    def abort(self, now: int) -> None:
        """Forget the connection, and tell the peer by a RST; a listener is closed."""
        if self.listener is not None:
            self.close(now)
        else:
            self.host.abort(self._open(), now)

    def _open(self) -> Connection:
        if self.connection is None:
            raise UsageError("this socket has no connection: connect or accept one first")
        return self.connection


def _chosen(config: Config, choices: dict[str, Any]) -> Config:
    unknown = sorted(set(choices) - {field.name for field in fields(Config)})
    if unknown:
        raise UsageError(f"there is no option {unknown[0]!r}: the options are the fields of Config")
    return replace(config, **choices)
