"""What is said about a capture as a whole."""

from __future__ import annotations

from synfin.judge.engine import judge_capture
from synfin.observe.story import Quality
from synfin.views.capture import capture_notes


def test_nothing_is_said_of_what_did_not_happen() -> None:
    assert list(capture_notes(Quality(3, 0, 0, 0, 0, (), ()), 1, 1)) == ["1 connection in 3 packets."]


def test_what_bounded_memory_left_out_is_said() -> None:
    notes = list(capture_notes(Quality(9_000_000, 0, 0, 0, 0, (), (), early=7, late=1), 1000, 1000))
    assert notes[1:] == [
        "7 connections told unfinished: too many packets waited at once.",
        "1 packet came after its connection had been told; not shown.",
    ]


def test_damage_that_was_only_counted_is_counted_here() -> None:
    found = Quality(9, 0, 0, 0, 0, (), ("packet 3 at 99: cut",), more_problems=4000)
    assert list(capture_notes(found, 1, 1))[1:] == [
        "Damage: packet 3 at 99: cut",
        "and 4,000 more problems of the file.",
    ]
    assert "(and 4,000 more)" in judge_capture(found)[0].title
