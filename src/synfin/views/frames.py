"""HTTP/2 frames as fields and as lines: the header of nine octets, what the known payloads say (RFC 9113 4.1 and 6).

Where frames lie is ``observe.http2_frames``'s answer.  Header blocks are compressed with the state of all blocks before
(RFC 7541): their fields are quoted from the message the observer read, not decoded again.
"""

from __future__ import annotations

from collections.abc import Iterator

from synfin.observe.cursor import Side
from synfin.observe.http2_frames import (
    CONTINUATION,
    DATA,
    GOAWAY,
    HEADERS,
    LOST,
    PADDED,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Framed,
    frames,
)
from synfin.observe.story_http import HttpMessage, HttpStory
from synfin.observe.stream import ByteStream
from synfin.views.words import clean, count
from synfin.wire.codec import Span
from synfin.wire.http2 import PREFACE, SETTING_NAMES, error_name

_NAMES = {
    DATA: "DATA", HEADERS: "HEADERS", PRIORITY: "PRIORITY", RST_STREAM: "RST_STREAM", SETTINGS: "SETTINGS",
    PUSH_PROMISE: "PUSH_PROMISE", PING: "PING", GOAWAY: "GOAWAY", WINDOW_UPDATE: "WINDOW_UPDATE",
    CONTINUATION: "CONTINUATION", 10: "ALTSVC", 12: "ORIGIN", 16: "PRIORITY_UPDATE",
}  # fmt: skip
#: Flags by frame type; 0x1 means different things (RFC 9113 6).
_FLAGS = {
    DATA: {1: "END_STREAM", 8: "PADDED"},
    HEADERS: {1: "END_STREAM", 4: "END_HEADERS", 8: "PADDED", 32: "PRIORITY"},
    SETTINGS: {1: "ACK"},
    PUSH_PROMISE: {4: "END_HEADERS", 8: "PADDED"},
    PING: {1: "ACK"},
    CONTINUATION: {4: "END_HEADERS"},
}
#: Types whose title says all they carry.
SAID = frozenset((SETTINGS, WINDOW_UPDATE, RST_STREAM, GOAWAY, PRIORITY, PING))
#: A server's first frames come after the head of its ``101``, a client's after its preface: looked for so far.
_LOOK = 65536


def frames_of(http: HttpStory, stream: ByteStream, sender: int) -> list[Framed]:
    """The frames one side sent, in order of their octets."""
    start = 0
    if http.switched == "h2c":
        begin = stream.read(0, _LOOK)
        preface, head = begin.find(PREFACE), begin.find(b"\r\n\r\n")
        start = preface if preface >= 0 else head + 4
    return [frame for frame in frames(Side(stream, sender, start, False), False) if frame.type != LOST]


def speaks(http: HttpStory | None) -> bool:
    """Whether ``http`` is HTTP/2, from the beginning or after an upgrade."""
    return http is not None and (http.protocol == "h2" or http.switched == "h2c")


def name_of(frame: Framed) -> str:
    """The frame's type by its name."""
    return _NAMES.get(frame.type, f"type 0x{frame.type:02x}")


def flags_of(frame: Framed) -> str:
    """The flags that are set, by name; those the type does not define as a number."""
    known = _FLAGS.get(frame.type, {})
    names = [name for bit, name in known.items() if frame.flags & bit]
    rest = frame.flags & ~sum(known)
    return ", ".join([*names, f"0x{rest:02x}"] if rest else names)


def title(frame: Framed) -> str:
    """The frame in one line: type, stream, size, flags, and what a short payload says."""
    parts = [name_of(frame) + (f" of stream {frame.stream}" if frame.stream else "")]
    if frame.type in (DATA, HEADERS, CONTINUATION, PUSH_PROMISE) or frame.type not in _NAMES:
        parts.append(count(frame.length, "octet"))
    parts += [flags_of(frame)] if frame.flags else []
    said = [f"{span.path.rpartition('.')[2]} {span.value}" for span in _payload(frame) if span.path.startswith("h2.")]
    if frame.type in SAID and said:
        return f"{', '.join(parts)}: {', '.join(said)}"
    return ", ".join(parts)


def message_of(frame: Framed, http: HttpStory) -> HttpMessage | None:
    """The message whose header fields ``frame`` begins, or None."""
    if frame.type != HEADERS:
        return None
    return next(
        (
            told
            for told in http.messages
            if told.version == "2" and (told.stream, told.sender) == (frame.stream, frame.sender)
            if told.offset == frame.offset
        ),
        None,
    )


