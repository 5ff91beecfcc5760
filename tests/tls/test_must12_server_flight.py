"""The client's second flight at a TLS 1.2 server: key exchange, certificates, ChangeCipherSpec, Finished.

By the sections of RFC 5246, 7919 and 8422; rows as in ``test_must12_server``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from synfin.tls import Credential, accept_any_certificate, groups
from synfin.tls.exchange12 import opened
from synfin.wire.tls.messages import ClientKeyExchange
from tests.support.tlsoctets import (
    BAD_CERT,
    BAD_MAC,
    DECODE,
    DECRYPT,
    FAILURE,
    ILLEGAL,
    UNEXPECTED,
    UNSUPPORTED_CERT,
    certificates,
    message,
    record,
)
from tests.tls.bad_client import CHANGE, BadClient, played
from tests.tls.edits import Edit, after, before, body, exactly, flipped, flipped_at, gone, hello, twice
from tests.tls.ends import credential, leaf, root, verifier

# ---------------------------------------------------------------- ClientKeyExchange


def number(value: int | bytes, size: int = 256) -> bytes:
    """A value behind its length of two octets."""
    data = value if isinstance(value, bytes) else value.to_bytes(size, "big")
    return len(data).to_bytes(2, "big") + data


PRIME = int.from_bytes(groups.prime_octets(256), "big")
POINTS: list[tuple[str, int, Callable[[bytes], bytes], int | None]] = [
    ("as it is", 29, lambda b: b, None),
    ("7748 5 its high bit is ignored", 29, lambda b: b[:-1] + bytes([b[-1] | 0x80]), None),
    ("8422 5.11 zero", 29, lambda b: b"\x20" + bytes(32), ILLEGAL),
    ("8422 5.11 small order", 29, lambda b: b"\x20\1" + bytes(31), ILLEGAL),
    ("8422 5.11 31 octets", 29, lambda b: b"\x1f" + bytes(31), ILLEGAL),
    ("8422 5.11 33 octets", 29, lambda b: b"\x21" + bytes(33), ILLEGAL),
    ("8422 5.11 X448 zero", 30, lambda b: b"\x38" + bytes(56), ILLEGAL),
    ("8422 5.7 no point", 29, lambda b: b"\0", DECODE),
    ("8422 5.7 nothing", 29, lambda b: b"", DECODE),
    ("8422 5.7 length too long", 29, lambda b: b"\x21" + b[1:], DECODE),
    ("8422 5.7 trailing", 29, lambda b: b + b"\0", DECODE),
    ("8422 5.10 as it is", 23, lambda b: b, None),
    ("8422 5.10 off the curve", 23, lambda b: b"\x41\4" + b"\1" * 64, ILLEGAL),
    ("8422 5.10 beyond the prime", 23, lambda b: b"\x41\4" + b"\xff" * 64, ILLEGAL),
    ("8422 5.10 zero", 23, lambda b: b"\x41\4" + bytes(64), ILLEGAL),
    ("8422 5.4.1 compressed", 23, lambda b: b"\x21" + bytes([2 + (b[-1] & 1)]) + b[2:34], ILLEGAL),
    ("8422 5.4.1 hybrid", 23, lambda b: b"\x41" + bytes([6 + (b[-1] & 1)]) + b[2:], ILLEGAL),
    ("8422 5.4.1 raw", 23, lambda b: b"\x40" + b[2:], ILLEGAL),
    ("8422 5.4.1 infinity", 23, lambda b: b"\1\0", ILLEGAL),
    ("8422 5.7 another curve's", 23, lambda b: b"\x61\4" + bytes(96), ILLEGAL),
    ("8422 5.7 cut", 23, lambda b: b[:-1], DECODE),
]


@pytest.mark.parametrize(("what", "group", "make", "alert"), POINTS, ids=[row[0] for row in POINTS])
def test_elliptic_points(what: str, group: int, make: Callable[[bytes], bytes], alert: int | None) -> None:
    played(
        {16: body(make)},
        alert,
        "p256",
        client={"groups": tuple(dict.fromkeys((group, 23)))},
        server={"groups": (group,)},
    )


NUMBERS: list[tuple[str, Callable[[bytes], bytes], int | None]] = [
    ("as it is", lambda b: b, None),
    ("5246 8.1.2 leading zeros", lambda b: number(bytes(9) + b[2:]), None),
    ("5246 8.1.2 without its leading zeros", lambda b: number(b[2:].lstrip(b"\0")), None),
    ("7919 4 0", lambda b: number(0), FAILURE),
    ("7919 4 0 in one octet", lambda b: number(b"\0"), FAILURE),
    ("7919 4 1", lambda b: number(1), FAILURE),
    ("7919 4 p-1", lambda b: number(PRIME - 1), FAILURE),
    ("7919 4 p", lambda b: number(PRIME), FAILURE),
    ("7919 4 p+1", lambda b: number(PRIME + 1), FAILURE),
    ("7919 4 an octet more", lambda b: number(b"\1" + b[2:]), FAILURE),
    ("7919 4 as long as may be", lambda b: number(b"\xff" * 0xFFFF), FAILURE),
    ("5246 7.4.7.2 no value", lambda b: number(b""), DECODE),
    ("5246 7.4.7.2 nothing", lambda b: b"", DECODE),
    ("5246 7.4.7.2 cut", lambda b: b[:-1], DECODE),
    ("5246 7.4.7.2 trailing", lambda b: b + b"\0", DECODE),
]


@pytest.mark.parametrize(("what", "make", "alert"), NUMBERS, ids=[row[0] for row in NUMBERS])
def test_finite_fields(what: str, make: Callable[[bytes], bytes], alert: int | None) -> None:
    suites = {"suites": (0x009E,), "groups": (256,)}
    played({16: body(make)}, alert, "rsa2048", server=suites, client=suites)


def padded(secret: bytes, first: bytes = b"\0\2", filler: bytes = b"\x55", end: bytes = b"\0") -> bytes:
    """A block of PKCS#1 v1.5 with ``secret``, encrypted to the server's key."""
    block = first + filler * (256 - len(first) - len(end) - len(secret)) + end + secret
    public = leaf("rsa2048").key.public_key().public_numbers()
    return number(pow(int.from_bytes(block, "big"), public.e, public.n))


