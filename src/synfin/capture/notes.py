"""What a reader says about a capture besides its packets: format, comments, damage, and what was not understood.

Nothing is dropped in silence.  A packet that synfin does not understand keeps its row and is counted by name in
``unread``; damage is a ``Problem`` with the packet number it concerns and the place in the (unpacked) file.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from synfin.capture.table import Link

#: Problems kept one by one; a hostile file could hold millions, so the rest is only counted.
MOST_PROBLEMS = 1000


@dataclass(frozen=True, slots=True)
class Problem:
    """Damage in a capture file: the packet it concerns (or the last one before), the file offset, what is wrong."""

    packet: int
    offset: int
    text: str

    def __str__(self) -> str:
        return f"{self.text} (octet {self.offset:,} of the file)"


@dataclass(slots=True)
class ReadNotes:
    """What is known of the capture so far; final after the last batch.

    ``comments`` goes by packet number, 0 being the file itself.  ``unread`` counts packets by the name of what was
    not understood in them, ``skipped`` counts pcapng blocks that hold no packet and are not used.
    ``resolution`` is the finest time step any interface of the file promises, in nanoseconds (at least 1).
    """

    format: str = ""
    packets: int = 0
    links: list[Link] = field(default_factory=list)
    comments: dict[int, list[str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    more_problems: int = 0
    unread: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    resolution: int = 1_000_000_000

    def problem(self, packet: int, offset: int, text: str) -> None:
        """Keep a problem, or only count it when there are too many."""
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(Problem(packet, offset, text))
        else:
            self.more_problems += 1

    def comment(self, packet: int, text: str) -> None:
        """Keep a comment on a packet, or on the file (packet 0)."""
        self.comments.setdefault(packet, []).append(text)
