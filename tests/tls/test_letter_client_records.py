"""What a server's records and alerts may not be, for clients of both versions, at each step of the handshake.

RFC 8446 5, 6 and D.4, RFC 5246 6.2 and 7.2; a row with alert None must be taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from synfin.spec.protection import Protection
from synfin.tls import Closed, Failed, HandshakeDone, PeerAlert
from tests.support.tlsoctets import (
    BAD_MAC,
    DECODE,
    ILLEGAL,
    NEW,
    OLD,
    OVERFLOW,
    UNEXPECTED,
    VERSION,
    block,
    message,
    record,
)
from tests.tls.bad_server import Bad, ends, judged
from tests.tls.edits import gone
from tests.tls.ends import NAME, NOW, Stepwise, Teller, events, of, pump, said, ticket_keys

STEPS = {
    NEW: (
        "WaitServerHello",
        "WaitEncryptedExtensions",
        "WaitCertificateOrRequest",
        "WaitCertificateVerify",
        "WaitFinished",
        "ConnectedPlain",
    ),
    OLD: (
        "WaitServerHello",
        "WaitCertificate",
        "WaitKeyExchange",
        "WaitDone",
        "WaitChange",
        "WaitFinished",
        "Connected",
    ),
}
CELLS = [(version, step) for version, steps in STEPS.items() for step in steps]


class Slow(Stepwise, Bad):
    """A bad server, message by message."""


def at(version: int, step: str, **more: Any) -> tuple[Teller, Slow]:
    """A client that has come to a step, and its server; what the client says is thrown away from there on."""
    one, plain = ends(version, {}, **more)
    slow = Slow(plain.config, now=NOW, entropy=plain.entropy)
    for _ in range(6):
        data = slow.take_output(NOW)
        while data and type(one.state).__name__ != step:
            size = 5 + (data[3] << 8 | data[4])
            one.receive(data[:size], NOW)
            data = data[size:]
        if type(one.state).__name__ == step:
            one.take_output(NOW)
            events(one)
            return one, slow
        slow.receive(one.take_output(NOW), NOW)
    raise AssertionError(f"never in {step}")


def under(one: Teller, kind: int, content: bytes, padding: int = 0) -> bytes:
    """A record as the client expects it now: sealed or in clear."""
    opener = one._opener
    if opener is None:
        return record(content, kind)
    made = opener.seal_record(kind, content, padding)
    opener.sequence -= 1
    return bytes(made)


@pytest.mark.parametrize(("version", "step"), CELLS)
def test_wrong_records_at_each_step(version: int, step: str) -> None:
    connected = step.startswith("Connected")
    sealed = (version == NEW and step != "WaitServerHello") or step == "WaitFinished" or connected
    out_of_place = BAD_MAC if sealed and version == OLD else UNEXPECTED  # in TLS 1.2 it is a record as any other
    rows: list[tuple[str, Callable[[Teller], bytes], int | None]] = [
        ("unknown type", lambda one: record(b"x", 24), UNEXPECTED),
        ("another unknown type", lambda one: record(b"x", 0x80), UNEXPECTED),
        ("too long", lambda one: record(bytes(16384 + 2049)), OVERFLOW),
        ("its header alone", lambda one: b"\x16\3\3\x50\0", OVERFLOW),
        ("nothing of a message", lambda one: under(one, 22, b""), UNEXPECTED),
        ("nothing of an alert", lambda one: under(one, 21, b""), UNEXPECTED),
        ("alert level 0", lambda one: under(one, 21, b"\0\x28"), ILLEGAL),
        ("alert level 3", lambda one: under(one, 21, b"\3\x28"), ILLEGAL),
        ("change of 0", lambda one: record(b"\0", 20), out_of_place),
        ("change of nothing", lambda one: record(b"", 20), out_of_place),
        ("change of two", lambda one: record(b"\1\1", 20), out_of_place),
        ("unknown message", lambda one: under(one, 22, message(99, b"")), UNEXPECTED),
        ("giant message", lambda one: under(one, 22, b"\xfe\xff\xff\xff"), UNEXPECTED),
    ]
    if not connected:
        rows.append(("data", lambda one: under(one, 23, b"x"), UNEXPECTED))
    if version == NEW:
        rows.append(("half an alert", lambda one: under(one, 21, b"\2"), DECODE))
        rows.append(("alert and a half", lambda one: under(one, 21, b"\2\x28\2"), DECODE))
        rows.append(("two alerts", lambda one: under(one, 21, b"\2\x28\2\x28"), DECODE))
    elif step != "WaitServerHello":
        rows.append(("of TLS 1.1", lambda one: record(b"\0\0\0\0", 22, 0x0302), VERSION))
        rows.append(("of TLS 1.3", lambda one: record(b"\0\0\0\0", 22, 0x0304), VERSION))
    if version == OLD and step not in ("WaitServerHello", "WaitChange"):
        rows.append(("change out of its place", lambda one: record(b"\1", 20), out_of_place))
    if sealed and version == NEW:
        rows += [
            ("in clear", lambda one: record(message(8, b"\0\0")), UNEXPECTED),
            ("no type", lambda one: _typeless(one, b""), UNEXPECTED),
            ("zeros", lambda one: _typeless(one, bytes(100)), UNEXPECTED),
            ("change inside", lambda one: under(one, 20, b"\1"), UNEXPECTED),
            ("unknown type inside", lambda one: under(one, 99, b"\1"), UNEXPECTED),
            ("content of 2^14 + 1", lambda one: under(one, 23, bytes(16385)), OVERFLOW),
            ("padding to 2^14 + 1", lambda one: under(one, 23, b"x", 16384), OVERFLOW),
            ("longest record of TLS 1.3 and one", lambda one: record(bytes(16384 + 257), 23), OVERFLOW),
        ]
    if sealed:
        kind = 23 if version == NEW else 22
        rows += [
            (f"{size} octets", lambda one, size=size: record(bytes(size), kind), BAD_MAC)  # type: ignore[misc]
            for size in (0, 1, 7, 8, 15, 16, 17, 24, 25, 300)
        ]
        rows.append(("damaged", lambda one: _flip(under(one, 22, message(8, b"\0\0"))), BAD_MAC))
    else:
        rows.append(("2^14 + 1 in clear", lambda one: record(bytes(16385)), OVERFLOW))
    if connected and version == NEW:
        rows.append(("change after Finished", lambda one: record(b"\1", 20), UNEXPECTED))
    for what, make, alert in rows:
        one, _ = at(version, step)
        one.receive(make(one), NOW)
        try:
            judged(one, alert)
        except AssertionError as error:
            raise AssertionError(f"{what}: {error}") from error


def _flip(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def _typeless(one: Teller, zeros: bytes) -> bytes:
    """A TLS 1.3 record of padding alone."""
    return under(one, 0, zeros)


@pytest.mark.parametrize(("version", "step"), CELLS)
def test_ends_at_each_step(version: int, step: str) -> None:
    """Every fatal alert, close_notify and silence: one event each, nothing goes back but close_notify's answer."""
    done = step.startswith("Connected")
    for description in (10, 20, 40, 42, 47, 51, 70, 80, 86, 109, 110, 112, 116, 120, 255):
        one, _ = at(version, step)
        one.receive(under(one, 21, bytes([2, description])), NOW)
        assert events(one) == [PeerAlert(description, fatal=True), Closed(clean=False)]
        assert not one.told
        assert not one.take_output(NOW)
    one, _ = at(version, step)
    one.receive(under(one, 21, b"\1\0"), NOW)
    assert events(one)[-1] == Closed(clean=done)
    assert one.told == ([] if done else [(1, 0)])
    one, _ = at(version, step)
    one.receive_eof(NOW)
    found = events(one)
    assert found[-1] == Closed(clean=False)
    assert [event.violation for event in of(found, Failed)] == ([] if done else ["silent_end"])
    assert not one.told
    one, _ = at(version, step)
    one.receive(b"\x16\3\3", NOW)
    one.receive_eof(NOW)
    assert events(one)[-1] == Closed(clean=False)


