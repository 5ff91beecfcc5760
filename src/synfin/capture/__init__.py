"""Captures: bytes of files in, columns of packets out."""

from synfin.capture.keylog import KeyLog, read_keylog
from synfin.capture.notes import Problem, ReadNotes
from synfin.capture.reader import CaptureFile, open_capture

__all__ = ["CaptureFile", "KeyLog", "Problem", "ReadNotes", "open_capture", "read_keylog"]
