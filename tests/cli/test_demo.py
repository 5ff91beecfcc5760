"""``synfin demo`` as it is called: what it prints, writes and refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from synfin.cli.main import main


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "synfin.cli.main", "demo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)


@pytest.mark.parametrize("option", ["", "--tls1.2", "--rsa", "--http2", "--http"])
def test_it_tells_the_whole_story(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo", *([option] if option else [])]) == 0
    said = capsys.readouterr().out
    lines = said.splitlines()
    assert len(lines) < 105
    assert all(len(line) <= 120 for line in lines)
    secure = option != "--http"
    assert lines[0] == f"Alice opens http{'s' if secure else ''}://www.bob.example/order?id=4711"
    for words in ("SYN_SENT", "TIME_WAIT", "wait for answer", "Cookie: session=", "account MAL-6666-6666", "refused"):
        assert words in said
    assert ("The path of certificates" in said) == secure
    assert ("stolen later, opens it all: HTTP/1.1 request GET /order?id=4711" in said) == (option == "--rsa")
    assert ("stolen later, opens nothing" in said) == (option != "--rsa")
    assert said.count(": believed") + said.count(", believed") == 2
    assert (tmp_path / "demo.pcapng").exists()


def test_one_seed_one_output(tmp_path: Path) -> None:
    outputs = [run(tmp_path, "--seed", "7", "-w", name) for name in ("a.pcapng", "b.pcapng")]
    assert outputs[0].returncode == 0, outputs[0].stderr
    assert outputs[0].stdout.replace("a.pcapng", "b.pcapng") == outputs[1].stdout
    assert (tmp_path / "a.pcapng").read_bytes() == (tmp_path / "b.pcapng").read_bytes()
    run(tmp_path, "--seed", "8", "-w", "c.pcapng")
    assert (tmp_path / "a.pcapng").read_bytes() != (tmp_path / "c.pcapng").read_bytes()


def test_json_says_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["file"] == "demo.pcapng"
    assert [(v["attack"], v["url"][:5], v["believed"]) for v in told["visits"]] == [
        ("none", "https", False),
        ("none", "http:", False),
        ("tamperer", "https", False),
        ("tamperer", "http:", True),
        ("impostor", "https", False),
        ("impostor", "http:", True),
        ("impostor with the server's certificate", "https", False),
    ]
    assert [link["holds"] for link in told["path"]] == [True, True]
    assert told["visits"][2]["parties"][0]["alert_sent"] == 20
    assert told["visits"][0]["connection"]["outcome"]["kind"] == "closed"


def test_what_it_wrote_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 0
    capsys.readouterr()
    assert main(["check", "demo.pcapng"]) == 1
    said = capsys.readouterr().out
    heads = [line for line in said.splitlines() if line.startswith("connection ")]
    assert [head.split(":")[0] for head in heads] == ["connection 2", "connection 4", "connection 6"]


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    for arguments, words in (
        (("--http", "--rsa"), "give one of them"),
        (("--seed", "-3"), "seed -3"),
        (("-w", "nowhere/demo.pcapng"), "-w nowhere/demo.pcapng: No such file"),
        (("-w", "-"), "give a file"),
        (("--width", "3"), "too narrow"),
    ):
        done = run(tmp_path, *arguments)
        assert done.returncode == 2
        assert words in done.stderr
        assert done.stderr.count("\n") == 1
        assert not done.stdout


def test_scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--list"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert len(names) >= 10
    for name in names:
        assert main(["demo", "--scene", name, "--width", "100"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) <= 60
        assert all(len(line) <= 120 for line in lines)
        assert any("What really happened" in line for line in lines)
        assert main(["demo", "--scene", name, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["scene"] == name
        assert told["connections"]
    assert main(["demo", "--list", "--json"]) == 0
    assert [scene["name"] for scene in json.loads(capsys.readouterr().out)["scenes"]] == names


def test_a_scene_there_is_not(tmp_path: Path) -> None:
    done = run(tmp_path, "--scene", "nix")
    assert done.returncode == 2
    assert "there is no scene 'nix'; there are stale-syn" in done.stderr
