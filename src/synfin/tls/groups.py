"""Key exchange in the named groups (RFC 8446 4.2.8 and 7.4, RFC 7748, RFC 7919, draft-ietf-tls-ecdhe-mlkem).

``generate`` makes a private key and the share to send; ``agree`` makes the secret from the peer's share; ``respond``
does both for a server, which a KEM needs: its share depends on the client's.  Every malformed share is the violation
bad_key_share; in TLS 1.2 a finite-field value out of range is dh_value_out_of_range (RFC 7919 3, 4).  Private keys come
from ``entropy`` where ``cryptography`` takes them as octets (curves, ML-KEM seeds).  Finite-field keys and ML-KEM's
encapsulation take chance from OpenSSL: their secrets must not pass through Python's integers, whose time depends on the
value, so runs with those are not reproducible.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import dh, ec, mlkem, x448
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from synfin.errors import PeerError
from synfin.tls.ffdhe import PRIMES

SECP256R1, SECP384R1, SECP521R1 = 0x0017, 0x0018, 0x0019
X25519, X448 = 0x001D, 0x001E
FFDHE2048, FFDHE3072, FFDHE4096, FFDHE6144, FFDHE8192 = range(0x0100, 0x0105)
X25519MLKEM768 = 0x11EC

Entropy = Callable[[int], bytes]

_ECDH = ec.ECDH()

#: Octets of a coordinate, and the order.
_CURVES: dict[int, tuple[int, int]] = {
    SECP256R1: (32, 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551),
    SECP384R1: (
        48,
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    ),
    SECP521R1: (
        66,
        int("1" + "f" * 65 + "a51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409", 16),
    ),
}

#: What stands around a scalar in an ECPrivateKey (RFC 5915 3): read in less time than a key of the number is derived.
_SEC1 = {
    SECP256R1: (bytes.fromhex("303102010104 20"), bytes.fromhex("a00a06082a8648ce3d030107")),
    SECP384R1: (bytes.fromhex("303e02010104 30"), bytes.fromhex("a00706052b81040022")),
    SECP521R1: (bytes.fromhex("305002010104 42"), bytes.fromhex("a00706052b81040023")),
}

#: What stands before an uncompressed point in a SubjectPublicKeyInfo (RFC 5480 2), and before X25519's keys (RFC 8410):
#: the calls that read these go straight to the library, those for bare octets look first whether it has the curve.
_SPKI = {
    SECP256R1: bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200"),
    SECP384R1: bytes.fromhex("3076301006072a8648ce3d020106052b81040022036200"),
    SECP521R1: bytes.fromhex("30819b301006072a8648ce3d020106052b8104002303818600"),
}
_X25519_PRIVATE, _X25519_PUBLIC = (
    bytes.fromhex("302e020100300506032b656e04220420"),
    bytes.fromhex("302a300506032b656e032100"),
)

#: Every group this engine can use.
SUPPORTED = (
    X25519MLKEM768, X25519, SECP256R1, SECP384R1, SECP521R1, X448,
    FFDHE2048, FFDHE3072, FFDHE4096, FFDHE6144, FFDHE8192,
)  # fmt: skip

#: Groups that TLS 1.2 can use with ECDHE, and with DHE.
ELLIPTIC = frozenset({X25519, SECP256R1, SECP384R1, SECP521R1, X448})
FINITE = frozenset(PRIMES)

_MLKEM_PUBLIC, _MLKEM_CIPHERTEXT = 1184, 1088


@lru_cache(maxsize=5)
def _field(group: int) -> tuple[dh.DHParameters, int, int]:
    p = PRIMES[group]
    return dh.DHParameterNumbers(p, 2).parameters(), p, (p.bit_length() + 7) // 8


def generate(group: int, entropy: Entropy) -> tuple[Any, bytes]:
    """A private key and the public share to send.  KeyError for a group outside ``SUPPORTED``."""
    if group == X25519:
        key: Any = load_der_private_key(_X25519_PRIVATE + entropy(32), None)
        return key, key.public_key().public_bytes_raw()
    if group in _CURVES:
        size, order = _CURVES[group]
        scalar = int.from_bytes(entropy(size + 8), "big") % (order - 1) + 1
        head, tail = _SEC1[group]
        private: Any = load_der_private_key(head + scalar.to_bytes(size, "big") + tail, None)
        return private, private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    if group == X25519MLKEM768:
        decapsulator = mlkem.MLKEM768PrivateKey.from_seed_bytes(entropy(64))
        inner, share = generate(X25519, entropy)
        return (decapsulator, inner), decapsulator.public_key().public_bytes_raw() + share
    if group == X448:
        other = x448.X448PrivateKey.from_private_bytes(entropy(56))
        return other, other.public_key().public_bytes_raw()
    parameters, _, size = _field(group)
    exponent = parameters.generate_private_key()
    return exponent, exponent.public_key().public_numbers().y.to_bytes(size, "big")


def agree(group: int, private: Any, share: bytes) -> bytes:
    """The shared secret of our ``private`` key and the peer's ``share``.

    Raises PeerError bad_key_share (not a public key of the group) or zero_shared_secret.
    """
    try:
        if group == X25519:
            if len(share) != 32:
                raise PeerError("bad_key_share", "32 octets", _told(share))
            return _exchange_x(private, load_der_public_key(_X25519_PUBLIC + share))
        if group in _CURVES:
            size, _ = _CURVES[group]
            if len(share) != 2 * size + 1 or share[0] != 4:
                raise PeerError("bad_key_share", f"an uncompressed point of {2 * size + 1} octets", _told(share))
            shared: bytes = private.exchange(_ECDH, load_der_public_key(_SPKI[group] + share))
            return shared
        if group == X25519MLKEM768:
            if len(share) != _MLKEM_CIPHERTEXT + 32:
                raise PeerError("bad_key_share", f"{_MLKEM_CIPHERTEXT + 32} octets", _told(share))
            decapsulator, inner = private
            first: bytes = decapsulator.decapsulate(share[:_MLKEM_CIPHERTEXT])
            return first + agree(X25519, inner, share[_MLKEM_CIPHERTEXT:])
        if group == X448:
            return _exchange_x(private, x448.X448PublicKey.from_public_bytes(share))
        _, p, size = _field(group)
        if len(share) != size:
            raise PeerError("bad_key_share", f"{size} octets", _told(share))
        y = int.from_bytes(share, "big")
        if not 1 < y < p - 1:
            raise PeerError("bad_key_share", "1 < Y < p-1", "a trivial public value")
        public = dh.DHPublicNumbers(y, dh.DHParameterNumbers(p, 2)).public_key()
        secret: bytes = private.exchange(public)
        return secret.rjust(size, b"\0")
    except ValueError as error:
        raise PeerError("bad_key_share", f"a public key of group 0x{group:04x}", str(error) or _told(share)) from None


def respond(group: int, share: bytes, entropy: Entropy) -> tuple[bytes, bytes]:
    """(share to send, shared secret) for a server that has the client's ``share``; PeerError as ``agree``."""
    if group != X25519MLKEM768:
        private, own = generate(group, entropy)
        return own, agree(group, private, share)
    if len(share) != _MLKEM_PUBLIC + 32:
        raise PeerError("bad_key_share", f"{_MLKEM_PUBLIC + 32} octets", _told(share))
    try:
        first, ciphertext = mlkem.MLKEM768PublicKey.from_public_bytes(share[:_MLKEM_PUBLIC]).encapsulate()
    except ValueError as error:
        raise PeerError("bad_key_share", "an ML-KEM-768 key", str(error)) from None
    inner, own = generate(X25519, entropy)
    return ciphertext + own, first + agree(X25519, inner, share[_MLKEM_PUBLIC:])


