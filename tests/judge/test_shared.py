"""Captures by strangers: what is found is what is known of them, and nothing more."""

from __future__ import annotations

import pytest

from synfin.judge.engine import Context, judge_all
from synfin.judge.model import Severity
from synfin.observe import observe
from tests.support.shared import captures, needs_shared

#: Capture -> codes of warning or above, as its description says (each failure in its README row was read).
KNOWN = {
    "alert-protocol-version.pcap": {"TLS201"},
    "fragmented-handshake.pcap.gz": {"CRT301"},  # a name no client asked for, and the client left in the handshake
    "tls-to-plain-http-port.pcap": {"TLS101"},
    "tls12-handshake-failure.pcap": {"TLS202"},
    "tls12-no-client-cert-alert40.pcap": {"TLS301"},
}


@needs_shared
@pytest.mark.parametrize("path", captures(), ids=lambda path: path.name)
def test_findings(path) -> None:  # type: ignore[no-untyped-def]
    found = {
        finding.code
        for item in judge_all(observe(path), Context())
        for finding in item.judgement.findings
        if finding.severity >= Severity.WARNING
    }
    assert found == KNOWN.get(path.name, set())
