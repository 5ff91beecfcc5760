"""Connections and listeners of our own TCP, as ``pipe.Pipe`` and ``pipe.Source`` want them.

They wait where ``tcp``'s calls return at once: for octets, for room, for a connection.  ``own.OwnStack`` tells them
what the host says of their connections.
"""

from __future__ import annotations

import asyncio
import errno
import time
from collections import deque
from collections.abc import Callable
from ipaddress import ip_address
from typing import TYPE_CHECKING

from synfin.drive.tcpinfo import TcpInfo
from synfin.drive.waiters import Waiters
from synfin.spec.tcp_states import State
from synfin.tcp import Connection, Kind, Listener
from synfin.wire.codec import Buffer

if TYPE_CHECKING:
    from synfin.drive.own import OwnStack

#: The most ``receive`` hands out in one piece.
_PIECE = 1 << 18
_FAILURES = {
    Kind.REFUSED: (errno.ECONNREFUSED, "the peer refused the connection"),
    Kind.RESET: (errno.ECONNRESET, "the peer reset the connection"),
    Kind.TIMED_OUT: (errno.ETIMEDOUT, "the peer does not answer"),
    Kind.UNREACHABLE: (errno.EHOSTUNREACH, "the peer cannot be reached"),
}
#: States in which something of ours may not have arrived yet.
UNSENT = frozenset((State.ESTABLISHED, State.CLOSE_WAIT, State.FIN_WAIT_1, State.CLOSING, State.LAST_ACK))

Address = tuple[str, int]


