"""Whether a peer's certificate is good: a callable that raises PeerError, and the one that is used by default.

The decision is ``cryptography``'s path verification (RFC 5280 6, with the web's profile) including the name; the
diagnosis is ``spec.certcheck``'s, which names the certificate and the rule.  A good answer is remembered for the same
chain, name and purpose for as long as every certificate of the path stays valid; a bad one never is.  Accepting any
certificate takes a callable that says so by its name.

Path verification looks little at the leaf and wants a CA above it.  So what clients refuse in any leaf is refused too
(a wildcard too deep, a usage that does not fit, a weak key), and a self-signed leaf that is itself among the roots
is accepted when nothing else is wrong with it, as OpenSSL and curl do: somebody trusts it by name.

A stapled OCSP response must be good, CRLs that were given count (``revocation``), and a certificate that demands a
staple (RFC 7633) is refused without one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address
from typing import Protocol

from cryptography import x509
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

from synfin.errors import PeerError
from synfin.spec.certcheck import MAX_CHAIN, ChainVerdict, Severity, check_chain
from synfin.spec.certificates import certificate_facts
from synfin.spec.certroots import RootSet
from synfin.spec.signatures import SMALL
from synfin.spec.violations import VIOLATIONS
from synfin.tls.revocation import check_crls, check_staple
from synfin.tls.signing import UNREADABLE, parse_certificate
from synfin.wire.frozen import quick

#: Problems of a leaf that depend neither on the path above it nor on time.
_OF_LEAVES = frozenset({"name_mismatch", "wildcard_too_deep", "wrong_usage", "weak_key"})
#: A client's certificate may name its holder by the subject alone (RFC 5280 4.1.2.6, 4.2.1.6), and many do.
_CA = ExtensionPolicy.webpki_defaults_ca()
_CLIENT = ExtensionPolicy.webpki_defaults_ee().may_be_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)


@quick
@dataclass(frozen=True, slots=True)
class Presented:
    """What a peer presented: its chain (DER, leaf first), the name asked for, when, and what came with the leaf.

    ``purpose`` is what the peer is: "server" or "client"; ``name`` is None for clients.  ``now`` in seconds since 1970.
    """

    chain: tuple[bytes, ...]
    name: str | None
    purpose: str
    now: float
    stapled: bytes | None = None


class Verifier(Protocol):
    """Judges a chain: returns when it is good, raises PeerError with a certificate violation when it is not."""

    def __call__(self, presented: Presented) -> None:
        """Judge."""


def accept_any_certificate(presented: Presented) -> None:
    """Accept everything: for tests and lessons, where the peer is known by other means."""


class PathVerifier:
    """Verifies paths to ``roots`` (DER certificates), with ``crls`` (DER) where there are any.

    One object serves any number of connections.  ValueError for unusable CRLs and when there is no root.
    """

    __slots__ = ("_crls", "_good", "_policy", "_set", "_timed")

    def __init__(self, roots: Iterable[bytes], crls: Iterable[bytes] = ()) -> None:
        ders = tuple(roots)
        certificates = [parse_certificate(der) for der in ders]
        if not certificates:
            raise ValueError("no root certificates: nothing could ever be verified")
        self._policy = PolicyBuilder().store(Store(certificates))
        self._timed: tuple[int, PolicyBuilder] | None = None
        self._set = RootSet(ders)
        self._crls = tuple(x509.load_der_x509_crl(der) for der in crls)
        self._good: OrderedDict[tuple[object, ...], tuple[float, float]] = OrderedDict()

    def __call__(self, presented: Presented) -> None:
        """Judge; see ``Verifier``."""
        key = (presented.chain, presented.name, presented.purpose, presented.stapled)
        known = self._good.get(key)
        if known is not None and known[0] <= presented.now <= known[1]:
            return
        path = self._path(presented)
        look = _wrong_leaf if len(presented.chain[0]) <= SMALL else _wrong_leaf.__wrapped__
        wrong = look(presented.chain[0], presented.name, presented.purpose)
        if wrong is not None:
            raise PeerError(wrong[0], "a certificate that holds", wrong[1])
        if presented.stapled is None and certificate_facts(presented.chain[0]).must_staple:
            raise PeerError("certificate_must_staple", "a stapled OCSP response", "none")
        check_crls(path, self._crls)
        start = max([c.not_valid_before_utc for c in path]).timestamp()
        stop = min([c.not_valid_after_utc for c in path]).timestamp()
        if presented.stapled is not None and len(path) > 1:
            stop = min(stop, check_staple(presented.stapled, path[0], path[1], presented.now))
            start = max(start, presented.now)
        if sum(map(len, presented.chain)) + len(presented.stapled or b"") > 4 * SMALL:
            return  # memory stays bounded by octets too
        self._good[key] = (start, stop)
        while len(self._good) > 512:
            self._good.popitem(last=False)

    def forget(self) -> None:
        """Forget which chains were good."""
        self._good.clear()

    def _path(self, presented: Presented) -> list[x509.Certificate]:
        """From the leaf to a root; PeerError with the best name for what is wrong."""
        leaf, *others = [parse_certificate(der) for der in presented.chain[:MAX_CHAIN]]
        policy = self._policy_at(int(presented.now))
        try:
            if presented.purpose == "client":
                policy = policy.extension_policies(ca_policy=_CA, ee_policy=_CLIENT)
                return policy.build_client_verifier().verify(leaf, others).chain
            if presented.name is None:
                raise PeerError("certificate_name_mismatch", "a name to compare", "none was given")
            return policy.build_server_verifier(_subject(presented.name)).verify(leaf, others)
        except (VerificationError, *UNREADABLE) as error:
            verdict = self._verdict(presented)
            if self._pinned(presented, verdict):
                return [leaf]
            raise self._diagnosis(presented, verdict, str(error)) from None

    def _policy_at(self, second: int) -> PolicyBuilder:
        """The policy at this time, which certificates count in whole seconds too; the last one is kept."""
        if self._timed is None or self._timed[0] != second:
            self._timed = second, self._policy.time(datetime.fromtimestamp(second, UTC))
        return self._timed[1]

    def _verdict(self, presented: Presented) -> ChainVerdict:
        return check_chain(
            presented.chain,
            name=presented.name,
            when_ns=int(presented.now * 1e9),
            purpose=presented.purpose,
            roots=self._set,
            stapled=presented.stapled is not None,
        )

    def _pinned(self, presented: Presented, verdict: ChainVerdict) -> bool:
        """Whether the leaf itself is among the roots, and nothing else is wrong with it."""
        facts = certificate_facts(presented.chain[0])
        return (
            facts.parsed
            and facts.self_signed
            and self._set.has(facts)
            and all(one.name == "self_signed" for one in verdict.problems if one.severity is Severity.ERROR)
        )

    def _diagnosis(self, presented: Presented, verdict: ChainVerdict, told: str) -> PeerError:
        """What is wrong with a chain that was refused: the gravest problem that has a name, else ``told``."""
        for problem in verdict.problems:
            if f"certificate_{problem.name}" in VIOLATIONS:
                return PeerError(f"certificate_{problem.name}", "a certificate that holds", problem.sentence)
        wanted = "a path to a root"
        if "max depth" in told:
            sent = len(presented.chain)
            return PeerError("certificate_too_many", wanted, f"a chain of {sent} certificates is too long")
        if "required EKU" in told:  # RFC 5280 4.2.1.12 lets any usage be too little
            return PeerError(
                "certificate_wrong_usage", f"a usage for TLS {presented.purpose}s", "one for anything only"
            )
        top = verdict.certificates[verdict.path[-1]] if verdict.path else None
        root = self._set.issuer(top) if top is not None else None
        if root is not None and root.not_after is not None and root.not_after < int(presented.now * 1e9):
            why = f"the trusted root {root.label} expired on {root.not_after_text[:10]}"
            return PeerError("certificate_expired", wanted, why)
        return PeerError("certificate_refused", wanted, told)


@lru_cache(maxsize=256)
def _wrong_leaf(der: bytes, name: str | None, purpose: str) -> tuple[str, str] | None:
    """What clients refuse in a leaf whatever the path to it: violation and sentence, None where there is nothing."""
    verdict = check_chain((der,), name=name, when_ns=0, purpose=purpose)
    for problem in verdict.problems:
        if problem.index == 0 and problem.name in _OF_LEAVES:
            return f"certificate_{problem.name}", problem.sentence
    return None


@lru_cache(maxsize=256)
def _subject(name: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
