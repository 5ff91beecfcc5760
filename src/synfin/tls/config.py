"""What a client and a server may do: everything configurable, with safe defaults.

Both are frozen; one object serves any number of connections.  What is weak is off and has to be asked for by its
number: CBC suites, static RSA, early data.  There is no switch for certificate verification: a client has a ``verify``
callable and must be given one.  Suites, groups and schemes are IANA's numbers, best first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from synfin.spec.certificates import certificate_facts
from synfin.spec.certnames import NameMatch, match_name
from synfin.tls import groups as g
from synfin.tls import signing
from synfin.tls.session import ReplayGuard, SessionCache, TicketKeys
from synfin.tls.verify import Verifier
from synfin.wire.tls.suites import suite

TLS12, TLS13 = 0x0303, 0x0304

SUITES_13 = (0x1301, 0x1302, 0x1303)
#: ECDHE and DHE with GCM or ChaCha20 only.
SUITES_12 = (0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0x009E, 0x009F, 0xCCAA)
GROUPS = (g.X25519MLKEM768, g.X25519, g.SECP256R1, g.SECP384R1, g.SECP521R1, g.X448, g.FFDHE2048, g.FFDHE3072)

#: Cipher suites that can be asked for beyond the defaults: AES-CCM; CBC; static RSA.
OPTIONAL_SUITES = (
    0x1304, 0x1305, 0xC0AC, 0xC0AD, 0xC0AE, 0xC0AF, 0xC09E, 0xC09F, 0xC0A2, 0xC0A3,
    0xC023, 0xC024, 0xC027, 0xC028, 0xC009, 0xC00A, 0xC013, 0xC014, 0x0067, 0x006B, 0x0033, 0x0039,
    0x009C, 0x009D, 0xC09C, 0xC09D, 0xC0A0, 0xC0A1, 0x003C, 0x003D, 0x002F, 0x0035,
)  # fmt: skip
_KNOWN = frozenset(SUITES_13 + SUITES_12 + OPTIONAL_SUITES)
#: Octets of client_authorities with their lengths, so that a CertificateRequest of either version holds them.
MOST_AUTHORITIES = 0xFF00
#: Those of TLS 1.2 that need an elliptic group.
ECDHE = frozenset(code for code in _KNOWN if (found := suite(code)) is not None and found.kex.startswith("ECDHE"))


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a peer may ask of us; beyond it stands a named violation."""

    handshake_message: int = 1 << 18  # octets; the longest lawful ClientHello has 131,396
    certificate_message: int = 1 << 18
    empty_records: int = 32  # in a row
    warnings: int = 8
    key_updates: int = 64  # without application data between them, in either direction
    tickets: int = 64
    requests: int = 64  # for certificates after the handshake
    records_per_key: int = 1 << 23  # after that we change our keys (RFC 8446 5.5)


@dataclass(frozen=True)
class Credential:
    """A chain (DER, leaf first) with the leaf's private key, and what is stapled to the leaf.

    Raises ValueError when key and leaf do not belong together; ``mismatched`` lets scenarios do that.
    """

    chain: tuple[bytes, ...]
    key: Any = field(repr=False)
    ocsp: bytes | None = field(default=None, repr=False)
    scts: bytes | None = field(default=None, repr=False)
    mismatched: bool = False

    def __post_init__(self) -> None:
        if not self.chain:
            raise ValueError("a credential needs a certificate")
        if not self.mismatched and signing.peer_key(self.chain[0]).public != self.key.public_key():
            raise ValueError("the private key does not belong to the certificate")

    @cached_property
    def kind(self) -> signing.PeerKey:
        """What the leaf's key is."""
        return signing.own_key(self.key) if self.mismatched else signing.peer_key(self.chain[0])

    def names(self, name: str) -> bool:
        """Whether the leaf is for ``name``."""
        return (_matches if len(name) < 256 else _matches.__wrapped__)(self.chain[0], name)


@lru_cache(maxsize=1024)
def _matches(leaf: bytes, name: str) -> bool:
    return match_name(certificate_facts(leaf), name) is NameMatch.MATCH


