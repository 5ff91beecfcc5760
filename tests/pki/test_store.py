from __future__ import annotations

import errno
import multiprocessing
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.x509 import load_der_x509_crl, ocsp

from synfin.errors import UsageError
from synfin.pki import keys, mint, revocation, walk
from synfin.pki.revocation import Standing
from synfin.pki.store import Store
from synfin.spec.certcheck import check_chain
from synfin.spec.certificates import certificate_facts
from synfin.spec.certroots import RootSet, pem_certificates

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 10**9


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store.create(tmp_path / "ca", mint.root_order("Home Root", NOW))
    made.add_authority("web", mint.intermediate_order("Home Web", NOW), NOW)
    return made


def test_what_is_issued_lies_in_the_folder_and_verifies(store: Store) -> None:
    done = store.issue(mint.leaf_order(("*.home.example", "10.0.0.1"), NOW), NOW, by="web")
    assert done.folder.parent == store.folder / "issued"
    assert done.folder.name.endswith("-_.home.example")
    chain = pem_certificates((done.folder / "chain.pem").read_bytes())
    assert chain == (done.walk.certificate, store.certificate("web"))
    roots = RootSet(pem_certificates((store.folder / "root" / "certificate.pem").read_bytes()))
    assert check_chain(chain, name="a.home.example", when_ns=NOW_NS, roots=roots).problems == ()
    key = keys.load_key((done.folder / "key.pem").read_bytes())
    assert keys.spki(mint.public_of(key)) == certificate_facts(chain[0]).spki
    assert store.authorities() == ("root", "web")
    assert [entry.folder for entry in store.ledger("root")] == ["web"]
    (entry,) = Store(store.folder).ledger("web")
    assert entry.names == ("*.home.example", "10.0.0.1")
    assert entry.taken is None


def test_keys_are_for_the_owner_only(store: Store) -> None:
    store.issue(mint.client_order("ann", NOW), NOW, by="web")
    found = list(store.folder.rglob("key.pem"))
    assert len(found) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in found} == {0o600}
    assert not list(store.folder.rglob(".*"))


def test_a_stranger_keeps_his_key(store: Store) -> None:
    order = mint.leaf_order(("b.example",), NOW)
    done = store.issue(order, NOW, request=walk.apply(order, keys.make_key("ed25519")))
    assert not (done.folder / "key.pem").exists()
    assert done.walk.applicant_key == "Ed25519"


def test_a_password_closes_the_authorities(tmp_path: Path) -> None:
    made = Store.create(tmp_path / "ca", mint.root_order("R", NOW), password=b"right")
    made.add_authority("web", mint.intermediate_order("W", NOW), NOW)
    for name in ("root", "web"):
        assert b"ENCRYPTED" in (made.folder / name / "key.pem").read_bytes()
        assert Store(made.folder, b"right").authority(name).der == made.certificate(name)
    for password, why in ((None, "a password is needed"), (b"wrong", "wrong password")):
        with pytest.raises(UsageError, match=why):
            Store(made.folder, password).issue(mint.leaf_order(("a.example",), NOW), NOW)
    assert not list((made.folder / "issued").iterdir())


def test_revoked_in_ledger_crl_and_ocsp(store: Store) -> None:
    kept, lost = (store.issue(mint.leaf_order((name,), NOW), NOW, by="web") for name in ("a.example", "b.example"))
    issuer = store.certificate("web")
    serial = certificate_facts(lost.walk.certificate).serial_hex
    entry = store.revoke(serial.lower(), NOW, "keyCompromise")
    assert entry.reason == "keyCompromise"
    assert [bool(one.revoked) for one in store.ledger("web")] == [False, True]
    assert b"X509 CRL" in (store.folder / "web" / "crl.pem").read_bytes()
    crl = store.make_crl("web", NOW + timedelta(hours=1))
    assert load_der_x509_crl(crl).extensions[0].value.crl_number == 2
    later = NOW + timedelta(hours=2)
    for done, standing in ((kept, Standing.GOOD), (lost, Standing.REVOKED)):
        leaf = done.walk.certificate
        stapled = store.answer(revocation.make_request(leaf, issuer), later)
        assert revocation.status(leaf, issuer, later, stapled=stapled).standing is standing
        assert revocation.status(leaf, issuer, later, crls=[crl]).standing is standing
    for again, why in ((serial, "already"), ("0BAD", "no certificate")):
        with pytest.raises(UsageError, match=why):
            store.revoke(again, NOW)
    with pytest.raises(UsageError, match="no reason"):
        store.revoke(serial, NOW, "bored")


