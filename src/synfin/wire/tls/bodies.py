"""What TLS extensions carry: one small class per shape, ``read`` and ``write`` side by side.

Each class reads a whole extension body and writes the same octets again; octets left over are a WireError, since
the raw body stays in the ``Extension`` anyway.  Which class belongs to which extension in which message is
decided by the table in ``extensions``; names of the numbers are in ``registry``.  Most bodies have one of four
shapes (a list of codes, a list of strings, one number, one string), so these are bases whose class variables
say the widths.  Sections cited are those that define the syntax.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self

from synfin.wire.codec import Reader, Writer


class Body:
    """A decoded extension body."""

    __slots__ = ()

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Read all octets of ``reader``; WireError when they are not this shape."""
        raise NotImplementedError

    def write(self, writer: Writer) -> None:
        """Write the octets that ``read`` takes."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Empty(Body):
    """An extension that says all by being there."""

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """No octets."""
        reader.finish()
        return cls()

    def write(self, writer: Writer) -> None:
        """No octets."""


# ---------------------------------------------------------------- lists of codes


@dataclass(frozen=True, slots=True)
class Codes(Body):
    """A list of numbers of SIZE octets behind a length of PREFIX octets."""

    codes: tuple[int, ...]

    PREFIX: ClassVar[int] = 2
    SIZE: ClassVar[int] = 2
    ITEM: ClassVar[str] = "code"

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """The length, then the numbers."""
        inner = reader.sub(cls.PREFIX, f"{cls.ITEM}s")
        codes: list[int] = []
        while inner.left:
            codes.append(inner.uint(cls.SIZE, f"{cls.ITEM}[{len(codes)}]"))
        reader.finish()
        return cls(tuple(codes))

    def write(self, writer: Writer) -> None:
        """The length, then the numbers."""
        with writer.block(self.PREFIX):
            for code in self.codes:
                writer.uint(self.SIZE, code)


class SupportedGroups(Codes):
    """Groups for key exchange, by preference (RFC 8446 4.2.7, RFC 8422 5.1.1)."""

    __slots__ = ()
    ITEM = "group"


class SignatureAlgorithms(Codes):
    """Signature schemes (RFC 8446 4.2.3, RFC 5246 7.4.1.4.1); also those for certificates and delegation."""

    __slots__ = ()
    ITEM = "scheme"


class ECPointFormats(Codes):
    """EC point formats (RFC 8422 5.1.2)."""

    __slots__ = ()
    PREFIX = 1
    SIZE = 1
    ITEM = "format"


class SupportedVersions(Codes):
    """Versions the client would speak (RFC 8446 4.2.1)."""

    __slots__ = ()
    PREFIX = 1
    ITEM = "version"


class PskModes(Codes):
    """PSK key exchange modes (RFC 8446 4.2.9)."""

    __slots__ = ()
    PREFIX = 1
    SIZE = 1
    ITEM = "mode"


class CompressCertificate(Codes):
    """Certificate compression algorithms (RFC 8879 3)."""

    __slots__ = ()
    PREFIX = 1
    ITEM = "algorithm"


class CertificateTypes(Codes):
    """Certificate types (RFC 7250 3, RFC 6091 3.1)."""

    __slots__ = ()
    PREFIX = 1
    SIZE = 1
    ITEM = "type"


class OuterExtensions(Codes):
    """Extensions an inner ClientHello takes from the outer one (RFC 9849 5.1)."""

    __slots__ = ()
    PREFIX = 1
    ITEM = "extension"


# ---------------------------------------------------------------- lists of strings


@dataclass(frozen=True, slots=True)
class Strings(Body):
    """A list of strings, each behind a length of SIZE octets, behind a length of PREFIX octets (0: none)."""

    values: tuple[bytes, ...]

    PREFIX: ClassVar[int] = 2
    SIZE: ClassVar[int] = 1
    ITEM: ClassVar[str] = "value"

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """The length, then the strings."""
        inner = reader.sub(cls.PREFIX, f"{cls.ITEM}s") if cls.PREFIX else reader
        values: list[bytes] = []
        while inner.left:
            values.append(inner.vec(cls.SIZE, f"{cls.ITEM}[{len(values)}]"))
        reader.finish()
        return cls(tuple(values))

    def write(self, writer: Writer) -> None:
        """The length, then the strings."""
        inner = Writer()
        for value in self.values:
            inner.vec(self.SIZE, value)
        if self.PREFIX:
            writer.vec(self.PREFIX, inner.data)
        else:
            writer.raw(inner.data)


class Protocols(Strings):
    """Application protocols: offered, or the one chosen (RFC 7301 3.1); also those that ALPS covers."""

    __slots__ = ()
    ITEM = "protocol"


class NextProtocols(Strings):
    """Protocols a server offers in NPN (draft-agl-tls-nextprotoneg-04 3)."""

    __slots__ = ()
    PREFIX = 0
    ITEM = "protocol"


class CertificateAuthorities(Strings):
    """Distinguished names of acceptable authorities, DER (RFC 8446 4.2.4)."""

    __slots__ = ()
    SIZE = 2
    ITEM = "authority"


# ---------------------------------------------------------------- one number, one string


@dataclass(frozen=True, slots=True)
class Number(Body):
    """One number of SIZE octets."""

    value: int

    SIZE: ClassVar[int] = 2
    ITEM: ClassVar[str] = "value"

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """The number."""
        value = reader.uint(cls.SIZE, cls.ITEM)
        reader.finish()
        return cls(value)

    def write(self, writer: Writer) -> None:
        """The number."""
        writer.uint(self.SIZE, self.value)


class SelectedVersion(Number):
    """The version the server chose (RFC 8446 4.2.1)."""

    __slots__ = ()
    ITEM = "selected_version"


class SelectedGroup(Number):
    """The group a HelloRetryRequest asks for (RFC 8446 4.2.8)."""

    __slots__ = ()
    ITEM = "selected_group"


class SelectedPsk(Number):
    """Index of the identity the server took (RFC 8446 4.2.11)."""

    __slots__ = ()
    ITEM = "selected_identity"


class RecordSizeLimit(Number):
    """The largest record the sender takes (RFC 8449 4)."""

    __slots__ = ()
    ITEM = "limit"


class MaxEarlyData(Number):
    """Octets of early data a ticket allows (RFC 8446 4.2.10)."""

    __slots__ = ()
    SIZE = 4
    ITEM = "max_early_data_size"


class MaxFragmentLength(Number):
    """1..4 for 2^9..2^12 octets (RFC 6066 4)."""

    __slots__ = ()
    SIZE = 1
    ITEM = "max_fragment_length"


class Heartbeat(Number):
    """Whether the peer may send heartbeat requests: 1 yes, 2 no (RFC 6520 2)."""

    __slots__ = ()
    SIZE = 1
    ITEM = "mode"


class SelectedCertificateType(Number):
    """The certificate type the server chose (RFC 7250 3)."""

    __slots__ = ()
    SIZE = 1
    ITEM = "type"


@dataclass(frozen=True, slots=True)
class Octets(Body):
    """One string behind a length of PREFIX octets (0: all that is there)."""

    value: bytes

    PREFIX: ClassVar[int] = 0
    ITEM: ClassVar[str] = "value"

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """The string."""
        value = reader.vec(cls.PREFIX, cls.ITEM) if cls.PREFIX else reader.rest(cls.ITEM)
        reader.finish()
        return cls(value)

    def write(self, writer: Writer) -> None:
        """The string."""
        if self.PREFIX:
            writer.vec(self.PREFIX, self.value)
        else:
            writer.raw(self.value)


class Cookie(Octets):
    """What a HelloRetryRequest wants echoed (RFC 8446 4.2.2)."""

    __slots__ = ()
    PREFIX = 2
    ITEM = "cookie"


class RenegotiationInfo(Octets):
    """Verify data of the handshake before, empty in the first (RFC 5746 3.2)."""

    __slots__ = ()
    PREFIX = 1
    ITEM = "renegotiated_connection"


class SessionTicket(Octets):
    """A ticket to resume with, or empty to ask for one (RFC 5077 3.2)."""

    __slots__ = ()
    ITEM = "ticket"


class Padding(Octets):
    """Octets that only fill (RFC 7685 3)."""

    __slots__ = ()
    ITEM = "padding"


class EchRetryConfigs(Octets):
    """ECHConfigList a server wants used next time (RFC 9849 5)."""

    __slots__ = ()
    PREFIX = 2
    ITEM = "retry_configs"


class EchConfirmation(Octets):
    """Proof in a HelloRetryRequest that ECH was accepted (RFC 9849 5)."""

    __slots__ = ()
    ITEM = "confirmation"


class SrpUser(Octets):
    """The user's name (RFC 5054 2.8.1)."""

    __slots__ = ()
    PREFIX = 1
    ITEM = "user"


