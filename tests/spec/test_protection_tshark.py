"""Records that we sealed, opened by tshark: every cipher and version, those that no library offers any more too."""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from synfin.capture.writer import PcapWriter
from synfin.spec import keys
from synfin.spec.protection import sealers_12
from synfin.wire.tls.suites import SUITES
from tests.spec.test_protection import CASES, MASTER
from tests.support.tlsoctets import message

TSHARK = shutil.which("tshark")
LINK_RAW = 101
#: Suites whose names tshark does not connect with a cipher.
UNKNOWN_TO_TSHARK = ("KRB5", "ECCPWD")


def _segment(sender: int, port: int, seq: int, ack: int, flags: int, data: bytes) -> bytes:
    """An IPv4 packet of the client (0) or the server (1); checksums are left zero, nobody checks them."""
    ports = (port, 443) if sender == 0 else (443, port)
    tcp = struct.pack("!HHIIBBHHH", *ports, seq, ack, 0x50, flags, 65535, 0, 0) + data
    ends = (b"\x0a\0\0\1", b"\x0a\0\0\2") if sender == 0 else (b"\x0a\0\0\2", b"\x0a\0\0\1")
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0, *ends) + tcp


def _record(kind: int, version: int, data: bytes) -> bytes:
    return struct.pack("!BHH", kind, version, len(data)) + data


def _session(version: int, code: int, etm: bool, random: bytes, path: str) -> list[tuple[int, bytes]]:
    """(sender, bytes) of a session that says enough for a reader: hellos, key change, a request and its answer."""
    server_random = bytes(reversed(random))
    ends = sealers_12(version, code, MASTER, random, server_random, etm, entropy=lambda size: b"\x5a" * size)
    extensions = b"\x00\x04\x00\x16\x00\x00" if etm else b""
    shown = version.to_bytes(2, "big")
    suite = code.to_bytes(2, "big")
    hello = message(1, shown + random + b"\0\0\2" + suite + b"\1\0" + extensions)
    answer = message(2, shown + server_random + b"\x20" + random + suite + b"\0" + extensions)
    change = _record(20, version, b"\1")
    finished = message(20, bytes(12))
    return [
        (0, _record(22, version, hello)),
        (1, _record(22, version, answer) + change + ends[1].seal_record(22, finished)),
        (0, change + ends[0].seal_record(22, finished)),
        (0, ends[0].seal_record(23, f"GET /{path} HTTP/1.0\r\nHost: test.example\r\n\r\n".encode())),
        (1, ends[1].seal_record(23, b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc")),
    ]


@pytest.mark.skipif(TSHARK is None, reason="tshark is missing")
def test_tshark_opens_what_we_seal(tmp_path: Path) -> None:
    """One capture with a session for each version, cipher, MAC and order of MAC and encryption."""
    expected = set()
    keylog = ""
    capture = tmp_path / "sealed.pcap"
    with capture.open("wb") as file:
        writer = PcapWriter(file, LINK_RAW)
        time = 0
        for number, (version, code, etm) in enumerate(CASES):
            if version == keys.TLS13 or any(word in SUITES[code] for word in UNKNOWN_TO_TSHARK):
                continue
            path = f"{version:x}-{SUITES[code]}-{etm}"
            random = hashlib.sha256(path.encode()).digest()
            keylog += f"CLIENT_RANDOM {random.hex()} {MASTER.hex()}\n"
            port = 20_000 + number
            at = [1001, 2001]
            packets = [_segment(0, port, 1000, 0, 2, b""), _segment(1, port, 2000, 1001, 0x12, b"")]
            packets.append(_segment(0, port, 1001, 2001, 0x10, b""))
            for sender, data in _session(version, code, etm, random, path):
                packets.append(_segment(sender, port, at[sender], at[1 - sender], 0x18, data))
                at[sender] += len(data)
            for packet in packets:
                time += 1_000_000
                writer.packet(time, packet)
            expected.add("/" + path)
    log = tmp_path / "keys"
    log.write_text(keylog)
    command = [str(TSHARK), "-r", str(capture), "-o", f"tls.keylog_file:{log}", "-Y", "http.request", "-T", "fields"]
    answer = subprocess.run(
        [*command, "-e", "http.request.uri"], capture_output=True, text=True, check=True, timeout=60
    )
    assert len(expected) > 70
    assert expected - set(answer.stdout.split()) == set()
