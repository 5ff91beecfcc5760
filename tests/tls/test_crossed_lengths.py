"""Every length in every message of a client, one too small and one too large, alone and with all around it agreeing.

A strict reader of our own, written from the RFCs' presentation language, says whether what came of it is still a
message.  Where it is none the server says decode_error; where it is one, whatever that means, but never internal_error
and never nothing at all.  Doubled extensions and session ids of every length are here too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from synfin.tls import ReplayGuard
from tests.tls import crossed_keys as k
from tests.tls.crossed_client import Ask, Client, Silent
from tests.tls.crossed_shake import Offer, again, play
from tests.tls.ends import server, server_config, ticket_keys, verifier

ALL = tuple(k.SUITES_13) + tuple(k.SUITES_12)
DECODE, INTERNAL = 50, 80
MOST = 0xFFFF


class Bad(Exception):
    """No message."""


class Length(NamedTuple):
    """A length field: where, how wide, its name, and the fields around it."""

    at: int
    width: int
    name: str
    around: tuple[tuple[int, int], ...]


class Reader:
    """Reads strictly, and notes each length field."""

    def __init__(
        self, data: bytes, base: int, found: list[Length], name: str, around: tuple[tuple[int, int], ...] = ()
    ) -> None:
        self.data, self.base, self.found, self.name, self.around = data, base, found, name, around
        self.pos = 0

    @property
    def left(self) -> int:
        return len(self.data) - self.pos

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise Bad(self.name)
        self.pos += size
        return self.data[self.pos - size : self.pos]

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "big")

    def vector(self, width: int, least: int, most: int, name: str, unit: int = 0) -> Reader:
        """What stands in a vector; with ``unit`` it is taken, and must be of so many octets each."""
        at = self.base + self.pos
        name = f"{self.name}.{name}"
        size = self.number(width)
        self.found.append(Length(at, width, name, self.around))
        if not least <= size <= most or (unit and size % unit):
            raise Bad(name)
        inner = Reader(self.take(size), at + width, self.found, name, (*self.around, (at, width)))
        if unit:
            inner.take(size)
        return inner

    def end(self) -> None:
        if self.left:
            raise Bad(self.name)


def in_a_list(width: int, least: int, name: str, inner: int, after: int = 0) -> Callable[[Reader], None]:
    """A list of vectors of octets, each with ``after`` octets behind it."""

    def read(reader: Reader) -> None:
        items = reader.vector(width, least, MOST, name)
        while items.left:
            items.vector(inner, 1, 256**inner - 1, "item", 1)
            items.take(after)

    return read


def numbers(width: int, most: int, unit: int = 2) -> Callable[[Reader], None]:
    return lambda reader: void(reader.vector(width, unit, most, "numbers", unit))


def void(_: object) -> None:
    return None


def anything(reader: Reader) -> None:
    reader.take(reader.left)


def names(reader: Reader) -> None:
    items = reader.vector(2, 1, MOST, "names")
    while items.left:
        items.take(1)
        items.vector(2, 1, MOST, "name", 1)


def status(reader: Reader) -> None:
    if reader.number(1) != 1:
        reader.take(reader.left)
        return
    in_a_list(2, 0, "responders", 2)(reader)
    reader.vector(2, 0, MOST, "extensions", 1)


def keys(reader: Reader) -> None:
    items = reader.vector(2, 7, MOST, "identities")
    while items.left:
        items.vector(2, 1, MOST, "identity", 1)
        items.take(4)
    items = reader.vector(2, 33, MOST, "binders")
    while items.left:
        items.vector(1, 32, 255, "binder", 1)


def shares(reader: Reader) -> None:
    items = reader.vector(2, 0, MOST, "shares")
    while items.left:
        items.take(2)
        items.vector(2, 1, MOST, "key", 1)


#: Extension -> what it reads; others may hold anything.
BODIES: dict[int, Callable[[Reader], None]] = {
    0: names,
    1: lambda r: void(r.take(1)),
    5: status,
    10: numbers(2, MOST),
    11: numbers(1, 255, 1),
    13: numbers(2, MOST - 1),
    16: in_a_list(2, 2, "protocols", 1),
    18: void,
    22: void,
    23: void,
    27: numbers(1, 254),
    28: lambda r: void(r.take(2)),
    41: keys,
    42: void,
    43: numbers(1, 254),
    44: lambda r: void(r.vector(2, 1, MOST, "cookie", 1)),
    45: numbers(1, 255, 1),
    47: in_a_list(2, 3, "authorities", 2),
    49: void,
    50: numbers(2, MOST - 1),
    51: shares,
    0xFF01: lambda r: void(r.vector(1, 0, 255, "info", 1)),
}


def hello(reader: Reader) -> None:
    reader.take(34)
    reader.vector(1, 0, 32, "session_id", 1)
    reader.vector(2, 2, MOST - 1, "cipher_suites", 2)
    reader.vector(1, 1, 255, "compression_methods", 1)
    if reader.left:
        items = reader.vector(2, 0, MOST, "extensions")
        while items.left:
            number = items.number(2)
            body = items.vector(2, 0, MOST, f"[{number}]")
            BODIES.get(number, anything)(body)
            body.end()


def certificate(reader: Reader, new: bool) -> None:
    if new:
        reader.vector(1, 0, 255, "context", 1)
    items = reader.vector(3, 0, 1 << 24, "list")
    while items.left:
        items.vector(3, 1, 1 << 24, "certificate", 1)
        if new:
            more = items.vector(2, 0, MOST, "extensions")
            while more.left:
                more.take(2)
                more.vector(2, 0, MOST, "body", 1)


def lengths(raw: bytes, kex: str) -> list[Length]:
    """The length fields of a message; ``kex`` is "13" for TLS 1.3.  Bad where it is none."""
    found: list[Length] = []
    reader = Reader(raw[4:], 4, found, str(raw[0]), ((1, 3),))
    if raw[0] == 1:
        hello(reader)
    elif raw[0] == 11:
        certificate(reader, kex == "13")
    elif raw[0] == 15:
        reader.take(2)
        reader.vector(2, 0, MOST, "signature", 1)
    elif raw[0] == 16:
        reader.vector(1 if kex == "ecdhe" else 2, 0 if kex == "rsa" else 1, MOST, "exchange", 1)
    elif raw[0] == 20:
        reader.take(32 if kex == "13" else 12)
    reader.end()
    return found


def changed(raw: bytes, at: int, width: int, by: int) -> bytes:
    value = (int.from_bytes(raw[at : at + width], "big") + by) & ((1 << 8 * width) - 1)
    return raw[:at] + value.to_bytes(width, "big") + raw[at + width :]


def mutants(raw: bytes, kex: str) -> Iterator[tuple[str, bytes]]:
    """Each length off by one: alone, and with an octet really gone or there and all lengths around it right."""
    for at, width, name, around in lengths(raw, kex):
        size = int.from_bytes(raw[at : at + width], "big")
        end = at + width + size
        for by in (-1, 1):
            if 0 <= size + by < 256**width:
                yield f"{name}{by:+} alone", changed(raw, at, width, by)
                grown = raw[: end - 1] + raw[end:] if by < 0 else raw[:end] + b"\0" + raw[end:]
                for place in (*around, (at, width)):
                    grown = changed(grown, *place, by)
                yield f"{name}{by:+} with all around it", grown
    if len(raw) > 4:
        yield "an octet more than it says", changed(raw, 1, 3, -1)
        yield "an octet less", changed(raw[:-1], 1, 3, -1)
    yield "an octet more", changed(raw + b"\0", 1, 3, 1)


BIG = Ask(
    suites=ALL,
    alpn=(b"http/1.1", b"h2"),
    limit=16385,
    etm=True,
    ticket=b"",
    status=True,
    cert="p256",
    more=(
        (18, b""), (21, bytes(3)), (27, b"\2\0\2"), (47, b"\0\4\0\2\x30\0"), (49, b""), (50, b"\0\2\4\3"),
        (0x5A5A, b"\0"),
    ),
)  # fmt: skip
OLD = replace(BIG, versions=None)


class Scene(NamedTuple):
    """Whose which message is changed: suites, the client's hello, message type, which of them, and what else is so."""

    kex: str
    ask: Ask
    kind: int
    number: int = 0
    how: str = ""
    suites: tuple[int, ...] = ALL


