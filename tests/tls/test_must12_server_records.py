"""Records and alerts at a TLS 1.2 server, in the handshake and after it: RFC 5246 6 and 7.2, 5288, 6066 4, 7366, 8449.

A row says what comes from the client, and what must come of it: an alert, or None where the connection lives on.
"""

from __future__ import annotations

import pytest

from synfin.spec.violations import VIOLATIONS
from synfin.tls import Closed, Failed, Limits, PeerAlert, Server
from tests.support.tlsoctets import BAD_MAC, DECODE, ILLEGAL, OLD, OVERFLOW, UNEXPECTED, VERSION, message, record
from tests.tls.bad_client import BadClient, Make, carry, connected, played, scene, settled, turned
from tests.tls.edits import hello
from tests.tls.ends import NOW, events, of, said

GCM, CHACHA, CCM8 = 0xC02B, 0xCCA9, 0xC0AE


def plain(kind: int, content: bytes, version: int = OLD) -> Make:
    return lambda one: record(content, kind, version)


def sealed(kind: int, *contents: bytes) -> Make:
    return lambda one: b"".join([one.sealed(kind, content) for content in contents])


def of_version(version: int) -> Make:
    return lambda one: b"\x17" + version.to_bytes(2, "big") + one.sealed(23, b"data")[3:]


LATER: list[tuple[str, Make, int | None]] = [
    ("6.2.1 data", sealed(23, b"data"), None),
    ("6.2.1 data of nothing", sealed(23, b""), None),
    ("6.2.1 data of 2^14", sealed(23, bytes(1 << 14)), None),
    ("6.2.1 data of 2^14 + 1", sealed(23, bytes((1 << 14) + 1)), OVERFLOW),
    ("7.2.2 data of 2^14 + 1025", sealed(23, bytes((1 << 14) + 1025)), OVERFLOW),
    ("6.2.3 record of 2^14 + 2048", plain(23, bytes((1 << 14) + 2048)), BAD_MAC),
    ("6.2.3 record of 2^14 + 2049", plain(23, bytes((1 << 14) + 2049)), OVERFLOW),
    ("6.2.3 the header of one too long", lambda one: b"\x17\3\3\xff\xff", OVERFLOW),
    ("6.2.1 message of nothing", sealed(22, b""), UNEXPECTED),
    ("6.2.1 alert of nothing", sealed(21, b""), UNEXPECTED),
    ("7.1 ChangeCipherSpec", sealed(20, b"\1"), UNEXPECTED),
    ("7.1 ChangeCipherSpec in clear", plain(20, b"\1"), BAD_MAC),
    ("6 a type unknown", sealed(25, b"x"), UNEXPECTED),
    ("6520 3 heartbeat", sealed(24, b"\1\0\1x" + bytes(16)), UNEXPECTED),
    ("6 a type unknown in clear", plain(99, b"x"), UNEXPECTED),
    ("6.2.1 version 0x0300", of_version(0x0300), VERSION),
    ("6.2.1 version 0x0302", of_version(0x0302), VERSION),
    ("6.2.1 version 0x0304", of_version(0x0304), VERSION),
    ("6.2.3.3 data in clear", plain(23, b"data" * 10), BAD_MAC),
    ("6.2.3.3 alert in clear", plain(21, b"\1\0"), BAD_MAC),
    ("7.4 Finished again", sealed(22, message(20, bytes(12))), UNEXPECTED),
    ("7.4 ClientKeyExchange", sealed(22, message(16, b"\1x")), UNEXPECTED),
    ("7.4 HelloRequest", sealed(22, message(0, b"")), UNEXPECTED),
    ("7.4 KeyUpdate", sealed(22, message(24, b"\0")), UNEXPECTED),
    ("7.4 a message unknown", sealed(22, message(99, b"")), UNEXPECTED),
    ("7.2 a warning", sealed(21, b"\1\x5a"), None),
    ("7.2 a warning unknown", sealed(21, b"\1\xff"), None),
    ("6.2.1 a warning cut in two", sealed(21, b"\1", b"\x5a"), None),
    ("6.2.1 two warnings together", sealed(21, b"\1\x5a\1\x64"), None),
    ("7.2 level 3", sealed(21, b"\3\x28"), ILLEGAL),
    ("7.2 level 0", sealed(21, b"\0\0"), ILLEGAL),
]


