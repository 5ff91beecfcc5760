"""First-glance signs of trouble: what the engine looks at before it calls any rule.

Each sign costs a few attribute reads; a plainly healthy connection shows none and is dismissed at once.  A sign is
not a finding: it says which rules are worth asking (``judge.codes`` names the signs of each).
"""

from __future__ import annotations

from enum import IntFlag

from synfin.observe.story import A, Connection
from synfin.observe.story_tcp import TcpStory
from synfin.observe.story_tls import TlsStory
from synfin.wire.tls.registry import is_tls13

#: Ports on which a TLS server is expected from the first octet (IANA service names: https, imaps, ldaps ...).
TLS_PORTS = frozenset({443, 465, 563, 636, 853, 989, 990, 992, 993, 994, 995, 2376, 4433, 5061, 5223, 5671, 6443, 8443})

#: Octets of a TLS 1.3 record that holds only an alert: 2, the content type, and the AEAD tag (RFC 8446 5.2); Java
#: pads every record by 16.
ALERT_LENGTHS = (2 + 1 + 16, 2 + 1 + 16 + 16)

#: Octets of a TLS 1.3 record that holds only Finished, by hash length and with Java's padding (RFC 8446 4.4.4), and
#: of one with an empty Certificate before it, as Java sends it.
FINISHED_ALONE_LENGTHS = (4 + 32 + 1 + 16, 4 + 48 + 1 + 16, 4 + 48 + 1 + 16 + 16)
EMPTY_AND_FINISHED_LENGTHS = tuple(8 + length for length in FINISHED_ALONE_LENGTHS)
FINISHED_LENGTHS = FINISHED_ALONE_LENGTHS + EMPTY_AND_FINISHED_LENGTHS

#: Of the lengths of an alert, that of a padded one.
PADDED_ALERT = ALERT_LENGTHS[1]


def unpadded_finished(cipher: int | None, length: int) -> bool:
    """Whether a record of ``length`` holds the Finished that goes with ``cipher``, and its sender pads no records."""
    size = FINISHED_ALONE_LENGTHS[1 if cipher == 0x1302 else 0]
    return length in (size, size + 8)


def alert_sized(length: int, *, unpadded: bool) -> bool:
    """Whether a record of ``length`` may hold an alert; ``unpadded``: its sender pads no records."""
    return length in ALERT_LENGTHS and not (unpadded and length == PADDED_ALERT)


#: A record as short as this may hold no answer but the beginning of an HTTP/2 server: SETTINGS of eight parameters (57
#: octets, RFC 9113 6.5), WINDOW_UPDATE (13), an acknowledgment of SETTINGS (9), and what an AEAD adds (24 at most).
HOUSEKEEPING = 110

#: The shortest delayed acknowledgment in use (Linux: 40 ms), ns.
DELAYED_ACK = 38_000_000

#: A round trip from which an avoidable one is worth a word, ns.
LONG_PATH = 40_000_000

_H2_ENDS = ("rst_stream", "goaway", "connection_error")

#: A wait for an answer that a person notices, ns.
NOTICEABLE = 1_000_000_000


class Sign(IntFlag):
    """What a first glance may show."""

    NO_HANDSHAKE = 1 << 0  # the TCP handshake was not completed
    RESET = 1 << 1  # somebody sent RST, or octets after the other side's FIN, or the last word before the server's
    TLS_UNFINISHED = 1 << 2  # TLS was begun and its handshake did not end
    ALERT = 1 << 3  # an alert other than close_notify, or one that cannot be read
    CHAIN = 1 << 4  # certificates were seen
    NOT_TLS = 1 << 5  # plain text where TLS is expected
    QUIT = 1 << 6  # the TLS handshake ended and the client asked for nothing
    STALL = 1 << 7  # a side was held up
    HTTP = 1 << 8  # an exchange is unfinished or malformed
    HOLE = 1 << 9  # octets that never arrived, or were not captured
    LOSS = 1 << 10  # retransmissions
    PROXY = 1 << 11  # a proxy was asked
    SLOW = 1 << 12  # some answer took noticeably long
    RETRY = 1 << 13  # HelloRetryRequest
    PAUSE = 1 << 15  # longer than a delayed ACK, on a short path
    WINDOW = 1 << 16  # one side alone offered window scaling, and much was sent
    ROUNDS = 1 << 17  # a full TLS 1.2 handshake on a long path
    FLIGHT = 1 << 19  # a full handshake on a long path, and a server that sent more than an initial window
    UNCLEAN = 1 << 18  # a readable response that only the end of the connection ends, or a sealed one cut short
    UNANSWERED = 1 << 14  # the TLS client's request had no answer, or none that could be told from tickets


