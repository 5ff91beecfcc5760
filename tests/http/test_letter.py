"""RFC 9113 and RFC 9112 by the letter: what a peer sends wrong, and the error code or status that the RFC names."""

from __future__ import annotations

from typing import Any

import hpack
import pytest

from synfin.errors import PeerError
from synfin.http.app import Answer, Refusal, Request
from synfin.http.server1 import Http1
from synfin.http.server2 import Http2

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, UPDATE, MORE = range(10)
PROTOCOL, FLOW, CLOSED, SIZE, REFUSED, COMPRESSION, CALM = 1, 3, 5, 6, 7, 9, 11
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
BASE = ((b":method", b"GET"), (b":path", b"/"), (b":scheme", b"https"), (b":authority", b"x"))
POST = ((b":method", b"POST"), *BASE[1:])


def frame(kind: int, flags: int = 0, stream: int = 0, body: bytes = b"") -> bytes:
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


def block(*more: tuple[bytes, bytes], base: tuple[tuple[bytes, bytes], ...] = BASE) -> bytes:
    return bytes(hpack.Encoder().encode([*base, *more], huffman=False))


def get(*more: tuple[bytes, bytes], base: tuple[tuple[bytes, bytes], ...] = BASE) -> bytes:
    return frame(HEADERS, 5, 1, block(*more, base=base))


def without(name: bytes) -> tuple[tuple[bytes, bytes], ...]:
    return tuple(entry for entry in BASE if entry[0] != name)


def path(value: bytes) -> tuple[tuple[bytes, bytes], ...]:
    return (BASE[0], (b":path", value), *BASE[2:])


def setting(number: int, value: int) -> bytes:
    return frame(SETTINGS, 0, 0, number.to_bytes(2, "big") + value.to_bytes(4, "big"))


OPEN = frame(HEADERS, 4, 1, block(base=POST))
START = frame(HEADERS, 1, 1, block()[:10])
CANCEL = frame(RST, 0, 1, b"\0\0\0\x08")
LARGE = b"\x7f\xff\xff\xff"

