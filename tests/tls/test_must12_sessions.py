"""Resumption at a TLS 1.2 server, by session id and by ticket: RFC 5246 7.3 and 7.4.1.2, 5077, 6066 3 and 4, 7627 5.3.

A row says how the session was made, what the hello that offers it says, and what must come of it: "resumed", "full" or
an alert.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from synfin.errors import UsageError
from synfin.tls import Server, Session, SessionCache, Ticket, TicketKeys
from synfin.tls.config import ServerConfig
from synfin.wire.tls.messages import ClientHello, ServerHello, parse_handshake
from tests.support.tlsoctets import DECRYPT, FAILURE, ILLEGAL, OLD, OVERFLOW, UNEXPECTED, VERSION
from tests.tls.bad_client import SUITES, BadClient, carry, scene
from tests.tls.edits import Edit, exactly, flipped, hello
from tests.tls.ends import (
    NAME,
    NOW,
    alert_of,
    client_config,
    credential,
    events,
    of,
    server_config,
    ticket_keys,
    verifier,
)

GCM, OTHER, CBC, RSA_GCM = 0xC02B, 0xC02C, 0xC009, 0xC02F
BOTH = pytest.mark.parametrize("tickets", [True, False], ids=["ticket", "id"])


def keeper(tickets: bool, **more: Any) -> ServerConfig:
    """A server that keeps sessions one way."""
    kept: dict[str, Any] = {"ticket_keys": ticket_keys()} if tickets else {"session_cache": SessionCache()}
    return server_config("p256", "rsa2048", **{"max_version": OLD, "suites": SUITES, **kept, **more})


def session_of(config: ServerConfig, edit: Edit | None = None, **client: Any) -> Session:
    one, two = scene({1: edit} if edit else {}, server=config, client=client)
    carry(one, two)
    found: Session = of(events(one), Ticket)[-1].session
    return found


def offered(
    config: ServerConfig, session: Session, edits: dict[int, Edit] | None = None, **more: Any
) -> tuple[BadClient, Server]:
    """A connection that offers ``session``, as far as it came."""
    client = {"suites": tuple(dict.fromkeys((session.suite, *SUITES))), **more.pop("client", {})}
    one, two = scene(edits, server=config, session=session, client=client, **more)
    carry(one, two)
    return one, two


def outcome(two: Server) -> str | int | None:
    if two.facts is not None:
        return "resumed" if two.facts.resumed else "full"
    return alert_of(two)


def without(*codes: int) -> Edit:
    return hello(cipher_suites=lambda h: tuple(code for code in h.cipher_suites if code not in codes))


NO_EMS, NO_ETM = hello((23, None)), hello((22, None))
OTHER_NAME = hello((0, b"\0\x10\0\0\x0dother.example"))
ROWS: list[tuple[str, Edit | None, dict[str, Any], Edit | None, str | int]] = [
    ("5246 7.3 as it is", None, {}, None, "resumed"),
    ("5246 7.4.1.3 the suite is the session's", None, {"suites": (OTHER,)}, None, "resumed"),
    ("5246 7.4.1.2 its suite is not offered", None, {"suites": (GCM,)}, without(GCM), ILLEGAL),
    ("5246 7.4.1.2 none of ours is offered", None, {}, hello(cipher_suites=(0x1399,)), ILLEGAL),
    ("5246 7.4.1.4.1 signature algorithms are not looked at", None, {}, hello((13, None)), "resumed"),
    ("5246 7.4.1.4 groups and points neither", None, {}, hello((10, None), (11, b"\1\1")), "resumed"),
    ("5246 E.1 a later version", None, {}, hello(legacy_version=0x0304), "resumed"),
    ("5246 E.1 an earlier version", None, {}, hello(legacy_version=0x0302), VERSION),
    ("7627 5.3 both extended", None, {}, None, "resumed"),
    ("7627 5.3 it was extended, now it is not", None, {}, NO_EMS, FAILURE),
    ("7627 5.3 it was not, now it is", NO_EMS, {}, None, "full"),
    ("7627 5.3 neither", NO_EMS, {}, NO_EMS, "resumed"),
    ("6066 3 another name", None, {}, OTHER_NAME, "full"),
    ("6066 3 no name", None, {}, hello((0, None)), "full"),
    ("6066 4 the same length", hello((1, b"\1")), {}, hello((1, b"\1")), "resumed"),
    ("6066 4 another length", hello((1, b"\1")), {}, hello((1, b"\2")), "full"),
    ("6066 4 a length now", None, {}, hello((1, b"\1")), "full"),
    ("6066 4 no length now", hello((1, b"\1")), {}, None, "resumed"),
    ("6066 4 a record limit instead", hello((1, b"\1")), {}, hello((28, b"\x40\0")), "resumed"),
    ("7366 3 with encrypt_then_mac", None, {"suites": (CBC,)}, None, "resumed"),
    ("7366 3 now without", None, {"suites": (CBC,)}, NO_ETM, "resumed"),
    ("7366 3 only now", NO_ETM, {"suites": (CBC,)}, None, "resumed"),
    ("5746 3.6 verify data", None, {}, hello((0xFF01, b"\x0c" + bytes(12))), FAILURE),
    ("7301 3.1 a protocol now", None, {}, hello((16, b"\0\3\2h2")), "resumed"),
]


@BOTH
@pytest.mark.parametrize(("what", "first", "client", "then", "expected"), ROWS, ids=[row[0] for row in ROWS])
def test_offers(
    what: str, first: Edit | None, client: dict[str, Any], then: Edit | None, expected: str | int, tickets: bool
) -> None:
    config = keeper(tickets)
    session = session_of(config, first, **client)
    _, two = offered(config, session, {1: then} if then else {})
    assert outcome(two) == expected


def answer_to(
    config: ServerConfig, session: Session, edit: Edit | None = None
) -> tuple[ClientHello, ServerHello, bytes]:
    """The hello, its answer, and the octets after it."""
    one, two = scene({1: edit} if edit else {}, server=config, session=session)
    two.receive(one.take_output(NOW), NOW)
    out = bytes(two.take_output(NOW))
    size = 9 + int.from_bytes(out[6:9], "big")
    asked, told = parse_handshake(1, one.hello[4:]), parse_handshake(2, out[9:size])
    assert isinstance(asked, ClientHello)
    assert isinstance(told, ServerHello)
    return asked, told, out[size:]


@BOTH
def test_answers_to_an_offer(tickets: bool) -> None:
    config = keeper(tickets, alpn=(b"h2",))
    session = session_of(config)
    asked, told, rest = answer_to(config, session)
    assert told.session_id == asked.session_id  # RFC 5246 7.4.1.3, RFC 5077 3.4
    assert told.cipher_suite == session.suite
    found = dict(told.extensions or ())
    assert 0 not in found  # RFC 6066 3
    assert 11 not in found  # RFC 5246 7.4.1.4: of a new session only
    assert found[23] == b""  # RFC 7627 5.3
    assert found[0xFF01] == b"\0"  # RFC 5746 3.6
    assert (35 in found) == tickets
    assert (rest[:1] == b"\4") == tickets  # NewSessionTicket before ChangeCipherSpec (RFC 5077 3.3)
    full, told, _ = answer_to(config, session, OTHER_NAME)
    assert told.session_id != full.session_id
    assert bool(told.session_id) == (not tickets)  # RFC 5077 3.4: empty where a ticket will come


@BOTH
def test_the_length_of_a_session(tickets: bool) -> None:
    """RFC 6066 4: it holds in resumptions, also where the hello does not ask again; record_size_limit overrides it."""
    config = keeper(tickets)
    for edit, most in ((hello((1, b"\1")), 512), (hello(), 512), (hello((28, b"\x10\0")), 4096)):
        one, two = offered(config, session_of(config, hello((1, b"\1"))), {1: edit})
        assert outcome(two) == "resumed"
        two.send(bytes(5000))
        out = bytes(two.take_output(NOW))
        assert out[3] << 8 | out[4] == most + 24
        two.receive(one.sealed(23, bytes(513)), NOW)
        assert alert_of(two) == (None if most > 512 else OVERFLOW)


@pytest.mark.parametrize("at", [0, 1, 3, 4, 10, 15, 16, 17, 40, -17, -16, -1])
def test_a_ticket_changed(at: int) -> None:
    """RFC 5077 3.1: a full handshake, and another ticket."""
    config = keeper(True)
    session = session_of(config)

    def edit(bad: BadClient, raw: bytes) -> bytes:
        ticket = bytearray(session.ticket)
        ticket[at] ^= 1
        return hello((35, bytes(ticket)))(bad, raw)

    one, two = offered(config, session, {1: edit})
    assert outcome(two) == "full"
    assert of(events(one), Ticket)


@pytest.mark.parametrize("ticket", [b"", b"x", bytes(31), bytes(64), b"\xff" * 5000])
def test_a_ticket_of_nobody(ticket: bytes) -> None:
    config = keeper(True)
    _, two = offered(config, session_of(config), {1: hello((35, ticket))})
    assert outcome(two) == "full"


def test_a_ticket_of_other_keys_or_cut() -> None:
    config = keeper(True)
    session = session_of(config)
    _, two = offered(config, session, {1: hello((35, session.ticket[:-1]))})
    assert outcome(two) == "full"
    _, two = offered(keeper(True, ticket_keys=TicketKeys(bytes(32))), session)
    assert outcome(two) == "full"


def test_ticket_or_id_which_counts() -> None:
    """RFC 5077 3.4: with a ticket the session id is the client's own, and no session is looked up by it."""
    config = keeper(True, session_cache=SessionCache())
    session = session_of(config)
    for own in (b"", b"12345", bytes(32)):
        asked, told, _ = answer_to(config, session, hello(session_id=own))
        assert told.session_id == asked.session_id == own
    by_id = session_of(config, hello((35, None)))
    assert by_id.session_id
    assert not by_id.ticket
    _, two = offered(config, by_id, {1: hello((35, b""))})
    assert outcome(two) == "resumed"
    _, two = offered(config, by_id, {1: hello((35, b"garbage" * 10))})
    assert outcome(two) == "full"


