"""The TLS 1.2 client after ServerHello: one frozen dataclass per state (RFC 5246 7.3, RFC 5077 3.1, RFC 8422 2).

ServerKeyExchange must be signed by the certificate's key with a scheme we offered (``exchange12``).  Renegotiation is
refused; a server that cannot say it does so safely is refused too (RFC 5746 4.1).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from synfin.errors import PeerError, UsageError
from synfin.spec.transcript import Transcript
from synfin.tls import checks, exchange12, signing
from synfin.tls.config import TLS12, Credential
from synfin.tls.credentials import Wanted, pick
from synfin.tls.events import Facts, HandshakeDone, Ticket
from synfin.tls.master import (
    AUTHENTICATION,
    CERTIFICATE_TYPES,
    CURVES,
    Keys,
    certificate,
    check_finished,
    derive,
    message,
    say_finished,
)
from synfin.tls.messages import State
from synfin.tls.offer import Offer
from synfin.tls.schedule import suite_facts, suite_hash
from synfin.tls.session import Session
from synfin.tls.verify import Presented
from synfin.wire.frozen import changed, quick
from synfin.wire.tls.messages import (
    Certificate,
    CertificateRequest,
    CertificateStatus,
    NewSessionTicket,
    ServerHello,
    ServerKeyExchange,
)

if TYPE_CHECKING:
    from synfin.tls.client import Client

#: How long a session id or a ticket without a lifetime is offered again, in seconds.
DEFAULT_LIFETIME = 7200


@quick
@dataclass(frozen=True, slots=True)
class Progress:
    """What the handshake has brought so far."""

    offer: Offer
    server_random: bytes
    session_id: bytes
    kex: str
    facts: Facts
    staple: bool
    ticket: bool


def export(end: Client, label: str, context: bytes | None, length: int) -> bytes:
    """Keying material (RFC 5705)."""
    if end.keys12 is None:
        raise UsageError("exporters exist when the handshake is done")
    return end.keys12.export(label, context, length)


def server_hello(end: Client, offer: Offer, hello: ServerHello, raw: bytes) -> State:
    """The ServerHello chose TLS 1.2 (RFC 5246 7.4.1.3)."""
    suite = suite_facts(hello.cipher_suite)
    offered = offer.extensions
    found = checks.answers(hello.extensions, offered, checks.PLACES_12)
    alpn = None
    for number, body in found.items():
        if number == checks.ALPN:
            alpn = checks.one_protocol(body, "server_hello", end.config.alpn)
        elif number == checks.RECORD_LIMIT:
            end._limit_out = checks.record_limit(body, "server_hello", False)
        elif number == checks.POINT_FORMATS:
            checks.decode(number, body, "server_hello")
            if 0 not in body[1:]:
                raise PeerError("illegal_parameter", "uncompressed points", body.hex())
        elif number == checks.TICKET:  # RFC 5077 3.2
            if body:
                raise PeerError("decode_error", "an empty session_ticket", body[:8].hex())
        else:
            checks.decode(number, body, "server_hello")
    end.agree_limit(checks.RECORD_LIMIT in found)
    if checks.RENEGOTIATION not in found:
        raise PeerError("unsafe_renegotiation", "renegotiation_info", "none")
    if found[checks.RENEGOTIATION] != b"\0":
        raise PeerError("bad_renegotiation_info", "an empty one", found[checks.RENEGOTIATION].hex())
    etm = checks.ETM in found
    if etm and suite.mode != "cbc":
        raise PeerError("etm_without_cbc", "a CBC suite", suite.name)
    transcript = Transcript(keep=True)
    transcript.add(end.transcript.messages())  # what was said, which need not be what was meant
    transcript.choose(suite_hash(suite.code))
    transcript.add(raw)
    end.transcript = transcript
    facts = Facts(
        TLS12,
        suite.code,
        alpn=alpn,
        server_name=end.server_name,
        extended_master_secret=checks.EMS in found,
        encrypt_then_mac=etm,
        scts=found.get(checks.SCT),
    )
    progress = Progress(
        offer, hello.random, hello.session_id, suite.kex, facts, checks.STATUS_REQUEST in found, checks.TICKET in found
    )
    if hello.session_id and hello.session_id == offer.session_id:
        return _resume(end, progress)
    return WaitCertificate(progress)


def _resume(end: Client, progress: Progress) -> State:
    """The server took the session we offered (RFC 5246 7.3, RFC 7627 5.3)."""
    session, facts = progress.offer.old_session, progress.facts
    if session is None:
        raise PeerError("illegal_parameter", "a session id of its own", "ours, which stands for no session")
    if session.suite != facts.suite:
        raise PeerError("illegal_parameter", f"the session's suite 0x{session.suite:04x}", f"0x{facts.suite:04x}")
    if session.extended_master_secret != facts.extended_master_secret:
        raise PeerError("master_secret_not_extended", "as in the session", "changed")
    end.transcript.forget()
    facts = changed(facts, resumed=True, peer_chain=session.peer_chain)
    keys = Keys(
        facts.suite,
        session.secret,
        progress.offer.random,
        progress.server_random,
        facts.encrypt_then_mac,
        facts.extended_master_secret,
    )
    end.keys12 = keys
    end.log("CLIENT_RANDOM", keys.client_random, keys.master, end.config.key_log)
    return _await_finished(end, changed(progress, facts=facts), keys)


@dataclass(frozen=True, slots=True)
class WaitCertificate:
    """The server's Certificate is next."""

    progress: Progress

    EXPECTS: ClassVar[tuple[int, ...]] = (11,)

    def on(self, end: Client, kind: int, raw: bytes) -> State:
        """Certificate (RFC 5246 7.4.2)."""
        parsed: Certificate = end.parse(raw)
        chain = parsed.certificates
        if not chain:
            raise PeerError("certificate_missing", "a certificate", "none")
        if not all(chain):
            raise PeerError("empty_list", "a certificate", "nothing")
        kinds = AUTHENTICATION[self.progress.kex]
        key = signing.peer_key(chain[0])
        if key.kind not in kinds:
            raise PeerError("certificate_wrong_key_type", " or ".join(kinds), key.kind)
        if key.curve and CURVES.get(key.curve) not in self.progress.offer.groups:
            raise PeerError("certificate_wrong_key_type", "a curve that was offered", key.curve)
        signing.check_usage(chain[0], signing.ENCRYPTING if self.progress.kex == "RSA" else signing.SIGNING)
        end.transcript.add(raw)
        if self.progress.staple:
            return WaitStatus(self.progress, chain)
        return _verified(end, self.progress, chain, None)


