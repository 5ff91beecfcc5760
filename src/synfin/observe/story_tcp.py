"""The story's TCP part: what each side sent, what its segments were, and what is known of both ends' states.

States and causes are RFC 9293's (3.3.2); marks are ``Mark``.  Facts that are seldom asked for are left out until
somebody does (``leave``), as making them for every connection would cost more than reading it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntFlag, StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from synfin.observe.stream import Overlap

#: Tells a fact that is made when first asked for, by its name.
Later = Callable[[str], Any]


def _made_later(self: Any, name: str) -> Any:
    """A fact that was left out until somebody asks (``leave``): ask ``later`` for it and keep it."""
    if name == "later" or self.later is None:
        raise AttributeError(name)
    value = self.later(name)
    setattr(self, name, value)
    return value


def leave(facts: object, *names: str) -> None:
    """Leave the facts ``names`` to be made when first asked for, by the ``later`` of ``facts``."""
    for name in names:
        delattr(facts, name)


class Mark(IntFlag):
    """What a segment is beside its plain meaning; names as in Wireshark's tcp.analysis.* (differences: docs)."""

    RETRANSMISSION = 1 << 0  # also set on fast and spurious ones
    FAST_RETRANSMISSION = 1 << 1
    SPURIOUS_RETRANSMISSION = 1 << 2
    OUT_OF_ORDER = 1 << 3
    REUSED_PORTS = 1 << 4
    LOST_SEGMENT = 1 << 5  # a segment before this one was not captured
    ACK_LOST_SEGMENT = 1 << 6  # acknowledges octets that were not captured
    WINDOW_UPDATE = 1 << 7
    WINDOW_FULL = 1 << 8
    KEEP_ALIVE = 1 << 9
    KEEP_ALIVE_ACK = 1 << 10
    DUPLICATE_ACK = 1 << 11
    ZERO_WINDOW_PROBE = 1 << 12
    ZERO_WINDOW = 1 << 13
    ZERO_WINDOW_PROBE_ACK = 1 << 14
    TFO_SYN = 1 << 15
    TFO_ACK = 1 << 16
    TFO_IGNORED = 1 << 17


class Knowledge(StrEnum):
    """How a fact about the far end is known."""

    SEEN = "seen"
    PROVED = "proved"
    ASSUMED = "assumed"


class EndState(NamedTuple):
    """The RFC 9293 state of one end after a packet, and how that is known."""

    state: str
    knowledge: Knowledge


class TcpOption(NamedTuple):
    """One TCP option as it stood: kind, and its octets after kind and length."""

    kind: int
    data: bytes


class SynFacts(NamedTuple):
    """What a side said of itself in its first SYN or SYN-ACK (``wscale`` is the shift count)."""

    packet: int
    time: int
    seq: int
    window: int
    mss: int | None
    wscale: int | None
    sack_permitted: bool
    timestamps: bool
    fast_open: bytes | None  # the cookie; b"" is a request for one
    options: tuple[TcpOption, ...]
    ttl: int


@dataclass(slots=True)  # not frozen, as it is made for every connection and that would take three times as long
class TcpSide:
    """What one side sent.  Counts are packets or octets; ``*_packet`` is the first such packet or None."""

    packets: int
    wire_bytes: int  # frame lengths, link header included
    payload: int  # repeats included
    unique_payload: int  # octets of sequence space covered once
    fins: int
    fin_packet: int | None
    rsts: int
    rst_packet: int | None
    syn: SynFacts | None
    syns: int  # SYN or SYN-ACK packets, repeats included
    marks: dict[str, int]  # Mark name in lower case -> how many segments
    max_segment: int  # largest payload of one packet
    over_mss: int  # packets with more payload than the other side's MSS allows (offload)
    smallest_window: int | None  # scaled, after the handshake
    first_payload_packet: int | None
    last_payload_packet: int | None
    rtt: tuple[int, int, int] | None  # running RTT min, median, max to this side's ACK of the other's data, ns
    later: Later | None = field(default=None, repr=False, compare=False)

    if not TYPE_CHECKING:
        __getattr__ = _made_later


@dataclass(frozen=True, slots=True)
class Stall:
    """A stretch in which one side could not or did not send: ``kind`` names why."""

    kind: str  # "zero_window", "retransmission_timeout", "syn_retry"
    sender: int  # the side that was held up (zero_window: the side whose peer closed the window)
    start: int
    end: int
    packets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class IcmpError:
    """An ICMP error that quotes a segment of this connection (RFC 792, RFC 4443)."""

    packet: int
    time: int
    sender_ip: str
    version: int
    type: int
    code: int
    quoted_sender: int  # A or B: whose segment it quotes
    quoted_seq: int | None
    mtu: int | None
    name: str


@dataclass(slots=True)
class TcpStory:
    """The TCP part.  ``source`` is "packets" or "pdu" (exported PDUs: no TCP facts, everything else empty)."""

    source: str
    handshake: str  # complete syn_synack syn_only refused syn_no_synack synack_only none
    close: str  # rst fin half_a half_b open
    rst_after_fin: bool
    rst_first_by: int | None
    fin_first_by: int | None
    completeness: int
    initial_rtt: int | None  # SYN to the ACK that ends the handshake, ns
    syn_to_synack: int | None  # ns
    sides: tuple[TcpSide, TcpSide]
    final: tuple[EndState, EndState]
    # words: simultaneous_open simultaneous_close three_segment_close half_close stale_syn syn_cookie_look
    # one_sided starts_late ...
    shape: tuple[str, ...]
    stalls: tuple[Stall, ...]
    icmp: tuple[IcmpError, ...]
    overlaps: tuple[Overlap, ...]
    reused_ports: bool
    marks: list[int]  # Mark bits of each packet, aligned with ``Connection.rows``
    later: Later | None = field(default=None, repr=False, compare=False)

    if not TYPE_CHECKING:
        __getattr__ = _made_later
