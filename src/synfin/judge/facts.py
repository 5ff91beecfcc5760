"""What rules ask of a connection again and again: who, when, what arrived, who closed, whose RST it is.

Everything here is a short pure function of the story; nothing is decided.  Offsets count in a sender's stream as
``observe.stream`` counts them; sequence numbers are compared modulo 2**32 (RFC 9293 3.4).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from synfin.judge.codes import CODES
from synfin.judge.model import Actor, Confidence, Finding, Severity
from synfin.judge.signs import ALERT_LENGTHS, FINISHED_LENGTHS
from synfin.observe.evidence import Evidence
from synfin.observe.story import A, Connection
from synfin.observe.story_tls import AlertFact, ChainFact, MessageFact, TlsStory
from synfin.wire.tcpflags import ACK, FIN, RST, SYN

SECOND = 1_000_000_000
MILLI = 1_000_000


def finding(
    code: str,
    title: str,
    cause: str,
    remedy: str,
    packets: Sequence[int | None],
    *,
    sure: Confidence,
    reason: str,
    disproof: str,
    actor: Actor | None = None,
    severity: Severity | None = None,
    next_capture: str = "",
    field: str = "",
) -> Finding:
    """A Finding whose severity and actor are the code table's unless given; packets that are None are left out."""
    row = CODES[code]
    return Finding(
        code=code,
        severity=row.severity if severity is None else severity,
        actor=row.actor if actor is None else actor,
        title=title,
        cause=cause,
        remedy=remedy,
        evidence=(Evidence(tuple(sorted({p for p in packets if p is not None})), field=field),),
        confidence=sure,
        reason=reason,
        disproof=disproof,
        next_capture=next_capture,
    )


def counted(code: str, title: str, cause: str, remedy: str) -> Finding:
    """A fact about the whole capture: a count, so nothing can be doubted and no packet is named."""
    return finding(code, title, cause, remedy, [], sure=Confidence.CERTAIN, reason="counted", disproof="")


# ---------------------------------------------------------------- who and when


def client_side(connection: Connection) -> int:
    """The side that plays the client: who sent the ClientHello, else who opened the connection."""
    return connection.tls.client if connection.tls is not None else A


def end(connection: Connection, side: int) -> str:
    """``client 10.0.0.1:50000`` or ``server 10.0.0.2:443``."""
    place = connection.a if side == A else connection.b
    return f"{'client' if side == client_side(connection) else 'server'} {place}"


def server_name(connection: Connection) -> str:
    """``server 10.0.0.2:443 (example.com)``; the name where the client said one."""
    name = connection.name
    text = end(connection, 1 - client_side(connection))
    return f"{text} ({name})" if name not in ("", connection.b.ip) else text


def at(connection: Connection, time: int) -> str:
    """When: seconds since the connection's first packet, as ``at 0.123 s``."""
    return f"at {(time - connection.start) / SECOND:.3f} s"


def span(ns: int) -> str:
    """A duration for people: ``40 µs``, ``1.4 ms``, ``23 ms``, ``3.1 s``."""
    if ns < MILLI:
        return f"{ns / 1000:.0f} µs"
    if ns < 10 * MILLI:
        return f"{ns / MILLI:.1f} ms"
    return f"{ns / MILLI:.0f} ms" if ns < SECOND else f"{ns / SECOND:.1f} s"


def numbers(packets: tuple[int, ...] | list[int], most: int = 6) -> str:
    """``packet 4`` or ``packets 4, 5 and 9`` or ``packets 4, 5, 6 ... 90``."""
    many = list(packets)
    if len(many) == 1:
        return f"packet {many[0]}"
    if len(many) > most:
        return f"packets {', '.join(map(str, many[: most - 1]))} ... {many[-1]}"
    return f"packets {', '.join(map(str, many[:-1]))} and {many[-1]}"


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


def both_directions(connection: Connection) -> bool:
    """Whether packets of both sides were captured."""
    return all(side.packets for side in connection.tcp.sides)


