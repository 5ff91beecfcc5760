"""Client certificates at a TLS 1.3 server, in the handshake and after it, by the sections of RFC 8446 and RFC 8879."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import brotli
import pytest
import zstandard
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding

from synfin.spec.protection import Aead13
from synfin.tls import PathVerifier, PeerAuthenticated
from synfin.tls.signing import context_13
from tests.spec.test_certificates_check import resigned
from tests.support.minted import mint
from tests.support.tlsoctets import (
    BAD_CERT,
    DECODE,
    DECRYPT,
    ILLEGAL,
    REQUIRED,
    UNEXPECTED,
    UNSUPPORTED,
    UNSUPPORTED_CERT,
    flip,
    message,
    vector,
)
from tests.tls.ends import NOW, credential, events, leaf, of, root, server, server_config, verifier
from tests.tls.raw13 import ALERT, DATA, HANDSHAKE, AlertError, Memory, Raw13, Row, connect, flown

Act = Callable[[Raw13], Any]
DER = credential(client=True).chain[0]
ASKS: dict[str, Any] = {"client_auth": "required", "verify": verifier()}


def entry(der: bytes = DER, extensions: bytes = b"") -> bytes:
    return vector(der, 3) + vector(extensions)


def listed(*entries: bytes, context: bytes = b"") -> bytes:
    """The body of a Certificate message."""
    return vector(context, 1) + vector(b"".join(entries), 3)


FINE = listed(entry())


def body(certificate: bytes) -> Act:
    """This Certificate, a right CertificateVerify, and Finished."""
    return flown(lambda c: c.certificate(certificate).say(c.verify()).finish())


def proof(make: Callable[[Raw13], bytes]) -> Act:
    """A right Certificate, and this for a CertificateVerify."""
    return flown(lambda c: c.certificate(FINE).say(make(c)))


def verifying(bend: Callable[[bytes], bytes]) -> Act:
    """A right CertificateVerify's body, bent."""
    return proof(lambda c: message(15, bend(c.verify()[4:])))


def first(size: int, data: bytes) -> bytes:
    return data[:size]


def renamed(scheme: int, data: bytes) -> bytes:
    return scheme.to_bytes(2, "big") + data[2:]


def signed(side: str, digest: Callable[[Raw13], bytes]) -> Act:
    """A CertificateVerify over other octets."""

    def made(c: Raw13) -> bytes:
        signature = credential(client=True).key.sign(context_13(side, digest(c)), ec.ECDSA(hashes.SHA256()))
        return message(15, b"\4\3" + vector(signature))

    return proof(made)


def with_key(kind: str, scheme: int, want: int | str, how: Any = None) -> Row:
    """A client with another kind of key; ``how`` makes a signature that is not quite of the scheme."""
    made = credential(kind, client=True)

    def act(c: Raw13) -> None:
        c.say(c.hello()).flight().certificate(listed(entry(made.chain[0])))
        raw = c.verify(made.key, scheme) if how is None else b""
        if how is not None:
            raw = message(15, scheme.to_bytes(2, "big") + vector(how(made.key, context_13("client", c.digest()))))
        c.say(raw).finish()

    words = f"{kind} with {scheme:04x}" + (", not quite" if how else "")
    return Row("4.2.3", words, act, want, ASKS)


def salt(octets: int) -> Any:
    """RSA-PSS with a salt of another length."""
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), octets)
    return lambda key, data: key.sign(data, pss, hashes.SHA256())


def squeezed(algorithm: int, length: int, data: bytes, tail: bytes = b"") -> Act:
    """A CompressedCertificate, and the rest of the flight."""
    head = algorithm.to_bytes(2, "big") + length.to_bytes(3, "big")
    return flown(lambda c: c.say(message(25, head + vector(data, 3) + tail)).say(c.verify()).finish())


def cut(kind: int, content: bytes) -> Act:
    """Certificate in two records, and another one between them."""
    raw = message(11, FINE)
    return flown(lambda c: c.put(HANDSHAKE, raw[:50]).put(kind, content).put(HANDSHAKE, raw[50:]))


def in_one(c: Raw13) -> None:
    first = message(11, FINE)
    c.said += first
    second = c.verify()
    c.said += second
    third = message(20, c.verify_data())
    c.said += third
    c.put(HANDSHAKE, first + second + third).application_keys()


