"""TLS 1.3 clients: which shares of a server are keys (RFC 8446 4.2.8, 7.4), and what a client says of itself (4.4)."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dh

from synfin.tls import groups
from synfin.tls.ffdhe import PRIMES
from tests.support.tlsoctets import DECODE, ILLEGAL, NEW, OLD
from tests.tls.bad_server import Bad, carried, ends, judged
from tests.tls.edits import Edit, exactly, hello
from tests.tls.ends import NAME, NOW, Teller, client, client_config, credential, pump, server, server_config, verifier
from tests.tls.test_letter_client13 import cr

P256 = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
P384 = (1 << 384) - (1 << 128) - (1 << 96) + (1 << 32) - 1
P521 = (1 << 521) - 1
CURVES = {23: (P256, 32), 24: (P384, 48), 25: (P521, 66)}
G256 = bytes.fromhex(
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)
#: u-coordinates of small order (RFC 7748 6.1), and 2^255 - 19 and the next one, which are 0 and 1.
SMALL_25519 = [
    0,
    1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
    (1 << 255) - 20,
    (1 << 255) - 19,
    (1 << 255) - 18,
]
P448 = (1 << 448) - (1 << 224) - 1


def _points(group: int) -> list[tuple[str, bytes]]:
    p, size = CURVES[group]

    def point(x: int, y: int, form: int = 4) -> bytes:
        return bytes([form]) + x.to_bytes(size, "big") + y.to_bytes(size, "big")

    good = int.from_bytes(G256[:32], "big"), int.from_bytes(G256[32:], "big")
    rows = [
        ("zeros", point(0, 0)),
        ("off the curve", point(1, 1)),
        ("x of p", point(p, 1)),
        ("y of p", point(1, p)),
        ("infinity", b"\0"),
        ("infinity of full length", bytes(2 * size + 1)),
        ("no form", point(1, 1)[1:]),
        ("compressed", b"\2" + (1).to_bytes(size, "big")),
        ("one short", point(1, 1)[:-1]),
        ("one long", point(1, 1) + b"\0"),
    ]
    if group == 23:
        rows += [("hybrid", point(*good, 6)), ("form 5", point(*good, 5)), ("y turned", point(good[0], good[1] ^ 1))]
        rows += [("x and p", point(good[0], good[1])[:1] + (p + 5).to_bytes(size, "big") + G256[32:])]
    return rows


def _shares() -> list[tuple[str, int, bytes]]:
    rows = [(f"{group}: {what}", group, share) for group in CURVES for what, share in _points(group)]
    rows += [(f"29: {number % 1000}", 29, number.to_bytes(32, "little")) for number in SMALL_25519]
    rows += [(f"30: {number % 1000}", 30, number.to_bytes(56, "little")) for number in (0, 1, P448 - 1, P448, P448 + 1)]
    for group, size in ((29, 32), (30, 56)):
        rows += [(f"{group}: {n} octets", group, b"\5" * n) for n in (1, size - 1, size + 1, 2 * size)]
    for group in (256, 257):
        p = PRIMES[group]
        size = (p.bit_length() + 7) // 8
        rows += [(f"{group}: {what}", group, y.to_bytes(size, "big")) for what, y in _outside(p)]
        rows += [(f"{group}: 2 in one octet", group, b"\2"), (f"{group}: one long", group, bytes(size) + b"\2")]
        rows += [(f"{group}: one short", group, bytes(size - 2) + b"\2")]
    rows += [(f"4588: {n} octets", 4588, bytes(n)) for n in (1, 32, 1088, 1119, 1121)]
    rows += [("4588: a zero inside", 4588, b"\5" * 1088 + bytes(32))]
    return rows


def _outside(p: int) -> list[tuple[str, int]]:
    top = (1 << ((p.bit_length() + 7) // 8 * 8)) - 1
    return [("0", 0), ("1", 1), ("p - 1", p - 1), ("p", p), ("p + 1", p + 1), ("most", top)]


SHARES = _shares()


@pytest.mark.parametrize(("what", "group", "share"), SHARES, ids=[row[0] for row in SHARES])
def test_shares_that_are_no_keys(what: str, group: int, share: bytes) -> None:
    """RFC 8446 4.2.8.1, 4.2.8.2, 7.4.2: illegal_parameter, whichever of the checks fails."""
    body = group.to_bytes(2, "big") + len(share).to_bytes(2, "big") + share
    carried(NEW, {2: hello((51, body))}, ILLEGAL, client={"groups": (group,)}, server={"groups": (group,)})


@pytest.mark.parametrize("group", [29, 23, 24, 25, 30, 256, 257, 4588])
def test_shares_that_are_keys(group: int) -> None:
    carried(NEW, {}, None, client={"groups": (group,)}, server={"groups": (group,)})


@pytest.mark.parametrize("group", [256, 257])
def test_a_secret_of_a_finite_field_keeps_its_zeros(group: int) -> None:
    """RFC 8446 7.4.1: padded to the size of the prime, unlike TLS 1.2."""
    p = PRIMES[group]
    numbers = dh.DHPrivateNumbers(2, dh.DHPublicNumbers(4, dh.DHParameterNumbers(p, 2)))
    size = (p.bit_length() + 7) // 8
    secret = groups.agree(group, numbers.private_key(), (3).to_bytes(size, "big"))
    assert secret == (9).to_bytes(size, "big")


def test_public_values_of_finite_fields_keep_their_zeros() -> None:
    """RFC 8446 4.2.8.1."""
    assert {len(groups.generate(256, lambda size: bytes(size))[1]) for _ in range(8)} == {256}


# ---------------------------------------------------------------- what a client says of itself


class Heard(Teller):
    """A client whose messages are kept."""

    def say_raw(self, raw: bytes) -> bytes:
        """See ``Endpoint``."""
        self.__dict__.setdefault("kept", []).append(bytes(raw))
        return super().say_raw(raw)

    @property
    def heard(self) -> dict[int, bytes]:
        return {raw[0]: raw for raw in self.__dict__["kept"][1:]}


def heard(request: bytes | None, **more: Any) -> Heard:
    """A client that was asked this way."""
    edits: dict[int, Edit] = {13: exactly(13, request[4:])} if request is not None else {}
    asking = {"client_auth": "optional", "verify": verifier()} if request is not None else {}
    one, bad = ends(NEW, edits, server=asking, client=more)
    two = Heard(one.config, NAME, now=NOW, entropy=one.entropy)
    pump(two, bad)
    return two


def extensions(certificate: bytes) -> list[int]:
    """Of the first entry of a Certificate message, by hand."""
    at = 4 + 1 + certificate[4] + 3
    at += 3 + int.from_bytes(certificate[at : at + 3], "big")
    stop = at + 2 + int.from_bytes(certificate[at : at + 2], "big")
    at, found = at + 2, []
    while at < stop:
        found.append(int.from_bytes(certificate[at : at + 2], "big"))
        at += 4 + int.from_bytes(certificate[at + 2 : at + 4], "big")
    return found


SCHEMES = (13, b"\0\2\4\3")
RICH = {"credentials": (credential(client=True, ocsp=b"staple", scts=b"\0\6\0\4abcd"),)}


def test_a_client_sends_a_certificate_only_when_asked() -> None:
    """RFC 8446 4.4.2, 4.4.4: Finished in any case."""
    assert list(heard(None, **RICH).heard) == [20]
    assert list(heard(cr(SCHEMES), **RICH).heard) == [11, 15, 20]
    assert list(heard(cr(SCHEMES)).heard) == [11, 20]
    assert heard(cr(SCHEMES)).heard[11] == b"\x0b\0\0\4\0\0\0\0"


def test_extensions_of_a_clients_certificate_were_asked_for() -> None:
    """RFC 8446 4.2, 4.4.2."""
    assert extensions(heard(cr(SCHEMES), **RICH).heard[11]) == []
    assert extensions(heard(cr(SCHEMES, (5, b"")), **RICH).heard[11]) == [5]
    assert extensions(heard(cr(SCHEMES, (18, b"")), **RICH).heard[11]) == [18]
    assert 25 not in heard(cr(SCHEMES), **RICH).heard


@pytest.mark.parametrize(
    ("listed", "kind", "signed"),
    [
        (b"\0\2\4\3", "p256", 0x0403),
        (b"\0\2\5\3", "p256", None),
        (b"\0\4\2\3\4\3", "p256", 0x0403),
        (b"\0\2\2\3", "p256", None),  # SHA-1
        (b"\0\4\4\1\x08\5", "rsa2048", 0x0805),
        (b"\0\2\4\1", "rsa2048", None),  # PKCS#1
        (b"\0\2\x08\x09", "rsa2048", None),  # of another kind of key
        (b"\0\4\x99\x99\x08\7", "ed25519", 0x0807),
    ],
)
def test_a_client_signs_as_it_was_asked(listed: bytes, kind: str, signed: int | None) -> None:
    """RFC 8446 4.4.3, 4.2.3: from the request's list, fit for the key; else no certificate at all."""
    request = cr((13, listed), (50, b"\0\6\4\3\x08\4\4\1"))
    one = heard(request, credentials=(credential(kind, client=True),))
    found = one.heard.get(15)
    assert (None if found is None else int.from_bytes(found[4:6], "big")) == signed
    assert (one.heard[11][5:8] == b"\0\0\0") == (signed is None)


