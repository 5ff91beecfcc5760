"""TLS 1.3 with a client after the handshake: what it tells of it, tickets, new keys, late authentication.

What is right is computed here from RFC 8446 4.6 and 7.5; the handshake itself is ``crossed_shake13``'s.
"""

from __future__ import annotations

import os
from typing import Any

from synfin.tls import HandshakeDone, KeyUpdated, Ticket
from tests.tls.crossed_both import HANDSHAKE
from tests.tls.crossed_keys import Keys13, block, derive, expand_label, hashed, message, vec
from tests.tls.crossed_shake13 import DIMENSIONS, Handshake13, lawful
from tests.tls.ends import NAME

__all__ = ["DIMENSIONS", "Crossed13", "lawful"]


class Crossed13(Handshake13):
    """See the module."""

    def told(self, facts: dict[str, Any]) -> None:
        """The client's facts, the chain it had verified, and its exporters."""
        found = [{name: getattr(one.facts, name) for name in facts} for one in self.taken(HandshakeDone)]
        assert found == [facts]
        shown = [(p.chain, p.name, p.purpose, p.now, p.stapled) for p in self.presented]
        now, chain = self.peer.now, facts["peer_chain"]
        assert shown == ([(chain, NAME, "server", now, facts["stapled"])] if self.psk is None else [])
        secret = derive(self.hash, self.exporter, "EXPORTER-x", b"")
        for context in (b"", b"abc"):
            value = expand_label(self.hash, secret, "exporter", hashed(self.hash, context), 40)
            assert self.client.export("EXPORTER-x", context, 40) == value
        assert self.got() == self.half
        self.nothing_else()

    def _update(self, asked: int) -> None:
        assert isinstance(self.peer.out, Keys13)
        self.peer.pour(HANDSHAKE, self.made("ku", 24, bytes([asked])))
        self.peer.out = self.peer.out.next()

    def _updated(self, asked: int) -> None:
        assert self.peer.hear(24) == message(24, bytes([asked]))
        self.peer.between()
        assert isinstance(self.peer.into, Keys13)
        self.peer.into = self.peer.into.next()

    def after_keys(self) -> None:
        """Ours change, and the client's when it is asked: once for what came together (RFC 8446 4.6.3)."""
        for asked in (0, 1, 1, 0):
            self._update(asked)
        assert self.taken(KeyUpdated) == [KeyUpdated(requested=bool(asked)) for asked in (0, 1, 1, 0)]
        self._updated(0)
        self.down()

    def after_asked_keys(self) -> None:
        self.client.send(b"before")
        self.client.update_keys(True)
        self.client.send(b"after")
        self._updated(1)
        assert self.peer.drain() == b"beforeafter"
        self.down()
        self._update(0)
        assert self.taken(KeyUpdated) == [KeyUpdated(requested=False)]

    def _ticket(self, lifetime: int, early: int | None) -> tuple[bytes, dict[str, Any]]:
        rng = self.rng
        add, nonce, ticket = rng.randrange(1 << 32), os.urandom(rng.choice([0, 8, 255])), os.urandom(100)
        extensions = [(0x5A5A, b"")] + ([] if early is None else [(42, early.to_bytes(4, "big"))])
        body = lifetime.to_bytes(4, "big") + add.to_bytes(4, "big") + vec(nonce, 1) + vec(ticket) + block(extensions)
        return self.made("nst", 4, body), {
            "version": 0x0304,
            "suite": self.case["suite"],
            "secret": expand_label(self.hash, self.resumption, "resumption", nonce, self.size),
            "ticket": ticket,
            "issued": self.peer.now,
            "lifetime": min(lifetime, 604_800),
            "server_name": NAME,
            "alpn": self.case["alpn"],
            "age_add": add,
            "max_early_data": early or 0,
            "record_limit": self.limit,
        }

    def after_ticket(self) -> None:
        """RFC 8446 4.6.1."""
        for lifetime, early in ((1, None), (604_801, 0), (0xFFFFFFFF, 0xFFFFFFFF), (0, 5)):
            raw, want = self._ticket(lifetime, early)
            self.peer.pour(HANDSHAKE, raw)
            found = [{name: getattr(one.session, name) for name in want} for one in self.taken(Ticket)]
            assert found == ([want] if lifetime else [])

    def after_split(self) -> None:
        """Messages after the handshake in small pieces, the last one's end in the record of a KeyUpdate."""
        raw, want = self._ticket(7200, None)
        raw += message(24, b"\0")
        for at in range(0, len(raw), 7):
            self.peer.put(HANDSHAKE, raw[at : at + 7])
        assert isinstance(self.peer.out, Keys13)
        self.peer.out = self.peer.out.next()
        assert [one.session.secret for one in self.taken(Ticket)] == [want["secret"]]
        assert self.taken(KeyUpdated) == [KeyUpdated(requested=False)]

    def after_ask_late(self) -> None:
        """RFC 8446 4.6.2, twice; what is signed is the handshake and the request alone."""
        for context in (b"a", os.urandom(255)):
            raw = self.made("late", 13, self.request(context, misfit=False))
            self.peer.said = self.whole + raw
            self.peer.pour(HANDSHAKE, raw)
            self.down()
            self.authentication(context)
            assert isinstance(self.peer.into, Keys13)
            assert self.peer.hear(20) == message(20, self.finished(self.peer.into.secret, self.peer.said))
