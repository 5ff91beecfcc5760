"""Opening a capture and reading it as batches of columns.

This is the door of the package: whatever the file is, the caller gets consecutive ``Batch`` tables over the bytes
of one mapped file, and notes on everything that was damaged or not understood.  Only ``UsageError`` comes out of
here. After a batch was used its pages are dropped from memory (they come back from the file when someone looks at
them again), so that files larger than memory stream.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np

from synfin.capture import pcap, pcapng
from synfin.capture.decode import Decoder
from synfin.capture.index import Index
from synfin.capture.notes import ReadNotes
from synfin.capture.source import Source, not_a_capture, open_source
from synfin.capture.table import Batch

#: A batch ends after about this many octets of file, so that large frames do not make large batches.
_BATCH_OCTETS = 1 << 27


def open_capture(source: str | Path, *, batch_packets: int = 32768) -> CaptureFile:
    """Open a pcap or pcapng file, also gzip or zstd packed; ``"-"`` is standard input.

    Raises UsageError when there is no such file, it cannot be read, or it is no capture.
    """
    opened = open_source(source)
    head = bytes(opened.data[:12])
    if not (pcap.is_pcap(head) or pcapng.is_pcapng(head)):
        error = not_a_capture(opened)
        opened.close()
        raise error
    return CaptureFile(opened, batch_packets)


class CaptureFile:
    """An open capture.  Iterate ``batches()`` once; ``notes`` and ``secrets`` are complete after the last batch.

    ``secrets`` holds the TLS key logs of the file's Decryption Secrets Blocks as they were found.
    """

    def __init__(self, source: Source, batch_packets: int) -> None:
        self.name = source.name
        self.notes = ReadNotes()
        self.secrets: list[bytes] = []
        self.extra = bytearray()
        self._source = source
        self._batch_packets = batch_packets
        self._read = 0  # octets of the file that batches were made of

    def __enter__(self) -> CaptureFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file.  Batches that are still held stay readable."""
        self._source.close()

    def batches(self) -> Iterator[Batch]:
        """The packets of the file in order."""
        source, notes = self._source, self.notes
        data = source.data
        octets = np.frombuffer(data, np.uint8)
        if source.damage:
            notes.problem(0, len(data), f"{source.damage}; read as far as it could be unpacked")
        decoder = Decoder(data, octets, self.extra, notes)
        for index in self._scan(data, octets):
            rows = decoder.rows(index)
            notes.packets += rows.size
            yield Batch(rows, data, self.extra, notes.links, decoder.wraps, decoder.problems)
            source.drop(index.start, index.end)
            self._read = index.end
        notes.format += f" in {source.packing}" if source.packing else ""

    def forget(self) -> None:
        """Let the pages of what was read go from memory: someone looked at them again, and is done now."""
        self._source.drop(0, self._read)

    def _scan(self, data: memoryview, octets: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> Iterator[Index]:
        if pcap.is_pcap(bytes(data[:4])):
            return pcap.scan(data, octets, self.notes, self._batch_packets, _BATCH_OCTETS)
        return pcapng.scan(data, octets, self.notes, self.secrets, self._batch_packets, _BATCH_OCTETS)
