"""A client on a real socket that says wrong things, and notes what the server answers, record by record, to the end."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from synfin import tls
from synfin.tls import Client, ClientConfig
from synfin.wire.tls.extensions import Extension
from synfin.wire.tls.messages import ClientHello, parse_handshake, write_handshake
from tests.support.tlsoctets import NEW, OLD

Lie = Callable[[bytes], bytes]
REQUEST = b"GET /json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Evil(Client):
    """A client whose messages pass ``lies``, whose records ``cutter`` may cut, and that never sends an alert itself."""

    lies: dict[int, Lie] = {}
    cutter = 1 << 14
    change: Callable[[Evil], None] | None = None

    def say_raw(self, raw: bytes) -> bytes:
        raw = self.lies.get(raw[0], bytes)(raw)
        return super().say_raw(raw) if raw else raw

    def seal(self, kind: int, content: Any) -> None:
        for at in range(0, len(content) or 1, self.cutter):
            super().seal(kind, content[at : at + self.cutter])

    def send_ccs(self) -> None:
        if self.change is None:
            super().send_ccs()
        else:
            type(self).change(self)  # type: ignore[misc]

    def alert(self, level: int, description: int) -> None:
        if description == 0:
            super().alert(level, description)


@dataclass
class Seen:
    """What a server said: alerts as (level, description), how the transport ended, data, and events of the client."""

    alerts: list[tuple[int, int]] = field(default_factory=list)
    end: str = ""
    data: bytes = b""
    events: list[tls.Event] = field(default_factory=list)
    types: list[int] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """``ok`` for an answer with a clean end, the alerts else; with the end where it was no FIN."""
        told = " ".join(f"{level}:{number}" for level, number in self.alerts)
        if self.data.startswith(b"HTTP/1.") and b" 200 " in self.data[:16] and self.alerts[-1:] == [(1, 0)]:
            told = told.removesuffix("1:0") + "ok"
        if self.alerts and self.types[-1] not in (21, 23):
            told += " and more"
        return told if self.end == "FIN" else f"{told} {self.end}"


class Talk:
    """One connection of an ``Evil`` client to ``port``."""

    def __init__(self, port: int, version: int | None = None, *, session: Any = None, **more: Any) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), 10)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        traits: dict[str, Any] = {name: more.pop(name) for name in ("lies", "cutter", "change") if name in more}
        name = more.pop("name", "localhost")
        limits = {"max_version": OLD} if version == OLD else {"min_version": NEW} if version == NEW else {}
        config = ClientConfig(
            **{"verify": tls.accept_any_certificate, "groups": (29, 23, 24), "grease": False, **limits, **more}
        )
        kind = type("Told", (Evil,), traits)
        self.end: Evil = kind(config, name, now=time.time(), entropy=os.urandom, session=session)
        self.seen = Seen()
        self._held = b""

    def send(self, data: bytes) -> None:
        try:
            self.sock.sendall(data)
        except OSError as error:
            self.seen.end = self.seen.end or type(error).__name__

    def push(self) -> None:
        if out := self.end.take_output(time.time()):
            self.send(bytes(out))

    def pull(self, wait: float = 10.0) -> None:
        """What comes within ``wait`` seconds."""
        self.sock.settimeout(wait)
        try:
            data = self.sock.recv(1 << 16)
        except TimeoutError:
            self.seen.end = "HANG"
            return
        except OSError as error:
            self.seen.end = type(error).__name__
            return
        if not data:
            self.seen.end = "FIN"
        self._held += data
        while len(self._held) >= 5 and len(self._held) >= (size := 5 + int.from_bytes(self._held[3:5], "big")):
            self._record(self._held[:size])
            self._held = self._held[size:]

    def _record(self, raw: bytes) -> None:
        seen = self.seen
        seen.types.append(raw[0])
        clear = raw[0] == 21 and len(raw) == 7
        if clear:
            seen.alerts.append((raw[5], raw[6]))
        self.end.receive(raw, time.time())
        while (event := self.end.next_event()) is not None:
            seen.events.append(event)
            if isinstance(event, tls.Data):
                seen.data += event.data
            elif clear:
                continue
            elif isinstance(event, tls.PeerAlert):
                seen.alerts.append((2 if event.fatal else 1, event.description))
            elif isinstance(event, tls.Closed) and event.clean:
                seen.alerts.append((1, 0))

    def shake(self) -> bool:
        """Whether the handshake is done."""
        while self.end.facts is None and not self.end.closed and not self.seen.end:
            self.push()
            self.pull()
        self.push()
        return self.end.facts is not None

    def ask(self, request: bytes = REQUEST) -> Seen:
        """A request, its answer, and the end."""
        if self.end.ready:
            self.end.send(request)
        return self.finish()

    def finish(self) -> Seen:
        """All that still comes."""
        while not self.seen.end:
            self.push()
            self.pull()
        self.sock.close()
        return self.seen


def edited(hello: bytes, **fields: Any) -> bytes:
    """A ClientHello message with other fields."""
    parsed = parse_handshake(1, hello[4:])
    assert isinstance(parsed, ClientHello)
    return write_handshake(replace(parsed, **fields))


def extended(number: int, body: bytes | None) -> Lie:
    """A ClientHello with this body for an extension, or without it."""

    def lie(raw: bytes) -> bytes:
        parsed = parse_handshake(1, raw[4:])
        assert isinstance(parsed, ClientHello)
        found = dict(parsed.extensions or ())
        others = {name: value for name, value in found.items() if name != number}
        if body is None:
            return edited(raw, extensions=tuple(Extension(*entry) for entry in others.items()))
        made = {
            **({} if number in found else {number: body}),
            **{n: body if n == number else b for n, b in found.items()},
        }
        return edited(raw, extensions=tuple(Extension(*entry) for entry in made.items()))

    return lie
