"""The classic lessons: what the engines did, and that their captures show the same to the observer and to tshark."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

import pytest

from synfin.cli.lessons import WORDS
from synfin.errors import UsageError
from synfin.lab.captures import observe_octets
from synfin.lab.lessons import LESSONS, Lesson, lesson
from synfin.observe.story import Connection
from synfin.observe.story_tcp import Mark
from synfin.observe.tcpstates import States, follow
from synfin.views.segments import segments

NAMES = list(LESSONS)
PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "teach-with-the-demo.md"


@lru_cache(maxsize=16)
def played(name: str) -> Lesson:
    return lesson(name)


def stories(name: str) -> list[Connection]:
    return sorted(observe_octets(played(name).capture), key=lambda connection: connection.id)


def seen(connection: Connection, side: int) -> tuple[str, ...]:
    """The states an end went through, as the observer tells them."""
    steps: list[States] = []
    follow(connection.rows, steps)
    out: list[str] = []
    for step in steps:
        if not out or out[-1] != step[side].state:
            out.append(step[side].state)
    return tuple(out)


def test_every_lesson_has_its_words() -> None:
    assert list(WORDS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_makes_the_same_octets(name: str) -> None:
    assert lesson(name) == played(name)
    assert lesson(name, 2).capture != played(name).capture
    assert lesson(name, 2).states == played(name).states


@pytest.mark.parametrize("name", NAMES)
def test_the_capture_shows_what_alice_went_through(name: str) -> None:
    truth = played(name).states[0][1:]
    if "TIME_WAIT" in truth:
        truth = truth[:-1]  # nothing on the wire tells when TIME_WAIT is over
    assert seen(stories(name)[-1], 0) == truth


@pytest.mark.parametrize("name", NAMES)
def test_everybody_heard_what_was_said(name: str) -> None:
    alice, bob = played(name).got
    assert bob == b"what time is it?"
    assert alice == {"lost-segment": bytes(14_000), "zero-window": bytes(12_000)}.get(name, b"half past nine")


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("stale-syn", "stale_syn"),
        ("simultaneous-open", "simultaneous_open"),
        ("simultaneous-close", "simultaneous_close"),
        ("lost-last-ack", "four_segment_close"),
    ],
)
def test_the_observer_names_the_shape(name: str, shape: str) -> None:
    assert shape in stories(name)[0].tcp.shape


MARKS = [
    ("lost-last-ack", "retransmission", 10),
    ("lost-segment", "fast_retransmission", 17),
    ("old-duplicate", "spurious_retransmission", 6),
    ("zero-window", "zero_window_probe", 10),
]


@pytest.mark.parametrize(("name", "mark", "packet"), MARKS)
def test_marks(name: str, mark: str, packet: int) -> None:
    (connection,) = stories(name)
    marked = [
        number
        for number, bits in zip(connection.rows.number, connection.tcp.marks, strict=True)
        if bits & Mark[mark.upper()]
    ]
    assert marked == [packet]


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize(("name", "mark", "packet"), MARKS)
def test_tshark_marks_the_same(name: str, mark: str, packet: int, tmp_path: Path) -> None:
    path = tmp_path / "lesson.pcapng"
    path.write_bytes(played(name).capture)
    command = ["tshark", "-n", "-r", str(path), "-Y", f"tcp.analysis.{mark}", "-T", "fields", "-e", "frame.number"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert said == [str(packet)]


def test_time_wait_acknowledges_the_fin_again() -> None:
    (connection,) = stories("lost-last-ack")
    rows = connection.rows
    fins = [rows.number[i] for i in range(len(rows)) if rows.sender[i] == 1 and rows.flags[i] & 1]
    acks = [rows.number[i] for i in range(len(rows)) if rows.sender[i] == 0 and rows.number[i] > fins[0]]
    assert (fins, acks) == ([8, 10], [9, 11])


def test_the_stale_syn_connects_nobody() -> None:
    stale, meant = stories("stale-syn")
    assert stale.tcp.handshake == "syn_synack"
    assert stale.tcp.sides[0].rsts == 1
    assert meant.tcp.handshake == "complete"


def test_a_past_connection_is_not_heard_again() -> None:
    past, meant = stories("past-connection")
    assert past.tcp.handshake == meant.tcp.handshake == "complete"
    rows = meant.rows
    (copy,) = [i for i in range(len(rows)) if rows.sender[i] == 0 and rows.load_len[i] == len("what day is it?")]
    assert (rows.seq[copy] - rows.seq[0]) & 0xFFFFFFFF > 1 << 31, "its number is before the SYN's"
    assert rows.ack[copy + 1] == rows.ack[copy - 1], "it is acknowledged, and nothing of it is taken"
    assert "old duplicate" in " ".join(segments(meant)[copy].marks)
    assert not any(mark for mark in rows.options(copy + 1)[12:]), "no D-SACK: its octets are of another stream"


def test_the_crashed_host_refuses() -> None:
    assert played("half-open").states[0][-1] == "CLOSED"
    (connection,) = stories("half-open")
    assert connection.tcp.rst_first_by == 1


def test_mistakes() -> None:
    with pytest.raises(UsageError, match="no scene 'nix'; there are stale-syn"):
        lesson("nix")
    with pytest.raises(UsageError, match="seed -1"):
        lesson("stale-syn", -1)


def test_the_program_of_the_howto_is_true() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    exec(compile(block, str(PAGE), "exec"), {})
