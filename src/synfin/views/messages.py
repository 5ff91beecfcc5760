"""What each TLS handshake message says, in lines: versions, suites, extensions, keys, tickets.

One short function per message, all of them in one table by the class of the parsed body (``wire.tls``).  Names come
from the registries; long lists are cut and counted, the bytes view and JSON have them whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from synfin.errors import WireError
from synfin.views.words import clean, count, listing, octets
from synfin.wire.tls import bodies, sslv2
from synfin.wire.tls.certificate import Certificate, CertificateRequest, CertificateStatus
from synfin.wire.tls.exchange import CertificateVerify, ClientKeyExchange, ServerKeyExchange
from synfin.wire.tls.extensions import Extension, decode_extension
from synfin.wire.tls.hello import ClientHello, ServerHello
from synfin.wire.tls.messages import EncryptedExtensions, Finished, KeyUpdate, NewSessionTicket, NextProtocol
from synfin.wire.tls.registry import (
    certificate_compression_name,
    certificate_type_name,
    cipher_name,
    client_certificate_type_name,
    compression_name,
    extension_name,
    group_name,
    is_grease,
    point_format_name,
    psk_mode_name,
    signature_name,
    ssl2_cipher_name,
    version_name,
)

#: Names told of a list; the bytes view and JSON have all of them.
MOST = 8


def message_lines(body: Any) -> Iterator[str]:
    """What the parsed message ``body`` says; nothing for a message without fields or one that could not be read."""
    teller = _TELLERS.get(type(body))
    if teller is not None:
        yield from teller(body)


def _client_hello(hello: ClientHello) -> Iterator[str]:
    yield f"version {version_name(hello.legacy_version)}" + (
        "" if not hello.supported_versions else f", offers {_codes(hello.supported_versions, version_name)}"
    )
    yield f"random {hello.random.hex()}"
    yield f"session id {octets(hello.session_id)}" if hello.session_id else "session id none"
    yield f"{count(len(hello.cipher_suites), 'cipher suite')}: {_codes(hello.cipher_suites, cipher_name)}"
    yield f"compression {listing(compression_name(method) for method in hello.compression_methods)}"
    yield from _extensions(hello.extensions, "client_hello")


def _server_hello(hello: ServerHello) -> Iterator[str]:
    chosen = hello.supported_version
    yield f"version {version_name(hello.legacy_version)}" + (f", chosen {version_name(chosen)}" if chosen else "")
    yield f"random {hello.random.hex()}"
    yield f"session id {octets(hello.session_id)}" if hello.session_id else "session id none"
    yield f"cipher suite {cipher_name(hello.cipher_suite)}"
    yield f"compression {compression_name(hello.compression_method)}"
    yield from _extensions(hello.extensions, hello.context)


def _codes(codes: tuple[int, ...], name: Callable[[int], str]) -> str:
    """Names of the first ``MOST`` codes as sent; GREASE (RFC 8701) is only said to be there."""
    names = [name(code) for code in codes if not is_grease(code)]
    grease = len(codes) - len(names)
    return listing(names, MOST) + (", GREASE" if grease else "")


def _extensions(extensions: tuple[Extension, ...] | None, context: str) -> Iterator[str]:
    if not extensions:
        yield "no extensions"
        return
    yield f"{count(len(extensions), 'extension')}:"
    plain = []
    for extension in extensions:
        said = _extension(extension, context)
        if said:
            yield f"  {extension.name} {said}"
        else:
            plain.append("GREASE" if is_grease(extension.type) else extension.name)
    if plain:
        yield f"  {listing(plain)}"


def _extension(extension: Extension, context: str) -> str:
    """What an extension carries, in words; empty where its presence says it all."""
    if not extension.body or is_grease(extension.type):
        return ""
    try:
        body = decode_extension(extension, context)
    except WireError as error:
        return f"malformed: {error}"
    return _body(body)


def _text(value: bytes) -> str:
    return clean(value.decode("utf-8", "backslashreplace"))


_CODE_NAMES: dict[type[bodies.Codes], Callable[[int], str]] = {
    bodies.SupportedGroups: group_name,
    bodies.SignatureAlgorithms: signature_name,
    bodies.ECPointFormats: point_format_name,
    bodies.SupportedVersions: version_name,
    bodies.PskModes: psk_mode_name,
    bodies.CompressCertificate: certificate_compression_name,
    bodies.CertificateTypes: certificate_type_name,
    bodies.OuterExtensions: extension_name,
}
_HEARTBEATS = {1: "the peer may send requests", 2: "the peer must not send requests"}


def _body(body: Any) -> str:
    match body:
        case bodies.ServerName():
            return listing(_text(name.name) for name in body.names)
        case bodies.Codes():
            return _codes(body.codes, _CODE_NAMES.get(type(body), str))
        case bodies.CertificateAuthorities():
            return _authorities(len(body.values))
        case bodies.Strings():
            return listing(_text(value) for value in body.values)
        case bodies.SelectedVersion():
            return version_name(body.value)
        case bodies.SelectedGroup():
            return group_name(body.value)
        case bodies.SelectedCertificateType():
            return certificate_type_name(body.value)
        case bodies.MaxFragmentLength() if 1 <= body.value <= 4:
            return count(256 << body.value, "octet")
        case bodies.Heartbeat() if body.value in _HEARTBEATS:
            return _HEARTBEATS[body.value]
        case bodies.KeyShares():
            shares = [(group_name(group), len(key)) for group, key in body.entries if not is_grease(group)]
            return listing(f"{name} ({count(size, 'octet')})" for name, size in shares)
        case bodies.KeyShare():
            return f"{group_name(body.group)}, {count(len(body.key), 'octet')} of key"
        case bodies.PreSharedKey():
            return f"{count(len(body.identities), 'identity', 'identities')}"
        case bodies.StatusRequest():
            return "OCSP" if body.status_type == 1 else f"type {body.status_type}"
        case bodies.EncryptedClientHello():
            return f"{count(len(body.payload), 'octet')} sealed (real or GREASE)" if body.type == 0 else "inner"
        case bodies.DelegatedCredential():
            return f"{signature_name(body.expected_scheme)}, valid {body.valid_time:,} s after the certificate's start"
        case bodies.SctList():
            return count(len(body.scts), "timestamp")
        case bodies.Number():
            return f"{body.value:,}"
        case bodies.Padding():
            return count(len(body.value), "octet")
        case bodies.SrpUser():
            return _text(body.value)
        case bodies.Octets():
            return octets(body.value, 16) if body.value else ""
        case bytes():
            return octets(body, 16)
    return ""


def _authorities(number: int) -> str:
    return count(number, "acceptable authority", "acceptable authorities")


def _certificates(body: Certificate) -> Iterator[str]:
    if not body.entries:
        yield "no certificate"


def _server_key(body: ServerKeyExchange) -> Iterator[str]:
    words = [body.kex or "unknown layout"]
    if body.hint:
        words.append(f"PSK identity hint {_text(body.hint)}")
    if body.group is not None:
        words.append(f"group {group_name(body.group)}")
    if body.prime_bits is not None:
        words.append(f"prime of {body.prime_bits:,} bits")
    if body.public is not None:
        words.append(f"public key {octets(body.public, 16)}")
    yield listing(words)
    if body.signature is not None:
        scheme = f" by {signature_name(body.scheme)}" if body.scheme is not None else ""
        yield f"signed{scheme}, {count(len(body.signature), 'octet')}"


def _client_key(body: ClientKeyExchange) -> Iterator[str]:
    if body.identity is not None:
        yield f"PSK identity {_text(body.identity)}"
    if body.kex is not None and body.kex.startswith("RSA"):
        yield f"encrypted premaster secret {octets(body.exchange, 16)}"
    elif body.prefix:
        yield f"public key {octets(body.exchange, 16)}"
    elif body.exchange:
        yield f"unknown layout, {octets(body.exchange, 16)}"


def _verify(body: CertificateVerify) -> Iterator[str]:
    scheme = f"{signature_name(body.scheme)}, " if body.scheme is not None else ""
    yield f"signature {scheme}{count(len(body.signature), 'octet')}"


def _request(body: CertificateRequest) -> Iterator[str]:
    if body.types:
        yield f"certificate types {listing(client_certificate_type_name(kind) for kind in body.types)}"
    if body.signature_algorithms:
        yield f"signatures {_codes(body.signature_algorithms, signature_name)}"
    if body.authorities is not None:
        yield _authorities(len(body.authorities))
    if body.extensions:
        yield from _extensions(body.extensions, "certificate_request")


def _ticket(body: NewSessionTicket) -> Iterator[str]:
    yield f"ticket of {count(len(body.ticket), 'octet')}, good for {body.lifetime:,} s"


def _finished(body: Finished) -> Iterator[str]:
    yield f"verify data {octets(body.data)}"


def _v2_client_hello(body: sslv2.ClientHello) -> Iterator[str]:
    yield f"version {version_name(body.version)}"
    yield f"{count(len(body.cipher_specs), 'cipher kind')}: {listing(map(ssl2_cipher_name, body.cipher_specs), MOST)}"
    yield f"challenge {octets(body.challenge)}"


def _v2_server_hello(body: sslv2.ServerHello) -> Iterator[str]:
    yield f"version {version_name(body.version)}"
    yield f"{count(len(body.cipher_specs), 'cipher kind')}: {listing(map(ssl2_cipher_name, body.cipher_specs), MOST)}"
    if body.certificate:
        yield f"certificate of {count(len(body.certificate), 'octet')}"


def _v2_master_key(body: sslv2.ClientMasterKey) -> Iterator[str]:
    yield f"cipher kind {ssl2_cipher_name(body.cipher_kind)}"


_TELLERS: dict[type[Any], Callable[[Any], Iterator[str]]] = {
    ClientHello: _client_hello,
    ServerHello: _server_hello,
    EncryptedExtensions: lambda body: _extensions(body.extensions, "encrypted_extensions"),
    Certificate: _certificates,
    CertificateRequest: _request,
    CertificateStatus: lambda body: iter([f"stapled OCSP response, {count(sum(map(len, body.responses)), 'octet')}"]),
    CertificateVerify: _verify,
    ServerKeyExchange: _server_key,
    ClientKeyExchange: _client_key,
    NewSessionTicket: _ticket,
    KeyUpdate: lambda body: iter(["asks the peer to update too"] if body.request_update else []),
    Finished: _finished,
    NextProtocol: lambda body: iter([f"protocol {_text(body.protocol)}"]),
    sslv2.ClientHello: _v2_client_hello,
    sslv2.ServerHello: _v2_server_hello,
    sslv2.ClientMasterKey: _v2_master_key,
    sslv2.Error: lambda body: iter([sslv2.ERRORS.get(body.code, f"code {body.code}")]),
}
