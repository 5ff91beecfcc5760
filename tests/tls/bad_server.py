"""A scripted bad server, our own with its messages edited on their way out, and a client whose alerts are counted."""

from __future__ import annotations

import os
from typing import Any

from synfin.tls import Closed, Failed, Server, Session, signing
from synfin.wire.tls.messages import HRR_RANDOM
from tests.support.tlsoctets import message
from tests.tls.edits import Edit
from tests.tls.ends import NAME, NOW, Teller, client_config, events, of, pump, server_config

#: The number that drafts gave HelloRetryRequest; here it names ServerHellos that are one.
RETRY = 6


class Bad(Server):
    """``edits`` holds for a message type what becomes of it: nothing, another message or several."""

    edits: dict[int, Edit] = {}
    client_random = server_random = b""

    def receive(self, data: bytes | bytearray | memoryview, now: float) -> None:
        """The first hello's random is kept: signatures of TLS 1.2 cover it."""
        if not self.client_random:
            self.client_random = bytes(data[11:43])
        super().receive(data, now)

    def say_raw(self, raw: bytes) -> bytes:
        """See ``Endpoint``."""
        kind = RETRY if raw[0] == 2 and raw[6:38] == HRR_RANDOM else raw[0]
        if kind in self.edits:
            raw = self.edits[kind](self, raw)
        if kind == 2:
            self.server_random = raw[6:38]
        return super().say_raw(raw)

    def signed(self, parameters: bytes, scheme: int = 0x0403) -> bytes:
        """A ServerKeyExchange with ``parameters`` under a signature that holds."""
        key = self.config.credentials[0].key
        signature = signing.sign(key, scheme, self.client_random + self.server_random + parameters)
        return message(12, parameters + scheme.to_bytes(2, "big") + len(signature).to_bytes(2, "big") + signature)


def asking(bad: Bad, raw: bytes) -> bytes:
    """A HelloRequest before it, which belongs to no transcript (RFC 5246 7.4.1.1)."""
    bad.say_later(b"\0\0\0\0")
    return raw


def ends(
    version: int,
    edits: dict[int, Edit],
    *kinds: str,
    server: dict[str, Any] | None = None,
    client: dict[str, Any] | None = None,
    session: Session | None = None,
    name: str = NAME,
) -> tuple[Teller, Bad]:
    """A client and a server that edits what it says."""
    config = server_config(*kinds, **{"max_version": version, **(server or {})})
    bad = Bad(config, now=NOW, entropy=os.urandom)
    bad.edits = edits
    return Teller(client_config(**(client or {})), name, now=NOW, entropy=os.urandom, session=session), bad


def judged(one: Teller, alert: int | None) -> Failed | None:
    """The client ended with one alert, this one, and says and hears nothing more; None: all went well."""
    found = events(one)
    failed = of(found, Failed)
    if alert is None:
        assert not failed, failed
        assert one.facts is not None
        assert not one.told
        return None
    assert len(failed) == 1, (failed, one.told)
    assert (failed[0].alert, one.told) == (alert, [(2, alert)]), failed
    assert found[-1] == Closed(clean=False)
    assert len(of(found, Closed)) == 1
    one.take_output(NOW)
    one.receive(b"\x15\3\3\0\2\2\x28\x16\3\3\0\4\0\0\0\0", NOW)
    one.receive_eof(NOW)
    assert not one.take_output(NOW)
    assert not events(one)
    first: Failed = failed[0]
    return first


def carried(version: int, edits: dict[int, Edit], alert: int | None, *kinds: str, **more: Any) -> Teller:
    """A handshake with the bad server, and what the client made of it."""
    one, bad = ends(version, edits, *kinds, **more)
    pump(one, bad)
    judged(one, alert)
    return one
