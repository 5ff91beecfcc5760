"""Pre-shared keys and early data at a TLS 1.3 server, by the sections of RFC 8446.

A row's words, what the client does with the tickets of an earlier connection, and what must come of it: "full",
"resumed" or "early" for a handshake, or the alert.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest

from synfin.tls import ReplayGuard
from tests.support.tlsoctets import (
    BAD_MAC,
    DECODE,
    DECRYPT,
    FAILURE,
    ILLEGAL,
    MISSING,
    UNEXPECTED,
    flip,
    message,
    record,
    vector,
)
from tests.tls.ends import NOW, server, server_config, ticket_keys
from tests.tls.raw13 import (
    ALERT,
    CCS,
    DATA,
    HANDSHAKE,
    Memory,
    Raw13,
    Ticket,
    connect,
    hello_block,
    numbers,
    split,
    verdict,
)

Tickets = Sequence[Ticket]
Play = Callable[[Raw13, Tickets], Any]
STRANGER = Ticket(b"stranger" * 9, b"k" * 32)
SHARED = Ticket(b"shared", bytes(range(32)), external=True)
#: The number of early octets that tickets allow.
ROOM = 1000


class Row:
    """A requirement with tickets; see the module."""

    def __init__(self, section: str, words: str, play: Play, want: int | str | None, **more: Any) -> None:
        self.section, self.words, self.act, self.want, self.more = section, words, play, want, more

    def __str__(self) -> str:
        return f"{self.section} {self.words}"

    def play(self, cut: int = 0) -> int | str | None:
        """What came of it, the server being given ``cut`` octets at a time."""
        more = {"ticket_keys": ticket_keys(), "shared_keys": ((SHARED.identity, SHARED.key),), **self.more}
        if "max_early_data" in more:
            more["replay_guard"] = ReplayGuard()
        config = server_config(**more)
        first = connect(server(config))
        first.shake().late()
        c = connect(server(config), cut=cut)
        found = verdict(c, lambda c: self.act(c, first.tickets))
        assert isinstance(c.way, Memory)
        facts = c.way.end.facts
        if found != "ok" or facts is None:
            return found
        return "early" if facts.early_data else "resumed" if facts.resumed else "full"


def marred(at: int) -> Callable[[Tickets], Tickets]:
    """The first ticket with a bit of its octet ``at`` wrong."""
    return lambda tickets: changed(tickets[0], flip(tickets[0].identity, at))


def offer(
    change: dict[int, bytes | None] | None = None,
    *,
    give: Callable[[Tickets], Tickets] = lambda tickets: tickets[:1],
    taken: int = 0,
    bend: Callable[[bytes], bytes] = bytes,
    **fields: Any,
) -> Play:
    """A handshake with these keys; the server should take number ``taken``."""

    def act(c: Raw13, tickets: Tickets) -> None:
        given = give(tickets)
        c.psk = given[taken].key
        c.shake(bend(c.with_psk(c.hello(change, **fields), given)))

    return act


def again(change: Callable[[Tickets], Tickets], bend: Callable[[bytes], bytes] = bytes, count: int = 1) -> Play:
    """A retry, and other keys in the second hello."""

    def act(c: Raw13, tickets: Tickets) -> None:
        c.psk = tickets[0].key
        c.say(c.with_psk(c.hello({51: b"\0\0"}), tickets[:count])).server_hello()
        given = change(tickets)
        hello = c.hello()
        c.shake(bend(c.with_psk(hello, given, c.said)) if given else hello)

    return act


def form(body: bytes, behind: bytes = b"") -> Play:
    """A pre_shared_key of this form, and extensions behind it."""
    return lambda c, tickets: c.shake(c.hello({41: body}, more=behind))


def aged(ticket: Ticket, more: int) -> Ticket:
    """The same, so many milliseconds older."""
    return Ticket(ticket.identity, ticket.key, age=(ticket.age + more) % (1 << 32), external=ticket.external)


def changed(ticket: Ticket, identity: bytes) -> list[Ticket]:
    return [Ticket(identity, ticket.key, age=ticket.age)]


def longer(hello: bytes) -> bytes:
    """The one binder 16 octets longer."""
    at, out = hello_block(hello), bytearray(hello + bytes(16))
    out[-49] += 16
    out[-50] += 16
    extension = bytes(out).rindex(b"\0\x29", at)
    for place, size in ((1, 3), (at, 2), (extension + 2, 2)):
        value = int.from_bytes(out[place : place + size], "big") + 16
        out[place : place + size] = value.to_bytes(size, "big")
    return bytes(out)


def ids(*names: bytes) -> bytes:
    return vector(b"".join([vector(name) + bytes(4) for name in names]))


def binders(*sizes: int) -> bytes:
    return vector(b"".join([vector(bytes(size), 1) for size in sizes]))


FORMED = ids(b"x") + binders(32)
MALFORMED = {
    "nothing": b"",
    "no identities": ids() + binders(32),
    "no binders": ids(b"x") + binders(),
    "neither": ids() + binders(),
    "an empty identity": ids(b"") + binders(32),
    "a binder of 31": ids(b"x") + binders(31),
    "a binder of none": ids(b"x") + binders(0),
    "an octet behind": FORMED + b"\0",
    "identities alone": ids(b"x"),
    "an age cut": vector(b"\0\1x\0\0\0") + binders(32),
    "an identity beyond the end": b"\0\7\0\2x\0\0\0\0" + binders(32),
    "a binder beyond the end": ids(b"x") + b"\0\x21\x21" + bytes(32),
}
KEYS = [
    Row("4.2.11", "as it is", offer(), "resumed"),
    Row("4.2.11", "the first of two", offer(give=lambda t: t[:2]), "resumed"),
    Row("4.2.11", "a stranger's before it", offer(give=lambda t: [STRANGER, t[0]], taken=1), "resumed"),
    Row("4.2.11", "a shared key, its age not looked at", offer(give=lambda t: [aged(SHARED, 77)]), "resumed"),
    Row("4.2.11", "a shared key as if by ticket", offer(give=lambda t: changed(SHARED, SHARED.identity)), DECRYPT),
    Row("4.2.11", "the same key twice", offer(give=lambda t: [t[0], t[0]]), "resumed"),
    *[Row("4.2.11", f"binder wrong at {n}", offer(bend=partial(flip, at=n)), DECRYPT) for n in (-1, -16, -32)],
    Row("4.2.11", "binder of zeros", offer(bend=lambda h: h[:-32] + bytes(32)), DECRYPT),
    Row("4.2.11", "binder too long", offer(bend=longer), DECRYPT),
    Row("4.2.11", "binder of a stranger's ticket", offer(give=lambda t: [STRANGER], bend=flip), "full"),
    Row("4.2.11", "binder of the key not taken", offer(give=lambda t: t[:2], bend=flip), "resumed"),
    Row("4.2.11", "binder of the key taken", offer(give=lambda t: [STRANGER, t[0]], bend=flip), DECRYPT),
    Row("4.2.11", "the hello changed", offer(bend=lambda h: flip(h, 20)), DECRYPT),
    *[Row("4.6.1", f"ticket wrong at {n}", offer(give=marred(n)), "full") for n in (0, 3, 4, 15, 16, 40, -1)],
    Row("4.6.1", "ticket cut", offer(give=lambda t: changed(t[0], t[0].identity[:-1])), "full"),
    Row("4.6.1", "ticket of one octet", offer(give=lambda t: changed(t[0], b"x")), "full"),
    Row("4.6.1", "ticket longer", offer(give=lambda t: changed(t[0], t[0].identity + b"x")), "full"),
    Row("4.6.1", "another name", offer({0: vector(b"\0\0\5other")}), "full"),
    Row("4.6.1", "another suite of its hash", offer(suites=numbers((0x1303,))), "resumed"),
    Row("4.6.1", "a suite of another hash", offer(suites=numbers((0x1302,))), "full"),
    Row("4.2.11", "suites of both hashes", offer(suites=numbers((0x1302, 0x1301))), "resumed"),
    Row("4.2.9", "no modes", offer({45: None}), MISSING),
    Row("4.2.9", "psk_ke alone", offer({45: b"\1\0"}), "full"),
    Row("4.2.9", "unknown modes alone", offer({45: b"\2\7\x0b"}), "full"),
    Row("4.2.9", "all modes", offer({45: b"\3\0\x0b\1"}), "resumed"),
    Row("9.2", "no signature_algorithms", offer({13: None}), "resumed"),
    Row("4.2.3", "no signature_algorithms, and the key unknown", offer({13: None}, give=lambda t: [STRANGER]), MISSING),
    Row("9.2", "no key_share", offer({51: None}), MISSING),
    Row("9.2", "no supported_groups", offer({10: None}), MISSING),
    Row("4.1.1", "no group of ours", offer({10: b"\0\2\x12\x34", 51: b"\0\0"}), FAILURE),
    Row("4.2.11", "not the last extension", form(FORMED, b"\x12\x34\0\0"), ILLEGAL),
    Row("4.2.11", "not the last extension, padding is", form(FORMED, b"\0\x15\0\1\0"), ILLEGAL),
    *[Row("6", f"pre_shared_key: {what}", form(body), DECODE) for what, body in MALFORMED.items()],
    Row("4.2.11", "a binder more", form(ids(b"x") + binders(32, 32)), ILLEGAL),
    Row("4.2.11", "a binder less", form(ids(b"x", b"y") + binders(32)), ILLEGAL),
    Row("4.2.11", "fifty strangers", form(ids(*[b"%d" % n for n in range(50)]) + binders(*[32] * 50)), "full"),
    Row("4.2.11.2", "a retry", again(lambda t: t[:1]), "resumed"),
    Row("4.2.11.2", "a retry, and the binder wrong", again(lambda t: t[:1], flip), DECRYPT),
    Row("4.1.2", "a retry, and one key gone", again(lambda t: t[:1], count=2), "resumed"),
    Row("4.1.2", "a retry, and all keys gone", again(lambda t: ()), "full"),
    Row("4.1.2", "a retry, and another key", again(lambda t: t[1:2]), ILLEGAL),
    Row("4.1.2", "a retry, and a key more", again(lambda t: t[:2]), ILLEGAL),
]  # fmt: skip


def early(*data: bytes, after: Callable[[Raw13], Any] | None = None, finish: bool = True, before: bytes = b"") -> Play:
    """Early data, the server's flight, ``after``, EndOfEarlyData and Finished."""

    def act(c: Raw13, tickets: Tickets) -> None:
        c.psk = tickets[0].key
        c.say(c.with_psk(c.hello({42: b""}), tickets[:1])).raw(before).early_keys(tickets[0])
        for one in data:
            c.put(DATA, one)
        keys = c.out
        c.server_hello()
        c.out = keys
        c.rest_of_flight()
        if after is not None:
            after(c)
        if finish:
            c.say(message(5, b"")).handshake_keys().finish()

    return act


