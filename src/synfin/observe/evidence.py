"""Evidence: where in the capture a fact of the story stands."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a fact stands: packets, and where it helps the octets of a sender's stream and the field's path."""

    packets: tuple[int, ...] = ()
    sender: int | None = None
    offset: int | None = None
    length: int | None = None
    field: str = ""
