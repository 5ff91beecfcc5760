"""Every TLS handshake message by its number, and the way in: ``parse_handshake`` and ``write_handshake``.

The small messages are here; hellos, key exchanges and certificates have modules of their own and are exported here
too.  Each class has ``read(reader)`` and ``write(writer)`` for the body without the four octets of type and length
(RFC 8446 4, RFC 5246 7.4).  What follows a message's own fields stays in ``trailing``; a type without a class is
``Unknown`` with all its octets.  The protocol version and key exchange that give some bodies their shape are
arguments, since the octets do not tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self, get_args

from synfin.errors import WireError
from synfin.wire.codec import Buffer, Reader, Span, Writer
from synfin.wire.frozen import quick
from synfin.wire.tls.certificate import (
    Certificate,
    CertificateEntry,
    CertificateRequest,
    CertificateStatus,
    CompressedCertificate,
)
from synfin.wire.tls.exchange import CertificateVerify, ClientKeyExchange, ServerKeyExchange
from synfin.wire.tls.extensions import (
    ENCRYPTED_EXTENSIONS,
    NEW_SESSION_TICKET,
    Decoded,
    Extension,
    decode_extension,
    find_extension,
    read_extensions,
    write_extensions,
)
from synfin.wire.tls.hello import HRR_RANDOM, ClientHello, HelloRetryRequest, ServerHello, text
from synfin.wire.tls.registry import handshake_name, is_tls13

__all__ = [
    "HRR_RANDOM",
    "Certificate",
    "CertificateEntry",
    "CertificateRequest",
    "CertificateStatus",
    "CertificateVerify",
    "ClientHello",
    "ClientKeyExchange",
    "CompressedCertificate",
    "EncryptedExtensions",
    "EndOfEarlyData",
    "Finished",
    "HelloRequest",
    "HelloRetryRequest",
    "KeyUpdate",
    "Message",
    "MessageHash",
    "NewSessionTicket",
    "NextProtocol",
    "ServerHello",
    "ServerHelloDone",
    "ServerKeyExchange",
    "SupplementalData",
    "Unknown",
    "message_name",
    "parse_handshake",
    "write_handshake",
]


@dataclass(frozen=True, slots=True)
class _Octets:
    """A message that is one string of octets, most often none at all."""

    data: bytes = b""

    REF: ClassVar[str] = ""
    FIELD: ClassVar[str] = "trailing"

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """All octets."""
        reader.ref = cls.REF
        return cls(reader.rest(cls.FIELD))

    def write(self, writer: Writer) -> None:
        """All octets."""
        writer.raw(self.data)


class HelloRequest(_Octets):
    """A server asks to negotiate again (RFC 5246 7.4.1.1); has no fields."""

    __slots__ = ()
    msg_type: ClassVar[int] = 0
    REF = "RFC 5246 7.4.1.1"


class EndOfEarlyData(_Octets):
    """The client's 0-RTT data is over (RFC 8446 4.5); has no fields."""

    __slots__ = ()
    msg_type: ClassVar[int] = 5
    REF = "RFC 8446 4.5"


class ServerHelloDone(_Octets):
    """The server's flight is over (RFC 5246 7.4.5); has no fields."""

    __slots__ = ()
    msg_type: ClassVar[int] = 14
    REF = "RFC 5246 7.4.5"


class Finished(_Octets):
    """Proof over the whole handshake (RFC 8446 4.4.4, RFC 5246 7.4.9): ``data`` is verify_data."""

    __slots__ = ()
    msg_type: ClassVar[int] = 20
    REF = "RFC 8446 4.4.4"
    FIELD = "verify_data"


class MessageHash(_Octets):
    """Stands for the first ClientHello in the transcript after a HelloRetryRequest (RFC 8446 4.4.1); never sent."""

    __slots__ = ()
    msg_type: ClassVar[int] = 254
    REF = "RFC 8446 4.4.1"
    FIELD = "hash"


