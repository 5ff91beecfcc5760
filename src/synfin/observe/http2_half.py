"""One direction of an HTTP/2 connection as far as it has been read: header table, open messages, credit.

A sender's header table (RFC 7541 2.3) that is known in part answers with an empty name for what was lost.
"""

from __future__ import annotations

from hpack import Decoder
from hpack.table import HeaderTable

from synfin.observe.http2_frames import Framed
from synfin.observe.http2_windows import Credit

MAX_LIST = 128 * 1024  # octets one header block may become (an HPACK bomb stops here)


class _PartlyKnown(HeaderTable):
    """A header table of which only the newest entries are known: the rest answers with an empty name."""

    def get_by_index(self, index: int) -> tuple[bytes, bytes]:
        if index > self.STATIC_TABLE_LENGTH + len(self.dynamic_entries):
            return b"", b""
        return super().get_by_index(index)


class OpenMessage:
    """A message being read."""

    __slots__ = (
        "body", "complete", "declared", "end", "fields", "header_end", "kind", "offset", "packets", "problem",
        "sender", "start", "stream",
    )  # fmt: skip

    def __init__(self, frame: Framed, stream: int, kind: str) -> None:
        self.sender = frame.sender
        self.stream = stream
        self.kind = kind
        self.fields: tuple[tuple[str, str], ...] = ()
        self.declared: int | None = None
        self.body = 0
        self.complete = False
        self.packets = (frame.first_packet, frame.packet)
        self.start = frame.first_time
        self.header_end = 0
        self.end = frame.ready
        self.offset = frame.offset
        self.problem = ""

    @property
    def informational(self) -> bool:
        """Whether this is a 1xx response: its header block is all of it."""
        return self.kind == "response" and any(name == ":status" and value[:1] == "1" for name, value in self.fields)

    def touch(self, frame: Framed) -> None:
        """The message reaches to this frame."""
        self.packets = (self.packets[0], frame.packet)
        self.end = frame.ready


class Half:
    """What is known of one sender: header table, windows it may use, streams it has open messages on."""

    __slots__ = (
        "block", "block_for", "block_frame", "block_push", "block_stream", "credit", "decoder", "hopeless", "open",
        "sender", "unknown",
    )  # fmt: skip

    def __init__(self, sender: int) -> None:
        self.sender = sender
        self.decoder = Decoder(MAX_LIST)
        self.unknown = False  # octets are missing: the header table is known in part
        self.hopeless = False  # a header block was too large to go on with
        self.block: bytearray | None = None  # a header block, until its END_HEADERS
        self.block_frame: Framed | None = None  # the frame it began in
        self.block_stream = 0  # the stream its CONTINUATION frames come on
        self.block_for = 0  # the stream it is about (another one for PUSH_PROMISE)
        self.block_push = False
        self.open: dict[int, OpenMessage] = {}
        self.credit = Credit()

    def lose(self) -> None:
        """The header table is not known any more."""
        self.unknown = True
        self.decoder = Decoder(MAX_LIST)
        self.decoder.header_table = _PartlyKnown()
        self.decoder.max_allowed_table_size = 1 << 32
        self.decoder.header_table.maxsize = 1 << 20
        self.block = None
        self.credit.known = False


def declared_length(fields: tuple[tuple[str, str], ...]) -> int | None:
    """What a usable content-length says, in octets, or None."""
    for name, value in fields:
        if name == "content-length" and value.isascii() and value.isdigit() and len(value) <= 19:
            return int(value)
    return None
