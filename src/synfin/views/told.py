"""The small pieces a ladder is put together from: what is said, where, and how much it matters."""

from __future__ import annotations

from typing import NamedTuple

ROUTINE, MARK, EVENT = 0, 1, 2


class Item(NamedTuple):
    """One thing said in a packet: a headline, the lines below it, its weight, and a meaning for ``Paint``."""

    text: str
    details: tuple[str, ...] = ()
    weight: int = EVENT
    tone: str = ""


class Note(NamedTuple):
    """An item and where it belongs: the packet that completed it, and its place within that packet."""

    packet: int
    order: tuple[int, int]  # layer (records before what is inside them), then octet of the stream
    item: Item
