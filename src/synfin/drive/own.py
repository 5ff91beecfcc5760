"""Our own TCP in the real world: the sans-I/O host of ``tcp`` behind a TUN device, for asyncio.

``OwnStack`` carries packets between the device and the host, keeps its timers, and hands events to whom they concern;
``OwnPipe`` and ``OwnListener`` are connections and listeners as ``streams.Pipe`` and ``streams.Source`` want them, so
TLS, HTTP and whatever else talks over the kernel's sockets talks over these too.  What TCP does is ``tcp``'s business,
how packets look on the device ``vnet``'s; ping is answered here, because it is the first thing people try.

Nothing is copied in the bulk path: what the device gives is read once and lent out as views, what the user sends goes
to the device from the buffer it was given in.  Several packets are taken in one wake-up, and of those that wait four
are acknowledged at once, as they would be behind a card that merges segments.
"""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from ipaddress import ip_address

from synfin.drive import vnet
from synfin.drive.tcpinfo import TcpInfo
from synfin.drive.tun import Tun
from synfin.errors import UsageError, WireError
from synfin.spec.tcp_states import State
from synfin.tcp import Config, Connection, Host, Kind, Listener, Packet
from synfin.wire.checksum import checksum, pseudo_header
from synfin.wire.codec import Buffer

#: What suits a path without limits: buffers of several MB, super-segments, no waiting for more data.
BULK = Config(receive_buffer=1 << 23, send_buffer=1 << 22, nodelay=True, super_segment=65160)
#: Packets taken from the device before others get their turn, and before what they cause is sent.
_AT_ONCE, _BATCH = 64, 4
#: Packets up to this size are copied out of the buffer they were read into, which is many times as long.
_SHORT = 1 << 14
#: The most ``receive`` hands out in one piece.
_PIECE = 1 << 18
#: How long ``close`` waits for what was sent to be acknowledged, in seconds.
_LINGER = 3.0
_FAILURES = {
    Kind.REFUSED: (errno.ECONNREFUSED, "the peer refused the connection"),
    Kind.RESET: (errno.ECONNRESET, "the peer reset the connection"),
    Kind.TIMED_OUT: (errno.ETIMEDOUT, "the peer does not answer"),
    Kind.UNREACHABLE: (errno.EHOSTUNREACH, "the peer cannot be reached"),
}
_UNSENT = frozenset((State.ESTABLISHED, State.CLOSE_WAIT, State.FIN_WAIT_1, State.CLOSING, State.LAST_ACK))

Address = tuple[str, int]


