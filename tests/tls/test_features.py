"""Our client with our server: what OpenSSL through Python cannot be asked for, and what both ends must agree on."""

from __future__ import annotations

import os
from typing import Any

import pytest

from synfin.errors import UsageError
from synfin.tls import (
    Client,
    Closed,
    Failed,
    HandshakeDone,
    PeerAlert,
    PeerAuthenticated,
    ReplayGuard,
    Server,
    SessionCache,
    Ticket,
    TicketKeys,
    accept_any_certificate,
)
from tests.tls.ends import (
    NAME,
    NOW,
    alert_of,
    client,
    client_config,
    credential,
    events,
    leaf,
    of,
    pump,
    said,
    server,
    server_config,
    ticket_keys,
    verifier,
)

CLIENT_CHAIN = (leaf(client=True).der,)


def shake(one: Client, two: Server, cut: int = 0) -> tuple[Any, Any]:
    """A handshake; the facts of both ends, or None."""
    pump(one, two, cut=cut)
    return one.facts, two.facts


def both(client_more: dict[str, Any], server_more: dict[str, Any], *kinds: str) -> tuple[Client, Server]:
    one, two = client(client_config(**client_more)), server(server_config(*kinds, **server_more))
    mine, theirs = shake(one, two)
    assert mine is not None, events(one) + events(two)
    assert theirs is not None, events(one) + events(two)
    one.send(b"ping" * 10_000)
    two.send(b"pong")
    pump(one, two)
    assert said(events(two)) == b"ping" * 10_000
    return one, two


@pytest.mark.parametrize("suite", [0x1301, 0x1302, 0x1303, 0x1304, 0x1305])
@pytest.mark.parametrize("group", [0x11EC, 29, 257])
def test_tls13_suites_and_groups(suite: int, group: int) -> None:
    one, two = both({"suites": (suite,), "groups": (group,)}, {"suites": (suite,), "groups": (group,)})
    assert one.facts is not None
    assert two.facts is not None
    assert one.facts.suite == two.facts.suite == suite
    assert one.facts.group == two.facts.group == group
    for context in (b"", b"context"):
        value = one.export("EXPORTER-test", context, 48)
        assert value == two.export("EXPORTER-test", context, 48)
        assert len(value) == 48


@pytest.mark.parametrize("suite", [0x009E, 0xCCAA, 0xC09E, 0x0033])
@pytest.mark.parametrize("group", [256, 257])
def test_tls12_with_diffie_hellman(suite: int, group: int) -> None:
    more = {"suites": (suite,), "groups": (group,), "max_version": 0x0303}
    one, _ = both(more, more, "rsa2048")
    assert one.facts is not None
    assert one.facts.group == group


@pytest.mark.parametrize("kind", ["ml-dsa-44", "ml-dsa-65", "ml-dsa-87"])
def test_ml_dsa_where_nothing_else_is_to_be_had(kind: str) -> None:
    schemes = {"ml-dsa-44": 0x0904, "ml-dsa-65": 0x0905, "ml-dsa-87": 0x0906}
    one, _ = both({"verify": accept_any_certificate}, {}, kind)
    assert one.facts is not None
    assert one.facts.signature == schemes[kind]
    mixed, _ = both({"verify": accept_any_certificate}, {}, "rsa2048", kind)
    assert mixed.facts is not None and mixed.facts.signature == 0x0804


@pytest.mark.parametrize("kind", ["ml-dsa-44", "ml-dsa-65", "ml-dsa-87"])
def test_ml_dsa_is_not_of_tls_12(kind: str) -> None:
    """draft-ietf-tls-mldsa: its schemes belong to TLS 1.3; a TLS 1.2 server that has nothing else refuses."""
    old = client_config(max_version=0x0303)
    assert not {0x0904, 0x0905, 0x0906}.intersection(old.schemes_offered)
    one, two = client(old), server(server_config(kind))
    pump(one, two)
    assert alert_of(two) == 40
    with pytest.raises(UsageError):
        Client(client_config(max_version=0x0303, schemes=(0x0905,)), NAME, now=NOW, entropy=bytes)


