"""What the crossed handshakes of TLS 1.2 and 1.3 have in common: the case, what the client told, data, and the end.

A case is a row of a table: each dimension with the value it has there.  Everything that a dimension leaves open is
drawn from the row's seed.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from synfin.tls import ClientConfig, Closed, Credential, Data, Event, Failed, PeerAlert, Session
from synfin.tls.verify import Presented
from tests.tls.crossed_keys import MLKEM, block, message, vec
from tests.tls.crossed_peer import ALERT, CCS, DATA, HANDSHAKE, End, Hello, Peer
from tests.tls.ends import NAME, NOW, Teller

Case = dict[str, Any]
#: (the handshake, the message's name, the message) -> what goes out in its place.
Edit = Callable[[Any, str, bytes], bytes]

GROUPS = (MLKEM, 29, 23, 24, 25, 30, 256, 257)
SCHEMES = (
    0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0804, 0x0805, 0x0806, 0x0809, 0x080A, 0x080B, 0x0401, 0x0501, 0x0601,
    0x0905, 0x0904, 0x0906,
)  # fmt: skip


def plain(numbers: Iterable[int]) -> list[int]:
    """Numbers without those of GREASE (RFC 8701 2)."""
    return [n for n in numbers if n & 0x0F0F != 0x0A0A or n >> 8 != n & 255]


class Crossed:
    """One handshake and what comes after it; ``edit`` may put other octets in the place of a server's message."""

    new = True
    pause = 3.25  # seconds that a server takes before it answers by HelloRetryRequest
    hello: Hello
    config: ClientConfig
    session: Session | None = None
    wanted: dict[str, Any]  # facts, where somebody else asks the client for them

    def __init__(self, case: Case, edit: Edit | None = None) -> None:
        self.case, self.edit, self.rng = case, edit, random.Random(case["seed"])
        self.presented: list[Presented] = []
        self.lines: list[str] = []
        self.events: list[Event] = []
        self.kinds: list[str] = []  # of the client's keys
        self.credentials: tuple[Credential, ...] = ()
        self.own_schemes = list(SCHEMES)
        if case["seed"] & 1:
            self.rng.shuffle(self.own_schemes)
        self.limit = 1 << 14  # octets of content in the client's records
        self.configure()

    def verify(self, presented: Presented) -> None:
        """Any chain is good, and noted."""
        self.presented.append(presented)

    def configure(self) -> None:
        """Make ``config`` and ``session``."""
        raise NotImplementedError

    def meet(self, client: End | None = None) -> None:
        """Make the client, unless it is somewhere else, and the peer."""
        case = self.case
        if client is None:
            client = self.client = Teller(self.config, NAME, now=NOW, entropy=os.urandom, session=self.session)
        self.peer = Peer(client, now=NOW, cut=case["cut"], joined=case["joined"], step=case["step"], pad=case["pad"])
        self.peer.new = self.new

    def made(self, label: str, kind: int, body: bytes) -> bytes:
        """A message, or what the edit makes of it."""
        raw = message(kind, body)
        return self.edit(self, label, raw) if self.edit is not None else raw

    def mixed(self, extensions: Sequence[tuple[int, bytes]]) -> bytes:
        """Extensions in an order of the case's."""
        found = list(extensions)
        random.Random(self.case["shuffle"]).shuffle(found)
        return block(found)

    # ------------------------------------------------------------ what the client told

    def taken(self, kind: type[Any]) -> list[Any]:
        """Events of a kind, which are told once."""
        self.peer.flush()
        while (event := self.client.next_event()) is not None:
            self.events.append(event)
        found = [event for event in self.events if isinstance(event, kind)]
        self.events = [event for event in self.events if not isinstance(event, kind)]
        return found

    def nothing_else(self) -> None:
        assert not self.taken(Failed)
        assert not self.events

    def got(self) -> bytes:
        return b"".join(event.data for event in self.taken(Data))

    # ------------------------------------------------------------ data

    def down(self) -> None:
        """Data to the client: small and empty records, and more than one at once."""
        sent = b""
        step, self.peer.step = self.peer.step, self.peer.step if self.peer.step > 0 else 0
        for _ in range(3):
            data = os.urandom(self.rng.choice([1, 10, 300]))
            self.peer.pour(DATA, data)
            self.peer.put(DATA, b"")
            sent += data
        self.peer.flush()
        self.peer.step = step
        assert self.got() == sent

    def up(self, size: int = 0) -> None:
        """Data from the client, in records as long as they may be."""
        data = os.urandom(size or self.rng.choice([1, 10, 300]))
        peer = self.peer
        peer.records.clear()
        peer.pads.clear()
        self.client.send(data)
        assert peer.drain() == data
        for (kind, _, content), pad in zip(peer.records, peer.pads, strict=True):
            assert kind == DATA
            assert 0 < len(content) <= len(content) + (pad if self.new else 0) <= self.limit

    def large(self) -> None:
        self.up(40_000)

    # ------------------------------------------------------------ the end

    def after(self) -> None:
        """What the case has after the handshake."""
        self.down()
        getattr(self, "after_" + self.case["after"])()
        self.up()
        self.nothing_else()

    def after_none(self) -> None: ...

    def after_large(self) -> None:
        self.large()

    def end(self) -> None:
        """Close as the case says."""
        getattr(self, "end_" + self.case["close"])()
        assert not self.events

    def end_server(self) -> None:
        self.peer.put(ALERT, b"\1\0")
        assert self.taken(Closed) == [Closed(clean=True)]
        assert not self.client.take_output(NOW)
        self.peer.put(DATA, b"late")
        self.peer.flush()
        if self.new:
            self.up()
        self.client.close()
        assert not self.peer.drain()
        assert self.peer.closed

    def end_client(self) -> None:
        self.client.close()
        assert not self.peer.drain()
        assert self.peer.closed
        self.down()
        self.peer.put(ALERT, b"\1\0")
        assert self.taken(Closed) == [Closed(clean=True)]

    def end_cut(self) -> None:
        self.peer.flush()
        self.client.receive_eof(NOW)
        assert self.taken(Closed) == [Closed(clean=False)]

    def end_fatal(self) -> None:
        self.peer.put(ALERT, b"\2\x50")
        self.peer.flush()
        assert self.taken(PeerAlert) == [PeerAlert(80, fatal=True)]
        assert self.taken(Closed) == [Closed(clean=False)]
        assert not self.client.take_output(NOW)


