"""The vocabulary a connection shares with its parts and its user: timers, events, places, steps."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import ip_address
from typing import Final, NamedTuple

from synfin.errors import UsageError
from synfin.spec.tcp_states import Cause, State

#: A timer that is not running.
NEVER = 1 << 62


class Timer:
    """The timers of a connection, by their places in its list: plain numbers, asked for many times a segment."""

    RETRANSMIT: Final = 0
    PROBE: Final = 1  # tail loss probe, RFC 8985 7
    REORDER: Final = 2  # RFC 8985 6.2
    PERSIST: Final = 3
    DELAYED_ACK: Final = 4
    KEEPALIVE: Final = 5
    TIME_WAIT: Final = 6
    USER: Final = 7
    ORPHAN: Final = 8


class Kind(StrEnum):
    """What a connection tells its user."""

    CONNECTED = "connected"
    READABLE = "readable"
    WRITABLE = "writable"  # room in a send buffer that was full
    URGENT = "urgent"
    PEER_CLOSED = "peer closed"  # its FIN: nothing more will come
    SOFT_ERROR = "soft error"  # ICMP says there may be trouble (RFC 5461)
    REFUSED = "refused"
    RESET = "reset"
    TIMED_OUT = "timed out"
    UNREACHABLE = "unreachable"  # a hard ICMP error while connecting
    CLOSED = "closed"  # both directions were closed in order


#: Told once until they are read, however often a peer makes them happen.
ONCE = frozenset((Kind.READABLE, Kind.WRITABLE, Kind.URGENT, Kind.SOFT_ERROR))


class Step(NamedTuple):
    """One transition: when, from where, why, where to."""

    time: int
    state: State
    cause: Cause
    next: State


class Place(NamedTuple):
    """An address (4 or 16 octets) and a port."""

    address: bytes
    port: int


def address(text: str | bytes) -> bytes:
    """An address as octets, from octets or from text; UsageError when it is none."""
    try:
        return ip_address(text).packed
    except ValueError as error:
        raise UsageError(f"{text!r} is not an IP address") from error


def headers(where: bytes) -> int:
    """Octets of the IP and TCP headers, without options, in the version of IP this address is of."""
    return 40 if len(where) == 4 else 60


def default_mss(where: bytes) -> int:
    """The MSS of a peer that names none (RFC 9293 3.7.1)."""
    return 536 if len(where) == 4 else 1220


def nobody(where: bytes) -> bool:
    """Whether this is no address of one host: unspecified, multicast or broadcast (RFC 9293 MUST-46, MUST-63)."""
    if len(where) == 4:
        return 224 <= where[0] < 240 or where in (bytes(4), b"\xff" * 4)
    return where[0] == 255 or where == bytes(16)
