"""A scene's capture, which is octets in memory, as the observer takes it."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from synfin.capture.reader import CaptureFile
from synfin.capture.source import Source
from synfin.observe.observer import Observation

_BATCH = 32768


def observe_octets(capture: bytes, *, secrets: bool = True, rsa_keys: Sequence[RSAPrivateKey] = ()) -> Observation:
    """The story of a capture in memory; without ``secrets`` those inside it stay unused, ``rsa_keys`` are servers'."""
    file = CaptureFile(Source("the scene", memoryview(capture)), _BATCH)
    return Observation(file, embedded=secrets, rsa_keys=rsa_keys)
