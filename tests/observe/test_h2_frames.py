"""HTTP/2 from two byte streams: messages, resets, windows, lost header tables; the h2 library as a foreign judge."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Any

import h2.config
import h2.connection
import pytest
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.observe.httpwatch import watch_http
from synfin.observe.story_http import H2Event, HttpStory
from synfin.wire.http2 import PREFACE
from tests.support.streams import MS, Said, chopped, talk

ASK = [(":method", "GET"), (":scheme", "https"), (":path", "/a"), (":authority", "example.org"), ("x-one", "1")]
ANSWER = [(":status", "200"), ("content-length", "5"), ("server", "s")]
HELLO = PREFACE + SettingsFrame(0).serialize()


def headers(stream: int, block: bytes, *flags: str) -> bytes:
    return HeadersFrame(stream, block, flags=["END_HEADERS", *flags]).serialize()


def data(stream: int, octets: bytes, *flags: str) -> bytes:
    return DataFrame(stream, octets, flags=list(flags)).serialize()


def ask(encoder: Encoder, stream: int = 1, *flags: str) -> bytes:
    return headers(stream, encoder.encode(ASK), *(flags or ("END_STREAM",)))


def answer(encoder: Encoder, stream: int = 1) -> bytes:
    return headers(stream, encoder.encode(ANSWER))


def watch(*said: Said, **more: Any) -> HttpStory:
    story = watch_http(talk(*said), client=0, tls=True, **more)
    assert story is not None
    return story


def events(story: HttpStory, what: str) -> list[H2Event]:
    return [event for event in story.h2 if event.what == what]


def test_an_exchange() -> None:
    one, other = Encoder(), Encoder()
    story = watch(
        (0, HELLO + ask(one)),
        (1, SettingsFrame(0, {4: 100000, 3: 7}).serialize() + SettingsFrame(0, flags=["ACK"]).serialize()),
        (1, answer(other)),
        (1, data(1, b"hel") + data(1, b"lo", "END_STREAM")),
    )
    assert story.protocol == "h2" and story.problems == []
    request, response = story.messages
    assert (request.method, request.target, request.authority, request.stream) == ("GET", "/a", "example.org", 1)
    assert (response.status, response.body, response.declared, response.complete) == (200, 5, 5, True)
    assert (response.start, response.header_end, response.end) == (3 * MS, 3 * MS, 4 * MS)
    assert events(story, "settings")[1].detail == "INITIAL_WINDOW_SIZE=100000 MAX_CONCURRENT_STREAMS=7"
    assert len(events(story, "settings_ack")) == 1


def test_continuation_trailers_interim_and_push() -> None:
    one, other = Encoder(), Encoder()
    block = one.encode(ASK)
    split = HeadersFrame(1, block[:5], flags=["END_STREAM"]).serialize()
    split += ContinuationFrame(1, block[5:9]).serialize()
    split += ContinuationFrame(1, block[9:], flags=["END_HEADERS"]).serialize()
    promised = PushPromiseFrame(1, 2, other.encode(ASK), flags=["END_HEADERS"]).serialize()
    answers = promised + headers(1, other.encode([(":status", "103")])) + answer(other) + data(1, b"hello")
    answers += headers(1, other.encode([("checksum", "1")]), "END_STREAM")
    answers += headers(2, other.encode([(":status", "204")]), "END_STREAM")
    story = watch((0, HELLO + split), (1, answers))
    assert story.problems == []
    assert [(m.sender, m.stream, m.method or m.status, m.complete) for m in story.messages] == [
        (0, 1, "GET", True),
        (1, 2, "GET", True),
        (1, 1, 103, True),
        (1, 1, 200, True),
        (1, 2, 204, True),
    ]


def test_reset_and_goaway_are_told_by_name() -> None:
    one, other = Encoder(), Encoder()
    story = watch(
        (0, HELLO + ask(one)),
        (1, answer(other) + data(1, b"he")),
        (0, RstStreamFrame(1, 8).serialize()),
        (1, GoAwayFrame(0, 1, 11, additional_data=b"calm down").serialize()),
    )
    assert events(story, "rst_stream")[0].detail == "CANCEL (8)"
    goaway = events(story, "goaway")[0]
    assert (goaway.code, goaway.stream) == (11, 1) and "ENHANCE_YOUR_CALM" in goaway.detail
    assert "calm down" in goaway.detail
    response = story.messages[1]
    assert not response.complete and "reset by the receiver: CANCEL" in response.problem


def test_window_stalls_on_stream_and_connection() -> None:
    one, other = Encoder(), Encoder()
    full = b"".join(data(1, b"x" * 16383) for _ in range(4)) + data(1, b"xxx")
    story = watch(
        (0, HELLO + ask(one)),
        (1, headers(1, other.encode([(":status", "200")])) + full),
        (0, WindowUpdateFrame(0, 10).serialize()),
        (0, WindowUpdateFrame(1, 10).serialize()),
        (1, data(1, b"end", "END_STREAM")),
    )
    stalls = events(story, "window_stall")
    assert [(event.stream, event.time, event.until, event.sender) for event in stalls] == [
        (0, 2 * MS, 3 * MS, 1),
        (1, 2 * MS, 4 * MS, 1),
    ]
    assert story.problems == [] and story.messages[1].complete


def test_a_window_used_up_by_the_last_octet_is_no_stall() -> None:
    one, other = Encoder(), Encoder()
    small = PREFACE + SettingsFrame(0, {4: 5}).serialize()
    story = watch((0, small + ask(one)), (1, answer(other) + data(1, b"hello", "END_STREAM")))
    assert events(story, "window_stall") == []


def test_a_stall_that_never_ends_lasts_to_the_end() -> None:
    one, other = Encoder(), Encoder()
    small = PREFACE + SettingsFrame(0, {4: 2}).serialize()
    story = watch((0, small + ask(one)), (1, answer(other) + data(1, b"he")), (0, SettingsFrame(0).serialize()))
    assert [(event.stream, event.until) for event in events(story, "window_stall")] == [(1, 3 * MS)]


def test_data_beyond_the_window_is_a_fact() -> None:
    one, other = Encoder(), Encoder()
    small = PREFACE + SettingsFrame(0, {4: 2}).serialize()
    story = watch((0, small + ask(one)), (1, answer(other) + data(1, b"hello", "END_STREAM")))
    assert ["beyond the flow-control window" in why for _, why in story.problems] == [True]


def test_after_a_hole_only_what_is_known_is_told() -> None:
    one, other = Encoder(), Encoder()
    first, lost, third, fourth = (ask(one, stream) for stream in (1, 3, 5, 7))
    fresh = headers(9, one.encode([(":method", "GET"), (":path", "/new"), ("x-two", "2")]), "END_STREAM")
    again = headers(11, one.encode([(":method", "GET"), (":path", "/new"), ("x-two", "2")]), "END_STREAM")
    story = watch(
        (0, HELLO + first), (0, len(lost)), (0, third), (0, fourth), (0, fresh), (0, again), (1, answer(other))
    )
    told = {m.stream: m for m in story.messages if m.sender == 0}
    assert told[1].authority == "example.org"
    assert told[5].method == "GET" and told[5].authority is None
    assert "header table unknown" in told[5].problem
    assert told[9].target == told[11].target == "/new", "what was added after the hole is known"
    assert told[9].problem == told[11].problem == ""


def test_a_hole_inside_data_is_stepped_over() -> None:
    one, other = Encoder(), Encoder()
    body = data(1, b"x" * 3000, "END_STREAM")
    both = answer(other) + body[:1000]
    story = watch((0, HELLO + ask(one) + ask(one, 3)), (1, both), (1, 500), (1, body[1500:] + answer(other, 3)))
    responses = [m for m in story.messages if m.sender == 1]
    assert [(m.stream, m.status, m.body, m.complete) for m in responses] == [(1, 200, 2500, False), (3, 200, 0, False)]
    assert "missing" in responses[0].problem


def test_a_capture_that_begins_later() -> None:
    one, other = Encoder(), Encoder()
    one.encode(ASK)
    story = watch((0, ask(one, 3)), (1, answer(other, 3) + data(3, b"hello", "END_STREAM")), alpn="h2")
    assert [(m.stream, m.method or m.status, m.body) for m in story.messages] == [(3, "GET", 0), (3, 200, 5)]
    assert "header table unknown" in story.messages[0].problem


def test_h2c_upgrade() -> None:
    settings_field = urlsafe_b64encode(SettingsFrame(0, {4: 5}).serialize()[9:]).rstrip(b"=")
    request = b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: "
    request += settings_field + b"\r\n\r\n"
    switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    other = Encoder()
    story = watch(
        (0, request),
        (1, switch + SettingsFrame(0).serialize() + answer(other) + data(1, b"hello")),
        (0, HELLO),
        (0, WindowUpdateFrame(1, 10).serialize()),
        (1, data(1, b"", "END_STREAM")),
    )
    assert story.switched == "h2c" and story.problems == []
    assert [(m.version, m.method or m.status, m.stream) for m in story.messages] == [
        ("1.1", "GET", 1),
        ("1.1", 101, 1),
        ("2", 200, 1),
    ]
    assert [event.stream for event in events(story, "window_stall")] == [1], "the upgrade's settings count"


def test_an_http1_answer_to_the_preface() -> None:
    story = watch((0, HELLO + ask(Encoder())), (1, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"))
    assert [(m.version, m.method or m.status) for m in story.messages] == [("2", "GET"), ("1.1", 400)]
    assert any("HTTP/1 answer" in why for _, why in story.problems)


def test_a_header_bomb_is_bounded() -> None:
    encoder = Encoder()
    seed = encoder.encode([("x", "y" * 4000)])
    bomb = seed + bytes([0xBE]) * 16000
    frame = HeadersFrame(1, bomb[:16000], flags=["END_STREAM", "END_HEADERS"]).serialize()
    story = watch((0, HELLO + frame + ask(Encoder(), 3)), (1, SettingsFrame(0).serialize()))
    assert any("header list larger" in why for _, why in story.problems)


MALFORMED: list[tuple[str, bytes]] = [
    ("settings length", b"\x00\x00\x05\x04\x00\x00\x00\x00\x00hello"),
    ("settings on a stream", b"\x00\x00\x00\x04\x00\x00\x00\x00\x01"),
    ("window update of zero", b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
    ("headers on stream 0", b"\x00\x00\x01\x01\x05\x00\x00\x00\x00\x82"),
    ("data on stream 0", b"\x00\x00\x01\x00\x01\x00\x00\x00\x00x"),
    ("too much padding", b"\x00\x00\x02\x00\x08\x00\x00\x00\x01\x09x"),
    ("continuation alone", b"\x00\x00\x01\x09\x04\x00\x00\x00\x01\x82"),
    ("bad index", headers(1, b"\xff\x20", "END_STREAM")),
    ("block not continued", HeadersFrame(1, b"\x82").serialize() + SettingsFrame(0).serialize()),
]


@pytest.mark.parametrize("frame", [case[1] for case in MALFORMED], ids=[case[0] for case in MALFORMED])
def test_malformed_frames_are_facts(frame: bytes) -> None:
    story = watch((0, HELLO), (0, frame), (0, headers(5, Encoder().encode(ASK), "END_STREAM")))
    evidence, _ = story.problems[0]
    assert evidence.packets == (2,) and evidence.sender == 0
    assert story.messages[-1].stream == 5 and story.messages[-1].method == "GET"


# ---------------------------------------------------------------- laws and the foreign judge


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.sampled_from(["/", "/a", "/b?c"]), st.integers(0, 3000), st.integers(0, 40000), st.booleans()),
        min_size=1,
        max_size=5,
    ),
    st.integers(7, 5000),
)
def test_what_h2_sends_is_read_back(exchanges: list[tuple[str, int, int, bool]], size: int) -> None:
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    said: list[Said] = []

    def send(side: int) -> None:
        octets = (client, server)[side].data_to_send()
        if octets:
            said.append((side, octets))
            (server, client)[side].receive_data(octets)

    client.initiate_connection()
    server.initiate_connection()
    send(0)
    send(1)
    send(0)
    expected: list[tuple[object, ...]] = []
    for path, asked, answered, trailers in exchanges:
        stream = client.get_next_available_stream_id()
        request = [
            (":method", "POST"),
            (":scheme", "https"),
            (":path", path),
            (":authority", "h"),
            ("x-size", str(asked)),
        ]
        client.send_headers(stream, request)
        client.send_data(stream, b"q" * asked, end_stream=True)
        send(0)
        server.increment_flow_control_window(asked or 1)
        server.send_headers(stream, [(":status", "200"), ("x-size", str(answered))])
        for at in range(0, answered, 16384):
            server.send_data(stream, b"r" * min(16384, answered - at))
        if trailers:
            server.send_headers(stream, [("end", "yes")], end_stream=True)
        else:
            server.end_stream(stream)
        send(1)
        client.increment_flow_control_window(answered or 1)
        send(0)
        expected += [(0, stream, path, asked, True), (1, stream, 200, answered, True)]
    story = watch_http(talk(*chopped(said, size)), client=0, tls=True, alpn="h2")
    assert story is not None and story.problems == []
    assert [(m.sender, m.stream, m.target or m.status, m.body, m.complete) for m in story.messages] == expected
    assert events(story, "window_stall") == []


def whole() -> bytes:
    one = Encoder()
    octets = HELLO + ask(one) + ask(one, 3, "PRIORITY") + WindowUpdateFrame(0, 9).serialize()
    return octets + GoAwayFrame(0, 1, 2).serialize() + ask(one, 5) + data(7, b"x" * 30, "END_STREAM")


@settings(max_examples=150)
@given(st.data())
def test_mutated_frames_are_read_without_raising(drawn: st.DataObject) -> None:
    octets = bytearray(whole())
    for _ in range(drawn.draw(st.integers(0, 6))):
        octets[drawn.draw(st.integers(0, len(octets) - 1))] = drawn.draw(st.integers(0, 255))
    said: list[Said] = [(0, bytes(octets)), (1, bytes(octets[len(PREFACE) :]))]
    pieces = chopped(said, drawn.draw(st.integers(1, 100)))
    if drawn.draw(st.booleans()):
        pieces.insert(
            drawn.draw(st.integers(0, len(pieces))), (drawn.draw(st.integers(0, 1)), drawn.draw(st.integers(1, 40)))
        )
    watch_http(talk(*pieces), client=0, tls=True, alpn="h2")


@settings(max_examples=60)
@given(st.binary(max_size=400), st.binary(max_size=400))
def test_any_octets_are_read_without_raising(one: bytes, other: bytes) -> None:
    watch_http(talk((0, PREFACE + one), (1, other)), client=0, tls=True, alpn="h2")
    watch_http(talk((0, one), (1, other)), client=0, tls=True, alpn="h2")


def test_every_cut_is_read_without_raising() -> None:
    octets = whole()
    for end in range(len(octets)):
        watch_http(talk((0, octets[:end])), client=0, tls=True, alpn="h2")


def test_chopping_changes_nothing() -> None:
    one, other = Encoder(), Encoder()
    said: list[Said] = [
        (0, HELLO + ask(one)),
        (1, SettingsFrame(0).serialize() + answer(other) + data(1, b"hello", "END_STREAM")),
    ]
    expected = [(m.headers, m.body, m.complete) for m in watch(*said).messages]
    for size in (1, 2, 9, 16, 17, 33):
        assert [(m.headers, m.body, m.complete) for m in watch(*chopped(said, size)).messages] == expected
