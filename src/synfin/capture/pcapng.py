"""The pcapng file format: sections of blocks, each section in its own byte order and with its own interfaces.

Follows draft-ietf-opsawg-pcapng.  Enhanced, simple and the obsolete packet blocks become packets; comments and the
TLS key log of Decryption Secrets Blocks are kept; other blocks are counted by name.  Enhanced packet blocks, which
are nearly all of a file, are only noted by place in a tight loop and read by whole-array operations afterwards. A
block whose length cannot be right ends the reading: what follows cannot be found again.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synfin.capture.gather import MEAN_FRAME, NEAR, Octets, gather, warm
from synfin.capture.index import MOST_FRAME, NO_PACKET, Index, most_frame
from synfin.capture.notes import ReadNotes
from synfin.capture.table import Link

_SECTION, _INTERFACE, _PACKET, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6
_SECRETS = 10
_ORDER_MAGIC = 0x1A2B3C4D
_TLS_KEY_LOG = 0x544C534B
_COMMENT, _IF_NAME, _IF_TSRESOL, _IF_TSOFFSET = 1, 2, 9, 14
_MOST_BLOCK = 1 << 28

_BLOCK_NAMES = {
    4: "name resolution block",
    5: "interface statistics block",
    7: "IRIG timestamp block",
    8: "AFDX encapsulation block",
    0x80000001: "process event block",
}

#: Blocks that hold no packet but count as one: Wireshark numbers them as frames, and so do we.
_RECORD_NAMES = {
    9: "systemd journal entry",
    0xBAD: "custom block",
    0x40000BAD: "custom block",
} | dict.fromkeys((0x204, 0x208, 0x216, 0x217, 0x221, 0x222), "system call event")


@dataclass(frozen=True, slots=True)
class _Interface:
    link: int  # index into the links of the notes
    link_type: int
    snaplen: int
    power: int  # a tick is 10**-power or 2**-power seconds
    binary: bool
    offset: int  # seconds to add

    def nanoseconds(self, ticks: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The times ``ticks`` in nanoseconds since 1970.  Hostile values wrap around; nothing is raised."""
        if self.binary:
            power = min(self.power, 63)
            seconds = ticks >> np.uint64(power)
            parts = ticks & np.uint64((1 << power) - 1)
            if power > 30:
                parts >>= np.uint64(power - 30)
                power = 30
            time = seconds * np.uint64(1_000_000_000) + ((parts * np.uint64(1_000_000_000)) >> np.uint64(power))
        elif self.power <= 9:
            time = ticks * np.uint64(10 ** (9 - self.power))
        else:
            time = ticks // np.uint64(10 ** min(self.power - 9, 19))
        offset = (self.offset * 1_000_000_000) & 0xFFFF_FFFF_FFFF_FFFF
        return (time + np.uint64(offset)).astype(np.int64)


def is_pcapng(head: bytes) -> bool:
    """Whether a file that begins with ``head`` (12 octets at least) is a pcapng file."""
    magic = _ORDER_MAGIC.to_bytes(4, "big")
    return head[:4] == b"\n\r\r\n" and head[8:12] in (magic, magic[::-1])


def scan(
    data: memoryview, octets: Octets, notes: ReadNotes, secrets: list[bytes], batch: int, batch_octets: int
) -> Iterator[Index]:
    """The packets of the pcapng file ``data`` in runs of at most ``batch`` packets and about ``batch_octets`` octets.

    TLS key logs found in it are added to ``secrets``.
    """
    notes.format = "pcapng"
    reader = _Sections(data, octets, notes, secrets)
    while not reader.done:
        index = reader.run(batch, batch_octets)
        if index is not None:
            yield index