class Flags(Octets):
    """A bit per flag, least significant bit of the first octet is flag 0 (draft-ietf-tls-tlsflags 2)."""

    __slots__ = ()
    PREFIX = 1
    ITEM = "flags"


class Settings(Octets):
    """Settings of the chosen application protocol (draft-vvv-tls-alps 4)."""

    __slots__ = ()
    ITEM = "settings"


# ---------------------------------------------------------------- the rest, each its own shape


class HostName(NamedTuple):
    """One entry of a server name list: name type (0 host_name) and the name's octets as sent."""

    type: int
    name: bytes


@dataclass(frozen=True, slots=True)
class ServerName(Body):
    """Names the client wants to reach (RFC 6066 3)."""

    names: tuple[HostName, ...]

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """A list of typed names."""
        inner = reader.sub(2, "names")
        names: list[HostName] = []
        while inner.left:
            index = len(names)
            names.append(HostName(inner.u8(f"names[{index}].type"), inner.vec(2, f"names[{index}].name")))
        reader.finish()
        return cls(tuple(names))

    def write(self, writer: Writer) -> None:
        """A list of typed names."""
        with writer.block(2):
            for kind, name in self.names:
                writer.u8(kind)
                writer.vec(2, name)


class KeyShareEntry(NamedTuple):
    """A group and the public key in it."""

    group: int
    key: bytes


