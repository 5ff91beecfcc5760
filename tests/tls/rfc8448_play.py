"""RFC 8448's five handshakes as scripts: who says which record, and an end of ours that is to say them itself.

Chance, private keys, the ticket, the cookie and the salted or random signatures are given; all else is computed.  A
signature is verified before it is said.  What NSS said in 2018 and this engine does not say is added by the seam for
wrong steps, ``say_raw``, and is all that it does:

- a ClientHello for TLS 1.3 alone with renegotiation_info and, in section 3, an empty session_ticket, which mean nothing
  in TLS 1.3;
- signature schemes with SHA-1 and DSA, which this engine has no name for, in ClientHello and CertificateRequest;
- so the padding extension (RFC 7685 4) has to be shorter by as much, and a PSK's binder is made anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from synfin.tls import (
    Client,
    ClientConfig,
    Credential,
    ReplayGuard,
    Server,
    ServerConfig,
    Session,
    TicketKeys,
    accept_any_certificate,
)
from synfin.tls.config import TLS13
from synfin.tls.schedule import binder
from synfin.wire.tls.extensions import Extension
from synfin.wire.tls.messages import CertificateRequest, ClientHello, parse_handshake, write_handshake
from tests.spec import rfc8448 as simple
from tests.tls import rfc8448_last as last
from tests.tls import rfc8448_more as more
from tests.tls.ends import NOW

NAME = "server"
RENEGOTIATION, TICKET, SCHEMES, GROUPS, PADDING, PSK = 0xFF01, 35, 13, 10, 21, 41
#: Best first, as NSS had them; 0x02xx and 0x0x02 are SHA-1 and DSA.
LISTED = (
    0x0403, 0x0503, 0x0603, 0x0203, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0201, 0x0402, 0x0502, 0x0602,
    0x0202,
)  # fmt: skip
OURS = tuple(code for code in LISTED if code >> 8 != 2 and code & 0xFF != 2)
NINE_GROUPS = (29, 23, 24, 25, 256, 257, 258, 259, 260)


def record(raw: bytes, version: int = 0x0303) -> bytes:
    """A handshake message in a record in clear."""
    return b"\x16" + version.to_bytes(2, "big") + len(raw).to_bytes(2, "big") + raw


# ---------------------------------------------------------------- the five handshakes


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


# ---------------------------------------------------------------- what is given


def chance(pieces: tuple[bytes, ...]) -> Callable[[int], bytes]:
    """Entropy that is these pieces, each asked for by its length."""
    left = list(pieces)

    def entropy(size: int) -> bytes:
        piece = left.pop(0)
        assert len(piece) == size, (size, piece.hex())
        return piece

    return entropy


class Printed:
    """A private key that made one signature, which the RFC prints: it holds for what it is asked to sign, or fails."""

    def __init__(self, leaf: bytes, signature: bytes) -> None:
        self.public: Any = x509.load_der_x509_certificate(leaf).public_key()
        self.signature = signature

    def public_key(self) -> Any:
        return self.public

    def sign(self, data: bytes, *how: Any) -> bytes:
        self.public.verify(self.signature, data, *how)
        return self.signature


def _signed(certificate: bytes, signature: bytes) -> Credential:
    """The credential of a Certificate message of one entry."""
    leaf = certificate[11:-2]
    assert x509.load_der_x509_certificate(leaf).public_bytes(Encoding.DER) == leaf
    return Credential((leaf,), Printed(leaf, signature))


def _parts(flight: bytes) -> dict[int, bytes]:
    """The messages of a flight by their types."""
    found = {}
    while flight:
        size = 4 + int.from_bytes(flight[1:4], "big")
        found[flight[0]], flight = flight[:size], flight[size:]
    return found


RSA_CERTIFICATE = _parts(simple.SERVER_FLIGHT)[11]


def server_credential(section: int) -> Credential:
    """The server of a section, with the signature it makes there."""
    if section == 6:
        return _signed(last.AUTH_SERVER_CERTIFICATE, last.AUTH_SERVER_CERTIFICATE_VERIFY[8:])
    printed = {
        3: _parts(simple.SERVER_FLIGHT)[15][8:],
        4: b"",  # resumed: signs nothing
        5: more.RETRY_SIGNATURE,
        7: last.COMPAT_SIGNATURE,
    }
    return _signed(RSA_CERTIFICATE, printed[section])


class PrintedTicket(TicketKeys):
    """Seals into the RFC's ticket, and opens it with what was sealed."""

    state: bytes | None = None

    def seal(self, state: bytes, now: float, nonce: bytes) -> bytes:
        self.state = state
        return more.TICKET

    def open(self, ticket: bytes, now: float) -> bytes | None:
        return self.state if ticket == more.TICKET else None


