"""A client's HTTP/1.1 (RFC 9112) by h11; see ``client.Exchange``."""

from __future__ import annotations

import h11

from synfin.errors import PeerError, UsageError
from synfin.http.client import Answer, Body, Done, Head, Limits, Request, octets, text
from synfin.http.faults import h11_words

#: Octets of an answer that are shown where it is none.
_SHOWN = 24


def fields_of(request: Request) -> list[tuple[str, str]]:
    """The fields of ``request`` as HTTP/1.1 sends them: with Host, and the length of a body."""
    names = {name.lower() for name, _ in request.fields}
    fields = list(request.fields) if "host" in names else [("Host", request.authority), *request.fields]
    if request.body and not names & {"content-length", "transfer-encoding"}:
        fields.append(("Content-Length", str(len(request.body))))
    elif not request.body and request.method in ("POST", "PUT", "PATCH") and "content-length" not in names:
        fields.append(("Content-Length", "0"))
    return fields


class Http1:
    """HTTP/1.1 by h11."""

    def __init__(self, request: Request, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=self._limits.head)
        self._began = self._done = self._headed = False
        self._start = b""
        self._informational = 0
        fields = fields_of(request)
        try:
            head = h11.Request(
                method=request.method,
                target=octets(request.target),
                headers=[(name.encode(), octets(value)) for name, value in fields],
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
            if self._start.startswith(b"HTTP/"):
                raise PeerError("http_empty_reply", "a whole head", "the end of the connection within it")
            raise PeerError("http_bad_start_line", "a status line", self._shown())
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
            raise self._fault(h11_words(error)) from None
        return found

    def _shown(self) -> str:
        """How the answer starts."""
        return repr(self._start.split(b"\r\n")[0])[1:]

    def _event(self, event: object, found: list[Answer]) -> None:
        if isinstance(event, h11.InformationalResponse | h11.Response):
            fields = tuple([(text(name), text(value)) for name, value in event.headers.raw_items()])
            informational = isinstance(event, h11.InformationalResponse)
            self._headed = self._headed or not informational
            self._informational += informational
            if self._informational > self._limits.informational:
                raise PeerError("http_answer_unasked", f"at most {self._limits.informational} interim answers", "more")
            version = text(bytes(event.http_version))
            found.append(Head(event.status_code, text(bytes(event.reason)), version, fields, informational))
            if event.status_code == 101:
                self._done = True
                found.append(Done())
        elif isinstance(event, h11.Data):
            if event.data:
                found.append(Body(bytes(event.data)))
        elif isinstance(event, h11.EndOfMessage):
            self._done = True
            trailers = tuple([(text(name), text(value)) for name, value in event.headers.raw_items()])
            found.append(Done(trailers))
        elif isinstance(event, h11.ConnectionClosed):
            raise PeerError("http_empty_reply", "an answer", "the end of the connection")

    def _fault(self, why: str) -> PeerError:
        """The violation behind h11's words."""
        low = why.lower()
        if "receive buffer too long" in low:
            return PeerError("http_bad_field", f"a head of at most {self._limits.head:,} octets", "a longer one")
        if "without sending complete message body" in low or "closed connection" in low:
            return PeerError("http_short_body", "the whole body", why)
        if "chunk" in low:
            return PeerError("http_bad_chunk", "a chunk", why)
        if "content-length" in low:
            name = "http_conflicting_lengths" if "conflicting" in low else "http_bad_length"
            return PeerError(name, "one length", why)
        if "status line" in low or "request line" in low or "line received" in low:
            return PeerError("http_bad_start_line", "a status line", why if self._informational else self._shown())
        if "switching" in low:
            return PeerError("http_answer_unasked", "an answer by HTTP/1.1", why)
        return PeerError("http_bad_field", "a header field", why)
