"""Protection by a cipher and a MAC, SSL 3.0 to TLS 1.2: block ciphers in CBC, RC4, and NULL (RFC 5246 6.2.3).

CBC padding and MAC are checked without telling which of them failed, and as many octets are hashed whatever the padding
says (RFC 5246 6.2.3.2, "Lucky Thirteen"); but Python cannot promise constant time: an endpoint should prefer AEAD or
encrypt-then-MAC, where the MAC comes first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from hmac import compare_digest
from hmac import digest as hmac_digest

from cryptography.hazmat.primitives.ciphers import CipherContext

from synfin.spec import keys
from synfin.spec.protection_base import BadRecord, Protection, mac_header, record_header
from synfin.wire.codec import Buffer


class Mac:
    """The MAC of one direction (RFC 5246 6.2.3.1; SSL 3.0's own, RFC 6101 5.2.3.1)."""

    __slots__ = ("_key", "_name", "_ssl3", "length")

    def __init__(self, version: int, name: str, key: bytes) -> None:
        self._key = key
        self._name = name
        self._ssl3 = version == keys.SSL30
        self.length = keys.hash_length(name)

    def __call__(self, sequence: int, content_type: int, version: int, content: bytes) -> bytes:
        """The MAC of a record's content, or with encrypt-then-MAC of its ciphertext."""
        if not self._ssl3:
            return hmac_digest(
                self._key, mac_header(sequence, content_type, version, len(content)) + content, self._name
            )
        pad = 48 if self._name == "md5" else 40
        head = sequence.to_bytes(8, "big") + bytes([content_type]) + len(content).to_bytes(2, "big")
        inner = hashlib.new(self._name, self._key + b"\x36" * pad + head + content).digest()
        return hashlib.new(self._name, self._key + b"\x5c" * pad + inner).digest()

    def spend(self, octets: bytes) -> None:
        """Take the time that so many octets more would have taken."""
        hashlib.new(self._name, octets).digest()


class Stream(Protection):
    """RC4 and NULL with a MAC (RFC 5246 6.2.3.1).  RC4 runs on from record to record: none can be left out."""

    __slots__ = ("_crypt", "_mac", "_version", "independent", "sequence")

    def __init__(self, version: int, mac: Mac, crypt: Callable[[bytes], bytes] | None) -> None:
        super().__init__()
        self._version = version
        self._mac = mac
        self._crypt = crypt
        self.independent = crypt is None

    def open_record(self, content_type: int, version: int, fragment: Buffer) -> tuple[int, bytes]:
        """See ``Protection``."""
        fragment = bytes(fragment)
        cut = len(fragment) - self._mac.length
        if cut < 0:
            raise BadRecord("too short for its MAC")
        clear = self._crypt(fragment) if self._crypt else fragment
        content = clear[:cut]
        if not compare_digest(clear[cut:], self._mac(self.sequence, content_type, version, content)):
            raise BadRecord("MAC does not verify")
        self.sequence += 1
        return content_type, content

    def seal_record(self, content_type: int, plaintext: Buffer, padding: int = 0) -> bytes:
        """See ``Protection``."""
        plaintext = bytes(plaintext)
        clear = plaintext + self._mac(self.sequence, content_type, self._version, plaintext)
        self.sequence += 1
        return record_header(content_type, self._version, len(clear)) + (self._crypt(clear) if self._crypt else clear)


class Cbc(Protection):
    """CBC block ciphers with a MAC before (RFC 5246 6.2.3.2) or after encryption (RFC 7366).

    One cipher context runs through all records.  Up to TLS 1.0 the protocol asks for that (the last ciphertext block
    is the next IV); from TLS 1.1 on the explicit IV is simply the first block, whose plaintext is thrown away.
    """

    __slots__ = (
        "_block",
        "_crypt",
        "_entropy",
        "_etm",
        "_explicit",
        "_mac",
        "_ssl3",
        "_version",
        "independent",
        "sequence",
    )

    def __init__(
        self,
        version: int,
        mac: Mac,
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

    def open_record(self, content_type: int, version: int, fragment: Buffer) -> tuple[int, bytes]:
        """See ``Protection``."""
        fragment = bytes(fragment)
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
            most = len(clear) - 1 - mac_length  # octets of content where there is no padding but its length
            if most < 0:
                raise BadRecord("MAC does not verify")
            good = good and pad - 1 <= most
            cut = most + 1 - pad if good else most
            content = clear[:cut]
            mac = self._mac(self.sequence, content_type, version, content)
            self._mac.spend(clear[cut:most])
            if not (compare_digest(clear[cut : cut + mac_length], mac) and good):
                raise BadRecord("MAC does not verify")
        self.sequence += 1
        return content_type, content

    def seal_record(self, content_type: int, plaintext: Buffer, padding: int = 0) -> bytes:
        """See ``Protection``; the explicit IV comes from the entropy given to the factory."""
        clear = plaintext = bytes(plaintext)
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
        return record_header(content_type, self._version, len(sealed)) + sealed
