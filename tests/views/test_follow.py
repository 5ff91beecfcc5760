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


#: HTTP/2 in clear: preface, SETTINGS with a grease setting, GET; an answer in two packets; GOAWAY.
H2 = r"""
    0.00 a > b SYN
    0.01 b > a SYN,ACK
    0.02 a > b ACK
    0.03 a > b ACK data="PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    0.04 a > b ACK hex=00000c04000000000000040001000080010000000700000101050000000182
    0.05 b > a ACK hex=00000101040000000188000005000100000001
    0.06 b > a ACK data="hello"
    0.07 b > a ACK hex=00000c070000000000000000010000000b63616c6d
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


def test_http2_is_told_frame_by_frame() -> None:
    lines = list(conversation(story_of(H2)))
    assert "[connection preface]" in lines
    assert "[SETTINGS: INITIAL_WINDOW_SIZE 65,536, setting 32769 7]" in lines
    assert "[HEADERS of stream 1, 1 octet, END_STREAM, END_HEADERS]" in lines and ":method: GET" in lines
    at = lines.index("[DATA of stream 1, 5 octets, END_STREAM]")
    assert lines[at + 1] == "hello"
    assert lines[-1] == "[GOAWAY: last_stream_id 1, error_code ENHANCE_YOUR_CALM (11), additional_debug_data calm]"


@needs_shared
@pytest.mark.parametrize("path", captures(), ids=lambda path: path.name)
def test_clear_streams_are_complete(path: object) -> None:
    for connection in stories(path):  # type: ignore[arg-type]
        for side in (0, 1):
            data = b"".join(turn.data for turn in turns(connection, (side,), decrypted=False))
            assert data == b"".join(piece.data for piece in connection.streams[side].pieces)
