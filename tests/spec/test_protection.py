"""Opening and sealing: RFC 8448 records, round trips, damage, missed records, and the shared captures' suites."""

from __future__ import annotations

import os

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.errors import WireError
from synfin.spec import keys
from synfin.spec.protection import (
    BadRecord,
    Protection,
    Unsupported,
    opener_13,
    openers_12,
    sealer_13,
    sealers_12,
)
from synfin.spec.rsa import premaster_from_rsa
from synfin.wire.tls.suites import SUITES, suite
from tests.spec import rfc8448 as rfc
from tests.spec.opening import records
from tests.support.minted import key

MASTER, CLIENT_RANDOM, SERVER_RANDOM = bytes(range(48)), b"c" * 32, b"s" * 32


def test_rfc8448_records_open() -> None:
    server = opener_13(rfc.SUITE, rfc.SERVER_HANDSHAKE)
    kind, version, fragment = records(rfc.SERVER_FLIGHT_RECORD)[0]
    assert server.open_record(kind, version, fragment) == (22, rfc.SERVER_FLIGHT)
    client = opener_13(rfc.SUITE, rfc.CLIENT_HANDSHAKE)
    kind, version, fragment = records(rfc.CLIENT_FINISHED_RECORD)[0]
    assert client.open_record(kind, version, fragment) == (22, rfc.CLIENT_FINISHED)
    data = opener_13(rfc.SUITE, rfc.CLIENT_TRAFFIC)
    kind, version, fragment = records(rfc.CLIENT_DATA_RECORD)[0]
    assert data.open_record(kind, version, fragment) == (23, rfc.CLIENT_DATA)


def test_rfc8448_records_are_sealed_byte_for_byte() -> None:
    assert sealer_13(rfc.SUITE, rfc.SERVER_HANDSHAKE).seal_record(22, rfc.SERVER_FLIGHT) == rfc.SERVER_FLIGHT_RECORD
    assert sealer_13(rfc.SUITE, rfc.CLIENT_HANDSHAKE).seal_record(22, rfc.CLIENT_FINISHED) == rfc.CLIENT_FINISHED_RECORD
    assert sealer_13(rfc.SUITE, rfc.CLIENT_TRAFFIC).seal_record(23, rfc.CLIENT_DATA) == rfc.CLIENT_DATA_RECORD


def _cases() -> list[tuple[int, int, bool]]:
    """(version, suite, encrypt_then_mac) for each way of protecting records that is supported, once."""
    seen: dict[tuple[object, ...], tuple[int, int, bool]] = {}
    for code in sorted(SUITES):
        facts = suite(code)
        if facts is None:
            continue
        for version in (keys.SSL30, keys.TLS10, keys.TLS11, keys.TLS12):
            try:
                openers_12(version, code, MASTER, CLIENT_RANDOM, SERVER_RANDOM)
            except Unsupported:
                continue
            for etm in (False, True) if facts.mode == "cbc" and version > keys.SSL30 else (False,):
                seen.setdefault((version, facts.cipher, facts.hash, etm), (version, code, etm))
    for code in range(0x1301, 0x1306):
        seen[code,] = (keys.TLS13, code, False)
    return list(seen.values())


CASES = _cases()


def _pair(version: int, code: int, etm: bool) -> tuple[Protection, Protection]:
    if version == keys.TLS13:
        return sealer_13(code, MASTER[:32]), opener_13(code, MASTER[:32])
    seal = sealers_12(version, code, MASTER, CLIENT_RANDOM, SERVER_RANDOM, etm, entropy=os.urandom)
    return seal[1], openers_12(version, code, MASTER, CLIENT_RANDOM, SERVER_RANDOM, etm)[1]


def test_supported_ways_are_many() -> None:
    ciphers = {suite(code).cipher for _, code, _ in CASES if suite(code)}  # type: ignore[union-attr]
    assert ciphers == {
        *("AES_128_GCM", "AES_256_GCM", "AES_128_CCM", "AES_256_CCM", "AES_128_CCM_8", "AES_256_CCM_8"),
        *("CHACHA20_POLY1305", "AES_128_CBC", "AES_256_CBC", "CAMELLIA_128_CBC", "CAMELLIA_256_CBC"),
        *("3DES_EDE_CBC", "DES_CBC", "IDEA_CBC", "SEED_CBC", "RC4_128", "NULL"),
    }


@pytest.mark.parametrize(("version", "code", "etm"), CASES, ids=lambda value: f"{value:x}")
def test_round_trip_and_damage(version: int, code: int, etm: bool) -> None:
    seal, opener = _pair(version, code, etm)
    sent = [(22, b"hello"), (23, b""), (23, b"a" * 15), (23, b"b" * 16), (23, b"c" * 16384), (21, b"\x01\x00")]
    wire = [records(seal.seal_record(kind, data))[0] for kind, data in sent]
    assert [opener.open_record(*record) for record in wire] == sent
    assert opener.sequence == len(sent)
    seal, opener = _pair(version, code, etm)
    kind, outer, fragment = records(seal.seal_record(23, b"some content"))[0]
    for at in range(len(fragment)):
        damaged = bytearray(fragment)
        damaged[at] ^= 0x40
        fresh = _pair(version, code, etm)[1]
        changed_pad = version == keys.SSL30 and suite(code).mode == "cbc"  # type: ignore[union-attr]
        try:
            opened = fresh.open_record(kind, outer, bytes(damaged))
        except BadRecord:
            assert fresh.sequence == 0
        else:
            assert changed_pad  # SSL 3.0 does not protect its padding (the POODLE attack)
            assert opened == (23, b"some content")
    for size in range(len(fragment)):
        with pytest.raises(BadRecord):
            _pair(version, code, etm)[1].open_record(kind, outer, fragment[:size])
    with pytest.raises(BadRecord):
        _pair(version, code, etm)[1].open_record(kind - 1, outer, fragment)


