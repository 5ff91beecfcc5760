"""Whole arrays and one packet at a time say the same, and no octets of a file do harm."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.capture import ReadNotes, open_capture
from synfin.capture.single import Singles
from synfin.capture.table import ROW, Batch, Kind
from synfin.capture.writer import PcapngWriter, PcapWriter
from synfin.errors import UsageError
from synfin.wire.ip import IPv4, IPv6
from synfin.wire.tcp import Segment
from synfin.wire.udp import Datagram
from tests.capture.made import Section, pcap
from tests.support.shared import captures
from tests.wire.net_made import A4, A6, B4, B6, NAMED, SHAPES, eth, ip4

#: Columns that are known before a frame is looked into.
GIVEN = ("number", "time", "frame_at", "caplen", "wirelen", "link")
#: Link types that whole arrays know; Ethernet, which has the most to it, more often.
LINKS = (1, 1, 1, 1, 1, 1, 0, 9, 12, 50, 101, 104, 108, 113, 276)


def batches(data: bytes, folder: Path) -> tuple[list[Batch], ReadNotes]:
    path = folder / "capture"
    path.write_bytes(data)
    with open_capture(path) as capture:
        return list(capture.batches()), capture.notes


def one_by_one(found: list[Batch], notes: ReadNotes) -> None:
    """Decode every row again without whole-array operations and compare all columns."""
    extra = bytearray()
    again = ReadNotes(links=notes.links)
    singles = Singles(memoryview(found[0].data), extra, again)
    for batch in found:
        rows = np.zeros(batch.rows.size, ROW)
        for name in GIVEN:
            rows[name] = batch.rows[name]
        singles.fill(rows, np.arange(rows.size))
        for name in rows.dtype.names or ():
            ours, theirs = batch.rows[name].tolist(), rows[name].tolist()
            if name == "wrap":
                assert [batch.wraps[i] for i in ours] == [singles.wraps[i] for i in theirs]
            elif name == "problem":
                assert [batch.problems[i] for i in ours] == [singles.problems[i] for i in theirs]
            else:
                assert ours == theirs, name
    assert again.unread == notes.unread
    assert extra == found[0].extra


def transports() -> st.SearchStrategy[tuple[int, bytes]]:
    """Protocol number and octets of a segment or datagram, some of them odd."""
    segments = st.builds(
        Segment,
        st.integers(0, 65535),
        st.integers(0, 65535),
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**32 - 1),
        st.integers(0, 4095),
        st.integers(0, 65535),
        urgent=st.integers(0, 65535),
        options=st.binary(max_size=40),
        payload=st.binary(max_size=30),
        data_offset=st.one_of(st.none(), st.none(), st.integers(0, 15)),
    )
    datagrams = st.builds(
        Datagram,
        st.sampled_from([53, 443, 4789, 50000]),
        st.sampled_from([53, 443, 4789, 2152]),
        st.binary(max_size=60),
        length=st.one_of(st.none(), st.integers(0, 100)),
    )
    return st.one_of(
        st.tuples(st.just(6), segments.map(Segment.write)),
        st.tuples(st.just(17), datagrams.map(Datagram.write)),
        st.tuples(st.sampled_from([1, 47, 58, 132]), st.binary(max_size=30)),
    )


@st.composite
def packets(draw: st.DrawFn) -> bytes:
    """An IP packet."""
    proto, body = draw(transports())
    wrong = draw(st.sampled_from([0, 0, 0, -1, 7, -30, 1000]))
    if draw(st.booleans()):
        options = draw(st.sampled_from([b"", b"", b"\1" * 4, b"\x94\4\0\0" * 10]))
        length = draw(st.sampled_from([1, 1, 1, 0])) * max(0, 20 + len(options) + len(body) + wrong)
        flags = draw(st.sampled_from([0, 0x4000, 0x4000, 0x2000, 3]))
        tos, ident = draw(st.integers(0, 255)), draw(st.integers(0, 65535))
        head = IPv4(A4, B4, proto, length, 61, ident, flags, tos, options=options).write()
        if draw(st.integers(0, 20)) == 0:
            head = bytes((draw(st.integers(0, 255)),)) + head[1:]
        return head + body
    length = max(0, len(body) + wrong)
    return IPv6(A6, B6, proto, length, 63, draw(st.integers(0, 255)), 99).write() + body


@st.composite
def frames(draw: st.DrawFn, link: int) -> bytes:
    """A frame of ``link`` around an IP packet, perhaps with tags and padding."""
    packet = draw(packets())
    kind = 0x86DD if packet[0] >> 4 == 6 else 0x0800
    kind = draw(st.sampled_from([kind, kind, kind, kind, 0x0806, 0x8847, 0x0800]))
    if link == 1:
        if draw(st.integers(0, 3)) == 0:
            protocol = b"\0\x57" if kind == 0x86DD else b"\0\x21"
            length = len(packet) + 2 + draw(st.sampled_from([0, 0, 0, -9, 50, -200]))
            session = b"\x11" + draw(st.sampled_from([b"\0", b"\0", b"\x65"])) + b"\0\1"
            packet = session + max(0, length).to_bytes(2, "big") + protocol + packet
            kind = 0x8864
        tags = draw(st.lists(st.tuples(st.sampled_from([0x8100, 0x88A8, 0x9100]), st.integers(0, 65535)), max_size=3))
        return eth(kind, packet, *tags) + draw(st.sampled_from([b"", bytes(6), b"\xff" * 4]))
    if link in (0, 108):
        family = 2 if kind == 0x0800 else draw(st.sampled_from([10, 24, 28, 30, 99]))
        return family.to_bytes(4, draw(st.sampled_from(["little", "big"]))) + packet
    if link in (9, 50):
        head = draw(st.sampled_from([b"\xff\3\0", b"\xff\3\0", b"\0", b"", b"\x0f\0\x08"]))
        return head + draw(st.sampled_from([b"\x21", b"\x57", b"\0"])) + packet
    if link == 104:
        return b"\x0f\0" + kind.to_bytes(2, "big") + packet
    if link == 113:
        return bytes(14) + kind.to_bytes(2, "big") + packet
    if link == 276:
        return kind.to_bytes(2, "big") + bytes(18) + packet
    return packet


@settings(max_examples=120)
@given(data=st.data())
def test_whole_arrays_and_single_packets_say_the_same(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    link = data.draw(st.sampled_from(LINKS))
    file = io.BytesIO()
    writer = PcapWriter(file, link)
    for i, frame in enumerate(data.draw(st.lists(frames(link), min_size=1, max_size=12))):
        cut = data.draw(st.sampled_from([len(frame), len(frame), len(frame), 20, 40, 54, 58, 70]))
        writer.packet(10**18 + i, frame[:cut], wirelen=len(frame))
    one_by_one(*batches(file.getvalue(), tmp_path_factory.mktemp("columns", numbered=True)))


@pytest.mark.parametrize("path", captures(), ids=lambda path: path.name)
def test_strangers_captures_say_the_same(path: Path) -> None:
    with open_capture(path) as capture:
        found = list(capture.batches())
        one_by_one(found, capture.notes)


def test_every_shape_in_one_capture(tmp_path: Path) -> None:
    section = Section()
    shapes = SHAPES | NAMED
    links = sorted({link for link, _ in shapes.values()})
    data = section.header() + b"".join(section.interface(link) for link in links)
    data += b"".join(section.packet(1, frame, links.index(link)) for link, frame in shapes.values())
    found, notes = batches(data, tmp_path)
    one_by_one(found, notes)
    assert notes.packets == len(shapes)
    assert notes.unread.total() == len(NAMED)
    pdu = found[0].rows[list(shapes).index("exported PDU")]
    assert (pdu["kind"], pdu["sport"], pdu["load_len"]) == (Kind.PDU, 40001, 5)
    tunnels = {found[0].wraps[wrap].tunnels for wrap in found[0].rows["wrap"].tolist()}
    assert {("VXLAN",), ("GENEVE",), ("GTP-U",), ("GRE",), ("6in4",), ("MPLS",), ("tls",)} <= tunnels


def seeds() -> list[bytes]:
    file = io.BytesIO()
    writer = PcapngWriter(file)
    writer.secrets(b"CLIENT_RANDOM")
    for link, frame in SHAPES.values():
        if link == 1:
            writer.packet(10**18, frame, "a comment")
    halves = [ip4(body=bytes(16), flags_offset=0x2000), ip4(body=bytes(16), flags_offset=2)]
    section = Section(">")
    mixed = section.header() + section.interface() + section.simple() + section.obsolete(5) + section.interface(101)
    mixed += section.packet(5, halves[0], 1) + section.packet(6, halves[1], 1, (1, b"x"))
    plain = pcap(*[frame for link, frame in SHAPES.values() if link == 1], order=">")
    return [file.getvalue(), mixed, plain, gzip.compress(plain)]


@settings(max_examples=300)
@given(
    seed=st.sampled_from(seeds()),
    changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=8),
    cut=st.integers(0, 10**6),
    batch=st.sampled_from([1, 7, 131072]),
)
def test_mutated_captures_are_survived(
    seed: bytes,
    changes: list[tuple[int, int]],
    cut: int,
    batch: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    octets = bytearray(seed)
    for at, value in changes:
        octets[at % len(octets)] = value
    path = tmp_path_factory.mktemp("mutated", numbered=True) / "capture"
    path.write_bytes(octets[: cut if cut % 3 == 0 else None])
    try:
        capture = open_capture(path, batch_packets=batch)
    except UsageError:
        return
    with capture:
        total = 0
        for found in capture.batches():
            rows = found.rows
            assert rows["number"].tolist() == list(range(total + 1, total + rows.size + 1))
            total += rows.size
            assert (rows["load_cap"] >= 0).all()
            assert (rows["load_len"] >= rows["load_cap"]).all()
            for i in range(rows.size):
                assert len(found.payload(i)) == rows["load_cap"][i]
                assert int(rows["frame_at"][i]) + int(rows["caplen"][i]) <= len(found.data)
        assert capture.notes.packets == total
