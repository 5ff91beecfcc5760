"""What a user may choose about a connection, and the profile where the RFCs leave a choice.

Times are integer nanoseconds, sizes octets.  The defaults follow the RFCs named beside them; where a widespread
implementation differs (a shorter RTO, a shorter TIME_WAIT) the number can be set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from synfin.errors import UsageError
from synfin.tcp.names import headers

MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
#: The idle time that RFC 9293 3.8.4 asks for where keep-alives are wanted and no other is chosen (MUST-28).
KEEPALIVE = 120 * MINUTE


@dataclass(frozen=True, slots=True)
class Config:
    """Choices for one connection, or for all of a host.

    ``mss`` None announces what the MTU allows; ``window_scale`` None offers no scaling, otherwise the shift offered.
    ``ecn``: "ask" requests it, "accept" grants it when asked, "off" refuses.  ``keepalive`` None sends no probes,
    otherwise the idle time before the first.  ``super_segment``: at most so many octets of payload go out as one
    packet that the device is to cut (``Packet.gso`` says into which size); 0 leaves every packet within the MTU.
    """

    mtu: int = 1500
    mss: int | None = None
    receive_buffer: int = 1 << 18
    send_buffer: int = 1 << 18
    window_scale: int | None = 7  # RFC 7323 2
    timestamps: bool = True  # RFC 7323 3
    sack: bool = True  # RFC 2018
    ecn: Literal["off", "accept", "ask"] = "accept"  # RFC 3168
    congestion: Literal["cubic", "newreno"] = "cubic"  # RFC 9438, RFC 5681
    rack: bool = True  # RFC 8985; without it lost is what RFC 6675 calls lost
    frto: bool = True  # RFC 5682
    initial_window: int = 10  # segments, RFC 6928
    nodelay: bool = False  # True: no Nagle algorithm (RFC 9293 3.7.4)
    delayed_ack: int = 40 * MILLISECOND  # 0: acknowledge everything at once (RFC 9293 3.8.6.3: below 500 ms)
    initial_rto: int = SECOND  # RFC 6298 2.1
    min_rto: int = SECOND  # RFC 6298 2.4
    max_rto: int = MINUTE  # RFC 6298 2.5
    msl: int = 2 * MINUTE  # RFC 9293 3.4.2
    user_timeout: int = 5 * MINUTE  # RFC 9293 3.9.1, RFC 5482
    timeout_option: bool = False  # RFC 5482: tell the user timeout, and adopt the peer's within
    timeout_limits: tuple[int, int] = (100 * SECOND, 60 * MINUTE)
    syn_timeout: int = 3 * MINUTE  # RFC 9293 3.8.3: R2 of a SYN
    orphan_timeout: int = MINUTE  # FIN_WAIT_2 after close(): nobody is left to read what may come
    keepalive: int | None = None  # RFC 9293 3.8.4: off unless asked, two hours or more in earnest
    keepalive_interval: int = 75 * SECOND
    keepalive_probes: int = 9
    challenge_limit: int = 10  # RFC 5961 7, of each connection, in
    challenge_window: int = 5 * SECOND
    invalid_limit: int = 100  # answers to empty segments outside the window, in ``challenge_window``
    discover_mtu: bool = True  # RFC 1191, 8201: set DF and listen to ICMP
    black_hole: int | None = 3  # retransmissions in vain, after which segments become short (RFC 4821 7.7); None: never
    super_segment: int = 0  # 65160 is 45 segments of 1448; what an IP packet can hold is never exceeded
    ttl: int = 64  # RFC 9293 3.9.1.1: MUST-49
    dscp: int = 0  # Differentiated Services field of what is sent, MUST-48
    r1: int = 3  # retransmissions of one segment after which the user is told (RFC 9293 3.8.3, SHLD-10)

    def __post_init__(self) -> None:
        if not 0 <= self.delayed_ack < SECOND // 2:
            raise UsageError("delayed_ack must be below half a second (RFC 9293 3.8.6.3)")
        if not 68 <= self.mtu <= 65535 or self.super_segment < 0:
            raise UsageError("mtu is between 68 and 65535, super_segment is not negative")

    @property
    def scale(self) -> int | None:
        """The window scale to offer: at most 14, and never so large that one unit is a good part of the buffer."""
        if self.window_scale is None:
            return None
        return max(min(self.window_scale, 14, (self.receive_buffer // 64).bit_length() - 1), 0)

    def announced_mss(self, address: bytes) -> int:
        """The MSS to announce from ``address`` (RFC 9293 3.7.1, RFC 6691): of the interface, whatever the path."""
        return self.mss or self.mtu - headers(address)
