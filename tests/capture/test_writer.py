"""What is written is read back by us, and believed by Wireshark's tools."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path
from typing import Literal

import pytest

from synfin.capture.writer import PcapngWriter, PcapWriter
from tests.capture.made import FRAME, read

TIME = 1_700_000_000_123_456_789
KEYS = b"CLIENT_RANDOM " + b"ab" * 32 + b" " + b"cd" * 48 + b"\n"


def written(nanoseconds: bool = True) -> bytes:
    file = io.BytesIO()
    writer = PcapngWriter(file, nanoseconds=nanoseconds)
    writer.secrets(KEYS)
    writer.packet(TIME, FRAME)
    writer.packet(TIME + 5000, FRAME[:57], "a comment: ü", wirelen=len(FRAME))
    return file.getvalue()


@pytest.mark.parametrize("nanoseconds", [True, False])
def test_pcapng_comes_back(tmp_path: Path, nanoseconds: bool) -> None:
    told = read(tmp_path / "c", written(nanoseconds))
    first = TIME if nanoseconds else TIME // 1000 * 1000
    assert told.rows["time"].tolist() == [first, first + 5000]
    assert told.rows["caplen"].tolist() == [len(FRAME), 57]
    assert told.rows["wirelen"].tolist() == [len(FRAME)] * 2
    assert told.secrets == [KEYS]
    assert told.notes.comments == {2: ["a comment: ü"]}
    assert told.notes.resolution == (1 if nanoseconds else 1000)
    assert not told.notes.problems


@pytest.mark.parametrize("nanoseconds", [True, False])
@pytest.mark.parametrize("order", ["little", "big"])
def test_pcap_comes_back(tmp_path: Path, nanoseconds: bool, order: Literal["little", "big"]) -> None:
    file = io.BytesIO()
    writer = PcapWriter(file, 101, nanoseconds=nanoseconds, byteorder=order)
    writer.packet(TIME, FRAME[14:])
    writer.packet(TIME + 5000, FRAME[14:57], wirelen=len(FRAME) - 14)
    told = read(tmp_path / "c", file.getvalue())
    first = TIME if nanoseconds else TIME // 1000 * 1000
    assert told.rows["time"].tolist() == [first, first + 5000]
    assert told.rows[["kind", "load_len", "load_cap"]].tolist() == [(1, 5, 5), (1, 5, 3)]


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_reads_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "c.pcapng"
    path.write_bytes(written())
    fields = ["frame.time_epoch", "frame.len", "frame.cap_len", "frame.comment", "tcp.srcport"]
    command = ["tshark", "-r", str(path), "-T", "fields", *(word for field in fields for word in ("-e", field))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [line.split("\t") for line in done.stdout.splitlines()] == [
        ["1700000000.123456789", "59", "59", "", "40001"],
        ["1700000000.123461789", "59", "57", "a comment: ü", "40001"],
    ]


@pytest.mark.skipif(shutil.which("editcap") is None, reason="editcap is not installed")
def test_editcap_finds_the_secrets(tmp_path: Path) -> None:
    path, keys = tmp_path / "c.pcapng", tmp_path / "keys"
    path.write_bytes(written())
    subprocess.run(["editcap", "--extract-secrets", str(path), str(keys)], check=False, capture_output=True)
    if keys.exists():  # editcap before 4.2 has no such option; then its re-written file must still hold them
        assert keys.read_bytes() == KEYS
    else:
        again = tmp_path / "again.pcapng"
        subprocess.run(["editcap", str(path), str(again)], check=True)
        assert read(again).secrets == [KEYS]
