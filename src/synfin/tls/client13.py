"""The TLS 1.3 client after ServerHello: one frozen dataclass per state of RFC 8446 appendix A.1.

WAIT_EE, WAIT_CERT_CR, WAIT_CERT, WAIT_CV, WAIT_FINISHED and CONNECTED; WAIT_SH is in ``client``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from synfin.errors import PeerError
from synfin.tls import authentication as auth
from synfin.tls import checks, groups
from synfin.tls.answers13 import CONNECTED, Connected, Request, authenticate, read_request
from synfin.tls.both13 import Keys, check_finished, finished
from synfin.tls.config import TLS13
from synfin.tls.events import Facts, HandshakeDone
from synfin.tls.messages import State
from synfin.tls.offer import Offer
from synfin.tls.schedule import Schedule, suite_hash
from synfin.tls.signing import SIGNING, check_usage
from synfin.tls.verify import Presented
from synfin.wire.frozen import changed, quick
from synfin.wire.tls import bodies as b
from synfin.wire.tls.messages import (
    CertificateVerify,
    EncryptedExtensions,
    ServerHello,
)

if TYPE_CHECKING:
    from synfin.tls.client import Client


@quick
@dataclass(frozen=True, slots=True)
class Progress:
    """What the handshake has brought so far."""

    offer: Offer
    schedule: Schedule
    facts: Facts
    psk: bool


def server_hello(end: Client, offer: Offer, hello: ServerHello, raw: bytes, retry: ServerHello | None) -> State:
    """The ServerHello chose TLS 1.3: agree on keys (RFC 8446 4.1.3, 7.1)."""
    if retry is not None and hello.cipher_suite != retry.cipher_suite:
        raise PeerError("cipher_changed", f"0x{retry.cipher_suite:04x}", f"0x{hello.cipher_suite:04x}")
    found = checks.answers(hello.extensions, offer.extensions, checks.PLACES_13["server_hello"])
    name = suite_hash(hello.cipher_suite)
    psk = b""
    if checks.PSK in found:
        chosen = checks.decode(checks.PSK, found[checks.PSK], "server_hello")
        session = offer.session
        if session is None or not isinstance(chosen, b.SelectedPsk) or chosen.value != 0:
            raise PeerError("psk_not_offered", "identity 0", "another")
        if suite_hash(session.suite) != name:
            raise PeerError("psk_not_offered", f"a suite with {suite_hash(session.suite)}", name)
        psk = session.secret
    if checks.SHARE not in found:
        if psk:  # what psk_dhe_ke promised (RFC 8446 4.2.11)
            raise PeerError("psk_without_share", "key_share, as psk_dhe_ke demands", "none")
        raise PeerError("missing_extension", "key_share", "none")
    share = checks.decode(checks.SHARE, found[checks.SHARE], "server_hello")
    group, public = (share.group, share.key) if isinstance(share, b.KeyShare) else (0, b"")
    if group not in offer.shares:
        violation = "share_of_other_group" if group in offer.groups else "group_not_offered"
        raise PeerError(violation, "a group with a share of ours", f"0x{group:04x}")
    shared = groups.agree(group, offer.shares[group], public)
    transcript = end.transcript
    if not transcript.chosen:
        transcript.choose(name)
    transcript.add(raw)
    schedule = Schedule(hello.cipher_suite, psk, shared, transcript.digest())
    sink = end.config.key_log
    if sink is not None:
        end.log("CLIENT_HANDSHAKE_TRAFFIC_SECRET", offer.random, schedule.client, sink)
        end.log("SERVER_HANDSHAKE_TRAFFIC_SECRET", offer.random, schedule.server, sink)
    end.read_keys(schedule.protection(schedule.server))
    if not (offer.early and psk):
        _write_handshake_keys(end, schedule)
    facts = Facts(
        TLS13,
        hello.cipher_suite,
        group,
        resumed=bool(psk),
        retried=retry is not None,
        server_name=end.server_name,
        peer_chain=offer.session.peer_chain if psk and offer.session else (),
    )
    return WaitEncryptedExtensions(Progress(offer, schedule, facts, bool(psk)))


def _write_handshake_keys(end: Client, schedule: Schedule) -> None:
    end._early_left = 0
    end.compatible_ccs()
    end._padding = end.config.padding
    end.write_keys(schedule.protection(schedule.client))


@dataclass(frozen=True, slots=True)
class WaitEncryptedExtensions:
    """WAIT_EE."""

    progress: Progress

    EXPECTS: ClassVar[tuple[int, ...]] = (8,)

    def on(self, end: Client, kind: int, raw: bytes) -> State:
        """EncryptedExtensions (RFC 8446 4.3.1)."""
        message: EncryptedExtensions = end.parse(raw)
        progress = self.progress
        offer = progress.offer
        early = checks.EARLY_DATA in dict(message.extensions or ())
        if offer.early and progress.psk and not early:  # refused: what the server reads from now on
            _write_handshake_keys(end, progress.schedule)
        found = checks.answers(
            message.extensions, offer.extensions, checks.PLACES_13["encrypted_extensions"], checks.FORBIDDEN_13
        )
        facts = progress.facts
        alpn = None
        for number, body in found.items():
            if number == checks.ALPN:
                alpn = checks.one_protocol(body, "encrypted_extensions", end.config.alpn)
            elif number == checks.RECORD_LIMIT:
                end._limit_out = checks.record_limit(body, "encrypted_extensions", True)
            else:
                checks.decode(number, body, "encrypted_extensions")
        if early:
            session = offer.session
            if not progress.psk or session is None or session.suite != facts.suite or alpn != session.alpn:
                raise PeerError("illegal_parameter", "early data in its own session only", "early_data")
        end.agree_limit(checks.RECORD_LIMIT in found)
        end.transcript.add(raw)
        if alpn is not None or early:
            facts = changed(facts, alpn=alpn, early_data=early)
            progress = Progress(offer, progress.schedule, facts, progress.psk)
        if progress.psk:
            return WaitFinished(progress)
        return WaitCertificateOrRequest(progress)


@dataclass(frozen=True, slots=True)
class WaitCertificateOrRequest:
    """WAIT_CERT_CR."""

    progress: Progress

    EXPECTS: ClassVar[tuple[int, ...]] = (11, 13, 25)

    def on(self, end: Client, kind: int, raw: bytes) -> State:
        """CertificateRequest, or the server's Certificate already."""
        if kind != 13:
            return WaitCertificate(self.progress).on(end, kind, raw)
        request = read_request(end, raw)
        if request.context:
            raise PeerError("illegal_parameter", "an empty context", "another")
        end.transcript.add(raw)
        return WaitCertificate(self.progress, request)


