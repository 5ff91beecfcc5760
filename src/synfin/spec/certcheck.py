"""What is wrong with a chain of certificates: for a name, at a time, for a purpose (RFC 5280 6, RFC 9525).

Every problem is named, says which certificate it is about and carries what a sentence about it needs.  Severity says
what clients make of it: ERROR, they refuse; WARNING, some refuse; INFO, worth knowing.  Nothing is hidden behind the
first problem: all are listed, the gravest first.

Trust is a question of its own.  With a ``RootSet`` it is answered; without one only what the chain itself proves is
said (the leaf is self-signed, the leaf's issuer was not sent) and the rest is "not judged".  The time is the
capture's: whoever judges an old capture by today's clock finds only expired certificates.
Revocation is not checked here; a policy tree is not built (no client of the web uses one).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from synfin.spec import oids
from synfin.spec.certificates import CertificateFacts, certificate_facts
from synfin.spec.certnames import NameMatch, match_name, outside
from synfin.spec.certroots import RootSet, interception_product
from synfin.spec.distinguished import printable

#: Certificates looked at; more are only counted.
MAX_CHAIN = 32

DAY = 86_400_000_000_000


class Severity(IntEnum):
    """What clients make of a problem."""

    INFO = 0
    WARNING = 1
    ERROR = 2


E, W, I = Severity.ERROR, Severity.WARNING, Severity.INFO  # noqa: E741

#: Every problem: name -> severity, and its sentence, to be filled with the problem's data.
PROBLEMS: dict[str, tuple[Severity, str]] = {
    "unparsable": (E, "{who} cannot be read: {why}"),
    "expired": (E, "{who} expired on {not_after}, {ago} before it was sent"),
    "not_yet_valid": (E, "{who} becomes valid on {not_before}, {ago} after it was sent"),
    "name_mismatch": (E, "{who} is not for {name}: it names {names}"),
    "common_name_only": (W, "{who} names {name} only as common name, without subjectAltName"),
    "wildcard_too_deep": (E, "{who} has a wildcard that stands for one label; {name} is deeper: it names {names}"),
    "self_signed": (E, "{who} is self-signed"),
    "unknown_root": (E, "the chain ends in {who}, a root that is not trusted here"),
    "unknown_issuer": (E, "the issuer of {who}, {issuer}, was not sent and is not a trusted root"),
    "missing_intermediate": (E, "the certificate of {issuer}, which issued {who}, was not sent"),
    "bad_signature": (E, "the signature of {who} was not made by the key of {issuer}"),
    "not_a_ca": (E, "{who} issued another certificate but is not marked as a CA"),
    "no_cert_sign": (E, "{who} issued another certificate but its key usage lacks keyCertSign"),
    "path_length": (E, "{who} allows {allowed} CA certificates below itself, {found} follow"),
    "name_constraints": (E, "{who} may not issue for {name}"),
    "wrong_usage": (E, "{who} is for {usages}, not for {purpose}"),
    "unknown_critical_extension": (E, "{who} has a critical extension nobody here knows: {extension}"),
    "weak_key": (W, "{who} has a weak key: {key}"),
    "weak_signature": (W, "{who} is signed with {hash}, which no longer proves anything"),
    "must_staple": (W, "{who} demands a stapled OCSP response, and none was sent"),
    "wrong_order": (W, "the certificates were not sent in order: {order}"),
    "extra": (I, "{who} is not part of the chain"),
    "root_sent": (I, "{who} is the root itself, which clients have or do not trust anyway"),
    "too_long_life": (I, "{who} is valid for {days} days; certificates of public CAs issued then may live {limit}"),
    "irregular": (I, "{who} breaks RFC 5280: {why}"),
    "too_many": (W, "{count} certificates were sent, only {looked} were looked at"),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong: which certificate, and what a sentence about it needs.

    ``index`` is its place as sent, None for the chain as a whole or for a trusted root above it.
    """

    name: str
    index: int | None
    subject: str
    data: Mapping[str, str | int]

    @property
    def severity(self) -> Severity:
        """What clients make of it."""
        return PROBLEMS[self.name][0]

    @property
    def sentence(self) -> str:
        """The problem for people, without final stop."""
        text = PROBLEMS[self.name][1].format_map(self.data)
        return text[:1].upper() + text[1:]


