"""Key logs: every kind of line, what is wrong with the others, and files that are none."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synfin.capture import KeyLog, read_keylog
from synfin.errors import UsageError

RANDOM = bytes(range(32))
MASTER = bytes(range(48))
LABELS = [
    "CLIENT_EARLY_TRAFFIC_SECRET",
    "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    "SERVER_HANDSHAKE_TRAFFIC_SECRET",
    "CLIENT_TRAFFIC_SECRET_0",
    "SERVER_TRAFFIC_SECRET_0",
    "CLIENT_TRAFFIC_SECRET_1",
    "EXPORTER_SECRET",
    "EARLY_EXPORTER_SECRET",
    "ECH_SECRET",
]


def test_every_label_is_found_by_client_random() -> None:
    text = "# a comment\r\n\r\n" + "".join(f"{label} {RANDOM.hex()} {i:064x}\r\n" for i, label in enumerate(LABELS))
    log = KeyLog.parse(text.encode())
    assert not log.problems
    assert log.labels(RANDOM) == set(LABELS)
    for i, label in enumerate(LABELS):
        assert log.get(label, RANDOM) == i.to_bytes(32, "big")
    assert log.get(LABELS[0], bytes(32)) is None
    assert log.labels(bytes(32)) == set()


def test_rsa_lines() -> None:
    text = f"RSA {'ab' * 8} {MASTER.hex().upper()}\nRSA Session-ID:{'cd' * 32} Master-Key:{MASTER.hex()}"
    log = KeyLog.parse(text.encode())
    assert log.rsa(b"\xab" * 128) == MASTER
    assert log.rsa(b"\xac" * 8) is None
    assert log.session(b"\xcd" * 32) == MASTER
    assert not log.problems


@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16"])
def test_key_logs_as_windows_writes_them(coding: str) -> None:
    text = f"CLIENT_RANDOM {RANDOM.hex()} {MASTER.hex()}\r\n"
    assert KeyLog.parse(text.encode(coding)).get("CLIENT_RANDOM", RANDOM) == MASTER


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("CLIENT_RANDOM", "not of the form"),
        (f"CLIENT_RANDOM {RANDOM.hex()}", "not of the form"),
        (f"CLIENT_RANDOM {RANDOM.hex()[:-1]} {MASTER.hex()}", "64 hex digits"),
        (f"CLIENT_RANDOM {RANDOM.hex()} {MASTER.hex()[2:]}", "96 hex digits"),
        (f"EXPORTER_SECRET {RANDOM.hex()} xyz", "hex digits in pairs"),
        (f"client_random {RANDOM.hex()} {MASTER.hex()}", "not of the form"),
        ("RSA 00 11", "16 hex digits"),
        ("RSA", "not of the form"),
        ("RSA Session-ID:00 Master-Key:11", "96 hex digits"),
    ],
)
def test_bad_lines_are_problems_with_their_number(line: str, words: str) -> None:
    log = KeyLog.parse(f"# first\n{line}\nCLIENT_RANDOM {RANDOM.hex()} {MASTER.hex()}\n".encode())
    (problem,) = log.problems
    assert problem.startswith("line 2: ")
    assert words in problem
    assert len(log) == 1


def test_merging_takes_the_newer_secret() -> None:
    log = KeyLog.parse(f"CLIENT_RANDOM {RANDOM.hex()} {MASTER.hex()}".encode())
    log.merge(KeyLog.parse(f"CLIENT_RANDOM {RANDOM.hex()} {'00' * 48}\nbad".encode()))
    assert log.get("CLIENT_RANDOM", RANDOM) == bytes(48)
    assert log.problems == ["line 2: not of the form LABEL CLIENT_RANDOM SECRET"]


@given(st.binary(max_size=300))
def test_any_octets_are_survived(text: bytes) -> None:
    log = KeyLog.parse(text)
    assert KeyLog.parse(log.to_text()).to_text() == log.to_text()


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(LABELS), st.binary(min_size=32, max_size=32)), st.binary(min_size=1, max_size=64)
    )
)
def test_text_comes_back(secrets: dict[tuple[str, bytes], bytes]) -> None:
    text = "".join(f"{label} {random.hex()} {secret.hex()}\n" for (label, random), secret in secrets.items())
    log = KeyLog.parse(KeyLog.parse(text.encode()).to_text())
    assert not log.problems
    for (label, random), secret in secrets.items():
        assert log.get(label, random) == secret


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----\n", "PEM text (a private key)"),
        (b"-----BEGIN CERTIFICATE-----\nMC4CAQ\n", "PEM text (a certificate)"),
        (b"\xd4\xc3\xb2\xa1" + bytes(40), "is a capture"),
        (b"hello world\n", "no TLS key log line (line 1: not of the form"),
        (b"# only a comment\n", "no TLS key log line; give"),
    ],
)
def test_files_that_are_no_key_log(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "keys"
    path.write_bytes(data)
    with pytest.raises(UsageError) as caught:
        read_keylog(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_key_logs_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_keylog(tmp_path / "none")
    with pytest.raises(UsageError, match="is a directory"):
        read_keylog(tmp_path)
