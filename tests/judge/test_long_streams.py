"""Streams longer than sequence numbers can compare: what comes late is late, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from synfin.judge.rules.loss import repaired
from synfin.observe import observe
from tests.scenarios.script import Script, write


@pytest.mark.parametrize("again", [0, 3])
def test_what_comes_again_beyond_two_gib(again: int, tmp_path: Path) -> None:
    script = Script().connect()
    for _ in range(12):  # six GiB, most of it not captured
        script.line(f"b > a ACK len=1000 seq=+{1 << 29}", 0.1)
    for _ in range(again):
        script.line("b > a ACK len=1000 seq=-1000", 0.1)
    with observe(write([script], tmp_path / "long.pcap")) as seen:
        (connection,) = seen
    assert repaired(connection, 1) == again
