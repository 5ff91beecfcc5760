"""Certificates in captures made by strangers: every leaf as tshark and ``cryptography`` tell it, every chain judged."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from synfin.observe import observe
from synfin.observe.story_tls import ChainFact
from synfin.spec.certcheck import check_chain
from synfin.spec.certificates import CertificateFacts
from tests.support.shared import SHARED, captures, needs_shared, truth

#: Certificates that ``cryptography`` reads only in part: it refuses all extensions for a default written out.
_EXTENSIONS_REFUSED = "writes out a default value"


@lru_cache(maxsize=1)
def chains() -> tuple[ChainFact, ...]:
    """Every chain in clear of every shared capture."""
    found = []
    for path in captures():
        for connection in observe(path, embedded=True):
            if connection.tls is not None:
                found += connection.tls.chains
    return tuple(found)


def leaves() -> Iterator[dict[str, Any]]:
    """What the truth says of leaf certificates."""
    if SHARED is None:
        return

    def walk(value: Any) -> Iterator[dict[str, Any]]:
        if isinstance(value, dict):
            if isinstance(value.get("leaf"), dict):
                yield value["leaf"]
            for inner in value.values():
                yield from walk(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from walk(inner)

    for path in captures():
        for line in truth(path.name):
            yield from walk(line)


def told(facts: CertificateFacts) -> dict[str, Any]:
    """The facts in the words of the truth."""
    return {
        "len": len(facts.der),
        "serial": facts.serial_hex,
        "not_before": facts.not_before_text,
        "not_after": facts.not_after_text,
        "version": facts.version,
        "subject": [list(pair) for pair in facts.subject],
        "issuer": [list(pair) for pair in facts.issuer],
        "self_issued": facts.self_issued,
        "sig_alg": facts.sig_alg,
        "key": list(facts.key),
        "san_dns": None if facts.san_dns is None else list(facts.san_dns),
        "san_ip": None if facts.san_ip is None else list(facts.san_ip),
        "is_ca": facts.is_ca,
    }


@needs_shared
def test_leaves_agree_with_the_truth() -> None:
    known = {facts.sha256: facts for chain in chains() for facts in chain.facts}
    compared = refused = 0
    for leaf in leaves():
        facts = known.get(leaf["sha256"])
        if facts is None:
            continue
        if "error" in leaf:
            assert not facts.parsed
            continue
        mine = told(facts)
        if any(_EXTENSIONS_REFUSED in problem for problem in facts.problems):
            refused += 1
            mine.update(san_dns=None, san_ip=None, is_ca=None)
        assert {name: mine[name] for name in leaf if name in mine} == {n: v for n, v in leaf.items() if n in mine}
        compared += 1
    assert compared >= 70
    assert refused >= 1


@needs_shared
def test_every_chain_is_judged_at_its_time() -> None:
    assert len(chains()) >= 50
    found: set[str] = set()
    for chain in chains():
        verdict = check_chain(chain.der, name=None, when_ns=chain.time)
        assert all(problem.sentence for problem in verdict.problems)
        found |= {problem.name for problem in verdict.problems}
    assert {"expired", "self_signed", "missing_intermediate", "weak_key", "weak_signature"} <= found
