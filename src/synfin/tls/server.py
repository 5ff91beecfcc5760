"""The server: what it may be asked, and its first state; ``hello`` reads the ClientHello.

What comes after is in ``server13`` and ``server12``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from synfin.errors import PeerError, UsageError
from synfin.tls import both13, late13, master, server12, server13
from synfin.tls.config import TLS12, TLS13, ServerConfig
from synfin.tls.core import NO_RENEGOTIATION, Endpoint
from synfin.tls.hello import read_hello
from synfin.tls.messages import State
from synfin.wire.tls.registry import handshake_name


class Server(Endpoint):
    """A TLS server.  ``entropy(n)`` gives n octets nobody can predict."""

    __slots__ = ("_ccs_sent", "_early_left", "_post_auth", "_session_id", "_tickets", "config", "keys12", "keys13")

    ROLE = "server"

    def __init__(self, config: ServerConfig, *, now: float, entropy: Callable[[int], bytes]) -> None:
        deadline = None if config.handshake_seconds is None else now + config.handshake_seconds
        super().__init__(config.limits, entropy, deadline)
        self.config = config
        self.now = now
        self.state = WaitClientHello()
        self._new = bool(config.suites_13)
        self.keys13: both13.Keys | None = None
        self.keys12: master.Keys | None = None
        self._ccs_sent = False
        self._early_left = 0
        self._session_id = b""
        self._post_auth = False
        self._tickets = 0

    def export(self, label: str, context: bytes | None, length: int) -> bytes:
        """Keying material for other protocols (RFC 8446 7.5, RFC 5705).  UsageError before the handshake is done."""
        if self.facts is None:
            raise UsageError("exporters exist when the handshake is done")
        if self.keys13 is not None:
            return self.keys13.schedule.export(label, context or b"", length)
        return server12.export(self, label, context, length)

    def update_keys(self, request: bool = False) -> None:
        """Change our sending keys, and with ``request`` ask the client to do so (RFC 8446 4.6.3)."""
        both13.update_keys(self, request)

    def request_certificate(self) -> None:
        """Ask for the client's certificate now (RFC 8446 4.6.2).  UsageError when the client did not offer that."""
        late13.request_late(self)

    def keys_used_up(self) -> None:
        """See ``Endpoint``."""
        if self.version == TLS13:
            both13.update_keys(self, False)

    def compatible_ccs(self, session_id: bytes) -> None:
        """The ChangeCipherSpec that looks like TLS 1.2, once, to clients that look so too (RFC 8446 D.4)."""
        if self.config.middlebox_compatibility and session_id and not self._ccs_sent:
            self._ccs_sent = True
            self.send_ccs()

    def retry_cookie(self) -> bytes:
        """The cookie of a HelloRetryRequest, b"" for none; the second hello must bring it back (RFC 8446 4.2.2)."""
        return self.entropy(32) if self.config.cookie else b""

    def early_data(self, size: int) -> None:
        """See ``Endpoint``."""
        self._early_left -= size
        if self._early_left < 0:
            raise PeerError("early_data_too_long", "what the ticket allows", "more")

    def _forget(self) -> None:
        if self._session_id and self.config.session_cache is not None:
            self.config.session_cache.drop(self._session_id)

    def _may_come(self, kind: int) -> None:
        if kind == 1 and self.version == TLS12 and self.facts is not None:
            return  # a wish to renegotiate
        super()._may_come(kind)

    def _unexpected(self, kind: int) -> None:
        super()._unexpected(kind)
        if self.facts is None:
            raise PeerError("unexpected_message", "another message", handshake_name(kind))
        if self._mute:
            return
        self.alert(1, NO_RENEGOTIATION)
        self._warnings += 1
        if self._warnings > self.limits.warnings:
            raise PeerError("renegotiation_refused", "no more attempts", "another")


@dataclass(frozen=True, slots=True)
class WaitClientHello:
    """START: nothing came yet."""

    EXPECTS: ClassVar[tuple[int, ...]] = (1,)

    def on(self, end: Server, kind: int, raw: bytes) -> State:
        """The ClientHello."""
        hello = read_hello(end, raw)
        if hello.version == TLS13:
            end.version = TLS13
            return server13.client_hello(end, hello)
        end.version = TLS12
        return server12.client_hello(end, hello)
