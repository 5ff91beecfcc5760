"""What HTTP goes over, and its simplest kind: a pipe without TLS, used as a ``streams.TlsStream`` is.

Both end alike: our direction is closed, then what still comes is read for a moment and thrown away, because a socket
closed over unread data answers with a RST, which takes away what the peer has not read yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from synfin.drive.pipe import Pipe
from synfin.wire.codec import Buffer

#: How long and how much is read after our end, so that the peer can read ours.
DRAIN_SECONDS, DRAIN_OCTETS = 2.0, 1 << 26
#: Octets of data that may wait for a reader while more is taken from the pipe.
UNREAD = 1 << 18


class Stream(Protocol):
    """What HTTP goes over: a ``TlsStream``, or a ``PlainStream``."""

    async def read(self) -> bytes:
        """The next octets, b"" at the end."""

    async def write(self, data: Buffer, *, last: bool = False) -> None:
        """Send; nothing more will be sent where it is the ``last``."""

    async def close(self, *, drain: float) -> None:
        """Say goodbye and wait a moment for the other's."""

    def abort(self) -> None:
        """Reset."""


class PlainStream:
    """A pipe without TLS, used as a ``TlsStream`` is."""

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe
        self.on_unread: Callable[[], None] | None = None
        self._data = b""
        self._closing = False
        pipe.overhear(self._overheard)

    def _overheard(self) -> bool:
        if self.on_unread is not None:
            while len(self._data) < UNREAD and (data := self.pipe.take()):
                self._data += data
            if self._data:
                self.on_unread()
        return False

    async def read(self) -> bytes:
        """The next octets; b"" at the end; OSError when the connection broke."""
        return self.unread() or await self.pipe.receive()

    def unread(self) -> bytes:
        """All that ``read`` would give at once."""
        found, self._data = self._data, b""
        return found

    async def write(self, data: Buffer, *, last: bool = False) -> None:
        """Send; waits while the peer is slow.  ``last`` is of no use here."""
        await self.pipe.send(data)

    async def close(self, *, drain: float = DRAIN_SECONDS) -> None:
        """FIN, a bounded wait for the peer's, and the end.  Repeatable; cancelled, it resets."""
        if self._closing:
            return
        self._closing = True
        left = DRAIN_OCTETS
        try:
            async with asyncio.timeout(drain):
                await self.pipe.send_eof()
                while left > 0 and (data := await self.pipe.receive()):
                    left -= len(data)
        except OSError:  # TimeoutError is one
            pass
        except BaseException:
            self.pipe.abort()
            raise
        await self.pipe.close()

    def abort(self) -> None:
        """Reset the connection at once."""
        self._closing = True
        self.pipe.abort()
