"""The TLS 1.3 server after version choice: one frozen dataclass per state of RFC 8446 appendix A.2.

START is in ``server``; here are RECVD_CH, WAIT_EOED, WAIT_CERT, WAIT_CV and WAIT_FINISHED, and the second hello after a
HelloRetryRequest.  What the hello's content leads to is in ``choices13``; CONNECTED is in ``late13``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from synfin.errors import PeerError
from synfin.spec.protection import opener_13
from synfin.spec.transcript import Transcript
from synfin.tls import authentication as auth
from synfin.tls import checks, groups
from synfin.tls.both13 import Keys, check_finished, finished
from synfin.tls.choices13 import (
    choose_group,
    choose_suite,
    early_taken,
    key_shares,
    required,
    resumed_session,
    truncated_hello,
)
from synfin.tls.config import TLS13, Credential, ServerConfig
from synfin.tls.credentials import candidates, pick
from synfin.tls.events import Facts, HandshakeDone
from synfin.tls.hello import Hello, limit_records, read_hello
from synfin.tls.late13 import CONNECTED, certificate_request, read_certificate
from synfin.tls.messages import State
from synfin.tls.schedule import Schedule, early_exporter, early_traffic, suite_hash
from synfin.tls.session import WEEK, TicketState
from synfin.wire.frozen import changed, quick
from synfin.wire.tls import bodies as b
from synfin.wire.tls.messages import (
    HRR_RANDOM,
    CertificateVerify,
    ClientHello,
)

if TYPE_CHECKING:
    from synfin.tls.server import Server


@quick
@dataclass(frozen=True, slots=True)
class Progress:
    """What the handshake has brought so far."""

    schedule: Schedule
    facts: Facts
    random: bytes
    began: int = 0  # when the session began that is resumed, ms since 1970; 0: now


def client_hello(end: Server, hello: Hello, suite: int = 0, group: int = 0) -> State:
    """A ClientHello that wants TLS 1.3; ``suite`` and ``group`` are those of a HelloRetryRequest before."""
    retried = suite > 0
    message, config = hello.message, end.config
    end._ccs_allowed = True
    if message.compression_methods != (0,):
        raise PeerError("compression_chosen", "null alone", str(message.compression_methods))
    required(hello)
    shares = key_shares(hello)
    truncated = truncated_hello(hello)
    if not suite:
        suite = choose_suite(config, hello)
    if not group:
        group = choose_group(end, hello, shares)
    if group not in shares:
        if truncated is None:  # what no second hello may change is refused now
            _signer(end, hello)
        return _retry(end, hello, suite, group)
    name = suite_hash(suite)
    transcript = end.transcript
    psk = None if truncated is None else resumed_session(end, hello, name, truncated, retried)
    transcript.add(hello.raw)
    if not retried:
        transcript.choose(name)
    chosen = None if psk else _signer(end, hello)
    limit_records(end, hello)
    public, shared = groups.respond(group, shares[group], end.entropy)
    random = end.entropy(32)
    secret = psk.state.secret if psk else b""
    early = early_taken(end, hello, psk, suite, retried)
    hello_hash = transcript.digest() if early else b""
    extensions = [(checks.PSK, psk.index.to_bytes(2, "big"))] if psk else []
    extensions += [
        (checks.SHARE, group.to_bytes(2, "big") + len(public).to_bytes(2, "big") + public),
        (checks.VERSIONS, b"\3\4"),
    ]
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
        retried=retried,
        alpn=hello.alpn,
        server_name=hello.server_name or None,
        early_data=early,
        peer_chain=psk.state.peer_chain if psk else (),
    )
    end._post_auth = checks.POST_AUTH in hello.bodies and not (psk and psk.external)  # RFC 8446 4.3.2
    if 1 in hello.codes(checks.PSK_MODES):  # RFC 8446 4.2.9
        end._tickets = min(1, config.tickets) if psk else config.tickets  # for the one that was used
    _encrypted_extensions(end, hello, group, early)
    asked = False
    if chosen is not None:
        asked = config.client_auth is not None
        if asked:
            end.say_raw(certificate_request(config, b""))
        _authenticate(end, hello, transcript, *chosen)
    end.say_raw(finished(schedule.verify_data(schedule.server, transcript.digest())))
    schedule.application(transcript.digest())
    if sink is not None:
        end.log("CLIENT_TRAFFIC_SECRET_0", message.random, schedule.client_next, sink)
        end.log("SERVER_TRAFFIC_SECRET_0", message.random, schedule.server_next, sink)
        end.log("EXPORTER_SECRET", message.random, schedule.exporter_secret, sink)
    end.write_keys(schedule.protection(schedule.server_next))
    progress = Progress(schedule, facts, message.random, psk.state.began or psk.state.issued if psk else 0)
    if early and psk:
        traffic = early_traffic(name, secret, hello_hash)
        end.early_exporter = (name, early_exporter(name, secret, hello_hash))
        end.log("CLIENT_EARLY_TRAFFIC_SECRET", message.random, traffic, sink)
        end.read_keys(opener_13(suite, traffic))
        end._early, end.early_facts = True, facts
        end._early_left = psk.state.max_early_data
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


def _retry(end: Server, hello: Hello, suite: int, group: int) -> State:
    """Ask for another share (RFC 8446 4.1.4)."""
    transcript, message = end.transcript, hello.message
    transcript.add(hello.raw)
    transcript.choose(suite_hash(suite))
    transcript.retry()
    cookie = end.retry_cookie()
    extensions = [(checks.SHARE, group.to_bytes(2, "big"))]
    if cookie:
        extensions.append((checks.COOKIE, len(cookie).to_bytes(2, "big") + cookie))
    extensions.append((checks.VERSIONS, b"\3\4"))
    end.say_raw(server_hello(HRR_RANDOM, message.session_id, suite, extensions))
    end.flush()
    end.compatible_ccs(message.session_id)
    if checks.EARLY_DATA in hello.bodies:
        end._skip_early = _skip_room(end.config)
    return WaitSecondHello(hello.raw, suite, group, cookie)


#: What may differ between the two hellos (RFC 8446 4.1.2): key_share, early_data, cookie, pre_shared_key, padding.
_MAY_CHANGE = frozenset({checks.SHARE, checks.EARLY_DATA, checks.COOKIE, checks.PSK, checks.PADDING})


def _constants(hello: ClientHello) -> tuple[object, ...]:
    return hello.legacy_version, hello.random, hello.session_id, hello.cipher_suites, hello.compression_methods


def _identities(hello: ClientHello) -> set[bytes]:
    body = dict(hello.extensions or ()).get(checks.PSK)
    found = None if body is None else checks.decode(checks.PSK, body, "client_hello")
    return {entry.identity for entry in found.identities} if isinstance(found, b.PreSharedKey) else set()


@dataclass(frozen=True, slots=True)
class WaitSecondHello:
    """A HelloRetryRequest is out.  Held are the first hello's octets: read, they would take thirty times as much."""

    first: bytes
    suite: int
    group: int
    cookie: bytes

    EXPECTS: ClassVar[tuple[int, ...]] = (1,)

    def on(self, end: Server, kind: int, raw: bytes) -> State:
        """The second ClientHello, which must be the first but for what it had to change."""
        hello = read_hello(end, raw)
        end._skip_early = 0
        first, second = end.parse(self.first), hello.message
        if hello.version != TLS13:
            raise PeerError("hello_changed", "TLS 1.3", f"0x{hello.version:04x}")
        if checks.EARLY_DATA in hello.bodies:
            raise PeerError("hello_changed", "no early_data", "early_data")
        if checks.SHARE not in hello.bodies:
            raise PeerError("missing_extension", "key_share", "none")
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
        if not _identities(second) <= _identities(first):
            raise PeerError("hello_changed", "no other pre_shared_key", "one")
        return client_hello(end, hello, self.suite, self.group)


