"""CAP106: packets that were not understood.

What it sees.  It counts packets that are not TCP over IP in a wrapping that is understood.

Why it matters.  They are counted by name and left out of every connection.

How to fix.  Nothing, if they are what one expects (ARP, other protocols); a tunnel that is missing here may hide
connections.

Confused with.  Nothing: it is a count, and a note about the capture, not about a connection.

References.  IANA's protocol registries.
"""

from __future__ import annotations

from synfin.judge.model import Finding
from synfin.judge.telling import counted
from synfin.observe.story import Quality

CODE = "CAP106"


def check(quality: Quality) -> Finding | None:
    """State it when the count is not zero."""
    if not len(quality.unread):
        return None
    return counted(
        CODE,
        "not understood: " + ", ".join(f"{name} ({count})" for name, count in quality.unread[:5]),
        "They are counted by name and left out of every connection.",
        "Nothing, if they are what one expects (ARP, other protocols); a tunnel that is missing here may hide "
        "connections.",
    )
