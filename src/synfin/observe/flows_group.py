"""Which waiting rows belong to one connection, by array operations.

Rows of one pair of endpoints belong together, whatever their direction.  One sort of (hash, place) pairs in single
words puts them side by side in capture order; that neighbours are of one pair is then checked on the endpoints
themselves.  Where the same pair was used for several connections, a SYN whose sequence number is not the one the
connection began with opens the next one (the numbers of a connection that was caught in the middle are known from its
first segment, and the peer's from the first acknowledgment).  A SYN with the same number is a repeat, even after a
close.  This is the rule of Wireshark's ``tcp.stream``, found by experiment: packet lists made with either tool agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synfin.capture.table import Kind
from synfin.observe.flows_store import Column, Store
from synfin.wire.tcpflags import ACK, SYN

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Groups:
    """Rows grouped: ``order[starts[k]:starts[k+1]]`` are the rows of connection k, in capture order."""

    order: Ints
    starts: Ints
    reused: Bools  # per connection: its endpoints had one before it


def group(rows: Store) -> Groups:
    """Group rows into connections."""
    total = len(rows)
    parts = [rows[name] for name in ("pair", "low_lo", "top_lo", *(("low_hi", "top_hi") if rows.wide else ()))]
    place = np.uint64((1 << max(total - 1, 1).bit_length()) - 1)
    words = rows["key"] & ~place
    words |= np.arange(total, dtype=np.uint64)
    words.sort()
    order = (words & place).astype(np.int64)
    begins = _begins(parts, order)
    if bool((begins[1:] & ((words[1:] ^ words[:-1]) <= place)).any()):  # two pairs share a hash
        order = np.lexsort(parts)
        begins = _begins(parts, order)
    pairs = begins.copy()
    split(rows, order, begins)
    starts = np.flatnonzero(begins)
    return Groups(order, starts, ~pairs[starts])


def _begins(parts: list[Column], order: Ints) -> Bools:
    """Where in ``order`` a row has other endpoints than the row before it."""
    begins = np.zeros(len(order), np.bool_)
    begins[0] = True
    for part in parts:
        ordered = part[order]
        begins[1:] |= ordered[1:] != ordered[:-1]
    return begins


def split(rows: Store, order: Ints, begins: Bools) -> None:
    """Set ``begins`` where a SYN opens the next connection of the same endpoints (see the module's head)."""
    flags, kind, high = rows["flags"], rows["kind"], rows["high"]
    bits = np.where(kind != Kind.PDU, flags & (SYN | ACK), 0)[order]
    asked = np.flatnonzero(bits == SYN)
    if not (~begins[asked]).any():
        return
    starts = np.flatnonzero(begins)
    group = np.searchsorted(starts, asked, "right") - 1
    row = order[asked]
    same = group[1:] == group[:-1]
    # pairs that begin with a SYN, have SYNs of one side only and SYN-ACKs of the other: there a number other than the
    # one before opens the next
    easy = np.zeros(len(starts), bool)
    easy[group[begins[asked]]] = True
    easy[group[1:][same & (high[row[1:]] != high[row[:-1]])]] = False
    side = np.zeros(len(starts), bool)
    side[group] = high[row]
    answers = np.flatnonzero(bits == (SYN | ACK))
    answered = np.searchsorted(starts, answers, "right") - 1
    easy[answered[high[order[answers]] == side[answered]]] = False
    other = same & easy[group[1:]] & (rows["seq"][row[1:]] != rows["seq"][row[:-1]])
    stops = np.append(starts[1:], len(order))
    for hard in np.unique(group[~easy[group]]).tolist():
        split_pair(rows, order, begins, int(starts[hard]), int(stops[hard]))
    begins[asked[1:][other]] = True


def split_pair(rows: Store, order: Ints, begins: Bools, begin: int, stop: int) -> None:
    """The same for the rows ``order[begin:stop]`` of one pair of endpoints, whose first numbers must be worked out."""
    part = order[begin:stop]
    place = np.flatnonzero(rows["kind"][part] != Kind.PDU)
    part = part[place]
    base: list[int | None] = [None, None]
    for i, seq, ack, flag, side in zip(
        place.tolist(),
        rows["seq"][part].tolist(),
        rows["ack"][part].tolist(),
        rows["flags"][part].tolist(),
        rows["high"][part].tolist(),
        strict=True,
    ):
        if flag & (SYN | ACK) == SYN and base[side] is not None and base[side] != seq:
            begins[begin + i] = True
            base = [None, None]
        if flag & SYN:
            base[side] = seq
        elif base[side] is None:
            base[side] = (seq - 1) & 0xFFFFFFFF
        if flag & ACK and base[not side] is None:
            base[not side] = (ack - 1) & 0xFFFFFFFF
