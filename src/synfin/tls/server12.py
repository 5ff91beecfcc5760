"""The TLS 1.2 server after version choice: one frozen dataclass per state (RFC 5246 7.3, RFC 5077 3.1, RFC 8422 2).

Suites are tried in our order (``choices12``); each needs a certificate whose key fits, a scheme and a group the client
listed.  Key exchange is in ``exchange12``.  Renegotiation is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from synfin.errors import PeerError, UsageError
from synfin.spec.transcript import Transcript
from synfin.tls import checks, exchange12, signing
from synfin.tls.choices12 import Chosen, asked_fragment, by_ticket, choose, common_answers, known_session
from synfin.tls.config import TLS12
from synfin.tls.events import Facts, HandshakeDone
from synfin.tls.hello import limit_records
from synfin.tls.master import (
    Keys,
    certificate,
    check_finished,
    derive,
    extension_block,
    message,
    say_finished,
)
from synfin.tls.messages import State
from synfin.tls.schedule import suite_facts, suite_hash
from synfin.tls.session import TicketState
from synfin.tls.verify import Presented
from synfin.wire.frozen import changed, quick
from synfin.wire.tls.messages import Certificate, CertificateVerify, ClientKeyExchange

if TYPE_CHECKING:
    from synfin.tls.hello import Hello
    from synfin.tls.server import Server

SENTINEL = b"DOWNGRD\1"


@quick
@dataclass(frozen=True, slots=True)
class Progress:
    """What the handshake has brought so far."""

    client_random: bytes
    server_random: bytes
    session_id: bytes
    kex: str
    facts: Facts
    ticket: bool
    fragment: int  # max_fragment_length, 0 for none
    offered_version: int = TLS12  # the client's own: it stands in the PreMasterSecret too
    issued: int = 0  # when the session began that is resumed, ms since 1970; 0: now


def export(end: Server, label: str, context: bytes | None, length: int) -> bytes:
    """Keying material (RFC 5705)."""
    if end.keys12 is None:
        raise UsageError("exporters exist when the handshake is done")
    return end.keys12.export(label, context, length)


def client_hello(end: Server, hello: Hello) -> State:
    """A ClientHello that gets TLS 1.2 (RFC 5246 7.4.1.2)."""
    config, found = end.config, hello.bodies
    if found.get(checks.RENEGOTIATION, b"\0") != b"\0":
        raise PeerError("bad_renegotiation_info", "an empty one", found[checks.RENEGOTIATION].hex())
    limit_records(end, hello)
    random = end.entropy(32)
    if config.suites_13:
        random = random[:24] + SENTINEL
    state = known_session(end, hello)
    if state is not None:
        return _resume(end, hello, state, random)
    chosen = choose(end, hello)
    suite, credential = chosen.suite, chosen.credential
    transcript = Transcript(keep=True)
    transcript.add(hello.raw)
    transcript.choose(suite_hash(suite.code))
    end.transcript = transcript
    ticket = checks.TICKET in found and config.ticket_keys is not None
    session_id = end.entropy(32) if config.session_cache is not None and not ticket else b""  # RFC 5077 3.4
    staple = checks.STATUS_REQUEST in found and credential.ocsp is not None
    etm = checks.ETM in found and suite.mode == "cbc"
    facts = Facts(
        TLS12,
        suite.code,
        chosen.group or None,
        own_signature=chosen.scheme or None,
        alpn=hello.alpn,
        server_name=hello.server_name or None,
        extended_master_secret=checks.EMS in found,
        encrypt_then_mac=etm,
    )
    extensions = common_answers(end, hello, etm, ticket)
    if hello.server_name:  # not in an abbreviated handshake (RFC 6066 3)
        extensions.append((checks.SERVER_NAME, b""))
    if staple:
        extensions.append((checks.STATUS_REQUEST, b""))
    if credential.scts is not None and checks.SCT in found:
        extensions.append((checks.SCT, credential.scts))
    if suite.kex.startswith("ECDHE") and checks.POINT_FORMATS in found:
        extensions.append((checks.POINT_FORMATS, b"\1\0"))
    end.say_raw(_server_hello(random, session_id, suite.code, extensions))
    end.say_raw(certificate(credential.chain))
    if staple and credential.ocsp is not None:
        end.say_raw(message(22, b"\1" + len(credential.ocsp).to_bytes(3, "big") + credential.ocsp))
    private = _key_exchange(end, hello, chosen, random)
    if config.client_auth is not None:
        end.say_raw(_request(end))
    end.say_raw(b"\x0e\0\0\0")
    offered, fragment = hello.message.legacy_version, asked_fragment(hello)
    progress = Progress(hello.message.random, random, session_id, suite.kex, facts, ticket, fragment, offered)
    return WaitCertificate(progress, private) if config.client_auth else WaitKeyExchange(progress, private)


def _server_hello(random: bytes, session_id: bytes, suite: int, extensions: list[tuple[int, bytes]]) -> bytes:
    block = extension_block(extensions) if extensions else b""
    return message(
        2, b"".join([b"\3\3", random, bytes([len(session_id)]), session_id, suite.to_bytes(2, "big"), b"\0", block])
    )


def _key_exchange(end: Server, hello: Hello, chosen: Chosen, random: bytes) -> Any:
    """ServerKeyExchange; our private key, which for static RSA is the certificate's."""
    if chosen.suite.kex == "RSA":
        return chosen.credential.key
    private, parameters = exchange12.server_parameters(chosen.suite.kex, chosen.group, end.entropy)
    signature = signing.sign(chosen.credential.key, chosen.scheme, hello.message.random + random + parameters)
    end.say_raw(
        message(
            12,
            parameters + chosen.scheme.to_bytes(2, "big") + len(signature).to_bytes(2, "big") + signature,
        )
    )
    return private


