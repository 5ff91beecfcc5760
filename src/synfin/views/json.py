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

from synfin.judge.model import Finding, NotJudged
from synfin.observe.budget import budget
from synfin.observe.story import Connection, DnsFact, Phase, PreambleFact
from synfin.observe.story_tcp import IcmpError, SynFacts, TcpSide, TcpStory
from synfin.views.json_inside import Json, evidence_json, http_json, side_name, stream_json, time_text, tls_json
from synfin.views.names import spoken
from synfin.views.outcome import SIDES, outcome

#: Raised when a key changes its meaning or goes away; new keys do not raise it.
SCHEMA = 1


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
        "start": time_text(connection.start),
        "end": time_text(connection.end),
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
        "streams": {side: stream_json(stream) for side, stream in zip(SIDES, connection.streams, strict=True)},
        "preambles": [_preamble(preamble) for preamble in connection.preambles],
        "tls": tls_json(connection.tls),
        "http": http_json(connection.http),
        "outer_http": http_json(connection.outer_http) if connection.outer_http is not connection.http else None,
        "budget": [_phase(phase) for phase in budget(connection)],
        "findings": [finding_json(finding) for finding in findings],
        "not_judged": [{"code": item.code, "why": item.why} for item in not_judged],
    }


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
        "start": time_text(dns.start),
        "end": time_text(dns.end),
    }


# ---------------------------------------------------------------- TCP


def _tcp(tcp: TcpStory) -> Json:
    return {
        "source": tcp.source,
        "handshake": tcp.handshake,
        "close": tcp.close,
        "rst_after_fin": tcp.rst_after_fin,
        "rst_first_by": side_name(tcp.rst_first_by),
        "fin_first_by": side_name(tcp.fin_first_by),
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
                "start": time_text(stall.start),
                "end": time_text(stall.end),
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
        "time": time_text(syn.time),
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
        "time": time_text(error.time),
        "from": error.sender_ip,
        "name": error.name,
        "version": error.version,
        "type": error.type,
        "code": error.code,
        "about": SIDES[error.quoted_sender],
        "quoted_seq": error.quoted_seq,
        "mtu": error.mtu,
    }


def _preamble(preamble: PreambleFact) -> Json:
    target = preamble.target
    return {
        "protocol": preamble.protocol,
        "target": {"host": target.ip, "port": target.port} if target is not None else None,
        "accepted": preamble.accepted,
        "status": preamble.status,
        "start": time_text(preamble.start),
        "end": time_text(preamble.end),
        "packets": list(preamble.packets),
    }


# ---------------------------------------------------------------- time, findings


def _phase(phase: Phase) -> Json:
    return {
        "name": phase.name,
        "start": time_text(phase.start),
        "end": time_text(phase.end),
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
        "evidence": [evidence_json(evidence) for evidence in finding.evidence],
        "confidence": str(finding.confidence),
        "reason": finding.reason,
        "disproof": finding.disproof,
        "next_capture": finding.next_capture,
        "symptoms": [finding_json(symptom) for symptom in finding.symptoms],
    }
