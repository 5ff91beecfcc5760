"""The path's MTU: smaller when ICMP or silence says so, larger when a probe comes through.

With ICMP: RFC 1191 for IPv4, RFC 8201 for IPv6.  Without: RFC 4821; after repeated timeouts of a long segment packets
fall to a size that fits almost everywhere, and then one ordinary segment at a time is made longer to find what fits
(its loss alone is no sign of congestion, 7.6).  What ICMP took is asked for again after ten minutes (RFC 1191 6.3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from synfin.spec.tcp_states import State
from synfin.tcp.config import MINUTE
from synfin.tcp.names import headers
from synfin.tcp.options import TS_SIZE

if TYPE_CHECKING:
    from synfin.tcp.connection import Connection

#: RFC 4821 7.2 asks for a first guess of 1024 octets when a path eats everything larger.
_BASE_MTU4, _BASE_MTU6 = 1024, 1280
#: No ICMP message makes packets smaller than this (an attacker would like 68).
_LEAST_MTU4, _LEAST_MTU6 = 552, 1280
#: RFC 1191 7.1: sizes that links of its time had, for routers that do not say theirs.
_PLATEAUS = (32000, 17914, 8166, 4352, 2002, 1492, 1006)
#: A search ends when less than this is to be won.
_CLOSE_ENOUGH = 16
_RAISE_AFTER = 10 * MINUTE


class Search(NamedTuple):
    """What is known: ``low`` fits, nothing above ``high`` does; when to ask again, and whether to halve."""

    low: int
    high: int
    after: int = 0
    halve: bool = False


def too_big(c: Connection, mtu: int, now: int) -> None:
    """RFC 1191 6.4, RFC 8201 5.2: segments become shorter; what was too long goes out again, without blame."""
    if not c.config.discover_mtu:
        return
    four = len(c.local.address) == 4
    if four and mtu < 68:
        # A router from before RFC 1191: the next plateau below (its section 7).
        mtu = next((p for p in _PLATEAUS if p < c.mtu), _LEAST_MTU4)
    mtu = max(mtu, _LEAST_MTU4 if four else _LEAST_MTU6)
    if c.mtu_probe is not None and c.mtu <= mtu < c.mtu_probe[1]:
        # The answer to a probe: now the search has nothing more to ask.
        c.mtu, c.mtu_range, c.mtu_probe = mtu, None, None
    elif mtu >= c.mtu:
        return
    else:
        c.mtu, c.mtu_range = mtu, Search(mtu, c.config.mtu, now + _RAISE_AFTER)
    if c.state in (State.SYN_SENT, State.SYN_RECEIVED):
        return
    c.size_segments()
    c.board.mark_all_lost(larger=c.mss)
    c.must_resend = True
    c.congestion.cwnd = max(c.congestion.cwnd, c.mss)


def black_hole(c: Connection) -> None:
    """Packets may be too long for a path that does not say so (RFC 2923, RFC 4821 7.7): make them short."""
    base = _BASE_MTU4 if len(c.local.address) == 4 else _BASE_MTU6
    first = c.board.first
    if c.mtu > base and first.end - first.start > base // 2:
        c.mtu, c.mtu_range = base, Search(base, c.mtu)
        c.size_segments()


def probe(c: Connection, now: int) -> int:
    """Octets of payload that the next segment is to have for a probe; 0: no probe now.

    The first asks for all that may be possible, the later ones halve what is left.
    """
    if c.mtu_range is None or c.mtu_probe is not None or c.recovering or len(c.board) == 0:
        return 0
    low, high, after, halve = c.mtu_range
    if now < after:
        return 0
    size = (low + high + 1) // 2 if halve else high
    payload = min(c.peer_mss - (TS_SIZE if c.ts_on else 0), size - _overhead(c))
    if payload <= c.mss or high - low < _CLOSE_ENOUGH:
        c.mtu_range = None
        return 0
    return payload


def sent(c: Connection, end: int, payload: int) -> None:
    """A probe went out."""
    c.mtu_probe = (end, payload + _overhead(c))


def _overhead(c: Connection) -> int:
    """Octets of a full segment that are no payload."""
    return headers(c.local.address) + (TS_SIZE if c.ts_on else 0)


def succeeded(c: Connection) -> None:
    """The probe was acknowledged: segments may have its size."""
    if c.mtu_probe is not None and c.mtu_range is not None:
        size = c.mtu_probe[1]
        c.mtu = max(c.mtu, size)
        high = c.mtu_range.high
        c.mtu_range = Search(size, high, halve=True) if size < high else None
        c.size_segments()
    c.mtu_probe = None


def failed(c: Connection) -> None:
    """The probe was lost: what fits is less."""
    if c.mtu_probe is not None and c.mtu_range is not None:
        c.mtu_range = Search(c.mtu_range.low, c.mtu_probe[1] - 1, halve=True)
    c.mtu_probe = None


def was_all(c: Connection, lost: int) -> bool:
    """Whether the octets just found lost were those of the probe and no others."""
    flight = c.board.next_lost()
    return (
        flight is not None
        and c.mtu_probe is not None
        and flight.end == c.mtu_probe[0]
        and flight.end - flight.start == lost
    )
