"""Whether the program that left a server without a word took that server's certificates on another connection.

Browsers and pools open more connections than they turn out to need and drop the rest in the middle of the handshake;
a program that is stopped does so too.  Where the same program (same ClientHello but for what changes each time, RFC
8701, RFC 8446 4.2.11) had just sent a request to the same server and name, having been shown the same certificate as
far as it can be read, its silence is no verdict.  What is the same program in another process with another trust
store cannot be told; the time that may lie between keeps that rare.
"""

from __future__ import annotations

from typing import NamedTuple

from synfin.judge.facts import server_chain
from synfin.judge.offers import hello_of, real
from synfin.judge.signs import FINISHED_LENGTHS, alert_sized
from synfin.observe.story import Connection
from synfin.observe.story_tls import TlsStory
from synfin.wire.tls.registry import is_grease, is_tls13

#: Extensions that a ClientHello has or has not from one connection to the next: padding, pre_shared_key, early_data.
_COME_AND_GO = frozenset({21, 41, 42})
#: A request so long ago says nothing any more, ns; one that is sent so soon after the departure was on its way then.
_RECENT, _SOON = 10_000_000_000, 1_000_000_000


class Taken(NamedTuple):
    """A server's certificates that a client went on with: when that connection began and when it sent its first
    request on it, and what the client is known by."""

    start: int
    time: int
    program: int
    leaf: bytes | None


def key(connection: Connection) -> tuple[str, str, int, str]:
    """Client, server and the name asked for."""
    name = connection.tls.sni if connection.tls is not None else None
    return connection.a.ip, connection.b.ip, connection.b.port, name or ""


def program(tls: TlsStory) -> int:
    """A number that the ClientHellos of one program share."""
    hello = hello_of(tls)
    if hello is None:
        return 0
    types = sorted(e.type for e in hello.extensions or () if not is_grease(e.type) and e.type not in _COME_AND_GO)
    return hash((real(hello.cipher_suites), tuple(types)))


def leaf(tls: TlsStory) -> bytes | None:
    """The server's own certificate, where it was seen."""
    chain = server_chain(tls)
    return chain.der[0] if chain is not None else None


def first_request(tls: TlsStory) -> int | None:
    """When the client sent its first application data, as far as the records tell, ns."""
    finished = not is_tls13(tls.version)
    for record in tls.records:
        if record.sender != tls.client or record.type != 23:
            continue
        if not is_tls13(tls.version) or record.inner_type == 23:
            return record.time
        if record.inner_type is None and finished and not alert_sized(record.length, unpadded=False):
            return record.time
        finished = finished or record.length in FINISHED_LENGTHS
    return None


def taken(connection: Connection) -> Taken | None:
    """What to remember of a connection whose client went on after the handshake."""
    tls = connection.tls
    if tls is None or not tls.handshake_done:
        return None
    time = first_request(tls)
    return None if time is None else Taken(connection.start, time, program(tls), leaf(tls))


def contents(connection: Connection, left: int, known: list[Taken]) -> bool:
    """Whether one of ``known`` shows that the client of ``connection``, gone at ``left`` ns, is content there.

    A connection begun after it left may be a second try with another server behind the same address.
    """
    tls = connection.tls
    if tls is None:
        return False
    mine, shown = program(tls), leaf(tls)
    return any(
        one.program == mine
        and one.start <= left
        and -_SOON < left - one.time < _RECENT
        and (shown is None or one.leaf is None or one.leaf == shown)
        for one in known
    )
