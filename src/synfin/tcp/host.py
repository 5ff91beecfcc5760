"""A host: addresses, ports, listeners, and all its connections, behind the same five verbs as one connection.

Packets go to the connection of their four numbers, else to a listener, else they are refused by a RST (RFC 9293
3.10.7.1).  A listener keeps ``backlog`` half-open connections and as many that wait to be accepted; when the half-open
ones are too many, SYNs are answered by cookies and nothing is kept (RFC 4987 3.6).  A SYN that is new enough may take
the place of a connection in TIME_WAIT (RFC 6191).  Packets to an own address are looped back without leaving.
"""

from __future__ import annotations

from collections import deque
from ipaddress import ip_address

from synfin.errors import UsageError, WireError
from synfin.spec.tcp_segments import MASK, before
from synfin.spec.tcp_states import Cause, State
from synfin.tcp import arrives
from synfin.tcp.chance import Chance
from synfin.tcp.config import SECOND, Config
from synfin.tcp.connection import Connection, Event
from synfin.tcp.fragments import Fragments
from synfin.tcp.listeners import Key, Listener, cookie, cookie_back
from synfin.tcp.names import ONCE, Kind, Place, address, nobody
from synfin.tcp.packet import Icmp, Packet, parse
from synfin.tcp.rest import Rest, Resting
from synfin.tcp.schedule import Schedule
from synfin.wire.codec import Buffer
from synfin.wire.tcpflags import ACK, RST, SYN

#: RFC 6056 3.2 asks for a wide range.
EPHEMERAL = (1024, 65535)
#: RSTs for nobody in one second: more would make us an amplifier of a scan.
_RST_LIMIT = 200


