"""The verdict of ``synfin ca verify``: whom one trusts, everything that is wrong, and how that is told.

``pki.walk`` and ``pki.examine`` judge; here their answers are put in one list, each problem with the certificate it is
about and the violation a TLS peer would name, and with words that fit a file instead of a connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from synfin.cli import ca_words
from synfin.errors import UsageError
from synfin.pki import revocation
from synfin.pki.examine import Presented, beyond, violation_of
from synfin.pki.walk import PathWalk, walk_path
from synfin.spec.certcheck import Severity
from synfin.spec.certroots import RootSet, pem_certificates
from synfin.views.words import clean, count, listing

if TYPE_CHECKING:
    from synfin.views.paint import Paint

E, W, I = Severity.ERROR, Severity.WARNING, Severity.INFO  # noqa: E741
#: What ``examine.beyond`` finds, in words; revocation is looked into here, for every certificate of the path.
_BEYOND: dict[str, tuple[Severity, str]] = {
    "key_mismatch": (E, "the private key belongs to another certificate"),
    "expired_root": (E, "the trusted root has expired"),
    "root_sent": (I, "the root was sent along; clients have it, or do not trust it anyway"),
    "duplicate_serial": (I, "another certificate has its serial number"),
    "uncommon_key": (I, "browsers verify no signatures by such a key"),
    "long_chain": (W, "the chain is longer than small TLS libraries take"),
    "huge": (W, "the certificates are larger than OpenSSL takes unless it is told"),
}


#: Where ``spec.certcheck`` names the certificate that is drawn right above anyway.
_SHORT = {
    "missing_intermediate": "its issuer, {issuer}, was not sent",
    "unknown_issuer": "its issuer, {issuer}, was not sent and is not a trusted root",
    "unknown_root": "a root that is not trusted here",
    "bad_signature": "its signature was not made by the key of {issuer}",
}


#: What a trusted root that was not sent can have against what is below it.
_OF_ROOTS = frozenset({"path_length", "name_constraints"})
_SOURCES = {"ocsp": "OCSP response", "crl": "CRL", "": "the certificate itself"}


@dataclass(frozen=True, slots=True)
class Trust:
    """The roots one trusts, and the CRLs that come with them (DER), and where both are from."""

    roots: tuple[bytes, ...]
    crls: tuple[bytes, ...]
    told: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be judged."""

    chain: tuple[bytes, ...]
    name: str | None
    now: datetime
    at: bool  # the time was given
    roots: Trust
    key: Path | None
    stapled: bytes | None
    crls: tuple[Path, ...]
    purpose: str


