"""Congestion control: NewReno's windows (RFC 5681) and CUBIC's (RFC 9438), counted in octets.

Only the growth and the reduction of the window are here.  What is lost, and when recovery begins and ends, is
``recovery``'s; how much may be sent is the window less what is in flight, in ``output``.  Both start with
IW10 (RFC 6928) and count the octets acknowledged (RFC 3465).
"""

from __future__ import annotations

from typing import NamedTuple

from synfin.tcp.config import SECOND, Config


class Saved(NamedTuple):
    """What a reduction took away, so that a spurious one can be undone."""

    cwnd: int
    ssthresh: int
    w_max: float
    epoch: int


class NewReno:
    """RFC 5681: slow start, congestion avoidance, half on a loss, one segment on a timeout."""

    __slots__ = ("_acked", "_most", "cwnd", "mss", "ssthresh")

    def __init__(self, config: Config, mss: int) -> None:
        self.mss = mss
        # RFC 6928 2: min (10*MSS, max (2*MSS, 14600)), for other numbers of segments alike.
        self.cwnd = min(config.initial_window * mss, max(2 * mss, config.initial_window * 1460))
        self.ssthresh = 1 << 62
        self._acked = 0
        # RFC 3465 2.3: L = 2; an acknowledgment of a super-segment stands for many.
        self._most = 1 << 62 if config.super_segment else 2 * mss

    def on_ack(self, acked: int, now: int, rtt: int) -> None:
        """``acked`` new octets, outside of recovery and with the window in use."""
        if self.cwnd < self.ssthresh:
            self.cwnd += min(acked, self._most)
            return
        self._acked += acked
        if self._acked >= self.cwnd:
            self._acked -= self.cwnd
            self.cwnd += self.mss

    def on_loss(self, flight: int, now: int) -> None:
        """Loss without a timeout: the new threshold is the window of recovery."""
        self.ssthresh = self.cwnd = self.reduced(flight)
        self._acked = 0

    def on_timeout(self, flight: int, now: int, first: bool) -> None:
        """The retransmission timer ran out; ``first``: not again for the same segment (RFC 5681 3.1)."""
        if first:
            self.ssthresh = self.reduced(flight)
        self.cwnd = self.mss
        self._acked = 0

    def on_idle(self, initial: int) -> None:
        """Nothing was sent for more than a timeout: the restart window (RFC 5681 4.1)."""
        self.cwnd = min(self.cwnd, initial)

    def reduced(self, flight: int) -> int:
        """RFC 5681 equation 4."""
        return max(flight // 2, 2 * self.mss)

    def save(self) -> Saved:
        """The state before a reduction."""
        return Saved(self.cwnd, self.ssthresh, 0.0, 0)

    def undo(self, saved: Saved) -> None:
        """The reduction was for nothing."""
        self.cwnd = max(self.cwnd, saved.cwnd)
        self.ssthresh = max(self.ssthresh, saved.ssthresh)


class Cubic(NewReno):
    """RFC 9438: after a loss the window grows along a cubic curve around the size it had."""

    __slots__ = ("_epoch", "_est", "_k", "_last_max", "_origin", "_prior", "w_max")

    C = 0.4
    BETA = 0.7
    ALPHA = 3 * (1 - BETA) / (1 + BETA)

    def __init__(self, config: Config, mss: int) -> None:
        super().__init__(config, mss)
        self.w_max = 0.0
        self._epoch = 0  # start of this stage of congestion avoidance; 0: not begun
        self._k = 0.0
        self._origin = 0.0
        self._est = 0.0
        self._prior = 0.0

    def on_ack(self, acked: int, now: int, rtt: int) -> None:
        """Slow start as in RFC 5681, then the curve (4.2 to 4.5), in segments and seconds as the RFC has it."""
        if self.cwnd < self.ssthresh:
            super().on_ack(acked, now, rtt)
            return
        window = self.cwnd / self.mss
        if not self._epoch:
            self._epoch = now or 1
            self._est = window
            self._origin = max(self.w_max, window)
            self._k = ((self._origin - window) / self.C) ** (1 / 3)
        t = (now - self._epoch) / SECOND
        target = self._origin + self.C * (t + rtt / SECOND - self._k) ** 3
        target = min(max(target, window), 1.5 * window)
        self._est += (1.0 if self._est >= self._prior else self.ALPHA) * (acked / self.mss) / window
        grown = window + (target - window) / window * (acked / self.mss)
        now_curve = self._origin + self.C * (t - self._k) ** 3
        self.cwnd = int(max(grown, self._est if now_curve < self._est else 0.0) * self.mss)

    def on_loss(self, flight: int, now: int) -> None:
        """4.6, 4.7: multiplicative decrease and fast convergence."""
        self._remember()
        super().on_loss(flight, now)

    def on_timeout(self, flight: int, now: int, first: bool) -> None:
        """4.8."""
        if first:
            self._remember()
        super().on_timeout(flight, now, first)

    def on_idle(self, initial: int) -> None:
        """The curve starts anew, or it would jump by the time that was idle (5.8)."""
        super().on_idle(initial)
        self._epoch = 0

    def _remember(self) -> None:
        window = self.cwnd / self.mss
        self._prior = window
        self.w_max = window * (1 + self.BETA) / 2 if window < self.w_max else window
        self._epoch = 0

    def reduced(self, flight: int) -> int:
        """4.6: beta of what is in flight."""
        return max(int(flight * self.BETA), 2 * self.mss)

    def save(self) -> Saved:
        """The state before a reduction."""
        return Saved(self.cwnd, self.ssthresh, self.w_max, self._epoch)

    def undo(self, saved: Saved) -> None:
        """4.9.1: as if nothing had happened."""
        super().undo(saved)
        self.w_max, self._epoch = saved.w_max, saved.epoch


def controller(config: Config, mss: int) -> NewReno:
    """The controller a configuration names."""
    return Cubic(config, mss) if config.congestion == "cubic" else NewReno(config, mss)