@pytest.mark.parametrize(("what", "make", "alert"), LATER, ids=[row[0] for row in LATER])
def test_records_after_the_handshake(what: str, make: Make, alert: int | None) -> None:
    one, two = connected()
    settled(one, two, make(one), alert)


@pytest.mark.parametrize("suite", [GCM, CHACHA, CCM8], ids=["GCM", "ChaCha20", "CCM_8"])
def test_aead_records(suite: int) -> None:
    """RFC 5246 6.2.3.3, 5288, 7905, 6655: what does not open is bad_record_mac, whatever is wrong with it."""
    size = len(connected(server={"suites": (suite,)})[0].sealed(23, b"data"))
    for at in (0, *range(3, 5), *range(5, size)):
        one, two = connected(server={"suites": (suite,)})
        octets = turned(at)(one)
        if at == 0:  # the type is authentic too
            settled(one, two, b"\x16" + octets[1:], BAD_MAC)
        elif at < 5:  # so is the length, and a longer one waits for more
            two.receive(octets, NOW)
            two.receive(bytes(300), NOW)
            assert of(events(two), Failed)[0].alert == BAD_MAC
        else:
            settled(one, two, octets, BAD_MAC)
    for length in (0, 1, 7, 8, 15, 16, 17, 23, 24, 25, 40):
        one, two = connected(server={"suites": (suite,)})
        settled(one, two, record(bytes(length), 23), BAD_MAC)


def test_records_cannot_be_lost_repeated_or_swapped() -> None:
    """RFC 5246 6.1: sequence numbers are covered."""
    for order in ((0, 0), (1,), (1, 0)):
        one, two = connected()
        made = one.sealed(23, b"a"), one.sealed(23, b"b")
        two.receive(b"".join([made[place] for place in order]), NOW)
        assert of(events(two), Failed)[0].alert == BAD_MAC


# ---------------------------------------------------------------- limits


def pieces(octets: bytes) -> list[int]:
    """The lengths of records."""
    found = []
    while octets:
        size = octets[3] << 8 | octets[4]
        found.append(size)
        octets = octets[5 + size :]
    return found


def limited(*extensions: tuple[int, bytes]) -> tuple[BadClient, Server, bytes]:
    """A server that was told limits, and its first flight."""
    one, two = scene({1: hello(*extensions)}, server={"suites": (GCM,)})
    two.receive(one.take_output(NOW), NOW)
    return one, two, bytes(two.take_output(NOW))


@pytest.mark.parametrize("code", [1, 2, 3, 4])
def test_max_fragment_length_is_kept(code: int) -> None:
    """RFC 6066 4: in the handshake too."""
    most = 1 << (8 + code)
    _, _, flight = limited((1, bytes([code])))
    assert max(pieces(flight)) <= most
    assert (len(pieces(flight)) > 1) == (sum(pieces(flight)) > most)


def test_max_fragment_length_is_held_against_the_client() -> None:
    """RFC 6066 4: what is longer is record_overflow, where it is far too long without opening it."""
    for octets, alert in (
        (record(message(16, bytes(507))), None),
        (record(message(16, bytes(509))), OVERFLOW),
        (record(message(16, bytes(4000))), OVERFLOW),
    ):
        _, two, _ = limited((1, b"\1"))
        two.receive(octets, NOW)
        found = of(events(two), Failed)
        assert (found[0].alert if alert else found[0].alert != OVERFLOW) == (alert or True)
    for octets, alert in ((bytes(512), None), (bytes(513), OVERFLOW), (bytes(1000), OVERFLOW)):
        one, two = connected({1: hello((1, b"\1"))}, server={"suites": (GCM,)})
        settled(one, two, one.sealed(23, octets), alert)
    one, two = connected({1: hello((1, b"\1"))}, server={"suites": (GCM,)})
    settled(one, two, record(bytes(833), 23), OVERFLOW)


