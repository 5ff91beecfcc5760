"""How ``synfin ca`` draws what ``pki`` did: certificates, the walk of issuing, the walk of verifying.

Each function gives lines; nothing is printed here.  Octets are shown short unless every step is wanted (``full``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from synfin.views.words import clean, count, shorten

if TYPE_CHECKING:
    from synfin.pki.walk import IssueWalk, Link, PathWalk
    from synfin.spec.certificates import CertificateFacts
    from synfin.views.paint import Paint

#: Where the right-hand column of "what   value" lines starts.
LEFT = 13


def line(what: str, value: str, paint: Paint) -> str:
    """``what   value``."""
    return f"{paint('dim', f'{what:{LEFT - 1}}')} {value}"


def span(length: timedelta) -> str:
    """A stretch of time in the unit people would use."""
    seconds = abs(int(length.total_seconds()))
    if seconds >= 3 * 365 * 86400:
        return count(round(seconds / (365.25 * 86400)), "year")
    if seconds >= 2 * 86400:
        return count(seconds // 86400, "day")
    if seconds >= 2 * 3600:
        return count(seconds // 3600, "hour")
    return count(seconds // 60, "minute") if seconds >= 120 else count(seconds, "second")


def left(not_after: str, now: datetime) -> str:
    """``46 days left`` or ``expired 3 days ago``, for an ISO 8601 time; "" where there is none."""
    if not not_after:
        return ""
    rest = datetime.fromisoformat(not_after) - now
    return f"{span(rest)} left" if rest > timedelta() else f"expired {span(rest)} ago"


def fingerprint(hexadecimal: str) -> str:
    """``AB:CD:...`` as browsers and openssl show it."""
    return ":".join(hexadecimal[at : at + 2] for at in range(0, len(hexadecimal), 2)).upper()


def names_of(facts: CertificateFacts) -> tuple[str, ...]:
    """All names and addresses of a certificate, international ones as people read them beside their A-labels."""
    found = [*facts.hosts, *(value for _, value in facts.san_other)]
    return tuple(map(_both, found))


def _both(name: str) -> str:
    """``xn--bcher-kva.example (bücher.example)``."""
    from synfin.spec.certnames import u_label

    return clean(f"{name} ({u_label(name)})" if u_label(name) != name else name)


def _hash(name: str) -> str:
    """``SHA-256`` for ``sha256``."""
    return name.upper().replace("SHA", "SHA-", 1) if name.startswith("sha") and "-" not in name else name.upper()


# ---------------------------------------------------------------- one certificate


def certificate(facts: CertificateFacts, now: datetime, paint: Paint, status: str = "") -> Iterator[str]:
    """A certificate in people's words."""
    if not facts.parsed:
        yield f"cannot be read: {clean(facts.why)}"
        return
    yield paint("title", clean(facts.label))
    names = names_of(facts)
    if names:
        yield line("names", ", ".join(names), paint)
    yield line("subject", clean(facts.subject_text) or "(empty)", paint)
    issuer = "itself: it is a root" if facts.self_issued else clean(facts.issuer_text)
    yield line("issued by", issuer, paint)
    if facts.not_before is not None and facts.not_after is not None:
        start, end = (datetime.fromisoformat(text) for text in (facts.not_before_text, facts.not_after_text))
        told = f"{facts.not_before_text} to {facts.not_after_text}"
        rest = f"starts in {span(start - now)}" if now < start else left(facts.not_after_text, now)
        yield line("valid", f"{told} ({span(end - start)}; {rest})", paint)
    yield line("key", facts.key_text, paint)
    yield line("may", _may(facts), paint)
    for what, trees in (("only for", facts.permitted), ("never for", facts.excluded)):
        if trees:
            yield line(what, ", ".join(clean(tree.value) or "any host" for tree in trees), paint)
    if facts.must_staple:
        yield line("demands", "a stapled OCSP response (must-staple)", paint)
    for what, urls in (("OCSP", facts.ocsp), ("issuer at", facts.ca_issuers)):
        if urls:
            yield line(what, ", ".join(map(clean, urls)), paint)
    yield line("serial", facts.serial_hex, paint)
    yield line("signed with", facts.sig_name, paint)
    yield line("SHA-256", fingerprint(facts.sha256), paint)
    if status:
        yield line("status", status, paint)
    for problem in facts.problems:
        yield line("but", paint("warn", clean(problem)), paint)


def _may(facts: CertificateFacts) -> str:
    """What its owner may do with it."""
    may = []
    if facts.is_ca:
        below = "" if facts.path_length is None else ", but to no other CA"
        if facts.path_length:
            below = f", with at most {count(facts.path_length, 'CA')} below"
        may.append(f"issue certificates{below}")
    words = {"serverAuth": "be a TLS server", "clientAuth": "be a TLS client", "OCSPSigning": "answer OCSP requests"}
    if not facts.is_ca:
        may += [words.get(usage, usage) for usage in facts.usage_names]
    return " and ".join(may) or "anything"


# ---------------------------------------------------------------- issuing


