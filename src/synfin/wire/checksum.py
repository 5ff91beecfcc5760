"""The Internet checksum (RFC 1071) and the pseudo-headers it covers (RFC 9293 3.1, RFC 8200 8.1)."""

from __future__ import annotations


def ones_sum(data: bytes) -> int:
    """The ones' complement sum of ``data`` in 16-bit words, padded with a zero octet where it is odd.

    Adding words with end-around carry is counting modulo 65535, in which zero is written as 65535 unless all
    words are zero.
    """
    number = int.from_bytes(data + b"\0" if len(data) & 1 else data, "big")
    return (number % 0xFFFF or 0xFFFF) if number else 0


def checksum(data: bytes) -> int:
    """The Internet checksum of ``data``; 0 when ``data`` holds a right checksum already."""
    return ~ones_sum(data) & 0xFFFF


def pseudo_header(src: bytes, dst: bytes, proto: int, length: int) -> bytes:
    """The pseudo-header for a segment of ``length`` octets between two IPv4 or two IPv6 addresses."""
    if len(src) == 4:
        return src + dst + bytes((0, proto)) + (length & 0xFFFF).to_bytes(2, "big")
    return src + dst + length.to_bytes(4, "big") + bytes((0, 0, 0, proto))


def transport_checksum(pseudo: bytes, data: bytes) -> int:
    """The checksum of a segment or datagram whose checksum field is zero."""
    return checksum(pseudo + data)
