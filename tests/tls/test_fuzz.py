"""Mutated and truncated flights at every step: the end answers with one alert or goes on, and nothing else happens."""

from __future__ import annotations

import random
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.spec.violations import VIOLATIONS
from synfin.tls import Client, Failed, Server
from tests.tls.ends import (
    NOW,
    client,
    client_config,
    credential,
    events,
    of,
    server,
    server_config,
    ticket_keys,
    verifier,
)


class Chance:
    """Entropy that repeats, so that a recorded flight fits the end it is played to again."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def __call__(self, size: int) -> bytes:
        return self.random.randbytes(size)


def pair(version: int, mutual: bool) -> tuple[Client, Server]:
    more: dict[str, Any] = {"credentials": (credential(client=True),)} if mutual else {}
    demand: dict[str, Any] = {"client_auth": "optional", "verify": verifier()} if mutual else {}
    one = Client(client_config(max_version=version, **more), "test.example", now=NOW, entropy=Chance(1))
    two = Server(server_config(ticket_keys=ticket_keys(), **demand), now=NOW, entropy=Chance(2))
    return one, two


@lru_cache(maxsize=8)
def flights(version: int, mutual: bool) -> tuple[tuple[str, bytes], ...]:
    """(receiver, octets) in order, of one whole connection with data and close_notify."""
    one, two = pair(version, mutual)
    found = []
    said = False
    for _ in range(8):
        for receiver, giver, taker in (("server", one, two), ("client", two, one)):
            data = giver.take_output(NOW)
            if data:
                found.append((receiver, bytes(data)))
                taker.receive(data, NOW)
        if one.facts and two.facts and not said:
            said = True
            one.send(b"question")
            two.send(b"answer" * 1000)
            one.close()
    return tuple(found)


def judge(end: Client | Server) -> None:
    """Whatever came, the end is alive or has failed with one violation and its alert."""
    end.take_output(NOW)
    failures = of(events(end), Failed)
    assert len(failures) <= 1
    for failed in failures:
        assert failed.violation in VIOLATIONS
        assert failed.alert == VIOLATIONS[failed.violation].alert
        assert end.closed
    assert len(end._held) < 1 << 15
    assert len(end._partial) <= (1 << 18) + 4


def play(version: int, mutual: bool, step: int, change: Any) -> None:
    """Play the connection up to ``step`` unchanged, that flight changed, and the rest."""
    one, two = pair(version, mutual)
    ends: dict[str, Client | Server] = {"client": one, "server": two}
    for number, (receiver, _) in enumerate(flights(version, mutual)):
        giver = ends["client" if receiver == "server" else "server"]
        data = giver.take_output(NOW)
        ends[receiver].receive(change(data) if number == step else data, NOW)
        if number >= step:
            judge(ends[receiver])


#: (where, what to do, octets): drawn before anything is played, since signatures make lengths differ from run to run.
MUTATIONS = st.lists(
    st.tuples(st.integers(0, 1 << 20), st.integers(0, 3), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4
)


def mutated(flight: bytes, mutations: list[tuple[int, int, bytes]]) -> bytes:
    octets = bytearray(flight)
    for where, kind, data in mutations:
        if not octets:
            break
        at = where % len(octets)
        if kind == 0:
            octets[at] ^= 1 << (data[0] & 7)
        elif kind == 1:
            octets[at] = data[0]
        elif kind == 2:
            del octets[at]
        else:
            octets[at:at] = data
    return bytes(octets)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([0x0303, 0x0304]), st.booleans(), st.integers(0, 5), MUTATIONS)
def test_mutated_flights(version: int, mutual: bool, step: int, mutations: list[tuple[int, int, bytes]]) -> None:
    play(version, mutual, step, lambda flight: mutated(flight, mutations))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_random_octets(data: bytes) -> None:
    for end in (client(), server()):
        end.receive(data, NOW)
        judge(end)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([0x0303, 0x0304]),
    st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=3),
)
def test_mutated_hellos_with_right_lengths(version: int, changes: list[tuple[int, int]]) -> None:
    """Mutations inside the message, so that they reach the parsers of extensions and not only the record layer."""
    for receiver in ("server", "client"):
        one, two = pair(version, False)
        flight = one.take_output(NOW)
        end: Client | Server = two
        if receiver == "client":
            two.receive(flight, NOW)
            flight = two.take_output(NOW)
            end = one
        octets = bytearray(flight)
        size = octets[3] << 8 | octets[4]
        for where, value in changes:
            octets[9 + where % (size - 4)] = value
        end.receive(bytes(octets), NOW)
        judge(end)


@pytest.mark.parametrize("version", [0x0303, 0x0304])
def test_truncated_flights(version: int) -> None:
    """A flight cut anywhere leaves the end waiting; the end of the transport is then told as truncation."""
    from synfin.tls import Closed

    for step in range(3):
        size = len(flights(version, True)[step][1])
        for cut in range(0, size, 37):
            one, two = pair(version, True)
            ends: dict[str, Client | Server] = {"client": one, "server": two}
            for number, (receiver, _) in enumerate(flights(version, True)):
                data = ends["client" if receiver == "server" else "server"].take_output(NOW)
                end = ends[receiver]
                end.receive(data if number < step else data[:cut], NOW)
                if number == step:
                    found = events(end)
                    assert not of(found, Failed), (step, cut, found)
                    end.receive_eof(NOW)
                    assert events(end)[-1] == Closed(clean=False)
                    break
