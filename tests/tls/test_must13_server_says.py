"""What a TLS 1.3 server says itself, held to RFC 8446: hello, flight, limits, tickets, alerts, keys."""

from __future__ import annotations

import pytest

from synfin.errors import UsageError
from synfin.spec.protection import opener_13
from synfin.tls import Data, Limits, ReplayGuard
from tests.support.tlsoctets import BAD_MAC, FAILURE, OVERFLOW, message, vector
from tests.tls.ends import events, of, server, server_config, ticket_keys, verifier
from tests.tls.raw13 import ALERT, CCS, DATA, HANDSHAKE, Memory, Ticket, connect, numbers, split, verdict


def test_alerts_of_the_server_are_under_the_keys_that_hold() -> None:
    """RFC 8446 4.4.4: after its Finished those of the application, be the client in the handshake or not."""
    c = connect()
    c.say(c.hello()).flight().say(message(20, bytes(32)))
    assert c.schedule is not None
    reading = c.schedule.protection(c.schedule.server_next)
    raw = c.way.recv()
    assert reading.open_record(DATA, 0x0303, raw[5:]) == (ALERT, b"\2\x33")


def test_what_the_server_writes() -> None:
    """RFC 8446 4.1.3, 4.2.1, 4.3.1, 4.4, 5.1, D.4: versions, order, and what stands in each message."""
    for session_id in (bytes(range(32)), b""):
        c = connect(server(server_config(alpn=(b"h2",), ticket_keys=ticket_keys())))
        c.session_id = session_id
        c.say(c.hello({16: vector(b"\2h2"), 21: bytes(9), 49: b"", 5: b"\1\0\0\0\0", 58: b"\1\1"}))
        raw = c.server_hello()
        assert raw[4:6] == b"\3\3"
        assert raw[38 : 39 + len(session_id)] == vector(session_id, 1)
        assert raw[39 + len(session_id) :][:3] == b"\x13\1\0"
        assert c.records[0][0] == HANDSHAKE
        c.rest_of_flight()
        kinds = [kind for kind, _ in c.records]
        assert kinds[: 1 + bool(session_id)] == [HANDSHAKE, CCS][: 1 + bool(session_id)]
        assert set(kinds[1 + bool(session_id) :]) == {DATA}
        assert [one[0] for one in c.messages] == [2, 8, 11, 15, 20]
        found = split(c.messages[1][6:])
        assert {n: found[n] for n in found if n != 10} == {0: b"", 16: b"\0\3\2h2"}, "answers alone, and our groups"
        assert c.messages[2][4] == 0
        c.finish().late()
        assert {one[0] for one in c.messages[5:]} == {4}


def test_a_record_size_limit_is_kept_and_a_fragment_length_too() -> None:
    """RFC 8449 4: what is protected, its type and padding counted; RFC 6066 4: all records."""
    for padding in (None, lambda size: 50):
        c = connect(server(server_config(ticket_keys=ticket_keys(), padding=padding)))
        c.shake(c.hello({28: b"\0\x40"}))
        assert isinstance(c.way, Memory)
        c.way.end.send(bytes(500))
        c.late()
        assert len(c.data) == 500
        assert c.records[0] == (HANDSHAKE, 122), "in clear, whole"
        assert max(size for kind, size in c.records if kind == DATA) == 64 + 16
    c = connect(server(server_config(ticket_keys=ticket_keys())), group=0x11EC)
    c.shake(c.hello({10: b"\0\2\x11\xec", 1: b"\1"})).late()
    assert max(size for kind, size in c.records if kind == HANDSHAKE) == 512
    assert max(size for kind, size in c.records if kind == DATA) <= 512 + 1 + 16


def test_our_record_size_limit_holds_once_it_is_agreed() -> None:
    """RFC 8449 4: record_overflow for more; a client that knows no limits has none."""
    for agreed, size, want in ((True, 100, "ok"), (True, 101, OVERFLOW), (False, 16384, "ok")):
        c = connect(server(server_config(record_size_limit=100)))
        c.shake(c.hello({28: b"\x40\1"} if agreed else None)).put(DATA, bytes(size))
        assert verdict(c, lambda c: None) == want
    c = connect(server(server_config(record_size_limit=100)))
    assert split(c.shake(c.hello({28: b"\x40\1"})).messages[1][6:])[28] == b"\0\x65"


def test_keys_are_changed_before_they_protect_too_much() -> None:
    """RFC 8446 5.5, 5.3: the numbers of records begin anew."""
    c = connect(server(server_config(limits=Limits(records_per_key=3))))
    c.shake().late()
    assert isinstance(c.way, Memory)
    for _ in range(3):
        c.way.end.send(b"x")
    assert c.next() == message(24, b"\0")
    c.updated(reading=True)
    c.way.end.send(b"more")
    assert c.next() is None
    assert c.data == b"xxxmore"


def test_padding_of_ours_is_zeros() -> None:
    """RFC 8446 5.4."""
    c = connect(server(server_config(padding=lambda size: 99)))
    c.shake().late()
    assert isinstance(c.way, Memory)
    assert c.schedule is not None
    c.way.end.send(b"data")
    raw = bytes(c.way.end.take_output(0))
    opened = opener_13(0x1301, c.schedule.server_next)
    inner = opened._decrypt(opened._mask.to_bytes(12, "big"), raw[5:], raw[:5])
    assert inner == b"data\x17" + bytes(99)


