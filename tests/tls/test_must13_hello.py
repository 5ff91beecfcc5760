"""The ClientHello in every configuration, read by a reader of its own and held to RFC 8446 4.1.2 and 4.2.

What a server sees of a hello is all that it sees of a client, so each row of the requirements that speaks of a hello
is checked in each configuration, the second hello included.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.errors import UsageError
from synfin.tls import ReplayGuard, Session, SessionCache, Ticket
from tests.support.tlsoctets import NEW, OLD
from tests.tls.bad_server import RETRY, ends
from tests.tls.edits import Edit, hello
from tests.tls.ends import NAME, NOW, client, client_config, credential, events, of, pump, server, server_config
from tests.tls.ends import ticket_keys as keys
from tests.tls.hello_reader import Hello, Shown, checked, first, listed

SUITES_13, SUITES_12 = (0x1301, 0x1302, 0x1303, 0x1304), (0xC02B, 0xC030, 0xCCA9, 0x009E, 0x009C, 0xC009)
GROUPS = (0x11EC, 29, 23, 24, 25, 30, 256, 257)
CONFIGURATIONS: list[dict[str, Any]] = [
    {},
    *({"min_version": low, "max_version": high} for low, high in ((OLD, OLD), (OLD, NEW), (NEW, NEW))),
    *({"suites": (code,)} for code in SUITES_13 + SUITES_12),
    *({"suites": SUITES_12, "groups": (group,)} for group in GROUPS[1:]),
    *({"groups": (group,)} for group in GROUPS),
    *({"shares": many} for many in (0, 1, 3, 8, 99, (24,), (29, 25))),
    *({"schemes": (code,)} for code in (0x0403, 0x0804, 0x0401, 0x0807, 0x0905)),
    {"groups": GROUPS, "shares": 8},
    {"alpn": (b"h2", b"http/1.1")},
    {"alpn": tuple(b"%03d" % index * 80 for index in range(80))},
    {"record_size_limit": 64},
    {"record_size_limit": 1 << 14},
    {"record_size_limit": 1 << 14, "max_version": OLD},
    {"certificate_compression": ()},
    {"certificate_compression": (1,)},
    {"post_handshake_auth": True, "credentials": (credential(client=True),)},
    {"ask_staple": False},
    {"send_name": False},
    {"ask_tickets": False},
    {"middlebox_compatibility": False},
]


@pytest.mark.parametrize("index", range(len(CONFIGURATIONS)))
@pytest.mark.parametrize("grease", [True, False])
def test_first_hello(index: int, grease: bool) -> None:
    more = CONFIGURATIONS[index]
    for _ in range(3 if grease else 1):  # GREASE is chance
        found = first(**{"grease": grease, **more})
    assert found.has(0) == more.get("send_name", True)
    assert found.has(16) == ("alpn" in more)
    assert found.has(28) == ("record_size_limit" in more)
    assert found.has(49) == ("post_handshake_auth" in more)
    assert found.has(5) == found.has(18) == more.get("ask_staple", True)


@pytest.mark.parametrize(
    ("name", "said"),
    [("a.example", True), ("A.Example.", True), ("localhost", True), ("192.0.2.1", False), ("2001:db8::1", False)],
)
def test_names(name: str, said: bool) -> None:
    """RFC 6066 3: no addresses, no dot at the end."""
    assert first(name=name).has(0) == said


@pytest.mark.parametrize("name", ["a b", "a\0b", "\x7f", "x" * 256, "b\u00fccher.example"])
def test_names_that_no_hello_says(name: str) -> None:
    with pytest.raises(UsageError):
        client(name=name)


@pytest.mark.parametrize(
    "more",
    [
        {"groups": (29, 29)},
        {"suites": (0x1301, 0x1301)},
        {"schemes": (0x0403, 0x0403)},
        {"certificate_compression": (1, 1)},
        {"certificate_compression": (4,)},
        {"alpn": (b"",)},
        {"alpn": (b"x" * 256,)},
        {"alpn": (b"x" * 255,) * 200},
        {"shares": -1},
        {"shares": (23,), "groups": (29,)},
        {"shares": (23, 29), "groups": (29, 23)},
        {"record_size_limit": 63},
        {"record_size_limit": (1 << 14) + 1},
    ],
)
def test_configurations_that_no_hello_says(more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        client_config(**more)


@pytest.mark.parametrize(
    "more",
    [
        {"groups": ()},
        {"schemes": ()},
        {"suites": ()},
        {"schemes": (0x0401,), "min_version": NEW},
        {"schemes": (0x0904,), "max_version": OLD},
        {"suites": (0xC02B,), "min_version": NEW},
        {"suites": (0xC02B,), "groups": (256,), "max_version": OLD},
    ],
)
def test_nothing_left_to_offer(more: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        client(client_config(**more))


def session(**more: Any) -> Session:
    given = {"alpn": (b"h2",), "ticket_keys": keys(), "max_early_data": 1 << 12, "replay_guard": ReplayGuard()}
    one, two = client(client_config(alpn=(b"h2",))), server(server_config(**{**given, **more}))
    pump(one, two)
    found: Session = of(events(one), Ticket)[-1].session
    return found


def test_with_a_session() -> None:
    found = first(session(), alpn=(b"h2",))
    assert found.has(41)
    assert not found.has(42)
    found = first(session(), alpn=(b"h2",), early_data=True)
    assert found.has(42)
    old = session(max_version=OLD)
    found = first(old, alpn=(b"h2",))
    assert found.body(35) == old.ticket
    assert not found.has(41)
    found = first(Session.from_key(b"us", bytes(32)))
    assert found.body(41)[:8] == b"\0\x08\0\2us\0\0"


def test_without_asking_for_tickets() -> None:
    """RFC 8446 4.2.9: none come then; a session at hand is offered all the same, with what belongs to it."""
    found = first(ask_tickets=False)
    assert not found.has(35)
    assert not found.has(45)
    assert first(session(), alpn=(b"h2",), ask_tickets=False).has(45)
    assert first(session(max_version=OLD), ask_tickets=False).has(35)
    for version in (OLD, NEW):
        config = client_config(max_version=version, ask_tickets=False)
        one, two = client(config), server(server_config(ticket_keys=keys()))
        pump(one, two)
        assert one.facts is not None
        assert not of(events(one), Ticket)
    more = {"session_cache": SessionCache(), "ticket_keys": keys()}
    one, two = client(config := client_config(max_version=OLD, ask_tickets=False)), server(server_config(**more))
    pump(one, two)
    kept = of(events(one), Ticket)[0].session
    assert (len(kept.session_id), kept.ticket) == (32, b"")
    one, two = client(config, kept), server(server_config(**more))
    pump(one, two)
    assert one.facts is not None
    assert one.facts.resumed


@pytest.mark.parametrize(
    ("change", "offered", "early"),
    [
        ({}, True, True),
        ({"alpn": (b"http/1.1",)}, True, False),  # 0-RTT is of its protocol (RFC 8446 4.2.10)
        ({"suites": (0x1303,)}, True, False),  # and suite; a key goes with its hash (4.6.1)
        ({"suites": (0x1302,)}, False, False),
        ({"max_version": OLD}, False, False),
        ({"early_data": False}, True, False),
    ],
)
def test_when_a_session_is_offered(change: dict[str, Any], offered: bool, early: bool) -> None:
    found = first(session(), **{"alpn": (b"h2",), "early_data": True, **change})
    assert (found.has(41), found.has(42)) == (offered, early)


def test_a_session_of_another_name_or_time_is_not_offered() -> None:
    kept = session()
    assert not first(kept, name="other.example").has(41)
    for seconds in (-61, kept.lifetime, 8 * 86400):
        one = Shown(client_config(), NAME, now=NOW + seconds, entropy=os.urandom, session=kept)
        assert not checked(one, bytes(one.take_output(NOW))).has(41)


@pytest.mark.parametrize("seconds", [-30, 0, 1.5, 7000])
def test_the_age_of_a_ticket(seconds: float) -> None:
    """RFC 8446 4.2.11.1: milliseconds since it came, and age_add, modulo 2^32."""
    kept = session()
    one = Shown(client_config(), NAME, now=kept.issued + seconds, entropy=os.urandom, session=kept)
    body = checked(one, bytes(one.take_output(NOW))).body(41)
    told = int.from_bytes(body[4 + len(kept.ticket) : 8 + len(kept.ticket)], "big")
    age = (told - kept.age_add) % (1 << 32)
    assert abs(age - max(0, seconds) * 1000) <= 1


def retried(edit: Edit, *, kept: Session | None = None, **more: Any) -> tuple[Hello, Hello]:
    """Both hellos around a HelloRetryRequest."""
    one, bad = ends(NEW, {RETRY: edit}, server={"groups": (24,), "alpn": (b"h2",)}, client=more, session=kept)
    two = Shown(one.config, NAME, now=NOW, entropy=os.urandom, session=kept)
    sent = bytes(two.take_output(NOW))
    bad.receive(sent[: 5 + int.from_bytes(sent[3:5], "big")], NOW)
    before = checked(two, sent)
    two.receive(bad.take_output(NOW), NOW)
    output = bytes(two.take_output(NOW))
    if output[0] == 20:  # compatibility mode
        assert output[:6] == b"\x14\3\3\0\1\1"
        output = output[6:]
    return before, checked(two, output, second=True)


@pytest.mark.parametrize("psk", [False, True])
@pytest.mark.parametrize("cookie", [False, True])
@pytest.mark.parametrize("group", [False, True])
@pytest.mark.parametrize("grease", [False, True])
def test_second_hello(psk: bool, cookie: bool, group: bool, grease: bool) -> None:
    """RFC 8446 4.1.2: the same, but for shares, early data, cookie, and the age and binder of a key."""
    if not cookie and not group:
        return
    changes: list[tuple[int, bytes | None]] = [(44, b"\0\5abcde")] * cookie + [(51, None)] * (not group)
    kept = session() if psk else None
    more: dict[str, Any] = {"alpn": (b"h2",), "grease": grease, "early_data": True}
    before, then = retried(hello(*changes), kept=kept, **more)
    assert (then.random, then.session_id, then.suites) == (before.random, before.session_id, before.suites)
    assert before.has(42) == psk
    left = [(number, b"" if number in (41, 51) else body) for number, body in before.extensions if number != 42]
    kept_ones = [(number, b"" if number in (41, 51) else body) for number, body in then.extensions if number != 44]
    assert kept_ones == left
    assert then.has(44) == cookie
    assert not cookie or then.body(44) == b"\0\5abcde"
    if group:
        assert [number for number, _ in then.shares] == [24]
    else:
        assert then.body(51) == before.body(51)
    if psk:
        ticket = len(kept.ticket) if kept else 0
        assert then.body(41)[: 4 + ticket] == before.body(41)[: 4 + ticket]
        assert then.body(41)[-32:] != before.body(41)[-32:]


def test_second_hello_without_a_key_of_another_hash() -> None:
    """RFC 8446 4.1.4: the key does not fit the suite that was chosen; nothing else goes with it (4.1.2)."""
    for ask in (True, False):
        before, then = retried(hello(cipher_suite=0x1302), kept=session(), alpn=(b"h2",), ask_tickets=ask)
        assert before.has(41)
        left = [number for number, _ in before.extensions if number != 41]
        assert [number for number, _ in then.extensions] == left


def test_each_share_is_new() -> None:
    """RFC 9846 4.3.8: not used again in another connection, nor for another group in this one."""
    seen = [share for _ in range(3) for _, share in first(grease=False, groups=(29, 23), shares=2).shares]
    assert len(set(seen)) == 6
    assert len({first().random for _ in range(3)}) == 3
    assert len({first().session_id for _ in range(3)}) == 3


@pytest.mark.parametrize("size", [1, 300, 16_000, 20_000, 32_768])
def test_long_hellos_take_several_records(size: int) -> None:
    found = first(Session.from_key(b"x" * size, bytes(32)))
    assert found.has(41)
    assert (len(found.records) > 1) == (size > 15_000)


def test_the_longest_first_hello_has_room_for_a_second() -> None:
    """Else what a server asks for would be our fault."""
    names = tuple([b"%03d" % index * 85 for index in range(127)])
    went = []
    for size in range(27_000, 32_768, 500):
        kept = Session.from_key(b"x" * size, bytes(32))
        more: dict[str, Any] = {"alpn": names, "shares": 1}
        try:
            one, bad = ends(NEW, {}, server={"groups": (257,)}, client=more, session=kept)
        except UsageError:
            went.append(False)
            continue
        went.append(True)
        bad.receive(one.take_output(NOW), NOW)
        one.receive(bad.take_output(NOW), NOW)
        assert one.take_output(NOW)
    assert went == sorted(went, reverse=True)
    assert len(set(went)) == 2


def test_no_cookie_is_kept_for_another_connection() -> None:
    """RFC 8446 4.2.2."""
    retried(hello((44, b"\0\1x")))
    assert not first().has(44)


def test_early_data_follows_its_hello() -> None:
    """With compatibility's ChangeCipherSpec between (RFC 8446 D.4), under keys of its own."""
    one = Shown(client_config(alpn=(b"h2",), early_data=True), NAME, now=NOW, entropy=os.urandom, session=session())
    assert one.early_room == 1 << 12
    one.send_early(b"early")
    sent = bytes(one.take_output(NOW))
    found = checked(one, sent)
    rest = sent[sum(size + 5 for _, _, size in found.records) :]
    assert rest[:6] == b"\x14\3\3\0\1\1"
    assert (rest[6], len(rest)) == (23, 6 + 5 + 5 + 1 + 16)
    with pytest.raises(UsageError):
        one.send_early(bytes(1 << 12))


