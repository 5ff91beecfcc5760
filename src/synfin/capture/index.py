"""Where the packets of a capture file lie: the common ground of the pcap and pcapng scanners.

A scanner walks the records with the tightest loop that Python has and takes everything else of them (times,
lengths, interfaces) by whole-array operations.  It decides nothing about what the frames hold.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: No frame longer than this is believed, as in Wireshark; a length above it means that the file is damaged.
MOST_FRAME = 262_144
#: Link types whose frames may be larger: USB (189, 220, 249) and D-Bus (231).
_LARGE = {189: 1 << 24, 220: 1 << 24, 249: 1 << 24, 231: 1 << 27}

#: The link type given to records that are no packets but have a packet number all the same.
NO_PACKET = 0xFFFF


class Index(NamedTuple):
    """A run of consecutive packets: one element per packet in every array."""

    frame_at: NDArray[np.int64]
    caplen: NDArray[np.int64]
    wirelen: NDArray[np.int64]
    time: NDArray[np.int64]  # nanoseconds since 1970
    link: NDArray[np.uint16]  # index into the links of the notes
    start: int  # file range of the records
    end: int


def most_frame(link_type: int) -> int:
    """The longest frame that is believed for ``link_type``."""
    return _LARGE.get(link_type, MOST_FRAME)
