"""The TLS 1.3 server after version choice: one frozen dataclass per state of RFC 8446 appendix A.2.

START is in ``server``; here are RECVD_CH, WAIT_EOED, WAIT_CERT, WAIT_CV, WAIT_FINISHED and CONNECTED, and the second
hello after a HelloRetryRequest.  Early data is taken only where RFC 8446 8.2 holds: a ticket's first use within the
guard's window, known by its binder.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from hmac import compare_digest
from typing import TYPE_CHECKING, ClassVar

from synfin.errors import PeerError, UsageError
from synfin.spec.protection import Aead13, opener_13
from synfin.spec.transcript import Transcript
from synfin.tls import authentication as auth
from synfin.tls import checks, groups, signing
from synfin.tls.client13 import Keys, check_finished, finished, key_update
from synfin.tls.config import TLS13, Credential, ServerConfig
from synfin.tls.core import State
from synfin.tls.events import Facts, HandshakeDone, PeerAuthenticated
from synfin.tls.hello import Hello, read_hello
from synfin.tls.schedule import Schedule, binder, early_traffic, suite_hash
from synfin.tls.session import TicketState, parse_state
from synfin.tls.verify import Presented
from synfin.wire.tls import bodies as b
from synfin.wire.tls.extensions import Extension
from synfin.wire.tls.messages import (
    HRR_RANDOM,
    Certificate,
    CertificateRequest,
    CertificateVerify,
    ClientHello,
    CompressedCertificate,
    write_handshake,
)

if TYPE_CHECKING:
    from synfin.tls.server import Server

MAX_IDENTITIES = 8


@dataclass(frozen=True, slots=True)
class Progress:
    """What the handshake has brought so far."""

    schedule: Schedule
    facts: Facts
    random: bytes
    server_finished: bytes  # transcript hash there


@dataclass(frozen=True, slots=True)
class Psk:
    """The session that is resumed: which identity, and what its ticket said."""

    index: int
    state: TicketState


def client_hello(end: Server, hello: Hello, first: Hello | None = None, suite: int = 0, group: int = 0) -> State:
    """A ClientHello that wants TLS 1.3; ``first``, ``suite`` and ``group`` are those of a HelloRetryRequest before."""
    message, config = hello.message, end.config
    end._ccs_allowed = True
    if message.compression_methods != (0,):
        raise PeerError("compression_chosen", "null alone", str(message.compression_methods))
    _required(hello)
    shares = _shares(hello)
    if not suite:
        suite = _suite(config, hello)
    if not group:
        group = _group(end, hello, shares)
    if group not in shares:
        return _retry(end, hello, suite, group)
    name = suite_hash(suite)
    transcript = end.transcript
    truncated = _truncated(hello)
    psk = None if truncated is None else _resume(end, hello, name, truncated, first is not None)
    if first is None:
        transcript.add(hello.raw)
        transcript.choose(name)
    else:
        transcript.add(hello.raw)
    chosen = None if psk else _signer(end, hello)
    if checks.RECORD_LIMIT in hello.bodies:
        end._limit_out = checks.record_limit(hello.bodies[checks.RECORD_LIMIT], "client_hello", True)
    public, shared = groups.respond(group, shares[group], end.entropy)
    random = end.entropy(32)
    secret = psk.state.secret if psk else b""
    early = early_taken(end, hello, psk, suite, first is not None)
    hello_hash = transcript.digest()
    extensions = [
        (checks.VERSIONS, b"\3\4"),
        (checks.SHARE, group.to_bytes(2, "big") + len(public).to_bytes(2, "big") + public),
    ]
    if psk:
        extensions.append((checks.PSK, psk.index.to_bytes(2, "big")))
    end.say_raw(server_hello(random, message.session_id, suite, extensions))
    schedule = Schedule(suite, secret, shared, transcript.digest())
    sink = config.key_log
    if sink is not None:
        end.log("CLIENT_HANDSHAKE_TRAFFIC_SECRET", message.random, schedule.client, sink)
        end.log("SERVER_HANDSHAKE_TRAFFIC_SECRET", message.random, schedule.server, sink)
    end.flush()
    end.compatible_ccs(message.session_id)
    end._padding = config.padding
    end.write_keys(schedule.protection(schedule.server))
    facts = Facts(
        TLS13,
        suite,
        group,
        own_signature=chosen[1] if chosen else None,
        resumed=psk is not None,
        retried=first is not None,
        alpn=hello.alpn,
        server_name=hello.server_name or None,
        early_data=early,
        peer_chain=psk.state.peer_chain if psk else (),
    )
    end._post_auth = checks.POST_AUTH in hello.bodies
    _encrypted_extensions(end, hello, early)
    asked = False
    if chosen is not None:
        asked = config.client_auth is not None
        if asked:
            end.say_raw(_request(config, b""))
        _authenticate(end, hello, transcript, *chosen)
    end.say_raw(finished(schedule.verify_data(schedule.server, transcript.digest())))
    digest = transcript.digest()
    schedule.application(digest)
    if sink is not None:
        end.log("CLIENT_TRAFFIC_SECRET_0", message.random, schedule.client_next, sink)
        end.log("SERVER_TRAFFIC_SECRET_0", message.random, schedule.server_next, sink)
        end.log("EXPORTER_SECRET", message.random, schedule.exporter_secret, sink)
    end.write_keys(schedule.protection(schedule.server_next))
    progress = Progress(schedule, facts, message.random, digest)
    if early and psk:
        traffic = early_traffic(name, secret, hello_hash)
        end.log("CLIENT_EARLY_TRAFFIC_SECRET", message.random, traffic, sink)
        end.read_keys(opener_13(suite, traffic))
        end._early = True
        end._early_left = config.max_early_data
        return WaitEndOfEarlyData(progress)
    if checks.EARLY_DATA in hello.bodies:
        end._skip_early = _skip_room(config)
    end.read_keys(schedule.protection(schedule.client))
    return WaitClientCertificate(progress) if asked else WaitClientFinished(progress)


def _skip_room(config: ServerConfig) -> int:
    """Octets of refused early data, in records, that are thrown away (RFC 8446 4.2.10)."""
    return 2 * max(config.max_early_data, 1 << 14)


def server_hello(random: bytes, session_id: bytes, suite: int, extensions: list[tuple[int, bytes]]) -> bytes:
    """A ServerHello or HelloRetryRequest message."""
    block = b"".join([n.to_bytes(2, "big") + len(x).to_bytes(2, "big") + x for n, x in extensions])
    block = len(block).to_bytes(2, "big") + block
    head = b"\3\3" + random + bytes([len(session_id)]) + session_id
    body = head + suite.to_bytes(2, "big") + b"\0" + block
    return b"\2" + len(body).to_bytes(3, "big") + body


# ---------------------------------------------------------------- the hello's content


def _required(hello: Hello) -> None:
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


def _shares(hello: Hello) -> dict[int, bytes]:
    """The client's key shares by group (RFC 8446 4.2.8)."""
    found = hello.decoded.get(checks.SHARE)
    entries = found.entries if isinstance(found, b.KeyShares) else ()
    listed = hello.codes(checks.GROUPS)
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


