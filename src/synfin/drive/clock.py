"""The real world's time and chance: what the engines are given instead of asking for it."""

from __future__ import annotations

import os
import time


def now() -> float:
    """Seconds since 1970, as every ``now`` of the engines."""
    return time.time()


def entropy(count: int) -> bytes:
    """``count`` octets nobody can predict, from the kernel."""
    return os.urandom(count)
