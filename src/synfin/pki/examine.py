"""Everything that is wrong with what a server presents: the chain, its key, its staple, and what the client knows.

``spec.certcheck`` judges the chain as an observer sees it.  A client, and the person who runs the server, can see more:
whether the private key belongs to the certificate, whether the certificate is revoked, whether the trusted root itself
has run out (RFC 5280 6.1 leaves that open, OpenSSL and browsers refuse), whether a serial number was given twice, and
whether ordinary clients can verify a signature by such a key at all.  These are the names in ``BEYOND``; the others are
those of ``spec.certcheck.PROBLEMS``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from synfin.pki import revocation
from synfin.pki.keys import PrivateKey, spki
from synfin.pki.mint import public_of
from synfin.spec.certcheck import MAX_CHAIN, PROBLEMS, ChainVerdict, check_chain, weak_key
from synfin.spec.certificates import CertificateFacts, certificate_facts
from synfin.spec.certroots import RootSet
from synfin.spec.violations import VIOLATIONS

#: Keys whose signatures every browser verifies in a handshake; others are a matter of luck.
COMMON_KEYS = frozenset({"rsa", "ec:secp256r1", "ec:secp384r1"})

#: The checks made here: name -> the violation the peer of such a server or client meets, or "" where none is met.
BEYOND: Mapping[str, str] = {
    "key_mismatch": "wrong_signature",
    "revoked": "certificate_revoked",
    "bad_staple": "certificate_bad_staple",
    "expired_root": "certificate_expired",
    "duplicate_serial": "",
    "uncommon_key": "no_common_signature",
    "long_chain": "certificate_too_many",
    "huge": "message_too_long",
}

#: Certificates above which small TLS stacks give up (Mbed TLS takes 8 intermediates, wolfSSL 9 certificates).
LONG = 10
#: Octets of certificates above which OpenSSL gives up unless told otherwise (SSL_CTX_set_max_cert_list).
HUGE = 100 * 1024


@dataclass(frozen=True, slots=True)
class Presented:
    """What one end presents, and what the other knows (all DER).

    ``chain`` is as sent, leaf first; ``name`` is whom a client asks for (None for a client certificate, whose name
    nobody asks for); ``seen`` are other certificates met before, among which a serial number must not recur.
    """

    chain: tuple[bytes, ...]
    key: PrivateKey | None  # None where only the chain is at hand
    name: str | None
    roots: tuple[bytes, ...]
    stapled: bytes | None = None
    crls: tuple[bytes, ...] = ()
    seen: tuple[bytes, ...] = ()
    purpose: str = "server"


def examine(presented: Presented, now: datetime) -> tuple[str, ...]:
    """The names of all problems at ``now``, the chain's own first, each once."""
    return tuple(
        dict.fromkeys([*(problem.name for problem in judge(presented, now).problems), *beyond(presented, now)])
    )


def judge(presented: Presented, now: datetime) -> ChainVerdict:
    """What ``spec.certcheck`` says."""
    return check_chain(
        presented.chain,
        name=presented.name,
        when_ns=nanoseconds(now),
        purpose=presented.purpose,
        roots=RootSet(presented.roots),
        stapled=presented.stapled is not None,
    )


def beyond(presented: Presented, now: datetime) -> list[str]:
    """The problems of ``BEYOND`` that are found."""
    found: list[str] = []
    if not presented.chain:
        return found
    leaf = certificate_facts(presented.chain[0])
    if not leaf.parsed:
        return found
    if presented.key is not None and spki(public_of(presented.key)) != leaf.spki:
        found.append("key_mismatch")
    if leaf.key[0] not in COMMON_KEYS and not weak_key(leaf):
        found.append("uncommon_key")
    if any(_same_serial(leaf, certificate_facts(other)) for other in presented.seen):
        found.append("duplicate_serial")
    if LONG < len(presented.chain) <= MAX_CHAIN:
        found.append("long_chain")
    if sum(map(len, presented.chain)) > HUGE:
        found.append("huge")
    roots = RootSet(presented.roots)
    top = certificate_facts(presented.chain[judge(presented, now).path[-1]])
    if any(roots.has(certificate_facts(der)) for der in presented.chain[1:MAX_CHAIN]):
        found.append("root_sent")  # certcheck ends a path below a root it knows
    anchor = top if roots.has(top) else roots.issuer(top)
    if anchor and anchor.not_after is not None and anchor.not_after < nanoseconds(now):
        found.append("expired_root")
    if presented.stapled is not None or presented.crls:
        found += _revocation(presented, roots, now)
    return found


def _same_serial(one: CertificateFacts, other: CertificateFacts) -> bool:
    """Two certificates of one issuer with one number (RFC 5280 4.1.2.2)."""
    return one.der != other.der and (one.serial, one.issuer_der) == (other.serial, other.issuer_der)


def _issuer(certificate: CertificateFacts, presented: Presented, roots: RootSet) -> CertificateFacts | None:
    sent = (certificate_facts(der) for der in presented.chain[1:])
    issued = (c for c in sent if c.subject_der == certificate.issuer_der and certificate.signed_by(c))
    return next(issued, roots.issuer(certificate))


def _revocation(presented: Presented, roots: RootSet, now: datetime) -> list[str]:
    """Revocation of the leaf by staple or CRL, and of those above it by CRL."""
    wrong = []
    for place, der in enumerate(presented.chain[:MAX_CHAIN]):
        issuer = _issuer(certificate_facts(der), presented, roots)
        if issuer is None:
            continue
        stapled = presented.stapled if place == 0 else None
        found = revocation.status(der, issuer.der, now, stapled=stapled, crls=presented.crls)
        if found.standing is revocation.Standing.REVOKED:
            wrong.append("revoked")
        elif stapled is not None and found.source == "ocsp" and found.why:
            wrong.append("bad_staple")
    return wrong


def violation_of(problem: str) -> str:
    """The name in ``spec.violations`` of a problem's effect; "" where clients carry on.  KeyError for no problem."""
    if problem in BEYOND:
        return BEYOND[problem]
    if problem not in PROBLEMS:
        raise KeyError(problem)
    name = f"certificate_{problem}"
    return name if name in VIOLATIONS else ""


def nanoseconds(when: datetime) -> int:
    """ns since 1970, exactly; a time without zone is UTC."""
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
