"""TLS as it is spoken, a line each message: when, which way, its name and size, and the one or two facts that matter.

``Talk`` follows one connection, because what some messages look like depends on what was agreed before.  All fields of
every message are told by ``views.messages``, from the capture.  Octets of the other end are hostile: what cannot be
read is said so, and text goes through ``clean``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from synfin.errors import WireError
from synfin.spec.certificates import certificate_facts
from synfin.views.handshake import title
from synfin.views.paint import Paint
from synfin.views.words import clean, count, duration, listing, pad, shorten, width_of
from synfin.wire.tls.certificate import Certificate, CertificateRequest, CertificateStatus, CompressedCertificate
from synfin.wire.tls.exchange import CertificateVerify, ClientKeyExchange, ServerKeyExchange
from synfin.wire.tls.hello import ClientHello, ServerHello
from synfin.wire.tls.messages import (
    EncryptedExtensions,
    Finished,
    KeyUpdate,
    NewSessionTicket,
    ServerHelloDone,
    message_name,
    parse_handshake,
)
from synfin.wire.tls.registry import (
    alert_name,
    certificate_compression_name,
    cipher_name,
    group_name,
    handshake_name,
    is_grease,
    signature_name,
    version_name,
)
from synfin.wire.tls.suites import suite

#: Width of the page from which names and sizes stand in columns.
COLUMNS = 100
_TIME, _NAME, _SIZE = 8, 19, 6


class Said(NamedTuple):
    """One message: its name, its octets (of a handshake message), and facts, the most telling first."""

    name: str
    octets: int | None
    facts: tuple[str, ...]
    tone: str = ""


class Talk:
    """The messages of one connection, told in order."""

    def __init__(self) -> None:
        self._version: int | None = None
        self._kex: str | None = None

    def said(self, kind: str, raw: bytes) -> Said:
        """What the message says: ``kind`` is "handshake" (``raw`` with its header), "alert" or "change_cipher_spec"."""
        if kind == "change_cipher_spec":
            old = self._version is not None and self._version < 0x0304
            return Said("ChangeCipherSpec", None, ("sealed from here on" if old else "for middleboxes; says nothing",))
        if kind == "alert":
            return _alert(raw)
        try:
            body = parse_handshake(raw[0], raw[4:], version=self._version, kex=self._kex)
        except WireError as error:
            return Said(title(handshake_name(raw[0])), len(raw), (f"cannot be read: {clean(str(error))}",), "warn")
        if isinstance(body, ServerHello):
            self._version = body.supported_version or body.legacy_version
            known = suite(body.cipher_suite)
            self._kex = known.kex if known is not None else None
        teller = _TELLERS.get(type(body))
        return Said(title(message_name(body)), len(raw), tuple(filter(None, teller(body))) if teller else ())


def talk_heading(width: int) -> str:
    """What stands above the lines of ``talk_line``."""
    if width >= COLUMNS:
        return f"{'time':>{_TIME}}   {pad('message', _NAME)}{'octets':>{_SIZE}}"
    return f"{'time':>{_TIME}}   message, octets"


def talk_line(sent: bool, after: float, said: Said, width: int, paint: Paint) -> str:
    """``said``, ``after`` seconds from the ClientHello, in one line of at most ``width`` cells: facts that do not fit
    are left out, the last first."""
    size = "" if said.octets is None else f"{said.octets:,}"
    if width >= COLUMNS:
        head = f"{pad(said.name, _NAME)}{size:>{_SIZE}}  "
    else:
        head = f"{said.name}{f' {size}' if size else ''}{': ' if said.facts else ''}"
    room = width - _TIME - 3 - width_of(head)
    facts = [clean(fact) for fact in said.facts]
    while len(facts) > 1 and width_of(listing(facts)) > room:
        facts.pop()
    text = f"{head}{shorten(listing(facts), max(room, 8))}".rstrip()
    time = duration(round(after * 1e9)) if after > 1e-4 else "0 s"
    arrow = paint("client", "→") if sent else paint("server", "←")
    return f"{time:>{_TIME}} {arrow} {paint(said.tone, text)}"


def _alert(raw: bytes) -> Said:
    if len(raw) < 2:
        return Said("Alert", None, ("cut off",), "warn")
    if raw[1] == 0:
        return Said("close_notify", None, ("will send nothing more",))
    fatal = raw[0] == 2
    return Said(f"{'fatal ' if fatal else ''}alert", None, (alert_name(raw[1]),), "bad" if fatal else "warn")


# ---------------------------------------------------------------- facts of each message


def _names(codes: tuple[int, ...], name: Callable[[int], str]) -> list[str]:
    return [name(code) for code in codes if not is_grease(code)]


def _client_hello(hello: ClientHello) -> Iterator[str]:
    versions = _names(hello.supported_versions or (hello.legacy_version,), version_name)
    yield f"name {hello.sni}" if hello.sni else "no server name"
    yield " or ".join([*versions[:1], *(one.removeprefix("TLS ") for one in versions[1:])])
    yield f"ALPN {' or '.join(hello.alpn)}" if hello.alpn else ""
    yield count(len(_names(hello.cipher_suites, str)), "suite")


def _server_hello(hello: ServerHello) -> Iterator[str]:
    group = hello.key_share_group
    if hello.is_hello_retry_request:
        yield f"wants a share of {group_name(group)}" if group is not None else "wants its cookie back"
        return
    yield cipher_name(hello.cipher_suite)
    yield group_name(group) if group is not None else ""
    yield version_name(hello.supported_version or hello.legacy_version)


def _extensions(body: EncryptedExtensions) -> Iterator[str]:
    yield f"ALPN {body.alpn}" if body.alpn else ""
    names = [extension.name for extension in body.extensions if extension.type != 16]
    yield from names or ([] if body.alpn else ["none"])


def _certificate(body: Certificate) -> Iterator[str]:
    if not body.entries:
        yield "none to show"
        return
    leaf = certificate_facts(body.entries[0].data)
    yield f"{count(len(body.entries), 'certificate')}, the first for {leaf.label or '(no name)'}"
    if body.entries[0].extensions and any(extension.type == 5 for extension in body.entries[0].extensions):
        yield "OCSP stapled"


def _compressed(body: CompressedCertificate) -> Iterator[str]:
    yield f"by {certificate_compression_name(body.algorithm)}"
    yield f"{count(body.uncompressed_length, 'octet')} when unpacked"


def _request(body: CertificateRequest) -> Iterator[str]:
    yield "asks for our certificate"
    if body.authorities:
        yield f"of {count(len(body.authorities), 'authority', 'authorities')}"


def _verify(body: CertificateVerify) -> Iterator[str]:
    yield signature_name(body.scheme) if body.scheme is not None else ""
    yield "proves its certificate's key"


def _server_key(body: ServerKeyExchange) -> Iterator[str]:
    yield group_name(body.group) if body.group is not None else ""
    yield count(body.prime_bits, "bit") if body.prime_bits is not None else ""
    yield f"signed {signature_name(body.scheme)}" if body.scheme is not None else ""


def _client_key(body: ClientKeyExchange) -> Iterator[str]:
    yield "the premaster secret, encrypted" if body.kex in ("RSA", "RSA_PSK") else "public key"


def _ticket(body: NewSessionTicket) -> Iterator[str]:
    yield f"good for {body.lifetime:,} s"


#: By request_update (RFC 8446 4.6.3).
_UPDATES: dict[int, list[str]] = {0: [], 1: ["asks for ours too"]}
_TELLERS: dict[type[Any], Callable[[Any], Iterator[str]]] = {
    ClientHello: _client_hello,
    ServerHello: _server_hello,
    EncryptedExtensions: _extensions,
    Certificate: _certificate,
    CompressedCertificate: _compressed,
    CertificateRequest: _request,
    CertificateStatus: lambda body: iter([f"OCSP stapled, {count(sum(map(len, body.responses)), 'octet')}"]),
    CertificateVerify: _verify,
    ServerKeyExchange: _server_key,
    ServerHelloDone: lambda body: iter(["our turn"]),
    ClientKeyExchange: _client_key,
    NewSessionTicket: _ticket,
    KeyUpdate: lambda body: iter(_UPDATES.get(body.request_update, ["asks for what does not exist"])),
    Finished: lambda body: iter(["proves all of the handshake"]),
}
