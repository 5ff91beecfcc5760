"""Our server against a raw client that shares no code with it, each choice crossed with each other one.

A table in which any two values of any two columns meet (version, suite, group, kind of certificate, how a session goes
on, client certificates, limits, how octets are cut, what else the hello says) is played with an exact expectation:
what is chosen, which extensions come back, how many tickets, what is resumed.
"""

from __future__ import annotations

import gc
import itertools
import random
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from synfin.tls import Credential, ReplayGuard, SessionCache, TicketKeys
from tests.support.minted import mint
from tests.tls import crossed_keys as k
from tests.tls import crossed_shake
from tests.tls.crossed_client import ALERT, DATA, HANDSHAKE, SCHEMES, Ask, Client, Found
from tests.tls.crossed_keys import message
from tests.tls.crossed_shake import Offer, again, play
from tests.tls.ends import NAME, NOW, leaf, root, server, server_config, ticket_keys, verifier

WEEK = 7 * 86_400
ALL = tuple(k.SUITES_13) + tuple(k.SUITES_12)
KINDS_13 = ("p256", "p384", "p521", "rsa2048", "ed25519", "ed448", "ml-dsa-44")
GROUPS = (29, 23, 24, 25, 30, k.MLKEM, 256)
GREASE = ((0x2A2A, b""), (0xBABA, b"\0"), (0x4444, bytes(300)))

Config = dict[str, Any]

#: Column -> what may stand in it.
COLUMNS: dict[str, tuple[Any, ...]] = {
    "version": ("1.3", "1.3 of both", "1.2", "1.2 of both"),
    "suite": tuple(range(15)),
    "group": GROUPS,
    "kind": KINDS_13,
    "how": ("full", "full", "ticket", "id", "retry", "early", "early refused"),
    "auth": (None, "optional", "optional, none", "required"),
    "limit": ((None, None, None), (64, None, None), (512, 100, 2), (None, None, 1), (16384, 16385, None)),
    "cut": ((0, 1 << 14, False), (1, 1 << 14, True), (0, 1, False), (7, 3, True), (300, 50, False)),
    "more": ((), GREASE[:1], GREASE),
    "other": ((True, False), (False, True), (True, True)),  # extended_master_secret, encrypt_then_mac
    "names": ((None, ()), (NAME, ()), (NAME, (b"http/1.1",)), ("other.example", (b"\x0a\x0a", b"h2"))),
}


Pair = tuple[str, int, str, int]


def pairs(row: dict[str, int]) -> set[Pair]:
    """What stands together in a row, the columns in their order."""
    found = [(name, row[name]) for name in COLUMNS if name in row]
    return {(*one, *two) for one, two in itertools.combinations(found, 2)}


def pairwise(seed: int = 3) -> Iterator[dict[str, Any]]:
    """Rows in which any two values of any two columns stand together once at least."""
    names, chance = tuple(COLUMNS), random.Random(seed)
    places = {name: range(len(COLUMNS[name])) for name in names}
    left = {(one, i, two, j) for one, two in itertools.combinations(names, 2) for i in places[one] for j in places[two]}
    while left:
        one, i, two, j = min(left)
        row = {one: i, two: j}
        for name in chance.sample(names, len(names)):
            if name not in row:
                gains = [(len(pairs({**row, name: at}) & left), chance.random(), at) for at in places[name]]
                row[name] = max(gains)[2]
        left -= pairs(row)
        yield {name: COLUMNS[name][at] for name, at in row.items()}


ROWS = list(pairwise())


def setting(row: dict[str, Any]) -> tuple[Config, Ask, str]:
    """The server's configuration, the client's hello, and the kind of certificate it will see."""
    new = row["version"].startswith("1.3")
    kind = row["kind"]
    if new:
        suite = tuple(k.SUITES_13)[row["suite"] % len(k.SUITES_13)]
    else:
        kind = "p256" if kind.startswith("ml") else kind
        signer = "rsa" if kind == "rsa2048" else "ecdsa"
        fitting = [code for code, spec in k.SUITES_12.items() if spec[1] == signer]
        suite = fitting[row["suite"] * 2 % len(fitting)]
    own, limit, fragment = row["limit"]
    segment, piece, join = row["cut"]
    name, alpn = row["names"]
    ems, etm = row["other"]
    group = row["group"]
    if not new and k.SUITES_12[suite][0] == "ecdhe" and group not in (23, 24, 25, 29, 30):
        group = 29
    versions = {"1.3": (0x0304,), "1.3 of both": (0x0304, 0x0303), "1.2": None, "1.2 of both": (0x0303, 0x0302)}
    listed = tuple(dict.fromkeys((*GROUPS, 0x3A3A, group)))
    auth = row["auth"]
    config: Config = {
        "suites": (suite, *[code for code in ALL if code != suite]),
        "groups": (group, *[code for code in GROUPS if code != group]),
        "max_version": 0x0303 if row["version"] == "1.2" else 0x0304,
        "client_auth": auth and auth.partition(",")[0],
        "verify": verifier(),
        "ticket_keys": None if row["how"] == "id" else ticket_keys(),
        "session_cache": SessionCache() if row["how"] == "id" else None,
        "record_size_limit": own,
        "alpn": (b"h2", b"http/1.1"),
        "max_early_data": 1000 if row["how"] == "early" else 0,
        "replay_guard": ReplayGuard(),
    }
    ask = Ask(
        versions[row["version"]],
        (0x5A5A, *ALL),
        listed,
        () if row["how"] == "retry" else (group,),
        (0x0000, *SCHEMES),
        32 if row["suite"] % 2 else 0,
        name,
        alpn,
        limit,
        fragment,
        ems,
        etm,
        b"" if row["how"] != "id" else None,
        more=row["more"],
        order=row["suite"],
        cert="p256" if auth in ("optional", "required") else None,
        segment=segment,
        piece=piece,
        join=join,
        changes=row["suite"] % 3,
    )
    return config, ask, kind


