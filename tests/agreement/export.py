"""Print what synfin knows of a capture in the schema by which tools are compared (see the shared compare.py).

    python -m tests.agreement.export CAPTURE [--keylog FILE]

One JSON object per line and TCP connection.  The capture is read once without secrets (the plain fields) and, when
there are any, once with them (``decrypted``).  ``protocols`` is left out: it lists Wireshark's dissectors, which have
no counterpart here.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from synfin.capture import open_capture
from synfin.capture.keylog import KeyLog, read_keylog
from synfin.capture.table import Kind, load
from synfin.errors import UsageError
from synfin.observe import observe
from synfin.observe.story import Connection
from synfin.observe.story_http import HttpStory
from synfin.observe.story_tcp import Mark, SynFacts, TcpSide
from synfin.observe.story_tls import ChainFact, MessageFact, TlsStory

WAY = ("ab", "ba")


def _seconds(time: int) -> str:
    return f"{time // 10**9}.{time % 10**9:09}"


def _syn(syn: SynFacts | None) -> dict[str, Any] | None:
    if syn is None:
        return None
    return {
        "mss": syn.mss,
        "wscale": syn.wscale,
        "sack_permitted": syn.sack_permitted,
        "timestamps": syn.timestamps,
        "window": syn.window,
        "seq": syn.seq,
        "frame": syn.packet,
    }


def _side(side: TcpSide, marks: Counter[str]) -> dict[str, Any]:
    return {
        "packets": side.packets,
        "bytes": side.wire_bytes,
        "payload": side.payload,
        "unique_payload": side.unique_payload,
        "fin": side.fins,
        "rst": side.rsts,
        "fin_frame": side.fin_packet,
        "rst_frame": side.rst_packet,
        "syn": _syn(side.syn),
        "flags": dict(marks),
    }


def _client_hello(fact: MessageFact | None, tls: TlsStory) -> dict[str, Any] | None:
    if fact is None or fact.body is None:
        return None
    hello = fact.body
    if tls.sslv2 and not hasattr(hello, "extensions"):
        return {"legacy_version": hello.version, "ciphers": list(hello.cipher_specs), "sni": None}
    kinds = [extension.type for extension in hello.extensions or ()]
    first = tls.client_hello is fact
    return {
        "frame": fact.packets[-1] if fact.packets else None,
        "record_version": next(
            (r.version for r in tls.records if r.sender == fact.sender and r.offset == fact.offset), None
        ),
        "legacy_version": hello.legacy_version,
        "random": hello.random.hex(),
        "session_id": hello.session_id.hex(),
        "session_id_len": len(hello.session_id),
        "ciphers": list(hello.cipher_suites),
        "supported_versions": list(hello.supported_versions),
        "extensions": kinds,
        "sni": hello.sni,
        "alpn": list(hello.alpn),
        "groups": list(hello.groups),
        "sig_algs": list(hello.signature_algorithms),
        "key_share_groups": list(hello.key_share_groups),
        "compression": list(hello.compression_methods),
        "psk": hello.psk_offered,
        "early_data": hello.early_data,
        "ticket_ext": 35 in kinds,
        "ech": hello.ech,
        **({"ja3": tls.ja3, "ja3_full": tls.ja3_full, "ja4": tls.ja4} if first else {}),
    }


def _server_hello(fact: MessageFact | None, tls: TlsStory) -> dict[str, Any] | None:
    if fact is None or fact.body is None:
        return None
    hello = fact.body
    if not hasattr(hello, "cipher_suite"):
        return {"legacy_version": hello.version, "cipher": None, "session_id": "", "extensions": []}
    kinds = [extension.type for extension in hello.extensions or ()]
    alpn = hello.alpn
    for message in tls.messages:  # tshark's fields are per frame: a decrypted message in the same packet adds its own
        if message.name == "encrypted_extensions" and message.body and message.packets[-1] == fact.packets[-1]:
            kinds += [extension.type for extension in message.body.extensions]
            alpn = alpn or tls.alpn
    return {
        "frame": fact.packets[-1] if fact.packets else None,
        "legacy_version": hello.legacy_version,
        "supported_version": hello.supported_version,
        "cipher": hello.cipher_suite,
        "random": hello.random.hex(),
        "session_id": hello.session_id.hex(),
        "extensions": kinds,
        "alpn": alpn,
        "key_share_group": hello.key_share_group,
        "psk_selected": hello.psk_selected,
        **({"ja3s": tls.ja3s, "ja3s_full": tls.ja3s_full} if tls.server_hello is fact else {}),
    }


def _chain(chain: ChainFact) -> dict[str, Any]:
    told: dict[str, Any] = {"count": len(chain.der), "chain_sha256": [facts.sha256 for facts in chain.facts]}
    if chain.facts:
        leaf = chain.facts[0]
        told["leaf"] = {
            "sha256": leaf.sha256,
            "serial": leaf.serial_hex,
            "not_before": leaf.not_before_text,
            "not_after": leaf.not_after_text,
            "subject": [list(pair) for pair in leaf.subject],
            "issuer": [list(pair) for pair in leaf.issuer],
            "san_dns": None if leaf.san_dns is None else list(leaf.san_dns),
            "sig_alg": leaf.sig_alg,
            "key": list(leaf.key),
            "version": leaf.version,
            "is_ca": leaf.is_ca,
        }
    return told


def _clipped(connection: Connection) -> dict[int, int]:
    """Packets whose payload the snap length cut, with its size: tshark shows what is there and waits for no more."""
    rows = connection.rows
    return {n: size for n, have, size in zip(rows.number, rows.load_cap, rows.load_len, strict=True) if have < size}


def _tls(connection: Connection, *, clear: bool) -> dict[str, Any] | None:
    tls = connection.tls
    if tls is None:
        return None
    clipped = _clipped(connection)
    torn = {(record.sender, record.offset) for record in tls.records if not record.complete and record.version != 2}

    def whole(fact: MessageFact | None) -> MessageFact | None:
        """None for what tshark does not show: it opens a record only when all of it was captured."""
        if fact is None or (fact.sender, fact.offset) in torn:
            return None
        return fact if len(fact.raw) == fact.length or fact.name.startswith("v2_") else None

    names: dict[str, list[str]] = {"ab": [], "ba": []}
    for message in tls.messages:
        if not (clear and message.decrypted) and whole(message):
            names[WAY[message.sender]].append(message.name)
    records: dict[str, Counter[str]] = {"ab": Counter(), "ba": Counter()}
    alerting: set[tuple[int, int]] = set()
    for record in tls.records:
        if record.version == 2 or not (record.complete or record.length + 5 <= clipped.get(record.packet, 0)):
            continue  # tshark waits for whole records, but not where the snap length cut them
        records[WAY[record.sender]][str(record.type)] += 1
        if record.inner_type is not None and not clear:  # tshark lists the types inside beside the outer ones
            records[WAY[record.sender]][str(record.inner_type)] += 1
        if 21 in (record.type, record.inner_type) and record.complete:
            alerting.add((record.sender, record.packet))
    alerts = [
        {
            "from": WAY[alert.sender],
            "frame": alert.packet,
            "level": alert.level,
            "desc": alert.description,
            "encrypted": alert.description is None,
        }
        for alert in tls.alerts
        if (alert.sender, alert.packet) in alerting  # not those only guessed by their look
    ]
    certs: dict[str, Any] = {}
    for chain in tls.chains:
        if {"certificate", "compressed_certificate", "v2_server_hello"}.intersection(names[WAY[chain.sender]]):
            certs.setdefault(WAY[chain.sender], _chain(chain))
    hello, server = whole(tls.client_hello), _server_hello(whole(tls.server_hello), tls)
    answered = server or whole(tls.hello_retry)
    shown = {*names["ab"], *names["ba"]}
    return {
        "client": WAY[tls.client] if hello or server else None,
        "version": tls.version if answered else None,
        "cipher": tls.cipher if answered else None,
        "alpn": (server or {}).get("alpn"),
        "hrr": whole(tls.hello_retry) is not None,
        "sslv2": tls.sslv2,
        "client_hello": _client_hello(hello, tls),
        "client_hello_2": _client_hello(whole(tls.client_hello_2), tls),
        "server_hello": server,
        "handshake": names,
        "records": records,
        "certs": certs,
        "alerts": alerts,
        "new_session_ticket": "new_session_ticket" in shown,
        "certificate_requested": "certificate_request" in shown,
        "certificate_status": "certificate_status" in shown,
    }


def _http(connection: Connection) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    stories: tuple[HttpStory | None, ...] = (connection.outer_http, connection.http)
    clipped = _clipped(connection)
    one: list[dict[str, Any]] = []
    two: list[dict[str, Any]] = []
    for story in dict.fromkeys(id(story) for story in stories if story is not None):
        found = next(item for item in stories if id(item) == story)
        assert found is not None
        for message in found.messages:
            if "head not complete" in message.problem and clipped.keys().isdisjoint(message.packets):
                continue  # tshark shows a message once its whole head is there
            if message.kind == "response" and message.status is None:
                continue  # a broken status line, or HTTP/0.9: no response to tshark
            told: dict[str, Any] = {
                "frame": message.packets[1],
                "dir": WAY[message.sender],
                "kind": message.kind,
                "tls": message.tls,
            }
            if message.kind == "request":
                told["method"] = message.method
                told["path" if message.version == "2" else "uri"] = message.target
                told["authority" if message.version == "2" else "host"] = message.authority
            else:
                told["status"] = message.status
            (two if message.version == "2" else one).append(told)
    return one, {"messages": two} if two else None


def _cut_headers(path: Path) -> set[int]:
    """The packets whose TCP header the snap length cut: at its options tshark gives up, before it shows any mark."""
    cut: set[int] = set()
    with open_capture(path) as capture:
        for batch in capture.batches():
            rows = batch.rows[batch.rows["caplen"] < batch.rows["wirelen"]]
            for number, at, size in zip(
                rows["number"][rows["kind"] == Kind.TCP].tolist(),
                rows["opt_at"][rows["kind"] == Kind.TCP].tolist(),
                rows["opt_len"][rows["kind"] == Kind.TCP].tolist(),
                strict=True,
            ):
                data_offset = load(batch.data, batch.extra, at - 8 if at >= 0 else at + 8, 1)
                if data_offset and (data_offset[0] >> 4) * 4 - 20 > size:
                    cut.add(number)
            cut.update(batch.rows["number"][batch.rows["kind"] == Kind.CUT].tolist())
    return cut


def _plain(connection: Connection, cut: set[int]) -> dict[str, Any]:
    tcp = connection.tcp
    rows = connection.rows
    frames: dict[str, list[int]] = {}
    counts: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    for number, sender, bits in zip(rows.number, rows.sender, tcp.marks, strict=True):
        for mark in Mark if bits and number not in cut else ():
            if bits & mark:
                name = (mark.name or "").lower()
                frames.setdefault(name, []).append(number)
                counts[sender][name] += 1
    timed = tcp.initial_rtt if any(number not in cut for number in rows.number[1:]) else None
    way: dict[int | None, str | None] = {None: None, 0: "ab", 1: "ba"}
    return {
        "a": {"ip": connection.a.ip, "port": connection.a.port},
        "b": {"ip": connection.b.ip, "port": connection.b.port},
        "a_by": connection.opened_by,
        "first_frame": connection.first_packet,
        "last_frame": connection.last_packet,
        "frames": len(rows),
        "first_time": _seconds(connection.start),
        "last_time": _seconds(connection.end),
        "ab": _side(tcp.sides[0], counts[0]),
        "ba": _side(tcp.sides[1], counts[1]),
        "flag_frames": {name: numbers[:100] for name, numbers in frames.items()},
        "handshake": tcp.handshake,
        "close": tcp.close,
        "rst_after_fin": tcp.rst_after_fin,
        "rst_first_by": way[tcp.rst_first_by],
        "fin_first_by": way[tcp.fin_first_by],
        "completeness": tcp.completeness,
        "initial_rtt": None if timed is None else timed / 1e9,
        "vlan": sorted(connection.vlans),
    }


def export(path: Path, keylog: KeyLog | None = None) -> list[dict[str, Any]]:
    """Every TCP connection of the capture in the schema, in order of first packets."""
    told: dict[int, dict[str, Any]] = {}
    cut = _cut_headers(path)
    with observe(path, embedded=False) as story:
        for connection in story:
            if Kind.PDU in connection.rows.kind:
                continue
            one, two = _http(connection)
            told[connection.id] = {
                **_plain(connection, cut),
                "tls": _tls(connection, clear=True),
                "http1": one,
                "http2": two,
                "decrypted": None,
            }
        secrets = story.capture.secrets
    if keylog is not None or secrets:
        with observe(path, keylog=keylog) as story:
            for connection in story:
                if connection.id in told and connection.tls is not None:
                    one, two = _http(connection)
                    seen = {"tls": _tls(connection, clear=False), "http1": one, "http2": two}
                    told[connection.id]["decrypted"] = seen
    return [told[number] for number in sorted(told)]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("capture", type=Path)
    parser.add_argument("--keylog", type=Path)
    asked = parser.parse_args()
    keylog = None
    try:
        keylog = read_keylog(asked.keylog) if asked.keylog else None
    except UsageError as error:  # an empty key log opens nothing; the rest is told all the same
        print(f"export: {error}", file=sys.stderr)
    try:
        for line in export(asked.capture, keylog):
            print(json.dumps(line))
    except UsageError as error:
        print(f"export: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