def modulus() -> int:
    found: int = leaf("rsa2048").key.public_key().public_numbers().n
    return found


SECRET = b"\x11" * 46
SECRETS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("of another client", lambda b: padded(b"\3\3" + SECRET)),
    ("version of TLS 1.0", lambda b: padded(b"\3\1" + SECRET)),
    ("version 0", lambda b: padded(b"\0\0" + SECRET)),
    ("one octet short", lambda b: padded(b"\3\3" + SECRET[:-1])),
    ("one octet long", lambda b: padded(b"\3\3" + SECRET + b"x")),
    ("of nothing", lambda b: padded(b"")),
    ("of one octet", lambda b: padded(b"\3")),
    ("block type 1", lambda b: padded(b"\3\3" + SECRET, first=b"\0\1")),
    ("first octet 1", lambda b: padded(b"\3\3" + SECRET, first=b"\1\2")),
    ("without an end of its padding", lambda b: padded(b"\3\3" + SECRET, end=b"\x55")),
    ("padding too short", lambda b: padded(b"\3\3" + SECRET, first=b"\0\2" + b"\x55" * 6 + b"\0")),
    ("all zero", lambda b: number(0)),
    ("one", lambda b: number(1)),
    ("as large as the modulus", lambda b: number(modulus())),
    ("larger than the modulus", lambda b: number(b"\xff" * 256)),
    ("255 octets", lambda b: number(b"\1" * 255)),
    ("257 octets", lambda b: number(b"\1" * 257)),
    ("no octets", lambda b: number(b"")),
]


