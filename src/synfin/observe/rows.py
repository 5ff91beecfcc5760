"""The packets of one connection as plain lists, in capture order.

A connection of twenty packets is too small for arrays to pay; a batch is turned into lists once and each
connection takes its slices.  ``sender`` says which side sent a packet (A = 0, B = 1); payload stays in the file and
is fetched by ``payload(i)``.  Index ``i`` counts within the connection, ``number[i]`` is the packet's number.
"""

from __future__ import annotations

from dataclasses import dataclass

from synfin.capture.table import load
from synfin.wire.codec import Buffer


@dataclass(slots=True)
class Rows:
    """Columns of one connection's packets, all lists of one length; see ``capture.table.ROW`` for the meanings."""

    data: Buffer
    extra: bytearray
    number: list[int]
    time: list[int]
    sender: list[int]
    wirelen: list[int]
    seq: list[int]
    ack: list[int]
    flags: list[int]
    window: list[int]
    load_len: list[int]
    load_cap: list[int]
    load_at: list[int]
    opt_at: list[int]
    opt_len: list[int]
    ttl: list[int]
    ip_id: list[int]
    kind: list[int]

    def __len__(self) -> int:
        return len(self.number)

    def payload(self, i: int) -> bytes:
        """The captured payload of packet ``i``."""
        return load(self.data, self.extra, self.load_at[i], self.load_cap[i])

    def options(self, i: int) -> bytes:
        """The TCP options of packet ``i`` as they stood."""
        return load(self.data, self.extra, self.opt_at[i], self.opt_len[i])
