"""The TLS 1.2 server after version choice: one frozen dataclass per state (RFC 5246 7.3, RFC 5077 3.1, RFC 8422 2).

Suites are tried in our order; each needs a certificate whose key fits, a scheme and a group the client listed.  Static
RSA, where it was asked for, never tells whether a premaster secret was well formed (RFC 5246 7.4.7.1): the decryption
rejects implicitly, and a wrong version or length is replaced by chance.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from cryptography.hazmat.primitives.asymmetric import padding

from synfin.errors import PeerError, UsageError
from synfin.spec.transcript import Transcript
from synfin.tls import checks, groups, signing
from synfin.tls.config import TLS12, Credential
from synfin.tls.core import State
from synfin.tls.events import Facts, HandshakeDone
from synfin.tls.hello import limit_records
from synfin.tls.master import (
    AUTHENTICATION,
    Keys,
    check_finished,
    derive,
    extension_block,
    finished,
    message,
)
from synfin.tls.schedule import suite_facts, suite_hash
from synfin.tls.session import TicketState, parse_state
from synfin.tls.verify import Presented
from synfin.wire.tls.messages import Certificate, CertificateVerify, ClientKeyExchange
from synfin.wire.tls.suites import Suite

if TYPE_CHECKING:
    from synfin.tls.hello import Hello
    from synfin.tls.server import Server

RENEGOTIATION_SCSV = 0x00FF
SENTINEL = b"DOWNGRD\1"
_FFDHE = range(0x0100, 0x0200)  # finite-field groups, known or not (RFC 7919 4)
_CURVES = {"secp256r1": groups.SECP256R1, "secp384r1": groups.SECP384R1, "secp521r1": groups.SECP521R1}


@dataclass(frozen=True, slots=True)
class Chosen:
    """A suite with what it needs: credential, signature scheme and group, 0 where it has none."""

    suite: Suite
    credential: Credential
    scheme: int
    group: int


@dataclass(frozen=True, slots=True)
class Progress:
    """What the handshake has brought so far."""

    client_random: bytes
    server_random: bytes
    session_id: bytes
    kex: str
    facts: Facts
    ticket: bool
    offered_version: int = TLS12  # the client's own: it stands in the PreMasterSecret too
    private: Any = field(default=None, repr=False)


def export(end: Server, label: str, context: bytes | None, length: int) -> bytes:
    """Keying material (RFC 5705)."""
    if end.keys12 is None:
        raise UsageError("exporters exist when the handshake is done")
    return end.keys12.export(label, context, length)


def client_hello(end: Server, hello: Hello) -> State:
    """A ClientHello that gets TLS 1.2 (RFC 5246 7.4.1.2)."""
    config, found = end.config, hello.bodies
    if checks.POINT_FORMATS in found and 0 not in hello.codes(checks.POINT_FORMATS):
        raise PeerError("illegal_parameter", "uncompressed points", found[checks.POINT_FORMATS].hex())
    if found.get(checks.RENEGOTIATION, b"\0") != b"\0":
        raise PeerError("bad_renegotiation_info", "an empty one", found[checks.RENEGOTIATION].hex())
    limit_records(end, hello)
    random = end.entropy(32)
    if config.suites_13:
        random = random[:24] + SENTINEL
    state = _known(end, hello)
    if state is not None:
        return _resume(end, hello, state, random)
    chosen = _choose(end, hello)
    suite, credential = chosen.suite, chosen.credential
    transcript = Transcript(keep=True)
    transcript.add(hello.raw)
    transcript.choose(suite_hash(suite.code))
    end.transcript = transcript
    session_id = end.entropy(32) if config.session_cache is not None else b""
    ticket = checks.TICKET in found and config.ticket_keys is not None
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
    extensions = _answers(end, hello, etm, ticket)
    if hello.server_name:  # not in an abbreviated handshake (RFC 6066 3)
        extensions.append((checks.SERVER_NAME, b""))
    if staple:
        extensions.append((checks.STATUS_REQUEST, b""))
    if credential.scts is not None and checks.SCT in found:
        extensions.append((checks.SCT, credential.scts))
    if suite.kex.startswith("ECDHE") and checks.POINT_FORMATS in found:
        extensions.append((checks.POINT_FORMATS, b"\1\0"))
    end.say_raw(_server_hello(random, session_id, suite.code, extensions))
    end.say_raw(_certificate(credential.chain))
    if staple and credential.ocsp is not None:
        end.say_raw(message(22, b"\1" + len(credential.ocsp).to_bytes(3, "big") + credential.ocsp))
    private = _key_exchange(end, hello, chosen, random)
    if config.client_auth is not None:
        end.say_raw(_request(end))
    end.say_raw(b"\x0e\0\0\0")
    offered = hello.message.legacy_version
    progress = Progress(hello.message.random, random, session_id, suite.kex, facts, ticket, offered, private)
    return WaitCertificate(progress) if config.client_auth else WaitKeyExchange(progress)


# ---------------------------------------------------------------- choices


def _choose(end: Server, hello: Hello) -> Chosen:
    """The first of our suites for which everything is there."""
    offered = hello.message.cipher_suites
    schemes = hello.codes(checks.SCHEMES)
    listed = hello.codes(checks.GROUPS) if checks.GROUPS in hello.bodies else None
    candidates = end.candidates(hello.server_name)
    shared = [code for code in end.config.suites_12 if code in offered]
    missing, finite = "no_common_cipher", False
    for code in shared:
        suite = suite_facts(code)
        group = _group(end, suite.kex, listed)
        if group is None:
            missing = "no_common_group"
            finite = finite or (suite.kex.startswith("DHE") and any(code in _FFDHE for code in listed or ()))
            continue
        for credential in candidates:
            key = credential.kind
            if key.kind not in AUTHENTICATION[suite.kex]:
                continue
            if suite.kex == "RSA":
                return Chosen(suite, credential, 0, 0)
            if key.curve and listed is not None and _CURVES.get(key.curve) not in listed:
                continue
            scheme = signing.choose(key, schemes, TLS12, end.config.schemes)
            if scheme is not None:
                return Chosen(suite, credential, scheme, group)
            missing = "no_common_signature"
    if finite:
        missing = "no_common_ffdhe_group"
    raise PeerError(missing, "what one of our suites needs", "nothing of it")


def _group(end: Server, kex: str, listed: tuple[int, ...] | None) -> int | None:
    """A group for the key exchange, 0 where it needs none (RFC 8422 4, RFC 7919 4)."""
    if kex == "RSA":
        return 0
    ours = end.config.groups
    if kex.startswith("ECDHE"):
        if listed is None:
            return groups.SECP256R1 if groups.SECP256R1 in ours else None
        return next((g for g in ours if g in groups.ELLIPTIC and g in listed), None)
    fields = [g for g in ours if g in groups.FINITE]
    if listed is None or not any(g in _FFDHE for g in listed):
        return fields[0] if fields else None
    return next((g for g in fields if g in listed), None)


def _answers(end: Server, hello: Hello, etm: bool, ticket: bool) -> list[tuple[int, bytes]]:
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


def _server_hello(random: bytes, session_id: bytes, suite: int, extensions: list[tuple[int, bytes]]) -> bytes:
    block = extension_block(extensions) if extensions else b""
    return message(
        2, b"".join([b"\3\3", random, bytes([len(session_id)]), session_id, suite.to_bytes(2, "big"), b"\0", block])
    )


def _certificate(chain: tuple[bytes, ...]) -> bytes:
    body = b"".join([len(der).to_bytes(3, "big") + der for der in chain])
    return message(11, len(body).to_bytes(3, "big") + body)


def _key_exchange(end: Server, hello: Hello, chosen: Chosen, random: bytes) -> Any:
    """ServerKeyExchange; our private key, which for static RSA is the certificate's."""
    if chosen.suite.kex == "RSA":
        return chosen.credential.key
    private, public = groups.generate(chosen.group, end.entropy)
    if chosen.suite.kex.startswith("ECDHE"):
        parameters = b"\3" + chosen.group.to_bytes(2, "big") + bytes([len(public)]) + public
    else:
        prime = groups.prime_octets(chosen.group)
        parameters = b"".join([len(x).to_bytes(2, "big") + x for x in (prime, b"\2", public)])
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


