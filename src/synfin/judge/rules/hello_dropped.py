"""TLS113: TCP works and the ClientHello never arrives.

What it sees.  The handshake of TCP was completed, the client sends its ClientHello again and again, and the server
never acknowledges an octet of it.

Why it matters.  Small empty packets pass and this one does not: something on the path looks inside and drops it.
Users see "SSL connection timeout", the very text they see for a slow server.

How to fix.  Try another server name to the same address, another TLS version and a shorter ClientHello: what passes
shows what is filtered (name, version, ECH, size).  Then ask whoever runs the filter: firewall, parental control,
national filter, VPN.

Confused with.  A server that acknowledges and does not answer is TLS112 (application).  A ClientHello longer than
1,200 octets may be too big for the path (TCP302).  An RST instead of silence is TLS110.

References.  RFC 9293 3.8.1, RFC 6298.
"""

from __future__ import annotations

from collections import Counter

from synfin.judge.engine import Context
from synfin.judge.hello import hello_fate
from synfin.judge.model import Confidence, Finding
from synfin.judge.telling import SECOND, end, finding, numbers, span
from synfin.observe.story import Connection
from synfin.wire.tcpflags import RST, SYN

CODE = "TLS113"

#: A ClientHello in packets of this size or more may as well be a matter of size.
LARGE = 1200

#: Repetitions take at least this long (RFC 6298 wants 1 s, Linux waits for 200 ms); sooner ones are a mirror's copies.
AT_LEAST = SECOND // 5


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire when the ClientHello was repeated and no octet of it ever acknowledged."""
    fate = hello_fate(connection)
    if fate is None or not fate.untouched or fate.heard or fate.sacked:
        return None
    rows = connection.rows
    server = 1 - fate.client
    seqs = [rows.seq[i] for i in fate.carried]
    repeats = max(Counter(seqs).values()) - 1
    left = fate.close is not None and fate.close.side == fate.client
    for i in range(fate.first + 1, fate.close.place if fate.close is not None and left else len(rows)):
        if rows.sender[i] == server and (rows.flags[i] & (SYN | RST) or repeats < 2):
            return None  # it answered: a reset, a repeated SYN,ACK; a late FIN or a keep-alive is of its own accord
    first, last = rows.time[fate.first], rows.time[fate.carried[-1]]
    if repeats < 2 and not (repeats == 1 and context.waited(connection, first) >= SECOND):
        return None
    if repeats >= 2 and last - first < AT_LEAST:
        return None
    biggest = max(rows.load_len[i] for i in fate.carried)
    name = connection.tls.sni if connection.tls is not None else None
    near = context.neighbours
    other = sorted(
        (near.tls_names.get((connection.b.ip, connection.b.port), set()) if near is not None else set()) - {name}
    )
    cause = (
        f"TCP was set up, then {end(connection, fate.client)} sent its ClientHello"
        f"{f' for {name}' if name else ''} ({biggest} octets in the largest packet) {repeats + 1} times in "
        f"{span(last - first)} ({numbers([rows.number[i] for i in fate.carried])}) and not one octet was acknowledged, "
        "while the SYN,ACK had passed: the packet is dropped on the way."
    )
    if other:
        cause += f" The same server finished TLS for {', '.join(other[:3])}: the name is what is filtered."
    if biggest >= LARGE:
        cause += " It is a large packet, so its size may be the reason instead of its content."
    return finding(
        CODE,
        f"the ClientHello to {connection.b}{f' for {name}' if name else ''} is dropped on the path",
        cause,
        "Find the device between the two that inspects TLS (firewall, DPI, parental control, VPN) and allow this "
        "name and version there; to learn what it dislikes, try another server name, TLS 1.2 only, and a shorter "
        "ClientHello.",
        [rows.number[i] for i in fate.carried],
        sure=Confidence.LIKELY,
        reason="the TCP handshake passed both ways and only packets with the ClientHello vanish",
        disproof="a capture at the server in which the ClientHello arrives: then the server's host drops it",
        next_capture="at the server, or on either side of each device on the path",
    )
