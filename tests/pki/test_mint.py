from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from synfin.errors import UsageError
from synfin.pki import keys, mint
from synfin.spec.certcheck import check_chain
from synfin.spec.certroots import RootSet

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 10**9
QUICK = [kind for kind in keys.KINDS if kind not in ("rsa3072", "rsa4096")]


def ca() -> mint.Credential:
    return mint.self_signed(mint.root_order("Root", NOW), keys.make_key("p256"))


@pytest.mark.parametrize("kind", QUICK)
def test_every_key_kind_is_root_intermediate_and_leaf(kind: str) -> None:
    root_key = keys.make_key(kind)
    root = mint.self_signed(mint.root_order("Root", NOW), root_key)
    middle = mint.signed(mint.intermediate_order("Middle", NOW), root_key, root)
    leaf = mint.signed(mint.leaf_order(("www.example.com",), NOW), root_key, middle)
    verdict = check_chain((leaf.der, middle.der), name="www.example.com", when_ns=NOW_NS, roots=RootSet([root.der]))
    assert verdict.problems == ()
    assert verdict.trusted is True
    leaf.certificate.verify_directly_issued_by(middle.certificate)


@pytest.mark.parametrize("password", [None, b"correct horse"])
@pytest.mark.parametrize("kind", QUICK)
def test_keys_come_back_from_pem(kind: str, password: bytes | None) -> None:
    key = keys.make_key(kind)
    pem = keys.key_pem(key, password)
    assert (b"ENCRYPTED" in pem) == bool(password)
    again = keys.load_key(pem, password)
    assert keys.spki(mint.public_of(again)) == keys.spki(mint.public_of(key))


def test_keys_that_do_not_open_say_why() -> None:
    key = keys.make_key("ed25519")
    closed = keys.key_pem(key, b"right")
    for pem, password, why in (
        (closed, None, "needed"),
        (closed, b"wrong", "wrong password"),
        (keys.key_pem(key), b"needless", "not encrypted"),
        (b"nonsense", None, "no private key"),
    ):
        with pytest.raises(UsageError, match=why):
            keys.load_key(pem, password)
    with pytest.raises(UsageError, match="there are p256"):
        keys.make_key("dsa1024")


@pytest.mark.parametrize(
    ("asked", "met", "missed"),
    [
        ("WWW.Example.com.", "www.example.com", "example.com"),
        ("*.example.com", "a.example.com", "a.b.example.com"),
        ("bücher.example", "xn--bcher-kva.example", "bucher.example"),
        ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
        ("[2001:DB8::1]", "2001:db8:0:0:0:0:0:1", "2001:db8::2"),
    ],
)
def test_names_as_people_write_them(asked: str, met: str, missed: str) -> None:
    root = ca()
    leaf = mint.signed(mint.leaf_order((asked,), NOW), keys.make_key("p256"), root)
    roots = RootSet([root.der])
    assert check_chain((leaf.der,), name=met, when_ns=NOW_NS, roots=roots).problems == ()
    assert check_chain((leaf.der,), name=missed, when_ns=NOW_NS, roots=roots).refused


@pytest.mark.parametrize("name", ["", ".", "a..b", "-a.example", "a b", "x" * 64 + ".example", "a." * 130 + "b", "a/b"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="neither"):
        mint.leaf_order((name,), NOW)


def test_a_leaf_needs_a_name_and_a_client_too() -> None:
    with pytest.raises(UsageError):
        mint.leaf_order((), NOW)
    with pytest.raises(UsageError):
        mint.client_order("", NOW)


def test_the_extensions_of_the_profile() -> None:
    root = ca()
    order = mint.leaf_order(("a.example",), NOW, life=timedelta(hours=6), must_staple=True)
    order = replace(order, ocsp_url="http://o.example/", issuer_url="http://i.example/", crl_url="http://c.example/")
    leaf = mint.signed(order, keys.make_key("ed25519"), root)
    facts = leaf.facts
    assert facts.problems == ()
    assert facts.aki == root.facts.ski
    assert facts.ski
    assert (facts.ocsp, facts.ca_issuers) == (("http://o.example/",), ("http://i.example/",))
    assert facts.must_staple
    assert facts.scts == 0
    assert facts.usage_names == ("serverAuth",)
    assert 0 < facts.serial < 1 << 159
    points = leaf.certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert points[0].full_name is not None
    assert points[0].full_name[0].value == "http://c.example/"


def test_client_certificates_serve_clients_only() -> None:
    root = ca()
    client = mint.signed(mint.client_order("ann@example.com", NOW), keys.make_key("p256"), root)
    roots = RootSet([root.der])
    assert check_chain((client.der,), name=None, when_ns=NOW_NS, purpose="client", roots=roots).problems == ()
    assert check_chain((client.der,), name=None, when_ns=NOW_NS, roots=roots).has("wrong_usage")
    assert ("email", "ann@example.com") in client.facts.san_other


@pytest.mark.parametrize(
    ("permitted", "free"),
    [
        (("example.com",), {"a.example.com"}),
        (("10.0.0.0/8",), {"10.1.2.3"}),
        (("2001:db8::/32",), {"2001:db8::1"}),
        (("example.com", "10.0.0.0/8"), {"a.example.com", "10.1.2.3"}),
        ((), {"a.example.com", "10.1.2.3", "2001:db8::1"}),
    ],
    ids=["host", "IPv4", "IPv6", "both", "none"],
)
def test_what_is_not_permitted_is_excluded_for_every_judge(
    permitted: tuple[str, ...], free: set[str], tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    root = mint.self_signed(mint.root_order("R", now, permitted=permitted), keys.make_key("p256"))
    (tmp_path / "root").write_bytes(root.pem)
    for name in ("a.example.com", "10.1.2.3", "2001:db8::1"):
        leaf = mint.signed(mint.leaf_order((name,), now), keys.make_key("p256"), root)
        (tmp_path / "leaf").write_bytes(leaf.pem)
        verdict = check_chain((leaf.der,), name=name, when_ns=int(now.timestamp() * 1e9), roots=RootSet([root.der]))
        assert verdict.has("name_constraints", None) == (name not in free)
        for command in (
            ["openssl", "verify", "-CAfile", "root", "leaf"],
            ["certtool", "--verify", "--infile", "leaf", "--load-ca-certificate", "root"],
        ):
            if shutil.which(command[0]):
                code = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode
                assert (code == 0) == (name in free), (command[0], name)


def test_name_constraints_hold_names_and_networks() -> None:
    root = ca()
    middle = mint.signed(
        mint.intermediate_order("M", NOW, permitted=("example.com", "10.0.0.0/8"), excluded=("bad.example.com",)),
        keys.make_key("p256"),
        root,
    )
    roots = RootSet([root.der])
    for name, fits in (("a.example.com", True), ("10.1.2.3", True), ("a.example.org", False), ("192.0.2.1", False)):
        leaf = mint.signed(mint.leaf_order((name,), NOW), keys.make_key("p256"), middle)
        verdict = check_chain((leaf.der, middle.der), name=name, when_ns=NOW_NS, roots=roots)
        assert verdict.has("name_constraints") != fits, name
    with pytest.raises(UsageError, match="no network"):
        mint.signed(mint.intermediate_order("M", NOW, permitted=("10.0.0.1/8",)), keys.make_key("p256"), root)
