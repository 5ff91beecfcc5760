"""CAP101: packets are cut by the snap length.

What it sees.  It counts packets whose frame is longer than what was captured.

Why it matters.  Octets that were not captured cannot be read: certificates, HTTP and decryption are missing, and
rules that need them stay silent.

How to fix.  Capture again with the whole packet: `tcpdump -s 0`, `dumpcap -s 0`.

Confused with.  Nothing: it is a count, and a note about the capture, not about a connection.

References.  tcpdump(8), option -s.
"""

from __future__ import annotations

from synfin.judge.model import Finding
from synfin.judge.telling import counted
from synfin.observe.story import Quality

CODE = "CAP101"


def check(quality: Quality) -> Finding | None:
    """State it when the count is not zero."""
    if not quality.snaplen_cut:
        return None
    return counted(
        CODE,
        f"the snap length cut {quality.snaplen_cut:,} of {quality.packets:,} packets",
        "Octets that were not captured cannot be read: certificates, HTTP and decryption are missing, and rules that "
        "need them stay silent.",
        "Capture again with the whole packet: tcpdump -s 0, dumpcap -s 0.",
    )
