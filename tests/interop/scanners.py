"""sslscan and testssl.sh look at ``synfin serve`` as it comes: what they call weak, and the page's part about it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tests.interop import chains
from tests.interop.cells import HOST

#: What testssl.sh remarks of a certificate that is made for one run by a root of its own, and that is as it should be.
TRUE_OF_EPHEMERAL = {
    "cert_expirationStatus": "the certificate lives seven days",
    "cert_notAfter": "the certificate lives seven days",
    "cert_revocation": "a root for one run has no CRL and no responder",
}
#: Protocols, preference and forward secrecy; with everything the server shows by default and all vulnerabilities.
QUICK, FULL = ("-p", "-f"), ("-p", "-P", "-f", "-S", "-U")


@contextmanager
def served(*options: str) -> Iterator[tuple[int, str]]:
    """``synfin serve`` with its defaults: its port and its root's file."""
    process = subprocess.Popen(
        [sys.executable, "-m", "synfin.cli.main", "serve", "--echo", "--quiet", "--port", "0", "--json", *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        yield int(said["listening"][0].rpartition(":")[2]), said["root"]
    finally:
        process.terminate()
        process.communicate(timeout=20)


def testssl_program() -> str | None:
    return shutil.which("testssl") or shutil.which("testssl.sh")


@dataclass(frozen=True, slots=True)
class Scan:
    """What sslscan found: protocols enabled, suites by protocol, groups, and what it calls weak."""

    protocols: tuple[str, ...]
    suites: tuple[tuple[str, str], ...]
    groups: tuple[str, ...]
    weak: tuple[str, ...]


def sslscan(port: int) -> Scan:
    done = subprocess.run(
        ["sslscan", "--no-colour", "--xml=-", f"{HOST}:{port}"], capture_output=True, timeout=120, check=True
    )
    root = ElementTree.fromstring(done.stdout[done.stdout.index(b"<?xml") :])
    fine = ("strong", "acceptable")
    weak = [f"{c.get('cipher')}: {c.get('strength')}" for c in root.iter("cipher") if c.get("strength") not in fine]
    weak += [
        f"heartbleed in {one.get('sslversion')}" for one in root.iter("heartbleed") if one.get("vulnerable") != "0"
    ]
    weak += ["renegotiation" for one in root.iter("renegotiation") if one.get("supported") != "0"]
    weak += ["no TLS_FALLBACK_SCSV" for one in root.iter("fallback") if one.get("supported") != "1"]
    return Scan(
        tuple(f"{one.get('type')} {one.get('version')}" for one in root.iter("protocol") if one.get("enabled") == "1"),
        tuple((str(one.get("sslversion")), str(one.get("cipher"))) for one in root.iter("cipher")),
        tuple(dict.fromkeys(str(one.get("name")) for one in root.iter("group"))),
        tuple(weak),
    )


def run_testssl(port: int, root: str, checks: tuple[str, ...], folder: Path) -> list[dict[str, Any]]:
    """Each check of testssl.sh: id, severity and finding."""
    report = folder / "testssl.json"
    command = [str(testssl_program()), "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none"]
    subprocess.run(
        [*command, "--add-ca", root, *checks, "--jsonfile", str(report), f"{HOST}:{port}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, timeout=400, check=False,
    )  # fmt: skip
    found: list[dict[str, Any]] = json.loads(report.read_text())
    return found


def remarks(checks: list[dict[str, Any]]) -> list[str]:
    """What testssl.sh finds not good, beyond ``TRUE_OF_EPHEMERAL`` and what it says it could not check."""
    return [
        f"{one['id']} ({one['severity']}): {one['finding']}"
        for one in checks
        if one["severity"] not in ("OK", "INFO")
        and one["id"] not in TRUE_OF_EPHEMERAL
        and not one["finding"].startswith("check failed because")
    ]


def page() -> str:
    """The part of the page about scanners."""
    lines = ["## Scanners", "", "`synfin serve` as it comes, with the certificate it makes for one run.", ""]
    with served() as (port, root), tempfile.TemporaryDirectory(prefix="synfin-interop-") as folder:
        if shutil.which("sslscan"):
            scan = sslscan(port)
            version = chains.version_of("sslscan", "--version", "--no-colour")
            lines += [
                f"sslscan {version}: {', '.join(scan.protocols)}; "
                + "; ".join(f"{name} in {protocol}" for protocol, name in scan.suites)
                + f"; groups {', '.join(scan.groups)}. Weak: {'; '.join(scan.weak) or 'nothing'}.",
                "",
            ]
        if testssl_program():
            checks = run_testssl(port, root, FULL, Path(folder))
            good = sum(one["severity"] == "OK" for one in checks)
            lines += [
                f"testssl.sh ({' '.join(FULL)}): {len(checks)} checks, {good} of them good, the others information. "
                f"Objections: {'; '.join(remarks(checks)) or 'none'}. Of the certificate it also remarks:",
                "",
                *(f"* `{name}`: {why}" for name, why in TRUE_OF_EPHEMERAL.items()),
                "",
            ]
    return "\n".join(lines)
