"""What a handshake message says in lines, where octets would say nothing to a reader."""

from __future__ import annotations

import pytest

from synfin.views.messages import message_lines
from synfin.wire.tls import bodies, sslv2
from synfin.wire.tls.exchange import ClientKeyExchange, ServerKeyExchange
from synfin.wire.tls.extensions import Decoded, encode_extension
from synfin.wire.tls.hello import ClientHello
from synfin.wire.tls.messages import EncryptedExtensions, NextProtocol


@pytest.mark.parametrize(
    ("message", "lines"),
    [
        (ClientKeyExchange("PSK", b"me", b"", 0), ["PSK identity me"]),
        (ClientKeyExchange("RSA", None, b"\1\2", 2), ["encrypted premaster secret 0102"]),
        (ClientKeyExchange("ECDHE_RSA", None, b"\4\5", 1), ["public key 0405"]),
        (ClientKeyExchange(None, None, b"\7", 0), ["unknown layout, 07"]),
        (ClientKeyExchange("DHE_RSA", None, b"", 0), []),  # it is in the client's certificate
        (ServerKeyExchange("PSK", b"ask us"), ["PSK, PSK identity hint ask us"]),
        (NextProtocol(b"h2", b""), ["protocol h2"]),
        (sslv2.Error(1), ["no_cipher"]),
        (sslv2.Error(5), ["code 5"]),
    ],
)
def test_key_exchanges_and_small_messages(message: object, lines: list[str]) -> None:
    assert list(message_lines(message)) == lines


@pytest.mark.parametrize(
    ("number", "body", "line"),
    [
        (
            47,
            bodies.CertificateAuthorities((b"\x30\x00", b"\x30\x00")),
            "certificate_authorities 2 acceptable authorities",
        ),
        (20, bodies.CertificateTypes((2, 0)), "server_certificate_type RawPublicKey, X509"),
        (1, bodies.MaxFragmentLength(2), "max_fragment_length 1,024 octets"),
        (1, bodies.MaxFragmentLength(9), "max_fragment_length 9"),
        (15, bodies.Heartbeat(2), "heartbeat the peer must not send requests"),
        (12, bodies.SrpUser(b"anna"), "srp anna"),
    ],
)
def test_extensions_of_a_client(number: int, body: Decoded, line: str) -> None:
    hello = ClientHello(0x0303, bytes(32), b"", (0x1301,), (0,), (encode_extension(number, body),))
    assert f"  {line}" in message_lines(hello)


def test_an_extension_of_the_server() -> None:
    told = EncryptedExtensions((encode_extension(20, bodies.SelectedCertificateType(2)),))
    assert "  server_certificate_type RawPublicKey" in message_lines(told)