def test_an_intermediate_can_be_revoked_by_the_root(store: Store) -> None:
    web, root = store.certificate("web"), store.certificate()
    store.revoke(certificate_facts(web).serial_hex, NOW)
    stapled = store.answer(revocation.make_request(web, root), NOW)
    assert revocation.status(web, root, NOW, stapled=stapled).standing is Standing.REVOKED


def test_ocsp_requests_nobody_can_answer(store: Store) -> None:
    stranger = mint.self_signed(mint.root_order("X", NOW), keys.make_key("p256"))
    for request, status in (
        (b"", ocsp.OCSPResponseStatus.MALFORMED_REQUEST),
        (revocation.make_request(stranger.der, stranger.der), ocsp.OCSPResponseStatus.UNAUTHORIZED),
        (revocation.make_request(stranger.der, store.certificate()), ocsp.OCSPResponseStatus.UNAUTHORIZED),
    ):
        assert ocsp.load_der_ocsp_response(store.answer(request, NOW)).response_status is status


def test_addresses_go_into_what_is_issued(store: Store) -> None:
    store.set_urls("web", ocsp_url="http://o.example/", crl_url="http://c.example/web.crl")
    done = store.issue(mint.leaf_order(("a.example",), NOW), NOW, by="web")
    assert certificate_facts(done.walk.certificate).ocsp == ("http://o.example/",)


def test_what_goes_wrong_is_told_in_one_line(store: Store, tmp_path: Path) -> None:
    order = mint.leaf_order(("a.example",), NOW)
    with pytest.raises(UsageError, match="not empty"):
        Store.create(store.folder, mint.root_order("R", NOW))
    with pytest.raises(UsageError, match="no certificate authority"):
        Store(tmp_path)
    for by in ("nobody", "../ca/web", "", "issued"):
        with pytest.raises(UsageError):
            store.issue(order, NOW, by=by)
    for name in ("web", "Web", "../x", "issued", "root"):
        with pytest.raises(UsageError, match="authority"):
            store.add_authority(name, mint.intermediate_order("W", NOW), NOW)
    with pytest.raises(UsageError, match="path length"):
        store.add_authority("lower", mint.intermediate_order("L", NOW, life=timedelta(days=9)), NOW, by="web")
    assert not (store.folder / "lower").exists()
    store.issue(order, NOW, by="web")
    line = (store.folder / "web" / "ledger.jsonl").read_bytes()
    for file, content in (
        ("ledger.jsonl", b"{}\n"),
        ("ledger.jsonl", b"\xff\n"),
        ("ledger.jsonl", line.replace(b'"revoked": ""', b'"revoked": "yesterday"')),
        ("ledger.jsonl", line.replace(b'"revoked": ""', b'"revoked": "2026-11-01T00:00:00+00:00"')),
        ("authority.json", b"[]"),
        ("authority.json", b'{"crls": "x"}'),
    ):
        path = store.folder / "web" / file
        before = path.read_bytes()
        path.write_bytes(content)
        with pytest.raises(UsageError, match="cannot be read"):
            store.issue(order, NOW, by="web")
        path.write_bytes(before)
    (store.folder / "web" / "certificate.pem").write_bytes(b"")
    with pytest.raises(UsageError, match="holds no certificate"):
        store.issue(order, NOW, by="web")


