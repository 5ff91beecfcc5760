"""A TLS 1.2 client: what it says, and what it makes of a server's words beyond the tables of ``test_letter_client12``.

By the sections of RFC 5246 and of the extensions' own RFCs; a row with alert None is the healthy twin.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from synfin.errors import UsageError
from synfin.spec.protection_mac import Cbc
from synfin.tls import Client, PeerAlert, Presented, Server, Session, SessionCache, Ticket, groups
from synfin.tls.config import OPTIONAL_SUITES, SUITES_12
from synfin.wire.tls import bodies as b
from synfin.wire.tls.extensions import Extension, decode_body
from synfin.wire.tls.messages import (
    Certificate,
    CertificateVerify,
    ClientHello,
    ClientKeyExchange,
    parse_handshake,
    write_handshake,
)
from tests.support.tlsoctets import FAILURE, ILLEGAL, OLD, UNSUPPORTED_CERT, message
from tests.tls.bad_server import Bad, carried, ends, judged
from tests.tls.edits import Edit, exactly, hello
from tests.tls.ends import (
    NAME,
    NOW,
    Teller,
    client,
    client_config,
    credential,
    events,
    leaf,
    of,
    pump,
    server,
    server_config,
    ticket_keys,
    verifier,
)

SUITES = SUITES_12 + tuple(code for code in OPTIONAL_SUITES if code >> 8 != 0x13)
ALL: dict[str, Any] = {"suites": SUITES, "max_version": OLD}


def said(one: Client) -> ClientHello:
    out = bytes(one.take_output(NOW))
    parsed = parse_handshake(1, out[9:])
    assert isinstance(parsed, ClientHello)
    return parsed


# ---------------------------------------------------------------- what it says


def test_the_hello() -> None:
    for config in (client_config(**ALL, alpn=(b"h2",)), client_config(), client_config(**ALL, record_size_limit=64)):
        first = said(client(config))
        assert first.legacy_version == OLD  # RFC 5246 7.4.1.2
        assert first.compression_methods == (0,)  # RFC 5246 7.4.1.2, RFC 9325 3.3
        assert len(first.session_id) in (0, 32)
        assert len(set(first.cipher_suites)) == len(first.cipher_suites)
        numbers = [extension.type for extension in first.extensions or ()]
        assert len(set(numbers)) == len(numbers)  # RFC 5246 7.4.1.4
        found = dict(first.extensions or ())
        assert found[0xFF01] == b"\0"  # RFC 5746 3.4: the extension, and not the suite too
        assert 0x00FF not in first.cipher_suites
        assert found[23] == b""  # RFC 7627 5.2
        assert 0 in found[11][1:]  # RFC 8422 5.1.2
        assert found[0] == b"\0\x0f\0\0\x0ctest.example"  # RFC 6066 3
        schemes = decode_body(13, "client_hello", found[13])
        assert isinstance(schemes, b.Codes)
        assert not any(code >> 8 in (1, 2) for code in schemes.codes)  # RFC 9155 2: neither MD5 nor SHA-1
        assert not any(code & 0xFF == 0 for code in schemes.codes)  # RFC 5246 7.4.1.4.1: never anonymous
        listed = decode_body(10, "client_hello", found[10])
        assert isinstance(listed, b.Codes)
        assert {29, 23, 24, 25} <= set(listed.codes)
        assert 1 not in found  # never beside record_size_limit (RFC 8449 5)
    assert 22 in {extension.type for extension in said(client(client_config(**ALL))).extensions or ()}
    assert 22 not in {extension.type for extension in said(client(client_config(max_version=OLD))).extensions or ()}


@pytest.mark.parametrize("name", ["192.0.2.1", "2001:db8::1"])
def test_addresses_are_no_server_names(name: str) -> None:
    """RFC 6066 3: literal addresses are not permitted."""
    assert 0 not in {extension.type for extension in said(client(client_config(**ALL), name=name)).extensions or ()}


def test_randoms_and_secrets_are_new() -> None:
    """RFC 5246 7.4.1.2 and 7.4.7.1: chance each time, and the version of the hello in the secret."""
    hellos = {said(client(client_config(**ALL))).random for _ in range(4)}
    assert len(hellos) == 4
    secrets = []

    class Watched(Teller):
        def seal_premaster(self, public: Any, premaster: bytes) -> bytes:
            secrets.append(premaster)
            return super().seal_premaster(public, premaster)

    for _ in range(3):
        plain, bad = ends(OLD, {}, "rsa2048", server={"suites": (0x009C,)}, client={"suites": (0x009C,)})
        one = Watched(plain.config, NAME, now=NOW, entropy=os.urandom)
        pump(one, bad)
        judged(one, None)
    assert {len(secret) for secret in secrets} == {48}
    assert {secret[:2] for secret in secrets} == {b"\3\3"}
    assert len(set(secrets)) == 3


class Listener(Server):
    """A server that notes the client's messages and records."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.heard: list[tuple[int, bytes]] = []
        self.wire = b""

    def receive(self, data: Any, now: float) -> None:
        """See ``Endpoint``."""
        self.wire += bytes(data)
        super().receive(data, now)

    def parse(self, raw: bytes, kex: str | None = None) -> Any:
        """See ``Endpoint``."""
        self.heard.append((raw[0], raw))
        return super().parse(raw, kex)