def ended(then: Callable[[Raw13], Any]) -> Play:
    """Early data, and ``then`` instead of its right end."""
    return early(b"x", after=then, finish=False)


def refused(
    *data: bytes,
    change: dict[int, bytes | None] | None = None,
    give: Callable[[Tickets], Tickets] = lambda tickets: tickets[:1],
    then: Callable[[Raw13], Any] = lambda c: c.finish(),
    **fields: Any,
) -> Play:
    """Early data that the server does not take."""

    def act(c: Raw13, tickets: Tickets) -> None:
        given = give(tickets)
        c.psk = given[-1].key
        c.say(c.with_psk(c.hello({42: b"", **(change or {})}, **fields), given)).early_keys(given[0])
        for one in data:
            c.put(DATA, one)
        then(c.flight())

    return act


def before_a_retry(*records: bytes, cut: int = 0) -> Play:
    """Early data that a retry leaves without a meaning, ``cut`` octets of the second hello before it."""

    def act(c: Raw13, tickets: Tickets) -> None:
        c.psk = tickets[0].key
        c.say(c.with_psk(c.hello({42: b"", 51: b"\0\0"}), tickets[:1])).server_hello()
        hello = c.with_psk(c.hello(), tickets[:1], c.said)
        c.said += hello
        if cut:
            c.raw(record(hello[:cut]))
        for one in records:
            c.raw(record(one, DATA))
        c.raw(record(hello[cut:])).flight().finish()

    return act


