"""What protected TLS records carry, where they cannot be read: told by their types, lengths and order (RFC 8446 5.2).

Lengths are those of ``signs``.  What is only guessed says so; nothing is decided here.
"""

from __future__ import annotations

from typing import NamedTuple

from synfin.judge.signs import ALERT_LENGTHS, FINISHED_LENGTHS, PADDED_ALERT, unpadded_finished
from synfin.observe.story import Connection
from synfin.observe.story_tls import TlsStory


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
    its handshake, one of an alert's length is an alert, and the rest is data.  Of the server only what comes after
    the client's Finished can be told apart, and NewSessionTicket looks like data.
    """
    found: list[Protected] = []
    client_done = plain = False
    new = tls.version is not None and tls.version >= 0x0304
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
            if record.length in ALERT_LENGTHS and not (
                plain and record.length == PADDED_ALERT and record.sender == tls.client
            ):
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


def unanswered(tls: TlsStory) -> tuple[Protected, Protected | None] | None:
    """In records that cannot be read: the client's first request, and the first record that can be an answer to it.

    OpenSSL's servers send two NewSessionTickets of one length, one right after the other, when they read the client's
    Finished, about the time of the first request: such a pair is therefore no answer.  None where nothing was asked.
    """
    shown = protected(tls)
    asked = next((p for p in shown if p.sender == tls.client and p.what == "data"), None)
    if asked is None:
        return None
    theirs = [p for p in shown if p.sender != tls.client and p.what == "data" and p.time >= asked.time]
    before = {p.length for p in shown if p.sender != tls.client and p.what == "data" and p.time < asked.time}
    if tls.version is None or tls.version < 0x0304:
        return asked, next(iter(theirs), None)
    for place, record in enumerate(theirs):
        pair = place < 2 and len(theirs) > 1 and theirs[0].length == theirs[1].length and _together(shown, theirs)
        if place < 2 and (record.length in before or pair):
            continue
        return asked, record
    return asked, None