def listened(*kinds: str, client_more: dict[str, Any] | None = None, **more: Any) -> tuple[Client, Listener]:
    one = client(client_config(**{**ALL, **(client_more or {})}))
    config = server_config(*(kinds or ("p256",)), **{"max_version": OLD, "suites": SUITES, **more})
    two = Listener(config, now=NOW, entropy=os.urandom)
    pump(one, two)
    assert one.facts is not None, events(one)
    assert two.facts is not None, events(two)
    return one, two


def test_records_of_the_second_flight() -> None:
    """RFC 5246 6.2.1, 7.1, 7.3: none is empty, versions are {3, 3}, nothing comes between change and Finished."""
    _, two = listened()
    with pytest.raises(UsageError, match="application data"):
        client(client_config(**ALL)).send(b"too early")
    kinds, wire = [], two.wire
    first = True
    while wire:
        size = wire[3] << 8 | wire[4]
        assert size
        assert wire[1:3] == (b"\3\1" if first else b"\3\3")
        first = False
        kinds.append(wire[0])
        wire = wire[5 + size :]
    assert kinds == [22, 22, 20, 22]


def test_explicit_nonces_and_vectors() -> None:
    """RFC 5288 3: never the same twice; RFC 5246 6.2.3.2: unpredictable."""
    for suite in (0xC02B, 0xC009):
        one, _ = listened(suites=(suite,))
        sealer = one._sealer
        assert sealer is not None
        seen = {bytes(sealer.seal_record(23, b"same"))[5:13] for _ in range(100)}
        assert len(seen) == 100
        if isinstance(sealer, Cbc):
            assert len({vector[0] for vector in seen}) > 50


@pytest.mark.parametrize("kind", ["p256", "rsa2048", "ed25519"])
def test_its_certificate(kind: str) -> None:
    """RFC 5246 7.4.6 to 7.4.8: Certificate, key exchange, proof at once, by a scheme that was asked for."""
    own = credential(kind, client=True)
    _, two = listened(client_more={"credentials": (own,)}, client_auth="required", verify=verifier())
    assert [number for number, _ in two.heard] == [1, 11, 16, 15]
    sent, proof = two.heard[1][1], two.heard[3][1]
    parsed, verify = parse_handshake(11, sent[4:], version=OLD), parse_handshake(15, proof[4:], version=OLD)
    assert isinstance(parsed, Certificate)
    assert parsed.certificates == own.chain
    assert isinstance(verify, CertificateVerify)
    assert verify.scheme in two.config.schemes


def test_no_certificate_that_fits() -> None:
    """RFC 5246 7.4.6: a Certificate message with none in it, and no proof."""
    own = (credential("rsa2048", client=True),)
    for more in ({}, {"credentials": own, "schemes": (0x0403,)}):
        _, two = listened(client_more=more, client_auth="optional", verify=verifier())
        assert [number for number, _ in two.heard] == [1, 11, 16]
        assert two.heard[1][1] == message(11, b"\0\0\0")


ASKS: list[tuple[str, bytes, bool]] = [
    ("both types", b"\2\1\x40\0\4\4\3\4\1\0\0", True),
    ("7.4.4 another type", b"\1\1\0\4\4\3\4\1\0\0", False),
    ("7.4.4 unknown types", b"\2\xee\2\0\2\4\3\0\0", False),
    ("7.4.4 no scheme of its key", b"\1\x40\0\2\4\1\0\0", False),
    ("9155 5 SHA-1 alone", b"\1\x40\0\2\2\3\0\0", False),
    ("7.4.6 another authority", b"\1\x40\0\2\4\3\0\4\0\2\x30\0", False),
]


@pytest.mark.parametrize(("what", "request_", "fits"), ASKS, ids=[row[0] for row in ASKS])
def test_requests(what: str, request_: bytes, fits: bool) -> None:
    """RFC 5246 7.4.4: the certificate fits types, schemes and authorities, or none is sent."""
    more = {"credentials": (credential(client=True),)}
    one, bad = ends(
        OLD, {13: exactly(13, request_)}, server={"client_auth": "optional", "verify": verifier()}, client=more
    )
    pump(one, bad)
    judged(one, None)
    assert bad.facts is not None
    assert bool(bad.facts.peer_chain) == fits


