"""A TLS 1.3 client that says exactly what a test tells it to, and notes what the server answers.

It keeps no rules of its own: each message and each record is made where the test asks for it, and may be anything.
Only keys follow RFC 8446.  It talks to an engine in memory (``Memory``) or, by the same two verbs, to anything else.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from synfin.spec import keys
from synfin.spec.protection import Protection, opener_13
from synfin.tls import Event, Failed, Server, groups
from synfin.tls.schedule import Schedule, binder, early_traffic, suite_hash
from synfin.tls.signing import context_13, sign
from tests.support.tlsoctets import message, record, vector
from tests.tls.ends import NAME, NOW, credential, events, server, server_config

CCS, ALERT, HANDSHAKE, DATA = 20, 21, 22, 23
HRR = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
SCHEMES = (0x0403, 0x0503, 0x0603, 0x0807, 0x0804, 0x0805, 0x0806, 0x0809, 0x0401)


def numbers(values: Sequence[int], size: int = 2, width: int = 2) -> bytes:
    """A vector of numbers of ``width`` octets."""
    return vector(b"".join([value.to_bytes(width, "big") for value in values]), size)


def share(group: int, key: bytes) -> bytes:
    """A KeyShareEntry."""
    return group.to_bytes(2, "big") + vector(key)


class AlertError(Exception):
    """The server ended the connection: with this alert, or without one (None)."""

    def __init__(self, alert: int | None, how: str = "") -> None:
        super().__init__(f"{alert} {how}")
        self.alert = alert


class OldError(Exception):
    """The server answered with TLS 1.2."""


class Way(Protocol):
    """What carries octets."""

    def send(self, data: bytes) -> None: ...

    def recv(self) -> bytes:
        """What came; b"" where nothing more does."""
        ...


class Memory:
    """A server of ours at the other end, which gets ``cut`` octets at a time, or all at once."""

    def __init__(self, end: Server, cut: int = 0) -> None:
        self.end = end
        self.cut = cut
        self.now = NOW
        self.events: list[Event] = []

    def send(self, data: bytes) -> None:
        cut = self.cut or len(data) or 1
        for at in range(0, len(data), cut):
            self.end.receive(data[at : at + cut], self.now)

    def recv(self) -> bytes:
        self.events += events(self.end)
        return bytes(self.end.take_output(self.now))


class Ticket:
    """What a NewSessionTicket gave, or a key that both know."""

    def __init__(self, identity: bytes, key: bytes, suite: int = 0x1301, age: int = 0, external: bool = False) -> None:
        self.identity, self.key, self.suite, self.age, self.external = identity, key, suite, age, external


class Raw13:
    """One connection."""

    def __init__(self, way: Way, *, suite: int = 0x1301, group: int = 29, entropy: Callable[[int], bytes]) -> None:
        self.way = way
        self.suite = suite
        self.entropy = entropy
        self.random, self.session_id = entropy(32), entropy(32)
        self.shares: dict[int, Any] = {}
        self.group = group
        self.said = b""  # handshake messages of both, for the transcript
        self.schedule: Schedule | None = None
        self.out: Protection | None = None
        self.into: Protection | None = None
        self.psk = b""
        self.held = b""
        self.partial = b""
        self.data = b""
        self.records: list[tuple[int, int]] = []  # what the server sent: type and octets of the fragment
        self.messages: list[bytes] = []
        self.tickets: list[Ticket] = []

    # ------------------------------------------------------------ hello

    def share(self, group: int) -> bytes:
        """A KeyShareEntry whose private key is kept; the same each time."""
        if group not in self.shares:
            self.shares[group] = groups.generate(group, self.entropy)
        return share(group, self.shares[group][1])

    def extensions(self) -> dict[int, bytes]:
        """Those of an ordinary hello."""
        return {
            0: vector(b"\0" + vector(NAME.encode())),
            10: numbers((29, 23, 24)),
            13: numbers(SCHEMES),
            43: numbers((0x0304,), 1),
            45: b"\1\1",
            51: vector(self.share(self.group)),
        }

    def hello(
        self,
        change: Mapping[int, bytes | None] | None = None,
        *,
        version: int = 0x0303,
        session_id: bytes | None = None,
        suites: bytes | None = None,
        compressions: bytes = b"\1\0",
        block: bytes | None = None,
        more: bytes = b"",
        tail: bytes = b"",
    ) -> bytes:
        """A ClientHello; ``change`` puts in, replaces or takes out (None) extensions; ``block`` is all of them."""
        found: dict[int, bytes | None] = {**self.extensions(), **(change or {})}
        if block is None:
            block = b"".join([n.to_bytes(2, "big") + vector(b) for n, b in found.items() if b is not None])
        body = b"".join(
            (
                version.to_bytes(2, "big"),
                self.random,
                vector(self.session_id if session_id is None else session_id, 1),
                numbers((self.suite,)) if suites is None else suites,
                compressions,
                vector(block + more),
                tail,
            )
        )
        return message(1, body)

    def with_psk(self, hello: bytes, tickets: Sequence[Ticket], before: bytes = b"") -> bytes:
        """A hello (made by ``hello``) with a pre_shared_key at its end; ``before`` is the transcript so far."""
        identities = vector(b"".join([vector(t.identity) + t.age.to_bytes(4, "big") for t in tickets]))
        sizes = [keys.hash_length(suite_hash(t.suite)) for t in tickets]
        room = sum(1 + size for size in sizes)
        extension = b"\0\x29" + (len(identities) + 2 + room).to_bytes(2, "big") + identities
        at = hello_block(hello)
        grown = len(extension) + 2 + room
        block = int.from_bytes(hello[at : at + 2], "big") + grown
        head = hello[4:at] + block.to_bytes(2, "big") + hello[at + 2 :] + extension
        cut = b"\1" + (len(head) + 2 + room).to_bytes(3, "big") + head
        proofs = b""
        for ticket in tickets:
            name = suite_hash(ticket.suite)
            digest = hashlib.new(name, before + cut).digest()
            proofs += vector(binder(name, ticket.key, digest, ticket.external), 1)
        return cut + vector(proofs)

    # ------------------------------------------------------------ out

    def say(self, raw: bytes, *, each: int = 1 << 14) -> Raw13:
        """A handshake message into the transcript and out, in records of ``each`` octets."""
        self.said += raw
        for at in range(0, len(raw), each):
            self.put(HANDSHAKE, raw[at : at + each])
        return self

    def raw(self, data: bytes) -> Raw13:
        """Octets as they are."""
        self.way.send(data)
        return self

    def put(self, kind: int, content: bytes, padding: int = 0) -> Raw13:
        """One record, under the keys that hold."""
        self.way.send(self.sealed(kind, content, padding))
        return self

    def sealed(self, kind: int, content: bytes, padding: int = 0) -> bytes:
        if self.out is None:
            return record(content, kind)
        return self.out.seal_record(kind, content, padding)

    def early_keys(self, ticket: Ticket) -> Raw13:
        """Seal with the keys of early data; the hello must be all that was said."""
        name = suite_hash(ticket.suite)
        digest = hashlib.new(name, self.said).digest()
        self.out = opener_13(ticket.suite, early_traffic(name, ticket.key, digest))
        return self

    def handshake_keys(self) -> Raw13:
        """Seal with the keys of the handshake."""
        assert self.schedule is not None
        self.out = self.schedule.protection(self.schedule.client)
        return self

    def certificate(self, body: bytes | None = None) -> Raw13:
        """Certificate: that of ``credential``, or this."""
        if body is None:
            body = b"\0" + vector(vector(credential(client=True).chain[0], 3) + b"\0\0", 3)
        self.say(message(11, body))
        return self

    def verify(self, key: Any = None, scheme: int = 0x0403) -> bytes:
        """A right CertificateVerify."""
        signature = sign(key or credential(client=True).key, scheme, context_13("client", self.digest()))
        return message(15, scheme.to_bytes(2, "big") + vector(signature))

    def verify_data(self) -> bytes:
        assert self.schedule is not None
        return self.schedule.verify_data(self.schedule.client, self.digest())

    def finish(self) -> Raw13:
        """Finished, and the keys after it."""
        self.say(message(20, self.verify_data()))
        self.application_keys()
        return self

    def application_keys(self) -> Raw13:
        assert self.schedule is not None
        self.schedule.finish(self.digest())
        self.out = self.schedule.protection(self.schedule.client_next)
        return self

    # ------------------------------------------------------------ in

    def digest(self) -> bytes:
        return hashlib.new(suite_hash(self.suite), self.said).digest()

    def next_record(self) -> tuple[int, bytes] | None:
        """The next record, opened; None where nothing more comes."""
        while len(self.held) < 5 or len(self.held) < 5 + int.from_bytes(self.held[3:5], "big"):
            came = self.way.recv()
            if not came:
                return None
            self.held += came
        size = 5 + int.from_bytes(self.held[3:5], "big")
        kind, fragment = self.held[0], self.held[5:size]
        self.held = self.held[size:]
        self.records.append((kind, len(fragment)))
        if kind == DATA and self.into is not None:
            return self.into.open_record(kind, 0x0303, fragment)
        return kind, fragment

    def next(self) -> bytes | None:
        """The next handshake message; data is kept, alerts raise ``AlertError``."""
        while True:
            size = 4 + int.from_bytes(self.partial[1:4], "big")
            if len(self.partial) >= 4 and len(self.partial) >= size:
                raw, self.partial = self.partial[:size], self.partial[size:]
                self.messages.append(raw)
                return raw
            found = self.next_record()
            if found is None:
                return None
            kind, content = found
            if kind == ALERT:
                raise AlertError(content[1], f"level {content[0]}")
            if kind == HANDSHAKE:
                self.partial += content
            elif kind == DATA:
                self.data += content

    def expect(self, kind: int) -> bytes:
        """The next message, which must be of this kind."""
        raw = self.next()
        if raw is None:
            raise AlertError(None, "silence")
        assert raw[0] == kind, f"message {raw[0]}, not {kind}"
        return raw

    def server_hello(self) -> bytes:
        """ServerHello or HelloRetryRequest; after the former the handshake's keys hold for reading and writing."""
        raw = self.expect(2)
        retry = raw[6:38] == HRR
        at = 39 + raw[38]
        self.suite = int.from_bytes(raw[at : at + 2], "big")
        if retry:
            self.said = message(254, self.digest()) + raw
            return raw
        self.said += raw
        found = split(raw[at + 5 :])
        if 43 not in found:
            raise OldError
        group, key = int.from_bytes(found[51][:2], "big"), found[51][4:]
        self.group = group
        psk = self.psk if 41 in found else b""
        shared = groups.agree(group, self.shares[group][0], key)
        self.schedule = Schedule(self.suite, psk, shared, self.digest())
        self.into = self.schedule.protection(self.schedule.server)
        self.handshake_keys()
        return raw

    def flight(self) -> Raw13:
        """Everything up to the server's Finished."""
        self.server_hello()
        self.rest_of_flight()
        return self

    def rest_of_flight(self) -> Raw13:
        assert self.schedule is not None
        while True:
            raw = self.next()
            if raw is None:
                raise AlertError(None, "silence")
            self.said += raw
            if raw[0] == 20:
                break
        self.schedule.application(self.digest())
        self.into = self.schedule.protection(self.schedule.server_next)
        return self

    def shake(self, hello: bytes | None = None) -> Raw13:
        """A whole handshake."""
        self.say(self.hello() if hello is None else hello)
        self.flight()
        self.finish()
        return self

    def late(self) -> Raw13:
        """What comes after the handshake, until nothing does: tickets are kept."""
        while (raw := self.next()) is not None:
            if raw[0] == 4 and self.schedule is not None:
                nonce = raw[13 : 13 + raw[12]]
                at = 13 + raw[12]
                identity = raw[at + 2 : at + 2 + int.from_bytes(raw[at : at + 2], "big")]
                age = int.from_bytes(raw[8:12], "big")
                self.tickets.append(Ticket(identity, self.schedule.ticket_psk(nonce), self.suite, age))
        return self

    def updated(self, *, reading: bool = False) -> Raw13:
        """The next keys after a KeyUpdate, of ours or of the server."""
        for name in ("into",) if reading else ("out",):
            setattr(self, name, getattr(self, name).updated())
        return self


