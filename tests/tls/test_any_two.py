"""Any client of ours with any server of ours: what one says the other hears, however configured, in whatever pieces.

Configurations and the order of what happens come from a seed.  Where both ends can agree nothing may fail but what a
server of TLS 1.2 makes of early data, and who wants a certificate and gets none.
"""

from __future__ import annotations

import os
from random import Random
from typing import Any

import pytest

from synfin.errors import UsageError
from synfin.tls import Client, Data, Failed, Limits, ReplayGuard, Server, Session, SessionCache, Ticket
from tests.support.tlsoctets import NEW, OLD
from tests.tls.ends import (
    NAME,
    NOW,
    client,
    client_config,
    credential,
    events,
    of,
    pump,
    server,
    server_config,
    verifier,
)
from tests.tls.ends import ticket_keys as keys

#: What ends a handshake of two sound ends.
LAWFUL = {"certificate_required", "client_certificate_missing"}
SHARED = (b"id", bytes(32))


def tickets() -> dict[str, Any]:
    return {"ticket_keys": keys(), "max_early_data": 1000, "replay_guard": ReplayGuard(), "alpn": (b"h2",)}


def sessions() -> list[Session | None]:
    found: list[Session | None] = [None, Session.from_key(*SHARED)]
    for more in ({"max_version": OLD}, {}, {"record_size_limit": 64}, {"suites": (0x1302,)}):
        one, two = client(client_config(alpn=(b"h2",), **more)), server(server_config(**tickets()))
        pump(one, two)
        found.append(of(events(one), Ticket)[0].session)
    return found


def a_client(chance: Random, session: Session | None) -> Client:
    config = client_config(
        max_version=chance.choice((OLD, NEW, NEW)),
        alpn=chance.choice(((b"h2",), (b"h2", b"x"), ())),
        early_data=chance.random() < 0.5,
        post_handshake_auth=chance.random() < 0.5,
        credentials=(credential(client=True),) if chance.random() < 0.5 else (),
        record_size_limit=chance.choice((None, 64, 500)),
        grease=chance.random() < 0.5,
        ask_tickets=chance.random() < 0.8,
        padding=chance.choice((None, lambda size: 7)),
        limits=_limits(chance),
        shares=chance.choice((0, 1, 2, 4)),
        middlebox_compatibility=chance.random() < 0.7,
    )
    return Client(config, NAME, now=NOW, entropy=os.urandom, session=session)


def a_server(chance: Random) -> Server:
    suites = ((0x1301, 0x1302, 0xC02B, 0xC02F), (0x1302, 0xC02C, 0xC030), (0x1303, 0xCCA9, 0xCCA8))
    config = server_config(
        chance.choice(("p256", "rsa2048", "ed25519")),
        max_version=chance.choice((OLD, NEW, NEW, NEW)),
        groups=chance.choice(((29,), (24,), (29, 23), (4588, 29), (256, 23))),
        client_auth=chance.choice((None, None, "optional", "required")),
        verify=verifier(),
        cookie=chance.random() < 0.3,
        record_size_limit=chance.choice((None, 64, 500)),
        limits=_limits(chance),
        shared_keys=(SHARED,),
        session_cache=SessionCache(),
        suites=chance.choice(suites),
        **tickets(),
    )
    return Server(config, now=NOW, entropy=os.urandom)


def _limits(chance: Random) -> Limits:
    return Limits(records_per_key=chance.choice((3, 1 << 20)), key_updates=1 << 20)


class Talk:
    """Two ends, what each said, and what each heard."""

    def __init__(self, one: Client, two: Server) -> None:
        self.ends: tuple[Client | Server, ...] = (one, two)
        self.said: list[bytes] = [b"", b""]
        self.heard: list[bytes] = [b"", b""]
        self.failed: list[Failed] = []

    def listen(self) -> None:
        for index, end in enumerate(self.ends):
            found = events(end)
            self.failed += of(found, Failed)
            self.heard[index] += b"".join(bytes(event.data) for event in of(found, Data))

    def step(self, chance: Random) -> None:
        """One of them does something."""
        index, what = chance.randrange(2), chance.randrange(12)
        end, other = self.ends[index], self.ends[1 - index]
        if what == 0 and end.ready:
            data = chance.randbytes(chance.choice((1, 100, 5000)))
            end.send(data)
            self.said[index] += data
        elif what == 1 and end.ready and end.facts is not None and end.version == NEW:
            end.update_keys(request=chance.random() < 0.5)
        elif what == 2 and isinstance(end, Server) and end.facts is not None:
            try:
                end.request_certificate()
            except UsageError:
                return
        else:
            data, at = bytes(end.take_output(NOW)), 0
            while at < len(data):
                size = chance.choice((len(data), chance.randrange(1, 200)))
                other.receive(data[at : at + size], NOW)
                at += size
        self.listen()


@pytest.mark.parametrize("seed", range(8))
def test_what_one_says_the_other_hears(seed: int) -> None:
    chance, kept, done = Random(seed), sessions(), 0
    for _ in range(20):
        one, two = a_client(chance, chance.choice(kept)), a_server(chance)
        early = chance.randbytes(chance.randrange(one.early_room + 1))
        one.send_early(early)
        talk = Talk(one, two)
        for _ in range(chance.randrange(20, 80)):
            talk.step(chance)
        pump(one, two, rounds=60)
        talk.listen()
        if one.facts is None or two.facts is None:
            hasty = one.config.early_data and two.config.max_version == OLD
            assert hasty or {event.violation for event in talk.failed} <= LAWFUL, talk.failed
            continue
        done += 1
        assert not {event.violation for event in talk.failed} - LAWFUL, talk.failed
        if not talk.failed:
            assert talk.heard[1] == (early if one.facts.early_data else b"") + talk.said[0]
            assert talk.heard[0] == talk.said[1]
    assert done > 10
