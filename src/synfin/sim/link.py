"""Links: what a packet meets between two nodes.

A link has two directions, each with its own conditions and streams of chance.  In this order a packet may be too long
(an ICMP error goes back, or nothing does: a black hole), find the queue full, wait for those before it, be lost, be
damaged, be held back so that others overtake it, and be doubled.  Delay and jitter never reorder: a later packet of a
direction arrives later, unless it is the ``reorder`` fault that holds one back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from synfin.errors import WireError
from synfin.sim.chance import Stream
from synfin.tcp.config import MILLISECOND, SECOND
from synfin.tcp.packet import Icmp, Packet, parse

if TYPE_CHECKING:
    from synfin.sim.network import Network, Node


@dataclass(frozen=True, slots=True)
class Conditions:
    """One direction of a link.  Times in nanoseconds, probabilities 0 to 1, ``rate`` in bits a second (0: no limit).

    ``queue``: octets that may wait for the rate.  ``black_hole``: packets over ``mtu`` vanish without an ICMP error.
    ``drop`` is asked for every packet, with its number in this direction from 0; True loses it.
    """

    delay: int = 10 * MILLISECOND
    jitter: int = 0
    rate: int = 0
    queue: int = 1 << 20
    mtu: int = 1500
    black_hole: bool = False
    loss: float = 0.0
    corrupt: float = 0.0
    reorder: float = 0.0
    reorder_by: int = 20 * MILLISECOND
    duplicate: float = 0.0
    drop: Callable[[int, Packet | Icmp], bool] | None = None

    @property
    def calm(self) -> bool:
        """Whether nothing happens to a packet that is short enough, but delay."""
        chances = self.loss or self.corrupt or self.reorder or self.duplicate
        return not (self.jitter or self.rate or chances or self.drop)


class Fate(StrEnum):
    """What became of a packet on a link."""

    DELIVERED = "delivered"
    LOST = "lost"
    QUEUE_FULL = "queue full"
    TOO_BIG = "too big"
    CORRUPTED = "corrupted"


class Pipe:
    """One direction of a link, from ``source`` to ``target``."""

    __slots__ = (
        "_calm", "_corrupt", "_duplicate", "_free_at", "_jitter", "_judged", "_last", "_loss", "_network", "_reorder",
        "conditions", "count", "name", "source", "target",
    )  # fmt: skip

    def __init__(self, network: Network, source: Node, target: Node, conditions: Conditions, number: int) -> None:
        self._network = network
        self.source, self.target = source, target
        self.conditions = conditions
        self.name = f"{source.name}>{target.name}#{number}"
        self.count = 0
        self._judged, self._calm = conditions, conditions.calm
        self._free_at = 0
        self._last = 0
        seed = network.seed
        self._loss = Stream(seed, f"{self.name} loss")
        self._corrupt = Stream(seed, f"{self.name} corrupt")
        self._reorder = Stream(seed, f"{self.name} reorder")
        self._duplicate = Stream(seed, f"{self.name} duplicate")
        self._jitter = Stream(seed, f"{self.name} jitter")

    def send(self, packet: Packet | Icmp) -> None:
        """A packet enters; super-segments are cut first, as a network card does."""
        if isinstance(packet, Packet) and packet.gso:
            for piece in packet.pieces():
                self._one(piece)
        else:
            self._one(packet)

    def _one(self, packet: Packet | Icmp) -> None:
        network, has = self._network, self.conditions
        now = network.now
        number, self.count = self.count, self.count + 1
        size = packet.size if isinstance(packet, Packet) else 100
        if has is not self._judged:  # they were changed
            self._judged, self._calm = has, has.calm
        if self._calm and size <= has.mtu:
            network.truth.fate(now, self, packet, Fate.DELIVERED)
            arrival = self._last = max(now + has.delay, self._last)
            network.at(arrival, self.target.arrive, packet)
            return
        if size > has.mtu and isinstance(packet, Packet):
            network.truth.fate(now, self, packet, Fate.TOO_BIG)
            if not has.black_hole:
                self.source.too_big(packet, has.mtu)
            return
        if has.rate:
            start = max(now, self._free_at)
            if (start - now) * has.rate > has.queue * 8 * SECOND:
                network.truth.fate(now, self, packet, Fate.QUEUE_FULL)
                return
            self._free_at = start + size * 8 * SECOND // has.rate
            leaves = self._free_at
        else:
            leaves = now
        if self._loss.happens(has.loss) or (has.drop is not None and has.drop(number, packet)):
            network.truth.fate(now, self, packet, Fate.LOST)
            return
        if self._corrupt.happens(has.corrupt):
            network.truth.fate(now, self, packet, Fate.CORRUPTED)
            damaged = self._damaged(packet)
            if damaged is None:
                return
            packet = damaged
        else:
            network.truth.fate(now, self, packet, Fate.DELIVERED)
        arrival = leaves + has.delay
        if has.jitter:
            arrival += self._jitter.below(has.jitter)
        if self._reorder.happens(has.reorder):
            arrival += has.reorder_by
        else:
            arrival = self._last = max(arrival, self._last)
        network.at(arrival, self.target.arrive, packet)
        if self._duplicate.happens(has.duplicate):
            network.at(arrival + has.delay // 4 + 1, self.target.arrive, packet)

    def _damaged(self, packet: Packet | Icmp) -> Packet | Icmp | None:
        """The packet with one bit turned, as its receiver reads it; None when a checksum tells it."""
        data = bytearray(packet.write())
        bit = self._corrupt.below(len(data) * 8)
        data[bit >> 3] ^= 1 << (bit & 7)
        try:
            return parse(bytes(data))
        except WireError:
            return None
