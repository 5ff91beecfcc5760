"""``synfin wire``: real programs on a faulty link, judged by tshark and ``synfin check``; nothing is left behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from synfin.judge.engine import Context, judge_all
from synfin.observe import observe
from tests.drive.tunbox import needs_tun

pytestmark = [needs_tun, pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")]

SYNFIN = [sys.executable, "-m", "synfin.cli.main", "wire"]
SIZE = 400_000
HTTP = f"exec {sys.executable} -m http.server 80 2>/dev/null"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "page").write_bytes(bytes(i * 7 & 255 for i in range(SIZE)))
    return tmp_path


def wire(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*SYNFIN, *words], cwd=folder, capture_output=True, text=True, timeout=60)


def fetch(*more: str) -> list[str]:
    return ["--", "curl", "-sS", "-o", "got", "-m", "20", *more, "http://server/page"]


def whole(folder: Path) -> bool:
    return (folder / "got").read_bytes() == (folder / "page").read_bytes()


def codes(path: Path) -> set[str]:
    """The codes of what is wrong in a capture."""
    with observe(str(path)) as seen:
        return {finding.code for item in judge_all(seen, Context()) for finding in item.judgement.findings}


def counted(said: str, end: str, word: str) -> int:
    """A number of the summary."""
    line = next(line for line in said.splitlines() if f"to the {end}:" in line)
    found = re.search(rf"([\d,]+) {word}", line)
    return int(found[1].replace(",", "")) if found else 0


@pytest.mark.parametrize("version", ["4", "6"])
def test_a_fetch_survives_every_fault_and_the_capture_tells_of_it(folder: Path, version: str) -> None:
    six = ["-6"] if version == "6" else []
    server = f"exec {sys.executable} -m http.server -b :: 80 2>/dev/null" if six else HTTP
    done = wire(
        folder, *six, "--loss", "3%", "--delay", "2ms", "--jitter", "1ms", "--reorder", "2%", "--reorder-by", "5ms",
        "--duplicate", "2%", "--corrupt", "1%", "--seed", "7", "-w", "x.pcapng", "--at", "both", "--server", server,
        *fetch(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert whole(folder)
    for word in ("lost", "reordered", "duplicated", "corrupted"):
        assert counted(done.stderr, "client", word), done.stderr
    for end in ("client", "server"):
        with observe(str(folder / f"x-{end}.pcapng")) as seen:
            talk = [connection for connection in seen if connection.http is not None]  # damaged packets stand alone
        assert len(talk) == 1 and talk[0].http is not None
        assert len(talk[0].http.messages) == 2


@pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark")
def test_tshark_reads_the_capture_and_sees_what_was_lost(folder: Path) -> None:
    done = wire(folder, "--loss", "0%:5%", "--delay", "3ms", "--seed", "3", "-w", "x.pcapng", "--at", "server",
                "--server", HTTP, *fetch())  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = subprocess.run(
        ["tshark", "-r", "x.pcapng", "-Y", 'frame.comment contains "lost on the link"'],
        cwd=folder, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    lost = counted(done.stderr, "client", "lost")
    assert lost and len(said.splitlines()) == lost, "every lost packet is there with a comment"
    again = "tcp.analysis.retransmission or tcp.analysis.fast_retransmission or tcp.analysis.out_of_order"
    said = subprocess.run(
        ["tshark", "-r", "x.pcapng", "-Y", again], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
    assert len(said.splitlines()) >= lost // 2


def test_a_forged_reset_reaches_the_client_and_is_named(folder: Path) -> None:
    done = wire(folder, "--rst-at", "100k", "--delay", "2ms", "-w", "x.pcapng", "--server", HTTP, *fetch())
    assert done.returncode == 56, "curl's code for a reset is ours"
    assert 80_000 < (folder / "got").stat().st_size <= 102_400
    assert "RSTs forged" in done.stderr
    assert "TCP501" in codes(folder / "x.pcapng")


def starved(folder: Path, code: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A fetch that never ends and what ``check`` must say of it; a busy machine gets a second, longer chance."""
    for seconds in ("3", "10"):
        done = wire(folder, *words, "-w", "x.pcapng", "--server", HTTP, *fetch("-m", seconds))
        assert done.returncode == 28, "curl's code for a time-out"
        found = codes(folder / "x.pcapng")
        if code in found:
            break
    assert code in found, done.stderr
    return done


def test_a_path_mtu_hole_is_a_hole_and_with_icmp_it_is_not(folder: Path) -> None:
    done = starved(folder, "TCP301", "--mtu", "1500:1300", "--black-hole", "--at", "server")
    assert counted(done.stderr, "client", "too big")
    # The client's end shows it too: numbers that jump.
    starved(folder, "TCP301", "--mtu", "1500:1300", "--black-hole", "--delay", "5ms")
    done = wire(folder, "--mtu", "1300", "--server", HTTP, *fetch())
    assert done.returncode == 0, done.stderr
    assert whole(folder)


def test_silence_and_lost_syns(folder: Path) -> None:
    done = starved(folder, "HTP104", "--cut-at", "50000")
    assert counted(done.stderr, "client", "cut off")
    done = wire(folder, "--drop-syn", "1", "-w", "x.pcapng", "--server", HTTP, *fetch())
    assert done.returncode == 0
    assert counted(done.stderr, "server", "SYN dropped") == 1
    assert "SLO101" in codes(folder / "x.pcapng")


