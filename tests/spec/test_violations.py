"""The vocabulary of faults: names are unique, law and alerts exist, certificates and rules are covered."""

from __future__ import annotations

import re

import pytest

from synfin.judge.codes import CODES
from synfin.spec.certcheck import PROBLEMS, Severity
from synfin.spec.violations import AREAS, VIOLATIONS, Violation, violation
from synfin.wire.tls.registry import ALERTS

ROWS = [row for rows in AREAS.values() for row in rows]

#: RFCs that may stand in the table: TLS and its extensions, X.509, TCP, HTTP.
KNOWN_RFCS = {5246, 5280, 5746, 6066, 6520, 7301, 7323, 7366, 7507, 7627, 7633, 7919}
KNOWN_RFCS |= {8446, 8449, 8879, 9110, 9112, 9113, 9293, 9525, 9846}


def test_names_are_unique() -> None:
    assert len(VIOLATIONS) == len(ROWS)
    assert len({row.sentence for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_row_is_complete(row: Violation) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]+", row.name)
    assert row.sentence
    assert row.sentence[0].islower() or row.sentence.startswith(("HTTP", "Content-Length", "KeyUpdate", "ChangeCipher"))
    assert not row.sentence.endswith(".")
    assert row.rfc in KNOWN_RFCS
    assert re.fullmatch(r"\d+(\.\d+)*", row.section)
    assert row.alert is None or row.alert in ALERTS
    assert row.alert != 0
    assert not row.rule or row.rule in CODES
    assert violation(row.name) is row


@pytest.mark.parametrize("area", ["negotiation", "handshake", "certificate"])
def test_tls_faults_have_an_alert_unless_the_peer_is_gone(area: str) -> None:
    silent = {row.name for row in AREAS[area] if row.alert is None}
    assert silent <= {"silent_end", "no_answer", "handshake_stalled", "large_hello_refused"}


@pytest.mark.parametrize("area", ["tcp", "http"])
def test_faults_outside_of_tls_have_no_alert(area: str) -> None:
    assert all(row.alert is None for row in AREAS[area])


def test_every_grave_certificate_problem_is_a_violation() -> None:
    grave = {name for name, (severity, _) in PROBLEMS.items() if severity is not Severity.INFO}
    assert {f"certificate_{name}" for name in grave} <= set(VIOLATIONS)
