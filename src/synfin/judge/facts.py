"""What rules ask of a connection again and again: who is the client, what was sent, what arrived, who closed.

Everything here is a short pure function of the story; nothing is decided.  What protected records carry is asked in
``records``, whose RST it is in ``forged``; the words for all of it are in ``telling``.

Offsets count in a sender's stream as ``observe.stream`` counts them; sequence numbers are compared modulo 2**32
(RFC 9293 3.4).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from synfin.observe.story import A, Connection
from synfin.observe.story_tls import AlertFact, ChainFact, MessageFact, TlsStory
from synfin.wire.tcpflags import ACK, FIN, RST, SYN
from synfin.wire.tls.registry import is_tls13


def client_side(connection: Connection) -> int:
    """The side that plays the client: who sent the ClientHello, else who opened the connection."""
    return connection.tls.client if connection.tls is not None else A


# ---------------------------------------------------------------- packets


def by(connection: Connection, side: int, mask: int, value: int | None = None) -> Iterator[int]:
    """Indices of the packets of ``side`` whose flags under ``mask`` equal ``value`` (default: any bit of it set)."""
    rows = connection.rows
    for i, flags in enumerate(rows.flags):
        if rows.sender[i] == side and (flags & mask if value is None else flags & mask == value):
            yield i


def syns(connection: Connection, side: int = A) -> list[int]:
    """Indices of a side's SYN or SYN-ACK packets, repeats included."""
    return list(by(connection, side, SYN))


def first_rst(connection: Connection, side: int) -> int | None:
    """Index of a side's first RST."""
    return next(by(connection, side, RST), None)


class Close(NamedTuple):
    """The first packet that ended the connection."""

    place: int
    packet: int
    time: int
    side: int
    reset: bool


def first_close(connection: Connection) -> Close | None:
    """The first FIN or RST of either side."""
    rows = connection.rows
    for i, flags in enumerate(rows.flags):
        if flags & (FIN | RST):
            return Close(i, rows.number[i], rows.time[i], rows.sender[i], bool(flags & RST))
    return None


def spoke_after(connection: Connection, side: int, close: Close) -> bool:
    """Whether ``side`` sent octets after ``close`` that are more than TLS alerts, which only complain about it."""
    rows, tls = connection.rows, connection.tls
    late = {rows.number[i] for i in range(close.place, len(rows)) if rows.sender[i] == side and rows.load_len[i]}
    if not late or tls is None:
        return bool(late)
    said = {alert.packet for alert in tls.alerts if alert.sender == side}
    return bool(late - said) or any(
        r.sender == side and r.packet in late and 21 not in (r.type, r.inner_type) and r.length > 2 + 16 + 16 + 1
        for r in tls.records
    )


def ended_by(connection: Connection, side: int) -> int | None:
    """The packet with which ``side`` ended the exchange before the other did: its close_notify or FIN, or None.

    A close_notify that only answers the other side's close does not count; RST is no orderly end.
    """
    close = first_close(connection)
    notify = connection.tls.close_notify[side] if connection.tls is not None else None
    theirs = connection.tls.close_notify[1 - side] if connection.tls is not None else None
    first = min((p for p in (theirs, close.packet if close is not None else None) if p is not None), default=None)
    if notify is not None and (first is None or notify <= first):
        return notify
    if close is not None and close.side == side and not close.reset and (theirs is None or theirs > close.packet):
        return close.packet
    return None


def stream_base(connection: Connection, side: int) -> int | None:
    """The sequence number of offset 0 of a side's stream, or None where it is not known."""
    syn = connection.tcp.sides[side].syn
    if syn is not None:
        return (syn.seq + 1) & 0xFFFFFFFF
    rows = connection.rows
    base: int | None = None
    for i in range(len(rows)):
        if rows.sender[i] == side and rows.load_len[i]:
            seq = rows.seq[i]
            if base is None or ((base - seq) & 0xFFFFFFFF) < 0x80000000:
                base = seq
    return base


def acknowledged(connection: Connection, side: int) -> int:
    """How many octets of ``side``'s stream the other side acknowledged (-1: not known, or not even the SYN)."""
    base = stream_base(connection, side)
    if base is None:
        return -1
    rows = connection.rows
    best = -1
    for i, flags in enumerate(rows.flags):
        if rows.sender[i] != side and flags & ACK and not flags & RST:
            offset = (rows.ack[i] - base) & 0xFFFFFFFF
            if best < offset < 0x80000000:
                best = offset
    return best


def sent(connection: Connection, side: int) -> int:
    """The offset after the last octet that ``side`` sent, by sequence numbers (0: none)."""
    return connection.streams[side].end


def has_sent(connection: Connection, side: int) -> bool:
    """Whether any octet of ``side`` was captured or is known to have been sent."""
    return connection.tcp.sides[side].payload > 0 or bool(connection.streams[side].pieces)


def payload_indices(connection: Connection, side: int) -> list[int]:
    """Indices of the packets in which ``side`` sent payload, repeats included."""
    rows = connection.rows
    return [i for i in range(len(rows)) if rows.sender[i] == side and rows.load_len[i] > 0]


