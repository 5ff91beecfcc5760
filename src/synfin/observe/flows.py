"""Packets grouped into connections, by array operations.

Rows of one pair of endpoints belong together, whatever their direction.  Where the same pair was used for several
connections, a SYN whose sequence number is not the one the connection began with opens the next one (the numbers of a
connection that was caught in the middle are known from its first segment, and the peer's from the first
acknowledgment).  A SYN with the same number is a repeat, even after a close.  This is the rule of Wireshark's
``tcp.stream``, found by experiment, so packet lists made with either tool agree.

A capture of up to ``WHOLE`` rows is grouped in one go when it ends.  Of a larger one, finished connections (RST, or
FIN both ways, and then ``QUIET`` of silence) are handed out as it is read and their rows dropped; should more than
``MOST`` rows wait, as under a SYN flood, the least recently active go out early.  Packets that come later for a
connection handed out are counted (``late_rows``), not shown.  What the segments mean is left to ``tcpwatch``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address

import numpy as np
from numpy.typing import NDArray

from synfin.capture.table import ACK, FIN, ROW, RST, SYN, Batch, Kind, Link, Wrap
from synfin.observe.flows_digest import SideCounts, plain, side_counts
from synfin.observe.rows import Rows
from synfin.observe.story import Endpoint
from synfin.wire.codec import Buffer

WHOLE = 1 << 19  # rows grouped in one go
MOST = 1 << 20  # rows kept at most
QUIET = 5 * 10**9  # ns of silence after which a closed connection is handed out
GONE = 1 << 20  # connections handed out that are remembered
CHUNK = 1 << 15  # rows turned into lists at once

_KEPT = (
    *("number", "time", "wirelen", "seq", "ack", "flags", "window", "load_len", "load_cap", "load_at", "opt_at"),
    *("opt_len", "ttl", "ip_id", "kind"),
)

Array = NDArray[np.generic]


@dataclass(slots=True)
class FlowRows:
    """One connection's packets.  ``opened_by`` says how A is known to be the opener: "syn", "synack" or "first"."""

    id: int
    a: Endpoint
    b: Endpoint
    opened_by: str
    rows: Rows
    wraps: tuple[Wrap, ...]  # what was around its packets, each once, in order of appearance; empty wraps left out
    links: tuple[Link, ...]  # where its packets were captured, each once
    early: bool  # handed out before it was finished, to bound memory
    reused: bool  # the same endpoints had a connection before
    counts: tuple[SideCounts, SideCounts]  # what A and B sent, in numbers
    plain: bool  # an ordinary connection: nothing on it needs a closer look (see ``flows_digest``)


@dataclass(slots=True)
class FlowTable:
    """Connections as arrays: ``rows[starts[k] : starts[k] + sizes[k]]`` are the packets of connection ``ids[k]``."""

    rows: NDArray[np.void]
    sender: NDArray[np.uint8]  # per row: A (0) or B (1)
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    ids: NDArray[np.int64]
    opened_by: list[str]
    early: NDArray[np.bool_]
    reused: NDArray[np.bool_]

    def only(self, chosen: NDArray[np.int64]) -> FlowTable:
        """The table of the connections ``chosen`` (indices) alone."""
        sizes = self.sizes[chosen]
        ends = np.cumsum(sizes)
        take = np.arange(int(ends[-1])) + np.repeat(self.starts[chosen] - (ends - sizes), sizes)
        opened = [self.opened_by[k] for k in chosen.tolist()]
        return FlowTable(
            self.rows[take],
            self.sender[take],
            ends - sizes,
            sizes,
            self.ids[chosen],
            opened,
            self.early[chosen],
            self.reused[chosen],
        )


