"""What a caller's own functions may do: a verifier's verdict becomes an alert; a name nobody knows is the caller's."""

from __future__ import annotations

from typing import NoReturn

import pytest

from synfin.errors import PeerError, UsageError
from synfin.tls import Closed, Failed, PeerAlert, Presented
from tests.tls.ends import NAME, NOW, client, client_config, events, of, pump, server


def _refusing(violation: str) -> NoReturn:
    raise PeerError(violation, "the pinned certificate", "another")


@pytest.mark.parametrize("version", [0x0303, 0x0304])
def test_a_verifier_of_ones_own(version: int) -> None:
    seen: list[Presented] = []

    def verify(presented: Presented) -> None:
        seen.append(presented)
        _refusing("certificate_refused")

    one, two = client(client_config(verify=verify, max_version=version)), server()
    pump(one, two)
    assert of(events(one), Failed) == [Failed("certificate_refused", 42, "the pinned certificate", "another")]
    assert events(two)[-2:] == [PeerAlert(42, fatal=True), Closed(clean=False)]
    assert [(one.name, one.purpose, one.now) for one in seen] == [(NAME, "server", NOW)]


@pytest.mark.parametrize("version", [0x0303, 0x0304])
def test_a_name_that_is_no_violation(version: int) -> None:
    """The connection ends with internal_error, and whoever drives it learns why."""

    def verify(presented: Presented) -> None:
        _refusing("unknown_ca")

    one, two = client(client_config(verify=verify, max_version=version)), server()
    with pytest.raises(UsageError, match="'unknown_ca'"):
        pump(one, two)
    two.receive(one.take_output(NOW), NOW)
    assert of(events(two), PeerAlert) == [PeerAlert(80, fatal=True)]
    assert one.closed and not one.ready
