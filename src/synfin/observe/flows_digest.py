"""What whole-array operations can say of many connections at once: counts per side, and which are ordinary.

The counts go into every story.  ``plain`` marks connections on which the careful walk over each segment can be
spared: the handshake comes first and is whole, every segment follows the one before in sequence, every
acknowledgment is new or rides on data, nothing is acknowledged that was not seen, no window is closed or used up, all
payload was captured.  The test errs to the careful side only: a connection called plain has no ``Mark`` on any segment
but ``REUSED_PORTS`` on its first, and streams that lie in the file in order (a property test holds it to the walk of
``tcpwatch_marks``).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from synfin.capture.table import Kind
from synfin.observe.flows_store import Picked
from synfin.wire.tcpflags import ACK, FIN, RST, SYN

#: Rows one column of which is taken by its name.
Rows = NDArray[np.void] | Picked
Ints = NDArray[np.int64]

_FAR = 1 << 62
_SPACE = 1 << 32
_HALF = 1 << 31


class SideCounts(NamedTuple):
    """One side's packets in numbers; packet numbers are None where there is no such packet."""

    packets: int
    wire_bytes: int
    payload: int
    max_segment: int
    syns: int
    fins: int
    fin_packet: int | None
    rsts: int
    rst_packet: int | None
    window: int | None  # smallest one of a segment without SYN and RST, as sent
    first_payload_packet: int | None
    last_payload_packet: int | None


def side_counts(rows: Rows, sender: NDArray[np.uint8], sizes: Ints) -> list[tuple[SideCounts, SideCounts]]:
    """The counts of both sides of connections whose rows lie one after the other, ``sizes`` rows each."""
    count = len(sizes)
    group = np.repeat(np.arange(count, dtype=np.int64) * 2, sizes) + sender
    order = np.argsort(group, kind="stable")
    present, at = np.unique(group[order], return_index=True)
    flags = np.where(rows["kind"] == Kind.PDU, 0, rows["flags"])[order]
    number, size = rows["number"][order], rows["load_len"][order].astype(np.int64)
    fin, rst, syn = (flags & FIN) != 0, (flags & RST) != 0, (flags & SYN) != 0
    window = np.where(rows["kind"][order] != Kind.PDU, rows["window"][order].astype(np.int64), _FAR)

    def total(column: NDArray[np.generic]) -> list[int]:
        out = np.zeros(2 * count, np.int64)
        out[present] = np.add.reduceat(column.astype(np.int64), at)
        told: list[int] = out.tolist()
        return told

    def least(column: Ints) -> list[int | None]:
        out = np.full(2 * count, _FAR, np.int64)
        out[present] = np.minimum.reduceat(column, at)
        return [None if value == _FAR else value for value in out.tolist()]

    def most(column: Ints) -> list[int]:
        out = np.zeros(2 * count, np.int64)
        out[present] = np.maximum.reduceat(column, at)
        told: list[int] = out.tolist()
        return told

    columns = (
        total(np.ones(len(order), np.int64)),
        total(rows["wirelen"][order]),
        total(size),
        most(size),
        total(syn),
        total(fin),
        least(np.where(fin, number, _FAR)),
        total(rst),
        least(np.where(rst, number, _FAR)),
        least(np.where(syn | rst, _FAR, window)),
        least(np.where(size > 0, number, _FAR)),
        [last or None for last in most(np.where(size > 0, number, 0))],
    )
    sides = [SideCounts(*values) for values in zip(*columns, strict=True)]
    return list(zip(sides[::2], sides[1::2], strict=True))


def plain(rows: Rows, sender: NDArray[np.uint8], starts: Ints, sizes: Ints) -> NDArray[np.bool_]:
    """Which connections are ordinary (see the module's head)."""
    count = len(sizes)
    connection = np.repeat(np.arange(count), sizes)
    index = np.arange(len(rows))
    begin = np.repeat(starts, sizes)
    flags = rows["flags"]
    seq, ack = rows["seq"].astype(np.int64), rows["ack"].astype(np.int64)
    size, window = rows["load_len"].astype(np.int64), rows["window"].astype(np.int64)
    syn, fin, rst, acks = (flags & SYN) != 0, (flags & FIN) != 0, (flags & RST) != 0, (flags & ACK) != 0
    after = (seq + size + syn + fin) % _SPACE
    # the latest row before this one of either side of the same connection, -1 where there is none
    own, other = _latest(sender, index, begin)
    has_own, has_other = own >= 0, other >= 0
    bad = rows["kind"] != Kind.TCP
    bad |= rows["load_cap"] != rows["load_len"]
    bad |= after == 0
    bad |= has_own & (seq != after[own])
    bad |= ~(syn | fin | rst) & (size == 0) & (ack == np.where(has_own, ack[own], 0))
    bad |= (window == 0) & ~rst
    bad |= (syn | rst) & (size > 0)
    # beyond what the other side sent, or data it has acknowledged already
    bad |= acks & has_other & ((after[other] - ack) % _SPACE >= _HALF)
    behind = np.where(has_other, ack[other], 0)
    ahead = (after - behind) % _SPACE
    bad |= (size > 0) & (behind != 0) & ((ahead == 0) | (ahead >= _HALF))
    # a window that may be used up: its scale is not known here, so any power of two counts
    room = np.where(has_other, window[other], 0)
    times = np.where(room > 0, ahead // np.maximum(room, 1), 0)
    bad |= (size + fin > 0) & (times > 0) & (times * room == ahead) & (times & (times - 1) == 0)
    # SYN, SYN-ACK, and no other; no data after a FIN of the same side or any RST
    first = index == begin
    opening = first & syn & ~acks
    answer = syn & acks & ~has_own & has_other & (ack == (seq[begin] + 1) % _SPACE) & (sender == 1)
    bad |= first & ~opening
    bad |= syn & ~opening & ~answer
    bad |= ~syn & ~has_own
    bad |= (size > 0) & _before(rst, index, begin)
    for side in (0, 1):
        mine = sender == side
        bad |= (size > 0) & mine & _before(fin & mine, index, begin)
    out = np.ones(count, bool)
    out[connection[bad]] = False
    return out


def _latest(sender: NDArray[np.uint8], index: Ints, begin: Ints) -> tuple[Ints, Ints]:
    """For each row the index of the row before it from its own side, and from the other side; -1 where none."""
    before = []
    for side in (0, 1):
        last = np.maximum.accumulate(np.where(sender == side, index, -1))
        last = np.concatenate([[-1], last[:-1]])
        before.append(np.where(last >= begin, last, -1))
    return np.where(sender == 0, before[0], before[1]), np.where(sender == 0, before[1], before[0])


def _before(happened: NDArray[np.bool_], index: Ints, begin: Ints) -> NDArray[np.bool_]:
    """Whether it happened in an earlier row of the same connection."""
    last = np.maximum.accumulate(np.where(happened, index, -1))
    out: NDArray[np.bool_] = np.concatenate([[-1], last[:-1]]) >= begin
    return out
