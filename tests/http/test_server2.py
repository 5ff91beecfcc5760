"""HTTP/2 as a server, against h2's own client: flow control, many streams, limits, and hostile peers."""

from __future__ import annotations

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.errors import PeerError
from synfin.http.app import Answer, Budget, Refusal, Request
from synfin.http.server2 import RESETS, Http2

DATE = "Sat, 21 Nov 2026 14:02:21 GMT"
HEADERS = [(":method", "GET"), (":scheme", "https"), (":authority", "x"), (":path", "/a?b")]


class Peer:
    """h2's client and our server, joined."""

    def __init__(self, server: Http2 | None = None) -> None:
        self.server = server or Http2()
        self.client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.client.initiate_connection()
        self.events: list[h2.events.Event] = []
        self.asked: list[tuple[int, Request | Refusal]] = []
        self.turn()

    def turn(self, most: int = 1 << 20, window: bool = True) -> None:
        for _ in range(2000):
            moved = False
            data = self.client.data_to_send()
            if data:
                moved = True
                self.asked += self.server.receive(data)
            out = self.server.output(most)
            if out:
                moved = True
                for event in self.client.receive_data(out):
                    self.events.append(event)
                    if window and isinstance(event, h2.events.DataReceived):
                        assert event.flow_controlled_length is not None and event.stream_id is not None
                        self.client.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if not moved:
                return

    def body(self, stream: int) -> bytes:
        found = [e for e in self.events if isinstance(e, h2.events.DataReceived) and e.stream_id == stream]
        return b"".join(event.data or b"" for event in found)


def test_many_streams_share_the_windows_fairly() -> None:
    peer = Peer()
    streams = [1 + 2 * n for n in range(20)]
    for stream in streams:
        peer.client.send_headers(stream, HEADERS, end_stream=True)
    peer.turn()
    assert [stream for stream, _ in peer.asked] == streams
    first = peer.asked[0][1]
    assert isinstance(first, Request) and (first.path, first.query) == ("/a", "b") and first.header("host") == "x"
    for number, (stream, _) in enumerate(peer.asked):
        peer.server.answer(stream, Answer(200, (), bytes([number]) * 200_000), False, DATE)
    out = peer.server.output(1 << 14)
    assert len(out) < 1 << 16, "a bounded piece at a time"
    for event in peer.client.receive_data(out):
        peer.events.append(event)
        if isinstance(event, h2.events.DataReceived):
            peer.client.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
    peer.turn(1 << 14)
    assert all(peer.body(stream) == bytes([n]) * 200_000 for n, stream in enumerate(streams))
    order = [e.stream_id for e in peer.events if isinstance(e, h2.events.DataReceived)]
    assert set(order[:20]) != {1}, "nobody is served alone"
    assert sorted(peer.server.finished) == [(stream, 200_000) for stream in streams]
    assert peer.server.idle


def test_a_closed_window_holds_the_answer_back() -> None:
    peer = Peer()
    peer.client.send_headers(1, HEADERS, end_stream=True)
    peer.turn()
    peer.server.answer(1, Answer(200, (), bytes(300_000)), False, DATE)
    peer.turn(window=False)
    assert len(peer.body(1)) == 65_535 and peer.server.sending
    peer.client.increment_flow_control_window(1 << 20)
    peer.client.increment_flow_control_window(1 << 20, 1)
    peer.turn(window=False)
    assert len(peer.body(1)) == 300_000 and not peer.server.sending