# ---------------------------------------------------------------- what it does not take


def leaf_for(kind: str, usage: x509.KeyUsage | None) -> bytes:
    """A certificate for the server's own key, with another key usage."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
    made = made.public_key(leaf(kind).key.public_key())
    made = made.not_valid_before(datetime(2020, 1, 1)).not_valid_after(datetime(2040, 1, 1))
    if usage is not None:
        made = made.add_extension(usage, critical=True)
    return made.sign(leaf("p256").key, hashes.SHA256()).public_bytes(Encoding.DER)


def trusting(presented: Presented) -> None:
    """A verifier that takes anything: what is left is the engine's own to refuse."""


def usage(signs: bool, encrypts: bool) -> x509.KeyUsage:
    return x509.KeyUsage(signs, False, encrypts, False, not (signs or encrypts), False, False, False, False)


USAGES: list[tuple[str, str, int, x509.KeyUsage | None, int | None]] = [
    ("5246 7.4.2 ECDHE_RSA, signs", "rsa2048", 0xC02F, usage(True, False), None),
    ("5246 7.4.2 ECDHE_RSA, encrypts", "rsa2048", 0xC02F, usage(False, True), UNSUPPORTED_CERT),
    ("5246 7.4.2 DHE_RSA, encrypts", "rsa2048", 0x009E, usage(False, True), UNSUPPORTED_CERT),
    ("5246 7.4.2 RSA, encrypts", "rsa2048", 0x009C, usage(False, True), None),
    ("5246 7.4.2 RSA, signs", "rsa2048", 0x009C, usage(True, False), UNSUPPORTED_CERT),
    ("5246 7.4.2 RSA, no usage", "rsa2048", 0x009C, None, None),
    ("8422 5.3 ECDHE_ECDSA, signs", "p256", 0xC02B, usage(True, False), None),
    ("8422 5.3 ECDHE_ECDSA, agrees", "p256", 0xC02B, usage(False, False), UNSUPPORTED_CERT),
    ("8422 5.3 ECDHE_ECDSA, no usage", "p256", 0xC02B, None, None),
]


@pytest.mark.parametrize(("what", "kind", "suite", "allowed", "alert"), USAGES, ids=[row[0] for row in USAGES])
def test_key_usage_at_the_client(
    what: str, kind: str, suite: int, allowed: x509.KeyUsage | None, alert: int | None
) -> None:
    der, suites = leaf_for(kind, allowed), {"suites": (suite,)}
    inner = len(der).to_bytes(3, "big") + der
    edit = exactly(11, len(inner).to_bytes(3, "big") + inner)
    carried(OLD, {11: edit}, alert, kind, server=suites, client={"verify": trusting, **suites})


@pytest.mark.parametrize(("what", "kind", "suite", "allowed", "alert"), USAGES, ids=[row[0] for row in USAGES])
def test_key_usage_at_the_server(
    what: str, kind: str, suite: int, allowed: x509.KeyUsage | None, alert: int | None
) -> None:
    """A server does not choose a suite that its certificate's key usage does not allow."""
    own = credential(kind)
    object.__setattr__(own, "chain", (leaf_for(kind, allowed),))
    one = Teller(client_config(verify=trusting, suites=(suite,)), NAME, now=NOW, entropy=os.urandom)
    two = server(server_config(credentials=(own,), suites=(suite,), max_version=OLD))
    pump(one, two)
    assert (one.facts is not None) == (alert is None)
    assert of(events(one), PeerAlert) == ([] if alert is None else [PeerAlert(FAILURE, fatal=True)])


def test_the_curve_of_a_certificate() -> None:
    """RFC 5246 7.4.2, RFC 8422 5.3: it is one of those that the client listed."""
    for listed, alert in (((29, 24), None), ((29, 23), ILLEGAL), ((29,), ILLEGAL)):
        one = Spoken(client_config(groups=listed), NAME, now=NOW, entropy=os.urandom)
        pump(one, server(server_config("p384", max_version=OLD)))
        judged(one, alert)


#: x25519, secp256r1, secp384r1.
MORE = b"\0\6\0\x1d\0\x17\0\x18"


class Spoken(Teller):
    """A client whose hello lists more curves than it meant to."""

    def say_raw(self, raw: bytes) -> bytes:
        """See ``Endpoint``."""
        if raw[0] == 1:
            parsed = parse_handshake(1, raw[4:])
            assert isinstance(parsed, ClientHello)
            kept = [Extension(*x) if x[0] != 10 else Extension(10, MORE) for x in parsed.extensions or ()]
            raw = write_handshake(replace(parsed, extensions=tuple(kept)))
        return super().say_raw(raw)


