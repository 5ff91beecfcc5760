"""Records sealed and opened many at a time are those sealed and opened one by one, whatever stands among them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.spec.protection import BadRecord, Protection, read_header
from synfin.spec.protection_aead import Aead12, Aead13
from synfin.wire.tls.suites import suite

DATA, HANDSHAKE = 23, 22
LIMIT = 64  # octets of content in a record: more records, the same code


def aead13(code: int) -> Protection:
    found = suite(code)
    assert found is not None
    return Aead13(found, bytes(range(48 if found.hash == "SHA384" else 32)))


def aead12(code: int) -> Protection:
    found = suite(code)
    assert found is not None
    return Aead12(found, bytes(range(found.key_length)), bytes(12 if "CHACHA" in found.cipher else 4))


WAYS: dict[str, Callable[[], Protection]] = {
    "1.3 AES-128-GCM": lambda: aead13(0x1301),
    "1.3 AES-256-GCM": lambda: aead13(0x1302),
    "1.3 ChaCha20": lambda: aead13(0x1303),
    "1.3 AES-128-CCM": lambda: aead13(0x1304),
    "1.3 AES-128-CCM-8": lambda: aead13(0x1305),
    "1.2 AES-128-GCM": lambda: aead12(0xC02B),
    "1.2 ChaCha20": lambda: aead12(0xCCA9),
    "1.2 AES-128-CCM": lambda: aead12(0xC0AC),
}
each_way = pytest.mark.parametrize("way", WAYS)


def open_all(opener: Protection, octets: bytes) -> bytes:
    """Every record with the careful verb."""
    found, pos = b"", 0
    while pos < len(octets):
        kind, version, length = read_header(octets, pos)
        inner, content = opener.open_record(kind, version, octets[pos + 5 : pos + 5 + length])
        assert inner == DATA
        found += content
        pos += 5 + length
    return found


@each_way
@settings(max_examples=40, deadline=None)
@given(size=st.integers(0, LIMIT * 20), taken=st.integers(0, 3))
def test_sealing_a_run_is_sealing_each(way: str, size: int, taken: int) -> None:
    content = bytes(n % 251 for n in range(size))
    one, many = WAYS[way](), WAYS[way]()
    one.skip(taken)
    many.skip(taken)
    singles = b"".join(one.seal_record(DATA, content[at : at + LIMIT]) for at in range(0, size or 1, LIMIT))
    assert many.seal_run(DATA, memoryview(content), LIMIT) == singles
    assert many.sequence == one.sequence
    opener = WAYS[way]()
    opener.skip(taken)
    assert open_all(opener, singles) == content


@each_way
@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(0, LIMIT), min_size=1, max_size=30),
    odd=st.sampled_from(["nothing", "damage", "handshake", "padding", "empty", "too long", "cut"]),
    where=st.integers(0, 29),
)
def test_opening_a_run_stops_before_what_is_unusual(way: str, sizes: list[int], odd: str, where: int) -> None:
    sealer, opener = WAYS[way](), WAYS[way]()
    where = min(where, len(sizes) - 1)
    records, contents = [], []
    for index, size in enumerate(sizes):
        kind, padding = DATA, 0
        size = max(size, 1)
        if index == where:
            kind = HANDSHAKE if odd == "handshake" else DATA
            padding = 7 if odd == "padding" and way.startswith("1.3") else 0
            size = {"empty": 0, "too long": LIMIT + 1}.get(odd, size)
        contents.append(bytes([index + 1]) * size)
        record = bytearray(sealer.seal_record(kind, contents[-1], padding))
        if index == where and odd == "damage":
            record[-1] ^= 1
        records.append(bytes(record))
    usual = where if odd not in ("nothing", "cut") and (odd != "padding" or way.startswith("1.3")) else len(sizes)
    octets = b"".join(records)
    if odd == "cut":
        octets, usual = octets[:-1], len(sizes) - 1
    pos, found = 0, b""
    while len(octets) - pos >= 5:
        upto, content = opener.open_run(octets, pos, LIMIT)
        if not content:
            break
        pos, found = upto, found + content
    assert found == b"".join(contents[:usual])
    assert pos == sum(map(len, records[:usual]))
    assert opener.sequence == usual
    if odd == "damage":
        kind, version, length = read_header(octets, pos)
        with pytest.raises(BadRecord):
            opener.open_record(kind, version, octets[pos + 5 : pos + 5 + length])
