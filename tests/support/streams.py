"""Byte streams for tests: one piece per packet, times and packet numbers in the order given."""

from __future__ import annotations

from collections.abc import Sequence

from synfin.observe.stream import ByteStream, Piece

#: What one side says in one packet (bytes), or how many octets of it were not captured (int).
Said = tuple[int, bytes | int]

MS = 1_000_000


def talk(*said: Said, step: int = MS) -> tuple[ByteStream, ByteStream]:
    """Two streams from (side, octets) in the order sent; packet n is seen at n * ``step``."""
    pieces: tuple[list[Piece], list[Piece]] = ([], [])
    reached = [0, 0]
    for number, (side, what) in enumerate(said, 1):
        if isinstance(what, int):
            reached[side] += what
        elif what:
            pieces[side].append(Piece(reached[side], what, number, number * step, number * step))
            reached[side] += len(what)
    return ByteStream(pieces[0]), ByteStream(pieces[1])


def chopped(said: Sequence[Said], size: int) -> list[Said]:
    """The same octets in packets of at most ``size``."""
    out: list[Said] = []
    for side, what in said:
        if isinstance(what, int):
            out.append((side, what))
        else:
            out += [(side, what[at : at + size]) for at in range(0, len(what), size)]
    return out