@BOTH
def test_too_old(tickets: bool) -> None:
    """RFC 5246 F.1.4, RFC 5077 5.6."""
    config = keeper(tickets, ticket_lifetime=100)
    session = session_of(config)
    for later, resumed in ((99, True), (101, False)):
        one = BadClient(
            client_config(max_version=OLD, suites=SUITES), "test.example", now=NOW, entropy=os.urandom, session=session
        )
        two = Server(config, now=NOW + later, entropy=os.urandom)
        for _ in range(4):
            two.receive(one.take_output(NOW), NOW + later)
            one.receive(two.take_output(NOW + later), NOW)
        assert two.facts is not None
        assert two.facts.resumed == resumed


def test_a_new_ticket_is_not_a_new_life() -> None:
    """RFC 5246 F.1.4: a session that is resumed again and again keeps its master secret, but not for ever."""
    config = keeper(True, ticket_lifetime=100)
    session, lives = session_of(config), []
    for later in (0, 60, 99, 101):
        mine = client_config(max_version=OLD, suites=SUITES)
        one = BadClient(mine, NAME, now=NOW + later, entropy=os.urandom, session=session)
        two = Server(config, now=NOW + later, entropy=os.urandom)
        for _ in range(4):
            two.receive(one.take_output(NOW + later), NOW + later)
            one.receive(two.take_output(NOW + later), NOW + later)
        session = of(events(one), Ticket)[-1].session
        lives.append((outcome(two), session.lifetime))
    assert lives == [("resumed", 100), ("resumed", 40), ("resumed", 1), ("full", 100)]


