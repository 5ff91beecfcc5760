"""Our own TCP in the real world: the sans-I/O host of ``tcp`` behind a TUN device, for asyncio.

``OwnStack`` carries packets between the device and the host, keeps its timers, and hands events to whom they concern;
``OwnPipe`` and ``OwnListener`` are connections and listeners as ``pipe.Pipe`` and ``pipe.Source`` want them, so
TLS, HTTP and whatever else talks over the kernel's sockets talks over these too.  What TCP does is ``tcp``'s business,
how packets look on the device ``vnet``'s; ping is answered here, because it is the first thing people try.

Nothing is copied in the bulk path: what the device gives is read once and lent out as views, what the user sends goes
to the device from the buffer it was given in.  Several packets are taken in one wake-up, and super-segments that
wait are acknowledged together, eight at most, as they would be behind a card that merges segments (``own_intake``).
"""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from ipaddress import ip_address

from synfin.drive import vnet
from synfin.drive.own_echo import echo
from synfin.drive.own_intake import Intake
from synfin.drive.own_pipe import UNSENT, OwnListener, OwnPipe
from synfin.drive.tun import Tun
from synfin.errors import UsageError, WireError
from synfin.tcp import Config, Connection, Host, Listener, Packet

#: What suits a path without limits: buffers of several MB, super-segments, no waiting for more data.
BULK = Config(receive_buffer=1 << 23, send_buffer=1 << 22, nodelay=True, super_segment=65160)
#: Times the device is read before others get their turn; packets of a device without offload read in one of them.
_AT_ONCE, _BATCH = 4, 4
#: How long ``close`` waits for what was sent to be acknowledged, in seconds.
_LINGER = 3.0


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
        self._intake = Intake(tun.fd) if tun.offload else None
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
            pipe.closing and pipe.connection.state in UNSENT for pipe in self._pipes.values()
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
        take = self._plain if self._intake is None else self._merged
        try:
            for _ in range(_AT_ONCE):
                if not take():
                    return
                self.turn()  # an acknowledgment may have brought the next packets already
        except OSError:
            self.loop.remove_reader(self.tun.fd)  # the device was taken away

    def _merged(self) -> bool:
        """Take what waits at a device with offload; whether there was something."""
        intake, host, now = self._intake, self.host, time.monotonic_ns()
        if intake is None:
            return False
        before = intake.packets
        found, _ = intake.take()
        self.packets_in += intake.packets - before
        for one in found:
            if isinstance(one, bytes):
                self._other(one)
            else:
                host.receive(one, now)
        return bool(found)

    def _plain(self) -> bool:
        """The same at a device that gives packets as a wire has them."""
        for count in range(_BATCH):
            try:
                data = os.read(self.tun.fd, vnet.LONGEST)
            except (BlockingIOError, InterruptedError):
                return count > 0
            self.packets_in += 1
            self.arrived(memoryview(data), time.monotonic_ns())
        return True

    def arrived(self, data: memoryview, now: int) -> None:
        """What a device without offload gave goes to the host."""
        try:
            packet = vnet.read_plain(data)
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
            for packet in host.take_output(now):
                self.transmit(packet)
            event = host.next_event()
            if event is None:
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
            return  # as if the wire had lost it
        self.packets_out += 1

    def count(self, packet: Packet) -> None:
        """Note that segments went out again."""
        connection = self.host.connections.get((packet.src, packet.sport, packet.dst, packet.dport))
        if connection is not None:
            pieces = -(-len(packet.payload) // packet.gso) if packet.gso else 1
            self._again[connection] = self._again.get(connection, 0) + pieces

    def _other(self, data: bytes) -> None:
        """What is no whole TCP packet: ping is answered, fragments are the host's to join."""
        start = vnet.VNET_SIZE if self.tun.offload else 0
        answer = echo(data[start:], self.host.addresses)
        if answer is None:
            self.host.receive(data[start:], time.monotonic_ns())
            return
        try:
            os.write(self.tun.fd, bytes(start) + answer)
        except OSError:
            pass  # as if the wire had lost it

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
