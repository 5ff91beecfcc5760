"""AEAD protection of TLS 1.3 (RFC 8446 5.2) and TLS 1.2 (RFC 5246 6.2.3.3): GCM, CCM and ChaCha20-Poly1305."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from synfin.spec import keys
from synfin.spec.protection_base import BadRecord, Protection, Unsupported, mac_header, record_header
from synfin.wire.tls.suites import Suite

APPLICATION_DATA = 23

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

    __slots__ = ("_aead", "_decrypt", "_iv", "_secret", "_suite", "_tag")

    def __init__(self, chosen: Suite, traffic_secret: bytes) -> None:
        super().__init__()
        self._suite = chosen
        self._secret = traffic_secret
        key, iv = keys.traffic_keys(prf_hash(chosen), chosen.key_length, traffic_secret)
        self._iv = int.from_bytes(iv, "big")
        self._aead, self._tag = _aead(chosen, key)
        self._decrypt = self._aead.decrypt

    def open_record(self, content_type: int, version: int, fragment: bytes) -> tuple[int, bytes]:
        """See ``Protection``; the header counts as additional data, so all of it must be right."""
        sequence = self.sequence
        try:
            inner = self._decrypt(
                (self._iv ^ sequence).to_bytes(12, "big"), fragment, record_header(content_type, version, len(fragment))
            )
        except InvalidTag:
            raise BadRecord("tag does not verify") from None
        if not inner or not inner[-1]:
            inner = inner.rstrip(b"\0")
            if not inner:
                raise BadRecord("no content type, only padding (RFC 8446 5.4)")
        self.sequence = sequence + 1
        return inner[-1], inner[:-1]

    def seal_record(self, content_type: int, plaintext: bytes, padding: int = 0) -> bytes:
        """See ``Protection``."""
        inner = b"%b%c%b" % (plaintext, content_type, bytes(padding))
        header = record_header(APPLICATION_DATA, keys.TLS12, len(inner) + self._tag)
        nonce = (self._iv ^ self.sequence).to_bytes(12, "big")
        self.sequence += 1
        return header + self._aead.encrypt(nonce, inner, header)

    @property
    def expansion(self) -> int:
        """Octets by which a record's fragment is longer than content, content type and padding."""
        return self._tag

    @property
    def secret(self) -> bytes:
        """The traffic secret these keys come from."""
        return self._secret

    def updated(self) -> Aead13:
        """The keys after a KeyUpdate (RFC 8446 7.2)."""
        return Aead13(self._suite, keys.next_traffic_secret(prf_hash(self._suite), self._secret))


class Aead12(Protection):
    """TLS 1.2 AEAD (RFC 5246 6.2.3.3): GCM (RFC 5288) and CCM (RFC 6655) send part of the nonce."""

    __slots__ = ("_aead", "_explicit", "_iv", "_salt", "_tag")

    def __init__(self, chosen: Suite, key: bytes, iv: bytes) -> None:
        super().__init__()
        self._aead, self._tag = _aead(chosen, key)
        self._explicit = 8 if len(iv) == 4 else 0
        self._salt = iv
        self._iv = int.from_bytes(iv, "big")

    def open_record(self, content_type: int, version: int, fragment: bytes) -> tuple[int, bytes]:
        """See ``Protection``."""
        sequence = self.sequence
        explicit = self._explicit
        size = len(fragment) - explicit - self._tag
        if size < 0:
            raise BadRecord("too short for its tag")
        if explicit:
            nonce = self._salt + fragment[:explicit]
            fragment = fragment[explicit:]
        else:
            nonce = (self._iv ^ sequence).to_bytes(12, "big")
        try:
            plaintext = self._aead.decrypt(nonce, fragment, mac_header(sequence, content_type, version, size))
        except InvalidTag:
            raise BadRecord("tag does not verify") from None
        self.sequence = sequence + 1
        return content_type, plaintext

    def seal_record(self, content_type: int, plaintext: bytes, padding: int = 0) -> bytes:
        """See ``Protection``; the explicit nonce is the sequence number."""
        size = len(plaintext)
        number = self.sequence.to_bytes(8, "big") if self._explicit else b""
        nonce = self._salt + number if self._explicit else (self._iv ^ self.sequence).to_bytes(12, "big")
        sealed = self._aead.encrypt(nonce, plaintext, mac_header(self.sequence, content_type, keys.TLS12, size))
        self.sequence += 1
        return record_header(content_type, keys.TLS12, len(number) + len(sealed)) + number + sealed
