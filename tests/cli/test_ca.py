"""``synfin ca`` as a person meets it: what is made, what is said, and one line for every mistake."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from synfin.cli.main import main
from synfin.pki import keys, mint, walk
from synfin.pki.faults import FAULTS
from synfin.spec.certcheck import PROBLEMS, Severity
from synfin.spec.certificates import certificate_facts
from synfin.spec.certroots import pem_certificates


class Run:
    """Runs commands of ``synfin ca`` in a folder of its own."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys
        self.err = ""

    def __call__(self, *arguments: str, code: int = 0) -> str:
        got = main(["ca", *arguments])
        out, self.err = self.capsys.readouterr()
        assert got == code, out + self.err
        return out


@pytest.fixture
def ca(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    for name in ("SYNFIN_CA", "SYNFIN_CA_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    return Run(capsys)


@pytest.fixture
def made(ca: Run) -> Run:
    ca("init", "--name", "Home Root", "--organisation", "Home", "--intermediate", "Home Web")
    return ca


def one(pattern: str) -> Path:
    (found,) = Path().glob(pattern)
    return found


def test_a_life(made: Run) -> None:
    told = made("issue", "www.example.com", "127.0.0.1", "*.b.example", "bücher.example")
    assert "xn--bcher-kva.example (bücher.example)" in told
    folder = one("ca/issued/*-www.example.com")
    facts = certificate_facts(pem_certificates((folder / "certificate.pem").read_bytes())[0])
    assert facts.san_dns == ("www.example.com", "*.b.example", "xn--bcher-kva.example")
    assert facts.san_ip == ("127.0.0.1",)
    assert facts.serial_hex in told
    assert {stat.S_IMODE(path.stat().st_mode) for path in Path("ca").rglob("key.pem")} == {0o600}
    assert "www.example.com, 127.0.0.1 and 2 more" in made("show")
    assert "be a TLS server" in made("show", "www.example.com")
    chain = str(folder / "chain.pem")
    for name in ("www.example.com", "127.0.0.1", "x.b.example", "bücher.example"):
        assert "holds: a client that trusts Home Root accepts it" in made("verify", chain, "--name", name)
    assert "refused: certificate_name_mismatch" in made("verify", chain, "--name", "c.example", code=1)
    assert "certificate_wildcard_too_deep" in made("verify", chain, "--name", "x.y.b.example", code=1)
    assert "keyCompromise" in made("revoke", str(folder), "--reason", "KeyCompromise")
    assert "refused: certificate_revoked" in made("verify", chain, "--name", "www.example.com", code=1)
    assert "revoked" in made("show", "www.example.com")
    assert facts.serial_hex in made("crl", "--show")
    made("revoke", facts.serial_hex, code=2)
    assert "already" in made.err


def test_every_step_is_shown_with_its_octets(made: Run) -> None:
    told = made("issue", "-v", "a.example", "--key-kind", "p384")
    der = pem_certificates((one("ca/issued/*-a.example") / "certificate.pem").read_bytes())[0]
    facts = certificate_facts(der)
    octets = re.sub(r"\s", "", told)
    for part in (facts.tbs, facts.signature, facts.spki):
        assert part.hex() in octets
    assert walk.digest_of(facts).hex() in told
    assert told.count("holds  ") == 9
    short = made("issue", "b.example")
    assert len(short.splitlines()) < 10


def test_kinds_of_certificates(made: Run) -> None:
    made("issue", "--client", "ann@example.com", "--hours", "2")
    client = certificate_facts(pem_certificates((one("ca/issued/*-ann_*") / "chain.pem").read_bytes())[0])
    assert client.usage_names == ("clientAuth",)
    assert client.san_other == (("email", "ann@example.com"),)
    assert made("verify", str(one("ca/issued/*-ann_*") / "chain.pem"), "--client").endswith("accepts it\n")
    assert "certificate_wrong_usage" in made("verify", str(one("ca/issued/*-ann_*") / "chain.pem"), code=1)
    made("issue", "--intermediate", "Lab CA", "--permit", "lab.example", "--days", "30")
    made(
        "issue",
        "a.lab.example",
        "--by",
        "lab-ca",
        "--key-kind",
        "ml-dsa-65",
        "--must-staple",
        "--ocsp-url",
        "http://o/",
    )
    facts = certificate_facts(pem_certificates((one("ca/issued/*-a.lab.example") / "chain.pem").read_bytes())[0])
    assert facts.must_staple
    assert facts.ocsp == ("http://o/",)
    assert facts.key_text == "ML-DSA-65"
    issuer = certificate_facts(pem_certificates((one("ca/issued/*-a.lab.example") / "chain.pem").read_bytes())[1])
    assert facts.not_after is not None
    assert issuer.not_after is not None
    assert facts.not_after <= issuer.not_after  # 47 days did not fit under 30
    made("issue", "a.example", "--by", "lab-ca", code=2)
    assert "name constraints" in made.err
    made("issue", "a.example", code=2)
    assert "--by home-web, --by lab-ca" in made.err


def test_a_request_brings_its_own_key(made: Run) -> None:
    key = keys.make_key("p256")
    from datetime import UTC, datetime

    Path("z.csr").write_bytes(walk.apply(mint.leaf_order(("z.example",), datetime.now(UTC)), key))
    made("issue", "--csr", "z.csr")
    assert not (one("ca/issued/*-z.example") / "key.pem").exists()
    made("issue", "--csr", "z.csr", "other.example", code=2)
    assert "not ordered: z.example" in made.err


def test_output_where_it_is_wanted(made: Run) -> None:
    made("issue", "a.example", "--out", "tls", "--key-kind", "ed25519")
    assert stat.S_IMODE(Path("tls/key.pem").stat().st_mode) == 0o600
    before = Path("tls/chain.pem").read_bytes()
    made("issue", "a.example", "--out", "tls", code=2)
    assert "--force" in made.err
    assert len(list(Path("ca/issued").iterdir())) == 1
    made("issue", "a.example", "--out", "tls", "--force")
    assert Path("tls/chain.pem").read_bytes() != before


def test_passwords(ca: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("right").write_text("open sesame\n")
    Path("wrong").write_text("open barley\n")
    assert "encrypted" in ca("init", "--password-file", "right", "--key-kind", "p384")
    assert b"ENCRYPTED" in Path("ca/root/key.pem").read_bytes()
    ca("issue", "a.example", code=2)
    assert "SYNFIN_CA_PASSWORD" in ca.err
    ca("issue", "a.example", "--password-file", "wrong", code=2)
    assert "wrong password" in ca.err
    ca("issue", "a.example", "--password-file", "right", "--key-password-file", "wrong")
    pem = (one("ca/issued/*-a.example") / "key.pem").read_bytes()
    assert keys.load_key(pem, b"open barley")
    monkeypatch.setenv("SYNFIN_CA_PASSWORD", "open sesame")
    assert "1 certificate revoked" in (ca("revoke", "a.example"), ca("crl"))[1]
    assert "not encrypted" not in ca("show")


MISTAKES = {
    "no name": (["issue"], "say for whom"),
    "no host": (["issue", "bad name"], "neither a host name nor an address"),
    "too long": (["issue", "a.example", "--days", "90000"], "ends before its issuer"),
    "two lives": (["issue", "a.example", "--days", "1", "--hours", "1"], "choose one"),
    "no life": (["issue", "a.example", "--days", "-1"], "--days -1"),
    "no authority": (["issue", "a.example", "--by", "nobody"], "there are root, home-web"),
    "no kind of key": (["issue", "a.example", "--key-kind", "dsa"], "p256"),
    "garbage request": (["issue", "--csr", "ca/README.txt"], "no certificate request"),
    "no request": (["issue", "--csr", "none.csr"], "No such file"),
    "client and CA": (["issue", "x", "--client", "--intermediate"], "choose one"),
    "constraints of a leaf": (["issue", "x", "--permit", "y"], "--intermediate"),
    "no out": (["issue", "a.example", "--out", "none/tls"], "no such folder none"),
    "out is a file": (["issue", "a.example", "--out", "ca/README.txt"], "not a folder"),
    "no address": (["issue", "300.1.1.1"], "neither a host name nor an address"),
    "wildcard of all": (["issue", "*.com"], "no client takes *.com"),
    "wildcard as a bound": (["init", "x", "--permit", "*.lab.example"], "no wildcards"),
    "not empty": (["init"], "not empty"),
    "bad constraint": (["init", "x", "--permit", "10.0.0.0/99"], "no network"),
    "twice the same": (["init", "x", "--intermediate", "A", "--intermediate", "a"], "its own name"),
    "no CA": (["issue", "a.example", "--ca", "none"], "synfin ca init none"),
    "unknown serial": (["revoke", "0BAD"], "no certificate"),
    "no reason": (["revoke", "0BAD", "--reason", "bored"], "keyCompromise"),
    "nothing like it": (["show", "nobody.example"], "no certificate"),
    "no file": (["verify", "none.pem"], "No such file"),
    "no certificate": (["verify", "ca/README.txt"], "holds no certificate"),
    "no time": (["verify", "ca/root/certificate.pem", "--at", "soon"], "--at soon"),
    "no roots": (["verify", "ca/root/certificate.pem", "--trust", "ca/README.txt"], "--trust"),
    "no CRL": (["verify", "ca/root/certificate.pem", "--crl", "ca/README.txt"], "no CRL"),
    "no key": (["verify", "ca/root/certificate.pem", "--key", "ca/README.txt"], "--key"),
    "staple of nobody": (["ocsp", "--staple", "x.der"], "whose"),
    "not ours to listen": (["ocsp", "--host", "192.0.2.77"], "cannot listen"),
    "nobody at the keyboard": (["init", "x", "--password"], "--password-file"),
    "no such fault": (["faults", "--make", "expird_leaf", "x"], "expired_leaf"),
    "fault without folder": (["faults", "--make", "expired_leaf"], "DIR"),
    "no URL": (["issue", "a.example", "--crl-url", "http://bücher.example/"], "no URL"),
    "one CRL for two": (["init", "x", "--intermediate", "a", "--crl-url", "http://c.example/x.crl"], "{authority}"),
    "no URL for all": (["init", "x", "--ocsp-url", "ocsp.example"], "no URL"),
    "no name of an intermediate": (["init", "x", "--intermediate", ""], "--intermediate"),
    "no kind of root key": (["init", "x", "--key-kind", "dsa"], "p256"),
    "no staple": (["verify", "ca/root/certificate.pem", "--ocsp", "ca/README.txt"], "no OCSP response"),
    "no such host": (["ocsp", "--host", "nosuch.invalid"], "cannot listen"),
    "no program": (["run", "--", "no-such-program-here"], "no such program"),
    "no patient": (["doctor", "no-such-program-here"], "no such program"),
    "no command": (["isue"], "issue"),
    "no option": (["issue", "--frob"], "synfin ca issue --help"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_one_line_and_code_2(made: Run, name: str) -> None:
    arguments, said = MISTAKES[name]
    assert made(*arguments, code=2) == ""
    assert made.err.startswith("synfin: ")
    assert made.err.count("\n") == 1
    assert said in made.err
    assert not list(Path("ca/issued").iterdir())
    assert not Path("x").exists()


def test_a_revoked_authority_issues_no_more(made: Run) -> None:
    made("revoke", "home-web", "--reason", "cACompromise")
    made("issue", "a.example", "--by", "home-web", code=2)
    assert "home-web was revoked on " in made.err
    (row,) = [line for line in made("show").splitlines() if "Home Web" in line]
    assert row.startswith("home-web")
    assert "cACompromise" in row


def test_an_expired_ca_says_so(made: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import timedelta

    from synfin.cli import ca_common

    later = ca_common.now() + timedelta(days=3 * 3650)
    monkeypatch.setattr(ca_common, "now", lambda: later)
    made("issue", "a.example", "--by", "root", code=2)
    assert "the issuer is valid" in made.err
    assert "expired 20 years ago" in made("show")
    made("run", "--", sys.executable, "-c", "")
    assert "synfin: Home Root expired 20 years ago: no program accepts what it signed" in made.err


# ---------------------------------------------------------------- verifying


def test_lists_that_are_out_of_date_are_told_with_the_remedy(made: Run) -> None:
    from datetime import timedelta

    from synfin.cli import ca_common

    made("issue", "a.example", "--out", ".")
    made("crl")
    later = (ca_common.now() + timedelta(days=10)).isoformat()
    told = made("verify", "chain.pem", "--name", "a.example", "--at", later)
    known = "not known (CRL: is out of date)"
    assert f"revocation: a.example: {known}; Home Web: {known}; synfin ca crl makes fresh ones\n" in told


#: Faults that a file alone does not show: another certificate, or a handshake, is needed.
UNSEEN = {"duplicate_serial", "must_staple_without_staple"}
#: Problems that leave the verdict as it is.
NOTES = {"uncommon_key", *(name for name, (severity, _) in PROBLEMS.items() if severity is Severity.INFO)}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_made_and_the_printed_command_says_why(ca: Run, name: str) -> None:
    fault = FAULTS[name]
    told = ca("faults", "--make", name, "wrong")
    assert fault.why in told
    (command,) = re.findall(r"see why +synfin ca (verify .*)", told)
    words = [*shlex.split(command), "--key", "wrong/key.pem"]
    accepted = name in UNSEEN or fault.problem in NOTES
    text = ca(*words, code=0 if accepted else 1)
    found = json.loads(ca(*words, "--json", code=0 if accepted else 1))
    assert found["holds"] is accepted
    assert accepted or fault.violation in text.splitlines()[-1]
    if name not in UNSEEN:
        (problem,) = [one for one in found["problems"] if one["name"] == fault.problem]
        assert (problem["violation"] or "") == fault.violation
    assert not Path("wrong/key.pem").stat().st_mode & 0o077


def test_the_catalogue(ca: Run) -> None:
    told = ca("faults")
    assert all(f"{name}: " in told for name in FAULTS)
    listed = json.loads(ca("faults", "--json"))["faults"]
    assert [one["name"] for one in listed] == list(FAULTS)


def test_the_path_is_drawn_with_what_each_signature_covers(made: Run) -> None:
    made("issue", "a.example")
    chain = str(one("ca/issued/*-a.example") / "chain.pem")
    short = made("verify", chain, "--name", "a.example")
    assert short.count("holds") == 3
    full = made("verify", "-v", chain, "--name", "a.example")
    for der in pem_certificates(Path(chain).read_bytes()):
        facts = certificate_facts(der)
        assert f"over {len(facts.tbs):,} octets: holds" in short
        assert walk.digest_of(facts).hex() in full
    found = json.loads(made("verify", chain, "--name", "a.example", "--json"))
    assert [step["holds"] for step in found["path"]] == [True, True]
    assert found["anchor"] == "O=Home, CN=Home Root"
    past = made("verify", chain, "--name", "a.example", "--at", "2020-01-01", code=1)
    assert "certificate_not_yet_valid" in past
    assert "trusting system" not in made("verify", chain, "--trust", "ca/root/certificate.pem")


def test_staple_and_crl_are_asked(made: Run) -> None:
    made("issue", "a.example", "--must-staple")
    chain = str(one("ca/issued/*-a.example") / "chain.pem")
    assert "--ocsp FILE checks one" in made("verify", chain, "--name", "a.example")
    assert "good" in made("ocsp", "--staple", "good.der", "a.example")
    assert "not revoked, says the OCSP response" in made("verify", chain, "--name", "a.example", "--ocsp", "good.der")
    made("revoke", "a.example", "--reason", "superseded")
    assert "revoked (superseded)" in made("ocsp", "--staple", "bad.der", "a.example")
    outside = ("--trust", "ca/root/certificate.pem", "--name", "a.example")
    assert "certificate_revoked" in made("verify", chain, *outside, "--ocsp", "bad.der", code=1)
    assert "certificate_revoked" in made("verify", chain, *outside, "--crl", "ca/home-web/crl.pem", code=1)
    assert "holds" in made("verify", chain, *outside)


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl as foreign judge")
def test_openssl_agrees_on_what_is_issued_revoked_and_stapled(made: Run) -> None:
    made("issue", "a.example", "10.1.2.3")
    made("ocsp", "--staple", "staple.der", "a.example")
    made("crl")
    folder = one("ca/issued/*-a.example")

    def openssl(*arguments: str) -> str:
        done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    root, web, leaf = "ca/root/certificate.pem", "ca/home-web/certificate.pem", str(folder / "certificate.pem")
    verify = ("verify", "-no-CApath", "-CAfile", root, "-untrusted", web, "-purpose", "sslserver", "-x509_strict")
    lists = ("-crl_check_all", "-CRLfile", "ca/root/crl.pem", "-CRLfile", "ca/home-web/crl.pem")
    for name in (("-verify_hostname", "a.example"), ("-verify_ip", "10.1.2.3")):
        assert openssl(*verify, *name, *lists, leaf).strip().endswith(": OK")
    staple = ("ocsp", "-respin", "staple.der", "-issuer", web, "-cert", leaf, "-CAfile", root, "-verify_other", web)
    assert ": good" in openssl(*staple)
    made("revoke", "a.example")
    assert "error 23" in openssl(*verify, *lists, leaf)
    serial = certificate_facts(pem_certificates(Path(leaf).read_bytes())[0]).serial
    assert int(openssl("x509", "-in", leaf, "-noout", "-serial").strip().partition("=")[2], 16) == serial


@pytest.mark.skipif(not shutil.which("certtool"), reason="needs GnuTLS's certtool as foreign judge")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("expired_leaf", "expired"),
        ("expired_intermediate", "expired"),
        ("future_leaf", "not yet"),
        ("bad_signature", "signature"),
        ("unknown_root", "issuer is unknown"),
        ("no_ca_bit", "not a CA|issuer is unknown|purpose"),
        ("sha1_leaf", "insecure"),
        ("rsa_1024", "insecure"),
        ("wrong_name", "does not match"),
        ("outside_permitted_names", "signer's constraints"),
        ("revoked_by_crl", "revoked"),
    ],
)
def test_gnutls_refuses_what_is_refused(ca: Run, name: str, said: str) -> None:
    ca("faults", "--make", name, "wrong")
    command = ["certtool", "--verify", "--load-ca-certificate", "wrong/root.pem", "--verify-profile", "medium"]
    command += ["--verify-hostname", "www.example.com", "--infile", "wrong/chain.pem"]
    if Path("wrong/crl.pem").exists():
        command += ["--load-crl", "wrong/crl.pem"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert re.search(said, done.stdout + done.stderr), done.stdout + done.stderr
    assert done.returncode


@pytest.mark.skipif(not shutil.which("certtool"), reason="needs GnuTLS's certtool as foreign judge")
def test_gnutls_accepts_what_is_issued(made: Run) -> None:
    made("issue", "a.example")
    command = ["certtool", "--verify", "--load-ca-certificate", "ca/root/certificate.pem"]
    command += ["--verify-hostname", "a.example", "--infile", str(one("ca/issued/*-a.example") / "chain.pem")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Chain verification output: Verified." in done.stdout, done.stdout + done.stderr


def test_damaged_chains_and_proofs_are_judged_not_tripped_over(ca: Run) -> None:
    import random

    chance = random.Random(7)
    for name in ("revoked_by_crl", "old_staple"):
        ca("faults", "--make", name, name)
    chain = pem_certificates(Path("revoked_by_crl/chain.pem").read_bytes())
    staple = Path("old_staple/staple.der").read_bytes()

    def damaged(data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(chance.choice((1, 2, 5))):
            at = chance.randrange(len(changed))
            changed[at : at + chance.choice((0, 1, 1, 4))] = chance.randbytes(chance.choice((0, 1, 1, 3)))
        return bytes(changed)

    for _ in range(120):
        Path("chain.pem").write_bytes(mint.pem(*(damaged(der) for der in chain)))
        Path("staple.der").write_bytes(damaged(staple))
        words = ["ca", "verify", "chain.pem", "--trust", "revoked_by_crl/root.pem", "--crl", "revoked_by_crl/crl.pem"]
        code = main(
            [*words, "--name", "www.example.com", "--ocsp", "staple.der", *chance.choice(([], ["-v"], ["--json"]))]
        )
        out, err = ca.capsys.readouterr()
        assert code in (1, 2)
        assert err.count("\n") == (code == 2)
        assert all(char.isprintable() or char == "\n" for char in out + err)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to read PKCS#12")
def test_a_client_certificate_for_a_browser(made: Run) -> None:
    Path("pw").write_text("open sesame\n")
    told = made("issue", "--client", "ann@example.com", "--p12", "ann.p12", "--key-password-file", "pw")
    assert "ann.p12" in told and stat.S_IMODE(Path("ann.p12").stat().st_mode) == 0o600
    words = ["openssl", "pkcs12", "-in", "ann.p12", "-nodes", "-passin", "pass:open sesame"]
    read = subprocess.run(words, capture_output=True, text=True, check=True, timeout=30).stdout
    assert read.count("BEGIN CERTIFICATE") == 2 and "BEGIN PRIVATE KEY" in read
    made("issue", "--client", "ann@example.com", "--p12", "ann.p12", "--key-password-file", "pw", code=2)
    assert "exists already" in made.err
    before = len(list(Path("ca/issued").iterdir()))
    words = ["issue", "x.example", "--key-kind", "ml-dsa-65", "--p12", "x.p12", "--key-password-file", "pw"]
    made(*words, code=2)
    assert "ML-DSA" in made.err and len(list(Path("ca/issued").iterdir())) == before


def test_the_folder_of_a_new_ca_may_be_an_option(ca: Run) -> None:
    ca("init", "--ca", "mine")
    assert Path("mine/root/certificate.pem").is_file()


def test_a_password_is_typed_twice_at_a_terminal(tmp_path: Path) -> None:
    def typed(*answers: str) -> tuple[int, str]:
        master, slave = os.openpty()
        words = [sys.executable, "-m", "synfin.cli.main", "ca", "init", str(tmp_path / "typed"), "--password"]
        program = subprocess.Popen(words, preexec_fn=lambda: os.login_tty(slave))
        os.close(slave)
        shown = ""
        left = list(answers)
        with contextlib.suppress(OSError):  # the terminal is gone when the program is
            while data := os.read(master, 4096).decode():
                shown += data
                if shown.rstrip(" ").endswith(":") and left:
                    os.write(master, f"{left.pop(0)}\n".encode())
        os.close(master)
        return program.wait(timeout=30), shown

    code, shown = typed("one", "other")
    assert code == 2 and "not the same" in shown and "one" not in shown.replace("not one", "")
    code, shown = typed("secret", "secret")
    assert code == 0 and "encrypted with your password" in shown and "secret\r\n" not in shown
    assert b"ENCRYPTED" in (tmp_path / "typed" / "root" / "key.pem").read_bytes()


def test_a_folder_that_cannot_be_read_is_one_line(made: Run) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    Path("ca/root/key.pem").chmod(0)
    made("crl", code=2)
    assert made.err == "synfin: ca/root/key.pem: Permission denied\n"
