"""What protected TLS records carry, where they cannot be read: told by their types, lengths and order (RFC 8446 5.2).

Lengths are those of ``signs``.  What is only guessed says so; nothing is decided here.
"""

from __future__ import annotations

from typing import NamedTuple

from synfin.judge.signs import FINISHED_LENGTHS, alert_sized, unpadded_finished
from synfin.observe.story import Connection
from synfin.observe.story_tls import TlsStory
from synfin.wire.tls.registry import is_tls13


class Protected(NamedTuple):
    """One protected record and what it carries: ``handshake``, ``alert``, ``data`` (``guess``: by its length)."""

    sender: int
    what: str
    length: int
    packet: int
    time: int
    guess: bool


#: Octets of a TLS 1.3 record that holds only an empty Certificate (RFC 8446 4.4.2).
EMPTY_CERTIFICATE_13 = (4 + 4 + 1 + 16, 4 + 4 + 1 + 16 + 16)


def protected(tls: TlsStory) -> list[Protected]:
    """Every protected record with what it carries, by decryption where there were secrets, else by its shape.

    In TLS 1.3 all are of outer type 23; without secrets the client's records up to the one of Finished's length are
    its handshake, one of an alert's length is an alert, and the rest is data.  A client whose Finished was not padded
    pads no alert either: its record of a padded alert's length is data.  Of the server only what comes after the
    client's Finished can be told apart, and NewSessionTicket looks like data.
    """
    found: list[Protected] = []
    client_done = plain = False
    new = is_tls13(tls.version)
    for record in tls.records:
        if not record.protected:
            continue
        guess = False
        if not new:
            what = {21: "alert", 22: "handshake", 23: "data"}.get(record.type, "other")
        elif record.type != 23:
            continue
        elif record.inner_type is not None:
            what = {21: "alert", 22: "handshake", 23: "data"}.get(record.inner_type, "other")
        else:
            guess = True
            if alert_sized(record.length, unpadded=plain and record.sender == tls.client):
                what = "alert"
            elif not client_done:
                what = "handshake"
            else:
                what = "data"
            if record.sender == tls.client and not client_done and record.length in FINISHED_LENGTHS:
                what, client_done, plain = "handshake", True, unpadded_finished(tls.cipher, record.length)
        if record.inner_type == 22 and record.sender == tls.client:
            client_done = True
        found.append(Protected(record.sender, what, record.length, record.packet, record.time, guess))
    return found


def asked_anything(tls: TlsStory) -> bool:
    """Whether the client sent application data."""
    if tls.early_data in ("accepted", "offered"):
        return True
    return any(p.sender == tls.client and p.what == "data" for p in protected(tls))


def speaks_http(connection: Connection) -> bool:
    """Whether TLS records that cannot be read most probably carry HTTP, where every request has an answer."""
    tls = connection.tls
    if tls is None:
        return False
    return tls.alpn in ("http/1.1", "h2") or (tls.alpn is None and connection.b.port in (443, 8443))


#: Two tickets are made in one go; two answers of one length are further apart.
_ONE_GO = 50_000_000


def _together(shown: list[Protected], theirs: list[Protected]) -> bool:
    """Whether the first two records of ``theirs`` came in one go, the client saying nothing between them."""
    one, two = theirs[:2]
    between = any(p.sender != one.sender and one.time < p.time < two.time for p in shown)
    return two.time - one.time <= _ONE_GO and not between


#: Octets of a server's SETTINGS, of one to eight parameters, and with what is sent in the same record (RFC 9113 6.5).
_SETTINGS = frozenset([9 + 6 * count + tail for count in range(1, 9) for tail in (0, 9, 13, 22)])
#: Octets of an acknowledged SETTINGS, WINDOW_UPDATE and PING, and of two of these; RST_STREAM is as long as the second.
_HOUSEKEEPING = frozenset({9, 13, 17, 22, 26})
_SETTINGS_ACK, _PREFACE, _RST_STREAM = 9, 24, 13
#: A preface with SETTINGS, WINDOW_UPDATE and a browser's PRIORITY is shorter than this.
_ALONE = 200
#: Among so many records of a client its first acknowledgment of SETTINGS stands; later ones of that size are DATA that
#: only end a stream.
_FIRST = 6


