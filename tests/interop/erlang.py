"""Erlang/OTP's ssl in both roles: a TLS of its own over OpenSSL's primitives."""

from __future__ import annotations

import base64
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from synfin.tls import signing
from tests.interop import chains
from tests.interop.cells import CLIENT_NAME, Cell, Told
from tests.interop.libraries import ended
from tests.interop.ours import Asked, free_ports
from tests.interop.peer import get, tls_of
from tests.interop.runtimes import HERE, Results

_VERSION = "{ok, _} = application:ensure_all_started(ssl), {ok, V} = application:get_key(ssl, vsn), "
_VERSION += 'io:format("Erlang/OTP ~s, ssl ~s~n", [erlang:system_info(otp_release), V]), halt().'


def told(words: str, **more: Any) -> Told:
    """Whether it resumed it knows in TLS 1.3 only."""
    version, suite, resumed, alpn, _ = words.split()
    known = (resumed == "true") if version == "tlsv1.3" else None
    return Told(version=version, suite=suite, resumed=known, alpn="" if alpn == "-" else alpn, **more)


class Erlang:
    """As a client."""

    name = "Erlang"

    def missing(self) -> str:
        if not shutil.which("escript"):
            return "escript is not installed"
        return "" if self.version().startswith("Erlang/OTP") else "erlang-ssl is not installed"

    def version(self) -> str:
        return chains.version_of("erl", "-noshell", "-noinput", "-eval", _VERSION)

    def cannot(self, cell: Cell) -> str:
        if cell.resumed and cell.version == "1.3":
            return "gets no tickets, for its hello has no psk_key_exchange_modes"
        return self.lacks(cell)

    @staticmethod
    def lacks(cell: Cell) -> str:
        """What it can in neither role."""
        if cell.version == "1.2" and (cell.kind.startswith("ed") or cell.client.startswith("ed")):
            return "has EdDSA in TLS 1.3 only"
        return "no ML-KEM and ML-DSA before OTP 28" if cell.postquantum else ""

    def run(self, cells: dict[str, Cell], ports: dict[str, int], folder: Path) -> Results:
        lines = []
        for name, cell in cells.items():
            own = chains.files(cell.client, of_client=True)[:2] if cell.client else ("-", "-")
            request = base64.b64encode(get(ports[name], cell.alpn)).decode()
            turn = "resumed" if cell.resumed else "full"
            line = ("client", str(ports[name]), cell.version, cell.alpn, chains.root_file(), *own, request, turn)
            lines.append(" ".join(line))
        done = subprocess.run(
            ["escript", str(HERE / "erlang_peer.escript")],
            input="\n".join([*lines, ""]), capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        said = done.stdout.splitlines()
        if len(said) != len(lines):
            raise OSError(f"escript said {len(said)} lines of {len(lines)}: {done.stdout[-400:]}{done.stderr[:400]}")
        return {name: self._read(line) for name, line in zip(cells, said, strict=True)}

    @staticmethod
    def _read(line: str) -> tuple[Any, Told] | str:
        if line.startswith("error"):
            return line
        words, _, answer = line.rpartition(" ")
        return tls_of(base64.b64decode(answer)), told(words)


class ErlangServer(Erlang):
    """As a server."""

    def cannot(self, cell: Cell) -> str:
        if cell.alpn == "h2":
            return "speaks no HTTP/2"
        if cell.kind == "ed448" and cell.version == "1.3":
            return "names its Ed448 signatures ed25519"
        return self.lacks(cell)

    @contextmanager
    def serving(self, cells: dict[str, Cell], folder: Path) -> Iterator[dict[str, int]]:
        ports = dict(zip(cells, free_ports(len(cells)), strict=True))
        with ended(["escript", str(HERE / "erlang_peer.escript")], folder) as process:
            assert process.stdin is not None and process.stdout is not None
            for name, cell in cells.items():
                certificate, key, _ = chains.files(cell.kind)
                root = chains.root_file() if cell.client else "-"
                kind = "retry" if cell.retry else "any"
                line = ("server", str(ports[name]), cell.version, cell.alpn, root, certificate, key, "-", kind)
                process.stdin.write(" ".join(line).encode() + b"\n")
            process.stdin.flush()
            for port in ports.values():
                assert process.stdout.readline() == b"%d\n" % port, (folder / "program.log").read_text()
            yield ports

    def wants(self, cell: Cell) -> dict[str, Any]:
        """All of the server of OTP 25 ends when a client that resumes offers a scheme it does not know."""
        return {"schemes": tuple(code for code in signing.DEFAULT if code not in (0x0904, 0x0905, 0x0906))}

    def told(self, cell: Cell, asked: Asked) -> Told:
        words = asked.body.decode()
        client = CLIENT_NAME if words.endswith(" certificate") else ""
        return told(words, client=client, status=asked.status)
