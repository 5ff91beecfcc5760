"""The table of connections: one line each, as wide as the place it is printed in.

Thirty thousand lines must cost less than a second, so a line is a tuple of strings and one join; no table object is
built.  Column widths are settled from the first and the last ``SETTLE`` connections; other cells that do not fit are
shortened (on a terminal) or stick out (in a pipe, where nothing may be lost).  Narrow terminals drop columns, least
telling first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from synfin.judge.codes import CODES
from synfin.judge.model import Finding, Severity
from synfin.observe.story import Connection, Endpoint
from synfin.views.names import spoken, summary_spoken
from synfin.views.outcome import Outcome, outcome
from synfin.views.paint import OUTCOME, PLAIN, SEVERITY, Paint
from synfin.views.words import clean, duration, moment, pad, shorten_middle, width_of

if TYPE_CHECKING:
    from synfin.observe.listing import Summary

#: How many connections at either end of the table settle the widths of its columns.
SETTLE = 400


class Row(NamedTuple):
    """The cells of one connection; ``outcome`` and ``severity`` only decide colours.  Sorts by id."""

    id: int
    start: int  # ns on the capture's clock
    client: str
    server: str
    name: str
    spoken: str
    packets: str
    bytes: str
    ended: str
    time: str
    worst: str
    who: str  # the name, or the server where there is none: for narrow places
    outcome: str
    severity: Severity | None


_TITLES = {
    "id": "id",
    "start": "start",
    "client": "client",
    "server": "server",
    "name": "name",
    "spoken": "speaks",
    "packets": "packets",
    "bytes": "bytes",
    "ended": "how it ended",
    "time": "time",
    "worst": "worst finding",
    "who": "server",
}
_RIGHT = frozenset({"id", "start", "packets", "bytes", "time"})
#: The least a flexible column may shrink to; columns not named here keep their natural width.
_FLOOR = {"client": 15, "server": 15, "name": 16, "who": 14, "ended": 19, "worst": 7, "spoken": 12}
#: From the fullest line to the poorest; the first whose columns fit at their floors is used.
_LAYOUTS = (
    ("id", "start", "client", "server", "name", "spoken", "packets", "bytes", "ended", "time", "worst"),
    ("id", "start", "client", "server", "name", "spoken", "packets", "ended", "time", "worst"),
    ("id", "client", "server", "name", "spoken", "packets", "ended", "time", "worst"),
    ("id", "client", "who", "spoken", "packets", "ended", "time", "worst"),
    ("id", "client", "who", "spoken", "ended", "time", "worst"),
    ("id", "who", "spoken", "ended", "time", "worst"),
    ("id", "who", "spoken", "ended", "worst"),
    ("id", "who", "ended", "worst"),
    ("id", "who", "ended"),
)
#: Who gets spare room first when a layout fits with some to spare: up to a fair width, then up to what it wants.
_GROW = ("spoken", "who", "ended", "name", "server", "client", "worst")
_FAIR = {"who": 22, "ended": 28, "name": 24, "worst": 40}


def row(connection: Connection, findings: Sequence[Finding] = (), ended: Outcome | None = None) -> Row:
    """The cells of ``connection``."""
    ended = outcome(connection) if ended is None else ended
    worst = max(findings, key=lambda finding: finding.severity, default=None)
    name = _name(connection.name, connection.b)
    server = str(connection.b)
    sides = connection.tcp.sides
    number = len(connection.rows)
    return Row(
        connection.id,
        connection.start,
        str(connection.a),
        server,
        name,
        spoken(connection),
        f"{number:,}",
        f"{sides[0].wire_bytes + sides[1].wire_bytes:,}",
        clean(ended.words),
        duration(connection.end - connection.start) if number > 1 else "-",
        f"{worst.severity.name.lower()} {worst.code} {CODES[worst.code].title}" if worst is not None else "",
        name or server,
        ended.kind,
        worst.severity if worst is not None else None,
    )


def _name(name: str, server: Endpoint) -> str:
    """The name asked for, unless it only says the server's address again."""
    return "" if name in (server.ip, str(server)) else clean(name)


def summary_row(summary: Summary, ended: Outcome) -> Row:
    """The cells of a connection of the quick listing."""
    number, start, end, client, other, name, version, alpn, http, packets, octets, _, _ = summary
    server, name, who = _server(other, name)
    return Row(
        number,
        start,
        str(client),
        server,
        name,
        summary_spoken(version, alpn, http),
        f"{packets:,}",
        f"{octets:,}",
        ended.words,
        duration(end - start) if packets > 1 else "-",
        "",
        who,
        ended.kind,
        None,
    )


