"""A client's side of one HTTP exchange, sans-I/O: octets in and out, what came as events (RFC 9110, 9112, 9113).

``Http1`` speaks HTTP/1.1 by h11, ``Http2`` HTTP/2 by h2; both have the same four verbs.  They decide what goes on the
wire and what the answer is; connections, time-outs and redirects are the driver's.  Bodies come as they are: nothing
is decompressed, so no small answer becomes a large one.  A server cannot make a client hold more than ``Limits``;
whatever it does wrong is a PeerError named in ``spec.violations``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import h11
from hpack.exceptions import HPACKError
from hyperframe.exceptions import HyperframeError

from synfin.errors import PeerError, UsageError

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a server may make us hold or look at."""

    head: int = 1 << 18  # octets of a head
    informational: int = 32  # answers of class 1xx
    idle: int = 2000  # events without data in a row (pings, settings, empty frames)


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask.  ``fields`` are written in this order, Host (or :authority) first; ``target`` begins with "/"."""

    method: str
    scheme: str
    authority: str
    target: str
    fields: Fields = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an answer; ``informational`` ones (1xx) come before the final one."""

    status: int
    reason: str
    version: str  # "1.0", "1.1", "2"
    fields: Fields
    informational: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """A piece of the body, never empty, as it came (still content-coded)."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Done:
    """The answer is complete.  ``reusable`` tells whether the connection could carry another exchange."""

    trailers: Fields = ()
    reusable: bool = True


Answer = Head | Body | Done


class Exchange(Protocol):
    """One request and its answer on a fresh connection."""

    def output(self) -> bytes:
        """Octets for the server, b"" when there are none now."""

    def receive(self, data: bytes) -> list[Answer]:
        """Take octets of the server.  PeerError for what they must not be."""

    def receive_eof(self) -> list[Answer]:
        """The server sends no more.  PeerError where something is missing."""

    def goodbye(self) -> bytes:
        """What is to be sent before closing."""


def checked(request: Request) -> Request:
    """``request`` if it can be sent.  UsageError for a method, a target or a field that no server could read."""
    if not request.method.isascii() or not all(c.isalnum() or c in "!#$%&'*+-.^_`|~" for c in request.method):
        raise UsageError(f"-X {request.method!r}: a method is a word of letters, such as GET or POST")
    if request.method == "CONNECT":
        raise UsageError("-X CONNECT asks a proxy for a tunnel; this is not a proxy client")
    for name, value in request.fields:
        if not name or not name.isascii() or not all(c.isalnum() or c in "!#$%&'*+-.^_`|~" for c in name):
            raise UsageError(f"-H {name!r}: not a field name")
        if any(c in "\r\n\0" for c in value):
            raise UsageError(f"-H {name}: a value cannot hold line breaks")
    return request


def _text(data: bytes) -> str:
    return data.decode("latin-1")


def _octets(text: str) -> bytes:
    """As it is where it fits an octet a character, else UTF-8: what people type."""
    try:
        return text.encode("latin-1") if text.isascii() else text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape")


# ---------------------------------------------------------------- HTTP/1.1


#: Octets of an answer that are shown where it is none.
_SHOWN = 24


class Http1:
    """HTTP/1.1 by h11."""

    def __init__(self, request: Request, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=self._limits.head)
        self._began = self._done = self._headed = False
        self._start = b""
        self._informational = 0
        fields = [("Host", request.authority), *request.fields]
        names = {name.lower() for name, _ in request.fields}
        if "host" in names:
            fields = list(request.fields)
        if request.body and not names & {"content-length", "transfer-encoding"}:
            fields.append(("Content-Length", str(len(request.body))))
        elif not request.body and request.method in ("POST", "PUT", "PATCH") and "content-length" not in names:
            fields.append(("Content-Length", "0"))
        try:
            head = h11.Request(
                method=request.method,
                target=_octets(request.target),
                headers=[(name.encode(), _octets(value)) for name, value in fields],
            )
            out = [self._h11.send(head)]
            if request.body:
                out.append(self._h11.send(h11.Data(data=request.body)))
            out.append(self._h11.send(h11.EndOfMessage()))
        except h11.LocalProtocolError as error:
            raise UsageError(f"this request cannot be sent: {error}") from None
        self._out = b"".join([part for part in out if part])

    def output(self) -> bytes:
        """See ``Exchange``."""
        out, self._out = self._out, b""
        return out

    def goodbye(self) -> bytes:
        """See ``Exchange``."""
        return b""

    def receive(self, data: bytes) -> list[Answer]:
        """See ``Exchange``."""
        self._began = self._began or bool(data)
        if len(self._start) < _SHOWN:
            self._start += data[: _SHOWN - len(self._start)]
        return self._take(data) if data and not self._done else []

    def receive_eof(self) -> list[Answer]:
        """See ``Exchange``."""
        if self._done:
            return []
        if not self._began:
            raise PeerError("http_empty_reply", "an answer", "the end of the connection")
        if not self._headed:
            cut = self._start.startswith(b"HTTP/")
            name = "http_short_body" if cut else "http_bad_start_line"
            got = "the end of the connection" if cut else repr(self._start)[1:]
            raise PeerError(name, "a whole head" if cut else "a status line", got)
        return self._take(b"")

    def _take(self, data: bytes) -> list[Answer]:
        found: list[Answer] = []
        try:
            self._h11.receive_data(data)
            while not self._done:
                event = self._h11.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    break
                self._event(event, found)
        except h11.RemoteProtocolError as error:
            raise _fault(str(error), self._limits) from None
        return found

    def _event(self, event: object, found: list[Answer]) -> None:
        if isinstance(event, h11.InformationalResponse | h11.Response):
            fields = tuple([(_text(name), _text(value)) for name, value in event.headers.raw_items()])
            informational = isinstance(event, h11.InformationalResponse)
            self._headed = self._headed or not informational
            self._informational += informational
            if self._informational > self._limits.informational:
                raise PeerError("http_answer_unasked", f"at most {self._limits.informational} interim answers", "more")
            version = _text(bytes(event.http_version))
            found.append(Head(event.status_code, _text(bytes(event.reason)), version, fields, informational))
            if event.status_code == 101:
                self._done = True
                found.append(Done(reusable=False))
        elif isinstance(event, h11.Data):
            if event.data:
                found.append(Body(bytes(event.data)))
        elif isinstance(event, h11.EndOfMessage):
            self._done = True
            trailers = tuple([(_text(name), _text(value)) for name, value in event.headers.raw_items()])
            found.append(Done(trailers, self._h11.their_state is h11.DONE))
        elif isinstance(event, h11.ConnectionClosed):
            raise PeerError("http_empty_reply", "an answer", "the end of the connection")


def _fault(why: str, limits: Limits) -> PeerError:
    """The violation behind h11's words."""
    low = why.lower()
    if "receive buffer too long" in low:
        return PeerError("http_bad_field", f"a head of at most {limits.head:,} octets", "a longer one")
    if "without sending complete message body" in low or "closed connection" in low:
        return PeerError("http_short_body", "the whole body", why)
    if "chunk" in low:
        return PeerError("http_bad_chunk", "a chunk", why)
    if "content-length" in low:
        name = "http_conflicting_lengths" if "conflicting" in low else "http_bad_length"
        return PeerError(name, "one length", why)
    if "status line" in low or "request line" in low or "line received" in low:
        return PeerError("http_bad_start_line", "a status line", why)
    return PeerError("http_bad_field", "a header field", why)


