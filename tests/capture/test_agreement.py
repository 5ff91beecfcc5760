"""Captures made by strangers: the columns say the same as tshark's list of connections, or of packets."""

from __future__ import annotations

import ipaddress
from collections import Counter
from pathlib import Path

import pytest

from synfin.capture import KeyLog, open_capture, read_keylog
from synfin.capture.table import Kind
from tests.support.shared import SHARED, captures, index, needs_shared, truth

pytestmark = needs_shared

End = tuple[int, int]


def _directions(path: Path, batch: int) -> tuple[int, dict[tuple[End, End], list[int]]]:
    """Packets in the file, and per direction of each pair of ends: packets, octets of frames, octets of payload."""
    found: dict[tuple[End, End], list[int]] = {}
    total = 0
    with open_capture(path, batch_packets=batch) as capture:
        for one in capture.batches():
            total += one.rows.size
            for row in one.rows:
                if row["kind"] in (Kind.TCP, Kind.CUT):
                    src = (int(row["src_hi"]) << 64 | int(row["src_lo"]), int(row["sport"]))
                    dst = (int(row["dst_hi"]) << 64 | int(row["dst_lo"]), int(row["dport"]))
                    sums = found.setdefault((src, dst), [0, 0, 0])
                    sums[0] += 1
                    sums[1] += int(row["wirelen"])
                    sums[2] += int(row["load_len"])
        assert capture.notes.packets == total
    return total, found


def _true_directions(name: str) -> dict[tuple[End, End], list[int]]:
    wanted: dict[tuple[End, End], list[int]] = {}
    for one in truth(name):
        a, b = ((int(ipaddress.ip_address(one[side]["ip"])), one[side]["port"]) for side in "ab")
        for key, sums in (((a, b), one["ab"]), ((b, a), one["ba"])):
            if sums["packets"]:
                into = wanted.setdefault(key, [0, 0, 0])
                for i, field in enumerate(("packets", "bytes", "payload")):
                    into[i] += sums[field]
    return wanted


@pytest.mark.parametrize("path", captures(), ids=lambda path: path.name)
def test_packets_octets_and_payload_agree_with_tshark(path: Path) -> None:
    total, found = _directions(path, 131072)
    assert total == index()[path.name]["packets"]
    assert found == _true_directions(path.name)


@pytest.mark.parametrize("path", captures()[::7], ids=lambda path: path.name)
def test_small_batches_say_the_same(path: Path) -> None:
    assert _directions(path, 3) == _directions(path, 131072)


@pytest.mark.parametrize("path", captures(), ids=lambda path: path.name)
def test_times_of_the_first_and_last_packets_agree(path: Path) -> None:
    times: dict[int, int] = {}
    with open_capture(path) as capture:
        for batch in capture.batches():
            times.update(zip(batch.rows["number"].tolist(), batch.rows["time"].tolist(), strict=True))
    for one in truth(path.name):
        for which in ("first", "last"):
            seconds, _, rest = one[f"{which}_time"].partition(".")
            assert times[one[f"{which}_frame"]] == int(seconds) * 10**9 + int(rest.ljust(9, "0"))


def test_nothing_in_these_captures_is_unread() -> None:
    unread: Counter[str] = Counter()
    for path in captures():
        with open_capture(path) as capture:
            for _ in capture.batches():
                pass
            unread += capture.notes.unread
    assert not unread


def test_damage_is_told_with_its_place() -> None:
    with open_capture(next(path for path in captures() if path.name == "damaged-file-and-cert.pcap")) as capture:
        assert sum(batch.rows.size for batch in capture.batches()) == 6
        (problem,) = capture.notes.problems
    assert problem.packet == 7
    assert "4325376" in problem.text


def test_key_logs_are_read_whole() -> None:
    assert SHARED is not None
    for path in sorted((SHARED / "keys").iterdir()):
        log = read_keylog(path)
        assert not log.problems
        assert KeyLog.parse(log.to_text()).to_text() == log.to_text()


def test_secrets_inside_the_capture_are_the_key_log_beside_it() -> None:
    assert SHARED is not None
    with open_capture(SHARED / "captures" / "illustrated-tls13-dsb.pcapng") as capture:
        for _ in capture.batches():
            pass
        inside = KeyLog.parse(b"".join(capture.secrets))
    assert inside.to_text() == read_keylog(SHARED / "keys" / "illustrated-tls13.keys").to_text()
