"""What ``synfin`` itself exports: these names, and none of them costs anything until it is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

import synfin

NAMES = [
    "Client", "ClientConfig", "Credential", "Host", "Network", "PeerError", "Server", "ServerConfig", "UsageError",
    "WireError",
]  # fmt: skip


def test_the_names_are_these() -> None:
    assert synfin.__all__ == NAMES
    for name in NAMES:
        assert getattr(synfin, name).__name__ == name


def test_other_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Cleint'"):
        synfin.Cleint  # type: ignore[attr-defined]  # noqa: B018


def test_importing_it_imports_nothing_else() -> None:
    code = "import sys, synfin; print(sorted(name for name in sys.modules if name.startswith('synfin')))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "['synfin']"
