"""The packets of one connection merged with what TLS and HTTP made of them: the pure facts behind the ladder.

Each packet becomes a ``Step``: when, who, and the things said in it, in the order they lie in the stream.  A message is
told at the packet that brought its last octet; packets that only carry a part say so.  What is routine (a plain
acknowledgement, one more segment of a long transfer) has weight ROUTINE, what tells of trouble below TLS has weight
MARK, everything else is an EVENT.  ``fold`` joins long runs of routine steps into one that counts what it holds, so
that a connection of thousands of packets stays readable and nothing is hidden without saying so.

The words come from ``segments`` (TCP), ``handshake`` (TLS) and ``exchange`` (HTTP); layout is the ladder's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from synfin.observe.story import Connection
from synfin.observe.story_tcp import Mark
from synfin.observe.tcpstates import States, states
from synfin.views import exchange, handshake
from synfin.views.outcome import SIDES
from synfin.views.segments import Segment, segments
from synfin.views.told import DATA_PLACE, EVENT, MARK, PROBLEM, ROUTINE, TURN, Item, Note
from synfin.views.words import count, listing, readable

#: A ladder as short as this is told packet by packet; in a longer one, routine runs longer than RUN are folded.
SHORT = 40
RUN = 4
#: A ladder longer than this folds runs of marked steps too, then runs of turns.
LONG = 300
#: A ladder still longer than this keeps its first and its last half; what is between becomes one line.
MOST = 1200


class Tally(NamedTuple):
    """What a packet adds to the counts of a fold: sender, octets of payload, whether a bare ACK, its marks."""

    sender: int
    octets: int
    pure_ack: bool
    marks: int


@dataclass(slots=True)
class Step:
    """One line of the ladder: a packet, several folded ones, or an ICMP error.

    ``sender`` is None for an ICMP error and for a fold that holds packets of both sides.
    """

    time: int
    gap: int  # ns since the step before
    sender: int | None
    packets: tuple[int, ...]
    items: list[Item] = field(default_factory=list)
    states: States | None = None
    changed: bool = False  # an end's state is not what it was a step before
    tallies: tuple[Tally, ...] = ()
    folded: bool = False
    end: int = 0  # time of the last packet

    @property
    def weight(self) -> int:
        """What the weightiest thing in it weighs."""
        return max((item.weight for item in self.items), default=ROUTINE)


def timeline(connection: Connection) -> list[Step]:
    """Every packet of ``connection`` as a step, in capture order, with both ends' states after it."""
    rows = connection.rows
    after = states(rows, connection.tcp.source)
    index = {number: i for i, number in enumerate(rows.number)}
    notes: list[list[Note]] = [[] for _ in rows.number]
    parts: dict[int, str] = {}
    for note in (*handshake.notes(connection), *exchange.notes(connection)):
        at = index.get(note.packet)
        if at is not None:
            notes[at].append(note)
    for packet, text in (*exchange.parts(connection), *handshake.parts(connection)):
        parts[packet] = text
    steps: list[Step] = []
    before: States | None = None
    turn: int | None = None  # who sent payload last
    marks = connection.tcp.marks
    for i, segment in enumerate(segments(connection)):
        number, sender = rows.number[i], rows.sender[i]
        now = after[i] if after else None
        mark = marks[i] if i < len(marks) else 0
        step = Step(
            rows.time[i],
            0,
            sender,
            (number,),
            _items(connection, i, segment, notes[i], parts.get(number, ""), new_turn=sender != turn),
            now,
            tallies=(Tally(sender, rows.load_len[i], segment.pure_ack, mark),),
            end=rows.time[i],
        )
        step.changed = now is not None and (before is None or _names(now) != _names(before))
        before = now
        if rows.load_len[i] and not segment.repeated and not segment.pure_ack:
            turn = sender
        steps.append(step)
    steps += _icmp(connection)
    steps.sort(key=lambda step: step.packets[0])
    for last, step in pairwise(steps):
        step.gap = step.time - last.time
    return steps


def _names(states: States) -> tuple[str, str]:
    return states[0].state, states[1].state


def _icmp(connection: Connection) -> Iterable[Step]:
    for error in connection.tcp.icmp:
        mtu = f"; the next link takes {count(error.mtu, 'octet')}" if error.mtu else ""
        what = f"ICMP {error.name.replace('_', ' ')} from {error.sender_ip}, about a segment of the "
        item = Item(f"{what}{SIDES[error.quoted_sender]}{mtu}", tone="bad")
        yield Step(error.time, 0, None, (error.packet,), [item], end=error.time)