def _verified(end: Client, progress: Progress, chain: tuple[bytes, ...], stapled: bytes | None) -> State:
    end.config.verify(Presented(chain, end.server_name, "server", end.now, stapled))
    if progress.kex == "RSA":
        facts = changed(progress.facts, peer_chain=chain, stapled=stapled)
        return WaitDone(changed(progress, facts=facts), None, None)
    return WaitKeyExchange(progress, chain, stapled)


@dataclass(frozen=True, slots=True)
class WaitStatus:
    """The server promised CertificateStatus, and may leave it out (RFC 6066 8)."""

    progress: Progress
    chain: tuple[bytes, ...]

    EXPECTS: ClassVar[tuple[int, ...]] = (22, 12, 13, 14)

    def on(self, end: Client, kind: int, raw: bytes) -> State:
        """CertificateStatus, or what follows it."""
        if kind != 22:
            after = _verified(end, self.progress, self.chain, None)
            if kind not in after.EXPECTS:
                raise PeerError("unexpected_message", "server_key_exchange", str(kind))
            return after.on(end, kind, raw)
        status: CertificateStatus = end.parse(raw)
        if status.status_type != 1 or not status.response:
            raise PeerError("decode_error", "an OCSP response", f"type {status.status_type}")
        end.transcript.add(raw)
        return _verified(end, self.progress, self.chain, status.response)


@quick
@dataclass(frozen=True, slots=True)
class WaitKeyExchange:
    """ServerKeyExchange is next."""

    progress: Progress
    chain: tuple[bytes, ...]
    stapled: bytes | None

    EXPECTS: ClassVar[tuple[int, ...]] = (12,)

    def on(self, end: Client, kind: int, raw: bytes) -> State:
        """ServerKeyExchange, signed (RFC 8422 5.4, RFC 5246 7.4.3)."""
        progress = self.progress
        parsed: ServerKeyExchange = end.parse(raw, progress.kex)
        offered = exchange12.read_parameters(progress.kex, parsed, progress.offer.groups)
        offer = progress.offer
        signed = offer.random + progress.server_random + raw[4 : 4 + offered.size]
        key, ours = signing.peer_key(self.chain[0]), end.config.schemes
        signing.verify(key, parsed.scheme or 0, parsed.signature or b"", signed, version=TLS12, offered=ours)
        answer = exchange12.answer(parsed, offered.group, end.entropy)
        end.transcript.add(raw)
        facts = changed(
            progress.facts, group=answer.group, signature=parsed.scheme, peer_chain=self.chain, stapled=self.stapled
        )
        return WaitDone(changed(progress, facts=facts), answer, None)


