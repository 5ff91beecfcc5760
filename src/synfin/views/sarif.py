"""Findings as SARIF 2.1.0 (OASIS), the format code-scanning services read.

The rules are the code table; a result's place is the capture file, its logical place the connection; the packets
that prove it stand in its properties.  Fingerprints are those of the baseline, so a service knows old from new.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from synfin.judge.baseline import fingerprint
from synfin.judge.codes import CODES
from synfin.judge.model import Finding, Severity
from synfin.observe.story import Connection

Json = dict[str, Any]

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

_LEVELS = {Severity.INFO: "note", Severity.NOTICE: "note", Severity.WARNING: "warning", Severity.ERROR: "error"}


class Placed(NamedTuple):
    """A finding with its place: the file, and the connection it is about (None: the whole capture)."""

    file: str
    connection: Connection | None
    finding: Finding


def sarif(placed: Iterable[Placed], version: str) -> Json:
    """The whole SARIF log of one run; ``version`` is synfin's."""
    results = list(placed)
    used = sorted({item.finding.code for item in results}, key=list(CODES).index)
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "synfin",
                        "semanticVersion": version,
                        "rules": [_rule(code) for code in used],
                    }
                },
                "results": [_result(item, used) for item in results],
                "columnKind": "unicodeCodePoints",
            }
        ],
    }


def _rule(code: str) -> Json:
    row = CODES[code]
    return {
        "id": code,
        "name": "".join(part.capitalize() for part in row.slug.split("-")),
        "shortDescription": {"text": row.title},
        "fullDescription": {"text": row.page},
        "defaultConfiguration": {"level": _LEVELS[row.severity]},
        "properties": {"actor": str(row.actor), "keys": row.keys},
    }


def _result(item: Placed, used: Sequence[str]) -> Json:
    finding, connection = item.finding, item.connection
    location: Json = {"physicalLocation": {"artifactLocation": {"uri": _uri(item.file)}}}
    if connection is not None:
        location["logicalLocations"] = [
            {
                "name": f"connection {connection.id}",
                "fullyQualifiedName": f"{connection.a} > {connection.b}",
                "kind": "resource",
            }
        ]
    return {
        "ruleId": finding.code,
        "ruleIndex": used.index(finding.code),
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{finding.title}. {finding.cause} {finding.remedy}"},
        "locations": [location],
        "partialFingerprints": {"synfin/v1": fingerprint(connection, finding)},
        "properties": {
            "severity": finding.severity.name.lower(),
            "actor": str(finding.actor),
            "confidence": str(finding.confidence),
            "reason": finding.reason,
            "disproof": finding.disproof,
            "nextCapture": finding.next_capture,
            "packets": sorted({packet for evidence in finding.evidence for packet in evidence.packets}),
            "symptoms": [symptom.code for symptom in finding.symptoms],
        },
    }


def _uri(file: str) -> str:
    """A file name as a relative URI reference (RFC 3986): everything unusual as percent escapes."""
    from urllib.parse import quote

    return "stdin" if file == "-" else quote(file)
