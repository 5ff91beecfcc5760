"""What a TLS 1.3 client says beyond the handshake's fixed course: answers to CertificateRequest, and CONNECTED.

RFC 8446 4.3.2, 4.4.2, 4.6.1 and 4.6.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from synfin.errors import PeerError
from synfin.spec.protection import Aead13
from synfin.spec.transcript import Transcript
from synfin.tls import authentication as auth
from synfin.tls import checks
from synfin.tls.both13 import finished, key_update
from synfin.tls.config import TLS13, Credential
from synfin.tls.credentials import Wanted, pick
from synfin.tls.events import Ticket
from synfin.tls.messages import State
from synfin.tls.session import WEEK, Session
from synfin.wire.tls import bodies as b
from synfin.wire.tls.messages import CertificateRequest, NewSessionTicket
from synfin.wire.tls.registry import extension_name

if TYPE_CHECKING:
    from synfin.tls.client import Client


@dataclass(frozen=True, slots=True)
class Request:
    """What a CertificateRequest asks for."""

    context: bytes
    schemes: tuple[int, ...]
    wanted: Wanted
    staple: bool
    scts: bool
    compression: tuple[int, ...]


def read_request(end: Client, raw: bytes) -> Request:
    """Check a CertificateRequest (RFC 8446 4.3.2)."""
    message: CertificateRequest = end.parse(raw)
    found = checks.unique(message.extensions or ())
    allowed = checks.PLACES_13["certificate_request"]
    decoded = {}
    for number, body in found.items():
        if number in allowed:
            decoded[number] = checks.decode(number, body, "certificate_request")
        elif number in checks.KNOWN:
            raise PeerError("misplaced_extension", "another message", extension_name(number))
    schemes = decoded.get(checks.SCHEMES)
    if not isinstance(schemes, b.SignatureAlgorithms):
        raise PeerError("missing_extension", "signature_algorithms", "none")
    compress, chains = decoded.get(checks.COMPRESS), decoded.get(checks.SCHEMES_CERT)
    authorities, filters = decoded.get(checks.AUTHORITIES), decoded.get(checks.OID_FILTERS)
    return Request(
        message.context or b"",
        schemes.codes,
        Wanted(
            authorities.values if isinstance(authorities, b.CertificateAuthorities) else (),
            filters.filters if isinstance(filters, b.OIDFilters) else (),
            chains.codes if isinstance(chains, b.SignatureAlgorithms) else schemes.codes,
        ),
        checks.STATUS_REQUEST in found,
        checks.SCT in found,
        compress.codes if isinstance(compress, b.CompressCertificate) else (),
    )


def authenticate(end: Client, request: Request, transcript: Transcript, fresh: bool = True) -> int | None:
    """Send Certificate and, where there is one, CertificateVerify; returns the scheme.

    ``transcript`` grows with what is said; ``fresh`` tells whether it is the handshake's own.
    """
    fitting = request.wanted.choose(end.config.credentials)
    chosen = pick(fitting, request.schemes, end.config.own_schemes, TLS13)
    credential: Credential | None = chosen[0] if chosen else None
    compression = next((c for c in end.config.certificate_compression if c in request.compression), None)
    say = end.say_raw if fresh else end.say_later
    raw = auth.our_certificate(credential, request.context, request.staple, request.scts, compression)
    if not fresh:
        transcript.add(raw)
    say(raw)
    if chosen is None or credential is None:
        return None
    raw = auth.our_verify(credential, chosen[1], "client", transcript.digest())
    if not fresh:
        transcript.add(raw)
    say(raw)
    return chosen[1]


@dataclass(frozen=True, slots=True)
class Connected:
    """CONNECTED, for a client that answers CertificateRequest after the handshake (RFC 8446 4.6.2)."""

    EXPECTS: ClassVar[tuple[int, ...]] = (4, 24, 13)

    def on(self, end: Client, kind: int, raw: bytes) -> State:
        """NewSessionTicket, KeyUpdate or CertificateRequest."""
        if kind == 4:
            ticket(end, raw)
        elif kind == 24:
            key_update(end, raw)
        else:
            _late_request(end, raw)
        return self


@dataclass(frozen=True, slots=True)
class ConnectedPlain(Connected):
    """CONNECTED, for a client that did not offer post_handshake_auth."""

    EXPECTS: ClassVar[tuple[int, ...]] = (4, 24)


CONNECTED = ConnectedPlain()


def _late_request(end: Client, raw: bytes) -> None:
    if end.keys13 is None:
        return
    request = read_request(end, raw)
    if not request.context:
        raise PeerError("illegal_parameter", "a context", "an empty one")
    if request.context in end._contexts:
        raise PeerError("illegal_parameter", "a context of its own", "that of a request before")
    end._contexts.add(request.context)
    if len(end._contexts) > end.limits.requests:
        raise PeerError("too_many_requests", f"at most {end.limits.requests}", "more")
    schedule, transcript = end.keys13.schedule, end.keys13.transcript.fork()
    transcript.add(raw)
    if end._mute:
        return
    authenticate(end, request, transcript, fresh=False)
    sealer = end._sealer
    if isinstance(sealer, Aead13):  # the base key is that of the present keys (RFC 8446 4.4)
        end.say_later(finished(schedule.verify_data(sealer.secret, transcript.digest())))


def ticket(end: Client, raw: bytes) -> None:
    """NewSessionTicket (RFC 8446 4.6.1)."""
    message: NewSessionTicket = end.parse(raw)
    found = checks.unique(message.extensions or ())
    if not checks.KNOWN.isdisjoint(found.keys() - {checks.EARLY_DATA}):
        raise PeerError("misplaced_extension", "another message", "in new_session_ticket")
    end._tickets += 1
    if end._tickets > end.limits.tickets:
        raise PeerError("too_many_tickets", f"at most {end.limits.tickets}", "more")
    if not message.ticket:
        raise PeerError("decode_error", "a ticket", "nothing")
    early = 0
    if checks.EARLY_DATA in found:
        body = checks.decode(checks.EARLY_DATA, found[checks.EARLY_DATA], "new_session_ticket")
        early = body.value if isinstance(body, b.MaxEarlyData) else 0
    if end.keys13 is None or end.facts is None or not message.lifetime:
        return
    facts = end.facts
    secret = end.keys13.schedule.ticket_psk(message.nonce or b"")
    end.emit(
        Ticket(
            Session(
                TLS13,
                facts.suite,
                secret,
                message.ticket,
                end.now,
                min(message.lifetime, WEEK),  # whatever it says (RFC 8446 4.6.1)
                end.server_name,
                facts.alpn,
                message.age_add or 0,
                early,
                peer_chain=facts.peer_chain,
                record_limit=end._limit_out,
            )
        )
    )
