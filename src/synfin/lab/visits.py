"""Alice sits in a cafe and opens Bob's page, and somebody sits between them: the scene of ``synfin demo``.

She opens it several times, over HTTPS and over HTTP: undisturbed; with a router that changes what passes; and with
Mallory in Bob's place, once with a certificate of Mallory's own CA and once with Bob's, to which Mallory has no key.
All of that happens in the simulated network on our engines, one visit every ten seconds, captured at Alice's host and,
as a sniffer does it, at the cafe's router.  What each of them got and said stands in the ``Visit``: the truth, for
which no capture is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from io import BytesIO

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from synfin import tls
from synfin.errors import UsageError
from synfin.http.client import Request
from synfin.http.client1 import Http1
from synfin.http.client2 import Http2
from synfin.lab.keys import Authority, SceneClient, authority, entropy, server_credential
from synfin.lab.speakers import Answerer, Answerer2, Asker, Http, Page, Speaker
from synfin.sim import Conditions, HostNode, Network, Talks, Tamperer
from synfin.sim.tap import Reel, Tap
from synfin.tcp import Config, Icmp, Packet
from synfin.tcp.config import MILLISECOND, SECOND
from synfin.tls.groups import SECP256R1, X25519
from synfin.wire.tls.records import APPLICATION_DATA

#: When it all happens: a fixed day, so that certificates stay valid and runs stay the same.
DAY = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
NAME = "www.bob.example"
ALICE, CAFE, BOB = "192.0.2.10", "192.0.2.1", "198.51.100.80"

#: The way from Alice to the cafe's router, and from there to Bob.
NEAR, FAR = 2 * MILLISECOND, 18 * MILLISECOND
_EVERY = 10 * SECOND

#: What the tamperer looks for and puts there instead; both have the same length, so that TCP notices nothing.
TRUE, FALSE = b"BOB-1111-2222", b"MAL-6666-6666"

_BODY = b"""<h1>Bob's shop</h1>
<p>Alice, please pay 120 to account BOB-1111-2222.</p>
"""
_FORGED = _BODY.replace(TRUE, FALSE)

#: TLS_RSA_WITH_AES_128_GCM_SHA256: the client encrypts the PreMasterSecret to the server's key (RFC 5246 7.4.7.1).
STATIC_RSA = 0x009C
_GROUPS = (X25519, SECP256R1)


class Kind(StrEnum):
    """How the secure visits speak."""

    TLS13 = "tls1.3"
    HTTP2 = "http2"  # over TLS 1.3
    TLS12 = "tls1.2"
    RSA = "rsa"


class Attack(StrEnum):
    """Who disturbs a visit, and how."""

    NONE = "none"
    TAMPERER = "tamperer"
    IMPOSTOR = "impostor"
    THIEF = "impostor with the server's certificate"


@dataclass(frozen=True, slots=True)
class Party:
    """What one end of a visit got and said.  ``alerts`` are TLS's code points; ``fault`` names a violation.

    ``got``: the page as the client has it, the request's target as the server has it.
    """

    name: str
    got: bytes
    complete: bool
    facts: tls.Facts | None
    fault: str
    why: str
    alert_sent: int | None
    alert_received: int | None


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit; ``connection`` is its number in the captures, ``start`` its time in ns since 1970."""

    connection: int
    attack: Attack
    secure: bool
    start: int
    client: Party
    server: Party
    changed: int  # packets that were changed on their way

    @property
    def url(self) -> str:
        """What Alice opened."""
        return f"http{'s' if self.secure else ''}://{NAME}{REQUEST.target}"

    @property
    def believed(self) -> bool:
        """Whether Alice took a whole page for Bob's that Bob did not write."""
        return self.client.complete and self.client.got != _BODY


@dataclass(frozen=True, slots=True)
class Scene:
    """The whole run.  ``capture`` is Alice's (with her secrets), ``overheard`` the sniffer's, both pcapng.

    ``chain`` is Bob's as sent, ``root`` the one Alice trusts, ``rogue`` Mallory's (DER).
    """

    seed: int
    kind: Kind
    day: datetime
    capture: bytes
    overheard: bytes
    visits: tuple[Visit, ...]
    chain: tuple[bytes, ...]
    root: bytes
    rogue: bytes
    rsa_key: RSAPrivateKey | None = field(default=None, repr=False, compare=False)  # Bob's, where he has one

    def visit(self, attack: Attack, *, secure: bool) -> Visit:
        """The one visit of that kind."""
        return next(visit for visit in self.visits if visit.attack is attack and visit.secure is secure)


