"""Whole TLS flights, made by OpenSSL in memory, with certificates, names and refusals of one's choice.

``flights`` lets a client and a server shake hands and gives what each wrote, in order, whether they agreed or not:
with a client that verifies, its alert is among the octets.  Certificates are minted relative to the real time, since
OpenSSL verifies by it; ``NOW_NS`` is that time for packets.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from tests.support.folders import folder
from tests.support.minted import Minted, mint
from tests.support.tlspeers import CLIENT, SERVER, Talk

NOW = datetime.now(UTC)
NOW_NS = int(NOW.timestamp()) * 1_000_000_000
NAME = "www.lab.example"
REQUEST = b"GET / HTTP/1.1\r\nHost: www.lab.example\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000


@cache
def root() -> Minted:
    """The root that clients trust."""
    return mint("Lab Root", ca=True, now=NOW, days=(-400, 400))


@cache
def intermediate(state: str = "good") -> Minted:
    """The CA that issues leaves; "expired" is the same CA with an old certificate."""
    days = (-300, -5) if state == "expired" else (-300, 300)
    return mint("Lab CA 1", root(), ca=True, number=1, now=NOW, days=days)


@cache
def chain(kind: str = "good") -> tuple[Minted, ...]:
    """The certificates a server shows, leaf first; ``kind`` names what is wrong with them."""
    days = {"expired": (-100, -3), "future": (30, 60)}.get(kind, (-10, 80))
    names: list[x509.GeneralName] = [x509.DNSName("other.example" if kind == "name" else NAME)]
    usage = ExtendedKeyUsageOID.CLIENT_AUTH if kind == "usage" else ExtendedKeyUsageOID.SERVER_AUTH
    extensions: list[tuple[x509.ExtensionType, bool]] = [(x509.ExtendedKeyUsage([usage]), False)]
    if kind == "lonely":
        place = x509.UniformResourceIdentifier("http://ca.example/1.crt")
        access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, place)
        extensions.append((x509.AuthorityInformationAccess([access]), False))
    if kind == "self":
        return (mint(NAME, number=2, sans=names, now=NOW),)
    if kind == "unknown":
        other = mint("Other Root", ca=True, number=3, now=NOW)
        return mint(NAME, other, number=2, sans=names, extensions=extensions, now=NOW), other
    above = intermediate("expired" if kind == "old-intermediate" else "good")
    leaf = mint(NAME, above, number=2, sans=names, extensions=extensions, days=days, now=NOW)
    return (leaf,) if kind == "lonely" else (leaf, above)


@cache
def client_certificate(trusted: bool) -> tuple[Minted, ...]:
    """A client's certificate, from the CA that servers trust or from another."""
    issuer = intermediate() if trusted else mint("Foreign CA", ca=True, number=5, now=NOW)
    usage: list[tuple[x509.ExtensionType, bool]] = [(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)]
    return mint("a client", issuer, number=4, extensions=usage, now=NOW), issuer


@cache
def _folder() -> Path:
    return folder()


def _load(context: ssl.SSLContext, certificates: Sequence[Minted]) -> None:
    path = _folder() / f"{abs(hash(tuple(c.pem for c in certificates))):x}.pem"
    path.write_bytes(b"".join(c.pem for c in certificates) + certificates[0].key_pem)
    context.load_cert_chain(path)


@dataclass(frozen=True)
class Flights:
    """What each side wrote, in order, how far the handshake goes, and the client's secrets."""

    chunks: tuple[tuple[int, bytes], ...]
    handshake: int  # how many of the chunks belong to the handshake
    keylog: bytes
    error: str = ""

    def __getitem__(self, place: int) -> tuple[int, bytes]:
        return self.chunks[place]


@cache
def flights(
    shown: str = "good",
    *,
    version: str = "1.3",
    verify: bool = True,
    check_name: bool = False,
    name: str | None = NAME,
    client_versions: str = "",
    client_ciphers: str = "",
    server_ciphers: str = "",
    alpn: tuple[tuple[str, ...], tuple[str, ...]] = ((), ()),
    only_name: str = "",
    demand: bool = False,
    mine: bool | None = None,
    request: bytes = REQUEST,
    response: bytes = RESPONSE,
    close: str = "client",
) -> Flights:
    """A conversation; ``version`` is the server's, ``client_versions`` the client's where they differ.

    ``demand``: the server wants a client certificate; ``mine``: the client has one, trusted or not.  ``close`` names
    who says close_notify: client, server, both or none.  Empty ``request`` or ``response``: it is not sent.
    """
    versions = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
    log = _folder() / "keys"
    log.write_bytes(b"")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = check_name
    client.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    if verify:
        client.load_verify_locations(cadata=root().pem.decode())
    only = client_versions or version
    client.minimum_version = client.maximum_version = versions[only]
    client.keylog_filename = str(log)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.minimum_version = server.maximum_version = versions[version]
    _load(server, chain(shown))
    if client_ciphers:
        client.set_ciphers(client_ciphers)
    if server_ciphers:
        server.set_ciphers(server_ciphers)
    for context, protocols in zip((client, server), alpn, strict=True):
        if protocols:
            context.set_alpn_protocols(protocols)
    if demand:
        server.verify_mode = ssl.CERT_REQUIRED
        server.load_verify_locations(cadata=root().pem.decode())
    if mine is not None:
        _load(client, client_certificate(mine))
    if only_name:
        server.sni_callback = lambda _, asked, __: (
            None if asked == only_name else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        )
    talk = Talk.between(client, server, name=name)
    error, count = "", 0
    try:
        talk.handshake()
        count = len(talk.chunks)
        for side, data in ((CLIENT, request), (SERVER, response)):
            if data:
                talk.say(side, data)
        for side, word in ((CLIENT, "client"), (SERVER, "server")):
            if close in (word, "both"):
                talk.close(side)
    except ssl.SSLError as problem:
        error = str(problem)
        count = count or len(talk.chunks)
    return Flights(tuple(talk.chunks), count, log.read_bytes(), error)
