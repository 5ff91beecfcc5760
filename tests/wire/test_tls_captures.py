"""Every hello of the shared captures, read from reassembled streams, against what tshark says of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from synfin.capture.reader import open_capture
from synfin.errors import WireError
from synfin.observe.flows import Flows
from synfin.observe.stream import ByteStream
from synfin.observe.tcpwatch import watch_tcp
from synfin.views.messages import message_lines
from synfin.wire.codec import Span
from synfin.wire.tls import sslv2
from synfin.wire.tls.extensions import CLIENT_HELLO, Extension, decode_extension, encode_extension
from synfin.wire.tls.fingerprint import ja3, ja3s, ja4
from synfin.wire.tls.hello import ClientHello, ServerHello
from synfin.wire.tls.messages import message_name, parse_handshake, write_handshake
from synfin.wire.tls.records import HANDSHAKE, looks_like_record, looks_like_sslv2_hello, read_header
from synfin.wire.tls.registry import suite
from tests.support.shared import captures, needs_shared, truth

pytestmark = needs_shared

FILES = [path.name for path in captures() if any(told.get("tls") for told in truth(path.name))]
_PATHS = {path.name: path for path in captures()}


def clear_messages(stream: ByteStream) -> Iterator[tuple[int, bytes]]:
    """Handshake messages in clear: records from the first that carries a hello, to the first that is encrypted."""
    data = stream.read(0, stream.end)
    at = next(
        (
            at
            for at in range(len(data) - 5)
            if data[at] == 22 and data[at + 5] in (1, 2) and looks_like_record(data[at : at + 5])
        ),
        len(data),
    )
    held = b""
    while (header := read_header(data, at)) is not None and looks_like_record(data[at : at + 5]):
        at += 5
        if header.type == HANDSHAKE:
            held += data[at : at + header.length]
        elif header.type == 23:
            return
        at += header.length
        while len(held) >= 4:
            size = int.from_bytes(held[1:4], "big")
            if held[0] not in (0, 1, 2, 4, 11, 12, 13, 14, 15, 16, 22) or len(held) < 4 + size:
                break
            yield held[0], held[4 : 4 + size]
            held = held[4 + size :]


def connections(file: str) -> Iterator[tuple[dict[str, Any], ByteStream, ByteStream]]:
    """What tshark says of each TLS connection, and the client's and server's streams."""
    told = {(c["first_frame"], c["a"]["port"], c["b"]["port"]): c for c in truth(file) if c.get("tls")}
    with open_capture(_PATHS[file]) as capture:
        flows = Flows()
        finished = [flow for batch in capture.batches() for flow in flows.add(batch)]
        for flow in [*finished, *flows.finish()]:
            found = told.get((flow.rows.number[0], flow.a.port, flow.b.port))
            if found is not None:
                streams = watch_tcp(flow)[1]
                yield found, *(streams if found["tls"]["client"] == "ab" else streams[::-1])


def said_of_client(hello: ClientHello) -> dict[str, Any]:
    digest, full = ja3(hello)
    return {
        "legacy_version": hello.legacy_version,
        "random": hello.random.hex(),
        "session_id": hello.session_id.hex(),
        "ciphers": list(hello.cipher_suites),
        "compression": list(hello.compression_methods),
        "extensions": [extension.type for extension in hello.extensions or ()],
        "sni": hello.sni,
        "alpn": list(hello.alpn),
        "groups": list(hello.groups),
        "sig_algs": list(hello.signature_algorithms),
        "key_share_groups": list(hello.key_share_groups),
        "supported_versions": list(hello.supported_versions),
        "psk": hello.psk_offered,
        "early_data": hello.early_data,
        "ech": hello.ech,
        "ticket_ext": hello.session_ticket is not None,
        "ja3": digest,
        "ja3_full": full,
        "ja4": ja4(hello),
    }


def said_of_server(hello: ServerHello) -> dict[str, Any]:
    digest, full = ja3s(hello)
    return {
        "legacy_version": hello.legacy_version,
        "random": hello.random.hex(),
        "session_id": hello.session_id.hex(),
        "cipher": hello.cipher_suite,
        "extensions": [extension.type for extension in hello.extensions or ()],
        "supported_version": hello.supported_version,
        "alpn": hello.alpn,
        "key_share_group": hello.key_share_group,
        "psk_selected": hello.psk_selected,
        "ja3s": digest,
        "ja3s_full": full,
    }


def of(told: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    return {name: told[name] for name in ours}


def check_message(code: int, body: bytes, version: int | None, kex: str | None) -> Any:
    """The message, after every law was held against these real octets."""
    message = parse_handshake(code, body, version=version, kex=kex)
    assert write_handshake(message)[4:] == body
    spans: list[Span] = []
    assert parse_handshake(code, body, version=version, kex=kex, spans=spans) == message
    assert b"".join(body[span.start : span.end] for span in sorted(spans)) == body
    assert all(message_lines(message))
    if isinstance(message, ClientHello):
        for extension in message.extensions or ():
            assert encode_extension(extension.type, decode_extension(extension, CLIENT_HELLO)) == extension
    return message


@pytest.mark.parametrize("file", FILES)
def test_hellos_agree(file: str) -> None:
    seen = 0
    for found, client, server in connections(file):
        tls = found["tls"]
        if tls.get("sslv2"):
            continue
        version, chosen = tls.get("version"), suite(tls.get("cipher") or 0)
        kex = chosen.kex if chosen else None
        hellos: dict[str, Any] = {}
        for stream in (client, server):
            for code, body in clear_messages(stream):
                message = check_message(code, body, version, kex)
                name = message_name(message)
                hellos[f"{name}_2" if name in hellos else name] = message
        for name in ("client_hello", "client_hello_2", "server_hello", "hello_retry_request"):
            told = tls.get(name)
            if told is None or told.get("v2_format"):
                continue
            ours = said_of_client(hellos[name]) if name.startswith("client") else said_of_server(hellos[name])
            assert ours == of(told, ours), (found["first_frame"], name)
            seen += 1
        if "server_hello" in hellos and version is not None:
            assert hellos["server_hello"].selected_version == version
    assert seen or any(c["tls"].get("sslv2") for c in truth(file) if c.get("tls"))


def test_sslv2_handshake() -> None:
    for found, client, server in connections("ssl2-only.pcap"):
        told = found["tls"]
        first = client.read(0, client.end)
        assert looks_like_sslv2_hello(first)
        messages = []
        for stream in (client, server):
            data, at = stream.read(0, stream.end), 0
            header = sslv2.read_header(data, at)
            assert header is not None
            body = data[header.size : header.size + header.length]
            messages.append(sslv2.parse_message(body))
            assert sslv2.write_message(messages[-1]) == body
        hello, answer = messages
        assert isinstance(hello, sslv2.ClientHello)
        assert isinstance(answer, sslv2.ServerHello)
        assert list(hello.cipher_specs) == told["client_hello"]["ciphers"]
        assert list(answer.cipher_specs) == told["server_hello"]["v2_ciphers"]
        assert len(answer.certificate) == told["certs"]["ba"]["leaf"]["len"]


def test_truncated_real_hellos_are_refused_cleanly() -> None:
    for _, client, server in connections("tls13-pq-ech.pcap"):
        for stream in (client, server):
            for code, body in clear_messages(stream):
                for end in range(len(body)):
                    try:
                        message = parse_handshake(code, body[:end])
                    except WireError:
                        continue
                    assert getattr(message, "extensions", ()) is None
                    assert write_handshake(message)[4:] == body[:end]


def test_grease_extensions_stay_octets() -> None:
    hellos = [
        parse_handshake(code, body)
        for _, client, _ in connections("tls13-pq-ech.pcap")
        for code, body in clear_messages(client)
    ]
    hello = hellos[0]
    assert isinstance(hello, ClientHello)
    grease = [extension for extension in hello.extensions or () if extension.type & 0x0F0F == 0x0A0A]
    assert grease == [Extension(0x6A6A, b""), Extension(0x4A4A, b"\0")]
