"""The server's side of HTTP/2 (RFC 9113): octets in, requests out; answers in, octets out.

h2 reads and writes the frames.  Here are whole requests, the sending of many bodies side by side within the peer's
flow-control windows, one frame each in turn, and what a peer may ask: bodies, header lists, resets (RFC 9113 10.5).

``output`` gives a bounded piece at a time, so that whoever writes it out can wait.  What answers to PINGs and SETTINGS
can pile up meanwhile is bounded by whoever reads while it waits.
"""

from __future__ import annotations

import re
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import NoReturn

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
from hpack.exceptions import HPACKError
from hyperframe.exceptions import HyperframeError

from synfin.errors import PeerError
from synfin.http.app import Answer, Body, Budget, Refusal, Request, split_target, wrong_target
from synfin.http.faults import h2_fault
from synfin.wire.http2 import PREFACE

#: Error codes of RFC 9113 7.
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FRAME_SIZE_ERROR, REFUSED_STREAM = 0, 1, 2, 6, 7
COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 9, 11
_SETTINGS, _ACK, _GOAWAY = 4, 1, b"\0\0\x08\7\0\0\0\0\0"
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
#: What the peer may send before it hears of us, per stream and in all.
WINDOW = 1 << 20
MAX_STREAMS = 128
#: Streams beyond which a client is no longer one that has not seen our SETTINGS yet.
AT_MOST = 1024
#: Streams a peer may open and reset again beyond those it lets us answer.
RESETS = 200
#: Octets of the longest frame we take and send.
_FRAME = 1 << 14
#: Octets of a frame's header; we send frames that fill a TLS record with it.
_HEADER = 9


def _wrong(method: str, target: str) -> Refusal | None:
    """What is wrong with a request's method or target (RFC 9113 8.3.1, RFC 9110 9.1, 9.3.6)."""
    if _TOKEN.fullmatch(method) is None:
        return Refusal(400, "http_bad_start_line", "a method that is no token")
    if method == "CONNECT":
        return Refusal(501, "", "no tunnels here")
    if why := wrong_target(method, target):
        return Refusal(400, "http_bad_start_line", why)
    return None


def _settings(streams: int) -> h2.settings.Settings:
    codes = h2.settings.SettingCodes
    values = {
        codes.MAX_CONCURRENT_STREAMS: streams,
        codes.INITIAL_WINDOW_SIZE: WINDOW,
        codes.MAX_HEADER_LIST_SIZE: 1 << 16,
    }
    return h2.settings.Settings(client=False, initial_values=values)


@dataclass(slots=True)
class _Coming:
    """A request whose body still comes."""

    request: Request
    parts: list[bytes] = field(default_factory=list)
    size: int = 0


@dataclass(slots=True)
class _Going:
    """A body on its way out."""

    body: bytes | Body
    size: int
    at: int = 0

    def take(self, count: int) -> bytes:
        """The next octets."""
        body = self.body
        part = body[self.at : self.at + count] if isinstance(body, bytes) else body.read(self.at, count)
        self.at += len(part)
        return part

    def close(self) -> None:
        """Let go of it."""
        if not isinstance(self.body, bytes):
            self.body.close()


