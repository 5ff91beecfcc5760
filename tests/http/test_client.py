"""The client's side of HTTP: what goes out is read by h11 and h2 servers, what comes in is bounded and named."""

from __future__ import annotations

from collections.abc import Iterator

import h2.config
import h2.connection
import h2.events
import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synfin.errors import PeerError, UsageError
from synfin.http.client import Answer, Body, Done, Head, Limits, Request, checked
from synfin.http.client1 import Http1
from synfin.http.client2 import Http2

GET = Request("GET", "https", "www.example.org", "/a?b=c", (("User-Agent", "test"), ("Accept", "*/*")))
POST = Request("POST", "https", "www.example.org", "/", (("X-One", "ä"),), b"x" * 200_000)


def take(exchange: Http1 | Http2, data: bytes, step: int = 0) -> list[Answer]:
    """Everything that comes of ``data``, whole or ``step`` octets at a time."""
    found: list[Answer] = []
    for at in range(0, len(data), step or len(data) or 1):
        found += exchange.receive(data[at : at + (step or len(data))])
    return found


def joined(answers: list[Answer]) -> tuple[list[int], bytes, bool]:
    return (
        [one.status for one in answers if isinstance(one, Head)],
        b"".join(one.data for one in answers if isinstance(one, Body)),
        any(isinstance(one, Done) for one in answers),
    )


# ---------------------------------------------------------------- HTTP/1.1


@pytest.mark.parametrize("request_", [GET, POST], ids=["get", "post"])
def test_an_h11_server_reads_the_request(request_: Request) -> None:
    server = h11.Connection(h11.SERVER)
    server.receive_data(Http1(request_).output())
    events = []
    while True:
        event = server.next_event()
        if event is h11.NEED_DATA or event is h11.PAUSED:
            break
        events.append(event)
    first = events[0]
    assert isinstance(first, h11.Request)
    assert (first.method.decode(), first.target.decode()) == (request_.method, request_.target)
    assert (b"host", b"www.example.org") in list(first.headers)
    body = b"".join(bytes(event.data) for event in events if isinstance(event, h11.Data))
    assert body == request_.body and isinstance(events[-1], h11.EndOfMessage)


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    ],
    ids=["length", "chunked"],
)
def test_answers_whole_and_octet_by_octet(answer: bytes, step: int) -> None:
    assert joined(take(Http1(GET), answer, step)) == ([103, 200], b"hello", True)


def test_an_answer_that_ends_with_the_connection() -> None:
    exchange = Http1(GET)
    found = take(exchange, b"HTTP/1.0 200 OK\r\n\r\nhello") + exchange.receive_eof()
    assert joined(found) == ([200], b"hello", True)