@pytest.mark.parametrize("version", [0x0303, 0x0304])
@pytest.mark.parametrize("cut", [1, 3, 7])
def test_handshake_in_small_pieces(version: int, cut: int) -> None:
    one, two = client(client_config(max_version=version)), server(server_config(ticket_keys=ticket_keys()))
    mine, theirs = shake(one, two, cut=cut)
    assert mine.version == theirs.version == version


@pytest.mark.parametrize("kind", ["p256", "rsa2048"])
@pytest.mark.parametrize("version", [0x0303, 0x0304])
def test_credential_is_chosen_by_signature_schemes(kind: str, version: int) -> None:
    schemes = (0x0403,) if kind == "p256" else (0x0804, 0x0401)
    one, _ = both({"schemes": schemes, "max_version": version}, {}, "rsa2048", "p256")
    assert one.facts is not None
    assert one.facts.peer_chain == (leaf(kind).der,)


def test_credential_is_chosen_by_name() -> None:
    names = ("one.example", "two.example")
    config = server_config(credentials=tuple(credential(name=name) for name in names))
    for name in names:
        one, two = client(name=name), server(config)
        mine, _ = shake(one, two)
        assert mine.peer_chain == (leaf(name=name).der,)


def test_strict_names() -> None:
    one, two = client(name="other.example"), server(server_config(strict_sni=True))
    shake(one, two)
    assert of(events(two), Failed) == [Failed("unrecognized_name", 112, "a name we serve", "other.example")]
    assert of(events(one), PeerAlert) == [PeerAlert(112, fatal=True)]


