"""What a sniffer reads without keys: all of HTTP, and of HTTPS what the RFCs leave in clear."""

from __future__ import annotations

import json
from functools import lru_cache

import pytest

from synfin.lab.captures import observe_octets
from synfin.lab.lessons import lesson
from synfin.lab.visits import Attack, Kind, visits
from synfin.observe import observe
from synfin.observe.story import Connection
from synfin.views.sniffer import HIDDEN, sniff, sniffer_json, sniffer_lines

KINDS = list(Kind)


@lru_cache(maxsize=8)
def overheard(kind: Kind) -> dict[int, Connection]:
    return {connection.id: connection for connection in observe_octets(visits(1, kind).overheard, secrets=False)}


def text(connection: Connection, width: int = 100) -> str:
    return "\n".join(sniffer_lines(connection, width))


def test_a_decrypted_story_is_refused() -> None:
    made = visits(1, Kind.TLS13)
    first = next(iter(observe_octets(made.capture)))
    with pytest.raises(ValueError, match="without secrets"):
        sniff(first)


def test_http_hides_nothing() -> None:
    found = sniff(overheard(Kind.TLS13)[1])
    assert found.reads_content
    assert found.names == (("Host", "www.bob.example"),)
    request, answer = found.messages
    assert request.start_line == "GET /order?id=4711 HTTP/1.1"
    assert ("Cookie", "session=7f3a9c51") in [(name.title(), value) for name, value in request.headers]
    assert answer.start_line == "HTTP/1.1 200 OK"
    assert "BOB-1111-2222" in answer.begins
    assert answer.body == len(answer.begins)
    assert "not seen" not in text(overheard(Kind.TLS13)[1])


@pytest.mark.parametrize("kind", KINDS)
def test_https_hides_what_it_should(kind: Kind) -> None:
    connection = overheard(kind)[0]
    told = text(connection) + json.dumps(sniffer_json(connection))
    for secret in ("4711", "7f3a9c51", "BOB-1111", "alice/1.0", "200 OK"):
        assert secret not in told
    found = sniff(connection)
    assert ("SNI", "www.bob.example") in found.names
    assert not found.reads_content
    assert bool(found.certificates) == (kind in (Kind.TLS12, Kind.RSA))
    assert sniffer_json(connection)["not_seen"] == list(HIDDEN)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not Kind.HTTP2])
def test_sizes_are_read_from_records(kind: Kind) -> None:
    """Request and answer are one record each in the scene: their sizes are exact, whatever the cipher adds."""
    clear = overheard(kind)[1]
    sizes = [side.unique_payload for side in clear.tcp.sides]
    turns = sniff(overheard(kind)[0]).turns
    assert [(turn.sender, turn.octets, turn.records) for turn in turns] == [
        ("client", sizes[0], 1),
        ("server", sizes[1], 1),
    ]


def test_alerts_in_clear_are_heard_and_sealed_ones_are_not() -> None:
    made = visits(1, Kind.TLS12)
    found = sniff(overheard(Kind.TLS12)[made.visit(Attack.IMPOSTOR, secure=True).connection])
    assert found.alerts == (("client", "unknown_ca"),)
    assert sniff(overheard(Kind.TLS12)[made.visit(Attack.TAMPERER, secure=True).connection]).alerts == ()


@pytest.mark.parametrize("width", [40, 80, 120])
def test_lines_keep_their_width(width: int) -> None:
    for connection in overheard(Kind.TLS12).values():
        assert all(len(line) <= width for line in sniffer_lines(connection, width))


def test_real_captures() -> None:
    for name, seen in (("http", True), ("https-tls12", False), ("https-tls13", False), ("refused", False)):
        with observe(f"examples/{name}.pcapng", embedded=False) as story:
            for connection in story:
                assert sniff(connection).reads_content is seen
                json.dumps(sniffer_json(connection))
                assert text(connection)


def test_other_clear_protocols_are_read_too() -> None:
    (connection,) = observe_octets(lesson("half-close").capture)
    assert sniff(connection).clear == (("client", "what time is it?"), ("server", "half past nine"))
    assert "in clear     client: “what time is it?”" in text(connection)
    assert "not seen" not in text(connection)
