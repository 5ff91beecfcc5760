"""What every way of protecting records has in common: its two failures, its sequence number, its two verbs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from struct import Struct

from synfin.errors import WireError
from synfin.wire.codec import Buffer

record_header = Struct("!BHH").pack
read_header = Struct("!BHH").unpack_from
write_header = Struct("!BHH").pack_into
write_numbered = Struct("!BHHQ").pack_into
mac_header = Struct("!QBHH").pack

#: How many records ``try_resync`` looks ahead when it is not told otherwise.
RESYNC_LIMIT = 64


class BadRecord(WireError):  # noqa: N818 - the name says the fault
    """A record whose tag or MAC does not verify, or that is too short to have one (alert bad_record_mac)."""

    def __init__(self, why: str) -> None:
        super().__init__(0, "record", why)


class Unsupported(WireError):  # noqa: N818
    """A cipher suite, or a way of using it, that cannot be opened here.  ``name`` says which."""

    def __init__(self, name: str) -> None:
        super().__init__(0, "", f"{name} is not supported")
        self.name = name


class Protection(ABC):
    """The keys of one direction in one epoch.  ``sequence`` numbers the next record."""

    __slots__ = tuple[str, ...]()  # the number has its slot in subclasses

    sequence: int
    #: Whether a record can be opened without the records before it, so that ``try_resync`` makes sense.
    independent = True

    def __init__(self) -> None:
        self.sequence = 0

    @abstractmethod
    def open_record(self, content_type: int, version: int, fragment: Buffer) -> tuple[int, bytes]:
        """(inner content type, plaintext) of the record with this header and fragment.

        Raises BadRecord, and then the sequence number stays where it was.
        """

    @abstractmethod
    def seal_record(self, content_type: int, plaintext: Buffer, padding: int = 0) -> bytes:
        """The whole protected record, header included.  ``padding`` is for TLS 1.3, in octets."""

    def seal_run(self, content_type: int, plaintext: Buffer, limit: int) -> bytes | bytearray:
        """Records of at most ``limit`` octets of content each, one for an empty ``plaintext``."""
        starts = range(0, len(plaintext) or 1, limit)
        return b"".join([self.seal_record(content_type, plaintext[at : at + limit]) for at in starts])

    def open_run(self, data: Buffer, pos: int, limit: int) -> tuple[int, bytes | bytearray]:
        """Open ordinary records of application data from ``pos`` on: where they end, and what they hold together.

        They end before a record that is anything else, is not all there, is empty, is padded, may have more than
        ``limit`` octets of content, or does not open: that one is left for ``open_record`` to judge.  ``limit`` is the
        same for all records of these keys.  Rare ways of protection open none here; what came may be several runs.
        """
        return pos, b""

    def skip(self, records: int) -> None:
        """Step over records that were not seen.  With RC4 or an implicit IV the next ones will still not open."""
        self.sequence += records

    def try_resync(self, content_type: int, version: int, fragment: Buffer, limit: int = RESYNC_LIMIT) -> int | None:
        """How many records are missing before this one, at most ``limit``; None where it does not open at all.

        Afterwards ``open_record`` opens it.  Costs one decryption for each sequence number tried.
        """
        if not self.independent:
            return None
        start = self.sequence
        for missed in range(limit + 1):
            self.sequence = start + missed
            try:
                self.open_record(content_type, version, fragment)
            except BadRecord:
                continue
            self.sequence = start + missed
            return missed
        self.sequence = start
        return None
