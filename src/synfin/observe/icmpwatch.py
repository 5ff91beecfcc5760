"""ICMP and ICMPv6 errors that quote a TCP segment: who said what of which connection (RFC 792, 1191, 4443, 4884).

An error quotes the IP header and at least eight octets of the segment that caused it: ports and sequence number.
Matched by those, so an error counts for a connection whoever sent it, a router or a forger; that is for rules to
weigh.  Echo, redirects and everything else that is no error are left out.
"""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np

from synfin.capture.table import Batch, Kind
from synfin.observe.addresses import from_halves, from_octets
from synfin.observe.story import Endpoint
from synfin.observe.story_tcp import IcmpError

#: How long after a connection's last packet an error may still belong to it, ns.
_LATE = 30_000_000_000
_MOST = 100_000  # errors kept

_UNREACHABLE_4 = (
    "net unreachable", "host unreachable", "protocol unreachable", "port unreachable", "fragmentation needed",
    "source route failed", "destination net unknown", "destination host unknown", "source host isolated",
    "net administratively prohibited", "host administratively prohibited", "net unreachable for TOS",
    "host unreachable for TOS", "communication administratively prohibited", "host precedence violation",
    "precedence cutoff in effect",
)  # fmt: skip
_UNREACHABLE_6 = (
    "no route to destination", "communication administratively prohibited", "beyond scope of source address",
    "address unreachable", "port unreachable", "source address failed ingress policy", "reject route to destination",
    "error in source routing header",
)  # fmt: skip
_EXCEEDED = ("time exceeded in transit", "fragment reassembly time exceeded")
_PARAMETER_4 = ("parameter problem", "required option missing", "bad length")
_PARAMETER_6 = ("erroneous header field", "unrecognized next header", "unrecognized IPv6 option")
_NAMES: dict[tuple[int, int], tuple[str, ...]] = {
    (4, 3): _UNREACHABLE_4,
    (4, 4): ("source quench",),
    (4, 11): _EXCEEDED,
    (4, 12): _PARAMETER_4,
    (6, 1): _UNREACHABLE_6,
    (6, 2): ("packet too big",),
    (6, 3): _EXCEEDED,
    (6, 4): _PARAMETER_6,
}

#: IPv6 extension headers that may stand before TCP in a quoted packet (RFC 8200 4).
_EXTENSIONS = (0, 43, 60)


class IcmpLog:
    """Collects ICMP errors: ``add`` every batch, then ask ``for_connection``."""

    def __init__(self) -> None:
        self._errors: dict[tuple[Endpoint, Endpoint], list[IcmpError]] = {}
        self._kept = 0

    def add(self, batch: Batch) -> None:
        """Take the ICMP errors of ``batch``; costs next to nothing where there are none."""
        rows = batch.rows
        for at in np.flatnonzero(rows["kind"] == Kind.ICMP).tolist():
            row = rows[at]
            data = batch.payload(at)
            version = int(row["version"])
            if len(data) < 8 + 20 + 4 or (version, data[0]) not in _NAMES or self._kept >= _MOST:
                continue
            quoted = _quoted(data[8:])
            if quoted is None:
                continue
            src, dst, seq = quoted
            sender = from_halves(version, int(row["src_hi"]), int(row["src_lo"]))
            error = _error(data, version, int(row["number"]), int(row["time"]), sender, seq)
            self._errors.setdefault((src, dst), []).append(error)
            self._kept += 1

    def for_connection(self, a: Endpoint, b: Endpoint, start_ns: int, end_ns: int) -> tuple[IcmpError, ...]:
        """The errors that quote a segment between ``a`` and ``b`` and came in the time of this connection."""
        if not self._errors:
            return ()
        found = list(self._errors.get((a, b), ()))
        found += [replace(error, quoted_sender=1) for error in self._errors.get((b, a), ())]
        return tuple(
            sorted(
                (error for error in found if start_ns <= error.time <= end_ns + _LATE), key=lambda error: error.packet
            )
        )


def _error(data: bytes, version: int, number: int, time: int, sender: str, seq: int | None) -> IcmpError:
    kind, code = data[0], data[1]
    names = _NAMES[version, kind]
    name = names[code] if code < len(names) else f"{names[0]}, code {code}"
    mtu: int | None = None
    if (version, kind, code) == (4, 3, 4):
        mtu = int.from_bytes(data[6:8], "big")  # 0 from routers that do not know RFC 1191
    elif (version, kind) == (6, 2):
        mtu = int.from_bytes(data[4:8], "big")
    return IcmpError(
        packet=number,
        time=time,
        sender_ip=sender,
        version=version,
        type=kind,
        code=code,
        quoted_sender=0,
        quoted_seq=seq,
        mtu=mtu,
        name=name,
    )


def _quoted(data: bytes) -> tuple[Endpoint, Endpoint, int | None] | None:
    """Source, destination and sequence number of a quoted TCP segment; None where it is none or cut too short."""
    version = data[0] >> 4
    if version == 4:
        at = (data[0] & 15) * 4
        if at < 20 or data[9] != 6 or int.from_bytes(data[6:8], "big") & 0x1FFF:
            return None
        src, dst = data[12:16], data[16:20]
    elif version == 6 and len(data) >= 40:
        at, following = 40, data[6]
        while following in _EXTENSIONS and at + 2 <= len(data):
            following, at = data[at], at + 8 + data[at + 1] * 8
        if following != 6:
            return None
        src, dst = data[8:24], data[24:40]
    else:
        return None
    if len(data) < at + 4:
        return None
    sport, dport = struct.unpack_from(">HH", data, at)
    seq = int.from_bytes(data[at + 4 : at + 8], "big") if len(data) >= at + 8 else None
    return Endpoint(from_octets(src), sport), Endpoint(from_octets(dst), dport), seq
