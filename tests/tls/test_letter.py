"""The letter of the RFCs, cell by cell: what was malformed or out of place, and the alert that the RFC names for it.

Tables continue those of ``test_refusals`` and ``test_proofs``; a row with alert None must be taken.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from synfin.tls import (
    Client,
    Closed,
    Failed,
    HandshakeDone,
    PeerAlert,
    Server,
    Ticket,
)
from synfin.wire.tls.extensions import Extension
from synfin.wire.tls.messages import ClientHello, ServerHello, parse_handshake, write_handshake
from tests.tls.ends import (
    NAME,
    NOW,
    client,
    client_config,
    credential,
    events,
    of,
    pump,
    said,
    server,
    server_config,
    ticket_keys,
    verifier,
)
from tests.tls.test_proofs import Lie, LyingClient, LyingServer, constant, message
from tests.tls.test_refusals import (
    ANSWER_FIELDS,
    CELLS,
    DECODE,
    HANDSHAKE_FAILURE,
    ILLEGAL,
    MISSING,
    UNEXPECTED,
    UNSUPPORTED,
    VERSION,
    _stop,
    answer_of,
    changed,
    edit,
    extension,
    field,
    hello_of,
    record,
    refused,
    sealed,
    second_hello,
    speak,
)

INSUFFICIENT, OVERFLOW, BAD_MAC = 71, 22, 20
OLD, NEW = 0x0303, 0x0304


def _alert(end: Client | Server) -> int | None:
    found = of(events(end), Failed)
    return found[0].alert if found else None


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
    ("no extensions", OLD, lambda h: edit(h, extensions=None), HANDSHAKE_FAILURE),
    ("no extensions and TLS 1.0", OLD, lambda h: edit(h, extensions=None, legacy_version=0x0301), VERSION),
    ("empty extensions", OLD, lambda h: edit(h, extensions=()), HANDSHAKE_FAILURE),
    ("doubled unknown", NEW, lambda h: edit(h, extensions=(Extension(0x1234, b""),) * 2), ILLEGAL),
]


@pytest.mark.parametrize(("what", "version", "make", "alert"), HELLOS, ids=[row[0] for row in HELLOS])
def test_client_hellos(what: str, version: int, make: Callable[[ClientHello], bytes], alert: int | None) -> None:
    end = server(server_config("p256", "rsa2048", alpn=(b"h2",)))
    hello = hello_of(version, alpn=(b"h2",))
    end.receive(record(make(hello)), NOW)
    assert _alert(end) == alert, what


@pytest.mark.parametrize("version", [0x0000, 0x0200, 0x0300, 0x0301, 0x0304, 0x03FF, 0x0505])
def test_the_version_of_the_first_record(version: int) -> None:
    """RFC 5246 E.1: any {03,XX}; RFC 8446 5.1, D.5: ignored, but nothing below {03,00} is taken."""
    end = server()
    end.receive(record(edit(hello_of()), version=version), NOW)
    assert _alert(end) == (None if version >= 0x0300 else VERSION)
    end = server(server_config(max_version=OLD))
    end.receive(record(edit(hello_of(OLD)), version=version), NOW)
    assert _alert(end) == (None if version >> 8 == 3 else VERSION)


def test_record_versions_later() -> None:
    stopped = _stop(OLD, "WaitKeyExchange", "server")
    stopped.end.receive(record(b"\x10\0\0\1x", version=0x0302), NOW)
    assert _alert(stopped.end) == VERSION
    stopped = _stop(NEW, "Connected", "server")
    assert stopped.end._opener is not None
    told = bytearray(sealed(stopped.end._opener, 23, b"x"))
    told[2] = 4
    stopped.end.receive(bytes(told), NOW)
    assert _alert(stopped.end) == BAD_MAC


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
    ("version 0x0302 before", {}, {"legacy_version": 0x0302}, ILLEGAL),
    ("version 0x0301 chosen", {}, {"+": (43, b"\3\1")}, ILLEGAL),
    ("long session id", {}, {"session_id": bytes(33)}, DECODE),
    ("renegotiation malformed", {"max_version": OLD}, {"+": (0xFF01, b"")}, DECODE),
    ("renegotiation trailing", {"max_version": OLD}, {"+": (0xFF01, b"\0x")}, DECODE),
    ("extended master secret body", {"max_version": OLD}, {"+": (23, b"x")}, DECODE),
    ("server name body", {"max_version": OLD}, {"+": (0, b"x")}, DECODE),
    ("ticket body", {"max_version": OLD}, {"+": (35, b"")}, -1),
    ("points compressed", {"max_version": OLD}, {"+": (11, b"\1\1")}, ILLEGAL),
    ("points empty", {"max_version": OLD}, {"+": (11, b"\0")}, DECODE),
    ("groups, old", {"max_version": OLD}, {"+": (10, b"\0\2\0\x1d")}, ILLEGAL),
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
    assert (_alert(one) or -1) == alert, what


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
    assert _alert(one) == alert


# ---------------------------------------------------------------- the flights after the hellos


FROM_SERVER: list[tuple[str, int, int, Lie, int]] = [
    ("no curve point", OLD, 12, constant(12, b"\3\0\x1d\0\x04\3\0\1x"), DECODE),
    ("no signature", OLD, 12, constant(12, b"\3\0\x1d\1x"), DECODE),
    ("point cut", OLD, 12, constant(12, b"\3\0\x1d\x20xx"), DECODE),
    ("SHA-1", OLD, 12, lambda raw: message(12, raw[4:40] + b"\2\3" + raw[42:]), ILLEGAL),
    ("key exchange empty", OLD, 12, constant(12, b""), DECODE),
    ("certificate cut", OLD, 11, constant(11, b"\0\0\x09\0\0\7xx"), DECODE),
    ("empty certificate", OLD, 11, constant(11, b"\0\0\3\0\0\0"), DECODE),
    ("certificates trailing", OLD, 11, lambda raw: message(11, raw[4:] + b"x"), DECODE),
    ("hello done with more", OLD, 14, constant(14, b"x"), DECODE),
    ("finished short", OLD, 20, constant(20, bytes(11)), DECODE),
    ("finished empty", OLD, 20, constant(20, b""), DECODE),
    ("finished short, new", NEW, 20, constant(20, bytes(31)), DECODE),
    ("finished empty, new", NEW, 20, constant(20, b""), DECODE),
    ("extensions doubled", NEW, 8, constant(8, b"\0\x08\0\x0a\0\0\0\x0a\0\0"), ILLEGAL),
    ("share among the extensions", NEW, 8, constant(8, b"\0\4\0\x33\0\0"), ILLEGAL),
    ("name among the extensions with a body", NEW, 8, constant(8, b"\0\5\0\0\0\1x"), DECODE),
    ("certificate extension unasked", NEW, 11, lambda raw: _with_extension(raw, b"\x12\x34\0\0"), UNSUPPORTED),
    ("certificate extension misplaced", NEW, 11, lambda raw: _with_extension(raw, b"\0\x33\0\0"), ILLEGAL),
    ("verify empty", NEW, 15, constant(15, b""), DECODE),
    ("verify without signature", NEW, 15, constant(15, b"\4\3\0\0"), 51),
    ("verify cut", NEW, 15, constant(15, b"\4\3\0\5x"), DECODE),
    ("compressed empty", NEW, 11, constant(25, b"\0\1\0\0\1\0\0\0"), DECODE),
    ("compressed by another way", NEW, 11, constant(25, b"\0\7\0\0\1\0\0\1x"), ILLEGAL),
]


def _with_extension(raw: bytes, block: bytes) -> bytes:
    """A TLS 1.3 Certificate of one entry with the extensions in ``block``."""
    der = raw[11 : 11 + int.from_bytes(raw[8:11], "big")]
    entry = len(der).to_bytes(3, "big") + der + len(block).to_bytes(2, "big") + block
    return message(11, b"\0" + len(entry).to_bytes(3, "big") + entry)


@pytest.mark.parametrize(("what", "version", "kind", "lie", "alert"), FROM_SERVER, ids=[row[0] for row in FROM_SERVER])
def test_from_the_server(what: str, version: int, kind: int, lie: Lie, alert: int) -> None:
    liar = LyingServer(server_config("p256", max_version=version), now=NOW, entropy=os.urandom)
    liar.lies = {kind: lie, **({25: lie} if kind == 11 else {})}
    one = client()
    pump(one, liar)
    assert _alert(one) == alert, what
    assert of(events(liar), PeerAlert) == [PeerAlert(alert, fatal=True)]


def test_a_certificate_of_another_kind() -> None:
    """An ECDSA suite with an RSA certificate is inconsistent (RFC 5246 7.4.2)."""
    other = credential("rsa2048").chain[0]
    body = len(other).to_bytes(3, "big") + other
    liar = LyingServer(server_config("p256", max_version=OLD), now=NOW, entropy=os.urandom)
    liar.lies = {11: constant(11, len(body).to_bytes(3, "big") + body)}
    one = client()
    pump(one, liar)
    assert _alert(one) == ILLEGAL


#: (what, version, body of CertificateRequest, alert)
REQUESTS: list[tuple[str, int, bytes, int | None]] = [
    ("fine", NEW, b"\0\0\x08\0\x0d\0\4\0\2\4\3", None),
    ("unknown extension", NEW, b"\0\0\x0c\0\x0d\0\4\0\2\4\3\x12\x34\0\0", None),
    ("context", NEW, b"\1x\0\x08\0\x0d\0\4\0\2\4\3", ILLEGAL),
    ("no schemes", NEW, b"\0\0\0", MISSING),
    ("schemes empty", NEW, b"\0\0\6\0\x0d\0\2\0\0", DECODE),
    ("schemes doubled", NEW, b"\0\0\x10" + b"\0\x0d\0\4\0\2\4\3" * 2, ILLEGAL),
    ("misplaced", NEW, b"\0\0\x0c\0\x0d\0\4\0\2\4\3\0\x33\0\0", ILLEGAL),
    ("cut", NEW, b"\0\0\x08\0\x0d\0\4\0\2\4", DECODE),
    ("trailing", NEW, b"\0\0\x08\0\x0d\0\4\0\2\4\3x", DECODE),
    ("fine, old", OLD, b"\1\x40\0\2\4\3\0\0", None),
    ("no types", OLD, b"\0\0\2\4\3\0\0", DECODE),
    ("no schemes, old", OLD, b"\1\x40\0\0\0\0", DECODE),
    ("odd schemes, old", OLD, b"\1\x40\0\3\4\3\4\0\0", DECODE),
    ("empty authority, old", OLD, b"\1\x40\0\2\4\3\0\2\0\0", DECODE),
    ("cut, old", OLD, b"\1\x40\0\2\4\3", DECODE),
]


@pytest.mark.parametrize(("what", "version", "body", "alert"), REQUESTS, ids=[row[0] for row in REQUESTS])
def test_certificate_requests(what: str, version: int, body: bytes, alert: int | None) -> None:
    liar = LyingServer(
        server_config("p256", max_version=version, client_auth="optional", verify=verifier()),
        now=NOW,
        entropy=os.urandom,
    )
    liar.lies = {13: constant(13, body)}
    one = client()
    pump(one, liar)
    assert _alert(one) == alert, what


FROM_CLIENT: list[tuple[str, int, int, Lie, int]] = [
    ("certificate extension", NEW, 11, lambda raw: _with_extension(raw, b"\x12\x34\0\0"), UNSUPPORTED),
    ("staple unasked", NEW, 11, lambda raw: _with_extension(raw, b"\0\5\0\0"), UNSUPPORTED),
    ("empty certificate", NEW, 11, constant(11, b"\0\0\0\5\0\0\0\0\0"), DECODE),
    ("list cut", NEW, 11, constant(11, b"\0\0\0\x09\0\0"), DECODE),
    ("verify by SHA-1", NEW, 15, lambda raw: message(15, b"\2\3" + raw[6:]), ILLEGAL),
    ("verify by PKCS#1", NEW, 15, lambda raw: message(15, b"\4\1" + raw[6:]), ILLEGAL),
    ("verify on another curve", NEW, 15, lambda raw: message(15, b"\5\3" + raw[6:]), ILLEGAL),
    ("verify empty", NEW, 15, constant(15, b""), DECODE),
    ("finished short", NEW, 20, constant(20, bytes(12)), DECODE),
    ("finished of SHA-384", NEW, 20, constant(20, bytes(48)), DECODE),
    ("certificate empty, old", OLD, 11, constant(11, b"\0\0\3\0\0\0"), DECODE),
    ("certificate cut, old", OLD, 11, constant(11, b"\0\0\x09\0\0"), DECODE),
    ("verify by SHA-1, old", OLD, 15, lambda raw: message(15, b"\2\3" + raw[6:]), ILLEGAL),
    ("verify by another kind, old", OLD, 15, lambda raw: message(15, b"\x08\4" + raw[6:]), ILLEGAL),
    ("verify trailing, old", OLD, 15, lambda raw: message(15, raw[4:] + b"x"), DECODE),
    ("finished empty, old", OLD, 20, constant(20, b""), DECODE),
    ("finished long, old", OLD, 20, constant(20, bytes(13)), DECODE),
]


@pytest.mark.parametrize(("what", "version", "kind", "lie", "alert"), FROM_CLIENT, ids=[row[0] for row in FROM_CLIENT])
def test_from_the_client(what: str, version: int, kind: int, lie: Lie, alert: int) -> None:
    config = client_config(max_version=version, credentials=(credential(client=True),))
    liar = LyingClient(config, NAME, now=NOW, entropy=os.urandom)
    liar.lies = {kind: lie}
    two = server(server_config(client_auth="required", verify=verifier(), certificate_compression=()))
    pump(liar, two)
    assert _alert(two) == alert, what


@pytest.mark.parametrize("what", ["empty", "zero", "one", "p-1", "p", "long"])
def test_diffie_hellman_of_the_client(what: str) -> None:
    """RFC 7919 3 and 5.1, RFC 5246 7.4.7.2."""
    from synfin.tls import groups

    p = int.from_bytes(groups.prime_octets(256), "big")
    values = {
        "empty": b"",
        "zero": b"\0",
        "one": b"\1",
        "p-1": (p - 1).to_bytes(256, "big"),
        "p": p.to_bytes(256, "big"),
    }
    value = values.get(what, b"\1" * 300)
    liar = LyingClient(client_config(suites=(0x009E,), max_version=OLD), NAME, now=NOW, entropy=os.urandom)
    liar.lies = {16: constant(16, len(value).to_bytes(2, "big") + value)}
    two = server(server_config("rsa2048", suites=(0x009E,), groups=(256,)))
    pump(liar, two)
    assert _alert(two) == (DECODE if what == "empty" else ILLEGAL)


@pytest.mark.parametrize("body", [b"", b"\0"])
def test_static_rsa_without_a_length(body: bytes) -> None:
    liar = LyingClient(client_config(suites=(0x009C,), max_version=OLD), NAME, now=NOW, entropy=os.urandom)
    liar.lies = {16: constant(16, body)}
    two = server(server_config("rsa2048", suites=(0x009C,)))
    pump(liar, two)
    assert _alert(two) == DECODE


# ---------------------------------------------------------------- after the handshake


#: (what, body of NewSessionTicket, alert)
TICKETS: list[tuple[str, bytes, int | None]] = [
    ("fine", b"\0\0\0\1" + bytes(4) + b"\0\0\1x\0\0", None),
    ("unknown extension", b"\0\0\0\1" + bytes(4) + b"\0\0\1x\0\4\x12\x34\0\0", None),
    ("no ticket", b"\0\0\0\1" + bytes(4) + b"\0\0\0\0\0", DECODE),
    ("no extensions", b"\0\0\0\1" + bytes(4) + b"\0\0\1x", DECODE),
    ("misplaced extension", b"\0\0\0\1" + bytes(4) + b"\0\0\1x\0\4\0\x33\0\0", ILLEGAL),
    ("doubled extension", b"\0\0\0\1" + bytes(4) + b"\0\0\1x\0\x08" + b"\x12\x34\0\0" * 2, ILLEGAL),
    ("early data cut", b"\0\0\0\1" + bytes(4) + b"\0\0\1x\0\5\0\x2a\0\1x", DECODE),
    ("trailing", b"\0\0\0\1" + bytes(4) + b"\0\0\1x\0\0x", DECODE),
    ("too long", b"\0\x09\x3a\x81" + bytes(4) + b"\0\0\1x\0\0", ILLEGAL),
]


@pytest.mark.parametrize(("what", "body", "alert"), TICKETS, ids=[row[0] for row in TICKETS])
def test_tickets(what: str, body: bytes, alert: int | None) -> None:
    stopped = _stop(NEW, "ConnectedPlain", "client")
    speak(stopped, message(4, body))
    assert _alert(stopped.end) == alert, what


# ---------------------------------------------------------------- lengths that lie


EXACT = {0: 1, 5: 1, 14: 1, 24: 2, 20: 49}


@pytest.mark.parametrize(("role", "version", "state"), CELLS)
def test_headers_that_promise_too_much(role: str, version: int, state: str) -> None:
    """A message whose length cannot be right is refused when its header is here, not when a timer fires."""
    for kind, size in EXACT.items():
        stopped = _stop(version, state, role)
        end: Any = stopped.end
        if kind not in end.state.EXPECTS:
            continue
        events(end)
        speak(stopped, bytes([kind]) + size.to_bytes(3, "big") + bytes(size - 1))
        assert _alert(end) == DECODE


# ---------------------------------------------------------------- alerts and closing


@pytest.mark.parametrize(("role", "version", "state"), CELLS)
def test_close_notify_is_answered_in_the_handshake(role: str, version: int, state: str) -> None:
    stopped = _stop(version, state, role)
    end, opener = stopped.end, stopped.end._opener
    end.take_output(NOW)
    events(end)
    end.receive(record(b"\1\0", 21) if opener is None else sealed(opener, 21, b"\1\0"), NOW)
    found = events(end)
    done = state.startswith("Connected")
    assert found[-1] == Closed(clean=done)
    assert not of(found, Failed)
    if done:
        assert end.ready
        end.send(b"still here")
        end.close()
    else:
        assert of(found, PeerAlert) == [PeerAlert(0, fatal=True)]
    assert end.closed
    out = end.take_output(NOW)
    assert out
    if end._sealer is None:
        assert out == record(b"\1\0", 21)
    end.receive(record(b"nothing of this is read", 23), NOW)
    end.receive(b"nor this", NOW)
    assert not events(end)
    end.receive_eof(NOW)
    assert not events(end)


@pytest.mark.parametrize("version", [OLD, NEW])
def test_half_close(version: int) -> None:
    """The end that was told close_notify goes on sending (RFC 8446 6.1)."""
    one, two = client(client_config(max_version=version)), server()
    pump(one, two)
    events(one), events(two)
    one.send(b"question")
    one.close()
    pump(one, two)
    found = events(two)
    assert said(found) == b"question"
    assert found[-1] == Closed(clean=True)
    two.send(b"answer")
    two.close()
    pump(one, two)
    found = events(one)
    assert said(found) == b"answer"
    assert found[-1] == Closed(clean=True)


@pytest.mark.parametrize("version", [OLD, NEW])
def test_cancelled_by_the_user(version: int) -> None:
    """user_canceled is a warning that close_notify follows (RFC 8446 6.1, RFC 5246 7.2.2)."""
    end = server(server_config(max_version=version))
    end.receive(client().take_output(NOW), NOW)
    end.take_output(NOW)
    end.receive(record(b"\1\x5a", 21) + record(b"\1\0", 21), NOW)
    found = events(end)
    assert of(found, PeerAlert) == [PeerAlert(90, fatal=False), PeerAlert(0, fatal=True)]
    assert found[-1] == Closed(clean=False)


def test_alerts_may_be_cut_and_joined_in_tls12() -> None:
    stopped = _stop(OLD, "WaitKeyExchange", "server")
    events(stopped.end)
    stopped.end.receive(record(b"\1\x64\1", 21), NOW)
    assert events(stopped.end) == [PeerAlert(100, fatal=False)]
    stopped.end.receive(record(b"\x64\2\x28\1\0", 21), NOW)
    assert events(stopped.end) == [PeerAlert(100, fatal=False), PeerAlert(40, fatal=True), Closed(clean=False)]


@pytest.mark.parametrize("description", [1, 20, 41, 60, 90, 112, 200, 255])
def test_all_alerts_but_two_are_fatal_in_tls13(description: int) -> None:
    """Whatever their level says (RFC 8446 6)."""
    stopped = _stop(NEW, "ConnectedPlain", "client")
    end = stopped.end
    assert end._opener is not None
    events(end)
    end.receive(sealed(end._opener, 21, bytes([1, description])), NOW)
    fatal = description != 90
    assert of(events(end), PeerAlert) == [PeerAlert(description, fatal=fatal)]
    assert end.closed == fatal


def test_empty_early_data_that_nobody_offered() -> None:
    one, two = client(client_config(groups=(29, 24), shares=1)), server(server_config(groups=(24,)))
    two.receive(one.take_output(NOW), NOW)
    two.receive(record(b"", 23), NOW)
    assert _alert(two) == UNEXPECTED


def test_max_fragment_length() -> None:
    """What the client asked for is kept, and held against it (RFC 6066 4)."""
    for version in (OLD, NEW):
        end = server(server_config(max_version=version))
        end.receive(record(edit(hello_of(), extensions=changed(hello_of(), 1, b"\1"))), NOW)
        out = end.take_output(NOW)
        while out:
            size = out[3] << 8 | out[4]
            assert size <= 512 + 256
            out = out[5 + size :]


def test_no_server_name_in_an_abbreviated_hello() -> None:
    """RFC 6066 3."""
    config = server_config(ticket_keys=ticket_keys(), max_version=OLD)
    one, two = client(), server(config)
    pump(one, two)
    session = of(events(one), Ticket)[0].session
    two = server(config)
    one = client(session=session)
    two.receive(one.take_output(NOW), NOW)
    flight = two.take_output(NOW)
    parsed = parse_handshake(2, flight[9 : 9 + int.from_bytes(flight[6:9], "big")])
    assert isinstance(parsed, ServerHello)
    assert 0 not in {x.type for x in parsed.extensions or ()}
    one.receive(flight, NOW)
    assert of(events(one), HandshakeDone)[0].facts.resumed
