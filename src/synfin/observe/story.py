"""The story: what is known of each connection, as facts with their evidence.

Watchers (``tcpwatch``, ``tlswatch``, ``httpwatch``) read packets and streams and leave these dataclasses; views and
rules read nothing else.  Facts only: no prose, no judgement.  Sides are A (opened the connection) and B; a direction
is named by its sender.  Times are integer nanoseconds on the capture's clock.  Packet numbers are 1-based.

A far end is known only by what it sent and acknowledged, so what is said of an end's state carries how it is known:
SEEN (its own segment shows it), PROVED (the other end's acknowledgement shows it), ASSUMED (the usual course).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntFlag, StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from synfin.errors import WireError
from synfin.observe.rows import Rows
from synfin.observe.stream import ByteStream, Overlap
from synfin.wire.tls.fingerprint import ja3, ja3s, ja4
from synfin.wire.tls.hello import ClientHello, ServerHello
from synfin.wire.tls.messages import parse_handshake

if TYPE_CHECKING:
    from synfin.spec.certificates import CertificateFacts

A, B = 0, 1
_LATER = object()

#: Tells a fact that is made when first asked for, by its name.
Later = Callable[[str], Any]


def _made_later(self: Any, name: str) -> Any:
    """A fact that was left out until somebody asks (``leave``): ask ``later`` for it and keep it."""
    if name == "later" or self.later is None:
        raise AttributeError(name)
    value = self.later(name)
    setattr(self, name, value)
    return value


def leave(facts: object, *names: str) -> None:
    """Leave the facts ``names`` to be made when first asked for, by the ``later`` of ``facts``."""
    for name in names:
        delattr(facts, name)


class Endpoint(NamedTuple):
    """An address and a port; ``ip`` is in the usual text form (RFC 5952 for IPv6)."""

    ip: str
    port: int

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a fact stands: packets, and where it helps the octets of a sender's stream and the field's path."""

    packets: tuple[int, ...] = ()
    sender: int | None = None
    offset: int | None = None
    length: int | None = None
    field: str = ""


# ---------------------------------------------------------------- TCP


class Mark(IntFlag):
    """What a segment is beside its plain meaning; names as in Wireshark's tcp.analysis.* (differences: docs)."""

    RETRANSMISSION = 1 << 0  # also set on fast and spurious ones
    FAST_RETRANSMISSION = 1 << 1
    SPURIOUS_RETRANSMISSION = 1 << 2
    OUT_OF_ORDER = 1 << 3
    REUSED_PORTS = 1 << 4
    LOST_SEGMENT = 1 << 5  # a segment before this one was not captured
    ACK_LOST_SEGMENT = 1 << 6  # acknowledges octets that were not captured
    WINDOW_UPDATE = 1 << 7
    WINDOW_FULL = 1 << 8
    KEEP_ALIVE = 1 << 9
    KEEP_ALIVE_ACK = 1 << 10
    DUPLICATE_ACK = 1 << 11
    ZERO_WINDOW_PROBE = 1 << 12
    ZERO_WINDOW = 1 << 13
    ZERO_WINDOW_PROBE_ACK = 1 << 14
    TFO_SYN = 1 << 15
    TFO_ACK = 1 << 16
    TFO_IGNORED = 1 << 17


class Knowledge(StrEnum):
    """How a fact about the far end is known."""

    SEEN = "seen"
    PROVED = "proved"
    ASSUMED = "assumed"


class EndState(NamedTuple):
    """The RFC 9293 state of one end after a packet, and how that is known."""

    state: str
    knowledge: Knowledge


class TcpOption(NamedTuple):
    """One TCP option as it stood: kind, and its octets after kind and length."""

    kind: int
    data: bytes


class SynFacts(NamedTuple):
    """What a side said of itself in its first SYN or SYN-ACK (``wscale`` is the shift count)."""

    packet: int
    time: int
    seq: int
    window: int
    mss: int | None
    wscale: int | None
    sack_permitted: bool
    timestamps: bool
    fast_open: bytes | None  # the cookie; b"" is a request for one
    options: tuple[TcpOption, ...]
    ttl: int


