"""A small tolerant walk over DER (ITU-T X.690): just enough to read certificates that strict parsers refuse.

An observer must describe the certificate that was sent, also when its serial number is negative, its lengths are not
minimal or bytes follow it.  So this walk accepts every definite length and leaves the verdict to its callers; only what
cannot be walked at all (a length past the end, an indefinite length, a tag of several octets) is a WireError.
All places are offsets into the one buffer given; nothing is copied before it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache

from synfin.errors import WireError

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
UTF8_STRING, NUMERIC_STRING, PRINTABLE_STRING, T61_STRING, IA5_STRING = 0x0C, 0x12, 0x13, 0x14, 0x16
UTC_TIME, GENERALIZED_TIME, VISIBLE_STRING, UNIVERSAL_STRING, BMP_STRING = 0x17, 0x18, 0x1A, 0x1C, 0x1E
SEQUENCE = 0x30

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def element(data: bytes, pos: int, end: int) -> tuple[int, int, int]:
    """The element at ``pos``: (tag, start of its content, end of its content).  Raises WireError past ``end``."""
    if pos + 2 > end:
        raise WireError(pos, "", "an element needs 2 octets")
    tag = data[pos]
    size = data[pos + 1]
    start = pos + 2
    if size >= 0x80:
        count = size & 0x7F
        if count == 0 or count > 4 or start + count > end:
            raise WireError(pos + 1, "", "length of an element cannot be read")
        size = int.from_bytes(data[start : start + count], "big")
        start += count
    if tag & 0x1F == 0x1F:
        raise WireError(pos, "", "tag of several octets")
    if start + size > end:
        raise WireError(pos + 1, "", f"length says {size}, has {end - start}")
    return tag, start, start + size


def expect(data: bytes, pos: int, end: int, tag: int, name: str) -> tuple[int, int]:
    """Content range of the element at ``pos``, which must have ``tag``; WireError names the field otherwise."""
    got, start, stop = element(data, pos, end)
    if got != tag:
        raise WireError(pos, name, f"tag {got:#04x} where {tag:#04x} belongs")
    return start, stop


def children(data: bytes, pos: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(tag, start, stop) of each element in ``data[pos:end]``."""
    while pos < end:
        found = element(data, pos, end)
        yield found
        pos = found[2]


def oid_text(content: bytes) -> str:
    """Dotted form of an object identifier's content octets (X.690 8.19); what follows the 64th octet is left out."""
    return _oid_text(content if len(content) <= 64 else content[:64])


@lru_cache(maxsize=1024)
def _oid_text(content: bytes) -> str:
    arcs: list[int] = []
    value = 0
    for octet in content:
        value = value << 7 | octet & 0x7F
        if octet < 0x80:
            arcs.append(value)
            value = 0
    if not arcs:
        return ""
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def text(tag: int, content: bytes) -> str:
    """A character string as Unicode; octets that are wrong for their type are still shown (as Latin-1 or hex)."""
    try:
        if tag == BMP_STRING:
            return content.decode("utf-16-be")
        if tag == UNIVERSAL_STRING:
            return content.decode("utf-32-be")
        if tag in _STRINGS:
            return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")
    return content.hex()


_STRINGS = frozenset({UTF8_STRING, NUMERIC_STRING, PRINTABLE_STRING, T61_STRING, IA5_STRING, VISIBLE_STRING})


def time_ns(tag: int, content: bytes) -> int | None:
    """A UTCTime or GeneralizedTime as ns since 1970, or None where it is no time (RFC 5280 4.1.2.5).

    Also accepts missing seconds and a zone offset, which RFC 5280 forbids: a reader should know what was meant.
    """
    return _time_ns(tag, content) if len(content) <= 32 else None


@lru_cache(maxsize=1024)
def _time_ns(tag: int, content: bytes) -> int | None:
    digits = content.decode("ascii", "replace")
    if tag == UTC_TIME:
        if not digits[:2].isdecimal():
            return None
        digits = ("19" if digits[:2] >= "50" else "20") + digits
    elif tag != GENERALIZED_TIME:
        return None
    at = next((i for i, sign in enumerate(digits) if sign in "Z+-"), len(digits))
    stamp, zone = digits[:at].split(".")[0], digits[at:]
    if len(stamp) == 12:
        stamp += "00"
    if len(stamp) != 14 or not (stamp.isascii() and stamp.isdecimal()):
        return None
    shift = 0
    if zone[:1] in ("+", "-"):
        if len(zone) != 5 or not zone[1:].isdecimal():
            return None
        shift = (int(zone[1:3]) * 60 + int(zone[3:5])) * (-60 if zone[0] == "+" else 60)
    try:
        moment = datetime(*(int(stamp[i:j]) for i, j in _FIELDS), tzinfo=UTC)  # type: ignore[misc, arg-type]
    except ValueError:
        return None
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds + shift) * 1_000_000_000


_FIELDS = ((0, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 14))


@lru_cache(maxsize=1024)
def time_text(ns: int) -> str:
    """``ns`` since 1970 as ``YYYY-MM-DDTHH:MM:SSZ`` (whole seconds)."""
    seconds = ns // 1_000_000_000
    days, rest = divmod(seconds, 86_400)
    date = datetime.fromordinal(max(1, min(719_163 + days, 3_652_059)))
    return f"{date.year:04}-{date.month:02}-{date.day:02}T{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}Z"
