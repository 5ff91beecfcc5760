"""The story's TLS part: records, handshake messages, alerts, certificates, and how far records could be opened.

Versions, suites, groups and alerts are IANA's code points (RFC 8446, RFC 5246); names are given by views.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from synfin.errors import WireError
from synfin.observe.evidence import Evidence
from synfin.observe.stream import ByteStream
from synfin.wire.tls.fingerprint import ja3, ja3s, ja4
from synfin.wire.tls.hello import ClientHello, ServerHello
from synfin.wire.tls.messages import parse_handshake

if TYPE_CHECKING:
    from synfin.spec.certificates import CertificateFacts

_LATER = object()


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
