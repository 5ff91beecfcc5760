"""The two byte streams of a connection as a conversation: who said what, in order, with every hole said.

Pieces of both sides are put in the order in which their octets could be read, and neighbours of one side are joined to
a turn.  Decrypted streams begin with what was said in the clear before TLS (a STARTTLS dialogue, a proxy's).  Nothing
of a stream reaches a terminal raw: text keeps its lines, everything else is escaped or dumped.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from synfin.observe.http2_frames import DATA
from synfin.observe.http2_frames import Framed as Frame
from synfin.observe.story import Connection
from synfin.observe.story_http import HttpStory
from synfin.observe.stream import ByteStream, Hole
from synfin.views.frames import SAID, fields, frames_of, message_of, speaks, title
from synfin.views.outcome import SIDES
from synfin.views.paint import PLAIN, Paint
from synfin.views.words import clean, count, dumped, moment, packets, wrap
from synfin.wire.http2 import PREFACE


class Turn(NamedTuple):
    """What one side sent before the other did: octets in order, or a hole (``data`` empty, ``missing`` octets)."""

    sender: int
    time: int
    packets: tuple[int, ...]
    data: bytes
    missing: int = 0
    acknowledged: bool = False
    offset: int = -1  # of the first octet in the stream it was taken from; negative: in clear, before TLS


class _Part(NamedTuple):
    """Octets ``offset .. offset + size`` of what is shown: those piece ``at`` of ``stream`` begins with."""

    offset: int
    stream: ByteStream
    at: int
    size: int


def turns(
    connection: Connection, sides: tuple[int, ...] = (0, 1), *, decrypted: bool = True, most: int | None = None
) -> Iterator[Turn]:
    """The turns of ``connection``, of the wanted ``sides`` only; decrypted where that is wanted and was possible.

    With ``most`` a turn is handed out in portions, each as soon as it has so many octets.
    """
    events: list[tuple[int, int, int, _Part | Hole]] = []
    for side in sides:
        time = connection.start
        for place, entry in enumerate(_entries(connection, side, decrypted)):
            if isinstance(entry, _Part):
                time = max(time, entry.stream.origin(entry.at)[1])
            events.append((time, side, place, entry))
    events.sort(key=lambda event: event[:3])
    sender, start = -1, 0
    offset = size = 0
    data: list[bytes] = []
    packets: list[int] = []
    for time, side, _, entry in events:
        hole = isinstance(entry, Hole)
        if data and (side != sender or hole or (most is not None and size >= most)):
            yield Turn(sender, start, tuple(packets), b"".join(data), offset=offset)
            data, packets, size = [], [], 0
        if isinstance(entry, Hole):
            yield Turn(side, time, (), b"", entry.length, entry.acknowledged)
            continue
        if not data:
            sender, start, offset = side, time, entry.offset
        data.append(entry.stream.octets(entry.at)[: entry.size])
        packets.append(entry.stream.origin(entry.at)[0])
        size += entry.size
    if data:
        yield Turn(sender, start, tuple(packets), b"".join(data), offset=offset)


def _entries(connection: Connection, side: int, decrypted: bool) -> list[_Part | Hole]:
    """Parts and holes of one side in stream order."""
    stream = connection.streams[side]
    tls = connection.tls
    if not decrypted or tls is None or tls.data is None:
        return _merged(stream)
    start = tls.start[side]
    before = [entry._replace(offset=entry.offset - start) for entry in _merged(stream, start)]
    inside = tls.data[side]
    return [*before, *_merged(inside)]


def _merged(stream: ByteStream, end: int | None = None) -> list[_Part | Hole]:
    """Parts and holes of ``stream`` in order, with ``end`` only what begins before it; parts reach no further."""
    entries: list[_Part | Hole] = [hole for hole in stream.holes if end is None or hole.offset < end]
    for at, (start, size) in enumerate(zip(*stream.layout(), strict=True)):
        if end is None or start < end:
            entries.append(_Part(start, stream, at, size if end is None else min(size, end - start)))
    return sorted(entries, key=lambda entry: entry.offset)


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
    told = _framed(connection, decrypted) if style == "auto" else None
    for turn in turns(connection, sides, decrypted=decrypted):
        who = SIDES[turn.sender]
        when = moment(turn.time - connection.start)
        if turn.missing:
            why = "acknowledged, so it was sent: the capture missed it" if turn.acknowledged else "never seen"
            yield paint("warn", f"── {who}, {count(turn.missing, 'octet')} missing ({why})")
            continue
        yield paint(who, f"── {who}, {when} s, {count(len(turn.data), 'octet')}, {packets(turn.packets)}")
        mine = told[turn.sender].within(turn.offset, len(turn.data)) if told is not None else []
        if style == "hex":
            yield from dump(turn.data)
        elif told is not None and mine:
            yield from _frames(turn, mine, told[turn.sender], width, paint)
        elif style == "text" or _is_text(turn.data):
            yield from _text(turn.data, width)
        else:
            yield from _mixed(turn.data, width)


class Framed(NamedTuple):
    """One side's HTTP/2 frames, and the story their header fields are quoted from."""

    http: HttpStory
    starts: list[int]
    all: list[Frame]

    def within(self, offset: int, size: int) -> list[Frame]:
        """The frames that have octets in ``size`` octets from ``offset``."""
        first = max(bisect_right(self.starts, offset) - 1, 0)
        last = bisect_left(self.starts, offset + size)
        return [frame for frame in self.all[first:last] if frame.offset + 9 + frame.length > offset]


def _framed(connection: Connection, decrypted: bool) -> tuple[Framed, Framed] | None:
    """The frames of both sides where the shown streams are HTTP/2."""
    http, tls = connection.http, connection.tls
    if http is None or not speaks(http) or http.tls != (decrypted and tls is not None and tls.data is not None):
        return None
    streams = tls.data if http.tls and tls is not None and tls.data is not None else connection.streams
    one, other = (frames_of(http, stream, side) for side, stream in enumerate(streams))
    return (
        Framed(http, [frame.offset for frame in one], one),
        Framed(http, [frame.offset for frame in other], other),
    )


def _frames(turn: Turn, frames: list[Frame], side: Framed, width: int, paint: Paint) -> Iterator[str]:
    """A line for each frame, then what it carries: header fields, text, or octets."""
    reached = turn.offset
    end = turn.offset + len(turn.data)
    for frame in frames:
        before = turn.data[reached - turn.offset : max(frame.offset - turn.offset, 0)]
        if before == PREFACE:
            yield paint("dim", "[connection preface]")
        elif before:  # the head of an upgrade, or what follows a hole
            yield from _mixed(before, width)
        stop = min(frame.offset + 9 + frame.length, end)
        begun = frame.offset < turn.offset
        yield from (paint("dim", line) for line in wrap(f"[{title(frame)}{', goes on' if begun else ''}]", width, 4))
        message = message_of(frame, side.http)
        body = turn.data[max(frame.offset + 9, turn.offset) - turn.offset : stop - turn.offset]
        if message is not None and not begun:
            for line in fields(message):
                yield from wrap(line, width, 4)
        elif frame.type == DATA and body:
            yield from _text(body, width) if _is_text(body) else dump(body)
        elif frame.type not in SAID and body:
            yield from dump(body)
        reached = stop
    if reached < end:
        yield from dump(turn.data[reached - turn.offset :])


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
        yield f"{at:08x}  {dumped(data[at : at + 16])}"
