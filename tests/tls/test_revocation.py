"""Stapled OCSP responses and CRLs: good ones pass, every other one is refused by its name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from synfin.errors import PeerError
from synfin.tls import Failed, PathVerifier, Presented
from tests.support.minted import Minted, mint
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

WHEN = datetime.fromtimestamp(NOW, UTC)
DAY = timedelta(days=1)
GOOD, REVOKED, UNKNOWN = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.UNKNOWN


def staple(
    status: ocsp.OCSPCertStatus = GOOD,
    *,
    signer: Minted | None = None,
    about: Minted | None = None,
    start: timedelta = -DAY,
    stop: timedelta | None = DAY,
    digest: Any = None,
    send: bool = False,
) -> bytes:
    signer = signer or root()
    revoked = status is REVOKED
    builder = ocsp.OCSPResponseBuilder().add_response(
        (about or leaf()).certificate,
        root().certificate,
        digest or hashes.SHA1(),
        status,
        WHEN + start,
        None if stop is None else WHEN + stop,
        WHEN - 2 * DAY if revoked else None,
        x509.ReasonFlags.key_compromise if revoked else None,
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
    if send:
        builder = builder.certificates([signer.certificate])
    return builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def responder(appointed: bool) -> Minted:
    usage = x509.oid.ExtendedKeyUsageOID.OCSP_SIGNING if appointed else x509.oid.ExtendedKeyUsageOID.SERVER_AUTH
    return mint("Responder", root(), now=WHEN, number=8, extensions=[(x509.ExtendedKeyUsage([usage]), False)])


def judge(response: bytes | None, crls: tuple[bytes, ...] = ()) -> str:
    """The violation, or "" for a good chain; judged twice, so that remembering is judged too."""
    found = []
    verify = PathVerifier([root().der], crls)
    for _ in range(2):
        try:
            verify(Presented((leaf().der,), NAME, "server", NOW, response))
            found.append("")
        except PeerError as error:
            found.append(error.violation)
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize("digest", [hashes.SHA1(), hashes.SHA256()])
def test_good_staples(digest: Any) -> None:
    assert judge(staple(digest=digest)) == ""
    assert judge(staple(stop=None)) == ""
    assert judge(staple(signer=responder(True), send=True)) == ""


def test_bad_staples() -> None:
    stranger = mint("Stranger", ca=True, now=WHEN, number=6)
    bad = [
        b"",
        b"response",
        ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER).public_bytes(Encoding.DER),
        staple(UNKNOWN),
        staple(about=leaf("p384")),
        staple(signer=stranger),
        staple(signer=stranger, send=True),
        staple(signer=responder(False), send=True),
        staple(start=-3 * DAY, stop=-DAY),
        staple(start=DAY, stop=2 * DAY),
        staple(start=-8 * DAY, stop=None),
        staple()[:-1] + b"\0",
    ]
    assert [judge(response) for response in bad] == ["certificate_bad_staple"] * len(bad)
    assert judge(staple(REVOKED)) == "certificate_revoked"


def test_truncated_staples_are_bad_ones() -> None:
    whole = staple()
    for size in range(0, len(whole), 7):
        assert judge(whole[:size]) == "certificate_bad_staple"


def test_a_staple_grows_old_though_it_was_good() -> None:
    judge_all = verifier()
    response = staple()
    judge_all(Presented((leaf().der,), NAME, "server", NOW, response))
    with pytest.raises(PeerError):
        judge_all(Presented((leaf().der,), NAME, "server", NOW + 2 * 86400, response))


@pytest.mark.parametrize("version", [0x0303, 0x0304])
@pytest.mark.parametrize(("status", "alert"), [(GOOD, None), (REVOKED, 44), (UNKNOWN, 113)])
def test_in_the_handshake(version: int, status: ocsp.OCSPCertStatus, alert: int | None) -> None:
    two = server(server_config(credentials=(credential(ocsp=staple(status)),), max_version=version))
    one = client()
    pump(one, two)
    assert [failed.alert for failed in of(events(one), Failed)] == ([alert] if alert else [])


def crl(serial: int, signer: Minted, issuer: Minted | None = None) -> bytes:
    entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(WHEN - DAY).build()
    builder = x509.CertificateRevocationListBuilder().issuer_name((issuer or signer).certificate.subject)
    builder = builder.last_update(WHEN - DAY).next_update(WHEN + DAY).add_revoked_certificate(entry)
    return builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def test_crls() -> None:
    serial = leaf().certificate.serial_number
    stranger = mint("Stranger", ca=True, now=WHEN, number=6)
    assert judge(None, (crl(serial, root()),)) == "certificate_revoked"
    assert judge(None, (crl(serial + 1, root()),)) == ""
    assert judge(None, (crl(serial, stranger),)) == ""
    assert judge(None, (crl(serial, stranger, root()),)) == "", "a CRL somebody else signed says nothing"
    with pytest.raises(ValueError, match="asn1"):
        PathVerifier([root().der], (b"no CRL",))
    config = client_config(verify=PathVerifier([root().der], (crl(serial, root()),)))
    one, two = client(config), server()
    pump(one, two)
    assert of(events(one), Failed)[0].violation == "certificate_revoked"
