"""Records found in lock step are the records that a walk from one to the next finds."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.capture import hops
from synfin.capture.hops import Records, walk

MOST = 5000


@pytest.fixture(autouse=True, scope="module")
def short_stretches() -> object:
    """Stretches so short that small files have many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hops, "STRETCH", 512)
        patch.setattr(hops, "REACH", 256)
        patch.setattr(hops, "FARTHEST", 16384)
        yield


def file_of(sizes: list[int], order: str, step: int = 0, lure: int = 0) -> bytearray:
    """Records of ``sizes`` octets behind a file header; every ``lure``-th is full of what looks like record headers."""
    out = bytearray(24)
    for i, size in enumerate(sizes):
        out += struct.pack(f"{order}IIII", 1_700_000_000 + i * step & 0xFFFFFFFF, i, size, size + i % 3)
        out += (out[-16:] * (size // 16 + 1) if lure and i % lure == 0 else bytes([i % 2]) * size)[:size]
    return out


def naive(data: bytes, at: int, stop: int, records: Records) -> tuple[list[int], int]:
    places = []
    while at <= stop:
        (size,) = struct.unpack_from(f"{records.order}I", data, at + records.length_at)
        if size > records.most:
            break
        places.append(at)
        at += records.head + size
    return places, at


def agree(data: bytes, records: Records, stop: int) -> None:
    octets = np.frombuffer(data, np.uint8)
    places, after = walk(memoryview(data), octets, 24, stop, records)
    assert (places.tolist(), after) == naive(data, 24, stop, records)


@given(
    sizes=st.lists(st.integers(0, 400), min_size=1, max_size=150),
    order=st.sampled_from("<>"),
    step=st.sampled_from([0, 1, 5000, 1 << 20]),
    lure=st.sampled_from([0, 1, 7]),
    length_at=st.sampled_from([8, 12]),
    damage=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=3),
    cut=st.integers(0, 500),
    early=st.integers(0, 5000),
)
@settings(max_examples=150, deadline=None)
def test_both_walks_find_the_same(
    sizes: list[int],
    order: str,
    step: int,
    lure: int,
    length_at: int,
    damage: list[tuple[int, int]],
    cut: int,
    early: int,
) -> None:
    data = file_of(sizes, order, step, lure)
    for place, value in damage:
        data[24 + place % max(len(data) - 24, 1)] = value
    data = data[: max(len(data) - cut, 24 + 16)]
    last = len(data) - 16
    agree(bytes(data), Records(16, length_at, order, MOST), max(last - early, 24))


@pytest.mark.parametrize("order", "<>")
def test_ordinary_files_are_walked_in_lock_step(order: str) -> None:
    data = bytes(file_of([60, 1500, 54, 700, 0, 54] * 60, order))
    records = Records(16, 8, order, MOST)
    found = hops.together(memoryview(data), np.frombuffer(data, np.uint8), 24, len(data) - 16, records)
    assert found is not None
    assert (found[0].tolist(), found[1]) == naive(data, 24, len(data) - 16, records)


def test_a_huge_record_and_a_far_time_are_walked_plainly() -> None:
    records = Records(16, 8, "<", MOST)
    for data in (file_of([100] * 50 + [MOST + 1] + [100] * 50, "<"), file_of([100] * 200, "<", 1 << 22)):
        agree(bytes(data), records, len(data) - 16)
