"""Walking down the headers of one frame: what every layer reader is given and what it leaves behind.

A layer reader is a function of a ``Walk``.  It reads its header from ``walk.r`` (so every field has a name, and a
span when spans are wanted), writes the facts it knows into ``walk.found`` and returns which protocol comes next as
(table, number), for example ``("ethertype", 0x0800)``; ``net.py`` holds the tables.  None means that nothing
follows.

Two ends are kept apart: ``walk.r.end`` is where the captured octets end, ``walk.wire_end`` where the octets on the wire
ended.  They differ when a snap length cut the frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from synfin.wire.codec import Buffer, Reader, Span

Next = tuple[str, int] | None


class Fragment(NamedTuple):
    """One piece of a fragmented IP datagram; ``at`` and ``size`` say where its octets lie in the frame."""

    key: tuple[object, ...]  # what all pieces of one datagram share
    offset: int  # octets from the start of the datagram's payload
    more: bool
    at: int
    size: int
    proto: int  # what the first fragment's payload begins with
    whole: bool  # all octets of this piece were captured


@dataclass(slots=True)
class Dissection:
    """What one frame holds: names of its layers, the innermost IP and TCP/UDP facts, and where its payload lies.

    ``kind`` is "tcp", "udp", "icmp", "pdu", "cut" (a TCP header that is not all there) or "other"; ``unread`` names
    what was not understood.  Offsets count from the start of the buffer dissected.
    """

    layers: list[str] = field(default_factory=list)
    vlans: list[int] = field(default_factory=list)
    tunnels: list[str] = field(default_factory=list)
    kind: str = "other"
    unread: str = ""
    version: int = 0
    proto: int = 0
    ttl: int = 0
    ip_id: int = 0
    ecn: int = 0
    src: bytes = b""
    dst: bytes = b""
    sport: int = 0
    dport: int = 0
    seq: int = 0
    ack: int = 0
    flags: int = 0
    window: int = 0
    urgent: int = 0
    options_at: int = 0
    options_len: int = 0
    load_at: int = 0
    load_len: int = 0
    load_cap: int = 0
    fragment: Fragment | None = None


class Walk:
    """The state of a walk down one frame."""

    __slots__ = ("found", "r", "wire_end")

    def __init__(self, data: Buffer, wirelen: int, found: Dissection, spans: list[Span] | None = None) -> None:
        self.r = Reader(data, spans=spans)
        self.wire_end = max(wirelen, self.r.end)
        self.found = found

    def enter(self, name: str, path: str, ref: str) -> Reader:
        """Begin a layer: its name for people, the path of its fields, and its specification."""
        self.found.layers.append(name)
        r = self.r
        r.path = path
        r.ref = ref
        return r

    @property
    def wire_left(self) -> int:
        """Octets that were left on the wire from here."""
        return self.wire_end - self.r.pos

    def limit(self, size: int) -> None:
        """What follows is only ``size`` octets long on the wire; the rest of the frame is padding."""
        self.wire_end = min(self.wire_end, self.r.pos + size)
        self.r.end = max(self.r.pos, min(self.r.end, self.wire_end))

    def load(self) -> None:
        """What is left is the payload."""
        found = self.found
        found.load_at = self.r.pos
        found.load_len = self.wire_left
        found.load_cap = self.r.left
        self.bits(self.r.pos, self.r.end, "payload", self.r.left)

    def bits(self, start: int, end: int, name: str, value: object) -> None:
        """Leave a span for a part of a field, or for octets that are not read."""
        r = self.r
        if r.spans is not None and end > start:
            r.spans.append(Span(start, end, f"{r.path}.{name}", value, r.ref))


Layer = Callable[[Walk], Next]
