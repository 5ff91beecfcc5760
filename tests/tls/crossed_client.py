"""A raw client of both versions for ``test_crossed_server``: it offers anything, and believes nothing it is told.

What it makes and checks comes from the RFCs by ``crossed_keys``, not from the engine.  ``play`` goes through one
connection, full or resumed, and raises ``Wrong`` where the server does what no RFC allows: a message out of place, an
extension that was not asked for, a signature or Finished that does not verify, a record beyond the limit.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, mlkem

from synfin.tls import Closed, Data, Event, Failed, Server
from synfin.tls.ffdhe import PRIMES
from tests.tls import crossed_keys as k
from tests.tls.crossed_keys import u16, vec
from tests.tls.ends import NAME, NOW

CCS, ALERT, HANDSHAKE, DATA = 20, 21, 22, 23
CHANGE = b"\x14\3\3\0\1\1"
HRR = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
SCHEMES = (0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0804, 0x0805, 0x0806, 0x0809, 0x080A, 0x080B, 0x0401, 0x0904)


class Wrong(AssertionError):
    """The server did what it must not."""


class Told(Exception):
    """The server sent this alert."""

    def __init__(self, level: int, description: int) -> None:
        super().__init__(f"{level} {description}")
        self.level, self.description = level, description


class Silent(Exception):
    """Nothing more comes."""


def need(held: object, *words: object) -> None:
    if not held:
        raise Wrong(*words)


@dataclass(frozen=True)
class Ask:
    """What the client offers, and how it cuts its octets; None leaves an extension out."""

    versions: tuple[int, ...] | None = (0x0304, 0x0303)
    suites: tuple[int, ...] = tuple(k.SUITES_13) + tuple(k.SUITES_12)
    groups: tuple[int, ...] | None = (29, 23, 24, 25, 30, 256, k.MLKEM)
    shares: tuple[int, ...] = (29,)
    schemes: tuple[int, ...] | None = SCHEMES
    session_id: int = 32
    name: str | None = NAME
    alpn: tuple[bytes, ...] = ()
    limit: int | None = None  # record_size_limit
    fragment: int | None = None  # max_fragment_length
    ems: bool = True
    etm: bool = False
    ticket: bytes | None = None
    modes: tuple[int, ...] | None = (1,)
    status: bool = False
    info: bool = True  # renegotiation_info, or the suite that stands for it
    more: tuple[tuple[int, bytes], ...] = ()
    order: int = 0  # of the extensions
    cert: str | None = None
    segment: int = 0  # octets the server gets at a time; 0: all
    piece: int = 1 << 14  # octets of a handshake message in a record
    join: bool = False  # messages share records
    changes: int = 1  # ChangeCipherSpecs of compatibility mode, each time


@dataclass
class Ticket:
    """What makes a session: TLS 1.3's key, or TLS 1.2's master secret."""

    suite: int
    secret: bytes
    ticket: bytes = b""
    add: int = 0
    early: int = 0
    session_id: bytes = b""
    lifetime: int = 0


@dataclass
class Found:
    """What came of a connection."""

    version: int = 0
    suite: int = 0
    group: int = 0
    retried: bool = False
    resumed: bool = False
    early: bool = False
    kind: str = ""
    alert: int | None = None
    extensions: set[int] = field(default_factory=set)
    tickets: list[Ticket] = field(default_factory=list)


def kind_of(leaf: bytes) -> tuple[str, Any]:
    """The kind of a certificate's key, and the key."""
    public: Any = x509.load_der_x509_certificate(leaf).public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        return f"p{public.curve.key_size}", public
    name = type(public).__name__.removesuffix("PublicKey").lower()
    return {"rsa": "rsa2048", "mldsa44": "ml-dsa-44", "mldsa65": "ml-dsa-65"}.get(name, name), public


def prove(public: Any, scheme: int, signature: bytes, data: bytes) -> None:
    public.verify(signature, data, *k.arguments(scheme))


