"""What people and services get: text, JSON, SARIF, GitHub annotations, pages, baselines, exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from synfin.cli import terminal
from synfin.cli.main import main
from synfin.judge.codes import CODES, TABLE
from synfin.judge.reference import reference
from synfin.views.github import annotation
from synfin.views.sarif import Placed, sarif
from tests.judge.support import judged
from tests.scenarios.catalogue import SCENARIOS, healthy, refused, turned_down
from tests.scenarios.script import Script, write


@pytest.fixture
def bad(tmp_path: Path) -> str:
    return str(write([refused()], tmp_path / "refused, one.pcap"))


@pytest.fixture
def good(tmp_path: Path) -> str:
    return str(write([healthy()], tmp_path / "healthy.pcap"))


def _run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(list(words))
    out = capsys.readouterr()
    return code, out.out, out.err


def test_exit_codes(capsys: pytest.CaptureFixture[str], good: str, bad: str, tmp_path: Path) -> None:
    assert _run(capsys, "check", good)[0] == 0
    assert _run(capsys, "check", bad)[0] == 1
    assert _run(capsys, "check", good, bad)[0] == 1
    code, out, error = _run(capsys, "check", str(tmp_path / "no such file"))
    assert (code, out, error.count("\n")) == (2, "", 1)


@pytest.mark.parametrize(
    "words",
    [
        ["--json", "--sarif"],
        ["--select", "NOP"],
        ["--min-severity", "fatal"],
        ["--baseline", "/no/such/file"],
        ["--write-baseline", "/no/such/folder/file"],
    ],
)
def test_wrong_options_are_one_line_and_exit_2(words: list[str], capsys: pytest.CaptureFixture[str], good: str) -> None:
    code, _, error = _run(capsys, "check", good, *words)
    assert code == 2
    assert re.fullmatch(r"synfin: .+\n", error)


def test_text_says_what_who_and_where(capsys: pytest.CaptureFixture[str], bad: str) -> None:
    _, out, _ = _run(capsys, "check", bad, "--width", "80")
    for words in (
        "connection 0: 10.0.0.1:40001 > 10.0.0.2:443",
        "error TCP101:",
        "To do (server):",
        "Proof: packets 1",
    ):
        assert words in out
    assert out.endswith("1 connection: 1 error\n")
    assert all(len(line) <= 80 for line in out.splitlines())


def test_healthy_text_is_one_line(capsys: pytest.CaptureFixture[str], good: str) -> None:
    assert _run(capsys, "check", good)[1] == "1 connection: no finding\n"


def test_selection_severity_and_ignore(capsys: pytest.CaptureFixture[str], bad: str) -> None:
    assert _run(capsys, "check", bad, "--select", "tls,crt2")[:2] == (0, "1 connection: no finding\n")
    assert _run(capsys, "check", bad, "--ignore", "TCP1")[0] == 0
    assert _run(capsys, "check", bad, "--select", "TCP101", "--min-severity", "error")[0] == 1


def test_json_lines(capsys: pytest.CaptureFixture[str], bad: str) -> None:
    _, out, _ = _run(capsys, "check", bad, "--json")
    (line,) = [json.loads(line) for line in out.splitlines()]
    assert line["finding"]["code"] == "TCP101"
    assert line["finding"]["evidence"][0]["packets"] == [1, 2]
    assert (line["connection"], line["server"]) == (0, {"ip": "10.0.0.2", "port": 443})


def test_sarif_holds_what_the_standard_demands(capsys: pytest.CaptureFixture[str], bad: str) -> None:
    _, out, _ = _run(capsys, "check", bad, "--sarif")
    log = json.loads(out)
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    _valid(run)
    (result,) = run["results"]
    location = result["locations"][0]
    assert location["physicalLocation"]["artifactLocation"]["uri"].endswith("refused%2C%20one.pcap")
    assert location["logicalLocations"][0]["fullyQualifiedName"] == "10.0.0.1:40001 > 10.0.0.2:443"
    assert result["properties"]["packets"] == [1, 2]


def test_sarif_of_everything(tmp_path: Path) -> None:
    placed = [
        Placed("a.pcap", item.connection, finding)
        for code in SCENARIOS
        for item in judged(SCENARIOS[code].fires, tmp_path)
        for finding in item.judgement.findings
    ]
    log = sarif(placed, "1.0.0")
    json.dumps(log)
    _valid(log["runs"][0])
    assert sarif([], "1.0.0")["runs"][0]["results"] == []


def _valid(run: dict[str, Any]) -> None:
    """The parts of SARIF 2.1.0 that we write, by its text (3.14, 3.19, 3.27, 3.28, 3.49)."""
    rules = run["tool"]["driver"]["rules"]
    assert run["tool"]["driver"]["name"] == "synfin"
    assert len({rule["id"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["id"] in CODES
        assert rule["shortDescription"]["text"]
        assert rule["fullDescription"]["text"]
        assert rule["defaultConfiguration"]["level"] in ("none", "note", "warning", "error")
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("none", "note", "warning", "error")
        assert result["message"]["text"]
        assert result["partialFingerprints"]
        assert "://" not in result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]


def test_github_annotations(capsys: pytest.CaptureFixture[str], bad: str) -> None:
    _, out, _ = _run(capsys, "check", bad, "--github")
    assert re.fullmatch(r"::error file=[^,\n]+,title=TCP101 [^:,\n]+::connection 0: [^\n]+\n", out)


def test_github_annotations_escape_what_would_end_them(tmp_path: Path) -> None:
    ((connection, finding),) = [
        (item.connection, item.judgement.findings[0]) for item in judged(turned_down("expired"), tmp_path)
    ]
    line = annotation("a,b:c%\nd.pcap", connection, finding)
    assert line.startswith("::error file=a%2Cb%3Ac%25%0Ad.pcap,title=CRT201 ")
    assert "\n" not in line


def test_baseline_hides_what_is_known(capsys: pytest.CaptureFixture[str], bad: str, tmp_path: Path) -> None:
    file = str(tmp_path / "known.json")
    assert _run(capsys, "check", bad, "--write-baseline", file)[0] == 1
    code, out, _ = _run(capsys, "check", bad, "--baseline", file)
    assert (code, out) == (0, "1 connection: no finding\n")
    other = Script(port=444).line("a > b SYN").line("b > a RST,ACK")
    assert _run(capsys, "check", str(write([other], tmp_path / "o.pcap")), "--baseline", file)[0] == 1


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"synfin":{"baseline":9},"findings":[]}', '{"synfin":1}', "\x00"])
def test_a_file_that_is_no_baseline(text: str, capsys: pytest.CaptureFixture[str], good: str, tmp_path: Path) -> None:
    path = tmp_path / "no.json"
    path.write_text(text)
    code, _, error = _run(capsys, "check", good, "--baseline", str(path))
    assert code == 2
    assert "baseline" in error


def test_rule_pages(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = _run(capsys, "rule")
    assert code == 0
    listed, _, said = out.partition("\n\n")
    assert [line.split()[0] for line in listed.splitlines()] == [row.code for row in TABLE]
    assert said.startswith(f"{len(TABLE)} rules in the order of cause")
    code, out, _ = _run(capsys, "rule", "tls110")
    assert code == 0
    assert "How to fix." in out
    assert _run(capsys, "rule", "--markdown")[1] == reference(TABLE)
    code, _, error = _run(capsys, "rule", "TLS999")
    assert code == 2
    assert "TLS110" in error


def test_rule_pages_end_their_lines_where_the_terminal_ends(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "columns", lambda _: 72)
    for row in TABLE:
        lines = _run(capsys, "rule", row.code)[1].splitlines()
        assert all(len(line) <= 72 and line == line.strip() for line in lines), row.code
