"""From secrets to keys: the key schedules of TLS 1.3 and of SSL 3.0 to TLS 1.2, as functions of bytes.

Both ends and an observer derive the same keys, so everything here is blind to roles.  Hashes are named as in
``hashlib``.  TLS 1.3 is RFC 8446 section 7 (RFC 9846 keeps it); TLS 1.2 is RFC 5246 5, 6.3, 7.4.9 and 8.1;
TLS 1.0 and 1.1 have their PRF in RFC 2246 5; SSL 3.0 is RFC 6101; the extended master secret is RFC 7627.
HMAC is two calls of the hash, which at these sizes is faster than the standard library's one-call form.
Which secrets exist when, and who may use them, is the business of the engine or the observer.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from hmac import digest as _any_hmac
from typing import NamedTuple

from synfin.spec.transcript import Transcript

SSL30, TLS10, TLS11, TLS12, TLS13 = 0x0300, 0x0301, 0x0302, 0x0303, 0x0304


_tuple = tuple.__new__  # makes a NamedTuple without the call of its own constructor
_IPAD = bytes(octet ^ 0x36 for octet in range(256))
_OPAD = bytes(octet ^ 0x5C for octet in range(256))
#: What makes the hash, its block and its output in octets.
_HASHES = {"sha256": (hashlib.sha256, 64, 32), "sha384": (hashlib.sha384, 128, 48)}


def hmac_digest(key: bytes, data: bytes, hash_name: str) -> bytes:
    """HMAC (RFC 2104)."""
    found = _HASHES.get(hash_name)
    if found is None or len(key) > found[1]:
        return _any_hmac(key, data, hash_name)
    make, block, _ = found
    padded = key.ljust(block, b"\0")
    return make(padded.translate(_OPAD) + make(padded.translate(_IPAD) + data).digest()).digest()


# ---------------------------------------------------------------- TLS 1.3 (RFC 8446 section 7)


@lru_cache(maxsize=8)
def hash_length(hash_name: str) -> int:
    """Octets of the hash's output."""
    return hashlib.new(hash_name).digest_size


@lru_cache(maxsize=8)
def empty_hash(hash_name: str) -> bytes:
    """Hash of nothing: the transcript of "derived" (RFC 8446 7.1)."""
    return hashlib.new(hash_name).digest()


def hkdf_extract(hash_name: str, salt: bytes, keying_material: bytes) -> bytes:
    """HKDF-Extract (RFC 5869 2.2)."""
    return hmac_digest(salt or bytes(hash_length(hash_name)), keying_material, hash_name)