def generated(group: int) -> tuple[Any, bytes]:
    """A key share and what opens the answer."""
    if group == k.MLKEM:
        key, (inner, share) = mlkem.MLKEM768PrivateKey.generate(), k.elliptic(29)
        return (key, inner), key.public_key().public_bytes_raw() + share
    if group not in PRIMES:
        return k.elliptic(group)
    exponent, p = int.from_bytes(os.urandom(32), "big"), PRIMES[group]
    return exponent, pow(2, exponent, p).to_bytes(p.bit_length() // 8, "big")


def shared(group: int, private: Any, share: bytes) -> bytes:
    if group == k.MLKEM:
        need(len(share) == 1120, "length of a hybrid share")
        return bytes(private[0].decapsulate(share[:1088])) + k.meet(29, private[1], share[1088:])
    if group not in PRIMES:
        return k.meet(group, private, share)
    p = PRIMES[group]
    need(len(share) == p.bit_length() // 8 and 1 < int.from_bytes(share, "big") < p - 1, "finite-field share")
    return pow(int.from_bytes(share, "big"), private, p).to_bytes(len(share), "big")


def split(block: bytes) -> dict[int, bytes]:
    """Extensions, each once."""
    found: dict[int, bytes] = {}
    while block:
        number, size = int.from_bytes(block[:2], "big"), int.from_bytes(block[2:4], "big")
        need(number not in found and len(block) >= 4 + size, "extensions", number)
        found[number], block = block[4 : 4 + size], block[4 + size :]
    return found


def with_key(hello: bytes, offers: Sequence[tuple[Ticket, str]], age: int, before: bytes) -> bytes:
    """A hello with pre_shared_key at its end; each offer has the name of its hash."""
    sizes = [len(k.hashed(name, b"")) for _, name in offers]
    room = 2 + sum(1 + size for size in sizes)
    names = vec(b"".join([vec(t.ticket) + ((t.add + age) % (1 << 32)).to_bytes(4, "big") for t, _ in offers]))
    at = 39 + hello[38]
    at += 2 + int.from_bytes(hello[at : at + 2], "big")
    at += 1 + hello[at]
    body = hello[4:at] + u16(len(hello) - at - 2 + 4 + len(names) + room) + hello[at + 2 :]
    body += u16(41, len(names) + room) + names
    cut = b"\1" + (len(body) + room).to_bytes(3, "big") + body
    proofs = b""
    for (ticket, name), size in zip(offers, sizes, strict=True):
        early = k.hkdf_extract(name, b"", ticket.secret)
        key = k.expand_label(name, k.derive(name, early, "res binder", b""), "finished", b"", size)
        proofs += vec(k.hkdf_extract(name, key, k.hashed(name, before + cut)), 1)
    return cut + vec(proofs)


class Client:
    """One connection to a server in memory.  ``edit`` may replace any message before it goes out, or add octets."""

    def __init__(self, end: Server, ask: Ask, edit: Callable[[Client, bytes], bytes] | None = None) -> None:
        self.end, self.ask, self.edit = end, ask, edit
        self.out: k.Keys | None = None
        self.into: k.Keys | None = None
        self.said = self.held = self.part = self.waits = b""
        self.name = "sha256"
        self.now = NOW
        self.new = False
        self.piece = ask.piece
        self.most = self.most_clear = 1 << 14  # octets of content in a record of the server's
        self.changes = 0
        self.events: list[Event] = []
        self.data = b""

    # ------------------------------------------------------------ out

    def send(self, octets: bytes) -> None:
        step = self.ask.segment or len(octets) or 1
        for at in range(0, len(octets), step):
            self.end.receive(octets[at : at + step], self.now)

    def record(self, kind: int, content: bytes, pad: int = 0) -> bytes:
        if self.out is None:
            return bytes([kind, 3, 3]) + vec(content)
        return self.out.seal(kind, content, pad)

    def put(self, kind: int, content: bytes, pad: int = 0) -> None:
        self.send(self.record(kind, content, pad))

    def say(self, raw: bytes) -> None:
        """A handshake message."""
        if self.edit is not None:
            raw = self.edit(self, raw)
        self.said += raw
        self.waits += raw
        if not self.ask.join:
            self.flush()

    def flush(self) -> None:
        raw, self.waits = self.waits, b""
        for at in range(0, len(raw), self.piece):
            self.put(HANDSHAKE, raw[at : at + self.piece])

    # ------------------------------------------------------------ in

    def _octets(self) -> bytes:
        while (event := self.end.next_event()) is not None:
            self.events.append(event)
        return bytes(self.end.take_output(self.now))

    def next_record(self) -> tuple[int, bytes]:
        self.held += self._octets()
        if not self.held:
            raise Silent
        size = 5 + int.from_bytes(self.held[3:5], "big")
        raw, self.held = self.held[:size], self.held[size:]
        need(len(raw) == size and raw[1:3] == b"\3\3", "a record", raw[:5])
        if raw[0] == CCS:
            need(raw == CHANGE, "ChangeCipherSpec", raw)
            return CCS, b"\1"
        if self.into is None:
            kind, content, length = raw[0], raw[5:], size - 5
        else:
            kind, content, pad = self.into.open(raw)
            length = len(content) + (pad if self.new else 0)
        most = self.most_clear if self.into is None else self.most
        need(length <= most, "a longer record than agreed", length, most)
        need(content or kind == DATA, "a record of nothing", kind)
        return kind, content

    def next(self) -> bytes:
        """The next handshake message; ChangeCipherSpec, in TLS 1.2, as b"ccs"."""
        while len(self.part) < 4 or len(self.part) < 4 + int.from_bytes(self.part[1:4], "big"):
            kind, content = self.next_record()
            need(kind in (CCS, HANDSHAKE) or not self.part, "the rest of a message", kind)
            if kind == ALERT:
                need(len(content) == 2, "an alert of two octets")
                raise Told(*content)
            if kind == CCS:
                self.changes += 1
                if not self.new:
                    return b"ccs"
            elif kind == HANDSHAKE:
                self.part += content
            else:
                self.data += content
        size = 4 + int.from_bytes(self.part[1:4], "big")
        raw, self.part = self.part[:size], self.part[size:]
        return raw

    def want(self, kind: int) -> bytes:
        """The next message, which must be of this kind; it joins the transcript."""
        raw = self.next()
        need(raw[0] == kind and raw != b"ccs", "message", raw[0], "instead of", kind)
        self.said += raw
        return raw

    def digest(self) -> bytes:
        return k.hashed(self.name, self.said)

    def answer(self) -> int | str:
        """What the server made of all that was said: an alert, "closed", "done" or "waits"."""
        self._octets()
        for event in self.events:
            if isinstance(event, Failed):
                return event.alert if event.alert is not None else "closed"
        if any(isinstance(event, Closed) for event in self.events):
            return "closed"
        return "done" if self.end.facts is not None else "waits"

    def heard(self) -> bytes:
        """Data that the server got."""
        self._octets()
        return b"".join([event.data for event in self.events if isinstance(event, Data)])

    # ------------------------------------------------------------ the hello

    def extensions(self, shares: bytes, early: bool) -> list[tuple[int, bytes]]:
        ask = self.ask
        optional: dict[int, bytes | None] = {
            0: None if ask.name is None else vec(b"\0" + vec(ask.name.encode())),
            1: None if ask.fragment is None else bytes([ask.fragment]),
            5: b"\1\0\0\0\0" if ask.status else None,
            10: None if ask.groups is None else vec(u16(*ask.groups)),
            11: b"\1\0",
            13: None if ask.schemes is None else vec(u16(*ask.schemes)),
            16: vec(b"".join([vec(name, 1) for name in ask.alpn])) if ask.alpn else None,
            22: b"" if ask.etm else None,
            23: b"" if ask.ems else None,
            28: None if ask.limit is None else u16(ask.limit),
            35: ask.ticket,
            42: b"" if early else None,
            43: None if ask.versions is None else vec(u16(*ask.versions), 1),
            45: None if ask.modes is None else vec(bytes(ask.modes), 1),
            51: None if ask.versions is None or ask.groups is None else vec(shares),
            0xFF01: b"\0" if ask.info else None,
        }
        found = [(number, body) for number, body in optional.items() if body is not None] + list(ask.more)
        random.Random(ask.order).shuffle(found)
        return found

    def hello(self, extensions: list[tuple[int, bytes]], chance: bytes, session_id: bytes) -> bytes:
        ask = self.ask
        suites = ask.suites if ask.info else (*ask.suites, 0x00FF)
        body = b"\3\3" + chance + vec(session_id, 1) + vec(u16(*suites)) + b"\1\0" + k.block(extensions)
        return k.message(1, body)
