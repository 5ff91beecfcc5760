"""What each TCP segment says, in words: opening, acknowledging, closing, and every mark of trouble.

Works on one connection's rows in one pass: sequence numbers are followed without their 32-bit wrap, so an
acknowledgement can be told by the packets it acknowledges and a repetition by the packet it repeats.
The marks themselves are the TCP watcher's (``story_tcp.Mark``); here they only get words.
"""

from __future__ import annotations

from typing import NamedTuple

from synfin.observe.rows import Rows
from synfin.observe.story import Connection
from synfin.observe.story_tcp import Mark, SynFacts
from synfin.views.words import count, duration, listing, packets
from synfin.wire.tcpflags import ACK, CWR, ECE, FIN, RST, SYN, URG

_HALF = 1 << 31
_MASK = 0xFFFFFFFF

#: Marks whose words say all there is to a bare acknowledgement.
_SAID = Mark.DUPLICATE_ACK | Mark.ZERO_WINDOW_PROBE | Mark.ZERO_WINDOW | Mark.ZERO_WINDOW_PROBE_ACK


class Segment(NamedTuple):
    """One segment in words: ``text`` for its flags, ``details`` below it, ``marks`` said in words, and its weight."""

    text: str
    details: tuple[str, ...]
    marks: tuple[str, ...]
    pure_ack: bool
    repeated: bool


def segments(connection: Connection) -> list[Segment]:
    """The words of every packet of ``connection``, aligned with its rows."""
    follow = _Follow(connection)
    return [follow.segment(i) for i in range(len(connection.rows))]


