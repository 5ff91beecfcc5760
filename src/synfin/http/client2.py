"""A client's HTTP/2 (RFC 9113) by h2, one stream on a connection; see ``client.Exchange``."""

from __future__ import annotations

import contextlib

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
from hpack.exceptions import HPACKError
from hyperframe.exceptions import HyperframeError

from synfin.errors import PeerError, UsageError
from synfin.http.client import Answer, Body, Done, Fields, Head, Limits, Request, octets, text
from synfin.http.faults import h2_fault
from synfin.wire.http2 import error_name

#: Octets that may come before we have to say that we took some.
_WINDOW = 1 << 20


#: The longest frame we take (SETTINGS_MAX_FRAME_SIZE at its start value).
_FRAME = 1 << 14


#: Fields of HTTP/1.1 that HTTP/2 must not have (RFC 9113 8.2.2), and those that pseudo-fields say.
_NOT_IN_2 = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "host"})


#: What GOAWAY says of what we refuse ourselves (RFC 9113 7).
_COMPLAINTS = {
    "h2_bad_preface": h2.errors.ErrorCodes.PROTOCOL_ERROR,
    "h2_bad_frame_size": h2.errors.ErrorCodes.FRAME_SIZE_ERROR,
    "h2_bad_header_block": h2.errors.ErrorCodes.PROTOCOL_ERROR,
    "h2_rapid_reset": h2.errors.ErrorCodes.ENHANCE_YOUR_CALM,
}


def fields_of(request: Request) -> list[tuple[str, str]]:
    """The fields of ``request`` as HTTP/2 sends them (RFC 9113 8.2, 8.3.1): those of HTTP/1's connections stay out."""
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
    return fields


class Http2:
    """HTTP/2 by h2, one stream."""

    def __init__(self, request: Request, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding=None))
        self._done = self._failed = self._answered = False
        self._over = False  # the server's direction is closed: nobody reads what we would say
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
        fields = fields_of(request)
        self._body = memoryview(request.body)
        try:
            self._h2.initiate_connection()
            self._h2.increment_flow_control_window(_WINDOW)
            self._stream = self._h2.get_next_available_stream_id()
            headers = [(octets(name), octets(value)) for name, value in fields]
            self._h2.send_headers(self._stream, headers, end_stream=not request.body)
            self._send()
        except h2.exceptions.ProtocolError as error:
            raise UsageError(f"this request cannot be sent over HTTP/2: {error}") from None

    def output(self) -> bytes:
        """See ``Exchange``."""
        return self._h2.data_to_send()

    def goodbye(self) -> bytes:
        """See ``Exchange``."""
        if self._over:
            return b""
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
            raise h2_fault(error) from None
        except PeerError as error:
            self._failed = True
            self._complain(error.violation)
            raise
        return found

    def _complain(self, violation: str) -> None:
        """Tell the server what ends the connection, where it is a fault of HTTP/2 that h2 does not see itself."""
        code = _COMPLAINTS.get(violation)
        if code is not None:
            with contextlib.suppress(h2.exceptions.ProtocolError):
                self._h2.close_connection(error_code=code)

    def receive_eof(self) -> list[Answer]:
        """See ``Exchange``."""
        self._over = True
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
                raise PeerError("h2_goaway", "an answer", f"GOAWAY {error_name(event.error_code)}")
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
            self._trailers = tuple([(text(bytes(n)), text(bytes(v))) for n, v in event.headers or []])
        elif isinstance(event, h2.events.StreamEnded):
            self._done = True
            found.append(Done(self._trailers))
        elif isinstance(event, h2.events.StreamReset):
            raise PeerError("h2_stream_reset", "an answer", f"RST_STREAM {error_name(event.error_code)}")


def _head2(headers: list[tuple[bytes, bytes]], informational: bool) -> Head:
    status, fields = b"", []
    for name, value in headers:
        if bytes(name) == b":status":
            status = bytes(value)
        else:
            fields.append((text(bytes(name)), text(bytes(value))))
    if len(status) != 3 or not status.isdigit():
        raise PeerError("h2_bad_header_block", "a status of three digits", repr(status)[1:])
    return Head(int(status), "", "2", tuple(fields), informational)
