"""The handshakes of ``crossed_client``, TLS 1.3 and 1.2, full and resumed, each step held to the RFCs."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding

from synfin.tls import Server
from synfin.tls.ffdhe import PRIMES
from tests.tls import crossed_keys as k
from tests.tls.crossed_client import (
    CHANGE,
    DATA,
    HRR,
    SCHEMES,
    Ask,
    Client,
    Found,
    Silent,
    Ticket,
    Told,
    generated,
    kind_of,
    need,
    prove,
    shared,
    split,
    with_key,
)
from tests.tls.crossed_keys import u16, vec
from tests.tls.ends import NOW, credential

Edit = Callable[[Client, bytes], bytes]


@dataclass(frozen=True)
class Offer:
    """A session that is offered again: how old it is said to be (ms), and what goes as early data."""

    ticket: Ticket
    age: int = 0
    early: bytes = b""


@dataclass(frozen=True)
class ServerHello:
    random: bytes
    session_id: bytes
    suite: int
    extensions: dict[int, bytes]


def read_hello(raw: bytes) -> ServerHello:
    """A ServerHello without an octet too many."""
    need(raw[4:6] == b"\3\3", "legacy_version", raw[4:6])
    at = 39 + raw[38]
    suite, block = int.from_bytes(raw[at : at + 2], "big"), raw[at + 3 :]
    need(raw[at + 2] == 0, "compression")
    need(not block or len(block) == 2 + int.from_bytes(block[:2], "big"), "extension block")
    return ServerHello(raw[6:38], raw[39:at], suite, split(block[2:]))


def play(
    end: Server, ask: Ask, offer: Offer | None = None, *, edit: Edit | None = None, now: float = NOW
) -> tuple[Client, Found]:
    """One handshake; an alert instead of it, or after the client's flight, is in what was found."""
    client, found = Client(end, ask, edit), Found()
    client.now = now
    try:
        _play(client, found, ask, offer)
    except Told as told:
        need(told.level == 2 and end.closed and not end.ready, "a fatal alert", told)
        found.alert = told.description
        client.send(b"\x15\3\3\0\2\1\0")
        need(not end.take_output(now), "words after a fatal alert")
    return client, found


def _play(client: Client, found: Found, ask: Ask, offer: Offer | None) -> None:
    chance, session_id = os.urandom(32), os.urandom(ask.session_id)
    private = {group: generated(group) for group in ask.shares}
    shares = b"".join([u16(group) + vec(pair[1]) for group, pair in private.items()])
    new = offer is not None and offer.ticket.suite in k.SUITES_13
    extensions = client.extensions(shares, bool(offer and offer.early))
    raw = client.hello(extensions, chance, session_id)
    if offer is not None and not new:
        session_id = offer.ticket.session_id or session_id or os.urandom(32)  # it tells what the server decides
        raw = client.hello(extensions, chance, session_id)
    if offer is not None and new:
        raw = with_key(raw, [(offer.ticket, k.SUITES_13[offer.ticket.suite][2])], offer.age, b"")
    client.say(raw)
    client.flush()
    early = _say_early(client, offer) if offer is not None and offer.early else None
    raw = client.want(2)
    hello = read_hello(raw)
    found.suite = hello.suite
    found.extensions = set(hello.extensions)
    asked = {number for number, _ in extensions} | ({41} if new else set())
    asked |= set() if ask.info else {0xFF01}
    if 43 not in hello.extensions:
        need(set(hello.extensions) <= asked, "an answer to nothing", hello.extensions)
        found.version = 12
        _old(client, found, ask, hello, chance, session_id, offer)
        return
    client.new, found.version = True, 13
    client.name = k.SUITES_13[hello.suite][2]
    need(hello.session_id == session_id, "the session id")
    if hello.random == HRR:
        found.retried = True
        need(set(hello.extensions) - {44} == {43, 51}, "extensions of a retry", hello.extensions)
        group = int.from_bytes(hello.extensions[51], "big")
        private = {group: generated(group)}
        client.said = k.message(254, k.hashed(client.name, client.said[: -len(raw)])) + raw
        change: dict[int, bytes] = {51: vec(u16(group) + vec(private[group][1]))}
        second = [(number, change.get(number, body)) for number, body in extensions if number != 42]
        second += [(44, hello.extensions[44])] if 44 in hello.extensions else []
        again = client.hello(second, chance, session_id)
        if offer is not None and new and client.name == k.SUITES_13[offer.ticket.suite][2]:
            again = with_key(again, [(offer.ticket, client.name)], offer.age, client.said)
        client.send(CHANGE * ask.changes)
        client.say(again)
        client.flush()
        retry, hello = hello, read_hello(client.want(2))
        need(hello.random != HRR and hello.suite == retry.suite, "one retry, one suite")
        need(hello.session_id == session_id, "the session id")
    need(set(hello.extensions) <= asked & {41, 43, 51}, "extensions of a ServerHello", hello.extensions)
    need(hello.extensions[43] == b"\3\4" and hello.random[24:31] != b"DOWNGRD", "TLS 1.3")
    found.group = int.from_bytes(hello.extensions[51][:2], "big")
    need(found.group in private, "a share of the client's group")
    secret = shared(found.group, private[found.group][0], hello.extensions[51][4:])
    found.resumed = 41 in hello.extensions
    psk = offer.ticket.secret if offer is not None and found.resumed else b""
    _new(client, found, ask, asked, secret, psk, early)


