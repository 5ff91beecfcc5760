"""HTTP/1 as a server reads it: h11's judgement, limits, bare LF, any cut, and nothing but refusals for garbage."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.http.app import Answer, Budget, Refusal, Request, split_target, told
from synfin.http.server1 import CONTINUE, Http1, answer_head


def ask(data: bytes, cut: int = 0, **limits: int) -> list[Request | Refusal | bytes]:
    """Everything that comes of ``data``, given in pieces of ``cut`` octets."""
    talk = Http1(**limits)  # type: ignore[arg-type]
    found: list[Request | Refusal | bytes] = []
    for at in range(0, len(data), cut or len(data) or 1):
        talk.receive(data[at : at + (cut or len(data))])
        while (item := talk.next()) is not None:
            found.append(item)
    talk.receive_eof()
    while (item := talk.next()) is not None:
        found.append(item)
    return found


GET = b"GET /a%20b?q=1 HTTP/1.1\r\nHost: x\r\nX-Y: 1\r\n\r\n"
POST = b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: v\r\n\r\n"
)


@pytest.mark.parametrize("cut", [0, 1, 3, 7])
def test_pipelined_requests_come_in_order_however_they_are_cut(cut: int) -> None:
    found = ask(GET + POST + b"\r\n\n" + CHUNKED + GET, cut)
    assert [item.path for item in found if isinstance(item, Request)] == ["/a b", "/p", "/c", "/a b"]
    assert [item.body for item in found if isinstance(item, Request)] == [b"", b"hello", b"abcde", b""]
    assert len(found) == 4


@pytest.mark.parametrize("cut", [0, 1])
def test_bare_line_feeds_are_lines(cut: int) -> None:
    (found,) = ask(b"GET / HTTP/1.0\nHost: x\n\n", cut)
    assert isinstance(found, Request) and found.version == "1.0" and not found.keep


def test_who_keeps_the_connection() -> None:
    for head, keep in (
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, CLOSE\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True),
    ):
        (found,) = ask(head)
        assert isinstance(found, Request) and found.keep is keep


@pytest.mark.parametrize(
    ("data", "status", "violation"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400, "http_missing_host"),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400, "http_bad_start_line"),
        (b"\x16\x03\x01\x02\x00\n\r\n\x00", 400, "http_bad_start_line"),
        (b"hello\r\n\r\n", 400, "http_bad_start_line"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA b\r\n\r\n", 400, "http_bad_field"),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505, "http_bad_start_line"),
        (POST.replace(b"Content-Length: 5", b"Content-Length: -5"), 400, "http_bad_length"),
        (CHUNKED.replace(b"Host: x", b"Content-Length: 5\r\nHost: x"), 400, "http_conflicting_lengths"),
        (CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0"), 400, "http_conflicting_lengths"),
        (CHUNKED.replace(b"chunked", b"gzip"), 501, "http_bad_field"),
        (CHUNKED.replace(b"3\r\nabc", b"zz\r\nabc"), 400, "http_bad_chunk"),
        (POST[:-1], 400, "http_short_body"),
        (GET[:-3], 400, "http_bad_start_line"),
        (POST.replace(b"Host", b"Expect: tea\r\nHost"), 417, ""),
    ],
    ids=lambda value: value if isinstance(value, str) else None if isinstance(value, int) else "request",
)
def test_refusals_are_named_and_final(data: bytes, status: int, violation: str) -> None:
    found = ask(data)
    assert [(item.status, item.violation) for item in found if isinstance(item, Refusal)] == [(status, violation)]
    assert isinstance(found[-1], Refusal)
    assert "bytearray" not in found[-1].why and (data[0] != 0x16 or found[-1].why == "TLS, and no HTTP")
    after = Http1()
    after.receive(data)
    after.receive_eof()
    while after.next() is not None:
        pass
    after.receive(GET)
    assert after.next() is None, "deaf after a refusal"


@pytest.mark.parametrize(
    ("size", "status"),
    [("1000001", 413), ("7" + "f" * 15, 413), ("8" + "0" * 15, 400), ("f" * 17, 400), ("f" * 21, 400)],
)
def test_a_chunk_that_is_too_long_is_refused_at_its_size(size: str, status: int) -> None:
    talk = Http1(max_body=1 << 24)
    talk.receive(CHUNKED.partition(b"3\r\nabc")[0] + b"1\r\na\r\n" + size.encode() + b"\r\n")
    found = talk.next()
    assert isinstance(found, Refusal) and found.status == status, "not a wait for octets that never come"


def test_limits_of_heads_and_bodies() -> None:
    (head,) = ask(b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 5000, max_head=1000)
    assert isinstance(head, Refusal) and head.status == 431
    (told_length,) = ask(POST, max_body=4)
    assert isinstance(told_length, Refusal) and told_length.status == 413
    (chunks,) = ask(CHUNKED, max_body=4)
    assert isinstance(chunks, Refusal) and chunks.status == 413
    budget = Budget(4)
    talk = Http1(budget=budget)
    talk.receive(POST)
    refused = talk.next()
    assert isinstance(refused, Refusal) and refused.status == 503 and budget.left == 4


def test_the_budget_comes_back() -> None:
    budget = Budget(100)
    talk = Http1(budget=budget)
    for _ in range(50):
        talk.receive(POST)
        assert isinstance(talk.next(), Request)
    talk.receive(POST[:-2])
    assert talk.next() is None and budget.left == 97
    talk.forget()
    assert budget.left == 100


def test_expect_100_continue_is_answered_only_where_the_body_waits() -> None:
    head, _, body = POST.replace(b"Host", b"Expect: 100-continue\r\nHost").partition(b"\r\n\r\n")
    assert ask(head + b"\r\n\r\n" + body)[0] != CONTINUE
    talk = Http1()
    talk.receive(head + b"\r\n\r\n")
    assert talk.next() == CONTINUE and talk.in_body
    talk.receive(body)
    found = talk.next()
    assert isinstance(found, Request) and found.body == b"hello"


def test_a_body_that_is_of_no_use_is_neither_invited_nor_awaited() -> None:
    head, _, body = POST.replace(b"Host", b"Expect: 100-continue\r\nHost").partition(b"\r\n\r\n")
    for words, most in ((head + b"\r\n\r\n", 100), (head + b"\r\n\r\n" + body + GET, 100), (POST + GET, 4)):
        talk = Http1(max_body=most, bodies=False)
        talk.receive(words)
        found = talk.next()
        assert isinstance(found, Request) and found.body == b"" and not found.keep
        talk.receive(GET)
        assert talk.next() is None, "what comes now is the body"
    ((found),) = ask(POST, bodies=False)
    assert isinstance(found, Request) and found.body == b"hello" and found.keep


def test_targets() -> None:
    assert split_target("/a%2Fb?c=%20#d") == ("/a/b", "c=%20#d")
    assert split_target("http://host:80/x?y") == ("/x", "y")
    assert split_target("http://host") == ("/", "")
    assert split_target("*") == ("*", "")


def test_h11_reads_our_heads() -> None:
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    client.send(h11.EndOfMessage())
    answer = Answer(200, (("content-type", "text/plain"), ("etag", '"1"')), b"body")
    client.receive_data(answer_head(answer, None, "Sat, 21 Nov 2026 14:02:21 GMT", True) + b"body")
    head = client.next_event()
    assert isinstance(head, h11.Response) and head.status_code == 200
    assert dict(head.headers.raw_items())[b"ETag"] == b'"1"'
    data = client.next_event()
    assert isinstance(data, h11.Data) and data.data == b"body"
    assert isinstance(client.next_event(), h11.EndOfMessage)
    assert b"Content-Length" not in answer_head(told(204), None, "", True)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 400), st.integers(1, 50))
def test_mutated_octets_give_requests_or_refusals_only(noise: bytes, at: int, cut: int) -> None:
    whole = GET + POST + CHUNKED
    for data in (noise, whole[:at] + noise + whole[at:]):
        assert all(isinstance(item, (Request, Refusal, bytes)) for item in ask(data, cut))
