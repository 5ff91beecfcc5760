"""``synfin ca run`` and ``doctor``: real programs meet a server of a CA they do not know, without and with it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from synfin.cli.main import main
from synfin.drive.doctor import examine_program
from synfin.drive.programs import JAVA_PASSWORD, REPLACING, trusting
from synfin.drive.trial import Trial
from synfin.drive.trust_stores import Look
from synfin.pki import mint
from synfin.pki.store import Store
from synfin.spec.certroots import pem_certificates

SYNFIN = [sys.executable, "-m", "synfin.cli.main", "ca"]
#: As a person's shell has it: nothing says whom to trust.
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not any(part in name for part in ("CERT", "CA_", "CAINFO", "_CA", "SSL", "WGETRC", "JAVA", "NODE", "PROXY"))
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    now = datetime.now(UTC)
    made = Store.create(tmp_path_factory.mktemp("trust") / "ca", mint.root_order("Trial Root", now))
    made.add_authority("web", mint.intermediate_order("Trial Web", now), now)
    return made


@pytest.fixture(scope="module")
def trial(store: Store) -> Iterator[Trial]:
    now = datetime.now(UTC)
    with Trial(store.authority("web"), now, store.above("web")[1:]) as server:
        yield server


#: Program -> whether `ca run` helps it.
PROGRAMS = {
    "curl": True,
    "openssl": True,
    "wget": True,
    "git": True,
    "node": True,
    "java": True,
    "chromium": True,
    "gnutls-cli": False,  # it reads no variable and knows the system's store only
}


def needs(program: str) -> str:
    if program == "chromium" and shutil.which("certutil") is None:
        pytest.skip("needs certutil (libnss3-tools) to make Chromium's database")
    if program == "java" and shutil.which("javac") is None:
        pytest.skip("needs a Java that compiles: the trial is one source file")
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"needs {program}")
    return found


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_trusts_the_root_under_run_and_not_without(
    program: str, store: Store, trial: Trial, tmp_path: Path
) -> None:
    needs(program)
    patient = examine_program(program, store.certificate(), CLEAN, tmp_path)
    assert patient.stores
    assert not any(one.has for one in patient.stores)
    command = patient.command(trial.url, trial.port)
    refused = trial.put(command, CLEAN)
    assert refused.accepted is False, refused
    with trusting(store.certificate(), patient.path, CLEAN) as around:
        verdict = trial.put(command, around.environment)
        assert verdict.accepted is PROGRAMS[program], verdict
        if PROGRAMS[program] and program not in ("chromium",):
            again = examine_program(program, store.certificate(), around.environment, tmp_path)
            assert any(one.has for one in again.stores), again.stores


@pytest.mark.parametrize("code", ["requests.get('{url}')", "urllib.request.urlopen('{url}').read()"])
def test_python_trusts_the_root_under_run(code: str, store: Store, trial: Trial) -> None:
    command = [sys.executable, "-c", f"import requests, urllib.request; {code.replace('{url}', trial.url)}"]
    assert trial.put(command, CLEAN).accepted is False
    with trusting(store.certificate(), sys.executable, CLEAN) as around:
        assert trial.put(command, around.environment).accepted is True


def test_public_roots_stay_beside_ours_unless_only_ours_is_wanted(store: Store, tmp_path: Path) -> None:
    public = mint.self_signed(mint.root_order("Public", datetime.now(UTC)), store.authority().key).der
    (tmp_path / "public.pem").write_bytes(mint.pem(public))
    env = {**CLEAN, "SSL_CERT_FILE": str(tmp_path / "public.pem"), "NODE_EXTRA_CA_CERTS": str(tmp_path / "public.pem")}
    root = store.certificate()
    with trusting(root, "curl", env) as around:
        for name in (*REPLACING, "NODE_EXTRA_CA_CERTS"):
            path = Path(around.environment[name])
            assert pem_certificates(path.read_bytes()) == (public, root)
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        place = path.parent
    assert not place.exists()
    with trusting(root, "curl", env, only=True) as around:
        assert pem_certificates(Path(around.environment["SSL_CERT_FILE"]).read_bytes()) == (root,)
        assert not list(Path(around.environment["SSL_CERT_DIR"]).iterdir())


def test_keytool_reads_the_trust_store(store: Store, tmp_path: Path) -> None:
    needs("keytool")
    with trusting(store.certificate(), "java", CLEAN) as around:
        options = dict(word[2:].split("=", 1) for word in around.environment["JAVA_TOOL_OPTIONS"].split())
        command = ["keytool", "-list", "-rfc", "-keystore", options["javax.net.ssl.trustStore"]]
        done = subprocess.run([*command, "-storepass", JAVA_PASSWORD], capture_output=True, env=CLEAN, check=True)
    assert store.certificate() in pem_certificates(done.stdout)


# ---------------------------------------------------------------- the command


def run(store: Store, *command: str, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SYNFIN, "run", "--ca", str(store.folder), "--", *command],
        capture_output=True,
        text=True,
        check=False,
        env=CLEAN,
    )


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_curl_under_the_command(store: Store, trial: Trial) -> None:
    done = run(store, "curl", "-sSi", "--noproxy", "*", trial.url)
    assert (done.returncode, done.stdout.splitlines()[0], done.stderr) == (0, "HTTP/1.0 200 OK", "")


def test_exit_codes_and_words_are_passed_through(store: Store) -> None:
    done = run(store, "sh", "-c", 'echo "$@"; dirname $SSL_CERT_FILE; exit 7', "x", "--ca", "-v", "a b")
    said, place = done.stdout.splitlines()
    assert (done.returncode, said) == (7, "--ca -v a b")
    assert not Path(place).exists()
    assert run(store, "sh", "-c", "kill -KILL $$").returncode == 128 + signal.SIGKILL
    assert run(store, "/").returncode == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_are_passed_on(store: Store, number: signal.Signals, tmp_path: Path) -> None:
    code = (
        "import signal, sys, pathlib, os, time\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(9))\n"
        "pathlib.Path(sys.argv[1]).write_text(os.environ['SSL_CERT_FILE'])\n"
        "while True: time.sleep(0.05)"  # pause() would miss what came just before it
    )
    ready = tmp_path / "ready"
    command = [*SYNFIN, "run", "--ca", str(store.folder), "--", sys.executable, "-c", code, str(ready)]
    with subprocess.Popen(command, env=CLEAN, start_new_session=True) as process:
        for _ in range(1000):
            if ready.exists() and ready.read_text():
                break
            time.sleep(0.02)
        bundle = Path(ready.read_text())
        assert bundle.exists()
        process.send_signal(number)
        assert process.wait(20) == 9
    assert not bundle.parent.exists()


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_the_doctor_says_what_curl_trusts(
    store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in REPLACING:
        monkeypatch.delenv(name, raising=False)
    assert main(["ca", "doctor", "curl", "--ca", str(store.folder)]) == 1
    told = capsys.readouterr().out
    assert "it refused a server of Trial Root: alert unknown_ca" in told
    assert "it accepted a server of Trial Root" in told
    assert "curl does not trust Trial Root" in told
    assert f"synfin ca run --ca {store.folder} -- curl" in told
    monkeypatch.setenv("CURL_CA_BUNDLE", str(store.folder / "root" / "certificate.pem"))
    assert main(["ca", "doctor", "curl", "--ca", str(store.folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["trusts"] is True
    assert found["stores"][0]["has"] is True
    assert found["trial"]["accepted"] is True
    assert main(["ca", "doctor", "curl", "--ca", str(store.folder), "--no-trial"]) == 0
    assert "trial" not in capsys.readouterr().out


def test_the_doctor_does_not_judge_what_it_does_not_know(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ca", "doctor", "true", "--ca", str(store.folder)]) == 1
    assert "nobody can say whether true trusts Trial Root" in capsys.readouterr().out
    assert main(["ca", "doctor", "true", "--ca", str(store.folder), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["trusts"] is None


def test_the_doctor_reads_folders_with_hashed_names(store: Store, tmp_path: Path) -> None:
    look = Look("openssl", store.certificate(), CLEAN, tmp_path)
    (tmp_path / "root.pem").write_bytes(mint.pem(store.certificate()))
    assert look.directory(str(tmp_path), "x").has is False
    (tmp_path / "0a1b2c3d.0").symlink_to("root.pem")
    assert look.directory(f"{tmp_path}/none:{tmp_path}", "x").has is True
    assert look.file(str(tmp_path / "nothing"), "x").has is False


def test_a_ca_that_may_not_sign_for_localhost_has_no_trial(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    order = mint.root_order("Narrow", datetime.now(UTC), permitted=("example.org",))
    narrow = Store.create(tmp_path / "ca", order)
    assert main(["ca", "doctor", "openssl", "--ca", str(narrow.folder)]) == 1
    assert "may not issue for" in capsys.readouterr().out
