"""What a hello and its answers must look like before anybody acts on them: syntax of extensions and their places.

RFC 8446 4.2 says which extension may stand in which message.  An answer to nothing asked is unsupported_extension, a
known one in the wrong message is misplaced_extension (illegal_parameter), and one that stands twice is
duplicate_extension.  Bodies must decode wholly; lists that must not be empty are not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache

from synfin.errors import PeerError, WireError
from synfin.wire.tls import bodies as b
from synfin.wire.tls.extensions import FRESH, LONG, Decoded, Extension, decode_body
from synfin.wire.tls.registry import extension_name

SERVER_NAME, FRAGMENT, STATUS_REQUEST, GROUPS, POINT_FORMATS, SCHEMES, ALPN, SCT = 0, 1, 5, 10, 11, 13, 16, 18
PADDING, ETM, EMS, COMPRESS, RECORD_LIMIT, TICKET = 21, 22, 23, 27, 28, 35
PSK, EARLY_DATA, VERSIONS, COOKIE, PSK_MODES, AUTHORITIES, OID_FILTERS = 41, 42, 43, 44, 45, 47, 48
POST_AUTH, SCHEMES_CERT, SHARE, RENEGOTIATION = 49, 50, 51, 0xFF01

#: Where TLS 1.3 allows the extensions this engine speaks (RFC 8446 4.2 and their own RFCs).
PLACES_13: dict[str, frozenset[int]] = {
    "server_hello": frozenset({SHARE, PSK, VERSIONS}),
    "hello_retry_request": frozenset({SHARE, COOKIE, VERSIONS}),
    "encrypted_extensions": frozenset({SERVER_NAME, 1, GROUPS, 14, 15, ALPN, 19, 20, RECORD_LIMIT, EARLY_DATA}),
    "certificate": frozenset({STATUS_REQUEST, SCT}),
    "certificate_request": frozenset({STATUS_REQUEST, SCHEMES, SCT, COMPRESS, AUTHORITIES, OID_FILTERS, SCHEMES_CERT}),
}
#: The table of RFC 8446 4.2.
KNOWN_13 = frozenset({
    SERVER_NAME, FRAGMENT, STATUS_REQUEST, GROUPS, SCHEMES, 14, 15, ALPN, SCT, 19, 20, 21, SHARE, PSK, PSK_MODES,
    EARLY_DATA, COOKIE, VERSIONS, AUTHORITIES, OID_FILTERS, POST_AUTH, SCHEMES_CERT,
})  # fmt: skip
#: What EncryptedExtensions never has, asked for or not (RFC 8446 4.3.1).
FORBIDDEN_13 = KNOWN_13 - PLACES_13["encrypted_extensions"]
#: What TLS 1.3 names, but not for a ClientHello.
NOT_IN_HELLO_13 = frozenset({OID_FILTERS})
#: Where TLS 1.2's ServerHello allows them.  Groups say nothing there, but no RFC forbids them and load balancers do it.
PLACES_12 = frozenset(
    {SERVER_NAME, 1, STATUS_REQUEST, GROUPS, POINT_FORMATS, ALPN, SCT, ETM, EMS, TICKET, RECORD_LIMIT, RENEGOTIATION}
)

_EVERY = frozenset({SERVER_NAME, STATUS_REQUEST, GROUPS, POINT_FORMATS, SCHEMES, ALPN, SCT, ETM, EMS, COMPRESS})
KNOWN = _EVERY | {
    RECORD_LIMIT, TICKET, PSK, EARLY_DATA, VERSIONS, COOKIE, PSK_MODES, AUTHORITIES, OID_FILTERS, POST_AUTH,
    SCHEMES_CERT, SHARE, RENEGOTIATION, PADDING, 1, 14, 15, 19, 20,
}  # fmt: skip


def decode(number: int, body: bytes, context: str) -> Decoded:
    """The decoded body.  PeerError decode_error or empty_list."""
    if number in FRESH or len(body) > LONG:
        return _decode(number, body, context)
    return _remembered(number, body, context)


def _decode(number: int, body: bytes, context: str) -> Decoded:
    try:
        found = decode_body(number, context, body)
    except WireError as error:
        raise PeerError("decode_error", extension_name(number), str(error)) from None
    if isinstance(found, b.KeyShares):  # first what is read in each handshake; the list may be empty
        return found
    if isinstance(found, b.KeyShare):
        if not found.key:
            raise PeerError("empty_list", extension_name(number), "an empty share")
    elif isinstance(found, b.Codes):
        if not found.codes:
            raise PeerError("empty_list", extension_name(number), "nothing in it")
    elif isinstance(found, b.Strings):
        if not found.values or not all(found.values):
            raise PeerError("empty_list", extension_name(number), "an empty list or name")
    elif isinstance(found, b.ServerName):
        if not found.names or not all(entry.name for entry in found.names):
            raise PeerError("empty_list", extension_name(number), "an empty list or name")
    elif isinstance(found, b.Cookie) and not found.value:
        raise PeerError("empty_list", extension_name(number), "an empty cookie")
    elif isinstance(found, b.SctList) and len(body) == 2:
        raise PeerError("empty_list", extension_name(number), "no timestamps")
    elif isinstance(found, b.OIDFilters) and not all(one.oid for one in found.filters):
        raise PeerError("empty_list", extension_name(number), "an empty identifier")
    elif isinstance(found, b.StatusRequest) and not all(found.responders):
        raise PeerError("empty_list", extension_name(number), "an empty responder id")
    elif isinstance(found, b.StatusResponse):
        if found.status_type != 1:  # as RFC 8446 4.4.2.1 has it; another type has a syntax of its own
            raise PeerError("decode_error", "an OCSP response", f"type {found.status_type}")
        if not found.response:
            raise PeerError("empty_list", extension_name(number), "an empty response")
    return found


_remembered = lru_cache(maxsize=2048)(_decode)


def _doubled(numbers: list[int]) -> int | None:
    seen: set[int] = set()
    for number in numbers:
        if number in seen:
            return number
        seen.add(number)
    return None


def unique(extensions: tuple[Extension, ...] | tuple[tuple[int, bytes], ...]) -> dict[int, bytes]:
    """Number -> body.  PeerError duplicate_extension."""
    found = dict(extensions)
    if len(found) != len(extensions):
        number = _doubled([number for number, _ in extensions])
        raise PeerError("duplicate_extension", "each once", extension_name(number or 0))
    return found


def answers(
    extensions: tuple[Extension, ...] | None,
    offered: Collection[int],
    allowed: frozenset[int],
    forbidden: frozenset[int] = frozenset(),
) -> dict[int, bytes]:
    """Number -> body of a server's answer: each once, allowed in this message, and asked for.

    What is in ``forbidden`` has the wrong place even if nobody asked for it.  Raises PeerError duplicate_extension,
    misplaced_extension or unsupported_extension.
    """
    if not extensions:
        return {}
    found = unique(extensions)
    for number in found:
        if number not in allowed:
            if number in forbidden or (number in KNOWN and number in offered):
                raise PeerError("misplaced_extension", "another message", extension_name(number))
            raise PeerError("unsupported_extension", "what was asked", extension_name(number))
        if number not in offered:
            raise PeerError("unsupported_extension", "what was asked", extension_name(number))
    return found


def one_protocol(body: bytes, context: str, offered: tuple[bytes, ...]) -> bytes:
    """The application protocol a server chose.  PeerError when it is not one, or not one we offered (RFC 7301 3.1)."""
    found = decode(ALPN, body, context)
    values = found.values if isinstance(found, b.Protocols) else ()
    if len(values) != 1:
        raise PeerError("decode_error", "one protocol", str(len(values)))
    if values[0] not in offered:
        raise PeerError("protocol_not_offered", "one that was offered", repr(values[0]))
    return values[0]


def record_limit(body: bytes, context: str, tls13: bool) -> int:
    """Octets of content the peer takes in a record (RFC 8449 4).  PeerError for less than 64."""
    found = decode(RECORD_LIMIT, body, context)
    value = found.value if isinstance(found, b.RecordSizeLimit) else 0
    if value < 64:
        raise PeerError("illegal_parameter", "a record size limit of at least 64", str(value))
    return min(value - 1 if tls13 else value, 1 << 14)


def fragment_length(body: bytes, context: str) -> int:
    """Octets a record may hold by max_fragment_length (RFC 6066 4).  PeerError for a value that is not defined."""
    found = decode(FRAGMENT, body, context)
    value = found.value if isinstance(found, b.MaxFragmentLength) else 0
    if not 1 <= value <= 4:
        raise PeerError("illegal_parameter", "max_fragment_length 1 to 4", str(value))
    return 1 << (8 + value)


def _u16s(values: Iterable[int]) -> bytes:
    return b"".join([value.to_bytes(2, "big") for value in values])


def u16_list(values: Iterable[int], prefix: int = 2) -> bytes:
    """A body that is a list of two-octet numbers."""
    data = _u16s(values)
    return len(data).to_bytes(prefix, "big") + data


def protocols(values: Iterable[bytes]) -> bytes:
    """The body of an ALPN extension."""
    data = b"".join([bytes([len(value)]) + value for value in values])
    return len(data).to_bytes(2, "big") + data


def parsed_name(body: bytes) -> str:
    """The host name in a client's server_name; PeerError when there is not exactly one that is ASCII."""
    found = decode(SERVER_NAME, body, "client_hello")
    names = [entry.name for entry in found.names if entry.type == 0] if isinstance(found, b.ServerName) else []
    if len(names) > 1:
        raise PeerError("illegal_parameter", "one host name", str(len(names)))
    if not names:
        return ""
    try:
        text = names[0].decode("ascii")
    except UnicodeDecodeError:
        raise PeerError("illegal_parameter", "an ASCII host name", repr(names[0])) from None
    if "\0" in text:
        raise PeerError("illegal_parameter", "a host name", repr(text))
    return text.rstrip(".").lower()
