"""Packets by the block: a ring that the kernel fills and we read, shared memory instead of a call a packet.

A call for each packet costs a fight for the interpreter's lock each time, and a transfer that keeps the interpreter
busy then outruns its own capture.  The ring is the kernel's TPACKET_V3 (Documentation/networking/packet_mmap.rst): the
kernel fills blocks, hands each over when it is full or some milliseconds old, and counts what found no room.
"""

from __future__ import annotations

import mmap
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

_SOL_PACKET, _PACKET_RX_RING, _PACKET_VERSION, _TPACKET_V3 = 263, 5, 10, 2
#: Octets of a block, and how many there are at most; the longest packet (64 KiB and headers) fits several times.
BLOCK, BLOCKS = 1 << 20, 64
_FRAME = 1 << 11
#: Milliseconds after which the kernel hands over a block that is not full.
RETIRE = 4
_USER = 1
_BLOCK_HEAD = struct.Struct("@IIIII")  # version, offset of private data, status, packets, offset of the first
_PACKET_HEAD = struct.Struct("@IIIIIIHH")  # next, seconds, nanoseconds, captured, length, status, link, network
_ADDRESS = struct.Struct("@HHiHBB8s")  # family, protocol, interface, hardware, kind, address length, address
_ADDRESS_AT = 48


class Taken(NamedTuple):
    """One packet: its time (ns since 1970), what the socket says of it, and its octets from the IP header on."""

    when: int
    protocol: int
    interface: int  # its number
    hardware: int
    direction: int
    address: bytes
    packet: memoryview  # until the next block is asked for


def offer_ring(sock: socket.socket) -> None:
    """Say that ``sock`` will have such a ring.  OSError where the kernel knows none."""
    sock.setsockopt(_SOL_PACKET, _PACKET_VERSION, _TPACKET_V3)


class Ring:
    """The ring of one packet socket, as large as there is memory for.  OSError where there is none."""

    def __init__(self, sock: socket.socket) -> None:
        offer_ring(sock)
        blocks = BLOCKS
        while True:
            request = BLOCK, blocks, _FRAME, blocks * (BLOCK // _FRAME), RETIRE, 0, 0
            try:
                sock.setsockopt(_SOL_PACKET, _PACKET_RX_RING, struct.pack("@7I", *request))
                break
            except OSError:
                if blocks == 1:
                    raise
                blocks //= 2
        self._map = mmap.mmap(sock.fileno(), BLOCK * blocks, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self._view = memoryview(self._map)
        self._blocks = blocks
        self._next = 0

    def take(self) -> Iterator[list[Taken]]:
        """The packets of every block that was handed over; a block is given back when the next is asked for."""
        while True:
            at = self._next * BLOCK
            _, _, status, packets, first = _BLOCK_HEAD.unpack_from(self._view, at)
            if not status & _USER:
                return
            yield self._packets(at + first, packets)
            struct.pack_into("@I", self._view, at + 8, 0)
            self._next = (self._next + 1) % self._blocks

    @property
    def filling(self) -> bool:
        """Whether a quarter of the ring waits to be read: who can should slow down."""
        place = (self._next + self._blocks // 4) % self._blocks
        return bool(_BLOCK_HEAD.unpack_from(self._view, place * BLOCK)[2] & _USER)

    def _packets(self, at: int, count: int) -> list[Taken]:
        found = []
        for _ in range(count):
            following, seconds, nanoseconds, size, _, _, _, network = _PACKET_HEAD.unpack_from(self._view, at)
            _, protocol, interface, hardware, direction, length, address = _ADDRESS.unpack_from(
                self._view, at + _ADDRESS_AT
            )
            found.append(
                Taken(
                    seconds * 1_000_000_000 + nanoseconds,
                    socket.ntohs(protocol),
                    interface,
                    hardware,
                    direction,
                    address[: min(length, 8)],
                    self._view[at + network : at + network + size],
                )
            )
            at += following
        return found

    def close(self) -> None:
        """Give the memory back."""
        self._view.release()
        self._map.close()
