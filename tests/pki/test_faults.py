from __future__ import annotations

import base64
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from synfin.errors import PeerError, UsageError
from synfin.pki.examine import BEYOND, Presented, examine, violation_of
from synfin.pki.faultkit import Bench, Fault, sound
from synfin.pki.faults import FAULTS, mint_fault
from synfin.spec.certcheck import PROBLEMS
from synfin.spec.certnames import address
from synfin.spec.violations import VIOLATIONS
from synfin.tls import PathVerifier
from synfin.tls.verify import Presented as ToVerify

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
BENCH = Bench(NOW)
LATER = Bench(datetime(2033, 2, 3, tzinfo=UTC))
OPENSSL = shutil.which("openssl")
CERTTOOL = shutil.which("certtool")


@pytest.mark.parametrize("bench", [BENCH, LATER], ids=["now", "later"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_causes_its_problem_and_no_other(fault: Fault, bench: Bench) -> None:
    assert set(examine(fault.make(bench), bench.now)) == {fault.problem, *fault.also}


@pytest.mark.parametrize("bench", [BENCH, LATER], ids=["now", "later"])
def test_what_faults_start_from_is_sound(bench: Bench) -> None:
    assert examine(sound(bench), bench.now) == ()
    assert examine(replace(sound(bench), chain=()), bench.now) == ()


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_documented_and_names_a_violation(fault: Fault) -> None:
    assert re.fullmatch(r"[A-Z].{15,}[.)]", fault.why)
    assert fault.name == fault.make.__name__
    assert fault.violation == "" or fault.violation in VIOLATIONS
    assert all(violation_of(problem) == "" for problem in fault.also)


def test_the_catalogue_covers_what_can_be_found() -> None:
    assert len(FAULTS) >= 40
    assert {fault.problem for fault in FAULTS.values()} == {*PROBLEMS, *BEYOND}
    named = {fault.violation for fault in FAULTS.values()}
    wanted = {name for name in VIOLATIONS if name.startswith("certificate_")}
    handshake = {
        "missing",
        "required",
        "refused",
        "unsupported_key",
        "wrong_key_type",
        "bad_compression",
    }  # faults of messages
    assert wanted - named == {f"certificate_{name}" for name in handshake}


def test_a_name_that_is_no_fault() -> None:
    assert mint_fault("expired_leaf", NOW).chain
    with pytest.raises(UsageError, match="expired_leaf"):
        mint_fault("bogus", NOW)
    with pytest.raises(KeyError):
        violation_of("bogus")


def pem(der: bytes, label: str = "CERTIFICATE") -> str:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n"


def openssl(presented: Presented, now: datetime, folder: Path) -> set[int]:
    """The error numbers of ``openssl verify``; 0 where it accepts."""
    (folder / "leaf").write_text(pem(presented.chain[0]))
    (folder / "rest").write_text("".join(map(pem, presented.chain[1:])))
    (folder / "roots").write_text("".join(map(pem, presented.roots)))
    (folder / "crls").write_text("".join(pem(crl, "X509 CRL") for crl in presented.crls))
    asked: list[str] = []
    if presented.name is not None:
        asked = ["-verify_ip" if address(presented.name) else "-verify_hostname", presented.name]
    command = ["openssl", "verify", "-no-CApath", "-no-CAstore", "-auth_level", "2", "-CAfile", str(folder / "roots")]
    command += ["-attime", str(int(now.timestamp())), "-purpose", f"ssl{presented.purpose}", *asked]
    if len(presented.chain) > 1:
        command += ["-untrusted", str(folder / "rest")]
    if presented.crls:
        every = ["-crl_check_all"] if len(presented.crls) > 1 else []
        command += ["-crl_check", *every, "-CRLfile", str(folder / "crls")]
    done = subprocess.run([*command, str(folder / "leaf")], capture_output=True, text=True, check=False)
    told = done.stdout + done.stderr
    assert "Unable to load" not in told, told
    errors = {int(number) for number in re.findall(r"^error (\d+) at", told, re.MULTILINE)}
    assert errors or told.strip().endswith(": OK"), told
    return errors or {0}


@pytest.mark.skipif(OPENSSL is None, reason="needs openssl as foreign judge")
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_openssl_agrees(fault: Fault, tmp_path: Path) -> None:
    if not fault.openssl:
        pytest.skip("openssl cannot be asked: it does not read such a certificate, or only its newest releases do")
    assert openssl(fault.make(BENCH), NOW, tmp_path) <= set(fault.openssl)


@pytest.mark.skipif(OPENSSL is None, reason="needs openssl as foreign judge")
def test_openssl_accepts_what_is_sound(tmp_path: Path) -> None:
    assert openssl(sound(BENCH), NOW + timedelta(minutes=1), tmp_path) == {0}


#: Faults that ``openssl verify`` accepts although a peer is told a violation, or refuses although clients carry on.
DIFFERENCES = {
    "common_name_only": "OpenSSL still looks at the common name where there is no subjectAltName",
    "partial_wildcard": "OpenSSL takes w*.example.com unless X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS is set",
    "must_staple_without_staple": "it is never told of a staple, and does not enforce RFC 7633",
    "mismatched_key": "it is given certificates only; the handshake signature shows this",
    "huge_certificate": "the limit is in the handshake (SSL_CTX_set_max_cert_list), not in verification",
    "wrong_order": "the certificates sent are a set to it; TLS 1.2 wants an order",
    "long_chain": "its depth limit is 100; small libraries stop at about ten",
    "endless_chain": "its depth limit is 100; ours is 32 certificates",
    "p_521_only": "it verifies such a key; browsers do not offer it in the handshake",
    "ed25519_only": "it verifies such a key; browsers do not offer it in the handshake",
    "ed448_only": "it verifies such a key; browsers do not offer it in the handshake",
    "revoked_by_staple": "openssl verify has no option for a stapled response (openssl ocsp has)",
    "old_staple": "openssl verify has no option for a stapled response",
    "staple_from_the_future": "openssl verify has no option for a stapled response",
    "staple_for_another": "openssl verify has no option for a stapled response",
    "staple_by_a_stranger": "openssl verify has no option for a stapled response",
    "extension_twice": "it cannot use the extensions and calls the issuer unknown; we name the defect itself",
    "two_algorithms": "it calls it a bad signature; we name the defect itself",
}


def test_every_difference_to_openssl_is_explained() -> None:
    differs = {
        name for name, fault in FAULTS.items() if fault.openssl and (fault.openssl == (0,)) == bool(fault.violation)
    }
    assert differs == set(DIFFERENCES)


# ---------------------------------------------------------------- GnuTLS

#: What certtool says of each problem; of the others it knows nothing, and verifies.
GNUTLS = {
    "expired": "uses expired certificate",
    "expired_root": "uses expired certificate",
    "not_yet_valid": "not yet valid",
    "name_mismatch": "name in the certificate does not match",
    "wildcard_too_deep": "name in the certificate does not match",
    "wrong_usage": "does not match the intended purpose",
    "unknown_critical_extension": "unknown critical extension",
    "missing_intermediate": "issuer is unknown",
    "unknown_issuer": "issuer is unknown",
    "unknown_root": "issuer is unknown",
    "self_signed": "issuer is unknown",
    "not_a_ca": "issuer is not a CA",
    "no_cert_sign": "violates the signer's constraints",
    "path_length": "violates the signer's constraints",
    "name_constraints": "violates the signer's constraints",
    "bad_signature": "signature in the certificate is invalid",
    "weak_key": "insecure algorithm",
    "weak_signature": "insecure algorithm",
    "revoked": "is revoked",
    "unparsable": "error parsing",
}
#: Faults of which it says something else than of their problem, and why.
GNUTLS_ELSE = {
    "key_usage_for_cas_only": "Verified.",  # the key usage is looked at in the handshake
    "revoked_by_staple": "Verified.",  # certtool is given no staple
    "version_1_with_extensions": "error parsing",
    "extension_twice": "error parsing",
    "octets_after_the_certificate": "error parsing",
    "two_algorithms": "error parsing",
}


@pytest.mark.skipif(CERTTOOL is None, reason="needs certtool (gnutls-bin) as foreign judge")
@pytest.mark.parametrize("name", [name for name in FAULTS if name != "ml_dsa_only"])  # its newest releases know ML-DSA
def test_gnutls_agrees(name: str, today: Bench, tmp_path: Path) -> None:
    presented = FAULTS[name].make(today)
    expected = GNUTLS_ELSE.get(name) or GNUTLS.get(FAULTS[name].problem, "Verified.")
    assert expected in certtool(presented, tmp_path)


@pytest.mark.skipif(CERTTOOL is None, reason="needs certtool (gnutls-bin) as foreign judge")
def test_gnutls_accepts_what_is_sound(today: Bench, tmp_path: Path) -> None:
    assert "Verified." in certtool(sound(today), tmp_path)


@pytest.fixture(scope="module")
def today() -> Bench:
    """certtool knows no time but now."""
    return Bench(datetime.now(UTC).replace(microsecond=0))


def certtool(presented: Presented, folder: Path) -> str:
    """What certtool says of the chain as a whole."""
    (folder / "chain").write_text("".join(map(pem, presented.chain)))
    (folder / "roots").write_text("".join(map(pem, presented.roots)))
    (folder / "crls").write_text("".join(pem(crl, "X509 CRL") for crl in presented.crls))
    purpose = "1.3.6.1.5.5.7.3.1" if presented.purpose == "server" else "1.3.6.1.5.5.7.3.2"
    command = [
        "certtool",
        "--verify",
        "--infile",
        str(folder / "chain"),
        "--load-ca-certificate",
        str(folder / "roots"),
    ]
    command += ["--verify-profile", "medium", "--verify-purpose", purpose]
    command += ["--verify-hostname", presented.name] if presented.name else []
    command += ["--load-crl", str(folder / "crls")] if presented.crls else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = done.stdout + done.stderr
    return told.partition("Chain verification output:")[2] or told


# ---------------------------------------------------------------- our own engine

#: Faults that our TLS client accepts although a violation is named, or refuses although most clients carry on.
ENGINE = {
    "mismatched_key": "",  # the handshake signature shows this
    "wrong_order": "",  # it sorts them, as most clients
    "huge_certificate": "",  # the limit is that of the Certificate message
    "p_521_only": "",  # its algorithms decide in the handshake
    "ed25519_only": "",
    "ed448_only": "",
    "ml_dsa_only": "",
    "negative_serial": "certificate_refused",  # the library that verifies paths reads serial numbers strictly
    "long_serial": "certificate_refused",
    "version_1_with_extensions": "certificate_refused",
    "extension_twice": "certificate_refused",
    "two_algorithms": "certificate_refused",
    "octets_after_the_certificate": "certificate_unparsable",
}


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_our_client_names_the_same_violation(fault: Fault) -> None:
    shown = fault.make(BENCH)
    asked = ToVerify(shown.chain, shown.name, shown.purpose, NOW.timestamp(), shown.stapled)
    try:
        PathVerifier(shown.roots, shown.crls)(asked)
        met = ""
    except PeerError as error:
        met = error.violation
    assert met == ENGINE.get(fault.name, fault.violation)
