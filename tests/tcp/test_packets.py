"""Packets, options and queues: equal to the codecs of ``wire`` and to naive ones, and total on any octets."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.errors import WireError
from synfin.spec.tcp_segments import acceptable
from synfin.tcp import Icmp, Packet, options, parse
from synfin.tcp.queues import ReceiveQueue, SendQueue
from synfin.wire.checksum import checksum
from synfin.wire.codec import Reader
from synfin.wire.ip import IPv4, IPv6
from synfin.wire.tcp import Segment

addresses = st.sampled_from([4, 16]).flatmap(
    lambda size: st.tuples(st.binary(min_size=size, max_size=size), st.binary(min_size=size, max_size=size))
)
u16, u32 = st.integers(0, 65535), st.integers(0, 0xFFFFFFFF)


@st.composite
def packets(draw: st.DrawFn) -> Packet:
    src, dst = draw(addresses)
    raw = draw(st.binary(max_size=40))
    raw += bytes(-len(raw) % 4)
    return Packet(
        src, dst, draw(u16), draw(u16), draw(u32), draw(u32), draw(st.integers(0, 511)), draw(u16), raw,
        draw(st.binary(max_size=60)), draw(u16), draw(st.integers(0, 3)), draw(st.integers(1, 255)),
        draw(st.booleans()) or len(src) == 16,
    )  # fmt: skip


@settings(max_examples=150)
@given(packets())
def test_packets_are_what_wire_reads_and_writes(packet: Packet) -> None:
    data = packet.write(7)
    assert len(data) == packet.size
    again = Packet.read(data)
    assert again._replace(payload=bytes(again.payload)) == packet
    r = Reader(data, "packet")
    head = IPv4.read(r) if len(packet.src) == 4 else IPv6.read(r)
    assert (head.src, head.dst) == (packet.src, packet.dst)
    if isinstance(head, IPv4):
        assert head.sealed().write() == data[:20]
    assert Segment.read(Reader(data[-head.length + (20 if isinstance(head, IPv4) else 0) :], "tcp")) == packet.segment
    assert Packet.of(packet.segment, packet.src, packet.dst).segment == packet.segment


@settings(max_examples=60)
@given(packets(), st.data())
def test_every_truncation_and_every_wrong_bit_fails_cleanly(packet: Packet, data: st.DataObject) -> None:
    octets = packet.write()
    for size in range(len(octets)):
        try:
            Packet.read(octets[:size])
        except WireError:
            continue
        raise AssertionError(f"{size} of {len(octets)} octets were read")
    bit = data.draw(st.integers(0, len(octets) * 8 - 1))
    wrong = bytearray(octets)
    wrong[bit >> 3] ^= 1 << (bit & 7)
    try:
        parse(bytes(wrong))
    except WireError:
        pass
    else:
        assert len(packet.src) == 16  # hop limit, traffic class and flow label have no checksum


@settings(max_examples=300)
@given(st.binary(max_size=120))
def test_any_octets_are_read_or_refused(data: bytes) -> None:
    for verify in (True, False):
        try:
            parse(data, verify=verify)
        except WireError:
            pass


@settings(max_examples=300)
@given(st.binary(max_size=40))
def test_any_options_are_survived(raw: bytes) -> None:
    found = options.read(raw)
    assert found.wscale is None or found.wscale <= 14


@given(st.booleans(), st.one_of(st.none(), st.integers(0, 14)), st.one_of(st.none(), st.tuples(u32, u32)), u16)
def test_opening_options_come_back(sack: bool, scale: int | None, stamps: tuple[int, int] | None, mss: int) -> None:
    raw = options.opening(mss, scale, sack, stamps)
    assert len(raw) % 4 == 0
    assert options.read(raw) == options.Options(mss, scale, sack, stamps)


@given(st.lists(st.tuples(u32, u32), min_size=1, max_size=6), st.booleans())
def test_sack_blocks_come_back(blocks: list[tuple[int, int]], stamps: bool) -> None:
    first = options.timestamps(1, 2) if stamps else b""
    raw = first + options.blocks(blocks, 40 - len(first))
    assert len(raw) <= 40
    assert list(options.read(raw).sack) == blocks[: 3 if stamps else 4]


def test_icmp_quotes_and_is_read() -> None:
    packet = Packet(b"\x0a\0\0\1", b"\x0a\0\0\2", 1, 2, 3, 4, 16, 5, payload=b"text")
    message = Icmp.about(packet, b"\x0a\0\0\xfe", 3, 4, 1280)
    data = message.write(packet.write())
    assert checksum(data[20:]) == 0
    assert parse(data) == message
    six = Packet(bytes(15) + b"\1", bytes(15) + b"\2", 1, 2, 3, 4, 16, 5, payload=bytes(2000))
    message = Icmp.about(six, bytes(15) + b"\3", 2, 0, 1280)
    assert parse(message.write(six.write())) == message


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=40))
def test_receive_queue_is_a_set_of_octets(pieces: list[tuple[int, int]]) -> None:
    """Against a dictionary; the octets differ every time, and the first that came count."""
    queue = ReceiveQueue(0)
    naive: dict[int, int] = {}
    for number, (start, size) in enumerate(pieces):
        before = set(naive)
        for at in range(start, start + size):
            naive.setdefault(at, number)
        again = queue.add(start, bytes([number]) * size)
        repeated = {at for at in range(start, start + size) if at in before}
        assert (again is not None) == bool(repeated)
        if again is not None:
            assert set(range(*again)) <= repeated
        nxt = next(at for at in range(1000) if at not in naive)
        assert queue.nxt == nxt
        assert queue.ready == nxt
        beyond = {at for at in naive if at > nxt}
        told = {at for block in queue.blocks() for at in range(*block)}
        assert told <= beyond
        if len(queue.blocks()) < 8:
            assert told == beyond
        if beyond and start + size > nxt:
            assert queue.blocks()[0][0] <= max(start, nxt + 1) < queue.blocks()[0][1] or start < nxt
    assert b"".join(queue.take()) == bytes(naive[at] for at in range(queue.nxt))


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=5000), max_size=12), st.data())
def test_send_queue_is_a_string(chunks: list[bytes], data: st.DataObject) -> None:
    queue, whole = SendQueue(100), b"".join(chunks)
    for chunk in chunks:
        queue.append(bytearray(chunk))
    assert (queue.base, queue.end) == (100, 100 + len(whole))
    dropped = data.draw(st.integers(0, len(whole)))
    queue.drop(100 + dropped)
    if dropped < len(whole):
        start = data.draw(st.integers(dropped, len(whole) - 1))
        size = data.draw(st.integers(1, len(whole) - start))
        assert bytes(queue.slice(100 + start, size)) == whole[start : start + size]
    assert len(queue) == len(whole) - dropped


@given(u32, st.integers(0, 3), u32, st.integers(0, 65535))
def test_acceptability_is_that_of_the_spec(seq: int, length: int, nxt: int, window: int) -> None:
    """The plain reading of RFC 9293 3.4, octet by octet."""
    inside = {(nxt + n) & 0xFFFFFFFF for n in range(min(window, 300))} | {(nxt + window - 1) & 0xFFFFFFFF}
    if window == 0:
        assert acceptable(seq, length, nxt, window) == (length == 0 and seq == nxt)
    elif seq in inside:
        assert acceptable(seq, length, nxt, window)
