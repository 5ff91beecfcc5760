"""What is kept to resume a session: the client's side of a ticket, and the server's sealed tickets and session cache.

A ``Session`` is handed from one connection to the next by whoever drives them; the engine keeps none.  A server keeps
no state per ticket: ``TicketKeys`` seals the state into the ticket with AES-256-GCM.  Its keys form a ratchet: each
period's key is derived from the one before, which is forgotten once the tickets it sealed are too old, so that a
stolen key opens no older tickets (RFC 5077 5.5, RFC 8446 8.1 and appendix C.4).  ``SessionCache`` holds TLS 1.2
sessions by session id, bounded (RFC 5246 F.1.4).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from struct import Struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from synfin.errors import WireError
from synfin.spec.keys import hkdf_expand
from synfin.wire.codec import Reader
from synfin.wire.frozen import quick

_NUMBERS = Struct(">HHQQIIBB")

#: Longest life of a ticket in seconds (RFC 8446 4.6.1).
WEEK = 604_800


@quick
@dataclass(frozen=True, slots=True)
class Session:
    """A session the client may resume.

    The server's certificate is not judged again: a session made under another ``verify`` must not be handed over.
    ``secret`` is the PSK (TLS 1.3) or the master secret; ``issued`` seconds since 1970, ``lifetime`` seconds.
    """

    version: int
    suite: int
    secret: bytes = field(repr=False)
    ticket: bytes = field(repr=False)
    issued: float
    lifetime: int
    server_name: str | None = None
    alpn: bytes | None = None
    age_add: int = 0
    max_early_data: int = 0
    session_id: bytes = b""
    extended_master_secret: bool = True
    peer_chain: tuple[bytes, ...] = field(default=(), repr=False)
    external: bool = False
    record_limit: int = 1 << 14  # octets that the server takes in a record, early data's too

    @classmethod
    def from_key(cls, identity: bytes, key: bytes, suite: int = 0x1301) -> Session:
        """A key that both ends were given beforehand, for TLS 1.3 and servers of any name (RFC 8446 2.2, 4.2.11)."""
        return cls(0x0304, suite, key, identity, 0.0, 0, external=True)

    def fresh(self, now: float) -> bool:
        """Whether it may still be offered."""
        if self.external:
            return True
        return self.issued - 60 <= now < self.issued + min(self.lifetime, WEEK)


@quick
@dataclass(frozen=True, slots=True)
class TicketState:
    """What a server needs to resume; it travels inside the sealed ticket.

    ``issued`` in ms since 1970; so is ``began``, when somebody last signed, where it was not the same handshake.
    """

    version: int
    suite: int
    secret: bytes
    issued: int
    age_add: int = 0
    alpn: bytes = b""
    server_name: str = ""
    max_early_data: int = 0
    extended_master_secret: bool = True
    peer_chain: tuple[bytes, ...] = ()
    fragment: int = 0  # TLS 1.2: max_fragment_length belongs to the session (RFC 6066 4); 0 for none
    began: int = 0

    def write(self) -> bytes:
        """The octets inside a ticket."""
        numbers = _NUMBERS.pack(
            self.version,
            self.suite,
            self.issued,
            self.began,
            self.age_add,
            self.max_early_data,
            self.extended_master_secret,
            self.fragment,
        )
        name, chain = self.server_name.encode(), b"".join([len(d).to_bytes(3, "big") + d for d in self.peer_chain])
        sizes = bytes([len(self.secret)]), bytes([len(self.alpn)]), len(name).to_bytes(2, "big")
        tail = len(chain).to_bytes(3, "big") + chain
        return b"".join((numbers, sizes[0], self.secret, sizes[1], self.alpn, sizes[2], name, tail))

    @classmethod
    def read(cls, data: bytes) -> TicketState:
        """What ``write`` wrote; WireError for anything else."""
        reader = Reader(data, "ticket")
        version, suite, issued, began, age_add, early, extended, fragment = _NUMBERS.unpack(
            reader.take(_NUMBERS.size, "numbers")
        )
        secret, alpn = reader.vec(1, "secret"), reader.vec(1, "alpn")
        name = reader.vec(2, "server_name").decode(errors="replace")
        inner = reader.sub(3, "chain")
        chain = []
        while inner.left:
            chain.append(inner.vec(3, "certificate"))
        rest = early, extended == 1, tuple(chain), fragment, began
        return cls(version, suite, secret, issued, age_add, alpn, name, *rest)


class TicketKeys:
    """Seals and opens tickets.  ``seed`` is 32 octets nobody can guess; ``period`` is a key's time in seconds.

    A key seals for one period and opens for ``keep`` more.  Shared by all connections of a server.
    """

    __slots__ = ("_current", "_keys", "keep", "period")

    def __init__(self, seed: bytes, period: float = 43_200, keep: int = 2) -> None:
        if len(seed) < 32:
            raise ValueError("ticket keys need a seed of at least 32 octets")
        self.period = period
        self.keep = keep
        self._current: tuple[int, bytes] | None = None
        self._keys: dict[int, AESGCM] = {}
        self._start(seed)

    def _start(self, seed: bytes) -> None:
        self._current = (-1, seed)

    def _key(self, epoch: int) -> AESGCM | None:
        current = self._current
        if current is None:
            return None
        at, secret = current
        if at < 0:
            at = epoch
            self._keys[at] = AESGCM(hkdf_expand("sha256", secret, b"synfin ticket key", 32))
        while at < epoch:
            secret = hkdf_expand("sha256", secret, b"synfin next ticket secret", 32)
            at = epoch if epoch - at > 1000 else at + 1  # a clock that jumped far needs no step for each period
            self._keys[at] = AESGCM(hkdf_expand("sha256", secret, b"synfin ticket key", 32))
        self._current = (at, secret)
        for old in [number for number in self._keys if number < at - self.keep]:
            del self._keys[old]
        return self._keys.get(epoch)

    def seal(self, state: bytes, now: float, nonce: bytes) -> bytes | None:
        """A ticket: key number, ``nonce`` (12 octets, never the same twice), ciphertext; None where time ran back."""
        epoch = int(now // self.period)
        key = self._key(epoch)
        if key is None:
            return None
        head = (epoch & 0xFFFFFFFF).to_bytes(4, "big")
        return head + nonce + key.encrypt(nonce, state, head)

    def open(self, ticket: bytes, now: float) -> bytes | None:
        """The state in ``ticket``, or None: not ours, too old, or damaged."""
        if len(ticket) < 32:
            return None
        self._key(int(now // self.period))
        key = self._keys.get(int.from_bytes(ticket[:4], "big"))
        if key is None:
            return None
        try:
            return key.decrypt(ticket[4:16], ticket[16:], ticket[:4])
        except InvalidTag:
            return None


class SessionCache:
    """TLS 1.2 sessions of a server by session id; the oldest go when ``size`` is reached."""

    __slots__ = ("_held", "size")

    def __init__(self, size: int = 4096) -> None:
        self.size = size
        self._held: OrderedDict[bytes, TicketState] = OrderedDict()

    def put(self, session_id: bytes, state: TicketState) -> None:
        """Remember a session."""
        self._held[session_id] = state
        while len(self._held) > self.size:
            self._held.popitem(last=False)

    def get(self, session_id: bytes) -> TicketState | None:
        """The session of that id, or None."""
        return self._held.get(session_id)

    def drop(self, session_id: bytes) -> None:
        """Forget a session, as a fatal alert demands (RFC 5246 7.2.2)."""
        self._held.pop(session_id, None)


class ReplayGuard:
    """Remembers what opened 0-RTT within ``window`` seconds, so that none is taken twice (RFC 8446 8.2).

    It holds for one process only: servers that share ticket keys must share a guard or take no early data.
    """

    __slots__ = ("_seen", "most", "window")

    def __init__(self, window: float = 10.0, most: int = 100_000) -> None:
        self.window = window
        self.most = most
        self._seen: OrderedDict[bytes, float] = OrderedDict()

    def first(self, mark: bytes, now: float) -> bool:
        """Whether ``mark`` is new; False also when the guard is full, so that nothing slips by."""
        while self._seen and next(iter(self._seen.values())) < now - 2 * self.window:
            self._seen.popitem(last=False)
        if mark in self._seen or len(self._seen) >= self.most:
            return False
        self._seen[mark] = now
        return True


def parse_state(data: bytes | None) -> TicketState | None:
    """The state in an opened ticket, or None."""
    if data is None:
        return None
    try:
        return TicketState.read(data)
    except WireError:
        return None


Entropy = Callable[[int], bytes]
