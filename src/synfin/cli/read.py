"""``synfin read``: what happened in a capture, as a table of its connections or as the whole story of one.

Everything is streamed: a connection becomes a line of text and is dropped, except those whose verdict depends on the
rest of the capture (``judge.engine``), which wait for its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from synfin.cli.options import Color, Files, Keylog, RsaKey, Width
from synfin.errors import UsageError

if TYPE_CHECKING:
    from synfin.cli.inputs import Filter, Secrets
    from synfin.observe.observer import Observation
    from synfin.views.paint import Paint


def read(
    files: Files,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only the table, from headers and hellos: no findings, no decryption.")
    ] = False,
    connection: Annotated[
        int | None, typer.Option("-c", "--connection", metavar="ID", help="The story of one connection.")
    ] = None,
    brief: Annotated[bool, typer.Option("--brief", help="With -c: the story in a dozen lines.")] = False,
    packet: Annotated[int | None, typer.Option("--bytes", metavar="N", help="Explain packet N byte by byte.")] = None,
    addr: Annotated[
        str, typer.Option("--addr", metavar="ADDR", help="Only this address or network (10.0.0.0/8), either side.")
    ] = "",
    name: Annotated[
        str, typer.Option("--name", metavar="GLOB", help="Only server names like this (*.example.org).")
    ] = "",
    port: Annotated[int | None, typer.Option("--port", metavar="N", help="Only this port, either side.")] = None,
    outcome: Annotated[
        str,
        typer.Option(
            "--outcome", metavar="WORD", help="Only: closed, half-closed, open, refused, unanswered, reset, failed."
        ),
    ] = "",
    keylog: Keylog = [],  # noqa: B006  typer copies defaults
    rsa_key: RsaKey = [],  # noqa: B006
    json: Annotated[bool, typer.Option("--json", help="JSON Lines: one object per connection.")] = False,
    width: Width = None,
    no_color: Color = False,
) -> int:
    """Show every connection, or the story of one.

    A table of all connections of the captures, or with -c ID the whole story of one from SYN to FIN.
    """
    from synfin.cli import inputs, terminal
    from synfin.views.paint import Paint

    if brief and connection is None:
        raise UsageError("--brief tells one connection: say which with -c ID")
    if quick and (json or connection is not None or packet is not None or keylog or rsa_key):
        raise UsageError("--quick prints the table and opens nothing: leave out --json, -c, --bytes and keys")
    page = Page(terminal.columns(width), Paint(terminal.colour(no_color)), brief=brief)
    filter_ = inputs.wanted(addr=addr, name=name, port=port, outcome=outcome)
    secrets = inputs.secrets(keylog, rsa_key)
    worst, failed = -1, 0
    for place, file in enumerate(files):
        try:
            with secrets.observe(file) as seen:
                if len(files) > 1 and not json:  # a heading for each file
                    title = page.paint("title", f"== {inputs.shown(file)} ==")
                    terminal.write_lines([*([""] if place else []), title])
                if packet is not None:
                    terminal.write_lines(_bytes(seen, secrets, file, packet, page))
                elif connection is not None:
                    worst = max(worst, _one(seen, file, connection, page, json=json))
                elif json:
                    worst = max(worst, _json(seen, file, filter_))
                elif quick:
                    _quick(seen, filter_, page)
                else:
                    worst = max(worst, _table(seen, filter_, page))
        except UsageError as error:
            failed = inputs.passed_over(error, files)
    from synfin.judge.model import Severity

    return failed or (1 if worst >= Severity.WARNING else 0)


@dataclass(frozen=True, slots=True)
class Page:
    """How to print: room in cells (None: as wide as it takes), colours, depth."""

    width: int | None
    paint: Paint
    brief: bool = False

    @property
    def room(self) -> int:
        """The room for running text: a pipe gets lines that people can still read."""
        return self.width if self.width is not None else 120


def _table(seen: Observation, filter_: Filter, page: Page) -> int:
    """Print the table of connections and what is to say about the capture; the worst severity."""
    from synfin.cli import inputs, terminal
    from synfin.views.capture import capture_notes
    from synfin.views.outcome import outcome
    from synfin.views.table import Row, row, table

    worst = -1
    total = 0
    origin: int | None = None
    rows: list[Row] = []
    for connection, judgement in terminal.progress(inputs.judged(seen), "reading"):
        total += 1
        origin = connection.start if origin is None else min(origin, connection.start)
        ended = outcome(connection)
        if filter_.takes(connection, ended):
            rows.append(row(connection, judgement.findings, ended))
            worst = max(worst, judgement.worst if judgement.worst is not None else -1)
    rows.sort()
    terminal.write_lines(table(rows, origin or 0, page.width, page.paint))
    terminal.write_lines(capture_notes(seen.quality, total, len(rows), len(seen.capture.secrets), page.width))
    return worst


def _quick(seen: Observation, filter_: Filter, page: Page) -> None:
    """Print the table from columns alone: names, versions, sizes and outcomes, but no findings."""
    from synfin.cli import terminal
    from synfin.observe.listing import Listing, Summary
    from synfin.views.capture import capture_notes
    from synfin.views.outcome import outcome, summary_outcome
    from synfin.views.table import Row, row, summary_row, table

    total = 0
    origin: int | None = None
    rows: list[Row] = []
    every = filter_.everything
    listing = Listing(seen.capture)
    for item in terminal.progress(listing, "reading"):
        total += 1
        origin = item.start if origin is None else min(origin, item.start)
        if isinstance(item, Summary):
            ended = summary_outcome(item)
            if every or filter_.takes(item, ended):
                rows.append(summary_row(item, ended))
        else:
            ended = outcome(item)
            if every or filter_.takes(item, ended):
                rows.append(row(item, (), ended))
    rows.sort()
    terminal.write_lines(table(rows, origin or 0, page.width, page.paint))
    terminal.write_lines(capture_notes(listing.story.quality, total, len(rows), width=page.width))


def _one(seen: Observation, file: str, wanted: int, page: Page, *, json: bool) -> int:
    """Print the story of connection ``wanted``; the worst severity.  UsageError when there is no such connection."""
    from synfin.cli import inputs, terminal
    from synfin.views.connection import story
    from synfin.views.json import connection_json, dumps

    number = 0
    for connection, judgement in terminal.progress(inputs.judged(seen), "reading"):
        number += 1
        if connection.id != wanted:
            continue
        if json:
            terminal.write_lines([dumps(connection_json(connection, judgement.findings, judgement.not_judged, file))])
        else:
            told = connection, judgement.findings, judgement.not_judged
            terminal.write_lines(story(*told, page.room, page.paint, brief=page.brief))
        return judgement.worst if judgement.worst is not None else -1
    raise UsageError(f"{inputs.shown(file)}: no connection {wanted}; {inputs.range_of(number)}")


def _json(seen: Observation, file: str, filter_: Filter) -> int:
    """Print a JSON object per connection, as they become known; the worst severity."""
    import sys

    from synfin.cli import inputs, terminal
    from synfin.views.json import connection_json, dumps
    from synfin.views.outcome import outcome

    worst = -1

    def lines() -> Iterator[str]:
        nonlocal worst
        judged = inputs.judged(seen)
        for connection, judgement in judged if sys.stdout.isatty() else terminal.progress(judged, "reading"):
            if filter_.takes(connection, outcome(connection)):
                worst = max(worst, judgement.worst if judgement.worst is not None else -1)
                yield dumps(connection_json(connection, judgement.findings, judgement.not_judged, file))

    terminal.write_lines(lines())
    return worst


def _bytes(seen: Observation, secrets: Secrets, file: str, number: int, page: Page) -> Iterator[str]:
    """The lines that explain packet ``number``; UsageError when there is no such packet.

    The file is read once for the frame and once for the connection it belongs to.
    """
    from synfin.cli import inputs
    from synfin.views.octets import Frame, explain

    if file == "-":
        raise UsageError("--bytes reads the capture twice: give it as a file, not on standard input")
    frame = None
    for batch in seen.capture.batches():
        place = number - int(batch.rows["number"][0]) if len(batch.rows) else -1
        if 0 <= place < len(batch.rows):
            row = batch.rows[place]
            at = int(row["frame_at"])
            link = batch.links[int(row["link"])]
            octets = bytes(batch.data[at : at + int(row["caplen"])])
            frame = Frame(number, link.link_type, octets, int(row["wirelen"]))
            break
    if frame is None:
        packets = seen.capture.notes.packets
        raise UsageError(f"{inputs.shown(file)}: no packet {number}; it has {packets:,}, numbered from 1")
    with secrets.observe(file) as again:
        owner = next((item for item in again if number in item.rows.number), None)
        yield from explain(frame, owner, page.room, page.paint)
