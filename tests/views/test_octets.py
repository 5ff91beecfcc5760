"""The byte view: every octet of every real frame is told once, whatever the frame is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.capture.reader import open_capture
from synfin.observe.story import Connection
from synfin.views.octets import Frame, explain, sections
from tests.support.packets import frames
from tests.support.shared import captures, needs_shared
from tests.views import sample
from tests.views.support import stories, story_of
from tests.views.test_follow import H2


@given(st.integers(0, 24), st.integers(0, 900), st.integers(0, 255))
@settings(max_examples=60)
def test_damaged_frames_are_explained_all_the_same(place: int, at: int, octet: int) -> None:
    connection = _sample()
    data = bytearray(frames(sample.tls12())[place][1])
    data[at % len(data)] = octet
    for cut in (len(data), at % len(data)):
        lines = list(explain(Frame(place + 1, 1, bytes(data[:cut]), len(data)), connection, 100))
        assert all(line.isprintable() for line in lines)


_KEPT: list[Connection] = []


def _sample() -> Connection:
    if not _KEPT:
        _KEPT.append(story_of(sample.tls12()))
    return _KEPT[0]


def test_a_message_over_three_packets_is_cut_to_each() -> None:
    connection = _sample()
    told = [
        " ".join(span.path for span in sections(Frame(number, 1, octets, len(octets)), connection)[0].spans)
        for number, (_, octets) in enumerate(frames(sample.tls12()), 1)
        if number in (6, 7, 8)
    ]
    assert "cert_data (first part)" in told[0]
    assert "cert_data (middle part)" in told[1]
    assert "cert_data (last part)" in told[2]


def test_encrypted_records_are_named_as_such() -> None:
    octets = frames(sample.tls12())[12][1]
    values = [span.value for span in sections(Frame(13, 1, octets, len(octets)), _sample())[0].spans]
    assert "120 octets, encrypted" in values


@needs_shared
@pytest.mark.parametrize("path", captures(), ids=lambda path: path.name)
def test_real_frames(path: Path) -> None:
    owners = {number: connection for connection in stories(path) for number in connection.rows.number}
    with open_capture(path) as capture:
        for batch in capture.batches():
            for row in batch.rows[:30]:
                at, number = int(row["frame_at"]), int(row["number"])
                octets = bytes(batch.data[at : at + int(row["caplen"])])
                link = batch.links[int(row["link"])].link_type
                frame = Frame(number, link, octets, int(row["wirelen"]))
                first = sections(frame, owners.get(number))[0]
                assert all(0 <= span.start < span.end <= len(octets) for span in first.spans)
                lines = list(explain(frame, owners.get(number), 120))
                assert all(line.isprintable() for line in lines)
                offsets = [int(line[:4], 16) for line in lines[1:] if re.match(r"[0-9a-f]{4}  ", line)]
                assert not offsets or offsets[0] == 0


def test_http2_frames_have_fields() -> None:
    octets = frames(H2)[4][1]
    spans = {span.path: span.value for span in sections(Frame(5, 1, octets, len(octets)), story_of(H2))[0].spans}
    assert spans["h2.settings.INITIAL_WINDOW_SIZE"] == "65,536"
    assert spans["h2.flags"] == "0x05 END_STREAM, END_HEADERS"
    assert str(spans["h2.field_block_fragment"]).endswith("(HPACK): :method: GET")
