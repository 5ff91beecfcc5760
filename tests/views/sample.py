"""A TLS 1.2 connection as `curl https://...` makes it, packet by packet: 25 packets in the notation of the tests.

Everything is deterministic: fixed randoms, an Ed25519 certificate (no chance in its signature), fixed bytes for records
that are encrypted.  The certificate has so many names that it takes three segments of 1,460 octets.
"""

from __future__ import annotations

import datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from synfin.wire.codec import Writer
from synfin.wire.tls import bodies
from synfin.wire.tls.certificate import Certificate, CertificateEntry
from synfin.wire.tls.exchange import ClientKeyExchange, ServerKeyExchange
from synfin.wire.tls.extensions import Extension
from synfin.wire.tls.hello import ClientHello, ServerHello
from synfin.wire.tls.messages import NewSessionTicket, ServerHelloDone, write_handshake

NAME = "shop.example"
MSS = 1460


def record(kind: int, body: bytes, version: int = 0x0303) -> bytes:
    """A TLS record."""
    return bytes([kind]) + version.to_bytes(2, "big") + len(body).to_bytes(2, "big") + body


def _body(body: bodies.Body) -> bytes:
    writer = Writer()
    body.write(writer)
    return bytes(writer.data)


@cache
def certificate() -> bytes:
    """A certificate for many names, DER."""
    key = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Example CA")])
    names = [x509.DNSName(NAME), *(x509.DNSName(f"shop{i:03}.example") for i in range(180))]
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(datetime.datetime(2023, 1, 1))
        .not_valid_after(datetime.datetime(2024, 1, 1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    return builder.sign(key, None).public_bytes(Encoding.DER)


@cache
def flights() -> dict[str, bytes]:
    """What each flight carries."""
    hello = ClientHello(
        0x0303,
        bytes(range(32)),
        b"",
        (0xC02F, 0xC030, 0x009C),
        (0,),
        (
            Extension(0, _body(bodies.ServerName((bodies.HostName(0, NAME.encode()),)))),
            Extension(10, _body(bodies.SupportedGroups((29, 23)))),
            Extension(16, _body(bodies.Protocols((b"http/1.1",)))),
            Extension(23, b""),
        ),
    )
    server = ServerHello(0x0303, bytes(range(32, 64)), b"", 0xC02F, 0, (Extension(23, b""),))
    chain = Certificate((CertificateEntry(certificate(), None),))
    key = ServerKeyExchange("ECDHE_RSA", None, 3, 29, (), b"\x05" * 32, 0x0804, b"\x06" * 256)
    client_key = ClientKeyExchange("ECDHE_RSA", None, b"\x07" * 32, 1)
    ticket = NewSessionTicket(7200, None, None, b"\x08" * 160, None)
    finished = record(22, b"\x09" * 40)
    spec = record(20, b"\x01")
    return {
        "client_hello": record(22, write_handshake(hello), 0x0301),
        "server_hello": record(22, write_handshake(server))
        + record(22, write_handshake(chain))
        + record(22, write_handshake(key))
        + record(22, write_handshake(ServerHelloDone())),
        "client_key": record(22, write_handshake(client_key)) + spec + finished,
        "ticket": record(22, write_handshake(ticket)) + spec + finished,
        "request": record(23, b"\x0a" * 120),
        "response": record(23, b"\x0b" * 3000),
        "notify": record(21, b"\x0c" * 26),
    }


@cache
def tls12() -> str:
    """The 25 packets."""
    said = flights()
    server = [said["server_hello"][at : at + MSS] for at in range(0, len(said["server_hello"]), MSS)]
    answer = [said["response"][at : at + MSS] for at in range(0, len(said["response"]), MSS)]
    assert len(server) == 3
    assert len(answer) == 3
    return f"""
    a = 192.0.2.7:50123
    b = 198.51.100.9:443
    0.000000 a > b SYN win=64240 <mss 1460, sackOK, TS 1 0, nop, wscale 7>
    0.020000 b > a SYN,ACK win=65535 <mss 1460, sackOK, nop, nop, nop, wscale 8>
    0.020100 a > b ACK
    0.020500 a > b PSH,ACK hex={said["client_hello"].hex()}
    0.040600 b > a ACK
    0.041000 b > a ACK hex={server[0].hex()}
    0.041100 b > a ACK hex={server[1].hex()}
    0.041200 b > a PSH,ACK hex={server[2].hex()}
    0.041300 a > b ACK
    0.043000 a > b PSH,ACK hex={said["client_key"].hex()}
    0.064000 b > a PSH,ACK hex={said["ticket"].hex()}
    0.064100 a > b ACK
    0.065000 a > b PSH,ACK hex={said["request"].hex()}
    0.085100 b > a ACK
    0.135000 b > a ACK hex={answer[0].hex()}
    0.135100 b > a ACK hex={answer[1].hex()}
    0.135200 b > a PSH,ACK hex={answer[2].hex()}
    0.135300 a > b ACK
    0.136000 a > b PSH,ACK hex={said["notify"].hex()}
    0.136100 a > b FIN,ACK
    0.156200 b > a ACK ack=-1
    0.156300 b > a PSH,ACK hex={said["notify"].hex()}
    0.156400 a > b ACK
    0.156500 b > a FIN,ACK
    0.156600 a > b ACK
    """