@dataclass(frozen=True, slots=True)
class ChainVerdict:
    """What was found: ``path`` holds places in ``certificates`` from the leaf upwards.

    ``trusted`` is None where it was not judged; ``anchor`` is the trusted root's subject, or "".
    """

    certificates: tuple[CertificateFacts, ...]
    path: tuple[int, ...]
    problems: tuple[Problem, ...]
    trusted: bool | None
    anchor: str

    @property
    def interception(self) -> str:
        """The TLS-opening product whose name an issuer of the path has, or ""."""
        texts = (self.certificates[index].issuer_text for index in self.path)
        return next((found for text in texts if (found := interception_product(text))), "")

    @property
    def refused(self) -> bool:
        """Whether clients refuse it for what is known."""
        return bool(self.problems) and self.problems[0].severity is Severity.ERROR

    def has(self, name: str, index: int | None = None) -> bool:
        """Whether the problem ``name`` was found, about certificate ``index`` where that is given."""
        return any(p.name == name and (index is None or p.index == index) for p in self.problems)


def check_chain(
    chain: tuple[bytes, ...],
    *,
    name: str | None,
    when_ns: int,
    purpose: str = "server",
    roots: RootSet | None = None,
    stapled: bool | None = None,
) -> ChainVerdict:
    """Judge ``chain`` (DER, as sent, leaf first).

    ``name`` is whom the client asked for (None: no name is checked), ``when_ns`` the time in ns since 1970,
    ``purpose`` what the leaf's owner is, "server" or "client", ``stapled`` whether an OCSP response came along.
    Never raises; an empty chain has no problems and is not judged.
    """
    check = _Check(tuple(certificate_facts(der) for der in chain[:MAX_CHAIN]), when_ns, purpose)
    if not chain:
        return check.verdict(None, "")
    if len(chain) > MAX_CHAIN:
        check.add("too_many", None, count=len(chain), looked=MAX_CHAIN)
    for index, facts in enumerate(check.all):
        if not facts.parsed:
            check.add("unparsable", index, why=facts.why)
        elif facts.problems:
            check.add("irregular", index, why=facts.problems[0])
    if not check.all[0].parsed:
        return check.verdict(None, "")
    anchor = check.build_path(roots)
    trusted = check.trust(roots, anchor)
    check.order()
    for place, index in enumerate(check.path):
        check.certificate(place, index)
    if anchor is not None:
        check.anchor(anchor)
    check.leaf(name, stapled)
    return check.verdict(trusted, anchor.subject_text if anchor else "")


def issued(certificate: CertificateFacts, by: CertificateFacts) -> bool | None:
    """Whether ``by`` issued ``certificate``: False by name or signature, None where only the name can be compared."""
    if certificate.issuer_der != by.subject_der:
        return False
    return certificate.signed_by(by)


