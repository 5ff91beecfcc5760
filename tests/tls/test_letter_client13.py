"""TLS 1.3 clients and what a server may not say: message by message, and the alert that RFC 8446 and its kin name.

A row with alert None is the healthy twin and must be taken.
"""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from synfin.tls import Data, KeyUpdated, ReplayGuard, Ticket, signing
from tests.support.tlsoctets import (
    BAD_CERT,
    BAD_MAC,
    BAD_STATUS,
    DECODE,
    DECRYPT,
    ILLEGAL,
    MISSING,
    NEW,
    OLD,
    UNEXPECTED,
    UNSUPPORTED,
    VERSION,
    block,
    message,
)
from tests.tls.bad_server import RETRY, Bad, carried, ends, judged
from tests.tls.edits import Edit, after, before, doubled, exactly, flipped, gone, hello, longer, shorter, twice
from tests.tls.ends import (
    NOW,
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

ZERO_X25519 = b"\0\x1d\0\x20" + bytes(32)
CANARY = bytes(24) + b"DOWNGRD"

#: ServerHello (RFC 8446 4.1.3, 4.2): (what, edit, alert)
HELLOS: list[tuple[str, Edit, int | None]] = [
    ("as it is", hello(), None),
    ("sentinel 1 is chance in TLS 1.3", hello(random=CANARY + b"\1"), None),
    ("legacy version 0x0302", hello(legacy_version=0x0302), VERSION),
    ("legacy version 0x0304", hello(legacy_version=0x0304), VERSION),
    ("legacy version 0x0300", hello(legacy_version=0x0300), VERSION),
    ("session id empty", hello(session_id=b""), ILLEGAL),
    ("session id other", hello(session_id=bytes(32)), ILLEGAL),
    ("session id 33", hello(session_id=bytes(33)), DECODE),
    ("suite not offered", hello(cipher_suite=0x1304), ILLEGAL),
    ("suite unknown", hello(cipher_suite=0x13FF), ILLEGAL),
    ("suite of TLS 1.2", hello(cipher_suite=0xC02F), ILLEGAL),
    ("suite null", hello(cipher_suite=0), ILLEGAL),
    ("suite grease", hello(cipher_suite=0x1A1A), ILLEGAL),
    ("compression", hello(compression_method=1), ILLEGAL),
    ("version 0x0303", hello((43, b"\3\3")), ILLEGAL),
    ("version 0x0300", hello((43, b"\3\0")), ILLEGAL),
    ("version 0x0305", hello((43, b"\3\5")), ILLEGAL),
    ("version draft", hello((43, b"\x7f\x1c")), ILLEGAL),
    ("version grease", hello((43, b"\x2a\x2a")), ILLEGAL),
    ("version list", hello((43, b"\2\3\4")), DECODE),
    ("version empty", hello((43, b"")), DECODE),
    ("version long", hello((43, b"\3\4\0")), DECODE),
    ("version missing", hello((43, None)), ILLEGAL),
    ("share missing", hello((51, None)), MISSING),
    ("share not offered", hello((51, b"\0\x18\0\x61\4" + bytes(96))), ILLEGAL),
    ("share of no group", hello((51, b"\x99\x99\0\1x")), ILLEGAL),
    ("share zero", hello((51, ZERO_X25519)), ILLEGAL),
    ("share one", hello((51, b"\0\x1d\0\x20\1" + bytes(31))), ILLEGAL),
    ("share short", hello((51, b"\0\x1d\0\x1f" + bytes(31))), ILLEGAL),
    ("share long", hello((51, b"\0\x1d\0\x21" + bytes(33))), ILLEGAL),
    ("share empty", hello((51, b"\0\x1d\0\0")), DECODE),
    ("share cut", hello((51, b"\0\x1d\0\x20x")), DECODE),
    ("share trailing", hello((51, ZERO_X25519 + b"x")), DECODE),
    ("share group alone", hello((51, b"\0\x1d")), DECODE),
    ("share nothing", hello((51, b"")), DECODE),
    ("share off the curve", hello((51, b"\0\x17\0\x41\4" + b"\1" * 64)), ILLEGAL),
    ("share at infinity", hello((51, b"\0\x17\0\1\0")), ILLEGAL),
    ("share compressed", hello((51, b"\0\x17\0\x21\2" + b"\1" * 32)), ILLEGAL),
    ("share hybrid", hello((51, b"\0\x17\0\x41\6" + b"\1" * 64)), ILLEGAL),
    ("share list", hello((51, b"\0\5\0\x1d\0\1x")), DECODE),
    ("key not offered", hello((41, b"\0\0")), UNSUPPORTED),
    ("cookie", hello((44, b"\0\1x")), UNSUPPORTED),
    ("groups", hello((10, b"\0\2\0\x1d")), ILLEGAL),
    ("name", hello((0, b"")), ILLEGAL),
    ("schemes", hello((13, b"\0\2\4\3")), ILLEGAL),
    ("modes", hello((45, b"\1\1")), ILLEGAL),
    ("status request", hello((5, b"")), ILLEGAL),
    ("timestamps", hello((18, b"")), ILLEGAL),
    ("extended master secret", hello((23, b"")), ILLEGAL),
    ("renegotiation", hello((0xFF01, b"\0")), ILLEGAL),
    ("points", hello((11, b"\1\0")), ILLEGAL),
    ("ticket", hello((35, b"")), ILLEGAL),
    ("alpn not offered", hello((16, b"\0\3\2h2")), UNSUPPORTED),
    ("early data", hello((42, b"")), UNSUPPORTED),
    ("unknown", hello((0x1234, b"")), UNSUPPORTED),
    ("grease", hello((0x3A3A, b"")), UNSUPPORTED),
    ("versions doubled", doubled(43), ILLEGAL),
    ("share doubled", doubled(51), ILLEGAL),
    ("trailing", longer, DECODE),
    ("no extensions", lambda bad, raw: message(2, raw[4 : 39 + raw[38]] + b"\x13\1\0"), ILLEGAL),
    ("cut", shorter, DECODE),
    ("empty", exactly(2, b""), DECODE),
    ("version alone", exactly(2, b"\3\3"), DECODE),
    ("doubled", twice, UNEXPECTED),
    ("gone", gone, UNEXPECTED),
    ("a ClientHello", exactly(1, b"\3\3" + bytes(32) + b"\0\0\2\x13\1\1\0\0\0"), UNEXPECTED),
    ("HelloRequest before", before(message(0, b"")), UNEXPECTED),
    ("extensions in the clear", after(message(8, b"\0\0")), UNEXPECTED),
    ("half of one after", after(b"\x08\0"), UNEXPECTED),
]


@pytest.mark.parametrize(("what", "edit", "alert"), HELLOS, ids=[row[0] for row in HELLOS])
def test_server_hello(what: str, edit: Edit, alert: int | None) -> None:
    carried(NEW, {2: edit}, alert)


RETRIES: list[tuple[str, Edit, int | None]] = [
    ("as it is", hello(), None),
    ("cookie", hello((44, b"\0\1x")), None),
    ("cookie of 60,000", hello((44, b"\xea\x60" + bytes(60000))), None),
    ("cookie that no hello holds", hello((44, b"\xff\0" + bytes(0xFF00))), ILLEGAL),
    ("cookie nothing", hello((44, b"")), DECODE),
    ("cookie empty", hello((44, b"\0\0")), DECODE),
    ("cookie cut", hello((44, b"\0\2x")), DECODE),
    ("cookie trailing", hello((44, b"\0\1xx")), DECODE),
    ("cookie alone", hello((44, b"\0\1x"), (51, None)), None),
    ("no change", hello((51, None)), ILLEGAL),
    ("group shared", hello((51, b"\0\x1d")), ILLEGAL),
    ("group shared too", hello((51, b"\0\x17")), ILLEGAL),
    ("group not offered", hello((51, b"\1\2")), ILLEGAL),
    ("group unknown", hello((51, b"\x99\x99")), ILLEGAL),
    ("group grease", hello((51, b"\x0a\x0a")), ILLEGAL),
    ("group cut", hello((51, b"\0")), DECODE),
    ("group with a share", hello((51, b"\0\x18\0\1x")), DECODE),
    ("group nothing", hello((51, b"")), DECODE),
    ("version missing", hello((43, None)), MISSING),
    ("version 0x0303", hello((43, b"\3\3")), ILLEGAL),
    ("version 0x0305", hello((43, b"\3\5")), ILLEGAL),
    ("legacy version", hello(legacy_version=0x0301), VERSION),
    ("session id", hello(session_id=bytes(32)), ILLEGAL),
    ("suite not offered", hello(cipher_suite=0x1305), ILLEGAL),
    ("suite of TLS 1.2", hello(cipher_suite=0xC02B), ILLEGAL),
    ("another suite", hello(cipher_suite=0x1302), None),
    ("compression", hello(compression_method=1), ILLEGAL),
    ("unknown", hello((0x1234, b"")), UNSUPPORTED),
    ("key", hello((41, b"\0\0")), UNSUPPORTED),
    ("groups", hello((10, b"\0\2\0\x18")), ILLEGAL),
    ("doubled share", doubled(51), ILLEGAL),
    ("doubled version", doubled(43), ILLEGAL),
    ("two", twice, UNEXPECTED),
    ("trailing", longer, DECODE),
    ("half of one after", after(b"\2"), UNEXPECTED),
]


@pytest.mark.parametrize(("what", "edit", "alert"), RETRIES, ids=[row[0] for row in RETRIES])
def test_hello_retry_request(what: str, edit: Edit, alert: int | None) -> None:
    def second(bad: Bad, raw: bytes) -> bytes:
        return hello(cipher_suite=0x1301)(bad, raw)

    one, bad = ends(NEW, {RETRY: edit, 2: second}, server={"groups": (24,)})
    bad.receive(one.take_output(NOW), NOW)
    one.receive(bad.take_output(NOW), NOW)
    if alert is None:
        assert one.take_output(NOW)
        assert not events(one)
        return
    judged(one, alert)


AFTER_RETRY: list[tuple[str, Edit, int | None]] = [
    ("as it is", hello(), None),
    ("suite", hello(cipher_suite=0x1302), ILLEGAL),
    ("suite of the same hash", hello(cipher_suite=0x1303), ILLEGAL),
    ("group", hello((51, ZERO_X25519)), ILLEGAL),
    ("version missing", hello((43, None)), ILLEGAL),
    ("version 0x0303", hello((43, b"\3\3")), ILLEGAL),
    ("TLS 1.2", hello((43, None), (51, None), cipher_suite=0xC02B, session_id=b""), ILLEGAL),
    ("cookie", hello((44, b"\0\1x")), UNSUPPORTED),
    (
        "second retry",
        hello(
            (51, b"\0\x19"), random=bytes.fromhex("CF21AD74E59A6111BE1D8C021E65B891C2A211167ABB8C5E079E09E2C8A8339C")
        ),
        UNEXPECTED,
    ),
]


@pytest.mark.parametrize(("what", "edit", "alert"), AFTER_RETRY, ids=[row[0] for row in AFTER_RETRY])
def test_server_hello_after_a_retry(what: str, edit: Edit, alert: int | None) -> None:
    carried(NEW, {2: edit}, alert, server={"groups": (24,)})


def ee(*extensions: tuple[int, bytes]) -> Edit:
    return exactly(8, block(*extensions))


LIMIT = {"record_size_limit": 1 << 14}
ALPN = {"alpn": (b"h2", b"http/1.1")}
EXTENSIONS: list[tuple[str, Edit, dict[str, Any], int | None]] = [
    ("none", ee(), {}, None),
    ("name", ee((0, b"")), {}, None),
    ("name with a body", ee((0, b"\0")), {}, DECODE),
    ("groups", ee((10, b"\0\4\0\x1d\x99\x99")), {}, None),
    ("groups nothing", ee((10, b"")), {}, DECODE),
    ("groups empty", ee((10, b"\0\0")), {}, DECODE),
    ("groups odd", ee((10, b"\0\3\0\x1d\0")), {}, DECODE),
    ("groups trailing", ee((10, b"\0\2\0\x1dx")), {}, DECODE),
    ("alpn", ee((16, b"\0\3\2h2")), ALPN, None),
    ("alpn not offered", ee((16, b"\0\3\2h2")), {}, UNSUPPORTED),
    ("alpn of another name", ee((16, b"\0\3\2h3")), ALPN, ILLEGAL),
    ("alpn two names", ee((16, b"\0\x0c\2h2\x08http/1.1")), ALPN, DECODE),
    ("alpn empty list", ee((16, b"\0\0")), ALPN, DECODE),
    ("alpn empty name", ee((16, b"\0\1\0")), ALPN, DECODE),
    ("alpn nothing", ee((16, b"")), ALPN, DECODE),
    ("alpn trailing", ee((16, b"\0\3\2h2x")), ALPN, DECODE),
    ("alpn cut", ee((16, b"\0\4\2h2")), ALPN, DECODE),
    ("early data", ee((42, b"")), {}, UNSUPPORTED),
    ("record limit 64", ee((28, b"\0\x40")), LIMIT, None),
    ("record limit 63", ee((28, b"\0\x3f")), LIMIT, ILLEGAL),
    ("record limit 0", ee((28, b"\0\0")), LIMIT, ILLEGAL),
    ("record limit 16385", ee((28, b"\x40\1")), LIMIT, None),
    ("record limit cut", ee((28, b"\x40")), LIMIT, DECODE),
    ("record limit long", ee((28, b"\x40\0\0")), LIMIT, DECODE),
    ("record limit with fragment length", ee((1, b"\1"), (28, b"\x40\1")), LIMIT, UNSUPPORTED),
    ("fragment length", ee((1, b"\1")), {}, UNSUPPORTED),
    ("versions", ee((43, b"\3\4")), {}, ILLEGAL),
    ("share", ee((51, ZERO_X25519)), {}, ILLEGAL),
    ("key", ee((41, b"\0\0")), {}, ILLEGAL),
    ("cookie", ee((44, b"\0\1x")), {}, ILLEGAL),
    ("schemes", ee((13, b"\0\2\4\3")), {}, ILLEGAL),
    ("modes", ee((45, b"\1\1")), {}, ILLEGAL),
    ("status", ee((5, b"")), {}, ILLEGAL),
    ("timestamps", ee((18, b"")), {}, ILLEGAL),
    ("compression", ee((27, b"\2\0\1")), {}, ILLEGAL),
    ("padding", ee((21, b"")), {}, ILLEGAL),
    ("points", ee((11, b"\1\0")), {}, ILLEGAL),
    ("extended master secret", ee((23, b"")), {}, ILLEGAL),
    ("renegotiation", ee((0xFF01, b"\0")), {}, ILLEGAL),
    ("encrypt then mac", ee((22, b"")), {}, UNSUPPORTED),
    ("ticket", ee((35, b"")), {}, ILLEGAL),
    ("filters", ee((48, b"\0\0")), {}, ILLEGAL),
    ("authorities", ee((47, b"\0\4\0\2\x30\0")), {}, ILLEGAL),
    ("post-handshake", ee((49, b"")), {}, ILLEGAL),
    ("heartbeat", ee((15, b"\1")), {}, UNSUPPORTED),
    ("raw keys", ee((20, b"\2")), {}, UNSUPPORTED),
    ("next protocol", ee((13172, b"")), {}, UNSUPPORTED),
    ("unknown", ee((0x1234, b"")), {}, UNSUPPORTED),
    ("grease", ee((0x5A5A, b"")), {}, UNSUPPORTED),
    ("name twice", ee((0, b""), (0, b"")), {}, ILLEGAL),
    ("length too long", exactly(8, b"\0\4\0\0\0"), {}, DECODE),
    ("length too short", exactly(8, b"\0\0\0\0\0\0"), {}, DECODE),
    ("extension cut", exactly(8, b"\0\3\0\0\0"), {}, DECODE),
    ("empty", exactly(8, b""), {}, DECODE),
    ("gone", gone, {}, UNEXPECTED),
    ("twice", twice, {}, UNEXPECTED),
    ("ticket before", before(message(4, b"\0\0\0\1\0\0\0\0\0\0\1x\0\0")), {}, UNEXPECTED),
    ("key update after", after(message(24, b"\0")), {}, UNEXPECTED),
    ("HelloRequest after", after(message(0, b"")), {}, UNEXPECTED),
    ("early end after", after(message(5, b"")), {}, UNEXPECTED),
    ("hash after", after(message(254, bytes(32))), {}, UNEXPECTED),
    ("unknown type after", after(message(99, b"")), {}, UNEXPECTED),
]


@pytest.mark.parametrize(("what", "edit", "more", "alert"), EXTENSIONS, ids=[row[0] for row in EXTENSIONS])
def test_encrypted_extensions(what: str, edit: Edit, more: dict[str, Any], alert: int | None) -> None:
    carried(NEW, {8: edit}, alert, client=more)


def test_a_name_that_was_not_sent() -> None:
    """An address is not sent as server_name (RFC 6066 3), so nothing may come back."""
    one, bad = ends(NEW, {8: ee((0, b""))}, name="127.0.0.1")
    pump(one, bad)
    judged(one, UNSUPPORTED)


def cr(*extensions: tuple[int, bytes], context: bytes = b"") -> bytes:
    return message(13, bytes([len(context)]) + context + block(*extensions))


SCHEMES = (13, b"\0\2\4\3")
REQUESTS: list[tuple[str, Edit, int | None]] = [
    ("as it is", after(b""), None),
    ("schemes alone", lambda bad, raw: cr(SCHEMES), None),
    ("schemes unknown", lambda bad, raw: cr((13, b"\0\2\x99\x99")), None),
    (
        "all it may have",
        lambda bad, raw: cr(
            SCHEMES, (5, b""), (18, b""), (27, b"\2\0\1"), (47, b"\0\4\0\2\x30\0"), (48, b"\0\0"), (50, b"\0\2\4\3")
        ),
        None,
    ),
    ("grease", lambda bad, raw: cr(SCHEMES, (0x6A6A, b"x")), None),
    ("no schemes", lambda bad, raw: cr((50, b"\0\2\4\3")), MISSING),
    ("nothing", lambda bad, raw: cr(), MISSING),
    ("schemes empty", lambda bad, raw: cr((13, b"\0\0")), DECODE),
    ("schemes odd", lambda bad, raw: cr((13, b"\0\1\4")), DECODE),
    ("schemes trailing", lambda bad, raw: cr((13, b"\0\2\4\3x")), DECODE),
    ("schemes twice", lambda bad, raw: cr(SCHEMES, SCHEMES), ILLEGAL),
    ("context", lambda bad, raw: cr(SCHEMES, context=b"x"), ILLEGAL),
    ("authorities empty", lambda bad, raw: cr(SCHEMES, (47, b"\0\0")), DECODE),
    ("authority empty", lambda bad, raw: cr(SCHEMES, (47, b"\0\2\0\0")), DECODE),
    ("filters cut", lambda bad, raw: cr(SCHEMES, (48, b"\0\3\1")), DECODE),
    ("filters twice", lambda bad, raw: cr(SCHEMES, (48, b"\0\x0e" + b"\3\x55\x1d\x0f\0\0" * 2 + b"\0\0")), DECODE),
    ("compression empty", lambda bad, raw: cr(SCHEMES, (27, b"\0")), DECODE),
    ("timestamps body", lambda bad, raw: cr(SCHEMES, (18, b"x")), DECODE),
    ("share", lambda bad, raw: cr(SCHEMES, (51, b"")), ILLEGAL),
    ("name", lambda bad, raw: cr(SCHEMES, (0, b"")), ILLEGAL),
    ("versions", lambda bad, raw: cr(SCHEMES, (43, b"\3\4")), ILLEGAL),
    ("cut", shorter, DECODE),
    ("trailing", longer, DECODE),
    ("empty", exactly(13, b""), DECODE),
    ("twice", twice, UNEXPECTED),
]


@pytest.mark.parametrize(("what", "edit", "alert"), REQUESTS, ids=[row[0] for row in REQUESTS])
@pytest.mark.parametrize("known", [False, True])
def test_certificate_request(what: str, edit: Edit, alert: int | None, known: bool) -> None:
    more = {"credentials": (credential(client=True),)} if known else {}
    asking = {"client_auth": "optional", "verify": verifier()}
    carried(NEW, {13: edit}, alert, client=more, server=asking)


def entries(*parts: tuple[bytes, bytes], context: bytes = b"") -> bytes:
    inner = b"".join(len(der).to_bytes(3, "big") + der + more for der, more in parts)
    return message(11, bytes([len(context)]) + context + len(inner).to_bytes(3, "big") + inner)


def chain(*extensions: tuple[int, bytes], context: bytes = b"", extra: tuple[tuple[bytes, bytes], ...] = ()) -> Edit:
    """The right Certificate with extensions of its leaf."""

    def edit(bad: Bad, raw: bytes) -> bytes:
        der = bad.config.credentials[0].chain[0]
        return entries((der, block(*extensions)), *extra, context=context)

    return edit


def packed(algorithm: int = 1, size: int | None = None, tail: bytes = b"", data: bytes | None = None) -> Edit:
    """A CompressedCertificate."""

    def edit(bad: Bad, raw: bytes) -> bytes:
        plain = raw[4:]
        given = zlib.compress(plain + tail) if data is None else data
        length = len(plain + tail) if size is None else size
        head = algorithm.to_bytes(2, "big") + length.to_bytes(3, "big")
        return message(25, head + len(given).to_bytes(3, "big") + given)

    return edit


QUIET = {"ask_staple": False}
PLAIN: dict[str, Any] = {}
CERTIFICATES: list[tuple[str, Edit, dict[str, Any], int | None]] = [
    ("as it is", after(b""), PLAIN, None),
    ("empty list", exactly(11, b"\0\0\0\0"), PLAIN, DECODE),
    ("context", chain(context=b"x"), PLAIN, ILLEGAL),
    ("certificate of nothing", lambda bad, raw: entries((b"", b"\0\0")), PLAIN, DECODE),
    ("second certificate of nothing", chain(extra=((b"", b"\0\0"),)), PLAIN, DECODE),
    ("broken DER", lambda bad, raw: entries((b"\x30\x03\2\1\1", b"\0\0")), PLAIN, BAD_CERT),
    ("no DER", lambda bad, raw: entries((b"x", b"\0\0")), PLAIN, BAD_CERT),
    ("DER with more", lambda bad, raw: entries((bad.config.credentials[0].chain[0] + b"\0", b"\0\0")), PLAIN, BAD_CERT),
    ("DER cut", lambda bad, raw: entries((bad.config.credentials[0].chain[0][:-1], b"\0\0")), PLAIN, BAD_CERT),
    ("signature in it corrupt", lambda bad, raw: raw[:-3] + bytes([raw[-3] ^ 1]) + raw[-2:], PLAIN, BAD_CERT),
    ("no extensions' length", lambda bad, raw: entries((bad.config.credentials[0].chain[0], b"")), PLAIN, DECODE),
    ("status not asked for", chain((5, b"\1\0\0\1x")), QUIET, UNSUPPORTED),
    ("times not asked for", chain((18, b"\0\3\0\1x")), QUIET, UNSUPPORTED),
    ("status of nothing", chain((5, b"")), PLAIN, DECODE),
    ("status empty", chain((5, b"\1\0\0\0")), PLAIN, DECODE),
    ("status cut", chain((5, b"\1\0\0\2x")), PLAIN, DECODE),
    ("status trailing", chain((5, b"\1\0\0\1xx")), PLAIN, DECODE),
    ("status of another kind", chain((5, b"\7\0\0\1x")), PLAIN, DECODE),
    ("status that is none", chain((5, b"\1\0\0\1x")), PLAIN, BAD_STATUS),
    ("times empty", chain((18, b"\0\0")), PLAIN, DECODE),
    ("times of nothing", chain((18, b"\0\2\0\0")), PLAIN, DECODE),
    ("times cut", chain((18, b"\0\3\0\2x")), PLAIN, DECODE),
    ("times trailing", chain((18, b"\0\3\0\1xx")), PLAIN, DECODE),
    ("times no body", chain((18, b"")), PLAIN, DECODE),
    ("unknown", chain((0x1234, b"")), PLAIN, UNSUPPORTED),
    ("share", chain((51, b"")), PLAIN, ILLEGAL),
    ("name", chain((0, b"")), PLAIN, ILLEGAL),
    ("status twice", chain((5, b"\1\0\0\1x"), (5, b"\1\0\0\1x")), PLAIN, ILLEGAL),
    ("unknown on the second", chain(extra=((b"x", block((0x1234, b""))),)), PLAIN, UNSUPPORTED),
    ("trailing", longer, PLAIN, DECODE),
    ("cut", shorter, PLAIN, DECODE),
    ("empty", exactly(11, b""), PLAIN, DECODE),
    ("header alone and huge", lambda bad, raw: b"\x0b\xff\xff\xff", PLAIN, DECODE),
    ("key of another kind", lambda bad, raw: entries((credential("rsa2048").chain[0], b"\0\0")), PLAIN, ILLEGAL),
    (
        "another key of its kind",
        lambda bad, raw: entries((credential("p256", client=True).chain[0], b"\0\0")),
        PLAIN,
        43,
    ),
    ("gone", gone, PLAIN, UNEXPECTED),
    ("twice", twice, PLAIN, UNEXPECTED),
    ("request after", after(cr(SCHEMES)), PLAIN, UNEXPECTED),
    ("key exchange after", after(message(12, b"\3\0\x1d\1x\4\3\0\1x")), PLAIN, UNEXPECTED),
    ("status message after", after(message(22, b"\1\0\0\1x")), PLAIN, UNEXPECTED),
    ("done after", after(message(14, b"")), PLAIN, UNEXPECTED),
    ("compressed", packed(), PLAIN, None),
    ("compressed, not offered", packed(), {"certificate_compression": ()}, UNEXPECTED),
    ("compressed, another way", packed(1), {"certificate_compression": (2,)}, ILLEGAL),
    ("compressed, unknown way", packed(9), PLAIN, ILLEGAL),
    ("compressed, way 0", packed(0), PLAIN, ILLEGAL),
    ("compressed, longer than said", packed(size=100), PLAIN, BAD_CERT),
    ("compressed, shorter than said", packed(size=100000), PLAIN, BAD_CERT),
    ("compressed, size 0", packed(size=0), PLAIN, BAD_CERT),
    ("compressed bomb", packed(size=1000, data=zlib.compress(bytes(1 << 24))), PLAIN, BAD_CERT),
    ("compressed huge", packed(size=0xFFFFFF), PLAIN, BAD_CERT),
    ("compressed nonsense", packed(data=b"nonsense"), PLAIN, BAD_CERT),
    ("compressed nothing", packed(data=b""), PLAIN, DECODE),
    ("compressed with more", packed(data=zlib.compress(b"\0\0\0\0") + b"more", size=4), PLAIN, BAD_CERT),
    ("compressed certificate with more", packed(tail=b"x"), PLAIN, DECODE),
    ("compressed empty list", packed(data=zlib.compress(b"\0\0\0\0"), size=4), PLAIN, DECODE),
    ("compressed list cut", packed(data=zlib.compress(b"\0\0\0\2x"), size=5), PLAIN, DECODE),
    ("compressed context", packed(data=zlib.compress(b"\1x\0\0\0"), size=5), PLAIN, ILLEGAL),
    ("compressed, message cut", lambda bad, raw: shorter(bad, packed()(bad, raw)), PLAIN, DECODE),
    ("compressed, message long", lambda bad, raw: longer(bad, packed()(bad, raw)), PLAIN, DECODE),
]


@pytest.mark.parametrize(("what", "edit", "more", "alert"), CERTIFICATES, ids=[row[0] for row in CERTIFICATES])
def test_certificate(what: str, edit: Edit, more: dict[str, Any], alert: int | None) -> None:
    edits = {11: edit, 25: edit}
    carried(NEW, edits, alert, server={"certificate_compression": ()}, client=more)


def verify(scheme: int, signature: bytes) -> bytes:
    return message(15, scheme.to_bytes(2, "big") + len(signature).to_bytes(2, "big") + signature)


def signs(
    words: bytes, scheme: int = 0x0403, said: int | None = None, spaces: int = 64, between: bytes = b"\0"
) -> Edit:
    """A CertificateVerify over content of our choosing."""

    def edit(bad: Bad, raw: bytes) -> bytes:
        content = b" " * spaces + words + between + bad.transcript.digest()
        return verify(said or scheme, signing.sign(bad.config.credentials[0].key, scheme, content))

    return edit


def says(scheme: int) -> Edit:
    """Another scheme in the right CertificateVerify."""
    return lambda bad, raw: verify(scheme, raw[8:])


WORDS = b"TLS 1.3, server CertificateVerify"
VERIFIES: list[tuple[str, str, Edit, int | None]] = [
    ("as it is", "p256", signs(WORDS), None),
    ("of a client", "p256", signs(b"TLS 1.3, client CertificateVerify"), DECRYPT),
    ("of no words", "p256", signs(b""), DECRYPT),
    ("fewer spaces", "p256", signs(WORDS, spaces=63), DECRYPT),
    ("no zero octet", "p256", signs(WORDS, between=b""), DECRYPT),
    ("corrupt", "p256", flipped, DECRYPT),
    ("cut signature", "p256", lambda bad, raw: verify(0x0403, raw[8:-1]), DECRYPT),
    ("longer signature", "p256", lambda bad, raw: verify(0x0403, raw[8:] + b"\0"), DECRYPT),
    ("empty signature", "p256", lambda bad, raw: verify(0x0403, b""), DECRYPT),
    ("zeros", "p256", lambda bad, raw: verify(0x0403, b"\x30\6\2\1\0\2\1\0"), DECRYPT),
    ("huge signature", "p256", lambda bad, raw: verify(0x0403, bytes(65000)), DECRYPT),
    ("trailing", "p256", longer, DECODE),
    ("cut", "p256", shorter, DECODE),
    ("empty", "p256", exactly(15, b""), DECODE),
    ("P-384 by a key of P-256", "p256", says(0x0503), ILLEGAL),
    ("P-521 by a key of P-256", "p256", says(0x0603), ILLEGAL),
    ("SHA-1 and ECDSA", "p256", says(0x0203), ILLEGAL),
    ("SHA-224 and ECDSA", "p256", says(0x0303), ILLEGAL),
    ("brainpool", "p256", says(0x081A), ILLEGAL),
    ("Ed25519 by ECDSA", "p256", says(0x0807), ILLEGAL),
    ("RSA by ECDSA", "p256", says(0x0804), ILLEGAL),
    ("scheme 0", "p256", says(0), ILLEGAL),
    ("scheme of nobody", "p256", says(0xFE00), ILLEGAL),
    ("grease", "p256", says(0x0A0A), ILLEGAL),
    ("RSA as it is", "rsa2048", signs(WORDS, 0x0804), None),
    ("RSA, SHA-512", "rsa2048", signs(WORDS, 0x0806), None),
    ("RSA, another hash than said", "rsa2048", signs(WORDS, 0x0804, 0x0805), DECRYPT),
    ("RSA, PKCS#1", "rsa2048", signs(WORDS, 0x0401), ILLEGAL),
    ("RSA, PKCS#1 said to be PSS", "rsa2048", signs(WORDS, 0x0401, 0x0804), DECRYPT),
    ("RSA, PKCS#1 and SHA-1", "rsa2048", says(0x0201), ILLEGAL),
    ("RSA, a PSS key's scheme", "rsa2048", says(0x0809), ILLEGAL),
    ("RSA, short", "rsa2048", lambda bad, raw: verify(0x0804, raw[9:]), DECRYPT),
    ("RSA, zeros", "rsa2048", lambda bad, raw: verify(0x0804, bytes(256)), DECRYPT),
    ("RSA, more than the modulus", "rsa2048", lambda bad, raw: verify(0x0804, b"\xff" * 256), DECRYPT),
    ("RSA, 257 octets", "rsa2048", lambda bad, raw: verify(0x0804, b"\0" + raw[8:]), DECRYPT),
    ("Ed25519 as it is", "ed25519", signs(WORDS, 0x0807), None),
    ("Ed25519, corrupt", "ed25519", flipped, DECRYPT),
    ("Ed25519, short", "ed25519", lambda bad, raw: verify(0x0807, raw[9:]), DECRYPT),
    ("Ed25519, Ed448 said", "ed25519", says(0x0808), ILLEGAL),
    ("P-384, scheme of P-256", "p384", says(0x0403), ILLEGAL),
    ("gone", "p256", gone, UNEXPECTED),
    ("twice", "p256", twice, UNEXPECTED),
    ("Finished before", "p256", before(message(20, bytes(32))), UNEXPECTED),
]


@pytest.mark.parametrize(("what", "kind", "edit", "alert"), VERIFIES, ids=[row[0] for row in VERIFIES])
def test_certificate_verify(what: str, kind: str, edit: Edit, alert: int | None) -> None:
    carried(NEW, {15: edit}, alert, kind)


def test_certificate_verify_of_a_scheme_not_offered() -> None:
    """The key could sign so, but the client did not list it."""
    some = {"schemes": (0x0403, 0x0804)}
    carried(NEW, {15: signs(WORDS, 0x0805)}, ILLEGAL, "rsa2048", client=some)
    carried(NEW, {15: signs(WORDS, 0x0804)}, None, "rsa2048", client=some)


FINISHED: list[tuple[str, Edit, int | None]] = [
    ("as it is", after(b""), None),
    ("corrupt", flipped, DECRYPT),
    ("zeros", exactly(20, bytes(32)), DECRYPT),
    ("short", shorter, DECODE),
    ("long", longer, DECODE),
    ("empty", exactly(20, b""), DECODE),
    ("of TLS 1.2", exactly(20, bytes(12)), DECODE),
    ("of SHA-384", exactly(20, bytes(48)), DECODE),
    ("twice", twice, UNEXPECTED),
    ("ticket in its record", after(message(4, b"\0\0\0\1\0\0\0\0\0\0\1x\0\0")), UNEXPECTED),
    ("half a message in its record", after(b"\4"), UNEXPECTED),
    ("key update before", before(message(24, b"\0")), UNEXPECTED),
]


@pytest.mark.parametrize(("what", "edit", "alert"), FINISHED, ids=[row[0] for row in FINISHED])
def test_finished(what: str, edit: Edit, alert: int | None) -> None:
    carried(NEW, {20: edit}, alert)


def ticket(lifetime: int = 1, nonce: bytes = b"", value: bytes = b"x", tail: bytes = b"\0\0") -> bytes:
    numbers = lifetime.to_bytes(4, "big") + bytes(4) + bytes([len(nonce)]) + nonce
    return message(4, numbers + len(value).to_bytes(2, "big") + value + tail)


#: Handshake records of a connected server, one by one.
LATER: list[tuple[str, list[bytes], int | None]] = [
    ("ticket", [ticket()], None),
    ("tickets in one record", [ticket() * 2], None),
    ("ticket in pieces", [ticket()[:5], ticket()[5:]], None),
    ("ticket for no time", [ticket(0)], None),
    ("ticket for a week", [ticket(604800)], None),
    ("ticket for more", [ticket(604801)], None),
    ("ticket for ever", [ticket(0xFFFFFFFF)], None),
    ("ticket of nothing", [ticket(value=b"")], DECODE),
    ("ticket with the longest nonce", [ticket(nonce=bytes(255))], None),
    ("ticket of 65535", [ticket(value=bytes(65535))], None),
    ("ticket without extensions", [ticket(tail=b"")], DECODE),
    ("ticket with more", [ticket(tail=b"\0\0x")], DECODE),
    ("ticket, early data", [ticket(tail=block((42, b"\0\0\1\0")))], None),
    ("ticket, early data cut", [ticket(tail=block((42, b"\0\0\1")))], DECODE),
    ("ticket, early data long", [ticket(tail=block((42, b"\0\0\1\0\0")))], DECODE),
    ("ticket, early data empty", [ticket(tail=block((42, b"")))], DECODE),
    ("ticket, early data twice", [ticket(tail=block((42, bytes(4)), (42, bytes(4))))], ILLEGAL),
    ("ticket, unknown extension", [ticket(tail=block((0x7A7A, b"x")))], None),
    ("ticket, share", [ticket(tail=block((51, b"")))], ILLEGAL),
    ("ticket empty", [message(4, b"")], DECODE),
    ("tickets without end", [ticket()] * 100, UNEXPECTED),
    ("update", [message(24, b"\0")], None),
    ("update by 2", [message(24, b"\2")], ILLEGAL),
    ("update by 255", [message(24, b"\xff")], ILLEGAL),
    ("update empty", [message(24, b"")], DECODE),
    ("update long", [message(24, b"\0\0")], DECODE),
    ("update and more", [message(24, b"\0") + ticket()], UNEXPECTED),
    ("update and half of more", [message(24, b"\0") + b"\4"], UNEXPECTED),
    ("update in pieces", [b"\x18\0\0", b"\1\0"], None),
    ("request not offered", [cr(SCHEMES, context=b"x")], UNEXPECTED),
    ("HelloRequest", [message(0, b"")], UNEXPECTED),
    ("ClientHello", [message(1, b"\3\3" + bytes(32) + b"\0\0\2\x13\1\1\0\0\0")], UNEXPECTED),
    ("ServerHello", [message(2, b"\3\3" + bytes(32) + b"\0\x13\1\0\0\0")], UNEXPECTED),
    ("EncryptedExtensions", [message(8, b"\0\0")], UNEXPECTED),
    ("Certificate", [message(11, b"\0\0\0\0")], UNEXPECTED),
    ("Finished", [message(20, bytes(32))], UNEXPECTED),
    ("EndOfEarlyData", [message(5, b"")], UNEXPECTED),
    ("unknown", [message(99, b"")], UNEXPECTED),
    ("nothing", [b""], UNEXPECTED),
    ("half a message, nothing, the rest", [ticket()[:5], b"", ticket()[5:]], UNEXPECTED),
    ("giant", [b"\4\xff\xff\xff"], DECODE),
]


@pytest.mark.parametrize(("what", "records", "alert"), LATER, ids=[row[0] for row in LATER])
def test_after_the_handshake(what: str, records: list[bytes], alert: int | None) -> None:
    one, bad = ends(NEW, {})
    pump(one, bad)
    for content in records:
        if content:
            bad.seal(22, content)
        else:
            assert bad._sealer is not None
            bad._out.append(bad._sealer.seal_record(22, b""))
        one.receive(bad.take_output(NOW), NOW)
    judged(one, alert)


REQUESTS_LATER: list[tuple[str, bytes, int | None]] = [
    ("fine", cr(SCHEMES, context=b"x"), None),
    ("context empty", cr(SCHEMES), ILLEGAL),
    ("no schemes", cr(context=b"x"), MISSING),
    ("schemes twice", cr(SCHEMES, SCHEMES, context=b"x"), ILLEGAL),
    ("share", cr(SCHEMES, (51, b""), context=b"x"), ILLEGAL),
    ("cut", cr(SCHEMES, context=b"x")[:-1], None),
]


@pytest.mark.parametrize(("what", "raw", "alert"), REQUESTS_LATER, ids=[row[0] for row in REQUESTS_LATER])
def test_requests_after_the_handshake(what: str, raw: bytes, alert: int | None) -> None:
    one, bad = ends(NEW, {}, client={"post_handshake_auth": True, "credentials": (credential(client=True),)})
    pump(one, bad)
    bad.seal(22, raw)
    one.receive(bad.take_output(NOW), NOW)
    judged(one, alert)


def session_of(**more: Any) -> Any:
    one, two = client(), server(server_config(ticket_keys=ticket_keys(), **more))
    pump(one, two)
    return of(events(one), Ticket)[0].session


RESUMED: list[tuple[str, dict[int, Edit], int | None]] = [
    ("as it is", {}, None),
    ("key 1", {2: hello((41, b"\0\1"))}, ILLEGAL),
    ("key cut", {2: hello((41, b"\0"))}, DECODE),
    ("key long", {2: hello((41, b"\0\0\0"))}, DECODE),
    ("key twice", {2: doubled(41)}, ILLEGAL),
    ("no share", {2: hello((51, None))}, ILLEGAL),
    ("another suite of its hash", {2: hello(cipher_suite=0x1303)}, BAD_MAC),
    ("suite of another hash", {2: hello(cipher_suite=0x1302)}, ILLEGAL),
    ("version 0x0303", {2: hello((43, b"\3\3"))}, ILLEGAL),
    ("request", {8: after(cr(SCHEMES))}, UNEXPECTED),
    ("certificate", {8: after(message(11, b"\0\0\0\0"))}, UNEXPECTED),
    ("verify", {8: after(verify(0x0403, b"x"))}, UNEXPECTED),
    ("early data", {8: ee((42, b""))}, UNSUPPORTED),
    ("Finished", {20: flipped}, DECRYPT),
]


@pytest.mark.parametrize(("what", "edits", "alert"), RESUMED, ids=[row[0] for row in RESUMED])
def test_resumption(what: str, edits: dict[int, Edit], alert: int | None) -> None:
    one = carried(NEW, edits, alert, server={"ticket_keys": ticket_keys()}, session=session_of())
    assert alert is not None or (one.facts is not None and one.facts.resumed)


def test_a_request_after_the_handshake_to_a_client_without_certificates() -> None:
    """It did not send post_handshake_auth (RFC 8446 4.6.2)."""
    one, bad = ends(NEW, {}, client={"post_handshake_auth": True})
    pump(one, bad)
    bad.seal(22, cr(SCHEMES, context=b"x"))
    one.receive(bad.take_output(NOW), NOW)
    judged(one, UNEXPECTED)


H2 = (16, b"\0\3\2h2")
EARLY: list[tuple[str, dict[int, Edit], int | None]] = [
    ("as it is", {}, None),
    ("refused", {8: ee(H2)}, None),
    ("without its protocol", {8: ee((42, b""))}, ILLEGAL),
    ("with another protocol", {8: ee((42, b""), (16, b"\0\x09\x08http/1.1"))}, ILLEGAL),
    ("with a body", {8: ee((42, b"x"), H2)}, DECODE),
    ("twice", {8: ee((42, b""), (42, b""), H2)}, ILLEGAL),
    ("in the ServerHello", {2: hello((42, b""))}, ILLEGAL),
    ("without the key", {2: hello((41, None))}, BAD_MAC),
]


@pytest.mark.parametrize(("what", "edits", "alert"), EARLY, ids=[row[0] for row in EARLY])
def test_early_data(what: str, edits: dict[int, Edit], alert: int | None) -> None:
    """RFC 8446 4.2.10: only for the first key, with its protocol and suite."""
    more: dict[str, Any] = {"alpn": (b"h2", b"http/1.1"), "ticket_keys": ticket_keys()}
    more |= {"max_early_data": 1000, "replay_guard": ReplayGuard()}
    first, two = client(client_config(**ALPN)), server(server_config(**more))
    pump(first, two)
    session = of(events(first), Ticket)[0].session
    one, bad = ends(NEW, edits, server=more, client={**ALPN, "early_data": True}, session=session)
    one.send_early(b"early")
    bad.receive(one.take_output(NOW), NOW)
    one.receive(bad.take_output(NOW), NOW)
    judged(one, alert)


@pytest.mark.parametrize("size", [1 << 15, 65300, 65535])
@pytest.mark.parametrize("version", [OLD, NEW])
def test_tickets_that_no_hello_holds(version: int, size: int) -> None:
    """They are no fault; such a session is not offered."""
    value = bytes(size)
    edits: dict[int, Edit] = {4: lambda bad, raw: message(4, b"\0\0\0\x09" + size.to_bytes(2, "big") + value)}
    one, bad = ends(version, edits if version == OLD else {}, server={"ticket_keys": ticket_keys()})
    pump(one, bad)
    if version == NEW:
        bad.seal(22, ticket(9, value=value))
        one.receive(bad.take_output(NOW), NOW)
    session = of(events(one), Ticket)[-1].session
    assert session.ticket == value
    again, two = client(session=session), server()
    offered = again.take_output(NOW)
    assert (len(offered) > size) == (size == 1 << 15)
    two.receive(offered, NOW)
    again.receive(two.take_output(NOW), NOW)
    assert again.facts is not None
    assert not again.facts.resumed


@pytest.mark.parametrize("requests", [1, 3])
def test_key_updates_asked_for_are_answered(requests: int) -> None:
    """Before the next data, and not with a request (RFC 8446 4.6.3)."""
    one, bad = ends(NEW, {})
    pump(one, bad)
    for _ in range(requests):
        bad.update_keys(request=True)
    one.receive(bad.take_output(NOW), NOW)
    one.send(b"under new keys")
    events(bad)
    bad.receive(one.take_output(NOW), NOW)
    found = events(bad)
    updates = of(found, KeyUpdated)
    assert 1 <= len(updates) <= requests
    assert not any(update.requested for update in updates)
    assert found[-1] == Data(b"under new keys")
    judged(one, None)


def test_a_flood_of_key_updates() -> None:
    one, bad = ends(NEW, {})
    pump(one, bad)
    for _ in range(200):
        bad.update_keys()
    one.receive(bad.take_output(NOW), NOW)
    judged(one, UNEXPECTED)
