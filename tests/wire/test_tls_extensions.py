"""Extension bodies: every shape reads back, everything else is refused cleanly, contexts give the right shape."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.errors import WireError
from synfin.wire.codec import Reader
from synfin.wire.tls import bodies as b
from synfin.wire.tls.extensions import REFS, Extension, decode_extension, encode_extension
from tests.wire.tls_made import BODIES

CONTEXTS = (
    "client_hello",
    "server_hello",
    "hello_retry_request",
    "encrypted_extensions",
    "certificate",
    "certificate_request",
    "new_session_ticket",
)


def holds(extension: Extension, context: str) -> None:
    try:
        body = decode_extension(extension, context)
    except WireError as error:
        assert 0 <= error.offset <= len(extension.body)
        return
    assert encode_extension(extension.type, body) == extension


@pytest.mark.parametrize(("number", "context", "bodies"), BODIES, ids=[f"{n}-{c}" for n, c, _ in BODIES])
def test_round_trip_and_truncation(number: int, context: str, bodies: st.SearchStrategy[Any]) -> None:
    @settings(max_examples=12)
    @given(bodies)
    def law(body: Any) -> None:
        made = encode_extension(number, body)
        assert decode_extension(made, context) == body
        for end in range(len(made.body)):
            holds(Extension(number, made.body[:end]), context)

    law()


@settings(max_examples=400)
@given(st.sampled_from(sorted(REFS)), st.sampled_from(CONTEXTS), st.binary(max_size=40))
def test_random_octets(number: int, context: str, body: bytes) -> None:
    holds(Extension(number, body), context)


def test_one_extension_has_a_shape_per_message() -> None:
    share = Extension(51, b"\0\x1d\0\x01k")
    assert decode_extension(share, "server_hello") == b.KeyShare(29, b"k")
    assert decode_extension(Extension(51, b"\0\x05\0\x1d\0\x01k"), "client_hello") == b.KeyShares(
        (b.KeyShareEntry(29, b"k"),)
    )
    assert decode_extension(Extension(51, b"\0\x1d"), "hello_retry_request") == b.SelectedGroup(29)
    assert decode_extension(Extension(43, b"\x04\x03\x04\x03\x03"), "client_hello") == b.SupportedVersions(
        (0x0304, 0x0303)
    )
    assert decode_extension(Extension(43, b"\x03\x04"), "server_hello") == b.SelectedVersion(0x0304)
    assert decode_extension(Extension(5, b""), "server_hello") == b.Empty()


def test_what_is_not_known_stays_octets() -> None:
    for number, context in ((0x0A0A, "client_hello"), (0x1234, "server_hello"), (51, "certificate")):
        assert decode_extension(Extension(number, b"??"), context) == b"??"


def test_an_encrypted_client_hello_tells_its_outside() -> None:
    body = bytes.fromhex("00 0001 0003 2a 0002 aabb 0003 010203")
    found = decode_extension(Extension(0xFE0D, body), "client_hello")
    assert found == b.EncryptedClientHello(0, 1, 3, 42, b"\xaa\xbb", b"\1\2\3")
    assert decode_extension(Extension(0xFE0D, b"\1"), "client_hello") == b.EncryptedClientHello(1)


def test_quic_parameters_keep_how_wide_their_numbers_were() -> None:
    body = bytes.fromhex("4001 02 0102 0f 00")
    found = decode_extension(Extension(57, body), "client_hello")
    assert found == b.QuicTransportParameters((b.QuicParameter(1, b"\1\2", (2, 1)), b.QuicParameter(15, b"", (1, 1))))
    assert encode_extension(57, found).body == body


def test_octets_left_over_are_an_error() -> None:
    for number, body in ((16, b"\0\x03\x02h2!"), (0, b"\0\0\0"), (45, b"\x01\x01\x01"), (41, b"\0\0\0\0\0")):
        with pytest.raises(WireError, match="left over"):
            decode_extension(Extension(number, body), "client_hello")


@settings(max_examples=300)
@given(
    st.one_of(
        st.binary(max_size=40),
        st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=3)), max_size=4).map(
            lambda shares: b"".join([bytes([0, group, 0, len(key)]) + key for group, key in shares])
        ),
    ),
    st.integers(-1, 1),
)
def test_shares_are_read_alike_the_quick_way(octets: bytes, off: int) -> None:
    for kind, body in (
        (b.KeyShare, octets),
        (b.KeyShares, octets),
        (b.KeyShares, max(0, len(octets) + off).to_bytes(2, "big") + octets),
    ):
        try:
            careful: object = kind.read(Reader(body))
        except WireError:
            careful = None
        assert kind.quick(body) == careful