# ---------------------------------------------------------------- the ends


def as_nss(raw: bytes, ticket: bool, session: Session | None) -> bytes:
    """Our ClientHello with what NSS says besides."""
    parsed = parse_handshake(1, raw[4:])
    assert isinstance(parsed, ClientHello)
    extensions = []
    for number, body in parsed.extensions or ():
        extensions.append(Extension(number, _u16s(LISTED) if number == SCHEMES else body))
        if number == 0:
            extensions.append(Extension(RENEGOTIATION, b"\0"))
        if number == GROUPS and ticket:
            extensions.append(Extension(TICKET, b""))
    grown = len(write_handshake(replace(parsed, extensions=tuple(extensions)))) - len(raw)
    extensions = [Extension(n, body[grown:] if n == PADDING else body) for n, body in extensions]
    raw = write_handshake(replace(parsed, extensions=tuple(extensions)))
    if session is not None:
        truncated = raw[: -(2 + 1 + 32)]
        raw = raw[:-32] + binder("sha256", session.secret, hashlib.sha256(truncated).digest())
    return raw


def _u16s(codes: tuple[int, ...]) -> bytes:
    return (2 * len(codes)).to_bytes(2, "big") + b"".join(code.to_bytes(2, "big") for code in codes)


class NssClient(Client):
    """Our client, and what NSS says besides."""

    def __init__(self, config: ClientConfig, trace: Trace, now: float, session: Session | None) -> None:
        self.with_ticket, self.offered = trace.section == 3, session
        super().__init__(config, NAME, now=now, entropy=chance(trace.client_chance), session=session)

    def say_raw(self, raw: bytes) -> bytes:
        return super().say_raw(as_nss(raw, self.with_ticket, self.offered) if raw[0] == 1 else raw)


class NssServer(Server):
    """Our server, and what NSS says besides."""

    def __init__(self, config: ServerConfig, trace: Trace, now: float) -> None:
        super().__init__(config, now=now, entropy=chance(trace.server_chance))

    def say_raw(self, raw: bytes) -> bytes:
        if raw[0] == 13:
            parsed = parse_handshake(13, raw[4:], version=TLS13)
            assert isinstance(parsed, CertificateRequest) and parsed.extensions
            assert [number for number, _ in parsed.extensions] == [SCHEMES]
            raw = write_handshake(replace(parsed, extensions=(Extension(SCHEMES, _u16s(LISTED)),)))
        return super().say_raw(raw)

    def retry_cookie(self) -> bytes:
        return more.RETRY.partition(b"\0\x2c\0\x74\0\x72")[2][:0x72]


def client(trace: Trace, log: list[str], now: float = NOW, session: Session | None = None) -> NssClient:
    """Our client in the place of the section's."""
    credentials: tuple[Credential, ...] = ()
    if trace.section == 6:
        credentials = (_signed(last.AUTH_CLIENT_CERTIFICATE, last.AUTH_CLIENT_SIGNATURE),)
    config = ClientConfig(
        verify=accept_any_certificate,
        min_version=TLS13,
        suites=(0x1301, 0x1303, 0x1302),
        groups=trace.groups,
        shares=1,
        schemes=OURS,
        credentials=credentials,
        early_data=True,
        record_size_limit=0x4000,
        middlebox_compatibility=trace.section == 7,
        certificate_compression=(),
        grease=False,
        ask_staple=False,
        pad_hello=True,
        key_log=log.append,
    )
    return NssClient(config, trace, now, session)


def server(trace: Trace, log: list[str], now: float = NOW, tickets: TicketKeys | None = None) -> NssServer:
    """Our server in the place of the section's."""
    config = ServerConfig(
        credentials=(server_credential(trace.section),),
        suites=(0x1301, 0x1303, 0x1302),
        groups=trace.server_groups,
        best_group=True,
        tell_groups=True,
        schemes=OURS,
        client_auth="required" if trace.section == 6 else None,
        verify=accept_any_certificate,
        ticket_keys=tickets,
        tickets=1 if trace.section == 3 else 0,
        ticket_lifetime=30,
        max_early_data=1024,
        replay_guard=ReplayGuard(),
        record_size_limit=0x4000,
        certificate_compression=(),
        key_log=log.append,
    )
    return NssServer(config, trace, now)
