"""A record too many before each message of a raw client, and what our server makes of it there.

Each record has the alert that the RFCs name for it, by version and place, or is taken as if nothing had been: alerts of
every kind, ChangeCipherSpecs, data, messages out of their order, records that do not open, pieces of messages.  The
server gets the octets whole and one by one in turn.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from synfin.tls import ReplayGuard, Server
from tests.tls import crossed_keys as k
from tests.tls.crossed_client import ALERT, CCS, CHANGE, DATA, HANDSHAKE, Ask, Client, Silent
from tests.tls.crossed_keys import message, vec
from tests.tls.crossed_shake import Edit, Offer, again, play
from tests.tls.ends import server, server_config, ticket_keys, verifier

ALL = tuple(k.SUITES_13) + tuple(k.SUITES_12)
Config = dict[str, Any]

Make = Callable[[Client], bytes]


def clear(kind: int, content: bytes) -> Make:
    return lambda client: bytes([kind, 3, 3]) + vec(content)


def sealed(kind: int, content: bytes) -> Make:
    """Under the keys that hold, or in clear before there are any."""
    return lambda client: client.record(kind, content)


def spoiled(client: Client) -> bytes:
    octets = client.record(HANDSHAKE, b"x" * 20)
    return octets[:-1] + bytes([octets[-1] ^ 1])


Special = tuple[Make, int | str, Mapping[str, int | str]]

#: Places: before the first hello, the second, Certificate, CertificateVerify, Finished; among early data; at the end.
PLACES = ("hello", "second", "certificate", "proof", "finished", "early", "end")
#: What is put in -> what must come of it everywhere, and where something else must.
MORE_13: dict[str, Special] = {
    "data": (sealed(DATA, b"x"), 10, {"early": "fine", "end": "fine"}),
    "no data": (sealed(DATA, b""), 10, {"early": "fine", "end": "fine"}),
    "data in clear": (clear(DATA, b"x" * 40), 20, {"hello": 10, "second": 10}),
    "change": (clear(CCS, b"\1"), "fine", {"hello": 10, "end": 10}),
    "change of 2": (clear(CCS, b"\2"), 10, {}),
    "change of two octets": (clear(CCS, b"\1\1"), 10, {}),
    "change of nothing": (clear(CCS, b""), 10, {}),
    "sealed change": (sealed(CCS, b"\1"), 10, {"second": "fine"}),
    "close_notify": (sealed(ALERT, b"\1\0"), "closed", {}),
    "fatal close_notify": (sealed(ALERT, b"\2\0"), "closed", {}),
    "warning that is none": (sealed(ALERT, b"\1\x29"), "closed", {}),
    "unknown alert": (sealed(ALERT, b"\1\xc8"), "closed", {}),
    "user_canceled": (sealed(ALERT, b"\1\x5a"), "fine", {}),
    "half an alert": (sealed(ALERT, b"\1"), 50, {}),
    "two alerts": (sealed(ALERT, b"\1\x5a\1\x5a"), 50, {}),
    "empty alert": (sealed(ALERT, b""), 10, {}),
    "level 0": (sealed(ALERT, b"\0\x28"), 47, {}),
    "empty handshake record": (sealed(HANDSHAKE, b""), 10, {}),
    "unknown type": (clear(24, b"x"), 10, {}),
    "unknown type inside": (sealed(24, b"x"), 10, {}),
    "nothing but padding": (lambda c: c.out.seal(0, b"", 9) if c.out else b"\x18\3\3\0\0", 10, {}),
    "too long": (clear(DATA, bytes((1 << 14) + 257)), 22, {}),
    "does not open": (spoiled, 20, {"hello": 10, "second": 10}),
    "handshake in clear": (clear(HANDSHAKE, message(20, bytes(32))), 10, {}),
    "piece, then change": (lambda c: c.record(HANDSHAKE, b"\x14\0") + CHANGE, 10, {}),
    **{
        f"message {kind}": (sealed(HANDSHAKE, message(kind, body)), 10, {})
        for kind, body in (
            (0, b""), (2, bytes(40)), (4, bytes(20)), (8, b"\0\0"), (12, bytes(9)), (13, bytes(3)), (14, b""),
            (16, bytes(9)), (22, bytes(9)), (99, b""), (254, bytes(32)),
        )
    },
    "KeyUpdate": (sealed(HANDSHAKE, message(24, b"\0")), 10, {"end": "keys"}),
    "KeyUpdate that says less": (sealed(HANDSHAKE, b"\x18\0\0\0\0"), 10, {"end": 50}),
    "KeyUpdate that says more": (sealed(HANDSHAKE, b"\x18\0\0\2\0\0"), 10, {"end": 50}),
    "KeyUpdate and more": (sealed(HANDSHAKE, b"\x18\0\0\1\0\x18"), 10, {}),
    "Finished": (sealed(HANDSHAKE, message(20, bytes(32))), 10, {"finished": 51}),
    "CertificateVerify": (sealed(HANDSHAKE, message(15, b"\0\0\0\1x")), 10, {"proof": 47}),
    "Certificate": (sealed(HANDSHAKE, message(11, bytes(4))), 10, {"certificate": 116}),
}  # fmt: skip
_IN_CLEAR = {"finished": 20, "end": 20}  # after ChangeCipherSpec such a record is a protected one that does not open
_EARLY_ALERT = {"hello": "closed"}
MORE_12: dict[str, Special] = {
    "data": (sealed(DATA, b"x"), 10, {"end": "fine"}),
    "data in clear": (clear(DATA, b"x" * 64), 10, _IN_CLEAR),
    "change": (clear(CCS, b"\1"), 10, _IN_CLEAR),
    "change of 2": (clear(CCS, b"\2"), 10, _IN_CLEAR),
    "change of nothing": (clear(CCS, b""), 10, _IN_CLEAR),
    "close_notify": (sealed(ALERT, b"\1\0"), "closed", {}),
    "fatal alert": (sealed(ALERT, b"\2\x28"), "closed", {}),
    "warning": (sealed(ALERT, b"\1\x29"), "fine", _EARLY_ALERT),
    "unknown warning": (sealed(ALERT, b"\1\xc8"), "fine", _EARLY_ALERT),
    "two alerts": (sealed(ALERT, b"\1\x5a\1\x5a"), "fine", {"hello": 50}),
    "alert in two": (lambda c: c.record(ALERT, b"\1") + c.record(ALERT, b"\x5a"), "fine", {"hello": 50}),
    "empty alert": (sealed(ALERT, b""), 10, {}),
    "level 0": (sealed(ALERT, b"\0\x28"), 47, {}),
    "empty handshake record": (sealed(HANDSHAKE, b""), 10, {}),
    "unknown type": (clear(24, b"x"), 10, {}),
    "too long": (clear(DATA, bytes((1 << 14) + 2049)), 22, {}),
    "does not open": (spoiled, 10, _IN_CLEAR),
    "TLS 1.1": (lambda c: b"\x16\3\2\0\1\0", 70, {"hello": 10}),
    **{
        f"message {kind}": (sealed(HANDSHAKE, message(kind, body)), 10, {})
        for kind, body in (
            (0, b""), (2, bytes(40)), (4, bytes(20)), (5, b""), (8, b"\0\0"), (12, bytes(9)), (13, bytes(3)),
            (14, b""), (22, bytes(9)), (24, b"\0"), (25, bytes(20)), (99, b""),
        )
    },
    "ClientHello": (sealed(HANDSHAKE, message(1, bytes(50))), 10, {"hello": 50, "end": "fine"}),
    "Finished": (sealed(HANDSHAKE, message(20, bytes(12))), 10, {"finished": 51}),
    "CertificateVerify": (sealed(HANDSHAKE, message(15, b"\0\0\0\1x")), 10, {"proof": 47}),
    "Certificate": (sealed(HANDSHAKE, message(11, bytes(3))), 10, {"certificate": 40}),
}  # fmt: skip
_KINDS = {
    "hello": (1, 0),
    "second": (1, 1),
    "certificate": (11, 0),
    "proof": (15, 0),
    "finished": (20, 0),
    "early": (5, 0),
}


def put_in(place: str, make: Make) -> Edit:
    """Before the message of a place."""
    kind, number = _KINDS[place]
    seen = itertools.count()

    def edit(client: Client, raw: bytes) -> bytes:
        if raw[0] == kind and next(seen) == number:
            client.send(make(client))
        return raw

    return edit


def outcome(end: Server, ask: Ask, offer: Offer | None, place: str, make: Make) -> int | str:
    """What the server made of a record put in at a place."""
    caught: list[Client] = []

    def note(client: Client, raw: bytes) -> bytes:
        caught[:] = [client]
        return before(client, raw)

    before: Edit = (lambda client, raw: raw) if place == "end" else put_in(place, make)
    try:
        play(end, ask, offer, edit=note)
    except (AssertionError, Silent):
        if place == "end":
            raise
    client = caught[0]
    if place == "end":
        assert client.answer() == "done"
        client.send(make(client))
    said = client.answer()
    if said == "done":
        if make is MORE_13["KeyUpdate"][0]:
            assert isinstance(client.out, k.Keys13)
            client.out = client.out.next()
        client.put(DATA, b"all is well")
        said = "fine" if client.heard().endswith(b"all is well") else client.answer()
    return said


WHERE = [
    *[("1.3", place) for place in PLACES],
    *[("1.2", place) for place in PLACES if place not in ("second", "early")],
    *[("1.2 again", place) for place in ("hello", "finished", "end")],
]


@pytest.mark.parametrize(("version", "place"), WHERE, ids=[" ".join(one) for one in WHERE])
def test_a_record_more(version: str, place: str) -> None:
    found, expected = {}, {}
    table = MORE_13 if version == "1.3" else MORE_12
    for number, (what, (make, usual, special)) in enumerate(table.items()):
        wanted = special.get(place, usual)
        retry, asked = place == "second", place in ("certificate", "proof")
        more: Config = {
            "suites": ALL,
            "ticket_keys": ticket_keys(),
            "client_auth": "required" if asked else None,
            "verify": verifier(),
            "max_early_data": 1000,
            "replay_guard": ReplayGuard(),
        }
        ask = Ask(shares=() if retry else (29,), cert="p256" if asked else None, segment=number % 2)
        offer = None
        if version != "1.3":
            ask = replace(ask, versions=None, ticket=b"")
        made = server_config(**more)
        if place == "early" or version == "1.2 again":
            first = play(server(made), ask)[1].tickets[0]
            ask = again(ask, first) if version == "1.2 again" else ask
            offer = Offer(first, 0, b"early" if place == "early" else b"")
        expected[what] = "fine" if wanted == "keys" else wanted
        found[what] = outcome(server(made), ask, offer, place, make)
    assert found == expected
