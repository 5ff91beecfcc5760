"""Baselines: findings that are known already and shall not be shown again.

A fingerprint names what a finding is about and not when: code, both addresses, the server's port, the name asked
for.  The client's port and all times change from run to run and are left out.  The file is JSON, sorted, so that a
change of it can be read in a diff.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from synfin.errors import UsageError
from synfin.judge.model import Finding
from synfin.observe.story import Connection

#: What stands in the file beside the fingerprints.
FORMAT = 1


def fingerprint(connection: Connection | None, finding: Finding) -> str:
    """The stable name of a finding: 32 hex digits."""
    parts = [finding.code]
    if connection is not None:
        parts += [connection.a.ip, str(connection.b), connection.name]
    return hashlib.sha256("\n".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


def write_baseline(known: Iterable[tuple[str, str]]) -> str:
    """The text of a baseline file: pairs of fingerprint and a title for people."""
    entries = [{"fingerprint": mark, "title": title} for mark, title in sorted(dict(known).items())]
    return json.dumps({"synfin": {"baseline": FORMAT}, "findings": entries}, indent=1) + "\n"


def read_baseline(text: str) -> frozenset[str]:
    """The fingerprints of a baseline file; UsageError when it is none."""
    try:
        content = json.loads(text)
        if content["synfin"]["baseline"] != FORMAT:
            raise UsageError(f"a baseline of format {content['synfin']['baseline']}, and this version reads {FORMAT}")
        return frozenset(str(entry["fingerprint"]) for entry in content["findings"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UsageError("no baseline: write one with --write-baseline FILE") from error