@dataclass(frozen=True, slots=True)
class EncryptedExtensions:
    """The server's extensions that need no clear text (RFC 8446 4.3.1)."""

    extensions: tuple[Extension, ...]
    trailing: bytes = b""

    msg_type: ClassVar[int] = 8

    @classmethod
    def read(cls, reader: Reader) -> EncryptedExtensions:
        """The body; WireError when lengths do not add up."""
        reader.ref = "RFC 8446 4.3.1"
        return cls(read_extensions(reader, ENCRYPTED_EXTENSIONS), reader.rest("trailing"))

    def write(self, writer: Writer) -> None:
        """The body; ValueError when a field does not fit its length."""
        write_extensions(writer, self.extensions)
        writer.raw(self.trailing)

    def ext(self, number: int) -> bytes | None:
        """The body of the first extension ``number``, or None."""
        return find_extension(self.extensions, number)

    def decoded(self, number: int) -> Decoded | None:
        """The decoded extension ``number``; None when it is missing or malformed."""
        body = self.ext(number)
        try:
            return None if body is None else decode_extension(Extension(number, body), ENCRYPTED_EXTENSIONS)
        except WireError:
            return None

    @property
    def alpn(self) -> str | None:
        """The application protocol chosen."""
        values = getattr(self.decoded(16), "values", ())
        return text(values[0]) if values else None

    @property
    def early_data(self) -> bool:
        """Whether the server takes the client's early data (RFC 8446 4.2.10)."""
        return self.ext(42) is not None


@quick
@dataclass(frozen=True, slots=True)
class NewSessionTicket:
    """A ticket to resume with (RFC 8446 4.6.1, RFC 5077 3.3); before TLS 1.3 age_add, nonce and extensions are None.

    ``lifetime`` in seconds.
    """

    lifetime: int
    age_add: int | None
    nonce: bytes | None
    ticket: bytes
    extensions: tuple[Extension, ...] | None
    trailing: bytes = b""

    msg_type: ClassVar[int] = 4

    @classmethod
    def read(cls, reader: Reader, *, version: int | None = None) -> NewSessionTicket:
        """The body in the form of ``version`` (None: TLS 1.2); WireError when lengths do not add up."""
        new = is_tls13(version)
        reader.ref = "RFC 8446 4.6.1" if new else "RFC 5077 3.3"
        lifetime = reader.u32("ticket_lifetime")
        if not new:
            return cls(lifetime, None, None, reader.vec(2, "ticket"), None, reader.rest("trailing"))
        age_add, nonce = reader.u32("ticket_age_add"), reader.vec(1, "ticket_nonce")
        ticket = reader.vec(2, "ticket")
        extensions = read_extensions(reader, NEW_SESSION_TICKET)
        return cls(lifetime, age_add, nonce, ticket, extensions, reader.rest("trailing"))

    def write(self, writer: Writer) -> None:
        """The body; ValueError when a field does not fit its length."""
        writer.u32(self.lifetime)
        if self.age_add is not None:
            writer.u32(self.age_add)
        if self.nonce is not None:
            writer.vec(1, self.nonce)
        writer.vec(2, self.ticket)
        if self.extensions is not None:
            write_extensions(writer, self.extensions)
        writer.raw(self.trailing)


@dataclass(frozen=True, slots=True)
class KeyUpdate:
    """The sender's next keys (RFC 8446 4.6.3); ``request_update`` 1 wants the peer to change its own too."""

    request_update: int
    trailing: bytes = b""

    msg_type: ClassVar[int] = 24

    @classmethod
    def read(cls, reader: Reader) -> KeyUpdate:
        """The body; WireError when it is empty."""
        reader.ref = "RFC 8446 4.6.3"
        return cls(reader.u8("request_update"), reader.rest("trailing"))

    def write(self, writer: Writer) -> None:
        """The body; ValueError when the number does not fit."""
        writer.u8(self.request_update)
        writer.raw(self.trailing)


class SupplementalEntry(NamedTuple):
    """A type and its octets."""

    type: int
    data: bytes


