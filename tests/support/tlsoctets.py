"""TLS in octets, written out for tests, which thereby take nothing from the code they judge.

Alerts by their numbers (RFC 8446 6 and B.2; RFC 5246 7.2, 7301 3.2, 7507 4), and the frames of messages and records.
"""

from __future__ import annotations

OLD, NEW = 0x0303, 0x0304

CLOSE, UNEXPECTED, BAD_MAC, OVERFLOW, FAILURE, BAD_CERT, UNSUPPORTED_CERT, ILLEGAL = 0, 10, 20, 22, 40, 42, 43, 47
DECODE, DECRYPT, VERSION, INSUFFICIENT, FALLBACK, MISSING, UNSUPPORTED = 50, 51, 70, 71, 86, 109, 110
UNRECOGNIZED, BAD_STATUS, REQUIRED, NO_PROTOCOL = 112, 113, 116, 120


def vector(data: bytes, size: int = 2) -> bytes:
    """``data`` behind its length in ``size`` octets."""
    return len(data).to_bytes(size, "big") + data


def message(kind: int, body: bytes) -> bytes:
    """A handshake message (RFC 8446 4)."""
    return bytes([kind]) + vector(body, 3)


def record(content: bytes, kind: int = 22, version: int = OLD) -> bytes:
    """A record in clear (RFC 8446 5.1)."""
    return bytes([kind]) + version.to_bytes(2, "big") + vector(content)


def flip(data: bytes, at: int = -1) -> bytes:
    """The last bit of octet ``at`` turned."""
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def certificates(*ders: bytes) -> bytes:
    """A Certificate message of TLS 1.2 (RFC 5246 7.4.2)."""
    return message(11, vector(b"".join([vector(der, 3) for der in ders]), 3))


def block(*extensions: tuple[int, bytes]) -> bytes:
    """Extensions behind the length of all of them (RFC 8446 4.2)."""
    return vector(b"".join([number.to_bytes(2, "big") + vector(body) for number, body in extensions]))