@pytest.mark.parametrize("kept", [False, True], ids=["", "key"])
def test_padding(kept: bool) -> None:
    """RFC 7685: zeros, and only where the length is one that servers hang on; a key stays last."""
    lengths = set()
    for size in range(1, 250, 3):
        more: dict[str, Any] = {"alpn": (b"x" * size,), "groups": (29,), "suites": (0x1301,), "schemes": (0x0403,)}
        given = Session.from_key(b"us", bytes(32)) if kept else None
        plain, padded = (first(given, pad_hello=pad, grease=False, **more) for pad in (False, True))
        before, after = (sum(record[2] for record in found.records) for found in (plain, padded))
        inside = 0xFF < before < 0x200
        assert padded.has(21) == inside
        assert not inside or not any(padded.body(21))
        assert after == before if not inside else after == max(0x200, before + 5)
        lengths.add(inside)
    assert lengths == {False, True}


def test_what_every_client_has() -> None:
    """RFC 8446 9.1, 9.2: offered unless a configuration says otherwise."""
    found = first()
    assert {0x1301, 0x1302, 0x1303} <= set(found.suites)
    assert {23, 29} <= set(found.groups)
    assert {0x0401, 0x0804, 0x0403} <= set(listed(found.body(13)))
    assert {0, 10, 13, 43, 45, 51} <= {number for number, _ in found.extensions}


