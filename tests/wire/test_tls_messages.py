"""Laws of the handshake codecs: round trip, truncation, mutation, and both ways of reading equal."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import brotli
import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from synfin.errors import WireError
from synfin.views.messages import message_lines
from synfin.wire.codec import Buffer, Span
from synfin.wire.tls import sslv2
from synfin.wire.tls.certificate import Certificate, CertificateEntry, CompressedCertificate
from synfin.wire.tls.exchange import ClientKeyExchange, ServerKeyExchange
from synfin.wire.tls.extensions import Extension
from synfin.wire.tls.hello import HRR_RANDOM, ClientHello, ServerHello
from synfin.wire.tls.messages import message_name, parse_handshake, write_handshake
from synfin.wire.tls.quick import quick_message
from tests.wire.tls_made import KEX, client_hello, messages, v2_messages

versions = st.sampled_from((None, 0x0300, 0x0301, 0x0303, 0x0304, 0x7F12))


def read_or_none(code: int, body: Buffer, version: int | None, kex: str | None, **more: Any) -> Any:
    """The message, or None when it is refused cleanly."""
    try:
        return parse_handshake(code, body, version=version, kex=kex, **more)
    except WireError as error:
        assert 0 <= error.offset - more.get("base", 0) <= len(body)
        assert str(error)
        return None


def holds(code: int, body: bytes, version: int | None, kex: str | None) -> None:
    """Whatever octets these are: refused cleanly, or read alike by both ways and written the same again."""
    message = read_or_none(code, body, version, kex)
    spans: list[Span] = []
    told = read_or_none(code, body, version, kex, spans=spans, base=1000)
    assert told == message
    assert read_or_none(code, bytearray(body), version, kex) == message
    quick = quick_message(code, body, version, kex)
    assert quick is None or (quick == message and not getattr(message, "trailing", b""))
    for span in spans:
        assert 1000 <= span.start <= span.end <= 1000 + len(body)
        assert span.ref
        assert span.path
    if message is not None:
        assert write_handshake(message) == bytes([code]) + len(body).to_bytes(3, "big") + body
        covered = sorted((span.start, span.end) for span in spans)
        at = 1000
        for start, end in covered:
            assert start == at
            at = end
        assert at == 1000 + len(body)
        assert all(message_lines(message))


@given(messages)
def test_round_trip(made: tuple[Any, int | None, str | None]) -> None:
    message, version, kex = made
    data = write_handshake(message)
    assert data[0] == message.msg_type
    assert int.from_bytes(data[1:4], "big") == len(data) - 4
    assert parse_handshake(data[0], data[4:], version=version, kex=kex) == message
    holds(data[0], data[4:], version, kex)


@settings(max_examples=40)
@given(messages)
def test_every_truncation_is_refused_or_is_a_message_of_its_own(made: tuple[Any, int | None, str | None]) -> None:
    message, version, kex = made
    data = write_handshake(message)
    for end in range(4, len(data)):
        holds(data[0], data[4:end], version, kex)


@settings(max_examples=200)
@given(messages, st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=3), versions)
def test_mutated_octets(made: tuple[Any, int | None, str | None], changes: list[Any], version: int | None) -> None:
    message, _, kex = made
    data = bytearray(write_handshake(message))
    for at, value in changes:
        data[at % len(data)] = value
    holds(message.msg_type, bytes(data[4:]), version, kex)


@settings(max_examples=300)
@given(st.integers(0, 255), st.binary(max_size=120), versions, st.sampled_from(KEX))
def test_random_octets(code: int, body: bytes, version: int | None, kex: str | None) -> None:
    holds(code, body, version, kex)


@settings(max_examples=300)
@given(st.sampled_from((12, 16)), st.binary(max_size=60), versions, st.sampled_from(KEX))
@example(12, bytes.fromhex("03001d2000") + bytes(40), 0x0303, "ECDHE_RSA")
@example(12, b"\x01\x02", 0x0303, "ECDHE_RSA")
def test_key_exchanges(code: int, body: bytes, version: int | None, kex: str | None) -> None:
    holds(code, body, version, kex)


@given(client_hello)
def test_properties_answer_for_every_hello(hello: ClientHello) -> None:
    assert hello.sni is None or isinstance(hello.sni, str)
    for found in (hello.alpn, hello.supported_versions, hello.groups, hello.signature_algorithms):
        assert isinstance(found, tuple)
    numbers = [extension.type for extension in hello.extensions or ()]
    assert hello.psk_offered == (41 in numbers)
    assert hello.early_data == (42 in numbers)
    assert hello.ech == (0xFE0D in numbers)
    shares = getattr(hello.decoded(51) if 51 in numbers else hello.decoded(40), "entries", ())
    assert hello.key_share_groups == tuple(entry.group for entry in shares)


def hello_with(*extensions: Extension) -> ClientHello:
    return ClientHello(0x0303, bytes(32), b"", (0x1301,), (0,), extensions)


def test_missing_empty_and_repeated_extension_blocks_stay_apart() -> None:
    head = ClientHello(0x0303, bytes(32), b"", (0x1301,), (0,), None)
    for extensions, trailing in ((None, b""), ((), b""), ((), b"\0"), ((Extension(0, b""), Extension(0, b"x")), b"")):
        hello = ClientHello(0x0303, bytes(32), b"", (0x1301,), (0,), extensions, trailing)
        assert parse_handshake(1, write_handshake(hello)[4:]) == hello
        assert (hello == head) == (extensions is None)


def test_the_first_of_two_extensions_counts() -> None:
    first, second = b"\0\x04\0\0\x01a", b"\0\x04\0\0\x01b"
    assert hello_with(Extension(0, first), Extension(0, second)).sni == "a"


def test_names_that_are_not_ascii_show_their_octets() -> None:
    assert hello_with(Extension(0, b"\0\x06\0\0\x03\xffa\\")).sni == "\\xffa\\"
    assert hello_with(Extension(16, b"\0\x03\x02\x0a\x0a")).alpn == ("\n\n",)


def test_a_malformed_extension_leaves_the_hello_readable() -> None:
    hello = hello_with(
        Extension(0, b"\xff"), Extension(16, b"\0\x09"), Extension(10, b"\0\x03\0\0\0"), Extension(51, b"\0")
    )
    again = parse_handshake(1, write_handshake(hello)[4:])
    assert isinstance(again, ClientHello)
    assert (again.sni, again.alpn, again.groups, again.key_share_groups) == (None, (), (), ())
    assert "  server_name malformed: server_name.names.length at byte 0: needs 2 octets, has 1" in message_lines(again)


def test_hello_retry_request_is_told_by_its_random() -> None:
    share = Extension(51, b"\0\x17")
    hello = ServerHello(0x0303, HRR_RANDOM, b"", 0x1301, 0, (Extension(43, b"\x03\x04"), share))
    assert message_name(hello) == "hello_retry_request"
    assert (hello.selected_version, hello.key_share_group) == (0x0304, 0x17)
    plain = ServerHello(0x0303, bytes(32), b"", 0x1301, 0, None)
    assert message_name(plain) == "server_hello"
    assert (plain.selected_version, plain.key_share_group, plain.alpn, plain.psk_selected) == (0x0303, None, None, None)


def test_errors_name_the_field_and_the_place() -> None:
    body = write_handshake(hello_with(Extension(0, b"abcd")))[4:-1]
    with pytest.raises(WireError, match=r"client_hello\.extensions\.length at byte 41: says 8, has 7") as raised:
        parse_handshake(1, body)
    assert raised.value.offset == 41
    with pytest.raises(WireError, match=r"certificate\.certificate_list\[0\]\.cert_data\.length at byte 103"):
        parse_handshake(11, b"\0\0\x04\0\0\x09a", base=100)


def test_spans_go_into_extensions_with_their_own_source() -> None:
    spans: list[Span] = []
    body = write_handshake(hello_with(Extension(0, b"\0\x04\0\0\x01a"), Extension(99, b"??")))[4:]
    parse_handshake(1, body, spans=spans)
    told = {span.path: (span.value, span.ref) for span in spans}
    assert told["client_hello.legacy_version"] == (0x0303, "RFC 8446 4.1.2")
    assert told["client_hello.extensions[0].type"] == (0, "RFC 8446 4.2")
    assert told["client_hello.extensions[0].server_name.names[0].name"] == (b"a", "RFC 6066 3")
    assert told["client_hello.extensions[1].unknown 0x0063.body"] == (b"??", "RFC 8446 4.2")


def test_key_exchange_facts() -> None:
    dh = ServerKeyExchange(
        "DHE_RSA", parameters=(b"\0\x80" + bytes(127), b"\2"), public=b"y", scheme=0x0401, signature=b"s"
    )
    assert parse_handshake(12, write_handshake(dh)[4:], version=0x0303, kex="DHE_RSA") == dh
    assert dh.prime_bits == 1024
    ssl3 = parse_handshake(16, b"premaster", version=0x0300, kex="RSA")
    assert ssl3 == ClientKeyExchange("RSA", None, b"premaster", 0)
    tls = parse_handshake(16, b"\0\x09premaster", version=0x0301, kex="RSA")
    assert tls == ClientKeyExchange("RSA", None, b"premaster", 2)


@pytest.mark.parametrize("algorithm", [1, 2, 3])
def test_compressed_certificates(algorithm: int) -> None:
    chain = Certificate((CertificateEntry(b"leaf" * 300, ()), CertificateEntry(b"root", ())), b"")
    body = write_handshake(chain)[4:]
    packed = {1: zlib.compress, 2: brotli.compress, 3: zstandard.compress}[algorithm](body)
    assert CompressedCertificate(algorithm, len(body), packed).certificate() == chain
    for wrong in (len(body) - 1, len(body) + 1, 0):
        with pytest.raises(WireError, match="uncompressed_length"):
            CompressedCertificate(algorithm, wrong, packed).decompress()
    for damaged in (packed[:-1], packed[:-9], b"", b"\xff" * 30):
        with pytest.raises(WireError):
            CompressedCertificate(algorithm, len(body), damaged).decompress()


@pytest.mark.parametrize("pack", [zlib.compress, brotli.compress, zstandard.compress])
def test_a_bomb_is_not_unpacked(pack: Callable[[bytes], bytes]) -> None:
    algorithm = 1 + [zlib.compress, brotli.compress, zstandard.compress].index(pack)
    with pytest.raises(WireError, match="uncompressed_length"):
        CompressedCertificate(algorithm, 1000, pack(bytes(50_000_000))).decompress()


def test_what_cannot_be_decompressed_says_so() -> None:
    for algorithm in (0, 4):
        with pytest.raises(WireError, match="cannot be decompressed here"):
            CompressedCertificate(algorithm, 10, b"x").decompress()


@settings(max_examples=150)
@given(st.sampled_from((1, 2, 3)), st.integers(0, 4096), st.binary(max_size=64))
def test_random_compressed_data(algorithm: int, length: int, data: bytes) -> None:
    try:
        assert len(CompressedCertificate(algorithm, length, data).decompress()) == length
    except WireError:
        pass


def v2_holds(body: bytes) -> None:
    spans: list[Span] = []
    try:
        message = sslv2.parse_message(body, spans=spans)
    except WireError:
        return
    assert sslv2.write_message(message) == body
    assert sum(span.end - span.start for span in spans) == len(body)
    assert all(message_lines(message))


@given(v2_messages)
def test_sslv2_round_trip_and_truncation(message: sslv2.Message) -> None:
    data = sslv2.write_message(message)
    assert sslv2.parse_message(data) == message
    assert sslv2.message_name(message.msg_type).startswith("v2_")
    for end in range(len(data) + 1):
        v2_holds(data[:end])


@given(st.binary(max_size=60))
def test_sslv2_random_octets(body: bytes) -> None:
    v2_holds(body)


@pytest.mark.parametrize(
    ("code", "body", "version", "kex"),
    [
        (4, "00001c200000000101010004123456780008002a000400004000", 0x0304, None),
        (4, "00001c20000401020304", 0x0303, None),
        (4, "000000000000", 0x0303, None),
        (8, "000400000000", 0x0304, None),
        (8, "0000", 0x0304, None),
        (11, "00000a0000010100000300aabb", 0x0303, None),
        (11, "00000015000001010000000002030400080005000000120000", 0x0304, None),
        (11, "02beef000000", 0x0304, None),
        (12, "03001d040102030404030002abcd", 0x0303, "ECDHE_ECDSA"),
        (15, "04030002abcd", 0x0304, None),
        (15, "04030002abcd", 0x0303, None),
        (16, "0401020304", 0x0303, "ECDHE_RSA"),
    ],
)
def test_quick_reading_takes_the_usual_and_leaves_the_rest(code: int, body: str, version: int, kex: str | None) -> None:
    octets = bytes.fromhex(body)
    assert quick_message(code, octets, version, kex) == parse_handshake(code, octets, version=version, kex=kex)
    assert quick_message(code, octets, version, kex) is not None
    for cut in range(len(octets)):
        holds(code, octets[:cut], version, kex)
    for more in (b"\0", b"\0\0", bytes(4)):
        assert quick_message(code, octets + more, version, kex) is None
        holds(code, octets + more, version, kex)