def _check(
    suites: tuple[int, ...], groups: tuple[int, ...], schemes: tuple[int, ...], versions: tuple[int, int]
) -> None:
    for code in suites:
        if code not in _KNOWN:
            raise ValueError(f"cipher suite 0x{code:04x} is not one of this engine's")
    for group in groups:
        if group not in g.SUPPORTED:
            raise ValueError(f"group 0x{group:04x} is not one of this engine's")
    for scheme in schemes:
        if scheme not in signing.SCHEMES:
            raise ValueError(f"signature scheme 0x{scheme:04x} is not one of this engine's")
    for what, codes in (("cipher suite", suites), ("group", groups), ("signature scheme", schemes)):
        if len(set(codes)) != len(codes):
            raise ValueError(f"a {what} is listed twice")
    low, high = versions
    if not TLS12 <= low <= high <= TLS13:
        raise ValueError("versions must be TLS 1.2 or TLS 1.3, the lowest first")


@dataclass(frozen=True)
class _Common:
    min_version: int = TLS12
    max_version: int = TLS13
    suites: tuple[int, ...] = SUITES_13 + SUITES_12
    groups: tuple[int, ...] = GROUPS
    schemes: tuple[int, ...] = signing.DEFAULT
    sign_with: tuple[int, ...] | None = None  # what we sign with, best first; None: the same
    alpn: tuple[bytes, ...] = ()
    limits: Limits = Limits()
    record_size_limit: int | None = None  # octets of content we take in a record (RFC 8449); None: 2^14
    padding: Callable[[int], int] | None = None  # content length -> octets of padding (RFC 8446 5.4)
    middlebox_compatibility: bool = True  # RFC 8446 D.4
    certificate_compression: tuple[int, ...] = (2, 1, 3)  # brotli, zlib, zstd (RFC 8879)
    handshake_seconds: float | None = 60.0
    key_log: Callable[[str], None] | None = field(default=None, repr=False)  # each line of an SSLKEYLOGFILE

    def __hash__(self) -> int:
        """Of a few fields, and once: configurations are keys of caches in every connection."""
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.min_version, self.max_version, self.suites, self.groups))

    def __post_init__(self) -> None:
        _check(self.suites, self.groups, self.schemes, (self.min_version, self.max_version))
        _check((), (), self.own_schemes, (self.min_version, self.max_version))
        if not all(isinstance(name, bytes) and 0 < len(name) < 256 for name in self.alpn):
            raise ValueError("names of application protocols are 1 to 255 octets")
        if sum(len(name) + 1 for name in self.alpn) > 0x7FFF:
            raise ValueError("names of application protocols are 32,767 octets together")
        if sorted(set(self.certificate_compression) & {1, 2, 3}) != sorted(self.certificate_compression):
            raise ValueError("certificate_compression is of 1 (zlib), 2 (brotli) and 3 (zstd), each once")
        if self.record_size_limit is not None and not 64 <= self.record_size_limit <= 1 << 14:
            raise ValueError("record_size_limit is 64 to 16384 octets")

    @property
    def own_schemes(self) -> tuple[int, ...]:
        """What we sign with."""
        return self.schemes if self.sign_with is None else self.sign_with

    @cached_property
    def suites_13(self) -> tuple[int, ...]:
        """Those of TLS 1.3, where the versions allow it."""
        return tuple(s for s in self.suites if s >> 8 == 0x13) if self.max_version >= TLS13 else ()

    @cached_property
    def suites_12(self) -> tuple[int, ...]:
        """Those of TLS 1.2, where the versions allow it."""
        return tuple(s for s in self.suites if s >> 8 != 0x13) if self.min_version <= TLS12 else ()

    @cached_property
    def has_cbc(self) -> bool:
        """Whether a CBC suite is enabled."""
        return any((found := suite(code)) is not None and found.mode == "cbc" for code in self.suites_12)


