"""HTTP/1.x from two byte streams: tables of RFC examples, and laws that hold whatever the octets are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from synfin.observe.httpwatch import watch_http
from synfin.observe.story_http import HttpStory
from synfin.observe.stream import ByteStream, Piece
from synfin.wire.http1 import read_head
from tests.support.streams import MS, Said, chopped, talk

GET = b"GET /hello HTTP/1.1\r\nHost: example.org\r\n\r\n"
HEAD = b"HEAD /hello HTTP/1.1\r\nHost: example.org\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BARE = b"HTTP/1.1 200 OK\r\n\r\n"


def watch(*said: Said, client: int = 0, ended: tuple[bool, bool] = (True, True), **more: Any) -> HttpStory | None:
    return watch_http(talk(*said), client=client, tls=False, ended=ended, **more)


def seen(*said: Said, **more: Any) -> list[tuple[Any, ...]]:
    """Each message as (sender, method or status, framing, octets of body, complete)."""
    story = watch(*said, **more)
    assert story is not None
    return [(m.sender, m.method or m.status, m.framing, m.body, m.complete) for m in story.messages]


ASKED = (0, "GET", "none", 0, True)
ANSWERED = (1, 200, "length", 5, True)

EXCHANGES: list[tuple[str, list[Said], list[tuple[Any, ...]]]] = [
    ("content-length", [(0, GET), (1, OK)], [ASKED, ANSWERED]),
    ("chunked, RFC 9112 7.1", [(0, GET),
      (1, CHUNKED + b"4\r\nWiki\r\n7;a=\"b\"\r\npedia i\r\nB\r\nn \r\nchunks.\r\n0\r\n\r\n")],
     [ASKED, (1, 200, "chunked", 22, True)]),
    ("chunked with trailers, then another", [(0, GET + GET),
      (1, CHUNKED + b"5\r\nhello\r\n0\r\nExpires: never\r\n\r\n" + OK)],
     [ASKED, ASKED, (1, 200, "chunked", 5, True), ANSWERED]),
    ("until the end", [(0, GET), (1, BARE + b"hello")], [ASKED, (1, 200, "close", 5, True)]),
    ("HEAD has no body", [(0, HEAD + GET), (1, b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + OK)],
     [(0, "HEAD", "none", 0, True), ASKED, (1, 200, "none", 0, True), ANSWERED]),
    ("204 and 304 have none", [(0, GET * 3), (1, b"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n"
      b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n" + OK)],
     [ASKED, ASKED, ASKED, (1, 204, "none", 0, True), (1, 304, "none", 0, True), ANSWERED]),
    ("100-continue", [(0, b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"),
      (1, b"HTTP/1.1 100 Continue\r\n\r\n"), (0, b"abc"), (1, OK)],
     [(0, "POST", "length", 3, True), (1, 100, "none", 0, True), ANSWERED]),
    ("early hints", [(0, GET), (1, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK)],
     [ASKED, (1, 103, "none", 0, True), ANSWERED]),
    ("LF alone", [(0, GET.replace(b"\r\n", b"\n")), (1, OK.replace(b"\r\n", b"\n"))], [ASKED, ANSWERED]),
    ("blank lines before", [(0, b"\r\n\r\n" + GET), (1, OK)], [ASKED, ANSWERED]),
    ("HTTP/0.9", [(0, b"GET /hello\r\n"), (1, b"<html>")], [ASKED, (1, None, "close", 6, True)]),
    ("transfer-encoding identity", [(0, GET), (1, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n"
      b"Content-Length: 5\r\n\r\nhello")], [ASKED, ANSWERED]),
    ("one way only", [(1, OK + OK)], [ANSWERED, ANSWERED]),
    ("no length, yet another response", [(0, GET), (1, BARE + b"hello"), (0, GET), (1, OK)],
     [ASKED, (1, 200, "close", 5, True), ASKED, ANSWERED]),
    ("one way only, no lengths", [(1, BARE + b"hello"), (1, OK)], [(1, 200, "close", 5, True), ANSWERED]),
    ("response first", [(1, OK), (0, GET), (1, OK)], [ANSWERED, ASKED, ANSWERED]),
    ("response without length first", [(1, BARE + b"hello"), (0, GET), (1, OK)],
     [(1, 200, "close", 5, True), ASKED, ANSWERED]),
    ("starts in a body", [(1, b"the end of something\r\n"), (0, GET), (1, OK)], [ASKED, ANSWERED]),
]  # fmt: skip


@pytest.mark.parametrize(("said", "expected"), [case[1:] for case in EXCHANGES], ids=[case[0] for case in EXCHANGES])
def test_exchanges(said: list[Said], expected: list[tuple[Any, ...]]) -> None:
    assert seen(*said) == expected


def test_pairs_numbers_and_times() -> None:
    story = watch(
        (0, GET + HEAD), (0, GET), (1, OK[:20]), (1, OK[20:40]), (1, OK[40:] + b"HTTP/1.1 200 OK\r\n\r\n"), (1, OK)
    )
    assert story is not None and story.protocol == "http/1" and story.problems == []
    assert [(m.kind, m.stream) for m in story.messages] == [
        ("request", 1), ("request", 2), ("request", 3), ("response", 1), ("response", 2), ("response", 3),
    ]  # fmt: skip
    first = story.messages[3]
    assert (first.start, first.header_end, first.end) == (3 * MS, 4 * MS, 5 * MS)
    assert first.packets == (3, 5)
    request = story.messages[0]
    assert (request.target, request.authority, request.version) == ("/hello", "example.org", "1.1")
    assert first.headers == (("Content-Length", "5"),) and first.reason == "OK"


def test_a_response_that_stops_short() -> None:
    short = OK[:-2]
    for ended, why in ((True, "closed with 2 octets"), (False, "2 octets of the body outstanding when")):
        story = watch((0, GET), (1, short), ended=(ended, ended))
        assert story is not None
        assert (story.messages[1].complete, story.messages[1].body) == (False, 3)
        assert why in story.messages[1].problem


def test_a_body_until_the_end_is_whole_only_when_its_sender_ended() -> None:
    assert seen((0, GET), (1, BARE + b"hello"), ended=(True, False))[1] == (1, 200, "close", 5, False)


def test_connect_opens_a_tunnel() -> None:
    ask = b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n"
    denied = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno"
    story = watch((0, ask), (1, denied), (0, ask), (1, BARE), (0, b"\x16\x03\x01" + GET), (1, OK))
    assert story is not None and story.switched == "tunnel"
    assert [m.method or m.status for m in story.messages] == ["CONNECT", 407, "CONNECT", 200]
    assert story.messages[-1].framing == "tunnel"


def test_upgrade_switches() -> None:
    ask = b"GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    yes = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    story = watch((0, ask), (1, yes), (0, b"\x81\x05hello"), (1, OK))
    assert story is not None and story.switched == "websocket" and len(story.messages) == 2
    declined = watch((0, ask), (1, OK), (0, GET), (1, OK))
    assert declined is not None and declined.switched is None and len(declined.messages) == 4


BODY = b"x" * 1000
LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n"


def test_holes() -> None:
    inside: list[Said] = [(0, GET), (1, LONG + BODY), (1, 1000), (1, BODY + OK), (0, GET)]
    assert seen(*inside)[1:3] == [(1, 200, "length", 2000, False), ANSWERED]
    in_head = watch((0, GET), (1, b"HTTP/1.1 200 OK\r\nX: "), (1, 30), (1, b"\r\n\r\nhello"), (0, GET), (1, OK))
    assert in_head is not None
    assert [(m.status, m.complete, bool(m.header_end)) for m in in_head.messages if m.sender == 1] == [
        (200, False, False),
        (200, True, True),
    ]
    in_framing = seen((0, GET), (1, CHUNKED + b"5\r\nhel"), (1, 10), (1, b"lo\r\n0\r\n\r\n"), (0, GET), (1, OK))
    assert in_framing[-1] == ANSWERED and not in_framing[1][4]


FAULTS: list[tuple[str, bytes, str]] = [
    ("chunk size", CHUNKED + b"5x\r\nhello\r\n0\r\n\r\n", "bad chunk size"),
    ("chunk too long", CHUNKED + b"3\r\nhello\r\n0\r\n\r\n", "chunk longer than its size"),
    ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "different lengths"),
    ("length and coding", CHUNKED[:-2] + b"Content-Length: 5\r\n\r\n0\r\n\r\n", "beside Transfer-Encoding"),
    ("length no number", b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", "not a number"),
    ("status line", b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n", "bad status line"),
    ("NUL", b"HTTP/1.1 200 OK\r\nX: \x00\r\nContent-Length: 0\r\n\r\n", "NUL"),
    ("obs-fold", b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n", "obs-fold"),
    ("no colon", b"HTTP/1.1 200 OK\r\nnothing\r\nContent-Length: 0\r\n\r\n", "without a colon"),
    ("space before colon", b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n", "before the colon"),
    ("LF alone", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", "LF alone"),
]


@pytest.mark.parametrize(("response", "why"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS])
def test_malformed_framing_is_a_fact_with_its_place(response: bytes, why: str) -> None:
    story = watch((0, GET), (1, response), (0, GET), (1, OK))
    assert story is not None
    assert why in story.messages[1].problem
    evidence, _ = next(problem for problem in story.problems if why in problem[1])
    assert evidence.packets == (2,) and evidence.sender == 1 and evidence.offset is not None
    assert 0 <= evidence.offset <= len(response)
    assert story.messages[-1].status == 200 and story.messages[-1].complete, "reading goes on behind the fault"


def test_a_head_without_end_is_bounded() -> None:
    story = watch((0, b"GET / HTTP/1.1\r\n"), *[(0, b"X: " + b"y" * 1395 + b"\r\n")] * 400, (0, GET), (1, OK))
    assert story is not None
    assert story.messages[0].header_end == 0 and "too long" in story.messages[0].problem
    assert [m.method for m in story.messages if m.sender == 0 and m.header_end] == ["GET"]


NOT_HTTP: list[list[Said]] = [
    [(0, b"\x16\x03\x01\x02\x00\x01")],
    [(1, b"220 mail.example.org ESMTP\r\n"), (0, b"EHLO me\r\n")],
    [(1, b"SSH-2.0-OpenSSH_9.2\r\n"), (0, b"SSH-2.0-me\r\n")],
    [(0, b"OPTIONS rtsp://h/x RTSP/1.0\r\nCSeq: 1\r\n\r\n"), (1, b"RTSP/1.0 200 OK\r\n\r\n")],
    [(0, b"INVITE sip:a@b SIP/2.0\r\n\r\n")],
    [(0, b"GET key\r\n"), (1, b"$-1\r\n")],
    [(0, b"a")],
    [],
]


@pytest.mark.parametrize("said", NOT_HTTP)
def test_what_is_not_http(said: list[Said]) -> None:
    assert watch(*said) is None


def test_sides_are_known_by_content() -> None:
    story = watch((1, GET), (0, OK), client=0)
    assert story is not None
    assert [(m.sender, m.kind, m.stream) for m in story.messages] == [(1, "request", 1), (0, "response", 1)]


def test_start_skips_what_came_before() -> None:
    story = watch((0, b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + GET), (1, OK), start=(32, 0))
    assert story is not None
    assert story.messages[0].offset == 32 and story.messages[0].method == "GET"


HEADS: list[tuple[bytes, tuple[Any, ...]]] = [
    (b"GET http://example.org/pub/ HTTP/1.1\r\n\r\n", ("GET", "http://example.org/pub/", "1.1")),
    (b"OPTIONS * HTTP/1.1\r\n\r\n", ("OPTIONS", "*", "1.1")),
    (b"FOO /x HTTP/1.0\r\n\r\n", ("FOO", "/x", "1.0")),
    (b"GET /a b HTTP/1.1\r\n\r\n", ("GET", "/a", "1.1")),
    (b"GET  /a  HTTP/1.1\r\n\r\n", ("GET", "/a", "1.1")),
    (b"GET /\xc3\xa4 HTTP/1.1\r\n\r\n", ("GET", "/\xc3\xa4", "1.1")),
    (b"GET " + b" " * 20000 + b"HTTP/1.1\r\n\r\n", ("GET", "", "1.1")),
]


@pytest.mark.parametrize(("data", "expected"), HEADS)
def test_request_lines(data: bytes, expected: tuple[Any, ...]) -> None:
    head = read_head(data)
    assert (head.method, head.target, head.version) == expected


# ---------------------------------------------------------------- laws

PLAIN = [
    GET,
    b"POST /p HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd",
    b"PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
]
ANSWERS = [
    OK,
    CHUNKED + b"a\r\n0123456789\r\n0\r\nT: v\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
]


def told(story: HttpStory | None) -> list[tuple[Any, ...]] | None:
    """A story without its packets and times."""
    if story is None:
        return None
    return sorted(m._replace(packets=(0, 0), start=0, header_end=bool(m.header_end), end=0) for m in story.messages)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from(PLAIN), st.sampled_from(ANSWERS)), min_size=1, max_size=5),
    st.integers(1, 40),
    st.sampled_from([b"", b"\r\n", b"trailing"]),
)
def test_chopping_changes_nothing(pairs: list[tuple[bytes, bytes]], size: int, trailing: bytes) -> None:
    said: list[Said] = []
    for ask, answer in pairs:
        said += [(0, ask), (1, answer)]
    said.append((1, trailing))
    assert told(watch(*chopped(said, size))) == told(watch(*said))


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 1),
            st.one_of(
                st.binary(max_size=60),
                st.integers(1, 50),
                st.sampled_from(
                    [*PLAIN, *ANSWERS, BARE, b"0\r\n\r\n", b"\r\n", b"GET /x\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
                ),
            ),
        ),
        max_size=12,
    ),
    st.booleans(),
)
@example([(0, b"\n"), (1, b"HTTP/")], True)
def test_any_octets_are_read_without_raising(said: list[Said], ended: bool) -> None:
    story = watch(*said, ended=(ended, ended))
    if story is not None:
        for message in story.messages:
            assert message.body >= 0 and message.start <= message.end and message.packets[0] <= message.packets[1]


@settings(max_examples=150)
@given(st.data())
def test_mutated_exchanges_are_read_without_raising(data: st.DataObject) -> None:
    octets = bytearray(b"".join([OK, CHUNKED, b"5\r\nhello\r\n0\r\n\r\n", OK, BARE]))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(octets) - 1))
        octets[at] = data.draw(st.integers(0, 255))
    watch(*chopped([(0, GET * 3), (1, bytes(octets))], data.draw(st.integers(1, 80))))


def test_http2_after_an_upgrade_whose_answer_was_lost_is_no_request() -> None:
    request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
    asking = ByteStream([Piece(0, request + preface, 1, 1, 1)], (), ())
    story = watch_http((asking, ByteStream([], (), ())), client=0, tls=False)
    assert story is not None and [message.method for message in story.messages] == ["GET"]
