"""TLS in words: every handshake message with its fields, alerts, key switches, and what stayed encrypted.

A message is told at the packet that brought its last octet, with how many segments it took and why (the MSS); packets
before it say of which message they carry a part.  What is under encryption and was not opened is named by its place and
marked as such: a guess is never told as a reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from synfin.errors import WireError
from synfin.observe.story import AlertFact, ChainFact, Connection, MessageFact, RecordFact, TlsStory
from synfin.spec.certificates import CertificateFacts
from synfin.views.told import DATA_PLACE, EVENT, ROUTINE, TURN, Item, Note
from synfin.views.words import clean, count, listing, octets, readable
from synfin.wire.tls import bodies, sslv2
from synfin.wire.tls.certificate import Certificate, CertificateRequest, CertificateStatus, CompressedCertificate
from synfin.wire.tls.exchange import CertificateVerify, ClientKeyExchange, ServerKeyExchange
from synfin.wire.tls.extensions import Extension, decode_extension
from synfin.wire.tls.hello import ClientHello, ServerHello
from synfin.wire.tls.messages import EncryptedExtensions, Finished, KeyUpdate, NewSessionTicket
from synfin.wire.tls.registry import (
    alert_name,
    certificate_compression_name,
    cipher_name,
    client_certificate_type_name,
    compression_name,
    group_name,
    is_grease,
    point_format_name,
    psk_mode_name,
    signature_name,
    ssl2_cipher_name,
    version_name,
)

CCS, ALERT, HANDSHAKE, DATA, HEARTBEAT = 20, 21, 22, 23, 24
TLS13 = 0x0304
#: Names told of a list; the bytes view and JSON have all of them.
MOST = 8

_HEADER = 5
_RECORDS = {HANDSHAKE: "a handshake record", DATA: "an application data record"}

_NAMES = {
    "client_hello": "ClientHello",
    "server_hello": "ServerHello",
    "hello_retry_request": "HelloRetryRequest",
    "certificate": "Certificate",
    "server_key_exchange": "ServerKeyExchange",
    "client_key_exchange": "ClientKeyExchange",
    "certificate_request": "CertificateRequest",
    "certificate_verify": "CertificateVerify",
    "certificate_status": "CertificateStatus",
    "server_hello_done": "ServerHelloDone",
    "new_session_ticket": "NewSessionTicket",
    "encrypted_extensions": "EncryptedExtensions",
    "end_of_early_data": "EndOfEarlyData",
    "compressed_certificate": "CompressedCertificate",
}


def title(name: str) -> str:
    """The message's name as the RFCs write it: ``ClientHello`` for ``client_hello``."""
    return _NAMES.get(name) or _camel(name)


def _camel(name: str) -> str:
    if name.startswith("v2_"):
        return f"SSL 2.0 {_camel(name[3:])}"
    return "".join(word.capitalize() for word in name.split("_"))


def notes(connection: Connection) -> Iterator[Note]:
    """Everything TLS said, each at the packet where it is told."""
    tls = connection.tls
    if tls is None:
        return
    for message in tls.messages:
        yield Note(_last(message), (0, message.offset), _message(message, tls, connection))
    for alert in tls.alerts:
        yield Note(alert.packet, (0, 1 << 62), _alert(alert, tls))
    yield from _records(tls)
    for evidence, why in tls.problems:
        for packet in evidence.packets[:1]:
            yield Note(packet, (1, evidence.offset or 0), Item(f"TLS problem: {clean(why)}", (), EVENT, "warn"))


def parts(connection: Connection) -> Iterator[tuple[int, str]]:
    """Packets that only carry a part of a handshake message or record, and of which."""
    tls = connection.tls
    if tls is None:
        return
    for record in tls.records:
        carried = connection.streams[record.sender].packets(record.offset, record.length + _HEADER)
        what = f"part of {_RECORDS.get(record.type, 'a record')} of {count(record.length, 'octet')}"
        for packet in carried[:-1]:
            yield packet, what
    for message in tls.messages:
        last = _last(message)
        number = len(message.packets)
        for place, packet in enumerate(message.packets, 1):
            if packet != last:
                yield packet, f"part of {title(message.name)} (segment {place} of {number})"


def _last(message: MessageFact) -> int:
    return max(message.packets, default=0)


# ---------------------------------------------------------------- records