@dataclass(slots=True)  # not frozen, as it is made for every connection and that would take three times as long
class TcpSide:
    """What one side sent.  Counts are packets or octets; ``*_packet`` is the first such packet or None."""

    packets: int
    wire_bytes: int  # frame lengths, link header included
    payload: int  # repeats included
    unique_payload: int  # octets of sequence space covered once
    fins: int
    fin_packet: int | None
    rsts: int
    rst_packet: int | None
    syn: SynFacts | None
    syns: int  # SYN or SYN-ACK packets, repeats included
    marks: dict[str, int]  # Mark name in lower case -> how many segments
    max_segment: int  # largest payload of one packet
    over_mss: int  # packets with more payload than the other side's MSS allows (offload)
    smallest_window: int | None  # scaled, after the handshake
    first_payload_packet: int | None
    last_payload_packet: int | None
    rtt: tuple[int, int, int] | None  # running RTT min, median, max to this side's ACK of the other's data, ns
    later: Later | None = field(default=None, repr=False, compare=False)

    if not TYPE_CHECKING:
        __getattr__ = _made_later


@dataclass(frozen=True, slots=True)
class Stall:
    """A stretch in which one side could not or did not send: ``kind`` names why."""

    kind: str  # "zero_window", "retransmission_timeout", "syn_retry"
    sender: int  # the side that was held up (zero_window: the side whose peer closed the window)
    start: int
    end: int
    packets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class IcmpError:
    """An ICMP error that quotes a segment of this connection (RFC 792, RFC 4443)."""

    packet: int
    time: int
    sender_ip: str
    version: int
    type: int
    code: int
    quoted_sender: int  # A or B: whose segment it quotes
    quoted_seq: int | None
    mtu: int | None
    name: str


@dataclass(slots=True)
class TcpStory:
    """The TCP part.  ``source`` is "packets" or "pdu" (exported PDUs: no TCP facts, everything else empty)."""

    source: str
    handshake: str  # complete syn_synack syn_only refused syn_no_synack synack_only none
    close: str  # rst fin half_a half_b open
    rst_after_fin: bool
    rst_first_by: int | None
    fin_first_by: int | None
    completeness: int
    initial_rtt: int | None  # SYN to the ACK that ends the handshake, ns
    syn_to_synack: int | None  # ns
    sides: tuple[TcpSide, TcpSide]
    final: tuple[EndState, EndState]
    # words: simultaneous_open simultaneous_close three_segment_close half_close stale_syn syn_cookie_look
    # one_sided starts_late ...
    shape: tuple[str, ...]
    stalls: tuple[Stall, ...]
    icmp: tuple[IcmpError, ...]
    overlaps: tuple[Overlap, ...]
    reused_ports: bool
    marks: list[int]  # Mark bits of each packet, aligned with ``Connection.rows``
    later: Later | None = field(default=None, repr=False, compare=False)

    if not TYPE_CHECKING:
        __getattr__ = _made_later


# ---------------------------------------------------------------- TLS


class RecordFact(NamedTuple):
    """One TLS record: outer type and version, where its header starts in its sender's stream, fragment length."""

    sender: int
    offset: int
    type: int
    version: int
    length: int
    packet: int  # the packet its last octet came in
    time: int
    protected: bool  # its sender had switched on encryption
    inner_type: int | None  # TLS 1.3 content type once decrypted
    complete: bool  # all its octets were captured


