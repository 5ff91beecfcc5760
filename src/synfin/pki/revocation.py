"""Taking certificates back: CRLs (RFC 5280 5) and OCSP (RFC 6960), made and read.

A CA keeps a list of ``Revoked``; from it come the signed CRL and the answers to OCSP requests.  ``status`` is the
reader's side: whether a certificate is revoked by what a client has at hand, a stapled response or CRLs, at a given
time, and whether that proof itself holds: signed by the issuer or by a responder the issuer authorised, for this
certificate, and neither old nor from the future.  A client that hears nothing knows nothing: that is ``UNKNOWN``.

Answers carry one certificate each, as every web client asks; a request for several is answered malformedRequest.
Nonces (RFC 9654) are given back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from synfin.errors import UsageError, WireError
from synfin.pki.keys import PublicKey, signing_hash, spki
from synfin.pki.mint import UNREADABLE, Credential
from synfin.spec import der as d
from synfin.spec import oids
from synfin.spec.signatures import signature_holds

#: Why a certificate was revoked (RFC 5280 5.3.1), by the RFC's names; removeFromCRL is for delta CRLs alone.
REASONS = {flag.value: flag for flag in x509.ReasonFlags if flag is not x509.ReasonFlags.remove_from_crl}

_PEM_CRL = b"-----BEGIN X509 CRL-----"
CRL_LIFE, OCSP_LIFE = timedelta(days=7), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Revoked:
    """One certificate taken back; ``reason`` is a key of ``REASONS``."""

    serial: int
    when: datetime
    reason: str = "unspecified"


class Standing(StrEnum):
    """What is known about a certificate."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Status:
    """A standing, where it is from ("ocsp", "crl" or ""), and what is wrong with the proof ("" where nothing is)."""

    standing: Standing
    source: str = ""
    why: str = ""
    reason: str = ""
    when: datetime | None = None


# ---------------------------------------------------------------- made by the CA


def make_crl(
    ca: Credential, revoked: Iterable[Revoked], number: int, now: datetime, *, life: timedelta = CRL_LIFE
) -> bytes:
    """The CRL (DER) of ``ca``: ``number`` must grow from one to the next (RFC 5280 5.2.3)."""
    issuer = ca.certificate
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.subject)
        .last_update(now)
        .next_update(now + life)
        .add_extension(x509.CRLNumber(number), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key()), False)
    )
    for entry in revoked:
        one = x509.RevokedCertificateBuilder().serial_number(entry.serial).revocation_date(entry.when)
        if entry.reason != "unspecified":  # the RFC asks to leave it out
            one = one.add_extension(x509.CRLReason(reason_flag(entry.reason)), False)
        builder = builder.add_revoked_certificate(one.build())
    return builder.sign(ca.key, signing_hash(ca.key)).public_bytes(Encoding.DER)


def reason_flag(name: str) -> x509.ReasonFlags:
    """The reason as ``cryptography`` has it.  Raises UsageError for what is no key of ``REASONS``."""
    if name not in REASONS:
        raise UsageError(f"no reason {name!r} to revoke; there are {', '.join(REASONS)}")
    return REASONS[name]


@dataclass(frozen=True, slots=True)
class Asked:
    """What an OCSP request asks about (RFC 6960 4.1.1): the hashes tell the issuer, the number the certificate."""

    serial: int
    name_hash: bytes
    key_hash: bytes
    algorithm: hashes.HashAlgorithm
    nonce: bytes | None


def make_request(leaf: bytes, issuer: bytes, *, nonce: bytes | None = None) -> bytes:
    """An OCSP request (DER) for ``leaf`` (both DER), with SHA-1 name and key hashes as every responder knows."""
    certificate, above = x509.load_der_x509_certificate(leaf), x509.load_der_x509_certificate(issuer)
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, above, hashes.SHA1())
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), False)
    return builder.build().public_bytes(Encoding.DER)


def read_request(data: bytes) -> Asked:
    """What ``data`` asks.  Raises WireError for what is no OCSP request about one certificate."""
    try:
        request = ocsp.load_der_ocsp_request(data)
        found = [e.value for e in request.extensions if isinstance(e.value, x509.OCSPNonce)]
        return Asked(
            request.serial_number,
            request.issuer_name_hash,
            request.issuer_key_hash,
            request.hash_algorithm,
            found[0].nonce if found else None,
        )
    except UNREADABLE as error:
        raise WireError(0, "OCSPRequest", str(error) or "cannot be read") from error


