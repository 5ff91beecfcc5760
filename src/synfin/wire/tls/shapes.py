"""The four usual shapes of TLS extension bodies, and the extensions that have them.

A list of codes, a list of strings, one number, one string: each is a base whose class variables say how wide its
lengths and items are, and an extension is a class of a few lines.  ``read`` and ``write`` stand side by side; octets
left over are a WireError, since the raw body stays in the ``Extension`` anyway.  Names of the numbers are in
``registry``; extensions with a shape of their own are in ``bodies``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

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
            codes.append(inner.uint(cls.SIZE, f"[{len(codes)}]"))
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
            values.append(inner.vec(cls.SIZE, f"[{len(values)}]"))
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
