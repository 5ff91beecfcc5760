"""Packets one by one: whatever is not ordinary, read through the codecs of ``wire`` into the same columns.

Fragments wait here for the rest of their datagram (``fragments.py``); the row of the packet that completes it
becomes the row of the whole datagram, as tshark has it.  A row that synfin cannot read says why in ``problem`` and
is counted by that name in the notes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synfin.capture.fragments import Reassembly
from synfin.capture.index import NO_PACKET
from synfin.capture.notes import ReadNotes
from synfin.capture.table import Kind, Wrap
from synfin.wire.net import Dissection, dissect, dissect_datagram

_KINDS = {"tcp": Kind.TCP, "udp": Kind.UDP, "icmp": Kind.ICMP, "pdu": Kind.PDU, "cut": Kind.CUT}

#: Different wraps and problem names kept; a hostile capture could invent a new one in every packet.
_MOST_WRAPS = 65_536
_MOST_PROBLEMS = 254
_LOW = (1 << 64) - 1

#: Octets of reassembled datagrams kept; beyond that their payload is not.
_MOST_EXTRA = 1 << 28


class Singles:
    """Decodes single packets of one capture; remembers fragments, wraps and problem names across batches."""

    def __init__(self, data: memoryview, extra: bytearray, notes: ReadNotes) -> None:
        self.wraps: list[Wrap] = [Wrap()]
        self.problems: list[str] = [""]
        self._data = data
        self._extra = extra
        self._notes = notes
        self._wrap_index = {Wrap(): 0}
        self._problem_index = {"": 0}
        self._reassembly = Reassembly()

    def wrap(self, wrap: Wrap) -> int:
        """The index of ``wrap`` in ``wraps``."""
        at = self._wrap_index.get(wrap)
        if at is None:
            if len(self.wraps) >= _MOST_WRAPS:
                return 0
            at = self._wrap_index[wrap] = len(self.wraps)
            self.wraps.append(wrap)
        return at

    def problem(self, name: str) -> int:
        """The index of problem ``name`` in ``problems``; beyond 254 names all others share one."""
        at = self._problem_index.get(name)
        if at is None:
            if len(self.problems) > _MOST_PROBLEMS:
                name = "something else"
                if name in self._problem_index:
                    return self._problem_index[name]
            at = self._problem_index[name] = len(self.problems)
            self.problems.append(name)
        return at

    def fill(self, rows: NDArray[np.void], which: NDArray[np.int64]) -> None:
        """Fill the rows ``which``, whose place, lengths and link are set already."""
        if not which.size:
            return
        chosen = rows[which]
        places = zip(
            which.tolist(),
            chosen["frame_at"].tolist(),
            chosen["caplen"].tolist(),
            chosen["wirelen"].tolist(),
            chosen["link"].tolist(),
            strict=True,
        )
        for i, at, caplen, wirelen, link in places:
            link_type = self._notes.links[link].link_type
            if link_type == NO_PACKET:
                self._unread(rows[i], self._notes.links[link].interface)
                continue
            self._packet(rows[i], link_type, at, caplen, wirelen)

    def _packet(self, row: np.void, link_type: int, at: int, caplen: int, wirelen: int) -> None:
        frame: memoryview | bytes = self._data[at : at + caplen]
        found = dissect(link_type, frame, wirelen=wirelen)
        base = at
        while found.fragment is not None:
            piece = found.fragment
            whole = self._reassembly.add(piece, bytes(frame[piece.at : piece.at + piece.size]))
            if whole is None:
                break
            proto, frame = whole
            found = dissect_datagram(found, proto, frame)
            base = -1 - len(self._extra)
            if len(self._extra) + len(frame) <= _MOST_EXTRA:
                self._extra += frame
            else:
                found.load_cap = found.options_len = 0
        self._fill(row, found, base)

    def _fill(self, row: np.void, found: Dissection, base: int) -> None:
        """Write what was found into ``row``; a negative ``base`` means that offsets count in the extra octets."""
        kind = _KINDS.get(found.kind, Kind.OTHER)
        row["kind"] = kind
        row["version"], row["proto"], row["ttl"] = found.version, found.proto, found.ttl
        row["ip_id"], row["ecn"] = found.ip_id, found.ecn
        if found.vlans or found.tunnels:
            row["wrap"] = self.wrap(Wrap(tuple(found.vlans), tuple(found.tunnels)))
        src, dst = int.from_bytes(found.src, "big"), int.from_bytes(found.dst, "big")
        row["src_hi"], row["src_lo"] = src >> 64, src & _LOW
        row["dst_hi"], row["dst_lo"] = dst >> 64, dst & _LOW
        if kind != Kind.OTHER:
            row["sport"], row["dport"] = found.sport, found.dport
            row["load_at"] = base + found.load_at if base >= 0 else base - found.load_at
            row["load_len"], row["load_cap"] = found.load_len, found.load_cap
        if kind in (Kind.TCP, Kind.CUT):
            row["seq"], row["ack"], row["flags"] = found.seq, found.ack, found.flags
            row["window"], row["urgent"] = found.window, found.urgent
            row["opt_at"] = base + found.options_at if base >= 0 else base - found.options_at
            row["opt_len"] = found.options_len
        if found.unread:
            self._unread(row, found.unread)

    def _unread(self, row: np.void, name: str) -> None:
        row["problem"] = self.problem(name)
        self._notes.unread[name] += 1