class TestResumption:
    def session(self, **more: Any) -> tuple[Any, Any, Any]:
        server_more = {"ticket_keys": ticket_keys(), **more.pop("server", {})}
        mine, theirs = client_config(**more), server_config(**server_more)
        one, two = client(mine), server(theirs)
        shake(one, two)
        events(two)
        return of(events(one), Ticket)[0].session, mine, theirs

    def test_a_ticket_is_not_taken_for_another_name(self) -> None:
        session, mine, theirs = self.session()
        one, two = client(mine, session, name="test.example."), server(theirs)
        assert shake(one, two)[0].resumed
        config = client_config(verify=accept_any_certificate)
        one, two = client(config, session, name="other.example"), server(theirs)
        assert not shake(one, two)[0].resumed

    def test_an_old_ticket_is_not_offered_or_not_taken(self) -> None:
        session, mine, theirs = self.session()
        later = NOW + 8000
        one = Client(mine, NAME, now=later, entropy=os.urandom, session=session)
        two = Server(theirs, now=later, entropy=os.urandom)
        pump(one, two)
        assert one.facts is not None
        assert not one.facts.resumed

    @pytest.mark.parametrize("version", [0x0303, 0x0304])
    def test_other_ticket_keys_mean_a_full_handshake(self, version: int) -> None:
        session, mine, _ = self.session(max_version=version)
        one, two = client(mine, session), server(server_config(ticket_keys=TicketKeys(bytes(32))))
        assert not shake(one, two)[1].resumed

    def test_hello_retry_keeps_the_session(self) -> None:
        session, mine, _ = self.session(groups=(29, 24), shares=1)
        one, two = client(mine, session), server(server_config(groups=(24,), ticket_keys=ticket_keys()))
        mine_facts, _ = shake(one, two)
        assert mine_facts.retried
        assert mine_facts.resumed

    def test_session_ids(self) -> None:
        cache = SessionCache()
        config = server_config(session_cache=cache, max_version=0x0303)
        one, two = client(), server(config)
        shake(one, two)
        session = of(events(one), Ticket)[0].session
        assert session.session_id
        assert not session.ticket
        one, two = client(None, session), server(config)
        assert shake(one, two)[1].resumed
        two.abort(80)
        one, two = client(None, session), server(config)
        assert not shake(one, two)[1].resumed, "a fatal alert must end the session"

    def test_client_chain_survives(self) -> None:
        more = {"client_auth": "required", "verify": verifier()}
        session, mine, theirs = self.session(credentials=(credential(client=True),), server=more)
        one, two = client(mine, session), server(theirs)
        assert shake(one, two)[1].resumed
        assert two.facts is not None
        assert two.facts.peer_chain == CLIENT_CHAIN

    def early(self, **more: Any) -> tuple[Any, Any, Any]:
        return self.session(early_data=True, server={"max_early_data": 100, "replay_guard": ReplayGuard(), **more})

    def test_early_data(self) -> None:
        session, mine, theirs = self.early()
        assert session.max_early_data == 100
        one, two = client(mine, session), server(theirs)
        one.send_early(b"early")
        with pytest.raises(UsageError):
            one.send_early(bytes(96))
        mine_facts, theirs_facts = shake(one, two)
        assert mine_facts.early_data
        assert theirs_facts.early_data
        found = events(two)
        assert said(found) == b"early"
        one.send(b"later")
        pump(one, two)
        assert said(events(two)) == b"later"

    def test_early_data_is_answered_before_the_handshake_is_done(self) -> None:
        session, mine, theirs = self.early()
        one, two = client(mine, session), server(theirs)
        assert not two.ready
        one.send_early(b"early")
        two.receive(one.take_output(NOW), NOW)
        assert said(events(two)) == b"early"
        assert two.facts is None and two.early_facts is not None and two.early_facts.early_data and two.ready
        two.send(b"answer")
        one.receive(two.take_output(NOW), NOW)
        assert said(events(one)) == b"answer"
        pump(one, two)
        assert two.facts == two.early_facts
        two.send(b" and more")
        pump(one, two)
        assert said(events(one)) == b" and more"

    def test_both_ends_export_the_same_for_early_data(self) -> None:
        session, mine, theirs = self.early()
        one, two = client(mine, session), server(theirs)
        with pytest.raises(UsageError):
            two.export_early("EXPORTER-test", b"", 32)
        one.send_early(b"early")
        shake(one, two)
        value = one.export_early("EXPORTER-test", b"context", 32)
        assert value == two.export_early("EXPORTER-test", b"context", 32)
        assert value not in (one.export("EXPORTER-test", b"context", 32), one.export_early("EXPORTER-test", b"", 32))

    def test_early_data_is_taken_once(self) -> None:
        session, mine, theirs = self.early()
        one = client(mine, session)
        one.send_early(b"early")
        flight = one.take_output(NOW)
        for expected in (b"early", b""):
            two = server(theirs)
            two.receive(flight, NOW)
            assert said(events(two)) == expected
            assert not two.closed

    def test_refused_early_data_is_thrown_away(self) -> None:
        session, mine, _ = self.early()
        for config in (server_config(ticket_keys=ticket_keys()), server_config(groups=(24,)), server_config()):
            one, two = client(mine, session), server(config)
            one.send_early(b"early" * 20)
            mine_facts, _ = shake(one, two)
            assert mine_facts is not None, events(one) + events(two)
            assert not mine_facts.early_data
            assert said(events(two)) == b""
            one.send(b"again")
            pump(one, two)
            assert said(events(two)) == b"again"

    def test_early_data_needs_its_permission(self) -> None:
        one = client()
        with pytest.raises(UsageError):
            one.send_early(b"x")


class TestClientCertificates:
    @pytest.mark.parametrize("version", [0x0303, 0x0304])
    @pytest.mark.parametrize(("demand", "has"), [("optional", False), ("optional", True), ("required", True)])
    def test_accepted(self, version: int, demand: str, has: bool) -> None:
        more = {"credentials": (credential(client=True),)} if has else {}
        one, two = both({**more, "max_version": version}, {"client_auth": demand, "verify": verifier()})
        assert two.facts is not None
        assert two.facts.peer_chain == (CLIENT_CHAIN if has else ())
        assert one.facts is not None
        assert one.facts.own_signature == (0x0403 if has else None)

    @pytest.mark.parametrize(("version", "alert"), [(0x0303, 40), (0x0304, 116)])
    def test_missing(self, version: int, alert: int) -> None:
        one = client(client_config(max_version=version))
        two = server(server_config(client_auth="required", verify=verifier()))
        shake(one, two)
        assert of(events(two), Failed)[0].alert == alert
        assert of(events(one), PeerAlert) == [PeerAlert(alert, fatal=True)]

    @pytest.mark.parametrize("has", [False, True])
    def test_after_the_handshake(self, has: bool) -> None:
        own = (credential(client=True),)
        one = client(client_config(post_handshake_auth=True, credentials=own))
        two = server(server_config(verify=verifier()))
        shake(one, two)
        if not has:
            object.__setattr__(one.config, "credentials", ())
        events(two)
        one.update_keys()  # the proof is made with the present keys
        two.request_certificate()
        with pytest.raises(UsageError):
            two.request_certificate()
        pump(one, two)
        expected = PeerAuthenticated(CLIENT_CHAIN if has else (), 0x0403 if has else None)
        assert of(events(two), PeerAuthenticated) == [expected]
        two.request_certificate()

    def test_not_after_the_handshake_unless_offered(self) -> None:
        _, two = both({}, {"verify": verifier()})
        with pytest.raises(UsageError):
            two.request_certificate()


