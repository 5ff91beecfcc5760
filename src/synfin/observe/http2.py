"""HTTP/2 over two byte streams: messages, and the frames that matter beyond them (RFC 9113, RFC 7541).

Frame bodies are read by ``hyperframe`` and header blocks by ``hpack``, one decoder per direction; what they refuse
becomes a fact.  Bodies are counted, never joined.  Frames of both sides are put in order of time, because what one
side may send depends on what the other allowed: so exhausted windows are found, from the octet that used up the last
credit to the WINDOW_UPDATE that gave new.

Holes: a hole inside DATA is stepped over by the frame's length.  Where a header block or the framing itself is
missing, the sender's header table is not known any more: from then on only fields that do not depend on what was
lost are told, the others are left out and the message says so.  Nothing is guessed.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from operator import attrgetter

from hpack import HPACKError, OversizedHeaderListError
from hyperframe.exceptions import HyperframeError
from hyperframe.frame import (
    ContinuationFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from synfin.observe.cursor import Side
from synfin.observe.evidence import Evidence
from synfin.observe.http2_frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    LOST,
    MAX_BLOCK,
    PADDED,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    Framed,
    frames,
)
from synfin.observe.http2_half import MAX_LIST, Half, OpenMessage, declared_length
from synfin.observe.http2_windows import Held
from synfin.observe.story_http import H2Event, HttpMessage
from synfin.wire.http1 import text
from synfin.wire.http2 import SETTING_NAMES, error_name

_MOST = 1000  # problems or stalls told of one connection

#: Settings of which not every value is allowed (RFC 9113 6.5.2).
_ALLOWED = {
    SettingsFrame.ENABLE_PUSH: (0, 1),
    SettingsFrame.INITIAL_WINDOW_SIZE: (0, (1 << 31) - 1),
    SettingsFrame.MAX_FRAME_SIZE: (1 << 14, (1 << 24) - 1),
}


class Reader2:
    """Reads the frames of both sides; one instance per connection."""

    __slots__ = ("client", "done", "events", "halves", "problems", "sides", "tls")

    def __init__(self, sides: tuple[Side, Side], client: int, tls: bool) -> None:
        self.sides = sides
        self.client = client
        self.tls = tls
        self.done: list[OpenMessage] = []
        self.events: list[H2Event] = []
        self.problems: list[tuple[Evidence, str]] = []
        self.halves = (Half(0), Half(1))

    def run(self, *, late: tuple[bool, bool] = (False, False), upgrade: str | None = None) -> None:
        """Read everything.

        ``late`` tells which sides' beginning was not captured; ``upgrade`` is the HTTP2-Settings field of an h2c
        upgrade, whose request is stream 1 (RFC 7540 3.2).
        """
        for sender in (0, 1):
            if late[sender]:
                self.halves[sender].lose()
        if late[0] or late[1]:
            self.halves[0].credit.known = self.halves[1].credit.known = False
        if upgrade:
            self._upgrade_settings(upgrade)
        both = frames(self.sides[0], not self.halves[0].unknown) + frames(self.sides[1], not self.halves[1].unknown)
        both.sort(key=attrgetter("ready", "packet"))
        for frame in both:
            self._frame(frame)
        self._finish()

    def messages(self) -> list[HttpMessage]:
        """The messages read, in the order they began."""
        return [self._message(told) for told in sorted(self.done, key=attrgetter("start"))]

    # ------------------------------------------------------------ frames

    def _frame(self, frame: Framed) -> None:
        half = self.halves[frame.sender]
        kind = frame.type
        if half.block is not None and (kind != CONTINUATION or frame.stream != half.block_stream):
            self._problem(
                frame.sender, frame.packet, frame.offset, 9, "frame", "header block not continued (RFC 9113 6.10)"
            )
            half.lose()
        if kind == DATA:
            self._data(half, frame)
            return
        if kind == LOST:
            self._problem(frame.sender, frame.packet, frame.offset, frame.length, "", "octets missing or no frames")
            half.lose()
            return
        if len(frame.body) < frame.length:
            why = "frame too long to be read" if frame.length > MAX_BLOCK else "frame not captured whole"
            self._problem(frame.sender, frame.packet, frame.offset, 9 + frame.length, "frame", why)
            if kind in (HEADERS, PUSH_PROMISE, CONTINUATION):
                half.lose()
            return
        try:
            parsed, _ = Frame.parse_frame_header(memoryview(frame.header))
            parsed.parse_body(memoryview(frame.body))
        except HyperframeError as error:
            why = f"malformed frame of type {kind}: {str(error) or type(error).__name__}"
            self._problem(frame.sender, frame.packet, frame.offset, 9 + frame.length, "frame", why)
            if kind in (HEADERS, PUSH_PROMISE):
                half.lose()
            return
        if isinstance(parsed, HeadersFrame):
            self._block(half, frame, frame.stream, bytes(parsed.data), push=False)
        elif isinstance(parsed, PushPromiseFrame):
            self._block(half, frame, parsed.promised_stream_id & 0x7FFFFFFF, bytes(parsed.data), push=True)
        elif isinstance(parsed, ContinuationFrame):
            self._continue(half, frame, bytes(parsed.data))
        elif isinstance(parsed, SettingsFrame):
            self._settings(frame, parsed)
        elif isinstance(parsed, WindowUpdateFrame):
            if not self.halves[1 - frame.sender].credit.give(frame, parsed.window_increment):
                why = "WINDOW_UPDATE makes a window larger than 2**31-1 (RFC 9113 6.9.1)"
                self._problem(frame.sender, frame.packet, frame.offset, 9 + frame.length, "frame", why)
        elif isinstance(parsed, RstStreamFrame):
            self._reset(frame, parsed.error_code)
        elif isinstance(parsed, GoAwayFrame):
            code = parsed.error_code
            debug = f", says {text(parsed.additional_data[:200])!r}" if parsed.additional_data else ""
            detail = f"{error_name(code)}, last stream {parsed.last_stream_id & 0x7FFFFFFF}{debug}"
            self._event(frame, "goaway", code, detail, stream=parsed.last_stream_id & 0x7FFFFFFF)
        elif kind == PING:
            self._event(frame, "ping", None, "answer" if frame.flags & ACK else "")
        elif kind == PRIORITY:
            self._event(frame, "priority", None, "")

    def _settings(self, frame: Framed, parsed: SettingsFrame) -> None:
        if frame.flags & ACK:
            self._event(frame, "settings_ack", None, "")
            return
        self._apply(frame.sender, parsed.settings)
        for name, (least, most) in _ALLOWED.items():
            if name in parsed.settings and not least <= parsed.settings[name] <= most:
                why = f"SETTINGS say {SETTING_NAMES[name]}={parsed.settings[name]} (RFC 9113 6.5.2)"
                self._problem(frame.sender, frame.packet, frame.offset, 9 + frame.length, "frame", why)
        detail = " ".join(f"{SETTING_NAMES.get(name, name)}={value}" for name, value in parsed.settings.items())
        self._event(frame, "settings", None, detail)

    def _apply(self, sender: int, settings: dict[int, int]) -> None:
        """What one side allows the other from now on; a larger table counts at once, a smaller one when it is used."""
        other = self.halves[1 - sender]
        size = settings.get(SettingsFrame.HEADER_TABLE_SIZE)
        if size is not None:
            other.decoder.max_allowed_table_size = max(other.decoder.max_allowed_table_size, size)
        initial = settings.get(SettingsFrame.INITIAL_WINDOW_SIZE)
        if initial is not None:
            other.credit.settle(initial)

    def _upgrade_settings(self, field: str) -> None:
        """The settings that an h2c upgrade carried in a field of its request (RFC 7540 3.2.1)."""
        try:
            parsed = SettingsFrame()
            parsed.parse_body(memoryview(urlsafe_b64decode(field + "=" * (-len(field) % 4))))
        except (HyperframeError, Base64Error, ValueError):
            packet = self.sides[self.client].stream.origin(0)[0]
            self._problem(self.client, packet, 0, 0, "HTTP2-Settings", "not readable (RFC 7540 3.2.1)")
            return
        self._apply(self.client, parsed.settings)

    def _reset(self, frame: Framed, code: int) -> None:
        self._event(frame, "rst_stream", code, error_name(code))
        for half in self.halves:
            half.credit.close(frame.stream)
            told = half.open.pop(frame.stream, None)
            if told is not None:
                who = "sender" if half.sender == frame.sender else "receiver"
                told.problem = told.problem or f"stream reset by the {who}: {error_name(code)}"

    # ------------------------------------------------------------ header blocks

    def _block(self, half: Half, frame: Framed, stream: int, data: bytes, *, push: bool) -> None:
        half.block = bytearray(data)
        half.block_frame = frame
        half.block_stream = frame.stream
        half.block_for = stream
        half.block_push = push
        if frame.flags & END_HEADERS:
            self._decode(half, frame)

    def _continue(self, half: Half, frame: Framed, data: bytes) -> None:
        if half.block is None:
            if not half.unknown:
                why = "CONTINUATION without a header block (RFC 9113 6.10)"
                self._problem(frame.sender, frame.packet, frame.offset, 9, "frame", why)
                half.lose()
            return
        if len(half.block) + len(data) > MAX_BLOCK:
            self._problem(frame.sender, frame.packet, frame.offset, 9, "frame", "header block too long to be read")
            half.lose()
            return
        half.block += data
        if frame.flags & END_HEADERS:
            self._decode(half, frame)

    def _decode(self, half: Half, last: Framed) -> None:
        """A header block is whole: decode it and begin or continue a message."""
        block, first = bytes(half.block or b""), half.block_frame
        half.block = None
        if first is None:
            return
        pairs: list[tuple[bytes, bytes]] = []
        problem = ""
        if not half.hopeless:
            try:
                pairs = [(bytes(name), bytes(value)) for name, value in half.decoder.decode(block, raw=True)]
            except OversizedHeaderListError:
                problem = f"header list larger than {MAX_LIST} octets"
                half.hopeless = True
            except (HPACKError, ValueError, IndexError) as error:
                problem = f"header block cannot be read (RFC 7541): {str(error).partition(' from <')[0][:100]}"
        if problem:
            self._problem(half.sender, first.packet, first.offset, first.length, "headers", problem)
            half.lose()
        known = [(name, value) for name, value in pairs if name]
        if len(known) < len(pairs) or half.hopeless:
            problem = problem or f"header table unknown: {len(pairs) - len(known)} fields could not be told"
        self._headers(half, first, last, tuple((text(name), text(value)) for name, value in known), problem)

    def _headers(
        self, half: Half, first: Framed, last: Framed, fields: tuple[tuple[str, str], ...], problem: str
    ) -> None:
        stream = half.block_for
        pseudo = {name for name, _ in fields if name[:1] == ":"}
        told = half.open.get(stream)
        if told is None or half.block_push or pseudo:
            kind = (
                "request" if half.block_push or (half.sender == self.client and ":status" not in pseudo) else "response"
            )
            if ":method" in pseudo:
                kind = "request"
            elif ":status" in pseudo:
                kind = "response"
            if told is not None:
                told.complete = told.complete or told.informational
            told = OpenMessage(first, stream, kind)
            told.fields = fields
            told.header_end = last.ready if fields else 0
            told.declared = declared_length(fields)
            self.done.append(told)
            half.open[stream] = told
        told.problem = told.problem or problem
        told.touch(last)
        if half.block_push:
            told.complete = True
            half.open.pop(stream, None)
        elif first.flags & END_STREAM:
            self._end(half, told)

    def _end(self, half: Half, told: OpenMessage) -> None:
        told.complete = not told.problem.startswith("octets")
        if told.declared is not None and told.body not in (told.declared, 0) and not told.problem:
            told.problem = f"content-length says {told.declared}, DATA held {told.body} (RFC 9113 8.1.1)"
        half.open.pop(told.stream, None)
        half.credit.close(told.stream)

    # ------------------------------------------------------------ bodies and credit

    def _data(self, half: Half, frame: Framed) -> None:
        padding = 0
        if frame.flags & PADDED and frame.body:
            padding = frame.body[0] + 1
            if padding > frame.length:
                self._problem(
                    frame.sender, frame.packet, frame.offset, 9, "padding", "more padding than frame (RFC 9113 6.1)"
                )
                padding = 0
        told = half.open.get(frame.stream)
        if told is not None:
            told.body += max(frame.seen - padding, 0)
            told.touch(frame)
            if frame.seen < frame.length and not told.problem:
                told.problem = f"octets of the body missing: {frame.length - frame.seen}"
        elif frame.stream == 0:
            self._problem(frame.sender, frame.packet, frame.offset, 9, "frame", "DATA on stream 0 (RFC 9113 6.1)")
        before = half.credit.overdrawn
        for held in half.credit.spend(frame):
            self._stall(half, held, held.until or held.since)
        if half.credit.overdrawn and not before:
            why = "DATA beyond the flow-control window (RFC 9113 6.9.1)"
            self._problem(frame.sender, frame.packet, frame.offset, 9 + frame.length, "flow control", why)
        if told is not None and frame.flags & END_STREAM:
            self._end(half, told)

    def _stall(self, half: Half, held: Held, until: int) -> None:
        if len(self.events) >= _MOST:
            return
        what = f"stream {held.stream} window" if held.stream else "connection window"
        where = f"packets {held.packet} to {held.freed}" if held.freed else f"from packet {held.packet} on"
        detail = f"{what} used up for {(until - held.since) / 1e6:.3f} ms, {where}"
        event = H2Event(half.sender, "window_stall", held.stream, None, detail, held.packet, held.since, until)
        self.events.append(event)

    # ------------------------------------------------------------ ends

    def _finish(self) -> None:
        for half in self.halves:
            if half.block is not None and half.block_frame is not None:
                first = half.block_frame
                why = "header block not complete: no END_HEADERS"
                self._problem(half.sender, first.packet, first.offset, 9 + first.length, "headers", why)
            unfinished = any(not told.complete for told in half.open.values())
            end = max((side.stream.origin(side.count - 1)[1] for side in self.sides if side.count), default=0)
            for held in half.credit.unended() if unfinished else ():
                self._stall(half, held, max(end, held.since))
            for told in half.open.values():
                if not told.problem and not told.complete and not told.informational:
                    ended = self.sides[half.sender].ended
                    told.problem = "the sender closed before END_STREAM" if ended else "END_STREAM not captured"
                elif told.informational:
                    told.complete = True
        self.events.sort(key=attrgetter("time"))

    def _message(self, told: OpenMessage) -> HttpMessage:
        named = dict(reversed(told.fields))
        status = named.get(":status", "")
        return HttpMessage(
            told.sender,
            told.kind,
            "2",
            told.stream,
            named.get(":method"),
            named.get(":path"),
            named.get(":authority", named.get("host")) if told.kind == "request" else None,
            int(status) if status.isascii() and status.isdigit() and len(status) == 3 else None,
            "",
            told.fields,
            "h2",
            told.declared,
            told.body,
            told.complete,
            told.packets,
            told.start,
            told.header_end,
            told.end,
            self.tls,
            told.offset,
            told.problem,
        )

    def _event(self, frame: Framed, what: str, code: int | None, detail: str, stream: int | None = None) -> None:
        if len(self.events) < 10 * _MOST:
            on = frame.stream if stream is None else stream
            self.events.append(H2Event(frame.sender, what, on, code, detail, frame.packet, frame.ready))

    def _problem(self, sender: int, packet: int, offset: int, length: int, field: str, why: str) -> None:
        if len(self.problems) < _MOST:
            self.problems.append((Evidence((packet,), sender, offset, length, field), why))
