"""HTTP/2 flow control as one sender must obey it: its credit, and the times it had none (RFC 9113 5.2 and 6.9).

DATA takes credit of the stream and of the connection; WINDOW_UPDATE and the peer's SETTINGS give it.  A sender that
used up a window and goes on as soon as new credit came was held up by its peer in between.  Where octets are missing
the credit is not known, and nothing more is said.
"""

from __future__ import annotations

from typing import NamedTuple

from synfin.observe.http2_frames import END_STREAM, Framed

_INITIAL = 65535
_LARGEST = (1 << 31) - 1


class Held(NamedTuple):
    """Credit used up: stream (0: connection), since when and which packet, until when and which packet gave new."""

    stream: int
    since: int
    packet: int
    until: int | None = None
    freed: int = 0


class Credit:
    """What one side may still send."""

    __slots__ = ("_beyond", "_connection", "_held", "_initial", "known", "overdrawn")

    def __init__(self) -> None:
        self.known = True
        self.overdrawn = False  # it sent more than it had
        self._connection = _INITIAL
        self._initial = _INITIAL
        self._beyond: dict[int, int] = {}  # stream -> credit beyond ``_initial``, which may change (RFC 9113 6.9.2)
        self._held: dict[int, Held] = {}  # by stream, 0: the connection

    def settle(self, initial: int) -> None:
        """The peer's SETTINGS_INITIAL_WINDOW_SIZE; it counts for streams already open too."""
        self._initial = initial

    def spend(self, frame: Framed) -> list[Held]:
        """DATA was sent: the stalls that ended with it, since it shows that there was something to send."""
        if not self.known:
            return []
        over = [
            held
            for stream in (0, frame.stream)
            if (held := self._held.pop(stream, None)) is not None and held.until is not None
        ]
        self._connection -= frame.length
        self._beyond[frame.stream] = beyond = self._beyond.get(frame.stream, 0) - frame.length
        left = self._initial + beyond
        if frame.length and (self._connection < 0 or left < 0):
            self.overdrawn = True
        if not frame.flags & END_STREAM:
            if self._connection <= 0:
                self._held[0] = Held(0, frame.ready, frame.packet)
            if left <= 0:
                self._held[frame.stream] = Held(frame.stream, frame.ready, frame.packet)
        return over

    def give(self, frame: Framed, increment: int) -> bool:
        """The peer sent a WINDOW_UPDATE; False where that makes a window larger than it may be (RFC 9113 6.9.1)."""
        if frame.stream == 0:
            self._connection += increment
            window = self._connection
        else:
            self._beyond[frame.stream] = self._beyond.get(frame.stream, 0) + increment
            window = self._initial + self._beyond[frame.stream]
        held = self._held.get(frame.stream)
        if held is not None and held.until is None:
            self._held[frame.stream] = held._replace(until=frame.ready, freed=frame.packet)
        return not self.known or window <= _LARGEST

    def close(self, stream: int) -> None:
        """The stream ended or was reset."""
        self._beyond.pop(stream, None)
        self._held.pop(stream, None)

    def unended(self) -> list[Held]:
        """The stalls for which no credit came."""
        return [held for held in self._held.values() if held.until is None]