def _items(
    connection: Connection, i: int, segment: Segment, notes: list[Note], part: str, *, new_turn: bool
) -> list[Item]:
    """The things said in packet ``i``: marks first, then flags, then what TLS and HTTP read in it."""
    rows = connection.rows
    payload = rows.load_len[i]
    items = [Item(text, (), MARK, "warn") for text in segment.marks]
    if segment.text:
        weight = ROUTINE if segment.pure_ack else MARK if segment.repeated else EVENT
        tone = "dim" if segment.pure_ack or segment.repeated else ""
        items.append(Item(segment.text, segment.details, weight, tone, segment.text.partition(":")[0]))
    told = [note for note in notes if note.order != DATA_PLACE]
    if told or (part and payload > 0):
        notes = told  # the record itself is not worth a word where it is known what is in it
    if notes:
        notes.sort(key=lambda note: note.order)
        items += [note.item for note in notes]
        if all(note.order[0] == PROBLEM for note in notes) and (line := readable(rows.payload(i))):
            items.append(Item(f"“{line}” ({count(payload, 'octet')})"))
    elif payload > 0 and not segment.pure_ack and not segment.repeated:
        items.append(_plain(connection, i, part, TURN if new_turn else ROUTINE))
    if payload > 0 and rows.load_cap[i] < payload:
        cut = f"only {count(rows.load_cap[i], 'octet')} of {payload:,} were captured"
        items.append(Item(cut, (), ROUTINE, "dim"))
    return items


def _plain(connection: Connection, i: int, part: str, weight: int) -> Item:
    """Payload that completes nothing: part of something larger, or text or octets nobody read."""
    rows = connection.rows
    size = count(rows.load_len[i], "octet")
    if part:
        return Item(f"{size}: {part}", (), ROUTINE, "dim")
    if connection.tls is None or _before_tls(connection, i):
        line = readable(rows.payload(i))
        if line:
            return Item(f"“{line}” ({size})", (), weight)
    return Item(f"{size} of data", (), weight)


def _before_tls(connection: Connection, i: int) -> bool:
    tls = connection.tls
    return tls is not None and bool(tls.records) and connection.rows.number[i] < tls.records[0].packet


# ---------------------------------------------------------------- folding


def fold(steps: list[Step]) -> list[Step]:
    """``steps`` with long runs of routine ones joined; while that is still long, of weightier ones too."""
    if len(steps) <= SHORT:
        return steps
    for most in (ROUTINE, MARK, TURN):
        steps = _fold(steps, most)
        if len(steps) <= LONG:
            return steps
    if len(steps) <= MOST:
        return steps
    half = MOST // 2
    return [*steps[:half], _join(steps[half:-half]), *steps[-half:]]


def _fold(steps: list[Step], most: int) -> list[Step]:
    out: list[Step] = []
    run: list[Step] = []
    for step in steps:
        if step.weight <= most and not step.changed:
            run.append(step)
            continue
        out += _joined(run)
        run = []
        out.append(step)
    return out + _joined(run)


def _joined(run: list[Step]) -> list[Step]:
    return [_join(run)] if len(run) > RUN else run


def _join(run: list[Step]) -> Step:
    tallies = tuple(tally for step in run for tally in step.tallies)
    senders = {tally.sender for tally in tallies}
    return Step(
        run[0].time,
        run[0].gap,
        senders.pop() if len(senders) == 1 else None,
        tuple(packet for step in run for packet in step.packets),
        [summary(tallies)],
        run[-1].states,
        tallies=tallies,
        folded=True,
        end=run[-1].end,
    )


#: What a fold says of marks, in this order.
_MARK_WORDS = (
    (Mark.RETRANSMISSION, "retransmission", ""),
    (Mark.OUT_OF_ORDER, "out of order", "out of order"),
    (Mark.LOST_SEGMENT, "gap in the capture", "gaps in the capture"),
    (Mark.DUPLICATE_ACK, "duplicate ACK", ""),
    (Mark.ZERO_WINDOW, "zero window", ""),
    (Mark.WINDOW_FULL, "window full", "windows full"),
    (Mark.WINDOW_UPDATE, "window update", ""),
    (Mark.KEEP_ALIVE, "keep-alive", ""),
)


def summary(tallies: Sequence[Tally]) -> Item:
    """What a run of packets amounts to: segments and octets each way, acknowledgements, marks."""
    words = []
    for side, name in enumerate(SIDES):
        sizes = [tally.octets for tally in tallies if tally.sender == side and tally.octets and not tally.pure_ack]
        if sizes:
            words.append(f"{name} {count(len(sizes), 'more segment')}, {count(sum(sizes), 'octet')}")
        bare = sum(tally.pure_ack for tally in tallies if tally.sender == side)
        if bare:
            words.append(f"{count(bare, 'ACK')}" if sizes else f"{name} {count(bare, 'ACK')}")
    marks = []
    for mark, one, many in _MARK_WORDS:
        number = sum(bool(tally.marks & mark) for tally in tallies)
        if number:
            marks.append(count(number, one, many))
    tone = "warn" if any(tally.marks & ~(Mark.WINDOW_UPDATE | Mark.KEEP_ALIVE) for tally in tallies) else "dim"
    text = f"{'; '.join(words)}" + (f" ({listing(marks)})" if marks else "")
    return Item(text, (), MARK if marks else ROUTINE, tone)
