"""RFC 8448's five handshakes as scripts: who says which record, what each side's chance gives, and the secrets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.spec import rfc8448 as simple
from tests.tls import rfc8448_last as last
from tests.tls import rfc8448_more as more

NINE_GROUPS = (29, 23, 24, 25, 256, 257, 258, 259, 260)


def record(raw: bytes, version: int = 0x0303) -> bytes:
    """A handshake message in a record in clear."""
    return b"\x16" + version.to_bytes(2, "big") + len(raw).to_bytes(2, "big") + raw


@dataclass(frozen=True)
class Step:
    """A record, who sends it ("client" or "server"), and what makes it do so: "", "early", "data" or "close"."""

    sender: str
    record: bytes
    cause: str = ""


@dataclass(frozen=True)
class Trace:
    """A section: its records in order, what each side's chance gives, its secrets by their names in a key log."""

    section: int
    steps: tuple[Step, ...]
    client_chance: tuple[bytes, ...]
    server_chance: tuple[bytes, ...]
    secrets: dict[str, bytes]
    resumption: bytes
    groups: tuple[int, ...] = NINE_GROUPS
    server_groups: tuple[int, ...] = NINE_GROUPS
    facts: dict[str, Any] = field(default_factory=dict)


def _scalar(private: bytes) -> bytes:
    """The chance from which the engine makes this private key of P-256."""
    return (int.from_bytes(private, "big") - 1).to_bytes(40, "big")


def _secrets(
    handshake: Iterable[bytes], traffic: Iterable[bytes], exporter: bytes, **others: bytes
) -> dict[str, bytes]:
    names = ("CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET")
    later = ("CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0")
    return {
        **dict(zip(names, handshake, strict=True)),
        **dict(zip(later, traffic, strict=True)),
        "EXPORTER_SECRET": exporter,
        **others,
    }


def _random(hello: bytes) -> bytes:
    return hello[6:38]


def _ends(client: bytes, server: bytes) -> tuple[Step, Step]:
    return Step("client", client, "close"), Step("server", server, "close")


CCS = b"\x14\x03\x03\x00\x01\x01"
DATA, EARLY = simple.CLIENT_DATA, b"ABCDEF"