@pytest.mark.parametrize(("what", "make"), SECRETS, ids=[row[0] for row in SECRETS])
def test_static_rsa_tells_nothing(what: str, make: Callable[[bytes], bytes]) -> None:
    """RFC 5246 7.4.7.1: whatever is wrong with the secret, the handshake goes on, and Finished does not open."""
    played({16: body(make)}, BAD_MAC, "rsa2048", server={"suites": (0x009C,)}, client={"suites": (0x009C,)})


@pytest.mark.parametrize(("version", "alert"), [(0x0303, None), (0x0304, BAD_MAC), (0x03FF, BAD_MAC)])
def test_the_version_in_a_secret_is_the_hellos(version: int, alert: int | None) -> None:
    """RFC 5246 7.4.7.1: client_version, not what was agreed; our client's secret always begins with 0x0303."""
    suites = {"suites": (0x009C,)}
    played({1: hello(legacy_version=version)}, alert, "rsa2048", server=suites, client=suites)
    key, chance = leaf("rsa2048").key, bytes(range(48))
    for secret, told in ((b"\3\3" + SECRET, SECRET), (b"\x17\0" + SECRET, SECRET), (SECRET, chance[2:])):
        sealed = ClientKeyExchange("RSA", None, padded(secret)[2:], 2)
        found = opened(key, sealed, version, lambda size: chance[:size])
        assert found == version.to_bytes(2, "big") + told


FORMS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("without its length", lambda b: b[2:]),
    ("nothing", lambda b: b""),
    ("half a length", lambda b: b"\0"),
    ("cut", lambda b: b[:-1]),
    ("trailing", lambda b: b + b"\0"),
]


@pytest.mark.parametrize(("what", "make"), FORMS, ids=[row[0] for row in FORMS])
def test_static_rsa_has_a_length(what: str, make: Callable[[bytes], bytes]) -> None:
    """RFC 5246 7.4.7.1: complete with length octets; this is no secret."""
    played({16: body(make)}, DECODE, "rsa2048", server={"suites": (0x009C,)}, client={"suites": (0x009C,)})


# ---------------------------------------------------------------- order


def first_hello(bad: BadClient, raw: bytes) -> bytes:
    return bad.hello + raw


ORDER: list[tuple[str, dict[int, Edit], int]] = [
    ("7.4.7 left out", {16: gone}, UNEXPECTED),
    ("7.4 twice", {16: twice}, UNEXPECTED),
    ("7.4.6 Certificate unasked", {16: before(message(11, b"\0\0\0"))}, UNEXPECTED),
    ("7.4.8 CertificateVerify unasked", {16: after(message(15, b"\4\3\0\1x"))}, UNEXPECTED),
    ("7.4.1.2 ClientHello again", {16: first_hello}, UNEXPECTED),
    ("7.4.1.1 HelloRequest", {16: before(message(0, b""))}, UNEXPECTED),
    ("7.4 ServerHello", {16: before(message(2, b""))}, UNEXPECTED),
    ("7.4 ServerKeyExchange", {16: before(message(12, b""))}, UNEXPECTED),
    ("7.4 ServerHelloDone", {16: before(message(14, b""))}, UNEXPECTED),
    ("5077 3.3 NewSessionTicket", {16: after(message(4, bytes(6)))}, UNEXPECTED),
    ("6066 8 CertificateStatus", {16: before(message(22, b"\1\0\0\1x"))}, UNEXPECTED),
    ("7.4 a type unknown", {16: before(message(99, b""))}, UNEXPECTED),
    ("7.4 next protocol", {20: before(message(67, b"\0"))}, UNEXPECTED),
    ("7.2.2 longer than it can be", {16: lambda bad, raw: b"\x10\xff\xff\xff" + raw[4:]}, DECODE),
    ("7.4.9 Finished before ChangeCipherSpec", {16: after(message(20, bytes(12)))}, UNEXPECTED),
    ("7.4.9 first octet", {20: flipped_at(4)}, DECRYPT),
    ("7.4.9 last octet", {20: flipped_at(15)}, DECRYPT),
    ("7.4.9 cut", {20: body(lambda b: b[:-1])}, DECODE),
    ("7.4.9 longer", {20: body(lambda b: b + b"\0")}, DECODE),
    ("7.4.9 of SSL 3.0", {20: exactly(20, bytes(36))}, DECODE),
    ("7.4.9 nothing", {20: exactly(20, b"")}, DECODE),
    ("7.4.9 key exchange in its place", {20: exactly(16, b"\1x")}, UNEXPECTED),
]


