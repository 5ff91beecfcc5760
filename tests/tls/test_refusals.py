"""Every refusal is one named violation with the alert the RFCs give it: states by messages, records, hellos."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from synfin.spec.protection import Protection
from synfin.spec.violations import VIOLATIONS
from synfin.tls import Client, Failed, Limits, PeerAlert, ReplayGuard, Server, Ticket, TicketKeys
from synfin.wire.tls.extensions import Extension
from synfin.wire.tls.messages import ClientHello, ServerHello, parse_handshake, write_handshake
from tests.support.tlsoctets import (
    BAD_MAC,
    DECODE,
    FAILURE,
    ILLEGAL,
    MISSING,
    OVERFLOW,
    UNEXPECTED,
    VERSION,
    record,
)
from tests.tls.ends import (
    NOW,
    Stepwise,
    client,
    client_config,
    credential,
    events,
    of,
    pump,
    server,
    server_config,
    ticket_keys,
    verifier,
)


def refused(end: Client | Server) -> Failed:
    """The one Failed event; the last alert out is its alert."""
    found = of(events(end), Failed)
    assert len(found) == 1, found
    failed: Failed = found[0]
    assert failed.alert == VIOLATIONS[failed.violation].alert
    assert end.closed
    end.receive(b"\x17\x03\x03\x00\x01x", NOW)
    assert end.next_event() is None, "a dead end is deaf"
    return failed


# ---------------------------------------------------------------- states by messages


#: A message of each type with a body that would parse, so that only its place is wrong.
BODIES = {
    0: b"",
    1: b"\3\3" + bytes(32) + b"\0\0\2\x13\1\1\0\0\0",
    2: b"\3\3" + bytes(32) + b"\0\x13\1\0\0\0",
    4: b"\0\0\0\1\0\0\0\0\0\0\1x\0\0",
    5: b"",
    8: b"\0\0",
    11: b"\0\0\0\0",
    12: b"\3\0\x1d\1x\4\3\0\1x",
    13: b"\0\0\6\0\x0d\0\2\0\0",
    14: b"",
    15: b"\4\3\0\1x",
    16: b"\1x",
    20: bytes(32),
    22: b"\1\0\0\1x",
    24: b"\0",
    25: b"\0\1\0\0\1\0\0\1x",
    67: b"\0\0",
}


class Stopped:
    """A connection that stopped where ``end`` is in a state; ``other`` can send it anything under the right keys."""

    def __init__(self, end: Client | Server, other: Client | Server) -> None:
        self.end, self.other = end, other


class StepwiseServer(Stepwise, Server):
    """Our server, message by message."""


class StepwiseClient(Stepwise, Client):
    """Our client, message by message."""


def _stop(version: int, state: str, role: str) -> Stopped:
    own = (credential(client=True),)
    one = StepwiseClient(
        client_config(max_version=version, credentials=own), "test.example", now=NOW, entropy=os.urandom
    )
    two = StepwiseServer(
        server_config(client_auth="required", verify=verifier(), max_version=version, ticket_keys=ticket_keys()),
        now=NOW,
        entropy=os.urandom,
    )
    ends: dict[str, Client | Server] = {"client": one, "server": two}
    end, other = ends[role], ends["server" if role == "client" else "client"]
    for _ in range(12):
        if type(end.state).__name__ == state:
            return Stopped(end, other)
        data = other.take_output(NOW)
        while data:
            size = 5 + (data[3] << 8 | data[4])
            end.receive(data[:size], NOW)
            data = data[size:]
            if type(end.state).__name__ == state:
                return Stopped(end, other)
        other.receive(end.take_output(NOW), NOW)
    raise AssertionError(f"{role} never was in {state}")


def sealed(opener: Protection, kind: int, content: bytes) -> bytes:
    """What ``opener`` opens next: an AEAD object seals with the same key and number."""
    made = opener.seal_record(kind, content)
    opener.sequence -= 1
    return made


def speak(stopped: Stopped, raw: bytes) -> None:
    """Give the end one record with ``raw`` under the keys it expects."""
    end = stopped.end
    opener = end._opener
    end.take_output(NOW)
    if opener is None:
        end.receive(record(raw), NOW)
        return
    end.receive(sealed(opener, 22, raw), NOW)


STATES = {
    ("client", 0x0304): [
        "WaitServerHello", "WaitEncryptedExtensions", "WaitCertificateOrRequest", "WaitCertificate",
        "WaitCertificateVerify", "WaitFinished", "ConnectedPlain",
    ],
    ("client", 0x0303): [
        "WaitServerHello", "WaitCertificate", "WaitKeyExchange", "WaitDone", "WaitChange", "WaitFinished", "Connected",
    ],
    ("server", 0x0304): [
        "WaitClientHello", "WaitClientCertificate", "WaitClientVerify", "WaitClientFinished", "Connected",
    ],
    ("server", 0x0303): [
        "WaitClientHello", "WaitCertificate", "WaitKeyExchange", "WaitVerify", "WaitChange", "WaitFinished",
        "Connected",
    ],
}  # fmt: skip

#: What each state takes; every other message must be refused.
TAKES = {
    ("client", 0x0304, "WaitServerHello"): {2},
    ("client", 0x0304, "WaitEncryptedExtensions"): {8},
    ("client", 0x0304, "WaitCertificateOrRequest"): {11, 13, 25},
    ("client", 0x0304, "WaitCertificate"): {11, 25},
    ("client", 0x0304, "WaitCertificateVerify"): {15},
    ("client", 0x0304, "WaitFinished"): {20},
    ("client", 0x0304, "ConnectedPlain"): {4, 24},
    ("client", 0x0303, "WaitServerHello"): {2},
    ("client", 0x0303, "WaitCertificate"): {11},
    ("client", 0x0303, "WaitKeyExchange"): {12},
    ("client", 0x0303, "WaitDone"): {13, 14},
    ("client", 0x0303, "WaitChange"): {4},
    ("client", 0x0303, "WaitFinished"): {20},
    ("client", 0x0303, "Connected"): set(),
    ("server", 0x0304, "WaitClientHello"): {1},
    ("server", 0x0304, "WaitClientCertificate"): {11, 25},
    ("server", 0x0304, "WaitClientVerify"): {15},
    ("server", 0x0304, "WaitClientFinished"): {20},
    ("server", 0x0304, "Connected"): {24},
    ("server", 0x0303, "WaitClientHello"): {1},
    ("server", 0x0303, "WaitCertificate"): {11},
    ("server", 0x0303, "WaitKeyExchange"): {16},
    ("server", 0x0303, "WaitVerify"): {15},
    ("server", 0x0303, "WaitChange"): set(),
    ("server", 0x0303, "WaitFinished"): {20},
    ("server", 0x0303, "Connected"): set(),
}

CELLS = [(role, version, state) for (role, version), states in STATES.items() for state in states]


@pytest.mark.parametrize(("role", "version", "state"), CELLS)
def test_unexpected_messages(role: str, version: int, state: str) -> None:
    takes = TAKES[role, version, state]
    for kind, body in BODIES.items():
        stopped = _stop(version, state, role)
        events(stopped.end)
        raw = bytes([kind]) + len(body).to_bytes(3, "big") + body
        speak(stopped, raw)
        tls12 = version == 0x0303
        if kind in takes:
            continue  # its content is judged elsewhere
        if tls12 and (role, kind) == ("client", 0):
            assert not stopped.end.closed, "HelloRequest is ignored or refused with a warning"
            continue
        if tls12 and (role, kind, state) == ("server", 1, "Connected"):
            assert not stopped.end.closed, "renegotiation is refused with a warning"
            continue
        failed = refused(stopped.end)
        assert failed.violation == "unexpected_message", (kind, failed)


def after_a_retry() -> Server:
    """A server that waits for the second hello."""
    two = server(server_config(groups=(24,)))
    two.receive(client(client_config(groups=(29, 24), shares=1)).take_output(NOW), NOW)
    return two


def before_the_second_flight() -> Client:
    """A client that was asked for another share."""
    one, two = client(client_config(groups=(29, 24), shares=1)), server(server_config(groups=(24,)))
    two.receive(one.take_output(NOW), NOW)
    one.receive(two.take_output(NOW), NOW)
    return one


def within_early_data() -> Server:
    """A server that takes early data."""
    config = server_config(ticket_keys=ticket_keys(), max_early_data=100, replay_guard=ReplayGuard())
    one, two = client(), server(config)
    pump(one, two)
    session = of(events(one), Ticket)[0].session
    one, two = client(client_config(early_data=True), session), server(config)
    one.send_early(b"x")
    two.receive(one.take_output(NOW), NOW)
    return two


def late(steps: int) -> Server:
    """A server that asked for a certificate after the handshake, and has seen ``steps`` messages of the answer."""
    config = client_config(post_handshake_auth=True, credentials=(credential(client=True),))
    one, two = client(config), server(server_config(verify=verifier()))
    pump(one, two)
    two.request_certificate()
    one.receive(two.take_output(NOW), NOW)
    flight = bytes(one._flight)
    one._flight.clear()
    for _ in range(steps):
        size = 4 + int.from_bytes(flight[1:4], "big")
        one.seal(22, flight[:size])
        flight = flight[size:]
    two.receive(one.take_output(NOW), NOW)
    return two


SPECIAL: list[tuple[str, Callable[[], Client | Server], set[int]]] = [
    ("WaitSecondHello", after_a_retry, {1}),
    ("WaitServerHello", before_the_second_flight, {2}),
    ("WaitEndOfEarlyData", within_early_data, {5}),
    ("WaitLateCertificate", lambda: late(0), {11, 24, 25}),
    ("WaitLateVerify", lambda: late(1), {15}),
    ("WaitLateFinished", lambda: late(2), {20}),
]


@pytest.mark.parametrize(("state", "make", "takes"), SPECIAL, ids=[row[0] for row in SPECIAL])
def test_unexpected_messages_on_byways(state: str, make: Callable[[], Client | Server], takes: set[int]) -> None:
    for kind, body in BODIES.items():
        end = make()
        assert type(end.state).__name__ == state
        events(end)
        speak(Stopped(end, end), bytes([kind]) + len(body).to_bytes(3, "big") + body)
        if kind not in takes:
            assert refused(end).violation == "unexpected_message", kind


def test_a_second_retry_is_refused() -> None:
    one = before_the_second_flight()
    again = client(client_config(groups=(29, 23), shares=1))
    two = server(server_config(groups=(23,)))
    two.receive(again.take_output(NOW), NOW)
    flight = bytearray(two.take_output(NOW))
    size = flight[3] << 8 | flight[4]
    parsed = parse_handshake(2, bytes(flight[9 : 5 + size]))
    assert isinstance(parsed, ServerHello)
    state: Any = one.state
    raw = write_handshake(replace(parsed, session_id=state.offer.session_id))
    one.receive(record(raw), NOW)
    assert refused(one).violation == "second_retry"


@pytest.mark.parametrize(("role", "version", "state"), CELLS)
def test_unknown_types_and_giant_messages(role: str, version: int, state: str) -> None:
    stopped = _stop(version, state, role)
    events(stopped.end)
    speak(stopped, b"\x63\0\0\0")
    assert refused(stopped.end).violation == "unknown_message_type"
    for kind in TAKES[role, version, state]:
        stopped = _stop(version, state, role)
        events(stopped.end)
        speak(stopped, bytes([kind]) + b"\xff\xff\xff")
        assert refused(stopped.end).violation == "message_too_long"


@pytest.mark.parametrize(("role", "version", "state"), CELLS)
def test_application_data_in_the_handshake(role: str, version: int, state: str) -> None:
    if state.startswith("Connected"):
        return
    stopped = _stop(version, state, role)
    end, opener = stopped.end, stopped.end._opener
    end.receive(record(b"data", 23) if opener is None else sealed(opener, 23, b"data"), NOW)
    assert refused(end).alert == UNEXPECTED


@pytest.mark.parametrize(("role", "version", "state"), CELLS)
def test_every_state_takes_alerts(role: str, version: int, state: str) -> None:
    stopped = _stop(version, state, role)
    end, opener = stopped.end, stopped.end._opener
    events(end)
    end.receive(record(b"\2\x28", 21) if opener is None else sealed(opener, 21, b"\2\x28"), NOW)
    assert of(events(end), PeerAlert) == [PeerAlert(40, fatal=True)]
    assert end.closed


@pytest.mark.parametrize(("role", "version", "state"), CELLS)
def test_damaged_records(role: str, version: int, state: str) -> None:
    stopped = _stop(version, state, role)
    end, opener = stopped.end, stopped.end._opener
    if opener is None:
        return
    events(end)
    damaged = bytearray(sealed(opener, 22, b"\x14\0\0\0"))
    damaged[-1] ^= 1
    end.receive(bytes(damaged), NOW)
    failed = refused(end)
    assert failed.alert == BAD_MAC


# ---------------------------------------------------------------- records


RECORDS: list[tuple[str, bytes, str, int]] = [
    ("not TLS", b"\x80\x2e\4\3\1", "not_tls", UNEXPECTED),
    ("SSL 2", b"\x80\x2e\1\0\2", "no_common_version", VERSION),
    ("plain HTTP", b"GET / HTTP/1.1\r\n", "plain_http_sent", UNEXPECTED),
    ("unknown content type", b"\x18\3\3\0\1x", "not_tls", UNEXPECTED),
    ("too long", b"\x16\3\1\x40\1", "record_overflow", OVERFLOW),
    ("empty handshake", record(b""), "empty_handshake_record", UNEXPECTED),
    ("empty alert", record(b"", 21), "empty_handshake_record", UNEXPECTED),
    ("long alert", record(b"\2\x28\0", 21), "bad_alert", DECODE),
    ("alert level", record(b"\3\x28", 21), "illegal_parameter", ILLEGAL),
    ("ChangeCipherSpec first", record(b"\1", 20), "bad_change_cipher_spec", UNEXPECTED),
    ("application data", record(b"x", 23), "unexpected_message", UNEXPECTED),
]


@pytest.mark.parametrize(("what", "octets", "violation", "alert"), RECORDS)
def test_first_records(what: str, octets: bytes, violation: str, alert: int) -> None:
    end = server()
    end.receive(octets, NOW)
    failed = refused(end)
    assert (failed.violation, failed.alert) == (violation, alert)
    assert end.take_output(NOW) == record(bytes([2, alert]), 21)


def connected(**limits: Any) -> tuple[Client, Server]:
    one = client()
    two = server(server_config(limits=Limits(**limits), ticket_keys=ticket_keys()))
    pump(one, two)
    events(one), events(two)
    assert two.facts is not None
    return one, two


def give(one: Client, two: Server, kind: int, *contents: bytes) -> None:
    for content in contents:
        one.seal(kind, content)
    two.receive(one.take_output(NOW), NOW)


def test_limits() -> None:
    one, two = connected(empty_records=5)
    give(one, two, 23, *[b""] * 5, b"x", *[b""] * 5)
    assert not two.closed
    give(one, two, 23, b"")
    events_found = of(events(two), Failed)
    assert events_found[0].violation == "too_many_empty_records"
    one, two = connected(key_updates=3)
    for _ in range(4):
        one.update_keys()
    two.receive(one.take_output(NOW), NOW)
    assert refused(two).violation == "too_many_key_updates"
    one, two = connected(warnings=2)
    give(one, two, 21, *[b"\1\x5a"] * 3)
    assert refused(two).violation == "too_many_warnings"
    lavish = server(server_config(ticket_keys=ticket_keys(), tickets=5))
    frugal = client(client_config(limits=Limits(tickets=4)))
    pump(frugal, lavish)
    assert refused(frugal).violation == "too_many_tickets"


AFTER: list[tuple[str, int, bytes, str]] = [
    ("inner content type", 24, b"x", "unknown_content_type"),
    ("inner ChangeCipherSpec", 20, b"\1", "bad_change_cipher_spec"),
    ("empty inner handshake", 22, b"", "empty_handshake_record"),
    ("KeyUpdate value", 22, b"\x18\0\0\1\2", "bad_key_update"),
    ("KeyUpdate empty", 22, b"\x18\0\0\0", "decode_error"),
    ("KeyUpdate long", 22, b"\x18\0\0\2\0\0", "message_too_long"),
    ("after KeyUpdate", 22, b"\x18\0\0\1\0\x18", "message_across_key_change"),
    ("split alert", 21, b"\1", "bad_alert"),
]


@pytest.mark.parametrize(("what", "kind", "content", "violation"), AFTER)
def test_after_the_handshake(what: str, kind: int, content: bytes, violation: str) -> None:
    one, two = connected()
    give(one, two, kind, content)
    assert refused(two).violation == violation


def test_records_in_clear_after_the_handshake() -> None:
    for octets, violation in (
        (record(b"\1", 20), "bad_change_cipher_spec"),
        (record(b"\x18\0\0\1\0"), "unprotected_record"),
        (record(b"\2\x28", 21), "unprotected_record"),
        (b"\x17\3\3\x41\1", "record_overflow"),
        (b"\x17\2\0\0\1x", "bad_record_version"),
    ):
        _, two = connected()
        two.receive(octets, NOW)
        assert refused(two).violation == violation


def test_a_message_interrupted_by_data() -> None:
    one, two = connected()
    give(one, two, 22, b"\x18\0\0")
    give(one, two, 23, b"x")
    assert refused(two).violation == "unexpected_message"


# ---------------------------------------------------------------- ClientHello


def hello_of(version: int = 0x0304, **more: Any) -> ClientHello:
    raw = client(client_config(max_version=version, grease=False, **more)).take_output(NOW)[5:]
    parsed = parse_handshake(1, raw[4:])
    assert isinstance(parsed, ClientHello)
    return parsed


def changed(hello: ClientHello | ServerHello, number: int, body: bytes | None) -> tuple[Extension, ...]:
    """The extensions with one replaced, taken out (None) or put in."""
    kept = list(hello.extensions or ())
    at = next((i for i, x in enumerate(kept) if x.type == number), None)
    if at is not None:
        del kept[at]
    if body is not None:
        kept.insert(len(kept) if at is None else at, Extension(number, body))
    return tuple(kept)


HELLO_FIELDS = (
    "legacy_version",
    "random",
    "session_id",
    "cipher_suites",
    "compression_methods",
    "extensions",
    "trailing",
)
ANSWER_FIELDS = (
    "legacy_version",
    "random",
    "session_id",
    "cipher_suite",
    "compression_method",
    "extensions",
    "trailing",
)


def edit(hello: ClientHello, **fields: Any) -> bytes:
    values = {name: fields.get(name, getattr(hello, name)) for name in HELLO_FIELDS}
    return write_handshake(ClientHello(**values))


def extension(number: int, body: bytes | None) -> Callable[[ClientHello], bytes]:
    return lambda hello: edit(hello, extensions=changed(hello, number, body))


def field(**fields: Any) -> Callable[[ClientHello], bytes]:
    return lambda hello: edit(hello, **fields)


def _strange_groups(hello: ClientHello) -> bytes:
    strange = replace(hello, extensions=changed(hello, 10, b"\0\2\0\1"))
    return edit(strange, extensions=changed(strange, 51, b"\0\5\0\1\0\1x"))


PSK = b"\0\7\0\1x\0\0\0\0\0\x21\x20" + bytes(32)
HELLOS: list[tuple[str, int, Callable[[ClientHello], bytes], int]] = [
    ("no suites", 0x0304, field(cipher_suites=()), DECODE),
    ("no compressions", 0x0304, field(compression_methods=()), DECODE),
    ("long session id", 0x0304, field(session_id=bytes(33)), DECODE),
    ("trailing", 0x0304, field(trailing=b"x"), DECODE),
    ("unknown suites", 0x0304, field(cipher_suites=(0x1399,)), FAILURE),
    ("old suites only", 0x0304, field(cipher_suites=(0xC02B,)), FAILURE),
    ("compression", 0x0304, field(compression_methods=(1, 0)), ILLEGAL),
    ("compression without null", 0x0303, field(compression_methods=(1,)), ILLEGAL),
    ("SSL 3.0", 0x0304, field(legacy_version=0x0300), VERSION),
    ("SSL 3.0 old", 0x0303, field(legacy_version=0x0300), VERSION),
    ("TLS 1.1", 0x0303, field(legacy_version=0x0302), VERSION),
    ("versions unknown", 0x0304, extension(43, b"\2\3\5"), VERSION),
    ("versions old", 0x0304, extension(43, b"\4\3\2\3\1"), VERSION),
    ("versions empty", 0x0304, extension(43, b"\0"), DECODE),
    ("versions odd", 0x0304, extension(43, b"\3\3\4\3"), DECODE),
    ("versions trailing", 0x0304, extension(43, b"\2\3\4\0"), DECODE),
    ("no schemes", 0x0304, extension(13, None), MISSING),
    ("schemes empty", 0x0304, extension(13, b"\0\0"), DECODE),
    ("schemes odd", 0x0304, extension(13, b"\0\1\4"), DECODE),
    ("schemes unknown", 0x0304, extension(13, b"\0\2\2\1"), FAILURE),
    ("schemes unknown old", 0x0303, extension(13, b"\0\2\2\1"), FAILURE),
    ("no schemes old", 0x0303, extension(13, None), FAILURE),
    ("no groups", 0x0304, extension(10, None), MISSING),
    ("no shares", 0x0304, extension(51, None), MISSING),
    ("groups empty", 0x0304, extension(10, b"\0\0"), DECODE),
    ("groups unknown", 0x0304, extension(10, b"\0\2\0\1"), ILLEGAL),
    ("groups and shares unknown", 0x0304, _strange_groups, FAILURE),
    ("share of a group not listed", 0x0304, extension(51, b"\0\5\1\x99\0\1x"), ILLEGAL),
    ("share twice", 0x0304, extension(51, b"\0\x0a" + b"\0\x1d\0\1x" * 2), ILLEGAL),
    ("share too short", 0x0304, extension(51, b"\0\5\0\x1d\0\1x"), ILLEGAL),
    ("share zero", 0x0304, extension(51, b"\0\x24\0\x1d\0\x20" + bytes(32)), ILLEGAL),
    ("share off the curve", 0x0304, extension(51, b"\0\x45\0\x17\0\x41\4" + bytes(64)), ILLEGAL),
    ("share compressed", 0x0304, extension(51, b"\0\x25\0\x17\0\x21\2" + b"\1" * 32), ILLEGAL),
    ("share empty", 0x0304, extension(51, b"\0\4\0\x1d\0\0"), DECODE),
    ("share truncated", 0x0304, extension(51, b"\0\5\0\x1d\0\2x"), DECODE),
    ("doubled", 0x0304, lambda h: edit(h, extensions=((h.extensions or ())[0], *(h.extensions or ()))), ILLEGAL),
    ("early data body", 0x0304, extension(42, b"x"), DECODE),
    ("server name empty", 0x0304, extension(0, b""), DECODE),
    ("server name list empty", 0x0304, extension(0, b"\0\0"), DECODE),
    ("server name nothing", 0x0304, extension(0, b"\0\3\0\0\0"), DECODE),
    ("server name twice", 0x0304, extension(0, b"\0\x08\0\0\1a\0\0\1b"), ILLEGAL),
    ("server name octets", 0x0304, extension(0, b"\0\4\0\0\1\xff"), ILLEGAL),
    ("alpn empty", 0x0304, extension(16, b"\0\0"), DECODE),
    ("alpn empty name", 0x0304, extension(16, b"\0\1\0"), DECODE),
    ("alpn other", 0x0304, extension(16, b"\0\2\1x"), 120),
    ("alpn other old", 0x0303, extension(16, b"\0\2\1x"), 120),
    ("record limit", 0x0304, extension(28, b"\0\x3f"), ILLEGAL),
    ("record limit old", 0x0303, extension(28, b"\0\x3f"), ILLEGAL),
    ("psk alone", 0x0304, lambda h: edit(h, extensions=(*changed(h, 45, None), Extension(41, PSK))), MISSING),
    ("psk not last", 0x0304, lambda h: edit(h, extensions=(Extension(41, PSK), *(h.extensions or ()))), ILLEGAL),
    ("psk short binder", 0x0304, extension(41, b"\0\7\0\1x\0\0\0\0\0\2\1x"), DECODE),
    ("psk binders", 0x0304, extension(41, b"\0\7\0\1x\0\0\0\0\0\x42" + (b"\x20" + bytes(32)) * 2), ILLEGAL),
    ("psk no identities", 0x0304, extension(41, b"\0\0\0\x21\x20" + bytes(32)), DECODE),
    ("modes empty", 0x0304, extension(45, b"\0"), DECODE),
    ("cookie empty", 0x0304, extension(44, b"\0\0"), DECODE),
    ("points", 0x0303, extension(11, b"\1\1"), ILLEGAL),
    ("points empty", 0x0303, extension(11, b"\0"), DECODE),
    ("renegotiation", 0x0303, extension(0xFF01, b"\1x"), FAILURE),
    ("extended master secret body", 0x0303, extension(23, b"x"), DECODE),
    ("groups unknown old", 0x0303, extension(10, b"\0\2\0\1"), FAILURE),
    ("fallback", 0x0303, lambda h: edit(h, cipher_suites=(*h.cipher_suites, 0x5600)), 86),
]


@pytest.mark.parametrize(("what", "version", "make", "alert"), HELLOS, ids=[row[0] for row in HELLOS])
def test_client_hellos(what: str, version: int, make: Callable[[ClientHello], bytes], alert: int) -> None:
    end = server(server_config(alpn=(b"h2",)))
    end.receive(record(make(hello_of(version))), NOW)
    found = of(events(end), Failed)
    assert found, what
    assert found[0].alert == alert, found
    assert end.take_output(NOW)[-7:] == record(bytes([2, alert]), 21)


def test_hello_truncated_everywhere() -> None:
    """A ClientHello cut at any octet, its length made right again, is a decode_error, or a smaller hello."""
    raw = edit(hello_of())
    for size in range(4, len(raw)):
        end = server()
        end.receive(record(b"\1" + (size - 4).to_bytes(3, "big") + raw[4:size]), NOW)
        found = of(events(end), Failed)
        expected = {DECODE, FAILURE, VERSION, MISSING}
        assert found
        assert found[0].alert in expected, (size, found)


def test_tampered_binder() -> None:
    keys = ticket_keys()
    config = server_config(ticket_keys=keys)
    one, two = client(), server(config)
    pump(one, two)
    session = of(events(one), Ticket)[0].session
    flight = bytearray(client(None, session).take_output(NOW))
    flight[-1] ^= 1
    end = server(config)
    end.receive(bytes(flight), NOW)
    assert refused(end).violation == "bad_psk_binder"
    end = server(server_config(ticket_keys=TicketKeys(bytes(32))))
    end.receive(bytes(flight), NOW)
    assert not end.closed, "the binder of an unknown ticket proves nothing"


def second_hello(make: Callable[[ClientHello], bytes]) -> Failed:
    one = client(client_config(groups=(29, 24), shares=1, grease=False))
    two = server(server_config(groups=(24,)))
    two.receive(one.take_output(NOW), NOW)
    one.receive(two.take_output(NOW), NOW)
    flight = one.take_output(NOW)
    raw = flight[flight.index(b"\x16") + 5 :]
    parsed = parse_handshake(1, raw[4:])
    assert isinstance(parsed, ClientHello)
    two.receive(record(make(parsed)), NOW)
    return refused(two)


@pytest.mark.parametrize(
    ("make", "violation"),
    [
        (field(random=bytes(32)), "hello_changed"),
        (field(session_id=b""), "hello_changed"),
        (field(cipher_suites=(0x1301,)), "hello_changed"),
        (extension(16, b"\0\3\2h2"), "hello_changed"),
        (extension(10, b"\0\2\0\x18"), "hello_changed"),
        (extension(42, b""), "hello_changed"),
        (extension(51, b"\0\0"), "share_of_other_group"),
        (extension(44, b"\0\1x"), "illegal_parameter"),
    ],
)
def test_second_hello(make: Callable[[ClientHello], bytes], violation: str) -> None:
    failed = second_hello(make)
    assert failed.violation == violation
    assert failed.alert == ILLEGAL


# ---------------------------------------------------------------- ServerHello


def answer_of(**more: Any) -> tuple[Client, ServerHello]:
    """A client that waits, and the ServerHello it would get."""
    one = client(client_config(groups=(29, 23), shares=1))
    two = server(server_config(**more))
    two.receive(one.take_output(NOW), NOW)
    flight = two.take_output(NOW)
    size = flight[3] << 8 | flight[4]
    raw = flight[5 : 5 + size]
    parsed = parse_handshake(2, raw[4 : 4 + int.from_bytes(raw[1:4], "big")])
    assert isinstance(parsed, ServerHello)
    return one, parsed
