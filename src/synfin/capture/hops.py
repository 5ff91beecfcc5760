"""Finding all records of a file whose only index is each record's length.

One record tells where the next begins, so a plain walk costs a Python step per packet.  Here the file is cut into
stretches, a likely record header is looked for near the start of each, and all stretches are walked in lock step by
array operations.  A guess is believed only when the walk of the stretch before lands exactly on it; one that does not
(damage, a capture inside a capture, time going far) sends the whole run to the plain walk.  Both find the same places.
"""

from __future__ import annotations

from array import array
from struct import Struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from synfin.capture.gather import MEAN_FRAME, NEAR, Octets, Places, warm

#: Octets of a stretch, the fewest stretches that pay, and how far apart two guesses may be.
STRETCH = 1 << 17
FEWEST = 8
FARTHEST = 4 * STRETCH
#: How far from the start of its stretch a header is looked for: a large frame and some.
REACH = 4096
_TRIES = 3


class Records(NamedTuple):
    """How records look: octets of header, where in it the captured length stands, byte order, longest frame."""

    head: int
    length_at: int
    order: str
    most: int


def walk(data: memoryview, octets: Octets, at: int, stop: int, records: Records) -> tuple[Places, int]:
    """Places of the records that begin in ``at .. stop`` (inclusive), and where the next one would begin.

    The walk ends before a record longer than ``records.most``; the last record may reach beyond the data.
    """
    found = together(data, octets, at, stop, records)
    return found if found is not None else _plain(data, octets, at, stop, records)


def _plain(data: memoryview, octets: Octets, at: int, stop: int, records: Records) -> tuple[Places, int]:
    length = Struct(f"{records.order}I").unpack_from
    kept = array("q")
    keep = kept.append
    head, length_at, most = records.head, records.length_at, records.most
    start = at
    while at <= stop:
        goal = min(stop, at + NEAR)
        if at - start <= len(kept) * MEAN_FRAME:
            warm(octets, at, goal)
        while at <= goal:
            (size,) = length(data, at + length_at)
            if size > most:
                return _array(kept), at
            keep(at)
            at += size + head
    return _array(kept), at


def _array(kept: array[int]) -> Places:
    return np.frombuffer(kept, np.int64) if kept else np.zeros(0, np.int64)


def together(data: memoryview, octets: Octets, at: int, stop: int, records: Records) -> tuple[Places, int] | None:
    """All records in ``at .. stop`` by lock step; None where that does not pay or a guess was wrong."""
    head, length_at = records.head, records.length_at
    if (stop - at) // STRETCH < FEWEST or octets.size - stop < head:
        return None
    words = np.ndarray((octets.size - 3,), dtype=f"{records.order}u4", buffer=data, strides=(1,))
    starts = _guesses(octets, words, at, stop, records)
    limits = np.append(starts[1:], stop + 1)
    if int((limits - starts).max()) > FARTHEST:
        return None
    chain = np.arange(starts.size)
    pos = starts
    counts = np.zeros(starts.size, np.int64)
    ends = np.zeros(starts.size, np.int64)
    steps: list[tuple[Places, Places]] = []
    while pos.size:
        size = words[pos + length_at]
        if int(size.max()) > records.most:
            return None
        steps.append((chain, pos))
        after = pos + head + size
        going = after < limits
        if going.all():
            pos = after
            continue
        done = chain[~going]
        counts[done] = len(steps)
        ends[done] = after[~going]
        chain, pos, limits = chain[going], after[going], limits[going]
    if not (ends[:-1] == starts[1:]).all():
        return None
    first = np.cumsum(counts) - counts
    places = np.empty(int(counts.sum()), np.int64)
    for turn, (which, where) in enumerate(steps):
        places[first[which] + turn] = where
    return places, int(ends[-1])


def _guesses(octets: Octets, words: NDArray[np.uint32], at: int, stop: int, records: Records) -> Places:
    """Likely record headers, one near the start of each stretch; the first is ``at`` itself.

    A header is likely when the high half of its seconds is that of the first record's, its two lengths agree with each
    other and with the frames believed, and another such header follows.
    """
    head, length_at = records.head, records.length_at
    room = min(stop, octets.size - REACH - head - 4)
    nominal = np.arange(at + STRETCH, room, STRETCH)
    if not nominal.size:
        return np.array([at])
    high = slice(2, 4) if records.order == "<" else slice(0, 2)
    wanted = octets[at + high.start : at + high.stop]
    near = np.lib.stride_tricks.as_strided(
        octets[int(nominal[0]) :], (nominal.size, REACH), (STRETCH, 1), writeable=False
    )
    hit = (near[:, high.start : REACH - 1] == wanted[0])[:, : REACH - 4]
    hit = hit & (near[:, high.start + 1 :] == wanted[1])[:, : REACH - 4]
    chosen = np.full(nominal.size, -1, np.int64)
    for _ in range(_TRIES):
        open_ = np.flatnonzero((chosen < 0) & hit.any(axis=1))
        if not open_.size:
            break
        column = hit[open_].argmax(axis=1)
        place = nominal[open_] + column
        good = _likely(words, place, length_at, records.most)
        after = np.where(good, place + head + words[place + length_at], at)
        good &= after <= stop
        after = np.where(good, after, at)
        good &= _likely(words, after, length_at, records.most)
        good &= (words[after] >> 16) == (words[at] >> 16)
        chosen[open_[good]] = place[good]
        hit[open_, column] = False
    return np.concatenate([[at], chosen[chosen >= 0]])


def _likely(words: NDArray[np.uint32], place: Places, length_at: int, most: int) -> NDArray[np.bool_]:
    captured, wire = words[place + length_at], words[place + 20 - length_at]  # one stands at 8, one at 12
    likely: NDArray[np.bool_] = (captured <= most) & (captured <= wire) & (wire <= most) & (captured > 0)
    return likely & (words[place + 4] < 1_000_000_000)
