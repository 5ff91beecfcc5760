"""A client's side of one HTTP exchange, sans-I/O: what to ask, and what may come of it (RFC 9110).

``client1`` speaks HTTP/1.1, ``client2`` HTTP/2; both are an ``Exchange``, octets in and out, what came as events.  They
decide what goes on the wire and what the answer is; connections, time-outs and redirects are the driver's.  Bodies
come as they are: nothing is decompressed, so no small answer becomes a large one.  A server cannot make a client hold
more than ``Limits``; whatever it does wrong is a PeerError named in ``spec.violations``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from synfin.errors import UsageError

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a server may make us hold or look at."""

    head: int = 1 << 18  # octets of a head
    informational: int = 32  # answers of class 1xx
    idle: int = 2000  # events without data in a row (pings, settings, empty frames)


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask.  ``fields`` are written in this order, Host (or :authority) first; ``target`` begins with "/"."""

    method: str
    scheme: str
    authority: str
    target: str
    fields: Fields = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an answer; ``informational`` ones (1xx) come before the final one."""

    status: int
    reason: str
    version: str  # "1.0", "1.1", "2"
    fields: Fields
    informational: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """A piece of the body, never empty, as it came (still content-coded)."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Done:
    """The answer is complete."""

    trailers: Fields = ()


Answer = Head | Body | Done


class Exchange(Protocol):
    """One request and its answer on a fresh connection."""

    def output(self) -> bytes:
        """Octets for the server, b"" when there are none now."""

    def receive(self, data: bytes) -> list[Answer]:
        """Take octets of the server.  PeerError for what they must not be."""

    def receive_eof(self) -> list[Answer]:
        """The server sends no more.  PeerError where something is missing."""

    def goodbye(self) -> bytes:
        """What is to be sent before closing."""


def checked(request: Request) -> Request:
    """``request`` if it can be sent.  UsageError for a method, a target or a field that no server could read."""
    if not request.method.isascii() or not all(c.isalnum() or c in "!#$%&'*+-.^_`|~" for c in request.method):
        raise UsageError(f"-X {request.method!r}: a method is a word of letters, such as GET or POST")
    if request.method == "CONNECT":
        raise UsageError("-X CONNECT asks a proxy for a tunnel; this is not a proxy client")
    for name, value in request.fields:
        if not name or not name.isascii() or not all(c.isalnum() or c in "!#$%&'*+-.^_`|~" for c in name):
            raise UsageError(f"-H {name!r}: not a field name")
        if any(c in "\r\n\0" for c in value):
            raise UsageError(f"-H {name}: a value cannot hold line breaks")
    return request


def text(data: bytes) -> str:
    """What a server said, an octet a character."""
    return data.decode("latin-1")


def octets(text: str) -> bytes:
    """As it is where it fits an octet a character, else UTF-8: what people type."""
    try:
        return text.encode("latin-1") if text.isascii() else text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape")