#: (what, frames after preface and SETTINGS, error code of GOAWAY), by sections of RFC 9113
CONNECTION: list[tuple[str, bytes, int]] = [
    ("4.2 long DATA", OPEN + frame(DATA, 1, 1, bytes(16385)), SIZE),
    ("4.2 long HEADERS", frame(HEADERS, 5, 1, bytes(16385)), SIZE),
    ("4.3 no HPACK", frame(HEADERS, 5, 1, b"\xff" * 12), COMPRESSION),
    ("4.3 unknown index", frame(HEADERS, 5, 1, block() + b"\xfe"), COMPRESSION),
    ("4.3 index 0", frame(HEADERS, 5, 1, block() + b"\x80"), COMPRESSION),
    ("4.3 table too large", frame(HEADERS, 5, 1, b"\x3f\xe1\xff\3" + block()), COMPRESSION),
    ("4.3 late table size", frame(HEADERS, 5, 1, block() + b"\x20"), COMPRESSION),
    ("4.3 cut block", frame(HEADERS, 5, 1, block()[:-1]), COMPRESSION),
    ("5.1 DATA on idle", frame(DATA, 1, 1, b"x"), PROTOCOL),
    ("5.1 RST_STREAM on idle", CANCEL, PROTOCOL),
    ("5.1 WINDOW_UPDATE on idle", frame(UPDATE, 0, 1, b"\0\0\0\1"), PROTOCOL),
    ("5.1.1 even stream", frame(HEADERS, 5, 2, block()), PROTOCOL),
    ("6.1 DATA on 0", frame(DATA, 1, 0, b"x"), PROTOCOL),
    ("6.1 padding", OPEN + frame(DATA, 9, 1, b"\x10xx"), PROTOCOL),
    ("6.2 HEADERS on 0", frame(HEADERS, 5, 0, block()), PROTOCOL),
    ("6.2 padding", frame(HEADERS, 0xD, 1, b"\xff" + block()), PROTOCOL),
    ("6.2 between", START + frame(PING, 0, 0, bytes(8)), PROTOCOL),
    ("6.3 PRIORITY on 0", frame(PRIORITY, 0, 0, b"\0\0\0\3\1"), PROTOCOL),
    ("6.4 RST_STREAM on 0", frame(RST, 0, 0, b"\0\0\0\x08"), PROTOCOL),
    ("6.4 RST_STREAM length", OPEN + frame(RST, 0, 1, b"\0\0\0"), SIZE),
    ("6.5 acknowledgement with content", frame(SETTINGS, 1, 0, b"\0\3\0\0\0\1"), SIZE),
    ("6.5 SETTINGS on 1", frame(SETTINGS, 0, 1), PROTOCOL),
    ("6.5 SETTINGS length", frame(SETTINGS, 0, 0, b"\0\3\0"), SIZE),
    ("6.5.2 ENABLE_PUSH", setting(2, 2), PROTOCOL),
    ("6.5.2 INITIAL_WINDOW_SIZE", setting(4, 1 << 31), FLOW),
    ("6.5.2 MAX_FRAME_SIZE small", setting(5, 16383), PROTOCOL),
    ("6.5.2 MAX_FRAME_SIZE large", setting(5, 1 << 24), PROTOCOL),
    ("6.6 PUSH_PROMISE", frame(PUSH, 4, 1, b"\0\0\0\2" + block()), PROTOCOL),
    ("6.7 PING on 1", frame(PING, 0, 1, bytes(8)), PROTOCOL),
    ("6.7 PING length", frame(PING, 0, 0, bytes(6)), SIZE),
    ("6.8 GOAWAY on 1", frame(GOAWAY, 0, 1, bytes(8)), PROTOCOL),
    ("6.9 WINDOW_UPDATE of 0", frame(UPDATE, 0, 0, bytes(4)), PROTOCOL),
    ("6.9 WINDOW_UPDATE length", frame(UPDATE, 0, 0, bytes(3)), SIZE),
    ("6.9.1 window too large", frame(UPDATE, 0, 0, LARGE), FLOW),
    ("6.9.2 stream's window too large", OPEN + frame(UPDATE, 0, 1, b"\x7f\xff\0\0") + setting(4, (1 << 31) - 1), FLOW),
    ("6.10 CONTINUATION alone", frame(MORE, 4, 1, block()), PROTOCOL),
    ("6.10 CONTINUATION of another", START + frame(MORE, 4, 3, block()[10:]), PROTOCOL),
    ("6.10 CONTINUATION without end", START + frame(MORE, 0, 1, b"") * 1000, PROTOCOL),
    (
        "10.5 rapid reset",
        b"".join(frame(HEADERS, 4, n, block(base=POST)) + frame(RST, 0, n, bytes(4)) for n in range(1, 500, 2)),
        CALM,
    ),
]

#: (what, frames, error code of RST_STREAM)
STREAM: list[tuple[str, bytes, int]] = [
    ("5.1 DATA after reset", OPEN + CANCEL + frame(DATA, 1, 1, b"x"), CLOSED),
    ("5.1.2 too many", b"".join(frame(HEADERS, 4, 1 + 2 * n, block(base=POST)) for n in range(129)), REFUSED),
    ("6.9 WINDOW_UPDATE of 0", OPEN + frame(UPDATE, 0, 1, bytes(4)), PROTOCOL),
    ("6.9.1 window too large", OPEN + frame(UPDATE, 0, 1, LARGE), FLOW),
    ("8.1.1 body of another length", frame(HEADERS, 4, 1, block((b"content-length", b"1"), base=POST))
        + frame(DATA, 1, 1, b"test"), PROTOCOL),
    ("8.1.1 body missing", get((b"content-length", b"1"), base=POST), PROTOCOL),
    ("8.1.1 length no number", get((b"content-length", b"x")), PROTOCOL),
    ("8.2.1 capital letters", get((b"X-Test", b"x")), PROTOCOL),
    ("8.2.1 name with a space", get((b"a b", b"x")), PROTOCOL),
    ("8.2.1 NUL", get((b"a", b"x\0y")), PROTOCOL),
    ("8.2.1 line break", get((b"a", b"x\r\ny: z")), PROTOCOL),
    ("8.2.2 connection", get((b"connection", b"close")), PROTOCOL),
    ("8.2.2 transfer-encoding", get((b"transfer-encoding", b"chunked")), PROTOCOL),
    ("8.2.2 te", get((b"te", b"gzip")), PROTOCOL),
    ("8.3 unknown pseudo", get((b":x", b"y")), PROTOCOL),
    ("8.3 pseudo of answers", get((b":status", b"200")), PROTOCOL),
    ("8.3 pseudo behind others", get(base=((b"x", b"y"), *BASE)), PROTOCOL),
    ("8.3.1 no method", get(base=without(b":method")), PROTOCOL),
    ("8.3.1 no path", get(base=without(b":path")), PROTOCOL),
    ("8.3.1 no scheme", get(base=without(b":scheme")), PROTOCOL),
    ("8.3.1 two paths", get((b":path", b"/")), PROTOCOL),
    ("8.3.1 empty path", get(base=path(b"")), PROTOCOL),
]  # fmt: skip

