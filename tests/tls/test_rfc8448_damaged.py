"""RFC 8448 with one bit changed: wherever it is, no end of ours comes through the handshake as if nothing had been.

Only legacy_record_version of records in clear may differ unnoticed (RFC 8446 5.1: it MUST be ignored).
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from synfin.tls import Client, Closed, Event, Failed, HandshakeDone, PeerAlert, Server
from tests.tls import rfc8448_play as play
from tests.tls import rfc8448_traces as traces
from tests.tls.ends import NOW, events, of
from tests.tls.rfc8448_traces import DATA, EARLY, Trace
from tests.tls.test_rfc8448 import LATER, SECTIONS, session, ticket

CLEAR = (20, 22)


def places(record: bytes) -> Iterator[int]:
    """Octets to damage: the header's, those of the first messages, the last ones, and some between."""
    size = len(record)
    chosen = {*range(min(size, 14)), *range(size - 6, size), *random.Random(size).sample(range(size), min(size, 24))}
    return iter(sorted(at for at in chosen if at >= 0 and not (record[0] in CLEAR and at in (1, 2))))


def listen(end: Client | Server, trace: Trace, now: float, number: int, damaged: bytes) -> list[Event]:
    """Play a section to ``end`` with record ``number`` exchanged; all its events.  It acts as far as it can."""
    found: list[Event] = []
    for at, step in enumerate(trace.steps):
        if step.sender != end.ROLE:
            end.receive(damaged if at == number else step.record, now)
        elif step.cause == "early" and isinstance(end, Client) and end.early_room:
            end.send_early(EARLY)
        elif step.cause == "data" and end.ready:
            end.send(DATA)
        elif step.cause == "close":
            end.close()
        end.take_output(now)
        found += events(end)
    return found


@pytest.mark.parametrize("role", ["client", "server"])
@SECTIONS
def test_every_octet_counts(trace: Trace, role: str) -> None:
    resumed = trace is traces.RESUMED
    now = LATER if resumed else NOW
    given = (session(), ticket()) if resumed else (None, None)

    def end() -> Client | Server:
        if role == "client":
            return play.client(trace, [], now, given[0], strict=False)
        return play.server(trace, [], now, given[1], strict=False)

    theirs = [number for number, step in enumerate(trace.steps) if step.sender != role]
    sound = listen(end(), trace, now, -1, b"")
    assert of(sound, HandshakeDone) and sound[-1] == Closed(clean=True)
    for number in theirs:
        record = trace.steps[number].record
        early = trace.steps[number].cause == "early"
        within = trace.steps[number].cause in ("", "early") and not (role == "client" and record == _ticket(trace))
        for at in places(record):
            changed = bytearray(record)
            changed[at] ^= 1 << (at % 8)
            found = listen(end(), trace, now, number, bytes(changed))
            told = f"section {trace.section}, record {number}, octet {at}"
            assert Closed(clean=True) not in found, told
            assert not (within and of(found, HandshakeDone)), told
            if record[0] == 23 and at >= 5 and not early:
                assert [failed.alert for failed in of(found, Failed)] == [20], told
                assert not of(found, PeerAlert), told


def _ticket(trace: Trace) -> bytes:
    """The record that comes after the handshake without anybody's doing."""
    return trace.steps[4].record if trace is traces.SIMPLE else b""
