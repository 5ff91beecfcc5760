"""Where the shared captures are, when they are there at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

_BESIDE = Path(__file__).resolve().parents[2].parent / "shared" / "captures"

#: The folder of captures made by strangers, beside the checkout; None when it is not there.
SHARED: Path | None = _BESIDE if (_BESIDE / "index.json").exists() else None

needs_shared = pytest.mark.skipif(SHARED is None, reason="the shared captures are not beside this checkout")


def captures() -> list[Path]:
    """Every shared capture, or nothing."""
    return sorted((SHARED / "captures").iterdir()) if SHARED else []


def index() -> dict[str, dict[str, Any]]:
    """File name -> its entry of index.json."""
    if SHARED is None:
        return {}
    entries: list[dict[str, Any]] = json.loads((SHARED / "index.json").read_text())
    return {entry["file"]: entry for entry in entries}


def truth(file: str) -> list[dict[str, Any]]:
    """What tshark says of each connection of capture ``file``."""
    if SHARED is None:
        return []
    path = SHARED / "truth" / f"{index()[file]['id']}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
