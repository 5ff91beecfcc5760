"""Mutated captures through every command: an answer or one line of refusal, never a traceback."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from fuzz.fuzz_story import one_input

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.pcapng"))


def mutated(data: bytes, chance: random.Random) -> bytes:
    """``data`` with a few octets changed, a stretch doubled or removed, or its end cut."""
    octets = bytearray(data)
    for _ in range(chance.choice((1, 3, 10, 60))):
        octets[chance.randrange(len(octets))] = chance.choice((0, 0xFF, chance.randrange(256)))
    kind = chance.random()
    at, size = chance.randrange(len(octets)), chance.randrange(200)
    if kind < 0.15:
        del octets[at : at + size]
    elif kind < 0.3:
        octets[at:at] = octets[at : at + size]
    elif kind < 0.4:
        del octets[at:]
    return bytes(octets)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_mutated_captures_are_answered(path: Path) -> None:
    data = path.read_bytes()
    assert set(one_input(data)) <= {0, 1}
    for seed in range(12):
        one_input(mutated(data, random.Random(f"{path.stem} {seed}")))


def test_what_is_no_capture_is_refused_in_one_line() -> None:
    for data in (b"", b"GET / HTTP/1.1\r\n\r\n", bytes(64), b"\x1f\x8b\x08\x00garbage", b"\x0a\x0d\x0d\x0a"):
        assert set(one_input(data)) <= {0, 2}, data
