"""The two byte streams of a connection as a conversation: who said what, in order, with every hole said.

Pieces of both sides are put in the order in which their octets could be read, and neighbours of one side are joined to
a turn.  Decrypted streams begin with what was said in the clear before TLS (a STARTTLS dialogue, a proxy's).  Nothing
of a stream reaches a terminal raw: text keeps its lines, everything else is escaped or dumped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from synfin.observe.story import Connection
from synfin.observe.stream import Hole, Piece
from synfin.views.outcome import SIDES
from synfin.views.paint import PLAIN, Paint
from synfin.views.words import clean, count, moment, ranges, wrap


class Turn(NamedTuple):
    """What one side sent before the other did: octets in order, or a hole (``data`` empty, ``missing`` octets)."""

    sender: int
    time: int
    packets: tuple[int, ...]
    data: bytes
    missing: int = 0
    acknowledged: bool = False


def turns(connection: Connection, sides: tuple[int, ...] = (0, 1), *, decrypted: bool = True) -> Iterator[Turn]:
    """The turns of ``connection``, of the wanted ``sides`` only; decrypted where that is wanted and was possible."""
    events: list[tuple[int, int, int, Piece | Hole]] = []
    for side in sides:
        time = connection.start
        for place, entry in enumerate(_entries(connection, side, decrypted)):
            if isinstance(entry, Piece):
                time = max(time, entry.ready)
            events.append((time, side, place, entry))
    events.sort(key=lambda event: event[:3])
    sender, start = -1, 0
    data: list[bytes] = []
    packets: list[int] = []
    for time, side, _, entry in events:
        hole = isinstance(entry, Hole)
        if data and (side != sender or hole):
            yield Turn(sender, start, tuple(packets), b"".join(data))
            data, packets = [], []
        if isinstance(entry, Hole):
            yield Turn(side, time, (), b"", entry.length, entry.acknowledged)
            continue
        if not data:
            sender, start = side, time
        data.append(entry.data)
        packets.append(entry.packet)
    if data:
        yield Turn(sender, start, tuple(packets), b"".join(data))


def _entries(connection: Connection, side: int, decrypted: bool) -> list[Piece | Hole]:
    """Pieces and holes of one side in stream order."""
    stream = connection.streams[side]
    tls = connection.tls
    if not decrypted or tls is None or tls.data is None:
        return _merged(stream.pieces, stream.holes)
    start = tls.start[side]
    before = [
        piece._replace(data=piece.data[: start - piece.offset]) for piece in stream.pieces if piece.offset < start
    ]
    holes = [hole for hole in stream.holes if hole.offset < start]
    inside = tls.data[side]
    return [*_merged(before, tuple(holes)), *_merged(inside.pieces, inside.holes)]


def _merged(pieces: list[Piece], holes: tuple[Hole, ...]) -> list[Piece | Hole]:
    entries: list[Piece | Hole] = [*pieces, *holes]
    entries.sort(key=lambda entry: entry.offset)
    return entries


def conversation(
    connection: Connection,
    sides: tuple[int, ...] = (0, 1),
    style: str = "auto",
    width: int = 100,
    paint: Paint = PLAIN,
    *,
    decrypted: bool = True,
) -> Iterator[str]:
    """The lines of the conversation; ``style`` is "text", "hex", or "auto" (text where it is text)."""
    for turn in turns(connection, sides, decrypted=decrypted):
        who = SIDES[turn.sender]
        when = moment(turn.time - connection.start)
        if turn.missing:
            why = "acknowledged, so it was sent: the capture missed it" if turn.acknowledged else "never seen"
            yield paint("warn", f"── {who}, {count(turn.missing, 'octet')} missing ({why})")
            continue
        where = f"{'packet' if len(set(turn.packets)) == 1 else 'packets'} {ranges(turn.packets)}"
        yield paint(who, f"── {who}, {when} s, {count(len(turn.data), 'octet')}, {where}")
        if style == "hex":
            yield from dump(turn.data)
        elif style == "text" or _is_text(turn.data):
            yield from _text(turn.data, width)
        else:
            yield from _mixed(turn.data, width)


def _mixed(data: bytes, width: int) -> Iterator[str]:
    """A header that is text and a body that is not (a compressed answer, say), or a dump of everything."""
    head, end, _ = data[:65536].partition(b"\r\n\r\n")
    if not end or data.startswith(b"PRI ") or not _is_text(head):
        yield from dump(data)
        return
    yield from _text(head, width)
    yield ""
    yield from dump(data[len(head) + len(end) :])


def _is_text(data: bytes) -> bool:
    """Whether ``data`` begins like text: few control octets in its first thousand."""
    head = data[:1000]
    odd = sum((octet < 32 and octet not in (9, 10, 13, 27)) or octet == 127 for octet in head)
    if odd * 50 > len(head):
        return False
    try:
        head[: len(head) - 3].decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 8
    return True


def _text(data: bytes, width: int) -> Iterator[str]:
    text = data.decode("utf-8", "backslashreplace").replace("\r\n", "\n").replace("\t", "    ")
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    for line in lines:
        yield from wrap(clean(line), width, 0)


def dump(data: bytes) -> Iterator[str]:
    """Sixteen octets to a line: offset, octets, characters."""
    for at in range(0, len(data), 16):
        octets = data[at : at + 16]
        text = "".join(chr(octet) if 32 <= octet < 127 else "." for octet in octets)
        yield f"{at:08x}  {octets.hex(' '):47}  {text}"
