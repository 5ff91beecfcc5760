"""Certificates in words: who, for which names, since and until when at the capture's time, signed by whom."""

from __future__ import annotations

from collections.abc import Iterator

from synfin.observe.story_tls import ChainFact
from synfin.spec.certificates import CertificateFacts
from synfin.views.words import clean, count, listing


def certificate_lines(chain: ChainFact) -> Iterator[str]:
    """What each certificate of ``chain`` says, leaf first: a line to name it and one for what counts."""
    for place, facts in enumerate(chain.facts, 1):
        if not facts.parsed:
            yield f"{place}. cannot be read: {clean(facts.why)}"
            continue
        yield f"{place}. {clean(facts.subject_text) or '(no subject)'}"
        if facts.hosts:
            yield f"   for {listing(map(clean, facts.hosts), 8)}"
        issuer = "itself" if facts.self_issued else clean(facts.issuer_text)
        yield f"   {facts.key_text}; {facts.not_before_text} to {facts.not_after_text}{_age(facts, chain.time)}"
        yield f"   signed {facts.sig_name} by {issuer}"
        yield f"   SHA-256 {facts.sha256}"


def _age(facts: CertificateFacts, now: int) -> str:
    """What the capture's clock makes of the dates."""
    if facts.not_after is not None and now > facts.not_after:
        return f", expired {_days(now - facts.not_after)} before the capture"
    if facts.not_before is not None and now < facts.not_before:
        return f", not valid until {_days(facts.not_before - now)} after the capture"
    return ""


def _days(ns: int) -> str:
    """A stretch of time in days, or hours when it is short."""
    hours = ns // 3_600_000_000_000
    return count(hours // 24, "day") if hours >= 48 else count(hours, "hour")
