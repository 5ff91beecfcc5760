"""Happy eyeballs: connecting to a name with several addresses without waiting for the bad ones (RFC 8305).

Addresses are tried in turn, families alternating, IPv6 first; the next attempt starts when one has failed or after
250 ms, and the first connection wins: the others are given up.  What became of each attempt is kept.  How one
connection is made is the caller's: the kernel's sockets or any other stack.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Generic, TypeVar

from synfin.drive.pipe import Pipe
from synfin.drive.streams import SocketPipe

#: Seconds between two attempts (RFC 8305 5, Connection Attempt Delay).
DELAY = 0.25

Address = tuple[str, int]
P = TypeVar("P", bound=Pipe)


@dataclass(slots=True)
class Attempt:
    """One attempt: ``fate`` is "connected", "refused", "unreachable", "timed out", "given up", "failed" or "" (runs).

    ``start`` and ``seconds`` are of the clock that stands still for nobody (time.monotonic); who makes the connection
    sets ``start`` again when its first packet goes out.
    """

    address: str
    port: int
    start: float
    seconds: float = 0.0
    fate: str = ""
    why: str = ""  # the system's words
    number: int = 0  # errno, 0 where there is none


@dataclass(slots=True)
class Race(Generic[P]):
    """How it went: the connection that won, None where none did, and every attempt in the order they were started."""

    pipe: P | None
    attempts: list[Attempt]


def interleave(addresses: Iterable[str]) -> list[str]:
    """IPv6 and IPv4 by turns, each in its own order, IPv6 first (RFC 8305 4)."""
    listed = list(dict.fromkeys(addresses))
    six = [one for one in listed if ":" in one]
    four = [one for one in listed if ":" not in one]
    return [one for pair in zip_longest(six, four) for one in pair if one is not None]


_FATES = {
    errno.ECONNREFUSED: "refused",
    errno.ENETUNREACH: "unreachable",
    errno.EHOSTUNREACH: "unreachable",
    errno.EADDRNOTAVAIL: "unreachable",
    errno.EAFNOSUPPORT: "unreachable",
    errno.ETIMEDOUT: "timed out",
    errno.ECONNRESET: "reset",
}


async def race(
    addresses: Iterable[Address],
    make: Callable[[Attempt], Awaitable[P]],
    told: Callable[[Attempt], None] | None = None,
    delay: float = DELAY,
) -> Race[P]:
    """Connect to the first of ``addresses`` that answers; ``told`` hears of every attempt that has ended.

    Cancelled (a time-out), no connection is left open and the attempts that ran are told as timed out.
    """
    todo = list(addresses)
    attempts: list[Attempt] = []
    running: dict[asyncio.Task[P], Attempt] = {}
    won: P | None = None

    def end(attempt: Attempt, fate: str, why: str = "", number: int = 0) -> None:
        attempt.seconds = time.monotonic() - attempt.start
        attempt.fate, attempt.why, attempt.number = fate, why, number
        if told is not None:
            told(attempt)

    async def one(attempt: Attempt) -> P:
        return await make(attempt)

    try:
        while won is None and (todo or running):
            if todo:
                address = todo.pop(0)
                attempt = Attempt(*address, time.monotonic())
                attempts.append(attempt)
                running[asyncio.create_task(one(attempt))] = attempt
            done, _ = await asyncio.wait(running, timeout=delay if todo else None, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                attempt = running.pop(task)
                error = task.exception()
                if isinstance(error, OSError):
                    number = error.errno or 0
                    words = os.strerror(number) if number else str(error)
                    end(attempt, _FATES.get(number, "failed"), words, number)
                elif error is not None:
                    raise error
                elif won is None:
                    won = task.result()
                    end(attempt, "connected")
                else:
                    task.result().abort()
                    end(attempt, "given up")
    except asyncio.CancelledError:
        for attempt in running.values():
            end(attempt, "timed out")
        raise
    finally:
        for task, attempt in running.items():
            task.cancel()
            if not attempt.fate:
                end(attempt, "given up")
        for late in await asyncio.gather(*running, return_exceptions=True):
            if not isinstance(late, BaseException):
                late.abort()
    return Race(won, attempts)


async def connect_socket(attempt: Attempt, before: Callable[[Address, int], None] | None = None) -> SocketPipe:
    """A connection of the kernel; ``before`` hears of the address and our port before the first packet goes out.

    OSError when it fails.
    """
    address = (attempt.address, attempt.port)
    host, _, scope = address[0].partition("%")
    six = ":" in host
    sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if before is not None:
            sock.bind(("::" if six else "0.0.0.0", 0))
            before(address, sock.getsockname()[1])
        target = (host, address[1], 0, _scope(scope)) if six else (host, address[1])
        attempt.start = time.monotonic()
        await asyncio.get_running_loop().sock_connect(sock, target)
        return SocketPipe(sock)
    except BaseException:
        sock.close()
        raise


def _scope(text: str) -> int:
    if not text:
        return 0
    return int(text) if text.isdigit() else socket.if_nametoindex(text)
