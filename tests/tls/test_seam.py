"""The seam for wrong steps: what is said is what counts, in either version and for every message of a client."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from synfin.tls import Client, HandshakeDone
from synfin.wire.tls.messages import ClientHello, parse_handshake, write_handshake
from tests.tls.ends import NAME, NOW, client_config, events, of, pump, server, server_config


class Terse(Client):
    """Says its hello without one extension."""

    left_out = 23

    def say_raw(self, raw: bytes) -> bytes:
        if raw[0] == 1:
            parsed = parse_handshake(1, raw[4:])
            assert isinstance(parsed, ClientHello)
            kept = tuple(entry for entry in parsed.extensions or () if entry[0] != self.left_out)
            raw = write_handshake(replace(parsed, extensions=kept))
        return super().say_raw(raw)


@pytest.mark.parametrize("shares", [0, 2], ids=["after a retry", "at once"])
@pytest.mark.parametrize("version", [0x0303, 0x0304])
def test_the_transcript_holds_the_hello_that_was_said(version: int, shares: int) -> None:
    one = Terse(client_config(max_version=version, shares=shares), NAME, now=NOW, entropy=os.urandom)
    two = server(server_config())
    pump(one, two)
    assert of(events(one), HandshakeDone) and of(events(two), HandshakeDone)
    assert two.facts is not None and two.facts.extended_master_secret == (version == 0x0304)
