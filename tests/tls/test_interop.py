"""Our client and server with OpenSSL (Python's ``ssl``), both roles, both versions: a foreign judge."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from synfin.tls import Client, Closed, HandshakeDone, KeyUpdated, Server, Ticket
from tests.tls.ends import (
    NAME,
    Foreign,
    client,
    client_config,
    credential,
    events,
    leaf,
    load,
    of,
    pump,
    root,
    said,
    server,
    server_config,
    ssl_context,
    talk,
    ticket_keys,
    verifier,
)

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
CODES = {TLS12: 0x0303, TLS13: 0x0304}
LONG = bytes(range(256)) * 400


def as_client(version: ssl.TLSVersion, kind: str = "p256", **more: Any) -> tuple[Client, Foreign, Any]:
    """A finished handshake of our client with OpenSSL's server."""
    context = ssl_context(True, (version, version), leaf=leaf(kind))
    for name, value in more.pop("context", {}).items():
        getattr(context, name)(value)
    ours, foreign = client(client_config(**more)), Foreign(context, True)
    talk(ours, foreign)
    assert foreign.error is None, foreign.error
    found = events(ours)
    assert isinstance(found[0], HandshakeDone), found
    assert foreign.done
    return ours, foreign, found


def as_server(version: ssl.TLSVersion, *kinds: str, **more: Any) -> tuple[Server, Foreign, Any]:
    """A finished handshake of our server with OpenSSL's client, which verifies our chain."""
    context = ssl_context(False, (version, version))
    for name, value in more.pop("context", {}).items():
        getattr(context, name)(value)
    ours, foreign = server(server_config(*kinds, **more)), Foreign(context, False)
    talk(ours, foreign)
    found = events(ours)
    assert foreign.error is None, (foreign.error, found)
    assert isinstance(found[0], HandshakeDone), found
    assert foreign.done
    return ours, foreign, found


def exchange(ours: Client | Server, foreign: Foreign) -> None:
    """Data both ways, then close_notify both ways."""
    ours.send(LONG)
    foreign.tls.write(b"answer")
    talk(ours, foreign)
    assert bytes(foreign.got) == LONG
    assert said(events(ours)) == b"answer"
    ours.close()
    talk(ours, foreign)
    assert foreign.closed
    foreign.attempt(foreign.tls.unwrap)
    talk(ours, foreign)
    assert events(ours)[-1] == Closed(clean=True)


@pytest.mark.parametrize("version", [TLS12, TLS13])
@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "rsa2048", "ed25519", "ed448"])
class TestKeyTypes:
    def test_client(self, version: ssl.TLSVersion, kind: str) -> None:
        ours, foreign, found = as_client(version, kind)
        facts = found[0].facts
        assert facts.version == CODES[version]
        assert facts.peer_chain == (leaf(kind).der,)
        exchange(ours, foreign)

    def test_server(self, version: ssl.TLSVersion, kind: str) -> None:
        ours, foreign, found = as_server(version, kind)
        assert found[0].facts.version == CODES[version]
        assert found[0].facts.server_name == NAME
        exchange(ours, foreign)


@pytest.mark.parametrize("suite", [0x1301, 0x1302, 0x1303, 0x1304])
class TestSuites13:
    def test_client(self, suite: int) -> None:
        if suite == 0x1304:
            pytest.skip("Python's ssl cannot enable AES-CCM in TLS 1.3")
        ours, foreign, found = as_client(TLS13, suites=(suite,))
        assert found[0].facts.suite == suite
        exchange(ours, foreign)

    def test_server(self, suite: int) -> None:
        if suite == 0x1304:
            pytest.skip("Python's ssl cannot enable AES-CCM in TLS 1.3")
        ours, foreign, found = as_server(TLS13, suites=(suite,))
        assert found[0].facts.suite == suite
        exchange(ours, foreign)


