"""The scene of ``synfin demo``: what each party got, and what observer, judge and tshark make of its capture."""

from __future__ import annotations

import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from synfin.errors import UsageError
from synfin.http.client1 import Http1
from synfin.http.client2 import Http2
from synfin.judge.engine import Context, judge_each
from synfin.judge.model import Severity
from synfin.lab import keys
from synfin.lab.captures import observe_octets
from synfin.lab.speakers import Answerer, Answerer2, Asker, Page, Speaker
from synfin.lab.visits import FALSE, REQUEST, TRUE, Attack, Kind, Scene, visits
from synfin.observe.story import Connection
from synfin.sim import Network, Talks, Tamperer

KINDS = list(Kind)


@lru_cache(maxsize=8)
def scene(kind: Kind) -> Scene:
    return visits(1, kind)


@lru_cache(maxsize=8)
def judged(kind: Kind) -> dict[int, tuple[Connection, tuple[str, ...]]]:
    """Connection id -> its story, and the codes of what a linter says of it."""
    found = judge_each(observe_octets(scene(kind).capture), Context())
    return {
        item.connection.id: (
            item.connection,
            tuple(f.code for f in item.judgement.findings if f.severity >= Severity.WARNING),
        )
        for item in found
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_makes_the_same_octets(kind: Kind) -> None:
    assert visits(1, kind) == scene(kind)
    other = visits(2, kind)
    assert other.capture != scene(kind).capture
    assert [visit.client.got for visit in other.visits] == [visit.client.got for visit in scene(kind).visits]


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(UsageError, match="seed -1"):
        visits(-1)


@pytest.mark.parametrize("kind", KINDS)
def test_undisturbed_visits_bring_the_page(kind: Kind) -> None:
    for secure in (True, False):
        visit = scene(kind).visit(Attack.NONE, secure=secure)
        assert visit.client.complete
        assert TRUE in visit.client.got
        assert visit.server.got == b"/order?id=4711"
        assert not visit.believed
        assert not visit.changed


@pytest.mark.parametrize("kind", KINDS)
def test_http_believes_whatever_comes(kind: Kind) -> None:
    for attack in (Attack.TAMPERER, Attack.IMPOSTOR):
        visit = scene(kind).visit(attack, secure=False)
        assert visit.believed
        assert FALSE in visit.client.got
        assert TRUE not in visit.client.got
        assert judged(kind)[visit.connection][1] == ()


@pytest.mark.parametrize(
    ("kind", "attack", "alert", "codes"),
    [
        (Kind.TLS13, Attack.TAMPERER, 20, ("TLS501",)),
        (Kind.TLS13, Attack.IMPOSTOR, 48, ("CRT102",)),
        (Kind.TLS13, Attack.THIEF, 51, ("TLS210",)),
        (Kind.HTTP2, Attack.TAMPERER, 20, ("TLS501",)),
        (Kind.HTTP2, Attack.IMPOSTOR, 48, ("CRT102",)),
        (Kind.HTTP2, Attack.THIEF, 51, ("TLS210",)),
        (Kind.TLS12, Attack.TAMPERER, 20, ("TLS501",)),
        (Kind.TLS12, Attack.IMPOSTOR, 48, ("CRT102",)),
        (Kind.TLS12, Attack.THIEF, 51, ("TLS210",)),
        (Kind.RSA, Attack.TAMPERER, 20, ("TLS501",)),
        (Kind.RSA, Attack.IMPOSTOR, 48, ("CRT102",)),
        (Kind.RSA, Attack.THIEF, 20, ("TLS501",)),
    ],
)
def test_https_refuses_them(kind: Kind, attack: Attack, alert: int, codes: tuple[str, ...]) -> None:
    visit = scene(kind).visit(attack, secure=True)
    assert not visit.client.complete
    assert visit.client.got == b""
    assert {visit.client.alert_sent, visit.server.alert_sent} == {alert, None}
    connection, found = judged(kind)[visit.connection]
    assert found == codes
    assert connection.tls is not None
    assert [fact.description for fact in connection.tls.alerts if fact.level == 2] == [alert]


@pytest.mark.parametrize("kind", KINDS)
def test_the_healthy_ones_are_silent_and_open(kind: Kind) -> None:
    for secure in (True, False):
        visit = scene(kind).visit(Attack.NONE, secure=secure)
        connection, found = judged(kind)[visit.connection]
        assert found == ()
        assert connection.start == visit.start
        assert [end.state for end in connection.tcp.final] == ["TIME_WAIT", "CLOSED"]
        assert connection.http is not None
        assert [message.complete for message in connection.http.messages] == [True, True]


def test_http_may_come_first() -> None:
    made = visits(1, Kind.TLS13, secure_first=False)
    assert [visit.secure for visit in made.visits] == [False, True] * 3 + [True]
    assert not made.visit(Attack.NONE, secure=False).connection


def test_keys_sign_without_chance() -> None:
    key = keys.SceneKey(keys.entropy(1, "a"))
    again = keys.SceneKey(keys.entropy(1, "a"))
    one = key.sign(b"data", ec.ECDSA(hashes.SHA256()))
    assert one == again.sign(b"data", ec.ECDSA(hashes.SHA256()))
    key.public_key().verify(one, b"data", ec.ECDSA(hashes.SHA256()))
    assert keys.entropy(1, "a")(8) != keys.entropy(1, "b")(8)
    draw = keys.entropy(1, "a")
    assert draw(8) != draw(8)


@pytest.mark.parametrize("version", [1, 2])
def test_garbled_http_ends_the_visit(version: int) -> None:
    """What the network makes of HTTP can be unreadable: the client says why, and both close."""
    network = Network(1)
    alice, bob = network.host("a", "192.0.2.1"), network.host("b", "192.0.2.2")
    path = Tamperer(network, "path", "192.0.2.3", lambda packet: packet)
    for node, own in ((alice, "192.0.2.1"), (bob, "192.0.2.2")):
        network.link(node, path)
        path.route(own, node)
    path.change = lambda p: p._replace(payload=b"\0" * len(p.payload)) if p.sport == 80 and p.payload else p
    page = Page((("Content-Length", "2"),), b"hi")
    server = Speaker(network, bob, Answerer(page) if version == 1 else Answerer2(page), None, float)
    client = Speaker(network, alice, Asker(Http1(REQUEST) if version == 1 else Http2(REQUEST)), None, float)
    Talks(bob).listen(80, lambda: server)
    Talks(alice).connect("192.0.2.2", 80, client)
    network.run(until=10**10)
    assert client.garbled
    assert not client.http.complete
    assert client.closed
    assert server.closed


# ---------------------------------------------------------------- a foreign opinion

needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def tshark(path: Path, *options: str) -> list[str]:
    command = ["tshark", "-n", "-r", str(path), "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]
    return subprocess.run([*command, *options], capture_output=True, text=True, check=True).stdout.splitlines()


@needs_tshark
@pytest.mark.parametrize("kind", KINDS)
def test_tshark_opens_it_with_the_secrets_inside(kind: Kind, tmp_path: Path) -> None:
    path = tmp_path / "demo.pcapng"
    path.write_bytes(scene(kind).capture)
    field = "http2.request.full_uri" if kind is Kind.HTTP2 else "http.request.full_uri"
    for stream, name, url in ((0, field, "https"), (1, "http.request.full_uri", "http")):
        said = tshark(path, "-Y", f"tcp.stream == {stream} && {name}", "-T", "fields", "-e", name)
        assert said == [f"{url}://www.bob.example/order?id=4711"]
    assert tshark(path, "-Y", "tcp.stream < 2 && _ws.expert.severity >= 0x600000") == []
    alerts = tshark(path, "-Y", "tls.alert_message.level == 2", "-T", "fields", "-e", "tls.alert_message.desc")
    assert alerts == [
        str(fact.description)
        for connection, _ in judged(kind).values()
        if connection.tls is not None
        for fact in connection.tls.alerts
        if fact.level == 2
    ]


@needs_tshark
def test_the_sniffer_has_no_secrets(tmp_path: Path) -> None:
    path = tmp_path / "overheard.pcapng"
    path.write_bytes(scene(Kind.TLS13).overheard)
    assert tshark(path, "-Y", "http.request && tcp.port == 443") == []
    assert len(tshark(path, "-Y", "http.request && tcp.port == 80")) == 3
