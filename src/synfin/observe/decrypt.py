"""Opening a connection's protected records with secrets from elsewhere: which keys hold when, and why they do not.

``Keys`` follows one connection.  The TLS watcher tells it what it sees (hellos, key exchange, ChangeCipherSpec,
Finished, KeyUpdate) and asks it to open each protected record; key schedules and ciphers are ``spec``'s.  Secrets
come from a key log (traffic secrets in TLS 1.3; before that the master or premaster secret), from the server's RSA key
where the premaster secret was encrypted to it, and from the connection a session was resumed from
(``SessionCache``).

An observer meets what an endpoint never does: records that were not captured, early data whose fate is decided in
messages it may not see, key logs that lack a line.  So a record that the present keys do not open is tried with the
keys that come later, then with later sequence numbers, and only then given up; ``decryption`` says why.
Sources: RFC 8446 7 and Appendix A, RFC 5246 6.3 and 8.1, RFC 7627, the NSS key log format (RFC 9850).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from synfin.errors import WireError
from synfin.observe.story_tls import Decryption, Opened
from synfin.spec import keys
from synfin.spec.protection import Aead13, Protection, Unsupported, opener_13, openers_12, prf_hash
from synfin.spec.rsa import premaster_from_rsa
from synfin.wire.tls.registry import Suite, is_tls13, suite

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from synfin.capture.keylog import KeyLog
    from synfin.wire.tls.hello import ClientHello, ServerHello

CLIENT, SERVER = 0, 1
#: After so many records in a row that do not open, a direction is given up.
GIVE_UP = 6

_HANDSHAKE_LABELS = ("CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET")
_TRAFFIC_LABELS = ("CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0")
_EARLY_LABEL = "CLIENT_EARLY_TRAFFIC_SECRET"
_ENCRYPT_THEN_MAC, _EXTENDED_MASTER_SECRET = 22, 23


class SessionCache:
    """Master secrets of earlier connections by session id and by ticket; the oldest are dropped past ``limit``."""

    __slots__ = ("_limit", "_secrets")

    def __init__(self, limit: int = 20_000) -> None:
        self._limit = limit
        self._secrets: OrderedDict[bytes, bytes] = OrderedDict()

    def put(self, name: bytes, master: bytes) -> None:
        """Remember ``master`` for the session id or ticket ``name``."""
        if name:
            self._secrets[name] = master
            if len(self._secrets) > self._limit:
                self._secrets.popitem(last=False)

    def get(self, name: bytes | None) -> bytes | None:
        """The master secret of the session id or ticket ``name``."""
        return self._secrets.get(name) if name else None


class _Direction:
    """One sender's keys: ``openers`` holds the present ones first, then those that come later."""

    __slots__ = ("failed_packet", "failures", "missing", "opened", "openers", "reason", "seen", "unopened")

    def __init__(self) -> None:
        self.openers: list[Protection] = []
        self.seen = 0
        self.opened = 0
        self.unopened = 0
        self.failures = 0  # in a row
        self.missing = False  # records were not captured since the last one opened
        self.failed_packet: int | None = None
        self.reason: tuple[Opened, str] | None = None


