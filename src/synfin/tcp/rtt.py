"""The retransmission timeout (RFC 6298), with Karn's rule kept by the caller: no sample from what was sent twice."""

from __future__ import annotations

from synfin.tcp.config import MILLISECOND, SECOND, Config

#: Clock granularity G of RFC 6298 2.
_G = MILLISECOND


class Rtt:
    """Smoothed round-trip time, its variation and the timeout they give, in nanoseconds."""

    __slots__ = ("_max", "_min", "backoff", "base", "latest", "least", "smoothed", "variation")

    def __init__(self, config: Config) -> None:
        self.smoothed = 0
        self.variation = 0
        self.latest = 0
        self.least = 0
        self.base = config.initial_rto
        self.backoff = 0  # how often the timer was doubled since the last sample
        self._min, self._max = config.min_rto, config.max_rto

    @property
    def rto(self) -> int:
        """The timeout now, doubled for every expiry (5.5), not above the maximum."""
        return min(self.base << self.backoff, self._max)

    def sample(self, value: int) -> None:
        """A measured round trip (2.2, 2.3); the timer goes back to what it gives."""
        value = max(value, 1)
        self.latest = value
        self.least = min(self.least, value) if self.least else value
        if not self.smoothed:
            self.smoothed, self.variation = value, value // 2
        else:
            self.variation += (abs(self.smoothed - value) - self.variation) // 4
            self.smoothed += (value - self.smoothed) // 8
        self.base = max(self.smoothed + max(_G, 4 * self.variation), self._min)
        self.backoff = 0

    def expired(self) -> None:
        """The timer ran out (5.5)."""
        self.backoff = min(self.backoff + 1, 16)

    def after_lost_syn(self) -> None:
        """5.7: the SYN was sent again and gave no sample, so data starts with three seconds."""
        if not self.smoothed:
            self.base, self.backoff = max(self.base, 3 * SECOND), 0
