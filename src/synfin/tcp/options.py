"""The options an endpoint understands (RFC 9293 3.2, 7323, 2018, 2883, 5482), out of octets and into them.

Unknown options and whatever follows a broken one are passed over (RFC 9293 3.1: an endpoint must be prepared for an
illegal length); an option of the wrong length counts as absent; of two of a kind the first counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import NamedTuple

from synfin.tcp.config import SECOND
from synfin.wire.tcp import MSS, NOP, SACK, SACK_PERMITTED, TIMESTAMPS, WINDOW_SCALE, options

_TS = Struct("!4sII")
#: How timestamps begin where they are the only option (RFC 7323 appendix A).
TS_HEAD = b"\x01\x01\x08\x0a"
#: RFC 7323 2.3: a larger shift counts as this one.
MAX_SHIFT = 14
#: RFC 5482 3.3.
USER_TIMEOUT = 28
#: Octets that timestamps take in every segment.
TS_SIZE = 12


class Options(NamedTuple):
    """What a header's options say; ``ts`` is (TSval, TSecr), ``sack`` the blocks (left, right) as 32-bit numbers."""

    mss: int | None = None
    wscale: int | None = None
    sack_permitted: bool = False
    ts: tuple[int, int] | None = None
    sack: tuple[tuple[int, int], ...] = ()
    user_timeout: int | None = None  # seconds, RFC 5482


NONE = Options()


def read(raw: bytes) -> Options:
    """Take the octets of a header's options apart; never fails."""
    if not raw:
        return NONE
    if len(raw) == TS_SIZE and raw[:4] == TS_HEAD:
        _, value, echo = _TS.unpack(raw)
        return Options(ts=(value, echo))
    mss = wscale = ts = patience = None
    permitted = False
    sack: tuple[tuple[int, int], ...] = ()
    for kind, data in options(raw):
        size = len(data)
        if kind == TIMESTAMPS and size == 8 and ts is None:
            ts = (int.from_bytes(data[:4], "big"), int.from_bytes(data[4:], "big"))
        elif kind == SACK and size and size % 8 == 0 and not sack:
            edges = [int.from_bytes(data[at : at + 4], "big") for at in range(0, size, 4)]
            sack = tuple(zip(edges[::2], edges[1::2], strict=True))
        elif kind == MSS and size == 2 and mss is None:
            mss = int.from_bytes(data, "big")
        elif kind == WINDOW_SCALE and size == 1 and wscale is None:
            wscale = min(data[0], MAX_SHIFT)
        elif kind == SACK_PERMITTED and size == 0:
            permitted = True
        elif kind == USER_TIMEOUT and size == 2 and patience is None:
            value = int.from_bytes(data, "big")
            patience = (value & 0x7FFF) * (60 if value >> 15 else 1) or None  # zero is reserved
    return Options(mss, wscale, permitted, ts, sack, patience)


def user_timeout(value: int) -> bytes:
    """The user timeout option for ``value`` nanoseconds, in seconds where they fit, else in minutes (RFC 5482 3.3)."""
    seconds = max(-(-value // SECOND), 1)
    word = seconds if seconds < 0x8000 else 0x8000 | min(-(-seconds // 60), 0x7FFF)
    return bytes((USER_TIMEOUT, 4)) + word.to_bytes(2, "big")


def timestamps(value: int, echo: int) -> bytes:
    """The timestamps option in its usual frame of two NOPs (RFC 7323 appendix A)."""
    return _TS.pack(TS_HEAD, value & 0xFFFFFFFF, echo & 0xFFFFFFFF)


def opening(mss: int, wscale: int | None, sack: bool, ts: tuple[int, int] | None) -> bytes:
    """The options of a SYN or SYN-ACK; what is None or False is not offered."""
    out = bytes((MSS, 4)) + mss.to_bytes(2, "big")
    if sack:
        out += bytes((SACK_PERMITTED, 2)) if ts else bytes((NOP, NOP, SACK_PERMITTED, 2))
    if ts:
        out += _TS.pack(TS_HEAD, ts[0] & 0xFFFFFFFF, ts[1] & 0xFFFFFFFF)[0 if not sack else 2 :]
    if wscale is not None:
        out += bytes((NOP, WINDOW_SCALE, 3, wscale))
    return out


def blocks(found: Sequence[tuple[int, int]], room: int) -> bytes:
    """A SACK option with as many of the blocks as fit in ``room`` octets, two NOPs before it; empty where none does."""
    count = min(len(found), (room - 4) // 8)
    if count <= 0:
        return b""
    out = bytes((NOP, NOP, SACK, 2 + 8 * count))
    for left, right in found[:count]:
        out += (left & 0xFFFFFFFF).to_bytes(4, "big") + (right & 0xFFFFFFFF).to_bytes(4, "big")
    return out
