"""Name look-ups: which one led to a connection; messages hostile and plain."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.errors import WireError
from synfin.observe.dnswatch import DnsLog
from synfin.wire.dns import read_message
from tests.support.packets import START, batch

S = 10**9


def name(text: str) -> bytes:
    return b"".join(bytes((len(label),)) + label.encode() for label in text.split(".")) + b"\0"


def message(ident: int, asked: str, *answers: tuple[int, bytes], flags: int = 0x8180, kind: int = 1) -> bytes:
    out = struct.pack(">HHHHHH", ident, flags, 1, len(answers), 0, 0) + name(asked) + struct.pack(">HH", kind, 1)
    for record_type, data in answers:
        out += b"\xc0\x0c" + struct.pack(">HHIH", record_type, 1, 60, len(data)) + data
    return out


def query(ident: int, asked: str, kind: int = 1) -> bytes:
    return message(ident, asked, flags=0x0100, kind=kind)


def log(*packets: tuple[str, str, bytes]) -> DnsLog:
    """A log of (time, "a > b", payload); a is 10.0.0.1, the resolver r 10.0.0.53."""
    lines = ["a = 10.0.0.1:40000", "r = 10.0.0.53:53", "l = 127.0.0.1:40001", "s = 127.0.0.53:53"]
    lines += [f"{time} {way} udp hex={payload.hex()}" for time, way, payload in packets]
    found = DnsLog()
    found.add(batch("\n".join(lines)))
    return found


V4, V6 = bytes((192, 0, 2, 1)), bytes.fromhex("20010db8" + "00" * 11 + "05")
CNAME = (5, name("other.example.org"))


def test_the_lookup_that_led_here() -> None:
    found = log(
        ("0.0", "a > r", query(1, "www.example.org")),
        ("0.1", "a > r", query(2, "www.example.org", 28)),
        ("0.2", "r > a", message(1, "www.example.org", CNAME, (1, V4), (1, bytes((192, 0, 2, 2))))),
        ("0.3", "r > a", message(2, "www.example.org", (28, V6), kind=28)),
    )
    fact = found.before("10.0.0.1", "192.0.2.1", START + S)
    assert fact is not None
    assert (fact.name, fact.qtype, fact.rcode, fact.server) == ("www.example.org", "A", "NOERROR", "10.0.0.53")
    assert (fact.query_packet, fact.answer_packet, fact.queries) == (1, 3, 1)
    assert (fact.start, fact.end) == (START, START + S // 5)
    assert fact.addresses == ("192.0.2.1", "192.0.2.2")
    six = found.before("10.0.0.1", "2001:db8::5", START + S)
    assert six is not None and six.qtype == "AAAA"


def test_not_too_long_before_nor_after_nor_of_another() -> None:
    found = log(("0.0", "a > r", query(1, "x.org")), ("1.0", "r > a", message(1, "x.org", (1, V4))))
    assert found.before("10.0.0.1", "192.0.2.1", START + 11 * S) is not None
    assert found.before("10.0.0.1", "192.0.2.1", START + 12 * S) is None
    assert found.before("10.0.0.1", "192.0.2.1", START + S // 2) is None
    assert found.before("10.0.0.9", "192.0.2.1", START + 2 * S) is None
    assert found.before("10.0.0.1", "192.0.2.9", START + 2 * S) is None


def test_the_latest_wins_and_repeats_are_counted() -> None:
    found = log(
        ("0.0", "a > r", query(1, "x.org")),
        ("0.5", "r > a", message(1, "x.org", (1, V4))),
        ("1.0", "a > r", query(2, "y.org")),
        ("2.0", "a > r", query(3, "Y.org")),
        ("2.5", "r > a", message(3, "y.org", (1, V4))),
    )
    fact = found.before("10.0.0.1", "192.0.2.1", START + 3 * S)
    assert fact is not None
    assert (fact.name, fact.queries, fact.query_packet, fact.start) == ("y.org", 2, 3, START + S)
    early = found.before("10.0.0.1", "192.0.2.1", START + S)
    assert early is not None and early.name == "x.org"


def test_an_answer_without_its_question_and_a_resolver_on_this_machine() -> None:
    found = log(("1.0", "s > l", message(1, "x.org", (1, V4))))
    fact = found.before("10.0.0.1", "192.0.2.1", START + S)
    assert fact is not None and fact.queries == 0 and fact.start == fact.end


def test_failures_lead_nowhere() -> None:
    found = log(("0.0", "a > r", query(1, "x.org")), ("0.1", "r > a", message(1, "x.org", flags=0x8183)))
    assert found.before("10.0.0.1", "192.0.2.1", START + S) is None


def test_read_message() -> None:
    read = read_message(message(7, "a.b", CNAME, (1, V4)))
    assert (read.id, read.response, read.rcode) == (7, True, 0)
    assert read.questions[0].name == "a.b"
    assert [(record.name, record.type) for record in read.answers] == [("a.b", 5), ("a.b", 1)]
    assert read_message(b"\0\x01\0\0\0\x01\0\0\0\0\0\0\x03a.\\\0\0\x01\0\x01").questions[0].name == "a\\046\\092"


LOOPS = [
    b"\xc0\x0c",  # to itself
    b"\xc0\x0e\xc0\x0c",  # forward, and back again
    b"\x01a\xc0\x0c",  # back to its own beginning
    b"\x41" + b"a" * 65 + b"\0",  # label type 01
    b"\x3f" + b"a" * 10,  # cut label
    (b"\x3f" + b"a" * 63) * 4 + b"\0",  # longer than 255
]


@pytest.mark.parametrize("octets", LOOPS)
def test_names_that_cannot_be_read(octets: bytes) -> None:
    with pytest.raises(WireError):
        read_message(struct.pack(">HHHHHH", 1, 0x100, 1, 0, 0, 0) + octets + b"\0\x01\0\x01")


@settings(max_examples=200)
@given(st.binary(max_size=120), st.integers(0, 5), st.integers(0, 5))
def test_any_octets_raise_wire_error_only(octets: bytes, asked: int, answered: int) -> None:
    for data in (octets, struct.pack(">HHHHHH", 1, 0x8180, asked, answered, 0, 0) + octets):
        try:
            read_message(data)
        except WireError:
            continue


def test_every_cut_fails_cleanly_or_says_so() -> None:
    whole = message(1, "www.example.org", CNAME, (1, V4))
    for end in range(len(whole)):
        try:
            assert read_message(whole[:end]).cut
        except WireError:
            assert end < 12 + len(name("www.example.org")) + 4