class OwnStack:
    """A host at ``addresses`` behind ``tun``, which becomes its own.  Make it in a running loop.

    ``config``: choices for all its connections; segments are never longer than the device takes.
    """

    def __init__(self, tun: Tun, addresses: Sequence[str], config: Config = BULK) -> None:
        for text in addresses:
            _belongs(tun, text)
        self.tun = tun
        self.host = Host(list(addresses), os.urandom(32), self._fit(config))
        self.packets_in = self.packets_out = 0
        self.unreadable = 0  # packets that were no TCP, or not sound
        self.unsent = 0  # packets the device did not take
        self._buffers = vnet.Buffers()
        self._parse = vnet.read if tun.offload else vnet.read_plain
        self._again: dict[Connection, int] = {}
        self._pipes: dict[Connection, OwnPipe] = {}
        self._listeners: dict[Listener, OwnListener] = {}
        self.loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0
        self._closed = False
        self.loop.add_reader(tun.fd, self._readable)

    # ------------------------------------------------------------ what programs ask for

    async def connect(
        self,
        host: str,
        port: int,
        *,
        local: str | None = None,
        config: Config | None = None,
        before: Callable[[int], None] | None = None,
    ) -> OwnPipe:
        """A connection to the address ``host``; OSError when it fails, UsageError for what is no address.

        ``before`` hears of our port before the first packet goes out.
        """
        self._alive()
        choices = None if config is None else self._fit(config)
        connection = self.host.connect(host, port, time.monotonic_ns(), local=local, config=choices)
        pipe = self._pipes[connection] = OwnPipe(self, connection)
        if before is not None:
            before(connection.local.port)
        self.turn()
        try:
            await pipe.connected()
        except BaseException:
            pipe.abort()
            raise
        return pipe

    def listen(self, port: int, host: str | None = None, *, backlog: int = 1024) -> OwnListener:
        """Listen at one address or at all; UsageError when the port is taken."""
        self._alive()
        listener = self.host.listen(port, host, backlog=backlog)
        places = [host] if host is not None else [str(ip_address(raw)) for raw in self.host.addresses]
        source = self._listeners[listener] = OwnListener(self, listener, tuple((text, port) for text in places))
        return source

    async def close(self, linger: float = _LINGER) -> None:
        """Wait a moment for what was sent to arrive, reset what is left, and let go of the device.  Repeatable."""
        if self._closed:
            return
        until = self.loop.time() + linger
        for source in list(self._listeners.values()):
            source.close()
        while self.loop.time() < until and any(
            pipe.closing and pipe.connection.state in _UNSENT for pipe in self._pipes.values()
        ):
            await asyncio.sleep(0.005)
        for pipe in list(self._pipes.values()):
            pipe.abort()
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self.loop.remove_reader(self.tun.fd)
        self.tun.close()

    def retransmissions(self, connection: Connection) -> int:
        """Segments of a connection that were sent again."""
        return self._again.get(connection, 0)

    def _fit(self, config: Config) -> Config:
        """Choices the device can carry."""
        return config if self.tun.offload else replace(config, super_segment=0)

    def _alive(self) -> None:
        if self._closed:
            raise ConnectionAbortedError(errno.ECONNABORTED, "the stack is closed")

    # ------------------------------------------------------------ packets and time

    def _readable(self) -> None:
        fd, take, now, turn = self.tun.fd, self._buffers.take, time.monotonic_ns, self.turn
        arrived = self.arrived
        for _ in range(_AT_ONCE // _BATCH):
            for _ in range(_BATCH):
                buffer = take()
                try:
                    size = os.readv(fd, (buffer,))
                except (BlockingIOError, InterruptedError):
                    turn()
                    return
                except OSError:
                    self.loop.remove_reader(fd)  # the device was taken away
                    return
                self.packets_in += 1
                data = memoryview(buffer)[:size] if size > _SHORT else memoryview(bytes(memoryview(buffer)[:size]))
                arrived(data, now())
            turn()

    def arrived(self, data: memoryview, now: int) -> None:
        """What the device gave goes to the host."""
        try:
            packet = self._parse(data)
        except WireError:
            self._other(bytes(data))
        else:
            self.host.receive(packet, now)

    def turn(self) -> None:
        """Do what is due: timers, events, packets.  To be called after every call of the host."""
        host, now = self.host, time.monotonic_ns()
        when = host.next_timer()
        if when is not None and when <= now:
            host.timer_fired(now)
        while True:
            out = host.take_output(now)
            for packet in out:
                self.transmit(packet)
            event = host.next_event()
            if event is None and not out:
                break
            while event is not None:
                pipe = self._pipes.get(event.connection)
                if pipe is not None:
                    pipe.told(event.kind, event.detail)
                event = host.next_event()
        for source in self._listeners.values():
            source.look()
        when = host.next_timer()
        if when is not None and (self._timer is None or when < self._timer_at):
            self._schedule(when)

    def _schedule(self, when: int) -> None:
        """Be called at the host's next timer; a call that is due earlier stays, and finds nothing to do."""
        if self._closed:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = when
        self._timer = self.loop.call_later(max(when - time.monotonic_ns(), 0) / 1e9, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self.turn()

    def transmit(self, packet: Packet) -> None:
        """What the host sends goes to the device."""
        if packet.again:
            self.count(packet)
        try:
            if not self.tun.offload:
                os.write(self.tun.fd, packet.write())
            elif packet.payload:
                os.writev(self.tun.fd, (vnet.head(packet), packet.payload))
            else:
                os.write(self.tun.fd, vnet.head(packet))
        except OSError:
            self.unsent += 1  # as if the wire had lost it
        else:
            self.packets_out += 1

    def count(self, packet: Packet) -> None:
        """Note that segments went out again."""
        connection = self.host.connections.get((packet.src, packet.sport, packet.dst, packet.dport))
        if connection is not None:
            pieces = -(-len(packet.payload) // packet.gso) if packet.gso else 1
            self._again[connection] = self._again.get(connection, 0) + pieces

    def _other(self, data: bytes) -> None:
        """What is not TCP: ping is answered."""
        start = vnet.VNET_SIZE if self.tun.offload else 0
        answer = echo(data[start:], self.host.addresses)
        if answer is None:
            self.unreadable += 1
            return
        try:
            os.write(self.tun.fd, bytes(start) + answer)
        except OSError:
            self.unsent += 1

    # ------------------------------------------------------------ for pipes and listeners

    def adopt(self, connection: Connection) -> OwnPipe:
        """The pipe of a connection that a listener handed out."""
        pipe = self._pipes[connection] = OwnPipe(self, connection)
        return pipe

    def forget(self, pipe: OwnPipe) -> None:
        """Nobody asks for a connection's events any more."""
        self._pipes.pop(pipe.connection, None)
        self._again.pop(pipe.connection, None)

    def unlisten(self, listener: Listener) -> None:
        """A listener is closed."""
        if self._listeners.pop(listener, None) is not None:
            self.host.unlisten(listener, time.monotonic_ns())
            self.turn()


class OwnPipe:
    """One connection of our own TCP; see ``Pipe`` in ``streams``."""

    def __init__(self, stack: OwnStack, connection: Connection) -> None:
        self.stack = stack
        self.connection = connection
        self.closing = False
        self._error: OSError | None = None
        self._eof_wanted = False
        self._inward: asyncio.Future[None] | None = None
        self._outward: deque[memoryview] = deque()  # taken from the user, not yet by the host
        self._senders: list[asyncio.Future[None]] = []

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
        self._wake_senders()

    async def _room(self) -> None:
        waiter = self.stack.loop.create_future()
        self._senders.append(waiter)
        try:
            await waiter
        finally:
            if waiter in self._senders:
                self._senders.remove(waiter)
        if self._error is not None:
            raise self._error

    def _wake_senders(self) -> None:
        waiters, self._senders = self._senders, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def send_eof(self) -> None:
        """Close our direction: a FIN after all that was sent.  Harmless on a broken connection."""
        if self._eof_wanted or self.closing or self._error is not None:
            return
        self._eof_wanted = True
        self._push()
        self.stack.turn()

    async def flush(self) -> None:
        """Wait until the peer has acknowledged all that was sent, or the connection broke."""
        while self._error is None and self.connection.state in _UNSENT and (
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
            self._wake_senders()
        elif kind == Kind.WRITABLE or (kind == Kind.CONNECTED and self._outward):
            self._push()
        if self._inward is not None and not self._inward.done():
            self._inward.set_result(None)
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
        self._wake_senders()
        if self._inward is not None and not self._inward.done():
            self._inward.set_result(None)
        if self.connection.state not in _UNSENT:
            self.stack.forget(self)

    def info(self) -> TcpInfo | None:
        """What our TCP knows of the connection."""
        c = self.connection
        rtt = c.rtt
        return TcpInfo(
            state=c.state.value,
            rtt=rtt.smoothed / 1e9,
            rttvar=rtt.variation / 1e9,
            rto=rtt.rto / 1e9,
            mss=c.mss,
            peer_mss=min(c.own_mss(), c.path_mss()),
            advertised_mss=c.own_mss(),
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
    """A port of our own TCP that is listened on; see ``Source`` in ``streams``."""

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


def _belongs(tun: Tun, text: str) -> None:
    """UsageError for an address that the kernel would not look for on the device, or has itself."""
    try:
        wanted = ip_address(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is not an IP address") from error
    if any(wanted == place.ip for place in tun.kernel):
        raise UsageError(f"{text} is the kernel's own address on {tun.name}: choose another of its network")
    if not any(wanted in place.network for place in tun.kernel):
        networks = ", ".join(str(place.network) for place in tun.kernel)
        raise UsageError(f"{text} is in no network of {tun.name} ({networks}): the kernel would not find it there")


def echo(data: bytes, addresses: Sequence[bytes]) -> bytes | None:
    """The answer to a ping (RFC 792, RFC 4443 4.2) at one of ``addresses``; None for everything else."""
    if len(data) >= 28 and data[0] == 0x45 and data[9] == 1 and data[20:22] == b"\x08\0" and data[16:20] in addresses:
        if int.from_bytes(data[6:8], "big") & 0x3FFF:
            return None  # a fragment
        body = b"\0\0\0\0" + data[24:]
        head = data[:8] + b"\x40\x01\0\0" + data[16:20] + data[12:16]
        head = head[:10] + checksum(head).to_bytes(2, "big") + head[12:]
        return head + body[:2] + checksum(body).to_bytes(2, "big") + body[4:]
    if (
        len(data) >= 48
        and data[0] >> 4 == 6
        and data[6] == 58
        and data[40:42] == b"\x80\0"
        and data[24:40] in addresses
    ):
        body = b"\x81\0\0\0" + data[44:]
        src, dst = data[24:40], data[8:24]
        check = checksum(pseudo_header(src, dst, 58, len(body)) + body)
        return data[:7] + b"\x40" + src + dst + body[:2] + check.to_bytes(2, "big") + body[4:]
    return None
