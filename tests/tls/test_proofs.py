"""Proofs that do not hold: certificates, signatures, Finished, and answers of the second flight, told by liars.

A liar is an end whose messages are edited on their way out (``edits``).
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from synfin.errors import PeerError
from synfin.spec.violations import VIOLATIONS
from synfin.tls import (
    Credential,
    Failed,
    HandshakeDone,
    PathVerifier,
    PeerAlert,
    Presented,
    signing,
)
from synfin.tls.config import ClientConfig
from tests.support.minted import Minted, mint
from tests.support.tlsoctets import message
from tests.tls.bad_client import BadClient
from tests.tls.bad_server import Bad
from tests.tls.edits import Edit, exactly, flipped, longer
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
    verifier,
)

CLIENT_AUTH = x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH
WHEN = datetime.fromtimestamp(NOW, UTC)


def lied_to_client(version: int, lies: dict[int, Edit], **more: Any) -> Failed:
    liar = Bad(server_config("p256", max_version=version, **more), now=NOW, entropy=os.urandom)
    liar.edits = lies
    one = client()
    pump(one, liar)
    found = of(events(one), Failed)
    assert len(found) == 1
    failed: Failed = found[0]
    assert of(events(liar), PeerAlert) == [PeerAlert(failed.alert or 0, fatal=True)]
    return failed


def lied_to_server(version: int, lies: dict[int, Edit]) -> Failed:
    config = client_config(max_version=version, credentials=(credential(client=True),))
    liar = BadClient(config, NAME, now=NOW, entropy=os.urandom)
    liar.edits = lies
    two = server(server_config(client_auth="required", verify=verifier()))
    pump(liar, two)
    found = of(events(two), Failed)
    assert len(found) == 1
    failed: Failed = found[0]
    return failed


FLIGHT: list[tuple[int, int, Edit, str]] = [
    (0x0304, 8, exactly(8, b"\0\4\0\x0d\0\0"), "misplaced_extension"),
    (0x0304, 8, exactly(8, b"\0\4\x12\x34\0\0"), "unsupported_extension"),
    (0x0304, 8, exactly(8, b"\0\x08\0\0\0\0\0\0\0\0"), "duplicate_extension"),
    (0x0304, 8, exactly(8, b"\0\5\0\0\0\1x"), "decode_error"),
    (0x0304, 8, exactly(8, b"\0\5\0\x10\0\1\0"), "unsupported_extension"),
    (0x0304, 8, exactly(8, b"\0\4\0\x2a\0\0"), "unsupported_extension"),
    (0x0304, 8, exactly(8, b"\0\0x"), "trailing_bytes"),
    (0x0304, 8, exactly(8, b""), "decode_error"),
    (0x0304, 11, exactly(11, b"\0\0\0\0"), "certificate_missing"),
    (0x0304, 11, exactly(11, b"\1x\0\0\0"), "illegal_parameter"),
    (0x0304, 11, exactly(11, b"\0\0\0\5\0\0\0\0\0"), "empty_list"),
    (0x0304, 11, exactly(11, b"\0\0\0\x06\0\0\1x\0\0"), "certificate_unparsable"),
    (0x0304, 15, flipped, "wrong_signature"),
    (0x0304, 15, lambda bad, raw: message(15, b"\x08\x04" + raw[6:]), "signature_of_other_key"),
    (0x0304, 15, lambda bad, raw: message(15, b"\x05\x03" + raw[6:]), "signature_of_other_key"),
    (0x0304, 15, lambda bad, raw: message(15, b"\x02\x03" + raw[6:]), "signature_not_offered"),
    (0x0304, 15, lambda bad, raw: message(15, b"\x04\x01" + raw[6:]), "signature_not_offered"),
    (0x0304, 15, longer, "trailing_bytes"),
    (0x0304, 20, flipped, "wrong_finished"),
    (0x0304, 20, longer, "message_too_long"),
    (0x0303, 11, exactly(11, b"\0\0\0"), "certificate_missing"),
    (0x0303, 11, exactly(11, b"\0\0\4\0\0\1x"), "certificate_unparsable"),
    (0x0303, 12, flipped, "wrong_signature"),
    (0x0303, 12, lambda bad, raw: message(12, b"\1" + raw[5:]), "illegal_parameter"),
    (0x0303, 12, lambda bad, raw: message(12, b"\3\0\x13" + raw[7:]), "group_not_offered"),
    (0x0303, 12, longer, "trailing_bytes"),
    (0x0303, 14, longer, "message_too_long"),
    (0x0303, 20, flipped, "wrong_finished"),
    (0x0303, 20, longer, "message_too_long"),
]


@pytest.mark.parametrize(("version", "kind", "lie", "violation"), FLIGHT)
def test_lies_of_the_server(version: int, kind: int, lie: Edit, violation: str) -> None:
    assert lied_to_client(version, {kind: lie}, certificate_compression=()).violation == violation


def test_a_share_that_is_no_key_in_tls12() -> None:
    def zero(bad: Bad, raw: bytes) -> bytes:
        return message(12, b"\3\0\x1d\x20" + bytes(32) + raw[4 + 36 :])

    failed = lied_to_client(0x0303, {12: zero})
    assert failed.violation in ("wrong_signature", "zero_shared_secret")


BACK: list[tuple[int, int, Edit, str]] = [
    (0x0304, 11, exactly(11, b"\1x\0\0\0"), "illegal_parameter"),
    (0x0304, 11, exactly(11, b"\0\0\0\0"), "certificate_required"),
    (0x0304, 25, exactly(25, b"\0\4\0\0\1\0\0\1x"), "illegal_parameter"),
    (0x0304, 25, exactly(25, b"\0\2\0\0\1\0\0\1x"), "certificate_bad_compression"),
    (0x0304, 25, exactly(25, b"\0\1\xff\xff\xff\0\0\1x"), "certificate_bad_compression"),
    (0x0304, 25, exactly(25, b"\0\1\0\0\1\0\0\1x"), "certificate_bad_compression"),
    (0x0304, 15, flipped, "wrong_signature"),
    (0x0304, 20, flipped, "wrong_finished"),
    (0x0304, 20, longer, "message_too_long"),
    (0x0303, 11, exactly(11, b"\0\0\0"), "client_certificate_missing"),
    (0x0303, 16, exactly(16, b"\x20" + bytes(32)), "zero_shared_secret"),
    (0x0303, 16, exactly(16, b"\1x"), "bad_key_share"),
    (0x0303, 16, exactly(16, b"\0"), "decode_error"),
    (0x0303, 16, exactly(16, b""), "decode_error"),
    (0x0303, 16, longer, "trailing_bytes"),
    (0x0303, 15, flipped, "wrong_signature"),
    (0x0303, 20, flipped, "wrong_finished"),
]


@pytest.mark.parametrize(("version", "kind", "lie", "violation"), BACK)
def test_lies_of_the_client(version: int, kind: int, lie: Edit, violation: str) -> None:
    if kind == 25:  # the liar's certificate is too small to be compressed: it lies in place of the plain one
        assert lied_to_server(version, {11: lie, 25: lie}).violation == violation
        return
    lies = {kind: lie, **({25: lie} if kind == 11 else {})}
    assert lied_to_server(version, lies).violation == violation


@pytest.mark.parametrize("sealed", [b"", b"\0" * 256, b"\xff" * 255, b"\1" * 257])
def test_static_rsa_never_tells_what_was_wrong(sealed: bytes) -> None:
    """Whatever is wrong with the premaster secret, the client's Finished is what does not open."""
    config = client_config(suites=(0x009C,), max_version=0x0303)
    liar = BadClient(config, NAME, now=NOW, entropy=os.urandom)
    liar.edits = {16: exactly(16, len(sealed).to_bytes(2, "big") + sealed)}
    two = server(server_config("rsa2048", suites=(0x009C,)))
    pump(liar, two)
    assert of(events(two), Failed)[0].violation == "bad_record_mac"


