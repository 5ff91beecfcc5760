"""One packet byte by byte: offset, octets, field, value and the section that defines it.

The fields are the spans that the parsers themselves leave (``wire.net.dissect`` for the headers, ``wire.tls`` for
records and handshake messages), so what is shown is what was parsed.  A message may lie over several records and
packets: its fields are laid over the stream first and then cut to what this packet carries.  What is encrypted is said
to be; when there are keys, the plaintext of what ends in this packet follows in sections of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import NamedTuple

from synfin.errors import WireError
from synfin.observe.story import Connection, HttpMessage, MessageFact, RecordFact, TlsStory
from synfin.observe.stream import ByteStream
from synfin.views import exchange
from synfin.views.handshake import title as message_title
from synfin.views.paint import PLAIN, Paint
from synfin.views.words import clean, count, pad, shorten, width_of
from synfin.wire.codec import Reader, Span
from synfin.wire.net import dissect
from synfin.wire.tls.messages import parse_handshake
from synfin.wire.tls.records import Alert
from synfin.wire.tls.registry import (
    alert_level_name,
    alert_name,
    certificate_compression_name,
    cipher_name,
    compression_name,
    content_type_name,
    ech_type_name,
    extension_name,
    group_name,
    handshake_name,
    hpke_aead_name,
    hpke_kdf_name,
    point_format_name,
    psk_mode_name,
    signature_name,
    suite,
    version_name,
)

_HALF, _MASK = 1 << 31, 0xFFFFFFFF
_HEADER = 5
#: Octets nobody reads as fields are dumped up to this many; of more, the beginning and the end.
_DUMP = 4096
_HTTP_HEAD = 65536


class Frame(NamedTuple):
    """A captured frame: packet number, link type, octets as captured, and how many there were on the wire."""

    number: int
    link_type: int
    data: bytes
    wirelen: int


class Section(NamedTuple):
    """Octets with their fields: spans are offsets into ``data``, sorted."""

    title: str
    data: bytes
    spans: list[Span]


def explain(frame: Frame, connection: Connection | None, width: int = 120, paint: Paint = PLAIN) -> Iterator[str]:
    """The lines that explain ``frame``; ``connection`` is the one it belongs to, or None."""
    for place, section in enumerate(sections(frame, connection)):
        if place:
            yield ""
        yield paint("title", section.title)
        yield from _lines(section, width, paint)


def sections(frame: Frame, connection: Connection | None) -> list[Section]:
    """The frame itself, then what was decrypted of what ends in it."""
    spans: list[Span] = []
    found = dissect(frame.link_type, frame.data, spans, wirelen=frame.wirelen)
    layers = " / ".join(found.layers) or "nothing known"
    head = f"Packet {frame.number}: {count(len(frame.data), 'octet')}, {layers}"
    if frame.wirelen > len(frame.data):
        head += f"; {frame.wirelen:,} on the wire, the rest was not captured"
    if found.unread:
        head += f"; not read: {clean(found.unread)}"
    if connection is None or found.kind not in ("tcp", "pdu"):
        return [Section(head, frame.data, _sorted(spans))]
    at = _stream_offset(connection, frame.number)
    sender = connection.rows.sender[connection.rows.number.index(frame.number)]
    if at is not None and found.load_cap:
        shift = found.load_at - at
        end = at + found.load_cap
        inside = [
            Span(max(span.start, at) + shift, min(span.end, end) + shift, _path(span, at, end), span.value, span.ref)
            for span in stream_spans(connection, sender, at, end)
        ]
        spans = [span for span in spans if not span.path.endswith(".payload")] + inside
    return [Section(head, frame.data, _sorted(spans)), *_opened(connection, sender, frame.number)]


def _sorted(spans: list[Span]) -> list[Span]:
    return sorted((span for span in spans if span.end > span.start), key=lambda span: (span.start, -span.end))


def _path(span: Span, start: int, end: int) -> str:
    """The field's path, saying where it goes on when the packet does not hold all of it."""
    before, after = span.start < start, span.end > end
    where = " (middle part)" if before and after else " (last part)" if before else " (first part)" if after else ""
    return span.path + where


def _stream_offset(connection: Connection, number: int) -> int | None:
    """Where the payload of packet ``number`` begins in its sender's stream; None when that is not known."""
    rows = connection.rows
    i = rows.number.index(number)
    stream = connection.streams[rows.sender[i]]
    payload = rows.payload(i)
    for piece in stream.pieces:
        if piece.packet == number:
            into = payload.find(piece.data)
            if into >= 0:
                return piece.offset - into
    first = next(iter(stream.pieces), None)
    if first is None or first.packet not in rows.number:
        return None
    other = rows.number.index(first.packet)
    step = ((rows.seq[i] + (rows.flags[i] >> 1 & 1) - rows.seq[other] - (rows.flags[other] >> 1 & 1)) & _MASK) ^ _HALF
    return first.offset + step - _HALF