def _records(tls: TlsStory) -> Iterator[Note]:
    """ChangeCipherSpec, what stayed encrypted, and application data, summed up per packet."""
    opened = {(message.sender, message.offset) for message in tls.messages if message.decrypted}
    sealed: dict[tuple[int, int, str], list[int]] = {}
    turn: int | None = None  # who sent application data last
    said = _said(tls)
    finished = [False, False]
    for record in tls.records:
        at = (record.sender, record.packet)
        if record.type == CCS:
            after = " (says nothing in TLS 1.3; for old middleboxes)" if _is13(tls) else ": from here on encrypted"
            yield Note(record.packet, (0, record.offset), Item(f"ChangeCipherSpec{after}", short="ChangeCipherSpec"))
        elif record.type == HANDSHAKE and record.protected and (record.sender, record.offset) not in opened:
            name = "encrypted handshake message"
            if not finished[record.sender]:
                name = "Finished (encrypted; by its place)"
            finished[record.sender] = True
            yield Note(
                record.packet,
                (0, record.offset),
                Item(f"{name}, {count(record.length, 'octet')}", short=name.partition(" (")[0]),
            )
        elif record.type == HEARTBEAT:
            hidden = " (encrypted)" if record.protected else " in clear"
            yield Note(record.packet, (0, record.offset), Item(f"Heartbeat{hidden}, {count(record.length, 'octet')}"))
        elif record.type == DATA and record.inner_type in (None, DATA):
            kind = _data_kind(record, tls)
            sealed.setdefault((*at, kind), []).append(record.length)
    for (sender, packet, kind), lengths in sealed.items():
        total = count(sum(lengths), "octet")
        many = f" in {len(lengths)} records" if len(lengths) > 1 else ""
        weight = EVENT if kind.startswith("encrypted handshake") else ROUTINE if sender == turn else TURN
        if weight != EVENT:
            turn = sender
        text = f"{kind}, {total}{many}"
        if weight != EVENT and (line := said.get((sender, packet))):
            text = f"“{line}” ({total}, decrypted)"
        yield Note(packet, DATA_PLACE, Item(text, (), weight, "" if weight else "dim"))


def _said(tls: TlsStory) -> dict[tuple[int, int], str]:
    """The first line of decrypted data that is text, by sender and packet."""
    lines: dict[tuple[int, int], str] = {}
    for sender, stream in enumerate(tls.data or ()):
        for piece in stream.pieces:
            if (sender, piece.packet) not in lines:
                lines[sender, piece.packet] = readable(piece.data)
    return lines


def _is13(tls: TlsStory) -> bool:
    return tls.version is not None and (tls.version == TLS13 or tls.version >> 8 == 0x7F)


def _data_kind(record: RecordFact, tls: TlsStory) -> str:
    if record.inner_type == DATA:
        return "application data (decrypted)"
    done = tls.handshake_done_time
    if _is13(tls) and (done is None or record.time <= done):
        if record.sender != tls.client:
            return "encrypted handshake (by its place EncryptedExtensions to Finished)"
        return "encrypted handshake (by its place the client's Finished)"
    return "application data (encrypted)" if record.protected else "application data in clear"


# ---------------------------------------------------------------- alerts


def _alert(alert: AlertFact, tls: TlsStory) -> Item:
    if alert.description is None:
        if alert.packet == tls.close_notify[alert.sender]:
            return Item("close_notify (encrypted alert; by its place)", short="close_notify")
        return Item("alert (encrypted)", (), EVENT, "warn" if not tls.handshake_done else "")
    name = alert_name(alert.description)
    how = " (decrypted)" if alert.decrypted else ""
    if alert.description == 0:
        return Item(f"close_notify{how}: will send no more TLS data", short="close_notify")
    level = "fatal alert" if alert.level == 2 else "alert"
    return Item(f"{level} {name}{how}", (), EVENT, "bad" if alert.level == 2 else "note")


# ---------------------------------------------------------------- messages


def _message(message: MessageFact, tls: TlsStory, connection: Connection) -> Item:
    text = title(message.name)
    size = count(message.length, "octet")
    how = " (decrypted)" if message.decrypted else ""
    if len(message.packets) > 1:
        syn = connection.tcp.sides[1 - message.sender].syn
        mss = f", MSS {syn.mss:,}" if syn is not None and syn.mss is not None else ""
        text += f"{how}, {size} over {len(message.packets)} segments{mss}"
    else:
        text += f"{how}, {size}"
    teller = _TELLERS.get(type(message.body))
    lines: list[str] = list(teller(message.body)) if teller is not None else []
    if isinstance(message.body, (Certificate, CompressedCertificate)):
        lines += _chain(message, tls, connection)
    if message.problem:
        lines.append(f"could not be read: {clean(message.problem)}")
    return Item(text, tuple(lines), EVENT, "warn" if message.problem else "", title(message.name))


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
    return _body(body, extension.type)