def answers(config: Config, ask: Ask, found: Found) -> set[int]:
    """The extensions that a server owes: in ServerHello or EncryptedExtensions."""
    owed = {28} if ask.limit is not None else {1} if ask.fragment is not None else set()
    owed |= {16} if ask.alpn else set()
    if found.version == 13:
        owed |= {0} if ask.name else set()
        return owed | ({42} if found.early else set()) | ({10} if found.group != config["groups"][0] else set())
    kex, _, cipher, _, _ = k.SUITES_12[found.suite]
    owed |= {0xFF01} | ({23} if ask.ems else set()) | ({22} if ask.etm and cipher.startswith("cbc") else set())
    owed |= {35} if ask.ticket is not None and config["ticket_keys"] else set()
    if found.resumed:
        return owed
    return owed | ({0} if ask.name else set()) | ({11} if kex == "ecdhe" else set())


def held(row: dict[str, Any], config: Config, ask: Ask, kind: str, client: Client, found: Found) -> None:
    """One connection was what it had to be."""
    facts = client.end.facts
    assert facts is not None, client.events
    assert (found.version, found.suite) == (13 if row["version"].startswith("1.3") else 12, config["suites"][0])
    assert (facts.version, facts.suite) == (0x0300 + found.version - 9, found.suite)
    assert found.resumed or found.kind == kind
    kex = "13" if found.version == 13 else k.SUITES_12[found.suite][0]
    if kex == "13" or (kex == "ecdhe" and not found.resumed):
        assert found.group == facts.group == config["groups"][0]
    assert found.retried is facts.retried is (row["how"] == "retry" and found.version == 13)
    assert facts.resumed is found.resumed
    assert facts.early_data is found.early
    assert bool(facts.peer_chain) is (ask.cert is not None)
    assert found.extensions == answers(config, ask, found)
    for text in (b"a", bytes(client.piece), b"end"):
        client.put(DATA, text)
        assert client.heard().endswith(text), client.events[-1]
        client.end.send(text * 3)
        client.data = b""
        while client.data != text * 3:
            kind_in, content = client.next_record()
            assert kind_in == DATA
            client.data += content
    client.put(ALERT, b"\1\0")
    assert client.answer() == "closed"
    client.end.close()
    assert client.next_record() == (ALERT, b"\1\0")


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_any_two_choices(row: dict[str, Any]) -> None:
    config, ask, kind = setting(row)
    made = server_config(kind, **config)
    client, found = play(server(made), ask)
    held(row, config, ask, kind, client, found)
    if row["how"] in ("full", "retry"):
        assert len(found.tickets) == (2 if found.version == 13 else 1)
        return
    if row["how"] == "id" and found.version == 13:
        assert not found.tickets
        return
    lasts = config["ticket_keys"] and 7200
    assert all(ticket.lifetime == (lasts or 0) for ticket in found.tickets)
    early = b"early" if row["how"].startswith("early") and found.version == 13 else b""
    offer = Offer(found.tickets[0], 3000, early)
    ask = replace(ask, order=ask.order + 1, more=GREASE if not ask.more else ())
    if found.version == 12:
        ask = again(ask, found.tickets[0])
    client, second = play(server(made), ask, offer, now=NOW + 3)
    assert second.resumed is (config["client_auth"] is None or ask.cert is not None)
    assert second.early is (second.resumed and bool(early) and row["how"] == "early")
    assert client.heard() == (early if second.early else b"")
    if second.version == 13 and second.resumed:
        assert len(second.tickets) == 1
    held(row, config, ask, kind, client, second)


# ---------------------------------------------------------------- what was mended


