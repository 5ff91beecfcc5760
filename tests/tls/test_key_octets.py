"""Keys read by the library's DER loaders are those that its calls for bare octets read, or are refused alike."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from hypothesis import example, given, settings
from hypothesis import strategies as st

from synfin.errors import PeerError
from synfin.tls import groups

CURVES: dict[int, ec.EllipticCurve] = {0x17: ec.SECP256R1(), 0x18: ec.SECP384R1(), 0x19: ec.SECP521R1()}
SIZES = {0x17: 65, 0x18: 97, 0x19: 133, 0x1D: 32}


def bare(group: int, private: Any, share: bytes) -> bytes | None:
    """The secret by the calls that take bare octets; None where the share is no key."""
    try:
        if group == 0x1D:
            return bytes(private.exchange(x25519.X25519PublicKey.from_public_bytes(share)))
        if share[:1] != b"\4":  # TLS has no compressed points (RFC 8446 4.2.8.2)
            return None
        return bytes(private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(CURVES[group], share)))
    except ValueError:
        return None


def agreed(group: int, private: Any, share: bytes) -> bytes | None:
    try:
        return groups.agree(group, private, share)
    except PeerError as error:
        assert error.violation in ("bad_key_share", "zero_shared_secret")
        return None


@pytest.mark.parametrize("group", SIZES)
def test_shares_are_read_alike(group: int) -> None:
    size = SIZES[group]

    @settings(max_examples=60)
    @given(st.binary(min_size=80, max_size=80), st.binary(min_size=80, max_size=80), st.data())
    def law(ours: bytes, theirs: bytes, data: st.DataObject) -> None:
        private, share = groups.generate(group, lambda n: ours[:n])
        other, public = groups.generate(group, lambda n: theirs[:n])
        assert len(share) == size
        assert agreed(group, private, public) == bare(group, private, public) == agreed(group, other, share)
        at = data.draw(st.integers(0, size - 1))
        for bad in (
            public[:at],
            public + b"\0",
            public[:at] + bytes([public[at] ^ data.draw(st.integers(1, 255))]) + public[at + 1 :],
            data.draw(st.binary(min_size=size, max_size=size)),
            public[:1] + bytes(size - 1),
            public[:1] + b"\xff" * (size - 1),
        ):
            assert agreed(group, private, bad) == bare(group, private, bad), bad.hex()

    law()


@given(st.binary(min_size=32, max_size=32))
@example(bytes(32))
@example(b"\xff" * 32)
def test_x25519_scalars_are_read_alike(octets: bytes) -> None:
    private, share = groups.generate(0x1D, lambda n: octets)
    key = x25519.X25519PrivateKey.from_private_bytes(octets)
    assert private.private_bytes_raw() == key.private_bytes_raw()
    assert share == key.public_key().public_bytes_raw()