class Flows:
    """Streaming grouping: ``add`` each batch, then ``finish``; both yield connections whose packets are complete.

    Within one call connections come in order of ``id``; ids count connections in order of first packet over the whole
    capture.  ``late_rows`` counts packets of connections already handed out, ``early`` those handed out unfinished.
    """

    def __init__(self, whole: int = WHOLE, most: int = MOST, chunk: int = CHUNK) -> None:
        self.late_rows = 0
        self.early = 0
        self._whole = whole
        self._most = max(most, 2 * whole)
        self._chunk = chunk
        self._sweep_at = whole
        self._rows = np.zeros(0, ROW)  # the first ``_used`` are rows of connections not handed out yet
        self._used = 0
        self._ids = np.zeros(0, np.int64)
        self._next_id = 0
        self._gone = np.zeros(0, np.uint64)
        self._store = _Store()

    def add(self, batch: Batch) -> Iterator[FlowRows]:
        """Take the rows of ``batch``; yield the connections that are finished (none for small captures)."""
        for table in self.tables(batch):
            yield from self.connections(table)

    def finish(self) -> Iterator[FlowRows]:
        """Yield all connections not yet handed out."""
        for table in self.last_tables():
            yield from self.connections(table)

    def tables(self, batch: Batch) -> Iterator[FlowTable]:
        """As ``add``, but the connections stay arrays: for those who list and do not look closer."""
        self._make_room(self._used + len(batch.rows))
        self._used += self._store.take(batch, self._rows[self._used :])
        if self._used > self._sweep_at:
            yield from self._sweep(last=False)

    def last_tables(self) -> Iterator[FlowTable]:
        """As ``finish``, but the connections stay arrays."""
        yield from self._sweep(last=True)

    def _make_room(self, wanted: int) -> None:
        """Room for ``wanted`` rows; memory that is not written to is not taken from the machine."""
        if wanted > len(self._rows):
            larger = np.empty(max(wanted, 2 * len(self._rows)), ROW)
            larger[: self._used] = self._rows[: self._used]
            self._rows = larger

    def _sweep(self, *, last: bool) -> Iterator[FlowTable]:
        rows = self._rows[: self._used]
        ids = np.full(len(rows), -1, np.int64)
        ids[: len(self._ids)] = self._ids
        if not len(rows):
            return
        groups = _group(rows)
        order, starts = groups.order, groups.starts
        sizes = np.diff(np.append(starts, len(rows)))
        first = order[starts]
        known = ids[first]
        opening = (rows["flags"][first] & (SYN | RST)) == SYN
        again = _within(groups.keys[first], self._gone)
        late = (known < 0) & ~opening & again
        reused = groups.reused | again
        new = np.flatnonzero((known < 0) & ~late)
        new = new[np.argsort(first[new], kind="stable")]
        known[new] = np.arange(self._next_id, self._next_id + len(new))
        self._next_id += len(new)
        self.late_rows += int(sizes[late].sum())
        early = np.zeros(len(starts), bool)
        if last:
            out = ~late
        else:
            out, early = self._finished(rows, groups, sizes, late)
            self.early += int(early.sum())
            self._gone = np.append(self._gone, groups.keys[first[out]])[-GONE:]
        chosen = np.flatnonzero(out)
        chosen = chosen[np.argsort(known[chosen], kind="stable")]
        yield from self._hand_out(rows, groups, sizes, known, early, reused, chosen)
        gone_rows = np.repeat(out | late, sizes)
        stay = np.sort(order[~gone_rows])
        row_ids = np.empty(len(rows), np.int64)
        row_ids[order] = np.repeat(known, sizes)
        self._ids = row_ids[stay]
        self._used = len(stay)
        rows[: len(stay)] = rows[stay]
        self._sweep_at = max(self._whole, 2 * len(stay))

    def _finished(
        self, rows: NDArray[np.void], groups: _Groups, sizes: NDArray[np.int64], late: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which groups are closed and quiet, and which go out early because too many rows wait."""
        order, starts = groups.order, groups.starts
        flags = rows["flags"][order]
        fin = (flags & FIN) != 0
        side = groups.high[order]
        ended = np.logical_or.reduceat((flags & RST) != 0, starts)
        ended |= np.logical_or.reduceat(fin & side, starts) & np.logical_or.reduceat(fin & ~side, starts)
        latest = np.maximum.reduceat(rows["time"][order], starts)
        out = ended & (latest < rows["time"].max() - QUIET) & ~late
        early = np.zeros(len(starts), bool)
        left = len(rows) - int(sizes[out | late].sum())
        if left > self._most // 2:
            waiting = np.flatnonzero(~out & ~late)
            oldest = waiting[np.argsort(order[starts + sizes - 1][waiting], kind="stable")]
            remaining = left - np.cumsum(sizes[oldest])
            early[oldest[: int(np.searchsorted(-remaining, -(self._most // 2), "left")) + 1]] = True
        return out | early, early

    def _hand_out(
        self,
        rows: NDArray[np.void],
        groups: _Groups,
        sizes: NDArray[np.int64],
        ids: NDArray[np.int64],
        early: NDArray[np.bool_],
        reused: NDArray[np.bool_],
        chosen: NDArray[np.int64],
    ) -> Iterator[FlowTable]:
        ends = np.cumsum(sizes[chosen])
        at = 0
        while at < len(chosen):
            base = int(ends[at - 1]) if at else 0
            stop = max(at + 1, int(np.searchsorted(ends, base + self._chunk, "right")))
            part = chosen[at:stop]
            took = sizes[part]
            until = np.cumsum(took)
            take = groups.order[np.arange(int(until[-1])) + np.repeat(groups.starts[part] - (until - took), took)]
            yield _table(rows[take], groups.high[take], sizes[part], ids[part], early[part], reused[part])
            at = stop

    def connections(self, table: FlowTable) -> Iterator[FlowRows]:
        """The connections of ``table``, each with its rows as lists."""
        rows, starts, sizes = table.rows, table.starts, table.sizes
        sender = table.sender.tolist()
        wraps = self._distinct(rows["wrap"], starts, sizes)
        links = self._distinct(rows["link"], starts, sizes)
        columns = [rows[name].tolist() for name in _KEPT]
        data, extra = self._store.data, self._store.extra
        begin = 0
        ends = self.endpoints(table, np.arange(len(sizes)))
        counts = side_counts(rows, table.sender, sizes)
        ordinary = plain(rows, table.sender, starts, sizes) & ~table.reused
        flags = zip(table.early.tolist(), table.reused.tolist(), counts, ordinary.tolist(), strict=True)
        for k, (size, number, by, (a, b), (hasty, again, count, easy)) in enumerate(
            zip(sizes.tolist(), table.ids.tolist(), table.opened_by, ends, flags, strict=True)
        ):
            end = begin + size
            number_, time, *rest = [column[begin:end] for column in columns]
            yield FlowRows(
                number,
                a,
                b,
                by,
                Rows(data, extra, number_, time, sender[begin:end], *rest),
                tuple([self._store.wraps[w] for w in wraps[k] if w]),
                tuple([self._store.links[w] for w in links[k]]),
                hasty,
                again,
                count,
                easy,
            )
            begin = end

    @property
    def data(self) -> Buffer:
        """The bytes that rows refer to."""
        return self._store.data

    @staticmethod
    def endpoints(table: FlowTable, chosen: NDArray[np.int64]) -> list[tuple[Endpoint, Endpoint]]:
        """Sides A and B of the connections ``chosen`` (indices) of ``table``."""
        first = table.starts[chosen]
        head = table.rows[first]
        swapped = (table.sender[first] != 0).tolist()
        version, sport, dport = head["version"].tolist(), head["sport"].tolist(), head["dport"].tolist()
        src = zip(version, head["src_hi"].tolist(), head["src_lo"].tolist(), strict=True)
        dst = zip(version, head["dst_hi"].tolist(), head["dst_lo"].tolist(), strict=True)
        sources = [Endpoint(_address(*ip), port) for ip, port in zip(src, sport, strict=True)]
        targets = [Endpoint(_address(*ip), port) for ip, port in zip(dst, dport, strict=True)]
        return [(b, a) if swap else (a, b) for a, b, swap in zip(sources, targets, swapped, strict=True)]

    @staticmethod
    def _distinct(column: Array, starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> list[tuple[int, ...]]:
        """The different values of each connection's rows, in order of appearance."""
        low = np.minimum.reduceat(column, starts)
        many = np.maximum.reduceat(column, starts) != low
        values: list[tuple[int, ...]] = [(value,) for value in low.tolist()]
        for k in np.flatnonzero(many).tolist():
            part = column[starts[k] : starts[k] + sizes[k]].tolist()
            values[k] = tuple(dict.fromkeys(part))
        return values


class _Store:
    """The bytes, links and wraps behind the rows of all batches: what a row refers to, under one numbering."""

    def __init__(self) -> None:
        self.data: Buffer = b""
        self.extra = bytearray()
        self.links: list[Link] = []
        self.wraps: list[Wrap] = [Wrap()]
        self._first = True

    def take(self, batch: Batch, room: NDArray[np.void]) -> int:
        """Write the TCP rows of ``batch`` into ``room``, renumbered, and say how many; octets elsewhere are copied."""
        kind = batch.rows["kind"]
        wanted = (kind == Kind.TCP) | (kind == Kind.CUT) | (kind == Kind.PDU)
        count = int(np.count_nonzero(wanted))
        rows = room[:count]
        rows[:] = batch.rows if count == len(wanted) else batch.rows[wanted]
        if not count:
            return 0
        if self._first:
            self.data, self.extra, self._first = batch.data, batch.extra, False
        elif batch.data is not self.data:
            self._copy(rows, batch)
        elif batch.extra is not self.extra:
            base = len(self.extra)
            self.extra = self.extra + batch.extra
            for column in ("load_at", "opt_at"):
                rows[column] = np.where(rows[column] < 0, rows[column] - base, rows[column])
        links = np.array([self._index(self.links, link) for link in batch.links] or [0], np.uint16)
        wraps = np.array([self._index(self.wraps, wrap) for wrap in batch.wraps] or [0], np.int32)
        rows["link"] = links[rows["link"]]
        rows["wrap"] = wraps[rows["wrap"]]
        return count

    def _copy(self, rows: NDArray[np.void], batch: Batch) -> None:
        self.extra = bytearray(self.extra)
        for at, size in (("load_at", "load_cap"), ("opt_at", "opt_len")):
            places = []
            for where, count in zip(rows[at].tolist(), rows[size].tolist(), strict=True):
                places.append(~len(self.extra))
                source = batch.data if where >= 0 else batch.extra
                begin = where if where >= 0 else ~where
                self.extra += source[begin : begin + count]
            rows[at] = places

    @staticmethod
    def _index(known: list[Link] | list[Wrap], item: Link | Wrap) -> int:
        try:
            return known.index(item)  # type: ignore[arg-type]
        except ValueError:
            known.append(item)  # type: ignore[arg-type]
            return len(known) - 1


@dataclass(slots=True)
class _Groups:
    """Rows grouped: ``order[starts[k]:starts[k+1]]`` are the rows of connection k, in capture order."""

    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    reused: NDArray[np.bool_]  # per connection: its endpoints had one before it
    high: NDArray[np.bool_]  # per row: the source is the higher endpoint of its pair
    keys: NDArray[np.uint64]  # per row: a hash of the pair of endpoints


def _group(rows: NDArray[np.void]) -> _Groups:
    """Group rows into connections."""
    src_hi, src_lo, dst_hi, dst_lo = rows["src_hi"], rows["src_lo"], rows["dst_hi"], rows["dst_lo"]
    sport, dport = rows["sport"], rows["dport"]
    high = (src_hi > dst_hi) | ((src_hi == dst_hi) & ((src_lo > dst_lo) | ((src_lo == dst_lo) & (sport > dport))))
    kind = (rows["version"].astype(np.uint64) << np.uint64(33)) | (
        (rows["kind"] == Kind.PDU).astype(np.uint64) << np.uint64(32)
    )
    ports = np.where(high, (dport.astype(np.uint64) << 16) | sport, (sport.astype(np.uint64) << 16) | dport) | kind
    parts = [
        np.where(high, dst_hi, src_hi),
        np.where(high, dst_lo, src_lo),
        np.where(high, src_hi, dst_hi),
        np.where(high, src_lo, dst_lo),
        ports,
    ]
    keys = np.zeros(len(rows), np.uint64)
    for part in parts:
        keys ^= part
        keys *= np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(29)
    order = np.argsort(keys, kind="stable")
    different = np.zeros(len(rows), bool)
    for part in parts:
        ordered = part[order]
        different[1:] |= ordered[1:] != ordered[:-1]
    changed = np.diff(keys[order]) != 0
    if bool((different[1:] & ~changed).any()):  # two pairs share a hash
        order = np.lexsort(parts)
        different[:] = False
        for part in parts:
            ordered = part[order]
            different[1:] |= ordered[1:] != ordered[:-1]
    different[0] = True
    pairs = different.copy()
    _split(rows, order, different, high)
    starts = np.flatnonzero(different)
    return _Groups(order, starts, ~pairs[starts], high, keys)


def _split(
    rows: NDArray[np.void], order: NDArray[np.int64], begins: NDArray[np.bool_], high: NDArray[np.bool_]
) -> None:
    """Set ``begins`` where a SYN opens the next connection of the same endpoints (see the module's head)."""
    syn = (rows["flags"] & (SYN | ACK) == SYN) & (rows["kind"] != Kind.PDU)
    asked = np.flatnonzero(syn[order])
    if not (~begins[asked]).any():
        return
    starts = np.flatnonzero(begins)
    group = np.searchsorted(starts, asked, "right") - 1
    row = order[asked]
    same = group[1:] == group[:-1]
    # pairs that begin with a SYN and have SYNs of one side only: a number other than the one before opens the next
    easy = np.zeros(len(starts), bool)
    easy[group[begins[asked]]] = True
    easy[group[1:][same & (high[row[1:]] != high[row[:-1]])]] = False
    other = same & easy[group[1:]] & (rows["seq"][row[1:]] != rows["seq"][row[:-1]])
    stops = np.append(starts[1:], len(order))
    for hard in np.unique(group[~easy[group]]).tolist():
        _split_pair(rows, order, begins, high, int(starts[hard]), int(stops[hard]))
    begins[asked[1:][other]] = True


def _split_pair(
    rows: NDArray[np.void],
    order: NDArray[np.int64],
    begins: NDArray[np.bool_],
    high: NDArray[np.bool_],
    begin: int,
    stop: int,
) -> None:
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
        high[part].tolist(),
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


def _openers(
    flags: Array, kind: Array, high: NDArray[np.bool_], starts: NDArray[np.int64], sizes: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], list[str]]:
    """Whether each connection's opener is its higher endpoint, and how that is known."""
    total = len(high)
    index = np.arange(total)
    bits = np.where(kind != Kind.PDU, flags, 0) & (SYN | ACK)
    syn = np.minimum.reduceat(np.where(bits == SYN, index, total), starts)
    synack = np.minimum.reduceat(np.where(bits == (SYN | ACK), index, total), starts)
    has_syn, has_synack = syn < total, synack < total
    last = total - 1
    opener = np.where(
        has_syn, high[np.minimum(syn, last)], np.where(has_synack, ~high[np.minimum(synack, last)], high[starts])
    )
    how = np.where(has_syn, 0, np.where(has_synack, 1, 2)).tolist()
    return opener, [("syn", "synack", "first")[h] for h in how]