def test_a_hello_that_leads_nowhere_gets_no_retry() -> None:
    """RFC 8446 4.1.1: what no second hello may change is refused at once."""
    ask = Ask(shares=(), schemes=(0x0804,))
    assert play(server(server_config("p256")), ask)[1].alert == 40
    ask = Ask(shares=(), name="other.example")
    assert play(server(server_config(strict_sni=True)), ask)[1].alert == 112


def test_a_session_does_not_go_on_for_ever() -> None:
    """RFC 8446 4.6.1 wants a limit on what one signature leads to: a week, however often the ticket is renewed."""
    made = server_config(ticket_keys=TicketKeys(bytes(32), 2 * WEEK), ticket_lifetime=4 * 86_400)
    ask, day = Ask(), 86_400
    ticket = play(server(made), ask)[1].tickets[0]
    assert ticket.lifetime == 4 * day
    lifetimes = []
    for days in (3, 6):
        found = play(server(made), ask, Offer(ticket, 3 * day * 1000), now=NOW + days * day)[1]
        assert found.resumed
        ticket = found.tickets[0]
        lifetimes.append(ticket.lifetime)
    assert lifetimes == [4 * day, day]
    assert play(server(made), ask, Offer(ticket, 1000), now=NOW + WEEK)[1].resumed
    assert not play(server(made), ask, Offer(ticket, 1000), now=NOW + WEEK + 2)[1].resumed


@pytest.mark.parametrize("asking", [False, True])
def test_who_downloads_for_long_may_change_keys_often(asking: bool) -> None:
    """RFC 8446 4.6.3: KeyUpdates are a flood only where no data goes between them, in either direction."""
    client, _ = play(server(), Ask())
    for turn in range(200):
        assert isinstance(client.out, k.Keys13)
        client.put(HANDSHAKE, message(24, bytes([asking])))
        client.out = client.out.next()
        if not turn % 30:
            client.end.send(b"more")
        client.end.take_output(NOW)
    assert client.answer() == "done"
    for _ in range(80):
        assert isinstance(client.out, k.Keys13)
        client.put(HANDSHAKE, message(24, bytes([asking])))
        client.out = client.out.next()
        client.end.take_output(NOW)
    assert client.answer() == 10


@pytest.mark.parametrize("versions", [(0x0304,), None], ids=["1.3", "1.2"])
def test_a_certificate_for_anything_is_for_no_client(versions: tuple[int, ...] | None, monkeypatch: Any) -> None:
    """RFC 5280 4.2.1.12 allows to refuse it; then the usage is what is wrong, as where there is another one."""
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
    made = mint("client", root(), extensions=[(usage, False)], now=datetime.fromtimestamp(NOW, UTC))
    monkeypatch.setattr(crossed_shake, "credential", lambda *_, **__: Credential((made.der,), made.key))
    config = server_config(client_auth="required", verify=verifier())
    client, found = play(server(config), Ask(versions, cert="p256"))
    assert found.alert == client.answer() == 43


def test_large_certificates_of_strangers_are_not_kept(monkeypatch: Any) -> None:
    """What is remembered of certificates is bounded in octets: a server does not grow by what strangers show it."""
    config = server_config(client_auth="required", verify=verifier())
    private = leaf(client=True).key
    shows: list[Credential] = []
    monkeypatch.setattr(crossed_shake, "credential", lambda *_, **__: shows[0])

    def shown(number: int) -> int:
        rest = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), number.to_bytes(2, "big") * 60_000)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(root().key.public_key())
        extensions: list[tuple[x509.ExtensionType, bool]] = [(rest, False), (issuer, False)]
        made = mint("client", root(), extensions=extensions, now=datetime.fromtimestamp(NOW, UTC))
        shows[:] = [Credential((made.der,), private, mismatched=True)]
        alert = play(server(config), Ask(cert="p256"))[1].alert
        return alert or 0

    assert shown(0) == 51  # the chain is good, the proof is not
    tracemalloc.start()
    try:
        for number in range(1, 9):
            assert shown(number) == 51
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < 500_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("versions", [(0x0304,), None], ids=["retry", "1.2"])
def test_a_hello_is_held_as_octets(versions: tuple[int, ...] | None) -> None:
    """Whoever sends a list of 30,000 and then nothing makes the server hold little more than was sent."""
    many = tuple(range(0x6000, 0x6000 + 30_000))
    ask = Ask(versions, groups=(*many, 23, 29), shares=(), more=((0x4444, bytes(1000)),))
    end = server()
    client = Client(end, ask)
    hello = client.hello(client.extensions(b"", False), bytes(32), b"")
    tracemalloc.start()
    try:
        client.say(hello)
        client.flush()
        assert client.next()[0] == 2
        client.said = b""
        gc.collect()
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert client.answer() == "waits"
    assert held < 3 * len(hello)
