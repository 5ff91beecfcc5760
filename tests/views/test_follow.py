"""The two byte streams as a conversation: in order, complete, holes said."""

from __future__ import annotations

import pytest

from synfin.views.follow import conversation, turns
from tests.support.shared import captures, needs_shared
from tests.views.support import stories, story_of

TALK = r"""
    0.00 a > b SYN
    0.01 b > a SYN,ACK
    0.02 a > b ACK
    0.03 a > b ACK data="hello "
    0.04 a > b ACK data="there\r\n"
    0.05 b > a ACK data="\x00\x01\x02\x03"
    0.06 b > a ACK data="after" seq=+10
"""


def test_turns_join_neighbours_and_say_holes() -> None:
    told = [(turn.sender, turn.packets, turn.data, turn.missing) for turn in turns(story_of(TALK))]
    assert told == [
        (0, (4, 5), b"hello there\r\n", 0),
        (1, (6,), b"\x00\x01\x02\x03", 0),
        (1, (), b"", 10),
        (1, (7,), b"after", 0),
    ]


def test_one_side_only() -> None:
    assert {turn.sender for turn in turns(story_of(TALK), (1,))} == {1}


def test_text_is_text_and_octets_are_dumped() -> None:
    lines = list(conversation(story_of(TALK)))
    assert "hello there" in lines
    assert any(line.startswith("00000000  00 01 02 03") for line in lines)
    assert any("10 octets missing" in line for line in lines)


def test_nothing_raw_reaches_the_terminal() -> None:
    lines = list(conversation(story_of(TALK.replace("there", r"\x1b[2J\x07")), style="text"))
    assert r"hello \x1b[2J\x07" in lines
    assert all(line.isprintable() for line in lines)


@needs_shared
@pytest.mark.parametrize("path", captures(), ids=lambda path: path.name)
def test_clear_streams_are_complete(path: object) -> None:
    for connection in stories(path):  # type: ignore[arg-type]
        for side in (0, 1):
            data = b"".join(turn.data for turn in turns(connection, (side,), decrypted=False))
            assert data == b"".join(piece.data for piece in connection.streams[side].pieces)
