"""The client: from its configuration to the ServerHello that decides the version (RFC 8446 4.1, RFC 5246 7.4.1.3).

What comes after is in ``client13`` and ``client12``.  A client without a server name cannot verify one: ``verify``
then decides what that means (the default verifier refuses).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

from cryptography.hazmat.primitives.asymmetric import padding, rsa

from synfin.errors import PeerError, UsageError
from synfin.spec.protection import opener_13
from synfin.tls import both13, checks, client12, client13, master, offer
from synfin.tls.config import TLS12, TLS13, ClientConfig
from synfin.tls.core import NO_RENEGOTIATION, Endpoint
from synfin.tls.messages import State
from synfin.tls.offer import Offer
from synfin.tls.records import APPLICATION_DATA
from synfin.tls.schedule import early_exporter, early_traffic, suite_hash
from synfin.tls.session import Session
from synfin.wire.tls.messages import HRR_RANDOM, ServerHello

SENTINELS = (b"DOWNGRD\1", b"DOWNGRD\0")
#: What a ServerHello has that takes our pre-shared key, and with it, maybe, early data.
_TAKES_KEY = frozenset({checks.VERSIONS, checks.PSK})


class Client(Endpoint):
    """A TLS client.  Its ClientHello waits in ``take_output`` when it is made.

    ``entropy(n)`` gives n octets nobody can predict; ``session`` comes from a ``Ticket`` event of a connection before.
    Raises UsageError when the configuration leaves nothing to offer.
    """

    __slots__ = ("_ccs_sent", "_contexts", "_early_left", "_tickets", "config", "keys12", "keys13", "server_name")

    ROLE = "client"

    def __init__(
        self,
        config: ClientConfig,
        server_name: str | None,
        *,
        now: float,
        entropy: Callable[[int], bytes],
        session: Session | None = None,
    ) -> None:
        deadline = None if config.handshake_seconds is None else now + config.handshake_seconds
        super().__init__(config.limits, entropy, deadline)
        self.config = config
        self.server_name = server_name.rstrip(".").lower() if server_name else None
        self.now = now
        self._record_version = 0x0301
        self._ccs_sent = False
        self._new = self._ccs_allowed = bool(config.suites_13)
        self._early_left = 0
        self._tickets = 0
        self.keys13: both13.Keys | None = None
        self.keys12: master.Keys | None = None
        self._contexts: set[bytes] = set()
        if config.record_size_limit is not None:
            self._limit_in = config.record_size_limit
            self._limit_agreed = False  # whether the server knows of limits at all
        self._start(session)

    # ------------------------------------------------------------ the first flight

    def _start(self, session: Session | None) -> None:
        config = self.config
        suites = offer.usable(config, self.server_name)
        new = bool(config.suites_13)
        psk = old = None
        fits = session is not None and (session.external or session.server_name == self.server_name)
        if session is not None and fits and session.fresh(self.now) and len(session.ticket) <= offer.LONGEST_TICKET:
            if session.version == TLS13 and suite_hash(session.suite) in {
                suite_hash(code) for code in config.suites_13
            }:
                psk = session
            elif session.version == TLS12 and session.suite in config.suites_12:
                old = session
        private, public = offer.key_shares(config.share_groups, self.entropy)
        session_id = self.entropy(32) if new and config.middlebox_compatibility else b""
        if old is not None:
            session_id = old.session_id or session_id or self.entropy(32)
        early = bool(psk and config.early_data and psk.max_early_data and psk.suite in config.suites_13)
        if psk is not None and psk.alpn is not None and psk.alpn not in config.alpn:
            early = False  # its protocol would be another
        first = Offer(
            self.entropy(32),
            session_id,
            suites,
            config.groups_offered,
            private,
            public,
            self.entropy(5) if config.grease else b"",
            self.server_name,
            psk,
            old,
            early,
        )
        made = offer.make(config, first, None, self.now)
        self.state = WaitServerHello(made)
        self.say_raw(made.raw)
        self.flush()
        self._record_version = 0x0303
        if early and psk is not None:
            self._start_early(made, psk)

    def _start_early(self, made: Offer, psk: Session) -> None:
        name = suite_hash(psk.suite)
        digest = both13.hash_of(name, self.transcript.messages())
        secret = early_traffic(name, psk.secret, digest)
        self.early_exporter = (name, early_exporter(name, psk.secret, digest))
        self.log("CLIENT_EARLY_TRAFFIC_SECRET", made.random, secret, self.config.key_log)
        self.compatible_ccs()
        self._early_left = psk.max_early_data
        self._limit_out = psk.record_limit
        self.write_keys(opener_13(psk.suite, secret))

    @property
    def early_room(self) -> int:
        """Octets of early data that ``send_early`` still takes."""
        return self._early_left

    def send_early(self, data: bytes) -> None:
        """0-RTT data: it can be replayed by anyone who saw it (RFC 8446 8).  UsageError beyond ``early_room``."""
        if len(data) > self._early_left:
            raise UsageError(f"{self._early_left} octets of early data may be sent now")
        if self._sealer is not None and self._sealer.sequence >= self.limits.records_per_key:
            raise UsageError("the keys of early data have protected as many records as they may (RFC 8446 5.5)")
        self._early_left -= len(data)
        if data:
            self.seal(APPLICATION_DATA, data)

    def agree_limit(self, answered: bool) -> None:
        """The server answered record_size_limit, or does not know it: then ours binds it to nothing (RFC 8449 4)."""
        if not answered:
            self._limit_in = self._limit_out = 1 << 14
        elif self._limit_passed:
            raise PeerError("record_size_limit_exceeded", f"at most {self._limit_in} octets", str(self._limit_passed))
        elif self.version == TLS12 and self.config.suites_13:  # what we told counts TLS 1.3's content type
            self._limit_in = min(self._limit_in + 1, 1 << 14)
        self._limit_agreed = True

    def compatible_ccs(self) -> None:
        """The ChangeCipherSpec that looks like TLS 1.2, once (RFC 8446 D.4)."""
        if self.config.middlebox_compatibility and not self._ccs_sent:
            self._ccs_sent = True
            self.send_ccs()

    def seal_premaster(self, public: rsa.RSAPublicKey, premaster: bytes) -> bytes:
        """RSAES-PKCS1-v1_5 of the PreMasterSecret; its padding takes chance from OpenSSL."""
        return public.encrypt(premaster, padding.PKCS1v15())

    # ------------------------------------------------------------ after the handshake

    def export(self, label: str, context: bytes | None, length: int) -> bytes:
        """Keying material for other protocols (RFC 8446 7.5, RFC 5705).  UsageError before the handshake is done."""
        if self.facts is None:
            raise UsageError("exporters exist when the handshake is done")
        if self.keys13 is not None:
            return self.keys13.schedule.export(label, context or b"", length)
        return client12.export(self, label, context, length)

    def update_keys(self, request: bool = False) -> None:
        """Change our sending keys, and with ``request`` ask the server to do so (RFC 8446 4.6.3)."""
        both13.update_keys(self, request)

    def keys_used_up(self) -> None:
        """See ``Endpoint``."""
        if self.version == TLS13:
            both13.update_keys(self, False)

    def _may_come(self, kind: int) -> None:
        if kind == 0 and (self.version == TLS12 or not self.config.suites_13):  # HelloRequest (RFC 5246 7.4.1.1)
            return
        super()._may_come(kind)

    def _unexpected(self, kind: int) -> None:
        super()._unexpected(kind)
        if self.facts is not None and not self._mute:
            self.alert(1, NO_RENEGOTIATION)
            self._warnings += 1
            if self._warnings > self.limits.warnings:
                raise PeerError("renegotiation_refused", "no more requests", "another")


@dataclass(frozen=True, slots=True)
class WaitServerHello:
    """The hello is out.  ``retry`` is the HelloRetryRequest that made it the second one."""

    offer: Offer
    retry: ServerHello | None = None

    EXPECTS: ClassVar[tuple[int, ...]] = (2,)

    def on(self, end: Client, kind: int, raw: bytes) -> State:
        """ServerHello or HelloRetryRequest."""
        made = self.offer
        if made.early and raw[6:38] == HRR_RANDOM:
            end.write_keys(None)  # refused: whatever comes under these keys is thrown away (RFC 8446 4.2.10)
        hello: ServerHello = end.parse(raw)
        if made.early and not _TAKES_KEY.issubset(dict(hello.extensions or ())):
            end.write_keys(None)
        if len(hello.session_id) > 32:
            raise PeerError("decode_error", "a session id of at most 32 octets", str(len(hello.session_id)))
        version = selected(end.config, hello, self.retry is not None)
        if hello.compression_method:
            raise PeerError("compression_chosen", "0", str(hello.compression_method))
        if hello.cipher_suite not in made.suites:
            raise PeerError("cipher_not_offered", "one that was offered", f"0x{hello.cipher_suite:04x}")
        if (hello.cipher_suite >> 8 == 0x13) != (version == TLS13):
            raise PeerError("cipher_of_other_version", f"one of 0x{version:04x}", f"0x{hello.cipher_suite:04x}")
        if version == TLS13:
            if hello.session_id != made.session_id:
                raise PeerError("session_id_not_echoed", made.session_id.hex(), hello.session_id.hex())
            if hello.is_hello_retry_request:
                if self.retry is not None:
                    raise PeerError("second_retry", "a ServerHello", "another HelloRetryRequest")
                return self._again(end, hello, raw)
            end.version = TLS13
            return client13.server_hello(end, made, hello, raw, self.retry)
        if end.config.suites_13 and hello.random[24:] in SENTINELS:
            raise PeerError("downgrade", "no sentinel", hello.random[24:31].decode())
        if made.early:  # RFC 8446 D.3
            raise PeerError("no_common_version", "TLS 1.3, which early data is for", "TLS 1.2")
        if end._ccs_early:
            raise PeerError("bad_change_cipher_spec", "a ServerHello first", "one before it")
        end.version = TLS12
        end._ccs_allowed = False
        return client12.server_hello(end, made, hello, raw)

    def _again(self, end: Client, hello: ServerHello, raw: bytes) -> State:
        """Answer a HelloRetryRequest (RFC 8446 4.1.4)."""
        made, config = self.offer, end.config
        found = checks.answers(
            hello.extensions, made.extensions | {checks.COOKIE}, checks.PLACES_13["hello_retry_request"]
        )
        cookie = b""
        if checks.COOKIE in found:
            checks.decode(checks.COOKIE, found[checks.COOKIE], "hello_retry_request")
            cookie = found[checks.COOKIE][2:]
            if len(made.raw) + len(cookie) > offer.LONGEST_HELLO:
                raise PeerError("illegal_parameter", "a cookie that a hello has room for", f"{len(cookie)} octets")
        private, public, single = dict(made.shares), made.public, False
        if checks.SHARE in found:
            checks.decode(checks.SHARE, found[checks.SHARE], "hello_retry_request")
            group = hello.key_share_group or 0
            if group not in made.groups:
                raise PeerError("group_not_offered", "one that was offered", f"0x{group:04x}")
            if group in private:
                raise PeerError("useless_retry", "a group without a share", f"0x{group:04x}")
            private, public = offer.key_shares((group,), end.entropy)
            single = True
        elif not cookie:
            raise PeerError("useless_retry", "a group or a cookie", "neither")
        name = suite_hash(hello.cipher_suite)
        end.transcript.choose(name)
        end.transcript.retry()
        end.transcript.add(raw)
        psk = made.session if made.session and suite_hash(made.session.suite) == name else None
        again = replace(made, shares=private, public=public, single=single, cookie=cookie, session=psk, early=False)
        again = offer.make(config, again, end.transcript, end.now)
        end._early_left = 0
        end.write_keys(None)
        end.compatible_ccs()
        end.say_raw(again.raw)
        end.flush()
        return WaitServerHello(again, hello)


def selected(config: ClientConfig, hello: ServerHello, retried: bool) -> int:
    """The version a ServerHello chose (RFC 8446 4.1.4, 4.2.1).  PeerError when it is not ours, or not said right."""
    legacy = hello.legacy_version
    found = [body for number, body in hello.extensions or () if number == checks.VERSIONS]
    if legacy <= 0x0300:
        raise PeerError("no_common_version", "TLS 1.2 or 1.3", f"0x{legacy:04x}")
    if found:
        if not config.suites_13:
            raise PeerError("unsupported_extension", "what was asked", "supported_versions")
        if len(found) > 1:
            raise PeerError("duplicate_extension", "each once", "supported_versions")
        if len(found[0]) != 2:
            raise PeerError("decode_error", "a version", found[0].hex())
        if found[0] != b"\3\4":
            raise PeerError("version_not_offered", "0x0304", f"0x{found[0].hex()}")
        if legacy != TLS12:
            raise PeerError("bad_legacy_version", "0x0303", f"0x{legacy:04x}")
        return TLS13
    if hello.is_hello_retry_request and config.suites_13:
        raise PeerError("missing_extension", "supported_versions", "a HelloRetryRequest without")
    if retried:
        raise PeerError("version_not_offered", "TLS 1.3, as its HelloRetryRequest said", f"0x{legacy:04x}")
    if legacy != TLS12 or not config.suites_12:
        raise PeerError("no_common_version", "a version of ours", f"0x{legacy:04x}")
    return TLS12
