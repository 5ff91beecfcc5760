"""Addresses as text, from a packet table's two halves or from the octets of a header."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address


@lru_cache(maxsize=1 << 14)
def from_halves(version: int, hi: int, lo: int) -> str:
    """The text of an address held as in ``capture.table.ROW``: dotted for IPv4, RFC 5952 for IPv6."""
    if version == 6:
        return str(IPv6Address(hi << 64 | lo))
    return f"{lo >> 24 & 255}.{lo >> 16 & 255}.{lo >> 8 & 255}.{lo & 255}"


@lru_cache(maxsize=1 << 14)
def from_octets(data: bytes) -> str:
    """The text of an address of 4 or 16 octets; empty for any other number of them."""
    if len(data) == 4:
        return f"{data[0]}.{data[1]}.{data[2]}.{data[3]}"
    return str(IPv6Address(data)) if len(data) == 16 else ""
