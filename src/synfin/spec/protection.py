"""Opening and sealing one record: one object per direction and epoch (RFC 8446 5.2, RFC 5246 6.2.3).

An endpoint seals with one object and opens with another; an observer opens both directions.  The object keeps the
sequence number and whatever state the cipher chains from record to record.  What it knows is ciphers; it does not know
when keys change, decompress, or limit how many records a key may protect.

Suites: TLS 1.3 AEADs; for SSL 3.0 to TLS 1.2 GCM, CCM, CCM_8 and ChaCha20-Poly1305, and AES, Camellia, SEED, IDEA,
3DES and DES in CBC (MAC-then-encrypt and encrypt-then-MAC, RFC 7366), RC4 with 128 bits, and NULL.  ARIA, GOST, RC2
and the export suites raise ``Unsupported`` with the suite's name: ``cryptography`` has no such cipher, or nobody
offers the suite any more.

CBC padding and MAC are checked without telling which of them failed, but Python cannot promise constant time
(RFC 5246 6.2.3.2, "Lucky Thirteen"): an endpoint should prefer AEAD or encrypt-then-MAC, where the MAC comes first.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import lru_cache
from hmac import compare_digest
from hmac import digest as hmac_digest
from struct import Struct
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4, IDEA, SEED, Camellia, TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from synfin.errors import WireError
from synfin.spec import keys
from synfin.wire.tls.suites import Suite, suite

APPLICATION_DATA = 23

#: How many records ``try_resync`` looks ahead when it is not told otherwise.
RESYNC_LIMIT = 64

_header = Struct("!BHH").pack
_mac_header = Struct("!QBHH").pack

Aead = AESGCM | AESCCM | ChaCha20Poly1305


class BadRecord(WireError):  # noqa: N818 - the name says the fault
    """A record whose tag or MAC does not verify, or that is too short to have one (alert bad_record_mac)."""

    def __init__(self, why: str) -> None:
        super().__init__(0, "record", why)


class Unsupported(WireError):  # noqa: N818
    """A cipher suite, or a way of using it, that cannot be opened here.  ``name`` says which."""

    def __init__(self, name: str) -> None:
        super().__init__(0, "", f"{name} is not supported")
        self.name = name


class Protection(ABC):
    """The keys of one direction in one epoch.  ``sequence`` numbers the next record."""

    __slots__ = ("sequence",)

    #: Whether a record can be opened without the records before it, so that ``try_resync`` makes sense.
    independent = True

    def __init__(self) -> None:
        self.sequence = 0

    @abstractmethod
    def open_record(self, content_type: int, version: int, fragment: bytes) -> tuple[int, bytes]:
        """(inner content type, plaintext) of the record with this header and fragment.

        Raises BadRecord, and then the sequence number stays where it was.
        """

    @abstractmethod
    def seal_record(self, content_type: int, plaintext: bytes, padding: int = 0) -> bytes:
        """The whole protected record, header included.  ``padding`` is for TLS 1.3, in octets."""

    def skip(self, records: int) -> None:
        """Step over records that were not seen.  With RC4 or an implicit IV the next ones will still not open."""
        self.sequence += records

    def try_resync(self, content_type: int, version: int, fragment: bytes, limit: int = RESYNC_LIMIT) -> int | None:
        """How many records are missing before this one, at most ``limit``; None where it does not open at all.

        Afterwards ``open_record`` opens it.  Costs one decryption for each sequence number tried.
        """
        if not self.independent:
            return None
        start = self.sequence
        for missed in range(limit + 1):
            self.sequence = start + missed
            try:
                self.open_record(content_type, version, fragment)
            except BadRecord:
                continue
            self.sequence = start + missed
            return missed
        self.sequence = start
        return None


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
                (self._iv ^ sequence).to_bytes(12, "big"), fragment, _header(content_type, version, len(fragment))
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
        header = _header(APPLICATION_DATA, keys.TLS12, len(inner) + self._tag)
        nonce = (self._iv ^ self.sequence).to_bytes(12, "big")
        self.sequence += 1
        return header + self._aead.encrypt(nonce, inner, header)

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
            plaintext = self._aead.decrypt(nonce, fragment, _mac_header(sequence, content_type, version, size))
        except InvalidTag:
            raise BadRecord("tag does not verify") from None
        self.sequence = sequence + 1
        return content_type, plaintext

    def seal_record(self, content_type: int, plaintext: bytes, padding: int = 0) -> bytes:
        """See ``Protection``; the explicit nonce is the sequence number."""
        size = len(plaintext)
        number = self.sequence.to_bytes(8, "big") if self._explicit else b""
        nonce = self._salt + number if self._explicit else (self._iv ^ self.sequence).to_bytes(12, "big")
        sealed = self._aead.encrypt(nonce, plaintext, _mac_header(self.sequence, content_type, keys.TLS12, size))
        self.sequence += 1
        return _header(content_type, keys.TLS12, len(number) + len(sealed)) + number + sealed


class _Mac:
    """The MAC of one direction (RFC 5246 6.2.3.1; SSL 3.0's own, RFC 6101 5.2.3.1)."""

    __slots__ = ("_key", "_name", "_ssl3", "length")

    def __init__(self, version: int, name: str, key: bytes) -> None:
        self._key = key
        self._name = name
        self._ssl3 = version == keys.SSL30
        self.length = keys.hash_length(name)

    def __call__(self, sequence: int, content_type: int, version: int, content: bytes) -> bytes:
        if not self._ssl3:
            return hmac_digest(
                self._key, _mac_header(sequence, content_type, version, len(content)) + content, self._name
            )
        pad = 48 if self._name == "md5" else 40
        head = sequence.to_bytes(8, "big") + bytes([content_type]) + len(content).to_bytes(2, "big")
        inner = hashlib.new(self._name, self._key + b"\x36" * pad + head + content).digest()
        return hashlib.new(self._name, self._key + b"\x5c" * pad + inner).digest()


class Stream(Protection):
    """RC4 and NULL with a MAC (RFC 5246 6.2.3.1).  RC4 runs on from record to record: none can be left out."""

    __slots__ = ("_crypt", "_mac", "_version", "independent")

    def __init__(self, version: int, mac: _Mac, crypt: Callable[[bytes], bytes] | None) -> None:
        super().__init__()
        self._version = version
        self._mac = mac
        self._crypt = crypt
        self.independent = crypt is None

    def open_record(self, content_type: int, version: int, fragment: bytes) -> tuple[int, bytes]:
        """See ``Protection``."""
        cut = len(fragment) - self._mac.length
        if cut < 0:
            raise BadRecord("too short for its MAC")
        clear = self._crypt(fragment) if self._crypt else fragment
        content = clear[:cut]
        if not compare_digest(clear[cut:], self._mac(self.sequence, content_type, version, content)):
            raise BadRecord("MAC does not verify")
        self.sequence += 1
        return content_type, content

    def seal_record(self, content_type: int, plaintext: bytes, padding: int = 0) -> bytes:
        """See ``Protection``."""
        clear = plaintext + self._mac(self.sequence, content_type, self._version, plaintext)
        self.sequence += 1
        return _header(content_type, self._version, len(clear)) + (self._crypt(clear) if self._crypt else clear)


class Cbc(Protection):
    """CBC block ciphers with a MAC before (RFC 5246 6.2.3.2) or after encryption (RFC 7366).

    One cipher context runs through all records.  Up to TLS 1.0 the protocol asks for that (the last ciphertext block
    is the next IV); from TLS 1.1 on the explicit IV is simply the first block, whose plaintext is thrown away.
    """

    __slots__ = ("_block", "_crypt", "_entropy", "_etm", "_explicit", "_mac", "_ssl3", "_version", "independent")

    def __init__(
        self,
        version: int,
        mac: _Mac,
        crypt: CipherContext,
        block: int,
        *,
        encrypt_then_mac: bool,
        entropy: Callable[[int], bytes] | None,
    ) -> None:
        super().__init__()
        self._version = version
        self._mac = mac
        self._crypt = crypt.update
        self._block = block
        self._etm = encrypt_then_mac
        self._entropy = entropy
        self._ssl3 = version == keys.SSL30
        self._explicit = block if version >= keys.TLS11 else 0
        self.independent = self._explicit > 0

    def open_record(self, content_type: int, version: int, fragment: bytes) -> tuple[int, bytes]:
        """See ``Protection``."""
        mac_length = self._mac.length
        if self._etm:
            cut = len(fragment) - mac_length
            if cut < self._explicit + self._block:
                raise BadRecord("too short for its MAC and a block")
            body = fragment[:cut]
            if not compare_digest(fragment[cut:], self._mac(self.sequence, content_type, version, body)):
                raise BadRecord("MAC does not verify")
            fragment = body
        if len(fragment) % self._block or len(fragment) < self._explicit + self._block:
            raise BadRecord("not whole blocks")
        clear = self._crypt(fragment)[self._explicit :]
        pad = clear[-1] + 1
        good = pad <= len(clear) and (pad <= self._block if self._ssl3 else clear[-pad:] == clear[-1:] * pad)
        if self._etm:
            if not good:
                raise BadRecord("padding is wrong under a right MAC")
            content = clear[:-pad]
        else:
            cut = len(clear) - (pad if good else 1) - mac_length
            if cut < 0:
                raise BadRecord("MAC does not verify")
            content = clear[:cut]
            mac = self._mac(self.sequence, content_type, version, content)
            if not (compare_digest(clear[cut : cut + mac_length], mac) and good):
                raise BadRecord("MAC does not verify")
        self.sequence += 1
        return content_type, content

    def seal_record(self, content_type: int, plaintext: bytes, padding: int = 0) -> bytes:
        """See ``Protection``; the explicit IV comes from the entropy given to the factory."""
        clear = plaintext
        if not self._etm:
            clear += self._mac(self.sequence, content_type, self._version, plaintext)
        pad = self._block - len(clear) % self._block
        clear += bytes([pad - 1]) * pad
        if self._explicit:
            if self._entropy is None:
                raise ValueError("sealing with an explicit IV needs entropy")
            clear = self._entropy(self._explicit) + clear
        sealed = self._crypt(clear)
        if self._etm:
            sealed += self._mac(self.sequence, content_type, self._version, sealed)
        self.sequence += 1
        return _header(content_type, self._version, len(sealed)) + sealed


# ---------------------------------------------------------------- factories

_BLOCK_CIPHERS: dict[str, tuple[Callable[[bytes], Any], int]] = {
    "AES": (AES, 16),
    "CAMELLIA": (Camellia, 16),
    "SEED": (SEED, 16),
    "IDEA": (IDEA, 8),
    "3DES": (TripleDES, 8),
    "DES": (lambda key: TripleDES(key * 3), 8),  # encrypt, decrypt, encrypt with one key is single DES
}


_MACS = {"MD5": "md5", "SHA": "sha1", "SHA256": "sha256", "SHA384": "sha384"}


def prf_hash(chosen: Suite) -> str:
    """The hash of the suite's key schedule: SHA-384 where the suite says so, else SHA-256 (RFC 5246 5)."""
    return "sha384" if chosen.hash == "SHA384" else "sha256"


def _known(code: int) -> Suite:
    chosen = suite(code)
    if chosen is None:
        raise Unsupported(f"cipher suite 0x{code:04X}")
    return chosen


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


def opener_13(suite_code: int, traffic_secret: bytes) -> Aead13:
    """What opens, or seals, one direction of a TLS 1.3 epoch.  Raises Unsupported."""
    chosen = _known(suite_code)
    if chosen.min_version != keys.TLS13 or not chosen.aead:
        raise Unsupported(f"{chosen.name} in TLS 1.3")
    return Aead13(chosen, traffic_secret)


sealer_13 = opener_13


def openers_12(
    version: int,
    suite_code: int,
    master_secret: bytes,
    client_random: bytes,
    server_random: bytes,
    encrypt_then_mac: bool = False,
) -> tuple[Protection, Protection]:
    """What opens the client's and the server's records from SSL 3.0 to TLS 1.2.  Raises Unsupported."""
    return _pair(version, suite_code, master_secret, client_random, server_random, encrypt_then_mac)


def sealers_12(
    version: int,
    suite_code: int,
    master_secret: bytes,
    client_random: bytes,
    server_random: bytes,
    encrypt_then_mac: bool = False,
    *,
    entropy: Callable[[int], bytes],
) -> tuple[Protection, Protection]:
    """What seals the client's and the server's records; ``entropy(n)`` gives n octets nobody can predict."""
    return _pair(version, suite_code, master_secret, client_random, server_random, encrypt_then_mac, entropy)


class _Plan(NamedTuple):
    """What a suite needs in a version; lengths in octets."""

    suite: Suite
    mac: str
    mac_length: int
    iv_length: int
    block: int


@lru_cache(maxsize=512)
def _plan(version: int, code: int) -> _Plan:
    chosen = _known(code)
    too_new = chosen.min_version >= keys.TLS12 and version < chosen.min_version  # AES in SSL 3.0 was met, GCM never
    if too_new or not keys.SSL30 <= version <= keys.TLS12:
        raise Unsupported(f"{chosen.name} in version 0x{version:04X}")
    if "EXPORT" in chosen.name or chosen.name.endswith("_DRAFT"):
        raise Unsupported(chosen.name)
    if chosen.mode == "aead":
        return _Plan(chosen, "", 0, 12 if chosen.cipher.startswith("CHACHA20") else 4, 0)
    mac = _MACS.get(chosen.hash)
    if mac is None:
        raise Unsupported(chosen.name)
    block = 0
    if chosen.mode == "cbc":
        family = chosen.cipher.partition("_")[0]
        if family not in _BLOCK_CIPHERS:
            raise Unsupported(chosen.name)
        block = _BLOCK_CIPHERS[family][1]
    elif chosen.cipher not in ("RC4_128", "NULL"):
        raise Unsupported(chosen.name)
    return _Plan(chosen, mac, keys.hash_length(mac), block if version < keys.TLS11 else 0, block)


def _pair(
    version: int,
    suite_code: int,
    master: bytes,
    client_random: bytes,
    server_random: bytes,
    encrypt_then_mac: bool,
    entropy: Callable[[int], bytes] | None = None,
) -> tuple[Protection, Protection]:
    chosen, mac_name, mac_length, iv_length, block = _plan(version, suite_code)
    parts = keys.key_block(
        version,
        prf_hash(chosen),
        master,
        client_random,
        server_random,
        mac_length=mac_length,
        key_length=chosen.key_length,
        iv_length=iv_length,
    )

    def make(key: bytes, iv: bytes, mac_key: bytes) -> Protection:
        if not mac_length:
            return Aead12(chosen, key, iv)
        mac = _Mac(version, mac_name, mac_key)
        if block:
            cipher = Cipher(_BLOCK_CIPHERS[chosen.cipher.partition("_")[0]][0](key), CBC(iv or bytes(block)))
            context = cipher.encryptor() if entropy else cipher.decryptor()
            return Cbc(version, mac, context, block, encrypt_then_mac=encrypt_then_mac, entropy=entropy)
        return Stream(version, mac, Cipher(ARC4(key), None).encryptor().update if key else None)

    return (
        make(parts.client_key, parts.client_iv, parts.client_mac),
        make(parts.server_key, parts.server_iv, parts.server_mac),
    )
