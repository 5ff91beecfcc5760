"""The HTTP part of a trace: the request goes out, the answer comes in, each told as it happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from synfin.drive.streams import Stream, TruncatedError
from synfin.drive.trace_steps import Answered, Received, Step
from synfin.errors import PeerError
from synfin.http import client1, client2
from synfin.http.client import Body, Done, Exchange, Fields, Head, Request

#: Octets of a body that are kept to be shown.
START = 2048


async def answer(
    exchange: Exchange,
    stream: Stream,
    most_body: int | None,
    tell: Callable[[Step], None],
    take: Callable[[Head | None, bytes], None],
    pace: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Send the request and take the answer; both at once, as a server may answer before it has read.

    ``take`` gets every piece of the body with the head it belongs to; more than ``most_body`` octets are not read.
    ``pace`` is waited for before each read of a body.
    Raises what the stream and the exchange raise: PeerError, OSError.
    """
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    queue.put_nowait(exchange.output())
    writing = asyncio.create_task(_written(stream, queue))
    begun = time.monotonic()
    octets, start, first = 0, b"", begun
    final: Head | None = None
    try:
        while True:
            if pace is not None and octets:
                await pace()
            try:
                data = bytes(await stream.read())
                found = exchange.receive(data) if data else exchange.receive_eof()
            except TruncatedError:
                found = exchange.receive_eof()
                data = b""
            for event in found:
                if isinstance(event, Head):
                    first = time.monotonic()
                    final = final if event.informational else event
                    tell(Answered(event, first - begun))
                elif isinstance(event, Body):
                    octets += len(event.data)
                    start += event.data[: START - len(start)]
                    take(final, event.data)
                elif isinstance(event, Done):
                    tell(Received(octets, time.monotonic() - first, start, complete=True, trailers=event.trailers))
                    return
            if most_body is not None and octets > most_body:
                tell(Received(octets, time.monotonic() - first, start, complete=False, stopped=True))
                return
            if not data:
                return
            out = exchange.output()
            if out:
                queue.put_nowait(out)
    except BaseException:
        if final is not None:
            tell(Received(octets, time.monotonic() - first, start, complete=False))
        raise
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)


async def _written(stream: Stream, queue: asyncio.Queue[bytes]) -> None:
    """Write what is queued, in order; what goes wrong with it shows where the answer is read."""
    while True:
        data = await queue.get()
        try:
            await stream.write(data)
        except (OSError, PeerError):
            return


async def goodbye(exchange: Exchange, stream: Stream, drain: float) -> None:
    """Say what HTTP has to say at the end, and close; ``drain`` in seconds."""
    try:
        last = exchange.goodbye()
        if last:
            await stream.write(last)
    except (OSError, PeerError):
        pass
    await stream.close(drain=drain)


def shown(request: Request, two: bool) -> Fields:
    """The fields as they go out, without those that the request's line tells; ``two`` says that it is HTTP/2."""
    if not two:
        return tuple(client1.fields_of(request))
    told = (":method", ":scheme", ":path")
    return tuple([one for one in client2.fields_of(request) if one[0] not in told])
