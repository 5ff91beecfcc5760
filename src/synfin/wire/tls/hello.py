"""ClientHello and ServerHello, the two messages everybody asks (RFC 8446 4.1, RFC 5246 7.4.1).

They are read in every connection and mostly for a few answers, so both have a quick way over plain bytes beside the
plain one with a Reader: the quick way gives up (None) on anything unusual, and the plain one then reads it or says
what is wrong.  Extensions stay octets; properties decode the one they need and answer None or () when it is
missing or malformed.  Three things that look like one message are kept apart by what was sent: no extension block
(``extensions`` is None), an empty one (``()``), and octets after it (``trailing``).

TLS 1.3 drafts up to 21 sent a ServerHello without session id and compression method, with the draft's number
as its version, and a HelloRetryRequest of its own type (6); both are read by their version number.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from struct import Struct, unpack
from typing import ClassVar

from synfin.errors import WireError
from synfin.wire.codec import Reader, Writer
from synfin.wire.frozen import quick
from synfin.wire.tls import bodies
from synfin.wire.tls.extensions import (
    CLIENT_HELLO,
    HELLO_RETRY_REQUEST,
    LONG,
    SERVER_HELLO,
    Decoded,
    Extension,
    decode_body,
    find_extension,
    read_extensions,
    split_extensions,
    write_extensions,
)

#: The random that makes a ServerHello a HelloRetryRequest: SHA-256 of "HelloRetryRequest" (RFC 8446 4.1.3).
HRR_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")

_DRAFT_KEY_SHARE = 40  # the number of key_share in the TLS 1.3 drafts up to 22
_U16 = Struct(">H").unpack_from


def _codes(data: bytes) -> tuple[int, ...]:
    """Two-octet codes; ``data`` has an even length."""
    return _known_codes(data) if len(data) <= LONG else unpack(f">{len(data) // 2}H", data)


@lru_cache(maxsize=4096)
def _known_codes(data: bytes) -> tuple[int, ...]:
    return unpack(f">{len(data) // 2}H", data)


def text(octets: bytes) -> str:
    """Octets that should be ASCII, as text; others show as backslash escapes."""
    return octets.decode("ascii", "backslashreplace")


def _decoded(body: bytes | None, number: int, context: str) -> Decoded | None:
    """What ``body`` of extension ``number`` says; None when it is missing or malformed."""
    if body is None:
        return None
    try:
        return decode_body(number, context, body)
    except WireError:
        return None


@lru_cache(maxsize=1024)
def _texts(values: tuple[bytes, ...]) -> tuple[str, ...]:
    return tuple([text(value) for value in values])


def draft_server_hello(version: int) -> bool:
    """Whether a ServerHello of ``version`` has the short form of the TLS 1.3 drafts up to 21."""
    return 0x7F01 <= version <= 0x7F15


@quick
@dataclass(frozen=True, slots=True)
class ClientHello:
    """The first message of a client (RFC 8446 4.1.2); numbers as sent, GREASE and all."""

    legacy_version: int
    random: bytes
    session_id: bytes
    cipher_suites: tuple[int, ...]
    compression_methods: tuple[int, ...]
    extensions: tuple[Extension, ...] | None
    trailing: bytes = b""
    _bodies: dict[int, bytes] | None = field(default=None, init=False, repr=False, compare=False)

    msg_type: ClassVar[int] = 1

    @classmethod
    def read(cls, reader: Reader) -> ClientHello:
        """The whole body; WireError when lengths do not add up or cipher suites are not pairs of octets."""
        if reader.spans is None and isinstance(reader.data, bytes):
            quick = cls.quick(reader.data, reader.pos, reader.end)
            if quick is not None:
                reader.pos = reader.end
                return quick
        reader.ref = "RFC 8446 4.1.2"
        version = reader.u16("legacy_version")
        random = reader.take(32, "random")
        session_id = reader.vec(1, "legacy_session_id")
        inner = reader.sub(2, "cipher_suites")
        suites: list[int] = []
        while inner.left:
            suites.append(inner.u16(f"[{len(suites)}]"))
        compression = tuple(reader.vec(1, "legacy_compression_methods"))
        extensions = read_extensions(reader, CLIENT_HELLO) if reader.left else None
        return cls(version, random, session_id, tuple(suites), compression, extensions, reader.rest("trailing"))

    @classmethod
    def quick(cls, data: bytes, pos: int, end: int) -> ClientHello | None:
        """The usual ClientHello, with an extension block and nothing after it; None for any other."""
        if end - pos < 40:
            return None
        suites_at = pos + 35 + data[pos + 34]
        if suites_at + 2 > end:
            return None
        size = data[suites_at] << 8 | data[suites_at + 1]
        compression_at = suites_at + 2 + size
        if size & 1 or compression_at >= end:
            return None
        block_at = compression_at + 1 + data[compression_at]
        if block_at + 2 > end or data[block_at] << 8 | data[block_at + 1] != end - block_at - 2:
            return None
        extensions = split_extensions(data, block_at + 2, end)
        if extensions is None:
            return None
        return cls(
            data[pos] << 8 | data[pos + 1],
            data[pos + 2 : pos + 34],
            data[pos + 35 : suites_at],
            _codes(data[suites_at + 2 : compression_at]),
            tuple(data[compression_at + 1 : block_at]),
            extensions,
        )

    def write(self, writer: Writer) -> None:
        """The body; ValueError when a field does not fit its length."""
        writer.u16(self.legacy_version)
        writer.raw(self.random)
        writer.vec(1, self.session_id)
        with writer.block(2):
            for suite in self.cipher_suites:
                writer.u16(suite)
        writer.vec(1, bytes(self.compression_methods))
        if self.extensions is not None:
            write_extensions(writer, self.extensions)
        writer.raw(self.trailing)

    def ext(self, number: int) -> bytes | None:
        """The body of the first extension ``number``, or None."""
        found = self._bodies
        if found is None:  # nine questions are usual, so the first one makes an index
            found = dict(reversed(self.extensions or ()))
            object.__setattr__(self, "_bodies", found)
        return found.get(number)

    def decoded(self, number: int) -> Decoded | None:
        """The decoded extension ``number``; None when it is missing or malformed."""
        return _decoded(self.ext(number), number, CLIENT_HELLO)

    def _list(self, number: int) -> tuple[int, ...]:
        found = self.decoded(number)
        return found.codes if isinstance(found, bodies.Codes) else ()

    @property
    def sni(self) -> str | None:
        """The first host name asked for, as sent (RFC 6066 3); None without one."""
        found = self.decoded(0)
        if isinstance(found, bodies.ServerName):
            for kind, name in found.names:
                if kind == 0:
                    return text(name)
        return None

    @property
    def alpn(self) -> tuple[str, ...]:
        """Application protocols offered, by preference (RFC 7301)."""
        found = self.decoded(16)
        return _texts(found.values) if isinstance(found, bodies.Protocols) else ()

    @property
    def supported_versions(self) -> tuple[int, ...]:
        """Versions of the supported_versions extension, as sent."""
        return self._list(43)

    @property
    def groups(self) -> tuple[int, ...]:
        """Groups (once "elliptic curves") as sent."""
        return self._list(10)

    @property
    def point_formats(self) -> tuple[int, ...]:
        """EC point formats as sent."""
        return self._list(11)

    @property
    def signature_algorithms(self) -> tuple[int, ...]:
        """Signature schemes as sent."""
        return self._list(13)

    @property
    def key_share_groups(self) -> tuple[int, ...]:
        """Groups of the key shares, as sent."""
        body = self.ext(51)
        if body is None:
            body = self.ext(_DRAFT_KEY_SHARE)
        if body is None or len(body) < 2 or body[0] << 8 | body[1] != len(body) - 2:
            return ()
        groups = []
        at, end = 2, len(body)
        while at + 4 <= end:
            groups.append(body[at] << 8 | body[at + 1])
            at += 4 + (body[at + 2] << 8 | body[at + 3])
        return tuple(groups) if at == end else ()

    @property
    def psk_offered(self) -> bool:
        """Whether a pre_shared_key extension is there."""
        return self.ext(41) is not None

    @property
    def early_data(self) -> bool:
        """Whether an early_data extension is there."""
        return self.ext(42) is not None

    @property
    def ech(self) -> bool:
        """Whether an encrypted_client_hello extension is there, GREASE or real."""
        return self.ext(0xFE0D) is not None

    @property
    def session_ticket(self) -> bytes | None:
        """The body of the session_ticket extension: a ticket, or empty."""
        return self.ext(35)


@quick
@dataclass(frozen=True, slots=True)
class ServerHello:
    """A server's choice (RFC 8446 4.1.3, RFC 5246 7.4.1.3); also HelloRetryRequest, told by its random.

    In the short form of early TLS 1.3 drafts ``session_id`` is empty and ``compression_method`` 0 without being sent.
    """

    legacy_version: int
    random: bytes
    session_id: bytes
    cipher_suite: int
    compression_method: int
    extensions: tuple[Extension, ...] | None
    trailing: bytes = b""

    msg_type: ClassVar[int] = 2

    @classmethod
    def read(cls, reader: Reader) -> ServerHello:
        """The whole body; WireError when lengths do not add up."""
        if reader.spans is None and isinstance(reader.data, bytes):
            quick = cls.quick(reader.data, reader.pos, reader.end)
            if quick is not None:
                reader.pos = reader.end
                return quick
        reader.ref = "RFC 8446 4.1.3"
        version = reader.u16("legacy_version")
        random = reader.take(32, "random")
        session_id, compression = b"", 0
        if draft_server_hello(version):
            suite = reader.u16("cipher_suite")
        else:
            session_id = reader.vec(1, "legacy_session_id_echo")
            suite = reader.u16("cipher_suite")
            compression = reader.u8("legacy_compression_method")
        context = HELLO_RETRY_REQUEST if random == HRR_RANDOM else SERVER_HELLO
        extensions = read_extensions(reader, context) if reader.left else None
        return cls(version, random, session_id, suite, compression, extensions, reader.rest("trailing"))

    @classmethod
    def quick(cls, data: bytes, pos: int, end: int) -> ServerHello | None:
        """The usual ServerHello, with an extension block and nothing after it; None for any other."""
        if end - pos < 40 or data[pos] != 3:
            return None
        suite_at = pos + 35 + data[pos + 34]
        if suite_at + 5 > end or data[suite_at + 3] << 8 | data[suite_at + 4] != end - suite_at - 5:
            return None
        extensions = split_extensions(data, suite_at + 5, end)
        if extensions is None:
            return None
        return cls(
            _U16(data, pos)[0],
            data[pos + 2 : pos + 34],
            data[pos + 35 : suite_at],
            _U16(data, suite_at)[0],
            data[suite_at + 2],
            extensions,
        )

    def write(self, writer: Writer) -> None:
        """The body; ValueError when a field does not fit its length."""
        writer.u16(self.legacy_version)
        writer.raw(self.random)
        if draft_server_hello(self.legacy_version):
            writer.u16(self.cipher_suite)
        else:
            writer.vec(1, self.session_id)
            writer.u16(self.cipher_suite)
            writer.u8(self.compression_method)
        if self.extensions is not None:
            write_extensions(writer, self.extensions)
        writer.raw(self.trailing)

    @property
    def is_hello_retry_request(self) -> bool:
        """Whether the random says that this is a HelloRetryRequest (RFC 8446 4.1.3)."""
        return self.random == HRR_RANDOM

    @property
    def context(self) -> str:
        """The context its extensions are decoded in."""
        return HELLO_RETRY_REQUEST if self.random == HRR_RANDOM else SERVER_HELLO

    def ext(self, number: int) -> bytes | None:
        """The body of the first extension ``number``, or None."""
        return find_extension(self.extensions, number)

    def decoded(self, number: int) -> Decoded | None:
        """The decoded extension ``number``; None when it is missing or malformed."""
        return _decoded(self.ext(number), number, self.context)

    @property
    def supported_version(self) -> int | None:
        """The version in its supported_versions extension, or None."""
        body = self.ext(43)
        return body[0] << 8 | body[1] if body is not None and len(body) == 2 else None

    @property
    def selected_version(self) -> int:
        """The version chosen: that of supported_versions where it is there, else the message's own."""
        chosen = self.supported_version
        return self.legacy_version if chosen is None else chosen

    @property
    def key_share_group(self) -> int | None:
        """The group of the server's key share, or the one a HelloRetryRequest asks for."""
        body = self.ext(51)
        if body is None:
            body = self.ext(_DRAFT_KEY_SHARE)
        return body[0] << 8 | body[1] if body is not None and len(body) >= 2 else None

    @property
    def alpn(self) -> str | None:
        """The application protocol chosen in clear (TLS 1.2 and before)."""
        found = self.decoded(16)
        return text(found.values[0]) if isinstance(found, bodies.Protocols) and found.values else None

    @property
    def psk_selected(self) -> int | None:
        """Index of the identity that was taken, or None."""
        found = self.decoded(41)
        return found.value if isinstance(found, bodies.SelectedPsk) else None


@dataclass(frozen=True, slots=True)
class HelloRetryRequest:
    """HelloRetryRequest of the TLS 1.3 drafts up to 21, message type 6; the suite came with draft 19."""

    version: int
    cipher_suite: int | None
    extensions: tuple[Extension, ...] | None
    trailing: bytes = b""

    msg_type: ClassVar[int] = 6

    @classmethod
    def read(cls, reader: Reader) -> HelloRetryRequest:
        """The whole body; WireError when lengths do not add up."""
        reader.ref = "draft-ietf-tls-tls13-21 4.1.4"
        version = reader.u16("server_version")
        suite = reader.u16("cipher_suite") if version >= 0x7F13 else None
        extensions = read_extensions(reader, HELLO_RETRY_REQUEST) if reader.left else None
        return cls(version, suite, extensions, reader.rest("trailing"))

    def write(self, writer: Writer) -> None:
        """The body; ValueError when a field does not fit its length."""
        writer.u16(self.version)
        if self.cipher_suite is not None:
            writer.u16(self.cipher_suite)
        if self.extensions is not None:
            write_extensions(writer, self.extensions)
        writer.raw(self.trailing)
