"""Live capture of our own connections: their packets where we may, else the octets of their streams.

``LiveCapture`` reads a cooked packet socket (packet(7)) behind a kernel filter (``capture_filter``), so nobody else's
packets reach this process, through a ring (``capture_ring``); it needs CAP_NET_RAW.  Times are the kernel's, in
nanoseconds.  On the loopback interface every packet passes twice, and a bridge shows it on each of its ports: each is
written once.  Who reads what is captured does so no faster than it is written (``pace``).  Segments are written as
the kernel handed them over: larger than the MSS and with unfinished checksums where offloading does that work.

``PduCapture`` needs no right: what is read and written on a connection is written as exported PDUs (link type 252),
a TLS record each, with addresses, ports and the time at which its last octet passed.  There are no TCP facts then, and
the observer says so.

Both write to a ``CaptureSink``, take key log lines by ``key_log`` and are closed by ``close``.
"""

from __future__ import annotations

import asyncio
import ctypes
import select
import socket
import struct
import threading
import time
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import IO

from synfin.drive.capture_file import EXPORTED_PDU, LINUX_SLL2, CaptureSink
from synfin.drive.capture_filter import UDP, Watch, once, packed, program
from synfin.drive.capture_ring import RETIRE, Ring, Taken, offer_ring
from synfin.errors import WireError
from synfin.wire.dns import read_message

_ETH_P_ALL = 3
_SO_ATTACH_FILTER = 26
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
#: A Linux cooked v2 header: protocol, reserved, interface, hardware, kind of packet, length of address, address.
_HEAD = struct.Struct(">HHIHBB8s")
#: Seconds of a pause for what has to be written.
_PAUSE = 0.002
#: Octets of a packet that are looked at.
_LOOK = 2048
#: Directions of connections whose interface is remembered.
_MOST_FLOWS = 1 << 16
#: Packets come in their order, but two processors' clocks differ by less than this many nanoseconds.
_APART = 1_000_000


def may_capture() -> str:
    """Empty when packets can be captured here, else why not, in words."""
    if not hasattr(socket, "AF_PACKET"):
        return "this system has no packet sockets"
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as trial:
            offer_ring(trial)
    except PermissionError:
        return "needs CAP_NET_RAW"
    except OSError as error:
        return error.strerror or str(error)
    return ""


class LiveCapture:
    """The packets of watched connections, from ``start`` to ``close``.  Raises OSError where ``may_capture`` says no.

    ``file`` is written as pcapng (Linux cooked v2) and closed at the end.
    """

    kind = "packets"

    def __init__(self, file: IO[bytes]) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
        self._watches: list[Watch] = []
        self._names: set[str] = set()
        self._flows: dict[bytes, int] = {}
        self._latest = 0  # the time of the packet before
        self._wake, self._woken = socket.socketpair()
        self._thread: threading.Thread | None = None
        self._closing = False
        self.sink = CaptureSink(file, LINUX_SLL2)
        self.dropped = 0  # packets the kernel had no room for
        self._attach()  # what came before there was a filter is not ours, and goes when the ring is made
        self._ring = Ring(self._socket)
        self._lost()  # nor is what the kernel had no room for until then

    @property
    def packets(self) -> int:
        """How many packets were taken."""
        return self.sink.packets

    async def pace(self) -> None:
        """Wait while there is too much to write: a program that reads only after this loses no packet of its own."""
        while not self._closing and self._ring.filling:
            await asyncio.sleep(_PAUSE)

    def key_log(self, line: str) -> None:
        """One line of an SSLKEYLOGFILE, to stand in the file."""
        self.sink.key_log(line)

    def watch(self, server: str | None, port: int, client_port: int | None = None) -> None:
        """Take also what passes between this TCP server (None: any address) and its clients (or one of their ports)."""
        self._add(Watch(_address(server), port, client_port))

    def watch_names(self, resolvers: list[str], names: list[str]) -> None:
        """Take also the questions for ``names`` to ``resolvers`` at UDP port 53, and their answers."""
        self._names |= {name.rstrip(".").lower() for name in names}
        for resolver in resolvers:
            self._add(Watch(_address(resolver), 53, None, UDP))

    def start(self) -> None:
        """Begin; packets from before are not seen."""
        self._thread = threading.Thread(target=self._run, name="synfin capture", daemon=True)
        self._thread.start()

    def close(self, linger: float = 0.0) -> None:
        """Take what comes within ``linger`` seconds, then write everything and end; harmless when repeated."""
        if self._closing:
            return
        self._closing = True
        if linger:
            time.sleep(linger)
        if self._thread is not None:
            self._wake.send(b"x")
            self._thread.join()
        self.dropped += self._lost()
        self._ring.close()
        for one in (self._socket, self._wake, self._woken):
            one.close()
        self.sink.close()

    def _lost(self) -> int:
        """Packets the kernel had no room for since this was asked."""
        try:
            return int(struct.unpack("@II", self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))[1])
        except OSError:
            return 0

    def _add(self, watch: Watch) -> None:
        if watch not in self._watches:
            self._watches.append(watch)
            self._attach()

    def _attach(self) -> None:
        code = packed([*once(), *program(self._watches)])
        buffer = ctypes.create_string_buffer(code, len(code))
        self._socket.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
        )

    # ------------------------------------------------------------ the reading thread

    def _run(self) -> None:
        wait = select.poll()
        wait.register(self._socket, select.POLLIN)
        wait.register(self._woken, select.POLLIN)
        while True:
            ready = wait.poll(200)
            last = any(fd == self._woken.fileno() for fd, _ in ready)
            if last:
                time.sleep(4 * RETIRE / 1000)  # until the kernel has handed over its last block
            for block in self._ring.take():
                self.sink.write_all(self._cooked(block))
            self.sink.tick()
            if last:
                return

    def _cooked(self, block: list[Taken]) -> list[tuple[int, bytes]]:
        """Times and frames of the packets that are ours."""
        found = []
        for one in block:
            when = self._latest if 0 < self._latest - one.when < _APART else one.when
            self._latest = when
            if self._wanted(bytes(one.packet[:_LOOK]), one.interface):
                head = one.protocol, 0, one.interface, one.hardware, one.direction, len(one.address), one.address
                found.append((when, b"".join((_HEAD.pack(*head), one.packet))))
        return found

    def _wanted(self, packet: bytes, interface: int) -> bool:
        """Whether the packet that begins so is ours, and not one that another interface has shown already."""
        four = packet[0] >> 4 == 4
        at = 4 * (packet[0] & 15) if four else 40
        protocol = packet[9] if four else packet[6]
        if protocol in (1, 58):
            return any(watch.server is not None and watch.server.packed in packet[at:] for watch in self._watches)
        if protocol == UDP:
            try:
                asked = read_message(packet[at + 8 :]).questions
            except WireError:
                return False
            if not any(question.name.lower() in self._names for question in asked):
                return False
        flow = (packet[12:20] if four else packet[8:40]) + packet[at : at + 4]
        if len(self._flows) >= _MOST_FLOWS:
            self._flows.clear()
        return self._flows.setdefault(flow, interface) == interface


