"""A trace's parts: URLs, options, the order of addresses, look-ups, races; and whole runs against servers of ours."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synfin.cli.tls_names import groups, suites
from synfin.drive.eyeballs import Attempt, connect_socket, interleave, race
from synfin.drive.lookup import look_up, name_servers
from synfin.drive.streams import SocketPipe, listen
from synfin.drive.trace import Run
from synfin.drive.trace_ask import (
    Ask,
    Url,
    connect_to_of,
    parse_url,
    redirected,
    resolve_of,
)
from synfin.drive.trace_http import shown
from synfin.drive.trace_steps import Answered, Hop, Pointed, Received, Step
from synfin.drive.trace_trust import Trust
from synfin.errors import UsageError
from synfin.http.client import Request
from synfin.pki.faultkit import Bench

# ---------------------------------------------------------------- what is asked


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("example.org", Url("http", "example.org", 80, "/")),
        ("https://Example.ORG", Url("https", "example.org", 443, "/")),
        ("https://example.org:8443/a b".replace(" ", "%20"), Url("https", "example.org", 8443, "/a%20b")),
        ("https://example.org?q=1#part", Url("https", "example.org", 443, "/?q=1")),
        ("https://[::1]:9/x", Url("https", "::1", 9, "/x")),
        ("https://bücher.example/", Url("https", "xn--bcher-kva.example", 443, "/")),
        ("https://me:p%40ss@example.org/", Url("https", "example.org", 443, "/", "me:p@ss")),
        ("http://example.org/ü", Url("http", "example.org", 80, "/%C3%BC")),
        ("http://[fe80::1%25eth0]/", Url("http", "fe80::1%eth0", 80, "/")),
        ("fe80.example", Url("http", "fe80.example", 80, "/")),
        ("http:8080/x", Url("http", "http", 8080, "/x")),
    ],
    ids=["bare", "case", "port", "query", "v6", "idn", "user", "utf8", "link", "no link", "odd name"],
)
def test_urls(text: str, url: Url) -> None:
    assert parse_url(text) == url


@pytest.mark.parametrize(
    "text",
    ["ftp://a/", "http://", "http://a b/", "http://a:99999/", "http://[::1/", "http://..a/", "https:/a/", "[fe80::1]"],
)
def test_what_is_no_url(text: str) -> None:
    with pytest.raises(UsageError):
        parse_url(text)


@given(st.text(max_size=60))
def test_any_text_is_a_url_or_a_usage_error(text: str) -> None:
    try:
        url = parse_url(text)
    except UsageError:
        return
    assert url.target.startswith("/") and url.target.isascii() and not any(c.isspace() for c in url.target)
    assert "\r" not in url.authority and url.host.isascii()


def test_the_authority_names_a_port_that_is_not_the_schemes_own() -> None:
    assert parse_url("https://[::1]/").authority == "[::1]"
    assert parse_url("https://a:80/").authority == "a:80"
    assert parse_url("http://a:80/").authority == "a"


@given(st.text(max_size=40))
def test_redirects_lead_somewhere_or_nowhere(location: str) -> None:
    try:
        found = redirected(parse_url("https://a.example/b/c?d"), location)
    except UsageError:
        return
    assert found.scheme in ("http", "https")


def test_relative_redirects() -> None:
    base = parse_url("https://a.example:8/b/c?d")
    assert str(redirected(base, "e")) == "https://a.example:8/b/e"
    assert str(redirected(base, "//o.example/x")) == "https://o.example/x"
    assert str(redirected(base, "?y")) == "https://a.example:8/b/c?y"


def test_options_of_people() -> None:
    assert suites("TLS_AES_128_GCM_SHA256:0x1302,ECDHE-RSA-AES128-GCM-SHA256") == (0x1301, 0x1302, 0xC02F)
    assert groups("X25519,P-256,secp256r1") == (29, 23)
    assert resolve_of(["A.example:443:192.0.2.1,[2001:db8::1]"]) == {("a.example", 443): ("192.0.2.1", "2001:db8::1")}
    assert resolve_of(["b\u00fccher.example:1:192.0.2.1"]) == {("xn--bcher-kva.example", 1): ("192.0.2.1",)}
    any_host = Ask(parse_url("http://a.example:7/"), resolve=resolve_of(["*:7:192.0.2.1", "b.example:7:192.0.2.2"]))
    assert any_host.given == ("192.0.2.1",)
    assert any_host.redirected(302, "//b.example:7/").given == ("192.0.2.2",)
    assert any_host.redirected(302, "//b.example/").given is None
    assert connect_to_of(["a:1:[::1]:2", "::b:"]) == (("a", 1, "::1", 2), ("", 0, "b", 0))


@pytest.mark.parametrize(
    ("of", "text"),
    [
        (suites, "RC4"),
        (suites, "0x0005"),
        (groups, "0xzz"),
        (lambda text: resolve_of([text]), "a:b:192.0.2.1"),
        (lambda text: resolve_of([text]), "a:1:host"),
        (lambda text: connect_to_of([text]), "a:b"),
    ],
    ids=["suite", "number", "group", "port", "address", "parts"],
)
def test_options_that_cannot_be(of: Callable[[str], object], text: str) -> None:
    with pytest.raises(UsageError):
        of(text)


# ---------------------------------------------------------------- names and addresses


@given(st.lists(st.sampled_from([f"192.0.2.{n}" for n in range(5)] + [f"2001:db8::{n}" for n in range(5)])))
def test_families_alternate(addresses: list[str]) -> None:
    found = interleave(addresses)
    assert sorted(found) == sorted(set(addresses))
    six = [one for one in dict.fromkeys(addresses) if ":" in one]
    four = [one for one in dict.fromkeys(addresses) if ":" not in one]
    assert [one for one in found if ":" in one] == six and [one for one in found if ":" not in one] == four
    if six and four:
        assert ":" in found[0] and ":" not in found[1]


def test_look_ups() -> None:
    (found,) = asyncio.run(look_up("192.0.2.1"))
    assert (found.addresses, found.source) == (("192.0.2.1",), "literal")
    (found,) = asyncio.run(look_up("192.0.2.1", (6,)))
    assert not found.addresses and found.error
    given_ = asyncio.run(look_up("a.example", fixed={"a.example": ("192.0.2.1", "2001:db8::1")}))
    assert [one.addresses for one in given_] == [("2001:db8::1",), ("192.0.2.1",)]
    four = asyncio.run(look_up("localhost", (4,)))
    assert "127.0.0.1" in four[0].addresses and four[0].source == "system resolver"
    gone = asyncio.run(look_up("nosuch." + "x" * 64 + ".invalid", (4,)))
    assert not gone[0].addresses and gone[0].error


def test_name_servers(tmp_path: Path) -> None:
    conf = tmp_path / "resolv.conf"
    conf.write_text("# nameserver 192.0.2.9\nnameserver 192.0.2.1\nnameserver nonsense\nnameserver 2001:db8::1\n")
    assert name_servers(conf) == ["192.0.2.1", "2001:db8::1"]
    assert name_servers(tmp_path / "none") == ["127.0.0.1"]


async def _raced(makers: dict[str, Callable[[], Awaitable[SocketPipe]]], delay: float) -> list[tuple[str, str]]:
    async def make(attempt: Attempt) -> SocketPipe:
        return await makers[attempt.address]()

    found = await race([(address, 1) for address in makers], make, delay=delay)
    if found.pipe is not None:
        await found.pipe.close()
    return [(one.address, one.fate) for one in found.attempts]


async def _refused() -> SocketPipe:
    raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")


async def _silent() -> SocketPipe:
    await asyncio.Event().wait()
    raise AssertionError


async def _open() -> SocketPipe:
    one, other = socket.socketpair()
    other.close()
    return SocketPipe(one, ("192.0.2.1", 1))


def test_a_race_goes_on_from_refusals_and_from_silence() -> None:
    fates = asyncio.run(_raced({"a": _refused, "b": _silent, "c": _open, "d": _open}, 0.01))
    assert fates == [("a", "refused"), ("b", "given up"), ("c", "connected")]
    assert asyncio.run(_raced({"a": _refused}, 0.01)) == [("a", "refused")]


def test_a_race_that_is_cut_off_tells_what_ran() -> None:
    told: list[Attempt] = []

    async def make(attempt: Attempt) -> SocketPipe:
        return await _silent()

    async def go() -> None:
        async with asyncio.timeout(0.05):
            await race([("192.0.2.1", 1)], make, told.append)

    with pytest.raises(TimeoutError):
        asyncio.run(go())
    assert [one.fate for one in told] == ["timed out"]


# ---------------------------------------------------------------- runs over plain TCP


Talk = Callable[[SocketPipe, bytes], Awaitable[None]]
BENCH = Bench(datetime.now(UTC).replace(microsecond=0))


def run(talk: Talk, scheme: str = "http", **asked: object) -> tuple[list[Hop], list[Step]]:
    """A trace against a server that answers by ``talk``; told and kept steps."""
    trust = Trust((BENCH.root.der,), "the test's root") if scheme == "https" else None
    told: list[Step] = []

    async def go() -> list[Hop]:
        source = await listen("127.0.0.1", 0)
        serving: set[asyncio.Task[None]] = set()

        async def one(pipe: SocketPipe) -> None:
            try:
                await talk(pipe, await pipe.receive())
                await pipe.send_eof()
                while await pipe.receive():
                    pass
            except OSError:
                pass
            await pipe.close()

        async def accept() -> None:
            while True:
                serving.add(asyncio.create_task(one(await source.accept())))

        accepting = asyncio.create_task(accept())
        port = source.addresses[0][1]
        ask = Ask(parse_url(f"{scheme}://127.0.0.1:{port}/"), **{"max_seconds": 20.0, **asked})  # type: ignore[arg-type]
        hops = await Run(ask, told=told.append, trust=trust).run()
        for task in (accepting, *serving):
            task.cancel()
        await asyncio.gather(accepting, *serving, return_exceptions=True)
        source.close()
        return hops

    return asyncio.run(go()), told


def answering(*parts: bytes) -> Talk:
    async def talk(pipe: SocketPipe, asked: bytes) -> None:
        for part in parts:
            await pipe.send(part)

    return talk


def test_a_run_tells_every_step_it_keeps() -> None:
    hops, told = run(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"))
    (hop,) = hops
    assert hop.cause is None and hop.head is not None and hop.head.status == 200
    assert told == hop.steps
    assert [type(step).__name__ for step in told] == [
        "Asking", "LookedUp", "Attempted", "Connected", "Sent", "Answered", "Received", "Ended",
    ]  # fmt: skip
    assert hop.tried and hop.tried[0][0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("parts", "violation"),
    [
        ((), "http_empty_reply"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",), "http_short_body"),
        ((b"\x15\x03\x01\0\2\2\x28",), "http_bad_start_line"),
        ((b"HTTP/1.1 200 OK\r\n", *[b"X: " + b"y" * 1000 + b"\r\n"] * 400), "http_bad_field"),
    ],
    ids=["empty", "short", "tls", "endless head"],
)
def test_causes(parts: tuple[bytes, ...], violation: str) -> None:
    hops, _ = run(answering(*parts))
    cause = hops[0].cause
    assert cause is not None and (cause.step, cause.violation) == ("http", violation)
    assert cause.rule.startswith("HTP")


def test_a_reset_is_a_cause() -> None:
    async def talk(pipe: SocketPipe, asked: bytes) -> None:
        await pipe.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        await asyncio.sleep(0.05)
        pipe.abort()

    cause = run(talk)[0][0].cause
    assert cause is not None and cause.violation == "reset" and cause.rule == "TCP501"


def test_time_runs_out_where_nobody_answers() -> None:
    async def talk(pipe: SocketPipe, asked: bytes) -> None:
        await asyncio.Event().wait()

    cause = run(talk, max_seconds=0.3)[0][0].cause
    assert cause is not None and cause.step == "http" and "--max-time" in cause.words


def test_enough_of_an_endless_body() -> None:
    async def talk(pipe: SocketPipe, asked: bytes) -> None:
        await pipe.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await pipe.send(bytes(1 << 16))

    hops, _ = run(talk, most_body=1 << 18)
    body = next(step for step in hops[0].steps if isinstance(step, Received))
    assert body.stopped and body.octets >= 1 << 18 and hops[0].cause is None


def test_an_answer_before_the_upload_is_read() -> None:
    answer = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    hops, _ = run(answering(answer), method="POST", body=bytes(8 << 20))
    assert hops[0].head is not None and hops[0].head.status == 413 and hops[0].cause is None


def test_redirects_are_followed_only_when_asked_and_not_for_ever() -> None:
    answer = answering(b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n")
    hops, _ = run(answer)
    assert len(hops) == 1 and hops[0].steps[-1] == Pointed("/x", False) and hops[0].cause is None
    hops, _ = run(answer, follow=3)
    assert len(hops) == 4
    cause = hops[-1].cause
    assert cause is not None and cause.step == "redirect"
    assert [hop.url.target for hop in hops] == ["/", "/x", "/x", "/x"]


def test_secrets_stay_with_their_host_and_303_asks_by_get() -> None:
    seen: list[bytes] = []

    async def talk(pipe: SocketPipe, asked: bytes) -> None:
        seen.append(asked)
        port = pipe.local[1]
        location = b"/same" if len(seen) == 1 else b"http://localhost:%d/other" % port
        if len(seen) < 3:
            await pipe.send(b"HTTP/1.1 303 See Other\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n")
        else:
            await pipe.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    fields = (("Authorization", "Basic c2VjcmV0"),)
    hops, _ = run(talk, follow=5, method="POST", body=b"data", fields=fields, families=(4,))
    assert hops[-1].head is not None and hops[-1].head.status == 204
    assert seen[0].startswith(b"POST / ") and seen[0].endswith(b"data")
    assert seen[1].startswith(b"GET /same ") and b"c2VjcmV0" in seen[1]
    assert seen[2].startswith(b"GET /other ") and b"c2VjcmV0" not in seen[2]


def test_refused_and_names_that_are_not_there() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = parse_url(f"http://127.0.0.1:{unused.getsockname()[1]}/")
        (hop,) = asyncio.run(Run(Ask(url), told=lambda step: None).run())
    assert hop.cause is not None and (hop.cause.rule, hop.cause.step) == ("TCP101", "tcp")
    url = parse_url("http://" + ".".join(["x" * 60] * 3) + ".invalid/")
    (hop,) = asyncio.run(Run(Ask(url), told=lambda step: None).run())
    assert hop.cause is not None and hop.cause.step == "dns"


def test_our_port_is_known_before_the_first_packet() -> None:
    async def go() -> tuple[list[tuple[tuple[str, int], int]], tuple[str, int]]:
        source = await listen("127.0.0.1", 0)
        heard: list[tuple[tuple[str, int], int]] = []
        attempt = Attempt("127.0.0.1", source.addresses[0][1], 0.0)
        pipe = await connect_socket(attempt, lambda address, port: heard.append((address, port)))
        local = pipe.local
        await pipe.close()
        source.close()
        return heard, local

    heard, local = asyncio.run(go())
    assert [port for _, port in heard] == [local[1]]


def test_fields_are_told_as_they_go_out() -> None:
    fields = (("Host", "b.example"), ("Connection", "close"), ("X-A", "1"))
    request = Request("POST", "https", "a.example", "/x", fields, b"ab")
    assert shown(request, two=False) == (*fields, ("Content-Length", "2"))
    assert shown(request, two=True) == ((":authority", "b.example"), ("x-a", "1"), ("content-length", "2"))


def test_heads_come_with_their_times() -> None:
    hops, _ = run(answering(b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"))
    heads = [step for step in hops[0].steps if isinstance(step, Answered)]
    assert [one.head.status for one in heads] == [103, 204]
    assert hops[0].head == heads[-1].head


# ---------------------------------------------------------------- servers that do not do TLS well


async def _says_nothing(pipe: SocketPipe, asked: bytes) -> None:
    await asyncio.Event().wait()


async def _resets(pipe: SocketPipe, asked: bytes) -> None:
    pipe.abort()


@pytest.mark.parametrize(
    ("talk", "violation", "rule"),
    [
        (answering(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "not_tls", "TLS101"),
        (answering(), "silent_end", "TLS111"),
        (_resets, "reset_in_handshake", "TLS110"),
        (_says_nothing, "no_answer", "TLS112"),
        (answering(b"\x15\x03\x03\0\2\2\x28"), "", ""),
        (answering(b"\x16\x03\x03\x40\1" + bytes(1 << 15)), None, None),
    ],
    ids=["http", "closes", "resets", "silent", "alert", "long record"],
)
def test_causes_in_the_handshake(talk: Talk, violation: str | None, rule: str | None) -> None:
    hops, _ = run(talk, "https", connect_seconds=0.5)
    cause = hops[0].cause
    assert cause is not None and cause.step == "tls"
    if violation is None:
        assert cause.violation
    else:
        assert (cause.violation, cause.rule) == (violation, rule)


def test_an_alert_is_named() -> None:
    cause = run(answering(b"\x15\x03\x03\0\2\2\x28"), "https")[0][0].cause
    assert cause is not None and cause.words == "the server sent the alert handshake_failure"


def test_https_without_roots_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="--cacert"):
        asyncio.run(Run(Ask(parse_url("https://127.0.0.1:1/")), told=lambda step: None).run())
