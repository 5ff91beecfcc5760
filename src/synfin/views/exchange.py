"""HTTP messages in words: the request line, the answer, how much came and whether that was all.

A message is told where its header begins, and where its last octet came when that is another packet.  HTTP/2 frames
that matter beyond a message (SETTINGS, GOAWAY, RST_STREAM ...) are told where they came.
"""

from __future__ import annotations

from collections.abc import Iterator

from synfin.observe.story import Connection
from synfin.observe.story_http import H2Event, HttpMessage, HttpStory
from synfin.views.told import Item, Note
from synfin.views.words import clean, count, duration, shorten

#: Targets and field values longer than this are shortened; ``--bytes``, ``follow`` and JSON have them whole.
LONGEST = 160

#: Header fields worth a line in the normal depth, lower case.
_TELLING = (
    "host",
    "user-agent",
    "server",
    "content-type",
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "upgrade",
    "location",
    "expect",
    "range",
    "content-range",
    "retry-after",
    "www-authenticate",
    "via",
)


def stories(connection: Connection) -> list[HttpStory]:
    """The HTTP stories of ``connection``: that around TLS (a proxy's CONNECT) and that inside, each once."""
    outer = connection.outer_http
    inner = connection.http
    found = [story for story in (outer, inner) if story is not None]
    return found[:1] if outer is inner else found


def notes(connection: Connection) -> Iterator[Note]:
    """Every HTTP message and telling frame at the packet where it is told."""
    for story in stories(connection):
        for place, message in enumerate(story.messages):
            first, last = message.packets
            yield Note(first, (2, place), Item(headline(message), details(message)))
            if last != first and (message.body or not message.complete):
                tone = "" if message.complete else "warn"
                yield Note(last, (2, place), Item(ending(message), (), tone=tone))
        for place, event in enumerate(story.h2):
            yield Note(event.packet, (1, place), Item(frame(event), (), tone=_tone(event)))
        for evidence, why in story.problems:
            for packet in evidence.packets[:1]:
                yield Note(packet, (3, 0), Item(f"HTTP problem: {clean(why)}", (), tone="warn"))


def parts(connection: Connection) -> Iterator[tuple[int, str]]:
    """Packets that only carry a part of an HTTP/1 message, and of which."""
    rows = connection.rows
    index = {number: i for i, number in enumerate(rows.number)}
    for story in stories(connection):
        if story.protocol == "h2":
            continue
        for message in story.messages:
            first, last = (index.get(packet, -1) for packet in message.packets)
            if first < 0 or last <= first:
                continue
            what = f"part of the body of {naming(message)}"
            for i in range(first + 1, last):
                if rows.sender[i] == message.sender and rows.load_len[i]:
                    yield rows.number[i], what


def naming(message: HttpMessage) -> str:
    """The message in three words: ``GET /index.html`` or ``response 200``."""
    if message.kind == "request":
        return f"{clean(message.method or '?')} {shorten(clean(message.target or ''), 40)}".rstrip()
    return f"response {message.status}"


def headline(message: HttpMessage) -> str:
    """The start line: method and target, or status and reason; HTTP/2 with its stream."""
    stream = f"stream {message.stream}: " if message.version == "2" else ""
    version = f"HTTP/{message.version}"
    if message.kind == "request":
        where = clean(message.authority or "")
        target = shorten(clean(message.target or ""), LONGEST)
        at = f" (host {where})" if where and where not in target else ""
        text = f"{stream}{version} request {clean(message.method or '?')} {target}{at}"
    else:
        text = f"{stream}{version} response {message.status} {clean(message.reason)}".rstrip()
    if message.problem:
        text += f"; {clean(message.problem)}"
    if message.packets[0] == message.packets[1]:
        said = [word for word in (_body(message), "" if message.complete else "incomplete") if word]
        text = ", ".join([text, *said])
    return text


def details(message: HttpMessage) -> tuple[str, ...]:
    """The header fields that tell most, one line each, and how many more there are."""
    told = [
        f"{clean(name)}: {shorten(clean(value), LONGEST)}"
        for name, value in message.headers
        if name.lower() in _TELLING
    ]
    more = sum(not name.startswith(":") for name, _ in message.headers) - len(told)
    if more > 0:
        told.append(f"and {count(more, 'more header field')}")
    return tuple(told)


def ending(message: HttpMessage) -> str:
    """What came of a message until its last octet: how much, in what time, and whether that was all."""
    took = duration(message.end - message.start)
    stream = f"stream {message.stream}: " if message.version == "2" else ""
    if message.complete:
        return f"{stream}end of {naming(message)}: {_body(message) or 'no body'} in {took}"
    return f"{stream}{naming(message)} goes no further: {_body(message) or 'no body'}, incomplete after {took}"


def _body(message: HttpMessage) -> str:
    if not message.body and not message.declared:
        return ""
    size = count(message.body, "octet")
    if message.declared is not None and message.declared != message.body:
        return f"{message.body:,} of {count(message.declared, 'octet')} of body"
    framing = {"chunked": " in chunks", "close": " until the connection closed"}.get(message.framing, "")
    return f"{size} of body{framing}"


def frame(event: H2Event) -> str:
    """An HTTP/2 frame in words."""
    where = f" stream {event.stream}" if event.stream else ""
    code = f" code {event.code}" if event.code is not None and not event.detail else ""
    detail = f": {clean(event.detail)}" if event.detail else ""
    return f"HTTP/2 {_FRAMES.get(event.what, event.what.upper())}{where}{code}{detail}"


_FRAMES = {"settings_ack": "SETTINGS acknowledged", "window_stall": "window stall", "connection_error": "error"}


def _tone(event: H2Event) -> str:
    if event.what in ("rst_stream", "connection_error", "window_stall") or (event.what == "goaway" and event.code):
        return "warn"
    return "dim"
