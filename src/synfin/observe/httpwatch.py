"""What HTTP was spoken over two byte streams, clear or decrypted.

Decides by the first octets whether a connection is HTTP at all, and which: HTTP/2 by its preface or by ALPN
(RFC 9113 3), else HTTP/1.x or 0.9 by a start line.  The reading is done by ``http1`` and ``http2``; an ``Upgrade: h2c``
hands over from one to the other.  Ports decide nothing.
"""

from __future__ import annotations

from synfin.observe.cursor import Side
from synfin.observe.evidence import Evidence
from synfin.observe.http1 import Reader
from synfin.observe.http2 import Reader2
from synfin.observe.story_http import HttpMessage, HttpStory
from synfin.observe.stream import ByteStream
from synfin.wire.http1 import looks_like_head, starts_message
from synfin.wire.http2 import PREFACE

#: What a start line or the blank line before it may begin with, and how much of a line is looked at.
_FIRST = frozenset(bytes((octet,)) for octet in b"\r\nABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_LINE = 16384

#: How many packets of a side are looked at for a start line when its first octets are none.
_LOOK = 16


def watch_http(
    streams: tuple[ByteStream, ByteStream],
    *,
    client: int,
    tls: bool,
    alpn: str | None = None,
    start: tuple[int, int] = (0, 0),
    ended: tuple[bool, bool] = (False, False),
) -> HttpStory | None:
    """The HTTP story of two byte streams, or None when they hold no HTTP.

    ``client`` is the side believed to ask, ``start`` where each stream's HTTP begins (after a proxy's preamble),
    ``ended`` which sides finished sending (FIN or close_notify).  Never raises on what the streams hold.
    """
    asking = _opening(streams[client], start[client])
    answering = _opening(streams[1 - client], start[1 - client])
    if not asking and not answering and alpn != "h2":
        return None
    if asking in ("response", "") and answering in ("request", "preface"):
        client = 1 - client
        asking, answering = answering, asking
    sides = (Side(streams[0], 0, start[0], ended[0]), Side(streams[1], 1, start[1], ended[1]))
    if asking == "preface" or (alpn == "h2" and asking != "request"):
        return _http2(sides, client, tls, late=asking != "preface", answer=answering)
    reader = Reader(sides, tls)
    reader.run(client)
    if not reader.messages:
        return None
    messages, simple = _in_order(reader.messages)
    story = HttpStory("http/0.9" if simple else "http/1", tls, messages, [], reader.switched, reader.problems)
    if reader.switched == "h2c":
        _upgraded(story, sides, client)
    return story


def _http2(sides: tuple[Side, Side], client: int, tls: bool, *, late: bool, answer: str) -> HttpStory | None:
    """HTTP/2 from the start (``late``: the beginning was not captured); a server may still answer in HTTP/1."""
    story = HttpStory("h2", tls)
    server = sides[1 - client]
    if answer == "response":
        reader = Reader(sides, tls)
        while reader.read(server, None) is not None:
            pass
        story.messages = reader.messages
        packet = server.stream.origin(0)[0]
        story.problems = [(Evidence((packet,), 1 - client, 0, 0, ""), "HTTP/1 answer to an HTTP/2 preface")]
    frames = Reader2(sides, client, tls)
    frames.run(late=(late, late))
    story.messages = sorted(story.messages + frames.messages(), key=_started)
    story.h2 = frames.events
    story.problems += reader.problems + frames.problems if answer == "response" else frames.problems
    return story if story.messages or story.h2 or not late else None


def _upgraded(story: HttpStory, sides: tuple[Side, Side], client: int) -> None:
    """What follows an ``Upgrade: h2c`` (RFC 7540 3.2): the request that asked for it is stream 1."""
    settings = ""
    for message in story.messages:
        if message.kind == "request":
            settings = next((value for name, value in message.headers if name.lower() == "http2-settings"), settings)
    frames = Reader2(sides, client, story.tls)
    frames.run(upgrade=settings)
    story.messages = sorted(story.messages + frames.messages(), key=_started)
    story.h2 = frames.events
    story.problems += frames.problems


def _opening(stream: ByteStream, start: int) -> str:
    """What a side begins with: "request", "response", "preface" or ""; later packets count when the first is none."""
    starts, _ = stream.layout()
    first = max(stream.index(start), 0)
    for at in range(first, min(first + _LOOK, len(starts))):
        data, begin = stream.octets(at), max(start - starts[at], 0)
        if at == first and data.find(b"\n", begin + 2) < 0 and data[begin : begin + 1] in _FIRST:
            data, begin = stream.read(starts[at] + begin, _LINE), 0  # the line may go on in the next packet
        octet = data[begin : begin + 1]
        if octet in (b"\r", b"\n"):
            begin += len(data) - begin - len(data[begin:].lstrip(b"\r\n"))
            octet = data[begin : begin + 1]
        if not octet.isalpha():
            continue
        if (at == first and looks_like_head(data, begin)) or starts_message(data, begin):
            if data.startswith((b"HTTP/", b"ICY "), begin):
                return "response"
            return "preface" if data.startswith(PREFACE[:16], begin) else "request"
    return ""


def _in_order(messages: list[HttpMessage]) -> tuple[list[HttpMessage], bool]:
    """Messages by time with their exchanges numbered in that order, and whether all of them are HTTP/0.9."""
    messages = sorted(messages, key=_started)
    numbers: dict[int, int] = {}
    for at, message in enumerate(messages):
        number = numbers.setdefault(message.stream, len(numbers) + 1)
        if number != message.stream:
            messages[at] = message._replace(stream=number)
    return messages, all(message.version == "0.9" for message in messages)


def _started(message: HttpMessage) -> int:
    return message.start
