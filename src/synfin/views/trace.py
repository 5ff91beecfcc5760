"""A trace as it runs, in lines: one label, one plain statement each, numbers with their units.

Functions of what was measured and negotiated; the run itself is ``drive.trace``'s, what happened on the wire is told
by the other views from its capture.  Text from servers is hostile and goes through ``clean``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from synfin.spec.certcheck import ChainVerdict, Severity
from synfin.spec.certificates import CertificateFacts
from synfin.views.paint import Paint
from synfin.views.words import clean, count, duration, listing, readable, shorten, wrap
from synfin.wire.tls.registry import cipher_name, group_name, signature_name, version_name

#: Cells of the column of labels.
LABEL = 8
_DAY = 86_400_000_000_000
#: Names of a certificate that are listed.
_NAMES = 6
#: What became of our own certificate.
CLIENT_SHOWN = "our certificate was asked for and shown"
CLIENT_KEPT = "our certificate was not shown: the server did not ask, or admits only other issuers"
#: What a second try with a short ClientHello showed.
SHORT_ANSWERED = "a shorter ClientHello, without X25519MLKEM768, is answered: the length of the first is the cause"
SHORT_ALIKE = "a shorter ClientHello, without X25519MLKEM768, ends alike: its length is not the cause"
#: Where there was no second try.
GONE = "a second connection does not come about: the server has gone since"
#: The same after a request in clear.
TLS_ANSWERED = "a ClientHello is answered with TLS: this port wants https://"
TLS_ALIKE = "a ClientHello is not answered with TLS either"
#: The common name within the text of a name (RFC 4514).
_COMMON = re.compile(r"(?:^|, ?)CN=((?:\\.|[^,\\])+)")
#: How the library says that octets are no DER.
_DER = re.compile(r"error parsing asn1 value: ParseError \{ kind: (\w+).*\}", re.IGNORECASE)
#: What Chromium's warning page calls a problem (net/base/net_error_list.h), as it was seen to do with each fault of
#: ``synfin ca faults`` under a private root; ERR_CERT_INVALID where nothing else is said.
_WARNINGS = {
    "expired": "ERR_CERT_DATE_INVALID",
    "not_yet_valid": "ERR_CERT_DATE_INVALID",
    "name_mismatch": "ERR_CERT_COMMON_NAME_INVALID",
    "common_name_only": "ERR_CERT_COMMON_NAME_INVALID",
    "wildcard_too_deep": "ERR_CERT_COMMON_NAME_INVALID",
    "self_signed": "ERR_CERT_AUTHORITY_INVALID",
    "unknown_root": "ERR_CERT_AUTHORITY_INVALID",
    "unknown_issuer": "ERR_CERT_AUTHORITY_INVALID",
    "missing_intermediate": "ERR_CERT_AUTHORITY_INVALID",
    "bad_signature": "ERR_CERT_AUTHORITY_INVALID",
    "revoked": "ERR_CERT_REVOKED",
}
#: What browsers disagree about.
_DIFFER = {
    "revoked_by_crl": "Chromium and Firefox fetch no CRL; they carry lists of public CAs",
    "must_staple": "Chromium wants no stapled response and goes on, Firefox warns",
    "bad_staple": "Chromium leaves a stapled response alone that it cannot use, Firefox warns",
    "weak_key": "Chromium takes RSA keys of 1024 bits and refuses weaker ones",
    "too_many": "each has its own limit for the length of a chain",
    "unparsable": "each has its own mind about certificates that break the rules of DER and RFC 5280",
    "refused": "each has its own mind about certificates that break the rules of DER and RFC 5280",
}


def labelled(label: str, lines: Iterable[str], width: int, paint: Paint, tone: str = "") -> Iterator[str]:
    """``lines`` behind a column with ``label`` on the first."""
    head = paint("bold", label.ljust(LABEL))
    for line in lines:
        for part in wrap(line, max(width - LABEL - 2, 20), 2):
            yield f"  {head}{paint(tone, part)}"
            head = " " * LABEL


def where(address: str, port: int) -> str:
    """An address with its port."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def looked_up(host: str, addresses: Sequence[str], seconds: float, source: str, failed: Sequence[str]) -> str:
    """What the resolver said."""
    if source == "literal":
        return f"{clean(host)} is an address: nothing to look up"
    took = "given on the command line" if source == "given" else f"{source}, {spent(seconds)}"
    if not addresses:
        return f"{clean(host)}: {listing(dict.fromkeys(failed)) or 'no address'} ({took})"
    return f"{clean(host)}: {listing(addresses, 8)} ({took})"


