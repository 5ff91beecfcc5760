"""Peers that are small programs of ours around a foreign library, which read and write lines of JSON.

A client reads a request a line: ``port``, ``version``, ``name``, ``ca``, ``alpn``, ``cert`` and ``key`` ("" for none),
``resumed``, ``groups`` (empty for its own) and ``request``, octets in base64.  It writes ``version``, ``suite``,
``group``, ``resumed``, ``alpn`` and ``answer``, or ``error``.  A server reads one line with all its cells, writes their
ports, and answers each request with such words until its stdin ends.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.interop import chains
from tests.interop.cells import NAME, Cell, Told
from tests.interop.libraries import ended
from tests.interop.ours import P384, VERSIONS, X25519MLKEM768, Asked, body_json
from tests.interop.peer import get, tls_of
from tests.interop.runtimes import Results


class _Lines:
    def command(self, folder: Path, role: str) -> list[str]:
        raise NotImplementedError

    def words(self, said: dict[str, Any]) -> Told:
        """Its names of groups may be such as CurveP256; before 1.25 Go tells none."""
        group = said.pop("group") or ""
        return Told(**said, group=group.replace("Curve", "") or None)


class LineClient(_Lines):
    """A foreign client."""

    def run(self, cells: dict[str, Cell], ports: dict[str, int], folder: Path) -> Results:
        lines = []
        for name, cell in cells.items():
            own = chains.files(cell.client, of_client=True) if cell.client else ("", "")
            asking = {
                "port": ports[name], "version": VERSIONS[cell.version], "name": NAME, "ca": chains.root_file(),
                "alpn": cell.alpn, "cert": own[0], "key": own[1], "resumed": cell.resumed,
                "request": base64.b64encode(get(ports[name], cell.alpn)).decode(),
                "groups": [X25519MLKEM768] if cell.hybrid else [],
            }  # fmt: skip
            lines.append(json.dumps(asking))
        done = subprocess.run(
            self.command(folder, "client"), input="\n".join(lines), capture_output=True, text=True, timeout=90
        )
        said = [json.loads(line) for line in done.stdout.splitlines()]
        if len(said) != len(lines):
            raise OSError(f"{len(said)} lines for {len(lines)}: {done.stderr[-400:]}")
        return {name: self._read(one) for name, one in zip(cells, said, strict=True)}

    def _read(self, said: dict[str, Any]) -> tuple[Any, Told] | str:
        if said.get("error"):
            return str(said["error"])
        answer = base64.b64decode(said.pop("answer"))
        return tls_of(answer), self.words({**said, "client": None})


class LineServer(_Lines):
    """A foreign server."""

    @contextmanager
    def serving(self, cells: dict[str, Cell], folder: Path) -> Iterator[dict[str, int]]:
        serving = {}
        for name, cell in cells.items():
            certificate, key, _ = chains.files(cell.kind)
            serving[name] = {
                "version": VERSIONS[cell.version], "cert": certificate, "key": key, "alpn": cell.alpn,
                "ca": chains.root_file() if cell.client else "",
                "groups": [X25519MLKEM768] if cell.hybrid else [P384] if cell.retry else [],
            }  # fmt: skip
        with ended(self.command(folder, "server"), folder) as process:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(json.dumps(serving).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
            if not line:
                raise OSError((folder / "program.log").read_text(errors="replace")[-600:])
            yield json.loads(line)

    def told(self, cell: Cell, asked: Asked) -> Told:
        return self.words({**body_json(asked.body), "status": asked.status})
