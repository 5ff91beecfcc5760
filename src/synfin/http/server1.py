"""The server's side of HTTP/1.0 and HTTP/1.1 (RFC 9112): octets in, requests and refusals out; heads of answers.

h11 reads every head and every body.  Around it stand limits (head, body), and what real clients need beyond it: lines
that end in a bare LF, empty lines before a request (RFC 9112 2.2), pipelining.  A head without a body is read once and
remembered by its octets, because clients repeat themselves.

Both Content-Length and Transfer-Encoding in a request are refused: that is how requests are smuggled (RFC 9112 6.3).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import h11

from synfin.http.app import Answer, Budget, Refusal, Request, reason, split_target, wrong_target
from synfin.http.faults import h11_words
from synfin.wire.http2 import PREFACE

_BLANK = re.compile(rb"\n\r?\n")
#: The first octet of a TLS handshake record (RFC 8446 5.1).
_HANDSHAKE = 0x16
#: Host (RFC 9110 7.2, RFC 3986 3.2.2) and the beginning of a target that is a URI.
_HOST = re.compile(r"[-A-Za-z0-9._~%!$&'()*+,;=:\[\]]*")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]")
_SPELLED = {"etag": "ETag", "x-content-type-options": "X-Content-Type-Options"}
#: Heads longer than this are not remembered.
_SMALL = 2048
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
#: The empty line that some clients send before a request, and no flood of them.
_EMPTY_LINES = 64


class Http1:
    """One connection.  ``max_head`` and ``max_body`` in octets; ``budget`` bounds the bodies of all connections.

    Without ``bodies`` the app reads none: a body that waits for 100 (Continue), or is too long, is not taken in; its
    request is handed out without it and is the last.
    """

    def __init__(
        self, max_head: int = 32_768, max_body: int = 16 << 20, budget: Budget | None = None, *, bodies: bool = True
    ) -> None:
        self._bodies = bodies
        self.budget = budget or Budget()
        self.max_head = max_head
        self.max_body = max_body
        self._held = bytearray()
        self._looked = 0  # octets of it in which no head ends
        self._body: h11.Connection | None = None  # while a body is read
        self._head: Request | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._empty = 0
        self._eof = False
        self._dead = False
        self.received = 0  # octets of the body being read

    @property
    def in_head(self) -> bool:
        """Whether a request has begun whose head is not complete."""
        return bool(self._held) and self._body is None

    @property
    def in_body(self) -> bool:
        """Whether the rest of a body is awaited."""
        return self._body is not None

    @property
    def begins(self) -> bytes:
        """The first octets not yet understood."""
        return bytes(self._held[: len(PREFACE)])

    def receive(self, data: bytes) -> None:
        """Octets from the client."""
        self._held += data

    def receive_eof(self) -> None:
        """The client will say no more."""
        self._eof = True

    def take_rest(self) -> bytes:
        """What came and was not understood: for another protocol."""
        rest = bytes(self._held)
        self._held.clear()
        return rest

    def next(self) -> Request | Refusal | bytes | None:
        """A whole request; octets to be sent at once (100 Continue); a refusal, after which all is over; or None."""
        if self._dead:
            return None
        if self._size and self._body is None:
            self.forget()
        found = self._next_body() if self._body is not None else self._next_head()
        if isinstance(found, Refusal):
            if self._head is not None:
                found = replace(found, asked=(self._head.method, self._head.target))
            self._dead = True
            self._held.clear()
            self.forget()
        return found

    def forget(self) -> None:
        """Let go of the body that is being read or was handed out last."""
        self._parts.clear()
        self.budget.give(self._size)
        self._size = 0

    # ------------------------------------------------------------ heads

    def _next_head(self) -> Request | Refusal | bytes | None:
        held = self._held
        while held and held[0] in b"\r\n":
            cut = 1 if held[0] == 10 else 2
            if len(held) < cut:
                return None
            if not held.startswith((b"\n", b"\r\n")):
                return Refusal(400, "http_bad_start_line", "a lone carriage return")
            del held[:cut]
            self._looked = 0
            self._empty += 1
            if self._empty > _EMPTY_LINES:
                return Refusal(400, "http_bad_start_line", "empty lines without end")
        if not held:
            return None
        if held[0] < 0x21 or held[0] > 0x7E:
            return Refusal(400, "http_bad_start_line", "no HTTP" if held[0] != _HANDSHAKE else "TLS, and no HTTP")
        end = _BLANK.search(held, self._looked, self.max_head + 4)
        if end is None:
            self._looked = max(0, len(held) - 3)
            if len(held) > self.max_head:
                return Refusal(431, "", f"a head of more than {self.max_head} octets")
            if self._eof:
                return Refusal(400, "http_bad_start_line", "the end inside a request's head")
            return None
        self._empty = 0
        head = bytes(held[: end.end()])
        del held[: end.end()]
        self._looked = 0
        found = _remembered(head) if len(head) <= _SMALL else _read_head(head)
        if isinstance(found, Refusal):
            return found
        request, length, chunked = found
        if not length and not chunked:
            return request
        expect = request.header("expect") if request.version == "1.1" else ""
        if not self._bodies and (length > self.max_body or expect.lower() == "100-continue"):
            self._dead = True
            self._held.clear()
            return replace(request, keep=False)
        if length > self.max_body:
            why = f"a body of {length} octets; {self.max_body} are allowed"
            return Refusal(413, "", why, (request.method, request.target))
        self._body = _connection(head)
        self._body.next_event()
        self._head = request
        self.received = 0
        if expect:
            if expect.lower() != "100-continue":
                return Refusal(417, "", f"the expectation {expect[:40]}")
            if not held:
                return CONTINUE
        return self._next_body()

    # ------------------------------------------------------------ bodies

    def _next_body(self) -> Request | Refusal | None:
        conn, head = self._body, self._head
        if conn is None or head is None:
            return None
        if self._held:
            conn.receive_data(bytes(self._held))
            self._held.clear()
        try:
            while True:
                event = conn.next_event()
                if isinstance(event, h11.Data):
                    self._size += len(event.data)
                    self.received = self._size
                    if self._size > self.max_body:
                        self._size -= len(event.data)
                        return Refusal(413, "", f"a body of more than {self.max_body} octets")
                    if not self.budget.take(len(event.data)):
                        self._size -= len(event.data)
                        return Refusal(503, "", "too many bodies at a time")
                    self._parts.append(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage):
                    break
                else:
                    # h11 does not say how long the chunk is that it waits for.
                    left = getattr(getattr(conn, "_reader", None), "_bytes_in_chunk", 0)
                    if left >> 63:
                        return Refusal(400, "http_bad_chunk", "a chunk's size of more than 63 bits")
                    if self._size + left > self.max_body:
                        return Refusal(413, "", f"a body of more than {self.max_body} octets")
                    if self._eof:
                        return Refusal(400, "http_short_body", "the end inside a request's body")
                    return None
        except h11.RemoteProtocolError as error:
            return Refusal(error.error_status_hint, "http_bad_chunk", h11_words(error))
        self._held += conn.trailing_data[0]
        body = b"".join(self._parts)
        self._parts.clear()
        self._body = self._head = None
        return replace(head, body=body)


def _connection(head: bytes) -> h11.Connection:
    conn = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    conn.receive_data(head)
    return conn


def _read_head(head: bytes) -> tuple[Request, int, bool] | Refusal:
    """Request without body, its Content-Length, whether it is chunked; or why it is refused."""
    try:
        event = _connection(head).next_event()
    except h11.RemoteProtocolError as error:
        said = h11_words(error)
        violation = "http_bad_field"
        if "Host" in said:
            violation = "http_missing_host"
        elif "request line" in said:
            violation = "http_bad_start_line"
        elif "Content-Length" in said:
            violation = "http_bad_length"
        return Refusal(error.error_status_hint, violation, said)
    if not isinstance(event, h11.Request):
        return Refusal(400, "http_bad_start_line", "no request")
    version = event.http_version.decode()
    if version not in ("1.0", "1.1"):
        return Refusal(505 if not version.startswith("1.") else 400, "http_bad_start_line", f"HTTP/{version}")
    headers = tuple([(name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers])
    names = [name for name, _ in headers]
    if "transfer-encoding" in names and "content-length" in names:
        return Refusal(400, "http_conflicting_lengths", "Content-Length and Transfer-Encoding")
    if "transfer-encoding" in names and version == "1.0":
        return Refusal(400, "http_conflicting_lengths", "Transfer-Encoding in HTTP/1.0")
    target, method = event.target.decode("latin-1"), event.method.decode()
    if method == "CONNECT":
        return Refusal(501, "", "no tunnels here")
    if (why := wrong_target(method, target)) and _ABSOLUTE.match(target) is None:
        return Refusal(400, "http_bad_start_line", why)
    path, query = split_target(target)
    request = Request(method, target, path, query, version, headers)
    if _HOST.fullmatch(request.header("host")) is None:
        return Refusal(400, "http_bad_field", "a Host that is no host")
    words = {word.strip().lower() for word in request.header("connection").split(",")}
    keep = "close" not in words and (version == "1.1" or "keep-alive" in words)
    length = int(request.header("content-length") or 0)
    return replace(request, keep=keep), length, "transfer-encoding" in names


_remembered = lru_cache(maxsize=512)(_read_head)


@lru_cache(maxsize=512)
def _head_lines(status: int, headers: tuple[tuple[str, str], ...], length: int, connection: str) -> tuple[bytes, bytes]:
    """What stands before and behind the date."""
    lines = [f"HTTP/1.1 {status} {reason(status)}"]
    lines += [f"{_SPELLED.get(name) or name.title()}: {value}" for name, value in headers]
    after = "\r\nServer: synfin\r\n"
    if status >= 200 and status not in (204, 304):
        after += f"Content-Length: {length}\r\n"
    if connection:
        after += f"Connection: {connection}\r\n"
    return "\r\n".join([*lines, "Date: "]).encode("latin-1", "replace"), f"{after}\r\n".encode()


def answer_head(answer: Answer, request: Request | None, date: str, keep: bool) -> bytes:
    """The octets before an answer's body.  ``keep`` says that the connection stays open after it."""
    length = answer.size if answer.length is None else answer.length
    connection = "close" if not keep else "keep-alive" if request is not None and request.version == "1.0" else ""
    before, after = _head_lines(answer.status, answer.headers, length, connection)
    return before + date.encode() + after


def bodiless(answer: Answer, request: Request | None) -> bool:
    """Whether the answer has no body on the wire (RFC 9112 6.3)."""
    return (request is not None and request.method == "HEAD") or answer.status in (204, 304)


def pieces(answer: Answer, size: int) -> Iterator[bytes]:
    """The body, ``size`` octets at a time; it ends early where a file has become shorter."""
    body = answer.body
    if isinstance(body, bytes):
        for at in range(0, len(body), size):
            yield body[at : at + size]
        return
    at, whole = 0, body.size
    while at < whole:
        part = body.read(at, min(size, whole - at))
        if not part:
            return
        at += len(part)
        yield part