def _suite(config: ServerConfig, hello: Hello) -> int:
    offered = hello.message.cipher_suites
    suite = next((code for code in config.suites_13 if code in offered), None)
    if suite is None:
        raise PeerError("no_common_cipher", "a suite of ours", "none")
    return suite


def _group(end: Server, hello: Hello, shares: dict[int, bytes]) -> int:
    """The best group with a share, else the best that is listed."""
    listed = hello.codes(checks.GROUPS)
    ours = end.config.groups
    group = next((g for g in ours if g in shares), None) or next((g for g in ours if g in listed), None)
    if group is None:
        raise PeerError("no_common_group", "a group of ours", "none")
    return group


def _retry(end: Server, hello: Hello, suite: int, group: int) -> State:
    """Ask for another share (RFC 8446 4.1.4)."""
    transcript, message = end.transcript, hello.message
    transcript.add(hello.raw)
    transcript.choose(suite_hash(suite))
    transcript.retry()
    cookie = end.entropy(32) if end.config.cookie else b""
    extensions = [(checks.VERSIONS, b"\3\4"), (checks.SHARE, group.to_bytes(2, "big"))]
    if cookie:
        extensions.append((checks.COOKIE, b"\0\x20" + cookie))
    end.say_raw(server_hello(HRR_RANDOM, message.session_id, suite, extensions))
    end.flush()
    end.compatible_ccs(message.session_id)
    if checks.EARLY_DATA in hello.bodies:
        end._skip_early = _skip_room(end.config)
    end._turned = True  # nothing may follow the first hello in its record
    return WaitSecondHello(hello, suite, group, cookie)


