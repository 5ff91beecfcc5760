"""The network: a virtual clock, a heap of what is to happen, and nodes joined by links.

A run is a function of what was built and of the seed: no clock, no chance, no threads.  ``HostNode`` is a host with its
TCP; applications hear its events and call it (see ``talk``).  ``Router`` passes packets on by address, counts hops and
sends the ICMP errors a router sends.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any, TypeVar

from synfin.errors import UsageError
from synfin.sim.chance import entropy
from synfin.sim.link import Conditions, Pipe
from synfin.sim.tap import Tap
from synfin.sim.truth import Truth
from synfin.tcp.config import Config
from synfin.tcp.connection import Event
from synfin.tcp.host import Host
from synfin.tcp.names import address
from synfin.tcp.packet import Icmp, Packet

_N = TypeVar("_N", bound="Node")


class Network:
    """A simulated network.  ``now`` is in nanoseconds from 0; ``keep`` off lets the truth only count."""

    def __init__(self, seed: int = 0, *, keep: bool = True) -> None:
        self.seed = seed
        self.now = 0
        self.truth = Truth(keep=keep)
        self.nodes: dict[str, Node] = {}
        self._heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._serial = 0
        self._links = 0

    def at(self, when: int, what: Callable[..., None], *arguments: Any) -> None:
        """Call ``what`` at a time; things of the same time happen in the order they were asked for."""
        self._serial += 1
        heapq.heappush(self._heap, (when, self._serial, what, arguments))

    def after(self, wait: int, what: Callable[..., None], *arguments: Any) -> None:
        """Call ``what`` some time from now."""
        self.at(self.now + wait, what, *arguments)

    def host(self, name: str, *addresses: str, config: Config | None = None) -> HostNode:
        """A new host."""
        node = HostNode(self, name, Host(list(addresses), entropy(self.seed, name), config))
        return self.join(node)

    def router(self, name: str, *addresses: str) -> Router:
        """A new router."""
        return self.join(Router(self, name, [address(text) for text in addresses]))

    def join(self, node: _N) -> _N:
        """Take a node in; UsageError when its name is taken."""
        if node.name in self.nodes:
            raise UsageError(f"there are two nodes called {node.name}")
        self.nodes[node.name] = node
        return node

    def link(self, one: Node, two: Node, there: Conditions | None = None, back: Conditions | None = None) -> None:
        """Join two nodes; without ``back`` both directions are alike."""
        self._links += 1
        there = there or Conditions()
        one.attach(Pipe(self, one, two, there, self._links))
        two.attach(Pipe(self, two, one, back or there, self._links))

    def run(self, until: int | None = None, *, events: int = 50_000_000) -> int:
        """Let things happen until nothing is left, or ``until``; the time then.  At most so many ``events``."""
        heap = self._heap
        while heap and events:
            when = heap[0][0]
            if until is not None and when > until:
                break
            _, _, what, arguments = heapq.heappop(heap)
            self.now = when
            what(*arguments)
            events -= 1
        if until is not None:
            self.now = max(self.now, until)
        return self.now


class Node:
    """Something with links.  Routes go by address; the first link is the default."""

    def __init__(self, network: Network, name: str) -> None:
        self.network = network
        self.name = name
        self.pipes: list[Pipe] = []
        self.routes: dict[bytes, Pipe] = {}
        self.taps: list[Tap] = []

    def attach(self, pipe: Pipe) -> None:
        """A link was joined to this node."""
        self.pipes.append(pipe)

    def tap(self, tap: Tap) -> Tap:
        """Let a sniffer see what comes and goes here."""
        self.taps.append(tap)
        return tap

    def arrive(self, packet: Packet | Icmp) -> None:
        """A packet comes from a link."""
        for tap in self.taps:
            tap.see(self.network.now, packet)
        self.handle(packet)

    def handle(self, packet: Packet | Icmp) -> None:
        """What the node does with a packet; nothing, here."""

    def too_big(self, packet: Packet, mtu: int) -> None:
        """A link of this node cannot take a packet."""

    def send(self, packet: Packet | Icmp) -> None:
        """Send a packet on its way."""
        for tap in self.taps:
            tap.see(self.network.now, packet)
        target = packet.dst if isinstance(packet, Packet) else packet.receiver
        pipe = self.routes.get(target) or (self.pipes[0] if self.pipes else None)
        if pipe is not None:
            pipe.send(packet)


class HostNode(Node):
    """A host in the network: its TCP is pumped after whatever happens to it."""

    def __init__(self, network: Network, name: str, host: Host) -> None:
        super().__init__(network, name)
        self.host = host
        self.on_event: Callable[[Event], None] | None = None
        self._timer_at: int | None = None
        self._pumping = False

    def handle(self, packet: Packet | Icmp) -> None:
        """A packet for this host, or for nobody."""
        self.host.receive(packet, self.network.now)
        self.pump()

    def too_big(self, packet: Packet, mtu: int) -> None:
        """The host's own link refuses: it tells itself, as a router would."""
        four = len(packet.src) == 4
        message = Icmp.about(packet, packet.src, 3 if four else 2, 4 if four else 0, mtu)
        self.network.after(0, self.handle, message)

    def pump(self) -> None:
        """Send what is to go out, tell events, mind the timer; called after every call of the host from outside."""
        if self._pumping:
            return
        self._pumping = True
        host, now = self.host, self.network.now
        busy = True
        while busy:
            busy = False
            for packet in host.take_output(now):
                self.send(packet)
            while (event := host.next_event()) is not None:
                busy = True
                if self.on_event is not None:
                    self.on_event(event)
        self._pumping = False
        when = host.next_timer()
        if when is not None and (self._timer_at is None or when < self._timer_at):
            self._timer_at = when
            self.network.at(max(when, now), self._timer, when)

    def _timer(self, when: int) -> None:
        if self._timer_at == when:
            self._timer_at = None
            self.host.timer_fired(self.network.now)
            self.pump()


class Router(Node):
    """Passes packets on: to the link of their address, or to the first link."""

    def __init__(self, network: Network, name: str, addresses: list[bytes]) -> None:
        super().__init__(network, name)
        self.addresses = addresses

    def route(self, target: str, towards: Node) -> None:
        """Packets to this address leave by the link to that node."""
        self.routes[address(target)] = next(pipe for pipe in self.pipes if pipe.target is towards)

    def handle(self, packet: Packet | Icmp) -> None:
        """One hop further, if hops are left."""
        if isinstance(packet, Packet):
            if packet.ttl <= 1:
                self.complain(packet, 11 if len(packet.src) == 4 else 3, 0)
                return
            packet = packet._replace(ttl=packet.ttl - 1)
        self.send(packet)

    def too_big(self, packet: Packet, mtu: int) -> None:
        """The link this packet should take has a smaller MTU."""
        four = len(packet.src) == 4
        self.complain(packet, 3 if four else 2, 4 if four else 0, mtu)

    def complain(self, packet: Packet, kind: int, code: int, mtu: int = 0) -> None:
        """An ICMP error to the sender of a packet."""
        own = [one for one in self.addresses if len(one) == len(packet.src)]
        if own:
            self.send(Icmp.about(packet, own[0], kind, code, mtu))