#: Suite, certificate, and OpenSSL's name; the weak ones work when they are asked for.
SUITES_12 = [
    (0xC02B, "p256", "ECDHE-ECDSA-AES128-GCM-SHA256"),
    (0xC02C, "p256", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    (0xCCA9, "p256", "ECDHE-ECDSA-CHACHA20-POLY1305"),
    (0xC0AC, "p256", "ECDHE-ECDSA-AES128-CCM"),
    (0xC0AE, "p256", "ECDHE-ECDSA-AES128-CCM8"),
    (0xC02F, "rsa2048", "ECDHE-RSA-AES128-GCM-SHA256"),
    (0xC030, "rsa2048", "ECDHE-RSA-AES256-GCM-SHA384"),
    (0x009E, "rsa2048", "DHE-RSA-AES128-GCM-SHA256"),
    (0xCCAA, "rsa2048", "DHE-RSA-CHACHA20-POLY1305"),
    (0xC013, "rsa2048", "ECDHE-RSA-AES128-SHA"),
    (0xC028, "rsa2048", "ECDHE-RSA-AES256-SHA384"),
    (0xC009, "p256", "ECDHE-ECDSA-AES128-SHA"),
    (0x0033, "rsa2048", "DHE-RSA-AES128-SHA"),
    (0x009C, "rsa2048", "AES128-GCM-SHA256"),
    (0x002F, "rsa2048", "AES128-SHA"),
    (0x003D, "rsa2048", "AES256-SHA256"),
]


@pytest.mark.parametrize(("suite", "kind", "name"), SUITES_12)
class TestSuites12:
    def test_client(self, suite: int, kind: str, name: str) -> None:
        ciphers = {"set_ciphers": f"{name}:@SECLEVEL=0"}
        context = ssl_context(True, (TLS12, TLS12), leaf=leaf(kind))
        context.set_ciphers(ciphers["set_ciphers"])
        if name.startswith("DHE"):
            pytest.skip("Python's ssl has no automatic Diffie-Hellman parameters; our own pair is tested elsewhere")
        ours, foreign = client(client_config(suites=(suite,))), Foreign(context, True)
        talk(ours, foreign)
        assert foreign.error is None
        assert of(events(ours), HandshakeDone)[0].facts.suite == suite
        exchange(ours, foreign)

    def test_server(self, suite: int, kind: str, name: str) -> None:
        context = {"set_ciphers": f"{name}:@SECLEVEL=0"}
        ours, foreign, found = as_server(TLS12, kind, suites=(suite,), context=context)
        assert found[0].facts.suite == suite
        assert found[0].facts.encrypt_then_mac == (name.endswith(("SHA", "SHA256", "SHA384")) and "GCM" not in name)
        assert foreign.tls.cipher()[0] == name  # type: ignore[index]
        exchange(ours, foreign)


@pytest.mark.parametrize("version", [TLS12, TLS13])
@pytest.mark.parametrize("group", [23, 24, 25, 29, 30, 256, 257])
class TestGroups:
    def test_client(self, version: ssl.TLSVersion, group: int) -> None:
        if version is TLS12 and group >= 256:
            pytest.skip("Python's ssl has no automatic Diffie-Hellman parameters")
        ours, foreign, found = as_client(version, "rsa2048", groups=(group,))
        assert found[0].facts.group == group
        exchange(ours, foreign)

    def test_server(self, version: ssl.TLSVersion, group: int) -> None:
        if version is TLS12 and group >= 256:
            ours, foreign, found = as_server(version, "rsa2048", groups=(group,), suites=(0x009E,))
        else:
            ours, foreign, found = as_server(version, groups=(group,))
        assert found[0].facts.group == group
        assert found[0].facts.retried == (version is TLS13 and group != 29)
        exchange(ours, foreign)


class TestRetry:
    def test_client_answers_a_retry(self) -> None:
        context = {"set_ecdh_curve": "secp384r1"}
        ours, foreign, found = as_client(TLS13, context=context, groups=(29, 24), shares=1)
        assert found[0].facts.retried
        assert found[0].facts.group == 24
        exchange(ours, foreign)

    def test_server_with_a_cookie(self) -> None:
        ours, foreign, found = as_server(TLS13, groups=(25,), cookie=True)
        assert found[0].facts.retried
        exchange(ours, foreign)


@pytest.mark.parametrize("version", [TLS12, TLS13])
class TestFeatures:
    def test_alpn_client(self, version: ssl.TLSVersion) -> None:
        _, _, found = as_client(version, alpn=(b"h2", b"http/1.1"), context={"set_alpn_protocols": ["http/1.1"]})
        assert found[0].facts.alpn == b"http/1.1"

    def test_alpn_server(self, version: ssl.TLSVersion) -> None:
        _, foreign, found = as_server(version, alpn=(b"h2", b"http/1.1"), context={"set_alpn_protocols": ["http/1.1"]})
        assert found[0].facts.alpn == b"http/1.1"
        assert foreign.tls.selected_alpn_protocol() == "http/1.1"

    def test_client_certificate_from_us(self, version: ssl.TLSVersion) -> None:
        context = ssl_context(True, (version, version))
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=root().der)
        context.verify_flags |= 0x200000  # no check of time: the minted chain has a clock of its own
        ours = client(client_config(credentials=(credential(client=True),)))
        foreign = Foreign(context, True)
        talk(ours, foreign)
        assert foreign.error is None
        assert of(events(ours), HandshakeDone)[0].facts.own_signature == 0x0403
        exchange(ours, foreign)

    def test_client_certificate_to_us(self, version: ssl.TLSVersion) -> None:
        context = ssl_context(False, (version, version))
        load(context, leaf(client=True))
        ours = server(server_config(client_auth="required", verify=verifier()))
        foreign = Foreign(context, False)
        talk(ours, foreign)
        facts = of(events(ours), HandshakeDone)[0].facts
        assert facts.peer_chain == (leaf(client=True).der,)
        exchange(ours, foreign)

    def test_our_client_resumes(self, version: ssl.TLSVersion) -> None:
        context = ssl_context(True, (version, version))
        config = client_config()
        ours, foreign = client(config), Foreign(context, True)
        talk(ours, foreign)
        foreign.tls.write(b"x")
        talk(ours, foreign)
        session = of(events(ours), Ticket)[0].session
        again, foreign = client(config, session), Foreign(context, True)
        talk(again, foreign)
        assert foreign.tls.session_reused
        assert of(events(again), HandshakeDone)[0].facts.resumed
        exchange(again, foreign)

    def test_our_server_resumes(self, version: ssl.TLSVersion) -> None:
        context = ssl_context(False, (version, version))
        config = server_config(ticket_keys=ticket_keys())
        ours, foreign = server(config), Foreign(context, False)
        talk(ours, foreign)
        ours.send(b"x")
        talk(ours, foreign)
        again, foreign = server(config), Foreign(context, False, foreign.tls.session)
        talk(again, foreign)
        assert foreign.tls.session_reused
        assert of(events(again), HandshakeDone)[0].facts.resumed
        exchange(again, foreign)

    def test_channel_binding_agrees(self, version: ssl.TLSVersion) -> None:
        if version is TLS13:
            pytest.skip("Python's ssl exports nothing in TLS 1.3 before Python 3.15")
        ours, foreign, _ = as_client(version)
        assert ours.keys12 is not None
        assert foreign.tls.get_channel_binding("tls-unique")


def test_key_update_from_openssl_is_followed() -> None:
    one, two = client(), server()
    pump(one, two)
    events(one), events(two)
    one.update_keys(request=True)
    one.send(b"new keys")
    pump(one, two)
    found = events(two)
    assert of(found, KeyUpdated) == [KeyUpdated(requested=True)]
    assert said(found) == b"new keys"
    assert of(events(one), KeyUpdated) == [KeyUpdated(requested=False)]
    two.send(b"mine too")
    pump(one, two)
    assert said(events(one)) == b"mine too"


def test_openssl_verifies_our_chain() -> None:
    context = ssl.create_default_context(cadata=root().der.hex() and ssl.DER_cert_to_PEM_cert(root().der))
    context.verify_flags |= 0x200000
    ours, foreign = server(), Foreign(context, False)
    talk(ours, foreign)
    assert foreign.error is None
    assert foreign.done
