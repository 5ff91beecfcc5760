"""Sequence numbers and which segments a receiver may accept (RFC 9293 3.4 and 3.10.7.4, first step).

Numbers are 32 bits wide and compared by distance: one is before another when the way forward to it is shorter than
half the space.  Both ends and the observer use the same arithmetic; nobody here knows roles.
"""

from __future__ import annotations

MODULUS = 1 << 32
MASK = MODULUS - 1
HALF = 1 << 31


def add(seq: int, count: int) -> int:
    """``seq`` moved by ``count`` octets."""
    return (seq + count) & MASK


def distance(start: int, end: int) -> int:
    """Octets from ``start`` forward to ``end``; negative where ``end`` is before ``start``."""
    return ((end - start + HALF) & MASK) - HALF


def before(one: int, two: int) -> bool:
    """Whether ``one`` is before ``two`` (SEG.SEQ < RCV.NXT and the like)."""
    return one != two and (two - one) & MASK < HALF


def within(low: int, seq: int, high: int) -> bool:
    """Whether low =< seq < high on the circle (empty where low = high)."""
    return (seq - low) & MASK < (high - low) & MASK


def acceptable(seq: int, length: int, rcv_nxt: int, rcv_wnd: int) -> bool:
    """The four cases of RFC 9293 3.4: may a segment of ``length`` octets (SYN and FIN count) be accepted?"""
    if rcv_wnd == 0:
        return length == 0 and seq == rcv_nxt
    edge = add(rcv_nxt, rcv_wnd)
    if length == 0:
        return within(rcv_nxt, seq, edge)
    return within(rcv_nxt, seq, edge) or within(rcv_nxt, add(seq, length - 1), edge)


def unwrap(seq: int, near: int) -> int:
    """The number without wrap-around (any integer) that is ``seq`` modulo 2**32 and closest to ``near``."""
    return near + distance(near & MASK, seq)
