"""Capture to story: connections with what both ends did, from evidence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from synfin.capture.keylog import KeyLog
    from synfin.observe.observer import Observation


def observe(
    source: str | Path,
    *,
    keylog: KeyLog | None = None,
    rsa_keys: Sequence[RSAPrivateKey] = (),
    embedded: bool = True,
) -> Observation:
    """The story of the capture at ``source`` ("-": standard input): iterate it for its connections.

    ``embedded=False`` leaves secrets inside the capture unused.  Raises UsageError when it is not a capture.
    """
    from synfin.capture.reader import open_capture
    from synfin.observe.observer import Observation

    return Observation(open_capture(source), keylog=keylog, rsa_keys=rsa_keys, embedded=embedded)