def _read_share(reader: Reader, name: str) -> KeyShareEntry:
    return KeyShareEntry(reader.u16(f"{name}group"), reader.vec(2, f"{name}key_exchange"))


@dataclass(frozen=True, slots=True)
class KeyShares(Body):
    """The client's public keys (RFC 8446 4.2.8)."""

    entries: tuple[KeyShareEntry, ...]

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """A list of entries."""
        inner = reader.sub(2, "shares")
        entries: list[KeyShareEntry] = []
        while inner.left:
            entries.append(_read_share(inner, f"[{len(entries)}]."))
        reader.finish()
        return cls(tuple(entries))

    def write(self, writer: Writer) -> None:
        """A list of entries."""
        with writer.block(2):
            for group, key in self.entries:
                writer.u16(group)
                writer.vec(2, key)


@dataclass(frozen=True, slots=True)
class KeyShare(Body):
    """The server's public key (RFC 8446 4.2.8)."""

    group: int
    key: bytes

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """One entry."""
        entry = _read_share(reader, "")
        reader.finish()
        return cls(*entry)

    def write(self, writer: Writer) -> None:
        """One entry."""
        writer.u16(self.group)
        writer.vec(2, self.key)


class PskIdentity(NamedTuple):
    """A label or ticket, and its age in ms with age_add added."""

    identity: bytes
    obfuscated_age: int


@dataclass(frozen=True, slots=True)
class PreSharedKey(Body):
    """Keys the client offers to resume with, and the proofs that it holds them (RFC 8446 4.2.11)."""

    identities: tuple[PskIdentity, ...]
    binders: tuple[bytes, ...]

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """The identities, then a binder for each."""
        inner = reader.sub(2, "identities")
        identities: list[PskIdentity] = []
        while inner.left:
            name = f"[{len(identities)}]"
            identities.append(PskIdentity(inner.vec(2, f"{name}.identity"), inner.u32(f"{name}.obfuscated_ticket_age")))
        inner = reader.sub(2, "binders")
        binders: list[bytes] = []
        while inner.left:
            binders.append(inner.vec(1, f"[{len(binders)}]"))
        reader.finish()
        return cls(tuple(identities), tuple(binders))

    def write(self, writer: Writer) -> None:
        """The identities, then the binders."""
        with writer.block(2):
            for identity, age in self.identities:
                writer.vec(2, identity)
                writer.u32(age)
        with writer.block(2):
            for binder in self.binders:
                writer.vec(1, binder)


@dataclass(frozen=True, slots=True)
class StatusRequest(Body):
    """The client wants a status of the certificate: type 1 is OCSP (RFC 6066 8)."""

    status_type: int
    responders: tuple[bytes, ...]
    request_extensions: bytes

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Type, responder ids, extensions of the OCSP request."""
        kind = reader.u8("status_type")
        inner = reader.sub(2, "responder_ids")
        responders: list[bytes] = []
        while inner.left:
            responders.append(inner.vec(2, f"[{len(responders)}]"))
        extensions = reader.vec(2, "request_extensions")
        reader.finish()
        return cls(kind, tuple(responders), extensions)

    def write(self, writer: Writer) -> None:
        """Type, responder ids, extensions."""
        writer.u8(self.status_type)
        with writer.block(2):
            for responder in self.responders:
                writer.vec(2, responder)
        writer.vec(2, self.request_extensions)


@dataclass(frozen=True, slots=True)
class StatusResponse(Body):
    """A stapled status beside a TLS 1.3 certificate: type 1 is an OCSP response, DER (RFC 8446 4.4.2.1)."""

    status_type: int
    response: bytes

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Type and response."""
        kind, response = reader.u8("status_type"), reader.vec(3, "response")
        reader.finish()
        return cls(kind, response)

    def write(self, writer: Writer) -> None:
        """Type and response."""
        writer.u8(self.status_type)
        writer.vec(3, self.response)


