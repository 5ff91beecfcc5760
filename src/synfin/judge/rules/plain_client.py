"""TLS102: the client sent plain HTTP to a port where the server speaks TLS.

What it sees.  The client's first octets are an HTTP request, and the server answers with a TLS alert, with a "400"
page that says so, or, on a port known for TLS, closes without a word or lets the client wait in vain.

Why it matters.  The request travelled in clear, and no page comes: "Empty reply from server", "Connection reset by
peer", "400 The plain HTTP request was sent to HTTPS port".

How to fix.  Use `https://` instead of `http://`; behind a load balancer or proxy, let it speak TLS to this backend.

Confused with.  A server that answers HTTP in clear on port 443 works, and nothing is reported.  A server that closes
without an answer on another port is HTP103.

References.  RFC 8446 5.1, RFC 9110 4.2.2.
"""

from __future__ import annotations

from synfin.judge.engine import Context
from synfin.judge.facts import Close, acknowledged, begun_unseen, first_close
from synfin.judge.model import Confidence, Finding
from synfin.judge.signs import TLS_PORTS
from synfin.judge.telling import SECOND, at, end, finding
from synfin.observe.story import A, B, Connection

CODE = "TLS102"

_REQUESTS = (b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI", b"DELE", b"PATC", b"CONN", b"PRI ")
_TOLD = (b"plain HTTP request", b"speaking plain HTTP", b"HTTP request to an HTTPS", b"requires TLS")


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire on an HTTP request in clear that a TLS server turned away."""
    if connection.tls is not None and connection.tls.client_hello is not None:
        return None
    asked, answered = connection.streams
    head = asked.read(0, 8)
    if not head.startswith(_REQUESTS) or not asked.pieces or begun_unseen(connection):
        return None
    answer = answered.read(0, 1024)
    request = asked.pieces[0]
    closed = first_close(connection)
    near = context.neighbours
    known = connection.b.port in TLS_PORTS or (
        near is not None and (connection.b.ip, connection.b.port) in near.tls_servers
    )
    how, packets, sure = "", [request.packet], Confidence.CERTAIN
    if answer[:2] == b"\x15\x03" and len(answer) >= 5:
        piece = answered.pieces[0]
        how = f"{at(connection, piece.time)} the server answered with a TLS alert (packet {piece.packet})"
        packets.append(piece.packet)
    elif any(words in answer for words in _TOLD):
        piece = answered.pieces[0]
        how = f"{at(connection, piece.time)} the server said so itself (packet {piece.packet}, {_first_line(answer)})"
        packets.append(piece.packet)
    elif not answer and known and closed is not None and closed.side == B and not answered.holes:
        how = f"{at(connection, closed.time)} the server closed without a word (packet {closed.packet})"
        packets.append(closed.packet)
        sure = Confidence.LIKELY
    elif not answer and known and _waited(connection, closed) and not answered.holes:
        how = "the server acknowledged it and never answered: a TLS server waits for the rest of what is no record"
        packets.extend(() if closed is None else (closed.packet,))
        sure = Confidence.POSSIBLE
    if not how:
        return None
    return finding(
        CODE,
        f"{end(connection, A)} sent plain HTTP to the TLS port {connection.b.port}",
        f"{end(connection, A)} sent an HTTP request in clear (packet {request.packet}); {how}.",
        "Client's user: use https:// for this port. If a proxy or load balancer is the client, let it speak TLS to "
        "this backend.",
        packets,
        sure=sure,
        reason="the request is readable and the answer is that of a TLS server"
        if sure is Confidence.CERTAIN
        else "TLS is spoken on this port, and a TLS server closes on a plain request",
        disproof="an HTTP answer in clear to any request on this port",
    )


def _waited(connection: Connection, closed: Close | None) -> bool:
    """Whether the client went after a second or more in vain, its request having arrived."""
    asked = connection.streams[A]
    if closed is None or closed.side != A or not asked.pieces or closed.time - asked.pieces[-1].time < SECOND:
        return False
    return acknowledged(connection, A) >= asked.end


def _first_line(answer: bytes) -> str:
    return answer.split(b"\r\n", 1)[0][:40].decode("ascii", "replace")