def _inside(tls: TlsStory, length: int) -> int:
    """Octets inside a sealed record of ``length``; -1 where the cipher pads them (RFC 8446 5.2, 5288, 7905)."""
    if is_tls13(tls.version):
        return length - 17
    if tls.cipher in (0xCCA8, 0xCCA9, 0xCCAA):
        return length - 16
    return length - 24 if tls.cipher in _GCM else -1


#: AES-GCM of TLS 1.2 (RFC 5288, 5289).
_GCM = frozenset({0x009C, 0x009D, 0x009E, 0x009F, *range(0xC02B, 0xC033)})


def _settings_ack(tls: TlsStory, shown: list[Protected]) -> Protected | None:
    """The client's record that holds nothing but an acknowledgment of SETTINGS; None where it sends none alone."""
    mine = [p for p in shown if p.sender == tls.client and p.what == "data"]
    return next((p for p in mine[1:_FIRST] if _inside(tls, p.length) == _SETTINGS_ACK), None)


def _keeps_house(tls: TlsStory, record: Protected) -> bool:
    """Whether a record can hold nothing but acknowledged SETTINGS, WINDOW_UPDATE or PING."""
    return _inside(tls, record.length) in _HOUSEKEEPING


def _settings(tls: TlsStory, shown: list[Protected]) -> list[Protected]:
    """The server's first records to its SETTINGS, which the client acknowledges: tickets, and no answer."""
    ack = _settings_ack(tls, shown)
    theirs = [p for p in shown if ack and p.sender != tls.client and p.what == "data" and p.time <= ack.time]
    last = next((place for place, p in enumerate(theirs) if _inside(tls, p.length) in _SETTINGS), -1)
    return theirs[: last + 1]


def _request_2(tls: TlsStory, shown: list[Protected]) -> Protected | None:
    """In HTTP/2: the client's first record that can hold a request, its preface and housekeeping left out.

    Where the protocol cannot be read, the client's acknowledgment of SETTINGS, nine octets alone, shows HTTP/2.
    """
    mine = [p for p in shown if p.sender == tls.client and p.what == "data"]
    if tls.alpn not in (None, "h2") or not mine:
        return None
    if tls.alpn is None and _settings_ack(tls, shown) is None:
        return None
    if _inside(tls, mine[0].length) > _ALONE:
        return mine[0]
    first = 2 if _inside(tls, mine[0].length) == _PREFACE else 1  # SETTINGS follow the preface, at once or apart
    return next((p for p in mine[first:] if not _keeps_house(tls, p)), None)


def cancelled_2(tls: TlsStory, request: Protected, patience: int) -> Protected | None:
    """In HTTP/2: the client's record, ``patience`` ns or more after ``request``, that has the size of RST_STREAM."""
    shown = protected(tls)
    if _request_2(tls, shown) != request:
        return None
    late = [p for p in shown if p.sender == tls.client and p.what == "data" and p.time - request.time >= patience]
    return next((p for p in late if _inside(tls, p.length) == _RST_STREAM), None)


def unanswered(tls: TlsStory) -> tuple[Protected, Protected | None] | None:
    """In records that cannot be read: the client's first request, and the first record that can be an answer to it.

    OpenSSL's servers send two NewSessionTickets of one length, one right after the other, when they read the client's
    Finished, about the time of the first request: such a pair is therefore no answer.  HTTP/2's own frames are none
    either.  None where nothing was asked.
    """
    shown = protected(tls)
    if (request := _request_2(tls, shown)) is not None:
        settings = frozenset(_settings(tls, shown))
        shown = [p for p in shown if p.time >= request.time and not _keeps_house(tls, p) and p not in settings]
    asked = next((p for p in shown if p.sender == tls.client and p.what == "data"), None)
    if asked is None:
        return None
    theirs = [p for p in shown if p.sender != tls.client and p.what == "data" and p.time >= asked.time]
    before = {p.length for p in shown if p.sender != tls.client and p.what == "data" and p.time < asked.time}
    if not is_tls13(tls.version):
        return asked, next(iter(theirs), None)
    for place, record in enumerate(theirs):
        pair = place < 2 and len(theirs) > 1 and theirs[0].length == theirs[1].length and _together(shown, theirs)
        if place < 2 and (record.length in before or pair):
            continue
        return asked, record
    return asked, None
