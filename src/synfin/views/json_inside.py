"""The parts of the JSON view that lie inside TCP: TLS and HTTP, and the small shapes everything uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from synfin.observe.evidence import Evidence
from synfin.observe.story_http import HttpMessage, HttpStory
from synfin.observe.story_tls import AlertFact, ChainFact, MessageFact, TlsStory
from synfin.observe.stream import ByteStream
from synfin.spec.certificates import CertificateFacts
from synfin.views.outcome import SIDES
from synfin.wire.tls.hello import ClientHello, ServerHello
from synfin.wire.tls.registry import alert_name, cipher_name, group_name, version_name

Json = dict[str, Any]


def time_text(ns: int | None) -> str | None:
    """Seconds since 1970 with nine places."""
    if ns is None:
        return None
    sign, ns = ("-", -ns) if ns < 0 else ("", ns)
    return f"{sign}{ns // 1_000_000_000}.{ns % 1_000_000_000:09d}"


def side_name(side: int | None) -> str | None:
    """``client`` or ``server``."""
    return None if side is None else SIDES[side]


def stream_json(stream: ByteStream) -> Json:
    """How far a stream goes and what is missing in it."""
    return {
        "end": stream.end,
        "holes": [
            {"offset": hole.offset, "length": hole.length, "acknowledged": hole.acknowledged} for hole in stream.holes
        ],
    }


def problems_json(problems: Sequence[tuple[Evidence, str]]) -> list[Json]:
    """Problems with their evidence."""
    return [{"evidence": evidence_json(evidence), "why": why} for evidence, why in problems]


def evidence_json(evidence: Evidence) -> Json:
    """Where a fact stands."""
    return {
        "packets": list(evidence.packets),
        "sender": side_name(evidence.sender),
        "offset": evidence.offset,
        "length": evidence.length,
        "field": evidence.field,
    }


# ---------------------------------------------------------------- TLS


def tls_json(tls: TlsStory | None) -> Json | None:
    """The TLS part."""
    if tls is None:
        return None
    return {
        "client": SIDES[tls.client],
        "start": dict(zip(SIDES, tls.start, strict=True)),
        "version": _code(tls.version, version_name),
        "cipher": _code(tls.cipher, cipher_name),
        "group": _code(tls.group, group_name),
        "alpn": tls.alpn,
        "sni": tls.sni,
        "sslv2": tls.sslv2,
        "resumed": tls.resumed,
        "early_data": tls.early_data,
        "hello_retry": tls.hello_retry is not None,
        "certificate_requested": tls.certificate_requested,
        "new_session_ticket": tls.new_session_ticket,
        "certificate_status": tls.certificate_status,
        "handshake_done": tls.handshake_done,
        "handshake_done_time": time_text(tls.handshake_done_time),
        "close_notify": dict(zip(SIDES, tls.close_notify, strict=True)),
        "client_hello": _client_hello(tls.client_hello),
        "client_hello_2": _client_hello(tls.client_hello_2),
        "server_hello": _server_hello(tls.server_hello),
        "messages": [_message(message) for message in tls.messages],
        "alerts": [_alert(alert) for alert in tls.alerts],
        "records": _records(tls),
        "certificates": [_chain(chain) for chain in tls.chains],
        "ja3": tls.ja3,
        "ja3_full": tls.ja3_full,
        "ja3s": tls.ja3s,
        "ja3s_full": tls.ja3s_full,
        "ja4": tls.ja4,
        "decryption": {
            side: {
                "opened": str(opened.opened),
                "why": opened.why,
                "records": opened.records,
                "failed_packet": opened.failed_packet,
            }
            for side, opened in zip(SIDES, tls.decryption, strict=True)
        },
        "decrypted": (
            {side: stream_json(stream) for side, stream in zip(SIDES, tls.data, strict=True)}
            if tls.data is not None
            else None
        ),
        "problems": problems_json(tls.problems),
    }


def _code(code: int | None, name: Any) -> Json | None:
    return None if code is None else {"code": code, "name": name(code)}


def _extensions(hello: ClientHello | ServerHello) -> list[Json]:
    return [{"type": e.type, "name": e.name, "body": e.body.hex()} for e in hello.extensions or ()]


def _client_hello(message: MessageFact | None) -> Json | None:
    hello = message.body if message is not None else None
    if not isinstance(hello, ClientHello):
        return None
    return {
        "legacy_version": hello.legacy_version,
        "random": hello.random.hex(),
        "session_id": hello.session_id.hex(),
        "cipher_suites": list(hello.cipher_suites),
        "compression_methods": list(hello.compression_methods),
        "extensions": _extensions(hello),
        "supported_versions": list(hello.supported_versions),
        "groups": list(hello.groups),
        "key_share_groups": list(hello.key_share_groups),
        "signature_algorithms": list(hello.signature_algorithms),
        "alpn": list(hello.alpn),
        "psk": hello.psk_offered,
        "early_data": hello.early_data,
        "ech": hello.ech,
    }


def _server_hello(message: MessageFact | None) -> Json | None:
    hello = message.body if message is not None else None
    if not isinstance(hello, ServerHello):
        return None
    return {
        "legacy_version": hello.legacy_version,
        "selected_version": hello.selected_version,
        "random": hello.random.hex(),
        "session_id": hello.session_id.hex(),
        "cipher_suite": hello.cipher_suite,
        "compression_method": hello.compression_method,
        "extensions": _extensions(hello),
    }


def _message(message: MessageFact) -> Json:
    return {
        "sender": SIDES[message.sender],
        "type": message.type,
        "name": message.name,
        "offset": message.offset,
        "length": message.length,
        "packets": list(message.packets),
        "time": time_text(message.time),
        "decrypted": message.decrypted,
        "problem": message.problem,
    }


def _alert(alert: AlertFact) -> Json:
    return {
        "sender": SIDES[alert.sender],
        "level": alert.level,
        "description": alert.description,
        "name": alert_name(alert.description) if alert.description is not None else None,
        "protected": alert.protected,
        "decrypted": alert.decrypted,
        "packet": alert.packet,
        "time": time_text(alert.time),
    }


def _records(tls: TlsStory) -> Json:
    """Records by sender and outer type: how many, and how many octets of fragments."""
    counted: dict[str, dict[int, list[int]]] = {side: {} for side in SIDES}
    for record in tls.records:
        entry = counted[SIDES[record.sender]].setdefault(record.type, [0, 0])
        entry[0] += 1
        entry[1] += record.length
    return {
        side: [{"type": kind, "count": entry[0], "octets": entry[1]} for kind, entry in sorted(kinds.items())]
        for side, kinds in counted.items()
    }


def _chain(chain: ChainFact) -> Json:
    return {
        "sender": SIDES[chain.sender],
        "packets": list(chain.packets),
        "segments": chain.segments,
        "time": time_text(chain.time),
        "chain": [_certificate(facts) for facts in chain.facts],
    }


def _certificate(facts: CertificateFacts) -> Json:
    return {
        "sha256": facts.sha256,
        "parsed": facts.parsed,
        "problems": list(facts.problems),
        "subject": [list(pair) for pair in facts.subject],
        "subject_text": facts.subject_text,
        "issuer": [list(pair) for pair in facts.issuer],
        "issuer_text": facts.issuer_text,
        "serial": facts.serial_hex.lower(),
        "not_before": facts.not_before_text or None,
        "not_after": facts.not_after_text or None,
        "key": {"kind": facts.key[0], "bits": facts.key[1]},
        "signature": {"oid": facts.sig_alg, "name": facts.sig_name},
        "san_dns": list(facts.san_dns) if facts.san_dns is not None else None,
        "san_ip": list(facts.san_ip) if facts.san_ip is not None else None,
        "is_ca": facts.is_ca,
        "der": facts.der.hex(),
    }


def http_json(http: HttpStory | None) -> Json | None:
    """An HTTP part."""
    if http is None:
        return None
    return {
        "protocol": http.protocol,
        "tls": http.tls,
        "switched": http.switched,
        "messages": [_http_message(message) for message in http.messages],
        "frames": [
            {
                "sender": SIDES[event.sender],
                "what": event.what,
                "stream": event.stream,
                "code": event.code,
                "detail": event.detail,
                "packet": event.packet,
                "time": time_text(event.time),
            }
            for event in http.h2
        ],
        "problems": problems_json(http.problems),
    }


def _http_message(message: HttpMessage) -> Json:
    return {
        "sender": SIDES[message.sender],
        "kind": message.kind,
        "version": message.version,
        "stream": message.stream,
        "method": message.method,
        "target": message.target,
        "authority": message.authority,
        "status": message.status,
        "reason": message.reason,
        "headers": [list(header) for header in message.headers],
        "framing": message.framing,
        "declared": message.declared,
        "body": message.body,
        "complete": message.complete,
        "packets": {"first": message.packets[0], "last": message.packets[1]},
        "start": time_text(message.start),
        "header_end": time_text(message.header_end),
        "end": time_text(message.end),
        "tls": message.tls,
        "offset": message.offset,
        "problem": message.problem,
    }