@pytest.mark.parametrize(("what", "edits", "alert"), ORDER, ids=[row[0] for row in ORDER])
def test_order(what: str, edits: dict[int, Edit], alert: int) -> None:
    played(edits, alert)


def test_each_octet_of_finished() -> None:
    for at in range(4, 16):
        for bit in (1, 0x80):
            played({20: lambda bad, raw, at=at, bit=bit: raw[:at] + bytes([raw[at] ^ bit]) + raw[at + 1 :]}, DECRYPT)  # type: ignore[misc]


CHANGES: list[tuple[str, bytes, int | None]] = [
    ("7.1 as it is", CHANGE, None),
    ("7.4.9 left out", b"", UNEXPECTED),
    ("7.1 twice", CHANGE * 2, BAD_MAC),  # the second one is not protected by what the first brought
    ("7.1 of 0", b"\x14\3\3\0\1\0", UNEXPECTED),
    ("7.1 of 2", b"\x14\3\3\0\1\2", UNEXPECTED),
    ("7.1 of two octets", b"\x14\3\3\0\2\1\1", UNEXPECTED),
    ("6.2.1 of nothing", b"\x14\3\3\0\0", UNEXPECTED),
]


@pytest.mark.parametrize(("what", "octets", "alert"), CHANGES, ids=[row[0] for row in CHANGES])
def test_change_cipher_spec(what: str, octets: bytes, alert: int | None) -> None:
    played(None, alert, change=octets)


def _early(bad: BadClient, kind: int, content: bytes) -> bytes | None:
    return CHANGE + record(content) if content[:1] == b"\x10" else None


def _within(bad: BadClient, kind: int, content: bytes) -> bytes | None:
    return record(content[:7]) + CHANGE + record(content[7:]) if content[:1] == b"\x10" else None


def _finished_in_clear(bad: BadClient, kind: int, content: bytes) -> bytes | None:
    return record(content) if content[:1] == b"\x14" and kind == 22 else None


def _within_finished(bad: BadClient, kind: int, content: bytes) -> bytes | None:
    if content[:1] != b"\x14":
        return None
    return bad.sealed(22, content[:5]) + bad.sealed(20, b"\1") + bad.sealed(22, content[5:])


def _octetwise(bad: BadClient, kind: int, content: bytes) -> bytes | None:
    return b"".join(bad.sealed(kind, content[at : at + 1]) for at in range(len(content))) if kind == 22 else None


def _data_before(bad: BadClient, kind: int, content: bytes) -> bytes | None:
    return bad.sealed(23, b"x") + bad.sealed(22, content) if content[:1] == b"\x14" else None


def _nothing_before(bad: BadClient, kind: int, content: bytes) -> bytes | None:
    return bad.sealed(23, b"") + bad.sealed(22, content) if content[:1] == b"\x14" else None


PLACES: list[tuple[str, Any, int | None]] = [
    ("7.1 before the key exchange", _early, UNEXPECTED),
    ("7.1 within the key exchange", _within, UNEXPECTED),
    ("7.1 within Finished", _within_finished, UNEXPECTED),
    ("7.4.9 Finished in clear", _finished_in_clear, BAD_MAC),
    ("6.2.1 messages octet by octet", _octetwise, None),
    ("7.3 data before Finished", _data_before, UNEXPECTED),
    ("7.3 data of nothing before Finished", _nothing_before, UNEXPECTED),
]