#: What may differ between the two hellos (RFC 8446 4.1.2): key_share, early_data, cookie, pre_shared_key, padding.
_MAY_CHANGE = frozenset({checks.SHARE, checks.EARLY_DATA, checks.COOKIE, checks.PSK, 21})


def _constants(hello: ClientHello) -> tuple[object, ...]:
    return hello.legacy_version, hello.random, hello.session_id, hello.cipher_suites, hello.compression_methods


@dataclass(frozen=True, slots=True)
class WaitSecondHello:
    """A HelloRetryRequest is out."""

    first: Hello
    suite: int
    group: int
    cookie: bytes

    EXPECTS: ClassVar[tuple[int, ...]] = (1,)

    def on(self, end: Server, kind: int, raw: bytes) -> State:
        """The second ClientHello, which must be the first but for what it had to change."""
        hello = read_hello(end, raw)
        end._skip_early = 0
        first, second = self.first.message, hello.message
        if hello.version != TLS13:
            raise PeerError("hello_changed", "TLS 1.3", f"0x{hello.version:04x}")
        if checks.EARLY_DATA in hello.bodies:
            raise PeerError("hello_changed", "no early_data", "early_data")
        given = hello.decoded.get(checks.COOKIE)
        if self.cookie and not isinstance(given, b.Cookie):
            raise PeerError("missing_extension", "the cookie", "none")
        if isinstance(given, b.Cookie) and given.value != self.cookie:
            raise PeerError("illegal_parameter", "our cookie", "another")
        same = _constants(first) == _constants(second)
        before = [x for x in first.extensions or () if x[0] not in _MAY_CHANGE]
        after = [x for x in second.extensions or () if x[0] not in _MAY_CHANGE]
        if not same or sorted(before) != sorted(after):
            raise PeerError("hello_changed", "the first hello", "another")
        share = hello.decoded.get(checks.SHARE)
        if not isinstance(share, b.KeyShares) or [entry.group for entry in share.entries] != [self.group]:
            raise PeerError("share_of_other_group", f"one share of 0x{self.group:04x}", "others")
        if checks.PSK in hello.bodies and checks.PSK not in self.first.bodies:
            raise PeerError("hello_changed", "no pre_shared_key", "one")
        return client_hello(end, hello, self.first, self.suite, self.group)


# ---------------------------------------------------------------- resumption


def _truncated(hello: Hello) -> bytes | None:
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


