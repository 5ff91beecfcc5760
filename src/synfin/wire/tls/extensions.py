"""TLS extensions: the list as it stands, and what each carries when somebody asks (RFC 8446 4.2).

A message keeps its extensions as numbered octets.  ``decode_extension`` reads one into a class of ``bodies``;
which class depends on the message it stands in (a key share has three shapes), so the table below goes from
extension and context to class.  An extension without a class there comes back as its octets.  Most bodies are
the same in thousands of hellos, so decoding is cached by (type, context, body), except for those that are
different every time (keys, tickets) and for long ones.

A malformed body is a WireError of ``decode_extension`` only: the list, and the hello it is in, stay readable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from synfin.errors import WireError
from synfin.wire.codec import Reader, Span, Writer
from synfin.wire.tls import bodies as b
from synfin.wire.tls.registry import extension_name

CLIENT_HELLO = "client_hello"
SERVER_HELLO = "server_hello"
HELLO_RETRY_REQUEST = "hello_retry_request"
ENCRYPTED_EXTENSIONS = "encrypted_extensions"
CERTIFICATE = "certificate"
CERTIFICATE_REQUEST = "certificate_request"
NEW_SESSION_TICKET = "new_session_ticket"

Decoded = b.Body | bytes


class Extension(NamedTuple):
    """One extension: its number and its octets after type and length."""

    type: int
    body: bytes

    @property
    def name(self) -> str:
        """IANA's name."""
        return extension_name(self.type)


_CH, _SH, _HRR, _EE = CLIENT_HELLO, SERVER_HELLO, HELLO_RETRY_REQUEST, ENCRYPTED_EXTENSIONS
_CT, _CR, _NST = CERTIFICATE, CERTIFICATE_REQUEST, NEW_SESSION_TICKET
_ALL = (_CH, _SH, _HRR, _EE, _CT, _CR, _NST)
_ANSWER = (_SH, _EE)  # where a server answers: TLS 1.2 in the clear hello, TLS 1.3 in EncryptedExtensions