_NONE = Sign(0)


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
        if connection.end - connection.start > DELAYED_ACK and (tcp.initial_rtt or DELAYED_ACK) < DELAYED_ACK // 2:
            found |= Sign.PAUSE
        one, two = side_a.syn, side_b.syn
        if one is not None and two is not None and (one.wscale is None) != (two.wscale is None):
            found |= Sign.WINDOW
        reset = tcp.rst_first_by is not None and not _rude_goodbye(connection)
        if (reset or _after_fin(tcp)) and not _said_goodbye(connection):
            found |= Sign.RESET
        if tcp.stalls:
            found |= Sign.STALL
        if (tcp.syn_to_synack or 0) > NOTICEABLE // 2:
            found |= Sign.LOSS
        if side_a.marks.get("retransmission") or side_b.marks.get("retransmission") or side_a.marks.get("keep_alive"):
            found |= Sign.LOSS
        if side_a.marks.get("lost_segment") or side_b.marks.get("lost_segment"):
            found |= Sign.HOLE
    for stream in connection.streams:
        if stream.holes:
            found |= Sign.HOLE
    if connection.preambles:
        found |= Sign.PROXY
    if tls is not None:
        found |= _tls_signs(tls, connection.end)
        if tls.handshake_done and tls.version == 0x0303 and (tcp.initial_rtt or 0) > LONG_PATH and tls.resumed is None:
            found |= Sign.ROUNDS
        if (
            tls.handshake_done
            and (tcp.initial_rtt or 0) > LONG_PATH
            and tls.resumed is None
            and tcp.sides[1 - tls.client].payload > 9 * tcp.sides[1 - tls.client].max_segment
        ):
            found |= Sign.FLIGHT
        server = 1 - tls.client
        lingered = connection.end - connection.start >= NOTICEABLE
        left = tcp.fin_first_by == server or tls.close_notify[server] is not None
        if left and lingered and _last_word(tls) == tls.client:
            found |= Sign.RESET
        if http is None and tls.data is None and tcp.fin_first_by == server and tls.close_notify[server] is None:
            found |= Sign.UNCLEAN
        if http is None and lingered and tls.handshake_done and tls.data is None and _cut_short(tls):
            found |= Sign.UNCLEAN
    else:
        found |= _plain_signs(connection)
    if http is not None:
        found |= _http_signs(connection)
    return Sign(found) if found else _NONE


def _last_word(tls: TlsStory) -> int | None:
    """Who sent the last record that is longer than an alert."""
    return next((r.sender for r in reversed(tls.records) if r.length > PADDED_ALERT), None)


def _cut_short(tls: TlsStory) -> bool:
    """Whether the server's last record did not come whole."""
    return not next((r.complete for r in reversed(tls.records) if r.sender != tls.client), True)


def _after_fin(tcp: TcpStory) -> bool:
    """Whether one side sent octets after the FIN of the side that closed first."""
    closer = tcp.fin_first_by
    if closer is None:
        return False
    fin, last = tcp.sides[closer].fin_packet, tcp.sides[1 - closer].last_payload_packet
    return fin is not None and last is not None and last > fin


def _rude_goodbye(connection: Connection) -> bool:
    """Whether a client reset a TLS connection after close_notify, as curl does."""
    tls = connection.tls
    return tls is not None and connection.tcp.rst_first_by == tls.client and tls.close_notify[tls.client] is not None


def _said_goodbye(connection: Connection) -> bool:
    """Whether somebody said close_notify on a TLS connection that never idled: what follows it is how stacks close."""
    tls = connection.tls
    return (
        tls is not None
        and tls.handshake_done
        and tls.close_notify != (None, None)
        and connection.tcp.handshake == "complete"
        and connection.end - connection.start < NOTICEABLE
    )


def _tls_signs(tls: TlsStory, end: int) -> int:
    found = 0
    if tls.chains:
        found |= Sign.CHAIN
    if tls.hello_retry is not None:
        found |= Sign.RETRY
    if tls.handshake_done:
        found |= _exchange_signs(tls, end)
    else:
        found |= Sign.TLS_UNFINISHED
    for alert in tls.alerts:
        if alert.description:
            found |= Sign.ALERT
            break
    return found


def _exchange_signs(tls: TlsStory, end: int) -> int:
    """Whether the client asked, and whether and how soon there was an answer: as ``records.protected``, in one pass.

    It stops at the first record of the server, after the request, that can be an answer.
    """
    new = is_tls13(tls.version)
    finished = not new
    plain = False  # the client pads no records
    asked = 0
    before: set[int] = set()  # lengths of the server's records that are tickets by their look
    tickets = 0
    for record in tls.records:
        if not record.protected:
            continue
        if record.inner_type is not None or not new:
            data = (record.inner_type or record.type) == 23
        else:
            length = record.length
            data = finished and not alert_sized(length, unpadded=plain and record.sender == tls.client)
            if not finished and record.sender == tls.client and length in FINISHED_LENGTHS:
                finished, plain = True, unpadded_finished(tls.cipher, length)
        if not data:
            continue
        if record.sender == tls.client:
            asked = asked or record.time
        elif new and record.inner_type is None and tickets < 2 and (not before or record.length in before):
            before.add(record.length)
            tickets += 1
        elif asked:
            answered = record.length > HOUSEKEEPING or tls.alpn not in (None, "h2") or tls.data is not None
            return Sign.SLOW if (record.time if answered else end) - asked > NOTICEABLE else 0
    if not asked:
        return Sign.QUIT | Sign.UNANSWERED
    return Sign.UNANSWERED | (Sign.SLOW if end - asked > NOTICEABLE else 0)


def _plain_signs(connection: Connection) -> int:
    heads = [stream.octets(0)[:3] if stream.layout()[0] else b"" for stream in connection.streams]
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
    if http.problems or any(event.code is not None and event.what in _H2_ENDS for event in http.h2):
        found |= Sign.HTTP
    requests = responses = 0
    asked = 0
    for message in http.messages:
        if not message.complete or message.problem:
            found |= Sign.HTTP
        if message.framing == "close" and message.tls:
            found |= Sign.UNCLEAN
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
