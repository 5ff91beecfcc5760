"""Which credential a peer gets: by name, schemes, chains that can be checked, authorities and filters."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography import x509

from synfin.errors import PeerError
from synfin.spec.certificates import certificate_facts
from synfin.tls import Credential, Failed, HandshakeDone, Server
from synfin.tls.credentials import Wanted, chain_schemes
from synfin.wire.tls.bodies import OidFilter
from tests.support.minted import mint
from tests.support.tlsoctets import record
from tests.tls.bad_server import Bad
from tests.tls.edits import exactly
from tests.tls.ends import (
    NAME,
    NOW,
    client,
    client_config,
    credential,
    events,
    leaf,
    of,
    pump,
    root,
    server,
    server_config,
    ticket_keys,
    verifier,
)
from tests.tls.test_refusals import changed, edit, hello_of

WHEN = datetime.fromtimestamp(NOW, UTC)
ROOT_NAME = certificate_facts(root().der).subject_der
OTHER_NAME = bytes.fromhex("300d310b3009060355040613024445")  # C=DE
KEY_USAGE, EXTENDED, STRANGE = b"\6\3\x55\x1d\x0f", b"\6\3\x55\x1d\x25", b"\6\3\x2a\3\4"
CLIENT_AUTH = bytes.fromhex("300a06082b06010505070302")
SERVER_AUTH = bytes.fromhex("300a06082b06010505070301")


def test_schemes_of_a_chain() -> None:
    assert chain_schemes((leaf().der,)) == ((0x0403,),)
    assert chain_schemes((leaf().der, root().der)) == ((0x0403,),), "a root's own signature is nobody's business"


FILTERS: list[tuple[str, Wanted, bool]] = [
    ("nothing", Wanted(), True),
    ("its issuer", Wanted((OTHER_NAME, ROOT_NAME)), True),
    ("another issuer", Wanted((OTHER_NAME,)), False),
    ("its purpose", Wanted(filters=(OidFilter(EXTENDED, CLIENT_AUTH),)), True),
    ("another purpose", Wanted(filters=(OidFilter(EXTENDED, SERVER_AUTH),)), False),
    ("its usage", Wanted(filters=(OidFilter(KEY_USAGE, b"\3\2\7\x80"),)), True),
    ("another usage", Wanted(filters=(OidFilter(KEY_USAGE, b"\3\2\2\x84"),)), False),
    ("an unknown extension", Wanted(filters=(OidFilter(STRANGE, b"\5\0"),)), True),
    ("no values", Wanted(filters=(OidFilter(EXTENDED, b""),)), True),
]


@pytest.mark.parametrize(("what", "wanted", "fits"), FILTERS, ids=[row[0] for row in FILTERS])
def test_what_a_request_admits(what: str, wanted: Wanted, fits: bool) -> None:
    assert wanted.fits(credential(client=True)) is fits, what


@pytest.mark.parametrize(
    "one", [OidFilter(b"x", b"x"), OidFilter(EXTENDED, b"\x30\x05\6"), OidFilter(KEY_USAGE, b"\2\1\0")]
)
def test_filters_that_are_not_der(one: OidFilter) -> None:
    with pytest.raises(PeerError) as told:
        Wanted(filters=(one,)).fits(credential(client=True))
    assert told.value.violation == "decode_error"


@pytest.mark.parametrize("version", [0x0303, 0x0304])
@pytest.mark.parametrize(("authority", "sent"), [(ROOT_NAME, True), (OTHER_NAME, False)])
def test_authorities_decide_what_a_client_sends(version: int, authority: bytes, sent: bool) -> None:
    one = client(client_config(credentials=(credential(client=True),), max_version=version))
    two = server(server_config(client_auth="optional", verify=verifier(), client_authorities=(authority,)))
    pump(one, two)
    assert bool(of(events(two), HandshakeDone)[0].facts.peer_chain) is sent


def test_a_filter_in_a_request() -> None:
    """A CertificateRequest with oid_filters (RFC 8446 4.2.5)."""
    for values, sent in ((CLIENT_AUTH, True), (SERVER_AUTH, False)):
        filters = bytes([len(EXTENDED)]) + EXTENDED + len(values).to_bytes(2, "big") + values
        body = len(filters).to_bytes(2, "big") + filters
        block = b"\0\x0d\0\4\0\2\4\3" + b"\0\x30" + len(body).to_bytes(2, "big") + body
        liar = Bad(server_config(client_auth="optional", verify=verifier()), now=NOW, entropy=os.urandom)
        liar.edits = {13: exactly(13, b"\0" + len(block).to_bytes(2, "big") + block)}
        one = client(client_config(credentials=(credential(client=True),)))
        pump(one, liar)
        assert bool(of(events(liar), HandshakeDone)[0].facts.peer_chain) is sent


def _signed_by(kind: str) -> Credential:
    """A P-256 leaf under a root of its own with a key of ``kind``."""
    top = mint(f"Root {kind}", ca=True, now=WHEN, kind=kind, number=70)
    made = mint(NAME, top, sans=[x509.DNSName(NAME)], now=WHEN, number=71)
    return Credential((made.der,), made.key)


class _Listener(Server):
    """A server whose messages can be read."""

    told: tuple[bytes, ...] = ()

    def say_raw(self, raw: bytes) -> bytes:
        self.told += (raw,)
        return super().say_raw(raw)


@pytest.mark.parametrize(("asked", "issuer"), [(0x0807, "ed25519"), (0x0403, "p256")])
def test_chains_the_client_can_check_come_first(asked: int, issuer: str) -> None:
    """signature_algorithms_cert speaks of the chain, signature_algorithms of the handshake (RFC 8446 4.2.3)."""
    pair = {"p256": _signed_by("p256"), "ed25519": _signed_by("ed25519")}
    end = _Listener(server_config(credentials=tuple(pair.values())), now=NOW, entropy=os.urandom)
    hello = hello_of(certificate_compression=())
    end.receive(record(edit(hello, extensions=changed(hello, 50, b"\0\2" + asked.to_bytes(2, "big")))), NOW)
    certificate = next(raw for raw in end.told if raw[0] == 11)
    assert pair[issuer].chain[0] in certificate


@pytest.mark.parametrize(("named", "schemes", "chosen"), [
    ("p256", b"\4\3\x08\7", "p256"), ("ed25519", b"\4\3\x08\7", "ed25519"), ("", b"\4\3\x08\7", "p256"),
    ("ed25519", b"\4\3", "p256"),
])  # fmt: skip
def test_authorities_the_client_lists_come_next(named: str, schemes: bytes, chosen: str) -> None:
    """RFC 8446 4.2.4, 4.4.2.2: after what it can check; names that nobody bears change nothing."""
    pair = {"p256": _signed_by("p256"), "ed25519": _signed_by("ed25519")}
    end = _Listener(server_config(credentials=tuple(pair.values())), now=NOW, entropy=os.urandom)
    hello = hello_of(certificate_compression=())
    name = certificate_facts(pair[named].chain[0]).issuer_der if named else b"\x30\0"
    body = (2 + len(name)).to_bytes(2, "big") + len(name).to_bytes(2, "big") + name
    hello = replace(hello, extensions=changed(hello, 47, body))
    end.receive(record(edit(hello, extensions=changed(hello, 50, bytes([0, len(schemes)]) + schemes))), NOW)
    certificate = next(raw for raw in end.told if raw[0] == 11)
    assert pair[chosen].chain[0] in certificate


@pytest.mark.parametrize(("modes", "count"), [(b"\1\1", 2), (b"\2\0\1", 2), (b"\1\0", 0), (None, 0)])
def test_tickets_suit_the_modes(modes: bytes | None, count: int) -> None:
    """RFC 8446 4.2.9: none for a client that cannot use it."""
    end = server(server_config(ticket_keys=ticket_keys()))
    hello = hello_of()
    end.receive(record(edit(hello, extensions=changed(hello, 45, modes))), NOW)
    assert not of(events(end), Failed)
    assert end._tickets == count