def _resume(end: Server, hello: Hello, name: str, truncated: bytes, retried: bool) -> Psk | None:
    """The first session offered that we know and may resume; PeerError bad_psk_binder for a false proof of it."""
    config = end.config
    found = hello.decoded[checks.PSK]
    if config.ticket_keys is None or 1 not in hello.codes(checks.PSK_MODES) or not isinstance(found, b.PreSharedKey):
        return None
    for index, (identity, _) in enumerate(found.identities[:MAX_IDENTITIES]):
        state = parse_state(config.ticket_keys.open(identity, end.now))
        if state is None or state.version != TLS13 or suite_hash(state.suite) != name:
            continue
        age = int(end.now * 1000) - state.issued
        if not -60_000 <= age <= config.ticket_lifetime * 1000 or state.server_name != hello.server_name:
            continue
        if config.client_auth and not state.peer_chain:
            continue
        if retried:
            fork = end.transcript.fork()
            fork.add(truncated)
            digest = fork.digest()
        else:
            digest = hashlib.new(name, truncated).digest()
        if not compare_digest(found.binders[index], binder(name, state.secret, digest)):
            raise PeerError("bad_psk_binder", "the hello's binder", "another")
        return Psk(index, state)
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
    if not state.max_early_data or state.suite != suite or state.alpn != (hello.alpn or b""):
        return False
    said = (found.identities[0].obfuscated_age - state.age_add) & 0xFFFFFFFF
    real = int(end.now * 1000) - state.issued
    if abs(said - real) > guard.window * 1000:
        return False
    return guard.first(found.binders[0], end.now)


# ---------------------------------------------------------------- the server's flight


def _encrypted_extensions(end: Server, hello: Hello, early: bool) -> None:
    config = end.config
    extensions: list[tuple[int, bytes]] = []
    if hello.server_name:
        extensions.append((checks.SERVER_NAME, b""))
    if hello.alpn is not None:
        extensions.append((checks.ALPN, checks.protocols((hello.alpn,))))
    if checks.RECORD_LIMIT in hello.bodies:
        limit = (config.record_size_limit or 1 << 14) + 1
        extensions.append((checks.RECORD_LIMIT, limit.to_bytes(2, "big")))
    if early:
        extensions.append((checks.EARLY_DATA, b""))
    block = b"".join([n.to_bytes(2, "big") + len(x).to_bytes(2, "big") + x for n, x in extensions])
    end.say_raw(b"\x08" + (len(block) + 2).to_bytes(3, "big") + len(block).to_bytes(2, "big") + block)


def _request(config: ServerConfig, context: bytes) -> bytes:
    """A CertificateRequest (RFC 8446 4.3.2)."""
    schemes = tuple(code for code in config.schemes if signing.SCHEMES[code].in_13)
    extensions = [Extension(checks.SCHEMES, checks.u16_list(schemes))]
    if config.client_authorities:
        names = b"".join([len(name).to_bytes(2, "big") + name for name in config.client_authorities])
        extensions.append(Extension(checks.AUTHORITIES, len(names).to_bytes(2, "big") + names))
    if config.certificate_compression:
        extensions.append(Extension(checks.COMPRESS, checks.u16_list(config.certificate_compression, 1)))
    return write_handshake(CertificateRequest(context=context, extensions=tuple(extensions)))


def _signer(end: Server, hello: Hello) -> tuple[Credential, int]:
    """The credential for this client and the scheme it signs with."""
    if checks.SCHEMES not in hello.bodies:
        raise PeerError("missing_extension", "signature_algorithms", "none")
    chosen = auth.pick(end.candidates(hello.server_name), hello.codes(checks.SCHEMES), end.config.schemes, TLS13)
    if chosen is None:
        raise PeerError("no_common_signature", "a scheme of our keys", "none")
    return chosen


def _authenticate(end: Server, hello: Hello, transcript: Transcript, credential: Credential, scheme: int) -> None:
    """Certificate and CertificateVerify."""
    config = end.config
    theirs = hello.codes(checks.COMPRESS)
    compression = next((c for c in config.certificate_compression if c in theirs), None) if theirs else None
    staple = checks.STATUS_REQUEST in hello.bodies
    end.say_raw(auth.our_certificate(credential, b"", staple, checks.SCT in hello.bodies, compression))
    end.say_raw(auth.our_verify(credential, scheme, "server", transcript.digest()))


