"""What h11 and h2 found wrong with what a peer sent, in words for people.

Faults of frames have their names in ``spec.violations`` (RFC 9113 5.4).
"""

from __future__ import annotations

import re

import h2.exceptions
from hpack.exceptions import HPACKError
from hyperframe.exceptions import HyperframeError

from synfin.errors import PeerError

#: Where hpack's words speak of its own memory.
_ADDRESS = re.compile(r" from <memory at 0x[0-9a-f]+>")
#: Where h11's words show octets as Python holds them, and how many characters of them people want to see.
_OCTETS = re.compile(r"(?:bytearray\(b|\bb)(['\"])(.*?)\1\)?", re.DOTALL)
_SEEN = 60
_VIOLATIONS: tuple[tuple[type[Exception], str, str], ...] = (
    (h2.exceptions.FrameTooLargeError, "h2_bad_frame_size", "a frame"),
    (h2.exceptions.FrameDataMissingError, "h2_bad_frame_size", "a frame"),
    (h2.exceptions.FlowControlError, "h2_flow_control", "data within the window"),
    (h2.exceptions.InvalidSettingsValueError, "h2_bad_settings", "a setting"),
    (h2.exceptions.DenialOfServiceError, "h2_bad_header_block", "a header block"),
    (HPACKError, "h2_bad_header_block", "a header block"),
    (HyperframeError, "h2_bad_frame_size", "a frame"),
)


def h11_words(error: Exception) -> str:
    """What an exception of h11 says."""
    said = str(error)
    if "_SWITCH_UPGRADE" in said:
        return "101 Switching Protocols, which nobody asked for"
    return _OCTETS.sub(lambda found: f"'{found[2][:_SEEN]}{'…' * (len(found[2]) > _SEEN)}'", said)


def h2_fault(error: Exception) -> PeerError:
    """The violation behind an exception of h2, hpack or hyperframe."""
    said = _ADDRESS.sub("", str(error)) or type(error).__name__
    for kind, name, expected in _VIOLATIONS:
        if isinstance(error, kind):
            return PeerError(name, expected, said)
    if "preamble" in said.lower():
        return PeerError("h2_bad_preface", "the preface", said)
    if "header" in said.lower():
        return PeerError("h2_bad_header_block", "a header block", said)
    return PeerError("h2_stream_state", "a frame that may come now", said)