def test_tickets() -> None:
    """RFC 8446 4.6.1: a week at most, another age_add, nonce and key for each; none to who cannot use them."""
    c = connect(server(server_config(ticket_keys=ticket_keys(), tickets=5, ticket_lifetime=10**6)))
    c.shake().late()
    assert len(c.tickets) == 5
    assert {one[4:8] for one in c.messages if one[0] == 4} == {(604800).to_bytes(4, "big")}
    for name in ("age", "key", "identity"):
        assert len({getattr(ticket, name) for ticket in c.tickets}) == 5, name
    assert len({one[13 : 13 + one[12]] for one in c.messages if one[0] == 4}) == 5
    for modes in (None, b"\1\0", b"\1\7"):
        c = connect(server(server_config(ticket_keys=ticket_keys())))
        c.shake(c.hello({45: modes})).late()
        assert not c.tickets


def test_randoms_and_the_sentinel() -> None:
    """RFC 8446 4.1.3: random octets of our own; the last eight say DOWNGRD where TLS 1.2 was chosen from above."""
    seen = set()
    for change, suites, sentinel in (({}, 0x1301, b""), ({43: None}, 0xC02B, b"DOWNGRD\1")):
        for _ in range(3):
            c = connect()
            c.put(HANDSHAKE, c.hello(change, suites=numbers((suites,))))
            raw = c.next() or b""
            assert raw[6:38] != c.random
            assert raw[6:38].endswith(sentinel)
            seen.add(raw[6:30])
    assert len(seen) == 6


def test_a_key_share_may_come_again() -> None:
    """RFC 9846 4.2.8: a peer that uses one twice is served; ours is another each time."""
    one, two = connect(), connect()
    two.shares = one.shares
    ours = []
    for c in (one, two):
        c.shake()
        ours.append(split(c.messages[0][76:])[51])
        assert verdict(c, lambda c: None) == "ok"
    assert ours[0] != ours[1]


def test_when_certificates_are_asked_for() -> None:
    """RFC 8446 4.3.2, 4.2.6: not beside a key in the handshake; later only if that was offered, by no shared key."""
    more = {"verify": verifier(), "ticket_keys": ticket_keys(), "shared_keys": ((b"shared", bytes(32)),)}
    asking = connect(server(server_config(client_auth="optional", **more)))
    asking.say(asking.hello()).flight()
    assert [one[0] for one in asking.messages] == [2, 8, 13, 11, 15, 20]
    assert asking.messages[2][4] == 0, "the context of the handshake is empty"
    assert split(asking.messages[2][7:])[13]
    first = connect(server(server_config(**more)))
    first.shake().late()
    shared = Ticket(b"shared", bytes(32), external=True)
    for key, post, allowed in ((first.tickets[0], b"", True), (first.tickets[0], None, False), (shared, b"", False)):
        c = connect(server(server_config(**more)))
        assert isinstance(c.way, Memory)
        c.psk = key.key
        c.shake(c.with_psk(c.hello({49: post}), [key])).late()
        assert [one[0] for one in c.messages if one[0] != 4] == [2, 8, 20]
        if allowed:
            c.way.end.request_certificate()
            raw = c.next() or b""
            assert raw[0] == 13
            assert raw[4] >= 8, "a context nobody foresees"
        with pytest.raises(UsageError):
            c.way.end.request_certificate()


@pytest.mark.parametrize("suite", [0x1301, 0x1302, 0x1303, 0x1304, 0x1305])
def test_suites(suite: int) -> None:
    """RFC 8446 9.1, B.4: AES-CCM and its short tags only where somebody asked for them."""
    usual = connect(suite=suite)
    assert verdict(usual, lambda c: c.shake()) == ("ok" if suite < 0x1304 else FAILURE)
    c = connect(server(server_config(suites=(suite,))), suite=suite)
    c.shake().late()
    assert isinstance(c.way, Memory)
    c.way.end.send(bytes(20000))
    assert c.next() is None
    assert c.data == bytes(20000)
    c.put(DATA, b"x")
    assert of(events(c.way.end), Data) == [Data(b"x")]
    damaged = bytearray(c.sealed(DATA, b"y"))
    damaged[-1] ^= 1
    c.raw(bytes(damaged))
    assert verdict(c, lambda c: None) == BAD_MAC


def test_keys_may_change_before_the_client_has_finished() -> None:
    """RFC 8446 4.6.3, 2.3: either peer may do so after its own Finished; a server may answer early data at once."""
    config = server_config(
        ticket_keys=ticket_keys(), replay_guard=ReplayGuard(), max_early_data=9, limits=Limits(records_per_key=2)
    )
    first = connect(server(config))
    first.shake().late()
    c = connect(server(config))
    assert isinstance(c.way, Memory)
    c.psk = first.tickets[0].key
    c.say(c.with_psk(c.hello({42: b""}), first.tickets[:1])).early_keys(first.tickets[0]).put(DATA, b"early")
    early_keys = c.out
    c.server_hello()
    c.rest_of_flight()
    c.way.end.send(b"1")
    c.way.end.send(b"2")
    assert c.next() == message(24, b"\0")
    c.updated(reading=True)
    c.way.end.send(b"3")
    assert c.next() is None
    assert c.data == b"123"
    c.out = early_keys
    c.say(message(5, b"")).handshake_keys().finish()
    assert verdict(c, lambda c: None) == "ok"
