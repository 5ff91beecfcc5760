from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_crl, ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from synfin.errors import UsageError, WireError
from synfin.pki import keys, mint
from synfin.pki import revocation as rev
from synfin.pki.revocation import Revoked, Standing

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
KEY = keys.make_key("p256")
CA = mint.self_signed(mint.root_order("Root", NOW), KEY)
OTHER = mint.self_signed(mint.root_order("Root", NOW), keys.make_key("p256"))
LEAF = mint.signed(mint.leaf_order(("a.example",), NOW), keys.make_key("p256"), CA)
TAKEN = Revoked(LEAF.facts.serial, NOW - timedelta(hours=1), "keyCompromise")


@pytest.mark.parametrize("kind", ["p256", "p384", "rsa2048", "ed25519", "ed448", "ml-dsa-44"])
def test_both_proofs_with_every_family_of_keys(kind: str) -> None:
    ca = mint.self_signed(mint.root_order("Root", NOW), keys.make_key(kind))
    leaf = mint.signed(mint.leaf_order(("a.example",), NOW), KEY, ca)
    taken = Revoked(leaf.facts.serial, NOW - timedelta(hours=1), "superseded")
    for revoked, standing in ((None, Standing.GOOD), (taken, Standing.REVOKED)):
        stapled = rev.staple(leaf.der, ca, NOW, revoked=revoked)
        crl = rev.make_crl(ca, [revoked] if revoked else [], 1, NOW)
        for found in (
            rev.status(leaf.der, ca.der, NOW, stapled=stapled),
            rev.status(leaf.der, ca.der, NOW, crls=[crl]),
        ):
            assert (found.standing, found.why) == (standing, "")
            assert found.reason == ("superseded" if revoked else "")
            assert found.when == (taken.when if revoked else None)


def proofs(when: datetime, ca: mint.Credential = CA) -> list[dict[str, object]]:
    return [{"stapled": rev.staple(LEAF.der, ca, when)}, {"crls": [rev.make_crl(ca, [], 1, when)]}]


@pytest.mark.parametrize(
    ("found", "why"),
    [
        *[(p, "future") for p in proofs(NOW + timedelta(minutes=1))],
        *[(p, "out of date") for p in proofs(NOW - timedelta(days=8))],
        ({"stapled": rev.staple(LEAF.der, OTHER, NOW)}, "another issuer"),
        ({"stapled": rev.staple(CA.der, CA, NOW)}, "another certificate"),
        ({"crls": [rev.make_crl(OTHER, [], 1, NOW)]}, "did not sign"),
        ({"crls": [rev.make_crl(LEAF, [], 1, NOW)]}, "of another issuer"),
        ({"stapled": b"\x30\x00"}, "cannot be read"),
        ({"crls": [b""]}, "cannot be read"),
        ({"stapled": rev.answer(b"?", CA, lambda _: True, NOW)}, "malformed_request"),
        ({}, ""),
    ],
)
def test_a_proof_that_does_not_hold_proves_nothing(found: dict[str, Any], why: str) -> None:
    status = rev.status(LEAF.der, CA.der, NOW, **found)
    assert status.standing is Standing.UNKNOWN
    assert why in status.why


def responder(usages: tuple[object, ...], ca: mint.Credential = CA) -> mint.Credential:
    order = replace(mint.client_order("OCSP", NOW), usages=usages)  # type: ignore[arg-type]
    return mint.signed(order, keys.make_key("p256"), ca)


def test_a_delegated_responder_must_be_authorised_by_the_issuer() -> None:
    may = (ExtendedKeyUsageOID.OCSP_SIGNING,)
    for who, standing in (
        (responder(may), Standing.GOOD),
        (responder((mint.SERVER,)), Standing.UNKNOWN),
        (responder(()), Standing.UNKNOWN),
        (responder(may, OTHER), Standing.UNKNOWN),
    ):
        stapled = rev.staple(LEAF.der, CA, NOW, responder=who)
        assert rev.status(LEAF.der, CA.der, NOW, stapled=stapled).standing is standing


def look(serial: int) -> Revoked | bool:
    return TAKEN if serial == TAKEN.serial else serial == 7