def test_bodies_come_whole_within_limits_and_the_budget() -> None:
    budget = Budget(1 << 20)
    peer = Peer(Http2(max_body=100_000, budget=budget))
    peer.client.send_headers(1, [*HEADERS[1:], (":method", "POST")][::-1])
    for _ in range(6):
        peer.client.send_data(1, bytes(10_000))
        peer.turn()
    peer.client.end_stream(1)
    peer.turn()
    ((_, request),) = peer.asked
    assert isinstance(request, Request) and len(request.body) == 60_000 and budget.left == (1 << 20) - 60_000
    peer.server.answer(1, Answer(200), False, DATE)
    assert budget.left == 1 << 20
    peer.asked.clear()
    peer.client.send_headers(3, [(":method", "POST"), *HEADERS[1:]])
    for _ in range(11):
        peer.client.send_data(3, bytes(10_000))
        peer.turn()
    ((_, refusal),) = peer.asked
    assert isinstance(refusal, Refusal) and refusal.status == 413 and budget.left == 1 << 20


@pytest.mark.parametrize(
    ("bodies", "expect", "size", "found"),
    [
        (True, "100-continue", 5, "100 and the body"),
        (True, "", 5, "the body"),
        (True, "tea", 5, 417),
        (True, "100-continue", 101, 413),
        (False, "100-continue", 5, "no body"),
        (False, "", 101, "no body"),
        (False, "", 5, "the body"),
    ],
)
def test_whose_body_is_invited(bodies: bool, expect: str, size: int, found: str | int) -> None:
    peer = Peer(Http2(max_body=100, bodies=bodies))
    more = [("content-length", str(size)), *([("expect", expect)] if expect else [])]
    peer.client.send_headers(1, [(":method", "POST"), *HEADERS[1:], *more])
    peer.turn()
    invited = [event for event in peer.events if isinstance(event, h2.events.InformationalResponseReceived)]
    assert bool(invited) == (found == "100 and the body")
    if "the body" in str(found):
        assert not peer.asked
        peer.client.send_data(1, bytes(size), end_stream=True)
        peer.turn()
    ((_, request),) = peer.asked
    if isinstance(found, int):
        assert isinstance(request, Refusal) and request.status == found and request.asked == ("POST", "/a?b")
    else:
        assert isinstance(request, Request) and len(request.body) == (0 if found == "no body" else size)
    peer.server.answer(1, Answer(200, (), b"x"), False, DATE)
    peer.turn()
    assert peer.body(1) == b"x" and peer.server.idle


def test_a_request_taken_back_at_once_is_not_answered() -> None:
    length, wait = ("content-length", "9"), ("expect", "100-continue")
    for more, ended in (([wait], False), ([length], False), ([length], True), ([("expect", "tea")], False), ([], True)):
        peer = Peer()
        peer.client.send_headers(1, [(":method", "POST"), *HEADERS[1:], *more], end_stream=ended)
        peer.client.reset_stream(1)
        peer.turn()
        assert peer.asked == [] and peer.server.idle
    peer = Peer()
    for stream in range(1, 301, 2):  # more than may be open, some taken back
        peer.client.outbound_streams_limit = 1000  # type: ignore[attr-defined]
        peer.client.remote_settings.max_concurrent_streams = 1000
        peer.client.send_headers(stream, HEADERS, end_stream=True)
        if stream % 3 == 0:
            peer.client.reset_stream(stream)
    peer.turn()
    assert peer.asked


def test_heads_have_no_body() -> None:
    peer = Peer()
    peer.client.send_headers(1, [(":method", "HEAD"), *HEADERS[1:]], end_stream=True)
    peer.turn()
    peer.server.answer(1, Answer(200, (), b"12345"), True, DATE)
    peer.turn()
    (head,) = [e for e in peer.events if isinstance(e, h2.events.ResponseReceived)]
    assert (b"content-length", b"5") in [tuple(pair) for pair in head.headers or ()]
    assert peer.body(1) == b"" and any(isinstance(e, h2.events.StreamEnded) for e in peer.events)