N, ZLIB = len(FINE), zlib.compress(FINE)
CERTIFICATES: dict[str, tuple[bytes, int | str]] = {
    "as it is": (FINE, "ok"),
    "its issuer too": (listed(entry(), entry(root().der)), "ok"),
    "twice": (listed(entry(), entry()), "ok"),
    "a context": (listed(entry(), context=b"x"), ILLEGAL),
    "a long context": (listed(entry(), context=bytes(255)), ILLEGAL),
    "nothing": (b"", DECODE),
    "context alone": (b"\0", DECODE),
    "list cut": (b"\0\0\0", DECODE),
    "list too long": (b"\0" + (N - 3).to_bytes(3, "big") + FINE[4:], DECODE),
    "list too short": (b"\0" + (N - 5).to_bytes(3, "big") + FINE[4:], DECODE),
    "list of 2^24-1": (b"\0\xff\xff\xff" + FINE[4:], DECODE),
    "an octet behind": (FINE + b"\0", DECODE),
    "an empty certificate": (listed(entry(b"")), DECODE),
    "an empty certificate second": (listed(entry(), entry(b"")), DECODE),
    "no extension block": (listed(vector(DER, 3)), DECODE),
    "extensions cut": (listed(vector(DER, 3) + b"\0\5\x12"), DECODE),
    "not DER": (listed(entry(b"x")), BAD_CERT),
    "DER cut": (listed(entry(DER[:-1])), BAD_CERT),
    "DER and an octet": (listed(entry(DER + b"\0")), BAD_CERT),
    "a damaged signature": (listed(entry(DER[:-1] + bytes([DER[-1] ^ 1]))), BAD_CERT),
    "a certificate for servers": (listed(entry(leaf().der)), UNSUPPORTED_CERT),
}  # fmt: skip
EXTENSIONS = {
    "unknown": (b"\x12\x34\0\0", UNSUPPORTED),
    "grease": (b"\x0a\x0a\0\0", UNSUPPORTED),
    "a staple": (b"\0\5\0\5\1\0\0\1x", UNSUPPORTED),
    "timestamps": (b"\0\x12\0\2\0\0", UNSUPPORTED),
    "what was asked, but not for here": (b"\0\x0d\0\4\0\2\4\3", ILLEGAL),
    "twice the same": (b"\x12\x34\0\0" * 2, ILLEGAL),
}  # fmt: skip
WRONG_SCHEMES = (
    0x0401, 0x0501, 0x0601, 0x0201, 0x0203, 0x0101, 0x0301, 0x0303, 0x0402, 0x0503, 0x0603, 0x0804, 0x0809, 0x0807,
    0x0808, 0x0904, 0x0000, 0x0A0A, 0xFE00, 0xFFFF,
)  # fmt: skip

