"""``synfin read`` and ``synfin follow`` as a person meets them: output, exit codes, one line for every mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from synfin.cli.main import COMMANDS, main
from tests.support.packets import pcap
from tests.support.shared import SHARED, needs_shared
from tests.views import sample
from tests.views.golden import HTTP

PROGRAM = [sys.executable, "-m", "synfin.cli.main"]


@pytest.fixture
def http(tmp_path: Path) -> str:
    return str(pcap(HTTP, tmp_path / "http.pcap"))


@pytest.fixture
def tls(tmp_path: Path) -> str:
    return str(pcap(sample.tls12(), tmp_path / "tls.pcap"))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def ids(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines() if line.strip()[:1].isdigit() and " 192.0.2.7" in line]


def test_table(capsys: pytest.CaptureFixture[str], http: str) -> None:
    code, out, _ = run(capsys, "read", http)
    assert ids(out) == ["0", "1", "2"]
    assert "closed by both (client first)" in out
    assert out.splitlines()[-1].startswith("3 connections in 14 packets")
    assert code in (0, 1)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--port", "81"], ["1"]),
        (["--outcome", "refused"], ["1"]),
        (["--outcome", "failed"], ["1", "2"]),
        (["--outcome", "closed"], ["0"]),
        (["--name", "SHOP.*"], ["0"]),
        (["--addr", "198.51.100.0/24"], ["0", "1", "2"]),
        (["--addr", "198.51.100.8"], []),
        (["--addr", "2001:db8::/32"], []),
        (["--name", "*.example", "--outcome", "open"], []),
    ],
)
@pytest.mark.parametrize("quick", [[], ["--quick"]])
def test_filters(
    capsys: pytest.CaptureFixture[str], http: str, options: list[str], expected: list[str], quick: list[str]
) -> None:
    _, out, _ = run(capsys, "read", http, *options, *quick)
    assert ids(out) == expected


def test_quick_and_full_table_agree(capsys: pytest.CaptureFixture[str], http: str, tls: str) -> None:
    for file in (http, tls):
        _, full, _ = run(capsys, "read", file, "--width", "300")
        _, quick, _ = run(capsys, "read", file, "--width", "300", "--quick")
        plain = [line[: quick.splitlines()[0].rindex("time") + 4].rstrip() for line in full.splitlines()[1:-1]]
        assert plain == [line.rstrip() for line in quick.splitlines()[1:-1]]


def test_several_files_have_headings(capsys: pytest.CaptureFixture[str], http: str, tls: str) -> None:
    _, out, _ = run(capsys, "read", http, tls)
    assert out.count("== ") == 2


def test_one_connection_in_three_depths(capsys: pytest.CaptureFixture[str], tls: str) -> None:
    _, brief, _ = run(capsys, "read", tls, "-c", "0", "--brief")
    _, normal, _ = run(capsys, "read", tls, "-c", "0")
    _, octets, _ = run(capsys, "read", tls, "--bytes", "4")
    assert len(brief.splitlines()) < 20 < len(normal.splitlines())
    assert "client_hello.random" in octets
    assert "RFC 8446 4.1.2" in octets


def test_json_lines(capsys: pytest.CaptureFixture[str], http: str) -> None:
    _, out, _ = run(capsys, "read", http, "--json")
    objects = [json.loads(line) for line in out.splitlines()]
    assert sorted(item["id"] for item in objects) == [0, 1, 2]
    assert all(item["synfin"] == {"schema": 1} and item["file"] == http for item in objects)
    _, one, _ = run(capsys, "read", http, "--json", "-c", "1")
    assert json.loads(one) == next(item for item in objects if item["id"] == 1)


def test_exit_code_says_whether_something_is_wrong(capsys: pytest.CaptureFixture[str], tls: str, http: str) -> None:
    assert run(capsys, "read", tls)[0] == 0
    code, out, _ = run(capsys, "read", http, "--json")
    worst = {finding["severity"] for line in out.splitlines() for finding in json.loads(line)["findings"]}
    assert code == (1 if worst & {"warning", "error"} else 0)


def test_follow(capsysbinary: pytest.CaptureFixture[bytes], http: str) -> None:
    assert main(["follow", http, "-c", "0", "--raw", "--side", "b"]) == 0
    assert capsysbinary.readouterr().out == b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"
    assert main(["follow", http, "-c", "0", "--side", "client"]) == 0
    assert b"GET /a?\\x1b[31m HTTP/1.1" in capsysbinary.readouterr().out


MISTAKES = {
    "no file": (["read", "nothing-here.pcap"], "nothing-here.pcap"),
    "directory": (["read", "."], "directory"),
    "unknown command": (["raed"], "raed"),
    "unknown option": (["read", "FILE", "--colour"], "--colour"),
    "no argument": (["read"], "FILE"),
    "not a number": (["read", "FILE", "--port", "https"], "--port"),
    "port too large": (["read", "FILE", "--port", "70000"], "65535"),
    "bad address": (["read", "FILE", "--addr", "nowhere"], "nowhere"),
    "bad outcome": (["read", "FILE", "--outcome", "good"], "closed"),
    "no such connection": (["read", "FILE", "-c", "9"], "no connection 9"),
    "no such packet": (["read", "FILE", "--bytes", "99"], "no packet 99"),
    "packet zero": (["read", "FILE", "--bytes", "0"], "no packet 0"),
    "key log is none": (["read", "FILE", "--keylog", "FILE"], "no TLS secret"),
    "no key log": (["read", "FILE", "--keylog", "nothing.keys"], "nothing.keys"),
    "key is none": (["read", "FILE", "--rsa-key", "FILE"], "PEM"),
    "narrow": (["read", "FILE", "--width", "3"], "--width"),
    "bad side": (["follow", "FILE", "--side", "left"], "--side"),
    "two styles": (["follow", "FILE", "--hex", "--text"], "exclude"),
    "which one": (["follow", "FILE"], "-c ID"),
    "brief table": (["read", "FILE", "--brief"], "-c ID"),
    "quick story": (["read", "FILE", "--quick", "-c", "0"], "--quick"),
    "nothing decrypted": (["follow", "FILE", "-c", "0", "--decrypted"], "not TLS"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_one_line_and_code_2(capsys: pytest.CaptureFixture[str], http: str, name: str) -> None:
    arguments, named = MISTAKES[name]
    code, out, err = run(capsys, *(http if word == "FILE" else word for word in arguments))
    assert code == 2
    assert out == ""
    assert err.startswith("synfin: ")
    assert err.count("\n") == 1
    assert named in err


@pytest.mark.parametrize("command", ["read", "check"])
def test_a_bad_file_among_good_ones_is_passed_over(
    command: str, http: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, command, http, str(tmp_path / "none.pcap"), http)
    assert code == 2
    assert err == f"synfin: {tmp_path / 'none.pcap'}: no such file\n"
    assert out.count(f"== {http} ==") == 2


def test_a_hostile_file_name_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    _, _, err = run(capsys, "read", "no\x1b[31mfile\n.pcap")
    assert "\x1b" not in err
    assert err.count("\n") == 1


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from synfin.cli.main import main; main(['--help']); main(['read', '--help']);"
        "print(sorted({'numpy', 'rich', 'cryptography', 'hpack', 'h11', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert all(command in done.stdout for command in COMMANDS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from synfin import __version__

    assert run(capsys, "--version")[:2] == (0, f"synfin {__version__}\n")


def test_no_colour_in_a_pipe_unless_asked(tls: str) -> None:
    env = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR")}
    plain = subprocess.run([*PROGRAM, "read", tls, "-c", "0"], capture_output=True, env=env, check=True).stdout
    assert b"\x1b" not in plain
    painted = subprocess.run(
        [*PROGRAM, "read", tls, "-c", "0"], capture_output=True, env={**env, "FORCE_COLOR": "1"}, check=True
    ).stdout
    assert b"\x1b[" in painted


def test_ascii_terminals_get_ascii(tls: str) -> None:
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    out = subprocess.run([*PROGRAM, "read", tls, "-c", "0"], capture_output=True, env=env, check=True).stdout
    assert out.isascii()
    assert b"-->" in out
    assert b"\\u" not in out


def test_a_closed_pipe_is_silent(tls: str) -> None:
    with subprocess.Popen(
        [*PROGRAM, "read", *[tls] * 40, "-c", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""


def test_standard_input(tls: str) -> None:
    done = subprocess.run([*PROGRAM, "read", "-"], input=Path(tls).read_bytes(), capture_output=True, check=True)
    assert b"shop.example" in done.stdout


@needs_shared
def test_key_log_opens_records(capsys: pytest.CaptureFixture[str]) -> None:
    assert SHARED is not None
    capture = str(SHARED / "captures" / "illustrated-tls13.pcap")
    keys = str(SHARED / "keys" / "illustrated-tls13.keys")
    _, closed, _ = run(capsys, "follow", capture)
    _, opened, _ = run(capsys, "follow", capture, "--keylog", keys)
    assert "ping" not in closed
    assert "ping" in opened
    assert "(decrypted)" in run(capsys, "read", capture, "-c", "0", "--keylog", keys)[1]
    assert "Decrypted: " in run(capsys, "read", capture, "--bytes", "7", "--keylog", keys)[1]