class _Follow:
    """The running state of the pass: where each side's sequence numbers are, and which packet reached where."""

    def __init__(self, connection: Connection) -> None:
        self.rows: Rows = connection.rows
        self.tcp = connection.tcp
        self.marks = connection.tcp.marks
        self.high: list[int | None] = [None, None]  # unwrapped sequence number after the highest octet
        self.ends: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])  # (unwrapped end, packet)
        self.acked = [0, 0]  # how many entries of ``ends`` are acknowledged
        self.first: tuple[dict[int, int], dict[int, int]] = ({}, {})  # seq -> row that first sent it
        self.duplicates = [0, 0]
        self.scale = _scales(connection)
        self.shut: list[int | None] = [None, None]  # when each side closed its window
        self.start: list[int | None] = [None, None]  # number of each side's SYN

    def segment(self, i: int) -> Segment:
        rows = self.rows
        side, flags, size = rows.sender[i], rows.flags[i], rows.load_len[i]
        mark = Mark(self.marks[i]) if i < len(self.marks) else Mark(0)
        if self.tcp.source == "pdu":
            return Segment("", (), (), False, False)
        if flags & SYN and self.start[side] is None:
            self.start[side] = rows.seq[i]
        before = self.high[side]
        span = size + (1 if flags & SYN else 0) + (1 if flags & FIN else 0)
        at = rows.seq[i] if before is None else before + ((rows.seq[i] - before + _HALF) & _MASK) - _HALF
        again = self.first[side].get(rows.seq[i]) if span else None
        if before is None or at + span > before:
            self.high[side] = at + span
            if span:
                self.ends[side].append((at + span, rows.number[i]))
        if span and again is None:
            self.first[side][rows.seq[i]] = i
        newly = self._newly(side, rows.ack[i]) if flags & ACK else []
        self.duplicates[side] = self.duplicates[side] + 1 if mark & Mark.DUPLICATE_ACK else 0
        details: tuple[str, ...] = ()
        pure = False
        if flags & SYN:
            text, details = self._syn(i)
        elif flags & RST:
            text = "RST: breaks the connection off"
        elif flags & FIN:
            text = "FIN: has nothing more to send"
        elif size == 0 and flags & ACK:
            text, pure = self._ack(i, newly, mark), True
        elif size == 0:
            text = "segment without flags or data" if not flags & 0xFFF else "segment without ACK or data"
        else:
            text = ""
        if flags & (FIN | RST) and newly:
            text += f", acknowledges {packets(newly)}"
        odd = [name for bit, name in ((URG, "URG"), (CWR, "CWR"), (ECE, "ECE")) if flags & bit and not flags & SYN]
        if odd:
            details += (f"flags {listing(odd)}",)
        return Segment(text, details, self._troubles(i, mark, again), pure, bool(mark & Mark.RETRANSMISSION))

    def _newly(self, side: int, ack: int) -> list[int]:
        """The other side's packets that ``ack`` is the first to acknowledge."""
        other = 1 - side
        high = self.high[other]
        if high is None:
            return []
        reached = high + ((ack - high + _HALF) & _MASK) - _HALF
        ends, at = self.ends[other], self.acked[other]
        packets = []
        while at < len(ends) and ends[at][0] <= reached:
            packets.append(ends[at][1])
            at += 1
        self.acked[other] = at
        return packets

    def _syn(self, i: int) -> tuple[str, tuple[str, ...]]:
        rows, side = self.rows, self.rows.sender[i]
        answer = bool(rows.flags[i] & ACK)
        text = "SYN, ACK: agrees to open" if answer else "SYN: asks to open a connection"
        facts = self.tcp.sides[side].syn
        if facts is None or facts.packet != rows.number[i]:
            return text, ()
        lines = [f"sequence numbers start at {facts.seq}, window {count(facts.window, 'octet')}", _options(facts)]
        if rows.load_len[i]:
            lines.append(f"carries {count(rows.load_len[i], 'octet')} of data")
        if rows.flags[i] & (ECE | CWR):
            lines.append("offers ECN" if not answer else "accepts ECN")
        return text, tuple(lines)

    def _ack(self, i: int, newly: list[int], mark: Mark) -> str:
        if mark & Mark.KEEP_ALIVE:
            return "keep-alive: are you still there?"
        if mark & Mark.KEEP_ALIVE_ACK:
            return "keep-alive answered: still here"
        if mark & _SAID or (mark & Mark.WINDOW_UPDATE and self.shut[self.rows.sender[i]] is not None):
            return ""
        if mark & Mark.WINDOW_UPDATE:
            return f"window update: can take {count(self._window(i), 'octet')} now"
        return f"ACK of {packets(newly)}" if newly else "ACK"

    def _reached(self, side: int) -> str:
        """Which packet of ``side`` the last acknowledgement reached, for an acknowledgement that says it again."""
        at = self.acked[side]
        return f": again up to packet {self.ends[side][at - 1][1]}" if at else ""

    def _window(self, i: int) -> int:
        return self.rows.window[i] << self.scale[self.rows.sender[i]]

    def _troubles(self, i: int, mark: Mark, again: int | None) -> tuple[str, ...]:
        rows, side = self.rows, self.rows.sender[i]
        words = []
        if mark & Mark.RETRANSMISSION:
            kind, start = "retransmission", self.start[side]
            if start is not None and (rows.seq[i] - start & _MASK) >= _HALF:
                kind = "old duplicate: its number is from before this connection"
            elif mark & Mark.FAST_RETRANSMISSION:
                kind = "fast retransmission"
            elif mark & Mark.SPURIOUS_RETRANSMISSION:
                kind = "needless retransmission (it was already acknowledged)"
            if again is not None:
                kind += f" of packet {rows.number[again]}, {duration(rows.time[i] - rows.time[again])} later"
            if rows.load_len[i]:
                kind += f" ({count(rows.load_len[i], 'octet')})"
            words.append(kind)
        if mark & Mark.OUT_OF_ORDER:
            words.append("out of order: overtaken by later octets")
        if mark & Mark.LOST_SEGMENT:
            words.append("octets before these were not captured")
        if mark & Mark.ACK_LOST_SEGMENT:
            words.append("acknowledges octets that were not captured")
        if mark & Mark.DUPLICATE_ACK:
            words.append(f"duplicate ACK no. {self.duplicates[side]}{self._reached(1 - side)}")
        if mark & Mark.ZERO_WINDOW_PROBE:
            words.append("zero window probe: may I send again?")
        if mark & Mark.ZERO_WINDOW:
            words.append("zero window: its receive buffer is full")
        shut = self.shut[side]
        if mark & (Mark.ZERO_WINDOW | Mark.ZERO_WINDOW_PROBE_ACK):
            self.shut[side] = rows.time[i] if shut is None else shut
        elif shut is not None and rows.window[i]:
            self.shut[side] = None
            words.append(f"window open again after {duration(rows.time[i] - shut)}: {count(self._window(i), 'octet')}")
        if mark & Mark.ZERO_WINDOW_PROBE_ACK:
            words.append("probe answered: still no room")
        if mark & Mark.WINDOW_FULL:
            words.append("fills the other side's window")
        if mark & Mark.REUSED_PORTS:
            words.append("the same ports as an earlier connection")
        if mark & Mark.TFO_SYN:
            words.append("TCP Fast Open: data on the SYN")
        if mark & Mark.TFO_ACK:
            words.append("TCP Fast Open data accepted")
        if mark & Mark.TFO_IGNORED:
            words.append("TCP Fast Open data ignored")
        return tuple(words)


def _scales(connection: Connection) -> tuple[int, int]:
    """The window shift of each side; 0 unless both offered it (RFC 7323 2.2)."""
    syns = [side.syn for side in connection.tcp.sides]
    shifts = [syn.wscale if syn is not None else None for syn in syns]
    if shifts[0] is None or shifts[1] is None:
        return 0, 0
    return min(shifts[0], 14), min(shifts[1], 14)


def _options(facts: SynFacts) -> str:
    words = [f"MSS {facts.mss:,}" if facts.mss is not None else "no MSS (so 536 octets, 1,220 over IPv6)"]
    if facts.wscale is not None:
        words.append(f"window scale {facts.wscale} (×{1 << min(facts.wscale, 14)})")
    if facts.sack_permitted:
        words.append("SACK permitted")
    if facts.timestamps:
        words.append("timestamps")
    if facts.fast_open is not None:
        words.append(f"Fast Open cookie {facts.fast_open.hex()}" if facts.fast_open else "asks for a Fast Open cookie")
    known = {0, 1, 2, 3, 4, 8, 34}
    words += [f"option {option.kind}" for option in facts.options if option.kind not in known]
    return f"options: {listing(words)}"
