"""The running hash over handshake messages (RFC 8446 4.4.1, RFC 5246 7.4.9), cheap to fork.

The hash is known only after ServerHello, so messages wait until ``choose`` names it.  TLS 1.2 and 1.3 use one hash;
TLS 1.0, 1.1 and SSL 3.0 use MD5 and SHA-1 side by side.  After a HelloRetryRequest the first ClientHello is replaced
by a synthetic message_hash message.  Messages are whole: 4 octets of header, then the body.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import _Hash

MESSAGE_HASH = 254

_MAKE = {"sha256": hashlib.sha256, "sha384": hashlib.sha384, "md5": hashlib.md5, "sha1": hashlib.sha1}


class Transcript:
    """Handshake messages in order.  With ``keep`` the octets stay readable (TLS 1.2 CertificateVerify signs them)."""

    __slots__ = ("_contexts", "_keep", "_waiting")

    def __init__(self, *, keep: bool = False) -> None:
        self._contexts: tuple[_Hash, ...] = ()
        self._keep = keep
        self._waiting = bytearray()

    def add(self, message: bytes) -> None:
        """Append one whole handshake message."""
        contexts = self._contexts
        for context in contexts:
            context.update(message)
        if self._keep or not contexts:
            self._waiting += message

    def choose(self, *hash_names: str) -> None:
        """Name the hash: ("sha256",), ("sha384",), or ("md5", "sha1") below TLS 1.2.  Once; ValueError after that."""
        if self._contexts:
            raise ValueError("the transcript's hash is chosen already")
        self._contexts = tuple([_MAKE[name](self._waiting) for name in hash_names])
        if not self._keep:
            self._waiting = bytearray()

    @property
    def chosen(self) -> bool:
        """Whether the hash is known."""
        return bool(self._contexts)

    @property
    def length(self) -> int:
        """Octets of ``digest``; of the longest hash there is before ``choose``."""
        return sum([context.digest_size for context in self._contexts]) or 64

    def digest(self) -> bytes:
        """The hash of all messages so far (MD5 then SHA-1 below TLS 1.2).  ValueError before ``choose``."""
        contexts = self._contexts
        if len(contexts) == 1:
            return contexts[0].digest()
        if not contexts:
            raise ValueError("the transcript's hash is not chosen")
        return b"".join([context.digest() for context in contexts])

    def contexts(self) -> tuple[_Hash, ...]:
        """Copies of the running hashes, for SSL 3.0, which hashes on."""
        return tuple(context.copy() for context in self._contexts)

    def messages(self) -> bytes:
        """The octets of all messages; ValueError where they were not kept."""
        if self._contexts and not self._keep:
            raise ValueError("the transcript does not keep its messages")
        return bytes(self._waiting)

    def forget(self) -> None:
        """Stop keeping messages: no CertificateVerify will need them."""
        self._keep = False
        if self._contexts:
            self._waiting = bytearray()

    def retry(self) -> None:
        """Replace what was added (the first ClientHello) by message_hash, before HelloRetryRequest is added."""
        digest = self.digest()
        names = tuple(context.name for context in self._contexts)
        synthetic = bytes([MESSAGE_HASH, 0, 0, len(digest)]) + digest
        self._contexts = tuple(hashlib.new(name, synthetic) for name in names)
        if self._keep:
            self._waiting = bytearray(synthetic)

    def fork(self) -> Transcript:
        """An independent copy at this point."""
        other = Transcript(keep=self._keep)
        other._contexts = self.contexts()
        other._waiting = bytearray(self._waiting)
        return other
