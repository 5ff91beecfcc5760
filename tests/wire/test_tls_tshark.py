"""What the codecs write, read by tshark: nothing malformed, nothing missing, the same fingerprints."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from synfin.capture.writer import PcapWriter
from synfin.wire.tls import bodies as b
from synfin.wire.tls.extensions import Extension
from synfin.wire.tls.extensions import encode_extension as ext
from synfin.wire.tls.fingerprint import ja3, ja3s
from synfin.wire.tls.messages import (
    HRR_RANDOM,
    CertificateStatus,
    ClientHello,
    Message,
    ServerHello,
    ServerHelloDone,
    ServerKeyExchange,
    write_handshake,
)
from synfin.wire.tls.records import HANDSHAKE, RecordHeader, write_header

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")

RANDOM = bytes(range(32))
EXTENSIONS: tuple[Extension, ...] = (
    ext(0x2A2A, b""),
    ext(0, b.ServerName((b.HostName(0, b"x.example"),))),
    ext(1, b.MaxFragmentLength(2)),
    ext(17, b.StatusRequestV2((b.TypedRequest(2, b"\0\0\0\0"),))),
    ext(10, b.SupportedGroups((4588, 29, 0x1A1A))),
    ext(11, b.ECPointFormats((0,))),
    ext(13, b.SignatureAlgorithms((0x0403, 0x0904))),
    ext(50, b.SignatureAlgorithms((0x0804,))),
    ext(15, b.Heartbeat(1)),
    ext(16, b.Protocols((b"h2", b"http/1.1"))),
    ext(18, b.Empty()),
    ext(19, b.CertificateTypes((2, 0))),
    ext(20, b.CertificateTypes((0,))),
    ext(24, b.TokenBinding(1, 0, (2,))),
    ext(27, b.CompressCertificate((1, 2, 3))),
    ext(28, b.RecordSizeLimit(16385)),
    ext(34, b.SignatureAlgorithms((0x0403,))),
    ext(43, b.SupportedVersions((0x0304, 0x0303))),
    ext(44, b.Cookie(b"cookie")),
    ext(45, b.PskModes((1,))),
    ext(51, b.KeyShares((b.KeyShareEntry(29, bytes(32)), b.KeyShareEntry(4588, bytes(1216))))),
    ext(57, b.QuicTransportParameters((b.QuicParameter(1, b"\x44\0", (1, 1)), b.QuicParameter(15, b"id", (2, 2))))),
    ext(17513, b.Protocols((b"h2",))),
    ext(0xFE0D, b.EncryptedClientHello(0, 1, 1, 7, bytes(32), bytes(64))),
    ext(0xFF01, b.RenegotiationInfo(b"")),
    ext(21, b.Padding(bytes(20))),
    ext(41, b.PreSharedKey((b.PskIdentity(b"ticket", 99),), (bytes(32),))),
)
HELLO = ClientHello(0x0303, RANDOM, RANDOM, (0x0A0A, 0x1301, 0xC02B), (0,), EXTENSIONS)


def record(*messages: Message) -> bytes:
    data = b"".join(map(write_handshake, messages))
    return write_header(RecordHeader(HANDSHAKE, 0x0303, len(data))) + data


def tshark(path: Path, flights: list[bytes], *fields: str) -> list[list[str]]:
    """tshark's ``fields`` of each flight; the client sends the first, then they take turns."""
    sent = [1, 1]
    with path.open("wb") as file:
        writer = PcapWriter(file, 101)
        for number, data in enumerate(flights):
            side = number % 2
            ends = (b"\x0a\0\0\1", b"\x0a\0\0\2")
            ip = struct.pack(">BBHHHBBH", 0x45, 0, 40 + len(data), number, 0, 64, 6, 0) + ends[side] + ends[1 - side]
            ports = (5000, 443)[:: 1 - 2 * side]
            tcp = struct.pack(">HHIIBBHHH", *ports, sent[side], sent[1 - side], 0x50, 0x18, 65535, 0, 0)
            writer.packet(number * 1000, ip + tcp + data)
            sent[side] += len(data)
    wanted = [word for field in fields for word in ("-e", field)]
    command = ["tshark", "-r", str(path), "-T", "fields", "-E", "separator=|", *wanted]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line.split("|") for line in told.splitlines()]


def test_a_client_hello_with_everything(tmp_path: Path) -> None:
    (told,) = tshark(
        tmp_path / "hello.pcap",
        [record(HELLO)],
        "_ws.malformed",
        "tls.handshake.extension.type",
        "tls.handshake.extensions_server_name",
        "tls.handshake.extensions_alpn_str",
        "tls.handshake.extensions_key_share_group",
        "tls.handshake.extensions.psk.identity.identity",
        "tls.handshake.ja3",
    )
    numbers = ",".join(str(extension.type) for extension in EXTENSIONS)
    assert told == ["", numbers, "x.example", "h2,http/1.1", "29,4588", b"ticket".hex(), ja3(HELLO)[0]]


def test_a_retry_and_a_server_flight(tmp_path: Path) -> None:
    retry = ServerHello(
        0x0303,
        HRR_RANDOM,
        RANDOM,
        0x1301,
        0,
        (ext(43, b.SelectedVersion(0x0304)), ext(44, b.Cookie(b"c")), ext(51, b.SelectedGroup(23))),
    )
    timestamp = b.Sct(0, RANDOM, 1_700_000_000_000, b"", 0x0403, b"signature", b"")
    hello = ServerHello(
        0x0303, RANDOM, RANDOM, 0xC02B, 0, (ext(16, b.Protocols((b"h2",))), ext(18, b.SctList((timestamp,))))
    )
    exchange = ServerKeyExchange("ECDHE_ECDSA", None, 3, 29, (), RANDOM, 0x0403, b"signature")
    flight = record(hello, CertificateStatus(1, (b"\x30\x03\x0a\x01\x06",)), exchange, ServerHelloDone())
    fields = ("_ws.malformed", "tls.handshake.type", "tls.handshake.ja3s")
    told = tshark(tmp_path / "retry.pcap", [record(HELLO), record(retry)], *fields)
    assert told[1] == ["", "2", ja3s(retry)[0]]
    told = tshark(tmp_path / "flight.pcap", [record(HELLO), flight], *fields, "tls.handshake.server_named_curve")
    assert told[1] == ["", "2,22,12,14", ja3s(hello)[0], "0x001d"]