class _Sections:
    def __init__(self, data: memoryview, octets: Octets, notes: ReadNotes, secrets: list[bytes]) -> None:
        self.data = data
        self.octets = octets
        self.notes = notes
        self.secrets = secrets
        self.at = 0
        self.done = False
        self.order = "<"
        self.interfaces: list[_Interface] = []

    def run(self, batch: int, batch_octets: int) -> Index | None:
        """Walk blocks until the batch is full, the section ends or the file ends; the packets found on the way."""
        data, size = self.data, len(self.data)
        head = struct.Struct(f"{self.order}II").unpack_from
        packets = array("q")
        keep = packets.append
        start = at = self.at
        stop = min(size - 12, at + batch_octets)
        warmed = at
        new_section = False
        while at <= stop and len(packets) < batch:
            if at >= warmed:
                warmed = at + min(NEAR, batch * MEAN_FRAME)
                if at - start <= len(packets) * MEAN_FRAME:
                    warm(self.octets, at, warmed)
            kind, length = head(data, at)
            end = at + length
            if kind == _ENHANCED and length >= 32 and end <= size and not length & 3:
                keep(at)
                at = end
                continue
            if kind == _SECTION:
                if new_section or packets:
                    break  # packets before it are read with the old section's interfaces
                if not self._section(at):
                    break
                head = struct.Struct(f"{self.order}II").unpack_from
                length = head(data, at)[1]
                new_section = True
                at += length
                continue
            if not self._believed(at, kind, length, len(packets)):
                break
            end = at + ((length + 3) & ~3)
            if kind in (_ENHANCED, _PACKET, _SIMPLE) or kind in _RECORD_NAMES:
                keep(at)
            else:
                self._other_block(at, kind, length)
            at = end
        self.at = at
        if not self.done and at > size - 12:
            self.done = True
            if at < size:
                number = self.notes.packets + len(packets)
                self.notes.problem(number, at, f"the file ends with {size - at} octets that are no block")
        return self._packets(np.frombuffer(packets, np.int64), start, min(at, size)) if packets else None

    def _stop(self, packet: int, at: int, text: str) -> bool:
        self.notes.problem(packet, at, f"{text}; not read further")
        self.done = True
        return False

    def _believed(self, at: int, kind: int, length: int, before: int) -> bool:
        least = {_PACKET: 32, _ENHANCED: 32, _SIMPLE: 16, _INTERFACE: 20}.get(kind, 12)
        packet = self.notes.packets + before + (kind in (_PACKET, _ENHANCED, _SIMPLE))
        if at + length > len(self.data) and length <= _MOST_BLOCK:
            has = len(self.data) - at
            return self._stop(packet, at, f"the file ends inside a block of {length} octets, {has} are there")
        if not least <= length <= _MOST_BLOCK:
            return self._stop(packet, at, f"a block of type 0x{kind:x} says it is {length} octets long")
        if kind not in (_ENHANCED, _PACKET, _SIMPLE):  # those are looked at all together
            return self._closed(packet, at, length)
        return True

    def _closed(self, packet: int, at: int, length: int) -> bool:
        """Whether a block ends with its length, as it began."""
        place = at + ((length + 3) & ~3) - 4
        again = self.data[place : place + 4]
        if len(again) == 4 and struct.unpack(f"{self.order}I", again)[0] + 3 & ~3 == length + 3 & ~3:
            return True
        return self._stop(packet, at, f"a block begins with length {length} and ends with another")

    def _section(self, at: int) -> bool:
        data = self.data
        packet = self.notes.packets
        magic = bytes(data[at + 8 : at + 12])
        if int.from_bytes(magic, "little") == _ORDER_MAGIC:
            self.order = "<"
        elif int.from_bytes(magic, "big") == _ORDER_MAGIC:
            self.order = ">"
        else:
            return self._stop(packet, at, "a section header without a byte order")
        (length,) = struct.unpack_from(f"{self.order}I", data, at + 4)
        if length < 28 or length & 3 or at + length > len(data):
            return self._stop(packet, at, f"a section header says it is {length} octets long")
        if not self._closed(packet, at, length):
            return False
        self.interfaces = []
        for code, value in self._options(at + 24, at + length - 4):
            if code == _COMMENT:
                self.notes.comment(0, value.decode(errors="replace"))
        return True

    def _other_block(self, at: int, kind: int, length: int) -> None:
        if kind == _INTERFACE:
            self._interface(at, at + length - 4)
        elif kind == _SECRETS and length >= 20:
            secret, size = struct.unpack_from(f"{self.order}II", self.data, at + 8)
            if secret == _TLS_KEY_LOG:
                self.secrets.append(bytes(self.data[at + 16 : min(at + 16 + size, at + length - 4)]))
            else:
                self.notes.skipped[f"secrets of type 0x{secret:08x}"] += 1
        else:
            self.notes.skipped[_BLOCK_NAMES.get(kind, f"block type 0x{kind:x}")] += 1

    def _interface(self, at: int, end: int) -> None:
        link_type, _reserved, snaplen = struct.unpack_from(f"{self.order}HHI", self.data, at + 8)
        name, resolution, offset = "", 6, 0
        for code, value in self._options(at + 16, end):
            if code == _IF_NAME:
                name = value.decode(errors="replace")
            elif code == _IF_TSRESOL and value:
                resolution = value[0]
            elif code == _IF_TSOFFSET and len(value) >= 8:
                offset = int.from_bytes(value[:8], "little" if self.order == "<" else "big", signed=True)
            elif code == _COMMENT:
                self.notes.comment(0, value.decode(errors="replace"))
        power, binary = resolution & 0x7F, bool(resolution & 0x80)
        tick = 1_000_000_000 // (2 if binary else 10) ** power
        self.notes.resolution = max(1, min(self.notes.resolution, tick))
        self.interfaces.append(
            _Interface(self._link(link_type, name, snaplen), link_type, snaplen, power, binary, offset)
        )

    def _link(self, link_type: int, name: str, snaplen: int = 0) -> int:
        links = self.notes.links
        link = Link(link_type, name, snaplen)
        if link in links[-8:]:
            return len(links) - 1 - links[::-1].index(link)
        if len(links) > 0xFFFF:
            return 0xFFFF  # a file with this many interfaces is made to harm; they share one name
        links.append(link)
        return len(links) - 1

    def _options(self, at: int, end: int) -> Iterator[tuple[int, bytes]]:
        while at + 4 <= end:
            code, size = struct.unpack_from(f"{self.order}HH", self.data, at)
            if not code or at + 4 + size > end:
                return
            yield code, bytes(self.data[at + 4 : at + 4 + size])
            at += 4 + ((size + 3) & ~3)

    def _packets(self, places: NDArray[np.int64], start: int, end: int) -> Index | None:
        """Read the packet blocks at ``places``; a block that contradicts itself ends the reading before it."""
        fields = gather(self.octets, places, 28).view(f"{self.order}u4").astype(np.int64)
        kind, length, interface = fields[:, 0], fields[:, 1], fields[:, 2]
        caplen, wirelen = fields[:, 5], fields[:, 6]
        frame_at = places + 28
        odd = np.flatnonzero(kind != _ENHANCED)
        for i in odd.tolist():
            if kind[i] == _PACKET:
                at = int(places[i]) + 8
                interface[i] = struct.unpack_from(f"{self.order}H", self.data, at)[0]
                continue
            frame_at[i] = places[i] + (12 if kind[i] == _SIMPLE else 8)
            wirelen[i] = fields[i, 2] if kind[i] == _SIMPLE else length[i] - 12
            most = int(length[i]) - (16 if kind[i] == _SIMPLE else 12)
            snaplen = self.interfaces[0].snaplen if self.interfaces and kind[i] == _SIMPLE else 0
            caplen[i] = min(int(wirelen[i]), most, snaplen or most)
            interface[i] = 0
        bad = (caplen > places + length - 4 - frame_at) | (interface >= len(self.interfaces))
        packet = (kind == _ENHANCED) | (kind == _SIMPLE) | (kind == _PACKET)
        bad &= packet
        ends = np.minimum(places + ((length + 3) & ~3) - 4, self.octets.size)
        again = gather(self.octets, ends, 4).view(f"{self.order}u4")[:, 0].astype(np.int64)
        unclosed = packet & ((again + 3) & ~3 != (length + 3) & ~3)
        bad |= unclosed
        limits = np.array([most_frame(one.link_type) for one in self.interfaces] or [MOST_FRAME], np.int64)
        bad |= packet & (caplen > limits[np.minimum(interface, limits.size - 1)])
        good = int(np.argmax(bad)) if bad.any() else places.size
        if good < places.size:
            number = self.notes.packets + good + 1
            if interface[good] >= len(self.interfaces):
                why = f"packet {number} names interface {int(interface[good])}, which the file does not describe"
            elif unclosed[good]:
                why = f"the block of packet {number} begins with length {int(length[good])} and ends with another"
            else:
                why = f"packet {number} says it has {int(caplen[good])} octets in a block of {int(length[good])}"
            place = int(places[good])
            # What stood behind it was misread because of it; a damaged gzip stream (packet 0) was not.
            self.notes.problems = [one for one in self.notes.problems if one.offset < place or not one.packet]
            self._stop(number, place, why)
            if not good:
                return None
        index = Index(
            frame_at[:good],
            caplen[:good],
            wirelen[:good],
            np.zeros(good, np.int64),
            np.zeros(good, np.uint16),
            start,
            end,
        )
        ticks = (fields[:good, 3].astype(np.uint64) << np.uint64(32)) | fields[:good, 4].astype(np.uint64)
        self._times(index, ticks, kind[:good], interface[:good])
        self._comments(places[:good], frame_at, caplen, length, kind)
        return index

    def _times(
        self, index: Index, ticks: NDArray[np.uint64], kind: NDArray[np.int64], interface: NDArray[np.int64]
    ) -> None:
        for number in np.unique(interface).tolist():
            if number >= len(self.interfaces):
                continue  # not a packet, or a simple one before any interface
            one = self.interfaces[number]
            mine = interface == number
            index.link[mine] = one.link
            index.time[mine] = one.nanoseconds(ticks[mine])
        index.time[kind == _SIMPLE] = 0  # a simple packet block has no time
        if int(kind.max()) > _ENHANCED:
            for i in np.flatnonzero(kind > _ENHANCED).tolist():
                index.time[i] = 0
                index.link[i] = self._link(NO_PACKET, _RECORD_NAMES[int(kind[i])])

    def _comments(
        self,
        places: NDArray[np.int64],
        frame_at: NDArray[np.int64],
        caplen: NDArray[np.int64],
        length: NDArray[np.int64],
        kind: NDArray[np.int64],
    ) -> None:
        count = places.size
        options_at = frame_at[:count] + ((caplen[:count] + 3) & ~3)
        options_end = places + length[:count] - 4
        has = (options_at + 4 <= options_end) & ((kind[:count] == _ENHANCED) | (kind[:count] == _PACKET))
        for i in np.flatnonzero(has).tolist():
            for code, value in self._options(int(options_at[i]), int(options_end[i])):
                if code == _COMMENT:
                    self.notes.comment(self.notes.packets + i + 1, value.decode(errors="replace"))