class Keys:
    """The secrets and openers of one connection; roles are CLIENT and SERVER."""

    def __init__(self, keylog: KeyLog | None, rsa_keys: Sequence[RSAPrivateKey], sessions: SessionCache | None) -> None:
        self._keylog = keylog
        self._rsa_keys = rsa_keys
        self._sessions = sessions
        self._sides = (_Direction(), _Direction())
        self._hello: ClientHello | None = None
        self._answer: ServerHello | None = None
        self._random = b""
        self._version = 0
        self._suite: Suite | None = None
        self._master: bytes | None = None
        self._next: tuple[Protection, Protection] | None = None  # what ChangeCipherSpec will switch to
        self._tls13 = False

    # ------------------------------------------------------------ what the watcher tells

    def client_hello(self, hello: ClientHello) -> None:
        """A ClientHello was seen; early data may follow it at once (RFC 8446 2.3)."""
        self._hello = hello
        self._random = hello.random
        self._answer = None
        self._master = self._next = None
        secret = self._secret(_EARLY_LABEL) if hello.early_data else None
        if secret is not None:
            # The suite of the PSK is not in the hello: its hash has the secret's length, so one or two are left.
            codes = (0x1302,) if len(secret) == 48 else (0x1301, 0x1303, 0x1304, 0x1305)
            self._sides[CLIENT].openers = self._openers13((code, secret) for code in codes)

    def server_hello(self, answer: ServerHello, version: int) -> None:
        """The ServerHello that counts (no HelloRetryRequest) was seen: version and suite are known."""
        self._answer = answer
        self._version = version
        self._suite = suite(answer.cipher_suite)
        self._tls13 = is_tls13(version)
        if self._tls13:
            for role in (CLIENT, SERVER):
                secrets = (self._secret(_HANDSHAKE_LABELS[role]), self._secret(_TRAFFIC_LABELS[role]))
                made = self._openers13((answer.cipher_suite, secret) for secret in secrets if secret is not None)
                early = self._sides[CLIENT].openers if role == CLIENT else []
                self._sides[role].openers = early + made
            return
        master = self._secret("CLIENT_RANDOM")
        if master is None and self._sessions is not None and self._hello is not None:
            master = self._sessions.get(self._hello.session_ticket)
            if master is None and answer.session_id == self._hello.session_id:
                master = self._sessions.get(answer.session_id)
        if master is None and self._keylog is not None and answer.session_id:
            master = self._keylog.session(answer.session_id)
        self._use(master)

    def key_exchange(self, exchange: bytes, kex: str, messages: Callable[[], bytes], spki: bytes | None) -> None:
        """ClientKeyExchange was seen: with RSA its ``exchange`` is the encrypted premaster secret.

        ``messages`` gives the handshake messages up to this one (for the extended master secret), ``spki`` the public
        key of the server's certificate.
        """
        if self._master is not None or self._answer is None or self._hello is None:
            return
        premaster = self._secret("PMS_CLIENT_RANDOM")
        if premaster is None and self._keylog is not None and kex == "RSA":
            premaster = self._keylog.rsa(exchange[:8])
        if premaster is None and self._rsa_keys:
            if kex == "RSA":
                premaster = self._decrypt_premaster(exchange, spki)
            else:
                self._fail_all(Opened.NO_SECRET, f"an RSA key does not open key exchange {kex}")
        if premaster is None or self._suite is None:
            return
        hash_name = prf_hash(self._suite)
        if self._answer.ext(_EXTENDED_MASTER_SECRET) is not None:
            session = _session_hash(self._version, hash_name, messages())
            master = keys.extended_master_secret(self._version, hash_name, premaster, session)
        else:
            random = self._answer.random
            master = keys.master_secret(self._version, hash_name, premaster, self._hello.random, random)
        self._use(master)

    def ticket(self, ticket: bytes) -> None:
        """A NewSessionTicket of TLS 1.2 or before was seen."""
        if self._master is not None and self._sessions is not None:
            self._sessions.put(ticket, self._master)

    def change_cipher_spec(self, role: int) -> None:
        """``role`` switches to the keys that were negotiated (TLS 1.2 and before).

        Before any ServerHello it is the one a TLS 1.3 client sends ahead of its early data (RFC 8446 D.4).
        """
        if self._answer is None:
            return
        side = self._sides[role]
        side.openers = [self._next[role]] if self._next is not None else []

    def finished(self, role: int) -> None:
        """A decrypted Finished of TLS 1.3: ``role``'s next record has the next keys."""
        self._advance(role)

    def end_of_early_data(self) -> None:
        """A decrypted EndOfEarlyData: the client's handshake keys follow."""
        self._advance(CLIENT)

    def key_update(self, role: int) -> None:
        """A decrypted KeyUpdate: ``role`` changes its keys (RFC 8446 7.2)."""
        openers = self._sides[role].openers
        if openers and isinstance(openers[0], Aead13):
            openers[0] = openers[0].updated()

    def gap(self, role: int) -> None:
        """Octets of ``role`` were not captured here."""
        self._sides[role].missing = True

    # ------------------------------------------------------------ opening

    def live(self, role: int) -> bool:
        """Whether trying to open a record of ``role`` makes sense."""
        side = self._sides[role]
        return bool(side.openers) and side.failures < GIVE_UP

    def opener(self, role: int) -> Protection:
        """What opened the last record of ``role`` that opened, until the next call that changes its keys."""
        return self._sides[role].openers[0]

    def unopened(self, role: int, packet: int) -> None:
        """A protected record of ``role`` was left closed."""
        side = self._sides[role]
        side.seen += 1
        self._not_opened(side, packet)

    def open(self, role: int, kind: int, version: int, fragment: bytes, packet: int) -> tuple[int, bytes] | None:
        """(content type, plaintext) of a protected record, or None where it does not open."""
        side = self._sides[role]
        side.seen += 1
        if not side.openers:
            self._not_opened(side, packet)
            return None
        try:
            found = side.openers[0].open_record(kind, version, fragment)
        except ValueError:  # BadRecord, or a fragment too short for the cipher at all
            recovered = self._recover(side, kind, version, fragment)
            if recovered is None:
                side.failures += 1
                self._not_opened(side, packet)
                return None
            found = recovered
        side.opened += 1
        side.failures = 0
        side.missing = False
        return found

    def _recover(self, side: _Direction, kind: int, version: int, fragment: bytes) -> tuple[int, bytes] | None:
        """Try keys that come later, then later sequence numbers of all of them where records are missing."""
        for later in range(1, len(side.openers)):
            try:
                found = side.openers[later].open_record(kind, version, fragment)
            except ValueError:  # BadRecord, or a fragment too short for the cipher at all
                continue
            del side.openers[:later]
            return found
        if not side.missing:
            return None
        for later, opener in enumerate(side.openers):
            if opener.try_resync(kind, version, fragment) is not None:
                del side.openers[:later]
                return opener.open_record(kind, version, fragment)
        return None

    def lost(self, role: int, packet: int) -> None:
        """A protected record of ``role`` is not whole: it cannot be opened, and counts for the sequence."""
        side = self._sides[role]
        side.seen += 1
        side.missing = True
        if side.openers:
            side.openers[0].skip(1)
        self._not_opened(side, packet)

    @staticmethod
    def _not_opened(side: _Direction, packet: int) -> None:
        side.unopened += 1
        if side.failed_packet is None:
            side.failed_packet = packet

    def decryption(self, role: int) -> Decryption:
        """How far the records of ``role`` could be opened, and why not further."""
        side = self._sides[role]
        if not side.seen:
            return Decryption(Opened.NOTHING)
        if side.opened and not side.unopened:
            return Decryption(Opened.ALL, records=side.opened)
        opened, why = self._reason(side)
        if side.opened:
            return Decryption(Opened.PART, why, side.opened, side.failed_packet)
        return Decryption(opened, why, 0, side.failed_packet)

    def _reason(self, side: _Direction) -> tuple[Opened, str]:
        if side.reason is not None:
            return side.reason
        if not side.openers:
            if self._answer is None:
                return Opened.NO_SECRET, "the ServerHello was not captured"
            if self._version >> 8 == 0x7F:
                return Opened.UNSUPPORTED, f"draft {self._version & 0xFF} of TLS 1.3 is not supported"
            if self._keylog is None or not self._keylog.labels(self._random):
                return Opened.NO_SECRET, "no secret for this connection's client random"
            return Opened.NO_SECRET, "the key log lacks a secret of this connection"
        if side.missing:
            return Opened.MISSING_BYTES, "records before this one were not captured"
        return Opened.WRONG_SECRET, "the record does not open with the secret given"

    # ------------------------------------------------------------ secrets

    def _secret(self, label: str) -> bytes | None:
        return self._keylog.get(label, self._random) if self._keylog is not None else None

    def _openers13(self, wanted: Iterable[tuple[int, bytes]]) -> list[Protection]:
        """Openers of the traffic secrets that can be used; drafts protect records in other ways."""
        if self._version >> 8 == 0x7F:
            return []
        made: list[Protection] = []
        for code, secret in wanted:
            try:
                made.append(opener_13(code, secret))
            except Unsupported as error:
                self._fail_all(Opened.UNSUPPORTED, error.name)
            except ValueError:
                self._fail_all(Opened.WRONG_SECRET, f"a traffic secret of {len(secret)} octets")
        return made

    def _use(self, master: bytes | None) -> None:
        """Make the openers of a master secret; ChangeCipherSpec brings them in."""
        if master is None or self._answer is None or self._hello is None:
            return
        self._master = master
        if self._sessions is not None:
            self._sessions.put(self._answer.session_id, master)
        try:
            self._next = openers_12(
                self._version,
                self._answer.cipher_suite,
                master,
                self._hello.random,
                self._answer.random,
                self._answer.ext(_ENCRYPT_THEN_MAC) is not None,
            )
        except Unsupported as error:
            self._fail_all(Opened.UNSUPPORTED, error.name)

    def _decrypt_premaster(self, exchange: bytes, spki: bytes | None) -> bytes | None:
        """The premaster secret (RFC 5246 7.4.7.1) by the key of the certificate, else by any key of its size."""
        right = [key for key in self._rsa_keys if spki and _spki(key) == spki]
        for key in right or [key for key in self._rsa_keys if key.key_size == 8 * len(exchange)]:
            try:
                premaster = premaster_from_rsa(key, exchange)
            except WireError:
                continue
            if premaster[0] == 3:  # its first octets are the version of the ClientHello (RFC 5246 7.4.7.1)
                return premaster
        self._fail_all(
            Opened.WRONG_SECRET if right else Opened.NO_SECRET, "no RSA key given opens the premaster secret"
        )
        return None

    def _advance(self, role: int) -> None:
        openers = self._sides[role].openers
        if self._tls13 and len(openers) > 1:
            del openers[0]

    def _fail_all(self, opened: Opened, why: str) -> None:
        for side in self._sides:
            side.reason = (opened, why)


def _spki(key: RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _session_hash(version: int, hash_name: str, messages: bytes) -> bytes:
    """The hash of the handshake so far (RFC 7627 3): MD5 and SHA-1 below TLS 1.2."""
    if version >= keys.TLS12:
        return hashlib.new(hash_name, messages).digest()
    return hashlib.md5(messages).digest() + hashlib.sha1(messages).digest()
