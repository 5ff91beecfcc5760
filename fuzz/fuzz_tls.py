"""Fuzz target: mutated handshakes to both roles of the TLS engine.  Run: python -m fuzz.fuzz_tls [corpus directory]

Needs atheris (pip install atheris).  The first octets choose version, role, whether certificates go both ways, and the
message that is changed; the rest is the change.  Messages are changed before they are sealed, so that changes
reach what lies behind the record layer.  Whatever comes, an end lives or has failed with one named violation and its
alert, and holds no more than its limits; anything else that reaches here is a find.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from typing import Any

from synfin.spec.violations import VIOLATIONS
from synfin.tls import Client, ClientConfig, Failed, ReplayGuard, Server, ServerConfig, Session, Ticket, TicketKeys
from tests.tls.ends import NAME, NOW, credential, events, of, verifier

KINDS = (1, 2, 4, 5, 8, 11, 12, 13, 14, 15, 16, 20, 22, 24, 25)


def _chance(seed: bytes) -> Callable[[int], bytes]:
    """Octets that are the same in each run."""
    state = [seed]

    def take(size: int) -> bytes:
        state[0] = hashlib.sha256(state[0]).digest()
        return hashlib.shake_256(state[0]).digest(size)

    return take


class _Mutant:
    """Beside an endpoint: changes one message before it goes out."""

    kind = 0
    change = b""

    def say_raw(self, raw: bytes) -> bytes:
        """The message, changed where it is of the chosen kind."""
        if raw[0] == self.kind and self.change:
            raw = mutated(raw, self.change)
        return super().say_raw(raw)  # type: ignore[misc, no-any-return]


class MutantClient(_Mutant, Client):
    """A client that sends one message changed."""


class MutantServer(_Mutant, Server):
    """A server that sends one message changed."""


def mutated(raw: bytes, change: bytes) -> bytes:
    """``raw`` with a splice: how, where (two octets), how many octets go, and what comes in their place."""
    how, rest = change[0], change[4:]
    at = int.from_bytes(change[1:3], "big") % (len(raw) or 1)
    body = bytearray(raw)
    if how & 1:
        at = 4 + at % max(1, len(raw) - 4)
    if how & 2:
        body[at : at + (change[3] if len(change) > 3 else 0)] = rest
    else:
        for index, octet in enumerate(rest[: len(body) - at]):
            body[at + index] ^= octet
    if how & 4 and len(body) >= 4:  # a header that fits again
        body[1:4] = (len(body) - 4).to_bytes(3, "big")
    if how & 8:
        body += raw
    return bytes(body)


def _configs(version: int, mutual: bool) -> tuple[ClientConfig, ServerConfig]:
    demand: dict[str, Any] = {"client_auth": "optional", "verify": verifier()} if mutual else {}
    one = ClientConfig(
        verify=verifier(),
        max_version=version,
        groups=(29, 23),
        shares=1,
        alpn=(b"h2",),
        credentials=(credential(client=True),) if mutual else (),
        early_data=True,
        post_handshake_auth=mutual,
    )
    two = ServerConfig(
        credentials=(credential(),),
        groups=(23,) if version == 0x0304 and mutual else (29, 23),
        alpn=(b"h2",),
        ticket_keys=TicketKeys(bytes(32)),
        max_early_data=1000,
        replay_guard=ReplayGuard(),
        cookie=mutual,
        **demand,
    )
    return one, two


_sessions: dict[tuple[int, bool], Session | None] = {}


def _session(version: int, mutual: bool) -> Session | None:
    """A session of such a pair, made once."""
    if (version, mutual) not in _sessions:
        config, other = _configs(version, mutual)
        one = Client(config, NAME, now=NOW, entropy=_chance(b"1"))
        two = Server(other, now=NOW, entropy=_chance(b"2"))
        _carry(one, two)
        found = of(events(one), Ticket)
        _sessions[version, mutual] = found[0].session if found else None
    return _sessions[version, mutual]


def _carry(one: Client | Server, two: Client | Server) -> None:
    for _ in range(10):
        moved = False
        for giver, taker in ((one, two), (two, one)):
            data = giver.take_output(NOW)
            if data:
                moved = True
                taker.receive(data, NOW)
        if not moved:
            return


def _judge(end: Client | Server) -> None:
    failures = of(events(end), Failed)
    if len(failures) > 1:
        raise AssertionError(f"failed twice: {failures}")
    for failed in failures:
        if failed.violation not in VIOLATIONS or failed.alert != VIOLATIONS[failed.violation].alert or not end.closed:
            raise AssertionError(f"not a named violation with its alert: {failed}")
    if len(end._held) > 1 << 15 or len(end._partial) > (1 << 18) + 4:
        raise AssertionError("holds more than its limits")


def one_input(data: bytes) -> None:
    """One connection between a mutant and an honest end."""
    if len(data) < 4:
        return
    flags, choice = data[0], data[1]
    version = 0x0304 if flags & 1 else 0x0303
    mutual, resumed, early = bool(flags & 2), bool(flags & 4), bool(flags & 16)
    config, other = _configs(version, mutual)
    session = _session(version, mutual) if resumed else None
    from_client = bool(flags & 8)
    one = MutantClient.__new__(MutantClient) if from_client else Client.__new__(Client)
    two = (Server if from_client else MutantServer)(other, now=NOW, entropy=_chance(b"4"))
    mutant: Any = one if from_client else two
    mutant.kind, mutant.change = KINDS[choice % len(KINDS)], data[2:]
    one.__init__(config, NAME, now=NOW, entropy=_chance(b"3"), session=session)  # type: ignore[misc]
    if early and one.early_room >= 5:
        one.send_early(b"early")
    _carry(one, two)
    honest: Client | Server = two if from_client else one
    other_end: Client | Server = one if from_client else two
    if flags & 32 and honest.facts is not None:
        kind = 21 if flags & 64 else 22
        if not other_end._mute:
            other_end.seal(kind, data[2:][: 1 << 14])
            _carry(one, two)
    if honest.ready:
        honest.send(b"still well")
        honest.close()
    _carry(one, two)
    for end in (one, two):
        end.receive_eof(NOW)
        _judge(end)


def main() -> None:
    """Hand the target to atheris."""
    import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]

    for flags in range(128):
        one_input(bytes([flags, 1, 0, 0, 0, 0]))  # so that everything is imported before it is instrumented
    atheris.instrument_all()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
