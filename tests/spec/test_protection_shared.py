"""Captures with key logs: every record that can be opened is opened, for 31 suites of TLS 1.2 and for TLS 1.3."""

from __future__ import annotations

import pytest

from synfin.capture.keylog import read_keylog
from synfin.observe import observe
from synfin.observe.story_tls import Opened
from tests.support.shared import SHARED, needs_shared

#: Capture, its key log, connections of which both directions open (the key log of the fourth has 16 of its 20).
CASES = [
    ("tls12-all-ciphers.pcap", "tls12-all-ciphers.keys", 31),
    ("illustrated-tls12.pcap", "illustrated-tls12.keys", 1),
    ("illustrated-tls13.pcap", "illustrated-tls13.keys", 1),
    ("tls13-h2-keylog.pcap", "tls13-h2-keylog.keys", 16),
    ("illustrated-tls13-dsb.pcapng", None, 1),
]


@needs_shared
@pytest.mark.parametrize(("capture", "keys", "both"), CASES, ids=lambda value: str(value))
def test_shared_captures_open(capture: str, keys: str | None, both: int) -> None:
    assert SHARED is not None
    keylog = read_keylog(SHARED / "keys" / keys) if keys else None
    opened = 0
    for connection in observe(SHARED / "captures" / capture, keylog=keylog):
        if connection.tls is None or connection.tls.cipher is None:
            continue
        ways = [way.opened for way in connection.tls.decryption]
        assert Opened.WRONG_SECRET not in ways
        opened += all(way is Opened.ALL for way in ways)
    assert opened >= both