def _request(end: Server) -> bytes:
    schemes = tuple(code for code in end.config.schemes if signing.SCHEMES[code].in_12)
    names = b"".join([len(name).to_bytes(2, "big") + name for name in end.config.client_authorities])
    return message(13, b"\2\x40\1" + checks.u16_list(schemes) + len(names).to_bytes(2, "big") + names)


# ---------------------------------------------------------------- resumption


def _resume(end: Server, hello: Hello, state: TicketState, random: bytes) -> State:
    """The abbreviated handshake."""
    suite = suite_facts(state.suite)
    if state.fragment and checks.RECORD_LIMIT not in hello.bodies:  # it holds though nobody says it again (RFC 6066 4)
        end._limit_out = end._limit_in = end._fragment = 1 << (8 + state.fragment)
    etm = checks.ETM in hello.bodies and suite.mode == "cbc"
    transcript = end.transcript
    transcript.add(hello.raw)
    transcript.choose(suite_hash(state.suite))
    session_id = hello.message.session_id
    ticket = checks.TICKET in hello.bodies and end.config.ticket_keys is not None
    end.say_raw(_server_hello(random, session_id, state.suite, common_answers(end, hello, etm, ticket)))
    facts = Facts(
        TLS12,
        state.suite,
        resumed=True,
        alpn=hello.alpn,
        server_name=hello.server_name or None,
        extended_master_secret=state.extended_master_secret,
        encrypt_then_mac=etm,
        peer_chain=state.peer_chain,
    )
    keys = Keys(state.suite, state.secret, hello.message.random, random, etm, state.extended_master_secret)
    end.keys12 = keys
    end.log("CLIENT_RANDOM", keys.client_random, keys.master, end.config.key_log)
    end._session_id = b"" if by_ticket(end, hello) else session_id
    progress = Progress(
        hello.message.random,
        random,
        end._session_id,
        suite.kex,
        facts,
        ticket,
        state.fragment,
        issued=state.issued,
    )
    if ticket:
        _send_ticket(end, progress, keys)
    say_finished(end, keys)
    return _await_finished(end, progress, keys)


def _state(end: Server, progress: Progress, keys: Keys) -> TicketState:
    facts = progress.facts
    return TicketState(
        TLS12,
        facts.suite,
        keys.master,
        progress.issued or int(end.now * 1000),
        alpn=facts.alpn or b"",
        server_name=facts.server_name or "",
        extended_master_secret=keys.extended,
        peer_chain=facts.peer_chain,
        fragment=progress.fragment,
    )


def _send_ticket(end: Server, progress: Progress, keys: Keys) -> None:
    """NewSessionTicket; an empty one where none can be made (RFC 5077 3.3).

    A ticket of a resumed session lives no longer than the one before: its master secret is the same (RFC 5246 F.1.4).
    """
    sealer = end.config.ticket_keys
    if sealer is None:
        return
    ticket = sealer.seal(_state(end, progress, keys).write(), end.now, end.entropy(12))
    if ticket is None or len(ticket) > 0xFFFF:
        ticket = b""
    left = end.config.ticket_lifetime - (int(end.now - progress.issued / 1000) if progress.issued else 0)
    end.say_raw(message(4, max(left, 1).to_bytes(4, "big") + len(ticket).to_bytes(2, "big") + ticket))


# ---------------------------------------------------------------- the client's flight


