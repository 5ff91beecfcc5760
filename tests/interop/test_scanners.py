"""Scanners against ``synfin serve`` as it comes: nothing weak."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.interop import scanners


@pytest.mark.skipif(shutil.which("sslscan") is None, reason="sslscan is not installed")
def test_sslscan_finds_nothing_weak() -> None:
    with scanners.served() as (port, _):
        scan = scanners.sslscan(port)
    assert scan.weak == ()
    assert scan.protocols == ("tls 1.2", "tls 1.3")
    assert {suite for version, suite in scan.suites if version == "TLSv1.3"} >= {"TLS_AES_128_GCM_SHA256"}
    assert all("GCM" in suite or "CHACHA20" in suite for _, suite in scan.suites)
    assert all("DHE" in suite for version, suite in scan.suites if version == "TLSv1.2")


@pytest.mark.skipif(scanners.testssl_program() is None, reason="testssl.sh is not installed")
@pytest.mark.parametrize("checks", [scanners.QUICK, scanners.FULL], ids=["quick", "full"])
def test_testssl_objects_to_nothing(checks: tuple[str, ...], tmp_path: Path) -> None:
    if checks is scanners.FULL and not os.environ.get("SYNFIN_TESTSSL"):
        pytest.skip("all checks of testssl.sh take a minute; set SYNFIN_TESTSSL=1")
    with scanners.served() as (port, root):
        found = scanners.run_testssl(port, root, checks, tmp_path)
    assert {"TLS1_3", "SSLv3", "FS"} <= {one["id"] for one in found} or {"TLS1_3", "SSLv3", "PFS"} <= {
        one["id"] for one in found
    }
    assert scanners.remarks(found) == []
