from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from synfin.errors import UsageError
from synfin.pki import keys, mint, walk
from synfin.pki.faultkit import HOST, Bench, sound
from synfin.pki.faults import FAULTS
from synfin.pki.mint import Credential, Order

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
BENCH = Bench(NOW)
ORDER = mint.leaf_order(("a.example.com", "192.0.2.1"), NOW, life=timedelta(days=9))
KEY = BENCH.key(number=20)
REQUEST = walk.apply(ORDER, KEY)
SIGNATURE = walk.read_request(REQUEST).signature


@pytest.mark.parametrize("kind", ["p256", "p521", "rsa2048", "ed25519", "ml-dsa-44"])
def test_the_walk_shows_every_step(kind: str) -> None:
    ca = BENCH.root_of(kind, 30)
    done = walk.issue(ca, ORDER, REQUEST, NOW)
    facts = mint.Credential(done.certificate, KEY).facts
    assert done.identity == ORDER.names == walk.requested_names(REQUEST)
    assert done.key_id == hashlib.sha256(keys.spki(mint.public_of(KEY))).hexdigest()
    assert all(check.held for check in done.checks)
    assert facts.signed_by(ca.facts)
    assert done.tbs in done.certificate
    assert done.certificate.endswith(done.signature)
    if kind in ("ed25519", "ml-dsa-44"):
        assert (done.digest_name, done.digest) == ("", b"")
    else:
        assert done.digest == hashlib.new(done.digest_name, done.tbs).digest()


def middle(**changes: object) -> Credential:
    return mint.signed(replace(BENCH.middle_order(), **changes), BENCH.key(number=1), BENCH.root)  # type: ignore[arg-type]


OTHER = mint.leaf_order(("b.example.com",), NOW, life=timedelta(days=9))
LOWER = mint.intermediate_order("Lower", NOW, life=timedelta(days=9))


@pytest.mark.parametrize(
    ("ca", "order", "request_", "why"),
    [
        (BENCH.middle, OTHER, REQUEST, "names: not ordered: a.example.com"),
        (BENCH.leaf(), ORDER, REQUEST, "the issuer is a CA"),
        (middle(key_usage=("cRLSign",)), ORDER, REQUEST, "the issuer is a CA"),
        (middle(not_after=NOW - timedelta(days=1)), ORDER, REQUEST, "the issuer is valid"),
        (middle(not_after=NOW + timedelta(days=3)), ORDER, REQUEST, "ends before its issuer"),
        (middle(permitted=("example.org",)), ORDER, REQUEST, "may not issue for a.example.com"),
        (BENCH.middle, LOWER, walk.apply(LOWER, KEY), "path length: 0 CAs"),
        (BENCH.middle, ORDER, walk.apply(ORDER, BENCH.key("rsa1024")), "strength of the key: RSA 1024"),
        (BENCH.middle, ORDER, REQUEST[:-1] + bytes([REQUEST[-1] ^ 1]), "proof of possession"),
        (BENCH.middle, ORDER, b"nonsense", "cannot be read"),
        (BENCH.middle, ORDER, b"-----BEGIN nonsense", "cannot be read"),
    ],
)
def test_the_ca_refuses(ca: Credential, order: Order, request_: bytes, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        walk.issue(ca, order, request_, NOW)


def test_constraints_from_above_count() -> None:
    upper = middle(permitted=("example.org",), path_length=1)
    lower = mint.signed(BENCH.middle_order(common="Lower"), BENCH.key(number=3), upper)
    walk.issue(lower, ORDER, REQUEST, NOW)
    with pytest.raises(UsageError, match="name constraints"):
        walk.issue(lower, ORDER, REQUEST, NOW, [upper.der])


@pytest.mark.parametrize("bit", range(8))
def test_a_request_with_any_wrong_bit_is_refused(bit: int) -> None:
    unused_bits = REQUEST.rindex(b"\x03" + bytes([len(SIGNATURE) + 1, 0]) + SIGNATURE) + 2
    for at in range(len(REQUEST)):
        if at == unused_bits:
            continue  # how many of the last bits do not count: 1 changes nothing where the last bit is 0
        changed = REQUEST[:at] + bytes([REQUEST[at] ^ 1 << bit]) + REQUEST[at + 1 :]
        with pytest.raises(UsageError):
            walk.issue(BENCH.middle, ORDER, changed, NOW)


def test_a_request_that_is_cut_off_is_refused() -> None:
    for at in range(len(REQUEST)):
        with pytest.raises(UsageError):
            walk.issue(BENCH.middle, ORDER, REQUEST[:at], NOW)


def test_a_sound_path_holds_link_by_link() -> None:
    shown = sound(BENCH)
    found = walk.walk_path((*shown.chain, BENCH.root.der), HOST, NOW, [])
    assert [link.holds for link in found.links] == [True, True, True]
    assert [link.signer for link in found.links] == ["Fault Intermediate", "Fault Root", "Fault Root"]
    assert "itself" in found.links[2].why
    assert all(len(link.digest) == 32 and link.covers[1] == "serial number" for link in found.links)
    trusted = walk.walk_path(shown.chain, HOST, NOW, shown.roots)
    assert trusted.verdict.trusted is True
    assert trusted.links[-1].signer == "Fault Root"


@pytest.mark.parametrize(
    ("name", "place", "holds", "why"),
    [
        ("bad_signature", 0, False, "does not verify"),
        ("changed_after_signing", 0, False, "was changed"),
        ("bad_signature_on_intermediate", 1, False, "does not verify"),
        ("missing_intermediate", 0, None, "is not at hand"),
        ("expired_intermediate", 1, True, "verifies it"),
        ("cut_off", 0, None, "length says"),
    ],
)
def test_a_broken_path_says_where_and_why(name: str, place: int, holds: bool | None, why: str) -> None:
    shown = FAULTS[name].make(BENCH)
    link = walk.walk_path(shown.chain, shown.name, NOW, shown.roots).links[place]
    assert (link.place, link.holds) == (place, holds)
    assert why in link.why
    assert link.problems


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_can_be_walked(name: str) -> None:
    shown = FAULTS[name].make(BENCH)
    found = walk.walk_path(shown.chain, shown.name, NOW, shown.roots, purpose=shown.purpose)
    assert len(found.links) == max(1, len(found.verdict.path))
