"""Live capture: the filter against a naive predicate and the kernel, packets on loopback, exported PDUs."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synfin.drive.capture import LiveCapture, PduCapture, may_capture, pdu_head
from synfin.drive.capture_file import CaptureSink, private_file
from synfin.drive.capture_filter import MOST, UDP, WHOLE, Instruction, Watch, packed, program
from synfin.drive.capture_ring import BLOCK, BLOCKS, Ring
from synfin.errors import UsageError
from synfin.observe import observe

WHY_NOT = may_capture()
packets = pytest.mark.skipif(bool(WHY_NOT), reason=f"cannot capture packets: {WHY_NOT}")


def machine(code: list[Instruction], packet: bytes) -> int:
    """What a classic BPF machine returns for ``packet`` (Documentation/networking/filter.rst), 0 for reads outside."""
    a = x = pc = 0
    for _ in range(len(code)):
        op, true, false, k = code[pc]
        pc += 1
        if op in (0x20, 0x28, 0x30, 0x40, 0x48, 0x50):
            at, size = k + (x if op >= 0x40 else 0), {0x00: 4, 0x08: 2, 0x10: 1}[op & 0x18]
            if at + size > len(packet):
                return 0
            a = int.from_bytes(packet[at : at + size], "big")
        elif op == 0xB1:
            if k >= len(packet):
                return 0
            x = 4 * (packet[k] & 15)
        elif op == 0x54:
            a &= k
        elif op == 0x05:
            pc += k
        elif op in (0x15, 0x45):
            pc += true if (a == k if op == 0x15 else a & k) else false
        elif op == 0x06:
            return k
        else:
            raise AssertionError(f"instruction {op:#x}")
    raise AssertionError("the program does not end")


def packet(src: str, dst: str, sport: int, dport: int, protocol: int, fragment: int = 0, options: int = 0) -> bytes:
    """An IP packet with ports, IPv4 options in words."""
    ports = struct.pack(">HH", sport, dport) + bytes(16)
    if ":" in src:
        head = struct.pack(">IHBB", 6 << 28, len(ports), protocol, 64)
        return head + ip_address(src).packed + ip_address(dst).packed + ports
    head = struct.pack(">BBHHHBBH", 0x45 + options, 0, 20 + 4 * options + len(ports), 1, fragment, 64, protocol, 0)
    return head + ip_address(src).packed + ip_address(dst).packed + bytes(4 * options) + ports


ADDRESSES = ("192.0.2.1", "192.0.2.2", "198.51.100.7", "2001:db8::1", "2001:db8::2")
PORTS = (53, 80, 443, 40000)


@st.composite
def watches(draw: st.DrawFn) -> Watch:
    server = draw(st.sampled_from((None, *ADDRESSES)))
    client = draw(st.sampled_from((None, *PORTS)))
    address = None if server is None else ip_address(server)
    return Watch(address, draw(st.sampled_from(PORTS)), client, draw(st.sampled_from((6, 17))))


def naive(watched: list[Watch], src: str, dst: str, sport: int, dport: int, protocol: int) -> bool:
    for one in watched:
        for server, port, client in ((dst, dport, sport), (src, sport, dport)):
            if (
                one.protocol == protocol
                and one.port == port
                and one.client_port in (None, client)
                and (one.server is None or one.server == ip_address(server))
            ):
                return True
    return False


@given(
    st.lists(watches(), max_size=6),
    st.sampled_from(((0, 1), (1, 2), (2, 0), (3, 4), (4, 3))),
    st.sampled_from(PORTS),
    st.sampled_from(PORTS),
    st.sampled_from((6, 17)),
    st.integers(0, 10),
)
def test_the_filter_takes_what_is_watched(
    watched: list[Watch], ends: tuple[int, int], sport: int, dport: int, protocol: int, options: int
) -> None:
    src, dst = ADDRESSES[ends[0]], ADDRESSES[ends[1]]
    octets = packet(src, dst, sport, dport, protocol, options=0 if ":" in src else options)
    wanted = WHOLE if naive(watched, src, dst, sport, dport, protocol) else 0
    assert machine(program(watched), octets) == wanted


@given(st.binary(max_size=80))
def test_the_filter_ends_on_anything(octets: bytes) -> None:
    code = program([Watch(None, 443), Watch(ip_address("192.0.2.1"), 53, None, UDP)])
    assert machine(code, octets) in (0, WHOLE)


def test_icmp_errors_pass_and_other_icmp_and_later_fragments_do_not() -> None:
    code = program([Watch(ip_address("192.0.2.1"), 443)])
    four = packet("192.0.2.9", "192.0.2.8", 0x0300, 0, 1)
    assert machine(code, four) == WHOLE  # destination unreachable
    assert machine(code, packet("192.0.2.9", "192.0.2.8", 0x0800, 0, 1)) == 0  # echo
    assert machine(code, packet("2001:db8::1", "2001:db8::2", 0x0200, 0, 58)) == WHOLE  # packet too big
    assert machine(code, packet("2001:db8::1", "2001:db8::2", 0x8700, 0, 58)) == 0  # neighbour solicitation
    assert machine(code, packet("192.0.2.5", "192.0.2.1", 9, 443, 6, fragment=1)) == 0


def test_too_many_watches_are_refused() -> None:
    with pytest.raises(ValueError, match="more than one kernel filter takes"):
        program([Watch(None, port) for port in range(1, MOST)])
    assert len(packed(program([]))) == 8


# ---------------------------------------------------------------- packets


def talk(capture: LiveCapture, folder: Path) -> tuple[int, int]:
    """One exchange with a watched server, one with another; their ports."""
    ports = []
    for watched in (True, False):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            ports.append(port)
            if watched:
                capture.watch("127.0.0.1", port)
                capture.start()
            with socket.create_connection(("127.0.0.1", port)) as one:
                other, _ = server.accept()
                one.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
                other.recv(1000)
                other.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + bytes(100_000))
                left = 100_000
                while left > 0:
                    left -= len(one.recv(1 << 16))
                one.shutdown(socket.SHUT_WR)
                other.recv(1)
                other.close()
    capture.close(linger=0.05)
    return ports[0], ports[1]


@packets
def test_packets_of_the_watched_connection_each_once(tmp_path: Path) -> None:
    path = tmp_path / "live.pcapng"
    capture = LiveCapture(private_file(path))
    watched, _ = talk(capture, tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    with observe(path) as seen:
        connections = list(seen)
    assert [one.b.port for one in connections] == [watched]
    (one,) = connections
    assert one.tcp.handshake == "complete" and one.tcp.close == "fin"
    assert not any(one.tcp.sides[1].marks.values())  # loopback shows packets twice; none is doubled here
    assert one.http is not None and one.http.tls is False
    assert capture.dropped == 0 and capture.packets == len(one.rows)


@packets
def test_tshark_reads_it(tmp_path: Path) -> None:
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed")
    path = tmp_path / "live.pcapng"
    talk(LiveCapture(private_file(path)), tmp_path)
    shown = ["-Y", "http.response", "-T", "fields", "-e", "http.response.code"]
    told = subprocess.run(  # the port is any, and tshark knows some of them for other protocols
        [tshark, "-r", str(path), "-d", "tcp.port==1-65535,http", *shown],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert told.stdout.split() == ["200"]


@packets
def test_the_kernel_runs_the_program_as_our_machine_does() -> None:
    ours = program([Watch(ip_address("127.0.0.1"), 9, None, UDP)])
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3)) as tap,
    ):
        import ctypes

        code = packed(ours)
        buffer = ctypes.create_string_buffer(code, len(code))
        tap.setsockopt(socket.SOL_SOCKET, 26, struct.pack("@HP", len(ours), ctypes.addressof(buffer)))
        tap.setblocking(False)
        try:
            while True:
                tap.recv(1)
        except BlockingIOError:
            pass
        for port in (9, 10):
            one.sendto(b"synfin", ("127.0.0.1", port))
        tap.settimeout(2.0)
        octets = tap.recv(2000)
    assert octets[20:24] == struct.pack(">HH", int.from_bytes(octets[20:22], "big"), 9)
    assert machine(ours, octets) == WHOLE


# ---------------------------------------------------------------- PDUs and the file


def test_pdus_are_whole_records_with_addresses(tmp_path: Path) -> None:
    path = tmp_path / "pdu.pcapng"
    capture = PduCapture(private_file(path))
    tap = capture.tap(("192.0.2.1", 40000), ("192.0.2.2", 443), tls=True)
    record = b"\x15\x03\x03\x00\x02\x02\x28"
    for octet in record + record[:3]:
        tap.received(bytes([octet]))
    tap.close()
    capture.key_log("CLIENT_RANDOM " + "00" * 32 + " " + "11" * 48)
    capture.close()
    assert capture.packets == 2
    data = path.read_bytes()
    assert record in data and b"CLIENT_RANDOM 0000" in data
    with observe(path) as seen:
        (one,) = list(seen)
    assert {one.a.ip, one.b.ip} == {"192.0.2.1", "192.0.2.2"} and one.tcp.source == "pdu"


def test_what_is_no_tls_record_is_written_as_it_came(tmp_path: Path) -> None:
    capture = PduCapture(private_file(tmp_path / "pdu.pcapng"))
    tap = capture.tap(("192.0.2.1", 40000), ("192.0.2.2", 443), tls=True)
    tap.received(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert capture.packets == 1
    capture.close()


def test_pdu_heads_need_addresses_of_both() -> None:
    head = pdu_head("tls", ("2001:db8::1", 1), ("2001:db8::2", 2))
    assert head.startswith(b"\0\x0c\0\4tls\0\0\x16\0\x10") and head.endswith(bytes(4))


def test_secrets_stand_before_the_packets_that_wait_for_them(tmp_path: Path) -> None:
    path = tmp_path / "sink.pcapng"
    sink = CaptureSink(private_file(path), 101, hold=60.0)
    sink.write(1, b"first packet")
    sink.key_log("LABEL aa bb")
    sink.close()
    sink.close()
    data = path.read_bytes()
    assert data.index(b"LABEL aa bb") < data.index(b"first packet")


class FullDisk:
    """A file that takes so much and no more."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.closed = False

    def write(self, data: bytes) -> int:
        self.room -= len(data)
        if self.room < 0:
            raise OSError(28, "No space left on device")
        return len(data)

    def close(self) -> None:
        self.closed = True


