"""TLS204: a server or device that cannot handle a ClientHello in several packets.

What it sees.  The ClientHello needs more than one packet, and the server closes or resets after it without a TLS
octet: before all of it was sent, or having acknowledged its first packet only, or at once.

Why it matters.  ClientHellos with a post-quantum key share are about 1,800 octets long.  Servers and inspection
devices that read once and expect a whole ClientHello fail for new browsers and for nobody else.

How to fix.  Update the server or the device in front of it.  Meanwhile the client may offer no post-quantum group.

Confused with.  A server that closes on any ClientHello (TLS111) or a reset for other reasons (TLS110): try with a
short ClientHello; if that fails too, size is not the cause.  A program that has read all of it and closes sends FIN,
one that leaves octets unread makes its kernel send RST: a FIN that acknowledges the whole of it is TLS111.  An RST that
is not the server's is TLS110.  Large packets that do not pass at all are TCP302.

References.  RFC 8446 5.1 (handshake messages may span records and segments), RFC 9293 3.8 (TCP is a byte stream).
"""

from __future__ import annotations

from synfin.judge.engine import Context
from synfin.judge.forged import forger_signs
from synfin.judge.hello import ONE_PACKET, hello_fate, large_group
from synfin.judge.model import Confidence, Finding
from synfin.judge.telling import at, end, finding, numbers
from synfin.observe.story import Connection
from synfin.wire.tcpflags import ACK

CODE = "TLS204"


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire when the server ended the connection on a ClientHello longer than one packet."""
    fate = hello_fate(connection)
    if fate is None or fate.close is None or fate.close.side == fate.client or fate.close.place < fate.first:
        return None
    rows = connection.rows
    distinct = {rows.seq[i] for i in fate.carried}
    server = (connection.b.ip, connection.b.port)
    near = context.neighbours
    short = near.short_hellos.get(server) if near is not None else None
    if len(distinct) < 2 and fate.length <= _room(connection):
        known = near.tls_names.get(server, ()) if near is not None else ()
        if not short or fate.length <= ONE_PACKET or connection.name not in known:
            return None  # it came in one piece, and no other length was tried for the same name
    if short is False:
        return None  # a short ClientHello ended there in the same way
    if fate.heard or (fate.untouched and len(fate.carried) - len(distinct) > 1):
        return None  # it answered, or nothing of it arrived (TCP302, TLS113)
    group = large_group(connection)
    close = fate.close
    ack = rows.ack[close.place]
    syn = connection.tcp.sides[fate.client].syn
    offset = (ack - syn.seq - 1) & 0xFFFFFFFF if syn is not None else 0
    partly = fate.start < offset < fate.start + fate.length and bool(rows.flags[close.place] & ACK)
    strong, weak = forger_signs(connection, close.place) if close.reset else ([], [])
    if strong or len(weak) >= 2:
        return None  # the server's end did not send it (TLS110)
    if not (close.reset or partly or short):
        return None  # it had read all of it or nothing: a close with octets unread is RST (TLS111)
    packets = f"{len(distinct)} packets" if len(distinct) > 1 else "one packet"
    if len(distinct) == 1 and fate.length > _room(connection):
        packets = "a packet that is cut on its way"
    return finding(
        CODE,
        f"{end(connection, 1 - fate.client)} gives up on a ClientHello of {fate.length} octets",
        f"The ClientHello of {end(connection, fate.client)} is {fate.length} octets long in {packets} "
        f"({numbers([rows.number[i] for i in fate.carried])})"
        + (f", most of it the {group} key share" if group else "")
        + f"; {at(connection, close.time)} the server sent {'RST' if close.reset else 'FIN'} (packet {close.packet}) "
        "without a TLS octet"
        + (f", having taken {offset - fate.start} octets, its first packet, only." if partly else ".")
        + " A server or device that reads once and expects a whole ClientHello does this"
        + (
            "."
            if short or partly
            else "; one that closes unread what any client sends (no backend, a PROXY header expected) looks the same."
        ),
        (
            ""
            if short or partly
            else "Try a short ClientHello first (curl --curves X25519): if it ends in the same way, look in the log of "
            "what terminates TCP there. "
        )
        + "Server's operator: update the TLS software, or the device in front of it, so that it reads a ClientHello "
        "over several packets. Client meanwhile: offer no post-quantum group.",
        [rows.number[i] for i in fate.carried] + [close.packet],
        sure=Confidence.LIKELY if short or partly else Confidence.POSSIBLE,
        reason="a short ClientHello to the same server was answered"
        if short
        else "it ended after part of the ClientHello"
        if partly
        else "the ClientHello did not fit one packet and no answer to it came",
        disproof="a short ClientHello (one packet) to the same server that ends in the same way",
        next_capture="" if short else "here again with a short ClientHello (curl --curves X25519)",
    )


def _room(connection: Connection) -> int:
    """Octets that surely pass in one packet: the lower MSS of both ends, as far as they told it."""
    told = [side.syn.mss for side in connection.tcp.sides if side.syn is not None and side.syn.mss]
    return min(told) if len(told) == 2 else ONE_PACKET