@pytest.mark.parametrize(("version", "step"), CELLS)
def test_warnings_at_each_step(version: int, step: str) -> None:
    one, _ = at(version, step)
    one.receive(under(one, 21, b"\1\x5a"), NOW)
    assert events(one) == [PeerAlert(90, fatal=False)]
    for _ in range(20):
        if not one.closed:
            opener = one._opener
            one.receive(record(b"\1\x5a", 21) if opener is None else under(one, 21, b"\1\x5a"), NOW)
    found = events(one)
    assert len(of(found, Failed)) == 1
    assert one.told == [(2, UNEXPECTED)]


@pytest.mark.parametrize("version", [OLD, NEW])
@pytest.mark.parametrize("size", [1, 3, 100])
def test_messages_in_pieces(version: int, size: int) -> None:
    """Messages may be cut anywhere, and share records, between key changes (RFC 8446 5.1)."""

    class Cutting(Bad):
        def seal(self, kind: int, content: Any) -> None:
            data = bytes(content)
            for start in range(0, len(data), size if kind == 22 else len(data)):
                super().seal(kind, data[start : start + (size if kind == 22 else len(data))])

    one, plain = ends(version, {}, server={"ticket_keys": ticket_keys()})
    bad = Cutting(plain.config, now=NOW, entropy=plain.entropy)
    pump(one, bad)
    judged(one, None)
    bad.send(b"hello")
    one.receive(bad.take_output(NOW), NOW)
    assert said(events(one)) == b"hello"


