"""ClientHellos at a TLS 1.2 server, by the sections of RFC 5246 and of the extensions' own RFCs.

A row is a section, what the client says, the alert that must come (None: a handshake), and what the server has.
``test_must12_list`` says which requirement each holds.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from synfin.tls import Server
from synfin.tls.config import SUITES_12
from synfin.tls.schedule import suite_facts
from synfin.wire.tls.extensions import Extension
from synfin.wire.tls.messages import ClientHello, ServerHello, parse_handshake
from tests.support.tlsoctets import (
    DECODE,
    FAILURE,
    FALLBACK,
    ILLEGAL,
    INSUFFICIENT,
    NEW,
    NO_PROTOCOL,
    OLD,
    VERSION,
    record,
)
from tests.tls.bad_client import SUITES, BadClient, carry, played, scene
from tests.tls.edits import Edit, body, hello
from tests.tls.ends import (
    NOW,
    alert_of,
    client,
    client_config,
    credential,
    events,
    pump,
    server_config,
    ticket_keys,
    verifier,
)

Row = tuple[str, Edit, int | None] | tuple[str, Edit, int | None, dict[str, Any]]
SCSV, RENEGOTIATION = 0x00FF, 0xFF01


def suites(*codes: int) -> dict[str, Any]:
    return {"suites": codes}


def added(*codes: int) -> Callable[[ClientHello], tuple[int, ...]]:
    return lambda parsed: (*parsed.cipher_suites, *codes)


def doubled(number: int) -> Edit:
    """An extension two times, the second at the end."""
    return hello(
        extensions=lambda h: (*[x for x in h.extensions or () if x.type != number], *[Extension(number, b"")] * 2)
    )


def odd_suites(bad: BadClient, raw: bytes) -> bytes:
    """A list of suites with one octet more, and a length that says so."""
    at = 39 + raw[38]
    size = int.from_bytes(raw[at : at + 2], "big")
    longer = (size + 1).to_bytes(2, "big") + raw[at + 2 : at + 2 + size] + b"\0" + raw[at + 2 + size :]
    return body(lambda _: raw[4:at] + longer)(bad, raw)


def extension_lengths(step: int) -> Edit:
    """The length of all extensions wrong by ``step``."""

    def edit(bad: BadClient, raw: bytes) -> bytes:
        at = 39 + raw[38]
        at += 2 + int.from_bytes(raw[at : at + 2], "big")
        at += 1 + raw[at]
        return raw[:at] + (int.from_bytes(raw[at : at + 2], "big") + step).to_bytes(2, "big") + raw[at + 2 :]

    return edit


AEAD, CBC, DHE, STATIC = 0xC02B, 0xC009, 0x009E, 0x009C
MESSAGE: list[Row] = [
    ("7.4.1.2 as it is", hello(), None),
    ("E.1 version 0x0000", hello(legacy_version=0), VERSION),
    ("E.1 version 0x0200", hello(legacy_version=0x0200), VERSION),
    ("E.1 version 0x0300", hello(legacy_version=0x0300), VERSION),
    ("E.1 version 0x0301", hello(legacy_version=0x0301), VERSION),
    ("E.1 version 0x0302", hello(legacy_version=0x0302), VERSION),
    ("E.1 version 0x0304", hello(legacy_version=0x0304), None),
    ("E.1 version 0x03ff", hello(legacy_version=0x03FF), None),
    ("E.1 version 0x0400", hello(legacy_version=0x0400), None),
    ("E.1 version 0xfefd", hello(legacy_version=0xFEFD), None),
    ("E.1 version 0xffff", hello(legacy_version=0xFFFF), None),
    ("7.4.1.2 session id of 1", hello(session_id=b"x"), None),
    ("7.4.1.2 session id of 32", hello(session_id=bytes(32)), None),
    ("7.4.1.2 session id of 33", hello(session_id=bytes(33)), DECODE),
    ("7.4.1.2 session id of 255", hello(session_id=bytes(255)), DECODE),
    ("7.4.1.2 no suites", hello(cipher_suites=()), DECODE),
    ("7.4.1.2 suites of odd length", odd_suites, DECODE),
    ("7.4.1.2 unknown suites", hello(cipher_suites=(0x1399, 0xEEEE, 0x0A0A)), FAILURE),
    ("7.4.1.2 unknown suites before ours", hello(cipher_suites=(0x1399, 0xEEEE, AEAD)), None),
    ("7.4.1.2 suites twice", hello(cipher_suites=(AEAD, AEAD)), None),
    ("A.5 the null suite", hello(cipher_suites=(0,)), FAILURE),
    ("A.5 anonymous suites", hello(cipher_suites=(0x0018, 0x0034, 0xC018)), FAILURE),
    ("5746 3.3 signalling suites alone", hello(cipher_suites=(SCSV, 0x5600)), FAILURE),
    ("7.4.1.2 no compression", hello(compression_methods=()), DECODE),
    ("7.4.1.2 compression without null", hello(compression_methods=(1,)), ILLEGAL),
    ("7.4.1.2 compression before null", hello(compression_methods=(1, 64, 0)), None),
    ("7.4.1.2 null twice", hello(compression_methods=(0, 0)), None),
    ("7.4.1.2 trailing", body(lambda b: b + b"\0"), DECODE),
    ("7.4.1.2 cut", body(lambda b: b[:-1]), DECODE),
    ("7.4.1.2 nothing", body(lambda b: b""), DECODE),
    ("7.4.1.4 length of extensions too long", extension_lengths(1), DECODE),
    ("7.4.1.4 length of extensions too short", extension_lengths(-1), DECODE),
    ("7.4.1.4 one twice", doubled(23), ILLEGAL),
    ("7.4.1.4 an unknown one twice", doubled(0x7777), ILLEGAL),
    ("5746 3.6 an unknown one", hello((0x7777, b"anything")), None),
    ("7507 3 fallback to our best", hello(cipher_suites=added(0x5600)), None),
    ("7507 3 fallback below our best", hello(cipher_suites=added(0x5600)), FALLBACK, {"max_version": NEW}),
    ("7507 3 fallback below our worst", hello(cipher_suites=added(0x5600), legacy_version=0x0302), VERSION),
]
EXTENSIONS: list[Row] = [
    ("5746 3.6 renegotiation_info", hello(), None),
    ("5746 3.6 the suite instead", hello((RENEGOTIATION, None), cipher_suites=added(SCSV)), None),
    ("5746 3.6 the suite too", hello(cipher_suites=added(SCSV)), None),
    ("5746 3.6 verify data of nobody", hello((RENEGOTIATION, b"\x0c" + bytes(12))), FAILURE),
    ("5746 3.6 one octet", hello((RENEGOTIATION, b"\1x")), FAILURE),
    ("5746 3.2 without a length", hello((RENEGOTIATION, b"")), DECODE),
    ("5746 3.2 trailing", hello((RENEGOTIATION, b"\0\0")), DECODE),
    ("5746 3.2 cut", hello((RENEGOTIATION, b"\5x")), DECODE),
    ("7627 5.1 content", hello((23, b"x")), DECODE),
    ("7627 5.2 without it", hello((23, None)), None),
    ("7366 2 content", hello((22, b"x")), DECODE),
    ("7366 2 content beside AEAD", hello((22, b"x")), DECODE, suites(AEAD)),
    ("7366 3 beside AEAD", hello(), None, suites(AEAD)),
    ("8422 5.1.2 without it", hello((11, None)), None),
    ("8422 5.1.2 compressed too", hello((11, b"\3\1\2\0")), None),
    ("8422 5.1.2 compressed alone", hello((11, b"\2\1\2")), ILLEGAL),
    ("8422 5.1.2 compressed alone, but no curves", hello((11, b"\1\1"), (10, None)), None, suites(DHE)),
    (
        "8422 5.1.2 compressed alone, ECDHE and no groups",
        hello((11, b"\1\1"), (10, None)),
        FAILURE,
        suites(AEAD),
    ),
    ("8422 5.1.2 empty", hello((11, b"\0")), DECODE),
    ("8422 5.1.2 nothing", hello((11, b"")), DECODE),
    ("8422 5.1.2 trailing", hello((11, b"\1\0\0")), DECODE),
    ("8422 4 without groups", hello((10, None)), None, suites(AEAD)),
    ("8422 5.1.1 empty", hello((10, b"\0\0")), DECODE),
    ("8422 5.1.1 nothing", hello((10, b"")), DECODE),
    ("8422 5.1.1 odd", hello((10, b"\0\3\0\x1d\0")), DECODE),
    ("8422 5.1.1 trailing", hello((10, b"\0\2\0\x1dx")), DECODE),
    ("8422 5.1 unknown groups, ECDHE", hello((10, b"\0\2\xee\xee")), FAILURE, suites(AEAD)),
    ("8422 5.1 unknown groups, DHE too", hello((10, b"\0\2\xee\xee")), None, suites(AEAD, DHE)),
    ("8422 5.1 unknown groups, static RSA too", hello((10, b"\0\2\xee\xee")), None, suites(AEAD, STATIC)),
    ("8422 5.3 not the certificate's curve", hello((10, b"\0\2\0\x18")), FAILURE, suites(AEAD)),
    ("7919 4 unknown fields", hello((10, b"\0\4\1\x99\0\x1d")), INSUFFICIENT, suites(DHE)),
    ("7919 4 unknown fields, ECDHE too", hello((10, b"\0\6\1\x99\0\x1d\0\x17")), None, suites(DHE, AEAD)),
    ("7919 4 no fields listed", hello((10, b"\0\4\0\x1d\0\x17")), None, suites(DHE)),
    ("7.4.1.4.1 none, ECDHE", hello((13, None)), FAILURE, suites(AEAD)),
    ("7.4.1.4.1 none, static RSA", hello((13, None)), None, suites(STATIC)),
    ("7.4.1.4.1 empty", hello((13, b"\0\0")), DECODE),
    ("7.4.1.4.1 nothing", hello((13, b"")), DECODE),
    ("7.4.1.4.1 odd", hello((13, b"\0\3\4\3\4")), DECODE),
    ("7.4.1.4.1 trailing", hello((13, b"\0\2\4\3x")), DECODE),
    ("7.4.1.4.1 unknown", hello((13, b"\0\2\xee\xee")), FAILURE, suites(AEAD)),
    ("7.4.1.4.1 unknown before ours", hello((13, b"\0\4\xee\xee\4\3")), None, suites(AEAD)),
    ("7.4.3 of another kind of key", hello((13, b"\0\2\4\1")), FAILURE, suites(AEAD)),
    ("7.4.1.4.1 anonymous", hello((13, b"\0\2\4\0")), FAILURE, suites(0xC02F)),
    ("9155 4 SHA-1", hello((13, b"\0\4\2\1\2\3")), FAILURE, suites(AEAD, 0xC02F)),
    ("9155 4 MD5", hello((13, b"\0\2\1\1")), FAILURE, suites(0xC02F)),
    ("8446 4.2.3 PSS", hello((13, b"\0\2\x08\4")), None, suites(0xC02F)),
    ("6066 3 nothing", hello((0, b"")), DECODE),
    ("6066 3 empty list", hello((0, b"\0\0")), DECODE),
    ("6066 3 empty name", hello((0, b"\0\3\0\0\0")), DECODE),
    ("6066 3 two names", hello((0, b"\0\x08\0\0\1a\0\0\1b")), ILLEGAL),
    ("6066 3 another type", hello((0, b"\0\4\5\0\1a")), None),
    ("6066 3 cut", hello((0, b"\0\x09\0\0\1a")), DECODE),
    ("6066 3 trailing", hello((0, b"\0\4\0\0\1ax")), DECODE),
    ("6066 3 a name with an octet 0", hello((0, b"\0\6\0\0\3a\0b")), ILLEGAL),
    ("6066 3 a name of nobody here", hello((0, b"\0\x10\0\0\x0dother.example")), None),
    ("6066 4 2^14", hello((1, b"\0")), ILLEGAL),
    ("6066 4 a value unknown", hello((1, b"\5")), ILLEGAL),
    ("6066 4 nothing", hello((1, b"")), DECODE),
    ("6066 4 two octets", hello((1, b"\1\1")), DECODE),
    ("6066 8 nothing", hello((5, b"")), DECODE),
    ("6066 8 cut", hello((5, b"\1\0\0\0")), DECODE),
    ("6066 8 trailing", hello((5, b"\1\0\0\0\0x")), DECODE),
    ("6066 8 a kind unknown", hello((5, b"\x09what")), None),
    ("6066 5, 6, 7 not done here", hello((2, b""), (3, b"\0\0"), (4, b"")), None),
    ("6961 2.2 not done here", hello((17, b"\0\7\2\0\4\0\0\0\0")), None),
    ("6520 2 not done here", hello((15, b"\1")), None),
    ("7685 3 padding", hello((21, bytes(200))), None),
    ("7301 3.1 nothing", hello((16, b"")), DECODE),
    ("7301 3.1 empty list", hello((16, b"\0\0")), DECODE),
    ("7301 3.1 empty name", hello((16, b"\0\1\0")), DECODE),
    ("7301 3.1 cut", hello((16, b"\0\4\2h2")), DECODE),
    ("7301 3.1 trailing", hello((16, b"\0\3\2h2x")), DECODE),
    ("7301 3.2 another protocol", hello((16, b"\0\3\2h9")), NO_PROTOCOL, {"alpn": (b"h2",)}),
    ("7301 3.2 ours among them", hello((16, b"\0\6\2h9\2h2")), NO_PROTOCOL, {"alpn": (b"h3",)}),
    ("8449 4 63", hello((28, b"\0\x3f")), ILLEGAL),
    ("8449 4 cut", hello((28, b"\x40")), DECODE),
    ("8449 4 trailing", hello((28, b"\x40\0\0")), DECODE),
    ("5077 3.4 a ticket of nobody", hello((35, b"garbage" * 20)), None, {"ticket_keys": ticket_keys()}),
    ("8446 4.2.10 early data, which is nothing to TLS 1.2", hello((42, b"")), None),
]


@pytest.mark.parametrize("row", MESSAGE + EXTENSIONS, ids=[row[0] for row in MESSAGE + EXTENSIONS])
def test_client_hello(row: Row) -> None:
    _, edit, alert, *more = row
    one, two = scene({1: edit}, server=more[0] if more else None)
    two.receive(one.take_output(NOW), NOW)
    found = events(two)
    if alert is not None:
        assert [getattr(event, "alert", None) for event in found][:1] == [alert], found
        assert bytes(two.take_output(NOW))[-7:] == record(bytes([2, alert]), 21)
        return
    assert not found
    assert two.version == OLD


def test_each_truncation_of_a_hello() -> None:
    """RFC 5246 7.4.1.2: decode_error, but where it ends before its extensions, which may be left out."""
    one, _ = scene()
    raw = one.hello
    bare = 39 + raw[38]
    bare += 2 + int.from_bytes(raw[bare : bare + 2], "big")
    bare += 1 + raw[bare]
    for size in range(len(raw) - 4):
        end = scene()[1]
        end.receive(record(b"\1" + size.to_bytes(3, "big") + raw[4 : 4 + size]), NOW)
        assert [getattr(event, "alert", None) for event in events(end)][:1] == ([DECODE] if size + 4 != bare else [])


@pytest.mark.parametrize("version", [0x0300, 0x0301, 0x0302, 0x0303, 0x0304, 0x03FF])
def test_any_record_version_before_the_choice(version: int) -> None:
    """RFC 5246 E.1: a server MUST accept {03,XX} around a ClientHello."""

    def wire(bad: BadClient, data: bytes) -> bytes:
        return data[:1] + version.to_bytes(2, "big") + data[3:] if data[5] == 1 else data

    played({}, None, wire=wire)


@pytest.mark.parametrize("version", [0x0000, 0x0200, 0x0400, 0x1603])
def test_no_other_record_version(version: int) -> None:
    one, two = scene()
    two.receive(record(one.hello, version=version), NOW)
    assert alert_of(two) == VERSION


# ---------------------------------------------------------------- what the server answers


def answer(two: Server) -> ServerHello:
    """The ServerHello in what goes out."""
    out = bytes(two.take_output(NOW))
    parsed = parse_handshake(2, out[9 : 9 + int.from_bytes(out[6:9], "big")])
    assert isinstance(parsed, ServerHello)
    return parsed


def answers(edit: Edit, *kinds: str, **more: Any) -> dict[int, bytes]:
    one, two = scene({1: edit}, *kinds, server=more)
    two.receive(one.take_output(NOW), NOW)
    assert not events(two)
    return dict(answer(two).extensions or ())


def test_only_what_was_asked_for_is_answered() -> None:
    """RFC 5246 7.4.1.4; the one exception is RFC 5746 3.6."""
    bare = hello(extensions=(), cipher_suites=(STATIC,))
    assert answers(bare) == {}
    assert answers(hello(extensions=None, cipher_suites=(STATIC, SCSV))) == {RENEGOTIATION: b"\0"}
    assert answers(hello()).keys() == {RENEGOTIATION, 23, 0, 11}
    staple = {"credentials": (credential(ocsp=b"x", scts=b"\0\3\0\1x"),)}
    assert answers(hello((5, None), (18, None)), **staple).keys() == {RENEGOTIATION, 23, 0, 11}
    assert answers(hello(), **staple)[5] == b""
    assert answers(hello(), **staple)[18] == b"\0\3\0\1x"


def test_answers_by_their_letter() -> None:
    assert 22 not in answers(hello(), suites=(AEAD,))  # RFC 7366 3
    assert answers(hello(), suites=(CBC,))[22] == b""
    assert 22 not in answers(hello((22, None)), suites=(CBC,))
    assert 23 not in answers(hello((23, None)))  # RFC 7627 5.2
    assert 11 not in answers(hello(), suites=(DHE,))  # RFC 8422 5.2: with an ECC suite only
    assert answers(hello(), suites=(AEAD,))[11] == b"\1\0"
    assert answers(hello((1, b"\2")))[1] == b"\2"  # RFC 6066 4: the same value
    both = answers(hello((1, b"\2"), (28, b"\x20\0")))
    assert 1 not in both  # RFC 8449 5
    assert both[28] == b"\x40\0"
    assert answers(hello(), ticket_keys=ticket_keys())[35] == b""  # RFC 5077 3.2
    assert 35 not in answers(hello((35, None)), ticket_keys=ticket_keys())
    assert answers(hello((16, b"\0\6\2h2\2h3")), alpn=(b"h3", b"h2"))[16] == b"\0\3\2h3"  # RFC 7301 3.2: our order
    assert 13 not in answers(hello())  # RFC 5246 7.4.1.4.1


@pytest.mark.parametrize(("most", "tail"), [(NEW, b"DOWNGRD\1"), (OLD, None)])
def test_sentinel(most: int, tail: bytes | None) -> None:
    """RFC 8446 4.1.3: a server that could do TLS 1.3 says so at the end of its random."""
    one, two = scene(server={"max_version": most, "suites": (0x1301, AEAD)})
    two.receive(one.take_output(NOW), NOW)
    random = answer(two).random
    assert (random[24:] == tail) == (tail is not None)
    assert not random[24:].startswith(b"DOWNGRD") or tail


def test_extensions_listed_are_no_promise() -> None:
    """RFC 8446 4.2.1: with supported_versions the list decides, not client_version."""
    for listed, alert in ((b"\4\3\4\3\3", None), (b"\2\3\2", VERSION), (b"\2\3\4", VERSION)):
        one, two = scene({1: hello((43, listed), legacy_version=OLD)})
        carry(one, two)
        found = events(two)
        assert (getattr(found[0], "alert", None)) == alert


def test_a_request_has_room_for_its_authorities() -> None:
    """RFC 5246 7.4.4, RFC 8446 4.2.4: 65,535 octets of names at most."""
    many = {"client_auth": "optional", "verify": verifier(), "client_authorities": (bytes(1000),) * 65}
    for version in (OLD, NEW):
        one, two = (
            client(client_config(max_version=version)),
            Server(server_config(**many), now=NOW, entropy=os.urandom),
        )
        pump(one, two)
        assert one.facts is not None
    with pytest.raises(ValueError, match="authorities"):
        server_config(**{**many, "client_authorities": (bytes(1000),) * 66})


def test_weak_suites_are_asked_for() -> None:
    """RFC 9325 4.1: by default ephemeral key exchange with AEAD, and never less than 112 bits."""
    for code in SUITES_12:
        found = suite_facts(code)
        assert found.mode == "aead"
        assert found.kex in ("ECDHE_ECDSA", "ECDHE_RSA", "DHE_RSA")
    for code in SUITES:
        assert suite_facts(code).key_length >= 16
    with pytest.raises(ValueError, match="not one of this engine's"):
        server_config(suites=(0x0005,))
