"""A pipe that tells a ``PduCapture`` what passes, for when packets cannot be captured."""

from __future__ import annotations

from collections.abc import Callable

from synfin.drive.capture import Tap
from synfin.drive.pipe import Pipe
from synfin.drive.tcpinfo import TcpInfo
from synfin.wire.codec import Buffer

Address = tuple[str, int]


class TappedPipe:
    """``pipe`` with ``tap`` beside it."""

    def __init__(self, pipe: Pipe, tap: Tap) -> None:
        self._pipe = pipe
        self._tap = tap

    @property
    def local(self) -> Address:
        """See ``Pipe``."""
        return self._pipe.local

    @property
    def remote(self) -> Address:
        """See ``Pipe``."""
        return self._pipe.remote

    async def receive(self) -> bytes:
        """See ``Pipe``."""
        data = await self._pipe.receive()
        self._tap.received(data)
        return data

    def overhear(self, told: Callable[[], bool]) -> None:
        """See ``Pipe``."""
        self._pipe.overhear(told)

    def take(self) -> bytes | None:
        """See ``Pipe``."""
        data = self._pipe.take()
        if data:
            self._tap.received(data)
        return data

    async def send(self, data: Buffer) -> None:
        """See ``Pipe``."""
        self._tap.sent(bytes(data))
        await self._pipe.send(data)

    async def send_eof(self) -> None:
        """See ``Pipe``."""
        await self._pipe.send_eof()

    async def close(self) -> None:
        """See ``Pipe``."""
        self._tap.close()
        await self._pipe.close()

    def abort(self) -> None:
        """See ``Pipe``."""
        self._tap.close()
        self._pipe.abort()

    def info(self) -> TcpInfo | None:
        """See ``Pipe``."""
        return self._pipe.info()
