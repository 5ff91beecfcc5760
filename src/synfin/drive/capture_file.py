"""Where live captures and TLS secrets are written: files for their owner only, as both open what they tell of.

A ``CaptureSink`` is a pcapng whose secrets stand before the packets that need them.  Packets are held for a moment, so
that a secret that an endpoint works out of a packet still comes before it in the file; readers that go through once
(Wireshark) decrypt then.  ``write`` and ``key_log`` may be called from different threads.
"""

from __future__ import annotations

import io
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from synfin.capture.writer import PcapngWriter
from synfin.errors import UsageError

LINUX_SLL2, EXPORTED_PDU = 276, 252
#: Octets that are gathered to be written at once.
GATHERED = 1 << 20
#: Seconds that a packet waits for secrets, and octets that may wait at most.
HOLD = 1.0
MOST_HELD = 64 << 20


def private_file(path: str | Path, option: str = "", *, read_back: bool = False) -> IO[bytes]:
    """A new file that only its owner can read.  UsageError, with ``option``, when it cannot be written.

    ``read_back`` says that the writer wants to read it too.
    """
    way = os.O_RDWR if read_back else os.O_WRONLY
    try:
        fd = os.open(path, way | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"{option}{path}: cannot be written ({error.strerror})") from None
    try:
        os.fchmod(fd, 0o600)  # it may have been there
    except OSError:  # a device, or somebody else's: what it is stays
        pass
    return os.fdopen(fd, "wb+" if read_back else "wb")


@contextmanager
def key_log_file(path: Path, lost: Callable[[str], None]) -> Iterator[Callable[[str], None]]:
    """What appends lines to the SSLKEYLOGFILE at ``path``, each at once.  UsageError when it cannot be written.

    ``lost`` hears why once, when a line cannot be written later; what comes then is not written.
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"--keylog {path}: cannot be written ({error.strerror})") from None

    full = False

    def append(line: str) -> None:
        nonlocal full
        if full:
            return
        try:
            os.write(fd, f"{line}\n".encode())
        except OSError as error:
            full = True
            lost(f"--keylog {path}: {error.strerror}")

    try:
        yield append
    finally:
        os.close(fd)


class CaptureSink:
    """Packets and secrets in, pcapng out.  ``file`` stays the caller's until ``close``, which closes it."""

    def __init__(self, file: IO[bytes], link_type: int, hold: float = HOLD) -> None:
        self._file = file
        self._gathered = io.BytesIO()  # each write to the file gives the interpreter's lock away and has to get it back
        self._writer = PcapngWriter(self._gathered, link_type)
        self._pour()
        self._hold = hold
        self._lock = threading.Lock()
        self._held: deque[tuple[float, int, bytes, str]] = deque()
        self._held_octets = 0
        self._lines: list[str] = []
        self.packets = 0
        self.broken = ""  # why nothing is written any more (a full disk)

    def key_log(self, line: str) -> None:
        """One line of an SSLKEYLOGFILE."""
        with self._lock:
            self._lines.append(line)

    def write(self, time_ns: int, frame: bytes, comment: str = "") -> None:
        """One packet; times in ns since 1970."""
        now = time.monotonic()
        with self._lock:
            self.packets += 1
            self._held.append((now, time_ns, frame, comment))
            self._held_octets += len(frame)
            self._release(now - self._hold)

    def write_all(self, packets: Sequence[tuple[int, bytes]]) -> None:
        """Several packets, each a time and a frame."""
        now = time.monotonic()
        with self._lock:
            self.packets += len(packets)
            self._held += [(now, when, frame, "") for when, frame in packets]
            self._held_octets += sum([len(frame) for _, frame in packets])
            self._release(now - self._hold)

    def tick(self) -> None:
        """Write what has waited long enough; for capturers that see no packet for a while."""
        with self._lock:
            self._release(time.monotonic() - self._hold)
            if not self.broken and not self._file.closed:
                self._poured()

    def close(self) -> None:
        """Write everything and close the file; harmless when repeated."""
        with self._lock:
            self._release(float("inf"))
            if not self.broken and not self._file.closed:
                self._poured()
            if not self._file.closed:
                try:
                    self._file.close()
                except OSError as error:
                    self.broken = self.broken or error.strerror or str(error)

    def _release(self, until: float) -> None:
        held = self._held
        if self.broken or self._file.closed:
            self._held.clear()
            self._held_octets = 0
            return
        try:
            if self._lines and held and (held[0][0] <= until or self._held_octets > MOST_HELD):
                self._secrets()
            while held and (held[0][0] <= until or self._held_octets > MOST_HELD):
                _, when, frame, comment = held.popleft()
                self._held_octets -= len(frame)
                self._writer.packet(when, frame, comment)
                if self._gathered.tell() >= GATHERED:
                    self._pour()
            if until == float("inf"):
                self._secrets()
        except OSError as error:
            self.broken = error.strerror or str(error)

    def _poured(self) -> None:
        try:
            self._pour()
        except OSError as error:
            self.broken = error.strerror or str(error)

    def _pour(self) -> None:
        """What has been gathered goes to the file."""
        size = self._gathered.tell()
        if size:
            self._gathered.seek(0)
            self._file.write(self._gathered.getbuffer()[:size])

    def _secrets(self) -> None:
        if self._lines:
            text = "".join(f"{line}\n" for line in self._lines).encode()
            self._lines = []
            self._writer.secrets(text)
