"""The story's HTTP part: requests, responses, and the HTTP/2 frames that matter beyond them (RFC 9110, 9112, 9113)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from synfin.observe.evidence import Evidence


class HttpMessage(NamedTuple):
    """One HTTP request or response (RFC 9112, RFC 9113); sizes in octets."""

    sender: int
    kind: str  # "request" or "response"
    version: str  # "0.9" "1.0" "1.1" "2"
    stream: int  # HTTP/2 stream id; for HTTP/1 the number of the exchange, from 1
    method: str | None
    target: str | None
    authority: str | None  # Host or :authority
    status: int | None
    reason: str
    headers: tuple[tuple[str, str], ...]
    framing: str  # none length chunked close tunnel h2
    declared: int | None  # content-length as said
    body: int  # octets of body seen (after de-chunking)
    complete: bool
    packets: tuple[int, int]  # first and last packet
    start: int
    header_end: int  # when the last octet of the header was seen; 0: not captured whole, or not readable
    end: int
    tls: bool
    offset: int  # where it starts in its sender's (clear or decrypted) stream
    problem: str = ""


@dataclass(frozen=True, slots=True)
class H2Event:
    """An HTTP/2 frame that matters beyond its message: SETTINGS, RST_STREAM, GOAWAY, window stalls."""

    sender: int
    what: str  # settings settings_ack rst_stream goaway window_stall ping priority connection_error
    stream: int
    code: int | None
    detail: str
    packet: int
    time: int
    until: int = 0  # window_stall: when new credit came (or the capture's end), ns


@dataclass(slots=True)
class HttpStory:
    """The HTTP part; messages of both sides in time order."""

    protocol: str  # "http/0.9" "http/1" "h2"
    tls: bool
    messages: list[HttpMessage] = field(default_factory=list)
    h2: list[H2Event] = field(default_factory=list)
    switched: str | None = None  # what the connection became: websocket, h2c, tunnel ...
    problems: list[tuple[Evidence, str]] = field(default_factory=list)
