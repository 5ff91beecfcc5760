"""A batch of packets as numpy columns: the first stage of everything synfin reads.

Objects are made only for what someone looks at, so a packet is first a row.  ``decode`` modules fill the columns
by whole-array operations; packets with unusual wrappings (tunnels, fragments, extension headers) are taken one by
one through ``wire`` and join the same table.  Payload is never copied here: a row holds where it lies in ``data``
(the mapped file) or, for reassembled fragments, in ``extra``.

Row kinds say what the innermost thing understood is.  What was not understood keeps its row with kind OTHER and is
counted by name in the reader's notes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from synfin.wire.codec import Buffer


class Kind(IntEnum):
    """What a row holds."""

    OTHER = 0
    TCP = 1  # a TCP segment
    UDP = 2  # a UDP datagram (ports set, payload set)
    ICMP = 3  # an ICMP or ICMPv6 message (payload = the whole message from its type octet)
    PDU = 4  # a piece of a TCP byte stream without its packet (exported PDU, link type 252)
    CUT = 5  # a TCP segment whose header is cut or malformed: all but urgent and options is set, no payload captured


#: One row of a packet table.  Times are nanoseconds since 1970; offsets are octets.
ROW = np.dtype(
    [
        ("number", np.int64),  # 1-based packet number in the file
        ("time", np.int64),
        ("frame_at", np.int64),  # where the captured frame starts in ``data``
        ("caplen", np.int32),  # octets captured of the frame
        ("wirelen", np.int32),  # octets the frame had on the wire
        ("link", np.uint16),  # index into ``Batch.links`` (link type and interface of the frame)
        ("kind", np.uint8),  # Kind
        ("version", np.uint8),  # 4, 6, or 0 where there is no IP
        ("proto", np.uint8),  # IP protocol of the innermost header
        ("ttl", np.uint8),  # TTL or hop limit
        ("ip_id", np.uint16),  # IPv4 identification, else 0
        ("ecn", np.uint8),  # the two ECN bits
        ("wrap", np.int32),  # index into ``Batch.wraps`` (VLANs and tunnels around the packet), 0 = none
        ("src_hi", np.uint64),  # address: IPv6 as two halves; IPv4 has hi = 0
        ("src_lo", np.uint64),
        ("dst_hi", np.uint64),
        ("dst_lo", np.uint64),
        ("sport", np.uint16),
        ("dport", np.uint16),
        ("seq", np.uint32),
        ("ack", np.uint32),
        ("flags", np.uint16),  # the 12 flag bits: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128, AE 256
        ("window", np.uint16),  # as sent, not scaled
        ("urgent", np.uint16),
        ("opt_at", np.int64),  # TCP options, same address rule as ``load_at``
        ("opt_len", np.uint8),  # octets of options captured
        ("load_at", np.int64),  # payload: offset in ``data``; ~offset (negative) in ``extra``
        ("load_len", np.int32),  # octets of payload on the wire, by the IP length
        ("load_cap", np.int32),  # octets of payload captured
        ("problem", np.uint8),  # index into ``Batch.problems`` names, 0 = none
    ]
)


@dataclass(frozen=True, slots=True)
class Link:
    """Where frames came from: link type (the pcap format's registry), interface name, its snap length."""

    link_type: int
    interface: str = ""
    snaplen: int = 0


@dataclass(frozen=True, slots=True)
class Wrap:
    """What was around the innermost IP packet: VLAN ids outermost first, tunnel names outermost first."""

    vlans: tuple[int, ...] = ()
    tunnels: tuple[str, ...] = ()


@dataclass(slots=True)
class Batch:
    """Consecutive packets of one capture: rows of dtype ROW over the shared bytes of the file."""

    rows: NDArray[np.void]
    data: Buffer
    extra: bytearray
    links: list[Link]
    wraps: list[Wrap]
    problems: list[str]

    def payload(self, row: int) -> bytes:
        """The captured payload of row ``row`` (a copy)."""
        at = int(self.rows["load_at"][row])
        size = int(self.rows["load_cap"][row])
        return load(self.data, self.extra, at, size)


def load(data: Buffer, extra: bytearray, at: int, size: int) -> bytes:
    """``size`` octets at ``at`` by the address rule of ROW: negative addresses are in ``extra``."""
    if at >= 0:
        return bytes(data[at : at + size])
    return bytes(extra[~at : ~at + size])