def spent(seconds: float) -> str:
    """A stretch of time."""
    return duration(round(seconds * 1e9))


def shook(
    version: int,
    suite: int,
    group: int | None,
    signature: int | None,
    alpn: bytes | None,
    seconds: float,
    *,
    resumed: bool,
    retried: bool,
) -> str:
    """What TLS agreed on."""
    parts = [version_name(version), cipher_name(suite)]
    if group is not None:
        parts.append(group_name(group))
    if signature is not None:
        parts.append(f"signed {signature_name(signature)}")
    parts.append(f"ALPN {clean(alpn.decode('latin-1'))}" if alpn is not None else "no ALPN")
    if resumed:
        parts.append("resumed")
    if retried:
        parts.append("after a HelloRetryRequest")
    return f"{listing(parts)}; {spent(seconds)}"


# ---------------------------------------------------------------- certificates


def trusted_lines(verdict: ChainVerdict, now_ns: int, source: str, name: str) -> Iterator[str]:
    """A chain that holds: for whom, until when, by whom; and what is still worth knowing."""
    leaf = verdict.certificates[0]
    yield f"{clean(name)}: trusted, {left(leaf, now_ns)}"
    yield f"{path(verdict)} (in {clean(source)})"
    for problem in verdict.problems:
        if problem.severity >= Severity.WARNING:
            yield f"but: {clean(problem.sentence)}"


def untrusted_lines(
    verdict: ChainVerdict, now_ns: int, name: str, violation: str, why: str, *, accepted: bool
) -> Iterator[str]:
    """A chain that does not hold: why, what a browser would say, names and dates, and whether it went on."""
    bare = violation.removeprefix("certificate_")
    problems = [clean(problem.sentence) for problem in verdict.problems if problem.severity >= Severity.WARNING]
    named = next((clean(problem.sentence) for problem in verdict.problems if problem.name == bare), "")
    told = "" if why == "None" else clean(why.partition(" (encountered processing")[0])
    told = re.sub(r"^validation failed: ", "", told, flags=re.IGNORECASE)
    told = _DER.sub(r"the certificate's DER is wrong (\1)", told)
    first = named or told[:1].upper() + told[1:] or (problems[0] if problems else bare.replace("_", " "))
    yield f"NOT TRUSTED: {first}"
    for sentence in problems:
        if sentence != first:
            yield f"also: {sentence}"
    listed = bare == "revoked" and "CRL" in why
    yield _in_a_browser("revoked_by_crl" if listed else bare, verdict.certificates[:1])
    yield f"asked for {clean(name)}"
    for facts in verdict.certificates[:3]:
        yield from _described(facts, now_ns)
    if len(verdict.certificates) > 3:
        yield f"and {count(len(verdict.certificates) - 3, 'more certificate')}"
    if verdict.interception:
        yield f"its issuer looks like {verdict.interception}, which opens TLS on the way"
    yield "went on because of -k" if accepted else "stopped here: nothing was asked (-k goes on anyway)"


def _in_a_browser(bare: str, leaf: Sequence[CertificateFacts]) -> str:
    """What people would see who open the site."""
    usage = leaf[0].key_usage if leaf and bare == "wrong_usage" else None
    if usage is not None and "digitalSignature" not in usage:
        return 'a browser would say "This site can\'t provide a secure connection", ERR_SSL_KEY_USAGE_INCOMPATIBLE'
    if bare in _DIFFER:
        return f"browsers differ: {_DIFFER[bare]}"
    return f'a browser would warn "Your connection is not private", NET::{_WARNINGS.get(bare, "ERR_CERT_INVALID")}'


def _described(facts: CertificateFacts, now_ns: int) -> Iterator[str]:
    if not facts.parsed:
        yield f"certificate that cannot be read: {clean(facts.why)}"
        return
    named = f", for {listing(map(clean, facts.hosts), _NAMES)}" if facts.hosts else ""
    yield f"{clean(facts.label) or '(no name)'}{named}"
    issuer = "itself" if facts.self_issued else clean(facts.issuer_text)
    yield f"  {facts.not_before_text[:10]} to {facts.not_after_text[:10]}, {left(facts, now_ns)}; issued by {issuer}"


def left(facts: CertificateFacts, now_ns: int) -> str:
    """How long a certificate is still good."""
    if facts.not_before is not None and now_ns < facts.not_before:
        return f"not valid before {facts.not_before_text.replace('T', ' ')}"
    if facts.not_after is None:
        return "without a readable end"
    until = facts.not_after_text.replace("T", " ").removesuffix(":00Z").removesuffix("Z")
    if now_ns > facts.not_after:
        return f"expired since {until} UTC"
    days = (facts.not_after - now_ns) // _DAY
    return f"{count(days, 'day')} left (until {until} UTC)" if days else f"less than a day left (until {until} UTC)"


