"""The authentication block of TLS 1.3, as both roles send and read it: Certificate, CertificateVerify (RFC 8446 4.4).

Our own Certificate messages are the same for every connection with the same answers stapled, so they are made once.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import brotli
import zstandard

from synfin.errors import PeerError, WireError
from synfin.tls import checks, signing
from synfin.tls.config import TLS13, Credential
from synfin.tls.messages import parse_message
from synfin.wire.tls import bodies as b
from synfin.wire.tls.extensions import Extension
from synfin.wire.tls.messages import (
    Certificate,
    CertificateEntry,
    CertificateVerify,
    CompressedCertificate,
    write_handshake,
)

#: Octets above which a message is not worth remembering.
SMALL = 10_000
#: Octets from which on a shorter Certificate message is worth the peer's work.
WORTH_COMPRESSING = 1024
_COMPRESSORS: dict[int, Callable[[bytes], bytes]] = {
    1: lambda body: zlib.compress(body, 9),
    2: brotli.compress,
    3: zstandard.ZstdCompressor(level=9).compress,
}


class PeerChain(NamedTuple):
    """What a Certificate message said: DER, leaf first; stapled OCSP response and SCTs of the leaf, or None."""

    chain: tuple[bytes, ...]
    stapled: bytes | None
    scts: bytes | None


@lru_cache(maxsize=256)
def certificate_13(
    chain: tuple[bytes, ...], context: bytes, ocsp: bytes | None, scts: bytes | None, compression: int | None
) -> bytes:
    """A whole Certificate message, or a CompressedCertificate where ``compression`` is given and worth while."""
    entries = []
    for index, der in enumerate(chain):
        extensions: list[Extension] = []
        if index == 0 and ocsp is not None:
            extensions.append(Extension(checks.STATUS_REQUEST, b"\1" + len(ocsp).to_bytes(3, "big") + ocsp))
        if index == 0 and scts is not None:
            extensions.append(Extension(checks.SCT, scts))
        entries.append(CertificateEntry(der, tuple(extensions)))
    plain = write_handshake(Certificate(tuple(entries), context))
    if compression is None or len(plain) < WORTH_COMPRESSING:
        return plain
    body = plain[4:]
    message = write_handshake(CompressedCertificate(compression, len(body), _COMPRESSORS[compression](body)))
    return message if len(message) < len(plain) else plain


def our_certificate(
    credential: Credential | None, context: bytes, staple: bool, scts: bool, compression: int | None
) -> bytes:
    """The Certificate message for ``credential``; an empty one for None."""
    if credential is None:
        return certificate_13((), context, None, None, None)
    return certificate_13(
        credential.chain,
        context,
        credential.ocsp if staple else None,
        credential.scts if scts else None,
        compression,
    )


def decompressed(message: CompressedCertificate, offered: tuple[int, ...], most: int) -> Certificate:
    """The Certificate inside, of ``most`` octets, read as if it had come plain (RFC 8879 4).

    PeerError for an algorithm not offered, a bomb, or damage, and those of ``parse_message``.
    """
    if message.algorithm not in offered:
        raise PeerError("illegal_parameter", "a compression that was offered", str(message.algorithm))
    if not message.data:
        raise PeerError("empty_list", "a compressed message", "nothing")
    if message.uncompressed_length > most:
        raise PeerError("certificate_bad_compression", "a sane length", str(message.uncompressed_length))
    try:
        body = message.decompress()
    except WireError as error:
        raise PeerError("certificate_bad_compression", "a Certificate message", str(error)) from None
    found: Certificate = parse_message(b"\x0b" + len(body).to_bytes(3, "big") + body, TLS13)
    return found


def read_chain(message: Certificate, context: bytes, offered: frozenset[int]) -> PeerChain:
    """Check a Certificate message's form.  ``offered`` are the extensions its entries may answer.

    Raises PeerError illegal_parameter (context), empty_list (an empty entry), or those of ``checks.answers``.
    """
    if message.context != context:
        raise PeerError("illegal_parameter", "the request's context", (message.context or b"").hex())
    stapled = scts = None
    for index, (data, extensions) in enumerate(message.entries):
        if not data:
            raise PeerError("empty_list", "a certificate", "nothing")
        if not extensions:
            continue
        found = checks.answers(extensions, offered, checks.PLACES_13["certificate"])
        for number, body in found.items():
            decoded = checks.decode(number, body, "certificate")
            if index == 0 and isinstance(decoded, b.StatusResponse):
                stapled = body[4:]
            elif index == 0 and number == checks.SCT:
                scts = body
    return PeerChain(message.certificates, stapled, scts)


def server_chain(raw: bytes, offered: frozenset[int], algorithms: tuple[int, ...], most: int) -> PeerChain:
    """What a server's Certificate or CompressedCertificate says; the same octets are read once.  PeerError as below."""
    read = _server_chain if len(raw) <= SMALL else _server_chain.__wrapped__
    return read(raw, offered, algorithms, most)


@lru_cache(maxsize=256)
def _server_chain(raw: bytes, offered: frozenset[int], algorithms: tuple[int, ...], most: int) -> PeerChain:
    parsed: Certificate | CompressedCertificate = parse_message(raw, TLS13)
    if isinstance(parsed, CompressedCertificate):
        parsed = decompressed(parsed, algorithms, most)
    return read_chain(parsed, b"", offered)


def our_verify(credential: Credential, scheme: int, side: str, digest: bytes) -> bytes:
    """A CertificateVerify message."""
    signature = signing.sign(credential.key, scheme, signing.context_13(side, digest))
    body = scheme.to_bytes(2, "big") + len(signature).to_bytes(2, "big") + signature
    return b"\x0f" + len(body).to_bytes(3, "big") + body


def check_verify(message: CertificateVerify, leaf: bytes, side: str, digest: bytes, offered: tuple[int, ...]) -> int:
    """Check the peer's CertificateVerify; returns its scheme.  Raises PeerError as ``signing.verify``."""
    code = message.scheme or 0
    key = signing.peer_key(leaf)
    data = signing.context_13(side, digest)
    signing.verify(key, code, message.signature, data, version=TLS13, offered=offered)
    return code
