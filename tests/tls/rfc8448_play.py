"""Ends of ours in the place of RFC 8448's: they are to say its records themselves.

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
import os
from collections.abc import Callable
from dataclasses import replace
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
from tests.tls.rfc8448_traces import Trace

NAME = "server"
RENEGOTIATION, TICKET, SCHEMES, GROUPS, PADDING = 0xFF01, 35, 13, 10, 21
#: Best first, as NSS had them; 0x02xx and 0x0x02 are SHA-1 and DSA.
LISTED = (
    0x0403, 0x0503, 0x0603, 0x0203, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0201, 0x0402, 0x0502, 0x0602,
    0x0202,
)  # fmt: skip
OURS = tuple(code for code in LISTED if code >> 8 != 2 and code & 0xFF != 2)


# ---------------------------------------------------------------- what is given


def chance(pieces: tuple[bytes, ...], strict: bool = True) -> Callable[[int], bytes]:
    """Entropy that is these pieces, each asked for by its length; without ``strict`` others may be asked for too."""
    left = list(pieces)

    def entropy(size: int) -> bytes:
        if not strict and (not left or len(left[0]) != size):
            return os.urandom(size)
        piece = left.pop(0)
        assert len(piece) == size, (size, piece.hex())
        return piece

    return entropy


class Printed:
    """A private key that made one signature, which the RFC prints.

    With ``strict`` the signature must hold for what is to be signed.
    """

    def __init__(self, leaf: bytes, signature: bytes, strict: bool = True) -> None:
        self.public: Any = x509.load_der_x509_certificate(leaf).public_key()
        self.signature, self.strict = signature, strict

    def public_key(self) -> Any:
        return self.public

    def sign(self, data: bytes, *how: Any) -> bytes:
        if self.strict:
            self.public.verify(self.signature, data, *how)
        return self.signature


def _signed(certificate: bytes, signature: bytes, strict: bool) -> Credential:
    """The credential of a Certificate message of one entry."""
    leaf = certificate[11:-2]
    assert x509.load_der_x509_certificate(leaf).public_bytes(Encoding.DER) == leaf
    return Credential((leaf,), Printed(leaf, signature, strict))


def _parts(flight: bytes) -> dict[int, bytes]:
    """The messages of a flight by their types."""
    found = {}
    while flight:
        size = 4 + int.from_bytes(flight[1:4], "big")
        found[flight[0]], flight = flight[:size], flight[size:]
    return found


RSA_CERTIFICATE = _parts(simple.SERVER_FLIGHT)[11]


def server_credential(section: int, strict: bool) -> Credential:
    """The server of a section, with the signature it makes there."""
    if section == 6:
        return _signed(last.AUTH_SERVER_CERTIFICATE, last.AUTH_SERVER_CERTIFICATE_VERIFY[8:], strict)
    printed = {
        3: _parts(simple.SERVER_FLIGHT)[15][8:],
        4: b"",  # resumed: signs nothing
        5: more.RETRY_SIGNATURE,
        7: last.COMPAT_SIGNATURE,
    }
    return _signed(RSA_CERTIFICATE, printed[section], strict)


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

    def __init__(self, config: ClientConfig, trace: Trace, now: float, session: Session | None, strict: bool) -> None:
        self.with_ticket, self.offered = trace.section == 3, session
        super().__init__(config, NAME, now=now, entropy=chance(trace.client_chance, strict), session=session)

    def say_raw(self, raw: bytes) -> bytes:
        return super().say_raw(as_nss(raw, self.with_ticket, self.offered) if raw[0] == 1 else raw)


class NssServer(Server):
    """Our server, and what NSS says besides."""

    def __init__(self, config: ServerConfig, trace: Trace, now: float, strict: bool) -> None:
        super().__init__(config, now=now, entropy=chance(trace.server_chance, strict))

    def say_raw(self, raw: bytes) -> bytes:
        if raw[0] == 13:
            parsed = parse_handshake(13, raw[4:], version=TLS13)
            assert isinstance(parsed, CertificateRequest) and parsed.extensions
            assert [number for number, _ in parsed.extensions] == [SCHEMES]
            raw = write_handshake(replace(parsed, extensions=(Extension(SCHEMES, _u16s(LISTED)),)))
        return super().say_raw(raw)

    def retry_cookie(self) -> bytes:
        return more.RETRY.partition(b"\0\x2c\0\x74\0\x72")[2][:0x72]


def client(
    trace: Trace, log: list[str], now: float = NOW, session: Session | None = None, *, strict: bool = True
) -> NssClient:
    """Our client in the place of the section's; without ``strict`` it also knows what to do with damaged records."""
    credentials: tuple[Credential, ...] = ()
    if trace.section == 6:
        credentials = (_signed(last.AUTH_CLIENT_CERTIFICATE, last.AUTH_CLIENT_SIGNATURE, strict),)
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
    return NssClient(config, trace, now, session, strict)


def server(
    trace: Trace, log: list[str], now: float = NOW, tickets: TicketKeys | None = None, *, strict: bool = True
) -> NssServer:
    """Our server in the place of the section's; ``strict`` as above."""
    config = ServerConfig(
        credentials=(server_credential(trace.section, strict),),
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
    return NssServer(config, trace, now, strict)