def path(verdict: ChainVerdict) -> str:
    """From the leaf to the root, by short names."""
    names = [clean(verdict.certificates[index].label) or "(no name)" for index in verdict.path]
    if verdict.anchor and (not names or clean(verdict.anchor) != names[-1]):
        top = verdict.certificates[verdict.path[-1]] if verdict.path else None
        if top is None or top.subject_text != verdict.anchor:
            common = _COMMON.search(verdict.anchor)
            names.append(clean(re.sub(r"\\(.)", r"\1", common[1]) if common else verdict.anchor))
    return " ← ".join(names)


# ---------------------------------------------------------------- HTTP


def sent_lines(method: str, target: str, version: str, fields: Sequence[tuple[str, str]], body: int) -> Iterator[str]:
    """The request."""
    yield f"> {clean(method)} {clean(shorten(target, 200))} HTTP/{version}" + (
        f", {count(body, 'octet')} of body" if body else ""
    )
    for name, value in fields:
        shown = "…" if name.lower() in ("authorization", "cookie", "proxy-authorization") else clean(value)
        yield f"> {clean(name)}: {shown}"


def head_lines(
    status: int, reason: str, version: str, fields: Sequence[tuple[str, str]], seconds: float
) -> Iterator[str]:
    """The head of an answer."""
    yield f"< HTTP/{clean(version)} {status} {clean(reason)}".rstrip() + f", after {spent(seconds)}"
    for name, value in fields[:100]:
        yield f"< {clean(name)}: {clean(shorten(value, 400))}"
    if len(fields) > 100:
        yield f"< and {count(len(fields) - 100, 'more field')}"


def body_lines(
    octets: int,
    seconds: float,
    start: bytes,
    media: str,
    coding: str,
    lines: int,
    *,
    complete: bool,
    stopped: bool,
    elsewhere: str,
) -> Iterator[str]:
    """The body: how much of what, and its first lines where they are text and went nowhere else."""
    what = f" of {clean(shorten(media, 80))}" if media else ""
    coded = f", coded {clean(shorten(coding, 40))}" if coding and coding.lower() != "identity" else ""
    end = "" if complete else "; enough, stopped reading (-o FILE takes all)" if stopped else "; INCOMPLETE"
    rate = f" in {spent(seconds)}" if octets else ""
    yield f"{count(octets, 'octet')}{what}{coded}{rate}{end}" + (f" to {clean(elsewhere)}" if elsewhere else "")
    if elsewhere or coded or not readable(start):
        return
    shown = [line.rstrip("\r") for line in start.decode("utf-8", "replace").split("\n")]
    shown = [line for line in shown if line.strip()]
    for line in shown[:lines]:
        yield f"| {clean(shorten(line.expandtabs(2), 200))}"
    if len(shown) > lines:
        yield "| …"


def ended_line(clean_end: bool | None, tickets: int, retransmits: int | None, rtt: float | None) -> str:
    """How the connection was closed."""
    parts = []
    if clean_end is None:
        parts.append("closed")
    else:
        parts.append("close_notify from both" if clean_end else "closed; the server said no close_notify")
    if tickets:
        parts.append(count(tickets, "session ticket"))
    if rtt is not None:
        parts.append(f"RTT {spent(rtt)}")
    if retransmits is not None:
        parts.append(count(retransmits, "retransmission") if retransmits else "no retransmission")
    return listing(parts)


def failed_line(step: str, words: str, expected: str, got: str) -> str:
    """Where and why it stopped, as it was seen."""
    return f"FAILED ({step}): {_failure(words, expected, got)}"


def failed_lines(words: str, rule: str, remedy: str, expected: str, got: str) -> list[str]:
    """The verdict where the judge has none: the same in the form of a finding."""
    first = f"error{f' {rule}' if rule else ''}: {_failure(words, expected, got)}"
    return [first, f"To do: {remedy}"] if remedy else [first]


def _failure(words: str, expected: str, got: str) -> str:
    told = clean(words)
    if not got:
        return told
    return (
        f"{told} (expected {clean(expected)}, got {clean(shorten(got, 200))})" if expected else f"{told} ({clean(got)})"
    )


def hanging(line: str, width: int, paint: Paint, tone: str = "") -> Iterator[str]:
    """A line outside of the columns, wrapped."""
    first, *rest = wrap(line, width, 4 if line[:1] != " " else 2)
    yield paint(tone, first)
    yield from rest