class OwnPipe:
    """One connection of our own TCP; see ``pipe.Pipe``."""

    def __init__(self, stack: OwnStack, connection: Connection) -> None:
        self.stack = stack
        self.connection = connection
        self.closing = False
        self._error: OSError | None = None
        self._eof_wanted = False
        self._inward: asyncio.Future[None] | None = None
        self._overhear: Callable[[], bool] | None = None
        self._outward: deque[memoryview] = deque()  # taken from the user, not yet by the host
        self._senders = Waiters()

    @property
    def local(self) -> Address:
        """Our address and port."""
        return str(ip_address(self.connection.local.address)), self.connection.local.port

    @property
    def remote(self) -> Address:
        """The peer's address and port."""
        return str(ip_address(self.connection.remote.address)), self.connection.remote.port

    # ------------------------------------------------------------ in

    async def connected(self) -> None:
        """Wait until the connection stands; OSError when it does not come to that."""
        while self.connection.state in (State.SYN_SENT, State.SYN_RECEIVED) and self._error is None:
            await self._wait()
        if self._error is not None:
            raise self._error

    async def receive(self) -> bytes:
        """Octets as they come; b"" when the peer has closed its direction; OSError when the connection broke."""
        found = await self.receive_buffers(_PIECE)
        return bytes(found[0]) if len(found) == 1 else b"".join(found)

    async def receive_buffers(self, size: int | None = None) -> list[Buffer]:
        """The same without a copy: views of the packets that came; [] at the end."""
        connection, stack = self.connection, self.stack
        while True:
            if connection.readable and not self.closing:
                found = stack.host.recv_buffers(connection, time.monotonic_ns(), size)
                if connection.ack_now:
                    stack.turn()
                return found
            if self._error is not None:
                raise self._error
            if self.closing:
                raise ConnectionAbortedError(errno.ECONNABORTED, "the connection is closed")
            if connection.ended:
                return []
            await self._wait()

    def overhear(self, told: Callable[[], bool]) -> None:
        """Call ``told`` when something comes while somebody waits to send; True ends that wait."""
        self._overhear = told

    def take(self) -> bytes | None:
        """What ``receive`` would give at once; None where it would wait, raise, or somebody is in it."""
        connection = self.connection
        if self._inward is not None or self.closing:
            return None
        if connection.readable:
            return b"".join(self.stack.host.recv_buffers(connection, time.monotonic_ns(), _PIECE))
        return b"" if self._error is None and connection.ended else None

    async def _wait(self) -> None:
        if self._inward is not None:
            raise RuntimeError("two readers of one connection")
        self._inward = self.stack.loop.create_future()
        try:
            await self._inward
        finally:
            self._inward = None

    # ------------------------------------------------------------ out

    async def send(self, data: Buffer) -> None:
        """Send; owed from the call on.  Waits while the send buffer is full.  OSError when it broke."""
        if self._error is not None:
            raise self._error
        if self.closing or self._eof_wanted:
            raise ConnectionAbortedError(errno.ECONNABORTED, "the connection is closed")
        if data:
            self._outward.append(memoryview(data))
            self._push()
            self.stack.turn()
        if self._outward:
            await self._room()

    def _push(self) -> None:
        """Hand on to the host what it takes."""
        outward, host, now = self._outward, self.stack.host, time.monotonic_ns()
        while outward:
            taken = host.send(self.connection, outward[0], now)
            if taken < len(outward[0]):
                outward[0] = outward[0][taken:]
                return
            outward.popleft()
        if self._eof_wanted:
            host.shutdown(self.connection, now)
        self._senders.wake()

    async def _room(self) -> None:
        await self._senders.wait()
        if self._error is not None:
            raise self._error

    async def send_eof(self) -> None:
        """Close our direction: a FIN after all that was sent.  Harmless on a broken connection."""
        if self._eof_wanted or self.closing or self._error is not None:
            return
        self._eof_wanted = True
        self._push()
        self.stack.turn()

    async def flush(self) -> None:
        """Wait until the peer has acknowledged all that was sent, or the connection broke."""
        while self._error is None and self.connection.state in UNSENT and (
            self._outward or len(self.connection.queue)
        ):  # fmt: skip
            await asyncio.sleep(0.002)

    # ------------------------------------------------------------ the end

    def told(self, kind: Kind, detail: str) -> None:
        """An event of the connection."""
        if kind in _FAILURES:
            number, words = _FAILURES[kind]
            self._error = OSError(number, f"{words}: {detail}" if detail else words)
            self._outward.clear()
            self._senders.wake()
        elif kind == Kind.WRITABLE or (kind == Kind.CONNECTED and self._outward):
            self._push()
        if self._inward is not None:
            if not self._inward.done():
                self._inward.set_result(None)
        elif self._senders and self._error is None and self._overhear is not None and self._overhear():
            self._senders.wake()
        if self.closing and self.connection.state in (State.CLOSED, State.TIME_WAIT, State.FIN_WAIT_2):
            self.stack.forget(self)

    async def close(self) -> None:
        """Let go of the connection: what was sent still arrives, what comes is refused.  Repeatable."""
        if self.closing:
            return
        if self._outward:
            self.abort()
            return
        self.closing = True
        self.stack.host.close(self.connection, time.monotonic_ns())
        self._done()

    def abort(self) -> None:
        """Reset the connection.  Repeatable."""
        if self.connection.state not in (State.CLOSED, State.TIME_WAIT):
            self.stack.host.abort(self.connection, time.monotonic_ns())
        self.closing = True
        self._outward.clear()
        if self._error is None:
            self._error = ConnectionAbortedError(errno.ECONNABORTED, "the connection is closed")
        self._done()

    def _done(self) -> None:
        self.stack.turn()
        self._senders.wake()
        if self._inward is not None and not self._inward.done():
            self._inward.set_result(None)
        if self.connection.state not in UNSENT:
            self.stack.forget(self)

    def info(self) -> TcpInfo | None:
        """What our TCP knows of the connection."""
        c = self.connection
        rtt = c.rtt
        own_mss = c.config.announced_mss(c.local.address)
        return TcpInfo(
            state=c.state.value,
            rtt=rtt.smoothed / 1e9,
            rttvar=rtt.variation / 1e9,
            rto=rtt.rto / 1e9,
            mss=c.mss,
            peer_mss=min(own_mss, c.path_mss()),
            advertised_mss=own_mss,
            path_mtu=c.mtu,
            cwnd=c.congestion.cwnd // max(c.mss, 1),
            retransmits=self.stack.retransmissions(c),
            unacknowledged=len(c.board),
            timestamps=c.ts_on,
            sack=c.sack_on,
            window_scales=(c.snd_wscale, c.rcv_wscale) if c.wscale_on else None,
            ecn=c.ecn_on,
            bytes_acknowledged=max(min(c.snd_una, c.queue.end) - c.iss - 1, 0),
            bytes_received=max(c.received.nxt - c.irs - 1, 0),
        )


class OwnListener:
    """A port of our own TCP that is listened on; see ``pipe.Source``."""

    def __init__(self, stack: OwnStack, listener: Listener, addresses: tuple[Address, ...]) -> None:
        self.stack = stack
        self.addresses = addresses
        self._listener = listener
        self._closed = False
        self._acceptor: asyncio.Future[None] | None = None

    def look(self) -> None:
        """Wake who waits for a connection when there is one."""
        if self._acceptor is not None and self._listener.queue and not self._acceptor.done():
            self._acceptor.set_result(None)

    async def accept(self) -> OwnPipe:
        """The next connection.  ConnectionAbortedError after ``close``."""
        while True:
            if self._closed:
                raise ConnectionAbortedError(errno.ECONNABORTED, "no longer listening")
            connection = self._listener.accept()
            if connection is not None:
                return self.stack.adopt(connection)
            self._acceptor = self.stack.loop.create_future()
            try:
                await self._acceptor
            finally:
                self._acceptor = None

    def close(self) -> None:
        """Stop listening; connections nobody accepted are reset.  Repeatable."""
        if self._closed:
            return
        self._closed = True
        self.stack.unlisten(self._listener)
        if self._acceptor is not None and not self._acceptor.done():
            self._acceptor.set_result(None)