RIGHT_SCHEMES = (
    ("p256", 0x0403), ("p384", 0x0503), ("p521", 0x0603), ("ed25519", 0x0807), ("ed448", 0x0808), ("rsa2048", 0x0804),
    ("rsa2048", 0x0805), ("rsa2048", 0x0806), ("ml-dsa-44", 0x0904),
)  # fmt: skip
WELCOMES: dict[str, Any] = {**ASKS, "client_auth": "optional"}
ROWS = [
    *[Row("4.4.2", what, body(made), want, ASKS) for what, (made, want) in CERTIFICATES.items()],
    *[
        Row("4.2", f"extension {what}", body(listed(entry(DER, made))), want, ASKS)
        for what, (made, want) in EXTENSIONS.items()
    ],
    Row("4.4.2.4", "none where one is required", flown(lambda c: c.certificate(listed()).finish()), REQUIRED, ASKS),
    Row("4.4.2.4", "none where one is welcome", flown(lambda c: c.certificate(listed()).finish()), "ok", WELCOMES),
    Row(
        "4.4.3", "CertificateVerify of none",
        flown(lambda c: c.certificate(listed()).say(message(15, b"\4\3\0\1x"))), UNEXPECTED, WELCOMES,
    ),
    Row("4.4.3", "no CertificateVerify", flown(lambda c: c.certificate(FINE).finish()), UNEXPECTED, ASKS),
    Row("4.4.2", "no Certificate", flown(lambda c: c.finish()), UNEXPECTED, ASKS),
    Row("4.4.3", "CertificateVerify first", flown(lambda c: c.say(c.verify())), UNEXPECTED, ASKS),
    Row("4.4.2", "Certificate twice", flown(lambda c: c.certificate(FINE).certificate(FINE)), UNEXPECTED, ASKS),
    Row(
        "4.4.3", "CertificateVerify twice",
        flown(lambda c: c.certificate(FINE).say(c.verify()).say(c.verify())), UNEXPECTED, ASKS,
    ),
    Row("5.1", "all in one record", flown(in_one), "ok", ASKS),
    Row(
        "5.1", "in records of one octet",
        flown(lambda c: c.say(message(11, FINE), each=1).say(c.verify(), each=7).finish()), "ok", ASKS,
    ),
    Row("5.1", "an alert within", cut(ALERT, b"\1\x5a"), UNEXPECTED, ASKS),
    Row("5.1", "data within", cut(DATA, b""), UNEXPECTED, ASKS),
    Row("6", "a Certificate of 2^24-1", flown(lambda c: c.put(HANDSHAKE, b"\x0b\xff\xff\xff")), DECODE, ASKS),
    *[Row("4.4.3", f"signature wrong at {n}", verifying(partial(flip, at=n)), DECRYPT, ASKS) for n in (4, 20, -1)],
    Row("4.4.3", "an empty signature", verifying(lambda b: b"\4\3\0\0"), DECRYPT, ASKS),
    Row("4.4.3", "a signature and an octet", verifying(lambda b: b[:2] + vector(b[4:] + b"\0")), DECRYPT, ASKS),
    Row("4.4.3", "a signature cut", verifying(lambda b: b[:2] + vector(b[4:-1])), DECRYPT, ASKS),
    Row("4.4.3", "a signature of 65535", verifying(lambda b: b[:2] + vector(bytes(65535))), DECRYPT, ASKS),
    *[Row("6", f"CertificateVerify of {n}", verifying(partial(first, n)), DECODE, ASKS) for n in (0, 1, 2, 3, 20)],
    Row("6", "CertificateVerify and an octet", verifying(lambda b: b + b"\0"), DECODE, ASKS),
    Row("4.4.3", "the server's context string", signed("server", lambda c: c.digest()), DECRYPT, ASKS),
    Row("4.4.3", "another transcript", signed("client", lambda c: bytes(32)), DECRYPT, ASKS),
    Row("4.4.3", "another key", proof(lambda c: c.verify(leaf().key)), DECRYPT, ASKS),
    *[Row("4.4.3", f"scheme {n:04x}", verifying(partial(renamed, n)), ILLEGAL, ASKS) for n in WRONG_SCHEMES],
    *[with_key(kind, scheme, "ok") for kind, scheme in RIGHT_SCHEMES],
    with_key("rsa2048", 0x0804, DECRYPT, salt(0)),
    with_key("rsa2048", 0x0804, DECRYPT, salt(31)),
    with_key("rsa2048", 0x0804, DECRYPT, lambda key, data: key.sign(data, padding.PKCS1v15(), hashes.SHA256())),
    with_key("rsa2048", 0x0401, ILLEGAL, lambda key, data: key.sign(data, padding.PKCS1v15(), hashes.SHA256())),
    with_key("rsa2048", 0x0809, ILLEGAL, salt(32)),
    with_key("p384", 0x0403, ILLEGAL, lambda key, data: key.sign(data, ec.ECDSA(hashes.SHA256()))),
    Row("RFC 8879 4", "zlib", squeezed(1, N, ZLIB), "ok", ASKS),
    Row("RFC 8879 4", "brotli", squeezed(2, N, brotli.compress(FINE)), "ok", ASKS),
    Row("RFC 8879 4", "zstd", squeezed(3, N, zstandard.ZstdCompressor().compress(FINE)), "ok", ASKS),
    *[Row("RFC 8879 4", f"a length of {n} too much", squeezed(1, N + n, ZLIB), BAD_CERT, ASKS) for n in (1, -1, 1000)],
    Row("RFC 8879 4", "a length of 0", squeezed(1, 0, ZLIB), BAD_CERT, ASKS),
    Row("RFC 8879 4", "cut", squeezed(1, N, ZLIB[:-5]), BAD_CERT, ASKS),
    Row("RFC 8879 4", "an octet behind what was compressed", squeezed(1, N, ZLIB + b"x"), BAD_CERT, ASKS),
    Row("RFC 8879 4", "not compressed", squeezed(1, N, FINE), BAD_CERT, ASKS),
    Row(
        "RFC 8879 4", "2^24-1 of zeros",
        squeezed(1, (1 << 24) - 1, zlib.compress(bytes((1 << 24) - 1))), BAD_CERT, ASKS,
    ),
    Row("RFC 8879 4", "nothing compressed", squeezed(1, N, b""), DECODE, ASKS),
    Row("RFC 8879 4", "no Certificate in it", squeezed(1, 20, zlib.compress(b"x" * 20)), DECODE, ASKS),
    Row("RFC 8879 4", "an octet behind", squeezed(1, N, ZLIB, b"x"), DECODE, ASKS),
    *[Row("RFC 8879 4", f"algorithm {n}", squeezed(n, N, ZLIB), ILLEGAL, ASKS) for n in (0, 4, 0xFFFF)],
    Row(
        "RFC 8879 4", "compressed, though it was not asked for",
        squeezed(1, N, ZLIB), UNEXPECTED, {**ASKS, "certificate_compression": ()},
    ),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_client_certificates(row: Row) -> None:
    assert row.play() == row.want


@pytest.mark.parametrize("digest", ["md5", "sha1"])
def test_hashes_of_the_past(digest: str) -> None:
    """RFC 8446 4.4.2.4: bad_certificate."""
    when = datetime.fromtimestamp(NOW, UTC)
    issuer = mint("An issuer", kind="rsa2048", number=31, ca=True, now=when)
    made = mint("Somebody", issuer, number=4, now=when)
    old = listed(entry(resigned(made, issuer, digest)), entry(issuer.der))
    row = Row("4.4.2.4", digest, body(old), BAD_CERT, {**ASKS, "verify": PathVerifier([issuer.der])})
    assert row.play() == BAD_CERT


@pytest.mark.parametrize("signs", [False, True])
def test_a_leaf_is_for_signing(signs: bool) -> None:
    """RFC 8446 4.4.2.2: with a Key Usage, digitalSignature is in it."""
    when = datetime.fromtimestamp(NOW, UTC)
    usage = x509.KeyUsage(signs, False, True, *[False] * 6)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(root().key.public_key())
    made = mint("Somebody", root(), number=5, now=when, extensions=[(usage, True), (authority, False)])

    def act(c: Raw13) -> None:
        c.certificate(listed(entry(made.der))).say(c.verify(made.key)).finish()

    assert Row("4.4.2.2", "", flown(act), "", ASKS).play() == ("ok" if signs else UNSUPPORTED_CERT)


# ---------------------------------------------------------------- after the handshake


def finished(c: Raw13) -> Raw13:
    """Finished under the client's present application secret (RFC 8446 4.4)."""
    assert c.schedule is not None
    assert isinstance(c.out, Aead13)
    return c.say(message(20, c.schedule.verify_data(c.out._secret, c.digest())))


def shown(c: Raw13, context: bytes) -> Raw13:
    return c.certificate(listed(entry(), context=context))


def answered(c: Raw13, context: bytes) -> Raw13:
    return finished(shown(c, context).say(c.verify()))


LATE: list[tuple[str, Callable[[Raw13, bytes], Any], int | str]] = [
    ("as it should be", answered, "proved"),
    ("declined", lambda c, x: finished(c.certificate(listed(context=x))), "declined"),
    ("data before", lambda c, x: answered(c.put(DATA, b"x"), x), "proved"),
    ("new keys before", lambda c, x: answered(c.put(HANDSHAKE, message(24, b"\0")).updated(), x), "proved"),
    ("data behind", lambda c, x: answered(c, x).put(DATA, b"x"), "proved"),
    ("another context", lambda c, x: c.certificate(listed(entry(), context=x[1:])), ILLEGAL),
    ("no context", lambda c, x: c.certificate(FINE), ILLEGAL),
    ("data between", lambda c, x: shown(c, x).put(DATA, b"x"), UNEXPECTED),
    ("empty data between", lambda c, x: shown(c, x).put(DATA, b""), UNEXPECTED),
    ("data before Finished", lambda c, x: c.certificate(listed(context=x)).put(DATA, b"x"), UNEXPECTED),
    ("new keys between", lambda c, x: shown(c, x).put(HANDSHAKE, message(24, b"\0")), UNEXPECTED),
    ("no CertificateVerify", lambda c, x: finished(shown(c, x)), UNEXPECTED),
    ("Certificate twice", lambda c, x: shown(shown(c, x), x), UNEXPECTED),
    ("answered twice", lambda c, x: answered(answered(c, x), x), UNEXPECTED),
    ("another signature", lambda c, x: shown(c, x).say(c.verify(leaf().key)), DECRYPT),
    ("Finished of zeros", lambda c, x: c.certificate(listed(context=x)).say(message(20, bytes(32))), DECRYPT),
    ("Finished by old keys", lambda c, x: c.certificate(listed(context=x)).say(message(20, c.verify_data())), DECRYPT),
    ("Finished short", lambda c, x: c.certificate(listed(context=x)).say(message(20, bytes(31))), DECODE),
]  # fmt: skip


@pytest.mark.parametrize(("what", "act", "want"), LATE, ids=[row[0] for row in LATE])
def test_after_the_handshake(what: str, act: Callable[[Raw13, bytes], Any], want: int | str) -> None:
    """RFC 8446 4.6.2."""
    c = connect(server(server_config(verify=verifier())))
    assert isinstance(c.way, Memory)
    c.shake(c.hello({49: b""})).late()
    c.way.end.request_certificate()
    request = c.next() or b""
    c.said += request
    found: int | str | None = None
    try:
        act(c, request[5 : 5 + request[4]])
        c.late()
    except AlertError as error:
        found = error.alert
    for event in of([*c.way.events, *events(c.way.end)], PeerAuthenticated):
        found = found or ("proved" if event.chain else "declined")
        assert event.chain == ((DER,) if event.chain else ())
    assert found == want, what
