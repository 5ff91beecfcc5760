"""Every rule fires on its scenario and on none of its near misses; healthy connections have no warning."""

from __future__ import annotations

from pathlib import Path

import pytest

from synfin.judge.model import Confidence, Finding
from tests.judge.support import bad, findings, judged, told
from tests.scenarios.catalogue import HEALTHY, SCENARIOS

ALSO = [(code, place) for code, scenario in SCENARIOS.items() for place in range(len(scenario.also))]
BLIND = [(code, place) for code, scenario in SCENARIOS.items() for place in range(len(scenario.blind))]
NEAR = [(code, place) for code, scenario in SCENARIOS.items() for place in range(len(scenario.near))]


@pytest.mark.parametrize("code", SCENARIOS)
def test_the_scenario_fires_the_rule_as_root(code: str, tmp_path: Path) -> None:
    scenario = SCENARIOS[code]
    found = findings(scenario.fires, tmp_path, keys=scenario.keys)
    assert code in [item.code for item in found], told(found)
    heavy = [item.code for item in bad(found)]
    assert heavy == ([] if scenario.note else [code]), told(found)


@pytest.mark.parametrize(("code", "place"), ALSO)
def test_further_ways_fire_it_as_root(code: str, place: int, tmp_path: Path) -> None:
    found = findings(SCENARIOS[code].also[place], tmp_path, keys=True)
    assert code in [item.code for item in (found if SCENARIOS[code].note else bad(found))], told(found)


@pytest.mark.parametrize(("code", "place"), BLIND)
def test_without_secrets_it_is_noted(code: str, place: int, tmp_path: Path) -> None:
    found = findings(SCENARIOS[code].blind[place], tmp_path)
    assert code in [item.code for item in found], told(found)
    assert not bad(found), told(found)


@pytest.mark.parametrize(("code", "place"), NEAR)
def test_the_near_miss_does_not_fire_it(code: str, place: int, tmp_path: Path) -> None:
    found = findings(SCENARIOS[code].near[place], tmp_path)
    assert code not in [item.code for item in bad(found)], told(found)
    if SCENARIOS[code].note:
        assert code not in [item.code for item in found], told(found)


@pytest.mark.parametrize("keys", [False, True], ids=["no secrets", "secrets"])
@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_connection_has_no_warning(name: str, keys: bool, tmp_path: Path) -> None:
    found = findings(HEALTHY[name], tmp_path, keys=keys)
    assert not bad(found), told(found)


@pytest.mark.parametrize("code", ["TCP101", "TCP102", "TLS101", "TLS111", "TLS112", "TLS113", "TCP220", "TCP401"])
def test_what_needs_no_payload_is_found_in_cut_packets(code: str, tmp_path: Path) -> None:
    found = findings(SCENARIOS[code].fires, tmp_path, snaplen=96)
    assert [item.code for item in bad(found)] == [code], told(found)


@pytest.mark.parametrize("code", SCENARIOS)
def test_a_short_snap_length_makes_no_new_alarm(code: str, tmp_path: Path) -> None:
    whole = {item.code for item in findings(SCENARIOS[code].fires, tmp_path)}
    cut = bad(findings(SCENARIOS[code].fires, tmp_path, snaplen=96))
    related = whole | {
        "TLS110",
        "TLS111",
        "TLS112",
        "TLS113",
        "TLS210",
        "CRT102",
        "CRT401",
        "TLS211",
        "TCP103",
        "TCP401",
        "TLS204",
        "TCP302",
    }
    assert {item.code for item in cut} <= related, told(cut)


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_connection_cut_short_has_no_warning(name: str, tmp_path: Path) -> None:
    found = findings(HEALTHY[name], tmp_path, snaplen=96)
    assert not bad(found), told(found)


@pytest.mark.parametrize("code", SCENARIOS)
def test_findings_say_who_when_and_which_packets(code: str, tmp_path: Path) -> None:
    for item in judged(SCENARIOS[code].fires, tmp_path):
        numbers = set(item.connection.rows.number) | {error.packet for error in item.connection.tcp.icmp}
        for finding in item.judgement.findings:
            _complete(finding, numbers)


def _complete(finding: Finding, numbers: set[int]) -> None:
    packets = {packet for evidence in finding.evidence for packet in evidence.packets}
    assert packets, finding.title
    assert packets <= numbers
    assert finding.disproof or finding.confidence is Confidence.CERTAIN
    for text in (finding.title, finding.cause, finding.remedy, finding.reason):
        assert text
        assert "None" not in text
    assert finding.cause.endswith(".")
    assert "firewall" not in finding.title.lower()  # which device it is, nobody can see
    for symptom in finding.symptoms:
        _complete(symptom, numbers)