# ---------------------------------------------------------------- the server's flight


def _encrypted_extensions(end: Server, hello: Hello, group: int, early: bool) -> None:
    config = end.config
    extensions: list[tuple[int, bytes]] = []
    if group != config.groups[0] or config.tell_groups:
        extensions.append((checks.GROUPS, checks.u16_list(config.groups)))
    if checks.RECORD_LIMIT in hello.bodies:
        limit = (config.record_size_limit or 1 << 14) + 1
        extensions.append((checks.RECORD_LIMIT, limit.to_bytes(2, "big")))
    elif checks.FRAGMENT in hello.bodies:
        extensions.append((checks.FRAGMENT, hello.bodies[checks.FRAGMENT]))
    if hello.server_name:
        extensions.append((checks.SERVER_NAME, b""))
    if hello.alpn is not None:
        extensions.append((checks.ALPN, checks.protocols((hello.alpn,))))
    if early:
        extensions.append((checks.EARLY_DATA, b""))
    block = b"".join([n.to_bytes(2, "big") + len(x).to_bytes(2, "big") + x for n, x in extensions])
    end.say_raw(b"\x08" + (len(block) + 2).to_bytes(3, "big") + len(block).to_bytes(2, "big") + block)


def _signer(end: Server, hello: Hello) -> tuple[Credential, int]:
    """The credential for this client and the scheme it signs with."""
    if checks.SCHEMES not in hello.bodies:
        raise PeerError("missing_extension", "signature_algorithms", "none")
    chosen = pick(candidates(end, hello), hello.codes(checks.SCHEMES), end.config.own_schemes, TLS13)
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
        facts = changed(self.progress.facts, peer_chain=found.chain, stapled=found.stapled, scts=found.scts)
        progress = changed(self.progress, facts=facts)
        if found.chain:
            return WaitClientVerify(progress)
        if end.config.client_auth == "required":
            raise PeerError("certificate_required", "a certificate", "none")
        return WaitClientFinished(progress)


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
        return WaitClientFinished(changed(self.progress, facts=changed(facts, signature=scheme)))


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
        for number in range(end._tickets):
            _send_ticket(end, schedule, number, self.progress.began)
        return CONNECTED


def _send_ticket(end: Server, schedule: Schedule, number: int, began: int) -> None:
    """NewSessionTicket; resumed again and again, a session lives for a week (RFC 8446 4.6.1)."""
    config, facts = end.config, end.facts
    left = WEEK - (int(end.now) - began // 1000 if began else 0)
    if config.ticket_keys is None or facts is None or left <= 0:
        return
    nonce = (number & 0xFFFF).to_bytes(2, "big")
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
        began=began,
    )
    ticket = config.ticket_keys.seal(state.write(), end.now, chance[4:])
    if ticket is None or len(ticket) > 0xFFFF:
        return
    early = config.max_early_data
    block = b"\0\x2a\0\4" + early.to_bytes(4, "big") if early else b""
    head = min(config.ticket_lifetime, WEEK, left).to_bytes(4, "big") + chance[:4] + b"\2" + nonce
    body = head + len(ticket).to_bytes(2, "big") + ticket + len(block).to_bytes(2, "big") + block
    end.say_later(b"\4" + len(body).to_bytes(3, "big") + body)