#: (what, frames, status of the answer, 0 where there is none)
LAWFUL: list[tuple[str, bytes, int]] = [
    ("get", get(), 200),
    ("path without slash", get(base=path(b"x")), 400),
    ("star", get(base=path(b"*")), 400),
    ("method no token", get(base=((b":method", b"G T"), *BASE[1:])), 400),
    ("tunnel", frame(HEADERS, 4, 1, block(base=((b":method", b"CONNECT"), (b":authority", b"x:1")))), 501),
    ("te trailers", get((b"te", b"trailers")), 200),
    ("CONTINUATION", START + frame(MORE, 0, 1, block()[10:]) + frame(MORE, 4, 1), 200),
    ("padded", OPEN + frame(DATA, 9, 1, b"\2xx\0\0"), 200),
    ("trailers", OPEN + frame(HEADERS, 5, 1, bytes(hpack.Encoder().encode([(b"x", b"y")]))), 200),
    ("length 0", get((b"content-length", b"0")), 200),
    ("unknown frame", frame(22, 255, 7, b"x") + get(), 200),
    ("unknown setting", setting(255, 1) + get(), 200),
    ("acknowledgement", frame(SETTINGS, 1) + get(), 200),
]


def talk(sent: bytes, *, cut: int = 0) -> tuple[str, list[tuple[int, bytes]]]:
    """The violation, and the frames that came back, to a peer that sends ``sent`` after the preface."""
    conn, told = Http2(), ""
    try:
        for at in range(0, len(sent), cut or len(sent)):
            for stream, item in conn.receive(sent[at : at + (cut or len(sent))]):
                status = item.status if isinstance(item, Refusal) else 200
                conn.answer(stream, Answer(status, (), b""), False, "now")
    except PeerError as error:
        told = error.violation
    out, back = conn.output(1 << 16), []
    while out:
        size = int.from_bytes(out[:3], "big")
        back.append((out[3], out[9 : 9 + size]))
        out = out[9 + size :]
    conn.forget()
    return told, back


@pytest.mark.parametrize(("what", "sent", "code"), CONNECTION, ids=[row[0] for row in CONNECTION])
def test_connection_errors(what: str, sent: bytes, code: int) -> None:
    told, back = talk(PREFACE + frame(SETTINGS) + sent)
    assert told, what
    assert back[-1][0] == GOAWAY
    assert int.from_bytes(back[-1][1][4:8], "big") == code
    assert [kind for kind, _ in back].count(GOAWAY) == 1


@pytest.mark.parametrize("cut", [0, 1, 40])
@pytest.mark.parametrize(
    "sent", [PREFACE + get(), PREFACE + frame(SETTINGS, 1), PREFACE[:16] + bytes(40), b"x" * 60, b"\x80" * 60]
)
def test_what_must_come_first(sent: bytes, cut: int) -> None:
    """RFC 9113 3.4."""
    told, back = talk(sent, cut=cut)
    assert told == "h2_bad_preface"
    assert back[-1] == (GOAWAY, bytes(7) + b"\1")


@pytest.mark.parametrize(("what", "sent", "code"), STREAM, ids=[row[0] for row in STREAM])
def test_stream_errors(what: str, sent: bytes, code: int) -> None:
    _, back = talk(PREFACE + frame(SETTINGS) + sent)
    codes = [int.from_bytes(body[:4], "big") for kind, body in back if kind == RST]
    closing = [int.from_bytes(body[4:8], "big") for kind, body in back if kind == GOAWAY]
    assert codes == [code] or closing == [code], what  # any of them may close the connection (RFC 9113 5.4.2)


