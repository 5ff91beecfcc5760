"""A connection that has everything at once, however unlikely: every list filled, every optional fact there."""

from __future__ import annotations

from dataclasses import replace

from synfin.observe.evidence import Evidence
from synfin.observe.story import Connection, DnsFact, Endpoint, PreambleFact
from synfin.observe.story_http import H2Event, HttpMessage, HttpStory
from synfin.observe.story_tcp import IcmpError, Stall
from synfin.observe.story_tls import AlertFact, Decryption, Opened
from synfin.observe.stream import ByteStream, Hole, Overlap
from tests.views import sample
from tests.views.support import story_of

NOW = 1_700_000_000 * 10**9


def http(*, tls: bool) -> HttpStory:
    """Two messages, a frame, a problem."""
    headers = (("Host", "shop.example"), ("X-Odd", "\x1b[31mred\x07"))
    request = HttpMessage(
        0, "request", "2", 1, "GET", "/\x1b[2J", "shop.example", None, "", headers, "h2", None, 0, True,
        (13, 13), NOW, NOW, NOW, tls, 0,
    )  # fmt: skip
    answer = HttpMessage(
        1, "response", "2", 1, None, None, None, 200, "OK", (("content-length", "9"),), "h2", 9, 5, False,
        (15, 17), NOW, NOW, NOW + 10**6, tls, 0, "short",
    )  # fmt: skip
    event = H2Event(1, "goaway", 0, 2, "INTERNAL_ERROR", 17, NOW)
    return HttpStory("h2", tls, [request, answer], [event], "websocket", [(Evidence((17,), 1, 4, 5, "frame"), "bad")])


def everything() -> Connection:
    """The sample connection with everything that it lacks."""
    connection = story_of(sample.tls12())
    tls = connection.tls
    assert tls is not None
    assert tls.data is None
    holes = (Hole(4000, 10, True),)
    tls.data = (ByteStream([], holes), ByteStream([], holes))
    tls.alerts.append(AlertFact(1, 2, 40, False, False, 22, NOW))
    tls.problems.append((Evidence((8,), 1, 100, 5, "record"), "not a record"))
    tls.client_hello_2 = tls.client_hello
    tls.decryption = (Decryption(Opened.PART, "wrong secret", 3, 17), Decryption(Opened.ALL, "", 2))
    side = connection.tcp.sides[0]
    first = replace(side, marks={"retransmission": 1})
    connection.tcp = replace(
        connection.tcp,
        sides=(first, connection.tcp.sides[1]),
        stalls=(Stall("zero_window", 1, NOW, NOW + 10**9, (15, 16)),),
        icmp=(IcmpError(9, NOW, "192.0.2.1", 4, 3, 4, 0, 1001, 1400, "fragmentation_needed"),),
        overlaps=(Overlap(3, 5, 15, 16),),
    )
    connection.streams = tuple(ByteStream(stream.pieces, holes) for stream in connection.streams)  # type: ignore[assignment]
    connection.http, connection.outer_http = http(tls=True), http(tls=False)
    connection.preambles = (PreambleFact("http-connect", Endpoint("shop.example", 443), True, "200", NOW, NOW, (4,)),)
    connection.dns = DnsFact(
        "shop.example", "A", 1, 2, NOW - 10**7, NOW - 10**6, "NOERROR", ("198.51.100.9",), "192.0.2.53"
    )
    connection.vlans, connection.tunnels = ("7",), ("vxlan 3",)
    return connection
