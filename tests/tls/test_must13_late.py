"""What RFC 8446 (RFC 9846 where it says more) demands of a TLS 1.3 client after the handshake, and at its end."""

from __future__ import annotations

import pickle

import pytest

from synfin.errors import UsageError
from synfin.tls import (
    Closed,
    Data,
    Failed,
    KeyUpdated,
    PeerAlert,
    Ticket,
)
from tests.support.tlsoctets import DECRYPT, ILLEGAL, NEW, UNEXPECTED, block
from tests.tls.bad_server import Bad, carried, ends, judged
from tests.tls.edits import flipped
from tests.tls.ends import (
    NOW,
    Teller,
    credential,
    events,
    of,
    pump,
    ticket_keys,
)
from tests.tls.test_letter_client13 import SCHEMES, cr, ee, ticket
from tests.tls.test_letter_client_records import STEPS, at


def test_one_request_for_new_keys_at_a_time() -> None:
    """RFC 9846 4.7.3: none before the answer to the last one."""
    one, bad = ends(NEW, {})
    pump(one, bad)
    events(bad)
    one.update_keys(request=True)
    one.update_keys(request=True)
    bad.receive(one.take_output(NOW), NOW)
    assert of(events(bad), KeyUpdated) == [KeyUpdated(True), KeyUpdated(False)]
    one.receive(bad.take_output(NOW), NOW)
    one.update_keys(request=True)
    one.send(b"still the same")
    bad.receive(one.take_output(NOW), NOW)
    assert events(bad) == [KeyUpdated(True), Data(b"still the same")]


def test_old_keys_open_nothing_after_an_update() -> None:
    """RFC 8446 4.6.3."""
    one, bad = ends(NEW, {})
    pump(one, bad)
    old = bad._sealer
    assert old is not None
    bad.update_keys()
    one.receive(bad.take_output(NOW), NOW)
    one.receive(old.seal_record(23, b"x"), NOW)
    judged(one, 20)


def asked() -> tuple[Teller, Bad]:
    """A client that said it would answer late requests."""
    one, bad = ends(NEW, {}, client={"post_handshake_auth": True, "credentials": (credential(client=True),)})
    pump(one, bad)
    one.take_output(NOW)
    return one, bad


def test_a_late_answer_is_in_one_piece() -> None:
    """RFC 8446 4.6.2: Certificate, CertificateVerify, Finished; or an empty Certificate and Finished."""
    for schemes, expected in ((SCHEMES, [11, 15, 20]), ((13, b"\0\2\x08\x07"), [11, 20])):
        one, bad = asked()
        bad.seal(22, cr(schemes, context=b"one"))
        one.receive(bad.take_output(NOW), NOW)
        one.send(b"after it")
        opener = bad._opener
        assert opener is not None
        data = bytes(one.take_output(NOW))
        size = 5 + int.from_bytes(data[3:5], "big")
        kind, content = opener.open_record(23, 0x0303, memoryview(data)[5:size])
        assert kind == 22
        kinds = []
        while content:
            kinds.append(content[0])
            if content[0] == 11:
                assert content[4:8] == b"\3one"
            content = content[4 + int.from_bytes(content[1:4], "big") :]
        assert kinds == expected
        judged(one, None)


def test_a_context_is_asked_once() -> None:
    """RFC 8446 4.3.2: unique in the connection."""
    one, bad = asked()
    for context in (b"x", b"y", b"x"):
        assert not one.told
        bad.seal(22, cr(SCHEMES, context=context))
        one.receive(bad.take_output(NOW), NOW)
    judged(one, ILLEGAL)


def test_requests_without_end() -> None:
    one, bad = asked()
    for number in range(100):
        bad.seal(22, cr(SCHEMES, context=b"%d" % number))
    one.receive(bad.take_output(NOW), NOW)
    judged(one, UNEXPECTED)


@pytest.mark.parametrize("kind", [b"\2\x28", b"\2\x50", b"\1\x14", b"\2\xff"])
def test_nothing_is_said_or_heard_after_an_error_alert(kind: bytes) -> None:
    """RFC 8446 6, 6.2."""
    one, bad = ends(NEW, {}, server={"ticket_keys": ticket_keys()})
    pump(one, bad)
    events(one)
    bad.seal(21, kind)
    bad.seal(22, ticket())
    bad.seal(23, b"late")
    one.receive(bad.take_output(NOW), NOW)
    assert events(one) == [PeerAlert(kind[1], fatal=True), Closed(clean=False)]
    assert not one.ready
    with pytest.raises(UsageError):
        one.send(b"x")
    with pytest.raises(UsageError):
        one.update_keys()
    one.close()
    assert not one.take_output(NOW)


