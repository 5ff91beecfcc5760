"""A TLS 1.2 or 1.3 handshake between two ends of tlslite-ng over memory, to be measured beside our engine.

tlslite-ng wants sockets; ``Wire`` is one end of a pair in memory that says "try again" when nothing is there.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.tls.ends import NAME, leaf


class Wire:
    """One end."""

    def __init__(self) -> None:
        self.held = bytearray()
        self.other = self

    def send(self, data: bytes) -> int:
        self.other.held += data
        return len(data)

    sendall = send

    def recv(self, size: int) -> bytes:
        if not self.held:
            raise BlockingIOError(errno.EWOULDBLOCK, "nothing yet")
        data = bytes(self.held[:size])
        del self.held[:size]
        return data

    def close(self) -> None:
        """Nothing to do."""


def lite_pair(version: str) -> Callable[[], object] | None:
    """What makes one finished handshake; None where tlslite-ng is not installed."""
    try:
        from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey
    except ImportError:
        return None
    made = leaf()
    chain = X509CertChain()
    chain.parsePemList(x509.load_der_x509_certificate(made.der).public_bytes(Encoding.PEM).decode())
    pem = made.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    private = parsePEMKey(pem, private=True)
    settings = HandshakeSettings()
    code = (3, 4) if version == "1.3" else (3, 3)
    settings.minVersion = settings.maxVersion = code
    settings.cipherNames = ["aes128gcm"]
    group = "x25519" if version == "1.3" else "secp256r1"
    settings.eccCurves = settings.keyShares = [group]
    settings.defaultCurve = group
    settings.ticket_count = 0

    def pair() -> object:
        one, two = Wire(), Wire()
        one.other, two.other = two, one
        client, server = TLSConnection(one), TLSConnection(two)
        steps = [
            client.handshakeClientCert(settings=settings, serverName=NAME, async_=True),
            server.handshakeServerAsync(certChain=chain, privateKey=private, settings=settings),
        ]
        for _ in range(200):
            for step in tuple(steps):
                if next(step, None) is None:
                    steps.remove(step)
            if not steps:
                return client, server
        raise RuntimeError("tlslite-ng did not finish its handshake")

    pair()
    return pair
