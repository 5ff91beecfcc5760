"""The programs of docs/howto/script-a-tcp-test.md are run as they stand; sockets do what they say."""

from __future__ import annotations

import re
from ast import literal_eval
from dataclasses import fields
from pathlib import Path

import pytest

from synfin.errors import UsageError
from synfin.tcp import Config, Host, Kind, Socket
from synfin.tcp.config import MILLISECOND, MINUTE, SECOND
from tests.tcp.test_scenarios import between, pair

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "script-a-tcp-test.md"


def test_the_page_is_true() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 6
    exec(compile("\n".join(blocks), str(PAGE), "exec"), {})


UNITS = {"ms": MILLISECOND, "s": SECOND, "min": MINUTE}


def _value(text: str) -> object:
    """A default as the page writes it: a Python value, or times with their units."""
    plain = re.sub(r"(\d+) (ms|s|min)\b", lambda found: str(int(found[1]) * UNITS[found[2]]), text)
    return literal_eval(plain)


def test_every_option_is_on_the_page() -> None:
    part = PAGE.read_text().partition("## The options")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| .+ \|$", part, re.MULTILINE)
    assert [name for name, _ in rows] == [field.name for field in fields(Config)]
    assert {name: _value(text) for name, text in rows} == {f.name: f.default for f in fields(Config)}


def test_every_event_is_on_the_page() -> None:
    part = PAGE.read_text().partition("The kinds of events")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(.+?)` \|", part, re.MULTILINE)) == {str(kind) for kind in Kind}


def test_sockets() -> None:
    one, two = pair()
    server, client = Socket(two), Socket(one, nodelay=True)
    with pytest.raises(UsageError, match="bind one first"):
        server.listen()
    server.bind(80, "10.0.0.2")
    server.listen(5)
    assert str(server.state) == "LISTEN"
    assert server.accept() is None
    client.bind(1234)
    client.connect("10.0.0.2", 80, 0)
    between(one, two)
    inner = server.accept()
    assert inner is not None
    assert (str(client.state), str(inner.state)) == ("ESTABLISHED", "ESTABLISHED")
    assert inner.port == 80
    assert client.port == 1234
    client.set(keepalive=SECOND, user_timeout=7 * SECOND)
    assert client.connection is not None
    assert client.connection.user_timeout == 7 * SECOND
    client.send(b"abc", 0)
    between(one, two)
    assert inner.recv(0, 2) == b"ab"
    assert inner.recv(0) == b"c"
    client.shutdown(0)
    between(one, two)
    assert inner.ended
    inner.close(0)
    between(one, two)
    assert (str(client.state), str(inner.state)) == ("TIME_WAIT", "CLOSED")
    server.close(0)
    assert str(server.state) == "CLOSED"
    again = Socket(one)
    again.connect("10.0.0.2", 80, 0)
    between(one, two)
    assert again.error == "refused"


def test_mistakes_are_told() -> None:
    host = Host(["10.0.0.1"], b"0123456789abcdef")
    host.listen(80)
    with pytest.raises(UsageError, match="listened on already"):
        host.listen(80)
    with pytest.raises(UsageError, match="not an IP address"):
        host.connect("example.org", 80, 0)
    with pytest.raises(UsageError, match="no address of that version"):
        host.connect("2001:db8::1", 80, 0)
    with pytest.raises(UsageError, match="connect or accept"):
        Socket(host).send(b"x", 0)
    host.connect("10.0.0.2", 80, 0, local_port=7)
    with pytest.raises(UsageError, match="already"):
        host.connect("10.0.0.2", 80, 0, local_port=7)
    with pytest.raises(ValueError, match="guessed"):
        Host(["10.0.0.1"], b"short")
