"""TLS101: the client speaks TLS and the server answers with something else.

What it sees.  A ClientHello, and octets from the server that are not TLS: an HTTP response, an SSH or SMTP banner, a
database's greeting, plain text.

Why it matters.  The client cannot read the answer as TLS: "wrong version number", EPROTO, ERR_SSL_PROTOCOL_ERROR,
SSL_ERROR_RX_RECORD_TOO_LONG, "Unrecognized SSL message, plaintext connection?".

How to fix.  Use the right port or scheme: `http://` for this port, or the port on which the server speaks TLS; for a
proxy, `http://proxy` instead of `https://proxy`; for mail and databases, STARTTLS instead of TLS from the first
octet.  Or switch TLS on at the server.

Confused with.  A proxy or STARTTLS dialogue before TLS is not a failure and is not reported.

References.  RFC 8446 5.1 (record types 20 to 24 and version 0x03xx begin every record).
"""

from __future__ import annotations

from synfin.judge.engine import Context
from synfin.judge.facts import began_tls, begun_unseen, client_side, hello_head, hello_packets
from synfin.judge.model import Confidence, Finding
from synfin.judge.signs import looks_like_tls
from synfin.judge.telling import at, end, finding
from synfin.observe.story import Connection

CODE = "TLS101"

#: How well-known protocols greet or answer: (first octets, name).
_GREETINGS: tuple[tuple[bytes, str], ...] = (
    (b"HTTP/", "HTTP"),
    (b"<!DOCTYPE", "HTTP (a bare HTML page)"),
    (b"<html", "HTTP (a bare HTML page)"),
    (b"SSH-", "SSH"),
    (b"220-", "SMTP or FTP"),
    (b"220 ", "SMTP or FTP"),
    (b"421 ", "SMTP or FTP"),
    (b"500 ", "SMTP or FTP"),
    (b"554 ", "SMTP"),
    (b"* OK", "IMAP"),
    (b"* BYE", "IMAP"),
    (b"+OK", "POP3"),
    (b"-ERR", "POP3 or Redis"),
    (b"RFB ", "VNC"),
    (b"AMQP", "AMQP"),
    (b"<?xml", "XMPP or another XML protocol"),
    (b"<stream", "XMPP"),
    (b"NOTICE", "IRC"),
    (b":", "IRC or plain text"),
    (b"\xff\xfd", "Telnet"),
    (b"\xff\xfb", "Telnet"),
    (b"\x00\x00\x12\x04", "HTTP/2 without TLS"),
)


def greeting(head: bytes) -> str:
    """The protocol that ``head`` begins, or a description of it."""
    for start, name in _GREETINGS:
        if head.startswith(start):
            return name
    if len(head) > 9 and head[3:9] == b"\x04\x00\x00\x00\x00\x00" and head[:2] == b"\x00\x00":
        return "HTTP/2 without TLS"
    if len(head) > 5 and head[3:5] == b"\x00\x0a":
        return "MySQL"
    text = head[:24].split(b"\n")[0].strip()
    if text and all(32 <= octet < 127 for octet in text):
        return f'plain text beginning "{text.decode()}"'
    return f"octets that are no TLS record ({head[:8].hex(' ')})"


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire when the server's first octets, in answer to a ClientHello, are not TLS."""
    tls = connection.tls
    if (tls is not None and tls.server_hello is not None) or not began_tls(connection):
        return None
    client = client_side(connection)
    head = hello_head(connection, 1 - client)
    stream = connection.streams[1 - client]
    begun = stream.pieces[0].offset if stream.pieces else 0
    if len(head) < 3 or looks_like_tls(head) or begun_unseen(connection):
        return None
    if any(hole.offset <= begun for hole in stream.holes):
        return None
    if connection.tcp.source == "packets" and connection.tcp.sides[1 - client].syn is None:
        return None  # without its SYN,ACK nobody knows where its stream begins
    if tls is not None and tls.sslv2:
        return None
    start = tls.start[1 - client] if tls is not None and connection.preambles else stream.pieces[0].offset
    spoken = greeting(head)
    packets = stream.packets(start, len(head))
    first = stream.pieces[max(stream.index(start), 0)]
    shown = head.split(b"\r")[0].split(b"\n")[0][:40]
    quoted = f' ("{shown.decode()}")' if shown and all(32 <= c < 127 for c in shown) else ""
    return finding(
        CODE,
        f"{end(connection, 1 - client)} speaks {spoken}, not TLS",
        f"{end(connection, client)} sent a ClientHello; {at(connection, first.time)} the server sent {spoken}{quoted} "
        f"(packet {packets[0] if packets else first.packet}) instead of a TLS record.",
        f"Client's user: use the scheme and port that fit: port {connection.b.port} there speaks {spoken}. "
        "Server's operator: if TLS was meant, switch it on for this port.",
        [*hello_packets(connection), *packets],
        sure=Confidence.CERTAIN,
        reason="the server's first octets are not a TLS record",
        disproof="server octets before these that the capture missed",
    )