@pytest.mark.parametrize(("version", "code", "etm"), CASES, ids=lambda value: f"{value:x}")
def test_missed_records_are_found_where_the_cipher_allows(version: int, code: int, etm: bool) -> None:
    seal, opener = _pair(version, code, etm)
    wire = [records(seal.seal_record(23, f"record {number}".encode()))[0] for number in range(12)]
    opener.open_record(*wire[0])
    missed = opener.try_resync(*wire[10])
    if opener.independent:
        assert missed == 9
        assert opener.open_record(*wire[10]) == (23, b"record 10")
        assert opener.open_record(*wire[11]) == (23, b"record 11")
        assert opener.try_resync(*wire[3], limit=5) is None
        assert opener.sequence == 12
    else:
        assert missed is None
        assert opener.open_record(*wire[1]) == (23, b"record 1")


def test_skip_steps_over_records() -> None:
    seal, opener = sealer_13(0x1301, b"s" * 32), opener_13(0x1301, b"s" * 32)
    wire = [records(seal.seal_record(23, bytes([number])))[0] for number in range(4)]
    opener.skip(3)
    assert opener.open_record(*wire[3]) == (23, b"\x03")


@given(data=st.binary(max_size=100), padding=st.integers(0, 300), kind=st.sampled_from([21, 22, 23]))
@settings(max_examples=50)
def test_tls13_padding_and_key_update(data: bytes, padding: int, kind: int) -> None:
    seal, opener = sealer_13(0x1303, b"s" * 32), opener_13(0x1303, b"s" * 32)
    record = seal.seal_record(kind, data, padding)
    assert len(record) == 5 + len(data) + 1 + padding + 16
    assert opener.open_record(*records(record)[0]) == (kind, data)
    record = seal.updated().seal_record(kind, data)
    with pytest.raises(BadRecord):
        opener.open_record(*records(record)[0])
    assert opener.updated().open_record(*records(record)[0]) == (kind, data)


def test_tls13_record_of_padding_only_is_bad() -> None:
    seal, opener = sealer_13(0x1301, b"s" * 32), opener_13(0x1301, b"s" * 32)
    with pytest.raises(BadRecord, match="content type"):
        opener.open_record(*records(seal.seal_record(0, b""))[0])


@given(st.sampled_from(CASES), st.sampled_from([20, 21, 22, 23, 99]), st.binary(max_size=200))
@settings(max_examples=200)
def test_random_fragments_raise_bad_record_only(case: tuple[int, int, bool], kind: int, fragment: bytes) -> None:
    opener = _pair(*case)[1]
    with pytest.raises(BadRecord):
        opener.open_record(kind, 0x0303, fragment)


@pytest.mark.parametrize(
    ("version", "code"),
    [
        (keys.TLS12, 0x0003),  # export
        (keys.TLS12, 0xC03C),  # ARIA
        (keys.TLS12, 0xC07A),  # Camellia-GCM
        (keys.TLS12, 0xCC13),  # ChaCha20 draft
        (keys.TLS12, 0x0081),  # GOST
        (keys.TLS12, 0x00C6),  # SM4
        (keys.TLS12, 0x0000),  # NULL_WITH_NULL_NULL protects nothing
        (keys.TLS12, 0x1301),
        (keys.TLS11, 0xC02F),  # GCM needs TLS 1.2
        (keys.TLS12, 0x0A0A),  # GREASE
        (0x0002, 0x0004),
    ],
)
def test_unsupported_is_said_by_name(version: int, code: int) -> None:
    with pytest.raises(Unsupported) as caught:
        openers_12(version, code, MASTER, CLIENT_RANDOM, SERVER_RANDOM)
    assert (SUITES.get(code) or f"0x{code:04X}") in caught.value.name


@pytest.mark.parametrize("code", [0xC02F, 0x1306, 0xC0B4, 0x1399])
def test_unsupported_in_tls13(code: int) -> None:
    with pytest.raises(Unsupported):
        opener_13(code, b"s" * 32)


def test_rsa_premaster() -> None:
    private, other = key("rsa2048"), key("rsa2048", 1)
    premaster = b"\x03\x03" + bytes(46)
    encrypted = private.public_key().encrypt(premaster, PKCS1v15())
    assert premaster_from_rsa(private, encrypted) == premaster
    for wrong in (encrypted[:-1], b"", bytes(256), private.public_key().encrypt(b"short", PKCS1v15())):
        with pytest.raises(WireError):
            premaster_from_rsa(private, wrong)
        assert premaster_from_rsa(private, wrong, b"instead") == b"instead"
    with pytest.raises(WireError):
        premaster_from_rsa(other, encrypted)
