"""CAP104: the capture file is damaged.

What it sees.  It counts blocks or packet records of the file that cannot be read.

Why it matters.  What follows the damage may be missing; the rest was read as far as it goes.

How to fix.  Copy the file again, or stop the capture in order (a file that is still being written ends in the
middle).

Confused with.  Nothing: it is a count, and a note about the capture, not about a connection.

References.  The pcap and pcapng file formats (IETF opsawg drafts).
"""

from __future__ import annotations

from synfin.judge.model import Finding
from synfin.judge.telling import counted
from synfin.observe.story import Quality

CODE = "CAP104"


def check(quality: Quality) -> Finding | None:
    """State it when there is any."""
    if not quality.problems:
        return None
    more = len(quality.problems) - 1 + quality.more_problems
    return counted(
        CODE,
        f"the capture file is damaged: {quality.problems[0]}" + (f" (and {more:,} more)" if more else ""),
        "What follows the damage may be missing; the rest was read as far as it goes.",
        "Copy the file again, or stop the capture in order (a file that is still being written ends in the middle).",
    )