def answer(
    data: bytes,
    ca: Credential,
    look: Callable[[int], Revoked | bool],
    now: datetime,
    *,
    responder: Credential | None = None,
    life: timedelta = OCSP_LIFE,
) -> bytes:
    """The OCSP response (DER) to the request ``data``.  Never raises for what a client sent.

    ``look`` says of a serial number whether it was revoked (``Revoked``), stands (True) or was never issued (False:
    answered "unauthorized", since this responder knows nothing of it, RFC 6960 2.3).  ``responder`` signs in the
    place of ``ca`` where one is given; it needs the OCSPSigning usage.
    """
    try:
        asked = read_request(data)
    except WireError:
        return _refusal(ocsp.OCSPResponseStatus.MALFORMED_REQUEST)
    if (asked.name_hash, asked.key_hash) != issuer_hashes(ca.certificate, asked.algorithm):
        return _refusal(ocsp.OCSPResponseStatus.UNAUTHORIZED)
    found = look(asked.serial)
    if found is False:
        return _refusal(ocsp.OCSPResponseStatus.UNAUTHORIZED)
    return _response(asked, ca, found if isinstance(found, Revoked) else None, now, responder, life)


def staple(
    leaf: bytes,
    ca: Credential,
    now: datetime,
    *,
    revoked: Revoked | None = None,
    responder: Credential | None = None,
    life: timedelta = OCSP_LIFE,
) -> bytes:
    """The OCSP response (DER) a server staples for ``leaf`` (RFC 6066 8)."""
    asked = read_request(make_request(leaf, ca.der))
    return _response(asked, ca, revoked, now, responder, life)


def _response(
    asked: Asked,
    ca: Credential,
    revoked: Revoked | None,
    now: datetime,
    responder: Credential | None,
    life: timedelta,
) -> bytes:
    signer = responder or ca
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response_by_hash(
            asked.name_hash,
            asked.key_hash,
            asked.serial,
            asked.algorithm,
            ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD,
            now,
            now + life,
            revoked.when if revoked else None,
            reason_flag(revoked.reason) if revoked and revoked.reason != "unspecified" else None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
    )
    if responder is not None:
        builder = builder.certificates([responder.certificate])
    if asked.nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(asked.nonce), False)
    return builder.sign(signer.key, signing_hash(signer.key)).public_bytes(Encoding.DER)


def _refusal(status: ocsp.OCSPResponseStatus) -> bytes:
    return ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)


def issuer_hashes(issuer: x509.Certificate, algorithm: hashes.HashAlgorithm) -> tuple[bytes, bytes]:
    """issuerNameHash and issuerKeyHash of a CertID (RFC 6960 4.1.1)."""
    name = hashes.Hash(algorithm)
    name.update(issuer.subject.public_bytes())
    key = hashes.Hash(algorithm)
    key.update(key_bits(cast(PublicKey, issuer.public_key())))
    return name.finalize(), key.finalize()


def key_bits(key: PublicKey) -> bytes:
    """The content of subjectPublicKey, as SubjectKeyIdentifier and CertID hash it."""
    whole = spki(key)
    start, stop = d.expect(whole, 0, len(whole), d.SEQUENCE, "")
    _, _, after = d.element(whole, start, stop)
    bits, end = d.expect(whole, after, stop, d.BIT_STRING, "")
    return whole[bits + 1 : end]


# ---------------------------------------------------------------- read by the client


def crls_in(data: bytes) -> tuple[bytes, ...]:
    """The CRLs (DER) in a file's octets, PEM or one in DER; () where there is none, or one cannot be read."""
    try:
        if b"-----BEGIN" not in data:
            return (x509.load_der_x509_crl(data).public_bytes(Encoding.DER),)
        parts = [_PEM_CRL + part for part in data.split(_PEM_CRL)[1:]]
        return tuple([x509.load_pem_x509_crl(part).public_bytes(Encoding.DER) for part in parts])
    except UNREADABLE:
        return ()


#: What is said of a CRL that has nothing to do with the certificate.
_ANOTHER = "it is of another issuer"


def status(
    leaf: bytes,
    issuer: bytes,
    now: datetime,
    *,
    stapled: bytes | None = None,
    crls: Iterable[bytes] = (),
) -> Status:
    """What is known about ``leaf`` (DER) below ``issuer`` (DER) at ``now``: a staple first, then the CRLs.

    Never raises.  A proof that does not hold leaves the standing UNKNOWN and says why.
    """
    found = Status(Standing.UNKNOWN)
    try:
        certificate, above = x509.load_der_x509_certificate(leaf), x509.load_der_x509_certificate(issuer)
    except UNREADABLE as error:
        return Status(Standing.UNKNOWN, why=str(error))
    if stapled is not None:
        found = _by_response(stapled, certificate, above, now)
        if found.standing is not Standing.UNKNOWN:
            return found
    for data in crls:
        listed = _by_crl(data, certificate, above, now)
        if listed.standing is not Standing.UNKNOWN:
            return listed
        found = listed if found.why in ("", _ANOTHER) else found  # lists of others say nothing, not even that
    return found