def _exchange_x(private: Any, public: Any) -> bytes:
    try:
        shared: bytes = private.exchange(public)
    except ValueError:  # cryptography refuses the all-zero secret, as RFC 7748 6.1 asks
        raise PeerError("zero_shared_secret", "a point of large order", "one of small order") from None
    return shared


def _told(share: bytes) -> str:
    return f"{len(share)} octets"


# ---------------------------------------------------------------- TLS 1.2's Diffie-Hellman


def prime_octets(group: int) -> bytes:
    """The prime of a finite-field group."""
    p = PRIMES[group]
    return p.to_bytes((p.bit_length() + 7) // 8, "big")


def named_field(p: int, g: int) -> int | None:
    """The named group with prime ``p`` and generator ``g``, or None."""
    return next((group for group, prime in PRIMES.items() if prime == p and g == 2), None)


def agree_12(group: int, private: Any, share: bytes) -> bytes:
    """The premaster secret of our ``private`` key and the client's ``share``; PeerError as ``agree``.

    Numbers lose their leading zeros (RFC 5246 8.1.2); out of range they are dh_value_out_of_range (RFC 7919 4).
    """
    if group not in FINITE:
        return agree(group, private, share)
    _, p, size = _field(group)
    _check_range(int.from_bytes(share, "big"), p)
    return agree(group, private, share.lstrip(b"\0").rjust(size, b"\0")).lstrip(b"\0")


def _check_range(y: int, p: int) -> None:
    if not 1 < y < p - 1:
        raise PeerError("dh_value_out_of_range", "1 < Y < p-1", "less" if y < 2 else "more")


def respond_custom(p: int, g: int, share: bytes) -> tuple[bytes, bytes]:
    """(share to send, premaster secret) in a group the server chose itself (RFC 5246 8.1.2: leading zeros go).

    Raises PeerError weak_dh_group below 2048 bits, dh_value_out_of_range (RFC 7919 3), bad_key_share or
    illegal_parameter for impossible numbers.
    """
    bits = p.bit_length()
    if bits < 2048:
        raise PeerError("weak_dh_group", "at least 2048 bits", str(bits))
    if bits > 8192 or not p & 1 or not 1 < g < p - 1:
        raise PeerError("illegal_parameter", "an odd prime of at most 8192 bits and a generator", f"{bits} bits")
    if named_field(p, g) is None and pow(2, p - 1, p) != 1:
        raise PeerError("illegal_parameter", "a prime", "a number that is none")
    y = int.from_bytes(share, "big")
    _check_range(y, p)
    try:
        numbers = dh.DHParameterNumbers(p, g)
        private = numbers.parameters().generate_private_key()
        secret = private.exchange(dh.DHPublicNumbers(y, numbers).public_key())
    except ValueError as error:
        raise PeerError("bad_key_share", "a usable group", str(error)) from None
    own = private.public_key().public_numbers().y
    return own.to_bytes((bits + 7) // 8, "big"), secret.lstrip(b"\0")