def test_what_no_client_offers() -> None:
    """RFC 8446 D.5: no suite but those of this engine can be asked for, and all have keys of 128 bits or more."""
    for code in (0x0004, 0x0005, 0xC007, 0xC011, 0x000A, 0x0009, 0x0000, 0x0001, 0x003B, 0x0018, 0x0062):
        with pytest.raises(ValueError, match="cipher suite"):
            client_config(suites=(0x1301, code))
    assert not first(suites=SUITES_13 + SUITES_12).has(4)


@pytest.mark.parametrize("scheme", [0x0201, 0x0203, 0x0101, 0x0301, 0x0303, 0x0202, 0x0402])
def test_hashes_that_no_client_offers(scheme: int) -> None:
    """RFC 8446 4.2.3: MD5, SHA-1, SHA-224, DSA."""
    with pytest.raises(ValueError, match="signature scheme"):
        client_config(schemes=(0x0403, scheme))


def some(values: tuple[Any, ...], least: int = 0) -> st.SearchStrategy[tuple[Any, ...]]:
    """Some of them, in any order."""
    return st.lists(st.sampled_from(values), min_size=least, unique=True).map(tuple)


@given(
    versions=st.sampled_from([(OLD, OLD), (OLD, NEW), (NEW, NEW)]),
    suites=some((*SUITES_13, *SUITES_12), 1),
    groups=some(GROUPS),
    schemes=some((0x0403, 0x0503, 0x0804, 0x0809, 0x0807, 0x0401, 0x0904)),
    shares=st.integers(0, 9),
    switches=st.fixed_dictionaries(
        {name: st.booleans() for name in ("grease", "ask_staple", "pad_hello", "send_name")}
    ),
    more=st.fixed_dictionaries(
        {
            "middlebox_compatibility": st.booleans(),
            "certificate_compression": some((1, 2, 3)),
            "alpn": some((b"h2", b"http/1.1", b"x" * 255)),
            "record_size_limit": st.sampled_from([None, 64, 512, 1 << 14]),
        }
    ),
    key=st.booleans(),
)
@settings(max_examples=120, deadline=None)
def test_any_hello(
    versions: tuple[int, int],
    suites: tuple[int, ...],
    groups: tuple[int, ...],
    schemes: tuple[int, ...],
    shares: int,
    switches: dict[str, Any],
    more: dict[str, Any],
    key: bool,
) -> None:
    """Whatever is asked for: a hello by the letter, or none at all."""
    low, high = versions
    lists: dict[str, Any] = {"suites": suites, "groups": groups, "schemes": schemes, "shares": shares}
    kept = Session.from_key(b"us", bytes(32)) if key else None
    try:
        found = first(kept, min_version=low, max_version=high, **lists, **switches, **more)
    except UsageError:
        return
    assert found.has(43) == any(code >> 8 == 0x13 for code in suites if high == NEW)
