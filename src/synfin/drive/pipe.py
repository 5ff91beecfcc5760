"""One TCP connection as its user sees it, whoever's TCP it is: ``sockets`` has the kernel's, ``own_pipe`` ours.

``capture_pipe`` puts a capture beside one.  Everything above (``streams``, servers, traces) knows no more of TCP.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from synfin.drive.tcpinfo import TcpInfo
from synfin.wire.codec import Buffer


class Pipe(Protocol):
    """One TCP connection as its user sees it."""

    @property
    def local(self) -> tuple[str, int]:
        """Our address and port."""
        ...

    @property
    def remote(self) -> tuple[str, int]:
        """The peer's address and port."""
        ...

    async def receive(self) -> bytes:
        """Octets as they come; b"" when the peer has closed its direction; OSError when the connection broke.

        When it is cancelled, nothing is lost.
        """
        ...

    def take(self) -> bytes | None:
        """What ``receive`` would give at once; None where it would wait, raise, or somebody is in it."""
        ...

    def overhear(self, told: Callable[[], bool]) -> None:
        """Call ``told`` when something comes while somebody waits to send; True ends that wait."""
        ...

    async def send(self, data: Buffer) -> None:
        """Send; takes the data before it waits, and waits while too much is queued.  OSError when it broke."""
        ...

    async def send_eof(self) -> None:
        """Close our direction when everything has been handed on; never raises for a broken connection."""
        ...

    async def close(self) -> None:
        """Let go of the connection.  Repeatable."""
        ...

    def abort(self) -> None:
        """Reset the connection.  Repeatable."""
        ...

    def info(self) -> TcpInfo | None:
        """Round trip times and such; None where they are not known."""
        ...


class Source(Protocol):
    """Where a server's pipes come from."""

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Where it listens."""
        ...

    async def accept(self) -> Pipe:
        """The next connection.  ConnectionAbortedError after ``close``."""
        ...

    def close(self) -> None:
        """Stop listening."""
        ...
