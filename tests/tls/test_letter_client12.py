"""TLS 1.2 clients and what a server may not say: message by message, and the alert that the RFCs name.

RFC 5246 with 5746, 7627, 7366, 5077, 6066, 8422 and 7919; a row with alert None is the healthy twin and must be taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding

from synfin.tls import Presented, Session, SessionCache, Ticket, groups
from tests.support.tlsoctets import (
    BAD_CERT,
    BAD_MAC,
    BAD_STATUS,
    DECODE,
    DECRYPT,
    FAILURE,
    ILLEGAL,
    INSUFFICIENT,
    OLD,
    UNEXPECTED,
    UNSUPPORTED,
    VERSION,
    certificates,
    message,
)
from tests.tls.bad_server import Bad, asking, carried, ends, judged
from tests.tls.edits import Edit, after, before, doubled, exactly, flipped, gone, hello, longer, shorter, twice
from tests.tls.ends import (
    NAME,
    NOW,
    Teller,
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

ALPN = {"alpn": (b"h2", b"http/1.1")}
LIMIT = {"record_size_limit": 1 << 14}
ALONE = {"max_version": OLD}
CBC = {"suites": (0xC009, 0xC02B)}
CANARY = bytes(24) + b"DOWNGRD"
PLAIN: dict[str, Any] = {}


def echo(bad: Bad, raw: bytes) -> bytes:
    """The session id of a client that has no session (RFC 8446 D.4)."""
    return hello(session_id=bad.transcript.messages()[39:71])(bad, raw)


HELLOS: list[tuple[str, Edit, dict[str, Any], int | None]] = [
    ("as it is", hello(), PLAIN, None),
    ("sentinel of 1.2", hello(random=CANARY + b"\1"), PLAIN, ILLEGAL),
    ("sentinel of 1.1", hello(random=CANARY + b"\0"), PLAIN, ILLEGAL),
    ("sentinel of nothing", hello(random=CANARY + b"\2"), PLAIN, None),
    ("sentinel of 1.2 for a client of 1.2", hello(random=CANARY + b"\1"), ALONE, None),
    ("version 0x0302", hello(legacy_version=0x0302), PLAIN, VERSION),
    ("version 0x0301", hello(legacy_version=0x0301), PLAIN, VERSION),
    ("version 0x0300", hello(legacy_version=0x0300), PLAIN, VERSION),
    ("version 0x0200", hello(legacy_version=0x0200), PLAIN, VERSION),
    ("version 0x0304", hello(legacy_version=0x0304), PLAIN, VERSION),
    ("version 0x0304 for a client of 1.2", hello(legacy_version=0x0304), ALONE, VERSION),
    ("suite not offered", hello(cipher_suite=0xC009), PLAIN, ILLEGAL),
    ("suite of TLS 1.3", hello(cipher_suite=0x1301), PLAIN, ILLEGAL),
    ("suite null", hello(cipher_suite=0), PLAIN, ILLEGAL),
    ("suite SCSV", hello(cipher_suite=0xFF), PLAIN, ILLEGAL),
    ("suite unknown", hello(cipher_suite=0x9999), PLAIN, ILLEGAL),
    ("compression", hello(compression_method=1), PLAIN, ILLEGAL),
    ("session id 33", hello(session_id=bytes(33)), PLAIN, DECODE),
    ("session id of the client", echo, PLAIN, ILLEGAL),
    ("session id 32", hello(session_id=bytes(32)), PLAIN, None),
    ("renegotiation missing", hello((0xFF01, None)), PLAIN, FAILURE),
    ("renegotiation filled", hello((0xFF01, b"\x0c" + bytes(12))), PLAIN, FAILURE),
    ("renegotiation nothing", hello((0xFF01, b"")), PLAIN, DECODE),
    ("renegotiation trailing", hello((0xFF01, b"\0\0")), PLAIN, DECODE),
    ("renegotiation cut", hello((0xFF01, b"\1")), PLAIN, DECODE),
    ("renegotiation doubled", doubled(0xFF01), PLAIN, ILLEGAL),
    ("extended master secret missing", hello((23, None)), PLAIN, None),
    ("extended master secret body", hello((23, b"x")), PLAIN, DECODE),
    ("encrypt then mac not offered", hello((22, b"")), PLAIN, UNSUPPORTED),
    ("encrypt then mac with AEAD", hello((22, b""), cipher_suite=0xC02B), CBC, ILLEGAL),
    ("encrypt then mac body", hello((22, b"x")), CBC, DECODE),
    ("encrypt then mac as it is", hello(), CBC, None),
    ("alpn", hello((16, b"\0\3\2h2")), ALPN, None),
    ("alpn not offered", hello((16, b"\0\3\2h2")), PLAIN, UNSUPPORTED),
    ("alpn of another name", hello((16, b"\0\3\2h3")), ALPN, ILLEGAL),
    ("alpn two names", hello((16, b"\0\x0c\2h2\x08http/1.1")), ALPN, DECODE),
    ("alpn empty list", hello((16, b"\0\0")), ALPN, DECODE),
    ("alpn empty name", hello((16, b"\0\1\0")), ALPN, DECODE),
    ("alpn nothing", hello((16, b"")), ALPN, DECODE),
    ("name", hello((0, b"")), PLAIN, None),
    ("name with a body", hello((0, b"\0\0")), PLAIN, DECODE),
    ("record limit", hello((28, b"\x40\0")), LIMIT, None),
    ("record limit 63", hello((28, b"\0\x3f")), LIMIT, ILLEGAL),
    ("record limit cut", hello((28, b"\x40")), LIMIT, DECODE),
    ("record limit not offered", hello((28, b"\x40\0")), PLAIN, UNSUPPORTED),
    ("fragment length", hello((1, b"\1")), PLAIN, UNSUPPORTED),
    ("points", hello((11, b"\1\0")), PLAIN, None),
    ("points and others", hello((11, b"\3\1\0\2")), PLAIN, None),
    ("points compressed alone", hello((11, b"\1\1")), PLAIN, ILLEGAL),
    ("points empty", hello((11, b"\0")), PLAIN, DECODE),
    ("points nothing", hello((11, b"")), PLAIN, DECODE),
    ("points trailing", hello((11, b"\1\0\0")), PLAIN, DECODE),
    ("groups, as some servers do", hello((10, b"\0\2\0\x1d")), PLAIN, None),
    ("groups malformed", hello((10, b"\0\3\0\x1d")), PLAIN, DECODE),
    ("schemes", hello((13, b"\0\2\4\3")), PLAIN, ILLEGAL),
    ("share", hello((51, b"\0\x1d\0\1x")), PLAIN, ILLEGAL),
    ("versions 0x0303", hello((43, b"\3\3")), PLAIN, ILLEGAL),
    ("key", hello((41, b"\0\0")), PLAIN, UNSUPPORTED),
    ("cookie", hello((44, b"\0\1x")), PLAIN, UNSUPPORTED),
    ("status body", hello((5, b"\1\0\0\1x")), PLAIN, DECODE),
    ("status not asked for", hello((5, b"")), {"ask_staple": False}, UNSUPPORTED),
    ("ticket body", hello((35, b"x")), PLAIN, DECODE),
    ("times empty", hello((18, b"\0\0")), PLAIN, DECODE),
    ("times nothing", hello((18, b"")), PLAIN, DECODE),
    ("next protocol", hello((13172, b"\2h2")), PLAIN, UNSUPPORTED),
    ("heartbeat", hello((15, b"\1")), PLAIN, UNSUPPORTED),
    ("unknown", hello((0x1234, b"")), PLAIN, UNSUPPORTED),
    ("grease", hello((0x8A8A, b"")), PLAIN, UNSUPPORTED),
    ("unknown doubled", hello((0x1234, b""), (0x1234, b"")), PLAIN, UNSUPPORTED),
    ("no extensions", lambda bad, raw: message(2, raw[4:39] + raw[39 : 42 + raw[38]]), PLAIN, FAILURE),
    ("trailing", longer, PLAIN, DECODE),
    ("cut", shorter, PLAIN, DECODE),
    ("empty", exactly(2, b""), PLAIN, DECODE),
    ("twice", twice, PLAIN, UNEXPECTED),
    ("gone", gone, PLAIN, UNEXPECTED),
    ("HelloRequest before, to a client of 1.2", asking, ALONE, None),
    ("HelloRequest before", before(message(0, b"")), PLAIN, UNEXPECTED),
]


@pytest.mark.parametrize(("what", "edit", "more", "alert"), HELLOS, ids=[row[0] for row in HELLOS])
def test_server_hello(what: str, edit: Edit, more: dict[str, Any], alert: int | None) -> None:
    server = {"suites": (0xC009,)} if more is CBC else {}
    one, bad = ends(OLD, {2: edit, 12: lambda bad, raw: bad.signed(raw[4 : 8 + raw[7]])}, server=server, client=more)
    bad.receive(one.take_output(NOW), NOW)
    one.receive(bad.take_output(NOW), NOW)
    if alert is None:
        assert not events(one)
        assert one.version == OLD
        return
    judged(one, alert)


def own(bad: Bad) -> bytes:
    return bad.config.credentials[0].chain[0]


CERTIFICATES: list[tuple[str, Edit, int | None]] = [
    ("as it is", after(b""), None),
    ("no certificate", exactly(11, b"\0\0\0"), DECODE),
    ("certificate of nothing", lambda bad, raw: certificates(b""), DECODE),
    ("second of nothing", lambda bad, raw: certificates(own(bad), b""), DECODE),
    ("broken DER", lambda bad, raw: certificates(b"\x30\x03\2\1\1"), BAD_CERT),
    ("DER with more", lambda bad, raw: certificates(own(bad) + b"\0"), BAD_CERT),
    ("DER cut", lambda bad, raw: certificates(own(bad)[:-1]), BAD_CERT),
    ("signature in it corrupt", flipped, BAD_CERT),
    ("second is no DER", lambda bad, raw: certificates(own(bad), b"x"), BAD_CERT),
    ("key of another kind", lambda bad, raw: certificates(credential("rsa2048").chain[0]), ILLEGAL),
    ("as TLS 1.3 has it", lambda bad, raw: message(11, b"\0" + raw[4:]), DECODE),
    ("list cut", shorter, DECODE),
    ("list trailing", longer, DECODE),
    ("empty", exactly(11, b""), DECODE),
    ("twice", twice, UNEXPECTED),
    ("gone", gone, UNEXPECTED),
    ("status after, not promised", after(message(22, b"\1\0\0\1x")), UNEXPECTED),
    ("compressed", exactly(25, b"\0\1\0\0\1\0\0\1x"), UNEXPECTED),
    ("Finished after", after(message(20, bytes(12))), UNEXPECTED),
    ("ticket after", after(message(4, b"\0\0\0\1\0\1x")), UNEXPECTED),
    ("HelloRequest before", asking, None),
    ("HelloRequest with a body", after(message(0, b"x")), DECODE),
    ("supplemental data", after(message(23, b"\0\0\0")), UNEXPECTED),
    ("certificate URL", after(message(21, b"\0")), UNEXPECTED),
    ("unknown", after(message(99, b"")), UNEXPECTED),
]


@pytest.mark.parametrize(("what", "edit", "alert"), CERTIFICATES, ids=[row[0] for row in CERTIFICATES])
def test_certificate(what: str, edit: Edit, alert: int | None) -> None:
    carried(OLD, {11: edit}, alert)


STATUSES: list[tuple[str, bytes, int | None]] = [
    ("left out", b"", None),
    ("no OCSP", message(22, b"\1\0\0\1x"), BAD_STATUS),
    ("empty", message(22, b"\1\0\0\0"), DECODE),
    ("cut", message(22, b"\1\0\0\2x"), DECODE),
    ("trailing", message(22, b"\1\0\0\1xx"), DECODE),
    ("nothing", message(22, b""), DECODE),
    ("another kind", message(22, b"\2\0\0\1x"), DECODE),
    ("a kind unknown", message(22, b"\7\0\0\1x"), DECODE),
]


@pytest.mark.parametrize(("what", "raw", "alert"), STATUSES, ids=[row[0] for row in STATUSES])
def test_certificate_status(what: str, raw: bytes, alert: int | None) -> None:
    carried(OLD, {2: hello((5, b"")), 11: after(raw)}, alert)


def key(parameters: bytes, scheme: int = 0x0403) -> Edit:
    """Parameters of our choosing, rightly signed."""
    return lambda bad, raw: bad.signed(parameters, scheme)


def scheme(number: int) -> Edit:
    """Another scheme in the right message."""

    def edit(bad: Bad, raw: bytes) -> bytes:
        at = 8 + raw[7]
        return raw[:at] + number.to_bytes(2, "big") + raw[at + 2 :]

    return edit


POINT = b"\3\0\x1d\x20" + b"\x09" + bytes(31)
EXCHANGES: list[tuple[str, Edit, int | None]] = [
    ("as it is", after(b""), None),
    ("curve not offered", key(b"\3\0\x13\x20" + bytes(32)), ILLEGAL),
    ("curve unknown", key(b"\3\x99\x99\x20" + bytes(32)), ILLEGAL),
    ("curve grease", key(b"\3\x0a\x0a\x20" + bytes(32)), ILLEGAL),
    ("curve of finite fields", key(b"\3\1\0\x20" + bytes(32)), ILLEGAL),
    ("arbitrary explicit prime", key(b"\3\xff\1\x20" + bytes(32)), ILLEGAL),
    ("ML-KEM", key(b"\3\x11\xec\x20" + bytes(32)), ILLEGAL),
    ("explicit prime", key(b"\1\1\x17\1\1\1\1\1\4\1\1\1\1\1\4"), ILLEGAL),
    ("explicit field of two", key(b"\2\0\x20" + bytes(32)), ILLEGAL),
    ("curve type 0", key(b"\0\0\x1d\x20" + bytes(32)), ILLEGAL),
    ("point of nothing", key(b"\3\0\x1d\0"), DECODE),
    ("point zero", key(b"\3\0\x1d\x20" + bytes(32)), ILLEGAL),
    ("point short", key(b"\3\0\x1d\x1f" + bytes(31)), ILLEGAL),
    ("point long", key(b"\3\0\x1d\x21" + bytes(33)), ILLEGAL),
    ("point off the curve", key(b"\3\0\x17\x41\4" + b"\1" * 64), ILLEGAL),
    ("point compressed", key(b"\3\0\x17\x21\2" + b"\1" * 32), ILLEGAL),
    ("point hybrid", key(b"\3\0\x17\x41\6" + b"\1" * 64), ILLEGAL),
    ("point at infinity", key(b"\3\0\x17\1\0"), ILLEGAL),
    ("point of another curve", key(b"\3\0\x18\x41\4" + b"\1" * 64), ILLEGAL),
    ("signature corrupt", flipped, DECRYPT),
    ("parameters changed", lambda bad, raw: raw[:20] + bytes([raw[20] ^ 1]) + raw[21:], DECRYPT),
    ("signature short", lambda bad, raw: message(12, raw[4:42] + b"\0\1\x30"), DECRYPT),
    ("signature empty", lambda bad, raw: message(12, raw[4:42] + b"\0\0"), DECRYPT),
    ("signature longer than the message", lambda bad, raw: message(12, raw[4:42] + b"\0\x48x"), DECODE),
    ("no signature", lambda bad, raw: message(12, raw[4:40]), DECODE),
    ("scheme SHA-1", scheme(0x0203), ILLEGAL),
    ("scheme MD5", scheme(0x0103), ILLEGAL),
    ("scheme of RSA", scheme(0x0401), ILLEGAL),
    ("scheme of PSS", scheme(0x0804), ILLEGAL),
    ("scheme anonymous", scheme(0x0400), ILLEGAL),
    ("scheme Ed25519", scheme(0x0807), ILLEGAL),
    ("scheme unknown", scheme(0xFEFE), ILLEGAL),
    ("scheme of another hash", scheme(0x0503), DECRYPT),
    ("trailing", longer, DECODE),
    ("cut", shorter, DECODE),
    ("empty", exactly(12, b""), DECODE),
    ("type alone", exactly(12, b"\3"), DECODE),
    ("gone", gone, UNEXPECTED),
    ("twice", twice, UNEXPECTED),
    ("Certificate after", after(message(11, b"\0\0\0")), UNEXPECTED),
    ("verify after", after(message(15, b"\4\3\0\1x")), UNEXPECTED),
]


@pytest.mark.parametrize(("what", "edit", "alert"), EXCHANGES, ids=[row[0] for row in EXCHANGES])
def test_server_key_exchange(what: str, edit: Edit, alert: int | None) -> None:
    carried(OLD, {12: edit}, alert)


def test_signed_with_randoms_of_another_connection() -> None:
    def edit(bad: Bad, raw: bytes) -> bytes:
        bad.client_random = bytes(32)
        return bad.signed(raw[4:40])

    carried(OLD, {12: edit}, DECRYPT)


def test_a_scheme_not_offered() -> None:
    some = {"schemes": (0x0403, 0x0804)}
    carried(OLD, {12: lambda bad, raw: bad.signed(raw[4:40], 0x0805)}, ILLEGAL, "rsa2048", client=some)
    carried(OLD, {12: lambda bad, raw: bad.signed(raw[4:40], 0x0804)}, None, "rsa2048", client=some)


def field(p: int | bytes, g: int | bytes, public: int | bytes) -> Edit:
    def octets(value: int | bytes) -> bytes:
        data = value if isinstance(value, bytes) else value.to_bytes((value.bit_length() + 7) // 8 or 1, "big")
        return len(data).to_bytes(2, "big") + data

    return lambda bad, raw: bad.signed(octets(p) + octets(g) + octets(public), 0x0804)


PRIME = int.from_bytes(groups.prime_octets(256), "big")
FIELDS: list[tuple[str, Edit, int | None]] = [
    ("as it is", after(b""), None),
    ("Ys 0", field(PRIME, 2, 0), FAILURE),
    ("Ys 1", field(PRIME, 2, 1), FAILURE),
    ("Ys p-1", field(PRIME, 2, PRIME - 1), FAILURE),
    ("Ys p", field(PRIME, 2, PRIME), FAILURE),
    ("Ys beyond p", field(PRIME, 2, PRIME + 2), FAILURE),
    ("Ys huge", field(PRIME, 2, b"\xff" * 60000), FAILURE),
    ("Ys empty", field(PRIME, 2, b""), DECODE),
    ("g 0", field(PRIME, 0, 5), ILLEGAL),
    ("g 1", field(PRIME, 1, 5), ILLEGAL),
    ("g p-1", field(PRIME, PRIME - 1, 5), ILLEGAL),
    ("g p", field(PRIME, PRIME, 5), ILLEGAL),
    ("g empty", field(PRIME, b"", 5), DECODE),
    ("p empty", field(b"", 2, 5), DECODE),
    ("p 0", field(0, 2, 5), INSUFFICIENT),
    ("p even", field(PRIME - 1, 2, 5), ILLEGAL),
    ("p of 512", field((1 << 511) + 111, 2, 5), INSUFFICIENT),
    ("p of 1024", field((1 << 1023) + 1155, 2, 5), INSUFFICIENT),
    ("p of 60000 octets", field((1 << 479999) + 1, 2, 5), ILLEGAL),
    ("signature corrupt", flipped, DECRYPT),
    ("trailing", longer, DECODE),
    ("cut", shorter, DECODE),
    ("empty", exactly(12, b""), DECODE),
    ("gone", gone, UNEXPECTED),
]


@pytest.mark.parametrize(("what", "edit", "alert"), FIELDS, ids=[row[0] for row in FIELDS])
def test_finite_fields(what: str, edit: Edit, alert: int | None) -> None:
    suites = {"suites": (0x009E,)}
    carried(OLD, {12: edit}, alert, "rsa2048", server={**suites, "groups": (256,)}, client=suites)


@pytest.mark.parametrize(
    ("edits", "alert"),
    [
        ({}, None),
        ({11: after(message(12, POINT + b"\x08\4\0\1x"))}, UNEXPECTED),
        ({14: gone}, None),
        ({14: after(message(14, b""))}, UNEXPECTED),
    ],
    ids=["as it is", "key exchange", "no end", "two ends"],
)
def test_static_rsa(edits: dict[int, Edit], alert: int | None) -> None:
    suites = {"suites": (0x009C,)}
    one, bad = ends(OLD, edits, "rsa2048", server=suites, client=suites)
    pump(one, bad)
    if 14 in edits and alert is None:
        assert not events(one)
        return
    judged(one, alert)


REQUESTS: list[tuple[str, Edit, int | None]] = [
    ("as it is", after(b""), None),
    ("types unknown", exactly(13, b"\1\xee\0\2\4\3\0\0"), None),
    ("schemes unknown", exactly(13, b"\1\x40\0\2\xee\xee\0\0"), None),
    ("no types", exactly(13, b"\0\0\2\4\3\0\0"), DECODE),
    ("no schemes", exactly(13, b"\1\x40\0\0\0\0"), DECODE),
    ("odd schemes", exactly(13, b"\1\x40\0\1\4\0\0"), DECODE),
    ("authority of nothing", exactly(13, b"\1\x40\0\2\4\3\0\2\0\0"), DECODE),
    ("as TLS 1.1 has it", exactly(13, b"\1\x40\0\0"), DECODE),
    ("trailing", longer, DECODE),
    ("cut", shorter, DECODE),
    ("empty", exactly(13, b""), DECODE),
    ("twice", twice, UNEXPECTED),
    ("key exchange after", after(message(12, POINT + b"\4\3\0\1x")), UNEXPECTED),
]


@pytest.mark.parametrize(("what", "edit", "alert"), REQUESTS, ids=[row[0] for row in REQUESTS])
@pytest.mark.parametrize("known", [False, True])
def test_certificate_request(what: str, edit: Edit, alert: int | None, known: bool) -> None:
    more = {"credentials": (credential(client=True),)} if known else {}
    carried(OLD, {13: edit}, alert, client=more, server={"client_auth": "optional", "verify": verifier()})


CHANGE = b"\x14\3\3\0\1\1"


def test_a_request_before_the_key_exchange() -> None:
    carried(OLD, {12: before(message(13, b"\1\x40\0\2\4\3\0\0"))}, UNEXPECTED)


LAST: list[tuple[str, dict[int, Edit], int | None]] = [
    ("done with a body", {14: longer}, DECODE),
    ("done gone, Finished", {14: exactly(20, bytes(12))}, UNEXPECTED),
    ("done twice", {14: twice}, UNEXPECTED),
    ("done, HelloRequest before", {14: asking}, None),
    ("done, then a ticket", {14: after(message(4, b"\0\0\0\1\0\1x"))}, UNEXPECTED),
    ("done, then Finished in clear", {14: after(message(20, bytes(12)))}, UNEXPECTED),
    ("Finished corrupt", {20: flipped}, DECRYPT),
    ("Finished short", {20: shorter}, DECODE),
    ("Finished long", {20: longer}, DECODE),
    ("Finished empty", {20: exactly(20, b"")}, DECODE),
    ("Finished of 32", {20: exactly(20, bytes(32))}, DECODE),
    ("Finished twice", {20: twice}, UNEXPECTED),
    ("done in place of Finished", {20: exactly(14, b"")}, UNEXPECTED),
    ("HelloRequest before Finished", {20: before(message(0, b""))}, None),
    ("ticket before Finished", {20: before(message(4, b"\0\0\0\1\0\1x"))}, UNEXPECTED),
]


@pytest.mark.parametrize(("what", "edits", "alert"), LAST, ids=[row[0] for row in LAST])
def test_the_last_flights(what: str, edits: dict[int, Edit], alert: int | None) -> None:
    one, bad = ends(OLD, edits)
    pump(one, bad)
    judged(one, alert)


def test_half_a_message_before_the_change() -> None:
    one, bad = ends(OLD, {14: after(b"\0\0")})
    bad.receive(one.take_output(NOW), NOW)
    one.receive(bad.take_output(NOW), NOW)
    assert not events(one)
    one.receive(CHANGE, NOW)
    judged(one, UNEXPECTED)


def test_a_client_of_tls13_alone() -> None:
    one, bad = ends(OLD, {})
    bad.receive(one.take_output(NOW), NOW)
    alone = Teller(client_config(min_version=0x0304), "test.example", now=NOW, entropy=bad.entropy)
    alone.receive(bad.take_output(NOW), NOW)
    judged(alone, VERSION)


class Changing(Bad):
    """A server with a say in its ChangeCipherSpec: how often, what, and whether before a message."""

    octets = CHANGE
    early: int | None = None

    def send_ccs(self) -> None:
        """See ``Endpoint``."""
        self._out.append(self.octets)

    def say_raw(self, raw: bytes) -> bytes:
        """See ``Endpoint``."""
        if raw[0] == self.early:
            self.flush()
            self._out.append(CHANGE)
        return super().say_raw(raw)


CHANGES: list[tuple[str, dict[str, Any], int | None]] = [
    ("as it is", {}, None),
    ("two", {"octets": CHANGE * 2}, BAD_MAC),
    ("of 2", {"octets": b"\x14\3\3\0\1\2"}, UNEXPECTED),
    ("of two octets", {"octets": b"\x14\3\3\0\2\1\1"}, UNEXPECTED),
    ("of nothing", {"octets": b"\x14\3\3\0\0"}, UNEXPECTED),
    ("before the hello", {"early": 2}, UNEXPECTED),
    ("before the certificate", {"early": 11}, UNEXPECTED),
    ("before the key exchange", {"early": 12}, UNEXPECTED),
    ("before the end of the hellos", {"early": 14}, UNEXPECTED),
    ("before the ticket", {"early": 4}, UNEXPECTED),
    ("alert between", {"octets": b"\x15\3\3\0\2\1\x5a" + CHANGE}, None),
    ("data before", {"octets": b"\x17\3\3\0\1x" + CHANGE}, UNEXPECTED),
]


@pytest.mark.parametrize(("what", "more", "alert"), CHANGES, ids=[row[0] for row in CHANGES])
@pytest.mark.parametrize("versions", [{}, ALONE], ids=["both versions", "TLS 1.2 alone"])
def test_change_cipher_spec(what: str, more: dict[str, Any], alert: int | None, versions: dict[str, Any]) -> None:
    """RFC 5246 7.1: a change outside its place is unexpected_message; none may change keys early.

    After the first one records are protected, ChangeCipherSpec too: one in clear does not open (6.2.3.3).
    """
    one, plain = ends(OLD, {}, client=versions, server={"ticket_keys": ticket_keys()})
    bad = Changing(plain.config, now=NOW, entropy=plain.entropy)
    for name, value in more.items():
        setattr(bad, name, value)
    pump(one, bad)
    judged(one, alert)


TICKETS: list[tuple[str, Edit, int | None]] = [
    ("as it is", after(b""), None),
    ("empty", exactly(4, b"\0\0\0\1\0\0"), None),
    ("for no time", exactly(4, b"\0\0\0\0\0\1x"), None),
    ("for ever", exactly(4, b"\xff\xff\xff\xff\0\1x"), None),
    ("cut", shorter, DECODE),
    ("trailing", longer, DECODE),
    ("nothing", exactly(4, b""), DECODE),
    ("as TLS 1.3 has it", exactly(4, b"\0\0\0\1\0\0\0\0\0\0\1x\0\0"), DECODE),
    ("twice", twice, UNEXPECTED),
    ("gone", gone, UNEXPECTED),
]


@pytest.mark.parametrize(("what", "edit", "alert"), TICKETS, ids=[row[0] for row in TICKETS])
def test_new_session_ticket(what: str, edit: Edit, alert: int | None) -> None:
    carried(OLD, {4: edit}, alert, server={"ticket_keys": ticket_keys()})


def test_a_ticket_not_announced() -> None:
    carried(OLD, {2: hello((35, None))}, UNEXPECTED, server={"ticket_keys": ticket_keys()})


CACHE = SessionCache()


def session_of(extended: bool = True, tickets: bool = True) -> tuple[Session, dict[str, Any]]:
    """A session, and what its server has."""
    more: dict[str, Any] = {"ticket_keys": ticket_keys()} if tickets else {"session_cache": CACHE}
    one, two = client(client_config(max_version=OLD)), server(server_config(**more))
    pump(one, two)
    found: Session = of(events(one), Ticket)[-1].session
    return (found if extended else replace(found, extended_master_secret=False)), more


RESUMED: list[tuple[str, bool, dict[int, Edit], int | None]] = [
    ("as it is", True, {}, None),
    ("suite of another kind", True, {2: hello(cipher_suite=0xC02C)}, ILLEGAL),
    ("suite not offered", True, {2: hello(cipher_suite=0xC009)}, ILLEGAL),
    ("version", True, {2: hello(legacy_version=0x0302)}, VERSION),
    ("no extended master secret", True, {2: hello((23, None))}, FAILURE),
    ("renegotiation missing", True, {2: hello((0xFF01, None))}, FAILURE),
    ("Certificate", True, {2: after(message(11, b"\0\0\0"))}, UNEXPECTED),
    ("key exchange", True, {2: after(message(12, POINT + b"\4\3\0\1x"))}, UNEXPECTED),
    ("done", True, {2: after(message(14, b""))}, UNEXPECTED),
    ("another session id", True, {2: hello(session_id=bytes(32))}, UNEXPECTED),
    ("Finished", True, {20: flipped}, DECRYPT),
]


@pytest.mark.parametrize("tickets", [False, True])
@pytest.mark.parametrize(("what", "extended", "edits", "alert"), RESUMED, ids=[row[0] for row in RESUMED])
def test_resumption(what: str, extended: bool, edits: dict[int, Edit], alert: int | None, tickets: bool) -> None:
    session, more = session_of(extended, tickets)
    one = carried(OLD, edits, alert, session=session, server=more)
    assert alert is not None or (one.facts is not None and one.facts.resumed)


def test_a_session_without_extended_master_secret_resumed_with_it() -> None:
    """RFC 7627 5.3."""
    session, more = session_of(False)
    carried(OLD, {}, FAILURE, session=session, server=more)


def connected() -> tuple[Teller, Bad]:
    one, bad = ends(OLD, {})
    pump(one, bad)
    return one, bad


@pytest.mark.parametrize("kind", [1, 2, 4, 11, 12, 13, 14, 15, 16, 20, 22, 24, 67, 99])
def test_messages_after_the_handshake(kind: int) -> None:
    one, bad = connected()
    bad.seal(22, message(kind, b""))
    one.receive(bad.take_output(NOW), NOW)
    judged(one, UNEXPECTED)


def test_hello_requests_after_the_handshake() -> None:
    """Refused with a warning each (RFC 5246 7.2.2), until there are too many."""
    one, bad = connected()
    bad.seal(22, message(0, b""))
    one.receive(bad.take_output(NOW), NOW)
    assert one.told == [(1, 100)]
    assert one.ready
    for _ in range(20):
        bad.seal(22, message(0, b""))
    one.receive(bad.take_output(NOW), NOW)
    assert one.closed
    assert [level for level, _ in one.told].count(2) == 1


def leaf_with(public: Any) -> bytes:
    """A certificate for any key, signed by none that matters."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(public).serial_number(1)
    made = made.not_valid_before(datetime(2020, 1, 1)).not_valid_after(datetime(2040, 1, 1))
    return made.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.DER)


