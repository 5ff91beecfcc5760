"""HTTP/1.x over two byte streams: which messages were sent, how each ended, what was malformed (RFC 9112).

Decides where messages begin and end (9112 section 6.3), which response answers which request, and what follows an
upgrade or a CONNECT.  What a head says is read by ``wire.http1``.  A message's side is known by its content, not by
a port, so captures that begin with a response or hold one direction are read too.

Holes: offsets count missing octets as well, so a body with a length is stepped over exactly; where a hole took the
framing itself we resume at the next packet that begins with a plain start line.  We differ from RFC 9112 where it
tells a server to answer 400 or to close: reading goes on, the fault is kept with its place.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from synfin.observe.cursor import Side
from synfin.observe.evidence import Evidence
from synfin.observe.story_http import HttpMessage
from synfin.wire import http1 as wire
from synfin.wire.http2 import PREFACE

#: Octets of a head that are looked through for its blank line; servers stop at 8 to 64 KiB.
MAX_HEAD = 256 * 1024
_MAX_LINE = 16 * 1024
_MOST_PROBLEMS = 100


class _Fixed(NamedTuple):
    """How a body went: framing, octets seen, whether it is whole, and what was wrong."""

    framing: str
    declared: int | None
    seen: int
    complete: bool
    problem: str = ""


_Read = tuple[HttpMessage, wire.Head]


class Reader:
    """Reads the messages of both sides; one instance per connection."""

    __slots__ = ("answered", "keys", "messages", "orphan", "pending", "problems", "sides", "switched", "tls")

    def __init__(self, sides: tuple[Side, Side], tls: bool) -> None:
        self.sides = sides
        self.tls = tls
        self.messages: list[HttpMessage] = []
        self.problems: list[tuple[Evidence, str]] = []
        self.switched: str | None = None
        self.pending: deque[_Read] = deque()  # requests not answered yet
        self.keys = 0  # exchanges numbered so far
        self.orphan = 0  # exchange of responses whose request was not captured
        self.answered = False

    def run(self, client: int) -> None:
        """Read everything; stops where the connection became something else (``switched`` says what)."""
        asking, answering = self.sides[client], self.sides[1 - client]
        while True:
            gate = self._requests(asking)
            if self.switched is None:
                self._responses(answering, gate)
            if self.switched is not None or not (asking.more or answering.more):
                break

    def _requests(self, side: Side) -> bool:
        """Read one side until its end or a request that may change the protocol (then True)."""
        while side.more:
            read = self.read(side, None)
            if read is None:
                break
            message, head = read
            if message.kind == "request":
                self.pending.append(read)
                if message.method == "CONNECT" or head.upgrade:
                    return True
        return False

    def _responses(self, side: Side, gate: bool) -> None:
        """Read the answering side until its end or, with ``gate``, until the last request read is answered."""
        while side.more:
            if gate and not self.pending:
                return
            asked = self.pending[0] if self.pending else None
            if asked and not self.answered and side.stream.origin(side.at)[1] < asked[0].start:
                asked = None  # it answers a request from before the capture
            read = self.read(side, asked)
            if read is None:
                return
            message, head = read
            status = message.status
            if message.kind != "response" or (status is not None and status < 200 and status != 101):
                continue
            self.orphan = 0
            if asked:
                self.pending.popleft()
                self.answered = True
                last = not self.pending
                if status == 101 and last:
                    self.switched = (head.upgrade or asked[1].upgrade or "unknown").split(",")[0].strip()
                    return
                if asked[0].method == "CONNECT" and status is not None and status // 100 == 2 and last:
                    self.switched = "tunnel"
                    return

    def read(self, side: Side, asked: _Read | None) -> _Read | None:
        """The next message of one side, or None when there is none; ``asked`` is the request that it may answer."""
        while True:
            if side.in_hole or not self._begins(side, asked):
                from_, at = side.pos, side.at
                skipped = side.resume(wire.starts_message)
                hole = at < side.count and side.starts[at] > from_
                lost = (skipped if skipped is not None else side.end - from_) or 0
                why = "octets missing before the next message" if hole else "octets that are no HTTP message"
                self._problem(side, at, from_, lost, "", why)
                if skipped is None:
                    return None
            if not side.more:
                return None
            first, start = side.at, side.pos
            if side.peek(len(PREFACE)) == PREFACE:  # HTTP/2 from here on; the answer that agreed was not captured
                self.switched = "h2c"
                return None
            if asked and asked[0].version == "0.9" and side.peek(5) != b"HTTP/":
                return self._simple_response(side, asked)
            data, whole = side.until(b"", MAX_HEAD)
            head = wire.read_head(data)
            if head.version == "0.9" and head.kind == "request":
                data = data if whole else data[: data.find(b"\n") + 1] or data
                whole = data.endswith(b"\n")
            if not whole:
                return self._cut_head(side, first, start, data, head, asked)
            side.seek(start + len(data))
            header_at = side.last()
            fixed = self._body(side, head, asked)
            last = side.last() if fixed.seen else header_at
            return self._message(side, head, fixed, first, header_at, last, start, asked)

    def _begins(self, side: Side, asked: _Read | None) -> bool:
        """Step over blank lines (RFC 9112 2.2) and say whether a message begins here."""
        while side.more and not side.in_hole:
            data, begin = side.octets(side.at), side.pos - side.starts[side.at]
            if data[begin] in b"\r\n":
                side.seek(side.pos + len(data) - begin - len(data[begin:].lstrip(b"\r\n")))
                continue
            if wire.looks_like_head(data, begin) or (asked and asked[0].version == "0.9"):
                return True
            if data.find(b"\n", begin) >= 0:
                return False
            line, _ = side.until(b"\n", MAX_HEAD)
            return wire.looks_like_head(line)
        return not side.more

    def _body(self, side: Side, head: wire.Head, asked: _Read | None) -> _Fixed:
        """Step over the body of ``head`` by RFC 9112 section 6.3."""
        status = head.status
        if head.kind == "response":
            method = asked[0].method if asked else None
            if method == "CONNECT" and status is not None and status // 100 == 2:
                return _Fixed("tunnel", head.length, 0, True)
            if method == "HEAD" or status in (204, 304) or (status is not None and status < 200):
                return _Fixed("none", head.length, 0, True)
        if head.chunked:
            return self._chunks(side, head.length)
        if head.coded and head.kind == "request":
            return _Fixed("none", head.length, 0, True, "Transfer-Encoding without chunked in a request (RFC 9112 6.3)")
        if head.length is not None and not head.coded:
            seen = side.skip(head.length)
            whole = seen == head.length
            why = "" if whole else _short(side, head.length - seen)
            return _Fixed("length", head.length, seen, whole, why)
        if head.kind == "request" or head.version == "0.9":
            return _Fixed("none", None, 0, True)
        follows = self._follows(side, asked)
        size = (side.end if follows is None else follows) - side.pos
        seen = side.skip(size)
        if follows is not None:
            return _Fixed("close", None, seen, seen == size, "body without a length, yet another response follows")
        whole = side.ended and seen == size
        return _Fixed("close", head.length, seen, whole, "" if seen == size else _short(side, size - seen))

    def _follows(self, side: Side, asked: _Read | None) -> int | None:
        """Where the next response begins, when a body without a length was no reason for the peer to stop asking.

        The next request must have come before it; where no request was captured at all, its status line is enough.
        """
        later = 1 if asked else 0
        if asked and len(self.pending) == 1:
            return None
        since = self.pending[later][0].end if self.pending else 0
        stream = side.stream
        for at in range(side.at, side.count):
            offset = side.starts[at]
            if offset > side.pos and stream.read(offset, 7) == b"HTTP/1." and stream.origin(at)[1] >= since:
                return offset
        return None

    def _chunks(self, side: Side, declared: int | None) -> _Fixed:
        """Step over a chunked body and its trailer section (RFC 9112 7.1)."""
        seen = 0
        missing = ""
        while True:
            start = side.pos
            line, whole = side.until(b"\n", _MAX_LINE)
            if not whole:
                return _Fixed("chunked", declared, seen, False, missing or _cut(side, len(line)))
            digits = line.partition(b";")[0].strip()
            size = _hex(digits)
            if size is None:
                self._problem(side, side.at, start, len(line), "chunk-size", "bad chunk size (RFC 9112 7.1)")
                side.seek(start + len(line))
                return _Fixed("chunked", declared, seen, False, "bad chunk size (RFC 9112 7.1)")
            side.seek(start + len(line))
            if size == 0:
                break
            got = side.skip(size)
            seen += got
            if got < size:
                missing = missing or _short(side, size - got)
                if not side.more:
                    return _Fixed("chunked", declared, seen, False, missing)
            after = side.peek(2)
            if after[:2] == b"\r\n" or after[:1] == b"\n":
                side.seek(side.pos + (2 if after[0] == 13 else 1))
            elif after in (b"", b"\r"):
                return _Fixed("chunked", declared, seen, False, missing or _cut(side, len(after)))
            else:
                why = "chunk longer than its size says (RFC 9112 7.1)"
                self._problem(side, side.at, side.pos, 0, "chunk-data", why)
                return _Fixed("chunked", declared, seen, False, why)
        while True:
            line, whole = side.until(b"\n", _MAX_LINE)
            if not whole:
                return _Fixed("chunked", declared, seen, False, missing or _cut(side, len(line)))
            side.seek(side.pos + len(line))
            if line in (b"\r\n", b"\n"):
                return _Fixed("chunked", declared, seen, not missing, missing)

    def _simple_response(self, side: Side, asked: _Read) -> _Read:
        """An HTTP/0.9 response: octets until the end, nothing else (RFC 1945 6.1)."""
        first, start = side.at, side.pos
        head = wire.Head("response", "0.9", None, None, None, "", (), None, False, False, None, "", "", ())
        fixed = self._body(side, head._replace(version="1.0"), asked)
        return self._message(side, head, fixed, first, first, side.last(), start, asked)

    def _cut_head(self, side: Side, first: int, start: int, data: bytes, head: wire.Head, asked: _Read | None) -> _Read:
        """A head without its end: too long, cut by a hole, or the capture stops; ``header_end`` is 0."""
        side.seek(start + len(data))
        why = "head too long to be read" if len(data) > MAX_HEAD else "head not complete: " + _cut(side, 0)
        fixed = _Fixed("none", head.length, 0, False, why)
        self._problem(side, first, start, len(data), "head", why)
        return self._message(side, head, fixed, first, None, side.last(), start, asked)

    def _message(
        self,
        side: Side,
        head: wire.Head,
        fixed: _Fixed,
        first: int,
        header_at: int | None,
        last: int,
        start: int,
        asked: _Read | None,
    ) -> _Read:
        origin = side.stream.origin
        (packet, begun), (last_packet, ended) = origin(first), origin(last)
        problem = fixed.problem
        for fault in head.faults:
            self._problem(side, first, start + fault.offset, 0, fault.field, fault.why)
        if head.faults:
            problem = f"{problem}; {head.faults[0].why}" if problem else head.faults[0].why
        if head.kind == "response" and (asked or self.orphan):
            key = asked[0].stream if asked else self.orphan
        else:
            self.keys = key = self.keys + 1
            if head.kind == "response":
                self.orphan = key
        message = HttpMessage(
            side.sender,
            head.kind,
            head.version,
            key,
            head.method,
            head.target,
            head.host,
            head.status,
            head.reason,
            head.fields,
            fixed.framing,
            fixed.declared,
            fixed.seen,
            fixed.complete,
            (packet, last_packet),
            begun,
            0 if header_at is None else origin(header_at)[1],
            ended,
            self.tls,
            start,
            problem,
        )
        self.messages.append(message)
        return message, head

    def _problem(self, side: Side, at: int, offset: int, length: int, field: str, why: str) -> None:
        if len(self.problems) < _MOST_PROBLEMS:
            packet = (side.stream.origin(min(at, side.count - 1))[0],)
            self.problems.append((Evidence(packet, side.sender, offset, length, field), why))


def _hex(digits: bytes) -> int | None:
    if not digits or len(digits) > 16 or not all(octet in b"0123456789abcdefABCDEF" for octet in digits):
        return None
    return int(digits, 16)


def _short(side: Side, missing: int) -> str:
    if side.more or side.gaps:
        return f"{missing} octets of the body were not captured"
    if side.ended:
        return f"the sender closed with {missing} octets of the body outstanding"
    return f"{missing} octets of the body outstanding when the capture ends"


def _cut(side: Side, length: int) -> str:
    at = side.pos + length
    if at < side.end:
        return "octets were not captured"
    return "the sender closed" if side.ended else "the capture ends"