def test_weak_diffie_hellman_is_refused() -> None:
    small = (1 << 1023) + 1155
    body = b"".join(len(x).to_bytes(2, "big") + x for x in (small.to_bytes(128, "big"), b"\2", b"\5"))

    liar = Bad(server_config("rsa2048", suites=(0x009E,)), now=NOW, entropy=os.urandom)
    liar.edits = {12: lambda bad, raw: bad.signed(body, 0x0804)}
    one = client(client_config(suites=(0x009E,), max_version=0x0303))
    pump(one, liar)
    assert of(events(one), Failed)[0].violation == "weak_dh_group"


# ---------------------------------------------------------------- certificates


def chain_with(name: str = NAME, issuer: Minted | None = None, **more: Any) -> tuple[tuple[bytes, ...], Any]:
    made = mint(name, issuer or root(), **{"sans": [x509.DNSName(name)], "now": WHEN, "number": 5, **more})
    return (made.der,), made.key


BAD: list[tuple[dict[str, Any], str]] = [
    ({"days": (-90, -1)}, "certificate_expired"),
    ({"days": (1, 90)}, "certificate_not_yet_valid"),
    ({"name": "other.example"}, "certificate_name_mismatch"),
    ({"sans": None}, "certificate_common_name_only"),
    ({"sans": [x509.DNSName("*.example.org")]}, "certificate_name_mismatch"),
    ({"kind": "rsa1024"}, "certificate_weak_key"),
    ({"extensions": [(x509.ExtendedKeyUsage([CLIENT_AUTH]), False)]}, "certificate_wrong_usage"),
    ({"extensions": [(x509.TLSFeature([x509.TLSFeatureType.status_request]), False)]}, "certificate_must_staple"),
]  # fmt: skip


