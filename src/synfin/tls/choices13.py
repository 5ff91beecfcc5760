"""What a TLS 1.3 server reads from a hello of good form: required extensions, shares, suite, group, and resumption.

Early data is taken only where RFC 8446 8.2 holds: a ticket's first use within the guard's window, known by its binder.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from hmac import compare_digest
from typing import TYPE_CHECKING

from synfin.errors import PeerError
from synfin.tls import checks
from synfin.tls.config import TLS13, ServerConfig
from synfin.tls.hello import Hello
from synfin.tls.schedule import binder, suite_hash
from synfin.tls.session import WEEK, TicketState, parse_state
from synfin.wire.tls import bodies as b

if TYPE_CHECKING:
    from synfin.tls.server import Server

MAX_IDENTITIES = 8


@dataclass(frozen=True, slots=True)
class Psk:
    """The session that is resumed: which identity, and what its ticket said."""

    index: int
    state: TicketState
    external: bool = False


def required(hello: Hello) -> None:
    """What RFC 8446 9.2 demands of a TLS 1.3 ClientHello."""
    found = hello.bodies
    if checks.PSK in found and checks.PSK_MODES not in found:
        raise PeerError("psk_without_modes", "psk_key_exchange_modes", "none")
    if checks.PSK not in found and checks.SCHEMES not in found:
        raise PeerError("missing_extension", "signature_algorithms", "none")
    if (checks.GROUPS in found) != (checks.SHARE in found):
        raise PeerError("missing_extension", "supported_groups and key_share", "one of them")
    if checks.GROUPS not in found:
        raise PeerError("missing_extension", "supported_groups", "none")


def key_shares(hello: Hello) -> dict[int, bytes]:
    """The client's key shares by group (RFC 8446 4.2.8)."""
    found = hello.decoded.get(checks.SHARE)
    entries = found.entries if isinstance(found, b.KeyShares) else ()
    listed = frozenset(hello.codes(checks.GROUPS))
    shares: dict[int, bytes] = {}
    for group, key in entries:
        if group in shares:
            raise PeerError("illegal_parameter", "one share for each group", f"two for 0x{group:04x}")
        if group not in listed:
            raise PeerError("share_not_listed", "a group of supported_groups", f"0x{group:04x}")
        if not key:
            raise PeerError("decode_error", "a key share", "nothing")
        shares[group] = key
    return shares


def choose_suite(config: ServerConfig, hello: Hello) -> int:
    """The first of our suites that is offered.  PeerError no_common_cipher."""
    offered = hello.message.cipher_suites
    for code in config.suites_13:
        if code in offered:
            return code
    raise PeerError("no_common_cipher", "a suite of ours", "none")


def choose_group(end: Server, hello: Hello, shares: dict[int, bytes]) -> int:
    """The best group with a share, else the best that is listed; with ``best_group`` the best that is listed."""
    ours = end.config.groups
    for better in (hello.codes(checks.GROUPS),) if end.config.best_group else (shares, hello.codes(checks.GROUPS)):
        for group in ours:
            if group in better:
                return group
    raise PeerError("no_common_group", "a group of ours", "none")


def truncated_hello(hello: Hello) -> bytes | None:
    """The hello without its binders, or None without a PSK (RFC 8446 4.2.11.2).  Checks the lists' form."""
    found = hello.decoded.get(checks.PSK)
    if not isinstance(found, b.PreSharedKey):
        return None
    if not found.identities or not found.binders or any(not entry.identity for entry in found.identities):
        raise PeerError("empty_list", "identities and binders", "none")
    if any(len(value) < 32 for value in found.binders):
        raise PeerError("decode_error", "binders of 32 octets and more", "shorter ones")
    if len(found.identities) != len(found.binders):
        raise PeerError("illegal_parameter", f"{len(found.identities)} binders", str(len(found.binders)))
    return hello.raw[: -(2 + sum(1 + len(value) for value in found.binders))]


def resumed_session(end: Server, hello: Hello, name: str, truncated: bytes, retried: bool) -> Psk | None:
    """The first session offered that we know and may resume; PeerError bad_psk_binder for a false proof of it."""
    config = end.config
    found = hello.decoded[checks.PSK]
    if (
        (config.ticket_keys is None and not config.shared_keys)
        or 1 not in hello.codes(checks.PSK_MODES)
        or not isinstance(found, b.PreSharedKey)
    ):
        return None
    for index, (identity, _) in enumerate(found.identities[:MAX_IDENTITIES]):
        shared = next((key for known, key in config.shared_keys if known == identity), None)
        state = None
        if shared is not None:
            state = TicketState(TLS13, 0x1301, shared, int(end.now * 1000), server_name=hello.server_name)
        elif config.ticket_keys is not None:
            state = parse_state(config.ticket_keys.open(identity, end.now))
        if state is None or state.version != TLS13 or suite_hash(state.suite) != name:
            continue
        age = int(end.now * 1000) - state.issued
        if not -60_000 <= age <= config.ticket_lifetime * 1000 or state.server_name != hello.server_name:
            continue
        if state.began and int(end.now * 1000) - state.began > WEEK * 1000:  # RFC 8446 4.6.1 asks for a limit
            continue
        if config.client_auth and not state.peer_chain:
            continue
        if retried:
            fork = end.transcript.fork()
            fork.add(truncated)
            digest = fork.digest()
        else:
            digest = hashlib.new(name, truncated).digest()
        if not compare_digest(found.binders[index], binder(name, state.secret, digest, shared is not None)):
            raise PeerError("bad_psk_binder", "the hello's binder", "another")
        return Psk(index, state, shared is not None)
    return None


def early_taken(end: Server, hello: Hello, psk: Psk | None, suite: int, retried: bool) -> bool:
    """Whether to take the early data that comes with this hello (RFC 8446 4.2.10, 8.2, 8.3)."""
    config, found = end.config, hello.decoded.get(checks.PSK)
    if checks.EARLY_DATA not in hello.bodies or not isinstance(found, b.PreSharedKey):
        return False
    guard = config.replay_guard
    if retried or psk is None or psk.index or guard is None or not config.max_early_data:
        return False
    state = psk.state
    if (
        not 0 < state.max_early_data <= config.max_early_data
        or state.suite != suite
        or state.alpn != (hello.alpn or b"")
    ):
        return False
    said = (found.identities[0].obfuscated_age - state.age_add) & 0xFFFFFFFF
    real = int(end.now * 1000) - state.issued
    if abs(said - real) > guard.window * 1000:
        return False
    return guard.first(found.binders[0], end.now)