def own_field(p: int, g: int) -> Edit:
    """A ServerKeyExchange of the server's own numbers, whose private key is 2."""
    octets = [value.to_bytes((value.bit_length() + 7) // 8, "big") for value in (p, g, pow(g, 2, p))]
    return lambda bad, raw: bad.signed(b"".join(len(one).to_bytes(2, "big") + one for one in octets), 0x0804)


def test_groups_of_a_servers_own() -> None:
    """RFC 7919 3 and 3.1: a group of its own is a matter of policy; a name is told only for the right p and g."""
    prime = int.from_bytes(groups.prime_octets(256), "big")
    suites = {"suites": (0x009E,)}
    more: dict[str, Any] = {"server": {**suites, "groups": (256,)}, "client": suites}
    for g, told in ((2, 256), (4, None)):
        one, bad = ends(OLD, {12: own_field(prime, g)}, "rsa2048", **more)
        bad.receive(one.take_output(NOW), NOW)
        one.receive(bad.take_output(NOW), NOW)
        assert not events(one)
        assert groups.named_field(prime, g) == told
    assert groups.named_field(prime + 2, 2) is None
    carried(OLD, {12: own_field(prime - 2, 2)}, ILLEGAL, "rsa2048", **more)  # RFC 5246 7.4.3: a prime modulus


def test_the_signature_is_checked_before_the_numbers() -> None:
    """RFC 7919 3: who cannot sign cannot make a client give up its best suite."""
    suites = {"suites": (0x009E,)}

    def edit(bad: Bad, raw: bytes) -> bytes:
        made = own_field((1 << 511) + 111, 2)(bad, raw)
        return made[:-1] + bytes([made[-1] ^ 1])

    carried(OLD, {12: edit}, 51, "rsa2048", server={**suites, "groups": (256,)}, client=suites)


# ---------------------------------------------------------------- resumption


def session_of(tickets: bool, **more: Any) -> tuple[Session, dict[str, Any]]:
    kept: dict[str, Any] = {"ticket_keys": ticket_keys()} if tickets else {"session_cache": SessionCache()}
    one, two = client(client_config(max_version=OLD, **more)), server(server_config(**kept))
    pump(one, two)
    found: Session = of(events(one), Ticket)[-1].session
    return found, kept


@pytest.mark.parametrize("tickets", [True, False], ids=["ticket", "id"])
def test_what_is_offered_again(tickets: bool) -> None:
    """RFC 5246 7.4.1.2 and 7.4.1.4, RFC 5077 3.4, RFC 7627 5.3, RFC 6066 3: all that would be offered without it."""
    session, _ = session_of(tickets)
    plain, again = said(client(client_config(max_version=OLD))), said(client(client_config(max_version=OLD), session))
    assert session.suite in again.cipher_suites
    assert {x.type for x in plain.extensions or () if x.type & 0x0F0F != 0x0A0A} == {
        x.type for x in again.extensions or () if x.type & 0x0F0F != 0x0A0A
    }
    assert len(again.session_id) == 32
    assert dict(again.extensions or ())[35] == session.ticket
    assert (again.session_id == session.session_id) == (not tickets)
    other = said(client(client_config(max_version=OLD, suites=(0xCCA9,)), session))
    assert dict(other.extensions or ())[35] == b""
    assert other.session_id != session.session_id or not session.session_id


EXTENDED: list[tuple[bool, Edit, int | None]] = [
    (True, hello(), None),
    (True, hello((23, None)), FAILURE),
    (False, hello((23, None)), None),
    (False, hello(), FAILURE),
]


@pytest.mark.parametrize(("before", "edit", "alert"), EXTENDED)
@pytest.mark.parametrize("tickets", [True, False], ids=["ticket", "id"])
def test_the_extended_master_secret_of_a_session(before: bool, edit: Edit, alert: int | None, tickets: bool) -> None:
    """RFC 7627 5.3: as it was, or the handshake is aborted."""
    session, kept = session_of(tickets)
    session = replace(session, extended_master_secret=before)
    one, bad = ends(OLD, {2: edit}, session=session, server=kept)
    pump(one, bad)
    if alert is not None:
        judged(one, alert)
        return
    assert one.facts is None or one.facts.resumed
    assert not one.told


def test_public_values_have_the_length_of_the_prime() -> None:
    """RFC 8446 4.2.8.1's way, lawful in RFC 5246 7.4.7.2 too."""
    _, two = listened("rsa2048", suites=(0x009E,), groups=(256,), client_more={"groups": (29, 256)})
    (found,) = [raw for number, raw in two.heard if number == 16]
    parsed = parse_handshake(16, found[4:], version=OLD, kex="DHE_RSA")
    assert isinstance(parsed, ClientKeyExchange)
    assert len(parsed.exchange) == 256