# ---------------------------------------------------------------- the client's answer


@dataclass(frozen=True, slots=True)
class WaitEndOfEarlyData:
    """WAIT_EOED: early data comes, and then its end."""

    progress: Progress

    EXPECTS: ClassVar[tuple[int, ...]] = (5,)

    def on(self, end: Server, kind: int, raw: bytes) -> State:
        """EndOfEarlyData."""
        if len(raw) != 4:
            raise PeerError("decode_error", "nothing inside", f"{len(raw) - 4} octets")
        end.transcript.add(raw)
        end._early = False
        schedule = self.progress.schedule
        end.read_keys(schedule.protection(schedule.client))
        return WaitClientFinished(self.progress)


@dataclass(frozen=True, slots=True)
class WaitClientCertificate:
    """WAIT_CERT."""

    progress: Progress

    EXPECTS: ClassVar[tuple[int, ...]] = (11, 25)

    def on(self, end: Server, kind: int, raw: bytes) -> State:
        """The client's Certificate; it may be empty where a certificate is optional."""
        found = read_certificate(end, raw, b"")
        end.transcript.add(raw)
        facts = replace(self.progress.facts, peer_chain=found.chain, stapled=found.stapled, scts=found.scts)
        progress = replace(self.progress, facts=facts)
        if found.chain:
            return WaitClientVerify(progress)
        if end.config.client_auth == "required":
            raise PeerError("certificate_required", "a certificate", "none")
        return WaitClientFinished(progress)


def read_certificate(end: Server, raw: bytes, context: bytes) -> auth.PeerChain:
    """Check a client's Certificate message and judge the chain."""
    config = end.config
    parsed: Certificate | CompressedCertificate = end.parse(raw)
    if isinstance(parsed, CompressedCertificate):
        parsed = auth.decompressed(parsed, config.certificate_compression, end.limits)
    found = auth.read_chain(parsed, context, frozenset())
    if found.chain and config.verify is not None:
        config.verify(Presented(found.chain, None, "client", end.now, found.stapled))
    return found


@dataclass(frozen=True, slots=True)
class WaitClientVerify:
    """WAIT_CV."""

    progress: Progress

    EXPECTS: ClassVar[tuple[int, ...]] = (15,)

    def on(self, end: Server, kind: int, raw: bytes) -> State:
        """The client's CertificateVerify."""
        message: CertificateVerify = end.parse(raw)
        facts = self.progress.facts
        scheme = auth.check_verify(message, facts.peer_chain[0], "client", end.transcript.digest(), end.config.schemes)
        end.transcript.add(raw)
        return WaitClientFinished(replace(self.progress, facts=replace(facts, signature=scheme)))


@dataclass(frozen=True, slots=True)
class WaitClientFinished:
    """WAIT_FINISHED."""

    progress: Progress

    EXPECTS: ClassVar[tuple[int, ...]] = (20,)

    def on(self, end: Server, kind: int, raw: bytes) -> State:
        """The client's Finished."""
        schedule, transcript = self.progress.schedule, end.transcript
        check_finished(schedule, schedule.client, raw, transcript)
        transcript.add(raw)
        schedule.finish(transcript.digest())
        end.read_keys(schedule.protection(schedule.client_next))
        end._ccs_allowed = False
        end._skip_early = 0
        end.keys13 = Keys(schedule, transcript)
        end.facts = self.progress.facts
        end.emit(HandshakeDone(end.facts))
        for number in range(end.config.tickets):
            _send_ticket(end, schedule, number)
        return CONNECTED