REQUEST = Request(
    "GET",
    "https",
    NAME,
    "/order?id=4711",
    (("User-Agent", "alice/1.0"), ("Accept", "text/html"), ("Cookie", "session=7f3a9c51")),
)


def _page(body: bytes) -> Page:
    return Page(
        (
            ("Date", f"{DAY:%a, %d %b %Y %H:%M:%S} GMT"),
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(body))),
        ),
        body,
    )


class Cafe(Tamperer):
    """The router in the middle: a sniffer hears each packet as it comes, then ``change`` may change it."""

    def __init__(self, network: Network, sniffer: Tap, change: Callable[[Packet], Packet | None]) -> None:
        super().__init__(network, "cafe", CAFE, change)
        self.sniffer = sniffer

    def arrive(self, packet: Packet | Icmp) -> None:
        """A packet comes."""
        self.sniffer.see(self.network.now, packet)
        self.handle(packet)


class Spoiler:
    """Changes what passes from the server: the words it looks for, or, where all is sealed, one bit of the answer."""

    def __init__(self) -> None:
        self.active = self._asked = self._spoiled = False

    def start(self, *, active: bool) -> None:
        """A new visit begins."""
        self.active, self._asked, self._spoiled = active, False, False

    def change(self, packet: Packet) -> Packet:
        """What becomes of a packet."""
        data = bytes(packet.payload)
        if not self.active or not data:
            return packet
        if packet.dport in (80, 443):
            self._asked = self._asked or _sealed_data(data)
            return packet
        if TRUE in data:
            return packet._replace(payload=data.replace(TRUE, FALSE))
        if self._asked and not self._spoiled:
            self._spoiled = True
            return packet._replace(payload=data[:-20] + bytes((data[-20] ^ 1,)) + data[-19:])
        return packet


def _sealed_data(data: bytes) -> bool:
    """Whether a record of application data starts in these octets, which begin with a record."""
    at = 0
    while at + 5 <= len(data):
        if data[at] == APPLICATION_DATA:
            return True
        at += 5 + int.from_bytes(data[at + 3 : at + 5], "big")
    return False


