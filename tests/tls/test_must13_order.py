"""A TLS 1.3 client and every order of a server's flight: RFC 8446 4 knows two, and one with a key.

Each message is sound where it stands: signatures and Finished cover what was said before them.  So nothing but the
order can be wrong, and a client that lets a message be left out or moved is found by its being content.
"""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from synfin.spec import keys
from synfin.spec.protection import Aead13
from synfin.tls import Failed, Server, Session, signing
from tests.support.tlsoctets import NEW, message
from tests.tls.bad_server import Bad, ends
from tests.tls.edits import Edit
from tests.tls.ends import events, of, pump, ticket_keys, verifier
from tests.tls.test_letter_client13 import SCHEMES, WORDS, cr, session_of, verify

EXTENSIONS, REQUEST, CERTIFICATE, VERIFY, FINISHED = 8, 13, 11, 15, 20
KINDS = (EXTENSIONS, REQUEST, CERTIFICATE, VERIFY, FINISHED)
LAWFUL = {(8, 11, 15, 20), (8, 13, 11, 15, 20)}
BY_KEY = {(8, 20)}
ORDERS = [order for size in range(1, 6) for order in permutations(KINDS, size)]


def ordered(order: tuple[int, ...]) -> dict[int, Edit]:
    """Edits that keep a server's messages back, and say them in this order in place of its Finished."""
    kept: dict[int, bytes] = {REQUEST: cr(SCHEMES)}

    def keep(bad: Bad, raw: bytes) -> bytes:
        kept[raw[0]] = raw
        return b""

    def say(bad: Bad, raw: bytes) -> bytes:
        sealer = bad._sealer
        assert isinstance(sealer, Aead13)
        key = bad.config.credentials[0]
        kept.setdefault(CERTIFICATE, certificate(key.chain[0]))
        for kind in order:
            digest = bad.transcript.digest()
            if kind == VERIFY:
                content = b" " * 64 + WORDS + b"\0" + digest
                kept[VERIFY] = verify(0x0403, signing.sign(key.key, 0x0403, content))
            elif kind == FINISHED:
                kept[FINISHED] = message(FINISHED, keys.verify_data_13("sha256", sealer.secret, digest))
            Server.say_raw(bad, kept[kind])
        return b""

    return {EXTENSIONS: keep, REQUEST: keep, CERTIFICATE: keep, VERIFY: keep, FINISHED: say}


def certificate(der: bytes) -> bytes:
    entry = len(der).to_bytes(3, "big") + der + b"\0\0"
    return message(CERTIFICATE, b"\0" + len(entry).to_bytes(3, "big") + entry)


def complaint(order: tuple[int, ...], session: Session | None) -> Failed | None:
    """What a client fails with; None where it was content or still waits."""
    server: dict[str, Any] = {"certificate_compression": (), "ticket_keys": ticket_keys()}
    if session is None:
        server |= {"client_auth": "optional", "verify": verifier()}
    one, bad = ends(NEW, ordered(order), session=session, server=server)
    pump(one, bad)
    found = of(events(one), Failed)
    if one.facts is not None:
        assert order in (BY_KEY if session else LAWFUL)
        assert one.facts.resumed == bool(session)
    return found[0] if found else None


@pytest.mark.parametrize("by_key", [False, True], ids=["certificate", "key"])
@pytest.mark.parametrize("first", [*KINDS])
def test_every_order_of_the_servers_flight(first: int, by_key: bool) -> None:
    lawful, session = (BY_KEY, session_of()) if by_key else (LAWFUL, None)
    for order in ORDERS:
        if order[0] != first:
            continue
        failed = complaint(order, session)
        if any(good[: len(order)] == order for good in lawful):
            assert failed is None, order
        else:
            assert failed is not None, order
            assert failed.alert == 10, (order, failed)