def _say_early(client: Client, offer: Offer) -> k.Keys:
    name = k.SUITES_13[offer.ticket.suite][2]
    secret = k.hkdf_extract(name, b"", offer.ticket.secret)
    keys = k.Keys13(offer.ticket.suite, k.derive(name, secret, "c e traffic", client.said))
    client.send(CHANGE * client.ask.changes + keys.seal(DATA, offer.early))
    return keys


def _new(
    client: Client, found: Found, ask: Ask, asked: set[int], secret: bytes, psk: bytes, early: k.Keys | None
) -> None:
    name, suite = client.name, found.suite
    size = len(k.hashed(name, b""))
    base = k.derive(name, k.hkdf_extract(name, b"", psk or bytes(size)), "derived", b"")
    base = k.hkdf_extract(name, base, secret)
    ours, theirs = (k.derive(name, base, f"{side} hs traffic", client.said) for side in "cs")
    client.into = k.Keys13(suite, theirs)
    client.most = min(ask.limit - 1, 1 << 14) if ask.limit else 1 << 8 + ask.fragment if ask.fragment else 1 << 14
    raw = client.want(8)
    told = split(raw[6:])
    need(set(told) <= asked & {0, 1, 10, 16, 28, 42}, "EncryptedExtensions", told)
    need(not found.retried or client.changes <= 1, "one ChangeCipherSpec")
    found.extensions, found.early = set(told), 42 in told
    need(not found.early or (early and found.resumed), "early data")
    piece = int.from_bytes(told[28], "big") - 1 if 28 in told else 1 << 14
    client.piece = min(client.piece, piece, client.most if 1 in told else 1 << 14)
    raw = client.next()
    wanted = raw[0] == 13
    need(not (found.resumed and raw[0] != 20), "no certificates beside a key")
    if wanted:
        need(raw[4] == 0 and 13 in split(raw[7:]), "CertificateRequest")
        client.said += raw
        raw = client.next()
    if not found.resumed:
        need(raw[0] == 11 and raw[4] == 0, "Certificate")
        client.said += raw
        length = int.from_bytes(raw[8:11], "big")
        found.kind, public = kind_of(raw[11 : 11 + length])
        signed = b" " * 64 + b"TLS 1.3, server CertificateVerify\0" + client.digest()
        raw = client.want(15)
        scheme = int.from_bytes(raw[4:6], "big")
        need(scheme in (ask.schemes or ()) and scheme in k.SCHEMES_13[found.kind], "scheme", hex(scheme))
        prove(public, scheme, raw[8:], signed)
        raw = client.next()

    def finished(key: bytes) -> bytes:
        return k.hkdf_extract(name, k.expand_label(name, key, "finished", b"", size), client.digest())

    need(raw == k.message(20, finished(theirs)), "Finished")
    client.said += raw
    master = k.hkdf_extract(name, k.derive(name, base, "derived", b""), bytes(size))
    after = [k.derive(name, master, f"{side} ap traffic", client.said) for side in "cs"]
    client.into = k.Keys13(suite, after[1])
    if found.early and early is not None:
        client.out = early
        client.say(k.message(5, b""))
        client.flush()
    client.send(CHANGE * ask.changes)
    client.out = k.Keys13(suite, ours)
    if wanted:
        _certify(client, ask, 13)
    client.say(k.message(20, finished(ours)))
    client.flush()
    client.out = k.Keys13(suite, after[0])
    resumption = k.derive(name, master, "res master", client.said)
    try:
        while True:
            raw = client.next()
            need(raw[0] == 4, "NewSessionTicket")
            at = 13 + raw[12]
            long = int.from_bytes(raw[at : at + 2], "big")
            key = k.expand_label(name, resumption, "resumption", raw[13:at], size)
            rest = split(raw[at + 4 + long :])
            need(set(rest) <= {42}, "extensions of a ticket")
            ticket = Ticket(suite, key, raw[at + 2 : at + 2 + long], int.from_bytes(raw[8:12], "big"))
            ticket.early = int.from_bytes(rest.get(42, b""), "big")
            ticket.lifetime = int.from_bytes(raw[4:8], "big")
            found.tickets.append(ticket)
    except Silent:
        pass


