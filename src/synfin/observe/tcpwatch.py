"""The TCP story of one connection: what each side sent, how it opened and closed, what went wrong on the way.

Facts only, from the packets of one vantage point.  The marks of single segments are made in ``tcpwatch_marks``, the
states in ``tcpstates``, the byte streams in ``reassemble``; here they are put together and counted.  Sources: RFC 9293
(TCP), RFC 7323 (window scale, timestamps), RFC 2018 (SACK), RFC 7413 (Fast Open), RFC 6298 section 3 (Karn's rule).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median_low

from synfin.capture.table import Kind
from synfin.observe.flows import FlowRows
from synfin.observe.flows_digest import SideCounts
from synfin.observe.reassemble import RowStream, in_order, reassemble
from synfin.observe.rows import Rows
from synfin.observe.story_tcp import EndState, IcmpError, Knowledge, Mark, Stall, SynFacts, TcpSide, TcpStory
from synfin.observe.stream import ByteStream
from synfin.observe.tcpstates import follow
from synfin.observe.tcpwatch_facts import close, completeness, cookie_look, side_facts, syn_facts
from synfin.observe.tcpwatch_marks import marks as segment_marks
from synfin.observe.tcpwatch_options import options
from synfin.observe.tcpwatch_plain import watch_plain
from synfin.wire.tcpflags import ACK, FIN, RST, SYN

_M = 0xFFFFFFFF
_PDU = int(Kind.PDU)
_H = 1 << 31
RTO_LEAST = 150_000_000  # ns of silence before a repeat that make it a timeout rather than a fast repeat

_NAMES = {int(mark): (mark.name or "").lower() for mark in Mark}
_REPEATED = int(Mark.RETRANSMISSION | Mark.OUT_OF_ORDER | Mark.KEEP_ALIVE | Mark.ZERO_WINDOW_PROBE)
_GARBAGE = int(Mark.KEEP_ALIVE)
_REUSED = int(Mark.REUSED_PORTS)
_ZERO = int(Mark.ZERO_WINDOW)
_RETRANSMISSION = int(Mark.RETRANSMISSION)
_SLOW = int(Mark.RETRANSMISSION | Mark.FAST_RETRANSMISSION | Mark.SPURIOUS_RETRANSMISSION)
_NOTHING = EndState("CLOSED", Knowledge.ASSUMED)
_NO_SIDE = TcpSide(0, 0, 0, 0, 0, None, 0, None, None, 0, {}, 0, 0, None, None, None, None)


def watch_tcp(flow: FlowRows, icmp: Sequence[IcmpError] = ()) -> tuple[TcpStory, tuple[ByteStream, ByteStream]]:
    """The TCP story of ``flow`` and the byte streams of A and B; ``icmp`` are the errors that quote its segments."""
    rows = flow.rows
    if rows.kind[0] == _PDU:
        return _pdu_story(icmp), (in_order(rows, 0), in_order(rows, 1))
    if flow.plain:
        found = watch_plain(flow, icmp)
        if found is not None:
            return found
    syns = (_syn_facts(rows, 0), _syn_facts(rows, 1))
    marks = segment_marks(rows, flow.reused)
    placed = [_stream(rows, side, syns[side], marks) for side in (0, 1)]
    streams = [stream for stream, _ in placed]
    unique = [covered for _, covered in placed]
    marked = any(marks)
    final, shape = follow(rows)
    sides = (
        _side(rows, flow.counts[0], syns[0], syns[1], marks, unique[0], 0),
        _side(rows, flow.counts[1], syns[1], syns[0], marks, unique[1], 1),
    )
    handshake = _handshake(rows, sides)
    words = list(shape)
    if not (sides[0].packets and sides[1].packets):
        words.append("one_sided")
    if syns[0] is None or flow.opened_by == "first":
        words.append("starts_late")
    if cookie_look(syns):
        words.append("syn_cookie_look")
    if handshake == "syn_synack":
        words.append("stale_syn" if sides[0].rsts else "half_open")
    initial_rtt, syn_to_synack = _round_trip(rows)
    how, rst_after_fin, rst_by, fin_by = close(sides)
    story = TcpStory(
        source="packets",
        handshake=handshake,
        close=how,
        rst_after_fin=rst_after_fin,
        rst_first_by=rst_by,
        fin_first_by=fin_by,
        completeness=completeness(rows),
        initial_rtt=initial_rtt,
        syn_to_synack=syn_to_synack,
        sides=sides,
        final=final,
        shape=tuple(words),
        stalls=tuple(_stalls(rows, marks)) if marked else (),
        icmp=tuple(icmp),
        overlaps=streams[0].overlaps + streams[1].overlaps,
        reused_ports=marked and any(mark & _REUSED for mark in marks),
        marks=marks,
    )
    return story, (streams[0], streams[1])


def _pdu_story(icmp: Sequence[IcmpError]) -> TcpStory:
    return TcpStory(
        source="pdu",
        handshake="none",
        close="open",
        rst_after_fin=False,
        rst_first_by=None,
        fin_first_by=None,
        completeness=0,
        initial_rtt=None,
        syn_to_synack=None,
        sides=(_NO_SIDE, _NO_SIDE),
        final=(_NOTHING, _NOTHING),
        shape=(),
        stalls=(),
        icmp=tuple(icmp),
        overlaps=(),
        reused_ports=False,
        marks=[],
    )


def _syn_facts(rows: Rows, side: int) -> SynFacts | None:
    """What ``side`` said in its first SYN or SYN-ACK."""
    for i, (flags, sender) in enumerate(zip(rows.flags, rows.sender, strict=True)):
        if flags & SYN and sender == side:
            return syn_facts(rows, i)
    return None


def _stream(rows: Rows, side: int, syn: SynFacts | None, marks: list[int]) -> tuple[RowStream, int]:
    """The byte stream of ``side`` and the octets of sequence space its payload covers."""
    start = None if syn is None else (syn.seq + 1) & _M
    chosen = [
        i for i, (who, size) in enumerate(zip(rows.sender, rows.load_len, strict=True)) if size > 0 and who == side
    ]
    garbage = frozenset(i for i in chosen if marks[i] & _GARBAGE)
    return reassemble(rows, side, start, garbage)


def _side(
    rows: Rows,
    count: SideCounts,
    own: SynFacts | None,
    peer: SynFacts | None,
    marks: list[int],
    unique: int,
    side: int,
) -> TcpSide:
    """What one side sent."""
    counted: dict[str, int] = {}
    for mark, times in Counter([mark for mark, who in zip(marks, rows.sender, strict=True) if who == side]).items():
        for bit, name in _NAMES.items() if mark else ():
            if mark & bit:
                counted[name] = counted.get(name, 0) + times
    return side_facts(rows, side, count, own, peer, unique, counted, lambda _: _rtt(rows, side, marks))


def _rtt(rows: Rows, side: int, marks: list[int]) -> tuple[int, int, int] | None:
    """Minimum, median and maximum time from the other side's data to ``side``'s acknowledgment of it, ns.

    Karn's rule: while a repeated segment waits for its acknowledgment nothing is measured, unless timestamps tell
    which copy is answered (RFC 7323 section 4).
    """
    samples: list[int] = []
    waiting: list[tuple[int, int, int]] = []  # number after the segment, time, index
    copies: dict[int, int] = {}  # timestamp of each copy of the repeated segment -> when it was sent
    barrier: int | None = None
    done = 0
    for i, (sender, time, seq, ack, flags, size, mark) in enumerate(
        zip(rows.sender, rows.time, rows.seq, rows.ack, rows.flags, rows.load_len, marks, strict=True)
    ):
        if sender != side:
            if not size:
                continue
            end = (seq + size) & _M
            if not mark & _REPEATED:
                waiting.append((end, time, i))
                continue
            if barrier is None:
                copies = {}
            for known, when, row in (*[sent for sent in waiting[done:] if sent[0] == end], (end, time, i)):
                said = options(rows.options(row)).timestamps
                if said is not None and known == end:
                    copies.setdefault(said[0], when)
            if len(waiting) > done:
                barrier = waiting[-1][0]
            elif barrier is None:
                barrier = end
            waiting, done = [], 0
        elif flags & ACK:
            when = None
            if barrier is not None:
                said = options(rows.options(i)).timestamps
                if (ack - barrier) & _M >= _H:
                    continue
                if said is not None:
                    when = copies.get(said[1])
                barrier = None
            while done < len(waiting) and (ack - waiting[done][0]) & _M < _H:
                when = waiting[done][1]
                done += 1
            if when is not None:
                samples.append(time - when)
    if not samples:
        return None
    return min(samples), median_low(samples), max(samples)


def _handshake(rows: Rows, sides: tuple[TcpSide, TcpSide]) -> str:
    syn = synack = None
    for i, flags in enumerate(rows.flags):
        if flags & SYN:
            if flags & ACK:
                synack = i if synack is None else synack
            else:
                syn = i if syn is None else syn
    if syn is None:
        return "none" if synack is None else "synack_only"
    if synack is not None:
        for i in range(synack + 1, len(rows)):
            if rows.flags[i] & (ACK | SYN | RST) == ACK and rows.sender[i] == 0:
                return "complete"
        return "syn_synack"
    if sides[1].packets and sides[1].packets == sides[1].rsts and sides[0].packets == sides[0].syns:
        return "refused"
    if len(rows) == sides[0].syns + sides[1].syns:
        return "syn_only"
    return "syn_no_synack"


def _round_trip(rows: Rows) -> tuple[int | None, int | None]:
    """SYN to the ACK that ends the handshake, and SYN to SYN-ACK, ns."""
    syn = synack = None
    for flags, time in zip(rows.flags, rows.time, strict=True):
        if flags & SYN:
            if not flags & ACK:
                syn = time
            elif synack is None and syn is not None:
                synack = time - syn
        elif flags & ACK and syn is not None and time != syn:
            if synack is None and not (any(rows.sender) or any(rows.load_len)):
                break  # SYNs and ACKs of one side alone: nothing was answered
            return time - syn, synack
    return None, synack


def _sent_before(rows: Rows, i: int, top: int | None) -> bool:
    """Whether packet ``i`` begins with octets its sender had sent already; else it came late or fills a hole."""
    return top is not None and (rows.seq[i] - top) & _M >= _H


def _stalls(rows: Rows, marks: list[int]) -> list[Stall]:
    """Stretches in which a side was held up: closed windows, timeouts, unanswered SYNs."""
    out: list[Stall] = []
    closed: list[tuple[int, list[int]] | None] = [None, None]
    last_sent: list[int | None] = [None, None]
    top: list[int | None] = [None, None]  # how far each side's sequence numbers reached
    timeout: list[tuple[int, list[int]] | None] = [None, None]
    syn_times: list[list[int]] = [[], []]
    for i, (sender, time, flags, window, mark) in enumerate(
        zip(rows.sender, rows.time, rows.flags, rows.window, marks, strict=True)
    ):
        number = rows.number[i]
        if flags & SYN:
            syn_times[sender].append(i)
        held = closed[sender]
        if mark & _ZERO:
            if held is None:
                closed[sender] = (time, [number])
            else:
                held[1].append(number)
        elif held is not None and (window or flags & RST):
            out.append(Stall("zero_window", 1 - sender, held[0], time, (*held[1], number)))
            closed[sender] = None
        if rows.load_len[i] or flags & (SYN | FIN):
            before = last_sent[sender]
            again = timeout[sender]
            slow = mark & _SLOW == _RETRANSMISSION and _sent_before(rows, i, top[sender])
            if slow and not flags & SYN and before is not None and time - rows.time[before] >= RTO_LEAST:
                if again is None:
                    again = timeout[sender] = (rows.time[before], [rows.number[before]])
                again[1].append(number)
            elif again is not None:
                out.append(Stall("retransmission_timeout", sender, again[0], rows.time[before or 0], tuple(again[1])))
                timeout[sender] = None
            last_sent[sender] = i
            reach = (rows.seq[i] + rows.load_len[i] + (flags & FIN) + (flags >> 1 & 1)) & _M
            if top[sender] is None or (reach - (top[sender] or 0)) & _M < _H:
                top[sender] = reach
    end = rows.time[-1]
    for side in (0, 1):
        held, again = closed[side], timeout[side]
        if held is not None:
            out.append(Stall("zero_window", 1 - side, held[0], end, tuple(held[1])))
        if again is not None:
            out.append(
                Stall("retransmission_timeout", side, again[0], rows.time[last_sent[side] or 0], tuple(again[1]))
            )
        tries = syn_times[side]
        if len(tries) > 1:
            packets = tuple([rows.number[i] for i in tries])
            out.append(Stall("syn_retry", side, rows.time[tries[0]], rows.time[tries[-1]], packets))
    return sorted(out, key=lambda stall: stall.start)
