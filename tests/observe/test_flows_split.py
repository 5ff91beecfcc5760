"""Port reuse told by whole-array operations is what the careful walk tells."""

from __future__ import annotations

import random

import numpy as np
import pytest

from synfin.capture.table import ACK, ROW, SYN, Kind
from synfin.observe import flows


def some_rows(seed: int) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    chance = random.Random(seed)
    rows = np.zeros(chance.randint(1, 30), ROW)
    rows["kind"], rows["version"] = Kind.TCP, 4
    for i in range(len(rows)):
        forth, port = chance.random() < 0.5, chance.randint(1, 3)
        rows["src_lo"][i], rows["dst_lo"][i] = (1, 2) if forth else (2, 1)
        rows["sport"][i], rows["dport"][i] = (port, 80) if forth else (80, port)
        rows["flags"][i] = chance.choice([SYN, SYN, SYN | ACK, ACK])
        rows["seq"][i], rows["ack"][i] = chance.choice([1, 2, 100]), chance.choice([1, 2, 101])
    return rows


def test_both_ways_of_splitting_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    def carefully(rows, order, begins, high):  # type: ignore[no-untyped-def]
        starts = np.flatnonzero(begins)
        for begin, stop in zip(starts.tolist(), np.append(starts[1:], len(order)).tolist(), strict=True):
            flows._split_pair(rows, order, begins, high, begin, stop)

    for seed in range(300):
        rows = some_rows(seed)
        quick = flows._group(rows).starts.tolist()
        with monkeypatch.context() as patch:
            patch.setattr(flows, "_split", carefully)
            assert flows._group(rows).starts.tolist() == quick, f"seed {seed}"
