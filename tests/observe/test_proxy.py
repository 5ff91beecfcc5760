"""Proxies before TLS: CONNECT, SOCKS 4, 4a and 5, the PROXY protocol, one inside the other."""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path

import pytest

from synfin.observe import observe
from synfin.observe.story import Endpoint
from synfin.observe.tlswatch import TlsResult, watch_tls
from tests.support.packets import pcap
from tests.support.tlspeers import CLIENT, SERVER, contexts, converse, cut_every, streams

Chunk = tuple[int, bytes]

CONNECT = [
    (CLIENT, b"CONNECT server.example:443 HTTP/1.1\r\nHost: server.example:443\r\n\r\n"),
    (SERVER, b"HTTP/1.1 200 Connection established\r\n\r\n"),
]
CONNECT_TWICE = [
    (CLIENT, b"CONNECT server.example:443 HTTP/1.1\r\n\r\n"),
    (SERVER, b"HTTP/1.1 407 Who\r\nContent-Length: 5\r\n\r\nwho?\n"),
    (CLIENT, b"CONNECT server.example:443 HTTP/1.1\r\nProxy-Authorization: Basic eDp5\r\n\r\n"),
    (SERVER, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nVia: x\r\n\r\n"),
]
CONNECT_CHUNKED = [
    CONNECT_TWICE[0],
    (SERVER, b"HTTP/1.1 407 Who\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwho?\r\n0\r\n\r\n"),
    *CONNECT_TWICE[2:],
]
SOCKS5 = [
    (CLIENT, b"\x05\x02\x00\x02"),
    (SERVER, b"\x05\x00"),
    (CLIENT, b"\x05\x01\x00\x03\x0eserver.example\x01\xbb"),
    (SERVER, b"\x05\x00\x00\x01\x0a\x00\x00\x01\x04\x00"),
]
SOCKS5_LOGIN = [
    (CLIENT, b"\x05\x01\x02"),
    (SERVER, b"\x05\x02"),
    (CLIENT, b"\x01\x02me\x06secret"),
    (SERVER, b"\x01\x00"),
    (CLIENT, b"\x05\x01\x00\x04" + bytes(15) + b"\x01\x01\xbb"),
    (SERVER, b"\x05\x00\x00\x04" + bytes(16) + b"\x04\x00"),
]
SOCKS4 = [(CLIENT, b"\x04\x01\x01\xbb\x0a\x00\x00\x07me\x00"), (SERVER, b"\x00\x5a" + bytes(6))]
SOCKS4A = [(CLIENT, b"\x04\x01\x01\xbb\x00\x00\x00\x01me\x00server.example\x00"), (SERVER, b"\x00\x5a" + bytes(6))]
PROXY1 = [(CLIENT, b"PROXY TCP4 192.0.2.1 198.51.100.2 40000 443\r\n")]
PROXY2 = [
    (CLIENT, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + bytes([192, 0, 2, 1, 198, 51, 100, 2]) + b"\x9c\x40\x01\xbb")
]
NAME = Endpoint("server.example", 443)

CASES: dict[str, tuple[list[Chunk], list[tuple[str, Endpoint]]]] = {
    "connect": (CONNECT, [("http-connect", NAME)]),
    "connect after 407": (CONNECT_TWICE, [("http-connect", NAME)]),
    "connect after chunked 407": (CONNECT_CHUNKED, [("http-connect", NAME)]),
    "socks5": (SOCKS5, [("socks5", NAME)]),
    "socks5 with password": (SOCKS5_LOGIN, [("socks5", Endpoint("::1", 443))]),
    "socks4": (SOCKS4, [("socks4", Endpoint("10.0.0.7", 443))]),
    "socks4a": (SOCKS4A, [("socks4", NAME)]),
    "proxy 1": (PROXY1, [("proxy-protocol", Endpoint("198.51.100.2", 443))]),
    "proxy 2": (PROXY2, [("proxy-protocol", Endpoint("198.51.100.2", 443))]),
    "connect in socks5": (SOCKS5 + CONNECT, [("socks5", NAME), ("http-connect", NAME)]),
    "three deep": (
        PROXY1 + CONNECT + SOCKS4A,
        [("proxy-protocol", Endpoint("198.51.100.2", 443)), ("http-connect", NAME), ("socks4", NAME)],
    ),
}


@cache
def _tls() -> list[Chunk]:
    return converse(*contexts(ssl.TLSVersion.TLSv1_3))[0].chunks


def watched(chunks: list[Chunk], size: int | None = None) -> TlsResult:
    return watch_tls(streams(chunks, cut_every(size)) if size else streams(chunks))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("size", [None, 1, 9])
def test_tls_inside(case: str, size: int | None) -> None:
    before, expected = CASES[case]
    found = watched([*before, *_tls()], size)
    assert found.tls is not None and found.tls.handshake_done and not found.tls.problems
    assert [(preamble.protocol, preamble.target) for preamble in found.preambles] == expected
    assert all(preamble.accepted in (True, None) for preamble in found.preambles)
    assert found.tls.start == tuple(sum(len(data) for side, data in before if side == who) for who in (CLIENT, SERVER))


REFUSED: dict[str, tuple[list[Chunk], str, str]] = {
    "connect": ([CONNECT[0], (SERVER, b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")], "http-connect", "403 No"),
    "socks5": ([*SOCKS5[:3], (SERVER, b"\x05\x05\x00\x01" + bytes(6))], "socks5", "connection refused"),
    "socks5 method": ([SOCKS5[0], (SERVER, b"\x05\xff")], "socks5", "no acceptable authentication method"),
    "socks5 password": ([*SOCKS5_LOGIN[:3], (SERVER, b"\x01\x01")], "socks5", "user name or password refused"),
    "socks4": ([SOCKS4[0], (SERVER, b"\x00\x5b" + bytes(6))], "socks4", "rejected (91)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_is_a_fact(case: str) -> None:
    chunks, protocol, status = REFUSED[case]
    found = watched(chunks)
    (preamble,) = found.preambles
    assert found.tls is None
    assert (preamble.protocol, preamble.accepted, preamble.status) == (protocol, False, status)


def test_no_answer_from_the_proxy() -> None:
    (preamble,) = watched(CONNECT[:1]).preambles
    assert preamble.accepted is None and preamble.target == NAME


def test_clear_protocol_inside_a_tunnel() -> None:
    inside = [(SERVER, b"220 mail ESMTP\r\n"), (CLIENT, b"EHLO me\r\n")]
    assert watched([*CONNECT, *inside]).protocol == "smtp"
    starttls = [*inside, (SERVER, b"250 STARTTLS\r\n"), (CLIENT, b"STARTTLS\r\n"), (SERVER, b"220 go\r\n")]
    found = watched([*CONNECT, *starttls, *_tls()])
    assert found.tls is not None and [preamble.protocol for preamble in found.preambles] == ["http-connect", "smtp"]


def test_an_empty_tunnel() -> None:
    found = watched(CONNECT)
    assert found.tls is None and found.preambles[0].accepted


@pytest.mark.parametrize("case", CASES)
def test_every_cut_is_survived(case: str) -> None:
    chunks = [*CASES[case][0], *_tls()[:1]]
    for at, (side, data) in enumerate(chunks):
        for end in range(0, len(data), 1 if len(data) < 100 else 13):
            watched([*chunks[:at], (side, data[:end])] if end else chunks[:at])


def test_the_dialogue_with_the_proxy_is_http_whatever_is_inside(tmp_path: Path) -> None:
    text = r"""
        0.0 a > b SYN
        0.1 b > a SYN,ACK
        0.2 a > b ACK
        0.3 a > b PSH,ACK data="CONNECT mail.example:25 HTTP/1.0\r\n\r\n"
        0.4 b > a PSH,ACK data="HTTP/1.0 200 OK\r\n\r\n220 mail.example ESMTP\r\n"
        0.5 a > b PSH,ACK data="EHLO x\r\n"
        0.6 b > a PSH,ACK data="250 mail.example\r\n"
    """
    pcap(text, tmp_path / "proxy.pcap")
    with observe(tmp_path / "proxy.pcap") as story:
        (connection,) = list(story)
    assert connection.protocol == "smtp" and connection.outer_http is not None
    assert [message.method or message.status for message in connection.outer_http.messages] == ["CONNECT", 200]