class Host:
    """Addresses and the TCP behind them.

    ``entropy``: at least 16 octets that nobody can guess (or, in a simulation, that say which run it is).
    """

    def __init__(self, addresses: list[str | bytes], entropy: bytes, config: Config | None = None) -> None:
        self.addresses = [address(text) for text in addresses]
        self._own = frozenset(self.addresses)
        self.config = config or Config()
        self.connections: dict[Key, Connection] = {}
        self.chance = Chance(entropy)
        self.dropped = 0  # packets that could not be read
        self.fragments = Fragments()
        self.resting = Resting()  # what is in TIME_WAIT
        self._listeners: dict[tuple[bytes, int], Listener] = {}
        self._parents: dict[Connection, tuple[Listener, Key]] = {}
        self._before: dict[Connection, Rest] = {}  # what was in TIME_WAIT where a half-open connection is now
        self._busy: dict[Connection, None] = {}
        self._schedule = Schedule()
        self._out: list[Packet] = []
        self._events: deque[Event] = deque()
        self._told: set[tuple[Connection, Kind]] = set()  # events of ``ONCE`` that wait to be read
        self._rst_at = self._rsts = 0

    # ------------------------------------------------------------ the five verbs

    def receive(self, packet: Packet | Icmp | Buffer, now: int) -> None:
        """A packet from the network: a record or octets.  What cannot be read is counted and dropped."""
        if not isinstance(packet, (Packet, Icmp)):
            try:
                whole = self.fragments.take(packet, now)
                if whole is None:
                    return
                packet = parse(whole)
            except WireError:
                self.dropped += 1
                return
        if isinstance(packet, Icmp):
            self._error(packet, now)
            return
        key = (packet.dst, packet.dport, packet.src, packet.sport)
        connection = self.connections.get(key)
        if connection is None:
            rest = self.resting.records.get(key)
            if rest is None:
                self._incoming(packet, key, now)
                return
            listener = self._listener(packet.dst, packet.dport)
            if listener is not None and len(listener.half_open) < listener.backlog and rest.gives_way(packet):
                self.resting.drop(key)
                held = rest.held()
                if held is not None:
                    held.move(Cause.TIMEOUT_2MSL, now)
                    held.finish()
                    self._touched(key, held, now)
                self._incoming(packet, key, now, before_it=rest)
                return
            connection = rest.connection(key)
            connection.receive(packet, now)
            if rest.held() is None:
                connection.events.clear()  # nobody to tell
                if connection.state is State.CLOSED:
                    self.resting.drop(key)
            self._touched(key, connection, now)
            return
        if self._parents and connection in self._parents:
            parent = self._parents[connection][0]
            if len(parent.queue) >= parent.backlog and packet.flags & (ACK | RST | SYN) == ACK:
                return  # nobody accepts: the peer's segment comes again, and so does our SYN-ACK
        connection.receive(packet, now)
        self._touched(key, connection, now)

    def next_timer(self) -> int | None:
        """When ``timer_fired`` is to be called next; None: nothing runs."""
        for connection in self._busy:  # the others were noted by ``take_output``
            if connection.state is not State.CLOSED and connection.state is not State.TIME_WAIT:
                self._note(_key(connection), connection)
        last = self.resting.next_timer()
        while (found := self._schedule.first()) is not None:
            noted, key = found
            when = self.connections[key].next_timer()
            if when is not None and when <= noted:
                return noted if last is None else min(noted, last)
            self._schedule.later(key, when)
        return last

    def timer_fired(self, now: int) -> None:
        """Do what is due."""
        while (key := self._schedule.due(now)) is not None:
            connection = self.connections[key]
            connection.timer_fired(now)
            self._touched(key, connection, now)
        for key, rest in self.resting.due(now):
            held = rest.held()
            if held is not None:
                held.timer_fired(now)
                self._touched(key, held, now)

    def take_output(self, now: int) -> list[Packet]:
        """The packets that may go out now; those to own addresses are received at once."""
        out: list[Packet] = []
        while self._busy or self._out:
            found, self._out = self._out, []
            busy, self._busy = self._busy, {}
            for connection in busy:
                found += connection.take_output(now)
                key = _key(connection)
                if connection.state is State.TIME_WAIT:
                    self._forget(key, connection)
                    self.resting.keep(key, connection)
                elif connection.state is State.CLOSED:
                    self._forget(key, connection)
                else:
                    self._note(key, connection)
            for packet in found:
                if packet.dst in self._own:
                    self.receive(packet, now)
                else:
                    out.append(packet)
        return out

    def next_event(self) -> Event | None:
        """The oldest event of any connection."""
        if not self._events:
            return None
        event = self._events.popleft()
        self._told.discard((event.connection, event.kind))
        return event

    # ------------------------------------------------------------ user calls

    def check_place(self, port: int, local: str | bytes | None) -> None:
        """UsageError unless a socket could have this port (0: any) and address (None: any)."""
        if port:
            _sound(port)
        if local is not None:
            self._mine(local)

    def listen(
        self, port: int, local: str | bytes | None = None, *, backlog: int = 128, config: Config | None = None
    ) -> Listener:
        """Passive OPEN of a port, on one address or on all (None); UsageError when it is taken."""
        where = self._mine(local) if local is not None else b""
        _sound(port)
        if (where, port) in self._listeners:
            raise UsageError(f"port {port} is listened on already: close that listener first or take another port")
        listener = Listener(Place(where, port), backlog, config or self.config)
        self._listeners[where, port] = listener
        return listener

    def unlisten(self, listener: Listener, now: int) -> None:
        """CLOSE of a listener: what waits to be accepted and what is half-open is reset."""
        self._listeners.pop((listener.place.address, listener.place.port), None)
        for connection in [*listener.half_open.values(), *listener.queue]:
            connection.abort(now)
            self._touched(_key(connection), connection, now)
        listener.half_open.clear()
        listener.queue.clear()

    def connect(
        self,
        remote: str | bytes,
        port: int,
        now: int,
        *,
        local: str | bytes | None = None,
        local_port: int = 0,
        config: Config | None = None,
    ) -> Connection:
        """Active OPEN; the port is chosen when it is not given (RFC 6056).  UsageError when that cannot be."""
        there = Place(address(remote), port)
        _sound(port)
        if nobody(there.address):
            raise UsageError(f"{ip_address(there.address)} is not the address of one host")
        here = self._mine(local) if local is not None else self._source(there.address)
        if len(here) != len(there.address):
            raise UsageError("an address of IPv4 and one of IPv6 cannot be joined")
        if not local_port:
            chosen = self.chance.port(here, there, lambda p: self._free((here, p, *there)), *EPHEMERAL)
            if chosen is None:
                raise UsageError("every local port to that place is taken: close some connections first")
            local_port = chosen
        _sound(local_port)
        key = (here, local_port, *there)
        if not self._free(key):
            raise UsageError(f"there is a connection from port {local_port} to that place already")
        connection = self._make(Place(here, local_port), there, config or self.config, now)
        self.connections[key] = connection
        connection.open(now)
        self._touched(key, connection, now)
        return connection

    def choose(self, connection: Connection, config: Config) -> None:
        """Other choices for a connection; what they allow to be sent goes with the next ``take_output``."""
        connection.choose(config)
        key = _key(connection)
        if self.connections.get(key) is connection:
            self._busy[connection] = None
            self._note(key, connection)

    def send(self, connection: Connection, data: Buffer, now: int, *, urgent: bool = False) -> int:
        """SEND; how many octets were taken."""
        taken = connection.send(data, now, urgent=urgent)
        self._touched(_key(connection), connection, now)
        return taken

    def recv(self, connection: Connection, now: int, size: int | None = None) -> bytes:
        """RECEIVE: up to ``size`` octets in order (all, without it)."""
        return b"".join(self.recv_buffers(connection, now, size))

    def recv_buffers(self, connection: Connection, now: int, size: int | None = None) -> list[Buffer]:
        """The same without a copy."""
        found = connection.recv_buffers(size)
        if connection.ack_now:
            self._touched(_key(connection), connection, now)
        return found

    def shutdown(self, connection: Connection, now: int) -> None:
        """CLOSE of one direction: a FIN after what was sent."""
        connection.shutdown(now)
        self._touched(_key(connection), connection, now)

    def close(self, connection: Connection, now: int) -> None:
        """CLOSE of both directions."""
        connection.close(now)
        self._touched(_key(connection), connection, now)

    def abort(self, connection: Connection, now: int) -> None:
        """ABORT: a RST."""
        connection.abort(now)
        self._touched(_key(connection), connection, now)

    # ------------------------------------------------------------ inside

    def _free(self, key: Key) -> bool:
        return key not in self.connections and key not in self.resting.records

    def _mine(self, text: str | bytes) -> bytes:
        found = address(text)
        if found not in self._own:
            raise UsageError(f"{ip_address(found)} is not an address of this host")
        return found

    def _source(self, remote: bytes) -> bytes:
        if remote in self._own:
            return remote
        for own in self.addresses:
            if len(own) == len(remote):
                return own
        raise UsageError("this host has no address of that version of IP")

    def _make(self, local: Place, remote: Place, config: Config, now: int, *, iss: int | None = None) -> Connection:
        number = self.chance.isn(local, remote, now) if iss is None else iss
        return Connection(config, local, remote, number, clock_offset=self.chance.clock_offset(local, remote))

    def _listener(self, where: bytes, port: int) -> Listener | None:
        return self._listeners.get((where, port)) or self._listeners.get((b"", port))

    def _incoming(self, packet: Packet, key: Key, now: int, before_it: Rest | None = None) -> None:
        """A segment that belongs to no connection."""
        listener = self._listener(packet.dst, packet.dport)
        flags = packet.flags
        if packet.dst not in self._own or nobody(packet.src):
            return
        if listener is None or flags & (SYN | ACK | RST) != SYN:
            if listener is not None and flags & (SYN | ACK | RST) == ACK:
                found = cookie_back(self.chance, listener, packet, now)
                if found is not None:
                    self.connections[key] = found
                    self._parents[found] = (listener, key)
                    found.receive(packet, now)
                    self._touched(key, found, now)
                    return
            if listener is None or flags & ACK:
                self._refuse(packet, now)
            return
        if len(listener.half_open) >= listener.backlog:
            self._out.append(cookie(self.chance, listener, packet, now))
            return
        local, remote = Place(packet.dst, packet.dport), Place(packet.src, packet.sport)
        iss = None
        if before_it is not None:  # RFC 6528 makes it larger by itself; RFC 9293 3.6.1 wants to be sure
            iss = self.chance.isn(local, remote, now)
            if not before(before_it.snd_nxt & MASK, iss):
                iss = before_it.snd_nxt + 65536 & MASK
        connection = self._make(local, remote, listener.config, now, iss=iss)
        if before_it is not None:
            self._before[connection] = before_it
        connection.listen(now)
        self.connections[key] = connection
        listener.half_open[key] = connection
        self._parents[connection] = (listener, key)
        connection.receive(packet, now)
        self._touched(key, connection, now)

    def _refuse(self, packet: Packet, now: int) -> None:
        if now - self._rst_at >= SECOND:
            self._rst_at, self._rsts = now, 0
        self._rsts += 1
        answer = arrives.refusal(packet)
        if answer is not None and self._rsts <= _RST_LIMIT:
            self._out.append(answer)

    def _error(self, message: Icmp, now: int) -> None:
        key = (message.receiver, message.sport, message.remote, message.dport)
        connection = self.connections.get(key)
        if connection is not None:
            connection.receive_error(message, now)
            self._touched(key, connection, now)

    def _touched(self, key: Key, connection: Connection, now: int) -> None:
        """Something happened to a connection: take its events, mind its listener and its timers."""
        self._busy[connection] = None
        if self._parents and connection in self._parents:
            self._parented(key, connection)
        while connection.events:
            event = connection.events.pop(0)
            if event.kind in ONCE:
                if (connection, event.kind) in self._told:
                    continue
                self._told.add((connection, event.kind))
            self._events.append(event)
        if connection.state is State.CLOSED and not connection.out:
            self._forget(key, connection)

    def _parented(self, key: Key, connection: Connection) -> None:
        """A passive connection is handed to its listener once it stands; before that it is nobody's business."""
        listener, _ = self._parents[connection]
        if connection.state == State.SYN_RECEIVED:
            connection.events.clear()
            return
        del self._parents[connection]
        listener.half_open.pop(key, None)
        rest = self._before.pop(connection, None)
        if connection.state == State.CLOSED:
            connection.events.clear()
            if rest is not None:
                self.resting.again(key, rest)  # 3.6.1: the SYN turned out to be an old duplicate
        else:
            listener.queue.append(connection)

    def _note(self, key: Key, connection: Connection) -> None:
        when = connection.next_timer()
        if when is not None:
            self._schedule.note(key, when)

    def _forget(self, key: Key, connection: Connection) -> None:
        if self.connections.get(key) is connection:
            del self.connections[key]
            self._schedule.drop(key)
        rest = self.resting.records.get(key)
        if connection.state is State.CLOSED and rest is not None and rest.held() is connection:
            self.resting.drop(key)
        self._busy.pop(connection, None)


def _sound(port: int) -> None:
    if not 0 < port < 65536:
        raise UsageError(f"port {port} is not between 1 and 65535")


def _key(connection: Connection) -> Key:
    return (*connection.local, *connection.remote)
