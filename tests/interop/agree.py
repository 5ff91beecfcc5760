"""What tshark and ``synfin`` each read in a capture of the matrix, connection by connection, and where they differ."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FIELDS = (
    "tcp.srcport", "tcp.dstport", "exported_pdu.src_port", "exported_pdu.dst_port", "tls.handshake.type",
    "tls.handshake.ciphersuite", "tls.handshake.version", "tls.handshake.extensions.supported_version",
    "tls.handshake.extensions_alpn_str", "tls.handshake.extensions.psk.identity.selected", "http.response.code",
    "http2.headers.status",
)  # fmt: skip
_HELLO, _KEYS12, _CERTIFICATE = 2, 12, (11, 25)


@dataclass(slots=True)
class Read:
    """One connection as a reader of captures tells it.  ``messages`` are handshake types, client's and server's."""

    version: int | None = None
    suite: int | None = None
    alpn: str = ""
    resumed: bool = False
    messages: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))
    statuses: list[int] = field(default_factory=list)


Key = tuple[int, int]  # ports of client and server


def missing() -> str:
    return "" if shutil.which("tshark") else "tshark is not installed"


def by_tshark(path: Path, servers: set[int]) -> dict[Key, Read]:
    """The capture in the words of tshark, with the secrets that are in the file."""
    command = ["tshark", "-r", str(path), "-n", "-T", "fields", "-E", "separator=/t", "-Y", "tls or http or http2"]
    command += ["-o", "tcp.try_heuristic_first:TRUE"]  # or a client's port decides that it is some other protocol
    command += ["-o", "http.desegment_body:FALSE"]  # or it waits for the end of bodies without a length
    for name in FIELDS:
        command += ["-e", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found: dict[Key, Read] = {}
    for line in done.stdout.splitlines():
        _one(
            dict(zip(FIELDS, (column.split(",") if column else [] for column in line.split("\t")), strict=True)),
            servers,
            found,
        )
    for read in found.values():
        full = {_KEYS12, *_CERTIFICATE}.intersection(read.messages[1])
        read.resumed = bool(read.suite) and not full
    return found


def _one(row: dict[str, list[str]], servers: set[int], found: dict[Key, Read]) -> None:
    source, target = (int((row[f"tcp.{end}port"] or row[f"exported_pdu.{end}_port"])[0]) for end in ("src", "dst"))
    server = source in servers
    read = found.setdefault((target, source) if server else (source, target), Read())
    read.messages[server].extend(map(int, row["tls.handshake.type"]))
    if server:
        if row["tls.handshake.ciphersuite"]:
            read.suite = int(row["tls.handshake.ciphersuite"][-1], 16)
            chosen = row["tls.handshake.extensions.supported_version"] or row["tls.handshake.version"]
            read.version = int(chosen[-1], 16)
        if row["tls.handshake.extensions_alpn_str"]:
            read.alpn = row["tls.handshake.extensions_alpn_str"][-1]
        read.statuses += map(int, row["http.response.code"] + row["http2.headers.status"])


def record_sizes(path: Path, server: int) -> list[int]:
    """Lengths of the server's protected records of application data, as tshark shows them."""
    shown = f"tcp.srcport == {server} and tls.record.opaque_type == 23 or tcp.srcport == {server} and tls.app_data"
    command = ["tshark", "-r", str(path), "-n", "-T", "fields", "-Y", shown, "-e", "tls.record.length"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return [int(size) for line in done.stdout.split() for size in line.split(",")]


def _objects(path: Path, command: str) -> Iterator[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "synfin.cli.main", command, "--json", str(path)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    if done.returncode > 1:
        raise AssertionError(f"synfin {command}: exit {done.returncode}: {done.stderr}")
    return map(json.loads, done.stdout.splitlines())


def by_synfin(path: Path) -> dict[Key, Read]:
    """The capture as ``synfin read --json`` tells it."""
    found = {}
    for told in _objects(path, "read"):
        tls = told["tls"]
        read = found[told["client"]["port"], told["server"]["port"]] = Read()
        if tls is None:
            continue
        read.version = tls["version"] and tls["version"]["code"]
        read.suite = tls["cipher"] and tls["cipher"]["code"]
        read.alpn = tls["alpn"] or ""
        read.resumed = tls["resumed"] is not None
        for message in tls["messages"]:
            kind = _HELLO if message["name"] == "hello_retry_request" else message["type"]
            read.messages[message["sender"] == "server"].append(kind)
        for message in (told["http"] or {"messages": []})["messages"]:
            if message["kind"] == "response" and message["status"]:
                read.statuses.append(message["status"])
    return found


def ports(path: Path) -> list[Key]:
    """Of every connection, in order; a busy client may use one again."""
    return [(told["client"]["port"], told["server"]["port"]) for told in _objects(path, "read")]


#: True of healthy cells: a retry costs a round trip; programs of others write in small pieces and wait (Nagle).
TRUE_OF_HEALTHY = {"SLO201": "info", "TCP210": "notice"}


def findings(path: Path) -> list[str]:
    """What ``synfin check`` objects to beyond ``TRUE_OF_HEALTHY``: nothing, in a capture of healthy connections."""
    found = []
    for told in _objects(path, "check"):
        one = told["finding"]
        if TRUE_OF_HEALTHY.get(one["code"]) != one["severity"]:
            found.append(f"{(told['server'] or {}).get('port', 'capture')}: {one['code']} {one['title']}")
    return found


def differences(path: Path, servers: set[int], ours: dict[Key, Read]) -> list[str]:
    """Connections of which tshark tells other things than ``ours``, or of which it tells too little."""
    theirs = by_tshark(path, servers)
    wrong = []
    for key in sorted(theirs.keys() | ours.keys()):
        one, two = theirs.get(key), ours.get(key)
        if one != two:
            wrong.append(f"{key}: tshark says {one}, synfin {two}")
        elif one is not None and (one.suite is None or not one.messages[1]):
            wrong.append(f"{key}: nothing was read of it: {one}")
    return wrong
