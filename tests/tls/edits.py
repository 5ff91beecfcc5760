"""What becomes of a handshake message on its way out of an end that lies: ``bad_client`` and ``bad_server`` take these.

An edit gets the end and the message, and gives the octets that go out: nothing, another message or several.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from synfin.wire.tls.extensions import Extension
from synfin.wire.tls.messages import ClientHello, ServerHello, parse_handshake, write_handshake
from tests.support.tlsoctets import flip, message

Edit = Callable[[Any, bytes], bytes]


def exactly(kind: int, body: bytes) -> Edit:
    """Another message in its place."""
    return lambda bad, raw: message(kind, body)


def body(make: Callable[[bytes], bytes]) -> Edit:
    """The message with another body, made of its own."""
    return lambda bad, raw: message(raw[0], make(raw[4:]))


def gone(bad: Any, raw: bytes) -> bytes:
    """Nothing in its place."""
    return b""


def twice(bad: Any, raw: bytes) -> bytes:
    """The message two times."""
    return raw + raw


def before(other: bytes) -> Edit:
    """Other octets before it."""
    return lambda bad, raw: other + raw


def after(other: bytes) -> Edit:
    """Other octets after it."""
    return lambda bad, raw: raw + other


def longer(bad: Any, raw: bytes) -> bytes:
    """An octet after its end, within its length."""
    return message(raw[0], raw[4:] + b"\0")


def shorter(bad: Any, raw: bytes) -> bytes:
    """The last octet cut off, its length too."""
    return message(raw[0], raw[4:-1])


def flipped(bad: Any, raw: bytes) -> bytes:
    """Its last bit turned."""
    return flip(raw)


def flipped_at(at: int) -> Edit:
    """A bit of octet ``at`` turned."""
    return lambda bad, raw: flip(raw, at)


def hello(*extensions: tuple[int, bytes | None], **fields: Any) -> Edit:
    """A hello with extensions replaced, put in or taken out (None), and other fields (a value, or a function)."""

    def edit(bad: Any, raw: bytes) -> bytes:
        parsed = parse_handshake(raw[0], raw[4:])
        assert isinstance(parsed, ClientHello | ServerHello)
        kept = list(parsed.extensions or ())
        for number, content in extensions:
            at = next((i for i, x in enumerate(kept) if x.type == number), len(kept))
            kept[at : at + 1] = [] if content is None else [Extension(number, content)]
        values = {name: value(parsed) if callable(value) else value for name, value in fields.items()}
        return write_handshake(replace(parsed, **{"extensions": tuple(kept), **values}))

    return edit


def doubled(number: int) -> Edit:
    """A ServerHello with an extension two times."""

    def edit(bad: Any, raw: bytes) -> bytes:
        parsed = parse_handshake(2, raw[4:])
        assert isinstance(parsed, ServerHello)
        kept = tuple(parsed.extensions or ())
        return write_handshake(replace(parsed, extensions=kept + tuple(x for x in kept if x.type == number)))

    return edit
