"""The letter of the RFCs for both hellos: a field that is malformed or out of place, and the alert the RFC names.

Tables continue those of ``test_refusals``; a row with alert None must be taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from synfin.tls import (
    Ticket,
)
from synfin.wire.tls.extensions import Extension
from synfin.wire.tls.messages import ClientHello, ServerHello, parse_handshake, write_handshake
from tests.support.tlsoctets import (
    BAD_MAC,
    DECODE,
    FAILURE,
    ILLEGAL,
    INSUFFICIENT,
    MISSING,
    NEW,
    OLD,
    UNSUPPORTED,
    VERSION,
    record,
)
from tests.tls.ends import (
    NOW,
    alert_of,
    client,
    client_config,
    events,
    of,
    pump,
    server,
    server_config,
    ticket_keys,
)
from tests.tls.test_refusals import (
    ANSWER_FIELDS,
    _stop,
    answer_of,
    changed,
    edit,
    extension,
    field,
    hello_of,
    refused,
    sealed,
    second_hello,
)

# ---------------------------------------------------------------- ClientHello


def _only_strange_fields(hello: ClientHello) -> bytes:
    """DHE alone, with a finite-field group nobody has (RFC 7919 4)."""
    return edit(hello, cipher_suites=(0x009E,), extensions=changed(hello, 10, b"\0\4\1\x99\0\x1d"))


def _strange_fields_and_curves(hello: ClientHello) -> bytes:
    return edit(hello, extensions=changed(hello, 10, b"\0\4\1\x99\0\x1d"))


HELLOS: list[tuple[str, int, Callable[[ClientHello], bytes], int | None]] = [
    ("as it is", NEW, edit, None),
    ("as it is, old", OLD, edit, None),
    ("oid_filters", NEW, extension(48, b"\0\0"), ILLEGAL),
    ("oid_filters old", OLD, extension(48, b"\0\0"), None),
    ("authorities empty", NEW, extension(47, b"\0\0"), DECODE),
    ("authorities empty name", NEW, extension(47, b"\0\2\0\0"), DECODE),
    ("authorities", NEW, extension(47, b"\0\4\0\2\x30\0"), None),
    ("fragment length", NEW, extension(1, b"\1"), None),
    ("fragment length old", OLD, extension(1, b"\4"), None),
    ("fragment length 0", NEW, extension(1, b"\0"), ILLEGAL),
    ("fragment length 5", NEW, extension(1, b"\5"), ILLEGAL),
    ("fragment length 5 old", OLD, extension(1, b"\5"), ILLEGAL),
    ("fragment length empty", NEW, extension(1, b""), DECODE),
    ("fragment length long", NEW, extension(1, b"\1\1"), DECODE),
    ("status of an unknown kind", NEW, extension(5, b"\2whatever"), None),
    ("status cut", NEW, extension(5, b"\1\0\0\0"), DECODE),
    ("status empty", NEW, extension(5, b""), DECODE),
    ("post_handshake_auth body", NEW, extension(49, b"x"), DECODE),
    ("schemes_cert empty", NEW, extension(50, b"\0\0"), DECODE),
    ("schemes_cert odd", NEW, extension(50, b"\0\3\4\3\4"), DECODE),
    ("compress_certificate empty", NEW, extension(27, b"\0"), DECODE),
    ("compress_certificate odd", NEW, extension(27, b"\1\0"), DECODE),
    ("timestamps body", NEW, extension(18, b"x"), DECODE),
    ("server name length", NEW, extension(0, b"\0\x09\0\0\7test.e"), DECODE),
    ("server name trailing", NEW, extension(0, b"\0\4\0\0\1ax"), DECODE),
    ("server name of another type", NEW, extension(0, b"\0\4\5\0\1a"), None),
    ("alpn cut", NEW, extension(16, b"\0\4\2h2"), DECODE),
    ("alpn trailing", NEW, extension(16, b"\0\3\2h2x"), DECODE),
    ("groups odd", NEW, extension(10, b"\0\3\0\x1d\0"), DECODE),
    ("groups trailing", NEW, extension(10, b"\0\2\0\x1dx"), DECODE),
    ("modes trailing", NEW, extension(45, b"\1\1x"), DECODE),
    ("modes unknown", NEW, extension(45, b"\1\7"), None),
    ("renegotiation empty body", OLD, extension(0xFF01, b""), DECODE),
    ("renegotiation trailing", OLD, extension(0xFF01, b"\0x"), DECODE),
    ("etm body", OLD, extension(22, b"x"), DECODE),
    ("points without null", OLD, extension(11, b"\2\1\2"), ILLEGAL),
    ("points with others", OLD, extension(11, b"\3\1\0\2"), None),
    ("grease points", OLD, extension(0x0A0A, b""), None),
    ("finite fields unknown", OLD, _only_strange_fields, INSUFFICIENT),
    ("finite fields unknown, curves known", OLD, _strange_fields_and_curves, None),
    ("version 0x0301 before", NEW, field(legacy_version=0x0301), None),
    ("version 0x0304 before", NEW, field(legacy_version=0x0304), None),
    ("version 0x0304 old", OLD, field(legacy_version=0x0304), None),
    ("version 0x0000 before", NEW, field(legacy_version=0x0000), VERSION),
    ("compressions", OLD, field(compression_methods=(64, 0, 1)), None),
    ("compressions twice", NEW, field(compression_methods=(0, 0)), ILLEGAL),
    ("early data of nothing", NEW, extension(42, b""), None),
    ("fallback of the newest", NEW, lambda h: edit(h, cipher_suites=(*h.cipher_suites, 0x5600)), None),
    ("renegotiation SCSV", OLD, lambda h: edit(h, cipher_suites=(*h.cipher_suites, 0xFF)), None),
    ("no extensions", OLD, lambda h: edit(h, extensions=None), FAILURE),
    ("no extensions and TLS 1.0", OLD, lambda h: edit(h, extensions=None, legacy_version=0x0301), VERSION),
    ("empty extensions", OLD, lambda h: edit(h, extensions=()), FAILURE),
    ("doubled unknown", NEW, lambda h: edit(h, extensions=(Extension(0x1234, b""),) * 2), ILLEGAL),
]


@pytest.mark.parametrize(("what", "version", "make", "alert"), HELLOS, ids=[row[0] for row in HELLOS])
def test_client_hellos(what: str, version: int, make: Callable[[ClientHello], bytes], alert: int | None) -> None:
    end = server(server_config("p256", "rsa2048", alpn=(b"h2",)))
    hello = hello_of(version, alpn=(b"h2",))
    end.receive(record(make(hello)), NOW)
    assert alert_of(end) == alert, what


@pytest.mark.parametrize("version", [0x0000, 0x0200, 0x0300, 0x0301, 0x0304, 0x03FF, 0x0505])
def test_the_version_of_the_first_record(version: int) -> None:
    """RFC 5246 E.1: any {03,XX}; RFC 8446 5.1, D.5: ignored, but nothing below {03,00} is taken."""
    end = server()
    end.receive(record(edit(hello_of()), version=version), NOW)
    assert alert_of(end) == (None if version >= 0x0300 else VERSION)
    end = server(server_config(max_version=OLD))
    end.receive(record(edit(hello_of(OLD)), version=version), NOW)
    assert alert_of(end) == (None if version >> 8 == 3 else VERSION)


def test_record_versions_later() -> None:
    stopped = _stop(OLD, "WaitKeyExchange", "server")
    stopped.end.receive(record(b"\x10\0\0\1x", version=0x0302), NOW)
    assert alert_of(stopped.end) == VERSION
    stopped = _stop(NEW, "Connected", "server")
    assert stopped.end._opener is not None
    told = bytearray(sealed(stopped.end._opener, 23, b"x"))
    told[2] = 4
    stopped.end.receive(bytes(told), NOW)
    assert alert_of(stopped.end) == BAD_MAC


@pytest.mark.parametrize(
    ("make", "alert"),
    [
        (extension(51, None), MISSING),
        (extension(51, b"\0\5\0\x18\0\1x"), ILLEGAL),
        (extension(0x1234, b""), ILLEGAL),
        (extension(13, None), ILLEGAL),
        (field(compression_methods=(0, 1)), ILLEGAL),
        (field(legacy_version=0x0302), ILLEGAL),
    ],
)
def test_second_hellos(make: Callable[[ClientHello], bytes], alert: int) -> None:
    assert second_hello(make).alert == alert


def test_the_cookie_must_come_back() -> None:
    one = client(client_config(groups=(29, 24), shares=1, grease=False))
    two = server(server_config(groups=(24,), cookie=True))
    two.receive(one.take_output(NOW), NOW)
    one.receive(two.take_output(NOW), NOW)
    flight = one.take_output(NOW)
    parsed = parse_handshake(1, flight[flight.index(b"\x16") + 9 :])
    assert isinstance(parsed, ClientHello)
    two.receive(record(edit(parsed, extensions=changed(parsed, 44, None))), NOW)
    assert refused(two).alert == MISSING


# ---------------------------------------------------------------- ServerHello


def _session(version: int = NEW) -> Any:
    one, two = client(client_config(max_version=version)), server(server_config(ticket_keys=ticket_keys()))
    pump(one, two)
    return of(events(one), Ticket)[0].session


ANSWERS: list[tuple[str, dict[str, Any], dict[str, Any], int]] = [
    ("share empty", {}, {"+": (51, b"\0\x1d\0\0")}, DECODE),
    ("share grease", {}, {"+": (51, b"\x0a\x0a\0\1x")}, ILLEGAL),
    ("suite grease", {}, {"cipher_suite": 0x0A0A}, ILLEGAL),
    ("suite SCSV", {}, {"cipher_suite": 0x00FF}, ILLEGAL),
    ("groups in the hello", {}, {"+": (10, b"\0\2\0\x1d")}, ILLEGAL),
    ("cookie in the hello", {}, {"+": (44, b"\0\1x")}, UNSUPPORTED),
    ("early data in the hello", {}, {"+": (42, b"")}, UNSUPPORTED),
    ("version 0x0302 before", {}, {"legacy_version": 0x0302}, VERSION),
    ("version 0x0301 chosen", {}, {"+": (43, b"\3\1")}, ILLEGAL),
    ("long session id", {}, {"session_id": bytes(33)}, DECODE),
    ("renegotiation malformed", {"max_version": OLD}, {"+": (0xFF01, b"")}, DECODE),
    ("renegotiation trailing", {"max_version": OLD}, {"+": (0xFF01, b"\0x")}, DECODE),
    ("extended master secret body", {"max_version": OLD}, {"+": (23, b"x")}, DECODE),
    ("server name body", {"max_version": OLD}, {"+": (0, b"x")}, DECODE),
    ("ticket body", {"max_version": OLD}, {"+": (35, b"")}, -1),
    ("points compressed", {"max_version": OLD}, {"+": (11, b"\1\1")}, ILLEGAL),
    ("points empty", {"max_version": OLD}, {"+": (11, b"\0")}, DECODE),
    ("share, old", {"max_version": OLD}, {"+": (51, b"\0\x1d\0\1x")}, ILLEGAL),
    ("unknown, old", {"max_version": OLD}, {"+": (0x1234, b"")}, UNSUPPORTED),
    ("compression, old", {"max_version": OLD}, {"compression_method": 1}, ILLEGAL),
    ("suite not offered, old", {"max_version": OLD}, {"cipher_suite": 0xC013}, ILLEGAL),
    ("trailing, old", {"max_version": OLD}, {"trailing": b"x"}, DECODE),
    ("version 0x0304 without the extension", {"max_version": OLD}, {"legacy_version": 0x0304}, VERSION),
    ("version 0x0305", {"max_version": OLD}, {"legacy_version": 0x0305}, VERSION),
]


@pytest.mark.parametrize(("what", "more", "change", "alert"), ANSWERS, ids=[row[0] for row in ANSWERS])
def test_server_hellos(what: str, more: dict[str, Any], change: dict[str, Any], alert: int) -> None:
    one, parsed = answer_of(**more)
    fields = {name: getattr(parsed, name) for name in ANSWER_FIELDS}
    for name, value in change.items():
        if name == "+":
            fields["extensions"] = changed(parsed, *value)
        else:
            fields[name] = value
    one.receive(record(write_handshake(ServerHello(**fields))), NOW)
    assert (alert_of(one) or -1) == alert, what


@pytest.mark.parametrize(
    ("psk", "share", "alert"),
    [
        (b"\0\0", False, ILLEGAL),  # psk_dhe_ke was agreed (RFC 8446 4.2.11)
        (b"\0\1", True, ILLEGAL),
        (b"\0", True, DECODE),
        (b"\0\0\0", True, DECODE),
    ],
)
def test_answers_to_a_key(psk: bytes, share: bool, alert: int) -> None:
    one = client(client_config(groups=(29,)), _session())
    state: Any = one.state
    _, parsed = answer_of()
    kept = changed(parsed, 51, None) if not share else tuple(parsed.extensions or ())
    parsed = replace(parsed, session_id=state.offer.session_id, extensions=(*kept, Extension(41, psk)))
    one.receive(record(write_handshake(parsed)), NOW)
    assert alert_of(one) == alert
