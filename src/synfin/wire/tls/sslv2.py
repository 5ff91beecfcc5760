"""SSL 2.0: records and messages in clear, also as the first flight of clients that offer SSL 3.0 or TLS.

There was no RFC for SSL 2.0 itself: the source is draft-hickman-netscape-ssl-00 (1995), and RFC 5246 E.2 for its
ClientHello as later clients used it.  A record header has two octets (high bit set, 15 bits of length) or three (an
escape bit, 14 bits of length, the length of padding).  A record's first octet is the message type.  After the
keys are agreed records are encrypted and their first octet means nothing; telling that is left to others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from synfin.wire.codec import Buffer, Reader, Span, Writer

_REF = "draft-hickman-netscape-ssl-00 2"

#: Message type -> name.
MESSAGES = {
    0: "v2_error",
    1: "v2_client_hello",
    2: "v2_client_master_key",
    3: "v2_client_finished",
    4: "v2_server_hello",
    5: "v2_server_verify",
    6: "v2_server_finished",
    7: "v2_request_certificate",
    8: "v2_client_certificate",
}

ERRORS = {1: "no_cipher", 2: "no_certificate", 4: "bad_certificate", 6: "unsupported_certificate_type"}


class RecordHeader(NamedTuple):
    """Octets of the header itself (2 or 3), of the body with padding, of padding; whether it is a security escape."""

    size: int
    length: int
    padding: int
    escape: bool


def read_header(data: Buffer, at: int = 0) -> RecordHeader | None:
    """The SSL 2.0 record header at ``at``, or None when not all of it is there.  Any octets read."""
    left = len(data) - at
    if left < 2:
        return None
    first, second = data[at], data[at + 1]
    if first & 0x80:
        return RecordHeader(2, (first & 0x7F) << 8 | second, 0, False)
    if left < 3:
        return None
    return RecordHeader(3, (first & 0x3F) << 8 | second, data[at + 2], bool(first & 0x40))


def write_header(header: RecordHeader) -> bytes:
    """The octets of ``header``; ValueError when a field does not fit."""
    writer = Writer()
    if header.size == 2:
        writer.u16(0x8000 | header.length)
    else:
        writer.u16(header.length | (0x4000 if header.escape else 0))
        writer.u8(header.padding)
    return writer.bytes()


def message_name(code: int) -> str:
    """The name of a message type."""
    return MESSAGES.get(code) or f"v2_unknown_{code}"


def _specs(reader: Reader, size: int) -> tuple[int, ...]:
    inner = reader.window(size, "cipher_specs")
    found: list[int] = []
    while inner.left:
        found.append(inner.u24(f"[{len(found)}]"))
    return tuple(found)


def _write_specs(writer: Writer, specs: tuple[int, ...]) -> None:
    for code in specs:
        writer.u24(code)


@dataclass(frozen=True, slots=True)
class ClientHello:
    """CLIENT-HELLO: ``version`` is the highest the client speaks, 0x0002 or 0x03xx; suites have three octets."""

    version: int
    cipher_specs: tuple[int, ...]
    session_id: bytes
    challenge: bytes
    trailing: bytes = b""

    msg_type: ClassVar[int] = 1

    @property
    def cipher_suites(self) -> tuple[int, ...]:
        """The SSL 3.0 and TLS suites among the cipher specs, two octets each (RFC 5246 E.2)."""
        return tuple(code for code in self.cipher_specs if code < 0x10000)

    @classmethod
    def read(cls, reader: Reader) -> ClientHello:
        """The body after the type; WireError when lengths do not add up."""
        version = reader.u16("version")
        sizes = [reader.u16(f"{name}.length") for name in ("cipher_specs", "session_id", "challenge")]
        specs = _specs(reader, sizes[0])
        session_id, challenge = reader.take(sizes[1], "session_id"), reader.take(sizes[2], "challenge")
        return cls(version, specs, session_id, challenge, reader.rest("trailing"))

    def write(self, writer: Writer) -> None:
        """The body after the type; ValueError when a field does not fit its length."""
        writer.u16(self.version)
        writer.u16(3 * len(self.cipher_specs))
        writer.u16(len(self.session_id))
        writer.u16(len(self.challenge))
        _write_specs(writer, self.cipher_specs)
        writer.raw(self.session_id + self.challenge + self.trailing)


@dataclass(frozen=True, slots=True)
class ServerHello:
    """SERVER-HELLO: one certificate (type 1 is X.509), the suites both speak, a connection id."""

    session_id_hit: int
    certificate_type: int
    version: int
    certificate: bytes
    cipher_specs: tuple[int, ...]
    connection_id: bytes
    trailing: bytes = b""

    msg_type: ClassVar[int] = 4

    @classmethod
    def read(cls, reader: Reader) -> ServerHello:
        """The body after the type; WireError when lengths do not add up."""
        hit, kind, version = reader.u8("session_id_hit"), reader.u8("certificate_type"), reader.u16("version")
        sizes = [reader.u16(f"{name}.length") for name in ("certificate", "cipher_specs", "connection_id")]
        certificate = reader.take(sizes[0], "certificate")
        specs = _specs(reader, sizes[1])
        return cls(
            hit, kind, version, certificate, specs, reader.take(sizes[2], "connection_id"), reader.rest("trailing")
        )

    def write(self, writer: Writer) -> None:
        """The body after the type; ValueError when a field does not fit its length."""
        writer.u8(self.session_id_hit)
        writer.u8(self.certificate_type)
        writer.u16(self.version)
        writer.u16(len(self.certificate))
        writer.u16(3 * len(self.cipher_specs))
        writer.u16(len(self.connection_id))
        writer.raw(self.certificate)
        _write_specs(writer, self.cipher_specs)
        writer.raw(self.connection_id + self.trailing)


@dataclass(frozen=True, slots=True)
class ClientMasterKey:
    """CLIENT-MASTER-KEY: the suite the client chose, and the key, part clear (export) and part encrypted."""

    cipher_kind: int
    clear_key: bytes
    encrypted_key: bytes
    key_arg: bytes
    trailing: bytes = b""

    msg_type: ClassVar[int] = 2

    @classmethod
    def read(cls, reader: Reader) -> ClientMasterKey:
        """The body after the type; WireError when lengths do not add up."""
        kind = reader.u24("cipher_kind")
        names = ("clear_key", "encrypted_key", "key_arg")
        sizes = [reader.u16(f"{name}.length") for name in names]
        clear, encrypted, arg = (reader.take(size, name) for size, name in zip(sizes, names, strict=True))
        return cls(kind, clear, encrypted, arg, reader.rest("trailing"))

    def write(self, writer: Writer) -> None:
        """The body after the type; ValueError when a field does not fit its length."""
        writer.u24(self.cipher_kind)
        for part in (self.clear_key, self.encrypted_key, self.key_arg):
            writer.u16(len(part))
        writer.raw(self.clear_key + self.encrypted_key + self.key_arg + self.trailing)


@dataclass(frozen=True, slots=True)
class Error:
    """ERROR: see ``ERRORS``."""

    code: int
    trailing: bytes = b""

    msg_type: ClassVar[int] = 0

    @classmethod
    def read(cls, reader: Reader) -> Error:
        """The body after the type; WireError when it is too short."""
        return cls(reader.u16("error_code"), reader.rest("trailing"))

    def write(self, writer: Writer) -> None:
        """The body after the type; ValueError when the code does not fit."""
        writer.u16(self.code)
        writer.raw(self.trailing)


@dataclass(frozen=True, slots=True)
class Other:
    """Any other message: as a rule it is encrypted, so its octets stay as they are."""

    msg_type: int
    data: bytes

    def write(self, writer: Writer) -> None:
        """The octets."""
        writer.raw(self.data)


Message = ClientHello | ServerHello | ClientMasterKey | Error | Other

_KNOWN: dict[int, type[ClientHello | ServerHello | ClientMasterKey | Error]] = {
    cls.msg_type: cls for cls in (ClientHello, ServerHello, ClientMasterKey, Error)
}


def parse_message(body: Buffer, *, spans: list[Span] | None = None, base: int = 0) -> Message:
    """The message in a record's ``body``, type octet first, padding taken off.

    Fields leave their ``spans`` when a list is given.  Raises WireError when the body is not of the message's syntax.
    """
    reader = Reader(body, "v2", base=base, spans=spans, ref=_REF)
    code = reader.u8("msg_type")
    reader.path = message_name(code)
    cls = _KNOWN.get(code)
    return Other(code, reader.rest("octets")) if cls is None else cls.read(reader)


def write_message(message: Message) -> bytes:
    """The octets of ``message``, type first, without a record header; ValueError when something does not fit."""
    writer = Writer()
    writer.u8(message.msg_type)
    message.write(writer)
    return writer.bytes()
