"""Name look-ups over UDP port 53: which one led to a connection.

Keeps the answers that held addresses, by the client that asked and the address it learned; a connection asks for
the latest one shortly before its first packet.  A look-up answered by a resolver on the same machine (127.0.0.53)
counts for every client.  DNS over TCP, TLS or HTTPS and multicast DNS are left out.  Memory is bounded: the oldest
facts go first.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np

from synfin.capture.table import Batch, Kind
from synfin.errors import WireError
from synfin.observe.addresses import from_halves, from_octets
from synfin.observe.story import DnsFact
from synfin.wire.dns import RCODES, TYPES, read_message

#: How long before its first packet a connection's look-up may have ended, ns.
SHORTLY = 10_000_000_000
_RETRY = 30_000_000_000  # a question asked again within this time is the same look-up, ns
_MOST = 100_000


class _Asked(NamedTuple):
    """A question that waits for its answer: first packet and time, and how often it was asked."""

    packet: int
    time: int
    times: int


class DnsLog:
    """Collects look-ups: ``add`` every batch, then ask ``before``."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, str, int], _Asked] = {}
        self._learned: dict[tuple[str, str], list[DnsFact]] = {}
        self._oldest: deque[tuple[str, str]] = deque()

    def add(self, batch: Batch) -> None:
        """Take the DNS messages of ``batch``; costs next to nothing where there are none."""
        rows = batch.rows
        udp = np.flatnonzero(rows["kind"] == Kind.UDP)
        if not len(udp):
            return
        sport, dport = rows["sport"][udp], rows["dport"][udp]
        for at in udp[(sport == 53) | (dport == 53)].tolist():
            row = rows[at]
            self._message(
                batch.payload(at),
                int(row["number"]),
                int(row["time"]),
                from_halves(int(row["version"]), int(row["src_hi"]), int(row["src_lo"])),
                from_halves(int(row["version"]), int(row["dst_hi"]), int(row["dst_lo"])),
            )

    def before(self, client_ip: str, server_ip: str, time_ns: int) -> DnsFact | None:
        """The latest look-up by ``client_ip`` that returned ``server_ip`` at most ``SHORTLY`` before ``time_ns``."""
        best: DnsFact | None = None
        for client in (client_ip, ""):
            for fact in reversed(self._learned.get((client, server_ip), ())):
                end = fact.end or 0
                if end <= time_ns:
                    if time_ns - end <= SHORTLY and (best is None or end > (best.end or 0)):
                        best = fact
                    break
        return best

    def _message(self, data: bytes, number: int, time: int, src: str, dst: str) -> None:
        try:
            message = read_message(data)
        except WireError:
            return
        if message.opcode != 0 or len(message.questions) != 1:
            return
        name, kind = message.questions[0]
        if not message.response:
            key = (src, name.lower(), kind)
            first = self._asked.get(key)
            if first is None or time - first.time > _RETRY:
                if len(self._asked) >= _MOST:
                    self._asked.pop(next(iter(self._asked)))
                self._asked[key] = _Asked(number, time, 1)
            else:
                self._asked[key] = first._replace(times=first.times + 1)
            return
        asked = self._asked.pop((dst, name.lower(), kind), None) or _Asked(number, time, 0)
        addresses = tuple(
            from_octets(record.data)
            for record in message.answers
            if (record.type, len(record.data)) in ((1, 4), (28, 16))
        )
        if not addresses:
            return
        fact = DnsFact(
            name=name,
            qtype=TYPES.get(kind, str(kind)),
            query_packet=asked.packet,
            answer_packet=number,
            start=asked.time,
            end=time,
            rcode=RCODES.get(message.rcode, str(message.rcode)),
            addresses=addresses,
            server=src,
            queries=asked.times,
        )
        client = "" if dst.startswith("127.") or dst == "::1" else dst
        for address in set(addresses):
            self._learn((client, address), fact)

    def _learn(self, key: tuple[str, str], fact: DnsFact) -> None:
        self._learned.setdefault(key, []).append(fact)
        self._oldest.append(key)
        if len(self._oldest) > _MOST:
            oldest = self._oldest.popleft()
            facts = self._learned[oldest]
            del facts[0]
            if not facts:
                del self._learned[oldest]