def is_cut(connection: Connection) -> bool:
    """Whether the snap length cut the payload of any packet."""
    rows = connection.rows
    return any(cap < size for cap, size in zip(rows.load_cap, rows.load_len, strict=True))


def round_trip(connection: Connection) -> int:
    """The handshake's round trip in ns, or 0."""
    return connection.tcp.initial_rtt or connection.tcp.syn_to_synack or 0


# ---------------------------------------------------------------- forged or not


def forger_signs(connection: Connection, index: int) -> tuple[list[str], list[str]]:
    """What about the RST at ``index`` does not fit its supposed sender: ``(strong, weak)`` sentences.

    Compared with the sender's other packets: TTL, sequence number, life after death (strong); IP identification and
    an answer faster than the path allows (weak).
    """
    rows = connection.rows
    side = rows.sender[index]
    strong: list[str] = []
    weak: list[str] = []
    others = [i for i in range(len(rows)) if rows.sender[i] == side and not rows.flags[i] & RST]
    before = [i for i in others if i < index]
    ttls = {rows.ttl[i] for i in others}
    if ttls and rows.ttl[index] not in ttls:
        strong.append(
            f"its TTL is {rows.ttl[index]}, every other packet of that end has {' or '.join(map(str, sorted(ttls)))}"
        )
    rtt = connection.tcp.syn_to_synack or 0
    alive = rows.time[index] + max(rtt, 5 * MILLI)  # until then packets may have overtaken each other
    later = [i for i in others if i > index and (rows.load_len[i] or rows.time[i] > alive)]
    if later:
        strong.append(f"that end went on sending after it ({numbers([rows.number[i] for i in later])})")
    syn = connection.tcp.sides[side].syn
    if syn is not None and syn.timestamps and rows.flags[index] & ACK and rows.opt_len[index] < 10:
        weak.append("it lacks the timestamps that the other packets of that end carry")
    seqs = [rows.seq[i] for i in by(connection, side, RST)]
    if len(set(seqs)) > 1 and index == next(by(connection, side, RST)):
        weak.append("several RSTs came with different sequence numbers")
    ids = [rows.ip_id[i] for i in before if rows.ip_id[i]]
    if ids and rows.ip_id[index] and ((rows.ip_id[index] - ids[-1]) & 0xFFFF) > 2048:
        weak.append(f"its IP identification {rows.ip_id[index]} does not continue from {ids[-1]}")
    asked = [i for i in range(index) if rows.sender[i] != side and rows.load_len[i]]
    if asked and rtt > 4 * MILLI and rows.time[index] - rows.time[asked[-1]] < rtt * 3 // 5:
        waited = rows.time[index] - rows.time[asked[-1]]
        weak.append(f"it came {span(waited)} after the packet it answers, and the path takes {span(rtt)}")
    return strong, weak


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


def hello_time(connection: Connection) -> int:
    """When the last octet of the ClientHello was first seen."""
    tls = connection.tls
    if tls is not None and tls.client_hello is not None:
        return tls.client_hello.time
    rows = connection.rows
    carried = payload_indices(connection, client_side(connection))
    return rows.time[carried[0]] if carried else connection.start


def messages(tls: TlsStory, sender: int, name: str) -> list[MessageFact]:
    """A side's handshake messages of one name."""
    return [message for message in tls.messages if message.sender == sender and message.name == name]


def deciding_alert(connection: Connection, sender: int | None = None) -> AlertFact | None:
    """The first readable alert that ends a connection (RFC 8446 6.2), of one side or either.

    close_notify (0), user_canceled (90) and no_renegotiation (100) end nothing by themselves; in TLS 1.2 and older
    a warning (level 1) does not either.  An alert sent to a side that had closed already only complains about that.
    """
    tls = connection.tls
    if tls is None:
        return None
    for alert in tls.alerts:
        if alert.description is None or alert.description in (0, 90, 100):
            continue
        if sender is not None and alert.sender != sender:
            continue
        if alert.level == 1 and not (tls.version is not None and tls.version >= 0x0304):
            continue
        if _had_closed(connection, 1 - alert.sender, alert.packet):
            continue
        return alert
    return None