@pytest.mark.parametrize(
    ("what", "between", "alert"),
    [
        ("alert", b"\x15\3\3\0\2\1\x5a", UNEXPECTED),
        ("change", b"\x14\3\3\0\1\1", UNEXPECTED),
        ("nothing", b"\x16\3\3\0\0", UNEXPECTED),
        ("data", b"\x17\3\3\0\1x", UNEXPECTED),
    ],
)
def test_between_the_pieces_of_a_hello(what: str, between: bytes, alert: int) -> None:
    one, bad = ends(NEW, {})
    bad.receive(one.take_output(NOW), NOW)
    flight = bytes(bad.take_output(NOW))
    hello = flight[5 : 5 + (flight[3] << 8 | flight[4])]
    one.receive(record(hello[:9]), NOW)
    one.receive(between, NOW)
    if what == "alert":  # the version is not known yet
        assert events(one) == [PeerAlert(90, fatal=False)]
        return
    judged(one, alert)


@pytest.mark.parametrize("version", [0x0300, 0x0301, 0x0302, 0x0303, 0x0304, 0x03FF, 0x0404])
def test_record_versions_before_the_hello(version: int) -> None:
    """Ignored by TLS 1.3 (RFC 8446 5.1)."""
    one, bad = ends(NEW, {})
    bad.receive(one.take_output(NOW), NOW)
    flight = bytearray(bad.take_output(NOW))
    flight[1:3] = version.to_bytes(2, "big")
    one.receive(flight, NOW)
    assert not of(events(one), Failed)
    assert one.facts is not None


def test_floods() -> None:
    """Records without content or effect: some are taken, not without end."""
    for version in (OLD, NEW):
        one, bad = at(version, STEPS[version][-1])
        for _ in range(30):
            one.receive(_next(bad, 23, b""), NOW)
        assert not events(one)
        one.receive(_next(bad, 23, b"x"), NOW)
        assert said(events(one)) == b"x"
        for _ in range(100):
            one.receive(_next(bad, 23, b""), NOW)
        judged(one, UNEXPECTED)
    one, _ = at(NEW, "WaitServerHello")
    for _ in range(100):
        one.receive(b"\x14\3\3\0\1\1", NOW)
    judged(one, UNEXPECTED)


def _next(bad: Bad, kind: int, content: bytes) -> bytes:
    sealer: Protection | None = bad._sealer
    assert sealer is not None
    return bytes(sealer.seal_record(kind, content))


def test_messages_across_key_changes() -> None:
    """RFC 8446 5.1: what stands after ServerHello, Finished or KeyUpdate in their record is out of its keys."""
    one, bad = ends(NEW, {})
    bad.receive(one.take_output(NOW), NOW)
    flight = bytes(bad.take_output(NOW))
    hello = flight[5 : 5 + (flight[3] << 8 | flight[4])]
    one.receive(record(hello + message(8, block())), NOW)
    judged(one, UNEXPECTED)


CBC: dict[str, Any] = {"suites": (0xC009,)}


@pytest.mark.parametrize("size", [1, 15, 16, 17, 31, 32, 48, 64, 100])
def test_cbc_records(size: int) -> None:
    """Whatever is wrong with padding, length or MAC is bad_record_mac (RFC 5246 6.2.3.2, RFC 7366 3)."""
    one, _ = at(OLD, "Connected", server=CBC, client=CBC)
    one.receive(record(b"\x5a" * size, 23), NOW)
    judged(one, BAD_MAC)


@pytest.mark.parametrize("octet", [-1, -17, -33, -49, 5])
@pytest.mark.parametrize("extensions", [True, False], ids=["encrypt-then-MAC", "MAC-then-encrypt"])
def test_damaged_cbc_records(octet: int, extensions: bool) -> None:
    class Older(Teller):
        """A client that does not know encrypt_then_mac."""

        def say_raw(self, raw: bytes) -> bytes:
            return super().say_raw(raw if extensions else raw.replace(b"\0\x16\0\0", b"\x12\x34\0\0"))

    plain, bad = ends(OLD, {}, server=CBC, client=CBC)
    one = Older(plain.config, NAME, now=NOW, entropy=plain.entropy)
    pump(one, bad)
    (done,) = of(events(one), HandshakeDone)
    assert done.facts.encrypt_then_mac == extensions
    bad.send(b"x" * 100)
    data = bytearray(bad.take_output(NOW))
    data[octet] ^= 1
    one.receive(data, NOW)
    judged(one, BAD_MAC)


def test_record_size_limit_is_held_against_the_server() -> None:
    """RFC 8449 4: record_overflow."""
    for version, step, most in ((NEW, "ConnectedPlain", 63), (OLD, "Connected", 64)):
        one, bad = at(version, step, client={"record_size_limit": 64})
        one.receive(_next(bad, 23, bytes(most)), NOW)
        assert len(said(events(one))) == most
        one.receive(_next(bad, 23, bytes(66)), NOW)
        judged(one, OVERFLOW)


def test_gone_messages_leave_the_next_one_out_of_place() -> None:
    for version, kinds in ((NEW, (8, 11, 15)), (OLD, (11, 12, 14))):
        for kind in kinds:
            one, bad = ends(version, {kind: gone})
            pump(one, bad)
            if (version, kind) == (OLD, 14):
                assert not events(one)
                continue
            judged(one, UNEXPECTED)