def entries(bodies: Iterable[bytes], size: int) -> bytes:
    """A vector of vectors with lengths of ``size`` octets."""
    return b"".join(vec(body, size) for body in bodies)


def table(dimensions: dict[str, tuple[Any, ...]], rows: int, lawful: Callable[[Case], Case]) -> list[Case]:
    """Rows that between them have each value with each other one, as far as ``rows`` go and the law allows."""
    rng = random.Random(1)
    names = list(dimensions)
    seen: set[tuple[int, int, int, int]] = set()
    found: list[Case] = []
    for number in range(rows):
        best: tuple[int, Case, set[tuple[int, int, int, int]]] | None = None
        for _ in range(8):
            case = lawful({name: rng.choice(dimensions[name]) for name in names})
            values = [dimensions[name].index(case[name]) for name in names]
            pairs = {(i, values[i], j, values[j]) for i in range(len(names)) for j in range(i)}
            gain = len(pairs - seen)
            if best is None or gain > best[0]:
                best = gain, case, pairs
        assert best is not None
        seen |= best[2]
        found.append({**best[1], "seed": number})
    return found


__all__ = [
    "ALERT",
    "CCS",
    "DATA",
    "GROUPS",
    "HANDSHAKE",
    "SCHEMES",
    "Case",
    "Crossed",
    "Edit",
    "entries",
    "plain",
    "table",
]