def _by_response(data: bytes, leaf: x509.Certificate, issuer: x509.Certificate, now: datetime) -> Status:
    def unknown(why: str) -> Status:
        return Status(Standing.UNKNOWN, "ocsp", why)

    try:
        response = ocsp.load_der_ocsp_response(data)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return unknown(f"the responder answered {response.response_status.name.lower()}")
        if response.serial_number != leaf.serial_number:
            return unknown("it is about another certificate")
        if (response.issuer_name_hash, response.issuer_key_hash) != issuer_hashes(issuer, response.hash_algorithm):
            return unknown("it is about a certificate of another issuer")
        if not _answered_by(response, issuer, now):
            return unknown("neither the issuer nor a responder it authorised signed it")
        if response.this_update_utc > now:
            return unknown("it is from the future")
        if response.next_update_utc is not None and response.next_update_utc < now:
            return unknown("it is out of date")
        if response.certificate_status is ocsp.OCSPCertStatus.REVOKED:
            flag = response.revocation_reason
            return Status(
                Standing.REVOKED,
                "ocsp",
                reason=flag.value if flag else "unspecified",
                when=response.revocation_time_utc,
            )
        good = response.certificate_status is ocsp.OCSPCertStatus.GOOD
        return Status(Standing.GOOD, "ocsp") if good else unknown("the responder does not know the certificate")
    except UNREADABLE as error:
        return unknown(f"it cannot be read: {error}")


def _answered_by(response: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime) -> bool:
    """Signed by the issuer itself, or by a certificate it issued for OCSP signing (RFC 6960 4.2.2.2)."""
    if _holds(issuer, response.signature_algorithm_oid, response, response.signature, response.tbs_response_bytes):
        return True
    for candidate in response.certificates:
        try:
            usage = candidate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except (x509.ExtensionNotFound, x509.DuplicateExtension):
            continue
        if (
            ExtendedKeyUsageOID.OCSP_SIGNING in usage
            and candidate.issuer == issuer.subject
            and candidate.not_valid_before_utc <= now <= candidate.not_valid_after_utc
            and _holds(
                issuer,
                candidate.signature_algorithm_oid,
                candidate,
                candidate.signature,
                candidate.tbs_certificate_bytes,
            )
            and _holds(
                candidate, response.signature_algorithm_oid, response, response.signature, response.tbs_response_bytes
            )
        ):
            return True
    return False


def _holds(
    signer: x509.Certificate,
    algorithm: x509.ObjectIdentifier,
    what: ocsp.OCSPResponse | x509.Certificate,
    signature: bytes,
    signed: bytes,
) -> bool:
    known = oids.SIGNATURES.get(algorithm.dotted_string)
    key = signer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = what.signature_hash_algorithm
    name = digest.name if digest is not None else known.hash if known else ""
    return signature_holds(key, algorithm.dotted_string, name, signature, signed) is True


def _by_crl(data: bytes, leaf: x509.Certificate, issuer: x509.Certificate, now: datetime) -> Status:
    def unknown(why: str) -> Status:
        return Status(Standing.UNKNOWN, "crl", why)

    try:
        crl = x509.load_der_x509_crl(data)
        if crl.issuer != issuer.subject:
            return unknown(_ANOTHER)
        if not crl.is_signature_valid(cast(PublicKey, issuer.public_key())):
            return unknown("the issuer did not sign it")
        if crl.last_update_utc > now:
            return unknown("it is from the future")
        if crl.next_update_utc is not None and crl.next_update_utc < now:
            return unknown("it is out of date")
        entry = crl.get_revoked_certificate_by_serial_number(leaf.serial_number)
        if entry is None:
            return Status(Standing.GOOD, "crl")
        reasons = [e.value.reason.value for e in entry.extensions if isinstance(e.value, x509.CRLReason)]
        return Status(
            Standing.REVOKED, "crl", reason=reasons[0] if reasons else "unspecified", when=entry.revocation_date_utc
        )
    except UNREADABLE as error:
        return unknown(f"it cannot be read: {error}")
