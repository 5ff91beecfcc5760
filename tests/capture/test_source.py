"""Where captures come from: files, pipes, compressed streams, and the things people give by mistake."""

from __future__ import annotations

import gzip
import io
import os
import sys
import threading
from pathlib import Path

import pytest
import zstandard

from synfin.capture import open_capture
from synfin.errors import UsageError
from tests.capture.made import FRAME, pcap, read

WHOLE = pcap(*[FRAME + bytes(i) for i in range(200)])


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


@pytest.mark.parametrize("pack", [gzip.compress, zstd], ids=["gzip", "zstd"])
def test_compressed_captures(tmp_path: Path, pack: object) -> None:
    assert callable(pack)
    told = read(tmp_path / "one", pack(WHOLE))
    assert told.rows.size == 200
    assert not told.notes.problems
    assert told.notes.format in ("pcap in gzip", "pcap in zstd")
    several = pack(WHOLE[:1000]) + pack(WHOLE[1000:5000]) + pack(b"") + pack(WHOLE[5000:])
    assert read(tmp_path / "several", several).rows.size == 200
    assert not read(tmp_path / "padded", several + bytes(1024)).notes.problems


@pytest.mark.parametrize("pack", [gzip.compress, zstd], ids=["gzip", "zstd"])
def test_damaged_compressed_captures_are_read_as_far_as_they_go(tmp_path: Path, pack: object) -> None:
    assert callable(pack)
    parts = [WHOLE[:8000], WHOLE[8000:]]
    packed = pack(parts[0]) + pack(os.urandom(40_000))
    cut = read(tmp_path / "cut", pack(parts[0]) + pack(parts[1])[:-30])
    assert 60 < cut.rows.size < 201
    assert "ends too early" in cut.notes.problems[0].text
    broken = bytearray(packed)
    broken[-20_000:-19_900] = bytes(100)
    bad = read(tmp_path / "bad", bytes(broken))
    assert bad.rows.size > 60
    assert bad.notes.problems


def test_a_long_gzip_stream_is_unpacked_whole(tmp_path: Path) -> None:
    frames = [FRAME + bytes(1400)] * 3000
    told = read(tmp_path / "long.gz", gzip.compress(pcap(*frames), 1))
    assert told.rows.size == 3000
    assert not told.notes.problems


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        buffer = io.BytesIO(gzip.compress(WHOLE))

    monkeypatch.setattr(sys, "stdin", Stdin)
    with open_capture("-") as capture:
        assert sum(batch.rows.size for batch in capture.batches()) == 200
        assert capture.name == "standard input"


def test_standard_input_that_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError, match="no capture in it"):
        open_capture("-")
    with (tmp_path / "closed").open("w+") as file:
        monkeypatch.setattr(sys, "stdin", file)
    with pytest.raises(UsageError, match="standard input"):
        open_capture("-")


def test_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(WHOLE,))
    writer.start()
    with open_capture(path) as capture:
        assert sum(batch.rows.size for batch in capture.batches()) == 200
    writer.join()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"GET / HTTP/1.1\r\n", "text"),
        ("Grüße\n".encode(), "text"),
        (b"\x00\x01\x02\x03" * 9, "unknown data (begins with 00 01 02 03)"),
        (b"BZh91AY", "bunzip2"),
        (b"PK\x03\x04", "zip"),
        (b"\x7fELF\x02", "program"),
        (b"-----BEGIN CERTIFICATE-----\n", "PEM"),
        (b"CLIENT_RANDOM 00 00\n", "key log"),
        (gzip.compress(b"hello", mtime=0), "gzip of text"),
        (zstd(bytes(100)), "zstd of unknown data"),
        (gzip.compress(b"", mtime=0), "holds nothing"),
        (b"\x1f\x8b" + bytes(30), "holds nothing"),
        (b"\n\r\r\n" + bytes(30), "unknown data"),
        (b"\xd4\xc3", "unknown data"),
    ],
)
def test_what_is_no_capture_is_said_in_one_line(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "given"
    path.write_bytes(data)
    with pytest.raises(UsageError) as caught:
        open_capture(path)
    text = str(caught.value)
    assert words in text
    assert str(path) in text
    assert "\n" not in text


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    for path, words in (
        (tmp_path / "none", "no such file"),
        (tmp_path, "is a directory"),
        ("a\0b", "cannot be opened"),
    ):
        with pytest.raises(UsageError, match=words):
            open_capture(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read every file")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(WHOLE)
    path.chmod(0)
    with pytest.raises(UsageError, match="permission denied"):
        open_capture(path)


def test_batches_outlive_the_file(tmp_path: Path) -> None:
    told = read(tmp_path / "capture", WHOLE, batch=50)
    (tmp_path / "capture").unlink()
    assert [batch.payload(7) for batch in told.batches] == [b"hello"] * 4
