"""CAP102: only one direction was captured.

What it sees.  It counts connections of which packets of one side only are there.

Why it matters.  Without answers nobody can say who was silent: most rules stay silent.  Usual reasons are
asymmetric routing, a mirror port for one direction, or a capture filter.

How to fix.  Mirror both directions, or capture on the host itself.  SYNs that nobody answered count here too.

Confused with.  Nothing: it is a count, and a note about the capture, not about a connection.

References.  RFC 9293 3.5.
"""

from __future__ import annotations

from synfin.judge.model import Finding
from synfin.judge.telling import counted
from synfin.observe.story import Quality

CODE = "CAP102"


def check(quality: Quality) -> Finding | None:
    """State it when the count is not zero."""
    if not quality.one_sided:
        return None
    return counted(
        CODE,
        f"{quality.one_sided} connection{'s have' if quality.one_sided > 1 else ' has'} packets of one side only",
        "Without answers nobody can say who was silent: most rules stay silent. Usual reasons are asymmetric routing, "
        "a mirror port for one direction, or a capture filter.",
        "Mirror both directions, or capture on the host itself. SYNs that nobody answered count here too.",
    )
