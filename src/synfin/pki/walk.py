"""The classic walk of a certificate, as data for people: how it is issued, and what each signature of a path proves.

Issuing: the applicant sends a public key and an identity, signed with the private key (PKCS#10, RFC 2986); the CA
checks; what it will vouch for is written down, digested, and the digest signed; all of it together is the certificate.
Schemes that hash inside (EdDSA, ML-DSA) have no digest of their own to show, which the walk says.

Checks read a draft signed with a throwaway key, as public CAs lint before they sign.  Whether the applicant owns the
names is outside: the CA here is its owner's, who says so by asking.

Verifying: ``spec.certcheck`` finds the path and the problems; the walk puts beside each certificate what its signature
covers, by whose key, and whether it holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from synfin.errors import UsageError
from synfin.pki.examine import nanoseconds
from synfin.pki.keys import PrivateKey, PublicKey, signing_hash
from synfin.pki.mint import UNREADABLE, Credential, Order, general_name, mint
from synfin.spec.certcheck import ChainVerdict, check_chain, weak_key
from synfin.spec.certificates import CertificateFacts, certificate_facts
from synfin.spec.certnames import outside
from synfin.spec.certroots import RootSet

#: What the signature of a version 3 certificate covers, in order (RFC 5280 4.1).
COVERED = ("version", "serial number", "algorithm", "issuer", "validity", "subject", "public key", "extensions")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing the CA looked at: whether it held, and what was seen."""

    name: str
    held: bool
    seen: str


@dataclass(frozen=True, slots=True)
class IssueWalk:
    """Every step of issuing one certificate; octets as they are, for whoever draws them.

    ``digest`` is the hash over ``tbs``, b"" with ``digest_name`` "" where the scheme hashes inside.
    """

    request: bytes  # PKCS#10, DER
    applicant_key: str  # EC secp256r1 ...
    key_id: str  # SHA-256 of SubjectPublicKeyInfo, hex
    identity: tuple[str, ...]
    checks: tuple[Check, ...]
    issuer: str
    tbs: bytes
    digest_name: str
    digest: bytes
    algorithm: str
    signature: bytes
    certificate: bytes  # DER


def apply(order: Order, key: PrivateKey) -> bytes:
    """The request (PKCS#10, DER) of an applicant who holds ``key`` and wants the names of ``order``."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(order.subject)
    if order.names:
        names = x509.SubjectAlternativeName([general_name(name) for name in order.names])
        builder = builder.add_extension(names, False)
    return builder.sign(key, signing_hash(key)).public_bytes(Encoding.DER)


def read_request(data: bytes) -> x509.CertificateSigningRequest:
    """The request in ``data``, DER or PEM.  Raises UsageError."""
    try:
        if data.lstrip().startswith(b"-----BEGIN"):
            return x509.load_pem_x509_csr(data)
        return x509.load_der_x509_csr(data)
    except UNREADABLE as error:
        raise UsageError(f"the certificate request cannot be read: {error}") from error


def requested_names(data: bytes) -> tuple[str, ...]:
    """The DNS names and addresses a request asks for.  Raises UsageError where it cannot be read."""
    try:
        names = read_request(data).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    except UNREADABLE as error:
        raise UsageError(f"the certificate request's extensions cannot be read: {error}") from error
    return tuple(str(name.value) for name in names if isinstance(name, x509.DNSName | x509.IPAddress))


def issue(ca: Credential, order: Order, request: bytes, now: datetime, above: Iterable[bytes] = ()) -> IssueWalk:
    """Check ``request`` and fill ``order`` for its key, below ``ca``; ``above`` are the CAs over it (DER).

    Raises UsageError that names the first check that failed; then nothing has been signed with the CA's key.
    """
    public, checks = check_request(ca, order, request, now, above)
    failed = next((check for check in checks if not check.held), None)
    if failed is not None:
        raise UsageError(f"the CA refuses, for a check fails: {failed.name}: {failed.seen}")
    certificate = mint(order, public, ca.key, ca.der)
    facts = certificate_facts(certificate)
    return IssueWalk(
        request,
        facts.key_text,
        hashlib.sha256(facts.spki).hexdigest(),
        order.names or (order.common,),
        checks,
        facts.issuer_text,
        facts.tbs,
        facts.hash,
        digest_of(facts),
        facts.sig_name,
        facts.signature,
        certificate,
    )


def check_request(
    ca: Credential, order: Order, request: bytes, now: datetime, above: Iterable[bytes] = ()
) -> tuple[PublicKey, tuple[Check, ...]]:
    """The applicant's public key and what the CA checks, in order.  Raises UsageError for an unreadable request."""
    csr = read_request(request)
    try:
        public = csr.public_key()
        possession = csr.is_signature_valid
    except UNREADABLE as error:
        raise UsageError(f"the certificate request has a key nobody here knows: {error}") from error
    if not isinstance(public, PublicKey):
        raise UsageError("the certificate request has a key that makes no handshake signatures")
    draft = certificate_facts(mint(order, public, ec.generate_private_key(ec.SECP256R1()), ca.der))
    issuer, when = ca.facts, nanoseconds(now)
    asked = requested_names(request)
    strange = [f"not ordered: {name}" for name in asked if name.lower() not in order.names]
    strange += [f"no client takes {name}" for name in order.names if name.startswith("*.") and name.count(".") == 1]
    bounds = [outside(draft, one.permitted, one.excluded) for one in (issuer, *map(certificate_facts, above))]
    beyond = next(filter(None, bounds), "")
    until = issuer.not_after_text
    return public, (
        Check("proof of possession", possession, f"the request is {'' if possession else 'not '}signed with its key"),
        Check("strength of the key", not weak_key(draft), draft.key_text),
        Check("names", not strange, strange[0] if strange else ", ".join(order.names) or order.common),
        Check("the issuer is a CA", _may_sign(issuer), issuer.subject_text),
        Check("the issuer is valid", _valid(issuer, when), f"{issuer.not_before_text} to {until}"),
        Check(
            "the certificate ends before its issuer",
            draft.not_after is not None and issuer.not_after is not None and draft.not_after <= issuer.not_after,
            f"{draft.not_after_text}, issuer {until}",
        ),
        Check("name constraints", not beyond, f"may not issue for {beyond}" if beyond else "all names are inside"),
        Check(
            "path length",
            not (order.ca and issuer.path_length == 0),
            "no limit" if issuer.path_length is None else f"{issuer.path_length} CAs allowed below",
        ),
        Check("form", not draft.problems, draft.problems[0] if draft.problems else "follows RFC 5280"),
    )