# ---------------------------------------------------------------- HTTP/2

#: Octets that may come before we have to say that we took some.
_WINDOW = 1 << 20
#: The longest frame we take (SETTINGS_MAX_FRAME_SIZE at its start value).
_FRAME = 1 << 14
#: Fields of HTTP/1.1 that HTTP/2 must not have (RFC 9113 8.2.2), and those that pseudo-fields say.
_NOT_IN_2 = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "host"})


class Http2:
    """HTTP/2 by h2, one stream."""

    def __init__(self, request: Request, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding=None))
        self._done = self._failed = self._answered = False
        self._first = self._partial = b""
        self._skip = 0  # octets of a frame still to come
        self._informational = self._idle = 0
        self._trailers: Fields = ()
        setting = h2.settings.SettingCodes
        self._h2.local_settings = h2.settings.Settings(
            client=True,
            initial_values={
                setting.ENABLE_PUSH: 0,
                setting.INITIAL_WINDOW_SIZE: _WINDOW,
                setting.MAX_HEADER_LIST_SIZE: self._limits.head,
            },
        )
        fields = [
            (":method", request.method),
            (":scheme", request.scheme),
            (":authority", request.authority),
            (":path", request.target),
        ]
        for name, value in request.fields:
            if name.lower() == "host":
                fields[2] = (":authority", value)
            elif name.lower() not in _NOT_IN_2 and not (name.lower() == "te" and value.lower() != "trailers"):
                fields.append((name.lower(), value))
        if request.body and "content-length" not in {name for name, _ in fields}:
            fields.append(("content-length", str(len(request.body))))
        self._body = memoryview(request.body)
        try:
            self._h2.initiate_connection()
            self._h2.increment_flow_control_window(_WINDOW)
            self._stream = self._h2.get_next_available_stream_id()
            headers = [(_octets(name), _octets(value)) for name, value in fields]
            self._h2.send_headers(self._stream, headers, end_stream=not request.body)
            self._send()
        except h2.exceptions.ProtocolError as error:
            raise UsageError(f"this request cannot be sent over HTTP/2: {error}") from None

    def output(self) -> bytes:
        """See ``Exchange``."""
        return self._h2.data_to_send()

    def goodbye(self) -> bytes:
        """See ``Exchange``."""
        if self._failed:
            return self._h2.data_to_send()
        try:
            self._h2.close_connection()
        except h2.exceptions.ProtocolError:
            return b""
        return self._h2.data_to_send()

    def receive(self, data: bytes) -> list[Answer]:
        """See ``Exchange``."""
        if self._done or self._failed or not data:
            return []
        if len(self._first) < 9:
            self._first += data[: 9 - len(self._first)]
            if len(self._first) >= 4 and self._first[3] != 4:
                self._failed = True
                raise PeerError("h2_bad_preface", "a SETTINGS frame", repr(data[:16])[1:])
        found: list[Answer] = []
        try:
            self._lengths(data)
            for event in self._h2.receive_data(data):
                self._event(event, found)
            if not self._done:
                self._send()
        except (h2.exceptions.H2Error, HyperframeError, HPACKError) as error:
            self._failed = True
            raise _fault2(error) from None
        except PeerError:
            self._failed = True
            raise
        return found

    def receive_eof(self) -> list[Answer]:
        """See ``Exchange``."""
        if self._done or self._failed:
            return []
        name = "http_short_body" if self._answered else "http_empty_reply"
        raise PeerError(name, "the end of the stream", "the end of the connection")

    def _lengths(self, data: bytes) -> None:
        """Refuse a frame by its announced length: h2 would hold all of it first."""
        at = min(self._skip, len(data))
        self._skip -= at
        while at < len(data):
            part = data[at : at + 9 - len(self._partial)]
            self._partial += part
            at += len(part)
            if len(self._partial) < 9:
                return
            length = int.from_bytes(self._partial[:3], "big")
            self._partial = b""
            if length > _FRAME:
                raise PeerError("h2_bad_frame_size", f"at most {_FRAME:,} octets", f"{length:,}")
            step = min(length, len(data) - at)
            at += step
            self._skip = length - step

    def _send(self) -> None:
        """As much of the body as the server lets us."""
        while self._body:
            window = self._h2.local_flow_control_window(self._stream)
            size = min(window, self._h2.max_outbound_frame_size, len(self._body))
            if size <= 0:
                return
            piece, self._body = self._body[:size], self._body[size:]
            self._h2.send_data(self._stream, bytes(piece), end_stream=not self._body)

    def _event(self, event: h2.events.Event, found: list[Answer]) -> None:
        self._idle += 1
        if self._idle > self._limits.idle:
            raise PeerError("h2_rapid_reset", f"data within {self._limits.idle} frames", "more frames without")
        if isinstance(event, h2.events.ConnectionTerminated):
            if event.error_code:
                raise PeerError("h2_goaway", "an answer", f"GOAWAY {_code(event.error_code)}")
            if (event.last_stream_id or 0) < self._stream:
                raise PeerError("http_empty_reply", "an answer", "GOAWAY before our request")
            return
        if getattr(event, "stream_id", None) not in (None, 0, self._stream):
            return
        if isinstance(event, h2.events.ResponseReceived | h2.events.InformationalResponseReceived):
            informational = isinstance(event, h2.events.InformationalResponseReceived)
            self._informational += informational
            if self._informational > self._limits.informational:
                raise PeerError("http_answer_unasked", f"at most {self._limits.informational} interim answers", "more")
            self._answered = self._answered or not informational
            found.append(_head2(event.headers or [], informational))
        elif isinstance(event, h2.events.DataReceived):
            if event.data:
                self._idle = 0
                found.append(Body(bytes(event.data)))
            if event.flow_controlled_length:
                self._h2.acknowledge_received_data(event.flow_controlled_length, self._stream)
        elif isinstance(event, h2.events.TrailersReceived):
            self._trailers = tuple([(_text(bytes(n)), _text(bytes(v))) for n, v in event.headers or []])
        elif isinstance(event, h2.events.StreamEnded):
            self._done = True
            found.append(Done(self._trailers))
        elif isinstance(event, h2.events.StreamReset):
            raise PeerError("h2_stream_reset", "an answer", f"RST_STREAM {_code(event.error_code)}")


