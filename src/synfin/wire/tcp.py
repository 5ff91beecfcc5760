"""TCP segments and their options, read and written without loss (RFC 9293 3.1, 3.2).

``Segment`` keeps the options as the octets they were, padding and nonsense included; ``options`` takes such octets
apart and ``write_options`` puts them together.  A header whose end was not captured is still read as far as it goes
(``tcp``), because its ports and flags tell a connection's story.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from synfin.wire.checksum import pseudo_header, transport_checksum
from synfin.wire.codec import Reader, Writer
from synfin.wire.layer import Next, Walk

END, NOP, MSS, WINDOW_SCALE, SACK_PERMITTED, SACK, TIMESTAMPS = 0, 1, 2, 3, 4, 5, 8

#: Option kind -> (name, where it is defined); IANA's TCP parameters registry.
OPTION_NAMES = {
    0: ("end of options", "RFC 9293 3.2"),
    1: ("no operation", "RFC 9293 3.2"),
    2: ("maximum segment size", "RFC 9293 3.7.1"),
    3: ("window scale", "RFC 7323 2.2"),
    4: ("SACK permitted", "RFC 2018 2"),
    5: ("SACK", "RFC 2018 3"),
    8: ("timestamps", "RFC 7323 3.2"),
    19: ("MD5 signature", "RFC 2385 3.0"),
    28: ("user timeout", "RFC 5482 3"),
    29: ("TCP-AO", "RFC 5925 2.2"),
    30: ("Multipath TCP", "RFC 8684 3"),
    34: ("fast open cookie", "RFC 7413 4.1.1"),
    69: ("encryption negotiation", "RFC 8547 4.1"),
    172: ("accurate ECN order 0", "RFC 9768 3.2.3"),
    174: ("accurate ECN order 1", "RFC 9768 3.2.3"),
    253: ("experiment", "RFC 6994 3"),
    254: ("experiment", "RFC 6994 3"),
}

_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE")


class Option(NamedTuple):
    """One option: its kind and the octets behind its length.

    Octets that cannot be an option (a length below 2 or past the end, or what stands behind the end of options) are one
    last ``Option`` with kind -1.
    """

    kind: int
    data: bytes = b""


def options(raw: bytes) -> list[Option]:
    """Take the options of a header apart; ``write_options`` of the result is ``raw`` again."""
    found = []
    at = 0
    while at < len(raw):
        kind = raw[at]
        if kind in (END, NOP):
            found.append(Option(kind))
            at += 1
            if kind == END:
                break
            continue
        size = raw[at + 1] if at + 1 < len(raw) else 0
        if size < 2 or at + size > len(raw):
            break
        found.append(Option(kind, raw[at + 2 : at + size]))
        at += size
    if at < len(raw):
        found.append(Option(-1, raw[at:]))
    return found


def write_options(found: Iterable[Option]) -> bytes:
    """The octets of options, in order, without padding."""
    out = bytearray()
    for kind, data in found:
        if kind == -1:
            out += data
        elif kind in (END, NOP):
            out.append(kind)
        else:
            out += bytes((kind, len(data) + 2))
            out += data
    return bytes(out)


@dataclass(frozen=True, slots=True)
class Segment:
    """A TCP segment.  ``flags`` are the 12 bits behind the data offset: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, ...

    ``options`` are octets; on writing they are padded with zeros to a multiple of four.  ``data_offset`` None
    means the right one; another number is written as it is.
    """

    sport: int
    dport: int
    seq: int
    ack: int
    flags: int
    window: int
    checksum: int = 0
    urgent: int = 0
    options: bytes = b""
    payload: bytes = b""
    data_offset: int | None = None

    @classmethod
    def read(cls, r: Reader) -> Segment:
        """Read a segment that fills ``r``; WireError when its header does not fit or is shorter than 20 octets."""
        r.ref = "RFC 9293 3.1"
        fixed, offset = _fixed(r)
        if offset < 5:
            raise r.fail("data_offset", f"says {offset} words, a header has 5")
        raw = r.take(offset * 4 - 20, "options")
        return replace(fixed, options=raw, payload=r.rest("payload"))

    def write(self) -> bytes:
        """The octets of the segment."""
        w = Writer()
        padded = self.options + bytes(-len(self.options) % 4)
        offset = 5 + len(padded) // 4 if self.data_offset is None else self.data_offset
        w.u16(self.sport)
        w.u16(self.dport)
        w.u32(self.seq)
        w.u32(self.ack)
        w.u16(offset << 12 | self.flags)
        w.u16(self.window)
        w.u16(self.checksum)
        w.u16(self.urgent)
        w.raw(padded)
        w.raw(self.payload)
        return w.bytes()

    def sealed(self, src: bytes, dst: bytes) -> Segment:
        """The same segment with the right checksum between two addresses (4 or 16 octets each)."""
        data = replace(self, checksum=0).write()
        return replace(self, checksum=transport_checksum(pseudo_header(src, dst, 6, len(data)), data))


def _fixed(r: Reader) -> tuple[Segment, int]:
    sport, dport = r.u16("sport"), r.u16("dport")
    seq, ack = r.u32("seq"), r.u32("ack")
    word = r.u16("offset_flags")
    if r.spans is not None:
        names = "+".join(name for bit, name in enumerate(_FLAGS) if word >> bit & 1)
        at = r.spans[-1]
        r.spans[-1] = at._replace(path=f"{r.path}.data_offset", end=at.start + 1, value=word >> 12)
        r.spans.append(
            at._replace(path=f"{r.path}.flags", start=at.start, value=f"0x{word & 0xFFF:03x} {names}".strip())
        )
    window, check, urgent = r.u16("window"), r.u16("checksum"), r.u16("urgent")
    return Segment(sport, dport, seq, ack, word & 0xFFF, window, check, urgent), word >> 12


def tcp(walk: Walk) -> Next:
    """A segment: ports, numbers, flags, window, options and payload; what is cut is read as far as it goes."""
    r = walk.enter("TCP", "tcp", "RFC 9293 3.1")
    found = walk.found
    start = r.pos
    if r.left < 20:
        _cut(walk)
        return None
    segment, offset = _fixed(r)
    found.sport, found.dport = segment.sport, segment.dport
    found.seq, found.ack, found.flags = segment.seq, segment.ack, segment.flags
    found.window, found.urgent = segment.window, segment.urgent
    size = offset * 4
    if size < 20 or start + size > walk.wire_end:
        _malformed(walk, start, offset)
        return None
    found.kind = "tcp"
    found.options_at = r.pos
    found.options_len = min(start + size, r.end) - r.pos
    _show_options(walk, found.options_len)
    r.pos = min(start + size, r.end)
    r.path, r.ref = "tcp", "RFC 9293 3.1"
    walk.load()
    found.load_at, found.load_len = start + size, walk.wire_end - start - size
    return None


def _malformed(walk: Walk, start: int, offset: int) -> None:
    """A header that cannot be as long as it says: as tshark has it, flags mean nothing where it is too short."""
    found = walk.found
    found.kind = "cut"
    found.unread = "malformed TCP header length"
    if offset < 5:
        found.flags = 0
    found.load_at = start + offset * 4
    found.load_len = max(0, walk.wire_end - found.load_at)


def _cut(walk: Walk) -> None:
    """A header that is not all there.  Its first 16 octets hold numbers, flags and window: enough for a story."""
    r, found = walk.r, walk.found
    start = r.pos
    found.unread = "cut TCP header" if r.end < walk.wire_end else "malformed TCP header length"
    found.sport, found.dport = r.u16("sport"), r.u16("dport")
    found.seq, found.ack = r.u32("seq"), r.u32("ack")
    word = r.u16("offset_flags")
    found.flags = word & 0xFFF
    found.window = r.u16("window")
    found.kind = "cut"
    found.load_at = start + (word >> 12) * 4
    found.load_len = max(0, walk.wire_end - found.load_at)


def _show_options(walk: Walk, size: int) -> None:
    """Leave a span for each option, when spans are wanted."""
    r = walk.r
    if r.spans is None:
        return
    at = r.pos
    for kind, data in options(bytes(r.data[at : at + size])):
        length = len(data) if kind == -1 else 1 if kind in (END, NOP) else len(data) + 2
        name, r.ref = OPTION_NAMES.get(kind, (f"option {kind}", "IANA tcp-parameters"))
        value: object = data.hex(" ")
        if kind == -1:
            name, r.ref = "padding", "RFC 9293 3.1"
        elif kind in (MSS, WINDOW_SCALE):
            value = int.from_bytes(data, "big")
        elif kind == TIMESTAMPS and len(data) == 8:
            value = f"value {int.from_bytes(data[:4], 'big')}, echo reply {int.from_bytes(data[4:], 'big')}"
        elif kind == SACK and len(data) % 8 == 0:
            edges = [int.from_bytes(data[i : i + 4], "big") for i in range(0, len(data), 4)]
            value = ", ".join(f"{left}-{right}" for left, right in zip(edges[::2], edges[1::2], strict=True))
        walk.bits(at, at + length, f"options.{name}", value)
        at += length