class MessageFact:
    """One handshake message.  Its body is parsed when first asked for: most are never looked at.

    ``name`` is IANA's in lower case (client_hello, server_hello, hello_retry_request, ...), v2_* for SSL 2.0, whose
    type numbers are its own.  ``offset`` is that of the record which carries the first octet, in the sender's stream;
    ``length`` and ``raw`` are the whole message with its header of 4 octets.  ``time`` is when the last octet was seen.
    ``version`` and ``kex`` (key exchange of the suite) are what was negotiated when it was sent: some bodies need it.
    """

    __slots__ = (
        "_body",
        "_problem",
        "decrypted",
        "kex",
        "length",
        "name",
        "offset",
        "packets",
        "raw",
        "sender",
        "time",
        "type",
        "version",
    )

    def __init__(
        self,
        sender: int,
        type: int,
        name: str,
        offset: int,
        length: int,
        packets: tuple[int, ...],
        time: int,
        decrypted: bool,
        body: Any = None,
        raw: bytes = b"",
        problem: str = "",
        version: int | None = None,
        kex: str | None = None,
        parse: bool = False,
    ) -> None:
        self.sender = sender
        self.type = type
        self.name = name
        self.offset = offset
        self.length = length
        self.packets = packets
        self.time = time
        self.decrypted = decrypted
        self._body = _LATER if parse else body
        self.raw = raw
        self._problem = problem
        self.version = version
        self.kex = kex

    @property
    def body(self) -> Any:
        """The parsed message of ``wire.tls.messages`` (or ``sslv2``), or None where it cannot be read."""
        if self._body is _LATER:
            try:
                self._body = parse_handshake(self.type, self.raw[4:], version=self.version, kex=self.kex)
            except WireError as error:
                self._body = None
                self._problem = str(error)
        return self._body

    @property
    def problem(self) -> str:
        """Why the message cannot be read; empty when it can."""
        if self._body is _LATER:
            _ = self.body
        return self._problem

    def _facts(self) -> tuple[Any, ...]:
        return (
            self.sender,
            self.type,
            self.name,
            self.offset,
            self.length,
            self.packets,
            self.time,
            self.decrypted,
            self.raw,
            self.problem,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MessageFact) and self._facts() == other._facts()

    def __hash__(self) -> int:
        return hash((self.sender, self.offset, self.raw))

    def __repr__(self) -> str:
        return f"MessageFact({self.sender}, {self.name}, offset={self.offset}, length={self.length})"


@dataclass(frozen=True, slots=True)
class AlertFact:
    """One alert; ``level`` and ``description`` are None where it is encrypted and was not opened."""

    sender: int
    level: int | None
    description: int | None
    protected: bool
    decrypted: bool
    packet: int
    time: int
    guessed: bool = False  # an alert by the size of an encrypted TLS 1.3 record only


@dataclass(frozen=True, slots=True)
class ChainFact:
    """The certificates one side sent in a Certificate message, leaf first as sent; ``facts`` judged at capture time."""

    sender: int
    packets: tuple[int, ...]
    time: int
    der: tuple[bytes, ...]
    facts: tuple[CertificateFacts, ...]
    segments: int  # TCP packets that carried the message


class Opened(StrEnum):
    """How far protected records could be read."""

    NOTHING = "nothing to decrypt"
    ALL = "decrypted"
    PART = "partly decrypted"
    NO_SECRET = "no secret"
    WRONG_SECRET = "wrong secret"
    MISSING_BYTES = "missing bytes"
    UNSUPPORTED = "cipher suite not supported"


@dataclass(frozen=True, slots=True)
class Decryption:
    """How far one direction was opened, and why not further."""

    opened: Opened
    why: str = ""
    records: int = 0
    failed_packet: int | None = None