def test_record_size_limit_both_ways() -> None:
    """RFC 8449 4: content of protected records; in clear anything goes."""
    one, two = scene(server={"record_size_limit": 100, "suites": (GCM,)}, client={"record_size_limit": 64})
    carry(one, two)
    assert two.facts is not None
    events(two)
    two.send(bytes(1000))
    out = bytes(two.take_output(NOW))
    assert max(pieces(out)) == 64 + 8 + 16
    one.receive(out, NOW)
    assert said(events(one)) == bytes(1000)
    settled(one, two, one.sealed(23, bytes(100)), None)
    settled(one, two, one.sealed(23, bytes(101)), OVERFLOW)


def test_renegotiation_is_refused_and_life_goes_on() -> None:
    """RFC 5246 7.2.2: no_renegotiation, always a warning; who does not stop asking gets a fatal alert, another one."""
    one, two = connected(client={"limits": Limits(warnings=100)})
    two.receive(one.sealed(22, one.hello), NOW)
    settled(one, two, b"", None)
    one.receive(two.take_output(NOW), NOW)
    assert of(events(one), PeerAlert) == [PeerAlert(100, fatal=False)]
    for _ in range(20):
        two.receive(one.sealed(22, one.hello), NOW)
    one.receive(two.take_output(NOW), NOW)
    told = of(events(one), PeerAlert)
    assert told[-1] == PeerAlert(UNEXPECTED, fatal=True)
    assert set(told[:-1]) == {PeerAlert(100, fatal=False)}


def test_data_between_the_pieces_of_a_message() -> None:
    """RFC 5246 6.2.1: data of different types may be interleaved after the first handshake."""
    one, two = connected()
    two.receive(one.sealed(22, one.hello[:20]) + one.sealed(23, b"between") + one.sealed(22, one.hello[20:]), NOW)
    assert said(settled(one, two, b"", None)) == b"betweenlater"
    one.receive(two.take_output(NOW), NOW)
    assert of(events(one), PeerAlert) == [PeerAlert(100, fatal=False)]


# ---------------------------------------------------------------- records in the handshake

BETWEEN: list[tuple[str, bytes, int | None]] = [
    ("6.2.1 message of nothing", record(b""), UNEXPECTED),
    ("6.2.1 alert of nothing", record(b"", 21), UNEXPECTED),
    ("6.2.1 version 0x0302", record(b"", 22, 0x0302), VERSION),
    ("6.2.1 version 0x0304", record(b"", 22, 0x0304), VERSION),
    ("6 type 24", record(b"\1\0\0", 24), UNEXPECTED),
    ("6 type 0", record(b"x", 0), UNEXPECTED),
    ("7.3 data", record(b"x", 23), UNEXPECTED),
    ("7.3 data of nothing", record(b"", 23), UNEXPECTED),
    ("6.2.1 2^14 + 1", record(bytes((1 << 14) + 1)), OVERFLOW),
    ("7.1 ChangeCipherSpec", record(b"\1", 20), UNEXPECTED),
    ("7.2 warning", record(b"\1\x5a", 21), None),
    ("7.2 warning no_renegotiation", record(b"\1\x64", 21), None),
    ("7.2 warning of SSL 3.0", record(b"\1\x29", 21), None),
    ("7.2 warning unknown", record(b"\1\xff", 21), None),
    ("7.2 level 3", record(b"\3\x28", 21), ILLEGAL),
    ("6.2.1 warning cut", record(b"\1", 21) + record(b"\x5a", 21), None),
    ("6.2.1 warnings together", record(b"\1\x5a\1\x5a", 21), None),
    ("7.2 warnings", record(b"\1\x5a", 21) * 8, None),
    ("7.2 warnings without end", record(b"\1\x5a", 21) * 9, UNEXPECTED),
]


@pytest.mark.parametrize(("what", "octets", "alert"), BETWEEN, ids=[row[0] for row in BETWEEN])
def test_before_the_key_exchange(what: str, octets: bytes, alert: int | None) -> None:
    played(None, alert, wire=lambda bad, data: octets + data if data[5] == 16 else data)


