"""From places of frames to rows of columns: whole arrays for ordinary packets, one by one for the rest.

Ordinary is: Ethernet (with up to two VLAN tags, or PPPoE), Linux cooked capture (both versions), raw IP, BSD
loopback, PPP and Cisco HDLC, carrying IPv4 without fragmentation or IPv6 without extension headers, carrying TCP or
UDP whose headers were captured whole.  Those packets are decoded by gathering the same few octets of all of them at
once. Everything else (``single.py``) goes through the codecs of ``wire``, which say the same of ordinary packets
too: a test holds both equal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synfin.capture.gather import Octets, Places, gather, u16, u32, u64
from synfin.capture.index import Index
from synfin.capture.notes import ReadNotes
from synfin.capture.single import Singles
from synfin.capture.table import ROW, Kind, Wrap
from synfin.wire.tunnel import UDP_TUNNELS

_MOST_LENGTH = 0x7FFF_FFFF
_VLAN_TYPES = (0x8100, 0x88A8, 0x9100)
_IP4, _IP6 = 0x0800, 0x86DD
_RAW = frozenset((12, 14, 101, 228, 229))
_LOOP = frozenset((0, 108))
_PPP = frozenset((9, 50))
#: Address families that BSD systems write for IPv6.
_LOOP_IP6 = (10, 24, 28, 30)

_tunnels = np.zeros(65536, np.bool_)
_tunnels[list(UDP_TUNNELS)] = True

Rows = NDArray[np.void]
Bools = NDArray[np.bool_]
#: Which rows are meant: their places, or all of them (which NumPy stores into three times faster).
Some = NDArray[np.int64] | slice

_ALL = slice(None)
#: Packets decoded at a time, so that what one step leaves is still near for the next.
_STRETCH = 4096


def _pick(some: Some, which: Bools | Places) -> Places:
    """Those of ``some`` that ``which`` chooses."""
    if not isinstance(some, slice):
        return some[which]
    return np.flatnonzero(which) if which.dtype == np.bool_ else which.astype(np.int64, copy=False)


class Decoder:
    """Fills the rows of one capture, batch after batch; ``wraps`` and ``problems`` are shared by all its batches."""

    def __init__(self, data: memoryview, octets: Octets, extra: bytearray, notes: ReadNotes) -> None:
        self._octets = octets
        self._notes = notes
        self._singles = Singles(data, extra, notes)
        self.wraps = self._singles.wraps
        self.problems = self._singles.problems

    def rows(self, index: Index) -> Rows:
        """The rows of the packets of ``index``."""
        rows: Rows = np.zeros(index.frame_at.size, ROW)
        first = self._notes.packets + 1
        rows["number"] = np.arange(first, first + rows.size)
        rows["time"] = index.time
        rows["frame_at"] = index.frame_at
        rows["caplen"] = index.caplen
        rows["wirelen"] = np.minimum(index.wirelen, _MOST_LENGTH)
        rows["link"] = index.link
        done = np.zeros(rows.size, np.bool_)
        for at in range(0, rows.size, _STRETCH):
            part = slice(at, at + _STRETCH)
            place, captured, wire, link = (
                index.frame_at[part],
                index.caplen[part],
                index.wirelen[part],
                index.link[part],
            )
            links = np.unique(link).tolist() if link.min() != link.max() else link[:1].tolist()
            for number in links:
                kind = self._notes.links[number].link_type
                if len(links) == 1:
                    self._link(rows[part], kind, _ALL, place, captured, wire, done[part])
                else:
                    mine = np.flatnonzero(link == number)
                    self._link(rows[part], kind, mine, place[mine], captured[mine], wire[mine], done[part])
        self._singles.fill(rows, np.flatnonzero(~done))
        return rows

    def _link(
        self, rows: Rows, link_type: int, some: Some, at: Places, captured: Places, wire: Places, done: Bools
    ) -> None:
        """Find where IP begins in the frames ``some``, then decode those where it does."""
        wire = np.maximum(wire, captured)
        if link_type == 1:
            frame = gather(self._octets, at, 22)
            ethertype = u16(frame, 12)
            plain = (ethertype == _IP4) | (ethertype == _IP6)
            if not plain.all():
                self._vlans(rows, frame, some, at, captured, wire, done)
                self._pppoe(rows, frame, some, at, captured, wire, done)
            skip = 14
        elif link_type == 113:
            skip = 16
            ethertype = u16(gather(self._octets, at, 16), 14)
            plain = (ethertype == _IP4) | (ethertype == _IP6)
        elif link_type == 276:
            skip = 20
            ethertype = u16(gather(self._octets, at, 2), 0)
            plain = (ethertype == _IP4) | (ethertype == _IP6)
        elif link_type in _RAW:
            skip = 0
            plain = np.ones(at.size, np.bool_)
        elif link_type in _LOOP:
            skip = 4
            family = gather(self._octets, at, 4)
            # The family is in the order of the capturing machine; all known ones fit in one octet.
            number = family[:, 0] | family[:, 3]
            plain = ((number == 2) | np.isin(number, _LOOP_IP6)) & (family[:, 1] | family[:, 2] == 0)
            plain &= (family[:, 0] == 0) | (family[:, 3] == 0)
        elif link_type in _PPP:
            skip = 4
            protocol = u32(gather(self._octets, at, 4), 0)
            plain = (protocol == 0xFF030021) | (protocol == 0xFF030057)
        elif link_type == 104:
            skip = 4
            ethertype = u16(gather(self._octets, at, 4), 2)
            plain = (ethertype == _IP4) | (ethertype == _IP6)
        else:
            return
        if plain.all():
            self._ip(rows, some, at + skip, captured - skip, wire - skip, done)
        elif plain.any():
            self._ip(rows, _pick(some, plain), at[plain] + skip, captured[plain] - skip, wire[plain] - skip, done)

    def _vlans(
        self, rows: Rows, frame: Octets, some: Some, at: Places, captured: Places, wire: Places, done: Bools
    ) -> None:
        """Frames with one or two VLAN tags: the ids go into the wraps, then IP begins 4 or 8 octets later."""
        types = u16(frame, 12), u16(frame, 16), u16(frame, 20)
        tagged = np.isin(types[0], _VLAN_TYPES)
        twice = tagged & np.isin(types[1], _VLAN_TYPES)
        for depth, chosen in ((1, tagged & ~twice), (2, twice)):
            chosen = chosen & ((types[depth] == _IP4) | (types[depth] == _IP6))
            which = np.flatnonzero(chosen)
            if not which.size:
                continue
            skip = 14 + 4 * depth
            outer = (u16(frame, 14)[which] & 0xFFF).astype(np.int64)
            inner = (u16(frame, 18)[which] & 0xFFF).astype(np.int64) if depth == 2 else 0
            mine = _pick(some, which)
            self._ip(rows, mine, at[which] + skip, captured[which] - skip, wire[which] - skip, done)
            mine = mine[done[mine]]
            tags = (outer << 12 | inner)[done[_pick(some, which)]]
            for tag in np.unique(tags).tolist():
                ids = (tag >> 12, tag & 0xFFF)[:depth]
                rows["wrap"][mine[tags == tag]] = self._singles.wrap(Wrap(ids))

    def _pppoe(
        self, rows: Rows, frame: Octets, some: Some, at: Places, captured: Places, wire: Places, done: Bools
    ) -> None:
        """Frames of a PPPoE session: its length says where the packet ends."""
        protocol = u16(frame, 20)
        chosen = (u16(frame, 12) == 0x8864) & (frame[:, 15] == 0) & ((protocol == 0x21) | (protocol == 0x57))
        which = np.flatnonzero(chosen)
        if which.size:
            wire = np.minimum(wire[which] - 20, u16(frame, 18)[which]) - 2
            captured = np.minimum(captured[which] - 22, wire)
            self._ip(rows, _pick(some, which), at[which] + 22, captured, wire, done)

    def _ip(self, rows: Rows, some: Some, at: Places, captured: Places, wire: Places, done: Bools) -> None:
        """Packets that begin at ``at`` with ``captured`` octets here and ``wire`` octets on the wire."""
        fits = captured >= 28
        if not fits.all():
            some, at, captured, wire = _pick(some, fits), at[fits], captured[fits], wire[fits]
        head = gather(self._octets, at, 40)
        version = head[:, 0] >> 4
        for number, decode in ((4, self._ip4), (6, self._ip6)):
            mine = version == number
            if mine.all():
                decode(rows, some, head, at, captured, wire, done)
            elif mine.any():
                decode(rows, _pick(some, mine), head[mine], at[mine], captured[mine], wire[mine], done)

    def _ip4(
        self, rows: Rows, some: Some, head: Octets, at: Places, captured: Places, wire: Places, done: Bools
    ) -> None:
        size = (head[:, 0] & 15).astype(np.int64) << 2
        total = u16(head, 2).astype(np.int64)
        total = np.where(total, np.minimum(total, wire), wire)
        proto = head[:, 9]
        ok = (size >= 20) & (u16(head, 6) & 0x3FFF == 0) & (total >= size) & ((proto == 6) | (proto == 17))
        ok &= captured >= size + 8
        if not ok.all():
            some, head, at, captured = _pick(some, ok), head[ok], at[ok], captured[ok]
            size, total, proto = size[ok], total[ok], proto[ok]
        captured = np.minimum(captured, total)
        for number, decode in ((6, self._tcp), (17, self._udp)):
            mine = proto == number
            if not mine.any():
                continue
            every = bool(mine.all())
            who = some if every else _pick(some, mine)
            piece = head if every else head[mine]
            if every:
                good = decode(rows, who, at + size, captured - size, total - size)
            else:
                good = decode(rows, who, (at + size)[mine], (captured - size)[mine], (total - size)[mine])
            if not good.all():
                who, piece = _pick(who, good), piece[good]
            done[who] = True
            rows["version"][who] = 4
            rows["proto"][who] = number
            rows["ecn"][who] = piece[:, 1] & 3
            rows["ip_id"][who] = u16(piece, 4)
            rows["ttl"][who] = piece[:, 8]
            rows["src_lo"][who] = u32(piece, 12)
            rows["dst_lo"][who] = u32(piece, 16)

    def _ip6(
        self, rows: Rows, some: Some, head: Octets, at: Places, captured: Places, wire: Places, done: Bools
    ) -> None:
        length = u16(head, 4).astype(np.int64)
        total = np.where(length, np.minimum(length, wire - 40), wire - 40)
        proto = head[:, 6]
        ok = (captured >= 48) & (total >= 0) & ((proto == 6) | (proto == 17))
        captured = np.minimum(captured - 40, total)
        for number, decode in ((6, self._tcp), (17, self._udp)):
            mine = np.flatnonzero(ok & (proto == number))
            if not mine.size:
                continue
            good = decode(rows, _pick(some, mine), at[mine] + 40, captured[mine], total[mine])
            mine = mine[good]
            who, piece = _pick(some, mine), head[mine]
            done[who] = True
            rows["version"][who] = 6
            rows["proto"][who] = number
            rows["ecn"][who] = (piece[:, 1] >> 4) & 3
            rows["ttl"][who] = piece[:, 7]
            rows["src_hi"][who] = u64(piece, 8)
            rows["src_lo"][who] = u64(piece, 16)
            rows["dst_hi"][who] = u64(piece, 24)
            rows["dst_lo"][who] = u64(piece, 32)

    def _tcp(self, rows: Rows, some: Some, at: Places, captured: Places, wire: Places) -> Bools:
        """Fill the TCP columns of segments at ``at``; which ones were ordinary (the others were not touched)."""
        head = gather(self._octets, at, 20)
        size = (head[:, 12].astype(np.int64) >> 4) << 2
        good: Bools = (captured >= 20) & (size >= 20) & (size <= wire)
        if not good.all():
            some, at, captured, wire, head, size = (
                _pick(some, good),
                at[good],
                captured[good],
                wire[good],
                head[good],
                size[good],
            )
        rows["kind"][some] = Kind.TCP
        rows["sport"][some] = u16(head, 0)
        rows["dport"][some] = u16(head, 2)
        rows["seq"][some] = u32(head, 4)
        rows["ack"][some] = u32(head, 8)
        rows["flags"][some] = u16(head, 12) & 0xFFF
        rows["window"][some] = u16(head, 14)
        rows["urgent"][some] = u16(head, 18)
        rows["opt_at"][some] = at + 20
        rows["opt_len"][some] = np.minimum(size, captured) - 20
        rows["load_at"][some] = at + size
        rows["load_len"][some] = wire - size
        rows["load_cap"][some] = np.maximum(captured - size, 0)
        return good

    def _udp(self, rows: Rows, some: Some, at: Places, captured: Places, wire: Places) -> Bools:
        """Fill the UDP columns of datagrams at ``at``; those on tunnel ports or with odd lengths are not ordinary."""
        head = gather(self._octets, at, 8)
        length = u16(head, 4).astype(np.int64)
        sport, dport = u16(head, 0), u16(head, 2)
        good: Bools = (captured >= 8) & (length >= 8) & ~_tunnels[sport] & ~_tunnels[dport]
        if not good.all():
            some, at, captured, wire = _pick(some, good), at[good], captured[good], wire[good]
            length, sport, dport = length[good], sport[good], dport[good]
        length = np.minimum(length, wire) - 8
        rows["kind"][some] = Kind.UDP
        rows["sport"][some] = sport
        rows["dport"][some] = dport
        rows["load_at"][some] = at + 8
        rows["load_len"][some] = length
        rows["load_cap"][some] = np.minimum(captured - 8, length)
        return good
