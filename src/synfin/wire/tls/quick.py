"""Handshake messages read without a ``Reader``, for ends and observers that read thousands of them.

``quick_message`` knows the messages of ordinary handshakes in their usual form and gives up (None) on anything else,
which the messages' own ``read`` then reads or refuses, with the name of what is wrong.  Both ways must read the same
message from the same octets.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

from synfin.wire.tls.certificate import Certificate, CertificateEntry
from synfin.wire.tls.exchange import CertificateVerify, ClientKeyExchange, ServerKeyExchange
from synfin.wire.tls.extensions import split_extensions
from synfin.wire.tls.hello import ClientHello, ServerHello
from synfin.wire.tls.messages import EncryptedExtensions, NewSessionTicket

TLS12, TLS13 = 0x0303, 0x0304
_CERTIFIED = frozenset({"ECDHE_ECDSA", "ECDHE_RSA"})
_PAIR = Struct(">HH").unpack_from
_TICKET = Struct(">IIB").unpack_from
_CURVE = Struct(">BHB").unpack_from

Quick = (
    ClientHello
    | ServerHello
    | NewSessionTicket
    | EncryptedExtensions
    | Certificate
    | CertificateVerify
    | ServerKeyExchange
    | ClientKeyExchange
)


def quick_message(msg_type: int, body: bytes, version: int | None, kex: str | None) -> Quick | None:
    """The message, or None where it has to be read the careful way."""
    found = _QUICK.get(msg_type)
    return None if found is None else found(body, version, kex)


def _client_hello(body: bytes, version: int | None, kex: str | None) -> ClientHello | None:
    return ClientHello.quick(body, 0, len(body))


def _server_hello(body: bytes, version: int | None, kex: str | None) -> ServerHello | None:
    return ServerHello.quick(body, 0, len(body))


def _ticket(body: bytes, version: int | None, kex: str | None) -> NewSessionTicket | None:
    end = len(body)
    if version == TLS12 and end >= 6 and body[4] << 8 | body[5] == end - 6:
        return NewSessionTicket(int.from_bytes(body[:4], "big"), None, None, body[6:], None)
    if version != TLS13 or end < 13:
        return None
    lifetime, age_add, size = _TICKET(body)
    at = 9 + size
    stop = at + 2 + int.from_bytes(body[at : at + 2], "big")
    if stop + 2 > end or int.from_bytes(body[stop : stop + 2], "big") != end - stop - 2:
        return None
    extensions = split_extensions(body, stop + 2, end)
    if extensions is None:
        return None
    return NewSessionTicket(lifetime, age_add, body[9:at], body[at + 2 : stop], extensions)


def _encrypted_extensions(body: bytes, version: int | None, kex: str | None) -> EncryptedExtensions | None:
    if len(body) < 2 or body[0] << 8 | body[1] != len(body) - 2:
        return None
    extensions = split_extensions(body, 2, len(body))
    return None if extensions is None else EncryptedExtensions(extensions)


def _certificate_verify(body: bytes, version: int | None, kex: str | None) -> CertificateVerify | None:
    if version not in (TLS12, TLS13) or len(body) < 4:
        return None
    scheme, size = _PAIR(body)
    return CertificateVerify(scheme, body[4:]) if size == len(body) - 4 else None


def _certificate(body: bytes, version: int | None, kex: str | None) -> Certificate | None:
    """The forms of TLS 1.2 and 1.3."""
    if version == TLS13:
        return _certificate_13(body)
    at, end = 3, len(body)
    if version != TLS12 or end < 3 or int.from_bytes(body[:3], "big") != end - 3:
        return None
    entries: list[CertificateEntry] = []
    while at + 3 <= end:
        stop = at + 3 + int.from_bytes(body[at : at + 3], "big")
        entries.append(CertificateEntry(body[at + 3 : stop], None))
        at = stop
    return Certificate(tuple(entries)) if at == end else None


def _certificate_13(body: bytes) -> Certificate | None:
    end = len(body)
    at = 1 + body[0] if body else 1
    if at + 3 > end or int.from_bytes(body[at : at + 3], "big") != end - at - 3:
        return None
    context = body[1:at]
    at += 3
    entries: list[CertificateEntry] = []
    while at + 5 <= end:
        stop = at + 3 + int.from_bytes(body[at : at + 3], "big")
        if stop + 2 > end:
            return None
        behind = stop + 2 + (body[stop] << 8 | body[stop + 1])
        if behind > end:
            return None
        extensions = split_extensions(body, stop + 2, behind) if behind > stop + 2 else ()
        if extensions is None:
            return None
        entries.append(CertificateEntry(body[at + 3 : stop], extensions))
        at = behind
    return Certificate(tuple(entries), context) if at == end else None


def _server_key_exchange(body: bytes, version: int | None, kex: str | None) -> ServerKeyExchange | None:
    if version != TLS12 or kex not in _CERTIFIED or len(body) < 4:
        return None
    curve, group, size = _CURVE(body)
    at = 4 + size
    if curve != 3 or at + 4 > len(body):
        return None
    scheme, left = _PAIR(body, at)
    if left != len(body) - at - 4:
        return None
    return ServerKeyExchange(kex, None, curve, group, (), body[4:at], scheme, body[at + 4 :])


def _client_key_exchange(body: bytes, version: int | None, kex: str | None) -> ClientKeyExchange | None:
    if kex not in _CERTIFIED or not body or body[0] != len(body) - 1:
        return None
    return ClientKeyExchange(kex, None, body[1:], 1)


_QUICK: dict[int, Callable[[bytes, int | None, str | None], Quick | None]] = {
    1: _client_hello,
    2: _server_hello,
    4: _ticket,
    8: _encrypted_extensions,
    11: _certificate,
    12: _server_key_exchange,
    15: _certificate_verify,
    16: _client_key_exchange,
}
