"""ICMP errors that quote a TCP segment, matched to the connection they are about."""

from __future__ import annotations

import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.capture.table import Kind
from synfin.observe.icmpwatch import IcmpLog
from synfin.observe.story import Endpoint
from tests.support.packets import START, batch, make, tabulate

S = 10**9
A, B = Endpoint("10.0.0.1", 40001), Endpoint("10.0.0.2", 443)

TEXT = """
0.0 a > b SYN
0.1 c > a icmp type=3 code=4 mtu=1400 quote=1
0.3 b > a SYN,ACK
0.4 c > a icmp type=8 code=0 quote=1
0.5 c > a icmp type=3 code=13 quote=1
0.6 c > b icmp type=11 code=0 quote=3
"""


def read(text: str) -> IcmpLog:
    log = IcmpLog()
    log.add(batch(text))
    return log


def test_errors_by_name_with_whose_segment_they_quote() -> None:
    errors = read(TEXT).for_connection(A, B, START, START + S)
    assert [(error.packet, error.name, error.quoted_sender, error.mtu) for error in errors] == [
        (2, "fragmentation needed", 0, 1400),
        (5, "communication administratively prohibited", 0, None),
        (6, "time exceeded in transit", 1, None),
    ]
    assert errors[0].sender_ip == "10.0.0.3" and errors[0].quoted_seq == 1000 and errors[0].time == START + S // 10


def test_only_of_this_connection_and_its_time() -> None:
    log = read("0.0 a > b SYN\n0.1 c > a icmp type=3 code=1 quote=1\n")
    assert len(log.for_connection(A, B, START, START)) == 1
    assert len(log.for_connection(B, A, START, START)) == 1
    assert log.for_connection(B, A, START, START)[0].quoted_sender == 1
    assert log.for_connection(A, B, START + S, START + 2 * S) == ()
    assert log.for_connection(A, B, START - 100 * S, START - 50 * S) == ()
    assert log.for_connection(Endpoint("10.0.0.1", 40002), B, START, START) == ()


def test_version_6() -> None:
    v6 = "a = [2001:db8::1]:40001\nb = [2001:db8::2]:443\nc = [2001:db8::3]:1\n"
    log = read(
        v6 + "0.0 a > b SYN\n0.1 c > a icmp type=2 code=0 mtu=1280 quote=1\n0.2 c > a icmp type=1 code=4 quote=1\n"
    )
    errors = log.for_connection(Endpoint("2001:db8::1", 40001), Endpoint("2001:db8::2", 443), START, START + S)
    assert [(error.version, error.name, error.mtu) for error in errors] == [
        (6, "packet too big", 1280),
        (6, "port unreachable", None),
    ]


def icmp(payload: bytes, version: int) -> IcmpLog:
    host = "10.0.0.9" if version == 4 else "2001:db8::9"
    packet = make(time=START, kind=Kind.ICMP, src=(host, 0), dst=(host, 0), payload=payload)
    log = IcmpLog()
    log.add(tabulate([packet]))
    return log


def test_extension_headers_in_the_quote_are_passed() -> None:
    ends = bytes.fromhex("20010db8" + "00" * 11 + "01") + bytes.fromhex("20010db8" + "00" * 11 + "02")
    quoted = b"\x60\0\0\0\0\x20\x00\x40" + ends + b"\x06\x00" + bytes(6) + struct.pack(">HHI", 40001, 443, 77)
    log = icmp(b"\x03\x00\0\0\0\0\0\0" + quoted, 6)
    errors = log.for_connection(Endpoint("2001:db8::1", 40001), Endpoint("2001:db8::2", 443), START, START)
    assert [error.quoted_seq for error in errors] == [77]


@settings(max_examples=150)
@given(st.sampled_from([3, 4, 11, 12, 1, 2]), st.integers(0, 255), st.binary(max_size=80), st.sampled_from([4, 6]))
def test_any_octets_are_taken(kind: int, code: int, rest: bytes, version: int) -> None:
    for quoted in (rest, bytes((version << 4 | 5,)) + rest, bytes((version << 4 | 15,)) + rest):
        icmp(bytes((kind, code, 0, 0, 0, 0, 0, 0)) + quoted, version)
