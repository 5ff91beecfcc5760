"""AEAD protection of TLS 1.3 (RFC 8446 5.2) and TLS 1.2 (RFC 5246 6.2.3.3): GCM, CCM and ChaCha20-Poly1305."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from synfin.spec import keys
from synfin.spec.protection_base import BadRecord, Protection, Unsupported, mac_header, record_header
from synfin.wire.codec import Buffer
from synfin.wire.tls.suites import Suite

APPLICATION_DATA = 23
TLS12 = keys.TLS12
_TYPES = [bytes([number]) for number in range(256)]

Aead = AESGCM | AESCCM | ChaCha20Poly1305


def prf_hash(chosen: Suite) -> str:
    """The hash of the suite's key schedule: SHA-384 where the suite says so, else SHA-256 (RFC 5246 5)."""
    return "sha384" if chosen.hash == "SHA384" else "sha256"


def _aead(chosen: Suite, key: bytes) -> tuple[Aead, int]:
    """The AEAD of a suite and its tag's octets."""
    cipher = chosen.cipher
    if cipher.startswith("AES_") and cipher.endswith("_GCM"):
        return AESGCM(key), 16
    if cipher.startswith("AES_") and "_CCM" in cipher:
        tag = 8 if cipher.endswith("_8") else 16
        return AESCCM(key, tag), tag
    if cipher.startswith("CHACHA20"):
        return ChaCha20Poly1305(key), 16
    raise Unsupported(chosen.name)


class Aead13(Protection):
    """TLS 1.3 (RFC 8446 5.2): content type inside, padding of zeros, nonce = IV xor sequence number."""

    __slots__ = ("_decrypt", "_encrypt", "_iv", "_secret", "_suite", "expansion")

    def __init__(self, chosen: Suite, traffic_secret: bytes) -> None:
        super().__init__()
        self._suite = chosen
        self._secret = traffic_secret
        key, iv = keys.traffic_keys(prf_hash(chosen), chosen.key_length, traffic_secret)
        self._iv = int.from_bytes(iv, "big")
        aead, tag = _aead(chosen, key)
        self._decrypt, self._encrypt = aead.decrypt, aead.encrypt
        #: Octets by which a record's fragment is longer than content, content type and padding.
        self.expansion = tag

    def open_record(self, content_type: int, version: int, fragment: Buffer) -> tuple[int, bytes]:
        """See ``Protection``; the header counts as additional data, so all of it must be right."""
        sequence = self.sequence
        try:
            inner = self._decrypt(
                (self._iv ^ sequence).to_bytes(12, "big"), fragment, record_header(content_type, version, len(fragment))
            )
        except InvalidTag:
            raise BadRecord("tag does not verify") from None
        kind = inner[-1] if inner else 0
        if not kind:
            inner = inner.rstrip(b"\0")
            if not inner:
                raise BadRecord("no content type, only padding (RFC 8446 5.4)")
            kind = inner[-1]
        self.sequence = sequence + 1
        return kind, inner[:-1]

    def seal_record(self, content_type: int, plaintext: bytes, padding: int = 0) -> bytes:
        """See ``Protection``."""
        parts: list[bytes] = []
        self.seal_parts(content_type, plaintext, parts, padding)
        return b"".join(parts)

    def seal_parts(self, content_type: int, plaintext: Buffer, out: list[bytes], padding: int = 0) -> None:
        """See ``Protection``; the content is copied once, to stand before its type."""
        tail = _TYPES[content_type]
        inner = b"".join((plaintext, tail + bytes(padding) if padding else tail))
        header = record_header(APPLICATION_DATA, TLS12, len(inner) + self.expansion)
        sequence = self.sequence
        self.sequence = sequence + 1
        out += header, self._encrypt((self._iv ^ sequence).to_bytes(12, "big"), inner, header)

    @property
    def secret(self) -> bytes:
        """The traffic secret these keys come from."""
        return self._secret

    def updated(self) -> Aead13:
        """The keys after a KeyUpdate (RFC 8446 7.2)."""
        return Aead13(self._suite, keys.next_traffic_secret(prf_hash(self._suite), self._secret))


class Aead12(Protection):
    """TLS 1.2 AEAD (RFC 5246 6.2.3.3): GCM (RFC 5288) and CCM (RFC 6655) send part of the nonce."""

    __slots__ = ("_decrypt", "_encrypt", "_explicit", "_iv", "_salt", "_tag")

    def __init__(self, chosen: Suite, key: bytes, iv: bytes) -> None:
        super().__init__()
        aead, self._tag = _aead(chosen, key)
        self._decrypt, self._encrypt = aead.decrypt, aead.encrypt
        self._explicit = 8 if len(iv) == 4 else 0
        self._salt = iv
        self._iv = int.from_bytes(iv, "big")

    def open_record(self, content_type: int, version: int, fragment: Buffer) -> tuple[int, bytes]:
        """See ``Protection``."""
        sequence = self.sequence
        explicit = self._explicit
        size = len(fragment) - explicit - self._tag
        if size < 0:
            raise BadRecord("too short for its tag")
        if explicit:
            nonce = b"%b%b" % (self._salt, fragment[:explicit])
            fragment = fragment[explicit:]
        else:
            nonce = (self._iv ^ sequence).to_bytes(12, "big")
        try:
            plaintext = self._decrypt(nonce, fragment, mac_header(sequence, content_type, version, size))
        except InvalidTag:
            raise BadRecord("tag does not verify") from None
        self.sequence = sequence + 1
        return content_type, plaintext

    def seal_record(self, content_type: int, plaintext: bytes, padding: int = 0) -> bytes:
        """See ``Protection``."""
        parts: list[bytes] = []
        self.seal_parts(content_type, plaintext, parts)
        return b"".join(parts)

    def seal_parts(self, content_type: int, plaintext: Buffer, out: list[bytes], padding: int = 0) -> None:
        """See ``Protection``; the explicit nonce is the sequence number."""
        size = len(plaintext)
        sequence = self.sequence
        self.sequence = sequence + 1
        covered = mac_header(sequence, content_type, TLS12, size)
        if self._explicit:
            nonce = self._salt + covered[:8]
            head = record_header(content_type, TLS12, 8 + size + self._tag) + covered[:8]
        else:
            nonce = (self._iv ^ sequence).to_bytes(12, "big")
            head = record_header(content_type, TLS12, size + self._tag)
        out += head, self._encrypt(nonce, plaintext, covered)
