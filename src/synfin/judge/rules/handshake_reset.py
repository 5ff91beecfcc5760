"""TLS110: the connection was reset during the TLS handshake.

What it sees.  TCP works, the ClientHello was sent, and an RST in the server's name ends the connection before the
handshake is done, without an alert.  Or, on a port known for TLS, it comes at once, before anything was sent.

Why it matters.  Users see "Connection reset by peer", ECONNRESET, ERR_CONNECTION_RESET, PR_CONNECT_RESET_ERROR.  Either
the server's program died or refused, or a device on the path (firewall, filter by server name, intrusion
prevention) forged the RST.

How to fix.  If the RST is forged: find the device, and what it dislikes (often the server name).  If it is the
server's: its log says why; a program that closes while octets are unread makes its kernel send RST.

Confused with.  What tells a forger: a TTL, IP identification or sequence number unlike the server's other packets,
an RST that comes sooner than the server could answer, and above all data from the server after its "own" RST.
None of them proves the server guilty: a perfect forger looks like it.  An RST after close_notify is healthy.

References.  RFC 9293 3.5.2 and 3.10.7, RFC 3360 (resets by firewalls).
"""

from __future__ import annotations

from synfin.judge.engine import Context
from synfin.judge.facts import Close, acknowledged, deciding_alert, first_close, first_rst, is_cut
from synfin.judge.forged import forger_signs
from synfin.judge.hello import hello_fate
from synfin.judge.model import Actor, Confidence, Finding, Severity
from synfin.judge.signs import TLS_PORTS
from synfin.judge.telling import SECOND, at, end, finding, span
from synfin.observe.story import A, Connection

CODE = "TLS110"


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire on an RST of the server's side between ClientHello and the end of the handshake."""
    fate = hello_fate(connection)
    tls = connection.tls
    if fate is None and tls is None:
        return _before_the_hello(connection)
    if fate is None or (tls is not None and (tls.handshake_done or deciding_alert(connection) is not None)):
        return None
    close = fate.close
    if close is not None and close.reset and close.side == fate.client:
        return _in_the_clients_name(connection, close)
    server = 1 - fate.client
    reset = first_rst(connection, server)
    rows = connection.rows
    if reset is None or reset < fate.first or close is None or close.place != reset:
        return None
    if fate.heard and is_cut(connection):
        return None  # whether the handshake was done cannot be seen
    strong, weak = forger_signs(connection, reset)
    name = tls.sni if tls is not None else None
    near = context.neighbours
    other = (
        near.tls_names.get((connection.b.ip, connection.b.port), set()) - {name or ""} if near is not None else set()
    )
    if other and name:
        weak.append(f"the same server finished TLS for {', '.join(sorted(other)[:3])}")
    wait = rows.time[reset] - rows.time[fate.carried[-1] if fate.carried[-1] < reset else fate.first]
    stage = "after its ServerHello" if tls is not None and tls.server_hello is not None else "in place of a ServerHello"
    base = (
        f"{end(connection, fate.client)} sent its ClientHello{f' for {name}' if name else ''} (packet "
        f"{rows.number[fate.first]}); {at(connection, rows.time[reset])}, {span(max(wait, 0))} later, an RST came in "
        f"the server's name (packet {rows.number[reset]}, TTL {rows.ttl[reset]}) {stage}, without an alert."
    )
    forged = bool(strong) or len(weak) >= 2
    if forged:
        return finding(
            CODE,
            f"a device on the path reset the TLS handshake with {connection.b}{f' for {name}' if name else ''}",
            f"{base} It is most probably not the server's: {'; '.join(strong + weak)}.",
            "Find the device between client and server that forges resets (firewall, filter by server name, intrusion "
            "prevention) and allow this connection there; a path around it (VPN) shows that the server is well.",
            [rows.number[i] for i in (*fate.carried, reset)],
            actor=Actor.MIDDLEBOX,
            sure=Confidence.LIKELY if strong else Confidence.POSSIBLE,
            reason="; ".join(strong + weak),
            disproof="a capture at the server in which it sends this RST itself",
            next_capture="at the server: does this RST leave it?",
        )
    return finding(
        CODE,
        f"{end(connection, server)} reset the connection during the TLS handshake",
        f"{base} Nothing in the RST differs from the server's other packets"
        + (f" (but {weak[0]})" if weak else "")
        + ": the program closed with octets unread, crashed, or refuses this client.",
        "Server's operator: look in the server's log at this moment: crash, refused name or address, a listener that "
        "expects something else (PROXY protocol), or a load balancer without a backend.",
        [rows.number[i] for i in (*fate.carried, reset)],
        actor=Actor.SERVER,
        sure=Confidence.POSSIBLE if weak else Confidence.LIKELY,
        reason="TTL and numbering fit the server's other packets; a device next to the server could imitate that",
        disproof="a capture at the server in which this RST does not leave it",
        next_capture="at the server: does this RST leave it?",
    )


