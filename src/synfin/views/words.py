"""Numbers, times and foreign text as words: the small change that every text view is paid in.

Sizes are octets with thin separators (``1,460``), times are integer nanoseconds on the capture's clock.  Text out of a
capture is hostile: ``clean`` lets no control character, escape sequence or direction override reach a terminal.
Nothing here looks at a connection; ``outcome`` and ``timeline`` do that.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable


def _escape(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def clean(text: str) -> str:
    """``text`` with everything that could steer a terminal, or has no look of its own, shown as a plain escape.

    That is what Unicode calls other or separator: controls, direction overrides, zero-width and unassigned characters.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def width_of(text: str) -> int:
    """How many terminal cells ``text`` (already clean, no colour) takes."""
    if text.isascii():
        return len(text)
    cells = 0
    for char in text:
        if unicodedata.combining(char):
            continue
        cells += 2 if unicodedata.east_asian_width(char) in "WF" else 1
    return cells


def shorten(text: str, width: int) -> str:
    """``text`` cut to ``width`` cells, with an ellipsis where something is gone."""
    if width_of(text) <= width:
        return text
    if width <= 1:
        return "…"[:width]
    kept, cells = [], 0
    for char in text:
        size = width_of(char)
        if cells + size > width - 1:
            break
        kept.append(char)
        cells += size
    return "".join(kept) + "…"


def shorten_middle(text: str, width: int) -> str:
    """``text`` cut to ``width`` cells in its middle: both ends of an address or a host name say something."""
    if width_of(text) <= width:
        return text
    if width < 6 or not text.isascii():
        return shorten(text, width)
    tail = (width - 1) // 2
    return text[: width - 1 - tail] + "…" + text[len(text) - tail :]


def pad(text: str, width: int) -> str:
    """``text`` shortened or padded with spaces to exactly ``width`` cells."""
    cells = width_of(text)
    if cells > width:
        text = shorten(text, width)
        cells = width_of(text)
    return text + " " * (width - cells)


def count(number: int, noun: str, plural: str = "") -> str:
    """``1 packet``, ``1,460 octets``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def duration(ns: int) -> str:
    """A stretch of time, three figures and the unit that fits: ``340 µs``, ``12.3 ms``, ``1.02 s``, ``2 min 5 s``."""
    sign, ns = ("-", -ns) if ns < 0 else ("", ns)
    if ns < 1_000:
        return f"{sign}{ns} ns"
    if ns < 999_500:
        return f"{sign}{_three(ns / 1e3)} µs"
    if ns < 999_500_000:
        return f"{sign}{_three(ns / 1e6)} ms"
    if ns < 59_950_000_000:
        return f"{sign}{_three(ns / 1e9)} s"
    seconds = round(ns / 1e9)
    if seconds < 3600:
        return f"{sign}{seconds // 60} min {seconds % 60} s"
    if seconds < 360_000:
        return f"{sign}{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{sign}{seconds // 86400:,} d"


def _three(value: float) -> str:
    if value >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def moment(ns: int) -> str:
    """A time relative to the start of what is shown: seconds with microseconds."""
    sign, ns = ("-", -ns) if ns < 0 else ("", ns)
    return f"{sign}{ns // 1_000_000_000}.{ns % 1_000_000_000 // 1000:06d}"


def clock(ns: int) -> str:
    """A moment on the capture's clock, UTC: ``2021-06-12 20:17:32.694``; the bare number where no calendar reaches."""
    from datetime import UTC, datetime

    seconds, rest = divmod(ns, 1_000_000_000)
    try:
        day = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return f"{seconds}.{rest // 1_000_000:03d} s"
    return f"{day:%Y-%m-%d %H:%M:%S}.{rest // 1_000_000:03d}"


def size(octets: int) -> str:
    """An amount of octets in a few characters: ``812``, ``14.6 kB``, ``2.31 MB`` (powers of 1,000)."""
    if octets < 10_000:
        return f"{octets:,}"
    value, unit = octets / 1e3, "kB"
    for larger in ("MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1e3, larger
    return f"{_three(value)} {unit}"


def listing(items: Iterable[str], most: int = 0) -> str:
    """``a, b, c``; with ``most`` the rest is counted: ``a, b and 7 more``."""
    names = list(items)
    if most and len(names) > most + 1:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return ", ".join(names)


def ranges(numbers: Iterable[int]) -> str:
    """Packet numbers in order, neighbours joined: ``6, 8-11``."""
    parts: list[str] = []
    first = last = None
    for number in sorted(set(numbers)):
        if last is not None and number == last + 1:
            last = number
            continue
        if first is not None:
            parts.append(_range(first, last))
        first = last = number
    if first is not None:
        parts.append(_range(first, last))
    return ", ".join(parts)


def packets(numbers: Iterable[int]) -> str:
    """``packet 6``, ``packets 6, 8-11``."""
    several = set(numbers)
    return f"{'packet' if len(several) == 1 else 'packets'} {ranges(several)}"


def _range(first: int, last: int | None) -> str:
    if last is None or last == first:
        return str(first)
    return f"{first}, {last}" if last == first + 1 else f"{first}-{last}"


def octets(data: bytes, most: int = 0) -> str:
    """Hexadecimal octets; with ``most`` only the first ones, and how many there are."""
    if most and len(data) > most:
        return f"{data[:most].hex()}… ({len(data):,} octets)"
    return data.hex()


def dumped(data: bytes) -> str:
    """Up to sixteen octets in hexadecimal, and the characters they would be."""
    return f"{data.hex(' '):47}  {''.join(chr(octet) if 32 <= octet < 127 else '.' for octet in data)}"


def readable(data: bytes, most: int = 72) -> str:
    """The first line of ``data`` if it looks like text, cleaned and shortened; else empty."""
    head = data[:400].split(b"\n", 1)[0].rstrip(b"\r")
    if not head or sum(byte < 32 and byte not in (9, 27) for byte in head):
        return ""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return shorten(clean(text), most)


def wrap(text: str, width: int, indent: int = 2) -> list[str]:
    """``text`` broken at spaces into lines of at most ``width`` cells; later lines start ``indent`` cells further in.

    Spaces at its start stay and count for every line.  A word longer than a line is broken where the line ends.
    """
    lead = len(text) - len(text.lstrip(" "))
    inner = lead + indent
    width = max(width, inner + 4)
    lines: list[str] = []
    line, cells, fresh = " " * lead, lead, True
    for word in text[lead:].split(" "):
        size_ = width_of(word)
        gap = 0 if fresh else 1
        if cells + gap + size_ > width:
            if not fresh and (size_ <= width - inner or width - cells < 8):
                lines.append(line)
                line, cells, gap = " " * inner, inner, 0
            if cells + gap + size_ > width:
                line, cells, gap = line + " " * gap, cells + gap, 0
                while cells + size_ > width:
                    taken = _fitting(word, width - cells)
                    lines.append(line + word[:taken])
                    word = word[taken:]
                    size_ = width_of(word)
                    line, cells = " " * inner, inner
        line, cells, fresh = line + " " * gap + word, cells + gap + size_, False
    if line.strip() or not lines:
        lines.append(line)
    return lines


def _fitting(word: str, room: int) -> int:
    """How many characters of ``word`` fit in ``room`` cells; at least one, or nothing would ever end."""
    if word.isascii():
        return max(room, 1)
    cells = 0
    for at, char in enumerate(word):
        cells += width_of(char)
        if cells > room:
            return max(at, 1)
    return len(word)
