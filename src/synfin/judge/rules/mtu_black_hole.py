"""TCP301: large packets from the server do not pass the path (MTU black hole).

What it sees.  Small packets pass both ways, and a hole in the server's stream is never filled: smaller packets sent
after the missing ones arrive (out of order, the client acknowledges them by SACK), the missing ones are large, and no
repetition arrives either.  Seen from the server's side: the same large segments sent again and again, smaller ones
acknowledged by SACK.

Why it matters.  Typical of VPN, PPPoE, tunnels and container networks: TCP connects, the ClientHello is answered, and
the server's certificates never come: "SSL connection timeout" after "Client hello", "TLS handshake timeout".

How to fix.  Clamp the MSS or lower the MTU where the path becomes narrower, and let ICMP "fragmentation needed" (IPv4
type 3 code 4) and "packet too big" (IPv6 type 2) pass.

Confused with.  Random loss: then repetitions arrive after a while.  An application that never answers (TLS112) leaves
no hole.  A ClientHello that does not pass is TCP302.

References.  RFC 2923 2.1, RFC 1191, RFC 8201, RFC 8899, RFC 2018.
"""

from __future__ import annotations

from synfin.judge.engine import Context
from synfin.judge.facts import acknowledged, by, client_side, payload_indices, stream_base
from synfin.judge.hello import sack_blocks
from synfin.judge.model import Confidence, Finding, Severity
from synfin.judge.telling import SECOND, at, end, finding, numbers, span
from synfin.observe.story import Connection
from synfin.wire.tcpflags import ACK, RST

CODE = "TCP301"

#: Missing packets of at least this payload can be a matter of size.
LARGE = 1000

#: A hole that stays open this long was not filled by any repetition (RFC 6298: the second comes within 3 s).
STAYED = 3 * SECOND // 2


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire on a lasting, size-selective loss from one side."""
    if connection.tcp.source != "packets" or connection.tcp.handshake != "complete":
        return None
    if _small_lost(connection):
        return None
    client = client_side(connection)
    for sender in (1 - client, client):
        answer = _hole(connection, context, sender) or _repeated(connection, sender) or _jump(connection, sender)
        if answer is not None:
            return answer
    return None


def _small_lost(connection: Connection) -> bool:
    """Whether small packets are repeated as well: then loss does not go by size."""
    rows = connection.rows
    small = [
        (rows.sender[i], rows.seq[i], rows.load_len[i]) for i in range(len(rows)) if 1 < rows.load_len[i] < LARGE // 2
    ]
    return len(small) - len(set(small)) > 1


def _hole(connection: Connection, context: Context, sender: int) -> Finding | None:
    """The receiver's view: octets that never came, with smaller packets behind them that did."""
    stream = connection.streams[sender]
    hole = next((h for h in stream.holes if not h.acknowledged), None)
    base = stream_base(connection, sender)
    if hole is None or hole.length < LARGE or base is None or connection.tcp.sides[sender].syn is None:
        return None
    rows = connection.rows
    behind = [
        i
        for i in payload_indices(connection, sender)
        if ((rows.seq[i] - base) & 0xFFFFFFFF) >= hole.offset + hole.length
    ]
    if not behind:
        return None
    first = rows.time[behind[0]]
    if max(connection.end, context.end or 0) - first < STAYED and connection.end - first < STAYED:
        return None
    duplicates = [
        i
        for i in range(behind[0] + 1, len(rows))
        if rows.sender[i] != sender and (rows.ack[i] - base) & 0xFFFFFFFF == hole.offset and rows.flags[i] & 0x10
    ]
    if not duplicates:
        return None
    passed = max((rows.load_len[i] for i in payload_indices(connection, sender)), default=0)
    far = connection.tcp.sides[1 - sender].syn
    mss = far.mss if far is not None else None
    if passed >= min(hole.length, mss or hole.length):
        return None
    return finding(
        CODE,
        f"large packets from {end(connection, sender)} do not arrive",
        f"{hole.length} octets of {end(connection, sender)} are missing from octet {hole.offset} of its stream; "
        f"{at(connection, first)} a smaller packet from behind them arrived "
        f"({numbers([rows.number[i] for i in behind])}), "
        f"the receiver asked for the missing ones ({numbers([rows.number[i] for i in duplicates])}), and in "
        f"{span(connection.end - first)} no repetition came. The largest packet that did arrive has {passed} octets of "
        f"payload{f', the MSS allows {mss}' if mss else ''}: the loss goes by size.{_icmp(connection)}",
        "Network's operator: find the link with the smaller MTU (VPN, tunnel, PPPoE, container network) and clamp the "
        "MSS or lower the MTU there; let ICMP fragmentation needed / packet too big pass.",
        [rows.number[i] for i in (*behind, *duplicates)] + [error.packet for error in connection.tcp.icmp],
        sure=Confidence.LIKELY,
        reason="later, smaller packets of the same side arrive, the large ones never, repetitions included",
        disproof="a large packet of this side that arrives",
        next_capture="at the sender, to see the size of the packets that get lost",
    )


