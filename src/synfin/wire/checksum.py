"""The Internet checksum (RFC 1071) and the pseudo-headers it covers (RFC 9293 3.1, RFC 8200 8.1)."""

from __future__ import annotations

import sys
from array import array


def ones_sum(data: bytes) -> int:
    """The ones' complement sum of ``data`` in 16-bit words, padded with a zero octet where it is odd."""
    words = array("H", data + b"\0" if len(data) & 1 else data)
    if sys.byteorder == "little":
        words.byteswap()
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


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
