"""Key exchange of TLS 1.2 in both roles: what the server offers, what the client answers, and the premaster secret.

ECDHE takes named groups and uncompressed points only (RFC 8422 5.4, 5.7), finite fields at least 2048 bits and values
between 1 and p-1 (RFC 7919 3, 4).  Static RSA, where it was asked for, never tells whether a premaster secret was well
formed (RFC 5246 7.4.7.1): the decryption rejects implicitly, and a wrong version or length spoils the secret, so that
the client's Finished is what does not open.  Who signs what, and what a certificate must allow, is decided elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric import padding, rsa

from synfin.errors import PeerError
from synfin.tls import groups, signing
from synfin.wire.tls.messages import ClientKeyExchange, ServerKeyExchange

if TYPE_CHECKING:
    from synfin.tls.client import Client

# ---------------------------------------------------------------- the server


def server_parameters(kex: str, group: int, entropy: groups.Entropy) -> tuple[Any, bytes]:
    """A private key in ``group``, and the parameters that ServerKeyExchange tells and signs."""
    private, public = groups.generate(group, entropy)
    if kex.startswith("ECDHE"):
        return private, b"\3" + group.to_bytes(2, "big") + bytes([len(public)]) + public
    return private, b"".join([len(x).to_bytes(2, "big") + x for x in (groups.prime_octets(group), b"\2", public)])


def agreed(private: Any, group: int, message: ClientKeyExchange) -> bytes:
    """The premaster secret by Diffie-Hellman.  PeerError for a public value that is none."""
    if not message.exchange:
        raise PeerError("decode_error", "a public value", "none")
    return groups.agree_12(group, private, message.exchange)


def opened(private: Any, message: ClientKeyExchange, version: int, entropy: groups.Entropy) -> bytes:
    """The premaster secret of static RSA, by the first way of RFC 5246 7.4.7.1: ``version`` is the ClientHello's.

    PeerError decode_error for a message without the length of its secret; nothing else is ever told.
    """
    if not message.prefix:
        raise PeerError("decode_error", "an encrypted premaster secret", "none")
    secret = chance = bytes(entropy(48))
    try:
        secret = private.decrypt(message.exchange, padding.PKCS1v15())
    except ValueError:  # as long as no ciphertext of this key is, or not below its modulus
        secret = chance
    return version.to_bytes(2, "big") + (secret if len(secret) == 48 else chance)[2:]


# ---------------------------------------------------------------- the client


class Offered(NamedTuple):
    """What a server's ServerKeyExchange offers: its group (None: its own numbers), and octets its signature covers."""

    group: int | None
    size: int


def read_parameters(kex: str, message: ServerKeyExchange, listed: tuple[int, ...]) -> Offered:
    """Check the form of a ServerKeyExchange; ``listed`` are the groups of our hello.  Raises PeerError."""
    public = message.public or b""
    if message.rest and message.curve_type in (None, 3):
        raise PeerError("trailing_bytes", "the end", f"{len(message.rest)} octets")
    if (message.curve_type in (None, 3) and not public) or not all(message.parameters):
        raise PeerError("decode_error", "a public value", "none")
    group: int | None = None
    if kex.startswith("ECDHE"):
        if message.curve_type != 3:
            raise PeerError("illegal_parameter", "a named curve", f"curve type {message.curve_type}")
        group = message.group or 0
        if group not in listed or group not in groups.ELLIPTIC:
            raise PeerError("group_not_offered", "one that was offered", f"0x{group:04x}")
        size = 4 + len(public)
    else:
        size = 6 + sum(map(len, message.parameters)) + len(public)
    if message.scheme is None or message.signature is None:
        raise PeerError("decode_error", "a signature", "none")
    return Offered(group, size)


class Answer(NamedTuple):
    """The body of a ClientKeyExchange, the premaster secret it leads to, and the named group, if it is one."""

    body: bytes
    premaster: bytes
    group: int | None


def answer(message: ServerKeyExchange, group: int | None, entropy: groups.Entropy) -> Answer:
    """Our half of Diffie-Hellman, once the server's signature holds.  PeerError for impossible numbers."""
    public = message.public or b""
    if group is not None:
        own, premaster = groups.respond(group, public, entropy)
        return Answer(bytes([len(own)]) + own, premaster, group)
    p, g = (int.from_bytes(value, "big") for value in message.parameters)
    own, premaster = groups.respond_custom(p, g, public)
    return Answer(len(own).to_bytes(2, "big") + own, premaster, groups.named_field(p, g))


def sealed(end: Client, leaf: bytes) -> Answer:
    """The classic PreMasterSecret, encrypted to the server's key (RFC 5246 7.4.7.1)."""
    premaster = b"\3\3" + end.entropy(46)
    public = signing.peer_key(leaf).public
    if not isinstance(public, rsa.RSAPublicKey):
        raise PeerError("certificate_wrong_key_type", "rsa", "another")
    try:
        octets = end.seal_premaster(public, premaster)
    except ValueError:  # too few bits for it, or more than anyone computes with
        raise PeerError(
            "certificate_wrong_key_type", "a key for a PreMasterSecret", f"{public.key_size} bits"
        ) from None
    return Answer(len(octets).to_bytes(2, "big") + octets, premaster, None)
