"""Numbers nobody can guess, made from a secret: initial sequence numbers, ports, timestamp offsets, SYN cookies.

The secret is an argument (16 octets or more of entropy, from whoever owns a source of it), so the same secret and the
same calls give the same numbers.  The keyed hash is BLAKE2 where RFC 6528 names MD5 and leaves the choice.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2s

from synfin.spec.tcp_segments import MASK
from synfin.tcp.config import SECOND
from synfin.tcp.names import Place

#: The MSS values a cookie can carry (RFC 4987 3.6): an index of three bits.
COOKIE_MSS = (536, 1024, 1220, 1280, 1360, 1400, 1440, 1460)
_COOKIE_TICK = 64 * SECOND


class Chance:
    """Everything unguessable that a host needs.  ``secret``: at least 16 octets."""

    __slots__ = ("_count", "_secret")

    def __init__(self, secret: bytes) -> None:
        if len(secret) < 16:
            raise ValueError(f"a secret of {len(secret)} octets can be guessed: give 16 or more")
        self._secret = blake2s(secret).digest()
        self._count = 0

    def _hash(self, purpose: bytes, *parts: bytes) -> int:
        digest = blake2s(b"".join(parts), key=self._secret, person=purpose, digest_size=8).digest()
        return int.from_bytes(digest, "big")

    def isn(self, local: Place, remote: Place, now: int) -> int:
        """RFC 6528 3: a clock of 4 microseconds plus a hash of the connection's name."""
        return now // 4000 + self._hash(b"isn", _name(local, remote)) & MASK

    def clock_offset(self, local: Place, remote: Place) -> int:
        """Where this connection's timestamp clock starts (RFC 7323 7.1); the same for the same two hosts (RFC 6191)."""
        return self._hash(b"ts", local.address, remote.address) & MASK

    def port(self, local: bytes, remote: Place, free: Callable[[int], bool], low: int, high: int) -> int | None:
        """RFC 6056 3.3.3 (algorithm 3): an ephemeral port that ``free`` allows; None when there is none."""
        offset = self._hash(b"port", local, _place(remote))
        span = high - low + 1
        for _ in range(span):
            port = low + (self._count + offset) % span
            self._count += 1
            if free(port):
                return port
        return None

    def cookie(self, local: Place, remote: Place, irs: int, mss: int, now: int) -> int:
        """An initial sequence number that remembers a SYN: 5 bits of time, 3 of MSS, 24 of hash (RFC 4987 3.6)."""
        tick = now // _COOKIE_TICK & 31
        index = max((i for i, size in enumerate(COOKIE_MSS) if size <= mss), default=0)
        return self._cookie(local, remote, irs, tick, index)

    def _cookie(self, local: Place, remote: Place, irs: int, tick: int, index: int) -> int:
        seed = (irs & MASK).to_bytes(4, "big") + bytes((tick, index))
        return tick << 27 | index << 24 | self._hash(b"cookie", _name(local, remote), seed) & 0xFFFFFF

    def open_cookie(self, local: Place, remote: Place, irs: int, iss: int, now: int) -> int | None:
        """The MSS that a cookie brings back; None when it is none of ours, or older than two minutes."""
        tick, index = iss >> 27 & 31, iss >> 24 & 7
        if (now // _COOKIE_TICK - tick) & 31 > 1:
            return None
        return COOKIE_MSS[index] if self._cookie(local, remote, irs, tick, index) == iss & MASK else None


def _place(place: Place) -> bytes:
    return place.address + place.port.to_bytes(2, "big")


def _name(local: Place, remote: Place) -> bytes:
    return _place(local) + _place(remote)
