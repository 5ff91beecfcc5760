"""Golden texts: what the views print for a few small conversations, kept as files beside this one.

``python -m tests.views.golden`` writes them anew; look at the difference before it is committed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from synfin.observe.story import Connection
from synfin.views.connection import story
from synfin.views.follow import conversation
from synfin.views.octets import Frame, explain
from synfin.views.table import row, table
from tests.support.packets import frames, wire_lengths
from tests.views import sample
from tests.views.support import all_of

FOLDER = Path(__file__).parent / "golden"

HTTP = r"""
    a = 192.0.2.7:50001
    b = 198.51.100.9:80
    c = 192.0.2.7:50002
    d = 198.51.100.9:81
    e = 192.0.2.7:50003
    f = 198.51.100.9:8080
    0.000 a > b SYN <mss 1460>
    0.010 b > a SYN,ACK <mss 1460>
    0.010 a > b ACK
    0.011 a > b PSH,ACK data="GET /a?\x1b[31m HTTP/1.1\r\nHost: shop.example\r\n\r\n"
    0.030 b > a PSH,ACK data="HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234"
    0.090 b > a PSH,ACK data="56789"
    0.091 a > b FIN,ACK
    0.100 b > a FIN,ACK
    0.101 a > b ACK
    1.000 c > d SYN
    1.010 d > c RST,ACK
    2.000 e > f SYN
    3.000 e > f SYN seq=1000
    5.000 e > f SYN seq=1000
"""

LOSSY = """
    0.000 a > b SYN <mss 1460>
    0.010 b > a SYN,ACK <mss 1460>
    0.010 a > b ACK
    0.020 a > b PSH,ACK len=100
    0.031 b > a ACK len=1000
    0.033 b > a ACK len=1000 seq=+1000
    0.034 b > a ACK len=1000
    0.035 a > b ACK ack=6001
    0.036 a > b ACK ack=6001
    0.250 b > a ACK len=1000 seq=6001
    0.251 a > b ACK
    0.300 a > b RST,ACK
"""


def _story(text: str, width: int, *, brief: bool = False) -> Iterator[str]:
    connection = all_of(text)[0]
    return story(connection, width=width, brief=brief)


def _bytes(text: str, number: int, width: int) -> Iterator[str]:
    octets = frames(text)[number - 1][1]
    frame = Frame(number, 1, octets, wire_lengths(text)[number - 1])
    owner: Connection = next(item for item in all_of(text) if number in item.rows.number)
    return explain(frame, owner, width)


def _table(width: int | None) -> Iterator[str]:
    connections = all_of(HTTP)
    return table([row(connection) for connection in connections], connections[0].start, width)


#: File name -> what makes its text.
GOLDEN: dict[str, Callable[[], Iterator[str]]] = {
    "table-pipe": lambda: _table(None),
    "table-120": lambda: _table(120),
    "table-80": lambda: _table(80),
    "table-60": lambda: _table(60),
    "tls12-120": lambda: _story(sample.tls12(), 120),
    "tls12-80": lambda: _story(sample.tls12(), 80),
    "tls12-brief": lambda: _story(sample.tls12(), 120, brief=True),
    "lossy-120": lambda: _story(LOSSY, 120),
    "http-100": lambda: _story(HTTP, 100),
    "http-follow": lambda: conversation(all_of(HTTP)[0]),
    "bytes-syn": lambda: _bytes(sample.tls12(), 1, 120),
    "bytes-client-hello": lambda: _bytes(sample.tls12(), 4, 120),
    "bytes-part": lambda: _bytes(sample.tls12(), 8, 80),
    "bytes-http": lambda: _bytes(HTTP, 5, 100),
}


def text_of(name: str) -> str:
    """The golden text as it is printed now."""
    return "\n".join(GOLDEN[name]()) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for golden in GOLDEN:
        (FOLDER / f"{golden}.txt").write_text(text_of(golden), encoding="utf-8")
