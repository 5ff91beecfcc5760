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
from synfin.capture.table import ROW, Kind, Wrap
from synfin.wire.net import Dissection, dissect, dissect_datagram

_KINDS = {"tcp": Kind.TCP, "udp": Kind.UDP, "icmp": Kind.ICMP, "pdu": Kind.PDU, "cut": Kind.CUT}

#: Different wraps and problem names kept; a hostile capture could invent a new one in every packet.
_MOST_WRAPS = 65_536
_MOST_PROBLEMS = 254
_LOW = (1 << 64) - 1

#: Columns that are set before a frame is looked into.
_GIVEN = ("number", "time", "frame_at", "caplen", "wirelen", "link")

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
        made = [self._row(*given) for given in rows[list(_GIVEN)][which].tolist()]
        rows[which] = np.array(made, ROW)

    def _row(self, number: int, time: int, at: int, caplen: int, wirelen: int, link: int) -> tuple[int, ...]:
        """One row, as a tuple in the order of ROW."""
        link_type = self._notes.links[link].link_type
        if link_type == NO_PACKET:
            found, base = Dissection(unread=self._notes.links[link].interface), 0
        else:
            found, base = self._packet(link_type, at, caplen, wirelen)
        problem = 0
        if found.unread:
            problem = self.problem(found.unread)
            self._notes.unread[self.problems[problem]] += 1
        wrap = self.wrap(Wrap(tuple(found.vlans), tuple(found.tunnels))) if found.vlans or found.tunnels else 0
        kind = _KINDS.get(found.kind, Kind.OTHER)
        src, dst = int.from_bytes(found.src, "big"), int.from_bytes(found.dst, "big")
        row: tuple[int, ...]
        row = (number, time, at, caplen, wirelen, link, kind, found.version, found.proto, found.ttl, found.ip_id)
        row += (found.ecn, wrap, src >> 64, src & _LOW, dst >> 64, dst & _LOW)
        if kind == Kind.OTHER:
            return (*row, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, problem)
        load_at, opt_at = base + found.load_at, base + found.options_at
        if base < 0:  # offsets count in the extra octets
            load_at, opt_at = base - found.load_at, base - found.options_at
        row += (found.sport, found.dport)
        if kind in (Kind.TCP, Kind.CUT):
            row += (found.seq, found.ack, found.flags, found.window, found.urgent, opt_at, found.options_len)
        else:
            row += (0, 0, 0, 0, 0, 0, 0)
        return (*row, load_at, found.load_len, found.load_cap, problem)

    def _joined(self, name: str, number: int) -> None:
        """Count ``number`` fragments as read after all."""
        left = self._notes.unread[name] - number
        if left > 0:
            self._notes.unread[name] = left
        else:
            del self._notes.unread[name]

    def _packet(self, link_type: int, at: int, caplen: int, wirelen: int) -> tuple[Dissection, int]:
        """What a frame holds, and where its offsets count from: a place in the file, or a negative one in ``extra``."""
        frame: memoryview | bytes = self._data[at : at + caplen]
        found = dissect(link_type, frame, wirelen=wirelen)
        base = at
        while found.fragment is not None:
            piece = found.fragment
            whole = self._reassembly.add(piece, bytes(frame[piece.at : piece.at + piece.size]))
            if whole is None:
                break
            proto, frame = whole
            self._joined(found.unread, self._reassembly.joined)
            found = dissect_datagram(found, proto, frame)
            base = -1 - len(self._extra)
            if len(self._extra) + len(frame) <= _MOST_EXTRA:
                self._extra += frame
            else:
                found.load_cap = found.options_len = 0
        return found, base
