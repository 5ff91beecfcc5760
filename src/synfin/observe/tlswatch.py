"""Finds what a connection speaks, where TLS begins in it, and has its story told.

TLS is found by content, on any port and in either direction.  In order: a record or an SSL 2.0 hello at the start of
either stream; a proxy's or an upgrade's dialogue, peeled off until TLS, something else or nothing is inside
(``proxies``, ``starttls``); and where nothing was recognised, a packet later on that starts like a record, which is how
captures that begin in the middle of a connection look.  What is in the records is ``tlswatch_story``'s business.

A client that speaks HTTP in clear and is answered with a TLS alert is told as HTTP: the alert is all the TLS there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from synfin.observe import proxies, starttls
from synfin.observe.decrypt import Keys, SessionCache
from synfin.observe.protocols import LOOK, protocol
from synfin.observe.story import PreambleFact
from synfin.observe.story_tls import TlsStory
from synfin.observe.stream import ByteStream
from synfin.observe.tlswatch_story import Watch
from synfin.wire.tls.records import HEADER, looks_like_client_hello, looks_like_record, looks_like_sslv2_hello

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from synfin.capture.keylog import KeyLog

__all__ = ["SessionCache", "TlsResult", "watch_tls"]

#: Preambles inside preambles are followed this deep.
DEPTH = 5
#: Protocols in clear that never turn to TLS in ways not handled by name.
_NEVER = frozenset({"http", "h2", "ssh", "dns", "bittorrent", "smb", "rtsp", "telnet", "vnc", "rsync", "git"})


class TlsResult(NamedTuple):
    """The TLS story or None, what was spoken before it, and the protocol of the connection by content ("" unknown)."""

    tls: TlsStory | None
    preambles: tuple[PreambleFact, ...]
    protocol: str


#: Protocols that something else may be inside of.
_PREAMBLES = starttls.UPGRADES | {"http", "socks4", "socks5", "proxy"}
#: How the requests begin that most connections in clear begin with.
_REQUESTS = frozenset({b"GET ", b"POST", b"HEAD", b"PUT ", b"DELE"})
#: How the two versions of a PROXY header begin; the server's answer to what follows may well be TLS at once.
_PROXIED = frozenset({b"PROXY", b"\r\n\r\n\0"})
_NOTHING = TlsResult(None, (), "")


def watch_tls(
    streams: tuple[ByteStream, ByteStream],
    *,
    keylog: KeyLog | None = None,
    rsa_keys: Sequence[RSAPrivateKey] = (),
    sessions: SessionCache | None = None,
) -> TlsResult:
    """What the streams of A and B speak, and the TLS story where it is TLS.  Never raises.

    ``keylog`` and ``rsa_keys`` open protected records; ``sessions`` hands master secrets from one connection to those
    that resume it, and is shared by the connections of one capture.
    """
    one, two = streams
    starts = (one.layout()[0], two.layout()[0])
    if not starts[0] and not starts[1]:
        return _NOTHING
    at = (starts[0][0] if starts[0] else 0, starts[1][0] if starts[1] else 0)
    preambles: list[PreambleFact] = []
    name = ""
    for _ in range(DEPTH):
        heads = (one.read(at[0], LOOK), two.read(at[1], LOOK))
        if heads[0][:4] in _REQUESTS and (not heads[1] or heads[1][:5] == b"HTTP/") and heads[0][:8] != b"CONNECT ":
            return TlsResult(None, tuple(preambles), "http")
        found = None if heads[0][:5] in _PROXIED or heads[1][:5] in _PROXIED else _tls_here(heads)
        if found is not None:
            keys = Keys(keylog, rsa_keys, sessions) if keylog or rsa_keys else None
            story = Watch(streams, at, found.client, keys).run(found.sslv2)
            return TlsResult(story, tuple(preambles), "tls")
        name, client = protocol(*heads)
        if name not in _PREAMBLES:
            break
        peeled = proxies.peel(name, streams, at, client) or starttls.upgrade(name, streams, at, client)
        if peeled is None:
            break
        preambles.append(peeled.fact)
        name = peeled.fact.protocol if name in ("proxy", "socks4", "socks5") else name
        if peeled.inside is None:
            return TlsResult(None, tuple(preambles), name)
        at = peeled.inside
    if name not in _NEVER:
        later = _later(streams, at, any_record=not name)
        if later is not None:
            keys = Keys(keylog, rsa_keys, sessions) if keylog or rsa_keys else None
            return TlsResult(Watch(streams, later, 0, keys).run(), tuple(preambles), "tls")
    return TlsResult(None, tuple(preambles), name)


class _Found(NamedTuple):
    client: int
    sslv2: bool


def _tls_here(heads: tuple[bytes, bytes]) -> _Found | None:
    """Whether TLS begins at these octets, and which side is its client (0 where it does not show)."""
    one, two = heads
    if looks_like_sslv2_hello(one):
        return _Found(0, True)
    if looks_like_sslv2_hello(two):
        return _Found(1, True)
    looks = (looks_like_record(one), looks_like_record(two))
    if looks[0] or looks[1]:
        if looks_like_client_hello(one) or (looks[1] and two[0] == 22 and two[5:6] == b"\x02"):
            return _Found(0, False)
        if looks_like_client_hello(two) or (looks[0] and one[0] == 22 and one[5:6] == b"\x02"):
            return _Found(1, False)
        if all(looks):
            return _Found(0, False)
    if not (looks[0] or looks[1]):
        return None
    other = two if looks[0] else one
    return None if other and protocol(other, b"")[0] in _NEVER else _Found(0, False)


def _later(streams: tuple[ByteStream, ByteStream], at: tuple[int, int], *, any_record: bool) -> tuple[int, int] | None:
    """Where TLS begins at the start of a later packet: a ClientHello, or any record where nothing else is known."""
    starts: list[int | None] = [None, None]
    look = looks_like_record if any_record else looks_like_client_hello
    for side, stream in enumerate(streams):
        for i, start in enumerate(stream.layout()[0]):
            if start >= at[side] and 20 <= stream.octets(i)[0] <= 24 and look(stream.read(start, 12)):
                starts[side] = start
                break
    if starts == [None, None]:
        return None
    for side in (0, 1):
        if starts[side] is None:
            starts[side] = _answer(streams, side, starts[1 - side] or 0)
    return starts[0] or 0, starts[1] or 0


def _answer(streams: tuple[ByteStream, ByteStream], side: int, asked: int) -> int:
    """Where ``side`` begins TLS when the other side began it at ``asked``: its first record at or after that time."""
    stream = streams[side]
    when = streams[1 - side].ready(asked, 1)
    for i, start in enumerate(stream.layout()[0]):
        if stream.origin(i)[1] >= when and looks_like_record(stream.read(start, HEADER)):
            return start
    return stream.end
