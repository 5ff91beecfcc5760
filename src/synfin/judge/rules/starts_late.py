"""CAP103: the capture starts after the connections.

What it sees.  It counts connections whose SYN is not in the capture.

Why it matters.  Window scale, MSS and the ClientHello may be missing: windows are unknown, and TLS cannot be
decrypted without its start.

How to fix.  Start the capture before the program that is looked at.

Confused with.  Nothing: it is a count, and a note about the capture, not about a connection.

References.  RFC 7323 2.2.
"""

from __future__ import annotations

from synfin.judge.model import Finding
from synfin.judge.telling import counted
from synfin.observe.story import Quality

CODE = "CAP103"


def check(quality: Quality) -> Finding | None:
    """State it when the count is not zero."""
    if not quality.starts_late:
        return None
    return counted(
        CODE,
        f"{quality.starts_late} connection{'s' if quality.starts_late > 1 else ''} had begun before the capture",
        "Window scale, MSS and the ClientHello may be missing: windows are unknown, and TLS cannot be decrypted "
        "without its start.",
        "Start the capture before the program that is looked at.",
    )