def test_a_warning_within_a_message() -> None:
    """RFC 5246 6.2.1: alerts may come between its pieces."""

    def records(bad: BadClient, kind: int, content: bytes) -> bytes | None:
        if content[:1] == b"\x10":
            return record(content[:7]) + record(b"\1\x5a", 21) + record(content[7:])
        if content[:1] == b"\x14":
            return bad.sealed(22, content[:3]) + bad.sealed(21, b"\1\x5a") + bad.sealed(22, content[3:])
        return None

    played(None, None, records=records)


FIRST: list[tuple[str, bytes, int | None]] = [
    ("7.4 Finished", record(message(20, bytes(12))), UNEXPECTED),
    ("7.4.1.1 HelloRequest", record(message(0, b"")), UNEXPECTED),
    ("7.4 unknown", record(message(99, b"")), UNEXPECTED),
    ("7.1 ChangeCipherSpec", record(b"\1", 20), UNEXPECTED),
    ("7.3 data", record(b"x", 23), UNEXPECTED),
    ("6520 heartbeat", record(b"\1\0\1x", 24), UNEXPECTED),
    ("6.2.1 nothing", record(b""), UNEXPECTED),
    ("6.2.1 2^14 + 1", record(bytes((1 << 14) + 1)), OVERFLOW),
    ("7.2 half an alert", record(b"\2", 21), DECODE),
    ("E.2 a hello of SSL 2.0", b"\x80\x2e\1\3\3" + bytes(43), VERSION),
    ("7.2 a fatal alert", record(b"\2\x28", 21), None),
    ("7.2.1 close_notify", record(b"\1\0", 21), None),
]


@pytest.mark.parametrize(("what", "octets", "alert"), FIRST, ids=[row[0] for row in FIRST])
def test_first_of_all(what: str, octets: bytes, alert: int | None) -> None:
    two = scene()[1]
    two.receive(octets, NOW)
    found = events(two)
    assert found[-1] == Closed(clean=False)
    out = two.take_output(NOW)
    if alert is not None:
        assert of(found, Failed)[0].alert == alert
        assert out == record(bytes([2, alert]), 21)
    else:
        assert out == (record(b"\1\0", 21) if octets[-1] == 0 else b"")


# ---------------------------------------------------------------- closing


def test_close_notify_and_what_follows() -> None:
    """RFC 5246 7.2.1: data after close_notify is ignored, and it is answered."""
    for level in (b"\1\0", b"\2\0"):
        one, two = connected()
        two.receive(one.sealed(21, level) + one.sealed(23, b"late") + record(b"garbage", 23), NOW)
        assert events(two) == [Closed(clean=True)]
        two.close()
        one.receive(two.take_output(NOW), NOW)
        assert Closed(clean=True) in events(one)


@pytest.mark.parametrize("description", [10, 20, 22, 40, 47, 50, 51, 80, 90, 100, 255])
def test_fatal_alerts_end_it(description: int) -> None:
    """RFC 5246 7.2.2: the connection is closed at once, without a word."""
    one, two = connected()
    two.receive(one.sealed(21, bytes([2, description])) + one.sealed(23, b"late"), NOW)
    assert events(two) == [PeerAlert(description, fatal=True), Closed(clean=False)]
    assert not two.take_output(NOW)


def test_records_of_nothing_without_end() -> None:
    one, two = connected()
    settled(one, two, sealed(23, *[b""] * 32)(one), None)
    settled(one, two, sealed(23, *[b""] * 33)(one), UNEXPECTED)


def test_all_kinds_of_data_come_through() -> None:
    one, two = connected()
    two.receive(one.sealed(23, b"a") + one.sealed(23, b"") + one.sealed(23, b"b" * 5000), NOW)
    assert said(events(two)) == b"a" + b"b" * 5000


def test_alerts_that_must_not_be_sent() -> None:
    """RFC 5246 7.2.2: reserved ones; and no_renegotiation is never fatal."""
    assert {row.alert for row in VIOLATIONS.values()}.isdisjoint({0, 21, 41, 60, 90, 100})