@dataclass(slots=True)
class TlsStory:
    """The TLS part.  ``client`` is the side that sent the ClientHello (A or B)."""

    client: int
    start: tuple[int, int]  # offset in each side's stream where TLS begins (after STARTTLS or a proxy preamble)
    records: list[RecordFact] = field(default_factory=list)  # both sides, in time order
    messages: list[MessageFact] = field(default_factory=list)  # both sides, in time order
    alerts: list[AlertFact] = field(default_factory=list)
    chains: list[ChainFact] = field(default_factory=list)
    client_hello: MessageFact | None = None
    hello_retry: MessageFact | None = None
    client_hello_2: MessageFact | None = None
    server_hello: MessageFact | None = None
    version: int | None = None  # selected code point
    cipher: int | None = None
    group: int | None = None
    alpn: str | None = None  # selected; from EncryptedExtensions too when decrypted
    sni: str | None = None
    resumed: str | None = None  # "session_id", "ticket", "psk" or None
    early_data: str | None = None  # "offered", "accepted", "rejected"
    sslv2: bool = False
    certificate_requested: bool = False
    new_session_ticket: bool = False  # seen, clear or decrypted
    certificate_status: bool = False
    handshake_done: bool = False  # both sides' Finished were sent as far as can be known
    handshake_done_time: int | None = None
    close_notify: tuple[int | None, int | None] = (None, None)  # packet of each side's close_notify (known or by look)
    decryption: tuple[Decryption, Decryption] = (Decryption(Opened.NOTHING), Decryption(Opened.NOTHING))
    data: tuple[ByteStream, ByteStream] | None = None  # decrypted application data of each side
    problems: list[tuple[Evidence, str]] = field(default_factory=list)

    def _hello(self) -> ClientHello | None:
        body = self.client_hello.body if self.client_hello is not None else None
        return body if isinstance(body, ClientHello) else None

    def _answer(self) -> ServerHello | None:
        body = self.server_hello.body if self.server_hello is not None else None
        return body if isinstance(body, ServerHello) else None

    @property
    def ja3(self) -> str | None:
        """JA3 of the first ClientHello."""
        hello = self._hello()
        return ja3(hello)[0] if hello is not None else None

    @property
    def ja3_full(self) -> str | None:
        """The string JA3 is the MD5 of."""
        hello = self._hello()
        return ja3(hello)[1] if hello is not None else None

    @property
    def ja3s(self) -> str | None:
        """JA3S of the ServerHello."""
        answer = self._answer()
        return ja3s(answer)[0] if answer is not None else None

    @property
    def ja3s_full(self) -> str | None:
        """The string JA3S is the MD5 of."""
        answer = self._answer()
        return ja3s(answer)[1] if answer is not None else None

    @property
    def ja4(self) -> str | None:
        """JA4 (client) of the first ClientHello; None where JA4 has no letters for its version."""
        hello = self._hello()
        return ja4(hello) if hello is not None else None


# ---------------------------------------------------------------- what runs before and inside


@dataclass(frozen=True, slots=True)
class PreambleFact:
    """What was spoken before TLS on the same connection: a STARTTLS dialogue or a proxy's."""

    protocol: str  # smtp imap pop3 xmpp ldap ftp postgresql irc http-connect socks4 socks5 proxy-protocol
    target: Endpoint | None  # whom the proxy was asked to reach (ip may be a name)
    accepted: bool | None
    status: str  # the peer's answer, such as "200" or "220 ready"
    start: int
    end: int
    packets: tuple[int, ...]


class HttpMessage(NamedTuple):
    """One HTTP request or response (RFC 9112, RFC 9113); sizes in octets."""

    sender: int
    kind: str  # "request" or "response"
    version: str  # "0.9" "1.0" "1.1" "2"
    stream: int  # HTTP/2 stream id; for HTTP/1 the number of the exchange, from 1
    method: str | None
    target: str | None
    authority: str | None  # Host or :authority
    status: int | None
    reason: str
    headers: tuple[tuple[str, str], ...]
    framing: str  # none length chunked close tunnel h2
    declared: int | None  # content-length as said
    body: int  # octets of body seen (after de-chunking)
    complete: bool
    packets: tuple[int, int]  # first and last packet
    start: int
    header_end: int  # when the last octet of the header was seen; 0: not captured whole, or not readable
    end: int
    tls: bool
    offset: int  # where it starts in its sender's (clear or decrypted) stream
    problem: str = ""


@dataclass(frozen=True, slots=True)
class H2Event:
    """An HTTP/2 frame that matters beyond its message: SETTINGS, RST_STREAM, GOAWAY, window stalls."""

    sender: int
    what: str  # settings settings_ack rst_stream goaway window_stall ping priority connection_error
    stream: int
    code: int | None
    detail: str
    packet: int
    time: int
    until: int = 0  # window_stall: when new credit came (or the capture's end), ns


