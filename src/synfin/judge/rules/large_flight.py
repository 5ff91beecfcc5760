"""SLO203: the server's certificates did not fit its initial window and cost a round trip.

What it sees.  On a path with a round trip of 40 ms or more the server's first flight stops after about ten segments,
waits for the client's acknowledgments, and goes on one round trip later.

Why it matters.  Every new connection costs one round trip more than it has to.

How to fix.  Send fewer and smaller certificates: leave out the root and what does not belong to the chain, use ECDSA
keys, certificate compression (RFC 8879) where both sides have it; or resume sessions.

Confused with.  Loss inside the flight (TCP201).  A server that pauses while it signs pauses before its ServerHello or
after a few packets, not after a full window.

References.  RFC 6928 (initial window of ten segments), RFC 8446 4.4.2.
"""

from __future__ import annotations

from itertools import pairwise

from synfin.judge.engine import Context
from synfin.judge.facts import payload_indices, round_trip
from synfin.judge.model import Confidence, Finding
from synfin.judge.telling import finding, server_name, span
from synfin.observe.story import Connection
from synfin.observe.story_tcp import Mark

CODE = "SLO203"

#: RFC 6928 2: ten segments; one is allowed for acknowledgments that came early.
WINDOW = 9

_REPAIRED = Mark.RETRANSMISSION | Mark.OUT_OF_ORDER | Mark.LOST_SEGMENT


def check(connection: Connection, context: Context) -> Finding | None:
    """State a first flight that had to wait for its acknowledgments."""
    tls, rows = connection.tls, connection.rows
    if tls is None or tls.client_hello is None or not tls.client_hello.packets or connection.tcp.source != "packets":
        return None
    rtt = round_trip(connection)
    answer = next(
        (m for m in payload_indices(connection, tls.client) if rows.time[m] > tls.client_hello.time), len(rows)
    )
    flight = [
        i for i in payload_indices(connection, 1 - tls.client) if i < answer and rows.time[i] >= tls.client_hello.time
    ]
    if len(flight) < 2 or any(connection.tcp.marks[i] & _REPAIRED for i in flight):
        return None
    segment = max(rows.load_len[i] for i in flight)
    before = 0
    for one, two in pairwise(flight):
        before += rows.load_len[one]
        if rows.time[two] - rows.time[one] < rtt * 3 // 5:
            continue
        if before < WINDOW * min(segment, 1460):
            return None
        total = sum(rows.load_len[i] for i in flight)
        return finding(
            CODE,
            f"the first flight of {server_name(connection)}, {total} octets, took one round trip more than needed",
            f"After {before} octets (packet {rows.number[one]}) the server waited "
            f"{span(rows.time[two] - rows.time[one])} for acknowledgments before it sent the rest of its {total} "
            f"octets (from packet {rows.number[two]}): more than its initial window holds. A round trip here takes "
            f"{span(rtt)}.",
            "Server's operator: send fewer or smaller certificates: no root, nothing outside the chain, ECDSA keys; "
            "or compress them (RFC 8879).",
            [rows.number[flight[0]], rows.number[one], rows.number[two]],
            sure=Confidence.LIKELY,
            reason="the pause comes after a full initial window and is a round trip long",
            disproof="a capture at the server in which it pauses for another reason",
        )
    return None
