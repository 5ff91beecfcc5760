"""One connection as JSON: the stable contract for programs, documented in docs/reference/json.md.

``connection_json`` is a pure function from facts to plain dicts, lists, strings and numbers.  A key is never
renamed and never changes its meaning within one schema number; new keys may appear; a key whose value is not known is
there with null, a list without entries is there and empty.  Times are decimal strings in seconds since 1970 with nine
places (a float would lose nanoseconds), durations are integers in nanoseconds, sizes octets, code points integers
with their names beside them.  Octets are lower case hex.  Sides are "client" (opened the connection) and "server".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from synfin.judge.model import Finding, NotJudged
from synfin.observe.story import (
    AlertFact,
    ChainFact,
    Connection,
    DnsFact,
    Evidence,
    HttpMessage,
    HttpStory,
    IcmpError,
    MessageFact,
    Phase,
    PreambleFact,
    SynFacts,
    TcpSide,
    TcpStory,
    TlsStory,
)
from synfin.observe.stream import ByteStream
from synfin.spec.certificates import CertificateFacts
from synfin.views.names import spoken
from synfin.views.outcome import SIDES, outcome
from synfin.wire.tls.hello import ClientHello, ServerHello
from synfin.wire.tls.registry import alert_name, cipher_name, group_name, version_name

#: Raised when a key changes its meaning or goes away; new keys do not raise it.
SCHEMA = 1

Json = dict[str, Any]


def dumps(value: Json) -> str:
    """``value`` as one line of pure ASCII, so that no control character and no odd text can do harm anywhere."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)


def connection_json(
    connection: Connection, findings: Sequence[Finding] = (), not_judged: Sequence[NotJudged] = (), file: str = ""
) -> Json:
    """Everything known of ``connection`` in the shape of schema 1."""
    ended = outcome(connection)
    return {
        "synfin": {"schema": SCHEMA},
        "file": file,
        "id": connection.id,
        "client": {"ip": connection.a.ip, "port": connection.a.port},
        "server": {"ip": connection.b.ip, "port": connection.b.port},
        "opened_by": connection.opened_by,
        "name": connection.name,
        "speaks": spoken(connection),
        "protocol": connection.protocol,
        "outcome": {"kind": ended.kind, "words": ended.words, "failed": ended.failed},
        "start": _time(connection.start),
        "end": _time(connection.end),
        "duration_ns": connection.end - connection.start,
        "packets": {
            "count": len(connection.rows),
            "first": connection.first_packet,
            "last": connection.last_packet,
        },
        "vlans": list(connection.vlans),
        "tunnels": list(connection.tunnels),
        "dns": _dns(connection.dns),
        "tcp": _tcp(connection.tcp),
        "streams": {side: _stream(stream) for side, stream in zip(SIDES, connection.streams, strict=True)},
        "preambles": [_preamble(preamble) for preamble in connection.preambles],
        "tls": _tls(connection.tls),
        "http": _http(connection.http),
        "outer_http": _http(connection.outer_http) if connection.outer_http is not connection.http else None,
        "budget": [_phase(phase) for phase in connection.budget],
        "findings": [finding_json(finding) for finding in findings],
        "not_judged": [{"code": item.code, "why": item.why} for item in not_judged],
    }


def _time(ns: int | None) -> str | None:
    if ns is None:
        return None
    sign, ns = ("-", -ns) if ns < 0 else ("", ns)
    return f"{sign}{ns // 1_000_000_000}.{ns % 1_000_000_000:09d}"


def _side(side: int | None) -> str | None:
    return None if side is None else SIDES[side]


def _dns(dns: DnsFact | None) -> Json | None:
    if dns is None:
        return None
    return {
        "name": dns.name,
        "type": dns.qtype,
        "rcode": dns.rcode,
        "addresses": list(dns.addresses),
        "server": dns.server,
        "query_packet": dns.query_packet,
        "answer_packet": dns.answer_packet,
        "start": _time(dns.start),
        "end": _time(dns.end),
    }


# ---------------------------------------------------------------- TCP


def _tcp(tcp: TcpStory) -> Json:
    return {
        "source": tcp.source,
        "handshake": tcp.handshake,
        "close": tcp.close,
        "rst_after_fin": tcp.rst_after_fin,
        "rst_first_by": _side(tcp.rst_first_by),
        "fin_first_by": _side(tcp.fin_first_by),
        "completeness": tcp.completeness,
        "initial_rtt_ns": tcp.initial_rtt,
        "syn_to_synack_ns": tcp.syn_to_synack,
        "reused_ports": tcp.reused_ports,
        "shape": list(tcp.shape),
        "final": {
            side: {"state": end.state, "known": str(end.knowledge)} for side, end in zip(SIDES, tcp.final, strict=True)
        },
        "client": _tcp_side(tcp.sides[0]),
        "server": _tcp_side(tcp.sides[1]),
        "stalls": [
            {
                "kind": stall.kind,
                "held_up": SIDES[stall.sender],
                "start": _time(stall.start),
                "end": _time(stall.end),
                "packets": list(stall.packets),
            }
            for stall in tcp.stalls
        ],
        "icmp": [_icmp(error) for error in tcp.icmp],
        "overlaps": [
            {
                "offset": overlap.offset,
                "length": overlap.length,
                "first_packet": overlap.first_packet,
                "second_packet": overlap.second_packet,
            }
            for overlap in tcp.overlaps
        ],
    }


