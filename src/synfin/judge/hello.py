"""How far a ClientHello got: the question behind six rules.

A client that sent its ClientHello and never heard TLS in return has one of these fates, told apart by
acknowledgments, by SACK and by who closed: nothing was acknowledged (dropped on the path), only small packets pass
(size), everything was acknowledged and nothing answered (application), or the server closed or reset.
"""

from __future__ import annotations

from dataclasses import dataclass

from synfin.judge.facts import (
    Close,
    acknowledged,
    began_tls,
    client_side,
    first_close,
    hello_head,
    hello_span,
    payload_indices,
)
from synfin.judge.signs import looks_like_tls
from synfin.observe.story import Connection
from synfin.wire.tcpflags import ACK, RST

#: A ClientHello longer than this needs two packets on Ethernet.
ONE_PACKET = 1400

#: Groups whose key share alone makes a ClientHello longer than one usual segment (post-quantum hybrids).
LARGE_GROUPS = {
    0x11EB: "SecP256r1MLKEM768",
    0x11EC: "X25519MLKEM768",
    0x11ED: "SecP384r1MLKEM1024",
    0x6399: "X25519Kyber768Draft00",
    0x639A: "SecP256r1Kyber768Draft00",
}


@dataclass(frozen=True, slots=True)
class HelloFate:
    """What became of the ClientHello.  Indices are into the connection's rows; offsets count in the client's stream."""

    client: int
    start: int
    length: int
    carried: tuple[int, ...]  # packets with octets of it, repeats included
    acked: int  # octets of the client's stream acknowledged (-1: none)
    sacked: bool  # a later part was acknowledged selectively while an earlier one was not
    answered: bool  # the server sent octets that look like TLS
    heard: bool  # the server sent any octets
    close: Close | None

    @property
    def first(self) -> int:
        """Index of the first packet that carried it."""
        return self.carried[0]

    @property
    def fully_acked(self) -> bool:
        """Whether every octet of it was acknowledged."""
        return self.acked >= self.start + self.length

    @property
    def untouched(self) -> bool:
        """Whether not one octet of it was acknowledged."""
        return self.acked <= self.start


def hello_fate(connection: Connection) -> HelloFate | None:
    """The fate of the ClientHello, or None where there is none, TCP was not set up, or packets were not seen."""
    tcp = connection.tcp
    if tcp.source != "packets" or tcp.handshake != "complete" or not began_tls(connection):
        return None
    client = client_side(connection)
    start, length = hello_span(connection)
    rows = connection.rows
    syn = tcp.sides[client].syn
    if syn is None:
        return None
    base = syn.seq + 1
    stop = start + max(length, 1)
    carried = tuple(
        i
        for i in payload_indices(connection, client)
        if ((rows.seq[i] - base) & 0xFFFFFFFF) < stop and ((rows.seq[i] - base) & 0xFFFFFFFF) + rows.load_len[i] > start
    )
    if not carried:
        return None
    head = hello_head(connection, 1 - client)
    tls = connection.tls
    return HelloFate(
        client,
        start,
        length,
        carried,
        acknowledged(connection, client),
        _sacked(connection, client, carried[0]),
        looks_like_tls(head) or (tls is not None and tls.server_hello is not None),
        bool(connection.streams[1 - client].pieces) or tcp.sides[1 - client].payload > 0,
        first_close(connection),
    )


def _sacked(connection: Connection, client: int, after: int) -> bool:
    """Whether the server acknowledged, by SACK, something above what it acknowledged plainly."""
    rows = connection.rows
    for i in range(after + 1, len(rows)):
        if rows.sender[i] == client or rows.flags[i] & (ACK | RST) != ACK or rows.opt_len[i] < 10:
            continue
        for left, _ in sack_blocks(rows.options(i)):
            if 0 < (left - rows.ack[i]) & 0xFFFFFFFF < 0x80000000:
                return True
    return False


def sack_blocks(options: bytes) -> list[tuple[int, int]]:
    """The blocks of a SACK option (RFC 2018 3); an unreadable option list ends the search."""
    at = 0
    while at < len(options):
        kind = options[at]
        if kind == 0:
            break
        if kind == 1:
            at += 1
            continue
        if at + 1 >= len(options) or options[at + 1] < 2:
            break
        size = options[at + 1]
        if kind == 5:
            body = options[at + 2 : at + size]
            return [
                (int.from_bytes(body[n : n + 4], "big"), int.from_bytes(body[n + 4 : n + 8], "big"))
                for n in range(0, len(body) - 7, 8)
            ]
        at += size
    return []


def large_group(connection: Connection) -> str:
    """The name of a post-quantum group whose key share the ClientHello carries, or ``""``."""
    hello = connection.tls.client_hello if connection.tls is not None else None
    for group in getattr(hello.body, "key_share_groups", ()) if hello is not None else ():
        if group in LARGE_GROUPS:
            return LARGE_GROUPS[group]
    return ""