def test_a_reset_stream_is_forgotten_and_resets_without_end_are_refused() -> None:
    peer = Peer()
    peer.client.send_headers(1, HEADERS, end_stream=True)
    peer.turn()
    peer.server.answer(1, Answer(200, (), bytes(1 << 20)), False, DATE)
    peer.client.reset_stream(1)
    peer.turn()
    assert peer.server.idle
    with pytest.raises(PeerError, match="h2_rapid_reset"):
        for number in range(RESETS + 2):
            peer.client.send_headers(3 + 2 * number, HEADERS, end_stream=True)
            peer.client.reset_stream(3 + 2 * number)
            peer.turn()
    assert peer.server.closed
    assert any(
        isinstance(e, h2.events.ConnectionTerminated) for e in peer.client.receive_data(peer.server.output(1000))
    )


@pytest.mark.parametrize(
    ("octets", "violation"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "h2_bad_preface"),
        (b"\0\0\4\3\0\0\0\0\7\0\0\0\0", "h2_stream_state"),
        (b"\0\0\2\1\5\0\0\0\1\xff\xff", "h2_bad_header_block"),
        (b"\0\0\5\4\0\0\0\0\0\0\0\0\0\0", "h2_bad_frame_size"),
        (b"\x7f\xff\xff\0\0\0\0\0\1", "h2_bad_frame_size"),
        (b"\0\0\6\4\0\0\0\0\0\0\4\xff\xff\xff\xff", "h2_bad_settings"),
    ],
    ids=["preface", "state", "headers", "settings-size", "frame-size", "settings-value"],
)
def test_broken_peers_are_named_and_told_goodbye(octets: bytes, violation: str) -> None:
    server = Http2()
    server.output(1 << 16)
    if violation != "h2_bad_preface":
        server.receive(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        server.output(1 << 16)
    with pytest.raises(PeerError) as caught:
        server.receive(octets)
    assert caught.value.violation == violation
    assert server.closed and server.output(1 << 16)[3] == 7, "GOAWAY"


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=120), st.integers(0, 200))
def test_mutated_octets_end_in_peer_errors_only(noise: bytes, at: int) -> None:
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    client.initiate_connection()
    client.send_headers(1, HEADERS)
    client.send_data(1, b"hello", end_stream=True)
    whole = client.data_to_send()
    server = Http2()
    try:
        for stream, item in server.receive(whole[:at] + noise + whole[at:]):
            if isinstance(item, Request):
                server.answer(stream, Answer(200, (), b"x"), False, DATE)
    except PeerError:
        pass
    server.output(1 << 20)
    server.forget()


@pytest.mark.parametrize("piece", [1, 7, 1 << 16])
@pytest.mark.parametrize("body", [b"", b"given"])
def test_who_leaves_is_still_answered(piece: int, body: bytes) -> None:
    """GOAWAY without an error lets requests that were made be answered (RFC 9113 6.8), whatever comes with it."""
    peer = Peer()
    peer.client.send_headers(1, HEADERS, end_stream=not body)
    flight = peer.client.data_to_send() + b"\0\0\x08\7" + bytes(13)
    if body:
        peer.client.send_data(1, body, end_stream=True)
        flight += peer.client.data_to_send()
    asked = []
    for at in range(0, len(flight), piece):
        asked += peer.server.receive(flight[at : at + piece])
    ((stream, request),) = asked
    assert isinstance(request, Request) and request.body == body
    assert peer.server.closed
    peer.server.answer(stream, Answer(200, (), b"hello"), False, DATE)
    peer.turn()
    assert peer.body(1) == b"hello"
    assert any(isinstance(event, h2.events.StreamEnded) for event in peer.events)
    assert peer.server.idle


def test_who_leaves_for_a_fault_is_not_answered() -> None:
    peer = Peer()
    peer.client.send_headers(1, HEADERS, end_stream=True)
    peer.asked += peer.server.receive(peer.client.data_to_send() + b"\0\0\x08\7" + bytes(12) + b"\1")
    assert peer.server.closed
    peer.server.answer(1, Answer(200, (), b"hello"), False, DATE)
    peer.turn()
    assert peer.body(1) == b""
