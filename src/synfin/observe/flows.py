"""Packets grouped into connections, as they stream by.

How rows become connections is decided in ``flows_group``; here it is decided when.  A capture of up to ``WHOLE`` rows
is grouped in one go when it ends.  Of a larger one, finished connections (RST, or FIN both ways, and then ``QUIET`` of
silence) are handed out as it is read and their rows dropped; should more than ``MOST`` rows wait, as under a SYN flood,
the least recently active go out early.  Packets that come later for a connection handed out are counted
(``late_rows``), not shown.  What the segments mean is left to ``tcpwatch``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from synfin.capture.table import Batch, Kind, Link, Wrap
from synfin.observe.flows_digest import SideCounts, plain, side_counts
from synfin.observe.flows_group import Groups, group
from synfin.observe.flows_store import Column, Picked, Store, ends_of
from synfin.observe.rows import Rows
from synfin.observe.story import Endpoint
from synfin.wire.codec import Buffer
from synfin.wire.tcpflags import ACK, FIN, RST, SYN

WHOLE = 1 << 19  # rows grouped in one go
MOST = 1 << 20  # rows kept at most
QUIET = 5 * 10**9  # ns of silence after which a closed connection is handed out
GONE = 1 << 20  # connections handed out that are remembered
CHUNK = 1 << 15  # rows turned into lists at once

_KEPT = (
    *("number", "time", "wirelen", "seq", "ack", "flags", "window", "load_len", "load_cap", "load_at", "opt_at"),
    *("opt_len", "ttl", "ip_id", "kind"),
)

#: How A is known to be the opener: it sent the SYN, it was sent the SYN-ACK, it sent the first packet seen.
OPENED_BY = ("syn", "synack", "first")

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


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


class FlowTable(NamedTuple):
    """Connections as arrays: rows ``starts[k] .. starts[k] + sizes[k]`` of ``rows`` are the packets of ``ids[k]``."""

    rows: Picked
    sender: NDArray[np.uint8]  # per row: A (0) or B (1)
    starts: Ints
    sizes: Ints
    ids: Ints
    opener: Bools  # whether A is the higher end of the pair
    opened_by: Ints  # place in OPENED_BY
    early: Bools
    reused: Bools

    def only(self, chosen: Ints) -> FlowTable:
        """The table of the connections ``chosen`` (indices) alone."""
        sizes = self.sizes[chosen]
        take, starts = _runs(self.starts[chosen], sizes)
        return FlowTable(
            self.rows.only(take),
            self.sender[take],
            starts,
            sizes,
            self.ids[chosen],
            self.opener[chosen],
            self.opened_by[chosen],
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
        self._next_id = 0
        self._gone = np.zeros(0, np.uint64)
        self._store = Store()

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
        self._store.take(batch)
        if len(self._store) > self._sweep_at:
            yield from self._sweep(last=False)

    def last_tables(self) -> Iterator[FlowTable]:
        """As ``finish``, but the connections stay arrays."""
        yield from self._sweep(last=True)

    def _sweep(self, *, last: bool) -> Iterator[FlowTable]:
        rows = self._store
        if not len(rows):
            return
        groups = group(rows)
        order, starts = groups.order, groups.starts
        sizes = np.diff(np.append(starts, len(rows)))
        first = order[starts]
        known = rows["id"][first]
        opening = (rows["flags"][first] & (SYN | RST)) == SYN
        again = _within(rows["key"][first], self._gone)
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
            out, early = self._finished(groups, sizes, late)
            self.early += int(early.sum())
            self._gone = np.append(self._gone, rows["key"][first[out]])[-GONE:]
        chosen = np.flatnonzero(out)
        chosen = chosen[np.argsort(known[chosen], kind="stable")]
        yield from self._hand_out(groups, sizes, known, early, reused, chosen)
        if last:
            rows.keep(order[:0])
            return
        row_ids = np.repeat(np.where(out | late, -1, known), sizes)
        stay = np.flatnonzero(row_ids >= 0)
        rows["id"][order[stay]] = row_ids[stay]
        rows.keep(np.sort(order[stay]))
        self._sweep_at = max(self._whole, 2 * len(rows))

    def _finished(self, groups: Groups, sizes: Ints, late: Bools) -> tuple[Bools, Bools]:
        """Which groups are closed and quiet, and which go out early because too many rows wait."""
        rows, order, starts = self._store, groups.order, groups.starts
        flags = rows["flags"]
        side = rows["high"]
        of_row = np.empty(len(rows), np.int64)
        of_row[order] = np.repeat(np.arange(len(starts)), sizes)

        def have(which: Bools) -> Bools:
            having = np.zeros(len(starts), np.bool_)
            having[of_row[which]] = True
            return having

        fin = (flags & FIN) != 0
        ended = have((flags & RST) != 0) | (have(fin & side) & have(fin & ~side))
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
        self, groups: Groups, sizes: Ints, ids: Ints, early: Bools, reused: Bools, chosen: Ints
    ) -> Iterator[FlowTable]:
        ends = np.cumsum(sizes[chosen])
        at = 0
        while at < len(chosen):
            base = int(ends[at - 1]) if at else 0
            stop = max(at + 1, int(np.searchsorted(ends, base + self._chunk, "right")))
            part = chosen[at:stop]
            take, starts = _runs(groups.starts[part], sizes[part])
            rows = Picked(self._store.columns, groups.order[take])
            yield _table(rows, starts, sizes[part], ids[part], early[part], reused[part])
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
        ordinary = plain(rows, table.sender, starts, sizes)
        flags = zip(table.early.tolist(), table.reused.tolist(), counts, ordinary.tolist(), strict=True)
        opened_by = table.opened_by.tolist()
        for k, (size, number, by, (a, b), (hasty, again, count, easy)) in enumerate(
            zip(sizes.tolist(), table.ids.tolist(), opened_by, ends, flags, strict=True)
        ):
            end = begin + size
            number_, time, *rest = [column[begin:end] for column in columns]
            yield FlowRows(
                number,
                a,
                b,
                OPENED_BY[by],
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
    def endpoints(table: FlowTable, chosen: Ints) -> list[tuple[Endpoint, Endpoint]]:
        """Sides A and B of the connections ``chosen`` (indices) of ``table``."""
        low, top = (
            list(map(Endpoint, map(_address, *(column.tolist() for column in halves)), port.tolist()))
            for *halves, port in ends_of(table.rows, table.starts[chosen])
        )
        swapped = table.opener[chosen].tolist()
        return [(b, a) if swap else (a, b) for a, b, swap in zip(low, top, swapped, strict=True)]

    @staticmethod
    def _distinct(column: Column, starts: Ints, sizes: Ints) -> list[tuple[int, ...]]:
        """The different values of each connection's rows, in order of appearance."""
        low = np.minimum.reduceat(column, starts)
        many = np.maximum.reduceat(column, starts) != low
        values: list[tuple[int, ...]] = [(value,) for value in low.tolist()]
        for k in np.flatnonzero(many).tolist():
            part = column[starts[k] : starts[k] + sizes[k]].tolist()
            values[k] = tuple(dict.fromkeys(part))
        return values