def _had_closed(connection: Connection, side: int, packet: int) -> bool:
    """Whether ``side`` had sent FIN or close_notify before ``packet``."""
    fin = connection.tcp.sides[side].fin_packet
    notify = connection.tls.close_notify[side] if connection.tls is not None else None
    return any(place is not None and place < packet for place in (fin, notify))


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


class Protected(NamedTuple):
    """One protected record and what it carries: ``handshake``, ``alert``, ``data`` (``guess``: by its length)."""

    sender: int
    what: str
    length: int
    packet: int
    time: int
    guess: bool


#: Octets of a TLS 1.3 record that holds only an empty Certificate (RFC 8446 4.4.2).
EMPTY_CERTIFICATE_13 = (4 + 4 + 1 + 16, 4 + 4 + 1 + 16 + 16)


def protected(tls: TlsStory) -> list[Protected]:
    """Every protected record with what it carries, by decryption where there were secrets, else by its shape.

    In TLS 1.3 all are of outer type 23; without secrets the client's records up to the one of Finished's length are
    its handshake, one of an alert's length is an alert, and the rest is data.  Of the server only what comes after
    the client's Finished can be told apart, and NewSessionTicket looks like data.
    """
    found: list[Protected] = []
    client_done = False
    new = tls.version is not None and tls.version >= 0x0304
    for record in tls.records:
        if not record.protected:
            continue
        guess = False
        if not new:
            what = {21: "alert", 22: "handshake", 23: "data"}.get(record.type, "other")
        elif record.type != 23:
            continue
        elif record.inner_type is not None:
            what = {21: "alert", 22: "handshake", 23: "data"}.get(record.inner_type, "other")
        else:
            guess = True
            if record.length in ALERT_LENGTHS:
                what = "alert"
            elif not client_done:
                what = "handshake"
            else:
                what = "data"
            if record.sender == tls.client and not client_done and record.length in FINISHED_LENGTHS:
                what, client_done = "handshake", True
        if record.inner_type == 22 and record.sender == tls.client:
            client_done = True
        found.append(Protected(record.sender, what, record.length, record.packet, record.time, guess))
    return found


def asked_anything(tls: TlsStory) -> bool:
    """Whether the client sent application data."""
    if tls.early_data in ("accepted", "offered"):
        return True
    return any(p.sender == tls.client and p.what == "data" for p in protected(tls))


def speaks_http(connection: Connection) -> bool:
    """Whether TLS records that cannot be read most probably carry HTTP, where every request has an answer."""
    tls = connection.tls
    if tls is None:
        return False
    return tls.alpn in ("http/1.1", "h2") or (tls.alpn is None and connection.b.port in (443, 8443))


def unanswered(tls: TlsStory) -> tuple[Protected, Protected | None] | None:
    """In records that cannot be read: the client's first request, and the first record that can be an answer to it.

    OpenSSL's servers send two NewSessionTickets of one length when they read the client's Finished, about the time of
    the first request: up to two records of one length are therefore no answer.  None where nothing was asked.
    """
    shown = protected(tls)
    asked = next((p for p in shown if p.sender == tls.client and p.what == "data"), None)
    if asked is None:
        return None
    theirs = [p for p in shown if p.sender != tls.client and p.what == "data" and p.time >= asked.time]
    before = {p.length for p in shown if p.sender != tls.client and p.what == "data" and p.time < asked.time}
    if tls.version is None or tls.version < 0x0304:
        return asked, next(iter(theirs), None)
    for place, record in enumerate(theirs):
        same = record.length in before or (place == 0 and len(theirs) > 1 and theirs[1].length == record.length)
        if place < 2 and (same or (place == 1 and theirs[0].length == record.length)):
            continue
        return asked, record
    return asked, None
