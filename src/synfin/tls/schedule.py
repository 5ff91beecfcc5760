"""The key schedule of one TLS 1.3 connection as it moves on (RFC 8446 7.1): secrets in, protections out.

Both roles use it; which direction is ours is theirs to know.  Secrets that only some connections need (exporter,
resumption) are derived when asked for, from transcript hashes that were taken in time.
"""

from __future__ import annotations

from functools import lru_cache

from synfin.spec import keys
from synfin.spec.protection import Aead13, opener_13, prf_hash
from synfin.wire.tls.suites import Suite, suite


@lru_cache(maxsize=64)
def suite_facts(code: int) -> Suite:
    """What is known of a suite; ValueError for one outside the registry."""
    found = suite(code)
    if found is None:
        raise ValueError(f"cipher suite 0x{code:04x}")
    return found


@lru_cache(maxsize=64)
def suite_hash(code: int) -> str:
    """The hash of the suite's key schedule."""
    return prf_hash(suite_facts(code))


@lru_cache(maxsize=16)
def _suite_13(code: int) -> Suite:
    """A suite that ``Aead13`` can use; Unsupported for any other."""
    opener_13(code, bytes(48))
    return suite_facts(code)


@lru_cache(maxsize=4)
def _plain_early(hash_name: str) -> bytes:
    return keys.early_secret(hash_name)


@lru_cache(maxsize=4)
def _plain_salt(hash_name: str) -> bytes:
    return keys.derive_secret(hash_name, _plain_early(hash_name), "derived", keys.empty_hash(hash_name))


class Schedule:
    """The secrets of a connection.  ``psk`` is b"" without resumption."""

    __slots__ = (
        "_facts",
        "_main",
        "_salt",
        "client",
        "client_next",
        "exporter_hash",
        "hash",
        "resumption",
        "server",
        "server_next",
        "suite",
    )

    def __init__(self, code: int, psk: bytes, shared: bytes, hello_hash: bytes) -> None:
        name = self.hash = suite_hash(code)
        self._facts = _suite_13(code)
        self.suite = code
        if psk:
            handshake = keys.handshake_secret(name, keys.early_secret(name, psk), shared)
        else:
            handshake = keys.hkdf_extract(name, _plain_salt(name), shared)
        size = keys.hash_length(name)
        self.client, self.server, self._salt = keys.expand_labels(
            name,
            handshake,
            (
                ("c hs traffic", hello_hash, size),
                ("s hs traffic", hello_hash, size),
                ("derived", keys.empty_hash(name), size),
            ),
        )
        self._main = self.exporter_hash = self.resumption = b""
        self.client_next = self.server_next = b""

    def application(self, finished_hash: bytes) -> None:
        """Derive the application secrets from the transcript up to the server's Finished."""
        name = self.hash
        size = keys.hash_length(name)
        self._main = keys.hkdf_extract(name, self._salt, bytes(size))
        self.client_next, self.server_next = keys.expand_labels(
            name, self._main, (("c ap traffic", finished_hash, size), ("s ap traffic", finished_hash, size))
        )
        self.exporter_hash = finished_hash

    def finish(self, whole_hash: bytes) -> None:
        """Note the transcript up to the client's Finished, from which tickets are made."""
        self.resumption = whole_hash

    def protection(self, secret: bytes) -> Aead13:
        """What seals or opens under a traffic secret."""
        return Aead13(self._facts, secret)

    def verify_data(self, secret: bytes, transcript_hash: bytes) -> bytes:
        """Finished under a handshake traffic secret."""
        return keys.verify_data_13(self.hash, secret, transcript_hash)

    @property
    def exporter_secret(self) -> bytes:
        """exporter_master_secret."""
        return keys.derive_secret(self.hash, self._main, "exp master", self.exporter_hash)

    @property
    def resumption_secret(self) -> bytes:
        """resumption_master_secret."""
        return keys.derive_secret(self.hash, self._main, "res master", self.resumption)

    def ticket_psk(self, nonce: bytes) -> bytes:
        """The PSK of a ticket with this nonce."""
        return keys.ticket_psk(self.hash, self.resumption_secret, nonce)

    def export(self, label: str, context: bytes, length: int) -> bytes:
        """TLS-Exporter (RFC 8446 7.5)."""
        return keys.exporter_13(self.hash, self.exporter_secret, label, context, length)


def binder(hash_name: str, psk: bytes, transcript_hash: bytes, external: bool = False) -> bytes:
    """The binder of a resumption PSK, or an external one, over the truncated ClientHello (RFC 8446 4.2.11.2)."""
    label = "ext binder" if external else "res binder"
    key = keys.derive_secret(hash_name, keys.early_secret(hash_name, psk), label, keys.empty_hash(hash_name))
    return keys.verify_data_13(hash_name, key, transcript_hash)


def early_traffic(hash_name: str, psk: bytes, hello_hash: bytes) -> bytes:
    """client_early_traffic_secret."""
    return keys.derive_secret(hash_name, keys.early_secret(hash_name, psk), "c e traffic", hello_hash)


def early_exporter(hash_name: str, psk: bytes, hello_hash: bytes) -> bytes:
    """early_exporter_master_secret."""
    return keys.derive_secret(hash_name, keys.early_secret(hash_name, psk), "e exp master", hello_hash)
