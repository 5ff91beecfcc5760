"""Records, alerts, Finished and KeyUpdate at a TLS 1.3 server, by the sections of RFC 8446.

``test_must13_server`` says which requirement each row holds; what a row is stands in ``raw13``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from synfin.tls import Closed, Data, PeerAlert
from tests.support.tlsoctets import (
    BAD_MAC,
    CLOSE,
    DECODE,
    DECRYPT,
    ILLEGAL,
    OVERFLOW,
    UNEXPECTED,
    VERSION,
    flip,
    message,
    record,
)
from tests.tls.ends import events, of
from tests.tls.raw13 import ALERT, CCS, DATA, HANDSHAKE, Memory, Raw13, Row, connect, flown, verdict

Act = Callable[[Raw13], Any]


def shaken(act: Act) -> Act:
    """What comes after the handshake."""
    return lambda c: act(c.shake())


def fin(change: Callable[[bytes], bytes]) -> Act:
    """A handshake with ``change`` of a right verify_data."""
    return flown(lambda c: c.say(message(20, change(c.verify_data()))).application_keys())


def raws(data: bytes) -> Act:
    return lambda c: c.raw(data)


def puts(kind: int, content: bytes, padding: int = 0) -> Act:
    return lambda c: c.put(kind, content, padding)


def in_pieces(size: int) -> Act:
    return lambda c: c.say(c.hello(), each=size).flight().finish()


def changed(times: int) -> Act:
    return lambda c: c.raw(record(b"\1", CCS) * times).finish()


def sized(size: int) -> Callable[[bytes], bytes]:
    return lambda data: (data * 99)[:size]


def cut_by(kind: int, content: bytes) -> Act:
    """Finished in two records, and another one between them."""

    def act(c: Raw13) -> None:
        raw = message(20, c.verify_data())
        c.put(HANDSHAKE, raw[:9]).put(kind, content).put(HANDSHAKE, raw[9:])

    return flown(act)


def between(kind: int, content: bytes) -> Act:
    """A hello in two records, and another one between them."""

    def act(c: Raw13) -> None:
        c.said = c.hello()
        c.raw(record(c.said[:50]) + record(content, kind) + record(c.said[50:])).flight().finish()

    return act


def versioned(version: int) -> Act:
    def act(c: Raw13) -> None:
        c.said = c.hello()
        c.raw(record(c.said, version=version)).flight().finish()

    return act


def with_keys(name: str, act: Act) -> Act:
    """Under other keys than those that hold."""

    def other(c: Raw13) -> None:
        assert c.schedule is not None
        c.out = c.schedule.protection(getattr(c.schedule, name))
        act(c)

    return flown(other)


FIRST = [
    *[
        Row("5", f"record type {n}", raws(record(bytes(9), n)), UNEXPECTED)
        for n in (0, 19, 24, 25, 255)
    ],
    Row("5", "ChangeCipherSpec before the hello", lambda c: c.raw(record(b"\1", CCS)).shake(), UNEXPECTED),
    Row("5.1", "data before the hello", lambda c: c.raw(record(b"x", DATA)), UNEXPECTED),
    Row("5.4", "an empty record", lambda c: c.raw(record(b"")), UNEXPECTED),
    Row("5.1", "a record of 16385", lambda c: c.raw(b"\x16\3\1\x40\1"), OVERFLOW),
    Row("6", "an alert of one octet", lambda c: c.raw(record(b"\2", ALERT)), DECODE),
    Row("6", "a fatal alert", lambda c: c.raw(record(b"\2\x28", ALERT)), None),
    Row("6.1", "close_notify", lambda c: c.raw(record(b"\1\0", ALERT)), CLOSE),
    Row("4", "another message first", lambda c: c.put(HANDSHAKE, message(11, bytes(4))), UNEXPECTED),
    Row("4", "a message of no type", lambda c: c.put(HANDSHAKE, message(99, b"")), UNEXPECTED),
    Row("6", "a hello of 2^24-1 octets", lambda c: c.put(HANDSHAKE, b"\1\xff\xff\xff"), DECODE),
    *[
        Row("5.1", f"a hello in records of {n}", in_pieces(n), "ok")
        for n in (1, 3, 99)
    ],
    *[Row("5.1", f"record version {v:04x}", versioned(v), "ok") for v in (0x0300, 0x0301, 0x0304, 0x0400, 0xFFFF)],
    Row("D.5", "record version 0200", versioned(0x0200), VERSION),
    Row("5.1", "ChangeCipherSpec within a hello", between(CCS, b"\1"), UNEXPECTED),
    Row("5.1", "an alert within a hello", between(ALERT, b"\1\x5a"), UNEXPECTED),
    Row("5.1", "data within a hello", between(DATA, b"x"), UNEXPECTED),
    Row("5.1", "nothing within a hello", between(HANDSHAKE, b""), UNEXPECTED),
    Row("5.1", "an octet behind a hello", lambda c: c.put(HANDSHAKE, c.hello() + b"\1"), UNEXPECTED),
    Row("5.1", "a hello behind a hello", lambda c: c.put(HANDSHAKE, c.hello() * 2), UNEXPECTED),
]  # fmt: skip

SECOND = [
    Row("4.4.4", "as it is", flown(lambda c: c.finish()), "ok"),
    Row(
        "5.1", "in records of one octet",
        flown(lambda c: c.say(message(20, c.verify_data()), each=1).application_keys()), "ok",
    ),
    *[Row("4.4.4", f"bit of octet {n} wrong", fin(partial(flip, at=n)), DECRYPT) for n in (0, 15, 31)],
    Row("4.4.4", "zeros", fin(lambda data: bytes(32)), DECRYPT),
    *[
        Row("6", f"Finished of {n}", fin(sized(n)), DECODE)
        for n in (0, 1, 12, 31, 33, 48, 999)
    ],
    Row(
        "5.1", "an octet behind Finished",
        flown(lambda c: c.put(HANDSHAKE, message(20, c.verify_data()) + b"\x18")), UNEXPECTED,
    ),
    Row(
        "5.1", "KeyUpdate behind Finished",
        flown(lambda c: c.put(HANDSHAKE, message(20, c.verify_data()) + message(24, b"\0"))), UNEXPECTED,
    ),
    Row("5", "Finished in clear", flown(lambda c: c.raw(record(message(20, c.verify_data())))), UNEXPECTED),
    Row(
        "5.2", "Finished under later keys",
        with_keys("client_next", lambda c: c.put(HANDSHAKE, message(20, bytes(32)))), BAD_MAC,
    ),
    Row("5.2", "data under later keys before it", with_keys("client_next", lambda c: c.put(DATA, b"x")), BAD_MAC),
    Row(
        "5.2", "the server's own keys",
        with_keys("server", lambda c: c.put(HANDSHAKE, message(20, bytes(32)))), BAD_MAC,
    ),
    Row("4.4.4", "data before Finished", flown(lambda c: c.put(DATA, b"x")), UNEXPECTED),
    Row("4.4.4", "empty data before Finished", flown(lambda c: c.put(DATA, b"")), UNEXPECTED),
    Row("4.6.3", "KeyUpdate before Finished", flown(lambda c: c.put(HANDSHAKE, message(24, b"\0"))), UNEXPECTED),
    Row("4.5", "EndOfEarlyData without early data", flown(lambda c: c.put(HANDSHAKE, message(5, b""))), UNEXPECTED),
    Row("4.4.2", "a certificate nobody asked for", flown(lambda c: c.certificate()), UNEXPECTED),
    *[
        Row("4", f"message {n}", flown(puts(HANDSHAKE, message(n, bytes(4)))), UNEXPECTED)
        for n in (0, 1, 2, 4, 8, 13, 14, 15, 16, 25, 99, 254)
    ],
    *[
        Row("5", f"ChangeCipherSpec {n} times", flown(changed(n)), "ok")
        for n in (1, 2, 20)
    ],
    *[
        Row("5", f"ChangeCipherSpec of {b.hex() or 'nothing'}", flown(raws(record(b, CCS))), UNEXPECTED)
        for b in (b"", b"\0", b"\2", b"\1\1")
    ],
    Row("5", "ChangeCipherSpec protected", flown(lambda c: c.put(CCS, b"\1")), UNEXPECTED),
    Row("5.1", "ChangeCipherSpec within Finished", cut_by(CCS, b"\1"), UNEXPECTED),
    Row("5.1", "an alert within Finished", cut_by(ALERT, b"\1\x5a"), UNEXPECTED),
    Row("5.1", "empty data within Finished", cut_by(DATA, b""), UNEXPECTED),
    Row("5.4", "nothing within Finished", cut_by(HANDSHAKE, b""), UNEXPECTED),
    *[
        Row("5", f"record type {n}", flown(raws(record(bytes(40), n))), UNEXPECTED)
        for n in (0, 24, 25, 255)
    ],
    *[
        Row("5", f"protected record type {n}", flown(puts(n, b"x")), UNEXPECTED)
        for n in (1, 19, 24, 255)
    ],
    *[Row("5.4", f"padding alone, {n}", flown(puts(0, b"", n)), UNEXPECTED) for n in (0, 1, 16000)],
    *[
        Row("5.2", f"a record of {n} that does not open", flown(raws(record(bytes(n), DATA))), BAD_MAC)
        for n in (0, 1, 16, 17, 16640)
    ],
    *[
        Row("5.2", f"a record of {n}", flown(raws(record(bytes(n), DATA))), OVERFLOW)
        for n in (16641, 65535)
    ],
    Row(
        "5.2", "a damaged record",
        flown(lambda c: c.raw(flip(c.sealed(HANDSHAKE, message(20, c.verify_data()))))), BAD_MAC,
    ),
    Row("6", "a fatal alert", flown(lambda c: c.put(ALERT, b"\2\x28")), None),
    Row("6", "an error alert that says warning", flown(lambda c: c.put(ALERT, b"\1\x28")), None),
    Row("6", "an unknown alert", flown(lambda c: c.put(ALERT, b"\1\xc8")), None),
    Row("A.1", "a fatal alert in clear", flown(lambda c: c.raw(record(b"\2\x28", ALERT))), None),
    Row("5.4", "an empty alert", flown(lambda c: c.put(ALERT, b"")), UNEXPECTED),
    *[
        Row("5.1", f"an alert of {n}", flown(puts(ALERT, b"\2\x28\2\x28"[:n])), DECODE)
        for n in (1, 3, 4)
    ],
    Row("6.1", "close_notify", flown(lambda c: c.put(ALERT, b"\1\0")), CLOSE),
    Row("6.1", "user_canceled alone", flown(lambda c: c.put(ALERT, b"\1\x5a").finish()), "ok"),
    Row("6.1", "user_canceled and close_notify", flown(lambda c: c.put(ALERT, b"\1\x5a").put(ALERT, b"\1\0")), CLOSE),
]  # fmt: skip


def update(body: bytes) -> Act:
    return shaken(lambda c: c.put(HANDSHAKE, message(24, body)))


def updates(count: int, body: bytes = b"\0") -> Act:
    def act(c: Raw13) -> None:
        for _ in range(count):
            c.put(HANDSHAKE, message(24, body)).updated()

    return shaken(act)


LATER = [
    *[
        Row("4", f"message {n} late", shaken(puts(HANDSHAKE, message(n, bytes(4)))), UNEXPECTED)
        for n in (0, 2, 4, 5, 8, 11, 13, 15, 16, 20, 25, 99)
    ],
    Row("4.1.2", "a hello late", shaken(lambda c: c.put(HANDSHAKE, c.hello())), UNEXPECTED),
    Row(
        "4.6.3", "KeyUpdate, and data under new keys",
        shaken(lambda c: c.put(HANDSHAKE, message(24, b"\0")).updated().put(DATA, b"x")), "ok",
    ),
    Row(
        "4.6.3", "KeyUpdate, and data under old keys",
        shaken(lambda c: c.put(HANDSHAKE, message(24, b"\0")).put(DATA, b"x")), BAD_MAC,
    ),
    Row("4.6.3", "new keys without KeyUpdate", shaken(lambda c: c.updated().put(DATA, b"x")), BAD_MAC),
    *[Row("4.6.3", f"KeyUpdate of {n}", update(bytes([n])), ILLEGAL) for n in (2, 255)],
    *[Row("6", f"KeyUpdate of {n} octets", update(bytes(n)), DECODE) for n in (0, 2, 500)],
    Row(
        "5.1", "KeyUpdate in pieces",
        shaken(lambda c: c.say(message(24, b"\0"), each=2).updated().put(DATA, b"x")), "ok",
    ),
    Row("5.1", "data within KeyUpdate", shaken(lambda c: c.put(HANDSHAKE, b"\x18\0").put(DATA, b"x")), UNEXPECTED),
    Row("5.1", "two KeyUpdates in a record", shaken(lambda c: c.put(HANDSHAKE, message(24, b"\0") * 2)), UNEXPECTED),
    Row("4.6.3", "sixty KeyUpdates", updates(60), "ok"),
    Row("4.6.3", "KeyUpdates without end", updates(200), UNEXPECTED),
    Row("5", "ChangeCipherSpec after Finished", shaken(lambda c: c.raw(record(b"\1", CCS))), UNEXPECTED),
    Row("5", "an alert in clear after Finished", shaken(lambda c: c.raw(record(b"\2\x28", ALERT))), UNEXPECTED),
    Row("5", "a message in clear after Finished", shaken(lambda c: c.raw(record(message(24, b"\0")))), UNEXPECTED),
    *[
        Row("5.4", f"{n} octets and {pad} of padding", shaken(puts(DATA, bytes(n), pad)), "ok")
        for n, pad in ((16384, 0), (0, 16384), (16000, 384))
    ],
    *[
        Row("5.4", f"{n} octets and {pad} of padding", shaken(puts(DATA, bytes(n), pad)), OVERFLOW)
        for n, pad in ((16385, 0), (16384, 1), (0, 16385), (16384, 239))
    ],
    Row("5.1", "empty data", shaken(lambda c: [c.put(DATA, b"") for _ in range(20)]), "ok"),
    Row("5.4", "an empty message, padded", shaken(lambda c: c.put(HANDSHAKE, b"", 99)), UNEXPECTED),
    Row("6", "an error alert", shaken(lambda c: c.put(ALERT, b"\1\x14")), None),
    Row("6.1", "close_notify", shaken(lambda c: c.put(ALERT, b"\1\0")), None),
]  # fmt: skip


@pytest.mark.parametrize("row", [*FIRST, *SECOND, *LATER], ids=str)
def test_records_and_messages(row: Row) -> None:
    assert row.play() == row.want


def test_one_answer_to_requests_that_came_together() -> None:
    """RFC 8446 4.6.3: with the old keys, update_not_requested, before data; the next request has its own."""
    c = connect()
    c.shake().late()
    assert isinstance(c.way, Memory)
    for _ in range(2):
        requests = b""
        for _ in range(3):
            requests += c.sealed(HANDSHAKE, message(24, b"\1"))
            c.updated()
        c.raw(requests)
        c.way.end.send(b"data")
        assert c.next() == message(24, b"\0")
        c.updated(reading=True)
        assert c.next() is None
        assert c.data == b"data"
        c.data = b""


def test_nothing_is_heard_after_close_notify_but_the_server_goes_on() -> None:
    """RFC 8446 6.1."""
    c = connect()
    c.shake().late()
    assert isinstance(c.way, Memory)
    c.put(ALERT, b"\1\0").put(DATA, b"late").raw(b"garbage")
    found = events(c.way.end)
    assert of(found, Closed) == [Closed(clean=True)]
    assert not of(found, Data)
    c.way.end.send(b"answer")
    c.way.end.close()
    assert c.next_record() == (DATA, b"answer")
    assert c.next_record() == (ALERT, b"\1\0")


def test_nothing_is_said_or_heard_after_an_error() -> None:
    """RFC 8446 6, 6.2: of the peer's, and of ours."""
    c = connect()
    c.shake().late()
    assert isinstance(c.way, Memory)
    c.put(ALERT, b"\2\x32").put(DATA, b"late")
    assert of(events(c.way.end), PeerAlert) == [PeerAlert(50, fatal=True)]
    assert not c.way.end.ready
    assert not c.way.recv()
    c = connect()
    c.shake().late()
    c.put(HANDSHAKE, b"").put(DATA, b"late").raw(b"garbage")
    assert c.next_record() == (ALERT, b"\2\x0a")
    assert c.next_record() is None


@pytest.mark.parametrize("late", [False, True], ids=["in the handshake", "after it"])
def test_every_alert_at_either_level(late: bool) -> None:
    """RFC 8446 6: all end the connection without an answer but close_notify and user_canceled."""
    for level in (1, 2):
        for description in range(256):
            c = connect()
            if late:
                c.shake()
            else:
                c.say(c.hello()).flight()
            c.put(ALERT, bytes([level, description]))
            found = verdict(c, lambda c: None if late else c.finish())
            if description == 90:
                assert found == "ok"
            elif description == 0 and not late:
                assert found == CLOSE
            else:
                assert found is None, (level, description)


def test_every_bit_of_finished_counts() -> None:
    """RFC 8446 4.4.4."""
    for bit in range(256):
        c = connect()
        c.say(c.hello()).flight()
        data = int.from_bytes(c.verify_data(), "big") ^ 1 << bit
        c.say(message(20, data.to_bytes(32, "big")))
        assert verdict(c, lambda c: None) == DECRYPT
