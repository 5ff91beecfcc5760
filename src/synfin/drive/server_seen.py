"""A connection as the server sees it, as JSON: addresses, the kernel's TCP, what TLS agreed on, the client's hello."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from synfin.drive.pipe import Pipe
from synfin.drive.streams import PlainStream, TlsStream
from synfin.errors import WireError
from synfin.spec.certificates import certificate_facts
from synfin.wire.tls import registry
from synfin.wire.tls.fingerprint import ja3, ja4
from synfin.wire.tls.hello import ClientHello
from synfin.wire.tls.messages import parse_handshake
from synfin.wire.tls.records import HANDSHAKE, HEADER, read_header


def connection_seen(
    stream: TlsStream | PlainStream,
    *,
    protocol: str,
    started: float,
    handshake: float | None,
    early: bool,
    requests: int,
) -> dict[str, Any]:
    """What is known of a connection.  ``started`` in seconds since 1970, ``handshake`` its duration in seconds.

    ``early`` says that the handshake is not done: who asks did so in 0-RTT data.
    """
    pipe: Pipe = stream.pipe
    info = pipe.info()
    return {
        "client": {"address": pipe.remote[0], "port": pipe.remote[1]},
        "server": {"address": pipe.local[0], "port": pipe.local[1]},
        "protocol": protocol,
        "accepted": datetime.fromtimestamp(started, UTC).isoformat(timespec="microseconds"),
        "handshake_seconds": None if handshake is None else round(handshake, 6),
        "requests": requests,
        "tls": _tls(stream, early) if isinstance(stream, TlsStream) else None,
        "tcp": None if info is None else asdict(info),
    }


def _tls(stream: TlsStream, early: bool) -> dict[str, Any] | None:
    facts = stream.facts
    if facts is None:
        return None
    hello = client_hello(stream.opening)
    late = stream.authenticated  # after the handshake
    return {
        "version": registry.version_name(facts.version),
        "cipher_suite": registry.cipher_name(facts.suite),
        "group": None if facts.group is None else registry.group_name(facts.group),
        "server_signature": scheme_name(facts.own_signature),
        "client_signature": scheme_name(late.signature if late else facts.signature),
        "resumed": facts.resumed,
        "hello_retry_request": facts.retried,
        "early_data": facts.early_data,
        "answered_early": early,
        "alpn": None if facts.alpn is None else facts.alpn.decode("latin-1"),
        "server_name": facts.server_name,
        "extended_master_secret": facts.extended_master_secret,
        "encrypt_then_mac": facts.encrypt_then_mac,
        "client_certificate": certificate_seen(late.chain if late else facts.peer_chain),
        "client_hello": None if hello is None else _hello(hello),
    }


def scheme_name(code: int | None) -> str | None:
    """A signature scheme by its name."""
    return None if code is None else registry.signature_name(code)


def certificate_seen(chain: tuple[bytes, ...]) -> dict[str, Any] | None:
    """Whose certificate stands first in ``chain``; None where there is none."""
    if not chain:
        return None
    leaf = certificate_facts(chain[0])
    return {
        "subject": leaf.subject_text,
        "issuer": leaf.issuer_text,
        "serial": leaf.serial_hex,
        "names": [*leaf.hosts, *(value for _, value in leaf.san_other)],
        "not_before": _time(leaf.not_before),
        "not_after": _time(leaf.not_after),
        "sha256": leaf.sha256,
        "chain": len(chain),
    }


def _time(nanoseconds: int | None) -> str | None:
    if nanoseconds is None:
        return None
    try:
        return datetime.fromtimestamp(nanoseconds / 1e9, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return None


def _hello(hello: ClientHello) -> dict[str, Any]:
    schemes = [registry.signature_name(code) for code in hello.signature_algorithms]
    return {
        "ja3": ja3(hello)[0],
        "ja4": ja4(hello),
        "versions": [registry.version_name(code) for code in hello.supported_versions or (hello.legacy_version,)],
        "cipher_suites": [registry.cipher_name(code) for code in hello.cipher_suites],
        "groups": [registry.group_name(code) for code in hello.groups],
        "signature_algorithms": schemes,
        "extensions": [registry.extension_name(extension[0]) for extension in hello.extensions or ()],
    }


def client_hello(opening: bytes) -> ClientHello | None:
    """The first ClientHello in the first octets of a connection, or None."""
    message = bytearray()
    at = 0
    while (head := read_header(opening, at)) is not None and head.type == HANDSHAKE:
        message += opening[at + HEADER : at + HEADER + head.length]
        at += HEADER + head.length
        if len(message) >= 4 and len(message) >= 4 + int.from_bytes(message[1:4], "big"):
            break
    if len(message) < 4 or message[0] != 1:
        return None
    try:
        found = parse_handshake(1, bytes(message[4 : 4 + int.from_bytes(message[1:4], "big")]))
    except WireError:
        return None
    return found if isinstance(found, ClientHello) else None