class _Check:
    """One judgement under way."""

    def __init__(self, certificates: tuple[CertificateFacts, ...], when: int, purpose: str) -> None:
        self.all = certificates
        self.when = when
        self.purpose = purpose
        self.path: list[int] = []
        self.problems: list[Problem] = []

    def add(self, problem: str, index: int | None, /, **data: str | int) -> None:
        subject = "" if index is None else self.all[index].label
        role = "the certificate" if index is None else self._role(index)
        self.problems.append(Problem(problem, index, subject, {"who": f"{role} {subject}".rstrip(), **data}))

    def _role(self, index: int) -> str:
        facts = self.all[index]
        if index == 0:
            return f"the {self.purpose} certificate"
        if not facts.parsed:
            return f"certificate {index + 1}"
        return "the root certificate" if facts.self_issued else "the intermediate certificate"

    def verdict(self, trusted: bool | None, anchor: str) -> ChainVerdict:
        self.problems.sort(key=lambda problem: -problem.severity)
        return ChainVerdict(self.all, tuple(self.path), tuple(self.problems), trusted, anchor)

    def build_path(self, roots: RootSet | None) -> CertificateFacts | None:
        """From the leaf up through what was sent, to the first trusted root; returns that root."""
        at = 0
        self.path.append(at)
        rest = [index for index in range(1, len(self.all)) if self.all[index].parsed]
        while True:
            facts = self.all[at]
            if roots is not None:
                if roots.has(facts) and (at or facts.self_issued):
                    return facts
                if not facts.self_issued and (root := roots.issuer(facts)):
                    return root
            if facts.self_signed:
                return None
            candidates = [(index, issued(facts, self.all[index])) for index in rest]
            step = next((i for i, fits in candidates if fits), None)
            if step is None:
                step = next((i for i, fits in candidates if fits is None), None)
            if step is None:
                named = [i for i in rest if self.all[i].subject_der == facts.issuer_der]
                if not named:
                    root = None if roots is None else roots.claimed(facts)
                    if root is not None:
                        self.add("bad_signature", at, issuer=root.subject_text)
                    return root
                step = named[0]
                self.add("bad_signature", at, issuer=self.all[step].subject_text)
            rest.remove(step)
            self.path.append(step)
            at = step

    def trust(self, roots: RootSet | None, anchor: CertificateFacts | None) -> bool | None:
        """Whether the path ends in a trusted root; says why not."""
        top_index = self.path[-1]
        top = self.all[top_index]
        if anchor is not None:
            if len(self.path) > 1 and top.self_issued:
                self.add("root_sent", top_index)
            return not any(problem.name == "bad_signature" for problem in self.problems)
        if top.self_issued:
            if top_index == 0:
                self.add("self_signed", 0)
                return False
            if roots is not None:
                self.add("unknown_root", top_index)
                return False
            self.add("root_sent", top_index)
            return None
        if len(self.path) == 1 and (top.ca_issuers or roots is not None):
            self.add("missing_intermediate" if top.ca_issuers else "unknown_issuer", 0, issuer=top.issuer_text)
        elif roots is not None:
            self.add("unknown_issuer", top_index, issuer=top.issuer_text)
        return False if roots is not None else None

    def order(self) -> None:
        """The order of sending (RFC 5246 7.4.2 demands it, RFC 8446 4.4.2 asks for it) and what is not needed."""
        if self.path != sorted(self.path):
            order = ", ".join(str(index + 1) for index in self.path)
            self.add("wrong_order", None, order=f"the chain runs through places {order}")
        first = self.all[0]
        if first.is_ca and not first.self_issued:
            own = next((i for i, c in enumerate(self.all) if i and c.parsed and not c.is_ca and issued(c, first)), None)
            if own is not None:
                self.add("wrong_order", own, order=f"{self.all[own].label} stands at place {own + 1}, after its issuer")
        beyond = {
            self.all[self.path[-1]].issuer_der
        }  # a trusted root may end the path early, as with cross-signed roots
        for index in range(1, len(self.all)):
            facts = self.all[index]
            if index in self.path or not facts.parsed:
                continue
            if facts.subject_der in beyond:
                beyond.add(facts.issuer_der)
            else:
                self.add("extra", index)

    def certificate(self, place: int, index: int) -> None:
        """Checks for each certificate of the path."""
        facts = self.all[index]
        if facts.not_after is not None and self.when > facts.not_after:
            ago = _days(self.when - facts.not_after)
            self.add("expired", index, not_after=facts.not_after_text, ago=ago)
        if facts.not_before is not None and self.when < facts.not_before:
            ago = _days(facts.not_before - self.when)
            self.add("not_yet_valid", index, not_before=facts.not_before_text, ago=ago)
        if weak_key(facts):
            self.add("weak_key", index, key=facts.key_text)
        if facts.hash in WEAK_HASHES and not facts.self_issued:
            self.add("weak_signature", index, hash=facts.sig_name)
        for extension in facts.extensions:
            if extension.critical and extension.oid not in oids.EXTENSIONS:
                self.add("unknown_critical_extension", index, extension=extension.oid)
        self._usage(place, index, facts)
        if place:
            self._issuer(place, index, facts)

    def anchor(self, root: CertificateFacts) -> None:
        """What a trusted root that was not sent allows below itself (RFC 5937), as all web clients hold it."""
        top = self.all[self.path[-1]]
        if (root.spki, root.subject_der) != (top.spki, top.subject_der):
            self._below(root, len(self.path), None, f"the trusted root {root.label}")

    def _usage(self, place: int, index: int, facts: CertificateFacts) -> None:
        """Extended key usage binds issuers too, as all web clients read it (RFC 5280 4.2.1.12 leaves it open)."""
        needed = oids.SERVER_AUTH if self.purpose == "server" else oids.CLIENT_AUTH
        purpose = "TLS servers" if self.purpose == "server" else "TLS clients"
        usages = facts.extended_key_usage
        root = place > 0 and facts.self_issued
        if usages is not None and not root and not {needed, oids.ANY_USAGE} & set(usages):
            self.add("wrong_usage", index, usages=", ".join(facts.usage_names) or "nothing", purpose=purpose)
        elif place == 0 and facts.key_usage is not None and not _LEAF_USAGES & set(facts.key_usage):
            self.add("wrong_usage", index, usages=", ".join(facts.key_usage) or "nothing", purpose=purpose)

    def _issuer(self, place: int, index: int, facts: CertificateFacts) -> None:
        if facts.is_ca is not True and not (facts.version < 3 and facts.self_issued):
            self.add("not_a_ca", index)
        elif facts.key_usage is not None and "keyCertSign" not in facts.key_usage:
            self.add("no_cert_sign", index)
        self._below(facts, place, index)

    def _below(self, issuer: CertificateFacts, place: int, index: int | None, who: str = "") -> None:
        """Path length and name constraints of ``issuer``, over the certificates below ``place`` (RFC 5280 6.1.4)."""
        below = [self.all[i] for i in self.path[:place]]
        named = {"who": who} if who else {}
        if issuer.path_length is not None:
            found = sum(not c.self_issued for c in below[1:])
            if found > issuer.path_length:
                self.add("path_length", index, allowed=issuer.path_length, found=found, **named)
        if issuer.permitted or issuer.excluded:
            forbidden = next(filter(None, (outside(c, issuer.permitted, issuer.excluded) for c in below)), "")
            if forbidden:
                self.add("name_constraints", index, name=printable(forbidden), **named)

    def leaf(self, name: str | None, stapled: bool | None) -> None:
        """Checks for the leaf alone."""
        facts = self.all[0]
        if name:
            match = match_name(facts, name)
            if match is NameMatch.COMMON_NAME_ONLY:
                self.add("common_name_only", 0, name=printable(name))
            elif match is not NameMatch.MATCH:
                deep = match is NameMatch.WILDCARD_TOO_DEEP
                self.add(
                    "wildcard_too_deep" if deep else "name_mismatch", 0, name=printable(name), names=names_text(facts)
                )
        if facts.must_staple and stapled is False:
            self.add("must_staple", 0)
        if (
            self.purpose == "server"
            and not (facts.self_issued or facts.is_ca)
            and facts.not_before is not None
            and facts.not_after
        ):
            days = (facts.not_after - facts.not_before) // DAY
            limit = next((most for since, most in _LIFE if facts.not_before >= since), None)
            if limit is not None and days > limit:
                self.add("too_long_life", 0, days=days, limit=limit)


WEAK_HASHES = frozenset({"md2", "md4", "md5", "sha1"})

_LEAF_USAGES = frozenset({"digitalSignature", "keyEncipherment", "keyAgreement"})

#: Longest life in days by time of issuance, newest first (CA/Browser Forum, TLS baseline requirements 6.3.2).
_LIFE = tuple(
    (day * DAY, most) for day, most in ((21_623, 47), (20_892, 100), (20_527, 200), (18_506, 398), (17_591, 825))
)


def weak_key(facts: CertificateFacts) -> bool:
    """RSA or DSA below 2048 bits, or an elliptic curve below 256 (CA/Browser Forum baseline requirements 6.1.5)."""
    kind, bits = facts.key
    if bits is None:
        return False
    return bits < 2048 if kind in ("rsa", "dsa", "dh") else kind.startswith("ec:") and bits < 256


def names_text(facts: CertificateFacts, most: int = 5) -> str:
    """The names a certificate is for, as text."""
    names = facts.hosts or ((facts.cn,) if facts.cn else ())
    if not names:
        return "nobody"
    return ", ".join(map(printable, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")


def _days(ns: int) -> str:
    """A time in days, hours or minutes where there are at least two of them, else in seconds."""
    seconds = ns // 1_000_000_000
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"
