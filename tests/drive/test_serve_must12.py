"""The tables of TLS 1.2 over a real socket: the alert comes, then FIN and no RST, and the next client is served."""

from __future__ import annotations

import asyncio
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synfin.tls import PeerAlert, accept_any_certificate
from tests.drive.serving import site
from tests.support.tlsoctets import BAD_MAC, OLD
from tests.tls import test_must12_server as hellos
from tests.tls import test_must12_server_flight as flights
from tests.tls import test_must12_server_records as records
from tests.tls.bad_client import SUITES, BadClient, Make, Wire
from tests.tls.edits import Edit, body
from tests.tls.ends import NAME, NOW, client_config, credential, events, of

ECDHE_RSA, DHE_RSA, RSA, CBC = 0xC02F, 0x009E, 0x009C, 0xC013


@dataclass(frozen=True)
class Play:
    """What a client says wrongly, and the alert that must come of it."""

    name: str
    alert: int
    edits: dict[int, Edit] = field(default_factory=dict)
    suite: int = ECDHE_RSA
    group: int = 29
    wire: Wire | None = None
    later: Make | None = None
    attributes: dict[str, Any] = field(default_factory=dict)


def _before_the_exchange(octets: bytes) -> Wire:
    return lambda bad, data: octets + data if data[5] == 16 else data


PLAYS = [
    *[Play(row[0], row[2], {1: row[1]}) for row in hellos.MESSAGE + hellos.EXTENSIONS if len(row) == 3 and row[2]],
    *[Play(w, a, {16: body(make)}, group=g) for w, g, make, a in flights.POINTS if a],
    *[Play(w, a, {16: body(make)}, DHE_RSA, 256) for w, make, a in flights.NUMBERS if a],
    *[Play(w, BAD_MAC, {16: body(make)}, RSA) for w, make in flights.SECRETS],
    *[Play(w, a, edits) for w, edits, a in flights.ORDER],
    *[Play(w, a, attributes={"change": octets}) for w, octets, a in flights.CHANGES if a],
    *[Play(w, a, attributes={"records": made}) for w, made, a in flights.PLACES if a],
    *[Play(w, a, wire=_before_the_exchange(octets)) for w, octets, a in records.BETWEEN if a],
    *[Play(w, a, later=make) for w, make, a in records.LATER if a],
    *[Play(w, a, suite=CBC, later=make) for w, make, a in records.LATER if a == BAD_MAC],
]


def played(port: int, play: Play) -> str:
    """What is not as it should be, or ""."""
    made = type("Scripted", (BadClient,), {"edits": play.edits, **play.attributes})
    offers = {"suites": SUITES} if 1 in play.edits else {"suites": (play.suite,), "groups": (play.group,)}
    config = client_config(max_version=OLD, grease=False, verify=accept_any_certificate, **offers)
    one: BadClient = made(config, NAME, now=NOW, entropy=os.urandom)
    late, found, end = play.later, list[PeerAlert](), ""
    with socket.create_connection(("127.0.0.1", port), 10) as way:
        while not end:
            data = bytes(one.take_output(NOW))
            if one.facts is not None and late is not None:
                data, late = data + late(one), None
            try:
                way.sendall(play.wire(one, data) if play.wire and data else data)
            except OSError as error:
                end = type(error).__name__
            try:
                got = way.recv(1 << 16)
            except OSError as error:
                end = type(error).__name__
                break
            if not got:
                end = "FIN"
            one.receive(got, NOW)
            found += of(events(one), PeerAlert)
    if found[-1:] == [PeerAlert(play.alert, fatal=True)] and end == "FIN":
        return ""
    return f"{play.name}: {found} {end}"


def test_alerts_and_ends(tmp_path: Path) -> None:
    own = (credential("p256"), credential("rsa2048"))
    more: dict[str, Any] = {"credentials": own, "max_version": OLD, "suites": SUITES, "alpn": ()}

    async def run() -> list[str]:
        def work(port: int) -> list[str]:
            with ThreadPoolExecutor(8) as pool:
                return [wrong for wrong in pool.map(lambda play: played(port, play), PLAYS) if wrong]

        async with site(tmp_path, **more) as at:
            wrong = await asyncio.to_thread(work, at.port)
            await at.alive()
            assert "Traceback" not in at.log
            return wrong

    assert len(PLAYS) > 150
    assert asyncio.run(run()) == []