@dataclass(frozen=True, slots=True)
class WaitCertificate:
    """WAIT_CERT."""

    progress: Progress
    request: Request | None = None

    EXPECTS: ClassVar[tuple[int, ...]] = (11, 25)

    def on(self, end: Client, kind: int, raw: bytes) -> State:
        """The server's Certificate, maybe compressed."""
        offered = self.progress.offer.extensions
        if kind == 25 and checks.COMPRESS not in offered:
            raise PeerError("unexpected_message", "certificate", "compressed_certificate")
        most = end.limits.certificate_message
        found = auth.server_chain(raw, offered & checks.KNOWN, end.config.certificate_compression, most)
        if not found.chain:
            raise PeerError("certificate_missing", "a certificate", "none")
        end.config.verify(Presented(found.chain, end.server_name, "server", end.now, found.stapled))
        check_usage(found.chain[0], SIGNING)
        end.transcript.add(raw)
        return WaitCertificateVerify(self.progress, self.request, found)


@quick
@dataclass(frozen=True, slots=True)
class WaitCertificateVerify:
    """WAIT_CV."""

    progress: Progress
    request: Request | None
    peer: auth.PeerChain

    EXPECTS: ClassVar[tuple[int, ...]] = (15,)

    def on(self, end: Client, kind: int, raw: bytes) -> State:
        """The server's CertificateVerify."""
        message: CertificateVerify = end.parse(raw)
        digest = end.transcript.digest()
        scheme = auth.check_verify(message, self.peer.chain[0], "server", digest, end.config.schemes)
        end.transcript.add(raw)
        return WaitFinished(self.progress, self.request, self.peer, scheme)


@quick
@dataclass(frozen=True, slots=True)
class WaitFinished:
    """WAIT_FINISHED."""

    progress: Progress
    request: Request | None = None
    peer: auth.PeerChain | None = None
    scheme: int | None = None

    EXPECTS: ClassVar[tuple[int, ...]] = (20,)

    def on(self, end: Client, kind: int, raw: bytes) -> State:
        """The server's Finished; ours answers it."""
        progress = self.progress
        schedule, offer, facts = progress.schedule, progress.offer, progress.facts
        transcript = end.transcript
        check_finished(schedule, schedule.server, raw, transcript)
        transcript.add(raw)
        schedule.application(transcript.digest())
        sink = end.config.key_log
        if sink is not None:
            end.log("CLIENT_TRAFFIC_SECRET_0", offer.random, schedule.client_next, sink)
            end.log("SERVER_TRAFFIC_SECRET_0", offer.random, schedule.server_next, sink)
            end.log("EXPORTER_SECRET", offer.random, schedule.exporter_secret, sink)
        if facts.early_data:
            end.say_raw(b"\5\0\0\0")
            _write_handshake_keys(end, schedule)
        own = authorities = None
        if self.request is not None:
            own, authorities = authenticate(end, self.request, transcript), self.request.wanted.authorities
        if self.peer is not None:
            chain, stapled, scts = self.peer
            facts = changed(
                facts,
                signature=self.scheme,
                own_signature=own,
                peer_chain=chain,
                stapled=stapled,
                scts=scts,
                authorities=authorities,
            )
        end.say_raw(finished(schedule.verify_data(schedule.client, transcript.digest())))
        schedule.finish(transcript.digest())
        end.write_keys(schedule.protection(schedule.client_next))
        end.read_keys(schedule.protection(schedule.server_next))
        end._ccs_allowed = False
        end.keys13 = Keys(schedule, transcript)
        end.facts = facts
        end.emit(HandshakeDone(facts))
        return Connected() if checks.POST_AUTH in offer.extensions else CONNECTED
