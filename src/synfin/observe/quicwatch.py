"""QUIC is recognised and counted, not judged yet (RFC 8999, RFC 9000 17, RFC 9369).

A UDP datagram is QUIC when it begins with a long header of a version we know: QUIC 1 and 2, the IETF drafts, and
Google's versions with the same form.  After that, everything between the same two addresses and ports is QUIC too:
version negotiation and short headers say nothing by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synfin.capture.table import Batch, Kind
from synfin.observe.addresses import from_halves
from synfin.observe.story import Endpoint

_V1, _V2 = 0x00000001, 0x6B3343CF
_MOST_FLOWS = 100_000

#: Odd multipliers that spread address and port over 64 bits.
_SPREAD = tuple(np.uint64(number) for number in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9))


@dataclass(slots=True)
class QuicFlow:
    """Datagrams between two endpoints; ``a`` sent the first that was recognised."""

    a: Endpoint
    b: Endpoint
    version: int
    first_packet: int
    start: int
    end: int
    packets: int = 0


class QuicLog:
    """Counts QUIC: ``add`` every batch; ``packets`` and ``flows`` tell what was found."""

    def __init__(self) -> None:
        self.packets = 0
        self._flows: dict[int, QuicFlow] = {}

    @property
    def flows(self) -> tuple[QuicFlow, ...]:
        """What was recognised, in order of first packets."""
        return tuple(self._flows.values())

    def add(self, batch: Batch) -> None:
        """Take the QUIC packets of ``batch``; costs next to nothing where there is no UDP."""
        every = batch.rows
        rows = every[(every["kind"] == Kind.UDP) & (every["load_cap"] > 0)]
        if not len(rows):
            return
        keys = _keys(rows)
        for at in np.flatnonzero(_long_headers(batch, rows)).tolist():
            key = int(keys[at])
            if key not in self._flows and len(self._flows) < _MOST_FLOWS:
                self._begin(key, rows[at], _version(batch, rows[at]))
        if not self._flows:
            return
        known = np.fromiter(self._flows, np.uint64, len(self._flows))
        mine = np.flatnonzero(np.isin(keys, known))
        self.packets += len(mine)
        if not len(mine):
            return
        found, back, counts = np.unique(keys[mine], return_inverse=True, return_counts=True)
        last = np.zeros(len(found), np.int64)
        np.maximum.at(last, back, rows["time"][mine])
        for key, count, end in zip(found.tolist(), counts.tolist(), last.tolist(), strict=True):
            flow = self._flows[key]
            flow.packets += count
            flow.end = max(flow.end, end)

    def _begin(self, key: int, row: np.void, version: int) -> None:
        ip = int(row["version"])
        self._flows[key] = QuicFlow(
            Endpoint(from_halves(ip, int(row["src_hi"]), int(row["src_lo"])), int(row["sport"])),
            Endpoint(from_halves(ip, int(row["dst_hi"]), int(row["dst_lo"])), int(row["dport"])),
            version,
            int(row["number"]),
            int(row["time"]),
            int(row["time"]),
        )


def _keys(rows: NDArray[np.void]) -> NDArray[np.uint64]:
    """One number per row, the same for both directions of a flow."""
    one = _mix(rows["src_hi"], rows["src_lo"], rows["sport"])
    other = _mix(rows["dst_hi"], rows["dst_lo"], rows["dport"])
    return one + other


def _mix(hi: NDArray[np.uint64], lo: NDArray[np.uint64], port: NDArray[np.uint16]) -> NDArray[np.uint64]:
    mixed: NDArray[np.uint64] = hi * _SPREAD[0] + lo * _SPREAD[1] + (port.astype(np.uint64) + np.uint64(1)) * _SPREAD[2]
    mixed ^= mixed >> np.uint64(29)
    mixed *= _SPREAD[1]
    mixed ^= mixed >> np.uint64(32)
    return mixed


def _long_headers(batch: Batch, rows: NDArray[np.void]) -> NDArray[np.bool_]:
    """Which rows begin with a long header of a known version (RFC 8999 5.1), by whole-array reads of the file."""
    found = np.zeros(len(rows), np.bool_)
    at = rows["load_at"]
    inside = np.flatnonzero((at >= 0) & (rows["load_cap"] >= 7))
    if len(inside):
        octets = np.frombuffer(batch.data, np.uint8)
        places = at[inside]
        inside = inside[(octets[places] & 0xC0) == 0xC0]
        places = at[inside]
        version = np.zeros(len(inside), np.uint32)
        for step in range(1, 5):
            version = version << np.uint32(8) | octets[places + step]
        draft = (version >> np.uint32(8) == 0xFF0000) & (version & np.uint32(0xFF) <= 34)
        google = (version >= 0x51303436) & (version <= 0x51303530)  # Q046 to Q050
        known = (version == _V1) | (version == _V2) | draft | google
        found[inside] = known & (octets[places + 5] <= 20)
    for k in np.flatnonzero((at < 0) & (rows["load_cap"] >= 7)).tolist():
        head = bytes(batch.extra[~int(at[k]) : ~int(at[k]) + 6])
        version_here = int.from_bytes(head[1:5], "big")
        found[k] = head[0] & 0xC0 == 0xC0 and version_here in (_V1, _V2) and head[5] <= 20
    return found


def _version(batch: Batch, row: np.void) -> int:
    at = int(row["load_at"])
    octets = bytes(batch.data[at + 1 : at + 5]) if at >= 0 else bytes(batch.extra[~at + 1 : ~at + 5])
    return int.from_bytes(octets, "big")
