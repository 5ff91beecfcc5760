"""Streams of chance: each fault of each link draws from its own, so that changing one leaves the others as they were.

A stream is a function of a seed and a name (splitmix64, Steele, Lea and Flood 2014); the same two give the same draws
everywhere.
"""

from __future__ import annotations

from hashlib import blake2b

_MASK = (1 << 64) - 1


class Stream:
    """Draws from one named stream of a seed."""

    __slots__ = ("_state",)

    def __init__(self, seed: int, name: str) -> None:
        self._state = int.from_bytes(blake2b(f"{seed} {name}".encode(), digest_size=8).digest(), "big")

    def bits(self) -> int:
        """64 bits."""
        self._state = self._state + 0x9E3779B97F4A7C15 & _MASK
        z = self._state
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & _MASK
        return z ^ z >> 31

    def below(self, limit: int) -> int:
        """An integer in [0, limit)."""
        return self.bits() * limit >> 64

    def happens(self, probability: float) -> bool:
        """Whether something of this probability happens; certain things draw nothing."""
        return probability > 0 and (self.bits() >> 11) * 2.0**-53 < probability


def entropy(seed: int, name: str) -> bytes:
    """The secret of a host in a run: 32 octets."""
    return blake2b(f"{seed} secret of {name}".encode(), digest_size=32).digest()