@pytest.mark.parametrize(("what", "records", "alert"), PLACES, ids=[row[0] for row in PLACES])
def test_places(what: str, records: Any, alert: int | None) -> None:
    played(None, alert, records=records)


# ---------------------------------------------------------------- client certificates


def own(kind: str = "p256") -> bytes:
    return credential(kind, client=True).chain[0]


def scheme(code: int) -> dict[int, Edit]:
    """CertificateVerify by another scheme."""
    return {15: body(lambda b: code.to_bytes(2, "big") + b[2:])}


CERTIFICATES: list[tuple[str, str, dict[int, Edit], int | None]] = [
    ("7.4.8 as it is", "p256", {}, None),
    ("7.4.8 RSA", "rsa2048", {}, None),
    ("8422 3 Ed25519", "ed25519", {}, None),
    ("7.4.6 left out", "p256", {11: gone}, UNEXPECTED),
    ("7.4.6 left out with its proof", "p256", {11: gone, 15: gone}, UNEXPECTED),
    ("7.4.6 twice", "p256", {11: twice}, UNEXPECTED),
    ("7.4.2 no DER", "p256", {11: lambda bad, raw: certificates(b"x" * 100)}, BAD_CERT),
    ("7.4.2 DER and more", "p256", {11: lambda bad, raw: certificates(own() + b"\0")}, BAD_CERT),
    ("7.4.2 DER cut", "p256", {11: lambda bad, raw: certificates(own()[:-1])}, BAD_CERT),
    ("7.4.2 its signature wrong", "p256", {11: flipped}, BAD_CERT),
    ("7.4.2 of nothing", "p256", {11: lambda bad, raw: certificates(b"")}, DECODE),
    ("7.4.2 the second of nothing", "p256", {11: lambda bad, raw: certificates(own(), b"")}, DECODE),
    ("7.4.2 cut", "p256", {11: body(lambda b: b[:-1])}, DECODE),
    ("7.4.2 trailing", "p256", {11: body(lambda b: b + b"\0")}, DECODE),
    ("7.4.2 nothing", "p256", {11: exactly(11, b"")}, DECODE),
    ("7.4.2 as TLS 1.3 has it", "p256", {11: body(lambda b: b"\0" + b)}, DECODE),
    ("7.2.2 for a server", "p256", {11: lambda bad, raw: certificates(leaf().der)}, UNSUPPORTED_CERT),
    ("7.2.2 of a CA", "p256", {11: lambda bad, raw: certificates(root().der)}, UNSUPPORTED_CERT),
    ("7.4.8 of another key", "p256", {11: lambda bad, raw: certificates(own("rsa2048"))}, ILLEGAL),
    ("7.4.8 left out", "p256", {15: gone}, UNEXPECTED),
    ("7.4.8 twice", "p256", {15: twice}, UNEXPECTED),
    ("7.4.8 before the key exchange", "p256", {16: before(message(15, b"\4\3\0\1x"))}, UNEXPECTED),
    ("7.4.8 first octet", "p256", {15: flipped_at(8)}, DECRYPT),
    ("7.4.8 last octet", "p256", {15: flipped}, DECRYPT),
    ("7.4.8 RSA wrong", "rsa2048", {15: flipped_at(100)}, DECRYPT),
    ("7.4.8 RSA of zeros", "rsa2048", {15: body(lambda b: b[:4] + bytes(256))}, DECRYPT),
    ("7.4.8 RSA an octet short", "rsa2048", {15: body(lambda b: b[:2] + b"\0\xff" + b[5:])}, DECRYPT),
    ("7.4.8 no signature", "p256", {15: body(lambda b: b[:2] + b"\0\0")}, DECRYPT),
    ("7.4.8 cut", "p256", {15: body(lambda b: b[:-1])}, DECODE),
    ("7.4.8 trailing", "p256", {15: body(lambda b: b + b"\0")}, DECODE),
    ("7.4.8 nothing", "p256", {15: exactly(15, b"")}, DECODE),
    ("7.4.8 as TLS 1.1 has it", "p256", {15: body(lambda b: b[2:])}, DECODE),
    ("9155 5 SHA-1", "p256", scheme(0x0203), ILLEGAL),
    ("9155 5 MD5", "rsa2048", scheme(0x0101), ILLEGAL),
    ("7.4.8 SHA-224", "p256", scheme(0x0303), ILLEGAL),
    ("7.4.8 anonymous", "p256", scheme(0x0400), ILLEGAL),
    ("7.4.8 unknown", "p256", scheme(0xFEFE), ILLEGAL),
    ("7.4.8 of RSA", "p256", scheme(0x0401), ILLEGAL),
    ("7.4.8 of PSS", "p256", scheme(0x0804), ILLEGAL),
    ("7.4.8 of ECDSA", "rsa2048", scheme(0x0403), ILLEGAL),
    ("7.4.8 of a key for PSS alone", "rsa2048", scheme(0x0809), ILLEGAL),
    ("7.4.8 Ed25519 by another key", "p256", scheme(0x0807), ILLEGAL),
    ("7.4.8 another hash", "p256", scheme(0x0503), DECRYPT),
]


