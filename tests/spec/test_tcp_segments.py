"""Sequence arithmetic and acceptability (RFC 9293 3.4)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.spec.tcp_segments import HALF, MASK, acceptable, add, before, distance, unwrap, within

NUMBERS = st.integers(0, MASK)


@settings(max_examples=60)
@given(NUMBERS, st.integers(-HALF, HALF - 1))
def test_distance_undoes_add(start: int, count: int) -> None:
    assert distance(start, add(start, count)) == count


@settings(max_examples=60)
@given(NUMBERS, st.integers(1, HALF - 1))
def test_before_is_strict_and_one_way(start: int, count: int) -> None:
    later = add(start, count)
    assert before(start, later) and not before(later, start) and not before(start, start)


@settings(max_examples=60)
@given(st.integers(-(1 << 40), 1 << 40), st.integers(-HALF, HALF - 1))
def test_unwrap_finds_the_closest(near: int, off: int) -> None:
    assert unwrap((near + off) & MASK, near) == near + off


@settings(max_examples=80)
@given(NUMBERS, st.integers(0, 70), st.integers(-80, 80), st.integers(0, 40))
def test_acceptable_is_an_octet_in_the_window(rcv_nxt: int, rcv_wnd: int, off: int, length: int) -> None:
    seq = add(rcv_nxt, off)
    if length == 0:
        wanted = off == 0 if rcv_wnd == 0 else 0 <= off < rcv_wnd
    else:  # the RFC looks at both edges only: a segment that swallows the window is not accepted
        wanted = 0 <= off < rcv_wnd or 0 <= off + length - 1 < rcv_wnd
    assert acceptable(seq, length, rcv_nxt, rcv_wnd) == wanted


def test_within_wraps() -> None:
    assert within(MASK - 1, 3, 5) and not within(MASK - 1, 5, 5) and not within(7, 7, 7)