SIMPLE = Trace(
    3,
    (
        Step("client", record(simple.CLIENT_HELLO, 0x0301)),
        Step("server", record(simple.SERVER_HELLO)),
        Step("server", simple.SERVER_FLIGHT_RECORD),
        Step("client", simple.CLIENT_FINISHED_RECORD),
        Step("server", simple.TICKET_RECORD),
        Step("client", simple.CLIENT_DATA_RECORD, "data"),
        Step("server", simple.SERVER_DATA_RECORD, "data"),
        *_ends(simple.CLIENT_CLOSE_RECORD, simple.SERVER_CLOSE_RECORD),
    ),
    (simple.CLIENT_PRIVATE, _random(simple.CLIENT_HELLO)),
    (simple.SERVER_PRIVATE, _random(simple.SERVER_HELLO), bytes.fromhex("fad6aac5") + bytes(12)),
    _secrets(
        (simple.CLIENT_HANDSHAKE, simple.SERVER_HANDSHAKE),
        (simple.CLIENT_TRAFFIC, simple.SERVER_TRAFFIC),
        simple.EXPORTER_SECRET,
    ),
    simple.RESUMPTION_SECRET,
    facts={"group": 29, "resumed": False, "retried": False},
)
RESUMED = Trace(
    4,
    (
        Step("client", record(more.CLIENT_HELLO, 0x0301)),
        Step("client", more.EARLY_RECORD, "early"),
        Step("server", record(more.SERVER_HELLO)),
        Step("server", more.SERVER_FLIGHT_RECORD),
        Step("client", more.END_OF_EARLY_DATA_RECORD),
        Step("client", more.CLIENT_FINISHED_RECORD),
        Step("client", more.CLIENT_DATA_RECORD, "data"),
        Step("server", more.SERVER_DATA_RECORD, "data"),
        *_ends(more.CLIENT_CLOSE_RECORD, more.SERVER_CLOSE_RECORD),
    ),
    (more.CLIENT_PRIVATE, _random(more.CLIENT_HELLO)),
    (more.SERVER_PRIVATE, _random(more.SERVER_HELLO)),
    _secrets(
        (more.CLIENT_HANDSHAKE, more.SERVER_HANDSHAKE),
        (more.CLIENT_TRAFFIC, more.SERVER_TRAFFIC),
        more.EXPORTER_SECRET,
        CLIENT_EARLY_TRAFFIC_SECRET=more.EARLY_TRAFFIC,
    ),
    more.RESUMPTION_SECRET,
    facts={"group": 29, "resumed": True, "retried": False, "early_data": True},
)
RETRIED = Trace(
    5,
    (
        Step("client", record(more.FIRST_HELLO, 0x0301)),
        Step("server", record(more.RETRY)),
        Step("client", record(more.SECOND_HELLO)),
        Step("server", record(more.HELLO_AFTER_RETRY)),
        Step("server", more.RETRY_SERVER_FLIGHT_RECORD),
        Step("client", more.RETRY_CLIENT_FINISHED_RECORD),
        *_ends(more.RETRY_CLIENT_CLOSE_RECORD, more.RETRY_SERVER_CLOSE_RECORD),
    ),
    (more.RETRY_CLIENT_PRIVATE, _random(more.FIRST_HELLO), _scalar(more.RETRY_CLIENT_P256_PRIVATE)),
    (_scalar(more.RETRY_SERVER_PRIVATE), _random(more.HELLO_AFTER_RETRY)),
    _secrets(
        (more.RETRY_CLIENT_HANDSHAKE, more.RETRY_SERVER_HANDSHAKE),
        (more.RETRY_CLIENT_TRAFFIC, more.RETRY_SERVER_TRAFFIC),
        more.RETRY_EXPORTER_SECRET,
    ),
    more.RETRY_RESUMPTION_SECRET,
    groups=(29, 23, 24),
    server_groups=(23, 24, 29),
    facts={"group": 23, "resumed": False, "retried": True},
)
AUTHENTICATED = Trace(
    6,
    (
        Step("client", record(last.AUTH_CLIENT_HELLO, 0x0301)),
        Step("server", record(last.AUTH_SERVER_HELLO)),
        Step("server", last.AUTH_SERVER_FLIGHT_RECORD),
        Step("client", last.AUTH_CLIENT_FLIGHT_RECORD),
        *_ends(last.AUTH_CLIENT_CLOSE_RECORD, last.AUTH_SERVER_CLOSE_RECORD),
    ),
    (last.AUTH_CLIENT_PRIVATE, _random(last.AUTH_CLIENT_HELLO)),
    (last.AUTH_SERVER_PRIVATE, _random(last.AUTH_SERVER_HELLO)),
    _secrets(
        (last.AUTH_CLIENT_HANDSHAKE, last.AUTH_SERVER_HANDSHAKE),
        (last.AUTH_CLIENT_TRAFFIC, last.AUTH_SERVER_TRAFFIC),
        last.AUTH_EXPORTER_SECRET,
    ),
    last.AUTH_RESUMPTION_SECRET,
    facts={"group": 29, "resumed": False, "retried": False},
)
COMPATIBLE = Trace(
    7,
    (
        Step("client", record(last.COMPAT_CLIENT_HELLO, 0x0301)),
        Step("server", record(last.COMPAT_SERVER_HELLO)),
        Step("server", CCS),
        Step("server", last.COMPAT_SERVER_FLIGHT_RECORD),
        Step("client", CCS),
        Step("client", last.COMPAT_CLIENT_FINISHED_RECORD),
        *_ends(last.COMPAT_CLIENT_CLOSE_RECORD, last.COMPAT_SERVER_CLOSE_RECORD),
    ),
    (last.COMPAT_CLIENT_PRIVATE, last.COMPAT_CLIENT_HELLO[39:71], _random(last.COMPAT_CLIENT_HELLO)),
    (last.COMPAT_SERVER_PRIVATE, _random(last.COMPAT_SERVER_HELLO)),
    _secrets(
        (last.COMPAT_CLIENT_HANDSHAKE, last.COMPAT_SERVER_HANDSHAKE),
        (last.COMPAT_CLIENT_TRAFFIC, last.COMPAT_SERVER_TRAFFIC),
        last.COMPAT_EXPORTER_SECRET,
    ),
    last.COMPAT_RESUMPTION_SECRET,
    facts={"group": 29, "resumed": False, "retried": False},
)
TRACES = (SIMPLE, RESUMED, RETRIED, AUTHENTICATED, COMPATIBLE)