@pytest.mark.parametrize("demand", ["optional", "required"])
@pytest.mark.parametrize(("what", "kind", "edits", "alert"), CERTIFICATES, ids=[row[0] for row in CERTIFICATES])
def test_client_certificates(what: str, kind: str, edits: dict[int, Edit], alert: int | None, demand: str) -> None:
    server = {"client_auth": demand, "verify": verifier()}
    played(edits, alert, server=server, client={"credentials": (credential(kind, client=True),)})


@pytest.mark.parametrize(("demand", "alert"), [("optional", None), ("required", FAILURE)])
def test_no_client_certificate(demand: str, alert: int | None) -> None:
    """RFC 5246 7.4.6: a fatal handshake_failure, or on without."""
    played(None, alert, server={"client_auth": demand, "verify": verifier()})


def test_proof_of_no_certificate() -> None:
    """RFC 5246 7.4.8: it is sent for a certificate only."""
    server = {"client_auth": "optional", "verify": verifier()}
    more = {"credentials": (credential(client=True),)}
    played({11: exactly(11, b"\0\0\0")}, UNEXPECTED, server=server, client=more)


def test_change_cipher_spec_before_the_proof() -> None:
    """RFC 5246 7.4.8: CertificateVerify MUST follow the key exchange at once."""

    def records(bad: BadClient, kind: int, content: bytes) -> bytes | None:
        if content[:1] != b"\x0b":
            return None
        at = 4 + int.from_bytes(content[1:4], "big")
        at += 4 + int.from_bytes(content[at + 1 : at + 4], "big")
        return record(content[:at]) + CHANGE + record(content[at:])

    server = {"client_auth": "required", "verify": verifier()}
    played(None, UNEXPECTED, server=server, client={"credentials": (credential(client=True),)}, records=records)


def test_a_clients_key_is_for_signing() -> None:
    """RFC 5246 7.4.6: its key usage, where there is one, must allow it."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "client")])
    key = leaf("p256").key
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1).public_key(key.public_key())
    made = made.not_valid_before(datetime(2020, 1, 1)).not_valid_after(datetime(2040, 1, 1))
    for signs, alert in ((True, None), (False, UNSUPPORTED_CERT)):
        usage = x509.KeyUsage(signs, False, False, False, not signs, False, False, False, False)
        der = made.add_extension(usage, critical=True).sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
        server = {"client_auth": "required", "verify": accept_any_certificate}
        played(None, alert, server=server, client={"credentials": (Credential((der,), key),)})
