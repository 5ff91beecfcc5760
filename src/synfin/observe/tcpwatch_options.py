"""TCP options read as an observer reads them: what can be read is, nothing raises.

Sources: RFC 9293 3.1 and 3.2 (kinds 0 to 2), RFC 7323 (3, 8), RFC 2018 (4, 5), RFC 7413 (34, and the experimental form
of RFC 6994 with magic 0xF989).  Connections repeat the same option bytes, so what was read is remembered.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct

from synfin.observe.story_tcp import TcpOption


class Options:
    """The TCP options of one segment (RFC 9293 3.1): what they say, and all of them as they stood."""

    __slots__ = ("all", "fast_open", "mss", "sack", "sack_permitted", "timestamped", "timestamps", "wscale")

    def __init__(self, data: bytes) -> None:
        self.mss: int | None = None
        self.wscale: int | None = None
        self.sack_permitted = False
        self.timestamps: tuple[int, int] | None = None
        self.timestamped = False  # also where the snap length cut the option after its value
        self.fast_open: bytes | None = None
        self.sack: tuple[tuple[int, int], ...] = ()
        found: list[TcpOption] = []
        at = 0
        while at < len(data):
            kind = data[at]
            if kind == 0:
                found.append(TcpOption(0, b""))
                break
            if kind == 1:
                found.append(TcpOption(1, b""))
                at += 1
                continue
            size = data[at + 1] if at + 1 < len(data) else 0
            if size < 2 or at + size > len(data):
                self.timestamped |= kind == 8 and size == 10 and at + 6 <= len(data)
                break  # broken or cut: what comes after cannot be found
            body = data[at + 2 : at + size]
            found.append(TcpOption(kind, body))
            if kind == 2 and size == 4:
                self.mss = int.from_bytes(body, "big")
            elif kind == 3 and size == 3:
                self.wscale = body[0]
            elif kind == 4 and size == 2:
                self.sack_permitted = True
            elif kind == 5 and size % 8 == 2:
                self.sack = tuple(
                    [
                        (int.from_bytes(body[k : k + 4], "big"), int.from_bytes(body[k + 4 : k + 8], "big"))
                        for k in range(0, len(body), 8)
                    ]
                )
            elif kind == 8 and size == 10:
                self.timestamps = (int.from_bytes(body[:4], "big"), int.from_bytes(body[4:], "big"))
                self.timestamped = True
            elif kind == 34:
                self.fast_open = body
            elif kind in (253, 254) and body[:2] == b"\xf9\x89":  # as it was before RFC 7413 gave it a number
                self.fast_open = body[2:]
            at += size
        self.all = tuple(found)

    def stamped(self, body: bytes) -> Options:
        """These options with ``body`` as the octets of the third one, timestamps."""
        other = Options.__new__(Options)
        other.mss, other.wscale, other.sack_permitted = self.mss, self.wscale, self.sack_permitted
        other.timestamps, other.timestamped = _WORDS(body), True
        other.fast_open, other.sack = self.fast_open, self.sack
        first, second, _, *rest = self.all
        other.all = (first, second, TcpOption(8, body), *rest)
        return other


def options(data: bytes) -> Options:
    """The options in ``data``; never raises."""
    if data[4:8] == _STAMPED and data[:2] == _MSS and len(data) >= 16:
        return _options(data[:8] + _NONE + data[16:]).stamped(data[8:16])
    return _options(data)


_options = lru_cache(maxsize=4096)(Options)

#: How most SYNs begin: MSS, SACK permitted, timestamps; the timestamps alone are new each time.
_MSS, _STAMPED, _NONE = b"\x02\x04", b"\x04\x02\x08\x0a", bytes(8)
_WORDS = Struct(">II").unpack
