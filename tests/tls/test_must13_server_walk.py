"""A TLS 1.3 client that does anything in any order: the server fails at most once, with the alert of what was wrong."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from synfin.spec.violations import VIOLATIONS
from synfin.tls import Failed, ReplayGuard, ServerConfig
from tests.support.tlsoctets import message, record, vector
from tests.tls.ends import credential, events, of, server, server_config, ticket_keys, verifier
from tests.tls.raw13 import ALERT, CCS, DATA, HANDSHAKE, AlertError, Memory, Raw13, Ticket, connect

KEYS = ticket_keys()
CONFIGS: tuple[Callable[[], ServerConfig], ...] = (
    lambda: server_config(ticket_keys=KEYS, max_early_data=1000, replay_guard=ReplayGuard()),
    lambda: server_config(ticket_keys=KEYS, client_auth="optional", verify=verifier()),
    lambda: server_config(verify=verifier(), cookie=True, record_size_limit=200),
    lambda: server_config(groups=(24,)),
)
CERTIFICATE = b"\0" + vector(vector(credential(client=True).chain[0], 3) + b"\0\0", 3)


def _steps(chance: random.Random) -> list[Callable[[Raw13], Any]]:
    def some(most: int) -> bytes:
        return chance.randbytes(chance.randrange(most))

    def serving(c: Raw13) -> None:
        assert isinstance(c.way, Memory)
        end = c.way.end
        if end.ready:
            end.send(some(2000))
            end.update_keys(chance.random() < 0.5)

    def updated(c: Raw13) -> None:
        if c.out is not None:
            c.updated()

    return [
        lambda c: c.put(chance.choice((0, CCS, ALERT, HANDSHAKE, DATA, 24)), some(40), chance.randrange(30)),
        lambda c: c.put(HANDSHAKE, message(chance.choice((1, 2, 4, 5, 11, 15, 20, 24, 25)), some(60))),
        lambda c: c.raw(record(some(60), chance.choice((CCS, ALERT, HANDSHAKE, DATA)))),
        lambda c: c.raw(record(b"\1", CCS)),
        lambda c: updated(c.put(HANDSHAKE, message(24, bytes([chance.randrange(3)])))),
        lambda c: c.say(message(5, b"")),
        lambda c: c.certificate(CERTIFICATE).say(c.verify()),
        lambda c: c.put(DATA, some(300)),
        lambda c: c.put(ALERT, bytes([chance.choice((1, 2)), chance.choice((0, 10, 40, 90))])),
        lambda c: c.raw(some(30)),
        lambda c: c.put(HANDSHAKE, c.hello()),
        lambda c: c.finish() if c.schedule is not None else None,
        lambda c: c.handshake_keys() if c.schedule is not None else None,
        serving,
    ]


def _hello(c: Raw13, chance: random.Random, tickets: list[Ticket]) -> bytes:
    change: dict[int, bytes | None] = {49: b""}
    if chance.random() < 0.4:
        change[42] = b""
    if chance.random() < 0.2:
        change[51] = b"\0\0"
    if chance.random() < 0.3:
        change[28] = chance.choice((64, 100, 16385)).to_bytes(2, "big")
    hello = c.hello(change)
    if chance.random() < 0.5:
        c.psk = tickets[0].key
        return c.with_psk(hello, tickets[: chance.randrange(1, 3)])
    return hello


@pytest.mark.parametrize("seed", range(8))
def test_anything_in_any_order(seed: int) -> None:
    chance = random.Random(seed)
    first = connect(server(CONFIGS[0]()))
    first.shake().late()
    for _ in range(60):
        c = connect(server(chance.choice(CONFIGS)()))
        assert isinstance(c.way, Memory)
        steps = _steps(chance)
        try:
            c.say(_hello(c, chance, first.tickets))
            if chance.random() < 0.3:
                c.early_keys(first.tickets[0]).put(DATA, chance.randbytes(chance.randrange(20)))
            c.server_hello()
            if c.schedule is not None:
                c.rest_of_flight()
                if chance.random() < 0.6:
                    c.finish()
        except AlertError:
            pass
        for _ in range(chance.randrange(1, 8)):
            chance.choice(steps)(c)
        failures = of([*c.way.events, *events(c.way.end)], Failed)
        assert len(failures) <= 1
        for failed in failures:
            assert failed.alert == VIOLATIONS[failed.violation].alert
            assert c.way.end.closed
            assert not c.way.end.ready
