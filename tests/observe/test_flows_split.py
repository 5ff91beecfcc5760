"""Port reuse told by whole-array operations is what the careful walk tells."""

from __future__ import annotations

import random

import numpy as np
import pytest

from synfin.capture.table import ROW, Batch, Kind
from synfin.observe import flows_group
from synfin.observe.flows_store import Store
from synfin.wire.tcpflags import ACK, SYN


def some_rows(seed: int) -> Store:
    chance = random.Random(seed)
    rows = np.zeros(chance.randint(1, 30), ROW)
    rows["kind"], rows["version"] = Kind.TCP, 4
    rows["number"] = np.arange(len(rows))
    for i in range(len(rows)):
        forth, port = chance.random() < 0.5, chance.randint(1, 3)
        rows["src_lo"][i], rows["dst_lo"][i] = (1, 2) if forth else (2, 1)
        rows["sport"][i], rows["dport"][i] = (port, 80) if forth else (80, port)
        rows["flags"][i] = chance.choice([SYN, SYN, SYN | ACK, ACK])
        rows["seq"][i], rows["ack"][i] = chance.choice([1, 2, 100]), chance.choice([1, 2, 101])
    store = Store()
    store.take(Batch(rows, b"", bytearray(), [], [], []))
    return store


def test_both_ways_of_splitting_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    def carefully(rows, order, begins):  # type: ignore[no-untyped-def]
        starts = np.flatnonzero(begins)
        for begin, stop in zip(starts.tolist(), np.append(starts[1:], len(order)).tolist(), strict=True):
            flows_group.split_pair(rows, order, begins, begin, stop)

    for seed in range(300):
        rows = some_rows(seed)
        quick = flows_group.group(rows).starts.tolist()
        with monkeypatch.context() as patch:
            patch.setattr(flows_group, "split", carefully)
            assert flows_group.group(rows).starts.tolist() == quick, f"seed {seed}"


def test_pairs_that_share_a_hash_stay_apart() -> None:
    for seed in range(100):
        rows = some_rows(seed)
        told = {tuple(sorted(rows["number"][part])) for part in groups_of(rows)}
        rows["key"][:] = 7
        assert {tuple(sorted(rows["number"][part])) for part in groups_of(rows)} == told


def groups_of(rows: Store) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    made = flows_group.group(rows)
    return np.split(made.order, made.starts[1:].tolist())
