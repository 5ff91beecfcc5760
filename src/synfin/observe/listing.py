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

from synfin.capture.gather import gather, u16
from synfin.capture.reader import CaptureFile
from synfin.capture.table import Kind
from synfin.observe.flows import Flows, FlowTable
from synfin.observe.flows_store import Picked
from synfin.observe.listing_tls import ClientNames, ServerChoices, client_names, server_choices
from synfin.observe.observer import Observation
from synfin.observe.story import Connection, Endpoint, host_of
from synfin.wire.tcpflags import ACK, FIN, RST, SYN

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: Rows looked at together.
CHUNK = 1 << 17
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
        self._flows = self.story.flows = Flows(chunk=CHUNK)

    def __iter__(self) -> Iterator[Summary | Connection]:
        for summaries, others in self.parts():
            yield from summaries
            yield from others

    def parts(self) -> Iterator[tuple[list[Summary], Iterator[Connection]]]:
        """What is read at a time: the ordinary connections, and the rest."""
        for table in self._tables():
            octets = np.frombuffer(self._flows.data, np.uint8)
            ordinary, summaries = _ordinary(table, self._flows, octets)
            yield summaries, self._told(table, np.flatnonzero(~ordinary))
            self.story.capture.forget()

    def _tables(self) -> Iterator[FlowTable]:
        for batch in self.story.look(self.story.capture.batches()):
            yield from self._flows.tables(batch)
        yield from self._flows.last_tables()

    def _told(self, table: FlowTable, chosen: Ints) -> Iterator[Connection]:
        """The connections ``chosen`` by their full stories."""
        if len(chosen):
            for flow in self._flows.connections(table.only(chosen)):
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
    strange = shape.having(_cleartext_alerts(table.rows, tls[shape.owner], octets))
    asks = found & ~client.known & ~silent & ~strange & (hello_at >= 0)
    reset = shape.rst_first_by >= 0
    goodbye = tls & _said_goodbye(shape, octets, server)
    ordinary = found & ~strange & (silent | tls) & (~reset | shape.closed | goodbye)
    asks &= ~reset | shape.closed
    requests = _requests(flows.data, hello_at, hello_cap, answer_at, asks)
    ordinary[list(requests)] = True
    return ordinary, _summaries(table, shape, np.flatnonzero(ordinary), client, server, requests, flows)


class _Shape:
    """Per connection: is its TCP course ordinary, and where are the first and last octets of each side.

    SYN, FIN and RST are rare, so they are looked at alone; of other segments mostly the sizes count.
    """

    def __init__(self, table: FlowTable) -> None:
        rows, starts, sizes = table.rows, table.starts, table.sizes
        count = len(sizes)
        self._rows = rows
        self._count = count
        self.owner = np.repeat(np.arange(count), sizes)  # per row: its connection
        sender = table.sender
        second, third = (starts + np.minimum(k, sizes - 1) for k in (1, 2))
        opening = (starts, second, third)
        control, seq, ack, size = (
            [rows.at(name, place) for place in opening] for name in ("flags", "seq", "ack", "load_len")
        )
        good = sizes >= 3
        for k, flags in enumerate((SYN, SYN | ACK, ACK)):
            good &= (control[k] & (SYN | ACK | FIN | RST) == flags) & (sender[opening[k]] == k % 2)
        good &= (ack[1] == seq[0] + np.uint32(1)) & (ack[2] == seq[1] + np.uint32(1)) & (seq[2] == ack[1])
        good &= (size[0] == 0) & (size[1] == 0)
        load = rows["load_len"]
        good &= ~self.any_row((rows["kind"] != Kind.TCP) | (rows["load_cap"] < load))
        # the control segments: which connection, which side, which bits
        at = np.flatnonzero(rows["flags"] & (SYN | FIN | RST))
        bits, side = rows["flags"][at], self.owner[at] * 2 + sender[at]
        syns = np.bincount(self.owner[at[(bits & SYN) != 0]], minlength=count)
        good &= syns == 2
        is_fin = (bits & FIN) != 0
        fin_at, _, fins = _ends(at[is_fin], side[is_fin], count)
        rst = at[(bits & RST) != 0]
        rst_at, _, _ = _ends(rst, self.owner[rst] * 2, count)
        rst_by = sender[rst_at[0]]
        self.rst_first_by = np.where(rst_at[0] < 0, -1, rst_by.astype(np.int64))
        both = (fins[0] == 1) & (fins[1] == 1)
        one, two = np.where(both, np.minimum(*fin_at), 0), np.where(both, np.maximum(*fin_at), 0)
        after = rows.at("seq", one) + rows.at("load_len", one).astype(np.uint32) + np.uint32(1)
        self.closed = both & (rows.at("ack", two) == after) & ((rst_at[0] < 0) | (two < rst_at[0]))
        self.fin_first_by = np.where(self.closed, np.where(fin_at[0] < fin_at[1], 0, 1), -1)
        # a RST without both FINs is told by what was said before it; a single FIN only with such a RST
        good &= self.closed | (rst_at[0] >= 0) | (fins[0] + fins[1] == 0)
        at = np.flatnonzero(load)
        self._loads, self._last_loads, self.loads = _ends(at, self.owner[at] * 2 + sender[at], count)
        for k in (0, 1):
            first = rows.at("seq", self._loads[k]) == seq[k] + np.uint32(1)
            good &= (self._loads[k] < 0) | first
        self.ordinary: Bools = good

    def any_row(self, which: Bools) -> Bools:
        """Per connection: whether ``which`` holds for any of its rows."""
        return self.having(np.flatnonzero(which))

    def having(self, rows: Ints) -> Bools:
        """Per connection: whether one of ``rows`` is its own."""
        out = np.zeros(self._count, np.bool_)
        out[self.owner[rows]] = True
        return out

    def last_load(self, side: int) -> tuple[Ints, Ints]:
        """Place and captured size of the last payload of ``side``; place 0 and size 0 where it sent none."""
        at = self._last_loads[side]
        place, size = self._rows.at("load_at", at), self._rows.at("load_cap", at)
        sent = (at >= 0) & (place >= 0)
        return np.where(sent, place, 0), np.where(sent, size, 0).astype(np.int64)

    def first_load(self, side: int) -> tuple[Ints, Ints]:
        """Place and captured size of the first payload of ``side``; place -1 where it sent none."""
        at = self._loads[side]
        place, size = self._rows.at("load_at", at), self._rows.at("load_cap", at)
        self.ordinary &= (at < 0) | (place >= 0)
        sent = (at >= 0) & (place >= 0)
        return np.where(sent, place, -1), np.where(sent, size, 0).astype(np.int64)