@BOTH
def test_a_suite_that_is_no_longer_ours(tickets: bool) -> None:
    config = keeper(tickets)
    session = session_of(config, suites=(GCM,))
    _, two = offered(replace(config, suites=(OTHER, RSA_GCM)), session)
    assert outcome(two) == "full"


@BOTH
def test_a_client_that_must_be_known(tickets: bool) -> None:
    """A session without a client's certificate is not enough where one is asked for."""
    config = keeper(tickets)
    session = session_of(config)
    asking = replace(config, client_auth="optional", verify=verifier())
    _, two = offered(asking, session)
    assert outcome(two) == "full"
    own = {"credentials": (credential(client=True),)}
    known = session_of(asking, None, **own)
    _, two = offered(asking, known, client=own)
    assert outcome(two) == "resumed"
    assert two.facts is not None
    assert two.facts.peer_chain == own["credentials"][0].chain


LAST: list[tuple[str, dict[int, Edit], dict[str, Any], int]] = [
    ("7.4.9 Finished wrong", {20: flipped}, {}, DECRYPT),
    ("7.4.9 key exchange in its place", {20: exactly(16, b"\1x")}, {}, UNEXPECTED),
    ("7.4.9 ChangeCipherSpec left out", {}, {"change": b""}, UNEXPECTED),
]