class Http2:
    """One connection.  Without ``bodies`` a request whose body is too long, or waits for 100, comes without it."""

    def __init__(self, max_body: int = 16 << 20, budget: Budget | None = None, *, bodies: bool = True) -> None:
        self._bodies = bodies
        config = h2.config.H2Configuration(
            client_side=False,
            header_encoding=None,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self._conn = h2.connection.H2Connection(config)
        self._conn.local_settings = _settings(MAX_STREAMS)
        self._conn.initiate_connection()
        self._conn.local_settings = _settings(AT_MOST)  # h2 ends the connection there; those between are refused
        self._conn.increment_flow_control_window(WINDOW)
        self.max_body = max_body
        self.budget = budget or Budget()
        self._coming: dict[int, _Coming] = {}
        self._going: dict[int, _Going] = {}
        self._turns: deque[int] = deque()
        self._held: dict[int, int] = {}  # stream -> octets of its body out of the budget
        self._early: set[int] = set()  # streams answered before their request was whole
        self._resets = 0
        self._skip = len(PREFACE)  # octets until the next frame's header
        self._header = b""  # the beginning of one
        self._had = 0  # octets of it that came before
        self._first = True  # no frame came yet
        self._in_goaway = False  # the rest to be skipped is that of a GOAWAY
        self._last = b""  # octets for the peer that h2 has given out already
        self.closed = False
        self.sent = self.came = 0  # octets of bodies, out and in
        self.finished: list[tuple[int, int]] = []  # streams answered or given up, with the octets of body that left

    @property
    def idle(self) -> bool:
        """Whether no request is coming in or being answered."""
        return not self._coming and not self._going

    @property
    def sending(self) -> bool:
        """Whether answers wait, be it for the peer's window."""
        return bool(self._going)

    # ------------------------------------------------------------ in

    def receive(self, data: bytes) -> list[tuple[int, Request | Refusal]]:
        """Whole requests, by stream.  PeerError when the connection is over; ``output`` then has the GOAWAY."""
        found: list[h2.events.Event] = []
        try:
            at = 0
            for end in (*self._lengths(data), len(data)):
                if at:
                    self._last += self._conn.data_to_send()  # h2 drops it at a GOAWAY
                found += self._conn.receive_data(data[at:end])
                at = end
                if found and isinstance(found[-1], h2.events.ConnectionTerminated):
                    self._left(found[-1])
        except (h2.exceptions.H2Error, HPACKError, HyperframeError) as error:
            told = h2_fault(error)
            if told.violation == "h2_bad_preface":  # the one case where h2 says nothing itself
                self._conn.close_connection(PROTOCOL_ERROR)
            elif "decoding header block" in str(error):  # h2 calls it PROTOCOL_ERROR (RFC 9113 4.3)
                self._last += self._conn.data_to_send()
                if self._last[-17:-8] == _GOAWAY:
                    self._last = self._last[:-4] + COMPRESSION_ERROR.to_bytes(4, "big")
            self.closed = True
            raise told from None
        ready: dict[int, Request | Refusal] = {}
        for event in found:
            if isinstance(event, h2.events.RequestReceived):
                self._request(event, ready)
            elif isinstance(event, h2.events.DataReceived):
                self._data(event, ready)
            elif isinstance(event, h2.events.StreamEnded):
                self._early.discard(event.stream_id or 0)
                coming = self._coming.pop(event.stream_id or 0, None)
                if coming is not None:
                    self._held[event.stream_id or 0] = coming.size
                    ready[event.stream_id or 0] = replace(coming.request, body=b"".join(coming.parts))
            elif isinstance(event, h2.events.StreamReset):
                self._reset(event.stream_id or 0, bool(event.remote_reset), ready)
        return list(ready.items())

    def _left(self, event: h2.events.ConnectionTerminated) -> None:
        """The client leaves: it wants no pushes any more, but the answers it asked for (RFC 9113 6.8), unlike h2."""
        self.closed = True
        if event.error_code == NO_ERROR:
            self._conn.state_machine.state = h2.connection.ConnectionState.SERVER_OPEN

    def _lengths(self, data: bytes) -> list[int]:
        """Refuse a frame by its header: h2 would hold all of it first, or gives another error code.

        The places where GOAWAY frames begin and end.
        """
        at, size = self._skip, len(data)
        cuts = [at] if self._in_goaway and at <= size else []
        self._in_goaway = self._in_goaway and at > size
        while at < size:
            self._header += data[at : at + 9 - len(self._header)]
            if len(self._header) < 9:
                break
            length, kind, flags = int.from_bytes(self._header[:3], "big"), self._header[3], self._header[4]
            if self._first and (kind != _SETTINGS or flags & _ACK):  # RFC 9113 3.4
                self._refuse(PROTOCOL_ERROR, "h2_bad_preface", "SETTINGS first", f"a frame of type {kind}")
            self._first = False
            if length > _FRAME:
                self._refuse(FRAME_SIZE_ERROR, "h2_bad_frame_size", f"at most {_FRAME} octets", str(length))
            if kind == _SETTINGS and flags & _ACK and length:  # RFC 9113 6.5
                self._refuse(FRAME_SIZE_ERROR, "h2_bad_frame_size", "an empty acknowledgement", f"{length} octets")
            start, at = at, at + 9 - self._had + length
            if kind == _GOAWAY[3]:
                cuts += [start, at] if at <= size else [start]
                self._in_goaway = at > size
            self._header = b""
            self._had = 0
        self._had = len(self._header)
        self._skip = max(0, at - size) if not self._had else 0
        return cuts

    def _refuse(self, code: int, violation: str, expected: str, got: str) -> NoReturn:
        self.closed = True
        self._conn.close_connection(code)
        raise PeerError(violation, expected, got)

    def _request(self, event: h2.events.RequestReceived, ready: dict[int, Request | Refusal]) -> None:
        stream = event.stream_id or 0
        if len(self._coming) + len(self._going) + len(self._early) + len(ready) >= MAX_STREAMS:
            self._cancel(stream, REFUSED_STREAM)  # it may be asked again (RFC 9113 5.1.2, 8.7)
            return
        special: dict[str, str] = {}
        headers: list[tuple[str, str]] = []
        for raw_name, raw_value in event.headers or ():
            name, value = bytes(raw_name).decode("latin-1"), bytes(raw_value).decode("latin-1")
            if name.startswith(":"):
                special[name] = value
            else:
                headers.append((name, value))
        if ":authority" in special and not any(name == "host" for name, _ in headers):
            headers.insert(0, ("host", special[":authority"]))
        target = special.get(":path", "*")
        path, query = split_target(target)
        method = special.get(":method", "")
        request = Request(method, target, path, query, "2", tuple(headers))
        refusal = _wrong(method, target)
        if refusal is not None:
            ready[stream] = refusal
            if event.stream_ended is None:
                self._early.add(stream)
            return
        length = request.header("content-length")
        if event.stream_ended is not None:
            if length.strip("0"):  # a body was announced: malformed (RFC 9113 8.1.1)
                self._cancel(stream, PROTOCOL_ERROR)
                return
            ready[stream] = request
            return
        expect = request.header("expect").lower()
        long = length.isdigit() and int(length[:19]) > self.max_body
        early: Request | Refusal | None = None
        if not self._bodies and (long or expect == "100-continue"):
            early = request
        elif expect not in ("", "100-continue"):
            early = Refusal(417, "", f"the expectation {expect[:40]}", (method, target))
        elif long:
            early = Refusal(413, "", f"a body of more than {self.max_body} octets", (method, target))
        if early is not None:
            ready[stream] = early
            self._early.add(stream)
            return
        if expect:
            with suppress(h2.exceptions.H2Error):  # taken back already: that event is still to come
                self._conn.send_headers(stream, [(b":status", b"100")])
        self._coming[stream] = _Coming(request)

    def _cancel(self, stream: int, code: int) -> None:
        with suppress(h2.exceptions.H2Error):  # taken back already
            self._conn.reset_stream(stream, code)

    def _data(self, event: h2.events.DataReceived, ready: dict[int, Request | Refusal]) -> None:
        stream, data = event.stream_id or 0, event.data or b""
        if event.flow_controlled_length:
            self._conn.acknowledge_received_data(event.flow_controlled_length, stream)
        coming = self._coming.get(stream)
        if coming is None:
            return
        room = coming.size + len(data) <= self.max_body
        if not room or not self.budget.take(len(data)):
            del self._coming[stream]
            self._early.add(stream)
            self.budget.give(coming.size)
            status, why = (503, "too many bodies at a time") if room else (413, f"more than {self.max_body} octets")
            ready[stream] = Refusal(status, "", why, (coming.request.method, coming.request.target))
            return
        coming.parts.append(data)
        coming.size += len(data)
        self.came += len(data)

    def _reset(self, stream: int, theirs: bool, ready: dict[int, Request | Refusal]) -> None:
        ready.pop(stream, None)
        self._early.discard(stream)
        coming = self._coming.pop(stream, None)
        if coming is not None:
            self.budget.give(coming.size)
        self._drop(stream)
        if theirs:
            self._resets += 1
            if self._resets > RESETS:
                self._conn.close_connection(ENHANCE_YOUR_CALM)
                self.closed = True
                raise PeerError("h2_rapid_reset", f"at most {RESETS} more than finished", "another")

    def _drop(self, stream: int) -> None:
        going = self._going.pop(stream, None)
        if going is not None:
            going.close()
            self.finished.append((stream, going.at))
        self.budget.give(self._held.pop(stream, 0))

    # ------------------------------------------------------------ out

    def answer(self, stream: int, answer: Answer, head: bool, date: str) -> None:
        """Answer a request; ``head`` says that it was HEAD.  Nothing happens where the peer has reset the stream."""
        length = answer.size if answer.length is None else answer.length
        headers = [(b":status", b"%d" % answer.status), (b"date", date.encode()), (b"server", b"synfin")]
        headers += [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in answer.headers]
        if answer.status not in (204, 304):
            headers.append((b"content-length", b"%d" % length))
        bare = head or not answer.size or answer.status in (204, 304)
        going = _Going(answer.body, answer.size)
        try:
            self._conn.send_headers(stream, headers, end_stream=bare)
        except h2.exceptions.H2Error:
            bare = True
        if bare:
            going.close()
            self.finished.append((stream, 0))
            self._drop(stream)
        else:
            self._going[stream] = going
            self._turns.append(stream)

    def output(self, most: int) -> bytes:
        """What can be sent now, about ``most`` octets; b"" where nothing can."""
        conn, turns = self._conn, self._turns
        sent, blocked = 0, 0
        while turns and blocked < len(turns) and sent < most:
            stream = turns[0]
            going = self._going.get(stream)
            if going is None:
                turns.popleft()
                continue
            try:
                frame = min(conn.max_outbound_frame_size, _FRAME - _HEADER)
                # A body on its way alone is read in one go for several frames.
                frames = 1 if len(turns) > 1 else max(1, (most - sent) // (frame + _HEADER))
                room = min(conn.local_flow_control_window(stream), frames * frame)
                if room <= 0:
                    turns.rotate(-1)
                    blocked += 1
                    continue
                part = going.take(min(room, going.size - going.at))
                if not part:  # a file that became shorter
                    conn.reset_stream(stream, INTERNAL_ERROR)
                    self._drop(stream)
                    continue
                end = going.at >= going.size
                for at in range(0, len(part), frame):
                    last = at + frame >= len(part)
                    conn.send_data(stream, part[at : at + frame], end_stream=end and last)
                    sent += _HEADER
            except h2.exceptions.H2Error:
                self._drop(stream)
                continue
            sent += len(part)
            self.sent += len(part)
            blocked = 0
            if end:
                turns.popleft()
                self._drop(stream)
                self._resets = max(0, self._resets - 1)
            else:
                turns.rotate(-1)
        words, self._last = self._last, b""
        return words + conn.data_to_send()

    def close(self) -> None:
        """Say GOAWAY; what is being answered may be finished."""
        if not self.closed:
            self.closed = True
            self._conn.close_connection(NO_ERROR)

    def forget(self) -> None:
        """Let go of everything: the connection is gone."""
        for stream in list(self._going):
            self._drop(stream)
        for stream in list(self._held):
            self._drop(stream)
        for coming in self._coming.values():
            self.budget.give(coming.size)
        self._coming.clear()