def _before_the_hello(connection: Connection) -> Finding | None:
    """On a port known for TLS: an RST of the server as soon as it is connected to, before either side said a word."""
    tcp, close, rows = connection.tcp, first_close(connection), connection.rows
    if tcp.handshake != "complete" or tcp.source != "packets" or connection.b.port not in TLS_PORTS:
        return None
    if close is None or not close.reset or close.side == A or any(side.payload for side in tcp.sides):
        return None
    if close.time - connection.start > SECOND or is_cut(connection) or acknowledged(connection, A) > 0:
        return None
    return finding(
        CODE,
        f"{end(connection, close.side)} reset the connection before the TLS handshake began",
        f"TCP was set up, and {at(connection, close.time)} an RST came in the server's name (packet "
        f"{close.packet}, TTL {rows.ttl[close.place]}) before client or server had sent anything.",
        "Server's operator: look in the log of what accepts connections there: an address that is refused, a limit of "
        "connections, a load balancer without a backend, a program that dies. A device on the path may do so, too.",
        [close.packet],
        sure=Confidence.POSSIBLE,
        reason="a server that speaks TLS waits for the ClientHello",
        disproof="a capture at the server in which this RST does not leave it",
        next_capture="at the server: does this RST leave it?",
    )


def _in_the_clients_name(connection: Connection, close: Close) -> Finding | None:
    """Seen from the server's side: a forger resets both ends, and this RST bears the client's address."""
    strong, weak = forger_signs(connection, close.place)
    if not strong:
        return finding(
            CODE,
            f"{end(connection, close.side)} reset the connection during the TLS handshake",
            f"{at(connection, close.time).capitalize()} an RST came from {end(connection, close.side)} (packet "
            f"{close.packet}) before the handshake was done: it gave up, was stopped, or had itself been reset by a "
            "device on the path, which cannot be seen from here.",
            "Client's user: the client's own message says why.",
            [close.packet],
            actor=Actor.CLIENT,
            severity=Severity.NOTICE,
            sure=Confidence.POSSIBLE,
            reason="an RST carries no reason",
            disproof="a capture at the client in which it does not send this RST",
            next_capture="at the client: did an RST in the server's name reach it first?",
        )
    name = connection.tls.sni if connection.tls is not None else None
    return finding(
        CODE,
        f"a device on the path reset the TLS handshake with {connection.b}{f' for {name}' if name else ''}",
        f"{at(connection, close.time).capitalize()} an RST came in the client's name (packet {close.packet}, TTL "
        f"{connection.rows.ttl[close.place]}) during the TLS handshake. It is most probably not the client's: "
        f"{'; '.join(strong + weak)}.",
        "Find the device between client and server that forges resets (filter by server name, intrusion prevention) "
        "and "
        "allow this connection there.",
        [close.packet],
        actor=Actor.MIDDLEBOX,
        sure=Confidence.LIKELY,
        reason="; ".join(strong + weak),
        disproof="a capture at the client in which it sends this RST itself",
        next_capture="at the client: does this RST leave it?",
    )