@lru_cache(maxsize=1 << 12)
def _server(server: Endpoint, name: str) -> tuple[str, str, str]:
    """The cells ``server``, ``name`` and ``who``: the same servers come again and again."""
    address, name = str(server), _name(name, server)
    return address, name, name or address


def table(rows: Sequence[Row], origin: int, width: int | None = None, paint: Paint = PLAIN) -> Iterator[str]:
    """The lines of the table: a heading, then one line for each of ``rows``; starts count from ``origin``, ns.

    ``width`` is the room in cells; None means as wide as it takes (a pipe, a file).
    """
    if not rows:
        return
    ends = chain(rows[:SETTLE], rows[max(SETTLE, len(rows) - SETTLE) :])
    first = [_texts(row, origin) for row in ends]
    natural = {
        key: max(width_of(title), *(width_of(texts[place]) for texts in first))
        for place, (key, title) in enumerate(_TITLES.items())
    }
    used = {
        key for place, key in enumerate(_TITLES) if key not in ("name", "worst") or any(texts[place] for texts in first)
    }
    columns, widths = _fit(natural, used, width)
    yield paint("dim", "  ".join(_cell(key, _TITLES[key], widths[key]) for key in columns).rstrip())
    index = [(key, Row._fields.index(key), widths[key], key in _RIGHT) for key in columns]
    if width is None and not paint.on:
        yield from _plain_lines(rows, origin, index)
        return
    for item in rows:
        yield _line(item, _texts(item, origin), index, width is not None, paint)


def _plain_lines(rows: Sequence[Row], origin: int, index: list[tuple[str, int, int, bool]]) -> Iterator[str]:
    """Lines without colours where nothing is cut: one template fits all but those with letters of odd widths."""
    template = "  ".join(f"%{'' if right else '-'}{width}s" for _, _, width, right in index)
    cells = itemgetter(*(at for _, at, _, _ in index))
    for item in rows:
        texts = _texts(item, origin)
        line = (template % cells(texts)).rstrip()
        even = line.isascii() or line.replace("µ", "u").isascii()  # every letter takes one cell
        yield line if even else _line(item, texts, index, cut=False, paint=PLAIN)


def _texts(item: Row, origin: int) -> tuple[str, ...]:
    return (str(item.id), moment(item.start - origin), *item[2:12])


def _fit(natural: dict[str, int], used: set[str], width: int | None) -> tuple[tuple[str, ...], dict[str, int]]:
    if width is None:
        return tuple(key for key in _LAYOUTS[0] if key in used), natural
    for layout in _LAYOUTS:
        columns = tuple(key for key in layout if key in used)
        widths = {key: min(natural[key], _FLOOR.get(key, natural[key])) for key in columns}
        spare = width - sum(widths.values()) - 2 * (len(columns) - 1)
        if spare >= 0:
            break
    for most in (_FAIR, natural):
        for key in _GROW:
            if key in widths and spare > 0:
                more = max(min(spare, min(natural[key], most.get(key, natural[key])) - widths[key]), 0)
                widths[key] += more
                spare -= more
    return columns, widths


def _cell(key: str, text: str, width: int) -> str:
    if key == "worst" and width < len(text):
        text = "finding"
    return text.rjust(width) if key in _RIGHT else pad(text, width)


def _line(item: Row, texts: tuple[str, ...], index: list[tuple[str, int, int, bool]], cut: bool, paint: Paint) -> str:
    cells = []
    for key, at, width, right in index:
        text = texts[at]
        if cut and len(text) > width:
            text = _cut(key, text, width)
        cell = text.rjust(width) if right else text.ljust(width) if text.isascii() else _padded(text, width)
        if paint.on:
            if key == "ended":
                cell = paint(OUTCOME.get(item.outcome, ""), cell)
            elif key == "worst" and item.severity is not None:
                cell = paint(SEVERITY[item.severity], cell)
        cells.append(cell)
    return "  ".join(cells).rstrip()


def _padded(text: str, width: int) -> str:
    return text + " " * (width - width_of(text))


def _cut(key: str, text: str, width: int) -> str:
    """``text`` in ``width`` cells: addresses lose their port, names their middle, findings all but the code."""
    if key == "worst" and width < 24:
        return text.split(" ", 2)[1][:width]
    if key == "ended":
        text = text.replace("closed by both", "closed")
        return pad(text, width).rstrip()
    if key in ("client", "server"):
        return shorten_middle(text.rpartition(":")[0], width)
    if key in ("who", "name"):
        return shorten_middle(text, width)
    return pad(text, width)
