"""Ranges over the wire: curl asks ours and nginx the same of the same file, and both answers are compared."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from synfin.drive.server_files import Files
from tests.drive.serving import Site, site

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")

RANGES = (
    "", "0-1", "0-1,5-6", "5-6,0-1", "0-1,5-6,200-300", "0-5,3-8", "0-49,25-74,50-99", "0-99,0-99", "-5", "-500", "-0",
    "95-", "100-", "200-300,400-", "0-0,1-1,2-2,3-3", "50-50,-1,0-",
)  # fmt: skip


@contextmanager
def nginx(folder: Path, files: Path) -> Iterator[Path]:
    """The socket of an nginx that serves ``files`` in clear."""
    program = shutil.which("nginx") or ("/usr/sbin/nginx" if Path("/usr/sbin/nginx").exists() else None)
    if program is None:
        pytest.skip("nginx is not installed")
    where = folder / "s"
    temporary = " ".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log /dev/null; events {{ }}\n"
        f"http {{ types {{ text/plain txt; }} charset utf-8; access_log off; {temporary}\n"
        f"server {{ listen unix:{where}; root {files}; }} }}\n"
    )
    with subprocess.Popen([program, "-p", str(folder), "-c", "conf"], stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + 20
            while not where.exists():
                if process.poll() is not None or time.monotonic() > until:
                    pytest.skip("nginx does not start here")
                time.sleep(0.02)
            yield where
        finally:
            process.terminate()


def told(raw: bytes) -> tuple[str, dict[str, str], bytes]:
    """Status, what the header says of the content, and the content; boundaries have one name."""
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    assert int(fields["content-length"]) == len(body)
    status = lines[0].split()[1]
    kept: dict[str, str] = {name: fields[name] for name in ("content-type", "content-range") if name in fields}
    if status == "416":
        return status, {"content-range": kept["content-range"]}, b""
    assert fields["etag"] and fields["last-modified"]
    if found := re.search("boundary=(.*)", kept["content-type"]):
        assert body.count(b"\r\n--" + found[1].encode()) == body.count(b"Content-Range") + (not body.startswith(b"--"))
        kept["content-type"] = kept["content-type"].replace(found[1], "B")
        body = body.replace(found[1].encode(), b"B").removeprefix(b"\r\n")  # nginx has an empty preamble
    return status, kept, body


def test_the_same_parts_as_nginx(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "t.txt").write_bytes(b"0123456789" * 10)

    async def compare(place: Site, where: Path) -> None:
        for wanted in RANGES:
            words = ["-i", *(["-r", wanted] if wanted else [])]
            theirs = await place.run("curl", "-sS", "--unix-socket", str(where), *words, "http://localhost/t.txt")
            for way in ("--http1.1", "--http2"):
                ours = await place.curl("/t.txt", way, *words)
                assert told(ours) == told(theirs.stdout), wanted

    async def run() -> None:
        with nginx(tmp_path, files) as where:
            async with site(tmp_path, Files(files)) as place:
                await compare(place, where)

    asyncio.run(run())


def test_parts_of_a_large_file(tmp_path: Path) -> None:
    data = os.urandom(5 << 20)
    (tmp_path / "big.bin").write_bytes(data)
    parts = [(1 << 20, 3 << 20), (0, 10), (4 << 20, 5 << 20)]
    wanted = ",".join(f"{first}-{after - 1}" for first, after in parts)

    async def run() -> None:
        async with site(tmp_path, Files(tmp_path)) as place:
            for way in ("--http1.0", "--http1.1", "--http2"):
                raw = await place.curl("/big.bin", way, "-r", wanted)
                at = 0
                for first, after in parts:
                    at = raw.index(b"\r\n\r\n", at) + 4
                    assert raw[at : at + after - first] == data[first:after]
                    at += after - first
                assert re.fullmatch(rb"\r\n--\w+--\r\n", raw[at:])
                head = await place.curl("/big.bin", way, "-r", wanted, "-I")
                assert b" 200" in head.split(b"\r\n")[0] and f"{len(data)}".encode() in head
            etag = re.search(rb'etag: (".*?")', (await place.curl("/big.bin", "--http2", "-I")))
            assert etag is not None
            status = ["-o", os.devnull, "-w", "%{http_code} %{size_download}", "-r", "0-1", "-H"]
            assert await place.curl("/big.bin", *status, f"If-Range: {etag[1].decode()}") == b"206 2"
            assert await place.curl("/big.bin", *status, 'If-Range: "other"') == f"200 {len(data)}".encode()
        open_files = Path("/proc/self/fd")
        if open_files.exists():
            assert not [one for one in open_files.iterdir() if os.path.realpath(one) == str(tmp_path / "big.bin")]

    asyncio.run(run())
