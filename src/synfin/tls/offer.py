"""The ClientHello: what a client offers, made once for the first hello and once more after a HelloRetryRequest.

The order of extensions is fixed: that of RFC 8448's clients, pre_shared_key last (RFC 8446 4.2.11).  GREASE numbers
(RFC 8701) are drawn from one piece of entropy so that the second hello repeats them, as RFC 8446 4.1.2 demands.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from struct import Struct
from typing import Any, NamedTuple

from synfin.errors import UsageError
from synfin.spec.transcript import Transcript
from synfin.tls import checks, groups
from synfin.tls.config import ECDHE, TLS12, TLS13, ClientConfig
from synfin.tls.schedule import binder, suite_hash
from synfin.tls.session import Session
from synfin.wire.frozen import changed, quick

#: Octets of a ticket that still leaves room for the rest of a hello, whose extensions have 65,535.
LONGEST_TICKET = 1 << 15
#: Octets of a first hello and a cookie together, so that the second hello has room for any share.
LONGEST_HELLO = 0xF800
#: Octets of a first hello's extensions, so that the second one has room without a cookie.
LONGEST_FIRST = 0xF000


@quick
@dataclass(frozen=True, slots=True)
class Offer:
    """A ClientHello that was sent, and what only its sender knows.

    ``shares`` maps groups to private keys, ``extensions`` are the numbers offered, ``raw`` is the message.
    """

    random: bytes
    session_id: bytes
    suites: tuple[int, ...]
    groups: tuple[int, ...]
    shares: Mapping[int, Any] = field(repr=False)
    public: tuple[tuple[int, bytes], ...] = field(repr=False)
    grease: bytes
    server_name: str | None
    session: Session | None = field(default=None, repr=False)  # TLS 1.3: offered as PSK
    old_session: Session | None = field(default=None, repr=False)  # TLS 1.2: offered by ticket or id
    early: bool = False
    cookie: bytes = b""
    single: bool = False  # the one share a HelloRetryRequest asked for, without GREASE beside it
    extensions: frozenset[int] = frozenset()
    raw: bytes = b""


def grease(seed: bytes, index: int) -> int:
    """One of the sixteen GREASE numbers."""
    return 0x0A0A + 0x1010 * (seed[index] & 15)


class Fixed(NamedTuple):
    """What is the same in each hello of a configuration to a name, as octets.

    ``first``, ``middle``, ``schemes`` and ``last`` are extensions, in this order; between them stand those that differ:
    groups (of GREASE) and ticket; shares, early_data and versions; cookie.  ``numbers`` are all that every hello has.
    """

    first: bytes
    middle: bytes
    schemes: bytes
    last: bytes
    versions: tuple[int, ...]
    numbers: frozenset[int]


_HEAD = Struct(">HH").pack


def _block(extensions: list[tuple[int, bytes]]) -> bytes:
    return b"".join([_HEAD(number, len(body)) + body for number, body in extensions])


@lru_cache(maxsize=256)
def _fixed(config: ClientConfig, server_name: str | None) -> Fixed:
    old, new = bool(config.suites_12), bool(config.suites_13)
    first: list[tuple[int, bytes]] = []
    if server_name and config.send_name and not _is_address(server_name):
        name = server_name.encode("ascii")
        entry = b"\0" + len(name).to_bytes(2, "big") + name
        first.append((checks.SERVER_NAME, len(entry).to_bytes(2, "big") + entry))
    if old:
        first += [(checks.EMS, b""), (checks.RENEGOTIATION, b"\0")]
    middle: list[tuple[int, bytes]] = []
    if old:
        if config.elliptic:
            middle.append((checks.POINT_FORMATS, b"\1\0"))
        if config.has_cbc:
            middle.append((checks.ETM, b""))
    if config.alpn:
        middle.append((checks.ALPN, checks.protocols(config.alpn)))
    if config.ask_staple:
        middle += [(checks.STATUS_REQUEST, b"\1\0\0\0\0"), (checks.SCT, b"")]
    schemes = [(checks.SCHEMES, checks.u16_list(config.schemes_offered))]
    last: list[tuple[int, bytes]] = []
    if new:
        if config.ask_tickets:
            last.append((checks.PSK_MODES, b"\1\1"))
        if config.certificate_compression:
            last.append((checks.COMPRESS, checks.u16_list(config.certificate_compression, 1)))
        if config.post_handshake_auth and config.credentials:
            last.append((checks.POST_AUTH, b""))
    if config.record_size_limit is not None:
        limit = config.record_size_limit + (1 if new else 0)
        last.append((checks.RECORD_LIMIT, limit.to_bytes(2, "big")))
    numbers = {number for number, _ in first + middle + schemes + last}
    if old and config.ask_tickets:
        numbers.add(checks.TICKET)
    if config.groups_offered:
        numbers.add(checks.GROUPS)
    if new:
        numbers |= {checks.SHARE, checks.VERSIONS}
    versions = (TLS13,) * new + (TLS12,) * old
    return Fixed(_block(first), _block(middle), _block(schemes), _block(last), versions, frozenset(numbers))


@lru_cache(maxsize=256)
def usable(config: ClientConfig, server_name: str | None) -> tuple[int, ...]:
    """The suites to offer.  UsageError where nothing is left to offer, or for a name that no hello can say."""
    suites = config.suites_13 + config.suites_12
    if not suites or (config.min_version == TLS13 and not config.suites_13):
        raise UsageError("no cipher suite is left for the versions asked for")
    if config.suites_13 and not config.groups_offered:
        raise UsageError("no group is left for TLS 1.3")
    if not config.schemes_offered:
        raise UsageError("no signature scheme is left for the versions asked for")
    if not config.elliptic:
        suites = tuple([code for code in suites if code not in ECDHE])
        if not suites:
            raise UsageError("no group is left for the cipher suites asked for")
    if server_name and not server_name.isascii():
        raise UsageError(f"{server_name!r} is not ASCII: give the name in its xn-- form")
    if server_name and (len(server_name) > 255 or any(c <= " " or c == "\x7f" for c in server_name)):
        raise UsageError(f"{server_name[:64]!r} is not the name of a host")
    return suites


def _is_address(name: str) -> bool:
    return ":" in name or name.replace(".", "").isdigit()


def make(config: ClientConfig, offer: Offer, transcript: Transcript | None, now: float) -> Offer:
    """``offer`` with its octets: ``transcript`` is what came before it (None: nothing)."""
    fixed = _fixed(config, offer.server_name)
    old, new = bool(config.suites_12), bool(config.suites_13)
    seed, listed, versions, suites = offer.grease, offer.groups, fixed.versions, offer.suites
    parts: list[bytes] = []
    more: list[int] = []  # numbers that are not in every hello

    def add(number: int, body: bytes, head: bytes = b"") -> None:
        parts.append(_HEAD(number, len(head) + len(body)) + head)
        parts.append(body)

    if seed:
        number = grease(seed, 0)
        add(number, b"")
        more.append(number)
        listed, versions = (grease(seed, 1), *listed) if listed else (), (grease(seed, 2), *versions)
        suites = (grease(seed, 4), *suites)
    parts.append(fixed.first)
    if listed:
        add(checks.GROUPS, _u16_list(listed))
    ticket = offer.old_session.ticket if offer.old_session else b""
    if old and (ticket or config.ask_tickets):
        add(checks.TICKET, ticket)
        if not config.ask_tickets:
            more.append(checks.TICKET)
    parts.append(fixed.middle)
    if new:
        shares = [_HEAD(group, len(key)) + key for group, key in offer.public]
        if seed and not offer.single:
            shares.insert(0, _HEAD(grease(seed, 1), 1) + b"\0")
        body = b"".join(shares)
        add(checks.SHARE, body, len(body).to_bytes(2, "big"))
        if offer.early:
            add(checks.EARLY_DATA, b"")
            more.append(checks.EARLY_DATA)
        add(checks.VERSIONS, _u16_list(versions, 1))
    parts.append(fixed.schemes)
    if offer.cookie:
        add(checks.COOKIE, offer.cookie, len(offer.cookie).to_bytes(2, "big"))
        more.append(checks.COOKIE)
    parts.append(fixed.last)
    if seed:
        number = grease(seed, 3)
        number = number if number != grease(seed, 0) else number ^ 0x1010
        add(number, b"\0")
        more.append(number)
    tail = 0
    key = b""
    if not config.ask_tickets and (offer.session is not None or checks.PSK_MODES in offer.extensions):
        add(checks.PSK_MODES, b"\1\1")
        more.append(checks.PSK_MODES)
    if offer.session is not None:
        key, tail = _psk(offer.session, now)
        more.append(checks.PSK)
    if config.pad_hello:
        size = 45 + len(offer.session_id) + 2 * len(suites) + sum(map(len, parts)) + (4 + len(key) if key else 0)
        if 0xFF < size < 0x200:
            add(checks.PADDING, bytes(max(1, 0x200 - size - 4)))
            more.append(checks.PADDING)
    if key:
        add(checks.PSK, key)
    block = b"".join(parts)
    if len(block) > (LONGEST_FIRST if transcript is None else 0xFFFF):
        raise UsageError("the ClientHello would be too long: offer fewer application protocols")
    session_id = offer.session_id
    hello = b"".join(
        (
            b"\3\3",
            offer.random,
            bytes([len(session_id)]),
            session_id,
            _u16_list(suites),
            b"\1\0",
            len(block).to_bytes(2, "big"),
            block,
        )
    )
    raw = b"\1" + len(hello).to_bytes(3, "big") + hello
    if offer.session is not None:
        raw = _bind(raw, tail, offer.session, transcript)
    return changed(offer, raw=raw, extensions=fixed.numbers.union(more) if more else fixed.numbers)


_u16_list = lru_cache(maxsize=256)(checks.u16_list)


def _psk(session: Session, now: float) -> tuple[bytes, int]:
    """The body of pre_shared_key with a binder of zeros, and how many octets the binders take."""
    age = 0 if session.external else (max(0, int((now - session.issued) * 1000)) + session.age_add) & 0xFFFFFFFF
    identity = len(session.ticket).to_bytes(2, "big") + session.ticket + age.to_bytes(4, "big")
    size = hashlib.new(suite_hash(session.suite)).digest_size
    binders = bytes([0, size + 1, size]) + bytes(size)
    return len(identity).to_bytes(2, "big") + identity + binders, len(binders)


def _bind(raw: bytes, tail: int, session: Session, transcript: Transcript | None) -> bytes:
    """Fill the binder in (RFC 8446 4.2.11.2)."""
    name = suite_hash(session.suite)
    truncated = raw[:-tail]
    if transcript is None:
        digest = hashlib.new(name, truncated).digest()
    else:
        fork = transcript.fork()
        fork.add(truncated)
        digest = fork.digest()
    value = binder(name, session.secret, digest, session.external)
    return raw[: -len(value)] + value


def key_shares(
    chosen: tuple[int, ...], entropy: groups.Entropy
) -> tuple[dict[int, Any], tuple[tuple[int, bytes], ...]]:
    """Private keys by group, and the shares to send."""
    private: dict[int, Any] = {}
    public: list[tuple[int, bytes]] = []
    for group in chosen:
        private[group], share = groups.generate(group, entropy)
        public.append((group, share))
    return private, tuple(public)
