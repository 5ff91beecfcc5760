"""The rows that wait to be grouped, column by column.

A batch brings whole rows; what is asked of waiting rows is always a few columns of many, so they are kept as one
growing array per column and gathered from there only when someone wants them (``Picked``).  Ends of a pair are kept as
the lower and the higher one, whoever sent, so that both directions look alike; ``high`` says that the higher one sent.
Rows once written stay as they are until ``keep`` begins new arrays, so what was picked before stays true.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from synfin.capture.table import ROW, Batch, Kind, Link, Wrap
from synfin.wire.codec import Buffer

#: Columns kept as they came (``capture.table.ROW``), except that ``link`` and ``wrap`` count for the whole capture.
_AS_THEY_ARE = (
    *("number", "time", "wirelen", "seq", "ack", "flags", "window", "load_len", "load_cap", "load_at", "opt_at"),
    *("opt_len", "ttl", "ip_id", "kind", "link", "wrap"),
)
#: Columns made here: both ends (address halves), ``pair`` (IP version, PDU or not, both ports), a hash of all that,
#: whether the higher end sent, and the connection's id (-1: not known yet).
_MADE = {
    "low_lo": np.uint64, "top_lo": np.uint64, "pair": np.uint64, "key": np.uint64, "high": np.bool_, "id": np.int64,
}  # fmt: skip
#: Only kept once a row has them: halves of addresses that IPv4 has not.
_WIDE = {"low_hi": np.uint64, "top_hi": np.uint64}

_ROOM = 1 << 18  # rows there is room for from the start
_STRETCH = 1 << 14  # rows taken at a time, so that they are still near for the next column
_MIX, _SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(29)
#: Where in ``pair`` its parts stand: the top end's port, then the low end's, the mark of a PDU, the version.
_PORT, _PDU, _VERSION = np.uint64(16), np.uint64(32), np.uint64(33)
_MOST_PORT = np.uint64(0xFFFF)

#: A column: what its elements are is said by its name.
Column = NDArray[Any]
Ints = NDArray[np.int64]


class Picked:
    """Some rows in some order; a column is gathered when it is first asked for."""

    def __init__(self, columns: dict[str, Column], take: Ints) -> None:
        self._columns = columns
        self._take = take
        self._known: dict[str, Column] = {}

    def __len__(self) -> int:
        return len(self._take)

    def __contains__(self, name: str) -> bool:
        return name in self._columns

    def __getitem__(self, name: str) -> Column:
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = self._columns[name][self._take]
        return known

    def at(self, name: str, places: Ints) -> Column:
        """Column ``name`` of the rows at ``places`` alone."""
        return self._columns[name][self._take[places]]

    def only(self, places: Ints) -> Picked:
        """The rows at ``places`` alone."""
        return Picked(self._columns, self._take[places])


def ends_of(rows: Picked, places: Ints) -> tuple[tuple[Column, ...], tuple[Column, ...]]:
    """Lower and top end of the pairs of the rows at ``places``, each as (IP version, address halves, port)."""
    pair = rows.at("pair", places)
    version = pair >> _VERSION
    none = np.zeros_like(pair)
    low_hi, top_hi = (rows.at(name, places) if name in rows else none for name in ("low_hi", "top_hi"))
    low_port, top_port = pair >> _PORT & _MOST_PORT, pair & _MOST_PORT
    return (
        (version, low_hi, rows.at("low_lo", places), low_port),
        (version, top_hi, rows.at("top_lo", places), top_port),
    )


class Store:
    """Waiting rows as ``columns`` of which the first ``size`` elements count, and the bytes, links and wraps behind.

    What rows refer to (bytes, links, wraps) is under one numbering for all batches.
    """

    def __init__(self) -> None:
        self.data: Buffer = b""
        self.extra = bytearray()
        self.links: list[Link] = []
        self.wraps: list[Wrap] = [Wrap()]
        self.size = 0
        self._first = True
        types = {name: ROW[name] for name in _AS_THEY_ARE} | _MADE
        self.columns: dict[str, Column] = {name: np.zeros(0, type_) for name, type_ in types.items()}

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, name: str) -> Column:
        return self.columns[name][: self.size]

    @property
    def wide(self) -> bool:
        """Whether there are addresses longer than 64 bits."""
        return "low_hi" in self.columns

    def take(self, batch: Batch) -> None:
        """Add the TCP rows of ``batch``; octets that are not in the data of the first batch are copied."""
        kind = batch.rows["kind"]
        wanted = (kind == Kind.TCP) | (kind == Kind.CUT) | (kind == Kind.PDU)
        count = int(np.count_nonzero(wanted))
        if not count:
            return
        rows = batch.rows if count == len(wanted) else batch.rows[wanted]
        places = {}
        if self._first:
            self.data, self.extra, self._first = batch.data, batch.extra, False
        elif batch.data is not self.data:
            places = self._copy(rows, batch)
        elif batch.extra is not self.extra:
            base = len(self.extra)
            self.extra = self.extra + batch.extra
            places = {name: np.where(rows[name] < 0, rows[name] - base, rows[name]) for name in ("load_at", "opt_at")}
        links = np.array([_index(self.links, link) for link in batch.links] or [0], np.uint16)
        wraps = np.array([_index(self.wraps, wrap) for wrap in batch.wraps] or [0], np.int32)
        if not self.wide and (rows["src_hi"].any() or rows["dst_hi"].any()):
            room = len(self.columns["id"])
            self.columns |= {name: np.zeros(room, type_) for name, type_ in _WIDE.items()}
        self._make_room(self.size + count)
        for at in range(0, count, _STRETCH):
            self._write(rows[at : at + _STRETCH], self.size + at, links, wraps)
        for name, column in places.items():
            self.columns[name][self.size : self.size + count] = column
        self.size += count

    def _write(self, rows: NDArray[np.void], at: int, links: NDArray[np.uint16], wraps: NDArray[np.int32]) -> None:
        room = slice(at, at + len(rows))
        columns = self.columns
        for name in _AS_THEY_ARE:
            columns[name][room] = rows[name]
        for name, new in (("link", links), ("wrap", wraps)):
            if len(new) > 1 or new[0]:
                columns[name][room] = new[rows[name]]
        columns["id"][room] = -1
        src, dst = rows["src_lo"], rows["dst_lo"]
        sport, dport = rows["sport"].astype(np.uint64), rows["dport"].astype(np.uint64)
        high = (src > dst) | ((src == dst) & (sport > dport))
        made = {}
        if self.wide:
            src_hi, dst_hi = rows["src_hi"], rows["dst_hi"]
            high = (src_hi > dst_hi) | ((src_hi == dst_hi) & high)
            made = {"low_hi": np.where(high, dst_hi, src_hi), "top_hi": np.where(high, src_hi, dst_hi)}
        pair = np.where(high, dport << _PORT | sport, sport << _PORT | dport)
        pair |= rows["version"].astype(np.uint64) << _VERSION | (rows["kind"] == Kind.PDU).astype(np.uint64) << _PDU
        made |= {"low_lo": np.where(high, dst, src), "top_lo": np.where(high, src, dst), "pair": pair}
        key = np.zeros(len(rows), np.uint64)
        for name, part in made.items():
            columns[name][room] = part
            key ^= part
            key *= _MIX
            key ^= key >> _SHIFT
        columns["key"][room], columns["high"][room] = key, high

    def keep(self, stay: Ints) -> None:
        """Only the rows ``stay`` go on waiting, in that order."""
        room = max(_ROOM, 2 * len(stay))
        self.columns = {name: _larger(column[stay], len(stay), room) for name, column in self.columns.items()}
        self.size = len(stay)

    def _make_room(self, wanted: int) -> None:
        """Room for ``wanted`` rows; memory that is not written to is not taken from the machine."""
        if wanted > len(self.columns["id"]):
            room = max(wanted, 2 * self.size, _ROOM)
            self.columns = {name: _larger(column, self.size, room) for name, column in self.columns.items()}

    def _copy(self, rows: NDArray[np.void], batch: Batch) -> dict[str, Ints]:
        """Octets of a batch over other data, copied to ``extra``: their places there."""
        self.extra = bytearray(self.extra)
        places = {}
        for at, size in (("load_at", "load_cap"), ("opt_at", "opt_len")):
            copied = []
            for where, count in zip(rows[at].tolist(), rows[size].tolist(), strict=True):
                copied.append(~len(self.extra))
                source = batch.data if where >= 0 else batch.extra
                begin = where if where >= 0 else ~where
                self.extra += source[begin : begin + count]
            places[at] = np.array(copied, np.int64)
        return places


def _larger(column: Column, size: int, room: int) -> Column:
    out: Column = np.zeros(room, column.dtype)
    out[:size] = column[:size]
    return out


def _index(known: list[Link] | list[Wrap], item: Link | Wrap) -> int:
    try:
        return known.index(item)  # type: ignore[arg-type]
    except ValueError:
        known.append(item)  # type: ignore[arg-type]
        return len(known) - 1
