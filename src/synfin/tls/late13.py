"""Client certificates as a TLS 1.3 server asks for them, in the handshake and after it (RFC 8446 4.3.2, 4.4, 4.6.2).

CONNECTED is here too, since a request after the handshake starts and ends there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from synfin.errors import PeerError, UsageError
from synfin.spec.protection import Aead13
from synfin.spec.transcript import Transcript
from synfin.tls import authentication as auth
from synfin.tls import checks
from synfin.tls.both13 import check_finished, key_update
from synfin.tls.config import ServerConfig
from synfin.tls.events import PeerAuthenticated
from synfin.tls.messages import State
from synfin.tls.signing import SIGNING, check_usage
from synfin.tls.verify import Presented
from synfin.wire.tls.extensions import Extension
from synfin.wire.tls.messages import (
    Certificate,
    CertificateRequest,
    CertificateVerify,
    CompressedCertificate,
    write_handshake,
)

if TYPE_CHECKING:
    from synfin.tls.server import Server


def certificate_request(config: ServerConfig, context: bytes) -> bytes:
    """A CertificateRequest (RFC 8446 4.3.2); PKCS#1 in it is for the signatures of certificates (4.2.3)."""
    extensions = [Extension(checks.SCHEMES, checks.u16_list(config.schemes))]
    if config.client_authorities:
        names = b"".join([len(name).to_bytes(2, "big") + name for name in config.client_authorities])
        extensions.append(Extension(checks.AUTHORITIES, len(names).to_bytes(2, "big") + names))
    if config.certificate_compression:
        extensions.append(Extension(checks.COMPRESS, checks.u16_list(config.certificate_compression, 1)))
    return write_handshake(CertificateRequest(context=context, extensions=tuple(extensions)))


#: What our CertificateRequests may hold: none of it has a place in a Certificate (RFC 8446 4.2).
_ASKED = frozenset({checks.SCHEMES, checks.AUTHORITIES, checks.COMPRESS})


def read_certificate(end: Server, raw: bytes, context: bytes) -> auth.PeerChain:
    """Check a client's Certificate message and judge the chain."""
    config = end.config
    parsed: Certificate | CompressedCertificate = end.parse(raw)
    if isinstance(parsed, CompressedCertificate):
        if not config.certificate_compression:
            raise PeerError("unexpected_message", "certificate", "compressed_certificate")
        parsed = auth.decompressed(parsed, config.certificate_compression, end.limits.certificate_message)
    found = auth.read_chain(parsed, context, _ASKED)
    if found.chain and config.verify is not None:
        config.verify(Presented(found.chain, None, "client", end.now, found.stapled))
        check_usage(found.chain[0], SIGNING)
    return found


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
    raw = certificate_request(end.config, context)
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
        end._between = True
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
        end._between = False
        end.emit(PeerAuthenticated(self.chain, self.scheme))
        return CONNECTED
