"""Taking the same few octets from many places of the file at once.

A view of the file in which element ``i`` is the ``width`` octets starting at octet ``i`` lets NumPy copy one block
per packet; the columns are then read from the small dense matrix, whatever the alignment of the packets was.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Octets walked through at a time, about what the nearest caches hold.
NEAR = 1 << 18
#: Where records are longer than this on average, bringing them near costs more than waiting for each.
MEAN_FRAME = 2048

Octets = NDArray[np.uint8]
Places = NDArray[np.int64]


def gather(data: Octets, at: Places, width: int) -> Octets:
    """The matrix (len(at), width) of ``data[at[i] : at[i] + width]``; zeros where the data ends.

    ``at`` must hold places within ``data`` (0 <= at[i] <= len(data)).
    """
    room = data.size - width
    if room >= 0 and (not at.size or int(at.max()) <= room):
        return _blocks(data, at, width)
    out = np.zeros((at.size, width), np.uint8)
    inside = at <= room
    if room >= 0:
        out[inside] = _blocks(data, at[inside], width)
    for i in np.flatnonzero(~inside).tolist():
        piece = data[int(at[i]) : int(at[i]) + width]
        out[i, : piece.size] = piece
    return out


def warm(data: Octets, start: int, end: int) -> None:
    """Bring ``data[start:end]`` near by reading it through.

    A walk from record to record waits for memory at every step, because each step depends on the one before;
    reading the same stretch in order first costs a fifth of that.
    """
    data[start:end:64].max(initial=0)


def _blocks(data: Octets, at: Places, width: int) -> Octets:
    every = np.ndarray((data.size - width + 1,), dtype=f"V{width}", buffer=data, strides=(1,))
    blocks: Octets = every[at].view(np.uint8).reshape(at.size, width)
    return blocks


def u16(matrix: Octets, column: int) -> NDArray[np.uint16]:
    """The big-endian 16-bit field at ``column`` of every row."""
    field: NDArray[np.uint16] = matrix[:, column : column + 2].view(">u2")[:, 0]
    return field


def u32(matrix: Octets, column: int) -> NDArray[np.uint32]:
    """The big-endian 32-bit field at ``column`` of every row."""
    field: NDArray[np.uint32] = matrix[:, column : column + 4].view(">u4")[:, 0]
    return field


def u64(matrix: Octets, column: int) -> NDArray[np.uint64]:
    """The big-endian 64-bit field at ``column`` of every row."""
    field: NDArray[np.uint64] = matrix[:, column : column + 8].view(">u8")[:, 0]
    return field
