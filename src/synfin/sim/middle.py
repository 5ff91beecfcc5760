"""Boxes in the middle: NAT that forgets, firewalls that drop, reject or forge, and somebody who tampers.

Each is a router: packets cross it hop by hop.  What they do to a connection is what such boxes do in the world, so that
its traces can be learned from a capture on either side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from synfin.sim.network import Network, Router
from synfin.tcp.arrives import refusal
from synfin.tcp.config import SECOND
from synfin.tcp.names import address
from synfin.tcp.packet import Icmp, Packet
from synfin.wire.tcpflags import ACK, RST

Inside = tuple[bytes, int]

#: The outside ports a NAT hands out.
_FIRST_PORT, _PORTS = 40_000, 20_000


class Nat(Router):
    """Hides all that stand behind it behind one address (RFC 5382: one port for each inside address and port).

    A mapping that was idle for ``idle`` is forgotten, without a word to anyone; what then comes from outside is
    dropped, and what comes from inside gets a new port.
    """

    def __init__(self, network: Network, name: str, outside: str, *, idle: int = 7440 * SECOND) -> None:
        super().__init__(network, name, [address(outside)])
        self.outside = address(outside)
        self.idle = idle
        self.forgotten = 0
        self._ports: dict[Inside, tuple[int, int]] = {}  # inside -> outside port, last used
        self._owners: dict[int, Inside] = {}
        self._next = _FIRST_PORT
        network.join(self)

    def handle(self, packet: Packet | Icmp) -> None:
        """Translate, then route."""
        target = packet.dst if isinstance(packet, Packet) else packet.receiver
        changed = self._inward(packet) if target == self.outside else self._outward(packet)
        if changed is not None:
            super().handle(changed)

    def _alive(self, inside: Inside) -> int | None:
        """The outside port of a mapping that is not forgotten; its idle time begins anew."""
        found = self._ports.get(inside)
        now = self.network.now
        if found is None:
            return None
        port, used = found
        if now - used > self.idle:
            self.forgotten += 1
            del self._ports[inside], self._owners[port]
            return None
        self._ports[inside] = (port, now)
        return port

    def _forget_oldest(self) -> None:
        """Give up the mapping that was idle longest: every port is taken."""
        inside = min(self._ports, key=lambda known: self._ports[known][1])
        port, _ = self._ports.pop(inside)
        del self._owners[port]
        self.forgotten += 1

    def _outward(self, packet: Packet | Icmp) -> Packet | Icmp | None:
        if isinstance(packet, Icmp):
            return packet._replace(sender=self.outside)
        inside = (packet.src, packet.sport)
        port = self._alive(inside)
        if port is None:
            if len(self._owners) == _PORTS:
                self._forget_oldest()
            while self._next in self._owners:
                self._next = _FIRST_PORT + (self._next + 1 - _FIRST_PORT) % _PORTS
            port, self._next = self._next, _FIRST_PORT + (self._next + 1 - _FIRST_PORT) % _PORTS
            self._ports[inside] = (port, self.network.now)
            self._owners[port] = inside
        return packet._replace(src=self.outside, sport=port)

    def _inward(self, packet: Packet | Icmp) -> Packet | Icmp | None:
        port = packet.dport if isinstance(packet, Packet) else packet.sport
        inside = self._owners.get(port)
        if inside is None or self._alive(inside) is None:
            return None
        if isinstance(packet, Icmp):
            return packet._replace(receiver=inside[0], sport=inside[1])
        return packet._replace(dst=inside[0], dport=inside[1])


class Action(StrEnum):
    """What a firewall does with a packet that a rule matches."""

    DROP = "drop"
    REJECT = "reject"  # an ICMP error: administratively prohibited
    REFUSE = "refuse"  # a RST to the sender, in the name of the receiver
    RESET = "reset"  # a forged RST to both


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: which packets, what is done; ``matches`` is asked for every packet that no rule before has matched."""

    matches: Callable[[Packet], bool]
    action: Action


class Firewall(Router):
    """Lets pass what no rule matches.  ``hits`` counts matches, in the order of the rules."""

    def __init__(self, network: Network, name: str, own: str, rules: list[Rule]) -> None:
        super().__init__(network, name, [address(own)])
        self.rules = rules
        self.hits = [0] * len(rules)
        network.join(self)

    def handle(self, packet: Packet | Icmp) -> None:
        """The first rule that matches decides."""
        if isinstance(packet, Packet):
            for number, rule in enumerate(self.rules):
                if rule.matches(packet):
                    self.hits[number] += 1
                    self._act(rule.action, packet)
                    return
        super().handle(packet)

    def _act(self, action: Action, packet: Packet) -> None:
        four = len(packet.src) == 4
        if action == Action.REJECT:
            self.complain(packet, 3 if four else 1, 13 if four else 1)
        elif action in (Action.REFUSE, Action.RESET):
            answer = refusal(packet)
            if answer is not None:
                self.send(answer)
            if action == Action.RESET:
                self.send(packet._replace(flags=RST | packet.flags & ACK, payload=b"", options=b"", window=0, gso=0))


class Tamperer(Router):
    """Passes on what ``change`` makes of each packet: the same, another, or nothing (None)."""

    def __init__(self, network: Network, name: str, own: str, change: Callable[[Packet], Packet | None]) -> None:
        super().__init__(network, name, [address(own)])
        self.change = change
        self.changed = 0
        network.join(self)

    def handle(self, packet: Packet | Icmp) -> None:
        """Change a packet on its way; checksums are made anew, so only who seals its data will notice."""
        if isinstance(packet, Packet):
            made = self.change(packet)
            self.changed += made is not packet
            if made is None:
                return
            packet = made
        super().handle(packet)