SCENES = {
    "hello": Scene("13", BIG, 1),
    "hello that is retried": Scene("13", replace(BIG, shares=()), 1),
    "second hello": Scene("13", replace(BIG, shares=()), 1, 1),
    "hello with a ticket": Scene("13", BIG, 1, how="resumed"),
    "second hello with a ticket": Scene("13", replace(BIG, shares=()), 1, 1, how="resumed"),
    "hello of TLS 1.2": Scene("ecdhe", OLD, 1),
    "EndOfEarlyData": Scene("13", BIG, 5, how="early"),
    **{f"message {kind}": Scene("13", BIG, kind, how="asked") for kind in (11, 15, 20)},
    **{
        f"{kex} message {kind}": Scene(kex, OLD, kind, 0, "asked", (suite,))
        for kex, suite in (("ecdhe", 0xC02B), ("dhe", 0x009E), ("rsa", 0x003C))
        for kind in (11, 15, 16, 20)
    },
}


def attempt(scene: Scene, change: Callable[[bytes], bytes], segment: int = 0) -> int | str:
    """What the server made of a handshake in which one message was changed."""
    config: dict[str, Any] = {
        "suites": scene.suites,
        "groups": (29, 256),
        "ticket_keys": ticket_keys(),
        "client_auth": "required" if scene.how == "asked" else None,
        "verify": verifier(),
        "alpn": (b"h2",),
        "cookie": True,
        "max_early_data": 100,
        "replay_guard": ReplayGuard(),
    }
    made = server_config("p256", "rsa2048", **config)
    ask, offer = replace(scene.ask, segment=segment), None
    seen, clients = Counter[int](), list[Client]()
    if scene.how in ("resumed", "early"):
        first = play(server(made), replace(ask, shares=(29,), segment=0))[1].tickets[0]
        ask, offer = again(ask, first) if scene.kex != "13" else ask, Offer(first, 0, b"x" * (scene.how == "early"))

    def edit(client: Client, raw: bytes) -> bytes:
        clients[:] = [client]
        seen[raw[0]] += 1
        return change(raw) if (raw[0], seen[raw[0]] - 1) == (scene.kind, scene.number) else raw

    try:
        play(server(made), ask, offer, edit=edit)
    except (AssertionError, Silent):
        pass
    return clients[0].answer()