def fields(message: HttpMessage) -> list[str]:
    """The header fields of a message, a line each."""
    return [f"{clean(name)}: {clean(value)}" for name, value in message.headers]


def frame_spans(http: HttpStory, stream: ByteStream, sender: int, start: int, end: int) -> Iterator[Span]:
    """The fields of every frame that touches octets ``start .. end``; offsets in the stream."""
    told = frames_of(http, stream, sender)
    if told:
        opening = told[0].offset - len(PREFACE)
        if opening >= 0 and stream.read(opening, len(PREFACE)) == PREFACE and start < told[0].offset:
            yield Span(opening, told[0].offset, "h2.preface", PREFACE, "RFC 9113 3.4")
    for frame in told:
        if frame.offset < end and frame.offset + 9 + frame.length > start:
            yield from _header(frame)
            yield from _payload(frame, message_of(frame, http))


def _header(frame: Framed) -> Iterator[Span]:
    at, ref = frame.offset, "RFC 9113 4.1"
    yield Span(at, at + 3, "h2.length", frame.length, ref)
    yield Span(at + 3, at + 4, "h2.type", f"{name_of(frame)} ({frame.type})", ref)
    yield Span(at + 4, at + 5, "h2.flags", f"0x{frame.flags:02x} {flags_of(frame)}".rstrip(), ref)
    yield Span(at + 5, at + 9, "h2.stream_identifier", frame.stream, ref)


def _payload(frame: Framed, message: HttpMessage | None = None) -> Iterator[Span]:
    """The fields of the payload, as far as its octets are there."""
    at, stop, body = frame.offset + 9, frame.offset + 9 + frame.length, frame.body
    kind, ref = frame.type, f"RFC 9113 6.{frame.type + 1}"
    pad = 0
    if frame.flags & PADDED and kind in (DATA, HEADERS, PUSH_PROMISE) and body:
        pad = body[0]
        yield Span(at, at + 1, "h2.pad_length", pad, ref)
        at, body = at + 1, body[1:]
    if kind == SETTINGS:
        for place in range(0, len(body) - 5, 6):
            number = int.from_bytes(body[place : place + 2], "big")
            value = int.from_bytes(body[place + 2 : place + 6], "big")
            name = SETTING_NAMES.get(number, f"setting {number}")
            yield Span(at + place, at + place + 6, f"h2.settings.{name}", f"{value:,}", "RFC 9113 6.5.1")
    elif kind == WINDOW_UPDATE and len(body) >= 4:
        yield Span(at, at + 4, "h2.window_size_increment", f"{_number(body):,}", ref)
    elif kind == RST_STREAM and len(body) >= 4:
        yield Span(at, at + 4, "h2.error_code", error_name(_long(body)), ref)
    elif kind == GOAWAY and len(body) >= 8:
        yield Span(at, at + 4, "h2.last_stream_id", _number(body), ref)
        yield Span(at + 4, at + 8, "h2.error_code", error_name(_long(body[4:])), ref)
        if len(body) > 8:
            yield Span(at + 8, stop, "h2.additional_debug_data", clean(body[8:].decode("utf-8", "replace")), ref)
    elif kind == PING:
        yield Span(at, stop, "h2.opaque_data", count(frame.length, "octet"), ref)
    elif kind == PRIORITY or (kind == HEADERS and frame.flags & 32):
        if len(body) >= 5:
            only = ", exclusive" if body[0] & 0x80 else ""
            yield Span(at, at + 4, "h2.stream_dependency", f"{_number(body)}{only}", "RFC 9113 6.3")
            yield Span(at + 4, at + 5, "h2.weight", body[4] + 1, "RFC 9113 6.3")
            at += 5
    elif kind == PUSH_PROMISE and len(body) >= 4:
        yield Span(at, at + 4, "h2.promised_stream_id", _number(body), ref)
        at += 4
    end = max(stop - pad, at)
    if kind in (HEADERS, CONTINUATION, PUSH_PROMISE):
        told = f": {'; '.join(fields(message))}" if message is not None else ""
        yield Span(at, end, "h2.field_block_fragment", f"{count(end - at, 'octet')}, compressed (HPACK){told}", ref)
    elif kind == DATA:
        yield Span(at, end, "h2.data", count(end - at, "octet"), ref)
    if pad:
        yield Span(end, stop, "h2.padding", count(stop - end, "octet"), ref)


def _long(body: bytes) -> int:
    return int.from_bytes(body[:4], "big")


def _number(body: bytes) -> int:
    return _long(body) & 0x7FFFFFFF
