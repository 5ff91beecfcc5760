"""ClientHello and HelloRetryRequest at a TLS 1.3 server, by the sections of RFC 8446 and of the extensions' own RFCs.

``test_must13_server`` says which requirement each row holds.  A row is a section, what the client says, and what must
come of it: "ok" for a handshake, or the alert.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from synfin.tls import groups
from synfin.wire.tls.registry import EXTENSIONS
from tests.support.tlsoctets import (
    DECODE,
    FAILURE,
    FALLBACK,
    ILLEGAL,
    MISSING,
    NO_PROTOCOL,
    UNEXPECTED,
    UNRECOGNIZED,
    VERSION,
    message,
    record,
    vector,
)
from tests.tls.ends import NAME
from tests.tls.raw13 import HRR, SCHEMES, Raw13, Row, connect, numbers, share, split, verdict

GREASE = tuple(0x0A0A + 0x1010 * index for index in range(16))
KEM, CURVES = 0x11EC, (23, 24, 25)
Change = Mapping[int, bytes | None]


def say(change: Change | Callable[[Raw13], Change] | None = None, **fields: Any) -> Callable[[Raw13], Any]:
    """A handshake with this hello."""
    return lambda c: c.shake(c.hello(change(c) if callable(change) else change, **fields))


def shares(*made: bytes | int, listed: tuple[int, ...] = (29, 23, 24)) -> Callable[[Raw13], Any]:
    """A handshake with these shares: entries as they are, or groups to make a right one for."""

    def act(c: Raw13) -> None:
        entries = [c.share(one) if isinstance(one, int) else one for one in made]
        c.shake(c.hello({10: numbers(listed), 51: vector(b"".join(entries))}))

    return act


def point(group: int, change: Callable[[bytes], bytes]) -> Callable[[Raw13], Any]:
    """The one share there is, after ``change`` of a right public key."""

    def act(c: Raw13) -> None:
        c.shake(c.hello({10: numbers((group,)), 51: vector(share(group, change(c.share(group)[4:])))}))

    return act


def residue(group: int, offset: int) -> Callable[[bytes], bytes]:
    """p and its neighbours, or a small number."""
    prime = groups.prime_octets(group)
    size, p = len(prime), int.from_bytes(prime, "big")
    return lambda key: (offset if offset >= 0 else p + 1 + offset).to_bytes(size, "big")


IDENTITY, BINDER = vector(b"stranger" * 5) + bytes(4), vector(bytes(32), 1)
STRANGER = vector(IDENTITY) + vector(BINDER)
TWO = vector(IDENTITY + vector(b"z") + bytes(4)) + vector(BINDER * 2)
NEW = {"min_version": 0x0304, "suites": (0x1301, 0x1302, 0x1303)}

FIELDS = [
    Row("4.1.2", "as it is", say(), "ok"),
    *[Row("4.1.2", f"session id of {n}", say(session_id=bytes(n)), "ok") for n in (0, 1, 31)],
    *[Row("4.1.2", f"session id of {n}", say(session_id=bytes(n)), DECODE) for n in (33, 255)],
    Row("4.1.2", "no suites", say(suites=b"\0\0"), DECODE),
    Row("4.1.2", "suites of an odd length", say(suites=b"\0\3\x13\1\x13"), DECODE),
    Row("4.1.2", "suites beyond the end", say(suites=b"\xff\xff\x13\1"), DECODE),
    Row("4.1.2", "unknown suites before", say(suites=numbers((*GREASE, 0x1399, 0, 0xFF, 0x1301))), "ok"),
    Row("4.1.2", "as many suites as there may be", say(suites=numbers((0x1301, *(0x0A0A,) * 32766))), "ok"),
    Row("4.1.1", "unknown suites alone", say(suites=numbers((0x1399,))), FAILURE),
    Row("4.1.1", "suites of TLS 1.2 alone", say(suites=numbers((0xC02B,))), FAILURE),
    Row("4.1.2", "no compressions", say(compressions=b"\0"), DECODE),
    *[
        Row("4.1.2", f"compressions {c.hex()}", say(compressions=vector(c, 1)), ILLEGAL)
        for c in (b"\1", b"\0\1", b"\1\0", b"\0\0", b"\x40")
    ],
    Row("4.1.2", "no extensions at all", say(block=b""), FAILURE),
    *[Row("4.1.2", f"{n} octets behind", say(tail=bytes(n)), DECODE) for n in (1, 2, 4)],
    *[Row("4.2", f"half an extension, {n}", say(more=b"\x12\x34\0\5abc"[:n]), DECODE) for n in (1, 2, 3, 4, 7)],
    Row("4.2", "an extension of 64,000 octets", say({0x5A5A: bytes(64000)}), "ok"),
    *[
        Row("4.2", f"extension {n} twice", say(more=n.to_bytes(2, "big") + b"\0\0"), ILLEGAL)
        for n in (0, 10, 13, 43, 45, 51)
    ],
    Row("4.2", "an unknown extension twice", say(more=b"\x12\x34\0\0" * 2), ILLEGAL),
    Row("4.2", "oid_filters", say({48: b"\0\0"}), ILLEGAL),
    Row("4.2", "in another order", lambda c: c.shake(c.hello(block=turned(c))), "ok"),
    Row("9.3", "extensions nobody knows", say(lambda c: {n: bytes(i) for i, n in enumerate(GREASE)}), "ok"),
    Row("9.3", "extensions not for TLS 1.3", say({2: b"", 3: b"\0\0", 4: b"", 9: b"\1\0", 35: b"", 0x3374: b""}), "ok"),
    Row("4.4.2.1", "status_request_v2", say({17: b"\0\7\2\0\4\0\0\0\0"}), "ok"),
    Row("RFC 9149", "ticket_request", say({58: b"\1\1"}), "ok"),
    Row("RFC 7250", "raw public keys wanted", say({20: b"\2\2\0", 19: b"\1\2"}), "ok"),
]  # fmt: skip


def turned(c: Raw13) -> bytes:
    return b"".join([n.to_bytes(2, "big") + vector(b) for n, b in reversed(c.extensions().items())])


#: What stands in an extension that this server reads.
BODIES: dict[int, bytes] = {
    0: vector(b"\0" + vector(NAME.encode())), 1: b"\2", 5: b"\1\0\3\0\1x\0\0", 10: numbers((29, 23)),
    13: numbers(SCHEMES), 16: vector(b"\2h2"), 18: b"", 27: b"\2\0\1", 28: b"\2\0", 42: b"",
    43: numbers((0x0304,), 1), 44: vector(b"cookie"), 45: b"\1\1", 47: vector(vector(b"\x30\0")), 49: b"",
    50: numbers(SCHEMES),
}  # fmt: skip


def malformed() -> list[Row]:
    """Each of them too long by an octet, and cut at each octet: decode_error, whatever else is in the hello."""
    rows = []
    for number, body in BODIES.items():
        wrong = {"and an octet": body + b"\0", "and its length again": body + body[:2]}
        if body:
            wrong |= {f"cut at {at}": body[:at] for at in {0, 1, 2, 3, len(body) - 1} if at < len(body)}
            wrong |= {f"length {n.hex()}": n + body[len(n) :] for n in _wrong_lengths(body)}
        if number not in (5, 18, 42, 49):
            wrong |= {"of nothing": b"\0\0" if number not in (1, 28, 43, 45, 27) else b"\0"}
        for what, lie in wrong.items():
            if lie != body and not (number == 28 and len(lie) == 2) and not (number == 1 and len(lie) == 1):
                rows.append(Row("6", f"{EXTENSIONS[number]} {what}", say({number: lie}), DECODE))
    return rows


def _wrong_lengths(body: bytes) -> list[bytes]:
    for size in (1, 2):
        length = int.from_bytes(body[:size], "big")
        if length and length == len(body) - size:
            return [n.to_bytes(size, "big") for n in {0, length - 1, length + 1, (1 << 8 * size) - 1}]
    return []


VERSIONS = [
    *[Row("D.5", f"version {v:04x}", say(version=v), VERSION) for v in (0x0000, 0x0002, 0x0200, 0x0300)],
    *[
        Row("4.2.1", f"version {v:04x} beside the list", say(version=v), "ok")
        for v in (0x0301, 0x0302, 0x0304, 0x03FF, 0x0400, 0xFFFF)
    ],
    *[
        Row("4.2.1", f"versions {v}", say({43: numbers(v, 1)}), "ok")
        for v in ((0x0303, 0x0304), (0x0A0A, 0x0305, 0x0304), (0x0304, 0x0304), (0x7F1C, 0x0304))
    ],
    Row("4.2.1", "127 versions", say({43: numbers((0x0A0A,) * 126 + (0x0304,), 1)}), "ok"),
    *[
        Row("4.2.1", f"no version of ours: {v}", say({43: numbers(v, 1)}), VERSION)
        for v in ((0x0305,), (0x0302, 0x0301), (0x0300,), (0x7F1C,))
    ],
    Row("4.2.1", "no list", say({43: None}, suites=numbers((0x1301, 0xC02B))), "old"),
    Row("4.2.1", "no list, version 0x0304", say({43: None}, version=0x0304, suites=numbers((0x1301, 0xC02B))), "old"),
    Row("4.2.1", "a list without 0x0304", say({43: numbers((0x0303,), 1)}, suites=numbers((0xC02B,))), "old"),
    Row("D.2", "no list, version 0x0302", say({43: None}, version=0x0302), VERSION),
    Row("D.2", "no list, and nothing older here", say({43: None}), VERSION, NEW),
    Row("RFC 7507", "a fallback to the newest", say(suites=numbers((0x1301, 0x5600))), "ok"),
    Row("RFC 7507", "a fallback", say({43: None}, suites=numbers((0xC02B, 0x5600))), FALLBACK),
    Row("D.5", "SSL 2.0", lambda c: c.raw(b"\x80\x2e\1\3\3\0\x15\0\0\0\x10" + bytes(37)), VERSION),
]  # fmt: skip

NAMES = [
    Row("RFC 6066 3", "two names", say({0: vector(b"\0\0\1a\0\0\1b")}), ILLEGAL),
    Row("RFC 6066 3", "an empty name", say({0: vector(b"\0\0\0")}), DECODE),
    Row("RFC 6066 3", "not ASCII", say({0: vector(b"\0" + vector(b"b\xfccher"))}), ILLEGAL),
    Row("RFC 6066 3", "another kind of name", say({0: vector(b"\1\0\1x\0" + vector(NAME.encode()))}), "ok"),
    Row("RFC 6066 3", "an address", say({0: vector(b"\0" + vector(b"127.0.0.1"))}), "ok"),
    Row("RFC 6066 3", "a name of nobody", say({0: vector(b"\0\0\6nobody")}), UNRECOGNIZED, {"strict_sni": True}),
    Row("9.2", "no name", say({0: None}), "ok"),
    *[Row("RFC 6066 4", f"max_fragment_length {n}", say({1: bytes([n])}), "ok") for n in (1, 2, 3, 4)],
    *[Row("RFC 6066 4", f"max_fragment_length {n}", say({1: bytes([n])}), ILLEGAL) for n in (0, 5, 255)],
    *[Row("RFC 8449 4", f"record_size_limit {n}", say({28: n.to_bytes(2, "big")}), ILLEGAL) for n in (0, 1, 63)],
    *[
        Row("RFC 8449 4", f"record_size_limit {n}", say({28: n.to_bytes(2, "big")}), "ok")
        for n in (64, 16384, 16385, 16386, 65535)
    ],
    Row("RFC 8449 4", "too little of it, and no share", say({28: b"\0\x3f", 51: b"\0\0"}), ILLEGAL),
    Row("RFC 6066 4", "no length there is, and no share", say({1: b"\5", 51: b"\0\0"}), ILLEGAL),
    Row("RFC 8449 5", "with it max_fragment_length does not count", say({28: b"\2\0", 1: b"\x09"}), "ok"),
    Row("RFC 7301 3.2", "no protocol of ours", say({16: vector(b"\6gopher")}), NO_PROTOCOL, {"alpn": (b"h2",)}),
    Row("RFC 7301 3.2", "one of ours", say({16: vector(b"\2\x0a\x0a\2h2")}), "ok", {"alpn": (b"h2",)}),
    Row("RFC 7301 3.1", "an empty protocol", say({16: vector(b"\2h2\0")}), DECODE),
    Row("RFC 7301 3.2", "no protocols here", say({16: vector(b"\6gopher")}), "ok"),
    Row("RFC 6066 8", "another kind of status", say({5: b"\2whatever"}), "ok"),
    Row("RFC 6066 8", "an empty responder", say({5: b"\1\0\2\0\0\0\0"}), DECODE),
    Row("RFC 8879 3", "unknown compressions", say({27: b"\4\x12\x34\0\0"}), "ok"),
    Row("RFC 8879 3", "compressions of an odd length", say({27: b"\3\0\1\0"}), DECODE),
]  # fmt: skip

USELESS = {
    "PKCS#1": (0x0401, 0x0501, 0x0601), "SHA-1": (0x0201, 0x0203), "unknown": (0x1234,), "another curve": (0x0503,),
    "another kind": (0x0804, 0x0807),
}  # fmt: skip
OBSOLETE = (share(1, b"\4" + bytes(42)), share(22, b"\4" + bytes(64)))
CROWD = [share(group, b"x") for group in range(0x5100, 0x6A98)]
PARAMETERS = [
    Row("4.2.3", "no signature_algorithms", say({13: None}), MISSING),
    Row("4.2.3", "signature_algorithms_cert does not stand for it", say({13: None, 50: numbers((0x0403,))}), MISSING),
    *[Row("4.2.3", f"{what} alone", say({13: numbers(codes)}), FAILURE) for what, codes in USELESS.items()],
    Row("4.2.3", "a long list", say({13: numbers((*range(0x2000, 0x4000), 0x0403))}), "ok"),
    Row("4.2.3", "no chain by its schemes", say({50: numbers((0x0201,))}), "ok"),
    Row("9.2", "no supported_groups", say({10: None}), MISSING),
    Row("9.2", "no key_share", say({51: None}), MISSING),
    Row("9.2", "neither", say({10: None, 51: None}), MISSING),
    Row("4.1.1", "unknown groups alone", shares(share(0x1234, b"x"), listed=(0x1234,)), FAILURE),
    Row("B.3.1.4", "obsolete groups alone", shares(*OBSOLETE, listed=(1, 22)), FAILURE),
    Row("4.2.7", "unknown groups too", shares(share(0x0A0A, b"\0"), 29, listed=(0x0A0A, 1, 29)), "ok"),
    Row("4.2.7", "a group twice", say({10: numbers((29, 29))}), "ok"),
    Row("4.2.8", "several shares", shares(29, 23, 24), "ok"),
    Row("4.2.8", "thousands of unknown groups", shares(*CROWD, 29, listed=(*range(0x3000, 0x6A98), 29)), "ok"),
    Row("4.2.8", "in another order than the groups", shares(23, 29), "ok"),
    Row("4.2.8", "a share of a group not listed", shares(29, 25), ILLEGAL),
    Row("4.2.8", "two shares of a group", shares(29, 29), ILLEGAL),
    Row("4.2.8", "an empty key", shares(share(29, b"")), DECODE),
    Row("4.2.8", "a key beyond the end", say({51: vector(b"\0\x1d\0\x21" + bytes(32))}), DECODE),
    Row("4.2.8", "octets behind the shares", say({51: b"\0\0\0"}), DECODE),
]  # fmt: skip

X25519 = {
    "zero": bytes(32), "one": b"\1" + bytes(31),
    "of order 8": bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    "p-1": b"\xec" + b"\xff" * 30 + b"\x7f", "short": b"\x09" * 31, "long": b"\x09" * 33,
}  # fmt: skip
X448 = {"zero": bytes(56), "short": b"\5" * 55, "long": b"\5" * 57}
BENT: dict[str, Callable[[bytes], bytes]] = {
    "zero": lambda key: b"\4" + bytes(len(key) - 1), "infinity": lambda key: b"\0",
    "beyond p": lambda key: b"\4" + b"\xff" * (len(key) - 1),
    "off the curve": lambda key: key[:-1] + bytes([key[-1] ^ 1]),
    "compressed": lambda key: bytes([2 | key[-1] & 1]) + key[1 : len(key) // 2 + 1],
    "hybrid": lambda key: bytes([6 | key[-1] & 1]) + key[1:],
    "short": lambda key: key[:-1], "long": lambda key: key + b"\0",
}  # fmt: skip
KEMS: dict[str, Callable[[bytes], bytes]] = {
    "short": lambda key: key[:-1], "long": lambda key: key + b"\0", "one of the two": lambda key: key[:1184],
    "a coefficient beyond q": lambda key: b"\xff\x0f" + key[2:], "x25519 of zero": lambda key: key[:1184] + bytes(32),
}  # fmt: skip


def given(key: bytes) -> Callable[[bytes], bytes]:
    return lambda _: key


POINTS = [
    *[Row("7.4.2", f"x25519 {what}", point(29, given(key)), ILLEGAL) for what, key in X25519.items()],
    *[Row("7.4.2", f"x448 {what}", point(30, given(key)), ILLEGAL) for what, key in X448.items()],
    *[Row("4.2.8.2", f"group {g}, right", shares(g, listed=(g,)), "ok") for g in CURVES],
    *[Row("4.2.8.2", f"group {g}, {what}", point(g, bend), ILLEGAL) for g in CURVES for what, bend in BENT.items()],
    *[Row("4.2.8.1", f"group {g}, right", shares(g, listed=(g,)), "ok") for g in (256, 257)],
    *[
        Row("4.2.8.1", f"group {g}, {what}", point(g, bend), ILLEGAL)
        for g in (256, 257)
        for what, bend in {
            "0": residue(g, 0), "1": residue(g, 1), "p-1": residue(g, -2), "p": residue(g, -1),
            "short": lambda key: key[1:], "long": lambda key: b"\0" + key,
        }.items()
    ],
    Row("ecdhe-mlkem", "right", shares(KEM, listed=(KEM,)), "ok"),
    *[Row("ecdhe-mlkem", what, point(KEM, bend), ILLEGAL) for what, bend in KEMS.items()],
]  # fmt: skip


def retried(
    change: Change | Callable[[Raw13], Change] | None = None, first: Change | None = None, **fields: Any
) -> Callable[[Raw13], Any]:
    """No share, the retry, and a second hello that is the first but for the share and ``change``."""

    def act(c: Raw13) -> None:
        c.say(c.hello({51: b"\0\0", **(first or {})}))
        answer = split(c.server_hello()[4 + 35 + 32 + 5 :])
        more = {51: vector(c.share(int.from_bytes(answer[51], "big"))), **({44: answer[44]} if 44 in answer else {})}
        c.shake(c.hello({**more, **((change(c) if callable(change) else change) or {})}, **fields))

    return act


def waiting(kind: int, content: Callable[[Raw13], bytes]) -> Callable[[Raw13], Any]:
    """The retry, and then this instead of a hello."""

    def act(c: Raw13) -> None:
        c.say(c.hello({51: b"\0\0"}))
        c.server_hello()
        c.put(kind, content(c))
        c.late()

    return act


def forgetful(c: Raw13) -> None:
    c.say(c.hello({51: b"\0\0"}))
    c.server_hello()
    c.random = bytes(32)
    c.shake()


COOKIE = {"cookie": True}
RETRIES = [
    Row("4.1.4", "as asked", retried(), "ok"),
    Row("4.2.2", "with a cookie", retried(), "ok", COOKIE),
    Row("4.1.2", "padding added", retried({21: bytes(9)}), "ok"),
    Row("4.1.2", "padding gone", retried({21: None}, {21: bytes(9)}), "ok"),
    Row("4.1.2", "early_data gone", retried({42: None}, {42: b""}), "ok"),
    Row("4.2.2", "the cookie missing", retried({44: None}), MISSING, COOKIE),
    Row("4.2.2", "another cookie", retried({44: vector(bytes(32))}), ILLEGAL, COOKIE),
    Row("4.2.2", "a cookie nobody gave", retried({44: vector(b"x")}), ILLEGAL),
    Row("4.2.8", "no share", retried({51: None}), MISSING),
    Row("4.2.8", "no share in the list", retried({51: b"\0\0"}), ILLEGAL),
    Row("4.2.8", "a share of another group", retried(lambda c: {51: vector(c.share(24))}), ILLEGAL),
    Row("4.2.8", "a share more", retried(lambda c: {51: vector(c.share(29) + c.share(23))}), ILLEGAL),
    Row("4.2.8", "the share twice", retried(lambda c: {51: vector(c.share(29) * 2)}), ILLEGAL),
    Row("4.1.2", "early_data still there", retried({42: b""}, {42: b""}), ILLEGAL),
    Row("4.1.2", "early_data new", retried({42: b""}), ILLEGAL),
    Row("4.1.2", "another random", forgetful, ILLEGAL),
    Row("4.1.2", "another session id", retried(session_id=bytes(32)), ILLEGAL),
    Row("4.1.2", "other suites", retried(suites=numbers((0x1301, 0x1302))), ILLEGAL),
    Row("4.1.2", "other compressions", retried(compressions=b"\2\0\1"), ILLEGAL),
    Row("4.1.2", "another legacy_version", retried(version=0x0302), ILLEGAL),
    Row("4.1.2", "an extension more", retried({0x1234: b""}), ILLEGAL),
    Row("4.1.2", "an extension less", retried({0: None}), ILLEGAL),
    Row("4.1.2", "other groups", retried({10: numbers((29,))}), ILLEGAL),
    Row("4.1.4", "TLS 1.2 alone", retried({43: numbers((0x0303,), 1)}), ILLEGAL),
    Row("4.1.2", "a key for the first time", retried({41: STRANGER}), ILLEGAL),
    Row("4.1.2", "a key more", retried({41: TWO}, {41: STRANGER}), ILLEGAL),
    Row("4.1.2", "a key less", retried({41: STRANGER}, {41: TWO}), "ok"),
    Row("4.1.2", "its keys gone", retried({41: None}, {41: STRANGER}), "ok"),
    Row("4.1.2", "a third hello", lambda c: (retried()(c), c.put(22, c.hello())), UNEXPECTED),
    Row("4.1.2", "Finished instead", waiting(22, lambda c: message(20, bytes(32))), UNEXPECTED),
    Row("4.1.4", "data instead", waiting(23, lambda c: bytes(50)), UNEXPECTED),
    Row("5.1", "an octet behind the first hello", lambda c: c.put(22, c.hello({51: b"\0\0"}) + b"\1"), UNEXPECTED),
    Row("5.1", "an octet behind the second", waiting(22, lambda c: c.hello() + b"\1"), UNEXPECTED),
]  # fmt: skip


@pytest.mark.parametrize("row", [*FIELDS, *VERSIONS, *NAMES, *PARAMETERS, *POINTS, *RETRIES], ids=str)
def test_hellos(row: Row) -> None:
    assert row.play() == row.want


@pytest.mark.parametrize("row", malformed(), ids=str)
def test_extensions_that_are_not_of_their_form(row: Row) -> None:
    assert row.play() == row.want


def test_a_hello_cut_anywhere() -> None:
    """Whatever is missing is missed (RFC 8446 6): decode_error, or a TLS 1.2 hello where no extensions are left."""
    whole = connect().hello({number: body for number, body in BODIES.items() if number not in (10, 13, 43, 45)})
    for size in range(len(whole) - 4):
        cut = message(1, whole[4 : 4 + size])
        end = connect()
        end.raw(record(cut))
        found = verdict(end, lambda c: None)
        assert found in (DECODE, FAILURE), size
        assert (found == FAILURE) == (size == 34 + 33 + 4 + 2), size


def test_the_retry_itself() -> None:
    """RFC 8446 4.1.4: version, suite, session id, the group that is wanted, and nothing more."""
    c = connect()
    c.say(c.hello({51: b"\0\0", 28: b"\0\x40"}))
    raw = c.server_hello()
    assert raw[4:6] == b"\3\3"
    assert raw[6:38] == HRR
    assert raw[38:71] == vector(c.session_id, 1)
    assert raw[71:74] == b"\x13\1\0"
    assert split(raw[76:]) == {43: b"\3\4", 51: b"\0\x1d"}
    assert c.next_record() == (20, b"\1"), "RFC 8446 D.4"
    c.shake(c.hello({28: b"\0\x40"}))
    assert c.suite == 0x1301
