"""Revocation from what is at hand: a stapled OCSP response (RFC 6066 8, RFC 6960) and given CRLs (RFC 5280 5).

Nothing is fetched.  A staple must be about the leaf, be made now, and be signed by the leaf's issuer or by a responder
that the issuer appointed (RFC 6960 4.2.2.2); anything else is certificate_bad_staple, as is the answer "unknown".
A CRL counts where its issuer and signature are those of a certificate's issuer; that it is old does not make what it
lists good again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from synfin.errors import PeerError
from synfin.spec.certificates import certificate_facts
from synfin.tls.signing import UNREADABLE

#: How far clocks may differ, in seconds.
SKEW = 300.0
#: How long a response without nextUpdate is believed, in seconds.
DEFAULT_LIFE = 7 * 86400.0


def check_staple(response: bytes, leaf: x509.Certificate, issuer: x509.Certificate, now: float) -> float:
    """Until when the leaf is good by ``response``, in seconds since 1970.

    Raises PeerError certificate_revoked or certificate_bad_staple.
    """
    try:
        return _check(ocsp.load_der_ocsp_response(response), leaf, issuer, now)
    except (TypeError, *UNREADABLE) as error:
        raise _bad("an OCSP response", str(error) or "something else") from None


def _check(answer: ocsp.OCSPResponse, leaf: x509.Certificate, issuer: x509.Certificate, now: float) -> float:
    if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise _bad("a successful response", answer.response_status.name.lower())
    single = next((one for one in answer.responses if _about(one, leaf, issuer)), None)
    if single is None:
        raise _bad("a response about the leaf", "about another certificate")
    if not _signed(answer, issuer, now):
        raise _bad("a signature of the issuer or its responder", "another")
    start = single.this_update_utc.timestamp()
    stop = single.next_update_utc.timestamp() if single.next_update_utc else start + DEFAULT_LIFE
    if not start - SKEW <= now <= stop + SKEW:
        raise _bad("a response of now", f"one from {single.this_update_utc:%Y-%m-%d %H:%M}")
    if single.certificate_status is ocsp.OCSPCertStatus.REVOKED:
        when = single.revocation_time_utc
        day = f" on {when:%Y-%m-%d}" if when else ""
        raise PeerError("certificate_revoked", "a good certificate", f"revoked{day}, says the stapled response")
    if single.certificate_status is not ocsp.OCSPCertStatus.GOOD:
        raise _bad("an answer", "unknown")
    return stop


def _about(single: ocsp.OCSPSingleResponse, leaf: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether a single response is about the leaf (RFC 6960 4.1.1)."""
    if single.serial_number != leaf.serial_number:
        return False
    name = single.hash_algorithm.name
    if name not in ("sha1", "sha256", "sha384", "sha512"):
        return False
    return (
        single.issuer_name_hash == hashlib.new(name, issuer.subject.public_bytes()).digest()
        and single.issuer_key_hash == hashlib.new(name, _key_octets(issuer)).digest()
    )


def _key_octets(certificate: x509.Certificate) -> bytes:
    """The BIT STRING of the public key, without tag, length and unused bits (RFC 6960 4.1.1)."""
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    at = _skip_header(spki, 0)
    size = _length(spki, at + 1)
    at = _skip_header(spki, at) + size
    return spki[_skip_header(spki, at) + 1 :]


def _length(der: bytes, at: int) -> int:
    first = der[at]
    return first if first < 0x80 else int.from_bytes(der[at + 1 : at + 1 + (first & 0x7F)], "big")


def _skip_header(der: bytes, at: int) -> int:
    first = der[at + 1]
    return at + 2 + (first & 0x7F if first & 0x80 else 0)


def _signed(answer: ocsp.OCSPResponse, issuer: x509.Certificate, now: float) -> bool:
    """Whether the issuer signed, or a responder it appointed and whose certificate came along."""
    if _verifies(issuer.public_key(), answer):
        return True
    for candidate in answer.certificates[:4]:
        facts = certificate_facts(candidate.public_bytes(Encoding.DER))
        if ExtendedKeyUsageOID.OCSP_SIGNING.dotted_string not in (facts.extended_key_usage or ()):
            continue
        if not candidate.not_valid_before_utc.timestamp() <= now <= candidate.not_valid_after_utc.timestamp():
            continue
        try:
            candidate.verify_directly_issued_by(issuer)
        except (InvalidSignature, ValueError, TypeError):
            continue
        if _verifies(candidate.public_key(), answer):
            return True
    return False


def _verifies(public: Any, answer: ocsp.OCSPResponse) -> bool:
    digest = answer.signature_hash_algorithm
    try:
        if isinstance(public, rsa.RSAPublicKey):
            public.verify(answer.signature, answer.tbs_response_bytes, padding.PKCS1v15(), _strong(digest))
        elif isinstance(public, ec.EllipticCurvePublicKey):
            public.verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(_strong(digest)))
        else:
            public.verify(answer.signature, answer.tbs_response_bytes)
    except (InvalidSignature, TypeError, AttributeError):
        return False
    return True


def _strong(digest: hashes.HashAlgorithm | None) -> hashes.HashAlgorithm:
    if digest is None or digest.name in ("md5", "sha1"):
        raise InvalidSignature
    return digest


def check_crls(path: Sequence[x509.Certificate], crls: Sequence[x509.CertificateRevocationList]) -> None:
    """Refuse a path one of whose certificates its issuer's CRL lists.  Raises PeerError certificate_revoked."""
    for certificate, issuer in pairwise(path):
        for crl in crls:
            if crl.issuer != certificate.issuer:
                continue
            entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
            if entry is not None and crl.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type]
                when = f"{entry.revocation_date_utc:%Y-%m-%d}"
                raise PeerError("certificate_revoked", "a certificate no CRL lists", f"revoked on {when}, says a CRL")


def _bad(expected: str, got: str) -> PeerError:
    return PeerError("certificate_bad_staple", expected, got)