#: (number, RFC and section, (contexts, class) ...)
_TABLE: tuple[tuple[int, str, tuple[tuple[tuple[str, ...], type[b.Body]], ...]], ...] = (
    (0, "RFC 6066 3", (((_CH,), b.ServerName), (_ANSWER, b.Empty))),
    (1, "RFC 6066 4", (((_CH, *_ANSWER), b.MaxFragmentLength),)),
    (4, "RFC 6066 7", (((_CH, *_ANSWER), b.Empty),)),
    (5, "RFC 6066 8", (((_CH,), b.StatusRequest), ((_SH, _EE, _CR), b.Empty), ((_CT,), b.StatusResponse))),
    (9, "RFC 6091 3.1", (((_CH,), b.CertificateTypes), (_ANSWER, b.SelectedCertificateType))),
    (10, "RFC 8446 4.2.7", (((_CH, *_ANSWER), b.SupportedGroups),)),
    (11, "RFC 8422 5.1.2", (((_CH, *_ANSWER), b.ECPointFormats),)),
    (12, "RFC 5054 2.8.1", (((_CH,), b.SrpUser),)),
    (13, "RFC 8446 4.2.3", (((_CH, _CR), b.SignatureAlgorithms),)),
    (14, "RFC 5764 4.1.1", (((_CH, *_ANSWER), b.UseSrtp),)),
    (15, "RFC 6520 2", (((_CH, *_ANSWER), b.Heartbeat),)),
    (16, "RFC 7301 3.1", (((_CH, *_ANSWER), b.Protocols),)),
    (17, "RFC 6961 2.2", (((_CH,), b.StatusRequestV2), (_ANSWER, b.Empty))),
    (18, "RFC 6962 3.3", (((_CH, _CR), b.Empty), ((_SH, _EE, _CT), b.SctList))),
    (19, "RFC 7250 3", (((_CH,), b.CertificateTypes), (_ANSWER, b.SelectedCertificateType))),
    (20, "RFC 7250 3", (((_CH,), b.CertificateTypes), (_ANSWER, b.SelectedCertificateType))),
    (21, "RFC 7685 3", (((_CH,), b.Padding),)),
    (22, "RFC 7366 2", (((_CH, *_ANSWER), b.Empty),)),
    (23, "RFC 7627 5.1", (((_CH, *_ANSWER), b.Empty),)),
    (24, "RFC 8472 2", (((_CH, *_ANSWER), b.TokenBinding),)),
    (27, "RFC 8879 3", (((_CH, _CR), b.CompressCertificate),)),
    (28, "RFC 8449 4", (((_CH, *_ANSWER), b.RecordSizeLimit),)),
    (34, "RFC 9345 4.1", (((_CH, _CR), b.SignatureAlgorithms), ((_CT,), b.DelegatedCredential))),
    (35, "RFC 5077 3.2", (((_CH, *_ANSWER), b.SessionTicket),)),
    (40, "draft-ietf-tls-tls13-22 4.2.7", (((_CH,), b.KeyShares), ((_SH,), b.KeyShare), ((_HRR,), b.SelectedGroup))),
    (41, "RFC 8446 4.2.11", (((_CH,), b.PreSharedKey), ((_SH,), b.SelectedPsk))),
    (42, "RFC 8446 4.2.10", (((_CH, _EE), b.Empty), ((_NST,), b.MaxEarlyData))),
    (43, "RFC 8446 4.2.1", (((_CH,), b.SupportedVersions), ((_SH, _HRR), b.SelectedVersion))),
    (44, "RFC 8446 4.2.2", (((_CH, _HRR), b.Cookie),)),
    (45, "RFC 8446 4.2.9", (((_CH,), b.PskModes),)),
    (47, "RFC 8446 4.2.4", (((_CH, _CR), b.CertificateAuthorities),)),
    (48, "RFC 8446 4.2.5", (((_CR,), b.OIDFilters),)),
    (49, "RFC 8446 4.2.6", (((_CH,), b.Empty),)),
    (50, "RFC 8446 4.2.3", (((_CH, _CR), b.SignatureAlgorithms),)),
    (51, "RFC 8446 4.2.8", (((_CH,), b.KeyShares), ((_SH,), b.KeyShare), ((_HRR,), b.SelectedGroup))),
    (57, "RFC 9001 8.2", (((_CH, _EE), b.QuicTransportParameters),)),
    (62, "draft-ietf-tls-tlsflags 2", ((_ALL, b.Flags),)),
    (13172, "draft-agl-tls-nextprotoneg-04 3", (((_CH,), b.Empty), ((_SH,), b.NextProtocols))),
    (17513, "draft-vvv-tls-alps 4", (((_CH,), b.Protocols), ((_EE,), b.Settings))),
    (17613, "draft-vvv-tls-alps 4", (((_CH,), b.Protocols), ((_EE,), b.Settings))),
    (30031, "draft-balfanz-tls-channelid 3", (((_CH, *_ANSWER), b.Empty),)),
    (30032, "draft-balfanz-tls-channelid-01 3", (((_CH, *_ANSWER), b.Empty),)),
    (0xFD00, "RFC 9849 5.1", (((_CH,), b.OuterExtensions),)),
    (
        0xFE0D,
        "RFC 9849 5",
        (((_CH,), b.EncryptedClientHello), ((_EE,), b.EchRetryConfigs), ((_HRR,), b.EchConfirmation)),
    ),
    (0xFF01, "RFC 5746 3.2", (((_CH, *_ANSWER), b.RenegotiationInfo),)),
)

_BODIES: dict[tuple[int, str], type[b.Body]] = {
    (number, context): cls for number, _, shapes in _TABLE for contexts, cls in shapes for context in contexts
}

#: Extension number -> the section that defines it.
REFS: dict[int, str] = {number: ref for number, ref, _ in _TABLE}

#: Extensions that are different in every connection: a cache would only fill with them.
FRESH = frozenset({35, 40, 41, 44, 51, 0xFE0D})
#: Octets from which on a body is not worth remembering.
LONG = 512


