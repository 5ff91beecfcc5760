"""TLS messages in plain lines: ``describe(message)`` gives (label, value) pairs in the order of the octets.

For people who read a handshake: numbers get their names, long octet strings their length, lists their count.  No
colours, no judgement, no layout: a view decides what to show and how wide.  A malformed extension is shown as such
with its octets, an unknown one as octets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from synfin.errors import WireError
from synfin.wire.tls import bodies as b
from synfin.wire.tls import registry as names
from synfin.wire.tls import sslv2
from synfin.wire.tls.certificate import Certificate, CertificateRequest, CertificateStatus, CompressedCertificate
from synfin.wire.tls.exchange import CertificateVerify, ClientKeyExchange, ServerKeyExchange
from synfin.wire.tls.extensions import (
    CERTIFICATE,
    CERTIFICATE_REQUEST,
    CLIENT_HELLO,
    ENCRYPTED_EXTENSIONS,
    HELLO_RETRY_REQUEST,
    NEW_SESSION_TICKET,
    Decoded,
    Extension,
    decode_extension,
)
from synfin.wire.tls.hello import ClientHello, HelloRetryRequest, ServerHello, text
from synfin.wire.tls.messages import (
    EncryptedExtensions,
    Finished,
    KeyUpdate,
    Message,
    MessageHash,
    NewSessionTicket,
    NextProtocol,
    SupplementalData,
    Unknown,
)

Line = tuple[str, str]

_SHOWN = 16  # octets of a string that are shown before it is cut


def octets(data: bytes) -> str:
    """Octets as hex; long strings are cut and say how long they are."""
    if len(data) <= _SHOWN:
        return data.hex() or "empty"
    return f"{data[:_SHOWN].hex()}... ({len(data)} octets)"


def _size(data: bytes) -> str:
    return "1 octet" if len(data) == 1 else f"{len(data)} octets"


def _listed(values: Iterable[str]) -> str:
    """Values with commas, and how many when there are several."""
    found = list(values)
    if not found:
        return "none"
    return found[0] if len(found) == 1 else f"{', '.join(found)} ({len(found)})"


def _named(codes: Iterable[int], name: Callable[[int], str]) -> str:
    return _listed(name(code) for code in codes)


def _words(name: str) -> str:
    return name.replace("_", " ")


# ---------------------------------------------------------------- extensions

_LABELS = {
    0: "server name",
    10: "groups",
    11: "point formats",
    13: "signature algorithms",
    16: "ALPN",
    18: "certificate timestamps",
    27: "certificate compression",
    41: "pre-shared key",
    43: "versions",
    45: "PSK modes",
    50: "certificate signature algorithms",
    0xFE0D: "encrypted client hello",
}

_FRAGMENTS = {1: "512 octets", 2: "1024 octets", 3: "2048 octets", 4: "4096 octets"}
_HEARTBEATS = {1: "peer may send requests", 2: "peer must not send requests"}

_CODE_NAMES: dict[type[b.Codes], Callable[[int], str]] = {
    b.SupportedGroups: names.group_name,
    b.SignatureAlgorithms: names.signature_name,
    b.ECPointFormats: names.point_format_name,
    b.SupportedVersions: names.version_name,
    b.PskModes: names.psk_mode_name,
    b.CompressCertificate: names.certificate_compression_name,
    b.CertificateTypes: names.certificate_type_name,
    b.OuterExtensions: names.extension_name,
}


def _number(body: b.Number) -> str:
    if isinstance(body, b.SelectedVersion):
        return names.version_name(body.value)
    if isinstance(body, b.SelectedGroup):
        return names.group_name(body.value)
    if isinstance(body, b.SelectedCertificateType):
        return names.certificate_type_name(body.value)
    if isinstance(body, b.SelectedPsk):
        return f"identity {body.value}"
    if isinstance(body, b.MaxFragmentLength):
        return _FRAGMENTS.get(body.value, f"unknown {body.value}")
    if isinstance(body, b.Heartbeat):
        return _HEARTBEATS.get(body.value, f"unknown {body.value}")
    return f"{body.value} octets"  # RecordSizeLimit, MaxEarlyData


def _share(group: int, key: bytes) -> str:
    return f"{names.group_name(group)} ({_size(key)})"


def _ech(body: b.EncryptedClientHello) -> str:
    kind = names.ech_type_name(body.type)
    if body.kdf is None or body.aead is None:
        return kind
    suite = f"{names.hpke_kdf_name(body.kdf)}, {names.hpke_aead_name(body.aead)}"
    return f"{kind}, {suite}, config {body.config_id}, enc {_size(body.enc)}, payload {_size(body.payload)}"


def _status_type(code: int) -> str:
    return {1: "OCSP", 2: "OCSP for every certificate"}.get(code, f"type {code}")


def describe_body(body: Decoded) -> str:
    """One decoded extension body in words."""
    match body:
        case bytes():
            return octets(body)
        case b.Empty():
            return "yes"
        case b.Codes():
            return _named(body.codes, _CODE_NAMES[type(body)])
        case b.CertificateAuthorities():
            return _listed(_size(value) for value in body.values)
        case b.Strings():
            return _listed(text(value) for value in body.values)
        case b.Number():
            return _number(body)
        case b.SessionTicket() | b.RenegotiationInfo():
            return octets(body.value)
        case b.SrpUser():
            return text(body.value)
        case b.Padding():
            return _size(body.value)
        case b.Octets():
            return octets(body.value)
        case b.ServerName():
            return _listed(text(name) if kind == 0 else f"type {kind} {octets(name)}" for kind, name in body.names)
        case b.KeyShares():
            return _listed(_share(group, key) for group, key in body.entries)
        case b.KeyShare():
            return _share(body.group, body.key)
        case b.PreSharedKey():
            return _listed(f"identity of {_size(identity)}" for identity, _ in body.identities)
        case b.StatusRequest():
            return _status_type(body.status_type)
        case b.StatusResponse():
            return f"{_status_type(body.status_type)} response, {_size(body.response)}"
        case b.StatusRequestV2():
            return _listed(_status_type(kind) for kind, _ in body.requests)
        case b.SctList():
            return _listed(f"log {sct.log_id[:4].hex()}..." if sct.log_id else "unknown" for sct in body.scts)
        case b.EncryptedClientHello():
            return _ech(body)
        case b.DelegatedCredential():
            return f"{names.signature_name(body.expected_scheme)}, valid {body.valid_time} s after notBefore"
        case b.UseSrtp():
            return _listed(f"profile 0x{profile:04x}" for profile in body.profiles)
        case b.OIDFilters():
            return _listed(oid.hex() for oid, _ in body.filters)
        case b.TokenBinding():
            return f"version {body.major}.{body.minor}"
        case b.QuicTransportParameters():
            return _listed(f"0x{parameter.id:x}" for parameter in body.parameters)
    return type(body).__name__


def describe_extension(extension: Extension, context: str) -> Line:
    """One extension of the message ``context`` (see ``extensions.decode_extension``) as a line."""
    label = _LABELS.get(extension.type) or _words(names.extension_name(extension.type))
    try:
        return label, describe_body(decode_extension(extension, context))
    except WireError as error:
        return label, f"malformed ({error}): {octets(extension.body)}"


def _extensions(extensions: tuple[Extension, ...] | None, context: str) -> Iterator[Line]:
    if extensions is not None:
        yield "extensions", _named((extension.type for extension in extensions), names.extension_name)
        for extension in extensions:
            yield describe_extension(extension, context)


# ---------------------------------------------------------------- messages


def _client_hello(message: ClientHello) -> Iterator[Line]:
    yield "version", names.version_name(message.legacy_version)
    yield "random", message.random.hex()
    yield "session id", octets(message.session_id)
    yield "cipher suites", _named(message.cipher_suites, names.cipher_name)
    yield "compression", _named(message.compression_methods, names.compression_name)
    yield from _extensions(message.extensions, CLIENT_HELLO)


def _server_hello(message: ServerHello) -> Iterator[Line]:
    yield "version", names.version_name(message.legacy_version)
    yield "random", "HelloRetryRequest" if message.is_hello_retry_request else message.random.hex()
    yield "session id", octets(message.session_id)
    yield "cipher suite", names.cipher_name(message.cipher_suite)
    yield "compression", names.compression_name(message.compression_method)
    yield from _extensions(message.extensions, message.context)


def _draft_retry(message: HelloRetryRequest) -> Iterator[Line]:
    yield "version", names.version_name(message.version)
    if message.cipher_suite is not None:
        yield "cipher suite", names.cipher_name(message.cipher_suite)
    yield from _extensions(message.extensions, HELLO_RETRY_REQUEST)


def _certificate(message: Certificate) -> Iterator[Line]:
    if message.context:
        yield "context", octets(message.context)
    yield "certificates", _listed(_size(data) for data in message.certificates)
    for index, entry in enumerate(message.entries):
        for extension in entry.extensions or ():
            label, value = describe_extension(extension, CERTIFICATE)
            yield f"certificate {index + 1}: {label}", value


def _certificate_request(message: CertificateRequest) -> Iterator[Line]:
    if message.context is not None:
        yield "context", octets(message.context)
    if message.types is not None:
        yield "certificate types", _named(message.types, names.client_certificate_type_name)
    if message.signature_algorithms is not None:
        yield "signature algorithms", _named(message.signature_algorithms, names.signature_name)
    if message.authorities is not None:
        yield "authorities", _listed(_size(name) for name in message.authorities)
    yield from _extensions(message.extensions, CERTIFICATE_REQUEST)


def _signature(scheme: int | None, signature: bytes | None) -> Iterator[Line]:
    if signature is not None:
        algorithm = "" if scheme is None else f"{names.signature_name(scheme)}, "
        yield "signature", algorithm + _size(signature)


def _server_key_exchange(message: ServerKeyExchange) -> Iterator[Line]:
    if message.kex is not None:
        yield "key exchange", message.kex
    if message.hint is not None:
        yield "PSK hint", text(message.hint)
    if message.group is not None:
        yield "group", names.group_name(message.group)
    if message.prime_bits is not None:
        yield "prime", f"{message.prime_bits} bits"
    if message.public is not None:
        yield "public value", _size(message.public)
    yield from _signature(message.scheme, message.signature)
    if message.rest:
        yield "octets", octets(message.rest)


def _client_key_exchange(message: ClientKeyExchange) -> Iterator[Line]:
    if message.kex is not None:
        yield "key exchange", message.kex
    if message.identity is not None:
        yield "PSK identity", text(message.identity)
    if message.kex is not None and message.kex.startswith("RSA"):
        yield "encrypted premaster secret", _size(message.exchange)
    elif message.prefix:
        yield "public value", _size(message.exchange)
    elif message.exchange:  # of a layout that is not known
        yield "octets", octets(message.exchange)


def _ticket(message: NewSessionTicket) -> Iterator[Line]:
    yield "lifetime", f"{message.lifetime} s"
    yield "ticket", _size(message.ticket)
    yield from _extensions(message.extensions, NEW_SESSION_TICKET)


def _small(message: Message) -> Iterator[Line]:
    match message:
        case EncryptedExtensions():
            yield from _extensions(message.extensions, ENCRYPTED_EXTENSIONS)
        case CertificateStatus():
            yield "status", _status_type(message.status_type)
            yield "responses", _listed(_size(response) for response in message.responses)
        case CertificateVerify():
            yield from _signature(message.scheme, message.signature)
        case CompressedCertificate():
            yield "algorithm", names.certificate_compression_name(message.algorithm)
            yield "length", f"{len(message.data)} octets for {message.uncompressed_length}"
        case KeyUpdate():
            yield (
                "request",
                {0: "no update of the peer", 1: "peer must update too"}.get(
                    message.request_update, f"unknown {message.request_update}"
                ),
            )
        case Finished():
            yield "verify data", octets(message.data)
        case MessageHash():
            yield "hash", octets(message.data)
        case NextProtocol():
            yield "protocol", text(message.protocol)
        case SupplementalData():
            yield "entries", _listed(f"type {kind}, {_size(data)}" for kind, data in message.entries)
        case Unknown():
            yield "octets", octets(message.data)


def _v2(message: sslv2.Message) -> Iterator[Line]:
    match message:
        case sslv2.ClientHello():
            yield "version", names.version_name(message.version)
            yield "cipher suites", _named(message.cipher_specs, names.ssl2_cipher_name)
            yield "session id", octets(message.session_id)
            yield "challenge", octets(message.challenge)
        case sslv2.ServerHello():
            yield "version", names.version_name(message.version)
            yield "resumed", "yes" if message.session_id_hit else "no"
            yield "certificate", _size(message.certificate)
            yield "cipher suites", _named(message.cipher_specs, names.ssl2_cipher_name)
            yield "connection id", octets(message.connection_id)
        case sslv2.ClientMasterKey():
            yield "cipher suite", names.ssl2_cipher_name(message.cipher_kind)
            yield "clear key", _size(message.clear_key)
            yield "encrypted key", _size(message.encrypted_key)
        case sslv2.Error():
            yield "error", sslv2.ERRORS.get(message.code, f"unknown {message.code}")
        case sslv2.Other():
            yield "octets", octets(message.data)


def describe(message: Message | sslv2.Message) -> list[Line]:
    """What ``message`` says, as (label, value) lines in the order of its octets; trailing octets come last."""
    match message:
        case ClientHello():
            lines = _client_hello(message)
        case ServerHello():
            lines = _server_hello(message)
        case HelloRetryRequest():
            lines = _draft_retry(message)
        case Certificate():
            lines = _certificate(message)
        case CertificateRequest():
            lines = _certificate_request(message)
        case ServerKeyExchange():
            lines = _server_key_exchange(message)
        case ClientKeyExchange():
            lines = _client_key_exchange(message)
        case NewSessionTicket():
            lines = _ticket(message)
        case sslv2.ClientHello() | sslv2.ServerHello() | sslv2.ClientMasterKey() | sslv2.Error() | sslv2.Other():
            lines = _v2(message)
        case _:
            lines = _small(message)
    found = list(lines)
    trailing: bytes = getattr(message, "trailing", b"")
    if trailing:
        found.append(("trailing octets", octets(trailing)))
    return found