def _known(end: Server, hello: Hello) -> TicketState | None:
    """The session this hello may resume (RFC 5077 3.1, RFC 5246 7.3, RFC 7627 5.3)."""
    config, found = end.config, hello.bodies
    state: TicketState | None = None
    if found.get(checks.TICKET) and config.ticket_keys is not None:
        state = parse_state(config.ticket_keys.open(found[checks.TICKET], end.now))
    elif hello.message.session_id and config.session_cache is not None:
        state = config.session_cache.get(hello.message.session_id)
    if state is None or state.version != TLS12:
        return None
    age = end.now - state.issued / 1000
    if not -60 <= age <= config.ticket_lifetime or state.server_name != hello.server_name:
        return None
    if state.suite not in hello.message.cipher_suites or state.suite not in config.suites_12:
        return None
    if config.client_auth and not state.peer_chain:
        return None
    if state.extended_master_secret and checks.EMS not in found:
        raise PeerError("master_secret_not_extended", "extended_master_secret, as in the session", "none")
    return state if state.extended_master_secret == (checks.EMS in found) else None


def _resume(end: Server, hello: Hello, state: TicketState, random: bytes) -> State:
    """The abbreviated handshake."""
    suite = suite_facts(state.suite)
    etm = checks.ETM in hello.bodies and suite.mode == "cbc"
    transcript = end.transcript
    transcript.add(hello.raw)
    transcript.choose(suite_hash(state.suite))
    session_id = hello.message.session_id
    ticket = checks.TICKET in hello.bodies and end.config.ticket_keys is not None
    end.say_raw(_server_hello(random, session_id, state.suite, _answers(end, hello, etm, ticket)))
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
    progress = Progress(hello.message.random, random, session_id, suite.kex, facts, ticket)
    if ticket:
        _send_ticket(end, progress, keys)
    _send_finished(end, keys)
    return _await_finished(end, progress, keys)


