"""Opening and sealing one record: one object per direction and epoch (RFC 8446 5.2, RFC 5246 6.2.3).

An endpoint seals with one object and opens with another; an observer opens both directions.  The object keeps the
sequence number and whatever state the cipher chains from record to record.  What it knows is ciphers; it does not know
when keys change, decompress, or limit how many records a key may protect.

Suites: TLS 1.3 AEADs; for SSL 3.0 to TLS 1.2 GCM, CCM, CCM_8 and ChaCha20-Poly1305, and AES, Camellia, SEED, IDEA,
3DES and DES in CBC (MAC-then-encrypt and encrypt-then-MAC, RFC 7366), RC4 with 128 bits, and NULL.  ARIA, GOST, RC2,
the ChaCha20 drafts and the export suites raise ``Unsupported`` with the suite's name: ``cryptography`` has no such
cipher, or nobody offers the suite any more.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4, IDEA, SEED, Camellia, TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from synfin.spec import keys
from synfin.spec.protection_aead import Aead12, Aead13, prf_hash
from synfin.spec.protection_base import (
    RESYNC_LIMIT,
    BadRecord,
    Protection,
    Unsupported,
    read_header,
    record_header,
)
from synfin.spec.protection_mac import Cbc, Mac, Stream
from synfin.wire.tls.suites import Suite, suite

__all__ = [
    "RESYNC_LIMIT",
    "Aead13",
    "BadRecord",
    "Protection",
    "Unsupported",
    "opener_13",
    "openers_12",
    "prf_hash",
    "read_header",
    "record_header",
    "sealer_13",
    "sealers_12",
]

_BLOCK_CIPHERS: dict[str, tuple[Callable[[bytes], Any], int]] = {
    "AES": (AES, 16),
    "CAMELLIA": (Camellia, 16),
    "SEED": (SEED, 16),
    "IDEA": (IDEA, 8),
    "3DES": (TripleDES, 8),
    "DES": (lambda key: TripleDES(key * 3), 8),  # encrypt, decrypt, encrypt with one key is single DES
}


_MACS = {"MD5": "md5", "SHA": "sha1", "SHA256": "sha256", "SHA384": "sha384"}


def _known(code: int) -> Suite:
    chosen = suite(code)
    if chosen is None:
        raise Unsupported(f"cipher suite 0x{code:04X}")
    return chosen


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
        mac = Mac(version, mac_name, mac_key)
        if block:
            cipher = Cipher(_BLOCK_CIPHERS[chosen.cipher.partition("_")[0]][0](key), CBC(iv or bytes(block)))
            context = cipher.encryptor() if entropy else cipher.decryptor()
            return Cbc(version, mac, context, block, encrypt_then_mac=encrypt_then_mac, entropy=entropy)
        return Stream(version, mac, Cipher(ARC4(key), None).encryptor().update if key else None)

    return (
        make(parts.client_key, parts.client_iv, parts.client_mac),
        make(parts.server_key, parts.server_iv, parts.server_mac),
    )
