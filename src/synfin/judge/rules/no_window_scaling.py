"""TCP230: window scaling was offered by one side only, so windows stay below 64 kB.

What it sees.  One side's SYN has the window scale option and the other's has not, and enough was sent for it to
matter.

Why it matters.  Without scaling in both directions no more than 65,535 octets can be under way: at 100 ms of round
trip that is 5 Mbit/s, however fast the line.

How to fix.  If the option leaves the host and does not arrive, a device on the path strips it: correct that device.
Else switch scaling on at the host that does not offer it.

Confused with.  A host that never offers it (tiny systems).  On a short path it costs nothing, and nothing is said.

References.  RFC 7323 2.2 and 2.3.
"""

from __future__ import annotations

from synfin.judge.engine import Context
from synfin.judge.facts import round_trip
from synfin.judge.model import Confidence, Finding
from synfin.judge.telling import MILLI, end, finding, span
from synfin.observe.story import Connection

CODE = "TCP230"

#: Octets in one direction from which a window of 64 kB is felt, and the shortest round trip for it.
MUCH, FELT = 200_000, 5 * MILLI


def check(connection: Connection, context: Context) -> Finding | None:
    """Note scaling in one direction only when the transfer is long enough to feel it."""
    tcp = connection.tcp
    one, two = tcp.sides[0].syn, tcp.sides[1].syn
    rtt = round_trip(connection)
    if one is None or two is None or (one.wscale is None) == (two.wscale is None) or rtt < FELT:
        return None
    if max(side.unique_payload for side in tcp.sides) < MUCH:
        return None
    lacking = 0 if one.wscale is None else 1
    most = 65_535 * 8 * 1_000_000_000 // rtt // 1_000
    return finding(
        CODE,
        f"the SYN of {end(connection, lacking)} has no window scale option: at most {most} kbit/s on this path",
        f"{end(connection, 1 - lacking)} offers window scaling and {end(connection, lacking)} does not (packets "
        f"{one.packet} and {two.packet}), so no more than 65535 octets can be under way; with a round trip of "
        f"{span(rtt)} "
        f"that is {most} kbit/s at most.",
        f"Operator of {end(connection, lacking)}: switch window scaling on; if it is on, a device on the path strips "
        "the "
        "option: correct that device.",
        [one.packet, two.packet],
        sure=Confidence.LIKELY,
        reason="both SYNs were read; who left the option out, host or path, cannot be seen from one place",
        disproof="a transfer on this path with more than 65535 octets under way",
        next_capture="at the other end: does its SYN leave with the option?",
    )
