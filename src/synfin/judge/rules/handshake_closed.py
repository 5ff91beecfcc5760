"""TLS111: the connection was closed during the TLS handshake without an alert.

What it sees.  After the ClientHello (and perhaps part of the handshake) one side sends FIN, and no alert says why.

Why it matters.  Users see "unexpected eof while reading", SSL_ERROR_SYSCALL, "socket disconnected before secure TLS
connection was established", PR_END_OF_FILE_ERROR, ERR_CONNECTION_CLOSED.  A server that closes at once usually is not
a TLS server at all for this client: it expects a PROXY protocol header, a load balancer has no healthy backend, a
router by server name knows no such name, or the process dies.

How to fix.  Look in the log of the first device that terminates TCP (load balancer, ingress, server).

Confused with.  An RST is TLS110.  A client that closes after seconds of silence is TLS112.  A client that goes
within the handshake and says nothing has usually rejected the certificate, or was stopped by its user; a browser that
was asked for a certificate asks its user for one and comes back.

References.  RFC 8446 6.1 (a close without close_notify is an error), RFC 5246 7.2.1.
"""

from __future__ import annotations

from synfin.judge.engine import Context
from synfin.judge.facts import hello_packets, missed, round_trip, was_asked
from synfin.judge.hello import HelloFate, hello_fate
from synfin.judge.model import Actor, Confidence, Finding, Severity
from synfin.judge.telling import at, end, finding, span
from synfin.observe.story import Connection

CODE = "TLS111"


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire on a FIN before the end of the handshake when no alert was sent."""
    fate = hello_fate(connection)
    tls = connection.tls
    if fate is None or fate.close is None or fate.close.reset:
        return None
    early = fate.close.place < fate.first
    if early and fate.close.side == fate.client:
        return None
    if tls is not None and (tls.handshake_done or tls.sslv2 or any(a.packet < fate.close.packet for a in tls.alerts)):
        return None  # what is said after the close only complains about it
    if fate.untouched and not fate.heard and _repeated(connection, fate):
        return None  # it never arrived: the close is not about it
    if fate.heard and not fate.answered:
        return None  # it answered in another protocol
    if missed(connection) if fate.heard else _unseen(connection, fate):
        return None
    rows = connection.rows
    close = fate.close
    wait = close.time - rows.time[fate.carried[-1] if fate.carried[-1] < close.place else fate.first]
    if close.side == fate.client:
        return _client_left(connection, close.packet, close.time, fate.answered)
    stage = "after part of its handshake" if fate.heard else "without sending a single octet"
    quick = wait < max(4 * round_trip(connection), 50_000_000)
    return finding(
        CODE,
        f"{end(connection, close.side)} closed during the TLS handshake, {stage}",
        f"{end(connection, fate.client)} sent its ClientHello (packet {rows.number[fate.first]}); "
        f"{at(connection, close.time)}, {f'{span(wait)} later' if wait >= 0 else 'before that'}, the server sent FIN "
        f"(packet {close.packet}) {stage} and without an alert: "
        + (
            "it hung up without hearing what the client wants."
            if early
            else "it decided at once not to talk TLS to this client."
            if quick
            else "it gave up after a while."
        ),
        "Server's operator: look in the log of what terminates TCP there. Usual reasons: a PROXY protocol header is "
        "expected, a load balancer has no backend, no route for this server name, a process that dies.",
        [*hello_packets(connection), close.packet],
        sure=Confidence.CERTAIN,
        reason="its FIN is here, no alert is; the reason inside the server cannot be seen from outside",
        disproof="server octets before the FIN that the capture missed",
        next_capture="behind the load balancer or proxy that terminates TCP",
    )


def _unseen(connection: Connection, fate: HelloFate) -> bool:
    """Whether a side that closed without an octet, as it seems, had sent some before its FIN."""
    close, syn = fate.close, connection.tcp.sides[1 - fate.client].syn
    return close is None or syn is None or connection.rows.seq[close.place] != (syn.seq + 1) & 0xFFFFFFFF


def _repeated(connection: Connection, fate: HelloFate) -> bool:
    """Whether the ClientHello was sent again before the close."""
    close = fate.close.place if fate.close is not None else len(connection.rows)
    seqs = [connection.rows.seq[i] for i in fate.carried if i < close]
    return len(seqs) - len(set(seqs)) > 1


def _client_left(connection: Connection, packet: int, time: int, answered: bool) -> Finding | None:
    """A client that closes in the middle of the handshake after the server answered: a note."""
    if not answered:
        return None
    return finding(
        CODE,
        f"{end(connection, connection.tls.client if connection.tls else 0)} left in the middle of the TLS handshake",
        f"The server had answered the ClientHello; {at(connection, time)} the client sent FIN (packet {packet}) "
        "without an alert, "
        + (
            "having been asked for a certificate of its own: a browser closes, asks its user for one and comes back."
            if was_asked(connection)
            else "so why it went cannot be seen: rejected certificate, or stopped."
        ),
        "Client's user: the client's own message says why.",
        [*hello_packets(connection), packet],
        actor=Actor.CLIENT,
        severity=Severity.NOTICE,
        sure=Confidence.POSSIBLE,
        reason="a FIN without an alert carries no reason",
        disproof="an alert of the client that the capture missed",
        next_capture="with the client's TLS secrets (SSLKEYLOGFILE)",
    )