def hkdf_expand(hash_name: str, secret: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand (RFC 5869 2.3); ``length`` is at most 255 hashes."""
    block = output = hmac_digest(secret, info + b"\x01", hash_name)
    count = 1
    while len(output) < length:
        count += 1
        block = hmac_digest(secret, block + info + bytes([count]), hash_name)
        output += block
    return output[:length]


@lru_cache(maxsize=256)
def _label_head(label: str, length: int, context: int) -> bytes:
    """HkdfLabel up to its context, of which the length is given."""
    name = b"tls13 " + label.encode("ascii")
    return b"%b%c%b%c" % (length.to_bytes(2, "big"), len(name), name, context)


def hkdf_expand_label(hash_name: str, secret: bytes, label: str, context: bytes, length: int) -> bytes:
    """HKDF-Expand-Label (RFC 8446 7.1); ``label`` goes without its "tls13 "."""
    head = _label_head(label, length, len(context))
    found = _HASHES.get(hash_name)
    if found is None or length > found[2] or len(secret) > found[1]:
        return hkdf_expand(hash_name, secret, head + context, length)
    make, block, _ = found  # one HMAC, as nearly always
    padded = secret.ljust(block, b"\0")
    inner = make(b"".join((padded.translate(_IPAD), head, context, b"\x01"))).digest()
    return make(padded.translate(_OPAD) + inner).digest()[:length]


def expand_labels(hash_name: str, secret: bytes, wanted: tuple[tuple[str, bytes, int], ...]) -> list[bytes]:
    """HKDF-Expand-Label of one secret for several (label, context, length): its two pads are made once."""
    found = _HASHES.get(hash_name)
    if found is None or len(secret) > found[1]:
        return [hkdf_expand_label(hash_name, secret, *one) for one in wanted]
    make, block, most = found
    padded = secret.ljust(block, b"\0")
    inner, outer = make(padded.translate(_IPAD)), make(padded.translate(_OPAD))  # the pads hashed once
    output = []
    for label, context, length in wanted:
        head = _label_head(label, length, len(context))
        if length > most:
            output.append(hkdf_expand(hash_name, secret, head + context, length))
            continue
        first, last = inner.copy(), outer.copy()
        first.update(b"%b%b\x01" % (head, context))
        last.update(first.digest())
        output.append(last.digest()[:length])
    return output


def derive_secret(hash_name: str, secret: bytes, label: str, transcript_hash: bytes) -> bytes:
    """Derive-Secret (RFC 8446 7.1) over a transcript hash that is already made."""
    return hkdf_expand_label(hash_name, secret, label, transcript_hash, hash_length(hash_name))


@lru_cache(maxsize=8)
def _key_label(length: int) -> bytes:
    """What HKDF-Expand hashes for a key of this length."""
    return _label_head("key", length, 0) + b"\x01"


_IV_LABEL = _label_head("iv", 12, 0) + b"\x01"


class TrafficKeys(NamedTuple):
    """What protects one direction in one epoch (RFC 8446 7.3)."""

    key: bytes
    iv: bytes


def traffic_keys(hash_name: str, key_length: int, traffic_secret: bytes) -> TrafficKeys:
    """[sender]_write_key and [sender]_write_iv of a traffic secret (RFC 8446 7.3)."""
    found = _HASHES.get(hash_name)
    if found is None or len(traffic_secret) > found[1]:
        key, iv = expand_labels(hash_name, traffic_secret, (("key", b"", key_length), ("iv", b"", 12)))
        return TrafficKeys(key, iv)
    make, block, _ = found
    padded = traffic_secret.ljust(block, b"\0")
    inner, outer = make(padded.translate(_IPAD)), make(padded.translate(_OPAD))  # the pads hashed once
    other, last = inner.copy(), outer.copy()
    inner.update(_key_label(key_length))
    outer.update(inner.digest())
    other.update(_IV_LABEL)
    last.update(other.digest())
    return _tuple(TrafficKeys, (outer.digest()[:key_length], last.digest()[:12]))


def next_traffic_secret(hash_name: str, traffic_secret: bytes) -> bytes:
    """application_traffic_secret_N+1, after a KeyUpdate (RFC 8446 7.2)."""
    return hkdf_expand_label(hash_name, traffic_secret, "traffic upd", b"", hash_length(hash_name))


@lru_cache(maxsize=8)
def _finished_label(length: int) -> bytes:
    """What HKDF-Expand hashes for a finished_key of this length."""
    return _label_head("finished", length, 0) + b"\x01"


def finished_key(hash_name: str, base_secret: bytes) -> bytes:
    """finished_key of a handshake traffic secret or a binder key (RFC 8446 4.4.4)."""
    return hkdf_expand_label(hash_name, base_secret, "finished", b"", hash_length(hash_name))


def verify_data_13(hash_name: str, base_secret: bytes, transcript_hash: bytes) -> bytes:
    """verify_data of Finished, and the value of a PSK binder (RFC 8446 4.4.4, 4.2.11.2)."""
    found = _HASHES.get(hash_name)
    if found is None or len(base_secret) > found[1]:
        return hmac_digest(finished_key(hash_name, base_secret), transcript_hash, hash_name)
    make, block, size = found  # the two HMACs in one place
    padded = base_secret.ljust(block, b"\0")
    inner = make(padded.translate(_IPAD) + _finished_label(size)).digest()
    padded = make(padded.translate(_OPAD) + inner).digest().ljust(block, b"\0")
    inner = make(padded.translate(_IPAD) + transcript_hash).digest()
    return make(padded.translate(_OPAD) + inner).digest()


def exporter_13(hash_name: str, exporter_secret: bytes, label: str, context: bytes, length: int) -> bytes:
    """TLS-Exporter (RFC 8446 7.5)."""
    secret = derive_secret(hash_name, exporter_secret, label, empty_hash(hash_name))
    return hkdf_expand_label(hash_name, secret, "exporter", hashlib.new(hash_name, context).digest(), length)


def ticket_psk(hash_name: str, resumption_master_secret: bytes, ticket_nonce: bytes) -> bytes:
    """The PSK of a NewSessionTicket (RFC 8446 4.6.1)."""
    return hkdf_expand_label(hash_name, resumption_master_secret, "resumption", ticket_nonce, hash_length(hash_name))


def early_secret(hash_name: str, psk: bytes = b"") -> bytes:
    """Early Secret: from the PSK, or from zeros without one (RFC 8446 7.1)."""
    zeros = bytes(hash_length(hash_name))
    return hkdf_extract(hash_name, zeros, psk or zeros)


def handshake_secret(hash_name: str, early: bytes, shared: bytes) -> bytes:
    """Handshake Secret: from the Early Secret and the (EC)DHE or hybrid shared secret (zeros with psk_ke)."""
    salt = derive_secret(hash_name, early, "derived", empty_hash(hash_name))
    return hkdf_extract(hash_name, salt, shared or bytes(hash_length(hash_name)))


# ---------------------------------------------------------------- SSL 3.0 to TLS 1.2


def _p_hash(hash_name: str, secret: bytes, seed: bytes, length: int) -> bytes:
    """P_hash (RFC 5246 5)."""
    output = b""
    a = seed
    found = _HASHES.get(hash_name)
    if found is not None and len(secret) <= found[1]:
        make, block, _ = found
        padded = secret.ljust(block, b"\0")
        inner, outer = make(padded.translate(_IPAD)), make(padded.translate(_OPAD))  # the pads hashed once
        while len(output) < length:
            first, last = inner.copy(), outer.copy()
            first.update(a)
            last.update(first.digest())
            a = last.digest()
            first, last = inner.copy(), outer.copy()
            first.update(a + seed)
            last.update(first.digest())
            output += last.digest()
        return output[:length]
    while len(output) < length:
        a = hmac_digest(secret, a, hash_name)
        output += hmac_digest(secret, a + seed, hash_name)
    return output[:length]


def _ssl3_expand(secret: bytes, seed: bytes, length: int) -> bytes:
    """SSL 3.0's own expansion with 'A', 'BB', 'CCC' ... (RFC 6101 6.1, 6.2.2)."""
    output = b""
    count = 0
    while len(output) < length:
        salt = bytes([0x41 + count]) * (count + 1)
        output += hashlib.md5(secret + hashlib.sha1(salt + secret + seed).digest()).digest()
        count += 1
    return output[:length]


def prf(version: int, hash_name: str, secret: bytes, label: bytes, seed: bytes, length: int) -> bytes:
    """PRF of TLS 1.2 with the suite's hash, or of TLS 1.0/1.1 with MD5 and SHA-1 over half the secret each."""
    if version >= TLS12:
        return _p_hash(hash_name, secret, label + seed, length)
    half = (len(secret) + 1) // 2
    first = _p_hash("md5", secret[:half], label + seed, length)
    second = _p_hash("sha1", secret[len(secret) - half :], label + seed, length)
    return (int.from_bytes(first, "big") ^ int.from_bytes(second, "big")).to_bytes(length, "big")


def master_secret(version: int, hash_name: str, premaster: bytes, client_random: bytes, server_random: bytes) -> bytes:
    """The master secret, 48 octets (RFC 5246 8.1, RFC 6101 6.1)."""
    if version == SSL30:
        return _ssl3_expand(premaster, client_random + server_random, 48)
    return prf(version, hash_name, premaster, b"master secret", client_random + server_random, 48)


def extended_master_secret(version: int, hash_name: str, premaster: bytes, session_hash: bytes) -> bytes:
    """The extended master secret (RFC 7627 4); ``session_hash`` covers all up to ClientKeyExchange."""
    return prf(version, hash_name, premaster, b"extended master secret", session_hash, 48)


class KeyBlock(NamedTuple):
    """The key block, cut up (RFC 5246 6.3); parts a suite does not use are empty."""

    client_mac: bytes
    server_mac: bytes
    client_key: bytes
    server_key: bytes
    client_iv: bytes
    server_iv: bytes


def key_block(
    version: int,
    hash_name: str,
    master: bytes,
    client_random: bytes,
    server_random: bytes,
    *,
    mac_length: int,
    key_length: int,
    iv_length: int,
) -> KeyBlock:
    """Expand the master secret and cut it up; lengths in octets, ``iv_length`` 0 where the IV travels in the record."""
    size = 2 * (mac_length + key_length + iv_length)
    if version == SSL30:
        block = _ssl3_expand(master, server_random + client_random, size)
    else:
        block = prf(version, hash_name, master, b"key expansion", server_random + client_random, size)
    k = 2 * mac_length
    v = k + 2 * key_length
    return KeyBlock(
        block[:mac_length],
        block[mac_length:k],
        block[k : k + key_length],
        block[k + key_length : v],
        block[v : v + iv_length],
        block[v + iv_length :],
    )


_FINISHED = {"client": b"client finished", "server": b"server finished"}


def verify_data_12(version: int, hash_name: str, master: bytes, sender: str, transcript: Transcript) -> bytes:
    """verify_data of Finished: 12 octets (RFC 5246 7.4.9), or SSL 3.0's 36 (RFC 6101 5.6.9).

    ``sender`` is "client" or "server"; ``transcript`` holds all handshake messages before this Finished and was
    told the version's hashes (MD5 and SHA-1 below TLS 1.2).
    """
    if version > SSL30:
        return prf(version, hash_name, master, _FINISHED[sender], transcript.digest(), 12)
    role = b"CLNT" if sender == "client" else b"SRVR"
    output = b""
    for context, pad in zip(transcript.contexts(), (48, 40), strict=True):
        context.update(role + master + b"\x36" * pad)
        output += hashlib.new(context.name, master + b"\x5c" * pad + context.digest()).digest()
    return output


def exporter_12(
    hash_name: str,
    master: bytes,
    label: str,
    client_random: bytes,
    server_random: bytes,
    context: bytes | None,
    length: int,
) -> bytes:
    """Keying material exporter of TLS 1.2 (RFC 5705 4)."""
    seed = client_random + server_random
    if context is not None:
        seed += len(context).to_bytes(2, "big") + context
    return prf(TLS12, hash_name, master, label.encode("ascii"), seed, length)