class TestRecords:
    @pytest.mark.parametrize("version", [0x0303, 0x0304])
    def test_record_size_limit(self, version: int) -> None:
        one, two = both({"record_size_limit": 100, "max_version": version}, {"record_size_limit": 64})
        one.send(bytes(1000))
        flight = one.take_output(NOW)
        assert len(flight) >= 16 * (64 + 5)
        two.send(bytes(1000))
        flight = two.take_output(NOW)
        one.receive(flight, NOW)
        assert len(said(events(one))) == 1004

    def test_padding(self) -> None:
        one, two = both({"padding": lambda size: -size % 256}, {})
        one.send(b"short")
        flight = one.take_output(NOW)
        assert len(flight) == 5 + 256 + 1 + 16
        two.receive(flight, NOW)
        assert said(events(two)) == b"short"

    def test_used_up_keys_are_changed(self) -> None:
        from synfin.tls import KeyUpdated, Limits

        one, two = both({"limits": Limits(records_per_key=20)}, {})
        for _ in range(50):
            one.send(b"x")
        pump(one, two)
        found = events(two)
        assert said(found) == b"x" * 50
        assert len(of(found, KeyUpdated)) == 2

    def test_no_middlebox_compatibility(self) -> None:
        one, two = client(client_config(middlebox_compatibility=False)), server()
        flight = one.take_output(NOW)
        two.receive(flight, NOW)
        back = two.take_output(NOW)
        one.receive(back, NOW)
        assert one.facts is not None
        assert b"\x14\x03\x03\x00\x01\x01" not in back + one.take_output(NOW)


class TestClosing:
    @pytest.mark.parametrize("version", [0x0303, 0x0304])
    def test_truncation_is_told_from_an_end(self, version: int) -> None:
        one, two = both({"max_version": version}, {})
        one.close()
        two.receive(one.take_output(NOW), NOW)
        two.receive_eof(NOW)
        assert events(two) == [Closed(clean=True)]
        two.send(b"half-closed")
        one.receive(two.take_output(NOW), NOW)
        one.receive_eof(NOW)
        found = events(one)
        assert said(found).endswith(b"half-closed")
        assert found[-1] == Closed(clean=False)
        with pytest.raises(UsageError):
            one.send(b"x")

    def test_the_deadline(self) -> None:
        one = client(client_config(handshake_seconds=10))
        one.take_output(NOW)
        assert one.next_timer() == NOW + 10
        one.timer_fired(NOW + 9)
        assert not one.closed
        one.timer_fired(NOW + 10)
        assert of(events(one), Failed) == [Failed("no_answer", None, "a handshake in time", "silence")]
        assert one.next_timer() is None

    def test_end_in_the_handshake(self) -> None:
        one = client()
        one.receive_eof(NOW)
        assert events(one) == [Failed("silent_end", None), Closed(clean=False)]


@pytest.mark.parametrize("version", [0x0303, 0x0304])
def test_stapled_response_and_timestamps_are_carried(version: int) -> None:
    scts = b"\0\6\0\4abcd"
    credentials = (credential(ocsp=b"response", scts=scts),)
    one, two = client(client_config(max_version=version)), server(server_config(credentials=credentials))
    object.__setattr__(one.config, "verify", accept_any_certificate)
    mine, _ = shake(one, two)
    assert mine.stapled == b"response"
    assert mine.scts == scts
    one, two = client(client_config(max_version=version, ask_staple=False)), server(two.config)
    mine, _ = shake(one, two)
    assert mine.stapled is None


