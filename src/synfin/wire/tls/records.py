"""TLS record headers, the looks of a first flight, and alerts (RFC 8446 5.1, RFC 5246 6.2.1, RFC 6101 5.2).

Decides how five octets become a record header and whether some first octets look like TLS at all.  What a record
holds, whether its length is lawful and what it means is left to others: ``read_header`` takes any five octets.

The looks are wider than the law where people meet the difference: lengths up to 2^14 + 2048 (the limit of TLS 1.2,
RFC 5246 6.2.3; TLS 1.3 allows 2^14 + 256), minor versions up to 4, and the draft versions 0x7fNN.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from synfin.wire.codec import Buffer, Reader, Writer

CHANGE_CIPHER_SPEC = 20
ALERT = 21
HANDSHAKE = 22
APPLICATION_DATA = 23
HEARTBEAT = 24

HEADER = 5
#: The longest fragment any version lets pass: 2^14 of content and 2048 of expansion (RFC 5246 6.2.3).
MAX_FRAGMENT = 16384 + 2048

_HEADER = Struct(">BHH")


class RecordHeader(NamedTuple):
    """Outer content type, version as written, and octets of the fragment that follows."""

    type: int
    version: int
    length: int


def read_header(data: Buffer, at: int = 0) -> RecordHeader | None:
    """The record header at ``at``, or None when fewer than five octets are there.  Any five octets read."""
    if len(data) - at < HEADER:
        return None
    return RecordHeader(*_HEADER.unpack_from(data, at))


def write_header(header: RecordHeader) -> bytes:
    """The five octets of ``header``; ValueError when a field does not fit."""
    writer = Writer()
    writer.u8(header.type)
    writer.u16(header.version)
    writer.u16(header.length)
    return writer.bytes()


def _record_version(major: int, minor: int) -> bool:
    return (major == 3 and minor <= 4) or major == 0x7F


def looks_like_record(head: Buffer) -> bool:
    """Whether ``head`` starts like a TLS record; False when it has fewer than five octets."""
    return (
        len(head) >= HEADER
        and 20 <= head[0] <= 24
        and _record_version(head[1], head[2])
        and (head[3] << 8 | head[4]) <= MAX_FRAGMENT
    )


def looks_like_client_hello(head: Buffer) -> bool:
    """Whether ``head`` starts like a record with a ClientHello; six octets are enough, eleven are better.

    The message may go on in further records, so its length is only held to be sane: at least the 38 octets that
    the fixed fields need, at most 2^17 (the largest seen, with post-quantum shares, are near 2^14).
    """
    if len(head) < 6 or head[0] != HANDSHAKE or not looks_like_record(head) or head[5] != 1:
        return False
    if len(head) >= 9:
        length = head[6] << 16 | head[7] << 8 | head[8]
        if not 38 <= length <= 1 << 17:
            return False
    return len(head) < 10 or head[9] in (3, 0x7F)


def looks_like_sslv2_hello(head: Buffer) -> bool:
    """Whether ``head`` starts like an SSL 2.0 record with a CLIENT-HELLO (RFC 6101 E, RFC 5246 E.2).

    Two-octet header with the high bit set, message type 1, version 0x0002 or 0x03xx, at least one cipher spec of
    three octets, and lengths that add up.  Eleven octets are needed.
    """
    if len(head) < 11 or not head[0] & 0x80 or head[2] != 1:
        return False
    length = (head[0] & 0x7F) << 8 | head[1]
    version = head[3] << 8 | head[4]
    if version != 2 and not 0x0300 <= version <= 0x0304:
        return False
    specs = head[5] << 8 | head[6]
    session = head[7] << 8 | head[8]
    challenge = head[9] << 8 | head[10]
    if specs == 0 or specs % 3 or session not in (0, 16, 32) or not 8 <= challenge <= 32:
        return False
    return length >= 9 + specs + session + challenge


class Alert(NamedTuple):
    """An alert in clear (RFC 8446 6, RFC 5246 7.2): level 1 warning, 2 fatal; description in IANA's registry."""

    level: int
    description: int

    @classmethod
    def read(cls, reader: Reader) -> Alert:
        """Two octets; WireError when they are not there."""
        reader.ref = "RFC 8446 6"
        return cls(reader.u8("level"), reader.u8("description"))

    def write(self, writer: Writer) -> None:
        """The two octets; ValueError when a field does not fit."""
        writer.u8(self.level)
        writer.u8(self.description)