class PduCapture:
    """The streams of any number of connections as exported PDUs.  ``file`` is closed at the end."""

    kind = "pdu"

    def __init__(self, file: IO[bytes]) -> None:
        self.sink = CaptureSink(file, EXPORTED_PDU)
        self.dropped = 0

    @property
    def packets(self) -> int:
        """How many PDUs were written."""
        return self.sink.packets

    def key_log(self, line: str) -> None:
        """One line of an SSLKEYLOGFILE, to stand in the file."""
        self.sink.key_log(line)

    def start(self) -> None:
        """Nothing has to be begun."""

    def tap(self, own: tuple[str, int], peer: tuple[str, int], *, tls: bool) -> Tap:
        """Where one connection between ``own`` and ``peer`` tells what passes."""
        return Tap(self.sink, own, peer, tls=tls)

    def close(self, linger: float = 0.0) -> None:
        """Write everything; ``linger`` is for captures of packets."""
        self.sink.close()


class Tap:
    """One connection of a ``PduCapture``: tell it every octet ``sent`` and ``received``, in order."""

    def __init__(self, sink: CaptureSink, own: tuple[str, int], peer: tuple[str, int], *, tls: bool) -> None:
        self._sink = sink
        self._tls = tls
        name = "tls" if tls else "http"
        self._heads = (pdu_head(name, own, peer), pdu_head(name, peer, own))
        self._partial = (bytearray(), bytearray())

    def sent(self, data: bytes) -> None:
        """Octets were written."""
        self._pass(0, data)

    def received(self, data: bytes) -> None:
        """Octets were read."""
        self._pass(1, data)

    def close(self) -> None:
        """Write what is left of unfinished records."""
        for way in (0, 1):
            if self._partial[way]:
                self._sink.write(time.time_ns(), self._heads[way] + bytes(self._partial[way]))
                self._partial[way].clear()

    def _pass(self, way: int, data: bytes) -> None:
        now = time.time_ns()
        if not self._tls:
            if data:
                self._sink.write(now, self._heads[way] + data)
            return
        partial = self._partial[way]
        partial += data
        while len(partial) >= 5:
            size = 5 + int.from_bytes(partial[3:5], "big")
            if not 20 <= partial[0] <= 24 or size > 5 + (1 << 14) + 2048:  # no TLS record: as it came
                size = len(partial)
            if len(partial) < size:
                return
            self._sink.write(now, self._heads[way] + bytes(partial[:size]))
            del partial[:size]


def pdu_head(protocol: str, source: tuple[str, int], target: tuple[str, int]) -> bytes:
    """The tags before an exported PDU (Wireshark's format): what dissects it, whence and whereto."""
    name = protocol.encode()
    name += bytes(-len(name) % 4)
    src, dst = _address(source[0]), _address(target[0])
    if src is None or dst is None:
        raise ValueError("an exported PDU needs both addresses")
    tags = [(12, name)]
    tags += [(20 if src.version == 4 else 22, src.packed), (21 if dst.version == 4 else 23, dst.packed)]
    tags += [(24, struct.pack(">I", 2)), (25, struct.pack(">I", source[1])), (26, struct.pack(">I", target[1]))]
    return b"".join([struct.pack(">HH", tag, len(value)) + value for tag, value in tags]) + bytes(4)


def _address(text: str | None) -> IPv4Address | IPv6Address | None:
    """An address as packets have it: without a scope, and IPv4 where it is only mapped."""
    if text is None:
        return None
    found = ip_address(text.partition("%")[0])
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