@pytest.mark.parametrize("algorithm", [1, 2, 3])
def test_certificate_compression(algorithm: int) -> None:
    chain = leaf("rsa2048")
    padded = (chain.der,) * 4  # makes it worth while
    from synfin.tls import Credential

    config = server_config(credentials=(Credential(padded, chain.key),), certificate_compression=(algorithm,))
    sizes = []
    for ours in ((algorithm,), ()):
        one, two = client(client_config(certificate_compression=ours)), server(config)
        two.receive(one.take_output(NOW), NOW)
        flight = two.take_output(NOW)
        sizes.append(len(flight))
        one.receive(flight, NOW)
        assert one.facts is not None
        assert one.facts.peer_chain == padded
    assert sizes[0] + 2000 < sizes[1]


def test_key_log_opens_the_connection() -> None:
    lines: list[str] = []
    for version, labels in ((0x0304, 5), (0x0303, 1)):
        lines.clear()
        one, two = client(client_config(max_version=version, key_log=lines.append)), server()
        shake(one, two)
        assert len(lines) == labels
        assert all(len(line.split()) == 3 for line in lines)


def test_downgrade_is_noticed() -> None:
    one, two = client(), server(server_config(max_version=0x0303))
    assert shake(one, two)[0].version == 0x0303
    capable = server()
    hello = client(client_config(max_version=0x0303)).take_output(NOW)
    capable.receive(hello, NOW)
    assert capable.take_output(NOW)[11 + 24 : 11 + 32] == b"DOWNGRD\1"


def test_handshake_done_is_told_once() -> None:
    one, two = client(), server()
    shake(one, two)
    assert len(of(events(one), HandshakeDone)) == 1
    assert len(of(events(two), HandshakeDone)) == 1


def test_early_data_of_strangers_is_thrown_away_up_to_a_limit() -> None:
    for records, alive in ((2, True), (3, False)):
        one, two = client(client_config(grease=False)), server()
        hello = bytearray(one.take_output(NOW))
        block = 5 + 4 + 34 + 1 + 32
        suites = hello[block] << 8 | hello[block + 1]
        at = block + 2 + suites + 2
        for size_at, width in ((3, 2), (6, 3), (at, 2)):
            value = int.from_bytes(hello[size_at : size_at + width], "big") + 4
            hello[size_at : size_at + width] = value.to_bytes(width, "big")
        two.receive(bytes(hello) + b"\0\x2a\0\0", NOW)
        two.receive((b"\x17\3\3\x38\0" + bytes(0x3800)) * records, NOW)
        assert two.closed != alive
        assert [failed.violation for failed in of(events(two), Failed)] == ([] if alive else ["early_data_too_long"])


def test_the_longest_lawful_hello() -> None:
    """Suites and extensions of 65,535 octets: lengths at their limits are no reason to refuse."""
    suites = b"\x13\x01" + b"\x0a\x0a" * 32766
    raw = bytearray(client(client_config(grease=False)).take_output(NOW)[5:])
    at = 4 + 34 + 1 + 32
    old = raw[at] << 8 | raw[at + 1]
    extensions = bytes(raw[at + 2 + old + 4 :])
    filler = 65535 - len(extensions) - 4
    extensions += b"\x5a\x5a" + filler.to_bytes(2, "big") + bytes(filler)
    body = bytes(raw[4:at]) + len(suites).to_bytes(2, "big") + suites + b"\1\0\xff\xff" + extensions
    hello = b"\1" + len(body).to_bytes(3, "big") + body
    two = server()
    for start in range(0, len(hello), 16384):
        part = hello[start : start + 16384]
        two.receive(b"\x16\3\1" + len(part).to_bytes(2, "big") + part, NOW)
    assert two.version == 0x0304
    assert not two.closed
    assert two.take_output(NOW)


def test_names_must_be_ascii() -> None:
    with pytest.raises(UsageError):
        client(name="bücher.example")