def is_cut(connection: Connection) -> bool:
    """Whether the snap length cut the payload of any packet."""
    rows = connection.rows
    return any(cap < size for cap, size in zip(rows.load_cap, rows.load_len, strict=True))


def round_trip(connection: Connection) -> int:
    """The handshake's round trip in ns, or 0."""
    return connection.tcp.initial_rtt or connection.tcp.syn_to_synack or 0


# ---------------------------------------------------------------- TLS


def hello_head(connection: Connection, side: int) -> bytes:
    """The first octets of a side's TLS (or of its stream where TLS was not recognised)."""
    start = connection.tls.start[side] if connection.tls is not None and connection.preambles else 0
    stream = connection.streams[side]
    if stream.pieces and start < stream.pieces[0].offset:
        start = stream.pieces[0].offset
    return stream.read(start, 64)


def began_tls(connection: Connection) -> bool:
    """Whether the client's stream begins with a TLS handshake record or the watcher saw a ClientHello."""
    if connection.tls is not None:
        return True
    head = hello_head(connection, A)
    return head[:2] == b"\x16\x03" and head[5:6] in (b"\x01", b"")


def hello_span(connection: Connection) -> tuple[int, int]:
    """Offset and length of the ClientHello's record(s) in the client's stream; length from its headers."""
    client = client_side(connection)
    tls = connection.tls
    start = tls.start[client] if tls is not None else 0
    if tls is not None and tls.client_hello is not None:
        hello = tls.client_hello
        return hello.offset, hello.length + 5
    head = connection.streams[client].read(start, 9)
    if len(head) == 9 and head[0] == 0x16:
        return start, int.from_bytes(head[6:9], "big") + 9
    return start, max(sent(connection, client) - start, 0)


def hello_packets(connection: Connection) -> tuple[int, ...]:
    """The packets that carried the ClientHello."""
    tls = connection.tls
    if tls is not None and tls.client_hello is not None:
        return tls.client_hello.packets
    offset, length = hello_span(connection)
    return connection.streams[client_side(connection)].packets(offset, length)


def messages(tls: TlsStory, sender: int, name: str) -> list[MessageFact]:
    """A side's handshake messages of one name."""
    return [message for message in tls.messages if message.sender == sender and message.name == name]


def deciding_alert(connection: Connection, sender: int | None = None) -> AlertFact | None:
    """The first readable alert that ends a connection (RFC 8446 6.2), of one side or either.

    close_notify (0), user_canceled (90) and no_renegotiation (100) end nothing by themselves; in TLS 1.2 and older
    a warning (level 1) does not either.  An alert sent to a side that had closed already only complains about that,
    unless it says that a record did not authenticate (20, 21): a large answer and its close arrive together.
    """
    tls = connection.tls
    if tls is None:
        return None
    for alert in tls.alerts:
        if alert.description is None or alert.description in (0, 90, 100):
            continue
        if sender is not None and alert.sender != sender:
            continue
        if alert.level == 1 and not is_tls13(tls.version):
            continue
        if alert.description not in (20, 21) and _had_closed(connection, 1 - alert.sender, alert.packet):
            continue
        return alert
    return None


def _had_closed(connection: Connection, side: int, packet: int) -> bool:
    """Whether ``side`` had sent FIN or close_notify before ``packet``, or that packet acknowledges its FIN.

    A capture may have missed the FIN, or hold it behind its answer.
    """
    fin = connection.tcp.sides[side].fin_packet
    notify = connection.tls.close_notify[side] if connection.tls is not None else None
    if any(place is not None and place < packet for place in (fin, notify)):
        return True
    rows, base = connection.rows, stream_base(connection, side)
    place = bisect_left(rows.number, packet)
    if base is None or place >= len(rows) or rows.number[place] != packet or not rows.flags[place] & ACK:
        return False
    return 0 < (rows.ack[place] - base - connection.streams[side].end) & 0xFFFFFFFF < 0x80000000


def was_asked(connection: Connection) -> bool:
    """Whether the server is seen to ask for a certificate."""
    tls = connection.tls
    return tls is not None and (tls.certificate_requested or bool(messages(tls, 1 - tls.client, "certificate_request")))


def begun_unseen(connection: Connection) -> bool:
    """Whether packets were captured, and the connection had begun before."""
    return connection.tcp.source == "packets" and connection.tcp.handshake == "none"


def missed(connection: Connection) -> bool:
    """Whether the capture lacks octets that were sent: holes, or a FIN or an acknowledgment beyond what was seen."""
    if is_cut(connection) or any(stream.holes for stream in connection.streams):
        return True
    rows = connection.rows
    for side in (0, 1):
        base = stream_base(connection, side)
        seen = connection.streams[side].end
        if base is None:
            continue
        if acknowledged(connection, side) > seen + 1:
            return True
        for i in by(connection, side, ACK):
            if not rows.flags[i] & RST and 1 < (rows.seq[i] + rows.load_len[i] - base - seen) & 0xFFFFFFFF < 0x80000000:
                return True
    return False


def server_chain(tls: TlsStory) -> ChainFact | None:
    """The certificates the server sent, if any were seen."""
    for chain in tls.chains:
        if chain.sender != tls.client and chain.der:
            return chain
    return None
