"""TUN devices: headers, buffers, addresses, what the user is told when there is none, and that nothing stays."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from synfin.drive import namespace, vnet
from synfin.drive.namespace import Namespace
from synfin.drive.own_echo import echo
from synfin.drive.own_setup import OwnPlace, own_place
from synfin.drive.tun import Tun
from synfin.errors import UsageError, WireError
from synfin.tcp import Packet
from synfin.wire.checksum import checksum, pseudo_header
from synfin.wire.tcpflags import ACK, PSH
from tests.drive.tunbox import needs_tun

A4, B4 = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])
A6, B6 = bytes(15) + b"\1", bytes(15) + b"\2"
PACKETS = [
    Packet(src, dst, 4000, 80, 1, 2, ACK | PSH, 500, options, payload, 0, ecn, 64, dscp=dscp)
    for src, dst in ((A4, B4), (A6, B6))
    for options in (b"", b"\x01\x01\x08\x0a" + bytes(8), b"\x03\x03\x07")
    for payload in (b"", b"x", b"y" * 1461)
    for ecn, dscp in ((0, 0), (2, 0), (0, 46), (3, 63))
]


@pytest.mark.parametrize("number", range(len(PACKETS)))
def test_the_quick_headers_are_those_of_the_careful_writer(number: int) -> None:
    packet = PACKETS[number]
    head = vnet.head(packet, ident=7)
    written = bytearray(head[vnet.VNET_SIZE :] + bytes(packet.payload))
    flags, cut, _, _, start, where = vnet.VNET.unpack_from(head)
    assert (flags, cut, where) == (1, 0, 16)
    body = bytes(written[start:])
    written[start + 16 : start + 18] = checksum(body).to_bytes(2, "big")  # as the kernel does: the sum is begun already
    assert bytes(written) == packet.write(7)
    assert vnet.read(memoryview(head + bytes(packet.payload))) == Packet.read(packet.write())
    pseudo = pseudo_header(packet.src, packet.dst, 6, len(body))
    assert checksum(pseudo + bytes(written[start:])) == 0


def test_what_cannot_be_read_is_refused_and_wrong_sums_count_where_nobody_vouches() -> None:
    good = PACKETS[2].write()
    bad = good[:-1] + b"!"
    assert vnet.read(memoryview(bytes(10) + good)) == Packet.read(good)
    with pytest.raises(WireError):
        vnet.read(memoryview(bytes(10) + bad))
    assert vnet.read(memoryview(b"\1" + bytes(9) + bad)) == Packet.read(bad, verify=False)
    for data in (b"", bytes(10), b"\1" + bytes(9) + good):
        for size in range(min(len(data), 60)):
            with pytest.raises(WireError):
                vnet.read(memoryview(data[:size]))


def test_a_buffer_comes_back_only_when_nobody_looks_at_it() -> None:
    buffers = vnet.Buffers()
    first = buffers.take()
    view = memoryview(first)[5:10]
    second = buffers.take()
    assert second is not first
    view.release()
    del view
    assert buffers.take() is first
    assert len(first) == vnet.LONGEST


def test_ping_at_others_is_not_answered() -> None:
    ping = b"\x45" + bytes(8) + b"\1" + bytes(2) + A4 + B4 + b"\x08\0" + bytes(6)
    assert echo(ping, [B4]) is not None
    assert echo(ping, [A4]) is None
    assert echo(ping[:27], [B4]) is None
    assert echo(b"", [B4]) is None


def test_addresses_are_checked() -> None:
    assert own_place(["10.1.0.1/16"]).kernel == ("10.1.0.2/16",)
    assert own_place(["10.1.0.7/16", "fd00::9/64"]).kernel == ("10.1.0.1/16", "fd00::1/64")
    for wrong in ("10.1.0.7", "nobody/24", "127.0.0.1/8", "10.0.0.1/31", "10.0.0.1/99"):
        with pytest.raises(UsageError, match="--address"):
            own_place([wrong])


@needs_tun
def test_mistakes_are_told_in_one_line() -> None:
    space = Namespace.make()
    try:
        with space.inside():
            with Tun.open(["192.0.2.1/24"], name="mine"):
                with pytest.raises(UsageError, match="device mine is in use"):
                    Tun.open(["192.0.3.1/24"], name="mine")
                with pytest.raises(UsageError, match=r"192\.0\.2\.0/24 overlaps .* by mine"):
                    OwnPlace(own_place(["192.0.2.9/24"]).addresses).stack()
            for kernel, name, mtu, says in (
                (["192.0.2.1"], "", 1500, "says no network"),
                (["nobody"], "", 1500, "no address"),
                (["192.0.2.1/24"], "a/b", 1500, "no name for a device"),
                (["192.0.2.1/24"], "", 20, "MTU of 20"),
                (["0.0.0.0/0"], "", 1500, "no address a device can have"),
            ):
                with pytest.raises(UsageError, match=says):
                    Tun.open(kernel, name=name, mtu=mtu)
            assert [name for _, name in socket.if_nameindex()] == ["lo"]
    finally:
        space.close()


_HOLD = """
import sys, time
from synfin.drive.namespace import Namespace
from synfin.drive.tun import Tun
tun = Tun.open(["198.18.77.1/24", "fd77::1/64"], name=sys.argv[1])
print("up", flush=True)
if sys.argv[2] == "exception":
    raise SystemError("on purpose")
for _ in range(1200):
    time.sleep(0.05)  # short: a signal just before a sleep is heard after it
"""


@needs_tun
@pytest.mark.parametrize("how", ["exception", "SIGINT", "SIGTERM", "SIGKILL"])
def test_the_device_ends_with_its_process(how: str) -> None:
    space = Namespace.make()
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", _HOLD, "held", how],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=space.enter,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        if how != "exception":
            process.send_signal(signal.Signals[how])
        process.wait(20)
        process.stdout.close()
        with space.inside():
            assert [name for _, name in socket.if_nameindex()] == ["lo"]
    finally:
        space.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give its rights away")
@pytest.mark.skipif(not Path("/dev/net/tun").exists(), reason="needs /dev/net/tun")
def test_without_the_right_it_says_so() -> None:
    code = (
        "import ctypes\n"
        "from synfin.drive.tun import Tun\n"
        "from synfin.errors import UsageError\n"
        "class Head(ctypes.Structure): _fields_ = [('version', ctypes.c_uint32), ('pid', ctypes.c_int)]\n"
        "ctypes.CDLL(None).capset(ctypes.byref(Head(0x20080522, 0)), ctypes.byref((ctypes.c_uint32 * 6)()))\n"
        "try: Tun.open(['198.18.78.1/24'])\n"
        "except UsageError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "needs CAP_NET_ADMIN to make a TUN device: run it as root\n"
    assert namespace.has_capability(12) or not namespace.may_make_networks()