# ---------------------------------------------------------------- fields of the stream


def stream_spans(connection: Connection, sender: int, start: int, end: int) -> Iterator[Span]:
    """The fields that lie in octets ``start .. end`` of what ``sender`` sent, in the clear; offsets in the stream."""
    tls = connection.tls
    stream = connection.streams[sender]
    if tls is not None:
        records = [record for record in tls.records if record.sender == sender and record.version != 2]
        for record in records:
            if record.offset < end and record.offset + _HEADER + record.length > start:
                yield from _record(record, stream)
        for span in _messages(tls, sender, records):
            if span.start < end and span.end > start:
                yield span
    for message in _clear_http(connection):
        if message.sender == sender and message.offset < end:
            for span in _http(message, stream, message.offset):
                if span.start < end and span.end > start:
                    yield span


def _record(record: RecordFact, stream: ByteStream) -> Iterator[Span]:
    """A record's header, and its content where that is not a handshake message in clear."""
    spans: list[Span] = []
    head = stream.read(record.offset, _HEADER)
    reader = Reader(head, "record", base=record.offset, spans=spans, ref="RFC 8446 5.1")
    try:
        reader.u8("content_type")
        reader.u16("legacy_record_version")
        reader.u16("length")
    except WireError:
        pass  # the header itself is cut: the fields before are shown
    yield from spans
    at = record.offset + _HEADER
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
        starts.append((reached, record.offset + _HEADER, record.length))
        reached += record.length
    at = 0
    for message in tls.messages:
        if message.sender != sender or message.decrypted or message.name.startswith("v2_"):
            continue
        first = next((entry for entry in starts if entry[1] == message.offset + _HEADER), None)
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
            yield from story.messages


def _http(message: HttpMessage, stream: ByteStream, start: int) -> Iterator[Span]:
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


# ---------------------------------------------------------------- what was decrypted


def _opened(connection: Connection, sender: int, number: int) -> Iterator[Section]:
    """Plaintext of handshake messages that end in packet ``number`` and of its application data."""
    tls = connection.tls
    if tls is None:
        return
    for message in tls.messages:
        if message.decrypted and message.sender == sender and max(message.packets, default=0) == number:
            head = f"Decrypted: {message_title(message.name)}, {count(len(message.raw), 'octet')}"
            yield Section(head, message.raw, _sorted(message_spans(message, tls)))
    if tls.data is None:
        return
    http = connection.http
    heads: list[Span] = []
    if http is not None and http.tls and http.protocol != "h2":
        for told in http.messages:
            if told.sender == sender and told.packets[0] <= number <= told.packets[1]:
                heads += _http(told, tls.data[sender], told.offset)
    for piece in tls.data[sender].pieces:
        if piece.packet == number:
            stop = piece.offset + len(piece.data)
            spans = [
                Span(max(s.start, piece.offset) - piece.offset, min(s.end, stop) - piece.offset, s.path, s.value, s.ref)
                for s in heads
                if s.start < stop and s.end > piece.offset
            ]
            yield Section(
                f"Decrypted: {count(len(piece.data), 'octet')} of application data", piece.data, _sorted(spans)
            )


# ---------------------------------------------------------------- lines