def test_a_full_disk_is_told_and_nothing_is_held() -> None:
    sink = CaptureSink(FullDisk(200), 101, hold=0.0)  # type: ignore[arg-type]
    for _ in range(50):
        sink.write(1, bytes(100))
    sink.close()
    assert "No space" in sink.broken


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"-w .*nowhere.*No such file"):
        private_file(tmp_path / "nowhere" / "file", "-w ")


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    before = {one.name for one in threading.enumerate()}
    yield
    assert "synfin capture" not in {one.name for one in threading.enumerate()} - before


# ---------------------------------------------------------------- much at once


@packets
def test_nothing_is_lost_of_what_is_read_at_the_captures_pace() -> None:
    """A transfer larger than the ring, as fast as loopback gives it."""
    size = 3 * BLOCK * BLOCKS
    capture = LiveCapture(Path(os.devnull).open("wb"))  # noqa: SIM115  closed by it

    def give(server: socket.socket) -> None:
        with server, server.accept()[0] as one:
            for _ in range(size >> 20):
                one.sendall(bytes(1 << 20))

    async def take(server: socket.socket) -> int:
        capture.watch("127.0.0.1", server.getsockname()[1])
        capture.start()
        giving = threading.Thread(target=give, args=(server,))
        giving.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.getsockname()[1], limit=1 << 20)
        got = 0
        while part := await reader.read(1 << 20):
            got += len(part)
            await capture.pace()
        writer.close()
        await asyncio.to_thread(giving.join)
        return got

    got = asyncio.run(take(socket.create_server(("127.0.0.1", 0))))
    capture.close(linger=0.05)
    assert got == size and capture.dropped == 0
    assert capture.packets >= size >> 16


class Poor(socket.socket):
    """A packet socket of a machine that has room for few blocks."""

    asked: list[int]

    def setsockopt(self, level: int, option: int, value: Any, *more: Any) -> None:
        if option == 5:  # PACKET_RX_RING
            self.asked.append(struct.unpack_from("@II", value)[1])
            if self.asked[-1] > 4:
                raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        super().setsockopt(level, option, value, *more)


@packets
def test_a_ring_is_as_large_as_there_is_memory_for() -> None:
    with Poor(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as sock:
        sock.asked = []
        ring = Ring(sock)
        assert sock.asked == [64, 32, 16, 8, 4] and list(ring.take()) == [] and not ring.filling
        ring.close()