def trusting(presented: Presented) -> None:
    """A verifier that takes anything: what is left is the engine's own to refuse."""


KEYS: list[tuple[str, Callable[[], Any], int, int]] = [
    ("DSA", lambda: dsa.generate_private_key(1024).public_key(), 0xC02B, 43),
    ("X25519", lambda: x25519.X25519PrivateKey.generate().public_key(), 0xC02B, 43),
    ("RSA in an ECDSA suite", lambda: rsa.RSAPublicNumbers(3, (1 << 2047) + 1).public_key(), 0xC02B, ILLEGAL),
    ("P-192", lambda: ec.generate_private_key(ec.SECP192R1()).public_key(), 0xC02B, ILLEGAL),
    ("RSA of 256 bits", lambda: rsa.RSAPublicNumbers(3, (1 << 255) + 1).public_key(), 0x009C, ILLEGAL),
    ("RSA of 20000 bits", lambda: rsa.RSAPublicNumbers(3, (1 << 19999) + 1).public_key(), 0x009C, ILLEGAL),
    ("EC for static RSA", lambda: ec.generate_private_key(ec.SECP256R1()).public_key(), 0x009C, ILLEGAL),
]


@pytest.mark.parametrize(("what", "make", "suite", "alert"), KEYS, ids=[row[0] for row in KEYS])
def test_strange_keys(what: str, make: Callable[[], Any], suite: int, alert: int) -> None:
    """RFC 8446 6.2: a certificate of an unsupported type is unsupported_certificate."""
    der, suites = leaf_with(make()), {"suites": (suite,)}
    kind = "p256" if suite == 0xC02B else "rsa2048"
    carried(
        OLD, {11: lambda bad, raw: certificates(der)}, alert, kind, server=suites, client={"verify": trusting, **suites}
    )