def _lines(section: Section, width: int, paint: Paint) -> Iterator[str]:
    """A line for every field, in columns; a dump for what no field covers."""
    few = 8 if width >= 100 else 4
    cells = []
    for span in section.spans:
        octets = section.data[span.start : span.end]
        cells.append((clean(_field(span.path)), clean(_value(span, octets)), clean(span.ref)))
    head = 4 + 2 + few * 3 + 1 + 2
    names = min(max((width_of(name) for name, _, _ in cells), default=0), max((width - head) * 5 // 12, 16))
    refs = max((width_of(ref) for _, _, ref in cells), default=0)
    room = width - head - names - 2
    if room - refs - 2 < 14:
        refs = 0
    values = min(max((width_of(value) for _, value, _ in cells), default=0), room - (refs + 2 if refs else 0))
    reached = 0
    for span, (name, value, ref) in zip(section.spans, cells, strict=True):
        if span.start > reached:
            yield from _dump(section.data, reached, span.start, paint)
        octets = section.data[span.start : span.end]
        shown = octets[:few].hex(" ") + (" …" if len(octets) > few else "")
        line = f"{span.start:04x}  {pad(shown, few * 3 + 1)}  {pad(_tail(name, names), names)}  "
        if refs:
            line += f"{pad(shorten(value, values), values)}  {paint('dim', ref)}"
        else:
            line += shorten(value, values)
        yield line.rstrip()
        reached = max(reached, span.end)
    yield from _dump(section.data, reached, len(section.data), paint)


def _tail(text: str, width: int) -> str:
    """The end of a long path: what a field is called stands last."""
    return text if len(text) <= width else "…" + text[len(text) - width + 1 :]


def _dump(data: bytes, start: int, end: int, paint: Paint) -> Iterator[str]:
    """Octets ``start .. end`` sixteen to a line, with the characters they would be."""
    if end - start > _DUMP:
        yield from _dump(data, start, start + 256, paint)
        yield paint("dim", f"      {count(end - start - 320, 'octet')} not shown")
        start = end - 64
    for at in range(start, end, 16):
        octets = data[at : min(at + 16, end)]
        text = "".join(chr(octet) if 32 <= octet < 127 else "." for octet in octets)
        yield f"{at:04x}  {octets.hex(' '):47}  {text}"


def _field(path: str) -> str:
    """The path with the indices joined to what they index."""
    return path.replace(".[", "[")


_IP = {1: "ICMP", 6: "TCP", 17: "UDP", 41: "IPv6", 47: "GRE", 58: "ICMPv6"}
_TYPES = {0x0800: "IPv4", 0x86DD: "IPv6", 0x8100: "VLAN", 0x88A8: "VLAN", 0x8864: "PPPoE", 0x8847: "MPLS"}
#: Names for numbers of headers below TCP; what is not here stays a number.
_NUMBERS = {
    "ethernet.type": _TYPES,
    "vlan.type": _TYPES,
    "sll.protocol": _TYPES,
    "sll2.protocol": _TYPES,
    "ipv4.protocol": _IP,
    "ipv6.next_header": _IP,
}
#: Fields whose bits say more than their value.
_HEX = ("checksum", "flags_offset", "identification", "type", "version_length", "version_class_flow", ".tci", "_id")

_Namer = Callable[[int], str]
#: The end of a field's path -> who names its numbers; the first that fits is used.
_NAMERS: tuple[tuple[str, _Namer], ...] = (
    ("record.content_type", content_type_name),
    ("handshake.msg_type", handshake_name),
    ("alert.level", alert_level_name),
    ("alert.description", alert_name),
    ("cipher_suite", cipher_name),
    ("cipher_suites[]", cipher_name),
    ("legacy_compression_method", compression_name),
    ("extensions[].type", extension_name),
    ("group", group_name),
    ("groups[]", group_name),
    ("named_curve", group_name),
    ("schemes[]", signature_name),
    ("supported_signature_algorithms[]", signature_name),
    ("compress_certificate.algorithms[]", certificate_compression_name),
    ("encrypted_client_hello.type", ech_type_name),
    ("kdf_id", hpke_kdf_name),
    ("aead_id", hpke_aead_name),
    ("algorithm", signature_name),
    ("formats[]", point_format_name),
    ("modes[]", psk_mode_name),
    ("version", version_name),
    ("versions[]", version_name),
)


def _value(span: Span, octets: bytes) -> str:
    """The value for people: a name, a number, an address, text, or nothing where the octets say it."""
    value = span.value
    path = span.path.partition(" (")[0]
    if isinstance(value, int):
        plain = _without_indices(_field(path))
        for ending, namer in _NAMERS:
            if plain.endswith(ending) and (plain == ending or plain[-len(ending) - 1] in "._"):
                return f"{namer(value)} ({value})"
        name = _NUMBERS.get(plain, {}).get(value)
        if name:
            return f"{name} ({value})"
        if plain.endswith((".sport", ".dport")):
            return str(value)
        return f"{value:,} (0x{value:0{2 * len(octets)}x})" if plain.endswith(_HEX) else f"{value:,}"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _octets_value(path, bytes(value))
    return str(value)


def _without_indices(path: str) -> str:
    out, depth = [], 0
    for char in path:
        if char == "]":
            depth -= 1
        if not depth:
            out.append(char)
        if char == "[":
            depth += 1
    return "".join(out)


def _octets_value(path: str, value: bytes) -> str:
    last = path.rpartition(".")[2]
    if last in ("src", "dst") and len(value) in (4, 16):
        return str(ip_address(value))
    if len(value) == 6 and last in ("src", "dst", "address"):
        return value.hex(":")
    if len(value) > 1 and all(32 <= octet < 127 or octet in (9, 10, 13) for octet in value):
        return f"“{value.decode('ascii').strip()}”"
    return count(len(value), "octet")
