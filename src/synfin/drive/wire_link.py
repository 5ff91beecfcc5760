"""A link for real packets: octets of whole IP packets go in, and come out later, damaged, twice or never.

The words are those of the simulated network (``sim.link``): ``Conditions`` say what a direction does, ``Fate`` what
became of a packet, and every fault draws from its own stream of one seed.  Packets meet the faults in the same order:
too long, queue full, lost, damaged, held back, doubled.  Added are faults aimed at connections, as boxes in the middle
make them: a forged RST (RFC 9293 3.5.2) or silence once octet N of a stream passes, and SYNs that vanish.

Nothing here waits: ``send`` takes the time in nanoseconds, ``due`` hands out what has arrived by then.
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from struct import Struct
from typing import NamedTuple

from synfin.sim import Conditions, Fate
from synfin.sim.chance import Stream
from synfin.tcp import Packet
from synfin.tcp.config import SECOND
from synfin.wire.checksum import checksum, pseudo_header
from synfin.wire.tcpflags import ACK, RST, SYN

_TCP = Struct("!HHII")
_MASK = 0xFFFFFFFF
#: Flows whose faults are remembered; of more, the oldest are forgotten.
_FLOWS = 4096
#: Packets of one direction of a connection that are answered by forged RSTs: the first may meet ends that lag behind.
_TELLS = 2
_TCP_PROTO, _ICMP, _ICMP6 = 6, 1, 58


@dataclass(frozen=True, slots=True)
class Aimed:
    """Faults aimed at connections.  Octets of a stream are counted from 0; None: never.

    ``reset_at``, ``cut_at``: (towards the server?, octet).  ``cut_after``: nanoseconds after the first packet of a
    connection.  ``drop_syns``: so many SYNs of each connection are lost.
    """

    reset_at: tuple[bool, int] | None = None
    cut_at: tuple[bool, int] | None = None
    cut_after: int | None = None
    drop_syns: int = 0

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return self != Aimed()


class Arrival(NamedTuple):
    """A packet at the end of its way; ``note`` says what was done to it."""

    time: int
    serial: int
    upward: bool
    data: bytes
    note: str


@dataclass(slots=True)
class Flow:
    """What is known of one connection, for faults aimed at it; sequence numbers of both streams' first octets."""

    began: int
    first: dict[bool, int] = field(default_factory=dict)
    syns: int = 0
    verdict: str = ""  # "reset" or "cut", from some point on
    told: Counter[bool] = field(default_factory=Counter)  # packets of each direction that RSTs answered


class Facts(NamedTuple):
    """The TCP facts of a packet that aimed faults look at."""

    src: bytes
    dst: bytes
    sport: int
    dport: int
    seq: int
    ack: int
    flags: int
    size: int


class Direction:
    """One direction's conditions, chance and counts."""

    def __init__(self, upward: bool, conditions: Conditions, seed: int) -> None:
        self.upward = upward
        self.conditions = conditions
        self.packets = self.octets = 0
        self.counts: Counter[str] = Counter()
        self.free_at = self.last = 0
        name = "client>server" if upward else "server>client"
        self.loss = Stream(seed, f"{name} loss")
        self.corrupt = Stream(seed, f"{name} corrupt")
        self.reorder = Stream(seed, f"{name} reorder")
        self.duplicate = Stream(seed, f"{name} duplicate")
        self.jitter = Stream(seed, f"{name} jitter")