@dataclass(frozen=True, slots=True)
class Wrong:
    """One problem: ``place`` in the chain (-1: the trusted root), the violation a peer names ("": none)."""

    name: str
    severity: Severity
    place: int
    sentence: str

    @property
    def violation(self) -> str:
        """As in ``spec.violations``."""
        return violation_of(self.name)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The walk, all that is wrong (gravest first), and what is known of revocation."""

    asked: Asked
    walk: PathWalk
    wrong: tuple[Wrong, ...]
    revocation: str

    @property
    def code(self) -> int:
        """The exit code."""
        return 1 if any(one.severity >= Severity.WARNING for one in self.wrong) or not self.walk.verdict.trusted else 0


def trusted(given: list[str], ca: Path) -> Trust:
    """The roots: those given, else the CA's, else the system's."""
    from synfin.cli.ca_common import DEFAULT
    from synfin.cli.files import read

    if not given and (ca != DEFAULT or (ca / "root").is_dir()):
        return _of_ca(ca)
    found: list[bytes] = []
    told = []
    for one in given or ["system"]:
        path = _system() if one == "system" else Path(one)
        ders = pem_certificates(read(path, "--trust"))
        if not ders:
            raise UsageError(f"--trust {one}: no certificate in PEM in it")
        found += ders
        told.append(f"{path} ({count(len(ders), 'root')})" if len(ders) > 1 else str(path))
    return Trust(tuple(found), (), listing(told))


def _system() -> Path:
    from synfin.drive.bundle import system_bundle

    found = system_bundle()
    if found is None:
        raise UsageError("this system has no file of trusted roots where they usually are: name one with --trust FILE")
    return found


def _of_ca(folder: Path) -> Trust:
    from synfin.pki.store import Store

    store = Store(folder)
    crls: list[bytes] = []
    for name in store.authorities():
        path = folder / name / "crl.pem"
        if path.exists():
            crls += _crls(path)
    return Trust((store.certificate(),), tuple(crls), f"{folder}/root/certificate.pem")


def _crls(path: Path) -> tuple[bytes, ...]:
    """The CRLs in a file, DER."""
    from synfin.cli.files import read
    from synfin.pki.revocation import crls_in

    found = crls_in(read(path))
    if not found:
        raise UsageError(f"{path}: no CRL, neither PEM nor DER")
    return found


def response(path: Path) -> bytes:
    """The OCSP response in a file, DER.  UsageError where it holds none."""
    from cryptography.x509 import ocsp

    from synfin.cli.files import read
    from synfin.pki.mint import UNREADABLE

    data = read(path, "--ocsp")
    try:
        ocsp.load_der_ocsp_response(data)
    except UNREADABLE as error:
        raise UsageError(f"--ocsp {path}: no OCSP response in DER") from error
    return data


def judge(asked: Asked) -> Outcome:
    """Everything that is wrong, in one list."""
    from synfin.cli.files import read
    from synfin.pki.keys import load_key

    key = load_key(read(asked.key, "--key"), where=f"--key {asked.key}") if asked.key is not None else None
    crls = (*asked.roots.crls, *(der for path in asked.crls for der in _crls(path)))
    walk = walk_path(
        asked.chain,
        asked.name,
        asked.now,
        asked.roots.roots,
        purpose=asked.purpose,
        stapled=True if asked.stapled is not None else None,
    )
    wrong = [_said(problem.name, problem.index, asked, dict(problem.data)) for problem in walk.verdict.problems]
    shown = Presented(asked.chain, key, asked.name, asked.roots.roots, stapled=asked.stapled, purpose=asked.purpose)
    known = {one.name for one in wrong}
    for found in beyond(shown, asked.now):
        if found in _BEYOND and found not in known:
            severity, sentence = _BEYOND[found]
            wrong.append(Wrong(found, severity, -1 if found == "expired_root" else 0, sentence))
    standing = [
        f"{clean(walk.verdict.certificates[place].label)}: {told}"
        for place, told in _standings(walk, asked, crls, wrong)
    ]
    wrong.sort(key=lambda one: -one.severity)
    return Outcome(asked, walk, tuple(wrong), "; ".join(standing))


def _standings(walk: PathWalk, asked: Asked, crls: tuple[bytes, ...], wrong: list[Wrong]) -> Iterator[tuple[int, str]]:
    """What is known of each certificate of the path; adds those revoked, and a staple that does not hold."""
    if not crls and asked.stapled is None:
        return
    path = [walk.verdict.certificates[link.place] for link in walk.links]
    roots = RootSet(asked.roots.roots)
    for step, facts in enumerate(path):
        above = path[step + 1] if step + 1 < len(path) else roots.issuer(facts)
        if above is None or not facts.parsed or facts.self_issued:
            continue
        place = walk.links[step].place
        stapled = asked.stapled if step == 0 else None
        if stapled is not None:
            why = revocation.status(facts.der, above.der, asked.now, stapled=stapled).why
            if why:
                wrong.append(Wrong("bad_staple", E, place, f"the stapled OCSP response does not hold: {why}"))
        found = revocation.status(facts.der, above.der, asked.now, stapled=stapled, crls=crls)
        if found.standing is revocation.Standing.REVOKED:
            day = f" on {found.when:%Y-%m-%d}" if found.when else ""
            wrong.append(Wrong("revoked", E, place, f"revoked{day}: {found.reason}"))
            yield place, f"revoked, says the {_SOURCES[found.source]}"
        elif found.standing is revocation.Standing.GOOD:
            yield place, f"not revoked, says the {_SOURCES[found.source]}"
        elif found.source == "ocsp" or (found.why and "another issuer" not in found.why):
            yield place, f"not known ({_SOURCES[found.source]}: {found.why.removeprefix('it ')})"


def _said(name: str, index: int | None, asked: Asked, data: dict[str, str | int]) -> Wrong:
    """A problem of the chain, in words for a file: about this certificate, at this time."""
    from synfin.spec.certcheck import PROBLEMS

    severity, sentence = PROBLEMS[name]
    sentence = _SHORT.get(name, sentence)
    gone, ahead = ("before then", "after then") if asked.at else ("ago", "from now")
    sentence = sentence.replace("before it was sent", gone).replace("after it was sent", ahead)
    root = index is None and name in _OF_ROOTS
    if sentence.startswith("{who} ") and (root or index is not None):
        sentence = sentence.removeprefix("{who} ")
    return Wrong(name, severity, -1 if root else index or 0, sentence.format_map(data))


# ---------------------------------------------------------------- told


def lines(found: Outcome, file: str, paint: Paint, full: bool) -> Iterator[str]:
    """The path, drawn, and the verdict."""
    asked = found.asked
    who = f" for {clean(asked.name)}" if asked.name else ""
    when = f", at {asked.now:%Y-%m-%d %H:%M:%S} UTC" if asked.at else ""
    what = "standard input" if file == "-" else clean(file)
    yield paint("title", f"{what}{who}{when}")
    yield paint("dim", f"trusting {asked.roots.told}")
    yield ""
    trouble: dict[int, list[tuple[bool, str]]] = {}
    places = {link.place for link in found.walk.links} | {-1}
    for one in found.wrong:
        if one.severity is not I or full:
            trouble.setdefault(one.place if one.place in places else 0, []).append((one.severity is E, one.sentence))
    yield from ca_words.path(found.walk, trouble, asked.now, paint, full)
    yield ""
    if found.revocation:
        old = asked.roots.crls and "CRL: is out of date" in found.revocation
        yield f"revocation: {found.revocation}{'; synfin ca crl makes fresh ones' if old else ''}"
    notes = [one for one in found.wrong if one.severity is I]
    for one in notes if not full else []:
        yield paint("dim", f"note: {one.name.replace('_', ' ')}: {clean(one.sentence)}")
    leaf = found.walk.verdict.certificates[0]
    if leaf.must_staple and asked.stapled is None:
        yield paint("dim", "note: it demands a stapled OCSP response; --ocsp FILE checks one")
    yield _verdict(found, paint)


def _verdict(found: Outcome, paint: Paint) -> str:
    kind = "server" if found.asked.purpose == "client" else "client"
    errors = [one for one in found.wrong if one.severity is E]
    warnings = [one for one in found.wrong if one.severity is W]
    if errors or not found.walk.verdict.trusted:
        names = list(dict.fromkeys(one.violation or one.name for one in errors)) or ["it ends in no trusted root"]
        return f"{paint('bad', 'refused')}: {', '.join(names)}"
    if warnings:
        names = list(dict.fromkeys(one.violation or one.name for one in warnings))
        return f"{paint('warn', 'doubtful')}: some {kind}s refuse it: {', '.join(names)}"
    root = clean(found.walk.anchor.label) if found.walk.anchor else "the root"
    whom = f" as {clean(found.asked.name)}" if found.asked.name else ""
    unasked = "" if found.asked.name or kind == "server" else "; no name was checked, --name HOST does"
    return f"{paint('good', 'holds')}: a {kind} that trusts {root} accepts it{whom}{unasked}"


def as_json(found: Outcome, file: str) -> dict[str, object]:
    """The outcome as one object."""
    walk = found.walk
    steps = []
    for link in walk.links:
        facts = walk.verdict.certificates[link.place]
        steps.append(
            {
                "place": link.place,
                "subject": facts.subject_text,
                "sha256": facts.sha256,
                "not_after": facts.not_after_text,
                "key": facts.key_text,
                "signed_by": link.signer or None,
                "algorithm": link.algorithm,
                "covers": list(link.covers),
                "octets": link.covered_octets,
                "digest": {"algorithm": link.digest_name, "value": link.digest.hex()} if link.digest else None,
                "holds": link.holds,
                "why": link.why,
            }
        )
    wrong = [
        {
            "name": one.name,
            "severity": one.severity.name.lower(),
            "violation": one.violation or None,
            "place": one.place if one.place >= 0 else None,
            "sentence": one.sentence,
        }
        for one in found.wrong
    ]
    return {
        "file": file,
        "name": found.asked.name,
        "time": found.asked.now.isoformat(),
        "trust": found.asked.roots.told,
        "holds": found.code == 0,
        "trusted": walk.verdict.trusted,
        "anchor": walk.anchor.subject_text if walk.anchor else None,
        "path": steps,
        "problems": wrong,
        "revocation": found.revocation or None,
    }
