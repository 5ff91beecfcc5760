"""The small pieces a ladder is put together from: what is said, where, and how much it matters."""

from __future__ import annotations

from typing import NamedTuple

#: A plain acknowledgement or one more segment; trouble below TLS; the other side's turn to send; everything else.
ROUTINE, MARK, TURN, EVENT = 0, 1, 2, 3


class Item(NamedTuple):
    """One thing said in a packet: a headline, the lines below it, its weight, and a meaning for ``Paint``."""

    text: str
    details: tuple[str, ...] = ()
    weight: int = EVENT
    tone: str = ""
    short: str = ""  # the same for the brief depth, where that differs

    @property
    def brief(self) -> str:
        """What the brief depth says."""
        return self.short or self.text


#: Places within a packet: what TLS says lies by its offset, its summed up data after that, then what is inside it.
DATA_PLACE = (0, 1 << 61)
#: The layer of what could not be read as TLS.
PROBLEM = 4


class Note(NamedTuple):
    """An item and where it belongs: the packet that completed it, and its place within that packet."""

    packet: int
    order: tuple[int, int]  # layer (records before what is inside them), then octet of the stream
    item: Item
