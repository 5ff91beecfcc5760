"""Frames of HTTP/2 in any order, lawful and not, cut anywhere, with answers between: PeerError, and nothing else."""

from __future__ import annotations

import random

from hpack import Encoder
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.errors import PeerError
from synfin.http.app import Answer, Budget, Refusal, Request
from synfin.http.server2 import Http2
from synfin.wire.http2 import PREFACE

BUDGET = 1000


def head(dice: random.Random, encoder: Encoder, stream: int) -> Frame:
    fields = [
        (":method", dice.choice(("GET", "POST", "HEAD", "CONNECT", "B@D"))),
        (":path", dice.choice(("/", "*", "x", "/a?b"))),
        (":scheme", "https"),
        (":authority", "x"),
    ]
    if dice.random() < 0.4:
        fields.append(("content-length", dice.choice(("0", "3", "9", "9999999", "x", "00"))))
    if dice.random() < 0.3:
        fields.append(("expect", dice.choice(("100-continue", "tea"))))
    if dice.random() < 0.1:
        fields.append((dice.choice(("Bad", "te", "connection", ":x")), "v"))
    flags = ["END_HEADERS", *(["END_STREAM"] if dice.random() < 0.5 else [])]
    return HeadersFrame(stream, encoder.encode(fields), flags=flags)


def other(dice: random.Random, stream: int) -> Frame:
    ended = ["END_STREAM"] if dice.random() < 0.5 else []
    return dice.choice(
        (
            lambda: DataFrame(stream, bytes(dice.choice((0, 3, 9, 200))), flags=ended),
            lambda: DataFrame(stream, bytes(9), flags=ended),
            lambda: RstStreamFrame(stream, error_code=dice.choice((0, 8))),
            lambda: RstStreamFrame(stream, error_code=8),
            lambda: WindowUpdateFrame(dice.choice((0, stream)), window_increment=dice.choice((1, 100, 1 << 30))),
            lambda: SettingsFrame(0, {dice.choice((1, 3, 4, 5)): dice.choice((0, 1, 16_384, 1 << 16))}),
            lambda: PingFrame(0, b"12345678"),
            lambda: PriorityFrame(stream, depends_on=dice.choice((0, stream + 2))),
            lambda: GoAwayFrame(0, error_code=dice.choice((0, 1))),
        )
    )()


def talked(dice: random.Random) -> bytes:
    """What a client may say."""
    encoder = Encoder()
    said = PREFACE + SettingsFrame(0, {4: dice.choice((0, 10, 65_535))}).serialize()
    opened = 1
    for _ in range(dice.randrange(1, 14)):
        if opened == 1 or dice.random() < 0.4:
            said += head(dice, encoder, opened).serialize()
            opened += 2
        else:
            said += other(dice, dice.randrange(1, opened, 2)).serialize()
    return said


@given(st.integers(0, 1 << 32))
@settings(max_examples=400)
def test_frames_in_any_order_end_in_peer_errors_only(seed: int) -> None:
    dice = random.Random(seed)
    said, budget = talked(dice), Budget(dice.choice((5, BUDGET)))
    most = budget.left
    server = Http2(max_body=dice.choice((0, 10, 100_000)), budget=budget, bodies=dice.random() < 0.7)
    waiting: list[tuple[int, Request | Refusal]] = []
    at = 0
    try:
        while at < len(said):
            size = dice.choice((len(said), 200, 50, 9))
            waiting += server.receive(said[at : at + size])
            at += size
            dice.shuffle(waiting)
            while waiting and dice.random() < 0.8:
                stream, _ = waiting.pop()
                body = bytes(dice.choice((0, 5, 40_000)))
                server.answer(stream, Answer(dice.choice((200, 204, 304, 413)), (), body), dice.random() < 0.3, "date")
            if dice.random() < 0.7:
                server.output(dice.choice((100, 100_000)))
        for stream, _ in waiting:
            server.answer(stream, Answer(200, (), b"x"), False, "date")
    except PeerError:
        assert server.closed
    server.output(1 << 20)
    server.forget()
    assert budget.left == most
