"""TLS112: the ClientHello arrived and the server never answered it.

What it sees.  The server's kernel acknowledged the whole ClientHello, and no octet came back until the client gave up
or the capture ended; or it began its handshake and stopped in the middle of it.

Why it matters.  The network did its work: the acknowledgment proves arrival.  The program behind the port hangs: it
does not read, waits for something else (a PROXY protocol header, another backend), or all its workers are busy.
Users see "SSL connection timeout", "TLS handshake timeout".

How to fix.  On the server: look at the process (threads, accept loop, event loop, backend it waits for), its log and
the receive queue of the socket (`ss -tn`: Recv-Q above 0 means that nobody reads).

Confused with.  No acknowledgment is a matter of the path (TLS113, TCP302).  A server's answer that is lost because it
is too large leaves a hole in its stream (TCP301); if every packet of the answer is too large, nothing at all is seen
here: capture at the server.  A kernel may also complete handshakes for a program that never accepts.

References.  RFC 9293 3.8 (an acknowledgment means the octets are held by the receiver's TCP, not by its program).
"""

from __future__ import annotations

from synfin.judge.engine import Context
from synfin.judge.facts import messages, missed, payload_indices, round_trip
from synfin.judge.hello import HelloFate, hello_fate
from synfin.judge.model import Confidence, Finding, Severity
from synfin.judge.telling import SECOND, at, end, finding, span
from synfin.observe.story import Connection
from synfin.observe.story_tls import TlsStory
from synfin.wire.tls.registry import is_tls13

CODE = "TLS112"

#: A client that gives up after this long has waited; shorter, it may simply have changed its mind.
GAVE_UP = SECOND * 9 // 10

#: Where the server's flight is sealed and may be whole, the client may just be slow to read it.
SEALED = 3 * SECOND

#: When nobody gave up, the capture must have listened this long.
LISTENED = 5 * SECOND


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire when all of the ClientHello was acknowledged and nothing came for a long time."""
    fate = hello_fate(connection)
    if fate is None or not fate.fully_acked or connection.tcp.icmp:
        return None
    if fate.heard:
        return _stopped(connection, fate)
    rows = connection.rows
    since = rows.time[fate.carried[0]]
    close = fate.close
    if close is not None and close.side != fate.client and close.time - since < GAVE_UP:
        return None
    waited = (close.time if close is not None else since + context.waited(connection, since)) - since
    if waited < max(GAVE_UP if close is not None else LISTENED, 10 * round_trip(connection)):
        return None
    server = 1 - fate.client
    acks = [i for i in range(fate.first + 1, len(rows)) if rows.sender[i] == server and rows.flags[i] & 0x10]
    ended = (
        f"{end(connection, close.side)} closed {at(connection, close.time)} (packet {close.packet})"
        if close is not None
        else "the capture ends so"
    )
    return finding(
        CODE,
        f"{end(connection, server)} received the ClientHello and did not answer for {span(waited)}",
        f"{end(connection, fate.client)} sent its ClientHello (packet {rows.number[fate.first]}); the server's TCP "
        f"acknowledged all {fate.length} octets of it"
        + (f" (packet {rows.number[acks[0]]})" if acks else "")
        + f", so it arrived; no octet came back in {span(waited)}; {ended}. The program, not the network, is silent.",
        "Server's operator: find out why the program behind this port does not answer: hung or overloaded workers, "
        "accept never called, waiting for a PROXY protocol header or for a backend.",
        [rows.number[i] for i in (fate.first, *acks[:1])] + ([close.packet] if close is not None else []),
        sure=Confidence.LIKELY,
        reason="the acknowledgment proves that the ClientHello reached the server's TCP",
        disproof="a capture at the server in which it does answer: then its packets are lost on the way back",
        next_capture="at the server, if its program is known to answer others",
    )


def _flight_whole(tls: TlsStory, server: int) -> bool:
    """Whether the server had said all it had to say, so that it was the client's turn (RFC 5246 7.3, RFC 8446 2)."""
    return bool(messages(tls, server, "server_hello_done") or messages(tls, server, "finished"))


def _stopped(connection: Connection, fate: HelloFate) -> Finding | None:
    """The server began its handshake, then fell silent until the client gave up."""
    tls, close = connection.tls, fate.close
    server = 1 - fate.client
    if tls is None or not fate.answered or tls.handshake_done or close is None or close.side == server:
        return None
    if any(alert.sender == server for alert in tls.alerts):
        return None
    rows = connection.rows
    said = [i for i in payload_indices(connection, server) if i < close.place]
    mine = [i for i in payload_indices(connection, fate.client) if i < close.place and rows.load_len[i] > 32]
    if not said or not mine or said[-1] < mine[-1] or missed(connection):
        return None
    waited = close.time - rows.time[said[-1]]
    if _flight_whole(tls, server) or waited < (SEALED if is_tls13(tls.version) else GAVE_UP):
        return None
    return finding(
        CODE,
        f"{end(connection, server)} fell silent in the middle of the TLS handshake",
        f"{end(connection, server)} answered the ClientHello, last in packet {rows.number[said[-1]]}, and sent nothing "
        f"more; {end(connection, fate.client)} waited {span(waited)} for the rest and closed "
        f"{at(connection, close.time)} "
        f"(packet {close.packet}).",
        "Server's operator: find out why the program stops in its handshake: a hung worker, a slow key (HSM, signing "
        "service), a proxy that waits for its backend.",
        [rows.number[fate.first], rows.number[said[-1]], close.packet],
        severity=Severity.WARNING,
        sure=Confidence.LIKELY,
        reason="nothing is missing in what it sent, and a client that has the whole flight goes on at once",
        disproof="a capture at the server in which the rest of its flight leaves",
        next_capture="at the server: does the rest of its flight leave it?",
    )
