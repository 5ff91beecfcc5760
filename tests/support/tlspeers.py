"""TLS spoken by OpenSSL with itself, every octet recorded: the foreign judge of the TLS watcher.

``Talk`` joins two ``ssl`` objects through memory: no sockets, no waiting, no clock.  What each side wrote is kept
in chunks; ``streams`` turns chunks into the byte streams that an observer gets, chopped as one likes.
"""

from __future__ import annotations

import datetime
import ssl
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509.oid import NameOID

from synfin.capture.keylog import KeyLog, read_keylog
from synfin.observe.stream import ByteStream, Piece
from tests.support.folders import folder

CLIENT, SERVER = 0, 1
#: OpenSSL options Python has no name for.
NO_ENCRYPT_THEN_MAC = 1 << 19
NO_EXTENDED_MASTER_SECRET = 1 << 0
LEGACY = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | dsa.DSAPrivateKey


@dataclass(frozen=True)
class Identity:
    """A self-signed certificate and its key, in memory and in a PEM file with both."""

    key: Key
    certificate: x509.Certificate
    pem: Path


def identity(kind: str = "rsa") -> Identity:
    """The certificate of "server.example" with an RSA, EC or DSA key; made once."""
    return _identity(kind)


def rsa_key() -> rsa.RSAPrivateKey:
    """The key of the RSA certificate."""
    key = _identity("rsa").key
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


@cache
def _identity(kind: str) -> Identity:
    key: Key
    if kind == "rsa":
        key = rsa.generate_private_key(65537, 2048)
    elif kind == "dsa":
        key = dsa.generate_private_key(1024)
    else:
        key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server.example")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1000)
        .not_valid_before(datetime.datetime(2020, 1, 1))
        .not_valid_after(datetime.datetime(2040, 1, 1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("server.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder() / f"{kind}.pem"
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return Identity(key, certificate, pem)


def contexts(
    version: ssl.TLSVersion,
    ciphers: str = LEGACY,
    kind: str = "rsa",
    options: int = 0,
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A client's and a server's context for exactly this version; the client trusts anybody."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for context in (client, server):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.0 and 1.1 are the point here
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            context.maximum_version = version
            context.minimum_version = version
        context.set_ciphers(ciphers)
        context.options |= options
    server.load_cert_chain(identity(kind).pem)
    return client, server


@dataclass
class Talk:
    """A conversation: ``chunks`` are (side, octets) in the order they were written, ``keylog`` the client's secrets."""

    client: ssl.SSLObject
    server: ssl.SSLObject
    chunks: list[tuple[int, bytes]] = field(default_factory=list)
    _pipes: tuple[ssl.MemoryBIO, ssl.MemoryBIO, ssl.MemoryBIO, ssl.MemoryBIO] | None = None

    @classmethod
    def between(
        cls,
        client: ssl.SSLContext,
        server: ssl.SSLContext,
        *,
        name: str | None = "server.example",
        session: ssl.SSLSession | None = None,
    ) -> Talk:
        """Two ends that have not spoken yet."""
        pipes = (ssl.MemoryBIO(), ssl.MemoryBIO(), ssl.MemoryBIO(), ssl.MemoryBIO())
        one = client.wrap_bio(pipes[0], pipes[1], server_hostname=name, session=session)
        two = server.wrap_bio(pipes[2], pipes[3], server_side=True)
        return cls(one, two, [], pipes)

    def _move(self) -> bool:
        assert self._pipes is not None
        moved = False
        for side, (out, into) in enumerate(((self._pipes[1], self._pipes[2]), (self._pipes[3], self._pipes[0]))):
            data = out.read()
            if data:
                self.chunks.append((side, data))
                into.write(data)
                moved = True
        return moved

    def handshake(self) -> None:
        """Shake hands; ssl.SSLError where the ends do not agree, with the alert already in ``chunks``."""
        done: set[int] = set()
        failed: ssl.SSLError | None = None
        for _ in range(20):
            for side, end in enumerate((self.client, self.server)):
                if side in done:
                    continue
                try:
                    end.do_handshake()
                    done.add(side)
                except ssl.SSLWantReadError:
                    pass
                except ssl.SSLError as error:
                    failed = failed or error
                    done.add(side)
            if not self._move() and (failed or len(done) == 2):
                break
        if failed:
            raise failed

    def say(self, side: int, data: bytes) -> None:
        """``side`` sends ``data``, the other one reads it."""
        ends = (self.client, self.server)
        ends[side].write(data)
        self._move()
        got = b""
        while len(got) < len(data):
            got += ends[1 - side].read(len(data) - len(got))
        assert got == data

    def drain(self, side: int) -> None:
        """Let ``side`` read what is not application data (tickets)."""
        self._move()
        try:
            (self.client, self.server)[side].read(1)
        except ssl.SSLWantReadError:
            pass

    def close(self, side: int) -> None:
        """``side`` sends close_notify."""
        try:
            (self.client, self.server)[side].unwrap()
        except ssl.SSLError:  # most often: the other side has not answered yet
            pass
        self._move()


def converse(
    client: ssl.SSLContext,
    server: ssl.SSLContext,
    says: Sequence[tuple[int, bytes]] = ((CLIENT, b"question"), (SERVER, b"the answer")),
    *,
    session: ssl.SSLSession | None = None,
    close: bool = True,
) -> tuple[Talk, KeyLog]:
    """A whole conversation and its key log."""
    log = folder() / "keys"
    client.keylog_filename = str(log)
    talk = Talk.between(client, server, session=session)
    talk.handshake()
    talk.drain(CLIENT)
    for side, data in says:
        talk.say(side, data)
    if close:
        talk.close(CLIENT)
        talk.close(SERVER)
    return talk, read_keylog(log)


def streams(
    chunks: Sequence[tuple[int, bytes]], cut: Callable[[bytes], Sequence[bytes]] = lambda data: (data,)
) -> tuple[ByteStream, ByteStream]:
    """The byte streams of A (the client) and B; ``cut`` chops each chunk into packets, one nanosecond apart."""
    pieces: tuple[list[Piece], list[Piece]] = ([], [])
    ends = [0, 0]
    number = 0
    for at, (side, data) in enumerate(chunks):
        for part in cut(data):
            number += 1
            time = at * 1_000_000 + 1_000_000_000
            pieces[side].append(Piece(ends[side], part, number, time, time))
            ends[side] += len(part)
    return ByteStream(pieces[0]), ByteStream(pieces[1])


def cut_every(size: int) -> Callable[[bytes], Sequence[bytes]]:
    """Packets of ``size`` octets."""
    return lambda data: [data[i : i + size] for i in range(0, len(data), size)]