def _certify(client: Client, ask: Ask, version: int) -> None:
    """Certificate, and in TLS 1.3 its proof."""
    leaf = credential(ask.cert, client=True) if ask.cert else None
    if version == 12:
        client.say(k.message(11, vec(vec(leaf.chain[0], 3) if leaf else b"", 3)))
        return
    client.say(k.message(11, b"\0" + vec(vec(leaf.chain[0], 3) + b"\0\0" if leaf else b"", 3)))
    if leaf is not None and ask.cert is not None:
        scheme = k.SCHEMES_13[ask.cert][0]
        signed = b" " * 64 + b"TLS 1.3, client CertificateVerify\0" + client.digest()
        client.say(k.message(15, u16(scheme) + vec(k.sign(leaf.key, scheme, signed))))


def _old(
    client: Client,
    found: Found,
    ask: Ask,
    hello: ServerHello,
    chance: bytes,
    session_id: bytes,
    offer: Offer | None,
) -> None:
    kex, auth, cipher, key_size, client.name = k.SUITES_12[hello.suite]
    told, random = hello.extensions, hello.random
    etm = 22 in told
    need(not etm or cipher.startswith("cbc"), "encrypt_then_mac is for CBC")
    client.most = min(ask.limit, 1 << 14) if ask.limit else 1 << 8 + ask.fragment if ask.fragment else 1 << 14
    client.most_clear = client.most if 1 in told else 1 << 14  # record_size_limit is for what is protected
    piece = int.from_bytes(told[28], "big") if 28 in told else client.most_clear
    client.piece = min(client.piece, piece)
    found.resumed = offer is not None and bool(session_id) and hello.session_id == session_id
    wanted = False
    ticket = Ticket(hello.suite, b"", session_id=hello.session_id)

    def verify_data(side: bytes) -> bytes:
        return k.prf(client.name, ticket.secret, side + b" finished", client.digest(), 12)

    def keys() -> tuple[k.Keys12, k.Keys12]:
        mac = len(k.hashed(cipher[4:], b"")) if cipher.startswith("cbc") else 0
        fixed = 0 if mac else 12 if cipher == "chacha" else 4
        size = 2 * (mac + key_size + fixed)
        block = k.prf(client.name, ticket.secret, b"key expansion", random + chance, size)
        return k.Keys12(hello.suite, block, True, etm), k.Keys12(hello.suite, block, False, etm)

    def theirs() -> None:
        """NewSessionTicket, ChangeCipherSpec and Finished."""
        raw = client.next()
        if 35 in told:
            need(raw[0] == 4 and raw != b"ccs", "NewSessionTicket")
            client.said += raw
            ticket.ticket, ticket.lifetime = raw[10:], int.from_bytes(raw[4:8], "big")
            raw = client.next()
        need(raw == b"ccs", "ChangeCipherSpec")
        client.into = keys()[1]
        right = verify_data(b"server")
        need(client.want(20) == k.message(20, right), "Finished")

    def ours() -> None:
        client.send(CHANGE)
        client.out = keys()[0]
        client.say(k.message(20, verify_data(b"client")))
        client.flush()

    if found.resumed and offer is not None:
        ticket.secret = offer.ticket.secret
        need(hello.suite == offer.ticket.suite, "the session's suite")
        theirs()
        ours()
    else:
        raw = client.want(11)
        found.kind, public = kind_of(raw[10 : 10 + int.from_bytes(raw[7:10], "big")])
        if 5 in told:
            need(client.want(22)[4] == 1, "CertificateStatus")
        share, private = b"", None
        if kex != "rsa":
            share = _parameters(client, found, ask, kex, public, chance + random)
            need(found.kind in k.SIGNERS[auth], "certificate of the suite")
        raw = client.next()
        if raw[0] == 13:
            wanted, raw = True, _and_next(client, raw)
        need(raw == b"\x0e\0\0\0", "ServerHelloDone")
        client.said += raw
        if wanted:
            _certify(client, ask, 12)
        if kex == "rsa":
            premaster = b"\3\3" + os.urandom(46)
            client.say(k.message(16, vec(public.encrypt(premaster, padding.PKCS1v15()))))
        else:
            private, own = generated(found.group)
            premaster = shared(found.group, private, share)
            premaster = premaster.lstrip(b"\0") if kex == "dhe" else premaster
            client.say(k.message(16, vec(own, 2 if kex == "dhe" else 1)))
        if 23 in told:
            ticket.secret = k.prf(client.name, premaster, b"extended master secret", client.digest(), 48)
        else:
            ticket.secret = k.prf(client.name, premaster, b"master secret", chance + random, 48)
        if wanted and ask.cert:
            scheme = k.SCHEMES_12[ask.cert][0]
            proof = k.sign(credential(ask.cert, client=True).key, scheme, client.said)
            client.say(k.message(15, u16(scheme) + vec(proof)))
        client.flush()
        ours()
        theirs()
    client.end.take_output(client.now)
    found.tickets = [ticket] if ticket.ticket or ticket.session_id else []


