"""What is to say about a capture as a whole, in short lines after its table."""

from __future__ import annotations

from collections.abc import Iterator

from synfin.observe.story import Quality
from synfin.views.words import clean, count, listing, wrap

#: Damage told line by line, at most.
MOST_PROBLEMS = 5


def capture_notes(
    quality: Quality, total: int, shown: int, secrets: int = 0, width: int | None = None
) -> Iterator[str]:
    """Lines on ``total`` connections of which ``shown`` are in the table, on damage and on what was not read.

    ``width`` in cells; None: a line for each thing to say, however long.
    """
    for line in _notes(quality, total, shown, secrets):
        yield from (line,) if width is None else wrap(line, width)


def _notes(quality: Quality, total: int, shown: int, secrets: int) -> Iterator[str]:
    number = count(total, "connection") if total else "No TCP connection"
    of = f", {shown:,} shown" if shown != total else ""
    yield f"{number} in {count(quality.packets, 'packet')}{of}."
    if secrets and quality.opened:
        yield f"TLS secrets embedded in the capture were used: {count(quality.opened, 'connection')} decrypted."
    elif secrets:
        yield "TLS secrets are embedded in the capture; no connection could be decrypted by them."
    for problem in quality.problems[:MOST_PROBLEMS]:
        yield f"Damage: {clean(problem)}"
    more = len(quality.problems[MOST_PROBLEMS:]) + quality.more_problems
    if more:
        yield f"and {count(more, 'more problem')} of the file."
    if quality.unread:
        yield f"Not read: {listing(f'{clean(name)} ({number:,})' for name, number in quality.unread)}."
    if quality.quic:
        yield f"QUIC: {count(quality.quic, 'packet')}, recognised but not judged yet."
    if quality.snaplen_cut:
        yield f"The snap length cut {count(quality.snaplen_cut, 'packet')}: what was behind is not known."
    if quality.time_backwards:
        yield f"Time goes backwards at {count(quality.time_backwards, 'packet')}."
    if quality.early:
        yield f"{count(quality.early, 'connection')} told unfinished: too many packets waited at once."
    if quality.late:
        whose = "its connection" if quality.late == 1 else "their connections"
        yield f"{count(quality.late, 'packet')} came after {whose} had been told; not shown."
