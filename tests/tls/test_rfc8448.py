"""RFC 8448 played to our ends, in either role: they must answer with the RFC's octets, record for record, and secrets.

The records stand in ``rfc8448_traces``; what is given to our ends and added to their words in ``rfc8448_play``.
"""

from __future__ import annotations

from typing import cast

import pytest

from synfin.spec.transcript import Transcript
from synfin.tls import Client, Closed, Data, Event, Failed, HandshakeDone, Server, Session, Ticket
from synfin.tls.schedule import Schedule
from tests.spec import rfc8448 as simple
from tests.tls import rfc8448_more as more
from tests.tls import rfc8448_play as play
from tests.tls import rfc8448_traces as traces
from tests.tls.ends import NOW, events, of, server, server_config
from tests.tls.rfc8448_play import PrintedTicket
from tests.tls.rfc8448_traces import DATA, EARLY, Trace

#: Section 4 happens 6 ms after section 3's ticket, as its obfuscated_ticket_age says.
LATER = NOW + 0.0065


def perform(end: Client | Server, trace: Trace, now: float, cut: int = 1 << 16) -> list[Event]:
    """Feed the other side's records to ``end`` in pieces, hold what it says to its own; all its events."""
    said, found = b"", []
    before = ""
    for step in trace.steps:
        assert not said or before != end.ROLE or before == step.sender, f"more than section {trace.section} has"
        before = step.sender
        if step.sender != end.ROLE:
            for at in range(0, len(step.record), cut):
                end.receive(step.record[at : at + cut], now)
            found += events(end)
        elif step.cause == "early":
            assert isinstance(end, Client)
            end.send_early(EARLY)
        elif step.cause == "data":
            end.send(DATA)
        elif step.cause == "close":
            end.close()
        said += end.take_output(now)
        if step.sender == end.ROLE:
            size = len(step.record)
            assert said[:size].hex() == step.record.hex(), f"section {trace.section}, {step}"
            said = said[size:]
    assert not said
    return found + events(end)


def logged(lines: list[str]) -> dict[str, bytes]:
    """Secrets by their names."""
    return {name: bytes.fromhex(secret) for name, _, secret in map(str.split, lines)}


def check(end: Client | Server, trace: Trace, found: list[Event], log: list[str]) -> None:
    """What both roles must have come to."""
    done = of(found, HandshakeDone)[0].facts
    assert {name: getattr(done, name) for name in trace.facts} == trace.facts
    assert found[-1] == Closed(clean=True)
    assert end.keys13 is not None
    assert logged(log) == trace.secrets
    assert end.keys13.schedule.exporter_secret == trace.secrets["EXPORTER_SECRET"]
    assert end.keys13.schedule.resumption_secret == trace.resumption


def session() -> Session:
    """What section 3 leaves with our client."""
    found = perform(play.client(traces.SIMPLE, []), traces.SIMPLE, NOW)
    return cast(Session, of(found, Ticket)[0].session)


def ticket() -> PrintedTicket:
    """What section 3 leaves with our server."""
    tickets = PrintedTicket(bytes(32))
    perform(play.server(traces.SIMPLE, [], NOW, tickets), traces.SIMPLE, NOW)
    return tickets


SECTIONS = pytest.mark.parametrize("trace", traces.TRACES, ids=lambda trace: f"section {trace.section}")
PIECES = pytest.mark.parametrize("cut", [1 << 16, 1, 7], ids=["whole", "octet by octet", "by seven"])


@PIECES
@SECTIONS
def test_client(trace: Trace, cut: int) -> None:
    log: list[str] = []
    resumed = trace is traces.RESUMED
    end = play.client(trace, log, LATER if resumed else NOW, session() if resumed else None)
    found = perform(end, trace, LATER if resumed else NOW, cut)
    check(end, trace, found, log)
    assert [event.data for event in of(found, Data)] == ([DATA] if trace.section in (3, 4) else [])
    if resumed:
        assert end.early_exporter == ("sha256", more.EARLY_EXPORTER)


@PIECES
@SECTIONS
def test_server(trace: Trace, cut: int) -> None:
    log: list[str] = []
    now = LATER if trace is traces.RESUMED else NOW
    tickets = ticket() if trace is traces.RESUMED else PrintedTicket(bytes(32))
    end = play.server(trace, log, now, tickets)
    found = perform(end, trace, now, cut)
    check(end, trace, found, log)
    expected = [Data(DATA)] if trace.section in (3, 4) else []
    if trace is traces.RESUMED:
        expected.insert(0, Data(EARLY, early=True))
        assert end.early_exporter == ("sha256", more.EARLY_EXPORTER)
    assert of(found, Data) == expected
    if trace is traces.AUTHENTICATED:
        assert of(found, HandshakeDone)[0].facts.signature == 0x0804


def test_the_ticket_is_the_rfcs() -> None:
    made = session()
    assert (made.secret, made.ticket) == (simple.TICKET_PSK, more.TICKET) == (more.PSK, more.TICKET)
    assert (made.age_add, made.lifetime, made.max_early_data) == (0xFAD6AAC5, 30, 1024)


def test_a_damaged_binder() -> None:
    """Section 4 with one octet of its binder changed."""
    end = play.server(traces.RESUMED, [], LATER, ticket())
    end.receive(traces.record(more.CLIENT_HELLO[:-1] + b"\0"), LATER)
    failed = of(events(end), Failed)[0]
    assert (failed.violation, failed.alert) == ("bad_psk_binder", 51)


def test_a_cookie_of_another() -> None:
    """Section 5's second hello brings a cookie that our server, left to itself, did not send."""
    end = server(server_config(groups=(23,), schemes=(0x0403,), cookie=True))
    end.receive(traces.record(more.FIRST_HELLO), NOW)
    assert end.take_output(NOW)[11:43] == more.RETRY[6:38]
    end.receive(traces.record(more.SECOND_HELLO), NOW)
    failed = of(events(end), Failed)[0]
    assert (failed.violation, failed.expected) == ("illegal_parameter", "our cookie")


def test_the_transcript_over_a_retry() -> None:
    """Section 5: the first hello counts as its hash (RFC 8446 4.4.1)."""
    transcript = Transcript()
    transcript.add(more.FIRST_HELLO)
    transcript.choose("sha256")
    transcript.retry()
    for raw in (more.RETRY, more.SECOND_HELLO, more.HELLO_AFTER_RETRY):
        transcript.add(raw)
    assert transcript.digest() == more.RETRY_HASH
    schedule = Schedule(0x1301, b"", more.RETRY_SHARED, more.RETRY_HASH)
    assert (schedule.client, schedule.server) == (more.RETRY_CLIENT_HANDSHAKE, more.RETRY_SERVER_HANDSHAKE)