def test_requests_are_answered() -> None:
    request = rev.make_request(LEAF.der, CA.der, nonce=b"n" * 16)
    asked = rev.read_request(request)
    assert (asked.serial, asked.nonce) == (LEAF.facts.serial, b"n" * 16)
    data = rev.answer(request, CA, look, NOW)
    assert rev.status(LEAF.der, CA.der, NOW, stapled=data).reason == "keyCompromise"
    nonce = ocsp.load_der_ocsp_response(data).extensions[0].value
    assert nonce.nonce == b"n" * 16


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"", ocsp.OCSPResponseStatus.MALFORMED_REQUEST),
        (rev.make_request(CA.der, CA.der), ocsp.OCSPResponseStatus.UNAUTHORIZED),
        (rev.make_request(LEAF.der, OTHER.der), ocsp.OCSPResponseStatus.UNAUTHORIZED),
    ],
)
def test_requests_that_cannot_be_answered(request_: bytes, status: ocsp.OCSPResponseStatus) -> None:
    data = rev.answer(request_, CA, lambda _: False, NOW)
    assert ocsp.load_der_ocsp_response(data).response_status is status


REQUEST = rev.make_request(LEAF.der, CA.der, nonce=b"x" * 8)
STAPLE = rev.staple(LEAF.der, CA, NOW)


CRL = rev.make_crl(CA, [TAKEN], 1, NOW)


def damaged(whole: bytes) -> Iterator[bytes]:
    """Every truncation, and every octet changed in three ways."""
    for at in range(len(whole)):
        yield whole[:at]
        for change in (0x01, 0x55, 0x80):
            yield whole[:at] + bytes([whole[at] ^ change]) + whole[at + 1 :]


def test_damaged_requests_are_answered() -> None:
    for request in damaged(REQUEST):
        try:
            rev.read_request(request)
        except WireError:
            pass
        ocsp.load_der_ocsp_response(rev.answer(request, CA, look, NOW))


def test_damaged_proofs_say_nothing_else_than_sound_ones() -> None:
    for stapled in damaged(STAPLE):
        assert rev.status(LEAF.der, CA.der, NOW, stapled=stapled).standing is not Standing.REVOKED
    for crl in damaged(CRL):
        assert rev.status(LEAF.der, CA.der, NOW, crls=[crl]).standing is not Standing.GOOD
    for other in damaged(LEAF.der):
        assert rev.status(other, CA.der, NOW, stapled=STAPLE).standing is not Standing.REVOKED


def test_reasons_are_the_rfcs() -> None:
    assert "keyCompromise" in rev.REASONS
    with pytest.raises(UsageError, match="keyCompromise"):
        rev.make_crl(CA, [Revoked(5, NOW, "bored")], 1, NOW)


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl as foreign judge")
@pytest.mark.parametrize("revoked", [None, TAKEN])
def test_openssl_reads_both(tmp_path: Path, revoked: Revoked | None) -> None:
    def put(name: str, content: bytes) -> str:
        (tmp_path / name).write_bytes(content)
        return str(tmp_path / name)

    ca, leaf = put("ca.pem", CA.pem), put("leaf.pem", LEAF.pem)

    def run(*args: str) -> str:
        done = subprocess.run(["openssl", *args], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    at = str(int(NOW.timestamp()))
    staple = put("staple", rev.staple(LEAF.der, CA, NOW, revoked=revoked))
    told = run("ocsp", "-respin", staple, "-issuer", ca, "-cert", leaf, "-CAfile", ca, "-attime", at, "-text")
    assert "Response verify OK" in told, told
    assert f"Cert Status: {'revoked' if revoked else 'good'}" in told
    crl = load_der_x509_crl(rev.make_crl(CA, [revoked] if revoked else [], 3, NOW)).public_bytes(Encoding.PEM)
    told = run("verify", "-CAfile", ca, "-crl_check", "-CRLfile", put("crl", crl), "-attime", at, leaf)
    assert ("error 23" in told) == bool(revoked), told
    assert (": OK" in told) != bool(revoked), told
    assert f"{LEAF.facts.serial:X}" in run("ocsp", "-reqin", put("request", REQUEST), "-text")


def test_crls_in_a_file() -> None:
    one, two = (rev.make_crl(ca, [], 1, NOW) for ca in (CA, OTHER))
    texts = [load_der_x509_crl(der).public_bytes(Encoding.PEM) for der in (one, two)]
    assert rev.crls_in(one) == (one,)
    assert rev.crls_in(b"a word before\n" + texts[0] + b"\n" + texts[1]) == (one, two)
    for none in (b"", b"no CRL", one[:-1], mint.pem(LEAF.der), texts[0] + texts[1].replace(b"M", b"?", 1)):
        assert rev.crls_in(none) == ()
