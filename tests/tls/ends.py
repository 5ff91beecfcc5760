"""Two ends in one process: ours with ours, ours with OpenSSL (Python's ``ssl``), and their certificates."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from synfin.tls import (
    Client,
    ClientConfig,
    Credential,
    Data,
    Event,
    Failed,
    PathVerifier,
    Server,
    ServerConfig,
    Session,
    TicketKeys,
)
from synfin.tls.core import Endpoint
from tests.support.minted import Minted, mint

#: When everything happens: Python's ssl judges certificates by the real clock.
NOW = 1_800_000_000.0
NAME = "test.example"


def _key_usage(ca: bool, encrypts: bool) -> x509.KeyUsage:
    return x509.KeyUsage(not ca, False, encrypts, False, False, ca, ca, False, False)


@lru_cache(maxsize=1)
def root() -> Minted:
    return _issue("Root", None, kind="p256", number=90, ca=True)


def leaf(kind: str = "p256", name: str = NAME, client: bool = False) -> Minted:
    return _leaf(kind, name, client)


@lru_cache(maxsize=32)
def _leaf(kind: str, name: str, client: bool) -> Minted:
    return _issue(name, root(), kind=kind, number=2 if client else 1, ca=False, client=client)


def _issue(name: str, issuer: Minted | None, *, kind: str, number: int, ca: bool, client: bool = False) -> Minted:
    from datetime import UTC, datetime

    from tests.support.minted import key

    private = key(kind, number)
    signer = issuer.key if issuer else private
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (_key_usage(ca, kind.startswith("rsa")), True),
        (x509.SubjectKeyIdentifier.from_public_key(private.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False),
    ]
    if not ca:
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        extensions.append((x509.ExtendedKeyUsage([usage]), False))
    return mint(
        name,
        issuer,
        kind=kind,
        number=number,
        sans=None if ca else [x509.DNSName(name)],
        ca=ca or None,
        days=(-40, 300) if ca else (-10, 80),
        extensions=extensions,
        now=datetime.fromtimestamp(NOW, UTC),
    )


def credential(kind: str = "p256", name: str = NAME, *, client: bool = False, **more: Any) -> Credential:
    made = leaf(kind, name, client)
    return Credential((made.der,), made.key, **more)


def verifier() -> PathVerifier:
    return PathVerifier([root().der])


def client_config(**more: Any) -> ClientConfig:
    return ClientConfig(**{"verify": verifier(), "groups": (29, 23, 24, 25, 30, 256, 257), **more})


def server_config(*kinds: str, **more: Any) -> ServerConfig:
    credentials = tuple(credential(kind) for kind in kinds or ("p256",))
    return ServerConfig(**{"credentials": credentials, **more})


def ticket_keys() -> TicketKeys:
    return TicketKeys(bytes(range(32)))


class Teller(Client):
    """A client that keeps a list of the alerts it sent."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.told: list[tuple[int, int]] = []

    def alert(self, level: int, description: int) -> None:
        """See ``Endpoint``."""
        self.told.append((level, description))
        super().alert(level, description)


def client(config: ClientConfig | None = None, session: Session | None = None, name: str | None = NAME) -> Client:
    return Client(config or client_config(), name, now=NOW, entropy=os.urandom, session=session)


def server(config: ServerConfig | None = None) -> Server:
    return Server(config or server_config(), now=NOW, entropy=os.urandom)


class Stepwise(Endpoint):
    """For the bases of an end, before its role: each of its handshake messages has a record of its own."""

    def say_raw(self, raw: bytes) -> bytes:
        """See ``Endpoint``."""
        super().say_raw(raw)
        self.flush()
        return raw


def pump(one: Client | Server, other: Client | Server, *, cut: int = 0, rounds: int = 12) -> None:
    """Carry octets both ways until there are none; with ``cut`` in pieces of so many octets."""
    for _ in range(rounds):
        moved = False
        for giver, taker in ((one, other), (other, one)):
            data = giver.take_output(NOW)
            moved = moved or bool(data)
            for at in range(0, len(data), cut or len(data) or 1):
                taker.receive(data[at : at + (cut or len(data))], NOW)
        if not moved:
            return


def events(end: Client | Server) -> list[Event]:
    found = []
    while (event := end.next_event()) is not None:
        found.append(event)
    return found


def of(found: list[Event], kind: type[Any]) -> list[Any]:
    return [event for event in found if isinstance(event, kind)]


def said(found: list[Event]) -> bytes:
    return b"".join(event.data for event in of(found, Data))


# ---------------------------------------------------------------- Python's ssl


def chain_file(*made: Minted) -> str:
    """A file with chain and key of the first; removed by ``loaded``."""
    with tempfile.NamedTemporaryFile("wb", suffix=".pem", delete=False) as file:
        file.write(made[0].key_pem + b"".join(one.pem for one in made))
    return file.name


def load(context: ssl.SSLContext, made: Minted) -> None:
    path = chain_file(made)
    try:
        context.load_cert_chain(path)
    finally:
        Path(path).unlink()


def ssl_context(server_side: bool, versions: tuple[ssl.TLSVersion, ssl.TLSVersion], **more: Any) -> ssl.SSLContext:
    """A context at security level 0 that trusts nothing and asks for nothing: our end does the judging."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = versions
    if server_side:
        load(context, more.get("leaf") or leaf())
    return context


class Foreign:
    """An end of Python's ``ssl`` in memory."""

    def __init__(self, context: ssl.SSLContext, server_side: bool, session: ssl.SSLSession | None = None) -> None:
        self.inward, self.outward = ssl.MemoryBIO(), ssl.MemoryBIO()
        name = None if server_side else NAME
        self.tls = context.wrap_bio(
            self.inward, self.outward, server_side=server_side, server_hostname=name, session=session
        )
        self.done = False
        self.got = bytearray()
        self.closed = False
        self.error: ssl.SSLError | None = None

    def attempt(self, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except ssl.SSLZeroReturnError:
            self.closed = True
        except ssl.SSLError as error:
            self.error = error
        return None

    def turn(self, data: bytes | bytearray) -> bytes:
        """Give it octets, let it work, take its octets."""
        if data:
            self.inward.write(data)
        if not self.done and self.error is None:
            try:
                self.tls.do_handshake()
                self.done = True
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
            except ssl.SSLError as error:
                self.error = error
        while self.done and not self.closed and self.error is None:
            got = self.attempt(lambda: self.tls.read(1 << 16))
            if got == b"":
                self.closed = True
            if not got:
                break
            self.got += got
        return self.outward.read()


def talk(ours: Client | Server, foreign: Foreign, rounds: int = 12) -> None:
    """Carry octets until there are none."""
    for _ in range(rounds):
        data = ours.take_output(NOW)
        back = foreign.turn(data)
        if back:
            ours.receive(back, NOW)
        if not data and not back:
            return


def alert_of(end: Client | Server) -> int | None:
    """The alert with which an end failed, or None."""
    found = of(events(end), Failed)
    return found[0].alert if found else None