def _head2(headers: list[tuple[bytes, bytes]], informational: bool) -> Head:
    status, fields = b"", []
    for name, value in headers:
        if bytes(name) == b":status":
            status = bytes(value)
        else:
            fields.append((_text(bytes(name)), _text(bytes(value))))
    if len(status) != 3 or not status.isdigit():
        raise PeerError("h2_bad_header_block", "a status of three digits", repr(status)[1:])
    return Head(int(status), "", "2", tuple(fields), informational)


def _code(number: int | None) -> str:
    try:
        return h2.errors.ErrorCodes(number or 0).name
    except ValueError:
        return str(number)


def _fault2(error: Exception) -> PeerError:
    """The violation behind h2's exception."""
    told = str(error) or type(error).__name__
    if isinstance(error, h2.exceptions.FlowControlError):
        return PeerError("h2_flow_control", "data within the window", told)
    if isinstance(error, h2.exceptions.FrameTooLargeError | h2.exceptions.FrameDataMissingError):
        return PeerError("h2_bad_frame_size", "a frame", told)
    if isinstance(error, h2.exceptions.InvalidSettingsValueError):
        return PeerError("h2_bad_settings", "a setting", told)
    if isinstance(error, h2.exceptions.DenialOfServiceError | HPACKError) or "header" in told.lower():
        return PeerError("h2_bad_header_block", "a header block", told)
    return PeerError("h2_stream_state", "a frame that may come now", told)