def _state(end: Server, facts: Facts, keys: Keys) -> TicketState:
    return TicketState(
        TLS12,
        facts.suite,
        keys.master,
        int(end.now * 1000),
        alpn=facts.alpn or b"",
        server_name=facts.server_name or "",
        extended_master_secret=keys.extended,
        peer_chain=facts.peer_chain,
    )


def _send_ticket(end: Server, progress: Progress, keys: Keys) -> None:
    """NewSessionTicket; an empty one where none can be made (RFC 5077 3.3)."""
    sealer = end.config.ticket_keys
    if sealer is None:
        return
    ticket = sealer.seal(_state(end, progress.facts, keys).write(), end.now, end.entropy(12))
    if ticket is None or len(ticket) > 0xFFFF:
        ticket = b""
    end.say_raw(message(4, end.config.ticket_lifetime.to_bytes(4, "big") + len(ticket).to_bytes(2, "big") + ticket))


def _send_finished(end: Server, keys: Keys) -> None:
    end.flush()
    end.send_ccs()
    end.write_keys(keys.protections(end)[0])
    end.say_raw(finished(keys.verify_data("server", end.transcript)))


# ---------------------------------------------------------------- the client's flight


@dataclass(frozen=True, slots=True)
class WaitCertificate:
    """The client's Certificate is next."""

    progress: Progress

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
            return WaitKeyExchange(self.progress)
        if end.config.verify is not None:
            end.config.verify(Presented(chain, None, "client", end.now))
        return WaitKeyExchange(replace(self.progress, facts=replace(self.progress.facts, peer_chain=chain)))


@dataclass(frozen=True, slots=True)
class WaitKeyExchange:
    """ClientKeyExchange is next."""

    progress: Progress

    EXPECTS: ClassVar[tuple[int, ...]] = (16,)

    def on(self, end: Server, kind: int, raw: bytes) -> State:
        """ClientKeyExchange (RFC 5246 7.4.7, RFC 8422 5.7)."""
        progress = self.progress
        parsed: ClientKeyExchange = end.parse(raw, progress.kex)
        if progress.kex == "RSA" and parsed.prefix:
            premaster = _rsa_premaster(end, progress, parsed.exchange)
        elif not parsed.exchange:
            raise PeerError("decode_error", "a public value", "none")
        else:
            group = progress.facts.group or 0
            share = parsed.exchange
            if group in groups.FINITE:
                size = len(groups.prime_octets(group))
                share = share.lstrip(b"\0").rjust(size, b"\0")
                premaster = groups.agree(group, progress.private, share).lstrip(b"\0")
            else:
                premaster = groups.agree(group, progress.private, share)
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
        progress = replace(progress, private=None)
        if facts.peer_chain:
            return WaitVerify(progress, keys)
        end.transcript.forget()
        return _await_finished(end, progress, keys)


def _rsa_premaster(end: Server, progress: Progress, sealed: bytes) -> bytes:
    version = progress.offered_version.to_bytes(2, "big")
    chance: bytes = version + end.entropy(46)
    try:
        opened: bytes = progress.private.decrypt(sealed, padding.PKCS1v15())
    except ValueError:
        return chance
    return opened if len(opened) == 48 and opened[:2] == version else chance


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
        facts = replace(facts, signature=parsed.scheme)
        return _await_finished(end, replace(self.progress, facts=facts), self.keys)


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
            _send_finished(end, keys)
            cache = end.config.session_cache
            if cache is not None and progress.session_id:
                cache.put(progress.session_id, _state(end, facts, keys))
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