def test_what_follows_finished_is_under_application_keys() -> None:
    """RFC 8446 4.4.4."""
    one, bad = ends(NEW, {})
    pump(one, bad)
    bad.seal(22, b"\x18\0\0\1\7")
    one.receive(bad.take_output(NOW), NOW)
    out = bytes(one.take_output(NOW))
    assert one.keys13 is not None
    schedule = one.keys13.schedule
    assert schedule.protection(schedule.client_next).open_record(23, 0x0303, memoryview(out)[5:])[1] == b"\2\x2f"
    judged(one, ILLEGAL)


def test_syntax_before_sense() -> None:
    """RFC 8446 6: what cannot be parsed is decode_error though it would be illegal_parameter too."""

    def edit(bad: Bad, raw: bytes) -> bytes:
        return hello((51, b"\0\x1d\0\x20" + bytes(31)), cipher_suite=0x1301)(bad, raw)

    carried(NEW, {2: edit}, DECODE)


@pytest.mark.parametrize("version", [OLD, NEW])
def test_what_is_checked_and_what_is_signed_with_may_differ(version: int) -> None:
    """One list is what a peer may sign with, the other what we do."""
    own = {"credentials": (credential("rsa2048", client=True),), "schemes": (0x0403,), "sign_with": (0x0806, 0x0805)}
    asking = {"client_auth": "required", "verify": verifier(), "schemes": (0x0805, 0x0806), "sign_with": (0x0403,)}
    one, two = client(client_config(**own, max_version=version)), server(server_config(**asking))
    pump(one, two)
    assert one.facts is not None
    assert two.facts is not None
    assert (one.facts.signature, one.facts.own_signature) == (0x0403, 0x0806)
    assert (two.facts.signature, two.facts.own_signature) == (0x0806, 0x0403)
    assert one.facts.authorities == ()
    with pytest.raises(ValueError, match="0x0201"):
        client_config(sign_with=(0x0201,))


@pytest.mark.parametrize("version", [OLD, NEW])
@pytest.mark.parametrize("names", [(), (b"\x30\0",)])
def test_a_client_is_told_whose_certificates_are_wanted(version: int, names: tuple[bytes, ...]) -> None:
    asking = {"client_auth": "optional", "verify": verifier(), "client_authorities": names}
    one, two = client(client_config(max_version=version)), server(server_config(**asking))
    pump(one, two)
    assert one.facts is not None
    assert one.facts.authorities == names
    one, two = client(client_config(max_version=version)), server()
    pump(one, two)
    assert one.facts is not None
    assert one.facts.authorities is None