class Link:
    """Both directions, ``up`` towards the server, and what is on its way."""

    def __init__(self, up: Conditions, down: Conditions, seed: int, aimed: Aimed | None = None) -> None:
        self.up = Direction(True, up, seed)
        self.down = Direction(False, down, seed)
        self.aimed = aimed or Aimed()
        self.forged = 0
        self._heap: list[Arrival] = []
        self._serial = 0
        self._flows: dict[frozenset[tuple[bytes, int]], Flow] = {}

    def next_time(self) -> int | None:
        """When the next packet arrives; None: nothing is on its way."""
        return self._heap[0].time if self._heap else None

    def due(self, now: int) -> list[Arrival]:
        """What has arrived by ``now``, in order."""
        heap, out = self._heap, []
        while heap and heap[0].time <= now:
            out.append(heapq.heappop(heap))
        return out

    def send(self, upward: bool, data: bytes, now: int) -> str:
        """A packet enters; what will become of it, in a word for its sender's side ("" when it will arrive)."""
        way = self.up if upward else self.down
        has = way.conditions
        size = len(data)
        way.packets += 1
        way.octets += size
        if size > has.mtu:
            way.counts[Fate.TOO_BIG] += 1
            if has.black_hole:
                return "vanished: longer than the path's MTU"
            answer = too_big(data, has.mtu)
            if answer is not None:
                self._put(now + 1, not upward, answer, "ICMP from the link: packet too big")
            return "longer than the path's MTU"
        leaves = now
        if has.rate:
            start = max(now, way.free_at)
            if (start - now) * has.rate > has.queue * 8 * SECOND:
                way.counts[Fate.QUEUE_FULL] += 1
                return "dropped: the link's queue was full"
            leaves = way.free_at = start + size * 8 * SECOND // has.rate
        if way.loss.happens(has.loss):
            way.counts[Fate.LOST] += 1
            return "lost on the link"
        arrival = leaves + has.delay
        if has.jitter:
            arrival += way.jitter.below(has.jitter)
        if self.aimed.any and (done := self._aim(upward, data, now, max(arrival, way.last))):
            return done
        note = ""
        if way.corrupt.happens(has.corrupt):
            data = _damaged(data, way.corrupt)
            way.counts[Fate.CORRUPTED] += 1
            note = "damaged on the link"
        if way.reorder.happens(has.reorder):
            arrival = max(arrival, way.last) + has.reorder_by
            way.counts["reordered"] += 1
            note = note or "held back by the link"
        else:
            arrival = way.last = max(arrival, way.last)
        way.counts[Fate.DELIVERED] += 1
        self._put(arrival, upward, data, note)
        if way.duplicate.happens(has.duplicate):
            way.counts["duplicated"] += 1
            self._put(arrival + has.delay // 4 + 1, upward, data, "doubled by the link")
        return ""

    def _put(self, time: int, upward: bool, data: bytes, note: str) -> None:
        self._serial += 1
        heapq.heappush(self._heap, Arrival(time, self._serial, upward, data, note))

    # ------------------------------------------------------------ faults aimed at connections

    def _aim(self, upward: bool, data: bytes, now: int, arrival: int) -> str:
        """What an aimed fault does to a packet; "" when nothing."""
        facts = tcp_facts(data)
        if facts is None:
            return ""
        key = frozenset(((facts.src, facts.sport), (facts.dst, facts.dport)))
        flow = self._flows.get(key)
        first = facts.seq + (facts.flags >> 1 & 1) & _MASK
        opening = upward and facts.flags & (SYN | ACK) == SYN
        if flow is None or (opening and first != flow.first.get(True, first)):
            if len(self._flows) >= _FLOWS:
                del self._flows[next(iter(self._flows))]
            flow = self._flows[key] = Flow(now)
        if facts.flags & SYN:
            flow.first[upward] = first
        else:
            flow.first.setdefault(upward, first)
        counts = (self.up if upward else self.down).counts
        if opening:
            flow.syns += 1
            if flow.syns <= self.aimed.drop_syns:
                counts["SYN dropped"] += 1
                return "dropped: a SYN"
        if not flow.verdict:
            flow.verdict = self._verdict(flow, facts, upward, now)
        if flow.verdict == "cut":
            counts["cut off"] += 1
            return "swallowed: the connection is cut"
        if flow.verdict == "reset":
            counts["swallowed after a reset"] += 1
            if not facts.flags & RST and flow.told[upward] < _TELLS:
                flow.told[upward] += 1
                self._forge(facts, upward, arrival)
            return "swallowed: the connection was reset by the link"
        return ""

    def _verdict(self, flow: Flow, facts: Facts, upward: bool, now: int) -> str:
        aimed = self.aimed
        if aimed.cut_after is not None and now - flow.began >= aimed.cut_after:
            return "cut"
        if not facts.size:
            return ""
        last = (facts.seq + facts.size - 1 - flow.first[upward]) & _MASK
        if last >= 1 << 31:
            return ""
        for word, where in (("reset", aimed.reset_at), ("cut", aimed.cut_at)):
            if where is not None and where[0] == upward and last >= where[1]:
                return word
        return ""

    def _forge(self, facts: Facts, upward: bool, arrival: int) -> None:
        """RSTs to both ends, each in the name of the other, with the numbers that are expected."""
        f = facts
        way = Packet(f.src, f.dst, f.sport, f.dport, f.seq, f.ack, RST | ACK, 0)
        back = Packet(f.dst, f.src, f.dport, f.sport, f.ack, f.seq + f.size & _MASK, RST | ACK, 0)
        self._put(arrival, upward, way.write(), "RST forged by the link")
        self._put(arrival, not upward, back.write(), "RST forged by the link")
        self.forged += 2


def tcp_facts(data: bytes) -> Facts | None:
    """What aimed faults need of a TCP packet; None for all others (fragments and extension headers too)."""
    if len(data) >= 40 and data[0] >> 4 == 4 and data[9] == _TCP_PROTO:
        at, end, src, dst = (data[0] & 15) * 4, int.from_bytes(data[2:4], "big"), data[12:16], data[16:20]
        if int.from_bytes(data[6:8], "big") & 0x3FFF:
            return None
    elif len(data) >= 60 and data[0] >> 4 == 6 and data[6] == _TCP_PROTO:
        at, end, src, dst = 40, 40 + int.from_bytes(data[4:6], "big"), data[8:24], data[24:40]
    else:
        return None
    if len(data) < max(end, at + 20):
        return None
    sport, dport, seq, ack = _TCP.unpack_from(data, at)
    return Facts(src, dst, sport, dport, seq, ack, data[at + 13], max(end - at - (data[at + 12] >> 4) * 4, 0))


def too_big(data: bytes, mtu: int) -> bytes | None:
    """What a router answers a packet longer than ``mtu`` with, in the name of the packet's target.

    RFC 1191 4, RFC 4443 3.2; None where the packet may not be answered (an IPv4 packet without DF is not cut either).
    """
    if len(data) >= 28 and data[0] >> 4 == 4:
        if data[9] == _ICMP and data[20] not in (0, 8):
            return None
        body = b"\x03\x04\0\0\0\0" + mtu.to_bytes(2, "big") + data[:28]
        body = body[:2] + checksum(body).to_bytes(2, "big") + body[4:]
        head = (
            bytes((0x45, 0)) + (20 + len(body)).to_bytes(2, "big") + b"\0\0\0\0\x40\x01\0\0" + data[16:20] + data[12:16]
        )
        return head[:10] + checksum(head).to_bytes(2, "big") + head[12:] + body
    if len(data) >= 48 and data[0] >> 4 == 6:
        if data[6] == _ICMP6 and data[40] < 128:
            return None
        body = b"\x02\0\0\0" + mtu.to_bytes(4, "big") + data[: 1280 - 48]
        src, dst = data[24:40], data[8:24]
        check = checksum(pseudo_header(src, dst, _ICMP6, len(body)) + body)
        body = body[:2] + check.to_bytes(2, "big") + body[4:]
        return b"\x60\0\0\0" + len(body).to_bytes(2, "big") + b"\x3a\x40" + src + dst + body
    return None


def _damaged(data: bytes, chance: Stream) -> bytes:
    """``data`` with one bit turned, behind the IP header, so that it still gets where a checksum tells it."""
    start = (data[0] & 15) * 4 if data[0] >> 4 == 4 else 40
    if len(data) <= start:
        return data
    bit = start * 8 + chance.below((len(data) - start) * 8)
    out = bytearray(data)
    out[bit >> 3] ^= 1 << (bit & 7)
    return bytes(out)