@pytest.mark.parametrize(("what", "edits", "attributes", "alert"), LAST, ids=[row[0] for row in LAST])
def test_a_failed_connection_takes_its_session_with_it(
    what: str, edits: dict[int, Edit], attributes: dict[str, Any], alert: int
) -> None:
    """RFC 5246 7.2.2: any connection terminated with a fatal alert MUST NOT be resumed."""
    config = keeper(False)
    session = session_of(config)
    _, two = offered(config, session, edits, **attributes)
    assert alert_of(two) == alert
    _, two = offered(config, session)
    assert outcome(two) == "full"


def test_a_ticket_takes_nobody_elses_session_with_it() -> None:
    """RFC 5077 3.4: the session id beside a ticket names no session."""
    config = keeper(True, session_cache=SessionCache())
    theirs = session_of(config, hello((35, None)))
    one, two = offered(config, session_of(config), {1: hello(session_id=theirs.session_id)})
    assert outcome(two) == "resumed"
    two.receive(one.sealed(21, b"\2\x50"), NOW)
    _, two = offered(config, theirs, {1: hello((35, None))})
    assert outcome(two) == "resumed"


@pytest.mark.parametrize("who", ["client", "server"])
def test_an_alert_later_takes_it_too(who: str) -> None:
    config = keeper(False)
    session = session_of(config)
    one, two = offered(config, session)
    assert outcome(two) == "resumed"
    if who == "client":
        two.receive(one.sealed(21, b"\2\x50"), NOW)
    else:
        two.receive(b"\x17\3\3\0\1x", NOW)
    _, two = offered(config, session)
    assert outcome(two) == "full"


def test_tickets_come_after_finished_and_renew() -> None:
    """RFC 5077 3.3: the client's Finished is verified first; an abbreviated handshake brings a new ticket."""
    config = keeper(True)
    one, two = scene({20: flipped}, server=config)
    carry(one, two)
    assert not of(events(one), Ticket)
    session = session_of(config)
    one, two = offered(config, session)
    (renewed,) = of(events(one), Ticket)
    assert renewed.session.ticket != session.ticket
    assert renewed.session.secret == session.secret
    _, two = offered(config, renewed.session)
    assert outcome(two) == "resumed"


def test_an_empty_ticket_where_none_can_be_made() -> None:
    """RFC 5077 3.3: promised in the ServerHello, so the message comes, with nothing in it."""

    class Spent(TicketKeys):
        def seal(self, state: bytes, now: float, nonce: bytes) -> bytes | None:
            return None

    one, two = scene(server=keeper(True, ticket_keys=Spent(bytes(32))))
    carry(one, two)
    assert two.facts is not None
    assert one.facts is not None
    assert not of(events(one), Ticket)


def test_no_exporter_without_the_extended_master_secret() -> None:
    """RFC 7627 5.4."""
    one, two = scene({1: hello((23, None))})
    carry(one, two)
    for end in (one, two):
        assert end.facts is not None
        with pytest.raises(UsageError, match="extended_master_secret"):
            end.export("EXPORTER-test", None, 32)
    one, two = scene()
    carry(one, two)
    assert one.export("EXPORTER-test", None, 32) == two.export("EXPORTER-test", None, 32)