def _runs(starts: Ints, sizes: Ints) -> tuple[Ints, Ints]:
    """The places of runs of ``sizes`` that begin at ``starts``, one run after the other; where each then begins."""
    begin = np.cumsum(sizes) - sizes
    return np.arange(int(sizes.sum())) + np.repeat(starts - begin, sizes), begin


def _table(rows: Picked, starts: Ints, sizes: Ints, ids: Ints, early: Bools, reused: Bools) -> FlowTable:
    """Connections of ``rows``, which lie one after the other: who opened each, and how that is known."""
    high = rows["high"]
    bits = np.where(rows["kind"] != Kind.PDU, rows["flags"], 0) & (SYN | ACK)
    syn, synack = (_first_of(bits == wanted, starts) for wanted in (SYN, SYN | ACK))
    how = np.where(syn >= 0, 0, np.where(synack >= 0, 1, 2))
    opener = np.where(syn >= 0, high[syn], np.where(synack >= 0, ~high[synack], high[starts]))
    opener &= np.not_equal(*(np.stack(end[1:]) for end in ends_of(rows, starts))).any(axis=0)  # talks to itself
    sender = (high != np.repeat(opener, sizes)).view(np.uint8)
    return FlowTable(rows, sender, starts, sizes, ids, opener, how, early, reused)


def _first_of(which: Bools, starts: Ints) -> Ints:
    """For each connection its first row for which ``which`` holds, -1 where there is none."""
    places = np.flatnonzero(which)
    first = np.full(len(starts), -1)
    first[(np.searchsorted(starts, places, "right") - 1)[::-1]] = places[::-1]
    return first


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
