"""NSS, the TLS of Firefox, in both roles: its test programs tstclnt and selfserv, each with a database for its key."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from tests.interop import chains
from tests.interop.cells import HOST, NAME, Cell, Told
from tests.interop.ours import Asked
from tests.interop.peer import EachCell, between, complaint, get, tls_of
from tests.interop.proxies import OneEach

_VERSIONS = {"3.3": "1.2", "3.4": "1.3"}


@cache
def database(kind: str, *, of_client: bool = False) -> str:
    """A database with our root, trusted, and a key and its certificate as "it"; without a key where kind is ""."""
    path = chains.folder() / f"nss-{'client' if of_client else 'server'}-{kind}"
    path.mkdir()
    where = ["-d", f"sql:{path}"]
    made = [
        ["certutil", "-N", *where, "--empty-password"],
        ["certutil", "-A", *where, "-n", "root", "-t", "CT,CT,CT", "-i", chains.root_file()],
    ]
    if kind:
        own = chains.pkcs12(kind, of_client=of_client)
        made.append(["pk12util", "-i", own, *where, "-K", "", "-W", chains.PASSWORD])
    for command in made:
        subprocess.run(command, check=True, capture_output=True, timeout=30)
    return where[1]


def told(text: str, **more: Any) -> Told:
    """What both programs print of their last connection."""
    said = text.rpartition("SSL version ")[2]
    size = between(said, r"using (\d+)-bit") or ""
    cipher = between(said, r"-bit (\S+)") or ""
    hits = re.search(r"([1-9]\d*) stateless resumes|([1-9]\d*) cache hits", said)
    return Told(
        version=_VERSIONS.get(said[:3], said[:3]),
        suite=cipher.replace("AES-", f"AES-{size}-"),
        resumed=hits is not None,
        **more,
    )


class Nss(EachCell):
    """``tstclnt``."""

    name = "NSS"
    program = "tstclnt"

    def missing(self) -> str:
        programs = (self.program, "certutil", "pk12util")
        return "" if all(map(shutil.which, programs)) else f"{self.program} (libnss3-tools) is not installed"

    def version(self) -> str:
        """The programs do not say; the library's file does."""
        program = shutil.which(self.program) or ""
        linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=False, timeout=30).stdout
        library = between(linked, r"libnss3\.so => (\S+)")
        found = re.search(rb"Version: NSS (\d+\.\d+(?:\.\d+)?)", Path(library).read_bytes()) if library else None
        return f"NSS {found.group(1).decode()}" if found else "NSS"

    def cannot(self, cell: Cell) -> str:
        if cell.alpn == "h2":
            return "its programs know no ALPN but http/1.1"
        if cell.kind.startswith("ed") or cell.client.startswith("ed"):
            return "has no EdDSA certificates"
        return "no ML-KEM before NSS 3.105, no ML-DSA" if cell.postquantum else ""

    def ask(self, cell: Cell, port: int, folder: Path) -> tuple[Any, Told]:
        request = folder / "request"
        request.write_bytes(get(port, cell.alpn))
        command = [self.program, "-h", HOST, "-a", NAME, "-p", str(port), "-d", database(cell.client, of_client=True)]
        command += ["-V", "tls1.2:", "-v", "-u", "-A", str(request), "-L", str(1 + cell.resumed)]
        command += ["-n", "it"] if cell.client else []
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
        text = done.stderr.decode("latin-1") + done.stdout.decode("latin-1")
        answers = done.stdout.split(b"HTTP/1.1 200")
        if len(answers) < 2 + cell.resumed:
            raise ValueError(complaint(text, r"((?:SSL|SEC)_ERROR_\w+: .*)"))
        return tls_of(answers[-1]), told(text)

    def twice(self, port: int, folder: Path, *options: str) -> str:
        """Two connections, the second with what the first was given: all that is printed."""
        request = folder / "request"
        request.write_bytes(get(port, "http/1.1"))
        command = [self.program, "-h", HOST, "-a", NAME, "-p", str(port), "-d", database(""), "-V", "tls1.2:"]
        command += ["-v", "-u", "-A", str(request), "-L", "2", *options]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
        return (done.stderr + done.stdout).decode("latin-1")


class NssServer(Nss, OneEach):
    """``selfserv``; its answer is the request, what it thinks of the connection is in its log."""

    program = "selfserv"

    def __init__(self, *options: str) -> None:
        self.options = options

    def command(self, cell: Cell, port: int) -> list[str]:
        version = f"tls{cell.version}"
        command = [self.program, "-d", database(cell.kind), "-n", "it", "-p", str(port), "-V", f"{version}:{version}"]
        command += ["-v", "-u", "-Q", "-r", "-r"] if cell.client else ["-v", "-u", "-Q"]
        return [*command, *self.options, *(["-I", "P384"] if cell.retry else [])]

    def told(self, cell: Cell, asked: Asked) -> Told:
        text = self.logs[cell.id].read_text(errors="replace")
        return told(text, status=asked.status)