def _table(
    rows: NDArray[np.void],
    high: NDArray[np.bool_],
    sizes: NDArray[np.int64],
    ids: NDArray[np.int64],
    early: NDArray[np.bool_],
    reused: NDArray[np.bool_],
) -> FlowTable:
    """Connections of ``rows``, which lie one after the other."""
    starts = np.cumsum(sizes) - sizes
    opener, opened_by = _openers(rows["flags"], rows["kind"], high, starts, sizes)
    own = (rows["src_hi"] == rows["dst_hi"]) & (rows["src_lo"] == rows["dst_lo"]) & (rows["sport"] == rows["dport"])
    sender = ((high != np.repeat(opener, sizes)) & ~own).astype(np.uint8)
    return FlowTable(rows, sender, starts, sizes, ids, opened_by, early, reused)


def _within(keys: NDArray[np.uint64], gone: NDArray[np.uint64]) -> NDArray[np.bool_]:
    return np.isin(keys, gone) if len(gone) else np.zeros(len(keys), bool)


@lru_cache(maxsize=1 << 14)
def _address(version: int, hi: int, lo: int) -> str:
    """The usual text form of an address (RFC 5952 for IPv6); empty where there is none."""
    if version == 4:
        return f"{lo >> 24 & 255}.{lo >> 16 & 255}.{lo >> 8 & 255}.{lo & 255}"
    if version == 6 or hi or lo >> 32:
        return str(IPv6Address(hi << 64 | lo))
    return f"{lo >> 24 & 255}.{lo >> 16 & 255}.{lo >> 8 & 255}.{lo & 255}" if lo else ""