class TypedRequest(NamedTuple):
    """A status type and the request in its own syntax."""

    status_type: int
    request: bytes


@dataclass(frozen=True, slots=True)
class StatusRequestV2(Body):
    """Several ways to ask for status: 1 OCSP, 2 OCSP for the whole chain (RFC 6961 2.2)."""

    requests: tuple[TypedRequest, ...]

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """A list of typed requests."""
        inner = reader.sub(2, "requests")
        requests: list[TypedRequest] = []
        while inner.left:
            name = f"[{len(requests)}]"
            requests.append(TypedRequest(inner.u8(f"{name}.status_type"), inner.vec(2, f"{name}.request")))
        reader.finish()
        return cls(tuple(requests))

    def write(self, writer: Writer) -> None:
        """A list of typed requests."""
        with writer.block(2):
            for kind, request in self.requests:
                writer.u8(kind)
                writer.vec(2, request)


@dataclass(frozen=True, slots=True)
class UseSrtp(Body):
    """SRTP protection profiles and key identifier (RFC 5764 4.1.1)."""

    profiles: tuple[int, ...]
    mki: bytes

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Profiles, then MKI."""
        inner = reader.sub(2, "profiles")
        profiles: list[int] = []
        while inner.left:
            profiles.append(inner.u16(f"[{len(profiles)}]"))
        mki = reader.vec(1, "mki")
        reader.finish()
        return cls(tuple(profiles), mki)

    def write(self, writer: Writer) -> None:
        """Profiles, then MKI."""
        with writer.block(2):
            for profile in self.profiles:
                writer.u16(profile)
        writer.vec(1, self.mki)


class Sct(NamedTuple):
    """A signed certificate timestamp (RFC 6962 3.2); ``timestamp`` in ms since 1970.

    ``rest`` is what follows the signature.  A version other than 0 has no known layout: all its octets are there.
    """

    version: int
    log_id: bytes
    timestamp: int
    extensions: bytes
    scheme: int
    signature: bytes
    rest: bytes


@dataclass(frozen=True, slots=True)
class SctList(Body):
    """Proofs that a certificate was logged (RFC 6962 3.3)."""

    scts: tuple[Sct, ...]

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """A list of serialized SCTs."""
        outer = reader.sub(2, "scts")
        scts: list[Sct] = []
        while outer.left:
            one = outer.sub(2, f"[{len(scts)}]")
            version = one.u8("version")
            if version:
                scts.append(Sct(version, b"", 0, b"", 0, b"", one.rest("rest")))
                continue
            scts.append(
                Sct(
                    version,
                    one.take(32, "log_id"),
                    one.u64("timestamp"),
                    one.vec(2, "extensions"),
                    one.u16("algorithm"),
                    one.vec(2, "signature"),
                    one.rest("rest"),
                )
            )
        reader.finish()
        return cls(tuple(scts))

    def write(self, writer: Writer) -> None:
        """A list of serialized SCTs."""
        with writer.block(2):
            for sct in self.scts:
                with writer.block(2):
                    writer.u8(sct.version)
                    if not sct.version:
                        writer.raw(sct.log_id)
                        writer.uint(8, sct.timestamp)
                        writer.vec(2, sct.extensions)
                        writer.u16(sct.scheme)
                        writer.vec(2, sct.signature)
                    writer.raw(sct.rest)


@dataclass(frozen=True, slots=True)
class EncryptedClientHello(Body):
    """ECH in a ClientHello (RFC 9849 5): type 0 outer carries the sealed inner hello, type 1 inner is a mark only."""

    type: int
    kdf: int | None = None
    aead: int | None = None
    config_id: int | None = None
    enc: bytes = b""
    payload: bytes = b""
    rest: bytes = b""  # what a type other than 0 carries

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """The type decides the rest."""
        kind = reader.u8("type")
        if kind:
            return cls(kind, rest=reader.rest("rest"))
        kdf, aead, config = reader.u16("kdf_id"), reader.u16("aead_id"), reader.u8("config_id")
        enc, payload = reader.vec(2, "enc"), reader.vec(2, "payload")
        reader.finish()
        return cls(kind, kdf, aead, config, enc, payload)

    def write(self, writer: Writer) -> None:
        """The type decides the rest."""
        writer.u8(self.type)
        if self.kdf is None or self.aead is None or self.config_id is None:
            writer.raw(self.rest)
            return
        writer.u16(self.kdf)
        writer.u16(self.aead)
        writer.u8(self.config_id)
        writer.vec(2, self.enc)
        writer.vec(2, self.payload)


@dataclass(frozen=True, slots=True)
class DelegatedCredential(Body):
    """A short-lived key that a certificate's holder signed (RFC 9345 4)."""

    valid_time: int  # seconds after the certificate's notBefore
    expected_scheme: int
    public_key: bytes  # SubjectPublicKeyInfo, DER
    scheme: int
    signature: bytes

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """The credential, then the certificate's signature over it."""
        fields = (
            reader.u32("valid_time"),
            reader.u16("dc_cert_verify_algorithm"),
            reader.vec(3, "spki"),
            reader.u16("algorithm"),
            reader.vec(2, "signature"),
        )
        reader.finish()
        return cls(*fields)

    def write(self, writer: Writer) -> None:
        """The credential, then the signature."""
        writer.u32(self.valid_time)
        writer.u16(self.expected_scheme)
        writer.vec(3, self.public_key)
        writer.u16(self.scheme)
        writer.vec(2, self.signature)


