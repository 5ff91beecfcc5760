"""Listing connections from columns alone: no objects per packet, none per connection but the line itself.

An ordinary connection is told from whole-array operations: who, when, how much, how it ended, which name.  It has a
three-way handshake, an in-order start, a ClientHello or an HTTP/1 request head that lies in one segment, and is still
open, closed by FINs, or closed by a RST after both sides' goodbye.  Names and versions in tens of thousands of hellos
are read in lock step (``listing_tls``).  Whatever is not ordinary - resets, refusals, alerts in clear, proxies,
STARTTLS, hellos over several segments - takes the same path as the full story, so both tell the same; a test holds
them equal.  No secrets are used here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from synfin.capture.reader import CaptureFile
from synfin.capture.table import ACK, FIN, RST, SYN, Batch, Kind
from synfin.observe.flows import Flows, FlowTable
from synfin.observe.listing_tls import ClientNames, ServerChoices, client_names, server_choices
from synfin.observe.observer import Observation
from synfin.observe.story import Connection, Endpoint

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: Rows looked at together.
CHUNK = 1 << 18
_CCM_8 = 0x1305  # its tag, and so its alerts, are shorter

_REQUEST = re.compile(
    rb"(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH) /[!-~]* HTTP/(1\.[01])\r\n"
    rb"(?:(?!(?i:host|upgrade|content-length|transfer-encoding)[ \t]*:)[!-9;-~]+:[ -~\t]*\r\n)*"
    rb"(?i:host):[ \t]*([!-~]*)[ \t]*\r\n"
    rb"(?:(?!(?i:host|upgrade)[ \t]*:)[!-9;-~]+:[ -~\t]*\r\n)*\r\n"
).match


class Summary(NamedTuple):
    """One ordinary connection; ``octets`` are frame lengths both ways.

    ``fin_first_by`` is None where not both sides sent a FIN, ``rst_first_by`` where nobody sent a RST; where there is
    only a RST both sides sent close_notify before it.
    """

    id: int
    start: int
    end: int
    a: Endpoint
    b: Endpoint
    name: str
    tls_version: int | None  # 0: no answer was seen
    alpn: str
    http_version: str
    packets: int
    octets: int
    fin_first_by: int | None
    rst_first_by: int | None


class Listing:
    """The connections of a capture for a list: ``Summary`` for ordinary ones, ``Connection`` for the rest.

    Iterate once; within what is read at a time they come in order of id, ordinary ones first.
    """

    def __init__(self, capture: CaptureFile) -> None:
        self.story = Observation(capture, embedded=False)
        self._flows = Flows(chunk=CHUNK)

    def __iter__(self) -> Iterator[Summary | Connection]:
        for batch in self.story.look(self.story.capture.batches()):
            for table in self._flows.tables(batch):
                yield from self._list(table, batch)
        for table in self._flows.last_tables():
            yield from self._list(table, None)

    def _list(self, table: FlowTable, batch: Batch | None) -> Iterator[Summary | Connection]:
        octets = np.frombuffer(self._flows.data, np.uint8)
        ordinary, summaries = _ordinary(table, self._flows, octets)
        yield from summaries
        rest = np.flatnonzero(~ordinary)
        if len(rest):
            for flow in self._flows.connections(table.only(rest)):
                yield self.story.connection(flow)


def _ordinary(table: FlowTable, flows: Flows, octets: NDArray[np.uint8]) -> tuple[Bools, list[Summary]]:
    """Which connections of ``table`` are ordinary, and their summaries."""
    shape = _Shape(table)
    found = shape.ordinary
    hello_at, hello_cap = shape.first_load(0)
    answer_at, answer_cap = shape.first_load(1)
    client = client_names(octets, hello_at, hello_cap)
    server = server_choices(octets, answer_at, answer_cap)
    silent = (hello_at < 0) & (answer_at < 0)
    tls = client.known & (server.known | (answer_at < 0))
    strange = shape.any_row(_cleartext_alert(table, octets) & np.repeat(tls, table.sizes))
    late_hello = _begins_record(table, octets) & np.repeat(~tls, table.sizes)
    strange |= shape.any_row(late_hello)
    asks = found & ~client.known & ~silent & ~strange & (hello_at >= 0)
    reset = shape.rst_first_by >= 0
    goodbye = tls & _said_goodbye(shape, octets, server)
    ordinary = found & ~strange & (silent | tls) & (~reset | shape.closed | goodbye)
    asks &= ~reset | shape.closed
    requests = _requests(flows.data, hello_at, hello_cap, answer_at, asks)
    ordinary[list(requests)] = True
    return ordinary, _summaries(table, shape, np.flatnonzero(ordinary), client, server, requests, flows)


class _Shape:
    """Per connection: is its TCP course ordinary, and where are the first octets of each side."""

    def __init__(self, table: FlowTable) -> None:
        rows, starts, sizes = table.rows, table.starts, table.sizes
        self._table = table
        self._index = np.arange(len(rows))
        flags, kind, sender = rows["flags"], rows["kind"], table.sender
        seq, ack, size = rows["seq"], rows["ack"], rows["load_len"]
        long = sizes >= 3
        second = np.where(long, starts + 1, starts)
        third = np.where(long, starts + 2, starts)
        control = flags & (SYN | ACK | FIN | RST)
        good = long & (control[starts] == SYN) & (control[second] == SYN | ACK) & (control[third] == ACK)
        good &= (sender[starts] == 0) & (sender[second] == 1) & (sender[third] == 0)
        good &= (ack[second] == seq[starts] + np.uint32(1)) & (ack[third] == seq[second] + np.uint32(1))
        good &= (size[starts] == 0) & (size[second] == 0) & (seq[third] == ack[second])
        good &= np.add.reduceat((flags & SYN) != 0, starts, dtype=np.int64) == 2
        good &= ~self.any_row((kind != Kind.TCP) | (rows["load_cap"] < size))
        self._isn = (seq[starts], seq[second])
        fin, rst = (flags & FIN) != 0, (flags & RST) != 0
        fins = [np.add.reduceat(fin & (sender == side), starts, dtype=np.int64) for side in (0, 1)]
        fin_at = [self._first(fin & (sender == side)) for side in (0, 1)]
        rst_at = self._first(rst)
        last = len(rows) - 1
        self.rst_first_by = np.where(rst_at > last, -1, sender[np.minimum(rst_at, last)].astype(np.int64))
        early, late = np.minimum(*fin_at), np.maximum(*fin_at)
        one, two = np.minimum(early, last), np.minimum(late, last)
        answered = ack[two] == seq[one] + size[one].astype(np.uint32) + np.uint32(1)
        self.closed = (fins[0] == 1) & (fins[1] == 1) & answered & (late < rst_at)
        self.fin_first_by = np.where(self.closed, np.where(fin_at[0] < fin_at[1], 0, 1), -1)
        # a RST without both FINs is told by what was said before it; a single FIN only with such a RST
        good &= self.closed | (rst_at <= last) | (fins[0] + fins[1] == 0)
        self.ordinary: Bools = good
        self._loads = [self._first((size > 0) & (sender == side)) for side in (0, 1)]
        self._last_loads = [self._last((size > 0) & (sender == side)) for side in (0, 1)]
        self.loads = [np.add.reduceat((size > 0) & (sender == side), starts, dtype=np.int64) for side in (0, 1)]
        for side in (0, 1):
            at = np.minimum(self._loads[side], len(rows) - 1)
            first = self._isn[side] + np.uint32(1)
            self.ordinary &= (self._loads[side] >= len(rows)) | (seq[at] == first)

    def any_row(self, which: Bools) -> Bools:
        """Per connection: whether ``which`` holds for any of its rows."""
        return np.logical_or.reduceat(which, self._table.starts)

    def _first(self, which: Bools) -> Ints:
        """Per connection: index of its first row for which ``which`` holds, or the number of all rows."""
        total = len(which)
        return np.minimum.reduceat(np.where(which, self._index, total), self._table.starts)

    def _last(self, which: Bools) -> Ints:
        """Per connection: index of its last row for which ``which`` holds, or -1."""
        return np.maximum.reduceat(np.where(which, self._index, -1), self._table.starts)

    def last_load(self, side: int) -> tuple[Ints, Ints]:
        """Place and captured size of the last payload of ``side``; place 0 and size 0 where it sent none."""
        rows, at = self._table.rows, self._last_loads[side]
        sent = (at >= 0) & (rows["load_at"][at] >= 0)
        return np.where(sent, rows["load_at"][at], 0), np.where(sent, rows["load_cap"][at], 0).astype(np.int64)

    def first_load(self, side: int) -> tuple[Ints, Ints]:
        """Place and captured size of the first payload of ``side``; place -1 where it sent none."""
        rows = self._table.rows
        at = np.minimum(self._loads[side], len(rows) - 1)
        sent = self._loads[side] < len(rows)
        place = rows["load_at"][at]
        self.ordinary &= ~sent | (place >= 0)
        sent &= place >= 0
        return np.where(sent, place, -1), np.where(sent, rows["load_cap"][at], 0).astype(np.int64)


def _cleartext_alert(table: FlowTable, octets: NDArray[np.uint8]) -> Bools:
    """Rows whose payload ends like an alert record in clear (RFC 8446 5.1, 6): 21, version, length 2, two octets."""
    rows = table.rows
    size, place = rows["load_cap"].astype(np.int64), rows["load_at"]
    which = (size >= 7) & (place >= 0)
    at = np.where(which, place + size - 7, 0)
    ends: Bools = which & (octets[at] == 21) & (octets[at + 1] == 3) & (octets[at + 3] == 0) & (octets[at + 4] == 2)
    return ends


def _said_goodbye(shape: _Shape, octets: NDArray[np.uint8], server: ServerChoices) -> Bools:
    """Where the last thing each side sent is one record that looks like an encrypted alert, as ``tlswatch`` looks.

    That is type 21 before TLS 1.3; there, 19 octets of type 23 (two, the content type, a tag of 16; RFC 8446 5.2).
    """
    done: Bools = server.known & (server.cipher != _CCM_8)
    for side in (0, 1):
        at, size = shape.last_load(side)
        done &= size >= 7
        at = np.where(size >= 7, at, 0)
        length = octets[at + 3].astype(np.int64) << 8 | octets[at + 4]
        alone = (octets[at + 1] == 3) & (length + 5 == size) & (shape.loads[side] >= 3)
        new = (octets[at] == 23) & (length == 19) & (server.version == 0x0304)
        old = (octets[at] == 21) & (length > 2) & (server.version <= 0x0303)
        done &= alone & (new | old)
    return done


def _begins_record(table: FlowTable, octets: NDArray[np.uint8]) -> Bools:
    """Rows whose payload begins like a TLS handshake record."""
    place = table.rows["load_at"]
    which = (table.rows["load_cap"] >= 6) & (place >= 0)
    at = np.where(which, place, 0)
    begins: Bools = which & (octets[at] == 22) & (octets[at + 1] == 3)
    return begins


def _requests(data: Any, at: Ints, size: Ints, answer_at: Ints, which: Bools) -> dict[int, tuple[str, str]]:
    """Connection -> (version, host) of its first request, where head and answer are of the plain kind."""
    found = {}
    for k in np.flatnonzero(which).tolist():
        begin = int(at[k])
        match = _REQUEST(bytes(data[begin : begin + int(size[k])]))
        answer = int(answer_at[k])
        if match is not None and (answer < 0 or data[answer : answer + 7] == b"HTTP/1."):
            found[k] = (match[1].decode(), match[2].decode())
    return found


def _summaries(
    table: FlowTable,
    shape: _Shape,
    chosen: Ints,
    client: ClientNames,
    server: ServerChoices,
    requests: dict[int, tuple[str, str]],
    flows: Flows,
) -> list[Summary]:
    rows, starts = table.rows, table.starts
    data = flows.data
    ends = starts[chosen] + table.sizes[chosen] - 1
    octets = np.add.reduceat(rows["wirelen"], starts, dtype=np.int64)[chosen].tolist()
    columns = zip(
        chosen.tolist(),
        table.ids[chosen].tolist(),
        rows["time"][starts[chosen]].tolist(),
        rows["time"][ends].tolist(),
        flows.endpoints(table, chosen),
        client.known[chosen].tolist(),
        client.at[chosen].tolist(),
        client.size[chosen].tolist(),
        np.where(server.known, server.version, 0)[chosen].tolist(),
        server.alpn_at[chosen].tolist(),
        server.alpn_size[chosen].tolist(),
        table.sizes[chosen].tolist(),
        octets,
        shape.fin_first_by[chosen].tolist(),
        shape.rst_first_by[chosen].tolist(),
        strict=True,
    )
    told = []
    for k, number, start, end, (a, b), tls, at, size, version, alpn_at, alpn_size, packets, total, fin, rst in columns:
        name = http = alpn = ""
        if tls:
            name = bytes(data[at : at + size]).decode("ascii", "backslashreplace")
            alpn = bytes(data[alpn_at : alpn_at + alpn_size]).decode("ascii", "backslashreplace")
        elif k in requests:
            http, name = requests[k]
        fin_by, rst_by = None if fin < 0 else fin, None if rst < 0 else rst
        chose = version if tls else None
        told.append(Summary(number, start, end, a, b, name, chose, alpn, http, packets, total, fin_by, rst_by))
    return told
