"""Handshake messages in and out: put together from records, refused by type and length, handed to the state.

A role's progress is its ``state``: a frozen dataclass whose ``on`` takes one whole handshake message and returns the
next state.  What a message of this type cannot be is refused before it is held in memory (RFC 8446 4, 5.1).
"""

from __future__ import annotations

from typing import Any, Protocol

from synfin.errors import PeerError, WireError
from synfin.spec.transcript import Transcript
from synfin.tls.config import TLS12, TLS13, Limits
from synfin.tls.records import Records
from synfin.wire.tls.messages import parse_handshake
from synfin.wire.tls.quick import quick_message
from synfin.wire.tls.registry import HANDSHAKES, handshake_name

CERTIFICATE_MESSAGES = frozenset({11, 22, 25})
CLIENT_HELLO, FINISHED = 1, 20
#: Messages that are the last of their record (RFC 8446 5.1).  ServerHello is left out: in TLS 1.2 others follow it.
ALIGNED = frozenset({CLIENT_HELLO, 5, FINISHED, 24})
#: Octets that some messages cannot exceed by their syntax in either version; who says more is refused at once.
LONGEST = {
    0: 0, 2: 72 + 0xFFFF, 4: 11 + 0xFF + 2 * 0xFFFF + 2, 5: 0, 8: 2 + 0xFFFF, 12: 4 * (2 + 0xFFFF) + 2,
    13: 4 + 0xFF + 2 * 0xFFFF, 14: 0, 15: 4 + 0xFFFF, 16: 2 + 0xFFFF, 24: 1,
}  # fmt: skip
#: Those of them that are shorter than any other message may be.
SHORT = frozenset({0, 5, 14, 20, 24})


def parse_message(raw: bytes, version: int | None, kex: str | None = None) -> Any:
    """The handshake message in ``raw``.  PeerError decode_error or trailing_bytes when it is not exactly that."""
    body = raw[4:]
    quick = quick_message(raw[0], body, version, kex)
    if quick is not None:
        return quick
    try:
        message = parse_handshake(raw[0], body, version=version, kex=kex)
    except WireError as error:
        raise PeerError("decode_error", "", str(error)) from None
    if getattr(message, "trailing", b""):
        raise PeerError("trailing_bytes", "the end", f"{len(message.trailing)} octets")  # type: ignore[union-attr]
    return message


class State(Protocol):
    """Where a handshake stands.  ``EXPECTS`` says what it waits for."""

    @property
    def EXPECTS(self) -> tuple[int, ...]:  # noqa: N802 - a constant in most states
        """Handshake types that ``on`` takes."""
        ...

    def on(self, end: Any, kind: int, raw: bytes) -> State:
        """Take one whole message of a kind in EXPECTS (``raw`` with its header); the next state."""
        ...


class Messages(Records):
    """The messages of one end, both directions."""

    __slots__ = ("_usual", "state", "transcript")

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self.state: State | None = None
        self.transcript = Transcript()
        #: Octets of a message that no limit forbids, unless it is one of the short ones.
        self._usual = min(limits.handshake_message, limits.certificate_message, 0xFFFF)

    def say_raw(self, raw: bytes) -> bytes:
        """Queue a handshake message that is octets already; it joins the transcript until the handshake is done."""
        self.transcript.add(raw)
        self._flight += raw
        return raw

    def parse(self, raw: bytes, kex: str | None = None) -> Any:
        """The message in ``raw``.  PeerError decode_error or trailing_bytes when it is not exactly that."""
        return parse_message(raw, self.version or None, kex)

    def _handshake(self, content: bytes) -> None:
        if not content:
            raise PeerError("empty_handshake_record", "a handshake message", "nothing")
        self._empty = 0
        partial = self._partial
        if partial:
            announced = len(partial) >= 4
            partial += content
            if announced and len(partial) < 4 + int.from_bytes(partial[1:4], "big"):
                return
            content = bytes(partial)
            partial.clear()
        pos, end = 0, len(content)
        while pos < end:
            if end - pos < 4:
                self._announced(content[pos], 0)
                partial += content[pos:]
                return
            kind = content[pos]
            size = content[pos + 1] << 16 | content[pos + 2] << 8 | content[pos + 3]
            stop = pos + 4 + size
            state = self.state
            expected = state is not None and kind in state.EXPECTS
            if not expected or size > self._usual or kind in SHORT:
                self._announced(kind, size)
            if stop > end:
                partial += content[pos:]
                return
            raw = content if pos == 0 and stop == end else content[pos:stop]
            pos = stop
            if state is None or not expected:
                self._unexpected(kind)
                continue
            if pos != end and kind in ALIGNED:
                self._aligned(kind, raw)
            self.state = state.on(self, kind, raw)
            if self._turned:
                self._turned = False
                if pos != end:
                    raise PeerError("message_across_key_change", "a record's end", "more octets")

    def _announced(self, kind: int, size: int) -> None:
        """Refuse by type and length alone, before the message is held in memory."""
        state = self.state
        if state is None or kind not in state.EXPECTS:
            if kind not in HANDSHAKES:
                raise PeerError("unknown_message_type", "a message", str(kind))
            self._may_come(kind)
        limits = self.limits
        most = limits.certificate_message if kind in CERTIFICATE_MESSAGES else limits.handshake_message
        if kind == FINISHED:
            most = 12 if self.version == TLS12 else self.transcript.length
        elif kind in LONGEST:
            most = min(LONGEST[kind], most)
        if size > most:
            raise PeerError("message_too_long", f"at most {most} octets", str(size))

    def _aligned(self, kind: int, raw: bytes) -> None:
        """More follows in this message's record: refuse it before it is acted on, where keys change with it.

        Where its own length is too small it is no message, and before no key change (RFC 8446 6: decode_error).
        """
        if kind == CLIENT_HELLO or (self.version == TLS13 and (kind != FINISHED or self.facts is None)):
            if kind != FINISHED:
                self.parse(raw)
            elif len(raw) - 4 != self.transcript.length:
                raise PeerError("decode_error", f"{self.transcript.length} octets", str(len(raw) - 4))
            raise PeerError("message_across_key_change", "a record's end", "more octets")

    def _may_come(self, kind: int) -> None:
        """A message this state does not take: refuse it, unless the role only ignores it."""
        expects = self.state.EXPECTS if self.state else ()
        told = " or ".join(handshake_name(number) for number in expects) or "nothing"
        raise PeerError("unexpected_message", told, handshake_name(kind))

    def _unexpected(self, kind: int) -> None:
        self._may_come(kind)