def test_a_certificate_is_found_by_number_folder_or_name(store: Store) -> None:
    first = store.issue(mint.leaf_order(("a.example", "b.example"), NOW), NOW, by="web")
    client = store.issue(mint.client_order("Ann", NOW), NOW)
    serial = certificate_facts(first.walk.certificate).serial_hex
    spaced = (
        ":".join(serial.lower()[at : at + 2] for at in range(0, len(serial), 2)) if len(serial) % 2 == 0 else serial
    )
    for what in (serial, spaced, str(first.folder), first.folder.name, f"{first.folder}/chain.pem", "B.example"):
        assert store.find(what)[1].serial == serial, what
    assert store.find("Ann")[1].folder == f"issued/{client.folder.name}"
    assert store.find("web")[0] == "root"
    with pytest.raises(UsageError, match="no certificate"):
        store.find("c.example")
    second = store.issue(mint.leaf_order(("a.example",), NOW), NOW, by="web")
    with pytest.raises(UsageError, match=r"2 certificates are for a\.example"):
        store.find("a.example")
    store.revoke(serial, NOW)
    assert store.find("a.example")[1].serial == certificate_facts(second.walk.certificate).serial_hex


def _issue_some(folder: Path, number: int) -> None:
    store = Store(folder)
    for count in range(5):
        store.issue(mint.leaf_order((f"h{number}-{count}.example",), NOW), NOW, by="web")


def test_several_at_once_lose_nothing(store: Store) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_issue_some, args=(store.folder, number)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    ledger = store.ledger("web")
    assert len(ledger) == 20
    assert len({entry.names for entry in ledger}) == 20
    assert len(list((store.folder / "issued").iterdir())) == 20


def test_authorities_below_have_their_own_addresses(tmp_path: Path) -> None:
    ca = Store.create(tmp_path / "ca", mint.root_order("R", NOW))
    ca.set_urls("root", ocsp_url="http://o.example/", crl_url="http://c.example/{authority}.crl")
    middle = certificate_facts(ca.add_authority("web", mint.intermediate_order("W", NOW), NOW).walk.certificate)
    leaf = certificate_facts(ca.issue(mint.leaf_order(("a.example",), NOW), NOW, by="web").walk.certificate)
    assert (middle.ocsp, leaf.ocsp) == (("http://o.example/",),) * 2
    assert b"http://c.example/root.crl" in middle.der
    assert b"http://c.example/web.crl" in leaf.der
    ca.set_urls("root", crl_url="http://c.example/root.crl")
    ca.add_authority("other", mint.intermediate_order("O", NOW), NOW)
    assert b"root.crl" not in ca.issue(mint.leaf_order(("b.example",), NOW), NOW, by="other").walk.certificate


def test_what_cannot_be_written_down_is_not_issued(store: Store) -> None:
    with (store.folder / "web" / "ledger.jsonl").open("a") as ledger:
        ledger.write("{\n")
    with pytest.raises(UsageError, match="line 1 cannot be read"):
        store.issue(mint.leaf_order(("a.example",), NOW), NOW, by="web")
    assert not list((store.folder / "issued").iterdir())


def test_a_full_disk_leaves_nothing_half_done(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sorted(store.folder.rglob("*"))

    def full(path: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UsageError, match=r"key\.pem: No space left"):
        store.issue(mint.leaf_order(("a.example",), NOW), NOW)
    with pytest.raises(UsageError, match="No space left"):
        store.add_authority("lab", mint.intermediate_order("Lab", NOW), NOW)
    with pytest.raises(UsageError, match=r"README\.txt: No space left"):
        Store.create(tmp_path / "new", mint.root_order("New Root", NOW))
    monkeypatch.undo()
    assert sorted(store.folder.rglob("*")) == before
    Store.create(tmp_path / "new", mint.root_order("New Root", NOW))


def test_a_key_that_is_not_its_own_is_told(store: Store) -> None:
    (store.folder / "web" / "key.pem").write_bytes((store.folder / "root" / "key.pem").read_bytes())
    with pytest.raises(UsageError, match="not the key of the certificate"):
        Store(store.folder).authority("web")


def test_a_root_with_constraints_binds_all_below(tmp_path: Path) -> None:
    narrow = Store.create(tmp_path / "ca", mint.root_order("N", NOW, permitted=("home.example", "10.0.0.0/8")))
    narrow.add_authority("web", mint.intermediate_order("W", NOW), NOW)
    narrow.issue(mint.leaf_order(("a.home.example", "10.1.2.3"), NOW), NOW, by="web")
    with pytest.raises(UsageError, match=r"may not issue for a\.example"):
        narrow.issue(mint.leaf_order(("a.example",), NOW), NOW, by="web")