def _ends(at: Ints, side: Ints, count: int) -> tuple[Ints, Ints, Ints]:
    """Of rows ``at`` (ascending), each of a side (twice the connection, plus who): first, last and how many.

    Each result has one row per side and one column per connection; -1 where there is no such row.
    """
    first, last = np.full(2 * count, -1), np.full(2 * count, -1)
    first[side[::-1]] = at[::-1]
    last[side] = at
    many = np.bincount(side, minlength=2 * count)
    return first.reshape(-1, 2).T, last.reshape(-1, 2).T, many.reshape(-1, 2).T


def _cleartext_alerts(rows: Picked, which: Bools, octets: NDArray[np.uint8]) -> Ints:
    """Rows of ``which`` whose payload ends like an alert record in clear (RFC 8446 5.1, 6): 21, version, length 2."""
    size, place = rows["load_cap"], rows["load_at"]
    chosen = np.flatnonzero(which & (size >= 7) & (place >= 0))
    end = gather(octets, place[chosen] + size[chosen] - 7, 5)
    alerts: Ints = chosen[(end[:, 0] == 21) & (end[:, 1] == 3) & (end[:, 3] == 0) & (end[:, 4] == 2)]
    return alerts


def _said_goodbye(shape: _Shape, octets: NDArray[np.uint8], server: ServerChoices) -> Bools:
    """Where the last thing each side sent is one record that looks like an encrypted alert, as ``tlswatch`` looks.

    That is type 21 before TLS 1.3; there, 19 octets of type 23 (two, the content type, a tag of 16; RFC 8446 5.2).
    """
    done: Bools = server.known & (server.cipher != _CCM_8)
    for side in (0, 1):
        at, size = shape.last_load(side)
        done &= size >= 7
        head = gather(octets, np.where(size >= 7, at, 0), 5)
        length = u16(head, 3).astype(np.int64)
        alone = (head[:, 1] == 3) & (length + 5 == size) & (shape.loads[side] >= 3)
        new = (head[:, 0] == 23) & (length == 19) & (server.version == 0x0304)
        old = (head[:, 0] == 21) & (length > 2) & (server.version <= 0x0303)
        done &= alone & (new | old)
    return done


class _Texts(dict[bytes, str]):
    """Octets as text; names come again and again."""

    def __init__(self, data: Any) -> None:
        self._data = data

    def __missing__(self, octets: bytes) -> str:
        text = self[octets] = octets.decode("ascii", "backslashreplace")
        return text

    def all(self, at: Ints, size: Ints) -> list[str]:
        """The texts of ``size`` octets each at the places ``at``."""
        data = self._data
        return [self[bytes(data[a : a + n])] if n else "" for a, n in zip(at.tolist(), size.tolist(), strict=True)]


def _requests(data: Any, at: Ints, size: Ints, answer_at: Ints, which: Bools) -> dict[int, tuple[str, str]]:
    """Connection -> (version, host) of its first request, where head and answer are of the plain kind."""
    found = {}
    for k in np.flatnonzero(which).tolist():
        begin = int(at[k])
        match = _REQUEST(bytes(data[begin : begin + int(size[k])]))
        answer = int(answer_at[k])
        if match is not None and (answer < 0 or data[answer : answer + 7] == b"HTTP/1."):
            found[k] = (match[1].decode(), host_of(match[2].decode()))
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
    ends = starts[chosen] + table.sizes[chosen] - 1
    octets = np.add.reduceat(rows["wirelen"], starts, dtype=np.int64)[chosen].tolist()
    flow_start, flow_end = rows.at("time", starts[chosen]), rows.at("time", ends)
    one, two = zip(*flows.endpoints(table, chosen), strict=True) if len(chosen) else ((), ())
    texts = _Texts(flows.data)
    name = texts.all(client.at[chosen], np.where(client.known, client.size, 0)[chosen])
    alpn = texts.all(server.alpn_at[chosen], np.where(client.known, server.alpn_size, 0)[chosen])
    versions = np.where(client.known, np.where(server.known, server.version, 0), -1)
    version, fin_by, rst_by = (
        [None if one < 0 else one for one in column[chosen].tolist()]
        for column in (versions, shape.fin_first_by, shape.rst_first_by)
    )
    http = [""] * len(chosen)
    for place in np.flatnonzero(np.isin(chosen, list(requests))).tolist():
        http[place], name[place] = requests[int(chosen[place])]
    return list(
        map(
            Summary,
            table.ids[chosen].tolist(),
            flow_start.tolist(),
            flow_end.tolist(),
            one,
            two,
            name,
            version,
            alpn,
            http,
            table.sizes[chosen].tolist(),
            octets,
            fin_by,
            rst_by,
        )
    )