@pytest.mark.parametrize("version", [0x0303, 0x0304])
@pytest.mark.parametrize(("more", "violation"), BAD, ids=[row[1] for row in BAD])
def test_bad_certificates(more: dict[str, Any], violation: str, version: int) -> None:
    chain, key = chain_with(**more)
    two = server(server_config(credentials=(Credential(chain, key),), max_version=version))
    one = client()
    pump(one, two)
    failed = of(events(one), Failed)[0]
    assert failed.violation == violation
    assert failed.alert == VIOLATIONS[violation].alert
    assert of(events(two), PeerAlert) == [PeerAlert(failed.alert, fatal=True)]


def test_damaged_certificates_are_refused_by_name() -> None:
    """Every octet of a certificate replaced: a named refusal each time.

    But for one octet: the number of unused bits of the signature, which is no part of what is signed.
    """
    whole = leaf().der
    unused = len(whole) - len(leaf().certificate.signature) - 1
    assert whole[unused] == 0
    for at in set(range(len(whole))) - {unused}:
        for value in (0, 1, 0x30, 0xFF):
            damaged = whole[:at] + bytes([value]) + whole[at + 1 :]
            if damaged == whole:
                continue
            with pytest.raises(PeerError) as told:
                verifier()(Presented((damaged,), NAME, "server", NOW))
            assert told.value.violation in VIOLATIONS


def test_strangers() -> None:
    strange = mint("Strange root", ca=True, now=WHEN, number=6)
    selfish = mint(NAME, sans=[x509.DNSName(NAME)], now=WHEN, number=7)
    for chain, violation in (
        (chain_with(issuer=strange)[0], "certificate_unknown_issuer"),
        ((*chain_with(issuer=strange)[0], strange.der), "certificate_unknown_root"),
        ((selfish.der,), "certificate_self_signed"),
    ):
        with pytest.raises(PeerError) as told:
            verifier()(Presented(chain, NAME, "server", NOW))
        assert told.value.violation == violation


def test_a_good_answer_is_remembered_only_while_it_holds() -> None:
    judge = verifier()
    chain = (leaf().der,)
    for now in (NOW, NOW + 60, NOW + 79 * 86400):
        judge(Presented(chain, NAME, "server", now))
    for presented in (
        Presented(chain, NAME, "server", NOW + 81 * 86400),
        Presented(chain, NAME, "server", NOW - 11 * 86400),
        Presented(chain, "other.example", "server", NOW),
        Presented(chain, None, "server", NOW),
        Presented(chain, None, "client", NOW),
    ):
        with pytest.raises(PeerError):
            judge(presented)


def test_addresses_are_names_too() -> None:
    from ipaddress import ip_address

    chain, _ = chain_with(sans=[x509.IPAddress(ip_address("192.0.2.1"))], extensions=_web())
    verifier()(Presented(chain, "192.0.2.1", "server", NOW))
    with pytest.raises(PeerError):
        verifier()(Presented(chain, "192.0.2.2", "server", NOW))


def _web() -> list[tuple[x509.ExtensionType, bool]]:
    return [
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(root().key.public_key()), False),
        (x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), False),
    ]


def test_verification_is_never_off_by_accident() -> None:
    with pytest.raises(TypeError):
        ClientConfig()  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="no root"):
        PathVerifier([])
    with pytest.raises(ValueError, match="verify"):
        server_config(client_auth="required")
    with pytest.raises(ValueError, match="belong"):
        Credential((leaf().der,), leaf("p384").key)
    two = server()
    one = client(name=None)
    pump(one, two)
    assert of(events(one), Failed)[0].violation == "certificate_name_mismatch"
    assert not of(events(two), HandshakeDone)


def test_an_rsa_signature_without_its_leading_zero_is_none() -> None:
    """RFC 8017 8.2.2 step 1: as long as the modulus; one of 256 begins with a zero octet."""
    key = credential("rsa2048").key
    own = signing.own_key(key)
    for number in range(5000):
        data = number.to_bytes(2, "big")
        signature = key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        if not signature[0]:
            break
    signing.verify(own, 0x0401, signature, data, version=0x0303, offered=(0x0401,))
    with pytest.raises(PeerError, match="wrong_signature"):
        signing.verify(own, 0x0401, signature[1:], data, version=0x0303, offered=(0x0401,))
