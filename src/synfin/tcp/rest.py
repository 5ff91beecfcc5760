"""Connections in TIME_WAIT, kept as small records: their numbers, and until when.

Nothing is sent and nothing is read there, so a host needs no more to acknowledge a FIN that comes again, to challenge,
and to judge a SYN (RFC 9293 3.10.7.4, RFC 6191).  The connection itself lives on only as long as its user holds it;
the record then speaks through it, so that the user sees it close.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from weakref import ref

from synfin.spec.tcp_segments import MASK, before, distance
from synfin.spec.tcp_states import State
from synfin.tcp import options
from synfin.tcp.config import Config
from synfin.tcp.connection import Connection
from synfin.tcp.listeners import Key
from synfin.tcp.names import Place, Timer
from synfin.tcp.packet import Packet
from synfin.tcp.queues import ReceiveQueue, SendQueue
from synfin.wire.tcpflags import ACK, FIN, RST, SYN


class Rest:
    """What is kept of one connection; the names are those of ``Connection``."""

    __slots__ = (
        "challenges", "challenges_at", "config", "held", "invalids", "rcv_adv", "rcv_nxt", "rcv_wscale", "snd_nxt",
        "snd_wscale", "ts_offset", "ts_on", "ts_recent", "until",
    )  # fmt: skip

    def __init__(self, c: Connection) -> None:
        self.held: Callable[[], Connection | None] = ref(c)
        self.config: Config = c.config
        self.until = c.timers[Timer.TIME_WAIT]
        self.snd_nxt, self.snd_wscale = c.snd_nxt, c.snd_wscale
        self.rcv_nxt, self.rcv_adv, self.rcv_wscale = c.rcv_nxt, c.rcv_adv, c.rcv_wscale
        self.challenges, self.invalids, self.challenges_at = c.challenges, c.invalids, c.challenges_at
        self.ts_on, self.ts_recent, self.ts_offset = c.ts_on, c.ts_recent, c.ts_offset

    def connection(self, key: Key) -> Connection:
        """The connection, or one that is like it where nobody holds it any more."""
        held = self.held()
        if held is not None:
            return held
        c = Connection(self.config, Place(*key[:2]), Place(*key[2:]), self.snd_nxt, clock_offset=self.ts_offset)
        c.state = State.TIME_WAIT
        c.queue = SendQueue(self.snd_nxt - 1)
        c.fin_wanted = True
        c.received = ReceiveQueue(self.rcv_nxt)
        c.snd_wscale, c.rcv_wscale = self.snd_wscale, self.rcv_wscale
        c.rcv_nxt = c.last_ack_sent = self.rcv_nxt
        c.rcv_adv = self.rcv_adv
        c.fin_at = self.rcv_nxt - 1
        c.max_snd_wnd = 1 << 30
        c.ts_on, c.ts_recent = self.ts_on, self.ts_recent
        c.ts_recent_at = self.until
        c.challenges, c.invalids, c.challenges_at = self.challenges, self.invalids, self.challenges_at
        c.timers[Timer.TIME_WAIT] = self.until
        return c

    def gives_way(self, packet: Packet) -> bool:
        """Whether a segment is a SYN so surely newer that it takes its place (RFC 6191 2)."""
        if packet.flags & (SYN | ACK | RST | FIN) != SYN:
            return False
        newer = before(self.rcv_nxt - 1 & MASK, packet.seq)
        stamp = options.read(packet.options).ts if self.config.timestamps else None
        if stamp is None:
            return newer
        if not self.ts_on:
            return True
        ahead = distance(self.ts_recent, stamp[0])
        return ahead > 0 or (ahead == 0 and newer)


def _nobody() -> None:
    """Its user was told that it is over."""


class Resting:
    """The records of a host, and when the next is over."""

    __slots__ = ("_heap", "_serial", "records")

    def __init__(self) -> None:
        self.records: dict[Key, Rest] = {}
        self._heap: list[tuple[int, int, Key]] = []
        self._serial = 0

    def keep(self, key: Key, connection: Connection) -> None:
        """A connection in TIME_WAIT, or one that was and was spoken to again."""
        known = self.records.get(key)
        rest = self.records[key] = Rest(connection)
        if known is None or rest.until < known.until:
            self._push(rest.until, key)

    def again(self, key: Key, rest: Rest) -> None:
        """What was taken from its place comes back to it, until the time it had."""
        rest.held = _nobody
        self.records[key] = rest
        self._push(rest.until, key)

    def drop(self, key: Key) -> None:
        """It is over, or a new connection takes its place."""
        self.records.pop(key, None)

    def next_timer(self) -> int | None:
        """When the next one ends (or was to end, before its peer spoke again)."""
        heap, records = self._heap, self.records
        while heap:
            when, _, key = heap[0]
            found = records.get(key)
            if found is not None and found.until == when:
                return when
            heapq.heappop(heap)
            if found is not None and found.until > when:
                self._push(found.until, key)
        return None

    def due(self, now: int) -> list[tuple[Key, Rest]]:
        """Those whose time is over, taken out."""
        out = []
        while (when := self.next_timer()) is not None and when <= now:
            _, _, key = heapq.heappop(self._heap)
            out.append((key, self.records.pop(key)))
        return out

    def _push(self, when: int, key: Key) -> None:
        self._serial += 1
        heapq.heappush(self._heap, (when, self._serial, key))