def test_nothing_is_heard_after_close_notify_and_all_may_be_said() -> None:
    """RFC 8446 6.1."""
    one, bad = ends(NEW, {})
    pump(one, bad)
    events(one)
    events(bad)
    bad.close()
    bad._mute = False
    bad.send(b"ignored")
    one.receive(bad.take_output(NOW), NOW)
    assert events(one) == [Closed(clean=True)]
    one.send(b"still")
    one.close()
    bad.receive(one.take_output(NOW), NOW)
    assert events(bad) == [Data(b"still"), Closed(clean=True)]


def test_no_context_is_an_empty_one() -> None:
    """RFC 8446 7.5."""
    one, bad = ends(NEW, {})
    pump(one, bad)
    value = one.export("EXPORTER-test", None, 40)
    assert value == one.export("EXPORTER-test", b"", 40) == bad.export("EXPORTER-test", b"", 40)
    assert value != one.export("EXPORTER-test", b"x", 40)


def test_a_failed_handshake_leaves_no_session() -> None:
    """RFC 8446 6: secrets of failed connections are forgotten; tickets come after a good Finished only."""
    one = carried(NEW, {20: flipped}, DECRYPT, server={"ticket_keys": ticket_keys()})
    assert one.keys13 is None
    assert one.facts is None
    with pytest.raises(UsageError):
        one.export("EXPORTER-test", b"", 32)


def test_groups_of_the_server_are_not_acted_on() -> None:
    """RFC 8446 4.2.7: nothing changes, whatever stands there."""
    one = carried(NEW, {8: ee((10, b"\0\4\x99\x99\0\x18"))}, None)
    assert one.facts is not None
    assert one.facts.group == 29


@pytest.mark.parametrize("lifetime", [1, 7200, 604800, 604801, 0xFFFFFFFF])
def test_how_long_a_ticket_is_offered(lifetime: int) -> None:
    """RFC 8446 4.2.11.1, 4.6.1: not beyond its time, nor a week."""
    one, bad = ends(NEW, {})
    pump(one, bad)
    bad.seal(22, ticket(lifetime))
    one.receive(bad.take_output(NOW), NOW)
    session = of(events(one), Ticket)[0].session
    until = NOW + min(lifetime, 604800)
    assert session.fresh(until - 1)
    assert not session.fresh(until)


def test_tickets_to_throw_away_and_unknown_extensions() -> None:
    """RFC 8446 4.6.1."""
    one, bad = ends(NEW, {})
    pump(one, bad)
    for raw in (ticket(0), ticket(tail=block((0x7A7A, b"x"), (0x1234, b"")))):
        bad.seal(22, raw)
    one.receive(bad.take_output(NOW), NOW)
    assert len(of(events(one), Ticket)) == 1
    assert not of(events(one), Failed)


def test_each_ticket_has_a_key_of_its_own() -> None:
    """RFC 8446 4.6.1: by its nonce."""
    one, bad = ends(NEW, {})
    pump(one, bad)
    for nonce in (b"", b"\0", b"\1", bytes(255)):
        bad.seal(22, ticket(nonce=nonce))
    one.receive(bad.take_output(NOW), NOW)
    assert len({event.session.secret for event in of(events(one), Ticket)}) == 4


@pytest.mark.parametrize("step", STEPS[NEW])
def test_a_client_that_cancels(step: str) -> None:
    """RFC 8446 6.1: user_canceled, then close_notify, both as warnings; any other alert is fatal and alone."""
    one, _ = at(NEW, step)
    one.abort(90)
    one.abort(90)
    assert one.told == [(1, 90), (1, 0)]
    assert events(one)[-1] == Closed(clean=False)
    one, _ = at(NEW, step)
    one.abort(80)
    assert one.told == [(2, 80)]
    assert one.closed
    assert not one.ready


@pytest.mark.parametrize("description", [80, 90])
def test_the_end_is_told_once(description: int) -> None:
    """Who gives up after the other end has closed hears nothing new."""
    one, bad = ends(NEW, {})
    pump(one, bad)
    bad.close()
    pump(bad, one)
    assert events(one)[-1] == Closed(clean=True)
    one.abort(description)
    one.abort(description)
    assert not events(one)
    assert one.told == ([(2, 80)] if description == 80 else [(1, 90), (1, 0)])


def test_a_session_outlives_its_process() -> None:
    """As octets, for another program."""
    one, bad = ends(NEW, {}, server={"ticket_keys": ticket_keys()})
    pump(one, bad)
    session = of(events(one), Ticket)[0].session
    again = pickle.loads(pickle.dumps(session))
    assert again == session
    assert again.secret == session.secret
    two = carried(NEW, {}, None, server={"ticket_keys": ticket_keys()}, session=again)
    assert two.facts is not None
    assert two.facts.resumed
