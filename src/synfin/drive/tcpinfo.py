"""What the kernel knows of a TCP connection: Linux' ``struct tcp_info``, as a dataclass.

The struct has grown at its end over the years; what a kernel does not give is None.  Other systems have other structs
and are not read here.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

_HEAD = struct.Struct("=8B24I")
_BYTES = struct.Struct("=4Q")
_SEGMENTS = struct.Struct("=6I")
_STATES = {
    1: "ESTABLISHED",
    2: "SYN_SENT",
    3: "SYN_RECEIVED",
    4: "FIN_WAIT_1",
    5: "FIN_WAIT_2",
    6: "TIME_WAIT",
    7: "CLOSED",
    8: "CLOSE_WAIT",
    9: "LAST_ACK",
    10: "LISTEN",
    11: "CLOSING",
    12: "SYN_RECEIVED",
}


@dataclass(frozen=True, slots=True)
class TcpInfo:
    """One look at a connection.  Times in seconds, sizes in octets, ``cwnd`` in segments of ``mss`` octets.

    ``mss`` is what we send at most in a segment, ``peer_mss`` what comes, ``advertised_mss`` what our SYN said;
    ``retransmits`` counts segments sent again since the start.
    """

    state: str
    rtt: float
    rttvar: float
    rto: float
    mss: int
    peer_mss: int
    advertised_mss: int
    path_mtu: int
    cwnd: int
    retransmits: int
    unacknowledged: int
    timestamps: bool
    sack: bool
    window_scales: tuple[int, int] | None  # theirs, ours
    ecn: bool
    min_rtt: float | None = None
    bytes_acknowledged: int | None = None
    bytes_received: int | None = None
    segments_out: int | None = None
    segments_in: int | None = None


def read_tcp_info(data: bytes) -> TcpInfo | None:
    """The octets of ``getsockopt(TCP_INFO)``; None where they are too few."""
    if len(data) < _HEAD.size:
        return None
    head = _HEAD.unpack_from(data)
    state, options, scales = head[0], head[5], head[6]
    numbers = head[8:]
    rto, _, mss, peer_mss, unacknowledged = numbers[:5]
    path_mtu, _, rtt, rttvar, _, cwnd, advertised = numbers[13:20]
    retransmits = numbers[23]
    more: dict[str, int | float | None] = {}
    at = _HEAD.size
    if len(data) >= at + _BYTES.size + _SEGMENTS.size:
        _, _, acknowledged, received = _BYTES.unpack_from(data, at)
        out, into, _, least, _, _ = _SEGMENTS.unpack_from(data, at + _BYTES.size)
        more = {
            "bytes_acknowledged": acknowledged,
            "bytes_received": received,
            "segments_out": out,
            "segments_in": into,
            "min_rtt": least / 1e6 if least != 0xFFFFFFFF else None,
        }
    return TcpInfo(
        state=_STATES.get(state, str(state)),
        rtt=rtt / 1e6,
        rttvar=rttvar / 1e6,
        rto=rto / 1e6,
        mss=mss,
        peer_mss=peer_mss,
        advertised_mss=advertised,
        path_mtu=path_mtu,
        cwnd=cwnd,
        retransmits=retransmits,
        unacknowledged=unacknowledged,
        timestamps=bool(options & 1),
        sack=bool(options & 2),
        window_scales=(scales & 15, scales >> 4) if options & 4 else None,
        ecn=bool(options & 8),
        **more,  # type: ignore[arg-type]
    )


def tcp_info(sock: socket.socket) -> TcpInfo | None:
    """What the kernel says of ``sock`` now; None where it does not."""
    option = getattr(socket, "TCP_INFO", None)
    if option is None:
        return None
    try:
        return read_tcp_info(sock.getsockopt(socket.IPPROTO_TCP, option, 256))
    except OSError:
        return None
