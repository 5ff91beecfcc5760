"""What both roles of TLS 1.2 share: the master secret, record keys, Certificate, Finished (RFC 5246 6.3, 7.4, 8.1).

Renegotiation is refused on both sides, so a connection has one handshake and one pair of keys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hmac import compare_digest

from synfin.errors import PeerError, UsageError
from synfin.spec import keys
from synfin.spec.protection import Protection, openers_12, sealers_12
from synfin.spec.transcript import Transcript
from synfin.tls import groups
from synfin.tls.config import TLS12
from synfin.tls.core import Endpoint
from synfin.tls.schedule import suite_facts, suite_hash
from synfin.wire.frozen import quick

#: Key exchange -> the kinds of key its certificate may have; () for any.
AUTHENTICATION: dict[str, tuple[str, ...]] = {
    "ECDHE_ECDSA": ("ec", "ed25519", "ed448"),
    "ECDHE_RSA": ("rsa", "rsa-pss"),
    "DHE_RSA": ("rsa", "rsa-pss"),
    "RSA": ("rsa",),
}

#: The curve of a certificate's key -> the group that must be listed for it (RFC 5246 7.4.2, RFC 8422 5.3).
CURVES = {"secp256r1": groups.SECP256R1, "secp384r1": groups.SECP384R1, "secp521r1": groups.SECP521R1}

#: ClientCertificateType (RFC 5246 7.4.4, RFC 8422 5.5) -> kinds of key.
CERTIFICATE_TYPES: dict[int, tuple[str, ...]] = {1: ("rsa", "rsa-pss"), 64: ("ec", "ed25519", "ed448")}


@quick
@dataclass(frozen=True, slots=True)
class Keys:
    """What stays of a TLS 1.2 handshake."""

    suite: int
    master: bytes = field(repr=False)
    client_random: bytes
    server_random: bytes
    encrypt_then_mac: bool
    extended: bool

    @property
    def hash(self) -> str:
        """The PRF's hash."""
        return suite_hash(self.suite)

    def protections(self, end: Endpoint) -> tuple[Protection, Protection]:
        """(what seals, what opens) for ``end``; made once."""
        if end.pair12 is None:
            end.pair12 = self._protections(end.ROLE, end.entropy)
        return end.pair12

    def _protections(self, role: str, entropy: Callable[[int], bytes]) -> tuple[Protection, Protection]:
        arguments = (TLS12, self.suite, self.master, self.client_random, self.server_random, self.encrypt_then_mac)
        client, server = openers_12(*arguments)
        if suite_facts(self.suite).mode == "aead":  # one object does both ways
            return (client, server) if role == "client" else (server, client)
        sealers = sealers_12(*arguments, entropy=entropy)
        return (sealers[0], server) if role == "client" else (sealers[1], client)

    def verify_data(self, sender: str, transcript: Transcript) -> bytes:
        """verify_data of ``sender``'s Finished."""
        return keys.verify_data_12(TLS12, self.hash, self.master, sender, transcript)

    def export(self, label: str, context: bytes | None, length: int) -> bytes:
        """Keying material (RFC 5705).  UsageError where the master secret is not extended (RFC 7627 5.4)."""
        if not self.extended:
            raise UsageError("no exporter without extended_master_secret: another connection may have the same secret")
        return keys.exporter_12(self.hash, self.master, label, self.client_random, self.server_random, context, length)


def derive(
    suite: int, premaster: bytes, client_random: bytes, server_random: bytes, session_hash: bytes, etm: bool
) -> Keys:
    """The keys of a full handshake; ``session_hash`` is b"" without the extended master secret (RFC 7627 4)."""
    name = suite_hash(suite)
    if session_hash:
        master = keys.extended_master_secret(TLS12, name, premaster, session_hash)
    else:
        master = keys.master_secret(TLS12, name, premaster, client_random, server_random)
    return Keys(suite, master, client_random, server_random, etm, bool(session_hash))


def say_finished(end: Endpoint, keys: Keys) -> None:
    """ChangeCipherSpec and Finished, under the new keys."""
    end.flush()
    end.send_ccs()
    end.write_keys(keys.protections(end)[0])
    end.say_raw(message(20, keys.verify_data(end.ROLE, end.transcript)))


def certificate(chain: tuple[bytes, ...]) -> bytes:
    """A Certificate message, with nothing in it for an empty ``chain``."""
    body = b"".join([len(der).to_bytes(3, "big") + der for der in chain])
    return message(11, len(body).to_bytes(3, "big") + body)


def check_finished(raw: bytes, expected: bytes) -> None:
    """PeerError decode_error for a wrong length, wrong_finished for wrong octets."""
    if len(raw) != 4 + len(expected):
        raise PeerError("decode_error", f"{len(expected)} octets", str(len(raw) - 4))
    if not compare_digest(raw[4:], expected):
        raise PeerError("wrong_finished", "the transcript's verify_data", "another")


def extension_block(extensions: list[tuple[int, bytes]]) -> bytes:
    """Extensions behind their length."""
    block = b"".join([n.to_bytes(2, "big") + len(x).to_bytes(2, "big") + x for n, x in extensions])
    return len(block).to_bytes(2, "big") + block


def message(kind: int, body: bytes) -> bytes:
    """A handshake message."""
    return bytes([kind]) + len(body).to_bytes(3, "big") + body