@dataclass(frozen=True, slots=True)
class WaitCertificate:
    """The client's Certificate is next."""

    progress: Progress
    private: Any = field(repr=False)

    EXPECTS: ClassVar[tuple[int, ...]] = (11,)

    def on(self, end: Server, kind: int, raw: bytes) -> State:
        """Certificate, maybe an empty one."""
        parsed: Certificate = end.parse(raw)
        chain = parsed.certificates
        if not all(chain):
            raise PeerError("empty_list", "a certificate", "nothing")
        end.transcript.add(raw)
        if not chain:
            if end.config.client_auth == "required":
                raise PeerError("client_certificate_missing", "a certificate", "none")
            return WaitKeyExchange(self.progress, self.private)
        if end.config.verify is not None:
            end.config.verify(Presented(chain, None, "client", end.now))
        signing.check_usage(chain[0], signing.SIGNING)
        progress = changed(self.progress, facts=changed(self.progress.facts, peer_chain=chain))
        return WaitKeyExchange(progress, self.private)


@dataclass(frozen=True, slots=True)
class WaitKeyExchange:
    """ClientKeyExchange is next."""

    progress: Progress
    private: Any = field(repr=False)

    EXPECTS: ClassVar[tuple[int, ...]] = (16,)

    def on(self, end: Server, kind: int, raw: bytes) -> State:
        """ClientKeyExchange (RFC 5246 7.4.7, RFC 8422 5.7)."""
        progress = self.progress
        parsed: ClientKeyExchange = end.parse(raw, progress.kex)
        if progress.kex == "RSA":
            premaster = exchange12.opened(self.private, parsed, progress.offered_version, end.entropy)
        else:
            premaster = exchange12.agreed(self.private, progress.facts.group or 0, parsed)
        end.transcript.add(raw)
        facts = progress.facts
        session_hash = end.transcript.digest() if facts.extended_master_secret else b""
        keys = derive(
            facts.suite,
            premaster,
            progress.client_random,
            progress.server_random,
            session_hash,
            facts.encrypt_then_mac,
        )
        end.keys12 = keys
        end.log("CLIENT_RANDOM", keys.client_random, keys.master, end.config.key_log)
        if facts.peer_chain:
            return WaitVerify(progress, keys)
        end.transcript.forget()
        return _await_finished(end, progress, keys)


@dataclass(frozen=True, slots=True)
class WaitVerify:
    """The client's CertificateVerify is next."""

    progress: Progress
    keys: Keys

    EXPECTS: ClassVar[tuple[int, ...]] = (15,)

    def on(self, end: Server, kind: int, raw: bytes) -> State:
        """CertificateVerify over all messages so far (RFC 5246 7.4.8)."""
        parsed: CertificateVerify = end.parse(raw)
        facts = self.progress.facts
        key = signing.peer_key(facts.peer_chain[0])
        signed = end.transcript.messages()
        signing.verify(key, parsed.scheme or 0, parsed.signature, signed, version=TLS12, offered=end.config.schemes)
        end.transcript.add(raw)
        end.transcript.forget()
        facts = changed(facts, signature=parsed.scheme)
        return _await_finished(end, changed(self.progress, facts=facts), self.keys)


def _await_finished(end: Server, progress: Progress, keys: Keys) -> State:
    def change() -> None:
        end.read_keys(keys.protections(end)[1])
        end.state = WaitFinished(progress, keys)

    end._ccs_expected = change
    return WAIT_CHANGE


@dataclass(frozen=True, slots=True)
class WaitChange:
    """ChangeCipherSpec is next."""

    EXPECTS: ClassVar[tuple[int, ...]] = ()

    def on(self, end: Server, kind: int, raw: bytes) -> State:
        """No message is expected."""
        return self


WAIT_CHANGE = WaitChange()


@dataclass(frozen=True, slots=True)
class WaitFinished:
    """The client's Finished is next."""

    progress: Progress
    keys: Keys

    EXPECTS: ClassVar[tuple[int, ...]] = (20,)

    def on(self, end: Server, kind: int, raw: bytes) -> State:
        """Finished; in a full handshake ours answers it."""
        progress, keys = self.progress, self.keys
        check_finished(raw, keys.verify_data("client", end.transcript))
        end.transcript.add(raw)
        facts = progress.facts
        if not facts.resumed:
            if progress.ticket:
                _send_ticket(end, progress, keys)
            say_finished(end, keys)
            cache = end.config.session_cache
            if cache is not None and progress.session_id:
                cache.put(progress.session_id, _state(end, progress, keys))
        end._session_id = progress.session_id
        end.facts = facts
        end.emit(HandshakeDone(facts))
        return CONNECTED


@dataclass(frozen=True, slots=True)
class Connected:
    """The handshake is done, and there will be no other."""

    EXPECTS: ClassVar[tuple[int, ...]] = ()

    def on(self, end: Server, kind: int, raw: bytes) -> State:
        """No message is expected."""
        return self


CONNECTED = Connected()
