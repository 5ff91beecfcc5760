"""Listening on the kernel's TCP for asyncio: a ``SocketListener`` hands out what came as pipes.

It accepts no more than somebody takes; the rest waits in the kernel's queue, and so does everything while the process
has no descriptors left.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import deque
from collections.abc import Iterable
from typing import Any

from synfin.drive.sockets import SocketPipe, plain_address

_ACCEPT_AT_ONCE = 64
_OUT_OF_FILES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
#: What says that an address family is not there.
_NO_FAMILY = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


class SocketListener:
    """A source of pipes: what came to the sockets, in order.  ``accept`` waits for the next one."""

    def __init__(self, sockets: Iterable[socket.socket]) -> None:
        self._sockets = tuple(sockets)
        self._loop = asyncio.get_running_loop()
        self.addresses = tuple(plain_address(sock.getsockname()) for sock in self._sockets)
        self._waiting: deque[SocketPipe] = deque()
        self._acceptor: asyncio.Future[None] | None = None
        self._closed = False
        self._watching = False

    def _watch(self) -> None:
        if not self._watching and not self._closed:
            self._watching = True
            for sock in self._sockets:
                self._loop.add_reader(sock.fileno(), self._came, sock)

    def _unwatch(self) -> None:
        if self._watching:
            self._watching = False
            for sock in self._sockets:
                self._loop.remove_reader(sock.fileno())

    def _came(self, sock: socket.socket) -> None:
        for _ in range(_ACCEPT_AT_ONCE):
            try:
                found, address = sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                break
            except OSError as error:
                if error.errno in _OUT_OF_FILES:
                    self._unwatch()  # connections wait in the kernel until some of ours have ended
                    self._loop.call_later(0.5, self._watch)
                break
            try:
                self._waiting.append(SocketPipe(found, plain_address(address)))
            except OSError:
                found.close()  # gone before it was looked at
        if self._waiting:
            if self._acceptor is not None and not self._acceptor.done():
                self._acceptor.set_result(None)
            if len(self._waiting) >= _ACCEPT_AT_ONCE:
                self._unwatch()

    async def accept(self) -> SocketPipe:
        """The next connection.  ConnectionAbortedError after ``close``."""
        while not self._waiting:
            if self._closed:
                raise ConnectionAbortedError(errno.ECONNABORTED, "no longer listening")
            self._watch()
            self._acceptor = self._loop.create_future()
            try:
                await self._acceptor
            finally:
                self._acceptor = None
        return self._waiting.popleft()

    def close(self) -> None:
        """Stop listening; connections nobody accepted are reset.  Repeatable."""
        if self._closed:
            return
        self._unwatch()
        self._closed = True
        for sock in self._sockets:
            sock.close()
        for pipe in self._waiting:
            pipe.abort()
        self._waiting.clear()
        if self._acceptor is not None and not self._acceptor.done():
            self._acceptor.set_result(None)


async def listen(hosts: str | Iterable[str], port: int, *, backlog: int = 4096) -> SocketListener:
    """Listen on every address of ``hosts`` at ``port`` (0: the kernel chooses).  OSError when it cannot be had.

    An address of a family this machine does not have is left out, unless it is the first.
    """
    loop = asyncio.get_running_loop()
    found: list[tuple[int, Any]] = []
    for host in (hosts,) if isinstance(hosts, str) else hosts:
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        found += [(info[0], info[4]) for info in infos]
    sockets: list[socket.socket] = []
    try:
        for family, address in dict.fromkeys(found):
            try:
                _listen_at(sockets, family, address, backlog)
            except OSError as error:
                if error.errno not in _NO_FAMILY or not sockets:
                    raise
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return SocketListener(sockets)


def _listen_at(sockets: list[socket.socket], family: int, address: Any, backlog: int) -> None:
    """One more listening socket, at the port of the first where any would do."""
    if address[1] == 0 and sockets:
        address = (address[0], sockets[0].getsockname()[1], *address[2:])
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    sockets.append(sock)
