"""The cells of the matrix: what a peer and we do together, and what both must then say of the connection."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

HOST = "127.0.0.1"
NAME = "localhost"
CLIENT_NAME = "interop client"
HYBRID = "X25519MLKEM768"


@dataclass(frozen=True, slots=True)
class Cell:
    """One column of the matrix in one version.

    ``kind`` is the server's key, ``client`` that of the client's certificate ("" for none), ``alpn`` the protocol to be
    agreed on.  ``resumed`` means two connections, of which the second is judged; ``retry`` that the server takes only
    a group for which the client sends no share at first.  ``hybrid``: the group is X25519MLKEM768.
    """

    what: str
    version: str  # "1.2" or "1.3"
    kind: str = "p256"
    alpn: str = "http/1.1"
    client: str = ""
    resumed: bool = False
    retry: bool = False
    hybrid: bool = False

    @property
    def id(self) -> str:
        return f"{self.version} {self.what}"

    @property
    def ml_dsa(self) -> bool:
        """Whether somebody signs with ML-DSA."""
        return "ml-dsa" in self.kind + self.client

    @property
    def postquantum(self) -> bool:
        return self.hybrid or self.ml_dsa


def _cells() -> tuple[Cell, ...]:
    found = []
    for version in ("1.2", "1.3"):
        found += [
            Cell("full", version),
            Cell("resumed", version, resumed=True),
            Cell("h2", version, alpn="h2"),
            *(Cell(f"client {kind}", version, client=kind) for kind in ("p256", "rsa2048", "ed25519")),
            *(Cell(kind, version, kind=kind) for kind in ("p384", "p521", "rsa2048", "ed25519", "ed448")),
        ]
    return (*found, Cell("retry", "1.3", retry=True), *_postquantum())


def _postquantum() -> Iterator[Cell]:
    yield Cell("ml-kem", "1.3", hybrid=True)
    yield Cell("ml-kem resumed", "1.3", hybrid=True, resumed=True)
    yield Cell("ml-kem retry", "1.3", hybrid=True, retry=True)
    for kind in ML_DSA:
        yield Cell(kind, "1.3", kind=kind)
        yield Cell(f"client {kind}", "1.3", client=kind)
    yield Cell("ml-kem, ml-dsa-65 both ways", "1.3", kind="ml-dsa-65", client="ml-dsa-65", hybrid=True)


ML_DSA = ("ml-dsa-44", "ml-dsa-65", "ml-dsa-87")
CELLS = _cells()
COLUMNS = tuple(dict.fromkeys(cell.what for cell in CELLS if not cell.postquantum))
POSTQUANTUM = tuple(dict.fromkeys(cell.what for cell in CELLS if cell.postquantum))


@dataclass(frozen=True, slots=True)
class Told:
    """What the foreign side said of the connection, in its own words where they are names; None: it does not say."""

    version: str | None = None
    suite: str | None = None
    group: str | None = None
    resumed: bool | None = None
    alpn: str | None = None
    client: str | None = None  # subject of the client's certificate, or "" for none
    status: int | None = None


#: A suite's cipher in anybody's spelling, and the first word of the protocol's name.
_BULK = re.compile(r"AES[-_]?(?:128|256)[-_]?GCM|CHACHA20")
_GROUPS = {"PRIME256V1": "SECP256R1", "P256": "SECP256R1", "P384": "SECP384R1", "P521": "SECP521R1"}


def version_in(text: str) -> str:
    """ "1.2" or "1.3" where it stands in a name, else the name."""
    found = re.search(r"1\.[0-3]", text)
    return found.group() if found else text


def bulk(suite: str) -> str:
    """The cipher in a suite's name, whoever spelled it."""
    found = _BULK.search(suite.upper())
    return re.sub("[-_]", "", found.group()) if found else suite


def group_in(name: str) -> str:
    plain = re.sub("[^A-Z0-9]", "", name.upper())
    return _GROUPS.get(plain, plain)


def disagreements(cell: Cell, ours: dict[str, Any], told: Told) -> list[str]:
    """Where the foreign words are not what the cell is about, or not what our end holds (``tls`` of /connection)."""
    wrong = []

    def same(what: str, theirs: object, wanted: object) -> None:
        if theirs is not None and theirs != wanted:
            wrong.append(f"{what}: the peer says {theirs!r}, it should be {wanted!r}")

    same("version", told.version and version_in(told.version), cell.version)
    same("suite", told.suite and bulk(told.suite), bulk(ours["cipher_suite"]))
    if told.group and ours["group"]:
        same("group", group_in(told.group), group_in(ours["group"]))
    same("resumed", told.resumed, cell.resumed)
    same("ALPN", told.alpn, ours["alpn"] or "")
    if told.client is not None and (CLIENT_NAME in told.client) != bool(cell.client):
        wrong.append(f"client certificate: the peer says {told.client!r}")
    same("status", told.status, 200)
    expected = {
        "version": f"TLS {cell.version}",
        "resumed": cell.resumed,
        "hello_retry_request": cell.retry,
        "client_certificate": bool(cell.client),
    }
    if cell.hybrid:
        expected["group"] = HYBRID
    for what, value in expected.items():
        if ours[what] != value:
            wrong.append(f"{what}: our end has {ours[what]!r}, it should be {value!r}")
    if ours["alpn"] not in (None, cell.alpn) or (cell.alpn == "h2" and ours["alpn"] != "h2"):
        wrong.append(f"ALPN: our end has {ours['alpn']!r}, it should be {cell.alpn!r}")
    return wrong
