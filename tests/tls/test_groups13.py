"""Named groups: RFC 7919's five primes, and what a server says and asks about groups (RFC 8446 4.1.4, 4.2.2, 4.2.7)."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from synfin.tls import HandshakeDone, Server
from synfin.tls.ffdhe import PRIMES
from synfin.wire.tls.messages import EncryptedExtensions, ServerHello, parse_handshake
from tests.tls.ends import NOW, client, client_config, events, of, pump, said, server, server_config
from tests.tls.test_programs import done, needs_openssl, openssl_server, pem, run

#: RFC 7919 appendix A: group -> bits and X.
PRINTED = {
    0x0100: (2048, 560316),
    0x0101: (3072, 2625351),
    0x0102: (4096, 5736041),
    0x0103: (6144, 15705020),
    0x0104: (8192, 10965728),
}


def _e(bits: int) -> int:
    """floor(2^bits e), from its series."""
    total, term, count = 0, 1 << bits + 64, 0
    while term:
        total += term
        count += 1
        term //= count
    return total >> 64


def test_primes_are_those_of_the_formula() -> None:
    assert PRIMES.keys() == PRINTED.keys()
    for group, (bits, x) in PRINTED.items():
        expected = 2**bits - 2 ** (bits - 64) + (_e(bits - 130) + x) * 2**64 - 1
        assert PRIMES[group] == expected, hex(group)


@pytest.mark.parametrize("group", [258, 259, 260])
@pytest.mark.parametrize("version", [0x0303, 0x0304])
def test_large_fields(group: int, version: int) -> None:
    more: dict[str, Any] = {"groups": (group,), "max_version": version, "suites": (0x1301, 0x009E)}
    one, two = client(client_config(**more)), server(server_config("rsa2048", **more))
    pump(one, two)
    assert of(events(one), HandshakeDone)[0].facts.group == group
    assert of(events(two), HandshakeDone)[0].facts.group == group


@needs_openssl
@pytest.mark.parametrize(("group", "name"), [(258, "ffdhe4096"), (259, "ffdhe6144"), (260, "ffdhe8192")])
def test_large_fields_with_openssl(group: int, name: str, tmp_path: Path) -> None:
    command = ["-cert", pem(tmp_path, "p256"), "-rev", "-tls1_3", "-groups", name]
    with openssl_server(*command) as address, socket.create_connection(address, timeout=10) as peer:
        end = client(client_config(groups=(group,)))
        found = run(end, peer, done)
        assert of(found, HandshakeDone), found
        assert found[0].facts.group == group
        end.send(b"synfin\n")
        assert said(run(end, peer, lambda found: said(found) == b"nifnys\n")) == b"nifnys\n"


@pytest.mark.parametrize("best", [False, True])
def test_best_group(best: bool) -> None:
    """A share of x25519 is here, but P-256 is what the server likes best."""
    one, two = client(client_config(groups=(29, 23), shares=1)), server(server_config(groups=(23, 29), best_group=best))
    pump(one, two)
    facts = of(events(one), HandshakeDone)[0].facts
    assert (facts.group, facts.retried) == ((23, True) if best else (29, False))


def test_best_group_that_both_have() -> None:
    one = client(client_config(groups=(29, 23), shares=1))
    two = server(server_config(groups=(30, 29, 23), best_group=True))
    pump(one, two)
    facts = of(events(one), HandshakeDone)[0].facts
    assert (facts.group, facts.retried) == (29, False)


class Listening(Server):
    """Keeps what it said."""

    def __init__(self, **more: Any) -> None:
        self.words: list[bytes] = []
        super().__init__(server_config(**more), now=NOW, entropy=os.urandom)

    def say_raw(self, raw: bytes) -> bytes:
        self.words.append(raw)
        return super().say_raw(raw)

    def answers(self) -> dict[int, bytes]:
        """Its EncryptedExtensions."""
        raw = next(raw for raw in self.words if raw[0] == 8)
        parsed = parse_handshake(8, raw[4:])
        assert isinstance(parsed, EncryptedExtensions)
        return dict(parsed.extensions or ())


@pytest.mark.parametrize(
    ("groups", "more", "told"),
    [
        ((29, 23), {"groups": (29, 23)}, None),
        ((29, 23), {"groups": (29, 23), "tell_groups": True}, "0004001d0017"),
        ((29, 23), {"groups": (24, 29, 23)}, "00060018001d0017"),
    ],
    ids=["the best was chosen", "asked to tell", "another is better"],
)
def test_supported_groups_of_the_server(groups: tuple[int, ...], more: dict[str, Any], told: str | None) -> None:
    one, two = client(client_config(groups=groups)), Listening(**more)
    pump(one, two)
    assert of(events(one), HandshakeDone)
    found = two.answers().get(10)
    assert (found.hex() if found is not None else None) == told


class Keeper(Listening):
    """Has a cookie of its own."""

    def retry_cookie(self) -> bytes:
        return b"a state that is kept elsewhere"


def test_a_cookie_of_any_length() -> None:
    one, two = client(client_config(groups=(29, 23), shares=1)), Keeper(groups=(23,))
    pump(one, two)
    assert of(events(one), HandshakeDone)[0].facts.retried
    parsed = parse_handshake(2, two.words[0][4:])
    assert isinstance(parsed, ServerHello)
    assert dict(parsed.extensions or ())[44] == b"\0\x1e" + b"a state that is kept elsewhere"