@pytest.mark.parametrize("cut", [0, 1])
@pytest.mark.parametrize(("what", "sent", "status"), LAWFUL, ids=[row[0] for row in LAWFUL])
def test_lawful_requests(what: str, sent: bytes, status: int, cut: int) -> None:
    told, back = talk(PREFACE + frame(SETTINGS) + sent, cut=cut)
    heads = [list(hpack.Decoder().decode(body, raw=True)) for kind, body in back if kind == HEADERS]
    assert not told and len(heads) == 1, what
    assert tuple(heads[0][0]) == (b":status", str(status).encode())


END = b"Host: x\r\n\r\n"

#: (what, request, status) by sections of RFC 9112 and RFC 9110
HEADS: list[tuple[str, bytes, int]] = [
    ("2.2 bare LF", b"GET / HTTP/1.1\nHost: x\n\n", 200),
    ("2.2 empty lines before", b"\r\n\nGET / HTTP/1.1\r\n" + END, 200),
    ("2.2 bare CR", b"GET / HTTP/1.1\r\nX: a\rb\r\n" + END, 400),
    ("2.2 space before the first field", b"GET / HTTP/1.1\r\n X: y\r\n" + END, 400),
    ("2.3 version 2", b"GET / HTTP/2.0\r\n" + END, 505),
    ("2.3 version of two digits", b"GET / HTTP/1.10\r\n" + END, 400),
    ("2.3 version in small letters", b"GET / http/1.1\r\n" + END, 400),
    ("3 two spaces", b"GET  / HTTP/1.1\r\n" + END, 400),
    ("3 no target", b"GET HTTP/1.1\r\n" + END, 400),
    ("3.1 method no token", b"G(T / HTTP/1.1\r\n" + END, 400),
    ("3.2 no Host", b"GET / HTTP/1.1\r\n\r\n", 400),
    ("3.2 two Hosts", b"GET / HTTP/1.1\r\nHost: y\r\n" + END, 400),
    ("3.2 Host no host", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    ("3.2 Host with a user", b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400),
    ("3.2 Host empty", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 200),
    ("3.2 Host IPv6", b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 200),
    ("3.2.1 no slash", b"GET x HTTP/1.1\r\n" + END, 400),
    ("3.2.2 absolute", b"GET http://x/y HTTP/1.1\r\n" + END, 200),
    ("3.2.3 authority without CONNECT", b"GET x:80 HTTP/1.1\r\n" + END, 400),
    ("3.2.3 tunnel", b"CONNECT x:80 HTTP/1.1\r\n" + END, 501),
    ("3.2.4 star", b"OPTIONS * HTTP/1.1\r\n" + END, 200),
    ("3.2.4 star for another", b"GET * HTTP/1.1\r\n" + END, 400),
    ("5.1 space before the colon", b"GET / HTTP/1.1\r\nX : y\r\n" + END, 400),
    ("5.1 no colon", b"GET / HTTP/1.1\r\nX\r\n" + END, 400),
    ("5.5 NUL", b"GET / HTTP/1.1\r\nX: a\0b\r\n" + END, 400),
    ("6.1 both lengths", b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n" + END, 400),
    ("6.1 unknown coding", b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n" + END, 501),
    ("6.1 chunked in 1.0", b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" + END, 400),
    ("6.3 two lengths", b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n" + END, 400),
    ("6.3 length no number", b"POST / HTTP/1.1\r\nContent-Length: +1\r\n" + END, 400),
    ("9110 10.1.1 unknown expectation", b"POST / HTTP/1.1\r\nExpect: x\r\nContent-Length: 1\r\n" + END + b"a", 417),
]


@pytest.mark.parametrize("cut", [0, 1])
@pytest.mark.parametrize(("what", "sent", "status"), HEADS, ids=[row[0] for row in HEADS])
def test_heads_of_requests(what: str, sent: bytes, status: int, cut: int) -> None:
    conn = Http1()
    found: Any = None
    for at in range(0, len(sent), cut or len(sent)):
        conn.receive(sent[at : at + (cut or len(sent))])
        found = found or conn.next()
    assert (200 if isinstance(found, Request) else found.status) == status, what
