"""Frames of every shape are read down to their segment, and what cannot be read is named."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.wire.codec import Span
from synfin.wire.net import Dissection, dissect, dissect_datagram, link_name
from tests.wire.net_made import A4, B4, NAMED, SHAPES, eth, ip4, segment


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_leads_to_its_segment(name: str) -> None:
    link, frame = SHAPES[name]
    found = dissect(link, frame)
    assert found.unread == ""
    assert found.kind == ("pdu" if name == "exported PDU" else "tcp"), found.layers
    assert (found.sport, found.dport) == (40001, 443)
    assert frame[found.load_at : found.load_at + found.load_cap] == b"hello"
    assert found.load_len == 5
    if found.kind == "tcp":
        assert (found.seq, found.ack, found.flags, found.window) == (1000, 2000, 0x18, 502)


@pytest.mark.parametrize("name", NAMED)
def test_what_is_not_read_is_named(name: str) -> None:
    link, frame = NAMED[name]
    found = dissect(link, frame)
    assert (found.kind, found.unread) == ("other", name)


@pytest.mark.parametrize("name", SHAPES)
def test_every_truncation_is_survived_and_named(name: str) -> None:
    link, frame = SHAPES[name]
    whole = dissect(link, frame)
    for size in range(len(frame)):
        found = dissect(link, frame[:size], wirelen=len(frame))
        assert found.load_at + found.load_cap <= max(size, found.load_at)
        if found.kind == "tcp" and not found.unread:
            assert found.load_len == whole.load_len, "the wire's length does not depend on the snap length"
        else:
            assert found.unread or found.kind in ("udp", "pdu")


@pytest.mark.parametrize("name", SHAPES)
def test_spans_cover_the_frame_in_order_and_have_sources(name: str) -> None:
    link, frame = SHAPES[name]
    spans: list[Span] = []
    assert dissect(link, frame, spans) == dissect(link, frame)
    covered: set[int] = set()
    for span in spans:
        assert 0 <= span.start < span.end <= len(frame)
        assert span.ref and span.path
        covered.update(range(span.start, span.end))
    gap = set(range(len(frame))) - covered
    trailer = frame[max(covered) + 1 :]
    assert gap == set(range(len(frame) - len(trailer), len(frame))), "only a trailer may stay unnamed"
    assert not trailer.strip(b"\0")


@settings(max_examples=150)
@given(st.sampled_from(sorted(SHAPES)), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6))
def test_mutated_frames_are_survived(name: str, changes: list[tuple[int, int]]) -> None:
    link, frame = SHAPES[name]
    octets = bytearray(frame)
    for at, value in changes:
        octets[at % len(octets)] = value
    _sane(dissect(link, bytes(octets), []), octets)


@settings(max_examples=150)
@given(st.sampled_from([0, 1, 9, 50, 51, 101, 104, 105, 113, 117, 119, 127, 163, 192, 239, 252, 276]), st.binary())
def test_random_octets_are_survived(link: int, octets: bytes) -> None:
    _sane(dissect(link, octets), octets)


def _sane(found: Dissection, octets: bytes | bytearray) -> None:
    assert found.kind in ("tcp", "udp", "icmp", "pdu", "cut", "other")
    assert 0 <= found.load_cap <= len(octets)
    assert found.load_len >= found.load_cap
    if found.load_cap:
        assert found.load_at + found.load_cap <= len(octets)
    assert found.options_at + found.options_len <= len(octets)


def test_a_fragment_says_where_it_belongs() -> None:
    found = dissect(1, eth(0x800, ip4(body=b"x" * 16, flags_offset=0x2000 | 3)))
    assert found.fragment is not None
    assert (found.fragment.offset, found.fragment.more, found.fragment.size) == (24, True, 16)
    assert found.fragment.key == (4, A4, B4, 6, 7)


def test_a_datagram_put_together_is_read_on() -> None:
    before = dissect(1, eth(0x800, ip4(body=b"x" * 8, flags_offset=3), (0x8100, 9)))
    found = dissect_datagram(before, 6, segment())
    assert (found.kind, found.sport, found.src, found.vlans) == ("tcp", 40001, A4, [9])
    assert found.load_at == 20


def test_options_have_names_values_and_sources() -> None:
    spans: list[Span] = []
    raw = bytearray(segment())
    raw[12] = 0x80
    options = b"\x02\x04\x05\xb4\x01\x03\x03\x07\x04\x02\x00\x00"
    dissect(101, ip4(body=bytes(raw[:20]) + options), spans)
    named = {span.path: (span.value, span.ref) for span in spans}
    assert named["tcp.options.maximum segment size"] == (1460, "RFC 9293 3.7.1")
    assert named["tcp.options.window scale"] == (7, "RFC 7323 2.2")
    assert named["tcp.options.SACK permitted"][1] == "RFC 2018 2"
    assert named["tcp.data_offset"][0] == 8
    assert named["tcp.flags"][0] == "0x018 PSH+ACK"


def test_link_types_have_names() -> None:
    assert link_name(249) == "USB (Windows)"
    assert link_name(4711) == "link type 4711"