@quick
@dataclass(frozen=True, slots=True)
class WaitDone:
    """CertificateRequest may come, then ServerHelloDone."""

    progress: Progress
    answer: exchange12.Answer | None = field(repr=False)
    request: CertificateRequest | None

    @property
    def EXPECTS(self) -> tuple[int, ...]:  # noqa: N802 - the name the other states have as a constant
        """CertificateRequest once."""
        return (13, 14) if self.request is None else (14,)

    def on(self, end: Client, kind: int, raw: bytes) -> State:
        """CertificateRequest, or ServerHelloDone, which our second flight answers."""
        if kind == 13:
            request: CertificateRequest = end.parse(raw)
            if not request.types or not request.signature_algorithms or not all(request.authorities or ()):
                raise PeerError("empty_list", "certificate types, schemes, names", "an empty one")
            end.transcript.add(raw)
            return changed(self, request=request)
        if len(raw) != 4:
            raise PeerError("decode_error", "nothing inside", f"{len(raw) - 4} octets")
        end.transcript.add(raw)
        progress, offer = self.progress, self.progress.offer
        answer = self.answer or exchange12.sealed(end, progress.facts.peer_chain[0])
        chosen: tuple[Credential, int] | None = None
        if self.request is not None:
            chosen = _credential(end, self.request)
            end.say_raw(certificate(chosen[0].chain if chosen else ()))
            progress = changed(progress, facts=changed(progress.facts, authorities=self.request.authorities or ()))
        end.say_raw(message(16, answer.body))
        facts = progress.facts
        session_hash = end.transcript.digest() if facts.extended_master_secret else b""
        keys = derive(
            facts.suite, answer.premaster, offer.random, progress.server_random, session_hash, facts.encrypt_then_mac
        )
        end.keys12 = keys
        end.log("CLIENT_RANDOM", keys.client_random, keys.master, end.config.key_log)
        if chosen is not None:
            signature = signing.sign(chosen[0].key, chosen[1], end.transcript.messages())
            end.say_raw(message(15, chosen[1].to_bytes(2, "big") + len(signature).to_bytes(2, "big") + signature))
            progress = changed(progress, facts=changed(facts, own_signature=chosen[1]))
        end.transcript.forget()
        say_finished(end, keys)
        return _await_finished(end, progress, keys)


def _credential(end: Client, request: CertificateRequest) -> tuple[Credential, int] | None:
    kinds = {kind for number in request.types or () for kind in CERTIFICATE_TYPES.get(number, ())}
    fitting = tuple(c for c in end.config.credentials if c.kind.kind in kinds)
    schemes = request.signature_algorithms or ()
    wanted = Wanted(request.authorities or (), (), schemes)
    return pick(wanted.choose(fitting), schemes, end.config.own_schemes, TLS12)


def _await_finished(end: Client, progress: Progress, keys: Keys) -> State:
    def change() -> None:
        state = end.state
        if not isinstance(state, WaitChange) or (state.progress.ticket and not state.seen_ticket):
            raise PeerError("bad_change_cipher_spec", "new_session_ticket", "change_cipher_spec")
        end.read_keys(keys.protections(end)[1])
        end.state = WaitFinished(state.progress, keys, state.session)

    end._ccs_expected = change
    return WaitChange(progress, keys)


@quick
@dataclass(frozen=True, slots=True)
class WaitChange:
    """ChangeCipherSpec is next; before it a promised NewSessionTicket."""

    progress: Progress
    keys: Keys
    session: Session | None = None
    seen_ticket: bool = False

    @property
    def EXPECTS(self) -> tuple[int, ...]:  # noqa: N802
        """NewSessionTicket, where it was promised and did not come."""
        return (4,) if self.progress.ticket and not self.seen_ticket else ()

    def on(self, end: Client, kind: int, raw: bytes) -> State:
        """NewSessionTicket (RFC 5077 3.3); an empty ticket means none."""
        parsed: NewSessionTicket = end.parse(raw)
        end.transcript.add(raw)
        session = None
        if parsed.ticket:
            session = _session(end, self.progress, self.keys, parsed.ticket, parsed.lifetime or DEFAULT_LIFETIME, b"")
        return WaitChange(self.progress, self.keys, session, seen_ticket=True)


def _session(end: Client, progress: Progress, keys: Keys, ticket: bytes, lifetime: int, session_id: bytes) -> Session:
    facts = progress.facts
    return Session(
        TLS12,
        facts.suite,
        keys.master,
        ticket,
        end.now,
        lifetime,
        end.server_name,
        facts.alpn,
        session_id=session_id,
        extended_master_secret=keys.extended,
        peer_chain=facts.peer_chain,
    )


@quick
@dataclass(frozen=True, slots=True)
class WaitFinished:
    """The server's Finished is next."""

    progress: Progress
    keys: Keys
    session: Session | None

    EXPECTS: ClassVar[tuple[int, ...]] = (20,)

    def on(self, end: Client, kind: int, raw: bytes) -> State:
        """Finished; after a resumption ours answers it."""
        progress, keys = self.progress, self.keys
        check_finished(raw, keys.verify_data("server", end.transcript))
        end.transcript.add(raw)
        if progress.facts.resumed:
            say_finished(end, keys)
        end.facts = progress.facts
        end.emit(HandshakeDone(progress.facts))
        session = self.session
        if session is None and progress.session_id and not progress.facts.resumed:
            session = _session(end, progress, keys, b"", DEFAULT_LIFETIME, progress.session_id)
        if session is not None:
            end.emit(Ticket(session))
        return CONNECTED


@dataclass(frozen=True, slots=True)
class Connected:
    """The handshake is done, and there will be no other."""

    EXPECTS: ClassVar[tuple[int, ...]] = ()

    def on(self, end: Client, kind: int, raw: bytes) -> State:
        """Nothing is expected."""
        return self


CONNECTED = Connected()
