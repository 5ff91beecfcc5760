"""TCP connections of the kernel for asyncio: pipes, and connecting them; ``listening`` takes those that come.

A ``SocketPipe`` reads what is there even before anybody asks, up to ``READ_AHEAD`` octets, and then leaves the rest to
the kernel, whose window closes.  What is sent goes to the kernel at once where it takes it; the rest is queued, owed
even if the sender is cancelled, and ``send`` waits until the queue is nearly empty.  Segments are never held back for
more data (TCP_NODELAY): TLS hands over whole flights.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from synfin.drive.tcpinfo import TcpInfo, tcp_info
from synfin.drive.waiters import Waiters
from synfin.wire.codec import Buffer

#: Octets taken from the kernel in one call, and held at most for a reader that does not come.
CHUNK, READ_AHEAD = 1 << 16, 1 << 18
#: Octets that may stay queued when ``send`` returns.
LOW_WATER = 1 << 16
#: A peer that is gone is an error of ``send``, never SIGPIPE, which ends programs.
NO_SIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)

Address = tuple[str, int]


def plain_address(found: object) -> Address:
    """(address, port) of what a socket says of itself."""
    if isinstance(found, tuple) and len(found) >= 2:
        return str(found[0]).removeprefix("::ffff:"), int(found[1])
    return "", 0


class SocketPipe:
    """One TCP connection of the kernel; see ``pipe.Pipe``.  ``sock`` is connected and becomes ours."""

    def __init__(self, sock: socket.socket, remote: Address | None = None) -> None:
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self.local = plain_address(sock.getsockname())
        self.remote = plain_address(sock.getpeername()) if remote is None else remote
        self._inward: deque[bytes] = deque()
        self._held = 0
        self._ended = False
        self._error: OSError | None = None
        self._reader: asyncio.Future[None] | None = None
        self._overhear: Callable[[], bool] | None = None
        self._reading = False
        self._outward: deque[memoryview] = deque()
        self._queued = 0
        self._senders = Waiters()
        self._closed = False
        self._watch()

    @property
    def socket(self) -> socket.socket:
        """The kernel's socket, for options and capture."""
        return self._sock

    # ------------------------------------------------------------ in

    def _watch(self) -> None:
        if not self._reading and not self._ended and not self._closed:
            self._loop.add_reader(self._sock.fileno(), self._readable)
            self._reading = True

    def _unwatch(self) -> None:
        if self._reading:
            self._loop.remove_reader(self._sock.fileno())
            self._reading = False

    def _readable(self) -> None:
        try:
            data = self._sock.recv(CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._broken(error)
            return
        if data:
            self._inward.append(data)
            self._held += len(data)
            if self._held >= READ_AHEAD:
                self._unwatch()
        else:
            self._ended = True
            self._unwatch()
        waiter = self._reader
        if waiter is not None:
            if not waiter.done():
                waiter.set_result(None)
        elif self._senders and self._overhear is not None and self._overhear():
            self._senders.wake()

    def overhear(self, told: Callable[[], bool]) -> None:
        """Call ``told`` when something comes while somebody waits to send; True ends that wait."""
        self._overhear = told

    def take(self) -> bytes | None:
        """What ``receive`` would give at once; None where it would wait, raise, or somebody is in it."""
        if self._reader is not None:
            return None
        if self._inward:
            return self._next()
        return b"" if self._ended and self._error is None else None

    async def receive(self) -> bytes:
        """What came: octets, b"" when the peer has closed its direction.  OSError when the connection broke."""
        while not self._inward:
            if self._error is not None:
                raise self._error
            if self._ended:
                return b""
            if self._closed:
                raise ConnectionAbortedError(errno.ECONNABORTED, "the connection is closed")
            if self._reader is not None:
                raise RuntimeError("two readers of one connection")
            self._watch()
            self._reader = self._loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        return self._next()

    def _next(self) -> bytes:
        data = self._inward.popleft()
        self._held -= len(data)
        if not self._reading and self._held < READ_AHEAD // 2:
            self._watch()
        return data

    # ------------------------------------------------------------ out

    async def send(self, data: Buffer) -> None:
        """Send ``data``; it is owed from the call on.  Waits while much is queued.  OSError when it broke."""
        if self._error is not None:
            raise self._error
        if self._closed:
            raise ConnectionAbortedError(errno.ECONNABORTED, "the connection is closed")
        if not self._outward:
            try:
                count = self._sock.send(data, NO_SIGNAL)
            except (BlockingIOError, InterruptedError):
                count = 0
            except OSError as error:
                self._broken(error)
                raise
            if count == len(data):
                return
            self._loop.add_writer(self._sock.fileno(), self._writable)
            self._outward.append(memoryview(data)[count:])
            self._queued = len(data) - count
        else:
            self._outward.append(memoryview(data))
            self._queued += len(data)
        if self._queued > LOW_WATER:
            await self._room()

    async def _room(self) -> None:
        await self._senders.wait()
        if self._error is not None:
            raise self._error

    def _writable(self) -> None:
        outward = self._outward
        try:
            if len(outward) == 1:
                count = self._sock.send(outward[0], NO_SIGNAL)
            else:
                count = self._sock.sendmsg(list(outward)[:64], (), NO_SIGNAL)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._broken(error)
            return
        self._queued -= count
        while count:
            first = outward[0]
            if count < len(first):
                outward[0] = first[count:]
                break
            count -= len(first)
            outward.popleft()
        if not outward:
            self._loop.remove_writer(self._sock.fileno())
        if self._queued <= LOW_WATER:
            self._senders.wake()

    async def flush(self) -> None:
        """Wait until the kernel has taken all that was sent."""
        while self._outward:
            await self._room()

    async def send_eof(self) -> None:
        """Close our direction (FIN) when all that was sent is with the kernel.  Harmless on a broken connection."""
        try:
            await self.flush()
            if not self._closed:
                self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            return

    # ------------------------------------------------------------ the end

    def _broken(self, error: OSError) -> None:
        self._error = error
        self._ended = True
        self._unwatch()
        if self._outward:
            self._loop.remove_writer(self._sock.fileno())
            self._outward.clear()
            self._queued = 0
        self._senders.wake()
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def close(self) -> None:
        """Give the connection back to the kernel.  What is still queued is lost: ``send_eof`` first.  Repeatable."""
        self._give_back()

    def abort(self) -> None:
        """Reset the connection (RST)."""
        if not self._closed:
            try:
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            except OSError:
                pass
            self._give_back()

    def _give_back(self) -> None:
        if self._closed:
            return
        self._broken(ConnectionAbortedError(errno.ECONNABORTED, "the connection is closed"))
        self._closed = True
        self._inward.clear()
        self._held = 0
        self._sock.close()

    def info(self) -> TcpInfo | None:
        """What the kernel knows of the connection; None where it says nothing."""
        return None if self._closed else tcp_info(self._sock)


async def connect(host: str, port: int, *, local: Address | None = None) -> SocketPipe:
    """A connection to ``host``, an address or a name whose addresses are tried in turn.  OSError when none answers."""
    loop = asyncio.get_running_loop()
    found: Iterable[tuple[int, Any]]
    try:
        version = ipaddress.ip_address(host.partition("%")[0]).version
    except ValueError:
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        found = [(info[0], info[4]) for info in infos]
    else:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        found = [(socket.AF_INET if version == 4 else socket.AF_INET6, infos[0][4])]
    failure: OSError = OSError(errno.EADDRNOTAVAIL, f"{host} has no address")
    for family, address in found:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            if local is not None:
                sock.bind(local)
            await loop.sock_connect(sock, address)
            return SocketPipe(sock)
        except OSError as error:
            failure = error
            sock.close()
        except BaseException:
            sock.close()
            raise
    raise failure
