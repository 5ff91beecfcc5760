"""Messages about certificates (RFC 8446 4.3.2 and 4.4.2, RFC 5246 7.4.2 and 7.4.4, RFC 6066 8, RFC 8879).

Certificates are DER octets here; what they say is left to others.  The TLS 1.3 forms of Certificate and
CertificateRequest carry a context and extensions, the older ones do not: ``context`` is None then.  The caller's
``version`` decides; nothing in the octets does.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import brotli
import zstandard

from synfin.errors import WireError
from synfin.wire.codec import Reader, Writer
from synfin.wire.frozen import quick
from synfin.wire.tls.extensions import (
    CERTIFICATE,
    CERTIFICATE_REQUEST,
    Extension,
    read_extensions,
    write_extensions,
)
from synfin.wire.tls.registry import is_tls13

#: The largest window that a Zstandard frame may ask for: what every decoder should support (RFC 8878 3.1.1.1.2).
_ZSTD_WINDOW = 1 << 23


class CertificateEntry(NamedTuple):
    """One certificate, DER, and in TLS 1.3 its extensions (None before)."""

    data: bytes
    extensions: tuple[Extension, ...] | None


@quick
@dataclass(frozen=True, slots=True)
class Certificate:
    """A chain, leaf first as sent; ``context`` is None in the form of TLS 1.2 and before."""

    entries: tuple[CertificateEntry, ...]
    context: bytes | None = None
    trailing: bytes = b""

    msg_type: ClassVar[int] = 11

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """The certificates alone, DER."""
        return tuple(entry.data for entry in self.entries)

    @classmethod
    def read(cls, reader: Reader, *, version: int | None = None) -> Certificate:
        """The body in the form of ``version`` (None: TLS 1.2); WireError when lengths do not add up."""
        new = is_tls13(version)
        reader.ref = "RFC 8446 4.4.2" if new else "RFC 5246 7.4.2"
        context = reader.vec(1, "certificate_request_context") if new else None
        inner = reader.sub(3, "certificate_list")
        entries: list[CertificateEntry] = []
        while inner.left:
            index = len(entries)
            data = inner.vec(3, f"[{index}].cert_data")
            extensions = read_extensions(inner, CERTIFICATE, f"[{index}].extensions") if new else None
            entries.append(CertificateEntry(data, extensions))
        return cls(tuple(entries), context, reader.rest("trailing"))

    def write(self, writer: Writer) -> None:
        """The body; ValueError when a field does not fit its length."""
        if self.context is not None:
            writer.vec(1, self.context)
        with writer.block(3):
            for data, extensions in self.entries:
                writer.vec(3, data)
                if extensions is not None:
                    write_extensions(writer, extensions)
        writer.raw(self.trailing)


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """A server asks for a client certificate.

    Up to TLS 1.2: ``types``, ``signature_algorithms`` (TLS 1.2 only, else None) and ``authorities`` (DER names).
    TLS 1.3: ``context`` and ``extensions``; the others are None.
    """

    types: tuple[int, ...] | None = None
    signature_algorithms: tuple[int, ...] | None = None
    authorities: tuple[bytes, ...] | None = None
    context: bytes | None = None
    extensions: tuple[Extension, ...] | None = None
    trailing: bytes = b""

    msg_type: ClassVar[int] = 13

    @classmethod
    def read(cls, reader: Reader, *, version: int | None = None) -> CertificateRequest:
        """The body in the form of ``version``; None tries TLS 1.2, then the older form."""
        if is_tls13(version):
            reader.ref = "RFC 8446 4.3.2"
            context = reader.vec(1, "certificate_request_context")
            extensions = read_extensions(reader, CERTIFICATE_REQUEST)
            return cls(context=context, extensions=extensions, trailing=reader.rest("trailing"))
        reader.ref = "RFC 5246 7.4.4"
        if version is not None:
            return cls._read_old(reader, version >= 0x0303)
        start, mark = reader.pos, len(reader.spans or ())
        try:
            return cls._read_old(reader, True)
        except WireError:
            reader.pos = start
            if reader.spans is not None:
                del reader.spans[mark:]
            return cls._read_old(reader, False)

    @classmethod
    def _read_old(cls, reader: Reader, schemes: bool) -> CertificateRequest:
        types = tuple(reader.vec(1, "certificate_types"))
        algorithms: list[int] = []
        if schemes:
            inner = reader.sub(2, "supported_signature_algorithms")
            while inner.left:
                algorithms.append(inner.u16(f"[{len(algorithms)}]"))
        inner = reader.sub(2, "certificate_authorities")
        names: list[bytes] = []
        while inner.left:
            names.append(inner.vec(2, f"[{len(names)}]"))
        return cls(types, tuple(algorithms) if schemes else None, tuple(names), trailing=reader.rest("trailing"))

    def write(self, writer: Writer) -> None:
        """The body; ValueError when a field does not fit its length."""
        if self.context is not None:
            writer.vec(1, self.context)
            write_extensions(writer, self.extensions or ())
        else:
            writer.vec(1, bytes(self.types or ()))
            if self.signature_algorithms is not None:
                with writer.block(2):
                    for scheme in self.signature_algorithms:
                        writer.u16(scheme)
            with writer.block(2):
                for name in self.authorities or ():
                    writer.vec(2, name)
        writer.raw(self.trailing)


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """Stapled status (RFC 6066 8, RFC 6961 2.2): type 1 has one OCSP response, type 2 one per certificate or empty.

    Any other type keeps its octets in ``trailing``.
    """

    status_type: int
    responses: tuple[bytes, ...]
    trailing: bytes = b""

    msg_type: ClassVar[int] = 22

    @property
    def response(self) -> bytes | None:
        """The OCSP response for the leaf, DER, or None."""
        return self.responses[0] if self.responses else None

    @classmethod
    def read(cls, reader: Reader) -> CertificateStatus:
        """The body; WireError when lengths do not add up."""
        reader.ref = "RFC 6066 8"
        kind = reader.u8("status_type")
        responses: list[bytes] = []
        if kind == 1:
            responses.append(reader.vec(3, "response"))
        elif kind == 2:
            inner = reader.sub(3, "responses")
            while inner.left:
                responses.append(inner.vec(3, f"[{len(responses)}]"))
        return cls(kind, tuple(responses), reader.rest("trailing"))

    def write(self, writer: Writer) -> None:
        """The body; ValueError when a field does not fit its length."""
        writer.u8(self.status_type)
        if self.status_type == 1:
            writer.vec(3, self.responses[0])
        elif self.status_type == 2:
            with writer.block(3):
                for response in self.responses:
                    writer.vec(3, response)
        writer.raw(self.trailing)


@dataclass(frozen=True, slots=True)
class CompressedCertificate:
    """A TLS 1.3 Certificate message, compressed (RFC 8879 4): algorithm 1 zlib, 2 brotli, 3 zstd."""

    algorithm: int
    uncompressed_length: int
    data: bytes
    trailing: bytes = b""

    msg_type: ClassVar[int] = 25

    @classmethod
    def read(cls, reader: Reader) -> CompressedCertificate:
        """The body, not decompressed; WireError when lengths do not add up."""
        reader.ref = "RFC 8879 4"
        return cls(
            reader.u16("algorithm"),
            reader.u24("uncompressed_length"),
            reader.vec(3, "compressed_certificate_message"),
            reader.rest("trailing"),
        )

    def write(self, writer: Writer) -> None:
        """The body; ValueError when a field does not fit its length."""
        writer.u16(self.algorithm)
        writer.u24(self.uncompressed_length)
        writer.vec(3, self.data)
        writer.raw(self.trailing)

    def decompress(self) -> bytes:
        """The Certificate message's body.  Never more than ``uncompressed_length`` octets (at most 2^24) are made.

        Raises WireError when the algorithm is unknown, the data is damaged, or the length is not the one announced.
        """
        limit = self.uncompressed_length
        more = 0
        try:
            if self.algorithm == 1:
                unpacker = zlib.decompressobj()
                found = unpacker.decompress(self.data, limit + 1)
                if not unpacker.eof and len(found) <= limit:
                    raise WireError(8, "compressed_certificate", "damaged: ends early")
                more = len(unpacker.unused_data)
            elif self.algorithm == 2:
                opener = brotli.Decompressor()  # limits come in steps of 32 KiB, so there may be an excess
                found = opener.process(self.data, output_buffer_limit=limit + 1)
                if not opener.is_finished() and len(found) <= limit:
                    raise WireError(8, "compressed_certificate", "damaged: ends early")
            elif self.algorithm == 3:
                decoder = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
                found = decoder.stream_reader(self.data).read(limit + 1)
                if len(found) == limit:  # no bomb: look at its end too
                    frame = decoder.decompressobj()
                    frame.decompress(self.data)
                    if not frame.eof:
                        raise WireError(8, "compressed_certificate", "damaged: ends early")
                    more = len(frame.unused_data)
            else:
                raise WireError(0, "compressed_certificate.algorithm", f"{self.algorithm} cannot be decompressed here")
        except (zlib.error, brotli.error, zstandard.ZstdError) as error:
            raise WireError(8, "compressed_certificate", f"damaged: {error}") from error
        if len(found) != limit:
            raise WireError(2, "compressed_certificate.uncompressed_length", f"says {limit}, is not")
        if more:
            raise WireError(8 + len(self.data) - more, "compressed_certificate", f"{more} octets follow its end")
        return found

    def certificate(self) -> Certificate:
        """The Certificate inside; WireError as ``decompress``, or when it cannot be read."""
        return Certificate.read(Reader(self.decompress(), "certificate"), version=0x0304)