TAKEN = [
    Row("4.2.10", "some", early(b"early"), "early"),
    Row("4.2.10", "none", early(), "early"),
    Row("4.2.10", "as much as may be", early(bytes(600), b"", bytes(400)), "early"),
    Row("4.6.1", "an octet more", early(bytes(600), bytes(401)), UNEXPECTED),
    Row("4.2.10", "empty records without end", early(*[b""] * 200), UNEXPECTED),
    Row("4.2.11.3", "more after the server's flight", early(b"x", after=lambda c: c.put(DATA, b"y")), "early"),
    Row("5", "ChangeCipherSpec before it", early(b"x", before=record(b"\1", CCS)), "early"),
    Row("4.5", "no end of it", ended(lambda c: c.handshake_keys().finish()), BAD_MAC),
    Row("4.5", "Finished under its keys", ended(lambda c: c.put(HANDSHAKE, message(20, bytes(32)))), UNEXPECTED),
    Row(
        "4.5", "its end under other keys",
        ended(lambda c: c.handshake_keys().put(HANDSHAKE, message(5, b""))), BAD_MAC,
    ),
    Row("4.5", "its end twice", ended(lambda c: c.say(message(5, b"")).put(HANDSHAKE, message(5, b""))), BAD_MAC),
    Row(
        "4.5", "its end in two records",
        ended(lambda c: c.say(message(5, b""), each=3).handshake_keys().finish()), "early",
    ),
    Row("6", "an octet in its end", ended(lambda c: c.put(HANDSHAKE, message(5, b"x"))), DECODE),
    Row(
        "5.1", "Finished behind its end",
        ended(lambda c: c.put(HANDSHAKE, message(5, b"") + message(20, bytes(32)))), UNEXPECTED,
    ),
    Row("5.1", "data within its end", ended(lambda c: c.put(HANDSHAKE, b"\5\0").put(DATA, b"x")), UNEXPECTED),
    Row(
        "4.4.4", "data after its end",
        ended(lambda c: c.say(message(5, b"")).handshake_keys().put(DATA, b"x")), UNEXPECTED,
    ),
    Row("4.6.3", "KeyUpdate", ended(lambda c: c.put(HANDSHAKE, message(24, b"\0"))), UNEXPECTED),
    Row("4.2.10", "a record that does not open", ended(lambda c: c.raw(record(bytes(50), DATA))), BAD_MAC),
    Row("A.1", "an alert in clear", ended(lambda c: c.raw(record(b"\2\x28", ALERT))), None),
    Row("A.1", "an alert under its keys", ended(lambda c: c.put(ALERT, b"\2\x28")), None),
]  # fmt: skip
E: dict[str, Any] = {"max_early_data": ROOM}
NOT_TAKEN = [
    Row("4.2.10", "another protocol", refused(b"x", change={16: vector(b"\2h2")}), "resumed", alpn=(b"h2",), **E),
    Row("4.2.10", "another age", refused(b"x", give=lambda t: [aged(t[0], 20_000)]), "resumed", **E),
    Row("4.2.10", "another suite", refused(b"x", suites=numbers((0x1303,))), "resumed", **E),
    Row("4.2.10", "not the first key", refused(b"x", give=lambda t: [STRANGER, t[0]]), "resumed", **E),
    Row("4.2.10", "a stranger's key", refused(b"x", give=lambda t: [STRANGER]), "full"),
    Row("4.2.10", "not wanted", refused(b"x", bytes(16384)), "resumed"),
    Row("4.2.10", "many small records", refused(*[b"x"] * 500), "resumed"),
    Row("4.2.10", "beyond all bounds", refused(*[bytes(16384)] * 4), UNEXPECTED),
    Row("RFC 6066 4", "longer records than will be agreed", refused(bytes(4000), change={1: b"\1"}), "resumed"),
    Row("RFC 8449 4", "larger ones too", refused(bytes(4000), change={28: b"\0\x40"}), "resumed", record_size_limit=64),
    Row("4.2.10", "before a retry", before_a_retry(bytes(50), bytes(16384)), "resumed"),
    Row("4.2.10", "before a retry, beyond all bounds", before_a_retry(*[bytes(16384)] * 4), UNEXPECTED),
    Row("5.1", "between the pieces of the second hello", before_a_retry(bytes(50), cut=20), UNEXPECTED),
    Row("4.5", "its end, not wanted", refused(b"x", then=lambda c: c.put(HANDSHAKE, message(5, b""))), UNEXPECTED),
    Row(
        "5.2", "more of it after a record that opened",
        refused(then=lambda c: c.put(HANDSHAKE, b"\x14").raw(record(bytes(50), DATA))), BAD_MAC,
    ),
    Row("5.4", "padding alone is no early data", refused(b"x", then=lambda c: c.put(0, b"", 50)), UNEXPECTED),
    Row(
        "5.2", "a record nobody announced",
        lambda c, t: c.say(c.hello()).flight().raw(record(bytes(50), DATA)), BAD_MAC,
    ),
    Row("4.2.10", "early_data without a key", lambda c, t: c.shake(c.hello({42: b""})), "full"),
]  # fmt: skip