def test_delay_is_what_was_asked_for(folder: Path) -> None:
    took: list[float] = []
    while not took or (min(took) > 0.2 and len(took) < 3):  # a busy machine may need more than one
        done = wire(folder, "--delay", "30ms:10ms", "--server", HTTP, "--", "curl", "-s", "-o", "got", "-w",
                    "%{time_connect}", "http://server/page")  # fmt: skip
        took.append(float(done.stdout))
    assert 0.04 <= min(took) < 0.2


def test_the_clients_secrets_are_in_the_capture(folder: Path) -> None:
    server = f"exec {sys.executable} -m synfin.cli.main serve --bind 0.0.0.0 --port 443 -q . >/dev/null"
    done = wire(folder, "--name", "www.example.com", "--loss", "2%", "-w", "x.pcapng", "--server", server,
                "--", "curl", "-skS", "-o", "got", "https://www.example.com/page")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert whole(folder)
    with observe(str(folder / "x.pcapng")) as seen:
        connection = next(iter(seen))
        assert connection.name == "www.example.com"
        assert connection.http is not None and len(connection.http.messages) >= 2, "decrypted with what is in the file"


def test_programs_have_names_addresses_and_their_exit_code(folder: Path) -> None:
    done = wire(folder, "--wait", "0", "--server", "sleep 100", "--", "sh", "-c", "echo {server} {client}; exit 7")
    assert done.stdout == "192.0.2.2 192.0.2.1\n"
    assert done.returncode == 7
    assert "exit code 7" in done.stderr


def test_the_summary_for_programs(folder: Path) -> None:
    done = wire(folder, "--json", "--loss", "20%", "--seed", "5", "-w", "x.pcapng", "--server", HTTP, *fetch())
    said = json.loads(done.stderr.splitlines()[-1])  # the server may have said something
    assert said["exit_code"] == done.returncode == 0
    assert said["seed"] == 5
    assert said["to_client"]["lost"] + said["to_client"]["delivered"] == said["to_client"]["packets"]
    assert (folder / "x.pcapng").stat().st_mode & 0o777 == 0o600, "it may hold secrets"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--", "true"], "add --server"),
        (["--loss", "120%", "--server", "x", "--", "true"], "--loss 120%"),
        (["--delay", "5 parsecs", "--server", "x", "--", "true"], "--delay 5 parsecs"),
        (["--mtu", "9000", "--server", "x", "--", "true"], "--mtu 9000"),
        (["--rst-at", "left:5", "--server", "x", "--", "true"], "--rst-at left:5"),
        (["--at", "moon", "--server", "x", "--", "true"], "--at moon"),
        (["--server", "exit 3", "--", "true"], "the server ended with exit code 3"),
        (["--wait", "0", "--server", "sleep 9", "--", "no-such-program"], "cannot run no-such-program"),
        (["-w", "no/such/folder.pcapng", "--server", "sleep 9", "--", "true"], "cannot be written"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_mistakes_are_one_line_and_exit_code_2(folder: Path, words: list[str], says: str) -> None:
    done = wire(folder, *words)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("synfin: ")
    assert not done.stdout


def marked(mark: str) -> list[str]:
    """Processes that have ``mark`` in their arguments."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if mark.encode() in line and b"synfin.cli.main" not in line:
                found.append(line.decode())
    return found


@pytest.mark.parametrize("how", ["end", "SIGINT", "SIGTERM", "SIGKILL"])
def test_nothing_is_left_behind(folder: Path, how: str) -> None:
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout.count(": wire")
    mark = f"9{os.getpid()}{time.monotonic_ns() % 10**9}"
    server = f"sleep {mark} & exec {sys.executable} -m http.server 80 2>/dev/null"
    words = ["sh", "-c", f"setsid sleep {mark} & echo up; {'true' if how == 'end' else f'exec sleep {mark}'}"]
    scratch = folder / "scratch"
    scratch.mkdir()
    process = subprocess.Popen(
        [*SYNFIN, "--server", server, "--", *words], cwd=folder, env={**os.environ, "TMPDIR": str(scratch)},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    if how != "end":
        assert marked(mark)
        process.send_signal(signal.Signals[how])
    code = process.wait(30)
    assert code == {"end": 0, "SIGINT": 130, "SIGTERM": 143, "SIGKILL": -9}[how]
    for _ in range(500):
        if not marked(mark) and not list(scratch.iterdir()):
            break
        time.sleep(0.02)
    assert not marked(mark)
    assert not list(scratch.iterdir())
    assert subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout.count(": wire") == links


@pytest.mark.skipif(shutil.which("iperf3") is None, reason="iperf3 is not installed")
@pytest.mark.parametrize("way", [[], ["-R"]], ids=["up", "down"])
def test_iperf3_measures_what_the_link_allows(folder: Path, way: list[str]) -> None:
    done = wire(folder, "--rate", "40mbit", "--delay", "2ms", "--server", "iperf3 -s -1 >/dev/null",
                "--", "iperf3", "-c", "server", "-t", "1", "-J", *way)  # fmt: skip
    assert done.returncode == 0, done.stderr
    rate = json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"]
    assert 0 < rate < 42e6, "never more than the link carries"