class OidFilter(NamedTuple):
    """A certificate extension that the client's certificate must have (DER OID and values)."""

    oid: bytes
    values: bytes


@dataclass(frozen=True, slots=True)
class OIDFilters(Body):
    """Which client certificates a server takes (RFC 8446 4.2.5)."""

    filters: tuple[OidFilter, ...]

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """A list of filters."""
        inner = reader.sub(2, "filters")
        filters: list[OidFilter] = []
        while inner.left:
            name = f"[{len(filters)}]"
            filters.append(OidFilter(inner.vec(1, f"{name}.oid"), inner.vec(2, f"{name}.values")))
        reader.finish()
        return cls(tuple(filters))

    def write(self, writer: Writer) -> None:
        """A list of filters."""
        with writer.block(2):
            for oid, values in self.filters:
                writer.vec(1, oid)
                writer.vec(2, values)


@dataclass(frozen=True, slots=True)
class TokenBinding(Body):
    """Token binding version and key parameters (RFC 8472 2)."""

    major: int
    minor: int
    parameters: tuple[int, ...]

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Version, then parameters."""
        major, minor = reader.u8("major"), reader.u8("minor")
        parameters = tuple(reader.vec(1, "key_parameters"))
        reader.finish()
        return cls(major, minor, parameters)

    def write(self, writer: Writer) -> None:
        """Version, then parameters."""
        writer.u8(self.major)
        writer.u8(self.minor)
        writer.vec(1, bytes(self.parameters))


class QuicParameter(NamedTuple):
    """A QUIC transport parameter: id, value, and how many octets id and length took on the wire."""

    id: int
    value: bytes
    widths: tuple[int, int]


def _read_varint(reader: Reader, name: str) -> tuple[int, int]:
    if not reader.left:
        raise reader.fail(name, "needs 1 octets, has 0")
    size = 1 << (reader.data[reader.pos] >> 6)
    return reader.uint(size, name) & ((1 << (8 * size - 2)) - 1), size


@dataclass(frozen=True, slots=True)
class QuicTransportParameters(Body):
    """QUIC's own parameters, values as octets (RFC 9000 18)."""

    parameters: tuple[QuicParameter, ...]

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Pairs of id and value, lengths as varints."""
        parameters: list[QuicParameter] = []
        while reader.left:
            name = f"[{len(parameters)}]"
            code, first = _read_varint(reader, f"{name}.id")
            length, second = _read_varint(reader, f"{name}.length")
            parameters.append(QuicParameter(code, reader.take(length, f"{name}.value"), (first, second)))
        return cls(tuple(parameters))

    def write(self, writer: Writer) -> None:
        """Pairs of id and value, varints as wide as they were."""
        for code, value, widths in self.parameters:
            for number, width in zip((code, len(value)), widths, strict=True):
                writer.uint(width, number | (width.bit_length() - 1) << (8 * width - 2))
            writer.raw(value)