def _tcp_side(side: TcpSide) -> Json:
    return {
        "packets": side.packets,
        "wire_bytes": side.wire_bytes,
        "payload": side.payload,
        "unique_payload": side.unique_payload,
        "syns": side.syns,
        "syn": _syn(side.syn),
        "fins": side.fins,
        "fin_packet": side.fin_packet,
        "rsts": side.rsts,
        "rst_packet": side.rst_packet,
        "marks": dict(side.marks),
        "max_segment": side.max_segment,
        "over_mss": side.over_mss,
        "smallest_window": side.smallest_window,
        "first_payload_packet": side.first_payload_packet,
        "last_payload_packet": side.last_payload_packet,
        "rtt_ns": {"min": side.rtt[0], "median": side.rtt[1], "max": side.rtt[2]} if side.rtt is not None else None,
    }


def _syn(syn: SynFacts | None) -> Json | None:
    if syn is None:
        return None
    return {
        "packet": syn.packet,
        "time": _time(syn.time),
        "seq": syn.seq,
        "window": syn.window,
        "mss": syn.mss,
        "wscale": syn.wscale,
        "sack_permitted": syn.sack_permitted,
        "timestamps": syn.timestamps,
        "fast_open": syn.fast_open.hex() if syn.fast_open is not None else None,
        "options": [{"kind": option.kind, "data": option.data.hex()} for option in syn.options],
        "ttl": syn.ttl,
    }


def _icmp(error: IcmpError) -> Json:
    return {
        "packet": error.packet,
        "time": _time(error.time),
        "from": error.sender_ip,
        "name": error.name,
        "version": error.version,
        "type": error.type,
        "code": error.code,
        "about": SIDES[error.quoted_sender],
        "quoted_seq": error.quoted_seq,
        "mtu": error.mtu,
    }


def _stream(stream: ByteStream) -> Json:
    return {
        "end": stream.end,
        "holes": [
            {"offset": hole.offset, "length": hole.length, "acknowledged": hole.acknowledged} for hole in stream.holes
        ],
    }


# ---------------------------------------------------------------- TLS


def _tls(tls: TlsStory | None) -> Json | None:
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
        "handshake_done_time": _time(tls.handshake_done_time),
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
            {side: _stream(stream) for side, stream in zip(SIDES, tls.data, strict=True)}
            if tls.data is not None
            else None
        ),
        "problems": _problems(tls.problems),
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
        "time": _time(message.time),
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
        "time": _time(alert.time),
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
        "time": _time(chain.time),
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


def _preamble(preamble: PreambleFact) -> Json:
    target = preamble.target
    return {
        "protocol": preamble.protocol,
        "target": {"host": target.ip, "port": target.port} if target is not None else None,
        "accepted": preamble.accepted,
        "status": preamble.status,
        "start": _time(preamble.start),
        "end": _time(preamble.end),
        "packets": list(preamble.packets),
    }


# ---------------------------------------------------------------- HTTP, time, findings


def _http(http: HttpStory | None) -> Json | None:
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
                "time": _time(event.time),
            }
            for event in http.h2
        ],
        "problems": _problems(http.problems),
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
        "start": _time(message.start),
        "header_end": _time(message.header_end),
        "end": _time(message.end),
        "tls": message.tls,
        "offset": message.offset,
        "problem": message.problem,
    }


def _phase(phase: Phase) -> Json:
    return {
        "name": phase.name,
        "start": _time(phase.start),
        "end": _time(phase.end),
        "duration_ns": phase.end - phase.start,
        "round_trips": phase.round_trips,
        "waited_for": phase.waited_for,
        "detail": phase.detail,
    }


def finding_json(finding: Finding) -> Json:
    """One finding with its symptoms."""
    return {
        "code": finding.code,
        "severity": finding.severity.name.lower(),
        "actor": str(finding.actor),
        "title": finding.title,
        "cause": finding.cause,
        "remedy": finding.remedy,
        "evidence": [_evidence(evidence) for evidence in finding.evidence],
        "confidence": str(finding.confidence),
        "reason": finding.reason,
        "disproof": finding.disproof,
        "next_capture": finding.next_capture,
        "symptoms": [finding_json(symptom) for symptom in finding.symptoms],
    }


def _problems(problems: Sequence[tuple[Evidence, str]]) -> list[Json]:
    return [{"evidence": _evidence(evidence), "why": why} for evidence, why in problems]


def _evidence(evidence: Evidence) -> Json:
    return {
        "packets": list(evidence.packets),
        "sender": _side(evidence.sender),
        "offset": evidence.offset,
        "length": evidence.length,
        "field": evidence.field,
    }