@dataclass(frozen=True, slots=True)
class SupplementalData:
    """What extensions such as user_mapping send (RFC 4680 2)."""

    entries: tuple[SupplementalEntry, ...]
    trailing: bytes = b""

    msg_type: ClassVar[int] = 23

    @classmethod
    def read(cls, reader: Reader) -> SupplementalData:
        """The body; WireError when lengths do not add up."""
        reader.ref = "RFC 4680 2"
        inner = reader.sub(3, "supp_data")
        entries: list[SupplementalEntry] = []
        while inner.left:
            name = f"[{len(entries)}]"
            entries.append(SupplementalEntry(inner.u16(f"{name}.type"), inner.vec(2, f"{name}.data")))
        return cls(tuple(entries), reader.rest("trailing"))

    def write(self, writer: Writer) -> None:
        """The body; ValueError when a field does not fit its length."""
        with writer.block(3):
            for kind, data in self.entries:
                writer.u16(kind)
                writer.vec(2, data)
        writer.raw(self.trailing)


@dataclass(frozen=True, slots=True)
class NextProtocol:
    """The protocol the client chose in NPN (draft-agl-tls-nextprotoneg-04 4)."""

    protocol: bytes
    padding: bytes
    trailing: bytes = b""

    msg_type: ClassVar[int] = 67

    @classmethod
    def read(cls, reader: Reader) -> NextProtocol:
        """The body; WireError when lengths do not add up."""
        reader.ref = "draft-agl-tls-nextprotoneg-04 4"
        return cls(reader.vec(1, "selected_protocol"), reader.vec(1, "padding"), reader.rest("trailing"))

    def write(self, writer: Writer) -> None:
        """The body; ValueError when a field does not fit its length."""
        writer.vec(1, self.protocol)
        writer.vec(1, self.padding)
        writer.raw(self.trailing)


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message type that has no class here."""

    msg_type: int
    data: bytes

    def write(self, writer: Writer) -> None:
        """All octets."""
        writer.raw(self.data)


_Plain = (
    ClientHello
    | ServerHello
    | HelloRetryRequest
    | HelloRequest
    | EndOfEarlyData
    | EncryptedExtensions
    | ServerHelloDone
    | Finished
    | CertificateStatus
    | SupplementalData
    | KeyUpdate
    | CompressedCertificate
    | NextProtocol
    | MessageHash
)
_Versioned = Certificate | CertificateRequest | CertificateVerify | NewSessionTicket
_Keyed = ServerKeyExchange | ClientKeyExchange
Message = _Plain | _Versioned | _Keyed | Unknown

_PLAIN: dict[int, type[_Plain]] = {cls.msg_type: cls for cls in get_args(_Plain)}
_VERSIONED: dict[int, type[_Versioned]] = {cls.msg_type: cls for cls in get_args(_Versioned)}
_KEYED: dict[int, type[_Keyed]] = {cls.msg_type: cls for cls in get_args(_Keyed)}


def parse_handshake(
    msg_type: int,
    body: Buffer,
    *,
    version: int | None = None,
    kex: str | None = None,
    spans: list[Span] | None = None,
    base: int = 0,
) -> Message:
    """The handshake message ``msg_type`` whose ``body`` follows its four-octet header.

    ``version`` is the negotiated version and ``kex`` the suite's key exchange (``registry.suite(code).kex``); both may
    be unknown.  Fields leave their ``spans`` when a list is given; offsets there and in errors add ``base``.
    Raises WireError when the body is not of the message's syntax.
    """
    reader = Reader(body, handshake_name(msg_type), base=base, spans=spans, ref="RFC 8446 4")
    plain = _PLAIN.get(msg_type)
    if plain is not None:
        return plain.read(reader)
    versioned = _VERSIONED.get(msg_type)
    if versioned is not None:
        return versioned.read(reader, version=version)
    keyed = _KEYED.get(msg_type)
    if keyed is not None:
        return keyed.read(reader, kex=kex, version=version)
    return Unknown(msg_type, reader.rest("octets"))


def write_handshake(message: Message) -> bytes:
    """``message`` with its four-octet header; ValueError when something does not fit its length."""
    writer = Writer()
    writer.u8(message.msg_type)
    with writer.block(3):
        message.write(writer)
    return writer.bytes()


def message_name(message: Message) -> str:
    """IANA's name in lower case; a ServerHello that is a HelloRetryRequest is called so."""
    if isinstance(message, ServerHello) and message.is_hello_retry_request:
        return "hello_retry_request"
    return handshake_name(message.msg_type)
