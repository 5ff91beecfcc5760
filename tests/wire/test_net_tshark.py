"""A foreign opinion on frames of every shape: tshark finds the same segments, or the difference has a reason."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from synfin.capture.writer import PcapWriter
from synfin.wire.net import dissect
from tests.wire.net_made import SHAPES, eth, ip4, segment, udp

needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def _tshark(path: Path, *fields: str) -> list[list[str]]:
    wanted = [word for field in fields for word in ("-e", field)]
    command = ["tshark", "-r", str(path), "-T", "fields", "-E", "occurrence=l", *wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [line.split("\t") for line in done.stdout.splitlines()]


@needs_tshark
def test_tshark_finds_the_same_segments(tmp_path: Path) -> None:
    by_link: dict[int, list[str]] = {}
    for name, (link, _) in SHAPES.items():
        if name != "exported PDU":
            by_link.setdefault(link, []).append(name)
    differs = []
    paths = []
    for link, names in by_link.items():
        file = io.BytesIO()
        writer = PcapWriter(file, link)
        for name in names:
            writer.packet(10**18, SHAPES[name][1])
        path = tmp_path / f"{link}.pcap"
        path.write_bytes(file.getvalue())
        paths.append((path, names))
    merged = tmp_path / "all.pcapng"
    subprocess.run(["mergecap", "-a", "-w", str(merged), *(str(path) for path, _ in paths)], check=True)
    names = [name for _, some in paths for name in some]
    for name, row in zip(names, _tshark(merged, "tcp.srcport", "tcp.len", "tcp.seq_raw"), strict=True):
        if row != ["40001", "5", "1000"]:
            differs.append((name, row))
    assert not differs


def _with_offset(words: int) -> bytes:
    raw = bytearray(segment())
    raw[12] = words << 4
    return bytes(raw)


#: Headers cut or malformed: name -> (frame, octets captured).
BROKEN = {
    "offset 3": (eth(0x800, ip4(body=_with_offset(3))), 0),
    "offset 15": (eth(0x800, ip4(body=_with_offset(15))), 0),
    **{f"cut {size}": (eth(0x800, ip4()), 34 + size) for size in (2, 4, 8, 14, 16, 19, 20, 22)},
    **{f"short {size}": (eth(0x800, ip4(body=segment()[:size])), 0) for size in (2, 4, 8, 16, 19)},
    "total length 0": (eth(0x800, ip4()[:2] + b"\0\0" + ip4()[4:]), 0),
    "total length 10": (eth(0x800, ip4()[:2] + b"\0\x0a" + ip4()[4:]), 0),
    "total length 1000": (eth(0x800, ip4()[:2] + b"\3\xe8" + ip4()[4:]), 0),
    "datagram": (eth(0x800, udp(5353, b"x")), 0),
}


@needs_tshark
def test_tshark_sees_a_conversation_in_the_same_broken_headers(tmp_path: Path) -> None:
    path = tmp_path / "broken.pcap"
    with path.open("wb") as file:
        writer = PcapWriter(file)
        for frame, cut in BROKEN.values():
            writer.packet(10**18, frame[:cut] if cut else frame, wirelen=len(frame))
    rows = _tshark(path, "tcp.stream", "tcp.len")
    for (name, (frame, cut)), (stream, size) in zip(BROKEN.items(), rows, strict=True):
        found = dissect(1, frame[:cut] if cut else frame, wirelen=len(frame))
        assert (found.kind in ("tcp", "cut")) == (stream != ""), name
        if size:
            assert found.load_len == int(size), name


def test_vxlan_on_the_port_that_linux_uses() -> None:
    # tshark reads port 4789 only; Linux's own default is 8472, and captures of container networks have it.
    frame = eth(0x800, udp(8472, b"\x08\0\0\0" + struct.pack(">I", 256) + eth(0x800, ip4())))
    assert dissect(1, frame).tunnels == ["VXLAN"]
