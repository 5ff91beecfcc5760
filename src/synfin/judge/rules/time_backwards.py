"""CAP105: packets are not in time order.

What it sees.  It counts packets whose time is before that of the packet before them.

Why it matters.  Order decides who was first.  Files merged from several interfaces or queues show this; durations
near such places are not to be trusted.

How to fix.  Merge with `mergecap` or sort with `reordercap`.

Confused with.  Nothing: it is a count, and a note about the capture, not about a connection.

References.  reordercap(1).
"""

from __future__ import annotations

from synfin.judge.model import Finding
from synfin.judge.telling import counted
from synfin.observe.story import Quality

CODE = "CAP105"


def check(quality: Quality) -> Finding | None:
    """State it when the count is not zero."""
    if not quality.time_backwards:
        return None
    many = "s are" if quality.time_backwards > 1 else " is"
    return counted(
        CODE,
        f"{quality.time_backwards} packet{many} earlier than the one before",
        "Order decides who was first. Files merged from several interfaces or queues show this; durations near such "
        "places are not to be trusted.",
        "Merge with mergecap or sort with reordercap.",
    )