for taken in TAKEN:
    taken.more = E


@pytest.mark.parametrize("row", [*KEYS, *TAKEN, *NOT_TAKEN], ids=str)
def test_keys(row: Row) -> None:
    assert row.play() == row.want


def test_early_data_is_taken_once() -> None:
    """RFC 8446 8, 8.2: known by a binder that was checked, not by one that was not."""
    config = server_config(ticket_keys=ticket_keys(), max_early_data=ROOM, replay_guard=ReplayGuard())
    first = connect(server(config))
    first.shake().late()
    c = connect()
    c.psk = first.tickets[0].key
    hello = c.with_psk(c.hello({42: b""}), [first.tickets[0], STRANGER])
    for octets, early_data in ((hello, True), (hello, False), (flip(hello, -1), False)):
        end = connect(server(config))
        end.psk, end.shares = c.psk, c.shares
        end.say(octets).flight()
        assert (42 in split(end.messages[1][6:])) == early_data


@pytest.mark.parametrize("ticket_allows", [ROOM, ROOM + 1])
def test_a_ticket_that_allows_more_than_is_wanted_now(ticket_allows: int) -> None:
    """RFC 8446 4.2.10: none of its early data is taken then, since a part cannot be."""
    keys = ticket_keys()
    first = connect(server(server_config(ticket_keys=keys, max_early_data=ticket_allows, replay_guard=ReplayGuard())))
    first.shake().late()
    c = connect(server(server_config(ticket_keys=keys, max_early_data=ROOM, replay_guard=ReplayGuard())))
    c.psk = first.tickets[0].key
    c.say(c.with_psk(c.hello({42: b""}), first.tickets[:1])).flight()
    assert (42 in split(c.messages[1][6:])) == (ticket_allows <= ROOM)


def test_a_ticket_altered_anywhere_is_none() -> None:
    """RFC 8446 4.2.11: a full handshake, and no error: nobody can have proved a key that nobody knows."""
    config = server_config(ticket_keys=ticket_keys())
    first = connect(server(config))
    first.shake().late()
    ticket = first.tickets[0]
    for at in range(len(ticket.identity)):
        c = connect(server(config))
        c.shake(c.with_psk(c.hello(), changed(ticket, flip(ticket.identity, at)))).late()
        assert isinstance(c.way, Memory)
        assert c.way.end.facts is not None and not c.way.end.facts.resumed


def test_a_ticket_may_come_again_until_it_is_too_old() -> None:
    """RFC 8446 4.6.1."""
    config = server_config(ticket_keys=ticket_keys(), ticket_lifetime=100)
    first = connect(server(config))
    first.shake().late()
    for later, resumed in ((0, True), (50, True), (100, True), (101, False), (10**6, False)):
        c = connect(server(config))
        assert isinstance(c.way, Memory)
        c.way.now = NOW + later
        c.psk = first.tickets[0].key
        c.say(c.with_psk(c.hello(), first.tickets[:1]))
        assert (41 in split(c.server_hello()[76:])) == resumed