class _Run:
    """The network and everybody in it."""

    def __init__(self, seed: int, kind: Kind) -> None:
        self.seed, self.kind = seed, kind
        self.network = Network(seed)
        config = Config(nodelay=True)  # as browsers and servers have it
        self.alice = self.network.host("alice", ALICE, config=config)
        self.bob = self.network.host("bob", BOB, config=config)
        # The cafe's router decides who has that address.
        self.mallory = self.network.host("mallory", BOB, config=config)
        self.epoch = int(DAY.timestamp()) * SECOND
        self.reel, self.heard = Reel(), Reel()
        self.alice.tap(Tap(BytesIO(), writer=self.reel, epoch=self.epoch))
        self.spoiler = Spoiler()
        sniffer = Tap(BytesIO(), writer=self.heard, epoch=self.epoch)
        self.cafe = Cafe(self.network, sniffer, self.spoiler.change)
        self.network.link(self.alice, self.cafe, Conditions(delay=NEAR))
        self.network.link(self.cafe, self.bob, Conditions(delay=FAR))
        self.network.link(self.cafe, self.mallory, Conditions(delay=NEAR))
        self.cafe.route(ALICE, self.alice)
        self._keys()
        self.talks = Talks(self.alice)
        self.accepted: list[Speaker] = []
        self.attack = Attack.NONE
        for node in (self.bob, self.mallory):
            talks = Talks(node)
            for port in (80, 443):
                talks.listen(port, self._answering(node, port))

    def _keys(self) -> None:
        draw = entropy(self.seed, "keys")
        static = self.kind is Kind.RSA
        self.ca: Authority = authority("Example Trust", DAY, draw)
        self.rogue = authority("Mallory", DAY, draw)
        bob = server_credential(self.ca, NAME, DAY, draw, rsa_key=0 if static else None)
        forged = server_credential(self.rogue, NAME, DAY, draw, rsa_key=1 if static else None)
        thief = tls.Credential(bob.chain, forged.key, mismatched=True)
        self.credentials = {Attack.NONE: bob, Attack.TAMPERER: bob, Attack.IMPOSTOR: forged, Attack.THIEF: thief}

    def _suites(self) -> dict[str, tuple[int, ...] | int]:
        if self.kind in (Kind.TLS13, Kind.HTTP2):
            return {"suites": (0x1301, 0x1302, 0x1303), "min_version": 0x0304}
        return {"suites": (STATIC_RSA if self.kind is Kind.RSA else 0xC02B,), "max_version": 0x0303}

    def _alpn(self) -> tuple[bytes, ...]:
        return (b"h2",) if self.kind is Kind.HTTP2 else (b"http/1.1",)

    def clock(self, now: int) -> float:
        """The network's time as seconds since 1970."""
        return (self.epoch + now) / SECOND

    def _answering(self, node: HostNode, port: int) -> Callable[[], Speaker]:
        def make() -> Speaker:
            engine = None
            if port == 443:
                config = tls.ServerConfig(
                    credentials=(self.credentials[self.attack],),
                    alpn=self._alpn(),
                    groups=_GROUPS,
                    certificate_compression=(),
                    **self._suites(),  # type: ignore[arg-type]
                )
                draw = entropy(self.seed, f"server {len(self.accepted)}")
                engine = tls.Server(config, now=self.clock(self.network.now), entropy=draw)
            page = _page(_FORGED if node is self.mallory else _BODY)
            http = Answerer2(page) if engine is not None and self.kind is Kind.HTTP2 else Answerer(page)
            speaker = Speaker(self.network, node, http, engine, self.clock)
            self.accepted.append(speaker)
            return speaker

        return make

    def visit(self, number: int, attack: Attack, *, secure: bool) -> Visit:
        """Let one visit happen."""
        network = self.network
        start = number * _EVERY
        network.run(until=start)
        self.attack = attack
        self.cafe.route(BOB, self.mallory if attack in (Attack.IMPOSTOR, Attack.THIEF) else self.bob)
        self.spoiler.start(active=attack is Attack.TAMPERER)
        changed = self.cafe.changed
        engine = None
        if secure:
            config = tls.ClientConfig(
                verify=tls.PathVerifier([self.ca.root]),
                alpn=self._alpn(),
                groups=_GROUPS,
                shares=1,
                certificate_compression=(),
                key_log=lambda line: self.reel.secrets(line.encode() + b"\n"),
                **self._suites(),  # type: ignore[arg-type]
            )
            draw = entropy(self.seed, f"client {number}")
            engine = SceneClient(config, NAME, now=self.clock(start), entropy=draw)
        http = Asker(Http2(REQUEST) if secure and self.kind is Kind.HTTP2 else Http1(REQUEST))
        speaker = Speaker(network, self.alice, http, engine, self.clock)
        self.talks.connect(BOB, 443 if secure else 80, speaker)
        network.run(until=start + _EVERY - SECOND)
        other = self.accepted[-1]
        who = "Mallory" if other.node is self.mallory else "Bob"
        return Visit(
            number,
            attack,
            secure,
            self.epoch + start,
            _party("Alice", speaker),
            _party(who, other),
            self.cafe.changed - changed,
        )


def _party(name: str, speaker: Speaker) -> Party:
    failed = next((event for event in speaker.events if isinstance(event, tls.Failed)), None)
    alert = next((event.description for event in speaker.events if isinstance(event, tls.PeerAlert)), None)
    http = speaker.http
    return Party(
        name,
        _got(http),
        http.complete,
        speaker.engine.facts if speaker.engine is not None else None,
        failed.violation if failed else "",
        failed.got if failed else speaker.garbled,
        failed.alert if failed else None,
        alert,
    )


def _got(http: Http) -> bytes:
    if isinstance(http, Asker):
        return bytes(http.body)
    return http.target.encode() if isinstance(http, Answerer | Answerer2) else b""


def visits(seed: int = 1, kind: Kind = Kind.TLS13, *, secure_first: bool = True) -> Scene:
    """Let all visits happen: a function of its arguments.  UsageError for a seed below 0.

    Those over HTTPS come first in each pair, or second, so that connection 0 is the undisturbed one asked for.
    """
    if seed < 0:
        raise UsageError(f"seed {seed}: give a number from 0 on")
    run = _Run(seed, kind)
    order = [(attack, secure) for attack in (Attack.NONE, Attack.TAMPERER, Attack.IMPOSTOR) for secure in (True, False)]
    if not secure_first:
        order = [(attack, not secure) for attack, secure in order]
    order.append((Attack.THIEF, True))
    made = tuple(run.visit(number, attack, secure=secure) for number, (attack, secure) in enumerate(order))
    capture, overheard = BytesIO(), BytesIO()
    run.reel.develop(capture)
    run.heard.develop(overheard, secrets=False)
    bob = run.credentials[Attack.NONE]
    key = bob.key if isinstance(bob.key, RSAPrivateKey) else None
    return Scene(
        seed, kind, DAY, capture.getvalue(), overheard.getvalue(), made, bob.chain, run.ca.root, run.rogue.root, key
    )
