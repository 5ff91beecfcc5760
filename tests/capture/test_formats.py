"""The file formats: every dialect of pcap and pcapng is read, and damage is told with its place."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from synfin.capture import Problem
from synfin.capture.table import Kind, Link
from tests.capture.made import FRAME, Section, pcap, read
from tests.wire.net_made import ip4, ip6

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "capture"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "tick"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1), (0xA1B2CD34, 1000)])
def test_pcap_in_every_dialect(path: Path, order: str, magic: int, tick: int) -> None:
    told = read(path, pcap(FRAME, FRAME, order=order, magic=magic))
    assert told.rows["time"].tolist() == [START + 5 * tick, START + SECOND + 5 * tick]
    assert told.rows["kind"].tolist() == [Kind.TCP, Kind.TCP]
    assert told.rows["number"].tolist() == [1, 2]
    assert [batch.payload(0) for batch in told.batches] == [b"hello"]
    assert told.notes.resolution == tick
    assert told.notes.links == [Link(1, "", 65535)]
    assert not told.notes.problems


def test_fractions_of_a_second_stay_below_it(path: Path) -> None:
    told = read(path, pcap(FRAME, part=0x30303030))
    assert told.rows["time"].tolist() == [START + 999_999_000]


def test_lengths_in_the_old_order(path: Path) -> None:
    data = bytearray(pcap(FRAME, minor=2))
    struct.pack_into("<II", data, 32, 2000, len(FRAME))
    assert read(path, bytes(data)).rows[["caplen", "wirelen"]].tolist() == [(len(FRAME), 2000)]


@pytest.mark.parametrize("cut", [1, 8, 15, 16, 17, 40])
def test_a_pcap_cut_off_in_its_last_packet(path: Path, cut: int) -> None:
    whole = pcap(FRAME, FRAME, FRAME)
    data = whole[: len(whole) - len(FRAME) - 16 + cut]
    told = read(path, data)
    assert told.rows.size == 2
    (problem,) = told.notes.problems
    assert (problem.packet, problem.offset) == (3, 24 + 2 * (16 + len(FRAME)))
    assert "the file ends inside" in problem.text


def test_a_pcap_that_ends_behind_its_header(path: Path) -> None:
    assert read(path, pcap()).notes == read(path, pcap()).notes
    assert read(path, pcap()).rows.size == 0
    (problem,) = read(path, pcap()[:20]).notes.problems
    assert problem == Problem(0, 20, "the file header is cut off after 20 of 24 octets")


@pytest.mark.parametrize("batch", [1, 2, 131072])
def test_an_absurd_length_ends_the_reading(path: Path, batch: int) -> None:
    data = bytearray(pcap(FRAME, FRAME, FRAME))
    at = 24 + 2 * (16 + len(FRAME))
    struct.pack_into("<I", data, at + 8, 262_145)
    told = read(path, bytes(data), batch)
    assert told.rows.size == 2
    assert [(one.packet, one.offset) for one in told.notes.problems] == [(3, at)]


def test_frames_as_long_as_are_believed(path: Path) -> None:
    long = FRAME + bytes(262_144 - len(FRAME))
    told = read(path, pcap(long, FRAME))
    assert told.rows["caplen"].tolist() == [262_144, len(FRAME)]
    assert told.rows["load_len"].tolist() == [5, 5]


@pytest.mark.parametrize("batch", [1, 2, 5, 131072])
def test_batches_hold_what_was_asked(path: Path, batch: int) -> None:
    told = read(path, pcap(*[FRAME] * 11), batch)
    sizes = [one.rows.size for one in told.batches]
    assert sum(sizes) == 11
    assert max(sizes) <= batch
    assert told.rows["number"].tolist() == list(range(1, 12))
    section = Section()
    data = section.header() + section.interface() + section.packet(1) * 11
    again = read(path, data, batch)
    assert max(one.rows.size for one in again.batches) <= batch
    assert again.rows["number"].tolist() == list(range(1, 12))


@pytest.mark.parametrize("order", ["<", ">"])
def test_every_packet_block_of_pcapng(path: Path, order: str) -> None:
    section = Section(order)
    data = section.header() + section.interface(1, 0, (2, b"eth0"))
    data += section.packet(7) + section.simple() + section.obsolete(9) + section.packet(8)
    told = read(path, data)
    assert told.rows["time"].tolist() == [7000, 0, 9000, 8000]
    assert told.rows["kind"].tolist() == [Kind.TCP] * 4
    assert told.rows["load_len"].tolist() == [5] * 4
    assert told.notes.links == [Link(1, "eth0", 0)]


@pytest.mark.parametrize(
    ("resolution", "ticks", "time"),
    [
        (0, 3, 3 * SECOND),
        (3, 1500, 1_500_000_000),
        (6, 1, 1000),
        (9, 1, 1),
        (12, 5000, 5),
        (0x80, 3, 3 * SECOND),
        (0x80 | 1, 3, 1_500_000_000),
        (0x80 | 10, 1536, 1_500_000_000),
        (0x80 | 32, 3 << 31, 1_500_000_000),
        (0x80 | 60, 3 << 59, 1_500_000_000),
        (127, 5, 0),
        (255, 5, 0),
    ],
)
def test_time_resolutions_and_offsets(path: Path, resolution: int, ticks: int, time: int) -> None:
    section = Section()
    options = (9, bytes((resolution,))), (14, struct.pack("<q", -100))
    data = section.header() + section.interface(1, 0, *options) + section.packet(ticks)
    assert read(path, data).rows["time"].tolist() == [time - 100 * SECOND]


def test_sections_interfaces_and_link_types(path: Path) -> None:
    first, second = Section("<"), Section(">")
    data = first.header() + first.interface(1) + first.interface(101, 0, (9, b"\x09"))
    data += first.packet(1) + first.packet(2, ip4(), 1) + first.packet(3)
    data += second.header() + second.interface(229) + second.packet(4, ip6()) + second.packet(5, ip6())
    told = read(path, data)
    assert told.rows["time"].tolist() == [1000, 2, 3000, 4000, 5000]
    assert told.rows["kind"].tolist() == [Kind.TCP] * 5
    assert told.rows["version"].tolist() == [4, 4, 4, 6, 6]
    assert [told.notes.links[link].link_type for link in told.rows["link"].tolist()] == [1, 101, 1, 229, 229]


def test_comments_secrets_and_other_blocks(path: Path) -> None:
    section = Section()
    data = section.header((1, "the file ü".encode())) + section.interface() + section.secrets(b"CLIENT_RANDOM")
    data += section.secrets(b"wg", 0x57474B4C) + section.packet(1) + section.block(5, bytes(12))
    data += section.packet(2, FRAME, 0, (2, b"\0\0\0\1"), (1, b"one"), (1, b"two \xff")) + section.block(4, bytes(4))
    data += section.block(0x777, b"")
    told = read(path, data)
    assert told.notes.comments == {0: ["the file ü"], 2: ["one", "two \ufffd"]}
    assert told.secrets == [b"CLIENT_RANDOM"]
    assert told.notes.skipped == {
        "secrets of type 0x57474b4c": 1,
        "interface statistics block": 1,
        "name resolution block": 1,
        "block type 0x777": 1,
    }


def test_records_without_packets_are_numbered_as_wireshark_does(path: Path) -> None:
    section = Section()
    data = section.header() + section.interface() + section.packet(1) + section.block(9, b"MESSAGE=x\n")
    data += section.packet(2) + section.block(0xBAD, bytes(8)) + section.block(0x204, bytes(30)) + section.packet(3)
    told = read(path, data)
    assert told.rows["kind"].tolist() == [1, 0, 1, 0, 0, 1]
    assert told.notes.unread == {"systemd journal entry": 1, "custom block": 1, "system call event": 1}


def test_a_simple_packet_is_cut_at_the_snap_length(path: Path) -> None:
    section = Section()
    data = section.header() + section.interface(1, 56) + section.simple(FRAME[:56], len(FRAME))
    told = read(path, data)
    assert told.rows[["caplen", "wirelen", "load_len", "load_cap"]].tolist() == [(56, len(FRAME), 5, 2)]


GOOD = Section().header() + Section().interface() + Section().packet(1)


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (Section().packet(2)[:-8], "the file ends inside a block"),
        (Section().packet(2)[:7], "octets that are no block"),
        (struct.pack("<II", 6, 8), "octets that are no block"),
        (struct.pack("<II", 6, 8) + bytes(24), "says it is 8 octets long"),
        (struct.pack("<II", 77, 0xFFFFFFF0) + bytes(24), "says it is 4294967280 octets long"),
        (Section().packet(2, FRAME, 3), "names interface 3"),
        (
            Section().packet(2)[:20] + struct.pack("<II", 9999, 9999) + Section().packet(2)[28:],
            "9999 octets in a block",
        ),
        (Section().packet(2)[:-4] + bytes(4), "the block of packet 2 begins with length 92 and ends with another"),
        (Section().interface()[:-4] + bytes(4), "a block begins with length 20 and ends with another"),
        (Section().header()[:-4] + bytes(4), "a block begins with length 28 and ends with another"),
        (Section().header()[:8] + bytes(20), "a section header without a byte order"),
        (Section().header()[:4] + struct.pack("<I", 16) + Section().header()[8:], "a section header says it is 16"),
    ],
)
def test_damage_in_pcapng_ends_the_reading(path: Path, bad: bytes, text: str) -> None:
    told = read(path, GOOD + bad + Section().packet(3))
    if "the file ends" in text or "no block" in text:
        told = read(path, GOOD + bad)
    assert told.rows.size == 1
    (problem,) = told.notes.problems
    assert text in problem.text
    assert problem.offset == len(GOOD)


def test_packets_before_any_interface(path: Path) -> None:
    told = read(path, Section().header() + Section().packet(1))
    assert told.rows.size == 0
    assert "names interface 0" in told.notes.problems[0].text


def test_frames_that_are_not_packets_keep_their_rows(path: Path) -> None:
    told = read(path, pcap(b"", b"\0", FRAME, bytes(60), link=1))
    assert told.rows["kind"].tolist() == [0, 0, Kind.TCP, 0]
    assert told.notes.unread == {"malformed Ethernet header": 2, "malformed LLC header": 1}
    names = told.batches[0].problems
    assert [names[one] for one in told.rows["problem"].tolist()][2] == ""