@dataclass(slots=True)
class HttpStory:
    """The HTTP part; messages of both sides in time order."""

    protocol: str  # "http/0.9" "http/1" "h2"
    tls: bool
    messages: list[HttpMessage] = field(default_factory=list)
    h2: list[H2Event] = field(default_factory=list)
    switched: str | None = None  # what the connection became: websocket, h2c, tunnel ...
    problems: list[tuple[Evidence, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Phase:
    """One stretch of a connection's time: ns from start to end, in round trips, and whom it waited for."""

    name: str  # dns tcp tls request wait transfer idle close
    start: int
    end: int
    round_trips: float | None
    waited_for: str  # client server network both ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class DnsFact:
    """The name look-up that led here: query and answer packets of the same client, just before the first SYN."""

    name: str
    qtype: str
    query_packet: int
    answer_packet: int | None
    start: int
    end: int | None
    rcode: str
    addresses: tuple[str, ...]
    server: str
    queries: int = 1  # how often it was asked until the answer came (0: the question was not captured)


def host_of(authority: str) -> str:
    """``authority`` (a Host field, ``:authority``) without its port."""
    host, colon, port = authority.rpartition(":")
    return host if colon and port.isdigit() and (":" not in host or host.endswith("]")) else authority


@dataclass(slots=True)
class Connection:
    """One TCP connection, or one stream of exported PDUs.  Everything heavy hangs off it and is made when asked."""

    id: int  # order of first packets in the capture, from 0
    a: Endpoint
    b: Endpoint
    opened_by: str  # "syn" "synack" "first": how A is known to be the opener
    rows: Rows
    tcp: TcpStory
    streams: tuple[ByteStream, ByteStream]
    tls: TlsStory | None = None
    http: HttpStory | None = None  # the innermost HTTP that could be read
    outer_http: HttpStory | None = None  # the clear HTTP around it, such as the CONNECT dialogue with a proxy
    preambles: tuple[PreambleFact, ...] = ()
    protocol: str = ""  # what is spoken, by content: tls http h2 ssh smtp ... or ""
    dns: DnsFact | None = None
    vlans: tuple[str, ...] = ()
    tunnels: tuple[str, ...] = ()

    @property
    def first_packet(self) -> int:
        """Number of the first packet."""
        return self.rows.number[0]

    @property
    def last_packet(self) -> int:
        """Number of the last packet."""
        return self.rows.number[-1]

    @property
    def start(self) -> int:
        """Time of the first packet, ns."""
        return self.rows.time[0]

    @property
    def end(self) -> int:
        """Time of the last packet, ns."""
        return self.rows.time[-1]

    @property
    def name(self) -> str:
        """The name the client asked for, without a port: SNI, else Host, else what a proxy was asked for; or empty."""
        if self.tls is not None and self.tls.sni:
            return self.tls.sni
        if self.http is not None:
            for message in self.http.messages:
                if message.kind == "request" and message.authority:
                    return host_of(message.authority)
        for preamble in self.preambles:
            if preamble.target is not None:
                return preamble.target.ip
        return ""


@dataclass(frozen=True, slots=True)
class Quality:
    """What kind of capture this is, as far as it bears on what may be concluded."""

    packets: int
    snaplen_cut: int  # packets whose payload is cut
    one_sided: int  # connections with one direction only
    starts_late: int  # connections whose SYN was not captured
    time_backwards: int
    unread: tuple[tuple[str, int], ...]  # what was not understood -> packets
    problems: tuple[str, ...]  # damage of the file, with packet number and offset
    quic: int = 0  # QUIC packets: recognised, not judged yet
    opened: int = 0  # connections whose TLS was decrypted, at least in part
    early: int = 0  # connections told before they were finished, because too many packets waited
    late: int = 0  # packets of connections that had been told already
