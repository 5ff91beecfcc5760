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

from synfin.observe.story import Connection
from synfin.views.fields import http_spans, message_spans, stream_spans
from synfin.views.frames import frame_spans, speaks
from synfin.views.handshake import title as message_title
from synfin.views.paint import PLAIN, Paint
from synfin.views.words import clean, count, dumped, pad, shorten, width_of
from synfin.wire.codec import Span
from synfin.wire.net import dissect
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
    version_name,
)

_HALF, _MASK = 1 << 31, 0xFFFFFFFF
#: Octets nobody reads as fields are dumped up to this many; of more, the beginning and the end.
_DUMP = 4096


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
    for piece in stream.brought_by(number):
        into = payload.find(piece.data)
        if into >= 0:
            return piece.offset - into
    first = next(iter(stream.pieces), None)
    if first is None or first.packet not in rows.number:
        return None
    other = rows.number.index(first.packet)
    step = ((rows.seq[i] + (rows.flags[i] >> 1 & 1) - rows.seq[other] - (rows.flags[other] >> 1 & 1)) & _MASK) ^ _HALF
    return first.offset + step - _HALF


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
    pieces = list(tls.data[sender].brought_by(number))
    if http is not None and http.tls and speaks(http):
        if pieces:
            last = pieces[-1].offset + len(pieces[-1].data)
            heads = list(frame_spans(http, tls.data[sender], sender, pieces[0].offset, last))
    elif http is not None and http.tls:
        for told in http.messages:
            if told.sender == sender and told.packets[0] <= number <= told.packets[1]:
                heads += http_spans(told, tls.data[sender], told.offset)
    for piece in pieces:
        stop = piece.offset + len(piece.data)
        spans = [
            Span(
                max(s.start, piece.offset) - piece.offset,
                min(s.end, stop) - piece.offset,
                _path(s, piece.offset, stop),
                s.value,
                s.ref,
            )
            for s in heads
            if s.start < stop and s.end > piece.offset
        ]
        yield Section(f"Decrypted: {count(len(piece.data), 'octet')} of application data", piece.data, _sorted(spans))


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
        yield f"{at:04x}  {dumped(data[at : min(at + 16, end)])}"


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