def is_message(raw: bytes, kex: str) -> bool:
    if len(raw) != 4 + int.from_bytes(raw[1:4], "big"):
        return False
    try:
        lengths(raw, kex)
    except Bad:
        return False
    return True


@pytest.mark.parametrize("name", SCENES)
def test_lengths_off_by_one(name: str) -> None:
    scene = SCENES[name]
    sample: list[bytes] = []

    def keep(raw: bytes) -> bytes:
        sample[:] = [raw]
        return raw

    assert attempt(scene, keep) == "done"
    wrong = {}
    for index, (what, octets) in enumerate(mutants(sample[0], scene.kex)):
        expected: list[bool] = []

        def change(raw: bytes, index: int = index, expected: list[bool] = expected) -> bytes:
            found = list(mutants(raw, scene.kex))[index][1]
            expected[:] = [is_message(found, scene.kex)]
            return found

        said = attempt(scene, change, index % 2)
        if (said != DECODE and not expected[0]) or said in (INTERNAL, "closed"):
            wrong[what] = said
        assert octets != sample[0]
    assert not wrong


@pytest.mark.parametrize("piece", [1, 3, 4, 1 << 14])
@pytest.mark.parametrize("name", [name for name in SCENES if "resumed" not in SCENES[name].how])
def test_a_length_that_no_message_has(name: str, piece: int) -> None:
    """It is refused as soon as it is known, however the message is cut: nobody holds 16 MiB for it."""
    scene = SCENES[name]
    scene = scene._replace(ask=replace(scene.ask, piece=piece))
    assert attempt(scene, lambda raw: raw[:1] + b"\xff\xff\xff" + raw[4:]) == DECODE


@pytest.mark.parametrize("ask", [BIG, OLD, replace(BIG, shares=())], ids=["1.3", "1.2", "retry"])
def test_an_extension_twice(ask: Ask) -> None:
    """RFC 8446 4.2, RFC 5246 7.4.1.4: whichever it is, known or not, next to each other or not."""
    client = Client(server(), ask)
    for number, body in client.extensions(b"\0\x1d\0\1x", False):
        twice = replace(ask, more=(*ask.more, (number, body)))
        assert play(server(server_config()), twice)[1].alert == 47, number


@pytest.mark.parametrize("ask", [BIG, OLD, replace(BIG, shares=())], ids=["1.3", "1.2", "retry"])
def test_session_ids_of_every_length(ask: Ask) -> None:
    """RFC 8446 4.1.2: 0 to 32 octets; they come back as they went (``play`` looks at it)."""
    for size in range(33):
        assert play(server(), replace(ask, session_id=size))[0].answer() == "done"
    for size in (33, 34, 255):
        assert play(server(), replace(ask, session_id=size))[1].alert == DECODE
