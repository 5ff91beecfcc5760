"""A farewell that was said is no riddle: what the first glance dismisses, no rule about resets has a finding for."""

from __future__ import annotations

import pytest

from synfin.judge.engine import Context
from synfin.judge.rules import keep_alive_race, reset_mid_response
from synfin.judge.signs import Sign, signs
from synfin.observe import observe
from tests.support.shared import SHARED


@pytest.mark.skipif(SHARED is None, reason="the shared captures are not beside the checkout")
def test_what_is_dismissed_for_its_farewell_has_no_finding_about_resets() -> None:
    assert SHARED is not None
    dismissed = 0
    for path in sorted(SHARED.rglob("*.pcap*")):
        for connection in observe(path):
            tcp, tls = connection.tcp, connection.tls
            if tls is None or tls.close_notify == (None, None) or signs(connection) & Sign.RESET:
                continue
            if tcp.rst_first_by is not None:
                dismissed += 1
                assert reset_mid_response.check(connection, Context()) is None
                assert keep_alive_race.check(connection, Context()) is None
    assert dismissed > 0
