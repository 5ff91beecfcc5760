"""The fields of a byte stream as spans: record headers, handshake messages, alerts, HTTP/1 heads.

A message may lie over several records and packets, so its fields are found in the message first and then laid over the
stream; the byte view cuts them to what one packet carries.  Offsets count in the sender's stream.
"""

from __future__ import annotations

from collections.abc import Iterator

from synfin.errors import WireError
from synfin.observe.story import Connection
from synfin.observe.story_http import HttpMessage
from synfin.observe.story_tls import MessageFact, RecordFact, TlsStory
from synfin.observe.stream import ByteStream
from synfin.views import exchange
from synfin.views.frames import frame_spans, speaks
from synfin.views.words import count
from synfin.wire.codec import Reader, Span
from synfin.wire.tls.messages import parse_handshake
from synfin.wire.tls.records import HEADER, Alert
from synfin.wire.tls.registry import suite

_HTTP_HEAD = 65536


def stream_spans(connection: Connection, sender: int, start: int, end: int) -> Iterator[Span]:
    """The fields that lie in octets ``start .. end`` of what ``sender`` sent, in the clear; offsets in the stream."""
    tls = connection.tls
    stream = connection.streams[sender]
    if tls is not None:
        records = [record for record in tls.records if record.sender == sender and record.version != 2]
        for record in records:
            if record.offset < end and record.offset + HEADER + record.length > start:
                yield from _record(record, stream)
        for span in _messages(tls, sender, records):
            if span.start < end and span.end > start:
                yield span
    for story in exchange.stories(connection):
        if not story.tls and speaks(story):
            for span in frame_spans(story, stream, sender, start, end):
                if span.start < end and span.end > start:
                    yield span
    for message in _clear_http(connection):
        if message.sender == sender and message.offset < end:
            for span in http_spans(message, stream, message.offset):
                if span.start < end and span.end > start:
                    yield span


def _record(record: RecordFact, stream: ByteStream) -> Iterator[Span]:
    """A record's header, and its content where that is not a handshake message in clear."""
    spans: list[Span] = []
    head = stream.read(record.offset, HEADER)
    reader = Reader(head, "record", base=record.offset, spans=spans, ref="RFC 8446 5.1")
    try:
        reader.u8("content_type")
        reader.u16("legacy_record_version")
        reader.u16("length")
    except WireError:
        pass  # the header itself is cut: the fields before are shown
    yield from spans
    at = record.offset + HEADER
    stop = at + record.length
    if record.protected:
        name = {20: "change_cipher_spec", 21: "alert", 22: "handshake message"}.get(record.type, "record")
        yield Span(at, stop, f"encrypted {name}", f"{count(record.length, 'octet')}, encrypted", "RFC 8446 5.2")
    elif record.type == 20:
        yield Span(at, stop, "change_cipher_spec.type", 1, "RFC 5246 7.1")
    elif record.type == 21 and record.length == 2:
        spans = []
        try:
            Alert.read(Reader(stream.read(at, 2), "alert", base=at, spans=spans))
        except WireError:
            return
        yield from spans


def _messages(tls: TlsStory, sender: int, records: list[RecordFact]) -> Iterator[Span]:
    """The fields of every handshake message in clear, laid over the records that carry them."""
    carried = [record for record in records if record.type == 22 and not record.protected]
    starts = []  # (offset in the handshake stream, offset in the byte stream, octets)
    reached = 0
    for record in carried:
        starts.append((reached, record.offset + HEADER, record.length))
        reached += record.length
    at = 0
    for message in tls.messages:
        if message.sender != sender or message.decrypted or message.name.startswith("v2_"):
            continue
        first = next((entry for entry in starts if entry[1] == message.offset + HEADER), None)
        if first is None:
            continue
        if not first[0] <= at < first[0] + first[2]:
            at = first[0]
        for span in message_spans(message, tls):
            yield from _laid(span, at, starts)
        at += len(message.raw)


def message_spans(message: MessageFact, tls: TlsStory) -> list[Span]:
    """The fields of ``message`` with its four-octet header, offsets from its first octet."""
    spans: list[Span] = []
    reader = Reader(message.raw, "handshake", spans=spans, ref="RFC 8446 4")
    chosen = suite(tls.cipher) if tls.cipher is not None else None
    try:
        kind = reader.u8("msg_type")
        reader.u24("length")
        parse_handshake(
            kind, message.raw[4:], version=tls.version, kex=chosen.kex if chosen else None, spans=spans, base=4
        )
    except WireError as error:
        spans.append(Span(error.offset, len(message.raw), error.path, f"cannot be read: {error.why}", ""))
    return spans


def _laid(span: Span, at: int, starts: list[tuple[int, int, int]]) -> Iterator[Span]:
    """``span`` of a message that begins at ``at`` of the handshake stream, as pieces of the byte stream."""
    for first, place, size in starts:
        begin, end = max(span.start + at, first), min(span.end + at, first + size)
        if begin < end:
            yield Span(begin - first + place, end - first + place, span.path, span.value, span.ref)


def _clear_http(connection: Connection) -> Iterator[HttpMessage]:
    for story in exchange.stories(connection):
        if not story.tls and story.protocol != "h2":
            yield from (message for message in story.messages if message.version != "2")


def http_spans(message: HttpMessage, stream: ByteStream, start: int) -> Iterator[Span]:
    """The start line and header fields of an HTTP/1 message at ``start`` of ``stream``, a line each."""
    head, end, _ = stream.read(start, _HTTP_HEAD).partition(b"\r\n\r\n")
    at = start
    for place, line in enumerate((head + end).split(b"\r\n")[: -1 if end else None]):
        if not line:
            break
        name, ref = "field", "RFC 9112 5"
        if place == 0:
            name, ref = ("request_line", "RFC 9112 3") if message.kind == "request" else ("status_line", "RFC 9112 4")
        yield Span(at, at + len(line) + 2, f"http.{name}", line, ref)
        at += len(line) + 2
    if end:
        yield Span(at, at + 2, "http.end_of_header", "", "RFC 9112 2.1")