def _and_next(client: Client, raw: bytes) -> bytes:
    client.said += raw
    return client.next()


def _parameters(client: Client, found: Found, ask: Ask, kex: str, public: Any, randoms: bytes) -> bytes:
    """The server's share in its ServerKeyExchange, whose signature holds."""
    raw = client.want(12)
    if kex == "ecdhe":
        found.group = int.from_bytes(raw[5:7], "big")
        need(raw[4] == 3 and found.group in (ask.groups or (23,)), "a named curve of the client's")
        end = 8 + raw[7]
        share = raw[8:end]
    else:
        size = int.from_bytes(raw[4:6], "big")
        p = int.from_bytes(raw[6 : 6 + size], "big")
        found.group = next(group for group, prime in PRIMES.items() if prime == p)
        need(raw[6 + size : 9 + size] == b"\0\1\2", "the generator 2")
        end = 11 + size + int.from_bytes(raw[9 + size : 11 + size], "big")
        share = raw[11 + size : end]
    scheme = int.from_bytes(raw[end : end + 2], "big")
    need(scheme in (ask.schemes or ()) and scheme in k.SCHEMES_12[found.kind], "scheme", hex(scheme))
    prove(public, scheme, raw[end + 4 :], randoms + raw[4:end])
    return share


def again(ask: Ask, ticket: Ticket) -> Ask:
    """What a client offers with a session of TLS 1.2."""
    return replace(ask, ticket=ticket.ticket) if ticket.ticket else ask


__all__ = ["SCHEMES", "Edit", "Offer", "again", "play"]
