"""TCP103: the handshake was finished by the client only; the server repeats its SYN,ACK.

What it sees.  SYN, SYN,ACK, ACK, and then the server sends SYN,ACK again, more than once, and acknowledges nothing that
the client sends.  Or it acknowledges nothing of what the client sends, and other connections to the same port in this
capture got no answer either.

Why it matters.  The client believes to be connected and waits; the server has dropped the final ACK, as a kernel
does when the listener's accept queue is full.

How to fix.  On the server: make the program accept faster or raise the listen backlog (`ss -ltn`: Recv-Q at
Send-Q; `nstat -az TcpExtListenOverflows`).

Confused with.  A final ACK lost on the path once: then the server repeats SYN,ACK once and goes on.  A path that drops
everything from the client after its SYN looks alike; a capture at the server shows whether the ACK arrives.

References.  RFC 9293 3.10.7.4 (SYN-RECEIVED), listen(2).
"""

from __future__ import annotations

from synfin.judge.engine import Context
from synfin.judge.facts import acknowledged, has_sent, payload_indices, syns
from synfin.judge.model import Confidence, Finding
from synfin.judge.telling import end, finding, numbers
from synfin.observe.story import A, B, Connection

CODE = "TCP103"


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire when SYN,ACK is repeated after the client's ACK and no octet of the client is acknowledged."""
    if has_sent(connection, B):
        return None
    return _repeats(connection) or _ignored(connection, context)


def _repeats(connection: Connection) -> Finding | None:
    """SYN,ACK again and again, though the client acknowledged it."""
    answers = syns(connection, B)
    if len(answers) < 3:
        return None
    rows = connection.rows
    acks = [i for i in range(len(rows)) if rows.sender[i] == A and rows.flags[i] & 0x17 == 0x10 and i > answers[0]]
    if not acks:
        return None
    repeats = [i for i in answers if i > acks[0]]
    if len(repeats) < 2 or acknowledged(connection, A) > 0:
        return None
    return finding(
        CODE,
        f"{end(connection, B)} never took the connection: it repeats SYN,ACK",
        f"{end(connection, A)} acknowledged the SYN,ACK (packet {rows.number[acks[0]]}), yet the server sent it again "
        f"({numbers([rows.number[i] for i in repeats])}) and acknowledged nothing the client sent: its kernel drops "
        "the final ACK, as it does when the accept queue is full.",
        "Server's operator: let the program accept faster, or raise the listen backlog; look at `ss -ltn` and "
        "TcpExtListenOverflows.",
        [rows.number[i] for i in (*answers[:1], acks[0], *repeats)],
        sure=Confidence.LIKELY,
        reason="the answers pass both ways up to here, so the ACKs most probably arrive and are dropped by the host",
        disproof="a capture at the server in which the client's ACK does not arrive",
        next_capture="at the server",
    )


def _ignored(connection: Connection, context: Context) -> Finding | None:
    """The client's data is dropped by a host whose same port leaves other connections without an answer too."""
    near = context.neighbours
    server = (connection.b.ip, connection.b.port)
    if near is None or near.silent.get(server, 0) < 2 or server in near.tls_servers or server not in near.held:
        return None
    tcp = connection.tcp
    data = payload_indices(connection, A)
    rows = connection.rows
    if tcp.handshake != "complete" or len(data) < 3 or acknowledged(connection, A) > 0 or tcp.sides[B].rsts:
        return None
    return finding(
        CODE,
        f"{end(connection, B)} never took the connection: it acknowledges nothing on it",
        f"{end(connection, A)} completed the handshake from its side and sent the same data {len(data)} times "
        f"({numbers([rows.number[i] for i in data])}); nothing was acknowledged, and {near.silent[server]} connections "
        "to "
        "this port in the capture got no octet of an answer: its accept queue is full, and the kernel drops the "
        "client's ACK.",
        "Server's operator: let the program accept faster, or raise the listen backlog; look at `ss -ltn` and "
        "TcpExtListenOverflows.",
        [rows.number[i] for i in (*syns(connection, B)[:1], *data)],
        sure=Confidence.LIKELY,
        reason="several connections to this port hang at different places of their start, as with a full accept queue",
        disproof="a capture at the server in which the client's packets do not arrive",
        next_capture="at the server",
    )
