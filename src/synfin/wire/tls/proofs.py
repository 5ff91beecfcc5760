"""Bodies of TLS extensions that ask for, carry or limit proofs about certificates.

Stapled status (RFC 6066, RFC 6961), certificate timestamps (RFC 6962), delegated credentials (RFC 9345) and filters on
the client's certificate (RFC 8446 4.2.5).  DER octets stay octets: what they say is left to others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

from synfin.wire.codec import Reader, Writer
from synfin.wire.tls.shapes import Body


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


class Sct(NamedTuple):
    """A signed certificate timestamp (RFC 6962 3.2); ``timestamp`` in ms since 1970.

    ``rest`` is what follows the signature.  Where the layout is not known, as in versions other than 0, all octets are
    there and ``log_id`` is empty: each SCT is opaque to TLS (3.3), so that one nobody can read harms no connection.
    """

    version: int
    log_id: bytes
    timestamp: int
    extensions: bytes
    scheme: int
    signature: bytes
    rest: bytes


def _of_version_0(octets: bytes) -> bool:
    """Whether an SCT has the layout of RFC 6962 3.2."""
    at = 41  # version, log and time
    if not octets or octets[0] or len(octets) < at + 2:
        return False
    at += 2 + int.from_bytes(octets[at : at + 2], "big") + 2  # extensions, algorithm
    return len(octets) >= at + 2 and len(octets) >= at + 2 + int.from_bytes(octets[at : at + 2], "big")


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
            readable = _of_version_0(bytes(one.data[one.pos : one.end]))
            version = one.u8("version")
            if not readable:
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
                    if sct.log_id:
                        writer.raw(sct.log_id)
                        writer.uint(8, sct.timestamp)
                        writer.vec(2, sct.extensions)
                        writer.u16(sct.scheme)
                        writer.vec(2, sct.signature)
                    writer.raw(sct.rest)


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
