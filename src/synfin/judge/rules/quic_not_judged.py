"""CAP107: QUIC was seen and not judged.

What it sees.  It counts QUIC packets (HTTP/3 over UDP).

Why it matters.  A browser may have moved to QUIC: what is missing in TCP may be there.

How to fix.  Switch HTTP/3 off in the client while you look for a fault, or read the QUIC packets with another tool.

Confused with.  Nothing: it is a count, and a note about the capture, not about a connection.

References.  RFC 9000, RFC 9114.
"""

from __future__ import annotations

from synfin.judge.model import Finding
from synfin.judge.telling import counted
from synfin.observe.story import Quality

CODE = "CAP107"


def check(quality: Quality) -> Finding | None:
    """State it when the count is not zero."""
    if not quality.quic:
        return None
    return counted(
        CODE,
        f"QUIC packets: {quality.quic}; QUIC is not judged",
        "A browser may have moved to QUIC: what is missing in TCP may be there.",
        "Switch HTTP/3 off in the client while you look for a fault, or read the QUIC packets with another tool.",
    )