def issued(walk: IssueWalk, paint: Paint, full: bool) -> Iterator[str]:
    """The classic walk: applicant, checks, digest, signature (then the caller says where the certificate is)."""
    identity = ", ".join(map(_both, walk.identity))
    yield line("applicant", f"{identity}; key {walk.applicant_key}, SHA-256 {walk.key_id[:16]}…", paint)
    if full:
        from synfin.spec.certificates import certificate_facts

        yield from hexadecimal("public key, as SubjectPublicKeyInfo", certificate_facts(walk.certificate).spki, paint)
        yield from hexadecimal("request (PKCS#10): names and key, signed with that key", walk.request, paint)
    issuer = clean(walk.issuer)
    yield line("CA", f"{issuer}: {count(len(walk.checks), 'check')}, all hold", paint)
    if full:
        width = max(len(check.name) for check in walk.checks)
        for check in walk.checks:
            yield f"{'':{LEFT}}{paint('good', 'holds')}  {check.name:{width}}  {paint('dim', clean(check.seen))}"
        yield from hexadecimal("what the CA vouches for (tbsCertificate)", walk.tbs, paint)
    if walk.digest:
        shown = walk.digest.hex() if full else f"{walk.digest.hex()[:16]}…"
        told = f"{_hash(walk.digest_name)} of the {len(walk.tbs):,} octets to be signed"
        yield line("digest", f"{told}: {shown}", paint)
    else:
        yield line("digest", f"none of its own: the signature hashes the {len(walk.tbs):,} octets inside", paint)
    yield line(
        "signature", f"{walk.algorithm}, {count(len(walk.signature), 'octet')}, with the CA's private key", paint
    )
    if full:
        yield from hexadecimal("signature", walk.signature, paint)
        size = len(walk.certificate)
        yield f"{'':{LEFT}}certificate = to be signed + algorithm + signature = {size:,} octets (DER)"


def hexadecimal(what: str, data: bytes, paint: Paint) -> Iterator[str]:
    """Octets, 32 on a line, under what they are."""
    yield f"{'':{LEFT}}{what}, {count(len(data), 'octet')}:"
    for at in range(0, len(data), 32):
        yield f"{'':{LEFT}}{paint('dim', data[at : at + 32].hex(' ', -4))}"


# ---------------------------------------------------------------- verifying


def path(
    walk: PathWalk, trouble: dict[int, list[tuple[bool, str]]], now: datetime, paint: Paint, full: bool
) -> Iterator[str]:
    """From the leaf up to the root: who each is, what its signature covers, whose key verifies it, what is wrong.

    ``trouble`` holds what is wrong by place in the chain: whether it is grave, and the sentence; -1 is the anchor.
    """
    for step, link in enumerate(walk.links):
        facts = walk.verdict.certificates[link.place]
        who = clean(link.subject) or f"certificate {link.place + 1}"
        yield f"  {paint('bold', who)}  {paint('dim', _aside(facts, now))}"
        for grave, sentence in trouble.get(link.place, []):
            yield f"  │   {paint('bad' if grave else 'warn', ('× ' if grave else '! ') + clean(sentence))}"
        if facts.self_issued and link.holds and step == len(walk.links) - 1 and walk.anchor is not None:
            continue
        yield from (f"  │ {text}" for text in _link(link, paint, full))
    if walk.anchor is not None and not (walk.links and _same(walk, walk.anchor)):
        yield f"  {paint('bold', clean(walk.anchor.label))}  {paint('dim', _aside(walk.anchor, now))}"
    for grave, sentence in trouble.get(-1, []):
        yield f"      {paint('bad' if grave else 'warn', ('× ' if grave else '! ') + clean(sentence))}"
    if walk.anchor is not None:
        yield f"  {paint('good', '●')} a root that is trusted here"
    elif walk.links:
        yield f"  {paint('bad', '×')} no trusted root"


def _same(walk: PathWalk, anchor: CertificateFacts) -> bool:
    top = walk.verdict.certificates[walk.links[-1].place]
    return top.spki == anchor.spki and top.subject_der == anchor.subject_der


def _aside(facts: CertificateFacts, now: datetime) -> str:
    if not facts.parsed:
        return "cannot be read"
    return ", ".join(filter(None, (facts.key_text, left(facts.not_after_text, now))))


def _link(link: Link, paint: Paint, full: bool) -> Iterator[str]:
    """What one signature covers and whether it holds."""
    if not link.covered_octets:
        return
    mark = {True: paint("good", "holds"), False: paint("bad", "does not hold"), None: paint("warn", "not judged")}[
        link.holds
    ]
    by = f" by {'itself' if link.signer == link.subject else clean(link.signer)}" if link.signer else ""
    covered = f"{link.covered_octets:,} octets"
    yield f"signed{by}: {link.algorithm} over {covered}: {mark}"
    if full or not link.holds:
        yield paint("dim", f"  {clean(link.why)}")
    if full:
        yield paint("dim", f"  covers {', '.join(link.covers)}")
        if link.digest:
            yield paint("dim", f"  {_hash(link.digest_name)} of it: {link.digest.hex()}")
        if link.signer_key:
            yield paint("dim", f"  verified with the key of {clean(link.signer)}: {link.signer_key}")


# ---------------------------------------------------------------- tables


def table(rows: Iterable[tuple[str, ...]], paint: Paint, room: int | None = None) -> Iterator[str]:
    """Columns as wide as needed; the first row is the head."""
    every = [tuple(map(clean, row)) for row in rows]
    widths = [max(len(row[column]) for row in every) for column in range(len(every[0]))]
    for number, row in enumerate(every):
        text = "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        text = shorten(text, room) if room else text
        yield paint("dim", text) if number == 0 else text