def _text(value: bytes) -> str:
    return clean(value.decode("utf-8", "backslashreplace"))


_CODE_NAMES: dict[type[bodies.Codes], Callable[[int], str]] = {
    bodies.SupportedGroups: group_name,
    bodies.SignatureAlgorithms: signature_name,
    bodies.ECPointFormats: point_format_name,
    bodies.SupportedVersions: version_name,
    bodies.PskModes: psk_mode_name,
    bodies.CompressCertificate: certificate_compression_name,
}


def _body(body: Any, number: int) -> str:
    match body:
        case bodies.ServerName():
            return listing(_text(name.name) for name in body.names)
        case bodies.Codes():
            return _codes(body.codes, _CODE_NAMES.get(type(body), str))
        case bodies.Strings():
            return listing(_text(value) for value in body.values)
        case bodies.SelectedVersion():
            return version_name(body.value)
        case bodies.SelectedGroup():
            return group_name(body.value)
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
        case bodies.SctList():
            return count(len(body.scts), "timestamp")
        case bodies.Number():
            return f"{body.value:,}"
        case bodies.Padding():
            return count(len(body.value), "octet")
        case bodies.Octets():
            return octets(body.value, 16) if body.value else ""
        case bytes():
            return octets(body, 16)
    return ""


def _certificates(body: Certificate) -> Iterator[str]:
    if not body.entries:
        yield "no certificate"


def _chain(message: MessageFact, tls: TlsStory, connection: Connection) -> Iterator[str]:
    chain = next(
        (chain for chain in tls.chains if chain.sender == message.sender and set(chain.packets) & set(message.packets)),
        None,
    )
    if chain is not None:
        number = count(len(chain.facts), "certificate")
        yield f"{number}, the first for {clean(chain.facts[0].label)}" if chain.facts else number


def certificate_lines(chain: ChainFact) -> Iterator[str]:
    """What each certificate of ``chain`` says, leaf first: a line to name it and one for what counts."""
    for place, facts in enumerate(chain.facts, 1):
        if not facts.parsed:
            yield f"{place}. cannot be read: {clean(facts.why)}"
            continue
        yield f"{place}. {clean(facts.subject_text) or '(no subject)'}"
        names = [clean(name) for name in (*(facts.san_dns or ()), *(facts.san_ip or ()))]
        if names:
            yield f"   for {listing(names, 8)}"
        issuer = "itself" if facts.self_issued else clean(facts.issuer_text)
        yield f"   {facts.key_text}; {facts.not_before_text} to {facts.not_after_text}{_age(facts, chain.time)}"
        yield f"   signed {facts.sig_name} by {issuer}"
        yield f"   SHA-256 {facts.sha256}"


def _age(facts: CertificateFacts, now: int) -> str:
    """What the capture's clock makes of the dates."""
    if facts.not_after is not None and now > facts.not_after:
        return f", expired {duration_words(now - facts.not_after)} before the capture"
    if facts.not_before is not None and now < facts.not_before:
        return f", not valid until {duration_words(facts.not_before - now)} after the capture"
    return ""


def duration_words(ns: int) -> str:
    """A stretch of time in days, or hours when it is short."""
    hours = ns // 3_600_000_000_000
    return count(hours // 24, "day") if hours >= 48 else count(hours, "hour")


def _server_key(body: ServerKeyExchange) -> Iterator[str]:
    words = [body.kex or "unknown layout"]
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
    what = "encrypted premaster secret" if body.kex in ("RSA", "RSA_PSK", "RSA_EXPORT") else "public key"
    yield f"{what} {octets(body.exchange, 16)}"


def _verify(body: CertificateVerify) -> Iterator[str]:
    scheme = f"{signature_name(body.scheme)}, " if body.scheme is not None else ""
    yield f"signature {scheme}{count(len(body.signature), 'octet')}"


def _request(body: CertificateRequest) -> Iterator[str]:
    if body.types:
        yield f"certificate types {listing(client_certificate_type_name(kind) for kind in body.types)}"
    if body.signature_algorithms:
        yield f"signatures {_codes(body.signature_algorithms, signature_name)}"
    if body.authorities is not None:
        yield f"{count(len(body.authorities), 'acceptable authority', 'acceptable authorities')}"
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
    sslv2.ClientHello: _v2_client_hello,
    sslv2.ServerHello: _v2_server_hello,
    sslv2.ClientMasterKey: _v2_master_key,
}