def split(block: bytes) -> dict[int, bytes]:
    """Number -> body of an extension block without its length."""
    found, at = {}, 0
    while at < len(block):
        size = int.from_bytes(block[at + 2 : at + 4], "big")
        found[int.from_bytes(block[at : at + 2], "big")] = block[at + 4 : at + 4 + size]
        at += 4 + size
    return found


def hello_block(hello: bytes) -> int:
    """Where the extension block's length stands in a ClientHello message."""
    at = 39 + hello[38]
    at += 2 + int.from_bytes(hello[at : at + 2], "big")
    return at + 1 + hello[at]


def connect(end: Server | None = None, *, cut: int = 0, **more: Any) -> Raw13:
    """A raw client of a server in memory."""
    return Raw13(Memory(end or server(), cut), entropy=os.urandom, **more)


def verdict(client: Raw13, act: Callable[[Raw13], Any]) -> int | str | None:
    """What the server made of it: an alert, "ok" or "old" by the handshake, "waits", or None for an end."""
    try:
        act(client)
        client.late()
    except AlertError as error:
        return error.alert
    except OldError:
        return "old"
    way = client.way
    assert isinstance(way, Memory)
    assert not [event for event in way.events if isinstance(event, Failed)]
    if way.end.closed:
        return None
    return "ok" if way.end.facts is not None else "waits"


@dataclass(frozen=True)
class Row:
    """A requirement as a script: section, what is said, by whom, what must come of it, and the server's settings."""

    section: str
    words: str
    act: Callable[[Raw13], Any]
    want: int | str | None
    more: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.section} {self.words}"

    def play(self, cut: int = 0) -> int | str | None:
        """What came of it, the server being given ``cut`` octets at a time."""
        return verdict(connect(server(server_config(**self.more)), cut=cut), self.act)


def flown(act: Callable[[Raw13], Any]) -> Callable[[Raw13], Any]:
    """What comes after the server's flight."""
    return lambda c: act(c.say(c.hello()).flight())