#: Those that are in every handshake of TLS 1.3, and are always others.
_QUICK: dict[tuple[int, str], Callable[[bytes], Decoded | None]] = {
    (51, _CH): b.KeyShares.quick,
    (51, _SH): b.KeyShare.quick,
}


def _decode(number: int, context: str, body: bytes) -> Decoded:
    quick = _QUICK.get((number, context))
    if quick is not None and (found := quick(body)) is not None:
        return found
    cls = _BODIES.get((number, context))
    return body if cls is None else cls.read(Reader(body, extension_name(number)))


_decode_cached = lru_cache(maxsize=8192)(_decode)


def decode_extension(extension: Extension, context: str) -> Decoded:
    """What ``extension`` says in the message ``context``, as a class of ``bodies``; its octets where none is known.

    ``context`` is "client_hello", "server_hello", "hello_retry_request", "encrypted_extensions", "certificate",
    "certificate_request" or "new_session_ticket".  Raises WireError, with offsets from the start of the body, when
    the octets are not of the extension's syntax.
    """
    return decode_body(extension[0], context, extension[1])


def decode_body(number: int, context: str, body: bytes) -> Decoded:
    """As ``decode_extension``, for the number and the octets apart."""
    if number in FRESH or len(body) > LONG:
        return _decode(number, context, body)
    return _decode_cached(number, context, body)


def encode_extension(number: int, body: Decoded) -> Extension:
    """The extension ``number`` that carries ``body``; ValueError when something does not fit its length."""
    if isinstance(body, bytes):
        return Extension(number, body)
    writer = Writer()
    body.write(writer)
    return Extension(number, writer.bytes())


_PAIR = Struct(">HH").unpack_from
_new = tuple.__new__


def split_extensions(data: bytes, pos: int, end: int) -> tuple[Extension, ...] | None:
    """The extensions in ``data[pos:end]``, without the block's length; None when they do not fill it exactly.

    The quick way for hellos in bulk; ``read_extensions`` says what is wrong and leaves spans.
    """
    found = []
    while pos + 4 <= end:
        number, size = _PAIR(data, pos)
        pos += 4
        stop = pos + size
        found.append(_new(Extension, (number, data[pos:stop])))
        pos = stop
    return tuple(found) if pos == end else None


def read_extensions(reader: Reader, context: str, name: str = "extensions") -> tuple[Extension, ...]:
    """A block of extensions behind its two-octet length.  WireError when lengths do not add up.

    With spans, each body is decoded too, so that its fields leave theirs; a body that does not decode leaves one
    span for all its octets.
    """
    block = reader.sub(2, name)
    if block.spans is None and isinstance(block.data, bytes):
        quick = split_extensions(block.data, block.pos, block.end)
        if quick is not None:
            return quick
    found: list[Extension] = []
    block.ref = "RFC 8446 4.2"
    while block.left:
        index = len(found)
        number = block.u16(f"[{index}].type")
        inner = block.sub(2, f"[{index}]")
        inner.ref = REFS.get(number, block.ref)
        found.append(Extension(number, bytes(inner.data[inner.pos : inner.end])))
        if block.spans is not None and inner.left:
            _leave_spans(inner, block.spans, number, context)
    return tuple(found)


def _leave_spans(inner: Reader, spans: list[Span], number: int, context: str) -> None:
    """Spans for the body in ``inner``: those of its fields, or one for the whole."""
    start = inner.pos
    inner.path = f"{inner.path}.{extension_name(number)}"
    cls = _BODIES.get((number, context))
    if cls is not None:
        mark = len(spans)
        try:
            cls.read(inner)
            return
        except WireError:
            del spans[mark:]
            inner.pos = start
    inner.rest("body")


def write_extensions(writer: Writer, extensions: Iterable[Extension]) -> None:
    """A block of extensions behind its two-octet length; ValueError when something does not fit."""
    with writer.block(2):
        for number, body in extensions:
            writer.u16(number)
            writer.vec(2, body)


def find_extension(extensions: tuple[Extension, ...] | None, number: int) -> bytes | None:
    """The body of the first extension ``number``, or None."""
    if extensions is not None:
        for found, body in extensions:
            if found == number:
                return body
    return None
