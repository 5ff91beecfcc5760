"""A scene's capture, which is octets in memory, as the observer takes it."""

from __future__ import annotations

from synfin.capture.reader import CaptureFile
from synfin.capture.source import Source
from synfin.observe.observer import Observation

_BATCH = 32768


def observe_octets(capture: bytes, *, secrets: bool = True) -> Observation:
    """The story of a capture in memory; without ``secrets`` those inside it stay unused."""
    return Observation(CaptureFile(Source("the scene", memoryview(capture)), _BATCH), embedded=secrets)
