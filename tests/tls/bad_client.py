"""A TLS 1.2 client that says what a script tells it to, our own with its words edited; and servers to say it to.

An edit takes the client and the message that would go out, and gives the octets that do: nothing, another message or
several.  ``records`` does the same below, for what would be sealed; ``wire`` for octets already in records.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from synfin.errors import WireError
from synfin.spec.protection import Protection
from synfin.tls import Client, Closed, Failed, HandshakeDone, PeerAlert, Server, Session
from synfin.tls.config import OPTIONAL_SUITES, SUITES_12, ServerConfig
from synfin.wire.codec import Buffer
from synfin.wire.tls.messages import ClientHello, parse_handshake
from tests.support.tlsoctets import (
    OLD,
    record,
)
from tests.tls.edits import Edit
from tests.tls.ends import NAME, NOW, client_config, events, of, said, server_config

#: All suites of TLS 1.2, the weak ones too.
SUITES = SUITES_12 + tuple(code for code in OPTIONAL_SUITES if code >> 8 != 0x13)


Make = Callable[["BadClient"], bytes]
CHANGE = b"\x14\3\3\0\1\1"


class BadClient(Client):
    """``edits`` by message type; ``records`` may give the octets for what would be sealed; ``change`` is its CCS."""

    edits: dict[int, Edit] = {}
    records: Any = None
    change = CHANGE
    hello = b""

    def say_raw(self, raw: bytes) -> bytes:
        """See ``Endpoint``."""
        kind = raw[0]
        if kind in self.edits:
            raw = self.edits[kind](self, raw)
        if kind == 1:
            self.hello = raw
            self._asked(raw)
        return super().say_raw(raw) if raw else raw

    def _asked(self, raw: bytes) -> None:
        """Take answers to what was said, not to what was meant."""
        try:
            said = parse_handshake(1, raw[4:])
        except WireError:
            return
        assert isinstance(said, ClientHello)
        state: Any = self.state
        numbers = frozenset(extension.type for extension in said.extensions or ())
        self.state = replace(state, offer=replace(state.offer, extensions=numbers, session_id=said.session_id))

    def send_ccs(self) -> None:
        """See ``Endpoint``."""
        if self.change:
            self._out.append(self.change)

    def seal(self, kind: int, content: Buffer) -> None:
        """See ``Endpoint``."""
        made = self.records(kind, bytes(content)) if self.records is not None else None
        if made is None:
            super().seal(kind, content)
        else:
            self._out.append(made)

    def sealed(self, kind: int, content: bytes) -> bytes:
        """A record under the keys that hold."""
        sealer: Protection | None = self._sealer
        return record(content, kind) if sealer is None else bytes(sealer.seal_record(kind, content))


def scene(
    edits: dict[int, Edit] | None = None,
    *kinds: str,
    server: dict[str, Any] | ServerConfig | None = None,
    client: dict[str, Any] | None = None,
    session: Session | None = None,
    **attributes: Any,
) -> tuple[BadClient, Server]:
    """A bad client and a TLS 1.2 server that can do everything, with certificates of ``kinds`` (p256, rsa2048)."""
    kept = {**attributes, "edits": edits or {}}
    made = type("Scripted", (BadClient,), kept)
    mine = client_config(**{"max_version": OLD, "grease": False, "suites": SUITES, **(client or {})})
    one = made(mine, NAME, now=NOW, entropy=os.urandom, session=session)
    if not isinstance(server, ServerConfig):
        more = {"max_version": OLD, "suites": SUITES, **(server or {})}
        server = server_config(*(kinds or ("p256", "rsa2048")), **more)
    return one, Server(server, now=NOW, entropy=os.urandom)


Wire = Callable[[BadClient, bytes], bytes]


def carry(one: BadClient, two: Server, wire: Wire | None = None, rounds: int = 8) -> None:
    """Octets both ways until there are none; ``wire`` edits what the client sends."""
    for _ in range(rounds):
        data = bytes(one.take_output(NOW))
        if data:
            two.receive(wire(one, data) if wire else data, NOW)
        back = two.take_output(NOW)
        if back:
            one.receive(back, NOW)
        if not data and not back:
            return


def judged(one: BadClient, two: Server, alert: int | None) -> list[Any]:
    """The server's events: it ended with this one fatal alert, which reached the client, or (None) all went well."""
    found = events(two)
    failed = of(found, Failed)
    if alert is None:
        assert not failed, failed
        assert of(found, HandshakeDone)
        return found
    assert [event.alert for event in failed] == [alert], failed
    assert found[-1] == Closed(clean=False)
    told = of(events(one), PeerAlert)
    assert told[-1:] == [PeerAlert(alert, fatal=True)], told
    two.receive(record(b"\2\x28", 21), NOW)
    two.receive_eof(NOW)
    assert not two.take_output(NOW)
    assert not events(two)
    return found


def played(
    edits: dict[int, Edit] | None, alert: int | None, *kinds: str, wire: Wire | None = None, **more: Any
) -> Server:
    """A handshake with a bad client, and how it ended for the server."""
    one, two = scene(edits, *kinds, **more)
    carry(one, two, wire)
    judged(one, two, alert)
    return two


def connected(edits: dict[int, Edit] | None = None, *kinds: str, **more: Any) -> tuple[BadClient, Server]:
    """Both ends after a handshake that went well."""
    one, two = scene(edits, *kinds, **more)
    carry(one, two)
    assert one.facts is not None, (events(one), events(two))
    assert two.facts is not None
    events(one), events(two)
    return one, two


def turned(at: int) -> Make:
    """A good record with a bit of one octet wrong."""

    def make(one: BadClient) -> bytes:
        octets = bytearray(one.sealed(23, b"data"))
        octets[at] ^= 1
        return bytes(octets)

    return make


def settled(one: BadClient, two: Server, octets: bytes, alert: int | None) -> list[Any]:
    """What the server made of octets after the handshake; where it lives on, data still comes through."""
    two.receive(octets, NOW)
    if alert is None:
        two.receive(one.sealed(23, b"later"), NOW)
        found = events(two)
        assert not of(found, Failed), found
        assert said(found).endswith(b"later")
        return found
    found = events(two)
    assert [event.alert for event in of(found, Failed)] == [alert], found
    assert found[-1] == Closed(clean=False)
    one.receive(two.take_output(NOW), NOW)
    assert of(events(one), PeerAlert)[-1:] == [PeerAlert(alert, fatal=True)]
    return found
