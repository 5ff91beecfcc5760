"""What TLS extensions carry, decoded: those with a shape of their own, and all of ``shapes`` and ``proofs``.

Each class reads a whole extension body and writes the same octets again; octets left over are a WireError, since
the raw body stays in the ``Extension`` anyway.  Which class belongs to which extension in which message is
decided by the table in ``extensions``; names of the numbers are in ``registry``.  Sections cited are those that define
the syntax.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple, Self

from synfin.wire.codec import Reader, Writer
from synfin.wire.tls.proofs import (
    DelegatedCredential,
    OidFilter,
    OIDFilters,
    Sct,
    SctList,
    StatusRequest,
    StatusRequestV2,
    StatusResponse,
    TypedRequest,
)
from synfin.wire.tls.shapes import (
    Body,
    CertificateAuthorities,
    CertificateTypes,
    Codes,
    CompressCertificate,
    Cookie,
    EchConfirmation,
    EchRetryConfigs,
    ECPointFormats,
    Empty,
    Flags,
    Heartbeat,
    MaxEarlyData,
    MaxFragmentLength,
    NextProtocols,
    Number,
    Octets,
    OuterExtensions,
    Padding,
    Protocols,
    PskModes,
    RecordSizeLimit,
    RenegotiationInfo,
    SelectedCertificateType,
    SelectedGroup,
    SelectedPsk,
    SelectedVersion,
    SessionTicket,
    Settings,
    SignatureAlgorithms,
    SrpUser,
    Strings,
    SupportedGroups,
    SupportedVersions,
)

__all__ = [
    "Body",
    "CertificateAuthorities",
    "CertificateTypes",
    "Codes",
    "CompressCertificate",
    "Cookie",
    "DelegatedCredential",
    "ECPointFormats",
    "EchConfirmation",
    "EchRetryConfigs",
    "Empty",
    "EncryptedClientHello",
    "Flags",
    "Heartbeat",
    "HostName",
    "KeyShare",
    "KeyShareEntry",
    "KeyShares",
    "MaxEarlyData",
    "MaxFragmentLength",
    "NextProtocols",
    "Number",
    "OIDFilters",
    "Octets",
    "OidFilter",
    "OuterExtensions",
    "Padding",
    "PreSharedKey",
    "Protocols",
    "PskIdentity",
    "PskModes",
    "QuicParameter",
    "QuicTransportParameters",
    "RecordSizeLimit",
    "RenegotiationInfo",
    "Sct",
    "SctList",
    "SelectedCertificateType",
    "SelectedGroup",
    "SelectedPsk",
    "SelectedVersion",
    "ServerName",
    "SessionTicket",
    "Settings",
    "SignatureAlgorithms",
    "SrpUser",
    "StatusRequest",
    "StatusRequestV2",
    "StatusResponse",
    "Strings",
    "SupportedGroups",
    "SupportedVersions",
    "TokenBinding",
    "TypedRequest",
    "UseSrtp",
]


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
            names.append(HostName(inner.u8(f"[{index}].type"), inner.vec(2, f"[{index}].name")))
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


_PAIR = Struct(">HH").unpack_from


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

    @classmethod
    def quick(cls, body: bytes) -> Self | None:
        """What ``read`` reads, where all lengths add up; else None."""
        at, end = 2, len(body)
        if end < 2 or body[0] << 8 | body[1] != end - 2:
            return None
        entries: list[KeyShareEntry] = []
        while at + 4 <= end:
            group, size = _PAIR(body, at)
            entries.append(KeyShareEntry(group, body[at + 4 : at + 4 + size]))
            at += 4 + size
        return cls(tuple(entries)) if at == end else None

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

    @classmethod
    def quick(cls, body: bytes) -> Self | None:
        """What ``read`` reads, where its length adds up; else None."""
        if len(body) < 4:
            return None
        group, size = _PAIR(body)
        return cls(group, body[4:]) if size == len(body) - 4 else None

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