def _may_sign(issuer: CertificateFacts) -> bool:
    return issuer.is_ca is True and (issuer.key_usage is None or "keyCertSign" in issuer.key_usage)


def _valid(facts: CertificateFacts, when: int) -> bool:
    return facts.not_before is not None and facts.not_after is not None and facts.not_before <= when <= facts.not_after


def digest_of(facts: CertificateFacts) -> bytes:
    """The hash over what was signed; b"" where the scheme hashes inside, or its hash is not known here."""
    if facts.hash not in hashlib.algorithms_available:
        return b""
    return hashlib.new(facts.hash, facts.tbs, usedforsecurity=False).digest()


# ---------------------------------------------------------------- verifying


@dataclass(frozen=True, slots=True)
class Link:
    """One certificate of the path: what its signature covers, who made it, and whether it holds.

    ``place`` is that in the chain as sent; ``holds`` is None where nobody can say, and then ``why`` says why.
    """

    place: int
    subject: str
    signer: str  # "" where the issuer is not at hand
    signer_key: str
    covers: tuple[str, ...]
    covered_octets: int
    digest_name: str
    digest: bytes
    algorithm: str
    holds: bool | None
    why: str
    problems: tuple[str, ...]  # sentences


@dataclass(frozen=True, slots=True)
class PathWalk:
    """The path from the leaf upwards, the trusted root it ends in (None: in none), and the verdict on all of it."""

    links: tuple[Link, ...]
    anchor: CertificateFacts | None
    verdict: ChainVerdict


def walk_path(
    chain: tuple[bytes, ...],
    name: str | None,
    now: datetime,
    roots: Iterable[bytes],
    *,
    purpose: str = "server",
    stapled: bool | None = None,
) -> PathWalk:
    """Walk ``chain`` (DER, as sent) to one of ``roots``.  Never raises for what is in the certificates."""
    known = RootSet(roots)
    verdict = check_chain(chain, name=name, when_ns=nanoseconds(now), purpose=purpose, roots=known, stapled=stapled)
    links = []
    path = verdict.path or tuple(range(len(chain)))[:1]  # a leaf that cannot be read is on no path
    for step, place in enumerate(path):
        facts = verdict.certificates[place]
        sent = verdict.certificates[path[step + 1]] if step + 1 < len(path) else None
        above = sent or (facts if facts.self_issued else known.issuer(facts))
        problems = tuple(problem.sentence for problem in verdict.problems if problem.index == place)
        links.append(_link(place, facts, above, problems))
    top = verdict.certificates[path[-1]] if path else None
    anchor = (top if known.has(top) else known.issuer(top)) if top is not None and verdict.anchor else None
    return PathWalk(tuple(links), anchor, verdict)


def _link(place: int, facts: CertificateFacts, above: CertificateFacts | None, problems: tuple[str, ...]) -> Link:
    holds = facts.signed_by(above) if above else None
    if above is None:
        why = f"the certificate of {facts.issuer_text} is not at hand" if facts.parsed else facts.why
    elif holds is None:
        why = f"{facts.sig_name} with a key of {above.key_text} cannot be verified here"
    elif not holds:
        why = f"the key of {above.label} does not verify it: another key made it, or what it covers was changed"
    elif above is facts:
        why = "it vouches for itself only: it is trusted because the client has it, or not at all"
    else:
        why = f"the key of {above.label} verifies it: nothing of what it covers was changed since"
    covers = COVERED if facts.version >= 3 else COVERED[1:-1]
    return Link(
        place,
        facts.label,
        above.label if above else "",
        above.key_text if above else "",
        covers,
        len(facts.tbs),
        facts.hash,
        digest_of(facts),
        facts.sig_name,
        holds,
        why,
        problems,
    )
