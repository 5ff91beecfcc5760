"""CBC at a TLS 1.2 server: whatever is wrong with a record is bad_record_mac (RFC 5246 6.2.3.2, 7.2.2, RFC 7366 3)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from synfin.spec.protection_mac import Cbc
from synfin.tls import Server
from tests.support.tlsoctets import BAD_MAC, OLD, OVERFLOW, record
from tests.tls.bad_client import BadClient, connected, settled, turned
from tests.tls.edits import hello

ECDHE_SHA, ECDHE_SHA256 = 0xC009, 0xC023


def forged(
    one: BadClient, clear: Callable[[bytes, int], bytes], content: bytes = b"data", wrong_mac: bool = False
) -> bytes:
    """A CBC record whose octets after the content are ``clear(mac, octets of padding that fit)``.

    With encrypt-then-MAC there is no MAC among them, and it is right unless ``wrong_mac``.
    """
    sealer: Any = one._sealer
    assert isinstance(sealer, Cbc)

    def spoiled(mac: bytes) -> bytes:
        return bytes([mac[0] ^ 1]) + mac[1:] if wrong_mac else mac

    mac = b"" if sealer._etm else spoiled(sealer._mac(sealer.sequence, 23, OLD, content))
    fits = 16 - (len(content) + len(mac)) % 16
    octets: bytes = sealer._crypt(os.urandom(16) + content + clear(mac, fits))
    if sealer._etm:
        octets += spoiled(sealer._mac(sealer.sequence, 23, OLD, octets))
    sealer.sequence += 1
    return record(octets, 23)


def padding(size: int) -> bytes:
    return bytes([size - 1]) * size


PADDINGS: list[tuple[str, Callable[[bytes, int], bytes], int | None]] = [
    ("as it is", lambda mac, n: mac + padding(n), None),
    ("of 255", lambda mac, n: mac + padding(n + 240), None),
    ("first octet wrong", lambda mac, n: mac + b"\xee" + padding(n)[1:], BAD_MAC),
    ("middle octet wrong", lambda mac, n: mac + padding(n)[:2] + b"\xee" + padding(n)[3:], BAD_MAC),
    ("last but one wrong", lambda mac, n: mac + padding(n)[:-2] + b"\xee" + padding(n)[-1:], BAD_MAC),
    ("first octet of 255 wrong", lambda mac, n: mac + b"\xee" + padding(n + 240)[1:], BAD_MAC),
    ("length an octet more", lambda mac, n: mac + padding(n)[:-1] + bytes([n]), BAD_MAC),
    ("length beyond the record", lambda mac, n: mac + padding(n)[:-1] + b"\xff", BAD_MAC),
    ("all octets of it 255", lambda mac, n: mac + b"\xff" * n, BAD_MAC),
]


def older(extensions: bool) -> dict[int, Any]:
    """A hello with encrypt_then_mac, or without."""
    return {} if extensions else {1: hello((22, None))}


BOTH = pytest.mark.parametrize("etm", [True, False], ids=["encrypt-then-MAC", "MAC-then-encrypt"])
CBC = pytest.mark.parametrize("suite", [ECDHE_SHA, ECDHE_SHA256], ids=["SHA-1", "SHA-256"])


@BOTH
@CBC
@pytest.mark.parametrize(("what", "clear", "alert"), PADDINGS, ids=[row[0] for row in PADDINGS])
def test_cbc_padding(what: str, clear: Callable[[bytes, int], bytes], alert: int | None, suite: int, etm: bool) -> None:
    """RFC 5246 6.2.3.2: padding MUST be checked, and bad_record_mac MUST say that it is wrong."""
    one, two = connected(older(etm), server={"suites": (suite,)})
    settled(one, two, forged(one, clear), alert)


@BOTH
@CBC
def test_cbc_macs_and_lengths(suite: int, etm: bool) -> None:
    """RFC 5246 6.2.3.2 and 7.2.2, RFC 7366 3: nothing tells a wrong MAC from wrong padding or a wrong length."""

    def fresh() -> tuple[BadClient, Server]:
        return connected(older(etm), server={"suites": (suite,)})

    size = 20 if suite == ECDHE_SHA else 32
    for clear in (PADDINGS[0][1], PADDINGS[1][1], PADDINGS[-1][1]):
        one, two = fresh()
        settled(one, two, forged(one, clear, wrong_mac=True), BAD_MAC)
    for content in (b"", b"x" * 1000, b"x" * (1 << 14)):
        one, two = fresh()
        settled(one, two, forged(one, PADDINGS[0][1], content), None)
    one, two = fresh()
    settled(one, two, forged(one, PADDINGS[0][1], b"x" * ((1 << 14) + 1)), OVERFLOW)
    if not etm:
        for blocks in (1, 2, 3, 4, 16):  # padding that leaves no room for a MAC, or too little
            one, two = fresh()
            settled(one, two, forged(one, lambda mac, n, k=blocks: padding(16 * k), b""), BAD_MAC)  # type: ignore[misc]
    for length in (0, 1, 15, 16, 17, 31, 32, 33, 47, 48, 16 + size, 17 + size, 63, 64, 65, 96):
        one, two = fresh()
        settled(one, two, record(os.urandom(length), 23), BAD_MAC)
    for at in (5, 20, 21, 36, -1, -size, -size - 1):
        one, two = fresh()
        settled(one, two, turned(at)(one), BAD_MAC)