def test_head_and_switching_have_no_body() -> None:
    head = Http1(Request("HEAD", "https", "a", "/"))
    assert joined(take(head, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")) == ([200], b"", True)


@pytest.mark.parametrize(
    ("answer", "violation"),
    [
        (b"", "http_empty_reply"),
        (b"\0\1 not http\r\n\r\n", "http_bad_start_line"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "http_bad_field"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "http_conflicting_lengths"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "http_bad_length"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "http_bad_chunk"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "http_short_body"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000, "http_bad_field"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 40, "http_answer_unasked"),
        (b"HTTP/1.1 200 OK\r\nContent-", "http_empty_reply"),
        (b"HTTP/1.1 abc OK\r\n\r\n", "http_bad_start_line"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 abc OK\r\n\r\n", "http_bad_start_line"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "http_answer_unasked"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_answers_are_named(answer: bytes, violation: str) -> None:
    exchange = Http1(GET)
    with pytest.raises(PeerError) as caught:
        take(exchange, answer)
        exchange.receive_eof()
    assert caught.value.violation == violation
    assert "bytearray" not in str(caught.value) and "event" not in str(caught.value)


@given(st.binary(max_size=400))
def test_any_octets_end_in_an_answer_or_a_peer_error(data: bytes) -> None:
    for exchange in (Http1(GET), Http2(GET)):
        try:
            exchange.receive(data)
            exchange.receive_eof()
        except PeerError:
            pass


# ---------------------------------------------------------------- HTTP/2


def server_of(exchange: Http2) -> tuple[h2.connection.H2Connection, list[h2.events.Event]]:
    """An h2 server that has read what the client sent first."""
    server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
    server.initiate_connection()
    return server, server.receive_data(exchange.output())


def test_an_h2_server_reads_the_request() -> None:
    _, events = server_of(Http2(GET))
    asked = next(event for event in events if isinstance(event, h2.events.RequestReceived))
    assert [(str(name), str(value)) for name, value in asked.headers or []] == [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "www.example.org"),
        (":path", "/a?b=c"),
        ("user-agent", "test"),
        ("accept", "*/*"),
    ]


def test_a_large_body_waits_for_the_servers_window() -> None:
    exchange = Http2(POST)
    server, events = server_of(exchange)
    body = b""
    for _ in range(100):
        for event in events:
            if isinstance(event, h2.events.DataReceived):
                body += event.data
                server.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
        exchange.receive(server.data_to_send())
        out = exchange.output()
        if not out:
            break
        events = server.receive_data(out)
    assert body == POST.body


@pytest.mark.parametrize("step", [0, 1])
def test_an_answer_over_h2(step: int) -> None:
    exchange = Http2(GET)
    server, _ = server_of(exchange)
    server.send_headers(1, [(":status", "103"), ("link", "x")])
    server.send_headers(1, [(":status", "200"), ("x", "y")])
    server.send_data(1, b"hello")
    server.send_headers(1, [("trailer", "z")], end_stream=True)
    found = take(exchange, server.data_to_send(), step)
    assert joined(found) == ([103, 200], b"hello", True)
    assert found[-1] == Done((("trailer", "z"),))
    assert exchange.goodbye()


def wrong() -> Iterator[tuple[str, bytes, str]]:
    settings = b"\0\0\0\4\0\0\0\0\0"
    yield "http/1", b"HTTP/1.1 400 Bad Request\r\n\r\n", "h2_bad_preface"
    yield "goaway", settings + b"\0\0\x08\7\0\0\0\0\0" + bytes(4) + b"\0\0\0\x0b", "h2_goaway"
    yield "reset", settings + b"\0\0\4\3\0\0\0\0\1\0\0\0\7", "h2_stream_reset"
    yield "setting", b"\0\0\6\4\0\0\0\0\0\0\2\0\0\0\7", "h2_bad_settings"
    yield "frame size", settings + b"\0\0\3\3\0\0\0\0\1\0\0\0", "h2_bad_frame_size"
    yield "header block", settings + b"\0\0\2\1\4\0\0\0\1\xff\xff", "h2_bad_header_block"
    yield "too long a frame", settings + b"\xff\xff\xff\0\0\0\0\0\1", "h2_bad_frame_size"
    yield "pings", settings + b"\0\0\x08\6\0\0\0\0\0" * 1 + bytes(8), ""


@pytest.mark.parametrize(("data", "violation"), [one[1:] for one in wrong()], ids=[one[0] for one in wrong()])
def test_wrong_h2_is_named(data: bytes, violation: str) -> None:
    exchange = Http2(GET)
    if not violation:
        assert exchange.receive(data) == []
        return
    with pytest.raises(PeerError) as caught:
        exchange.receive(data)
    assert caught.value.violation == violation
    assert exchange.receive(b"more") == []


def test_floods_end() -> None:
    exchange = Http2(GET, Limits(idle=50))
    ping = b"\0\0\x08\6\0\0\0\0\0" + bytes(8)
    with pytest.raises(PeerError, match="h2_rapid_reset"):
        exchange.receive(b"\0\0\0\4\0\0\0\0\0" + ping * 60)


# ---------------------------------------------------------------- what people type


@pytest.mark.parametrize(
    "request_",
    [
        Request("G T", "https", "a", "/"),
        Request("", "https", "a", "/", (("", "x"),)),
        Request("CONNECT", "https", "a", "/"),
        Request("GET", "https", "a", "/", (("bad name", "x"),)),
        Request("GET", "https", "a", "/", (("name", "a\r\nb"),)),
    ],
    ids=["method", "empty", "connect", "name", "value"],
)
def test_what_cannot_be_sent(request_: Request) -> None:
    with pytest.raises(UsageError):
        checked(request_)


# ---------------------------------------------------------------- the last words of HTTP/2


def _spoken(exchange: Http2) -> tuple[h2.connection.H2Connection, bytes]:
    """A server that has heard the request, and its SETTINGS."""
    server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    server.initiate_connection()
    server.receive_data(exchange.output())
    return server, server.data_to_send()


@pytest.mark.parametrize(
    ("frame", "violation", "code"),
    [
        (b"\x01\x00\x00\x00\x00\x00\x00\x00\x01", "h2_bad_frame_size", 6),
        (b"\x00\x00\x04\x01\x05\x00\x00\x00\x01\x08\x02ab", "h2_bad_header_block", 1),
    ],
    ids=["too long a frame", "no status"],
)
def test_what_is_refused_here_is_said_to_the_server(frame: bytes, violation: str, code: int) -> None:
    exchange = Http2(GET)
    server, settings = _spoken(exchange)
    exchange.receive(settings)
    with pytest.raises(PeerError) as refused:
        exchange.receive(frame)
    assert refused.value.violation == violation
    ended = [one for one in server.receive_data(exchange.output() + exchange.goodbye())
             if isinstance(one, h2.events.ConnectionTerminated)]  # fmt: skip
    assert [one.error_code for one in ended] == [code]


def test_nothing_is_said_to_who_is_gone() -> None:
    exchange = Http2(GET)
    _, settings = _spoken(exchange)
    exchange.receive(settings)
    exchange.output()
    with pytest.raises(PeerError):
        exchange.receive_eof()
    assert exchange.goodbye() == b""
