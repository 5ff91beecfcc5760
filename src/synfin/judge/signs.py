"""First-glance signs of trouble: what the engine looks at before it calls any rule.

Each sign costs a few attribute reads; a plainly healthy connection shows none and is dismissed at once.  A sign is
not a finding: it says which rules are worth asking (``judge.codes`` names the signs of each).
"""

from __future__ import annotations

from enum import IntFlag

from synfin.observe.story import A, Connection, TlsStory

#: Ports on which a TLS server is expected from the first octet (IANA service names: https, imaps, ldaps ...).
TLS_PORTS = frozenset({443, 465, 563, 636, 853, 989, 990, 992, 993, 994, 995, 2376, 4433, 5061, 5223, 5671, 6443, 8443})

#: A wait for an answer that a person notices, ns.
NOTICEABLE = 1_000_000_000


class Sign(IntFlag):
    """What a first glance may show."""

    NO_HANDSHAKE = 1 << 0  # the TCP handshake was not completed
    RESET = 1 << 1  # somebody sent RST
    TLS_UNFINISHED = 1 << 2  # TLS was begun and its handshake did not end
    ALERT = 1 << 3  # an alert other than close_notify, or one that cannot be read
    CHAIN = 1 << 4  # certificates were seen
    NOT_TLS = 1 << 5  # plain text where TLS is expected
    QUIT = 1 << 6  # the TLS handshake ended and the client asked for nothing
    STALL = 1 << 7  # a side was held up
    HTTP = 1 << 8  # an exchange is unfinished or malformed
    HOLE = 1 << 9  # octets that never arrived
    LOSS = 1 << 10  # retransmissions
    PROXY = 1 << 11  # a proxy was asked
    SLOW = 1 << 12  # some answer took noticeably long
    RETRY = 1 << 13  # HelloRetryRequest


def looks_like_tls(head: bytes) -> bool:
    """Whether octets begin like a TLS record (RFC 8446 5.1) or an SSLv2 hello."""
    if len(head) < 3:
        return bool(head) and head[0] in (0x14, 0x15, 0x16, 0x17)
    return (head[0] in (0x14, 0x15, 0x16, 0x17, 0x18) and head[1] == 3 and head[2] <= 4) or (
        head[0] & 0x80 != 0 and head[2] in (1, 4)
    )


def signs(connection: Connection) -> Sign:
    """Every sign that ``connection`` shows."""
    tcp, tls, http = connection.tcp, connection.tls, connection.http
    found = 0
    side_a, side_b = tcp.sides
    if tcp.source == "packets":
        if tcp.handshake != "complete":
            found |= Sign.NO_HANDSHAKE
        if side_a.rsts or side_b.rsts:
            found |= Sign.RESET
        if tcp.stalls:
            found |= Sign.STALL
        if (tcp.syn_to_synack or 0) > NOTICEABLE // 2:
            found |= Sign.LOSS
        if side_a.marks.get("retransmission") or side_b.marks.get("retransmission") or side_a.marks.get("keep_alive"):
            found |= Sign.LOSS
    for stream in connection.streams:
        if stream.holes:
            found |= Sign.HOLE
    if connection.preambles:
        found |= Sign.PROXY
    if tls is not None:
        found |= _tls_signs(tls)
        if tls.data is None and tls.handshake_done:
            if connection.end - (tls.handshake_done_time or connection.start) > NOTICEABLE:
                found |= Sign.SLOW
            if tcp.fin_first_by == 1 - tls.client or tls.close_notify[1 - tls.client] is not None:
                found |= Sign.HTTP
    else:
        found |= _plain_signs(connection)
    if http is not None:
        found |= _http_signs(connection)
    return Sign(found)


def _tls_signs(tls: TlsStory) -> int:
    found = 0
    if tls.chains:
        found |= Sign.CHAIN
    if tls.hello_retry is not None:
        found |= Sign.RETRY
    if not tls.handshake_done:
        found |= Sign.TLS_UNFINISHED
    elif _asked_nothing(tls):
        found |= Sign.QUIT
    for alert in tls.alerts:
        if alert.description != 0:
            found |= Sign.ALERT
            break
    return found


def _asked_nothing(tls: TlsStory) -> bool:
    """Whether no application data of the client can be seen; as ``facts.protected``, but it stops at the first."""
    finished = tls.version is None or tls.version < 0x0304
    for record in tls.records:
        if record.sender != tls.client or record.type != 23 or not record.protected:
            continue
        if record.inner_type is not None:
            if record.inner_type == 23:
                return False
        elif finished and record.length not in (19, 35):
            return False
        elif record.length in (53, 69, 85, 61, 77, 93):
            finished = True
    return True


def _plain_signs(connection: Connection) -> int:
    heads = [stream.pieces[0].data[:3] if stream.pieces else b"" for stream in connection.streams]
    if heads[1 - A][:2] == b"\x15\x03" or heads[A][:2] == b"\x16\x03":
        return Sign.NOT_TLS | Sign.TLS_UNFINISHED
    if connection.b.port in TLS_PORTS or (connection.http is not None and heads[A] and not heads[1 - A]):
        return Sign.NOT_TLS
    return 0


def _http_signs(connection: Connection) -> int:
    http = connection.http
    found = 0
    if http is None:
        return 0
    if http.problems or http.h2:
        found |= Sign.HTTP
    requests = responses = 0
    asked = 0
    for message in http.messages:
        if not message.complete or message.problem:
            found |= Sign.HTTP
        if message.kind == "request":
            requests += 1
            asked = message.end
        elif message.status is None or message.status >= 200 or message.status == 101:
            responses += 1
            if message.status == 400:
                found |= Sign.HTTP
            if asked and message.start - asked > NOTICEABLE:
                found |= Sign.SLOW
    if requests != responses:
        found |= Sign.HTTP
    return found