@dataclass(frozen=True)
class ClientConfig(_Common):
    """A client.  ``verify`` judges the server's chain; there is no default, so that it is never off by accident."""

    verify: Verifier = field(kw_only=True)
    credentials: tuple[Credential, ...] = ()
    #: How many groups get a key share in the first hello, or which: ML-KEM's and one more, as browsers do.
    shares: int | tuple[int, ...] = 2
    send_name: bool = True  # server_name in the hello; the certificate is held against the name in any case
    early_data: bool = False
    grease: bool = True
    pad_hello: bool = False  # a hello of 256 to 511 octets to 512, which some old servers hang on (RFC 7685)
    ask_staple: bool = True
    ask_tickets: bool = True
    post_handshake_auth: bool = False

    __hash__ = _Common.__hash__

    def __post_init__(self) -> None:
        super().__post_init__()
        shares = self.shares
        if isinstance(shares, int):
            if shares < 0:
                raise ValueError("shares is how many groups get a key share, or which")
        elif shares != tuple([group for group in self.groups if group in shares]):
            raise ValueError("shares are some of the groups, in their order (RFC 8446 4.2.8)")

    @cached_property
    def elliptic(self) -> bool:
        """Whether TLS 1.2 may use ECDHE: suites and groups are there for it."""
        return not ECDHE.isdisjoint(self.suites_12) and not g.ELLIPTIC.isdisjoint(self.groups)

    @cached_property
    def groups_offered(self) -> tuple[int, ...]:
        """The groups that the versions and suites have a use for (RFC 8446 9.3: what is offered is supported)."""
        if self.suites_13:
            return self.groups
        finite = any((found := suite(code)) is not None and found.kex.startswith("DHE") for code in self.suites_12)
        use = (g.ELLIPTIC if self.elliptic else frozenset()) | (g.FINITE if finite else frozenset())
        return tuple(group for group in self.groups if group in use)

    @cached_property
    def schemes_offered(self) -> tuple[int, ...]:
        """The schemes that the versions have a use for; TLS 1.3 has PKCS#1 in certificates."""
        if self.suites_13:
            usable = any(signing.SCHEMES[code].in_13 for code in self.schemes) or self.suites_12
            return self.schemes if usable else ()
        return tuple(code for code in self.schemes if signing.SCHEMES[code].in_12)

    @cached_property
    def share_groups(self) -> tuple[int, ...]:
        """The groups that get a key share in the first hello."""
        if not self.suites_13:
            return ()
        return self.groups[: self.shares] if isinstance(self.shares, int) else self.shares


@dataclass(frozen=True)
class ServerConfig(_Common):
    """A server.  Without ``ticket_keys`` it hands out no tickets; ``client_auth`` is None, "optional" or "required"."""

    credentials: tuple[Credential, ...] = field(kw_only=True)
    client_auth: str | None = None
    verify: Verifier | None = None  # judges client chains; must be there with client_auth
    client_authorities: tuple[bytes, ...] = ()  # DER names told to clients
    strict_sni: bool = False
    ticket_keys: TicketKeys | None = None
    tickets: int = 2  # for each full handshake; one for a resumed one
    ticket_lifetime: int = 7200
    session_cache: SessionCache | None = None
    max_early_data: int = 0  # 0: early data is refused
    replay_guard: ReplayGuard | None = None  # must be there with max_early_data
    #: External PSKs for SHA-256 suites: identity and key.
    shared_keys: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)
    cookie: bool = False  # send a cookie with HelloRetryRequest; the engine keeps the state itself
    #: Ask by HelloRetryRequest for the best group that both ends have, whichever the client sent a share of.
    best_group: bool = False
    #: TLS 1.3: tell our groups also where the best of them was chosen (RFC 8446 4.2.7 asks for it where it was not).
    tell_groups: bool = False

    __hash__ = _Common.__hash__

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.credentials:
            raise ValueError("a server needs a credential")
        if self.client_auth not in (None, "optional", "required"):
            raise ValueError('client_auth is None, "optional" or "required"')
        if self.client_auth and self.verify is None:
            raise ValueError("client_auth needs verify")
        if sum([len(name) + 2 for name in self.client_authorities]) > MOST_AUTHORITIES:
            raise ValueError(
                f"client_authorities take more than {MOST_AUTHORITIES} octets: a request has room for no more"
            )
        if self.max_early_data and self.replay_guard is None:
            raise ValueError("max_early_data needs a replay_guard")
