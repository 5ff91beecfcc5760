"""Stories for the tests of views: from packets as text, or from a capture file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from synfin.observe import observe
from synfin.observe.story import Connection
from tests.support.packets import pcap


def stories(path: Path) -> Iterator[Connection]:
    """The connections of the capture at ``path``, in order of their ids."""
    with observe(path) as seen:
        yield from sorted(seen, key=lambda connection: connection.id)


def story_of(text: str) -> Connection:
    """The first connection of ``text``."""
    return all_of(text)[0]


def all_of(text: str) -> list[Connection]:
    """The connections of ``text``; the file is mapped, so its bytes outlive it."""
    with tempfile.TemporaryDirectory() as folder:
        return sorted(observe(pcap(text, Path(folder) / "text.pcap")), key=lambda connection: connection.id)