def _repeated(connection: Connection, sender: int) -> Finding | None:
    """The sender's view: large segments repeated in vain, smaller ones behind them acknowledged by SACK."""
    if not connection.tcp.sides[sender].marks.get("retransmission"):
        return None
    rows = connection.rows
    tries: dict[int, list[int]] = {}
    carried = payload_indices(connection, sender)
    for i in carried:
        if rows.load_len[i] >= LARGE:
            tries.setdefault(rows.seq[i], []).append(i)
    if not tries:
        return None
    seq, sent = max(tries.items(), key=lambda item: len(item[1]))
    if len(sent) < 3 or rows.time[sent[-1]] - rows.time[sent[0]] < STAYED // 2:
        return None
    last_ack, heard = None, 0
    sacks = []
    for i in range(sent[0], len(rows)):
        if rows.sender[i] == sender or not rows.flags[i] & 0x10 or rows.flags[i] & 4:
            continue
        last_ack, heard = rows.ack[i], i
        if sack_blocks(rows.options(i)):
            sacks.append(i)
    if last_ack is None or not 0 <= (seq - last_ack) & 0xFFFFFFFF < 0x80000000:
        return None
    size = max(rows.load_len[i] for i in sent)
    passed = max(
        (rows.load_len[i] for i in carried if 0 < (last_ack - rows.seq[i]) & 0xFFFFFFFF < 0x80000000), default=0
    )
    if not sacks and (len(sent) < 4 or not 0 < passed <= size - 60 or rows.time[heard] - rows.time[sent[0]] < STAYED):
        return None
    shown = (
        f"while the other end acknowledged later, smaller ones by SACK ({numbers([rows.number[i] for i in sacks])})"
        if sacks
        else f"while the other end is alive (packet {rows.number[heard]}) and had acknowledged packets of up to "
        f"{passed} "
        "octets"
    )
    return finding(
        CODE,
        f"large packets from {end(connection, sender)} are never acknowledged",
        f"{end(connection, sender)} sent the same segment of {size} octets {len(sent)} times in "
        f"{span(rows.time[sent[-1]] - rows.time[sent[0]])} ({numbers([rows.number[i] for i in sent])}) and it was "
        "never "
        f"acknowledged, {shown}: the loss goes by size.{_icmp(connection)}",
        "Network's operator: find the link with the smaller MTU (VPN, tunnel, PPPoE, container network) and clamp the "
        "MSS or lower the MTU there; let ICMP fragmentation needed / packet too big pass.",
        [rows.number[i] for i in (*sent, *sacks)] + [error.packet for error in connection.tcp.icmp],
        severity=None if sacks else Severity.WARNING,
        sure=Confidence.LIKELY if sacks else Confidence.POSSIBLE,
        reason="smaller packets of the same side are acknowledged, the large ones never",
        disproof="an acknowledgment of a large packet of this side",
        next_capture="at the receiver, to see that the large packets do not arrive",
    )


def _jump(connection: Connection, sender: int) -> Finding | None:
    """The receiver's view when nothing but an empty packet tells how much was sent and never came."""
    base = stream_base(connection, sender)
    far = connection.tcp.sides[1 - sender].syn
    if base is None or far is None or connection.tcp.sides[sender].syn is None:
        return None
    rows = connection.rows
    seen = connection.streams[sender].end
    for i in by(connection, sender, ACK):
        lost = (rows.seq[i] - base - seen) & 0xFFFFFFFF
        if not LARGE <= lost < 0x80000000 or rows.flags[i] & RST:
            continue
        carried = payload_indices(connection, sender)
        passed = max((rows.load_len[n] for n in carried), default=0)
        last = rows.time[carried[-1]] if carried else connection.start
        if acknowledged(connection, sender) > seen or rows.time[i] - last < STAYED or passed >= (far.mss or 536) - 60:
            return None
        return finding(
            CODE,
            f"{lost} octets from {end(connection, sender)} never arrived, and only small packets do",
            f"The sequence number of packet {rows.number[i]} ({at(connection, rows.time[i])}) shows that "
            f"{end(connection, sender)} had sent {lost} octets more than arrived, for {span(rows.time[i] - last)}, "
            f"repetitions included. The largest packet that did arrive has {passed} octets of payload, the MSS allows "
            f"{far.mss}: the loss goes by size.{_icmp(connection)}",
            "Network's operator: find the link with the smaller MTU (VPN, tunnel, PPPoE, container network) and clamp "
            "the MSS or lower the MTU there; let ICMP fragmentation needed / packet too big pass.",
            [*(rows.number[n] for n in carried[-1:]), rows.number[i]],
            sure=Confidence.LIKELY,
            reason="everything that filled a packet is missing, repetitions included, and what is small arrives",
            disproof="a large packet of this side that arrives",
            next_capture="at the sender, to see the size of the packets that get lost",
        )
    return None


def _icmp(connection: Connection) -> str:
    for error in connection.tcp.icmp:
        if error.mtu:
            return (
                f" {error.sender_ip} says by ICMP that its next link takes {error.mtu} octets (packet {error.packet})."
            )
    return ""
