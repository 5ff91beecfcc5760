"""The ClientHello as a server reads it: checked whole, then the choice of version, name and application protocol.

A hello is refused for its form before its content is weighed: syntax of every extension this engine knows
(decode_error), doubled or misplaced ones (illegal_parameter), then the choices (RFC 8446 4.1.2, 4.2; RFC 5246
7.4.1.2; RFC 7301 3.2; RFC 7507 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from synfin.errors import PeerError
from synfin.tls import checks
from synfin.tls.config import TLS12, TLS13, ServerConfig
from synfin.wire.frozen import quick
from synfin.wire.tls import bodies as b
from synfin.wire.tls.extensions import FRESH, Decoded
from synfin.wire.tls.messages import ClientHello

if TYPE_CHECKING:
    from synfin.tls.server import Server

FALLBACK_SCSV = 0x5600


@quick
@dataclass(frozen=True, slots=True)
class Hello:
    """A ClientHello of good form: the message, its octets, and what its extensions decode to."""

    message: ClientHello
    raw: bytes
    bodies: Mapping[int, bytes]
    decoded: Mapping[int, Decoded]
    version: int
    server_name: str
    alpn: bytes | None

    def codes(self, number: int) -> tuple[int, ...]:
        """The numbers in extension ``number``; () where it is not there."""
        found = self.decoded.get(number)
        return found.codes if isinstance(found, b.Codes) else ()


def read_hello(end: Server, raw: bytes) -> Hello:
    """Check a ClientHello's form and choose version, name and protocol."""
    config = end.config
    message: ClientHello = end.parse(raw)
    if len(message.session_id) > 32:
        raise PeerError("decode_error", "a session id of at most 32 octets", str(len(message.session_id)))
    if not message.cipher_suites:
        raise PeerError("empty_list", "cipher suites", "none")
    if not message.compression_methods:
        raise PeerError("empty_list", "compression methods", "none")
    extensions = message.extensions or ()
    found = dict(extensions)
    form = _form if len(raw) <= _SMALL else _form.__wrapped__
    lasting, fresh, known_status, name = form(tuple([(one[0], b"") if one[0] in FRESH else one for one in extensions]))
    if not known_status:
        del found[checks.STATUS_REQUEST]
    decoded = dict(lasting)
    for number in fresh:
        decoded[number] = checks.decode(number, found[number], "client_hello")
    version = choose_version(config, message, decoded.get(checks.VERSIONS))
    if version == TLS13 and not checks.NOT_IN_HELLO_13.isdisjoint(found):
        raise PeerError("misplaced_extension", "another message", "oid_filters")
    if FALLBACK_SCSV in message.cipher_suites and version < config.max_version:
        raise PeerError("inappropriate_fallback", f"0x{config.max_version:04x}", f"0x{version:04x}")
    if 0 not in message.compression_methods:
        raise PeerError("no_common_compression", "null", message.compression_methods.__repr__())
    alpn = None
    offered = decoded.get(checks.ALPN)
    if isinstance(offered, b.Protocols) and config.alpn:
        alpn = next((p for p in config.alpn if p in offered.values), None)
        if alpn is None:
            raise PeerError("no_common_protocol", repr(config.alpn), repr(offered.values[:8]))
    return Hello(message, raw, found, decoded, version, name, alpn)


#: Octets above which a hello is not worth remembering.
_SMALL = 4096


class Form(NamedTuple):
    """What is the same in each hello of a client.

    ``lasting`` is decoded, ``fresh`` are the numbers of extensions still to be decoded in each; ``known_status`` is
    False where the kind of status asked for is one that nobody here knows (RFC 6066 8).
    """

    lasting: dict[int, Decoded]
    fresh: tuple[int, ...]
    known_status: bool
    server_name: str


@lru_cache(maxsize=256)
def _form(extensions: tuple[tuple[int, bytes], ...]) -> Form:
    """Check the extensions of a hello; bodies that differ in each connection are left empty, and are not looked at."""
    found = checks.unique(extensions)
    known_status = found.get(checks.STATUS_REQUEST, b"\1")[:1] in (b"", b"\1")
    if not known_status:
        del found[checks.STATUS_REQUEST]
    if checks.PSK in found and extensions[-1][0] != checks.PSK:
        raise PeerError("psk_not_last", "pre_shared_key at the end", "not there")
    read = [number for number in found if number in _READ]
    lasting = {n: checks.decode(n, found[n], "client_hello") for n in read if n not in FRESH}
    if checks.RECORD_LIMIT in found:  # looked at here too: a retry comes before the limits count
        checks.record_limit(found[checks.RECORD_LIMIT], "client_hello", True)
    elif checks.FRAGMENT in found:
        checks.fragment_length(found[checks.FRAGMENT], "client_hello")
    name = checks.parsed_name(found[checks.SERVER_NAME]) if checks.SERVER_NAME in found else ""
    return Form(lasting, tuple([n for n in read if n in FRESH]), known_status, name)


_READ = frozenset(
    {
        checks.SERVER_NAME, checks.STATUS_REQUEST, checks.GROUPS, checks.POINT_FORMATS, checks.SCHEMES, checks.ALPN,
        checks.SCT, checks.ETM, checks.EMS, checks.COMPRESS, checks.RECORD_LIMIT, checks.PSK, checks.EARLY_DATA,
        checks.VERSIONS, checks.COOKIE, checks.AUTHORITIES, checks.PSK_MODES, checks.POST_AUTH,
        checks.SCHEMES_CERT, checks.SHARE, checks.RENEGOTIATION,
    }
)  # fmt: skip


def choose_version(config: ServerConfig, message: ClientHello, listed: Decoded | None) -> int:
    """The version for a hello (RFC 8446 4.2.1, D.5).  PeerError no_common_version."""
    legacy = message.legacy_version
    if legacy <= 0x0300:
        raise PeerError("no_common_version", "TLS 1.2 or 1.3", f"0x{legacy:04x}")
    if isinstance(listed, b.SupportedVersions):
        if TLS13 in listed.codes and config.suites_13:
            return TLS13
        if TLS12 in listed.codes and config.suites_12:
            return TLS12
        raise PeerError("no_common_version", "a version of ours", " ".join(f"0x{c:04x}" for c in listed.codes[:8]))
    if legacy < TLS12 or not config.suites_12:
        raise PeerError("no_common_version", "a version of ours", f"0x{legacy:04x}")
    return TLS12


def limit_records(end: Server, hello: Hello) -> None:
    """What the client takes in a record: by record_size_limit, else by max_fragment_length (RFC 8449 5, RFC 6066 4)."""
    found, own = hello.bodies, end.config.record_size_limit
    if checks.RECORD_LIMIT in found:
        end._limit_out = checks.record_limit(found[checks.RECORD_LIMIT], "client_hello", hello.version == TLS13)
        if own is not None:
            end._limit_in = own
    elif checks.FRAGMENT in found:
        end._limit_out = end._limit_in = end._fragment = checks.fragment_length(found[checks.FRAGMENT], "client_hello")
