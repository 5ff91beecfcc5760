"""What a peer of the matrix is: a program or a library in one role, how to ask it, and what it cannot do."""

from __future__ import annotations

import json
import re
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from synfin.http.client import Request
from synfin.http.client2 import Http2
from tests.interop.cells import NAME, Cell, Told
from tests.interop.ours import Asked


class Peer(Protocol):
    """A foreign program or library."""

    name: str

    def missing(self) -> str:
        """Why it cannot be run here, or ""."""
        ...

    def version(self) -> str:
        """Its own words for what it is."""
        ...

    def cannot(self, cell: Cell) -> str:
        """Why a cell is empty for it, or ""."""
        ...


class ClientPeer(Peer, Protocol):
    """A foreign client of our server."""

    def run(self, cells: dict[str, Cell], ports: dict[str, int], folder: Path) -> dict[str, tuple[Any, Told] | str]:
        """Ask for /connection of each cell's port: our answer's ``tls`` and the peer's words, or what went wrong."""
        ...


class ServerPeer(Peer, Protocol):
    """A foreign server for our client."""

    def serving(self, cells: dict[str, Cell], folder: Path) -> AbstractContextManager[dict[str, int]]:
        """Serve each cell on a port of its own."""
        ...

    def told(self, cell: Cell, asked: Asked) -> Told:
        """What it said of the connection, in the body of its answer or elsewhere."""
        ...


class EachCell:
    """A client that is asked cell by cell, by ``ask``."""

    def run(self, cells: dict[str, Cell], ports: dict[str, int], folder: Path) -> dict[str, tuple[Any, Told] | str]:
        found: dict[str, tuple[Any, Told] | str] = {}
        for name, cell in cells.items():
            try:
                found[name] = self.ask(cell, ports[name], folder)
            except (OSError, ValueError, subprocess.TimeoutExpired) as error:
                found[name] = f"{type(error).__name__}: {error}"
        return found

    def ask(self, cell: Cell, port: int, folder: Path) -> tuple[Any, Told]:
        raise NotImplementedError


def get(port: int, alpn: str) -> bytes:
    """A request for /connection as octets, for peers that speak no HTTP; the server closes after it."""
    if alpn != "h2":
        return f"GET /connection HTTP/1.1\r\nHost: {NAME}:{port}\r\nConnection: close\r\n\r\n".encode()
    talk = Http2(Request("GET", "https", f"{NAME}:{port}", "/connection"))
    return talk.output() + talk.goodbye()


def tls_of(output: bytes) -> Any:
    """The ``tls`` part of /connection in what a program printed.  ValueError when it is not there."""
    start = output.find(b'{\n  "client"')
    if start < 0:
        raise ValueError(f"no answer in {output[-800:]!r}")
    return json.JSONDecoder().raw_decode(output[start:].decode("latin-1"))[0]["tls"]


def complaint(text: str, *patterns: str) -> str:
    """The first of the patterns found in what a program printed, else the end of that."""
    found = (between(text, pattern) for pattern in patterns)
    return next((words for words in found if words), text[-300:].strip())


def between(text: str, pattern: str) -> str | None:
    """The first group of a pattern in a text."""
    found = re.search(pattern, text)
    return found.group(1).strip() if found else None