def _send_ticket(end: Server, schedule: Schedule, number: int) -> None:
    config, facts = end.config, end.facts
    if config.ticket_keys is None or facts is None:
        return
    nonce = bytes([number & 255])
    chance = end.entropy(16)
    age_add = int.from_bytes(chance[:4], "big")
    state = TicketState(
        TLS13,
        facts.suite,
        schedule.ticket_psk(nonce),
        int(end.now * 1000),
        age_add,
        facts.alpn or b"",
        facts.server_name or "",
        config.max_early_data,
        peer_chain=facts.peer_chain,
    )
    ticket = config.ticket_keys.seal(state.write(), end.now, chance[4:])
    if ticket is None or len(ticket) > 0xFFFF:
        return
    early = config.max_early_data
    block = b"\0\x2a\0\4" + early.to_bytes(4, "big") if early else b""
    head = config.ticket_lifetime.to_bytes(4, "big") + chance[:4] + b"\1" + nonce
    body = head + len(ticket).to_bytes(2, "big") + ticket + len(block).to_bytes(2, "big") + block
    end.say_later(b"\4" + len(body).to_bytes(3, "big") + body)


# ---------------------------------------------------------------- after the handshake


@dataclass(frozen=True, slots=True)
class Connected:
    """CONNECTED."""

    EXPECTS: ClassVar[tuple[int, ...]] = (24,)

    def on(self, end: Server, kind: int, raw: bytes) -> State:
        """KeyUpdate."""
        key_update(end, raw)
        return self


CONNECTED = Connected()


def request_late(end: Server) -> None:
    """Ask for a certificate after the handshake (RFC 8446 4.6.2)."""
    if end.keys13 is None or not end.ready or not end._post_auth or not isinstance(end.state, Connected):
        raise UsageError("the client did not offer post_handshake_auth, or is being asked already")
    if end.config.verify is None:
        raise UsageError("asking for certificates needs verify in the configuration")
    context = end.entropy(8)
    raw = _request(end.config, context)
    transcript = end.keys13.transcript.fork()
    transcript.add(raw)
    end.say_later(raw)
    end.state = WaitLateCertificate(context, transcript)


@dataclass(frozen=True, slots=True)
class WaitLateCertificate:
    """CONNECTED with a request out; data and KeyUpdate may come before the answer."""

    context: bytes
    transcript: Transcript

    EXPECTS: ClassVar[tuple[int, ...]] = (24, 11, 25)

    def on(self, end: Server, kind: int, raw: bytes) -> State:
        """KeyUpdate or the client's Certificate."""
        if kind == 24:
            key_update(end, raw)
            return self
        found = read_certificate(end, raw, self.context)
        self.transcript.add(raw)
        if found.chain:
            return WaitLateVerify(found.chain, self.transcript)
        return WaitLateFinished((), None, self.transcript)


@dataclass(frozen=True, slots=True)
class WaitLateVerify:
    """The late Certificate is here."""

    chain: tuple[bytes, ...]
    transcript: Transcript

    EXPECTS: ClassVar[tuple[int, ...]] = (15,)

    def on(self, end: Server, kind: int, raw: bytes) -> State:
        """CertificateVerify."""
        message: CertificateVerify = end.parse(raw)
        scheme = auth.check_verify(message, self.chain[0], "client", self.transcript.digest(), end.config.schemes)
        self.transcript.add(raw)
        return WaitLateFinished(self.chain, scheme, self.transcript)


@dataclass(frozen=True, slots=True)
class WaitLateFinished:
    """What is left of the late answer is Finished."""

    chain: tuple[bytes, ...]
    scheme: int | None
    transcript: Transcript

    EXPECTS: ClassVar[tuple[int, ...]] = (20,)

    def on(self, end: Server, kind: int, raw: bytes) -> State:
        """Finished, under the client's present application secret."""
        opener = end._opener
        if end.keys13 is None or not isinstance(opener, Aead13):
            raise PeerError("unexpected_message", "TLS 1.3 keys", "finished")
        check_finished(end.keys13.schedule, opener.secret, raw, self.transcript)
        end.emit(PeerAuthenticated(self.chain, self.scheme))
        return CONNECTED
