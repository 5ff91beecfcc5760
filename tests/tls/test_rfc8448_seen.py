"""RFC 8448's records as a sniffer has them, with the RFC's secrets for a key log: our observer and tshark open all."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from synfin.capture.keylog import KeyLog
from synfin.observe.story_tls import Opened, TlsStory
from synfin.observe.tlswatch import watch_tls
from tests.support.packets import packets, write_pcap
from tests.support.streams import talk
from tests.tls import rfc8448_traces as traces
from tests.tls.rfc8448_traces import DATA, EARLY, Trace

#: Handshake messages by type, the client's and the server's.
MESSAGES = {
    3: ([1, 20], [2, 8, 11, 15, 20, 4]),
    4: ([1, 5, 20], [2, 8, 20]),
    5: ([1, 1, 20], [2, 2, 8, 11, 15, 20]),
    6: ([1, 11, 15, 20], [2, 8, 13, 11, 15, 20]),
    7: ([1, 20], [2, 8, 11, 15, 20]),
}


def key_log(trace: Trace) -> bytes:
    """The section's secrets as an SSLKEYLOGFILE."""
    random = trace.steps[0].record[11:43].hex()
    return "".join(f"{name} {random} {secret.hex()}\n" for name, secret in trace.secrets.items()).encode()


def watched(trace: Trace, secrets: bytes) -> TlsStory:
    story = watch_tls(
        talk(*((int(step.sender == "server"), step.record) for step in trace.steps)), keylog=KeyLog.parse(secrets)
    ).tls
    assert story is not None
    return story


@pytest.mark.parametrize("trace", traces.TRACES, ids=lambda trace: f"section {trace.section}")
def test_our_observer(trace: Trace) -> None:
    story = watched(trace, key_log(trace))
    assert [side.opened for side in story.decryption] == [Opened.ALL, Opened.ALL]
    assert not story.problems
    said: tuple[list[int], list[int]] = ([], [])
    for message in story.messages:
        said[message.sender].append(message.type)
    assert said == MESSAGES[trace.section]
    assert [(alert.sender, alert.description) for alert in story.alerts] == [(0, 0), (1, 0)]
    assert story.group == trace.facts["group"]
    assert story.resumed == ("psk" if trace.section == 4 else None)
    assert story.early_data == ("accepted" if trace.section == 4 else None)
    assert (story.hello_retry is not None) == (trace.section == 5)
    assert story.certificate_requested == (trace.section == 6)
    assert story.data is not None
    expected = {3: [DATA, DATA], 4: [EARLY + DATA, DATA]}.get(trace.section, [b"", b""])
    assert [stream.read(0, 1000) for stream in story.data] == expected


def test_with_secrets_of_another_section_nothing_opens() -> None:
    random = traces.SIMPLE.steps[0].record[11:43].hex()
    other = key_log(traces.COMPATIBLE).decode().split("\n")[:-1]
    wrong = "".join(f"{name} {random} {secret}\n" for name, _, secret in map(str.split, other)).encode()
    story = watched(traces.SIMPLE, wrong)
    assert Opened.ALL not in [side.opened for side in story.decryption]
    assert [message.type for message in story.messages] == [1, 2]


def _text(trace: Trace) -> str:
    """The records as packets in the notation of ``tests.support.packets``."""
    lines = [f"a = 10.0.0.1:{50000 + trace.section}", "b = 10.0.0.2:443", "0 a > b SYN", "+0.01 b > a SYN,ACK"]
    lines.append("+0.01 a > b ACK")
    for step in trace.steps:
        way = "a > b" if step.sender == "client" else "b > a"
        lines.append(f"+0.01 {way} PSH,ACK hex={step.record.hex()}")
    return "\n".join(lines)


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark(tmp_path: Path) -> None:
    many = [packet for trace in traces.TRACES for packet in packets(_text(trace))]
    path, keys = write_pcap(many, tmp_path / "rfc8448.pcap"), tmp_path / "keys"
    keys.write_bytes(b"".join(map(key_log, traces.TRACES)))
    command = ["tshark", "-r", str(path), "-n", "-o", f"tls.keylog_file:{keys}", "-Y", "tls", "-T", "fields"]
    fields = ["tcp.stream", "tcp.srcport", "tls.handshake.type", "tls.alert_message.desc"]
    for field in fields:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    said: dict[int, tuple[list[int], list[int]]] = {trace.section: ([], []) for trace in traces.TRACES}
    closed = 0
    for line in done.stdout.splitlines():
        stream, port, types, alerts = line.split("\t")
        section = traces.TRACES[int(stream)].section
        said[section][port == "443"].extend(int(number) for number in types.split(",") if number)
        closed += alerts == "0"
    assert said == MESSAGES
    assert closed == 10
