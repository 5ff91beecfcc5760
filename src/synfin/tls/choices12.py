"""What a TLS 1.2 server chooses from a hello of good form: suite, credential, group, answers, and resumption.

Suites are tried in our order; each needs a certificate whose key fits, a scheme and a group the client listed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from synfin.errors import PeerError
from synfin.tls import checks, groups, signing
from synfin.tls.config import TLS12, Credential
from synfin.tls.credentials import candidates
from synfin.tls.master import AUTHENTICATION, CURVES
from synfin.tls.schedule import suite_facts
from synfin.tls.session import TicketState, parse_state
from synfin.wire.frozen import quick
from synfin.wire.tls.suites import Suite

if TYPE_CHECKING:
    from synfin.tls.hello import Hello
    from synfin.tls.server import Server

RENEGOTIATION_SCSV = 0x00FF
_FFDHE = frozenset(range(0x0100, 0x0200))  # finite-field groups, known or not (RFC 7919 4)


@quick
@dataclass(frozen=True, slots=True)
class Chosen:
    """A suite with what it needs: credential, signature scheme and group, 0 where it has none."""

    suite: Suite
    credential: Credential
    scheme: int
    group: int


def choose(end: Server, hello: Hello) -> Chosen:
    """The first of our suites for which everything is there.  PeerError with what was missing."""
    offered = frozenset(hello.message.cipher_suites)  # a hello may list 32,767 of anything
    schemes = hello.codes(checks.SCHEMES)
    if len(schemes) > len(signing.SCHEMES):
        schemes = tuple(dict.fromkeys([code for code in schemes if code in signing.SCHEMES]))
    listed = frozenset(hello.codes(checks.GROUPS)) if checks.GROUPS in hello.bodies else None
    credentials = candidates(end, hello)
    compressed = checks.POINT_FORMATS in hello.bodies and 0 not in hello.codes(checks.POINT_FORMATS)
    if compressed and not groups.ELLIPTIC.isdisjoint(listed or ()):  # RFC 8422 5.1.2
        raise PeerError("illegal_parameter", "uncompressed points", hello.bodies[checks.POINT_FORMATS].hex())
    shared = [code for code in end.config.suites_12 if code in offered]
    missing, finite = "no_common_cipher", False
    for code in shared:
        suite = suite_facts(code)
        group = choose_group(end, suite.kex, listed)
        if group is None or (compressed and suite.kex.startswith("ECDHE")):
            missing = "no_common_group"
            finite = finite or (suite.kex.startswith("DHE") and not _FFDHE.isdisjoint(listed or ()))
            continue
        for credential in credentials:
            key = credential.kind
            usage = signing.ENCRYPTING if suite.kex == "RSA" else signing.SIGNING
            if key.kind not in AUTHENTICATION[suite.kex] or not signing.allows(credential.chain[0], usage):
                continue
            if suite.kex == "RSA":
                return Chosen(suite, credential, 0, 0)
            if key.curve and listed is not None and CURVES.get(key.curve) not in listed:
                continue
            scheme = signing.choose(key, schemes, TLS12, end.config.own_schemes)
            if scheme is not None:
                return Chosen(suite, credential, scheme, group)
            missing = "no_common_signature"
    if finite:
        missing = "no_common_ffdhe_group"
    raise PeerError(missing, "what one of our suites needs", "nothing of it")


def choose_group(end: Server, kex: str, listed: frozenset[int] | None) -> int | None:
    """A group for the key exchange, 0 where it needs none (RFC 8422 4, RFC 7919 4)."""
    if kex == "RSA":
        return 0
    ours = end.config.groups
    if kex.startswith("ECDHE"):
        if listed is None:
            return groups.SECP256R1 if groups.SECP256R1 in ours else None
        for group in ours:
            if group in listed and group in groups.ELLIPTIC:
                return group
        return None
    fields = [g for g in ours if g in groups.FINITE]
    if listed is None or _FFDHE.isdisjoint(listed):
        return fields[0] if fields else None
    return next((g for g in fields if g in listed), None)


def asked_fragment(hello: Hello) -> int:
    """The max_fragment_length that holds (RFC 6066 4), 0 for none; record_size_limit overrides it (RFC 8449 5)."""
    found = hello.bodies
    return found[checks.FRAGMENT][0] if checks.FRAGMENT in found and checks.RECORD_LIMIT not in found else 0


def common_answers(end: Server, hello: Hello, etm: bool, ticket: bool) -> list[tuple[int, bytes]]:
    """The extensions that full and abbreviated handshakes have in common."""
    found = hello.bodies
    extensions: list[tuple[int, bytes]] = []
    if checks.RENEGOTIATION in found or RENEGOTIATION_SCSV in hello.message.cipher_suites:
        extensions.append((checks.RENEGOTIATION, b"\0"))
    if checks.EMS in found:
        extensions.append((checks.EMS, b""))
    if etm:
        extensions.append((checks.ETM, b""))
    if hello.alpn is not None:
        extensions.append((checks.ALPN, checks.protocols((hello.alpn,))))
    if ticket:
        extensions.append((checks.TICKET, b""))
    if checks.RECORD_LIMIT in found:
        limit = end.config.record_size_limit or 1 << 14
        extensions.append((checks.RECORD_LIMIT, limit.to_bytes(2, "big")))
    elif checks.FRAGMENT in found:
        extensions.append((checks.FRAGMENT, found[checks.FRAGMENT]))
    return extensions


def by_ticket(end: Server, hello: Hello) -> bool:
    """Whether a session is looked for by its ticket: then the session id is only the client's mark (RFC 5077 3.4)."""
    return bool(hello.bodies.get(checks.TICKET)) and end.config.ticket_keys is not None


def known_session(end: Server, hello: Hello) -> TicketState | None:
    """The session this hello may resume (RFC 5077 3.1, RFC 5246 7.3, RFC 7627 5.3)."""
    config, found = end.config, hello.bodies
    state: TicketState | None = None
    if by_ticket(end, hello) and config.ticket_keys is not None:
        state = parse_state(config.ticket_keys.open(found[checks.TICKET], end.now))
    elif hello.message.session_id and config.session_cache is not None:
        state = config.session_cache.get(hello.message.session_id)
    if state is None or state.version != TLS12:
        return None
    age = end.now - state.issued / 1000
    if not -60 <= age <= config.ticket_lifetime or state.server_name != hello.server_name:
        return None
    if state.suite not in hello.message.cipher_suites:  # RFC 5246 7.4.1.2: it MUST be among them
        raise PeerError("illegal_parameter", "the suite of the session", "others only")
    if state.suite not in config.suites_12 or asked_fragment(hello) not in (0, state.fragment):
        return None
    if config.client_auth and not state.peer_chain:
        return None
    if state.extended_master_secret and checks.EMS not in found:
        raise PeerError("master_secret_not_extended", "extended_master_secret, as in the session", "none")
    return state if state.extended_master_secret == (checks.EMS in found) else None
